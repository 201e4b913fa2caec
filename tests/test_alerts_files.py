"""alerts.yaml is data, checked as a whole, with each fault at its place; Python rule files are code that one names."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from attune_monitoring import LLMCallRecord
from attune_monitoring.alerts import AlertAction, AlertRule, m
from attune_monitoring.alerts.announcement import Grouping
from attune_monitoring.alerts.evaluation import observe
from attune_monitoring.alerts.lint import lint
from attune_monitoring.alerts.load import Rules, find_alerts_file, load_python, load_rules
from attune_monitoring.alerts.modelled import ModelledSource
from attune_monitoring.alerts.sample import SAMPLE
from attune_monitoring.errors import ConfigError
from attune_monitoring.records import encode_call
from attune_monitoring.sources.local import LocalSource

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "docs" / "examples"
URL = "https://example.com/hook/8f2c1b7e-secret"
HEAD = "channels:\n  terminal: {type: stdout}\nalerts:\n"


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def load_text(text: str, **env: str) -> Rules:
        file = tmp_path / "alerts.yaml"
        file.write_text(text, "utf-8")
        return load_rules(file, env)

    return load_text


@pytest.fixture
def faults(load: Any, tmp_path: Path) -> Any:
    def faults_of(text: str, **env: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, **env)
        return [problem.removeprefix(f"{tmp_path}{os.sep}") for problem in caught.value.problems]

    return faults_of


# What a rule can say

STDOUT = (AlertAction("stdout", {}, "stdout"),)
RULES: dict[str, tuple[str, AlertRule]] = {
    "a metric": ("metric: daily_cost\nthreshold: 10", AlertRule(metric="daily_cost", threshold=10)),
    "everything of a metric": (
        "name: a\nmetric: error_rate\noperator: gte\nthreshold: 5\nwindow: 5m\nresolve_threshold: 2\n"
        "where: {provider: openai, model: [a, b]}",
        AlertRule(
            "a",
            metric="error_rate",
            operator="gte",
            threshold=5,
            window="5m",
            resolve_threshold=2,
            where={"provider": "openai", "model": ("a", "b")},
        ),
    ),
    "a condition": ('name: a\nwhen: cost.sum("24h") > 10', AlertRule("a", m.cost.sum("24h") > 10)),
    "a condition for the end": (
        'name: a\nwhen: cost.sum("24h") > 10\nresolve_when: cost.sum("24h") < 5',
        AlertRule("a", m.cost.sum("24h") > 10, resolve_when=m.cost.sum("24h") < 5),
    ),
    "all that is common": (
        "name: a\nmetric: daily_cost\nthreshold: 1\nseverity: critical\nfor: 5m\nkeep_firing_for: 1h30m\n"
        "by: [model, tier]\nno_data: alert\nmin_samples: 3\neval_delay: 30\ncooldown: 1d\nenabled: false\n"
        "labels: {team: ml}\nannotations: {summary: '{value:.2f} for {team} {model}'}\nactions: [{type: stdout}]",
        AlertRule(
            "a",
            metric="daily_cost",
            threshold=1,
            severity="critical",
            for_="5m",
            keep_firing_for=5400,
            by=("model", "tier"),
            no_data="alert",
            min_samples=3,
            eval_delay=30,
            cooldown="1d",
            enabled=False,
            labels={"team": "ml"},
            annotations={"summary": "{value:.2f} for {team} {model}"},
            actions=STDOUT,
        ),
    ),
    "nothing where nothing is wanted": (
        "metric: daily_cost\nthreshold: 0\nfor: 0\ncooldown: 0s\nlabels:\nactions: []",
        AlertRule(metric="daily_cost", threshold=0),
    ),
    "one dimension": (
        "metric: workflow_cost\nthreshold: 1\nby: workflow_name",
        AlertRule(metric="workflow_cost", threshold=1),
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_of_the_file_is_the_rule_that_python_makes(name: str, load: Any) -> None:
    text, expected = RULES[name]
    indented = "\n".join(f"    {line}" for line in text.splitlines())
    assert load(f"alerts:\n  -\n{indented}\n").rules == (expected,)


def test_defaults_hold_for_rules_that_say_nothing_else(load: Any) -> None:
    first, second = load(
        "channels: {terminal: {type: stdout}}\n"
        "defaults: {cooldown: 4h, severity: info, actions: [terminal], labels: {team: ml, alert: cost}}\n"
        "alerts:\n"
        "  - {metric: daily_cost, threshold: 10}\n"
        "  - {metric: daily_cost, threshold: 20, severity: critical, labels: {team: web}, actions: []}\n"
    ).rules
    assert (first.severity, first.cooldown, first.actions) == ("info", 14400, (AlertAction("stdout", {}, "terminal"),))
    assert (second.severity, second.cooldown, second.actions) == ("critical", 14400, ())
    assert (first.labels, second.labels) == ({"team": "ml", "alert": "cost"}, {"team": "web", "alert": "cost"})


def test_alerts_are_grouped_as_the_file_says(load: Any) -> None:
    rule = "alerts: [{metric: workflow_cost, threshold: 1, labels: {team: ml}}]\n"
    assert load(rule).grouping == Grouping()
    assert load(f"group_by: [workflow_name, team]\ngroup_wait: 30s\n{rule}").grouping == Grouping(
        ("workflow_name", "team"), 30.0
    )
    assert load(f"group_by: severity\n{rule}").grouping == Grouping(("severity",), 0.0)


def test_the_place_of_a_rule_is_known(load: Any, tmp_path: Path) -> None:
    places = load(f"{HEAD}  - {{name: a, metric: daily_cost, threshold: 10}}\n").places
    assert places == {"a": f"{tmp_path / 'alerts.yaml'}:4:5"}


# Faults: the rule's text, and what is said of it. The rule begins in line 4, column 5.
FAULTS: dict[str, tuple[str, list[str]]] = {
    "no condition": ("name: a", ["4:5: alerts[0]: a rule needs 'metric' with 'threshold', or 'when'"]),
    "no threshold": (
        "metric: daily_cost",
        ["4:5: alerts[0]: key 'threshold' is missing (In the metric's unit.)"],
    ),
    "no name": ("when: daily_cost > 1", ["4:5: alerts[0]: key 'name' is missing; a rule with 'when' needs one"]),
    "two conditions": (
        "name: a\nwhen: daily_cost > 1\nmetric: daily_cost\nthreshold: 1",
        [
            "6:5: alerts[0]: 'metric' does not go with 'when'; give one of them",
            "7:5: alerts[0]: 'threshold' does not go with 'when'; write it into the condition",
        ],
    ),
    "two ends": (
        "metric: daily_cost\nthreshold: 1\nresolve_threshold: 1\nresolve_when: daily_cost < 1",
        ["7:5: alerts[0]: give either 'resolve_when' or 'resolve_threshold'"],
    ),
    "an unknown key": (
        "metric: daily_cost\nthreshold: 1\nsevrity: info",
        ["6:5: alerts[0]: unknown key 'sevrity' (did you mean 'severity'?)"],
    ),
    "an unknown word": (
        "metric: daily_cost\nthreshold: 1\nseverity: crit",
        [
            "6:15: alerts[0].severity: expected info, warning or critical, found 'crit' (did you mean 'critical'?)",
        ],
    ),
    "an unknown dimension": (
        "metric: daily_cost\nthreshold: 1\nby: workflow_nme",
        [
            "6:9: alerts[0].by: no dimension 'workflow_nme' (did you mean 'workflow_name'?); there are workflow_name, "
            "provider, model, tier, project, outcome, error_type, token_type, stage",
        ],
    ),
    "a dimension that this metric lacks": (
        "name: a\nmetric: workflow_failures\nthreshold: 1\nwhere: {model: x}",
        ["4:5: alerts[0]: rule 'a': runs has no dimension 'model'; it has workflow_name, project, outcome"],
    ),
    "a window": (
        "metric: daily_cost\nthreshold: 1\nwindow: 5 minutes",
        ["6:13: alerts[0].window: no window: '5 minutes'; write 5m, 24h, 7d, or today, week, month"],
    ),
    "a duration": (
        "metric: daily_cost\nthreshold: 1\nfor: -5",
        ["6:10: alerts[0].for: expected a duration such as 90s, 5m, 1h or 30d, found -5"],
    ),
    "a text for a number": (
        "metric: daily_cost\nthreshold: 10 USD",
        ["5:16: alerts[0].threshold: expected a number, found '10 USD'"],
    ),
    "a condition with a fault": (
        "name: a\nwhen: csot.sum('5m') > 1",
        [
            "5:11: alerts[0].when: column 1: no metric 'csot' (did you mean 'cost'?); there are calls, cost, "
            "baseline_cost, tokens, errors, retries, fallbacks, unknown_cost, truncated, duration, "
            "time_to_first_token, runs, run_duration, stage_duration, dropped\n  csot.sum('5m') > 1\n  ^"
        ],
    ),
    "an unknown channel": (
        "metric: daily_cost\nthreshold: 1\nactions: [termnal, terminal]",
        ["6:15: alerts[0].actions[0]: no channel 'termnal' (did you mean 'terminal'?)"],
    ),
    "an unknown type of action": (
        "metric: daily_cost\nthreshold: 1\nactions: [{type: slak}]",
        [
            "6:22: alerts[0].actions[0].type: expected one of webhook, slack, discord, email, stdout, apprise, found "
            "'slak' (did you mean 'slack'?)"
        ],
    ),
    "a function in a file of data": (
        "metric: daily_cost\nthreshold: 1\nactions: [{type: callable, function: os.abort}]",
        [
            "6:22: alerts[0].actions[0].type: expected one of webhook, slack, discord, email, stdout, apprise, found "
            "'callable'"
        ],
    ),
    "a label that is no name": (
        "metric: daily_cost\nthreshold: 1\nlabels: {'{0.__class__}': x}",
        ["6:13: alerts[0].labels: no name of a label: '{0.__class__}'; write letters, digits and _"],
    ),
    "a name over two lines": (
        'metric: daily_cost\nthreshold: 1\nname: "a\\nb"',
        ["6:11: alerts[0].name: expected a name of at most 100 printable characters"],
    ),
    "an invisible name": (
        'metric: daily_cost\nthreshold: 1\nname: "a\\u202eb"',
        ["6:11: alerts[0].name: expected a name of at most 100 printable characters"],
    ),
    "a long name": (
        f"metric: daily_cost\nthreshold: 1\nname: {'a' * 101}",
        ["6:11: alerts[0].name: expected a name of at most 100 printable characters"],
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_at_its_place_with_its_mend(name: str, faults: Any) -> None:
    text, expected = FAULTS[name]
    rule = "\n    ".join(text.splitlines())
    assert faults(f"{HEAD}  - {rule}\n") == [f"alerts.yaml:{problem}" for problem in expected]


@pytest.mark.parametrize(
    ("key", "template", "said"),
    [
        ("annotations: {summary: '%s'}", "{teem}", "{teem} is not known (did you mean 'team'?)"),
        ("annotations: {summary: '%s'}", "{value.__class__}", "{value.__class__} is no name"),
        ("annotations: {summary: '%s'}", "{value:>999999999}", "the format of {value}"),
        ("actions: [{type: slack, url: '${HOOK}', text: '%s'}]", "{0.__globals__}", "{0.__globals__} is no name"),
        (
            "actions: [{type: slack, url: '${HOOK}', text: '%s'}]",
            "{teem}",
            "{teem} is not known (did you mean 'team'?)",
        ),
    ],
)
def test_a_template_that_could_not_be_filled_is_told_at_its_place(
    key: str, template: str, said: str, faults: Any
) -> None:
    rule = f"metric: daily_cost\n    threshold: 1\n    labels: {{team: ml}}\n    {key.replace('%s', template)}"
    [problem] = faults(f"{HEAD}  - {rule}\n", HOOK=URL)
    assert problem.startswith("alerts.yaml:7:")
    assert said in problem


def test_all_the_faults_of_a_file_are_told_at_once(faults: Any) -> None:
    found = faults(
        "chanels: {}\n"
        "defaults: {cooldown: 4x, actions: [nobody]}\n"
        "group_wait: soon\n"
        "alerts:\n"
        "  - {metric: dayly_cost, threshold: 10}\n"
        "  - {name: a, when: 1 <}\n"
        "  - {name: b, metric: daily_cost, threshold: 10}\n"
        "  - {name: b, metric: daily_cost, threshold: 20}\n"
    )
    assert [problem.split(": ")[0].removeprefix("alerts.yaml:") for problem in found] == [
        *("1:1", "2:22", "2:36", "3:13", "5:14", "6:21", "8:12")
    ]
    assert found[-1] == "alerts.yaml:8:12: alerts[3]: name 'b' is given twice (first in line 7)"


def test_a_group_of_a_label_that_no_rule_has_is_refused(faults: Any) -> None:
    found = faults("group_by: [tem]\nalerts: [{metric: daily_cost, threshold: 1, labels: {team: ml}}]\n")
    assert found == [
        "alerts.yaml:1:11: group_by: no rule has the label 'tem' (did you mean 'team'?); there are team, rule, severity"
    ]


def test_a_file_without_rules_is_refused(faults: Any) -> None:
    assert faults("") == ["alerts.yaml:1:1: key 'alerts' is missing (The rules.)"]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_rules(tmp_path / "alerts.yaml", {})


# Channels and secrets

SLACK = "channels:\n  chat:\n    type: slack\n    url: ${HOOK}\n  terminal: {type: stdout}\n"
TO_BOTH = "alerts:\n  - {metric: daily_cost, threshold: 1, actions: [chat, terminal]}\n"


def test_a_channel_is_shared_by_its_name(load: Any) -> None:
    [rule] = load(SLACK + TO_BOTH, HOOK=URL).rules
    assert [(action.type, action.name) for action in rule.actions] == [("slack", "chat"), ("stdout", "terminal")]
    assert rule.actions[0].options["url"] == URL


def test_a_variable_that_is_not_set_turns_off_its_action_alone_and_is_named(load: Any, tmp_path: Path) -> None:
    found = load(SLACK + TO_BOTH)
    assert [action.name for action in found.rules[0].actions] == ["terminal"]
    assert found.warnings == (
        f"{tmp_path / 'alerts.yaml'}:4:10: channels.chat.url: environment variable HOOK is not set; set it, or write "
        "${HOOK:-default}; the action is off until then",
    )


def test_an_action_within_a_rule_is_turned_off_as_well(load: Any) -> None:
    rule = "{metric: daily_cost, threshold: 1, actions: [{type: slack, url: '${HOOK}'}]}"
    found = load(f"alerts: [{rule}]\n")
    assert (found.rules[0].actions, len(found.warnings)) == ((), 1)


def test_a_header_that_is_not_set_turns_off_the_webhook(load: Any) -> None:
    channel = "{type: webhook, url: '${HOOK}', headers: {Authorization: 'Bearer ${TOKEN}'}}"
    found = load(
        f"channels: {{hook: {channel}}}\nalerts: [{{metric: daily_cost, threshold: 1, actions: [hook]}}]", HOOK=URL
    )
    assert found.rules[0].actions == ()
    assert "environment variable TOKEN is not set" in found.warnings[0]


def test_a_secret_comes_from_a_file_beside_the_rules(load: Any, tmp_path: Path) -> None:
    (tmp_path / "hook.txt").write_text(f"{URL}\n")
    text = SLACK.replace("url: ${HOOK}", "url_file: hook.txt")
    assert load(text + TO_BOTH).rules[0].actions[0].options["url"] == URL


def test_a_secret_in_the_file_itself_is_refused_and_not_repeated(faults: Any) -> None:
    [problem] = faults(SLACK.replace("${HOOK}", URL) + TO_BOTH)
    assert problem == (
        "alerts.yaml:4:10: channels.chat.url: this is a secret: write ${NAME} and set that variable, or use 'url_file'"
    )


def test_an_address_that_cannot_be_is_refused_and_not_repeated(faults: Any) -> None:
    [problem] = faults(SLACK + TO_BOTH, HOOK="ftp://secret-host/secret-path")
    assert "secret" not in problem
    assert "no URL that can be posted to" in problem


def test_what_is_loaded_shows_no_secret(load: Any) -> None:
    assert URL not in repr(load(SLACK + TO_BOTH, HOOK=URL))


# Hostile files

ALIASES = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE: dict[str, tuple[str, str]] = {
    "an object of Python": ("alerts: !!python/object/apply:os.system ['touch pwned']", "tag '!!python/object"),
    "a name of Python": ("alerts: !!python/name:os.system", "tag '!!python/name"),
    "a module of Python": ("alerts: [{name: a, when: !!python/module:os x}]", "tag '!!python/module"),
    "a tag of its own": ("alerts: !exec x", "tag '!exec' is not allowed"),
    "aliases that grow": (ALIASES + "alerts: *i", "more than 100000 values"),
    "an alias of itself": ("alerts: &a [*a]", "names no value that stands before it"),
    "deep lists": ("alerts: " + "[" * 100 + "]" * 100, "nested deeper than 32 levels"),
    "a megabyte of text": ("alerts: [{name: " + "a" * (1 << 20) + "}]", "is larger than 1048576 bytes"),
    "a long condition": (
        f"alerts: [{{name: a, when: '{'daily_cost > 1 or ' * 40_000}daily_cost > 1'}}]",
        "a condition is at most 1000 characters",
    ),
    "a long template": (
        f"alerts: [{{metric: daily_cost, threshold: 1, annotations: {{summary: '{'x' * 900_000}'}}}}]",
        "a template of more than 10000 characters",
    ),
    "a number without end": ("alerts: [{metric: daily_cost, threshold: 1e999}]", "expected a number, found inf"),
    "no number": ("alerts: [{metric: daily_cost, threshold: .nan}]", "expected a number, found '.nan'"),
    "a control character": ("alerts: [{name: a\x07}]", "control character"),
    "half a character": ('alerts: [{name: "a\\ud800", metric: daily_cost, threshold: 1}]', "half of a surrogate pair"),
    "two documents": ("alerts: []\n---\nalerts: []\n", "a second document starts here"),
    "a key twice": ("alerts: []\nalerts: []\n", "key 'alerts' is given twice"),
    "a list for a mapping": ("- alerts", "expected a mapping, found a list"),
    "code for a condition": (
        'alerts: [{name: a, when: \'__import__("os").system("touch pwned")\'}]',
        "a metric is asked as name.aggregation",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_a_message_and_runs_nothing(
    name: str, faults: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text, said = HOSTILE[name]
    assert said in "\n".join(faults(text))
    assert [path.name for path in tmp_path.iterdir()] == ["alerts.yaml"]


def test_a_problem_shows_no_more_than_a_line_of_what_it_found(faults: Any) -> None:
    [problem] = faults(f"alerts: [{{metric: '{'x' * 500_000}', threshold: 1}}]")
    assert len(problem) < 700


def test_template_syntax_in_labels_and_conditions_stays_text(load: Any) -> None:
    rule = "{metric: daily_cost, threshold: 1, where: {project: '{0.__class__}'}, labels: {team: '{value:9999999d}'}}"
    [loaded] = load(f"alerts: [{rule}]").rules
    assert loaded.labels == {"team": "{value:9999999d}"}
    assert loaded.when == (m.cost.sum("24h", project="{0.__class__}") > 1)


def test_names_of_other_alphabets_are_names(load: Any) -> None:
    [rule] = load("alerts: [{name: 'Kosten über 大 🚀', metric: daily_cost, threshold: 1}]").rules
    assert rule.name == "Kosten über 大 🚀"


# Where the file is


def test_the_file_is_found_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    beside = tmp_path / "config" / "alerts.yaml"
    for file in (beside, tmp_path / "alerts.yaml"):
        file.touch()
    assert find_alerts_file(tmp_path / "config" / "monitoring.yaml", tmp_path) == beside


def test_without_a_configuration_the_file_is_looked_for_in_the_working_directory(tmp_path: Path) -> None:
    assert find_alerts_file(None, tmp_path) is None
    (tmp_path / "alerts.yml").touch()
    assert find_alerts_file(None, tmp_path) == tmp_path / "alerts.yml"


def test_neither_python_files_nor_folders_are_found(tmp_path: Path) -> None:
    (tmp_path / "alerts.py").touch()
    (tmp_path / "alerts.yaml").mkdir()
    assert find_alerts_file(None, tmp_path) is None


def test_a_file_that_another_user_put_into_an_open_folder_is_passed_over(strangers_folder: Path) -> None:
    file = strangers_folder / "alerts.yaml"
    file.touch()
    os.chown(file, strangers_folder.stat().st_uid, -1)
    assert find_alerts_file(None, strangers_folder) == file
    strangers_folder.chmod(0o777)
    assert find_alerts_file(None, strangers_folder) is None


# Rules in Python


@pytest.fixture
def python(tmp_path: Path) -> Any:
    def write(text: str) -> Path:
        file = tmp_path / "rules.py"
        file.write_text(f"from attune_monitoring.alerts import AlertRule, alert, m\n{text}")
        return file

    return write


def test_the_rules_of_a_python_file_are_those_in_its_global_names(python: Any) -> None:
    file = python(
        "one = AlertRule('one', m.cost.sum('1h') > 1)\n"
        "more = [AlertRule('two', m.cost.sum('1h') > 2), AlertRule('three', m.cost.sum('1h') > 3), one, 'no rule']\n"
        "_draft = AlertRule('draft', m.cost.sum('1h') > 4)\n"
        "limit = 5\n"
        "@alert(by='model')\ndef four(metrics):\n    return metrics.cost.sum('1h') > limit\n"
    )
    rules = load_rules(file, {}).rules
    assert [rule.name for rule in rules] == ["one", "two", "three", "four"]


def test_a_function_of_a_python_file_sees_the_names_of_its_file(python: Any, tmp_path: Path) -> None:
    [rule] = load_python(python("limit = 5\n@alert\ndef a(metrics):\n    return limit > 4\n"))
    [seen] = observe([rule], LocalSource(tmp_path), NOW.timestamp())
    assert [one.holds for one in seen.observations] == [True]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\nraise SystemExit(3)", ":3: SystemExit: 3"),
        ("def f():\n    return 1 / 0\nf()", ":3: ZeroDivisionError: division by zero"),
        ("x = (", ":2: SyntaxError: '(' was never closed"),
        ("AlertRule('a', m.cost.sum('5x') > 1)", ":2: no window: '5x'; write 5m, 24h, 7d, or today, week, month"),
        ("raise RuntimeError('token=abcdefgh12345678')", ":2: RuntimeError: token=***"),
        ("rules = 1", ": no AlertRule is left in a global name of this file"),
        (
            "a = AlertRule('a', m.cost.sum('1h') > 1)\nb = AlertRule('a', m.cost.sum('1h') > 2)",
            ": name 'a' is given to more than one rule",
        ),
    ],
)
def test_what_goes_wrong_in_a_python_file_is_told_with_its_line(text: str, said: str, python: Any) -> None:
    file = python(text)
    with pytest.raises(ConfigError) as caught:
        load_python(file)
    assert caught.value.problems[0].startswith(f"{file}{said}")


def test_a_python_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_python(tmp_path / "rules.py")


def test_rules_are_read_without_what_only_sending_or_recording_needs(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from attune_monitoring.alerts.load import load_rules\n"
        f"load_rules(Path({str(EXAMPLES / 'alerts.yaml')!r}), {{'SLACK_WEBHOOK_URL': 'https://example.com/x'}})\n"
        "heavy = ('requests', 'opentelemetry.sdk', 'duckdb', 'rich', 'smtplib')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# The published JSON Schema


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    published = json.loads((ROOT / "docs" / "schema" / "alerts.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(published)
    return jsonschema.Draft202012Validator(published)


@pytest.mark.parametrize("name", RULES)
def test_the_schema_takes_what_the_loader_takes(name: str, schema: jsonschema.Draft202012Validator) -> None:
    assert [error.message for error in schema.iter_errors({"alerts": [yaml.safe_load(RULES[name][0])]})] == []


# What only the loader knows: conditions, names that must exist elsewhere in the file, dimensions, templates.
BEYOND_THE_SCHEMA = {
    *("two conditions", "two ends", "an unknown dimension", "a dimension that this metric lacks", "a window"),
    *(
        "a condition with a fault",
        "an unknown channel",
        "a label that is no name",
        "a name over two lines",
        "an invisible name",
        "a long name",
    ),
}


@pytest.mark.parametrize("name", sorted(FAULTS.keys() - BEYOND_THE_SCHEMA))
def test_the_schema_refuses_what_the_loader_refuses(name: str, schema: jsonschema.Draft202012Validator) -> None:
    assert not schema.is_valid({"alerts": [yaml.safe_load(FAULTS[name][0])]})


# The examples

NOW = datetime(2026, 3, 11, 12, 0, 30, tzinfo=UTC)


def call_at(at: datetime, name: str, **fields: Any) -> bytes:
    call = LLMCallRecord(
        call_id=name,
        timestamp=at.isoformat().replace("+00:00", "Z"),
        workflow_name="review",
        provider="anthropic",
        model_id="claude-sonnet-4-5",
        tier="capable",
        input_tokens=4000,
        output_tokens=1000,
        latency_ms=20_000,
        **fields,
    )
    return encode_call(call) + b"\n"


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelledSource]:
    """Three steady weeks, and then an hour in which everything that the examples watch goes wrong."""
    folder = tmp_path_factory.mktemp("busy")
    with (folder / "llm_calls.jsonl").open("wb") as file:
        for hours in range(21 * 24, 0, -1):
            at = NOW - timedelta(hours=hours, minutes=20)
            file.write(call_at(at, f"before-{hours}", estimated_cost=1.5, cost_source="table", success=True))
        for number in range(240):
            fields: dict[str, Any] = {"estimated_cost": 0.06, "cost_source": "table", "success": number % 3 == 0}
            if not fields["success"]:
                fields |= {"error_type": "timeout", "retry_count": 2}
            if number % 20 == 1:
                fields |= {"estimated_cost": None, "cost_source": "unknown"}
            at = NOW - timedelta(seconds=1 + number * 14)
            file.write(call_at(at, f"call-{number}", fallback_used=number % 5 == 0, **fields))
    source = LocalSource(folder)
    yield ModelledSource(source)
    source.close()


@pytest.mark.parametrize("name", ["alerts.yaml", "alerts.py"])
def test_an_example_loads_without_any_variable_set_and_every_rule_that_is_on_fires_when_it_should(
    name: str, busy: ModelledSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("SLACK_WEBHOOK_URL", "ONCALL_WEBHOOK_URL", "ONCALL_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    rules = load_rules(EXAMPLES / name, {}).rules
    seen = dict(zip((rule.name for rule in rules), observe(rules, busy, NOW.timestamp()), strict=True))
    assert {name: one.error for name, one in seen.items() if one.error} == {}
    assert {name for name, one in seen.items() if not any(each.holds for each in one.observations)} == {"silence"}
    assert len(rules) >= 8


def test_both_examples_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLACK_WEBHOOK_URL", raising=False)
    monkeypatch.delenv("ONCALL_WEBHOOK_URL", raising=False)
    in_python = {rule.name: rule for rule in load_python(EXAMPLES / "alerts.py")}
    for rule in load_rules(EXAMPLES / "alerts.yaml", {}).rules:
        other = in_python[rule.name]
        different = [f.name for f in dataclasses.fields(rule) if getattr(rule, f.name) != getattr(other, f.name)]
        assert (rule.name, different) == (rule.name, [])


@pytest.mark.parametrize("name", ["alerts.yaml", "alerts.py"])
def test_nothing_is_wrong_with_the_rules_of_an_example(name: str) -> None:
    assert lint(load_rules(EXAMPLES / name, {}).rules) == []


def test_with_its_variables_set_every_channel_of_the_example_is_on() -> None:
    env = dict.fromkeys(("SLACK_WEBHOOK_URL", "ONCALL_WEBHOOK_URL"), URL) | {"ONCALL_TOKEN": "token"}
    found = load_rules(EXAMPLES / "alerts.yaml", env)
    [spike] = [rule for rule in found.rules if rule.name == "error-spike"]
    assert ([action.name for action in spike.actions], found.warnings) == (["terminal", "chat", "oncall"], ())


def test_the_example_is_valid_under_the_schema(schema: jsonschema.Draft202012Validator) -> None:
    document = yaml.safe_load((EXAMPLES / "alerts.yaml").read_text("utf-8"))
    assert [error.message for error in schema.iter_errors(document)] == []


def test_what_init_writes_is_the_example() -> None:
    assert (EXAMPLES / "alerts.yaml").read_text("utf-8") == SAMPLE.read_text("utf-8")


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    start=st.integers(0, 4000),
    length=st.integers(0, 60),
    instead=st.text(max_size=20)
    | st.sampled_from([": ", "- ", "[", "{", "&a ", "*a", "!!x ", '"', "${", "\n", "|", ">", "#", "1e9"]),
)
def test_a_damaged_example_is_rules_or_refused_with_a_place(
    start: int, length: int, instead: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = SAMPLE.read_text("utf-8")
    file = tmp_path_factory.getbasetemp() / "damaged.yaml"
    file.write_bytes((text[:start] + instead + text[start + length :]).encode("utf-8", "replace"))
    problems: list[str] = []
    try:
        load_rules(file, {})
    except ConfigError as error:
        problems = error.problems
    assert [problem for problem in problems if not problem.startswith(f"{file}:")] == []
