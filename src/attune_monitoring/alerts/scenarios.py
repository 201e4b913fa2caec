"""Tests of rules: YAML files with records made up for it, and the states that rules must be in at given times.

```yaml
start: 2026-03-10T08:00:00Z       # times below are counted from here
records:
  - {every: 10s, until: 5m, workflow_name: review, cost: 0.02}
  - {every: 10s, from: 5m, until: 15m, workflow_name: review, success: false}
  - jsonl: incident.jsonl         # records as they were written, at their own times
expect:
  - {at: 4m, rule: error-rate, state: inactive}
  - {at: 14m, rule: error-rate, state: firing, labels: {workflow_name: review}}
```
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from attune_monitoring import schema as s
from attune_monitoring.errors import ConfigError
from attune_monitoring.query import Source
from attune_monitoring.records import LLMCallRecord, format_time, parse_time
from attune_monitoring.schema import Checker, RejectedError, Spec, nearest
from attune_monitoring.yamlfile import Document, KeyPath, Node

from .evaluation import observe
from .metrics import dimension_of
from .rule import AlertRule
from .state import AlertState, advance

__all__ = ["Difference", "Expectation", "Scenario", "load_scenarios", "run"]

MAX_RECORDS = 1_000_000
_STATES = ("inactive", "pending", "firing", "recovering", "resolved")
_START = "2026-01-05T00:00:00Z"
"""A Monday."""
_TOLERANCE = 1e-6


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """What must hold at a time.

    Args:
        at: seconds since the epoch.
        after: the same as it was written.
        rule: name of the rule.
        state: of the alert; `inactive` where there must be none.
        labels: the alert must have these; without any the rule's only one, or any.
        value: what its condition must have come to.
        place: where it stands in its file.
    """

    at: float
    after: str
    rule: str
    state: str
    labels: Mapping[str, str] = {}
    value: float | None = None
    place: str = ""


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """Records, and what rules must make of them.

    Args:
        name: the file's.
        start: first evaluation (seconds since the epoch).
        interval: seconds between evaluations.
        calls: the records.
        expect: in the order of time.
    """

    name: str
    start: float
    interval: float
    calls: tuple[LLMCallRecord, ...]
    expect: tuple[Expectation, ...]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What was otherwise than expected.

    Args:
        scenario: its name.
        expected: what was expected.
        found: states of the rule's alerts then, or why there are none.
    """

    scenario: str
    expected: Expectation
    found: str

    def __str__(self) -> str:
        wanted = self.expected
        labels = "".join(f" {name}={value}" for name, value in wanted.labels.items())
        value = "" if wanted.value is None else f" with {wanted.value:g}"
        return f"{wanted.place}: {wanted.rule} at {wanted.after}: expected {wanted.state}{labels}{value}, {self.found}"


def load_scenarios(path: Path) -> list[Scenario]:
    """Return the scenarios of a file, or of all `.yaml` and `.yml` files of a folder.

    Raises:
        ConfigError: with every fault of all of them as `file:line:column: key: what is wrong`.
    """
    files = [path] if path.is_file() else sorted(each for each in path.glob("*") if each.suffix in (".yaml", ".yml"))
    if not files:
        raise ConfigError(f"{path}: there is no .yaml file with a scenario here")
    problems: list[str] = []
    found = []
    for file in files:
        document = Document.load(file)
        checker = Checker(document, {})
        values = checker.run(_FILE)
        if not document.problems:
            found.append(_Loader(document, checker, values).scenario())
        problems += document.lines()
    if problems:
        raise ConfigError(problems)
    return found


