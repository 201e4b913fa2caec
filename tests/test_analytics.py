"""TelemetryAnalytics: shapes that earlier callers know, real averages, and the figures that plain SQL gives."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attune_monitoring import LLMCallRecord, TelemetryAnalytics, TelemetryStore, WorkflowRunRecord
from attune_monitoring.history import GROUPS, History, Span
from attune_monitoring.pricing import Override, Pricing, Rates
from figures_in_sql import FiguresInSql, microseconds
from random_folders import NEWEST, write_folder
from test_golden import is_percentile, row_of

SAMPLES = Path(__file__).parents[2] / "shared" / "samples"
METHODS = (
    "top_expensive_workflows",
    "provider_usage_summary",
    "tier_distribution",
    "fallback_stats",
    "cost_savings_report",
    "workflow_usage_summary",
    "model_usage_summary",
    "user_usage_summary",
    "session_usage_summary",
    "project_usage_summary",
    "stage_summary",
    "latency_percentiles",
    "waste_report",
    "unknown_cost_report",
)


class Backend:
    """A caller's own backend, which has no folder."""

    def __init__(self, calls: list[LLMCallRecord], runs: list[WorkflowRunRecord]) -> None:
        self.calls = calls
        self.runs = runs

    def log_call(self, record: LLMCallRecord) -> None:
        self.calls.append(record)

    def log_workflow(self, record: WorkflowRunRecord) -> None:
        self.runs.append(record)

    def get_calls(
        self, since: datetime | None = None, workflow_name: str | None = None, limit: int = 1000
    ) -> list[LLMCallRecord]:
        return [one for one in self.calls if since is None or datetime.fromisoformat(one.timestamp) >= since][-limit:]

    def get_workflows(
        self, since: datetime | None = None, workflow_name: str | None = None, limit: int = 100
    ) -> list[WorkflowRunRecord]:
        return [one for one in self.runs if since is None or datetime.fromisoformat(one.started_at) >= since][-limit:]


CALLS: list[dict[str, Any]] = [
    {"call_id": "c1", "timestamp": "2026-11-20T10:00:00Z", "workflow_name": "review", "step_name": "plan",
     "user_id": "ann", "session_id": "s1", "provider": "openai", "tier": "cheap", "model_id": "small",
     "input_tokens": 100, "output_tokens": 20, "estimated_cost": 0.5, "latency_ms": 100,
     "metadata": {"attune": {"pid": 7, "project": "shop", "baseline_cost": 2.0, "cache_read_tokens": 60,
                             "reasoning_tokens": 5, "time_to_first_token_ms": 40.0}}},
    {"call_id": "c2", "timestamp": "2026-11-21T10:00:00Z", "workflow_name": "review", "provider": "openai",
     "tier": "premium", "model_id": "large", "input_tokens": 10, "output_tokens": 10, "estimated_cost": 0.25,
     "actual_cost": 1.0, "latency_ms": 300, "fallback_used": True, "original_provider": "anthropic", "retry_count": 2,
     "metadata": {"attune": {"pid": 7, "finish_reasons": ["length"], "attempts": [
         {"outcome": "retry", "cost": 0.125}, {"outcome": "fallback", "cost": 0.25}]}}},
    {"call_id": "c3", "timestamp": "2026-11-22T10:00:00Z", "provider": "ollama", "tier": "unknown", "model_id": "local",
     "latency_ms": 9000, "success": False, "error_type": "timeout",
     "metadata": {"attune": {"pid": 7, "unknown": ["estimated_cost"], "cost_source": "unknown"}}},
    {"call_id": "c4", "timestamp": "2026-11-22T11:00:00Z", "provider": "openai", "tier": "cheap", "model_id": "small",
     "estimated_cost": 64.0, "latency_ms": 1, "metadata": {"attune": {"pid": 8, "under_pytest": True}}},
]  # fmt: skip
RUNS: list[dict[str, Any]] = [
    {"run_id": "r1", "workflow_name": "review", "started_at": "2026-11-20T09:59:00Z", "total_cost": 1.0,
     "baseline_cost": 4.0, "savings": 3.0, "total_duration_ms": 1000, "metadata": {"attune": {"pid": 7}},
     "stages": [{"stage_name": "plan", "tier": "cheap", "model_id": "small", "cost": 0.25, "latency_ms": 100},
                {"stage_name": "plan", "tier": "cheap", "model_id": "small", "cost": 0.25, "latency_ms": 300,
                 "success": False},
                {"stage_name": "polish", "tier": "cheap", "model_id": "small", "success": False, "skipped": True}]},
    {"run_id": "r2", "workflow_name": "review", "started_at": "2026-11-21T09:59:00Z", "total_cost": 0.5,
     "baseline_cost": 1.0, "savings": 0.5, "total_duration_ms": 500, "metadata": {"attune": {"pid": 7}}},
    {"run_id": "r3", "workflow_name": "lookup", "started_at": "2026-11-21T09:59:00Z", "total_cost": 0.25,
     "baseline_cost": 0.25, "total_duration_ms": 50, "metadata": {"attune": {"pid": 7, "parent_run_id": "r2"}}},
]  # fmt: skip


