"""The conformance table: what instrumented code emits, held against the conventions and our own list of names."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.semconv.attributes import error_attributes, server_attributes
from opentelemetry.trace import SpanKind, StatusCode

from attune_monitoring import (
    LLMCallRecord,
    WorkflowRunRecord,
    WorkflowStageRecord,
    annotate,
    llm_call,
    log_llm_call,
    log_workflow_run,
    stage,
    tool,
    workflow,
)
from attune_monitoring import semconv as sc
from attune_monitoring.metrics import Instruments
from attune_monitoring.scope import HOOKS
from attune_monitoring.testing import Captured, capture

OPENAI = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o-mini-2024-07-18",
    "service_tier": "default",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
        }
    ],
    "usage": {
        "prompt_tokens": 1200,
        "completion_tokens": 80,
        "total_tokens": 1280,
        "prompt_tokens_details": {"cached_tokens": 1000},
        "completion_tokens_details": {"reasoning_tokens": 16},
    },
}
ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "max_tokens",
    "usage": {
        "input_tokens": 10,
        "output_tokens": 5,
        "cache_read_input_tokens": 2000,
        "cache_creation_input_tokens": 300,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
        "server_tool_use": {"web_search_requests": 1},
    },
}
EMBEDDINGS = {
    "object": "list",
    "model": "text-embedding-3-small",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}],
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
}


def _chunk(**more: Any) -> dict[str, Any]:
    return {"id": "c", "object": "chat.completion.chunk", "model": "gpt-4o-mini", "choices": [], **more}


CHUNKS = [
    _chunk(choices=[{"index": 0, "delta": {"content": "hi"}}]),
    _chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
    _chunk(usage={"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}),
]


def _use_everything() -> None:
    """Every decorator and method once: what is missing here is not held against the table."""

    @llm_call
    def bare() -> dict[str, Any]:
        return OPENAI

    @workflow("outer", trigger="cli")
    def outer() -> None:
        bare()
        with stage("analyze", tier="cheap", task_type="classify"):
            with llm_call(
                provider="anthropic", model="claude-haiku-4-5", server_address="localhost", server_port=8080
            ) as call:
                call.record(ANTHROPIC)
                call.set_circuit_breaker("half-open")
                call.set_content(input=[{"role": "user", "content": "q"}], output="a", system="s")
            with llm_call(
                provider="openai", model="text-embedding-3-small", operation="embeddings", step="index"
            ) as call:
                call.record(EMBEDDINGS)
            with stage("inner"), llm_call(provider="openai", model="gpt-4o-mini", tier="cheap") as call:
                for _ in call.stream(iter(CHUNKS)):
                    pass
            with stage("skipped") as skipped:
                skipped.skip("nothing to do")
        with llm_call(provider="anthropic", model="claude-opus-4-5", tier="premium") as call:
            call.set_usage(input_tokens=5, output_tokens=1)
            call.retry(TimeoutError("late"))
            call.fallback(provider="openai", model="gpt-4o-mini", tier="cheap")
            call.set_usage(input_tokens=5, output_tokens=1)
            call.set_cost(0.01)
        with llm_call(provider="openai", model="no-such-model") as call:
            call.set_usage(input_tokens=5, output_tokens=1)
        with llm_call(provider="openai", model="gpt-4o-mini") as call:
            for _ in call.stream(iter(CHUNKS[:1])):
                break
        with (
            llm_call(provider="openai", model="gpt-4o-mini"),
            llm_call(provider="openai", model="gpt-4o-mini") as call,
        ):
            call.set_usage(input_tokens=1, output_tokens=1)
        with tool("search", call_id="t1", type="function"):
            pass
        with workflow("nested"):
            bare()

    @workflow("failing")
    def failing() -> None:
        with stage("s"), tool("t"), llm_call(provider="openai", model="gpt-4o-mini"):
            raise ConnectionError("refused")

    @llm_call(provider="openai", model="gpt-4o-mini")
    async def cancelled() -> None:
        raise asyncio.CancelledError

    with annotate(user_id="u", session_id="s", project="p", release="1.2"):
        outer()
        with pytest.raises(ConnectionError):
            failing()
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(cancelled())
    log_llm_call(
        LLMCallRecord(
            "c1",
            "2026-01-11T03:47:00Z",
            "w",
            "s",
            "u",
            "s",
            provider="openai",
            model_id="gpt-4o-mini",
            tier="cheap",
            input_tokens=5,
            output_tokens=2,
            estimated_cost=0.1,
            cache_read_tokens=1,
            reasoning_tokens=1,
            project="p",
            fallback_chain=["a:b"],
            original_provider="a",
            original_model="m",
            circuit_breaker_state="open",
            retry_count=1,
            run_id="r1",
            stage_id="b" * 16,
            baseline_cost=0.2,
            finish_reasons=["stop"],
            metadata={"a": 1},
            cancelled=True,
            success=False,
            usage_complete=False,
            time_to_first_token_ms=5.0,
            cache_write_tokens=1,
        )
    )
    log_llm_call(LLMCallRecord("c2", "2026-01-11T03:47:00Z", success=False, error_type="timeout", estimated_cost=None))
    stages = [
        WorkflowStageRecord("a", "cheap", "gpt-4o-mini", latency_ms=5),
        WorkflowStageRecord("b", "premium", "", success=False, error="bad"),
    ]
    log_workflow_run(WorkflowRunRecord("r1", "w", "2026-01-11T03:47:00Z", success=False, error="bad", stages=stages))


@pytest.fixture(scope="module")
def everything() -> Captured:
    before = HOOKS.failures.copy()
    with capture(content={"capture": "span_only"}) as captured:
        _use_everything()
    assert before == HOOKS.failures
    return captured


class Shape:
    """What a type of span looks like: its kind, what it must have from its start, and what else it may have."""

    def __init__(self, kind: SpanKind, required: set[str], further: set[str]) -> None:
        self.kind = kind
        self.required = required
        self.further = further


WHO = {sc.USER_ID, sc.CONVERSATION_ID, sc.PROJECT, sc.METADATA}
WHERE = {sc.CODE_FILE, sc.CODE_LINE}
RUN = {sc.WORKFLOW_NAME, sc.RUN_ID}
IN_STAGE = {sc.STAGE_NAME, sc.STAGE_ID, sc.TIER, sc.TASK_TYPE}
END = {sc.ERROR_TYPE, sc.CANCELLED}
CALL = {
    sc.PROVIDER,
    sc.REQUEST_MODEL,
    sc.REQUEST_STREAM,
    sc.RESPONSE_MODEL,
    sc.RESPONSE_ID,
    sc.FINISH_REASONS,
    sc.TIME_TO_FIRST_CHUNK,
    sc.INPUT_TOKENS,
    sc.OUTPUT_TOKENS,
    sc.CACHE_READ_TOKENS,
    sc.CACHE_WRITE_TOKENS,
    sc.CACHE_WRITE_1H_TOKENS,
    sc.REASONING_TOKENS,
    sc.COST,
    sc.COST_SOURCE,
    sc.BASELINE_COST,
    sc.STEP_NAME,
    sc.USAGE_COMPLETE,
    sc.RETRY_COUNT,
    sc.ATTEMPTS,
    sc.FALLBACK_CHAIN,
    sc.ORIGINAL_PROVIDER,
    sc.ORIGINAL_MODEL,
    sc.CIRCUIT_BREAKER,
    sc.TOOL_CALLS,
    sc.SERVER_TOOL_CALLS,
    sc.SERVICE_TIER,
    sc.DELEGATED,
    sc.INPUT_MESSAGES,
    sc.OUTPUT_MESSAGES,
    sc.SYSTEM_INSTRUCTIONS,
    sc.SERVER_ADDRESS,
    sc.SERVER_PORT,
    sc.RECORD,
}
SHAPES = {
    "call": Shape(SpanKind.CLIENT, {sc.OPERATION}, CALL | WHO | WHERE | RUN | IN_STAGE | END),
    "workflow": Shape(
        SpanKind.INTERNAL,
        {sc.OPERATION, sc.AGENT_NAME, sc.WORKFLOW_NAME, sc.RUN_ID},
        WHO | WHERE | END | {sc.PARENT_RUN_ID, sc.PARENT_STAGE_ID, sc.RUN_TRIGGER, sc.RECORD},
    ),
    "stage": Shape(
        SpanKind.INTERNAL,
        {sc.SPAN_KIND, sc.STAGE_NAME},
        WHO
        | WHERE
        | END
        | RUN
        | {
            sc.TIER,
            sc.TASK_TYPE,
            sc.PARENT_STAGE_ID,
            sc.STAGE_SKIPPED,
            sc.STAGE_SKIP_REASON,
            sc.REQUEST_MODEL,
        },
    ),
    "tool": Shape(
        SpanKind.INTERNAL,
        {sc.OPERATION, sc.TOOL_NAME},
        WHO | WHERE | END | RUN | IN_STAGE | {sc.TOOL_CALL_ID, sc.TOOL_TYPE},
    ),
}

TEXTS = {sc.FINISH_REASONS, sc.FALLBACK_CHAIN}
BOOLS = {sc.REQUEST_STREAM, sc.USAGE_COMPLETE, sc.CANCELLED, sc.DELEGATED, sc.STAGE_SKIPPED}
FLOATS = {sc.COST, sc.BASELINE_COST, sc.TIME_TO_FIRST_CHUNK}
WHOLES = {
    sc.INPUT_TOKENS,
    sc.OUTPUT_TOKENS,
    sc.CACHE_READ_TOKENS,
    sc.CACHE_WRITE_TOKENS,
    sc.CACHE_WRITE_1H_TOKENS,
    sc.REASONING_TOKENS,
    sc.RETRY_COUNT,
    sc.TOOL_CALLS,
    sc.SERVER_TOOL_CALLS,
    sc.SERVER_PORT,
    sc.CODE_LINE,
}
LISTED = {value for name, value in vars(sc).items() if name.isupper() and isinstance(value, str)}


def _type_of(span: ReadableSpan) -> str:
    operation = span.attributes.get(sc.OPERATION)
    if operation in sc.CALL_OPERATIONS:
        return "call"
    return {sc.INVOKE_WORKFLOW: "workflow", sc.EXECUTE_TOOL: "tool", None: "stage"}[operation]


def _expected_name(span: ReadableSpan) -> set[str]:
    get = span.attributes.get
    kind = _type_of(span)
    if kind == "stage":
        return {f"stage {get(sc.STAGE_NAME)}"}
    subject = {
        "workflow": get(sc.AGENT_NAME),
        "tool": get(sc.TOOL_NAME),
        "call": get(sc.REQUEST_MODEL) or get(sc.RESPONSE_MODEL),
    }
    return {f"{get(sc.OPERATION)} {subject[kind]}" if subject[kind] else get(sc.OPERATION)}


class TestSpans:
    def test_every_type_of_span_was_made(self, everything):
        assert {_type_of(span) for span in everything.spans} == set(SHAPES)

    def test_every_feature_was_used(self, everything):
        seen = {key for span in everything.spans for key in span.attributes}
        assert seen >= CALL | WHO | WHERE | RUN | IN_STAGE | END

    @pytest.mark.parametrize("kind", SHAPES)
    def test_a_span_has_the_kind_the_name_and_the_attributes_of_its_type(self, everything, kind):
        shape = SHAPES[kind]
        for span in everything.spans:
            if _type_of(span) == kind:
                assert span.kind is shape.kind, span.name
                assert {span.name} == _expected_name(span)
                assert shape.required <= span.attributes.keys(), span.name
                assert span.attributes.keys() <= shape.required | shape.further, span.name

    def test_every_attribute_is_listed_in_semconv(self, everything):
        assert {key for span in everything.spans for key in span.attributes} <= LISTED

    def test_every_value_has_the_type_of_its_attribute(self, everything):
        for span in everything.spans:
            for key, value in span.attributes.items():
                wanted = (
                    tuple
                    if key in TEXTS
                    else bool
                    if key in BOOLS
                    else float
                    if key in FLOATS
                    else int
                    if key in WHOLES
                    else str
                )
                assert type(value) is wanted, (span.name, key, value)

    def test_a_call_that_knows_its_provider_says_it(self, everything):
        calls = [span for span in everything.spans if _type_of(span) == "call" and sc.DELEGATED not in span.attributes]
        assert all(sc.PROVIDER in span.attributes for span in calls)

    def test_workflow_spans_have_both_workflow_names(self, everything):
        for span in everything.spans:
            if _type_of(span) == "workflow":
                assert span.attributes[sc.AGENT_NAME] == span.attributes[sc.WORKFLOW_NAME]

    def test_a_failed_span_has_an_error_type_and_the_status_error(self, everything):
        failed = [span for span in everything.spans if span.status.status_code is StatusCode.ERROR]
        assert {_type_of(span) for span in failed} == set(SHAPES)
        assert all(sc.ERROR_TYPE in span.attributes for span in failed)

    def test_only_a_failed_span_has_an_error_type(self, everything):
        for span in everything.spans:
            if span.status.status_code is not StatusCode.ERROR:
                assert sc.ERROR_TYPE not in span.attributes, span.name

    def test_a_cancelled_span_has_no_status(self, everything):
        cancelled = [span for span in everything.spans if sc.CANCELLED in span.attributes]
        assert cancelled
        assert {span.status.status_code for span in cancelled} == {StatusCode.UNSET}

    def test_cached_tokens_are_part_of_the_input(self, everything):
        [span] = [span for span in everything.spans if span.attributes.get(sc.RESPONSE_ID) == "msg_1"]
        get = span.attributes.get
        assert (get(sc.INPUT_TOKENS), get(sc.CACHE_READ_TOKENS), get(sc.CACHE_WRITE_TOKENS)) == (
            2310,
            2000,
            300,
        )
        assert get(sc.CACHE_WRITE_1H_TOKENS) == 200

    def test_json_attributes_are_json(self, everything):
        for span in everything.spans:
            for key in (sc.METADATA, sc.ATTEMPTS, sc.RECORD):
                if key in span.attributes:
                    assert isinstance(json.loads(span.attributes[key]), (dict, list))

    def test_ours_begin_with_attune_and_all_others_with_what_the_conventions_own(self):
        convention = (
            "gen_ai.",
            "attune.",
            "user.",
            "error.",
            "server.",
            "code.",
            "otel.",
            "openinference.",
            "traceloop.",
            "llm.",
        )
        keys = {value for value in LISTED if "." in value}
        assert not [key for key in keys if not key.startswith(convention)]

    def test_the_stable_names_are_those_of_the_conventions_package(self):
        assert sc.ERROR_TYPE == error_attributes.ERROR_TYPE
        assert (sc.SERVER_ADDRESS, sc.SERVER_PORT) == (
            server_attributes.SERVER_ADDRESS,
            server_attributes.SERVER_PORT,
        )


class Recording(Sampler):
    """Notes what a sampler sees of each span."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, SpanKind | None, dict[str, Any]]] = []

    def should_sample(
        self,
        parent_context: Any,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Any = None,
        links: Sequence[Any] | None = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        self.seen.append((name, kind, dict(attributes or {})))
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)

    def get_description(self) -> str:
        return "Recording"


