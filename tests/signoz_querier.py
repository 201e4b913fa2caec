"""What a panel of SigNoz shows: its queries run, variables filled in, formulas reckoned, answers read as there."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from attune_monitoring.signoz.panel import Panel, envelopes_of
from attune_monitoring.signoz.queries import Formula, MetricQuery, SqlQuery, TraceQuery
from signoz_builder import Range, listing_sql, metric_sql, trace_sql
from signoz_filters import Variables, literal
from signoz_tables import Warehouse

__all__ = ["Shown", "ask", "ask_sql"]

Groups = tuple[str, ...]
Lines = dict[Groups, dict[int, float]]
"""By group: time in ms → value; a single number stands at 0."""

_VALUES = re.compile(r"(Nullable\()?(Float32|Float64|Int32|Int64|UInt32|UInt64)\)?")
_TEXTS = re.compile(r"(LowCardinality\()?(Nullable\()?String\)*")
_TIMES = re.compile(r"DateTime(64)?(\(.*\))?")
_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class Shown(NamedTuple):
    """What a panel shows.

    Args:
        lines: by name of a query, or of one of its aggregations (`A.count()`), the values by group and time.
        rows: of a list, each span with its columns.
    """

    lines: dict[str, Lines]
    rows: list[dict[str, Any]]

    @property
    def empty(self) -> bool:
        """Whether nobody would see anything."""
        return not self.rows and not any(values for lines in self.lines.values() for values in lines.values())


def ask(panel: Panel, shown: Range, variables: Variables, warehouse: Warehouse) -> Shown:
    """Return what a panel shows of a stretch of time.

    Raises:
        ValueError: SigNoz would refuse a query, or drop a column of its answer.
    """
    kind = panel.spec.queries[0].kind
    asked = [envelope.spec for envelope in envelopes_of(panel)]
    lines: dict[str, dict[str, Lines]] = {}
    for spec in asked:
        if isinstance(spec, TraceQuery) and kind == "raw":
            return Shown({}, _rows(warehouse.select(listing_sql(spec, shown, variables, warehouse))))
        if isinstance(spec, TraceQuery):
            sql = trace_sql(spec, shown, variables, warehouse, by_step=kind == "time_series")
            found = _built(warehouse.select(sql), [one.expression for one in spec.aggregations])
        elif isinstance(spec, MetricQuery):
            found = _of_metric(spec, kind, shown, variables, warehouse)
        elif isinstance(spec, SqlQuery):
            found = {"": ask_sql(spec.query, kind, shown, variables, warehouse)}
        elif isinstance(spec, Formula):
            continue
        else:
            raise ValueError(f"{type(spec).__name__} is not modelled")
        lines[spec.name] = found
    for spec in asked:
        if isinstance(spec, Formula):
            zero = {one.name for one in asked if _counts_nothing_as_zero(one)}
            lines[spec.name] = {"": _reckoned(spec.expression, lines, zero)}
    visible = [spec.name for spec in asked if not spec.disabled]
    return Shown(
        {f"{name}.{part}" if part else name: found for name in visible for part, found in lines[name].items()}, []
    )


def ask_sql(query: str, kind: str, shown: Range, variables: Variables, warehouse: Warehouse) -> Lines:
    """Return the answer to ClickHouse SQL: texts are groups, numbers are values.

    Raises:
        ValueError: a variable is unknown, or SigNoz would drop a column in silence.
    """
    answer = warehouse.select(_rendered(query, shown, variables))
    types = [column["type"] for column in answer["meta"]]
    times = [place for place, type_ in enumerate(types) if _TIMES.fullmatch(type_)]
    values = [place for place, type_ in enumerate(types) if _VALUES.fullmatch(type_)]
    groups = [place for place, type_ in enumerate(types) if _TEXTS.fullmatch(type_)]
    if len(times) + len(values) + len(groups) < len(types):
        raise ValueError(f"SigNoz drops columns of these types: {types}")
    if len(values) != 1 or len(times) != (kind == "time_series"):
        raise ValueError(f"{kind} needs one value{' and a DateTime' if kind == 'time_series' else ''}, not {types}")
    found: Lines = {}
    for row in answer["data"]:
        value = row[values[0]]
        if value is not None:
            at = _milliseconds(row[times[0]]) if times else 0
            found.setdefault(tuple(row[place] for place in groups), {})[at] = float(value)
    return found


def _rendered(query: str, shown: Range, variables: Variables) -> str:
    """Return ClickHouse SQL with its variables filled in, the longest names first."""
    values = {name: _sql_value(value) for name, value in variables.items()}
    for name, moment in (("start", shown.start), ("end", shown.end)):
        values[f"{name}_timestamp"] = str(moment // 1000)
        values[f"{name}_timestamp_ms"] = str(moment)
        values[f"{name}_timestamp_nano"] = str(moment * 10**6)
        values[f"{name}_datetime"] = f"toDateTime({moment // 1000})"
    for name in sorted(values, key=len, reverse=True):
        for form in (f"{{{{{name}}}}}", f"[[{name}]]", f"${name}", f"{{{{.{name}}}}}"):
            query = query.replace(form, values[name])
    left = re.search(r"\$\w+|\{\{.*?\}\}|\[\[.*?\]\]", query)
    if left is not None:
        raise ValueError(f"{left[0]} is no variable")
    return query


def _sql_value(value: str | Sequence[str]) -> str:
    return literal(value) if isinstance(value, str) else f"[{','.join(map(literal, value))}]"


def _of_metric(
    spec: MetricQuery, kind: str, shown: Range, variables: Variables, warehouse: Warehouse
) -> dict[str, Lines]:
    if spec.aggregations[0].metric_name not in warehouse.metrics:
        return {"": {}}
    found = _built(warehouse.select(metric_sql(spec, shown, variables, warehouse.metrics)), [""])[""]
    found = _largest(found, spec.limit)
    if kind == "scalar":
        if spec.aggregations[0].reduce_to != "sum":
            raise ValueError(f"query {spec.name!r} is to become one number, but it does not say how")
        found = {group: {0: sum(values.values())} for group, values in found.items()}
    return {"": found}


def _largest(lines: Lines, limit: int) -> Lines:
    """Keep the lines that are largest on average."""
    if not limit:
        return lines
    order = sorted(lines, key=lambda group: -sum(lines[group].values()) / len(lines[group]))
    return {group: lines[group] for group in order[:limit]}


def _built(answer: dict[str, Any], parts: Sequence[str]) -> dict[str, Lines]:
    """Read the answer to a builder's query: its columns are named in `signoz_builder`."""
    names = [column["name"] for column in answer["meta"]]
    groups = [place for place, name in enumerate(names) if re.fullmatch(r"g\d+", name)]
    results = [place for place, name in enumerate(names) if re.fullmatch(r"r\d+|value", name)]
    parts = parts if len(parts) > 1 else [""]
    found: dict[str, Lines] = {part: {} for part in parts}
    for row in answer["data"]:
        group = tuple(row[place] or "" for place in groups)
        at = _milliseconds(row[names.index("ts")]) if "ts" in names else 0
        for part, place in zip(parts, results, strict=True):
            if row[place] is not None and math.isfinite(float(row[place])):
                found[part].setdefault(group, {})[at] = float(row[place])
    return found


