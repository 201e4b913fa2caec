"""OTLP over the wire as it is configured, and the JSONL exporter in OpenTelemetry setups that know nothing of us."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExportResult

from attune_monitoring import configure, flush, llm_call, shutdown, stage, workflow
from attune_monitoring import semconv as sc
from attune_monitoring.delivery import DeliveryProcessor
from attune_monitoring.exporters import JSONLSpanExporter
from harness import ReadLines, RunProgram
from otlp_receiver import Receiver, receive

slow = pytest.mark.slow
PROTOCOLS = ["http/protobuf", "grpc"]


def call(model: str = "gpt-4o-mini") -> None:
    with llm_call(provider="openai", model=model) as one:
        one.set_usage(input_tokens=10, output_tokens=1)


@pytest.fixture(params=PROTOCOLS)
def receiver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receive(request.param) as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", request.param)
        yield found


# --- OTLP
def fail() -> None:
    raise TimeoutError("too slow")


def test_spans_arrive_with_names_parents_attributes_and_status(receiver: Receiver) -> None:
    with workflow("review") as run, stage("analyze", tier="cheap"):
        call()
        with pytest.raises(TimeoutError), llm_call(provider="anthropic", model="claude-haiku-4-5"):
            fail()
    assert flush(30)
    spans = {span.name: span for span in receiver.spans}
    root, stage_span = spans["invoke_workflow review"], spans["stage analyze"]
    good, bad = spans["chat gpt-4o-mini"], spans["chat claude-haiku-4-5"]
    assert len(receiver.spans) == 4
    assert (root.parent_id, stage_span.parent_id) == ("", root.span_id)
    assert good.parent_id == bad.parent_id == stage_span.span_id
    assert {span.trace_id for span in receiver.spans} == {root.trace_id}
    assert (good.kind, root.kind) == (3, 1)  # CLIENT, INTERNAL
    assert (good.status, bad.status, root.status) == (0, 2, 0)
    assert bad.attributes[sc.ERROR_TYPE] == "TimeoutError"
    assert good.attributes[sc.PROVIDER] == "openai"
    assert (good.attributes[sc.INPUT_TOKENS], good.attributes[sc.OUTPUT_TOKENS]) == (10, 1)
    assert good.attributes[sc.COST] > 0 and good.attributes[sc.COST_SOURCE] == "table"
    assert {span.attributes[sc.RUN_ID] for span in receiver.spans} == {run.run_id}
    assert root.start_ns <= stage_span.start_ns <= good.start_ns <= good.end_ns <= bad.end_ns <= root.end_ns
    assert {span.scope for span in receiver.spans} == {sc.SCOPE}


def test_metrics_arrive_as_listed_as_differences_since_the_last_time(receiver: Receiver) -> None:
    with workflow("w"), stage("s"):
        call()
    assert flush(30)
    call()
    assert flush(30)
    listed = {metric.name: metric for metric in sc.METRICS}
    assert {sc.LLM_CALLS.name, sc.LLM_COST.name, sc.CLIENT_TOKENS.name, sc.STAGE_DURATION.name} <= {
        point.name for point in receiver.points
    }
    for point in receiver.points:
        metric = listed[point.name]
        assert (point.unit, point.kind) == (
            metric.unit,
            {"counter": "sum", "histogram": "histogram"}[metric.instrument],
        )
        assert point.bounds == metric.buckets
        assert point.temporality == 1
        assert point.attributes.keys() <= {*metric.dimensions}
    assert receiver.total(sc.LLM_CALLS.name) == 2
    assert receiver.total(sc.LLM_TOKENS.name, gen_ai_token_type="input") == 20
    assert receiver.total(sc.WORKFLOW_RUNS.name) == 1


def test_spans_and_metrics_say_what_they_come_from(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    call()
    assert flush(30)
    resources = [thing.resource for thing in (*receiver.spans, *receiver.points)]
    assert {resource["service.name"] for resource in resources} == {"shop"}
    assert {resource["deployment.environment.name"] for resource in resources} == {"test"}
    assert len({resource["service.instance.id"] for resource in resources}) == 1


def test_cumulative_temporality_is_sent_where_it_is_asked_for(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative")
    for _ in range(2):
        call()
        assert flush(30)
    points = [point for point in receiver.points if point.name == sc.LLM_CALLS.name]
    assert [(point.temporality, point.value) for point in points] == [(2, 1), (2, 2)]


def test_headers_and_compression_are_sent(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret,x-team=a%20b")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    call()
    assert flush(30)
    assert len(receiver.spans) == 1 and receiver.points
    assert {(headers["x-key"], headers["x-team"]) for headers in receiver.headers} == {("secret", "a b")}
    if "content-type" in receiver.headers[0]:  # HTTP; a gRPC server hides its encoding
        assert {headers["content-encoding"] for headers in receiver.headers} == {"gzip"}


def test_headers_of_one_backend_are_not_sent_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with receive() as one, receive("grpc") as other:
        backends = [
            {"type": "otel", "endpoint": one.endpoint, "headers": {"x-key": "first"}},
            {"type": "otel", "endpoint": other.endpoint, "protocol": "grpc", "headers": {"x-other": "second"}},
        ]
        configure(backends=backends)
        call()
        assert flush(30)
        assert len(one.spans) == len(other.spans) == 1
        assert all(headers["x-key"] == "first" and "x-other" not in headers for headers in one.headers)
        assert all(headers["x-other"] == "second" and "x-key" not in headers for headers in other.headers)


@pytest.mark.slow
def test_one_dead_backend_holds_nothing_back_from_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with receive() as dead, receive() as alive:
        dead.hold.clear()
        configure(backends=[{"type": "otel", "endpoint": backend.endpoint} for backend in (dead, alive)])
        call()
        assert not shutdown(1.0)
        assert len(alive.spans) == 1
        assert alive.total(sc.LLM_CALLS.name) == 1


def test_a_signal_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with receive() as backend:
        configure(backends=[{"type": "otel", "endpoint": backend.endpoint, "metrics": False}])
        call()
        assert flush(30)
        assert len(backend.spans) == 1
        assert backend.points == []


# --- TLS
def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for localhost that is its own authority."""
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(chain)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("certificates are made with openssl, which is not here")
    return chain, key


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return _certificate(tmp_path_factory.mktemp("tls"), "right")


