"""Finds what is wrong with rules that can be read: those that never fire, never end, or mean something else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal

import msgspec
from msgspec.structs import replace

from attune_monitoring import semconv as sc
from attune_monitoring.errors import SourceError
from attune_monitoring.query import Aggregation, Filter, Query, Source, Window
from attune_monitoring.schema import nearest, shown

from .expression import Arithmetic, Comparison, Expression, Measure, measures
from .metrics import DIMENSIONS, METRICS, dimension_of
from .ranges import atom_of, can_hold, nodes, variables
from .rule import AlertRule

__all__ = ["Finding", "lint"]

_MANY_SERIES = 20
_LOOK_BACK = Window.of("7d")
_HOUR = 3600.0
_SHORT = {full: short for short, full in DIMENSIONS.items()}
_WORDS = {
    sc.OUTCOME: ("ok", "error", "cancelled"),
    sc.TOKEN_TYPE: ("input", "output", "cache_read", "cache_write", "reasoning"),
}
_TIMES = {metric.name for metric in METRICS.values() if metric.instrument == "histogram"}
_OF_ONE_CALL = ("avg", "min", "max", "p50", "p95", "p99")


class Finding(msgspec.Struct, frozen=True):
    """One thing to look at.

    Args:
        severity: `error` where the rule cannot do what it was written for, `warning` where it probably does not.
        rule: name of the rule.
        message: what is wrong, and what to do.
    """

    severity: Literal["error", "warning"]
    rule: str
    message: str


def lint(
    rules: Sequence[AlertRule], *, interval: float = 60.0, source: Source | None = None, now: datetime | None = None
) -> list[Finding]:
    """Return what is wrong with rules, in their order.

    Args:
        rules: all the rules of a file.
        interval: seconds between two evaluations.
        source: whose data to hold names against; without it only the rules themselves are looked at.
        now: an aware time at which the source is asked; needed with a source.
    """
    counts = Counter(rule.name for rule in rules)
    findings = []
    for rule in rules:
        if counts[rule.name] > 1:
            findings.append(Finding("error", rule.name, f"{counts[rule.name]} rules have this name; rename them"))
        findings += [Finding("error", rule.name, message) for message in _impossible(rule)]
        findings += [Finding("warning", rule.name, message) for message in _doubtful(rule, interval)]
        if source is not None and now is not None:
            findings += _against(rule, source, now)
    return findings


def _impossible(rule: AlertRule) -> Iterator[str]:
    if rule.when is not None:
        if not can_hold(rule.when):
            yield f"it never fires: {rule.when} cannot hold"
        elif not can_hold(~rule.when):
            yield f"it always fires when there is data: {rule.when} holds whatever is measured"
    if rule.resolve_when is not None and not can_hold(rule.resolve_when):
        yield f"it never ends: {rule.resolve_when} cannot hold"


def _doubtful(rule: AlertRule, interval: float) -> Iterator[str]:
    if not rule.actions:
        yield "it has no action and tells nobody; name a channel"
    if 0 < rule.for_ < interval:
        yield f"`for` is shorter than the {interval:g} s between two evaluations, so it waits for nothing"
    if 0 < rule.cooldown < interval:
        yield f"`cooldown` is shorter than the {interval:g} s between two evaluations: it is told again at each of them"
    if rule.no_data == "keep" and rule.by:
        yield f"with no_data: keep an alert whose {', '.join(rule.by)} is gone never ends; write no_data: ok"
    if rule.when is None:
        return
    for measure in dict.fromkeys(measures(rule.when)):
        window = measure.query.window
        if window.calendar is None and window.seconds < interval:
            yield f"{measure} misses calls: its window is shorter than the {interval:g} s between two evaluations"
    ends = rule.resolve_when
    if ends is not None and variables(ends) <= variables(rule.when) and can_hold(rule.when, ends):
        yield f"it can end while it fires: {ends} can hold where {rule.when} does; set them apart"
    yield from _few_samples(rule, rule.when)
    yield from _units(rule.when)


def _few_samples(rule: AlertRule, when: Expression) -> Iterator[str]:
    if rule.min_samples:
        return
    floors = {atom.variable for atom in map(atom_of, _comparisons(when)) if atom.sign in (">", ">=") and atom.threshold}
    counted = {floor.query.metric for floor in floors if isinstance(floor, Measure)}
    for node in nodes(when):
        if isinstance(node, Arithmetic) and node.operator == "/" and isinstance(node.left, Measure):
            for whole in measures(node.right):
                if whole.query.metric not in counted:
                    yield f"{node} may be of a single call; write min_samples: 20, or `and {whole} >= 20`"


def _units(when: Expression) -> Iterator[str]:
    for comparison in _comparisons(when):
        variable, _, threshold = atom_of(comparison)
        for measure in measures(variable):
            is_time = measure.query.metric in _TIMES and measure.query.aggregation in _OF_ONE_CALL
            if measure.factor == 100 and 0 < threshold < 1:
                yield f"{comparison}: rates are percent, and {threshold:g} % is little; write {threshold * 100:g}?"
            if is_time and measure.factor == 1 and threshold >= _HOUR:
                yield f"{comparison}: durations are seconds, and {threshold:g} is over an hour"
            if is_time and measure.factor == 1000 and 0 < threshold < 10:
                yield f"{comparison}: a latency is milliseconds; for seconds write {threshold * 1000:g}?"


def _comparisons(when: Expression) -> Iterator[Comparison]:
    return (node for node in nodes(when) if isinstance(node, Comparison))


def _against(rule: AlertRule, source: Source, now: datetime) -> Iterator[Finding]:
    """Yield what the data says: questions that the source refuses, values that never occur, too many series."""
    by = tuple(map(dimension_of, rule.by))
    asked = [measure.query for one in (rule.when, rule.resolve_when) if one is not None for measure in measures(one)]
    for query in dict.fromkeys(asked):
        try:
            [answers] = source.answer([replace(query, group_by=by)], now)
        except SourceError as error:
            yield Finding("error", rule.name, f"{source.name} cannot answer it: {error}")
            continue
        if len(answers) > _MANY_SERIES:
            told = (
                "each is told once and never again"
                if not rule.cooldown
                else f"each is told again every {rule.cooldown:g} s"
            )
            message = (
                f"{len(answers)} alerts could fire at once (by {', '.join(rule.by)}), and {told}; narrow it with where"
            )
            yield Finding("warning", rule.name, message)
        for condition in query.filters:
            yield from _unknown_values(rule, source, now, query, condition)


def _unknown_values(
    rule: AlertRule, source: Source, now: datetime, query: Query, condition: Filter
) -> Iterator[Finding]:
    """Yield the values that nothing of late had; of a fixed set of words some may well not have occurred."""
    dimension = condition.dimension
    known: set[str] = set(_WORDS.get(dimension, ()))
    where = "there is no"
    if not known:
        where = "no record of the last 7 days has the"
        aggregation: Aggregation = "count" if query.metric in _TIMES else "sum"
        try:
            [answers] = source.answer([Query(query.metric, _LOOK_BACK, aggregation, (), (dimension,))], now)
        except SourceError:
            return
        known = {answer.labels[dimension] for answer in answers}
    for value in condition.values if known else ():
        if value not in known:
            message = f"{where} {_SHORT[dimension]} {shown(value)}{nearest(value, known)}"
            yield Finding("warning", rule.name, message)
