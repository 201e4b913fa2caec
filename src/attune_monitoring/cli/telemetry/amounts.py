"""How figures are put side by side: shares, changes, and times that may not be there."""

from __future__ import annotations

from attune_monitoring.cli.render import duration

__all__ = ["change", "share", "slower", "took"]

_BUCKET = 2 ** (1 / 10) * 1.001
"""Percentiles of the roll-up stand in the middle of buckets this far apart: one bucket more is no change."""


def share(part: float | None, whole: float) -> float | None:
    """Return how many percent of a whole a part is; None of nothing, and of what is not known."""
    return None if part is None or not whole else 100 * part / whole


def change(new: float | None, old: float | None) -> str:
    """Return by how much a figure changed, in percent of what it was; `new` where it was nothing."""
    if new is None or old is None or (not new and not old):
        return ""
    if not old:
        return "new"
    percents = 100 * (new - old) / abs(old)
    if abs(percents) >= 1000:
        return f"× {new / old:,.0f}"
    return "±0%" if abs(percents) < 0.05 else f"{percents:+.{1 if abs(percents) < 99.95 else 0}f}%"


def slower(new: float | None, old: float | None) -> str:
    """Return the change of a percentile; nothing where it is smaller than what a histogram can tell."""
    if not new or not old or 1 / _BUCKET <= new / old <= _BUCKET:
        return ""
    return change(new, old)


def took(milliseconds: float | None) -> str:
    """Return a duration, `–` where there is none."""
    return "–" if milliseconds is None else duration(milliseconds)
