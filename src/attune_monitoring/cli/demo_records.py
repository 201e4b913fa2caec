"""Invented records that look like a team's: for trying the commands, and for benchmarks."""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from attune_monitoring.errors import StoreError
from attune_monitoring.files import Files
from attune_monitoring.pricing import DEFAULT
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, WorkflowStageRecord

__all__ = ["Written", "write_records"]


class Written(NamedTuple):
    """What was written."""

    calls: int
    runs: int
    """Nested ones included."""
    cost: float
    """USD, of the calls of known cost."""


class _Model(NamedTuple):
    provider: str
    name: str
    tier: str
    tokens_a_second: float
    errors: tuple[tuple[str, str], ...]
    """Type and message."""


class _Stage(NamedTuple):
    name: str
    tier: str
    calls: int
    """On average."""
    input_tokens: int
    output_tokens: int
    skipped: float = 0.0
    """Share of the runs that do without it."""
    nested: str = ""
    """Workflow that runs inside of it, instead of calls of its own."""
    streamed: bool = False


class _Workflow(NamedTuple):
    name: str
    weight: float
    """How often it is started; 0: only inside of another."""
    trigger: str
    project: str
    people: bool
    """Whether users and sessions stand behind it."""
    stages: tuple[_Stage, ...]


_OPENAI_ERRORS = (
    ("rate_limit_exceeded", "429: Rate limit reached for requests."),
    ("server_error", "500: The server had an error while processing your request."),
    ("context_length_exceeded", "400: Your input exceeds the context window of this model."),
)
_ANTHROPIC_ERRORS = (
    ("overloaded_error", "529: Overloaded"),
    ("rate_limit_error", "429: This request would exceed your rate limit."),
    ("APITimeoutError", "Request timed out."),
)
_GOOGLE_ERRORS = (("RESOURCE_EXHAUSTED", "429: Resource has been exhausted."), ("UNAVAILABLE", "503: Overloaded."))
_MODELS = {
    "cheap": (
        _Model("openai", "gpt-5-mini", "cheap", 110, _OPENAI_ERRORS),
        _Model("anthropic", "claude-haiku-4-5", "cheap", 140, _ANTHROPIC_ERRORS),
        _Model("gcp.gemini", "gemini-2.5-flash", "cheap", 180, _GOOGLE_ERRORS),
    ),
    "capable": (
        _Model("anthropic", "claude-sonnet-4-5", "capable", 70, _ANTHROPIC_ERRORS),
        _Model("openai", "gpt-5.1", "capable", 80, _OPENAI_ERRORS),
        _Model("gcp.gemini", "gemini-2.5-pro", "capable", 95, _GOOGLE_ERRORS),
    ),
    "premium": (_Model("anthropic", "claude-opus-4-5", "premium", 45, _ANTHROPIC_ERRORS),),
    "local": (_Model("ollama", "qwen3:8b", "unknown", 35, (("ConnectError", "Connection refused"),)),),
}
_SHARES = {"cheap": (0.5, 0.3, 0.2), "capable": (0.6, 0.25, 0.15), "premium": (1.0,), "local": (1.0,)}
_CHEAPER = {"premium": "capable", "capable": "cheap"}
_WORKFLOWS = (
    _Workflow(
        "code-review", 5, "api", "dev-tools", True,
        (
            _Stage("triage", "cheap", 1, 1800, 90),
            _Stage("analyze", "premium", 3, 7000, 900, streamed=True),
            _Stage("verify", "capable", 4, 2600, 250, skipped=0.2),
            _Stage("notes", "cheap", 1, 900, 200, skipped=0.5, nested="changelog"),
        ),
    ),
    _Workflow("changelog", 0.5, "ci", "dev-tools", False, (_Stage("write", "cheap", 1, 1400, 300),)),
    _Workflow(
        "support-answer", 9, "api", "helpdesk", True,
        (
            _Stage("classify", "cheap", 1, 700, 20),
            _Stage("retrieve", "cheap", 3, 1200, 60, skipped=0.15),
            _Stage("answer", "capable", 2, 4200, 350, streamed=True),
        ),
    ),
    _Workflow(
        "weekly-report", 0.6, "cron", "analytics", False,
        (_Stage("select", "cheap", 8, 2500, 120), _Stage("write", "capable", 4, 9000, 1800)),
    ),
    _Workflow(
        "redact-tickets", 1.4, "cron", "helpdesk", False, (_Stage("private", "local", 6, 800, 150),)
    ),
)  # fmt: skip
_WEIGHTS = (*(workflow.weight for workflow in _WORKFLOWS), 1.5)
_ALONE = _Stage("", "cheap", 1, 500, 100)
_BY_NAME = {workflow.name: workflow for workflow in _WORKFLOWS}
_USERS = ("ada", "bela", "chen", "dora", "emil", "fatima", "goro", "hana", "ivan", "june", "kofi", "lena")
_HOURS = (2, 1, 1, 1, 1, 2, 4, 9, 18, 26, 30, 28, 22, 26, 30, 28, 24, 18, 12, 9, 7, 6, 5, 3)
"""Work in each hour of a day; a weekend has a fifth of it."""
_WEEKEND = 0.2
_OUTAGE = 0.4
"""The place in the whole period at which the first Anthropic outage begins; it lasts three hours."""
_OUTAGE_SECONDS = 3 * 3600
_SECOND = 1_000_000_000
_STEP = 2000
"""Calls between two reports of progress."""


