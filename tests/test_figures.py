"""What a call adds to figures, how near percentiles come, and which old records are a pair."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune_monitoring.figures import (
    CALL_SUMS,
    TWIN_WINDOW,
    Figures,
    Latency,
    Twins,
    count_call,
    is_counted,
    is_of_earlier_writer,
    once,
    user_of,
)
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord
from record_strategies import CALLS

NEAR = 2 ** (1 / 20) - 1
"""What docs/figures.md promises: half a bucket."""
HOURS_10 = 36_000_000
DURATIONS = st.lists(st.integers(0, HOURS_10) | st.floats(0, HOURS_10), min_size=1, max_size=60)
WHEN = "2026-01-11T03:47:00"


def latency_of(values: list[float]) -> Latency:
    latency = Latency()
    for value in values:
        latency.add(value)
    return latency


def nearest_rank(values: list[float], percent: float) -> float:
    """The smallest value that at least so many percent do not exceed, found by looking."""
    return min(value for value in values if sum(other <= value for other in values) * 100 >= percent * len(values))


def shown(latency: Latency) -> tuple[Any, ...]:
    return latency.count, pytest.approx(latency.total), latency.minimum, latency.maximum, latency.histogram


def call(ms: int = 0, **fields: Any) -> LLMCallRecord:
    return LLMCallRecord(**{"call_id": "c", "timestamp": f"{WHEN}.{ms:03d}Z", "estimated_cost": 0.25, **fields})


@pytest.mark.slow
class TestLatency:
    @given(values=DURATIONS, percent=st.sampled_from((1, 25, 50, 75, 90, 95, 99, 99.9, 100)))
    def test_percentiles_are_half_a_bucket_from_the_nearest_rank(self, values, percent):
        found = latency_of(values).percentile(percent)
        assert found is not None
        # all that is below 1 ms is in one bucket
        assert max(found, 1) == pytest.approx(max(nearest_rank(values, percent), 1), rel=NEAR + 1e-9)

    @given(values=DURATIONS, percent=st.floats(0.001, 100))
    def test_percentiles_lie_between_the_extremes(self, values, percent):
        found = latency_of(values).percentile(percent)
        assert found is not None
        assert min(values) <= found <= max(values)

    @given(values=DURATIONS)
    def test_a_higher_percentile_is_not_less(self, values):
        latency = latency_of(values)
        found = [latency.percentile(percent) for percent in (1, 10, 50, 90, 95, 99, 100)]
        assert found == sorted(found, key=lambda value: value or 0.0)

    @given(values=DURATIONS)
    def test_average_and_extremes_are_exact(self, values):
        latency = latency_of(values)
        assert latency.average == pytest.approx(math.fsum(values) / len(values), rel=1e-9, abs=1e-9)
        assert (latency.minimum, latency.maximum) == (min(values), max(values))

    @given(values=DURATIONS, cut=st.integers(0, 60))
    def test_parts_together_are_the_whole(self, values, cut):
        whole = latency_of(values[:cut])
        whole.merge(latency_of(values[cut:]))
        assert shown(whole) == shown(latency_of(values))
        assert shown(latency_of(values[:cut]).plus(latency_of(values[cut:]))) == shown(whole)

    def test_adding_both_changes_neither(self):
        one, other = latency_of([1.0, 2.0]), latency_of([3.0])
        before = shown(one), shown(other)
        one.plus(other)
        assert (shown(one), shown(other)) == before

    @pytest.mark.parametrize("value", [2.0**exponent for exponent in range(25)])
    def test_a_power_of_two_is_the_end_of_its_bucket(self, value):
        assert latency_of([value]).histogram == latency_of([value / 2 ** (1 / 20)]).histogram

    @pytest.mark.parametrize("value", [0, 0.5, 1, -5, 10**9, 1e300])
    def test_one_value_is_its_own_percentiles_whatever_its_size(self, value):
        assert {latency_of([value]).percentile(percent) for percent in (1, 50, 99)} == {value}

    def test_values_beyond_the_last_bucket_stay_within_the_extremes(self):
        assert HOURS_10 * 0.96 <= latency_of([1, 10**9, 10**10]).percentile(50) <= 10**10

    def test_many_values_of_one_size_do_not_touch_the_next_bucket(self):
        latency = Latency(100_000, 0.0, 100, 200, 99_999 * latency_of([100]).histogram + latency_of([200]).histogram)
        assert latency.percentile(99) == pytest.approx(100, rel=NEAR)

    def test_nothing_has_neither_average_nor_percentiles(self):
        assert (Latency().average, Latency().percentile(95)) == (None, None)


class TestCall:
    def test_adds_to_the_sums_that_are_named(self):
        record = call(
            actual_cost=1.0, baseline_cost=3.0, input_tokens=10, output_tokens=5, cache_read_tokens=4,
            cache_write_tokens=3, reasoning_tokens=2, retry_count=2, fallback_used=True, finish_reasons=["length"],
            attempts=[{"outcome": "retry", "cost": 0.5}, {"outcome": "fallback", "cost": 0.25}, {"outcome": "error"}],
        )  # fmt: skip
        assert dict(zip(CALL_SUMS, count_call(record), strict=True)) == {
            "calls": 1, "cost": 1.0, "unknown": 0, "baseline": 3.0, "savings": 2.0, "input": 10, "output": 5,
            "cache_read": 4, "cache_write": 3, "reasoning": 2, "retries": 2, "fallbacks": 1, "truncated": 1,
            "retry_waste": 0.5, "fallback_waste": 0.25,
        }  # fmt: skip

    @pytest.mark.parametrize("cost", [None, math.nan, math.inf, "0.5", True, [1]])
    def test_wastes_nothing_where_an_attempts_cost_is_no_number(self, cost):
        waste = dict(zip(CALL_SUMS, count_call(call(attempts=[{"outcome": "retry", "cost": cost}])), strict=True))
        assert waste["retry_waste"] == 0.0

    @pytest.mark.parametrize(("source", "unknown"), [("unknown", 1), (None, 1), ("none", 0)])
    def test_of_no_cost_is_unknown_unless_nothing_was_used(self, source, unknown):
        figures = Figures()
        figures.add(call(estimated_cost=None, cost_source=source, baseline_cost=1.0))
        assert (figures.cost, figures.unknown, figures.baseline, figures.savings) == (0, unknown, 0, 0)

    def test_made_under_pytest_counts_where_asked_for(self):
        for record in (call(under_pytest=True), WorkflowRunRecord("r", "w", WHEN, under_pytest=True)):
            assert not is_counted(record)
            assert is_counted(record, include_tests=True)


class TestFigures:
    @pytest.mark.slow
    @given(calls=st.lists(CALLS, max_size=8), cut=st.integers(0, 8))
    def test_of_parts_together_are_those_of_the_whole(self, calls, cut):
        parts, whole = [Figures(), Figures()], Figures()
        for place, record in enumerate(calls):
            parts[place >= cut].add(record)
            whole.add(record)
        parts[0].merge(parts[1])
        for name in CALL_SUMS:
            assert getattr(parts[0], name) == pytest.approx(getattr(whole, name), rel=1e-9, abs=1e-3)
        assert (parts[0].outcomes, parts[0].errors) == (whole.outcomes, whole.errors)
        assert parts[0].latency.histogram == whole.latency.histogram

    def test_have_rates_without_the_cancelled(self):
        figures = Figures()
        for record in (call(), call(success=False), call(success=False, cancelled=True), call()):
            figures.add(record)
        assert figures.success_rate == pytest.approx(200 / 3)
        assert figures.error_rate == 25.0
        assert figures.errors == {"_OTHER": 1}

    def test_of_nothing_have_no_rates(self):
        figures = Figures()
        assert [figures.success_rate, figures.error_rate, figures.savings_percent, figures.average_cost] == [None] * 4

    def test_average_cost_is_that_of_known_costs(self):
        figures = Figures()
        for record in (call(), call(estimated_cost=None), call(estimated_cost=0.75)):
            figures.add(record)
        assert figures.average_cost == 0.5

    def test_keep_errors_out_of_latency(self):
        figures = Figures()
        for record in (
            call(latency_ms=100),
            call(latency_ms=9000, success=False),
            call(latency_ms=8000, cancelled=True),
        ):
            figures.add(record)
        assert (figures.latency.count, figures.latency.maximum, figures.unanswered.count) == (1, 100, 2)


def old(ms: int, *, workflow: bool, **fields: Any) -> LLMCallRecord:
    """Either of the two records that earlier writers made of one call."""
    marks = {"user_id": "workflow"} if workflow else {"metadata": {"run_id": None}}
    return call(ms, **{**marks, **fields})


class TestOldDuplicatePairs:
    def test_count_once_and_it_is_the_first_in_the_file_that_stays(self):
        first, second = old(1, workflow=True, call_id="a"), old(0, workflow=False, call_id="b")
        assert list(once([first, second])) == [first]

    @pytest.mark.parametrize("apart", [0, 1, 50, 99, 100])
    @pytest.mark.parametrize("start", [0, 50, 100, 300, 899])
    def test_are_at_most_100_ms_apart(self, start, apart):
        records = [old(start, workflow=True), old(start + apart, workflow=False)]
        assert len(list(once(records))) == 1

    @pytest.mark.parametrize("start", [0, 50, 100, 300, 898])
    def test_are_no_pair_a_millisecond_beyond(self, start):
        assert len(list(once([old(start, workflow=True), old(start + 101, workflow=False)]))) == 2

    @pytest.mark.parametrize(
        "different",
        [
            {"workflow_name": "x"}, {"step_name": "x"}, {"task_type": "x"}, {"provider": "x"}, {"tier": "x"},
            {"model_id": "x"}, {"input_tokens": 1}, {"output_tokens": None}, {"estimated_cost": 0.5},
            {"success": False}, {"pid": 7}, {"dialect": "attune"}, {"user_id": "ann"},
        ],
    )  # fmt: skip
    def test_are_equal_in_all_that_matters(self, different):
        assert len(list(once([old(0, workflow=True), old(1, workflow=False, **different)]))) == 2

    @pytest.mark.parametrize("alike", [{"call_id": "x"}, {"latency_ms": 9}, {"session_id": "s"}, {"error_type": "x"}])
    def test_may_differ_in_the_rest(self, alike):
        assert len(list(once([old(0, workflow=True), old(1, workflow=False, **alike)]))) == 1

    def test_take_the_earliest_partner_that_is_free(self):
        kinds = (True, True, False, False, False)
        records = [old(ms, workflow=kind, call_id=str(ms)) for ms, kind in enumerate(kinds)]
        assert [record.call_id for record in once(records)] == ["0", "1", "4"]

    def test_are_not_looked_for_beyond_the_window(self):
        others = [old(0, workflow=True, model_id=str(number)) for number in range(TWIN_WINDOW)]
        near = [old(0, workflow=True), *others[:-1], old(0, workflow=False)]
        far = [old(0, workflow=True), *others, old(0, workflow=False)]
        assert (len(near) - len(list(once(near))), len(far) - len(list(once(far)))) == (1, 0)

    @given(seed=st.integers(0, 10**6), cut=st.integers(0, 40))
    def test_are_the_same_when_reading_stops_and_goes_on(self, seed, cut):
        rnd = random.Random(seed)
        records = [
            old(rnd.randrange(300), workflow=rnd.random() < 0.5, call_id=str(number), model_id=rnd.choice("ab"))
            for number in range(40)
        ]
        before = Twins()
        found = list(once(records[:cut], before))
        after = Twins(json.loads(json.dumps(before.state())))
        assert found + list(once(records[cut:], after)) == list(once(records))

    def test_are_of_earlier_writers_only(self):
        assert is_of_earlier_writer(call())
        assert not is_of_earlier_writer(call(pid=7))
        assert not is_of_earlier_writer(call(dialect="openai"))

    def test_have_a_placeholder_for_a_user_that_a_record_of_today_may_bear(self):
        assert user_of(call(user_id="workflow")) is None
        assert user_of(call(user_id="workflow", pid=7)) == "workflow"
        assert user_of(call(user_id="ann")) == "ann"
