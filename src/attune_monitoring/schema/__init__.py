"""The declared shape of a configuration file: one declaration checks it, reads its variables and is its JSON Schema."""

from __future__ import annotations

from .containers import any_of, array, from_environment, layer, mapping, pairs, section, variant
from .scalars import boolean, choice, duration, location, number, size, text
from .spec import Checker, RejectedError, Spec, nearest, shown

__all__ = [
    "Checker",
    "RejectedError",
    "Spec",
    "any_of",
    "array",
    "boolean",
    "choice",
    "duration",
    "from_environment",
    "layer",
    "location",
    "mapping",
    "nearest",
    "number",
    "pairs",
    "section",
    "shown",
    "size",
    "text",
    "variant",
]
