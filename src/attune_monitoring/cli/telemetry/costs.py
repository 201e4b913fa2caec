"""`empathy telemetry costs`: cost over time, and where the month is heading."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, NamedTuple

import click

from attune_monitoring.cli.render import Cell, Column, Screen, notes, percent, stamp, usd
from attune_monitoring.figures import Figures
from attune_monitoring.history import History

from .amounts import share
from .options import Options, common
from .past import GROUPINGS, by_group, known_cost, opened, period_of, report, sentences, span_of, total_of, when
from .periods import PER, Period, fitting, month_of, parts

__all__ = ["command"]

_DAY = timedelta(days=1)
_MOST_PARTS = 1000
_BAR = 30
_IDLE = 3
"""More parts in a row without a call are one line."""
_GROUPS = 4
"""Groups that have a column of their own at most."""
_ROOMY = 110
"""Columns of the screen from which on groups leave room for bars and counts."""
_BESIDE = 36
"""Columns of the screen that are taken when groups are shown: the time, the sum, and the others."""
_BY = [by for by in GROUPINGS if by not in ("session", "task")]
"""Those for which not all records need to be read for each part."""


class _Month(NamedTuple):
    """What the present month has cost, and where it is heading."""

    to_date: float
    unknown: int
    days: float
    length: float

    @property
    def projection(self) -> float:
        """The cost to date in proportion to the days that have passed."""
        return self.to_date / self.days * self.length


@click.command("costs")
@click.option("--per", type=click.Choice(PER), help="Length of a bar, by the calendar; by default what fits.")
@click.option("--by", type=click.Choice(_BY), help="A column for each of the most expensive.")
@common("30d")
def command(options: Options, per: str | None, by: str | None) -> None:
    """Show cost over time, what a day costs, and what the month will have cost at this pace.

    Time before the first record is not shown, and not in what a day costs.
    """
    with opened(options) as past:
        period = _since_the_first(past, period_of(past, options))
        rows = [] if period is None else _rows(past, options, period, per or fitting(period), by)
        totals = total_of({place: total_of(groups) for place, (_, groups) in enumerate(rows)})
        month = _month(past, options) if options.until is None else None
        said = sentences(past, span_of(options), totals.unknown)
    if totals.calls == 0:
        rows = []
    data = {
        "per": per or (fitting(period) if period else None),
        "by": by,
        "cost": known_cost(totals),
        "unknown_cost_calls": totals.unknown,
        "cost_per_day": None if period is None else totals.cost / (period.length / _DAY),
        "month": None if month is None else {**month._asdict(), "projection": month.projection},
        "over_time": [_row_data(part, groups, by) for part, groups in rows],
    }
    screen = report("costs", options, data, said, is_empty=not rows)
    if screen is None or period is None:
        return
    _show_totals(screen, options, period, totals, month)
    screen.line()
    _show_bars(screen, rows, per or fitting(period), by, options.zone)
    notes(said)


def _since_the_first(past: History, period: Period | None) -> Period | None:
    """Without the time before the oldest record: nothing is known of it, which is not a cost of 0."""
    oldest = past.extent().start
    if period is None or oldest is None:
        return period
    begin = datetime.fromtimestamp(oldest // 3600 * 3600, UTC)
    return period._replace(begin=begin) if period.begin < begin < period.end else period


def _rows(
    past: History, options: Options, period: Period, per: str, by: str | None
) -> list[tuple[Period, dict[str, Figures]]]:
    cut = parts(period, per, options.zone)
    if len(cut) > _MOST_PARTS:
        raise click.UsageError(f"--per {per} gives {len(cut):,} bars; choose a longer one, or a later --since")
    if by is None:
        return [(part, {"": total_of(past.calls((), span=part.span(options.now), percentiles=False))}) for part in cut]
    return [(part, by_group(past, by, part.span(options.now), percentiles=False)) for part in cut]


def _month(past: History, options: Options) -> _Month:
    whole = month_of(options.now.astimezone(options.zone).date(), options.zone)
    so_far = Period(whole.begin, options.now)
    figures = total_of(past.calls((), span=so_far.span(options.now), percentiles=False))
    return _Month(figures.cost, figures.unknown, so_far.length / _DAY, whole.length / _DAY)


def _row_data(part: Period, groups: Mapping[str, Figures], by: str | None) -> dict[str, Any]:
    total = total_of(groups)
    row = {
        "since": stamp(part.begin),
        "until": stamp(part.end),
        "cost": known_cost(total),
        "calls": total.calls,
        "unknown_cost_calls": total.unknown,
    }
    return row if by is None else {**row, "groups": {name: known_cost(it) for name, it in groups.items()}}


def _show_totals(screen: Screen, options: Options, period: Period, totals: Figures, month: _Month | None) -> None:
    days = period.length / _DAY
    screen.line(
        (f"{usd(known_cost(totals), totals.unknown)} USD", "bold"),
        f"  {when(options, period.begin)} – {when(options, options.until)}",
        (f"  {usd(totals.cost / days)} USD a day" if days >= 1 else "", ""),
    )
    if month is not None and month.to_date:
        screen.paragraph(
            f"This month: {usd(month.to_date, month.unknown)} USD in {month.days:.1f} of {month.length:.0f} days; "
            f"at this pace {usd(month.projection)} in all"
        )


def _show_bars(
    screen: Screen,
    rows: Sequence[tuple[Period, Mapping[str, Figures]]],
    per: str,
    by: str | None,
    zone: tzinfo | None,
) -> None:
    totals = [total_of(groups) for _, groups in rows]
    most = max(figures.cost for figures in totals)
    whole: dict[str, float] = {}
    for _, groups in rows:
        for name, figures in groups.items():
            whole[name] = whole.get(name, 0.0) + figures.cost
    names = _fitting(sorted(whole, key=lambda name: -whole[name])[:_GROUPS], screen.width) if by else []
    columns = [
        Column(per),
        Column("USD", right=True),
        *(Column(name, right=True, shrinks=True) for name in names),
        *([Column("others", right=True)] if len(whole) > len(names) and by else []),
        Column("", room=_ROOMY if by else 0),
        Column("calls", right=True, room=_ROOMY if by else 60),
        Column("unknown", right=True, room=_ROOMY if by else 0)
        if any(figures.unknown for figures in totals)
        else Column("", room=10_000),
    ]
    table: list[list[Cell]] = []
    for place, ((part, groups), total) in enumerate(zip(rows, totals, strict=True)):
        idle = _idle(totals, place)
        if idle > _IDLE:
            if place == 0 or totals[place - 1].calls:
                table.append([(f"… {idle} without a call", "dim"), *[""] * (len(columns) - 1)])
            continue
        named = [usd(groups[name].cost) if name in groups else "" for name in names]
        others = sum(figures.cost for name, figures in groups.items() if name not in names)
        table.append(
            [
                _label(part, per, zone),
                (usd(known_cost(total), total.unknown), "bold"),
                *named,
                *([usd(others)] if len(whole) > len(names) and by else []),
                (screen.bar(total.cost, most, _BAR if not by else _BAR // 2), "cyan"),
                f"{total.calls:,}",
                f"{total.unknown:,}" if total.unknown else "",
            ]
        )
    if names and most:
        parts_of = [percent(share(whole[name], sum(whole.values()))) for name in names]
        rest = [percent(share(sum(whole.values()) - sum(map(whole.__getitem__, names)), sum(whole.values())))]
        table.append([("share", "dim"), "", *parts_of, *(rest if len(whole) > len(names) else []), "", "", ""])
    screen.table(columns, table)


def _idle(totals: Sequence[Figures], place: int) -> int:
    """How many parts in a row, of which this is one, have no call."""
    if totals[place].calls:
        return 0
    before = itertools.takewhile(lambda figures: not figures.calls, reversed(totals[:place]))
    behind = itertools.takewhile(lambda figures: not figures.calls, totals[place:])
    return sum(1 for _ in itertools.chain(before, behind))


def _fitting(names: Sequence[str], width: int) -> list[str]:
    """The first of them that can be told apart: names that are cut look alike."""
    room = (width if width < _ROOMY else width - 32) - _BESIDE
    ends = itertools.accumulate(max(len(name), 8) + 2 for name in names)
    return [name for place, (name, end) in enumerate(zip(names, ends, strict=True)) if end <= room or not place]


def _label(part: Period, per: str, zone: tzinfo | None) -> str:
    local = part.begin.astimezone(zone)
    if per == "hour":
        return f"{local:%a %m-%d %H:00}"
    return f"{local:%Y-%m}" if per == "month" else f"{local:%a %Y-%m-%d}"
