"""The panels of a dashboard of SigNoz: their kinds, looks and queries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from .queries import (
    BuilderEnvelope,
    BuilderQuery,
    Envelope,
    FieldKey,
    Formula,
    FormulaEnvelope,
    PromEnvelope,
    PromQuery,
    SqlEnvelope,
    SqlQuery,
    problems_of_queries,
)
from .variable import Display, problems_of_display
from .wire import Wire

__all__ = [
    "Axes",
    "BarChart",
    "BarChartSpec",
    "BarVisualization",
    "BuilderPlugin",
    "CompositePlugin",
    "CompositeSpec",
    "Formatting",
    "FormulaPlugin",
    "Histogram",
    "HistogramSpec",
    "Legend",
    "Link",
    "ListPanel",
    "ListSpec",
    "NumberPanel",
    "NumberSpec",
    "Panel",
    "PanelPlugin",
    "PanelQuery",
    "PanelSpec",
    "PieChart",
    "PieSpec",
    "Precision",
    "PromPlugin",
    "QuerySpec",
    "SqlPlugin",
    "TableFormatting",
    "TablePanel",
    "TableSpec",
    "TimeSeries",
    "TimeSeriesSpec",
    "envelopes_of",
    "problems_of_panel",
]


class Link(Wire, frozen=True):
    """A link from a dashboard or panel."""

    url: str
    name: str = ""
    tooltip: str = ""
    render_variables: bool = False
    target_blank: bool = False


Precision: TypeAlias = Literal["0", "1", "2", "3", "4", "full"]


class Formatting(Wire, frozen=True):
    """Unit and digits of a panel's numbers."""

    unit: str = ""
    decimal_precision: Precision | None = None


class TableFormatting(Wire, frozen=True):
    """Units of a table's columns (by the query's name), and digits."""

    column_units: dict[str, str] | None = None
    decimal_precision: Precision | None = None


class Legend(Wire, frozen=True):
    """Where the legend stands."""

    position: Literal["bottom", "right"] | None = None
    mode: Literal["list"] | None = None


class Axes(Wire, frozen=True):
    """Bounds of the value axis."""

    soft_min: float | None = None
    soft_max: float | None = None
    is_log_scale: bool = False


class TimeSeriesSpec(Wire, frozen=True):
    """Looks of lines over time."""

    formatting: Formatting | None = None
    legend: Legend | None = None
    axes: Axes | None = None


class TimeSeries(Wire, frozen=True, tag_field="kind", tag="signoz/TimeSeriesPanel"):
    """Lines over time."""

    spec: TimeSeriesSpec


class BarVisualization(Wire, frozen=True):
    """Whether bars stand on each other."""

    stacked_bar_chart: bool = False
    fill_spans: bool = False


class BarChartSpec(Wire, frozen=True):
    """Looks of bars over time."""

    formatting: Formatting | None = None
    legend: Legend | None = None
    axes: Axes | None = None
    visualization: BarVisualization | None = None


class BarChart(Wire, frozen=True, tag_field="kind", tag="signoz/BarChartPanel"):
    """Bars over time."""

    spec: BarChartSpec


class HistogramSpec(Wire, frozen=True):
    """Looks of a distribution."""

    legend: Legend | None = None


class Histogram(Wire, frozen=True, tag_field="kind", tag="signoz/HistogramPanel"):
    """A distribution of values."""

    spec: HistogramSpec


class NumberSpec(Wire, frozen=True):
    """Looks of one number."""

    formatting: Formatting | None = None


class NumberPanel(Wire, frozen=True, tag_field="kind", tag="signoz/NumberPanel"):
    """One number."""

    spec: NumberSpec


class PieSpec(Wire, frozen=True):
    """Looks of a pie."""

    formatting: Formatting | None = None
    legend: Legend | None = None


class PieChart(Wire, frozen=True, tag_field="kind", tag="signoz/PieChartPanel"):
    """Shares of a whole."""

    spec: PieSpec


class TableSpec(Wire, frozen=True):
    """Looks of a table."""

    formatting: TableFormatting | None = None


class TablePanel(Wire, frozen=True, tag_field="kind", tag="signoz/TablePanel"):
    """One row for each group."""

    spec: TableSpec


class ListSpec(Wire, frozen=True):
    """Columns of a list."""

    select_fields: tuple[FieldKey, ...] = ()


