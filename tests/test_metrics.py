"""The instruments: what each record adds, and that no record and no fork can break them."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from attune_monitoring import log_llm_call
from attune_monitoring import semconv as sc
from attune_monitoring.exporters import RecorderProcessor
from attune_monitoring.mapping import Origin
from attune_monitoring.metrics import MAX_PENDING, MAX_SERIES, Instruments
from attune_monitoring.pricing import Pricing
from attune_monitoring.recorder import Recorder
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, WorkflowStageRecord
from attune_monitoring.testing import capture
from record_strategies import CALLS, RUNS

BASE = {
    sc.WORKFLOW_NAME: "w",
    sc.PROVIDER: "openai",
    sc.RESPONSE_MODEL: "m",
    sc.TIER: "cheap",
    sc.PROJECT: "p",
}
CLIENT = {sc.OPERATION: "chat", sc.PROVIDER: "openai", sc.REQUEST_MODEL: "asked", sc.RESPONSE_MODEL: "m"}


def _call(**fields: Any) -> LLMCallRecord:
    given = {
        "workflow_name": "w",
        "provider": "openai",
        "model_id": "m",
        "tier": "cheap",
        "project": "p",
        "request_model": "asked",
        "dialect": "attune",
        "cost_source": "table",
        "latency_ms": 1500,
    }
    return LLMCallRecord("c", "2026-01-11T03:47:00Z", **{**given, **fields})


def _run(**fields: Any) -> WorkflowRunRecord:
    given = {"workflow_name": "w", "project": "p", "dialect": "attune"}
    return WorkflowRunRecord(run_id="r", started_at="2026-01-11T03:47:00Z", **{**given, **fields})


class Meter:
    """Instruments on a real meter provider, and what a collection gives."""

    def __init__(self, dropped: int = 0) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)
        self.instruments = Instruments(self.provider.get_meter(sc.SCOPE), lambda: dropped)

    def metrics(self) -> dict[str, Any]:
        data = self.reader.get_metrics_data()
        if data is None:
            return {}
        found = [one for resource in data.resource_metrics for scope in resource.scope_metrics for one in scope.metrics]
        return {metric.name: metric for metric in found}

    def points(self, metric: sc.Metric) -> dict[frozenset[tuple[str, Any]], Any]:
        found = self.metrics().get(metric.name)
        if found is None:
            return {}
        return {
            frozenset(point.attributes.items()): point.sum if hasattr(point, "count") else point.value
            for point in found.data.data_points
        }


def _key(*more: tuple[str, Any]) -> frozenset[tuple[str, Any]]:
    return frozenset([*BASE.items(), *more])


@pytest.fixture
def meter() -> Iterator[Meter]:
    made = Meter()
    yield made
    made.provider.shutdown()


class TestCalls:
    def test_calls_count_by_outcome(self, meter):
        for fields in ({}, {}, {"success": False}, {"success": False, "cancelled": True}):
            meter.instruments.call(_call(**fields))
        counted = {dict(key)[sc.OUTCOME]: value for key, value in meter.points(sc.LLM_CALLS).items()}
        assert counted == {"ok": 2, "error": 1, "cancelled": 1}

    def test_cost_and_baseline_add_up_for_each_series(self, meter):
        meter.instruments.call(_call(estimated_cost=0.25, baseline_cost=1.0))
        meter.instruments.call(_call(estimated_cost=0.5, actual_cost=0.75, baseline_cost=1.0))
        meter.instruments.call(_call(estimated_cost=9.0, provider="anthropic"))
        assert meter.points(sc.LLM_COST)[_key()] == 1.0
        assert meter.points(sc.LLM_BASELINE) == {_key(): 2.0}
        assert len(meter.points(sc.LLM_COST)) == 2

    def test_an_unknown_cost_counts_and_is_no_zero(self, meter):
        meter.instruments.call(_call(estimated_cost=None, cost_source="unknown"))
        assert meter.points(sc.LLM_UNKNOWN_COST) == {_key(): 1}
        assert meter.points(sc.LLM_COST) == {}

    def test_a_call_that_used_nothing_has_no_unknown_cost(self, meter):
        meter.instruments.call(_call(estimated_cost=None, cost_source="none", success=False))
        assert meter.points(sc.LLM_UNKNOWN_COST) == {}

    def test_tokens_count_by_kind(self, meter):
        meter.instruments.call(
            _call(
                input_tokens=10,
                output_tokens=5,
                cache_read_tokens=4,
                cache_write_tokens=3,
                reasoning_tokens=2,
            )
        )
        meter.instruments.call(_call(input_tokens=1, output_tokens=None))
        counted = {dict(key)[sc.TOKEN_TYPE]: value for key, value in meter.points(sc.LLM_TOKENS).items()}
        assert counted == {"input": 11, "output": 5, "cache_read": 4, "cache_write": 3, "reasoning": 2}

    def test_errors_count_by_type(self, meter):
        for kind in ("timeout", "timeout", None):
            meter.instruments.call(_call(success=False, error_type=kind))
        counted = {dict(key)[sc.ERROR_TYPE]: value for key, value in meter.points(sc.LLM_ERRORS).items()}
        assert counted == {"timeout": 2, "_OTHER": 1}

    def test_retries_fallbacks_and_cut_answers_count(self, meter):
        meter.instruments.call(_call(retry_count=2, fallback_used=True, finish_reasons=["length"]))
        meter.instruments.call(_call(retry_count=1, finish_reasons=["stop", "MAX_TOKENS"]))
        meter.instruments.call(_call(finish_reasons=["stop"]))
        assert meter.points(sc.LLM_RETRIES) == {_key(): 3}
        assert meter.points(sc.LLM_FALLBACKS) == {_key(): 1}
        assert meter.points(sc.LLM_TRUNCATED) == {_key(): 2}

    def test_durations_are_in_seconds(self, meter):
        meter.instruments.call(_call(latency_ms=1500, time_to_first_token_ms=250.0))
        assert meter.points(sc.LLM_DURATION) == {_key((sc.OUTCOME, "ok")): 1.5}
        assert meter.points(sc.LLM_TTFT) == {_key(): 0.25}

    def test_the_conventions_client_metrics_are_those_of_our_own_spans(self, meter):
        meter.instruments.call(_call(input_tokens=10, output_tokens=5, time_to_first_token_ms=250.0))
        client = frozenset(CLIENT.items())
        assert meter.points(sc.CLIENT_DURATION) == {client: 1.5}
        assert meter.points(sc.CLIENT_TTFC) == {client: 0.25}
        assert meter.points(sc.CLIENT_TOKENS) == {
            client | {(sc.TOKEN_TYPE, "input")}: 10,
            client | {(sc.TOKEN_TYPE, "output")}: 5,
        }

    def test_the_conventions_client_metrics_are_left_to_whoever_made_a_foreign_span(self, meter):
        meter.instruments.call(_call(dialect="openinference", input_tokens=10))
        assert not [name for name in meter.metrics() if name.startswith("gen_ai.")]
        assert meter.points(sc.LLM_CALLS)

    def test_a_failed_call_names_its_error_on_the_client_duration(self, meter):
        meter.instruments.call(_call(success=False, error_type="timeout"))
        assert list(meter.points(sc.CLIENT_DURATION)) == [frozenset([*CLIENT.items(), (sc.ERROR_TYPE, "timeout")])]

    def test_what_is_not_known_is_no_attribute(self, meter):
        meter.instruments.call(_call(workflow_name=None, project=None, model_id=""))
        [key] = meter.points(sc.LLM_CALLS)
        assert dict(key) == {sc.PROVIDER: "openai", sc.TIER: "cheap", sc.OUTCOME: "ok"}


class TestRuns:
    def test_runs_count_by_outcome_and_last_as_long_as_they_did(self, meter):
        meter.instruments.run(_run(total_duration_ms=2500))
        meter.instruments.run(_run(success=False, error_type="E"))
        named = {sc.WORKFLOW_NAME: "w", sc.PROJECT: "p"}
        assert meter.points(sc.WORKFLOW_RUNS) == {
            frozenset({**named, sc.OUTCOME: "ok"}.items()): 1,
            frozenset({**named, sc.OUTCOME: "error"}.items()): 1,
        }
        assert meter.points(sc.WORKFLOW_DURATION)[frozenset({**named, sc.OUTCOME: "ok"}.items())] == 2.5

    def test_stages_last_as_long_as_they_did_and_skipped_ones_not_at_all(self, meter):
        stages = [
            WorkflowStageRecord("a", "cheap", "m", latency_ms=500),
            WorkflowStageRecord("b", "cheap", "m", skipped=True, success=False),
        ]
        meter.instruments.run(_run(stages=stages))
        [key] = meter.points(sc.STAGE_DURATION)
        assert dict(key) == {sc.WORKFLOW_NAME: "w", sc.STAGE_NAME: "a", sc.TIER: "cheap", sc.OUTCOME: "ok"}

    def test_the_conventions_workflow_duration_has_both_workflow_names(self, meter):
        meter.instruments.run(_run(total_duration_ms=2500))
        named = {sc.OPERATION: "invoke_workflow", sc.AGENT_NAME: "w", sc.WORKFLOW_NAME: "w"}
        assert meter.points(sc.INVOKE_WORKFLOW_DURATION) == {frozenset(named.items()): 2.5}

    def test_foreign_runs_are_not_in_the_conventions_metric(self, meter):
        meter.instruments.run(_run(dialect="openinference"))
        assert meter.points(sc.INVOKE_WORKFLOW_DURATION) == {}

    @pytest.mark.parametrize(
        ("fields", "outcome"),
        [
            ({}, "ok"),
            ({"success": False}, "error"),
            ({"success": False, "cancelled": True}, "cancelled"),
            ({"success": True, "cancelled": True}, "cancelled"),
        ],
    )
    def test_an_outcome_is_one_of_three(self, fields, outcome):
        assert _run(**fields).outcome == outcome


class TestInstruments:
    def test_dropped_records_are_reported(self):
        made = Meter(dropped=3)
        assert made.points(sc.DROPPED) == {frozenset(): 3}
        made.provider.shutdown()

    def test_a_second_collection_counts_nothing_twice(self, meter):
        meter.instruments.call(_call(estimated_cost=0.5, input_tokens=3))
        first = {metric.name: meter.points(metric) for metric in sc.METRICS}
        assert {metric.name: meter.points(metric) for metric in sc.METRICS} == first

    def test_series_beyond_the_limit_are_summed_under_overflow_and_nothing_is_lost(self, meter):
        for number in range(MAX_SERIES + 50):
            meter.instruments.call(_call(workflow_name=f"w{number}", estimated_cost=1.0))
        points = meter.points(sc.LLM_COST)
        assert len(points) == MAX_SERIES + 1
        assert points[frozenset({(sc.OVERFLOW, True)})] == 50.0
        assert sum(points.values()) == MAX_SERIES + 50

    def test_runs_beyond_the_limit_are_summed_too(self, meter):
        for number in range(MAX_SERIES + 50):
            meter.instruments.run(_run(workflow_name=f"w{number}"))
        points = meter.points(sc.WORKFLOW_RUNS)
        assert len(points) <= MAX_SERIES + 1
        assert sum(points.values()) == MAX_SERIES + 50

    @pytest.mark.slow
    def test_what_waits_is_bounded_and_none_of_it_is_lost(self, meter):
        record = _call()
        for _ in range(MAX_PENDING + 10):
            meter.instruments.call(record)
        assert len(meter.instruments._pending) == MAX_PENDING
        meter.instruments.drain()  # beforehand: the SDK gives a collection ten seconds, whatever else the machine does
        [point] = meter.metrics()[sc.LLM_DURATION.name].data.data_points
        assert point.count == MAX_PENDING + 10

    def test_sums_are_exact_with_many_threads(self, meter):
        def work() -> None:
            for _ in range(500):
                meter.instruments.call(_call(input_tokens=1, estimated_cost=0.5))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert meter.points(sc.LLM_TOKENS)[_key((sc.TOKEN_TYPE, "input"))] == 2000
        assert meter.points(sc.LLM_COST)[_key()] == 1000.0

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
    def test_a_forked_child_starts_from_zero_and_the_parent_goes_on(self, meter):
        meter.instruments.call(_call(estimated_cost=5.0))
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                meter.instruments.call(_call(estimated_cost=1.0))
                with meter.instruments._lock:
                    sums = [point.value for point in meter.instruments._observations(sc.LLM_COST.name)]
                os.write(write, msgspec.json.encode([sums, len(meter.instruments._pending)]))
            finally:
                os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as answer:
            assert msgspec.json.decode(answer.read()) == [[1.0], 1]
        os.waitpid(child, 0)
        assert meter.points(sc.LLM_COST) == {_key(): 5.0}

    def test_instruments_that_are_gone_are_asked_no_more(self, meter):
        meter.instruments.call(_call())
        del meter.instruments
        assert meter.points(sc.LLM_CALLS) == {}


class TestHostileRecords:
    @pytest.mark.slow
    @settings(max_examples=50)
    @given(CALLS, RUNS)
    def test_every_record_gives_metrics_that_otlp_can_carry(self, call, run):
        made = Meter()
        made.instruments.call(call)
        made.instruments.run(run)
        data = made.reader.get_metrics_data()
        assert encode_metrics(data).resource_metrics
        made.provider.shutdown()

    @pytest.mark.parametrize(
        "fields",
        [
            {"input_tokens": 2**70},
            {"output_tokens": 10**30, "reasoning_tokens": 2**64},
            {"estimated_cost": math.nan},
            {"estimated_cost": math.inf},
            {"baseline_cost": math.nan},
            {"retry_count": 2**70},
            {"latency_ms": 10**30},
            {"time_to_first_token_ms": math.nan},
        ],
    )
    def test_one_mad_number_spoils_no_other_figure(self, meter, fields):
        meter.instruments.call(_call(**fields))
        meter.instruments.call(_call(workflow_name="sane", estimated_cost=0.5, input_tokens=7))
        meter.instruments.call(_call(baseline_cost=0.25))
        assert encode_metrics(meter.reader.get_metrics_data()).resource_metrics
        values = [
            value
            for metric in sc.METRICS
            for key, value in meter.points(metric).items()
            if dict(key).get(sc.WORKFLOW_NAME) == "sane"
        ]
        assert 0.5 in values
        assert all(math.isfinite(value) for value in meter.points(sc.LLM_COST).values())
        assert meter.points(sc.LLM_BASELINE) == {_key(): 0.25}

    def test_a_metric_failure_never_loses_the_record(self):
        """As where a provider hands out an instrument that raises: the record's line has been written before."""

        class Broken:
            def call(self, record: LLMCallRecord) -> None:
                raise RuntimeError("no")

            run = call

        kept: list[LLMCallRecord] = []

        class Kept:
            def call(self, record: LLMCallRecord) -> None:
                kept.append(record)

            def run(self, record: WorkflowRunRecord) -> None:
                return

        recorder = Recorder([Kept()], Pricing(), Origin())
        recorder.add_metrics(Broken())
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(RecorderProcessor(recorder, "memory"))
        provider.get_tracer("x").start_span("chat", attributes=CLIENT).end()
        assert len(kept) == 1

    @pytest.mark.parametrize("name", [["a list"], {"a": 1}, 5, object()])
    def test_a_value_of_a_wrong_type_as_a_dimension_reaches_nobody(self, name):
        with capture() as captured:
            log_llm_call(_call(workflow_name=name))
            log_llm_call(_call(estimated_cost=0.5, project="sane"))
        assert captured.metric(sc.LLM_COST.name, attune_project="sane")[0].value == 0.5
