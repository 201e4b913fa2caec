"""What `empathy demo` shows: the records, each run as a tree, the costs, the files and what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, WorkflowStageRecord, parse_time
from attune_monitoring.store import CALLS, DETAILS, RUNS, segments

__all__ = ["Recorded", "print_report"]

_WIDE = 100
"""Columns from which on the table has the workflow and the time of day."""
_NARROW = ("at", "stage", "provider", "model", "tier")
_NAME = 24
"""Columns of a tree's names, its guides included."""
_GUIDE = 4
_FILES = {
    CALLS: "calls",
    RUNS: "runs, as published readers expect them",
    DETAILS: "runs, nested ones too, with all details",
}


class Recorded(NamedTuple):
    """The records of one run of the demo."""

    calls: list[LLMCallRecord]
    runs: list[WorkflowRunRecord]


def print_report(console: Console, recorded: Recorded, *, folder: Path, earlier: bool, program: str) -> None:
    """Print it, within 80 columns.

    Args:
        console: where to.
        recorded: what this run of the demo recorded.
        folder: where it was recorded, relative to the working directory.
        earlier: whether the folder held records before.
        program: how to call the command again.
    """
    roots = [run for run in recorded.runs if run.parent_run_id is None]
    _heading(console, "Calls", "one line each in the file of calls")
    console.print(_table(recorded, wide=console.width >= _WIDE))
    _heading(console, "Runs", "USD and seconds by stage")
    for run in roots:
        tree = Tree(_line(run.workflow_name, 0, run.total_cost, run.total_duration_ms, _outcome(run)))
        _add_stages(tree, run, None, recorded, 1)
        console.print(tree)
    _heading(console, "Cost", "calls with a known price")
    _print_lines(console, _costs(roots))
    _heading(console, "Files", f"in {folder}, readable for you alone")
    _print_lines(console, _files(folder, earlier=earlier))
    _heading(console, "Next", "three things to try")
    _print_lines(console, _next_steps(folder, program))


def _heading(console: Console, title: str, note: str) -> None:
    console.print()
    console.print(Text.assemble((title, "bold"), "  ", (note, "dim")))


def _print_lines(console: Console, lines: Iterator[str]) -> None:
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)  # commands must be copied as they stand


