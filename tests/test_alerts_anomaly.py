"""Anomalies: what is unusual for its hour of the week, and rules that ask for it."""

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from attune_monitoring import semconv as sc
from attune_monitoring.alerts import AlertRule
from attune_monitoring.alerts.anomalies import SEASON, THRESHOLD, WEEKS, expect, score
from attune_monitoring.alerts.evaluation import observe
from attune_monitoring.alerts.modelled import ModelledSource, anomaly
from attune_monitoring.errors import ConfigError, SourceError
from attune_monitoring.query import Answer, Query, Window
from attune_monitoring.records import LLMCallRecord
from attune_monitoring.sources.local import LocalSource
from attune_monitoring.sources.replay import ReplaySource

METHODS = ("holt-winters", "median")


def week(hour: int) -> float:
    """Cost of an hour: working days from 8 to 18, a little at night, half of it on weekends."""
    day = 10.0 if 8 <= hour % 24 < 18 else 1.0
    return day * (0.5 if hour % SEASON >= 120 else 1.0)


def history(weeks: float, noise: float = 0.1, seed: int = 1) -> list[float]:
    rnd = random.Random(seed)
    return [week(hour) * math.exp(rnd.gauss(0, noise)) for hour in range(round(weeks * SEASON))]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("hour", [10, 22, 130])
def test_an_hour_as_it_usually_is_is_not_unusual(method, hour):
    past = history(5 + hour / SEASON)
    assert abs(score(past, week(hour), method)) < 2


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("hour", [10, 22, 130])
def test_four_times_the_usual_is_unusual_at_every_hour(method, hour):
    past = history(5 + hour / SEASON)
    assert score(past, 4 * week(hour), method) > THRESHOLD


@pytest.mark.parametrize("method", METHODS)
def test_what_a_working_hour_costs_is_unusual_at_night(method):
    past = history(5 + 22 / SEASON)
    assert score(past, week(10), method) > THRESHOLD


@pytest.mark.parametrize("method", METHODS)
def test_what_is_expected_is_the_usual_sum_of_that_hour(method):
    assert expect(history(5 + 10 / SEASON), method).value == pytest.approx(10, rel=0.15)


@pytest.mark.parametrize("method", METHODS)
def test_a_spike_a_week_ago_does_not_hide_the_next_one(method):
    past = history(5 + 10 / SEASON)
    past[-SEASON] *= 20
    assert score(past, 4 * week(10), method) > THRESHOLD


def test_a_lower_level_becomes_usual():
    past = [value * (1 if place < 4 * SEASON else 3) for place, value in enumerate(history(6 + 10 / SEASON))]
    assert abs(score(past, 30, "holt-winters")) < THRESHOLD


def test_below_two_weeks_nothing_is_known():
    assert score(history(2)[:-1], 1000) is None
    assert score(history(2), 1000) is not None


def test_from_four_weeks_on_it_is_holt_winters():
    assert expect(history(4)[:-1]).method == "median"
    assert expect(history(4)).method == "holt-winters"


def test_of_nothing_nothing_is_expected():
    assert expect([0.0] * 4 * SEASON) is None


def test_what_runs_now_and_then_is_compared_with_its_own_runs():
    past = [2.0 if hour % 37 == 0 else 0.0 for hour in range(5 * SEASON)]
    assert expect(past).method == "sparse"
    assert score(past, 2.5) < THRESHOLD < score(past, 20.0)


def test_older_history_than_eight_weeks_is_not_looked_at():
    recent = history(WEEKS)
    assert expect([1000.0] * SEASON + recent) == expect(recent)


# --- in a rule
NOW = datetime(2026, 3, 10, 10, 30, tzinfo=UTC)  # a Tuesday
HOUR = int(NOW.timestamp()) // 3600 * 3600


