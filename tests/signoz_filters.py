"""The filter expressions of SigNoz' query builder as conditions of ClickHouse: strict, so that a typing error shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

__all__ = ["ALL", "Fields", "Value", "Variables", "condition", "literal"]

ALL = "__all__"
"""What a variable is worth while everything is chosen."""

Value = str | float | bool
Variables = Mapping[str, str | Sequence[str]]

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
    r"|(?P<variable>\$\w+)"
    r"|(?P<number>-?\d+(?:\.\d+)?(?![\w.]))"
    r"|(?P<operator><=|>=|!=|<>|=|<|>|\(|\)|,)"
    r"|(?P<word>[A-Za-z_][\w.\-/]*))"
)
_WORDS = {"AND", "OR", "NOT", "IN", "EXISTS", "LIKE", "ILIKE", "CONTAINS", "REGEXP", "BETWEEN"}


class _Token(NamedTuple):
    kind: str
    text: str


class Fields(NamedTuple):
    """How fields are found in a table.

    Args:
        compared: (name, operator, value) → condition; the operator is =, !=, <, LIKE …
        exists: name → condition that a row has it.
    """

    compared: Callable[[str, str, Value], str]
    exists: Callable[[str], str]


def condition(expression: str, fields: Fields, variables: Variables) -> str:
    """Return a filter expression in SQL; what a variable leaves open is no condition at all.

    Raises:
        ValueError: SigNoz would refuse it.
    """
    parser = _Parser(_tokens(expression), fields, variables)
    found = parser.any_of()
    if parser.rest:
        raise ValueError(f"{expression!r}: not understood from {parser.rest[0].text!r}")
    return found or "1"


def literal(value: Value) -> str:
    """Return a value as SQL."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return repr(float(value))


def _tokens(expression: str) -> list[_Token]:
    found: list[_Token] = []
    place = 0
    text = expression.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise ValueError(f"{expression!r}: not understood at {text[place : place + 20]!r}")
        word = match[match.lastgroup]
        kind = "keyword" if match.lastgroup == "word" and word.upper() in _WORDS else match.lastgroup
        found.append(_Token(kind, word.upper() if kind == "keyword" else word))
        place = match.end()
    return found


class _Parser:
    """OR binds least, then AND, then NOT. None is a condition that every row meets."""

    def __init__(self, tokens: list[_Token], fields: Fields, variables: Variables) -> None:
        self.rest = tokens
        self._fields = fields
        self._variables = variables

    def any_of(self) -> str | None:
        parts = [self._all_of()]
        while self._take("OR"):
            parts.append(self._all_of())
        return None if None in parts else _joined(" OR ", parts)

    def _all_of(self) -> str | None:
        parts = [self._one()]
        while self._take("AND"):
            parts.append(self._one())
        return _joined(" AND ", [part for part in parts if part is not None])

    def _one(self) -> str | None:
        if self._take("NOT"):
            inner = self._one()
            return None if inner is None else f"NOT ({inner})"
        if self._take("("):
            found = self.any_of()
            self._need(")")
            return None if found is None else f"({found})"
        return self._comparison()

    def _comparison(self) -> str | None:
        name = self._next("word").text
        negated = self._take("NOT")
        if self._take("EXISTS"):
            return f"NOT {self._fields.exists(name)}" if negated else self._fields.exists(name)
        if self._take("IN"):
            values = self._values()
            if values is None:
                return None
            each = [self._fields.compared(name, "!=" if negated else "=", value) for value in values]
            return "(" + (" AND " if negated else " OR ").join(each) + ")"
        token = self._any()
        if token.text not in ("=", "!=", "<", "<=", ">", ">=", "LIKE", "ILIKE"):
            raise ValueError(f"{token.text!r} after {name!r} is no operator that is known here")
        return self._fields.compared(name, f"NOT {token.text}" if negated else token.text, self._value())

    def _values(self) -> Sequence[Value] | None:
        if self.rest and self.rest[0].kind == "variable":
            name = self.rest.pop(0).text[1:]
            if name not in self._variables:
                raise ValueError(f"there is no variable {name!r}")
            chosen = self._variables[name]
            if chosen == ALL:
                return None
            return [chosen] if isinstance(chosen, str) else list(chosen)
        self._need("(")
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        self._need(")")
        return values

    def _value(self) -> Value:
        token = self._any()
        if token.kind == "text":
            return re.sub(r"\\(['\\])", r"\1", token.text[1:-1])
        if token.kind == "number":
            return float(token.text)
        if token.kind == "word" and token.text.lower() in ("true", "false"):
            return token.text.lower() == "true"
        raise ValueError(f"{token.text!r} is no value")

    def _take(self, text: str) -> bool:
        if self.rest and self.rest[0].kind in ("keyword", "operator") and self.rest[0].text == text:
            del self.rest[0]
            return True
        return False

    def _need(self, text: str) -> None:
        if not self._take(text):
            raise ValueError(f"{text!r} is missing before {self.rest[0].text if self.rest else 'the end'!r}")

    def _next(self, kind: str) -> _Token:
        if not self.rest or self.rest[0].kind != kind:
            raise ValueError(f"a {kind} is missing before {self.rest[0].text if self.rest else 'the end'!r}")
        return self.rest.pop(0)

    def _any(self) -> _Token:
        if not self.rest:
            raise ValueError("the expression ends too early")
        return self.rest.pop(0)


def _joined(between: str, parts: Sequence[str | None]) -> str | None:
    found = [part for part in parts if part is not None]
    if not found:
        return None
    return found[0] if len(found) == 1 else "(" + between.join(found) + ")"