class TestAtSpanCreation:
    @pytest.fixture
    def sampler(self, monkeypatch):
        sampler = Recording()
        provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        monkeypatch.setattr(HOOKS, "tracer", lambda: provider.get_tracer(sc.SCOPE))
        yield sampler
        provider.shutdown()

    def test_a_sampler_sees_operation_provider_model_and_server_of_a_call(self, sampler):
        with llm_call(provider="openai", model="gpt-4o-mini", server_address="localhost", server_port=80):
            pass
        [(name, kind, attributes)] = sampler.seen
        assert (name, kind) == ("chat gpt-4o-mini", SpanKind.CLIENT)
        required = {
            sc.OPERATION: "chat",
            sc.PROVIDER: "openai",
            sc.REQUEST_MODEL: "gpt-4o-mini",
            sc.SERVER_ADDRESS: "localhost",
            sc.SERVER_PORT: 80,
        }
        assert required.items() <= attributes.items()

    def test_a_sampler_sees_run_stage_and_user_of_a_call(self, sampler):
        with (
            annotate(user_id="u"),
            workflow("w") as run,
            stage("s", tier="cheap"),
            llm_call(provider="openai"),
        ):
            pass
        attributes = sampler.seen[-1][2]
        around = {
            sc.USER_ID: "u",
            sc.WORKFLOW_NAME: "w",
            sc.RUN_ID: run.run_id,
            sc.STAGE_NAME: "s",
            sc.TIER: "cheap",
        }
        assert around.items() <= attributes.items()

    def test_a_sampler_sees_the_names_of_a_workflow(self, sampler):
        with workflow("w"):
            pass
        name, kind, attributes = sampler.seen[0]
        assert (name, kind) == ("invoke_workflow w", SpanKind.INTERNAL)
        named = {sc.OPERATION: "invoke_workflow", sc.AGENT_NAME: "w", sc.WORKFLOW_NAME: "w"}
        assert named.items() <= attributes.items()

    def test_a_sampler_sees_the_name_of_a_tool_and_of_a_stage(self, sampler):
        with stage("s"), tool("search"):
            pass
        assert sampler.seen[0][2][sc.SPAN_KIND] == "stage"
        assert {sc.OPERATION: "execute_tool", sc.TOOL_NAME: "search"}.items() <= sampler.seen[1][2].items()

    def test_a_provider_is_known_by_its_well_known_name_from_the_start(self, sampler):
        with llm_call(provider="Gemini", model="gemini-2.5-flash"):
            pass
        assert sampler.seen[0][2][sc.PROVIDER] == "gcp.gemini"


