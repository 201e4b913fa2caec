"""`empathy telemetry providers`: calls, cost, errors and latency by provider and tier."""

from __future__ import annotations

import click

from attune_monitoring.cli.render import Cell, Column, notes, percent, tokens, usd
from attune_monitoring.figures import Figures

from .amounts import share, took
from .options import Options, common
from .past import data_of, known_cost, opened, quantile, report, sentences, span_of, total_of

__all__ = ["command"]

_BAR = 8
_COLUMNS = (
    Column("provider", shrinks=True),
    Column("USD", right=True),
    Column("", room=80),
    Column("share", right=True, room=70),
    Column("calls", right=True),
    Column("errors", right=True),
    Column("rate", right=True),
    Column("average", right=True),
    Column("p95", right=True, room=90),
    Column("tokens", right=True, room=80),
    Column("retries", right=True, room=110),
    Column("fallbacks", right=True, room=110),
)


@click.command("providers")
@common("7d")
def command(options: Options) -> None:
    """Show each provider, and its tiers below it: cost, calls, errors, latency, tokens."""
    with opened(options) as past:
        found = past.calls(("provider", "tier"), span=span_of(options))
        totals = total_of(found)
        said = sentences(past, span_of(options), totals.unknown)
    tiers: dict[str, dict[str, Figures]] = {}
    for (provider, tier), figures in sorted(found.items(), key=lambda item: -item[1].cost):
        tiers.setdefault(provider, {})[tier] = figures
    providers = sorted(((name, total_of(its)) for name, its in tiers.items()), key=lambda item: -item[1].cost)
    data = [
        {
            "provider": name,
            **data_of(figures),
            "by_tier": {tier: data_of(its) for tier, its in tiers[name].items()},
        }
        for name, figures in providers
    ]
    screen = report("providers", options, data, said, is_empty=not totals.calls)
    if screen is None:
        return
    most = max(figures.cost for _, figures in providers)
    rows: list[list[Cell]] = []
    for name, figures in providers:
        bar = screen.bar(figures.cost, most, _BAR).ljust(_BAR)
        rows.append(_row((name or "(no provider)", "bold"), figures, totals, bar))
        for tier, its in tiers[name].items():
            rows.append(_row(f"  {'?' if tier == 'unknown' else tier}", its, totals, ""))
    screen.table(_COLUMNS, rows)
    notes(said)


def _row(name: Cell, figures: Figures, totals: Figures, bar: str) -> list[Cell]:
    return [
        name,
        usd(known_cost(figures), figures.unknown),
        (bar, "cyan"),
        percent(share(known_cost(figures), totals.cost)),
        f"{figures.calls:,}",
        (f"{figures.failed:,}", "red") if figures.failed else "0",
        percent(figures.error_rate),
        took(figures.latency.average),
        took(quantile(figures.latency, 95)),
        tokens(figures.input + figures.output),
        f"{figures.retries:,}",
        f"{figures.fallbacks:,}",
    ]
