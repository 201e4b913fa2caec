"""Who is told what after an evaluation: inhibition, silences, grouping, reminders; a pure function."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from attune_monitoring.errors import ConfigError

from .notification import Kind, Notification
from .rule import AlertAction, AlertRule, Severity
from .silences import Silence, silence_of
from .state import ERROR_KEY, AlertState, States
from .template import fill, values_of
from .wording import number

__all__ = ["Alert", "Announced", "Grouping", "Message", "announce", "labels_of"]

_RANK = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}
Tell = Callable[[AlertRule, Mapping[str, str]], str]
_FIRING: Mapping[str, Kind] = {"condition": "firing", "no_data": "no_data", "error": "error"}


class Grouping(msgspec.Struct, frozen=True):
    """Which alerts are told of in one message.

    Args:
        by: labels (also `rule` and `severity`) whose values alerts of a group share; None: each alert alone.
        wait: seconds that the first alert of a group waits for others.
    """

    by: tuple[str, ...] | None = None
    wait: float = 0.0


class Alert(NamedTuple):
    """An alert together with its rule."""

    rule: AlertRule
    key: str
    state: AlertState

    @property
    def labels(self) -> dict[str, str]:
        """Its labels and those of its rule, `rule` and `severity`: what silences and groups look at."""
        return labels_of(self.rule, self.state.labels)

    @property
    def name(self) -> str:
        """The rule's name, or `rule_error`."""
        return ERROR_KEY if self.key == ERROR_KEY else self.rule.name

    @property
    def condition(self) -> str:
        """The rule's condition as text."""
        return str(self.rule.when) if self.rule.when is not None else f"function of {self.rule.name}"

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """What alerts share that are about the same thing at different severities."""
        family = self.rule.labels.get("alert", self.rule.name)
        return self.key == ERROR_KEY, family, tuple(sorted(self.state.labels.items()))


class Message(NamedTuple):
    """A notification for one action."""

    rule: AlertRule
    number: int
    """Which of the rule's actions, from 0."""
    notification: Notification

    @property
    def action(self) -> AlertAction:
        """The action."""
        return self.rule.actions[self.number]


class Announced(NamedTuple):
    """What is to be sent, and what is not."""

    messages: list[Message]
    states: dict[tuple[str, str], AlertState]
    """Of the alerts that are told of: their states afterwards, by rule and key."""
    silenced: dict[tuple[str, str], Silence]
    """Alerts that fire and are silenced."""
    inhibited: set[tuple[str, str]]
    """Alerts that fire and of which a more severe one fires."""


