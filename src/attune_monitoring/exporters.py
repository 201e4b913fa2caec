"""The seams to the OpenTelemetry SDK: the recorder as a span processor, and the JSONL exporter.

Failures of ours end here: counted, logged once, never seen by the instrumented program.
"""

from __future__ import annotations

import contextlib
import operator
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode

from attune_monitoring import semconv as sc
from attune_monitoring.config import load_config, pricing_of
from attune_monitoring.delivery import all_within
from attune_monitoring.files import Files
from attune_monitoring.mapping import Origin, SpanData
from attune_monitoring.recorder import Recorder, stands_alone, this_process
from attune_monitoring.scope import HOOKS

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from attune_monitoring.config import Config

__all__ = [
    "JSONLSpanExporter",
    "Pipeline",
    "RecorderProcessor",
    "origin_of",
    "span_data",
]

_SHUTDOWN_SECONDS = 1.2


def span_data(span: ReadableSpan) -> SpanData:
    """Return what mapping needs of an ended span."""
    try:
        name, context, parent, start, end, code, message, scope, version, attributes = _inside(span)
        trace_id, span_id = context[:2]
    except (AttributeError, TypeError):  # another version of the SDK, or no context or no scope
        name, context, parent, start, end, code, message = _public(span)
        scope, version = None, None
        if span.instrumentation_scope is not None:
            scope, version = span.instrumentation_scope.name, span.instrumentation_scope.version
        trace_id, span_id = (None, None) if context is None else (context.trace_id, context.span_id)
        attributes = dict(span.attributes or {})
    failed = code is _FAILED
    return SpanData(
        name,
        attributes,
        start or 0,
        end or 0,
        None if trace_id is None else trace_id.to_bytes(16).hex(),  # in half the time of format()
        None if span_id is None else span_id.to_bytes(8).hex(),
        None if parent is None else parent.span_id.to_bytes(8).hex(),
        failed,
        message if failed else None,
        _exceptions(span) if failed else (),
        scope,
        version,
    )


# Each public property is a call, and that of the attributes a proxy that copies: behind them lie plain values.
_inside = operator.attrgetter(
    "_name",
    "_context",
    "_parent",
    "_start_time",
    "_end_time",
    "_status._status_code",
    "_status._description",
    "_instrumentation_scope._name",
    "_instrumentation_scope._version",
    "_attributes._dict",
)
_public = operator.attrgetter(
    "name", "context", "parent", "start_time", "end_time", "status.status_code", "status.description"
)
_FAILED = StatusCode.ERROR


def _exceptions(span: ReadableSpan) -> list[tuple[str | None, str | None]]:
    return [
        (_text(event.attributes.get("exception.type")), _text(event.attributes.get("exception.message")))
        for event in span.events
        if event.name == "exception" and event.attributes
    ]


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _mark(span: ReadableSpan, folder: tuple[str]) -> bool:
    """Note on the span that it is recorded in `folder`; return whether it was not before.

    All processors of a provider are given the same object, so a recorder and an exporter, or two of either, write
    one line of it.
    """
    marks: tuple[str, ...] = getattr(span, "_attune_recorded", ())
    if folder[0] in marks:
        return False
    span._attune_recorded = (*marks, *folder) if marks else folder  # type: ignore[attr-defined]
    return True


class RecorderProcessor(SpanProcessor):
    """Hands spans to a recorder, at their start and at their end, in the caller's thread."""

    def __init__(self, recorder: Recorder, folder: str) -> None:
        self.recorder = recorder
        self._folder = (folder,)
        self._own_scope: object = self
        """Of our own spans, once one was seen: all of a tracer's spans share it."""
        _live.add(self)

    def awaits(self, span: ReadableSpan, folder: tuple[str]) -> bool:
        """Return whether this recorder has seen the span begin, and will record it in that folder when told its end."""
        return folder == self._folder and span.context is not None and self.recorder.awaits(span.context.span_id)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note what surrounds the span."""
        try:
            scope = span.instrumentation_scope
            own = scope is self._own_scope
            if not own and scope is not None and scope.name == sc.SCOPE:
                self._own_scope, own = scope, True
            if own and (not parent_context or stands_alone(parent_context)):
                return
            parent = span.parent
            self.recorder.started(
                span.context.span_id,
                None if parent is None or parent.is_remote else parent.span_id,
                span.name,
                span._attributes,  # type: ignore[arg-type]  # live, and a Mapping
                parent_context,
                own,
            )
        except Exception as error:
            HOOKS.failed("the recorder", error)

    def on_end(self, span: ReadableSpan) -> None:
        """Write what the span stands for."""
        try:
            if _mark(span, self._folder):
                self.recorder.ended(span_data(span))
        except Exception as error:
            HOOKS.failed("the recorder", error)

    def shutdown(self) -> None:
        """Write the runs that have not ended."""
        try:
            self.recorder.close()
        except Exception as error:
            HOOKS.failed("the recorder", error)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing waits here."""
        return True


