"""The variables of a dashboard of SigNoz, by which its panels are filtered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

from .wire import Wire

__all__ = [
    "CustomSpec",
    "CustomVariable",
    "Display",
    "DynamicSpec",
    "DynamicVariable",
    "ListVariable",
    "ListVariableSpec",
    "QueryVariable",
    "QueryVariableSpec",
    "TextSpec",
    "TextVariable",
    "Variable",
    "problems_of_display",
    "problems_of_variables",
]

MAX_NAME = 128
"""Characters of a name that is shown."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Display(Wire, frozen=True):
    """What people read."""

    name: str
    description: str = ""


class DynamicSpec(Wire, frozen=True):
    """An attribute whose values are offered."""

    name: str
    signal: Literal["traces", "logs", "metrics", "all"]


class DynamicVariable(Wire, frozen=True, tag_field="kind", tag="signoz/DynamicVariable"):
    """Values of an attribute, as they occur."""

    spec: DynamicSpec


class CustomSpec(Wire, frozen=True):
    """Values that are named, with commas between."""

    custom_value: str


class CustomVariable(Wire, frozen=True, tag_field="kind", tag="signoz/CustomVariable"):
    """Values that are named."""

    spec: CustomSpec


class QueryVariableSpec(Wire, frozen=True):
    """SQL whose first column is offered."""

    query_value: str


class QueryVariable(Wire, frozen=True, tag_field="kind", tag="signoz/QueryVariable"):
    """Values that SQL finds."""

    spec: QueryVariableSpec


class ListVariableSpec(Wire, frozen=True):
    """A variable that is chosen from a list."""

    name: str
    display: Display
    plugin: DynamicVariable | CustomVariable | QueryVariable
    allow_all_value: bool = False
    allow_multiple: bool = False
    default_value: str | tuple[str, ...] | None = None
    custom_all_value: str = ""
    capturing_regexp: str = ""
    sort: Literal[
        "none",
        "alphabetical-asc",
        "alphabetical-desc",
        "numerical-asc",
        "numerical-desc",
        "alphabetical-ci-asc",
        "alphabetical-ci-desc",
    ] = "none"


class ListVariable(Wire, frozen=True, tag_field="kind", tag="ListVariable"):
    """A variable that is chosen from a list."""

    spec: ListVariableSpec


class TextSpec(Wire, frozen=True):
    """A variable that is typed."""

    name: str
    display: Display
    value: str
    constant: bool = False


class TextVariable(Wire, frozen=True, tag_field="kind", tag="TextVariable"):
    """A variable that is typed."""

    spec: TextSpec


Variable: TypeAlias = ListVariable | TextVariable


def problems_of_display(what: str, display: Display) -> Iterator[str]:
    """Yield what is wrong with a name that is shown."""
    if not display.name.strip() or len(display.name) > MAX_NAME:
        yield f"{what} is shown under a name of 1 to {MAX_NAME} characters, not {len(display.name)}"


def problems_of_variables(variables: Sequence[Variable]) -> Iterator[str]:
    """Yield what SigNoz would refuse in the variables of a dashboard."""
    names = [variable.spec.name for variable in variables]
    for variable in variables:
        if not _VARIABLE.fullmatch(variable.spec.name):
            yield f"variable {variable.spec.name!r}: a name is letters, digits and underscores"
        yield from problems_of_display(f"variable {variable.spec.name!r}", variable.spec.display)
        several = isinstance(variable, ListVariable) and variable.spec.allow_multiple
        if isinstance(variable, ListVariable) and isinstance(variable.spec.default_value, tuple) and not several:
            yield f"variable {variable.spec.name!r}: several default values, but only one can be chosen"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"two variables are named {name!r}"