def labels_of(rule: AlertRule, labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of an alert as silences and groups see them."""
    return {**rule.labels, **labels, "rule": rule.name, "severity": rule.severity.value}


def announce(
    rules: Iterable[tuple[AlertRule, States]],
    silences: Sequence[Silence],
    now: float,
    grouping: Grouping,
    tell: Tell | None = None,
) -> Announced:
    """Return what is to be told.

    A firing is told once, then again each `cooldown` while it goes on; where it is silenced or inhibited, as soon as
    it is not any more. Its end is told where the firing was, whatever is silenced: nobody shall wait for it. Where a
    less severe alert of the same fingerprint goes on, that is told instead.

    Args:
        rules: rules and their alerts after `state.advance`.
        silences: those that there are.
        now: time of the evaluation.
        grouping: what goes into one message.
        tell: returns what a rule says of a combination of labels in words, where numbers alone would say little.
    """
    alerts = [Alert(rule, key, state) for rule, states in rules for key, state in states.items()]
    firing = [alert for alert in alerts if alert.state.fires]
    worst: dict[tuple[object, ...], int] = {}
    for alert in firing:
        worst[alert.fingerprint] = max(worst.get(alert.fingerprint, 0), _RANK[alert.rule.severity])
    silenced = {}
    for alert in firing:
        silence = silence_of(alert.labels, silences, now)
        if silence is not None:
            silenced[alert.rule.name, alert.key] = silence
    inhibited = {
        (alert.rule.name, alert.key) for alert in firing if _RANK[alert.rule.severity] < worst[alert.fingerprint]
    }
    muted = inhibited | silenced.keys()
    audible = [alert for alert in firing if (alert.rule.name, alert.key) not in muted]
    ends = [alert for alert in alerts if alert.state.status == "resolved" and alert.state.told_at is not None]
    milder = {alert.fingerprint for alert in audible}
    replaced = {alert.fingerprint for alert in ends if alert.fingerprint in milder}
    told: list[tuple[Alert, Kind]] = [(alert, "resolved") for alert in ends if alert.fingerprint not in replaced]
    new = [alert for alert in audible if alert.state.told_fired_at != alert.state.fired_at]
    ripe = _ripe(new, now, grouping)
    for alert in audible:
        if alert.state.told_fired_at != alert.state.fired_at:
            if _group(alert, grouping) in ripe:
                told.append((alert, _FIRING[alert.state.reason]))
        elif alert.fingerprint in replaced or _is_due(alert, now):
            told.append((alert, "reminder"))
    states = {
        (alert.rule.name, alert.key): alert.state.but(told_at=now, told_fired_at=alert.state.fired_at)
        for alert, kind in told
        if kind != "resolved"
    }
    return Announced(list(_messages(told, now, grouping, tell)), states, silenced, inhibited)


def _is_due(alert: Alert, now: float) -> bool:
    cooldown, told_at = alert.rule.cooldown, alert.state.told_at
    return alert.state.status == "firing" and cooldown > 0 and told_at is not None and now - told_at >= cooldown


def _ripe(new: Iterable[Alert], now: float, grouping: Grouping) -> set[tuple[str, ...]]:
    """Return the groups whose first alert has waited long enough."""
    return {_group(alert, grouping) for alert in new if now - alert.state.fired_at >= grouping.wait}


def _group(alert: Alert, grouping: Grouping) -> tuple[str, ...]:
    if grouping.by is None:
        return (alert.rule.name, alert.key)
    labels = alert.labels
    return tuple(labels.get(name, "") for name in grouping.by)


def _messages(
    told: Iterable[tuple[Alert, Kind]], now: float, grouping: Grouping, tell: Tell | None
) -> Iterable[Message]:
    groups: dict[tuple[object, ...], list[tuple[Alert, int, Notification]]] = {}
    for alert, kind in told:
        words = tell(alert.rule, alert.state.labels) if tell is not None and alert.key != ERROR_KEY else ""
        for place, action in enumerate(alert.rule.actions):
            # Of actions that are the same, such as a channel of several rules, a group makes one message.
            channel = (_group(alert, grouping), action.type, action.name, repr(action.options))
            groups.setdefault(channel, []).append((alert, place, _notification(alert, kind, place, now, words)))
    for members in groups.values():
        alert, place, first = members[0]
        parts = tuple(notification for _, _, notification in members)
        yield Message(alert.rule, place, first if len(parts) == 1 else _together(parts))


def _notification(alert: Alert, kind: Kind, place: int, now: float, words: str) -> Notification:
    rule, state = alert.rule, alert.state
    labels = {**rule.labels, **state.labels}
    if alert.key == ERROR_KEY:
        labels["rule"] = rule.name
    identity = (rule.name, alert.key, kind, place, state.fired_at, now)
    bare = Notification(
        key=_digest(repr(identity)),
        kind=kind,
        rule=alert.name,
        severity=rule.severity.value,
        labels=labels,
        value=state.value,
        condition=alert.condition,
        annotations=rule.annotations if alert.key != ERROR_KEY else {"error": state.error},
        started_at=state.fired_at,
        at=now,
    )
    filled = {name: _filled(text, bare) for name, text in bare.annotations.items()}
    return msgspec.structs.replace(bare, summary=filled.pop("summary", "") or _summary(bare, words), annotations=filled)


def _together(parts: tuple[Notification, ...]) -> Notification:
    worst = max(parts, key=lambda part: _RANK[Severity(part.severity)])
    return Notification(
        key=_digest(" ".join(part.key for part in parts)),
        kind="digest",
        rule=worst.rule,
        severity=worst.severity,
        labels=dict(item for item in parts[0].labels.items() if all(item in part.labels.items() for part in parts)),
        summary=f"{len(parts)} alerts: {', '.join(dict.fromkeys(f'{part.rule} {part.kind}' for part in parts))}",
        started_at=min(part.started_at for part in parts),
        at=worst.at,
        parts=parts,
    )


def _filled(text: str, notification: Notification) -> str:
    try:
        return fill(text, values_of(notification))
    except ConfigError:  # a rule made in Python may have a text that no file would; the alert matters more
        return text


def _summary(notification: Notification, words: str) -> str:
    labels = ", ".join(f"{name}={value}" for name, value in notification.labels.items())
    said = words or ("" if notification.value is None else number(notification.value))
    return f"{notification.rule}{f' ({labels})' if labels else ''}{f': {said}' if said else ''}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
