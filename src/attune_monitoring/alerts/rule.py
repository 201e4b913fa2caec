"""The one rule type that every way of writing a rule leads to."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, overload

import msgspec

from attune_monitoring.errors import ConfigError
from attune_monitoring.query import dimensions_of

from .expression import Comparison, Expression, Number, measures
from .metrics import DIMENSIONS, MetricType, dimension_of

__all__ = ["AlertAction", "AlertCondition", "AlertRule", "Operator", "Severity", "alert", "seconds_of"]

AlertCondition = Expression
"""What a rule asks; see `expression`."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MIN_SAMPLES = 10
"""Of a rate, unless a rule says otherwise: one failure of two calls is no trend."""


class Severity(enum.StrEnum):
    """How bad it is. A critical alert mutes a warning of the same rule name and labels."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Operator(enum.StrEnum):
    """How a value is compared with a threshold."""

    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    EQ = "eq"

    @property
    def symbol(self) -> Literal[">", ">=", "<", "<=", "=="]:
        """The sign."""
        return _SYMBOLS[self]


_SYMBOLS: Mapping[Operator, Literal[">", ">=", "<", "<=", "=="]] = {
    Operator.GT: ">",
    Operator.GTE: ">=",
    Operator.LT: "<",
    Operator.LTE: "<=",
    Operator.EQ: "==",
}


class AlertAction(msgspec.Struct, frozen=True):
    """Where notifications of a rule go.

    Args:
        type: webhook, slack, discord, email, stdout, callable or apprise.
        options: what that type needs; see `actions`. Secrets stand here only after they came from the environment or a
            file, and are never shown.
        name: how the channel is called in messages and limits; by default its type.
    """

    type: str
    options: Mapping[str, Any] = {}
    name: str = ""

    def __repr__(self) -> str:
        return f"AlertAction(type={self.type!r}, name={self.name!r})"


@dataclasses.dataclass(frozen=True, init=False)
class AlertRule:
    """When to alert, how bad it is, and who is told.

    Args:
        name: unique among the rules; by default made of metric, operator and threshold.
        when: the condition.
        metric: instead of `when`: one of `MetricType`, with `operator` and `threshold`.
        operator: how the metric is compared with the threshold.
        threshold: in the metric's unit.
        window: over which the metric is measured, instead of its own.
        where: conditions on dimensions for the metric.
        resolve_threshold: the alert ends when the metric is beyond this, instead of beyond the threshold.
        resolve_when: the condition under which it ends, where that is another than the opposite of `when`.
        function: instead of `when`: a function that decides; see `alert`.
        severity: info, warning or critical.
        for_: how long the condition must hold before the rule fires (seconds, or text like `5m`; as all durations).
        keep_firing_for: how long it goes on firing after the condition has ceased to hold.
        by: dimensions; each combination of values is an alert of its own; by default what the condition asks for.
        no_data: what no data means: `ok` ends it, `alert` fires it, `keep` leaves it as it is.
        min_samples: with fewer records behind a value there is no data; 10 for rates, else 0.
        eval_delay: how long before now windows end, for records that arrive late.
        cooldown: after what time the notification of an alert that still fires is repeated; 0 is never.
        enabled: whether it is evaluated.
        labels: further labels of its alerts.
        annotations: texts for notifications (`summary`, `description`, `runbook_url`), with templates.
        actions: where notifications go.

    Raises:
        ConfigError: it cannot be a rule; says what is wrong and what to write.
    """

    name: str
    when: Expression | None
    resolve_when: Expression | None
    function: Callable[[Any], bool | None] | None
    severity: Severity
    for_: float
    keep_firing_for: float
    by: tuple[str, ...]
    no_data: Literal["ok", "alert", "keep"]
    min_samples: int
    eval_delay: float
    cooldown: float
    enabled: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    actions: tuple[AlertAction, ...]

    def __init__(
        self,
        name: str = "",
        when: Expression | None = None,
        *,
        metric: str | MetricType | None = None,
        operator: str | Operator = Operator.GT,
        threshold: float | None = None,
        window: str | None = None,
        where: Mapping[str, Any] | None = None,
        resolve_threshold: float | None = None,
        resolve_when: Expression | None = None,
        function: Callable[[Any], bool | None] | None = None,
        severity: str | Severity = Severity.WARNING,
        for_: str | float = 0.0,
        keep_firing_for: str | float = 0.0,
        by: str | Sequence[str] = (),
        no_data: Literal["ok", "alert", "keep"] = "ok",
        min_samples: int | None = None,
        eval_delay: str | float = 0.0,
        cooldown: str | float = 0.0,
        enabled: bool = True,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        actions: Sequence[AlertAction] = (),
    ) -> None:
        dimensions = (by,) if isinstance(by, str) else tuple(by)
        rate = False
        try:
            if metric is not None:
                kind = MetricType(metric)
                rate = kind.is_rate
                sign = Operator(operator).symbol
                measured = kind.measure(window, where)
                when = Comparison(sign, measured, _threshold(threshold))
                if resolve_threshold is not None:
                    resolve_when = ~Comparison(sign, measured, _threshold(resolve_threshold))
                dimensions = dimensions or kind.by
                name = name or f"{kind.value} {sign} {threshold:g}"
            if when is not None:
                dimensions = dimensions or _asked_by(when)
            values = {
                "name": name,
                "when": when,
                "resolve_when": resolve_when,
                "function": function,
                "severity": Severity(severity),
                "for_": seconds_of(for_),
                "keep_firing_for": seconds_of(keep_firing_for),
                "by": dimensions,
                "no_data": no_data,
                "min_samples": (_MIN_SAMPLES if rate else 0) if min_samples is None else min_samples,
                "eval_delay": seconds_of(eval_delay),
                "cooldown": seconds_of(cooldown),
                "enabled": enabled,
                "labels": dict(labels or {}),
                "annotations": dict(annotations or {}),
                "actions": tuple(actions),
            }
        except ConfigError as error:
            raise ConfigError([f"rule {name!r}: {problem}" for problem in error.problems]) from error
        except (ValueError, TypeError) as error:
            raise ConfigError(f"rule {name!r}: {error}") from error
        for key, value in values.items():
            object.__setattr__(self, key, value)
        self._check()

    def changed(self, **fields: Any) -> AlertRule:
        """Return the rule with some fields changed."""
        return AlertRule(**{**{field.name: getattr(self, field.name) for field in dataclasses.fields(self)}, **fields})

    def _check(self) -> None:
        if not self.name:
            raise ConfigError("a rule needs a name")
        if (self.when is None) is (self.function is None):
            raise ConfigError(f"rule {self.name!r}: it needs a condition (`when`), or a metric and a threshold")
        if self.no_data not in ("ok", "alert", "keep"):
            raise ConfigError(f"rule {self.name!r}: no_data is ok, alert or keep, not {self.no_data!r}")
        for expression in (self.when, self.resolve_when):
            if expression is not None and not expression.is_condition:
                raise ConfigError(f"rule {self.name!r}: no condition: {expression}; compare it, as in {expression} > 0")
            for measure in measures(expression) if expression is not None else ():
                known = dimensions_of(measure.query.metric)
                for name in self.by:
                    if dimension_of(name) not in known:
                        raise ConfigError(
                            f"rule {self.name!r}: {measure.text} cannot be had by {name!r}; it has {', '.join(known)}"
                        )


def _asked_by(when: Expression) -> tuple[str, ...]:
    """Return the dimensions that a condition itself asks for, as `anomaly("cost", by="model")` does."""
    short = {full: name for name, full in DIMENSIONS.items()}
    asked = (name for measure in measures(when) for name in measure.query.group_by)
    return tuple(dict.fromkeys(short.get(name, name) for name in asked))


def _threshold(value: float | None) -> Number:
    if value is None or isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ConfigError("a threshold is missing, or is no number")
    return Number(float(value))


def seconds_of(value: str | float) -> float:
    """Return a duration in seconds, given as such or as `30s`, `5m`, `2h`, `7d`.

    Raises:
        ConfigError: it is none.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e10:
        return float(value)
    text = str(value).strip()
    if text[-1:] in _UNITS and text[:-1].isdecimal() and len(text) < 9:
        return float(int(text[:-1]) * _UNITS[text[-1]])
    raise ConfigError(f"no duration: {text[:40]!r}; write 30s, 5m, 2h or 7d")


@overload
def alert(function: Callable[[Any], bool | None], /) -> AlertRule: ...


@overload
def alert(*, name: str | None = None, **options: Any) -> Callable[[Callable[[Any], bool | None]], AlertRule]: ...


def alert(function: Callable[[Any], bool | None] | None = None, /, *, name: str | None = None, **options: Any) -> Any:
    """Make a rule of a function: `@alert(for_="5m", by="workflow_name")` above `def spike(m): return …`.

    The function is given an object like `m`, whose methods return numbers (or None: no data) for the labels at hand,
    and returns True (holds), False, or None (no data). Its name with dashes is the rule's.
    """

    def decorate(decide: Callable[[Any], bool | None]) -> AlertRule:
        return AlertRule(name or getattr(decide, "__name__", "rule").replace("_", "-"), function=decide, **options)

    return decorate if function is None else decorate(function)