_live: weakref.WeakSet[RecorderProcessor] = weakref.WeakSet()


class Pipeline(SpanProcessor):
    """Processors that can be exchanged: a provider takes processors and never gives them back."""

    def __init__(self) -> None:
        self.processors: tuple[SpanProcessor, ...] = ()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Pass on."""
        for processor in self.processors:
            processor.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Pass on."""
        for processor in self.processors:
            processor.on_end(span)

    def _on_ending(self, span: Span) -> None:
        return

    def shutdown(self) -> None:
        """Shut all down at the same time: one dead backend must not take the time of the others."""
        all_within(_SHUTDOWN_SECONDS, [processor.shutdown for processor in self.processors])

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush all; return whether all was delivered."""
        done = [processor.force_flush(timeout_millis) for processor in self.processors]
        return all(done)


class JSONLSpanExporter(SpanExporter):
    """Keeps `.empathy/llm_calls.jsonl` and `.empathy/workflow_runs.jsonl` in any OpenTelemetry setup.

    Registered as `attune_jsonl`, so `OTEL_TRACES_EXPORTER=attune_jsonl` and declarative configuration know it. Alone it
    sees what its span processor gives it: sampled spans only, and those of a batch that was never exported not at all.

    Args:
        storage_dir: the folder; by default as configured (`EMPATHY_STORAGE_DIR`, monitoring.yaml, nearest `.empathy`).
        config: the configuration; by default what is found.
    """

    def __init__(self, storage_dir: str | Path | None = None, *, config: Config | None = None) -> None:
        config = config or load_config()
        folder = Path(storage_dir) if storage_dir is not None else config.storage_dir
        settings = config.jsonl
        self._files = (
            Files(folder)
            if settings is None
            else Files(
                folder,
                write=settings.write,
                fsync=settings.fsync,
                segment_bytes=settings.segment_bytes,
                queue_size=settings.queue_size,
            )
        )
        self._folder = (os.fspath(folder.absolute()),)
        self._service: str | None = None
        self._config = config
        self._recorder: Recorder | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the records of these spans; SUCCESS where all were taken by the system."""
        try:
            recorders = list(_live)
            fresh = [
                span
                for span in spans
                if not any(recorder.awaits(span, self._folder) for recorder in recorders) and _mark(span, self._folder)
            ]
            if not fresh:
                return SpanExportResult.SUCCESS
            before = self._files.dropped.total()
            self._recorder_for(fresh[0]).adopt([span_data(span) for span in fresh])
            return SpanExportResult.SUCCESS if self._files.dropped.total() == before else SpanExportResult.FAILURE
        except Exception as error:
            HOOKS.failed("the JSONL exporter", error)
            return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Write the runs that have not ended, and close."""
        with contextlib.suppress(Exception):
            if self._recorder is not None:
                self._recorder.close()
            self._files.close(_SHUTDOWN_SECONDS)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Return whether all was written."""
        return self._files.flush(timeout_millis / 1000)

    def _recorder_for(self, span: ReadableSpan) -> Recorder:
        if self._recorder is None:
            service = span.resource.attributes.get("service.name")
            origin = this_process(str(service) if service else self._config.service_name)
            content = self._config.content.on_spans
            self._recorder = Recorder([self._files], pricing_of(self._config), origin, content=content)
        return self._recorder


def origin_of(config: Config) -> Origin:
    """Return where the records of this process come from."""
    return this_process(config.service_name)
