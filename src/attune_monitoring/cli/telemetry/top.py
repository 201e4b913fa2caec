"""`empathy telemetry top`: the most expensive workflows, models, users, sessions and calls; errors; slow calls."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from typing import Any

import click

from attune_monitoring.cli.render import Cell, Column, Screen, clock, duration, failed, notes, percent, tokens, usd
from attune_monitoring.figures import Figures
from attune_monitoring.history import History, RunFigures, Span
from attune_monitoring.records import LLMCallRecord, parse_time

from .amounts import share, took
from .breakdown import breakdown
from .options import Options, common
from .past import (
    by_group,
    data_of,
    known_cost,
    opened,
    patience,
    report,
    sentences,
    span_of,
    total_of,
    unknown_by,
)

__all__ = ["command"]

_DIMENSIONS = {"models": "model", "users": "user", "sessions": "session"}
_CALLS: Mapping[str, Callable[[LLMCallRecord], float | None]] = {
    "calls": lambda call: call.cost,
    "slow": lambda call: call.latency_ms if call.outcome == "ok" else None,
}
"""What single calls are ordered by; None = not among them."""
_CALL_COLUMNS = (
    Column("time"),
    Column("workflow", shrinks=True, room=96),
    Column("model", shrinks=True),
    Column("USD", right=True),
    Column("in", right=True),
    Column("out", right=True),
    Column("latency", right=True),
    Column("status", shrinks=True, room=110),
    Column("call", room=70),
)


@click.command("top")
@click.argument(
    "what",
    type=click.Choice(["workflows", "models", "users", "calls", "sessions", "errors", "slow"]),
    default="workflows",
)
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=10, show_default=True, help="Rows at most.")
@common("7d")
def command(options: Options, what: str, limit: int) -> None:
    """Show the most expensive workflows, models, users, calls or sessions, the most frequent errors, the slowest calls.

    `sessions`, `calls` and `slow` read every record of the window; the others are there at once.
    """
    if what in _CALLS:
        _calls(options, what, limit)
    elif what == "workflows":
        _workflows(options, limit)
    elif what == "errors":
        _errors(options, limit)
    else:
        _groups(options, what, limit)


def _groups(options: Options, what: str, limit: int) -> None:
    by, span = _DIMENSIONS[what], span_of(options)
    with opened(options) as past:
        groups = by_group(past, by, span)
        totals = total_of(groups)
        said = sentences(past, span, totals.unknown)
    data = [{by: name, **data_of(figures, unknown_by(by))} for name, figures in list(groups.items())[:limit]]
    screen = report("top", options, data, said, is_empty=not totals.calls)
    if screen is not None:
        breakdown(screen, by, groups, limit)
        notes(said)


def _workflows(options: Options, limit: int) -> None:
    span = span_of(options)
    with opened(options) as past:
        groups = by_group(past, "workflow", span)
        runs = {labels[0]: its for labels, its in past.runs(("workflow",), span=span).items()}
        totals = total_of(groups)
        said = sentences(past, span, totals.unknown)
    shown = list(groups.items())[:limit]
    data = [{"workflow": name, **data_of(its), **_run_data(its, runs.get(name))} for name, its in shown]
    screen = report("top", options, data, said, is_empty=not totals.calls)
    if screen is None:
        return
    columns = (
        Column("workflow", shrinks=True),
        Column("USD", right=True),
        Column("share", right=True),
        Column("runs", right=True),
        Column("USD a run", right=True),
        Column("run takes", right=True),
        Column("calls", right=True),
        Column("errors", right=True, room=76),
    )
    rows = [_workflow_row(name, its, runs.get(name), totals) for name, its in shown]
    screen.table(columns, rows)
    if len(groups) > limit:
        left = total_of(dict(list(groups.items())[limit:]))
        screen.line((f"… and {len(groups) - limit} more: {usd(known_cost(left), left.unknown)} USD", "dim"))
    notes(said)


def _run_data(figures: Figures, runs: RunFigures | None) -> dict[str, Any]:
    """What a run costs and takes; a run's own cost holds no unknown ones, so where no cost is known it says nothing."""
    roots = 0 if runs is None else runs.roots
    known = known_cost(figures) is not None
    return {
        "runs": roots,
        "average_run_cost": runs.cost / roots if runs and roots and known else None,
        "average_run_duration_ms": runs.root_ms / roots if runs and roots else None,
    }