@pytest.fixture(scope="module")
def other_certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return _certificate(tmp_path_factory.mktemp("tls"), "wrong")


def backend_at(endpoint: str, protocol: str, timeout: str = "10s", **tls: Any) -> dict[str, Any]:
    backend = {"type": "otel", "endpoint": endpoint, "protocol": protocol, "timeout": timeout}
    return {**backend, "tls": tls} if tls else backend


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_over_https_the_backend_is_trusted_by_its_authority(
    certificate: tuple[Path, Path],
    other_certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    protocol: Any,
) -> None:
    """Which goes before what `requests` is told by the environment."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other_certificate[0]))
    with receive(protocol, certificate=certificate) as backend:
        configure(backends=[backend_at(backend.endpoint, protocol, ca_file=str(certificate[0]))])
        call()
        assert flush(30)
        assert len(backend.spans) == 1 and backend.points


@slow
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("authority", ["another", "none"])
def test_over_https_a_backend_of_another_authority_is_refused(
    certificate: tuple[Path, Path], other_certificate: tuple[Path, Path], protocol: Any, authority: str
) -> None:
    tls = {"ca_file": str(other_certificate[0])} if authority == "another" else {}
    with receive(protocol, certificate=certificate) as backend:
        configure(backends=[backend_at(backend.endpoint, protocol, "1s", **tls)])
        call()
        assert not flush(30)
        assert backend.spans == [] and backend.points == []


@slow
def test_grpc_without_a_scheme_is_tls_unless_plaintext_is_asked_for() -> None:
    with receive("grpc") as plain:
        address = plain.endpoint.removeprefix("http://")
        configure(backends=[backend_at(address, "grpc", "1s")])
        call()
        assert not flush(30)
        assert plain.spans == []
        configure(backends=[backend_at(address, "grpc", insecure=True)])
        call()
        assert flush(30)
        assert len(plain.spans) == 1


@slow
@pytest.mark.parametrize(("protocol", "other"), [("http/protobuf", "grpc"), ("grpc", "requests")])
def test_only_the_exporters_of_the_protocol_in_use_are_imported(
    run_program: RunProgram, protocol: Any, other: str
) -> None:
    code = """
    import sys
    from attune_monitoring import flush, llm_call
    assert not {"grpc", "requests"} & sys.modules.keys()
    with llm_call(provider="openai", model="m"): pass
    assert flush(30)
    print(sorted({"grpc", "requests"} & sys.modules.keys()))
    """
    with receive(protocol) as backend:
        finished = run_program(code, OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    assert other not in finished.out
    assert run_program(code).out == "[]\n"


# --- the JSONL exporter alone
@pytest.fixture
def provider() -> Iterator[TracerProvider]:
    made = TracerProvider()
    yield made
    made.shutdown()


GENAI = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini"}
ROOT = {"gen_ai.operation.name": "invoke_workflow", "gen_ai.agent.name": "theirs"}
USED = {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 5}


def foreign_run(tracer: trace.Tracer) -> None:
    """A run as another instrumentation records it."""
    with tracer.start_as_current_span("invoke_workflow theirs", attributes=ROOT):
        for _ in range(2):
            with tracer.start_as_current_span("chat gpt-4o-mini", attributes=GENAI) as span:
                span.set_attributes(USED)


def test_alone_it_writes_calls_and_the_run_that_it_finds_in_a_batch(
    storage: Path, read_lines: ReadLines, provider: TracerProvider
) -> None:
    provider.add_span_processor(BatchSpanProcessor(JSONLSpanExporter()))
    foreign_run(provider.get_tracer("theirs"))
    provider.shutdown()
    calls = read_lines(storage)
    assert [line["input_tokens"] for line in calls] == [100, 100]
    assert all(line["estimated_cost"] > 0 for line in calls)
    [run] = read_lines(storage, "workflow_runs")
    assert (run["workflow_name"], run["total_input_tokens"]) == ("theirs", 200)
    assert {line["metadata"]["run_id"] for line in calls} == {run["run_id"]}


def test_given_span_after_span_it_writes_each_call_at_once(
    storage: Path, read_lines: ReadLines, provider: TracerProvider
) -> None:
    provider.add_span_processor(SimpleSpanProcessor(JSONLSpanExporter()))
    tracer = provider.get_tracer("theirs")
    for count in range(1, 4):
        tracer.start_span("chat gpt-4o-mini", attributes={**GENAI, **USED}).end()
        assert len(read_lines(storage)) == count


def test_it_writes_where_it_is_told_to(
    tmp_path: Path, storage: Path, read_lines: ReadLines, provider: TracerProvider
) -> None:
    provider.add_span_processor(SimpleSpanProcessor(JSONLSpanExporter(tmp_path / "else")))
    foreign_run(provider.get_tracer("theirs"))
    assert len(read_lines(tmp_path / "else")) == 2
    assert not storage.exists()


def ended_spans(count: int) -> list[ReadableSpan]:
    class Keep(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            spans.append(span)

    spans: list[ReadableSpan] = []
    made = TracerProvider()
    made.add_span_processor(Keep())
    for _ in range(count):
        made.get_tracer("theirs").start_span("chat gpt-4o-mini", attributes={**GENAI, **USED}).end()
    return spans


def test_it_tells_its_processor_whether_all_was_written(storage: Path, read_lines: ReadLines) -> None:
    exporter = JSONLSpanExporter()
    storage.write_text("in the way")
    assert exporter.export(ended_spans(2)) is SpanExportResult.FAILURE
    storage.unlink()
    assert exporter.export(ended_spans(2)) is SpanExportResult.SUCCESS
    assert len(read_lines(storage)) == 2


@pytest.mark.parametrize("processor", [SimpleSpanProcessor, BatchSpanProcessor])
@pytest.mark.parametrize("first", ["exporter", "recorder"])
def test_beside_the_recorder_there_is_one_line_of_each_call_and_run(
    storage: Path, read_lines: ReadLines, provider: TracerProvider, processor: type[Any], first: str
) -> None:
    trace.set_tracer_provider(provider)
    if first == "recorder":
        configure()
    provider.add_span_processor(processor(JSONLSpanExporter()))
    with workflow("ours"), stage("s"):
        call()
        call()
    foreign_run(provider.get_tracer("theirs"))
    shutdown()
    provider.shutdown()
    assert len(read_lines(storage)) == 4
    for stream in ("workflow_runs", "workflow_details"):
        runs = {run["workflow_name"]: run for run in read_lines(storage, stream)}
        assert len(read_lines(storage, stream)) == 2
        assert (runs["ours"]["total_input_tokens"], runs["theirs"]["total_input_tokens"]) == (20, 200)
    ours = next(run for run in read_lines(storage, "workflow_details") if run["workflow_name"] == "ours")
    assert ours["metadata"]["attune"].get("complete", True) is True


FOREIGN_PROGRAM = f"""
from opentelemetry import trace
tracer = trace.get_tracer("theirs")
with tracer.start_as_current_span("invoke_workflow theirs", attributes={ROOT}):
    with tracer.start_as_current_span("chat", attributes={ {**GENAI, **USED} }):
        pass
