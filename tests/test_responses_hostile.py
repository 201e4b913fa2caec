"""Reading never fails and never invents, whatever it is given."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attune_monitoring.responses import ResponseInfo, StreamReader, is_stream, provider_of, read_response
from recordings_io import RECORDINGS, Interaction, expectation, load_folder, read_stream, recorded


def _name(value: object) -> str:
    return repr(value).partition(" at 0x")[0]  # pytest's workers must agree on the names


IMPOSSIBLE: list[Any] = [-1, True, math.nan, math.inf, 2.5, 10**40, "12", [], {}, object()]


@pytest.mark.parametrize("value", IMPOSSIBLE, ids=_name)
def test_what_cannot_be_a_count_is_not_one(value: Any) -> None:
    chat = {"object": "chat.completion", "usage": {"prompt_tokens": value, "completion_tokens": 3, "cost": value}}
    message = {"type": "message", "role": "assistant", "usage": {"input_tokens": value, "output_tokens": 3}}
    ollama = {"model": "m", "message": {}, "done": True, "prompt_eval_count": value, "eval_count": 3}
    google = {"candidates": [], "usageMetadata": {"promptTokenCount": value, "candidatesTokenCount": 3}}
    bedrock = {"stopReason": "x", "output": {}, "usage": {"inputTokens": value, "outputTokens": 3}}
    for response in (chat, message, ollama, google, bedrock):
        info = read_response(response)
        assert info is not None
        assert (info.input_tokens, info.output_tokens) == (None, 3)


@pytest.mark.parametrize("value", [-1.0, True, math.nan, math.inf, 1e30, "1"], ids=repr)
def test_what_cannot_be_an_amount_is_no_cost(value: Any) -> None:
    for key in ("cost", "cost_in_usd_ticks"):
        info = read_response({"object": "chat.completion", "usage": {"prompt_tokens": 1, key: value}})
        assert info is not None and info.cost is None


def test_a_lone_surrogate_does_not_get_out() -> None:
    info = read_response({"object": "chat.completion", "model": "x\ud800", "error": {"message": "\udfff"}})
    assert info is not None
    assert (info.model, info.error_message) == ("x?", "?")


@pytest.mark.slow
def test_types_that_are_made_without_end_are_still_read() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    for number in range(1200):
        made = type(f"Made{number}", (), {})()
        made.__dict__ |= {"object": "chat.completion", "usage": usage, "choices": []}
        info = read_response(made)
        assert info is not None and info.output_tokens == 2


class Hostile:
    __slots__ = ()
    usage: ClassVar[Any] = property(lambda self: 1 / 0)
    choices: ClassVar[Any] = property(lambda self: [self])
    model: ClassVar[Any] = property(lambda self: self)

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __bool__(self) -> bool:
        raise RuntimeError("bool")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    __hash__ = None  # type: ignore[assignment]


class Liar:
    @property
    def __class__(self) -> Any:
        raise RuntimeError("class")

    @property
    def __dict__(self) -> Any:
        raise RuntimeError("dict")


class HostileDict(dict[str, Any]):
    def get(self, *_: Any) -> Any:
        raise RuntimeError("get")


@dataclass
class Counting:
    """Counts what runs when somebody looks for a field that it does not have."""

    looked: int = 0

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            self.looked += 1
        raise AttributeError(name)


def circle() -> dict[str, Any]:
    node: dict[str, Any] = {"object": "chat.completion", "type": "message", "role": "assistant"}
    node |= dict.fromkeys(("choices", "usage", "message", "delta", "data", "chunk", "error"), node)
    return node | {"choices": [node], "content": [node]}


@pytest.mark.parametrize("make", [Hostile, Liar, HostileDict, circle, object, lambda: type, lambda: len], ids=_name)
def test_no_object_makes_reading_fail(make: Callable[[], Any]) -> None:
    for obj in (make(), [make()], {"choices": [make()], "usage": make(), "model": make(), "error": make()}):
        read_response(obj)
        is_stream(obj)
        provider_of(obj)
        reader = StreamReader()
        reader.feed(obj)
        assert isinstance(reader.result(), ResponseInfo)


def test_a_hostile_chunk_does_not_lose_what_the_others_said() -> None:
    interaction = recorded("openai_chat_stream.yaml#0")
    chunks = [chunk for event in interaction.events() for chunk in (Hostile(), HostileDict(), event)]
    assert read_stream(chunks) == (expectation(interaction), True)


def test_looking_at_an_object_runs_nothing_that_it_does_not_define() -> None:
    watched = Counting()
    assert read_response(watched) is None
    assert watched.looked == 0


@pytest.mark.parametrize(
    "value",
    [None, 1, "text", b"bytes", [1], (), {}, {"a": 1}, {"error": "plain"}, {"error": {"message": "x"}}, {"usage": {}}],
    ids=_name,
)
def test_what_is_no_response_is_none(value: Any) -> None:
    assert read_response(value) is None


OURS = load_folder(RECORDINGS)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=3)
NODES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "usage", "index"]), inner),
    max_leaves=4,
)
COUNTS = [field for field in ResponseInfo.__struct_fields__ if field.endswith("_tokens")]


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a structure, with each of its keys or positions."""
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], (dict, list)):
            yield from places(node[key])


def check(info: ResponseInfo) -> None:
    counts = [getattr(info, field) for field in COUNTS]
    assert all(number is None or (type(number) is int and number >= 0) for number in counts)
    assert info.tool_calls >= 0
    assert info.server_tool_calls >= 0
    assert info.cost is None or 0 <= info.cost < math.inf
    assert msgspec.json.decode(msgspec.json.encode(info), type=ResponseInfo) == info  # each field has its type


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(st.data(), st.sampled_from(OURS), st.lists(NODES, min_size=1, max_size=3))
def test_no_damage_to_a_recording_makes_reading_fail_or_gives_impossible_values(
    data: st.DataObject, interaction: Interaction, damages: list[Any]
) -> None:
    bodies: list[Any] = interaction.events() if interaction.is_stream else [interaction.json()]
    for damage in damages:
        container, key = data.draw(st.sampled_from(list(places(bodies))))
        container[key] = damage
    reader = StreamReader()
    assert all(type(reader.feed(body)) is bool for body in bodies)
    check(reader.result())
    for body in bodies:
        info = read_response(body)
        if info is not None:
            check(info)
