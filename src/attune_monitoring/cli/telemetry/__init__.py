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
    "summary": (f"{_HERE}.summary", "Cost, calls, latency and failures, how they changed, and where."),
    "calls": (f"{_HERE}.calls", "LLM calls, the newest first; one in full; --follow."),
    "runs": (f"{_HERE}.runs", "Workflow runs; one as a tree with cost and time by stage."),
    "costs": (f"{_HERE}.costs", "Cost over time, and where the month is heading."),
    "providers": (f"{_HERE}.providers", "Calls, cost, errors and latency by provider and tier."),
    "fallbacks": (f"{_HERE}.fallbacks", "Fallbacks, retries and errors, and what they wasted."),
    "savings": (f"{_HERE}.savings", "What tiers and caches saved, what attempts wasted."),
    "top": (f"{_HERE}.top", "The most expensive and the slowest."),
    "compare": (f"{_HERE}.compare", "Two periods side by side: why it went up."),
    "export": (f"{_HERE}.export", "All records as CSV, JSON or Parquet."),
    "import": (f"{_HERE}.import_", "Take in what other programs and earlier versions recorded."),
    "query": (f"{_HERE}.query", "SQL over calls, runs and stages."),
    "archive": (f"{_HERE}.archive", "Clear history: move records to the archive."),
    "retention": (f"{_HERE}.retention", "Move records to the archive that are older than some days."),
    "doctor": (f"{_HERE}.doctor", "Check configuration, folder, records and installation."),
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
