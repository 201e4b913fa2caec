"""What has to outlive the watcher, in one SQLite file: states, notifications to be sent, silences, history, the lease.

A change of state and the notifications of it are written in one transaction, and a notification is deleted when it was
delivered: whenever the process dies, either both are there or neither is, and what was sent but not yet deleted is
sent again with the same key.

A damaged file is moved aside (`alerts.db.damaged-…`) and another begun: what fires then fires anew, silences and
notifications that waited are gone. That is logged.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from . import delivery
from .announcement import Message
from .database import Database
from .notification import Notification
from .silences import Silence
from .state import AlertState, Event

__all__ = ["NAME", "Backlog", "Outbox", "Past", "Row", "new_owner"]

NAME = "alerts.db"
_HISTORY = 10_000
"""Entries of the history that are kept; also of dead letters."""
_TABLES = (
    "CREATE TABLE states (rule TEXT, key TEXT, body BLOB NOT NULL, PRIMARY KEY (rule, key)) WITHOUT ROWID",
    "CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, rule TEXT NOT NULL, number INTEGER NOT NULL, "
    "channel TEXT NOT NULL, body BLOB NOT NULL, created REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, "
    "next_at REAL NOT NULL, error TEXT NOT NULL DEFAULT '', dead_at REAL)",
    "CREATE TABLE silences (id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE overrides (rule TEXT PRIMARY KEY, enabled INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE history (id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, kind TEXT NOT NULL, "
    "rule TEXT NOT NULL, labels BLOB NOT NULL, value REAL, channel TEXT NOT NULL, error TEXT NOT NULL)",
    "CREATE TABLE lease (id INTEGER PRIMARY KEY CHECK (id = 1), owner TEXT NOT NULL, expires REAL NOT NULL)",
)
_encode = msgspec.json.encode
_state = msgspec.json.Decoder(AlertState).decode
_silence = msgspec.json.Decoder(Silence).decode
_notification = msgspec.json.Decoder(Notification).decode
_labels = msgspec.json.Decoder(dict[str, str]).decode


class Row(delivery.Row, frozen=True):
    """A notification that waits for delivery, or was given up.

    Args:
        rule: whose action it is for.
        error: what the last attempt ended with.
    """

    rule: str = ""
    error: str = ""


class Past(NamedTuple):
    """An entry of the history."""

    at: float
    kind: str
    """pending, firing, no_data, error, resolved; delivered, dead (given up); silenced, enabled, disabled …"""
    rule: str
    labels: Mapping[str, str]
    value: float | None
    channel: str
    error: str


class Backlog(NamedTuple):
    """What waits for delivery."""

    waiting: int
    oldest: float | None
    """When the oldest of them was made."""
    dead: int
    """Notifications that were given up."""


class Outbox:
    """The file, or the same in memory.

    Args:
        folder: where `alerts.db` is or shall be (0600; the folder 0700); None: in memory.
        clock: seconds since the epoch, for the name of a damaged file and the history.

    Raises:
        StoreError: here and from every method: the file cannot be opened or written.
    """

    def __init__(self, folder: Path | None, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._database = Database(None if folder is None else Path(folder) / NAME, _TABLES, clock=clock)
        self._read, self._write = self._database.read, self._database.write

    def close(self) -> None:
        """Close the file; a later use opens it again."""
        self._database.close()

    # --- the lease
    def take_lease(self, owner: str, now: float, seconds: float) -> bool:
        """Take or renew the lease; return whether the owner has it now.

        It is free when it has lapsed, when the process that had it is no more, and when it would last impossibly long
        (the clock was set back).
        """

        def take(connection: sqlite3.Connection) -> bool:
            row = connection.execute("SELECT owner, expires FROM lease").fetchone()
            if row is not None and row[0] != owner and now < row[1] <= now + 100 * seconds and not _is_gone(row[0]):
                return False
            connection.execute("INSERT OR REPLACE INTO lease VALUES (1, ?, ?)", (owner, now + seconds))
            return True

        return self._write(take)

    def leave_lease(self, owner: str) -> None:
        """Give the lease back, where the owner has it."""
        self._write(lambda connection: connection.execute("DELETE FROM lease WHERE owner = ?", (owner,)))

    def lease(self) -> tuple[str, float] | None:
        """Return who has the lease, and until when."""
        found = self._read("SELECT owner, expires FROM lease", (), lambda owner, expires: (owner, expires))
        return found[0] if found else None

    # --- states
    def states(self) -> dict[str, dict[str, AlertState]]:
        """Return the alerts by rule and key."""
        found: dict[str, dict[str, AlertState]] = {}
        statement = "SELECT rule, key, body FROM states"
        for rule, key, state in self._read(statement, (), lambda rule, key, body: (rule, key, _state(body))):
            found.setdefault(rule, {})[key] = state
        return found

    def commit(
        self,
        owner: str,
        *,
        now: float,
        before: Mapping[str, Mapping[str, AlertState]],
        after: Mapping[str, Mapping[str, AlertState]],
        messages: Sequence[Message] = (),
        events: Sequence[Event] = (),
    ) -> bool:
        """Write what an evaluation has led to, all or nothing; return False where somebody else has the lease by now.

        Args:
            owner: who evaluated.
            now: when.
            before: what `states` returned.
            after: what is now; alerts that are missing are forgotten.
            messages: what is to be sent.
            events: for the history.
        """
        old = {(rule, key): state for rule, states in before.items() for key, state in states.items()}
        new = {(rule, key): state for rule, states in after.items() for key, state in states.items()}
        changed = [(rule, key, _encode(state)) for (rule, key), state in new.items() if old.get((rule, key)) != state]

        def write(connection: sqlite3.Connection) -> bool:
            row = connection.execute("SELECT owner FROM lease").fetchone()
            if row is None or row[0] != owner:
                return False
            connection.executemany("DELETE FROM states WHERE rule = ? AND key = ?", sorted(old.keys() - new.keys()))
            connection.executemany("INSERT OR REPLACE INTO states VALUES (?, ?, ?)", changed)
            connection.executemany(
                "INSERT INTO outbox (rule, number, channel, body, created, next_at) VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (each.rule.name, each.number, _channel(each), _encode(each.notification), now, now)
                    for each in messages
                ],
            )
            for event in events:
                _remember(connection, event.at, event.kind, event.rule, event.labels, event.value, "", event.error)
            return True

        return self._write(write)

    # --- the queue
    def due(self, now: float, limit: int = 1000) -> list[Row]:
        """Return what is to be sent now, oldest first; of what was to be tried far later, the clock was set back."""
        return self._rows("dead_at IS NULL AND (next_at <= ? OR next_at > ?)", (now, now + 86400), limit)

    def next_at(self) -> float | None:
        """Return when the next notification is due."""
        found: list[float | None] = self._read(
            "SELECT min(next_at) FROM outbox WHERE dead_at IS NULL", (), lambda moment: moment
        )
        return found[0]

    def done(self, row: delivery.Row) -> None:
        """Forget a notification that was delivered."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM outbox WHERE id = ?", (row.id,))
            self._note(connection, "delivered", row, "")

        self._write(write)

    def failed(self, row: delivery.Row, *, at_next: float, error: str) -> None:
        """Note that an attempt failed, and when the next one shall be."""
        self._write(
            lambda connection: connection.execute(
                "UPDATE outbox SET attempts = attempts + 1, next_at = ?, error = ? WHERE id = ?",
                (at_next, error, row.id),
            )
        )

    def dead(self, row: delivery.Row, error: str) -> None:
        """Give a notification up; it stays among the `dead_letters`."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE outbox SET attempts = attempts + 1, dead_at = ?, error = ? WHERE id = ?",
                (self._clock(), error, row.id),
            )
            connection.execute(
                "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE dead_at IS NOT NULL ORDER BY id DESC "
                "LIMIT -1 OFFSET ?)",
                (_HISTORY,),
            )
            self._note(connection, "dead", row, error)

        self._write(write)

    def dead_letters(self, limit: int = 1000) -> list[Row]:
        """Return what was given up, oldest first."""
        return self._rows("dead_at IS NOT NULL", (), limit)

    def waiting(self, limit: int = 1000) -> list[Row]:
        """Return what is still to be sent, due or not."""
        return self._rows("dead_at IS NULL", (), limit)

    def backlog(self) -> Backlog:
        """Return how much waits, and since when."""
        columns = "count(*) - count(dead_at), min(CASE WHEN dead_at IS NULL THEN created END), count(dead_at)"
        return self._read(f"SELECT {columns} FROM outbox", (), Backlog)[0]

    # --- what people set
    def silences(self) -> list[Silence]:
        """Return the silences that there are, those that are over as well."""
        return self._read("SELECT body FROM silences", (), _silence)

    def add_silence(self, silence: Silence) -> None:
        """Keep a silence; one with the same id is replaced, those that ended a day ago are forgotten."""

        def write(connection: sqlite3.Connection) -> None:
            for old in [_silence(body) for (body,) in connection.execute("SELECT body FROM silences")]:
                if old.ends_at < self._clock() - 86400:
                    connection.execute("DELETE FROM silences WHERE id = ?", (old.id,))
            connection.execute("INSERT OR REPLACE INTO silences VALUES (?, ?)", (silence.id, _encode(silence)))
            labels = {"silence": silence.id, "matchers": ", ".join(map(str, silence.matchers))}
            _remember(connection, self._clock(), "silenced", "", labels, None, "", "")

        self._write(write)

    def end_silence(self, name: str) -> bool:
        """Forget a silence; return whether there was one."""

        def write(connection: sqlite3.Connection) -> bool:
            found = connection.execute("DELETE FROM silences WHERE id = ?", (name,)).rowcount > 0
            if found:
                _remember(connection, self._clock(), "unsilenced", "", {"silence": name}, None, "", "")
            return found

        return self._write(write)

    def overrides(self) -> dict[str, bool]:
        """Return which rules somebody has enabled or disabled, whatever their file says."""
        return dict(self._read("SELECT rule, enabled FROM overrides", (), lambda rule, on: (str(rule), bool(on))))

    def override(self, rule: str, enabled: bool | None) -> None:
        """Enable or disable a rule; None leaves it to its file again."""

        def write(connection: sqlite3.Connection) -> None:
            if enabled is None:
                connection.execute("DELETE FROM overrides WHERE rule = ?", (rule,))
            else:
                connection.execute("INSERT OR REPLACE INTO overrides VALUES (?, ?)", (rule, enabled))
            kind = "as in its file" if enabled is None else "enabled" if enabled else "disabled"
            _remember(connection, self._clock(), kind, rule, {}, None, "", "")

        self._write(write)

    def history(self, limit: int = 100, *, rule: str | None = None) -> list[Past]:
        """Return what happened, newest first."""
        where, values = ("", ()) if rule is None else ("WHERE rule = ?", (rule,))
        columns = "at, kind, rule, labels, value, channel, error"
        statement = f"SELECT {columns} FROM history {where} ORDER BY id DESC LIMIT ?"
        return self._read(
            statement,
            (*values, limit),
            lambda at, kind, name, labels, *rest: Past(at, kind, name, _labels(labels), *rest),
        )

    # --- inside
    def _rows(self, where: str, values: Sequence[Any], limit: int) -> list[Row]:
        columns = "id, rule, number, channel, body, attempts, created, error"
        statement = f"SELECT {columns} FROM outbox WHERE {where} ORDER BY id LIMIT ?"
        return self._read(statement, (*values, limit), _row)

    def _note(self, connection: sqlite3.Connection, kind: str, row: delivery.Row, error: str) -> None:
        told = row.notification
        _remember(connection, self._clock(), kind, told.rule, told.labels, told.value, row.channel, error)


def new_owner() -> str:
    """Return a name for a watcher, by which others can tell whether its process still lives."""
    return f"{platform.node()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"


def _is_gone(owner: str) -> bool:
    node, _, rest = owner.rpartition("/")[0].rpartition("/")
    if sys.platform == "win32" or node != platform.node() or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _remember(
    connection: sqlite3.Connection,
    at: float,
    kind: str,
    rule: str,
    labels: Mapping[str, str],
    value: float | None,
    channel: str,
    error: str,
) -> None:
    row = (at, kind, rule, _encode(dict(labels)), value, channel, error)
    place = connection.execute(
        "INSERT INTO history (at, kind, rule, labels, value, channel, error) VALUES (?, ?, ?, ?, ?, ?, ?)", row
    ).lastrowid
    connection.execute("DELETE FROM history WHERE id <= ?", ((place or 0) - _HISTORY,))


def _channel(message: Message) -> str:
    return message.action.name or message.action.type


def _row(
    place: int, rule: str, action: int, channel: str, body: bytes, attempts: int, created: float, error: str
) -> Row:
    return Row(place, channel, action, _notification(body), attempts, created, rule, error)
