"""The engine: evaluation over a source, what outlives a process, and the loop of a watcher."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from attune_monitoring import llm_call
from attune_monitoring.alerts import AlertAction, AlertRule, alert, m
from attune_monitoring.alerts.announcement import Grouping
from attune_monitoring.alerts.engine import AlertEngine, TickReport
from attune_monitoring.alerts.evaluation import observe
from attune_monitoring.alerts.expression import Measure
from attune_monitoring.alerts.modelled import anomaly
from attune_monitoring.alerts.notification import Notification
from attune_monitoring.alerts.outbox import NAME, Outbox, new_owner
from attune_monitoring.alerts.silences import Silence, matcher_of
from attune_monitoring.alerts.state import AlertState
from attune_monitoring.alerts.status import NAME as STATUS
from attune_monitoring.alerts.status import read_status, write_status
from attune_monitoring.config import load_config
from attune_monitoring.errors import ActionError, ConfigError, SourceError, StoreError
from attune_monitoring.providers import isolated
from attune_monitoring.query import Answer, Query, Window
from attune_monitoring.records import LLMCallRecord, encode_call
from attune_monitoring.sources.in_process import MetricReaderSource
from attune_monitoring.sources.local import LocalSource

T0 = 1_800_000_000.0
COST = m.cost.sum("1h")
Cells = Sequence[tuple[dict[str, str], float | None, int]]


class Clock:
    def __init__(self) -> None:
        self.now = T0

    def __call__(self) -> float:
        return self.now


class Numbers:
    """A source that knows a few numbers: metric (short) → (dimensions by long name, value, samples)."""

    name = "numbers"

    def __init__(self, **cells: Cells | float) -> None:
        self.cells: dict[str, Cells | float] = cells
        self.asked: list[list[Query]] = []
        self.moments: list[datetime] = []
        self.error: Exception | None = None
        self.refused: set[str] = set()

    def changed(self) -> bool:
        return True

    def answer(self, queries: Sequence[Query], now: datetime) -> list[list[Answer]]:
        self.asked.append(list(queries))
        self.moments.append(now)
        if self.error is not None:
            raise self.error
        return [self._answer(query) for query in queries]

    def _answer(self, query: Query) -> list[Answer]:
        name = query.metric.rpartition(".")[2]
        if name in self.refused:
            raise SourceError(f"no {name} here")
        cells = self.cells.get(name, ())
        if not isinstance(cells, Sequence):
            cells = [({}, cells, 100)]
        return [
            Answer({dimension: labels.get(dimension, "") for dimension in query.group_by}, value, samples)
            for labels, value, samples in cells
            if all(each.holds(labels.get(each.dimension, "")) for each in query.filters)
        ]


W = "gen_ai.workflow.name"


def holding(*rules: AlertRule, source: Numbers, now: float = T0) -> list[Any]:
    """What each rule sees, as (labels, holds, value); or its error."""
    return [
        each.error or [(dict(one.labels), one.holds, one.value) for one in each.observations]
        for each in observe(rules, source, now)
    ]


class TestEvaluation:
    def test_all_rules_share_one_question(self) -> None:
        source = Numbers(cost=12.0, calls=5.0)
        rules = [
            AlertRule("a", COST > 10),
            AlertRule("b", (COST > 20) & (m.calls.sum("1h") > 1)),
            AlertRule("c", COST > 1),
        ]
        assert holding(*rules, source=source) == [[({}, True, 12.0)], [({}, False, 12.0)], [({}, True, 12.0)]]
        assert len(source.asked) == 1 and len(source.asked[0]) == 2

    def test_without_an_answer_there_is_no_data(self) -> None:
        assert holding(AlertRule("a", COST > 10), source=Numbers()) == [[({}, None, None)]]

    def test_with_fewer_samples_than_wanted_there_is_no_data(self) -> None:
        source = Numbers(cost=[({}, 12.0, 4)])
        rules = [AlertRule("a", COST > 10, min_samples=5), AlertRule("b", COST > 10, min_samples=4)]
        assert holding(*rules, source=source) == [[({}, None, None)], [({}, True, 12.0)]]

    def test_each_combination_of_the_measures_is_observed_under_the_names_of_the_rule(self) -> None:
        source = Numbers(cost=[({W: "a"}, 12.0, 9), ({W: "b"}, 1.0, 9)], calls=[({W: "b"}, 7.0, 7), ({W: "c"}, 8.0, 8)])
        one = AlertRule("a", (COST > 10) | (m.calls.sum("1h") > 7), by="workflow_name")
        assert holding(one, source=source) == [
            [
                ({"workflow_name": "a"}, True, 12.0),
                ({"workflow_name": "b"}, False, 1.0),
                ({"workflow_name": "c"}, True, 8.0),
            ]
        ]

    def test_without_any_combination_nothing_is_observed(self) -> None:
        assert holding(AlertRule("a", COST > 10, by="model"), source=Numbers()) == [[]]

    def test_the_divisor_of_a_quotient_tells_whether_there_is_data(self) -> None:
        share = AlertRule("a", m.runs.sum("1h", outcome="error") / m.runs.sum("1h") > 0.5, min_samples=5)
        outcome = "attune.outcome"
        assert holding(share, source=Numbers(runs=[({outcome: "ok"}, 9.0, 9)])) == [[({}, False, 0.0)]]
        few = Numbers(runs=[({outcome: "error"}, 3.0, 3)])
        assert holding(share, source=few) == [[({}, None, None)]]

    def test_a_negated_quotient_is_one_all_the_same(self) -> None:
        share = AlertRule("a", ~(m.runs.sum("1h", outcome="error") / m.runs.sum("1h") < 0.5))
        assert holding(share, source=Numbers(runs=[({"attune.outcome": "ok"}, 9.0, 9)])) == [[({}, False, 0.0)]]

    def test_ratios_are_grouped_on_both_sides(self) -> None:
        source = Numbers()
        ratio = Query("attune.llm.errors", Window.of("1h"), "ratio", divisor=Query("attune.llm.calls", Window.of("1h")))
        holding(AlertRule("a", Measure(ratio, "ratio") > 1, by="model"), source=source)
        ((asked,),) = source.asked
        assert asked.group_by == ("gen_ai.response.model",)
        assert asked.divisor is not None and asked.divisor.group_by == asked.group_by

    def test_delayed_rules_ask_about_an_earlier_moment(self) -> None:
        source = Numbers(cost=12.0)
        assert holding(AlertRule("a", COST > 10), AlertRule("b", COST > 10, eval_delay="2m"), source=source) == [
            [({}, True, 12.0)],
            [({}, True, 12.0)],
        ]
        assert [moment.timestamp() for moment in source.moments] == [T0, T0 - 120]

    def test_only_the_rule_whose_query_is_refused_is_in_error(self) -> None:
        source = Numbers(cost=12.0)
        source.refused = {"calls"}
        assert holding(AlertRule("a", COST > 10), AlertRule("b", m.calls.sum("1h") > 1), source=source) == [
            [({}, True, 12.0)],
            "SourceError: no calls here",
        ]

    def test_errors_are_shown_without_secrets(self) -> None:
        source = Numbers()
        source.error = SourceError("https://user:hunter22@host.example/api?token=abcdefghij failed")
        (error,) = holding(AlertRule("a", COST > 10), source=source)
        assert "hunter22" not in error and "abcdefghij" not in error

    def test_disabled_rules_ask_nothing(self) -> None:
        source = Numbers(cost=12.0)
        assert holding(AlertRule("a", COST > 10, enabled=False), source=source) == [[]]
        assert source.asked == []

    def test_resolve_when_is_asked_and_seen(self) -> None:
        one = AlertRule("a", COST > 10, resolve_when=COST < 5)
        ends = [observe([one], Numbers(cost=value), T0)[0].observations[0].ends for value in (12.0, 7.0, 3.0)]
        assert ends == [False, False, True]


class TestFunctions:
    def test_it_reads_numbers_and_none_for_each_combination(self) -> None:
        seen = []

        @alert(by="workflow_name")
        def spike(values: Any) -> bool | None:
            errors, calls = values.errors.sum("5m"), values.calls.sum("5m")
            if values.labels["workflow_name"]:
                seen.append((values.labels["workflow_name"], errors, calls))
            return None if not calls else (errors or 0) / calls > 0.5

        source = Numbers(errors=[({W: "a"}, 3.0, 4)], calls=[({W: "a"}, 4.0, 4), ({W: "b"}, 8.0, 8)])
        assert holding(spike, source=source) == [
            [({"workflow_name": "a"}, True, None), ({"workflow_name": "b"}, False, None)]
        ]
        assert seen == [("a", 3.0, 4.0), ("b", None, 8.0)]

    def test_what_it_asks_is_asked_together_with_all_else(self) -> None:
        @alert
        def spike(values: Any) -> bool | None:
            return values.errors.sum("1h") > values.cost.sum("1h")

        source = Numbers(errors=3.0, cost=12.0)
        assert holding(spike, AlertRule("a", COST > 10), source=source) == [[({}, False, None)], [({}, True, 12.0)]]
        assert [len(asked) for asked in source.asked] == [2]

    def test_what_it_asks_only_after_an_answer_is_asked_then(self) -> None:
        @alert(by="workflow_name")
        def late(values: Any) -> bool | None:
            calls = values.calls.sum("1h")
            return calls is not None and calls > 1 and values.cost.sum("1h") is not None

        source = Numbers(calls=[({W: "a"}, 4.0, 4)], cost=[({W: "a"}, 1.0, 1), ({W: "b"}, 2.0, 1)])
        assert holding(late, source=source) == [
            [({"workflow_name": "a"}, True, None), ({"workflow_name": "b"}, False, None)]
        ]

    def test_units_and_time_are_those_of_the_rule(self) -> None:
        moments = []

        @alert(eval_delay="1m")
        def at(values: Any) -> bool:
            moments.append(values.now)
            return True

        holding(at, source=Numbers())
        assert moments[-1] == datetime.fromtimestamp(T0 - 60, UTC)

    @pytest.mark.parametrize(
        ("decide", "error"),
        [
            (lambda values: 1 / 0, "ZeroDivisionError: division by zero"),
            (lambda values: 3.0, "ConfigError: the function returned float; return True, False, or None for no data"),
            (lambda values: values.nothing.sum("1h"), "AttributeError: no metric 'nothing'"),
            (lambda values: values.cost.p95("1h"), "ConfigError: attune.llm.cost is a counter"),
        ],
    )
    def test_what_goes_wrong_in_it_is_an_error_of_its_rule(self, decide: Callable[[Any], Any], error: str) -> None:
        found = holding(AlertRule("f", function=decide), AlertRule("a", COST > 10), source=Numbers(cost=12.0))
        assert found[0].startswith(error)
        assert found[1] == [({}, True, 12.0)]

    def test_too_few_samples_are_no_number(self) -> None:
        one = AlertRule("f", function=lambda values: values.cost.sum("1h"), min_samples=9)
        assert holding(one, source=Numbers(cost=[({}, 12.0, 8)])) == [[({}, None, None)]]

    def test_a_function_can_have_a_condition_of_its_own_to_end(self) -> None:
        one = AlertRule("f", function=lambda values: False, resolve_when=COST < 5)
        assert observe([one], Numbers(cost=3.0), T0)[0].observations[0].ends is True


def record(number: int, seconds: float, **fields: Any) -> bytes:
    stamp = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    values = {"pid": 7, "dialect": "attune", "workflow_name": "nightly", "actual_cost": 4.0, **fields}
    return encode_call(LLMCallRecord(call_id=f"c{number}", timestamp=stamp, **values))


def add(folder: Path, *lines: bytes) -> None:
    folder.mkdir(exist_ok=True)
    with (folder / "llm_calls.jsonl").open("ab") as file:
        for line in lines:
            file.write(line.rstrip(b"\n") + b"\n")


class Inbox:
    """Keeps what is delivered to it."""

    def __init__(self) -> None:
        self.got: list[Notification] = []
        self.broken = False

    def __call__(self, notification: Notification) -> None:
        if self.broken:
            raise ActionError("away", retryable=True, retry_after=60)  # no quick tries: nobody waits
        self.got.append(notification)

    @property
    def kinds(self) -> list[str]:
        return [each.kind for each in self.got]

    @property
    def action(self) -> AlertAction:
        return AlertAction("callable", {"function": self}, "inbox")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def rules(inbox: Inbox) -> list[AlertRule]:
    return [AlertRule("cost", COST > 10, actions=[inbox.action], cooldown="1h")]


def test_it_works_in_memory_without_a_folder(rules: list[AlertRule], clock: Clock, inbox: Inbox) -> None:
    with AlertEngine(source=Numbers(cost=12.0), rules=rules, clock=clock) as engine:
        report = engine.tick()
    assert (report.standby, report.changed, report.queued) == (False, True, 1)
    assert [event.kind for event in report.events] == ["firing"]
    assert inbox.kinds == ["firing"]


def test_it_watches_the_running_process(inbox: Inbox, tmp_path: Path) -> None:
    source = MetricReaderSource()
    rule = AlertRule(metric="error_count", threshold=0, actions=[inbox.action])
    with isolated(load_config(storage_dir=str(tmp_path)), readers=[source], sinks=[], processors=[]):
        with pytest.raises(TimeoutError), llm_call(provider="openai", model="gpt-5"):
            raise TimeoutError
        source.changed()
        with AlertEngine([rule], source, clock=lambda: time.time() + 60) as engine:
            engine.tick()
    assert [(each.rule, each.value) for each in inbox.got] == [("error_count > 0", 1.0)]


class TestOverAFolder:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tmp_path / "records"

    @pytest.fixture
    def engine(self, folder: Path, rules: list[AlertRule], clock: Clock) -> Callable[[], AlertEngine]:
        return lambda: AlertEngine(rules, LocalSource(folder), folder=folder, clock=clock)

    def test_it_fires_is_told_once_and_ends_as_the_window_slides_on(
        self, folder: Path, engine: Callable[[], AlertEngine], clock: Clock, inbox: Inbox
    ) -> None:
        add(folder, *(record(number, T0 - 60) for number in range(3)))
        with engine() as one:
            changed = [one.tick().changed]
            for _ in range(4):
                clock.now += 60
                changed.append(one.tick().changed)
            clock.now += 3600
            changed.append(one.tick().changed)
        assert inbox.kinds == ["firing", "resolved"]
        assert inbox.got[-1].seconds == 240 + 3600
        assert changed == [True, False, False, False, False, False]

    def test_after_a_restart_without_a_change_nothing_is_sent(
        self, folder: Path, engine: Callable[[], AlertEngine], clock: Clock, inbox: Inbox
    ) -> None:
        add(folder, *(record(number, T0 - 60) for number in range(3)))
        for _ in range(3):
            with engine() as one:
                one.tick()
            clock.now += 60
        assert inbox.kinds == ["firing"]

    def test_what_could_not_be_delivered_is_delivered_by_the_next_watcher(
        self, folder: Path, engine: Callable[[], AlertEngine], clock: Clock, inbox: Inbox
    ) -> None:
        add(folder, *(record(number, T0 - 60) for number in range(3)))
        inbox.broken = True
        with engine() as one:
            one.tick()
            waiting = one.outbox.waiting()
        assert [row.notification.kind for row in waiting] == ["firing"]
        inbox.broken = False
        clock.now += 7200
        with engine() as one:
            one.tick()
            assert one.outbox.waiting() == []
        assert inbox.got[0].key == waiting[0].notification.key

    def test_the_files_are_for_their_owner_alone(self, folder: Path, engine: Callable[[], AlertEngine]) -> None:
        with engine() as one:
            one.tick()
            modes = {name: stat.S_IMODE((folder / name).stat().st_mode) for name in (NAME, STATUS)}
        assert modes == {NAME: 0o600, STATUS: 0o600}
        assert not list(folder.glob(f".{STATUS}*"))

    def test_a_second_watcher_stands_by_and_takes_over_when_the_first_has_gone(
        self, folder: Path, engine: Callable[[], AlertEngine], clock: Clock, inbox: Inbox
    ) -> None:
        add(folder, *(record(number, T0 - 60) for number in range(3)))
        first, second = engine(), engine()
        assert (first.tick().standby, second.tick().standby) == (False, True)
        clock.now += 100
        assert (second.tick().standby, first.tick().standby) == (True, False)
        clock.now += 181  # the first sleeps
        assert second.tick().standby is False
        assert first.tick().standby is True
        second.close()
        assert first.tick().standby is False
        first.close()
        assert inbox.kinds == ["firing"]

    def test_a_watcher_that_lost_the_folder_while_it_evaluated_writes_nothing(
        self, folder: Path, rules: list[AlertRule], clock: Clock, inbox: Inbox
    ) -> None:
        class Slow(Numbers):
            def answer(self, queries: Sequence[Query], now: datetime) -> list[list[Answer]]:
                other.take_lease("other/1/x", T0 + 1000, 180)
                return super().answer(queries, now)

        other = Outbox(folder, clock=clock)
        with AlertEngine(rules, Slow(cost=12.0), folder=folder, clock=clock) as one:
            assert one.tick().standby is True
            assert (one.outbox.states(), one.outbox.waiting(), inbox.got) == ({}, [], [])
        other.close()

    def test_silences_and_overrides_of_another_process_work_at_the_next_tick(
        self, folder: Path, rules: list[AlertRule], clock: Clock, inbox: Inbox
    ) -> None:
        source = Numbers(cost=1.0)
        other = Outbox(folder, clock=clock)
        with AlertEngine(rules, source, folder=folder, clock=clock) as one:
            one.tick()
            other.add_silence(silence("s1", T0 + 300))
            source.cells["cost"] = 12.0
            assert one.tick().status.silenced[0].silence == "s1"
            assert other.end_silence("s1") is True
            one.tick()
            assert inbox.kinds == ["firing"]
            other.override("cost", False)
            one.tick()
            assert inbox.kinds == ["firing", "resolved"]
            other.override("cost", None)
            one.tick()
            assert inbox.kinds == ["firing", "resolved", "firing"]
        other.close()

    def test_a_rule_that_is_gone_leaves_its_end_in_the_history(
        self, folder: Path, rules: list[AlertRule], clock: Clock, inbox: Inbox
    ) -> None:
        with AlertEngine(rules, Numbers(cost=12.0), folder=folder, clock=clock) as one:
            one.tick()
        with AlertEngine([], Numbers(), folder=folder, clock=clock) as one:
            assert [(event.kind, event.error) for event in one.tick().events] == [("resolved", "the rule was removed")]
            assert one.outbox.states() == {}
        assert inbox.kinds == ["firing"]

    def test_what_waits_for_an_action_that_is_gone_is_given_up_visibly(
        self, folder: Path, rules: list[AlertRule], clock: Clock, inbox: Inbox
    ) -> None:
        inbox.broken = True
        with AlertEngine(rules, Numbers(cost=12.0), folder=folder, clock=clock) as one:
            one.tick()
        clock.now += 7200
        with AlertEngine([AlertRule("cost", COST > 10)], Numbers(cost=12.0), folder=folder, clock=clock) as one:
            one.tick()
            assert [row.rule for row in one.outbox.dead_letters()] == ["cost"]
            assert one.tick().status.watcher.dead == 1

    def test_the_status_file_says_what_fires_is_pending_and_silenced(self, folder: Path, clock: Clock) -> None:
        rules = [
            AlertRule("a", COST > 10, by="workflow_name"),
            AlertRule("b", COST > 10, for_="5m"),
            AlertRule("c", COST > 10, severity="critical"),
            AlertRule("d", m.calls.sum("1h") > 1),
            AlertRule("e", COST > 10, enabled=False),
        ]
        source = Numbers(cost=[({W: "nightly"}, 12.0, 9)])
        source.refused = {"calls"}
        with AlertEngine(rules, source, folder=folder, clock=clock) as one:
            one.outbox.add_silence(silence("s1", T0 + 300, "rule=c"))
            report = one.tick()
        written = json.loads((folder / STATUS).read_bytes())
        assert read_status(folder) == report.status
        assert (written["version"], written["evaluated_at"], written["stale_after"]) == (
            1,
            "2027-01-15T08:00:00Z",
            "2027-01-15T08:03:00Z",
        )
        assert (written["source"], written["rules"]) == ("numbers", 4)
        assert [(each["rule"], each["labels"], each["value"]) for each in written["firing"]] == [
            ("a", {"workflow_name": "nightly"}, 12.0)
        ]
        assert [(each["rule"], each["status"]) for each in written["pending"]] == [("b", "pending")]
        assert [(each["rule"], each["silenced_until"]) for each in written["silenced"]] == [
            ("c", "2027-01-15T08:05:00Z")
        ]
        assert written["errors"] == [{"rule": "d", "error": "SourceError: no calls here", "failures": 1}]
        assert written["watcher"]["waiting"] == 0

    def test_a_status_file_that_cannot_be_written_stops_nothing(
        self, folder: Path, rules: list[AlertRule], clock: Clock, inbox: Inbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        (folder / STATUS).mkdir(parents=True)
        with AlertEngine(rules, Numbers(cost=12.0), folder=folder, clock=clock) as one:
            one.tick()
        assert inbox.kinds == ["firing"]
        assert "cannot be written" in caplog.text

    def test_an_anomaly_says_in_words_what_is_unusual(self, folder: Path, clock: Clock, inbox: Inbox) -> None:
        clock.now = T0 + 1800
        hours = range(21 * 24)
        add(folder, *(record(hour, T0 - 60 - 3600 * hour, actual_cost=1.0 + hour % 3 / 10) for hour in hours))
        add(folder, *(record(9000 + number, T0 + 60, actual_cost=30.0) for number in range(3)))
        rule = AlertRule("spike", anomaly("cost"), actions=[inbox.action])
        with AlertEngine([rule], LocalSource(folder), folder=folder, clock=clock) as one:
            one.tick()
        assert [each.summary.partition(" where")[0] for each in inbox.got] == ["spike: cost of an hour is 90 USD"]

    def test_groups_are_delivered_as_one(self, folder: Path, clock: Clock, inbox: Inbox) -> None:
        rules = [AlertRule(name, COST > 10, actions=[inbox.action]) for name in ("a", "b")]
        with AlertEngine(rules, Numbers(cost=12.0), folder=folder, clock=clock, grouping=Grouping(by=())) as one:
            one.tick()
        assert [(each.kind, len(each.parts)) for each in inbox.got] == [("digest", 2)]


def silence(name: str, until: float, *matchers: str) -> Silence:
    return Silence(
        id=name, matchers=tuple(map(matcher_of, matchers or ("rule=cost",))), starts_at=T0, ends_at=until, author="ann"
    )


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two rules are called 'a'"):
        AlertEngine([AlertRule("a", COST > 10), AlertRule("a", COST > 20)], Numbers())


def test_a_source_that_cannot_look_is_asked_all_the_same(rules: list[AlertRule], clock: Clock, inbox: Inbox) -> None:
    class Blind(Numbers):
        def changed(self) -> bool:
            raise StoreError("no such disk")

    with AlertEngine(rules, Blind(cost=12.0), clock=clock) as engine:
        assert engine.tick().changed is False
    assert inbox.kinds == ["firing"]


class TestRunning:
    def run(self, engine: AlertEngine, stop: threading.Event, **options: Any) -> threading.Thread:
        thread = threading.Thread(target=engine.run, args=(stop,), kwargs=options, daemon=True)
        thread.start()
        return thread

    def test_it_evaluates_and_delivers_until_it_is_stopped(self, rules: list[AlertRule], inbox: Inbox) -> None:
        stop, delivered = threading.Event(), threading.Event()
        told = AlertRule(
            "x", COST > 10, actions=[AlertAction("callable", {"function": lambda notification: delivered.set()})]
        )
        ticks: list[TickReport] = []
        engine = AlertEngine([told], Numbers(cost=12.0))
        thread = self.run(engine, stop, interval=0.01, on_tick=ticks.append)
        assert delivered.wait(30)
        stop.set()
        thread.join(30)
        assert not thread.is_alive()
        assert [event.kind for report in ticks for event in report.events] == ["firing"]

    def test_it_stops_while_the_source_hangs(self) -> None:
        asked, release = threading.Event(), threading.Event()

        class Hanging(Numbers):
            def answer(self, queries: Sequence[Query], now: datetime) -> list[list[Answer]]:
                asked.set()
                release.wait(60)
                return super().answer(queries, now)

        stop = threading.Event()
        thread = self.run(AlertEngine([AlertRule("a", COST > 10)], Hanging()), stop)
        assert asked.wait(30)
        stop.set()
        thread.join(30)
        assert not thread.is_alive()
        release.set()

    def test_a_receiver_that_does_not_answer_delays_no_evaluation(self) -> None:
        hangs, release, stop = threading.Event(), threading.Event(), threading.Event()

        def receive(_: Notification) -> None:
            hangs.set()
            release.wait(60)

        enough = threading.Event()
        ticks: list[TickReport] = []

        def count(report: TickReport) -> None:
            if hangs.is_set():
                ticks.append(report)
            if len(ticks) == 3:
                enough.set()

        told = AlertRule("a", COST > 10, actions=[AlertAction("callable", {"function": receive})])
        thread = self.run(AlertEngine([told], Numbers(cost=12.0)), stop, interval=0.01, on_tick=count)
        assert enough.wait(30)
        stop.set()
        thread.join(30)
        assert not thread.is_alive()
        release.set()

    def test_an_evaluation_that_fails_is_logged_once_and_the_next_one_is_made(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        failures = threading.Semaphore(0)

        def fail(_: TickReport) -> None:
            failures.release()
            raise StoreError("the disk is full")

        stop = threading.Event()
        thread = self.run(AlertEngine([], Numbers()), stop, interval=0.01, on_tick=fail)
        assert all(failures.acquire(timeout=30) for _ in range(3))
        stop.set()
        thread.join(30)
        assert caplog.text.count("the disk is full") == 1


class TestOutbox:
    @pytest.fixture
    def folder(self, tmp_path: Path, rules: list[AlertRule], clock: Clock, inbox: Inbox) -> Path:
        """A folder in which an alert fires and a message waits."""
        inbox.broken = True
        with AlertEngine(rules, Numbers(cost=12.0), folder=tmp_path, clock=clock) as engine:
            engine.tick()
            engine.outbox.add_silence(silence("s1", T0 + 300, "rule=other"))
            engine.outbox.override("other", False)
        inbox.broken = False
        return tmp_path

    def test_everything_outlives_the_process(self, folder: Path, clock: Clock) -> None:
        outbox = Outbox(folder, clock=clock)
        assert [state.status for state in outbox.states()["cost"].values()] == ["firing"]
        assert [(row.rule, row.action, row.channel, row.notification.kind) for row in outbox.waiting()] == [
            ("cost", 0, "inbox", "firing")
        ]
        assert [each.id for each in outbox.silences()] == ["s1"]
        assert outbox.overrides() == {"other": False}
        assert [past.kind for past in outbox.history()] == ["disabled", "silenced", "firing"]
        assert [past.value for past in outbox.history(rule="cost")] == [12.0]
        outbox.close()

    @pytest.mark.parametrize(
        "damage",
        [
            lambda path: path.write_bytes(b"this is no database" * 1000),
            lambda path: path.write_bytes(path.read_bytes()[:5000]),
            lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * (path.stat().st_size - 4096)),
        ],
        ids=["other content", "cut", "overwritten"],
    )
    def test_a_damaged_file_is_moved_aside_and_alerts_begin_anew(
        self,
        folder: Path,
        rules: list[AlertRule],
        clock: Clock,
        inbox: Inbox,
        damage: Callable[[Path], object],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        damage(folder / NAME)
        with AlertEngine(rules, Numbers(cost=12.0), folder=folder, clock=clock) as engine:
            engine.tick()
        assert inbox.kinds == ["firing"]
        assert [path.name for path in folder.glob("*.damaged-*")] == [f"{NAME}.damaged-20270115T080000Z"]
        assert "is damaged" in caplog.text

    def test_a_state_of_which_nothing_can_be_made_is_damage(
        self, folder: Path, rules: list[AlertRule], clock: Clock, inbox: Inbox
    ) -> None:
        with sqlite3.connect(folder / NAME) as connection:
            connection.execute("UPDATE states SET body = ?", (b'{"status": 7}',))
        connection.close()
        with AlertEngine(rules, Numbers(cost=12.0), folder=folder, clock=clock) as engine:
            # The lease went with the file: this evaluation is not written, and nobody hears of it twice.
            assert engine.tick().standby is True
            engine.tick()
        assert inbox.kinds == ["firing"]

    def test_a_file_of_a_newer_version_is_left_alone(self, folder: Path, clock: Clock) -> None:
        with sqlite3.connect(folder / NAME) as connection:
            connection.execute("PRAGMA user_version = 9")
        connection.close()
        with pytest.raises(StoreError, match="newer version"):
            Outbox(folder, clock=clock)
        assert not list(folder.glob("*.damaged-*"))

    def test_a_folder_that_cannot_be_is_said_to_be_so(self, tmp_path: Path, clock: Clock) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError, match=r"alerts\.db: cannot be used"):
            Outbox(tmp_path / "file", clock=clock)

    def test_a_failed_attempt_waits_and_is_counted(self, folder: Path, clock: Clock) -> None:
        outbox = Outbox(folder, clock=clock)
        (row,) = outbox.waiting()
        outbox.failed(row, at_next=T0 + 500, error="HTTP 500")
        assert (outbox.due(T0 + 499), outbox.next_at()) == ([], T0 + 500)
        (again,) = outbox.due(T0 + 500)
        assert (again.attempts, again.error) == (row.attempts + 1, "HTTP 500")
        outbox.close()

    def test_what_was_to_be_tried_in_an_impossible_future_is_due(self, folder: Path, clock: Clock) -> None:
        outbox = Outbox(folder, clock=clock)
        outbox.failed(outbox.waiting()[0], at_next=T0 + 500, error="HTTP 500")
        assert len(outbox.due(T0 - 10 * 86_400)) == 1
        outbox.close()

    def test_what_was_delivered_is_gone_and_in_the_history(self, folder: Path, clock: Clock) -> None:
        outbox = Outbox(folder, clock=clock)
        outbox.done(outbox.waiting()[0])
        assert (outbox.waiting(), outbox.next_at()) == ([], None)
        assert (outbox.history(1)[0].kind, outbox.history(1)[0].channel) == ("delivered", "inbox")
        assert outbox.backlog() == (0, None, 0)
        outbox.close()

    def test_what_was_given_up_stays_to_be_seen(self, folder: Path, clock: Clock) -> None:
        outbox = Outbox(folder, clock=clock)
        assert outbox.backlog() == (1, T0, 0)
        outbox.dead(outbox.waiting()[0], "HTTP 410")
        assert (outbox.waiting(), outbox.backlog()) == ([], (0, None, 1))
        assert [row.error for row in outbox.dead_letters()] == ["HTTP 410"]
        assert (outbox.history(1)[0].kind, outbox.history(1)[0].error) == ("dead", "HTTP 410")
        outbox.close()

    def test_the_history_is_bounded(self, clock: Clock) -> None:
        outbox = Outbox(None, clock=clock)
        outbox._database.write(
            lambda connection: connection.execute(
                "INSERT INTO history (id, at, kind, rule, labels, channel, error) "
                "VALUES (10001, 1, 'x', '', '{}', '', '')"
            )
        )
        outbox.override("a", True)
        outbox.override("a", None)
        assert [past.kind for past in outbox.history()] == ["as in its file", "enabled", "x"]
        outbox._database.write(lambda connection: connection.execute("UPDATE history SET id = 1 WHERE kind = 'x'"))
        outbox.override("a", True)
        assert [past.kind for past in outbox.history()] == ["enabled", "as in its file", "enabled"]

    def test_silences_that_ended_a_day_ago_are_forgotten(self, clock: Clock) -> None:
        outbox = Outbox(None, clock=clock)
        outbox.add_silence(silence("old", T0 + 60))
        clock.now += 86_400 + 61
        outbox.add_silence(silence("new", clock.now + 60))
        assert [each.id for each in outbox.silences()] == ["new"]
        assert outbox.end_silence("old") is False

    def test_a_full_disk_loses_nothing(
        self, tmp_path: Path, rules: list[AlertRule], clock: Clock, inbox: Inbox
    ) -> None:
        many = [(({W: f"{number:0200}"}), 12.0, 9) for number in range(100)]
        one = AlertRule("cost", COST > 10, by="workflow_name", actions=[inbox.action])
        with AlertEngine([one], Numbers(cost=many), folder=tmp_path, clock=clock) as engine:
            engine.outbox._database.write(lambda connection: connection.execute("PRAGMA max_page_count = 1"))
            with pytest.raises(StoreError, match="full"):
                engine.tick()
            assert (engine.outbox.states(), engine.outbox.waiting()) == ({}, [])
            engine.tick()
            assert len(engine.outbox.states()["cost"]) == 100
        assert inbox.got

    def test_what_cannot_be_read_in_memory_is_no_file_to_move(self, clock: Clock) -> None:
        outbox = Outbox(None, clock=clock)
        outbox._database.write(lambda connection: connection.execute("INSERT INTO silences VALUES ('s', '{')"))
        assert outbox.silences() == []  # begun anew


class TestLease:
    def test_who_is_gone_has_none(self, clock: Clock) -> None:
        outbox = Outbox(None, clock=clock)
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
        mine = new_owner()
        gone = mine.replace(f"/{os.getpid()}/", f"/{child}/")
        assert outbox.take_lease(gone, T0, 180)
        assert outbox.lease() == (gone, T0 + 180)
        assert outbox.take_lease(mine, T0 + 1, 180)

    @pytest.mark.parametrize(
        "owner",
        [f"elsewhere/{os.getpid()}/x", "strange", new_owner(), f"{os.uname().nodename}/1/x"],
        ids=["another host", "strange", "this process", "a living process"],
    )
    def test_who_may_still_be_there_keeps_it_until_it_lapses(self, clock: Clock, owner: str) -> None:
        outbox = Outbox(None, clock=clock)
        assert outbox.take_lease(owner, T0, 180)
        assert not outbox.take_lease("me/2/y", T0 + 179, 180)
        assert outbox.take_lease("me/2/y", T0 + 180, 180)

    def test_one_that_would_last_impossibly_long_is_free(self, clock: Clock) -> None:
        outbox = Outbox(None, clock=clock)
        outbox.take_lease("elsewhere/1/x", T0 + 10 * 86_400, 180)
        assert outbox.take_lease("me/2/y", T0, 180)

    def test_nobody_gives_back_what_another_has(self, clock: Clock) -> None:
        outbox = Outbox(None, clock=clock)
        outbox.take_lease("elsewhere/1/x", T0, 180)
        outbox.leave_lease("me/2/y")
        assert outbox.lease() is not None
        outbox.leave_lease("elsewhere/1/x")
        assert outbox.lease() is None


class TestStatusFile:
    def test_where_there_is_none_nothing_is_read(self, tmp_path: Path) -> None:
        assert read_status(tmp_path) is None

    @pytest.mark.parametrize(
        ("content", "error"),
        [(b"{", "cannot be read"), (b'{"version": 2}', "version 2"), (b'{"version": 1}', "cannot be read")],
    )
    def test_what_cannot_be_understood_is_said_to_be_so(self, tmp_path: Path, content: bytes, error: str) -> None:
        (tmp_path / STATUS).write_bytes(content)
        with pytest.raises(StoreError, match=error):
            read_status(tmp_path)

    def test_its_folder_is_made(self, tmp_path: Path, clock: Clock) -> None:
        with AlertEngine([], Numbers(), clock=clock) as engine:
            status = engine.tick().status
        write_status(tmp_path / "new", status)
        assert read_status(tmp_path / "new") == status


def test_a_hundred_rules_ask_once(clock: Clock) -> None:
    source = Numbers(cost=12.0, calls=5.0)
    rules = [AlertRule(f"r{number}", (number < COST) & (m.calls.sum("1h") > 1)) for number in range(100)]
    with AlertEngine(rules, source, clock=clock) as engine:
        report = engine.tick()
    assert [len(asked) for asked in source.asked] == [2]
    assert sum(len(states) for states in report.alerts.values()) == 12
    assert all(isinstance(state, AlertState) for states in report.alerts.values() for state in states.values())
