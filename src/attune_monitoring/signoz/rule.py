"""An alert rule of SigNoz (schema version v2alpha1) in types, and what they cannot say checked by hand."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from .queries import BuilderEnvelope, Envelope, FormulaEnvelope, PromEnvelope, SqlEnvelope, problems_of_queries
from .wire import Wire, read, refuse

__all__ = [
    "AlertQuery",
    "Condition",
    "Cumulative",
    "CumulativeSpec",
    "Notification",
    "Renotify",
    "Rolling",
    "RollingSpec",
    "Rule",
    "Schedule",
    "Threshold",
    "Thresholds",
    "check_rule",
    "read_rule",
]

_DURATION = re.compile(r"([0-9]+(\.[0-9]+)?(ms|s|m|h))+")
_KINDS: dict[str, tuple[type[Wire], ...]] = {
    "builder": (BuilderEnvelope, FormulaEnvelope),
    "clickhouse_sql": (SqlEnvelope,),
    "promql": (PromEnvelope,),
}


class AlertQuery(Wire, frozen=True):
    """What a rule asks."""

    query_type: Literal["builder", "clickhouse_sql", "promql"]
    panel_type: Literal["value", "table", "graph"]
    queries: tuple[Envelope, ...]
    unit: str = ""


class Threshold(Wire, frozen=True):
    """A limit, its severity (`name`) and who is told."""

    name: str
    target: float
    op: Literal["above", "below", "equal", "not_equal", "above_or_equal", "below_or_equal", "outside_bounds"]
    match_type: Literal["at_least_once", "all_the_times", "on_average", "in_total", "last"]
    channels: tuple[str, ...] = ()
    recovery_target: float | None = None
    target_unit: str = ""


class Thresholds(Wire, frozen=True, tag_field="kind", tag="basic"):
    """The limits of a rule."""

    spec: tuple[Threshold, ...]


class Condition(Wire, frozen=True):
    """When a rule fires."""

    composite_query: AlertQuery
    selected_query_name: str
    thresholds: Thresholds
    alert_on_absent: bool = False
    absent_for: int = 0
    """Minutes."""
    require_min_points: bool = False
    required_num_points: int = 0


class RollingSpec(Wire, frozen=True):
    """A window that ends now, and how often it is looked at."""

    eval_window: str
    frequency: str


class Rolling(Wire, frozen=True, tag_field="kind", tag="rolling"):
    """Evaluation over a window that ends now."""

    spec: RollingSpec


class Schedule(Wire, frozen=True):
    """When a cumulative window begins."""

    type: Literal["hourly", "daily", "weekly", "monthly"]
    minute: int | None = None
    hour: int | None = None
    day: int | None = None
    weekday: int | None = None


class CumulativeSpec(Wire, frozen=True):
    """What has passed of a day, week or month, and how often it is looked at."""

    schedule: Schedule
    frequency: str
    timezone: str


class Cumulative(Wire, frozen=True, tag_field="kind", tag="cumulative"):
    """Evaluation over what has passed of a calendar window."""

    spec: CumulativeSpec


class Renotify(Wire, frozen=True):
    """After what time an alert that still fires is told again."""

    enabled: bool
    interval: str = ""
    alert_states: tuple[Literal["inactive", "pending", "recovering", "firing", "nodata", "disabled"], ...] = ()


class Notification(Wire, frozen=True):
    """How alerts are told."""

    group_by: tuple[str, ...] = ()
    renotify: Renotify | None = None
    use_policy: bool = False
    new_group_eval_delay: str = ""


class Rule(Wire, frozen=True):
    """An alert rule; `alert` is its name."""

    alert: str
    alert_type: Literal["METRIC_BASED_ALERT", "TRACES_BASED_ALERT", "LOGS_BASED_ALERT", "EXCEPTIONS_BASED_ALERT"]
    rule_type: Literal["threshold_rule", "promql_rule"]
    version: Literal["v5"]
    schema_version: Literal["v2alpha1"]
    condition: Condition
    evaluation: Rolling | Cumulative
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    notification_settings: Notification | None = None
    description: str = ""
    disabled: bool = False


def read_rule(document: bytes | str | Any) -> Rule:
    """Return a rule from JSON, or from what JSON was read into.

    Raises:
        ConfigError: SigNoz would refuse it; holds every fault that was found.
    """
    rule = read(document, Rule)
    check_rule(rule)
    return rule


def check_rule(rule: Rule) -> None:
    """Refuse what the types let through but SigNoz does not.

    Raises:
        ConfigError: holds every fault.
    """
    refuse(f"rule {rule.alert!r}", list(_problems(rule)))


def _problems(rule: Rule) -> Iterator[str]:
    condition = rule.condition
    asked = condition.composite_query
    if not rule.alert.strip():
        yield "it has no name"
    yield from problems_of_queries(asked.queries)
    if any(not isinstance(one, _KINDS[asked.query_type]) for one in asked.queries):
        yield f"queryType is {asked.query_type}, but a query is of another type"
    if (rule.rule_type == "promql_rule") is not (asked.query_type == "promql"):
        yield f"ruleType {rule.rule_type} does not go with queryType {asked.query_type}"
    if condition.selected_query_name not in [one.spec.name for one in asked.queries if not one.spec.disabled]:
        yield f"selectedQueryName {condition.selected_query_name!r} is none of its queries"
    yield from _problems_of_thresholds(condition)
    yield from _problems_of_times(rule)


def _problems_of_thresholds(condition: Condition) -> Iterator[str]:
    limits = condition.thresholds.spec
    if not limits:
        yield "it has no threshold"
    names = [limit.name for limit in limits]
    if "" in names or len(set(names)) < len(names):
        yield "each threshold has a name of its own"
    if any(not math.isfinite(limit.target) for limit in limits):
        yield "a threshold's target is a number"
    if condition.absent_for < 0 or (condition.alert_on_absent and not condition.absent_for):
        yield "alertOnAbsent needs absentFor, in minutes"
    if condition.require_min_points and condition.required_num_points < 1:
        yield "requireMinPoints needs requiredNumPoints"


def _problems_of_times(rule: Rule) -> Iterator[str]:
    spec = rule.evaluation.spec
    durations = {"frequency": spec.frequency}
    if isinstance(spec, RollingSpec):
        durations["evalWindow"] = spec.eval_window
    else:
        yield from _problems_of_schedule(spec.schedule)
        if not spec.timezone:
            yield "a cumulative evaluation needs a timezone"
    settings = rule.notification_settings
    if settings is not None and settings.renotify is not None and settings.renotify.enabled:
        durations["renotify.interval"] = settings.renotify.interval
        if not settings.renotify.alert_states:
            yield "renotify needs alertStates"
    for name, text in durations.items():
        if not _DURATION.fullmatch(text) or not any(digit in "123456789" for digit in text):
            yield f"{name}: no duration: {text!r}; write 30s, 5m or 24h"


def _problems_of_schedule(schedule: Schedule) -> Iterator[str]:
    needed = {
        "hourly": ("minute",),
        "daily": ("hour", "minute"),
        "weekly": ("weekday", "hour", "minute"),
        "monthly": ("day", "hour", "minute"),
    }[schedule.type]
    bounds = {"minute": (0, 59), "hour": (0, 23), "weekday": (0, 6), "day": (1, 31)}
    for name in needed:
        value = getattr(schedule, name)
        low, high = bounds[name]
        if value is None or not low <= value <= high:
            yield f"schedule: a {schedule.type} one needs {name}, {low} to {high}"
