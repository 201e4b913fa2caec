"""Answers queries from Prometheus, or from whatever speaks its HTTP API: Mimir, Thanos, VictoriaMetrics, Grafana Cloud.

What a counter has gained in a window is, series by series, its last value in it less its last value before it, or less
nothing where the series is new. PromQL's `increase` and `rate` lose the first sample, so a job that spent 5 USD and
ended counts 0 there. Where a series has begun anew at zero, its samples say how much was counted before.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from attune_monitoring import semconv as sc
from attune_monitoring.errors import SourceError
from attune_monitoring.query import Answer, Filter, Query, metric_of

from .exported import HOUR, OTHER, Found, Histogram, Hours, Look, add_to_hour, answers_of, hourly_look
from .http import Server

__all__ = ["PrometheusSource", "names_of"]

_GAP: Final = 3600
"""Seconds before a window in which the last value before it is looked for: so long a scraper may have been away."""
_UNITS: Final = {"s": "seconds", "USD": "USD"}
_TOGETHER: Final = 10
"""Looks of one request."""
_NOT_PROMETHEUS: Final = "the answer is none of Prometheus; is this its address?"
_BUCKET, _PLACE, _PART = "le", "attune_place", "attune_part"

_Sums = dict[tuple[str, ...], dict[str, float]]
"""By values of `group_by` and upper bound of a bucket."""


class PrometheusSource:
    """Prometheus as a source.

    Args:
        url: its address, such as `http://localhost:9090`; with a path where the API is below one.
        key: sent as `Authorization: Bearer`; user and password stand in the address instead.
        server: who is asked, where there is one already.

    Raises:
        SourceError: the address is none.
    """

    name = "prometheus"

    def __init__(self, url: str, key: str = "", *, server: Server | None = None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._server = server if server is not None else Server(url, "Prometheus", headers=headers)

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
            SourceError: a query makes no sense or asks for what Prometheus does not keep, or it cannot be asked.
        """
        for query in queries:
            query.check()
            if query.aggregation in ("min", "max"):
                raise SourceError(f"Prometheus keeps no {query.aggregation} of {query.metric}; ask for p50 or p99")
        return answers_of(queries, now, self._fetch)

    def hourly(self, query: Query, start: float, end: float) -> Hours:
        """Return the sums of a counter by group and beginning of the hour; see `query.HourlySource`.

        Raises:
            SourceError: it is no counter, or Prometheus cannot be asked.
        """
        begun = int(end) // HOUR * HOUR
        found: Hours = {}
        whole, rest = (hourly_look(query, *span) for span in ((start, begun), (begun, end)))
        if whole.end > whole.start:
            for labels, hour, value in self._by_hour(_Asked(whole, "")):
                add_to_hour(found, labels, hour, value)
        if rest.end > rest.start:
            for labels, gained in self._fetch([rest])[rest].items():
                add_to_hour(found, labels, begun, gained)
        return found

    def _by_hour(self, asked: _Asked) -> Iterator[tuple[tuple[str, ...], int, float]]:
        """Yield what series have gained in each whole hour of a look, in parts that add up.

        Two requests; one more for each hour in which some have begun anew, which is when a program was restarted.
        """
        look = asked.look
        for series in self._range(asked.gained_in(HOUR), look):
            labels = _labels_of(look, series.labels)
            yield from ((labels, int(at) - HOUR, value) for at, value in series.values)
        anew = {at for series in self._range(asked.resets_in(HOUR), look) for at, _ in series.values}
        for at in sorted(anew):
            hour = look._replace(start=at - HOUR, end=at)
            for series in self._query(_Asked(hour, asked.suffix).samples(), at):
                yield _labels_of(look, series.labels), int(at) - HOUR, _before_resets(series.values, hour.start)

    def _fetch(self, looks: Sequence[Look]) -> Mapping[Look, Found]:
        found: dict[Look, Found] = {}
        for begin in range(0, len(looks), _TOGETHER):
            some = looks[begin : begin + _TOGETHER]
            asked = [_Asked(look, suffix) for look in some if look.end > look.start for suffix in _suffixes(look)]
            gained = self._gained(asked) if asked else {}
            for look in some:
                found[look] = _found(*(gained.get(_Asked(look, suffix), {}) for suffix in _suffixes(look)))
        return found

    def _gained(self, asked: Sequence[_Asked]) -> dict[_Asked, _Sums]:
        """Return what the series have gained, in one request; where some have begun anew, in one more for each."""
        gained: dict[_Asked, _Sums] = {one: {} for one in asked}
        told = [
            _marked(text, place, part)
            for place, one in enumerate(asked)
            for part, text in (
                ("gained", one.gained_in(one.seconds, one.at)),
                ("resets", one.resets_in(one.seconds, one.at)),
            )
        ]
        for series in self._query(" or ".join(told), max(one.look.end for one in asked)):
            labels = dict(series.labels)
            place, part = labels.pop(_PLACE, ""), labels.pop(_PART, "")
            if not place.isdecimal() or int(place) >= len(asked):
                raise SourceError(_NOT_PROMETHEUS)
            one = asked[int(place)]
            if part == "gained":
                _add(gained[one], one.look, labels, series.values[-1][1])
                continue
            for samples in self._query(one.samples(labels), one.look.end):
                _add(gained[one], one.look, labels, _before_resets(samples.values, one.look.start))
        return gained

    def _range(self, expression: str, look: Look) -> Iterator[_Series]:
        """Yield the answer at the end of each hour of a look."""
        times = {"start": f"{look.start + HOUR:.3f}", "end": f"{look.end:.3f}", "step": str(HOUR)}
        return self._ask("/api/v1/query_range", {"query": expression, **times})

    def _query(self, expression: str, at: float) -> Iterator[_Series]:
        return self._ask("/api/v1/query", {"query": expression, "time": f"{at:.3f}"})

    def _ask(self, path: str, question: Mapping[str, str]) -> Iterator[_Series]:
        reply = self._server.ask(path, data=question)
        try:
            for one in reply["data"]["result"]:
                labels = {str(name): str(value) for name, value in one["metric"].items()}
                yield _Series(labels, [(float(t), float(v)) for t, v in one.get("values") or [one["value"]]])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SourceError(_NOT_PROMETHEUS) from error


