"""How alerts read, whatever the channel: titles, facts, colours, numbers, times, and texts cut to a length."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from attune_monitoring.records import format_time

from .notification import Kind, Notification

__all__ = [
    "ELLIPSIS",
    "collapse",
    "colour_of",
    "cut",
    "facts",
    "lasted",
    "lines",
    "link_of",
    "number",
    "stamp",
    "title",
]

ELLIPSIS = "…"

_NO_DATA = "no data"
_LISTED = 20
"""So many messages of a digest are listed one by one."""
_STATES: Mapping[Kind, str] = {"resolved": "resolved", "no_data": "no data", "error": "cannot be evaluated"}
_COLOURS: Mapping[str, int] = {"critical": 0xD7263D, "warning": 0xF2A900, "info": 0x2F81F7}
_GREEN = 0x2EA043
_GREY = 0x8B949E
# Line breaks other than \n, what terminals obey, what turns text around, and halves of surrogate pairs.
_LINK = re.compile(r"https?://[A-Za-z0-9/._~:?#&=%+@!-]{1,500}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def title(notification: Notification) -> str:
    """Return one line that says what happened to which rule."""
    if notification.kind == "digest":
        said = notification.summary or f"{len(notification.parts)} alerts"
    else:
        state = _STATES.get(notification.kind, notification.severity).upper()
        still = " (still firing)" if notification.kind == "reminder" else ""
        said = f"{state}{still}: {notification.rule}"
    return collapse(f"TEST, {said}" if notification.test else said)


def facts(notification: Notification) -> list[tuple[str, str]]:
    """Return what is known beside title and summary, as (name, text)."""
    found = []
    if notification.value is not None:
        found.append(("Value", number(notification.value)))
    if notification.condition:
        found.append(("Condition", collapse(notification.condition)))
    found += [(collapse(name), collapse(value)) for name, value in notification.labels.items()]
    if notification.started_at > 0 and notification.kind in ("reminder", "resolved"):
        found.append(("Lasted" if notification.kind == "resolved" else "For", lasted(notification.seconds)))
    found += [(collapse(name), _clean(text)) for name, text in notification.annotations.items() if name != "summary"]
    return found


def link_of(name: str, text: str) -> str | None:
    """Return the URL that a fact called `…_url` is, where nothing in it could be markup."""
    return text if name.endswith("_url") and _LINK.fullmatch(text) else None


def lines(notification: Notification) -> list[str]:
    """Return the messages of a digest, one a line; nothing for any other."""
    found = [collapse(f"{title(part)}: {part.summary}") for part in notification.parts[:_LISTED]]
    more = len(notification.parts) - _LISTED
    return [*found, f"and {more} more"] if more > 0 else found


def colour_of(notification: Notification) -> int:
    """Return red, green and blue in one number: by severity, green for what is over."""
    if notification.kind == "resolved":
        return _GREEN
    return _COLOURS.get(notification.severity, _GREY)


def number(value: float | None) -> str:
    """Return a number as people read it: four digits after the point at most, no exponent where none is needed."""
    if value is None or not math.isfinite(value):
        return _NO_DATA
    if value and not 1e-4 <= abs(value) < 1e15:
        return f"{value:.4g}"
    return f"{value:,.4f}".rstrip("0").rstrip(".")


def stamp(seconds: float) -> str:
    """Return a time since the epoch as RFC 3339 in UTC, in whole seconds; nothing for none."""
    return format_time(int(seconds) * 1_000_000_000).replace(".000000Z", "Z") if seconds > 0 else ""


def lasted(seconds: float) -> str:
    """Return a duration for people: 45s, 12m 5s, 3h 20m, 2d 4h."""
    whole = round(seconds)
    for size, unit, below, rest in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            over = whole % size // below
            return f"{whole // size}{unit} {over}{rest}" if over else f"{whole // size}{unit}"
    return f"{whole}s"


def collapse(text: str) -> str:
    """Return a text on one line, without control characters: for headers, titles and terminals."""
    return " ".join(_clean(text).split())


def cut(text: str, limit: int, escape: Callable[[str], str] = str) -> str:
    """Return the escaped text, cut so that it has at most `limit` characters; an ellipsis stands where it was cut.

    It is cut before it is escaped, so that no escape sequence is torn.
    """
    if len(text) <= limit and len(whole := escape(text)) <= limit:
        return whole
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if len(escape(text[:middle])) + len(ELLIPSIS) <= limit:
            low = middle
        else:
            high = middle - 1
    return escape(text[:low]) + ELLIPSIS


def _clean(text: str) -> str:
    return _CONTROL.sub(" ", text)
