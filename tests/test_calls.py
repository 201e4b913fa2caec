"""One LLM call: what it learns, what its attempts used and cost, and what it writes when it ends."""

import asyncio
import importlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai
import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from attune_monitoring import annotate, llm_call, stage, workflow
from attune_monitoring import semconv as sc
from attune_monitoring.calls import NO_CALL
from attune_monitoring.scope import HOOKS
from attune_monitoring.testing import capture

KNOWN = {"provider": "openai", "model": "gpt-4o-mini"}
"""A model that the price list knows."""


def answer(
    *, model: str = "gpt-4o-mini", input_tokens: int = 100, output_tokens: int = 10, **more: Any
) -> dict[str, Any]:
    """A response of OpenAI's chat completions."""
    usage = {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
        "usage": usage,
        **more,
    }


def chunks(*, usage: bool = True) -> list[dict[str, Any]]:
    """The chunks of a stream of OpenAI's chat completions."""
    common = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o-mini"}
    found = [
        {**common, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]},
        {**common, "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]},
        {**common, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    ]
    if usage:
        counts = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        found.append({**common, "choices": [], "usage": counts})
    return found


def cost_of(**usage: int) -> float:
    """What such a call costs alone (USD)."""
    with capture() as captured, llm_call(**KNOWN) as call:
        call.set_usage(**usage)
    cost = captured.calls[0].cost
    assert cost is not None and cost > 0
    return cost


# --- names and learning from the response --------------------------------------------------------------------------
def test_what_is_known_at_the_start_is_on_the_span_at_its_start(attune_capture):
    with llm_call(
        provider="openai", model="gpt-4o-mini", task_type="classify", tier="cheap", step="triage",
        server_address="localhost", server_port=8080,
    ):  # fmt: skip
        span: Any = trace.get_current_span()
        assert span.name == "chat gpt-4o-mini"
        assert span.kind is SpanKind.CLIENT
        at_start = dict(span.attributes)
    expected = {
        sc.OPERATION: "chat",
        sc.PROVIDER: "openai",
        sc.REQUEST_MODEL: "gpt-4o-mini",
        sc.TASK_TYPE: "classify",
        sc.TIER: "cheap",
        sc.STEP_NAME: "triage",
        sc.SERVER_ADDRESS: "localhost",
        sc.SERVER_PORT: 8080,
    }
    assert expected.items() <= at_start.items()


@pytest.mark.parametrize(
    ("given", "written"),
    [("Gemini", "gcp.gemini"), ("xai", "x_ai"), ("openai", "openai"), ("my-gateway", "my-gateway")],
)
def test_providers_get_their_conventional_name(given, written, attune_capture):
    with llm_call(provider=given):
        pass
    assert attune_capture.calls[0].provider == written


def test_a_bare_call_learns_provider_and_model_and_its_span_is_renamed(attune_capture):
    @llm_call
    def ask() -> Any:
        return answer(model="gpt-4o-mini-2024-07-18")

    response = ask()
    assert response == answer(model="gpt-4o-mini-2024-07-18")
    [span] = attune_capture.spans
    [call] = attune_capture.calls
    assert span.name == "chat gpt-4o-mini-2024-07-18"
    assert (call.provider, call.model_id) == ("openai", "gpt-4o-mini-2024-07-18")
    assert (call.input_tokens, call.output_tokens, call.finish_reasons) == (100, 10, ["stop"])
    assert call.response_id == "chatcmpl-1"
    assert call.cost is not None and call.cost_source == "table"


def test_a_bare_call_learns_the_operation(attune_capture):
    @llm_call
    def embed() -> Any:
        usage = {"prompt_tokens": 5, "total_tokens": 5}
        data = [{"object": "embedding", "index": 0, "embedding": [0.1]}]
        return {"object": "list", "model": "text-embedding-3-small", "data": data, "usage": usage}

    embed()
    [call] = attune_capture.calls
    assert (call.operation, call.input_tokens, call.output_tokens) == ("embeddings", 5, 0)
    assert attune_capture.spans[0].name == "embeddings text-embedding-3-small"


def test_the_name_keeps_the_requested_model_and_the_record_has_the_answering_one(attune_capture):
    with llm_call(**KNOWN) as call:
        call.record(answer(model="gpt-4o-mini-2024-07-18"))
    [record] = attune_capture.calls
    assert attune_capture.spans[0].name == "chat gpt-4o-mini"
    assert (record.request_model, record.model_id) == ("gpt-4o-mini", "gpt-4o-mini-2024-07-18")


def test_record_returns_the_very_response_whatever_it_is(attune_capture):
    response = object()
    with llm_call() as call:
        assert call.record(response) is response
    assert attune_capture.calls[0].cost_source == "unknown"


def test_a_call_tells_its_ids(attune_capture):
    with llm_call() as call:
        pass
    context = attune_capture.spans[0].context
    assert (call.trace_id, call.span_id) == (f"{context.trace_id:032x}", f"{context.span_id:016x}")


def test_the_step_is_the_argument_else_the_function(attune_capture):
    @llm_call
    def by_name() -> None: ...

    @llm_call(step="given")
    def otherwise() -> None: ...

    by_name()
    otherwise()
    assert [call.step_name for call in attune_capture.calls] == ["by_name", "given"]


def test_source_file_and_line_are_those_of_the_decorated_function(attune_capture):
    @llm_call
    def ask() -> None: ...

    ask()
    line = ask.__wrapped__.__code__.co_firstlineno
    assert [(call.source_file, call.source_line) for call in attune_capture.calls] == [(__file__, line)]


def test_a_block_leaves_saying_where_it_stands_to_its_run(attune_capture):
    with workflow("review"), llm_call():
        pass
    [call], [run] = attune_capture.calls, attune_capture.runs
    assert (call.source_file, call.source_line) == (None, None)
    assert (call.run_id, run.source_file) == (run.run_id, __file__)


# --- tiers ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "tier"),
    [
        ({"model": "claude-haiku-4-5", "provider": "anthropic"}, "cheap"),
        ({"model": "claude-opus-4-1", "provider": "anthropic"}, "premium"),
        ({"model": "claude-opus-4-1", "provider": "anthropic", "tier": "cheap"}, "cheap"),
        ({"model": "nobody-knows-this", "provider": "nobody"}, "unknown"),
    ],
)
def test_the_tier_is_the_given_one_else_what_the_price_list_says(arguments, tier, attune_capture):
    with llm_call(**arguments) as call:
        call.set_usage(input_tokens=1, output_tokens=1)
    assert attune_capture.calls[0].tier == tier


