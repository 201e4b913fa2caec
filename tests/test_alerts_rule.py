"""Rules and conditions in Python: what they say, what they refuse, and what they come to."""

from __future__ import annotations

import math

import pytest

from attune_monitoring.alerts import AlertAction, AlertRule, MetricType, Operator, Severity, alert, m
from attune_monitoring.alerts.expression import Comparison, Measure, Number, evaluate, measures
from attune_monitoring.alerts.metrics import METRICS, Quantity
from attune_monitoring.alerts.rule import seconds_of
from attune_monitoring.errors import ConfigError
from attune_monitoring.query import Window

COST, CALLS, ERRORS = m.cost.sum("1h"), m.calls.sum("1h"), m.errors.sum("1h")


def come_to(condition, **known: float | None):
    values = {"cost": COST, "calls": CALLS, "errors": ERRORS}
    return evaluate(condition, {values[name].query: value for name, value in known.items()})


class TestFlatRules:
    @pytest.mark.parametrize(
        ("operator", "below", "at", "above"),
        [
            (Operator.GT, False, False, True),
            (Operator.GTE, False, True, True),
            ("lt", True, False, False),
            ("lte", True, True, False),
            ("eq", False, True, False),
        ],
    )
    def test_compare_as_their_operator_says(self, operator, below, at, above):
        rule = AlertRule(metric="hourly_cost", operator=operator, threshold=10)
        assert [come_to(rule.when, cost=value)[0] for value in (9.0, 10.0, 11.0)] == [below, at, above]

    def test_are_named_by_what_they_say(self):
        assert AlertRule(metric=MetricType.DAILY_COST, threshold=10).name == "daily_cost > 10"
        assert AlertRule("bill", metric="daily_cost", threshold=10).name == "bill"

    def test_end_beyond_their_own_threshold(self):
        rule = AlertRule(metric="hourly_cost", threshold=10, resolve_threshold=8)
        assert [come_to(rule.resolve_when, cost=value)[0] for value in (7.0, 9.0, 11.0)] == [True, False, False]

    @pytest.mark.parametrize("kind", MetricType)
    def test_can_be_made_of_each_metric(self, kind):
        rule = AlertRule(metric=kind, threshold=1)
        assert rule.by == kind.by
        assert rule.min_samples == (10 if kind.is_rate else 0)
        assert rule.when is not None

    def test_take_another_window_and_conditions(self):
        rule = AlertRule(metric="error_rate", threshold=5, window="5m", where={"provider": "openai"}, min_samples=1)
        queries = [measure.query for measure in measures(rule.when)]
        assert {query.window.seconds for query in queries} == {300}
        assert {query.filters[0].values for query in queries} == {("openai",)}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"metric": "daily_cots", "threshold": 1}, "'daily_cots' is not a valid MetricType"),
        ({"metric": "daily_cost"}, "a threshold is missing"),
        ({"metric": "daily_cost", "threshold": math.nan}, "a threshold is missing"),
        ({"metric": "daily_cost", "threshold": True}, "a threshold is missing"),
        ({"metric": "daily_cost", "threshold": 1, "operator": "over"}, "'over' is not a valid Operator"),
        ({"metric": "daily_cost", "threshold": 1, "severity": "bad"}, "'bad' is not a valid Severity"),
        ({"metric": "daily_cost", "threshold": 1, "for_": "5 minutes"}, "no duration: '5 minutes'"),
        ({"metric": "daily_cost", "threshold": 1, "cooldown": -1}, "no duration"),
        ({"metric": "daily_cost", "threshold": 1, "no_data": "cry"}, "no_data is ok, alert or keep"),
        ({"metric": "daily_cost", "threshold": 1, "by": "modl"}, "cannot be had by 'modl'"),
        ({"metric": "daily_cost", "threshold": 1, "window": "soon"}, "no window: 'soon'"),
        ({"name": "x"}, "it needs a condition"),
        ({"name": "x", "when": COST}, "no condition: cost.sum"),
        ({"name": "x", "when": COST > 1, "resolve_when": COST}, "no condition: cost.sum"),
        ({"name": "x", "when": COST > 1, "function": bool}, "it needs a condition"),
        ({"when": COST > 1}, "a rule needs a name"),
    ],
)
def test_what_cannot_be_a_rule_is_told(arguments, says):
    with pytest.raises(ConfigError, match=says):
        AlertRule(**arguments)


def test_a_rule_can_be_changed_and_never_changes():
    rule = AlertRule("x", COST > 1, severity="critical", for_="5m", labels={"team": "a"})
    other = rule.changed(enabled=False, for_="1m")
    assert (rule.enabled, rule.for_, other.enabled, other.for_, other.severity) == (
        True,
        300,
        False,
        60,
        Severity.CRITICAL,
    )
    with pytest.raises(AttributeError):
        rule.enabled = False


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("2h", 7200), ("7d", 604800), (1.5, 1.5), (0, 0)]
)
def test_durations_are_seconds(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "1.5h", "²m", True, None, 1e11, -1])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ConfigError):
        seconds_of(text)


