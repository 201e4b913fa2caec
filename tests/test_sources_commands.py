"""The commands say the same of the same traffic, whoever is asked: the folder, SigNoz or a real Prometheus."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_receivers import Answer, Receiver, receive
from attune_monitoring import semconv as sc
from attune_monitoring.cli import main
from attune_monitoring.cli.telemetry.asked import latency_of
from attune_monitoring.figures import Latency
from attune_monitoring.query import Filter, Query, Window
from attune_monitoring.sources.http import Server
from attune_monitoring.sources.local import LocalSource
from markdown_blocks import blocks
from otlp_receiver import closed_port
from same_traffic import NOW, SPIKE, openmetrics, recorded
from signoz_tables import database
from test_sources_prometheus import running
from test_sources_signoz import KEY, Warehouse, signoz

pytestmark = pytest.mark.xdist_group("sources-commands")  # what they share takes long to make

DOCS = Path(__file__).parent.parent / "docs"
RULES, GUIDE = DOCS / "examples" / "alerts.yaml", DOCS / "guides" / "OTEL_INTEGRATION.md"
UNKNOWN = {"savings", "savings_percent", "retry_waste", "fallback_waste"}


class World(NamedTuple):
    folder: Path
    servers: dict[str, str]
    """By name: the address, or why there is none."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The same sixteen days in a folder, in SigNoz' tables and in a Prometheus."""
    folder = tmp_path_factory.mktemp("folder")
    delta, cumulative = recorded(folder)
    servers = {}
    with ExitStack() as stack:
        try:
            past = openmetrics(cumulative)
            servers["prometheus"] = stack.enter_context(running(tmp_path_factory.mktemp("prometheus"), past))
        except pytest.skip.Exception as reason:
            servers["prometheus"] = str(reason)
        try:
            warehouse = Warehouse(database())
            warehouse.take(delta)
            servers["signoz"] = stack.enter_context(signoz(warehouse.select))
        except pytest.skip.Exception as reason:
            servers["signoz"] = str(reason)
        yield World(folder, servers)