class ListPanel(Wire, frozen=True, tag_field="kind", tag="signoz/ListPanel"):
    """Spans or log lines themselves; a row opens its trace."""

    spec: ListSpec


PanelPlugin: TypeAlias = TimeSeries | BarChart | Histogram | NumberPanel | PieChart | TablePanel | ListPanel

_QUERY_KINDS: dict[type[Wire], str] = {
    TimeSeries: "time_series",
    BarChart: "time_series",
    Histogram: "time_series",
    NumberPanel: "scalar",
    PieChart: "scalar",
    TablePanel: "scalar",
    ListPanel: "raw",
}


class BuilderPlugin(Wire, frozen=True, tag_field="kind", tag="signoz/BuilderQuery"):
    """One query of the builder."""

    spec: BuilderQuery


class SqlPlugin(Wire, frozen=True, tag_field="kind", tag="signoz/ClickHouseSQL"):
    """ClickHouse SQL."""

    spec: SqlQuery


class PromPlugin(Wire, frozen=True, tag_field="kind", tag="signoz/PromQLQuery"):
    """PromQL."""

    spec: PromQuery


class FormulaPlugin(Wire, frozen=True, tag_field="kind", tag="signoz/Formula"):
    """A formula; alone it has nothing to reckon with, so it is always refused here."""

    spec: Formula


class CompositeSpec(Wire, frozen=True):
    """Several queries."""

    queries: tuple[Envelope, ...]


class CompositePlugin(Wire, frozen=True, tag_field="kind", tag="signoz/CompositeQuery"):
    """Several queries in one panel."""

    spec: CompositeSpec


class QuerySpec(Wire, frozen=True):
    """The query of a panel."""

    plugin: BuilderPlugin | SqlPlugin | PromPlugin | FormulaPlugin | CompositePlugin
    name: str = ""


class PanelQuery(Wire, frozen=True):
    """The query of a panel, and what kind of answer the panel draws."""

    kind: Literal["scalar", "time_series", "raw", "raw_stream", "trace"]
    spec: QuerySpec


class PanelSpec(Wire, frozen=True):
    """What a panel shows and how."""

    display: Display
    plugin: PanelPlugin
    queries: tuple[PanelQuery, ...]
    links: tuple[Link, ...] = ()


class Panel(Wire, frozen=True, tag_field="kind", tag="Panel"):
    """A panel."""

    spec: PanelSpec


def envelopes_of(panel: Panel) -> tuple[Envelope, ...]:
    """Return the queries of a panel, one or several, in the same form."""
    found: list[Envelope] = []
    for query in panel.spec.queries:
        plugin = query.spec.plugin
        if isinstance(plugin, CompositePlugin):
            found.extend(plugin.spec.queries)
        elif isinstance(plugin, BuilderPlugin):
            found.append(BuilderEnvelope(spec=plugin.spec))
        elif isinstance(plugin, FormulaPlugin):
            found.append(FormulaEnvelope(spec=plugin.spec))
        elif isinstance(plugin, SqlPlugin):
            found.append(SqlEnvelope(spec=plugin.spec))
        else:
            found.append(PromEnvelope(spec=plugin.spec))
    return tuple(found)


def problems_of_panel(panel: Panel) -> Iterator[str]:
    """Yield what SigNoz would refuse in a panel, or what could only leave it empty."""
    spec = panel.spec
    yield from problems_of_display("it", spec.display)
    if len(spec.queries) != 1:
        yield f"it has {len(spec.queries)} queries, not one; put several into one signoz/CompositeQuery"
    wanted = _QUERY_KINDS[type(spec.plugin)]
    for query in spec.queries:
        if query.kind != wanted:
            yield f"its query is {query.kind}, but this kind of panel draws {wanted}"
        if isinstance(query.spec.plugin, FormulaPlugin):
            yield "a formula alone has nothing to reckon with; put it into a signoz/CompositeQuery"
    asked = envelopes_of(panel)
    if isinstance(spec.plugin, ListPanel) and any(not isinstance(one, BuilderEnvelope) for one in asked):
        yield "a list takes queries of the builder only"
    if isinstance(spec.plugin, (PieChart, TablePanel)) and any(isinstance(one, PromEnvelope) for one in asked):
        yield "pies and tables take no PromQL"
    if spec.queries:
        yield from problems_of_queries(asked, listing=isinstance(spec.plugin, ListPanel))
