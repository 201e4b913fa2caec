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
from attune_monitoring.records import LLMCallRecord, WorkflowStageRecord

from .demo_runs import ORIGIN, SECOND, Scope, Sums, format_time, run_record, stage_record
from .demo_team import (
    ALONE,
    BY_NAME,
    CHEAPER,
    HOURS,
    MODELS,
    SHARES,
    USERS,
    WEEKEND,
    WEIGHTS,
    WORKFLOWS,
    Model,
    Stage,
    Workflow,
)

__all__ = ["Written", "write_records"]


class Written(NamedTuple):
    """What was written."""

    calls: int
    runs: int
    """Nested ones included."""
    cost: float
    """USD, of the calls of known cost."""


_OUTAGE = 0.4
"""The place in the whole period at which the first Anthropic outage begins; it lasts three hours."""
_OUTAGE_SECONDS = 3 * 3600
_TROUBLE, _TROUBLE_IN_OUTAGE, _TROUBLE_AGAIN = 0.015, 0.3, 0.3
"""How likely an attempt fails: at first, in an outage, and after one that failed."""
_UNUSABLE = 0.4
"""How likely an attempt that is given up had answered, and is paid for; local models cost nothing and are left out."""
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


class _Shape(NamedTuple):
    """A run before it is made: how many calls each stage makes, or a call outside of any run."""

    workflow: Workflow | None
    calls: tuple[int, ...]


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
        self._begin_ns = int(begin.timestamp() * SECOND)
        self._end_ns = int(end.timestamp() * SECOND)
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
                user = self._rng.choice(USERS) if people else None
                session = None if user is None else f"{user}-{begin_ns // (2 * 3600 * SECOND):x}"
                at, _ = self._run(shape, begin_ns, user, session, None, "")
            while self._calls < due:  # outside of any run, also what a run that failed has not come to
                _, at = self._call(None, None, ALONE, at)
        self._progress(self._calls)
        return Written(self._calls, self._runs, self._cost)

    def _shape(self, most: int) -> _Shape:
        rng = self._rng
        [workflow] = rng.choices((*WORKFLOWS, None), WEIGHTS)
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
        hours = max(1, math.ceil(span / (3600 * SECOND)))
        first = datetime.fromtimestamp(self._begin_ns / SECOND, UTC)
        weights = []
        for hour in range(hours):
            moment = first + timedelta(hours=hour)
            busy = HOURS[moment.hour] * (WEEKEND if moment.weekday() >= 5 else 1.0)
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
        outer: Scope | None,
        outer_stage: str,
    ) -> tuple[int, Sums]:
        """Write a run with all its calls; return its end, and its sums."""
        rng = self._rng
        workflow = shape.workflow or WORKFLOWS[0]
        trace_id = outer.trace_id if outer else self._id(128)
        scope = Scope(workflow, self._id(128), trace_id, self._id(64), user, session)
        sums = Sums()
        stages: list[WorkflowStageRecord] = []
        error: tuple[str, str] | None = None
        at = begin_ns + rng.randrange(1_000_000, 20_000_000)
        for stage, count in zip(workflow.stages, shape.calls, strict=True):
            stage_id, stage_begin, mine = self._id(64), at, Sums()
            if not count:
                stages.append(stage_record(stage, stage_id, stage_begin, at, mine, "nothing to do", None))
                continue
            if stage.nested:
                inner = _Shape(BY_NAME[stage.nested], (count,))
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
            stages.append(stage_record(stage, stage_id, stage_begin, at, mine, None, error))
            if error is not None:
                break
        at += rng.randrange(1_000_000, 5_000_000)
        self._files.run(run_record(scope, stages, sums, begin_ns, at, error, outer, outer_stage))
        self._runs += 1
        return at, sums

    def _call(
        self, scope: Scope | None, stage_id: str | None, stage: Stage, begin_ns: int
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
        outage = model.provider == "anthropic" and self._is_outage(begin_ns)
        trouble = _TROUBLE_IN_OUTAGE if outage else _TROUBLE
        error: tuple[str, str] | None = None
        while rng.random() < trouble:
            error = rng.choice(model.errors)
            lasted = rng.randrange(80, 900)
            at += lasted * 1_000_000
            cheaper = CHEAPER.get(stage.tier) if len(attempts) == 1 else None
            if len(attempts) >= 2 or error[0] == "context_length_exceeded":
                break
            why = "fallback" if cheaper else "retry"
            if model.tier != "unknown" and rng.random() < _UNUSABLE:
                attempts.append(_unusable(model, why, lasted, used, output, at))
            else:
                attempts.append(_attempt(model, why, lasted, error[0]))
            model = self._model(cheaper) if cheaper else model
            error = None
            trouble = _TROUBLE_AGAIN
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
        scope: Scope | None,
        stage_id: str | None,
        stage: Stage,
        model: Model,
        wanted: Model,
        usage: tuple[int, int, int | None],
        attempts: list[dict[str, Any]],
        error: tuple[str, str] | None,
        first_ms: float | None,
        span: tuple[int, int],
    ) -> LLMCallRecord:
        used, output, cached = usage
        cost, source, baseline, _ = DEFAULT.quote(
            model.provider, model.name, used, output, cached or 0, 0, 0, 0, None, span[1] / SECOND
        )
        if error:
            used, output, cost, source, baseline, cached = 0, 0, 0.0, "none", 0.0, None
        paid = [attempt for attempt in attempts if "cost" in attempt]
        for attempt in paid:
            used, output, source = used + attempt["input_tokens"], output + attempt["output_tokens"], "table"
            cost, baseline = (cost or 0.0) + attempt["cost"], (baseline or 0.0) + attempt["baseline_cost"]
        answered = paid or not error
        fallback = any(attempt["outcome"] == "fallback" for attempt in attempts)
        reasoning = output // 3 if model.name.startswith(("gpt-5", "gemini-2.5")) else None
        cut = self._rng.random() < 0.004
        call_id = self._id(64)
        return LLMCallRecord(
            call_id=call_id,
            timestamp=format_time(span[1]),
            workflow_name=scope.workflow.name if scope else None,
            step_name=stage.name or None,
            user_id=scope.user if scope else None,
            session_id=scope.session if scope else None,
            task_type=stage.name or "unknown",
            provider=model.provider,
            tier=model.tier,
            model_id=model.name,
            input_tokens=used if answered else None,
            output_tokens=output if answered else None,
            estimated_cost=cost if answered else None,
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
            cache_read_tokens=cached,
            reasoning_tokens=None if error else reasoning,
            time_to_first_token_ms=first_ms,
            finish_reasons=[] if error else ["length"] if cut else ["stop"],
            cost_source="unknown" if cost is None else source,
            baseline_cost=baseline if answered and cost is not None else None,
            attempts=attempts,
            project=scope.workflow.project if scope else None,
            **ORIGIN,
        )

    def _model(self, tier: str) -> Model:
        return self._rng.choices(MODELS[tier], SHARES[tier])[0]

    def _is_outage(self, at_ns: int) -> bool:
        return 0 <= at_ns - self._outage_ns < _OUTAGE_SECONDS * SECOND

    def _id(self, bits: int) -> str:
        return f"{self._rng.getrandbits(bits):0{bits // 4}x}"


def _attempt(model: Model, outcome: str, duration_ms: int, error_type: str) -> dict[str, Any]:
    return {
        "provider": model.provider,
        "model": model.name,
        "tier": model.tier,
        "outcome": outcome,
        "duration_ms": duration_ms,
        "error_type": error_type,
        "cost_source": "none",
    }


def _unusable(model: Model, outcome: str, duration_ms: int, used: int, output: int, at_ns: int) -> dict[str, Any]:
    """An attempt whose answer could not be used."""
    cost, source, baseline, _ = DEFAULT.quote(
        model.provider, model.name, used, output, 0, 0, 0, 0, None, at_ns / SECOND
    )
    return _attempt(model, outcome, duration_ms, "JSONDecodeError") | {
        "input_tokens": used,
        "output_tokens": output,
        "cost": cost or 0.0,
        "baseline_cost": baseline or 0.0,
        "cost_source": source,
    }
