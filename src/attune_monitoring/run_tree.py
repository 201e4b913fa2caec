"""A run rebuilt from its records: stages, nested runs and calls in each other, as they were made."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Literal, TypeAlias

import msgspec

from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, WorkflowStageRecord, parse_time

__all__ = ["Node", "build"]

_Kind: TypeAlias = Literal["run", "stage", "call"]
_MAX_DEPTH = 64
"""Hostile records may nest deeper than anything can show."""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A run, a stage or a call, with what was made in it.

    Attributes:
        kind: What it is.
        id: Run id, stage id or call id; a stage of an earlier writer has none.
        name: Name of workflow or stage, model of a call.
        started: Seconds since the epoch; None where nothing tells.
        duration_ms: Milliseconds.
        cost: USD, of the known costs; None where none is known.
        unknown_cost_calls: Calls of unknown cost in it.
        input_tokens: As in the records; None where not known.
        output_tokens: The same.
        outcome: ok, error, cancelled or skipped; `open` for a run that has no end on record.
        note: Its error, or why it was skipped.
        call: The record of a call.
        children: What was made in it, in the order of their beginnings.
    """

    kind: _Kind
    id: str
    name: str
    started: float | None
    duration_ms: float
    cost: float | None
    unknown_cost_calls: int
    input_tokens: int | None
    output_tokens: int | None
    outcome: str
    note: str = ""
    call: LLMCallRecord | None = None
    children: tuple[Node, ...] = ()

    def walk(self) -> Iterator[Node]:
        """Yield this node and all below it, in the order in which a tree shows them."""
        yield self
        for child in self.children:
            yield from child.walk()


def build(run_id: str, runs: Iterable[WorkflowRunRecord], calls: Iterable[LLMCallRecord]) -> Node:
    """Return the tree of a run.

    A run without a record (its process was killed, or still works) is rebuilt from its calls and nested runs, with the
    outcome `open`. Where more calls are there than a run's record counted, calls of other processes or after its record
    was written, its sums are those of the calls; else they are the record's.

    Args:
        run_id: the run; those around it are left out.
        runs: records of runs, the nested ones among them; others are passed over.
        calls: records of calls; those of other runs are passed over.
    """
    by_id: dict[str, WorkflowRunRecord] = {}
    nested: dict[str, list[str]] = {}
    for run in runs:
        if run.run_id not in by_id and run.parent_run_id is not None:
            nested.setdefault(run.parent_run_id, []).append(run.run_id)
        by_id.setdefault(run.run_id, run)
    by_run: dict[str, list[LLMCallRecord]] = {}
    for call in calls:
        if call.run_id is not None:
            by_run.setdefault(call.run_id, []).append(call)
    return _Builder(by_id, nested, by_run).run(run_id, frozenset())


class _Builder:
    def __init__(
        self,
        runs: dict[str, WorkflowRunRecord],
        nested: dict[str, list[str]],
        calls: dict[str, list[LLMCallRecord]],
    ) -> None:
        self._runs = runs
        self._nested = nested
        self._calls = calls

    def run(self, run_id: str, above: frozenset[str]) -> Node:
        """Build a run; `above` are those around it, which a damaged record may name as nested in it."""
        record = self._runs.get(run_id)
        calls = self._calls.get(run_id, [])
        stages = list(record.stages) if record is not None else []
        stages += _unrecorded_stages(stages, calls)
        above = above | {run_id}
        inner = [
            (self._runs[one].parent_span_id, self.run(one, above))
            for one in self._nested.get(run_id, ())
            if one not in above and len(above) < _MAX_DEPTH
        ]
        children = _placed(stages, calls, inner)
        return _open(run_id, calls, children) if record is None else _run(record, children)


def _unrecorded_stages(stages: list[WorkflowStageRecord], calls: list[LLMCallRecord]) -> list[WorkflowStageRecord]:
    """Stages that only their calls tell of."""
    known = {stage.stage_id for stage in stages}
    found: dict[str, WorkflowStageRecord] = {}
    for call in calls:
        if call.stage_id is not None and call.stage_id not in known and not stages:
            name = call.step_name or "stage"
            found.setdefault(
                call.stage_id,
                WorkflowStageRecord(stage_name=name, tier=call.tier, model_id=call.model_id, stage_id=call.stage_id),
            )
    return list(found.values())


def _placed(
    stages: list[WorkflowStageRecord], calls: list[LLMCallRecord], inner: list[tuple[str | None, Node]]
) -> tuple[Node, ...]:
    """Put calls and nested runs into their stages, and stages into theirs."""
    by_key = {stage.stage_id or f"#{place}": stage for place, stage in enumerate(stages)}
    by_name = {stage.stage_name: key for key, stage in by_key.items() if stage.stage_id is None}
    held: dict[str | None, list[Node]] = {}
    for call in calls:
        # Calls of earlier writers name the stage; merged stages have lost their ids.
        place = call.stage_id if call.stage_id in by_key else by_name.get(call.step_name or "")
        held.setdefault(place, []).append(_call(call))
    for span_id, node in inner:
        held.setdefault(span_id if span_id in by_key else None, []).append(node)
    within: dict[str | None, list[str]] = {}
    for key, stage in by_key.items():
        outer = stage.parent_stage_id
        within.setdefault(outer if outer in by_key and not _circles(key, by_key) else None, []).append(key)

    def stage_node(key: str) -> Node:
        children = _in_order([*held.get(key, ()), *map(stage_node, within.get(key, ()))])
        return _stage(by_key[key], children)

    return _in_order([*map(stage_node, within.get(None, ())), *held.get(None, ())])


