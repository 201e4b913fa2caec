"""What invented calls add up to: the records of their stages and runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, WorkflowStageRecord

from .demo_team import Stage, Workflow

__all__ = ["ORIGIN", "SECOND", "Scope", "Sums", "format_time", "run_record", "stage_record"]

SECOND = 1_000_000_000
"""In nanoseconds."""


class Scope(NamedTuple):
    """What the calls of a run have in common."""

    workflow: Workflow
    run_id: str
    trace_id: str
    span_id: str
    user: str | None
    session: str | None


class Sums:
    """Sums over the calls of a run or of a stage."""

    __slots__ = (
        "baseline", "cache_read", "cache_write", "calls", "cost", "failed", "input", "model", "output", "provider",
        "providers", "reasoning", "tiers", "unknown",
    )  # fmt: skip

    def __init__(self) -> None:
        self.calls = self.failed = self.unknown = 0
        self.input = self.output = self.cache_read = self.cache_write = self.reasoning = 0
        self.cost = self.baseline = 0.0
        self.model = ""
        self.provider: str | None = None
        self.providers: dict[str, None] = {}
        self.tiers: dict[str, None] = {}

    def add(self, call: LLMCallRecord) -> None:
        """Add one call."""
        self.calls += 1
        self.failed += not call.success
        self.input += call.input_tokens or 0
        self.output += call.output_tokens or 0
        self.cache_read += call.cache_read_tokens or 0
        self.cache_write += call.cache_write_tokens or 0
        self.reasoning += call.reasoning_tokens or 0
        self.model, self.provider = call.model_id, call.provider
        self.providers[call.provider] = None
        if call.tier != "unknown":
            self.tiers[call.tier] = None
        cost = call.cost
        if cost is not None:
            self.cost += cost
            self.baseline += cost if call.baseline_cost is None else call.baseline_cost
        elif call.cost_source != "none":
            self.unknown += 1

    def merge(self, inner: Sums) -> None:
        """Add all of another."""
        for name in ("calls", "failed", "unknown", "input", "output", "cache_read", "cache_write", "reasoning"):
            setattr(self, name, getattr(self, name) + getattr(inner, name))
        self.cost += inner.cost
        self.baseline += inner.baseline
        self.model, self.provider = inner.model, inner.provider
        self.providers |= inner.providers
        self.tiers |= inner.tiers


def stage_record(
    stage: Stage,
    stage_id: str,
    begin_ns: int,
    end_ns: int,
    sums: Sums,
    skip_reason: str | None,
    error: tuple[str, str] | None,
) -> WorkflowStageRecord:
    """Return the record of a stage that began and ended then (ns); `error` is type and message."""
    known = sums.calls == 0 or sums.unknown < sums.calls
    return WorkflowStageRecord(
        stage_name=stage.name,
        tier="unknown" if stage.tier == "local" else stage.tier,
        model_id=sums.model,
        input_tokens=sums.input,
        output_tokens=sums.output,
        cost=sums.cost if known else None,
        latency_ms=round((end_ns - begin_ns) / 1_000_000),
        success=error is None and skip_reason is None,
        skipped=skip_reason is not None,
        skip_reason=skip_reason,
        error=error[1] if error else None,
        stage_id=stage_id,
        started_at=format_time(begin_ns),
        call_count=sums.calls,
        unknown_cost_calls=sums.unknown,
        baseline_cost=sums.baseline if sums.calls else None,
        provider=sums.provider,
    )


def run_record(
    scope: Scope,
    stages: list[WorkflowStageRecord],
    sums: Sums,
    begin_ns: int,
    end_ns: int,
    error: tuple[str, str] | None,
    outer: Scope | None,
    outer_stage: str,
) -> WorkflowRunRecord:
    """Return the record of a run that began and ended then (ns), within `outer` and its stage where it is nested."""
    savings = sums.baseline - sums.cost
    return WorkflowRunRecord(
        run_id=scope.run_id,
        workflow_name=scope.workflow.name,
        started_at=format_time(begin_ns),
        completed_at=format_time(end_ns),
        user_id=scope.user,
        session_id=scope.session,
        stages=stages,
        total_input_tokens=sums.input,
        total_output_tokens=sums.output,
        total_cost=sums.cost,
        baseline_cost=sums.baseline,
        savings=savings,
        savings_percent=savings / sums.baseline * 100 if sums.baseline > 0 else 0.0,
        total_duration_ms=round((end_ns - begin_ns) / 1_000_000),
        success=error is None,
        error=error[1] if error else None,
        providers_used=[*sums.providers],
        tiers_used=[*sums.tiers],
        trigger=scope.workflow.trigger,
        project=scope.workflow.project,
        trace_id=scope.trace_id,
        span_id=scope.span_id,
        parent_span_id=outer_stage or None,
        parent_run_id=outer.run_id if outer else None,
        error_type=error[0] if error else None,
        call_count=sums.calls,
        failed_calls=sums.failed,
        unknown_cost_calls=sums.unknown,
        total_cache_read_tokens=sums.cache_read,
        total_cache_write_tokens=sums.cache_write,
        total_reasoning_tokens=sums.reasoning,
        **ORIGIN,
    )


def format_time(nanoseconds: int) -> str:
    """RFC 3339, as `records.format_time` writes it; times are spread here, so an hour is what is worth remembering."""
    hours, rest = divmod(nanoseconds, 3600 * SECOND)
    text = _hours.get(hours)
    if text is None:
        text = _hours[hours] = f"{datetime.fromtimestamp(hours * 3600, UTC):%Y-%m-%dT%H}"
    seconds, rest = divmod(rest, SECOND)
    return f"{text}:{seconds // 60:02}:{seconds % 60:02}.{rest // 1000:06}Z"


_hours: dict[int, str] = {}

ORIGIN: dict[str, Any] = {
    "dialect": "attune",
    "scope": "attune.demo",
    "service": "empathy-demo",
    "host": "demo",
    "pid": 1,
}
