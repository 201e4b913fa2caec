"""A real OTLP backend on loopback, over HTTP and gRPC: keeps what it is sent, and fails as backends do."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, NamedTuple

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_service
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_grpc

__all__ = ["Point", "Receiver", "Span", "black_hole", "closed_port", "receive"]

Protocol = Literal["http/protobuf", "grpc"]


class Span(NamedTuple):
    """A span as it came over the wire; ids are hexadecimal, `parent_id` of a root is empty."""

    name: str
    kind: int
    attributes: dict[str, Any]
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    status: int
    """0 unset, 1 ok, 2 error."""
    scope: str
    resource: dict[str, Any]


class Point(NamedTuple):
    """A data point of a metric as it came over the wire."""

    name: str
    unit: str
    kind: str
    temporality: int
    """1 delta, 2 cumulative."""
    attributes: dict[str, Any]
    value: float
    count: int
    bounds: tuple[float, ...]
    resource: dict[str, Any]


class Receiver:
    """What has arrived so far, and how the backend answers. `wait` blocks until something has."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.spans: list[Span] = []
        self.points: list[Point] = []
        self.trace_requests: list[trace_service.ExportTraceServiceRequest] = []
        self.metric_requests: list[metrics_service.ExportMetricsServiceRequest] = []
        """What the spans and points came in."""
        self.headers: list[dict[str, str]] = []
        self.status = 200
        """HTTP status of the answers; gRPC says UNAVAILABLE for 503 and UNAUTHENTICATED for the others beyond 200."""
        self.hold = threading.Event()
        """While it is cleared, requests are left without an answer, and nothing of them is kept."""
        self.hold.set()
        self._changed = threading.Condition()

    def wait(self, done: Callable[[Receiver], bool], seconds: float = 30.0) -> bool:
        """Return whether `done` became true within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: done(self), seconds)

    def named(self, name: str) -> list[Span]:
        """Return the spans of this name."""
        with self._changed:
            return [span for span in self.spans if span.name == name]

    def total(self, metric: str, **attributes: str) -> float:
        """Return the sum of a metric's points whose attributes contain these (dots written as underscores)."""
        with self._changed:
            return sum(
                point.value
                for point in self.points
                if point.name == metric
                and attributes.items()
                <= {key.replace(".", "_"): value for key, value in point.attributes.items()}.items()
            )

    def take_spans(self, request: trace_service.ExportTraceServiceRequest, headers: dict[str, str]) -> None:
        self.hold.wait()
        with self._changed:
            self.headers.append(headers)
            if self.status == 200:
                self.spans += _spans(request)
                self.trace_requests.append(request)
            self._changed.notify_all()

    def take_metrics(self, request: metrics_service.ExportMetricsServiceRequest, headers: dict[str, str]) -> None:
        self.hold.wait()
        with self._changed:
            self.headers.append(headers)
            if self.status == 200:
                self.points += _points(request)
                self.metric_requests.append(request)
            self._changed.notify_all()


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind is not None else None


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _spans(request: trace_service.ExportTraceServiceRequest) -> Iterator[Span]:
    for resource in request.resource_spans:
        about = _attributes(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    span.name,
                    span.kind,
                    _attributes(span.attributes),
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    span.status.code,
                    scope.scope.name,
                    about,
                )


def _points(request: metrics_service.ExportMetricsServiceRequest) -> Iterator[Point]:
    for resource in request.resource_metrics:
        about = _attributes(resource.resource.attributes)
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                data = getattr(metric, kind)
                for point in data.data_points:
                    histogram = kind == "histogram"
                    number = "as_double" if histogram else point.WhichOneof("value")
                    yield Point(
                        metric.name,
                        metric.unit,
                        kind,
                        data.aggregation_temporality,
                        _attributes(point.attributes),
                        point.sum if histogram else getattr(point, number),
                        point.count if histogram else 1,
                        tuple(point.explicit_bounds) if histogram else (),
                        about,
                    )


@contextmanager
def receive(
    protocol: Protocol = "http/protobuf", *, certificate: tuple[Path, Path] | None = None
) -> Iterator[Receiver]:
    """Run a backend; `certificate`: its certificate's file and its key's, for TLS."""
    receiver = Receiver()
    serve = _serve_http if protocol == "http/protobuf" else _serve_grpc
    with serve(receiver, certificate):
        try:
            yield receiver
        finally:
            receiver.hold.set()


@contextmanager
def _serve_http(receiver: Receiver, certificate: tuple[Path, Path] | None) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            headers = {name.lower(): value for name, value in self.headers.items()}
            if self.path.endswith("/v1/traces"):
                receiver.take_spans(trace_service.ExportTraceServiceRequest.FromString(body), headers)
            else:
                receiver.take_metrics(metrics_service.ExportMetricsServiceRequest.FromString(body), headers)
            self.send_response(receiver.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that refuses the certificate is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    receiver.endpoint = f"{'https' if certificate else 'http'}://localhost:{server.server_port}"
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Traces(trace_grpc.TraceServiceServicer):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def Export(  # noqa: N802 - gRPC's name
        self, request: Any, context: grpc.ServicerContext
    ) -> trace_service.ExportTraceServiceResponse:
        self._receiver.take_spans(request, _grpc_headers(context))
        _answer(self._receiver, context)
        return trace_service.ExportTraceServiceResponse()


class _Metrics(metrics_grpc.MetricsServiceServicer):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def Export(  # noqa: N802 - gRPC's name
        self, request: Any, context: grpc.ServicerContext
    ) -> metrics_service.ExportMetricsServiceResponse:
        self._receiver.take_metrics(request, _grpc_headers(context))
        _answer(self._receiver, context)
        return metrics_service.ExportMetricsServiceResponse()


def _grpc_headers(context: grpc.ServicerContext) -> dict[str, str]:
    return {key: value if isinstance(value, str) else value.decode() for key, value in context.invocation_metadata()}


def _answer(receiver: Receiver, context: grpc.ServicerContext) -> None:
    if receiver.status != 200:
        code = grpc.StatusCode.UNAVAILABLE if receiver.status == 503 else grpc.StatusCode.UNAUTHENTICATED
        context.abort(code, "as the test asks")


@contextmanager
def _serve_grpc(receiver: Receiver, certificate: tuple[Path, Path] | None) -> Iterator[None]:
    server = grpc.server(ThreadPoolExecutor(4))
    trace_grpc.add_TraceServiceServicer_to_server(_Traces(receiver), server)
    metrics_grpc.add_MetricsServiceServicer_to_server(_Metrics(receiver), server)
    if certificate is not None:
        chain, key = (path.read_bytes() for path in certificate)
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, chain)]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    receiver.endpoint = f"{'https' if certificate else 'http'}://localhost:{port}"
    try:
        yield
    finally:
        server.stop(None).wait()


@contextmanager
def black_hole() -> Iterator[str]:
    """A server that takes connections and never answers; gives its address."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def closed_port() -> Iterator[str]:
    """An address where nobody listens: the port is held, so that nobody else takes it, but refuses connections."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}"