def _workflow_row(name: str, figures: Figures, runs: RunFigures | None, totals: Figures) -> list[Cell]:
    of_run = _run_data(figures, runs)
    each = of_run["average_run_cost"]
    return [
        name,
        usd(known_cost(figures), figures.unknown),
        percent(share(known_cost(figures), totals.cost)),
        f"{of_run['runs']:,}",
        "–" if each is None else usd(each),
        took(of_run["average_run_duration_ms"]),
        f"{figures.calls:,}",
        (f"{figures.failed:,}", "red") if figures.failed else "0",
    ]


def _errors(options: Options, limit: int) -> None:
    span = span_of(options)
    with opened(options) as past:
        found = past.calls(("error", "provider", "model"), span=span, percentiles=False)
        totals = total_of(found)
        said = sentences(past, span, 0)
    kinds: dict[str, dict[str, int]] = {}
    for (kind, provider, model), figures in found.items():
        if figures.failed:
            models = kinds.setdefault(kind, {})
            name = "/".join(filter(None, (provider, model)))
            models[name] = models.get(name, 0) + figures.failed
    ordered = sorted(kinds.items(), key=lambda item: (-sum(item[1].values()), item[0]))[:limit]
    data = [{"error": kind, "calls": sum(models.values()), "by_model": models} for kind, models in ordered]
    screen = report("top", options, data, said, is_empty=not totals.calls)
    if screen is None:
        return
    if not ordered:
        screen.line(f"None of {totals.calls:,} calls failed.")
    else:
        columns = (
            Column("error", shrinks=True),
            Column("calls", right=True),
            Column("of errors", right=True),
            Column("of calls", right=True),
            Column("most of them", shrinks=True),
        )
        screen.table(columns, [_error_row(kind, models, totals) for kind, models in ordered])
        if len(kinds) > limit:
            screen.line((f"… and {len(kinds) - limit} more", "dim"))
    notes(said)


def _error_row(kind: str, models: Mapping[str, int], totals: Figures) -> list[Cell]:
    count = sum(models.values())
    most = max(models, key=lambda model: models[model])
    return [
        "(no type)" if kind == "_OTHER" else kind,
        f"{count:,}",
        percent(share(count, totals.failed)),
        percent(share(count, totals.calls)),
        f"{most} {percent(share(models[most], count))}",
    ]


def _calls(options: Options, what: str, limit: int) -> None:
    span = span_of(options)
    with opened(options) as past:
        totals = total_of(past.calls((), span=span, percentiles=False))
        with patience("reading the records"):
            calls = _largest(past, span, _CALLS[what], limit)
        said = sentences(past, span, totals.unknown if what == "calls" else 0)
    data = [_call_data(call) for call in calls]
    screen = report("top", options, data, said, is_empty=not totals.calls)
    if screen is None:
        return
    if calls:
        screen.table(_CALL_COLUMNS, [_call_row(call, options, screen) for call in calls])
    else:
        screen.line(f"None of {totals.calls:,} calls {'has a known cost' if what == 'calls' else 'succeeded'}.")
    notes(said)


def _largest(
    past: History, span: Span, value: Callable[[LLMCallRecord], float | None], limit: int
) -> list[LLMCallRecord]:
    valued = ((value(call), number, call) for number, call in enumerate(past.call_records(span)))
    known = ((amount, -number, call) for amount, number, call in valued if amount is not None)
    return [call for _, _, call in heapq.nlargest(limit, known, key=lambda item: item[:2])]


def _call_data(call: LLMCallRecord) -> dict[str, Any]:
    return {
        "call_id": call.call_id,
        "timestamp": call.timestamp,
        "workflow": call.workflow_name,
        "run_id": call.run_id,
        "provider": call.provider,
        "model": call.model_id,
        "tier": call.tier,
        "cost": call.cost,
        "input_tokens": call.input_tokens,
        "output_tokens": call.output_tokens,
        "latency_ms": call.latency_ms,
        "outcome": call.outcome,
    }


def _call_row(call: LLMCallRecord, options: Options, screen: Screen) -> list[Cell]:
    outcome = failed(call.error_type or "error", limit=40) if call.outcome == "error" else call.outcome
    return [
        clock(options.local(parse_time(call.timestamp)), wide=screen.width >= 100),
        call.workflow_name or "",
        call.model_id or call.request_model or "",
        usd(call.cost),
        tokens(call.input_tokens),
        tokens(call.output_tokens),
        duration(call.latency_ms),
        outcome,
        (call.call_id, "dim"),
    ]