def _circles(key: str, stages: dict[str, WorkflowStageRecord]) -> bool:
    """Whether a stage is, by a damaged record, within itself or too deep to be shown."""
    seen = 0
    outer: str | None = key
    while outer is not None and outer in stages:
        seen += 1
        if seen > _MAX_DEPTH:
            return True
        outer = stages[outer].parent_stage_id
    return False


def _in_order(nodes: list[Node]) -> tuple[Node, ...]:
    # What has no time of its own stays where its record put it.
    if any(node.started is None for node in nodes):
        return tuple(nodes)
    return tuple(sorted(nodes, key=lambda node: node.started or 0.0))


def _call(call: LLMCallRecord) -> Node:
    return Node(
        kind="call",
        id=call.call_id,
        name=call.model_id or call.request_model or call.provider,
        started=parse_time(call.timestamp).timestamp() - call.latency_ms / 1000,
        duration_ms=call.latency_ms,
        cost=0.0 if call.cost is None and call.cost_source == "none" else call.cost,
        unknown_cost_calls=int(call.cost is None and call.cost_source != "none"),
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        outcome=call.outcome,
        note=call.error_message or call.error_type or "",
        call=call,
    )


def _stage(stage: WorkflowStageRecord, children: tuple[Node, ...]) -> Node:
    calls = _calls_of(children)
    from_calls = len(calls) > stage.call_count and (stage.stage_id is not None)
    began = _began(children) if stage.started_at is None else _seconds(stage.started_at)
    return Node(
        kind="stage",
        id=stage.stage_id or "",
        name=stage.stage_name,
        started=began,
        duration_ms=stage.latency_ms or _lasted(began, children),
        cost=_sum(calls) if from_calls else stage.cost,
        unknown_cost_calls=sum(call.unknown_cost_calls for call in calls) if from_calls else stage.unknown_cost_calls,
        input_tokens=_total(calls, "input_tokens") if from_calls else stage.input_tokens,
        output_tokens=_total(calls, "output_tokens") if from_calls else stage.output_tokens,
        outcome=stage.outcome,
        note=stage.skip_reason or stage.error or "",
        children=children,
    )


def _run(run: WorkflowRunRecord, children: tuple[Node, ...]) -> Node:
    calls = _calls_of(children)
    counts_calls = run.call_count > 0 or run.pid is not None  # records of earlier writers do not
    from_calls = counts_calls and len(calls) > run.call_count
    began = _seconds(run.started_at)
    return Node(
        kind="run",
        id=run.run_id,
        name=run.workflow_name,
        started=began,
        duration_ms=max(run.total_duration_ms, _lasted(began, children) if from_calls else 0),
        cost=_sum(calls) if from_calls else run.total_cost,
        unknown_cost_calls=sum(call.unknown_cost_calls for call in calls) if from_calls else run.unknown_cost_calls,
        input_tokens=_total(calls, "input_tokens") if from_calls else run.total_input_tokens,
        output_tokens=_total(calls, "output_tokens") if from_calls else run.total_output_tokens,
        outcome=run.outcome if run.completed_at is not None or run.complete else "open",
        note=run.error or "",
        children=children,
    )


def _open(run_id: str, calls: list[LLMCallRecord], children: tuple[Node, ...]) -> Node:
    every = _calls_of(children)
    began = _began(children)
    return Node(
        kind="run",
        id=run_id,
        name=next((call.workflow_name for call in calls if call.workflow_name), "unknown"),
        started=began,
        duration_ms=_lasted(began, children),
        cost=_sum(every),
        unknown_cost_calls=sum(call.unknown_cost_calls for call in every),
        input_tokens=_total(every, "input_tokens"),
        output_tokens=_total(every, "output_tokens"),
        outcome="open",
        children=children,
    )


def _calls_of(nodes: Iterable[Node]) -> list[Node]:
    return [one for node in nodes for one in node.walk() if one.kind == "call"]


def _sum(calls: Collection[Node]) -> float | None:
    known = [call.cost for call in calls if call.cost is not None]
    return sum(known) if known or not calls else None


def _total(calls: Collection[Node], name: Literal["input_tokens", "output_tokens"]) -> int:
    return sum(getattr(call, name) or 0 for call in calls)


def _began(children: Iterable[Node]) -> float | None:
    return min((child.started for child in children if child.started is not None), default=None)


def _lasted(began: float | None, children: Iterable[Node]) -> float:
    """Milliseconds from a beginning to the last end that is known."""
    ends = [child.started + child.duration_ms / 1000 for child in children if child.started is not None]
    return 0.0 if began is None or not ends else max(0.0, (max(ends) - began) * 1000)


def _seconds(text: str) -> float | None:
    try:
        return parse_time(text).timestamp()
    except ValueError:
        return None
