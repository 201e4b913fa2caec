"""Prometheus answers what the local folder answers; the real one, from Debian's package, is asked."""

from __future__ import annotations

import base64
import bisect
import itertools
import math
import random
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_receivers import RESET, Answer, Receiver, receive
from attune_monitoring import log_llm_call
from attune_monitoring import semconv as sc
from attune_monitoring.config import load_config
from attune_monitoring.errors import SourceError
from attune_monitoring.providers import isolated
from attune_monitoring.query import Filter, Query, Window
from attune_monitoring.records import LLMCallRecord
from attune_monitoring.sources.exported import Histogram, latency_of
from attune_monitoring.sources.http import Server
from attune_monitoring.sources.local import LocalSource
from attune_monitoring.sources.prometheus import PrometheusSource, names_of
from otlp_receiver import black_hole
from prometheus_program import require
from test_sources import COUNTERS, HISTOGRAMS, traffic

pytestmark = pytest.mark.xdist_group("prometheus")  # what they share takes long to make

HOUR = Window.of("1h")
DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2)
"""What was before the server began is on this day."""


class World(NamedTuple):
    local: LocalSource
    prometheus: PrometheusSource
    url: str


def calls_of_every_length(worker: int) -> None:
    rnd = random.Random(worker)
    for number in range(100):
        log_llm_call(
            LLMCallRecord(
                call_id=f"{worker}-{number}",
                timestamp=datetime.now(UTC).isoformat(),
                workflow_name=rnd.choice(('a "quoted" one', "back\\slash", "review")),
                provider="openai",
                model_id="gpt-5",
                tier=rnd.choice(("cheap", "premium")),
                latency_ms=round(rnd.lognormvariate(6, 1.5)),
                time_to_first_token_ms=rnd.lognormvariate(4, 1),
                estimated_cost=rnd.random() / 100,
                input_tokens=rnd.randrange(1, 4000),
                output_tokens=rnd.randrange(1, 400),
            )
        )


def history() -> str:
    """What had been scraped that day, every minute from noon: counters that began, ended, paused and began anew."""
    worlds: Mapping[str, Mapping[int, float]] = {
        "short": {10: 5.0},
        "long": {minute: 0.5 * minute for minute in range(120)},
        "restarted": {minute: float(minute % 30 + 1) for minute in range(120)},
        "away": {**dict.fromkeys(range(30), 7.0), **dict.fromkeys(range(70, 90), 9.0)},
        "over": dict.fromkeys(range(58), 100.0),
    }
    lines = ["# HELP attune_llm_cost_USD cost", "# TYPE attune_llm_cost_USD counter", "# UNIT attune_llm_cost_USD USD"]
    for name, values in worlds.items():
        for minute, value in values.items():
            at = (DAY + timedelta(hours=12, minutes=minute)).timestamp()
            lines.append(f'attune_llm_cost_USD_total{{gen_ai_workflow_name="{name}"}} {value} {at:.3f}')
    noon = (DAY + timedelta(hours=12)).timestamp()
    lines += [
        "# TYPE attune_llm_retries unknown",  # as written by an exporter that adds no suffixes
        f'attune_llm_retries{{gen_ai_workflow_name="plain"}} 3 {noon:.3f}',
        f'attune_llm_retries{{otel_metric_overflow="true"}} 4 {noon:.3f}',
    ]
    return "\n".join([*lines, "# EOF", ""])


def spent(prometheus: PrometheusSource, name: str, window: str, *, until: int) -> float | None:
    """USD of one workflow in a window that ends so many minutes after noon."""
    query = Query(sc.LLM_COST.name, Window.of(window), filters=(Filter(sc.WORKFLOW_NAME, (name,)),))
    [answers] = prometheus.answer([query], DAY + timedelta(hours=12, minutes=until))
    return answers[0].value if answers else None


def wait_until(holds: Callable[[], bool]) -> None:
    deadline, again = time.monotonic() + 60, threading.Event()
    while not holds():
        assert time.monotonic() < deadline, "nothing came"
        again.wait(0.1)


