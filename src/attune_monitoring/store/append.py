"""Appending lines: one write each, from any thread of any process, whatever happens to the files meanwhile."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
import threading
import time
import weakref
from collections import Counter
from pathlib import Path
from typing import Literal

from .segments import prepare_folder, segment_name, segments

__all__ = ["SEGMENT_BYTES", "Appender"]

SEGMENT_BYTES = 64 * 1024 * 1024
LOOK_SECONDS = 0.01
"""How long a writer trusts its segment before it looks at the path again. Archiving waits far longer than that for
late lines; a line that goes to a file deleted less than this ago shares the fate of those before it."""

_log = logging.getLogger("attune_monitoring.store")


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
        self._size = 0
        """Of the segment, if nobody else has written since the last look."""
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
                self._size += written
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
        elif found.st_size != self._size:
            self._size = found.st_size
            if found.st_size and _last_byte(self._descriptor, found.st_size) != b"\n":
                self._torn = True  # another writer's last line, on a disk that was full

    def _open(self, number: int | None) -> None:
        """Open segment `number`, or the highest there is, or the first after it that has room."""
        if number is None:
            prepare_folder(self._folder)
            mine = [segment.number for segment in segments(self._folder, self._stream) if segment.slot == self._slot]
            number = max(mine, default=0)
        while True:
            path = self._folder / segment_name(self._stream, self._slot, number)
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
        self._size = status.st_size
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
                self._folder / segment_name(self._stream, self._slot, self._number),
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
