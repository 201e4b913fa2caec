"""What rules would have done over a stretch of the past: their alerts and how often somebody would have been told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from attune_monitoring.errors import MonitoringError
from attune_monitoring.query import Source

from .announcement import Grouping, announce
from .evaluation import Glance, observe
from .rule import AlertAction, AlertRule
from .state import ERROR_KEY, AlertState, advance, key_of

__all__ = ["Episode", "RuleTimeline", "backtest", "timeline"]

INTERVAL = 60.0


class Episode(msgspec.Struct, kw_only=True):
    """One time that an alert would have fired. Times are seconds since the epoch.

    Args:
        labels: of the alert.
        reason: why: its condition held, there was no data, or the rule could not be evaluated.
        pending_at: when its condition began to hold.
        fired_at: when it began to fire.
        resolved_at: when it ended; None where it had not when the backtest did.
        value: when it began to fire.
        peak: the largest value while it fired.
        notifications: messages that would have been sent, its end included.
    """

    labels: Mapping[str, str]
    reason: Literal["condition", "no_data", "error"] = "condition"
    pending_at: float
    fired_at: float
    resolved_at: float | None = None
    value: float | None = None
    peak: float | None = None
    notifications: int = 0

    def seconds(self, until: float) -> float:
        """Return how long it fired, at most until then."""
        return (until if self.resolved_at is None else self.resolved_at) - self.fired_at


class RuleTimeline(msgspec.Struct, kw_only=True):
    """What one rule would have done.

    Args:
        rule: its name.
        episodes: the times it would have fired, in order.
        notifications: messages to each of its actions.
        errors: evaluations that failed.
        error: what the last of them said.
    """

    rule: str
    episodes: list[Episode] = []
    notifications: int = 0
    errors: int = 0
    error: str = ""


def backtest(
    rules: Sequence[AlertRule],
    source: Source,
    start: float,
    end: float,
    *,
    interval: float = INTERVAL,
    progress: Callable[[float, float], None] | None = None,
) -> list[RuleTimeline]:
    """Return what each rule would have done between two times, as if a watcher had looked at every interval.

    Nothing is sent, and nothing that is known later is used. It begins without any alert; silences do not count.

    Args:
        rules: the rules; disabled ones do nothing.
        source: who answers for past moments; `sources.replay.ReplaySource` does without reading anything twice.
        start: the first evaluation (seconds since the epoch).
        end: the last one at most.
        interval: seconds between evaluations.
        progress: is told seconds done and seconds in all, now and then.
    """
    # With exactly one action each, the messages that are made are those that each action would have had.
    watched = [rule.changed(actions=(AlertAction("stdout", name=rule.name),)) for rule in rules]
    found = [RuleTimeline(rule=rule.name, episodes=[]) for rule in watched]
    states: list[dict[str, AlertState]] = [{} for _ in watched]
    glances = [Glance(rule) if rule.when is not None and rule.no_data != "alert" else None for rule in watched]
    steps = int((end - start) // interval) + 1
    for step in range(steps):
        now = start + step * interval
        for place, rule in enumerate(watched):
            # Nothing was and nothing is: so it is nearly always, and then there is nothing to work out.
            if states[place] or not _is_quiet(glances[place], source, now - rule.eval_delay):
                [observed] = observe([rule], source, now)
                found[place].errors += bool(observed.error)
                found[place].error = observed.error or found[place].error
                states[place], _ = advance(rule, observed, states[place], now)
        if any(states):
            _note(watched, states, found, now)
        if progress is not None and step % 1000 == 0:
            progress(step * interval, end - start)
    return found


def timeline(found: Sequence[RuleTimeline]) -> list[tuple[float, Literal["fires", "resolved"], str, Episode]]:
    """Return what happened, in the order of time: when, what, the rule's name and the episode."""
    happened: list[tuple[float, Literal["fires", "resolved"], str, Episode]] = []
    for each in found:
        for episode in each.episodes:
            happened.append((episode.fired_at, "fires", each.rule, episode))
            if episode.resolved_at is not None:
                happened.append((episode.resolved_at, "resolved", each.rule, episode))
    return sorted(happened, key=lambda one: (one[0], one[1] == "fires", one[2]))


def _is_quiet(glance: Glance | None, source: Source, moment: float) -> bool:
    if glance is None:
        return False
    try:
        return glance.is_quiet(source.answer(glance.queries, datetime.fromtimestamp(moment, UTC)))
    except MonitoringError:  # the evaluation will say what is wrong
        return False


def _note(
    rules: Sequence[AlertRule], states: Sequence[dict[str, AlertState]], found: Sequence[RuleTimeline], now: float
) -> None:
    """Write down what began and ended, and take what was told into the states."""
    announced = announce(list(zip(rules, states, strict=True)), (), now, Grouping())
    messages: dict[tuple[str, str], int] = {}
    for message in announced.messages:
        labels = {name: value for name, value in message.notification.labels.items() if name in message.rule.by}
        error = message.notification.kind == "error" or message.notification.rule == ERROR_KEY
        place = message.rule.name, ERROR_KEY if error else key_of(labels)
        messages[place] = messages.get(place, 0) + 1
    for rule, alerts, line in zip(rules, states, found, strict=True):
        for key, state in alerts.items():
            sent = messages.get((rule.name, key), 0)
            line.notifications += sent
            _note_alert(line, state, sent)
            told = announced.states.get((rule.name, key))
            if told is not None:
                alerts[key] = told


def _note_alert(line: RuleTimeline, state: AlertState, sent: int) -> None:
    if not state.fired_at:
        return
    last = next((each for each in reversed(line.episodes) if each.labels == state.labels), None)
    if last is None or last.fired_at != state.fired_at:
        last = Episode(
            labels=state.labels,
            reason=state.reason,
            pending_at=state.active_at,
            fired_at=state.fired_at,
            value=state.value,
        )
        line.episodes.append(last)
    last.notifications += sent
    if state.status == "resolved":
        last.resolved_at = state.since
    elif state.value is not None:
        last.peak = state.value if last.peak is None else max(last.peak, state.value)
