"""Anomalies and forecasts as measures of rules, and the source that answers them from sums by the hour.

They are questions like any other to a rule; a source on its own refuses them, `ModelledSource` around one that knows
its history by the hour answers them: the local folder, SigNoz or Prometheus.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from msgspec.structs import asdict, replace

from attune_monitoring.errors import ConfigError, SourceError
from attune_monitoring.query import Answer, HourlySource, Query, Source, Window, metric_of

from .anomalies import SEASON, THRESHOLD, WEEKS, Expected, expect
from .expression import Comparison, Expression, Logic, Measure, Not, Number
from .forecasts import Projection, profile, project, sentence
from .metrics import dimension_of, measure_of

__all__ = ["Modelled", "ModelledSource", "anomaly", "forecast"]

_HOUR = 3600


class Modelled(Query, frozen=True):
    """A question about a counter that history answers.

    Args:
        model: `anomaly`: how many robust standard deviations the last hour, or this one so far, lies above what is
            expected. `forecast`: what the calendar window will come to at its end.
    """

    model: Literal["anomaly", "forecast"] = "anomaly"

    def plain(self) -> Query:
        """Return the question about the counter itself."""
        fields = asdict(self)
        del fields["model"]
        return Query(**fields)

    def check(self) -> None:
        """Refuse: only `ModelledSource` answers it."""
        raise SourceError(
            f"{self.model}: this source has no sums by the hour; ask the local folder, SigNoz or Prometheus"
        )


def anomaly(
    metric: str, *, by: str | Sequence[str] = (), threshold: float = THRESHOLD, **where: str | tuple[str, ...]
) -> Comparison:
    """Return the condition that an hour's sum is unusually high for its hour of the week.

    It looks at the last whole hour and at the present one so far. With less than two weeks of history there is no data.

    Args:
        metric: a counter: cost, calls, tokens, errors …
        by: dimensions; a rule with this condition is evaluated by them.
        threshold: robust standard deviations; see benchmarks/anomaly.py for false alarms.
        where: conditions on dimensions.

    Raises:
        ConfigError: there is no such counter or dimension.
    """
    names = (by,) if isinstance(by, str) else tuple(by)
    more = (f"by={names[0] if len(names) == 1 else list(names)!r}",) if names else ()
    measure = _modelled("anomaly", metric, Window(seconds=_HOUR), more, names, where)
    return measure > threshold


def forecast(metric: str, period: str = "month", **where: str | tuple[str, ...]) -> Measure:
    """Return what a counter will come to at the end of the day, week or month: `forecast("cost", "month") > 500`.

    Args:
        metric: a counter: cost, calls, tokens, errors …
        period: day, week or month, in local time.
        where: conditions on dimensions.

    Raises:
        ConfigError: there is no such counter, period or dimension.
    """
    if period not in ("today", "day", "week", "month"):
        raise ConfigError(f"no period to foresee: {period!r:.40}; write day, week or month")
    return _modelled("forecast", metric, Window.of(period), (repr(period),), (), where)


def _modelled(
    model: Literal["anomaly", "forecast"],
    metric: str,
    window: Window,
    more: tuple[str, ...],
    by: tuple[str, ...],
    where: Mapping[str, Any],
) -> Measure:
    plain = measure_of(metric, "sum", window, where).query
    if metric_of(plain.metric).instrument != "counter":
        raise ConfigError(f"{model} of {metric}: only counters have sums by the hour: cost, calls, tokens, errors …")
    query = Modelled(**{**asdict(plain), "group_by": tuple(map(dimension_of, by))}, model=model)
    try:
        query.plain().check()
    except SourceError as error:
        raise ConfigError(str(error)) from error
    conditions = (f"{key}={value!r}" for key, value in where.items())
    return Measure(query, f"{model}({', '.join((metric, *more, *conditions))})")


class _Past(NamedTuple):
    """What is known of one group at an hour, before the two hours that may still change."""

    hours: dict[int, float]
    expected: dict[float, tuple[Expected | None, Expected | None]]
    """By the last hour's sum: what is expected of that hour and of this one."""
    profiles: dict[float, tuple[Sequence[float], float]]
    """By beginning of a period: the weekdays' weights, and the period's sum in `hours`."""


