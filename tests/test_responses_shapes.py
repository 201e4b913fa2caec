"""How usage, provider and content are found, whoever made the object and in whatever form it comes."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable
from dataclasses import make_dataclass
from enum import Enum
from types import SimpleNamespace
from typing import Any

import anthropic
import msgspec
import openai
import pytest
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, ConfigDict, PrivateAttr

from attune_monitoring.responses import ResponseInfo, StreamReader, provider_of, read_response
from recordings_io import expectation, read_stream, recorded


def test_a_client_belongs_to_the_provider_of_its_host() -> None:
    def openai_client(url: str) -> Any:
        return openai.OpenAI(api_key="none", base_url=url)

    assert provider_of(openai.OpenAI(api_key="none", base_url="https://api.openai.com/v1")) == "openai"
    assert provider_of(openai_client("https://api.deepseek.com")) == "deepseek"
    assert provider_of(openai_client("https://openrouter.ai/api/v1")) == "openrouter"
    assert provider_of(openai_client("https://us-east5-aiplatform.googleapis.com/v1")) == "gcp.vertex_ai"
    assert provider_of(openai_client("https://max.ai/v1")) == "openai"
    assert provider_of(openai_client("http://127.0.0.1:8000/v1")) == "openai"
    azure = openai.AzureOpenAI(api_key="none", api_version="1", azure_endpoint="http://127.0.0.1:9")
    assert provider_of(azure) == "azure.ai.openai"
    assert provider_of(anthropic.AsyncAnthropic(api_key="none")) == "anthropic"
    assert provider_of(azure.chat.completions) == "openai"


def test_a_google_client_knows_whether_it_speaks_to_vertex() -> None:
    kind = type("Client", (), {"__module__": "google.genai.client"})
    for vertexai, provider in ((True, "gcp.vertex_ai"), (False, "gcp.gemini")):
        made = kind()
        made._api_client = SimpleNamespace(vertexai=vertexai)
        assert provider_of(made) == provider


def test_an_object_of_no_sdk_has_no_provider() -> None:
    for obj in (1, "x", {}, SimpleNamespace(), object, iter([])):
        assert provider_of(obj) is None


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("gpt-4o", "openai"),
        ("o1", "openai"),
        ("o4-mini-2025-04-16", "openai"),
        ("ft:gpt-4o-mini-2024-07-18:acme::abc", "openai"),
        ("omni-moderation", None),
        ("gpt-oss-120b", None),
        ("claude-sonnet-4-5", "anthropic"),
        ("gemini-2.5-pro", "gcp.gemini"),
        ("models/gemini-2.5-pro", "gcp.gemini"),
        ("deepseek-chat", "deepseek"),
        ("deepseek-r1-distill-llama-70b", None),
        ("mistral-large-latest", "mistral_ai"),
        ("mistral-7b-instruct", None),
        ("mistral:latest", None),
        ("grok-4", "x_ai"),
        ("command-a-03-2025", "cohere"),
        ("sonar-pro", "perplexity"),
        ("kimi-k2", "moonshot_ai"),
        ("openai/gpt-4o", None),
        ("my-deployment", None),
    ],
)
def test_the_family_of_the_model_tells_whose_response_it_is(model: str, provider: str | None) -> None:
    response = recorded("openai_chat.yaml#0").json() | {"model": model}
    from_dict, from_object = read_response(response), read_response(ChatCompletion.construct(**response))
    assert from_dict is not None and from_object is not None
    assert (from_dict.provider, from_object.provider) == (provider, provider)


def test_ollama_is_told_by_its_fingerprint_behind_the_openai_protocol() -> None:
    response = recorded("openai_chat.yaml#0").json() | {"model": "gpt-oss:20b", "system_fingerprint": "fp_ollama"}
    info = read_response(response)
    assert info is not None and info.provider == "ollama"


class LiteLLMResponse(BaseModel):
    """LiteLLM's ModelResponse: OpenAI's fields, and private ones beside them."""

    model_config = ConfigDict(extra="allow")
    _hidden_params: dict[str, Any] = PrivateAttr(default_factory=dict)


LiteLLMResponse.__module__ = "litellm.types.utils"


def test_litellm_reports_provider_and_cost_and_counts_the_cache_into_the_prompt() -> None:
    response = LiteLLMResponse(
        id="chatcmpl-l1",
        object="chat.completion",
        model="claude-sonnet-4-5",
        choices=[{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi."}}],
        usage={
            "prompt_tokens": 1130,
            "completion_tokens": 20,
            "total_tokens": 1150,
            "cache_creation_input_tokens": 100,
            "cache_read_input_tokens": 1000,
            "prompt_tokens_details": {
                "cached_tokens": 1000,
                "cache_creation_tokens": 100,
                "cache_creation_token_details": {"ephemeral_5m_input_tokens": 40, "ephemeral_1h_input_tokens": 60},
            },
        },
    )
    response._hidden_params = {"custom_llm_provider": "vertex_ai", "response_cost": 0.0125}
    assert read_response(response) == ResponseInfo(
        provider="gcp.vertex_ai",
        model="claude-sonnet-4-5",
        response_id="chatcmpl-l1",
        operation="chat",
        finish_reasons=("stop",),
        input_tokens=1130,
        output_tokens=20,
        cache_read_tokens=1000,
        cache_write_tokens=100,
        cache_write_1h_tokens=60,
        cost=0.0125,
    )


def test_litellm_streams_and_embeddings_report_their_provider() -> None:
    def chunk(**fields: Any) -> LiteLLMResponse:
        made = LiteLLMResponse(id="c", object="chat.completion.chunk", model="llama-3", **fields)
        made._hidden_params = {"custom_llm_provider": "xai", "response_cost": None}
        return made

    info, _ = read_stream(
        [
            chunk(choices=[{"index": 0, "delta": {"content": "Hi."}, "finish_reason": None}]),
            chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
            chunk(choices=[{"index": 0, "delta": {}}], usage={"prompt_tokens": 3, "completion_tokens": 2}),
        ]
    )
    assert (info.provider, info.input_tokens, info.output_tokens, info.usage_complete) == ("x_ai", 3, 2, True)

    embeddings = LiteLLMResponse(
        object="list", model="embed", data=[{"object": "embedding"}], usage={"prompt_tokens": 7, "total_tokens": 7}
    )
    embeddings._hidden_params = {"custom_llm_provider": "azure"}
    read = read_response(embeddings)
    assert read is not None
    assert (read.provider, read.operation, read.input_tokens) == ("azure.ai.openai", "embeddings", 7)


def ai_message(kind: str = "ai", **fields: Any) -> Any:
    return SimpleNamespace(**({"type": kind, "content": "", "response_metadata": {}} | fields))


def test_a_langchain_message_is_read() -> None:
    message = ai_message(
        content="x",
        id="lc_run-1",
        tool_calls=[{"name": "weather", "args": {}, "id": "1"}],
        usage_metadata={
            "input_tokens": 350,
            "output_tokens": 240,
            "total_tokens": 590,
            "input_token_details": {"cache_creation": 0, "ephemeral_1h_input_tokens": 200, "cache_read": 100},
            "output_token_details": {"reasoning": 90},
        },
        response_metadata={"model_name": "claude-sonnet-4-5", "stop_reason": "tool_use", "model_provider": "anthropic"},
    )
    assert read_response(message) == ResponseInfo(
        provider="anthropic",
        model="claude-sonnet-4-5",
        response_id="lc_run-1",
        operation="chat",
        finish_reasons=("tool_use",),
        input_tokens=350,
        output_tokens=240,
        cache_read_tokens=100,
        cache_write_tokens=200,
        cache_write_1h_tokens=200,
        reasoning_tokens=90,
        tool_calls=1,
    )


def test_langchain_chunks_are_added_up() -> None:
    def chunk(**fields: Any) -> Any:
        return ai_message("AIMessageChunk", tool_call_chunks=fields.pop("tool_call_chunks", []), **fields)

    chunks = [
        chunk(usage_metadata={"input_tokens": 20, "output_tokens": 1, "input_token_details": {"cache_read": 5}}),
        chunk(content="Hi."),
        chunk(tool_call_chunks=[{"index": 0, "name": "weather"}]),
        chunk(tool_call_chunks=[{"index": 0, "args": "{}"}]),
        chunk(
            usage_metadata={"input_tokens": 0, "output_tokens": 9},
            response_metadata={"stop_reason": "end_turn", "model": "claude-haiku-4-5"},
        ),
    ]
    reader = StreamReader()
    assert [reader.feed(chunk) for chunk in chunks] == [False, True, True, True, False]
    info = reader.result()
    assert (info.provider, info.input_tokens, info.output_tokens) == ("anthropic", 20, 10)
    assert (info.cache_read_tokens, info.tool_calls, info.usage_complete) == (5, 1, True)


def test_the_response_that_a_structured_output_library_keeps_is_read() -> None:
    class Person(BaseModel):
        name: str

    person = Person(name="Ada")
    object.__setattr__(person, "_raw_response", ChatCompletion.construct(**recorded("openai_chat.yaml#1").json()))
    assert read_response(person) == expectation(recorded("openai_chat.yaml#1"))


def as_namespace(value: Any) -> Any:
    if isinstance(value, dict):
        return SimpleNamespace(**{key: as_namespace(item) for key, item in value.items()})
    return tuple(as_namespace(item) for item in value) if isinstance(value, list) else value


def as_dataclass(value: Any) -> Any:
    if isinstance(value, dict):
        return make_dataclass("D", list(value), slots=True)(*(as_dataclass(item) for item in value.values()))
    return [as_dataclass(item) for item in value] if isinstance(value, list) else value


def as_struct(value: Any) -> Any:
    if isinstance(value, dict):
        return msgspec.defstruct("S", list(value))(*(as_struct(item) for item in value.values()))
    return [as_struct(item) for item in value] if isinstance(value, list) else value


def as_mapping(value: Any) -> Any:
    if isinstance(value, dict):
        return UserDict({key: as_mapping(item) for key, item in value.items()})
    return [as_mapping(item) for item in value] if isinstance(value, list) else value


def as_properties(value: Any) -> Any:
    if isinstance(value, dict):
        parts = {key: as_properties(item) for key, item in value.items()}
        return type("P", (), {key: property(lambda self, part=part: part) for key, part in parts.items()})()
    return [as_properties(item) for item in value] if isinstance(value, list) else value


def as_protobuf(value: Any) -> Any:
    """Google's message classes answer `__getattr__`; their class has no attribute for a field."""
    if isinstance(value, dict):
        parts = {key: as_protobuf(item) for key, item in value.items()}
        answer = {"__slots__": ("_pb",), "__module__": "google.ai.generativelanguage.types"}
        return type("M", (), answer | {"__getattr__": lambda self, name: parts[name]})()
    return [as_protobuf(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("form", [as_namespace, as_dataclass, as_struct, as_mapping, as_properties, as_protobuf])
@pytest.mark.parametrize("name", ["openai_chat.yaml#1", "openai_chat.yaml#4", "anthropic.yaml#1"])
def test_every_form_of_object_says_the_same(form: Callable[[Any], Any], name: str) -> None:
    interaction = recorded(name)
    info = read_response(form(interaction.json()))
    assert info is not None
    provider = "gcp.gemini" if form is as_protobuf else info.provider  # by where its types are defined
    expected = expectation(interaction)
    assert expected is not None
    expected.provider = provider if form is as_protobuf else expected.provider
    assert info == expected


def test_google_objects_are_read_by_their_snake_case_names_and_enums() -> None:
    class FinishReason(Enum):
        STOP = 1

    part = {"text": None, "function_call": {"name": "weather"}}
    response = {
        "candidates": [{"content": {"parts": [part]}, "finish_reason": FinishReason.STOP, "index": 0}],
        "usage_metadata": {
            "prompt_token_count": 30,
            "cached_content_token_count": 10,
            "candidates_token_count": 4,
            "thoughts_token_count": 6,
            "tool_use_prompt_token_count": 5,
        },
        "model_version": "gemini-2.5-flash",
        "response_id": "g",
    }
    assert read_response(as_namespace(response)) == ResponseInfo(
        provider="gcp.gemini",
        model="gemini-2.5-flash",
        response_id="g",
        operation="generate_content",
        finish_reasons=("STOP",),
        input_tokens=35,
        output_tokens=10,
        cache_read_tokens=10,
        reasoning_tokens=6,
        tool_calls=1,
    )


def chat_chunk(delta: dict[str, Any] | None = None, reason: str | None = None, **fields: Any) -> dict[str, Any]:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason}]
    return {"id": "c", "object": "chat.completion.chunk", "model": "gpt-4o", "choices": choices} | fields


