"""Summaries of what was recorded, in the shapes that callers of the Empathy Framework know, and further ones."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from attune_monitoring.cache_savings import cache_savings
from attune_monitoring.figures import Figures, Latency, is_counted, once
from attune_monitoring.grouping import RunFigures, StageFigures, figures_of, run_figures_of, stage_figures_of
from attune_monitoring.history import History, Span
from attune_monitoring.pricing import DEFAULT, Pricing
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord
from attune_monitoring.telemetry_backend import TelemetryBackend, TelemetryStore

__all__ = ["TelemetryAnalytics"]

_TIERS = ("cheap", "capable", "premium")
_FALLBACK = re.compile(rb'"fallback_used"\s*:\s*true')
_ALL = sys.maxsize


class TelemetryAnalytics:
    """Figures over the records of a store; docs/figures.md says how each is counted.

    Money is USD, durations are milliseconds, percentages 0 to 100. `since` may have a time zone or be local time; None
    is from the beginning. Averages of nothing are 0, percentiles of nothing None.

    Args:
        store: a store or any other backend that gives records back; by default the local folder's store.
        include_tests: whether records made under pytest count.
        pricing: the price list, for what caches saved.
    """

    def __init__(
        self,
        store: TelemetryBackend | None = None,
        *,
        include_tests: bool = False,
        pricing: Pricing = DEFAULT,
    ) -> None:
        self.store: TelemetryBackend = store if store is not None else TelemetryStore()
        self._include_tests = include_tests
        self._pricing = pricing

    # --- the methods of earlier callers
    def top_expensive_workflows(self, n: int = 10, since: datetime | None = None) -> list[dict[str, Any]]:
        """Return the workflows whose runs cost most, most expensive first (sums over root runs)."""
        found: list[dict[str, Any]] = [
            {
                "workflow_name": workflow,
                "total_cost": runs.cost,
                "run_count": runs.roots,
                "total_savings": runs.savings,
                "avg_duration_ms": runs.root_ms / runs.roots,
                "avg_cost": runs.cost / runs.roots,
            }
            for (workflow,), runs in self._runs(since, "workflow").items()
            if runs.roots
        ]
        found.sort(key=lambda row: (-row["total_cost"], row["workflow_name"]))
        return found[: max(0, n)]

    def provider_usage_summary(self, since: datetime | None = None) -> dict[str, dict[str, Any]]:
        """Return calls, tokens, cost, errors and latency by provider, with the number of calls by tier."""
        found: dict[str, dict[str, Any]] = {}
        whole: dict[str, Figures] = {}
        for (provider, tier), figures in sorted(self._calls(since, "provider", "tier").items()):
            row = found.setdefault(provider, {"by_tier": dict.fromkeys(_TIERS, 0)})
            row["by_tier"][tier] = row["by_tier"].get(tier, 0) + figures.calls
            whole.setdefault(provider, Figures()).merge(figures)
        return {provider: {**_usage(whole[provider]), **row} for provider, row in found.items()}

    def tier_distribution(self, since: datetime | None = None) -> dict[str, dict[str, Any]]:
        """Return calls, cost, tokens and the part of all calls by tier; the three known tiers are always there."""
        found = {tier: Figures() for tier in _TIERS}
        found.update((tier, figures) for (tier,), figures in self._calls(since, "tier").items())
        total = sum(figures.calls for figures in found.values())
        return {
            tier: {
                "count": figures.calls,
                "cost": figures.cost,
                "tokens": figures.input + figures.output,
                "percent": 100 * figures.calls / total if total else 0.0,
            }
            for tier, figures in found.items()
        }

    def fallback_stats(self, since: datetime | None = None) -> dict[str, Any]:
        """Return how many calls fell back to another model, and how many failed."""
        figures = self._total(since)
        by_provider: dict[str, int] = {}
        if figures.fallbacks:
            for call in self._call_records(since, having=_FALLBACK):
                if call.fallback_used and call.original_provider:
                    by_provider[call.original_provider] = by_provider.get(call.original_provider, 0) + 1
        return {
            "total_calls": figures.calls,
            "fallback_count": figures.fallbacks,
            "fallback_percent": 100 * figures.fallbacks / figures.calls if figures.calls else 0.0,
            "error_count": figures.failed,
            "error_rate": figures.error_rate or 0.0,
            "by_original_provider": by_provider,
        }

    def cost_savings_report(self, since: datetime | None = None) -> dict[str, Any]:
        """Return what root runs cost, what they would have cost at the premium tier, and the difference."""
        runs = self._runs(since).get((), RunFigures())
        return {
            "workflow_count": runs.roots,
            "total_actual_cost": runs.cost,
            "total_baseline_cost": runs.baseline,
            "total_savings": runs.savings,
            "savings_percent": 100 * runs.savings / runs.baseline if runs.baseline > 0 else 0.0,
            "avg_cost_per_workflow": runs.cost / runs.roots if runs.roots else 0.0,
        }

    # --- further views
    def workflow_usage_summary(self, since: datetime | None = None) -> dict[str, dict[str, Any]]:
        """Return usage of calls by workflow; calls outside of any are under the empty name."""
        return self._usage_by("workflow", since)

    def model_usage_summary(self, since: datetime | None = None) -> dict[str, dict[str, Any]]:
        """Return usage by model."""
        return self._usage_by("model", since)

    def user_usage_summary(self, since: datetime | None = None) -> dict[str, dict[str, Any]]:
        """Return usage by user, with percentiles; reads the records."""
        return self._usage_by("user", since)

    def session_usage_summary(self, since: datetime | None = None) -> dict[str, dict[str, Any]]:
        """Return usage by session; reads the records."""
        return self._usage_by("session", since)

    def project_usage_summary(self, since: datetime | None = None) -> dict[str, dict[str, Any]]:
        """Return usage by project."""
        return self._usage_by("project", since)

    def stage_summary(self, since: datetime | None = None) -> list[dict[str, Any]]:
        """Return cost, outcomes and durations of the stages of runs, most expensive first, without skipped ones."""
        found: list[dict[str, Any]] = [
            {
                "workflow_name": workflow,
                "stage_name": stage,
                "count": figures.stages,
                "total_cost": figures.cost,
                "avg_cost": figures.cost / figures.stages,
                "error_count": figures.outcomes.get("error", 0),
                **_latency(figures.duration),
            }
            for (workflow, stage), figures in self._stages(since, "workflow", "stage").items()
        ]
        found.sort(key=lambda row: (-row["total_cost"], row["workflow_name"], row["stage_name"]))
        return found

    def latency_percentiles(self, since: datetime | None = None) -> dict[str, dict[str, Any]]:
        """Return latency and time to first token: count, average, extremes, p50, p95 and p99."""
        figures = self._total(since)
        return {"latency": _latency(figures.latency), "time_to_first_token": _latency(figures.time_to_first_token)}

    def waste_report(self, since: datetime | None = None) -> dict[str, Any]:
        """Return what attempts cost that were given up, and how many answers were cut at the token limit."""
        figures = self._total(since)
        return {
            "retry_count": figures.retries,
            "retry_cost": figures.retry_waste,
            "fallback_count": figures.fallbacks,
            "fallback_cost": figures.fallback_waste,
            "truncated_count": figures.truncated,
        }

    def cache_savings_report(self, since: datetime | None = None) -> dict[str, Any]:
        """Return what reading from the providers' caches saved, writing to them subtracted, in all and by model.

        At the price list's present rates; models that it does not know, or has no rate of the cache for, are named.
        """
        by_model: dict[str, float] = {}
        unknown: list[str] = []
        read = 0
        for (provider, model), figures in sorted(self._calls(since, "provider", "model").items()):
            if not figures.cache_read and not figures.cache_write:
                continue
            read += figures.cache_read
            saved = cache_savings(self._pricing, provider, model, read=figures.cache_read, written=figures.cache_write)
            if saved is None:
                unknown.append(model)
            else:
                by_model[model] = by_model.get(model, 0.0) + saved
        return {
            "total_savings": sum(by_model.values()),
            "cache_read_tokens": read,
            "by_model": by_model,
            "unknown_models": unknown,
        }

    def unknown_cost_report(self, since: datetime | None = None) -> dict[str, Any]:
        """Return how many calls have no known cost, in all and by model."""
        by_model = {model: figures.unknown for (model,), figures in self._calls(since, "model").items()}
        return {
            "call_count": sum(by_model.values()),
            "by_model": {model: count for model, count in sorted(by_model.items()) if count},
        }

    # --- inside
    def _usage_by(self, group: str, since: datetime | None) -> dict[str, dict[str, Any]]:
        return {name: _usage(figures) for (name,), figures in sorted(self._calls(since, group).items())}

    def _total(self, since: datetime | None) -> Figures:
        return self._calls(since).get((), Figures())

    def _calls(self, since: datetime | None, *group_by: str) -> dict[tuple[str, ...], Figures]:
        with self._open() as past:
            return past.calls(group_by, span=_span(since))

    def _runs(self, since: datetime | None, *group_by: str) -> dict[tuple[str, ...], RunFigures]:
        with self._open() as past:
            return past.runs(group_by, span=_span(since))

    def _stages(self, since: datetime | None, *group_by: str) -> dict[tuple[str, ...], StageFigures]:
        with self._open() as past:
            return past.stages(group_by, span=_span(since))

    def _call_records(self, since: datetime | None, *, having: re.Pattern[bytes]) -> Iterator[LLMCallRecord]:
        with self._open() as past:
            yield from past.call_records(_span(since), having=having)

    def _open(self) -> _Past:
        if isinstance(self.store, TelemetryStore):
            past = History(self.store.storage_dir, include_tests=self._include_tests)
            past.refresh()
            return past
        return _BackendPast(self.store, include_tests=self._include_tests)


class _Past(Protocol):
    """What is needed of a history."""

    def __enter__(self) -> _Past: ...
    def __exit__(self, *_: object) -> None: ...
    def calls(self, group_by: Sequence[str] = (), *, span: Span = ...) -> dict[tuple[str, ...], Figures]: ...
    def runs(self, group_by: Sequence[str] = (), *, span: Span = ...) -> dict[tuple[str, ...], RunFigures]: ...
    def stages(self, group_by: Sequence[str] = (), *, span: Span = ...) -> dict[tuple[str, ...], StageFigures]: ...
    def call_records(self, span: Span = ..., *, having: re.Pattern[bytes] | None = None) -> Iterator[LLMCallRecord]: ...


class _BackendPast:
    """The history of a backend of which only its methods are known: everything is counted from its records."""

    def __init__(self, backend: TelemetryBackend, *, include_tests: bool) -> None:
        self._backend = backend
        self._include_tests = include_tests

    def __enter__(self) -> _BackendPast:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def calls(self, group_by: Sequence[str] = (), *, span: Span = Span()) -> dict[tuple[str, ...], Figures]:  # noqa: B008
        return figures_of(self.call_records(span), group_by)

    def runs(self, group_by: Sequence[str] = (), *, span: Span = Span()) -> dict[tuple[str, ...], RunFigures]:  # noqa: B008
        found: dict[tuple[str, ...], RunFigures] = {}
        run_figures_of(self._run_records(span), group_by, found)
        return found

    def stages(self, group_by: Sequence[str] = (), *, span: Span = Span()) -> dict[tuple[str, ...], StageFigures]:  # noqa: B008
        found: dict[tuple[str, ...], StageFigures] = {}
        stage_figures_of(self._run_records(span), group_by, found)
        return found

    def call_records(
        self,
        span: Span = Span(),  # noqa: B008
        *,
        having: re.Pattern[bytes] | None = None,
    ) -> Iterator[LLMCallRecord]:
        records = once(self._backend.get_calls(since=_time(span), limit=_ALL))
        return (call for call in records if is_counted(call, include_tests=self._include_tests))

    def _run_records(self, span: Span) -> Iterator[WorkflowRunRecord]:
        records = self._backend.get_workflows(since=_time(span), limit=_ALL)
        return (run for run in records if is_counted(run, include_tests=self._include_tests))


def _span(since: datetime | None) -> Span:
    if since is None or since.year == 1:  # `datetime.min`, which as local time may lie before the calendar begins
        return Span()
    return Span(since.timestamp())


def _time(span: Span) -> datetime | None:
    return None if span.start is None else datetime.fromtimestamp(span.start).astimezone()


def _usage(figures: Figures) -> dict[str, Any]:
    latency = _latency(figures.latency)
    return {
        "call_count": figures.calls,
        "total_tokens": figures.input + figures.output,
        "input_tokens": figures.input,
        "output_tokens": figures.output,
        "cache_read_tokens": figures.cache_read,
        "cache_write_tokens": figures.cache_write,
        "reasoning_tokens": figures.reasoning,
        "total_cost": figures.cost,
        "avg_cost": figures.average_cost or 0.0,
        "unknown_cost_count": figures.unknown,
        "baseline_cost": figures.baseline,
        "savings": figures.savings,
        "error_count": figures.failed,
        "success_rate": figures.success_rate,
        "retry_count": figures.retries,
        "fallback_count": figures.fallbacks,
        "truncated_count": figures.truncated,
        "avg_latency_ms": latency["avg_ms"],
        "p50_latency_ms": latency["p50_ms"],
        "p95_latency_ms": latency["p95_ms"],
        "p99_latency_ms": latency["p99_ms"],
    }


def _latency(latency: Latency) -> dict[str, Any]:
    known = latency.count > 0
    return {
        "count": latency.count,
        "avg_ms": latency.average or 0.0,
        "min_ms": latency.minimum if known else None,
        "max_ms": latency.maximum if known else None,
        "p50_ms": latency.percentile(50),
        "p95_ms": latency.percentile(95),
        "p99_ms": latency.percentile(99),
    }
