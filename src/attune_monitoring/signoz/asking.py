"""Questions to SigNoz in the names of semconv.py: a metric, dimension or variable that is not there is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from attune_monitoring import semconv as sc
from attune_monitoring.errors import ConfigError

from . import sql
from .queries import (
    BuilderEnvelope,
    BuilderQuery,
    FieldKey,
    Filter,
    Formula,
    FormulaEnvelope,
    MetricAggregation,
    MetricQuery,
    Order,
    SqlQuery,
    TraceAggregation,
    TraceQuery,
)

__all__ = ["SERVICE", "VARIABLES", "Asking", "combined", "latest", "spans"]

SERVICE = "service.name"
VARIABLES: Mapping[str, str] = {
    "service": SERVICE,
    "workflow": sc.WORKFLOW_NAME,
    "provider": sc.PROVIDER,
    "model": sc.RESPONSE_MODEL,
    "request_model": sc.REQUEST_MODEL,
    "tier": sc.TIER,
    "project": sc.PROJECT,
    "user": sc.USER_ID,
}
"""Name of a variable → the attribute whose values it offers."""
_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_MOST_GROUPS = 20
"""Lines or rows of one panel; the largest are shown."""


class Asking:
    """Asks under the variables of one dashboard.

    Args:
        variables: names of `VARIABLES`.
    """

    def __init__(self, *variables: str) -> None:
        self.variables = variables

    def total(
        self,
        metric: sc.Metric,
        *,
        name: str = "A",
        by: Sequence[str] = (),
        where: str = "",
        step: int | None = None,
        legend: str = "",
    ) -> MetricQuery:
        """Ask for the sum of a counter, or the number of values of a histogram, in each step or in all.

        Args:
            metric: of semconv.
            name: of the query.
            by: dimensions of the metric.
            where: a further condition.
            step: seconds; None leaves it to SigNoz.
            legend: how a line is called; by default by its groups.
        """
        suffix = ".count" if metric.instrument == "histogram" else ""
        aggregation = MetricAggregation(
            metric_name=metric.name + suffix, time_aggregation="increase", space_aggregation="sum", reduce_to="sum"
        )
        return self._metric(metric, aggregation, name, by, where, step, legend)

    def quantile(
        self,
        metric: sc.Metric,
        quantile: Literal["p50", "p95", "p99"],
        *,
        name: str = "A",
        by: Sequence[str] = (),
        where: str = "",
        legend: str = "",
    ) -> MetricQuery:
        """Ask for a percentile of a histogram in each step."""
        if metric.instrument != "histogram":
            raise ConfigError(f"{metric.name} is a {metric.instrument} and has no percentiles")
        aggregation = MetricAggregation(metric_name=f"{metric.name}.bucket", space_aggregation=quantile)
        return self._metric(metric, aggregation, name, by, where, None, legend)

    def quantile_of_all(
        self,
        metric: sc.Metric,
        quantile: Literal["p50", "p95", "p99"],
        *,
        by: Sequence[str] = (),
        where: Mapping[str, Sequence[str]] | None = None,
    ) -> SqlQuery:
        """Ask for a percentile of a histogram over the whole time that is shown.

        Args:
            metric: a histogram of semconv.
            quantile: which.
            by: dimensions; the largest values come first.
            where: dimension → values of which it must have one.
        """
        _check(metric, [*by, *(where or {})])
        conditions = [sql.one_of(key, values) for key, values in (where or {}).items()]
        conditions += [sql.variable(VARIABLES[one], one) for one in self._applying(metric)]
        source = sql.samples(f"{metric.name}.bucket", conditions)
        groups = {key: f"JSONExtractString(labels, {sql.text(key)})" for key in by}
        inner = sql.percentile(source, _QUANTILES[quantile], groups)
        columns = "".join(f"`{key}`, " for key in by)
        order = f" ORDER BY value DESC LIMIT {_MOST_GROUPS}" if by else ""
        return SqlQuery(name="A", query=f"SELECT {columns}value FROM ({inner}) WHERE isFinite(value){order}")

    def since_month_begin(self, metric: sc.Metric, factor: str = "1") -> SqlQuery:
        """Ask for the sum of a counter since the first of the month (UTC), whatever time is shown.

        Args:
            metric: a counter of semconv.
            factor: SQL that the sum is multiplied by.
        """
        conditions = [sql.variable(VARIABLES[one], one) for one in self._applying(metric)]
        begin = f"toUnixTimestamp(toStartOfMonth(toDateTime(intDiv({sql.END}, 1000), 'UTC')), 'UTC') * 1000"
        source = sql.samples(metric.name, conditions, begin)
        return SqlQuery(name="A", query=f"SELECT value * {factor} AS value FROM ({sql.total(source)})")

    def spans(
        self,
        *aggregations: str,
        name: str = "A",
        by: Sequence[str] = (),
        where: str = "",
        legend: str = "",
        titles: Sequence[str] = (),
        all_groups: bool = False,
    ) -> TraceQuery:
        """Ask for aggregations of spans; what sampling dropped is not in them.

        Args:
            aggregations: such as `count()` or `sum(gen_ai.usage.cost)`.
            name: of the query.
            by: attributes.
            where: a condition.
            legend: how a line is called; by default by its groups.
            titles: of the columns of a table, one for each aggregation.
            all_groups: no limit on them; over time, SigNoz' limit drops the spans that lack one of the attributes.
        """
        named = zip(aggregations, titles or [""] * len(aggregations), strict=True)
        return TraceQuery(
            name=name,
            aggregations=tuple(TraceAggregation(expression=one, alias=title) for one, title in named),
            filter=self.span_filter(where),
            group_by=tuple(map(_span_key, by)),
            order=(Order(key=FieldKey(name=aggregations[0]), direction="desc"),) if by else (),
            limit=_MOST_GROUPS if by and not all_groups else 0,
            legend=legend or _legend(by),
        )

    def span_filter(self, where: str = "") -> Filter | None:
        """Return the condition on spans, with those of the variables."""
        return _filter([where, *(f"{VARIABLES[one]} IN ${one}" for one in self.variables)])

    def _metric(
        self,
        metric: sc.Metric,
        aggregation: MetricAggregation,
        name: str,
        by: Sequence[str],
        where: str,
        step: int | None,
        legend: str,
    ) -> MetricQuery:
        _check(metric, by)
        return MetricQuery(
            name=name,
            step_interval=step,
            aggregations=(aggregation,),
            filter=_filter([where, *(f"{VARIABLES[one]} IN ${one}" for one in self._applying(metric))]),
            group_by=tuple(FieldKey(name=key, field_context="attribute", field_data_type="string") for key in by),
            limit=_MOST_GROUPS if by else 0,
            legend=legend or _legend(by),
        )

    def _applying(self, metric: sc.Metric) -> list[str]:
        return [one for one in self.variables if VARIABLES[one] in (SERVICE, *metric.dimensions)]


def combined(
    expression: str, *queries: BuilderQuery, name: str = "F", legend: str = ""
) -> tuple[BuilderEnvelope | FormulaEnvelope, ...]:
    """Return queries of which only arithmetic on them is shown: `combined("A * 100 / B", errors, calls)`."""
    hidden = tuple(BuilderEnvelope(spec=_disabled(query)) for query in queries)
    return (*hidden, FormulaEnvelope(spec=Formula(name=name, expression=expression, legend=legend)))


def latest(asking: Asking, where: str, *columns: str) -> TraceQuery:
    """Return a query for the latest spans that meet a condition, with these attributes."""
    return TraceQuery(
        name="A",
        filter=asking.span_filter(where),
        select_fields=tuple(map(_span_key, columns)),
        order=(Order(key=FieldKey(name="timestamp"), direction="desc"),),
        limit=50,
    )


def spans(*operations: str) -> str:
    """Return the condition that a span is one of these operations."""
    return f"{sc.OPERATION} IN ({', '.join(repr(one) for one in operations)})"


def _disabled(query: BuilderQuery) -> BuilderQuery:
    return msgspec.structs.replace(query, disabled=True)


def _check(metric: sc.Metric, dimensions: Sequence[str]) -> None:
    if metric not in sc.METRICS:
        raise ConfigError(f"{metric.name} is no metric of semconv")
    for key in dimensions:
        if key not in (SERVICE, *metric.dimensions):
            raise ConfigError(f"{metric.name} has no dimension {key!r}; it has {', '.join(metric.dimensions)}")


def _filter(conditions: Sequence[str]) -> Filter | None:
    found = [condition if " OR " not in condition else f"({condition})" for condition in conditions if condition]
    return Filter(expression=" AND ".join(found)) if found else None


def _legend(by: Sequence[str]) -> str:
    return " ".join(f"{{{{{key}}}}}" for key in by)


def _span_key(name: str) -> FieldKey:
    if name == SERVICE:
        return FieldKey(name=name, field_context="resource", field_data_type="string")
    if name in ("name", "duration_nano", "status_code_string", "has_error", "timestamp", "trace_id"):
        return FieldKey(name=name, field_context="span")
    numeric = name in (sc.COST, sc.INPUT_TOKENS, sc.OUTPUT_TOKENS, sc.TIME_TO_FIRST_CHUNK)
    return FieldKey(name=name, field_context="attribute", field_data_type="float64" if numeric else "string")