def test_the_tier_of_the_stage_holds_unless_the_call_says_otherwise(attune_capture):
    with stage("analyze", tier="premium", task_type="review"):
        with llm_call(**KNOWN):
            pass
        with llm_call(**KNOWN, tier="cheap", task_type="classify"):
            pass
    assert [(call.tier, call.task_type) for call in attune_capture.calls] == [
        ("premium", "review"),
        ("cheap", "classify"),
    ]


# --- what a user says ------------------------------------------------------------------------------------------------
def test_usage_that_is_told_is_written_and_priced(attune_capture):
    with llm_call(**KNOWN) as call:
        call.set_usage(
            input_tokens=100, output_tokens=20, cache_read_tokens=40, cache_write_tokens=30,
            cache_write_1h_tokens=10, reasoning_tokens=5,
        )  # fmt: skip
    [record] = attune_capture.calls
    assert (record.input_tokens, record.output_tokens) == (100, 20)
    assert (record.cache_read_tokens, record.cache_write_tokens, record.cache_write_1h_tokens) == (40, 30, 10)
    assert (record.reasoning_tokens, record.usage_complete) == (5, True)


def test_usage_can_be_told_in_parts(attune_capture):
    with llm_call(**KNOWN) as call:
        call.set_usage(input_tokens=100)
        call.set_usage(output_tokens=20)
    assert (attune_capture.calls[0].input_tokens, attune_capture.calls[0].output_tokens) == (100, 20)


