"""Streams of the real clients: read to their end, left early, cut off, and through the clients' own helpers."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from clients import plan
from comparison import make
from replay_server import ReplayServer

from attune_monitoring import llm_call
from attune_monitoring.records import LLMCallRecord
from attune_monitoring.testing import Captured
from recordings_io import recorded

pytestmark = pytest.mark.slow


def is_incomplete(record: LLMCallRecord) -> bool:
    return (record.usage_complete, record.cost, record.cost_source) == (False, None, "unknown")


STREAMS = ["openai_chat_stream.yaml#0", "anthropic_stream.yaml#0", "openai_responses_stream.yaml#0"]
each_stream = pytest.mark.parametrize("name", STREAMS)


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
    with pytest.raises(Exception, match=r"closed|Connection error") as raised, llm_call() as call:
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


def test_texts_of_the_anthropic_helper_are_watched(server: ReplayServer, captured: Captured) -> None:
    made = plan(recorded("anthropic_stream.yaml#0"))
    client = made.client(server, server.play(made.interaction))
    with llm_call() as call, call.stream(made.method(client, "stream")()) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == "".join(block.text for block in final.content)
    (record,) = captured.calls
    assert (record.input_tokens, record.output_tokens, record.finish_reasons) == (2711, 8, ["end_turn"])
    assert record.cost is not None


async def test_texts_of_the_asynchronous_anthropic_helper_are_watched(server: ReplayServer, captured: Captured) -> None:
    made = plan(recorded("anthropic_stream.yaml#0"))
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
    made = plan(recorded("anthropic_stream.yaml#1"))
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
    made = plan(recorded(name))
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
