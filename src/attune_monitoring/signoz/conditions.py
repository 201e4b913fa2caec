"""The condition of an alert rule as one ClickHouse query, whose rows are the values that a threshold is held against.

Every measure is reckoned over its own exact window, as the local folder does it, for each minute that the condition
must have held; rows for which another part of the condition does not hold are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from attune_monitoring import semconv as sc
from attune_monitoring.alerts.expression import (
    Arithmetic,
    Comparison,
    Expression,
    Logic,
    Measure,
    Not,
    Number,
    measures,
)
from attune_monitoring.alerts.metrics import dimension_of
from attune_monitoring.alerts.modelled import Modelled
from attune_monitoring.alerts.rule import AlertRule
from attune_monitoring.errors import ConfigError
from attune_monitoring.query import MINUTES_FOR, Query, Window, metric_of

from . import sql

__all__ = ["Asked", "asked_by"]

MAX_MINUTES = 60
"""How long a condition may have to hold: each minute is reckoned anew at each evaluation."""

_MINUTE = 60_000
_OPERATORS: Mapping[str, str] = {">": ">", ">=": ">=", "<": "<", "<=": "<=", "==": "=", "!=": "!="}
_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_COUNTED = (sc.LLM_CALLS, sc.WORKFLOW_RUNS)
"""Counters of which each record is one."""


class Asked(NamedTuple):
    """What SigNoz is asked, and what it holds against what."""

    query: str
    operator: Literal[">", ">=", "<", "<=", "==", "!="]
    target: float
    recovery: float | None
    minutes: int
    """Values that must all be beyond the target: one a minute, and one more."""
    window: int
    """Seconds that the longest rolling window looks back; 0 for a calendar window."""
    calendar: Literal["day", "month"] | None


def asked_by(rule: AlertRule) -> Asked:
    """Return what a rule asks.

    Raises:
        ConfigError: SigNoz cannot be asked that; says why.
    """
    if rule.when is None:
        raise ConfigError("a function decides, and SigNoz runs none")
    parts = list(_conjuncts(rule.when))
    main, target = _main(parts)
    windows = {measure.query.window for measure in measures(rule.when)}
    calendar = _calendar(windows)
    minutes = math.ceil(rule.for_ / 60)
    if minutes > MAX_MINUTES:
        raise ConfigError(f"for: {minutes} minutes; at most {MAX_MINUTES} can be looked back at")
    if calendar is not None and minutes:
        raise ConfigError("for: a calendar window is looked at only as it is now")
    others = [part for part in parts if part is not main]
    return Asked(
        query=_Writer(rule, minutes).write(main, others),
        operator=main.operator,
        target=target,
        recovery=_recovery(rule, main),
        minutes=minutes + 1,
        window=max((window.seconds for window in windows), default=0),
        calendar=calendar,
    )


def _conjuncts(condition: Expression) -> Iterator[Comparison]:
    if isinstance(condition, Comparison):
        yield condition
    elif isinstance(condition, Logic) and condition.operator == "and":
        yield from _conjuncts(condition.left)
        yield from _conjuncts(condition.right)
    elif isinstance(condition, Not):
        raise ConfigError(f"`not` has no counterpart: turn the comparison around: {condition}")
    else:
        raise ConfigError("`or` has no counterpart: make two rules of it")


def _main(parts: Sequence[Comparison]) -> tuple[Comparison, float]:
    """Return the comparison that becomes the threshold: one with a number, about what the first is about."""
    for part in parts:
        if part.left == parts[0].left and isinstance(part.right, Number):
            return part, part.right.value
    raise ConfigError(f"a threshold is a number: compare {parts[0].left} with one, in this condition or beside it")


def _recovery(rule: AlertRule, main: Comparison) -> float | None:
    if rule.resolve_when is None:
        return None
    if isinstance(rule.resolve_when, Not) and isinstance(rule.resolve_when.condition, Comparison):
        ends = rule.resolve_when.condition
        if ends.operator == main.operator and ends.left == main.left and isinstance(ends.right, Number):
            return ends.right.value
    raise ConfigError("resolve_when is another condition than `when`; only another threshold (resolve_threshold) is")


def _calendar(windows: set[Window]) -> Literal["day", "month"] | None:
    if any(window.back for window in windows):
        raise ConfigError("a window that does not end now has no counterpart")
    kinds = {window.calendar for window in windows}
    if "week" in kinds:
        raise ConfigError("a calendar week has no counterpart; write 7d")
    if len(kinds) > 1 or (kinds != {None} and len(windows) > 1):
        raise ConfigError("a calendar window stands alone: all measures of the rule must have the same")
    kind = kinds.pop() if kinds else None
    return None if kind is None else ("day" if kind == "day" else "month")


class _Writer:
    """Writes the query of one rule; `parts` are the columns that its measures are made of, each a query of its own."""

    def __init__(self, rule: AlertRule, minutes: int) -> None:
        self._rule = rule
        self._minutes = minutes
        self._groups = {name: f"JSONExtractString(labels, {sql.text(dimension_of(name))})" for name in rule.by}
        self._keys = ", ".join(("moment", *(f"`{name}`" for name in self._groups)))
        self._parts: dict[str, str] = {}
        self._above: set[Query] = set()

    def write(self, main: Comparison, others: Sequence[Comparison]) -> str:
        for part in (main, *others):
            self._above.update(_dividends(part))
        value = self._number(main.left)
        holds = [self._holds(part) for part in others]
        if self._rule.min_samples:
            found = [measure for part in (main, *others) for measure in measures(part)]
            asked = dict.fromkeys(measure.query for measure in found if measure.query not in self._above)
            holds += [f"{self._samples(query)} >= {self._rule.min_samples}" for query in asked]
        rows = " UNION ALL ".join(self._row(column, query) for query, column in self._parts.items())
        columns = ", ".join(f"max({column}) AS {column}" for column in self._parts.values())
        joined = f"SELECT {self._keys}, {columns} FROM ({rows}) GROUP BY {self._keys}"
        conditions = " AND ".join(["isNotNull(result)", "isFinite(result)", *holds])
        names = "".join(f"`{name}`, " for name in self._groups)
        return (
            f"SELECT toDateTime(intDiv(moment, 1000)) AS ts, {names}toFloat64(assumeNotNull(result)) AS value"
            f" FROM (SELECT *, {value} AS result FROM ({joined})) WHERE {conditions} ORDER BY ts"
        )

    def _row(self, column: str, query: str) -> str:
        values = ", ".join(
            f"{'toNullable(toFloat64(value))' if one == column else 'CAST(NULL, ' + repr('Nullable(Float64)') + ')'}"
            f" AS {one}"
            for one in self._parts.values()
        )
        return f"SELECT {self._keys}, {values} FROM ({query})"

    def _holds(self, part: Comparison) -> str:
        return f"{self._number(part.left)} {_OPERATORS[part.operator]} {self._number(part.right)}"

    def _number(self, expression: Expression) -> str:
        if isinstance(expression, Number):
            return sql.number(expression.value)
        if isinstance(expression, Measure):
            written = self._measure(expression.query)
            return written if expression.factor == 1 else f"({written} * {sql.number(expression.factor)})"
        if isinstance(expression, Arithmetic):
            left, right = self._number(expression.left), self._number(expression.right)
            if expression.operator == "/":
                right = f"nullIf({right}, 0)"
            return f"({left} {expression.operator} {right})"
        raise ConfigError(f"a number is needed where this condition stands: {expression}")

    def _measure(self, query: Query) -> str:
        if isinstance(query, Modelled):
            raise ConfigError(f"{query.model}: it is made from sums by the hour, which only the local folder knows")
        is_histogram = metric_of(query.metric).instrument == "histogram"
        kind = query.aggregation
        if kind == "ratio":
            raise ConfigError("a ratio is written as a division of two measures")
        if kind in _QUANTILES:
            written = self._part(query, ".bucket", quantile=_QUANTILES[kind])
        elif kind in ("min", "max"):
            written = self._part(query, f".{kind}", aggregate=kind)
        elif kind == "avg":
            written = f"({self._part(query, '.sum')} / nullIf({self._part(query, '.count')}, 0))"
        else:
            suffix = "" if not is_histogram else ".sum" if kind == "sum" else ".count"
            written = self._part(query, suffix)
            if kind == "rate":
                if not query.window.seconds:
                    raise ConfigError("a rate over a calendar window has no counterpart; write a window like 1h")
                written = f"({written} / {sql.number(query.window.seconds)})"
        # A sum above a divisor that has data is zero where nothing was counted.
        return f"coalesce({written}, 0)" if query in self._above else written

    def _samples(self, query: Query) -> str:
        metric = metric_of(query.metric)
        if metric.instrument == "histogram":
            return self._part(query, ".count")
        if metric in _COUNTED:
            return self._part(query, "")
        raise ConfigError(f"min_samples: SigNoz does not know how many records are behind {query.metric}")

    def _part(self, query: Query, suffix: str, *, quantile: float | None = None, aggregate: str = "sum") -> str:
        where = [sql.one_of(one.dimension, one.values, negated=one.negated) for one in query.filters]
        length = query.window.seconds * 1000
        moments = f"arrayMap(ago -> toInt64({sql.END}) - {_MINUTE} * ago, range({self._minutes + 1}))"
        begin = oldest = sql.START
        if length:
            step = _MINUTE if query.window.seconds <= MINUTES_FOR else 60 * _MINUTE
            begin = f"intDiv(moment - {length}, {step}) * {step}"
            oldest = f"{sql.END} - {length + self._minutes * _MINUTE + step}"
        source = sql.samples_at(query.metric + suffix, where, moments, begin, oldest)
        groups = {"moment": "moment", **self._groups}
        if quantile is None:
            written = sql.total(source, groups, aggregate)
        else:
            written = sql.percentile(source, quantile, groups)
        return self._parts.setdefault(written, f"part{len(self._parts)}")


def _dividends(expression: Expression) -> Iterator[Query]:
    """Yield the sums that are divided by others, as the rules' own evaluation takes them."""
    if isinstance(expression, Arithmetic) and expression.operator == "/":
        below = [measure.query for measure in measures(expression.right)]
        for measure in measures(expression.left):
            if below and measure.query.aggregation in ("sum", "rate", "count") and measure.query not in below:
                yield measure.query
    if isinstance(expression, (Arithmetic, Comparison)):
        yield from _dividends(expression.left)
        yield from _dividends(expression.right)
