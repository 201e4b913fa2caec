"""SigNoz answers what the local folder answers: a strict stand-in runs its SQL in the embedded ClickHouse."""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import pytest
from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader

from alert_receivers import RESET, Answer, Receiver, receive
from attune_monitoring import semconv as sc
from attune_monitoring.cli import main
from attune_monitoring.config import load_config
from attune_monitoring.errors import SourceError
from attune_monitoring.providers import isolated
from attune_monitoring.query import Filter, Query, Window
from attune_monitoring.sources.http import Server
from attune_monitoring.sources.local import LocalSource
from attune_monitoring.sources.signoz import SigNozSource
from otlp_receiver import black_hole, closed_port
from same_traffic import Point, points_of
from signoz_tables import database
from test_sources import COUNTERS, HISTOGRAMS, traffic

HOUR = Window.of("1h")
COST = Query(sc.LLM_COST.name, HOUR)
KEY = "k" * 12
EMPTY = Answer(body='{"status":"success","data":{"type":"scalar","data":{"results":[]},"meta":{}}}')
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
DATABASE = """
CREATE DATABASE signoz_metrics;
CREATE TABLE signoz_metrics.distributed_samples_v4 (env LowCardinality(String), temporality LowCardinality(String),
  metric_name LowCardinality(String), fingerprint UInt64, unix_milli Int64, value Float64)
  ENGINE = MergeTree ORDER BY (env, temporality, metric_name, fingerprint, unix_milli);
CREATE TABLE signoz_metrics.distributed_time_series_v4 (env LowCardinality(String), temporality LowCardinality(String),
  metric_name LowCardinality(String), fingerprint UInt64, unix_milli Int64, labels String)
  ENGINE = MergeTree ORDER BY (env, temporality, metric_name, fingerprint, unix_milli);
"""


