"""`empathy signoz down`: stops the local stack."""

from __future__ import annotations

import click

from attune_monitoring.cli.render import program

from .stack import Stack, stack_here

__all__ = ["command"]


@click.command("down")
@click.option("--volumes", is_flag=True, help="Delete what it has stored as well; asks first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(volumes: bool, yes: bool) -> None:
    """Stop the local stack. Traces, metrics, dashboards and rules are kept for the next start."""
    stack = Stack(stack_here())
    stack.check()
    if volumes and not yes:
        click.confirm("Delete all traces, metrics, dashboards and users of the local SigNoz?", abort=True, err=True)
    # Containers of a profile or of the login file are orphans to the bare file.
    stack.compose("down", "--remove-orphans", *(("--volumes",) if volumes else ()), profiles=("demo", "alerts"))
    click.echo("Stopped; what it had stored is deleted." if volumes else "Stopped; what it has stored is kept.")
    click.echo(f"To start it again: {program()} signoz up")