@pytest.mark.parametrize("odd", [-1, "7", 1.5, None, [1]])
def test_a_count_that_is_none_is_not_written(odd, attune_capture):
    with llm_call(**KNOWN) as call:
        call.set_usage(input_tokens=odd)
    assert attune_capture.calls[0].input_tokens is None
    assert sc.INPUT_TOKENS not in attune_capture.spans[0].attributes


def test_a_response_without_usage_does_not_take_away_what_was_told(attune_capture):
    with llm_call(**KNOWN) as call:
        call.set_usage(input_tokens=100, output_tokens=20)
        call.record({**answer(), "usage": None})
    assert (attune_capture.calls[0].input_tokens, attune_capture.calls[0].output_tokens) == (100, 20)
    assert attune_capture.calls[0].finish_reasons == ["stop"]


def test_a_cost_that_is_told_goes_before_the_price_list(attune_capture):
    with llm_call(**KNOWN) as call:
        call.set_usage(input_tokens=100, output_tokens=20)
        call.set_cost(0.25)
    [record] = attune_capture.calls
    assert (record.cost, record.cost_source) == (0.25, "caller")
    assert attune_capture.spans[0].attributes[sc.COST] == 0.25


@pytest.mark.parametrize("odd", [-1, "0.1", None, float("nan"), float("inf")])
def test_a_cost_that_is_none_is_not_taken(odd, attune_capture):
    with llm_call(**KNOWN) as call:
        call.set_usage(input_tokens=100, output_tokens=20)
        call.set_cost(odd)
    assert attune_capture.calls[0].cost_source == "table"


def test_a_cost_that_the_response_reports_is_the_actual_one(attune_capture):
    with llm_call(provider="openrouter", model="openai/gpt-4o-mini") as call:
        response = answer()
        response["usage"]["cost"] = 0.0042
        call.record(response)
    [record] = attune_capture.calls
    assert (record.actual_cost, record.cost_source) == (0.0042, "reported")


def test_what_is_told_of_a_response_is_written(attune_capture):
    with llm_call() as call:
        call.set_response(
            model="m1", provider="groq", response_id="r1", finish_reasons=["length"], service_tier="flex", tool_calls=2
        )
    [record] = attune_capture.calls
    assert (record.model_id, record.provider, record.response_id) == ("m1", "groq", "r1")
    assert (record.finish_reasons, record.service_tier, record.tool_calls) == (["length"], "flex", 2)
    assert attune_capture.spans[0].name == "chat m1"


def test_circuit_breaker_and_further_attributes_are_written(attune_capture):
    with llm_call(**KNOWN) as call:
        call.set_circuit_breaker("half-open")
        call.set_attribute("app.flag", True)
    assert attune_capture.calls[0].circuit_breaker_state == "half-open"
    assert attune_capture.spans[0].attributes["app.flag"] is True


# --- unknown is unknown ----------------------------------------------------------------------------------------------
def test_a_call_without_usage_costs_an_unknown_amount(attune_capture):
    with llm_call(**KNOWN):
        pass
    [record] = attune_capture.calls
    assert (record.cost, record.cost_source, record.input_tokens) == (None, "unknown", None)
    assert sc.COST not in attune_capture.spans[0].attributes


def test_a_model_that_nobody_knows_costs_an_unknown_amount(attune_capture):
    with llm_call(provider="nobody", model="nobody-knows-this") as call:
        call.set_usage(input_tokens=1, output_tokens=1)
    assert (attune_capture.calls[0].cost, attune_capture.calls[0].cost_source) == (None, "unknown")


def test_a_call_that_failed_before_anything_was_used_costs_nothing_that_is_unknown(attune_capture):
    with pytest.raises(ValueError, match="refused"), llm_call(**KNOWN):
        raise ValueError("refused")
    [record] = attune_capture.calls
    assert (record.cost, record.cost_source, record.success) == (None, "none", False)
    assert (record.error_type, record.error_message) == ("ValueError", "refused")


