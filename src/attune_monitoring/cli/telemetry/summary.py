"""`empathy telemetry summary`: what it came to, how that changed, and where."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, TypeAlias

import click
from msgspec.structs import replace

from attune_monitoring.cli.render import Cell, Column, Screen, notes, percent, stamp, tokens, usd
from attune_monitoring.cli.sources import LOCAL, SOURCES, TITLES, need_since, refuse_url, source_options
from attune_monitoring.figures import Figures
from attune_monitoring.history import History
from attune_monitoring.query import Source

from .amounts import change, share, slower, took
from .asked import Asked, as_asked, dimension_of
from .breakdown import breakdown
from .options import Options, common
from .past import (
    GROUPINGS,
    LIMITED,
    by_group,
    data_of,
    in_order,
    known_cost,
    of_unknown_cost,
    opened,
    patience,
    period_of,
    quantile,
    report,
    sentences,
    span_of,
    total_of,
    unknown_by,
    when,
)
from .periods import Period, before, fitting, parts

__all__ = ["command"]

_Compare: TypeAlias = Callable[[float | None, float | None], str]


class _Seen(NamedTuple):
    """What there is to be shown."""

    period: Period | None
    """None: nothing was ever recorded."""
    totals: Figures
    earlier: tuple[Period, Figures] | None
    line: list[tuple[Period, Figures]]
    groups: dict[str, Figures]
    unknown: Collection[str]
    """Keys of what is not known of any figures."""
    unknown_by_group: Collection[str]
    said: list[str]


@click.command("summary")
@click.option(
    "--by", type=click.Choice(list(GROUPINGS)), default="workflow", show_default=True, help="What to group by."
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=10, show_default=True, help="Groups at most.")
@source_options
@common("7d")
def command(options: Options, by: str, limit: int, source_name: str, url: str | None) -> None:
    """Show cost, calls, latency, tokens and failures, how they changed, and what made them.

    They are compared with the period before, of the same length; a day with the same time of the day before. A server
    tells what is exported as metrics: the figures by workflow, provider, model, tier and project.
    """
    server = None if source_name == LOCAL else TITLES[source_name]
    if server is None:
        refuse_url(url)
        seen = _of_folder(options, by)
    else:
        with contextlib.closing(SOURCES[source_name](options.folder, url)) as source, patience(f"asking {server}"):
            seen = _of_server(source, server, options, by)
    period, totals, earlier, said = seen.period, seen.totals, seen.earlier, seen.said
    if server is not None and period is not None:
        options = replace(options, since=period.begin)
    data = {
        "source": source_name,
        "totals": data_of(totals, seen.unknown),
        "before": None if earlier is None else _period_data(earlier[0]) | {"totals": data_of(earlier[1], seen.unknown)},
        "over_time": [_period_data(part) | {"cost": known_cost(it), "calls": it.calls} for part, it in seen.line],
        "by": by,
        "groups": [{"name": name, **data_of(its, seen.unknown_by_group)} for name, its in seen.groups.items()],
    }
    screen = report("summary", options, data, said, is_empty=not totals.calls, server=server)
    if screen is not None and period is not None:
        _show_totals(screen, options, period, totals, earlier, [known_cost(it) for _, it in seen.line])
        screen.line()
        breakdown(screen, by, seen.groups, limit)
        notes(said)


def _of_folder(options: Options, by: str) -> _Seen:
    with opened(options) as past:
        period = period_of(past, options)
        groups = by_group(past, by, span_of(options))
        totals = total_of(past.calls((), span=span_of(options)) if by in LIMITED else groups)
        earlier = _earlier(past, options, period)
        line = [] if period is None or not totals.calls else _overtook(past, options, period)
        said = sentences(past, span_of(options), totals.unknown)
    return _Seen(period, totals, earlier, line, groups, (), unknown_by(by), said)


def _of_server(source: Source, title: str, options: Options, by: str) -> _Seen:
    dimension = dimension_of(by, title)
    asked = Asked(source)
    period = as_asked(Period(need_since(options.since), options.until or options.now))
    totals = asked.total(period)
    groups, line = {}, []
    earlier: tuple[Period, Figures] | None = None
    if totals.calls:
        groups = in_order(asked.figures(period, (dimension,)), by)
        line = [(part, asked.cost(part)) for part in parts(period, fitting(period), options.zone)]
        past = as_asked(before(period, options.now, options.zone))
        if asked.knew_before(past.begin):
            earlier = (past, figures) if (figures := asked.total(past)).calls else None
    said = [*of_unknown_cost(totals.unknown), f"not available from {title}: {', '.join(asked.unknown_in_words())}"]
    return _Seen(period, totals, earlier, line, groups, asked.unknown, asked.unknown, said)


def _earlier(past: History, options: Options, period: Period | None) -> tuple[Period, Figures] | None:
    """The period before with its figures, where records go back so far and there are calls."""
    if period is None or options.since is None:
        return None
    earlier = before(period, options.now, options.zone)
    oldest = past.extent().start
    if oldest is None or oldest > earlier.begin.timestamp():
        return None
    figures = total_of(past.calls((), span=earlier.span(options.now)))
    return (earlier, figures) if figures.calls else None


def _overtook(past: History, options: Options, period: Period) -> list[tuple[Period, Figures]]:
    return [
        (part, total_of(past.calls((), span=part.span(options.now), percentiles=False)))
        for part in parts(period, fitting(period), options.zone)
    ]


def _period_data(period: Period) -> dict[str, Any]:
    return {"since": stamp(period.begin), "until": stamp(period.end)}


def _show_totals(
    screen: Screen,
    options: Options,
    period: Period,
    now: Figures,
    earlier: tuple[Period, Figures] | None,
    line: list[float | None],
) -> None:
    until = when(options, options.until)
    title = f"{when(options, period.begin)} – {until}"
    note = "" if earlier is None else f"against {when(options, earlier[0].begin)} – {when(options, earlier[0].end)}"
    screen.line((title, "bold"), (f"  {note}" if note else "", "dim"))
    screen.line()
    old = None if earlier is None else earlier[1]

    def delta(of: Callable[[Figures], float | None], compare: _Compare = change) -> str:
        return "" if old is None else compare(of(now), of(old))

    def more(name: str, text: str, of: Callable[[Figures], float | None], compare: _Compare = change) -> str:
        changed = delta(of, compare)
        return f"{name} {text}{f' ({changed})' if changed else ''}"

    def points(of: Callable[[Figures], float | None]) -> str:
        new, was = of(now), None if old is None else of(old)
        return "" if new is None or was is None or abs(new - was) < 0.05 else f" ({new - was:+.1f} points)"

    failed = f"{now.failed:,} error{'' if now.failed == 1 else 's'}"
    rows: list[list[Cell]] = [
        ["Cost", (f"{usd(known_cost(now), now.unknown)} USD", "bold"), delta(known_cost), _spark(screen, line, period)],
        [
            "Calls",
            f"{now.calls:,}",
            delta(lambda it: it.calls),
            f"success {percent(now.success_rate)}{points(lambda it: it.success_rate)}, {failed}",
        ],
        [
            "Latency",
            f"p50 {took(quantile(now.latency, 50))}",
            delta(lambda it: quantile(it.latency, 50), slower),
            more("p95", took(quantile(now.latency, 95)), lambda it: quantile(it.latency, 95), slower)
            + (
                ", " + more("first token p50", took(quantile(first, 50)), _first_token, slower)
                if (first := now.time_to_first_token).count
                else ""
            ),
        ],
        [
            "Tokens",
            tokens(now.input + now.output),
            delta(lambda it: it.input + it.output),
            f"in {tokens(now.input)} ({percent(share(now.cache_read, now.input))} from cache), "
            + more("out", tokens(now.output), lambda it: it.output),
        ],
        [
            "Retries",
            f"{now.retries:,}",
            delta(lambda it: it.retries),
            more("fallbacks", f"{now.fallbacks:,}", lambda it: it.fallbacks)
            + ", "
            + more("truncated", f"{now.truncated:,}", lambda it: it.truncated),
        ],
    ]
    columns = (Column(""), Column("", right=True), Column("", right=True), Column("", shrinks=True))
    widths = screen.widths(columns, rows)
    for row in rows:
        screen.row(columns, widths, [(str(row[0]), "dim"), *row[1:]])


def _first_token(figures: Figures) -> float | None:
    return quantile(figures.time_to_first_token, 50)


def _spark(screen: Screen, line: list[float | None], period: Period) -> Cell:
    return f"{screen.sparkline(line)} a {fitting(period)}" if len(line) > 1 else ""
