"""The life of an alert, minute by minute, and who is told of it: tables of what was seen and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
import pytest

from attune_monitoring.alerts import AlertAction, AlertRule, m
from attune_monitoring.alerts.announcement import Grouping, Message, announce
from attune_monitoring.alerts.evaluation import Observation, Observed
from attune_monitoring.alerts.silences import Matcher, Silence, matcher_of, silence_of
from attune_monitoring.alerts.state import ERROR_KEY, AlertState, Event, advance, key_of
from attune_monitoring.errors import ConfigError

MINUTE = 60.0
T0 = 1_800_000_000.0
COST = m.cost.sum("1h")
SEEN: Mapping[str, tuple[bool | None, bool | None]] = {
    "T": (True, False),  # holds
    "h": (False, False),  # does not hold, and does not end either
    ".": (False, True),  # does not hold
    "-": (None, None),  # no data
}
SHOWN = {"inactive": ".", "pending": "p", "firing": "F", "recovering": "r", "resolved": "R"}


def rule(name: str = "cost", **options: Any) -> AlertRule:
    return AlertRule(name, COST > 10, **{"actions": [AlertAction("stdout")], **options})


def seen(mark: str, value: float | None = None, **labels: str) -> Observed:
    if mark == "x":
        return Observed(error="SourceError: away")
    if mark == " ":
        return Observed()
    return Observed((Observation(labels, *SEEN[mark], None if mark == "-" else value),))


class Played(NamedTuple):
    statuses: str
    messages: list[tuple[int, str]]
    """Minute and kind."""
    events: list[tuple[int, str]]
    states: dict[str, AlertState]
    sent: list[Message]


def stored(states: dict[str, AlertState]) -> dict[str, AlertState]:
    return msgspec.json.decode(msgspec.json.encode(states), type=dict[str, AlertState])


def play(
    one: AlertRule | Callable[[int], AlertRule],
    timeline: str,
    *,
    times: Callable[[int], float] = lambda minute: T0 + minute * MINUTE,
    silences: Iterable[Silence] = (),
    restart: bool = False,
) -> Played:
    """Evaluate once a minute; with `restart` all that is remembered goes through the database's format each time."""
    states: dict[str, AlertState] = {}
    played = Played("", [], [], {}, [])
    statuses = ""
    for minute, mark in enumerate(timeline):
        now, current = times(minute), one if isinstance(one, AlertRule) else one(minute)
        states, events = advance(current, seen(mark, float(minute)), states, now)
        announced = announce([(current, states)], list(silences), now, Grouping())
        states.update({key: state for (_, key), state in announced.states.items()})
        statuses += SHOWN[states.get(key_of({}), AlertState()).status]
        played.messages.extend((minute, each.notification.kind) for each in announced.messages)
        played.events.extend((minute, event.kind) for event in events)
        played.sent.extend(announced.messages)
        if restart:
            states = stored(states)
    return played._replace(statuses=statuses, states=states)


