"""What a server says of calls: the figures of a command, asked through the one Query, and what it cannot say."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import click
from msgspec.structs import replace

from attune_monitoring import semconv as sc
from attune_monitoring.errors import SourceError
from attune_monitoring.figures import Figures, Latency, lane_of
from attune_monitoring.query import Aggregation, Answer, Filter, Query, Source, Window

from .periods import Period

__all__ = ["DIMENSIONS", "Asked", "as_asked", "dimension_of", "latency_of"]

DIMENSIONS: Mapping[str, str] = {
    "workflow": sc.WORKFLOW_NAME,
    "provider": sc.PROVIDER,
    "model": sc.RESPONSE_MODEL,
    "tier": sc.TIER,
    "project": sc.PROJECT,
}
"""What metrics of calls can be grouped by."""
_NOT_EXPORTED = {
    "savings": "savings",
    "savings_percent": "savings",
    "retry_waste": "waste of retries and fallbacks",
    "fallback_waste": "waste of retries and fallbacks",
}
"""Figures that stand in records only, by their keys in JSON, and in words."""
_NOT_KEPT = dict.fromkeys(("min", "max"), "shortest and longest durations")
_LOOK_BACK = timedelta(days=7)
_TOKENS = ("input", "output", "cache_read", "cache_write", "reasoning")
_SUMS: Mapping[str, str] = {
    "baseline": sc.LLM_BASELINE.name,
    "retries": sc.LLM_RETRIES.name,
    "fallbacks": sc.LLM_FALLBACKS.name,
    "truncated": sc.LLM_TRUNCATED.name,
}
_PERCENTILES: tuple[Aggregation, ...] = ("p50", "p95", "p99")
_DURATIONS: tuple[Aggregation, ...] = ("count", "sum", *_PERCENTILES)
_EXTREMES: tuple[Aggregation, ...] = ("min", "max")

_Values = Mapping[tuple[str, ...], Mapping[str, float]]
"""By values of the dimensions: the value of each aggregation."""


def dimension_of(by: str, title: str) -> str:
    """Return the dimension of metrics that a grouping means.

    Args:
        by: one of the groupings of `--by`.
        title: of the server, for the message.

    Raises:
        click.UsageError: only records tell it.
    """
    if by not in DIMENSIONS:
        there = ", ".join(DIMENSIONS)
        raise click.UsageError(f"--by {by} is not available from {title}, only from records; it knows {there}")
    return DIMENSIONS[by]


def as_asked(period: Period) -> Period:
    """Return the period that a query is about: it begins at a full minute, where it is over 48 hours at a full hour."""
    return Period(*_window(period).bounds(period.end))


def _window(period: Period) -> Window:
    """Return the rolling window that a period is, asked about at its end."""
    return Window(seconds=max(1, period.length // timedelta(seconds=1)))


class Asked:
    """A source that is asked for the figures of calls.

    Args:
        source: who is asked.

    Attributes:
        unknown: figures that it cannot tell, by their keys in JSON; complete once `figures` was called.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.unknown: set[str] = set(_NOT_EXPORTED)

    def unknown_in_words(self) -> list[str]:
        """Return what it cannot tell, as it is called in sentences."""
        words = _NOT_EXPORTED | _NOT_KEPT
        return list(dict.fromkeys(word for key, word in words.items() if key in self.unknown))

    def figures(self, period: Period, group_by: tuple[str, ...] = ()) -> dict[tuple[str, ...], Figures]:
        """Return the figures of the calls of a period by group; all but what is `unknown`.

        Args:
            period: over what time.
            group_by: dimensions of the metrics of calls.

        Raises:
            SourceError: the source cannot be asked.
        """
        window = _window(period)
        timings = {
            "latency": Query(sc.LLM_DURATION.name, window, filters=(Filter(sc.OUTCOME, ("ok",)),), group_by=group_by),
            "time_to_first_token": Query(sc.LLM_TTFT.name, window, group_by=group_by),
        }
        asked = {
            "calls": Query(sc.LLM_CALLS.name, window, group_by=(*group_by, sc.OUTCOME)),
            "cost": Query(sc.LLM_COST.name, window, group_by=group_by),
            "unknown": Query(sc.LLM_UNKNOWN_COST.name, window, group_by=group_by),
            "tokens": Query(sc.LLM_TOKENS.name, window, group_by=(*group_by, sc.TOKEN_TYPE)),
            "errors": Query(sc.LLM_ERRORS.name, window, group_by=(*group_by, sc.ERROR_TYPE)),
            **{name: Query(metric, window, group_by=group_by) for name, metric in _SUMS.items()},
        }
        of_timings = [replace(query, aggregation=each) for query in timings.values() for each in _DURATIONS]
        answers = iter(self._source.answer([*asked.values(), *of_timings], period.end))
        counted = {name: next(answers) for name in asked}
        durations = {name: _by_aggregation(_DURATIONS, answers, group_by) for name in timings}
        extremes = self._extremes(timings, period.end, group_by)
        found = dict(_counted(counted, group_by))
        for name in timings:
            for labels, values in durations[name].items():
                if labels in found:
                    setattr(found[labels], name, latency_of(values, extremes.get(name, {}).get(labels, {})))
        return found

    def total(self, period: Period) -> Figures:
        """Return the figures of all calls of a period."""
        return self.figures(period).get((), Figures())

    def cost(self, period: Period) -> Figures:
        """Return calls and cost of a period, and nothing else."""
        names = {"calls": sc.LLM_CALLS.name, "cost": sc.LLM_COST.name, "unknown": sc.LLM_UNKNOWN_COST.name}
        queries = [Query(metric, _window(period)) for metric in names.values()]
        figures = Figures()
        for name, answers in zip(names, self._source.answer(queries, period.end), strict=True):
            for answer in answers:
                setattr(figures, name, _number(name, answer))
        return figures

    def knew_before(self, moment: datetime) -> bool:
        """Whether there were calls in the week before a moment: a server does not say how far its data go back."""
        return bool(self.cost(Period(moment - _LOOK_BACK, moment)).calls)

    def _extremes(
        self, timings: Mapping[str, Query], now: datetime, group_by: tuple[str, ...]
    ) -> Mapping[str, _Values]:
        """Return the shortest and longest durations in seconds; nothing where the source does not keep them."""
        queries = [replace(query, aggregation=each) for query in timings.values() for each in _EXTREMES]
        try:
            answers = iter(self._source.answer(queries, now))
        except SourceError:  # the source has answered a moment ago, so it is this that it cannot tell
            self.unknown |= _NOT_KEPT.keys()
            return {}
        return {name: _by_aggregation(_EXTREMES, answers, group_by) for name in timings}