class _Asked(NamedTuple):
    """The series of one look: a counter's, or one part of a histogram's."""

    look: Look
    suffix: str

    @property
    def seconds(self) -> float:
        return self.look.end - self.look.start

    @property
    def at(self) -> str:
        return f" @ {self.look.end:.3f}"

    def gained_in(self, seconds: float, at: str = "") -> str:
        """Return what series have gained in the seconds before a time, or before each of those that are asked for."""
        window = _duration(seconds)
        last = f"last_over_time({self._selector}[{window}]{at})"
        before = f"last_over_time({self._selector}[{_duration(_GAP)}]{at} offset {window})"
        by = ", ".join(map(_label, (*self.look.group_by, sc.OVERFLOW, _BUCKET)))
        return f"sum by ({by}) (({last} - {before}) or {last})"

    def resets_in(self, seconds: float, at: str = "") -> str:
        """Return the series that have begun anew in the seconds before a time, or since the last value before them."""
        return f"resets({self._selector}[{_duration(seconds + _GAP)}]{at}) > 0"

    def samples(self, labels: Mapping[str, str] | None = None) -> str:
        """Return the samples of one series, by all its labels, or of all that the look is about."""
        exact = None if labels is None else [f"{name}={_text(value)}" for name, value in labels.items()]
        selector = self._selector if exact is None else _selector(self.look.metric, self.suffix, exact)
        return f"{selector}[{_duration(self.seconds + _GAP)}]{self.at}"

    @property
    def _selector(self) -> str:
        return _selector(self.look.metric, self.suffix, map(_matcher, self.look.filters))


def _marked(expression: str, place: int, part: str) -> str:
    """Return the expression with labels that say what it is, so that several fit into one question."""
    inner = f'label_replace({expression}, "{_PART}", "{part}", "", "")'
    return f'label_replace({inner}, "{_PLACE}", "{place}", "", "")'


class _Series(NamedTuple):
    labels: Mapping[str, str]
    values: Sequence[tuple[float, float]]
    """Times (seconds since the epoch) and values; an instant query has one."""


def names_of(metric: str, suffix: str = "") -> tuple[str, ...]:
    """Return the names that exporters give a metric: with unit and `_total`, and without, as some are configured.

    https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/

    Args:
        metric: name as the SDK has it.
        suffix: `_bucket`, `_sum` or `_count` of a histogram.
    """
    known = metric_of(metric)
    unit = _UNITS.get(known.unit, "")
    total = "_total" if known.instrument == "counter" else ""
    plain = _label(metric)
    endings = [f"_{unit}{total}" if unit else total, total, f"_{unit}" if unit else "", ""]
    return tuple(dict.fromkeys(f"{plain}{ending}{suffix}" for ending in endings))


def _suffixes(look: Look) -> tuple[str, ...]:
    return ("",) if metric_of(look.metric).instrument == "counter" else ("_bucket", "_sum")


def _found(counts: _Sums, totals: _Sums | None = None) -> Found:
    if totals is None:
        return {labels: sum(values.values()) for labels, values in counts.items()}
    return {
        labels: Histogram(
            {float(bound): value for bound, value in values.items() if bound}, sum(totals.get(labels, {}).values())
        )
        for labels, values in counts.items()
    }


def _selector(metric: str, suffix: str, matchers: Iterable[str]) -> str:
    names = "|".join(names_of(metric, suffix))
    return "{" + ", ".join([f'__name__=~"{names}"', *matchers]) + "}"


def _matcher(condition: Filter) -> str:
    values = "|".join(map(re.escape, condition.values))
    return f"{_label(condition.dimension)}{'!~' if condition.negated else '=~'}{_text(values)}"


def _add(sums: _Sums, look: Look, labels: Mapping[str, str], value: float) -> None:
    if math.isnan(value):
        return
    buckets = sums.setdefault(_labels_of(look, labels), {})
    bucket = labels.get(_BUCKET, "")
    buckets[bucket] = buckets.get(bucket, 0.0) + value


def _labels_of(look: Look, labels: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of the dimensions that a look is grouped by."""
    other = _label(sc.OVERFLOW) in labels
    return tuple(OTHER if other else labels.get(_label(name), "") for name in look.group_by)


def _before_resets(samples: Sequence[tuple[float, float]], start: float) -> float:
    """Return what a series had counted whenever it began anew since `start`."""
    following = itertools.pairwise(samples)
    return sum(before for (_, before), (at, after) in following if after < before and at > start)


def _label(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9]+", "_", name)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
