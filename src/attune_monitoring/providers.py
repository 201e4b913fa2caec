"""configure, instrument, flush, shutdown: the only file that touches OpenTelemetry's globals.

Nothing is hijacked: implicit configuration uses a private provider and moves to the application's as soon as there is
one; only an explicit `configure()` becomes the global provider, and only where there is none.
"""

from __future__ import annotations

import atexit
import copy
import functools
import hashlib
import importlib
import logging
import os
import signal
import sys
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points, version
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry import metrics, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from attune_monitoring import semconv as sc
from attune_monitoring.config import Config, describe, fallback_config, load_config
from attune_monitoring.content import keeper
from attune_monitoring.delivery import DeliveryProcessor, MetricDelivery, all_within, reserve, within
from attune_monitoring.errors import ConfigError, MonitoringError
from attune_monitoring.exporters import Pipeline, RecorderProcessor, origin_of, pricing_of
from attune_monitoring.files import Files
from attune_monitoring.following import FollowingProvider
from attune_monitoring.mapping import SpanData, call_span
from attune_monitoring.metrics import Instruments
from attune_monitoring.observation import OBSERVABLE, observe
from attune_monitoring.otel_backend import SpanBackend
from attune_monitoring.otlp import metric_reader, span_exporter
from attune_monitoring.recorder import RECORDED_KEY, Recorder, Sink
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, encode_line, parse_time
from attune_monitoring.redaction import safe_url
from attune_monitoring.sampling import GIVEN_IDS, GivenIds, KeepRecords
from attune_monitoring.scope import HOOKS, scope_of

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader

__all__ = [
    "OpenTelemetryBackend",
    "active",
    "configure",
    "flush",
    "instrument",
    "log_llm_call",
    "log_workflow_run",
    "shutdown",
]

_log = logging.getLogger("attune_monitoring")
_SCHEMA = "https://opentelemetry.io/schemas/1.38.0"
_EXIT_SECONDS = 1.5
_VERSION = version("attune-monitoring")


