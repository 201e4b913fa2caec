"""`empathy alerts enable` and `disable`: whether a rule is evaluated, whatever its file says."""

from __future__ import annotations

import click

from .options import wired
from .wiring import Wiring

__all__ = ["command", "disable"]


@click.command("enable")
@click.argument("name")
@wired
def command(name: str, wiring: Wiring) -> None:
    """Evaluate the rule NAME, whatever its file says; a watcher that runs takes it up at its next evaluation."""
    _switch(wiring, name, enabled=True)


@click.command("disable")
@click.argument("name")
@wired
def disable(name: str, wiring: Wiring) -> None:
    """Do not evaluate the rule NAME until it is enabled again; what it has told of ends."""
    _switch(wiring, name, enabled=False)


def _switch(wiring: Wiring, name: str, *, enabled: bool) -> None:
    rule = wiring.rule(name)
    outbox = wiring.database(write=True)
    try:
        # What the file says needs no override, which would outlive a change of the file.
        outbox.override(rule.name, None if rule.enabled is enabled else enabled)
    finally:
        outbox.close()
    click.echo(f"{rule.name} is {'enabled' if enabled else 'disabled'}.")