F, R, REMIND = "firing", "resolved", "reminder"
TABLE: Mapping[str, tuple[dict[str, Any], str, str, list[tuple[int, str]]]] = {
    "it fires at once where nothing is waited for": ({}, "..TT.", "..FFR", [(2, F), (4, R)]),
    "nothing is told of what never held": ({}, ".....", ".....", []),
    "it is pending until it has held for as long as it should": (
        {"for_": "3m"}, "TTTTT.", "pppFFR", [(3, F), (5, R)],
    ),
    "a condition that ceases while pending is never told": ({"for_": "3m"}, "TT.TT.", "pp.pp.", []),
    "pending begins anew after it ceased": ({"for_": "2m"}, "TT.TTT", "pp.ppF", [(5, F)]),
    "no data while pending ends it": ({"for_": "2m"}, "TT-TTT", "pp.ppF", [(5, F)]),
    "it goes on firing for a while after it ceased": (
        {"keep_firing_for": "2m"}, "T....", "FrrR.", [(0, F), (3, R)],
    ),
    "a condition that is back within that time was never away": (
        {"keep_firing_for": "2m"}, "T.T.T...", "FrFrFrrR", [(0, F), (7, R)],
    ),
    "a resolved alert can fire again": ({}, "T.T.", "FRFR", [(0, F), (1, R), (2, F), (3, R)]),
    "between the two thresholds it goes on firing": (
        {"resolve_when": COST < 5}, "ThhTh.h", "FFFFFR.", [(0, F), (5, R)],
    ),
    "between the two thresholds it does not begin to fire": ({"resolve_when": COST < 5}, "hhh", "...", []),
    "what recovers and comes back between the thresholds has not recovered": (
        {"resolve_when": COST < 5, "keep_firing_for": "2m"}, "T.h...", "FrFrrR", [(0, F), (5, R)],
    ),
    "no data ends it": ({}, "TT-.", "FFR.", [(0, F), (2, R)]),
    "no data ends it also where it has a threshold of its own to end": (
        {"resolve_when": COST < 5}, "T-", "FR", [(0, F), (1, R)],
    ),
    "no data leaves it as it is": ({"no_data": "keep"}, "-T--.", ".FFFR", [(1, F), (4, R)]),
    "no data leaves it pending": ({"no_data": "keep", "for_": "2m"}, "T-T", "ppF", [(2, F)]),
    "no data is an alert": ({"no_data": "alert"}, "-.", "FR", [(0, "no_data"), (1, R)]),
    "no data is an alert after as long as the condition would be": (
        {"no_data": "alert", "for_": "2m"}, "---.", "ppFR", [(2, "no_data"), (3, R)],
    ),
    "what fires goes on firing without data": ({"no_data": "alert"}, "T--T.", "FFFFR", [(0, F), (4, R)]),
    "that the condition holds after all is news": (
        {"no_data": "alert"}, "-TT.", "FFFR", [(0, "no_data"), (1, F), (3, R)],
    ),
    "data between the thresholds end what fired for want of data": (
        {"no_data": "alert", "resolve_when": COST < 5}, "-h", "FR", [(0, "no_data"), (1, R)],
    ),
    "a series that is gone has no data": ({}, "T .", "FR.", [(0, F), (1, R)]),
    "a series that is gone is an alert": ({"no_data": "alert"}, ". .", ".FR", [(1, "no_data"), (2, R)]),
    "an error neither fires nor resolves": ({}, "Tx.x", "FFR.", [(0, F), (2, R)]),
    "an error does not fire what is pending": ({"for_": "2m"}, "Txx", "ppp", []),
    "three errors in a row are an alert of their own": (
        {}, "TxxxxTxT.", "FFFFFFFFR", [(0, F), (3, "error"), (5, R), (8, R)],
    ),
    "errors with successes between them are none": ({}, "xx.xx.", "......", []),
    "it is told again as often as its cooldown says": (
        {"cooldown": "3m"}, "TTTTTTTT.", "FFFFFFFFR", [(0, F), (3, REMIND), (6, REMIND), (8, R)],
    ),
    "what recovers is not said to fire still": (
        {"cooldown": "2m", "keep_firing_for": "9m"}, "T......", "Frrrrrr", [(0, F)],
    ),
    "what comes and goes is held as firing, and its end is told": (
        {}, "T.T.T.T.T." + "." * 55, "FRFRF" + "rFrFr" + "r" * 54 + "R",
        [(0, F), (1, R), (2, F), (3, R), (4, F), (64, R)],
    ),
    "a disabled rule's alert ends": ({"enabled": False}, "TT", "..", []),
}  # fmt: skip


@pytest.mark.parametrize("restart", [False, True], ids=["in one process", "restarted each minute"])
@pytest.mark.parametrize("case", TABLE)
def test_table(case: str, restart: bool) -> None:
    options, timeline, statuses, messages = TABLE[case]
    played = play(rule(**options), timeline, restart=restart)
    assert (played.statuses, played.messages) == (statuses, messages)


def test_every_status_of_a_table_has_been_restarted_in() -> None:
    assert set("".join(statuses for _, _, statuses, _ in TABLE.values())) == set(".pFrR")


