"""`empathy telemetry compare`: two periods side by side, and what made the difference in cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import click
import msgspec

from attune_monitoring.cli.render import Cell, Column, Screen, notes, percent, stamp, tokens, usd
from attune_monitoring.figures import Figures
from attune_monitoring.history import Span

from .amounts import change, slower, took
from .options import Options, common
from .past import (
    GROUPINGS,
    LIMITED,
    by_group,
    data_of,
    each_cost,
    known_cost,
    opened,
    quantile,
    report,
    sentences,
    total_of,
    when,
)
from .periods import Period, before, named

__all__ = ["Effect", "command", "effect"]

_BY = [by for by in GROUPINGS if by not in ("session", "task", "error")]
_FULL_DAY = timedelta(days=1)
_NEARLY = 0.02
"""Lengths that differ by less are the same."""


class Effect(NamedTuple):
    """Why a sum of costs changed (USD): `volume` + `price` is the whole difference."""

    volume: float
    price: float

    @property
    def total(self) -> float:
        """The whole difference."""
        return self.volume + self.price


def effect(old: Figures, new: Figures) -> Effect:
    """Split the difference between two costs into number and price of calls.

    volume = (calls now − calls before) × cost of a call before; price = calls now × (cost of a call now − before), over
    the calls whose cost is known. The price of a call changes with the model, the tokens and the price list. Where
    there was no call before, or is none now, all of it is volume.
    """
    before_calls, now_calls = old.calls - old.unknown, new.calls - new.unknown
    if not before_calls or not now_calls:
        return Effect(new.cost - old.cost, 0.0)
    each_before, each_now = old.cost / before_calls, new.cost / now_calls
    return Effect((now_calls - before_calls) * each_before, now_calls * (each_now - each_before))


@click.command("compare")
@click.argument("first", default="7d", metavar="[A]")
@click.argument("second", required=False, metavar="[B]")
@click.option("--by", type=click.Choice(_BY), default="workflow", show_default=True, help="What to look for causes in.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=10, show_default=True, help="Rows at most.")
@common(None)
def command(options: Options, first: str, second: str | None, by: str, limit: int) -> None:
    """Compare two periods, or one with the one before it, and show what made the difference in cost.

    A and B: today, yesterday, week, month, 24h, 7d, a month (2026-01), a day (2026-01-31), or a stretch
    (2026-01-01..2026-01-15, the end not included). The earlier one is always `before`. Alone, today is compared with
    the same time of yesterday, this week with that of the last, anything else with as long a time before it.
    """
    old_period, new_period = _periods(options, first, second)
    spans = [period.span(options.now) for period in (old_period, new_period)]
    with opened(options) as past:
        old_groups, new_groups = (by_group(past, by, span) for span in spans)
        if by in LIMITED:
            old, new = (total_of(past.calls((), span=span)) for span in spans)
        else:
            old, new = total_of(old_groups), total_of(new_groups)
        whole = Span(min(spans[0].start or 0, spans[1].start or 0), spans[1].end)
        said = sentences(past, whole, old.unknown + new.unknown)
    said += _warnings(old_period, new_period)
    names = old_groups.keys() | new_groups.keys()
    effects = {name: effect(old_groups.get(name, Figures()), new_groups.get(name, Figures())) for name in names}
    ordered = dict(sorted(effects.items(), key=lambda item: (-abs(item[1].total), item[0])))
    data = {
        "before": _data(old_period, old),
        "now": _data(new_period, new),
        "difference": _effect_data(effect(old, new)),
        "by": by,
        "causes": [
            {
                "name": name,
                "cost_before": known_cost(old_groups.get(name, Figures())),
                "cost_now": known_cost(new_groups.get(name, Figures())),
                **_effect_data(it),
            }
            for name, it in ordered.items()
        ],
    }
    window = msgspec.structs.replace(options, since=old_period.begin, until=new_period.end)
    screen = report("compare", window, data, said, is_empty=not old.calls and not new.calls)
    if screen is None:
        return
    _show_sides(screen, options, (old_period, old), (new_period, new))
    _show_effect(screen, effect(old, new))
    screen.heading("Where from", "volume: number of calls, price: cost of a call")
    _show_causes(screen, by, ordered, old_groups, new_groups, limit)
    notes(said)


def _periods(options: Options, first: str, second: str | None) -> tuple[Period, Period]:
    one = named(first, options.now, options.zone, option="A")
    if second is None:
        return before(one, options.now, options.zone), one
    earlier, later = sorted((one, named(second, options.now, options.zone, option="B")))
    if earlier.end > later.begin:
        raise click.UsageError(f"'{first}' and '{second}' overlap; what lies in both cannot be compared")
    return earlier, later


def _warnings(old: Period, new: Period) -> list[str]:
    ratio = new.length / old.length
    if abs(ratio - 1) <= _NEARLY:
        return []
    days = [period.length / _FULL_DAY for period in (old, new)]
    return [f"the periods are not equally long: {days[0]:.3g} and {days[1]:.3g} days; compare the cost a day"]


def _data(period: Period, figures: Figures) -> dict[str, Any]:
    days = period.length / _FULL_DAY
    return {
        "since": stamp(period.begin),
        "until": stamp(period.end),
        "cost_per_day": figures.cost / days,
        **data_of(figures),
    }


def _effect_data(it: Effect) -> dict[str, float]:
    return {"difference": it.total, "volume_effect": it.volume, "price_effect": it.price}


def _show_sides(screen: Screen, options: Options, before_: tuple[Period, Figures], now: tuple[Period, Figures]) -> None:
    (old_period, old), (new_period, new) = before_, now
    columns = (
        Column(""),
        Column(_title(options, old_period), right=True),
        Column(_title(options, new_period), right=True),
        Column("change", right=True),
    )
    days = [period.length / _FULL_DAY for period in (old_period, new_period)]
    rows: list[list[Cell]] = [
        [
            ("Cost USD", "bold"),
            (usd(known_cost(old), old.unknown), "bold"),
            (usd(known_cost(new), new.unknown), "bold"),
            (change(known_cost(new), known_cost(old)), "bold"),
        ],
        ["  a day", *(usd(it.cost / n) for it, n in zip((old, new), days, strict=True)), _daily(old, new, days)],
        ["  a call", *(each_cost(it) for it in (old, new)), change(new.average_cost, old.average_cost)],
        _line("Calls", old, new, lambda it: it.calls, lambda it: f"{it.calls:,}"),
        _line("  errors", old, new, lambda it: it.failed, lambda it: f"{it.failed:,}"),
        ["  success", percent(old.success_rate), percent(new.success_rate), _points(old, new)],
        _line("  retries", old, new, lambda it: it.retries, lambda it: f"{it.retries:,}"),
        _line("  fallbacks", old, new, lambda it: it.fallbacks, lambda it: f"{it.fallbacks:,}"),
        _line("Tokens in", old, new, lambda it: it.input, lambda it: tokens(it.input)),
        _line("Tokens out", old, new, lambda it: it.output, lambda it: tokens(it.output)),
        _time_line("Latency p50", old, new, 50),
        _time_line("Latency p95", old, new, 95),
    ]
    screen.table(columns, rows)


def _title(options: Options, period: Period) -> str:
    end = None if period.end >= options.now else period.end
    return f"{when(options, period.begin)[5:]} – {when(options, end)[5:] if end else 'now'}"


def _line(
    title: str, old: Figures, new: Figures, of: Callable[[Figures], float], shown: Callable[[Figures], str]
) -> list[Cell]:
    return [title, shown(old), shown(new), change(of(new), of(old))]


def _time_line(title: str, old: Figures, new: Figures, rank: int) -> list[Cell]:
    times = [quantile(it.latency, rank) for it in (old, new)]
    return [title, took(times[0]), took(times[1]), slower(times[1], times[0])]


def _daily(old: Figures, new: Figures, days: list[float]) -> str:
    return change(new.cost / days[1], old.cost / days[0])


def _points(old: Figures, new: Figures) -> str:
    if old.success_rate is None or new.success_rate is None:
        return ""
    points = new.success_rate - old.success_rate
    return "" if abs(points) < 0.05 else f"{points:+.1f} points"


def _show_effect(screen: Screen, it: Effect) -> None:
    screen.line()
    screen.line((f"{_signed(it.total)} USD", "bold"))
    screen.paragraph(f"{_signed(it.volume)} by the number of calls: change in calls × cost of a call before", indent=2)
    screen.paragraph(f"{_signed(it.price)} by the cost of a call: calls now × change of the cost of a call", indent=2)


def _show_causes(
    screen: Screen,
    by: str,
    effects: Mapping[str, Effect],
    old: Mapping[str, Figures],
    new: Mapping[str, Figures],
    limit: int,
) -> None:
    columns = (
        Column(by, shrinks=True),
        Column("before", right=True),
        Column("now", right=True),
        Column("difference", right=True),
        Column("volume", right=True),
        Column("price", right=True),
        Column("calls before", right=True, room=100),
        Column("calls now", right=True, room=100),
    )
    rows: list[list[Cell]] = []
    for name, it in list(effects.items())[:limit]:
        was, now = old.get(name, Figures()), new.get(name, Figures())
        rows.append(
            [
                name,
                usd(known_cost(was), was.unknown) if was.calls else "–",
                usd(known_cost(now), now.unknown) if now.calls else "–",
                *(
                    ("?", "?", "?")
                    if known_cost(was) is None or known_cost(now) is None
                    else ((_signed(it.total), "bold"), _signed(it.volume), _signed(it.price))
                ),
                f"{was.calls:,}",
                f"{now.calls:,}",
            ]
        )
    screen.table(columns, rows)
    rest = list(effects.values())[limit:]
    if rest:
        screen.line((f"… and {len(rest)} more: {_signed(sum(it.total for it in rest))} USD", "dim"))


def _signed(value: float) -> str:
    text = usd(value)
    return text if value <= 0 or text.startswith("<") else f"+{text}"
