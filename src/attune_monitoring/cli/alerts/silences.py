"""`empathy alerts silences`: lists the silences, and ends one."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from attune_monitoring.alerts.outbox import NAME, Outbox
from attune_monitoring.cli.present import present
from attune_monitoring.cli.render import Column, Screen, answer, clean, print_json, program
from attune_monitoring.cli.telemetry.options import folder_of, folder_option

from .options import format_option
from .times import rfc3339, when

__all__ = ["command"]

_COLUMNS = (
    Column("id"),
    Column("until"),
    Column("matches", shrinks=True),
    Column("by"),
    Column("comment", shrinks=True),
)


@click.command("silences")
@click.option("--expire", "ended", metavar="ID", help="End this silence now.")
@folder_option
@format_option
def command(ended: str | None, directory: Path | None, format_: str) -> None:
    """List the silences that have not ended; with --expire end one."""
    folder = folder_of(directory)
    outbox = Outbox(folder if (folder / NAME).exists() else None, clock=lambda: present().timestamp())
    try:
        if ended is not None:
            _end(outbox, ended)
            return
        now = present().timestamp()
        silences = sorted((one for one in outbox.silences() if one.ends_at > now), key=lambda one: one.ends_at)
    finally:
        outbox.close()
    if format_ == "json":
        data = [
            {
                "id": one.id,
                "matchers": [*map(str, one.matchers)],
                "starts_at": rfc3339(one.starts_at),
                "ends_at": rfc3339(one.ends_at),
                "author": one.author,
                "comment": one.comment,
            }
            for one in silences
        ]
        print_json(answer("silences", {"silences": data}, folder=folder))
        return
    if not silences:
        click.echo(f"Nothing is silenced. To silence a rule: {program()} alerts silence NAME --for 2h")
        return
    Screen().table(
        _COLUMNS,
        [(one.id, when(one.ends_at), ", ".join(map(str, one.matchers)), one.author, one.comment) for one in silences],
    )


def _end(outbox: Outbox, name: str) -> None:
    if outbox.end_silence(name):
        click.echo(f"Silence {clean(name)} is over.")
        return
    click.echo(f"Error: there is no silence {clean(name)}; see {program()} alerts silences", err=True)
    sys.exit(1)
