"""Stretches of time: those that a name means, the one before another, and the calendar's parts of one."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import NamedTuple

import click

from attune_monitoring.history import Span

from .options import moment

__all__ = ["PER", "Period", "before", "fitting", "midnight", "month_of", "named", "parts"]

PER = ("hour", "day", "week", "month")
"""Lengths of a part, by the calendar."""

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_MINUTES_FOR = timedelta(hours=48)
"""So long back the roll-up has minutes; see docs/figures.md."""
_MONTH = re.compile(r"(\d{4})-(\d{2})")
_ROLLING = re.compile(r"\d{1,6}[mhdw]")


class Period(NamedTuple):
    """From a beginning to, and without, an end, both aware UTC."""

    begin: datetime
    end: datetime

    def span(self, now: datetime) -> Span:
        """Return the same in seconds since the epoch, open where it lasts until now.

        An open end needs no look at the records of the minute that has begun.
        """
        return Span(self.begin.timestamp(), None if self.end >= now else self.end.timestamp())

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.end - self.begin


def midnight(day: date, zone: tzinfo | None) -> datetime:
    """Return the beginning of a calendar day in a zone (None = local), aware UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def month_of(day: date, zone: tzinfo | None) -> Period:
    """Return the calendar month that a day is in."""
    first = day.replace(day=1)
    return Period(midnight(first, zone), midnight(_next_month(first), zone))


def before(period: Period, now: datetime, zone: tzinfo | None) -> Period:
    """Return the period to compare one with: the one before it, of the same length.

    One that begins at a local midnight is compared with the same time of the day before where it is a day or shorter,
    of the week before where it is a week or shorter. Its edges are those that the roll-up has: full minutes in the last
    48 hours, full hours before.
    """
    local = period.begin.astimezone(zone)
    if midnight(local.date(), zone) == period.begin and period.length <= 7 * _DAY:
        days = 1 if period.length <= _DAY else 7
        begin = midnight(local.date() - timedelta(days=days), zone)
        return Period(begin, _floor(begin + period.length, now))
    length = _floored(period.length, _HOUR if period.length > _MINUTES_FOR else timedelta(minutes=1))
    return Period(period.begin - length, period.begin)


def fitting(period: Period) -> str:
    """Return into what parts a period is best cut to be looked at: some ten to seventy."""
    if period.length <= _MINUTES_FOR:
        return "hour"
    if period.length <= 63 * _DAY:
        return "day"
    return "week" if period.length <= 450 * _DAY else "month"


def parts(period: Period, per: str, zone: tzinfo | None) -> list[Period]:
    """Return the calendar's parts of a period, in order; the first and the last may be shorter than a whole one.

    Args:
        period: what is cut.
        per: one of `PER`; weeks begin on Monday.
        zone: whose calendar; None = local.
    """
    edges = [period.begin]
    while (edge := _next(edges[-1], per, zone)) < period.end:
        edges.append(edge)
    return [Period(*pair) for pair in itertools.pairwise([*edges, period.end])]


def named(text: str, now: datetime, zone: tzinfo | None, *, option: str) -> Period:
    """Return the period that a text means.

    Args:
        text: today, yesterday, week, month, 24h, 7d, a month (2026-01), a day (2026-01-31), or FROM..TO without TO.
        now: the present, at which what is not over ends.
        zone: whose calendar; None = local.
        option: the argument's name, for the message.

    Raises:
        click.BadParameter: it means none.
    """
    begin_text, dots, end_text = text.partition("..")
    if dots:
        begin, end = (moment(part, now, zone, option=option) for part in (begin_text, end_text or "all"))
        period = None if begin is None else Period(begin, now if end is None else min(end, now))
    else:
        period = _month(text, now, zone, option) or _word(text.strip().lower(), now, zone, option)
    if period is None or period.begin >= period.end:
        message = f"'{text}' is no period with a beginning in the past; expected today, 7d, 2026-01, 2026-01-31 or A..B"
        raise click.BadParameter(message, param_hint=f"'{option}'")
    return period


def _month(text: str, now: datetime, zone: tzinfo | None, option: str) -> Period | None:
    match = _MONTH.fullmatch(text)
    if match is None:
        return None
    try:
        month = month_of(date(int(match[1]), int(match[2]), 1), zone)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"'{text}' is no month", param_hint=f"'{option}'") from error
    return month._replace(end=min(month.end, now))


def _word(word: str, now: datetime, zone: tzinfo | None, option: str) -> Period | None:
    begin = moment(word, now, zone, option=option)
    if begin is None:
        return None
    if word in ("today", "week", "month") or _ROLLING.fullmatch(word):
        return Period(begin, now)
    day = begin.astimezone(zone).date()
    return Period(begin, min(midnight(day + _DAY, zone), now))


def _next(edge: datetime, per: str, zone: tzinfo | None) -> datetime:
    local = edge.astimezone(zone)
    if per == "hour":
        over = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return edge - over + _HOUR
    if per == "day":
        day = local.date() + _DAY
    elif per == "week":
        day = local.date() + timedelta(days=7 - local.weekday())
    else:
        day = _next_month(local.date())
    return midnight(day, zone)


def _next_month(day: date) -> date:
    return day.replace(year=day.year + day.month // 12, month=day.month % 12 + 1, day=1)


def _floor(time: datetime, now: datetime) -> datetime:
    full = time.replace(second=0, microsecond=0)
    return full if now - time < _MINUTES_FOR - _HOUR else full.replace(minute=0)


def _floored(length: timedelta, step: timedelta) -> timedelta:
    return max(length // step * step, min(length, step))
