"""configure, instrument, flush, shutdown: the only file that touches OpenTelemetry's globals.

Nothing is hijacked: implicit configuration uses a private provider and moves to the application's as soon as there is
one; only an explicit `configure()` becomes the global provider, and only where there is none.
"""

from __future__ import annotations

import atexit
import importlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace

from attune_monitoring.config import Config, describe, fallback_config, load_config
from attune_monitoring.errors import ConfigError
from attune_monitoring.following import FollowingProvider
from attune_monitoring.handed_in import emit_call, emit_run
from attune_monitoring.leaving import EXIT_SECONDS, on_multiprocessing_exit, on_sigterm
from attune_monitoring.official import turn_on
from attune_monitoring.otel_backend import SpanBackend
from attune_monitoring.recorder import Sink
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord
from attune_monitoring.running import Running
from attune_monitoring.scope import HOOKS

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.trace import SpanProcessor

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
_lock = threading.RLock()
_active: Running | None = None
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
            _active.refresh(*_globals())
            trace.set_tracer_provider(_active.private_provider())
        if _globals()[1] is None and _active.meter_provider is not None:
            metrics.set_meter_provider(_active.meter_provider)
        _active.refresh(*_globals())
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
        _active = Running(config, readers=readers, sinks=sinks, processors=processors, isolated=True)
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
        tracer = _tracer()
        if tracer is not None:
            emit_call(tracer, record)
    except Exception as error:
        HOOKS.failed("log_llm_call", error)


def log_workflow_run(record: WorkflowRunRecord) -> None:
    """Record a workflow run that has ended already: its lines, a span with one for each stage, and the metrics.

    Args:
        record: the run.
    """
    try:
        tracer = _tracer()
        if tracer is not None:
            emit_run(tracer, record)
    except Exception as error:
        HOOKS.failed("log_workflow_run", error)


class _Emitter:
    def call(self, record: LLMCallRecord) -> None:
        tracer = _tracer()
        if tracer is not None:
            emit_call(tracer, record, recorded=True)

    def run(self, record: WorkflowRunRecord) -> None:
        tracer = _tracer()
        if tracer is not None:
            emit_run(tracer, record, recorded=True)


class OpenTelemetryBackend(SpanBackend):
    """Records to spans and metrics of the pipeline in force.

    It writes no files, so that one beside a store writes no line twice. Where the spans go is the configuration's
    matter (monitoring.yaml, `OTEL_EXPORTER_OTLP_ENDPOINT`).
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
    return turn_on(names, FollowingProvider(_tracer_provider))


def _globals() -> tuple[trace.TracerProvider | None, metrics.MeterProvider | None]:
    return _global_tracer_provider(), _global_meter_provider()


def _global_tracer_provider() -> trace.TracerProvider | None:
    # The public getter reads the environment each time (2 µs) and cannot say that there is none yet.
    return getattr(trace, "_TRACER_PROVIDER", None)


def _global_meter_provider() -> metrics.MeterProvider | None:
    return getattr(_metrics_internal, "_METER_PROVIDER", None)


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
            on_multiprocessing_exit(_at_exit)
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
            _active.refresh(*_globals())
            _instrument_configured(config)
        return _active.refresh(*_globals())


def _instrument_configured(config: Config) -> None:
    if config.instrument:
        instrument(*(config.instrument if isinstance(config.instrument, tuple) else ()))


def _tracer_provider() -> trace.TracerProvider | None:
    return _active.provider if _tracer() is not None and _active is not None else None


def _start(config: Config, *, readers: Sequence[MetricReader] = (), sinks: Sequence[Sink] = ()) -> Running:
    global _registered
    started = Running(config, readers=readers, sinks=sinks)
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
        on_sigterm(_at_exit)
    on_multiprocessing_exit(_at_exit)
    return started


def _retire(current: Running, timeout: float = EXIT_SECONDS) -> bool:
    done = current.shutdown(timeout)
    current.pipeline.processors = ()
    return done


def _at_exit() -> None:
    shutdown(EXIT_SECONDS)


def _after_fork_in_child() -> None:
    global _stale, _lock
    _lock = threading.RLock()
    _stale = True


HOOKS.tracer = _tracer
HOOKS.wired = True
