"""`alerts.status.json`: what a watcher knows after each evaluation, for those who only read, such as the panel.

The file is replaced as a whole (0600), so that a reader sees one evaluation or the next, never a part. Its keys:

- `version`: 1; a reader that knows only lower ones should say so instead of guessing.
- `evaluated_at`, `stale_after`: RFC 3339. When `stale_after` has passed, no watcher runs, and the rest is history.
- `source`: who answered the queries. `rules`: how many rules were evaluated.
- `firing`, `pending`, `silenced`: alerts, each with `rule`, `severity`, `status` (pending, firing, recovering),
  `reason` (condition, no_data, error), `labels`, `value`, `condition`, `since` (of the status) and `started_at` (of the
  firing). `silenced` alerts stand there and not in `firing`; they have `silenced_until` and the `silence`. `inhibited`
  says that a more severe alert of the same kind fires, and that nobody is told of this one; `flapping` that it changes
  too often.
- `errors`: rules that could not be evaluated: `rule`, `error`, `failures` (in a row).
- `watcher`: `seconds` that the evaluation took, `waiting` notifications and when the `oldest` of them was made, and
  how many are `dead` (given up).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import msgspec

from attune_monitoring.errors import StoreError
from attune_monitoring.store import prepare_folder

__all__ = ["NAME", "VERSION", "AlertStatus", "RuleFault", "Status", "WatcherStatus", "read_status", "write_status"]

NAME = "alerts.status.json"
VERSION = 1


class AlertStatus(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that is pending or fires; times are RFC 3339, see the module."""

    rule: str
    severity: str
    status: str
    reason: str
    labels: dict[str, str]
    value: float | None
    condition: str
    since: str
    started_at: str | None = None
    flapping: bool = False
    inhibited: bool = False
    silence: str | None = None
    silenced_until: str | None = None


class RuleFault(msgspec.Struct, frozen=True):
    """A rule that could not be evaluated."""

    rule: str
    error: str
    failures: int


class WatcherStatus(msgspec.Struct, frozen=True):
    """How the watcher itself fares."""

    seconds: float
    waiting: int
    oldest: str | None
    dead: int


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The file; see the module."""

    version: int = VERSION
    evaluated_at: str
    stale_after: str
    source: str
    rules: int
    firing: list[AlertStatus]
    pending: list[AlertStatus]
    silenced: list[AlertStatus]
    errors: list[RuleFault]
    watcher: WatcherStatus


def write_status(folder: Path, status: Status) -> None:
    """Replace the file in a folder.

    Raises:
        StoreError: it cannot be written.
    """
    path = Path(folder) / NAME
    fresh = path.with_name(f".{NAME}.{os.getpid()}")
    try:
        prepare_folder(path.parent)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(status), indent=2) + b"\n")
        fresh.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from error


def read_status(folder: Path) -> Status | None:
    """Return what the file says; None where there is none.

    Raises:
        StoreError: it cannot be read, or is of a newer version.
    """
    path = Path(folder) / NAME
    try:
        data: dict[str, Any] = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        if data.get("version") != VERSION:
            raise StoreError(
                f"{path}: has version {data.get('version')!r}, and {VERSION} is understood; update this program"
            )
        return msgspec.convert(data, Status)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error
