"""The only owner of JSONL on disk: append, segments, read.

A stream is a series of segments `<stream>.jsonl`, `<stream>.00001.jsonl`, … that are never renamed or truncated by
rotation; a writer that cannot share a file (background writers, Windows) holds a slot of its own,
`<stream>.w<slot>[.<nnnnn>].jsonl`. One record is one `write` on an O_APPEND descriptor, which POSIX keeps whole, so
any number of processes append without a lock. Not for network file systems: use `write: background` there.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import stat
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, TypeVar

import msgspec

from attune_monitoring.errors import StoreError

__all__ = [
    "CALLS",
    "DETAILS",
    "RUNS",
    "Appender",
    "ReadReport",
    "Segment",
    "Slot",
    "prepare_folder",
    "read_newest",
    "segments",
]

CALLS = "llm_calls"
RUNS = "workflow_runs"
"""Root runs, in the published format and no key more."""
DETAILS = "workflow_details"
"""Every run, nested ones included, with all that is known of it."""

SEGMENT_BYTES = 64 * 1024 * 1024
LOOK_SECONDS = 0.01
"""How long a writer trusts its segment before it looks at the path again. Archiving waits far longer than that for
late lines; a line that goes to a file deleted less than this ago shares the fate of those before it."""
MAX_LINE_BYTES = 16 * 1024 * 1024

_NAME = re.compile(r"(?P<stream>[A-Za-z0-9_-]+)(?:\.w(?P<slot>\d{1,4}))?(?:\.(?P<number>\d{5,}))?\.jsonl")
_CHUNK = 1 << 18
_T = TypeVar("_T")
_log = logging.getLogger("attune_monitoring.store")


class Segment(NamedTuple):
    """One file of a stream; sorted, segments stand in the order in which they were opened."""

    slot: int
    """-1: shared by all writers."""
    number: int
    path: Path


def segments(folder: Path, stream: str) -> list[Segment]:
    """Return the segments of a stream, oldest first within each slot; none where there is no folder."""
    found = []
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names alone, without a Path for each
    except OSError:
        return []
    for name in names:
        match = _NAME.fullmatch(name)
        if match is not None and match["stream"] == stream:
            found.append(Segment(int(match["slot"] or -1), int(match["number"] or 0), folder / name))
    return sorted(found)


def _segment_name(stream: str, slot: int, number: int) -> str:
    return f"{stream}{f'.w{slot}' if slot >= 0 else ''}{f'.{number:05d}' if number else ''}.jsonl"


def prepare_folder(folder: Path) -> None:
    """Create the folder (0700) with a `.gitignore` of `*`, where it is missing.

    Raises:
        OSError: it cannot be created.
    """
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(OSError):  # a folder that only lets files be appended to is good enough
        descriptor = os.open(folder / ".gitignore", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, b"*\n")
        finally:
            os.close(descriptor)


class Appender:
    """Appends lines to one stream, from any thread of any process; never raises.

    What could not be written is counted in `dropped` (by reason) and warned about once for each reason.

    Args:
        folder: where the segments are; created when first needed.
        stream: the stream's name.
        fsync: `never` survives the death of the process, `always` also that of the machine, `interval` all but the
            last second of it.
        segment_bytes: size at which the next segment is opened.
        slot: the number of a `Slot` that this process holds, or -1 for the segments that all writers share.
    """

    def __init__(
        self,
        folder: Path,
        stream: str,
        *,
        fsync: Literal["never", "interval", "always"] = "never",
        segment_bytes: int = SEGMENT_BYTES,
        slot: int = -1,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._folder = Path(folder)
        self._stream = stream
        self._fsync = fsync
        self._limit = segment_bytes
        self._slot = slot
        self._number = 0
        self._path = ""
        self._inode = (-1, -1)
        self._descriptor = -1
        self._look_again = 0.0
        self._torn = False
        self._unsynced = False
        self._retired: list[int] = []
        self._depth = 0
        # Reentrant, because a finalizer that ends a span can run in the middle of an append of the same thread.
        self._lock = threading.RLock()
        self._syncer: threading.Thread | None = None
        self._closing = threading.Event()
        _live.add(self)

    def append(self, line: bytes) -> bool:
        r"""Append one line (without its `\n`) in one write; return whether all of it was taken by the system."""
        with self._lock:
            self._depth += 1
            try:
                now = time.monotonic()
                if now >= self._look_again:
                    self._look()
                    self._look_again = now + LOOK_SECONDS
                data = b"\n%b\n" % line if self._torn else line + b"\n"
                written = os.write(self._descriptor, data)
                if written != len(data):
                    self._mend()
                    return self._drop("short write (disk full?)")
                self._torn = False
                if self._fsync != "never":
                    self._sync_soon()
            except OSError as error:
                self._look_again = 0.0
                return self._drop(error.strerror or type(error).__name__)
            except Exception as error:  # telemetry must not break the program that it watches
                self._look_again = 0.0
                return self._drop(type(error).__name__)
            finally:
                self._depth -= 1
        return True

    def sync(self) -> None:
        """Force what was written so far onto the disk, where `fsync` is not `never`."""
        with self._lock, contextlib.suppress(OSError):
            if self._fsync != "never" and self._unsynced and self._descriptor >= 0:
                self._unsynced = False
                os.fsync(self._descriptor)

    def close(self) -> None:
        """Sync and close; a later append opens again."""
        self._closing.set()
        self.sync()
        with self._lock:
            self._forget()

    def _look(self) -> None:
        """Notice that the segment is full, or is no longer there: archived, or deleted."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - 1 µs instead of 4
        except FileNotFoundError:
            self._open(None)
            return
        if self._descriptor < 0 or (found.st_dev, found.st_ino) != self._inode:
            self._open(None)
        elif found.st_size >= self._limit:
            self._open(self._number + 1)
        elif found.st_size and _last_byte(self._descriptor, found.st_size) != b"\n":
            self._torn = True  # another writer's last line, on a disk that was full

    def _open(self, number: int | None) -> None:
        """Open segment `number`, or the highest there is, or the first after it that has room."""
        if number is None:
            prepare_folder(self._folder)
            mine = [segment.number for segment in segments(self._folder, self._stream) if segment.slot == self._slot]
            number = max(mine, default=0)
        while True:
            path = self._folder / _segment_name(self._stream, self._slot, number)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
            descriptor = os.open(path, flags, 0o600)
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                os.close(descriptor)
                raise OSError(errno.EINVAL, "not a regular file")
            if status.st_size < self._limit:
                break
            os.close(descriptor)
            number += 1
        # A line that an earlier writer left half done must not swallow ours.
        if status.st_size and _last_byte(descriptor, status.st_size) != b"\n":
            self._torn = True
        # At every moment there is a descriptor to write to: a signal handler or finalizer may append between any two.
        previous, self._descriptor = self._descriptor, descriptor
        self._number, self._path, self._inode = number, os.fspath(path), (status.st_dev, status.st_ino)
        self._retire(previous)

    def _retire(self, descriptor: int) -> None:
        if descriptor >= 0:
            self._retired.append(descriptor)
        # An outer append of this thread, which this one interrupted, may be about to write to a retired one.
        while self._retired and self._depth <= 1:
            with contextlib.suppress(OSError):
                os.close(self._retired.pop())

    def _forget(self) -> None:
        self._path, self._inode, self._look_again = "", (-1, -1), 0.0
        previous, self._descriptor, self._look_again = self._descriptor, -1, 0.0
        self._retire(previous)

    def _mend(self) -> None:
        # End the damaged line now if that is possible, so that no other process' line is lost in it; else before ours.
        self._torn = True
        with contextlib.suppress(OSError):
            self._torn = os.write(self._descriptor, b"\n") != 1

    def _drop(self, reason: str) -> bool:
        self.dropped[reason] += 1
        if self.dropped[reason] == 1:
            _log.warning(
                "A record could not be written to %s: %s. The program goes on; further losses are counted and not "
                "logged. Free space or mend the permissions, or set EMPATHY_STORAGE_DIR to another folder.",
                self._folder / _segment_name(self._stream, self._slot, self._number),
                reason,
            )
        return False

    def _sync_soon(self) -> None:
        self._unsynced = True
        if self._fsync == "always":
            self.sync()
        elif self._syncer is None:
            self._closing.clear()
            self._syncer = threading.Thread(target=self._sync_forever, name="attune-fsync", daemon=True)
            self._syncer.start()

    def _sync_forever(self) -> None:
        while not self._closing.wait(1.0):
            self.sync()
        self._syncer = None

    def _after_fork(self) -> None:
        # The parent's other threads, which may have held the lock, do not exist here.
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._syncer = None
        self.dropped = Counter()
        self._depth = 0
        self._forget()


_live: weakref.WeakSet[Appender] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for appender in list(_live):
        appender._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _last_byte(descriptor: int, size: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, 1, size - 1)
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1)


class Slot:
    """A number that this process alone holds for as long as it lives, for writers that cannot share a file.

    Raises:
        StoreError: the folder cannot be written, or a thousand processes hold slots.
    """

    def __init__(self, folder: Path) -> None:
        try:
            prepare_folder(folder)
            for number in range(1000):
                handle = (folder / f".w{number}.lock").open("ab")
                if _try_lock(handle):
                    self.number = number
                    self._handle = handle
                    return
                handle.close()
        except OSError as error:
            raise StoreError(f"{folder}: no writer's slot can be had: {error.strerror}") from error
        raise StoreError(f"{folder}: all 1000 writer's slots are taken")

    def release(self) -> None:
        """Let another process have the number."""
        self._handle.close()


if sys.platform == "win32":  # pragma: no cover - not run on this platform
    import msvcrt

    def _try_lock(handle: IO[bytes]) -> bool:
        try:
            handle.seek(0)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(handle: IO[bytes]) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


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
