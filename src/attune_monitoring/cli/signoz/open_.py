"""`empathy signoz open`: opens SigNoz in the browser."""

from __future__ import annotations

import os
import webbrowser

import click

from attune_monitoring.errors import ConfigError
from attune_monitoring.exchange import usable
from attune_monitoring.redaction import safe_url

from .server import url_of
from .stack import Stack, StackError, stack_here

__all__ = ["command"]


@click.command("open")
@click.option("--url", metavar="URL", help="Address of SigNoz; else SIGNOZ_URL, else where the local stack is.")
def command(url: str | None) -> None:
    """Print the address of SigNoz and open it in the browser."""
    address = url or os.environ.get("SIGNOZ_URL") or _local() or url_of(None)
    if not usable(address):
        raise ConfigError("no address of SigNoz: it starts with https:// or http:// and has a host")
    click.echo(safe_url(address))
    if not webbrowser.open(address):
        click.echo("No browser was found; open the address above.", err=True)


def _local() -> str | None:
    try:
        return Stack(stack_here()).address()
    except StackError:
        return None
