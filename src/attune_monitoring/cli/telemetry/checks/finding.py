"""What a check found, whether that is well, and what to do."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

__all__ = ["Finding", "Mark", "fail", "ok", "warn"]

Mark: TypeAlias = Literal["ok", "warning", "error"]


class Finding(NamedTuple):
    """One line of the doctor's report."""

    mark: Mark
    text: str
    advice: str = ""
    """What to do, several lines where need be."""


def ok(text: str) -> Finding:
    """Return what is as it should be."""
    return Finding("ok", text)


def warn(text: str, advice: str = "") -> Finding:
    """Return what works, and may not be what is wanted."""
    return Finding("warning", text, advice)


def fail(text: str, advice: str) -> Finding:
    """Return what does not work."""
    return Finding("error", text, advice)