@pytest.mark.parametrize(
    ("delta", "generated"),
    [
        ({"role": "assistant", "content": ""}, False),
        ({"content": "x"}, True),
        ({"reasoning_content": "x"}, True),
        ({"reasoning": "x"}, True),
        ({"refusal": "x"}, True),
        ({"audio": {"data": "x"}}, True),
        ({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]}, True),
        ({"function_call": {"name": "f", "arguments": ""}}, True),
        ({}, False),
    ],
)
def test_a_chat_chunk_with_generated_content_is_told_apart(delta: dict[str, Any], generated: bool) -> None:
    assert StreamReader().feed(chat_chunk(delta)) is generated


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("anthropic_stream.yaml#0", 3),
        ("anthropic_stream.yaml#1", 2),
        ("openai_responses_stream.yaml#0", 3),
        ("openai_completions_and_embeddings.yaml#1", 0),
        ("azure.yaml#1", 2),
        ("google.yaml#4", 0),
        ("ollama.yaml#1", 0),
        ("bedrock_and_cohere.yaml#2", 1),
    ],
)
def test_the_first_chunk_with_content_is_found_in_every_stream(name: str, first: int) -> None:
    reader = StreamReader()
    assert [reader.feed(event) for event in recorded(name).events()].index(True) == first


def test_the_texts_of_a_text_only_stream_are_content() -> None:
    reader = StreamReader()
    assert [reader.feed(text) for text in ("", "x")] == [False, True]
    assert reader.result() == ResponseInfo(usage_complete=False)


