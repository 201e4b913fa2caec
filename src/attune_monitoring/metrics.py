"""The instruments of semconv.py, fed from records.

Counters are observable: a record adds to plain sums behind one lock, which costs the caller less than a microsecond
where a synchronous counter costs as much as half a span. Histogram values wait in a bounded queue until the next
collection (or, where nobody collects, are recorded two for each new one), so the caller does not pay for them either.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation

from attune_monitoring import semconv as sc
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord

__all__ = ["Instruments", "outcome_of"]

MAX_SERIES = 1000
"""Attribute sets of one metric; what comes beyond is summed under `otel.metric.overflow`, as in the SDK."""
MAX_PENDING = 4096
_OVERFLOW = (("otel.metric.overflow", True),)

_Attributes = tuple[tuple[str, Any], ...]


class _Outcome(Protocol):
    @property
    def success(self) -> bool: ...
    @property
    def cancelled(self) -> bool: ...


def outcome_of(record: _Outcome) -> str:
    """Return ok, error or cancelled."""
    return "cancelled" if record.cancelled else "ok" if record.success else "error"


class Instruments:
    """All metrics of one meter. Methods never raise for any record; attributes are text, so they cannot break a span.

    Args:
        meter: where the instruments are created.
        dropped: number of records lost so far, asked at each collection.
    """

    def __init__(self, meter: Meter, dropped: Callable[[], int] = lambda: 0) -> None:
        self._lock = threading.Lock()
        self._sums: dict[str, dict[_Attributes, float]] = {}
        self._pending: deque[tuple[Histogram, float, _Attributes]] = deque()
        self._histograms: dict[str, Histogram] = {}
        self._dropped = dropped
        self._dropped_before_fork = 0
        for metric in sc.METRICS:
            if metric.instrument == "histogram":
                self._histograms[metric.name] = _histogram(meter, metric)
            else:
                self._sums[metric.name] = {}
                meter.create_observable_counter(
                    metric.name, [self._observer(metric.name)], unit=metric.unit, description=metric.description
                )
        self._call_keys: dict[tuple[Any, ...], _Attributes] = {}
        self._client_keys: dict[tuple[Any, ...], _Attributes] = {}
        _live.add(self)

    def call(self, record: LLMCallRecord) -> None:
        """Count a call; for our own spans also the conventional client metrics."""
        base = self._call_attributes(record)
        outcome = outcome_of(record)
        seconds = record.latency_ms / 1000
        counts: list[tuple[str, float, _Attributes]] = [(sc.LLM_CALLS.name, 1, (*base, (sc.OUTCOME, outcome)))]
        cost = record.cost
        if cost is not None:
            counts.append((sc.LLM_COST.name, cost, base))
        elif record.cost_source == "unknown":
            counts.append((sc.LLM_UNKNOWN_COST.name, 1, base))
        if record.baseline_cost is not None:
            counts.append((sc.LLM_BASELINE.name, record.baseline_cost, base))
        tokens = sc.LLM_TOKENS.name
        if record.input_tokens:
            counts.append((tokens, record.input_tokens, (*base, _INPUT)))
        if record.output_tokens:
            counts.append((tokens, record.output_tokens, (*base, _OUTPUT)))
        if record.cache_read_tokens:
            counts.append((tokens, record.cache_read_tokens, (*base, _CACHE_READ)))
        if record.cache_write_tokens:
            counts.append((tokens, record.cache_write_tokens, (*base, _CACHE_WRITE)))
        if record.reasoning_tokens:
            counts.append((tokens, record.reasoning_tokens, (*base, _REASONING)))
        if outcome == "error":
            counts.append((sc.LLM_ERRORS.name, 1, (*base, (sc.ERROR_TYPE, record.error_type or "_OTHER"))))
        if record.retry_count:
            counts.append((sc.LLM_RETRIES.name, record.retry_count, base))
        if record.fallback_used:
            counts.append((sc.LLM_FALLBACKS.name, 1, base))
        if record.finish_reasons and not sc.TRUNCATED_REASONS.isdisjoint(record.finish_reasons):
            counts.append((sc.LLM_TRUNCATED.name, 1, base))
        self._add(counts)
        observe = self._observe
        first = record.time_to_first_token_ms
        observe(sc.LLM_DURATION.name, seconds, (*base, (sc.OUTCOME, outcome)))
        if first is not None:
            observe(sc.LLM_TTFT.name, first / 1000, base)
        if record.dialect == "attune":
            client = self._client_attributes(record)
            if outcome == "error":
                observe(sc.CLIENT_DURATION.name, seconds, (*client, (sc.ERROR_TYPE, record.error_type or "_OTHER")))
            else:
                observe(sc.CLIENT_DURATION.name, seconds, client)
            if record.input_tokens is not None:
                observe(sc.CLIENT_TOKENS.name, record.input_tokens, (*client, _INPUT))
            if record.output_tokens is not None:
                observe(sc.CLIENT_TOKENS.name, record.output_tokens, (*client, _OUTPUT))
            if first is not None:
                observe(sc.CLIENT_TTFC.name, first / 1000, client)

    def run(self, record: WorkflowRunRecord) -> None:
        """Count a workflow run and its stages."""
        outcome = outcome_of(record)
        base = _attributes(((sc.WORKFLOW_NAME, record.workflow_name), (sc.PROJECT, record.project)))
        with_outcome = (*base, (sc.OUTCOME, outcome))
        seconds = record.total_duration_ms / 1000
        self._add([(sc.WORKFLOW_RUNS.name, 1, with_outcome)])
        self._observe(sc.WORKFLOW_DURATION.name, seconds, with_outcome)
        for stage in record.stages:
            if not stage.skipped:
                attributes = _attributes(
                    ((sc.WORKFLOW_NAME, record.workflow_name), (sc.STAGE_NAME, stage.stage_name), (sc.TIER, stage.tier))
                )
                self._observe(
                    sc.STAGE_DURATION.name, stage.latency_ms / 1000, (*attributes, (sc.OUTCOME, outcome_of(stage)))
                )
        if record.dialect == "attune":
            client: _Attributes = (
                (sc.OPERATION, sc.INVOKE_WORKFLOW),
                (sc.AGENT_NAME, record.workflow_name),
                (sc.WORKFLOW_NAME, record.workflow_name),
            )
            if outcome == "error":
                client = (*client, (sc.ERROR_TYPE, record.error_type or "_OTHER"))
            self._observe(sc.INVOKE_WORKFLOW_DURATION.name, seconds, client)

    def drain(self) -> None:
        """Hand the waiting histogram values to the SDK."""
        pending = self._pending
        while pending:
            try:
                histogram, value, attributes = pending.popleft()
            except IndexError:  # another thread drains too
                return
            histogram.record(value, dict(attributes))

    def _call_attributes(self, record: LLMCallRecord) -> _Attributes:
        key = (record.workflow_name, record.provider, record.model_id, record.tier, record.project)
        found = self._call_keys.get(key)
        if found is None:
            found = _attributes(zip(_CALL_DIMENSIONS, key, strict=True))
            if len(self._call_keys) < MAX_SERIES:
                self._call_keys[key] = found
        return found

    def _client_attributes(self, record: LLMCallRecord) -> _Attributes:
        key = (record.operation, record.provider, record.request_model, record.model_id or None)
        found = self._client_keys.get(key)
        if found is None:
            found = _attributes(zip(_CLIENT_DIMENSIONS, key, strict=True))
            if len(self._client_keys) < MAX_SERIES:
                self._client_keys[key] = found
        return found

    def _add(self, counts: Iterable[tuple[str, float, _Attributes]]) -> None:
        with self._lock:
            for name, value, attributes in counts:
                series = self._sums[name]
                known = series.get(attributes)
                if known is not None:
                    series[attributes] = known + value
                elif len(series) < MAX_SERIES:
                    series[attributes] = value
                else:
                    series[_OVERFLOW] = series.get(_OVERFLOW, 0) + value

    def _observe(self, name: str, value: float, attributes: _Attributes) -> None:
        pending = self._pending
        pending.append((self._histograms[name], value, attributes))
        if len(pending) > MAX_PENDING:
            for _ in range(2):
                try:
                    histogram, old, its = pending.popleft()
                except IndexError:
                    return
                histogram.record(old, dict(its))

    def _observer(self, name: str) -> Callable[[CallbackOptions], list[Observation]]:
        # The SDK asks the observable instruments before it collects the others: what waits is then in time.
        itself = weakref.ref(self)

        def observe(_: CallbackOptions) -> list[Observation]:
            instruments = itself()
            return [] if instruments is None else instruments._observations(name)

        return observe

    def _observations(self, name: str) -> list[Observation]:
        self.drain()
        if name == sc.DROPPED.name:
            return [Observation(self._dropped())]
        with self._lock:
            return [Observation(value, dict(attributes)) for attributes, value in self._sums[name].items()]

    def _after_fork(self) -> None:
        # A child starts from zero: the parent reports what the parent has counted.
        self._lock = threading.Lock()
        self._pending.clear()
        for series in self._sums.values():
            series.clear()


_live: weakref.WeakSet[Instruments] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for instruments in list(_live):
        instruments._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

_INPUT = (sc.TOKEN_TYPE, "input")
_OUTPUT = (sc.TOKEN_TYPE, "output")
_CACHE_READ = (sc.TOKEN_TYPE, "cache_read")
_CACHE_WRITE = (sc.TOKEN_TYPE, "cache_write")
_REASONING = (sc.TOKEN_TYPE, "reasoning")
_CALL_DIMENSIONS = sc.LLM_COST.dimensions
_CLIENT_DIMENSIONS = sc.CLIENT_TTFC.dimensions


def _attributes(items: Iterable[tuple[str, Any]]) -> _Attributes:
    return tuple((key, str(value)) for key, value in items if value is not None and value != "")


def _histogram(meter: Meter, metric: sc.Metric) -> Histogram:
    arguments: Mapping[str, Any] = {"unit": metric.unit, "description": metric.description}
    return meter.create_histogram(
        metric.name, explicit_bucket_boundaries_advisory=metric.buckets, **arguments
    )
