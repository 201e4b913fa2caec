"""What rules would have done: over past records, and over scenarios that were made up to test them."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from attune_monitoring import semconv as sc
from attune_monitoring.alerts import AlertRule, m
from attune_monitoring.alerts.backtest import backtest, timeline
from attune_monitoring.alerts.modelled import ModelledSource, anomaly
from attune_monitoring.alerts.scenarios import load_scenarios, run
from attune_monitoring.errors import ConfigError, SourceError
from attune_monitoring.query import Filter, Query, Window
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, WorkflowStageRecord
from attune_monitoring.sources.local import LocalSource
from attune_monitoring.sources.replay import ReplaySource

START = datetime(2026, 3, 10, tzinfo=UTC).timestamp()
MINUTE, HOUR = 60, 3600


def call(at: float, cost: float | None = 1.0, **fields) -> LLMCallRecord:
    moment = datetime.fromtimestamp(START + at, UTC).isoformat()
    return LLMCallRecord(
        call_id=f"{at}{fields}",
        timestamp=moment,
        estimated_cost=cost,
        cost_source=fields.pop("source", "list"),
        **fields,
    )


def costly(*minutes: int, **fields) -> list[LLMCallRecord]:
    return [call(minute * MINUTE + 30, **fields) for minute in minutes]


def replayed(rule: AlertRule, calls: list[LLMCallRecord], hours: float = 3, **options):
    [found] = backtest([rule], ReplaySource(calls), START, START + hours * HOUR, **options)
    return found


HOURLY = AlertRule("hourly", m.cost.sum("1h") > 1.5)


def test_it_says_when_a_rule_would_have_fired_and_ended():
    [episode] = replayed(HOURLY, costly(10, 20)).episodes
    assert (episode.fired_at - START, episode.resolved_at - START) == (21 * MINUTE, 71 * MINUTE)


def test_it_says_how_bad_it_was():
    [episode] = replayed(HOURLY, costly(10, 20, 40)).episodes
    assert (episode.value, episode.peak) == (2.0, 3.0)


def test_an_alert_that_goes_on_has_no_end():
    [episode] = replayed(HOURLY, costly(10, 20), hours=1).episodes
    assert episode.resolved_at is None
    assert episode.seconds(START + HOUR) == 39 * MINUTE


def test_for_is_waited_for():
    [episode] = replayed(HOURLY.changed(for_="5m"), costly(10, 20)).episodes
    assert (episode.pending_at - START, episode.fired_at - START) == (21 * MINUTE, 26 * MINUTE)


def test_an_alert_that_was_only_pending_is_no_episode():
    assert replayed(HOURLY.changed(for_="2h"), costly(10, 20)).episodes == []


def test_a_rule_that_fires_twice_has_two_episodes():
    found = replayed(HOURLY, costly(10, 20, 100, 110))
    assert len(found.episodes) == 2
    assert found.notifications == 4


def test_reminders_are_notifications():
    found = replayed(HOURLY.changed(cooldown="10m"), costly(10, 20))
    assert found.notifications == 2 + 4
    assert found.episodes[0].notifications == found.notifications


def test_each_combination_of_labels_has_its_own_episodes():
    calls = [*costly(10, 20, workflow_name="a"), *costly(30, 31, workflow_name="b"), *costly(5, workflow_name="c")]
    found = replayed(HOURLY.changed(by=("workflow_name",)), calls)
    assert [(episode.labels["workflow_name"], episode.notifications) for episode in found.episodes] == [
        ("a", 2),
        ("b", 2),
    ]


def test_how_many_actions_a_rule_has_does_not_count():
    rule = HOURLY.changed(actions=())
    assert replayed(rule, costly(10, 20)).notifications == 2


def test_a_rule_that_cannot_be_evaluated_is_told():
    found = replayed(AlertRule("dropped", m.dropped.sum("1h") > 0), costly(10), hours=1)
    assert found.errors == 61
    assert "never written" in found.error
    assert [(episode.reason, episode.notifications) for episode in found.episodes] == [("error", 1)]


def test_a_disabled_rule_does_nothing():
    assert replayed(HOURLY.changed(enabled=False), costly(10, 20)).episodes == []


def test_no_data_that_is_to_be_told_is():
    rule = AlertRule("silence", m.duration.avg("30m") > 100, no_data="alert")
    found = replayed(rule, costly(0, 60), hours=2)
    assert [(episode.reason, (episode.fired_at - START) // MINUTE) for episode in found.episodes] == [
        ("no_data", 0),
        ("no_data", 31),
        ("no_data", 91),
    ]


def test_an_interval_of_five_minutes_sees_less():
    [episode] = replayed(HOURLY, costly(10, 20), interval=300.0).episodes
    assert (episode.fired_at - START, episode.resolved_at - START) == (25 * MINUTE, 75 * MINUTE)


def test_nothing_that_is_known_later_is_used():
    calls = costly(10, 20, 30)
    early = replayed(HOURLY, calls[:2], hours=0.5)
    late = replayed(HOURLY, calls, hours=0.5)
    assert early.episodes[0].fired_at == late.episodes[0].fired_at


def test_the_timeline_is_in_the_order_of_time():
    other = HOURLY.changed(name="other", by=("workflow_name",))
    found = backtest([HOURLY, other], ReplaySource(costly(10, 20)), START, START + 3 * HOUR)
    assert [(what, rule) for _, what, rule, _ in timeline(found)] == [
        ("fires", "hourly"),
        ("fires", "other"),
        ("resolved", "hourly"),
        ("resolved", "other"),
    ]


def test_progress_is_told():
    told: list[tuple[float, float]] = []
    replayed(HOURLY, [], hours=1, progress=lambda done, of: told.append((done, of)))
    assert told == [(0.0, 3600.0)]


def test_anomalies_are_tested_too():
    day = 24 * HOUR
    usual = [call(hour * HOUR - 15 * day, 1.0) for hour in range(15 * 24 + 3)]
    source = ModelledSource(ReplaySource([*usual, call(90 * MINUTE, 50.0)]))
    [found] = backtest([AlertRule("odd", anomaly("cost"))], source, START, START + 6 * HOUR)
    assert [(episode.fired_at - START, episode.resolved_at - START) for episode in found.episodes] == [
        (91 * MINUTE, 3 * HOUR)
    ]


# --- the source of past moments
def traffic(count: int = 400) -> tuple[list[LLMCallRecord], list[WorkflowRunRecord]]:
    rnd = random.Random(9)
    calls = [
        call(
            rnd.randrange(72 * HOUR),
            rnd.choice((None, 0.25, 1.0)),
            source=rnd.choice(("list", "none")),
            workflow_name=rnd.choice((None, "a", "b")),
            provider=rnd.choice(("openai", "anthropic")),
            tier=rnd.choice(("cheap", "premium")),
            success=rnd.random() > 0.2,
            error_type=rnd.choice((None, "TimeoutError")),
            latency_ms=rnd.randrange(1, 9000),
            input_tokens=rnd.randrange(100),
            output_tokens=rnd.randrange(100),
            retry_count=rnd.randrange(2),
            fallback_used=rnd.random() > 0.5,
        )
        for _ in range(count)
    ]
    runs = [
        WorkflowRunRecord(
            run_id=str(number),
            workflow_name=rnd.choice("ab"),
            started_at=datetime.fromtimestamp(START + rnd.randrange(72 * HOUR), UTC).isoformat(),
            total_duration_ms=rnd.randrange(1, 9000),
            success=rnd.random() > 0.2,
            stages=[WorkflowStageRecord(stage_name="s", tier="cheap", model_id="m", latency_ms=rnd.randrange(1, 99))],
        )
        for number in range(count // 4)
    ]
    return calls, runs


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    calls, runs = traffic()
    folder = tmp_path_factory.mktemp("records")
    for name, records in (("llm_calls", calls), ("workflow_runs", runs)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(each.to_dict()) + "\n" for each in records))
    local = LocalSource(folder)
    yield local, ReplaySource(calls, runs)
    local.close()


METRICS = [metric for metric in sc.METRICS if metric.name.startswith("attune.") and metric is not sc.DROPPED]


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS, ids=lambda one: one.name)
@pytest.mark.parametrize("window", ["24h", "72h", "today", "month"])
def test_its_answers_are_those_of_the_folder(both, metric, window):
    aggregations = ("sum", "rate") if metric.instrument == "counter" else ("count", "sum", "avg", "min", "max", "p95")
    for moment in (START + 72 * HOUR, START + 73 * HOUR):
        now = datetime.fromtimestamp(moment, UTC)
        for aggregation in aggregations:
            for by in ((), metric.dimensions[:2], metric.dimensions[-1:]):
                query = Query(metric.name, Window.of(window), aggregation, group_by=by)
                [wanted], [found] = (source.answer([query], now) for source in both)
                assert [each.labels for each in found] == [each.labels for each in wanted]
                for mine, other in zip(found, wanted, strict=True):
                    assert mine.samples == other.samples or metric is sc.LLM_TOKENS
                    assert mine.value == pytest.approx(other.value, rel=0.04 if aggregation == "p95" else 1e-9)


def test_filters_and_ratios_are_those_of_the_folder(both):
    whole = Query(sc.LLM_CALLS.name, Window.of("24h"), group_by=(sc.PROVIDER,))
    filters = (Filter(sc.TIER, ("cheap",)), Filter(sc.WORKFLOW_NAME, ("a",), negated=True))
    now = datetime.fromtimestamp(START + 72 * HOUR, UTC)
    for query in (
        Query(sc.LLM_COST.name, Window.of("24h"), filters=filters, group_by=(sc.PROVIDER,)),
        Query(sc.LLM_ERRORS.name, Window.of("24h"), "ratio", group_by=(sc.PROVIDER,), divisor=whole),
        Query(sc.LLM_COST.name, Window(seconds=24 * HOUR, back=1)),
    ):
        [wanted], [found] = (source.answer([query], now) for source in both)
        assert [(each.labels, each.samples) for each in found] == [(each.labels, each.samples) for each in wanted]
        assert [each.value for each in found] == pytest.approx([each.value for each in wanted])


@pytest.mark.slow
def test_windows_slide_to_what_they_would_be_anew():
    calls, runs = traffic()
    slid = ReplaySource(calls, runs)
    queries = [
        Query(sc.LLM_COST.name, Window.of("3h"), group_by=(sc.WORKFLOW_NAME,)),
        Query(sc.LLM_DURATION.name, Window.of("3h"), "p95"),
        Query(sc.LLM_CALLS.name, Window.of("today")),
    ]
    for step in range(0, 72 * HOUR, 1800):
        now = datetime.fromtimestamp(START + step, UTC)
        found, wanted = slid.answer(queries, now), ReplaySource(calls, runs).answer(queries, now)
        for mine, other in zip(found, wanted, strict=True):
            assert [(each.labels, each.samples) for each in mine] == [(each.labels, each.samples) for each in other]
            assert [each.value for each in mine] == pytest.approx([each.value for each in other])


def test_an_earlier_moment_can_be_asked_again():
    calls, _ = traffic()
    source, query = ReplaySource(calls), Query(sc.LLM_COST.name, Window.of("3h"))
    moments = [datetime.fromtimestamp(START + hour * HOUR, UTC) for hour in (10, 50, 10)]
    first, _, again = (source.answer([query], moment) for moment in moments)
    assert again == first


def test_rules_with_different_delays_do_not_disturb_each_other():
    late = HOURLY.changed(name="late", eval_delay="10m")
    found = backtest([HOURLY, late], ReplaySource(costly(10, 20)), START, START + 3 * HOUR)
    assert [each.episodes[0].fired_at - START for each in found] == [21 * MINUTE, 31 * MINUTE]


def test_the_divisor_of_a_ratio_has_its_own_window():
    whole = Query(sc.LLM_CALLS.name, Window.of("3h"))
    query = Query(sc.LLM_CALLS.name, Window.of("1h"), "ratio", divisor=whole)
    now = datetime.fromtimestamp(START + 3 * HOUR, UTC)
    [[answer]] = ReplaySource(costly(10, 70, 130, 140)).answer([query], now)
    assert answer.value == 0.5


def test_few_samples_are_no_data_as_they_are_for_the_engine():
    calls = [call(30 * number, success=False) for number in range(60)]
    rule = AlertRule(metric="error_rate", threshold=50, min_samples=40)
    [episode] = replayed(rule, calls, hours=1).episodes
    assert episode.fired_at - START == 20 * MINUTE


def test_a_question_that_makes_no_sense_is_refused():
    with pytest.raises(SourceError, match=r"did you mean attune\.llm\.cost"):
        ReplaySource().answer([Query("attune.llm.costs", Window.of("1h"))], datetime.fromtimestamp(START, UTC))


def test_the_extent_is_that_of_the_records():
    assert ReplaySource().extent() is None
    assert ReplaySource(costly(1, 5)).extent() == (START + 90, START + 330)


# --- scenarios
RATE = AlertRule(metric="error_rate", threshold=50, name="error-rate", window="5m", for_="2m", by="workflow_name")
TEXT = """
start: 2026-03-10T08:00:00Z
records:
  - {every: 10s, until: 5m, workflow_name: review, cost: 0.02}
  - {every: 10s, from: 5m, until: 15m, workflow_name: review, success: false}
