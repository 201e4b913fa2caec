"""Cohere's v2 chat, its stream, and embeddings."""

from __future__ import annotations

from .error_body import apply_error
from .fields import Fields, count, fields, number_of, text
from .info import ResponseInfo
from .shape import Shape

__all__ = ["SHAPE"]

_CONTENT = frozenset({"content-delta", "tool-plan-delta", "tool-call-start", "tool-call-delta"})


def _matches(root: Fields) -> bool:
    get = root.get
    if get("finish_reason") is not None and get("message") is not None:
        return fields(get("message")).get("role") == "assistant"
    return get("embeddings") is not None and fields(get("meta")).get("billed_units") is not None


def _read(root: Fields, declared: str | None) -> ResponseInfo:
    get = root.get
    info = ResponseInfo(provider=declared or "cohere", response_id=text(get("id")))
    if get("embeddings") is not None:
        info.operation = "embeddings"
        _apply_usage(info, fields(get("meta")))
        info.output_tokens = None
        info.usage_complete = info.input_tokens is not None
        return info
    info.operation = "chat"
    info.tool_calls = number_of(fields(get("message")).get("tool_calls"))
    _apply_outcome(info, root)
    return info


def _apply_outcome(info: ResponseInfo, node: Fields) -> None:
    reason = text(node.get("finish_reason"))
    if reason is not None:
        info.finish_reasons = (reason,)
    _apply_usage(info, fields(node.get("usage")))
    info.usage_complete = info.input_tokens is not None and info.output_tokens is not None


def _apply_usage(info: ResponseInfo, usage: Fields) -> None:
    """Of used and billed tokens the conventions want the billed ones."""
    billed, used = fields(usage.get("billed_units")).get, fields(usage.get("tokens")).get
    for name in ("input_tokens", "output_tokens"):
        tokens = count(billed(name))
        setattr(info, name, count(used(name)) if tokens is None else tokens)
    info.cache_read_tokens = count(usage.get("cached_tokens"))


def _opens(chunk: Fields) -> bool:
    return chunk.get("type") == "message-start"


class _Stream:
    """The last event, `message-end`, has the outcome and the usage."""

    def __init__(self, declared: str | None) -> None:
        self.info = ResponseInfo(operation="chat", provider=declared or "cohere", usage_complete=False)
        self.finished = False

    def feed(self, chunk: Fields) -> bool:
        kind = chunk.get("type")
        if kind == "message-start":
            self.info.response_id = text(chunk.get("id"))
        elif kind == "tool-call-start":
            self.info.tool_calls += 1
        elif kind == "message-end":
            delta = fields(chunk.get("delta"))
            _apply_outcome(self.info, delta)
            error = delta.get("error")
            if error:
                apply_error(self.info, error)
            self.finished = True
        return type(kind) is str and kind in _CONTENT

    def close(self) -> None:
        """Nothing is pending."""


SHAPE = Shape(matches=_matches, read=_read, opens=_opens, stream=_Stream)
