"""What the commands of `empathy telemetry` are asked alike: folder, window of time, zone, tests, format."""

from __future__ import annotations

import functools
import re
import zoneinfo
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from attune_monitoring.cli.present import present
from attune_monitoring.config import load_config
from attune_monitoring.schema import nearest

__all__ = ["Options", "common", "folder_of", "folder_option", "moment", "zone_of"]

_T = TypeVar("_T")
_ROLLING = re.compile(r"(\d{1,6})([mhdw])")
_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SHORT = 48 * 3600
"""Rolling windows up to here (seconds) begin at a full minute, longer ones at a full hour: see docs/figures.md."""
_WORDS = ("today", "yesterday", "week", "month", "all")
_EXPECTED = "today, yesterday, week, month, all, 30m, 24h, 7d, 4w, a date (2026-01-31) or a time (2026-01-31T14:00)"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a reading command was asked.

    Attributes:
        folder: The folder of the records; need not exist.
        now: When the command was given, aware UTC.
        since: Beginning of the window, aware UTC; None = everything before `until`.
        until: Its end, which is not part of it, aware UTC; None = no end.
        zone: The time zone of calendar days and of times that are shown; None = that of this machine.
        zone_name: Its name, `local` for that of this machine.
        include_tests: Whether records made under pytest count.
        format: What is to be printed: table, json …
    """

    folder: Path
    now: datetime
    since: datetime | None
    until: datetime | None
    zone: tzinfo | None
    zone_name: str
    include_tests: bool
    format: str

    @property
    def json(self) -> bool:
        """Whether JSON is to be printed."""
        return self.format == "json"

    def holds(self, time: datetime) -> bool:
        """Whether the window holds this (aware) time."""
        return (self.since is None or time >= self.since) and (self.until is None or time < self.until)

    def frame(self) -> dict[str, Any]:
        """Return what `render.answer` says of the question: folder, window, zone."""
        return {"folder": self.folder, "since": self.since, "until": self.until, "time_zone": self.zone_name}

    def local(self, time: datetime) -> datetime:
        """Return a time as it is shown."""
        return time.astimezone(self.zone)


folder_option = click.option(
    "--dir",
    "directory",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the records, instead of the configured one.",
)


def common(
    since: str | None = "all", *, formats: Sequence[str] = ("table", "json")
) -> Callable[[Callable[..., _T]], Callable[..., _T]]:
    """Add the common options to a command, which gets them as `options`.

    Args:
        since: the default of --since; None = the command has neither --since nor --until.
        formats: what --format can be; the first is the default.
    """

    def decorate(function: Callable[..., _T]) -> Callable[..., _T]:
        @functools.wraps(function)
        def command(
            *arguments: Any,
            since: str = "all",
            until: str | None = None,
            zone_name: str,
            directory: Path | None,
            include_tests: bool,
            format_: str,
            **more: Any,
        ) -> _T:
            now = present()
            zone = zone_of(zone_name)
            begin = moment(since, now, zone, option="--since")
            end = None if until is None else moment(until, now, zone, option="--until")
            if begin is not None and end is not None and end <= begin:
                raise click.UsageError(f"--until {until} is not after --since {since}, so nothing lies between them")
            options = Options(
                folder=folder_of(directory),
                now=now,
                since=begin,
                until=end,
                zone=zone,
                zone_name=zone_name,
                include_tests=include_tests,
                format=format_,
            )
            return function(*arguments, options=options, **more)

        for option in reversed(_options(since, formats)):
            command = option(command)
        return command

    return decorate


def _options(since: str | None, formats: Sequence[str]) -> list[Callable[[Callable[..., Any]], Callable[..., Any]]]:
    window = [
        click.option(
            "--since",
            metavar="WHEN",
            default=since,
            show_default=True,
            help="Beginning: today, yesterday, week, month, 24h, 7d, all, a date or a time.",
        ),
        click.option("--until", metavar="WHEN", help="End, not included: the same words, dates and times."),
    ]
    return [
        *(window if since is not None else ()),
        click.option(
            "--tz", "zone_name", metavar="NAME", default="local", show_default=True, help="Time zone: Europe/Vienna …"
        ),
        folder_option,
        click.option("--include-tests", is_flag=True, help="Count what was recorded under pytest as well."),
        click.option(
            "--format",
            "format_",
            type=click.Choice(formats),
            default=formats[0],
            show_default=True,
            help="What to print.",
        ),
    ]


def folder_of(directory: Path | None) -> Path:
    """Return the folder that is meant: the one named, else as configured.

    Raises:
        ConfigError: none is named, and the configuration is faulty.
    """
    return load_config().storage_dir if directory is None else directory


def zone_of(name: str) -> tzinfo | None:
    """Return the time zone of this name; None for `local`.

    Raises:
        click.BadParameter: there is none.
    """
    if name.lower() == "local":
        return None
    if name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        known = zoneinfo.available_timezones()
        hint = nearest(name, known) if known else "; this system knows none: pip install tzdata"
        raise click.BadParameter(f"'{name}' is not a time zone{hint}", param_hint="'--tz'") from error


def moment(text: str, now: datetime, zone: tzinfo | None, *, option: str) -> datetime | None:
    """Return the time that a word, a span back from now, a date or a time names, aware UTC; None for `all`.

    Args:
        text: what was given.
        now: the present, aware.
        zone: the zone of calendar days and of times without an offset; None = local.
        option: the option's name, for the message.

    Raises:
        click.BadParameter: `text` is none of these.
    """
    word = text.strip().lower()
    if word == "all":
        return None
    try:
        return _named(word, now, zone) or _rolling(word, now) or _dated(text.strip(), zone)
    except (ValueError, OverflowError, OSError) as error:
        message = f"'{text}' is no time{nearest(word, _WORDS)}; expected {_EXPECTED}"
        raise click.BadParameter(message, param_hint=f"'{option}'") from error


def _named(word: str, now: datetime, zone: tzinfo | None) -> datetime | None:
    today = now.astimezone(zone).date()
    days = {
        "today": today,
        "yesterday": today - timedelta(days=1),
        "week": today - timedelta(days=today.weekday()),
        "month": today.replace(day=1),
    }
    return _midnight(days[word], zone) if word in days else None


def _rolling(word: str, now: datetime) -> datetime | None:
    match = _ROLLING.fullmatch(word)
    if match is None:
        return None
    seconds = int(match[1]) * _UNITS[match[2]]
    begin = (now - timedelta(seconds=seconds)).astimezone(UTC).replace(second=0, microsecond=0)
    return begin if seconds <= _SHORT else begin.replace(minute=0)


def _dated(text: str, zone: tzinfo | None) -> datetime:
    if len(text) == len("2026-01-31"):
        return _midnight(date.fromisoformat(text), zone)
    time = datetime.fromisoformat(text)
    return (time.replace(tzinfo=zone) if time.tzinfo is None else time).astimezone(UTC)


def _midnight(day: date, zone: tzinfo | None) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