def test_a_call_that_failed_after_its_response_keeps_what_it_used(attune_capture):
    with pytest.raises(ValueError, match="cannot parse"), llm_call(**KNOWN) as call:  # noqa: PT012
        call.record(answer())
        raise ValueError("cannot parse the answer")
    [record] = attune_capture.calls
    assert (record.success, record.input_tokens) == (False, 100)
    assert record.cost == pytest.approx(cost_of(input_tokens=100, output_tokens=10))


def test_an_error_that_a_response_reports_fails_the_call_but_raises_nothing(attune_capture):
    with llm_call(provider="openai", model="gpt-4o") as call:
        call.record({"error": {"message": "slow down", "type": "rate_limit", "code": "rate_limit_exceeded"}})
    [record] = attune_capture.calls
    assert (record.success, record.error_message) == (False, "slow down")
    assert record.error_type == "rate_limit_exceeded"
    assert attune_capture.spans[0].status.status_code is StatusCode.ERROR


# --- retries and fallbacks -------------------------------------------------------------------------------------------
def test_a_retry_keeps_what_the_failed_attempt_used_and_counts_it(attune_capture):
    with llm_call(**KNOWN) as call:
        call.set_usage(input_tokens=100, output_tokens=1)
        call.retry(TimeoutError("slow"))
        call.set_usage(input_tokens=100, output_tokens=20)
    [record] = attune_capture.calls
    first, second = cost_of(input_tokens=100, output_tokens=1), cost_of(input_tokens=100, output_tokens=20)
    assert (record.retry_count, record.fallback_used, record.success) == (1, False, True)
    assert (record.input_tokens, record.output_tokens) == (200, 21)
    assert record.cost == pytest.approx(first + second)
    [attempt] = record.attempts
    assert (attempt["outcome"], attempt["error_type"]) == ("retry", "TimeoutError")
    assert (attempt["provider"], attempt["model"], attempt["tier"]) == ("openai", "gpt-4o-mini", "cheap")
    assert (attempt["input_tokens"], attempt["output_tokens"]) == (100, 1)
    assert attempt["cost"] == pytest.approx(first)
    assert attempt["duration_ms"] >= 0


def test_a_retry_after_an_attempt_that_used_nothing_adds_nothing(attune_capture):
    with llm_call(**KNOWN) as call:
        call.retry(ConnectionError("refused"))
        call.retry(ConnectionError("refused"))
        call.record(answer())
    [record] = attune_capture.calls
    assert (record.retry_count, len(record.attempts), record.cost_source) == (2, 2, "table")
    assert record.cost == pytest.approx(cost_of(input_tokens=100, output_tokens=10))
    assert all("cost" not in attempt for attempt in record.attempts)


def test_the_cost_is_unknown_altogether_where_that_of_one_attempt_is(attune_capture):
    with llm_call(provider="nobody", model="nobody-knows-this") as call:
        call.set_usage(input_tokens=100, output_tokens=1)
        call.fallback(provider="openai", model="gpt-4o-mini")
        call.set_usage(input_tokens=100, output_tokens=20)
    [record] = attune_capture.calls
    assert (record.cost, record.cost_source) == (None, "unknown")
    assert (record.input_tokens, record.output_tokens) == (200, 21)


def test_the_cost_is_unknown_altogether_where_that_of_the_last_attempt_is(attune_capture):
    with llm_call(**KNOWN) as call:
        call.set_usage(input_tokens=100, output_tokens=1)
        call.fallback(provider="nobody", model="nobody-knows-this")
        call.set_usage(input_tokens=100, output_tokens=20)
    assert (attune_capture.calls[0].cost, attune_capture.calls[0].cost_source) == (None, "unknown")


def test_a_last_attempt_that_fails_before_using_anything_costs_what_the_earlier_ones_did(attune_capture):
    with pytest.raises(ConnectionError), llm_call(**KNOWN) as call:  # noqa: PT012
        call.set_usage(input_tokens=100, output_tokens=1)
        call.retry()
        raise ConnectionError("refused")
    [record] = attune_capture.calls
    assert record.cost == pytest.approx(cost_of(input_tokens=100, output_tokens=1))
    assert (record.cost_source, record.success, record.retry_count) == ("table", False, 1)


