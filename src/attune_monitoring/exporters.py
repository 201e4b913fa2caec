"""The seams to the OpenTelemetry SDK: the recorder as a span processor, the JSONL exporter, the OTLP exporters.

Failures of ours end here: counted, logged once, never seen by the instrumented program.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode

from attune_monitoring import semconv as sc
from attune_monitoring.config import load_config
from attune_monitoring.files import Files
from attune_monitoring.mapping import Origin, SpanData
from attune_monitoring.pricing import Pricing
from attune_monitoring.recorder import Recorder, this_process
from attune_monitoring.scope import HOOKS

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.metrics.export import MetricReader

    from attune_monitoring.config import Config, OtlpConfig

__all__ = [
    "DeliveryProcessor",
    "JSONLSpanExporter",
    "Pipeline",
    "RecorderProcessor",
    "all_within",
    "metric_reader",
    "pricing_of",
    "span_data",
    "within",
]

_log = logging.getLogger("attune_monitoring.exporters")
_SHUTDOWN_SECONDS = 1.5


def span_data(span: ReadableSpan) -> SpanData:
    """Return what mapping needs of an ended span."""
    context = span.context
    parent = span.parent
    scope = span.instrumentation_scope
    status = span.status
    failed = status.status_code is StatusCode.ERROR
    # A plain dictionary lies inside; reading through the proxy of the public property costs six times as much.
    attributes = getattr(span._attributes, "_dict", None)
    trace_id = span_id = None
    if context is not None:
        trace_id, span_id = f"{context.trace_id:032x}", f"{context.span_id:016x}"
    return SpanData(
        span.name,
        dict(span.attributes or {}) if attributes is None else attributes,
        span.start_time or 0,
        span.end_time or 0,
        trace_id,
        span_id,
        f"{parent.span_id:016x}" if parent is not None else None,
        failed,
        status.description if failed else None,
        _exceptions(span) if failed else (),
        scope.name if scope is not None else None,
        scope.version if scope is not None else None,
    )


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
    marks = span.__dict__.get("_attune_recorded")
    if marks is None:
        span.__dict__["_attune_recorded"] = folder
        return True
    if folder[0] in marks:
        return False
    span.__dict__["_attune_recorded"] = (*marks, *folder)
    return True


class RecorderProcessor(SpanProcessor):
    """Hands spans to a recorder, at their start and at their end, in the caller's thread."""

    def __init__(self, recorder: Recorder, folder: str) -> None:
        self.recorder = recorder
        self._folder = (folder,)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note what surrounds the span."""
        try:
            parent = span.parent
            scope = span.instrumentation_scope
            self.recorder.started(
                span.context.span_id,
                None if parent is None or parent.is_remote else parent.span_id,
                span.name,
                span._attributes,  # type: ignore[arg-type]  # live, and a Mapping
                parent_context,
                scope is not None and scope.name == sc.SCOPE,
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
        return all([processor.force_flush(timeout_millis) for processor in self.processors])


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
            fresh = [span for span in spans if _mark(span, self._folder)]
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


def pricing_of(config: Config) -> Pricing:
    """Return the price list that the configuration describes."""
    pricing = config.pricing
    return Pricing(
        overrides=pricing.overrides,
        aliases=pricing.aliases,
        tiers=pricing.tiers,
        premium_models=pricing.premium_models,
        live=pricing.live,
    )


class _CountingExporter(SpanExporter):
    """Knows what became of each span, which the SDK's own flush does not tell."""

    def __init__(self, exporter: SpanExporter, where: str) -> None:
        self._exporter = exporter
        self._where = where
        self._warned = False
        self.delivered = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception as error:
            HOOKS.failed("OTLP export", error)
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self.delivered += len(spans)
        elif not self._warned:
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
        self._given_up = 0
        self._count = threading.Lock()
        _live.add(self)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing to do."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a sampled span."""
        if span.context is not None and span.context.trace_flags.sampled:
            with self._count:
                self._taken += 1
            self._batch.on_end(span)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Export what waits, for at most this long; return whether all since the last flush was delivered."""
        done = within(timeout_millis / 1000, lambda: self._batch.force_flush(timeout_millis))
        with self._count:
            missing = self._taken - self._exporter.delivered - self._given_up
            if done:
                self._given_up += missing
        return done and missing == 0

    def shutdown(self) -> None:
        """Export what waits and stop, within 1.5 seconds whatever the backend does."""
        within(_SHUTDOWN_SECONDS, self._batch.shutdown)

    def _after_fork(self) -> None:
        self._count = threading.Lock()
        self._taken = self._given_up = self._exporter.delivered = 0


_live: weakref.WeakSet[DeliveryProcessor] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for processor in list(_live):
        processor._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def within(seconds: float, work: Callable[[], object]) -> bool:
    """Do the work in a helper thread and wait at most `seconds`; return whether it ended by then without failing."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="attune-deadline", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the interpreter is going down and starts no threads any more
        return False
    deadline = time.monotonic() + seconds
    thread.join(max(0.0, deadline - time.monotonic()))
    return not thread.is_alive() and not failed


