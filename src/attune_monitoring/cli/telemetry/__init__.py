"""`empathy telemetry`: what was recorded, each command loaded when it is used."""

from __future__ import annotations

import click

from attune_monitoring.cli.lazy import LazyGroup
from attune_monitoring.cli.render import empty

from .options import folder_of
from .reading import holds_records

__all__ = ["command"]

_HERE = "attune_monitoring.cli.telemetry"
_COMMANDS = {
    "calls": (f"{_HERE}.calls", "LLM calls, the newest first; one in full; --follow."),
    "runs": (f"{_HERE}.runs", "Workflow runs; one as a tree with cost and time by stage."),
    "export": (f"{_HERE}.export", "All records as CSV, JSON or Parquet."),
    "query": (f"{_HERE}.query", "SQL over calls, runs and stages."),
    "archive": (f"{_HERE}.archive", "Clear history: move records to the archive."),
    "retention": (f"{_HERE}.retention", "Move records to the archive that are older than some days."),
}


@click.group("telemetry", cls=LazyGroup, commands_of=_COMMANDS, invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Show what was recorded: calls and runs, what they cost, how long they took, what failed.

    Every reading command takes --since and --until, --dir for another folder, and --format json.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
        folder = folder_of(None)
        if not holds_records(folder):
            click.echo(f"\n{empty(folder)}")
