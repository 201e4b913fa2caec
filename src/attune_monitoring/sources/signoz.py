"""Answers queries from SigNoz: ClickHouse SQL over its metric tables, asked through its query API.

The query builder would cut a window into steps that begin where it pleases, and give percentiles by step only; SQL
takes the window as it is and gives the buckets. Values of dimensions are written in hexadecimal, so that neither SQL
nor SigNoz's own variables (`$name`, `{{.name}}`) see anything in them.
"""

from __future__ import annotations

import math
import string
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from attune_monitoring import semconv as sc
from attune_monitoring.errors import SourceError
from attune_monitoring.query import Answer, Query, metric_of

from .exported import HOUR, OTHER, Found, Histogram, Hours, Look, add_to_hour, answers_of, hourly_look
from .http import Server

__all__ = ["SigNozSource"]

_TOGETHER: Final = 20
"""Queries of one request."""
_GAP_MS: Final = 3_600_000
"""How far before a window the last value of a cumulative series is looked for."""
_LISTED_MS: Final = 86_400_000
"""How far before a window its series may have been listed: SigNoz lists each at least once an hour."""
_BUCKET, _SUM, _MIN, _MAX = ".bucket", ".sum", ".min", ".max"
_NOT_SIGNOZ: Final = "the answer is none of SigNoz's query API v5; is it recent enough?"


