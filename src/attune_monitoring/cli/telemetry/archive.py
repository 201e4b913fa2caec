"""`empathy telemetry archive`: clears history by moving records out of the figures, never by deleting."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from attune_monitoring.cli.present import present
from attune_monitoring.cli.render import Column, Screen, clean, clock, empty, size
from attune_monitoring.errors import MonitoringError
from attune_monitoring.records import parse_time
from attune_monitoring.store import ArchiveReport, archive, movable

from .options import folder_of, folder_option, moment
from .reading import counted, extent_of, holds_records

__all__ = ["command", "finish", "show"]

_COLUMNS = (Column("file"), Column("records", right=True), Column("size", right=True), Column("from"), Column("to"))


@click.command("archive")
@click.option("--before", metavar="WHEN", help="Only files all of whose records are older: a date, yesterday, 30d …")
@click.option("--yes", is_flag=True, help="Do not ask.")
@folder_option
def command(before: str | None, yes: bool, directory: Path | None) -> None:
    """Clear history: move the files of records to the folder `archive` beside them.

    Nothing is deleted; figures do not count what is there, and moving the files back undoes it. Programs may go on
    recording meanwhile. Whole files are moved, so some older records stay where newer ones are in the same file.
    """
    folder = folder_of(directory)
    now = present()
    earliest = None if before is None else moment(before, now, None, option="--before")
    if show(folder, earliest):
        if not yes:
            click.confirm(f"Move to {clean(folder / 'archive')}?", abort=True, err=True)
        finish(archive(folder, now=now, before=earliest))


def show(folder: Path, before: datetime | None) -> bool:
    """Say which files would be moved, with what they hold; return whether there are any."""
    chosen = movable(folder, before=before)
    if not chosen:
        held = holds_records(folder)
        click.echo("No file holds only records as old as that; nothing is moved." if held else empty(folder))
        return False
    extents = [(segment.path.name, extent_of(segment.path)) for segment in chosen]
    rows = [
        [name, f"{extent.lines:,}", size(extent.size), _local(extent.first), _local(extent.last)]
        for name, extent in extents
    ]
    Screen().table(_COLUMNS, rows)
    return True


def finish(report: ArchiveReport) -> None:
    """Say what was done.

    Raises:
        MonitoringError: something could not be.
    """
    if report.folder is not None:
        click.echo(f"Moved {counted(len(report.moved), 'file')} to {clean(report.folder)}")
    if report.deleted:
        click.echo(f"Deleted {counted(len(report.deleted), 'archived file')}")
    if report.late_lines:
        click.echo(f"{counted(report.late_lines, 'record')} came while this went on: among the live ones", err=True)
    if report.problems:
        raise MonitoringError("; ".join(f"{path}: {problem}" for path, problem in report.problems.items()))


def _local(text: str | None) -> str:
    return "" if text is None else clock(parse_time(text).astimezone())
