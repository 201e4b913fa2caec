"""The dashboard about workflows: runs, stages, their durations and success, and the traces behind them."""

from __future__ import annotations

from attune_monitoring import semconv as sc
from attune_monitoring.signoz.asking import Asking, combined, latest, spans
from attune_monitoring.signoz.board import bars, board, lines, listing, number, section, table
from attune_monitoring.signoz.dashboard import Dashboard

__all__ = ["workflows"]

_OK = f"{sc.OUTCOME} = 'ok'"
_FAILED = f"{sc.OUTCOME} = 'error'"
_DECIDED = f"{sc.OUTCOME} IN ('ok', 'error')"
_RUNS = spans(sc.INVOKE_WORKFLOW)
_COLUMNS = ("timestamp", sc.WORKFLOW_NAME, "duration_nano", "has_error", sc.RUN_ID)


def workflows() -> Dashboard:
    """Return the dashboard."""
    ask = Asking("service", "workflow")
    ok = ask.total(sc.WORKFLOW_RUNS, where=_OK)
    decided = ask.total(sc.WORKFLOW_RUNS, name="B", where=_DECIDED)
    return board(
        "attune-workflows",
        "LLM workflows",
        "Runs and their stages. Figures come from metrics; the lists are of spans, so sampling may leave some out, "
        "and each row opens its trace.",
        ask.variables,
        section(
            "Runs",
            number("Runs", ask.total(sc.WORKFLOW_RUNS), "short", width=3, digits="0"),
            number("Success rate", combined("A * 100 / B", ok, decided), "percent", width=3),
            number(
                "p95 duration",
                ask.quantile_of_all(sc.WORKFLOW_DURATION, "p95"),
                "s",
                "Over all the time shown.",
                width=3,
            ),
            number("Cost of calls", ask.total(sc.LLM_COST), "currencyUSD", width=3),
            bars("By outcome", ask.total(sc.WORKFLOW_RUNS, by=[sc.OUTCOME]), "short"),
            bars("By workflow", ask.total(sc.WORKFLOW_RUNS, by=[sc.WORKFLOW_NAME]), "short"),
            lines("p95 by workflow", ask.quantile(sc.WORKFLOW_DURATION, "p95", by=[sc.WORKFLOW_NAME]), "s"),
            table(
                "Workflows",
                [
                    ask.total(sc.WORKFLOW_RUNS, by=[sc.WORKFLOW_NAME], legend="runs"),
                    ask.total(sc.WORKFLOW_RUNS, name="B", by=[sc.WORKFLOW_NAME], where=_FAILED, legend="failed"),
                    ask.total(sc.LLM_COST, name="C", by=[sc.WORKFLOW_NAME], legend="cost"),
                    ask.total(sc.LLM_CALLS, name="D", by=[sc.WORKFLOW_NAME], legend="calls"),
                ],
                ["short", "short", "currencyUSD", "short"],
            ),
            bars("Cost by workflow", ask.total(sc.LLM_COST, by=[sc.WORKFLOW_NAME]), "currencyUSD", width=6),
        ),
        section(
            "Stages",
            table(
                "Stages",
                [
                    ask.total(sc.STAGE_DURATION, by=[sc.WORKFLOW_NAME, sc.STAGE_NAME], legend="times"),
                    ask.total(
                        sc.STAGE_DURATION,
                        name="B",
                        by=[sc.WORKFLOW_NAME, sc.STAGE_NAME],
                        where=_FAILED,
                        legend="failed",
                    ),
                ],
                ["short", "short"],
            ),
            table(
                "p95 duration",
                ask.quantile_of_all(sc.STAGE_DURATION, "p95", by=[sc.WORKFLOW_NAME, sc.STAGE_NAME]),
                ["s"],
                "Over all the time shown, the slowest first.",
            ),
        ),
        section(
            "Traces",
            listing("Latest runs (sampled)", latest(ask, _RUNS, *_COLUMNS), "A row opens its trace."),
            listing(
                "Failed runs (sampled)",
                latest(ask, f"{_RUNS} AND has_error = true", *_COLUMNS),
                "A row opens its trace.",
            ),
        ),
    )
