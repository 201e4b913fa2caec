"""`empathy signoz`: the SigNoz stack and what it shows, each command loaded when it is used."""

from __future__ import annotations

import click

from attune_monitoring.cli.lazy import LazyGroup

__all__ = ["command"]

_HERE = "attune_monitoring.cli.signoz"
_COMMANDS = {
    "up": (f"{_HERE}.up", "Start SigNoz on this machine, with dashboards and rules; needs Docker."),
    "status": (f"{_HERE}.status", "The services, their health and ports, and what is provisioned."),
    "open": (f"{_HERE}.open_", "Open SigNoz in the browser."),
    "provision": (f"{_HERE}.provision", "Give a SigNoz server the dashboards, rules, channels and a key."),
    "down": (f"{_HERE}.down", "Stop it; what it has stored is kept unless --volumes."),
}


@click.group("signoz", cls=LazyGroup, commands_of=_COMMANDS)
def command() -> None:
    """Look at costs, latency and failures in SigNoz: a local stack in Docker, or a server that you have.

    Begin with `up`. For a server of your own: `provision --url`.
    """
