"""Whatever is sampled away from the backend, our records and metrics are complete; nobody else's sampling changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Decision, ParentBased, TraceIdRatioBased

from attune_monitoring import flush, llm_call, stage, workflow
from attune_monitoring.sampling import GIVEN_IDS, GivenIds, KeepRecords
from harness import ReadLines
from otlp_receiver import Receiver, receive

pytestmark = pytest.mark.slow  # programs and servers of their own

RUNS = 300
"""Of which 10% are some 30: none or a third of them would be a chance of less than 1 in 10¹²."""
PER_RUN = 3


def decide(sampler: KeepRecords) -> Any:
    return sampler.should_sample(None, 1, "chat", attributes={"gen_ai.operation.name": "chat"})


def test_what_would_be_dropped_is_recorded_with_the_attributes_that_it_began_with() -> None:
    result = decide(KeepRecords(ALWAYS_OFF))
    assert result.decision is Decision.RECORD_ONLY
    assert result.attributes == {"gen_ai.operation.name": "chat"}


def test_what_is_sampled_is_left_as_the_sampler_decided() -> None:
    assert decide(KeepRecords(ALWAYS_ON)).decision is Decision.RECORD_AND_SAMPLE
    assert KeepRecords(ALWAYS_ON).get_description() == "KeepRecords(AlwaysOnSampler)"


def test_where_every_root_is_sampled_each_span_begins_with_the_attributes_that_it_was_given() -> None:
    tracer = TracerProvider(sampler=KeepRecords(ALWAYS_ON, samples_roots=True), shutdown_on_exit=False).get_tracer("t")
    given: dict[str, Any] = {}
    found = [dict(tracer.start_span("chat", attributes=one).attributes) for one in (None, given, {"n": 1}, {"n": 2})]
    for number in (3, 4):
        given["n"] = number
        found.append(dict(tracer.start_span("chat", attributes=given).attributes))
    assert found == [{}, {}, {"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}]


def test_given_ids_are_taken_and_others_made() -> None:
    generator = GivenIds(RandomIdGenerator())
    token = GIVEN_IDS.set((7, 8))
    assert (generator.generate_trace_id(), generator.generate_span_id()) == (7, 8)
    assert not generator.is_trace_id_random()
    GIVEN_IDS.reset(token)
    assert generator.generate_trace_id() > 7 and generator.generate_span_id() > 8


@workflow("sampled")
def run() -> None:
    with stage("only"):
        for _ in range(PER_RUN):
            with llm_call(provider="openai", model="gpt-4o-mini") as call:
                call.set_usage(input_tokens=10, output_tokens=1)


def check_files(storage: Path, read_lines: ReadLines, runs: int = RUNS) -> None:
    calls, details = read_lines(storage), read_lines(storage, "workflow_details")
    assert len(calls) == runs * PER_RUN
    assert len(details) == len(read_lines(storage, "workflow_runs")) == runs
    ids = [call["metadata"]["run_id"] for call in calls]
    assert {run_id: ids.count(run_id) for run_id in ids} == {one["run_id"]: PER_RUN for one in details}
    for one in details:
        assert one["total_input_tokens"] == 10 * PER_RUN
        assert [stage["stage_name"] for stage in one["stages"]] == ["only"]
        assert one["metadata"]["attune"].get("complete", True)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receive() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.endpoint)
        yield found


@pytest.mark.parametrize("sampler", ["traceidratio", "parentbased_traceidratio"])
def test_with_a_tenth_sampled_files_and_metrics_are_complete_and_whole_traces_are_exported(
    storage: Path, read_lines: ReadLines, monkeypatch: pytest.MonkeyPatch, receiver: Receiver, sampler: str
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.1")
    for _ in range(RUNS):
        run()
    assert flush(30)
    check_files(storage, read_lines)
    assert receiver.total("attune.llm.calls") == RUNS * PER_RUN
    assert receiver.total("attune.llm.tokens", gen_ai_token_type="input") == RUNS * PER_RUN * 10
    assert receiver.total("attune.workflow.runs") == RUNS
    roots = receiver.named("invoke_workflow sampled")
    assert 0 < len(roots) < RUNS / 3
    assert len(receiver.named("chat gpt-4o-mini")) == len(roots) * PER_RUN
    assert len(receiver.spans) == len(roots) * (PER_RUN + 2)


def test_with_nothing_sampled_files_and_metrics_are_complete(
    storage: Path, read_lines: ReadLines, monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    run()
    assert flush(30)
    check_files(storage, read_lines, 1)
    assert receiver.total("attune.llm.calls") == PER_RUN
    assert receiver.spans == []


class Application:
    """A program with OpenTelemetry of its own: providers, exporters, and a sampler that takes a tenth."""

    def __init__(self, sampler: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.provider = TracerProvider(sampler=sampler)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meter_provider = MeterProvider([self.reader])

    def start(self) -> None:
        trace.set_tracer_provider(self.provider)
        metrics.set_meter_provider(self.meter_provider)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def total(self, name: str) -> float:
        data: Any = self.reader.get_metrics_data()
        return sum(
            point.value
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        )


@pytest.fixture
def application(request: pytest.FixtureRequest) -> Iterator[Application]:
    made = Application(getattr(request, "param", TraceIdRatioBased(0.1)))
    yield made
    made.provider.shutdown()
    made.meter_provider.shutdown()


SAMPLERS = pytest.mark.parametrize(
    "application",
    [TraceIdRatioBased(0.1), ParentBased(TraceIdRatioBased(0.1))],
    ids=["ratio", "parent-based"],
    indirect=True,
)


@SAMPLERS
def test_on_the_applications_provider_ours_are_complete_and_its_exporter_gets_what_it_sampled(
    storage: Path, read_lines: ReadLines, application: Application
) -> None:
    application.start()
    for _ in range(RUNS):
        run()
    check_files(storage, read_lines)
    assert application.total("attune.llm.calls") == RUNS * PER_RUN
    roots = application.named("invoke_workflow sampled")
    assert 0 < len(roots) < RUNS / 3
    assert len(application.spans) == len(roots) * (PER_RUN + 2)


@SAMPLERS
def test_a_provider_that_the_application_sets_after_our_first_use_is_followed(
    storage: Path, read_lines: ReadLines, application: Application
) -> None:
    for _ in range(RUNS // 2):
        run()
    assert application.spans == []
    application.start()
    for _ in range(RUNS // 2):
        run()
    check_files(storage, read_lines)
    assert application.total("attune.llm.calls") == RUNS // 2 * PER_RUN
    roots = application.named("invoke_workflow sampled")
    assert 0 < len(roots) < RUNS / 3
    assert len(application.spans) == len(roots) * (PER_RUN + 2)


def test_a_provider_set_in_the_middle_of_a_run_leaves_the_run_whole(
    storage: Path, read_lines: ReadLines, application: Application
) -> None:
    with workflow("w") as current:
        with llm_call(provider="openai", model="gpt-4o-mini") as call:
            call.set_usage(input_tokens=1, output_tokens=1)
        application.start()
        with llm_call(provider="openai", model="gpt-4o-mini") as call:
            call.set_usage(input_tokens=1, output_tokens=1)
    assert {line["metadata"]["run_id"] for line in read_lines(storage)} == {current.run_id}
    [details] = read_lines(storage, "workflow_details")
    assert details["metadata"]["attune"]["call_count"] == 2


def spans_of(tracer: trace.Tracer, count: int, **attributes: str) -> None:
    for _ in range(count):
        tracer.start_span("foreign", attributes=attributes).end()


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_spans_of_the_application_follow_its_own_sampler(application: Application, first: str) -> None:
    """Whether its tracer was made before or after we came."""
    order: list[Callable[[], object]] = [run, lambda: tracers.append(trace.get_tracer("application"))]
    tracers: list[trace.Tracer] = []
    application.start()
    for step in order if first == "ours" else reversed(order):
        step()
    spans_of(tracers[0], 1000)
    assert 30 < len(application.named("foreign")) < 250


def test_a_span_of_ours_below_a_dropped_span_of_the_application_is_recorded(
    storage: Path, read_lines: ReadLines, application: Application
) -> None:
    application.start()
    tracer = trace.get_tracer("application")
    for _ in range(100):
        with tracer.start_as_current_span("request"), llm_call(provider="openai", model="gpt-4o-mini") as call:
            call.set_usage(input_tokens=1, output_tokens=1)
    assert len(read_lines(storage)) == 100


def test_calls_of_other_instrumentations_on_our_provider_are_all_recorded(
    storage: Path, read_lines: ReadLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that looks like nothing of ours when it begins."""
    from attune_monitoring import configure

    configure(sampling={"ratio": 0.1})
    tracer = trace.get_tracer("some.instrumentation")
    for _ in range(100):
        span = tracer.start_span("late")
        span.set_attributes(
            {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 1}
        )
        span.end()
    assert len(read_lines(storage)) == 100
