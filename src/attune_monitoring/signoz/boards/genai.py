"""The dashboard for every app that follows the GenAI conventions, whoever instrumented it."""

from __future__ import annotations

from attune_monitoring import semconv as sc
from attune_monitoring.signoz.asking import SERVICE, Asking, combined, latest, spans
from attune_monitoring.signoz.board import bars, board, lines, listing, number, section, table
from attune_monitoring.signoz.dashboard import Dashboard

__all__ = ["genai"]

_CALLS = spans(*sorted(sc.CALL_OPERATIONS))
_TOOLS = spans(sc.EXECUTE_TOOL)
_FAILED = "has_error = true"
_DURATION = "duration_nano"
_COST = f"sum({sc.COST})"
_INPUT = f"sum({sc.INPUT_TOKENS})"
_OUTPUT = f"sum({sc.OUTPUT_TOKENS})"


def genai() -> Dashboard:
    """Return the dashboard."""
    ask = Asking("service", "provider", "request_model")
    tools = Asking("service")
    calls = ask.spans("count()", name="B", where=_CALLS)
    tool_calls = tools.spans("count()", name="B", where=_TOOLS)
    tool_errors = tools.spans("count()", where=f"{_TOOLS} AND {_FAILED}")
    return board(
        "attune-genai",
        "Any GenAI app",
        "Reads the GenAI conventions only, from spans and from the conventional metrics; spans are those that sampling "
        "left, so their totals say (sampled).",
        ask.variables,
        section(
            "At a glance",
            number(
                "Calls (sampled)",
                ask.spans("count()", where=_CALLS),
                "short",
                "Spans of calls; a call that two instrumentations saw counts twice here.",
                digits="0",
            ),
            number(
                "Error rate (sampled)",
                combined("A * 100 / B", ask.spans("count()", where=f"{_CALLS} AND {_FAILED}"), calls),
                "percent",
            ),
            number("Cost (sampled)", ask.spans(_COST, where=_CALLS), "currencyUSD", f"Sum of {sc.COST}.", digits="4"),
            number(
                "Tokens (sampled)",
                combined("A + B", ask.spans(_INPUT, where=_CALLS), ask.spans(_OUTPUT, name="B", where=_CALLS)),
                "short",
                digits="0",
            ),
            number("p95 latency (sampled)", ask.spans(f"p95({_DURATION})", where=_CALLS), "ns"),
            number(
                "p95 time to first token (sampled)",
                ask.spans(f"p95({sc.TIME_TO_FIRST_CHUNK})", where=f"{_CALLS} AND {sc.TIME_TO_FIRST_CHUNK} EXISTS"),
                "s",
            ),
        ),
        section(
            "Over time",
            bars(
                "Cost by model (sampled)",
                ask.spans(_COST, by=[sc.RESPONSE_MODEL], where=_CALLS, all_groups=True),
                "currencyUSD",
                "By the model that answered.",
            ),
            bars(
                "Tokens (sampled)",
                [
                    ask.spans(_INPUT, where=_CALLS, legend="input"),
                    ask.spans(_OUTPUT, name="B", where=_CALLS, legend="output"),
                ],
                "short",
            ),
            lines(
                "Latency (sampled)",
                [
                    ask.spans(f"p50({_DURATION})", where=_CALLS, legend="p50"),
                    ask.spans(f"p95({_DURATION})", name="B", where=_CALLS, legend="p95"),
                    ask.spans(f"p99({_DURATION})", name="C", where=_CALLS, legend="p99"),
                ],
                "ns",
            ),
            bars(
                "Errors by type (sampled)",
                ask.spans("count()", by=[sc.ERROR_TYPE], where=f"{_CALLS} AND {_FAILED}", all_groups=True),
                "short",
            ),
            bars("Calls by operation (sampled)", ask.spans("count()", by=[sc.OPERATION], where=_CALLS), "short"),
            lines(
                "Time to first token (sampled)",
                ask.spans(
                    f"p95({sc.TIME_TO_FIRST_CHUNK})",
                    where=f"{_CALLS} AND {sc.TIME_TO_FIRST_CHUNK} EXISTS",
                    legend="p95",
                ),
                "s",
            ),
        ),
        section(
            "Conventional metrics",
            lines(
                "p95 operation duration",
                ask.quantile(sc.CLIENT_DURATION, "p95", by=[sc.REQUEST_MODEL]),
                "s",
                "From metrics, which sampling leaves complete.",
                width=6,
            ),
            bars(
                "Operations by provider",
                ask.total(sc.CLIENT_DURATION, by=[sc.PROVIDER]),
                "short",
                "From metrics, which sampling leaves complete.",
                width=6,
            ),
        ),
        section(
            "Who and what",
            table(
                "Models (sampled)",
                ask.spans(
                    "count()",
                    _COST,
                    _INPUT,
                    _OUTPUT,
                    titles=["calls", "cost", "input tokens", "output tokens"],
                    by=[sc.PROVIDER, sc.REQUEST_MODEL],
                    where=_CALLS,
                ),
                ["short", "currencyUSD", "short", "short"],
            ),
            table(
                "Span names (sampled)",
                ask.spans("count()", f"p95({_DURATION})", titles=["calls", "p95"], by=["name"], where=_CALLS),
                ["short", "ns"],
            ),
            table("Services (sampled)", ask.spans("count()", by=[SERVICE], where=_CALLS), ["short"]),
            table(
                "Finish reasons (sampled)",
                ask.spans("count()", by=[sc.FINISH_REASONS], where=f"{_CALLS} AND {sc.FINISH_REASONS} EXISTS"),
                ["short"],
                "length and max_tokens are answers that were cut.",
            ),
        ),
        section(
            "Tools",
            number("Tool calls (sampled)", tools.spans("count()", where=_TOOLS), "short", width=4, digits="0"),
            number(
                "Tool error rate (sampled)",
                combined("A * 100 / B", tool_errors, tool_calls),
                "percent",
                width=4,
            ),
            number("p95 tool duration (sampled)", tools.spans(f"p95({_DURATION})", where=_TOOLS), "ns", width=4),
            bars("Tool calls over time (sampled)", tools.spans("count()", by=[sc.TOOL_NAME], where=_TOOLS), "short"),
            lines("Tool duration (sampled)", tools.spans(f"p95({_DURATION})", by=[sc.TOOL_NAME], where=_TOOLS), "ns"),
            bars(
                "Tool errors (sampled)",
                tools.spans("count()", by=[sc.TOOL_NAME], where=f"{_TOOLS} AND {_FAILED}"),
                "short",
            ),
        ),
        section(
            "Traces",
            listing(
                "Latest calls (sampled)",
                latest(ask, _CALLS, "timestamp", "name", sc.REQUEST_MODEL, "duration_nano", sc.COST, "has_error"),
                "A row opens its trace.",
            ),
        ),
        signal="traces",
    )
