"""What each panel of SigNoz has to show: the same figure, asked of the local folder's analytics, source and records.

By dashboard and key of the panel. A figure is by name of the query that shows it (`A`, `F`, `A.count()`) and by group.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from attune_monitoring import semconv as sc
from attune_monitoring.records import LLMCallRecord
from otlp_receiver import Span
from signoz_worlds import Groups, Local, Quantile

__all__ = ["EXPECTED", "LISTED", "Expected"]

Values = dict[Groups, Any]
Expected = dict[str, Values]

_OK, _DECIDED = {sc.OUTCOME: ["ok"]}, {sc.OUTCOME: ["ok", "error"]}
_ERROR, _CANCELLED = {sc.OUTCOME: ["error"]}, {sc.OUTCOME: ["cancelled"]}
_IN_AND_OUT = {sc.TOKEN_TYPE: ["input", "output"]}
_RATE_LIMITS = [
    "rate_limit_error", "rate_limit_exceeded", "openai.RateLimitError", "RESOURCE_EXHAUSTED", "ThrottlingException",
    "TooManyRequestsError", "429",
]  # fmt: skip
_RATE_LIMITED = {sc.ERROR_TYPE: _RATE_LIMITS}


def one(value: float) -> Expected:
    return {"A": {(): value}}


def total(metric: sc.Metric, *by: str, **more: Any) -> Callable[[Local], Expected]:
    return lambda local: {"A": local.total(metric, *by, **more)}


def totals(*metrics: tuple[sc.Metric, Mapping[str, Any] | None], by: tuple[str, ...]) -> Callable[[Local], Expected]:
    return lambda local: {
        name: local.total(metric, *by, where=where) for name, (metric, where) in zip("ABCD", metrics, strict=False)
    }


def quantile(metric: sc.Metric, *shares: float, by: tuple[str, ...] = (), ok: bool = False) -> Callable[[Local], Any]:
    outcome = "ok" if ok else None
    return lambda local: {
        name: local.quantile(metric, share, *by, outcome=outcome) for name, share in zip("ABC", shares, strict=False)
    }


def share(of: sc.Metric, where: Any, among: sc.Metric, of_all: Any, *by: str) -> Callable[[Local], Expected]:
    """Percent of one sum in another."""

    def expected(local: Local) -> Expected:
        parts, wholes = local.total(of, *by, where=where), local.total(among, *by, where=of_all)
        return {"F": {group: 100 * parts.get(group, 0) / whole for group, whole in wholes.items() if whole}}

    return expected


def analytics(method: str, figure: str, name: str = "A") -> Callable[[Local], Expected]:
    """A figure by group, as TelemetryAnalytics gives it."""
    return lambda local: {
        name: {(group,): row[figure] for group, row in getattr(local.analytics, method)(local.start).items()}
    }


def both(*parts: Callable[[Local], Expected]) -> Callable[[Local], Expected]:
    return lambda local: {name: values for part in parts for name, values in part(local).items()}


def spans(
    *figures: Callable[[list[tuple[LLMCallRecord, Span]]], Any],
    by: Callable[[LLMCallRecord, Span], Groups] = lambda call, span: (),
    only: Callable[[LLMCallRecord], bool] = lambda call: True,
    names: tuple[str, ...] = ("A", "B", "C"),
) -> Callable[[Local], Expected]:
    """Figures of the calls whose spans follow the conventions, by group."""

    def expected(local: Local) -> Expected:
        groups: dict[Groups, list[tuple[LLMCallRecord, Span]]] = defaultdict(list)
        for call, span in local.sampled:
            if only(call):
                groups[by(call, span)].append((call, span))
        return {
            name: {group: figure(rows) for group, rows in groups.items()}
            for name, figure in zip(names, figures, strict=False)
        }

    return expected


def cost(rows: Iterable[tuple[LLMCallRecord, Span]]) -> float:
    """Only our own spans carry it: those of others are closed before a price is known."""
    return sum(call.cost or 0 for call, _ in rows if call.dialect == "attune")


def tokens(field: str) -> Callable[[Any], int]:
    return lambda rows: sum(getattr(call, field) or 0 for call, _ in rows if call.dialect != "gen_ai_legacy")


def latency(part: float) -> Callable[[Any], Quantile]:
    return lambda rows: Quantile(tuple(call.latency_ms * 1e6 for call, _ in rows), part, slack=1e6)


def first_token(rows: Iterable[tuple[LLMCallRecord, Span]]) -> Quantile:
    values = [call.time_to_first_token_ms / 1000 for call, _ in rows if call.time_to_first_token_ms is not None]
    return Quantile(tuple(values), 0.95, slack=1e-3)


def failed(call: LLMCallRecord) -> bool:
    return call.outcome == "error"


def streamed(call: LLMCallRecord) -> bool:
    return call.time_to_first_token_ms is not None and call.dialect == "attune"


def attribute(name: str) -> Callable[[Any, Span], Groups]:
    return lambda call, span: (str(span.attributes.get(name, "")),)


def priced_by(field: str, local: Local) -> Expected:
    rows = [(call, span) for call, span in local.sampled if getattr(call, field) and call.cost is not None]
    found: dict[Groups, list[Any]] = defaultdict(list)
    for call, span in rows:
        if call.dialect == "attune":
            found[(getattr(call, field),)].append((call, span))
    return {
        "A.sum(gen_ai.usage.cost)": {group: cost(rows) for group, rows in found.items()},
        "A.count()": {group: len(rows) for group, rows in found.items()},
    }


def tools(*, only_failed: bool = False) -> Callable[[Local], Expected]:
    def expected(local: Local) -> Expected:
        names = (span.attributes[sc.TOOL_NAME] for span in local.tools if span.status == 2 or not only_failed)
        return {"A": {(name,): number for name, number in Counter(names).items()}}

    return expected


def tool_durations(local: Local) -> dict[Groups, Quantile]:
    found: dict[Groups, list[float]] = defaultdict(list)
    for span in local.tools:
        found[(span.attributes[sc.TOOL_NAME],)].append(span.end_ns - span.start_ns)
    return {group: Quantile(tuple(values), 0.95, slack=1) for group, values in found.items()}


def month_pace(local: Local) -> Expected:
    begin = local.end.replace(day=1, hour=0)
    following = (begin + timedelta(days=31)).replace(day=1)
    return one(local.number(sc.LLM_COST, month=True) * ((following - begin) / (local.end - begin)))


def saved(local: Local) -> float:
    return local.number(sc.LLM_BASELINE) - local.number(sc.LLM_COST)


def read_from_cache(local: Local) -> float:
    return sum(row["cache_read_tokens"] for row in local.analytics.model_usage_summary(local.start).values())


_CALLS, _COST, _TOKENS = (sc.LLM_CALLS, None), (sc.LLM_COST, None), (sc.LLM_TOKENS, _IN_AND_OUT)
_MODEL = attribute(sc.REQUEST_MODEL)
EXPECTED: dict[str, dict[str, Callable[[Local], Expected]]] = {
    "overview": {
        "at-a-glance-cost": total(sc.LLM_COST),
        "at-a-glance-calls": lambda local: one(local.analytics.fallback_stats(local.start)["total_calls"]),
        "at-a-glance-success-rate": share(sc.LLM_CALLS, _OK, sc.LLM_CALLS, _DECIDED),
        "at-a-glance-p95-latency": quantile(sc.LLM_DURATION, 0.95, ok=True),
        "at-a-glance-p95-time-to-first-token": quantile(sc.LLM_TTFT, 0.95),
        "at-a-glance-tokens": lambda local: one(
            sum(row["total_tokens"] for row in local.analytics.provider_usage_summary(local.start).values())
        ),
        "cost-over-time-by-provider": total(sc.LLM_COST, sc.PROVIDER),
        "cost-over-time-by-tier": total(sc.LLM_COST, sc.TIER),
        "cost-over-time-by-model": analytics("model_usage_summary", "total_cost"),
        "traffic-calls-by-outcome": total(sc.LLM_CALLS, sc.OUTCOME),
        "traffic-tokens-by-kind": total(sc.LLM_TOKENS, sc.TOKEN_TYPE, where=_IN_AND_OUT),
        "traffic-latency-of-answered-calls": quantile(sc.LLM_DURATION, 0.5, 0.95, 0.99, ok=True),
        "where-it-comes-from-top-workflows": totals(_COST, _CALLS, _TOKENS, by=(sc.WORKFLOW_NAME,)),
        "where-it-comes-from-models": totals(_COST, _CALLS, _TOKENS, by=(sc.PROVIDER, sc.RESPONSE_MODEL)),
        "where-it-comes-from-errors-by-type": total(sc.LLM_ERRORS, sc.ERROR_TYPE),
        "where-it-comes-from-calls-of-unknown-cost": lambda local: {
            "A": {
                (model,): count
                for model, count in local.analytics.unknown_cost_report(local.start)["by_model"].items()
            }
        },
    },
    "cost": {
        "budget-cost": total(sc.LLM_COST),
        "budget-month-to-date": total(sc.LLM_COST, month=True),
        "budget-month-at-this-pace": month_pace,
        "budget-calls-of-unknown-cost": total(sc.LLM_UNKNOWN_COST),
        "budget-cost-by-day": total(sc.LLM_COST, sc.PROVIDER),
        "who-spends-it-workflows": both(
            analytics("workflow_usage_summary", "total_cost"), analytics("workflow_usage_summary", "call_count", "B")
        ),
        "who-spends-it-projects": both(
            analytics("project_usage_summary", "total_cost"), analytics("project_usage_summary", "call_count", "B")
        ),
        "who-spends-it-users-sampled": lambda local: priced_by("user_id", local),
        "who-spends-it-sessions-sampled": lambda local: priced_by("session_id", local),
        "saved-saved-by-tiers": lambda local: {"F": {(): saved(local)}},
        "saved-saved-by-tiers-share": lambda local: {
            "F": {(): 100 * saved(local) / local.number(sc.LLM_BASELINE)} if local.number(sc.LLM_BASELINE) else {}
        },
        "saved-input-read-from-the-cache": share(
            sc.LLM_TOKENS, {sc.TOKEN_TYPE: ["cache_read"]}, sc.LLM_TOKENS, {sc.TOKEN_TYPE: ["input"]}
        ),
        "saved-tokens-read-from-the-cache": lambda local: one(read_from_cache(local)),
        "saved-tokens-of-the-cache": total(
            sc.LLM_TOKENS, sc.TOKEN_TYPE, where={sc.TOKEN_TYPE: ["cache_read", "cache_write"]}
        ),
        "saved-premium-price-and-cost": totals((sc.LLM_BASELINE, None), _COST, by=()),
        "wasted-retries": lambda local: one(local.analytics.waste_report(local.start)["retry_count"]),
        "wasted-fallbacks": lambda local: one(local.analytics.waste_report(local.start)["fallback_count"]),
        "wasted-cost-of-retried-calls-sampled": spans(cost, only=lambda call: call.retry_count > 0),
        "wasted-cost-of-calls-that-fell-back-sampled": spans(cost, only=lambda call: call.fallback_used),
        "wasted-retries-by-model": analytics("model_usage_summary", "retry_count"),
        "wasted-fallbacks-by-model": analytics("model_usage_summary", "fallback_count"),
    },
    "reliability": {
        "latency-of-answered-calls-p50": quantile(sc.LLM_DURATION, 0.5, ok=True),
        "latency-of-answered-calls-p95": quantile(sc.LLM_DURATION, 0.95, ok=True),
        "latency-of-answered-calls-p99": quantile(sc.LLM_DURATION, 0.99, ok=True),
        "latency-of-answered-calls-p95-time-to-first-token": quantile(sc.LLM_TTFT, 0.95),
        "latency-of-answered-calls-percentiles": quantile(sc.LLM_DURATION, 0.5, 0.95, 0.99, ok=True),
        "latency-of-answered-calls-p95-by-model": quantile(sc.LLM_DURATION, 0.95, by=(sc.RESPONSE_MODEL,), ok=True),
        "latency-of-answered-calls-time-to-first-token": quantile(sc.LLM_TTFT, 0.5, 0.95),
        "errors-error-rate": share(sc.LLM_CALLS, _ERROR, sc.LLM_CALLS, _DECIDED),
        "errors-errors": lambda local: one(local.analytics.fallback_stats(local.start)["error_count"]),
        "errors-rate-limits": total(sc.LLM_ERRORS, where=_RATE_LIMITED),
        "errors-cancelled": total(sc.LLM_CALLS, where=_CANCELLED),
        "errors-error-rate-by-provider": share(sc.LLM_CALLS, _ERROR, sc.LLM_CALLS, _DECIDED, sc.PROVIDER),
        "errors-errors-by-type": total(sc.LLM_ERRORS, sc.ERROR_TYPE),
        "errors-rate-limits-by-provider": total(sc.LLM_ERRORS, sc.PROVIDER, where=_RATE_LIMITED),
        "second-choices-fallback-rate": share(sc.LLM_FALLBACKS, None, sc.LLM_CALLS, None),
        "second-choices-retries-for-100-calls": share(sc.LLM_RETRIES, None, sc.LLM_CALLS, None),
        "second-choices-truncated-answers": share(sc.LLM_TRUNCATED, None, sc.LLM_CALLS, None),
        "second-choices-fallbacks-by-model": total(sc.LLM_FALLBACKS, sc.RESPONSE_MODEL),
        "second-choices-retries-by-provider": analytics("provider_usage_summary", "retry_count"),
        "second-choices-truncated-answers-by-model": analytics("model_usage_summary", "truncated_count"),
        "stages-slowest-stages": quantile(sc.STAGE_DURATION, 0.95, by=(sc.WORKFLOW_NAME, sc.STAGE_NAME), ok=True),
        "stages-p95-by-stage": quantile(sc.STAGE_DURATION, 0.95, by=(sc.STAGE_NAME,), ok=True),
    },
    "workflows": {
        "runs-runs": total(sc.WORKFLOW_RUNS),
        "runs-success-rate": share(sc.WORKFLOW_RUNS, _OK, sc.WORKFLOW_RUNS, _DECIDED),
        "runs-p95-duration": quantile(sc.WORKFLOW_DURATION, 0.95),
        "runs-cost-of-calls": total(sc.LLM_COST),
        "runs-by-outcome": total(sc.WORKFLOW_RUNS, sc.OUTCOME),
        "runs-by-workflow": total(sc.WORKFLOW_RUNS, sc.WORKFLOW_NAME),
        "runs-p95-by-workflow": quantile(sc.WORKFLOW_DURATION, 0.95, by=(sc.WORKFLOW_NAME,)),
        "runs-workflows": totals(
            (sc.WORKFLOW_RUNS, None), (sc.WORKFLOW_RUNS, _ERROR), _COST, _CALLS, by=(sc.WORKFLOW_NAME,)
        ),
        "runs-cost-by-workflow": analytics("workflow_usage_summary", "total_cost"),
        "stages-stages": lambda local: {
            name: {
                (row["workflow_name"], row["stage_name"]): row[figure]
                for row in local.analytics.stage_summary(local.start)
            }
            for name, figure in (("A", "count"), ("B", "error_count"))
        },
        "stages-p95-duration": quantile(sc.STAGE_DURATION, 0.95, by=(sc.WORKFLOW_NAME, sc.STAGE_NAME)),
    },
    "genai": {
        "at-a-glance-calls-sampled": spans(len),
        "at-a-glance-error-rate-sampled": spans(
            lambda rows: 100 * sum(failed(call) for call, _ in rows) / len(rows), names=("F",)
        ),
        "at-a-glance-cost-sampled": spans(cost),
        "at-a-glance-tokens-sampled": spans(
            lambda rows: tokens("input_tokens")(rows) + tokens("output_tokens")(rows), names=("F",)
        ),
        "at-a-glance-p95-latency-sampled": spans(latency(0.95)),
        "at-a-glance-p95-time-to-first-token-sampled": spans(first_token, only=streamed),
        "over-time-cost-by-model-sampled": spans(cost, by=attribute(sc.RESPONSE_MODEL)),
        "over-time-tokens-sampled": spans(tokens("input_tokens"), tokens("output_tokens")),
        "over-time-latency-sampled": spans(latency(0.5), latency(0.95), latency(0.99)),
        "over-time-errors-by-type-sampled": spans(len, by=attribute(sc.ERROR_TYPE), only=failed),
        "over-time-calls-by-operation-sampled": spans(len, by=lambda call, _: (call.operation,)),
        "over-time-time-to-first-token-sampled": spans(first_token, only=streamed),
        "conventional-metrics-p95-operation-duration": quantile(sc.CLIENT_DURATION, 0.95, by=(sc.REQUEST_MODEL,)),
        "conventional-metrics-operations-by-provider": lambda local: {
            "A": {
                (provider,): number
                for provider, number in Counter(
                    call.provider for call in local.calls if call.dialect == "attune"
                ).items()
            }
        },
        "who-and-what-models-sampled": spans(
            len,
            cost,
            tokens("input_tokens"),
            tokens("output_tokens"),
            by=lambda call, span: (*attribute(sc.PROVIDER)(call, span), *_MODEL(call, span)),
            names=(
                "A.count()",
                "A.sum(gen_ai.usage.cost)",
                "A.sum(gen_ai.usage.input_tokens)",
                "A.sum(gen_ai.usage.output_tokens)",
            ),
        ),
        "who-and-what-span-names-sampled": spans(
            len, latency(0.95), by=lambda _, span: (span.name,), names=("A.count()", "A.p95(duration_nano)")
        ),
        "who-and-what-services-sampled": spans(len, by=lambda call, _: (call.service or "",)),
        "who-and-what-finish-reasons-sampled": spans(
            len,
            by=lambda call, _: (json.dumps(call.finish_reasons, separators=(",", ":")),),
            only=lambda call: bool(call.finish_reasons),
        ),
        "tools-tool-calls-sampled": lambda local: one(len(local.tools)),
        "tools-tool-error-rate-sampled": lambda local: {
            "F": {(): 100 * sum(span.status == 2 for span in local.tools) / len(local.tools)} if local.tools else {}
        },
        "tools-p95-tool-duration-sampled": lambda local: {
            "A": {
                (): Quantile(tuple(span.end_ns - span.start_ns for span in local.tools), 0.95, slack=1)
            } if local.tools else {}
        },
        "tools-tool-calls-over-time-sampled": tools(),
        "tools-tool-duration-sampled": lambda local: {"A": tool_durations(local)},
        "tools-tool-errors-sampled": tools(only_failed=True),
    },
}  # fmt: skip


def latest_runs(local: Local, *, only_failed: bool = False) -> list[dict[str, Any]]:
    runs = [run for run in local.runs if not only_failed or run.outcome == "error"]
    runs.sort(key=lambda run: run.started_at, reverse=True)
    return [
        {sc.WORKFLOW_NAME: run.workflow_name, sc.RUN_ID: run.run_id, "has_error": run.outcome == "error"}
        for run in runs[:50]
    ]


def latest_calls(local: Local) -> list[dict[str, Any]]:
    found = sorted(local.sampled, key=lambda pair: pair[1].start_ns, reverse=True)
    return [
        {
            "span_id": call.span_id,
            sc.REQUEST_MODEL: call.request_model,
            sc.COST: pytest.approx(call.cost) if call.cost is not None and call.dialect == "attune" else None,
            "has_error": failed(call),
        }
        for call, _ in found[:50]
    ]


LISTED: dict[str, Callable[[Local], list[dict[str, Any]]]] = {
    "traces-latest-runs-sampled": latest_runs,
    "traces-failed-runs-sampled": lambda local: latest_runs(local, only_failed=True),
    "traces-latest-calls-sampled": latest_calls,
}