# From the conventions' table; what is ours has the boundaries of its nearest relative there.
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
WORKFLOW = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
METRICS: dict[str, tuple[str, str, tuple[float, ...]]] = {
    "gen_ai.client.operation.duration": ("Histogram", "s", SECONDS),
    "gen_ai.client.operation.time_to_first_chunk": ("Histogram", "s", SECONDS),
    "gen_ai.client.token.usage": ("Histogram", "{token}", TOKENS),
    "gen_ai.invoke_workflow.duration": ("Histogram", "s", WORKFLOW),
    "attune.llm.calls": ("Sum", "{call}", ()),
    "attune.llm.cost": ("Sum", "USD", ()),
    "attune.llm.baseline_cost": ("Sum", "USD", ()),
    "attune.llm.tokens": ("Sum", "{token}", ()),
    "attune.llm.errors": ("Sum", "{error}", ()),
    "attune.llm.retries": ("Sum", "{retry}", ()),
    "attune.llm.fallbacks": ("Sum", "{call}", ()),
    "attune.llm.unknown_cost": ("Sum", "{call}", ()),
    "attune.llm.truncated": ("Sum", "{call}", ()),
    "attune.llm.duration": ("Histogram", "s", SECONDS),
    "attune.llm.time_to_first_token": ("Histogram", "s", SECONDS),
    "attune.workflow.runs": ("Sum", "{run}", ()),
    "attune.workflow.duration": ("Histogram", "s", WORKFLOW),
    "attune.stage.duration": ("Histogram", "s", WORKFLOW),
    "attune.records.dropped": ("Sum", "{record}", ()),
}


