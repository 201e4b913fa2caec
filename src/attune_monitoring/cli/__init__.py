"""The `empathy` command: its groups, each loaded when it is used, and the one place where errors become messages."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Sequence
from datetime import datetime

import click

from attune_monitoring.cli.lazy import LazyGroup
from attune_monitoring.errors import MonitoringError
from attune_monitoring.redaction import redact

__all__ = ["main"]

_COMMANDS = {
    "telemetry": ("attune_monitoring.cli.telemetry", "What was recorded: calls, runs, costs; export and archive."),
    "alerts": ("attune_monitoring.cli.alerts", "Rules that watch what is recorded, and tell you once."),
    "signoz": ("attune_monitoring.cli.signoz", "SigNoz: a local stack, and dashboards and rules on any server."),
    "demo": ("attune_monitoring.cli.demo", "Record a small simulated pipeline and show what was recorded."),
}
"""Name → the module whose `command` it is, and its line in the help, for which nothing needs to be loaded."""


@click.group(
    cls=LazyGroup,
    commands_of=_COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="attune-monitoring", message="attune-monitoring %(version)s")
@click.pass_context
def _cli(context: click.Context) -> None:
    """Monitoring for LLM applications: what a call or a workflow cost, why it was slow, what failed.

    Without a command: what has been recorded for this folder, and the next step.
    """
    if context.invoked_subcommand is None:
        text = importlib.import_module("attune_monitoring.cli.welcome").welcome()
        click.echo(text, nl=False)


def main(arguments: Sequence[str] | None = None, *, now: datetime | None = None) -> None:
    """Run the command line and exit: 0 fine, 1 found something or failed, 2 wrong usage.

    Args:
        arguments: what stands after the command's name; those of the process by default.
        now: the present, aware; that of the clock by default.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name that the terminal cannot show is no reason to fail
    try:
        _cli.main(None if arguments is None else list(arguments), obj=now)
    except MonitoringError as error:
        click.echo(f"Error: {redact(str(error))}", err=True)
        sys.exit(1)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        click.echo(f"Error: {redact(f'{place}{error.strerror or error}')}", err=True)
        sys.exit(1)
