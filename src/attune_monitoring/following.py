"""A tracer provider that always means the one in force now, for instrumentations that keep what they are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, Tracer, TracerProvider
from opentelemetry.util.types import Attributes

__all__ = ["FollowingProvider"]


class FollowingProvider(TracerProvider):
    """Hands out tracers that ask for the current provider at each span.

    Args:
        current: the provider in force, or None where telemetry is off.
    """

    def __init__(self, current: Callable[[], TracerProvider | None]) -> None:
        self._current = current

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> Tracer:
        """Return such a tracer."""
        return _FollowingTracer(
            self._current, (instrumenting_module_name, instrumenting_library_version, schema_url, attributes)
        )


class _FollowingTracer(Tracer):
    def __init__(self, current: Callable[[], TracerProvider | None], scope: tuple[Any, ...]) -> None:
        self._current = current
        self._scope = scope
        self._known: tuple[TracerProvider | None, Tracer] = (None, trace.NoOpTracer())

    def _tracer(self) -> Tracer:
        provider = self._current()
        known, tracer = self._known
        if provider is not known:
            tracer = trace.NoOpTracer() if provider is None else provider.get_tracer(*self._scope)
            self._known = (provider, tracer)
        return tracer

    def start_span(self, *args: Any, **kwargs: Any) -> Span:
        return self._tracer().start_span(*args, **kwargs)

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:  # a context manager and a decorator at once
        return self._tracer().start_as_current_span(*args, **kwargs)
