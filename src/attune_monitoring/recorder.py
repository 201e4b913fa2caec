"""From ended spans to records: one line for each call, one for each run, and the metrics of both."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from opentelemetry import context as otel_context

from attune_monitoring import semconv as sc
from attune_monitoring.calls import LLMCall
from attune_monitoring.mapping import (
    Origin,
    Pricer,
    SpanData,
    call_record,
    cost_attributes,
    dialect_of,
    kind_of,
    normalise,
)
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord
from attune_monitoring.runs import RunInProgress
from attune_monitoring.scope import HOOKS, NO_SCOPE, OBSERVED, Scope, scope_of

__all__ = ["RECORDED_KEY", "Recorder", "Sink", "this_process"]

RECORDED_KEY = otel_context.create_key("attune-recorded")
"""In a span's parent context: its record has been written already, so only metrics are due."""

MAX_OPEN = 20_000
"""Spans followed at a time; more than that never ended."""
STRAGGLER_SECONDS = 60.0
"""How long an ended run waits for calls that it began and that have not ended."""
MAX_WRITTEN = 10_000
"""Ids of written runs that are remembered, so that a late call does not begin such a run again."""


class Sink(Protocol):
    """Takes records. None of the methods raises."""

    def call(self, record: LLMCallRecord) -> None:
        """Take a call."""

    def run(self, record: WorkflowRunRecord) -> None:
        """Take a run."""


def this_process(service: str | None) -> Origin:
    """Return where the records of this process come from."""
    under_pytest = "pytest" in sys.modules or "PYTEST_CURRENT_TEST" in os.environ or "PYTEST_VERSION" in os.environ
    return Origin(service=service, host=socket.gethostname(), pid=os.getpid(), under_pytest=under_pytest)


def stands_alone(context: otel_context.Context | None) -> bool:
    """Whether a span of ours that begins here needs no following: what it stands for is all in its attributes."""
    return not context or (scope_of(context) is NO_SCOPE and RECORDED_KEY not in context)


class OpenSpan:
    """A span that has begun, with what surrounded it."""

    __slots__ = ("attributes", "covered", "is_root", "key", "name", "own", "parent", "recorded", "run", "scope")

    def __init__(
        self,
        key: int,
        name: str,
        attributes: Mapping[str, Any],
        scope: Scope,
        parent: OpenSpan | None,
        own: bool,
        is_root: bool,
    ) -> None:
        self.key = key
        """The span id."""
        self.name = name
        self.attributes = attributes
        """Live while the span is open."""
        self.scope = scope
        self.parent = parent
        self.own = own
        self.is_root = is_root
        self.covered = False
        """An LLM span inside has recorded this one's call."""
        self.recorded = False
        self.run: RunInProgress | None = None


