"""Configuration, the record-first API, and the tools for tests."""

from datetime import UTC, datetime
from typing import assert_type

from attune_monitoring import (
    Config,
    ConfigError,
    LLMCallRecord,
    MonitoringError,
    MultiBackend,
    OpenTelemetryBackend,
    TelemetryBackend,
    TelemetryStore,
    WorkflowRunRecord,
    WorkflowStageRecord,
    configure,
    flush,
    get_telemetry_store,
    instrument,
    log_llm_call,
    log_workflow_run,
    shutdown,
)
from attune_monitoring.testing import Captured, capture


class OwnBackend:
    """A backend that a user wrote against the protocol."""

    def log_call(self, record: LLMCallRecord) -> None: ...

    def log_workflow(self, record: WorkflowRunRecord) -> None: ...

    def get_calls(
        self, since: datetime | None = None, workflow_name: str | None = None, limit: int = 1000
    ) -> list[LLMCallRecord]:
        return []

    def get_workflows(
        self, since: datetime | None = None, workflow_name: str | None = None, limit: int = 100
    ) -> list[WorkflowRunRecord]:
        return []


def backends() -> None:
    own: TelemetryBackend = OwnBackend()
    store: TelemetryBackend = get_telemetry_store(".empathy")
    spans: TelemetryBackend = OpenTelemetryBackend()
    every: TelemetryBackend = MultiBackend([own, store, spans, TelemetryStore(".empathy")])
    assert_type(every.get_calls(since=datetime.now(UTC), limit=10), list[LLMCallRecord])


def records() -> None:
    call = LLMCallRecord(call_id="c1", timestamp="2026-01-11T03:47:00Z", provider="openai")
    run = WorkflowRunRecord(
        run_id="r1",
        workflow_name="review",
        started_at="2026-01-11T03:47:00Z",
        stages=[WorkflowStageRecord(stage_name="analyze", tier="cheap", model_id="gpt-4o-mini")],
    )
    log_llm_call(call)
    log_workflow_run(run)
    assert_type(call.cost, float | None)
    assert_type(LLMCallRecord.from_dict(call.to_dict()), LLMCallRecord)
    call.tier = "premium"  # type: ignore[misc]


def configuration() -> None:
    try:
        assert_type(configure("monitoring.yaml", storage_dir=".empathy"), Config)
    except ConfigError as error:
        caught: MonitoringError = error
        print(caught)
    assert_type(instrument("openai", "anthropic"), list[str])
    assert_type(flush(timeout=1.0), bool)
    assert_type(shutdown(), bool)


def in_a_test(attune_capture: Captured) -> None:
    with capture(stream_proxy=False) as captured:
        assert_type(captured, Captured)
    assert_type(attune_capture.calls, list[LLMCallRecord])
    assert_type(attune_capture.metric("attune.llm.cost", gen_ai_provider_name="openai")[0].value, float)