def test_usage_older_than_the_last_content_is_not_final() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
    info, finished = read_stream([chat_chunk({"content": "a"}, usage=usage), chat_chunk({"content": "b"}, "stop")])
    assert (finished, info.usage_complete, info.input_tokens) == (True, False, 5)


def test_a_stream_is_not_finished_while_one_of_its_choices_is_not() -> None:
    both = [{"index": 0, "delta": {"content": "a"}}, {"index": 1, "delta": {"content": "b"}}]
    first_ends = chat_chunk({}, "stop")
    assert read_stream([chat_chunk(choices=both), first_ends])[1] is False


@pytest.mark.parametrize(
    "calls",
    [
        [{"index": 0, "id": "a"}, {"index": 0}, {"index": 1, "id": "b"}],
        [{"index": 0, "id": "a"}, {"index": 0, "id": "b"}],  # Gemini's imitation puts every call into slot 0
        [{"index": 0, "id": "a"}, {"index": 0, "id": "a"}, {"index": 1, "id": "b"}, {"index": 1, "id": "b"}],
        [{"index": 0}, {"index": 0}, {"index": 1}],
    ],
)
def test_each_streamed_tool_call_is_counted_once(calls: list[dict[str, Any]]) -> None:
    assert read_stream([chat_chunk({"tool_calls": [call]}) for call in calls])[0].tool_calls == 2


