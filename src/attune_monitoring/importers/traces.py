"""Spans in any order, to the records of their traces: grouped in bounded memory, mapped by the recorder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import msgspec

from attune_monitoring.mapping import Origin, Pricer, SpanData
from attune_monitoring.recorder import Recorder
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord

from .contract import Found, call_found, run_found

__all__ = ["MAX_TRACE", "MAX_WAITING", "Traces"]

MAX_WAITING = 100_000
MAX_TRACE = 20_000
"""As many as the recorder follows."""


_Record = TypeVar("_Record", LLMCallRecord, WorkflowRunRecord)


class _Held(NamedTuple):
    span: SpanData
    origin: Origin


class Traces:
    """Holds spans until their trace is let go, and then gives the trace's records.

    Args:
        pricing: prices the calls whose spans do not say what they cost.
        skip: told why spans make no record.
        waiting: spans that are held; with more, the trace that has gone longest without a new one is let go.
        together: spans of one trace that are held; with so many it is let go.
    """

    def __init__(
        self, pricing: Pricer, skip: Callable[[str], None], *, waiting: int = MAX_WAITING, together: int = MAX_TRACE
    ) -> None:
        self._pricing = pricing
        self._skip = skip
        self._most_waiting = waiting
        self._most_together = together
        self._traces: dict[str, dict[str, _Held]] = {}
        self._waiting = 0

    def add(self, span: SpanData, origin: Origin) -> Iterator[Found]:
        """Take a span with both ids; yield the records of the traces that had to be let go."""
        trace_id, span_id = str(span.trace_id), str(span.span_id)
        trace = self._traces.pop(trace_id, {})
        self._traces[trace_id] = trace  # last in the order now
        if span_id not in trace:
            trace[span_id] = _Held(span, origin)
            self._waiting += 1
        if len(trace) >= self._most_together:
            yield from self._let_go(trace_id)
        if self._waiting > self._most_waiting:
            yield from self._let_go(next(iter(self._traces)))

    def finish(self) -> Iterator[Found]:
        """Yield the records of all traces that are held."""
        for trace_id in list(self._traces):
            yield from self._let_go(trace_id)

    def _let_go(self, trace_id: str) -> Iterator[Found]:
        trace = self._traces.pop(trace_id)
        self._waiting -= len(trace)
        sink = _Sink(trace)
        # A run whose own span is not there is not written: the span may come with another file, and the calls say
        # which run they belong to.
        try:
            Recorder([sink], self._pricing, Origin()).adopt(_inner_first(trace))
        except Exception:  # attributes are whatever somebody wrote: one trace must not end the import
            self._skip("trace with spans that cannot be mapped")
        for call in sink.calls:
            try:
                yield call_found(LLMCallRecord.from_dict(call.to_dict()))
            except ValueError as error:
                self._skip(str(error))
        for run in sink.runs:
            try:
                yield from run_found(WorkflowRunRecord.from_dict(run.to_details()))
            except ValueError as error:
                self._skip(str(error))


class _Sink:
    """Keeps the records of one trace, each with the process that made its span."""

    def __init__(self, trace: dict[str, _Held]) -> None:
        self._trace = trace
        self.calls: list[LLMCallRecord] = []
        self.runs: list[WorkflowRunRecord] = []

    def call(self, record: LLMCallRecord) -> None:
        self.calls.append(self._placed(record))

    def run(self, record: WorkflowRunRecord) -> None:
        self.runs.append(self._placed(record))

    def _placed(self, record: _Record) -> _Record:
        held = self._trace.get(record.span_id or "")
        origin = held.origin if held is not None else Origin()
        return msgspec.structs.replace(
            record,
            service=record.service or origin.service,
            host=record.host or origin.host,
            pid=origin.pid if record.pid is None else record.pid,
        )


def _inner_first(trace: dict[str, _Held]) -> list[SpanData]:
    """The spans of a trace, those further from the root first: a run is complete when its own span ends.

    A span that is its own ancestor, which only a damaged file has, is made a root.
    """
    depths: dict[str, int] = {}
    for start in trace:
        chain: list[str] = []
        above: str | None = start
        on_chain: set[str] = set()
        while above is not None and above in trace and above not in depths:
            if above in on_chain:
                trace[chain[-1]].span.parent_span_id = None
                break
            chain.append(above)
            on_chain.add(above)
            above = trace[above].span.parent_span_id
        depth = depths.get(above, -1) if above is not None else -1
        for span_id in reversed(chain):
            depth += 1
            depths[span_id] = depth
    order = sorted(trace, key=lambda span_id: (-depths[span_id], trace[span_id].span.end_ns, span_id))
    return [trace[span_id].span for span_id in order]
