"""A real collector with our configurations loses nothing that it has taken, whatever happens; and what is sampled."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from attune_monitoring import configure, flush, llm_call
from attune_monitoring import semconv as sc
from collector import CONFIGURATIONS, EXPORTERS, Collector, collecting
from otlp_backend import Backend

pytestmark = pytest.mark.slow

every_configuration = pytest.mark.parametrize("name", CONFIGURATIONS)

Connect = Callable[..., None]
"""Takes a collector, and a protocol that is `http/protobuf` where it is not given."""


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Makes our own pipeline in this process send to a collector."""

    def connected(collector: Collector, protocol: str = "http/protobuf") -> None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoints[protocol])
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")  # seconds; a busy machine is slow, and that is no loss
        configure()

    return connected


def _send(numbers: Iterable[int]) -> None:
    """Make numbered calls; when this returns, the collector has taken their spans and metrics."""
    for number in numbers:
        with llm_call(provider="openai", model="gpt-4o-mini") as call:
            call.set_attribute("number", number)
            call.set_usage(input_tokens=10, output_tokens=1)
    assert flush(60)


def _numbers(backend: Backend, exporter: str) -> Counter[int]:
    """Return how often each call's span came."""
    return Counter(span.attributes["number"] for span in backend.spans(exporter))


def _calls(backend: Backend, exporter: str) -> float:
    """Return how many calls the metrics count."""
    return sum(point.value for point in backend.points(exporter) if point.name == sc.LLM_CALLS.name)


def _wait_for_each_once(backend: Backend, name: str, calls: int) -> None:
    """Wait until every exporter has delivered every call's span and counted it, and check that none came twice."""
    for exporter in EXPORTERS[name]["traces"]:
        backend.wait(lambda one: len(_numbers(backend, one)) >= calls, exporter)
        assert _numbers(backend, exporter) == Counter(range(calls))
    for exporter in EXPORTERS[name]["metrics"]:
        backend.wait(lambda one: _calls(backend, one) >= calls, exporter)
        assert _calls(backend, exporter) == calls


@every_configuration
def test_nothing_is_lost_while_the_backend_is_away(name: str, tmp_path: Path, connect: Connect) -> None:
    with Backend() as backend, collecting(tmp_path, name, backend) as collector:
        connect(collector)
        backend.leave()
        _send(range(10))
        collector.wait_until_it_says("Exporting failed. Will retry")
        _send(range(10, 20))
        backend.come_back()
        _wait_for_each_once(backend, name, 20)


@every_configuration
def test_nothing_is_lost_while_the_backend_refuses(name: str, tmp_path: Path, connect: Connect) -> None:
    with Backend() as backend, collecting(tmp_path, name, backend) as collector:
        connect(collector, "grpc")
        backend.status = 503
        _send(range(10))
        backend.wait(lambda: backend.refused >= 2)
        backend.status = 200
        _wait_for_each_once(backend, name, 10)


@every_configuration
@pytest.mark.parametrize("end", [Collector.stop, Collector.kill])
def test_what_was_taken_survives_the_end_of_the_collector_while_the_backend_is_away(
    name: str, end: Callable[[Collector], None], tmp_path: Path, connect: Connect
) -> None:
    with Backend() as backend, collecting(tmp_path, name, backend) as collector:
        connect(collector)
        backend.leave()
        _send(range(10))
        end(collector)
        collector.start()
        backend.come_back()
        _wait_for_each_once(backend, name, 10)


@every_configuration
def test_senders_that_come_back_before_the_collector_is_ready_lose_nothing(name: str, tmp_path: Path) -> None:
    """A queue that is written to before it has been read in forgets what it held."""
    taken: queue.SimpleQueue[str] = queue.SimpleQueue()
    enough = threading.Event()

    def insist(endpoint: str) -> None:
        soon = [(f"grpc.{kind}_reconnect_backoff_ms", 1) for kind in ("initial", "min", "max")]
        with grpc.insecure_channel(endpoint.removeprefix("http://"), soon) as channel:
            logs = LogsServiceStub(channel)
            number = 0
            while not enough.wait(0.001):
                number += 1
                request = ExportLogsServiceRequest()
                record = request.resource_logs.add().scope_logs.add().log_records.add()
                record.body.string_value = str(number)
                with suppress(grpc.RpcError):
                    logs.Export(request, timeout=30)
                    taken.put(str(number))

    with Backend() as backend, collecting(tmp_path, name, backend) as collector:
        sender = threading.Thread(target=insist, args=(collector.endpoints["grpc"],))
        sender.start()
        try:
            acknowledged: set[str] = set()
            for _ in range(8):
                acknowledged |= {taken.get(timeout=60) for _ in range(5)}
                collector.kill()
                collector.start()
        finally:
            enough.set()
            sender.join(60)
        for exporter in EXPORTERS[name]["logs"]:
            backend.wait(lambda one: acknowledged <= {log.body for log in backend.logs(one)}, exporter)


