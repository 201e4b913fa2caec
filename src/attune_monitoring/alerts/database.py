"""A SQLite file that is never in the way: opened when needed, forced onto the disk, begun anew where it is damaged."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from attune_monitoring.errors import StoreError
from attune_monitoring.store import prepare_folder

__all__ = ["VERSION", "Database"]

VERSION = 1
"""Of the tables."""
_BUSY_SECONDS = 10.0
_T = TypeVar("_T")
_log = logging.getLogger("attune_monitoring.alerts")


class Database:
    """The file (0600; its folder 0700), or the same in memory. Threads may share it.

    Args:
        path: the file; None: in memory.
        tables: the statements that make them, where it is new.
        clock: seconds since the epoch, for the name of a damaged file.

    Raises:
        StoreError: here and from every method: the file cannot be opened or written.
    """

    def __init__(self, path: Path | None, tables: Sequence[str], *, clock: Callable[[], float]) -> None:
        self._path = path
        self._tables = tables
        self._clock = clock
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._guarded(lambda _: None)

    def close(self) -> None:
        """Close the file; a later use opens it again. What was in memory only is gone."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def read(self, statement: str, values: Sequence[Any], make: Callable[..., _T]) -> list[_T]:
        """Return what is made of each row of a statement; a row of which nothing can be made is damage."""
        return self._guarded(lambda connection: [make(*row) for row in connection.execute(statement, values)])

    def write(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do some work in one transaction, all of it or nothing."""

        def transaction(connection: sqlite3.Connection) -> _T:
            with _transaction(connection):
                return work(connection)

        return self._guarded(transaction)

    def _guarded(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do it; where the file turns out to be damaged, begin another and do it there."""
        with self._lock:
            for attempt in range(3):
                try:
                    if self._connection is None:
                        self._connection = _open(self._path, self._tables)
                    return work(self._connection)
                except (sqlite3.OperationalError, OSError) as error:
                    if self._path is not None:
                        self.close()
                    raise StoreError(f"{self._path}: cannot be used: {error}") from error
                except (sqlite3.DatabaseError, msgspec.DecodeError) as error:
                    self.close()
                    if attempt and self._path is not None:  # first another look: is it new by now?
                        self._move_aside(self._path, error)
        raise StoreError(f"{self._path}: cannot be used, nor a new one in its place; look at the disk")

    def _move_aside(self, path: Path, error: Exception) -> None:
        stamp = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y%m%dT%H%M%SZ")
        aside = path.with_name(f"{path.name}.damaged-{stamp}")
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                Path(f"{path}{suffix}").replace(f"{aside}{suffix}")
        _log.warning(
            "%s is damaged (%s) and was moved to %s. Alerts begin anew: what fires is told again; silences and "
            "notifications that waited in it are lost.",
            path,
            error,
            aside.name,
        )


def _open(path: Path | None, tables: Sequence[str]) -> sqlite3.Connection:
    if path is not None:
        prepare_folder(path.parent)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
    place = ":memory:" if path is None else os.fspath(path)
    connection = sqlite3.connect(place, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        # A notification must outlive the machine, not only the process: each transaction is forced onto the disk.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_mode = WAL")
        with _transaction(connection):
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in tables:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {VERSION}")
        if version > VERSION:
            raise StoreError(f"{path}: was written by a newer version of attune-monitoring; update this one")
        if version and connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("its pages contradict each other")
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
