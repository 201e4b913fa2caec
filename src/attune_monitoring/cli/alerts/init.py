"""`empathy alerts init`: writes a commented alerts.yaml to begin with."""

from __future__ import annotations

import os
from pathlib import Path

import click

from attune_monitoring.alerts.load import find_alerts_file
from attune_monitoring.alerts.sample import SAMPLE
from attune_monitoring.cli.render import clean, program
from attune_monitoring.errors import ConfigError

from .wiring import home_of

__all__ = ["command"]


@click.command("init")
@click.option("--force", is_flag=True, help="Write it anew where there is one.")
def command(force: bool) -> None:
    """Write a commented alerts.yaml beside monitoring.yaml, without one into the project's root.

    It works as it is: channels whose environment variables are not set are off.
    """
    home = home_of(os.environ, Path.cwd())
    found = find_alerts_file(None, home)
    path = found or home / "alerts.yaml"
    text = SAMPLE.read_bytes()
    try:
        with path.open("wb" if force else "xb") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigError(
            f"{path} is there already and was left as it is; edit it, or write it anew with --force"
        ) from error
    name = program()
    click.echo(f"{clean(path)} is written. Change its numbers to yours, then:")
    for command_, why in (
        ("lint", "is it right?"),
        ("test", "what would fire now, and what would be sent?"),
        ("backtest --since 30d", "how often would it have told you?"),
        ("watch", "begin"),
    ):
        click.echo(f"  {name} alerts {command_:<22} {why}")