class _Active:
    """What is configured and running."""

    def __init__(
        self,
        config: Config,
        *,
        readers: Sequence[MetricReader] = (),
        sinks: Sequence[Sink] = (),
        processors: Sequence[SpanProcessor] = (),
        isolated: bool = False,
    ) -> None:
        self.config = config
        self._isolated = isolated
        self.pipeline = Pipeline()
        self.private: TracerProvider | None = None
        self.meter_provider: MeterProvider | None = None
        self.tracer: trace.Tracer | None = None
        self.provider: trace.TracerProvider | None = None
        self.seen: tuple[object, object] | None = None
        self.attached: list[object] = []
        self.metered: list[object] = []
        self.delivery: list[DeliveryProcessor] = []
        self.moved = False
        pricing = pricing_of(config)
        self.files = _files(config)
        records: list[Sink] = [*([self.files] if self.files is not None else []), *sinks]
        self.recorder = Recorder(records, pricing, origin_of(config), content=config.content.on_spans)
        self._pricing = pricing
        self.fill_hooks()
        folder = os.fspath(config.storage_dir) if self.files is not None else f"memory {id(self)}"
        self._processors: list[SpanProcessor] = [RecorderProcessor(self.recorder, folder), *processors]
        self._named: list[DeliveryProcessor] = []
        self._metric_delivery = MetricDelivery()
        self.given_readers = tuple(readers)
        all_readers = list(readers)
        for otlp in config.otlp:
            if otlp.traces_endpoint is not None:
                delivery = DeliveryProcessor(span_exporter(otlp, otlp.traces_endpoint), safe_url(otlp.traces_endpoint))
                self.delivery.append(delivery)
                if otlp.from_file:
                    self._named.append(delivery)
            if otlp.metrics_endpoint is not None:
                all_readers.append(metric_reader(otlp, otlp.metrics_endpoint, self._metric_delivery))
        if all_readers:
            self._start_metrics(all_readers)
        if config.otlp:
            reserve(2 * len(self.delivery) + 1)
        self.pipeline.processors = (*self._processors, *self.delivery)

    def fill_hooks(self) -> None:
        """Let instrumented code use this."""
        HOOKS.pricing = self._pricing
        HOOKS.content = keeper(self.config.content)
        HOOKS.error_messages = self.config.error_messages
        HOOKS.stream_proxy = self.config.stream_proxy

    def _start_metrics(self, readers: Sequence[MetricReader]) -> None:
        from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider

        self.meter_provider = MeterProvider(
            readers,
            resource=self.resource(),
            exemplar_filter=AlwaysOffExemplarFilter(),
            shutdown_on_exit=False,
        )
        _OURS.add(self.meter_provider)
        self._meter(self.meter_provider)

    def _meter(self, provider: metrics.MeterProvider) -> None:
        meter = provider.get_meter(sc.SCOPE, _VERSION, _SCHEMA)
        files = self.files
        self.recorder.add_metrics(_MetricSink(Instruments(meter, lambda: files.dropped.total() if files else 0)))
        self.metered.append(provider)

    def resource(self) -> Resource:
        """Return what produces the telemetry; the instance id is one for each process."""
        found = Resource.create({"service.name": self.config.service_name})
        if "service.instance.id" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
            return found
        return found.merge(Resource({"service.instance.id": str(uuid.uuid4())}))

    def refresh(self) -> trace.Tracer:
        """Look at the globals again, and use the application's providers where there are any."""
        seen = tracer_provider, meter_provider = _globals()
        if self._isolated:
            tracer_provider = meter_provider = None
        if tracer_provider is not None and tracer_provider not in _OURS:
            self._move_to(tracer_provider)
        elif self.provider is None:
            self.provider = self.private_provider()
        if meter_provider is not None and meter_provider not in _OURS and meter_provider not in self.metered:
            self._meter(meter_provider)
        if self.tracer is None and self.provider is not None:
            self.tracer = self._tracer_of(self.provider)
        assert self.tracer is not None  # noqa: S101 - for the type checker
        self.seen = seen  # last: other threads take it as the sign that the tracer is there
        return self.tracer

    def private_provider(self) -> TracerProvider:
        """Return the provider of ours: the one that an earlier `configure` made the global one, else a new one."""
        if self.private is None:
            ratio = self.config.sampling_ratio
            root = ALWAYS_ON if ratio >= 1 else TraceIdRatioBased(ratio)
            sampler = KeepRecords(ParentBased(root) if self.config.parent_based else root)
            known = None if self._isolated else _globals()[0]
            if isinstance(known, TracerProvider) and known in _OURS:
                self.private = known
                self.private.sampler = sampler
            else:
                self.private = TracerProvider(sampler=sampler, resource=self.resource(), shutdown_on_exit=False)
                _OURS.add(self.private)
            self.private.add_span_processor(self.pipeline)
        return self.private

    def _move_to(self, provider: trace.TracerProvider) -> None:
        add = getattr(provider, "add_span_processor", None)
        if add is None:  # not of the SDK: ours goes on, with the application's spans as parents
            _log.info("The application's %s takes no span processors; using a private one.", type(provider).__name__)
            self.provider = self.private_provider()
            return
        if provider not in self.attached:
            if not self.moved:
                self.moved = True
                # The application exports its spans itself: OTLP of ours only where monitoring.yaml names it.
                self.pipeline.processors = (*self._processors, *self._named)
            add(self.pipeline)
            self.attached.append(provider)
        if self.provider is not provider:
            self.provider = provider
            self.tracer = None

    def _tracer_of(self, provider: trace.TracerProvider) -> trace.Tracer:
        tracer: Any = provider.get_tracer(sc.SCOPE, _VERSION, _SCHEMA)
        if provider is self.private:
            tracer.sampler = self.private.sampler
        # Of an application's provider only our own tracer is wrapped: its other spans follow its own sampler.
        elif hasattr(tracer, "sampler") and not isinstance(tracer.sampler, KeepRecords):
            tracer.sampler = KeepRecords(tracer.sampler)
        result: trace.Tracer = tracer
        return result

    def flush(self, timeout: float) -> bool:
        """Deliver what waits, within `timeout` seconds; return whether all of it was."""
        deadline = time.monotonic() + timeout
        done = self.files.flush(timeout) if self.files is not None else True
        for delivery in self.delivery:
            left = max(0.0, deadline - time.monotonic())
            done = delivery.force_flush(int(left * 1000)) and done
        if self.meter_provider is not None:
            left = max(0.0, deadline - time.monotonic())
            provider = self.meter_provider
            done = within(left, lambda: _require(provider.force_flush(left * 1000))) and done
        return self._metric_delivery.complete() and done

    def shutdown(self, timeout: float) -> bool:
        """Flush and stop everything of ours, all of it together within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        self.recorder.close()
        results: list[bool] = []

        def deliver(delivery: DeliveryProcessor) -> None:
            results.append(delivery.deliver())
            delivery.stop()

        work: list[Callable[[], object]] = [functools.partial(deliver, delivery) for delivery in self.delivery]
        if self.meter_provider is not None:
            work.append(self.meter_provider.shutdown)
        done = all_within(timeout, work)
        if self.files is not None:
            done = self.files.close(max(0.0, deadline - time.monotonic())) and done
        return self._metric_delivery.complete() and done and all(results)


class _MetricSink:
    """Records to metrics; a failure there never loses the record."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments

    def call(self, record: LLMCallRecord) -> None:
        try:
            self._instruments.call(record)
        except Exception as error:
            HOOKS.failed("metrics", error)

    def run(self, record: WorkflowRunRecord) -> None:
        try:
            self._instruments.run(record)
        except Exception as error:
            HOOKS.failed("metrics", error)


