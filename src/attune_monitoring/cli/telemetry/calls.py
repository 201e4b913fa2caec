"""`empathy telemetry calls`: the newest calls, one call in full, or calls as they come."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

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
    tokens,
    usd,
)
from attune_monitoring.errors import MonitoringError
from attune_monitoring.figures import user_of
from attune_monitoring.records import LLMCallRecord, parse_time
from attune_monitoring.semconv import TRUNCATED_REASONS
from attune_monitoring.store import CALLS, Tail

from .options import Options, common
from .reading import Reading, holds_records, lines_with

__all__ = ["command"]

_POLL_SECONDS = 0.5
_WIDE = 100
"""Columns from which on times have their year."""
_WHOLE_IDS = 140
"""Columns from which on ids have all of their characters; the beginning is enough to name a call."""
_COLUMNS = (
    Column("time"),
    Column("workflow", room=100, shrinks=True),
    Column("provider", room=120, shrinks=True),
    Column("model", shrinks=True),
    Column("tier", room=96),
    Column("USD", right=True),
    Column("in", right=True, room=88),
    Column("out", right=True, room=88),
    Column("latency", right=True),
    Column("status", shrinks=True),
    Column("call", room=76),
)
_LEAST = (0, 16, 10, 20, 7, 9, 6, 6, 8, 20, 16)
"""Widths of the columns where rows come one by one."""


@click.command("calls")
@click.argument("call_id", required=False)
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="Calls at most.")
@click.option("--workflow", metavar="NAME", help="Only of this workflow.")
@click.option("--provider", metavar="NAME", help="Only of this provider.")
@click.option("--model", metavar="NAME", help="Only of models whose name begins with this.")
@click.option("--tier", metavar="NAME", help="Only of this tier: cheap, capable, premium, unknown.")
@click.option("--user", metavar="ID", help="Only for this user.")
@click.option("--session", metavar="ID", help="Only of this session.")
@click.option("--project", metavar="NAME", help="Only of this project.")
@click.option("--status", type=click.Choice(["ok", "error", "cancelled"]), help="Only with this outcome.")
@click.option("--min-cost", type=click.FloatRange(min=0), metavar="USD", help="Only calls that cost at least this.")
@click.option("--slow", type=click.IntRange(min=0), metavar="MS", help="Only calls that took at least this long.")
@click.option("--truncated", is_flag=True, help="Only answers that were cut off at a limit of tokens.")
@click.option("--unknown-cost", is_flag=True, help="Only calls of unknown cost.")
@click.option("--text", metavar="TEXT", help="Only with this text in a name, an id or an error, in any case.")
@click.option("--follow", is_flag=True, help="Go on, and show new calls as they come; end with Ctrl+C.")
@common()
def command(
    options: Options,
    call_id: str | None,
    limit: int,
    follow: bool,
    **filters: Any,
) -> None:
    """Show LLM calls, the newest first, or one call in full.

    CALL_ID is an id as the table shows it, or its beginning.
    """
    if call_id is not None:
        if follow or any(value not in (None, False) for value in filters.values()):
            raise click.UsageError("CALL_ID shows one call; leave out --follow and the filters")
        _show_one(options, call_id)
    elif follow:
        _follow(options, limit, filters)
    else:
        _list(options, limit, filters)


def _list(options: Options, limit: int, filters: Mapping[str, Any]) -> None:
    reading = Reading(options)
    calls = reading.newest_calls(limit, _equal(filters), _keep(filters))
    reading.unknown = sum(call.cost is None and call.cost_source != "none" for call in calls)
    if options.json:
        data = [call_data(call) for call in calls]
        print_json(answer("calls", data, **options.frame(), notes=reading.notes()))
        return
    if calls:
        screen = Screen()
        screen.table(_COLUMNS, [_row(call, options, screen) for call in calls])
    elif holds_records(options.folder):
        click.echo("No call is like that; --since all looks at all of them, and other filters may find more.")
    else:
        click.echo(empty(options.folder))
    notes(reading.notes())


def _show_one(options: Options, call_id: str) -> None:
    found: dict[str, LLMCallRecord] = {}
    for data in lines_with(options.folder, CALLS, [call_id]):
        if str(data.get("call_id")).startswith(call_id):
            try:
                call = LLMCallRecord.from_dict(data)
            except ValueError:
                continue
            found[call.call_id] = call
    call_ = found.get(call_id) or (next(iter(found.values())) if len(found) == 1 else None)
    if call_ is None and found:
        some = ", ".join(list(found)[:4])
        raise click.UsageError(f"{len(found)} calls begin with '{call_id}' ({some} …); give more of the id")
    if call_ is None:
        raise MonitoringError(f"no call in {options.folder} has an id that begins with '{call_id}'")
    if options.json:
        print_json(answer("calls", call_data(call_), **options.frame()))
        return
    screen = Screen()
    facts = [(key, value) for key, value in call_data(call_).items() if value not in (None, [], {}, "")]
    width = max(len(key) for key, _ in facts)
    for key, value in facts:
        each = value if isinstance(value, list) and isinstance(value[0], dict) else [value]
        for place, one in enumerate(each):
            text = one if isinstance(one, str) else msgspec.json.encode(one, enc_hook=str).decode()
            screen.line((f"{key if not place else '':<{width}}  ", "dim"), failed(text, limit=2000))
    if call_.cost is None and call_.cost_source != "none":
        screen.line((f"{'cost':<{width}}  ", "dim"), "not known")


def _follow(options: Options, limit: int, filters: Mapping[str, Any]) -> None:
    tail = Tail(options.folder, CALLS, from_end=True)
    reading = Reading(options)
    equal, keep = _equal(filters), _keep(filters)
    show = _printer(options)
    for call in reversed(reading.newest_calls(limit, equal, keep)):
        show(call)
    ended = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: ended.set())
    try:
        while not ended.is_set():
            for call in _calls_in(tail.poll()):
                wanted = all(getattr(call, key) == value for key, value in equal.items()) and keep(call)
                if wanted and reading.counts(call):
                    show(call)
            ended.wait(_POLL_SECONDS)
    finally:
        signal.signal(signal.SIGINT, before)


def _printer(options: Options) -> Callable[[LLMCallRecord], None]:
    if options.json:
        return lambda call: print_json(call_data(call), indent=False)
    screen = Screen()
    sample = [" " * least for least in _LEAST]
    sample[0] = clock(options.local(options.now), wide=screen.width >= _WIDE)
    widths = screen.widths(_COLUMNS, [sample])
    screen.row(_COLUMNS, widths, [(column.title, "dim") for column in _COLUMNS])
    return lambda call: screen.row(_COLUMNS, widths, _row(call, options, screen))


def _calls_in(lines: list[bytes]) -> Iterator[LLMCallRecord]:
    for line in lines:
        try:
            yield LLMCallRecord.from_dict(msgspec.json.decode(line))
        except (ValueError, RecursionError):
            continue


def _equal(filters: Mapping[str, Any]) -> dict[str, str]:
    keys = {"workflow_name": "workflow", "provider": "provider", "tier": "tier", "session_id": "session"}
    found = {key: filters[name] for key, name in keys.items() if filters[name] is not None}
    if filters["user"] is not None:
        found["user_id"] = filters["user"]
    return found


def _keep(filters: Mapping[str, Any]) -> Callable[[LLMCallRecord], bool]:
    model, project, status = filters["model"], filters["project"], filters["status"]
    least, slow = filters["min_cost"], filters["slow"]
    truncated, unknown = filters["truncated"], filters["unknown_cost"]
    text = None if filters["text"] is None else filters["text"].casefold()

    def keep(call: LLMCallRecord) -> bool:
        return (
            (model is None or call.model_id.startswith(model))
            and (project is None or call.project == project)
            and (status is None or call.outcome == status)
            and (least is None or (call.cost is not None and call.cost >= least))
            and (slow is None or call.latency_ms >= slow)
            and (not truncated or _is_truncated(call))
            and (not unknown or (call.cost is None and call.cost_source != "none"))
            and (text is None or any(text in part.casefold() for part in _texts(call)))
        )

    return keep


def _is_truncated(call: LLMCallRecord) -> bool:
    return not TRUNCATED_REASONS.isdisjoint(call.finish_reasons)


def _texts(call: LLMCallRecord) -> Iterator[str]:
    yield from (call.call_id, call.provider, call.model_id, call.task_type)
    for part in (call.workflow_name, call.step_name, call.user_id, call.session_id, call.project, call.run_id):
        yield part or ""
    yield from (call.error_type or "", call.error_message or "")


def call_data(call: LLMCallRecord) -> dict[str, Any]:
    """Return a call as JSON has it: every field of the record on one level, with `cost` and `outcome`."""
    return {**msgspec.structs.asdict(call), "user_id": user_of(call), "cost": call.cost, "outcome": call.outcome}


def _row(call: LLMCallRecord, options: Options, screen: Screen) -> list[Cell]:
    style = {"error": "red", "cancelled": "yellow"}.get(call.outcome, "")
    nothing = call.cost_source == "none"
    return [
        clock(options.local(parse_time(call.timestamp)), wide=screen.width >= _WIDE),
        call.workflow_name or "",
        call.provider,
        call.model_id or call.request_model or "",
        "?" if call.tier == "unknown" else call.tier,
        "" if nothing else usd(call.cost),
        "" if nothing else tokens(call.input_tokens),
        "" if nothing else tokens(call.output_tokens),
        duration(call.latency_ms),
        (_status(call), style),
        (call.call_id if screen.width >= _WHOLE_IDS else call.call_id[:8], "dim"),
    ]


def _status(call: LLMCallRecord) -> str:
    if call.outcome == "error":
        return failed(call.error_type or "error", limit=40)
    if call.outcome == "cancelled":
        return "cancelled"
    if _is_truncated(call):
        return "truncated"
    return "fallback" if call.fallback_used else "retried" if call.retry_count else "ok"