def test_a_legacy_function_call_is_a_tool_call() -> None:
    message = {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}
    whole = {"object": "chat.completion", "choices": [{"index": 0, "message": message}]}
    info = read_response(whole)
    assert info is not None and info.tool_calls == 1
    pieces = [chat_chunk({"function_call": {"name": "f"}}), chat_chunk({"function_call": {"arguments": "{}"}})]
    assert read_stream(pieces)[0].tool_calls == 1


def test_a_chunk_wrapped_by_the_mistral_sdk_is_read() -> None:
    usage = {"prompt_tokens": 4, "completion_tokens": 1, "total_tokens": 5}
    chunk = chat_chunk({"content": "x"}, "stop", model="mistral-small-latest", usage=usage)
    info, finished = read_stream([SimpleNamespace(data=chunk)])
    assert (info.provider, info.input_tokens, finished) == ("mistral_ai", 4, True)


def test_several_google_responses_in_one_stream_are_added_up() -> None:
    def chunk(identity: str, tokens: int, reason: str | None = "STOP") -> dict[str, Any]:
        return {
            "candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": reason, "index": 0}],
            "usageMetadata": {"promptTokenCount": tokens, "candidatesTokenCount": 2, "cachedContentTokenCount": 1},
            "responseId": identity,
        }

    info, finished = read_stream([chunk("a", 10, None), chunk("a", 10), chunk("b", 30)])
    assert (info.input_tokens, info.output_tokens, info.cache_read_tokens) == (40, 4, 2)
    assert (finished, info.usage_complete) == (True, True)
    assert read_stream([chunk("a", 10), chunk("b", 30, None)])[0].usage_complete is False


