"""Reading records, newest first, past whatever else stands in the files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from .segments import Segment, segments

__all__ = ["ReadReport", "read_newest"]

MAX_LINE_BYTES = 16 * 1024 * 1024
_CHUNK = 1 << 18
_T = TypeVar("_T")


class ReadReport:
    """What a read passed over: lines that are no records, by reason, and where the first of each stands."""

    def __init__(self) -> None:
        self.skipped: Counter[str] = Counter()
        self.first: dict[str, str] = {}

    @property
    def total(self) -> int:
        """Number of lines passed over."""
        return self.skipped.total()

    def skip(self, reason: str, path: Path, end: int) -> None:
        """Count one line; `end` is the offset of the byte after it."""
        self.skipped[reason] += 1
        self.first.setdefault(reason, f"{path} before byte {end}")

    def __str__(self) -> str:
        return "; ".join(f"{count} × {reason} (e.g. {self.first[reason]})" for reason, count in self.skipped.items())


def read_newest(
    folder: Path,
    stream: str,
    parse: Callable[[dict[str, Any]], _T],
    *,
    keep: Callable[[_T], bool],
    order: Callable[[_T], Any],
    limit: int,
    report: ReadReport,
) -> list[_T]:
    """Return the newest `limit` records that `keep` wants, oldest of them first.

    Args:
        folder: the folder of the segments.
        stream: the stream's name.
        parse: a line's object to a record; a ValueError makes it a line to skip.
        keep: whether a record is wanted.
        order: sort key, used where several slots must be merged.
        limit: number of records at most.
        report: takes what was passed over.
    """
    series: dict[int, list[Segment]] = {}
    for segment in segments(folder, stream):
        series.setdefault(segment.slot, []).append(segment)
    found: list[_T] = []
    for files in series.values():
        mine: list[_T] = []
        for segment in reversed(files):
            if len(mine) >= limit:
                break
            for line, end in _lines_backwards(segment.path):
                record = _parse(line, parse, report, segment.path, end)
                if record is not None and keep(record):
                    mine.append(record)
                    if len(mine) >= limit:
                        break
        mine.reverse()
        found = [*found, *mine]
    if len(series) > 1:
        found.sort(key=order)
    return found[-limit:] if limit > 0 else []


def _parse(line: bytes, parse: Callable[[dict[str, Any]], _T], report: ReadReport, path: Path, end: int) -> _T | None:
    if not line.strip():
        return None
    if len(line) > MAX_LINE_BYTES:
        report.skip(f"longer than {MAX_LINE_BYTES} bytes", path, end)
        return None
    try:
        data = msgspec.json.decode(line)
    except (msgspec.DecodeError, ValueError, RecursionError):
        report.skip("not JSON", path, end)
        return None
    try:
        return parse(data)
    except (ValueError, RecursionError) as error:
        report.skip(str(error), path, end)
        return None


def _lines_backwards(path: Path) -> Iterator[tuple[bytes, int]]:
    """Complete lines of a file from its end, each with the offset behind it; one without a newline is unfinished."""
    try:
        with path.open("rb") as file:
            position = file.seek(0, os.SEEK_END)
            tail: list[bytes] = []  # pieces of the line that begins before `position`, last piece first
            finished = False
            while position > 0:
                size = min(_CHUNK, position)
                position -= size
                file.seek(position)
                pieces = file.read(size).split(b"\n")
                if len(pieces) == 1:
                    tail.append(pieces[0])
                    continue
                tail.append(pieces[-1])
                if finished:
                    yield b"".join(reversed(tail)), position + size
                finished = True
                for piece in reversed(pieces[1:-1]):
                    yield piece, position + size
                tail = [pieces[0]]
            if finished:
                yield b"".join(reversed(tail)), position
    except OSError:
        return
