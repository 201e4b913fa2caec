"""`empathy telemetry savings`: what cheaper tiers and the cache saved, and what attempts wasted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from attune_monitoring.cache_savings import cache_savings
from attune_monitoring.cli.render import Cell, Column, Screen, notes, percent, tokens, usd
from attune_monitoring.config import load_config, pricing_of
from attune_monitoring.figures import Figures
from attune_monitoring.history import RunFigures

from .amounts import share
from .options import Options, common
from .past import known_cost, opened, report, sentences, span_of, total_of
from .reading import counted

__all__ = ["command"]

_DIMENSIONS = ("workflow", "tier", "model")


@click.command("savings")
@click.option("--by", type=click.Choice(_DIMENSIONS), default="workflow", show_default=True, help="What to group by.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=10, show_default=True, help="Groups at most.")
@common("30d")
def command(options: Options, by: str, limit: int) -> None:
    """Show what was saved against using each provider's premium model for everything, by the cache, and the waste.

    Savings of calls are over the calls of which both the cost and the baseline are known. Runs have baselines of their
    own, which for records of earlier writers are the only ones; the two sums are not added up.
    """
    span = span_of(options)
    with opened(options) as past:
        found = past.calls(("workflow", "tier", "provider", "model"), span=span, percentiles=False)
        runs = past.runs((), span=span).get((), RunFigures())
        totals = total_of(found)
        said = sentences(past, span, totals.unknown)
    groups = {name: _regrouped(found, place) for name, place in zip(_DIMENSIONS, (0, 1, 3), strict=True)}
    cached, unpriced = _cache(found)
    if unpriced:
        said.append(f"{tokens(unpriced)} cached tokens are of models without a known price, and in no cache savings")
    data = {
        "calls": _data(totals),
        "cache_savings": cached,
        "cache_read_tokens": totals.cache_read,
        "cache_write_tokens": totals.cache_write,
        "retry_waste": totals.retry_waste,
        "fallback_waste": totals.fallback_waste,
        "runs": {
            "runs": runs.roots,
            "cost": runs.cost,
            "baseline_cost": runs.baseline,
            "savings": runs.savings,
            "savings_percent": share(runs.savings, runs.baseline),
        },
        **{
            f"by_{name}": {label: _data(its) for label, its in its_groups.items()}
            for name, its_groups in groups.items()
        },
    }
    screen = report("savings", options, data, said, is_empty=not totals.calls and not runs.roots)
    if screen is None:
        return
    _show_totals(screen, totals, cached, runs)
    if totals.baseline:
        screen.line()
        _show_groups(screen, by, groups[by], limit)
    notes(said)


def _regrouped(found: Mapping[tuple[str, ...], Figures], place: int) -> dict[str, Figures]:
    groups: dict[str, Figures] = {}
    for labels, figures in found.items():
        groups.setdefault(labels[place], Figures()).merge(figures)
    return dict(sorted(groups.items(), key=lambda item: (-item[1].savings, -item[1].cost, item[0])))


def _cache(found: Mapping[tuple[str, ...], Figures]) -> tuple[float, int]:
    """Return cache savings in USD, and the cached tokens whose price is not known."""
    pricing = pricing_of(load_config())
    saved, unpriced = 0.0, 0
    for (_, _, provider, model), its in found.items():
        usd_saved = cache_savings(pricing, provider, model, read=its.cache_read, written=its.cache_write)
        if usd_saved is None:
            unpriced += its.cache_read + its.cache_write
        else:
            saved += usd_saved
    return saved, unpriced


def _data(figures: Figures) -> dict[str, Any]:
    return {
        "calls": figures.calls,
        "cost": known_cost(figures),
        "unknown_cost_calls": figures.unknown,
        "baseline_cost": figures.baseline,
        "savings": figures.savings,
        "savings_percent": figures.savings_percent,
    }


def _show_totals(screen: Screen, totals: Figures, cached: float, runs: RunFigures) -> None:
    rows: list[list[Cell]] = []
    if totals.baseline:
        rows.append(
            [
                "Tiers",
                (f"{usd(totals.savings)} USD", "bold"),
                f"{percent(totals.savings_percent)} of a baseline of {usd(totals.baseline)} USD, over calls",
            ]
        )
    if totals.cache_read or totals.cache_write:
        rows.append(
            [
                "Cache",
                f"{usd(cached)} USD",
                f"{percent(share(totals.cache_read, totals.input))} of input read from it, "
                f"{tokens(totals.cache_write)} tokens written",
            ]
        )
    if totals.calls:
        waste = totals.retry_waste + totals.fallback_waste
        rows.append(
            [
                "Wasted",
                f"{usd(waste)} USD",
                f"retries {usd(totals.retry_waste)}, fallbacks {usd(totals.fallback_waste)}; part of the cost",
            ]
        )
    if runs.baseline:
        rows.append(
            [
                "Runs",
                f"{usd(runs.savings)} USD",
                f"{percent(share(runs.savings, runs.baseline))} of their own {usd(runs.baseline)} USD, "
                f"over {counted(runs.roots, 'run')}",
            ]
        )
    columns = (Column(""), Column("", right=True), Column("", shrinks=True))
    widths = screen.widths(columns, rows)
    for row in rows:
        screen.row(columns, widths, row)
    if totals.baseline:
        screen.paragraph("The baseline is what the same tokens cost at each provider's premium model.", "dim")
    elif not runs.baseline:
        screen.paragraph("No call has a baseline: its provider's premium model is not known (tiers.premium_models).")


def _show_groups(screen: Screen, by: str, groups: Mapping[str, Figures], limit: int) -> None:
    most = max(figures.savings for figures in groups.values())
    columns = (
        Column(by, shrinks=True),
        Column("saved USD", right=True),
        Column("", room=76),
        Column("saved", right=True),
        Column("baseline USD", right=True),
        Column("cost USD", right=True),
        Column("calls", right=True),
    )
    rows: list[list[Cell]] = [
        [
            name or f"(no {by})",
            usd(its.savings),
            (screen.bar(its.savings, most, 8).ljust(8), "cyan"),
            percent(its.savings_percent),
            usd(its.baseline) if its.baseline else "–",
            usd(known_cost(its), its.unknown),
            f"{its.calls:,}",
        ]
        for name, its in list(groups.items())[:limit]
    ]
    screen.table(columns, rows)
    if len(groups) > limit:
        left = total_of(dict(list(groups.items())[limit:]))
        screen.line((f"… and {len(groups) - limit} more: {usd(left.savings)} USD saved", "dim"))
