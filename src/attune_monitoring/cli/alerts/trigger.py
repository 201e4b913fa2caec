"""`empathy alerts trigger`: sends one notification of a rule through its real channels, marked as a test."""

from __future__ import annotations

import sys

import click

from attune_monitoring.alerts.actions import sender_of
from attune_monitoring.cli.present import present
from attune_monitoring.cli.render import failed
from attune_monitoring.errors import ActionError, ConfigError

from .options import wired
from .preview import forced, previews
from .wiring import Wiring

__all__ = ["command"]


@click.command("trigger")
@click.argument("name")
@wired
def command(name: str, wiring: Wiring) -> None:
    """Send one notification of the rule NAME through each of its channels, as if it fired, marked as a test.

    It is sent once and at once, whatever is silenced, and the rule's state stays as it is. Exit status 1 where a
    channel did not take it.
    """
    rule = wiring.rule(name)
    now = present().timestamp()
    with wiring.source() as source:
        [preview] = previews([rule], source, now)
    refused = 0
    for message in forced(preview, now):
        channel = message.action.name or message.action.type
        try:
            sender_of(message.action)(message.notification)
        except (ActionError, ConfigError) as error:
            refused += 1
            click.echo(f"{channel}: not delivered: {failed(str(error))}", err=True)
        else:
            click.echo(f"{channel}: delivered", err=True)
    if not rule.actions:
        refused = 1
        click.echo(f"{rule.name} has no channel that works, so there is nobody to tell.", err=True)
    sys.exit(1 if refused else 0)
