"""A dashboard of SigNoz (schema version v6) in types, and what they cannot say checked by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from .panel import Link, Panel, problems_of_panel
from .variable import Display, Variable, problems_of_display, problems_of_variables
from .wire import Wire, read, refuse

__all__ = [
    "Dashboard",
    "DashboardSpec",
    "Grid",
    "GridDisplay",
    "GridItem",
    "GridSpec",
    "Ref",
    "Tag",
    "check_dashboard",
    "read_dashboard",
]

COLUMNS = 12
MAX_TAGS = 10

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PANEL_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DURATION = re.compile(r"([0-9]+(ms|s|m|h|d|w))+")
_REF = "#/spec/panels/"


class Tag(Wire, frozen=True):
    """A key and a value by which dashboards are found."""

    key: str
    value: str


class Ref(Wire, frozen=True):
    """Points at a panel: `#/spec/panels/<key>`."""

    ref: str = msgspec.field(name="$ref")


class GridItem(Wire, frozen=True):
    """Where a panel stands, in columns and rows."""

    x: int
    y: int
    width: int
    height: int
    content: Ref


class GridDisplay(Wire, frozen=True):
    """The title of a section."""

    title: str = ""


class GridSpec(Wire, frozen=True):
    """A section."""

    items: tuple[GridItem, ...]
    display: GridDisplay | None = None


class Grid(Wire, frozen=True, tag_field="kind", tag="Grid"):
    """A section of a dashboard."""

    spec: GridSpec


class DashboardSpec(Wire, frozen=True):
    """What a dashboard shows."""

    display: Display
    variables: tuple[Variable, ...]
    panels: dict[str, Panel]
    layouts: tuple[Grid, ...]
    duration: str = ""
    refresh_interval: str = ""
    links: tuple[Link, ...] = ()


class Dashboard(Wire, frozen=True):
    """A dashboard. Its name is for machines and never changes; people read `spec.display.name`."""

    schema_version: Literal["v6"]
    name: str
    tags: tuple[Tag, ...]
    spec: DashboardSpec
    image: str = ""


def read_dashboard(document: bytes | str | Any) -> Dashboard:
    """Return a dashboard from JSON, or from what JSON was read into.

    Raises:
        ConfigError: SigNoz would refuse it; holds every fault that was found.
    """
    dashboard = read(document, Dashboard)
    check_dashboard(dashboard)
    return dashboard


def check_dashboard(dashboard: Dashboard) -> None:
    """Refuse what the types let through but SigNoz does not, and panels that could only stay empty.

    Raises:
        ConfigError: holds every fault.
    """
    refuse(f"dashboard {dashboard.name!r}", list(_problems(dashboard)))


def _problems(dashboard: Dashboard) -> Iterator[str]:
    spec = dashboard.spec
    if not _LABEL.fullmatch(dashboard.name):
        yield "a name is 1 to 63 lower case letters, digits and dashes, with no dash at either end"
    if len(dashboard.tags) > MAX_TAGS:
        yield f"{len(dashboard.tags)} tags; at most {MAX_TAGS}"
    if any(not tag.key or not tag.value for tag in dashboard.tags):
        yield "a tag needs a key and a value"
    yield from problems_of_display("the dashboard", spec.display)
    for what, text in (("duration", spec.duration), ("refreshInterval", spec.refresh_interval)):
        if text and not _DURATION.fullmatch(text):
            yield f"{what}: no duration: {text!r}; write 30s, 5m or 1h"
    yield from problems_of_variables(spec.variables)
    for key, panel in spec.panels.items():
        if not _PANEL_KEY.fullmatch(key):
            yield f"panel {key!r}: a key is letters, digits, dots, dashes and underscores"
        for problem in problems_of_panel(panel):
            yield f"panel {key!r}: {problem}"
    yield from _problems_of_layouts(spec)


def _problems_of_layouts(spec: DashboardSpec) -> Iterator[str]:
    placed: list[str] = []
    for number, layout in enumerate(spec.layouts, 1):
        taken: dict[tuple[int, int], str] = {}
        for item in layout.spec.items:
            key = item.content.ref.removeprefix(_REF)
            placed.append(key)
            where = f"layout {number}, {key!r}"
            if not item.content.ref.startswith(_REF) or key not in spec.panels:
                yield f"{where}: no such panel; write {_REF}<key of a panel>"
            if min(item.x, item.y) < 0 or min(item.width, item.height) < 1 or item.x + item.width > COLUMNS:
                yield f"{where}: it does not fit into the {COLUMNS} columns"
                continue
            rows, columns = range(item.y, item.y + item.height), range(item.x, item.x + item.width)
            cells = [(column, row) for row in rows for column in columns]
            over = sorted({taken[cell] for cell in cells if cell in taken})
            if over:
                yield f"{where}: it lies over {', '.join(over)}"
            taken.update(dict.fromkeys(cells, key))
    for key in sorted({key for key in placed if placed.count(key) > 1}):
        yield f"panel {key!r} is placed {placed.count(key)} times"
    for key in sorted(set(spec.panels) - set(placed)):
        yield f"panel {key!r} is placed nowhere"
