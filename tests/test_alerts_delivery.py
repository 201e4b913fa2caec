"""Messages go out at a channel's pace, are tried again while that can help, and wait for nobody else's channel."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from alert_receivers import RESET, SILENCE, Answer, Receiver, free_port, receive
from attune_monitoring.alerts import AlertAction
from attune_monitoring.alerts.delivery import Deliverer, Report, Row, digest_of
from attune_monitoring.alerts.notification import Notification
from attune_monitoring.errors import ActionError

NOON = 1_795_435_200.0
UNAVAILABLE = Answer(503)
DAY = 86_400.0


class Clock:
    """Time that passes only while somebody waits; `stopped` ends all waiting."""

    def __init__(self) -> None:
        self.now = NOON
        self.waits: list[float] = []
        self.stopped = False
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        with self._lock:
            if seconds and not self.stopped:
                self.now += seconds
                self.waits.append(seconds)
        return self.stopped


class Rows:
    """An outbox in memory."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.waiting: dict[int, tuple[Row, float]] = {}
        self.errors: list[str] = []
        self.buried: dict[int, str] = {}
        self.delivered: list[int] = []

    def add(self, *notifications: Notification, channel: str = "hook", action: int = 0, attempts: int = 0) -> None:
        for notification in notifications:
            row = Row(len(self.waiting) + len(self.delivered), channel, action, notification, attempts, self.clock.now)
            self.waiting[row.id] = (row, self.clock.now)

    def due(self, now: float) -> list[Row]:
        return [row for row, at in self.waiting.values() if at <= now]

    def done(self, row: Row) -> None:
        del self.waiting[row.id]
        self.delivered.append(row.id)

    def failed(self, row: Row, *, at_next: float, error: str) -> None:
        again = Row(row.id, row.channel, row.action, row.notification, row.attempts + 1, row.created)
        self.waiting[row.id] = (again, at_next)
        self.errors.append(error)

    def dead(self, row: Row, error: str) -> None:
        del self.waiting[row.id]
        self.buried[row.id] = error

    def pauses(self) -> list[float]:
        return [at - self.clock.now for _, at in self.waiting.values()]


def alert(number: int = 0, severity: str = "warning", **fields: Any) -> Notification:
    return Notification(key=f"key-{number}", kind="firing", rule=f"rule-{number}", severity=severity, at=NOON, **fields)


def alerts(count: int) -> list[Notification]:
    return [alert(number) for number in range(count)]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rows(clock: Clock) -> Rows:
    return Rows(clock)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receive() as one:
        yield one


Start = Callable[..., Deliverer]


@pytest.fixture
def start(clock: Clock, rows: Rows) -> Start:
    def begin(*actions: AlertAction, **options: Any) -> Deliverer:
        def action_of(row: Row) -> AlertAction | None:
            return actions[row.action] if row.action < len(actions) else None

        return Deliverer(rows, action_of, clock=clock, wait=clock.wait, **{"jitter": lambda: 1.0, **options})

    return begin


def hook(receiver: Receiver | str, **options: Any) -> AlertAction:
    url = receiver if isinstance(receiver, str) else f"{receiver.url}/hooks/1"
    return AlertAction("webhook", {"url": url, **options}, "hook")


def to(function: Callable[[Notification], object], **options: Any) -> AlertAction:
    return AlertAction("callable", {"function": function, **options}, "function")


def test_what_is_delivered_is_done(rows: Rows, receiver: Receiver, start: Start) -> None:
    rows.add(alert())
    assert start(hook(receiver)).deliver() == Report(done=1)
    assert (rows.delivered, receiver.keys) == ([0], ["key-0"])


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_is_success(rows: Rows, receiver: Receiver, start: Start, status: int) -> None:
    receiver.answers = [Answer(status)]
    rows.add(alert())
    assert start(hook(receiver)).deliver().done == 1


@pytest.mark.parametrize("failure", [UNAVAILABLE, Answer(500), Answer(429), Answer(408), RESET])
def test_two_failures_are_followed_by_a_third_quick_try_with_the_same_key(
    rows: Rows, receiver: Receiver, start: Start, clock: Clock, failure: Answer
) -> None:
    receiver.answers = [failure, failure, Answer(204)]
    rows.add(alert())
    assert start(hook(receiver)).deliver() == Report(done=1)
    assert receiver.keys == ["key-0"] * 3
    assert clock.waits == [0.5, 1.0]


def test_the_waits_between_quick_tries_have_jitter(rows: Rows, receiver: Receiver, start: Start, clock: Clock) -> None:
    receiver.answers = [UNAVAILABLE]
    rows.add(alert())
    start(hook(receiver), jitter=lambda: 1.25).deliver()
    assert clock.waits == [0.625, 1.25]
    assert rows.pauses() == [37.5]


