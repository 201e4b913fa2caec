"""ClickHouse SQL from the builder's queries, of the same meaning as SigNoz' own.

Modelled is what our dashboards use; anything else is refused, so that no panel passes by being misunderstood. Labels
and attributes that a row lacks group as the empty text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from attune_monitoring.signoz.queries import FieldKey, MetricQuery, TraceQuery
from signoz_filters import Fields, Value, Variables, condition, literal
from signoz_tables import MetricFacts, Warehouse

__all__ = ["Range", "listing_sql", "metric_sql", "span_columns", "trace_sql"]

_SPANS = "signoz_traces.distributed_signoz_index_v3"
_SAMPLES = "signoz_metrics.distributed_samples_v4"
_SERIES = "signoz_metrics.distributed_time_series_v4"
_COLUMNS = {
    "name": "string",
    "kind_string": "string",
    "status_code_string": "string",
    "status_message": "string",
    "trace_id": "string",
    "span_id": "string",
    "parent_span_id": "string",
    "timestamp": "time",
    "duration_nano": "number",
    "has_error": "bool",
}
"""Columns of a span that are no attributes, and what they hold."""
_TYPES = {"string": "string", "float64": "number", "int64": "number", "number": "number", "bool": "bool"}
_AGGREGATION = re.compile(r"(count|sum|avg|min|max|p50|p90|p95|p99)\(([\w.]*)\)")


class Range(NamedTuple):
    """What is shown, in milliseconds since the epoch; the end is not included."""

    start: int
    end: int

    def step(self, asked: int | None, *, of_metric: bool) -> int:
        """Return the seconds of a step: what is asked for, else what makes about three hundred steps."""
        seconds = (self.end - self.start) // 1000
        if of_metric:
            usual = least = self._metric_step(seconds)
        else:
            usual, least = (max(5, seconds // points // 5 * 5) for points in (300, 1500))
        return max(asked or usual, least)

    @staticmethod
    def _metric_step(seconds: int) -> int:
        step = max(60, seconds // 300 // 60 * 60)
        if seconds < 86_400:
            return step
        multiple = 300 if seconds < 7 * 86_400 else 1800
        return int(step / multiple + 0.5) * multiple


def metric_sql(query: MetricQuery, shown: Range, variables: Variables, facts: Mapping[str, MetricFacts]) -> str:
    """Return the query for a metric by step: columns ts, g0 …, value."""
    [aggregation] = query.aggregations
    metric = aggregation.metric_name
    kind = facts[metric]
    if kind.temporality != "Delta":
        raise ValueError(f"{metric} is {kind.temporality}: only delta is modelled")
    step = shown.step(_seconds(query.step_interval), of_metric=True)
    start = shown.start // (step * 1000) * step * 1000
    end = shown.end // (min(step, 60) * 1000) * min(step, 60) * 1000
    groups = {f"g{place}": _label(key.name) for place, key in enumerate(query.group_by)}
    percentile = re.fullmatch(r"p(\d\d)", aggregation.space_aggregation)
    if percentile is not None:
        if kind.type != "Histogram":
            raise ValueError(f"{metric} is no histogram and has no percentiles")
        groups["le"] = _label("le")
    elif (kind.type, aggregation.time_aggregation, aggregation.space_aggregation) != ("Sum", "increase", "sum"):
        raise ValueError(f"{metric}: {aggregation} of a {kind.type} is not modelled")
    where = condition(query.filter.expression, _LABELS, variables) if query.filter else "1"
    names = "".join(f", {name}" for name in groups)
    named = "".join(f", {text} AS {name}" for name, text in groups.items())
    summed = (
        f"SELECT toStartOfInterval(toDateTime(intDiv(unix_milli, 1000)), toIntervalSecond({step})) AS ts{names},"
        f" sum(value){f' / {step}' if percentile else ''} AS value FROM {_SAMPLES} AS points INNER JOIN"
        f" (SELECT fingerprint{named} FROM {_SERIES} WHERE metric_name = {literal(metric)}"
        f" AND unix_milli >= {start // 3_600_000 * 3_600_000} AND unix_milli <= {end} AND temporality ILIKE 'delta'"
        f" AND {where} GROUP BY fingerprint{names}) AS series ON points.fingerprint = series.fingerprint"
        f" WHERE metric_name = {literal(metric)} AND unix_milli >= {start} AND unix_milli < {end} GROUP BY ts{names}"
    )
    if percentile is None:
        return f"{summed} ORDER BY ts"
    shown_groups = names.removesuffix(", le")
    return (
        f"SELECT ts{shown_groups}, histogramQuantile(arrayMap(x -> toFloat64(x), groupArray(le)), groupArray(value),"
        f" 0.{percentile[1]}) AS value FROM ({summed}) GROUP BY ts{shown_groups} ORDER BY ts"
    )


def trace_sql(query: TraceQuery, shown: Range, variables: Variables, warehouse: Warehouse, *, by_step: bool) -> str:
    """Return the query for aggregations of spans: columns ts where it is by step, g0 …, r0 …"""
    fields = span_columns(warehouse)
    groups = [f"toString({_grouped(key, warehouse)}) AS g{place}" for place, key in enumerate(query.group_by)]
    names = [f"g{place}" for place in range(len(groups))]
    results = [f"{_aggregate(one.expression, warehouse)} AS r{place}" for place, one in enumerate(query.aggregations)]
    where = _span_conditions(query, shown, variables, fields)
    order = f" ORDER BY {_order(query)}"
    limit = f" LIMIT {query.limit}" if query.limit else ""
    by = f" GROUP BY {', '.join(names)}" if names else ""
    whole = f"SELECT {', '.join([*groups, *results])} FROM {_SPANS} WHERE {where}{by}{order}{limit}"
    if not by_step:
        return whole
    step = shown.step(_seconds(query.step_interval), of_metric=False)
    columns = [f"toStartOfInterval(timestamp, INTERVAL {step} SECOND) AS ts", *groups, *results]
    largest = f" AND ({', '.join(names)}) IN (SELECT {', '.join(names)} FROM ({whole}))" if names and limit else ""
    # A step counts only for the groups that are largest over all the time that is shown.
    return f"SELECT {', '.join(columns)} FROM {_SPANS} WHERE {where}{largest} GROUP BY {', '.join(['ts', *names])}"


def listing_sql(query: TraceQuery, shown: Range, variables: Variables, warehouse: Warehouse) -> str:
    """Return the query for spans themselves: their ids, and the columns that are asked for."""
    fields = span_columns(warehouse)
    always = {name: FieldKey(name=name, field_context="span") for name in ("timestamp", "trace_id", "span_id")}
    keys = always | {key.name: key for key in query.select_fields if key.name not in always}
    columns = ", ".join(f"{_selected(key, warehouse)} AS `{key.name}`" for key in keys.values())
    if [(one.key.name, one.direction) for one in query.order] != [("timestamp", "desc")]:
        raise ValueError(f"{query.order}: only the latest first is modelled")
    where = _span_conditions(query, shown, variables, fields)
    table = f"{_SPANS} AS spans"
    return f"SELECT {columns} FROM {table} WHERE {where} ORDER BY spans.timestamp DESC LIMIT {query.limit or 100}"


def span_columns(warehouse: Warehouse) -> Fields:
    """Return how a filter finds the fields of spans; a name may stand for an attribute of several types."""

    def compared(name: str, operator: str, value: Value) -> str:
        if name == "duration_nano" and not isinstance(value, (int, float)):
            raise ValueError(f"duration_nano is compared with nanoseconds here, not {value!r}")
        found = []
        for kind, text, has in _places(name, value, warehouse):
            one = f"{_coerced(text, kind, value)} {operator} {_compared_with(kind, value)}"
            negative = operator.startswith(("!", "NOT"))
            found.append(one if negative or has is None else f"({one} AND {has})")
        return "(" + (" AND " if operator.startswith(("!", "NOT")) else " OR ").join(found) + ")"

    def exists(name: str) -> str:
        found = [has or _present(name, kind) for kind, _, has in _places(name, "", warehouse)]
        return "(" + " OR ".join(found) + ")"

    return Fields(compared, exists)


def _label_compared(name: str, operator: str, value: Value) -> str:
    text = _label(name)
    if isinstance(value, float):
        text = f"toFloat64OrNull({text})"
    elif isinstance(value, bool):
        text = f"accurateCastOrNull({text}, 'Bool')"
    return f"{text} {operator} {literal(value)}"


_LABELS = Fields(_label_compared, lambda name: f"has(JSONExtractKeys(labels), {literal(name)})")


def _label(name: str) -> str:
    return f"JSONExtractString(labels, {literal(name)})"


def _seconds(step: int | str | None) -> int | None:
    if isinstance(step, str):
        raise ValueError(f"step {step!r}: only seconds are modelled")
    return step


def _span_conditions(query: TraceQuery, shown: Range, variables: Variables, fields: Fields) -> str:
    if query.having is not None or query.offset:
        raise ValueError("having and offset are not modelled")
    given = condition(query.filter.expression, fields, variables) if query.filter else "1"
    return (
        f"{given} AND timestamp >= fromUnixTimestamp64Milli({shown.start}) AND timestamp <"
        f" fromUnixTimestamp64Milli({shown.end}) AND ts_bucket_start >= {shown.start // 1000 - 1800}"
        f" AND ts_bucket_start <= {shown.end // 1000}"
    )


def _places(name: str, value: Value, warehouse: Warehouse) -> list[tuple[str, str, str | None]]:
    """Return where a name may be found: what is there, its expression, and the condition that a row has it."""
    found: list[tuple[str, str, str | None]] = []
    if name in _COLUMNS:
        found.append((_COLUMNS[name], name, None))
    if name in warehouse.resource_keys:
        text = _resource(name)
        found.append(("string", text, f"{text} IS NOT NULL"))
    kinds = sorted(warehouse.span_types.get(name, ()))
    if not found and not kinds:  # as there: what nobody has sent is looked for by the type of the value
        kinds = ["bool" if isinstance(value, bool) else "number" if isinstance(value, float) else "string"]
    return found + [(kind, *_attribute(name, kind)) for kind in kinds]


def _attribute(name: str, kind: str) -> tuple[str, str]:
    place = f"attributes_{kind}"
    return f"{place}[{literal(name)}]", f"mapContains({place}, {literal(name)})"


def _resource(name: str) -> str:
    path = f"resource.`{name}`"
    return (
        f"multiIf({path} IS NOT NULL, {path}::String, mapContains(resources_string, {literal(name)}),"
        f" resources_string[{literal(name)}], NULL)"
    )


def _present(name: str, kind: str) -> str:
    return f"{name} <> ''" if kind == "string" else f"{name} <> 0"


def _coerced(text: str, kind: str, value: Value) -> str:
    if kind == "string" and isinstance(value, float):
        return f"toFloat64OrNull({text})"
    if kind in ("number", "bool") and isinstance(value, str):
        return f"toString({text})"
    return text


def _compared_with(kind: str, value: Value) -> str:
    if kind == "string" and isinstance(value, bool):
        return literal("true" if value else "false")
    return literal(value)


def _located(key: FieldKey, warehouse: Warehouse) -> tuple[str, str, str | None]:
    """Return where a key with a context and a type is: exactly there, or nowhere."""
    if key.field_context == "span":
        return _COLUMNS[key.name], key.name, None
    if key.field_context == "resource":
        if key.name not in warehouse.resource_keys:
            raise ValueError(f"no resource has {key.name!r}")
        return "string", _resource(key.name), f"{_resource(key.name)} IS NOT NULL"
    kind = _TYPES[key.field_data_type]
    return kind, *_attribute(key.name, kind)


def _grouped(key: FieldKey, warehouse: Warehouse) -> str:
    kind, text, has = _located(key, warehouse)
    value = text if kind == "string" else f"toString({text})"
    return f"multiIf({has or _present(key.name, kind)}, {value}, NULL)"


def _selected(key: FieldKey, warehouse: Warehouse) -> str:
    _, text, has = _located(key, warehouse)
    return f"spans.{text}" if has is None else f"multiIf({has}, {text}, NULL)"


def _aggregate(expression: str, warehouse: Warehouse) -> str:
    match = _AGGREGATION.fullmatch(expression)
    if match is None:
        raise ValueError(f"{expression!r}: this aggregation is not modelled")
    function, name = match.groups()
    if function == "count" and not name:
        return "count()"
    quantile = re.fullmatch(r"p(\d\d)", function)
    places = [
        f"{has or _present(name, kind)}, {f'toFloat64OrNull({text})' if kind == 'string' else f'toFloat64({text})'}"
        for kind, text, has in _places(name, 0.0, warehouse)
    ]
    value = f"multiIf({', '.join(places)}, NULL)"
    return f"quantile(0.{quantile[1]})({value})" if quantile else f"{function}({value})"


def _order(query: TraceQuery) -> str:
    expressions = [one.expression for one in query.aggregations]
    found = []
    for one in query.order:
        if one.key.name not in expressions:
            raise ValueError(f"order by {one.key.name!r}, which is none of {expressions}")
        found.append(f"r{expressions.index(one.key.name)} {one.direction}")
    return ", ".join(found) or "r0 DESC"