_OURS: weakref.WeakSet[Any] = weakref.WeakSet()
"""Providers that this module has made; any other is the application's."""
_lock = threading.RLock()
_active: _Active | None = None
_off = False
_registered = False
_stale = False


def configure(
    path: str | Path | None = None,
    *,
    metric_readers: Iterable[MetricReader] = (),
    **overrides: Any,
) -> Config:
    """Configure explicitly, and become the global provider where the application has none.

    Without a call, the first use of a decorator configures itself from monitoring.yaml, the environment and defaults.

    Args:
        path: a configuration file; by default `EMPATHY_CONFIG`, else the nearest monitoring.yaml.
        metric_readers: further readers of the metrics (OpenTelemetry SDK), for instance a Prometheus one.
        overrides: keys of monitoring.yaml that win over everything else, for instance `storage_dir="…"`.

    Returns:
        What is active now.

    Raises:
        ConfigError: with every fault of the file and the environment, each with its place.
    """
    global _active, _off
    config = load_config(path, **overrides)
    with _lock:
        if _active is not None and _active._isolated:
            return config  # the code under test configures itself, but a test is capturing
        previous, _active = _active, None
        if previous is not None:
            _retire(previous)
        _off = not config.enabled
        if not config.enabled:
            return config
        _active = _start(config, readers=tuple(metric_readers))
        if _globals()[0] is None:
            _active.refresh()
            trace.set_tracer_provider(_active.private_provider())
        if _globals()[1] is None and _active.meter_provider is not None:
            metrics.set_meter_provider(_active.meter_provider)
        _active.refresh()
        _instrument_configured(config)
    return config


@contextmanager
def isolated(
    config: Config, *, readers: Sequence[MetricReader], sinks: Sequence[Sink], processors: Sequence[SpanProcessor]
) -> Iterator[Callable[[], None]]:
    """Send everything recorded inside to these and nowhere else; for tests. Yields what ends open runs."""
    global _active, _off
    with _lock:
        before = _active, _off
        _active = _Active(config, readers=readers, sinks=sinks, processors=processors, isolated=True)
        _off = False
        inside = _active
    try:
        yield inside.recorder.close
    finally:
        inside.recorder.close()
        with _lock:
            _active, _off = before
            if _active is not None:
                _active.fill_hooks()
        if inside.meter_provider is not None:
            inside.meter_provider.shutdown()