class SigNozSource:
    """SigNoz as a source.

    Args:
        url: its address, such as `http://localhost:8080`.
        key: an API key; not needed where SigNoz asks for no login.
        server: who is asked, where there is one already.

    Raises:
        SourceError: the address is none.
    """

    name = "signoz"

    def __init__(self, url: str, key: str = "", *, server: Server | None = None) -> None:
        headers = {"SIGNOZ-API-KEY": key} if key else {}
        self._server = server if server is not None else Server(url, "SigNoz", headers=headers)

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    def changed(self) -> bool:
        """Begin anew after a failure; there may always be something new."""
        self._server.forget()
        return True

    def answer(self, queries: Sequence[Query], now: datetime) -> list[list[Answer]]:
        """Return the answers to each query.

        Args:
            queries: what to answer.
            now: an aware time at which the windows end.

        Raises:
            SourceError: a query makes no sense, or SigNoz cannot be asked.
        """
        for query in queries:
            query.check()
        return answers_of(queries, now, self._fetch)

    def hourly(self, query: Query, start: float, end: float) -> Hours:
        """Return the sums of a counter by group and beginning of the hour; see `query.HourlySource`.

        Raises:
            SourceError: it is no counter, or SigNoz cannot be asked.
        """
        look = hourly_look(query, start, end)
        found: Hours = {}
        for hour, *labels, other, value in self._ask([look], [_hourly_sql(look)]):
            if len(labels) != len(look.group_by) or not hour.isdecimal():
                raise SourceError(_NOT_SIGNOZ)
            add_to_hour(found, (OTHER,) * len(labels) if other else tuple(labels), int(hour), value)
        return found

    def _fetch(self, looks: Sequence[Look]) -> Mapping[Look, Found]:
        found: dict[Look, Found] = {}
        for begin in range(0, len(looks), _TOGETHER):
            some = looks[begin : begin + _TOGETHER]
            rows = list(self._ask(some, [_sql(look, place) for place, look in enumerate(some)]))
            for place, look in enumerate(some):
                found[look] = _found(look, [row[1:] for row in rows if row[0] == str(place)])
        return found

    def _ask(self, looks: Sequence[Look], statements: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield the rows that statements about these looks select, in no order: texts, and a number at the end."""
        reply = self._server.ask(
            "/api/v5/query_range",
            json={
                "schemaVersion": "v1",
                "start": math.floor(min(look.start for look in looks) * 1000),
                "end": math.ceil(max(look.end for look in looks) * 1000),
                "requestType": "scalar",
                "compositeQuery": {
                    "queries": [
                        {"type": "clickhouse_sql", "spec": {"name": name, "query": statement}}
                        for name, statement in zip(string.ascii_uppercase, statements, strict=False)
                    ]
                },
                "variables": {},
                "noCache": True,
            },
        )
        try:
            for result in reply["data"]["data"]["results"] or ():
                for row in result["data"] or ():
                    *labels, value = row
                    yield (*map(str, labels), float(value))
        except (KeyError, TypeError, ValueError) as error:
            raise SourceError(_NOT_SIGNOZ) from error


def _found(look: Look, rows: Sequence[tuple[Any, ...]]) -> Found:
    names = len(look.group_by)
    parts: dict[tuple[str, ...], dict[tuple[str, str], float]] = {}
    for metric, *labels, other, bound, value in rows:
        if len(labels) != names:
            raise SourceError(_NOT_SIGNOZ)
        key = (OTHER,) * names if other else tuple(labels)
        part = parts.setdefault(key, {})
        place = (metric, bound)
        # Only series beyond the limit meet here: they may differ in what they are grouped by.
        part[place] = part.get(place, 0.0) + value
    if metric_of(look.metric).instrument == "counter":
        return {key: sum(part.values()) for key, part in parts.items()}
    return {
        key: Histogram(
            {float(bound): value for (metric, bound), value in part.items() if metric == look.metric + _BUCKET},
            part.get((look.metric + _SUM, ""), 0.0),
            part.get((look.metric + _MIN, "")),
            part.get((look.metric + _MAX, "")),
        )
        for key, part in parts.items()
    }


def _sql(look: Look, place: int) -> str:
    """Return what asks for a look: its place, metric, values of dimensions, overflow, bound of a bucket, value.

    A delta series adds up; of a cumulative one it is the last value less the last before the window, or less nothing.
    """
    start, end = math.floor(look.start * 1000), math.ceil(look.end * 1000)
    suffixes = ("",) if metric_of(look.metric).instrument == "counter" else (_BUCKET, _SUM, _MIN, _MAX)
    metrics = ", ".join(_text(look.metric + suffix) for suffix in suffixes)
    groups, by = _groups(look)
    return f"""
SELECT '{place}' AS look, s.metric AS metric, {groups}
  {_attribute(sc.OVERFLOW)} AS other, {_attribute("le")} AS bound,
  toFloat64(multiIf(endsWith(s.metric, '{_MIN}'), min(s.low), endsWith(s.metric, '{_MAX}'), max(s.high), sum(s.gained)))
    AS value
FROM (
  SELECT metric_name AS metric, fingerprint,
    if(temporality = 'Delta', sumIf(value, unix_milli >= {start}),
      argMaxIf(value, unix_milli, unix_milli >= {start}) - argMaxIf(value, unix_milli, unix_milli < {start})) AS gained,
    minIf(value, unix_milli >= {start}) AS low, maxIf(value, unix_milli >= {start}) AS high
  FROM signoz_metrics.distributed_samples_v4
  WHERE metric_name IN ({metrics}) AND unix_milli >= {start - _GAP_MS} AND unix_milli < {end}
  GROUP BY metric_name, temporality, fingerprint
  HAVING countIf(unix_milli >= {start}) > 0
) AS s INNER JOIN {_series(metrics, start, end)} ON s.metric = t.metric AND s.fingerprint = t.fingerprint
WHERE {_conditions(look)}
GROUP BY s.metric, {by}other, bound
""".strip()


def _hourly_sql(look: Look) -> str:
    """Return what asks for the sums of a counter by the hour: its beginning, values of dimensions, overflow, value.

    Of a cumulative series an hour has its last value less that of the hour before, or less nothing where the series is
    new or has begun anew.
    """
    start, end = math.floor(look.start * 1000), math.ceil(look.end * 1000)
    groups, by = _groups(look)
    metrics = _text(look.metric)
    return f"""
SELECT toString(s.hour * {HOUR}) AS hour, {groups}
  {_attribute(sc.OVERFLOW)} AS other, toFloat64(sum(s.gained)) AS value
FROM (
  SELECT metric, fingerprint, hour, if(temporality = 'Delta', total, if(last < before, last, last - before)) AS gained
  FROM (
    SELECT metric, temporality, fingerprint, hour, total, last, lagInFrame(last, 1, 0.) OVER (
      PARTITION BY temporality, fingerprint ORDER BY hour ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS before
    FROM (
      SELECT metric_name AS metric, temporality, fingerprint, intDiv(unix_milli, {HOUR * 1000}) AS hour,
        sum(value) AS total, argMax(value, unix_milli) AS last
      FROM signoz_metrics.distributed_samples_v4
      WHERE metric_name IN ({metrics}) AND unix_milli >= {start - _GAP_MS} AND unix_milli < {end}
      GROUP BY metric_name, temporality, fingerprint, hour
    )
  )
  WHERE hour >= {start // (HOUR * 1000)}
) AS s INNER JOIN {_series(metrics, start, end)} ON s.metric = t.metric AND s.fingerprint = t.fingerprint
WHERE {_conditions(look)}
GROUP BY s.hour, {by}other
""".strip()


def _groups(look: Look) -> tuple[str, str]:
    """Return the columns of the dimensions, and their names to group by."""
    columns = "".join(f"{_attribute(name)} AS g{number}, " for number, name in enumerate(look.group_by))
    return columns, "".join(f"g{number}, " for number in range(len(look.group_by)))


def _series(metrics: str, start: int, end: int) -> str:
    """Return the table `t` of the labels of the series of metrics."""
    return f"""(
  SELECT metric_name AS metric, fingerprint, any(labels) AS labels
  FROM signoz_metrics.distributed_time_series_v4
  WHERE metric_name IN ({metrics}) AND unix_milli >= {start - _LISTED_MS} AND unix_milli < {end}
  GROUP BY metric_name, fingerprint
) AS t"""


def _conditions(look: Look) -> str:
    conditions = [
        f"{_attribute(one.dimension)} {'NOT ' if one.negated else ''}IN ({', '.join(map(_text, one.values))})"
        for one in look.filters
    ]
    return " AND ".join(conditions) or "1 = 1"


def _attribute(name: str) -> str:
    return f"JSONExtractString(t.labels, {_text(name)})"


def _text(value: str) -> str:
    """Return a literal of ClickHouse without any character that could end it, or be a variable of SigNoz."""
    plain = (string.ascii_letters + string.digits + "._").encode()
    data = value.encode("utf-8", "replace")
    return "'" + "".join(chr(byte) if byte in plain else f"\\x{byte:02x}" for byte in data) + "'"
