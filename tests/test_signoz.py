"""Dashboards and rules for SigNoz: what it would refuse is refused here, and what we make is what it takes."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from attune_monitoring import semconv as sc
from attune_monitoring.alerts import AlertAction, AlertRule, load_rules, m
from attune_monitoring.errors import ConfigError
from attune_monitoring.signoz import dashboards, read_dashboard, read_rule, sql, to_json, translate, translate_all
from attune_monitoring.signoz.asking import SERVICE, VARIABLES, Asking
from attune_monitoring.signoz.board import board, number, section
from attune_monitoring.signoz.panel import envelopes_of
from attune_monitoring.signoz.queries import MetricQuery, SqlQuery, TraceQuery

ROOT = Path(__file__).parent.parent
SCHEMAS = Path(os.environ.get("SIGNOZ_SCHEMAS", ROOT.parent / "shared" / "signoz"))
BOARDS = {dashboard.name: dashboard for dashboard in dashboards()}
RULES = load_rules(ROOT / "docs" / "examples" / "alerts.yaml", {}).rules
TRANSLATED, REFUSED = translate_all(RULES)
STORED = {metric.name + part for metric in sc.METRICS for part in ("", ".bucket", ".count", ".sum", ".min", ".max")}

every_board = pytest.mark.parametrize("name", BOARDS)


def query(**more):
    aggregation = {"metricName": sc.LLM_COST.name, "timeAggregation": "increase", "spaceAggregation": "sum"}
    return {"name": "A", "signal": "metrics", "aggregations": [aggregation], **more}


def panel(plugin="signoz/NumberPanel", kind="scalar", asked=None, title="Cost"):
    asked = asked or {"kind": "signoz/BuilderQuery", "spec": query()}
    return {
        "kind": "Panel",
        "spec": {
            "display": {"name": title},
            "plugin": {"kind": plugin, "spec": {}},
            "queries": [{"kind": kind, "spec": {"name": "A", "plugin": asked}}],
        },
    }


def item(key="cost", x=0, y=0, width=6, height=6):
    return {"x": x, "y": y, "width": width, "height": height, "content": {"$ref": f"#/spec/panels/{key}"}}


def document(panels=None, items=None, **more):
    return {
        "schemaVersion": "v6",
        "name": "llm-cost",
        "tags": [],
        "spec": {
            "display": {"name": "Cost"},
            "variables": more.pop("variables", []),
            "panels": {"cost": panel()} if panels is None else panels,
            "layouts": [{"kind": "Grid", "spec": {"items": [item()] if items is None else items}}],
        },
        **more,
    }


def several(*queries):
    return {"kind": "signoz/CompositeQuery", "spec": {"queries": list(queries)}}


def variable(name="model", **more):
    plugin = {"kind": "signoz/DynamicVariable", "spec": {"name": "m", "signal": "metrics"}}
    return {"kind": "ListVariable", "spec": {"name": name, "display": {"name": "m"}, "plugin": plugin, **more}}


SQL = {"kind": "signoz/ClickHouseSQL", "spec": {"name": "A", "query": "SELECT 1"}}
PROMQL = {"kind": "signoz/PromQLQuery", "spec": {"name": "A", "query": "up"}}
FORMULA = {"type": "builder_formula", "spec": {"name": "F", "expression": "A / B"}}
BUILDER = {"type": "builder_query", "spec": query()}
TWO = {"cost": panel(), "calls": panel()}


def test_a_small_dashboard_is_taken():
    assert read_dashboard(document()).spec.panels.keys() == {"cost"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (document(color="red"), "unknown field `color`"),
        (document(panels={"cost": panel("signoz/MapPanel")}), "signoz/MapPanel"),
        (document(panels={"cost": panel(asked={"kind": "signoz/BuilderQuery", "spec": query(colour=1)})}), "colour"),
        (document(schemaVersion="v5"), "v5"),
        (document(variables=None), "variables"),
        (document(name="LLM Cost"), "lower case"),
        (document(name="-cost"), "no dash at either end"),
        (document(tags=[{"key": str(number), "value": "v"} for number in range(11)]), "11 tags"),
        (document(panels={"cost": panel(title="x" * 129)}), "1 to 128 characters"),
        (document(panels={"the cost": panel()}, items=[item("the cost")]), "a key is letters"),
        (document(panels={"cost": panel(kind="time_series")}), "draws scalar"),
        (document(panels={"cost": panel("signoz/TimeSeriesPanel")}), "draws time_series"),
        (document(panels={"cost": panel("signoz/ListPanel", "raw", SQL)}), "builder only"),
        (document(panels={"cost": panel("signoz/ListPanel", "raw")}), "takes no aggregations"),
        (document(panels={"cost": panel("signoz/TablePanel", asked=PROMQL)}), "no PromQL"),
        (document(panels={"cost": panel("signoz/PieChartPanel", asked=PROMQL)}), "no PromQL"),
        (document(panels={"cost": panel(asked=several(BUILDER, BUILDER))}), "two queries are named 'A'"),
        (document(panels={"cost": panel(asked=several(BUILDER, FORMULA))}), "names B"),
        (document(panels={"cost": panel(asked=several())}), "there is no query"),
        (document(variables=[variable("a"), variable("a")]), "two variables are named 'a'"),
        (document(variables=[variable("my model")]), "letters, digits and underscores"),
        (document(variables=[variable(defaultValue=["a", "b"])]), "only one can be chosen"),
        (document(items=[]), "placed nowhere"),
        (document(items=[item(), item(y=6)]), "placed 2 times"),
        (document(items=[item("other"), item(y=6)]), "no such panel"),
        (document(items=[item(x=7)]), "does not fit"),
        (document(items=[item(width=0)]), "does not fit"),
        (document(TWO, [item(), item("calls", x=5)]), "lies over cost"),
    ],
)
def test_a_dashboard_that_signoz_would_refuse_is_refused(wrong, says):
    with pytest.raises(ConfigError, match=says):
        read_dashboard(wrong)


def test_a_panel_has_exactly_one_query():
    twice = panel()
    twice["spec"]["queries"] *= 2
    with pytest.raises(ConfigError, match="2 queries, not one"):
        read_dashboard(document({"cost": twice}))


def test_all_faults_of_a_dashboard_are_told_at_once():
    with pytest.raises(ConfigError) as raised:
        read_dashboard(document(TWO, [item(x=9)], name="A B"))
    assert len(raised.value.problems) == 3


def test_two_sections_may_use_the_same_cells():
    first = document(TWO, [item()])
    first["spec"]["layouts"].append({"kind": "Grid", "spec": {"items": [item("calls")]}})
    assert len(read_dashboard(first).spec.layouts) == 2


@every_board
def test_a_dashboard_of_ours_is_read_back_as_it_was(name):
    assert read_dashboard(to_json(BOARDS[name])) == BOARDS[name]


@every_board
def test_a_dashboard_of_ours_passes_the_schema_of_signoz(name):
    assert faults("dashboard-v6", to_json(BOARDS[name])) == []


@every_board
def test_panels_ask_for_metrics_that_semconv_has(name):
    asked = [
        aggregation.metric_name
        for each in BOARDS[name].spec.panels.values()
        for one in envelopes_of(each)
        if isinstance(one.spec, MetricQuery)
        for aggregation in one.spec.aggregations
    ]
    assert asked
    assert set(asked) <= STORED


@every_board
def test_a_variable_that_a_panel_names_is_one_of_the_dashboard(name):
    known = {one.spec.name for one in BOARDS[name].spec.variables}
    text = to_json(BOARDS[name])
    assert {one for one in VARIABLES if f"${one})" in text or f"${one} " in text or f'${one}"' in text} <= known


@every_board
def test_figures_from_spans_say_that_they_are_sampled(name):
    silent = [
        key
        for key, each in BOARDS[name].spec.panels.items()
        if any(isinstance(one.spec, TraceQuery) for one in envelopes_of(each))
        and "(sampled)" not in each.spec.display.name
    ]
    assert silent == []


def test_the_written_dashboards_are_fresh():
    tool = [sys.executable, ROOT / "tools" / "make_dashboards.py", "--check"]
    done = subprocess.run(tool, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_tool_names_every_dashboard_and_the_example():
    made = runpy.run_path(str(ROOT / "tools" / "make_dashboards.py"))["files"]()
    assert len(made) == len(BOARDS) + 1


def test_a_dimension_that_a_metric_lacks_is_refused():
    with pytest.raises(ConfigError, match=r"attune.llm.cost has no dimension 'user.id'"):
        Asking().total(sc.LLM_COST, by=[sc.USER_ID])


def test_a_counter_has_no_percentiles():
    with pytest.raises(ConfigError, match="has no percentiles"):
        Asking().quantile(sc.LLM_COST, "p95")


def test_a_variable_filters_only_metrics_that_have_its_dimension():
    asked = Asking("service", "tier", "workflow").total(sc.WORKFLOW_RUNS)
    assert asked.filter is not None
    assert asked.filter.expression == f"{SERVICE} IN $service AND {sc.WORKFLOW_NAME} IN $workflow"


def test_two_panels_of_one_section_have_different_titles():
    cost = number("Cost", Asking().total(sc.LLM_COST), "currencyUSD")
    with pytest.raises(ConfigError, match="two panels 'now-cost'"):
        board("b", "B", "", (), section("Now", cost, cost))


def test_a_text_in_sql_cannot_end_its_literal_or_name_a_variable():
    assert sql.text("a'b\\c$model{{.x}}") == "'a\\'b\\\\c\\x24model\\x7b\\x7b.x\\x7d\\x7d'"


def test_making_dashboards_and_rules_imports_neither_the_sdk_nor_an_http_client():
    code = "import sys, attune_monitoring.signoz; print({'requests', 'opentelemetry.sdk'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# --- rules -------------------------------------------------------------------------------------------------------
def rule(**more):
    return AlertRule(**{"name": "cost", "when": m.cost.sum("1h") > 5, **more})


def wire(made):
    return json.loads(to_json(made.rule))


def asked(made):
    spec = made.rule.condition.composite_query.queries[0].spec
    assert isinstance(spec, SqlQuery)
    return spec.query


def test_a_rule_of_ours_is_read_back_as_it_was():
    made = translate(rule()).rule
    assert read_rule(to_json(made)) == made


@pytest.mark.parametrize("name", [made.rule.alert for made in TRANSLATED])
def test_a_translated_example_passes_the_schema_of_signoz(name):
    made = next(one for one in TRANSLATED if one.rule.alert == name)
    assert faults("rule-v2alpha1", to_json(made.rule)) == []


def test_of_the_examples_only_those_that_need_history_by_the_hour_are_refused():
    assert {one.name: one.reason.split(":")[0] for one in REFUSED} == {
        "budget-forecast": "forecast",
        "cost-anomaly": "anomaly",
    }


def test_the_examples_in_python_are_refused_where_a_function_decides():
    module = runpy.run_path(str(ROOT / "docs" / "examples" / "alerts.py"))
    rules = [one for one in module.values() if isinstance(one, AlertRule)]
    refused = {one.name: one.reason for one in translate_all(rules)[1]}
    assert refused.keys() == {"budget-forecast", "cost-anomaly", "retries-for-nothing"}
    assert refused["retries-for-nothing"] == "a function decides, and SigNoz runs none"


def test_a_threshold_carries_severity_operator_and_where_it_ends():
    made = AlertRule("c", metric="daily_cost", operator="gte", threshold=10, resolve_threshold=8, severity="critical")
    (limit,) = translate(made).rule.condition.thresholds.spec
    assert (limit.name, limit.op, limit.target, limit.recovery_target) == ("critical", "above_or_equal", 10, 8)


def test_a_condition_that_must_hold_is_looked_at_each_minute():
    condition = translate(rule(for_="5m")).rule.condition
    assert condition.thresholds.spec[0].match_type == "all_the_times"
    assert (condition.require_min_points, condition.required_num_points) == (True, 6)


def test_the_rest_of_a_condition_leaves_rows_out():
    made = translate(rule(when=(m.cost.sum("1h") > 5) & (m.calls.sum("1h") >= 20)))
    assert made.rule.condition.thresholds.spec[0].target == 5
    assert asked(made).endswith("isFinite(result) AND part1 >= 20.0 ORDER BY ts")


def test_a_sum_that_is_divided_is_zero_where_nothing_was_counted():
    made = translate(rule(when=m.errors.sum("5m") / m.calls.sum("5m") > 0.2))
    assert "(coalesce(part0, 0) / nullIf(part1, 0)) AS result" in asked(made)


def test_few_samples_are_no_data():
    made = translate(AlertRule("e", metric="error_rate", threshold=5, min_samples=20))
    assert "AND part1 >= 20 ORDER BY" in asked(made)


def test_a_calendar_day_begins_in_the_time_zone_that_is_given():
    made = translate(AlertRule("t", metric="cost_today", threshold=10), time_zone="Europe/Berlin")
    assert wire(made)["evaluation"] == {
        "kind": "cumulative",
        "spec": {
            "schedule": {"type": "daily", "hour": 0, "minute": 0},
            "frequency": "1m",
            "timezone": "Europe/Berlin",
        },
    }


def test_no_data_that_alerts_is_an_absence_there():
    condition = translate(rule(no_data="alert")).rule.condition
    assert (condition.alert_on_absent, condition.absent_for) == (True, 1)


def test_a_cooldown_is_when_it_is_told_again():
    settings = wire(translate(rule(cooldown="4h")))["notificationSettings"]
    assert settings["renotify"] == {"enabled": True, "interval": "240m", "alertStates": ["firing"]}


def test_channels_are_those_that_signoz_delivers_to():
    made = translate(rule(actions=[AlertAction("stdout"), AlertAction("webhook", {"url": "http://x"}, name="oncall")]))
    assert made.rule.condition.thresholds.spec[0].channels == ("oncall",)
    assert made.notes == ("SigNoz does not deliver to stdout",)


def test_without_a_channel_of_its_own_the_given_ones_are_told():
    made = translate(rule(), channels=["llm-webhook"])
    assert made.rule.condition.thresholds.spec[0].channels == ("llm-webhook",)


def test_nothing_of_a_channel_but_its_name_is_in_a_rule():
    made = translate(rule(actions=[AlertAction("slack", {"url": "https://hooks.example/secret"}, name="chat")]))
    assert "secret" not in to_json(made.rule)


def test_a_disabled_rule_is_disabled_there():
    assert translate(rule(enabled=False)).rule.disabled


def test_annotations_name_value_and_labels_in_the_templates_of_signoz():
    made = translate(rule(by="workflow_name", annotations={"summary": "{workflow_name}: {value:.2f} USD {{x}}"}))
    assert made.rule.annotations == {"summary": "{{$labels.workflow_name}}: {{$value}} USD {x}"}


@pytest.mark.parametrize(
    ("more", "lost"),
    [
        ({"keep_firing_for": "5m"}, "keep_firing_for"),
        ({"eval_delay": "5m"}, "eval_delay"),
        ({"no_data": "keep"}, "no_data keep"),
        ({"annotations": {"summary": "{duration}"}}, "{duration}"),
    ],
)
def test_what_signoz_does_differently_is_said(more, lost):
    (note,) = translate(rule(**more)).notes
    assert note.startswith(lost)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"when": (m.cost.sum("1h") > 5) | (m.calls.sum("1h") > 5)}, "make two rules"),
        ({"when": ~(m.cost.sum("1h") > 5)}, "turn the comparison around"),
        ({"when": m.cost.sum("1h") > m.cost.sum("24h")}, "a threshold is a number"),
        ({"when": m.cost.sum("week") > 5}, "write 7d"),
        ({"when": m.cost.sum("today") / m.cost.sum("7d") > 5}, "stands alone"),
        ({"when": m.cost.sum("today") > 5, "for_": "5m"}, "only as it is now"),
        ({"for_": "2h"}, "at most 60"),
        ({"resolve_when": m.calls.sum("1h") < 5}, "resolve_threshold"),
        ({"min_samples": 5}, "how many records are behind attune.llm.cost"),
    ],
)
def test_a_rule_that_signoz_cannot_express_is_refused_by_name(more, says):
    with pytest.raises(ConfigError, match=f"^rule 'cost': .*{says}"):
        translate(rule(**more))


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("color", "red", "unknown field `color`"),
        ("version", "v4", "v4"),
        ("alert", " ", "no name"),
        ("ruleType", "promql_rule", "does not go with"),
        ("condition.selectedQueryName", "B", "none of its queries"),
        ("condition.compositeQuery.queryType", "builder", "of another type"),
        ("condition.compositeQuery.queries", [], "there is no query"),
        ("condition.thresholds.spec", [], "no threshold"),
        ("condition.thresholds.kind", "fancy", "fancy"),
        ("condition.alertOnAbsent", True, "absentFor"),
        ("condition.requireMinPoints", True, "requiredNumPoints"),
        ("evaluation.spec.evalWindow", "one hour", "no duration"),
        ("evaluation.spec.frequency", "0m", "no duration"),
        ("notificationSettings.renotify", {"enabled": True, "interval": "4h"}, "alertStates"),
    ],
)
def test_a_rule_that_signoz_would_refuse_is_refused(path, value, says):
    wrong = wire(translate(rule(by="model")))
    *above, last = path.split(".")
    inside = wrong
    for key in above:
        inside = inside[key]
    inside[last] = value
    with pytest.raises(ConfigError, match=says):
        read_rule(wrong)


def test_a_monthly_schedule_needs_a_day():
    wrong = wire(translate(rule(when=m.cost.sum("month") > 5)))
    del wrong["evaluation"]["spec"]["schedule"]["day"]
    with pytest.raises(ConfigError, match="needs day"):
        read_rule(wrong)


def test_documents_are_never_changed():
    with pytest.raises(AttributeError):
        BOARDS["attune-overview"].name = "other"
    assert msgspec.structs.replace(BOARDS["attune-overview"], name="other").name == "other"


def faults(schema, text):
    file = SCHEMAS / f"{schema}.schema.json"
    if not file.is_file():
        pytest.skip(f"SigNoz's schemas are not here; SIGNOZ_SCHEMAS names their folder ({file.name} is missing)")
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(json.loads(file.read_text("utf-8")))
    return [f"{one.json_path}: {one.message[:200]}" for one in validator.iter_errors(json.loads(text))]
