"""An OTLP backend on loopback that keeps all three signals as they came, goes away, and refuses when told to."""

from __future__ import annotations

import gzip
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

__all__ = ["Backend", "Log", "Point", "Span", "free_port", "plain"]

_SIGNALS: dict[str, Any] = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}


class Span(NamedTuple):
    """A span as it came: `data` is the protobuf message."""

    data: Any
    attributes: dict[str, Any]
    resource: dict[str, Any]


class Point(NamedTuple):
    """A number's or histogram's point as it came; `temporality` is 1 for delta, `value` a histogram's sum."""

    name: str
    temporality: int
    value: float
    attributes: dict[str, Any]
    resource: dict[str, Any]


class Log(NamedTuple):
    """A log record as it came."""

    body: Any
    attributes: dict[str, Any]
    resource: dict[str, Any]


class Backend:
    """Listens as long as the block runs, except between `leave` and `come_back`."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.status = 200
        """HTTP status of the answers; what is not answered with 200 is not kept."""
        self.refused = 0
        self.answers = threading.Event()
        """While it is cleared, what comes is kept but its sender gets no answer."""
        self.answers.set()
        self._kept: list[tuple[str, str, bytes]] = []
        self._changed = threading.Condition()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.come_back()
        return self

    def __exit__(self, *_: object) -> None:
        self.answers.set()
        self.leave()

    def come_back(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def take(self, path: str, body: bytes) -> int:
        """Keep a request unless it is to be refused, and return the status of the answer."""
        with self._changed:
            if self.status == 200:
                exporter, _, signal = path.strip("/").rpartition("v1/")
                self._kept.append((exporter.strip("/"), signal, body))
            else:
                self.refused += 1
            self._changed.notify_all()
            return self.status

    def wait(self, done: Callable[..., object], *arguments: object) -> None:
        """Block until `done`, called with the arguments whenever something has come, is true; fail after a minute."""
        with self._changed:
            assert self._changed.wait_for(lambda: done(*arguments), 60), "not so within a minute"

    def raw(self, exporter: str = "", signal: str | None = None) -> list[bytes]:
        """Return the requests of an exporter (the part of the path before `/v1/`) as they came."""
        with self._changed:
            return [body for by, kind, body in self._kept if by == exporter and signal in (None, kind)]

    def spans(self, exporter: str = "", **resource: str) -> list[Span]:
        """Return the spans that came from an exporter and have these attributes of the resource (`_` for a dot)."""
        return [
            Span(span, plain(span.attributes), about)
            for about, scopes in self._resources(exporter, "traces", resource)
            for scope in scopes
            for span in scope.spans
        ]

    def points(self, exporter: str = "", **resource: str) -> list[Point]:
        """Return the points of metrics, likewise."""
        return list(self._points(exporter, resource))

    def logs(self, exporter: str = "", **resource: str) -> list[Log]:
        """Return the log records, likewise."""
        return [
            Log(plain(record.body), plain(record.attributes), about)
            for about, scopes in self._resources(exporter, "logs", resource)
            for scope in scopes
            for record in scope.log_records
        ]

    def _points(self, exporter: str, resource: dict[str, str]) -> Iterator[Point]:
        for about, scopes in self._resources(exporter, "metrics", resource):
            for metric in (metric for scope in scopes for metric in scope.metrics):
                kind = metric.WhichOneof("data")
                data = getattr(metric, kind)
                for point in data.data_points:
                    value = point.sum if kind == "histogram" else getattr(point, point.WhichOneof("value"))
                    temporality = getattr(data, "aggregation_temporality", 0)
                    yield Point(metric.name, temporality, value, plain(point.attributes), about)

    def _resources(self, exporter: str, signal: str, wanted: dict[str, str]) -> Iterator[tuple[dict[str, Any], Any]]:
        named = {key.replace("_", "."): value for key, value in wanted.items()}
        inner = {"traces": "scope_spans", "metrics": "scope_metrics", "logs": "scope_logs"}[signal]
        for body in self.raw(exporter, signal):
            for part in getattr(_SIGNALS[signal].FromString(body), inner.replace("scope", "resource")):
                about = plain(part.resource.attributes)
                if named.items() <= about.items():
                    yield about, getattr(part, inner)


def plain(value: Any) -> Any:
    """Return an attribute's value, or a list of attributes, as Python has it."""
    if not hasattr(value, "WhichOneof"):
        return {pair.key: plain(pair.value) for pair in value}
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return plain(value.kvlist_value.values)
    return getattr(value, kind) if kind is not None else None


def free_port() -> int:
    """Return a port that stays free while nobody listens: it is below those that outgoing connections are given."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as trial:
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _handler(backend: Backend) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            status = backend.take(self.path, body)
            backend.answers.wait()
            with suppress(ConnectionError):  # whoever asked may have been killed
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    return Handler
