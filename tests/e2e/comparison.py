"""Makes a recorded call again in one of several ways and compares what was recorded with what the response says."""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any

import msgspec
from clients import Plan
from replay_server import ReplayServer
from statement import Statement, state

from attune_monitoring import llm_call
from attune_monitoring.pricing import Pricing
from attune_monitoring.records import LLMCallRecord
from attune_monitoring.testing import Captured, capture

__all__ = ["ASYNCHRONOUS", "WAYS", "Outcome", "differences", "make", "make_async", "ways_of"]

_PRICES = Pricing()
_FIELDS = (
    ("input_tokens", "input_tokens"),
    ("output_tokens", "output_tokens"),
    ("cache_read_tokens", "cache_read_tokens"),
    ("cache_write_tokens", "cache_write_tokens"),
    ("cache_write_1h_tokens", "cache_write_1h_tokens"),
    ("reasoning_tokens", "reasoning_tokens"),
    ("finish_reasons", "finish_reasons"),
    ("service_tier", "service_tier"),
    ("server_tool_calls", "searches"),
    ("usage_complete", "complete"),
)


class Outcome(msgspec.Struct):
    """What one way of making a call led to."""

    records: list[LLMCallRecord]
    error: str | None
    """Qualified name of what the client raised."""
    path: str | None
    """Where the client sent its request."""
    chunks: int = 0


def _consume(response: Any) -> int:
    return sum(1 for _ in response)


async def _consume_async(response: Any) -> int:
    return len([chunk async for chunk in response])


def _with(plan: Plan, client: Any) -> int:
    with llm_call(operation=plan.operation) as call:
        if plan.streams:
            return _consume(call.stream(plan.create(client)))
        call.record(plan.create(client))
    return 0


def _named(plan: Plan, client: Any) -> int:
    with llm_call(provider=plan.provider, model=plan.model, operation=plan.operation) as call:
        if plan.streams:
            return _consume(call.stream(plan.create(client)))
        call.record(plan.create(client))
    return 0


def _blind(plan: Plan, client: Any) -> int:
    with llm_call(operation=plan.operation):
        return _plain(plan, client)


def _decorated(plan: Plan, client: Any) -> int:
    @llm_call
    def ask() -> Any:
        return plan.create(client)

    response = ask()
    return _consume(response) if plan.streams else 0


def _generator(plan: Plan, client: Any) -> int:
    @llm_call
    def ask() -> Iterator[Any]:
        yield from plan.create(client)

    return _consume(ask())


def _plain(plan: Plan, client: Any) -> int:
    response = plan.create(client)
    return _consume(response) if plan.streams else 0


async def _with_async(plan: Plan, client: Any) -> int:
    async with llm_call(operation=plan.operation) as call:
        if plan.streams:
            return await _consume_async(call.stream(await plan.create(client)))
        call.record(await plan.create(client))
    return 0


async def _named_async(plan: Plan, client: Any) -> int:
    async with llm_call(provider=plan.provider, model=plan.model, operation=plan.operation) as call:
        if plan.streams:
            return await _consume_async(call.stream(await plan.create(client)))
        call.record(await plan.create(client))
    return 0


async def _blind_async(plan: Plan, client: Any) -> int:
    async with llm_call(operation=plan.operation):
        return await _plain_async(plan, client)


async def _decorated_async(plan: Plan, client: Any) -> int:
    @llm_call
    async def ask() -> Any:
        return await plan.create(client)

    response = await ask()
    return await _consume_async(response) if plan.streams else 0


async def _generator_async(plan: Plan, client: Any) -> int:
    @llm_call
    async def ask() -> AsyncIterator[Any]:
        async for chunk in await plan.create(client):
            yield chunk

    return await _consume_async(ask())


async def _plain_async(plan: Plan, client: Any) -> int:
    response = await plan.create(client)
    return await _consume_async(response) if plan.streams else 0