def write_records(
    folder: Path,
    *,
    count: int,
    days: float,
    seed: int = 1,
    now: datetime,
    progress: Callable[[int], object] = lambda _: None,
) -> Written:
    """Append invented calls and the runs that they were made in; the same arguments give the same lines.

    Args:
        folder: the folder, which is made where it is missing.
        count: number of calls.
        days: they are spread over the days before `now`.
        seed: of the random numbers.
        now: end of the period, aware.
        progress: called now and then with the number of calls written so far.

    Raises:
        StoreError: not everything could be written.
    """
    files = Files(folder)
    writer = _Writer(files, random.Random(seed), now - timedelta(days=days), now, count, progress)  # nosec
    written = writer.write()
    files.close(5.0)
    if files.dropped:
        raise StoreError(f"{folder}: records could not be written: {', '.join(files.dropped)}; free space, or move on")
    return written


class _Sums:
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

    def merge(self, inner: _Sums) -> None:
        for name in ("calls", "failed", "unknown", "input", "output", "cache_read", "cache_write", "reasoning"):
            setattr(self, name, getattr(self, name) + getattr(inner, name))
        self.cost += inner.cost
        self.baseline += inner.baseline
        self.model, self.provider = inner.model, inner.provider
        self.providers |= inner.providers
        self.tiers |= inner.tiers


class _Shape(NamedTuple):
    """A run before it is made: how many calls each stage makes, or a call outside of any run."""

    workflow: _Workflow | None
    calls: tuple[int, ...]


class _Scope(NamedTuple):
    """What the calls of a run have in common."""

    workflow: _Workflow
    run_id: str
    trace_id: str
    span_id: str
    user: str | None
    session: str | None


