"""Templates name values and do nothing else; what is filled in cannot become markup, JSON or code."""

from __future__ import annotations

import html
import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune_monitoring.alerts import template
from attune_monitoring.alerts.notification import Notification
from attune_monitoring.alerts.template import NAMES, check, check_json, fill, fill_json, is_constant, values_of
from attune_monitoring.alerts.wording import collapse, cut, facts, lasted, lines, number, stamp, title
from attune_monitoring.errors import ConfigError

VALUES = {"value": 12.345678, "workflow_name": "code-review", "timestamp": "2026-11-23T07:45:19Z", "none": None}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{value}", "12.3457"),
        ("{value:.2f} USD", "12.35 USD"),
        ("{value:,.0f}", "12"),
        ("{value:>8.1f}|", "    12.3|"),
        ("{value:e}", "1.234568e+01"),
        ("{value:.0%}", "1235%"),
        ("{workflow_name}", "code-review"),
        ("[{workflow_name:>13}]", "[  code-review]"),
        ("{timestamp}", "2026-11-23T07:45:19Z"),
        ("{{value}} {{{value:.0f}}}", "{value} {12}"),
        ("{none} {none:.2f}", "no data no data"),
        ("of no label: <{provider}>", "of no label: <>"),
        ("no field", "no field"),
        ("", ""),
    ],
)
def test_a_template_is_filled(text: str, filled: str) -> None:
    assert fill(text, VALUES) == filled


@pytest.mark.parametrize(
    "hostile",
    [
        "{value.__class__}",
        "{value.__class__.__mro__[1].__subclasses__}",
        "{workflow_name[0]}",
        "{0}",
        "{}",
        "{value!r}",
        "{value!s:.2f}",
        "{value:{value}}",
        "{value:9999999999}",
        "{value:.9999999999f}",
        "{value:1000}",
        "{value:\n>9}",
        "{workflow_name:x}",
        "{ value }",
        "{value:%Y}",
        "{" + "a" * 65 + "}",
        "{value",
        "value}",
        "{value}" * 101,
        "x" * 10_001,
        "{é}",
    ],
)
def test_a_template_that_could_do_more_is_refused_when_loaded_and_when_filled(hostile: str) -> None:
    with pytest.raises(ConfigError):
        check(hostile)
    with pytest.raises(ConfigError):
        fill(hostile, VALUES)


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"\{valeu\} is not known \(did you mean 'value'\?\)"):
        check("{valeu}", NAMES)


def test_the_labels_of_a_rule_can_be_named() -> None:
    check("{team}", (*NAMES, "team"))
    with pytest.raises(ConfigError, match="team"):
        check("{team}", NAMES)


def test_a_number_format_for_a_text_is_refused_when_it_is_loaded() -> None:
    with pytest.raises(ConfigError, match=r"name is no number; write \{name\}"):
        check("{name:.2f}")


def test_a_number_format_for_a_text_shows_the_text_where_nobody_checked_it() -> None:
    assert fill("{workflow_name:.2f}", VALUES) == "code-review"


def test_a_lonely_brace_is_explained() -> None:
    with pytest.raises(ConfigError, match=r"for a brace itself write \{\{ or \}\}"):
        check('{"value": 1')


def test_each_problem_of_a_body_says_in_which_text_it_is() -> None:
    with pytest.raises(ConfigError, match=r"in 'x \{valeu\}': \{valeu\} is not known"):
        check_json({"a": [{"b": "x {valeu}"}]}, NAMES)


@given(st.text(max_size=200))
def test_whatever_the_template_only_a_config_error_is_raised(text: str) -> None:
    try:
        check(text)
    except ConfigError:
        return
    fill(text, VALUES)


@given(st.text(alphabet=string.printable, max_size=100))
def test_braces_in_a_value_are_never_read_as_a_template(value: str) -> None:
    assert fill("{workflow_name}", {"workflow_name": value}) == value


def test_what_is_filled_in_has_a_length_that_a_label_cannot_blow_up() -> None:
    assert len(fill("{workflow_name}" * 100, {"workflow_name": "x" * 1_000_000})) == 100_000


def test_values_are_escaped_and_the_authors_own_text_is_not() -> None:
    assert fill("<b>{workflow_name}</b>", {"workflow_name": "<i>"}, html.escape) == "<b>&lt;i&gt;</b>"


HOSTILE_LABEL = '", "admin": true, "x": "\\\n{value.__class__}</script>'


