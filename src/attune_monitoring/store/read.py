"""Reading records, newest or oldest first, past whatever else stands in the files."""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from attune_monitoring.records import parse_time
from attune_monitoring.redaction import redact

from .scan import MAX_LINE_BYTES, read_backward, read_forward
from .segments import Segment, segments

__all__ = ["ReadReport", "Sample", "is_older", "last_written", "read_all", "read_newest", "read_range"]

NOT_JSON = "not JSON"
TOO_LONG = f"longer than {MAX_LINE_BYTES >> 20} MiB"
UNREADABLE = "file that cannot be read"
OTHER = "no record, for other reasons"

_MAX_REASONS = 20
_SAMPLES = 3
_EXCERPT = 80
_SLACK = timedelta(days=1)
_T = TypeVar("_T")
_Parse = Callable[[dict[str, Any]], _T]


class Sample(NamedTuple):
    """A line that was passed over: where its first byte stands, and its beginning without secrets."""

    path: Path
    offset: int
    excerpt: str


class ReadReport:
    """What a read passed over: lines that are no records, by reason, and the first few of each."""

    def __init__(self) -> None:
        self.skipped: Counter[str] = Counter()
        self.samples: dict[str, list[Sample]] = {}

    @property
    def total(self) -> int:
        """Number of lines (and files that cannot be read) passed over."""
        return self.skipped.total()

    def skip(self, reason: str, path: Path, offset: int, line: bytes = b"") -> None:
        """Count one line that begins at `offset` (bytes); beyond 20 reasons all others are one."""
        if reason not in self.skipped and len(self.skipped) >= _MAX_REASONS:
            reason = OTHER
        self.skipped[reason] += 1
        samples = self.samples.setdefault(reason, [])
        if len(samples) < _SAMPLES:
            # What stands in a damaged line must not steer the terminal that it is shown on.
            excerpt = "".join(char if char.isprintable() else "·" for char in redact(line, limit=_EXCERPT))
            samples.append(Sample(path, offset, excerpt))

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a JSON object: `total`, and for each reason `count` and `samples`."""
        return {
            "total": self.total,
            "reasons": {
                reason: {
                    "count": count,
                    "samples": [{**one._asdict(), "path": str(one.path)} for one in self.samples[reason]],
                }
                for reason, count in self.skipped.most_common()
            },
        }

    def __str__(self) -> str:
        return "; ".join(
            f"{count} × {reason} (e.g. {self.samples[reason][0].path} at byte {self.samples[reason][0].offset})"
            for reason, count in self.skipped.items()
        )


def read_newest(
    folder: Path,
    stream: str,
    parse: _Parse[_T],
    *,
    keep: Callable[[_T], bool],
    order: Callable[[_T], Any],
    limit: int,
    report: ReadReport,
    since: datetime | None = None,
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
        since: whole segments from before this time are not opened; what is in the others is left to `keep`.
    """
    series = _series(folder, stream, since)
    found: list[_T] = []
    for files in series if limit > 0 else ():
        mine: list[_T] = []
        for segment in reversed(files):
            for record in _newest_first(segment.path, parse, report):
                if keep(record):
                    mine.append(record)
                    if len(mine) >= limit:
                        break
            if len(mine) >= limit:
                break
        mine.reverse()
        found = [*found, *mine]
    if len(series) > 1:
        found.sort(key=order)
    return found[-limit:]


def read_all(
    folder: Path,
    stream: str,
    parse: _Parse[_T],
    *,
    order: Callable[[_T], Any],
    report: ReadReport,
    since: datetime | None = None,
    having: re.Pattern[bytes] | None = None,
) -> Iterator[_T]:
    """Yield every record, oldest first as they were written, without holding more than a few of them.

    Args:
        folder: the folder of the segments.
        stream: the stream's name.
        parse: a line's object to a record; a ValueError makes it a line to skip.
        order: sort key, used where several slots must be merged.
        report: takes what was passed over.
        since: whole segments from before this time are not read; records from before it in the others are given.
        having: only lines in which this is found are looked at.
    """
    series = _series(folder, stream, since)

    def records(files: list[Segment]) -> Iterator[_T]:
        for segment in files:
            yield from read_range(segment.path, 0, None, parse, report=report, having=having)

    if len(series) == 1:
        return records(series[0])
    return heapq.merge(*map(records, series), key=order)


