"""What the rules see at one moment: rules and a source in, one observation for each combination of labels out."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from attune_monitoring.errors import ConfigError
from attune_monitoring.query import Answer, Query, Source
from attune_monitoring.redaction import redact

from .expression import Arithmetic, Comparison, Expression, Logic, Measure, Not, evaluate, measures
from .metrics import Quantity, dimension_of, m
from .rule import AlertRule

__all__ = ["Glance", "Observation", "Observed", "Values", "observe"]

_SUMS = ("sum", "rate", "count")
_ERROR_LENGTH = 500
_Combination = tuple[str, ...]


class Observation(NamedTuple):
    """What a rule sees for one combination of labels."""

    labels: Mapping[str, str]
    """Under the names that the rule's `by` has."""
    holds: bool | None
    """Whether the condition holds; None is no data."""
    ends: bool | None
    """Whether `resolve_when` holds; None is no data, or the rule has none."""
    value: float | None
    """What the condition is about, where there is one."""


class Observed(NamedTuple):
    """What a rule sees: observations, or why it cannot be evaluated."""

    observations: tuple[Observation, ...] = ()
    error: str = ""


def observe(rules: Sequence[AlertRule], source: Source, now: float) -> list[Observed]:
    """Evaluate rules at one moment; one `Observed` for each, in their order.

    The source is asked once for all the queries of rules with the same `eval_delay`. Where it refuses, each rule asks
    for its own, so that only those whose queries make no sense are in error. A function is run once for nothing, with
    None for every number, to learn what it will ask; what it asks only later is asked then, once for all rules.

    Args:
        rules: what to evaluate; disabled ones as well.
        source: who answers.
        now: seconds since the epoch.
    """
    memo = _Memo(source, now)
    foreseen = [_foreseen(rule, memo.moment(rule.eval_delay)) for rule in rules]
    memo.ask_together(
        (rule.eval_delay, _grouped(query, rule))
        for rule, queries in zip(rules, foreseen, strict=True)
        for query in queries
    )
    return [_observe(rule, queries, memo) for rule, queries in zip(rules, foreseen, strict=True)]


class Glance:
    """Tells cheaply that a rule's condition holds nowhere, as it does nearly always: for replaying the past.

    It takes any number of samples for enough: where it does not tell so, `observe` may still find it.

    Args:
        rule: a rule with a condition.
    """

    def __init__(self, rule: AlertRule) -> None:
        self._condition = rule.when
        asked = _foreseen(rule.changed(resolve_when=None, enabled=True), datetime.fromtimestamp(0, UTC))
        divided = {} if rule.when is None else dict(_quotients(rule.when))
        self._zeros: dict[Query, float | None] = {query: 0.0 if query in divided else None for query in asked}
        self.queries = [_grouped(query, rule) for query in asked]
        self._is_grouped = bool(rule.by)
        self._seen: list[list[Answer]] = []
        self._quiet = False

    def is_quiet(self, answers: list[list[Answer]]) -> bool:
        """Whether the condition holds nowhere.

        Args:
            answers: to `queries`.
        """
        if len(answers) == len(self._seen) and all(map(operator.is_, answers, self._seen)):
            return self._quiet
        values: dict[_Combination, dict[Query, float | None]] = {}
        for query, found in zip(self._zeros, answers, strict=True):
            for answer in found:
                labels = tuple(answer.labels.values())
                if labels not in values:
                    values[labels] = self._zeros.copy()
                values[labels][query] = answer.value
        if not self._is_grouped:
            values.setdefault((), self._zeros.copy())
        condition = self._condition
        self._quiet = condition is not None and not any(evaluate(condition, each)[0] for each in values.values())
        self._seen = answers
        return self._quiet


class Values:
    """The numbers of one combination of labels, for a rule's function: `values.errors.sum("5m")`.

    It has the metrics and methods of `m`; they return the number, or None where there is no data.

    Args:
        labels: the combination, under the names of the rule's `by`.
        now: when the windows end.
        read: returns the number of a measure.
    """

    def __init__(self, labels: Mapping[str, str], now: datetime, read: Callable[[Measure], float | None]) -> None:
        self.labels = labels
        self.now = now
        self._read = read

    def __getattr__(self, name: str) -> _Numbers:
        return _Numbers(getattr(m, name), self._read)


class _Numbers:
    """A `Quantity` whose methods return numbers."""

    def __init__(self, quantity: Quantity, read: Callable[[Measure], float | None]) -> None:
        self._quantity = quantity
        self._read = read

    def __getattr__(self, name: str) -> Callable[..., float | None]:
        ask = getattr(self._quantity, name)
        return lambda *window, **where: self._read(ask(*window, **where))


class _Memo:
    """What the source has answered at one moment."""

    def __init__(self, source: Source, now: float) -> None:
        self._source = source
        self._now = now
        self._answers: dict[tuple[float, Query], dict[_Combination, Answer]] = {}

    def moment(self, delay: float) -> datetime:
        return datetime.fromtimestamp(self._now - delay, UTC)

    def ask_together(self, wanted: Iterable[tuple[float, Query]]) -> None:
        by_delay: dict[float, dict[Query, None]] = {}
        for delay, query in wanted:
            by_delay.setdefault(delay, {})[query] = None
        for delay, queries in by_delay.items():
            try:
                self.answers(list(queries), delay)
            except Exception:  # nosec B112  # each rule asks again for its own and keeps the error
                continue

    def answers(self, queries: Sequence[Query], delay: float) -> list[dict[_Combination, Answer]]:
        missing = [query for query in queries if (delay, query) not in self._answers]
        if missing:
            for query, found in zip(missing, self._source.answer(missing, self.moment(delay)), strict=True):
                self._answers[delay, query] = {
                    tuple(answer.labels[name] for name in query.group_by): answer for answer in found
                }
        return [self._answers[delay, query] for query in queries]