class _Writer:
    def __init__(
        self,
        files: Files,
        rng: random.Random,
        begin: datetime,
        end: datetime,
        count: int,
        progress: Callable[[int], object],
    ) -> None:
        self._files = files
        self._rng = rng
        self._begin_ns = int(begin.timestamp() * _SECOND)
        self._end_ns = int(end.timestamp() * _SECOND)
        self._outage_ns = self._begin_ns + int((self._end_ns - self._begin_ns) * _OUTAGE)
        self._count = count
        self._progress = progress
        self._calls = self._runs = 0
        self._cost = 0.0

    def write(self) -> Written:
        plan, planned = [], 0
        while planned < self._count:
            plan.append(self._shape(self._count - planned))
            planned += sum(plan[-1].calls)
        due = 0
        for shape, begin_ns in zip(plan, self._times(len(plan)), strict=True):
            due += sum(shape.calls)
            at = begin_ns
            if shape.workflow is not None:
                people = shape.workflow.people
                user = self._rng.choice(_USERS) if people else None
                session = None if user is None else f"{user}-{begin_ns // (2 * 3600 * _SECOND):x}"
                at, _ = self._run(shape, begin_ns, user, session, None, "")
            while self._calls < due:  # outside of any run, also what a run that failed has not come to
                _, at = self._call(None, None, _ALONE, at)
        self._progress(self._calls)
        return Written(self._calls, self._runs, self._cost)

    def _shape(self, most: int) -> _Shape:
        rng = self._rng
        [workflow] = rng.choices((*_WORKFLOWS, None), _WEIGHTS)
        if workflow is None:
            return _Shape(None, (1,))
        calls: list[int] = []
        for stage in workflow.stages:
            wanted = 1 if stage.nested else max(1, round(rng.gauss(stage.calls, 0.4)))
            calls.append(0 if rng.random() < stage.skipped else min(wanted, most - sum(calls)))
        return _Shape(workflow, tuple(calls)) if sum(calls) else _Shape(None, (1,))

    def _times(self, count: int) -> list[int]:
        """Random times in ascending order, in the rhythm of days and weeks, with a little growth."""
        span = self._end_ns - self._begin_ns
        hours = max(1, math.ceil(span / (3600 * _SECOND)))
        first = datetime.fromtimestamp(self._begin_ns / _SECOND, UTC)
        weights = []
        for hour in range(hours):
            moment = first + timedelta(hours=hour)
            busy = _HOURS[moment.hour] * (_WEEKEND if moment.weekday() >= 5 else 1.0)
            weights.append(busy * (1 + 0.5 * hour / hours))
        total = list(itertools.accumulate(weights))
        found = []
        for _ in range(count):
            hour = bisect.bisect(total, self._rng.random() * total[-1])
            found.append(self._begin_ns + int((min(hour, hours - 1) + self._rng.random()) / hours * span))
        return sorted(found)

    def _run(
        self,
        shape: _Shape,
        begin_ns: int,
        user: str | None,
        session: str | None,
        outer: _Scope | None,
        outer_stage: str,
    ) -> tuple[int, _Sums]:
        """Write a run with all its calls; return its end, and its sums."""
        rng = self._rng
        workflow = shape.workflow or _WORKFLOWS[0]
        trace_id = outer.trace_id if outer else self._id(128)
        scope = _Scope(workflow, self._id(128), trace_id, self._id(64), user, session)
        sums = _Sums()
        stages: list[WorkflowStageRecord] = []
        error: tuple[str, str] | None = None
        at = begin_ns + rng.randrange(1_000_000, 20_000_000)
        for stage, count in zip(workflow.stages, shape.calls, strict=True):
            stage_id, stage_begin, mine = self._id(64), at, _Sums()
            if not count:
                stages.append(_stage(stage, stage_id, stage_begin, at, mine, "nothing to do", None))
                continue
            if stage.nested:
                inner = _Shape(_BY_NAME[stage.nested], (count,))
                at, inner_sums = self._run(inner, at, user, session, scope, stage_id)
                mine.merge(inner_sums)
                sums.merge(inner_sums)
            for _ in range(0 if stage.nested else count):
                call, at = self._call(scope, stage_id, stage, at)
                mine.add(call)
                sums.add(call)
                if not call.success:
                    error = (call.error_type or "", call.error_message or "")
                    break
            at += rng.randrange(1_000_000, 30_000_000)
            stages.append(_stage(stage, stage_id, stage_begin, at, mine, None, error))
            if error is not None:
                break
        at += rng.randrange(1_000_000, 5_000_000)
        self._files.run(_run_record(scope, stages, sums, begin_ns, at, error, outer, outer_stage))
        self._runs += 1
        return at, sums

    def _call(
        self, scope: _Scope | None, stage_id: str | None, stage: _Stage, begin_ns: int
    ) -> tuple[LLMCallRecord, int]:
        """Write a call that begins then; return it, and its end."""
        rng = self._rng
        model = self._model(stage.tier)
        wanted = model
        used = max(20, int(rng.lognormvariate(math.log(stage.input_tokens), 0.4)))
        output = max(1, int(rng.lognormvariate(math.log(stage.output_tokens), 0.5)))
        cached = used * 3 // 4 if used > 1500 and rng.random() < 0.4 else None
        attempts: list[dict[str, Any]] = []
        at = begin_ns
        trouble = 0.25 if model.provider == "anthropic" and self._is_outage(begin_ns) else 0.015
        error: tuple[str, str] | None = None
        while rng.random() < trouble:
            error = rng.choice(model.errors)
            lasted = rng.randrange(80, 900)
            at += lasted * 1_000_000
            cheaper = _CHEAPER.get(stage.tier) if len(attempts) == 1 else None
            if len(attempts) >= 2 or error[0] == "context_length_exceeded":
                break
            attempts.append(_attempt(model, "fallback" if cheaper else "retry", lasted, error[0]))
            model = self._model(cheaper) if cheaper else model
            error = None
        first_ms = None
        if error is None:
            waited = rng.lognormvariate(math.log(380), 0.5)
            first_ms = round(waited, 3) if stage.streamed else None
            at += int((waited + output / model.tokens_a_second * 1000) * 1_000_000)
        record = self._record(scope, stage_id, stage, model, wanted, (used, output, cached), attempts, error, first_ms,
                              (begin_ns, at))  # fmt: skip
        self._files.call(record)
        self._calls += 1
        self._cost += record.cost or 0.0
        if self._calls % _STEP == 0:
            self._progress(self._calls)
        return record, at

    def _record(
        self,
        scope: _Scope | None,
        stage_id: str | None,
        stage: _Stage,
        model: _Model,
        wanted: _Model,
        usage: tuple[int, int, int | None],
        attempts: list[dict[str, Any]],
        error: tuple[str, str] | None,
        first_ms: float | None,
        span: tuple[int, int],
    ) -> LLMCallRecord:
        used, output, cached = usage
        cost, source, baseline, _ = DEFAULT.quote(
            model.provider, model.name, used, output, cached or 0, 0, 0, 0, None, span[1] / _SECOND
        )
        fallback = any(attempt["outcome"] == "fallback" for attempt in attempts)
        reasoning = output // 3 if model.name.startswith(("gpt-5", "gemini-2.5")) else None
        cut = self._rng.random() < 0.004
        call_id = self._id(64)
        return LLMCallRecord(
            call_id=call_id,
            timestamp=_format(span[1]),
            workflow_name=scope.workflow.name if scope else None,
            step_name=stage.name or None,
            user_id=scope.user if scope else None,
            session_id=scope.session if scope else None,
            task_type=stage.name or "unknown",
            provider=model.provider,
            tier=model.tier,
            model_id=model.name,
            input_tokens=None if error else used,
            output_tokens=None if error else output,
            estimated_cost=None if error else cost,
            latency_ms=round((span[1] - span[0]) / 1_000_000),
            fallback_used=fallback,
            fallback_chain=[f"{wanted.provider}:{wanted.tier}", f"{model.provider}:{model.tier}"] if fallback else [],
            original_provider=wanted.provider if fallback else None,
            original_model=wanted.name if fallback else None,
            retry_count=sum(attempt["outcome"] == "retry" for attempt in attempts),
            success=error is None,
            error_type=error[0] if error else None,
            error_message=error[1] if error else None,
            trace_id=scope.trace_id if scope else self._id(128),
            span_id=call_id,
            parent_span_id=stage_id,
            run_id=scope.run_id if scope else None,
            stage_id=stage_id,
            request_model=model.name,
            cache_read_tokens=None if error else cached,
            reasoning_tokens=None if error else reasoning,
            time_to_first_token_ms=first_ms,
            finish_reasons=[] if error else ["length"] if cut else ["stop"],
            cost_source="none" if error else "unknown" if cost is None else source,
            baseline_cost=None if error or cost is None else baseline,
            attempts=attempts,
            project=scope.workflow.project if scope else None,
            **_ORIGIN,
        )

    def _model(self, tier: str) -> _Model:
        return self._rng.choices(_MODELS[tier], _SHARES[tier])[0]

    def _is_outage(self, at_ns: int) -> bool:
        return 0 <= at_ns - self._outage_ns < _OUTAGE_SECONDS * _SECOND

    def _id(self, bits: int) -> str:
        return f"{self._rng.getrandbits(bits):0{bits // 4}x}"