def test_what_the_backend_did_not_acknowledge_before_the_collector_was_killed_comes_again(
    tmp_path: Path, connect: Connect
) -> None:
    with Backend() as backend, collecting(tmp_path, "generic", backend) as collector:
        connect(collector)
        backend.answers.clear()
        _send(range(3))
        backend.wait(lambda: len(_numbers(backend, "")) == 3)
        collector.kill()
        backend.answers.set()
        collector.start()
        backend.wait(lambda: _numbers(backend, "") == Counter([*range(3), *range(3)]))


def test_what_the_backend_refuses_for_good_is_dropped_and_holds_nothing_up(tmp_path: Path, connect: Connect) -> None:
    with Backend() as backend, collecting(tmp_path, "generic", backend) as collector:
        connect(collector)
        backend.status = 401
        _send([1])
        collector.wait_until_it_says("Exporting failed. Dropping data")
        backend.wait(lambda: backend.refused >= 2)
        backend.status = 200
        _send([2])
        backend.wait(lambda: _numbers(backend, ""))
        assert _numbers(backend, "") == Counter([2])


def test_a_full_queue_refuses_what_comes_and_keeps_what_it_has(tmp_path: Path) -> None:
    small = {"exporters": {"otlp_http": {"sending_queue": {"queue_size": 1000, "batch": {"min_size": 1000}}}}}
    with Backend() as backend, collecting(tmp_path, "generic", backend, also=small) as collector:
        backend.leave()
        first, second = (LogRecord(body=AnyValue(string_value=letter * 600)) for letter in "ab")
        assert collector.post_logs(first) == 200
        assert collector.post_logs(second) == 503
        backend.come_back()
        backend.wait(lambda: len(backend.logs()) == 1)
        assert collector.post_logs(second) == 200
        backend.wait(lambda: [log.body for log in backend.logs()] == ["a" * 600, "b" * 600])


@pytest.mark.parametrize(("protocol", "prompts"), [("grpc", 5), ("http/protobuf", 21)])
def test_a_batch_with_long_prompts_is_taken(protocol: str, prompts: int, tmp_path: Path, connect: Connect) -> None:
    """4 MiB (gRPC) and 20 MiB (HTTP) are what a collector takes unless it is told otherwise."""
    with Backend() as backend, collecting(tmp_path, "generic", backend) as collector:
        connect(collector, protocol)
        with trace.get_tracer("other").start_as_current_span("long") as span:
            for number in range(prompts):
                span.set_attribute(f"llm.prompts.{number}", "x" * 2**20)
        assert flush(60)
        backend.wait(lambda: backend.spans())
        assert [span.attributes["llm.prompts.4"] for span in backend.spans()] == ["****"]


# --- tail sampling -----------------------------------------------------------------------------------------------


def test_failed_slow_and_dear_traces_are_all_kept_and_a_tenth_of_the_rest(tmp_path: Path, connect: Connect) -> None:
    soon = {"processors": {"tail_sampling": {"decision_wait": "1s"}}}
    with Backend() as backend, collecting(tmp_path, "sampled", backend, also=soon) as collector:
        connect(collector)
        _send(range(300))
        tracer = trace.get_tracer("other")
        for _ in range(5):
            with llm_call(provider="openai", model="gpt-4o") as call:
                call.set_attribute("why", "dear")
                call.set_cost(0.6)
            tracer.start_span("slow", start_time=1, attributes={"why": "slow"}).end(end_time=31 * 10**9)
            with tracer.start_as_current_span("failed", attributes={"why": "failed"}) as span:
                span.set_status(trace.StatusCode.ERROR)
        assert flush(60)

        def kept() -> Counter[str]:
            return Counter(span.attributes.get("why", "a tenth") for span in backend.spans())

        backend.wait(lambda: [kept()[why] for why in ("dear", "slow", "failed")] == [5, 5, 5])
        assert 0 < kept()["a tenth"] < 90
        backend.wait(lambda: _calls(backend, "") == 305)
