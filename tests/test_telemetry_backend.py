"""The record-first API: records handed in by a caller, written, read back, and made spans and metrics of."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import attune_monitoring
from attune_monitoring import (
    LLMCallRecord,
    TelemetryBackend,
    TelemetryStore,
    WorkflowRunRecord,
    WorkflowStageRecord,
    get_telemetry_store,
    log_llm_call,
    log_workflow_run,
    shutdown,
    stage,
    workflow,
)
from attune_monitoring import semconv as sc
from attune_monitoring.scope import HOOKS
from attune_monitoring.testing import capture

START = datetime(2026, 1, 11, 3, 47, tzinfo=UTC)
NANOSECONDS = 1_768_103_220_000_000_000


BAD_LINES = [
    '{"call_id": "x"',
    "[]",
    "5",
    "null",
    '"text"',
    '{"call_id": "x"}',
    '{"timestamp": "2026-01-11T03:47:00Z"}',
    '{"call_id": "x", "timestamp": "yesterday"}',
    '{"call_id": "x", "timestamp": 5}',
    "\x00\x01",
    "{" * 100_000,
    '{"call_id": "x", "timestamp": "2026-01-11T03:47:00Z", "input_tokens": ' + "9" * 5000 + "}",
]
STAGES = [
    WorkflowStageRecord("a", "cheap", "m", latency_ms=1000),
    WorkflowStageRecord("b", "premium", "m", latency_ms=500, success=False, error="bad"),
    WorkflowStageRecord("c", "cheap", "", success=False, skipped=True),
]


def _time(minutes: int) -> str:
    return (START + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def _call(number: int, **fields: Any) -> LLMCallRecord:
    return LLMCallRecord(f"c{number}", _time(number), **{"provider": "openai", "model_id": "gpt-4o-mini", **fields})


def _run(number: int, **fields: Any) -> WorkflowRunRecord:
    return WorkflowRunRecord(f"r{number}", fields.pop("workflow_name", "w"), _time(number), **fields)


@pytest.fixture
def store(storage: Path) -> TelemetryStore:
    return TelemetryStore(storage)


def _ids(records: list[LLMCallRecord]) -> list[str]:
    return [record.call_id for record in records]


class TestStore:
    def test_it_is_a_backend_with_the_attributes_that_callers_use(self, store, storage):
        assert isinstance(store, TelemetryBackend)
        assert (store.storage_dir, store.calls_file.name) == (storage, "llm_calls.jsonl")
        assert store.workflows_file == storage / "workflow_runs.jsonl"

    def test_a_folder_may_be_named_by_text(self, storage):
        assert get_telemetry_store(str(storage)).storage_dir == storage

    def test_the_default_is_the_folder_that_instrumented_code_writes_to(self, storage):
        with workflow("w"):
            pass
        assert [run.workflow_name for run in TelemetryStore().get_workflows()] == ["w"]
        assert TelemetryStore(".empathy").storage_dir == storage

    def test_an_empty_folder_gives_nothing(self, store):
        assert (store.get_calls(), store.get_workflows(), store.skipped.total) == ([], [], 0)

    def test_a_logged_call_is_one_line_and_comes_back_as_it_was(self, store, storage, read_lines):
        record = _call(1, metadata={"a": 1}, trace_id="a" * 32, input_tokens=None, estimated_cost=None)
        store.log_call(record)
        assert len(read_lines(storage)) == 1
        assert store.get_calls() == [record]

    def test_a_logged_run_is_one_line_of_each_stream_and_comes_back_as_it_was(self, store, storage, read_lines):
        stages = [WorkflowStageRecord("s", "cheap", "m", stage_id="b" * 16, call_count=2)]
        record = _run(1, stages=stages, total_cost=0.5, parent_run_id=None, project="p", unknown_cost_calls=1)
        store.log_workflow(record)
        assert [len(read_lines(storage, stream)) for stream in ("workflow_runs", "workflow_details")] == [
            1,
            1,
        ]
        assert store.get_workflows() == [record]

    def test_a_nested_run_is_in_the_details_and_not_among_the_published_ones(self, store, storage, read_lines):
        store.log_workflow(_run(1, parent_run_id="r0"))
        assert read_lines(storage, "workflow_runs") == []
        assert [run.parent_run_id for run in store.get_workflows()] == ["r0"]

    def test_the_limit_keeps_the_newest_oldest_of_them_first(self, store):
        for number in range(10):
            store.log_call(_call(number))
            store.log_workflow(_run(number))
        assert _ids(store.get_calls(limit=3)) == ["c7", "c8", "c9"]
        assert [run.run_id for run in store.get_workflows(limit=3)] == ["r7", "r8", "r9"]

    @pytest.mark.parametrize("limit", [0, -1])
    def test_a_limit_of_nothing_gives_nothing(self, store, limit):
        store.log_call(_call(1))
        store.log_workflow(_run(1))
        assert (store.get_calls(limit=limit), store.get_workflows(limit=limit)) == ([], [])

    def test_the_limits_defaults_are_those_of_earlier_versions(self, store):
        for number in range(1001):
            store.log_call(_call(number))
        for number in range(101):
            store.log_workflow(_run(number))
        assert (len(store.get_calls()), store.get_calls()[0].call_id) == (1000, "c1")
        assert (len(store.get_workflows()), store.get_workflows()[0].run_id) == (100, "r1")

    def test_a_workflows_calls_and_runs_are_found_by_its_name(self, store):
        for number, name in enumerate(("a", "b", None, "a")):
            store.log_call(_call(number, workflow_name=name))
            store.log_workflow(_run(number, workflow_name=name or "none"))
        assert _ids(store.get_calls(workflow_name="a")) == ["c0", "c3"]
        assert [run.run_id for run in store.get_workflows(workflow_name="a", limit=1)] == ["r3"]

    @pytest.mark.parametrize(
        "since",
        [
            START + timedelta(minutes=2),
            (START + timedelta(minutes=2)).astimezone(timezone(timedelta(hours=9))),
            (START + timedelta(minutes=2)).astimezone().replace(tzinfo=None),
        ],
        ids=["utc", "another zone", "naive: local"],
    )
    def test_since_may_have_a_zone_or_none_and_includes_its_moment(self, store, since):
        for number in range(4):
            store.log_call(_call(number))
            store.log_workflow(_run(number))
        assert _ids(store.get_calls(since=since)) == ["c2", "c3"]
        assert [run.run_id for run in store.get_workflows(since=since)] == ["r2", "r3"]

    def test_naive_local_times_of_old_lines_are_compared_as_local(self, store):
        local = START.astimezone().replace(tzinfo=None).isoformat()
        store.log_call(LLMCallRecord("old", local))
        assert _ids(store.get_calls(since=START)) == ["old"]
        assert store.get_calls(since=START + timedelta(seconds=1)) == []

    @pytest.mark.parametrize("bad", BAD_LINES, ids=range(len(BAD_LINES)))
    def test_a_bad_line_is_skipped_counted_and_reported_and_never_fatal(self, store, caplog, bad):
        store.log_call(_call(1))
        with store.calls_file.open("a") as file:
            file.write(f"{bad}\n")
        store.log_call(_call(2))
        with caplog.at_level(logging.WARNING, "attune_monitoring"):
            assert _ids(store.get_calls()) == ["c1", "c2"]
        assert store.skipped.total == 1
        assert "llm_calls.jsonl" in str(store.skipped)
        assert "passed over" in caplog.text

    def test_a_bad_run_line_is_skipped_counted_and_reported_too(self, store):
        store.log_workflow(_run(1))
        with store.workflows_file.open("a") as file:
            file.write('{"run_id": "x"}\n[]\n')
        assert [run.run_id for run in store.get_workflows()] == ["r1"]
        assert store.skipped.total == 2

    def test_unknown_fields_are_no_reason_to_skip_a_line(self, store):
        line = {**_call(1).to_dict(), "added_later": {"x": 1}}
        store.calls_file.write_text(json.dumps(line) + "\n")
        assert _ids(store.get_calls()) == ["c1"]
        assert store.skipped.total == 0

    def test_many_kinds_of_bad_timestamps_are_one_reason(self, store):
        lines = [{"call_id": "x", "timestamp": f"day {number}"} for number in range(50)]
        store.calls_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        store.get_calls()
        assert list(store.skipped.skipped.values()) == [50]

    def test_a_line_that_is_not_finished_yet_is_left_for_later(self, store):
        store.log_call(_call(1))
        with store.calls_file.open("ab") as file:
            file.write(b'{"call_id": "c2", "timest')
        assert _ids(store.get_calls()) == ["c1"]
        assert store.skipped.total == 0

    def test_runs_of_earlier_writers_without_details_are_read_beside_those_with(self, store):
        store.log_workflow(_run(2, project="p"))
        with store.workflows_file.open("a") as file:
            file.write(json.dumps(_run(1).to_dict()) + "\n")
        found = {run.run_id: run.project for run in store.get_workflows()}
        assert found == {"r1": None, "r2": "p"}


class TestLogLlmCall:
    def test_it_is_one_line_one_span_and_the_metrics(self):
        with capture() as captured:
            log_llm_call(_call(1, input_tokens=100, output_tokens=10, estimated_cost=0.5, latency_ms=2000))
        [record] = captured.calls
        [span] = captured.spans
        assert (record.call_id, record.estimated_cost, record.latency_ms) == ("c1", 0.5, 2000)
        assert (span.name, span.kind) == ("chat gpt-4o-mini", SpanKind.CLIENT)
        assert captured.metric("attune.llm.cost")[0].value == 0.5
        assert captured.metric("gen_ai.client.operation.duration")[0].value == 2.0

    def test_the_line_holds_what_was_handed_in_and_who_wrote_it(self, storage, read_lines):
        log_llm_call(_call(1, metadata={"a": 1}, user_id="u"))
        [line] = read_lines(storage)
        assert (line["call_id"], line["timestamp"], line["user_id"]) == (
            "c1",
            _call(1).to_dict()["timestamp"],
            "u",
        )
        assert line["metadata"]["a"] == 1
        assert line["metadata"]["attune"]["under_pytest"]

    def test_the_span_lasted_as_long_as_the_call_and_ended_when_it_did(self):
        with capture() as captured:
            log_llm_call(_call(0, latency_ms=1500))
        [span] = captured.spans
        assert (span.start_time, span.end_time) == (NANOSECONDS - 1_500_000_000, NANOSECONDS)

    def test_a_failed_call_is_a_failed_span(self):
        with capture() as captured:
            log_llm_call(_call(1, success=False, error_type="timeout", error_message="late"))
        [span] = captured.spans
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "late")
        assert span.attributes[sc.ERROR_TYPE] == "timeout"
        assert captured.metric("attune.llm.errors", error_type="timeout")[0].value == 1

    def test_an_unknown_cost_stays_unknown(self):
        with capture() as captured:
            log_llm_call(_call(1, estimated_cost=None, input_tokens=5))
        assert captured.calls[0].cost is None
        assert captured.metric("attune.llm.unknown_cost")[0].value == 1
        assert captured.metric("attune.llm.cost") == []

    def test_a_call_and_its_run_are_in_one_trace_the_call_below_the_run(self):
        with capture() as captured:
            log_llm_call(_call(1, run_id="r1"))
            log_llm_call(_call(2, metadata={"run_id": "r1"}))
            log_llm_call(_call(3, run_id="r2"))
            log_workflow_run(_run(1))
        first, second, other, root = captured.spans
        assert first.context.trace_id == second.context.trace_id == root.context.trace_id != other.context.trace_id
        assert first.parent.span_id == second.parent.span_id == root.context.span_id

    def test_ids_that_the_record_brings_are_those_of_its_span(self):
        with capture() as captured:
            log_llm_call(_call(1, trace_id="a" * 32, span_id="b" * 16, parent_span_id="c" * 16))
        [span] = captured.spans
        assert (span.context.trace_id, span.context.span_id) == (int("a" * 32, 16), int("b" * 16, 16))
        assert span.parent.span_id == int("c" * 16, 16)

    def test_ids_that_are_none_do_no_harm(self):
        with capture() as captured:
            log_llm_call(_call(1, trace_id="no hex", span_id="", parent_span_id="x"))
        assert [record.call_id for record in captured.calls] == ["c1"]

    def test_inside_a_workflow_it_belongs_to_the_run_and_the_stage(self):
        with capture() as captured, workflow("w", user_id="u") as run, stage("s"):
            log_llm_call(_call(1, estimated_cost=0.5))
        [record] = captured.calls
        assert (record.run_id, record.workflow_name, record.user_id) == (run.run_id, "w", "u")
        assert captured.runs[0].total_cost == 0.5
        assert captured.runs[0].stages[0].call_count == 1
        assert captured.spans[0].context.trace_id == captured.spans[-1].context.trace_id

    @pytest.mark.parametrize("operation", ["chat", "rerank", "moderate", "embeddings"])
    def test_a_record_of_any_operation_is_written(self, operation):
        with capture() as captured:
            log_llm_call(_call(1, operation=operation))
        assert [record.operation for record in captured.calls] == [operation]

    @pytest.mark.parametrize("timestamp", ["yesterday", "", None, 5])
    def test_a_record_that_no_reader_could_read_raises_nothing_and_is_counted(self, timestamp):
        before = HOOKS.failures.total()
        with capture() as captured:
            log_llm_call(LLMCallRecord("c", timestamp))
        assert captured.calls == []
        assert HOOKS.failures.total() == before + 1

    def test_switched_off_it_does_nothing(self, monkeypatch, storage, read_lines):
        monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
        log_llm_call(_call(1))
        log_workflow_run(_run(1))
        assert read_lines(storage) == []


class TestLogWorkflowRun:
    def test_it_is_one_line_of_each_stream(self, storage, read_lines):
        log_workflow_run(_run(1, stages=STAGES))
        assert [len(read_lines(storage, stream)) for stream in ("workflow_runs", "workflow_details")] == [
            1,
            1,
        ]
        assert read_lines(storage) == []

    def test_the_published_line_is_what_was_handed_in(self, storage, read_lines):
        record = _run(1, stages=STAGES, total_cost=0.5)
        log_workflow_run(record)
        assert read_lines(storage, "workflow_runs") == [record.to_dict()]

    def test_the_details_say_who_wrote_it_and_where_its_trace_is(self):
        with capture() as captured:
            log_workflow_run(_run(1))
        [record] = captured.runs
        assert (record.under_pytest, record.pid is not None, record.dialect) == (True, True, "attune")
        assert record.trace_id == f"{captured.spans[0].context.trace_id:032x}"

    def test_it_is_a_span_with_one_below_it_for_each_stage(self):
        with capture() as captured:
            log_workflow_run(_run(0, stages=STAGES, total_duration_ms=2000, success=False, error="bad"))
        root, *stages = captured.spans
        assert (root.name, root.kind, root.status.status_code) == (
            "invoke_workflow w",
            SpanKind.INTERNAL,
            StatusCode.ERROR,
        )
        assert (root.start_time, root.end_time) == (NANOSECONDS, NANOSECONDS + 2_000_000_000)
        assert [span.name for span in stages] == ["stage a", "stage b", "stage c"]
        assert {span.parent.span_id for span in stages} == {root.context.span_id}
        assert [span.status.status_code for span in stages] == [
            StatusCode.UNSET,
            StatusCode.ERROR,
            StatusCode.UNSET,
        ]
        assert stages[0].end_time - stages[0].start_time == 1_000_000_000

    def test_its_metrics_are_emitted_once(self):
        with capture() as captured:
            log_workflow_run(_run(1, stages=STAGES, total_duration_ms=2000))
        assert [point.value for point in captured.metric("attune.workflow.runs")] == [1]
        assert [point.value for point in captured.metric("attune.workflow.duration")] == [2.0]
        assert [point.value for point in captured.metric("gen_ai.invoke_workflow.duration")] == [2.0]
        stages = captured.metric("attune.stage.duration")
        assert {point.attributes[sc.STAGE_NAME] for point in stages} == {"a", "b"}

    def test_a_run_with_a_bad_time_raises_nothing(self):
        with capture() as captured:
            log_workflow_run(WorkflowRunRecord("r", "w", "soon"))
        assert captured.runs == []

    def test_a_run_that_ends_before_it_starts_is_a_span_without_duration(self):
        with capture() as captured:
            log_workflow_run(_run(5, completed_at=_time(1)))
        assert captured.spans[0].end_time == captured.spans[0].start_time


class TestWithAnApplicationsProvider:
    def test_the_applications_exporter_gets_the_spans_of_handed_in_records(self, storage, read_lines):
        exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        log_llm_call(_call(1))
        log_workflow_run(_run(1))
        assert [span.name for span in exporter.get_finished_spans()] == [
            "chat gpt-4o-mini",
            "invoke_workflow w",
        ]
        assert len(read_lines(storage)) == 1
        shutdown()
        provider.shutdown()


class TestPublicNames:
    def test_existing_callers_find_every_name(self):
        names = {
            "LLMCallRecord",
            "WorkflowRunRecord",
            "WorkflowStageRecord",
            "TelemetryBackend",
            "TelemetryStore",
            "get_telemetry_store",
            "log_llm_call",
            "log_workflow_run",
            "MultiBackend",
            "OpenTelemetryBackend",
        }
        assert names <= set(attune_monitoring.__all__)
        assert all(getattr(attune_monitoring, name) is not None for name in names)
