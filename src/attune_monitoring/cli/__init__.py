"""The `empathy` command: its groups, each loaded when it is used, and the one place where errors become messages."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Sequence
from importlib.metadata import version

import click

from attune_monitoring.errors import MonitoringError
from attune_monitoring.redaction import redact

__all__ = ["main"]

_COMMANDS = {
    "demo": ("attune_monitoring.cli.demo", "Record a small simulated pipeline and show what was recorded."),
}
"""Name → the module whose `command` it is, and its line in the help, for which nothing needs to be loaded."""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(_COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=_LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("attune-monitoring"), message="attune-monitoring %(version)s")
@click.pass_context
def _cli(context: click.Context) -> None:
    """Monitoring for LLM applications: what a call or a workflow cost, why it was slow, what failed.

    Without a command: what has been recorded for this folder, and the next step.
    """
    if context.invoked_subcommand is None:
        text = importlib.import_module("attune_monitoring.cli.welcome").welcome(context.info_name or "empathy")
        click.echo(text, nl=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 fine, 1 found something or failed, 2 wrong usage.

    Args:
        arguments: what stands after the command's name; those of the process by default.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name that the terminal cannot show is no reason to fail
    try:
        _cli.main(None if arguments is None else list(arguments))
    except MonitoringError as error:
        click.echo(f"Error: {redact(str(error))}", err=True)
        sys.exit(1)