def is_older(path: Path, before: datetime) -> bool:
    """Return whether no record of a file bears a time of `before` (aware) or later.

    Reading begins at the end, so a file with newer records is known by its last line. One that holds no time at all
    has the time at which it was last written.

    Raises:
        OSError: the file cannot be read.
    """
    timed = False
    for line in read_backward(path):
        for when in _times(line.data):
            if when >= before:
                return False
            timed = True
    return timed or last_written(path) < before


class _Times(msgspec.Struct):
    timestamp: Any = None
    started_at: Any = None
    completed_at: Any = None


_decode_times = msgspec.json.Decoder(_Times).decode


def _times(line: bytes) -> Iterator[datetime]:
    try:
        found = _decode_times(line)
    except (ValueError, RecursionError):
        return
    for text in (found.completed_at, found.timestamp, found.started_at):
        if isinstance(text, str):
            try:
                yield parse_time(text)
            except ValueError:
                continue


def last_written(path: Path) -> datetime:
    """Return the time (UTC) at which a file was last written.

    Raises:
        OSError: it is gone.
    """
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (ValueError, OverflowError):  # a date that a calendar cannot hold: treated as new
        return datetime.max.replace(tzinfo=UTC)


def _series(folder: Path, stream: str, since: datetime | None) -> list[list[Segment]]:
    series: dict[int, list[Segment]] = {}
    for segment in segments(folder, stream):
        if since is None or _may_hold(segment.path, since):
            series.setdefault(segment.slot, []).append(segment)
    return list(series.values())


def _may_hold(path: Path, since: datetime) -> bool:
    # A record is never written before its time, give or take a clock. The last line guards against files whose times
    # were lost on the way, the slack against clocks.
    try:
        earliest = since.astimezone(UTC) - _SLACK
        if last_written(path) >= earliest:
            return True
        times = next((list(_times(line.data)) for line in read_backward(path)), [])
        return not times or max(times) >= earliest
    except (OSError, OverflowError):
        return True


def _newest_first(path: Path, parse: _Parse[_T], report: ReadReport) -> Iterator[_T]:
    try:
        for line in read_backward(path):
            if line.too_long:
                report.skip(TOO_LONG, path, line.start)
            elif line.data and (record := _parse(line.data, parse, report, path, line.start)) is not None:
                yield record
    except OSError as error:
        report.skip(UNREADABLE, path, 0, (error.strerror or type(error).__name__).encode())


def read_range(
    path: Path,
    start: int,
    end: int | None,
    parse: _Parse[_T],
    *,
    report: ReadReport,
    having: re.Pattern[bytes] | None = None,
) -> Iterator[_T]:
    """Yield the records of a part of one file, from the line that begins at `start` to that which ends at `end`.

    Args:
        path: the file.
        start: offset in bytes; the beginning of a line.
        end: offset in bytes; None is the end of the file.
        parse: a line's object to a record; a ValueError makes it a line to skip.
        report: takes what was passed over.
        having: only lines in which this is found are looked at.
    """
    try:
        for chunk in read_forward(path, start, until=end):
            if chunk.too_long:
                report.skip(TOO_LONG, path, chunk.start)
            place = chunk.start
            for data in chunk.data.split(b"\n"):
                wanted = data and (having is None or having.search(data))
                if wanted and (record := _parse(data, parse, report, path, place)) is not None:
                    yield record
                place += len(data) + 1
    except OSError as error:
        report.skip(UNREADABLE, path, 0, (error.strerror or type(error).__name__).encode())


def _parse(line: bytes, parse: _Parse[_T], report: ReadReport, path: Path, start: int) -> _T | None:
    if line.isspace():
        return None
    try:
        data = msgspec.json.decode(line)
    except (ValueError, RecursionError):
        report.skip(NOT_JSON, path, start, line)
        return None
    try:
        return parse(data)
    except (ValueError, RecursionError) as error:
        report.skip(str(error), path, start, line)
        return None
