"""Forecasts: what a day, week or month will come to, and when it will pass a limit."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from attune_monitoring.alerts import AlertRule
from attune_monitoring.alerts.evaluation import observe
from attune_monitoring.alerts.forecasts import EVEN, profile, project, sentence
from attune_monitoring.alerts.modelled import ModelledSource, forecast
from attune_monitoring.alerts.when import parse
from attune_monitoring.errors import ConfigError
from attune_monitoring.records import LLMCallRecord
from attune_monitoring.sources.replay import ReplaySource

MARCH = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
APRIL = datetime(2026, 4, 1, tzinfo=UTC).timestamp()
DAY = 86400


def day(number: float) -> float:
    """The time at which so many days of March have passed."""
    return MARCH + number * DAY


def test_what_is_left_goes_on_at_the_rate_so_far():
    assert project(100, MARCH, APRIL, day(10)).total == pytest.approx(310)


def test_a_month_without_costs_stays_so():
    assert project(0, MARCH, APRIL, day(10)).total == 0


def test_within_the_first_hour_nothing_is_foreseen():
    assert project(5, MARCH, APRIL, MARCH + 3599) is None
    assert project(5, MARCH, APRIL, MARCH + 3600).total == pytest.approx(5 * 31 * 24)


def test_at_the_end_it_is_what_was_spent():
    assert project(310, MARCH, APRIL, APRIL).total == 310


def test_the_limit_is_passed_when_the_sum_is():
    assert project(100, MARCH, APRIL, day(10)).passes(150) == pytest.approx(day(15))


def test_a_limit_that_is_not_reached_or_has_been_is_not_passed():
    projection = project(100, MARCH, APRIL, day(10))
    assert (projection.passes(310), projection.passes(99)) == (None, None)


def weekdays_only(days: int, until: float) -> dict[int, float]:
    """10 USD at noon of each working day before a time."""
    noons = (int(until) - number * DAY + DAY // 2 for number in range(1, days + 1))
    return {noon: 10.0 for noon in noons if datetime.fromtimestamp(noon, UTC).weekday() < 5}


def test_each_weekday_has_its_own_rate():
    weights = profile(weekdays_only(28, MARCH), MARCH)
    assert weights == pytest.approx((1.4, 1.4, 1.4, 1.4, 1.4, 0, 0))


def test_a_month_that_begins_with_a_weekend_is_not_foreseen_too_low():
    monday = day(1)  # the first of March 2026 is a Sunday, on which nothing was spent
    weights = profile(weekdays_only(56, MARCH), monday)
    assert project(5, MARCH, APRIL, monday + DAY / 2, weights).total == pytest.approx(22 * 10)


def test_below_two_weeks_of_history_every_day_counts_the_same():
    assert profile(weekdays_only(13, MARCH), MARCH) == EVEN


def test_hours_of_today_do_not_shape_a_day():
    values = weekdays_only(28, MARCH)
    assert profile({**values, int(MARCH) + 3600: 1e6}, MARCH + DAY / 2) == profile(values, MARCH)


@pytest.mark.parametrize(
    ("spent", "at", "limit", "period", "says"),
    [
        (100, 10, 150, "month", "this month will pass 150 USD on the 16th"),
        (500 / 22.5 * 10, 10, 500, "month", "this month will pass 500 USD on the 23rd"),
        (100, 10, 1.5, "month", "this month has passed 1.50 USD"),
        (100, 10, 1234.5, "month", "this month will stay below 1,234.50 USD"),
        (100, 10, 102, "month", "this month will pass 102 USD on the 11th"),
        (300, 30.5, 301, "month", "this month will pass 301 USD on the 31st"),
    ],
)
def test_it_is_said_in_words(spent, at, limit, period, says):
    assert sentence(project(spent, MARCH, APRIL, day(at)), limit, period, zone=UTC) == says


def test_days_and_weeks_are_said_in_their_own_words():
    today = project(10, MARCH, day(1), day(0.5))
    assert sentence(today, 15, "day", zone=UTC) == "today will pass 15 USD at 18:00"
    week = project(10, day(1), day(8), day(2))
    assert sentence(week, 15, "week", zone=UTC) == "this week will pass 15 USD on Tuesday"


# --- in a rule
def source(each: float, *, days: int = 40) -> ModelledSource:
    begin = datetime(2026, 3, 11, tzinfo=UTC) - timedelta(days=days)
    records = [
        LLMCallRecord(
            call_id=str(number),
            timestamp=(begin + timedelta(hours=number, minutes=1)).isoformat(),
            estimated_cost=each,
            workflow_name="review",
        )
        for number in range(days * 24)
    ]
    return ModelledSource(ReplaySource(records))


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch):

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


NOW = datetime(2026, 3, 11, tzinfo=UTC)


@pytest.mark.parametrize(("limit", "holds"), [(700, True), (800, False)])
def test_a_rule_compares_what_the_month_will_come_to(limit, holds):
    rule = AlertRule("budget", forecast("cost", "month") > limit)
    [seen] = observe([rule], source(1.0), NOW.timestamp())
    assert [(each.holds, round(each.value, 6)) for each in seen.observations] == [(holds, 744)]


def test_it_can_be_asked_by_workflow():
    rule = AlertRule("budget", forecast("cost", "week") > 100, by="workflow_name")
    [seen] = observe([rule], source(1.0), NOW.timestamp())
    assert [(dict(each.labels), round(each.value, 6)) for each in seen.observations] == [
        ({"workflow_name": "review"}, 168)
    ]


def test_it_says_when_the_limit_will_be_passed():
    told = source(1.0).tell(parse('forecast(cost, "month") > 500'), {}, NOW.timestamp())
    assert told == "this month will pass 500 USD on the 21st"


def test_a_condition_without_a_forecast_says_nothing():
    assert source(1.0).tell(parse('cost.sum("24h") > 5'), {}, NOW.timestamp()) == ""


def test_in_python_and_in_a_file_it_is_the_same():
    assert parse('forecast(cost, "month") > 500') == (forecast("cost", "month") > 500)


@pytest.mark.parametrize(
    ("arguments", "says"), [(("cost", "24h"), "no period"), (("duration",), "only counters"), (("costs",), "no metric")]
)
def test_what_cannot_be_foreseen_is_refused(arguments, says):
    with pytest.raises(ConfigError, match=says):
        forecast(*arguments)
