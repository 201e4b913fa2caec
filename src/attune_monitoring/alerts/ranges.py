"""Whether conditions can hold at all, or at once, from what their measures can ever come to."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

from attune_monitoring.query import Query

from .expression import Arithmetic, Comparison, Expression, Logic, Measure, Not, Number
from .metrics import METRICS
from .modelled import Modelled

__all__ = ["atom_of", "can_hold", "nodes", "range_of", "variables"]

_MAX_CASES = 4096
_PARTS = {
    METRICS[name].name: METRICS["calls"].name for name in ("errors", "fallbacks", "truncated", "unknown_cost")
} | {METRICS[name].name: METRICS[name].name for name in ("calls", "runs")}
"""Metrics that count some of what another one counts: their share of it is at most one."""
_Sign = Literal[">", ">=", "<", "<=", "==", "!="]
_FLIPPED: dict[_Sign, _Sign] = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!="}


class Atom(NamedTuple):
    """A comparison as a variable against a number."""

    variable: Expression
    sign: _Sign
    threshold: float

    def holds(self, value: float) -> bool:
        """Whether it holds where the variable has this value."""
        match self.sign:
            case ">":
                return value > self.threshold
            case ">=":
                return value >= self.threshold
            case "<":
                return value < self.threshold
            case "<=":
                return value <= self.threshold
            case "==":
                return value == self.threshold
        return value != self.threshold


def nodes(expression: Expression) -> Iterator[Expression]:
    """Yield an expression and everything in it, from left to right."""
    yield expression
    if isinstance(expression, (Arithmetic, Comparison, Logic)):
        yield from nodes(expression.left)
        yield from nodes(expression.right)
    elif isinstance(expression, Not):
        yield from nodes(expression.condition)


def atom_of(comparison: Comparison) -> Atom:
    """Return a comparison with its number on the right; of two variables their difference is compared with zero."""
    left, right = comparison.left, comparison.right
    if isinstance(right, Number):
        return Atom(left, comparison.operator, right.value)
    if isinstance(left, Number):
        return Atom(right, _FLIPPED[comparison.operator], left.value)
    return Atom(left - right, comparison.operator, 0.0)


def variables(*conditions: Expression) -> set[Expression]:
    """Return what the conditions compare with numbers."""
    return {atom.variable for condition in conditions for atom in _atoms(condition)}


def can_hold(*conditions: Expression) -> bool:
    """Return whether there are values for which all the conditions hold.

    Variables are taken as independent of one another, so the answer False is certain, and True is likely. Between two
    neighbouring thresholds nothing changes: thresholds, what lies between them and the ends of a range are all cases.
    """
    thresholds: dict[Expression, set[float]] = {}
    for node in itertools.chain.from_iterable(map(nodes, conditions)):
        if node.is_condition and not isinstance(node, (Comparison, Logic, Not)):
            return True
    for condition in conditions:
        for atom in _atoms(condition):
            thresholds.setdefault(atom.variable, set()).add(atom.threshold)
    cases = [_cases(variable, values) for variable, values in thresholds.items()]
    if math.prod(map(len, cases)) > _MAX_CASES:
        return True
    return any(
        all(_holds(condition, dict(zip(thresholds, case, strict=True))) for condition in conditions)
        for case in itertools.product(*cases)
    )


def _atoms(condition: Expression) -> Iterator[Atom]:
    return (atom_of(node) for node in nodes(condition) if isinstance(node, Comparison))


def _cases(variable: Expression, thresholds: set[float]) -> list[float]:
    low, high = range_of(variable)
    edges = sorted(thresholds)
    between = [(first + second) / 2 for first, second in itertools.pairwise(edges)]
    beyond = [edges[0] - max(1.0, abs(edges[0])), edges[-1] + max(1.0, abs(edges[-1]))]
    return [value for value in {*edges, *between, *beyond, low, high} if math.isfinite(value) and low <= value <= high]


def _holds(condition: Expression, values: dict[Expression, float]) -> bool:
    if isinstance(condition, Logic):
        left, right = _holds(condition.left, values), _holds(condition.right, values)
        return (left and right) if condition.operator == "and" else (left or right)
    if isinstance(condition, Not):
        return not _holds(condition.condition, values)
    if isinstance(condition, Comparison):
        atom = atom_of(condition)
        return atom.holds(values[atom.variable])
    return True


def range_of(expression: Expression) -> tuple[float, float]:
    """Return the smallest and the largest value that an expression can come to; only scores are ever negative."""
    if isinstance(expression, Number):
        return expression.value, expression.value
    if isinstance(expression, Measure):
        query = expression.query
        return -math.inf if isinstance(query, Modelled) and query.model == "anomaly" else 0.0, math.inf
    if not isinstance(expression, Arithmetic):
        return -math.inf, math.inf
    low, high = range_of(expression.left)
    other_low, other_high = range_of(expression.right)
    match expression.operator:
        case "+":
            return low + other_low, high + other_high
        case "-":
            return low - other_high, high - other_low
        case "*":
            products = [_product(one, other) for one in (low, high) for other in (other_low, other_high)]
            return min(products), max(products)
    if isinstance(expression.left, Measure) and isinstance(expression.right, Measure):
        is_share = _is_share(expression.left.query, expression.right.query)
        return 0.0, expression.left.factor / expression.right.factor if is_share else math.inf
    if isinstance(expression.right, Number) and expression.right.value:
        quotients = [low / expression.right.value, high / expression.right.value]
        return min(quotients), max(quotients)
    return (0.0, math.inf) if low >= 0 and other_low >= 0 else (-math.inf, math.inf)


def _product(one: float, other: float) -> float:
    return 0.0 if one == 0 or other == 0 else one * other


def _is_share(part: Query, whole: Query) -> bool:
    return (
        type(part) is type(whole) is Query
        and _PARTS.get(part.metric) == whole.metric
        and part.window == whole.window
        and part.aggregation == whole.aggregation
        and set(whole.filters) <= set(part.filters)
    )
