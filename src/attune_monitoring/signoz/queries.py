"""What panels and rules of SigNoz ask: the query builder, formulas, ClickHouse SQL and PromQL (query range v5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from .wire import Wire

__all__ = [
    "BuilderEnvelope",
    "BuilderQuery",
    "Envelope",
    "FieldKey",
    "Filter",
    "Formula",
    "FormulaEnvelope",
    "Having",
    "LogQuery",
    "MetricAggregation",
    "MetricQuery",
    "Order",
    "PromEnvelope",
    "PromQuery",
    "SqlEnvelope",
    "SqlQuery",
    "TraceAggregation",
    "TraceQuery",
    "problems_of_queries",
]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?!\w|\()")


class FieldKey(Wire, frozen=True):
    """An attribute or a field of a span, a log line or a metric."""

    name: str
    field_context: Literal["metric", "log", "span", "trace", "resource", "attribute", "body", ""] = ""
    field_data_type: Literal["string", "bool", "float64", "int64", "number", ""] = ""
    signal: Literal["traces", "logs", "metrics", ""] = ""
    unit: str = ""
    description: str = ""


class Filter(Wire, frozen=True):
    """A condition, as it is typed into the search box."""

    expression: str


class Having(Wire, frozen=True):
    """A condition on what was aggregated."""

    expression: str


class Order(Wire, frozen=True):
    """By what an answer is sorted."""

    key: FieldKey
    direction: Literal["asc", "desc"]


class MetricAggregation(Wire, frozen=True):
    """How the samples of a metric become one value: over time, over series, and over the steps of a single number."""

    metric_name: str
    space_aggregation: Literal["sum", "avg", "min", "max", "count", "p50", "p75", "p90", "p95", "p99"]
    """Without a default, so that it is always written: SigNoz has none."""
    time_aggregation: Literal[
        "latest", "sum", "avg", "min", "max", "count", "count_distinct", "rate", "increase", ""
    ] = ""
    temporality: Literal["delta", "cumulative", "unspecified", ""] = ""
    reduce_to: Literal["sum", "count", "avg", "min", "max", "last", "median"] | None = None


class TraceAggregation(Wire, frozen=True):
    """An aggregation of spans or log lines, such as `p95(duration_nano)`."""

    expression: str
    alias: str = ""


class _Builder(Wire, frozen=True):
    name: str
    step_interval: int | str | None = None
    disabled: bool = False
    filter: Filter | None = None
    group_by: tuple[FieldKey, ...] = ()
    order: tuple[Order, ...] = ()
    select_fields: tuple[FieldKey, ...] = ()
    limit: int = 0
    offset: int = 0
    having: Having | None = None
    legend: str = ""


class MetricQuery(_Builder, frozen=True, kw_only=True, tag_field="signal", tag="metrics"):
    """A query of the builder about metrics."""

    aggregations: tuple[MetricAggregation, ...]


class TraceQuery(_Builder, frozen=True, kw_only=True, tag_field="signal", tag="traces"):
    """A query of the builder about spans; without aggregations it lists them."""

    aggregations: tuple[TraceAggregation, ...] = ()


class LogQuery(_Builder, frozen=True, kw_only=True, tag_field="signal", tag="logs"):
    """A query of the builder about log lines; without aggregations it lists them."""

    aggregations: tuple[TraceAggregation, ...] = ()


BuilderQuery: TypeAlias = MetricQuery | TraceQuery | LogQuery


class Formula(Wire, frozen=True):
    """Arithmetic on the answers of other queries of the same panel, by their names."""

    name: str
    expression: str
    disabled: bool = False
    legend: str = ""
    limit: int = 0
    order: tuple[Order, ...] = ()
    having: Having | None = None


class SqlQuery(Wire, frozen=True):
    """ClickHouse SQL."""

    name: str
    query: str
    legend: str = ""
    disabled: bool = False


class PromQuery(Wire, frozen=True):
    """PromQL; it sees cumulative metrics only."""

    name: str
    query: str
    legend: str = ""
    disabled: bool = False
    stats: bool = False
    step: int | str | None = None


class BuilderEnvelope(Wire, frozen=True, tag_field="type", tag="builder_query"):
    """A query of the builder among several."""

    spec: BuilderQuery


class FormulaEnvelope(Wire, frozen=True, tag_field="type", tag="builder_formula"):
    """A formula among several queries."""

    spec: Formula


class SqlEnvelope(Wire, frozen=True, tag_field="type", tag="clickhouse_sql"):
    """ClickHouse SQL among several queries."""

    spec: SqlQuery


class PromEnvelope(Wire, frozen=True, tag_field="type", tag="promql"):
    """PromQL among several queries."""

    spec: PromQuery


Envelope: TypeAlias = BuilderEnvelope | FormulaEnvelope | SqlEnvelope | PromEnvelope


def problems_of_queries(queries: Iterable[Envelope], *, listing: bool = False) -> Iterator[str]:
    """Yield what SigNoz would refuse or answer with nothing in queries that stand together.

    Args:
        queries: of one panel or rule.
        listing: whether single spans or lines are shown, which takes no aggregations.
    """
    found = list(queries)
    if not found:
        yield "there is no query"
    names = [one.spec.name for one in found]
    for name in names:
        if not _NAME.fullmatch(name):
            yield f"a query is named by a letter and letters, digits or _, not {name!r}"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"two queries are named {name!r}"
    if found and all(one.spec.disabled for one in found):
        yield "every query is disabled, so nothing is shown"
    for one in found:
        spec = one.spec
        if isinstance(spec, (MetricQuery, TraceQuery, LogQuery)):
            yield from _problems_of_builder(spec, listing)
        elif isinstance(spec, Formula):
            unknown = sorted(set(_REFERENCE.findall(spec.expression)) - (set(names) - {spec.name}))
            if unknown:
                yield f"formula {spec.name!r} names {', '.join(unknown)}, which is no query of this panel"
        elif not spec.query.strip():
            yield f"query {spec.name!r} is empty"


def _problems_of_builder(query: BuilderQuery, listing: bool) -> Iterator[str]:
    if listing is bool(query.aggregations):
        yield f"query {query.name!r}: {'a list takes no aggregations' if listing else 'an aggregation is missing'}"
    if isinstance(query, MetricQuery) and any(not one.metric_name for one in query.aggregations):
        yield f"query {query.name!r}: an aggregation names no metric"
    if not isinstance(query, MetricQuery) and any(not one.expression for one in query.aggregations):
        yield f"query {query.name!r}: an aggregation is empty"
    if query.limit < 0 or query.offset < 0:
        yield f"query {query.name!r}: limit and offset are not negative"
    if any(not key.name for key in (*query.group_by, *query.select_fields)):
        yield f"query {query.name!r}: a field has no name"