def run(
    scenario: Scenario, rules: Sequence[AlertRule], source_of: Callable[[Sequence[LLMCallRecord]], Source]
) -> list[Difference]:
    """Evaluate rules over a scenario, from its start at every interval, and return what is otherwise than expected.

    Args:
        scenario: records and expectations.
        rules: those that may be named; the others are left out.
        source_of: makes a source of records, which answers for the moments it is asked about.
    """
    known = {rule.name: rule for rule in rules}
    named = list(dict.fromkeys(each.rule for each in scenario.expect))
    watched = [known[name] for name in named if name in known]
    differences = [
        Difference(
            scenario=scenario.name,
            expected=each,
            found=f"but there is no rule {each.rule!r}{nearest(each.rule, known)}",
        )
        for each in scenario.expect
        if each.rule not in known
    ]
    source = source_of(scenario.calls)
    states: dict[str, dict[str, AlertState]] = {rule.name: {} for rule in watched}
    errors: dict[str, str] = {}
    step = 0
    for expected in scenario.expect:
        while scenario.start + step * scenario.interval <= expected.at + _TOLERANCE:
            now = scenario.start + step * scenario.interval
            for rule, observed in zip(watched, observe(watched, source, now), strict=True):
                errors[rule.name] = observed.error
                states[rule.name], _ = advance(rule, observed, states[rule.name], now)
            step += 1
        if expected.rule in known:
            alerts = list(states[expected.rule].values())
            if not _is_met(expected, alerts):
                found = _described(alerts, errors.get(expected.rule, ""))
                differences.append(Difference(scenario=scenario.name, expected=expected, found=found))
    return sorted(differences, key=lambda each: each.expected.at)


def _is_met(expected: Expectation, alerts: Sequence[AlertState]) -> bool:
    wanted = {dimension_of(name): value for name, value in expected.labels.items()}
    meant = [
        alert
        for alert in alerts
        if wanted.items() <= {dimension_of(name): value for name, value in alert.labels.items()}.items()
    ]
    if expected.state == "inactive":
        return all(alert.status == "inactive" for alert in meant)
    return any(
        alert.status == expected.state
        and (
            expected.value is None
            or (alert.value is not None and math.isclose(alert.value, expected.value, rel_tol=_TOLERANCE, abs_tol=1e-9))
        )
        for alert in meant
    )


def _described(alerts: Sequence[AlertState], error: str) -> str:
    if error:
        return f"but it cannot be evaluated: {error}"
    shown = [
        alert.status
        + "".join(f" {name}={value}" for name, value in alert.labels.items())
        + ("" if alert.value is None else f" with {alert.value:.6g}")
        for alert in alerts
        if alert.status != "inactive"
    ]
    return f"found {', '.join(shown[:5])}" if shown else "found it inactive"


_CALL = s.section(
    "A series of calls, or a file of them.",
    {
        "jsonl": s.text("File of records, relative to this one; nothing else beside it."),
        "every": s.duration("Time between two calls; without it there is one."),
        "from": s.any_of("Time of the first, since the start.", s.number("", minimum=0), s.duration("")),
        "until": s.duration("Time that they are before, since the start."),
        "cost": s.number("USD of each; without it unknown.", minimum=0),
        "latency": s.duration("Of each.", default="1s"),
        "success": s.boolean("Whether they succeed.", default=True),
        "error_type": s.text("Type of the error."),
        "workflow_name": s.text("Workflow."),
        "provider": s.text("Provider.", default="anthropic"),
        "model": s.text("Model.", default="claude-sonnet-4-5"),
        "tier": s.text("Tier.", default="capable"),
        "project": s.text("Project."),
        "user_id": s.text("User."),
        "input_tokens": s.number("Of each.", minimum=0, integer=True, default=0),
        "output_tokens": s.number("Of each.", minimum=0, integer=True, default=0),
        "fallback": s.boolean("Whether another model than the first answered.", default=False),
        "retries": s.number("Of each.", minimum=0, integer=True, default=0),
    },
)


def _time(description: str, **common: Any) -> Spec:
    """A moment with an offset, RFC 3339."""

    def read(text: str) -> str:
        try:
            parse_time(text)
        except ValueError as error:
            raise RejectedError("a time such as 2026-03-10T08:00:00Z") from error
        return text

    moment = s.text(description, what="a time such as 2026-03-10T08:00:00Z", **common)

    def check(node: Node, path: KeyPath, checker: Checker) -> str | None:
        value = moment.check(node, path, checker)
        try:
            return None if value is None else read(value)
        except RejectedError as error:
            checker.problem(node, path, f"expected {error.expected}")
            return None

    return msgspec.structs.replace(moment, check=check, read=read)