def all_within(seconds: float, work: Sequence[Callable[[], object]]) -> bool:
    """Do all of it at the same time; return whether all ended within `seconds` without failing."""
    results: list[bool] = []

    def do(one: Callable[[], object]) -> None:
        results.append(within(seconds, one))

    threads = [threading.Thread(target=do, args=(one,), name="attune-shutdown", daemon=True) for one in work]
    deadline = time.monotonic() + seconds
    try:
        for thread in threads:
            thread.start()
    except RuntimeError:  # the interpreter is going down
        return False
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return len(results) == len(work) and all(results)


def span_exporter(otlp: OtlpConfig, endpoint: str) -> SpanExporter:
    """Return the OTLP exporter of spans that is configured; only its own protocol's modules are imported."""
    _quiet()
    if otlp.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter

        with _no_exporter_variables():
            return GrpcExporter(**_grpc_arguments(otlp, endpoint))
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter

    with _no_exporter_variables():
        return HttpExporter(**_http_arguments(otlp, endpoint))


def metric_reader(otlp: OtlpConfig, endpoint: str) -> MetricReader:
    """Return the periodic reader that sends metrics by OTLP, in the temporality that is configured."""
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    _quiet()
    temporality = _temporality(otlp.temporality)
    if otlp.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter

        with _no_exporter_variables():
            arguments = _grpc_arguments(otlp, endpoint)
            return PeriodicExportingMetricReader(GrpcExporter(preferred_temporality=temporality, **arguments))
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpExporter

    with _no_exporter_variables():
        arguments = _http_arguments(otlp, endpoint)
        return PeriodicExportingMetricReader(HttpExporter(preferred_temporality=temporality, **arguments))


def _temporality(preference: str) -> dict[type, Any]:
    """The OTLP exporter specification's preferences: delta leaves up-down counters cumulative."""
    from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter
    from opentelemetry.sdk.metrics.export import AggregationTemporality

    delta = AggregationTemporality.DELTA
    if preference == "delta":
        return {Counter: delta, ObservableCounter: delta, Histogram: delta}
    if preference == "lowmemory":
        return {Counter: delta, Histogram: delta}
    return {}


def _grpc_arguments(otlp: OtlpConfig, endpoint: str) -> dict[str, Any]:
    import grpc

    arguments: dict[str, Any] = {
        "endpoint": endpoint,
        "insecure": otlp.insecure,
        "headers": tuple((key.lower(), value) for key, value in otlp.headers.items()) or None,
        "timeout": otlp.timeout,
        "compression": grpc.Compression.Gzip if otlp.compression == "gzip" else grpc.Compression.NoCompression,
    }
    if not otlp.insecure and (otlp.certificate or otlp.client_certificate):
        arguments["credentials"] = grpc.ssl_channel_credentials(
            _read(otlp.certificate), _read(otlp.client_key), _read(otlp.client_certificate)
        )
    return arguments


def _http_arguments(otlp: OtlpConfig, endpoint: str) -> dict[str, Any]:
    from opentelemetry.exporter.otlp.proto.http import Compression

    return {
        "endpoint": endpoint,
        "headers": dict(otlp.headers),
        "timeout": otlp.timeout,
        "compression": Compression.Gzip if otlp.compression == "gzip" else Compression.NoCompression,
        "certificate_file": otlp.certificate,
        "client_key_file": otlp.client_key,
        "client_certificate_file": otlp.client_certificate,
    }


def _read(path: str | None) -> bytes | None:
    return Path(path).read_bytes() if path else None


@contextlib.contextmanager
def _no_exporter_variables() -> Iterator[None]:
    """Hide `OTEL_EXPORTER_OTLP_…` while an exporter is built: Config has read them, for the backend they are meant for.

    The SDK's exporters merge them into every one, so that a second backend would be sent the first one's keys.
    """
    with _building:
        hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("OTEL_EXPORTER_OTLP_")}
        try:
            yield
        finally:
            os.environ.update(hidden)


_building = threading.Lock()


def _quiet() -> None:
    # Without a handler Python prints every retry of a dead backend to stderr. We say it once ourselves; a program that
    # has configured logging still gets all of it.
    logger = logging.getLogger("opentelemetry")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def origin_of(config: Config) -> Origin:
    """Return where the records of this process come from."""
    return this_process(config.service_name)
