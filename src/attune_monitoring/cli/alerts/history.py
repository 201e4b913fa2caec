"""`empathy alerts history`: what fired, ended, was delivered or given up, and what people changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from attune_monitoring.alerts.outbox import NAME, Outbox, Past
from attune_monitoring.alerts.wording import number
from attune_monitoring.cli.present import present
from attune_monitoring.cli.render import Cell, Column, Screen, answer, failed, print_json, program
from attune_monitoring.cli.telemetry.options import folder_of, folder_option

from .options import format_option
from .times import rfc3339, when

__all__ = ["command"]

_COLUMNS = (
    Column("time"),
    Column("what"),
    Column("rule"),
    Column("labels", shrinks=True),
    Column("value", right=True),
    Column("channel", room=80),
    Column("error", shrinks=True),
)
_STYLES: Mapping[str, str] = {
    "firing": "red",
    "error": "red",
    "dead": "bold red",
    "no_data": "yellow",
    "resolved": "green",
}
_WORDS: Mapping[str, str] = {"dead": "given up", "no_data": "no data"}


@click.command("history")
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Entries at most.")
@folder_option
@format_option
def command(name: str | None, limit: int, directory: Path | None, format_: str) -> None:
    """Show what happened, the newest first; with NAME of that rule only.

    `given up` is a notification that could not be delivered for a day, or that the receiver refused.
    """
    folder = folder_of(directory)
    outbox = Outbox(folder if (folder / NAME).exists() else None, clock=lambda: present().timestamp())
    try:
        found = outbox.history(limit, rule=name)
    finally:
        outbox.close()
    if format_ == "json":
        print_json(answer("history", {"entries": [*map(_entry, found)]}, folder=folder))
    elif found:
        Screen().table(_COLUMNS, map(_row, found))
    else:
        whose = "" if name is None else f" to {name}"
        click.echo(f"Nothing has happened{whose} yet. Alerts come from a watcher: {program()} alerts watch")


def _entry(past: Past) -> dict[str, object]:
    return {
        "at": rfc3339(past.at),
        "kind": past.kind,
        "rule": past.rule or None,
        "labels": dict(past.labels),
        "value": past.value,
        "channel": past.channel or None,
        "error": failed(past.error) or None,
    }


def _row(past: Past) -> tuple[Cell, ...]:
    labels = ", ".join(f"{name}={value}" for name, value in past.labels.items())
    value = "" if past.value is None else number(past.value)
    what = (_WORDS.get(past.kind, past.kind), _STYLES.get(past.kind, ""))
    return when(past.at), what, past.rule, labels, value, past.channel, failed(past.error)