def _foreseen(rule: AlertRule, moment: datetime) -> list[Query]:
    """Return the queries of a rule; those of a function as far as they are known beforehand."""
    if not rule.enabled:
        return []
    asked = [
        measure
        for expression in (rule.when, rule.resolve_when)
        if expression is not None
        for measure in measures(expression)
    ]
    if rule.function is not None:
        try:
            rule.function(Values(dict.fromkeys(rule.by, ""), moment, asked.append))
        except Exception:  # nosec B110  # it may not stand None; the evaluation says what is wrong, if anything is
            pass
    return list(dict.fromkeys(measure.query for measure in asked))


def _grouped(query: Query, rule: AlertRule) -> Query:
    if not rule.by:
        return query
    names = tuple(map(dimension_of, rule.by))
    divisor = None if query.divisor is None else msgspec.structs.replace(query.divisor, group_by=names)
    return msgspec.structs.replace(query, group_by=names, divisor=divisor)


def _observe(rule: AlertRule, foreseen: Sequence[Query], memo: _Memo) -> Observed:
    if not rule.enabled:
        return Observed()
    try:
        return Observed(tuple(_observations(rule, foreseen, memo)))
    except Exception as error:
        return Observed(error=redact(f"{type(error).__name__}: {error}", limit=_ERROR_LENGTH))


def _observations(rule: AlertRule, foreseen: Sequence[Query], memo: _Memo) -> Iterator[Observation]:
    reading = _Reading(rule, memo)
    reading.take(foreseen)
    done: set[_Combination] = set()
    while todo := sorted(reading.combinations() - done):  # a function may ask for more while it runs
        for labels in todo:
            done.add(labels)
            holds, value = reading.decide(labels)
            ends = None
            if rule.resolve_when is not None:
                ends = evaluate(rule.resolve_when, reading.values(labels))[0]
            yield Observation(dict(zip(rule.by, labels, strict=True)), holds, ends, value)


class _Reading:
    """What one rule has read."""

    def __init__(self, rule: AlertRule, memo: _Memo) -> None:
        self._rule = rule
        self._memo = memo
        self._found: dict[Query, dict[_Combination, Answer]] = {}
        self._divisors: dict[Query, tuple[Query, ...]] = {}
        for expression in (rule.when, rule.resolve_when):
            if expression is not None:
                self._divisors.update(_quotients(expression))

    def take(self, queries: Iterable[Query]) -> None:
        wanted = [query for query in dict.fromkeys(queries) if query not in self._found]
        grouped = [_grouped(query, self._rule) for query in wanted]
        self._found.update(zip(wanted, self._memo.answers(grouped, self._rule.eval_delay), strict=True))

    def combinations(self) -> set[_Combination]:
        return {labels for found in self._found.values() for labels in found} if self._rule.by else {()}

    def values(self, labels: _Combination) -> dict[Query, float | None]:
        return {query: self._value(query, labels) for query in self._found}

    def decide(self, labels: _Combination) -> tuple[bool | None, float | None]:
        if self._rule.when is not None:
            return evaluate(self._rule.when, self.values(labels))
        named = dict(zip(self._rule.by, labels, strict=True))
        values = Values(named, self._memo.moment(self._rule.eval_delay), lambda measure: self._read(measure, labels))
        holds = self._rule.function(values) if self._rule.function is not None else None
        if holds is not None and not isinstance(holds, bool):
            raise ConfigError(f"the function returned {type(holds).__name__}; return True, False, or None for no data")
        return holds, None

    def _read(self, measure: Measure, labels: _Combination) -> float | None:
        self.take([measure.query])
        value = self._value(measure.query, labels)
        return None if value is None else value * measure.factor

    def _value(self, query: Query, labels: _Combination) -> float | None:
        """Return the number, or None where there are too few samples.

        In a quotient the divisor tells whether there is data: a sum above it has no group where it is zero, and as
        many samples as it has.
        """
        answer = self._found[query].get(labels)
        divisors = self._divisors.get(query)
        if divisors and all(self._value(divisor, labels) is not None for divisor in divisors):
            return 0.0 if answer is None else answer.value
        if answer is None or answer.samples < self._rule.min_samples:
            return None
        return answer.value


def _quotients(expression: Expression) -> Iterator[tuple[Query, tuple[Query, ...]]]:
    """Yield the sums that are divided, each with what it is divided by."""
    if isinstance(expression, Arithmetic) and expression.operator == "/":
        below = tuple(measure.query for measure in measures(expression.right))
        for measure in measures(expression.left):
            if measure.query.aggregation in _SUMS and measure.query not in below:
                yield measure.query, below
    if isinstance(expression, (Arithmetic, Comparison, Logic)):
        yield from _quotients(expression.left)
        yield from _quotients(expression.right)
    elif isinstance(expression, Not):
        yield from _quotients(expression.condition)