class _Spec(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    query: str
    legend: str = ""


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["clickhouse_sql"]
    spec: _Spec


class _Composite(msgspec.Struct, forbid_unknown_fields=True):
    queries: list[_Envelope]


class _Question(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """What the query API takes; an unknown field is refused, as there."""

    schema_version: Literal["v1"]
    start: int
    end: int
    request_type: Literal["scalar"]
    composite_query: _Composite
    variables: dict[str, Any]
    no_cache: bool


class Warehouse:
    """The metric tables as SigNoz's collector fills them, in the embedded ClickHouse."""

    def __init__(self, session: Any) -> None:
        self._session = session
        for statement in filter(str.strip, DATABASE.split(";")):
            session.query(statement)

    def select(self, sql: str) -> dict[str, Any]:
        return dict(json.loads(self._session.query(sql, "JSONCompact").data()))

    def add(self, metric: str, labels: dict[str, str], at: datetime, value: float, *, temporality: str) -> None:
        self.take([Point(metric, labels, at, value)], temporality)

    def take(self, points: Iterable[Point], temporality: str = "Delta") -> None:
        samples, series = [], {}
        for metric, labels, at, value in points:
            place, hour = int(at.timestamp() * 1000), int(at.timestamp()) // 3600 * 3_600_000
            text = json.dumps({"__name__": metric, **labels}, sort_keys=True)
            kept = "Unspecified" if metric.endswith((".min", ".max")) else temporality
            key = {"env": "default", "temporality": kept, "metric_name": metric, "fingerprint": abs(hash(text))}
            samples.append(json.dumps({**key, "unix_milli": place, "value": value}))
            series[hour, text] = json.dumps({**key, "unix_milli": hour, "labels": text})
        for table, lines in (("samples_v4", samples), ("time_series_v4", series.values())):
            into = f"INSERT INTO signoz_metrics.distributed_{table} FORMAT JSONEachRow "
            self._session.query(into + "\n".join(lines))


@contextmanager
def signoz(select: Callable[[str], dict[str, Any]]) -> Iterator[str]:
    """A stand-in of the query API, strict about all that it is sent; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = self.reply(body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def reply(self, body: bytes) -> tuple[int, dict[str, Any]]:
            if self.path != "/api/v5/query_range":
                return 404, {"status": "error"}
            if self.headers.get("SIGNOZ-API-KEY") != KEY:
                return 401, _refusal("unauthenticated", "unknown key")
            try:
                question = msgspec.json.decode(body, type=_Question)
            except msgspec.ValidationError as error:
                return 400, _refusal("invalid_input", str(error))
            queries = [one.spec for one in question.composite_query.queries]
            if len({one.name for one in queries}) < len(queries) or not 0 < question.start < question.end:
                return 400, _refusal("invalid_input", "names must be unique, and the range must not be empty")
            if any("$" in one.query or "{{" in one.query for one in queries):
                return 400, _refusal("invalid_input", "unknown variable")
            # Their order is none: SigNoz runs them side by side.
            results = [_result(one.name, select(one.query)) for one in reversed(queries)]
            return 200, {"status": "success", "data": {"type": "scalar", "data": {"results": results}, "meta": {}}}

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _refusal(code: str, message: str) -> dict[str, Any]:
    return {"status": "error", "error": {"code": code, "message": message}}


def _result(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """Return what a scalar answer holds: a column is a value where its type is a number, else a group."""
    columns = [
        {
            "name": column["name"],
            "queryName": name,
            "aggregationIndex": 0,
            "columnType": "aggregation" if column["type"] == "Float64" else "group",
        }
        for column in found["meta"]
    ]
    return {"queryName": name, "columns": columns, "data": found["data"] or None}


@pytest.fixture(scope="module")
def warehouse() -> Warehouse:
    return Warehouse(database())


class World(NamedTuple):
    local: LocalSource
    signoz: SigNozSource


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, warehouse: Warehouse) -> Iterator[World]:
    """The same traffic in a folder, and in SigNoz' tables by way of the SDK."""
    recorded, folder = tmp_path_factory.mktemp("recorded"), tmp_path_factory.mktemp("folder")
    delta = dict.fromkeys((Counter, ObservableCounter, Histogram), AggregationTemporality.DELTA)
    reader = InMemoryMetricReader(preferred_temporality=delta)
    with ExitStack() as stack:
        config = load_config(storage_dir=str(recorded))
        stack.enter_context(isolated(config, readers=[reader], sinks=[], processors=[]))
        traffic()
        warehouse.take(points_of(reader, datetime.now(UTC)))
        for file in recorded.glob("*.jsonl"):  # what is made under pytest does not count
            (folder / file.name).write_bytes(file.read_bytes().replace(b',"under_pytest":true', b""))
        local = LocalSource(folder)
        source = SigNozSource(stack.enter_context(signoz(warehouse.select)), KEY)
        stack.callback(local.close)
        stack.callback(source.close)
        yield World(local, source)


def now() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=2)


def compare(world: World, *queries: Query) -> None:
    moment = now()
    for query, mine, other in zip(queries, *(source.answer(queries, moment) for source in world), strict=True):
        assert [answer.labels for answer in mine] == [answer.labels for answer in other] != []
        for one, another in zip(mine, other, strict=True):
            assert another.value == pytest.approx(one.value, rel=1e-6, abs=2e-3)
            if query.metric != sc.LLM_TOKENS.name:  # there the folder counts a call once for each kind of token
                assert another.samples == one.samples


@pytest.mark.slow
@pytest.mark.parametrize("grouped", [False, True])
def test_sums_equal_those_of_the_folder(world, grouped):
    counters = [metric for metric in COUNTERS if metric is not sc.DROPPED]
    compare(world, *(Query(one.name, HOUR, group_by=one.dimensions[:2] if grouped else ()) for one in counters))


@pytest.mark.slow
@pytest.mark.parametrize("aggregation", ["count", "sum", "avg", "min", "max", "rate"])
def test_numbers_sums_and_extremes_of_durations_equal_those_of_the_folder(world, aggregation):
    compare(world, *(Query(one.name, HOUR, aggregation, group_by=one.dimensions[:1]) for one in HISTOGRAMS))


@pytest.mark.slow
@pytest.mark.parametrize("aggregation", ["p50", "p95", "p99"])
def test_quantiles_are_within_one_bucket_of_the_folders(world, aggregation):
    moment = now()
    queries = [Query(one.name, HOUR, aggregation, group_by=one.dimensions[:1]) for one in HISTOGRAMS]
    for metric, mine, other in zip(HISTOGRAMS, *(source.answer(queries, moment) for source in world), strict=True):
        assert [answer.labels for answer in mine] == [answer.labels for answer in other] != []
        for one, another in zip(mine, other, strict=True):
            places = [sum(bound < answer.value for bound in metric.buckets) for answer in (one, another)]
            assert abs(places[0] - places[1]) <= 1


@pytest.mark.slow
def test_filters_and_ratios_equal_those_of_the_folder(world):
    calls = Query(sc.LLM_CALLS.name, HOUR)
    strange = Filter(sc.WORKFLOW_NAME, ("review", "') OR 1 = 1 --", "$start_timestamp", "{{.x}}"))
    compare(
        world,
        Query(sc.LLM_COST.name, HOUR, filters=(strange,)),
        Query(sc.LLM_COST.name, HOUR, filters=(Filter(sc.WORKFLOW_NAME, strange.values, True),)),
        Query(sc.LLM_TOKENS.name, HOUR, filters=(Filter(sc.TOKEN_TYPE, ("output",)),), group_by=(sc.TOKEN_TYPE,)),
        Query(sc.LLM_ERRORS.name, HOUR, "ratio", divisor=calls),
        Query(sc.LLM_COST.name, HOUR, "ratio", group_by=(sc.PROVIDER,), divisor=calls),
    )


@pytest.mark.slow
def test_more_queries_than_one_request_takes_are_answered(world):
    compare(world, *(Query(sc.LLM_CALLS.name, Window(seconds=3600 + 60 * each)) for each in range(45)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("temporality", "values", "gained"),
    [
        ("Delta", {-30: 2.0, 10: 3.0, 20: 4.0}, 7),
        ("Cumulative", {-30: 2.0, 10: 3.0, 20: 9.0}, 7),
        ("Cumulative", {10: 3.0, 20: 9.0}, 9),
        ("Cumulative", {-30: 2.0}, None),
    ],
)
def test_only_what_was_gained_in_the_window_counts(world, warehouse, request, temporality, values, gained):
    name = request.node.name
    for minute, value in values.items():
        at = NOON + timedelta(minutes=minute)
        warehouse.add(sc.LLM_COST.name, {sc.WORKFLOW_NAME: name}, at, value, temporality=temporality)
    query = Query(sc.LLM_COST.name, HOUR, filters=(Filter(sc.WORKFLOW_NAME, (name,)),))
    [answers] = world.signoz.answer([query], NOON + timedelta(hours=1))
    assert [answer.value for answer in answers] == ([] if gained is None else [gained])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("temporality", "values", "hours"),
    [
        ("Delta", {-30: 2.0, 10: 3.0, 20: 4.0, 70: 5.0}, [7, 5]),
        ("Cumulative", {-30: 2.0, 10: 3.0, 20: 9.0, 70: 10.0}, [7, 1]),
        ("Cumulative", {10: 3.0, 20: 9.0}, [9, None]),
        ("Cumulative", {10: 9.0, 70: 4.0}, [9, 4]),  # begun anew
        ("Cumulative", {-30: 2.0, 70: 2.0}, [None, None]),
    ],
)
def test_sums_by_the_hour_are_what_was_gained_in_each_hour(world, warehouse, request, temporality, values, hours):
    name = request.node.name
    for minute, value in values.items():
        at = NOON + timedelta(minutes=minute)
        warehouse.add(sc.LLM_COST.name, {sc.WORKFLOW_NAME: name}, at, value, temporality=temporality)
    query = Query(sc.LLM_COST.name, HOUR, filters=(Filter(sc.WORKFLOW_NAME, (name,)),), group_by=(sc.WORKFLOW_NAME,))
    noon = int(NOON.timestamp())
    expected = {noon + place * 3600: value for place, value in enumerate(hours) if value is not None}
    assert world.signoz.hourly(query, noon, noon + 5400) == ({(name,): expected} if expected else {})


@pytest.mark.slow
@pytest.mark.parametrize(
    "metric", [sc.LLM_COST, sc.LLM_ERRORS, sc.LLM_TOKENS, sc.WORKFLOW_RUNS], ids=lambda one: one.name
)
def test_sums_by_the_hour_equal_those_of_the_folder(world, metric):
    query = Query(metric.name, HOUR, group_by=metric.dimensions[:2])
    moment = now().timestamp()
    sums = [
        {
            labels: sum(hours.values())
            for labels, hours in source.hourly(query, moment // 3600 * 3600 - 7200, moment).items()
        }
        for source in world
    ]
    assert sums[1] == pytest.approx({labels: value for labels, value in sums[0].items() if value}, rel=1e-6)


@pytest.mark.slow
def test_series_beyond_the_limit_have_a_name_of_their_own(world, warehouse):
    warehouse.add(sc.LLM_RETRIES.name, {sc.OVERFLOW: "true"}, NOON - timedelta(days=9), 3, temporality="Delta")
    query = Query(sc.LLM_RETRIES.name, HOUR, group_by=(sc.PROVIDER, sc.TIER))
    [[answer]] = world.signoz.answer([query], NOON - timedelta(days=9) + timedelta(minutes=30))
    assert (answer.labels, answer.value) == ({sc.PROVIDER: "__other__", sc.TIER: "__other__"}, 3)
    begin = int((NOON - timedelta(days=9)).timestamp())
    assert world.signoz.hourly(query, begin, begin + 3600) == {("__other__", "__other__"): {begin: 3}}


def test_sums_by_the_hour_of_something_else_are_refused(receiver):
    receiver.answers = [Answer(body=EMPTY.body.replace("[]", '[{"data": [["today", "", 1]]}]'))]
    source = SigNozSource(receiver.url, KEY)
    with pytest.raises(SourceError, match="none of SigNoz's query API"):
        source.hourly(COST, 0, 3600)
    with pytest.raises(SourceError, match="has no sums by the hour; counters have"):
        source.hourly(Query(sc.LLM_DURATION.name, HOUR), 0, 3600)


# --- the commands
RULES = """\
channels: {terminal: {type: stdout}}
defaults: {actions: [terminal]}
alerts:
  - {name: spend, when: cost.sum("1h") > 5}
  - {name: failures, when: errors.sum("1h") > 5}
"""


@pytest.fixture
def alerts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs `empathy alerts` in a project of two rules; returns its exit status, stdout and stderr."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "alerts.yaml").write_text(RULES, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGNOZ_API_KEY", KEY)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_:
            main(["alerts", *arguments], now=NOON)
        out, err = capsys.readouterr()
        return int(exit_.value.code or 0), out, err

    return run


def spent(dollars: float) -> Callable[[str], dict[str, Any]]:
    """What a database selects in which that much was spent in ten calls."""
    names = [{"name": name, "type": "String"} for name in ("look", "metric", "other", "bound")]
    meta = [*names, {"name": "value", "type": "Float64"}]

    def select(sql: str) -> dict[str, Any]:
        look = sql.split("'")[1]
        values = {sc.LLM_COST.name: dollars, sc.LLM_CALLS.name: 10.0}
        return {"meta": meta, "data": [[look, name, "", "", one] for name, one in values.items() if f"'{name}'" in sql]}

    return select


@pytest.mark.slow
@pytest.mark.parametrize("named_by", ["option", "environment"])
def test_rules_are_tested_against_the_server(alerts, monkeypatch, named_by):
    with signoz(spent(7.5)) as url:
        monkeypatch.setenv("SIGNOZ_URL", url)
        more = ("--url", url) if named_by == "option" else ()
        status, out, err = alerts("test", "--source", "signoz", "--format", "json", *more)
    assert status == 0, err
    assert [(rule["state"], rule["alerts"][0]["value"]) for rule in json.loads(out)["data"]["rules"]] == [
        ("would fire", 7.5),
        ("quiet", 0.0),
    ]


def test_a_watcher_asks_the_server(alerts, storage):
    with signoz(spent(7.5)) as url:
        status, _, err = alerts("watch", "--once", "--source", "signoz", "--url", url)
    assert status == 0, err
    told = json.loads((storage / "alerts.status.json").read_text())
    assert (told["source"], [alert["rule"] for alert in told["firing"]]) == ("signoz", ["spend"])


def test_a_backtest_asks_the_server(alerts):
    with signoz(spent(7.5)) as url:
        asked = ("--source", "signoz", "--url", url, "--since", "2h", "--interval", "1800", "--format", "json")
        status, out, err = alerts("backtest", *asked)
    assert status == 0, err
    spend, failures = json.loads(out)["data"]["rules"]
    assert [episode["peak"] for episode in spend["episodes"]] == [7.5]
    assert (failures["episodes"], failures["errors"]) == ([], 0)


@pytest.mark.slow
def test_a_server_that_is_away_is_told_by_each_rule(alerts):
    with closed_port() as url:
        status, out, err = alerts("test", "--source", "prometheus", "--url", url, "--format", "json")
    assert status == 0, err
    assert ["no connection" in rule["error"] for rule in json.loads(out)["data"]["rules"]] == [True, True]


def test_another_server_than_the_one_meant_is_told(alerts):
    with signoz(spent(7.5)) as url:
        _, out, _ = alerts("test", "spend", "--source", "prometheus", "--url", url, "--format", "json")
    assert "is this its address" in json.loads(out)["data"]["rules"][0]["error"]


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("--url", "http://localhost:9090"), 2, "say --source signoz or --source prometheus"),
        (("--source", "prometheus", "--url", "localhost"), 1, "no address of Prometheus"),
    ],
)
def test_an_address_that_cannot_be_asked_is_told(alerts, arguments, status, says):
    found, _, err = alerts("test", *arguments)
    assert (found, says in err, "Traceback" in err) == (status, True, False)


