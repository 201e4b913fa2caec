"""One record to several backends: a failing one stops no other, and is tried again with the next record."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord
from attune_monitoring.telemetry_backend import TelemetryBackend

__all__ = ["MultiBackend"]

_log = logging.getLogger("attune_monitoring.backends")


class MultiBackend:
    """Hands every record to every backend, in order. Never raises, and is true even when it is empty.

    Args:
        backends: the backends; more can be added.
    """

    def __init__(self, backends: Sequence[TelemetryBackend] = ()) -> None:
        self._backends: list[TelemetryBackend] = list(backends)
        self._failing: set[int] = set()
        self.failures: Counter[str] = Counter()
        """Failed hand-overs, by the backend's type."""

    @property
    def backends(self) -> list[TelemetryBackend]:
        """The backends, in the order in which they are asked."""
        return list(self._backends)

    def add_backend(self, backend: TelemetryBackend) -> None:
        """Add one at the end."""
        self._backends.append(backend)

    def remove_backend(self, backend: TelemetryBackend) -> None:
        """Take one out; nothing happens if it is not there."""
        self._backends = [known for known in self._backends if known is not backend]

    def get_active_backends(self) -> list[str]:
        """Return the type names of the backends whose last hand-over succeeded."""
        return [type(backend).__name__ for backend in self._backends if id(backend) not in self._failing]

    def get_failed_backends(self) -> list[str]:
        """Return the type names of the backends whose last hand-over failed."""
        return [type(backend).__name__ for backend in self._backends if id(backend) in self._failing]

    def reset_failures(self) -> None:
        """Forget which backends failed; they are tried with each record anyway."""
        self._failing.clear()

    def flush(self, timeout: float = 5.0) -> bool:
        """Flush the backends that can be flushed, each within `timeout` seconds; return whether all delivered."""
        done = True
        for backend in self.backends:
            flush = getattr(backend, "flush", None)
            if flush is not None:
                try:
                    done = flush(timeout) is not False and done
                except Exception as error:
                    self._failed(backend, error)
                    done = False
        return done

    def __len__(self) -> int:
        return len(self._backends)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[TelemetryBackend]:
        return iter(self.backends)

    def log_call(self, record: LLMCallRecord) -> None:
        """Hand a call to every backend."""
        self._each(lambda backend: backend.log_call(record))

    def log_workflow(self, record: WorkflowRunRecord) -> None:
        """Hand a workflow run to every backend."""
        self._each(lambda backend: backend.log_workflow(record))

    def get_calls(
        self, since: datetime | None = None, workflow_name: str | None = None, limit: int = 1000
    ) -> list[LLMCallRecord]:
        """Return the calls of the first backend that has any."""
        for backend in self.backends:
            try:
                found = backend.get_calls(since=since, workflow_name=workflow_name, limit=limit)
            except Exception as error:
                self._failed(backend, error)
                continue
            if found:
                return found
        return []

    def get_workflows(
        self, since: datetime | None = None, workflow_name: str | None = None, limit: int = 100
    ) -> list[WorkflowRunRecord]:
        """Return the workflow runs of the first backend that has any."""
        for backend in self.backends:
            try:
                found = backend.get_workflows(since=since, workflow_name=workflow_name, limit=limit)
            except Exception as error:
                self._failed(backend, error)
                continue
            if found:
                return found
        return []

    def _each(self, hand_over: Callable[[TelemetryBackend], None]) -> None:
        for backend in self.backends:
            try:
                hand_over(backend)
            except Exception as error:
                self._failed(backend, error)
            else:
                if id(backend) in self._failing:
                    self._failing.discard(id(backend))
                    _log.info("Telemetry backend %s takes records again.", type(backend).__name__)

    def _failed(self, backend: TelemetryBackend, error: Exception) -> None:
        self.failures[type(backend).__name__] += 1
        if id(backend) not in self._failing:
            self._failing.add(id(backend))
            _log.warning(
                "Telemetry backend %s failed (%s); the others go on, and it is tried again with each record.",
                type(backend).__name__,
                type(error).__name__,
                exc_info=error,
            )
