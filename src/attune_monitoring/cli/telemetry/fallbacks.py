"""`empathy telemetry fallbacks`: fallbacks, retries, errors and truncated answers, and what they wasted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import click

from attune_monitoring.cli.render import Cell, Column, Screen, notes, percent, usd
from attune_monitoring.figures import Figures
from attune_monitoring.history import History, Span

from .amounts import share
from .options import Options, common
from .past import opened, patience, report, sentences, span_of, total_of
from .reading import counted

__all__ = ["command"]

_FELL_BACK = re.compile(rb'"fallback_used"\s*:\s*true')


@click.command("fallbacks")
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="Rows of a table at most.")
@common("7d")
def command(options: Options, limit: int) -> None:
    """Show how often calls failed, were retried, fell back to another model or were cut off, and what that cost.

    Waste is what attempts cost that were given up; it is part of the cost, not on top of it.
    """
    span = span_of(options)
    with opened(options) as past:
        found = past.calls(("provider", "model"), span=span, percentiles=False)
        totals = total_of(found)
        ways = _ways(past, span) if totals.fallbacks else Counter()
        said = sentences(past, span, totals.unknown)
    data = {
        "calls": totals.calls,
        "fallbacks": totals.fallbacks,
        "fallback_percent": share(totals.fallbacks, totals.calls),
        "retries": totals.retries,
        "errors": totals.failed,
        "error_rate": totals.error_rate,
        "truncated": totals.truncated,
        "truncated_percent": share(totals.truncated, totals.calls),
        "retry_waste": totals.retry_waste,
        "fallback_waste": totals.fallback_waste,
        "by_original": [_way_data(way, count) for way, count in ways.most_common()],
        "by_error": dict(Counter(totals.errors).most_common()),
        "by_model": [_model_data(labels, figures) for labels, figures in _troubled(found)],
    }
    screen = report("fallbacks", options, data, said, is_empty=not totals.calls)
    if screen is None:
        return
    _show_totals(screen, totals)
    if ways:
        screen.heading("Fallbacks", "what was asked for, and what answered")
        _show_ways(screen, ways, limit)
    if totals.errors:
        screen.heading("Errors")
        _show_errors(screen, totals, limit)
    troubled = _troubled(found)
    if troubled:
        screen.heading("Models", "with an error, a retry, a fallback or a truncated answer")
        _show_models(screen, troubled, limit)
    notes(said)


def _ways(past: History, span: Span) -> Counter[tuple[str, str, str, str]]:
    """Calls that fell back, by original provider and model and those that answered: only the records know."""
    ways: Counter[tuple[str, str, str, str]] = Counter()
    with patience("reading the records of fallbacks"):
        for call in past.call_records(span, having=_FELL_BACK):
            if call.fallback_used:
                ways[call.original_provider or "", call.original_model or "", call.provider, call.model_id] += 1
    return ways


def _way_data(way: tuple[str, str, str, str], count: int) -> dict[str, Any]:
    names = ("original_provider", "original_model", "provider", "model")
    return {**{name: value or None for name, value in zip(names, way, strict=True)}, "fallbacks": count}


def _troubled(found: dict[tuple[str, ...], Figures]) -> list[tuple[tuple[str, ...], Figures]]:
    troubled = [(labels, it) for labels, it in found.items() if it.failed or it.retries or it.fallbacks or it.truncated]
    return sorted(troubled, key=lambda item: (-item[1].failed, -item[1].retries, item[0]))


def _model_data(labels: tuple[str, ...], figures: Figures) -> dict[str, Any]:
    provider, model = labels
    return {
        "provider": provider,
        "model": model,
        "calls": figures.calls,
        "errors": figures.failed,
        "retries": figures.retries,
        "fallbacks": figures.fallbacks,
        "truncated": figures.truncated,
        "waste": figures.retry_waste + figures.fallback_waste,
    }


def _show_totals(screen: Screen, totals: Figures) -> None:
    waste = totals.retry_waste + totals.fallback_waste
    rows: list[list[Cell]] = [
        ["Errors", (f"{totals.failed:,}", "bold"), f"{percent(totals.error_rate)} of {counted(totals.calls, 'call')}"],
        ["Fallbacks", f"{totals.fallbacks:,}", f"{percent(share(totals.fallbacks, totals.calls))} of calls"],
        ["Retries", f"{totals.retries:,}", f"{percent(share(totals.retries, totals.calls))} of the number of calls"],
        ["Truncated", f"{totals.truncated:,}", f"{percent(share(totals.truncated, totals.calls))} of calls"],
        [
            "Wasted",
            usd(waste),
            f"USD: retries {usd(totals.retry_waste)}, fallbacks {usd(totals.fallback_waste)}; "
            f"{percent(share(waste, totals.cost))} of the cost",
        ],
    ]
    columns = (Column(""), Column("", right=True), Column("", shrinks=True))
    widths = screen.widths(columns, rows)
    for row in rows:
        screen.row(columns, widths, row)


def _show_ways(screen: Screen, ways: Counter[tuple[str, str, str, str]], limit: int) -> None:
    columns = (Column("asked for", shrinks=True), Column("answered", shrinks=True), Column("calls", right=True))
    rows = [
        [_full(provider, model), _full(to_provider, to_model), f"{count:,}"]
        for (provider, model, to_provider, to_model), count in ways.most_common(limit)
    ]
    screen.table(columns, rows)
    _show_rest(screen, len(ways) - limit)


def _show_errors(screen: Screen, totals: Figures, limit: int) -> None:
    columns = (Column("type", shrinks=True), Column("calls", right=True), Column("of errors", right=True))
    kinds = Counter(totals.errors)
    rows = [
        ["(no type)" if kind == "_OTHER" else kind, f"{count:,}", percent(share(count, totals.failed))]
        for kind, count in kinds.most_common(limit)
    ]
    screen.table(columns, rows)
    _show_rest(screen, len(kinds) - limit)


def _show_models(screen: Screen, troubled: list[tuple[tuple[str, ...], Figures]], limit: int) -> None:
    columns = [Column("model", shrinks=True), Column("provider", room=96, shrinks=True)]
    counts: dict[str, Callable[[Figures], str]] = {
        "calls": lambda it: f"{it.calls:,}",
        "errors": lambda it: f"{it.failed:,}",
        "rate": lambda it: percent(it.error_rate),
        "retries": lambda it: f"{it.retries:,}",
        "fallbacks": lambda it: f"{it.fallbacks:,}",
        "truncated": lambda it: f"{it.truncated:,}",
        "wasted USD": lambda it: usd(it.retry_waste + it.fallback_waste),
    }
    told = {title: of for title, of in counts.items() if title == "calls" or any(of(it) != "0" for _, it in troubled)}
    columns += [Column(title, right=True) for title in told]
    rows = [
        [model or "(not said)", provider, *(of(it) for of in told.values())]
        for (provider, model), it in troubled[:limit]
    ]
    screen.table(columns, rows)
    _show_rest(screen, len(troubled) - limit)


def _show_rest(screen: Screen, more: int) -> None:
    if more > 0:
        screen.line((f"… and {more} more", "dim"))


def _full(provider: str, model: str) -> str:
    return "/".join(filter(None, (provider, model))) or "(not said)"
