"""What a recorded response says, read from its JSON alone: nothing of the package that is tested is used here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from recordings_io import Interaction

__all__ = ["Statement", "state"]


@dataclass
class Statement:
    """What a response says about itself; None where it does not say."""

    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    finish_reasons: list[str] = field(default_factory=list)
    service_tier: str | None = None
    searches: int = 0
    cost: float | None = None
    """USD, where the provider itself tells."""
    complete: bool = True
    """Whether the counts are final."""
    error: str | None = None
    """What the provider calls a failure that came with status 200."""


def state(interaction: Interaction) -> Statement:
    """Read a response; one with an error status says nothing but the status.

    Raises:
        ValueError: the body is not what its endpoint answers with.
    """
    if interaction.status >= 400:
        return Statement(complete=False)
    events = interaction.events() if interaction.is_stream else [interaction.json()]
    events = [event for event in events if isinstance(event, dict)]
    if not events:
        raise ValueError("the body holds no JSON object")
    path = interaction.uri.partition("?")[0].rstrip("/")
    if path.endswith("/messages"):
        statement = _messages(events, interaction.is_stream)
    elif path.endswith("/responses"):
        statement = _responses(events)
    else:
        statement = _completions(events, interaction.is_stream, embeddings=path.endswith("/embeddings"))
    for event in events:
        failure = event.get("error")
        if failure is None and event.get("type") == "error":
            failure = event
        if failure is not None:
            statement.error = _error(failure)
            statement.complete = False
    return statement


def _error(failure: Any) -> str:
    if isinstance(failure, Mapping):
        for key in ("code", "type", "status"):
            if failure.get(key) is not None:
                return str(failure[key])
    return "_OTHER"


def _completions(events: list[Any], streamed: bool, *, embeddings: bool) -> Statement:
    statement = Statement()
    reasons: dict[int, str | None] = {}
    usage: Mapping[str, Any] | None = None
    for event in events:
        if streamed and event.get("error"):
            break  # the client raises it, and hands out nothing of this event
        statement.model = statement.model or event.get("model") or None
        statement.service_tier = event.get("service_tier") or statement.service_tier
        usage = event.get("usage") or (event.get("x_groq") or {}).get("usage") or usage
        for position, choice in enumerate(event.get("choices") or ()):
            index = choice.get("index", position)
            if not streamed:
                index = position
            reasons[index] = choice.get("finish_reason") or reasons.get(index)
            usage = choice.get("usage") or usage
            if choice.get("error"):
                statement.error = _error(choice["error"])
    statement.finish_reasons = [reason for _, reason in sorted(reasons.items()) if reason]
    _count(statement, usage or {})
    if embeddings and statement.input_tokens is not None and statement.output_tokens is None:
        statement.output_tokens = 0  # nothing is generated
    finished = embeddings or not streamed or (bool(reasons) and None not in reasons.values())
    statement.complete = statement.input_tokens is not None and finished
    return statement


def _responses(events: list[Any]) -> Statement:
    wholes = [event.get("response") or event for event in events if event.get("response") or event.get("object")]
    if not wholes:
        return Statement(complete=False)
    whole = wholes[-1]
    status = whole.get("status")
    statement = Statement(model=whole.get("model"), service_tier=whole.get("service_tier"))
    _count(statement, whole.get("usage") or {})
    statement.complete = statement.input_tokens is not None and status not in ("queued", "in_progress")
    kinds = [item.get("type", "") for item in whole.get("output") or ()]
    statement.searches = kinds.count("web_search_call")
    if status == "incomplete":
        statement.finish_reasons = [(whole.get("incomplete_details") or {}).get("reason") or status]
    elif status == "completed":
        asked = any(kind.endswith("_call") and not kind.startswith(_OF_THE_SERVER) for kind in kinds)
        statement.finish_reasons = ["tool_calls" if asked else status]
    elif status not in (None, "queued", "in_progress"):
        statement.finish_reasons = [status]
    if status == "failed" or whole.get("error"):
        statement.error = _error(whole.get("error") or {})
        statement.complete = False
    return statement


_OF_THE_SERVER = ("web_search", "file_search", "code_interpreter", "image_generation", "mcp")


def _count(statement: Statement, usage: Mapping[str, Any]) -> None:
    spelling = ("prompt", "completion") if usage.get("prompt_tokens") is not None else ("input", "output")
    sent, got = (usage.get(f"{name}_tokens") for name in spelling)
    details, more = (usage.get(f"{name}_tokens_details") or {} for name in spelling)
    if sent is None and got is None:
        sent = usage.get("total_tokens")
    reasoning = more.get("reasoning_tokens", usage.get("reasoning_tokens"))
    if reasoning and got is not None and usage.get("total_tokens") == sent + got + reasoning:
        got += reasoning  # beside the completion instead of in it
    statement.input_tokens = sent
    statement.output_tokens = got
    statement.reasoning_tokens = reasoning
    statement.cache_read_tokens = _first(
        details.get("cached_tokens"), usage.get("prompt_cache_hit_tokens"), usage.get("cached_tokens")
    )
    statement.cache_write_tokens = _first(details.get("cache_write_tokens"), details.get("cache_creation_tokens"))
    statement.searches = usage.get("num_search_queries") or 0
    cost = usage.get("cost")
    if isinstance(cost, Mapping):
        cost = cost.get("total_cost")
    elif cost is not None and usage.get("is_byok"):
        upstream = (usage.get("cost_details") or {}).get("upstream_inference_cost")
        cost = None if upstream is None else cost + upstream
    elif cost is None and usage.get("cost_in_usd_ticks") is not None:
        cost = usage["cost_in_usd_ticks"] / 1e10
    statement.cost = cost


def _messages(events: list[Any], streamed: bool) -> Statement:
    first = next((event["message"] for event in events if event.get("type") == "message_start"), None)
    whole = events[0] if first is None else first
    deltas = [event for event in events if event.get("type") == "message_delta"]
    usage = dict(whole.get("usage") or {})
    for delta in deltas:
        usage.update({key: value for key, value in (delta.get("usage") or {}).items() if value is not None})
    reasons = [whole.get("stop_reason"), *((delta.get("delta") or {}).get("stop_reason") for delta in deltas)]
    kept = [reason for reason in reasons if reason]
    counted = not streamed or bool(deltas)
    read, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    lifetimes = usage.get("cache_creation") or {}
    plain = usage.get("input_tokens")
    return Statement(
        model=whole.get("model"),
        input_tokens=None if plain is None else plain + (read or 0) + (written or 0),
        output_tokens=usage.get("output_tokens") if counted else None,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=lifetimes.get("ephemeral_1h_input_tokens"),
        reasoning_tokens=(usage.get("output_tokens_details") or {}).get("thinking_tokens"),
        finish_reasons=kept[-1:],
        service_tier="fast" if usage.get("speed") == "fast" else usage.get("service_tier"),
        searches=(usage.get("server_tool_use") or {}).get("web_search_requests") or 0,
        complete=plain is not None and counted and (not streamed or bool(kept)),
    )


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