@pytest.fixture(scope="module")
def emitted(everything):
    """All metrics of the records that instrumented code made, as a reader gets them."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    instruments = Instruments(provider.get_meter(sc.SCOPE))
    for call in everything.calls:
        instruments.call(call)
    for run in everything.runs:
        instruments.run(run)
    data = reader.get_metrics_data()
    provider.shutdown()
    return {
        metric.name: metric
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


class TestMetrics:
    def test_semconv_lists_exactly_the_metrics_of_the_table(self):
        assert {metric.name for metric in sc.METRICS} == set(METRICS)

    def test_every_metric_was_emitted(self, emitted):
        assert set(emitted) == set(METRICS)

    def test_a_program_emits_the_same_metrics_by_itself(self, everything):
        assert everything.metric_names == set(METRICS)

    @pytest.mark.parametrize("name", METRICS)
    def test_a_metric_has_the_instrument_the_unit_and_the_buckets_of_the_table(self, emitted, name):
        instrument, unit, buckets = METRICS[name]
        metric = emitted[name]
        assert (type(metric.data).__name__, metric.unit) == (instrument, unit)
        assert metric.description
        if instrument == "Sum":
            assert metric.data.is_monotonic
        else:
            assert {point.explicit_bounds for point in metric.data.data_points} == {buckets}

    @pytest.mark.parametrize("name", METRICS)
    def test_the_attributes_of_each_point_are_among_the_declared_dimensions(self, emitted, everything, name):
        declared = {metric.name: set(metric.dimensions) for metric in sc.METRICS}[name]
        for point in emitted[name].data.data_points:
            assert point.attributes.keys() <= declared
            assert all(type(value) is str for value in point.attributes.values())
        assert all(point.attributes.keys() <= declared for point in everything.metric(name))

    @pytest.mark.parametrize("metric", sc.METRICS, ids=lambda metric: metric.name)
    def test_a_dimension_is_a_listed_attribute_and_none_identifies_a_person_or_a_run(self, metric):
        assert set(metric.dimensions) <= LISTED
        assert not {sc.USER_ID, sc.CONVERSATION_ID, sc.RUN_ID, sc.RESPONSE_ID} & set(metric.dimensions)
        assert bool(metric.buckets) == (metric.instrument == "histogram")

    def test_every_dimension_was_emitted_by_something(self, emitted):
        for metric in sc.METRICS:
            seen = {key for point in emitted[metric.name].data.data_points for key in point.attributes}
            assert set(metric.dimensions) == seen, metric.name
