"""Declared single values: text, numbers, truth values, choices, durations, sizes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Unpack

import msgspec

from attune_monitoring.yamlfile import KeyPath, Node, scalar

from .spec import Checker, Common, RejectedError, Spec, nearest, shown

__all__ = ["boolean", "choice", "duration", "location", "number", "size", "text"]

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION_PART = r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|[smhdw])"
_DURATION = r"(?:[0-9]{1,9}(?:\.[0-9]{1,6})?(?:ms|[smhdw]))+"
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE = r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?((?:[KMG]i?)?B)"
_WORDS = {"true": True, "on": True, "yes": True, "1": True, "false": False, "off": False, "no": False, "0": False}


def text(
    description: str,
    *,
    pattern: str | None = None,
    what: str = "text",
    secret: bool = False,
    unset: Literal["problem", "warning"] = "problem",
    **common: Unpack[Common],
) -> Spec:
    """Text that is not empty; `${NAME}` in it is replaced.

    Args:
        description: See `Spec`.
        pattern: Regular expression that the whole text must match.
        what: What the text is, for error messages.
        secret: See `Spec`.
        unset: Whether an unset `${NAME}` is a problem, or a warning and the key counts as absent.
        **common: See `Spec`.
    """

    def parse(value: Any) -> str:
        if isinstance(value, str) and value and (pattern is None or re.fullmatch(pattern, value)):
            return value
        raise RejectedError(what, " (put it in quotes)" if isinstance(value, bool | int | float) else "")

    def check(node: Node, path: KeyPath, checker: Checker) -> str | None:
        value = checker.expand(node, path, unset) if isinstance(node.value, str) else node.value
        if value is None:
            return None
        try:
            return parse(value)
        except RejectedError as error:
            found = "another value" if secret else shown(value)
            checker.problem(node, path, f"expected {error.expected}, found {found}{error.hint}")
            return None

    shape = {"type": "string"} | ({"minLength": 1} if pattern is None else {"pattern": rf"^(?:{pattern})$|\$\{{"})
    return Spec(
        description=description,
        noun=what,
        kinds=(str,),
        check=check,
        read=parse,
        shape=lambda: shape,
        secret=secret,
        **common,
    )


def location(description: str, *, must_be_file: bool = False, **common: Unpack[Common]) -> Spec:
    """A path, made absolute; in a file it starts at that file's folder."""
    name = text(description, what="a path", **common)

    def check(node: Node, path: KeyPath, checker: Checker) -> str | None:
        value = name.check(node, path, checker)
        if value is None:
            return None
        place = checker.locate(value)
        if must_be_file and not place.is_file():
            checker.problem(node, path, f"there is no file {shown(str(place), limit=500)}")
        return str(place)

    def read(value: str) -> str:
        if must_be_file and not Path(value).is_file():
            raise RejectedError("the path of a file that exists")
        return str(name.read(value))

    return msgspec.structs.replace(name, check=check, read=read)


def number(
    description: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    integer: bool = False,
    **common: Unpack[Common],
) -> Spec:
    """A finite number between two bounds, both included."""
    noun = "a whole number" if integer else "a number"
    if minimum is not None:
        noun += f" of at least {minimum:.15g}" if maximum is None else f" from {minimum:.15g} to {maximum:.15g}"

    def parse(value: Any) -> int | float:
        is_number = isinstance(value, int) or (isinstance(value, float) and not integer)
        if not is_number or isinstance(value, bool) or not math.isfinite(value):
            raise RejectedError(noun)
        if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
            raise RejectedError(noun)
        return int(value) if integer else float(value)

    bounds = {"minimum": minimum, "maximum": maximum}
    shape = {"type": "integer" if integer else "number"} | {k: v for k, v in bounds.items() if v is not None}
    return _scalar(description, noun, (int, float), parse, shape, common)


def boolean(description: str, **common: Unpack[Common]) -> Spec:
    """True or false; a variable may also say on, off, yes, no, 1 or 0."""
    noun = "true or false"

    def parse(value: Any) -> bool:
        if isinstance(value, bool):
            return value
        meant = _WORDS.get(str(value).lower())
        hint = nearest(value, ("true", "false")) if meant is None else f" (did you mean '{str(meant).lower()}'?)"
        raise RejectedError(noun, hint)

    def read(value: str) -> bool:
        if (found := _WORDS.get(value.lower())) is None:
            raise RejectedError("on or off")
        return found

    return _scalar(description, noun, (bool,), parse, {"type": "boolean"}, common, read)


def choice(description: str, *values: str, **common: Unpack[Common]) -> Spec:
    """One of a few words; a variable may write them in capitals."""
    noun = f"{', '.join(values[:-1])} or {values[-1]}" if len(values) > 1 else values[0]

    def parse(value: Any) -> str:
        if isinstance(value, str) and value in values:
            return value
        raise RejectedError(noun, nearest(value, values))

    return _scalar(description, noun, (str,), parse, {"enum": list(values)}, common, lambda value: parse(value.lower()))


def duration(description: str, *, zero: bool = False, **common: Unpack[Common]) -> Spec:
    """A length of time in seconds, written `90s`, `5m`, `1h30m`, `30d`, or as a number of seconds.

    Args:
        description: See `Spec`.
        zero: Whether it may be none at all.
        **common: See `Spec`.
    """
    noun = "a duration such as 90s, 5m, 1h or 30d"

    def parse(value: Any) -> float:
        seconds = -1.0
        if isinstance(value, str) and re.fullmatch(_DURATION, value):
            seconds = sum(float(count) * _SECONDS[unit] for count, unit in re.findall(_DURATION_PART, value))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            seconds = float(value)
        if not 0.0 <= seconds < math.inf or (seconds == 0.0 and not zero):
            raise RejectedError(noun)
        return seconds

    bound, ahead = ("minimum", "") if zero else ("exclusiveMinimum", "(?=.*[1-9])")
    shape = {"anyOf": [{"type": "number", bound: 0}, {"type": "string", "pattern": f"^{ahead}{_DURATION}$"}]}
    return _scalar(description, noun, (int, float, str), parse, shape, common)


def size(description: str, *, minimum: int = 1, **common: Unpack[Common]) -> Spec:
    """A number of bytes, written `64MB` (a million each), `64MiB` (1,048,576 each), or as a whole number of bytes."""
    noun = f"a size such as 64MB, of at least {minimum} bytes"

    def parse(value: Any) -> int:
        count = -1
        if isinstance(value, str) and (match := re.fullmatch(_SIZE, value)):
            count = int(float(match[1]) * _BYTES[match[2]])
        elif isinstance(value, int) and not isinstance(value, bool):
            count = value
        if count < minimum:
            raise RejectedError(noun)
        return count

    shape = {"anyOf": [{"type": "integer", "minimum": minimum}, {"type": "string", "pattern": f"^{_SIZE}$"}]}
    return _scalar(description, noun, (int, str), parse, shape, common)


def _scalar(
    description: str,
    noun: str,
    kinds: tuple[type, ...],
    parse: Callable[[Any], Any],
    shape: dict[str, Any],
    common: Common,
    read: Callable[[str], Any] | None = None,
) -> Spec:
    def check(node: Node, path: KeyPath, checker: Checker) -> Any:
        try:
            return parse(node.value)
        except RejectedError as error:
            checker.problem(node, path, f"expected {error.expected}, found {shown(node.value)}{error.hint}")
            return None

    return Spec(
        description=description,
        noun=noun,
        kinds=kinds,
        check=check,
        read=read or (lambda value: parse(scalar(value))),
        shape=lambda: shape,
        **common,
    )
