"""`empathy alerts test`: what would fire now and the payloads that would be sent; or scenarios. Sends nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from attune_monitoring.alerts.actions import message_of
from attune_monitoring.alerts.announcement import Message
from attune_monitoring.alerts.wording import lasted, number
from attune_monitoring.cli.present import present
from attune_monitoring.cli.render import Cell, Column, Screen, answer, failed, print_json
from attune_monitoring.cli.sources import source_options
from attune_monitoring.errors import ConfigError

from .list_ import condition_of
from .options import format_option, wired
from .preview import Preview, forced, previews
from .scenarios import run_scenarios
from .wiring import Wiring, named

__all__ = ["command"]

_COLUMNS = (
    Column("rule"),
    Column("now"),
    Column("value", right=True),
    Column("labels", shrinks=True),
    Column("condition", shrinks=True),
)
_SHOWN = 3
"""Payloads of a rule that are shown where all rules are tested."""


@click.command("test")
@click.argument("name", required=False)
@click.option(
    "--scenarios",
    metavar="DIR",
    type=click.Path(exists=True, path_type=Path),
    help="Instead: run the scenarios of a folder or file against the rules.",
)
@source_options
@wired
@format_option
def command(
    name: str | None, scenarios: Path | None, source_name: str, url: str | None, wiring: Wiring, format_: str
) -> None:
    """Show what would fire on the present data, and exactly what each channel would be sent. Nothing is sent.

    With NAME the payloads of that rule, whether its condition holds or not. Secrets are masked. With --scenarios exit
    status 1 where a scenario does not come out as it says.
    """
    rules = named(wiring.rules.rules, name)
    if scenarios is not None:
        sys.exit(run_scenarios(scenarios, rules, wiring.folder, json=format_ == "json"))
    now = present().timestamp()
    with wiring.source(source_name, url) as source:
        found = previews(rules, source, now)
    if name is None:
        messages = [one.messages(now) if one.rule.enabled else [] for one in found]
    else:
        messages = [one.messages(now) or forced(one, now) for one in found]
    if format_ == "json":
        data = [_entry(one, told) for one, told in zip(found, messages, strict=True)]
        print_json(answer("test", {"rules": data}, folder=wiring.folder))
        return
    screen = Screen()
    screen.table(_COLUMNS, [row for one in found for row in _rows(one)])
    for one, told in zip(found, messages, strict=True):
        _show(screen, one, told, told if name is not None else told[:_SHOWN])
    if not any(messages):
        screen.line()
        screen.line("Nothing would be sent now. To see a rule's payloads all the same, name it.")


def _word(preview: Preview) -> tuple[str, str]:
    rule = preview.rule
    if preview.observed.error:
        return "error", "magenta"
    if not rule.enabled:
        return "disabled", "dim"
    if preview.holding:
        return (f"holds; fires after {lasted(rule.for_)}", "yellow") if rule.for_ else ("would fire", "bold red")
    seen = [one.holds for one in preview.observed.observations]
    return ("quiet", "green") if False in seen else ("no data", "dim")


def _rows(preview: Preview) -> Iterator[tuple[Cell, ...]]:
    """Yield a row for each combination of labels that holds; one where none does."""
    condition = failed(preview.observed.error) or condition_of(preview.rule)
    if preview.rule.by and not preview.holding:
        yield preview.rule.name, _word(preview), "", _count(preview), condition
        return
    for one in preview.holding or preview.observed.observations[:1] or (None,):
        value = "" if one is None or one.value is None else number(one.value)
        labels = "" if one is None else ", ".join(f"{name}={text}" for name, text in one.labels.items())
        yield preview.rule.name, _word(preview), value, labels, condition


def _count(preview: Preview) -> str:
    count = len(preview.observed.observations)
    return f"{count} × {', '.join(preview.rule.by)}" if count else ""


def _show(screen: Screen, preview: Preview, told: Sequence[Message], shown: Sequence[Message]) -> None:
    for message in shown:
        channel = message.action.name or message.action.type
        kind = "" if channel == message.action.type else f" ({message.action.type})"
        note = "as a test: its condition does not hold" if message.notification.test else ""
        screen.heading(f"{preview.rule.name} to {channel}{kind}", note)
        payload = _payload(message)
        text = payload if isinstance(payload, str) else _indented(payload)
        for line in text.splitlines():
            screen.line(f"  {line}")
    if len(told) > len(shown):
        screen.line(f"  and {len(told) - len(shown)} more of {preview.rule.name}; name it to see them all")


def _payload(message: Message) -> Any:
    try:
        return message_of(message.action, message.notification)
    except ConfigError as error:
        return f"cannot be sent: {error}"


def _indented(payload: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(payload, enc_hook=str), indent=2).decode()


def _entry(preview: Preview, told: Sequence[Message]) -> dict[str, Any]:
    return {
        "name": preview.rule.name,
        "state": _word(preview)[0].split(";")[0],
        "condition": condition_of(preview.rule),
        "for_seconds": preview.rule.for_,
        "error": failed(preview.observed.error) or None,
        "alerts": [
            {"labels": dict(one.labels), "holds": one.holds, "value": one.value}
            for one in preview.observed.observations
        ],
        "messages": [
            {
                "channel": message.action.name or message.action.type,
                "type": message.action.type,
                "test": message.notification.test,
                "payload": _payload(message),
            }
            for message in told
        ],
    }