def test_a_told_cost_belongs_to_its_attempt(attune_capture):
    with llm_call(**KNOWN) as call:
        call.set_cost(0.5)
        call.set_usage(input_tokens=1, output_tokens=1)
        call.retry()
        call.set_cost(0.25)
        call.set_usage(input_tokens=1, output_tokens=1)
    assert attune_capture.calls[0].attempts[0]["cost"] == 0.5
    assert attune_capture.calls[0].cost == pytest.approx(0.75)


def test_a_fallback_names_what_was_asked_for_and_the_chain_in_the_order_tried(attune_capture):
    with llm_call(provider="anthropic", model="claude-opus-4-1") as call:
        call.fallback(provider="anthropic", model="claude-haiku-4-5", error=ConnectionError("overloaded"))
        call.fallback(provider="openai", model="gpt-4o-mini")
        call.record(answer())
    [record] = attune_capture.calls
    assert record.fallback_used
    assert record.fallback_chain == ["anthropic:premium", "anthropic:cheap", "openai:cheap"]
    assert (record.original_provider, record.original_model) == ("anthropic", "claude-opus-4-1")
    assert (record.provider, record.model_id, record.request_model) == ("openai", "gpt-4o-mini", "gpt-4o-mini")
    assert record.tier == "cheap"
    assert [attempt["model"] for attempt in record.attempts] == ["claude-opus-4-1", "claude-haiku-4-5"]
    assert record.attempts[0]["error_type"] == "ConnectionError"
    assert attune_capture.spans[0].name == "chat gpt-4o-mini"


def test_a_fallback_to_another_model_keeps_the_provider_and_may_say_its_tier(attune_capture):
    with llm_call(provider="openai", model="gpt-4o", tier="premium") as call:
        call.fallback(model="gpt-4o-mini", tier="cheap")
        call.record(answer())
    assert attune_capture.calls[0].fallback_chain == ["openai:premium", "openai:cheap"]


def test_attempts_of_one_call_are_priced_each_at_its_own_model(attune_capture):
    with llm_call(provider="openai", model="gpt-4o") as call:
        call.set_usage(input_tokens=1000, output_tokens=100)
        call.fallback(model="gpt-4o-mini")
        call.set_usage(input_tokens=1000, output_tokens=100)
    with llm_call(provider="openai", model="gpt-4o") as call:
        call.set_usage(input_tokens=1000, output_tokens=100)
    together, alone = attune_capture.calls
    assert together.cost == pytest.approx(alone.cost + cost_of(input_tokens=1000, output_tokens=100))
    assert together.attempts[0]["cost"] == pytest.approx(alone.cost)


# --- streams ---------------------------------------------------------------------------------------------------------
def test_a_stream_is_timed_and_its_usage_read(attune_capture):
    with llm_call(**KNOWN) as call:
        seen = list(call.stream(chunks()))
    [record] = attune_capture.calls
    assert seen == chunks()
    assert (record.input_tokens, record.output_tokens, record.finish_reasons) == (100, 10, ["stop"])
    assert record.usage_complete
    assert record.time_to_first_token_ms is not None
    assert record.time_to_first_token_ms > 0
    assert attune_capture.spans[0].attributes[sc.REQUEST_STREAM] is True


def test_a_stream_without_usage_costs_an_unknown_amount(attune_capture):
    with llm_call(**KNOWN) as call:
        list(call.stream(chunks(usage=False)))
    [record] = attune_capture.calls
    assert (record.usage_complete, record.cost, record.cost_source) == (False, None, "unknown")


def test_a_stream_that_is_interrupted_costs_an_unknown_amount(attune_capture):
    with llm_call(**KNOWN) as call:
        for _ in call.stream(chunks()):
            break
    [record] = attune_capture.calls
    assert (record.success, record.usage_complete, record.cost, record.cost_source) == (True, False, None, "unknown")


def test_a_stream_that_outlives_its_block_ends_the_span_when_it_ends(attune_capture):
    with llm_call(**KNOWN) as call:
        stream = call.stream(iter(chunks()))
    assert attune_capture.calls == []
    list(stream)
    assert attune_capture.calls[0].input_tokens == 100


