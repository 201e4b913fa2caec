"""`empathy telemetry doctor`: whether everything is as it should be, and what to do where it is not."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from attune_monitoring.cli.render import Screen, answer, print_json
from attune_monitoring.redaction import redact

from .checks import Finding, Mark
from .checks.configuration import configuration, environment, read_config, sampling
from .checks.folder import folder
from .checks.installation import installation
from .checks.records import records
from .options import folder_option

__all__ = ["command", "examine"]

_SIGNS: Mapping[Mark, tuple[str, str, str]] = {
    "ok": ("✓", "+", "green"),
    "warning": ("!", "!", "yellow"),
    "error": ("✗", "x", "red"),
}
"""The sign, the one where the encoding lacks it, and its colour."""


@click.command("doctor")
@folder_option
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="What to print.",
)
def command(directory: Path | None, format_: str) -> None:
    """Check configuration, environment, folder, records, sampling and installation.

    Exit status 1 where something does not work (✗). A `!` works, and may not be what you want.
    """
    place, found = examine(directory, os.environ)
    marks = [finding.mark for findings in found.values() for finding in findings]
    counts = {mark: marks.count(mark) for mark in _SIGNS}
    if format_ == "json":
        data = {
            "counts": counts,
            "checks": [
                {"topic": topic, "mark": one.mark, "text": one.text, "advice": one.advice or None}
                for topic, findings in found.items()
                for one in findings
            ],
        }
        print_json(answer("doctor", data, folder=place))
    else:
        _show(Screen(), found, counts)
    sys.exit(1 if counts["error"] else 0)


def examine(directory: Path | None, env: Mapping[str, str]) -> tuple[Path, dict[str, list[Finding]]]:
    """Return the folder, and what the checks found by topic; nothing in it is a secret.

    Args:
        directory: the folder of the records; None = as configured.
        env: variables of the environment.
    """
    config, problems = read_config(env)
    place = config.storage_dir if directory is None else directory
    found = {
        "Configuration": configuration(config, problems),
        "Environment": environment(env),
        "Folder": folder(place, config, env, named=directory is not None),
        "Records": records(place, config),
        "Sampling": sampling(config, env),
        "Installation": installation(),
    }
    return place, {
        topic: [Finding(one.mark, redact(one.text), redact(one.advice)) for one in findings]
        for topic, findings in found.items()
    }


def _show(screen: Screen, found: Mapping[str, Sequence[Finding]], counts: Mapping[Mark, int]) -> None:
    for topic, findings in found.items():
        screen.line((topic, "bold"))
        for one in findings:
            sign, plain, style = _SIGNS[one.mark]
            screen.paragraph(one.text, lead=("  ", (sign if screen.unicode else plain, style), " "), indent=4)
            for line in one.advice.splitlines():
                if line.startswith(" "):
                    screen.line(f"      {line}")  # a part of a file, to be copied as it is
                else:
                    screen.paragraph(line, indent=6)
        screen.line()
    errors, warnings = counts["error"], counts["warning"]
    if errors or warnings:
        screen.line(f"{errors} to mend, {warnings} to look at")
    else:
        screen.line("Everything is as it should be.")
