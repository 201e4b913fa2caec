"""LangChain's AIMessage and its chunks, which report every provider's usage in one form."""

from __future__ import annotations

from .fields import Fields, count, fields, items, number_of, text
from .info import ResponseInfo
from .providers import provider_of_model, standard_name
from .shape import Shape

__all__ = ["SHAPE"]


def _matches(root: Fields) -> bool:
    return root.get("response_metadata") is not None and root.get("type") in ("ai", "AIMessageChunk")


def _read(root: Fields, declared: str | None) -> ResponseInfo:
    stream = _Stream(declared)
    stream.feed(root)
    stream.close()
    stream.info.usage_complete = stream.info.input_tokens is not None
    return stream.info


class _Stream:
    """Chunks are made to be added up, their usage too."""

    def __init__(self, declared: str | None) -> None:
        self.info = ResponseInfo(operation="chat", provider=declared)
        self.finished = False
        self._tool_slots: set[object] = set()

    def feed(self, chunk: Fields) -> bool:
        get = chunk.get
        info = self.info
        if info.response_id is None:
            info.response_id = text(get("id"))
        usage = get("usage_metadata")
        if usage is not None:
            self._add(fields(usage))
        metadata = get("response_metadata")
        if metadata:
            self._describe(fields(metadata))
        if get("chunk_position") == "last":
            self.finished = True
        content = bool(get("content"))
        pieces = get("tool_call_chunks")
        if pieces is None:
            info.tool_calls += number_of(get("tool_calls"))
        elif pieces:
            content = True
            for position, piece in enumerate(items(pieces)):
                slot = fields(piece).get("index")
                self._tool_slots.add(position if slot is None else slot)
        return content

    def close(self) -> None:
        info = self.info
        info.tool_calls = max(info.tool_calls, len(self._tool_slots))
        info.usage_complete = self.finished and info.input_tokens is not None
        if info.provider is None:
            info.provider = provider_of_model(info.model)

    def _add(self, usage: Fields) -> None:
        """The input includes cached tokens, the output reasoning (langchain_core.messages.ai.UsageMetadata)."""
        info = self.info
        cached = fields(usage.get("input_token_details")).get
        short, long = count(cached("ephemeral_5m_input_tokens")), count(cached("ephemeral_1h_input_tokens"))
        written = count(cached("cache_creation"))
        if short or long:  # then the sum is left at 0
            written = (short or 0) + (long or 0)
        info.input_tokens = _plus(info.input_tokens, usage.get("input_tokens"))
        info.output_tokens = _plus(info.output_tokens, usage.get("output_tokens"))
        info.cache_read_tokens = _plus(info.cache_read_tokens, cached("cache_read"))
        info.cache_write_tokens = _plus(info.cache_write_tokens, written)
        info.cache_write_1h_tokens = _plus(info.cache_write_1h_tokens, long)
        reasoning = fields(usage.get("output_token_details")).get("reasoning")
        info.reasoning_tokens = _plus(info.reasoning_tokens, reasoning)

    def _describe(self, metadata: Fields) -> None:
        get = metadata.get
        info = self.info
        info.model = text(get("model_name")) or text(get("model")) or info.model
        info.response_id = text(get("id")) or info.response_id
        info.service_tier = text(get("service_tier")) or info.service_tier
        info.provider = standard_name(text(get("model_provider"))) or info.provider
        reason = text(get("finish_reason")) or text(get("stop_reason")) or text(get("done_reason"))
        if reason is not None:
            info.finish_reasons = (reason,)
            self.finished = True


def _plus(known: int | None, value: object) -> int | None:
    number = count(value)
    return known if number is None else number + (known or 0)


SHAPE = Shape(matches=_matches, read=_read, opens=_matches, stream=_Stream)