trace.get_tracer_provider().shutdown()
"""


@slow
def test_the_sdks_own_environment_configuration_knows_it_by_name(
    storage: Path, run_program: RunProgram, read_lines: ReadLines
) -> None:
    code = """
from opentelemetry.sdk._configuration import _initialize_components
_initialize_components(trace_exporter_names=["attune_jsonl"])
"""
    finished = run_program(code + FOREIGN_PROGRAM, OTEL_TRACES_EXPORTER="attune_jsonl", OTEL_SERVICE_NAME="shop")
    assert (finished.out, finished.err) == ("", "")
    [line] = read_lines(storage)
    assert line["metadata"]["attune"]["service"] == "shop"
    assert len(read_lines(storage, "workflow_runs")) == 1


@slow
def test_declarative_configuration_knows_it_by_name(
    tmp_path: Path, storage: Path, run_program: RunProgram, read_lines: ReadLines
) -> None:
    file = tmp_path / "otel.yaml"
    file.write_text(
        'file_format: "1.0"\n'
        "tracer_provider:\n"
        "  processors:\n"
        "    - batch:\n"
        "        exporter:\n"
        "          attune_jsonl: {}\n"
    )
    code = """
from opentelemetry.sdk._configuration import _OTelSDKConfigurator
_OTelSDKConfigurator().configure()
"""
    finished = run_program(code + FOREIGN_PROGRAM, OTEL_CONFIG_FILE=file)
    assert (finished.out, finished.err) == ("", "")
    assert len(read_lines(storage)) == 1
    assert len(read_lines(storage, "workflow_runs")) == 1


def test_an_exporter_that_raises_is_a_failure_that_is_counted(provider: TracerProvider) -> None:
    class Broken(JSONLSpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            raise ValueError("broken")

    delivery = DeliveryProcessor(Broken(), "nowhere")
    provider.add_span_processor(delivery)
    provider.get_tracer("t").start_span("s").end()
    assert not delivery.force_flush()
    assert delivery.force_flush()
