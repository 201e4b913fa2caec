"""How commands show what they found: figures as text, tables, bars, notes, and JSON of one shape."""

from __future__ import annotations

import functools
import math
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import click
import msgspec

from attune_monitoring.redaction import redact
from attune_monitoring.store import ARCHIVE

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = [
    "JSON_VERSION", "Cell", "Column", "Screen", "answer", "clean", "clock", "duration", "empty", "failed", "notes",
    "percent", "print_json", "program", "size", "stamp", "tokens", "usd",
]  # fmt: skip

JSON_VERSION = 1
"""Changes when a key of `answer` changes its meaning or goes; new keys do not change it."""

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
"""Control characters, and what changes the direction of text or is not seen: a record must not steer a terminal."""
_WIDE = 200
"""Columns where the output is no terminal."""
_UNBOUNDED = 1_000_000
_LEAST = 6
"""Columns that a cell that gives way keeps."""
_GAP = 2
_BLOCKS = " ▏▎▍▌▋▊▉█"
_SPARKS = "▁▂▃▄▅▆▇█"
_PLAIN_SPARKS = "_.-=+*%#"
_DAY = 86_400

Cell: TypeAlias = str | tuple[str, str]
"""Text, or text with a rich style."""


class Column(NamedTuple):
    """One column of a table."""

    title: str
    right: bool = False
    """Flush right, as figures are."""
    room: int = 0
    """Least width of the screen at which it is shown."""
    shrinks: bool = False
    """Gives way, with an ellipsis, where the rows do not fit."""