class TestTime:
    def test_a_laptop_that_slept_for_eight_hours_tells_once(self) -> None:
        def times(minute: int) -> float:
            return T0 + minute * MINUTE + (8 * 3600 if minute >= 2 else 0)

        played = play(rule(for_="5m", cooldown="1h"), "TTTTT", times=times)
        assert played.messages == [(2, F)]

    def test_reminders_that_a_sleeping_laptop_missed_are_one(self) -> None:
        played = play(rule(cooldown="10m"), "TTTT", times=lambda minute: T0 + minute * MINUTE + (minute > 1) * 28_800)
        assert played.messages == [(0, F), (2, REMIND)]

    def test_a_clock_that_is_set_back_neither_ends_nor_tells_again(self) -> None:
        played = play(rule(for_="2m"), "TTTTT.", times=lambda minute: T0 + minute * MINUTE - (minute >= 4) * 86_400)
        assert (played.statuses, played.messages) == ("ppFFFR", [(2, F), (5, R)])

    def test_after_a_clock_was_set_back_pending_begins_anew(self) -> None:
        played = play(rule(for_="2m"), "TTTTT", times=lambda minute: T0 + minute * MINUTE - (minute >= 2) * 86_400)
        assert played.statuses == "ppppF"

    def test_reminders_go_on_after_a_clock_was_set_back(self) -> None:
        played = play(
            rule(cooldown="2m"), "TTTTTTT", times=lambda minute: T0 + minute * MINUTE - (minute >= 3) * 86_400
        )
        assert played.messages == [(0, F), (2, REMIND), (5, REMIND)]

    def test_what_recovers_while_the_clock_is_set_back_waits_as_long_again(self) -> None:
        played = play(
            rule(keep_firing_for="2m"), "T......", times=lambda minute: T0 + minute * MINUTE - (minute >= 2) * 86_400
        )
        assert played.statuses == "FrrrR.."

    def test_the_end_says_for_how_long_it_fired_and_what_the_value_is_now(self) -> None:
        end = play(rule(), "TTT.").sent[-1].notification
        assert (end.kind, end.seconds, end.value) == ("resolved", 3 * MINUTE, 3.0)


class TestEditedRules:
    def test_a_longer_for_makes_it_pending_again_and_tells_nothing_twice(self) -> None:
        played = play(lambda minute: rule(for_="1m" if minute < 3 else "5m"), "TTTTTTT.")
        assert (played.statuses, played.messages) == ("pFFppFFR", [(1, F), (7, R)])

    def test_pending_again_it_can_end(self) -> None:
        played = play(lambda minute: rule(for_="1m" if minute < 2 else "5m"), "TTT..")
        assert (played.statuses, played.messages) == ("pFpR.", [(1, F), (3, R)])

    def test_a_shorter_for_fires_what_is_pending(self) -> None:
        assert play(lambda minute: rule(for_="9m" if minute < 2 else "1m"), "TTTT").statuses == "ppFF"

    def test_disabling_ends_what_fires(self) -> None:
        played = play(lambda minute: rule(enabled=minute < 2), "TTTT")
        assert (played.statuses, played.messages) == ("FFR.", [(0, F), (2, R)])

    def test_disabling_forgets_what_is_pending(self) -> None:
        played = play(lambda minute: rule(enabled=minute < 2, for_="9m"), "TTTT")
        assert (played.statuses, played.messages) == ("pp..", [])

    def test_disabling_ends_the_alert_that_it_cannot_be_evaluated(self) -> None:
        states: dict[str, AlertState] = {}
        for minute in range(4):
            states, _ = advance(rule(), seen("x"), states, T0 + minute)
        assert states[ERROR_KEY].status == "firing"
        states, events = advance(rule(enabled=False), Observed(), states, T0 + 9)
        assert [event.kind for event in events] == ["resolved"]


def test_events_tell_what_happened_once_each() -> None:
    assert play(rule(for_="1m", keep_firing_for="1m"), "TTTT.T...").events == [
        (0, "pending"),
        (1, "firing"),
        (7, "resolved"),
    ]


def test_an_error_after_the_end_does_not_tell_the_end_again() -> None:
    assert play(rule(), "T.xx.").messages == [(0, F), (1, R)]


def test_what_is_over_is_forgotten() -> None:
    assert play(rule(), "T." + "." * 61).states == {}