class Recorder:
    """Follows spans from start to end and hands records to its sinks; the caller guards it.

    Args:
        sinks: where records go, in this order.
        pricing: prices the calls of other instrumentations.
        origin: the process.
        content: whether messages found on spans are kept in records.
    """

    def __init__(self, sinks: list[Sink], pricing: Pricer, origin: Origin, *, content: bool = False) -> None:
        self.sinks = sinks
        self._metric_sinks: list[Sink] = []
        self._pricing = pricing
        self._origin = origin
        self._content = content
        self._open: dict[int, OpenSpan] = {}
        self._runs: dict[str, RunInProgress] = {}
        self._timers: dict[str, threading.Timer] = {}
        self._written: dict[str, None] = {}
        """Runs that are not to be written any more, by this process."""
        self._lock = threading.RLock()
        _live.add(self)

    def add_metrics(self, sink: Sink) -> None:
        """Add a sink that takes records which are on disk already, too."""
        self._metric_sinks = [*self._metric_sinks, sink]

    def exchange_metrics(self, old: Sink, new: Sink) -> None:
        """Let a sink take the place of another: each record goes to one of them."""
        self._metric_sinks = [new if sink is old else sink for sink in self._metric_sinks]

    # --- spans
    def started(
        self,
        key: int,
        parent_key: int | None,
        name: str,
        attributes: Mapping[str, Any],
        context: otel_context.Context | None,
        own: bool,
    ) -> None:
        """A span has begun; `key` and `parent_key` are span ids, `attributes` must stay live until it ends."""
        if own and stands_alone(context):
            return
        scope = scope_of(context)
        opened = OpenSpan(key, name, attributes, scope, self._open.get(parent_key or 0), own, parent_key is None)
        self._keep(opened)
        if context is not None and RECORDED_KEY in context:
            opened.recorded = True
        run = scope.run
        if run is not None:
            opened.run = self._enter_run(opened, run.run_id, run.workflow_name)

    def awaits(self, key: int) -> bool:
        """Return whether the span of this id has begun here and not ended."""
        return key in self._open

    def _keep(self, opened: OpenSpan) -> None:
        if len(self._open) >= MAX_OPEN:
            self._open.pop(next(iter(self._open)), None)
        self._open[opened.key] = opened

    def adopt(self, spans: list[SpanData]) -> None:
        """Take spans that have ended without `started`: an exporter's batch, children before their parents."""
        for span in spans:
            self._keep(_unseen(span))
        # A run must know the one around it before its calls are counted in both.
        outer_first = spans[::-1]
        outer_first.sort(key=lambda one: one.start_ns)
        for span in outer_first:
            opened = self._open.get(_key(span.span_id))
            if opened is not None:
                opened.parent = self._open.get(_key(span.parent_span_id))
                run_id = span.attributes.get(sc.RUN_ID)
                if run_id is not None:
                    name = span.attributes.get(sc.WORKFLOW_NAME) or "workflow"
                    opened.run = self._enter_run(opened, run_id, name, follow=False)
        for span in spans:
            self.ended(span)

    def ended(self, span: SpanData) -> None:
        """A span has ended: write what it stands for."""
        opened = self._open.pop(_key(span.span_id), None) if self._open else None
        if opened is None:
            if span.scope == sc.SCOPE and span.attributes.get(sc.OPERATION) in sc.CALL_OPERATIONS:
                self._own_call_ended(span, None)
                return
            opened = _unseen(span)
        kind = kind_of(span.attributes, is_root=opened.is_root)
        try:
            if kind == "call":
                if opened.own:
                    self._own_call_ended(span, opened)
                else:
                    self._foreign_call_ended(span, opened)
            elif kind == "stage":
                self._stage_ended(span, opened)
            elif kind == "workflow":
                self._workflow_ended(span, opened)
        finally:
            if opened.run is not None:
                self._leave_run(opened, opened.run)

    # --- calls
    def _own_call_ended(self, span: SpanData, opened: OpenSpan | None) -> None:
        span.dialect = "attune"
        above, outer = None, None
        if opened is not None:
            above, outer = opened.parent, opened.scope.call
        elif self._open:
            above = self._open.get(_key(span.parent_span_id))
        if above is not None and not above.own and not _cover(above, used=_used(span.attributes)):
            return
        if sc.DELEGATED in span.attributes:
            if isinstance(outer, LLMCall):
                outer.delegate()
            return
        if outer is not None and isinstance(outer, LLMCall):
            if not _used(span.attributes):
                return  # the call around it knows as much, and writes the record
            span.attributes = {**outer.delegate(), **span.attributes}
        self._write_call(span, opened)

    def _foreign_call_ended(self, span: SpanData, opened: OpenSpan) -> None:
        seen = OBSERVED.take(opened.key)
        if opened.covered:
            return
        span.dialect = dialect_of(span.attributes)
        attributes = normalise(span, is_root=opened.is_root)
        if seen is not None:
            attributes = seen.complete(span, attributes)
        outer = opened.scope.call
        if isinstance(outer, LLMCall):
            if not _used(attributes):
                return
            attributes = {**outer.delegate(), **attributes}
        elif not _cover(opened.parent, used=_used(attributes)):
            return
        span.attributes = self._complete(span, opened, attributes)
        self._write_call(span, opened)

    def _write_call(self, span: SpanData, opened: OpenSpan | None) -> None:
        record = call_record(span, self._origin, content=self._content)
        if opened is None or not opened.recorded:
            for sink in self.sinks:
                sink.call(record)
        for sink in self._metric_sinks:
            sink.call(record)
        if opened is not None and opened.scope.budget is not None:
            opened.scope.budget.add(record)
        run = opened.run if opened is not None else None
        if run is None and record.run_id is not None and span.scope == sc.SCOPE:
            run = self._runs.get(record.run_id)
        if run is not None:
            with self._lock:
                run.add_call(record, span.end_ns, record.stage_id)

    def _complete(self, span: SpanData, opened: OpenSpan, found: Mapping[str, Any]) -> dict[str, Any]:
        """Add to a foreign call what surrounds it and what it cost."""
        surrounding = opened.scope.attributes
        attributes = {**surrounding, **found}
        if sc.WORKFLOW_NAME in surrounding:  # a run of ours goes before the workflow that another library sees
            attributes[sc.WORKFLOW_NAME] = surrounding[sc.WORKFLOW_NAME]
        if opened.scope.run is None:
            self._find_run(span, opened, attributes)
        if self._content:
            for key in (sc.SYSTEM_INSTRUCTIONS, sc.INPUT_MESSAGES, sc.OUTPUT_MESSAGES):
                if key in span.attributes and HOOKS.content is not None:
                    attributes[key] = HOOKS.content(str(span.attributes[key]))
        if any(kind is not None and kind.endswith("CancelledError") for kind, _ in span.exceptions):
            span.failed = False
            attributes[sc.CANCELLED] = True
        priced = cost_attributes(attributes, self._pricing, failed=span.failed, at=span.end_ns / 1e9)
        return {**attributes, **priced, sc.TIER: attributes.get(sc.TIER) or priced[sc.TIER]}

    def _find_run(self, span: SpanData, opened: OpenSpan, attributes: dict[str, Any]) -> None:
        """Without a scope of ours the chain of spans tells the run and the stage."""
        workflow: OpenSpan | None = None
        stage: OpenSpan | None = None
        for above in _ancestors(opened):
            kind = kind_of(above.attributes, is_root=above.is_root)
            if kind == "workflow":
                workflow = above
            elif kind == "stage" and stage is None and workflow is None:
                stage = above
        if workflow is None:
            return
        run_id = _foreign_run_id(span.trace_id, workflow.key)
        name = _workflow_name(workflow.attributes) or attributes.get(sc.WORKFLOW_NAME) or workflow.name
        attributes[sc.RUN_ID] = run_id
        attributes[sc.WORKFLOW_NAME] = name
        if stage is not None:
            attributes[sc.STAGE_ID] = f"{stage.key:016x}"
            attributes.setdefault(sc.STAGE_NAME, _stage_name(stage.attributes) or stage.name)
        opened.run = self._enter_run(opened, run_id, name)

    # --- runs
    def _enter_run(self, opened: OpenSpan, run_id: str, name: str, *, follow: bool = True) -> RunInProgress:
        with self._lock:
            run = self._runs.get(run_id)
            if run is None:
                parent_id = opened.attributes.get(sc.PARENT_RUN_ID)
                parent = self._runs.get(parent_id) if parent_id is not None else None
                run = RunInProgress(run_id, name, parent, opened.attributes.get(sc.PARENT_STAGE_ID))
                if run_id in self._written:
                    return run  # too late, or another process' run: whoever reads adds the call to it
                self._runs[run_id] = run
                if follow:
                    run.begun(time.time_ns(), opened.attributes)
            if follow and (opened.own or _looks_genai(opened.attributes)):
                for around in run.lineage():
                    around.open.add(opened.key)
            return run

    def _leave_run(self, opened: OpenSpan, run: RunInProgress) -> None:
        with self._lock:
            for around in run.lineage():
                around.open.discard(opened.key)
                self._maybe_write(around)

    def _stage_ended(self, span: SpanData, opened: OpenSpan) -> None:
        if not opened.own:
            span.attributes = {**span.attributes, sc.STAGE_NAME: _stage_name(span.attributes) or span.name}
            if opened.run is None:
                workflow = None
                for above in _ancestors(opened):
                    if kind_of(above.attributes, is_root=above.is_root) == "workflow":
                        workflow = above
                if workflow is None:
                    return
                name = _workflow_name(workflow.attributes) or workflow.name
                opened.run = self._enter_run(opened, _foreign_run_id(span.trace_id, workflow.key), name)
        if opened.run is not None and span.span_id is not None:
            with self._lock:
                opened.run.stage_ended(span, span.span_id)

    def _workflow_ended(self, span: SpanData, opened: OpenSpan) -> None:
        given = span.attributes.get(sc.RECORD)
        if given is not None:
            self._run_handed_in(given, span, opened)
            return
        span.dialect = "attune" if opened.own else dialect_of(span.attributes)
        if not opened.own:
            if any(kind_of(above.attributes, is_root=above.is_root) == "workflow" for above in _ancestors(opened)):
                return  # an inner workflow of a foreign dialect: its calls count in the outermost
            if opened.run is None:
                name = _workflow_name(span.attributes) or span.name
                opened.run = self._enter_run(opened, _foreign_run_id(span.trace_id, opened.key), name)
                opened.run.workflow_name = name
            if opened.scope.run is not None:
                return
        if opened.run is not None:
            with self._lock:
                opened.run.root = span
                opened.run.open.discard(opened.key)

    def _run_handed_in(self, text: str, span: SpanData, opened: OpenSpan) -> None:
        record = WorkflowRunRecord.from_dict(json.loads(text))
        origin = self._origin
        record = msgspec.structs.replace(
            record,
            trace_id=record.trace_id or span.trace_id,
            span_id=record.span_id or span.span_id,
            dialect=record.dialect or "attune",
            scope=record.scope or span.scope,
            scope_version=record.scope_version or span.scope_version,
            service=record.service or origin.service,
            host=record.host or origin.host,
            pid=origin.pid if record.pid is None else record.pid,
            under_pytest=record.under_pytest or origin.under_pytest,
        )
        if not opened.recorded:
            for sink in self.sinks:
                sink.run(record)
        for sink in self._metric_sinks:
            sink.run(record)

    def _maybe_write(self, run: RunInProgress) -> None:
        if run.root is None or run.run_id not in self._runs:
            return
        if not run.open:
            self._write_run(run, complete=True)
        elif run.run_id not in self._timers:
            timer = threading.Timer(STRAGGLER_SECONDS, self._expire, [run.run_id])
            timer.daemon = True
            self._timers[run.run_id] = timer
            timer.start()

    def _expire(self, run_id: str) -> None:
        try:
            with self._lock:
                run = self._runs.get(run_id)
                if run is not None:
                    self._write_run(run, complete=False)
        except Exception as error:
            HOOKS.failed("writing a run", error)

    def _write_run(self, run: RunInProgress, *, complete: bool) -> None:
        self._runs.pop(run.run_id, None)
        self._forget(run.run_id)
        timer = self._timers.pop(run.run_id, None)
        if timer is not None:
            timer.cancel()
        record = run.record(self._origin, complete=complete)
        for sink in (*self.sinks, *self._metric_sinks):
            sink.run(record)

    def _forget(self, run_id: str) -> None:
        self._written[run_id] = None
        if len(self._written) > MAX_WRITTEN:
            del self._written[next(iter(self._written))]

    def close(self) -> None:
        """Write the runs that are still open, marked incomplete."""
        with self._lock:
            for run in list(self._runs.values()):
                self._write_run(run, complete=False)
            self._open.clear()

    def _after_fork(self) -> None:
        # The parent writes the parent's runs; the child's calls carry their id and the reader adds them.
        self._lock = threading.RLock()
        self._open.clear()
        for run_id in self._runs:
            self._forget(run_id)
        self._runs.clear()
        self._timers.clear()
        self._origin = Origin(self._origin.service, self._origin.host, os.getpid(), self._origin.under_pytest)


