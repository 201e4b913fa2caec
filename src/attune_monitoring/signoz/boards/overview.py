"""The dashboard that is looked at first: what LLM calls cost, how many succeed, how long they take."""

from __future__ import annotations

from attune_monitoring import semconv as sc
from attune_monitoring.signoz.asking import Asking, combined
from attune_monitoring.signoz.board import bars, board, lines, number, section, table
from attune_monitoring.signoz.dashboard import Dashboard

__all__ = ["overview"]

_IN_AND_OUT = f"{sc.TOKEN_TYPE} IN ('input', 'output')"
_DECIDED = f"{sc.OUTCOME} IN ('ok', 'error')"


def overview() -> Dashboard:
    """Return the dashboard."""
    ask = Asking("service", "workflow", "provider", "model", "tier")
    ok = ask.total(sc.LLM_CALLS, where=f"{sc.OUTCOME} = 'ok'")
    decided = ask.total(sc.LLM_CALLS, name="B", where=_DECIDED)
    answered = f"{sc.OUTCOME} = 'ok'"
    return board(
        "attune-overview",
        "LLM overview",
        "Cost, calls, success, latency and tokens of LLM calls. All of it comes from metrics, which sampling leaves "
        "complete.",
        ask.variables,
        section(
            "At a glance",
            number("Cost", ask.total(sc.LLM_COST), "currencyUSD", "USD of calls whose price is known.", digits="4"),
            number("Calls", ask.total(sc.LLM_CALLS), "short", digits="0"),
            number(
                "Success rate",
                combined("A * 100 / B", ok, decided),
                "percent",
                "Answered calls of those answered or failed; cancelled ones are neither.",
            ),
            number(
                "p95 latency",
                ask.quantile_of_all(sc.LLM_DURATION, "p95", where={sc.OUTCOME: ["ok"]}),
                "s",
                "Of answered calls, over all the time shown.",
            ),
            number("p95 time to first token", ask.quantile_of_all(sc.LLM_TTFT, "p95"), "s", "Of streamed calls."),
            number("Tokens", ask.total(sc.LLM_TOKENS, where=_IN_AND_OUT), "short", "Input and output.", digits="0"),
        ),
        section(
            "Cost over time",
            bars("By provider", ask.total(sc.LLM_COST, by=[sc.PROVIDER]), "currencyUSD"),
            bars("By tier", ask.total(sc.LLM_COST, by=[sc.TIER]), "currencyUSD"),
            bars("By model", ask.total(sc.LLM_COST, by=[sc.RESPONSE_MODEL]), "currencyUSD"),
        ),
        section(
            "Traffic",
            bars("Calls by outcome", ask.total(sc.LLM_CALLS, by=[sc.OUTCOME]), "short"),
            bars(
                "Tokens by kind",
                ask.total(sc.LLM_TOKENS, by=[sc.TOKEN_TYPE], where=_IN_AND_OUT),
                "short",
                "Reads from and writes to a cache are part of the input, reasoning is part of the output.",
            ),
            lines(
                "Latency of answered calls",
                [
                    ask.quantile(sc.LLM_DURATION, "p50", where=answered, legend="p50"),
                    ask.quantile(sc.LLM_DURATION, "p95", name="B", where=answered, legend="p95"),
                    ask.quantile(sc.LLM_DURATION, "p99", name="C", where=answered, legend="p99"),
                ],
                "s",
            ),
        ),
        section(
            "Where it comes from",
            table(
                "Top workflows",
                [
                    ask.total(sc.LLM_COST, by=[sc.WORKFLOW_NAME], legend="cost"),
                    ask.total(sc.LLM_CALLS, name="B", by=[sc.WORKFLOW_NAME], legend="calls"),
                    ask.total(sc.LLM_TOKENS, name="C", by=[sc.WORKFLOW_NAME], where=_IN_AND_OUT, legend="tokens"),
                ],
                ["currencyUSD", "short", "short"],
            ),
            table(
                "Models",
                [
                    ask.total(sc.LLM_COST, by=[sc.PROVIDER, sc.RESPONSE_MODEL], legend="cost"),
                    ask.total(sc.LLM_CALLS, name="B", by=[sc.PROVIDER, sc.RESPONSE_MODEL], legend="calls"),
                    ask.total(
                        sc.LLM_TOKENS, name="C", by=[sc.PROVIDER, sc.RESPONSE_MODEL], where=_IN_AND_OUT, legend="tokens"
                    ),
                ],
                ["currencyUSD", "short", "short"],
            ),
            bars("Errors by type", ask.total(sc.LLM_ERRORS, by=[sc.ERROR_TYPE]), "short", width=6),
            bars(
                "Calls of unknown cost",
                ask.total(sc.LLM_UNKNOWN_COST, by=[sc.RESPONSE_MODEL]),
                "short",
                "They used tokens, but the price of the model is not known, so they are missing from every cost.",
                width=6,
            ),
        ),
    )