def test_a_stream_that_breaks_fails_its_call(attune_capture):
    def broken() -> Any:
        yield chunks()[0]
        raise ConnectionError("lost")

    with llm_call(**KNOWN) as call:
        stream = call.stream(broken())
    with pytest.raises(ConnectionError, match="lost"):
        list(stream)
    [record] = attune_capture.calls
    assert (record.success, record.error_type, record.usage_complete) == (False, "ConnectionError", False)
    assert record.cost_source == "unknown"


def test_a_retried_stream_counts_the_interrupted_attempt_as_unknown(attune_capture):
    with llm_call(**KNOWN) as call:
        for _ in call.stream(chunks()):
            break
        call.retry()
        list(call.stream(chunks()))
    [record] = attune_capture.calls
    assert (record.retry_count, record.input_tokens) == (1, 100)
    assert (record.cost, record.cost_source) == (None, "unknown")


async def test_an_async_stream_is_timed_and_its_usage_read(attune_capture):
    async def arriving() -> Any:
        for chunk in chunks():
            await asyncio.sleep(0)
            yield chunk

    async with llm_call(**KNOWN) as call:
        assert [chunk async for chunk in call.stream(arriving())] == chunks()
    assert attune_capture.calls[0].input_tokens == 100


def test_a_decorated_generator_of_chunks_is_a_stream(attune_capture):
    @llm_call
    def ask() -> Any:
        yield from chunks()

    assert list(ask()) == chunks()
    [record] = attune_capture.calls
    assert (record.provider, record.model_id, record.input_tokens) == ("openai", "gpt-4o-mini", 100)


async def test_a_decorated_async_generator_left_early_has_unknown_usage(attune_capture):
    @llm_call
    async def ask() -> Any:
        for chunk in chunks():
            yield chunk

    stream = ask()
    async for _ in stream:
        break
    await stream.aclose()
    [record] = attune_capture.calls
    assert (record.success, record.usage_complete, record.cost) == (True, False, None)


@pytest.fixture
def sdk_stream() -> Any:
    """Asks a server on loopback by the real client, which gives its own kind of stream."""
    lines = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks()) + "data: [DONE]\n\n"

    class Reply(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            self.wfile.write(lines.encode())

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Reply) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        client = openai.OpenAI(api_key="none", base_url=f"http://127.0.0.1:{server.server_port}", max_retries=0)
        yield lambda: client.chat.completions.create(model="gpt-4o-mini", messages=[], stream=True)
        client.close()
        server.shutdown()
        thread.join()


def test_a_decorated_function_that_returns_a_stream_gives_a_transparent_proxy(sdk_stream, attune_capture):
    @llm_call
    def ask() -> Any:
        return sdk_stream()

    stream = ask()
    assert isinstance(stream, openai.Stream)
    assert attune_capture.calls == []
    with stream as entered:
        assert [chunk.object for chunk in entered] == ["chat.completion.chunk"] * 4
    [record] = attune_capture.calls
    assert (record.model_id, record.input_tokens, record.usage_complete) == ("gpt-4o-mini", 100, True)


def test_with_the_stream_proxy_off_the_very_stream_is_returned_and_its_usage_unknown(sdk_stream):
    streams = []
    with capture(stream_proxy=False) as captured:

        @llm_call(**KNOWN)
        def ask() -> Any:
            streams.append(sdk_stream())
            return streams[0]

        assert ask() is streams[0]
    [record] = captured.calls
    assert (record.usage_complete, record.cost, record.cost_source) == (False, None, "unknown")


# --- content ---------------------------------------------------------------------------------------------------------
CONTENT_KEYS = (sc.INPUT_MESSAGES, sc.OUTPUT_MESSAGES, sc.SYSTEM_INSTRUCTIONS)


def shout(text: str) -> str:
    """A mask."""
    return text.upper()


def refuse(text: str) -> str:
    """A mask that fails."""
    raise RuntimeError("the mask is broken")