def test_what_a_rule_saw_is_remembered_where_its_absence_is_an_alert() -> None:
    assert list(play(rule(no_data="alert"), "..").states) == [key_of({})]


def test_combinations_of_labels_are_alerts_of_their_own() -> None:
    both = Observed((Observation({"w": "a"}, True, None, 11.0), Observation({"w": "b"}, False, None, 1.0)))
    states, events = advance(rule(), both, {}, T0)
    assert [(event.kind, event.labels) for event in events] == [("firing", {"w": "a"})]
    assert list(states) == [key_of({"w": "a"})]


def firing(one: AlertRule, *labels: Mapping[str, str], at: float = T0) -> tuple[AlertRule, dict[str, AlertState]]:
    held = Observed(tuple(Observation(each, True, None, 11.0) for each in labels or ({},)))
    return one, advance(one, held, {}, at)[0]


def told(*rules: tuple[AlertRule, dict[str, AlertState]], now: float = T0, **options: Any) -> list[tuple[str, str]]:
    """What is told, as (rule, kind); what was told is remembered in the states."""
    announced = announce(rules, options.get("silences", ()), now, options.get("grouping", Grouping()))
    for one, states in rules:
        states.update({key: state for (name, key), state in announced.states.items() if name == one.name})
    return [(each.notification.rule, each.notification.kind) for each in announced.messages]


def ended(one: tuple[AlertRule, dict[str, AlertState]], at: float = T0 + 60) -> tuple[AlertRule, dict[str, AlertState]]:
    return one[0], advance(one[0], Observed(), one[1], at)[0]


class TestInhibition:
    labels: Mapping[str, str] = {"alert": "spend"}

    def mild(self) -> AlertRule:
        return rule("mild", labels=self.labels)

    def severe(self) -> AlertRule:
        return rule("severe", labels=self.labels, severity="critical")

    def test_a_critical_alert_mutes_the_warning_of_the_same_kind(self) -> None:
        assert told(firing(self.mild()), firing(self.severe())) == [("severe", F)]

    def test_it_mutes_only_those_with_the_same_labels(self) -> None:
        assert told(firing(self.mild(), {"w": "a"}, {"w": "b"}), firing(self.severe(), {"w": "a"})) == [
            ("mild", F),
            ("severe", F),
        ]

    def test_it_mutes_no_rule_of_another_name(self) -> None:
        assert told(firing(rule("a")), firing(rule("b", severity="critical"))) == [("a", F), ("b", F)]

    def test_when_the_critical_one_ends_the_warning_is_told_instead_of_the_end(self) -> None:
        mild, severe = firing(self.mild()), firing(self.severe())
        told(mild, severe)
        assert told(mild, ended(severe), now=T0 + 60) == [("mild", F)]

    def test_a_warning_that_was_told_before_is_told_anew_instead_of_the_end(self) -> None:
        mild = firing(self.mild())
        assert told(mild) == [("mild", F)]
        severe = firing(self.severe())
        assert told(mild, severe) == [("severe", F)]
        assert told(mild, ended(severe), now=T0 + 60) == [("mild", REMIND)]

    def test_both_ends_are_told_where_both_were_told(self) -> None:
        mild = firing(self.mild())
        told(mild)
        severe = firing(self.severe())
        told(mild, severe)
        assert told(ended(mild), ended(severe), now=T0 + 60) == [("mild", R), ("severe", R)]

    def test_the_end_of_a_warning_that_was_muted_is_not_told(self) -> None:
        mild, severe = firing(self.mild()), firing(self.severe())
        told(mild, severe)
        assert told(ended(mild), severe, now=T0 + 60) == []


def silence(*matchers: str, until: float = T0 + 3600) -> Silence:
    return Silence(id="s1", matchers=tuple(map(matcher_of, matchers)), starts_at=T0, ends_at=until, author="ann")


