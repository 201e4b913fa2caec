"""What a rule asks: a frozen tree of measures, numbers, arithmetic, comparisons and logic, built with operators."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal, NoReturn

import msgspec

from attune_monitoring.errors import ConfigError
from attune_monitoring.query import Query

__all__ = ["Arithmetic", "Comparison", "Expression", "Logic", "Measure", "Not", "Number", "evaluate", "measures"]

Values = Mapping[Query, float | None]
"""What each query of an expression came to, for one combination of labels; None is no data."""

_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}


class Expression(msgspec.Struct, frozen=True):
    """A node. Numbers take part in arithmetic and comparisons as they are; conditions are joined with `&`, `|`, `~`."""

    is_condition: ClassVar[bool] = False

    def __add__(self, other: Expression | float) -> Arithmetic:
        return Arithmetic("+", self, _node(other))

    def __radd__(self, other: float) -> Arithmetic:
        return Arithmetic("+", _node(other), self)

    def __sub__(self, other: Expression | float) -> Arithmetic:
        return Arithmetic("-", self, _node(other))

    def __rsub__(self, other: float) -> Arithmetic:
        return Arithmetic("-", _node(other), self)

    def __mul__(self, other: Expression | float) -> Arithmetic:
        return Arithmetic("*", self, _node(other))

    def __rmul__(self, other: float) -> Arithmetic:
        return Arithmetic("*", _node(other), self)

    def __truediv__(self, other: Expression | float) -> Arithmetic:
        return Arithmetic("/", self, _node(other))

    def __rtruediv__(self, other: float) -> Arithmetic:
        return Arithmetic("/", _node(other), self)

    def __neg__(self) -> Arithmetic:
        return Arithmetic("-", Number(0.0), self)

    def __gt__(self, other: Expression | float) -> Comparison:
        return Comparison(">", self, _node(other))

    def __ge__(self, other: Expression | float) -> Comparison:
        return Comparison(">=", self, _node(other))

    def __lt__(self, other: Expression | float) -> Comparison:
        return Comparison("<", self, _node(other))

    def __le__(self, other: Expression | float) -> Comparison:
        return Comparison("<=", self, _node(other))

    def equals(self, other: Expression | float) -> Comparison:
        """Return the condition that both are the same number; `==` compares the trees themselves."""
        return Comparison("==", self, _node(other))

    def __and__(self, other: Expression) -> Logic:
        return Logic("and", self, _condition(other))

    def __or__(self, other: Expression) -> Logic:
        return Logic("or", self, _condition(other))

    def __invert__(self) -> Not:
        return Not(_condition(self))

    def __bool__(self) -> NoReturn:
        raise ConfigError(
            "a rule's condition has no truth value of its own: write & for `and`, | for `or`, ~ for `not`, each "
            "comparison in parentheses, and (a > 1) & (a < 5) instead of 1 < a < 5"
        )


class Number(Expression, frozen=True):
    """A constant."""

    value: float

    def __str__(self) -> str:
        return f"{self.value:g}"


class Measure(Expression, frozen=True):
    """What a query comes to.

    Args:
        query: the question; the rule adds the dimensions that it is evaluated by.
        text: how it was written, for messages.
        factor: what the answer is multiplied by: 1000 for milliseconds of a duration in seconds, 100 for percent.
    """

    query: Query
    text: str
    factor: float = 1.0

    def __str__(self) -> str:
        return self.text


class Arithmetic(Expression, frozen=True):
    """Two values joined by + - * or /; dividing by zero is no data."""

    operator: Literal["+", "-", "*", "/"]
    left: Expression
    right: Expression

    def __post_init__(self) -> None:
        _value(self.left)
        _value(self.right)

    def __str__(self) -> str:
        return f"({self.left} {self.operator} {self.right})"


class Comparison(Expression, frozen=True):
    """A condition on two values."""

    is_condition = True
    operator: Literal[">", ">=", "<", "<=", "==", "!="]
    left: Expression
    right: Expression

    def __post_init__(self) -> None:
        _value(self.left)
        _value(self.right)

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right}"


class Logic(Expression, frozen=True):
    """Two conditions joined by `and` or `or`; no data on one side decides nothing that the other does."""

    is_condition = True
    operator: Literal["and", "or"]
    left: Expression
    right: Expression

    def __post_init__(self) -> None:
        _condition(self.left)
        _condition(self.right)

    def __str__(self) -> str:
        return f"({self.left}) {self.operator} ({self.right})"


class Not(Expression, frozen=True):
    """The opposite of a condition; of no data it is no data."""

    is_condition = True
    condition: Expression

    def __str__(self) -> str:
        return f"not ({self.condition})"


def evaluate(expression: Expression, values: Values) -> tuple[bool | None, float | None]:
    """Return whether a condition holds (None: no data), and the value that it is about.

    The value is that of the left side of the first comparison that stands for itself: of `a > 1 and b > 2` that of `a`.

    Args:
        expression: a condition.
        values: what each measure's query came to.
    """
    if isinstance(expression, Logic):
        left, value = evaluate(expression.left, values)
        right, other = evaluate(expression.right, values)
        decides = expression.operator == "or"
        if left is decides or right is decides:
            return decides, value if value is not None else other
        return (None if left is None or right is None else not decides), value if value is not None else other
    if isinstance(expression, Not):
        holds, value = evaluate(expression.condition, values)
        return (None if holds is None else not holds), value
    if isinstance(expression, Comparison):
        got, wanted = _number(expression.left, values), _number(expression.right, values)
        if got is None or wanted is None:
            return None, got
        return _COMPARISONS[expression.operator](got, wanted), got
    raise ConfigError(f"no condition: {expression}; compare it with something, as in {expression} > 0")


def measures(expression: Expression) -> Iterator[Measure]:
    """Yield the measures in an expression, from left to right."""
    if isinstance(expression, Measure):
        yield expression
    elif isinstance(expression, (Arithmetic, Comparison, Logic)):
        yield from measures(expression.left)
        yield from measures(expression.right)
    elif isinstance(expression, Not):
        yield from measures(expression.condition)


def _number(expression: Expression, values: Values) -> float | None:
    if isinstance(expression, Number):
        return expression.value
    if isinstance(expression, Measure):
        value = values.get(expression.query)
        return None if value is None else value * expression.factor
    if isinstance(expression, Arithmetic):
        left, right = _number(expression.left, values), _number(expression.right, values)
        if left is None or right is None or (expression.operator == "/" and right == 0):
            return None
        result = _ARITHMETIC[expression.operator](left, right)
        return result if math.isfinite(result) else None
    raise ConfigError(f"a number is needed where this condition stands: {expression}")


def _node(value: Any) -> Expression:
    if isinstance(value, Expression):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return Number(float(value))
    raise ConfigError(f"no number and no measure: {value!r:.60}")


def _value(expression: Expression) -> Expression:
    if expression.is_condition:
        raise ConfigError(f"a number is needed where this condition stands: {expression}")
    return expression


def _condition(expression: Any) -> Expression:
    if not isinstance(expression, Expression) or not expression.is_condition:
        raise ConfigError(
            f"no condition: {expression!s:.80}; compare it with something (and put comparisons into parentheses: "
            "& and | bind stronger than > does)"
        )
    return expression
