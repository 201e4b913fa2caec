"""`empathy alerts list`: the rules, and the state that the last evaluation has left them in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click
import msgspec

from attune_monitoring.alerts.announcement import Alert
from attune_monitoring.alerts.outbox import Outbox
from attune_monitoring.alerts.rule import AlertRule
from attune_monitoring.alerts.silences import Silence, silence_of
from attune_monitoring.alerts.state import ERROR_KEY, AlertState
from attune_monitoring.alerts.status import Status, read_status
from attune_monitoring.alerts.wording import lasted, number
from attune_monitoring.cli.present import present
from attune_monitoring.cli.render import Cell, Column, Screen, answer, failed, notes, print_json, program

from .options import format_option, wired
from .times import rfc3339, seconds_from, when
from .wiring import Wiring

__all__ = ["STYLES", "command", "condition_of"]

STYLES: Mapping[str, str] = {"firing": "bold red", "recovering": "red", "pending": "yellow", "error": "magenta"}
"""How states look."""
_COLUMNS = (
    Column("rule"),
    Column("severity", room=70),
    Column("state"),
    Column("since"),
    Column("value", right=True, room=90),
    Column("silenced until"),
    Column("enabled"),
    Column("condition", shrinks=True),
)
_ORDER = ("firing", "recovering", "pending")


class _Line(msgspec.Struct, frozen=True):
    """What is shown of a rule, or of one of its alerts."""

    state: str
    since: float
    value: float | None
    labels: Mapping[str, str]
    silence: Silence | None
    error: str = ""


@click.command("list")
@wired
@format_option
def command(wiring: Wiring, format_: str) -> None:
    """List the rules: condition, state and since when, until when silenced, and whether enabled."""
    outbox = wiring.database()
    try:
        overrides = outbox.overrides()
        lines = {rule.name: [*_lines(rule, outbox)] for rule in wiring.rules.rules}
    finally:
        outbox.close()
    remarks = [*_remarks(read_status(wiring.folder))]
    if format_ == "json":
        data = [_entry(rule, lines[rule.name], overrides) for rule in wiring.rules.rules]
        print_json(answer("list", {"rules": data}, folder=wiring.folder, notes=remarks))
        return
    rows = [row for rule in wiring.rules.rules for row in _rows(rule, lines[rule.name], overrides)]
    Screen().table(_COLUMNS, rows)
    notes(remarks)


def condition_of(rule: AlertRule) -> str:
    """Return a rule's condition as people read it, with how long it must hold."""
    held = f" for {lasted(rule.for_)}" if rule.for_ else ""
    return f"{Alert(rule, '', AlertState()).condition}{held}"


def _lines(rule: AlertRule, outbox: Outbox) -> Iterator[_Line]:
    """Yield the rule itself, then its alerts where labels tell them apart."""
    now = present().timestamp()
    silences = outbox.silences()
    states = outbox.states().get(rule.name, {})
    alerts = [Alert(rule, key, state) for key, state in states.items() if state.status in _ORDER]
    alerts.sort(key=lambda alert: (_ORDER.index(alert.state.status), alert.state.since, alert.key))
    fault = states.get(ERROR_KEY)
    first = next(iter(alerts), None)
    state = first.state if first is not None else AlertState()
    count = sum(alert.state.status == state.status for alert in alerts)
    yield _Line(
        state="error" if fault is not None and fault.failures else state.status + (f" ×{count}" if count > 1 else ""),
        since=state.since,
        value=state.value if not rule.by else None,
        labels={},
        silence=silence_of(Alert(rule, "", AlertState()).labels, silences, now),
        error=fault.error if fault is not None else "",
    )
    for alert in alerts:
        if alert.state.labels:
            silence = silence_of(alert.labels, silences, now)
            yield _Line(alert.state.status, alert.state.since, alert.state.value, alert.state.labels, silence)


def _rows(rule: AlertRule, lines: list[_Line], overrides: Mapping[str, bool]) -> Iterator[tuple[Cell, ...]]:
    enabled = overrides.get(rule.name, rule.enabled)
    for place, line in enumerate(lines):
        labels = ", ".join(f"{name}={value}" for name, value in line.labels.items())
        yield (
            (rule.name, "" if enabled else "dim") if not place else f"  {labels}",
            "" if place else rule.severity.value,
            (line.state, STYLES.get(line.state.split()[0], "")),
            when(line.since),
            "" if line.value is None else number(line.value),
            "" if line.silence is None else when(line.silence.ends_at),
            "" if place else ("yes" if enabled else "no") + (" (by hand)" if rule.name in overrides else ""),
            "" if place else failed(line.error) or condition_of(rule),
        )


def _entry(rule: AlertRule, lines: list[_Line], overrides: Mapping[str, bool]) -> dict[str, Any]:
    first, *alerts = lines
    return {
        "name": rule.name,
        "severity": rule.severity.value,
        "condition": condition_of(rule),
        "state": first.state.split()[0],
        "since": rfc3339(first.since),
        "silenced_until": None if first.silence is None else rfc3339(first.silence.ends_at),
        "enabled": overrides.get(rule.name, rule.enabled),
        "error": failed(first.error) or None,
        "channels": [action.name or action.type for action in rule.actions],
        "alerts": [
            {
                "state": line.state,
                "since": rfc3339(line.since),
                "labels": dict(line.labels),
                "value": line.value,
                "silenced_until": None if line.silence is None else rfc3339(line.silence.ends_at),
            }
            for line in alerts
        ],
    }


def _remarks(status: Status | None) -> Iterator[str]:
    if status is None:
        yield f"no watcher has evaluated these rules yet; start one with {program()} alerts watch"
        return
    if seconds_from(status.stale_after) < present().timestamp():
        at = when(seconds_from(status.evaluated_at))
        yield f"no watcher runs: states are those of {at}; start one with {program()} alerts watch"
    if status.watcher.dead:
        yield f"{status.watcher.dead} notifications were given up; see {program()} alerts history"
