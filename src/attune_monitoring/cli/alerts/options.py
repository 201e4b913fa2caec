"""What the commands of `empathy alerts` are asked alike: the file of rules, the folder, the format."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from attune_monitoring.cli.telemetry.options import folder_option

from .wiring import Wiring, wiring_of

__all__ = ["file_options", "format_option", "wired"]

_T = TypeVar("_T")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

format_option = click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="What to print.",
)


def file_options(function: Callable[..., _T]) -> Callable[..., _T]:
    """Add --config and --rules to a command, which gets them as `config` and `rules`."""
    for option in (
        click.option(
            "--rules", metavar="FILE.py", type=_FILE, help="Rules in Python. The file is code, and it is run."
        ),
        click.option("--config", metavar="FILE", type=_FILE, help="Rules in YAML, instead of the alerts.yaml found."),
    ):
        function = option(function)
    return function


def wired(function: Callable[..., _T]) -> Callable[..., _T]:
    """Add --config, --rules and --dir to a command, which gets the rules and the folder as `wiring`.

    Warnings of the file, such as environment variables that are not set, go to stderr.
    """

    @functools.wraps(function)
    def command(*arguments: Any, config: Path | None, rules: Path | None, directory: Path | None, **options: Any) -> _T:
        wiring: Wiring = wiring_of(config, rules, directory, env=os.environ, cwd=Path.cwd())
        for warning in wiring.rules.warnings:
            click.echo(f"Warning: {warning}", err=True)
        return function(*arguments, wiring=wiring, **options)

    return file_options(folder_option(command))
