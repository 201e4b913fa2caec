"""Span attributes ⇄ record, for every dialect that semconv.py lists; pure functions over plain data."""

from __future__ import annotations

from .cost import Pricer, add_cost, cost_attributes
from .dialects import Kind, dialect_of, kind_of, normalise
from .record import call_record, call_span
from .span import Origin, SpanData

__all__ = [
    "Kind",
    "Origin",
    "Pricer",
    "SpanData",
    "add_cost",
    "call_record",
    "call_span",
    "cost_attributes",
    "dialect_of",
    "kind_of",
    "normalise",
]
