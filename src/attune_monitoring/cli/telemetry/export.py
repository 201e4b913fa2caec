"""`empathy telemetry export`: all fields of the records, for spreadsheets and other programs."""

from __future__ import annotations

import contextlib
import csv
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import click
import msgspec

from attune_monitoring.cli.render import notes, stamp
from attune_monitoring.errors import MonitoringError

from .flat import COLUMNS, What, rows
from .options import Options, common
from .parquet import write_parquet
from .reading import Reading, counted

__all__ = ["command", "safe_cell"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_BATCH = 1000

_Row = Sequence[Any]


@click.command("export")
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    default="-",
    show_default=True,
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Where to; - is standard output.",
)
@click.option("--what", type=click.Choice(["calls", "runs", "stages"]), default="calls", show_default=True)
@click.option(
    "--as",
    "kind",
    type=click.Choice(["csv", "json", "jsonl", "parquet"]),
    help="Format; by default what the file's name ends with, else csv.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@common(formats=("csv", "json", "jsonl", "parquet"))
def command(options: Options, output: str, what: What, force: bool) -> None:
    """x"""
