"""`empathy alerts`: rules that watch what is recorded, each command loaded when it is used."""

from __future__ import annotations

import click

from attune_monitoring.cli.lazy import LazyGroup

__all__ = ["command"]

_HERE = "attune_monitoring.cli.alerts"
_COMMANDS = {
    "init": (f"{_HERE}.init", "Write a commented alerts.yaml to begin with."),
    "list": (f"{_HERE}.list_", "The rules: state, since when, silenced, enabled."),
    "lint": (f"{_HERE}.lint", "Find rules that never fire, never end, or mean something else."),
    "test": (f"{_HERE}.test", "What would fire now, and what would be sent; sends nothing."),
    "backtest": (f"{_HERE}.backtest", "When the rules would have fired in the past."),
    "trigger": (f"{_HERE}.trigger", "Send a notification, marked as a test, for real."),
    "watch": (f"{_HERE}.watch", "Evaluate again and again, and tell; a live view in a terminal."),
    "history": (f"{_HERE}.history", "What fired, ended, was delivered or given up."),
    "silence": (f"{_HERE}.silence", "Tell nobody of some alerts for a while."),
    "snooze": (f"{_HERE}.silence", "The same as silence."),
    "silences": (f"{_HERE}.silences", "The silences that there are; --expire ends one."),
    "enable": (f"{_HERE}.enable", "Evaluate a rule again."),
    "disable": (f"{_HERE}.disable", "Do not evaluate a rule, until it is enabled again."),
}


@click.group("alerts", cls=LazyGroup, commands_of=_COMMANDS)
def command() -> None:
    """Watch what is recorded, and be told once when a rule's condition holds and once when it is over.

    Rules stand in alerts.yaml beside monitoring.yaml (or in the project's root). Begin with `init`, then `lint`,
    `test`, `backtest` and `watch`.
    """
