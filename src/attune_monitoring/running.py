"""What is configured and running: providers, recorder, files, exporters and metrics, built from one Config."""

from __future__ import annotations

import functools
import importlib
import logging
import os
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, TraceIdRatioBased

from attune_monitoring import semconv as sc
from attune_monitoring.budgets.block import ask_blocks
from attune_monitoring.config import Config, pricing_of
from attune_monitoring.content import keeper
from attune_monitoring.delivery import DeliveryProcessor, MetricDelivery, all_within, reserve
from attune_monitoring.errors import MonitoringError
from attune_monitoring.exporters import Pipeline, RecorderProcessor, origin_of
from attune_monitoring.files import Files
from attune_monitoring.metrics import Instruments
from attune_monitoring.otlp import metric_reader, span_exporter
from attune_monitoring.recorder import Recorder, Sink
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord
from attune_monitoring.redaction import safe_url
from attune_monitoring.sampling import KeepRecords
from attune_monitoring.scope import HOOKS

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader

    from attune_monitoring.budgets.limits import Limits, SpentReader

__all__ = ["OURS", "Running"]

_log = logging.getLogger("attune_monitoring")
_SCHEMA = "https://opentelemetry.io/schemas/1.38.0"
_VERSION = version("attune-monitoring")

OURS: weakref.WeakSet[Any] = weakref.WeakSet()
"""Providers made here; any other is the application's."""

_instance_id = str(uuid.uuid4())
"""The service.instance.id: spans and metrics of one process carry the same, those of a forked child another."""


