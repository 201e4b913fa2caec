"""configure, flush, shutdown, and what becomes of the program around them: nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from attune_monitoring import annotate, configure, flush, llm_call, shutdown, stage, workflow
from harness import ReadLines, RunProgram, StartProgram
from otlp_receiver import Receiver, receive

slow = pytest.mark.slow
PROTOCOLS = ["http/protobuf", "grpc"]


def call() -> None:
    with llm_call(provider="openai", model="gpt-4o-mini") as one:
        one.set_usage(input_tokens=10, output_tokens=1)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receive() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.endpoint)
        yield found


# --- whose globals
@slow
@pytest.mark.parametrize(
    "names", ["llm_call", "llm_call, configure", "configure, llm_call", "flush, llm_call, workflow"]
)
def test_it_records_in_whatever_order_its_names_are_imported(
    storage: Path, run_program: RunProgram, read_lines: ReadLines, names: str
) -> None:
    run_program(f"from attune_monitoring import {names}\nwith llm_call(provider='openai', model='m'): pass\n")
    assert len(read_lines(storage)) == 1


def test_use_without_configure_sets_nothing_global(storage: Path, read_lines: ReadLines, receiver: Receiver) -> None:
    call()
    assert flush(30)
    assert len(read_lines(storage)) == len(receiver.spans) == 1
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    assert type(metrics.get_meter_provider()).__module__ == "opentelemetry.metrics._internal"


def test_configure_becomes_the_global_provider_where_there_is_none(receiver: Receiver) -> None:
    configure()
    trace.get_tracer("application").start_span("theirs").end()
    metrics.get_meter("application").create_counter("theirs.count").add(3)
    assert flush(30)
    assert len(receiver.named("theirs")) == 1
    assert receiver.total("theirs.count") == 3


@pytest.fixture
def application() -> Iterator[TracerProvider]:
    provider = TracerProvider()
    yield provider
    provider.shutdown()


def exporter_of(provider: TracerProvider) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


def test_configure_leaves_the_applications_provider_and_adds_to_it(
    storage: Path, read_lines: ReadLines, application: TracerProvider
) -> None:
    exporter = exporter_of(application)
    trace.set_tracer_provider(application)
    configure()
    call()
    assert trace.get_tracer_provider() is application
    assert [span.name for span in exporter.get_finished_spans()] == ["chat gpt-4o-mini"]
    assert len(read_lines(storage)) == 1


def test_with_an_application_that_exports_itself_the_environment_adds_no_second_delivery(
    receiver: Receiver, storage: Path, read_lines: ReadLines, application: TracerProvider
) -> None:
    trace.set_tracer_provider(application)
    call()
    assert flush(30)
    assert len(read_lines(storage)) == 1
    assert receiver.spans == []


def test_a_backend_that_the_configuration_names_gets_the_spans_of_the_applications_provider(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, application: TracerProvider
) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")
    trace.set_tracer_provider(application)
    configure(backends=["jsonl", {"type": "otel", "endpoint": receiver.endpoint}])
    call()
    trace.get_tracer("application").start_span("theirs").end()
    assert flush(30)
    assert sorted(span.name for span in receiver.spans) == ["chat gpt-4o-mini", "theirs"]


class Foreign(trace.NoOpTracerProvider):
    """A provider that is not of the SDK."""


def test_beside_a_provider_that_is_not_of_the_sdk_ours_goes_on(storage: Path, read_lines: ReadLines) -> None:
    trace.set_tracer_provider(Foreign())
    call()
    assert len(read_lines(storage)) == 1


def test_configured_again_everything_goes_to_the_new_place_only_and_once(
    tmp_path: Path, receiver: Receiver, read_lines: ReadLines
) -> None:
    for number in range(3):
        configure(storage_dir=str(tmp_path / str(number)), service_name=f"service-{number}")
        call()
        with workflow("w"):
            call()
    assert flush(30)
    for number in range(3):
        lines = read_lines(tmp_path / str(number))
        assert [line["metadata"]["attune"]["service"] for line in lines] == [f"service-{number}"] * 2
        assert len(read_lines(tmp_path / str(number), "workflow_runs")) == 1
    assert len(receiver.named("chat gpt-4o-mini")) == 6
    assert receiver.total("attune.llm.calls") == 6
    assert receiver.total("attune.workflow.runs") == 3


def test_sampling_configured_again_holds_for_our_spans(receiver: Receiver) -> None:
    configure(sampling={"ratio": 0.0})
    call()
    configure(sampling={"ratio": 1.0})
    call()
    assert flush(30)
    assert len(receiver.spans) == 1


@slow
def test_configured_again_the_program_hears_nothing(run_program: RunProgram) -> None:
    code = """
    from attune_monitoring import configure, llm_call
    for _ in range(3):
        configure()
        with llm_call(provider="openai", model="m"): pass
    """
    with receive() as backend:
        finished = run_program(code, OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint)
        assert (finished.out, finished.err) == ("", "")
        assert len(backend.spans) == 3


# --- off
@slow
@pytest.mark.parametrize("value", ["true", "TRUE", " True "])
def test_a_disabled_sdk_is_not_even_imported(storage: Path, run_program: RunProgram, value: str) -> None:
    code = """
    import sys, threading
    from attune_monitoring import annotate, flush, llm_call, log_llm_call, shutdown, stage, tool, workflow
    """
    used = """
    import sys, threading
    from attune_monitoring import annotate, llm_call, stage, tool, workflow
    @workflow
    def run():
        with annotate(user_id="u"), stage("s"), llm_call() as call, tool("t"):
            call.set_usage(input_tokens=1)
        return 7
    assert run() == 7
    print(threading.active_count(), [name for name in sys.modules if name.startswith("opentelemetry.sdk")])
    """
    assert run_program(code + used.replace("import sys, threading", ""), OTEL_SDK_DISABLED=value).status == 0
    finished = run_program(used, OTEL_SDK_DISABLED=value, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert finished.out == "1 []\n"
    assert finished.err == ""
    assert not storage.exists()


def test_switched_off_nothing_is_written_until_it_is_configured_on(
    storage: Path, read_lines: ReadLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMPATHY_TELEMETRY", "off")
    call()
    assert not storage.exists()
    configure(enabled=True)
    call()
    assert len(read_lines(storage)) == 1


def test_a_faulty_configuration_still_records_to_the_folder(
    storage: Path,
    read_lines: ReadLines,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "wrong.yaml").write_text("bakends: [jsonl]\n")
    monkeypatch.setenv("EMPATHY_CONFIG", str(tmp_path / "wrong.yaml"))
    call()
    assert len(read_lines(storage)) == 1
    assert "wrong.yaml:1:1" in caplog.text


# --- shutdown
def test_flush_and_shutdown_before_any_use_have_nothing_to_do(storage: Path) -> None:
    assert flush()
    assert shutdown()
    assert not storage.exists()


def test_used_after_shutdown_it_begins_anew(storage: Path, read_lines: ReadLines, receiver: Receiver) -> None:
    for _ in range(3):
        call()
        assert shutdown(30)
    assert len(read_lines(storage)) == len(receiver.spans) == 3
    assert receiver.total("attune.llm.calls") == 3


def test_a_run_that_is_open_at_shutdown_is_written_as_incomplete(storage: Path, read_lines: ReadLines) -> None:
    with workflow("w"), stage("s"):
        call()
        shutdown()
    [run] = read_lines(storage, "workflow_details")
    assert run["metadata"]["attune"]["complete"] is False
    assert run["total_input_tokens"] == 10


# --- forks
FORK_WITH_APPLICATION = """
import os, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from attune_monitoring import configure, flush, llm_call
trace.set_tracer_provider(TracerProvider())
configure(backends=["jsonl", {"type": "otel", "endpoint": sys.argv[1]}])
def use():
    with llm_call(provider="openai", model="gpt-4o-mini") as call:
        call.set_usage(input_tokens=1, output_tokens=1)