_live: weakref.WeakSet[Recorder] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for recorder in list(_live):
        recorder._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _ancestors(opened: OpenSpan) -> list[OpenSpan]:
    found: list[OpenSpan] = []
    above = opened.parent
    while above is not None and len(found) < 1000:
        found.append(above)
        above = above.parent
    return found


def _cover(above: OpenSpan | None, *, used: bool) -> bool:
    """Let only one of two nested LLM spans of the same call count; return whether it is the inner one.

    Spans that do not say yet what they are may turn out to be LLM spans: some libraries set all attributes at the end.
    """
    while above is not None:
        kind = kind_of(above.attributes, is_root=above.is_root)
        if kind == "call" and not used:
            return False  # the outer one may know more
        if kind not in ("call", "other"):
            break
        if used:
            above.covered = True
        above = above.parent
    return True


def _used(attributes: Mapping[str, Any]) -> bool:
    return sc.INPUT_TOKENS in attributes or sc.OUTPUT_TOKENS in attributes


def _looks_genai(attributes: Mapping[str, Any]) -> bool:
    return any(str(key).startswith(sc.GENAI_PREFIXES) for key in attributes)


def _foreign_run_id(trace_id: str | None, root_key: int) -> str:
    return f"{trace_id}-{root_key:016x}"


def _key(span_id: str | None) -> int:
    return int(span_id, 16) if span_id else 0


def _unseen(span: SpanData) -> OpenSpan:
    own = span.scope == sc.SCOPE
    return OpenSpan(_key(span.span_id), span.name, span.attributes, NO_SCOPE, None, own, span.parent_span_id is None)


def _workflow_name(attributes: Mapping[str, Any]) -> str | None:
    for key in (sc.AGENT_NAME, sc.WORKFLOW_NAME, sc.TRACELOOP_WORKFLOW, "traceloop.entity.name"):
        value = attributes.get(key)
        if isinstance(value, str) and value:
            return value
    return None


def _stage_name(attributes: Mapping[str, Any]) -> str | None:
    for key in sc.FIELD_KEYS["stage"]:
        value = attributes.get(key)
        if isinstance(value, str) and value:
            return value
    return None
