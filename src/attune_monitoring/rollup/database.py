"""The roll-up's SQLite file: where it is, how it is opened, and what is done when it is damaged."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

from .cubes import CUBES, register

__all__ = ["VERSION", "connect", "forget", "places"]

VERSION = 1
"""Of the tables; it stands in the file's name, so another version makes another file."""

_NAME = f"rollup.v{VERSION}.sqlite"
_BUSY_SECONDS = 60.0
_TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE segments (stream TEXT, name TEXT, checkpoint BLOB NOT NULL, lines INTEGER NOT NULL, "
    "PRIMARY KEY (stream, name)) WITHOUT ROWID",
    "CREATE TABLE chunks (stream TEXT, name TEXT, start INTEGER, end INTEGER NOT NULL, first INTEGER NOT NULL, "
    "last INTEGER NOT NULL, PRIMARY KEY (stream, name, start)) WITHOUT ROWID",
    "CREATE TABLE skipped (stream TEXT, reason TEXT, count INTEGER NOT NULL, "
    "PRIMARY KEY (stream, reason)) WITHOUT ROWID",
    "CREATE TABLE detailed (run_id TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID",
)


def places(folder: Path) -> Iterator[str]:
    """Yield where the roll-up of a folder may be, best first: beside the records, in the user's cache, in memory."""
    if os.access(folder, os.W_OK):
        yield os.fspath(folder / f".{_NAME}")
    cache = _user_cache()
    if cache is not None:
        name = hashlib.blake2b(os.fsencode(folder.absolute()), digest_size=12).hexdigest()
        with contextlib.suppress(OSError):
            cache.mkdir(mode=0o700, parents=True, exist_ok=True)
            yield os.fspath(cache / f"{name}.{_NAME}")
    yield ":memory:"


def connect(place: str) -> sqlite3.Connection:
    """Open or create the file (0600).

    Raises:
        sqlite3.Error: it cannot be opened, or is damaged.
        OSError: it cannot be created.
    """
    if place != ":memory:":
        os.close(os.open(place, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
    connection = sqlite3.connect(place, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        # Only a cache: what a dying machine loses is made anew, what a killed process loses was rolled back.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA cache_size = -32000")
        register(connection)
        if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            _create(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def forget(place: str) -> None:
    """Delete the file and what SQLite keeps beside it."""
    if place != ":memory:":
        for suffix in ("", "-wal", "-shm", "-journal"):
            with contextlib.suppress(OSError):
                Path(place + suffix).unlink()


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:  # another process was not faster
            for statement in (*_TABLES, *(line for cube in CUBES for line in cube.ddl())):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _user_cache() -> Path | None:
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "")
    elif sys.platform == "darwin":
        base = os.fspath(home / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME", "") or os.fspath(home / ".cache")
    return Path(base) / "attune-monitoring" if base else None