WAYS: Mapping[str, Callable[[Plan, Any], int]] = {
    "named": _named,
    "with": _with,
    "decorated": _decorated,
    "generator": _generator,
    "plain": _plain,
    "blind": _blind,
}
"""How a call can be made: `generator` for streams only, `named` with provider and model given.

`plain` and `blind` tell nothing of the response, so only `instrument()` can know it.
"""
ASYNCHRONOUS: Mapping[str, Callable[[Plan, Any], Awaitable[int]]] = {
    "named": _named_async,
    "with": _with_async,
    "decorated": _decorated_async,
    "generator": _generator_async,
    "plain": _plain_async,
    "blind": _blind_async,
}
"""The same with asynchronous clients."""


def ways_of(plan: Plan) -> list[str]:
    """The ways in which this call can be made."""
    return [way for way in WAYS if plan.streams or way != "generator"]


@contextlib.contextmanager
def _noting(server: ReplayServer, key: str) -> Iterator[tuple[Captured, Outcome]]:
    outcome = Outcome([], None, None)
    with capture() as captured:
        try:
            yield captured, outcome
        except Exception as error:
            outcome.error = f"{type(error).__module__}.{type(error).__qualname__}"
    outcome.records = captured.calls
    received = server.received(key)
    outcome.path = received[0].path if received else None


def make(plan: Plan, server: ReplayServer, way: str) -> Outcome:
    """Make a recorded call again with a synchronous client."""
    key = server.play(plan.interaction)
    with _noting(server, key) as (_, outcome), plan.client(server, key) as client:
        outcome.chunks = WAYS[way](plan, client)
    return outcome


async def make_async(plan: Plan, server: ReplayServer, way: str) -> Outcome:
    """Make a recorded call again with an asynchronous client."""
    key = server.play(plan.interaction)
    with _noting(server, key) as (_, outcome):
        async with plan.client(server, key, asynchronous=True) as client:
            outcome.chunks = await ASYNCHRONOUS[way](plan, client)
    return outcome


def differences(plan: Plan, outcome: Outcome) -> list[str]:
    """What was recorded otherwise than the response says; empty if all is equal.

    Raises:
        ValueError: the response's body cannot be read.
    """
    statement = state(plan.interaction)
    if len(outcome.records) != 1:
        return [f"{len(outcome.records)} records of one call"]
    record = outcome.records[0]
    checks = [*_outcomes(statement, record, outcome.error)]
    if plan.interaction.status >= 400:
        checks += [("cost", None, record.cost), ("cost_source", "none", record.cost_source)]
        checks += [("input_tokens", None, record.input_tokens), ("output_tokens", None, record.output_tokens)]
    else:
        checks += [(theirs, getattr(statement, theirs), getattr(record, ours)) for ours, theirs in _FIELDS]
        if statement.model:
            checks.append(("model", statement.model, record.model_id))
        checks += _costs(statement, record)
    if plan.provider is not None:
        checks.append(("provider", plan.provider, record.provider))
    return [f"{name}: {said!r}, recorded {found!r}" for name, said, found in checks if said != found]


def _outcomes(statement: Statement, record: LLMCallRecord, error: str | None) -> Iterator[tuple[str, Any, Any]]:
    failure = error or statement.error
    yield "success", failure is None, record.success
    yield "error_type", failure, record.error_type


def _costs(statement: Statement, record: LLMCallRecord) -> Iterator[tuple[str, Any, Any]]:
    cost, source = statement.cost, "reported"
    if cost is None and statement.complete:
        price = _PRICES.cost(
            record.provider,
            statement.model,
            input_tokens=statement.input_tokens,
            output_tokens=statement.output_tokens,
            cache_read_tokens=statement.cache_read_tokens or 0,
            cache_write_tokens=statement.cache_write_tokens or 0,
            cache_write_1h_tokens=statement.cache_write_1h_tokens or 0,
            service_tier=statement.service_tier,
            server_tool_calls=statement.searches,
        )
        cost, source = (None, "unknown") if price is None else (price.total, price.source)
    elif cost is None:
        source = "unknown"
    close = cost is not None and record.cost is not None and math.isclose(cost, record.cost, rel_tol=1e-9)
    yield "cost", cost, cost if close else record.cost
    yield "cost_source", source, record.cost_source
