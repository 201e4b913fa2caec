"""Reads a condition that is written as text, such as `errors.sum("5m") / calls.sum("5m") > 0.05`; runs no code."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, NoReturn

from attune_monitoring.errors import ConfigError
from attune_monitoring.query import AGGREGATIONS
from attune_monitoring.redaction import redact
from attune_monitoring.schema import nearest

from .expression import Arithmetic, Comparison, Expression, Logic, Number
from .metrics import METRICS, MetricType, measure_of
from .modelled import anomaly, forecast

__all__ = ["MAX_DEPTH", "MAX_LENGTH", "MAX_NUMBER", "WhenError", "parse"]

MAX_LENGTH = 1000
"""Characters of a condition."""
MAX_DEPTH = 32
"""Operations inside one another; `and` and `or` of many conditions count once."""
MAX_NUMBER = 1e15
"""Largest number, either way: beyond it neighbouring whole numbers begin to be the same."""

_SHOWN = 72
_READY_MADE: Mapping[str, MetricType] = {kind.value: kind for kind in MetricType}
_ARITHMETIC: Mapping[type[ast.operator], Literal["+", "-", "*", "/"]] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
}
_COMPARISONS: Mapping[type[ast.cmpop], Literal[">", ">=", "<", "<=", "==", "!="]] = {
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_MENDS = {"&&": "write `and`", "||": "write `or`", "%": "rates are percent already; write the number alone"}
_MODELLED: Mapping[str, Callable[..., Expression]] = {"anomaly": anomaly, "forecast": forecast}
_OF_CONDITIONS: Mapping[type[ast.operator], str] = {ast.BitAnd: "write `and`", ast.BitOr: "write `or`"}


class WhenError(ConfigError):
    """A condition cannot be read.

    Args:
        reason: what is wrong, and what to write.
        text: the condition.
        offset: where, in characters from its beginning; None is the condition as a whole.
    """

    def __init__(self, reason: str, text: str, offset: int | None = None) -> None:
        self.reason = reason
        self.column = None if offset is None else offset + 1
        super().__init__(reason if offset is None else f"column {offset + 1}: {reason}\n{_pointed(text, offset)}")


def parse(text: str) -> Expression:
    """Return the condition that a text means, in Python's syntax.

    `cost.sum("24h") > 10` asks a metric of `METRICS` (or one by its own name) over a window, keywords are conditions on
    dimensions: `duration.p95("5m", outcome="ok", model=("a", "b")) > 2`. `daily_cost > 10` is one of `MetricType`, and
    `error_rate("5m", provider="openai") > 5` the same with another window and conditions. `anomaly(cost)` (or, with
    another threshold, `anomaly(cost) > 8`) and `forecast(cost, "month") > 500` are those of `modelled`. Values are
    joined with + - * /, conditions with `and`, `or`, `not`.

    Args:
        text: one condition, at most `MAX_LENGTH` characters; it may go over several lines.

    Raises:
        WhenError: it is none; says where and what to write.
    """
    if len(text) > MAX_LENGTH:
        raise WhenError(f"a condition is at most {MAX_LENGTH} characters long, this one is {len(text)}", text)
    line = re.sub(r"\s", " ", text)
    if not line.strip():
        raise WhenError('no condition; write one, such as cost.sum("24h") > 10', text)
    # On one line a comment would hide what stood on the next ones.
    if line != text and (comment := text.find("#")) >= 0:
        raise WhenError("no comments inside of a condition", line, comment)
    start = len(line) - len(line.lstrip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `1and 2` makes Python's parser warn on stderr
            tree = ast.parse(line[start:], "when", "eval")
    except SyntaxError as error:
        _refuse_syntax(line, start, error)
    except (ValueError, MemoryError, RecursionError) as error:
        raise WhenError("not a condition that can be read", line) from error
    condition = _Reader(line, start).read(tree.body, 0)
    if not condition.is_condition:
        raise WhenError(f"no condition: compare it with a number, as in {line.strip()[:_SHOWN]} > 10", line, start)
    return condition


def _refuse_syntax(line: str, start: int, error: SyntaxError) -> NoReturn:
    for wrong, mend in _MENDS.items():
        if (place := line.find(wrong)) >= 0:
            raise WhenError(mend, line, place) from error
    mend = "look at quotes, parentheses and operators; numbers have no units"
    if error.offset is None:
        raise WhenError(f"{error.msg}; {mend}", line) from error
    end = len(line.rstrip())
    offset = min(start + error.offset - 1, end) if error.offset else end
    if line[offset : offset + 1] == "=":
        raise WhenError("write == to compare", line, offset) from error
    raise WhenError(f"{error.msg}; {mend}", line, offset) from error


def _pointed(text: str, offset: int) -> str:
    """Return the text around a place and a caret under it, fit for a terminal."""
    first = max(0, min(offset - _SHOWN // 2, len(text) - _SHOWN))
    part = "".join(character if character.isprintable() else "?" for character in text[first : first + _SHOWN])
    shown = redact(part)
    # Where a secret was taken out, what follows has moved, and a caret would point at something else.
    return f"  {shown}" if shown != part else f"  {shown}\n  {' ' * (offset - first)}^"


class _Reader:
    """Turns Python's tree into ours; a node that is not named here is refused."""

    def __init__(self, line: str, start: int) -> None:
        self._line = line
        self._bytes = line[start:].encode()
        self._start = start

    def read(self, node: ast.expr, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            raise self._wrong(node, f"more than {MAX_DEPTH} operations inside one another; make several rules of it")
        match node:
            case ast.BoolOp(op=op, values=values):
                word: Literal["and", "or"] = "and" if isinstance(op, ast.And) else "or"
                joined = self.read(values[0], depth + 1)
                for value in values[1:]:
                    joined = self._made(value, Logic, word, joined, self.read(value, depth + 1))
                return joined
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self._made(node, lambda condition: ~condition, self.read(operand, depth + 1))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._negative(node, self.read(operand, depth + 1))
            case ast.BinOp(left=left, op=op, right=right):
                return self._arithmetic(node, left, op, right, depth)
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                return self._comparison(left, ops, comparators, depth)
            case ast.Constant(value=value):
                return self._number(node, value)
            case ast.Name(id=name):
                return self._ready_made(node, name, None, {})
            case ast.Call():
                return self._call(node)
            case ast.Attribute():
                raise self._wrong(
                    node, f'{self._dotted(node)} is asked over a window, as in {self._dotted(node)}("5m")'
                )
        raise self._wrong(
            node, "this is not part of a condition: numbers, metrics, + - * /, comparisons, and, or, not are"
        )

    def _negative(self, node: ast.expr, value: Expression) -> Expression:
        return Number(-value.value) if isinstance(value, Number) else self._made(node, lambda one: -one, value)

    def _arithmetic(self, node: ast.expr, left: ast.expr, op: ast.operator, right: ast.expr, depth: int) -> Expression:
        sign = _ARITHMETIC.get(type(op))
        if sign is None:
            mend = _OF_CONDITIONS.get(type(op), "values are joined with + - * / only")
            raise self._wrong(right, mend, before=True)
        return self._made(node, Arithmetic, sign, self.read(left, depth + 1), self.read(right, depth + 1))

    def _comparison(self, left: ast.expr, ops: list[ast.cmpop], right: list[ast.expr], depth: int) -> Expression:
        if len(ops) > 1:
            raise self._wrong(
                right[1], "one comparison at a time: write a < b and b < c instead of a < b < c", before=True
            )
        if type(ops[0]) not in _COMPARISONS:
            raise self._wrong(right[0], "compare with > >= < <= == !=", before=True)
        values = self._score(left, depth), self._score(right[0], depth)
        return self._made(left, Comparison, _COMPARISONS[type(ops[0])], *values)

    def _score(self, node: ast.expr, depth: int) -> Expression:
        """Read a side of a comparison; `anomaly(cost)` is a condition by itself, and in a comparison its score."""
        value = self.read(node, depth + 1)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and isinstance(value, Comparison):
            return value.left
        return value

    def _number(self, node: ast.expr, value: object) -> Number:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._wrong(node, "a number is needed here, without quotes")
        if not -MAX_NUMBER <= value <= MAX_NUMBER:
            raise self._wrong(node, f"a number this large is no threshold; at most {MAX_NUMBER:g}")
        return Number(float(value))

    def _call(self, node: ast.Call) -> Expression:
        if isinstance(node.func, ast.Name) and node.func.id in _MODELLED:
            return self._modelled(node, _MODELLED[node.func.id])
        if isinstance(node.func, ast.Name):
            asked = self._arguments(node) if node.func.id in _READY_MADE else (None, {})
            return self._ready_made(node.func, node.func.id, *asked)
        name, _, aggregation = self._dotted(node.func).rpartition(".")
        if name not in METRICS and not name.startswith("attune."):
            raise self._wrong(
                node.func, f"no metric '{name[:40]}'{nearest(name, METRICS)}; there are {', '.join(METRICS)}"
            )
        # A ratio is asked for with a division.
        known = [one for one in AGGREGATIONS if one != "ratio"]
        if aggregation not in known:
            wrong = f"no aggregation '{aggregation[:40]}'{nearest(aggregation, known)}; there are {', '.join(known)}"
            raise self._wrong(node.func, wrong)
        window, where = self._arguments(node)
        if window is None:
            raise self._wrong(node, f'a window is missing, as in {name}.{aggregation}("5m")')
        return self._made(node, measure_of, name, aggregation, window, where)

    def _ready_made(self, node: ast.expr, name: str, window: str | None, where: Mapping[str, Any]) -> Expression:
        if name in _READY_MADE:
            return self._made(node, _READY_MADE[name].measure, window, where)
        if name in METRICS:
            usual = "avg" if METRICS[name].instrument == "histogram" else "sum"
            raise self._wrong(node, f'{name} is asked over a window, as in {name}.{usual}("24h")')
        if name in ("true", "false", "True", "False", "None"):
            raise self._wrong(node, "a number is needed here")
        raise self._wrong(node, f"no name '{name[:40]}'{nearest(name, [*_READY_MADE, *METRICS, *_MODELLED])}")

    def _arguments(self, node: ast.Call) -> tuple[str | None, dict[str, str | tuple[str, ...]]]:
        if len(node.args) > 1:
            raise self._wrong(node.args[1], 'conditions have names, as in cost.sum("24h", model="gpt-5")')
        window = self._text(node.args[0], "a window in quotes") if node.args else None
        return window, self._conditions(node.keywords)

    def _conditions(self, keywords: list[ast.keyword]) -> dict[str, str | tuple[str, ...]]:
        where: dict[str, str | tuple[str, ...]] = {}
        for keyword in keywords:
            if keyword.arg is None:
                raise self._wrong(keyword.value, "** is not part of a condition")
            if isinstance(keyword.value, ast.Tuple | ast.List) and keyword.value.elts:
                where[keyword.arg] = tuple(self._text(one, "a text in quotes") for one in keyword.value.elts)
            else:
                where[keyword.arg] = self._text(keyword.value, "a text in quotes")
        return where

    def _modelled(self, node: ast.Call, model: Callable[..., Expression]) -> Expression:
        # By name these would collide with what is passed by place; a threshold is what the score is compared with.
        is_unlike = any(keyword.arg in ("metric", "period", "threshold") for keyword in node.keywords)
        if is_unlike or not 1 <= len(node.args) <= (1 if model is anomaly else 2):
            mend = 'write anomaly(cost, by="model"), anomaly(cost) > 8 or forecast(cost, "month") > 500'
            raise self._wrong(node, mend)
        first, *periods = node.args
        metric = first.id if isinstance(first, ast.Name) else self._text(first, "the name of a metric")
        if metric not in METRICS:
            raise self._wrong(first, f"no metric '{metric[:40]}'{nearest(metric, METRICS)}")
        period = [self._text(one, "a period in quotes") for one in periods]
        return self._made(node, partial(model, metric, *period, **self._conditions(node.keywords)))

    def _text(self, node: ast.expr, what: str) -> str:
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            raise self._wrong(node, f"{what} is needed here")
        return node.value

    def _dotted(self, node: ast.expr) -> str:
        names = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            raise self._wrong(node, 'a metric is asked as name.aggregation("window")')
        return ".".join([node.id, *reversed(names)])

    def _made(self, node: ast.expr, make: Callable[..., Expression], *arguments: Any) -> Expression:
        try:
            return make(*arguments)
        except ConfigError as error:
            raise WhenError(error.problems[0], self._line, self._offset(node)) from error

    def _offset(self, node: ast.expr) -> int:
        return self._start + len(self._bytes[: node.col_offset].decode())

    def _wrong(self, node: ast.expr, reason: str, *, before: bool = False) -> WhenError:
        """Return the error that points at a node, or at the operator before it."""
        offset = self._offset(node)
        if before:
            offset = len(self._line[:offset].rstrip(" (")) - 1
        return WhenError(reason, self._line, offset)