def calls(last: float = 10.0, this: float = 3.0, workflow: str = "review", weeks: int = 5) -> list[LLMCallRecord]:
    """One call an hour, of Mondays that begin with the week of `week`; then the last whole hour's and this one's."""
    costs = {
        hour: week((hour - 4 * 86400) // 3600 % SEASON) for hour in range(HOUR - weeks * SEASON * 3600, HOUR, 3600)
    }
    costs |= {HOUR - 3600: last, HOUR: this}
    return [
        LLMCallRecord(
            call_id=f"{workflow}{hour}",
            timestamp=datetime.fromtimestamp(hour + 60, UTC).isoformat(),
            workflow_name=workflow,
            estimated_cost=cost,
        )
        for hour, cost in costs.items()
    ]


def holds(records: list[LLMCallRecord], rule: AlertRule | None = None) -> dict[str, bool | None]:
    rule = rule or AlertRule("odd", anomaly("cost", by="workflow_name"))
    [seen] = observe([rule], ModelledSource(ReplaySource(records)), NOW.timestamp())
    assert not seen.error
    return {each.labels["workflow_name"]: each.holds for each in seen.observations}


def test_a_rule_is_evaluated_by_the_dimensions_of_its_anomaly():
    assert holds(calls() + calls(workflow="triage", last=80.0)) == {"review": False, "triage": True}


def test_an_hour_that_is_not_over_is_unusual_as_soon_as_it_has_cost_too_much():
    assert holds(calls(this=80.0)) == {"review": True}


def test_an_hour_that_has_only_begun_is_not_unusual():
    assert holds(calls(this=0.01)) == {"review": False}


def test_a_workflow_that_is_new_has_no_data():
    assert holds(calls(weeks=1)) == {"review": None}


def test_it_takes_part_in_logic():
    rule = AlertRule("odd", anomaly("cost") & anomaly("calls"), by="workflow_name")
    assert holds(calls(last=80.0), rule) == {"review": False}


def test_it_says_in_words_what_was_expected():
    condition = anomaly("cost", by="workflow_name")
    told = ModelledSource(ReplaySource(calls(last=80.0))).tell(condition, {"workflow_name": "review"}, NOW.timestamp())
    assert told == "cost of an hour is 80 USD where 10 was expected"


def test_it_reads_as_it_is_written():
    assert str(anomaly("cost", by="workflow_name", tier="cheap")) == (
        "anomaly(cost, by='workflow_name', tier='cheap') > 5"
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"metric": "duration"}, "only counters"),
        ({"metric": "costs"}, "no metric 'costs'"),
        ({"metric": "cost", "by": "user_id"}, "no dimension 'user_id'"),
    ],
)
def test_what_cannot_be_asked_is_refused(arguments, says):
    with pytest.raises(ConfigError, match=says):
        anomaly(**arguments)


class Plain:
    """A source without history."""

    name = "plain"

    def changed(self) -> bool:
        return False

    def answer(self, queries: list[Query], now: datetime) -> list[list[Answer]]:
        for query in queries:
            query.check()
        return [[] for _ in queries]


def test_a_source_without_history_says_so():
    query = anomaly("cost").left.query
    with pytest.raises(SourceError, match="no sums by the hour; ask the local folder"):
        ModelledSource(Plain()).answer([query], NOW)


def test_a_source_on_its_own_refuses_it(tmp_path: Path):
    with pytest.raises(SourceError, match="no sums by the hour"):
        LocalSource(tmp_path).answer([anomaly("cost").left.query], NOW)


def test_other_questions_are_answered_as_before():
    source = ReplaySource(calls())
    query = Query(sc.LLM_COST.name, Window.of("24h"))
    odd = anomaly("cost").left.query
    assert ModelledSource(source).answer([query, odd, query], NOW)[::2] == source.answer([query, query], NOW)


def test_the_history_is_read_once_an_hour():
    asked: list[float] = []

    class Counting(ReplaySource):
        def hourly(self, query: Query, start: float, end: float) -> dict[tuple[str, ...], dict[int, float]]:
            asked.append(end - start)
            return super().hourly(query, start, end)

    source = ModelledSource(Counting(calls()))
    for minute in range(3):
        source.answer([anomaly("cost").left.query], datetime.fromtimestamp(HOUR + minute * 60, UTC))
    assert sum(length > 2 * 3600 for length in asked) == 1


# --- the local folder
def folder(path: Path, records: list[LLMCallRecord]) -> Path:
    (path / "llm_calls.jsonl").write_text("".join(json.dumps(each.to_dict()) + "\n" for each in records))
    return path


@pytest.mark.parametrize("metric", ["cost", "calls", "errors", "tokens", "retries"])
@pytest.mark.parametrize("by", [(), (sc.WORKFLOW_NAME,)])
def test_the_folder_and_its_records_have_the_same_sums_by_the_hour(tmp_path: Path, metric: str, by):
    rnd = random.Random(4)
    base = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    records = [
        LLMCallRecord(
            call_id=str(n),
            timestamp=datetime.fromtimestamp(base + rnd.random() * 5 * 86400, UTC).isoformat(),
            workflow_name=rnd.choice("ab"),
            estimated_cost=rnd.choice((None, 0.5, 2.0)),
            cost_source="list",
            input_tokens=rnd.randrange(100),
            output_tokens=rnd.randrange(100),
            retry_count=rnd.randrange(2),
            success=rnd.random() > 0.3,
        )
        for n in range(300)
    ]
    query = anomaly(metric).left.query.plain()
    query = Query(query.metric, query.window, "sum", query.filters, by)
    local = LocalSource(folder(tmp_path, records))
    try:
        end = base + 4 * 86400 + 1800
        found = local.hourly(query, base + 3600, end)
        expected = ReplaySource(records).hourly(query, base + 3600, end)
    finally:
        local.close()
    assert found.keys() == expected.keys()
    for labels, hours in expected.items():
        assert {hour: value for hour, value in found[labels].items() if value} == pytest.approx(
            {hour: value for hour, value in hours.items() if value}
        )


def test_durations_have_no_sums_by_the_hour(tmp_path: Path):
    query = Query(sc.LLM_DURATION.name, Window.of("1h"))
    for source in (LocalSource(tmp_path), ReplaySource()):
        with pytest.raises(SourceError, match="no sums by the hour"):
            source.hourly(query, 0, 3600)
