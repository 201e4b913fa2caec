"""From exported metrics, as a server has kept them, to answers: what Prometheus and SigNoz have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from attune_monitoring import semconv as sc
from attune_monitoring.errors import SourceError
from attune_monitoring.figures import Latency, lane_of
from attune_monitoring.query import Answer, Filter, Query, metric_of

from .answers import Group, answer_of, ratio_of

__all__ = [
    "HOUR",
    "OTHER",
    "Found",
    "Histogram",
    "Hours",
    "Look",
    "add_to_hour",
    "answers_of",
    "hourly_look",
    "latency_of",
]

HOUR = 3600
OTHER = "__other__"
"""The value of every dimension of the series into which all beyond the limit are summed."""
_STEPS = 10
"""Lanes of a latency histogram for each doubling; see `figures.lane_of`."""
_OVER_CALLS = frozenset(
    metric.name
    for metric in (
        sc.LLM_COST, sc.LLM_BASELINE, sc.LLM_ERRORS, sc.LLM_RETRIES, sc.LLM_FALLBACKS, sc.LLM_UNKNOWN_COST,
        sc.LLM_TRUNCATED, sc.LLM_TOKENS,
    )
)  # fmt: skip
"""Counters that are sums over calls."""


class Look(NamedTuple):
    """One metric over one stretch of time."""

    metric: str
    start: float
    """Seconds since the epoch."""
    end: float
    filters: tuple[Filter, ...]
    group_by: tuple[str, ...]


class Histogram(NamedTuple):
    """What a histogram has taken in."""

    counts: Mapping[float, float]
    """By upper bound (seconds): values up to it; that of infinity is all of them."""
    total: float
    """Seconds."""
    minimum: float | None = None
    """Seconds; None where the server does not keep it."""
    maximum: float | None = None


Found = Mapping[tuple[str, ...], float | Histogram]
"""By values of `group_by`: the sum of a counter, or a histogram."""
Hours = dict[tuple[str, ...], dict[int, float]]
"""By values of `group_by` and beginning of the hour: the sum of a counter."""


def answers_of(
    queries: Sequence[Query], now: datetime, fetch: Callable[[Sequence[Look]], Mapping[Look, Found]]
) -> list[list[Answer]]:
    """Return the answers to each query.

    Args:
        queries: checked ones.
        now: an aware time at which the windows end.
        fetch: looks up what is needed, each look once.
    """
    asked = [one for query in queries for one in (query, query.divisor) if one is not None]
    found = fetch(list(dict.fromkeys(look for query in asked for look in _looks(query, now))))
    return [_answer(query, now, found) for query in queries]


def hourly_look(query: Query, start: float, end: float) -> Look:
    """Return the look at a counter that its sums by the hour are taken from; see `query.HourlySource`.

    Raises:
        SourceError: the query makes no sense, or is about no counter.
    """
    query.check()
    if metric_of(query.metric).instrument != "counter":
        raise SourceError(f"{query.metric} has no sums by the hour; counters have")
    return Look(query.metric, start, end, query.filters, query.group_by)


def add_to_hour(hours: Hours, labels: tuple[str, ...], hour: int, value: float | Histogram) -> None:
    """Add to a group's hour; one in which a counter has not moved stays missing, as one without records does."""
    if not isinstance(value, Histogram) and value and math.isfinite(value):
        known = hours.setdefault(labels, {})
        known[hour] = known.get(hour, 0.0) + value


def latency_of(histogram: Histogram) -> Latency:
    """Return the histogram in milliseconds; within a bucket values are taken to be spread evenly, as PromQL does."""
    lanes, below, low = 0, 0.0, 0.0
    least, most = math.inf, -math.inf
    for bound, upto in sorted(histogram.counts.items()):
        count = round(upto - below)
        high = bound * 1000 if math.isfinite(bound) else low  # beyond the last bound only that bound is known
        if count > 0:
            lanes += _spread(low, high, count)
            least, most = min(least, low), max(most, high)
            below = upto
        low = high
    if histogram.minimum is not None and histogram.maximum is not None:
        least, most = histogram.minimum * 1000, histogram.maximum * 1000
    return Latency(round(below), histogram.total * 1000, least, most, lanes)


def _spread(low: float, high: float, count: int) -> int:
    """Return the lanes of `count` durations between two bounds in milliseconds."""
    if high <= low:
        return lane_of(low) * count
    first, last = (0 if edge <= 1 else math.ceil(math.log2(edge) * _STEPS - 1e-9) for edge in (low, high))
    lanes = done = 0
    for lane in range(first, last + 1):
        edge = min(high, 2 ** (lane / _STEPS))
        upto = count if lane == last else max(done, round(count * (edge - low) / (high - low)))
        lanes += lane_of(2 ** ((lane - 0.5) / _STEPS)) * (upto - done)
        done = upto
    return lanes


def _looks(query: Query, now: datetime) -> list[Look]:
    """Return the look at the metric itself and, for a sum over calls, those at the calls."""
    start, end = query.window.bounds(now)
    span = (start.timestamp(), end.timestamp())
    looks = [Look(query.metric, *span, query.filters, query.group_by)]
    if _counts_calls(query):
        known = tuple(one for one in query.filters if one.dimension in sc.LLM_COST.dimensions)
        looks += [Look(name, *span, known, query.group_by) for name in _behind(query)]
    return looks


def _behind(query: Query) -> tuple[str, ...]:
    """Return the metrics of the calls behind a sum: all of them, and for costs those without a known one."""
    unknown = (sc.LLM_UNKNOWN_COST.name,) if query.metric == sc.LLM_COST.name else ()
    return (sc.LLM_CALLS.name, *unknown)


def _counts_calls(query: Query) -> bool:
    return query.metric in _OVER_CALLS and set(query.group_by) <= set(sc.LLM_COST.dimensions)


def _answer(query: Query, now: datetime, found: Mapping[Look, Found]) -> list[Answer]:
    start, end = query.window.bounds(now)
    groups = _groups(query, now, found)
    if query.divisor is not None:
        return ratio_of(query, groups, _groups(query.divisor, now, found))
    return answer_of(query, groups, (end - start).total_seconds())


def _groups(query: Query, now: datetime, found: Mapping[Look, Found]) -> dict[tuple[str, ...], Group]:
    own, *behind = (found[look] for look in _looks(query, now))
    if metric_of(query.metric).instrument == "histogram":
        latencies = ((labels, latency_of(value)) for labels, value in own.items() if isinstance(value, Histogram))
        return {labels: Group(latency.count, latency.count, latency) for labels, latency in latencies if latency.count}
    sums = _numbers(own)
    if not behind:
        return {labels: Group(value, max(1, round(value)), Latency()) for labels, value in sums.items() if value}
    # A counter that has not moved is not exported; where there were calls it is zero all the same.
    calls, *unknown = map(_numbers, behind)
    samples = {labels: round(value - sum(one.get(labels, 0.0) for one in unknown)) for labels, value in calls.items()}
    return {
        labels: Group(sums.get(labels, 0.0), max(samples.get(labels, 0), 1 if sums.get(labels) else 0), Latency())
        for labels in {*sums, *samples}
    }


def _numbers(found: Found) -> dict[tuple[str, ...], float]:
    return {labels: value for labels, value in found.items() if not isinstance(value, Histogram)}
