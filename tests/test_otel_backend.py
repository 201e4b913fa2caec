"""Records to spans: with their real times, status and parents, and without a line of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from attune_monitoring import LLMCallRecord, OpenTelemetryBackend, WorkflowRunRecord, WorkflowStageRecord
from attune_monitoring import semconv as sc
from attune_monitoring.telemetry_backend import TelemetryBackend
from attune_monitoring.testing import Captured, capture

END = 1_768_103_220_000_000_000


def _call(**fields: object) -> LLMCallRecord:
    return LLMCallRecord("c1", "2026-01-11T03:47:00Z", provider="openai", model_id="gpt-4o-mini", **fields)  # type: ignore[arg-type]


def _run(**fields: object) -> WorkflowRunRecord:
    return WorkflowRunRecord("r1", "w", "2026-01-11T03:47:00Z", **fields)  # type: ignore[arg-type]


@pytest.fixture
def captured() -> Iterator[Captured]:
    with capture() as made:
        yield made


def test_it_is_a_backend_that_gives_no_records_back(captured):
    backend = OpenTelemetryBackend()
    assert isinstance(backend, TelemetryBackend)
    assert (backend.get_calls(), backend.get_workflows()) == ([], [])


def test_a_call_is_a_span_with_its_real_times_and_no_line(captured):
    OpenTelemetryBackend().log_call(_call(latency_ms=29_748))
    [span] = captured.spans
    assert (span.start_time, span.end_time) == (END - 29_748_000_000, END)
    assert (span.name, span.kind) == ("chat gpt-4o-mini", SpanKind.CLIENT)
    assert captured.calls == []


def test_a_call_counts_in_the_metrics_once(captured):
    OpenTelemetryBackend().log_call(_call(estimated_cost=0.5))
    assert [point.value for point in captured.metric("attune.llm.cost")] == [0.5]
    assert [point.value for point in captured.metric("attune.llm.calls")] == [1]


def test_a_failed_call_has_the_status_error_its_message_and_its_type(captured):
    OpenTelemetryBackend().log_call(_call(success=False, error_type="rate_limit", error_message="slow down"))
    [span] = captured.spans
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "slow down")
    assert span.attributes[sc.ERROR_TYPE] == "rate_limit"


def test_usage_cost_and_fallback_are_attributes_of_the_span(captured):
    OpenTelemetryBackend().log_call(
        _call(
            input_tokens=10,
            output_tokens=3,
            estimated_cost=0.1,
            actual_cost=0.2,
            original_model="m",
            original_provider="p",
        )
    )
    attributes = captured.spans[0].attributes
    assert (attributes[sc.INPUT_TOKENS], attributes[sc.OUTPUT_TOKENS], attributes[sc.COST]) == (10, 3, 0.2)
    assert (attributes[sc.ORIGINAL_PROVIDER], attributes[sc.ORIGINAL_MODEL]) == ("p", "m")


def test_calls_stages_and_run_are_one_trace_with_the_run_at_its_root(captured):
    backend = OpenTelemetryBackend()
    backend.log_call(_call(metadata={"run_id": "r1"}))
    backend.log_workflow(_run(stages=[WorkflowStageRecord("s", "cheap", "m", latency_ms=500)], total_duration_ms=900))
    call, root, stage = captured.spans
    assert root.parent is None
    assert {span.context.trace_id for span in captured.spans} == {root.context.trace_id}
    assert call.parent.span_id == stage.parent.span_id == root.context.span_id


def test_a_run_is_a_span_with_its_real_times_and_no_line(captured):
    OpenTelemetryBackend().log_workflow(_run(completed_at="2026-01-11T03:47:02Z", success=False, error="bad"))
    [root] = captured.spans
    assert (root.start_time, root.end_time) == (END, END + 2_000_000_000)
    assert (root.status.status_code, root.status.description) == (StatusCode.ERROR, "bad")
    assert root.attributes[sc.ERROR_TYPE] == "_OTHER"
    assert captured.runs == []


def test_stages_follow_each_other_where_the_record_has_no_times_of_theirs(captured):
    stages = [WorkflowStageRecord(name, "cheap", "m", latency_ms=500) for name in ("a", "b")]
    OpenTelemetryBackend().log_workflow(_run(stages=stages, total_duration_ms=1000))
    _, first, second = captured.spans
    assert (first.start_time, first.end_time) == (END, END + 500_000_000)
    assert (second.start_time, second.end_time) == (END + 500_000_000, END + 1_000_000_000)


def test_a_run_whose_trace_is_known_lies_in_it(captured):
    OpenTelemetryBackend().log_workflow(_run(trace_id="a" * 32, span_id="b" * 16, parent_span_id="c" * 16))
    [root] = captured.spans
    assert (root.context.trace_id, root.context.span_id) == (int("a" * 32, 16), int("b" * 16, 16))
    assert root.parent.span_id == int("c" * 16, 16)


def test_flush_says_whether_all_was_delivered(captured):
    assert OpenTelemetryBackend().flush(1.0) is True