expect:
  - {at: 4m, rule: error-rate, state: inactive}
  - {at: 8m, rule: error-rate, state: pending}
  - {at: 14m, rule: error-rate, state: firing, labels: {workflow_name: review}, value: 100}
  - {at: 14m, rule: error-rate, state: inactive, labels: {workflow_name: triage}}
"""


def differences(folder: Path, text: str, rules: tuple[AlertRule, ...] = (RATE,)) -> list[str]:
    (folder / "errors.yaml").write_text(text)
    [scenario] = load_scenarios(folder)
    return [str(each).replace(f"{folder}/", "") for each in run(scenario, rules, ReplaySource)]


def test_a_scenario_that_comes_out_as_expected_has_no_differences(tmp_path):
    assert differences(tmp_path, TEXT) == []


def test_what_comes_out_otherwise_is_told_with_its_place(tmp_path):
    assert differences(tmp_path, TEXT.replace("state: pending", "state: firing")) == [
        "errors.yaml:8: error-rate at 8m: expected firing, found pending workflow_name=review with 60"
    ]


def test_another_value_is_a_difference(tmp_path):
    assert differences(tmp_path, TEXT.replace("value: 100", "value: 90")) == [
        "errors.yaml:9: error-rate at 14m: expected firing workflow_name=review with 90, "
        "found firing workflow_name=review with 100"
    ]


def test_a_rule_that_is_not_there_is_told_with_the_nearest(tmp_path):
    assert differences(
        tmp_path, TEXT.replace("rule: error-rate, state: pending", "rule: error-rat, state: pending")
    ) == [
        "errors.yaml:8: error-rat at 8m: expected pending, but there is no rule 'error-rat' "
        "(did you mean 'error-rate'?)"
    ]


def test_a_rule_that_cannot_be_evaluated_is_told_so(tmp_path):
    rule = AlertRule("error-rate", m.dropped.sum("1h") > 0)
    told = differences(tmp_path, TEXT, (rule,))
    assert "but it cannot be evaluated: SourceError: attune" in told[0]


def test_records_of_a_file_are_taken_as_they_are(tmp_path):
    records = [call(10, workflow_name="review", success=False) for _ in range(20)]
    (tmp_path / "calls.jsonl").write_text("".join(json.dumps(each.to_dict()) + "\n" for each in records))
    text = """
    start: 2026-03-10T00:00:00Z
    records: [jsonl: calls.jsonl]
    expect: [{at: 4m, rule: error-rate, state: firing}]
    """
    assert differences(tmp_path, text) == []


def test_times_may_be_in_any_order(tmp_path):
    head, _, tail = TEXT.partition("expect:\n")
    lines = tail.splitlines(keepends=True)
    assert differences(tmp_path, head + "expect:\n" + "".join(reversed(lines))) == []


def test_several_files_are_several_scenarios(tmp_path):
    for name in ("a.yaml", "b.yml"):
        (tmp_path / name).write_text(TEXT)
    assert [scenario.name for scenario in load_scenarios(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("expect: []\nrecrds: []", "s.yaml:2:1: unknown key 'recrds' (did you mean 'records'?)"),
        ("records: []", "s.yaml:1:1: key 'expect' is missing"),
        ("expect: [{at: 1m, rule: a, state: fires}]", "expect[0].state: expected inactive, pending, firing"),
        ("start: yesterday\nexpect: []", "s.yaml:1:8: start: expected a time such as 2026-03-10T08:00:00Z"),
        ("records: [{every: 1s}]\nexpect: []", "records[0].every: say 'until' when"),
        ("records: [{until: 1s}]\nexpect: []", "records[0].until: without 'every' there is one call, at 'from'"),
        ("records: [{every: 1s, until: 30d}]\nexpect: []", "records[0].every: more than 1000000 records"),
        ("records: [{jsonl: no.jsonl}]\nexpect: []", "records[0].jsonl: cannot be read: No such file or directory"),
        ("records: [{jsonl: bad.jsonl}]\nexpect: []", "records[0].jsonl: line 2 is no record"),
        ("records: [{jsonl: bad.jsonl, cost: 1}]\nexpect: []", "nothing else can be said of them"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, text: str, problem: str):
    (tmp_path / "bad.jsonl").write_text(f"\n{{}}\n{json.dumps(call(1).to_dict())}\n")
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(ConfigError) as raised:
        load_scenarios(tmp_path / "s.yaml")
    assert problem in str(raised.value)


def test_a_folder_without_scenarios_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no \.yaml file"):
        load_scenarios(tmp_path)
