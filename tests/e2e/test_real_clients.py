"""The real openai and anthropic clients talk to a server that replays recordings: recorded is what it said."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anthropic
import genai_prices
import openai
import pytest
from clients import Plan, UnreplayableError, plan
from comparison import differences, make, make_async, ways_of
from recorded_calls import CASSETTES, plans
from replay_server import ReplayServer

from attune_monitoring import annotate, llm_call, workflow
from attune_monitoring.records import LLMCallRecord
from attune_monitoring.testing import Captured
from recordings_io import expectation, recorded

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")]

PLANS = plans()
EVERY_WAY = [(made, way) for made in PLANS for way in ways_of(made)]
TOLD = [(made, way) for made, way in EVERY_WAY if way not in ("plain", "blind")]
"""The ways in which our own call is told of the response."""


def each(pairs: list[tuple[Plan, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("made", "way"), pairs, ids=[f"{made.interaction.name}-{way}" for made, way in pairs]
    )


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


def test_instrument_records_one_call_as_its_response_says_whatever_else_is_told() -> None:
    # Instrumentations stay for the life of a process, so theirs is another one.
    script = Path(__file__).with_name("instrumented.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    assert len(found) == 2 * len(EVERY_WAY)
    assert {name: unequal for name, unequal in found.items() if unequal} == {}


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


def test_an_error_that_comes_with_status_200_fails_the_call(server: ReplayServer, captured: Captured) -> None:
    body = b'{"error": {"message": "Upstream is down", "code": 502}, "user_id": "u"}'
    answer = replace(recorded("openrouter.yaml#0"), body=body)
    made = plan(answer)
    with llm_call(provider="openrouter") as call:
        call.record(made.create(made.client(server, server.play(answer))))
    (record,) = captured.calls
    assert (record.success, record.error_type, record.error_message) == (False, "502", "Upstream is down")
    assert (record.usage_complete, record.cost, record.cost_source) == (False, None, "unknown")


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