class TestSilences:
    @pytest.mark.parametrize(
        ("matchers", "is_muted"),
        [
            (["rule=cost"], True),
            (["rule=other"], False),
            (["rule!=other"], True),
            (["severity=warning"], True),
            (["workflow_name=nightly"], True),
            (["workflow_name=~night.*"], True),
            (["workflow_name=~night"], False),
            (["workflow_name=~day|night(ly|s)"], True),
            (["team=money"], True),
            (["missing="], True),
            (["rule=cost", "workflow_name=other"], False),
            (['rule="cost"'], True),
        ],
    )
    def test_it_mutes_what_all_its_matchers_match(self, matchers: list[str], is_muted: bool) -> None:
        one = firing(rule(labels={"team": "money"}), {"workflow_name": "nightly"})
        assert (told(one, silences=[silence(*matchers)]) == []) is is_muted

    def test_what_still_fires_when_it_is_over_is_told_then(self) -> None:
        quiet = silence("rule=cost", until=T0 + 2 * MINUTE)
        assert play(rule(), "TTTT.", silences=[quiet]).messages == [(2, F), (4, R)]

    def test_what_began_and_ended_under_it_is_never_told(self) -> None:
        assert play(rule(), "TT..", silences=[silence("rule=cost")]).messages == []

    def test_it_mutes_reminders(self) -> None:
        one = firing(rule(cooldown="1m"))
        told(one)
        assert told(one, now=T0 + 60, silences=[silence("rule=cost")]) == []

    def test_the_end_of_what_was_told_before_is_told(self) -> None:
        one = firing(rule())
        told(one)
        assert told(ended(one), now=T0 + 60, silences=[silence("rule=cost")]) == [("cost", R)]

    def test_before_it_begins_and_after_it_ended_it_mutes_nothing(self) -> None:
        quiet = silence("rule=cost")
        assert [quiet.mutes({"rule": "cost"}, now) for now in (T0 - 1, T0, T0 + 3599, T0 + 3600)] == [
            False,
            True,
            True,
            False,
        ]

    def test_of_several_the_one_that_lasts_longest_is_named(self) -> None:
        found = silence_of({"rule": "cost"}, [silence("rule=cost", until=T0 + n) for n in (60, 180, 120)], T0)
        assert found is not None and found.ends_at == T0 + 180

    def test_a_silence_without_matchers_would_silence_everything_and_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="needs a matcher"):
            silence()

    def test_a_silence_ends_after_it_begins(self) -> None:
        with pytest.raises(ConfigError, match="ends after it begins"):
            silence("rule=cost", until=T0)

    @pytest.mark.parametrize("text", ["", "cost", "=x", "rule>3", "1abc=x"])
    def test_what_is_no_matcher_is_refused_with_an_example(self, text: str) -> None:
        with pytest.raises(ConfigError, match="write rule=NAME"):
            matcher_of(text)

    @pytest.mark.parametrize(
        "pattern",
        ["(a+)+b", "(a|a)*", "(?=x)", r"(a)\1", "a*a*a*a*", "a?a?a?a?", "(a|a)(a|a)(a|a)(a|a)", "x" * 201, "[", "a**"],
    )
    def test_patterns_that_could_take_long_are_refused(self, pattern: str) -> None:
        with pytest.raises(ConfigError, match="no pattern"):
            matcher_of(f"workflow_name=~{pattern}")

    @pytest.mark.parametrize("pattern", [r"[+*?]+", r"a\+\+\+\+\+", r"[]+*?{(]x", r"\(\(\(\(\(\("])
    def test_signs_that_stand_for_themselves_do_not_count(self, pattern: str) -> None:
        assert matcher_of(f"workflow_name=~{pattern}").operator == "=~"

    def test_a_matcher_reads_as_it_was_written(self) -> None:
        assert str(Matcher("rule", "!=", "cost")) == "rule!=cost"