def active() -> Config | None:
    """Return the configuration in force, or None where nothing has been recorded yet or telemetry is off."""
    return _active.config if _active is not None else None


def flush(timeout: float = 5.0) -> bool:
    """Deliver everything that waits.

    Args:
        timeout: seconds to wait at most.

    Returns:
        Whether all records and spans since the last flush are delivered (on disk, taken by the backend).
    """
    current = _active
    try:
        return current.flush(timeout) if current is not None else True
    except Exception as error:
        HOOKS.failed("flush", error)
        return False


def shutdown(timeout: float = 1.5) -> bool:
    """Flush and stop; the next use begins anew. At the program's exit this happens by itself.

    Args:
        timeout: seconds that it may take.

    Returns:
        Whether everything was delivered.
    """
    global _active
    if _active is not None and _active._isolated:
        return flush(timeout)  # a test is capturing: that goes on
    with _lock:
        current, _active = _active, None
    if current is None:
        return True
    try:
        return _retire(current, timeout)
    except Exception as error:
        HOOKS.failed("shutdown", error)
        return False


def log_llm_call(record: LLMCallRecord) -> None:
    """Record a call that has been made already: one line, one span with its real times, and the metrics.

    Args:
        record: the call. With a `run_id`, its span lies in the trace of that run.
    """
    try:
        emit_call(record)
    except Exception as error:
        HOOKS.failed("log_llm_call", error)


def log_workflow_run(record: WorkflowRunRecord) -> None:
    """Record a workflow run that has ended already: its lines, a span with one for each stage, and the metrics.

    Args:
        record: the run.
    """
    try:
        emit_run(record)
    except Exception as error:
        HOOKS.failed("log_workflow_run", error)


def emit_call(record: LLMCallRecord, *, recorded: bool = False) -> None:
    """Make the span of a record; `recorded`: its line is written already."""
    span = call_span(record)
    current = scope_of()
    inherited = {key: value for key, value in current.attributes.items() if key not in span.attributes}
    span.attributes = {**inherited, **span.attributes}
    run_id = record.run_id or record.metadata.get("run_id")
    parent = _parent_of(record.trace_id, record.parent_span_id, run_id if current.run is None else None)
    _emit(span, parent, SpanKind.CLIENT, recorded=recorded)


def emit_run(record: WorkflowRunRecord, *, recorded: bool = False) -> None:
    """Make the spans of a run's record; `recorded`: its lines are written already."""
    trace_id, span_id = _ids_of_run(record.run_id)
    start = _nanoseconds(record.started_at)
    end = _nanoseconds(record.completed_at) if record.completed_at else start + record.total_duration_ms * 1_000_000
    root = SpanData(
        name=f"{sc.INVOKE_WORKFLOW} {record.workflow_name}",
        attributes={
            sc.OPERATION: sc.INVOKE_WORKFLOW,
            sc.AGENT_NAME: record.workflow_name,
            sc.WORKFLOW_NAME: record.workflow_name,
            sc.RUN_ID: record.run_id,
            sc.RECORD: encode_line(record.to_details()).decode(),
        },
        start_ns=start,
        end_ns=max(start, end),
        trace_id=record.trace_id or f"{trace_id:032x}",
        span_id=record.span_id or f"{span_id:016x}",
        failed=not record.success and not record.cancelled,
        status_message=record.error,
    )
    if root.failed:
        root.attributes = {**root.attributes, sc.ERROR_TYPE: record.error_type or "_OTHER"}
    _emit(root, _parent_of(root.trace_id, record.parent_span_id, None), SpanKind.INTERNAL, recorded=recorded)
    inside = _parent_of(root.trace_id, root.span_id, None)
    for stage in record.stages:
        begin = _nanoseconds(stage.started_at) if stage.started_at else start
        start = max(start, begin + stage.latency_ms * 1_000_000)
        attributes: dict[str, Any] = {
            sc.SPAN_KIND: "stage",
            sc.STAGE_NAME: stage.stage_name,
            sc.TIER: stage.tier,
            sc.WORKFLOW_NAME: record.workflow_name,
            sc.STAGE_SKIPPED: stage.skipped,
        }
        if stage.model_id:
            attributes[sc.REQUEST_MODEL] = stage.model_id
        failed = not (stage.success or stage.skipped or stage.cancelled)
        if failed:
            attributes[sc.ERROR_TYPE] = "_OTHER"
        span = SpanData(
            name=f"stage {stage.stage_name}",
            attributes=attributes,
            start_ns=begin,
            end_ns=begin + stage.latency_ms * 1_000_000,
            trace_id=root.trace_id,
            failed=failed,
            status_message=stage.error,
        )
        _emit(span, inside, SpanKind.INTERNAL, recorded=True)


