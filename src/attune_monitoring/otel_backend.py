"""Records to OpenTelemetry spans and metrics, for callers that hand in records."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord

__all__ = ["SpanBackend"]


class _Emit(Protocol):
    def call(self, record: LLMCallRecord) -> None: ...
    def run(self, record: WorkflowRunRecord) -> None: ...


class SpanBackend:
    """Makes spans with their real times, parents and status; writes no files (`TelemetryStore` does).

    Args:
        emit: the pipeline; `attune_monitoring.OpenTelemetryBackend()` is this class with the one in force.
        flush: delivers what waits, within so many seconds.
    """

    def __init__(self, emit: _Emit, flush: Callable[[float], bool]) -> None:
        self._emit = emit
        self._flush = flush

    def log_call(self, record: LLMCallRecord) -> None:
        """Make the span of a call."""
        self._emit.call(record)

    def log_workflow(self, record: WorkflowRunRecord) -> None:
        """Make the spans of a workflow run and its stages."""
        self._emit.run(record)

    def get_calls(
        self, since: datetime | None = None, workflow_name: str | None = None, limit: int = 1000
    ) -> list[LLMCallRecord]:
        """Return nothing: spans are read where they were sent to."""
        return []

    def get_workflows(
        self, since: datetime | None = None, workflow_name: str | None = None, limit: int = 100
    ) -> list[WorkflowRunRecord]:
        """Return nothing: spans are read where they were sent to."""
        return []

    def flush(self, timeout: float = 5.0) -> bool:
        """Deliver what waits, within `timeout` seconds; return whether all was delivered."""
        return self._flush(timeout)
