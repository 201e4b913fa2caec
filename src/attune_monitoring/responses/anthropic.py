"""Anthropic's Messages API, directly and through Bedrock and Vertex, and its stream events."""

from __future__ import annotations

from typing import Any

from .error_body import apply_error
from .fields import Fields, count, fields, items, text
from .info import ResponseInfo
from .providers import provider_of_model
from .shape import Shape

__all__ = ["SHAPE"]

_GENERATED = ("text", "thinking", "partial_json")
_USAGE = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation",
    "output_tokens_details",
    "server_tool_use",
    "service_tier",
    "speed",
    "iterations",
)

_BILLED = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens")


def _matches(root: Fields) -> bool:
    return root.get("type") == "message" and root.get("role") == "assistant"


def _read(root: Fields, declared: str | None) -> ResponseInfo:
    get = root.get
    info = ResponseInfo(operation="chat", model=text(get("model")), response_id=text(get("id")))
    for block in items(get("content")):
        _count(info, block)
    reason = text(get("stop_reason"))
    if reason is not None:
        info.finish_reasons = (reason,)
    info.usage_complete = _apply_usage(info, fields(get("usage")))
    info.provider = _provider(info, declared)
    return info


def _count(info: ResponseInfo, block: object) -> None:
    get = fields(block).get
    kind = get("type")
    if kind == "tool_use":
        info.tool_calls += 1
    elif kind == "server_tool_use" and get("name") == "web_search":
        info.server_tool_calls += 1


def _provider(info: ResponseInfo, declared: str | None) -> str | None:
    # The clouds that resell Claude mark the message's id.
    identity = info.response_id or ""
    if identity.startswith("msg_bdrk_"):
        return "aws.bedrock"
    if identity.startswith("msg_vrtx_"):
        return "gcp.vertex_ai"
    if declared is not None and declared != "anthropic":
        return declared
    model = info.model
    return "anthropic" if model is None or "claude" in model else provider_of_model(model)


def _apply_usage(info: ResponseInfo, usage: Fields) -> bool:
    """Writes a `usage` object into `info`; False when it does not count both input and output.

    What was read from and written to the cache is counted beside the input (API reference, "Total input tokens").
    """
    get = usage.get
    read = count(get("cache_read_input_tokens"))
    written = count(get("cache_creation_input_tokens"))
    written_1h = None
    lifetimes = get("cache_creation")
    if lifetimes is not None:
        get_lifetime = fields(lifetimes).get
        written_1h = count(get_lifetime("ephemeral_1h_input_tokens"))
        if written is None:
            written = (count(get_lifetime("ephemeral_5m_input_tokens")) or 0) + (written_1h or 0)
    info.cache_read_tokens = read
    info.cache_write_tokens = written
    info.cache_write_1h_tokens = written_1h
    tokens = count(get("input_tokens"))
    if tokens is not None:
        info.input_tokens = tokens + (read or 0) + (written or 0)
    info.output_tokens = count(get("output_tokens"))

    details = get("output_tokens_details")
    if details is not None:
        info.reasoning_tokens = count(fields(details).get("thinking_tokens"))
    tools = get("server_tool_use")
    if tools is not None:
        info.server_tool_calls = count(fields(tools).get("web_search_requests")) or 0
    # Fast mode has prices of its own, like a tier.
    info.service_tier = "fast" if get("speed") == "fast" else text(get("service_tier"))
    iterations = get("iterations")
    if iterations is not None:
        _add_compactions(info, iterations)
    return info.input_tokens is not None and info.output_tokens is not None


def _add_compactions(info: ResponseInfo, iterations: object) -> None:
    """Adds the tokens of context compactions, which are billed but not part of the totals."""
    for iteration in items(iterations):
        usage = fields(iteration)
        extra = ResponseInfo()
        if usage.get("type") == "compaction" and _apply_usage(extra, usage) and info.input_tokens is not None:
            for name in _BILLED:
                more = getattr(extra, name)
                if more is not None:
                    setattr(info, name, more + (getattr(info, name) or 0))


def _opens(chunk: Fields) -> bool:
    kind = chunk.get("type")
    return kind == "message_start" or kind == "ping" or kind == "content_block_start"


class _Stream:
    """The raw events; those that the SDK's stream helper derives from them (text, input_json …) are passed over."""

    def __init__(self, declared: str | None) -> None:
        self.info = ResponseInfo(operation="chat")
        self.finished = False
        self._declared = declared
        self._usage: dict[str, Any] = {}
        self._counted = False

    def feed(self, chunk: Fields) -> bool:
        get = chunk.get
        kind = get("type")
        info = self.info
        if kind == "content_block_delta":
            delta = fields(get("delta")).get
            return any(delta(name) for name in _GENERATED)
        if kind == "content_block_start":
            _count(info, get("content_block"))
        elif kind == "message_delta":
            reason = text(fields(get("delta")).get("stop_reason"))
            if reason is not None:
                info.finish_reasons = (reason,)
                self.finished = True
            usage = get("usage")
            if usage is not None:
                self._update(usage)
                self._counted = True
        elif kind == "message_start":
            message = fields(get("message"))
            info.model = text(message.get("model"))
            info.response_id = text(message.get("id"))
            self._update(message.get("usage"))
        elif kind == "message_stop":
            self.finished = True
        elif kind == "error":
            apply_error(info, get("error"))
            self.finished = True
        return False

    def close(self) -> None:
        info = self.info
        complete = _apply_usage(info, self._usage) and self._counted
        info.usage_complete = complete and self.finished
        if not self._counted:
            info.output_tokens = None  # that of message_start counts the message's start only
        info.provider = _provider(info, self._declared)

    def _update(self, usage: object) -> None:
        # The counts are cumulative, and the last event has not all of them.
        get = fields(usage).get
        for key in _USAGE:
            value = get(key)
            if value is not None:
                self._usage[key] = value


SHAPE = Shape(matches=_matches, read=_read, opens=_opens, stream=_Stream)
