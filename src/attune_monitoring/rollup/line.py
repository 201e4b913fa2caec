"""What the roll-up needs of a line, decoded into a Struct in one go."""

from __future__ import annotations

import math
from typing import Annotated, Any

import msgspec

from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord

__all__ = ["Attune", "Call", "Run", "RunId", "Stage", "as_call", "as_run"]

_Int = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Id = Annotated[str, msgspec.Meta(min_length=1)]


class _Attempt(msgspec.Struct, gc=False):
    outcome: str | None = None
    cost: float | None = None


class Attune(msgspec.Struct, gc=False):
    """What stands under `metadata.attune`."""

    run_id: str | None = None
    cache_read_tokens: _Int | None = None
    cache_write_tokens: _Int | None = None
    reasoning_tokens: _Int | None = None
    time_to_first_token_ms: float | None = None
    finish_reasons: list[str] = []
    cost_source: str | None = None
    baseline_cost: float | None = None
    cancelled: bool = False
    attempts: list[_Attempt] = []
    project: str | None = None
    dialect: str | None = None
    pid: _Int | None = None
    under_pytest: bool = False
    unknown: list[str] = []


class _Metadata(msgspec.Struct, gc=False):
    run_id: Any = msgspec.UNSET
    attune: Attune | None = None


class Call(msgspec.Struct, gc=False):
    """What the cells need of a call's line; a line that does not fit is read the tolerant way."""

    call_id: _Id
    timestamp: str
    workflow_name: str | None = None
    step_name: str | None = None
    user_id: str | None = None
    task_type: str = "unknown"
    provider: str = "anthropic"
    tier: str = "capable"
    model_id: str = ""
    input_tokens: _Int = 0
    output_tokens: _Int = 0
    estimated_cost: float = 0.0
    actual_cost: float | None = None
    latency_ms: _Int = 0
    fallback_used: bool = False
    retry_count: _Int = 0
    success: bool = True
    error_type: str | None = None
    metadata: _Metadata | None = None


class Stage(msgspec.Struct, gc=False):
    """What the cells need of a stage."""

    stage_name: str = ""
    tier: str = "unknown"
    cost: float = 0.0
    latency_ms: _Int = 0
    success: bool = True
    skipped: bool = False


class _MoreOfStage(msgspec.Struct, gc=False):
    cancelled: bool = False


class _AttuneOfRun(msgspec.Struct, gc=False):
    parent_run_id: str | None = None
    project: str | None = None
    cancelled: bool = False
    under_pytest: bool = False
    stages: list[_MoreOfStage] = []


class _MetadataOfRun(msgspec.Struct, gc=False):
    attune: _AttuneOfRun | None = None


class RunId(msgspec.Struct, gc=False):
    """Which run a line is of."""

    run_id: _Id


class Run(msgspec.Struct, gc=False):
    """What the cells need of a run's line."""

    run_id: _Id
    workflow_name: str
    started_at: str
    stages: list[Stage] = []
    total_cost: float = 0.0
    baseline_cost: float = 0.0
    savings: float = 0.0
    total_duration_ms: _Int = 0
    success: bool = True
    project: str | None = None
    metadata: _MetadataOfRun | None = None


def as_call(record: LLMCallRecord) -> Call:
    """A record that was read the tolerant way, in the shape of the others."""
    unknown = [name for name in ("input_tokens", "output_tokens", "estimated_cost") if getattr(record, name) is None]
    attune = Attune(
        run_id=record.run_id,
        cache_read_tokens=record.cache_read_tokens,
        cache_write_tokens=record.cache_write_tokens,
        reasoning_tokens=record.reasoning_tokens,
        time_to_first_token_ms=record.time_to_first_token_ms,
        finish_reasons=record.finish_reasons,
        cost_source=record.cost_source,
        baseline_cost=record.baseline_cost,
        cancelled=record.cancelled,
        attempts=[_Attempt(attempt.get("outcome"), _number(attempt.get("cost"))) for attempt in record.attempts],
        project=record.project,
        dialect=record.dialect,
        pid=record.pid,
        under_pytest=record.under_pytest,
        unknown=unknown,
    )
    return Call(
        call_id=record.call_id,
        timestamp=record.timestamp,
        workflow_name=record.workflow_name,
        step_name=record.step_name,
        user_id=record.user_id,
        task_type=record.task_type,
        provider=record.provider,
        tier=record.tier,
        model_id=record.model_id,
        input_tokens=record.input_tokens or 0,
        output_tokens=record.output_tokens or 0,
        estimated_cost=record.estimated_cost or 0.0,
        actual_cost=record.actual_cost,
        latency_ms=record.latency_ms,
        fallback_used=record.fallback_used,
        retry_count=record.retry_count,
        success=record.success,
        error_type=record.error_type,
        metadata=_Metadata(record.metadata.get("run_id", msgspec.UNSET), attune),
    )


def _number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and math.isfinite(value) else None


def as_run(record: WorkflowRunRecord) -> Run:
    """A run that was read the tolerant way, in the shape of the others."""
    return Run(
        run_id=record.run_id,
        workflow_name=record.workflow_name,
        started_at=record.started_at,
        stages=[
            Stage(stage.stage_name, stage.tier, stage.cost or 0.0, stage.latency_ms, stage.success, stage.skipped)
            for stage in record.stages
        ],
        total_cost=record.total_cost,
        baseline_cost=record.baseline_cost,
        savings=record.savings,
        total_duration_ms=record.total_duration_ms,
        success=record.success,
        metadata=_MetadataOfRun(
            _AttuneOfRun(
                record.parent_run_id,
                record.project,
                record.cancelled,
                record.under_pytest,
                [_MoreOfStage(stage.cancelled) for stage in record.stages],
            )
        ),
    )
