"""What can be asked: one metric over one window, aggregated, filtered and grouped; and who can answer."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Literal, NamedTuple, Protocol, get_args, runtime_checkable
from zoneinfo import ZoneInfo

import msgspec

from attune_monitoring import semconv as sc
from attune_monitoring.errors import SourceError

__all__ = [
    "AGGREGATIONS",
    "MINUTES_FOR",
    "Aggregation",
    "Answer",
    "Filter",
    "HourlySource",
    "Query",
    "Source",
    "Window",
    "dimensions_of",
    "metric_of",
]

Aggregation = Literal["sum", "count", "avg", "min", "max", "p50", "p95", "p99", "rate", "ratio"]
AGGREGATIONS: tuple[str, ...] = get_args(Aggregation)
_OF_COUNTERS = ("sum", "rate", "ratio")
_OF_HISTOGRAMS = ("sum", "count", "avg", "min", "max", "p50", "p95", "p99", "rate", "ratio")
_METRICS = {metric.name: metric for metric in sc.METRICS if metric.name.startswith("attune.")}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
MINUTES_FOR = 48 * 3600
"""Rolling windows up to this long begin at a full minute, longer ones at a full hour."""


class Window(msgspec.Struct, frozen=True):
    """A stretch of time that ends now: rolling, or what has passed of a calendar day, week or month.

    Args:
        seconds: length of a rolling window; 0 for a calendar window.
        calendar: day, week (from Monday) or month.
        time_zone: IANA name for a calendar window; None is the local one.
        back: whole windows back: 1 is yesterday for a calendar day, the 24 hours before the last for 24 hours.
    """

    seconds: int = 0
    calendar: Literal["day", "week", "month"] | None = None
    time_zone: str | None = None
    back: int = 0

    @classmethod
    def of(cls, text: str) -> Window:
        """Return the window that a text names: `5m`, `24h`, `7d`, or `today`, `day`, `week`, `month`.

        Raises:
            SourceError: it names none.
        """
        if text in ("today", "day", "week", "month"):
            return cls(calendar="day" if text == "today" else text)  # type: ignore[arg-type]
        match = re.fullmatch(r"([0-9]{1,6})([smhdw])", text)
        if match is None or int(match[1]) == 0:
            raise SourceError(f"no window: {text[:40]!r}; write 5m, 24h, 7d, or today, week, month")
        return cls(seconds=int(match[1]) * _UNITS[match[2]])

    def bounds(self, now: datetime) -> tuple[datetime, datetime]:
        """Return beginning (included) and end (not included), aware, in UTC.

        Args:
            now: an aware time.

        Raises:
            SourceError: there is no such time zone, or no such time.
        """
        zone = _zone(self.time_zone)
        try:
            return self._bounds(now, zone)
        except (ValueError, OverflowError) as error:
            raise SourceError("the window begins before the year 1; ask for a shorter one") from error

    def _bounds(self, now: datetime, zone: tzinfo | None) -> tuple[datetime, datetime]:
        if self.calendar is None:
            end = now - timedelta(seconds=self.seconds * self.back)
            start = end - timedelta(seconds=self.seconds)
            if self.back:
                end = _full(end, self.seconds)
            return _full(start, self.seconds), end.astimezone(UTC)
        local = now.astimezone(zone)
        begins = [_begin(local, self.calendar, self.back, zone), _begin(local, self.calendar, self.back - 1, zone)]
        return begins[0].astimezone(UTC), (begins[1] if self.back else now).astimezone(UTC)


def _full(moment: datetime, length: int) -> datetime:
    step = 60 if length <= MINUTES_FOR else 3600
    return datetime.fromtimestamp(moment.timestamp() // step * step, UTC)


def _zone(name: str | None) -> tzinfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise SourceError(f"no time zone: {name[:60]!r}; write one like Europe/Berlin or UTC") from error


def _begin(local: datetime, calendar: str, back: int, zone: tzinfo | None) -> datetime:
    day = local.date()
    if calendar == "day":
        day -= timedelta(days=back)
    elif calendar == "week":
        day -= timedelta(days=day.weekday() + 7 * back)
    else:
        months = day.year * 12 + day.month - 1 - back
        day = day.replace(year=months // 12, month=months % 12 + 1, day=1)
    midnight = datetime.combine(day, time(), zone)
    return midnight if zone is not None else midnight.astimezone()


class Filter(msgspec.Struct, frozen=True):
    """A condition on one dimension: its value is one of these, or none of these where `negated`."""

    dimension: str
    values: tuple[str, ...]
    negated: bool = False

    def holds(self, value: str) -> bool:
        """Whether a value of the dimension meets it; a dimension that is not there is the empty text."""
        return (value in self.values) is not self.negated


class Query(msgspec.Struct, frozen=True):
    """One question.

    Args:
        metric: name of an `attune.*` metric as the SDK exports it.
        window: over what time.
        aggregation: counters know sum, rate (a second) and ratio; histograms (seconds) also count, avg, min, max and
            percentiles, and their rate and ratio are of the number of values. `ratio` divides by the sum of `divisor`.
        filters: conditions that must all hold.
        group_by: dimensions; one answer for each combination of values that occurs.
        divisor: for `ratio`: what to divide by; its groups must be among those of this query.

    Raises:
        SourceError: from `check`: what is asked for does not exist.
    """

    metric: str
    window: Window
    aggregation: Aggregation = "sum"
    filters: tuple[Filter, ...] = ()
    group_by: tuple[str, ...] = ()
    divisor: Query | None = None

    def check(self) -> None:
        """Raise SourceError, with the nearest name that exists, where the question makes no sense."""
        metric = metric_of(self.metric)
        allowed = _OF_HISTOGRAMS if metric.instrument == "histogram" else _OF_COUNTERS
        if self.aggregation not in allowed:
            raise SourceError(f"{self.metric} is a {metric.instrument}: ask for {', '.join(allowed)}")
        known = dimensions_of(self.metric)
        for name in (*self.group_by, *(condition.dimension for condition in self.filters)):
            if name not in known:
                raise SourceError(
                    f"{self.metric} has no dimension {name!r}{_nearest(name, known)}; it has {', '.join(known)}"
                )
        if (self.aggregation == "ratio") is (self.divisor is None):
            raise SourceError("a ratio needs a divisor, and nothing else has one")
        if self.divisor is not None:
            self.divisor.check()
            if self.divisor.divisor is not None or not set(self.divisor.group_by) <= set(self.group_by):
                raise SourceError("a divisor is a plain query, grouped by nothing that the ratio is not grouped by")


class Answer(NamedTuple):
    """One value for one combination of dimension values."""

    labels: Mapping[str, str]
    value: float | None
    """None: no data, which is not zero."""
    samples: int
    """Records (calls, runs or stages) that the value was made from."""


class Source(Protocol):
    """Who can answer queries: the local folder, the running process, SigNoz, Prometheus."""

    name: str

    def changed(self) -> bool:
        """Take in what is new; return whether there was anything."""
        ...

    def answer(self, queries: Sequence[Query], now: datetime) -> list[list[Answer]]:
        """Return the answers to each query, in the order of the labels; a query without data has none.

        Raises:
            SourceError: a query makes no sense, or the source cannot be asked.
        """
        ...


@runtime_checkable
class HourlySource(Source, Protocol):
    """A source that knows its history by the hour, which anomalies and forecasts are made from."""

    def hourly(self, query: Query, start: float, end: float) -> dict[tuple[str, ...], dict[int, float]]:
        """Return the sums of a counter by group (values of `group_by`) and beginning of the hour.

        Hours without records are missing.

        Args:
            query: metric, filters and groups; its window and aggregation are not looked at.
            start: beginning of an hour (seconds since the epoch).
            end: without this; at most now.

        Raises:
            SourceError: there are no sums by the hour of that.
        """
        ...


def metric_of(name: str) -> sc.Metric:
    """Return the metric of that name.

    Raises:
        SourceError: there is none.
    """
    metric = _METRICS.get(name)
    if metric is None:
        raise SourceError(f"no metric {name!r}{_nearest(name, _METRICS)}")
    return metric


def dimensions_of(name: str) -> tuple[str, ...]:
    """Return the dimensions of a metric."""
    return metric_of(name).dimensions


def _nearest(name: str, names: Sequence[str] | Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, list(names), 1, 0.5)
    return f" (did you mean {close[0]}?)" if close else ""
