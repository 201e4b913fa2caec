"""Exact values over a window as ClickHouse SQL: sums and percentiles of delta metrics, where the builder has none.

The builder reckons a percentile for each step and then joins those; here it is that of the whole window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = [
    "END",
    "START",
    "equals",
    "number",
    "one_of",
    "percentile",
    "samples",
    "samples_at",
    "text",
    "total",
    "variable",
]

START = "$start_timestamp_ms"
END = "$end_timestamp_ms"

_SAMPLES = "signoz_metrics.distributed_samples_v4"
_SERIES = "signoz_metrics.distributed_time_series_v4"


def text(value: str) -> str:
    """Return a text as a literal; `$` and braces, which SigNoz would fill in, are written by their codes."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    for character in "${}[]":
        escaped = escaped.replace(character, f"\\x{ord(character):02x}")
    return f"'{escaped}'"


def number(value: float) -> str:
    """Return a number as a literal."""
    return repr(float(value))


def one_of(dimension: str, values: Sequence[str], *, negated: bool = False) -> str:
    """Return the condition that a dimension has one of these values, or none of them."""
    listed = ", ".join(map(text, values))
    return f"JSONExtractString(labels, {text(dimension)}) {'NOT ' if negated else ''}IN ({listed})"


def equals(dimension: str, value: str) -> str:
    """Return the condition that a dimension has that value."""
    return one_of(dimension, [value])


def variable(dimension: str, name: str) -> str:
    """Return the condition that a dimension has a value that a variable of the dashboard allows."""
    return f"(JSONExtractString(labels, {text(dimension)}) IN ${name} OR '__all__' IN ${name})"


def samples(metric: str, where: Sequence[str], begin: str = START, end: str = END) -> str:
    """Return the FROM of a metric's samples in a window, each with the labels of its series.

    Args:
        metric: as SigNoz stores it: a histogram's parts are `X.bucket`, `X.count`, `X.sum`.
        where: conditions on labels.
        begin: milliseconds since the epoch, included.
        end: milliseconds since the epoch, not included.
    """
    return _labelled(f"(SELECT fingerprint, value FROM {_between(metric, begin, end)})", metric, where)


def samples_at(metric: str, where: Sequence[str], moments: str, begin: str, oldest: str) -> str:
    """Return the FROM of a metric's samples in several windows, each sample once for each `moment` whose window has it.

    Args:
        metric: as SigNoz stores it.
        where: conditions on labels.
        moments: array of the ends of the windows, in milliseconds since the epoch.
        begin: when the window that ends at `moment` begins.
        oldest: before which no window begins.
    """
    found = (
        f"(SELECT moment, fingerprint, value FROM (SELECT fingerprint, unix_milli, value FROM"
        f" {_between(metric, oldest, END)}) ARRAY JOIN {moments} AS moment"
        f" WHERE unix_milli >= {begin} AND unix_milli < moment)"
    )
    return _labelled(found, metric, where)


def _between(metric: str, begin: str, end: str) -> str:
    return f"{_SAMPLES} WHERE metric_name = {text(metric)} AND unix_milli >= {begin} AND unix_milli < {end}"


def _labelled(found: str, metric: str, where: Sequence[str]) -> str:
    conditions = "".join(f" AND {condition}" for condition in where)
    return (
        f"{found} AS samples INNER JOIN (SELECT fingerprint, any(labels) AS labels FROM {_SERIES}"
        f" WHERE metric_name = {text(metric)} GROUP BY fingerprint) AS series"
        f" ON samples.fingerprint = series.fingerprint WHERE 1{conditions}"
    )


def total(source: str, groups: Mapping[str, str] | None = None, aggregate: str = "sum") -> str:
    """Return a query for the sum of samples as `value`, by groups.

    Args:
        source: what `samples` returned.
        groups: name of a column → its expression.
        aggregate: sum, min or max.
    """
    return f"SELECT {_columns(groups)}{aggregate}(samples.value) AS value FROM {source}{_grouped(groups)}"


def percentile(source: str, quantile: float, groups: Mapping[str, str] | None = None) -> str:
    """Return a query for a percentile of a histogram as `value`, by groups.

    Args:
        source: what `samples` returned for the histogram's `.bucket`, whose counts include those of smaller buckets.
        quantile: 0 to 1.
        groups: name of a column → its expression.
    """
    names = {name: f"`{name}`" for name in groups or {}}
    buckets = (
        f"SELECT {_columns(groups)}toFloat64(JSONExtractString(labels, 'le')) AS bound, sum(samples.value) AS amount"
        f" FROM {source} GROUP BY {''.join(f'`{name}`, ' for name in groups or {})}bound"
    )
    return (
        f"SELECT {_columns(names)}arraySort(groupArray((bound, amount))) AS buckets,"
        f" histogramQuantile(buckets.1, buckets.2, {quantile:g}) AS value FROM ({buckets}){_grouped(groups)}"
        " HAVING notEmpty(buckets)"
    )


def _columns(groups: Mapping[str, str] | None) -> str:
    return "".join(f"{expression} AS `{name}`, " for name, expression in (groups or {}).items())


def _grouped(groups: Mapping[str, str] | None) -> str:
    return f" GROUP BY {', '.join(f'`{name}`' for name in groups)}" if groups else ""