def _rows(answer: dict[str, Any]) -> list[dict[str, Any]]:
    names = [column["name"] for column in answer["meta"]]
    return [dict(zip(names, row, strict=True)) for row in answer["data"]]


def _milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def _counts_nothing_as_zero(spec: Any) -> bool:
    """Whether a formula takes 0 where a query has no value: sums and numbers, but no percentiles."""
    if isinstance(spec, MetricQuery):
        return spec.aggregations[0].time_aggregation in ("count", "count_distinct", "rate", "increase")
    if isinstance(spec, TraceQuery) and len(spec.aggregations) == 1:
        return spec.aggregations[0].expression.startswith(("count(", "count_distinct(", "sum(", "rate("))
    return False


def _reckoned(expression: str, lines: Mapping[str, dict[str, Lines]], zero: set[str]) -> Lines:
    """Reckon a formula for each group and time of the queries that it names."""
    tree = ast.parse(expression, mode="eval").body
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    firsts = {name: next(iter(lines[name].values())) for name in names}
    found: Lines = {}
    for group in sorted({group for first in firsts.values() for group in first}):
        mine = {name: first.get(group, {}) for name, first in firsts.items()}
        for at in sorted({at for values in mine.values() for at in values}):
            values = {name: mine[name].get(at, 0.0 if name in zero else None) for name in names}
            if None not in values.values():
                result = _value(tree, values)
                if math.isfinite(result):
                    found.setdefault(group, {})[at] = result
    return found


def _value(node: ast.expr, values: Mapping[str, float | None]) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return float(node.value)
    if isinstance(node, ast.Name):
        value = values[node.id]
        assert value is not None
        return value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _value(node.left, values), _value(node.right, values)
        if isinstance(node.op, ast.Div) and right == 0:
            return math.nan
        return _OPERATORS[type(node.op)](left, right)
    raise ValueError(f"{ast.unparse(node)} is not modelled")
