"""Deliveries in the background: what became of each, and deadlines that hold even where a backend never answers."""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from attune_monitoring.scope import HOOKS

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.metrics.export import MetricExporter

__all__ = ["DeliveryProcessor", "MetricDelivery", "all_within", "reserve", "within"]

_log = logging.getLogger("attune_monitoring.delivery")
_SHUTDOWN_SECONDS = 1.2


class _CountingExporter(SpanExporter):
    """Knows what became of each span, which the SDK's own flush does not tell."""

    def __init__(self, exporter: SpanExporter, where: str) -> None:
        self._exporter = exporter
        self._where = where
        self._warned = False
        self.delivered = 0
        self.failed = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except OSError:  # older exporters raise what newer ones answer: the backend is not there
            result = SpanExportResult.FAILURE
        except Exception as error:
            HOOKS.failed("OTLP export", error)
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self.delivered += len(spans)
            return result
        self.failed += len(spans)
        if not self._warned:
            self._warned = True
            _log.warning(
                "Spans could not be delivered to %s. The program is not affected, local records are complete; further "
                "failures are not logged. Is the collector running, and are endpoint and protocol right?",
                self._where,
            )
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class DeliveryProcessor(SpanProcessor):
    """Batches spans to an exporter in the background, says what was delivered, and keeps its shutdown's deadline.

    Args:
        exporter: where to.
        where: the same for people, without secrets.
    """

    def __init__(self, exporter: SpanExporter, where: str) -> None:
        self._exporter = _CountingExporter(exporter, where)
        self._batch = BatchSpanProcessor(self._exporter)
        self._taken = 0
        self._told_failed = 0
        self._told_lost = 0
        self._count = threading.Lock()
        _live.add(self)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing to do."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a sampled span."""
        if span.context is not None and span.context.trace_flags.sampled:
            self._batch.on_end(span)
            # Afterwards: a flush between the two must not take a span for lost that is about to be queued.
            with self._count:
                self._taken += 1

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Export what waits, for at most this long; return whether all since the last flush was delivered."""
        results: list[bool] = []
        return within(timeout_millis / 1000, lambda: results.append(self.deliver())) and all(results)

    def deliver(self) -> bool:
        """Export what waits, however long it takes; return whether all since the last time was delivered."""
        exporter = self._exporter
        with self._count:
            taken = self._taken
        self._batch.force_flush()
        with self._count:
            # The batch queue drops without a word what it cannot hold.
            lost = max(0, taken - exporter.delivered - exporter.failed - self._told_lost)
            failed = exporter.failed - self._told_failed
            self._told_lost += lost
            self._told_failed += failed
        return not lost and not failed

    def shutdown(self) -> None:
        """Export what waits and stop, within 1.2 seconds whatever the backend does."""
        within(_SHUTDOWN_SECONDS, self.stop)

    def stop(self) -> None:
        """Export what waits and stop, however long it takes."""
        stop: Callable[[], object] = self._batch.shutdown
        stop()

    def _after_fork(self) -> None:
        self._count = threading.Lock()
        self._taken = self._told_failed = self._told_lost = 0
        self._exporter.delivered = self._exporter.failed = 0


class MetricDelivery:
    """Knows whether metrics were delivered: the SDK's readers pass over what an export returned."""

    def __init__(self) -> None:
        self._failed = 0
        self._told = 0

    def watch(self, exporter: MetricExporter) -> None:
        """Look at the result of each export from now on."""
        export = exporter.export

        @functools.wraps(export)
        def watched(*args: object, **kwargs: object) -> object:
            try:
                result = export(*args, **kwargs)  # type: ignore[arg-type]
            except Exception:
                self._failed += 1
                raise
            self._failed += result.name != "SUCCESS"
            return result

        setattr(exporter, "export", watched)

    def complete(self) -> bool:
        """Return whether all exports since the last time succeeded."""
        failed = self._failed
        before, self._told = self._told, failed
        return failed == before


class _Helpers:
    """Runs work in daemon threads, and keeps some in reserve: a Python (3.12 on) that is ending starts no new ones."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._count = 0

    def reserve(self, count: int) -> None:
        while self._count < count:
            threading.Thread(target=self._serve, name="attune-reserve", daemon=True).start()
            self._count += 1

    def run(self, work: Callable[[], None]) -> bool:
        try:
            threading.Thread(target=work, name="attune-deadline", daemon=True).start()
        except RuntimeError:
            if not self._idle.acquire(blocking=False):
                return False
            self._work.put(work)
        return True

    def _serve(self) -> None:
        while True:
            self._idle.release()
            self._work.get()()


_helpers = _Helpers()


def reserve(count: int) -> None:
    """Start so many threads now for `within` and `all_within` at the end of the program."""
    _helpers.reserve(count)


def within(seconds: float, work: Callable[[], object]) -> bool:
    """Do the work in a helper thread and wait at most `seconds`; return whether it ended by then without failing."""
    return all_within(seconds, [work])


def all_within(seconds: float, work: Sequence[Callable[[], object]]) -> bool:
    """Do all of it at the same time; return whether all ended within `seconds` without failing."""
    deadline = time.monotonic() + seconds
    failed: list[BaseException] = []

    def do(one: Callable[[], object], ended: threading.Event) -> None:
        try:
            one()
        except Exception as error:
            failed.append(error)
        finally:
            ended.set()

    ends = [threading.Event() for _ in work]
    begun = [_helpers.run(functools.partial(do, one, ended)) for one, ended in zip(work, ends, strict=True)]
    done = [begin and end.wait(max(0.0, deadline - time.monotonic())) for begin, end in zip(begun, ends, strict=True)]
    return all(done) and not failed


_live: weakref.WeakSet[DeliveryProcessor] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    global _helpers
    _helpers = _Helpers()
    for processor in list(_live):
        processor._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