class _Emitter:
    def call(self, record: LLMCallRecord) -> None:
        emit_call(record, recorded=True)

    def run(self, record: WorkflowRunRecord) -> None:
        emit_run(record, recorded=True)


class OpenTelemetryBackend(SpanBackend):
    """Records to spans and metrics of the pipeline in force; writes no files, so one beside a store writes no line twice.

    Where the spans go is the configuration's matter (monitoring.yaml, `OTEL_EXPORTER_OTLP_ENDPOINT`).
    """

    def __init__(self) -> None:
        super().__init__(_Emitter(), flush)


def instrument(*names: str) -> list[str]:
    """Turn on the official OpenTelemetry GenAI instrumentations that are installed.

    The program's calls are then recorded without touching its code. Install them with the extras of the same names.

    Args:
        names: `openai`, `anthropic` …; all that are installed by default.

    Returns:
        The names of those that are on.
    """
    found = {point.name: point for point in entry_points(group="opentelemetry_instrumentor") if _is_genai(point)}
    turned_on = []
    provider = FollowingProvider(_tracer_provider)
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


def _emit(span: SpanData, context: otel_context.Context, kind: SpanKind, *, recorded: bool) -> None:
    tracer: Any = _tracer()
    if tracer is None:
        return
    if hasattr(tracer, "id_generator"):
        tracer = copy.copy(tracer)  # the same but for the ids, which the record may bring with it
        tracer.id_generator = GivenIds(tracer.id_generator)
    if recorded:
        context = otel_context.set_value(RECORDED_KEY, True, context)
    ids = (_hexadecimal(span.trace_id), _hexadecimal(span.span_id))
    token = GIVEN_IDS.set(ids)
    try:
        made = tracer.start_span(span.name, context, kind, dict(span.attributes), start_time=span.start_ns)
    finally:
        GIVEN_IDS.reset(token)
    if span.failed:
        made.set_status(Status(StatusCode.ERROR, span.status_message))
    made.end(span.end_ns)


def _parent_of(trace_id: str | None, parent_id: str | None, run_id: object) -> otel_context.Context:
    """The context of a span handed in: below its named parent, else below its run, else below what is current."""
    context = otel_context.get_current()
    trace_number, parent_number = _hexadecimal(trace_id), _hexadecimal(parent_id)
    if (trace_number is None or parent_number is None) and isinstance(run_id, str) and trace_id is None:
        trace_number, parent_number = _ids_of_run(run_id)
    if trace_number is None:
        return context
    if parent_number is None:  # a root of its own trace
        return trace.set_span_in_context(trace.INVALID_SPAN, context)
    above = SpanContext(trace_number, parent_number, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return trace.set_span_in_context(NonRecordingSpan(above), context)


def _ids_of_run(run_id: str) -> tuple[int, int]:
    """The same run is in the same trace, whoever logs its calls and whenever."""
    digest = hashlib.sha256(run_id.encode()).digest()
    return int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:24]) or 1


def _hexadecimal(text: str | None) -> int | None:
    try:
        return int(text, 16) if text else None
    except ValueError:
        return None


