"""Values of attributes, whoever wrote them: numbers as text, lists as JSON, and what is none of either."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

__all__ = ["count_of", "json_list", "json_object", "number_of", "reasons_of"]


def count_of(value: Any) -> int | None:
    """Return a value as a count that 63 bits hold, else None."""
    number = number_of(value)
    return int(number) if number is not None and 0 <= number < 2**63 else None


def number_of(value: Any) -> float | None:
    """Return a value, or the text of one, as a finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def reasons_of(value: Any) -> tuple[str, ...]:
    """Return finish reasons, however they are written: one, several, or several in JSON."""
    if isinstance(value, str):
        items = json_list(value) if value.startswith("[") else [value] if value else []
        return tuple(str(item) for item in items)
    return tuple(str(item) for item in value) if isinstance(value, Sequence) else ()


def json_object(text: Any) -> dict[str, Any]:
    """Return the object that a text is in JSON, else an empty one."""
    value = _json(text)
    return value if isinstance(value, dict) else {}


def json_list(text: Any) -> list[Any]:
    """Return the list that a text is in JSON, else an empty one."""
    value = _json(text)
    return value if isinstance(value, list) else []


def _json(text: Any) -> Any:
    if not isinstance(text, str):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