class Screen:
    """Standard output: as wide as the terminal (`COLUMNS` goes first), 200 columns where it is none.

    Where it is no terminal, nothing is coloured and nothing is cut off. `NO_COLOR` and `FORCE_COLOR` are honoured.
    """

    def __init__(self) -> None:
        from rich.console import Console

        self._console: Console = Console(highlight=False, markup=False, emoji=False)
        bounded = self._console.is_terminal or os.environ.get("COLUMNS", "").isdecimal()
        self.width = self._console.width if bounded else _WIDE
        self._limit = self.width if bounded else _UNBOUNDED
        self.unicode = _can_show("▁█·…│└→–", self._console.encoding)

    def line(self, *cells: Cell) -> None:
        """Print cells one after another, as they are, however long."""
        self._print(self._assemble(cells))

    def paragraph(self, text: str, style: str = "", *, lead: Sequence[Cell] = (), indent: int = 0) -> None:
        """Print running text, broken between words at the end of the screen.

        Args:
            text: what to print.
            style: a rich style.
            lead: what stands before its first line, `indent` columns wide.
            indent: columns that its lines are moved in.
        """
        width = max(_LEAST, self._limit - indent)
        lines = textwrap.wrap(clean(text), width, break_long_words=False, break_on_hyphens=False)
        for number, line in enumerate(lines):
            self.line(*(lead if lead and not number else (" " * indent,)), (line, style))

    def heading(self, title: str, note: str = "") -> None:
        """Print an empty line and a title."""
        self.line()
        self.line((title, "bold"), ("  " + note if note else "", "dim"))

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
        """Print a table: columns that have no room are left out, those that shrink are cut to what is left."""
        held = [*rows]
        widths = self.widths(columns, held)
        self.row(columns, widths, [(column.title, "dim") for column in columns])
        for row in held:
            self.row(columns, widths, row)

    def widths(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> list[int]:
        """Return the width of each column for these rows; 0: no room."""
        from rich.cells import cell_len

        widths = [max(1, cell_len(column.title)) if self.width >= column.room else 0 for column in columns]
        for row in rows:
            for place, cell in enumerate(row):
                if widths[place]:
                    widths[place] = max(widths[place], cell_len(clean(_text(cell))))
        excess = sum(width + _GAP for width in widths if width) - _GAP - self._limit
        while excess > 0:
            wide = [place for place, column in enumerate(columns) if column.shrinks and widths[place] > _LEAST]
            if not wide:
                break
            widest = max(wide, key=lambda place: widths[place])
            widths[widest] -= 1
            excess -= 1
        return widths

    def row(self, columns: Sequence[Column], widths: Sequence[int], cells: Sequence[Cell]) -> None:
        """Print one row in widths that `widths` gave."""
        from rich.text import Text

        line = Text()
        for column, width, cell in zip(columns, widths, cells, strict=True):
            if not width:
                continue
            if line:
                line.append(" " * _GAP)
            piece = self._assemble([cell])
            piece.truncate(width, overflow="ellipsis" if self.unicode else "crop")
            room = " " * (width - piece.cell_len)
            line.append_text(Text.assemble(room, piece) if column.right else Text.assemble(piece, room))
        line.rstrip()
        self._print(line)

    def bar(self, value: float, most: float, width: int) -> str:
        """Return a bar: `width` columns for `most`, and something to be seen for anything above 0."""
        if not (value > 0 and most > 0 and math.isfinite(value)):
            return ""
        if not self.unicode:
            return "#" * max(1, round(min(1.0, value / most) * width))
        eighths = max(1, round(min(1.0, value / most) * width * 8))
        return "█" * (eighths // 8) + _BLOCKS[eighths % 8].strip()

    def sparkline(self, values: Iterable[float | None]) -> str:
        """Return one character a value, in proportion to the largest; a space where there is no value."""
        held = [*values]
        most = max((value for value in held if value is not None), default=0)
        marks = _SPARKS if self.unicode else _PLAIN_SPARKS
        return "".join(
            " " if value is None else marks[round(max(0.0, value) / most * (len(marks) - 1)) if most > 0 else 0]
            for value in held
        )

    def _assemble(self, cells: Iterable[Cell]) -> Text:
        from rich.text import Text

        text = Text(no_wrap=True, overflow="ignore", end="\n")
        for cell in cells:
            text.append(clean(_text(cell)), None if isinstance(cell, str) else cell[1] or None)
        return text

    def _print(self, text: Text) -> None:
        self._console.print(text, no_wrap=True, overflow="ignore", crop=False)


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


def _can_show(characters: str, encoding: str) -> bool:
    try:
        characters.encode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True


def clean(value: object) -> str:
    """Return text that a terminal can be given: without secrets, each control character as `·`."""
    text = value if isinstance(value, str) else str(value)
    return text if text.isascii() and text.isprintable() else _UNSEEN.sub("·", text)


def failed(message: str | None, *, limit: int = 200) -> str:
    """Return an error message as it is shown: on one line, without secrets, cut."""
    return redact(" ".join((message or "").split()), limit=limit)


def usd(value: float | None, unknown: int = 0) -> str:
    """Return USD: two decimals from 1 on, three digits below; `?` where it is not known, never 0.

    Args:
        value: the amount, or the sum of known amounts.
        unknown: how many of its parts are not known; then a `+?` says so.
    """
    if value is None or not math.isfinite(value):
        return "?"
    if unknown and not value:
        return "?"
    more = "+?" if unknown else ""
    size = abs(value)
    if size == 0:
        return "0" + more
    if size < 1e-6:
        return ("<0.000001" if value > 0 else ">-0.000001") + more
    if float(f"{size:.2e}") >= 1:
        return f"{value:,.2f}{more}"
    return f"{value:.{2 - math.floor(math.log10(float(f'{size:.2e}')))}f}{more}"


def tokens(count: int | None) -> str:
    """Return a number of tokens, or of anything else: exact below 1000, then 1.2k, 34.5M; `?` where not known."""
    if count is None:
        return "?"
    size = float(count)
    for unit in ("", "k", "M", "G", "T"):
        if abs(size) < 999.5 or unit == "T":
            break
        size /= 1000
    if not unit:
        return str(count)
    return f"{size:.1f}{unit}" if abs(size) < 99.95 else f"{size:,.0f}{unit}"


def size(count: int) -> str:
    """Return a number of bytes: 512 B, 1.2 kB, 34.5 MB."""
    text = tokens(count)
    return f"{text[:-1]} {text[-1]}B" if text[-1].isalpha() else f"{text} B"


def duration(milliseconds: float | None) -> str:
    """Return a duration: 350 ms, 1.23 s, 2m 05s, 1h 02m, 3d 04h; `?` where it is not known."""
    if milliseconds is None or not math.isfinite(milliseconds):
        return "?"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 59.995:
        return f"{seconds:.2f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    if whole < _DAY:
        return f"{whole // 3600}h {whole % 3600 // 60:02}m"
    return f"{whole // _DAY}d {whole % _DAY // 3600:02}h"


def percent(value: float | None) -> str:
    """Return a percentage given as 0 to 100; `–` where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.0f}%" if abs(value) >= 99.95 or value == 0 else f"{value:.1f}%"


def clock(time: datetime, *, wide: bool = True) -> str:
    """Return a time, which the caller has put into the zone that is shown; without the year if not `wide`."""
    return f"{time:%Y-%m-%d %H:%M:%S}" if wide else f"{time:%m-%d %H:%M:%S}"


def stamp(time: datetime | None) -> str | None:
    """Return RFC 3339 in UTC with `Z`, as JSON has it."""
    return None if time is None else time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def answer(
    command: str,
    data: object,
    *,
    folder: Path,
    since: datetime | None = None,
    until: datetime | None = None,
    time_zone: str = "local",
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Return what `--format json` prints; the same keys for every command.

    Args:
        command: the command's name, without `empathy telemetry`.
        data: its figures: money in USD, durations in milliseconds, exact counts; null = not known.
        folder: the folder of the records.
        since: beginning of the window; None = none.
        until: its end; None = none.
        time_zone: the zone of calendar days.
        notes: what was left out, or is not known, as sentences.
    """
    return {
        "version": JSON_VERSION,
        "command": command,
        "folder": os.fspath(folder),
        "since": stamp(since),
        "until": stamp(until),
        "time_zone": time_zone,
        "data": data,
        "notes": [*notes],
    }


def print_json(value: object, *, indent: bool = True) -> None:
    """Print JSON in UTF-8, which JSON is whatever the terminal's encoding; not indented it is one line."""
    line = msgspec.json.encode(value, enc_hook=str)
    click.echo(msgspec.json.format(line, indent=2) if indent else line)


def notes(lines: Iterable[str]) -> None:
    """Print what was left out of the figures on stderr, so that what stands on stdout is data alone."""
    for line in lines:
        click.echo(f"Note: {clean(line)}", err=True)


@functools.cache
def program() -> str:
    """Return how to call the command again: by its name, or by its path where the name leads elsewhere or nowhere."""
    called = Path(sys.argv[0])
    if called.stem not in ("empathy", "attune-monitoring"):
        return "empathy"
    found = shutil.which(called.stem)
    try:
        if found is not None and called.samefile(found):
            return called.stem
        return os.fspath(called.relative_to(Path.cwd()) if called.is_absolute() else called)
    except (OSError, ValueError):
        return os.fspath(called)


def empty(folder: Path) -> str:
    """Return what is said of a folder without records: the next step, within 80 columns but for a long path."""
    if (folder / ARCHIVE).is_dir():
        return f"Nothing has been recorded in {_near(folder)} since its history was moved to {ARCHIVE}/ there."
    return (
        f"Nothing has been recorded in {_near(folder)} yet.\n"
        "Two lines in your program record a call of a language model:\n"
        "\n"
        "    from attune_monitoring import llm_call      # one\n"
        "\n"
        "    @llm_call                                   # two: above a function that\n"
        "    def ask(question): ...                      #      returns the response\n"
        "\n"
        f"To look around first, with invented records: {program()} demo --records 1000,\n"
        "then the same command with --dir .empathy-demo"
    )


def _near(folder: Path) -> str:
    try:
        return clean(f".{os.sep}{folder.relative_to(Path.cwd())}")
    except (ValueError, OSError):
        return clean(os.fspath(folder))
