"""Records to the local folder: which stream each goes to, at once or through a bounded queue."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import weakref
from collections import Counter, deque
from pathlib import Path
from typing import Literal

from attune_monitoring.errors import StoreError
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, encode_call, encode_line
from attune_monitoring.store import CALLS, DETAILS, RUNS, SEGMENT_BYTES, Appender, Slot

__all__ = ["Files"]

_log = logging.getLogger("attune_monitoring.store")


class Files:
    """Writes records to one folder. Methods never raise; what is lost is counted in `dropped`.

    Args:
        folder: the folder, usually `.empathy`.
        write: `sync`: one write in the caller's thread (some microseconds; survives kill -9). `background`: a bounded
            queue and a thread with files of its own, for slow or network disks; a full queue drops the newest.
        fsync: see `Appender`.
        segment_bytes: size at which the next segment is begun.
        queue_size: records that may wait, for `background`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        write: Literal["sync", "background"] = "sync",
        fsync: Literal["never", "interval", "always"] = "never",
        segment_bytes: int = SEGMENT_BYTES,
        queue_size: int = 10_000,
    ) -> None:
        self.folder = Path(folder)
        self._fsync = fsync
        self._segment_bytes = segment_bytes
        self._background = write == "background"
        self._queue: deque[tuple[str, bytes]] = deque()
        self._queue_size = queue_size
        self._overflowed = 0
        self._lost_before = 0
        self._wake = threading.Condition()
        self._busy = False
        self._thread: threading.Thread | None = None
        self._slot: Slot | None = None
        self._appenders: dict[str, Appender] = {}
        self._calls: Appender | None = None
        """Where calls go without a detour, which they do nearly always."""
        if not self._needs_slot():
            self._appenders = self._open(-1)
            self._calls = self._appenders[CALLS]
        _live.add(self)

    @property
    def dropped(self) -> Counter[str]:
        """Records lost by this process, by reason."""
        total: Counter[str] = Counter()
        for appender in self._appenders.values():
            total.update(appender.dropped)
        if self._overflowed:
            total["queue full"] = self._overflowed
        return total

    def call(self, record: LLMCallRecord) -> None:
        """Write a call."""
        if self._calls is not None:
            self._calls.append(encode_call(record))
        else:
            self._write(CALLS, encode_call(record))

    def run(self, record: WorkflowRunRecord) -> None:
        """Write a run: everything to the details, and a root in the published format to the runs.

        The details come first: a run is never without them. Nested runs stay out of the published file, whose
        readers add up all they find.
        """
        self._write(DETAILS, encode_line(record.to_details()))
        if record.parent_run_id is None:
            self._write(RUNS, encode_line(record.to_dict()))

    def flush(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds until all is written; return whether it is, and nothing was lost."""
        deadline = time.monotonic() + timeout
        with self._wake:
            self._wake.notify_all()
            while self._queue or self._busy:
                if not self._wake.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                    return False
        for appender in list(self._appenders.values()):
            appender.sync()
        lost = self.dropped.total()
        known, self._lost_before = self._lost_before, lost
        return lost == known

    def close(self, timeout: float) -> bool:
        """Flush and close; a later record opens again."""
        done = self.flush(timeout)
        for appender in list(self._appenders.values()):
            appender.close()
        return done

    def _needs_slot(self) -> bool:
        return self._background or sys.platform == "win32"

    def _open(self, slot: int) -> dict[str, Appender]:
        return {
            stream: Appender(self.folder, stream, fsync=self._fsync, segment_bytes=self._segment_bytes, slot=slot)
            for stream in (CALLS, RUNS, DETAILS)
        }

    def _write(self, stream: str, line: bytes) -> None:
        if self._background:
            self._enqueue(stream, line)
            return
        if not self._appenders:
            self._take_slot()
        self._appenders[stream].append(line)

    def _take_slot(self) -> None:
        try:
            self._slot = Slot(self.folder)
            self._appenders = self._open(self._slot.number)
        except StoreError:
            self._appenders = self._open(-1)  # whose own attempts then count and say what is wrong

    def _enqueue(self, stream: str, line: bytes) -> None:
        if len(self._queue) >= self._queue_size:
            with self._wake:
                self._overflowed += 1
                first = self._overflowed == 1
            if first:
                _log.warning(
                    "A record was dropped: %d wait for the disk of %s already. The program goes on; further losses are "
                    "counted and not logged. A faster disk or a larger queue_size helps.",
                    self._queue_size,
                    self.folder,
                )
            return
        self._queue.append((stream, line))
        if self._thread is None:
            with self._wake:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._drain, name="attune-writer", daemon=True)
                    self._thread.start()
        if len(self._queue) == 1:
            with self._wake:
                self._wake.notify_all()

    def _drain(self) -> None:
        while True:
            with self._wake:
                while not self._queue:
                    self._busy = False
                    self._wake.notify_all()
                    self._wake.wait(1.0)
                self._busy = True
            if not self._appenders:
                self._take_slot()
            while self._queue:
                stream, line = self._queue.popleft()
                self._appenders[stream].append(line)

    def _after_fork(self) -> None:
        # What waits in the queue is the parent's to write; a slot is held by one process.
        self._wake = threading.Condition()
        self._queue.clear()
        self._thread = None
        self._busy = False
        self._overflowed = self._lost_before = 0
        if self._needs_slot():
            self._slot = None
            self._appenders = {}


_live: weakref.WeakSet[Files] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for files in list(_live):
        files._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