@pytest.fixture
def folder(storage: Path) -> Path:
    storage.mkdir()
    for name, lines in (("llm_calls", CALLS), ("workflow_details", RUNS)):
        (storage / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return storage


@pytest.fixture(params=["folder", "backend"])
def store(request: pytest.FixtureRequest, folder: Path) -> TelemetryStore | Backend:
    """The same records in a folder and in a backend that is none."""
    if request.param == "folder":
        return TelemetryStore(folder)
    return Backend(list(map(LLMCallRecord.from_dict, CALLS)), list(map(WorkflowRunRecord.from_dict, RUNS)))


class TestEarlierCallersFind:
    def test_the_workflows_whose_runs_cost_most(self, store):
        assert TelemetryAnalytics(store).top_expensive_workflows() == [
            {
                "workflow_name": "review",
                "total_cost": 1.5,
                "run_count": 2,
                "total_savings": 3.5,
                "avg_duration_ms": 750.0,
                "avg_cost": 0.75,
            }
        ]

    def test_usage_by_provider(self, store):
        found = TelemetryAnalytics(store).provider_usage_summary()
        known = ("call_count", "total_tokens", "total_cost", "error_count", "avg_latency_ms", "by_tier", "avg_cost")
        assert {provider: {key: row[key] for key in known} for provider, row in found.items()} == {
            "ollama": {
                "call_count": 1,
                "total_tokens": 0,
                "total_cost": 0,
                "error_count": 1,
                "avg_latency_ms": 0.0,
                "by_tier": {"cheap": 0, "capable": 0, "premium": 0, "unknown": 1},
                "avg_cost": 0.0,
            },
            "openai": {
                "call_count": 2,
                "total_tokens": 140,
                "total_cost": 1.5,
                "error_count": 0,
                "avg_latency_ms": 200.0,
                "by_tier": {"cheap": 1, "capable": 0, "premium": 1},
                "avg_cost": 0.75,
            },
        }

    def test_the_distribution_of_tiers_in_percent(self, store):
        third = pytest.approx(100 / 3)
        assert TelemetryAnalytics(store).tier_distribution() == {
            "cheap": {"count": 1, "cost": 0.5, "tokens": 120, "percent": third},
            "capable": {"count": 0, "cost": 0, "tokens": 0, "percent": 0.0},
            "premium": {"count": 1, "cost": 1.0, "tokens": 20, "percent": third},
            "unknown": {"count": 1, "cost": 0, "tokens": 0, "percent": third},
        }

    def test_fallbacks_and_errors_in_percent(self, store):
        assert TelemetryAnalytics(store).fallback_stats() == {
            "total_calls": 3,
            "fallback_count": 1,
            "fallback_percent": pytest.approx(100 / 3),
            "error_count": 1,
            "error_rate": pytest.approx(100 / 3),
            "by_original_provider": {"anthropic": 1},
        }

    def test_what_root_runs_saved(self, store):
        assert TelemetryAnalytics(store).cost_savings_report() == {
            "workflow_count": 2,
            "total_actual_cost": 1.5,
            "total_baseline_cost": 5.0,
            "total_savings": 3.5,
            "savings_percent": pytest.approx(70.0),
            "avg_cost_per_workflow": 0.75,
        }

    def test_no_more_workflows_than_asked_for(self, store):
        analytics = TelemetryAnalytics(store)
        assert analytics.top_expensive_workflows(0) == []
        assert analytics.top_expensive_workflows(n=-1) == []
        assert len(analytics.top_expensive_workflows(n=5)) == 1


class TestFurtherViews:
    @pytest.mark.parametrize(
        ("method", "calls"),
        [
            ("workflow_usage_summary", {"": 1, "review": 2}),
            ("model_usage_summary", {"large": 1, "local": 1, "small": 1}),
            ("user_usage_summary", {"": 2, "ann": 1}),
            ("session_usage_summary", {"": 2, "s1": 1}),
            ("project_usage_summary", {"": 2, "shop": 1}),
        ],
    )
    def test_group_calls(self, store, method, calls):
        found = getattr(TelemetryAnalytics(store), method)()
        assert {name: row["call_count"] for name, row in found.items()} == calls

    def test_say_all_about_usage(self, store):
        assert TelemetryAnalytics(store).user_usage_summary()["ann"] == {
            "call_count": 1,
            "total_tokens": 120,
            "input_tokens": 100,
            "output_tokens": 20,
            "cache_read_tokens": 60,
            "cache_write_tokens": 0,
            "reasoning_tokens": 5,
            "total_cost": 0.5,
            "avg_cost": 0.5,
            "unknown_cost_count": 0,
            "baseline_cost": 2.0,
            "savings": 1.5,
            "error_count": 0,
            "success_rate": 100.0,
            "retry_count": 0,
            "fallback_count": 0,
            "truncated_count": 0,
            "avg_latency_ms": 100.0,
            "p50_latency_ms": 100,
            "p95_latency_ms": 100,
            "p99_latency_ms": 100,
        }

    def test_stages_without_the_skipped_ones(self, store):
        [plan] = TelemetryAnalytics(store).stage_summary()
        assert plan == {
            "workflow_name": "review",
            "stage_name": "plan",
            "count": 2,
            "total_cost": 0.5,
            "avg_cost": 0.25,
            "error_count": 1,
            "avg_ms": 200.0,
            "min_ms": 100,
            "max_ms": 300,
            "p50_ms": pytest.approx(100, rel=0.036),
            "p95_ms": 300,
            "p99_ms": 300,
        }

    def test_latency_of_calls_that_went_well(self, store):
        found = TelemetryAnalytics(store).latency_percentiles()
        assert found["latency"] == {
            "count": 2,
            "avg_ms": 200.0,
            "min_ms": 100,
            "max_ms": 300,
            "p50_ms": pytest.approx(100, rel=0.036),
            "p95_ms": 300,
            "p99_ms": 300,
        }
        assert found["time_to_first_token"]["count"] == 1
        assert found["time_to_first_token"]["p50_ms"] == 40.0

    def test_what_was_given_up(self, store):
        assert TelemetryAnalytics(store).waste_report() == {
            "retry_count": 2,
            "retry_cost": 0.125,
            "fallback_count": 1,
            "fallback_cost": 0.25,
            "truncated_count": 1,
        }

    def test_what_caches_saved_is_what_reading_cost_less_than_plain_input(self, store):
        prices = Pricing(overrides=[Override("small", Rates(input=3.0, output=1.0, cache_read=0.5))])
        found = TelemetryAnalytics(store, pricing=prices).cache_savings_report()
        assert found == {
            "total_savings": pytest.approx(60 * 2.5 / 1e6),
            "cache_read_tokens": 60,
            "by_model": {"small": pytest.approx(60 * 2.5 / 1e6)},
            "unknown_models": [],
        }

    def test_what_caches_saved_names_the_models_whose_rates_are_not_known(self, store):
        found = TelemetryAnalytics(store).cache_savings_report()
        assert (found["total_savings"], found["unknown_models"]) == (0, ["small"])

    def test_calls_of_unknown_cost(self, store):
        assert TelemetryAnalytics(store).unknown_cost_report() == {"call_count": 1, "by_model": {"local": 1}}


class TestSince:
    @pytest.mark.parametrize(
        "since",
        [
            datetime(2026, 11, 21, 10, tzinfo=UTC),
            datetime(2026, 11, 21, 15, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
            datetime(2026, 11, 21, 10, tzinfo=UTC).astimezone().replace(tzinfo=None),
        ],
        ids=["UTC", "offset", "local"],
    )
    def test_may_have_a_time_zone_or_be_local_time(self, store, since):
        analytics = TelemetryAnalytics(store)
        assert analytics.fallback_stats(since)["total_calls"] == 2
        assert analytics.fallback_stats(since=since + timedelta(seconds=1))["total_calls"] == 1

    @pytest.mark.parametrize("since", [datetime.min, datetime.min.replace(tzinfo=UTC)], ids=["naive", "aware"])
    def test_may_be_the_first_day_there_is(self, store, since):
        assert TelemetryAnalytics(store).fallback_stats(since)["total_calls"] == 3

    def test_holds_for_runs_by_their_beginning(self, store):
        since = datetime(2026, 11, 21, 9, 59, tzinfo=UTC)
        assert TelemetryAnalytics(store).cost_savings_report(since)["total_actual_cost"] == 0.5

    @pytest.mark.parametrize("method", METHODS)
    def test_is_known_to_every_method(self, store, method):
        analytics = TelemetryAnalytics(store)
        later = getattr(analytics, method)(since=datetime(2030, 1, 1))
        assert later == getattr(TelemetryAnalytics(Backend([], [])), method)()


def test_records_made_under_pytest_count_where_asked_for(store):
    assert TelemetryAnalytics(store, include_tests=True).tier_distribution()["cheap"]["cost"] == 64.5


@pytest.mark.parametrize("method", METHODS)
def test_a_folder_without_records_gives_what_a_backend_without_records_gives(storage, method):
    empty = getattr(TelemetryAnalytics(TelemetryStore(storage)), method)()
    assert empty == getattr(TelemetryAnalytics(Backend([], [])), method)()


def test_nothing_is_zero_on_average_and_has_no_percentiles(storage):
    found = TelemetryAnalytics(TelemetryStore(storage)).latency_percentiles()["latency"]
    assert (found["count"], found["avg_ms"], found["min_ms"], found["p95_ms"]) == (0, 0.0, None, None)


def test_the_local_folder_is_read_where_no_store_is_given(folder):
    assert TelemetryAnalytics().fallback_stats()["total_calls"] == 3


def test_an_empty_backend_is_asked_and_not_taken_for_none(folder):
    class Sized(Backend):
        def __len__(self) -> int:
            return 0

    assert TelemetryAnalytics(Sized([], [])).fallback_stats()["total_calls"] == 0


def test_what_is_recorded_later_is_in_the_next_answer(folder):
    analytics = TelemetryAnalytics(TelemetryStore(folder))
    analytics.fallback_stats()
    with (folder / "llm_calls.jsonl").open("a") as file:
        file.write(json.dumps({**CALLS[0], "call_id": "c5"}) + "\n")
    assert analytics.fallback_stats()["total_calls"] == 4


def test_importing_the_name_brings_neither_the_sdk_nor_requests(run_program):
    code = """
        import sys
        from attune_monitoring import TelemetryAnalytics
        TelemetryAnalytics().fallback_stats()
        print([name for name in ("opentelemetry.sdk", "requests", "rich", "duckdb") if name in sys.modules])
    """
    assert run_program(code).out.strip() == "[]"


class TestTheOldSamples:
    @pytest.fixture
    def analytics(self, storage: Path) -> Iterator[TelemetryAnalytics]:
        if not SAMPLES.is_dir():
            pytest.skip("the samples of earlier writers are not beside this checkout")
        storage.mkdir()
        for name in ("llm_calls", "workflow_runs"):
            shutil.copyfile(SAMPLES / f"{name}.old.jsonl", storage / f"{name}.jsonl")
        return TelemetryAnalytics(TelemetryStore(storage))

    def test_each_call_counts_once(self, analytics):
        lines = [json.loads(line) for line in (SAMPLES / "llm_calls.old.jsonl").read_text().splitlines()]
        once = [line for line in lines if line["user_id"] == "workflow"]
        assert len(lines) == 2 * len(once)
        usage = analytics.provider_usage_summary()["anthropic"]
        assert usage["call_count"] == len(once)
        assert usage["total_cost"] == pytest.approx(sum(line["estimated_cost"] for line in once))
        assert usage["avg_latency_ms"] == pytest.approx(sum(line["latency_ms"] for line in once) / len(once))

    def test_their_placeholder_is_no_user(self, analytics):
        assert set(analytics.user_usage_summary()) == {""}

    def test_runs_have_real_averages(self, analytics):
        lines = [json.loads(line) for line in (SAMPLES / "workflow_runs.old.jsonl").read_text().splitlines()]
        for row in analytics.top_expensive_workflows():
            mine = [line for line in lines if line["workflow_name"] == row["workflow_name"]]
            assert row["run_count"] == len(mine)
            assert row["avg_duration_ms"] == pytest.approx(sum(line["total_duration_ms"] for line in mine) / len(mine))
            assert row["total_cost"] == pytest.approx(sum(line["total_cost"] for line in mine))


# --- against SQL
_LATENCY = (
    "coalesce(avg({0}) FILTER ({1}), 0) AS avg_{2}ms, quantile_disc({0}, 0.5) FILTER ({1}) AS p50_{2}ms, "
    "quantile_disc({0}, 0.95) FILTER ({1}) AS p95_{2}ms, quantile_disc({0}, 0.99) FILTER ({1}) AS p99_{2}ms"
)
_EXTREMES = "min({0}) FILTER ({1}) AS min_ms, max({0}) FILTER ({1}) AS max_ms"
_USAGE = """
    count(*) AS call_count, sum(input + output) AS total_tokens, sum(input) AS input_tokens,
    sum(output) AS output_tokens, sum(cache_read) AS cache_read_tokens, sum(cache_write) AS cache_write_tokens,
    sum(reasoning) AS reasoning_tokens, coalesce(sum(cost), 0) AS total_cost,
    coalesce(sum(cost) / nullif(count(*) FILTER (NOT cost_is_unknown), 0), 0) AS avg_cost,
    count(*) FILTER (cost_is_unknown) AS unknown_cost_count, coalesce(sum(baseline), 0) AS baseline_cost,
    coalesce(sum(baseline - cost), 0) AS savings, count(*) FILTER (outcome = 'error') AS error_count,
    100 * count(*) FILTER (outcome = 'ok') / nullif(count(*) FILTER (outcome <> 'cancelled'), 0) AS success_rate,
    sum(retries) AS retry_count, count(*) FILTER (fell_back) AS fallback_count,
    count(*) FILTER (is_truncated) AS truncated_count,
""" + _LATENCY.format("latency", "outcome = 'ok'", "latency_")


def usage_in_sql(sql: FiguresInSql, column: str, where: str) -> dict[str, Any]:
    rows = sql.ask(f'SELECT "{column}" AS name, {_USAGE} FROM calls WHERE {where} GROUP BY 1')
    return {row.pop("name"): row for row in rows}


def timing_in_sql(sql: FiguresInSql, column: str, condition: str, where: str) -> dict[str, Any]:
    [row] = sql.ask(
        f"SELECT count(*) FILTER ({condition}) AS count, {_LATENCY.format(column, condition, '')}, "
        f"{_EXTREMES.format(column, condition)} FROM calls WHERE {where}"
    )
    return row


def analytics_in_sql(sql: FiguresInSql, since: datetime | None, *, include_tests: bool) -> dict[str, Any]:
    """What each method must return, each from a statement of its own."""
    where = f"{include_tests} OR NOT is_test"
    where = f"({where}) AND moment >= {microseconds(since)}" if since is not None else f"({where})"
    providers = usage_in_sql(sql, "provider", where)
    for provider, row in providers.items():
        tiers = sql.ask(f"SELECT tier, count(*) AS n FROM calls WHERE {where} AND provider = '{provider}' GROUP BY 1")
        row["by_tier"] = {"cheap": 0, "capable": 0, "premium": 0, **{tier["tier"]: tier["n"] for tier in tiers}}
    tiers = sql.ask(
        "SELECT tier, count(*) AS count, coalesce(sum(cost), 0) AS cost, sum(input + output) AS tokens, "
        f"100 * count(*) / sum(count(*)) OVER () AS percent FROM calls WHERE {where} GROUP BY 1"
    )
    nothing = {"count": 0, "cost": 0, "tokens": 0, "percent": 0}
    fallbacks = sql.ask(
        "SELECT count(*) AS total_calls, count(*) FILTER (fell_back) AS fallback_count, "
        "coalesce(100 * count(*) FILTER (fell_back) / nullif(count(*), 0), 0) AS fallback_percent, "
        "count(*) FILTER (outcome = 'error') AS error_count, "
        "coalesce(100 * count(*) FILTER (outcome = 'error') / nullif(count(*), 0), 0) AS error_rate "
        f"FROM calls WHERE {where}"
    )[0]
    origins = sql.ask(
        f"SELECT original_provider AS name, count(*) AS n FROM calls WHERE {where} AND fell_back "
        "AND original_provider IS NOT NULL GROUP BY 1"
    )
    unknown = sql.ask(f"SELECT model, count(*) AS n FROM calls WHERE {where} AND cost_is_unknown GROUP BY 1")
    return {
        "top_expensive_workflows": sql.ask(
            "SELECT workflow AS workflow_name, sum(cost) AS total_cost, count(*) AS run_count, "
            "sum(savings) AS total_savings, avg(duration) AS avg_duration_ms, avg(cost) AS avg_cost "
            f"FROM runs WHERE is_root AND {where} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10"
        ),
        "provider_usage_summary": providers,
        "tier_distribution": {
            **dict.fromkeys(("cheap", "capable", "premium"), nothing),
            **{row.pop("tier"): row for row in tiers},
        },
        "fallback_stats": {**fallbacks, "by_original_provider": {row["name"]: row["n"] for row in origins}},
        "cost_savings_report": sql.ask(
            "SELECT count(*) AS workflow_count, coalesce(sum(cost), 0) AS total_actual_cost, "
            "coalesce(sum(baseline), 0) AS total_baseline_cost, coalesce(sum(savings), 0) AS total_savings, "
            "coalesce(100 * sum(savings) / nullif(sum(baseline), 0), 0) AS savings_percent, "
            f"coalesce(avg(cost), 0) AS avg_cost_per_workflow FROM runs WHERE is_root AND {where}"
        )[0],
        **{
            f"{name}_usage_summary": usage_in_sql(sql, name, where) for name in ("workflow", "model", "user", "session")
        },
        "project_usage_summary": usage_in_sql(sql, "project", where),
        "stage_summary": sql.ask(
            "SELECT workflow AS workflow_name, stage AS stage_name, count(*) AS count, sum(cost) AS total_cost, "
            f"avg(cost) AS avg_cost, count(*) FILTER (outcome = 'error') AS error_count, "
            f"{_LATENCY.format('duration', 'true', '')}, {_EXTREMES.format('duration', 'true')} "
            f"FROM stages WHERE {where} GROUP BY 1, 2 ORDER BY 4 DESC, 1, 2"
        ),
        "latency_percentiles": {
            "latency": timing_in_sql(sql, "latency", "outcome = 'ok'", where),
            "time_to_first_token": timing_in_sql(sql, "first_token", "first_token >= 0", where),
        },
        "waste_report": sql.ask(
            "SELECT coalesce(sum(retries), 0) AS retry_count, coalesce(sum(retry_waste), 0) AS retry_cost, "
            "count(*) FILTER (fell_back) AS fallback_count, coalesce(sum(fallback_waste), 0) AS fallback_cost, "
            f"count(*) FILTER (is_truncated) AS truncated_count FROM calls WHERE {where}"
        )[0],
        "unknown_cost_report": {
            "call_count": sum(row["n"] for row in unknown),
            "by_model": {row["model"]: row["n"] for row in unknown},
        },
    }


def near(value: Any, key: str = "") -> Any:
    """The value, to compare with: numbers within 1e-9, percentiles within what histograms promise."""
    if isinstance(value, dict):
        return {name: near(inner, str(name)) for name, inner in value.items()}
    if isinstance(value, list):
        return [near(inner) for inner in value]
    if isinstance(value, str) or value is None:
        return value
    if key.startswith(("p50_", "p95_", "p99_")) or is_percentile(key):
        return pytest.approx(value, rel=0.036, abs=1.0)  # below 1 ms buckets end
    return pytest.approx(value, rel=1e-9, abs=1e-9)


GROUPINGS: dict[str, list[tuple[str, ...]]] = {
    "calls": [(), *((name,) for name in GROUPS), ("workflow", "model"), ("provider", "tier", "outcome", "error")],
    "runs": [(), ("workflow",), ("project", "outcome")],
    "stages": [(), ("workflow", "stage"), ("tier", "outcome")],
}


def check_against_sql(folder: Path, since: datetime | None, *, include_tests: bool) -> None:
    with FiguresInSql(folder, time_zone="UTC") as sql:
        analytics = TelemetryAnalytics(TelemetryStore(folder), include_tests=include_tests)
        for method, wanted in analytics_in_sql(sql, since, include_tests=include_tests).items():
            assert getattr(analytics, method)(since=since) == near(wanted), method
        span = Span(since.timestamp()) if since is not None else Span()
        with History(folder, include_tests=include_tests) as past:
            past.refresh()
            for what, groupings in GROUPINGS.items():
                for group_by in groupings:
                    answer: Any = getattr(past, what)(group_by, span=span)
                    wanted = sql.figures(what, group_by, since=since, include_tests=include_tests)
                    assert {labels: row_of(figures) for labels, figures in answer.items()} == near(wanted), group_by
            notes = past.notes()
            left_out = {**notes._asdict(), "skipped": sum(notes.skipped.values())}
            assert left_out == {**sql.notes(), "tests": 0 if include_tests else sql.notes()["tests"]}


@pytest.fixture
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """SQL and Python mean the same by a local time."""
    monkeypatch.setenv("TZ", "UTC")
    if hasattr(time, "tzset"):
        time.tzset()
    yield
    monkeypatch.undo()
    if hasattr(time, "tzset"):
        time.tzset()


@pytest.mark.slow
@pytest.mark.usefixtures("_in_utc")
@pytest.mark.parametrize("hours", [None, 30.1])
def test_every_method_and_grouping_equals_plain_sql_over_the_same_lines(tmp_path, hours):
    write_folder(tmp_path / "random", 3, 80)
    check_against_sql(
        tmp_path / "random", None if hours is None else NEWEST - timedelta(hours=hours), include_tests=False
    )


@pytest.mark.slow
@pytest.mark.usefixtures("_in_utc")
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 10**9),
    size=st.integers(0, 150),
    seconds=st.none() | st.integers(0, 30 * 86400) | st.integers(0, 500).map(lambda hours: hours * 3600 + 34 * 60 + 56),
    include_tests=st.booleans(),
)
def test_every_method_and_grouping_equals_plain_sql_for_any_records(
    tmp_path_factory, seed, size, seconds, include_tests
):
    folder = tmp_path_factory.mktemp("random") / "records"
    write_folder(folder, seed, size)
    since = None if seconds is None else NEWEST - timedelta(seconds=seconds)
    check_against_sql(folder, since, include_tests=include_tests)
