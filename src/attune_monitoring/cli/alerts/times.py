"""How the commands show times and how long something lasted: local time, as short as it can be."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from attune_monitoring.cli.present import present
from attune_monitoring.records import parse_time

__all__ = ["rfc3339", "running_clock", "seconds_from", "when"]


def running_clock() -> Callable[[], float]:
    """Return the clock (seconds since the epoch) of a command that goes on: it began at `present()`."""
    ahead = present().timestamp() - time.time()
    return lambda: time.time() + ahead


def when(seconds: float) -> str:
    """Return a time since the epoch in local time: `14:05` for today, else with its date; nothing for none."""
    if seconds <= 0:
        return ""
    local, today = datetime.fromtimestamp(seconds, UTC).astimezone(), present().astimezone().date()
    if local.date() == today:
        return f"{local:%H:%M:%S}"
    return f"{local:%m-%d %H:%M}" if local.year == today.year else f"{local:%Y-%m-%d %H:%M}"


def rfc3339(seconds: float | None) -> str | None:
    """Return a time since the epoch as JSON has it; None for none."""
    if not seconds:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_from(text: str) -> float:
    """Return the seconds since the epoch of a time of the status file."""
    return parse_time(text).timestamp()
