"""A workflow run as it grows: stages and calls are added, and at its end it becomes one record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attune_monitoring import semconv as sc
from attune_monitoring.mapping import Origin, SpanData
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, WorkflowStageRecord, format_time

__all__ = ["MAX_STAGES", "RunInProgress"]

MAX_STAGES = 256
"""Stages beyond are merged into one of the same name, or into `__other__`."""
OTHER = "__other__"


class _Sums:
    """Tokens and USD of some calls; unknown stays apart from zero."""

    __slots__ = (
        "baseline", "cache_read", "cache_write", "calls", "cost", "failed", "input", "output", "reasoning", "unknown",
    )  # fmt: skip

    def __init__(self) -> None:
        self.calls = self.failed = self.unknown = 0
        self.input = self.output = self.cache_read = self.cache_write = self.reasoning = 0
        self.cost = self.baseline = 0.0

    def add(self, call: LLMCallRecord) -> None:
        self.calls += 1
        self.failed += not call.success and not call.cancelled
        self.input += call.input_tokens or 0
        self.output += call.output_tokens or 0
        self.cache_read += call.cache_read_tokens or 0
        self.cache_write += call.cache_write_tokens or 0
        self.reasoning += call.reasoning_tokens or 0
        cost = call.cost
        if cost is not None:
            self.cost += cost
            # Where no premium model is known for the provider, nothing is claimed to have been saved.
            self.baseline += call.baseline_cost if call.baseline_cost is not None else cost
        elif call.cost_source != "none":
            self.unknown += 1


class _Stage:
    __slots__ = (
        "attributes", "end_ns", "error", "failed", "model", "name", "provider", "start_ns", "sums", "tier", "times",
    )  # fmt: skip

    def __init__(self, name: str, start_ns: int) -> None:
        self.name = name
        self.attributes: Mapping[str, Any] = {}
        self.start_ns = start_ns
        self.end_ns = 0
        self.failed = False
        self.error: str | None = None
        self.sums = _Sums()
        self.tier: str | None = None
        self.model = ""
        self.provider: str | None = None
        self.times = 0


class RunInProgress:
    """What is known so far of one run.

    Args:
        run_id: its id.
        workflow_name: its name.
        parent: the run that encloses it, if any: its sums include this run's.
        parent_stage_id: the stage of that run in which this one runs.
    """

    def __init__(
        self, run_id: str, workflow_name: str, parent: RunInProgress | None = None, parent_stage_id: str | None = None
    ) -> None:
        self.run_id = run_id
        self.workflow_name = workflow_name
        self.parent = parent
        self.parent_stage_id = parent_stage_id
        self.open: set[int] = set()
        """Span ids of GenAI descendants that have not ended."""
        self.root: SpanData | None = None
        """The run's own span, once it has ended."""
        self._stages: dict[str, _Stage] = {}
        self._sums = _Sums()
        self._providers: dict[str, None] = {}
        self._tiers: dict[str, None] = {}
        self._first_ns = 0
        self._last_ns = 0
        self._attributes: Mapping[str, Any] = {}

    def begun(self, start_ns: int, attributes: Mapping[str, Any]) -> None:
        """Take the start and the (live) attributes of the run's span, for a record that is due before it ends."""
        self._first_ns = self._last_ns = start_ns
        self._attributes = attributes

    def lineage(self) -> list[RunInProgress]:
        """Return this run and those around it, innermost first."""
        found = []
        run: RunInProgress | None = self
        while run is not None:
            found.append(run)
            run = run.parent
        return found

    def add_call(self, call: LLMCallRecord, end_ns: int, stage_id: str | None) -> None:
        """Count a call made in the stage `stage_id` of this run, here and in the runs around it."""
        self._sums.add(call)
        self._providers[call.provider] = None
        if call.tier != "unknown":
            self._tiers[call.tier] = None
        self._seen(end_ns - call.latency_ms * 1_000_000, end_ns)
        if stage_id is not None:
            stage = self._stage(stage_id, call.step_name or "stage", end_ns - call.latency_ms * 1_000_000)
            stage.sums.add(call)
            stage.model = call.model_id or stage.model
            stage.provider = call.provider
            if stage.tier is None:
                stage.tier = call.tier
        if self.parent is not None:
            self.parent.add_call(call, end_ns, self.parent_stage_id)

    def stage_ended(self, span: SpanData, stage_id: str) -> None:
        """A stage's span has ended."""
        get = span.attributes.get
        stage = self._stage(stage_id, get(sc.STAGE_NAME) or span.name, span.start_ns)
        if stage.name != OTHER:
            stage.name = get(sc.STAGE_NAME) or span.name
        stage.attributes = span.attributes
        # Until its span has ended a stage begins with its first call, whose own begin is known to a millisecond only.
        stage.start_ns = min(stage.start_ns, span.start_ns) if stage.end_ns else span.start_ns
        stage.end_ns = max(stage.end_ns, span.end_ns)
        stage.times += span.end_ns - span.start_ns
        stage.tier = get(sc.TIER) or stage.tier
        if span.failed:
            stage.failed = True
            stage.error = span.status_message or get(sc.ERROR_TYPE)
        self._seen(span.start_ns, span.end_ns)

    def record(self, origin: Origin, *, complete: bool) -> WorkflowRunRecord:
        """Return the run's record; `complete`: its span and all that was opened in it have ended."""
        sums = self._sums
        root = self.root
        attributes = root.attributes if root is not None else self._attributes
        get = attributes.get
        start_ns = root.start_ns if root is not None else self._first_ns
        end_ns = root.end_ns if root is not None else self._last_ns
        failed = root.failed if root is not None else False
        cancelled = bool(get(sc.CANCELLED))
        savings = sums.baseline - sums.cost
        return WorkflowRunRecord(
            run_id=self.run_id,
            workflow_name=self.workflow_name,
            started_at=format_time(start_ns),
            completed_at=format_time(end_ns) if root is not None else None,
            user_id=get(sc.USER_ID),
            session_id=get(sc.CONVERSATION_ID),
            stages=[_stage_record(key, stage) for key, stage in self._stages.items()],
            total_input_tokens=sums.input,
            total_output_tokens=sums.output,
            total_cost=sums.cost,
            baseline_cost=sums.baseline,
            savings=savings,
            savings_percent=savings / sums.baseline * 100 if sums.baseline > 0 else 0.0,
            total_duration_ms=round((end_ns - start_ns) / 1_000_000),
            success=not failed and not cancelled,
            error=((root.status_message or get(sc.ERROR_TYPE)) if root is not None and failed else None),
            providers_used=list(self._providers),
            tiers_used=list(self._tiers),
            trigger=get(sc.RUN_TRIGGER),
            project=get(sc.PROJECT),
            trace_id=root.trace_id if root is not None else None,
            span_id=root.span_id if root is not None else None,
            parent_span_id=root.parent_span_id if root is not None else None,
            parent_run_id=get(sc.PARENT_RUN_ID) or (self.parent.run_id if self.parent is not None else None),
            complete=complete,
            cancelled=cancelled,
            error_type=get(sc.ERROR_TYPE) if failed else None,
            call_count=sums.calls,
            failed_calls=sums.failed,
            unknown_cost_calls=sums.unknown,
            total_cache_read_tokens=sums.cache_read,
            total_cache_write_tokens=sums.cache_write,
            total_reasoning_tokens=sums.reasoning,
            dialect=root.dialect if root is not None else None,
            scope=root.scope if root is not None else None,
            scope_version=root.scope_version if root is not None else None,
            source_file=get(sc.CODE_FILE),
            source_line=get(sc.CODE_LINE),
            service=origin.service,
            host=origin.host,
            pid=origin.pid,
            under_pytest=origin.under_pytest,
        )

    def _stage(self, stage_id: str, name: str, start_ns: int) -> _Stage:
        found = self._stages.get(stage_id)
        if found is None and len(self._stages) >= MAX_STAGES:
            found = next((stage for stage in self._stages.values() if stage.name == name), None)
            if found is None:
                stage_id = name = OTHER
                found = self._stages.get(stage_id)
        if found is None:
            found = self._stages[stage_id] = _Stage(name, start_ns)
        return found

    def _seen(self, start_ns: int, end_ns: int) -> None:
        self._first_ns = min(self._first_ns or start_ns, start_ns)
        self._last_ns = max(self._last_ns, end_ns)


def _stage_record(stage_id: str, stage: _Stage) -> WorkflowStageRecord:
    get = stage.attributes.get
    sums = stage.sums
    skipped = bool(get(sc.STAGE_SKIPPED))
    cancelled = bool(get(sc.CANCELLED))
    known = sums.calls == 0 or sums.unknown < sums.calls
    return WorkflowStageRecord(
        stage_name=stage.name,
        tier=stage.tier or "unknown",
        model_id=stage.model,
        input_tokens=sums.input,
        output_tokens=sums.output,
        cost=sums.cost if known else None,
        latency_ms=round(stage.times / 1_000_000),
        success=not (stage.failed or skipped or cancelled),
        skipped=skipped,
        skip_reason=get(sc.STAGE_SKIP_REASON),
        error=stage.error,
        stage_id=stage_id,
        parent_stage_id=get(sc.PARENT_STAGE_ID),
        started_at=format_time(stage.start_ns),
        call_count=sums.calls,
        unknown_cost_calls=sums.unknown,
        baseline_cost=sums.baseline if sums.calls else None,
        provider=stage.provider,
        cancelled=cancelled,
    )
