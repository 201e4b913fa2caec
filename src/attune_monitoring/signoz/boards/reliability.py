"""The dashboard about waiting and failing: percentiles, errors, fallbacks, truncated answers, slow stages."""

from __future__ import annotations

from attune_monitoring import semconv as sc
from attune_monitoring.signoz.asking import Asking, combined
from attune_monitoring.signoz.board import bars, board, lines, number, section, table
from attune_monitoring.signoz.dashboard import Dashboard

__all__ = ["reliability"]

_OK = f"{sc.OUTCOME} = 'ok'"
_RATE_LIMITS = ("%ratelimit%", "%rate_limit%", "%too%many%requests%", "%resource%exhausted%", "%throttl%", "429")
"""How providers and their clients call it: OpenAI, Anthropic, HTTP, Google, AWS."""
_RATE_LIMITED = " OR ".join(f"{sc.ERROR_TYPE} ILIKE '{one}'" for one in _RATE_LIMITS)


def reliability() -> Dashboard:
    """Return the dashboard."""
    ask = Asking("service", "workflow", "provider", "model", "tier")
    calls = ask.total(sc.LLM_CALLS, name="B")
    decided = ask.total(sc.LLM_CALLS, name="B", where=f"{sc.OUTCOME} IN ('ok', 'error')")
    errors = ask.total(sc.LLM_CALLS, where=f"{sc.OUTCOME} = 'error'")
    answered = {sc.OUTCOME: ["ok"]}
    return board(
        "attune-reliability",
        "LLM latency and reliability",
        "How long answers take and how often there is none. All of it comes from metrics, which sampling leaves "
        "complete.",
        ask.variables,
        section(
            "Latency of answered calls",
            number("p50", ask.quantile_of_all(sc.LLM_DURATION, "p50", where=answered), "s", width=3),
            number("p95", ask.quantile_of_all(sc.LLM_DURATION, "p95", where=answered), "s", width=3),
            number("p99", ask.quantile_of_all(sc.LLM_DURATION, "p99", where=answered), "s", width=3),
            number(
                "p95 time to first token",
                ask.quantile_of_all(sc.LLM_TTFT, "p95"),
                "s",
                "Of streamed calls.",
                width=3,
            ),
            lines(
                "Percentiles",
                [
                    ask.quantile(sc.LLM_DURATION, "p50", where=_OK, legend="p50"),
                    ask.quantile(sc.LLM_DURATION, "p95", name="B", where=_OK, legend="p95"),
                    ask.quantile(sc.LLM_DURATION, "p99", name="C", where=_OK, legend="p99"),
                ],
                "s",
            ),
            lines("p95 by model", ask.quantile(sc.LLM_DURATION, "p95", by=[sc.RESPONSE_MODEL], where=_OK), "s"),
            lines(
                "Time to first token",
                [
                    ask.quantile(sc.LLM_TTFT, "p50", legend="p50"),
                    ask.quantile(sc.LLM_TTFT, "p95", name="B", legend="p95"),
                ],
                "s",
            ),
        ),
        section(
            "Errors",
            number("Error rate", combined("A * 100 / B", errors, decided), "percent", width=3),
            number("Errors", ask.total(sc.LLM_ERRORS), "short", width=3, digits="0"),
            number(
                "Rate limits",
                ask.total(sc.LLM_ERRORS, where=_RATE_LIMITED),
                "short",
                "Calls that failed because the provider was asked too often.",
                width=3,
                digits="0",
            ),
            number("Cancelled", ask.total(sc.LLM_CALLS, where=f"{sc.OUTCOME} = 'cancelled'"), "short", width=3),
            lines(
                "Error rate by provider",
                combined(
                    "A * 100 / B",
                    ask.total(sc.LLM_CALLS, by=[sc.PROVIDER], where=f"{sc.OUTCOME} = 'error'"),
                    ask.total(sc.LLM_CALLS, name="B", by=[sc.PROVIDER], where=f"{sc.OUTCOME} IN ('ok', 'error')"),
                    legend=f"{{{{{sc.PROVIDER}}}}}",
                ),
                "percent",
            ),
            bars("Errors by type", ask.total(sc.LLM_ERRORS, by=[sc.ERROR_TYPE]), "short"),
            bars("Rate limits by provider", ask.total(sc.LLM_ERRORS, by=[sc.PROVIDER], where=_RATE_LIMITED), "short"),
        ),
        section(
            "Second choices",
            number("Fallback rate", combined("A * 100 / B", ask.total(sc.LLM_FALLBACKS), calls), "percent", width=4),
            number(
                "Retries for 100 calls", combined("A * 100 / B", ask.total(sc.LLM_RETRIES), calls), "short", width=4
            ),
            number(
                "Truncated answers",
                combined("A * 100 / B", ask.total(sc.LLM_TRUNCATED), calls),
                "percent",
                "Calls whose answer was cut at the token limit.",
                width=4,
            ),
            bars("Fallbacks by model", ask.total(sc.LLM_FALLBACKS, by=[sc.RESPONSE_MODEL]), "short"),
            bars("Retries by provider", ask.total(sc.LLM_RETRIES, by=[sc.PROVIDER]), "short"),
            bars("Truncated answers by model", ask.total(sc.LLM_TRUNCATED, by=[sc.RESPONSE_MODEL]), "short"),
        ),
        section(
            "Stages",
            table(
                "Slowest stages",
                ask.quantile_of_all(sc.STAGE_DURATION, "p95", by=[sc.WORKFLOW_NAME, sc.STAGE_NAME], where=answered),
                ["s"],
                "p95 of their duration over all the time shown.",
            ),
            lines("p95 by stage", ask.quantile(sc.STAGE_DURATION, "p95", by=[sc.STAGE_NAME], where=_OK), "s", width=6),
        ),
    )
