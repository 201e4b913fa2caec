"""A run in progress: what its sums, stages, baseline and savings are."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune_monitoring import semconv as sc
from attune_monitoring.mapping import Origin, SpanData
from attune_monitoring.records import LLMCallRecord
from attune_monitoring.runs import MAX_STAGES, RunInProgress

SECOND = 1_000_000_000
START = 1_768_103_220 * SECOND


def _call(**fields: Any) -> LLMCallRecord:
    given = {"cost_source": "table", "provider": "openai", "tier": "cheap", "model_id": "m"}
    return LLMCallRecord("c", "2026-01-11T03:47:00Z", **{**given, **fields})


def _span(name: str = "w", *, seconds: float = 2.0, start_ns: int = START, **more: Any) -> SpanData:
    fields = {"attributes": {}, "span_id": "b" * 16, **more}
    return SpanData(name=name, start_ns=start_ns, end_ns=start_ns + int(seconds * SECOND), **fields)


def _record(*calls: LLMCallRecord, root: SpanData | None = None, stage_id: str | None = None, complete: bool = True):
    run = RunInProgress("r", "w")
    for number, call in enumerate(calls):
        run.add_call(call, START + number * SECOND, stage_id)
    run.root = root or _span()
    return run.record(Origin("shop", "h1", 42, under_pytest=True), complete=complete)


class TestSums:
    def test_tokens_costs_and_calls_add_up(self):
        first = _call(input_tokens=10, output_tokens=3, estimated_cost=0.1, cache_read_tokens=4, reasoning_tokens=1)
        second = _call(input_tokens=5, output_tokens=2, estimated_cost=0.2, cache_write_tokens=2, provider="anthropic")
        run = _record(first, second)
        assert (run.total_input_tokens, run.total_output_tokens, run.call_count) == (15, 5, 2)
        assert run.total_cost == pytest.approx(0.3)
        assert (run.total_cache_read_tokens, run.total_cache_write_tokens, run.total_reasoning_tokens) == (
            4,
            2,
            1,
        )
        assert (run.providers_used, run.tiers_used) == (["openai", "anthropic"], ["cheap"])

    def test_an_unknown_cost_is_counted_and_not_taken_for_zero(self):
        run = _record(_call(estimated_cost=0.1), _call(estimated_cost=None, cost_source="unknown", input_tokens=None))
        assert (run.total_cost, run.unknown_cost_calls, run.call_count) == (0.1, 1, 2)

    def test_a_call_that_failed_before_it_used_anything_has_no_unknown_cost(self):
        run = _record(_call(estimated_cost=None, cost_source="none", success=False))
        assert (run.unknown_cost_calls, run.failed_calls) == (0, 1)

    def test_a_cancelled_call_is_no_failed_one(self):
        assert _record(_call(success=False, cancelled=True)).failed_calls == 0

    def test_the_actual_cost_counts_where_it_is_known(self):
        assert _record(_call(estimated_cost=0.1, actual_cost=0.4)).total_cost == 0.4

    @pytest.mark.parametrize("cost", [math.nan, math.inf])
    def test_a_cost_that_is_no_number_does_not_spoil_the_sum(self, cost):
        assert _record(_call(estimated_cost=0.1), _call(estimated_cost=cost)).total_cost == 0.1

    def test_an_unknown_tier_is_not_listed(self):
        assert _record(_call(tier="unknown")).tiers_used == []


class TestSavings:
    def test_savings_are_the_difference_to_the_premium_model_in_percent_of_it(self):
        run = _record(_call(estimated_cost=0.25, baseline_cost=1.0))
        assert (run.baseline_cost, run.savings, run.savings_percent) == (1.0, 0.75, 75.0)

    def test_without_a_known_premium_model_nothing_is_claimed_to_be_saved(self):
        run = _record(_call(estimated_cost=0.25, baseline_cost=None))
        assert (run.baseline_cost, run.savings, run.savings_percent) == (0.25, 0.0, 0.0)

    def test_a_call_of_unknown_cost_saves_nothing(self):
        run = _record(_call(estimated_cost=None, baseline_cost=1.0, cost_source="unknown"))
        assert (run.baseline_cost, run.savings, run.savings_percent) == (0.0, 0.0, 0.0)

    def test_a_run_that_cost_nothing_against_nothing_saved_zero_percent(self):
        assert _record(_call(estimated_cost=0.0, baseline_cost=0.0)).savings_percent == 0.0

    def test_what_cost_nothing_saved_all_of_its_baseline(self):
        assert _record(_call(estimated_cost=0.0, baseline_cost=2.0)).savings_percent == 100.0

    @given(st.lists(st.tuples(st.floats(0, 100), st.floats(1, 2)), min_size=1, max_size=8))
    def test_calls_below_their_baseline_save_between_0_and_100_percent(self, calls):
        run = _record(*(_call(estimated_cost=cost, baseline_cost=cost * factor) for cost, factor in calls))
        assert run.savings == pytest.approx(run.baseline_cost - run.total_cost)
        assert -1e-9 <= run.savings_percent <= 100 + 1e-9


class TestRoot:
    def test_times_and_duration_are_those_of_the_runs_span(self):
        run = _record(root=_span(seconds=1.5))
        assert (run.started_at, run.completed_at) == (
            "2026-01-11T03:47:00.000000Z",
            "2026-01-11T03:47:01.500000Z",
        )
        assert run.total_duration_ms == 1500

    def test_who_what_and_where_are_those_of_the_runs_span_and_the_process(self):
        attributes = {
            sc.USER_ID: "u",
            sc.CONVERSATION_ID: "s",
            sc.PROJECT: "p",
            sc.RUN_TRIGGER: "cli",
            sc.CODE_LINE: 7,
        }
        run = _record(root=_span(attributes=attributes, dialect="attune", scope="x", trace_id="a" * 32))
        assert (run.user_id, run.session_id, run.project, run.trigger, run.source_line) == (
            "u",
            "s",
            "p",
            "cli",
            7,
        )
        assert (run.dialect, run.scope, run.trace_id, run.span_id) == ("attune", "x", "a" * 32, "b" * 16)
        assert (run.service, run.host, run.pid, run.under_pytest) == ("shop", "h1", 42, True)

    @pytest.mark.parametrize(
        ("attributes", "failed", "message", "success", "error", "error_type", "cancelled"),
        [
            ({}, False, None, True, None, None, False),
            ({sc.ERROR_TYPE: "E"}, True, "boom", False, "boom", "E", False),
            ({sc.ERROR_TYPE: "E"}, True, None, False, "E", "E", False),
            ({sc.CANCELLED: True}, False, None, False, None, None, True),
        ],
    )
    def test_the_outcome_is_that_of_the_runs_span(
        self, attributes, failed, message, success, error, error_type, cancelled
    ):
        run = _record(root=_span(attributes=attributes, failed=failed, status_message=message))
        assert (run.success, run.error, run.error_type, run.cancelled) == (
            success,
            error,
            error_type,
            cancelled,
        )

    def test_a_failed_call_alone_does_not_fail_the_run(self):
        run = _record(_call(success=False))
        assert (run.success, run.failed_calls) == (True, 1)

    def test_before_its_span_has_ended_a_run_lasts_from_its_start_to_its_last_call(self):
        run = RunInProgress("r", "w")
        run.begun(START, {sc.USER_ID: "u"})
        run.add_call(_call(latency_ms=500), START + 3 * SECOND, None)
        record = run.record(Origin(), complete=False)
        assert (record.started_at, record.completed_at) == ("2026-01-11T03:47:00.000000Z", None)
        assert (record.total_duration_ms, record.user_id, record.complete) == (3000, "u", False)


class TestStages:
    def test_a_stage_has_the_sums_of_its_calls_and_the_time_of_its_span(self):
        run = RunInProgress("r", "w")
        run.add_call(
            _call(input_tokens=7, output_tokens=2, estimated_cost=0.1, baseline_cost=0.4),
            START + SECOND,
            "s1",
        )
        run.stage_ended(_span("stage a", attributes={sc.STAGE_NAME: "a", sc.TIER: "premium"}), "s1")
        [stage] = run.record(Origin(), complete=False).stages
        assert (stage.stage_name, stage.tier, stage.model_id, stage.provider) == (
            "a",
            "premium",
            "m",
            "openai",
        )
        assert (stage.input_tokens, stage.output_tokens, stage.cost, stage.baseline_cost) == (7, 2, 0.1, 0.4)
        assert (stage.latency_ms, stage.call_count, stage.success, stage.stage_id) == (2000, 1, True, "s1")

    def test_a_stage_whose_span_never_ended_is_there_with_its_calls(self):
        run = RunInProgress("r", "w")
        run.add_call(_call(step_name="a"), START, "s1")
        [stage] = run.record(Origin(), complete=False).stages
        assert (stage.stage_name, stage.tier, stage.call_count) == ("a", "cheap", 1)

    @pytest.mark.parametrize(
        ("costs", "cost", "unknown"),
        [((0.1, 0.2), 0.3, 0), ((0.1, None), 0.1, 1), ((None, None), None, 2), ((), 0.0, 0)],
    )
    def test_a_stage_of_which_every_cost_is_unknown_has_no_cost(self, costs, cost, unknown):
        run = RunInProgress("r", "w")
        for value in costs:
            run.add_call(_call(estimated_cost=value, cost_source="table" if value else "unknown"), START, "s1")
        run.stage_ended(_span("stage a"), "s1")
        [stage] = run.record(Origin(), complete=False).stages
        assert stage.cost == (None if cost is None else pytest.approx(cost))
        assert stage.unknown_cost_calls == unknown

    def test_a_skipped_stage_is_skipped_and_no_success(self):
        run = RunInProgress("r", "w")
        attributes = {sc.STAGE_SKIPPED: True, sc.STAGE_SKIP_REASON: "small"}
        run.stage_ended(_span("stage a", attributes=attributes), "s1")
        [stage] = run.record(Origin(), complete=False).stages
        assert (stage.skipped, stage.skip_reason, stage.success, stage.error) == (True, "small", False, None)

    def test_stages_stand_in_the_order_in_which_they_were_first_seen(self):
        run = RunInProgress("r", "w")
        for name in ("b", "a", "c"):
            run.stage_ended(_span(f"stage {name}", attributes={sc.STAGE_NAME: name}), f"id-{name}")
        assert [stage.stage_name for stage in run.record(Origin(), complete=False).stages] == ["b", "a", "c"]

    def test_stages_beyond_the_limit_are_one_and_keep_their_sums(self):
        run = RunInProgress("r", "w")
        for number in range(MAX_STAGES + 10):
            run.stage_ended(_span(f"s{number}", seconds=1), f"id-{number}")
        stages = run.record(Origin(), complete=False).stages
        assert (len(stages), stages[-1].stage_name, stages[-1].latency_ms) == (
            MAX_STAGES + 1,
            "__other__",
            10_000,
        )


class TestNesting:
    def test_calls_of_an_inner_run_count_in_those_around_it_in_the_stage_it_ran_in(self):
        outer = RunInProgress("o", "outer")
        inner = RunInProgress("i", "inner", outer, "s1")
        innermost = RunInProgress("x", "innermost", inner)
        innermost.add_call(_call(input_tokens=5), START, None)
        assert [run.run_id for run in innermost.lineage()] == ["x", "i", "o"]
        records = [run.record(Origin(), complete=False) for run in innermost.lineage()]
        assert [record.total_input_tokens for record in records] == [5, 5, 5]
        assert [record.parent_run_id for record in records] == ["i", "o", None]
        assert [stage.stage_id for stage in records[2].stages] == ["s1"]
