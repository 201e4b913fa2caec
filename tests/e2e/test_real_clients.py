"""The real clients of OpenAI and Anthropic talk to a server that replays recordings: what is recorded is what it says."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anthropic
import genai_prices
import openai
import pytest
from attune_monitoring import annotate, llm_call, workflow
from attune_monitoring.records import LLMCallRecord
from attune_monitoring.testing import Captured, capture

from clients import Plan, UnreplayableError, plan
from comparison import differences, make, make_async, ways_of
from recorded_calls import CASSETTES, plans
from recordings_io import expectation, recorded
from replay_server import ReplayServer

pytestmark = pytest.mark.slow

PLANS = plans()
EVERY_WAY = [(made, way) for made in PLANS for way in ways_of(made)]
TOLD = [(made, way) for made, way in EVERY_WAY if way not in ("plain", "blind")]
"""The ways in which our own call is told of the response."""


def each(pairs: list[tuple[Plan, str]]) -> Any:
    return pytest.mark.parametrize(
        ("made", "way"), pairs, ids=[f"{made.interaction.name}-{way}" for made, way in pairs]
    )


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer() as running:
        yield running


@pytest.fixture
def captured() -> Iterator[Captured]:
    with capture() as inside:
        yield inside


def test_the_sample_cassettes_are_replayed() -> None:
    if not CASSETTES.is_dir():
        pytest.skip(f"no folder {CASSETTES.name} beside the repository: only our own recordings are replayed")
    assert any(made.interaction.name.startswith("ollm__") for made in PLANS)


# --- everything that was recorded


@each(TOLD)
def test_a_call_is_recorded_as_its_response_says(made: Plan, way: str, server: ReplayServer) -> None:
    outcome = make(made, server, way)
    assert differences(made, outcome) == []
    assert outcome.path == path_of(made)


@each(TOLD)
async def test_an_asynchronous_call_is_recorded_as_its_response_says(
    made: Plan, way: str, server: ReplayServer
) -> None:
    outcome = await make_async(made, server, way)
    assert differences(made, outcome) == []
    assert outcome.path == path_of(made)


def path_of(made: Plan) -> str:
    return "/" + made.interaction.uri.partition("://")[2].partition("/")[2]


@pytest.fixture(scope="module")
def under_instrument() -> dict[str, list[str]]:
    """Instrumentations stay for the life of a process, so theirs is another one."""
    script = Path(__file__).with_name("instrumented.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("prefix", ["", "async "], ids=["sync", "async"])
@each(EVERY_WAY)
def test_instrument_records_one_call_as_its_response_says(
    made: Plan, way: str, prefix: str, under_instrument: dict[str, list[str]]
) -> None:
    assert under_instrument[f"{prefix}{way}/{made.interaction.name}"] == []


WITH_EXPECTATION = [made for made in PLANS if made.interaction.expected and made.interaction.status == 200]


@pytest.mark.parametrize("made", WITH_EXPECTATION, ids=lambda made: made.interaction.name)
def test_a_call_is_recorded_as_was_written_down_by_hand(made: Plan, server: ReplayServer) -> None:
    expected = expectation(made.interaction)
    assert expected is not None
    (record,) = make(made, server, "with").records
    assert record.provider == (expected.provider or "unknown")
    assert record.model_id == expected.model
    assert record.response_id == expected.response_id
    assert record.operation == expected.operation
    assert record.input_tokens == expected.input_tokens
    assert record.output_tokens == (0 if expected.operation == "embeddings" else expected.output_tokens)
    assert record.tool_calls == expected.tool_calls
    assert record.success is (expected.error_type is None)


PRICED = [made for made in WITH_EXPECTATION if made.provider in ("openai", "anthropic", "deepseek")]


@pytest.mark.parametrize("made", PRICED, ids=lambda made: made.interaction.name)
def test_a_cost_is_that_of_genai_prices(made: Plan, server: ReplayServer) -> None:
    (record,) = make(made, server, "with").records
    beyond = record.cache_write_1h_tokens or record.server_tool_calls
    if record.cost is None or beyond or record.service_tier not in (None, "default", "standard"):
        pytest.skip("unknown, or with a charge that genai-prices does not calculate")
    usage = genai_prices.Usage(
        input_tokens=record.input_tokens,
        output_tokens=record.output_tokens,
        cache_read_tokens=record.cache_read_tokens,
        cache_write_tokens=record.cache_write_tokens,
    )
    price = genai_prices.calc_price(
        usage, record.model_id, provider_id=record.provider, genai_request_timestamp=datetime.now(UTC)
    )
    assert record.cost == pytest.approx(float(price.total_price), rel=1e-9)


# --- errors


@pytest.mark.parametrize(
    ("name", "error", "status"),
    [
        ("openai_errors.yaml#0", openai.AuthenticationError, 401),
        ("openai_errors.yaml#1", openai.NotFoundError, 404),
        ("openai_errors.yaml#2", openai.RateLimitError, 429),
        ("openai_errors.yaml#3", openai.InternalServerError, 500),
        ("anthropic_errors.yaml#0", anthropic.AuthenticationError, 401),
        ("anthropic_errors.yaml#1", anthropic.NotFoundError, 404),
        ("anthropic_errors.yaml#2", anthropic.RateLimitError, 429),
        ("anthropic_errors.yaml#3", anthropic.InternalServerError, 500),
    ],
)
def test_a_refused_call_fails_for_the_user_and_costs_nothing(
    name: str, error: type[Exception], status: int, server: ReplayServer, captured: Captured
) -> None:
    made = plan(recorded(name))
    client = made.client(server, server.play(made.interaction))

    @llm_call
    def ask() -> Any:
        return made.create(client)

    with pytest.raises(error) as raised:
        ask()
    assert raised.value.status_code == status  # type: ignore[attr-defined]
    (record,) = captured.calls
    assert record.error_type == f"{error.__module__}.{error.__qualname__}"
    assert (record.success, record.cost, record.cost_source) == (False, None, "none")
    assert record.provider == error.__module__


def test_a_retry_of_the_client_is_one_call_that_succeeded(server: ReplayServer, captured: Captured) -> None:
    made = plan(recorded("openai_chat.yaml#0"))
    limited = recorded("openai_errors.yaml#2")
    limited = replace(limited, headers={**limited.headers, "retry-after-ms": "1"})
    key = server.play(limited, made.interaction)
    with llm_call() as call:
        call.record(made.create(made.client(server, key, max_retries=1)))
    assert len(server.received(key)) == 2
    (record,) = captured.calls
    assert (record.success, record.input_tokens, record.error_type) == (True, 11, None)


def test_a_retry_of_the_user_is_counted_and_the_refused_attempt_costs_nothing(
    server: ReplayServer, captured: Captured
) -> None:
    made = plan(recorded("openai_chat.yaml#0"))
    client = made.client(server, server.play(recorded("openai_errors.yaml#2"), made.interaction))
    with llm_call() as call:
        try:
            call.record(made.create(client))
        except openai.RateLimitError as error:
            call.retry(error)
            call.record(made.create(client))
    (record,) = captured.calls
    assert (record.success, record.retry_count, record.input_tokens) == (True, 1, 11)
    assert record.attempts[0]["error_type"] == "openai.RateLimitError"
    assert record.cost == pytest.approx(2.85e-06)


# --- streams


STREAMS = ["openai_chat_stream.yaml#0", "anthropic_stream.yaml#0", "openai_responses_stream.yaml#0"]
each_stream = pytest.mark.parametrize("name", STREAMS)


def is_incomplete(record: LLMCallRecord) -> bool:
    return (record.usage_complete, record.cost, record.cost_source) == (False, None, "unknown")


@each_stream
def test_the_first_chunk_arrives_before_the_rest_is_sent(name: str, server: ReplayServer, captured: Captured) -> None:
    made = plan(recorded(name))
    gate = threading.Event()
    client = made.client(server, server.play(made.interaction, gate=gate))
    with llm_call() as call:
        stream = call.stream(made.create(client))
        next(stream)
        gate.set()
        rest = len(list(stream))
    assert rest > 0
    (record,) = captured.calls
    assert record.time_to_first_token_ms is not None
    assert 0 < record.time_to_first_token_ms <= record.latency_ms + 1


@each_stream
def test_a_stream_that_its_reader_leaves_has_no_cost(name: str, server: ReplayServer, captured: Captured) -> None:
    made = plan(recorded(name))
    client = made.client(server, server.play(made.interaction))
    with llm_call() as call:
        stream = call.stream(made.create(client))
        for _ in stream:
            break
        stream.close()
    (record,) = captured.calls
    assert record.success
    assert is_incomplete(record)


@each_stream
def test_a_returned_stream_that_its_reader_leaves_has_no_cost(
    name: str, server: ReplayServer, captured: Captured
) -> None:
    made = plan(recorded(name))
    client = made.client(server, server.play(made.interaction))

    @llm_call
    def ask() -> Any:
        return made.create(client)

    with ask() as stream:
        next(iter(stream))
    (record,) = captured.calls
    assert is_incomplete(record)


@each_stream
def test_a_connection_that_breaks_within_a_stream_fails_the_call(
    name: str, server: ReplayServer, captured: Captured
) -> None:
    made = plan(recorded(name))
    client = made.client(server, server.play(made.interaction, cut_after=2))
    with pytest.raises(Exception, match="closed|Connection error") as raised, llm_call() as call:
        for _ in call.stream(made.create(client)):
            pass
    broken = raised.value
    (record,) = captured.calls
    assert not record.success
    assert record.error_type == f"{type(broken).__module__}.{type(broken).__qualname__}"
    assert is_incomplete(record)


@each_stream
async def test_an_asynchronous_generator_that_is_left_has_no_cost(
    name: str, server: ReplayServer, captured: Captured
) -> None:
    made = plan(recorded(name))
    client = made.client(server, server.play(made.interaction), asynchronous=True)

    @llm_call
    async def ask() -> AsyncIterator[Any]:
        async for chunk in await made.create(client):
            yield chunk

    async with aclosing(ask()) as chunks:  # type: ignore[type-var]
        async for _ in chunks:
            break
    (record,) = captured.calls
    assert is_incomplete(record)


def test_a_stream_without_usage_says_what_is_known_and_no_more(server: ReplayServer) -> None:
    (record,) = make(plan(recorded("openai_chat_stream.yaml#1")), server, "decorated").records
    assert (record.input_tokens, record.output_tokens) == (None, None)
    assert record.finish_reasons == ["stop"]
    assert is_incomplete(record)


# --- the clients' own helpers


def as_helper(name: str) -> Plan:
    """For the methods named `stream`, which set the argument of that name themselves."""
    return plan(recorded(name))


def test_texts_of_the_anthropic_helper_are_watched(server: ReplayServer, captured: Captured) -> None:
    made = as_helper("anthropic_stream.yaml#0")
    client = made.client(server, server.play(made.interaction))
    with llm_call() as call, call.stream(made.method(client, "stream")()) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == "".join(block.text for block in final.content)
    (record,) = captured.calls
    assert (record.input_tokens, record.output_tokens, record.finish_reasons) == (2711, 8, ["end_turn"])
    assert record.cost is not None


async def test_texts_of_the_asynchronous_anthropic_helper_are_watched(server: ReplayServer, captured: Captured) -> None:
    made = as_helper("anthropic_stream.yaml#0")
    client = made.client(server, server.play(made.interaction), asynchronous=True)

    @llm_call
    def ask() -> Any:
        return made.method(client, "stream")()

    async with ask() as stream:
        text = "".join([piece async for piece in stream.text_stream])
        await stream.get_final_message()
    assert text
    (record,) = captured.calls
    assert (record.input_tokens, record.output_tokens) == (2711, 8)
    assert (record.time_to_first_token_ms or 0) > 0


def test_a_final_message_that_is_all_the_user_asks_for_is_enough(server: ReplayServer, captured: Captured) -> None:
    made = as_helper("anthropic_stream.yaml#1")
    client = made.client(server, server.play(made.interaction))
    with llm_call() as call, call.stream(made.method(client, "stream")()) as stream:
        stream.get_final_message()
    (record,) = captured.calls
    assert (record.input_tokens, record.output_tokens, record.tool_calls) == (400, 97, 1)
    assert record.cost is not None


@pytest.mark.parametrize(
    ("name", "tokens"), [("openai_chat_stream.yaml#2", (58, 44)), ("openai_responses_stream.yaml#1", (55, 90))]
)
def test_events_of_the_openai_helpers_are_watched(
    name: str, tokens: tuple[int, int], server: ReplayServer, captured: Captured
) -> None:
    made = as_helper(name)
    client = made.client(server, server.play(made.interaction))
    with llm_call() as call, call.stream(made.method(client, "stream")()) as stream:
        events = list(stream)
    assert events
    (record,) = captured.calls
    assert (record.input_tokens, record.output_tokens) == tokens
    assert record.cost is not None


@pytest.mark.parametrize("name", ["openai_chat.yaml#0", "openai_responses.yaml#0"])
def test_a_raw_response_is_recorded_and_still_parsed_by_the_user(
    name: str, server: ReplayServer, captured: Captured
) -> None:
    made = plan(recorded(name))
    client = made.client(server, server.play(made.interaction))
    with llm_call() as call:
        raw = call.record(made.method(client, via="with_raw_response")())
    assert raw.parse().model == made.interaction.json()["model"]
    (record,) = captured.calls
    assert record.model_id == made.interaction.json()["model"]
    assert record.cost is not None


def test_a_streamed_response_is_recorded_from_what_the_user_parses(server: ReplayServer, captured: Captured) -> None:
    made = plan(recorded("openai_chat.yaml#0"))
    client = made.client(server, server.play(made.interaction))
    with llm_call() as call, made.method(client, via="with_streaming_response")() as response:
        call.record(response.parse())
    (record,) = captured.calls
    assert (record.input_tokens, record.output_tokens) == (11, 2)


# --- odd servers and many at once


def test_a_json_body_is_read_whatever_its_server_calls_it(server: ReplayServer, captured: Captured) -> None:
    odd = replace(recorded("openai_chat.yaml#0"), headers={"content-type": "application/json; charset=utf-8"})
    made = plan(odd)
    with llm_call() as call:
        call.record(made.create(made.client(server, server.play(odd))))
    assert captured.calls[0].input_tokens == 11


def test_a_page_of_text_in_place_of_a_response_is_recorded_as_nothing(server: ReplayServer, captured: Captured) -> None:
    page = replace(recorded("openai_chat.yaml#0"), headers={"content-type": "text/html"}, body=b"<p>Sign in</p>")
    made = plan(page)
    with llm_call() as call:
        assert call.record(made.create(made.client(server, server.play(page)))) == "<p>Sign in</p>"
    (record,) = captured.calls
    assert (record.input_tokens, record.cost, record.cost_source) == (None, None, "unknown")


MANY = [made for made in PLANS if made.interaction.status == 200 and made.interaction.expected]


def as_recorded(records: list[LLMCallRecord]) -> list[tuple[Any, ...]]:
    return sorted((r.metadata["name"], r.response_id, r.input_tokens, r.output_tokens) for r in records)


def as_expected() -> list[tuple[Any, ...]]:
    said = [(made.interaction.name, expectation(made.interaction), made) for made in MANY]
    return sorted(
        (name, info.response_id, info.input_tokens, 0 if made.operation == "embeddings" else info.output_tokens)
        for name, info, made in said
        if info is not None
    )


def test_calls_in_threads_do_not_mix(server: ReplayServer, captured: Captured) -> None:
    def ask(made: Plan) -> None:
        client = made.client(server, server.play(made.interaction))

        @llm_call
        def call() -> Any:
            return made.create(client)

        with annotate(name=made.interaction.name):
            try:
                response = call()
                if made.streams:
                    list(response)
            except (openai.APIError, anthropic.APIError):
                pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, MANY))
    assert {row[0] for row in as_recorded(captured.calls)} == {made.interaction.name for made in MANY}
    assert as_recorded(captured.calls) == as_expected()


async def test_calls_in_tasks_do_not_mix_and_belong_to_their_run(server: ReplayServer, captured: Captured) -> None:
    async def ask(made: Plan) -> None:
        client = made.client(server, server.play(made.interaction), asynchronous=True)

        @llm_call
        async def call() -> Any:
            return await made.create(client)

        with annotate(name=made.interaction.name):
            try:
                response = await call()
                if made.streams:
                    async for _ in response:
                        pass
            except (openai.APIError, anthropic.APIError):
                pass

    with workflow("everything"):
        await asyncio.gather(*(ask(made) for made in MANY))
    assert as_recorded(captured.calls) == as_expected()
    (run,) = captured.runs
    assert {record.run_id for record in captured.calls} == {run.run_id}
    assert run.call_count == len(MANY)


# --- what is not replayed


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("anthropic.yaml#5", "not a generation: POST /v1/messages/count_tokens"),
        ("google.yaml#0", "Google's protocol: the openai and anthropic clients do not speak it"),
    ],
)
def test_a_request_that_no_client_makes_says_why(name: str, why: str) -> None:
    with pytest.raises(UnreplayableError) as raised:
        plan(recorded(name))
    assert str(raised.value) == why