# --- the server behind it
class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receive() as one:
        one.answers = [EMPTY]
        yield one


def source_at(url: str, clock: Clock, **options: Any) -> SigNozSource:
    headers = {"SIGNOZ-API-KEY": KEY}
    return SigNozSource("", server=Server(url, "SigNoz", headers=headers, clock=clock, pause=clock.pause, **options))


def ask(source: SigNozSource) -> str:
    with pytest.raises(SourceError) as caught:
        source.answer([COST], now())
    return str(caught.value)


def test_without_data_there_is_no_answer_and_no_zero(receiver):
    ratio = Query(sc.LLM_ERRORS.name, HOUR, "ratio", divisor=Query(sc.LLM_CALLS.name, HOUR))
    assert SigNozSource(receiver.url, KEY).answer([COST, ratio], now()) == [[], []]


def test_the_key_is_sent_even_where_a_netrc_knows_the_host(receiver, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    SigNozSource(receiver.url, KEY).answer([COST], now())
    [request] = receiver.requests
    assert request.headers["signoz-api-key"] == KEY
    assert "authorization" not in request.headers


@pytest.mark.parametrize("failure", [RESET, Answer(429), Answer(502), Answer(503), Answer(504)])
def test_what_passes_is_tried_again(receiver, failure):
    receiver.answers = [failure, failure, EMPTY]
    clock = Clock()
    assert source_at(receiver.url, clock).answer([COST], now()) == [[]]
    assert clock.pauses == [0.2, 0.8]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(401), "refuses the key"),
        (Answer(403), "refuses the key"),
        (Answer(404), "does not know the question"),
        (Answer(302, {"Location": "http://elsewhere/"}), "redirects"),
        (Answer(400, body=json.dumps(_refusal("invalid_input", "no column x"))), "refuses .HTTP 400.: no column x"),
        (Answer(500, body="broken"), "refuses .HTTP 500.: broken"),
        (Answer(503), "refuses .HTTP 503.: no reason given"),
        (Answer(200, body="<html>"), "does not answer with JSON"),
        (Answer(200, body="{}"), "none of SigNoz's query API"),
    ],
)
def test_a_refusal_says_what_to_do(receiver, answer, says):
    receiver.answers = [answer]
    with pytest.raises(SourceError, match=says):
        source_at(receiver.url, Clock()).answer([COST], now())


