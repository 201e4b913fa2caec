"""The instruments of semconv.py, fed from records.

Counters are observable: a record adds to plain sums behind one lock, which costs the caller less than a microsecond
where a synchronous counter costs as much as a third of a span. What belongs into histograms waits in a bounded queue
until the next collection, so the caller does not pay for that either; where the queue is full, each new record pays
for an old one.
"""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from attune_monitoring import semconv as sc
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord

__all__ = ["Instruments"]

MAX_SERIES = 1000
"""Attribute sets of one metric; what comes beyond is summed under `otel.metric.overflow`, as in the SDK."""
MAX_PENDING = 16_384
"""Records whose durations wait for a collection; beyond, each new one pays for one old one."""
OVERFLOW = "__other__"
_LARGEST = 2**63 - 1
"""Beyond, OTLP could carry none of the metrics."""

_Attributes = tuple[tuple[str, Any], ...]


class _Series:
    """The sums of the calls that share a set of attributes."""

    __slots__ = ("attributes", "baseline", "cost", "counts", "fallbacks", "retries", "tokens", "truncated", "unknown")

    def __init__(self, attributes: _Attributes) -> None:
        self.attributes = attributes
        self.cost: float | None = None
        self.baseline: float | None = None
        self.unknown = self.fallbacks = self.retries = self.truncated = 0
        self.tokens: dict[str, int] = {}
        self.counts: dict[tuple[str, str | None], int] = {}
        """Calls by outcome and error type."""


class Instruments:
    """All metrics of one meter. Methods never raise for any record; attributes are text, so they cannot break a span.

    Args:
        meter: where the instruments are created.
        dropped: number of records lost so far, asked at each collection.
    """

    def __init__(self, meter: Meter, dropped: Callable[[], int] = lambda: 0) -> None:
        self._lock = threading.Lock()
        self._series: dict[tuple[Any, ...], _Series] = {}
        self._runs: dict[tuple[str, str | None, str], int] = {}
        self._pending: deque[LLMCallRecord | WorkflowRunRecord] = deque()
        self._dropped = dropped
        self._histograms = {
            metric.name: meter.create_histogram(
                metric.name,
                unit=metric.unit,
                description=metric.description,
                explicit_bucket_boundaries_advisory=metric.buckets,
            )
            for metric in sc.METRICS
            if metric.instrument == "histogram"
        }
        for metric in sc.METRICS:
            if metric.instrument == "counter":
                meter.create_observable_counter(
                    metric.name, [self._observer(metric.name)], unit=metric.unit, description=metric.description
                )
        _live.add(self)

    def call(self, record: LLMCallRecord) -> None:
        """Count a call; for our own spans also the conventional client metrics."""
        key = (record.workflow_name, record.provider, record.model_id, record.tier, record.project)
        outcome = record.outcome
        cost = record.cost
        with self._lock:
            series = self._series.get(key)
            if series is None:
                series = self._new_series(key)
            counted = (outcome, (record.error_type or "_OTHER") if outcome == "error" else None)
            series.counts[counted] = series.counts.get(counted, 0) + 1
            if cost is not None:
                series.cost = (series.cost or 0.0) + cost
            elif record.cost_source != "none":
                series.unknown += 1
            baseline = record.baseline_cost
            if cost is not None and baseline is not None and math.isfinite(baseline):
                series.baseline = (series.baseline or 0.0) + baseline
            tokens = series.tokens
            if record.input_tokens:
                tokens["input"] = tokens.get("input", 0) + record.input_tokens
            if record.output_tokens:
                tokens["output"] = tokens.get("output", 0) + record.output_tokens
            if record.cache_read_tokens:
                tokens["cache_read"] = tokens.get("cache_read", 0) + record.cache_read_tokens
            if record.cache_write_tokens:
                tokens["cache_write"] = tokens.get("cache_write", 0) + record.cache_write_tokens
            if record.reasoning_tokens:
                tokens["reasoning"] = tokens.get("reasoning", 0) + record.reasoning_tokens
            if record.retry_count:
                series.retries += record.retry_count
            if record.fallback_used:
                series.fallbacks += 1
            if record.finish_reasons and not sc.TRUNCATED_REASONS.isdisjoint(record.finish_reasons):
                series.truncated += 1
        self._wait(record)

    def run(self, record: WorkflowRunRecord) -> None:
        """Count a workflow run and its stages."""
        key = (record.workflow_name, record.project, record.outcome)
        with self._lock:
            if key not in self._runs and len(self._runs) >= MAX_SERIES:
                key = (OVERFLOW, None, key[2])
            self._runs[key] = self._runs.get(key, 0) + 1
        self._wait(record)

    def drain(self) -> None:
        """Hand what waits to the histograms."""
        while self._pending:
            self._drain_one()

    def _new_series(self, key: tuple[Any, ...]) -> _Series:
        if len(self._series) >= MAX_SERIES:
            key = (OVERFLOW,)
        series = self._series.get(key)
        if series is None:
            attributes = ((sc.OVERFLOW, True),) if key == (OVERFLOW,) else _attributes(zip(_CALL, key, strict=True))
            series = self._series[key] = _Series(attributes)
        return series

    def _wait(self, record: LLMCallRecord | WorkflowRunRecord) -> None:
        self._pending.append(record)
        if len(self._pending) > MAX_PENDING:
            self._drain_one()

    def _drain_one(self) -> None:
        try:
            record = self._pending.popleft()
        except IndexError:  # another thread drains too
            return
        if isinstance(record, LLMCallRecord):
            self._observe_call(record)
        else:
            self._observe_run(record)

    def _observe_call(self, record: LLMCallRecord) -> None:
        key = (record.workflow_name, record.provider, record.model_id, record.tier, record.project)
        series = self._series.get(key) or self._series.get((OVERFLOW,))
        base = series.attributes if series is not None else ()
        outcome = record.outcome
        seconds = record.latency_ms / 1000
        first = record.time_to_first_token_ms
        self._observe(sc.LLM_DURATION, seconds, (*base, (sc.OUTCOME, outcome)))
        if first is not None:
            self._observe(sc.LLM_TTFT, first / 1000, base)
        if record.dialect != "attune":
            return
        names = (record.operation, record.provider, record.request_model, record.model_id)
        client = _attributes(zip(_CLIENT, names, strict=True))
        failed = ((sc.ERROR_TYPE, record.error_type or "_OTHER"),) if outcome == "error" else ()
        self._observe(sc.CLIENT_DURATION, seconds, (*client, *failed))
        if record.input_tokens is not None:
            self._observe(sc.CLIENT_TOKENS, record.input_tokens, (*client, (sc.TOKEN_TYPE, "input")))
        if record.output_tokens is not None:
            self._observe(sc.CLIENT_TOKENS, record.output_tokens, (*client, (sc.TOKEN_TYPE, "output")))
        if first is not None:
            self._observe(sc.CLIENT_TTFC, first / 1000, client)

    def _observe_run(self, record: WorkflowRunRecord) -> None:
        outcome = record.outcome
        name = record.workflow_name
        seconds = record.total_duration_ms / 1000
        base = _attributes(((sc.WORKFLOW_NAME, name), (sc.PROJECT, record.project)))
        self._observe(sc.WORKFLOW_DURATION, seconds, (*base, (sc.OUTCOME, outcome)))
        for stage in record.stages:
            if not stage.skipped:
                attributes = _attributes(
                    ((sc.WORKFLOW_NAME, name), (sc.STAGE_NAME, stage.stage_name), (sc.TIER, stage.tier))
                )
                self._observe(sc.STAGE_DURATION, stage.latency_ms / 1000, (*attributes, (sc.OUTCOME, stage.outcome)))
        if record.dialect == "attune":
            client = ((sc.OPERATION, sc.INVOKE_WORKFLOW), (sc.AGENT_NAME, name), (sc.WORKFLOW_NAME, name))
            failed = ((sc.ERROR_TYPE, record.error_type or "_OTHER"),) if outcome == "error" else ()
            self._observe(sc.INVOKE_WORKFLOW_DURATION, seconds, (*client, *failed))

    def _observe(self, metric: sc.Metric, value: float, attributes: _Attributes) -> None:
        self._histograms[metric.name].record(value, dict(attributes))

    def _observer(self, name: str) -> Callable[[CallbackOptions], list[Observation]]:
        # The SDK asks the observable instruments before it collects the others: what waits is then in time.
        itself = weakref.ref(self)

        def observe(_: CallbackOptions) -> list[Observation]:
            instruments = itself()
            if instruments is None:
                return []
            instruments.drain()
            with instruments._lock:
                return list(instruments._observations(name))

        return observe

    def _observations(self, name: str) -> Iterator[Observation]:
        if name == sc.DROPPED.name:
            yield Observation(self._dropped())
        elif name == sc.WORKFLOW_RUNS.name:
            for (workflow, project, outcome), count in self._runs.items():
                attributes = _attributes(((sc.WORKFLOW_NAME, workflow), (sc.PROJECT, project), (sc.OUTCOME, outcome)))
                yield Observation(count, dict(attributes))
        else:
            for series in self._series.values():
                for value, more in _values(series, name):
                    yield Observation(min(value, _LARGEST), {**dict(series.attributes), **more})

    def _after_fork(self) -> None:
        # A child starts from zero: the parent reports what the parent has counted.
        self._lock = threading.Lock()
        self._pending.clear()
        self._series.clear()
        self._runs.clear()


