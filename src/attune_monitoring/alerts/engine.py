"""The watcher: evaluates rules again and again, keeps their alerts, and has notifications delivered."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from attune_monitoring.errors import ConfigError, MonitoringError
from attune_monitoring.query import Source
from attune_monitoring.redaction import redact

from . import delivery
from .announcement import Alert, Announced, Grouping, announce
from .evaluation import Observed, observe
from .modelled import ModelledSource
from .outbox import Outbox, Row, new_owner
from .rule import AlertAction, AlertRule
from .state import ERROR_KEY, AlertState, Event, advance
from .status import AlertStatus, RuleFault, Status, WatcherStatus, write_status
from .wording import stamp

__all__ = ["INTERVAL", "AlertEngine", "TickReport"]

INTERVAL = 60.0
"""Seconds between evaluations."""
_MISSED = 3
"""Evaluations that may be missing until another watcher takes over, and until the status file is stale."""
_LEAVE_SECONDS = 0.8
"""How long the end of `run` waits for what is under way."""
_log = logging.getLogger("attune_monitoring.alerts")
_States = dict[str, dict[str, AlertState]]


class TickReport(NamedTuple):
    """What one evaluation has led to."""

    at: float
    standby: bool = False
    """Another watcher has the folder; nothing was evaluated."""
    changed: bool = False
    """Whether the source had anything new."""
    alerts: Mapping[str, Mapping[str, AlertState]] = {}
    """By rule and key, inactive ones only where they have to be remembered."""
    events: tuple[Event, ...] = ()
    queued: int = 0
    """Notifications that were made."""
    status: Status | None = None
    """What the status file says."""
    observed: Mapping[str, Observed] = {}
    """What each rule saw, by its name."""


class AlertEngine:
    """Rules, a source, and what has to be remembered of them.

    Args:
        rules: what to evaluate; their names are unique.
        source: who answers; anomalies and forecasts need one that knows its history by the hour.
        folder: where `alerts.db` and `alerts.status.json` are, usually `.empathy`; None keeps all in memory.
        clock: seconds since the epoch.
        interval: seconds between evaluations; a watcher that misses three has lost the folder to another.
        grouping: which alerts are told of in one message.

    Raises:
        ConfigError: two rules have the same name.
        StoreError: here and from `tick`: the folder cannot be written.
    """

    def __init__(
        self,
        rules: Sequence[AlertRule],
        source: Source,
        *,
        folder: Path | str | None = None,
        clock: Callable[[], float] = time.time,
        interval: float = INTERVAL,
        grouping: Grouping | None = None,
    ) -> None:
        names = [rule.name for rule in rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError([f"two rules are called {name!r}; give one of them another name" for name in twice])
        self.rules = tuple(rules)
        self.source = source if isinstance(source, ModelledSource) else ModelledSource(source)
        self.interval = interval
        self.folder = None if folder is None else Path(folder)
        self.outbox = Outbox(self.folder, clock=clock)
        self._clock = clock
        self._grouping = grouping or Grouping()
        self._owner = new_owner()
        self._leads = False
        self._queued = threading.Event()
        self._deliverer = delivery.Deliverer(self.outbox, self._action_of, clock=clock)

    def __enter__(self) -> AlertEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let another watcher take over, and close the file."""
        self._leads = False
        self.outbox.leave_lease(self._owner)
        self.outbox.close()

    def tick(self) -> TickReport:
        """Evaluate once, write what changed and the status file, and deliver what is due.

        Nothing is re-read where nothing is new, but all rules are evaluated: windows slide, and `for` elapses.
        """
        report = self._evaluate()
        if self._leads:
            self._deliverer.deliver()
        return report

    def run(
        self, stop: threading.Event, interval: float | None = None, on_tick: Callable[[TickReport], None] | None = None
    ) -> None:
        """Evaluate until `stop` is set, and return within a second of that.

        Evaluations and deliveries have a thread each, so that a receiver that does not answer delays no evaluation. An
        evaluation that fails is logged, and the next one is made all the same. What is being delivered at the end stays
        in the outbox and is sent again, with the same key, by the next watcher.

        Args:
            stop: ends it; it is set as well when this is left by an exception, such as KeyboardInterrupt.
            interval: seconds between evaluations; by default the engine's.
            on_tick: is told of each evaluation.
        """
        self.interval = interval or self.interval
        threads = [
            threading.Thread(target=self._watch, args=(stop, on_tick), name="attune-alerts", daemon=True),
            threading.Thread(target=self._deliver, args=(stop,), name="attune-alerts-delivery", daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            stop.wait()
        finally:
            stop.set()
            self._queued.set()
            deadline = time.monotonic() + _LEAVE_SECONDS
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))

    # --- inside
    def _watch(self, stop: threading.Event, on_tick: Callable[[TickReport], None] | None) -> None:
        failing = ""
        while not stop.is_set():
            began = time.monotonic()
            try:
                report = self._evaluate()
                if on_tick is not None:
                    on_tick(report)
                failing = ""
            except Exception as error:
                problem = redact(f"{type(error).__name__}: {error}")
                if problem != failing:  # said once, not every minute
                    _log.warning("The alerts could not be evaluated and will be at the next interval: %s", problem)
                failing = problem
            self._queued.set()
            stop.wait(max(0.0, self.interval - (time.monotonic() - began)))
        try:
            self.close()
        except MonitoringError as error:
            _log.warning("%s", redact(error))

    def _deliver(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                if self._leads:
                    self._deliverer.deliver(stop)
                pause = self._pause()
            except Exception as error:
                _log.warning("Alerts could not be delivered: %s", redact(f"{type(error).__name__}: {error}"))
                pause = self.interval
            self._queued.wait(pause)
            self._queued.clear()

    def _pause(self) -> float:
        """Return how long there is nothing to deliver, at most until the next evaluation."""
        due = self.outbox.next_at() if self._leads else None
        return self.interval if due is None else min(self.interval, max(0.5, due - self._clock()))

    def _evaluate(self) -> TickReport:
        now, began = self._clock(), time.monotonic()
        self._leads = self.outbox.take_lease(self._owner, now, _MISSED * self.interval)
        if not self._leads:
            return TickReport(now, standby=True)
        changed = self._look()
        overrides = self.outbox.overrides()
        rules = [
            rule if overrides.get(rule.name, rule.enabled) is rule.enabled else rule.changed(enabled=not rule.enabled)
            for rule in self.rules
        ]
        before = self.outbox.states()
        after: _States = {}
        events: list[Event] = []
        seen = dict(zip((rule.name for rule in rules), observe(rules, self.source, now), strict=True))
        for rule in rules:
            after[rule.name], changes = advance(rule, seen[rule.name], before.get(rule.name, {}), now)
            events += changes
        events += _ends_of_removed(before, after, now)
        announced = announce(
            [(rule, after[rule.name]) for rule in rules],
            self.outbox.silences(),
            now,
            self._grouping,
            lambda rule, labels: self._told(rule, labels, now),
        )
        for (name, key), state in announced.states.items():
            after[name][key] = state
        self._leads = self.outbox.commit(
            self._owner, now=now, before=before, after=after, messages=announced.messages, events=events
        )
        if not self._leads:  # somebody has taken over while this watcher slept
            return TickReport(now, standby=True)
        status = self._status(rules, after, announced, now, time.monotonic() - began)
        if self.folder is not None:
            try:
                write_status(self.folder, status)
            except MonitoringError as error:
                _log.warning("%s", redact(error))
        return TickReport(now, False, changed, after, tuple(events), len(announced.messages), status, seen)

    def _action_of(self, row: delivery.Row) -> AlertAction | None:
        for rule in self.rules:
            if isinstance(row, Row) and rule.name == row.rule and row.action < len(rule.actions):
                return rule.actions[row.action]
        return None

    def _told(self, rule: AlertRule, labels: Mapping[str, str], now: float) -> str:
        try:
            return self.source.tell(rule.when, labels, now - rule.eval_delay)
        except Exception:  # only words: the message goes without them
            return ""

    def _look(self) -> bool:
        try:
            return self.source.changed()
        except Exception:  # the rules' own queries will say what is wrong
            return False

    def _status(
        self, rules: Sequence[AlertRule], states: _States, announced: Announced, now: float, seconds: float
    ) -> Status:
        backlog = self.outbox.backlog()
        alerts = [Alert(rule, key, state) for rule in rules for key, state in states[rule.name].items()]
        shown = [(alert, _shown(alert, announced)) for alert in alerts if alert.state.fires]
        return Status(
            evaluated_at=stamp(now),
            stale_after=stamp(now + _MISSED * self.interval),
            source=self.source.name,
            rules=sum(rule.enabled for rule in rules),
            firing=[each for _, each in shown if each.silence is None],
            pending=[_shown(alert, announced) for alert in alerts if alert.state.status == "pending"],
            silenced=[each for _, each in shown if each.silence is not None],
            errors=[
                RuleFault(alert.rule.name, alert.state.error, alert.state.failures)
                for alert in alerts
                if alert.key == ERROR_KEY and alert.state.failures
            ],
            watcher=WatcherStatus(
                seconds=round(seconds, 6),
                waiting=backlog.waiting,
                oldest=None if backlog.oldest is None else stamp(backlog.oldest),
                dead=backlog.dead,
            ),
        )


def _shown(alert: Alert, announced: Announced) -> AlertStatus:
    place, state = (alert.rule.name, alert.key), alert.state
    silence = announced.silenced.get(place)
    return AlertStatus(
        rule=alert.rule.name,
        severity=alert.rule.severity.value,
        status=state.status,
        reason=state.reason,
        labels=dict(state.labels),
        value=state.value,
        condition=alert.condition,
        since=stamp(state.since),
        started_at=stamp(state.fired_at) or None,
        flapping=state.flapping,
        inhibited=place in announced.inhibited,
        silence=None if silence is None else silence.id,
        silenced_until=None if silence is None else stamp(silence.ends_at),
    )


def _ends_of_removed(before: Mapping[str, Mapping[str, AlertState]], after: _States, now: float) -> list[Event]:
    """Return the ends of alerts whose rules are gone; nobody can be told: their actions went with the rules."""
    return [
        Event("resolved", name, state.labels, now, state.value, "the rule was removed")
        for name in before.keys() - after.keys()
        for state in before[name].values()
        if state.fires
    ]
