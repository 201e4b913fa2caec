"""The local folder and the running process give the same answers for the same traffic."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from attune_monitoring import llm_call, stage, workflow
from attune_monitoring import semconv as sc
from attune_monitoring.alerts import AlertRule, MetricType
from attune_monitoring.alerts.evaluation import observe
from attune_monitoring.config import load_config
from attune_monitoring.errors import SourceError
from attune_monitoring.providers import isolated
from attune_monitoring.query import Filter, Query, Window
from attune_monitoring.sources.in_process import MetricReaderSource
from attune_monitoring.sources.local import LocalSource

HOUR = Window.of("1h")


def traffic() -> None:
    rnd = random.Random(3)
    for number in range(120):
        with workflow(rnd.choice(("review", "triage"))), stage("plan"):
            model = rnd.choice(("claude-haiku-4-5", "claude-sonnet-4-5", "no-such-model"))
            with llm_call(provider="anthropic", model=model) as call:
                if number % 7 == 0:
                    call.retry()
                if number % 11 == 0:
                    call.fallback(provider="openai", model="gpt-5-mini")
                call.set_response(model=model, finish_reasons=["length" if number % 5 == 0 else "stop"])
                if number % 9 == 0:
                    list(
                        call.stream(
                            iter([{"object": "chat.completion.chunk", "choices": [{"delta": {"content": "a"}}]}])
                        )
                    )
                call.set_usage(input_tokens=rnd.randrange(5000), output_tokens=rnd.randrange(500), cache_read_tokens=3)
            if number % 13 == 0:
                with pytest.raises(TimeoutError), llm_call(provider="openai", model="gpt-5"):
                    raise TimeoutError


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Iterator[tuple[LocalSource, MetricReaderSource]]:
    recorded, folder = tmp_path_factory.mktemp("recorded"), tmp_path_factory.mktemp("folder")
    reader = MetricReaderSource()
    with isolated(load_config(storage_dir=str(recorded)), readers=[reader], sinks=[], processors=[]):
        traffic()
        for file in recorded.glob("*.jsonl"):  # here everything is made under pytest, which local figures leave out
            (folder / file.name).write_bytes(file.read_bytes().replace(b',"under_pytest":true', b""))
        reader.changed()
        local = LocalSource(folder)
        yield local, reader
        local.close()


def now() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=2)


COUNTERS = [metric for metric in sc.METRICS if metric.name.startswith("attune.") and metric.instrument == "counter"]
HISTOGRAMS = [metric for metric in sc.METRICS if metric.name.startswith("attune.") and metric.instrument == "histogram"]


def compare(both, query: Query) -> None:
    moment = now()
    [local], [process] = (source.answer([query], moment) for source in both)
    assert [answer.labels for answer in local] == [answer.labels for answer in process]
    for mine, other in zip(local, process, strict=True):
        assert mine.value == pytest.approx(other.value, rel=0.08 if query.aggregation[0] == "p" else 1e-9, abs=2e-3)


@pytest.mark.parametrize(
    "metric", [metric for metric in COUNTERS if metric is not sc.DROPPED], ids=lambda one: one.name
)
@pytest.mark.parametrize("grouped", [False, True])
def test_sums_of_counters_are_equal(both, metric, grouped):
    compare(both, Query(metric.name, HOUR, "sum", group_by=metric.dimensions[:2] if grouped else ()))
    compare(both, Query(metric.name, HOUR, "rate"))


@pytest.mark.parametrize("metric", HISTOGRAMS, ids=lambda one: one.name)
@pytest.mark.parametrize("aggregation", ["count", "sum", "avg", "min", "max", "p50", "p95", "p99", "rate"])
def test_durations_are_equal(both, metric, aggregation):
    compare(both, Query(metric.name, HOUR, aggregation))
    compare(both, Query(metric.name, HOUR, aggregation, group_by=metric.dimensions[:1]))


@pytest.mark.parametrize("dimension", [sc.OUTCOME, sc.WORKFLOW_NAME, sc.RESPONSE_MODEL])
def test_calls_by_each_dimension_are_equal(both, dimension):
    compare(both, Query(sc.LLM_CALLS.name, HOUR, group_by=(dimension,)))
    compare(both, Query(sc.LLM_CALLS.name, HOUR, filters=(Filter(dimension, ("ok", "review"), negated=True),)))


def test_tokens_by_kind_and_errors_by_type_are_equal(both):
    compare(both, Query(sc.LLM_TOKENS.name, HOUR, group_by=(sc.PROVIDER, sc.TOKEN_TYPE)))
    compare(both, Query(sc.LLM_TOKENS.name, HOUR, filters=(Filter(sc.TOKEN_TYPE, ("output",)),)))
    compare(both, Query(sc.LLM_ERRORS.name, HOUR, group_by=(sc.ERROR_TYPE,)))


def test_ratios_are_equal(both):
    calls = Query(sc.LLM_CALLS.name, HOUR)
    compare(both, Query(sc.LLM_ERRORS.name, HOUR, "ratio", divisor=calls))
    by_workflow = Query(sc.LLM_CALLS.name, HOUR, group_by=(sc.WORKFLOW_NAME,))
    compare(both, Query(sc.LLM_ERRORS.name, HOUR, "ratio", group_by=(sc.WORKFLOW_NAME,), divisor=by_workflow))
    compare(both, Query(sc.LLM_COST.name, HOUR, "ratio", group_by=(sc.PROVIDER,), divisor=calls))


@pytest.mark.parametrize("kind", MetricType)
@pytest.mark.parametrize("by", [(), ("workflow_name",)])
def test_a_rule_of_each_metric_type_sees_the_same(both, kind, by):
    rule = AlertRule(metric=kind, threshold=0, by=by)
    seen = []
    for source in both:
        [observed] = observe([rule], source, now().timestamp())
        assert observed.error == ""
        seen.append({one.labels.get("workflow_name", ""): (one.holds, one.value) for one in observed.observations})
    local, process = seen
    assert local.keys() == process.keys() != set()
    for labels, (holds, value) in local.items():
        assert holds is process[labels][0]
        assert value == pytest.approx(process[labels][1], rel=0.08, abs=2)


def test_answers_are_those_of_the_traffic(both):
    [[calls], [errors], [rate]] = both[0].answer(
        [
            Query(sc.LLM_CALLS.name, HOUR),
            Query(sc.LLM_ERRORS.name, HOUR),
            Query(sc.LLM_ERRORS.name, HOUR, "ratio", divisor=Query(sc.LLM_CALLS.name, HOUR)),
        ],
        now(),
    )
    assert (calls.value, errors.value, rate.value) == (130, 10, 10 / 130)
    assert rate.samples == 130


def test_without_data_there_is_no_answer_and_no_zero(tmp_path):
    source = LocalSource(tmp_path)
    ratio = Query(sc.LLM_ERRORS.name, HOUR, "ratio", divisor=Query(sc.LLM_CALLS.name, HOUR))
    assert source.answer([Query(sc.LLM_COST.name, HOUR), ratio], now()) == [[], []]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (Query("attune.llm.costs", HOUR), r"no metric 'attune.llm.costs' \(did you mean attune.llm.cost\?\)"),
        (Query(sc.LLM_COST.name, HOUR, "p95"), "is a counter: ask for sum, rate, ratio"),
        (Query(sc.LLM_COST.name, HOUR, group_by=("attune.outcome",)), "has no dimension 'attune.outcome'"),
        (Query(sc.LLM_COST.name, HOUR, filters=(Filter("user.id", ("x",)),)), "has no dimension 'user.id'"),
        (Query(sc.LLM_COST.name, HOUR, "ratio"), "a ratio needs a divisor"),
        (Query(sc.DROPPED.name, HOUR), "never written cannot be read"),
    ],
)
def test_a_question_that_makes_no_sense_is_told(tmp_path, query, says):
    with pytest.raises(SourceError, match=says):
        LocalSource(tmp_path).answer([query], now())


def test_a_reader_without_a_provider_says_what_to_do():
    with pytest.raises(SourceError, match="configure"):
        MetricReaderSource().answer([Query(sc.LLM_COST.name, HOUR)], now())


def test_a_source_knows_whether_anything_is_new(tmp_path: Path):
    source = LocalSource(tmp_path)
    assert not source.changed()
    (tmp_path / "llm_calls.jsonl").write_bytes(b'{"call_id":"a","timestamp":"2026-01-01T00:00:00Z"}\n')
    assert source.changed()
    assert not source.changed()