def test_a_label_cannot_leave_its_place_in_a_json_body() -> None:
    body = {"text": "in {workflow_name}", "list": [{"{workflow_name}": "{workflow_name}"}], "n": 1, "none": None}
    filled = fill_json(body, {"workflow_name": HOSTILE_LABEL})
    assert json.loads(json.dumps(filled)) == {
        "text": f"in {HOSTILE_LABEL}",
        "list": [{"{workflow_name}": HOSTILE_LABEL}],
        "n": 1,
        "none": None,
    }


@pytest.mark.parametrize(
    ("value", "filled"), [(12.5, 12.5), (None, None), (float("nan"), None), (float("inf"), None), (3, 3)]
)
def test_a_leaf_that_is_the_value_alone_becomes_a_number_or_null(value: float | None, filled: float | None) -> None:
    assert fill_json({"v": "{value}"}, {"value": value}) == {"v": filled}


def test_a_label_that_is_called_like_one_of_our_names_does_not_hide_it() -> None:
    notification = Notification(key="k", kind="firing", rule="r", severity="info", labels={"value": "9", "name": "x"})
    values = values_of(notification)
    assert (values["value"], values["name"]) == (None, "r")


def test_a_notification_has_a_value_for_every_name_of_ours() -> None:
    notification = Notification(key="k", kind="firing", rule="r", severity="info")
    assert set(NAMES) - values_of(notification).keys() == set(template.DIMENSIONS)


def test_a_constant_is_a_text_without_fields() -> None:
    assert [is_constant(text) for text in ("a {{b}}", "a {b}", "")] == [True, False, True]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (10.0, "10"),
        (-3.25, "-3.25"),
        (1234567.891, "1,234,567.891"),
        (0.00001234, "1.234e-05"),
        (1e20, "1e+20"),
        (100.00001, "100"),
        (None, "no data"),
        (float("nan"), "no data"),
    ],
)
def test_numbers_read_well(value: float | None, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (59.6, "1m"), (125, "2m 5s"), (3600, "1h"), (11_999, "3h 19m"), (190_000, "2d 4h")],
)
def test_durations_read_well(seconds: float, shown: str) -> None:
    assert lasted(seconds) == shown


def test_times_are_rfc_3339_in_utc() -> None:
    assert (stamp(1_795_419_919.9), stamp(0.0)) == ("2026-11-23T07:45:19Z", "")


def test_a_long_text_is_cut_with_an_ellipsis_and_no_escape_is_torn() -> None:
    assert cut("a" * 20, 10) == "a" * 9 + "…"
    assert cut("&" * 10, 12, html.escape) == "&amp;&amp;…"
    assert cut("short", 5) == "short"


@given(st.text(max_size=300), st.integers(min_value=1, max_value=100))
def test_a_cut_text_is_never_longer_than_its_limit(text: str, limit: int) -> None:
    assert len(cut(text, limit, html.escape)) <= limit


def test_what_a_terminal_obeys_is_taken_out() -> None:
    assert collapse("a\x1b[31mred\x07\r\nb\u202eevil\u2028c\x9b1m") == "a [31mred b evil c 1m"


def _alert(**fields: object) -> Notification:
    return Notification(**{"key": "k", "kind": "firing", "rule": "daily-cost", "severity": "critical", **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "CRITICAL: daily-cost"),
        ({"kind": "reminder"}, "CRITICAL (still firing): daily-cost"),
        ({"kind": "resolved"}, "RESOLVED: daily-cost"),
        ({"kind": "no_data"}, "NO DATA: daily-cost"),
        ({"kind": "error"}, "CANNOT BE EVALUATED: daily-cost"),
        ({"kind": "digest", "summary": "3 alerts: 3 critical"}, "3 alerts: 3 critical"),
        ({"test": True}, "TEST, CRITICAL: daily-cost"),
        ({"rule": "a\nb"}, "CRITICAL: a b"),
    ],
)
def test_a_title_says_what_happened(fields: dict[str, object], said: str) -> None:
    assert title(_alert(**fields)) == said


def test_the_facts_of_a_resolved_alert_say_how_long_it_lasted() -> None:
    over = _alert(kind="resolved", value=3.0, condition="daily_cost > 10", started_at=1000.0, at=4600.0)
    assert facts(over) == [("Value", "3"), ("Condition", "daily_cost > 10"), ("Lasted", "1h")]


def test_a_digest_lists_twenty_of_its_messages_and_counts_the_others() -> None:
    digest = _alert(kind="digest", parts=tuple(_alert(rule=f"r{n}", summary="s") for n in range(23)))
    found = lines(digest)
    assert (len(found), found[0], found[-1]) == (21, "CRITICAL: r0: s", "and 3 more")
