"""Google GenAI and Vertex AI: generated content, its stream, and embeddings; snake_case objects or camelCase dicts."""

from __future__ import annotations

from collections.abc import Iterable

from .error_body import apply_error
from .fields import Fields, count, fields, items, number_of, text
from .info import ResponseInfo
from .shape import Shape

__all__ = ["EMBEDDINGS", "SHAPE"]

_OTHER_CONTENT = (("inline_data", "inlineData"), ("executable_code", "executableCode"))
_NOT_A_REASON = frozenset({"FINISH_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED", "BLOCK_REASON_UNSPECIFIED"})


def _either(node: Fields, name: str, camel: str) -> object:
    value = node.get(name)
    return node.get(camel) if value is None else value


def _matches(root: Fields) -> bool:
    get = root.get
    return (
        isinstance(get("candidates"), (list, tuple))
        or get("usageMetadata") is not None
        or (get("usage_metadata") is not None and get("embeddings") is None)
    )


def _read(root: Fields, declared: str | None) -> ResponseInfo:
    stream = _Stream(declared)
    stream.feed(root)
    stream.close()
    stream.info.usage_complete = stream.info.input_tokens is not None
    return stream.info


class _Stream:
    """Counts grow from chunk to chunk; function calling and continuation by the SDK put several responses in a row."""

    def __init__(self, declared: str | None) -> None:
        self.info = ResponseInfo(operation="generate_content")
        self.finished = False
        self._declared = declared
        self._vertex = False
        self._reasons: dict[int, str | None] = {}
        self._usage = ResponseInfo()
        self._usage_is_current = False
        self._earlier: list[ResponseInfo] = []
        self._earlier_complete = True

    def feed(self, chunk: Fields) -> bool:
        info = self.info
        identity = text(_either(chunk, "response_id", "responseId"))
        if identity is not None and identity != info.response_id:
            if info.response_id is not None:
                self._next_response()
            info.response_id = identity
        if info.model is None:
            info.model = text(_either(chunk, "model_version", "modelVersion"))
        content = False
        for position, candidate in enumerate(items(chunk.get("candidates"))):
            if self._candidate(position, fields(candidate)):
                content = True
        usage = _either(chunk, "usage_metadata", "usageMetadata")
        if usage is not None:
            self._count(fields(usage))
        elif content:
            self._usage_is_current = False
        feedback = _either(chunk, "prompt_feedback", "promptFeedback")
        if feedback is not None:
            blocked = text(_either(fields(feedback), "block_reason", "blockReason"))
            if blocked is not None and blocked not in _NOT_A_REASON:
                self._reasons[0] = blocked
        if self._reasons:
            self.finished = None not in self._reasons.values()
        error = chunk.get("error")
        if error:
            apply_error(info, error)
            self.finished = True
        return content

    def close(self) -> None:
        info = self.info
        responses = [*self._earlier, self._usage]
        info.input_tokens = _sum(usage.input_tokens for usage in responses)
        info.output_tokens = _sum(usage.output_tokens for usage in responses)
        info.cache_read_tokens = _sum(usage.cache_read_tokens for usage in responses)
        info.reasoning_tokens = _sum(usage.reasoning_tokens for usage in responses)
        info.server_tool_calls = sum(usage.server_tool_calls for usage in responses)
        info.service_tier = self._usage.service_tier
        info.finish_reasons = tuple(reason for _, reason in sorted(self._reasons.items()) if reason is not None)
        info.usage_complete = self.finished and self._usage_is_current and self._earlier_complete
        info.provider = "gcp.vertex_ai" if self._vertex else self._declared or "gcp.gemini"

    def _next_response(self) -> None:
        self._earlier_complete = self._earlier_complete and self._usage_is_current
        self._earlier.append(self._usage)
        self._usage = ResponseInfo()
        self._usage_is_current = False
        self._reasons.clear()
        self.finished = False

    def _candidate(self, position: int, candidate: Fields) -> bool:
        index = candidate.get("index")
        if type(index) is not int:
            index = position
        reason = text(_either(candidate, "finish_reason", "finishReason"))
        if reason is not None and reason not in _NOT_A_REASON:
            self._reasons[index] = reason
        else:
            self._reasons.setdefault(index, None)
        grounding = _either(candidate, "grounding_metadata", "groundingMetadata")
        if grounding is not None:
            queries = _either(fields(grounding), "web_search_queries", "webSearchQueries")
            self._usage.server_tool_calls = max(self._usage.server_tool_calls, number_of(queries))
        content = False
        for part in items(fields(candidate.get("content")).get("parts")):
            node = fields(part)
            call = _either(node, "function_call", "functionCall")
            if call is not None:
                content = True
                if fields(call).get("name"):  # later pieces of streamed arguments have no name
                    self.info.tool_calls += 1
            elif node.get("text") or any(_either(node, *names) is not None for names in _OTHER_CONTENT):
                content = True
        return content

    def _count(self, usage: Fields) -> None:
        """Input leaves out what the tools returned, output leaves out thoughts; cached tokens are part of the input."""
        known = self._usage
        prompt = count(_either(usage, "prompt_token_count", "promptTokenCount"))
        answer = count(_either(usage, "candidates_token_count", "candidatesTokenCount"))
        thoughts = count(_either(usage, "thoughts_token_count", "thoughtsTokenCount"))
        total = count(_either(usage, "total_token_count", "totalTokenCount"))
        cached = count(_either(usage, "cached_content_token_count", "cachedContentTokenCount"))
        if prompt is not None:
            known.input_tokens = prompt + (
                count(_either(usage, "tool_use_prompt_token_count", "toolUsePromptTokenCount")) or 0
            )
            self._usage_is_current = True
        if answer is not None or thoughts is not None:
            known.output_tokens = (answer or 0) + (thoughts or 0)
        elif total is not None and total == known.input_tokens:
            known.output_tokens = 0  # zeros are left out of the JSON
        if thoughts is not None:
            known.reasoning_tokens = thoughts
        if cached is not None:
            known.cache_read_tokens = cached
        traffic = text(_either(usage, "traffic_type", "trafficType"))
        if traffic is not None:  # only Vertex reports it
            self._vertex = True
        known.service_tier = text(_either(usage, "service_tier", "serviceTier")) or traffic or known.service_tier


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [number for number in counts if number is not None]
    return sum(known) if known else None


def _matches_embeddings(root: Fields) -> bool:
    embeddings = items(root.get("embeddings"))
    return bool(embeddings) and fields(embeddings[0]).get("values") is not None


def _read_embeddings(root: Fields, declared: str | None) -> ResponseInfo:
    info = ResponseInfo(operation="embeddings", provider=declared or "gcp.gemini")
    usage = _either(root, "usage_metadata", "usageMetadata")
    info.input_tokens = count(_either(fields(usage), "prompt_token_count", "promptTokenCount"))
    if info.input_tokens is None:  # Vertex counts each text
        info.input_tokens = _sum(
            count(_either(fields(fields(embedding).get("statistics")), "token_count", "tokenCount"))
            for embedding in items(root.get("embeddings"))
        )
    info.usage_complete = info.input_tokens is not None
    return info


SHAPE = Shape(matches=_matches, read=_read, opens=_matches, stream=_Stream)
EMBEDDINGS = Shape(matches=_matches_embeddings, read=_read_embeddings)