def _format(nanoseconds: int) -> str:
    """RFC 3339, as `records.format_time` writes it; times are spread here, so an hour is what is worth remembering."""
    hours, rest = divmod(nanoseconds, 3600 * _SECOND)
    text = _hours.get(hours)
    if text is None:
        text = _hours[hours] = f"{datetime.fromtimestamp(hours * 3600, UTC):%Y-%m-%dT%H}"
    seconds, rest = divmod(rest, _SECOND)
    return f"{text}:{seconds // 60:02}:{seconds % 60:02}.{rest // 1000:06}Z"


_hours: dict[int, str] = {}

_ORIGIN: dict[str, Any] = {
    "dialect": "attune",
    "scope": "attune.demo",
    "service": "empathy-demo",
    "host": "demo",
    "pid": 1,
}


def _attempt(model: _Model, outcome: str, duration_ms: int, error_type: str) -> dict[str, Any]:
    return {
        "provider": model.provider,
        "model": model.name,
        "tier": model.tier,
        "outcome": outcome,
        "duration_ms": duration_ms,
        "error_type": error_type,
        "cost_source": "none",
    }


def _stage(
    stage: _Stage,
    stage_id: str,
    begin_ns: int,
    end_ns: int,
    sums: _Sums,
    skip_reason: str | None,
    error: tuple[str, str] | None,
) -> WorkflowStageRecord:
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
        started_at=_format(begin_ns),
        call_count=sums.calls,
        unknown_cost_calls=sums.unknown,
        baseline_cost=sums.baseline if sums.calls else None,
        provider=sums.provider,
    )


def _run_record(
    scope: _Scope,
    stages: list[WorkflowStageRecord],
    sums: _Sums,
    begin_ns: int,
    end_ns: int,
    error: tuple[str, str] | None,
    outer: _Scope | None,
    outer_stage: str,
) -> WorkflowRunRecord:
    savings = sums.baseline - sums.cost
    return WorkflowRunRecord(
        run_id=scope.run_id,
        workflow_name=scope.workflow.name,
        started_at=_format(begin_ns),
        completed_at=_format(end_ns),
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
        **_ORIGIN,
    )
