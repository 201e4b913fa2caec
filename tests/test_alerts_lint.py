"""What is wrong with rules that can be read is said before it costs a night."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from attune_monitoring import semconv as sc
from attune_monitoring.alerts import AlertAction, AlertRule, MetricType, alert, m
from attune_monitoring.alerts.lint import Finding, lint
from attune_monitoring.alerts.modelled import ModelledSource
from attune_monitoring.alerts.ranges import can_hold, range_of
from attune_monitoring.alerts.when import parse
from attune_monitoring.errors import SourceError
from attune_monitoring.query import Answer, Query

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STDOUT = (AlertAction("stdout"),)


def rule(when: str = "daily_cost > 10", **options: Any) -> AlertRule:
    options.setdefault("actions", STDOUT)
    ends = options.pop("resolve_when", None)
    return AlertRule("a", parse(when), resolve_when=parse(ends) if ends else None, **options)


def said(*rules: AlertRule, **options: Any) -> list[str]:
    return [f"{finding.severity}: {finding.message}" for finding in lint(rules, **options)]


GOOD: dict[str, AlertRule] = {
    "a sum": rule(),
    "a rate": AlertRule(metric="error_rate", threshold=5, actions=STDOUT),
    "a ratio with a minimum in the condition": rule(
        'errors.sum("5m") / calls.sum("5m") > 0.05 and calls.sum("5m") >= 20'
    ),
    "a ratio with a minimum of samples": rule('errors.sum("5m") / calls.sum("5m") > 0.05', min_samples=20),
    "a ratio of money": rule('cost.sum("1h") / calls.sum("1h") > 0.5 and calls.sum("1h") > 10'),
    "hysteresis": AlertRule(metric="error_rate", threshold=10, resolve_threshold=5, actions=STDOUT),
    "another measure for the end": rule(resolve_when='calls.sum("1h") == 0'),
    "latency in milliseconds": rule("latency_p95 > 3000"),
    "a duration in seconds": rule('duration.p95("5m") > 2'),
    "everything that failed": rule("error_rate >= 100", min_samples=10),
    "longer than the tick": rule(for_="1m", cooldown="1m"),
    "today": rule("cost_today > 10"),
    "a function": alert(lambda _: True, name="a", actions=STDOUT),
    "an anomaly": rule("anomaly(cost)"),
    "a quiet hour": rule("anomaly(cost) < -5"),
    "a forecast": rule('forecast(cost, "month") > 500'),
    "two sums": rule('cost.sum("1h") > cost.sum("24h") / 4'),
    "many variables": rule(" or ".join(f'cost.sum("{n}m") > {n}' for n in range(1, 9))),
}


@pytest.mark.parametrize("name", GOOD)
def test_nothing_is_said_of_a_good_rule(name: str) -> None:
    assert said(GOOD[name]) == []


BAD: dict[str, tuple[AlertRule, str]] = {
    "a rate above 100 %": (
        AlertRule(metric="error_rate", threshold=100, actions=STDOUT),
        "error: it never fires: (100 * errors.sum('1h') / calls.sum('1h')) > 100 cannot hold",
    ),
    "a share above 1": (
        rule('errors.sum("5m") / calls.sum("5m") > 5', min_samples=20),
        "error: it never fires: (errors.sum('5m') / calls.sum('5m')) > 5 cannot hold",
    ),
    "a negative sum": (rule("daily_cost < 0"), "error: it never fires: cost.sum('24h') < 0 cannot hold"),
    "the number first": (rule("0 > daily_cost"), "error: it never fires: 0 > cost.sum('24h') cannot hold"),
    "both at once": (
        rule("daily_cost > 10 and daily_cost < 5"),
        "error: it never fires: (cost.sum('24h') > 10) and (cost.sum('24h') < 5) cannot hold",
    ),
    "a negative forecast": (
        rule('forecast(cost, "month") < 0'),
        "error: it never fires: forecast(cost, 'month') < 0 cannot hold",
    ),
    "numbers alone": (rule("1 > 2"), "error: it never fires: 1 > 2 cannot hold"),
    "always": (
        rule("daily_cost >= 0"),
        "error: it always fires when there is data: cost.sum('24h') >= 0 holds whatever is measured",
    ),
    "always, in two halves": (
        rule("daily_cost > 5 or not daily_cost > 6"),
        "error: it always fires when there is data: (cost.sum('24h') > 5) or (not (cost.sum('24h') > 6)) holds "
        "whatever is measured",
    ),
    "it never ends": (
        rule(resolve_when="daily_cost < 0"),
        "error: it never ends: cost.sum('24h') < 0 cannot hold",
    ),
    "it never ends, by a threshold": (
        AlertRule("a", metric="daily_cost", threshold=10, resolve_threshold=-1, actions=STDOUT),
        "error: it never ends: not (cost.sum('24h') > -1) cannot hold",
    ),
    "thresholds the wrong way round": (
        AlertRule("a", metric="daily_cost", threshold=10, resolve_threshold=20, actions=STDOUT),
        "warning: it can end while it fires: not (cost.sum('24h') > 20) can hold where cost.sum('24h') > 10 does; set "
        "them apart",
    ),
    "a ratio of one call": (
        rule('errors.sum("5m") / calls.sum("5m") > 0.05'),
        "warning: (errors.sum('5m') / calls.sum('5m')) may be of a single call; write min_samples: 20, or "
        "`and calls.sum('5m') >= 20`",
    ),
    "a minimum of another metric": (
        rule('errors.sum("5m") / calls.sum("5m") > 0.05 and runs.sum("5m") > 20'),
        "warning: (errors.sum('5m') / calls.sum('5m')) may be of a single call; write min_samples: 20, or "
        "`and calls.sum('5m') >= 20`",
    ),
    "a short for": (
        rule(for_=30),
        "warning: `for` is shorter than the 60 s between two evaluations, so it waits for nothing",
    ),
    "a short cooldown": (
        rule(cooldown=30),
        "warning: `cooldown` is shorter than the 60 s between two evaluations: it is told again at each of them",
    ),
    "a short window": (
        rule('cost.sum("30s") > 1'),
        "warning: cost.sum('30s') misses calls: its window is shorter than the 60 s between two evaluations",
    ),
    "no action": (rule(actions=()), "warning: it has no action and tells nobody; name a channel"),
    "data that is kept": (
        rule(no_data="keep", by="model"),
        "warning: with no_data: keep an alert whose model is gone never ends; write no_data: ok",
    ),
    "a share for percent": (
        AlertRule(metric="error_rate", threshold=0.05, actions=STDOUT),
        "warning: (100 * errors.sum('1h') / calls.sum('1h')) > 0.05: rates are percent, and 0.05 % is little; write 5?",
    ),
    "seconds for milliseconds": (
        rule("latency_p95 > 3"),
        "warning: 1000 * duration.p95('1h', outcome='ok') > 3: a latency is milliseconds; for seconds write 3000?",
    ),
    "milliseconds for seconds": (
        rule('duration.p95("5m") > 3600'),
        "warning: duration.p95('5m') > 3600: durations are seconds, and 3600 is over an hour",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_said_once_with_its_mend(name: str) -> None:
    faulty, message = BAD[name]
    assert said(faulty) == [message]


def test_a_name_that_two_rules_have_is_said_of_both() -> None:
    twice = Finding("error", "a", "2 rules have this name; rename them")
    assert lint([rule(), rule("cost_today > 3")]) == [twice, twice]


def test_the_time_between_evaluations_decides_what_is_short() -> None:
    assert said(rule(for_=30), interval=15.0) == []


class Recorded:
    """A source with models a and b; the running process cannot tell its stages."""

    name = "recorded"

    def changed(self) -> bool:
        return False

    def __init__(self, models: Sequence[str] = ("gpt-5", "gpt-5-mini")) -> None:
        self.models = models

    def answer(self, queries: Sequence[Query], now: datetime) -> list[list[Answer]]:
        return [self._answer(query) for query in queries]

    def _answer(self, query: Query) -> list[Answer]:
        if query.metric == sc.STAGE_DURATION.name:
            raise SourceError("no stages here")
        if not query.group_by:
            return [Answer({}, 1.0, 1)]
        labels: list[Mapping[str, str]] = [dict.fromkeys(query.group_by, model) for model in self.models]
        return [Answer(one, 1.0, 1) for one in labels]


def test_a_value_that_no_record_has_is_said_with_the_nearest_that_one_has() -> None:
    found = said(rule('cost.sum("1h", model="gtp-5") > 1'), source=Recorded(), now=NOW)
    assert found == ["warning: no record of the last 7 days has the model 'gtp-5' (did you mean 'gpt-5'?)"]


def test_nothing_is_said_of_values_that_records_have() -> None:
    assert said(rule('cost.sum("1h", model=("gpt-5", "gpt-5-mini")) > 1'), source=Recorded(), now=NOW) == []


def test_without_any_records_nothing_is_said_of_values() -> None:
    assert said(rule('cost.sum("1h", model="gpt-6") > 1'), source=Recorded(()), now=NOW) == []


def test_a_word_that_no_outcome_has_is_said_even_without_records() -> None:
    found = said(rule('calls.sum("1h", outcome=("ok", "errors")) > 1'), source=Recorded(()), now=NOW)
    assert found == ["warning: there is no outcome 'errors' (did you mean 'error'?)"]


def test_what_the_source_cannot_answer_is_said() -> None:
    found = said(rule('stage_duration.p95("1h", stage="a") > 1'), source=Recorded(), now=NOW)
    assert found == ["error: recorded cannot answer it: no stages here"]


@pytest.mark.parametrize("when", ["anomaly(cost)", 'forecast(cost, "month") > 500'])
def test_a_source_without_sums_by_the_hour_is_said(when: str) -> None:
    [found] = said(rule(when), source=ModelledSource(Recorded()), now=NOW)
    assert found.startswith("error: recorded cannot answer it: ")
    assert "has no sums by the hour; ask the local folder, SigNoz or Prometheus" in found


@pytest.mark.parametrize(
    ("cooldown", "then"), [(0, "each is told once and never again"), ("1h", "each is told again every 3600 s")]
)
def test_a_rule_with_many_alerts_is_said(cooldown: Any, then: str) -> None:
    source = Recorded([f"model-{n}" for n in range(21)])
    [found] = said(rule(by="model", cooldown=cooldown), source=source, now=NOW)
    assert found == f"warning: 21 alerts could fire at once (by model), and {then}; narrow it with where"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("daily_cost > 1", (0.0, float("inf"))),
        ("error_rate > 1", (0.0, 100.0)),
        ("retry_rate > 1", (0.0, float("inf"))),
        ("workflow_failures > 1", (0.0, 100.0)),
        ('errors.sum("5m") / calls.sum("10m") > 1', (0.0, float("inf"))),
        ('errors.sum("5m", model="a") / calls.sum("5m") > 1', (0.0, 1.0)),
        ('errors.sum("5m") / calls.sum("5m", model="a") > 1', (0.0, float("inf"))),
        ("daily_cost + 5 > 1", (5.0, float("inf"))),
        ("3 - daily_cost > 1", (float("-inf"), 3.0)),
        ("daily_cost * -2 > 1", (float("-inf"), 0.0)),
        ("error_rate / -2 > 1", (-50.0, 0.0)),
        ("daily_cost / (0 - error_rate) > 1", (float("-inf"), float("inf"))),
    ],
)
def test_what_a_value_can_come_to(text: str, expected: tuple[float, float]) -> None:
    assert range_of(parse(text).left) == expected  # type: ignore[attr-defined]


@pytest.mark.parametrize("sign", [">", ">=", "<", "<=", "==", "!="])
def test_each_comparison_excludes_its_opposite(sign: str) -> None:
    condition = parse(f"daily_cost {sign} 5")
    assert can_hold(condition)
    assert can_hold(~condition)
    assert not can_hold(condition, ~condition)


def test_a_ready_made_measure_and_its_parts_are_the_same_variable() -> None:
    by_hand = MetricType.DAILY_COST.measure() > 10
    assert not can_hold(by_hand, ~(m.cost.sum("24h") > 5))