@pytest.fixture(params=["prometheus", "signoz"])
def server(request: pytest.FixtureRequest, world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a server that --source has, with its address and key in the environment."""
    name = str(request.param)
    if not world.servers[name].startswith("http"):
        pytest.skip(world.servers[name])
    monkeypatch.setenv(f"{name.upper()}_URL", world.servers[name])
    monkeypatch.setenv("SIGNOZ_API_KEY", KEY)
    return name


class Ran(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def empathy(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: object) -> Ran:
        with pytest.raises(SystemExit) as exit_:
            main([str(each) for each in arguments], now=NOW)
        return Ran(int(exit_.value.code or 0), *capsys.readouterr())

    return run


def said(ran: Ran) -> Any:
    assert ran.status == 0, ran.err
    return json.loads(ran.out)


def differences(mine: Any, other: Any, place: str = "") -> Iterator[str]:
    """Yield where two JSON values differ by more than a cent or, for a percentile, by more than one bucket."""
    if isinstance(mine, dict) and isinstance(other, dict) and mine.keys() == other.keys():
        for key in mine:
            if other[key] is not None or key not in {*UNKNOWN, "min", "max"}:
                yield from differences(mine[key], other[key], f"{place}.{key}")
    elif isinstance(mine, list) and isinstance(other, list) and len(mine) == len(other):
        for number, (one, another) in enumerate(zip(mine, other, strict=True)):
            yield from differences(one, another, f"{place}[{number}]")
    elif place.endswith((".p50", ".p95", ".p99")):
        places = [sum(bound * 1000 < value for bound in sc.SECONDS_BUCKETS) for value in (mine, other)]
        if abs(places[0] - places[1]) > 1:
            yield f"{place}: {mine} and {other}"
    elif isinstance(mine, float) and isinstance(other, float):
        if not math.isclose(mine, other, rel_tol=1e-6, abs_tol=0.005):
            yield f"{place}: {mine} and {other}"
    elif mine != other:
        yield f"{place}: {mine} and {other}"


# --- summary
@pytest.mark.slow
@pytest.mark.parametrize("by", ["workflow", "provider", "model", "tier", "project"])
def test_the_summary_of_a_server_is_that_of_the_folder(world, server, empathy, by):
    asked = ("telemetry", "summary", "--by", by, "--since", "24h", "--tz", "UTC", "--format", "json")
    mine, other = said(empathy(*asked, "--dir", world.folder)), said(empathy(*asked, "--source", server))
    assert [answered["data"].pop("source") for answered in (mine, other)] == ["local", server]
    assert mine["data"]["before"] is not None
    assert len(mine["data"]["over_time"]) == 24
    assert list(differences(mine["data"], other["data"])) == []
    assert [mine[key] for key in ("command", "since", "until")] == [other[key] for key in ("command", "since", "until")]


@pytest.mark.slow
def test_the_screen_of_a_server_is_that_of_the_folder_but_for_percentiles(world, server, empathy):
    asked = ("telemetry", "summary", "--since", "24h", "--tz", "UTC")
    mine, other = empathy(*asked, "--dir", world.folder), empathy(*asked, "--source", server)
    lines = [ran.out.splitlines() for ran in (mine, other)]
    same = [one == another for one, another in zip(*lines, strict=True)]
    assert [line.split()[0] for line, equal in zip(lines[0], same, strict=True) if not equal] == [
        "Latency", "review", "triage",
    ]  # fmt: skip


@pytest.mark.slow
def test_what_a_server_cannot_say_is_null_and_told(server, empathy):
    ran = empathy("telemetry", "summary", "--source", server, "--since", "24h", "--format", "json")
    answered = said(ran)
    title = {"prometheus": "Prometheus", "signoz": "SigNoz"}[server]
    [note] = [note for note in answered["notes"] if "not available" in note]
    assert note.startswith(f"not available from {title}: savings, waste of retries and fallbacks")
    for figures in (answered["data"]["totals"], *answered["data"]["groups"]):
        assert {figures[key] for key in UNKNOWN} == {None}
        extremes = {figures["latency_ms"][key] for key in ("min", "max")}
        assert (extremes == {None}) is ("longest" in note) is (server == "prometheus")


@pytest.mark.slow
def test_a_time_without_data_before_it_is_compared_with_nothing(server, empathy):
    asked = ("telemetry", "summary", "--source", server, "--since", "15d", "--format", "json")
    assert said(empathy(*asked))["data"]["before"] is None


@pytest.mark.slow
def test_a_server_without_calls_says_so(server, empathy):
    ran = empathy("telemetry", "summary", "--source", server, "--since", "2026-01-02", "--until", "2026-01-03")
    assert (ran.status, "knows of no call that ended between 2026-01-02" in ran.out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("--source", "signoz", "--by", "user"), 2, "--by user is not available from SigNoz, only from records"),
        (("--source", "prometheus", "--by", "error"), 2, "it knows workflow, provider, model, tier, project"),
        (("--source", "signoz", "--since", "all"), 2, "give --since"),
        (("--url", "http://localhost:9090"), 2, "say --source signoz or --source prometheus"),
        (("--source", "prometheus", "--url", "localhost"), 1, "no address of Prometheus"),
    ],
)
def test_what_a_server_cannot_be_asked_is_told_before_it_is_asked(empathy, arguments, status, says):
    ran = empathy("telemetry", "summary", *arguments)
    assert (ran.status, says in ran.err, "Traceback" in ran.err) == (status, True, False)


@pytest.mark.slow
@pytest.mark.parametrize(("server_name", "title"), [("signoz", "SigNoz"), ("prometheus", "Prometheus")])
def test_a_server_that_is_away_is_told(empathy, server_name, title):
    with closed_port() as url:
        ran = empathy("telemetry", "summary", "--source", server_name, "--url", url)
    assert (ran.status, ran.out) == (1, "")
    assert f"Error: {title} at {url}: no connection (ConnectionError); is it running" in ran.err


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receive() as one:
        yield one


def test_a_wrong_key_is_told_without_it(empathy, receiver, monkeypatch):
    monkeypatch.setenv("SIGNOZ_API_KEY", "a-wrong-key")
    receiver.answers = [Answer(401)]
    ran = empathy("telemetry", "summary", "--source", "signoz", "--url", receiver.url)
    assert (ran.status, "refuses the key (HTTP 401)" in ran.err, "a-wrong-key" in ran.err) == (1, True, False)
    assert receiver.requests[0].headers["signoz-api-key"] == "a-wrong-key"


@settings(deadline=None)
@given(st.lists(st.floats(0, 4e7), min_size=1), st.sampled_from([50, 95, 99]))
def test_a_percentile_comes_out_as_it_went_in(durations, percent):
    whole = Latency()
    for milliseconds in durations:
        whole.add(milliseconds)
    values = {f"p{each}": (whole.percentile(each) or 0) / 1000 for each in (50, 95, 99)}
    values |= {"count": whole.count, "sum": whole.total / 1000}
    again = latency_of(values, {"min": whole.minimum / 1000, "max": whole.maximum / 1000})
    assert again.percentile(percent) == pytest.approx(whole.percentile(percent), rel=0.04)
    assert latency_of(values, {}).percentile(percent) == pytest.approx(whole.percentile(percent), rel=0.08, abs=1)


# --- alerts
@pytest.mark.slow
def test_the_example_rules_are_all_tested_against_a_server_as_against_the_folder(world, server, empathy):
    asked = ("alerts", "test", "--config", RULES, "--format", "json", "--dir", world.folder)
    mine, other = (said(empathy(*asked, *more))["data"]["rules"] for more in ((), ("--source", server)))
    assert [rule["error"] for rule in other] == [None] * len(mine)
    assert [(rule["name"], rule["state"]) for rule in mine] == [(rule["name"], rule["state"]) for rule in other]
    for one, another in zip(mine, other, strict=True):
        for alert, twin in zip(one["alerts"], another["alerts"], strict=True):
            assert (alert["labels"], alert["holds"]) == (twin["labels"], twin["holds"])
            assert twin["value"] == (alert["value"] and pytest.approx(alert["value"], rel=0.08))


@pytest.mark.slow
def test_a_backtest_of_the_example_rules_on_a_server_is_that_of_the_folder(world, server, empathy):
    asked = ("alerts", "backtest", "--config", RULES, "--since", "12h", "--interval", "1800", "--format", "json")
    mine, other = (
        said(empathy(*asked, *more))["data"]["rules"] for more in (("--dir", world.folder), ("--source", server))
    )
    assert {rule["name"] for rule in mine if not rule["episodes"]} == {"silence"}  # which is disabled
    for one, another in zip(mine, other, strict=True):
        assert (another["name"], another["errors"], another["error"]) == (one["name"], 0, None)
        assert another["notifications"] == one["notifications"]
        for episode, twin in zip(one["episodes"], another["episodes"], strict=True):
            assert twin["value"] == pytest.approx(episode["value"], rel=0.08)
            for key in ("labels", "fired_at", "resolved_at", "notifications"):
                assert twin[key] == episode[key]


@pytest.mark.slow
def test_a_watcher_on_a_server_fires_what_the_folder_says(world, server, empathy, storage):
    ran = empathy("alerts", "watch", "--once", "--config", RULES, "--source", server)
    assert ran.status == 0, ran.err
    told = json.loads((storage / "alerts.status.json").read_text())
    assert {alert["rule"] for alert in told["firing"]} == {
        "daily-cost", "expensive-workflow", "budget-forecast", "unknown-cost",
    }  # fmt: skip


@pytest.mark.slow
def test_the_file_of_rules_is_held_against_the_server(server, empathy, tmp_path):
    (tmp_path / "alerts.yaml").write_text(
        "channels: {terminal: {type: stdout}}\ndefaults: {actions: [terminal]}\nalerts:\n"
        "  - {name: slow, when: duration.max('1h') > 60}\n"
        "  - {name: odd, when: anomaly(cost)}\n"
    )
    ran = empathy("alerts", "lint", tmp_path / "alerts.yaml", "--source", server, "--format", "json")
    findings = json.loads(ran.out)["data"]["findings"]
    assert [(one["rule"], one["severity"]) for one in findings] == (
        [("slow", "error")] if server == "prometheus" else []
    )
    assert all("prometheus cannot answer it" in one["message"] for one in findings)


# --- the guide
OK = Filter(sc.OUTCOME, ("ok",))
HOUR = Window.of("1h")
IN_WORDS = (
    Query(sc.LLM_COST.name, HOUR),
    Query(sc.LLM_COST.name, HOUR, group_by=(sc.RESPONSE_MODEL,)),
    Query(sc.LLM_CALLS.name, HOUR),
    Query(sc.LLM_ERRORS.name, HOUR, "ratio", divisor=Query(sc.LLM_CALLS.name, HOUR)),
    Query(sc.LLM_TOKENS.name, HOUR, group_by=(sc.TOKEN_TYPE,)),
    Query(sc.LLM_DURATION.name, HOUR, "p95", (OK,)),
)
"""What the PromQL of the guide asks, in its order."""


@pytest.mark.slow
@pytest.mark.parametrize("place", range(len(IN_WORDS)))
def test_the_promql_of_the_guide_counts_what_the_folder_counts(world, place):
    if not world.servers["prometheus"].startswith("http"):
        pytest.skip(world.servers["prometheus"])
    recipes = [block.text for block in blocks(GUIDE, "promql")]
    assert len(recipes) == len(IN_WORDS)
    query, moment = IN_WORDS[place], SPIKE + timedelta(hours=1)
    asked = {"query": recipes[place], "time": str(moment.timestamp())}
    series = Server(world.servers["prometheus"], "Prometheus").ask("/api/v1/query", data=asked)["data"]["result"]
    [labels] = {tuple(one["metric"]) for one in series}
    assert labels == tuple(name.replace(".", "_") for name in query.group_by)
    found = {tuple(one["metric"].values()): float(one["value"][1]) for one in series}
    source = LocalSource(world.folder)
    [answers] = source.answer([query], moment)
    source.close()
    for answer in answers:
        value = found.pop(tuple(answer.labels.values()), 0.0)  # a model without known costs has no series of them
        if query.aggregation == "p95":
            places = [sum(bound < each for bound in sc.SECONDS_BUCKETS) for each in (value, answer.value)]
            assert abs(places[0] - places[1]) <= 1
        else:
            assert value == pytest.approx(answer.value * (100 if query.divisor else 1), rel=1e-6)
    assert found == {}
