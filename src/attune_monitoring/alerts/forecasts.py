"""What a sum will come to at the end of a calendar day, week or month, and when it will pass a limit.

Run-rate: what was spent, and for all that is left the rate so far. With two weeks of history each weekday has its own
rate, so that a month that began with a weekend is not foreseen too low; benchmarks/anomaly.py measures both.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

__all__ = ["EVEN", "PROFILE_WEEKS", "Projection", "profile", "project", "sentence"]

PROFILE_WEEKS = 8
"""Of history that the weekdays' rates are taken from."""
EVEN = (1.0,) * 7
"""Every weekday like the others."""
_PROFILE_DAYS = 14
_HOUR = 3600
_DAY = 86400


class Projection(NamedTuple):
    """What a period will come to. Times are seconds since the epoch."""

    total: float
    """At its end."""
    spent: float
    """So far."""
    rate: float
    """A day of average weight."""
    weights: Sequence[float]
    """Of the weekdays."""
    now: float
    end: float

    def passes(self, limit: float) -> float | None:
        """Return when the sum passes a limit; None where it does not, or has done so already."""
        if self.spent > limit or self.total <= limit:
            return None
        total = self.spent
        for begin, until in _days(self.now, self.end):
            rate = self.rate * self.weights[_weekday(begin)]
            more = rate * (until - begin) / _DAY
            if total + more > limit:
                return begin + (limit - total) / rate * _DAY
            total += more
        return self.end


def profile(values: Mapping[int, float], now: float) -> Sequence[float]:
    """Return each weekday's rate (UTC) in proportion to the average; all the same where there is too little history.

    Args:
        values: sums by the hour's beginning; hours that are missing are 0, as far back as the first that is there.
        now: how far they go; only whole days count.
    """
    last = int(now) // _DAY * _DAY
    first = max(-(-min(values, default=last) // _DAY) * _DAY, last - PROFILE_WEEKS * 7 * _DAY)
    if (last - first) // _DAY < _PROFILE_DAYS:
        return EVEN
    totals, counts = [0.0] * 7, [0] * 7
    for hour, value in values.items():
        if first <= hour < last:
            totals[_weekday(hour)] += value
    for day in range(first, last, _DAY):
        counts[_weekday(day)] += 1
    means = [total / count for total, count in zip(totals, counts, strict=True)]
    average = sum(means) / 7
    return tuple(mean / average for mean in means) if average > 0 else EVEN


def project(spent: float, start: float, end: float, now: float, weights: Sequence[float] = EVEN) -> Projection | None:
    """Return what a period will come to; None within its first hour, and where nothing is to be expected of its days.

    Args:
        spent: sum of the period so far.
        start: beginning of the period.
        end: its end.
        now: a time in it.
        weights: of the weekdays, from `profile`.
    """
    elapsed = _weight(start, now, weights)
    if now - start < _HOUR or elapsed <= 0:
        return None
    rate = spent / elapsed
    return Projection(spent + rate * _weight(now, end, weights), spent, rate, weights, now, end)


def sentence(
    projection: Projection, limit: float, period: str, *, unit: str = "USD", zone: dt.tzinfo | None = None
) -> str:
    """Return it in words: `this month will pass 500 USD on the 23rd`.

    Args:
        projection: of the period.
        limit: what must not be passed.
        period: day, week or month.
        unit: of the sums.
        zone: in which days are named; None is the local one.
    """
    amount = f"{limit:,.2f}".removesuffix(".00") + f" {unit}"
    this = "today" if period == "day" else f"this {period}"
    if projection.spent > limit:
        return f"{this} has passed {amount}"
    moment = projection.passes(limit)
    if moment is None:
        return f"{this} will stay below {amount}"
    when = dt.datetime.fromtimestamp(moment, dt.UTC).astimezone(zone)
    if period == "day":
        return f"{this} will pass {amount} at {when:%H:%M}"
    return f"{this} will pass {amount} on {f'{when:%A}' if period == 'week' else f'the {_ordinal(when.day)}'}"


def _weight(start: float, end: float, weights: Sequence[float]) -> float:
    """Return the days between two times, each counted by its weight."""
    return sum(weights[_weekday(begin)] * (until - begin) for begin, until in _days(start, end)) / _DAY


def _days(start: float, end: float) -> Iterator[tuple[float, float]]:
    while start < end:
        until = min(end, (start // _DAY + 1) * _DAY)
        yield start, until
        start = until


def _weekday(moment: float) -> int:
    return int(moment // _DAY + 3) % 7


def _ordinal(day: int) -> str:
    return f"{day}{'th' if 11 <= day <= 13 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"