_FILE = s.section(
    "A scenario.",
    {
        "start": _time("The first evaluation.", default=_START),
        "interval": s.duration("Time between evaluations.", default="60s"),
        "records": s.array("What was recorded.", _CALL, default=[]),
        "expect": s.array(
            "What rules must have made of it.",
            s.section(
                "At one time.",
                {
                    "at": s.any_of("Since the start.", s.number("", minimum=0), s.duration(""), required=True),
                    "rule": s.text("Name of the rule.", required=True),
                    "state": s.choice("Of its alert.", *_STATES, required=True),
                    "labels": s.mapping("Labels that the alert has.", s.text("")),
                    "value": s.number("What its condition came to."),
                },
            ),
            required=True,
        ),
    },
)


class _Loader:
    """Makes a scenario of a document without problems."""

    def __init__(self, document: Document, checker: Checker, values: Mapping[str, Any]) -> None:
        self._document = document
        self._checker = checker
        self._values = s.layer(_FILE.defaults(), values)
        self._start = parse_time(self._values["start"]).timestamp()
        self._made = 0

    def scenario(self) -> Scenario:
        records = self._values["records"] or []
        calls = [call for place, given in enumerate(records) for call in self._calls(place, given)]
        expect = [self._expectation(place, given) for place, given in enumerate(self._values["expect"])]
        return Scenario(
            name=Path(self._document.name).stem,
            start=self._start,
            interval=self._values["interval"],
            calls=tuple(calls),
            expect=tuple(sorted(expect, key=lambda each: each.at)),
        )

    def _expectation(self, place: int, given: Mapping[str, Any]) -> Expectation:
        node = (self._document.root or Node(None)).at(("expect", place))
        after = str(node.at(("at",)).value)
        return Expectation(
            at=self._start + given["at"],
            after=after if given["at"] != node.at(("at",)).value else f"{after}s",
            rule=given["rule"],
            state=given["state"],
            labels=dict(given.get("labels", {})),
            value=given.get("value"),
            place=f"{self._document.name}:{node.line}",
        )

    def _calls(self, place: int, given: Mapping[str, Any]) -> Iterator[LLMCallRecord]:
        if "jsonl" in given:
            yield from self._of_file(place, given)
            return
        values = {**_CALL.defaults(), **given}
        first, until, every = values["from"] or 0.0, values["until"], values["every"]
        if until is not None and every is None:
            self._problem(place, "until", "without 'every' there is one call, at 'from'")
            return
        if until is None and every is not None:
            self._problem(place, "every", "say 'until' when")
            return
        count = 1 if every is None else max(0, math.ceil((until - first) / every - _TOLERANCE))
        self._made += count
        if self._made > MAX_RECORDS:
            self._problem(place, "every", f"more than {MAX_RECORDS} records")
            return
        for number in range(count):
            moment = self._start + first + number * (every or 0.0)
            yield _call(values, f"{place}-{number}", moment)

    def _of_file(self, place: int, given: Mapping[str, Any]) -> Iterator[LLMCallRecord]:
        file = self._checker.locate(given["jsonl"])
        if len(given) > 1:
            self._problem(place, "jsonl", "the file's records are as they are; nothing else can be said of them")
            return
        try:
            lines = file.read_bytes().split(b"\n")
        except OSError as error:
            self._problem(place, "jsonl", f"cannot be read: {error.strerror}")
            return
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield LLMCallRecord.from_dict(msgspec.json.decode(line))
                except (ValueError, TypeError) as error:
                    self._problem(place, "jsonl", f"line {number} is no record: {error}")

    def _problem(self, place: int, key: str, message: str) -> None:
        path = ("records", place, key)
        self._checker.problem((self._document.root or Node(None)).at(path), path, message)


def _call(values: Mapping[str, Any], name: str, moment: float) -> LLMCallRecord:
    success = values["success"]
    return LLMCallRecord(
        call_id=name,
        timestamp=format_time(round(moment * 1e9)),
        workflow_name=values["workflow_name"],
        user_id=values["user_id"],
        provider=values["provider"],
        tier=values["tier"],
        model_id=values["model"],
        input_tokens=values["input_tokens"],
        output_tokens=values["output_tokens"],
        estimated_cost=values["cost"],
        cost_source="unknown" if values["cost"] is None else "caller",
        latency_ms=round(values["latency"] * 1000),
        fallback_used=values["fallback"],
        retry_count=values["retries"],
        success=success,
        error_type=None if success else values["error_type"] or "Error",
        project=values["project"],
    )
