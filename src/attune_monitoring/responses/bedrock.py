"""AWS Bedrock's Converse and ConverseStream, which boto3 returns as dicts; neither names the model."""

from __future__ import annotations

from .error_body import apply_error
from .fields import Fields, count, fields, items, text
from .info import ResponseInfo
from .shape import Shape

__all__ = ["SHAPE"]

_EVENTS = (
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
)
_GENERATED = ("text", "toolUse", "reasoningContent")


def _matches(root: Fields) -> bool:
    return root.get("stopReason") is not None and root.get("output") is not None


def _read(root: Fields, declared: str | None) -> ResponseInfo:
    get = root.get
    info = ResponseInfo(operation="chat", provider=declared or "aws.bedrock")
    info.response_id = text(fields(get("ResponseMetadata")).get("RequestId"))
    for block in items(fields(fields(get("output")).get("message")).get("content")):
        if fields(block).get("toolUse") is not None:
            info.tool_calls += 1
    reason = text(get("stopReason"))
    if reason is not None:
        info.finish_reasons = (reason,)
    info.usage_complete = _apply_usage(info, fields(get("usage")))
    info.service_tier = text(fields(get("serviceTier")).get("type"))
    return info


def _apply_usage(info: ResponseInfo, usage: Fields) -> bool:
    """Cache reads and writes are counted beside the input, as Anthropic does."""
    get = usage.get
    tokens = count(get("inputTokens"))
    info.cache_read_tokens = count(get("cacheReadInputTokens"))
    info.cache_write_tokens = count(get("cacheWriteInputTokens"))
    for detail in items(get("cacheDetails")):
        if fields(detail).get("ttl") == "1h":
            info.cache_write_1h_tokens = count(fields(detail).get("inputTokens"))
    if tokens is not None:
        info.input_tokens = tokens + (info.cache_read_tokens or 0) + (info.cache_write_tokens or 0)
    info.output_tokens = count(get("outputTokens"))
    return info.input_tokens is not None and info.output_tokens is not None


def _opens(chunk: Fields) -> bool:
    return any(chunk.get(event) is not None for event in _EVENTS)


class _Stream:
    """Each event is a dict with its name as the only key; `metadata`, the last one, has the usage."""

    def __init__(self, declared: str | None) -> None:
        self.info = ResponseInfo(operation="chat", provider=declared or "aws.bedrock", usage_complete=False)
        self.finished = False
        self._counted = False

    def feed(self, chunk: Fields) -> bool:
        get = chunk.get
        delta = get("contentBlockDelta")
        if delta is not None:
            get_delta = fields(fields(delta).get("delta")).get
            return any(get_delta(name) for name in _GENERATED)
        start = get("contentBlockStart")
        if start is not None:
            if fields(fields(start).get("start")).get("toolUse") is not None:
                self.info.tool_calls += 1
            return False
        stop = get("messageStop")
        if stop is not None:
            reason = text(fields(stop).get("stopReason"))
            if reason is not None:
                self.info.finish_reasons = (reason,)
            self.finished = True
            return False
        metadata = fields(get("metadata"))
        usage = metadata.get("usage")
        if usage is not None:
            self._counted = _apply_usage(self.info, fields(usage))
            self.info.service_tier = text(fields(metadata.get("serviceTier")).get("type"))
            return False
        if type(chunk) is dict:
            for name, value in chunk.items():
                if isinstance(name, str) and name.endswith("Exception"):
                    apply_error(self.info, {"code": name, "message": fields(value).get("message")})
                    self.finished = True
        return False

    def close(self) -> None:
        self.info.usage_complete = self.finished and self._counted


SHAPE = Shape(matches=_matches, read=_read, opens=_opens, stream=_Stream)
