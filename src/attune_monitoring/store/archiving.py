"""Moving whole segments out of the way of the live figures: nothing is lost, overwritten, or there twice.

The protocol, for every program that archives (times are UTC):

Names: `<folder>/archive/` (0700) holds one folder for each time that something was archived, `<YYYYMMDDTHHMMSSZ>`,
with `-1`, `-2` … after it where that is taken. While work on it goes on, its name begins with a dot. Segments keep
their names in it.

Steps, in this order:

1. A folder that still begins with a dot and is an hour old was left by a program that was killed: it is renamed to its
   name without the dot (with the next number where that is taken).
2. `mkdir archive/.<time>`, which must not be there yet. If `archive/<time>` is there, the new folder is removed again
   and the next number is tried.
3. Each segment is renamed into that folder. Only then is its size taken: `cut` is the offset behind its last newline
   below that size.
4. Wait 1 s. Writers look every 10 ms whether their file is still in its place, so by now none writes to it.
5. Of each segment that has grown since step 3, every line from `cut` on that is not blank, an unfinished last one
   included, is appended to the live stream. If all were taken and it has not grown again, it is truncated to `cut`.
6. `archive/.<time>` is renamed to `archive/<time>`.

A program that is killed after step 3 leaves late lines in the archive alone; one killed within step 5, some of them in
both places. A writer that stood still between looking and writing for longer than the wait (a laptop asleep) leaves its
line in the archive alone.

A reader that follows live segments reads what is new in the archive as well, as soon as a folder there has no dot: a
segment that it has read from (the same inode) from where it was, one that came and went between two looks from its
beginning. Late lines reach it through the live stream. It counts as read only what it read while the segment was in
its place, so it looks at the path again after reading. Where a folder keeps its dot it gives up waiting after ten
seconds and reads what is there.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from attune_monitoring.errors import StoreError

from .append import Appender
from .read import is_older, last_written
from .scan import open_segment, read_backward
from .segments import CALLS, DETAILS, RUNS, Segment, segments
from .slot import Slot

__all__ = ["ARCHIVE", "ArchiveReport", "archive", "archived_folders", "movable", "retention", "working_folders"]

ARCHIVE = "archive"
"""The folder below the live one that readers of live figures ignore."""

_TIME = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"(?P<working>\.?)\d{8}T\d{6}Z(?:-\d+)?")
_ABANDONED = timedelta(hours=1)
_SETTLE_SECONDS = 1.0


class ArchiveReport(NamedTuple):
    """What was archived, and what was not."""

    folder: Path | None
    """Where it is now; None where nothing was moved."""
    moved: tuple[str, ...]
    """Names of the segments."""
    late_lines: int
    """Lines that were written to a segment when it had just been moved, and are in the live stream now."""
    problems: dict[str, str]
    """What could not be done, by the path of the file."""
    deleted: tuple[Path, ...] = ()
    """Archived segments that `retention` removed."""


class _Moved(NamedTuple):
    stream: str
    name: str
    size: int
    cut: int


def _wait() -> None:
    time.sleep(_SETTLE_SECONDS)


def archive(
    folder: Path,
    *,
    now: datetime,
    before: datetime | None = None,
    streams: Sequence[str] = (CALLS, RUNS, DETAILS),
    settle: Callable[[], None] = _wait,
    progress: Callable[[str], None] = lambda _: None,
) -> ArchiveReport:
    """Move whole segments to `<folder>/archive/<UTC time>/`; nothing is deleted or overwritten.

    Args:
        folder: the folder of the live segments.
        now: the time that names the archived folder; naive means local time.
        before: only segments without any record of this time or later; the newest of each writer only where nothing
            was written to it since then either. None means all segments.
        streams: names of the streams.
        settle: waits until no writer can still be writing to a moved segment (1 s).
        progress: is told each step before it is done.

    Raises:
        StoreError: the archive's folder cannot be made.
    """
    now = now.astimezone(UTC)
    _finish_abandoned(folder, now)
    problems: dict[str, str] = {}
    earliest = before.astimezone(UTC) if before is not None else None
    chosen = _chosen(folder, earliest, streams, problems)
    if not chosen:
        return ArchiveReport(None, (), 0, problems)
    top = folder / ARCHIVE
    try:
        top.mkdir(mode=0o700, exist_ok=True)
        working = _make_working(folder, now)
    except OSError as error:
        raise StoreError(
            f"{top}: nothing was archived, the folder cannot be written: {error.strerror}. Mend its permissions."
        ) from error
    moved = []
    for stream, segment in chosen:
        progress(f"move {segment.path.name}")
        try:
            moved.append(_move(stream, segment, working))
        except FileNotFoundError:
            continue  # another program archives at the same time
        except OSError as error:
            problems[str(segment.path)] = f"could not be moved: {error.strerror}"
    progress("settle")
    settle()
    late = 0
    for one in moved:
        progress(f"late {one.name}")
        try:
            late += _return_late_lines(folder, working / one.name, one, progress)
        except (OSError, StoreError) as error:
            problems[str(working / one.name)] = f"late lines were left in it: {error}"
    progress("finish")
    final = _finish(working, moved, problems)
    progress("done")
    return ArchiveReport(final, tuple(one.name for one in moved), late, problems)


def retention(
    folder: Path,
    *,
    days: float,
    now: datetime,
    delete: bool = False,
    streams: Sequence[str] = (CALLS, RUNS, DETAILS),
    settle: Callable[[], None] = _wait,
    progress: Callable[[str], None] = lambda _: None,
) -> ArchiveReport:
    """Archive whole segments whose records are all older than `days`; with `delete`, remove such segments for good.

    Deleting covers every archived segment of that age, whenever it was archived; other files in the archive stay.

    Args:
        folder: the folder of the live segments.
        days: age of a segment's newest record.
        now: the time from which the age is counted; naive means local time.
        delete: whether archived segments of that age are deleted.
        streams: names of the streams.
        settle: as for `archive`.
        progress: is told each step before it is done.

    Raises:
        StoreError: the archive's folder cannot be made.
    """
    before = now.astimezone(UTC) - timedelta(days=days)
    report = archive(folder, now=now, before=before, streams=streams, settle=settle, progress=progress)
    if not delete:
        return report
    deleted = []
    for entry in archived_folders(folder):
        for segment in (one for stream in streams for one in segments(entry, stream)):
            try:
                if not segment.path.is_symlink() and is_older(segment.path, before):
                    progress(f"delete {segment.path.name}")
                    segment.path.unlink()
                    deleted.append(segment.path)
            except OSError as error:
                report.problems[str(segment.path)] = f"could not be deleted: {error.strerror}"
        with contextlib.suppress(OSError):  # it holds something else
            entry.rmdir()
    return report._replace(deleted=tuple(deleted))


def movable(
    folder: Path, *, before: datetime | None = None, streams: Sequence[str] = (CALLS, RUNS, DETAILS)
) -> list[Segment]:
    """Return the segments that `archive` would move now; the arguments are those of `archive`."""
    earliest = before.astimezone(UTC) if before is not None else None
    return [segment for _, segment in _chosen(folder, earliest, streams, {})]


def archived_folders(folder: Path) -> list[Path]:
    """Return the folders of the archive that are complete, oldest first."""
    top = folder / ARCHIVE
    found = [top / match[0] for match in _names(top) if not match["working"]]
    return [entry for entry in found if not entry.is_symlink()]


def working_folders(folder: Path) -> list[Path]:
    """Return the folders of the archive that a program is filling, or was when it was killed."""
    top = folder / ARCHIVE
    return [top / match[0] for match in _names(top) if match["working"]]


def _chosen(
    folder: Path, before: datetime | None, streams: Sequence[str], problems: dict[str, str]
) -> list[tuple[str, Segment]]:
    return [(stream, segment) for stream in streams for segment in _choose(segments(folder, stream), before, problems)]


def _choose(found: list[Segment], before: datetime | None, problems: dict[str, str]) -> Iterator[Segment]:
    newest = {segment.slot: segment.number for segment in found}
    for segment in found:
        try:
            if before is None or (
                (segment.number < newest[segment.slot] or last_written(segment.path) < before)
                and is_older(segment.path, before)
            ):
                yield segment
        except FileNotFoundError:
            continue
        except OSError as error:
            problems[str(segment.path)] = f"cannot be read: {error.strerror}"


def _names(top: Path) -> list[re.Match[str]]:
    try:
        names = sorted(os.listdir(top))  # noqa: PTH208 - names alone, without a Path for each
    except OSError:
        return []
    return [match for name in names if (match := _NAME.fullmatch(name))]


def _finish_abandoned(folder: Path, now: datetime) -> None:
    for working in working_folders(folder):
        with contextlib.suppress(OSError, ValueError):  # it may be gone; or be named after no possible time
            begun = datetime.strptime(working.name[1:17], _TIME).replace(tzinfo=UTC)
            if now - begun > _ABANDONED:
                working.rename(next(one for one in _numbered(working.with_name(working.name[1:])) if not one.exists()))


def _make_working(folder: Path, now: datetime) -> Path:
    names = _numbered(folder / ARCHIVE / now.strftime(_TIME))
    while True:
        final = next(names)
        working = final.with_name(f".{final.name}")
        try:
            working.mkdir(mode=0o700)
        except FileExistsError:
            continue
        if not final.exists():
            return working
        working.rmdir()


def _numbered(path: Path) -> Iterator[Path]:
    yield path
    for number in itertools.count(1):
        yield path.with_name(f"{path.name}-{number}")


def _move(stream: str, segment: Segment, working: Path) -> _Moved:
    target = working / segment.path.name
    with open_segment(segment.path):  # one that cannot be read stays: its late lines could not be found
        pass
    segment.path.rename(target)
    size = target.stat().st_size
    last = next(read_backward(target, until=size), None)
    return _Moved(stream, target.name, size, last.end if last else 0)


def _return_late_lines(folder: Path, path: Path, moved: _Moved, progress: Callable[[str], None]) -> int:
    """Append to the live stream what was written to a segment after it had been moved, and cut it off there."""
    with open_segment(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size <= moved.size:
            return 0
        file.seek(moved.cut)
        lines = [line for line in file.read(size - moved.cut).split(b"\n") if line.strip()]
    slot = Slot(folder) if sys.platform == "win32" else None
    appender = Appender(folder, moved.stream, slot=slot.number if slot else -1)
    try:
        for line in lines:
            progress(f"append to {moved.stream}")
            if not appender.append(line):
                raise StoreError(f"{folder}: {', '.join(appender.dropped)}")
    finally:
        appender.close()
        if slot:
            slot.release()
    progress(f"cut {moved.name}")
    if path.stat().st_size == size:
        os.truncate(path, moved.cut)
    return len(lines)


def _finish(working: Path, moved: list[_Moved], problems: dict[str, str]) -> Path | None:
    try:
        if not moved:
            working.rmdir()
            return None
        final = working.with_name(working.name[1:])
        working.rename(final)
    except OSError as error:
        problems[str(working)] = f"keeps its name for now: {error.strerror}"
        return working
    return final
