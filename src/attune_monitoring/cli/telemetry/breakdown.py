"""A table of figures by one dimension: cost and its share, calls, errors, latency, tokens."""

from __future__ import annotations

from collections.abc import Mapping

from attune_monitoring.cli.render import Cell, Column, Screen, percent, tokens, usd
from attune_monitoring.figures import Figures

from .amounts import share, took
from .past import each_cost, known_cost, quantile, total_of

__all__ = ["breakdown"]

_BAR = 8


def breakdown(screen: Screen, by: str, groups: Mapping[str, Figures], limit: int) -> None:
    """Print one row for each group in the given order, the rest in one line.

    Args:
        screen: where to.
        by: the dimension.
        groups: figures by its values.
        limit: rows at most.
    """
    total = total_of(groups)
    most = max((figures.cost for figures in groups.values()), default=0.0)
    shown = list(groups.items())[:limit]
    detailed = any(figures.latency.histogram for figures in groups.values()) or not total.latency.count
    columns = (
        Column(by, shrinks=True),
        Column("USD", right=True),
        Column("", room=72),
        Column("share", right=True),
        Column("calls", right=True),
        Column("errors", right=True),
        Column("p95" if detailed else "average", right=True),
        Column("tokens", right=True, room=60),
        Column("USD a call", right=True, room=96),
        Column("p50", right=True, room=110 if detailed else 10_000),
        Column("retries", right=True, room=130 if detailed else 10_000),
        Column("fallbacks", right=True, room=130 if detailed else 10_000),
    )
    rows: list[list[Cell]] = []
    for name, figures in shown:
        rows.append(
            [
                name,
                usd(known_cost(figures), figures.unknown),
                (screen.bar(figures.cost, most, _BAR).ljust(_BAR), "cyan"),
                percent(share(known_cost(figures), total.cost)),
                f"{figures.calls:,}",
                (f"{figures.failed:,}", "red") if figures.failed else "0",
                took(quantile(figures.latency, 95) if detailed else figures.latency.average),
                tokens(figures.input + figures.output),
                each_cost(figures),
                took(quantile(figures.latency, 50)),
                f"{figures.retries:,}",
                f"{figures.fallbacks:,}",
            ]
        )
    screen.table(columns, rows)
    rest = list(groups.values())[limit:]
    if rest:
        left = total_of(dict(enumerate(rest)))
        calls = f"{left.calls:,} call{'' if left.calls == 1 else 's'}"
        screen.line((f"… and {len(rest)} more: {usd(known_cost(left), left.unknown)} USD, {calls}", "dim"))
