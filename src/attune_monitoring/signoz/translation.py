"""Alert rules as rules of SigNoz, which then evaluates and delivers them itself; what cannot be is refused by name."""

from __future__ import annotations

import math
import string
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from attune_monitoring.alerts.expression import measures
from attune_monitoring.alerts.rule import AlertRule
from attune_monitoring.errors import ConfigError

from .conditions import Asked, asked_by
from .queries import SqlEnvelope, SqlQuery
from .rule import (
    AlertQuery,
    Condition,
    Cumulative,
    CumulativeSpec,
    Notification,
    Renotify,
    Rolling,
    RollingSpec,
    Rule,
    Schedule,
    Threshold,
    Thresholds,
    check_rule,
)

__all__ = ["DELIVERABLE", "UNDELIVERED", "Refusal", "Translation", "translate", "translate_all"]

DELIVERABLE = frozenset({"webhook", "slack", "discord", "email"})
"""Types of channels that SigNoz delivers to as well."""
UNDELIVERED = "SigNoz does not deliver to"
"""How a note begins that names other types."""

_Op = Literal["above", "below", "equal", "not_equal", "above_or_equal", "below_or_equal"]
_OPS: Mapping[str, _Op] = {
    ">": "above",
    ">=": "above_or_equal",
    "<": "below",
    "<=": "below_or_equal",
    "==": "equal",
    "!=": "not_equal",
}


class Translation(NamedTuple):
    """A rule of SigNoz, and in what it differs from the one that it was made from."""

    rule: Rule
    notes: tuple[str, ...]


class Refusal(NamedTuple):
    """A rule that SigNoz cannot express, and why."""

    name: str
    reason: str


def translate_all(
    rules: Iterable[AlertRule], *, channels: Sequence[str] = (), time_zone: str = "UTC"
) -> tuple[list[Translation], list[Refusal]]:
    """Return the rules of SigNoz, and those that cannot be; see `translate`."""
    done, refused = [], []
    for rule in rules:
        try:
            done.append(translate(rule, channels=channels, time_zone=time_zone))
        except ConfigError as error:
            refused.append(Refusal(rule.name, str(error).removeprefix(f"rule {rule.name!r}: ")))
    return done, refused


def translate(rule: AlertRule, *, channels: Sequence[str] = (), time_zone: str = "UTC") -> Translation:
    """Return a rule as one of SigNoz.

    Args:
        rule: what is translated; its channels are named as its actions are.
        channels: who is told where none of the rule's actions is of a type that SigNoz delivers to.
        time_zone: IANA name; where a day or month begins for rules that name no time zone.

    Raises:
        ConfigError: SigNoz cannot express it; names the rule and says why.
    """
    try:
        asked = asked_by(rule)
        notes: list[str] = []
        made = _made(rule, asked, channels, _zone(rule, time_zone), notes)
        check_rule(made)
    except ConfigError as error:
        raise ConfigError([f"rule {rule.name!r}: {problem}" for problem in error.problems]) from error
    return Translation(made, tuple(notes))


def _made(rule: AlertRule, asked: Asked, channels: Sequence[str], time_zone: str, notes: list[str]) -> Rule:
    threshold = Threshold(
        name=rule.severity.value,
        target=asked.target,
        op=_OPS[asked.operator],
        match_type="all_the_times" if asked.minutes > 1 else "last",
        channels=_channels(rule, channels, notes),
        recovery_target=asked.recovery,
    )
    if rule.keep_firing_for:
        notes.append("keep_firing_for has no counterpart: it ends as soon as the condition does")
    if rule.eval_delay:
        notes.append("eval_delay is a setting of the server there: SIGNOZ_RULER_EVAL__DELAY")
    if rule.no_data == "keep":
        notes.append("no_data keep has no counterpart: without data it ends")
    absent = rule.no_data == "alert"
    return Rule(
        alert=rule.name,
        alert_type="METRIC_BASED_ALERT",
        rule_type="threshold_rule",
        version="v5",
        schema_version="v2alpha1",
        condition=Condition(
            composite_query=AlertQuery(
                query_type="clickhouse_sql",
                panel_type="graph",
                queries=(SqlEnvelope(spec=SqlQuery(name="A", query=asked.query)),),
            ),
            selected_query_name="A",
            thresholds=Thresholds(spec=(threshold,)),
            alert_on_absent=absent,
            absent_for=1 if absent else 0,
            require_min_points=asked.minutes > 1,
            required_num_points=asked.minutes if asked.minutes > 1 else 0,
        ),
        evaluation=_evaluation(asked, time_zone),
        labels={**rule.labels, "severity": rule.severity.value, "managed_by": "attune-monitoring"},
        annotations={key: _template(text, rule, notes) for key, text in rule.annotations.items()},
        notification_settings=Notification(group_by=rule.by, renotify=_renotify(rule)),
        disabled=not rule.enabled,
    )


def _channels(rule: AlertRule, channels: Sequence[str], notes: list[str]) -> tuple[str, ...]:
    lost = sorted({action.type for action in rule.actions if action.type not in DELIVERABLE})
    if lost:
        notes.append(f"{UNDELIVERED} {', '.join(lost)}")
    own = (action.name or action.type for action in rule.actions if action.type in DELIVERABLE)
    return tuple(dict.fromkeys(own)) or tuple(channels)


def _evaluation(asked: Asked, time_zone: str) -> Rolling | Cumulative:
    if asked.calendar is None:
        minutes = max(math.ceil(asked.window / 60), asked.minutes)
        return Rolling(spec=RollingSpec(eval_window=f"{minutes}m", frequency="1m"))
    if asked.calendar == "day":
        schedule = Schedule(type="daily", hour=0, minute=0)
    else:
        schedule = Schedule(type="monthly", day=1, hour=0, minute=0)
    return Cumulative(spec=CumulativeSpec(schedule=schedule, frequency="1m", timezone=time_zone))


def _zone(rule: AlertRule, usual: str) -> str:
    named = {measure.query.window.time_zone for measure in measures(rule.when)} if rule.when is not None else set()
    return next((zone for zone in named if zone), usual)


def _renotify(rule: AlertRule) -> Renotify | None:
    if not rule.cooldown:
        return None
    interval = f"{max(1, round(rule.cooldown / 60))}m"
    if rule.no_data == "alert":
        return Renotify(enabled=True, interval=interval, alert_states=("firing", "nodata"))
    return Renotify(enabled=True, interval=interval, alert_states=("firing",))


def _template(text: str, rule: AlertRule, notes: list[str]) -> str:
    """Return a text in Go's templates; SigNoz formats numbers itself."""
    known = {
        "value": "{{$value}}",
        "name": rule.name,
        "severity": rule.severity.value,
        "condition": str(rule.when),
        **{name: f"{{{{$labels.{name}}}}}" for name in rule.by},
    }
    written = []
    for literal, field, _, _ in string.Formatter().parse(text):
        written.append(literal)
        if field is None:
            continue
        if field not in known:
            notes.append(f"{{{field}}} is not known there and is left out of the text")
        written.append(known.get(field, rule.labels.get(field, "")))
    return "".join(written)