def _values(series: _Series, name: str) -> Iterator[tuple[float, dict[str, Any]]]:
    """What a metric has to say of a series: value and further attributes, nothing where there was nothing."""
    if name == sc.LLM_CALLS.name:
        by_outcome: dict[str, int] = {}
        for (outcome, _), count in series.counts.items():
            by_outcome[outcome] = by_outcome.get(outcome, 0) + count
        yield from ((count, {sc.OUTCOME: outcome}) for outcome, count in by_outcome.items())
    elif name == sc.LLM_ERRORS.name:
        yield from ((count, {sc.ERROR_TYPE: error}) for (_, error), count in series.counts.items() if error is not None)
    elif name == sc.LLM_TOKENS.name:
        yield from ((count, {sc.TOKEN_TYPE: kind}) for kind, count in series.tokens.items())
    elif name == sc.LLM_COST.name:
        if series.cost is not None:
            yield series.cost, {}
    elif name == sc.LLM_BASELINE.name:
        if series.baseline is not None:
            yield series.baseline, {}
    else:
        count = getattr(series, _COUNTS[name])
        if count:
            yield count, {}


_COUNTS = {
    sc.LLM_RETRIES.name: "retries",
    sc.LLM_FALLBACKS.name: "fallbacks",
    sc.LLM_UNKNOWN_COST.name: "unknown",
    sc.LLM_TRUNCATED.name: "truncated",
}


_live: weakref.WeakSet[Instruments] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for instruments in list(_live):
        instruments._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

_CALL = sc.LLM_COST.dimensions
_CLIENT = sc.CLIENT_TTFC.dimensions


def _attributes(items: Iterable[tuple[str, Any]]) -> _Attributes:
    return tuple((key, str(value)) for key, value in items if value is not None and value != "")
