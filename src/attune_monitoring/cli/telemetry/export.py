"""`empathy telemetry export`: every field of the records, for spreadsheets and other programs."""

from __future__ import annotations

import contextlib
import csv
import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any, TextIO

import click
import msgspec

from attune_monitoring.cli.render import answer, notes, stamp
from attune_monitoring.errors import MonitoringError

from .flat import COLUMNS, What, rows
from .options import Options, common
from .reading import Reading, counted
from .tables import write_parquet

__all__ = ["command"]

_FORMATS = ("csv", "json", "jsonl", "parquet")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet take a text for a formula, full-width forms included."""
_encode = msgspec.json.Encoder().encode


@click.command("export")
@click.option("--output", "-o", metavar="FILE", default="-", show_default=True, help="Where to; - is standard output.")
@click.option(
    "--what",
    type=click.Choice(["calls", "runs", "stages"]),
    default="calls",
    show_default=True,
    help="One row for each.",
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@common(formats=("auto", *_FORMATS))
def command(options: Options, output: str, what: What, force: bool) -> None:
    """Write every field of the records: one row a call, run or stage.

    The format is what FILE's name ends with, csv where it says nothing; parquet needs the extra [analytics]. Texts that
    a spreadsheet would take for a formula begin with an apostrophe in csv. Columns keep their order; new ones come
    behind them. Messages of prompts and answers are among the fields where their capture was switched on.
    """
    kind = _kind(options.format, output)
    reading = Reading(options)
    if output == "-":
        if kind == "parquet":
            raise click.UsageError("parquet is no text for a terminal: name a file with --output")
        count = _write(sys.stdout, kind, what, reading, options)
    else:
        with _replacing(Path(output), force=force) as path:
            if kind == "parquet":
                count = write_parquet(path, what, rows(what, reading))
            else:
                with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
                    count = _write(file, kind, what, reading, options)
        click.echo(f"{counted(count, what.removesuffix('s'))} written to {output}", err=True)
    if kind != "json":
        notes(reading.notes())


def _kind(asked: str, output: str) -> str:
    if asked != "auto":
        return asked
    ending = Path(output).suffix.removeprefix(".").lower()
    return {"ndjson": "jsonl"}.get(ending, ending if ending in _FORMATS else "csv")


@contextlib.contextmanager
def _replacing(target: Path, *, force: bool) -> Iterator[Path]:
    """A file beside the target (0600), which takes its place when all is written, and is removed otherwise."""
    if not force and os.path.lexists(target):
        raise MonitoringError(f"{target}: is there already; --force replaces it")
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise MonitoringError(
            f"{target.parent}: cannot be written to: {error.strerror}; name another folder"
        ) from error
    os.close(descriptor)
    path = Path(name)
    try:
        yield path
        path.chmod(0o600)
        if force:
            path.replace(target)
        else:
            _claim(path, target)
    finally:
        path.unlink(missing_ok=True)


def _claim(path: Path, target: Path) -> None:
    try:
        os.link(path, target)  # unlike a rename, never over a file that came meanwhile
    except FileExistsError as error:
        raise MonitoringError(f"{target}: is there already; --force replaces it") from error
    except OSError:  # a file system without links
        path.replace(target)


def _write(file: TextIO, kind: str, what: What, reading: Reading, options: Options) -> int:
    if kind == "csv":
        return _write_csv(file, what, reading)
    if kind == "jsonl":
        return _write_objects(file, what, reading, "", "\n")
    head = answer(what, [], **options.frame())
    del head["data"], head["notes"]
    file.write(f'{_encode(head).decode()[:-1]},"data":[\n')
    count = _write_objects(file, what, reading, ",\n", "")
    file.write(f'\n],"notes":{_encode(reading.notes()).decode()}}}\n')
    return count


def _write_csv(file: IO[str], what: What, reading: Reading) -> int:
    writer = csv.writer(file)
    writer.writerow(COLUMNS[what])
    count = 0
    for row in rows(what, reading):
        writer.writerow([_cell(value) for value in row])
        count += 1
    return count


def _write_objects(file: IO[str], what: What, reading: Reading, before: str, after: str) -> int:
    names = tuple(COLUMNS[what])
    count = 0
    for row in rows(what, reading):
        values = [stamp(value) if isinstance(value, datetime) else value for value in row]
        file.write(f"{before if count else ''}{_encode(dict(zip(names, values, strict=True))).decode()}{after}")
        count += 1
    return count


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return _encode(value).decode() if isinstance(value, (list, dict)) else value