def test_the_usual_jitter_stays_within_a_quarter(rows: Rows, receiver: Receiver, clock: Clock) -> None:
    receiver.answers = [UNAVAILABLE]
    rows.add(alert())
    Deliverer(rows, lambda row: hook(receiver), clock=clock, wait=clock.wait).deliver()
    assert 22.5 <= rows.pauses()[0] <= 37.5


def test_after_three_quick_tries_the_pauses_grow_from_half_a_minute_to_an_hour(
    rows: Rows, receiver: Receiver, start: Start, clock: Clock
) -> None:
    receiver.answers = [UNAVAILABLE]
    rows.add(alert())
    deliverer = start(hook(receiver))
    pauses = []
    for _ in range(10):
        assert deliverer.deliver() == Report(failed=1)
        pauses.append(rows.pauses()[0])
        clock.now += pauses[-1]
    assert pauses == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert len(receiver.requests) == 30


def test_a_message_that_is_a_day_old_and_fails_again_is_dead_and_that_is_logged(
    rows: Rows, receiver: Receiver, start: Start, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [UNAVAILABLE]
    rows.add(alert())
    clock.now += DAY
    assert start(hook(receiver)).deliver() == Report(dead=1)
    assert rows.buried == {0: "HTTP 503"}
    assert "hook: the message of rule 'rule-0' is given up: HTTP 503" in caplog.text


def test_a_message_older_than_a_day_is_tried_before_it_is_given_up(
    rows: Rows, receiver: Receiver, start: Start, clock: Clock
) -> None:
    rows.add(alert())
    clock.now += 3 * DAY
    assert start(hook(receiver)).deliver() == Report(done=1)


def test_the_last_try_is_when_the_message_is_a_day_old(
    rows: Rows, receiver: Receiver, start: Start, clock: Clock
) -> None:
    receiver.answers = [UNAVAILABLE]
    rows.add(alert(), attempts=9)
    clock.now += DAY - 600
    start(hook(receiver)).deliver()
    assert rows.pauses() == [pytest.approx(600 - 1.5)]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
def test_another_4xx_is_dead_at_once(
    rows: Rows, receiver: Receiver, start: Start, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    receiver.answers = [Answer(status, body="no such hook")]
    rows.add(alert())
    assert start(hook(receiver)).deliver() == Report(dead=1)
    assert len(receiver.requests) == 1
    assert rows.buried == {0: f"HTTP {status} (no such hook)"}
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_a_message_that_is_refused_does_not_keep_the_next_one(rows: Rows, receiver: Receiver, start: Start) -> None:
    receiver.answers = [Answer(400), Answer(200)]
    rows.add(*alerts(2))
    assert start(hook(receiver)).deliver() == Report(done=1, dead=1)


def test_a_retry_after_of_seconds_is_waited_for(rows: Rows, receiver: Receiver, start: Start, clock: Clock) -> None:
    receiver.answers = [Answer(429, {"Retry-After": "3"}), Answer(200)]
    rows.add(alert())
    assert start(hook(receiver)).deliver() == Report(done=1)
    assert clock.waits == [3.0]


def test_a_retry_after_that_is_a_date_is_counted_from_the_receivers_clock(
    rows: Rows, receiver: Receiver, start: Start, clock: Clock
) -> None:
    dates = {"Date": "Mon, 23 Nov 2026 07:00:00 GMT", "Retry-After": "Mon, 23 Nov 2026 07:00:04 GMT"}
    receiver.answers = [Answer(503, dates), Answer(200)]
    rows.add(alert())
    start(hook(receiver)).deliver()
    assert clock.waits == [4.0]


def test_a_long_retry_after_leaves_the_whole_channel_alone(
    rows: Rows, receiver: Receiver, start: Start, clock: Clock
) -> None:
    receiver.answers = [Answer(429, {"Retry-After": "900"}), Answer(200)]
    rows.add(*alerts(2))
    deliverer = start(hook(receiver))
    assert deliverer.deliver() == Report(failed=2)
    rows.add(alert(2))
    clock.now += 899
    assert (deliverer.deliver(), len(receiver.requests)) == (Report(), 1)
    clock.now += 1
    assert deliverer.deliver().done == 3


@pytest.mark.parametrize("nonsense", ["soon", "-5", "Mon, 99 Foo", "1e400", ""])
def test_a_retry_after_that_is_nonsense_is_passed_over(
    rows: Rows, receiver: Receiver, start: Start, clock: Clock, nonsense: str
) -> None:
    receiver.answers = [Answer(429, {"Retry-After": nonsense}), Answer(200)]
    rows.add(alert())
    start(hook(receiver)).deliver()
    assert clock.waits == [0.5]


def test_a_retry_after_of_years_is_cut_to_the_age_at_which_messages_are_given_up(
    rows: Rows, receiver: Receiver, start: Start
) -> None:
    receiver.answers = [Answer(429, {"Retry-After": "99999999999"})]
    rows.add(alert())
    start(hook(receiver)).deliver()
    assert rows.pauses() == [DAY]


def test_a_receiver_that_never_answers_is_given_up_after_the_time_out(
    rows: Rows, receiver: Receiver, start: Start
) -> None:
    receiver.answers = [SILENCE]
    rows.add(alert())
    assert start(hook(receiver, timeout=0.05)).deliver() == Report(failed=1)
    assert rows.errors == ["no answer within 0.05 s"]
    assert len(receiver.requests) == 3


def test_a_receiver_that_is_not_there_is_tried_again(rows: Rows, start: Start) -> None:
    rows.add(alert())
    assert start(hook(f"http://127.0.0.1:{free_port()}/x")).deliver() == Report(failed=1)
    assert rows.errors == ["no connection (ConnectionRefusedError)"]


def test_a_channel_that_never_answers_does_not_delay_another(rows: Rows, receiver: Receiver, start: Start) -> None:
    with receive() as broken:
        broken.answers = [SILENCE]
        rows.add(alert(0), action=0)
        rows.add(alert(1), action=1)
        deliverer = start(hook(broken), hook(receiver))
        while not rows.delivered:
            deliverer.deliver(patience=0.0)
        assert (rows.delivered, [row.id for row, _ in rows.waiting.values()]) == ([1], [0])


def test_a_channel_that_is_busy_is_not_handed_the_same_message_again(rows: Rows, start: Start) -> None:
    began, answer = threading.Event(), threading.Event()
    taken: list[str] = []

    def slow(notification: Notification) -> None:
        taken.append(notification.key)
        began.set()
        answer.wait()

    rows.add(alert())
    deliverer = start(to(slow))
    deliverer.deliver(patience=0.0)
    began.wait()
    deliverer.deliver(patience=0.0)
    answer.set()
    assert deliverer.deliver() == Report(done=1)
    assert taken == ["key-0"]


def test_a_broken_channel_is_not_tried_with_each_of_many_messages(rows: Rows, receiver: Receiver, start: Start) -> None:
    receiver.answers = [UNAVAILABLE]
    rows.add(*alerts(50))
    assert start(hook(receiver, rate=1000)).deliver() == Report(failed=50)
    assert len(receiver.requests) == 6


def test_one_message_that_the_receiver_fails_on_does_not_keep_the_others(rows: Rows, start: Start) -> None:
    def picky(notification: Notification) -> None:
        if notification.key == "key-0":
            raise RuntimeError("cannot cope")

    rows.add(*alerts(3))
    assert start(to(picky)).deliver() == Report(done=2, failed=1)


def test_a_broken_channel_rests_before_it_is_tried_with_new_messages(
    rows: Rows, receiver: Receiver, start: Start, clock: Clock
) -> None:
    receiver.answers = [UNAVAILABLE]
    rows.add(alert(0))
    deliverer = start(hook(receiver))
    deliverer.deliver()
    rows.add(alert(1))
    assert (deliverer.deliver(), len(receiver.requests)) == (Report(), 3)
    receiver.answers = [Answer(200)]
    clock.now += 30
    assert deliverer.deliver() == Report(done=2)
    assert receiver.keys[3:] == ["key-0", "key-1"]


def test_a_rest_ends_where_the_clock_was_set_back(rows: Rows, receiver: Receiver, start: Start, clock: Clock) -> None:
    receiver.answers = [UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, Answer(200)]
    rows.add(alert(0))
    deliverer = start(hook(receiver))
    deliverer.deliver()
    clock.now -= 10 * DAY
    rows.add(alert(1))
    assert deliverer.deliver().done == 1


def test_slack_is_told_once_a_second_and_more_becomes_one_digest(
    rows: Rows, receiver: Receiver, start: Start, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    rows.add(*alerts(10), channel="team")
    deliverer = start(AlertAction("slack", {"url": receiver.url}, "team"))
    with caplog.at_level(logging.INFO):
        assert deliverer.deliver() == Report(done=10)
    assert receiver.keys[:2] == ["key-0", "key-1"]
    assert len(receiver.keys) == 3
    assert "8 alerts: 8 warning" in receiver.requests[2].json["text"]
    assert "team: 8 messages at once are more than it takes; they go as one digest" in caplog.text
    rows.add(alert(20))
    deliverer.deliver()
    assert clock.waits == [1.0]


def test_a_bucket_fills_while_nothing_is_sent(rows: Rows, receiver: Receiver, start: Start, clock: Clock) -> None:
    deliverer = start(hook(receiver, rate=1))
    rows.add(*alerts(3))
    deliverer.deliver()
    clock.now += 3
    rows.add(*(alert(number) for number in (3, 4, 5)))
    deliverer.deliver()
    assert (len(receiver.requests), clock.waits) == (6, [])


def test_a_pace_slower_than_a_few_seconds_leaves_messages_in_the_queue(
    rows: Rows, receiver: Receiver, start: Start, clock: Clock
) -> None:
    deliverer = start(hook(receiver, rate=0.01))
    rows.add(*alerts(3))
    deliverer.deliver()
    rows.add(alert(3), alert(4))
    assert (deliverer.deliver(), clock.waits, len(rows.waiting)) == (Report(), [], 2)
    clock.now += 100
    assert deliverer.deliver() == Report(done=2)
    assert receiver.requests[-1].json["kind"] == "digest"


def test_the_same_receiver_of_several_rules_has_one_pace(rows: Rows, receiver: Receiver, start: Start) -> None:
    rows.add(*alerts(3), action=0)
    rows.add(*alerts(3), action=1)
    start(hook(receiver, rate=1), hook(receiver, rate=1)).deliver()
    assert len(receiver.requests) == 3


def test_a_digest_tells_the_worst_first_and_says_how_many_of_each() -> None:
    waiting = [alert(0, "info"), alert(1, "critical"), alert(2, "warning"), alert(3, "critical")]
    digest = digest_of([Row(n, "c", 0, one, 0, NOON) for n, one in enumerate(waiting)])
    assert (digest.kind, digest.severity) == ("digest", "critical")
    assert digest.summary == "4 alerts: 2 critical, 1 warning, 1 info"
    assert [part.key for part in digest.parts] == ["key-1", "key-3", "key-2", "key-0"]


def test_the_same_messages_make_a_digest_of_the_same_key() -> None:
    several = [Row(n, "c", 0, alert(n), 0, NOON) for n in range(3)]
    assert digest_of(several).key == digest_of(several[::-1]).key != digest_of(several[:2]).key


def test_a_digest_of_digests_holds_the_messages_themselves() -> None:
    inner = digest_of([Row(n, "c", 0, alert(n), 0, NOON) for n in range(2)])
    outer = digest_of([Row(0, "c", 0, inner, 0, NOON), Row(1, "c", 0, alert(9), 0, NOON)])
    assert sorted(part.key for part in outer.parts) == ["key-0", "key-1", "key-9"]


def test_nothing_waits_any_longer_once_it_is_time_to_stop(
    rows: Rows, receiver: Receiver, start: Start, clock: Clock
) -> None:
    rows.add(*alerts(5))

    def stop(notification: Notification) -> None:
        clock.stopped = True
        raise RuntimeError("fails")

    assert start(to(stop)).deliver() == Report()
    assert (len(rows.waiting), clock.waits) == (5, [])


def test_an_event_ends_a_round_whose_channel_does_not_answer(rows: Rows, start: Start) -> None:
    answer, stop = threading.Event(), threading.Event()

    def silent(notification: Notification) -> None:
        stop.set()
        answer.wait()

    rows.add(alert())
    assert start(to(silent)).deliver(stop, patience=3600.0) == Report()
    assert rows.due(NOON) != []
    answer.set()


def test_a_message_of_a_rule_that_is_gone_is_dead(rows: Rows, start: Start) -> None:
    rows.add(alert())
    assert start().deliver() == Report(dead=1)
    assert rows.buried == {0: "its rule has no such action any more"}


def test_an_action_whose_options_are_wrong_keeps_its_messages_until_that_is_mended(rows: Rows, start: Start) -> None:
    rows.add(alert())
    assert start(AlertAction("webhook", {})).deliver() == Report(failed=1)
    assert "key 'url' is missing" in rows.errors[0]


def test_a_function_says_that_trying_again_is_no_use(rows: Rows, start: Start) -> None:
    def refuse(notification: Notification) -> None:
        raise ActionError("never", retryable=False)

    rows.add(alert())
    assert start(to(refuse)).deliver() == Report(dead=1)


def test_a_function_that_ends_the_program_is_a_failure_like_another(rows: Rows, start: Start) -> None:
    def leave(notification: Notification) -> None:
        raise SystemExit(1)

    rows.add(alert())
    assert start(to(leave)).deliver() == Report(failed=1)
