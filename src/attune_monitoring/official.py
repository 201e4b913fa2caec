"""The official OpenTelemetry GenAI instrumentations: which are installed, and turning them on."""

from __future__ import annotations

import logging
from importlib.metadata import entry_points
from typing import Any

from opentelemetry.trace import TracerProvider

from attune_monitoring.observation import OBSERVABLE, observe
from attune_monitoring.scope import HOOKS

__all__ = ["turn_on"]

_log = logging.getLogger("attune_monitoring")


def turn_on(names: tuple[str, ...], provider: TracerProvider) -> list[str]:
    """Turn on the instrumentations of these names, or all; return the names of those that are on.

    Args:
        names: as in `instrument`.
        provider: where their spans go.
    """
    found = {point.name: point for point in entry_points(group="opentelemetry_instrumentor") if _is_genai(point)}
    turned_on = []
    for name in names or tuple(found):
        point = found.get(name) or found.get(f"genai-{name}") or found.get(f"genai_{name}")
        if point is None:
            _log.warning(
                "instrument(%r): no official OpenTelemetry GenAI instrumentation of that name is installed; "
                "pip install 'attune-monitoring[%s]'. Installed: %s.",
                name,
                name,
                ", ".join(sorted(found)) or "none",
            )
            continue
        try:
            instrumentor = point.load()()
            if not instrumentor.is_instrumented_by_opentelemetry:
                instrumentor.instrument(tracer_provider=provider)
            package = name.removeprefix("genai-").removeprefix("genai_")
            if package in OBSERVABLE:
                observe(package)
            turned_on.append(name)
        except Exception as error:
            HOOKS.failed(f"instrument({name!r})", error)
    return turned_on


def _is_genai(point: Any) -> bool:
    # The names of OpenLLMetry's instrumentations are confusingly alike; the official ones live in these modules.
    return str(point.value).startswith(
        ("opentelemetry.instrumentation.genai.", "opentelemetry.instrumentation.google_genai")
    )
