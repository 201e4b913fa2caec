"""Answers queries at one past moment after another, from records in memory: windows slide, nothing is read again."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

import msgspec

from attune_monitoring import semconv as sc
from attune_monitoring.errors import SourceError
from attune_monitoring.figures import CALL_SUMS, Latency, count_call
from attune_monitoring.grouping import GROUPS
from attune_monitoring.query import MINUTES_FOR, Answer, Filter, Query, Window, metric_of
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, parse_time

from .answers import NAMES, Group, ratio_of

__all__ = ["ReplaySource"]

_HOUR = 3600
_DELAYS = 4
"""Windows of one question that are kept at different times."""
_SUM_OF = {
    sc.LLM_COST.name: "cost",
    sc.LLM_BASELINE.name: "baseline",
    sc.LLM_CALLS.name: "calls",
    sc.LLM_RETRIES.name: "retries",
    sc.LLM_FALLBACKS.name: "fallbacks",
    sc.LLM_TRUNCATED.name: "truncated",
    sc.LLM_UNKNOWN_COST.name: "unknown",
}
_TOKENS = ("input", "output", "cache_read", "cache_write", "reasoning")
_PLACE = {name: place for place, name in enumerate(CALL_SUMS)}
_CALL_DIMENSIONS = ("workflow", "provider", "model", "tier", "project", "outcome", "error")


class _Item(NamedTuple):
    """What one record adds to a metric."""

    at: float
    labels: tuple[str, ...]
    """Values of all dimensions of the metric."""
    value: float
    """Of a counter the number, of a histogram milliseconds."""
    samples: int


class ReplaySource:
    """Records as a source whose time only goes forward; asked about an earlier moment it begins anew.

    The answers are those of the local folder at that moment, but for percentiles, which are exact here, and the samples
    of tokens, which are here the counts that are not zero.

    Args:
        calls: those that count, in any order; each is there from when it ended.
        runs: the same of runs, each from when it began.
    """

    name = "replay"

    def __init__(self, calls: Iterable[LLMCallRecord] = (), runs: Iterable[WorkflowRunRecord] = ()) -> None:
        self._calls = sorted((_call(record) for record in calls), key=itemgetter(0))
        self._runs = sorted(((parse_time(run.started_at).timestamp(), run) for run in runs), key=itemgetter(0))
        self._items: dict[str, list[_Item]] = {}
        self._sorted: dict[Query, _Look] = {}
        self._slides: dict[Query, list[_Slide]] = {}
        self._calendar: dict[Window, tuple[float, float]] = {}

    def changed(self) -> bool:
        """Nothing is ever new."""
        return False

    def extent(self) -> tuple[float, float] | None:
        """Return the times of the first and the last record; None where there is none."""
        moments = [rows[place][0] for rows in (self._calls, self._runs) if rows for place in (0, -1)]
        return (min(moments), max(moments)) if moments else None

    def answer(self, queries: Sequence[Query], now: datetime) -> list[list[Answer]]:
        """Return the answers to each query.

        Args:
            queries: what to answer.
            now: an aware time at which the windows end.

        Raises:
            SourceError: a query makes no sense, or asks for what records do not tell.
        """
        moment = now.timestamp()
        return [self._answer(query, moment) for query in queries]

    def hourly(self, query: Query, start: float, end: float) -> dict[tuple[str, ...], dict[int, float]]:
        """Return the sums of a counter by group and beginning of the hour; see `query.HourlySource`."""
        if metric_of(query.metric).instrument != "counter":
            raise SourceError(f"{query.metric} has no sums by the hour; counters have")
        return self._look(query).hourly(start, end)

    # --- inside
    def _answer(self, query: Query, now: float) -> list[Answer]:
        start, end = self._bounds(query.window, now)
        slide = self._slide(query, start, end)
        if query.divisor is not None:
            below = self._slide(query.divisor, *self._bounds(query.divisor.window, now))
            return ratio_of(query, slide.groups_of(), below.groups_of())
        return slide.answers(end - start)

    def _slide(self, query: Query, start: float, end: float) -> _Slide:
        """Return the window, moved there; rules that look back by different delays have one each."""
        slides = self._slides.get(query)
        if slides is None:
            slides = self._slides[query] = []
        slide = slides[0] if len(slides) == 1 else max(slides, key=lambda one: (one.end <= end, one.end), default=None)
        if slide is None or slide.end > end:
            slide = _Slide(query, self._look(query).items)
            slides.append(slide)
            del slides[:-_DELAYS]
        slide.move(start, end)
        return slide

    def _look(self, query: Query) -> _Look:
        key = msgspec.structs.replace(query, window=Window(), aggregation="sum", divisor=None)
        look = self._sorted.get(key)
        if look is None:
            query.check()
            look = self._sorted[key] = _Look(query, self._of_metric(query.metric))
        return look

    def _of_metric(self, name: str) -> list[_Item]:
        items = self._items.get(name)
        if items is None:
            if name == sc.DROPPED.name:
                raise SourceError(f"{name}: what was never written cannot be read")
            items = self._items[name] = list(self._made(name))
        return items

    def _made(self, name: str) -> Iterator[_Item]:
        if name in (sc.WORKFLOW_RUNS.name, sc.WORKFLOW_DURATION.name):
            for at, run in self._runs:
                labels: tuple[str, ...] = (run.workflow_name, run.outcome, run.project or "")
                yield _Item(at, labels, 1 if name == sc.WORKFLOW_RUNS.name else run.total_duration_ms, 1)
        elif name == sc.STAGE_DURATION.name:
            for at, run in self._runs:
                for stage in run.stages:
                    if not stage.skipped:
                        labels = (run.workflow_name, stage.stage_name, stage.tier, stage.outcome)
                        yield _Item(at, labels, stage.latency_ms, 1)
        else:
            for at, labels, sums, latency, waited in self._calls:
                yield from _of_call(name, at, labels, sums, latency, waited)

    def _bounds(self, window: Window, now: float) -> tuple[float, float]:
        if window.calendar is None and not window.back:
            step = 60 if window.seconds <= MINUTES_FOR else _HOUR
            return (now - window.seconds) // step * step, now
        if window.back:
            start, end = window.bounds(datetime.fromtimestamp(now, UTC))
            return start.timestamp(), end.timestamp()
        begun, over = self._calendar.get(window, (0.0, 0.0))
        if not begun <= now < over:
            moment = datetime.fromtimestamp(now, UTC)
            begun = window.bounds(moment)[0].timestamp()
            over = msgspec.structs.replace(window, back=-1).bounds(moment)[0].timestamp()
            self._calendar[window] = begun, over
        return begun, now


class _Look:
    """What records add to one question, whatever its window: in the order of time, by its groups."""

    def __init__(self, query: Query, items: Iterable[_Item]) -> None:
        names = _dimensions(query.metric)
        places = [names.index(name) for name in query.group_by]
        conditions = [(names.index(condition.dimension), condition) for condition in query.filters]
        if sc.ERROR_TYPE in {*query.group_by, *(condition.dimension for condition in query.filters)}:
            # By type only errors have a group; otherwise whoever has calls and no errors has zero of them.
            failed = Filter(sc.OUTCOME, ("error",))
            conditions.append((names.index(sc.OUTCOME), failed))
        self.items = [
            (item.at, tuple(item.labels[place] for place in places), item.value, item.samples)
            for item in items
            if all(condition.holds(item.labels[place]) for place, condition in conditions)
        ]
        self._hours: dict[tuple[str, ...], dict[int, float]] | None = None
        self._begun: tuple[int, float, int, dict[tuple[str, ...], float]] = (0, 0.0, 0, {})
        """Of the hour that was asked for last: its beginning, how far it was summed, the next item, and the sums."""

    def hourly(self, start: float, end: float) -> dict[tuple[str, ...], dict[int, float]]:
        if self._hours is None:
            self._hours = _by_hour(self.items)
        edge = int(end // _HOUR) * _HOUR
        wanted = range(int(start), edge, _HOUR)
        found = {
            labels: {hour: hours[hour] for hour in wanted if hour in hours} for labels, hours in self._hours.items()
        }
        for labels, value in self._begun_hour(edge, end).items():
            found.setdefault(labels, {})[edge] = value
        return {labels: hours for labels, hours in found.items() if hours}

    def _begun_hour(self, hour: int, end: float) -> dict[tuple[str, ...], float]:
        """Return the sums of an hour as far as it has gone."""
        known, until, place, sums = self._begun
        if known != hour or end < until:
            place, sums = bisect.bisect_left(self.items, hour, key=itemgetter(0)), {}
        while place < len(self.items) and self.items[place][0] < end:
            _, labels, value, _ = self.items[place]
            sums[labels] = sums.get(labels, 0.0) + value
            place += 1
        self._begun = hour, end, place, sums
        return sums


class _Sums:
    """One group of a window."""

    __slots__ = ("records", "samples", "sorted", "total")

    def __init__(self) -> None:
        self.total = 0.0
        self.records = 0
        """Those without a sample as well, such as calls of unknown cost."""
        self.samples = 0
        self.sorted: list[float] = []
        """Values of a histogram."""


class _Slide:
    """A window of one question, which moves forward."""

    def __init__(self, query: Query, items: Sequence[tuple[float, tuple[str, ...], float, int]]) -> None:
        self._query = query
        self._items = items
        self.end = -math.inf
        self._is_histogram = metric_of(query.metric).instrument == "histogram"
        self._value = _aggregate(query.aggregation, histogram=self._is_histogram)
        self._tail = self._head = 0
        self._groups: dict[tuple[str, ...], _Sums] = {}
        self._answers: list[Answer] | None = None

    def move(self, start: float, end: float) -> None:
        """Take in what comes before `end`, and let go of what comes before `start`."""
        self.end = end
        items, groups = self._items, self._groups
        head, tail = self._head, self._tail
        while head < len(items) and items[head][0] < end:
            _, labels, value, samples = items[head]
            group = groups.get(labels)
            if group is None:
                group = groups[labels] = _Sums()
            group.total += value
            group.records += 1
            group.samples += samples
            if self._is_histogram:
                bisect.insort(group.sorted, value)
            head += 1
        while tail < head and items[tail][0] < start:
            _, labels, value, samples = items[tail]
            group = groups[labels]
            group.total -= value
            group.records -= 1
            group.samples -= samples
            if self._is_histogram:
                del group.sorted[bisect.bisect_left(group.sorted, value)]
            if not group.records:
                del groups[labels]  # and with it what rounding has left of the total
            tail += 1
        if (head, tail) != (self._head, self._tail):
            self._head, self._tail, self._answers = head, tail, None

    def answers(self, seconds: float) -> list[Answer]:
        """Return the answers; the same list for as long as nothing has moved."""
        if self._answers is None or self._query.aggregation == "rate":
            names = self._query.group_by
            self._answers = [
                Answer(dict(zip(names, labels, strict=True)), self._value(group, seconds), group.samples)
                for labels, group in sorted(self._groups.items(), key=itemgetter(0))
                if group.samples
            ]
        return self._answers

    def groups_of(self) -> dict[tuple[str, ...], Group]:
        """Return what the sources share, for ratios."""
        counted = (lambda group: len(group.sorted)) if self._is_histogram else attrgetter("total")
        return {labels: Group(counted(group), group.samples, Latency()) for labels, group in self._groups.items()}


def _aggregate(aggregation: str, *, histogram: bool) -> Callable[[_Sums, float], float | None]:
    """Return what makes the answer of a group and the seconds of its window; durations are seconds then."""
    if aggregation == "rate":
        return lambda group, seconds: (group.samples if histogram else group.total) / seconds if seconds > 0 else None
    if not histogram:
        return lambda group, _: group.total
    of_durations: Mapping[str, Callable[[_Sums], float]] = {
        "count": lambda group: len(group.sorted) * 1000.0,
        "sum": lambda group: group.total,
        "avg": lambda group: group.total / len(group.sorted),
        "min": lambda group: group.sorted[0],
        "max": lambda group: group.sorted[-1],
    }
    if aggregation in of_durations:
        work = of_durations[aggregation]
    else:
        percent = float(aggregation[1:])

        def work(group: _Sums) -> float:
            return group.sorted[max(1, math.ceil(len(group.sorted) * percent / 100)) - 1]

    return lambda group, _: work(group) / 1000


def _call(record: LLMCallRecord) -> tuple[float, tuple[str, ...], tuple[float, ...], float, float | None]:
    labels = tuple(GROUPS[name](record) for name in _CALL_DIMENSIONS)
    waited = record.time_to_first_token_ms
    return parse_time(record.timestamp).timestamp(), labels, count_call(record), record.latency_ms, waited


def _of_call(
    name: str, at: float, labels: tuple[str, ...], sums: tuple[float, ...], latency: float, waited: float | None
) -> Iterator[_Item]:
    if name == sc.LLM_ERRORS.name:
        yield _Item(at, labels, labels[_CALL_DIMENSIONS.index("outcome")] == "error", 1)
    elif name == sc.LLM_DURATION.name:
        yield _Item(at, labels, latency, 1)
    elif name == sc.LLM_TTFT.name:
        if waited is not None and waited >= 0:
            yield _Item(at, labels, waited, 1)
    elif name == sc.LLM_TOKENS.name:
        for kind in _TOKENS:
            if sums[_PLACE[kind]]:
                yield _Item(at, (*labels, kind), sums[_PLACE[kind]], 1)
    else:
        known = 1 - int(sums[_PLACE["unknown"]]) if name == sc.LLM_COST.name else 1
        yield _Item(at, labels, sums[_PLACE[_SUM_OF[name]]], known)


def _dimensions(metric: str) -> tuple[str, ...]:
    """Return the dimensions in the order in which items of a metric have their labels."""
    long = {short: name for name, short in NAMES.items()}
    if metric in (sc.WORKFLOW_RUNS.name, sc.WORKFLOW_DURATION.name):
        return tuple(long[name] for name in ("workflow", "outcome", "project"))
    if metric == sc.STAGE_DURATION.name:
        return tuple(long[name] for name in ("workflow", "stage", "tier", "outcome"))
    names = tuple(long[name] for name in _CALL_DIMENSIONS)
    return (*names, sc.TOKEN_TYPE) if metric == sc.LLM_TOKENS.name else names


def _by_hour(items: Iterable[tuple[float, tuple[str, ...], float, Any]]) -> dict[tuple[str, ...], dict[int, float]]:
    found: dict[tuple[str, ...], dict[int, float]] = {}
    for at, labels, value, _ in items:
        hours = found.setdefault(labels, {})
        hour = int(at) // _HOUR * _HOUR
        hours[hour] = hours.get(hour, 0.0) + value
    return found