class TestGrouping:
    def test_without_it_each_alert_is_a_message(self) -> None:
        assert told(firing(rule("a")), firing(rule("b"))) == [("a", F), ("b", F)]

    def test_alerts_of_a_group_are_one_message_with_all_of_them(self) -> None:
        both = [firing(rule("a", severity="info")), firing(rule("b", severity="critical"))]
        (message,) = announce(both, (), T0, Grouping(by=())).messages
        assert message.notification.kind == "digest"
        assert [part.rule for part in message.notification.parts] == ["a", "b"]
        assert message.notification.severity == "critical"
        assert message.notification.summary == "2 alerts: a firing, b firing"

    def test_a_group_of_one_is_a_plain_message(self) -> None:
        assert told(firing(rule("a")), grouping=Grouping(by=())) == [("a", F)]

    def test_groups_have_the_same_values_of_the_labels(self) -> None:
        one = firing(rule("a"), {"w": "x"}, {"w": "y"})
        other = firing(rule("b"), {"w": "x"})
        announced = announce([one, other], (), T0, Grouping(by=("w",)))
        assert [(each.notification.kind, each.notification.labels) for each in announced.messages] == [
            ("digest", {"w": "x"}),
            ("firing", {"w": "y"}),
        ]

    def test_other_channels_get_messages_of_their_own(self) -> None:
        one = firing(rule("a", actions=[AlertAction("stdout"), AlertAction("slack", {"url": "x"})]))
        other = firing(rule("b"))
        announced = announce([one, other], (), T0, Grouping(by=()))
        assert [(each.action.type, each.notification.kind) for each in announced.messages] == [
            ("stdout", "digest"),
            ("slack", "firing"),
        ]

    def test_the_first_of_a_group_waits_for_others(self) -> None:
        grouping = Grouping(by=(), wait=120)
        one = firing(rule("a"))
        assert told(one, now=T0 + 60, grouping=grouping) == []
        other = firing(rule("b"), at=T0 + 90)
        assert told(one, other, now=T0 + 120, grouping=grouping) == [("a", "digest")]

    def test_what_is_over_before_its_group_was_told_of_is_never_told(self) -> None:
        grouping = Grouping(by=(), wait=120)
        one = firing(rule("a"))
        assert told(one, grouping=grouping) == []
        assert told(ended(one), now=T0 + 300, grouping=grouping) == []


class TestMessages:
    def test_each_action_has_a_key_of_its_own_and_the_same_evaluation_the_same_keys(self) -> None:
        one = firing(rule(actions=[AlertAction("stdout"), AlertAction("slack", {"url": "x"})]))
        keys = [each.notification.key for each in announce([one], (), T0, Grouping()).messages]
        assert keys == [each.notification.key for each in announce([one], (), T0, Grouping()).messages]
        assert len(set(keys)) == 2

    def test_every_message_of_an_alert_has_another_key(self) -> None:
        keys = [each.notification.key for each in play(rule(cooldown="1m"), "TTT.T").sent]
        assert len(set(keys)) == len(keys) == 5

    def test_annotations_are_filled_in_and_the_summary_is_one_of_them(self) -> None:
        one = rule(annotations={"summary": "{value:.1f} USD in {workflow_name}", "runbook_url": "https://x.example"})
        (message,) = announce([firing(one, {"workflow_name": "nightly"})], (), T0, Grouping()).messages
        assert message.notification.summary == "11.0 USD in nightly"
        assert message.notification.annotations == {"runbook_url": "https://x.example"}

    def test_a_template_that_cannot_be_filled_is_shown_as_it_is(self) -> None:
        (message,) = announce([firing(rule(annotations={"summary": "{value.x}"}))], (), T0, Grouping()).messages
        assert message.notification.summary == "{value.x}"

    def test_without_a_summary_there_is_one_of_name_labels_and_value(self) -> None:
        (message,) = announce([firing(rule(labels={"team": "a"}), {"w": "b"})], (), T0, Grouping()).messages
        assert message.notification.summary == "cost (team=a, w=b): 11"

    def test_the_condition_is_told(self) -> None:
        (message,) = announce([firing(rule())], (), T0, Grouping()).messages
        assert message.notification.condition == "cost.sum('1h') > 10"

    def test_a_rule_that_cannot_be_evaluated_is_told_under_a_name_of_its_own(self) -> None:
        error = next(each.notification for each in play(rule(), "xxx").sent)
        assert (error.rule, error.labels, error.annotations) == (
            "rule_error",
            {"rule": "cost"},
            {"error": "SourceError: away"},
        )


def test_an_event_has_what_a_timeline_needs() -> None:
    _, events = advance(rule(), seen("T", 12.5, w="a"), {}, T0)
    assert events == [Event("firing", "cost", {"w": "a"}, T0, 12.5)]
