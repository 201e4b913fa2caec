"""Answers queries from the records of a local folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from attune_monitoring import semconv as sc
from attune_monitoring.errors import SourceError
from attune_monitoring.figures import Figures, Latency
from attune_monitoring.history import History, RunFigures, Span, StageFigures
from attune_monitoring.query import Answer, Filter, Query, metric_of

from .answers import NAMES, Group, answer_of, ratio_of

__all__ = ["LocalSource"]

_TOKENS = ("input", "output", "cache_read", "cache_write", "reasoning")
_HOURLY: Mapping[str, tuple[str, ...]] = {
    sc.LLM_COST.name: ("cost",),
    sc.LLM_BASELINE.name: ("baseline",),
    sc.LLM_CALLS.name: ("calls",),
    sc.LLM_ERRORS.name: ("calls",),
    sc.LLM_RETRIES.name: ("retries",),
    sc.LLM_FALLBACKS.name: ("fallbacks",),
    sc.LLM_TRUNCATED.name: ("truncated",),
    sc.LLM_UNKNOWN_COST.name: ("unknown",),
    sc.LLM_TOKENS.name: _TOKENS,
    sc.WORKFLOW_RUNS.name: ("runs",),
}
"""What is summed up for a counter; for tokens those of the types that are asked for."""
_COUNTS: Mapping[str, Callable[[Figures], tuple[float, int]]] = {
    sc.LLM_COST.name: lambda f: (f.cost, f.calls - f.unknown),
    sc.LLM_BASELINE.name: lambda f: (f.baseline, f.calls),
    sc.LLM_CALLS.name: lambda f: (f.calls, f.calls),
    sc.LLM_ERRORS.name: lambda f: (f.failed, f.calls),
    sc.LLM_RETRIES.name: lambda f: (f.retries, f.calls),
    sc.LLM_FALLBACKS.name: lambda f: (f.fallbacks, f.calls),
    sc.LLM_TRUNCATED.name: lambda f: (f.truncated, f.calls),
    sc.LLM_UNKNOWN_COST.name: lambda f: (f.unknown, f.calls),
}
"""Sum and number of calls behind it, of the counters that are sums over calls."""


_EVERY_GROUP = ("workflow", "provider", "model", "tier", "project", "outcome", "error")
"""What the cells of calls know."""


class _Asked(NamedTuple):
    """One look at the history; queries that need the same one share it."""

    what: str
    span: Span
    group_by: tuple[str, ...]
    filters: tuple[Filter, ...]


class LocalSource:
    """The local folder as a source. Records made under pytest do not count.

    Args:
        folder: the folder; it may be missing.
        history: the history to ask, where there is one already.
    """

    name = "local"

    def __init__(self, folder: Path, *, history: History | None = None) -> None:
        self.history = history if history is not None else History(folder, clock=time.time)

    def close(self) -> None:
        """Close what is open."""
        self.history.close()

    def changed(self) -> bool:
        """Take in what is new; return whether there was anything.

        Raises:
            StoreError: the records cannot be read.
        """
        return self.history.refresh()

    def answer(self, queries: Sequence[Query], now: datetime) -> list[list[Answer]]:
        """Return the answers to each query; those of one look at the records share it.

        Args:
            queries: what to answer.
            now: an aware time at which the windows end.

        Raises:
            SourceError: a query makes no sense, or asks for what records do not tell.
            StoreError: the records cannot be read.
        """
        for query in queries:
            query.check()
            if query.metric == sc.DROPPED.name:
                raise SourceError(
                    f"{query.metric}: what was never written cannot be read; ask the running process or its collector"
                )
        self.history.refresh()
        asked = [one for query in queries for one in (query, query.divisor) if one is not None]
        looks = _Looks(self.history, {_span_of(query, now) for query in asked if _is_of_durations(query)})
        return [self._answer(query, now, looks) for query in queries]

    def hourly(self, query: Query, start: float, end: float) -> dict[tuple[str, ...], dict[int, float]]:
        """Return the sums of a counter by group and beginning of the hour; see `query.HourlySource`.

        Raises:
            SourceError: it is no counter, or grouped by token type.
            StoreError: the records cannot be read.
        """
        if query.metric not in _HOURLY or sc.TOKEN_TYPE in query.group_by:
            raise SourceError(f"{query.metric} has no sums by the hour; counters have, but not by token type")
        self.history.refresh()
        names = tuple(NAMES[name] for name in query.group_by)
        of_type = [condition for condition in query.filters if condition.dimension == sc.TOKEN_TYPE]
        filters = [
            Filter(NAMES[condition.dimension], condition.values, condition.negated)
            for condition in query.filters
            if condition.dimension != sc.TOKEN_TYPE
        ]
        if query.metric == sc.LLM_ERRORS.name:
            filters.append(Filter("outcome", ("error",)))
        found: dict[tuple[str, ...], dict[int, float]] = {}
        for column in _HOURLY[query.metric]:
            if all(condition.holds(column) for condition in of_type):
                sums = self.history.hourly(column, names, span=Span(start, end), filters=filters)
                for labels, hours in sums.items():
                    known = found.setdefault(labels, {})
                    for hour, value in hours.items():
                        known[hour] = known.get(hour, 0.0) + value
        return found

    def _answer(self, query: Query, now: datetime, looks: _Looks) -> list[Answer]:
        start, end = query.window.bounds(now)
        if query.divisor is not None:
            return ratio_of(query, self._groups(query, now, looks), self._groups(query.divisor, now, looks))
        return answer_of(query, self._groups(query, now, looks), (end - start).total_seconds())

    def _groups(self, query: Query, now: datetime, looks: _Looks) -> dict[tuple[str, ...], Group]:
        span = _span_of(query, now)
        kind = metric_of(query.metric).name
        token_types = sc.TOKEN_TYPE in query.group_by
        names = tuple(NAMES[name] for name in query.group_by if name != sc.TOKEN_TYPE)
        filters = tuple(
            Filter(NAMES[condition.dimension], condition.values, condition.negated)
            for condition in query.filters
            if condition.dimension != sc.TOKEN_TYPE
        )
        named = {*names, *(condition.dimension for condition in filters)}
        of_type = [condition for condition in query.filters if condition.dimension == sc.TOKEN_TYPE]
        if kind in (sc.WORKFLOW_RUNS.name, sc.WORKFLOW_DURATION.name):
            asked = _Asked("runs", span, names, filters)
        elif kind == sc.STAGE_DURATION.name:
            asked = _Asked("stages", span, names, filters)
        else:
            # By type only errors have a group; otherwise whoever has calls and no errors has zero of them.
            extra = (Filter("outcome", ("error",)),) if "error" in named else ()
            asked = _Asked("calls", span, names, (*filters, *extra))
        found = looks.at(asked)
        groups: dict[tuple[str, ...], Group] = {}
        for labels, figures in found.items():
            for more, group in _group(kind, figures):
                if more is not None and not all(condition.holds(more) for condition in of_type):
                    continue
                key = _insert(query.group_by, labels, more) if token_types else labels
                known = groups.get(key)
                groups[key] = group if known is None else known.plus(group)
        return groups


class _Looks:
    """What has been looked up for one set of queries: each look at the history is taken once."""

    def __init__(self, history: History, with_durations: set[Span]) -> None:
        self._history = history
        self._with_durations = with_durations
        self._memo: dict[_Asked, Mapping[tuple[str, ...], Any]] = {}
        self._series: dict[Span, Mapping[tuple[str, ...], Figures]] = {}

    def at(self, asked: _Asked) -> Mapping[tuple[str, ...], Any]:
        """Return the figures by group."""
        found = self._memo.get(asked)
        if found is None:
            found = self._memo[asked] = self._look(asked)
        return found

    def _look(self, asked: _Asked) -> Mapping[tuple[str, ...], Any]:
        history = self._history
        if asked.what == "runs":
            return history.runs(asked.group_by, span=asked.span, filters=asked.filters)
        if asked.what == "stages":
            return history.stages(asked.group_by, span=asked.span, filters=asked.filters)
        durations = asked.span in self._with_durations
        if not history.has_cells_for(_EVERY_GROUP):
            return history.calls(asked.group_by, span=asked.span, filters=asked.filters, percentiles=durations)
        # One look at all series serves every grouping of the same time.
        series = self._series.get(asked.span)
        if series is None:
            series = self._series[asked.span] = history.calls(_EVERY_GROUP, span=asked.span, percentiles=durations)
        places = [_EVERY_GROUP.index(name) for name in asked.group_by]
        conditions = [(_EVERY_GROUP.index(condition.dimension), condition) for condition in asked.filters]
        found: dict[tuple[str, ...], Figures] = {}
        for labels, figures in series.items():
            if all(condition.holds(labels[place]) for place, condition in conditions):
                found.setdefault(tuple(labels[place] for place in places), Figures()).merge(figures)
        return found


def _span_of(query: Query, now: datetime) -> Span:
    start, end = query.window.bounds(now)
    # The minute in which a window ends counts whole: cells know no less.
    return Span(start.timestamp(), -(-end.timestamp() // 60) * 60)


def _is_of_durations(query: Query) -> bool:
    return metric_of(query.metric).instrument == "histogram"


def _group(kind: str, figures: Figures | RunFigures | StageFigures) -> Iterator[tuple[str | None, Group]]:
    if isinstance(figures, RunFigures):
        yield None, Group(figures.runs, figures.runs, figures.duration)
    elif isinstance(figures, StageFigures):
        yield None, Group(figures.stages, figures.stages, figures.duration)
    elif kind == sc.LLM_TOKENS.name:
        for name in _TOKENS:
            count = getattr(figures, name)
            if count:
                yield name, Group(count, figures.calls, Latency())
    elif kind == sc.LLM_TTFT.name:
        waited = figures.time_to_first_token
        yield None, Group(waited.count, waited.count, waited)
    elif kind == sc.LLM_DURATION.name:
        yield None, Group(figures.calls, figures.calls, figures.latency.plus(figures.unanswered))
    else:
        value, samples = _COUNTS[kind](figures)
        yield None, Group(value, samples, Latency())


def _insert(group_by: Sequence[str], labels: tuple[str, ...], more: str | None) -> tuple[str, ...]:
    place = group_by.index(sc.TOKEN_TYPE)
    return (*labels[:place], more or "", *labels[place:])
