"""The dashboards that are made for SigNoz, each in a file of its own."""

from __future__ import annotations

from attune_monitoring.signoz.dashboard import Dashboard

from .cost import cost
from .genai import genai
from .overview import overview
from .reliability import reliability
from .workflows import workflows

__all__ = ["dashboards"]


def dashboards() -> tuple[Dashboard, ...]:
    """Return all dashboards, each checked; the same each time."""
    return overview(), cost(), reliability(), workflows(), genai()