@contextmanager
def capturing_content(**settings: Any) -> Any:
    """With content capture on."""
    with capture(content={"capture": "span_only", **settings}) as captured:
        yield captured


def test_content_is_not_kept_unless_asked(attune_capture):
    with llm_call(**KNOWN) as call:
        call.set_content(input="secret question", output="secret answer", system="secret rules")
    assert "secret" not in str(dict(attune_capture.spans[0].attributes))
    assert attune_capture.calls[0].content == {}


def test_content_is_kept_as_text_or_json_where_asked():
    with capturing_content() as captured, llm_call(**KNOWN) as call:
        call.set_content(input=[{"role": "user", "content": "Größe?"}], output="42", system="Be brief.")
    attributes = captured.spans[0].attributes
    assert attributes[sc.INPUT_MESSAGES] == '[{"role": "user", "content": "Größe?"}]'
    assert (attributes[sc.OUTPUT_MESSAGES], attributes[sc.SYSTEM_INSTRUCTIONS]) == ("42", "Be brief.")
    assert captured.calls[0].content["output.messages"] == "42"


def test_content_is_capped():
    with capturing_content(max_length=10) as captured, llm_call(**KNOWN) as call:
        call.set_content(output="x" * 1_000_000)
    kept = captured.spans[0].attributes[sc.OUTPUT_MESSAGES]
    assert kept.startswith("x" * 10 + "…")
    assert len(kept) < 60


def test_content_is_masked_after_it_is_capped():
    with capturing_content(mask=f"{__name__}:shout") as captured, llm_call(**KNOWN) as call:
        call.set_content(output="quiet")
    assert captured.spans[0].attributes[sc.OUTPUT_MESSAGES] == "QUIET"


def test_a_mask_that_fails_lets_nothing_through():
    failures = HOOKS.failures.copy()
    with capturing_content(mask=f"{__name__}:refuse") as captured, llm_call(**KNOWN) as call:
        call.set_content(output="secret")
    assert "secret" not in str(dict(captured.spans[0].attributes))
    assert "withheld" in captured.spans[0].attributes[sc.OUTPUT_MESSAGES]
    HOOKS.failures.clear()
    HOOKS.failures.update(failures)


# --- one call, seen twice --------------------------------------------------------------------------------------------
def test_nested_calls_for_the_same_call_count_once(attune_capture):
    with llm_call(task_type="classify", tier="cheap") as outer:
        outer.retry()
        with llm_call(**KNOWN) as inner:
            inner.record(answer())
    [record] = attune_capture.calls
    inner_span, outer_span = attune_capture.spans
    assert record.span_id == f"{inner_span.context.span_id:016x}"
    assert (record.task_type, record.tier, record.retry_count) == ("classify", "cheap", 1)
    assert sc.INPUT_TOKENS not in outer_span.attributes
    assert sc.COST not in outer_span.attributes
    assert [point.value for point in attune_capture.metric("attune.llm.calls")] == [1]
    assert sum(point.value for point in attune_capture.metric("attune.llm.cost")) == record.cost


def test_an_inner_call_without_usage_leaves_the_record_to_the_outer_one(attune_capture):
    with llm_call(**KNOWN) as outer, llm_call(**KNOWN):
        outer.record(answer())
    [record] = attune_capture.calls
    assert (record.input_tokens, record.span_id) == (100, outer.span_id)


def test_three_nested_calls_count_once(attune_capture):
    with llm_call(task_type="classify"), llm_call(), llm_call(**KNOWN) as inner:
        inner.record(answer())
    assert [record.input_tokens for record in attune_capture.calls] == [100]


def test_calls_beside_each_other_count_each(attune_capture):
    for _ in range(2):
        with llm_call(**KNOWN) as call:
            call.record(answer())
    assert len(attune_capture.calls) == 2


def test_a_run_sums_a_call_that_was_seen_twice_once(attune_capture):
    with workflow("review"), stage("analyze"), llm_call(), llm_call(**KNOWN) as inner:
        inner.record(answer())
    [run] = attune_capture.runs
    assert (run.call_count, run.total_input_tokens, run.stages[0].call_count) == (1, 100, 1)


