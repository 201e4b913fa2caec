"""The OTLP exporters of spans and metrics, as they are configured; imported only where there is a backend."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter, MetricReader
    from opentelemetry.sdk.trace.export import SpanExporter

    from attune_monitoring.config import OtlpConfig
    from attune_monitoring.delivery import MetricDelivery

__all__ = ["metric_reader", "span_exporter"]


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


def metric_reader(otlp: OtlpConfig, endpoint: str, delivery: MetricDelivery) -> MetricReader:
    """Return the periodic reader that sends metrics by OTLP, in the temporality that is configured.

    Args:
        otlp: the backend.
        endpoint: its address for metrics.
        delivery: is told what became of each export.
    """
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    _quiet()
    exporter = _metric_exporter(otlp, endpoint)
    delivery.watch(exporter)
    return PeriodicExportingMetricReader(exporter)


def _metric_exporter(otlp: OtlpConfig, endpoint: str) -> MetricExporter:
    temporality = _temporality(otlp.temporality)
    if otlp.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter

        with _no_exporter_variables():
            return GrpcExporter(preferred_temporality=temporality, **_grpc_arguments(otlp, endpoint))
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpExporter

    with _no_exporter_variables():
        return HttpExporter(preferred_temporality=temporality, **_http_arguments(otlp, endpoint))


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

    session = {"session": _session()} if otlp.certificate else {}
    return session | {
        "endpoint": endpoint,
        "headers": dict(otlp.headers),
        "timeout": otlp.timeout,
        "compression": Compression.Gzip if otlp.compression == "gzip" else Compression.NoCompression,
        "certificate_file": otlp.certificate,
        "client_key_file": otlp.client_key,
        "client_certificate_file": otlp.client_certificate,
    }


def _session() -> Any:
    """Return a session of requests in which a configured authority goes before `REQUESTS_CA_BUNDLE`."""
    import requests

    class Session(requests.Session):
        def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
            chosen = self.verify if verify is None else verify
            return super().merge_environment_settings(url, proxies, stream, chosen, cert)

    return Session()


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
