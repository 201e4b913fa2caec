"""One declaration checks a document, reads variables and is its JSON Schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune_monitoring import schema as s
from attune_monitoring.yamlfile import Document

RULE = s.section(
    "A rule.",
    {
        "name": s.text("Its name.", required=True),
        "after": s.duration("How long.", default="5m", env=("X_AFTER",)),
        "level": s.choice("How bad.", "info", "critical", default="info", env=("X_LEVEL", "X_SEVERITY")),
        "share": s.number("Of all.", minimum=0, maximum=1, env=("X_SHARE",)),
        "count": s.number("At least.", minimum=1, integer=True),
        "size": s.size("Of it.", minimum=100),
        "on": s.boolean("Whether.", default=True, env=("X_ON",)),
        "url": s.text("Where to.", secret=True, unset="warning"),
        "labels": s.mapping("Free.", s.text(""), env=("X_LABELS",)),
        "code": s.text("A code.", pattern="[A-Z]{2}", what="two capitals"),
        "inner": s.section("Deeper.", {"depth": s.number("How deep.", default=1, env=("X_DEPTH",))}),
        "to": s.array("Channels.", s.any_of("", s.choice("", "stdout", "log"), s.mapping("", s.text("")))),
        "action": s.variant(
            "What.",
            "type",
            {
                "mail": s.section(
                    "Mail.", {"type": s.choice("", "mail", required=True), "to": s.text("", required=True)}
                ),
                "log": s.section("Log.", {"type": s.choice("", "log", required=True)}),
            },
        ),
    },
)


def check(
    text: str, environ: dict[str, str] | None = None, folder: Path | None = None
) -> tuple[Any, list[str], list[str]]:
    document = Document.parse(text, "r.yaml", folder)
    values = s.Checker(document, environ or {}).run(RULE)
    return values, document.lines(), document.lines(document.warnings)


def problems(text: str, environ: dict[str, str] | None = None, folder: Path | None = None) -> list[str]:
    return check(text, environ, folder)[1]


GOOD: dict[str, tuple[str, Any]] = {
    "text": ("name: a", {"name": "a"}),
    "an absent value is left out": ("name: a\nafter:\nurl: ~", {"name": "a"}),
    "duration": ("name: a\nafter: 1h30m", {"name": "a", "after": 5400.0}),
    "duration in seconds": ("name: a\nafter: 2", {"name": "a", "after": 2.0}),
    "milliseconds": ("name: a\nafter: 250ms", {"name": "a", "after": 0.25}),
    "choice": ("name: a\nlevel: critical", {"name": "a", "level": "critical"}),
    "number": ("name: a\nshare: 1", {"name": "a", "share": 1.0}),
    "whole number": ("name: a\ncount: 3", {"name": "a", "count": 3}),
    "size": ("name: a\nsize: 64MB", {"name": "a", "size": 64_000_000}),
    "binary size": ("name: a\nsize: 1.5 KiB", {"name": "a", "size": 1536}),
    "size in bytes": ("name: a\nsize: 100", {"name": "a", "size": 100}),
    "truth": ("name: a\non: false", {"name": "a", "on": False}),
    "pattern": ("name: a\ncode: DE", {"name": "a", "code": "DE"}),
    "mapping": ("name: a\nlabels: {x: y}", {"name": "a", "labels": {"x": "y"}}),
    "section": ("name: a\ninner: {depth: 2}", {"name": "a", "inner": {"depth": 2.0}}),
    "several kinds": ("name: a\nto: [stdout, {slack: x}]", {"name": "a", "to": ["stdout", {"slack": "x"}]}),
    "variant": ("name: a\naction: {type: mail, to: b}", {"name": "a", "action": {"type": "mail", "to": "b"}}),
}

BAD: dict[str, tuple[str, list[str]]] = {
    "no mapping": ("- a", ["r.yaml:1:1: expected a mapping, found a list"]),
    "missing": ("on: true", ["r.yaml:1:1: key 'name' is missing (Its name.)"]),
    "missing, because it is empty": ("name:", ["r.yaml:1:1: key 'name' is missing (Its name.)"]),
    "empty text": ("name: ''", ["r.yaml:1:7: name: expected text, found ''"]),
    "number for text": ("name: 12", ["r.yaml:1:7: name: expected text, found 12 (put it in quotes)"]),
    "unknown key": ("name: a\nlevl: info", ["r.yaml:2:1: unknown key 'levl' (did you mean 'level'?)"]),
    "unknown inner key": (
        "name: a\ninner:\n  dept: 1",
        ["r.yaml:3:3: inner: unknown key 'dept' (did you mean 'depth'?)"],
    ),
    "unknown key like no other": (
        "name: a\ninner: {zzz: 1}",
        ["r.yaml:2:9: inner: unknown key 'zzz'; known are depth"],
    ),
    "choice": (
        "name: a\nlevel: critcal",
        ["r.yaml:2:8: level: expected info or critical, found 'critcal' (did you mean 'critical'?)"],
    ),
    "capitals": (
        "name: a\nlevel: INFO",
        ["r.yaml:2:8: level: expected info or critical, found 'INFO' (did you mean 'info'?)"],
    ),
    "yes": ("name: a\non: yes", ["r.yaml:2:5: on: expected true or false, found 'yes' (did you mean 'true'?)"]),
    "nearly true": (
        "name: a\non: ture",
        ["r.yaml:2:5: on: expected true or false, found 'ture' (did you mean 'true'?)"],
    ),
    "too much": ("name: a\nshare: 1.5", ["r.yaml:2:8: share: expected a number from 0 to 1, found 1.5"]),
    "too little": ("name: a\nshare: -1", ["r.yaml:2:8: share: expected a number from 0 to 1, found -1"]),
    "truth for a number": ("name: a\nshare: true", ["r.yaml:2:8: share: expected a number from 0 to 1, found true"]),
    "infinite": ("name: a\nshare: 1e999", ["r.yaml:2:8: share: expected a number from 0 to 1, found inf"]),
    "fraction": ("name: a\ncount: 1.5", ["r.yaml:2:8: count: expected a whole number of at least 1, found 1.5"]),
    "duration without unit": (
        "name: a\nafter: '5'",
        ["r.yaml:2:8: after: expected a duration such as 90s, 5m, 1h or 30d, found '5'"],
    ),
    "no time": (
        "name: a\nafter: 0s",
        ["r.yaml:2:8: after: expected a duration such as 90s, 5m, 1h or 30d, found '0s'"],
    ),
    "size": (
        "name: a\nsize: 64M",
        ["r.yaml:2:7: size: expected a size such as 64MB, of at least 100 bytes, found '64M'"],
    ),
    "size too small": (
        "name: a\nsize: 99",
        ["r.yaml:2:7: size: expected a size such as 64MB, of at least 100 bytes, found 99"],
    ),
    "pattern": ("name: a\ncode: de", ["r.yaml:2:7: code: expected two capitals, found 'de'"]),
    "list": ("name: a\nto: stdout", ["r.yaml:2:5: to: expected a list, found 'stdout'"]),
    "none of several kinds": (
        "name: a\nto: [1]",
        ["r.yaml:2:6: to[0]: expected stdout or log, or a mapping, found 1"],
    ),
    "one of several kinds": (
        "name: a\nto: [log, stdot]",
        ["r.yaml:2:11: to[1]: expected stdout or log, found 'stdot' (did you mean 'stdout'?)"],
    ),
    "variant": (
        "name: a\naction: {type: mial, to: b}",
        ["r.yaml:2:16: action.type: expected one of mail, log, found 'mial' (did you mean 'mail'?)"],
    ),
    "variant without type": (
        "name: a\naction: {to: b}",
        ["r.yaml:2:9: action: key 'type' is missing; known are mail, log"],
    ),
    "variant's own key": (
        "name: a\naction: {type: log, to: b}",
        ["r.yaml:2:21: action: unknown key 'to'; known are type"],
    ),
    "variant that is no mapping": (
        "name: a\naction: mail",
        ["r.yaml:2:9: action: expected a mapping with the key 'type', found 'mail'"],
    ),
    "mapping": ("name: a\nlabels: [x]", ["r.yaml:2:9: labels: expected a mapping, found a list"]),
    "section": ("name: a\ninner: 1", ["r.yaml:2:8: inner: expected a mapping, found 1"]),
}


@pytest.mark.parametrize(("text", "values"), GOOD.values(), ids=GOOD.keys())
def test_what_is_declared_is_accepted(text: str, values: Any) -> None:
    assert check(text) == (values, [], [])


@pytest.mark.parametrize(("text", "lines"), BAD.values(), ids=BAD.keys())
def test_what_is_not_declared_is_reported_with_its_place(text: str, lines: list[str]) -> None:
    assert problems(text) == lines


@pytest.mark.parametrize("text", [text for text, _ in GOOD.values()], ids=GOOD.keys())
def test_the_json_schema_accepts_what_the_check_accepts(text: str) -> None:
    jsonschema.Draft202012Validator(RULE.schema()).validate(Document.parse(text, "").value)


@pytest.mark.parametrize("text", [text for text, _ in BAD.values()], ids=BAD.keys())
def test_the_json_schema_rejects_what_the_check_rejects(text: str) -> None:
    assert not jsonschema.Draft202012Validator(RULE.schema()).is_valid(Document.parse(text, "").value)


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    assert problems("levl: x\nshare: 2\nto: [x, y]\ncount: 0\n") == [
        "r.yaml:1:1: key 'name' is missing (Its name.)",
        "r.yaml:1:1: unknown key 'levl' (did you mean 'level'?)",
        "r.yaml:2:8: share: expected a number from 0 to 1, found 2",
        "r.yaml:3:6: to[0]: expected stdout or log, found 'x'",
        "r.yaml:3:9: to[1]: expected stdout or log, found 'y'",
        "r.yaml:4:8: count: expected a whole number of at least 1, found 0",
    ]


def test_a_broken_document_is_not_blamed_for_missing_keys() -> None:
    assert len(problems("a: [")) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "1"),
        ("x${A}y${B:-2}z", "x1y2z"),
        ("${UNSET:-}z", "z"),
        ("${EMPTY:-default}", "default"),
        ("${EMPTY}z", "z"),
        ("$A $ {A}", "$A $ {A}"),
        ("$${A}", "${A}"),
    ],
)
def test_variables_in_texts_are_replaced(text: str, value: str) -> None:
    assert check(f"name: '{text}'", {"A": "1", "EMPTY": ""})[0] == {"name": value}


def test_a_replaced_variable_is_not_read_again() -> None:
    assert check("name: ${A}", {"A": "${B}", "B": "secret"})[0] == {"name": "${B}"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${NOPE}", "environment variable NOPE is not set; set it, or write ${NOPE:-default}"),
        ("${1}", "'${' begins a variable such as ${NAME} or ${NAME:-default}; for the characters write '$${'"),
        ("${open", "'${' begins a variable such as ${NAME} or ${NAME:-default}; for the characters write '$${'"),
    ],
)
def test_a_variable_that_cannot_be_replaced_is_a_problem(text: str, message: str) -> None:
    assert problems(f"name: '{text}'") == [f"r.yaml:1:7: name: {message}"]


def test_an_unset_variable_is_only_a_warning_where_the_declaration_says_so() -> None:
    values, wrong, warnings = check("name: a\nurl: ${HOOK}")
    assert (values, wrong) == ({"name": "a"}, [])
    assert warnings == ["r.yaml:2:6: url: environment variable HOOK is not set; set it, or write ${HOOK:-default}"]


def test_a_secret_may_stand_in_a_file_beside_the_document(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("https://hooks.example/x\n")
    assert check("name: a\nurl_file: hook", folder=tmp_path)[:2] == (
        {"name": "a", "url": "https://hooks.example/x"},
        [],
    )
    assert check("name: a\nurl_file: ${F}", {"F": str(tmp_path / "hook")})[1] == []


def test_a_secret_file_that_cannot_be_used_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "huge").write_text("x" * 70_000)

    def fault(value: str) -> list[str]:
        return problems(f"name: a\nurl_file: {value}", folder=tmp_path)

    assert fault("nope") == ["r.yaml:2:11: url_file: cannot read the secret in 'nope': there is no such file"]
    assert fault("binary") == ["r.yaml:2:11: url_file: cannot read the secret in 'binary': it is not UTF-8 text"]
    assert fault("empty") == ["r.yaml:2:11: url_file: the file 'empty' is empty"]
    assert fault("huge") == ["r.yaml:2:11: url_file: the file 'huge' is too large for a secret"]
    assert fault("3") == ["r.yaml:2:11: url_file: expected the path of a file, found 3"]
    assert fault("${NOPE}")[0].startswith("r.yaml:2:11: url_file: environment variable NOPE is not set")
    assert fault("a\nurl: b") == ["r.yaml:2:1: give either 'url' or 'url_file', not both"]


def test_a_secret_value_is_in_no_message() -> None:
    declared = s.section("", {"pin": s.text("", secret=True, pattern="[0-9]{4}", what="four digits", env=("PIN",))})
    document = Document.parse("pin: hunter2", "r.yaml")
    s.Checker(document, {}).run(declared)
    assert document.lines() == ["r.yaml:1:6: pin: expected four digits, found another value"]
    assert s.from_environment(declared, {"PIN": "hunter2"}) == (
        {},
        [("PIN", "expected four digits, found another value")],
    )


def test_a_value_in_a_message_is_short_on_one_line_and_without_known_secrets() -> None:
    long = "x" * 500
    assert problems(f"name: a\nlevel: {long}")[0].endswith(f"found '{'x' * 60}…'")
    assert problems('name: a\nlevel: "a\\nb"')[0].endswith("found 'a b'")
    assert "Zx9Qm2Lk7Wp4" not in problems("name: a\nlevel: sk-Zx9Qm2Lk7Wp4")[0]
    assert "Zx9Qm2Lk7Wp4" not in problems("name: a\nsk-Zx9Qm2Lk7Wp4: 1")[0]


def test_a_path_starts_at_the_folder_of_its_document(tmp_path: Path) -> None:
    declared = s.section("", {"at": s.location(""), "ca": s.location("", must_be_file=True, env=("CA",))})
    (tmp_path / "ca.pem").touch()
    document = Document.parse("at: sub/x\nca: ca.pem", "r.yaml", tmp_path)
    assert s.Checker(document, {}).run(declared) == {"at": str(tmp_path / "sub/x"), "ca": str(tmp_path / "ca.pem")}
    missing = Document.parse("ca: no.pem", "r.yaml", tmp_path)
    s.Checker(missing, {}).run(declared)
    assert missing.lines() == [f"r.yaml:1:5: ca: there is no file '{tmp_path / 'no.pem'}'"]
    assert s.from_environment(declared, {"CA": str(tmp_path / "ca.pem")})[0] == {"ca": str(tmp_path / "ca.pem")}
    assert s.from_environment(declared, {"CA": "no"})[1] == [
        ("CA", "expected the path of a file that exists, found 'no'")
    ]


def test_variables_give_values_of_their_kind() -> None:
    environ = {"X_AFTER": "90s", "X_LEVEL": "CRITICAL", "X_SHARE": "0.5", "X_ON": "Off", "X_DEPTH": "3"}
    assert s.from_environment(RULE, environ | {"X_LABELS": "a=1, b=x%2Cy"}) == (
        {
            "after": 90.0,
            "level": "critical",
            "share": 0.5,
            "on": False,
            "labels": {"a": "1", "b": "x,y"},
            "inner": {"depth": 3.0},
        },
        [],
    )


def test_the_first_variable_that_is_set_counts_and_an_empty_one_is_unset() -> None:
    assert s.from_environment(RULE, {"X_LEVEL": "", "X_SEVERITY": "critical"})[0] == {"level": "critical"}
    assert s.from_environment(RULE, {"X_LEVEL": "info", "X_SEVERITY": "critical"})[0] == {"level": "info"}


def test_variables_that_cannot_be_read_are_named() -> None:
    values, wrong = s.from_environment(RULE, {"X_AFTER": "soon", "X_ON": "perhaps", "X_LABELS": "a", "X_SHARE": "nan"})
    assert values == {}
    assert wrong == [
        ("X_AFTER", "expected a duration such as 90s, 5m, 1h or 30d, found 'soon'"),
        ("X_SHARE", "expected a number from 0 to 1, found 'nan'"),
        ("X_ON", "expected on or off, found 'perhaps'"),
        ("X_LABELS", "expected key=value pairs with commas between them, found 'a'"),
    ]


def test_defaults_are_written_as_in_the_file() -> None:
    defaults = RULE.defaults()
    assert (defaults["after"], defaults["on"], defaults["inner"], defaults["name"]) == (
        300.0,
        True,
        {"depth": 1.0},
        None,
    )


def test_the_json_schema_tells_default_and_variable() -> None:
    shown = RULE.schema()["properties"]["after"]
    assert (shown["default"], shown["description"]) == ("5m", "How long. Environment: X_AFTER.")


def test_layers_cover_each_other_key_by_key_and_lists_and_free_mappings_as_a_whole() -> None:
    below = {"a": {"x": 1, "y": [1, 2]}, "b": 1}
    assert s.layer(below, {"a": {"y": [3]}}, {"b": 2}) == {"a": {"x": 1, "y": [3]}, "b": 2}
    free = s.mapping("", s.text(""))
    assert s.layer({"headers": free.read("a=1,b=2")}, {"headers": free.read("c=3")}) == {"headers": {"c": "3"}}
    assert below == {"a": {"x": 1, "y": [1, 2]}, "b": 1}


@given(st.integers(0, 400), st.integers(0, 23), st.integers(1, 59))
def test_a_duration_is_the_sum_of_its_parts(days: int, hours: int, seconds: int) -> None:
    assert s.duration("").read(f"{days}d{hours}h{seconds}s") == days * 86400 + hours * 3600 + seconds


@pytest.mark.parametrize("text", ["${" * 5000, "${A:-" * 5000, "$" * 10_000, "1d" * 5000 + "x", "9" * 10_000 + "MB"])
def test_text_made_to_be_slow_is_finished(text: str) -> None:
    """A pattern that backtracks catastrophically would not come back."""
    assert problems(f"name: a\nafter: '{text}'\nsize: '{text}'\nurl: '{text}'\n")