def latency_of(values: Mapping[str, float], extremes: Mapping[str, float]) -> Latency:
    """Return durations that have this number, sum, percentiles and extremes, in seconds.

    A percentile that is asked for again comes out as it went in, within the bucket that it lies in.
    """
    count = round(values["count"])
    lanes = done = 0
    for name in _PERCENTILES:
        rank = max(1, math.ceil(count * float(name[1:]) / 100))
        lanes += lane_of(1000 * values[name]) * (rank - done)
        done = rank
    least, most = (
        extremes.get(name, values[other]) * 1000 for name, other in zip(_EXTREMES, ("p50", "p99"), strict=True)
    )
    lanes += lane_of(most) * (count - done)
    return Latency(count, values["sum"] * 1000, least, most, lanes)


def _by_aggregation(names: Sequence[str], answers: Iterator[list[Answer]], group_by: tuple[str, ...]) -> _Values:
    """Return the values of queries that differ in their aggregation only; groups without data are left out."""
    found: dict[tuple[str, ...], dict[str, float]] = {}
    for name in names:
        for answer in next(answers):
            if answer.value is not None:
                found.setdefault(_labels(answer, group_by), {})[name] = answer.value
    return {labels: values for labels, values in found.items() if len(values) == len(names)}


def _counted(
    counted: Mapping[str, Sequence[Answer]], group_by: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Figures]]:
    found: dict[tuple[str, ...], Figures] = {}
    for answer in counted["calls"]:
        figures = found.setdefault(_labels(answer, group_by), Figures())
        outcome, calls = answer.labels[sc.OUTCOME], round(answer.value or 0)
        figures.calls += calls
        figures.outcomes[outcome] = figures.outcomes.get(outcome, 0) + calls
    for name, answers in counted.items():
        for answer in answers:
            figures = found.get(_labels(answer, group_by), Figures())  # what has no calls is shown nowhere
            if name == "errors":
                if answer.value:
                    figures.errors[answer.labels[sc.ERROR_TYPE]] = round(answer.value)
            elif name == "tokens":
                if answer.labels[sc.TOKEN_TYPE] in _TOKENS:
                    setattr(figures, answer.labels[sc.TOKEN_TYPE], round(answer.value or 0))
            elif name != "calls":
                setattr(figures, name, _number(name, answer))
    yield from found.items()


def _number(name: str, answer: Answer) -> float:
    value = answer.value or 0.0
    return value if name in ("cost", "baseline") else round(value)


def _labels(answer: Answer, group_by: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(answer.labels[name] for name in group_by)
