"""`empathy alerts lint`: what is wrong with the rules, by themselves and held against what is recorded."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from attune_monitoring.alerts.lint import Finding, lint
from attune_monitoring.alerts.load import Rules
from attune_monitoring.cli.present import present
from attune_monitoring.cli.render import Screen, answer, print_json, program
from attune_monitoring.cli.sources import source_options
from attune_monitoring.cli.telemetry.options import folder_of, folder_option
from attune_monitoring.errors import ConfigError

from .options import file_options, format_option
from .wiring import Wiring, rules_of

__all__ = ["command"]

_STYLES: Mapping[str, str] = {"error": "red", "warning": "yellow"}


@click.command("lint")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@file_options
@click.option("--interval", type=click.FloatRange(min=1), default=60.0, show_default=True, help="Of the watcher, in s.")
@source_options
@folder_option
@format_option
def command(
    file: Path | None,
    config: Path | None,
    rules: Path | None,
    interval: float,
    source_name: str,
    url: str | None,
    directory: Path | None,
    format_: str,
) -> None:
    """Check the rules of FILE, or of the file in use.

    Finds faults of the file, and rules that never fire, never end, mean something else, or ask for what the source
    does not have. Exit status 1 where there is anything.
    """
    folder = folder_of(directory)
    if file is not None and file.suffix == ".py":
        rules = rules or file
    else:
        config = config or file
    try:
        files, loaded = rules_of(config, rules, env=os.environ, cwd=Path.cwd())
    except ConfigError as error:
        loaded = Rules(rules=())
        found = [Finding("error", "", problem) for problem in error.problems]
    else:
        with Wiring(folder, files, loaded).source(source_name, url) as source:
            found = lint(loaded.rules, interval=interval, source=source, now=present())
    places, warnings = loaded.places, loaded.warnings
    if format_ == "json":
        data = [
            {"severity": one.severity, "rule": one.rule or None, "place": places.get(one.rule), "message": one.message}
            for one in found
        ]
        print_json(answer("lint", {"findings": data}, folder=folder, notes=warnings))
    else:
        _show(found, places, warnings)
        if not found:
            _praise(loaded)
    sys.exit(1 if found else 0)


def _show(found: list[Finding], places: Mapping[str, str], warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        click.echo(f"Warning: {warning}", err=True)
    screen = Screen()
    for one in found:
        place = f"{places[one.rule]}: " if one.rule in places else ""
        rule = f"{one.rule}: " if one.rule else ""
        lines = one.message.splitlines() or [""]
        screen.line((one.severity, _STYLES[one.severity]), f" {place}{rule}{lines[0]}")
        for line in lines[1:]:
            screen.line(f"  {line}")
    if found:
        screen.line(f"{len(found)} finding{'s' if len(found) != 1 else ''}")


def _praise(loaded: Rules) -> None:
    count = len(loaded.rules)
    click.echo(f"{count} rule{'s' if count != 1 else ''}, nothing to mend. Next: {program()} alerts test")