def _table(recorded: Recorded, *, wide: bool) -> Table:
    """One row a call; a narrow terminal has no room for the workflow, which the trees name."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    for title in ("time", "workflow", "stage", "provider", "model", "tier") if wide else _NARROW:
        table.add_column(title, no_wrap=True)
    for title in ("in/out", "USD", "s"):
        table.add_column(title, no_wrap=True, justify="right")
    table.add_column("status", no_wrap=True)
    first = min(_started(call) for call in recorded.calls)
    for call in recorded.calls:
        if wide:
            begin = [f"{parse_time(call.timestamp).astimezone():%H:%M:%S}", call.workflow_name or ""]
        else:
            begin = [f"+{_started(call) - first:.1f}"]
        table.add_row(
            *begin,
            _stage_of(call, recorded),
            call.provider,
            call.model_id or call.request_model or "",
            "?" if call.tier == "unknown" else call.tier,
            "" if not call.success else f"{_tokens(call.input_tokens)}/{_tokens(call.output_tokens)}",
            _usd(call.cost) if call.success else "",
            f"{call.latency_ms / 1000:.2f}",
            _status(call),
            style=None if call.success else "red",
        )
    return table


def _started(call: LLMCallRecord) -> float:
    return parse_time(call.timestamp).timestamp() - call.latency_ms / 1000


def _stage_of(call: LLMCallRecord, recorded: Recorded) -> str:
    stages = (stage for run in recorded.runs for stage in run.stages if stage.stage_id == call.stage_id)
    return next((stage.stage_name for stage in stages), "")


def _tokens(count: int | None) -> str:
    return "?" if count is None else str(count)


def _usd(cost: float | None) -> str:
    return "?" if cost is None else f"{cost:.5f}"


def _status(call: LLMCallRecord) -> str:
    if not call.success:
        return "failed"
    return "fallback" if call.fallback_used else "retried" if call.retry_count else "ok"


def _outcome(run: WorkflowRunRecord) -> str:
    return "ok" if run.success else f"failed: {run.error_type}"


def _line(name: str, depth: int, cost: float | None, duration_ms: int, note: str) -> Text:
    width = _NAME - _GUIDE * depth
    figures = f"{_usd(cost):>9} {duration_ms / 1000:6.2f}  "
    return Text.assemble(f"{name:<{width}}{figures}", (note, "red" if note.startswith("failed") else "dim"))


def _add_stages(tree: Tree, run: WorkflowRunRecord, parent: str | None, recorded: Recorded, depth: int) -> None:
    for stage in run.stages:
        if stage.parent_stage_id != parent:
            continue
        if stage.skipped:
            tree.add(Text.assemble(f"{stage.stage_name:<{_NAME - _GUIDE * depth + 18}}", (_note(stage, []), "dim")))
            continue
        calls = [call for call in recorded.calls if call.stage_id == stage.stage_id]
        branch = tree.add(_line(stage.stage_name, depth, stage.cost, stage.latency_ms, _note(stage, calls)))
        _add_stages(branch, run, stage.stage_id, recorded, depth + 1)
        for inner in recorded.runs:
            if inner.parent_span_id == stage.stage_id:
                name = f"{inner.workflow_name} (run)"
                line = _line(name, depth + 1, inner.total_cost, inner.total_duration_ms, _outcome(inner))
                _add_stages(branch.add(line), inner, None, recorded, depth + 2)


def _note(stage: WorkflowStageRecord, calls: list[LLMCallRecord]) -> str:
    if stage.skipped:
        return f"skipped: {stage.skip_reason}"
    if not stage.success:
        return f"failed: {next((call.error_type for call in calls if call.error_type), stage.error)}"
    parts = []
    for call in calls:
        parts.append(f"{call.original_model} → {call.model_id}" if call.fallback_used else call.model_id)
        if call.retry_count:
            parts.append(f"{call.retry_count} retry" if call.retry_count == 1 else f"{call.retry_count} retries")
        if call.time_to_first_token_ms is not None:
            parts.append(f"first token {call.time_to_first_token_ms / 1000:.2f} s")
        if call.cost is None:
            parts.append("price unknown")
    return ", ".join(parts)


def _costs(roots: list[WorkflowRunRecord]) -> Iterator[str]:
    cost = sum(run.total_cost for run in roots)
    baseline = sum(run.baseline_cost for run in roots)
    yield f"{cost:9.5f} USD for {sum(run.call_count for run in roots)} calls"
    yield f"{baseline:9.5f} USD at each provider's premium model"
    yield f"{baseline - cost:9.5f} USD saved by the tiers ({(baseline - cost) / baseline:.0%})"
    unknown = sum(run.unknown_cost_calls for run in roots)
    yield f"{unknown:9} call without a known price (a local model): unknown is not 0"


def _files(folder: Path, *, earlier: bool) -> Iterator[str]:
    for stream, what in _FILES.items():
        for segment in segments(folder, stream):
            lines = segment.path.read_bytes().count(b"\n")
            yield f"  {segment.path.name:<24}{lines:>4} {what}"
    yield "Nothing was written anywhere else. Delete the folder at will."
    if earlier:
        yield "This demo added to the records of earlier ones; only its own are shown above."


def _next_steps(folder: Path, program: str) -> Iterator[str]:
    yield "1. Ask what they cost, and where; `telemetry --help` says what else there is."
    yield f"     {program} telemetry summary --dir {folder}"
    yield "2. Record your own program: two lines, above the function that asks the model."
    yield "     from attune_monitoring import llm_call"
    yield "     @llm_call"
    yield "3. Run it, and ask the same of the folder that you are in:"
    yield f"     {program} telemetry summary"