def _after_fork_in_child() -> None:
    global _instance_id
    _instance_id = str(uuid.uuid4())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class Running:
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
        self._own_metrics: Sink | None = None
        self.delivery: list[DeliveryProcessor] = []
        self.moved = False
        pricing = pricing_of(config)
        self.files = _files(config)
        records: list[Sink] = [*([self.files] if self.files is not None else []), *sinks]
        self.recorder = Recorder(records, pricing, origin_of(config), content=config.content.on_spans)
        self._pricing = pricing
        self._limits = self._watch_budgets() if config.budgets else None
        self.fill_hooks()
        folder = os.fspath(config.storage_dir) if self.files is not None else f"memory {id(self)}"
        self._processors: list[SpanProcessor] = [RecorderProcessor(self.recorder, folder), *processors]
        self._named: list[DeliveryProcessor] = []
        self._metric_delivery = MetricDelivery()
        self.given_readers = tuple(readers)
        self._readers = list(readers)
        self._unnamed_readers: list[MetricReader] = []
        for otlp in config.otlp:
            if otlp.traces_endpoint is not None:
                delivery = DeliveryProcessor(span_exporter(otlp, otlp.traces_endpoint), safe_url(otlp.traces_endpoint))
                self.delivery.append(delivery)
                if otlp.from_file:
                    self._named.append(delivery)
            if otlp.metrics_endpoint is not None:
                reader = metric_reader(otlp, otlp.metrics_endpoint, self._metric_delivery)
                self._readers.append(reader)
                if not otlp.from_file:
                    self._unnamed_readers.append(reader)
        if self._readers:
            self._start_metrics(self._readers)
        if config.otlp:
            reserve(2 * len(self.delivery) + len(self._readers))
        self.pipeline.processors = (*self._processors, *self.delivery)

    def fill_hooks(self) -> None:
        """Let instrumented code use this."""
        HOOKS.pricing = self._pricing
        HOOKS.content = keeper(self.config.content)
        HOOKS.error_messages = self.config.error_messages
        HOOKS.stream_proxy = self.config.stream_proxy
        if self._limits is not None:
            HOOKS.budget = self._limits.ask
        elif HOOKS.budget is not None:
            HOOKS.budget = ask_blocks

    def _watch_budgets(self) -> Limits:
        # Only programs with budgets load what these need, and SQLite only the thread that reads with it.
        def open_reader() -> SpentReader:
            folder = importlib.import_module("attune_monitoring.budgets.folder")
            reader: SpentReader = folder.FolderSpending(self.config.storage_dir)
            return reader

        module = importlib.import_module("attune_monitoring.budgets.limits")
        limits: Limits = module.Limits(self.config.budgets, open_reader if self.files is not None else None)
        self.recorder.add_metrics(limits)
        return limits

    def _start_metrics(self, readers: Sequence[MetricReader]) -> None:
        from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider

        self.meter_provider = MeterProvider(
            readers,
            resource=self.resource(),
            exemplar_filter=AlwaysOffExemplarFilter(),
            shutdown_on_exit=False,
        )
        OURS.add(self.meter_provider)
        self._own_metrics = self._sink_of(self.meter_provider)
        self.recorder.add_metrics(self._own_metrics)

    def _sink_of(self, provider: metrics.MeterProvider) -> Sink:
        meter = provider.get_meter(sc.SCOPE, _VERSION, _SCHEMA)
        files = self.files
        self.metered.append(provider)
        return _MetricSink(Instruments(meter, lambda: files.dropped.total() if files else 0))

    def resource(self) -> Resource:
        """Return what produces the telemetry; the instance id is one for each process."""
        found = Resource.create({"service.name": self.config.service_name})
        if "service.instance.id" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
            return found
        return found.merge(Resource({"service.instance.id": _instance_id}))

    def refresh(
        self, tracer_provider: trace.TracerProvider | None, meter_provider: metrics.MeterProvider | None
    ) -> trace.Tracer:
        """Use the application's providers where there are any; these are the global ones as they are now."""
        seen = tracer_provider, meter_provider
        if self._isolated:
            tracer_provider = meter_provider = None
        if tracer_provider is not None and tracer_provider not in OURS:
            self._move_to(tracer_provider)
        elif self.provider is None:
            self.provider = self.private_provider(tracer_provider)
        if meter_provider is not None and meter_provider not in OURS and meter_provider not in self.metered:
            self._leave_metrics_to(self._sink_of(meter_provider))
        tracer = self.tracer
        if tracer is None:
            tracer = self.tracer = self._tracer_of(self.provider or self.private_provider(tracer_provider))
        self.seen = seen  # last: other threads take it as the sign that the tracer is there
        return tracer

    def private_provider(self, known: trace.TracerProvider | None = None) -> TracerProvider:
        """Return the provider of ours: the one that an earlier `configure` made the global one, else a new one.

        Args:
            known: the global provider.
        """
        if self.private is None:
            ratio = self.config.sampling_ratio
            root = ALWAYS_ON if ratio >= 1 else TraceIdRatioBased(ratio)
            sampler = KeepRecords(ParentBased(root) if self.config.parent_based else root, samples_roots=ratio >= 1)
            if isinstance(known, TracerProvider) and known in OURS:
                self.private = known
                self.private.sampler = sampler
            else:
                self.private = TracerProvider(sampler=sampler, resource=self.resource(), shutdown_on_exit=False)
                OURS.add(self.private)
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

    def _leave_metrics_to(self, application: Sink) -> None:
        """Count for the application, and stop sending what it sends: only what monitoring.yaml names goes on."""
        unnamed, self._unnamed_readers = self._unnamed_readers, []
        self._readers = [reader for reader in self._readers if reader not in unnamed]
        if unnamed and not self._readers and self._own_metrics is not None:
            # Nobody reads ours any more but those that leave, who must not see what the application's sees.
            # What was counted is kept by its sink, which stays until they have sent it.
            self.recorder.exchange_metrics(self._own_metrics, application)
        else:
            self.recorder.add_metrics(application)
        for reader in unnamed:
            # It sends what was counted before, which the application's provider has not: not in the caller's time.
            threading.Thread(target=reader.shutdown, daemon=True).start()

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
        # All at the same time: one dead backend must not take the time of the others.
        work: list[Callable[[], object]] = [functools.partial(_require, delivery.deliver) for delivery in self.delivery]
        work += [functools.partial(_require, reader.force_flush) for reader in self._readers]
        done = all_within(max(0.0, deadline - time.monotonic()), work) and done
        return self._metric_delivery.complete() and done

    def shutdown(self, timeout: float) -> bool:
        """Flush and stop everything of ours, all of it together within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        self.recorder.close()
        if self._limits is not None:
            self._limits.close()
        work: list[Callable[[], object]] = [functools.partial(_deliver_last, delivery) for delivery in self.delivery]
        work += [reader.shutdown for reader in self._readers]
        # What was counted since the application's last export is there for as long as this is.
        applications = [provider for provider in self.metered if provider not in OURS]
        work += [flush for flush in (getattr(provider, "force_flush", None) for provider in applications) if flush]
        done = all_within(timeout, work)
        if self.files is not None:
            done = self.files.close(max(0.0, deadline - time.monotonic())) and done
        return self._metric_delivery.complete() and done


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


def _deliver_last(delivery: DeliveryProcessor) -> None:
    try:
        _require(delivery.deliver)
    finally:
        delivery.stop()


def _require(deliver: Callable[[], object]) -> None:
    if deliver() is False:
        raise MonitoringError("not everything was delivered")