def test_a_server_that_is_silent_is_asked_once():
    clock = Clock()
    with black_hole() as url:
        assert "no answer within 0.05 s" in ask(source_at(url, clock, timeout=0.05))
    assert clock.pauses == []


def test_a_server_that_is_down_is_asked_once_for_all_rules_of_a_tick():
    clock = Clock()
    with closed_port() as url:
        source = source_at(url, clock)
        assert "no connection (ConnectionError)" in ask(source)
        tries = len(clock.pauses)
        assert ask(source) == ask(source)
        assert len(clock.pauses) == tries


@pytest.mark.parametrize("passes", ["time", "tick"])
def test_a_server_that_was_down_is_asked_again(receiver, passes):
    receiver.answers = [Answer(401), EMPTY]
    clock = Clock()
    source = source_at(receiver.url, clock)
    ask(source)
    if passes == "time":
        clock.now += 10
    else:
        assert source.changed()
    assert source.answer([COST], now()) == [[]]


def test_a_query_that_is_refused_leaves_the_others_theirs(receiver):
    receiver.answers = [Answer(400), EMPTY]
    source = source_at(receiver.url, Clock())
    ask(source)
    assert source.answer([COST], now()) == [[]]


def test_neither_key_nor_password_is_ever_told(receiver, caplog):
    caplog.set_level(logging.DEBUG)
    receiver.answers = [Answer(400, kind="echo"), RESET]
    source = source_at(receiver.url.replace("://", "://someone:hunter2hunter2@"), Clock())
    said = [ask(source), ask(source)]
    in_header = base64.b64encode(b"someone:hunter2hunter2").decode()
    assert receiver.requests[0].headers["authorization"] == f"Basic {in_header}"
    for secret in (KEY, "hunter2hunter2", in_header):
        assert all(secret not in text for text in (*said, caplog.text))


def test_a_key_that_is_none_is_told_without_it():
    with pytest.raises(SourceError, match="copy it again") as caught:
        SigNozSource("http://127.0.0.1:9", "secret\n")
    assert "secret" not in str(caught.value)