def test_the_tokens_of_a_context_compaction_are_billed_too() -> None:
    message = recorded("anthropic.yaml#0").json()
    message["usage"]["iterations"] = [
        {"type": "compaction", "input_tokens": 1000, "cache_read_input_tokens": 50, "output_tokens": 200},
        {"type": "message", "input_tokens": 12, "output_tokens": 5},
    ]
    info = read_response(message)
    assert info is not None
    assert (info.input_tokens, info.output_tokens, info.cache_read_tokens) == (1062, 205, 50)


def test_the_bedrock_stream_is_read() -> None:
    usage = {"inputTokens": 40, "outputTokens": 9, "totalTokens": 79, "cacheReadInputTokens": 30}
    events: list[dict[str, Any]] = [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockStart": {"start": {"toolUse": {"name": "weather"}}, "contentBlockIndex": 0}},
        {"contentBlockDelta": {"delta": {"toolUse": {"input": "{}"}}, "contentBlockIndex": 0}},
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"messageStop": {"stopReason": "tool_use"}},
        {"metadata": {"usage": usage, "metrics": {"latencyMs": 1}}},
    ]
    reader = StreamReader()
    assert [reader.feed(event) for event in events] == [False, False, True, False, False, False]
    assert reader.result() == ResponseInfo(
        provider="aws.bedrock",
        operation="chat",
        finish_reasons=("tool_use",),
        input_tokens=70,
        output_tokens=9,
        cache_read_tokens=30,
        tool_calls=1,
    )
    assert read_stream(events[:-1])[0].usage_complete is False
    failed, finished = read_stream([events[0], {"throttlingException": {"message": "Slow down."}}])
    assert (failed.error_type, failed.error_message, finished) == ("throttlingException", "Slow down.", True)


def test_the_tool_calls_and_the_error_of_a_cohere_stream_are_read() -> None:
    start = {"type": "message-start", "id": "co"}
    call = {"type": "tool-call-start", "index": 0}
    end = {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "No."}}
    info, finished = read_stream([start, call, end])
    assert (info.tool_calls, info.finish_reasons, info.error_message) == (1, ("ERROR",), "No.")
    assert (finished, info.usage_complete) == (True, False)


@pytest.mark.parametrize(
    ("chunks", "kind"),
    [
        ([{"error": {"message": "No.", "type": "server_error", "code": None}}], "server_error"),
        ([{"type": "error", "error": {"type": "overloaded_error", "message": "No."}}], "overloaded_error"),
        ([{"type": "error", "sequence_number": 0, "code": "bad", "message": "No."}], "bad"),
        ([chat_chunk({"content": "x"}), {"error": {"message": "No.", "code": 502}, "choices": []}], "502"),
        ([{"model": "m", "done": False, "response": "x"}, {"error": "No."}], "_OTHER"),
        ([{"candidates": []}, {"error": {"code": 503, "status": "UNAVAILABLE", "message": "No."}}], "UNAVAILABLE"),
    ],
)
def test_an_error_within_a_stream_ends_it(chunks: list[Any], kind: str) -> None:
    info, finished = read_stream(chunks)
    assert (info.error_type, info.error_message, info.usage_complete, finished) == (kind, "No.", False, True)


def test_long_texts_of_a_server_are_cut() -> None:
    info = read_response({"error": {"message": "x" * 9999, "code": "y" * 999, "type": "t"}})
    assert info is not None and info.error_type is not None and info.error_message is not None
    assert (len(info.error_type), len(info.error_message)) == (256, 1024)
