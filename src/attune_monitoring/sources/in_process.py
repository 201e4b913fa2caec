"""Answers queries from the metrics of the running process, as a reader of the OpenTelemetry SDK."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogramDataPoint,
    MetricReader,
    MetricsData,
    NumberDataPoint,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation

from attune_monitoring import semconv as sc
from attune_monitoring.errors import SourceError
from attune_monitoring.figures import Latency, lane_of
from attune_monitoring.query import Answer, Query, metric_of

from .answers import Group, answer_of, ratio_of

__all__ = ["MetricReaderSource"]

_MINUTE = 60
_HOUR = 3600
_MINUTES_KEPT = 48 * _HOUR
_DAYS_KEPT = 35 * 24 * _HOUR
_OTHER = "__other__"
_DELTA: dict[type, AggregationTemporality] = dict.fromkeys(
    (Counter, ObservableCounter, Histogram), AggregationTemporality.DELTA
)
_ATTRIBUTE_NAMES = tuple(metric.name for metric in sc.METRICS if metric.name.startswith("attune."))
_OVER_CALLS = frozenset(
    metric.name
    for metric in (
        sc.LLM_COST, sc.LLM_BASELINE, sc.LLM_ERRORS, sc.LLM_RETRIES, sc.LLM_FALLBACKS, sc.LLM_UNKNOWN_COST,
        sc.LLM_TRUNCATED, sc.LLM_TOKENS,
    )
)  # fmt: skip

_Labels = tuple[tuple[str, str], ...]
_Cell = dict[tuple[str, _Labels], Group]


class MetricReaderSource(MetricReader):
    """The running process as a source, and the reader that it is asked through.

    It sees what was recorded since it was given to `configure(metric_readers=[source])` (or to the application's own
    MeterProvider), for 35 days at most; what is collected counts at the minute of its collection.

    Args:
        clock: seconds since the epoch.
    """

    name = "in process"

    def __init__(self, *, clock: Any = time.time) -> None:
        super().__init__(
            preferred_temporality=_DELTA,
            preferred_aggregation={Histogram: ExponentialBucketHistogramAggregation()},
        )
        self._clock = clock
        self._guard = threading.Lock()
        self._cells: dict[int, _Cell] = {}
        self._fresh = False
        self._process = os.getpid()

    def changed(self) -> bool:
        """Collect; return whether anything was recorded since the last time."""
        self._gather()
        fresh, self._fresh = self._fresh, False
        return fresh

    def answer(self, queries: Sequence[Query], now: datetime) -> list[list[Answer]]:
        """Return the answers to each query.

        Args:
            queries: what to answer.
            now: an aware time at which the windows end.

        Raises:
            SourceError: a query makes no sense, or the reader belongs to no MeterProvider.
        """
        for query in queries:
            query.check()
        self._gather()
        return [self._answer(query, now) for query in queries]

    def _gather(self) -> None:
        if self._collect is None:
            raise SourceError("the reader has no MeterProvider: give it to configure(metric_readers=[source])")
        self.collect()

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        minute = int(self._clock()) // _MINUTE * _MINUTE
        with self._guard:
            if self._process != os.getpid():  # a forked child has recorded nothing yet
                self._process = os.getpid()
                self._cells.clear()
            cell = self._cells.setdefault(minute, {})
            for key, group in _groups(metrics_data):
                known = cell.get(key)
                cell[key] = group if known is None else known.plus(group)
                self._fresh = True
            if not cell:
                del self._cells[minute]
            self._compact(minute)

    def _compact(self, now: int) -> None:
        horizon = now // _HOUR * _HOUR - _MINUTES_KEPT
        for moment in [moment for moment in self._cells if moment < horizon and moment % _HOUR]:
            cell = self._cells.pop(moment)
            into = self._cells.setdefault(moment // _HOUR * _HOUR, {})
            for key, group in cell.items():
                known = into.get(key)
                into[key] = group if known is None else known.plus(group)
        for moment in [moment for moment in self._cells if moment < now - _DAYS_KEPT]:
            del self._cells[moment]

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Keep what was read: nothing is to be delivered."""

    def _answer(self, query: Query, now: datetime) -> list[Answer]:
        start, end = query.window.bounds(now)
        groups = self._window(query, start.timestamp(), end.timestamp())
        if query.divisor is not None:
            begin, stop = query.divisor.window.bounds(now)
            return ratio_of(query, groups, self._window(query.divisor, begin.timestamp(), stop.timestamp()))
        return answer_of(query, groups, (end - start).total_seconds())

    def _window(self, query: Query, start: float, end: float) -> dict[tuple[str, ...], Group]:
        groups: dict[tuple[str, ...], Group] = {}
        metric = metric_of(query.metric).name
        # A counter that has not moved is not exported; where there were calls it is zero all the same.
        counted = sc.LLM_CALLS.name if metric in _OVER_CALLS else metric
        with self._guard:
            for moment, cell in self._cells.items():
                if not start <= moment < end:
                    continue
                for (name, labels), group in cell.items():
                    if name not in (metric, counted):
                        continue
                    values = dict(labels)
                    if not all(
                        condition.holds(values.get(condition.dimension, ""))
                        for condition in query.filters
                        if name == metric or condition.dimension in sc.LLM_COST.dimensions
                    ):
                        continue
                    key = tuple(values.get(dimension, "") for dimension in query.group_by)
                    if name != metric:
                        if set(query.group_by) <= set(sc.LLM_COST.dimensions):
                            group = Group(0.0, group.samples, Latency())
                        else:
                            continue
                    elif metric in _OVER_CALLS and set(query.group_by) <= set(sc.LLM_COST.dimensions):
                        group = Group(group.total, 0, Latency())
                    known = groups.get(key)
                    groups[key] = group if known is None else known.plus(group)
        return groups


def _groups(data: MetricsData | None) -> list[tuple[tuple[str, _Labels], Group]]:
    found = []
    for resource in data.resource_metrics if data is not None else ():
        for scope in resource.scope_metrics:
            if scope.scope.name != sc.SCOPE:
                continue
            for metric in scope.metrics:
                if metric.name in _ATTRIBUTE_NAMES:
                    for point in metric.data.data_points:
                        group = _group(point)
                        if group is not None:
                            found.append(((metric.name, _labels(metric.name, point.attributes or {})), group))
    return found


def _group(point: Any) -> Group | None:
    if isinstance(point, NumberDataPoint):
        return Group(point.value, max(1, int(point.value)), Latency()) if point.value else None
    if not isinstance(point, ExponentialHistogramDataPoint) or not point.count:
        return None
    base = 2.0 ** (2.0**-point.scale)
    histogram = lane_of(0.0) * point.zero_count
    for place, count in enumerate(point.positive.bucket_counts):
        if count:
            histogram += lane_of(1000 * base ** (point.positive.offset + place + 0.5)) * count
    durations = Latency(point.count, point.sum * 1000, point.min * 1000, point.max * 1000, histogram)
    return Group(point.count, point.count, durations)


def _labels(metric: str, attributes: Mapping[str, Any]) -> _Labels:
    if attributes.get(sc.OVERFLOW):
        return tuple((name, _OTHER) for name in metric_of(metric).dimensions)
    return tuple(sorted((key, str(value)) for key, value in attributes.items()))