class ModelledSource:
    """A source that answers anomalies and forecasts too.

    History is read once an hour, the last two hours each time; what is expected of an hour is worked out once.

    Args:
        source: who answers everything else, and knows its history by the hour.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.name = source.name
        self._hourly = source if isinstance(source, HourlySource) else None
        self._past: dict[tuple[Query, float], dict[tuple[str, ...], _Past]] = {}

    def changed(self) -> bool:
        """Take in what is new; return whether there was anything."""
        return self.source.changed()

    def answer(self, queries: Sequence[Query], now: datetime) -> list[list[Answer]]:
        """Return the answers to each query.

        Raises:
            SourceError: a query makes no sense, or the source has no history by the hour.
        """
        if not any(isinstance(query, Modelled) for query in queries):
            return self.source.answer(queries, now)
        plain = iter(self.source.answer([query for query in queries if not isinstance(query, Modelled)], now))
        return [
            self._answer(query, now.timestamp()) if isinstance(query, Modelled) else next(plain) for query in queries
        ]

    def tell(self, condition: Expression | None, labels: Mapping[str, str], now: float) -> str:
        """Return in words what the first anomaly or forecast in a condition says; nothing where there is none.

        Args:
            condition: of a rule.
            labels: the combination of an alert, under long or short names.
            now: seconds since the epoch.
        """
        found = _first(condition)
        if found is None:
            return ""
        query, limit = found
        names = tuple(map(dimension_of, labels))
        query = replace(query, group_by=names)
        key = tuple(labels.values())
        metric = query.metric.rpartition(".")[2]
        unit = metric_of(query.metric).unit.strip("{}")
        if query.model == "forecast":
            projection = self._projections(query, now).get(key)
            return "" if projection is None else sentence(projection, limit, query.window.calendar or "day", unit=unit)
        _, value, expected = self._scores(query, now).get(key, (None, 0.0, None))
        if expected is None:
            return ""
        return f"{metric} of an hour is {value:.6g} {unit} where {expected.value:.6g} was expected"

    # --- inside
    def _answer(self, query: Modelled, now: float) -> list[Answer]:
        query.plain().check()
        values: dict[tuple[str, ...], float | None]
        if query.model == "forecast":
            values = {labels: projection.total for labels, projection in self._projections(query, now).items()}
        else:
            values = {labels: score for labels, (score, _, _) in self._scores(query, now).items()}
        return [
            Answer(dict(zip(query.group_by, labels, strict=True)), value, 1) for labels, value in sorted(values.items())
        ]

    def _projections(self, query: Modelled, now: float) -> dict[tuple[str, ...], Projection]:
        moment = datetime.fromtimestamp(now, UTC)
        start = query.window.bounds(moment)[0].timestamp()
        end = replace(query.window, back=-1).bounds(moment)[0].timestamp()
        found = {}
        for labels, past, last, this in self._groups(query, now):
            if start not in past.profiles:
                spent = sum(value for hour, value in past.hours.items() if hour >= start)
                past.profiles[start] = profile(past.hours, now - 2 * _HOUR), spent
            weights, spent = past.profiles[start]
            recent = sum(value for hour, value in zip(_last_two(now), (last, this), strict=True) if hour >= start)
            projection = project(spent + recent, start, end, now, weights)
            if projection is not None:
                found[labels] = projection
        return found

    def _scores(
        self, query: Modelled, now: float
    ) -> dict[tuple[str, ...], tuple[float | None, float, Expected | None]]:
        """Return score, sum and expectation of the more unusual of the last hour and this one."""
        found: dict[tuple[str, ...], tuple[float | None, float, Expected | None]] = {}
        for labels, past, last, this in self._groups(query, now):
            if last not in past.expected:
                first, end = min(past.hours, default=0), _last_two(now)[0]
                row = [past.hours.get(hour, 0.0) for hour in range(first, end, _HOUR)] if past.hours else []
                past.expected[last] = expect(row), expect([*row, last])
            pairs = zip((last, this), past.expected[last], strict=True)
            scored = [(each.score(value), value, each) for value, each in pairs if each is not None]
            found[labels] = max(scored, key=lambda one: one[0]) if scored else (None, last, None)
        return found

    def _groups(self, query: Modelled, now: float) -> Iterator[tuple[tuple[str, ...], _Past, float, float]]:
        """Yield each group with what is known of it, the last whole hour's sum and this hour's."""
        if self._hourly is None:
            query.check()
            return
        plain, (last, this) = query.plain(), _last_two(now)
        past = self._past.get((plain, last))
        if past is None:
            for stale in [key for key in self._past if key[1] != last]:
                del self._past[stale]
            hourly = self._hourly.hourly(plain, last - WEEKS * SEASON * _HOUR, last)
            past = self._past[plain, last] = {labels: _Past(hours, {}, {}) for labels, hours in hourly.items()}
        recent = self._hourly.hourly(plain, last, now)
        for labels in recent.keys() - past.keys():
            past[labels] = _Past({}, {}, {})
        for labels, known in past.items():
            hours = recent.get(labels, {})
            yield labels, known, hours.get(last, 0.0), hours.get(this, 0.0)


def _last_two(now: float) -> tuple[int, int]:
    """Return the beginnings of the last whole hour and of this one."""
    this = int(now // _HOUR) * _HOUR
    return this - _HOUR, this


def _first(condition: Expression | None) -> tuple[Modelled, float] | None:
    if isinstance(condition, Logic):
        return _first(condition.left) or _first(condition.right)
    if isinstance(condition, Not):
        return _first(condition.condition)
    if isinstance(condition, Comparison) and isinstance(condition.left, Measure):
        query = condition.left.query
        if isinstance(query, Modelled) and isinstance(condition.right, Number):
            return query, condition.right.value
    return None
