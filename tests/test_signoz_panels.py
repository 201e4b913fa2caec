"""Every panel, run in the embedded ClickHouse over what the SDK really sent, shows the figures of the local folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from attune_monitoring.alerts import load_rules
from attune_monitoring.alerts.evaluation import observe
from attune_monitoring.signoz import dashboards, translate_all
from attune_monitoring.signoz.panel import envelopes_of
from signoz_builder import Range
from signoz_expected import EXPECTED, LISTED, Expected
from signoz_filters import ALL, Fields, Variables, condition, literal
from signoz_querier import Shown, ask, ask_sql
from signoz_tables import Warehouse
from signoz_worlds import Chosen, Quantile, World, Worlds, run_program

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("panels")]

BOARDS = {dashboard.name.removeprefix("attune-"): dashboard for dashboard in dashboards()}
PANELS = [(board, key) for board, dashboard in BOARDS.items() for key in dashboard.spec.panels]
DAYS = {"demo": datetime(2026, 3, 4, tzinfo=UTC), "team": datetime(2026, 3, 10, tzinfo=UTC)}


@pytest.fixture(scope="module")
def warehouse() -> Warehouse:
    return Warehouse()


@pytest.fixture(scope="module")
def worlds(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    folder = tmp_path_factory.mktemp("worlds")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "EMPATHY_", "PYTEST"))}
    plain |= {"NO_PROXY": "localhost,127.0.0.1", "no_proxy": "localhost,127.0.0.1"}

    def run(service: str, *command: str | Path, records: str = "records") -> Any:
        place = folder / service
        place.mkdir()
        return run_program(command, place, place / records, {**plain, "OTEL_SERVICE_NAME": service})

    demo = run("attune-demo", Path(sys.executable).with_name("empathy"), "demo", "--otlp", records=".empathy-demo")
    script = Path(__file__).with_name("signoz_traffic.py")
    shop, office = (run(name, sys.executable, script, seed) for name, seed in (("shop", "1"), ("office", "2")))
    last_month = datetime(2026, 2, 20, 9, tzinfo=UTC)
    nine, fourteen = timedelta(hours=9), timedelta(hours=14)
    placed = [
        (demo, last_month),
        (demo, DAYS["demo"] + nine),
        (shop, DAYS["team"] + nine),
        (office, DAYS["team"] + fourteen),
    ]
    both = Worlds(folder, warehouse, placed)
    yield both
    both.close()


@pytest.fixture(scope="module")
def whole(worlds: Worlds) -> Mapping[str, World]:
    return {name: worlds.of(day) for name, day in DAYS.items()}


def variables(board: str, chosen: Chosen | None = None) -> Variables:
    names = [variable.spec.name for variable in BOARDS[board].spec.variables]
    found: dict[str, str | list[str]] = dict.fromkeys(names, ALL)
    if chosen is not None:
        found[chosen.variable] = chosen.values[0] if len(chosen.values) == 1 else list(chosen.values)
    return found


def differences(board: str, key: str, world: World, shown: Shown) -> Iterator[str]:
    """Yield in what a panel differs from the local figures."""
    panel = BOARDS[board].spec.panels[key]
    if key in LISTED:
        wanted = LISTED[key](world.local)
        rows = [{name: row[name] for name in wanted[0]} for row in shown.rows] if wanted else shown.rows
        if rows != wanted:
            yield f"{rows} instead of {wanted}"
        return
    expected = EXPECTED[board][key]
    by_day = any(getattr(envelope.spec, "step_interval", None) for envelope in envelopes_of(panel))
    if panel.spec.queries[0].kind == "scalar" or by_day:
        yield from compared(expected(world.local), shown, range(2**63))
        return
    hours = [(hour, int(hour.start.timestamp() * 1000)) for hour in world.hours]
    for hour, first in hours:
        yield from compared(expected(hour), shown, range(first, first + 3_600_000))
    times = {at for lines in shown.lines.values() for values in lines.values() for at in values}
    for at in sorted(times):
        if not any(first <= at < first + 3_600_000 for _, first in hours):
            yield f"something at {at}, where nothing was"


def compared(expected: Expected, shown: Shown, times: range) -> Iterator[str]:
    if shown.lines.keys() != expected.keys():
        yield f"{list(shown.lines)} instead of {list(expected)}"
        return
    for name, wanted in expected.items():
        found = {
            group: [value for at, value in values.items() if at in times] for group, values in shown.lines[name].items()
        }
        for group in sorted(found.keys() | wanted.keys()):
            values, value = found.get(group, []), wanted.get(group, 0)
            if isinstance(value, Quantile):
                fits = len(values) == 1 and value.fits(values[0])
            elif name == "F":
                fits = len(values) <= 1 and sum(values) == pytest.approx(value, rel=1e-9, abs=1e-9)
            else:
                fits = sum(values) == pytest.approx(value, rel=1e-9, abs=1e-9)
            if not fits:
                yield f"{name} {group}: {values} instead of {value}"


# --- the tests
def test_each_panel_has_a_local_figure():
    known = {(board, key) for board, figures in EXPECTED.items() for key in figures}
    assert {(board, key) for board, key in PANELS if key not in LISTED} == known


@pytest.mark.parametrize(("board", "key"), PANELS, ids=[f"{board}-{key}" for board, key in PANELS])
@pytest.mark.parametrize("name", DAYS)
def test_a_panel_shows_the_local_figures(whole, warehouse, name, board, key):
    world = whole[name]
    shown = ask(BOARDS[board].spec.panels[key], world.shown, variables(board), warehouse)
    assert not shown.empty
    assert list(differences(board, key, world, shown)) == []


CHOICES = [
    *(("overview", one) for one in (
        Chosen("service", ("shop",)),
        Chosen("workflow", ("review", "answer")),
        Chosen("provider", ("anthropic", "openai")),
        Chosen("model", ("gpt-5-mini",)),
        Chosen("tier", ("cheap",)),
    )),
    *(("cost", one) for one in (
        Chosen("service", ("office",)),
        Chosen("workflow", ("review",)),
        Chosen("provider", ("anthropic",)),
        Chosen("model", ("gpt-5-mini", "claude-haiku-4-5")),
        Chosen("tier", ("cheap", "premium")),
        Chosen("project", ("shop",)),
        Chosen("user", ("o'hara", "ada")),
    )),
    *(("reliability", one) for one in (
        Chosen("service", ("shop", "office")),
        Chosen("workflow", ("review",)),
        Chosen("provider", ("anthropic",)),
        Chosen("model", ("qwen3:8b",)),
        Chosen("tier", ("cheap", "premium")),
    )),
    *(("workflows", one) for one in (Chosen("service", ("shop",)), Chosen("workflow", ("answer", "inner")))),
    *(("genai", one) for one in (
        Chosen("service", ("shop",)),
        Chosen("provider", ("openai",)),
        Chosen("request_model", ("gpt-5-mini", "qwen3:8b")),
    )),
]  # fmt: skip


@pytest.mark.parametrize(("board", "chosen"), CHOICES, ids=[f"{board}-{one.variable}" for board, one in CHOICES])
def test_what_is_chosen_filters_every_panel(worlds, warehouse, board, chosen):
    world = worlds.of(DAYS["team"], chosen)
    wrong = {}
    for key, panel in BOARDS[board].spec.panels.items():
        shown = ask(panel, world.shown, variables(board, chosen), warehouse)
        wrong[key] = list(differences(board, key, world, shown))
    assert {key: found for key, found in wrong.items() if found} == {}


RULES = {
    made.rule.alert: (made, rule)
    for rule in load_rules(Path(__file__).parent.parent / "docs" / "examples" / "alerts.yaml", {}).rules
    for made in translate_all([rule])[0]
    if rule.enabled
}


@pytest.mark.parametrize("name", RULES)
def test_a_translated_rule_sees_what_the_local_rule_sees(whole, warehouse, name):
    made, rule = RULES[name]
    [hour, _] = whole["team"].hours
    now = hour.start + timedelta(minutes=5)
    [observed] = observe([rule], hour.source, now.timestamp())
    [envelope] = made.rule.condition.composite_query.queries
    shown = Range(int(hour.start.timestamp() * 1000), int(now.timestamp() * 1000))
    found = ask_sql(envelope.spec.query, "time_series", shown, {}, warehouse)
    at_last = {group: values[shown.end] for group, values in found.items() if shown.end in values}
    wanted = {tuple(one.labels.values()): one.value for one in observed.observations if one.value is not None}
    assert at_last.keys() == wanted.keys() != set()
    for group, value in wanted.items():
        # Of a percentile both sides know the bucket, and those of SigNoz double.
        assert at_last[group] == pytest.approx(value, rel=0.5 if "Quantile" in envelope.spec.query else 1e-9)


SHOWN = Range(1_772_600_000_000, 1_772_603_600_000)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT count() > 0 AS value", "drops columns"),
        ("SELECT toString(1) AS value", "needs one value"),
        ("SELECT 1.5 AS value, 2.5 AS other", "needs one value"),
        ("SELECT 1.5 AS value WHERE '' = $nobody", "nobody is no variable"),
        ("SELECT 1.5 AS value WHERE '' = {{.nobody}}", "nobody.. is no variable"),
    ],
)
def test_sql_of_which_signoz_would_show_nothing_is_refused(warehouse, query, says):
    with pytest.raises(ValueError, match=says):
        ask_sql(query, "scalar", SHOWN, {}, warehouse)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("SELECT $start_timestamp + 0.5 AS value", {(): {0: 1_772_600_000.5}}),
        ("SELECT 2.5 AS value WHERE 'a' IN $one AND 'b' IN {{.several}} AND '__all__' IN $all", {(): {0: 2.5}}),
        ("SELECT 'g' AS `a.b`, toUInt64(3) AS value", {("g",): {0: 3}}),
        ("SELECT 1.5 AS value WHERE 'it''s' = $quoted", {(): {0: 1.5}}),
    ],
)
def test_variables_are_filled_into_sql(warehouse, query, found):
    values = {"one": "a", "several": ["a", "b"], "all": ALL, "quoted": "it's"}
    assert ask_sql(query, "scalar", SHOWN, values, warehouse) == found


@pytest.mark.parametrize(
    ("expression", "condition_"),
    [
        ("a = 'x' OR b = 'y' AND NOT c EXISTS", "(a = 'x' OR (b = 'y' AND NOT (has c)))"),
        ("(a = 'x' OR b ILIKE '%y%') AND n > 3", "(((a = 'x' OR b ILIKE '%y%')) AND n > 3.0)"),
        ("a IN ('x', \"it's\") AND ok = true", r"((a = 'x' OR a = 'it\'s') AND ok = true)"),
        ("a NOT IN ('x', 'y')", "(a != 'x' AND a != 'y')"),
        ("a IN $some AND b IN $every", "(a = 'p' OR a = 'q')"),
        ("a IN $every OR b = 'x'", "1"),
    ],
)
def test_a_filter_means_what_it_means_in_signoz(expression, condition_):
    fields = Fields(lambda name, operator, value: f"{name} {operator} {literal(value)}", lambda name: f"has {name}")
    assert condition(expression, fields, {"some": ["p", "q"], "every": ALL}) == condition_


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("a = ", "ends too early"),
        ("a == 'x'", "'=' is no value"),
        ("a IN 'x'", "'.' is missing"),
        ("a = 'x' b = 'y'", "not understood from 'b'"),
        ("a IN $nobody", "no variable 'nobody'"),
        ("(a = 'x'", "is missing before 'the end'"),
    ],
)
def test_a_filter_that_signoz_would_refuse_is_refused(expression, says):
    fields = Fields(lambda name, operator, value: name, lambda name: name)
    with pytest.raises(ValueError, match=says):
        condition(expression, fields, {})