class TestFunctions:
    def test_are_rules_bare_and_with_options(self):
        @alert
        def too_many_errors(window):
            return None

        @alert(name="spike", for_="5m", by="model", severity="critical")
        def spiking(window):
            return None

        assert (too_many_errors.name, too_many_errors.for_) == ("too-many-errors", 0)
        assert (spiking.name, spiking.for_, spiking.by, spiking.severity) == ("spike", 300, ("model",), "critical")


class TestConditions:
    def test_count_with_numbers_on_either_side(self):
        assert come_to((COST + 1) * 2 - 4 > 10, cost=6.5) == (True, 11.0)
        assert come_to((1 + COST) / 2 < 10, cost=7.0) == (True, 4.0)
        assert come_to(20 - 2 * COST >= 0, cost=7.0) == (True, 6.0)
        assert come_to(28 / COST <= 4, cost=7.0) == (True, 4.0)
        assert come_to(-COST < -6, cost=7.0) == (True, -7.0)
        assert come_to(COST.equals(7), cost=7.0) == (True, 7.0)
        assert come_to(~(COST > 7), cost=7.0) == (True, 7.0)

    @pytest.mark.parametrize("cost", [None, 5.0])
    @pytest.mark.parametrize("calls", [None, 5.0, 50.0])
    def test_decide_without_data_only_what_the_other_side_decides(self, cost, calls):
        over, many = COST > 1, CALLS > 10
        known = {"cost": cost, "calls": calls}
        left, right = come_to(over, **known)[0], come_to(many, **known)[0]
        both, either = come_to(over & many, **known)[0], come_to(over | many, **known)[0]
        assert both is (False if False in (left, right) else None if None in (left, right) else True)
        assert either is (True if True in (left, right) else None if None in (left, right) else False)
        assert come_to(~over, **known)[0] is (None if left is None else not left)

    def test_have_no_data_where_they_divide_by_zero_or_overflow(self):
        assert come_to(ERRORS / CALLS > 0.1, errors=1.0, calls=0.0) == (None, None)
        assert come_to(COST * 1e300 > 1, cost=1e300) == (None, None)
        assert come_to(COST > CALLS, cost=1.0, calls=None) == (None, 1.0)

    @pytest.mark.parametrize(
        "make",
        [
            lambda: bool(COST > 1),
            lambda: (COST > 1) and (CALLS > 1),
            lambda: 1 < COST < 5,
            lambda: (COST > 1) + 1,
            lambda: (COST > 1) > 2,
            lambda: COST & (CALLS > 1),
            lambda: (COST > 1) | 5,
            lambda: ~COST,
            lambda: COST + "1",
            lambda: math.inf < COST,
            lambda: COST > True,
            lambda: evaluate(COST, {}),
            lambda: evaluate(Number(1.0), {}),
        ],
    )
    def test_that_make_no_sense_are_refused_with_the_mend(self, make):
        with pytest.raises(ConfigError):
            make()

    def test_can_be_read(self):
        condition = ((ERRORS / CALLS > 0.05) & (CALLS >= 20)) | ~(COST < 1)
        assert str(condition) == (
            "(((errors.sum('1h') / calls.sum('1h')) > 0.05) and (calls.sum('1h') >= 20)) or (not (cost.sum('1h') < 1))"
        )
        assert [measure.text for measure in measures(condition)] == [
            "errors.sum('1h')",
            "calls.sum('1h')",
            "calls.sum('1h')",
            "cost.sum('1h')",
        ]

    def test_that_are_built_by_hand_are_checked_too(self):
        with pytest.raises(ConfigError, match="a number is needed"):
            Comparison(">", COST > 1, Number(1.0))


class TestMetrics:
    @pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.instrument == "histogram"])
    @pytest.mark.parametrize("aggregation", ["sum", "rate", "count", "avg", "min", "max", "p50", "p95", "p99"])
    def test_durations_know_every_aggregation(self, name, aggregation):
        measure = getattr(getattr(m, name), aggregation)("5m")
        assert isinstance(measure, Measure)
        assert (measure.query.metric, measure.query.aggregation) == (METRICS[name].name, aggregation)

    def test_windows_may_be_windows(self):
        assert m.cost.sum(Window(calendar="month", time_zone="Europe/Berlin")).query.window.time_zone == "Europe/Berlin"
        assert m.cost.sum(Window(seconds=90)).text == "cost.sum('90s')"

    def test_long_names_are_understood_and_unknown_ones_are_not(self):
        assert getattr(m, "attune.llm.cost").sum("1h").query.metric == "attune.llm.cost"
        with pytest.raises(AttributeError, match="no metric 'costs'"):
            _ = m.costs
        assert set(dir(m)) == set(METRICS)

    def test_a_counter_has_no_percentiles(self):
        with pytest.raises(ConfigError, match="is a counter"):
            Quantity("cost").p95("1h")


def test_an_action_does_not_show_its_options():
    assert "hook" not in repr(AlertAction("slack", {"url": "https://example.com/hook"}, "chat"))
