"""What is read from recorded traffic equals what it says: as dicts, as the SDKs' types, through the SDKs' clients."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import msgspec
import openai
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from attune_monitoring.responses import ResponseInfo, is_stream, provider_of, read_response
from recordings_io import RECORDINGS, Interaction, expectation, load_folder, read_stream, recorded

CASSETTES = Path(__file__).parents[2] / "shared" / "samples" / "cassettes"
OURS = load_folder(RECORDINGS)


def named(interactions: list[Interaction]) -> Any:
    return pytest.mark.parametrize("interaction", interactions, ids=lambda i: i.name)


def approximately(info: ResponseInfo | None) -> dict[str, Any] | None:
    """Costs that are sums or products may differ in their last bit."""
    if info is None:
        return None
    return msgspec.structs.asdict(info) | {"cost": info.cost and pytest.approx(info.cost, rel=1e-12)}


@named(OURS)
def test_a_recorded_response_is_read_from_its_dicts(interaction: Interaction) -> None:
    expected = expectation(interaction)
    if interaction.is_stream:
        info, finished = read_stream(interaction.events())
        assert interaction.expected is not None
        assert finished is interaction.expected["finished"]
    else:
        info = read_response(interaction.json())
    assert (info and msgspec.structs.asdict(info)) == approximately(expected)


@named([i for i in OURS if i.expected and "status" in i.expected])
def test_a_recorded_error_has_the_status_that_it_was_sent_with(interaction: Interaction) -> None:
    assert interaction.expected is not None
    assert interaction.status == interaction.expected["status"]


WHOLE: dict[str, type[BaseModel]] = {
    "/chat/completions": ChatCompletion,
    "/v1/completions": Completion,
    "/embeddings": CreateEmbeddingResponse,
    "/v1/responses": Response,
    "/v1/messages": Message,
}
EVENT: dict[str, Any] = {
    "/chat/completions": ChatCompletionChunk.construct,
    "/v1/completions": Completion.construct,
    "/v1/responses": TypeAdapter(ResponseStreamEvent).validate_python,
    "/v1/messages": TypeAdapter(RawMessageStreamEvent).validate_python,
}


def path_of(interaction: Interaction) -> str:
    return next((path for path in WHOLE if interaction.uri.partition("?")[0].endswith(path)), "")


WITH_SDK_TYPES = [i for i in OURS if path_of(i) and i.status == 200]


@named([i for i in WITH_SDK_TYPES if not i.is_stream])
def test_an_sdk_object_says_the_same_as_the_dict(interaction: Interaction) -> None:
    info = read_response(WHOLE[path_of(interaction)].model_validate(interaction.json()))
    assert (info and msgspec.structs.asdict(info)) == approximately(expectation(interaction))


@named([i for i in WITH_SDK_TYPES if i.is_stream])
def test_sdk_stream_events_say_the_same_as_the_dicts(interaction: Interaction) -> None:
    make: Callable[..., Any] = EVENT[path_of(interaction)]
    chunks = []
    for event in interaction.events():
        if "messages" in interaction.uri and event["type"] in ("ping", "error"):
            chunks.append(event)  # the SDK hands out neither
        else:
            chunks.append(make(event) if make.__name__ == "validate_python" else make(**event))
    info, _ = read_stream(chunks)
    assert msgspec.structs.asdict(info) == approximately(expectation(interaction))


def plain_reading(interaction: Interaction) -> dict[str, Any]:
    """Model, tokens and finish reasons, straight from the body."""
    events = interaction.events() if interaction.is_stream else [interaction.json()]
    if "error" in events[0]:
        return {}
    if "/messages" in interaction.uri:
        return plain_messages(events)
    if "/responses" in interaction.uri:
        whole = events[-1].get("response", events[-1])
        usage = whole["usage"]
        return {
            "model": whole["model"],
            "input_tokens": usage["input_tokens"],
            "output_tokens": usage["output_tokens"],
            "reasoning_tokens": usage["output_tokens_details"]["reasoning_tokens"],
            "cache_read_tokens": usage["input_tokens_details"]["cached_tokens"],
        }
    usages = [event["usage"] for event in events if event.get("usage")]
    usage = usages[-1] if usages else {}
    choices = [choice for event in events for choice in event.get("choices", ())]
    return {
        "model": events[0]["model"],
        "input_tokens": usage.get("prompt_tokens"),
        "output_tokens": usage.get("completion_tokens"),
        "cache_read_tokens": (usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
        "reasoning_tokens": (usage.get("completion_tokens_details") or {}).get("reasoning_tokens"),
        "finish_reasons": tuple(c["finish_reason"] for c in choices if c["finish_reason"]),
        "usage_complete": bool(usage),
    }


def plain_messages(events: list[Any]) -> dict[str, Any]:
    first = events[0].get("message", events[0])
    last: dict[str, Any] = next((event for event in events if event["type"] == "message_delta"), {})
    usage = first["usage"] | last.get("usage", {})
    blocks = [e["content_block"] for e in events if e["type"] == "content_block_start"] or first["content"]
    cached = [usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")]
    return {
        "model": first["model"],
        "input_tokens": usage["input_tokens"] + sum(number or 0 for number in cached),
        "output_tokens": usage["output_tokens"],
        "cache_read_tokens": cached[0],
        "cache_write_tokens": cached[1],
        "finish_reasons": (last.get("delta", first)["stop_reason"],),
        "tool_calls": sum(block["type"] == "tool_use" for block in blocks),
        "usage_complete": True,
    }


@pytest.mark.skipif(not CASSETTES.is_dir(), reason=f"no folder {CASSETTES.name} beside the repository")
def test_real_traffic_is_read_as_its_bodies_say() -> None:
    cassettes = load_folder(CASSETTES)
    assert cassettes
    for interaction in cassettes:
        plain = plain_reading(interaction)
        if interaction.is_stream:
            info: ResponseInfo | None = read_stream(interaction.events())[0]
        else:
            info = read_response(interaction.json())
        assert info is not None, interaction.name
        assert {key: getattr(info, key) for key in plain} == plain, interaction.name
        assert (info.error_type is not None) is (interaction.status >= 400), interaction.name


def client(library: Any, name: str, interaction: Interaction) -> Any:
    """A real client whose transport answers with a recording."""
    transports = sys.modules[library.DefaultHttpxClient.__base__.__module__.partition(".")[0]]

    asynchronous = name.startswith("Async")

    def body() -> Iterator[bytes]:
        yield interaction.body

    async def async_body() -> AsyncIterator[bytes]:
        yield interaction.body

    def answer(_: Any) -> Any:
        content = async_body() if asynchronous else body()
        return transports.Response(interaction.status, headers=dict(interaction.headers), content=content)

    http_client = (transports.AsyncClient if asynchronous else transports.Client)(
        transport=transports.MockTransport(answer)
    )
    return getattr(library, name)(api_key="none", max_retries=0, http_client=http_client)


def test_the_openai_stream_is_recognised_and_read() -> None:
    interaction = recorded("openai_chat_stream.yaml#0")
    stream = client(openai, "OpenAI", interaction).chat.completions.create(**interaction.request)
    assert is_stream(stream)
    info, finished = read_stream(list(stream))
    assert (info, finished) == (expectation(interaction), True)


def test_the_openai_stream_helper_is_recognised_and_counted_once() -> None:
    interaction = recorded("openai_chat_stream.yaml#2")
    arguments = {k: v for k, v in interaction.request.items() if k != "stream"}
    manager = client(openai, "OpenAI", interaction).chat.completions.stream(**arguments)
    assert is_stream(manager)
    with manager as stream:
        assert is_stream(stream)
        info, _ = read_stream(list(stream))
    assert info == expectation(interaction)


def test_the_responses_stream_helper_is_recognised_and_counted_once() -> None:
    interaction = recorded("openai_responses_stream.yaml#1")
    with client(openai, "OpenAI", interaction).responses.stream(model="gpt-5-mini", input="Weather?") as stream:
        assert is_stream(stream)
        info, _ = read_stream(list(stream))
    assert info == expectation(interaction)


def test_the_anthropic_stream_is_recognised_and_read() -> None:
    interaction = recorded("anthropic_stream.yaml#1")
    stream = client(anthropic, "Anthropic", interaction).messages.create(**interaction.request)
    assert is_stream(stream)
    assert read_stream(list(stream)) == (expectation(interaction), True)


def test_events_derived_by_the_anthropic_stream_helper_are_not_counted_again() -> None:
    interaction = recorded("anthropic_stream.yaml#1")
    arguments = {k: v for k, v in interaction.request.items() if k != "stream"}
    manager = client(anthropic, "Anthropic", interaction).messages.stream(**arguments)
    assert is_stream(manager)
    with manager as stream:
        assert is_stream(stream)
        events = list(stream)
        final = stream.get_final_message()
    assert {"thinking", "input_json"} <= {event.type for event in events}
    info, _ = read_stream(events)
    assert info == expectation(interaction)
    snapshot = read_response(final)
    assert snapshot is not None
    assert (snapshot.input_tokens, snapshot.output_tokens, snapshot.tool_calls) == (400, 97, 1)


async def test_asynchronous_streams_are_recognised_and_read() -> None:
    interaction = recorded("anthropic_stream.yaml#0")
    stream = await client(anthropic, "AsyncAnthropic", interaction).messages.create(**interaction.request)
    assert is_stream(stream)
    assert read_stream([event async for event in stream]) == (expectation(interaction), True)

    interaction = recorded("openai_chat_stream.yaml#3")
    chunks = await client(openai, "AsyncOpenAI", interaction).chat.completions.create(**interaction.request)
    assert is_stream(chunks)
    assert read_stream([chunk async for chunk in chunks]) == (expectation(interaction), True)


def test_a_raw_response_is_read_without_parsing_it_for_the_caller() -> None:
    interaction = recorded("openai_chat.yaml#0")
    raw = client(openai, "OpenAI", interaction).chat.completions.with_raw_response.create(**interaction.request)
    assert read_response(raw) == expectation(interaction)
    assert not raw._parsed_by_type
    raw.parse()
    assert read_response(raw) == expectation(interaction)


def test_a_raw_response_that_was_not_received_yet_stays_unread() -> None:
    interaction = recorded("openai_chat.yaml#0")
    create = client(openai, "OpenAI", interaction).chat.completions.with_streaming_response.create
    with create(**interaction.request) as raw:
        assert read_response(raw) is None
        assert raw.parse().id == "chatcmpl-plain1"


def test_what_only_looks_like_a_stream_is_none() -> None:
    class Stream:
        def __iter__(self) -> Iterator[int]:
            return iter(())

    def generator() -> Iterator[int]:
        yield 1

    ended = generator()
    list(ended)
    for obj in (Stream(), generator(), ended, [1], "text", open, None, ChatCompletion.construct(id="x"), iter([])):
        assert not is_stream(obj)


def library_function(module: str, source: str) -> Any:
    """A function that a library defines, as far as Python can tell."""
    namespace: dict[str, Any] = {"__name__": module}
    exec(source, namespace)
    return namespace["f"]


def test_generators_of_a_library_are_streams() -> None:
    for module in ("google.genai.models", "ollama._client", "opentelemetry.instrumentation.google_genai.wrap"):
        assert is_stream(library_function(module, "def f():\n    yield 1")())
        assert is_stream(library_function(module, "async def f():\n    yield 1")())
    assert provider_of(library_function("google.genai.models", "def f():\n    yield 1")()) == "gcp.gemini"


def library_type(name: str, module: str, **attributes: Any) -> type:
    return type(name, (), {"__module__": module, "__iter__": lambda self: iter(()), **attributes})


def test_streams_of_libraries_that_are_not_installed_are_recognised_by_name() -> None:
    for name, module in (
        ("CustomStreamWrapper", "litellm.litellm_core_utils.streaming_handler"),
        ("EventStream", "botocore.eventstream"),
        ("EventStreamAsync", "mistralai.client.utils.eventstreaming"),
        ("ChatStreamWrapper", "opentelemetry.instrumentation.genai.openai.chat_wrappers"),
    ):
        assert is_stream(library_type(name, module)())
    assert not is_stream(library_type("Choices", "litellm.types.utils")())
