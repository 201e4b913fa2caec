"""Puts panels into sections of twelve columns, and sections into a dashboard that is checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from attune_monitoring.errors import ConfigError

from .asking import VARIABLES
from .dashboard import Dashboard, DashboardSpec, Grid, GridDisplay, GridItem, GridSpec, Ref, Tag, check_dashboard
from .panel import (
    Axes,
    BarChart,
    BarChartSpec,
    BarVisualization,
    BuilderPlugin,
    CompositePlugin,
    CompositeSpec,
    Formatting,
    Legend,
    ListPanel,
    ListSpec,
    NumberPanel,
    NumberSpec,
    Panel,
    PanelPlugin,
    PanelQuery,
    PanelSpec,
    QuerySpec,
    SqlPlugin,
    TableFormatting,
    TablePanel,
    TableSpec,
    TimeSeries,
    TimeSeriesSpec,
)
from .queries import BuilderEnvelope, BuilderQuery, Envelope, LogQuery, MetricQuery, SqlQuery, TraceQuery
from .variable import Display, DynamicSpec, DynamicVariable, ListVariable, ListVariableSpec

__all__ = ["MANAGED_BY", "Asked", "Placed", "bars", "board", "lines", "listing", "number", "section", "table"]

MANAGED_BY = Tag(key="managed-by", value="attune-monitoring")
"""Marks what we made, so that provisioning touches nothing else."""

Asked = BuilderQuery | SqlQuery | Sequence[BuilderQuery | Envelope]
_COLUMNS = 12


class Placed(NamedTuple):
    """A panel and its size, in columns and rows."""

    panel: Panel
    width: int
    height: int


def number(title: str, asked: Asked, unit: str, description: str = "", *, width: int = 2, digits: str = "2") -> Placed:
    """Return one number."""
    plugin = NumberPanel(spec=NumberSpec(formatting=_format(unit, digits)))
    return Placed(_panel(title, description, plugin, "scalar", asked), width, 3)


def lines(title: str, asked: Asked, unit: str, description: str = "", *, width: int = 4) -> Placed:
    """Return lines over time."""
    spec = TimeSeriesSpec(formatting=_format(unit), legend=Legend(position="bottom"), axes=Axes(soft_min=0.0))
    return Placed(_panel(title, description, TimeSeries(spec=spec), "time_series", asked), width, 6)


def bars(title: str, asked: Asked, unit: str, description: str = "", *, width: int = 4) -> Placed:
    """Return bars over time that stand on each other."""
    spec = BarChartSpec(
        formatting=_format(unit),
        legend=Legend(position="bottom"),
        visualization=BarVisualization(stacked_bar_chart=True),
    )
    return Placed(_panel(title, description, BarChart(spec=spec), "time_series", asked), width, 6)


def table(title: str, asked: Asked, units: Sequence[str], description: str = "", *, width: int = 6) -> Placed:
    """Return a table; one unit for each column of values."""
    columns = [column for one in _listed(asked) for column in _columns_of(one)]
    formatting = TableFormatting(column_units=dict(zip(columns, units, strict=True)), decimal_precision="2")
    plugin = TablePanel(spec=TableSpec(formatting=formatting))
    return Placed(_panel(title, description, plugin, "scalar", asked), width, 6)


def listing(title: str, asked: TraceQuery, description: str = "", *, width: int = 12) -> Placed:
    """Return a list of spans, each a link to its trace."""
    plugin = ListPanel(spec=ListSpec(select_fields=asked.select_fields))
    return Placed(_panel(title, description, plugin, "raw", asked), width, 7)


def section(title: str, *placed: Placed) -> tuple[str, tuple[Placed, ...]]:
    """Return a section; its panels flow from left to right and begin a new row where there is no room."""
    return title, placed


def board(
    name: str,
    title: str,
    description: str,
    variables: Sequence[str],
    *sections: tuple[str, tuple[Placed, ...]],
    signal: str = "metrics",
) -> Dashboard:
    """Return a dashboard.

    Args:
        name: for machines; never changes once it is published.
        title: for people.
        description: what it shows.
        variables: names of `VARIABLES`.
        sections: what `section` returned.
        signal: where the values of variables come from; users are on spans only.

    Raises:
        ConfigError: SigNoz would refuse it; holds every fault.
    """
    panels: dict[str, Panel] = {}
    grids = []
    for heading, placed in sections:
        x = y = row = 0
        items = []
        for panel, width, height in placed:
            key = _key(f"{heading} {panel.spec.display.name}")
            if key in panels:
                raise ConfigError(f"dashboard {name!r}: two panels {key!r}")
            panels[key] = panel
            if x + width > _COLUMNS:
                x, y, row = 0, y + row, 0
            items.append(GridItem(x=x, y=y, width=width, height=height, content=Ref(ref=f"#/spec/panels/{key}")))
            x, row = x + width, max(row, height)
        grids.append(Grid(spec=GridSpec(display=GridDisplay(title=heading), items=tuple(items))))
    dashboard = Dashboard(
        schema_version="v6",
        name=name,
        tags=(MANAGED_BY, Tag(key="topic", value="llm")),
        spec=DashboardSpec(
            display=Display(name=title, description=description),
            duration="24h",
            variables=tuple(_variable(one, signal) for one in variables),
            panels=panels,
            layouts=tuple(grids),
        ),
    )
    check_dashboard(dashboard)
    return dashboard


def _variable(name: str, signal: str) -> ListVariable:
    attribute = VARIABLES[name]
    traces = signal == "traces" or name == "user"
    return ListVariable(
        spec=ListVariableSpec(
            name=name,
            display=Display(name=name.replace("_", " "), description=attribute),
            plugin=DynamicVariable(spec=DynamicSpec(name=attribute, signal="traces" if traces else "metrics")),
            allow_all_value=True,
            allow_multiple=True,
            sort="alphabetical-asc",
        )
    )


def _listed(asked: Asked) -> Sequence[BuilderQuery | SqlQuery | Envelope]:
    return (asked,) if isinstance(asked, (SqlQuery, MetricQuery, TraceQuery, LogQuery)) else asked


def _columns_of(query: BuilderQuery | SqlQuery | Envelope) -> Sequence[str]:
    """Return by what names SigNoz knows the columns of a query: its own, or one for each of several aggregations."""
    if isinstance(query, (TraceQuery, LogQuery)) and len(query.aggregations) > 1:
        return [f"{query.name}.{one.expression}" for one in query.aggregations]
    return [query.name if isinstance(query, (SqlQuery, MetricQuery, TraceQuery, LogQuery)) else query.spec.name]


def _panel(title: str, description: str, plugin: PanelPlugin, kind: str, asked: Asked) -> Panel:
    query: BuilderPlugin | SqlPlugin | CompositePlugin
    if isinstance(asked, SqlQuery):
        query = SqlPlugin(spec=asked)
    elif isinstance(asked, (MetricQuery, TraceQuery, LogQuery)):
        query = BuilderPlugin(spec=asked)
    else:
        wrapped = tuple(
            BuilderEnvelope(spec=one) if isinstance(one, (MetricQuery, TraceQuery, LogQuery)) else one for one in asked
        )
        query = CompositePlugin(spec=CompositeSpec(queries=wrapped))
    spec = QuerySpec(name="A", plugin=query)
    return Panel(
        spec=PanelSpec(
            display=Display(name=title, description=description),
            plugin=plugin,
            queries=(PanelQuery(kind=kind, spec=spec),),  # type: ignore[arg-type]
        )
    )


def _format(unit: str, digits: str = "2") -> Formatting:
    return Formatting(unit=unit, decimal_precision=digits)  # type: ignore[arg-type]


def _key(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
