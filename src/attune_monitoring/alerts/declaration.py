"""The declaration of alerts.yaml: every key with its type, default and meaning."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from msgspec.structs import replace

from attune_monitoring import schema as s
from attune_monitoring.errors import ConfigError, SourceError
from attune_monitoring.query import Window
from attune_monitoring.yamlfile import KeyPath, Node

from .actions import DECLARATIONS, sender_of
from .metrics import DIMENSIONS, MetricType, dimension_of
from .rule import AlertAction, Operator, Severity
from .when import parse

__all__ = ["FILE", "Off", "Reference", "Written", "json_schema"]

_URL = "https://github.com/attune-monitoring/attune-monitoring/blob/main/docs/schema/alerts.schema.json"
_NAME_LENGTH = 100
_LABEL = r"[A-Za-z_][A-Za-z0-9_]{0,63}"


class Off(enum.Enum):
    """An action that cannot be used, which is no fault of the file."""

    UNSET_VARIABLE = "an environment variable is not set"


class Reference(NamedTuple):
    """The name of a channel where a rule uses it."""

    node: Node
    path: KeyPath
    name: str


class Written(NamedTuple):
    """A rule as it stands in the file: its keys, checked one by one, and their place."""

    node: Node
    path: KeyPath
    values: Mapping[str, Any]


def _parsed(spec: s.Spec, parse_value: Callable[[Any], Any]) -> s.Spec:
    """Return the spec with a further reading of its value, whose errors stand at the value."""

    def check(node: Node, path: KeyPath, checker: s.Checker) -> Any:
        value = spec.check(node, path, checker)
        if value is None:
            return None
        try:
            return parse_value(value)
        except (ConfigError, SourceError) as error:
            checker.problem(node, path, str(error))
            return None

    return replace(spec, check=check)


def _name(text: str) -> str:
    if len(text) > _NAME_LENGTH or not text.isprintable() or text != text.strip():
        raise ConfigError(f"expected a name of at most {_NAME_LENGTH} printable characters")
    return text


def _window(text: str) -> str:
    Window.of(text)
    return text


def _dimension(name: str) -> str:
    if dimension_of(name) not in DIMENSIONS.values():
        raise ConfigError(
            f"no dimension {s.shown(name)}{s.nearest(name, DIMENSIONS)}; there are {', '.join(DIMENSIONS)}"
        )
    return name


def _by(value: str | list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(_dimension, [value] if isinstance(value, str) else value)))


def _where(values: Mapping[str, str | list[str]]) -> dict[str, str | tuple[str, ...]]:
    return {_dimension(name): wanted if isinstance(wanted, str) else tuple(wanted) for name, wanted in values.items()}


def _channels(values: Mapping[str, AlertAction | Off]) -> Mapping[str, AlertAction | Off]:
    for name in values:
        _name(name)
    return values


def _labels(values: Mapping[str, str]) -> Mapping[str, str]:
    for name in values:
        if not re.fullmatch(_LABEL, name):
            raise ConfigError(f"no name of a label: {s.shown(name)}; write letters, digits and _")
    return values


_TEXT = s.text("")
_TEXTS = s.any_of("", _TEXT, s.array("", _TEXT))


def _reference(node: Node, path: KeyPath, checker: s.Checker) -> Reference | None:
    name = _TEXT.check(node, path, checker)
    return None if name is None else Reference(node, path, name)


def _action(node: Node, path: KeyPath, checker: s.Checker) -> AlertAction | Off | None:
    problems, warnings = checker.found, checker.warned
    options = _OPTIONS.check(node, path, checker)
    if options is None or checker.found > problems:
        return None
    if checker.warned > warnings:
        return Off.UNSET_VARIABLE
    kind = options.pop("type")
    action = AlertAction(kind, options, str(path[1]) if path[0] == "channels" else kind)
    try:
        sender_of(action)
    except ConfigError as error:
        checker.problem(node, path, str(error))
        return None
    return action


_OPTIONS = s.variant("What to do.", "type", DECLARATIONS)
_ACTION = replace(_OPTIONS, check=_action)

_LABELS = "Further labels; of rules with the same label 'alert' the more severe one mutes the others where both fire."
_SHARED: Mapping[str, s.Spec] = {
    "severity": s.choice("How bad it is; see the label 'alert'.", *map(str, Severity)),
    "for": s.duration("How long the condition must hold before the rule fires.", zero=True),
    "keep_firing_for": s.duration("How long it goes on firing after the condition has ceased to hold.", zero=True),
    "by": _parsed(
        replace(_TEXTS, description="Dimensions; each combination of their values is an alert of its own."), _by
    ),
    "no_data": s.choice("What no data means: ends the alert, is an alert, or changes nothing.", "ok", "alert", "keep"),
    "min_samples": s.number(
        "With fewer records behind a value there is no data; without it 10 for rates, else 0.", minimum=0, integer=True
    ),
    "eval_delay": s.duration("How long before now windows end, for records that arrive late.", zero=True),
    "cooldown": s.duration("After what time it is told again that an alert still fires; 0 is never.", zero=True),
    "enabled": s.boolean("Whether the rule is evaluated."),
    "labels": _parsed(s.mapping(_LABELS, _TEXT), _labels),
    "annotations": s.mapping(
        "Texts for notifications (summary, description, runbook_url); {value} and the labels are filled in.", _TEXT
    ),
    "actions": s.array(
        "Where notifications go: names of channels, or actions.",
        s.any_of("", replace(_TEXT, check=_reference), _ACTION),
    ),
}

_METRIC_ONLY = ("operator", "threshold", "window", "where", "resolve_threshold")
_RULE_KEYS = s.section(
    "A rule: 'metric' and 'threshold', or 'when'.",
    {
        "name": _parsed(s.text("Unique among the rules; may be left out beside 'metric'."), _name),
        "metric": s.choice(
            "What is measured: USD, percent, milliseconds, tokens or calls, as its name says.", *map(str, MetricType)
        ),
        "operator": s.choice("How the metric is compared with the threshold.", *map(str, Operator), default="gt"),
        "threshold": s.number("In the metric's unit."),
        "window": _parsed(
            s.text("Over what time: 5m, 24h, 7d, today, week, month; without it the metric's own."), _window
        ),
        "where": _parsed(
            s.mapping("Conditions on dimensions: a value, or several of which one must hold.", _TEXTS), _where
        ),
        "resolve_threshold": s.number(
            "The alert ends when the metric is no longer beyond this; without it the threshold."
        ),
        "when": _parsed(s.text('The condition, such as errors.sum("5m") / calls.sum("5m") > 0.05.'), parse),
        "resolve_when": _parsed(
            s.text("The condition under which the alert ends; without it when 'when' ends."), parse
        ),
        **_SHARED,
    },
)


def _check_rule(node: Node, path: KeyPath, checker: s.Checker) -> Written | None:
    before = checker.found
    values = _RULE_KEYS.check(node, path, checker)
    if values is None:
        return None
    given = {key: child for key, child in node.children.items() if child.value is not None}
    if "when" in given:
        for key in ("metric", *_METRIC_ONLY):
            if key in given:
                mend = "give one of them" if key == "metric" else "write it into the condition"
                checker.problem_at_key(given[key], path, f"'{key}' does not go with 'when'; {mend}")
        if "name" not in given:
            checker.problem(node, path, "key 'name' is missing; a rule with 'when' needs one")
    elif "metric" not in given:
        checker.problem(node, path, "a rule needs 'metric' with 'threshold', or 'when'")
    elif "threshold" not in given:
        checker.problem(node, path, f"key 'threshold' is missing ({_RULE_KEYS.keys['threshold'].description})")
    if "resolve_when" in given and "resolve_threshold" in given:
        checker.problem_at_key(given["resolve_when"], path, "give either 'resolve_when' or 'resolve_threshold'")
    return None if checker.found > before else Written(node, path, values)


def _rule_shape() -> dict[str, Any]:
    return {**_RULE_KEYS.shape(), "anyOf": [{"required": ["metric", "threshold"]}, {"required": ["name", "when"]}]}


_GROUP_BY = (
    "Labels, rule or severity: alerts with the same values of these are told in one message; without it each alone."
)

FILE = s.section(
    "Alert rules of attune-monitoring.",
    {
        "channels": _parsed(s.mapping("Actions by name, for rules to share.", _ACTION), _channels),
        "defaults": s.section(
            "What holds for each rule that says nothing else; labels and annotations are merged.", _SHARED
        ),
        "group_by": replace(_TEXTS, description=_GROUP_BY),
        "group_wait": s.duration("How long the first alert of a group waits for others.", zero=True),
        "alerts": s.array("The rules.", replace(_RULE_KEYS, check=_check_rule, shape=_rule_shape), required=True),
    },
)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of alerts.yaml (draft 2020-12)."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": _URL, "title": "alerts.yaml"}
    return {**head, **FILE.schema()}
