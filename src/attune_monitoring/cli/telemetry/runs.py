"""`empathy telemetry runs`: the newest runs, or one run as a tree with cost and time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import click
import msgspec

from attune_monitoring.cli.render import (
    Cell,
    Column,
    Screen,
    answer,
    clock,
    duration,
    empty,
    failed,
    notes,
    print_json,
    stamp,
    tokens,
    usd,
)
from attune_monitoring.errors import MonitoringError
from attune_monitoring.figures import once
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, parse_time
from attune_monitoring.run_tree import Node, build
from attune_monitoring.store import CALLS, DETAILS, RUNS

from .options import Options, common
from .reading import Reading, counted, holds_records, lines_with

__all__ = ["command"]

_WIDE = 100
"""Columns from which on times have their year, and ids all of their characters."""
_MOST_CALLS = 12
"""Calls of one stage that are shown unless all are asked for."""
_STYLES = {"error": "red", "cancelled": "yellow", "skipped": "dim", "open": "yellow", "no end recorded": "yellow"}
_BARS = {"run": "cyan", "stage": "cyan", "call": "dim", "error": "red", "cancelled": "yellow"}
_LIST = (
    Column("began"),
    Column("workflow", shrinks=True),
    Column("USD", right=True),
    Column("calls", right=True, room=70),
    Column("tokens", right=True, room=90),
    Column("took", right=True),
    Column("status", shrinks=True),
    Column("trigger", room=140, shrinks=True),
    Column("user", room=140, shrinks=True),
    Column("run"),
)
_TREE = (
    Column("", shrinks=True),
    Column("USD", right=True),
    Column("tokens", right=True, room=90),
    Column("took", right=True),
    Column("time"),
    Column("", shrinks=True),
)


@click.command("runs")
@click.argument("run_id", required=False)
@click.option("--last", is_flag=True, help="Show the newest run as a tree.")
@click.option("--all", "every", is_flag=True, help="In a tree, show every call of a stage with many.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Runs at most.")
@click.option("--workflow", metavar="NAME", help="Only of this workflow.")
@click.option("--status", type=click.Choice(["ok", "error", "cancelled", "open"]), help="Only with this outcome.")
@common()
def command(
    options: Options,
    run_id: str | None,
    last: bool,
    every: bool,
    limit: int,
    workflow: str | None,
    status: str | None,
) -> None:
    """Show workflow runs, the newest first, or one run as a tree of stages, nested runs and calls.

    RUN_ID is an id as the list shows it, or its beginning. A run whose program was killed, or still works, has left no
    record of its own: it is rebuilt from its calls, and `no end recorded` is its status (`--status open`).
    """
    if run_id is not None and last:
        raise click.UsageError("give either RUN_ID or --last")
    if run_id is not None:
        _show_one(options, _resolve(options, run_id), every=every)
        return
    reading = Reading(options)
    found = _newest(options, reading, 1 if last else limit, workflow, status)
    if last and found:
        _show_one(options, found[0].node.id, every=every)
    elif options.json:
        print_json(answer("runs", [_data(one.node) for one in found], **options.frame(), notes=reading.notes()))
    elif found:
        screen = Screen()
        screen.table(_LIST, [_row(one, options, screen) for one in found])
        notes(reading.notes())
    elif holds_records(options.folder):
        click.echo("There is no such run. Calls outside of any workflow are in no run;\n`@workflow` makes one of them.")
    else:
        click.echo(empty(options.folder))


class _Listed(NamedTuple):
    node: Node
    record: WorkflowRunRecord | None
    calls: int | None


def _newest(options: Options, reading: Reading, limit: int, workflow: str | None, status: str | None) -> list[_Listed]:
    """The newest runs that no other encloses."""

    def keep(run: WorkflowRunRecord) -> bool:
        return (workflow is None or run.workflow_name == workflow) and (
            status is None or build(run.run_id, [run], ()).outcome == status
        )

    recorded = reading.newest_runs(limit, keep)
    found = [_Listed(build(run.run_id, [run], ()), run, run.call_count or None) for run in recorded]
    if status in (None, "open"):
        # What began before the oldest run of a full list is not in the list, whatever became of it.
        since = parse_time(recorded[-1].started_at) if len(recorded) >= limit else options.since
        unrecorded = _unrecorded(msgspec.structs.replace(options, since=since), limit)
        found += [one for one in unrecorded if workflow is None or one.node.name == workflow]
    found.sort(key=lambda one: one.node.started or 0.0, reverse=True)
    reading.unknown = sum(one.node.unknown_cost_calls for one in found[:limit])
    return found[:limit]


def _unrecorded(options: Options, limit: int) -> list[_Listed]:
    """Runs of which there are calls or nested runs, but no record."""
    calls, parents = Reading(options).unrecorded()
    newest = sorted(calls, key=lambda run_id: calls[run_id][-1].timestamp, reverse=True)[:limit]
    found = []
    runs = list(_runs_with(options, [*newest, *parents]))
    recorded = {run.run_id for run in runs}  # before the window
    for run_id in {*newest, *parents} - recorded:
        made = calls.get(run_id, [])
        node = build(run_id, runs, made)
        if node.started is not None and options.holds(datetime.fromtimestamp(node.started, UTC)):
            found.append(_Listed(node, None, len(made)))
    return found


def _resolve(options: Options, prefix: str) -> str:
    """The one run id that begins so."""
    found: set[str] = set()
    for stream in (DETAILS, RUNS, CALLS):
        for data in lines_with(options.folder, stream, [prefix]):
            found.update(one for one in _run_ids(data) if one.startswith(prefix))
        if prefix in found:
            return prefix
    if len(found) > 1:
        some = ", ".join(sorted(found)[:4])
        raise click.UsageError(f"{len(found)} runs begin with '{prefix}' ({some} …); give more of the id")
    if not found:
        raise MonitoringError(f"no run in {options.folder} has an id that begins with '{prefix}'")
    return found.pop()


def _run_ids(data: Mapping[str, Any]) -> Iterator[str]:
    metadata = data.get("metadata")
    extra = metadata.get("attune") if isinstance(metadata, dict) else None
    for place in (data, metadata, extra):
        run_id = place.get("run_id") if isinstance(place, dict) else None
        if isinstance(run_id, str):
            yield run_id


def _runs_with(options: Options, run_ids: Sequence[str]) -> Iterator[WorkflowRunRecord]:
    """The records of these runs, and of those directly in them."""
    wanted = set(run_ids)
    for stream in (DETAILS, RUNS):
        for data in lines_with(options.folder, stream, run_ids):
            try:
                run = WorkflowRunRecord.from_dict(data)
            except ValueError:
                continue
            if run.run_id in wanted or run.parent_run_id in wanted:
                yield run


def _tree(options: Options, run_id: str) -> Node:
    runs: dict[str, WorkflowRunRecord] = {}
    level = {run_id}
    seen: set[str] = set()
    while level:
        seen |= level
        for run in _runs_with(options, [*level]):
            runs.setdefault(run.run_id, run)
        level = runs.keys() - seen
    calls = []
    for data in lines_with(options.folder, CALLS, [*seen]):
        try:
            calls.append(LLMCallRecord.from_dict(data))
        except ValueError:
            continue
    return build(run_id, runs.values(), once(calls))


def _show_one(options: Options, run_id: str, *, every: bool) -> None:
    node = _tree(options, run_id)
    if options.json:
        print_json(answer("runs", _data(node), **options.frame()))
        return
    screen = Screen()
    status = "no end recorded" if node.outcome == "open" else node.outcome
    began = "" if node.started is None else clock(options.local(datetime.fromtimestamp(node.started, UTC)))
    screen.line((node.name, "bold"), f"  {began}  {duration(node.duration_ms)}  ", (status, _STYLES.get(status, "")))
    screen.line((f"run {node.id}", "dim"))
    screen.line()
    bar = min(60, max(12, screen.width // (4 if screen.width >= _WIDE else 6)))
    screen.table(_TREE, list(_lines(node, node, screen, bar, "", "", every=every)))
    if node.unknown_cost_calls:
        notes([f"{counted(node.unknown_cost_calls, 'call')} of unknown cost, in no sum: unknown is not 0"])


def _lines(
    node: Node, run: Node, screen: Screen, bar: int, guide: str, below: str, *, every: bool
) -> Iterator[list[Cell]]:
    """The rows of a node and of all below it; `guide` is drawn before its name, `below` before those below."""
    style = _STYLES.get(node.outcome, "dim" if node.kind == "call" else "")
    nothing = node.outcome == "skipped" or (node.call is not None and node.call.cost_source == "none")
    yield [
        (guide + (node.name if node is run else _name(node)), "bold" if node is run else style),
        "" if nothing else usd(node.cost, node.unknown_cost_calls if node.kind != "call" else 0),
        "" if nothing else f"{tokens(node.input_tokens)}/{tokens(node.output_tokens)}",
        "" if node.outcome == "skipped" else duration(node.duration_ms),
        ("" if node.outcome == "skipped" else _span(node, run, screen, bar), _BARS.get(node.outcome, _BARS[node.kind])),
        (_note(node), style),
    ]
    fork, corner, line = ("├─ ", "└─ ", "│  ") if screen.unicode else ("|- ", "`- ", "|  ")
    children = node.children
    hidden = 0 if every else max(0, sum(child.kind == "call" for child in children) - _MOST_CALLS)
    if hidden:
        shown = [child for child in children if child.kind == "call"][:_MOST_CALLS]
        children = tuple(child for child in children if child.kind != "call" or child in shown)
    for place, child in enumerate(children):
        last = place == len(children) - 1 and not hidden
        yield from _lines(
            child, run, screen, bar, below + (corner if last else fork), below + ("   " if last else line), every=every
        )
    if hidden:
        yield [(f"{below}{corner}{hidden:,} more calls (--all)", "dim"), "", "", "", "", ""]


def _span(node: Node, run: Node, screen: Screen, width: int) -> str:
    """Where a node lies on the time of the whole run."""
    whole = run.duration_ms
    if node.started is None or run.started is None or whole <= 0:
        return ""
    offset = min(max(0.0, (node.started - run.started) * 1000 / whole), 1.0)
    begin = min(round(offset * width), width - 1)
    length = max(1, min(width - begin, round(node.duration_ms / whole * width)))
    return " " * begin + ("█" if screen.unicode else "#") * length


def _name(node: Node) -> str:
    if node.call is not None and node.call.fallback_used and node.call.original_model:
        return f"{node.call.original_model} > {node.name}"
    return f"{node.name} (run)" if node.kind == "run" else node.name


def _note(node: Node) -> str:
    if node.outcome == "open":
        return "no end recorded"
    if node.outcome == "skipped":
        return failed(f"skipped: {node.note}" if node.note else "skipped")
    if node.outcome in ("error", "cancelled"):
        return failed(f"{node.outcome}: {node.note}" if node.note else node.outcome)
    call = node.call
    if call is None:
        return ""
    parts = []
    if call.retry_count:
        parts.append(f"{call.retry_count} retr{'y' if call.retry_count == 1 else 'ies'}")
    if call.fallback_used:
        parts.append("fallback")
    if call.time_to_first_token_ms is not None:
        parts.append(f"first token {duration(call.time_to_first_token_ms)}")
    if call.cost is None and call.cost_source != "none":
        parts.append("cost unknown")
    return ", ".join(parts)


def _data(node: Node) -> dict[str, Any]:
    call = node.call
    return {
        "kind": node.kind,
        "id": node.id,
        "name": node.name,
        "started": None if node.started is None else stamp(datetime.fromtimestamp(node.started, UTC)),
        "duration_ms": node.duration_ms,
        "cost": node.cost,
        "unknown_cost_calls": node.unknown_cost_calls,
        "input_tokens": node.input_tokens,
        "output_tokens": node.output_tokens,
        "outcome": node.outcome,
        "note": failed(node.note),
        "provider": None if call is None else call.provider,
        "tier": None if call is None else call.tier,
        "children": [_data(child) for child in node.children],
    }


def _row(one: _Listed, options: Options, screen: Screen) -> list[Cell]:
    node, run, calls = one
    began = None if node.started is None else options.local(datetime.fromtimestamp(node.started, UTC))
    status = failed(f"error: {node.note}", limit=60) if node.outcome == "error" else node.outcome
    return [
        "?" if began is None else clock(began, wide=screen.width >= _WIDE),
        node.name,
        usd(node.cost, node.unknown_cost_calls),
        "" if calls is None else f"{calls:,}",
        tokens((node.input_tokens or 0) + (node.output_tokens or 0)),
        duration(node.duration_ms),
        ("no end recorded" if node.outcome == "open" else status, _STYLES.get(node.outcome, "")),
        (run.trigger if run else None) or "",
        (run.user_id if run else None) or "",
        (node.id if screen.width >= _WIDE else node.id[:8], "dim"),
    ]