use()
pid = os.fork()
if pid == 0:
    for _ in range(5):
        use()
    os._exit(0 if flush(30) else 1)
assert os.waitpid(pid, 0)[1] == 0
use()
"""


@slow
def test_a_child_on_the_applications_provider_delivers_each_span_once(
    storage: Path, read_lines: ReadLines, run_program: RunProgram
) -> None:
    with receive() as backend:
        run_program(FORK_WITH_APPLICATION, backend.endpoint)
        assert len(backend.spans) == 7
        assert len({span.span_id for span in backend.spans}) == 7
        assert backend.total("attune.llm.calls") == 7
    assert len(read_lines(storage)) == 7


FORK_AND_COLLECT = """
import os, sys
from attune_monitoring import flush, llm_call
def use():
    with llm_call(provider="openai", model="gpt-4o-mini") as call:
        call.set_usage(input_tokens=1, output_tokens=1)
for _ in range(10):
    use()
assert flush(30)
pid = os.fork()
if pid == 0:
    for _ in range(3):
        use()
    sys.stdin.readline()
    os._exit(0 if flush(30) else 1)
sys.stdin.readline()
assert os.waitpid(pid, 0)[1] == 0
"""


@slow
def test_a_child_that_lives_on_counts_from_zero_and_takes_nothing_back(start_program: StartProgram) -> None:
    """What the parent has counted must not come again from the child, neither as it is nor negative."""
    with receive() as backend:
        program = start_program(
            FORK_AND_COLLECT, OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint, OTEL_METRIC_EXPORT_INTERVAL=50
        )
        assert backend.wait(lambda seen: seen.total("attune.llm.calls") >= 13)
        before = len(backend.headers)
        assert backend.wait(lambda seen: len(seen.headers) > before + 6)
        program.communicate("on\non\n", timeout=60)
        assert backend.total("attune.llm.calls") == 13
        assert all(point.value >= 0 for point in backend.points)


@slow
def test_what_waits_at_a_fork_is_delivered_once_by_the_parent(run_program: RunProgram) -> None:
    code = """
    import os, sys
    from attune_monitoring import llm_call
    for _ in range(20):
        with llm_call(provider="openai", model="gpt-4o-mini") as call:
            call.set_usage(input_tokens=1, output_tokens=1)
    pid = os.fork()
    if pid == 0:
        sys.exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    """
    with receive() as backend:
        run_program(code, OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint)
        assert len(backend.spans) == 20
        assert backend.total("attune.llm.calls") == 20


def test_annotations_reach_spans_and_records(storage: Path, read_lines: ReadLines, receiver: Receiver) -> None:
    with annotate(user_id="u1", release="1.2"):
        call()
    assert flush(30)
    assert receiver.spans[0].attributes["user.id"] == "u1"
    [line] = read_lines(storage)
    assert line["user_id"] == "u1" and line["metadata"]["release"] == "1.2"
    assert json.loads(receiver.spans[0].attributes["attune.metadata"]) == {"release": "1.2"}
