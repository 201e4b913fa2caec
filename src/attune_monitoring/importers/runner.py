"""Writes what an importer finds and the folder does not hold yet, and counts both."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from attune_monitoring.errors import StoreError
from attune_monitoring.figures import Twins, is_counted, once
from attune_monitoring.store import SEGMENT_BYTES, Appender, ReadReport, Slot, segments
from attune_monitoring.store.scan import read_forward

from .contract import STREAMS, Importer
from .reading import Progress, Reading

__all__ = ["Tally", "run_import"]


class Tally(msgspec.Struct):
    """What an import came to.

    Attributes:
        files: Files that were read.
        found: Lines of records in the source, by stream.
        new: Those among them that were written (on a dry run: would be).
        cost: USD that the new calls add to the figures of the folder (see docs/figures.md).
        unknown_cost: New calls whose cost is not known.
        report: What was passed over.
    """

    files: int
    found: Counter[str]
    new: Counter[str]
    cost: float
    unknown_cost: int
    report: ReadReport

    @property
    def known(self) -> int:
        """Lines that the folder held already, or that the source holds repeatedly."""
        return self.found.total() - self.new.total()


def run_import(
    importer: Importer,
    source: Path,
    into: Path,
    *,
    dry_run: bool = False,
    segment_bytes: int = SEGMENT_BYTES,
    progress: Progress | None = None,
) -> Tally:
    """Import one source into a folder; again, or after it was killed, it adds what is missing and nothing else.

    What is there already is seen from the lines of the folder itself. New lines go to segments of a writer's slot, so
    that the shared ones stay in the order of time. Of several imports at the same time neither sees the other's lines.

    Args:
        importer: the kind of source.
        source: its file or folder.
        into: the folder of the records; made when there is something to write.
        dry_run: count only.
        segment_bytes: size at which the next segment is begun.
        progress: told how many bytes are done, those of `into` included.

    Raises:
        StoreError: a line could not be written, or `into` cannot be read.
        SourceError: the source cannot be imported, or has no files of its kind.
    """
    files = importer.files(source)
    reading = Reading(_size(files) + _size([one.path for name in STREAMS for one in segments(into, name)]), progress)
    held = _held(importer, into, reading)
    seen: Counter[int] = Counter()
    twins = Twins()
    tally = Tally(len(files), Counter(), Counter(), 0.0, 0, reading.report)
    with _Writer(into, segment_bytes) as writer:
        for stream, line, call in importer.find(files, reading):
            tally.found[stream] += 1
            counts = call is not None and any(once((call,), twins)) and is_counted(call)
            keys = importer.keys(stream, line)
            if keys:
                seen[keys[0]] += 1
                times = seen[keys[0]]
                if (times > 1 and not importer.repeats) or any(held[key] >= times for key in keys):
                    continue
            if not dry_run:
                writer.write(stream, line)
            tally.new[stream] += 1
            if call is not None and counts:
                tally.cost += call.cost or 0.0
                tally.unknown_cost += call.cost is None and call.cost_source != "none"
    return tally


class _Writer:
    """Appends lines to segments of a slot, which is taken with the first."""

    def __init__(self, folder: Path, segment_bytes: int) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._slot: Slot | None = None
        self._appenders: dict[str, Appender] = {}

    def write(self, stream: str, line: bytes) -> None:
        if self._slot is None:
            self._slot = Slot(self._folder)
        appender = self._appenders.get(stream)
        if appender is None:
            appender = Appender(self._folder, stream, segment_bytes=self._segment_bytes, slot=self._slot.number)
            self._appenders[stream] = appender
        if not appender.append(line):
            reason = next(iter(appender.dropped))
            raise StoreError(
                f"{self._folder}: the import stopped: {reason}; mend that and import again, which goes on from here"
            )

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        for appender in self._appenders.values():
            appender.close()
        if self._slot is not None:
            self._slot.release()


def _held(importer: Importer, folder: Path, reading: Reading) -> Counter[int]:
    """How often the folder holds each record."""
    held: Counter[int] = Counter()
    for stream in STREAMS:
        for segment in segments(folder, stream):
            for line in _lines(segment.path, reading):
                held.update(importer.keys(stream, line)[:1])
    return held


def _lines(path: Path, reading: Reading) -> Iterator[bytes]:
    try:
        for chunk in read_forward(path):
            yield from filter(None, chunk.data.split(b"\n"))
            reading.advance(chunk.end - chunk.start)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be read: {error.strerror}; without it nobody knows what is imported already. "
            "Mend its permissions"
        ) from error


def _size(files: list[Path]) -> int:
    total = 0
    for file in files:
        with contextlib.suppress(OSError):
            total += file.stat().st_size
    return total