# --- the official utilities -------------------------------------------------------------------------------------------
def _util_genai() -> Any:
    # It comes with the official instrumentations, which need newer packages than the oldest that we allow.
    return pytest.importorskip("opentelemetry.util.genai.invocation")


def test_an_official_instrumentation_inside_is_suppressed_and_hands_over_what_it_learned(attune_capture):
    util = _util_genai()
    with llm_call(task_type="classify") as call:
        handed = otel_context.get_value(util.CLIENT_INFERENCE_CONTEXT_KEY)
        assert isinstance(handed, util.InferenceData)
        handed.provider_name = "openai"
        handed.response_model = "gpt-4o-mini"
        handed.response_finish_reasons = ["stop"]
        handed.usage_input_tokens = 100
        handed.usage_output_tokens = 10
    [record] = attune_capture.calls
    assert (record.provider, record.model_id, record.finish_reasons) == ("openai", "gpt-4o-mini", ["stop"])
    assert (record.input_tokens, record.output_tokens, record.span_id) == (100, 10, call.span_id)
    assert attune_capture.spans[0].name == "chat gpt-4o-mini"


def test_the_official_handler_inside_makes_no_second_span(attune_capture):
    exported = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exported))
    _util_genai()
    handler = importlib.import_module("opentelemetry.util.genai.handler").TelemetryHandler(tracer_provider=provider)
    with llm_call(task_type="classify"):
        invocation = handler.inference("openai", request_model="gpt-4o-mini")
        invocation.input_tokens, invocation.output_tokens = 100, 10
        invocation.response_model_name = "gpt-4o-mini"
        invocation.stop()
    handler.inference("openai", request_model="gpt-4o-mini").stop()
    assert [span.name for span in exported.get_finished_spans()] == ["chat gpt-4o-mini"]  # the one outside
    assert [(call.input_tokens, call.model_id) for call in attune_capture.calls] == [(100, "gpt-4o-mini")]


def test_a_retry_forgets_what_the_official_instrumentation_had_handed_over(attune_capture):
    util = _util_genai()
    with llm_call(**KNOWN) as call:
        handed = otel_context.get_value(util.CLIENT_INFERENCE_CONTEXT_KEY)
        handed.usage_input_tokens, handed.usage_output_tokens, handed.response_model = 100, 10, "gpt-4o-mini"
        call.retry()
        assert handed.usage_input_tokens is None
        handed.usage_input_tokens, handed.usage_output_tokens, handed.response_model = 7, 1, "gpt-4o-mini"
    [record] = attune_capture.calls
    assert (record.input_tokens, record.attempts[0]["input_tokens"]) == (107, 100)


def test_outside_a_call_nothing_is_suppressed():
    util = _util_genai()
    with annotate(user_id="u1"), stage("analyze"):
        assert otel_context.get_value(util.CLIENT_INFERENCE_CONTEXT_KEY) is None


# --- telemetry off ----------------------------------------------------------------------------------------------------
def test_where_telemetry_is_off_a_call_accepts_everything(monkeypatch):
    monkeypatch.setattr(HOOKS, "tracer", lambda: None)
    with llm_call(**KNOWN) as call:
        assert call is NO_CALL
        response, items = object(), [1, 2]
        assert call.record(response) is response
        assert call.stream(items) is items
        call.set_usage(input_tokens=1)
        call.set_response(model="m")
        call.set_cost(1.0)
        call.set_circuit_breaker("open")
        call.set_content(input="x")
        call.set_attribute("a", 1)
        call.retry()
        call.fallback(model="m")
    assert (call.trace_id, call.span_id) == ("0" * 32, "0" * 16)


def test_the_stand_in_has_every_public_method_of_a_call():
    from attune_monitoring.calls import LLMCall

    internal = {"delegate", "finish_generator", "holds", "observed"}
    public = {name for name in dir(LLMCall) if not name.startswith("_")} - internal
    assert {name for name in public if not hasattr(NO_CALL, name)} == set()