def _nanoseconds(timestamp: str) -> int:
    moment = parse_time(timestamp)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


def _files(config: Config) -> Files | None:
    settings = config.jsonl
    if settings is None:
        return None
    return Files(
        config.storage_dir,
        write=settings.write,
        fsync=settings.fsync,
        segment_bytes=settings.segment_bytes,
        queue_size=settings.queue_size,
    )


def _require(done: object) -> None:
    if done is False:
        raise MonitoringError("not everything was delivered")


def _globals() -> tuple[trace.TracerProvider | None, metrics.MeterProvider | None]:
    return _global_tracer_provider(), _global_meter_provider()


def _global_tracer_provider() -> trace.TracerProvider | None:
    # The public getter reads the environment each time (2 µs) and cannot say that there is none yet.
    return getattr(trace, "_TRACER_PROVIDER", None)


def _global_meter_provider() -> metrics.MeterProvider | None:
    return getattr(sys.modules.get("opentelemetry.metrics._internal"), "_METER_PROVIDER", None)


def _tracer() -> trace.Tracer | None:
    """Return the tracer to use now: the hot path of every span of ours."""
    current = _active
    if current is not None and not _stale:
        seen = current.seen
        if seen is not None and seen[0] is trace._TRACER_PROVIDER and seen[1] is _metrics_internal._METER_PROVIDER:
            return current.tracer
    if _off:
        return None
    return _ensure()


_metrics_internal: Any = importlib.import_module("opentelemetry.metrics._internal")


def _ensure() -> trace.Tracer | None:
    global _active, _off, _stale
    with _lock:
        if _stale:
            _stale = False
            _on_multiprocessing_exit()
            if _active is not None and _active.config.otlp and not _active.given_readers:
                _active.pipeline.processors = ()  # their threads are the parent's
                _active = _start(_active.config)
        if _active is None:
            try:
                config = load_config()
            except ConfigError as error:
                _log.error(
                    "The configuration is not used; recording to the local folder with defaults instead:\n%s", error
                )
                config = fallback_config()
            if not config.enabled:
                _off = True
                return None
            _active = _start(config)
            _active.refresh()
            _instrument_configured(config)
        return _active.refresh()


def _instrument_configured(config: Config) -> None:
    if config.instrument:
        instrument(*(config.instrument if isinstance(config.instrument, tuple) else ()))


def _tracer_provider() -> trace.TracerProvider | None:
    return _active.provider if _tracer() is not None and _active is not None else None


def _start(config: Config, *, readers: Sequence[MetricReader] = (), sinks: Sequence[Sink] = ()) -> _Active:
    global _registered
    started = _Active(config, readers=readers, sinks=sinks)
    for line in describe(config):
        _log.info("%s", line)
    for warning in config.warnings:
        _log.warning("%s", warning)
    if not _registered:
        _registered = True
        atexit.register(_at_exit)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_after_fork_in_child)
    if config.otlp:
        _on_sigterm()
    _on_multiprocessing_exit()
    return started


def _retire(current: _Active, timeout: float = _EXIT_SECONDS) -> bool:
    done = current.shutdown(timeout)
    current.pipeline.processors = ()
    return done


def _at_exit() -> None:
    shutdown(_EXIT_SECONDS)


def _after_fork_in_child() -> None:
    global _stale, _lock
    _lock = threading.RLock()
    _stale = True


def _on_multiprocessing_exit() -> None:
    # A child of multiprocessing ends without atexit, but runs these.
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.Finalize(None, _at_exit, exitpriority=0)


def _on_sigterm() -> None:
    """Flush before a SIGTERM ends the process, where nothing else handles it."""
    if threading.current_thread() is not threading.main_thread():
        return
    if not hasattr(signal, "SIGTERM") or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return

    def handle(number: int, frame: FrameType | None) -> None:
        # In a helper thread: the interrupted code may hold the very locks that a flush needs.
        within(_EXIT_SECONDS, _at_exit)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, handle)


HOOKS.tracer = _tracer
HOOKS.wired = True
