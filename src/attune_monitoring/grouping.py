"""Records to figures by group: what calls, runs and stages can be grouped by, and what a group comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from attune_monitoring.figures import Figures, Latency, user_of
from attune_monitoring.query import Filter
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, WorkflowStageRecord

__all__ = ["GROUPS", "RunFigures", "StageFigures", "figures_of", "run_figures_of", "stage_figures_of"]

GROUPS: Mapping[str, Callable[[LLMCallRecord], str]] = {
    "workflow": lambda call: call.workflow_name or "",
    "provider": lambda call: call.provider,
    "model": lambda call: call.model_id,
    "tier": lambda call: call.tier,
    "project": lambda call: call.project or "",
    "outcome": lambda call: call.outcome,
    "error": lambda call: (call.error_type or "_OTHER") if call.outcome == "error" else "",
    "user": lambda call: user_of(call) or "",
    "step": lambda call: call.step_name or "",
    "session": lambda call: call.session_id or "",
    "task": lambda call: call.task_type,
    "service": lambda call: call.service or "",
    "source": lambda call: call.cost_source or "",
}
"""What calls can be grouped and filtered by, and the value; what a record does not have is the empty text."""


class RunFigures:
    """What a set of runs comes to: money and durations of roots only (USD, ms), outcomes and durations of all."""

    __slots__ = ("baseline", "cost", "duration", "outcomes", "root_ms", "roots", "runs", "savings")

    def __init__(self) -> None:
        self.runs = 0
        self.roots = 0
        self.cost = 0.0
        self.baseline = 0.0
        self.savings = 0.0
        self.root_ms = 0.0
        """Sum of the durations of the roots."""
        self.outcomes: dict[str, int] = {}
        self.duration = Latency()

    def add(self, run: WorkflowRunRecord) -> None:
        """Add one run."""
        root = run.parent_run_id is None
        sums = (1, root, run.total_cost, run.baseline_cost, run.savings, run.total_duration_ms)
        duration = Latency()
        duration.add(run.total_duration_ms)
        self.merge_row(run.outcome, sums if root else (1, 0, 0, 0, 0, 0), duration)

    def merge_row(self, outcome: str, sums: Sequence[float], duration: Latency) -> None:
        """Add runs of one outcome that have been summed up: runs, roots, cost, baseline, savings and duration."""
        self.runs += int(sums[0])
        self.roots += int(sums[1])
        self.cost += sums[2]
        self.baseline += sums[3]
        self.savings += sums[4]
        self.root_ms += sums[5]
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + int(sums[0])
        self.duration.merge(duration)


class StageFigures:
    """What a set of stages comes to: known cost (USD), outcomes, durations (ms). Skipped stages are not among them."""

    __slots__ = ("cost", "duration", "outcomes", "stages")

    def __init__(self) -> None:
        self.stages = 0
        self.cost = 0.0
        self.outcomes: dict[str, int] = {}
        self.duration = Latency()

    def add(self, stage: WorkflowStageRecord) -> None:
        """Add one stage that was not skipped."""
        duration = Latency()
        duration.add(stage.latency_ms)
        self.merge_row(stage.outcome, (1, stage.cost or 0.0), duration)

    def merge_row(self, outcome: str, sums: Sequence[float], duration: Latency) -> None:
        """Add stages of one outcome that have been summed up: number and cost."""
        self.stages += int(sums[0])
        self.cost += sums[1]
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + int(sums[0])
        self.duration.merge(duration)


def figures_of(
    calls: Iterable[LLMCallRecord], group_by: Sequence[str] = (), filters: Sequence[Filter] = ()
) -> dict[tuple[str, ...], Figures]:
    """Return the figures of these calls by any of `GROUPS`."""
    getters = [GROUPS[name] for name in group_by]
    conditions = [(GROUPS[condition.dimension], condition) for condition in filters]
    found: dict[tuple[str, ...], Figures] = {}
    for call in calls:
        if all(condition.holds(get(call)) for get, condition in conditions):
            labels = tuple(get(call) for get in getters)
            found.setdefault(labels, Figures()).add(call)
    return found


def run_figures_of(
    runs: Iterable[WorkflowRunRecord],
    group_by: Sequence[str],
    found: dict[tuple[str, ...], RunFigures],
    filters: Sequence[Filter] = (),
) -> None:
    """Add the figures of these runs, by workflow, project or outcome."""
    for run in runs:
        if all(condition.holds(_RUN_GROUPS[condition.dimension](run)) for condition in filters):
            labels = tuple(_RUN_GROUPS[name](run) for name in group_by)
            found.setdefault(labels, RunFigures()).add(run)


def stage_figures_of(
    runs: Iterable[WorkflowRunRecord],
    group_by: Sequence[str],
    found: dict[tuple[str, ...], StageFigures],
    filters: Sequence[Filter] = (),
) -> None:
    """Add the figures of these runs' stages, by workflow, stage, tier or outcome; skipped ones are left out."""

    def value(name: str, run: WorkflowRunRecord, stage: WorkflowStageRecord) -> str:
        return run.workflow_name if name == "workflow" else _STAGE_GROUPS[name](stage)

    for run in runs:
        for stage in run.stages:
            wanted = all(condition.holds(value(condition.dimension, run, stage)) for condition in filters)
            if wanted and not stage.skipped:
                labels = tuple(value(name, run, stage) for name in group_by)
                found.setdefault(labels, StageFigures()).add(stage)


_RUN_GROUPS: Mapping[str, Callable[[WorkflowRunRecord], str]] = {
    "workflow": lambda run: run.workflow_name,
    "project": lambda run: run.project or "",
    "outcome": lambda run: run.outcome,
}
_STAGE_GROUPS: Mapping[str, Callable[[WorkflowStageRecord], str]] = {
    "stage": lambda stage: stage.stage_name,
    "tier": lambda stage: stage.tier,
    "outcome": lambda stage: stage.outcome,
}