def port_of_nobody() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(folder: Path, past: Sequence[str], targets: Sequence[str] = ()) -> Iterator[str]:
    """A real Prometheus with that past, scraping those targets; gives its address."""
    program, tool = require("prometheus"), require("promtool")
    for text in past:
        (folder / "past.txt").write_text(text)
        blocks = [tool, "tsdb", "create-blocks-from", "openmetrics", str(folder / "past.txt"), str(folder / "data")]
        subprocess.run(blocks, check=True, capture_output=True)
    listed = ", ".join(f"'{target}'" for target in targets)
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 2s, scrape_timeout: 2s}\n"
        f"scrape_configs: [{{job_name: workers, static_configs: [{{targets: [{listed}]}}]}}]\n"
    )
    address = f"127.0.0.1:{port_of_nobody()}"
    flags = {
        "config.file": folder / "prometheus.yml",
        "storage.tsdb.path": folder / "data",
        "storage.tsdb.retention.time": "10y",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, f"--web.listen-address={address}", *(f"--{name}={value}" for name, value in flags.items())],
            stdout=log,
            stderr=log,
        )
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Four workers at the same time, each with its own reader and port, one folder, and who has scraped them."""
    exporter = pytest.importorskip("opentelemetry.exporter.prometheus")
    client = pytest.importorskip("prometheus_client")
    folder, copy = tmp_path_factory.mktemp("recorded"), tmp_path_factory.mktemp("folder")
    with ExitStack() as stack:
        targets = []
        for worker in range(4):
            registry = client.CollectorRegistry()
            reader = exporter.PrometheusMetricReader(registry=registry)
            config = load_config(storage_dir=str(folder / str(worker)))
            stack.enter_context(isolated(config, readers=[reader], sinks=[], processors=[]))
            calls_of_every_length(worker)
            if worker == 0:
                traffic()
            server, _ = client.start_http_server(0, "127.0.0.1", registry)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            targets.append(f"127.0.0.1:{server.server_port}")
        for file in folder.glob("*/*.jsonl"):  # what is made under pytest does not count
            with (copy / file.name).open("ab") as into:
                into.write(file.read_bytes().replace(b',"under_pytest":true', b""))
        url = stack.enter_context(running(tmp_path_factory.mktemp("prometheus"), [history()], targets))
        local, prometheus = LocalSource(copy), PrometheusSource(url)
        stack.callback(local.close)
        stack.callback(prometheus.close)
        whole = local.answer([Query(sc.LLM_CALLS.name, HOUR)], now())[0][0].value
        wait_until(lambda: calls_of(prometheus) == whole)
        yield World(local, prometheus, url)


def calls_of(source: PrometheusSource) -> float | None:
    source.changed()
    try:
        [answers] = source.answer([Query(sc.LLM_CALLS.name, HOUR)], now())
    except SourceError:
        return None
    return answers[0].value if answers else None


def now() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=2)


def compare(world: World, query: Query) -> None:
    moment = now()
    [local], [prometheus] = (source.answer([query], moment) for source in world[:2])
    assert [answer.labels for answer in local] == [answer.labels for answer in prometheus] != []
    for mine, other in zip(local, prometheus, strict=True):
        assert other.value == pytest.approx(mine.value, rel=1e-6, abs=2e-3)
        if query.metric != sc.LLM_TOKENS.name:  # there the folder counts a call once for each kind of token
            assert other.samples == mine.samples


def bucket(bounds: tuple[float, ...], value: float) -> int:
    return sum(bound < value for bound in bounds)


@pytest.mark.slow
@pytest.mark.parametrize(
    "metric", [metric for metric in COUNTERS if metric is not sc.DROPPED], ids=lambda one: one.name
)
@pytest.mark.parametrize("grouped", [False, True])
def test_sums_equal_those_of_the_folder(world, metric, grouped):
    compare(world, Query(metric.name, HOUR, group_by=metric.dimensions[:2] if grouped else ()))
    compare(world, Query(metric.name, Window.of("today"), "rate"))


@pytest.mark.slow
@pytest.mark.parametrize("metric", HISTOGRAMS, ids=lambda one: one.name)
@pytest.mark.parametrize("aggregation", ["count", "sum", "avg", "rate"])
def test_numbers_and_sums_of_durations_equal_those_of_the_folder(world, metric, aggregation):
    compare(world, Query(metric.name, HOUR, aggregation, group_by=metric.dimensions[:1]))


@pytest.mark.slow
@pytest.mark.parametrize("metric", HISTOGRAMS, ids=lambda one: one.name)
@pytest.mark.parametrize("aggregation", ["p50", "p95", "p99"])
def test_quantiles_are_within_one_bucket_of_the_folders(world, metric, aggregation):
    moment = now()
    query = Query(metric.name, HOUR, aggregation, group_by=metric.dimensions[:1])
    [local], [prometheus] = (source.answer([query], moment) for source in world[:2])
    assert [answer.labels for answer in local] == [answer.labels for answer in prometheus] != []
    for mine, other in zip(local, prometheus, strict=True):
        assert abs(bucket(metric.buckets, mine.value) - bucket(metric.buckets, other.value)) <= 1


@pytest.mark.slow
def test_filters_and_ratios_equal_those_of_the_folder(world):
    calls = Query(sc.LLM_CALLS.name, HOUR)
    quoted = Filter(sc.WORKFLOW_NAME, ('a "quoted" one', "back\\slash"))
    compare(world, Query(sc.LLM_COST.name, HOUR, filters=(quoted,), group_by=(sc.WORKFLOW_NAME,)))
    compare(world, Query(sc.LLM_COST.name, HOUR, filters=(Filter(sc.WORKFLOW_NAME, quoted.values, True),)))
    compare(world, Query(sc.LLM_TOKENS.name, HOUR, filters=(Filter(sc.TOKEN_TYPE, ("output",)),)))
    compare(world, Query(sc.LLM_ERRORS.name, HOUR, "ratio", divisor=calls))
    compare(world, Query(sc.LLM_COST.name, HOUR, "ratio", group_by=(sc.PROVIDER,), divisor=calls))


@pytest.mark.slow
def test_a_job_that_was_scraped_once_counts_whole(world):
    assert spent(world.prometheus, "short", "1h", until=60) == 5


@pytest.mark.slow
def test_only_what_was_spent_in_the_window_counts(world):
    assert spent(world.prometheus, "long", "20m", until=100) == 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("window", "until", "expected"),
    [
        ("1h", 114, (30 - 25) + 30 + 25),  # 25 at 12:54, anew at 13:00 and 13:30, 25 at 13:54
        ("30m", 60, (30 - 1) + 1),  # anew at both ends: at 12:30, which is before it, and at 13:00
        ("10m", 35, 30 - 26 + 6),  # 26 at 12:25, anew at 12:30, 6 at 12:35
    ],
)
def test_a_counter_that_begins_anew_loses_nothing(world, window, until, expected):
    assert spent(world.prometheus, "restarted", window, until=until) == expected


@pytest.mark.slow
def test_a_scraper_that_was_away_counts_nothing_twice(world):
    assert spent(world.prometheus, "away", "30m", until=80) == 2


@pytest.mark.slow
def test_what_ended_before_the_window_does_not_count(world):
    assert spent(world.prometheus, "over", "30m", until=90) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "hours"),
    [  # what was scraped at the full hour belongs to the hour that has ended
        ("short", [None, 5, None]),
        ("long", [None, 30, 29.5]),
        ("restarted", [1, 30 + 30, 29 + 30]),  # anew at 12:30, 13:00 and 13:30
        ("away", [7, None, 2]),
        ("over", [100, None, None]),
    ],
)
def test_sums_by_the_hour_are_what_was_spent_in_each_hour(world, name, hours):
    eleven = int(DAY.timestamp()) + 11 * 3600
    query = Query(sc.LLM_COST.name, HOUR, filters=(Filter(sc.WORKFLOW_NAME, (name,)),))
    found = world.prometheus.hourly(query, eleven - 3600, eleven + 4 * 3600)
    assert found == {(): {eleven + place * 3600: value for place, value in enumerate(hours) if value is not None}}
    answered = (spent(world.prometheus, name, "1h", until=until) for until in (0, 60, 120))
    assert [value or None for value in answered] == hours


@pytest.mark.slow
def test_an_hour_that_is_not_over_is_summed_as_far_as_it_has_gone(world):
    noon = int(DAY.timestamp()) + 12 * 3600
    query = Query(sc.LLM_COST.name, HOUR, filters=(Filter(sc.WORKFLOW_NAME, ("long",)),), group_by=(sc.WORKFLOW_NAME,))
    assert world.prometheus.hourly(query, noon, noon + 5400) == {("long",): {noon: 30, noon + 3600: 15}}
    assert world.prometheus.hourly(query, noon + 3600, noon + 5400) == {("long",): {noon + 3600: 15}}


@pytest.mark.slow
@pytest.mark.parametrize(
    "metric", [sc.LLM_COST, sc.LLM_ERRORS, sc.LLM_TOKENS, sc.WORKFLOW_RUNS], ids=lambda one: one.name
)
@pytest.mark.parametrize("ends", ["now", "at the full hour"])
def test_sums_by_the_hour_equal_those_of_the_folder(world, metric, ends):
    query = Query(metric.name, HOUR, group_by=metric.dimensions[:2])
    moment = now().timestamp()
    begin, end = moment // 3600 * 3600 - 7200, moment if ends == "now" else -(-moment // 3600) * 3600
    sums = [
        {labels: sum(hours.values()) for labels, hours in source.hourly(query, begin, end).items()}
        for source in world[:2]
    ]
    assert sums[1] == pytest.approx({labels: value for labels, value in sums[0].items() if value}, rel=1e-6)


def test_durations_have_no_sums_by_the_hour():
    with pytest.raises(SourceError, match="has no sums by the hour; counters have"):
        PrometheusSource("http://127.0.0.1:9").hourly(Query(sc.LLM_DURATION.name, HOUR), 0, 3600)


@pytest.mark.slow
def test_names_without_suffixes_are_found_and_series_beyond_the_limit_have_a_name_of_their_own(world):
    query = Query(sc.LLM_RETRIES.name, HOUR, group_by=(sc.WORKFLOW_NAME,))
    [answers] = world.prometheus.answer([query], DAY + timedelta(hours=12, minutes=30))
    assert [(answer.labels[sc.WORKFLOW_NAME], answer.value) for answer in answers] == [("__other__", 4), ("plain", 3)]


@pytest.mark.slow
@pytest.mark.parametrize("percent", [50, 95, 99])
def test_quantiles_are_those_of_promql(world, percent):
    moment = now()
    [[answer]] = world.prometheus.answer([Query(sc.LLM_DURATION.name, HOUR, f"p{percent}")], moment)
    buckets = "sum by (le) (last_over_time(attune_llm_duration_seconds_bucket[1h]))"
    asked = {"query": f"histogram_quantile({percent / 100}, {buckets})", "time": str(moment.timestamp())}
    [found] = Server(world.url, "Prometheus").ask("/api/v1/query", data=asked)["data"]["result"]
    assert answer.value == pytest.approx(float(found["value"][1]), rel=0.08)


@pytest.mark.slow
def test_a_query_that_prometheus_refuses_is_told_and_not_remembered(world):
    server = Server(world.url, "Prometheus")
    for _ in range(2):
        with pytest.raises(SourceError, match=r"refuses \(HTTP 400\).*parse error"):
            server.ask("/api/v1/query", data={"query": "sum("})


def test_a_histogram_spreads_a_bucket_evenly_and_ends_at_its_last_bound():
    latency = latency_of(Histogram({0.1: 10, 0.2: 30, 0.4: 30, math.inf: 31}, 5.0))
    assert (latency.count, latency.total, latency.minimum, latency.maximum) == (31, 5000, 0, 400)
    assert latency.percentile(50) == pytest.approx(100 + 100 * (15.5 - 10) / 20, rel=0.08)
    assert latency.percentile(100) == 400


@settings(deadline=None)
@given(counts=st.lists(st.integers(0, 10_000), min_size=14, max_size=14), percent=st.integers(1, 100))
def test_a_quantile_lies_in_its_bucket(counts, percent):
    sums = list(itertools.accumulate(counts))
    latency = latency_of(Histogram(dict(zip(sc.SECONDS_BUCKETS, sums, strict=True)), 1.0))
    found = latency.percentile(percent)
    assert latency.count == sums[-1]
    if found is None:
        assert sums[-1] == 0
        return
    place = bisect.bisect_left(sums, max(1, math.ceil(sums[-1] * percent / 100)))
    low, high = (1000 * bound for bound in (0, *sc.SECONDS_BUCKETS)[place : place + 2])
    assert low * 0.96 <= found <= high * 1.04


def test_names_are_those_that_exporters_give():
    assert names_of(sc.LLM_COST.name) == (
        "attune_llm_cost_USD_total", "attune_llm_cost_total", "attune_llm_cost_USD", "attune_llm_cost",
    )  # fmt: skip
    assert names_of(sc.LLM_CALLS.name) == ("attune_llm_calls_total", "attune_llm_calls")
    assert names_of(sc.LLM_DURATION.name, "_sum") == ("attune_llm_duration_seconds_sum", "attune_llm_duration_sum")


@pytest.mark.parametrize("aggregation", ["min", "max"])
def test_extremes_that_are_not_kept_are_refused(aggregation):
    with pytest.raises(SourceError, match="keeps no"):
        PrometheusSource("http://127.0.0.1:9").answer([Query(sc.LLM_DURATION.name, HOUR, aggregation)], now())


@pytest.mark.parametrize("url", ["", "localhost:9090", "ftp://host", "http://", "http://host:port", "http://h/?a=b"])
def test_an_address_that_is_none_is_told(url):
    with pytest.raises(SourceError, match="no address of Prometheus"):
        PrometheusSource(url)


# --- the server behind it
EMPTY = Answer(body='{"status":"success","data":{"resultType":"vector","result":[]}}')
COST = Query(sc.LLM_COST.name, HOUR)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receive() as one:
        one.answers = [EMPTY]
        yield one


def test_the_token_is_sent_with_every_question(receiver):
    source = PrometheusSource(receiver.url, "t0ken-of-mine")
    assert source.answer([COST], now()) == [[]]
    assert source.hourly(COST, 0, 7200) == {}
    assert {request.headers["authorization"] for request in receiver.requests} == {"Bearer t0ken-of-mine"}
    assert [request.path for request in receiver.requests] == ["/api/v1/query", *["/api/v1/query_range"] * 2]


def test_user_and_password_of_the_address_sign_in(receiver):
    PrometheusSource(receiver.url.replace("://", "://someone:secret@") + "/prom/").answer([COST], now())
    [request] = receiver.requests
    assert request.path == "/prom/api/v1/query"
    assert request.headers["authorization"] == f"Basic {base64.b64encode(b'someone:secret').decode()}"


@pytest.mark.parametrize("failure", [RESET, Answer(429), Answer(503)])
def test_what_passes_is_tried_again(receiver, failure):
    receiver.answers = [failure, failure, EMPTY]
    pauses: list[float] = []
    source = PrometheusSource("", server=Server(receiver.url, "Prometheus", pause=pauses.append))
    assert source.hourly(COST, 0, 3600) == {}
    assert pauses == [0.2, 0.8]


def test_a_server_that_is_silent_is_told():
    with black_hole() as url:
        source = PrometheusSource("", server=Server(url, "Prometheus", timeout=0.05))
        with pytest.raises(SourceError, match=r"no answer within 0\.05 s"):
            source.hourly(COST, 0, 3600)


@pytest.mark.parametrize("body", ["{}", '{"data": {"result": [{"metric": {}}]}}', '{"data": {"result": [1]}}'])
@pytest.mark.parametrize(
    "ask", [lambda source: source.answer([COST], now()), lambda source: source.hourly(COST, 0, 60)]
)
def test_an_answer_that_is_none_of_prometheus_is_told(receiver, body, ask):
    receiver.answers = [Answer(body=body)]
    with pytest.raises(SourceError, match="none of Prometheus; is this its address"):
        ask(PrometheusSource(receiver.url))


def test_values_that_are_no_numbers_are_left_out(receiver):
    hours = '[[3600, "NaN"], [7200, "2"]]'
    answered = f'{{"data": {{"result": [{{"metric": {{"attune_tier": "cheap"}}, "values": {hours}}}]}}}}'
    receiver.answers = [Answer(body=answered), EMPTY]
    query = Query(sc.LLM_COST.name, HOUR, group_by=(sc.TIER,))
    assert PrometheusSource(receiver.url).hourly(query, 0, 7200) == {("cheap",): {3600: 2}}
