"""Texts with `{value:.2f}` and `{workflow_name}` in them: numbers and labels are filled in, and nothing else can be."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from attune_monitoring.errors import ConfigError
from attune_monitoring.schema import nearest, shown

from .metrics import DIMENSIONS
from .notification import Notification
from .wording import collapse, lasted, number, stamp

__all__ = ["NAMES", "Values", "check", "check_json", "fill", "fill_json", "is_constant", "leaves", "values_of"]

Values = Mapping[str, str | float | None]
"""What a template may name; a name that is not among them is filled with nothing."""

NAMES: tuple[str, ...] = (
    *("value", "name", "severity", "kind", "timestamp", "started_at", "duration", "condition", "summary"),
    *DIMENSIONS,
)
"""What every template may name, beside the labels of its rule."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_SPEC = re.compile(r"[<>^]?[+-]?0?(\d{1,2})?,?(\.\d{1,2})?[efg%s]?")
_ONE_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,63})\}")
_NUMBERS = frozenset({"value"})
_LONGEST_TEMPLATE = 10_000
_MOST_FIELDS = 100
_LONGEST_WORD = 1_000


def check(template: str, names: Iterable[str] | None = None) -> None:
    """Refuse a template that could do more than name values.

    Args:
        template: the text; `{{` and `}}` stand for braces.
        names: what it may name; None leaves that open.

    Raises:
        ConfigError: says what is wrong with it, and the nearest valid name.
    """
    known = None if names is None else tuple(names)
    for name, spec in _fields(template):
        if known is not None and name not in known:
            raise ConfigError(f"{{{name}}} is not known{nearest(name, known)}; there are {', '.join(known)}")
        try:
            format(1.5 if name in _NUMBERS else "", spec)
        except ValueError as error:
            raise ConfigError(f"{{{name}:{spec}}} cannot be: {name} is no number; write {{{name}}}") from error


def fill(template: str, values: Values, escape: Callable[[str], str] = str) -> str:
    """Return the template with its values filled in.

    Args:
        template: as `check` takes it.
        values: by name.
        escape: makes a value's text harmless where the result is shown; the template's own text is left as it is.

    Raises:
        ConfigError: the template is none.
    """
    pieces = []
    for literal, name, spec, _ in _parsed(template):
        pieces.append(literal)
        if name is not None:
            pieces.append(escape(_word(values.get(name, ""), spec or "")))
    return "".join(pieces)


def check_json(body: Any, names: Iterable[str] | None = None) -> None:
    """Refuse a JSON body with a text that `check` refuses.

    Raises:
        ConfigError: says which text, and why.
    """
    known = None if names is None else tuple(names)
    for text in leaves(body):
        try:
            check(text, known)
        except ConfigError as error:
            raise ConfigError(f"in {shown(text)}: {error}") from error


def fill_json(body: Any, values: Values) -> Any:
    """Return a JSON value with each of its texts filled; keys stay as they are.

    A text that is one plain field, such as `"{value}"`, becomes that value itself: a number, or null.

    Args:
        body: parsed JSON, so that no value can end a text and begin something else.
        values: by name.
    """
    if isinstance(body, str):
        only = _ONE_FIELD.fullmatch(body)
        if only is None or only[1] not in _NUMBERS:
            return fill(body, values)
        value = values.get(only[1])
        return value if isinstance(value, (int, float)) and math.isfinite(value) else None
    if isinstance(body, Mapping):
        return {str(key): fill_json(value, values) for key, value in body.items()}
    return [fill_json(item, values) for item in body] if isinstance(body, (list, tuple)) else body


def leaves(body: Any) -> Iterator[str]:
    """Yield the texts of a JSON value, without its keys."""
    if isinstance(body, str):
        yield body
    elif isinstance(body, Mapping):
        for value in body.values():
            yield from leaves(value)
    elif isinstance(body, (list, tuple)):
        for item in body:
            yield from leaves(item)


def is_constant(text: str) -> bool:
    """Return whether a template names nothing."""
    return next(_fields(text), None) is None


def values_of(notification: Notification) -> dict[str, str | float | None]:
    """Return what a template of this notification may name; a label never hides one of our own names."""
    return {
        **notification.labels,
        "value": notification.value,
        "name": notification.rule,
        "severity": notification.severity,
        "kind": notification.kind,
        "timestamp": stamp(notification.at),
        "started_at": stamp(notification.started_at),
        "duration": lasted(notification.seconds),
        "condition": notification.condition,
        "summary": notification.summary,
    }


def _fields(template: str) -> Iterator[tuple[str, str]]:
    for _, name, spec, _ in _parsed(template):
        if name is not None:
            yield name, spec or ""


def _parsed(template: str) -> list[tuple[str, str | None, str | None, str | None]]:
    """Return literal, name, format and conversion of each piece, all of them refused but for plain names."""
    if len(template) > _LONGEST_TEMPLATE:
        raise ConfigError(f"a template of more than {_LONGEST_TEMPLATE} characters")
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ConfigError(f"a brace too many or too few ({error}); for a brace itself write {{{{ or }}}}") from error
    if len(pieces) > _MOST_FIELDS:
        raise ConfigError(f"a template of more than {_MOST_FIELDS} fields")
    for _, name, spec, conversion in pieces:
        if name is None:
            continue
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{{{collapse(name)[:40]}}} is no name: a template names values, such as {{value}}")
        if conversion or not _SPEC.fullmatch(spec or ""):
            raise ConfigError(
                f"the format of {{{name}}} is not one of those that are understood, such as {{{name}:.2f}}, "
                f"{{{name}:,.0f}} or {{{name}:>8}}"
            )
    return pieces


def _word(value: str | float | None, spec: str) -> str:
    if not isinstance(value, str) and (value is None or not spec or not math.isfinite(value)):
        return number(value)
    try:
        return format(value[:_LONGEST_WORD] if isinstance(value, str) else value, spec)
    except ValueError:
        return str(value)
