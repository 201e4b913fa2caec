"""The dashboard about money: who spends it, what the month will come to, and what is saved or wasted."""

from __future__ import annotations

from attune_monitoring import semconv as sc
from attune_monitoring.signoz import sql
from attune_monitoring.signoz.asking import Asking, combined, spans
from attune_monitoring.signoz.board import bars, board, lines, number, section, table
from attune_monitoring.signoz.dashboard import Dashboard

__all__ = ["cost"]

_DAY = 86_400
_CALLS = spans(*sorted(sc.CALL_OPERATIONS))
_COST = f"sum({sc.COST})"
_PRICED = f"{_CALLS} AND {sc.COST} EXISTS"
"""A call that two instrumentations saw has its cost on one of its spans only."""
_NOW = f"toDateTime(intDiv({sql.END}, 1000), 'UTC')"
_MONTH = f"toStartOfMonth({_NOW})"
_MONTH_OVER_PASSED = (
    f"(toUnixTimestamp({_MONTH} + INTERVAL 1 MONTH, 'UTC') - toUnixTimestamp({_MONTH}, 'UTC'))"
    f" / greatest(toUnixTimestamp({_NOW}) - toUnixTimestamp({_MONTH}, 'UTC'), 60)"
)


def cost() -> Dashboard:
    """Return the dashboard."""
    ask = Asking("service", "workflow", "provider", "model", "tier", "project", "user")
    baseline = ask.total(sc.LLM_BASELINE)
    spent = ask.total(sc.LLM_COST, name="B")
    cached = ask.total(sc.LLM_TOKENS, where=f"{sc.TOKEN_TYPE} = 'cache_read'")
    inputs = ask.total(sc.LLM_TOKENS, name="B", where=f"{sc.TOKEN_TYPE} = 'input'")
    return board(
        "attune-cost",
        "LLM cost and budgets",
        "What is spent, by whom, and what the month will come to. Totals come from metrics; what names users, sessions "
        "or single calls comes from spans and says so, because sampling may leave some out; only that can be filtered "
        "by user.",
        ask.variables,
        section(
            "Budget",
            number("Cost", ask.total(sc.LLM_COST), "currencyUSD", "In the time shown.", width=3),
            number(
                "Month to date",
                ask.since_month_begin(sc.LLM_COST),
                "currencyUSD",
                "Since the first of the month (UTC) in which the time shown ends.",
                width=3,
            ),
            number(
                "Month at this pace",
                ask.since_month_begin(sc.LLM_COST, _MONTH_OVER_PASSED),
                "currencyUSD",
                "What the month comes to if the rest of it goes on like what has passed.",
                width=3,
            ),
            number(
                "Calls of unknown cost",
                ask.total(sc.LLM_UNKNOWN_COST),
                "short",
                "They are missing from every cost.",
                width=3,
                digits="0",
            ),
            bars("Cost by day", ask.total(sc.LLM_COST, by=[sc.PROVIDER], step=_DAY), "currencyUSD", width=12),
        ),
        section(
            "Who spends it",
            table(
                "Workflows",
                [
                    ask.total(sc.LLM_COST, by=[sc.WORKFLOW_NAME], legend="cost"),
                    ask.total(sc.LLM_CALLS, name="B", by=[sc.WORKFLOW_NAME], legend="calls"),
                ],
                ["currencyUSD", "short"],
            ),
            table(
                "Projects",
                [
                    ask.total(sc.LLM_COST, by=[sc.PROJECT], legend="cost"),
                    ask.total(sc.LLM_CALLS, name="B", by=[sc.PROJECT], legend="calls"),
                ],
                ["currencyUSD", "short"],
            ),
            table(
                "Users (sampled)",
                ask.spans(
                    _COST,
                    "count()",
                    titles=["cost", "priced calls"],
                    by=[sc.USER_ID],
                    where=f"{_PRICED} AND {sc.USER_ID} EXISTS",
                ),
                ["currencyUSD", "short"],
                "From spans: calls that sampling dropped are missing.",
            ),
            table(
                "Sessions (sampled)",
                ask.spans(
                    _COST,
                    "count()",
                    titles=["cost", "priced calls"],
                    by=[sc.CONVERSATION_ID],
                    where=f"{_PRICED} AND {sc.CONVERSATION_ID} EXISTS",
                ),
                ["currencyUSD", "short"],
                "From spans: calls that sampling dropped are missing.",
            ),
        ),
        section(
            "Saved",
            number(
                "Saved by tiers",
                combined("A - B", baseline, spent),
                "currencyUSD",
                "The same tokens at the provider's premium model, less what they did cost.",
                width=3,
            ),
            number(
                "Saved by tiers, share",
                combined("(A - B) * 100 / A", baseline, spent),
                "percent",
                "Of what the premium model would have cost.",
                width=3,
            ),
            number(
                "Input read from the cache",
                combined("A * 100 / B", cached, inputs),
                "percent",
                "Share of the input tokens that the provider's cache held, which it charges less for.",
                width=3,
            ),
            number("Tokens read from the cache", cached, "short", width=3, digits="0"),
            bars(
                "Tokens of the cache",
                ask.total(sc.LLM_TOKENS, by=[sc.TOKEN_TYPE], where=f"{sc.TOKEN_TYPE} IN ('cache_read', 'cache_write')"),
                "short",
                "Writes cost more than plain input, reads less.",
                width=6,
            ),
            lines(
                "Premium price and cost",
                [
                    ask.total(sc.LLM_BASELINE, legend="premium model"),
                    ask.total(sc.LLM_COST, name="B", legend="cost"),
                ],
                "currencyUSD",
                width=6,
            ),
        ),
        section(
            "Wasted",
            number("Retries", ask.total(sc.LLM_RETRIES), "short", width=3, digits="0"),
            number("Fallbacks", ask.total(sc.LLM_FALLBACKS), "short", width=3, digits="0"),
            number(
                "Cost of retried calls (sampled)",
                ask.spans(_COST, where=f"{_CALLS} AND {sc.RETRY_COUNT} > 0"),
                "currencyUSD",
                "All attempts of calls that needed more than one; from spans.",
                width=3,
            ),
            number(
                "Cost of calls that fell back (sampled)",
                ask.spans(_COST, where=f"{_CALLS} AND {sc.ORIGINAL_MODEL} EXISTS"),
                "currencyUSD",
                "Of calls that another model answered than the one first asked; from spans.",
                width=3,
            ),
            bars("Retries by model", ask.total(sc.LLM_RETRIES, by=[sc.RESPONSE_MODEL]), "short", width=6),
            bars("Fallbacks by model", ask.total(sc.LLM_FALLBACKS, by=[sc.RESPONSE_MODEL]), "short", width=6),
        ),
    )
