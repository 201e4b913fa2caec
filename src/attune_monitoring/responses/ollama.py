"""Ollama: chat, generate and embed, whole and streamed."""

from __future__ import annotations

from .error_body import apply_error
from .fields import Fields, count, fields, number_of, text
from .info import ResponseInfo
from .shape import Shape

__all__ = ["SHAPE"]


def _matches(root: Fields) -> bool:
    get = root.get
    if get("model") is None:
        return False
    if isinstance(get("done"), bool):
        return get("message") is not None or get("response") is not None
    return get("embeddings") is not None and (get("prompt_eval_count") is not None or get("total_duration") is not None)


def _read(root: Fields, declared: str | None) -> ResponseInfo:
    stream = _Stream(declared)
    stream.feed(root)
    stream.close()
    return stream.info


class _Stream:
    """The last chunk, the one that is done, has the counts."""

    def __init__(self, declared: str | None) -> None:
        self.info = ResponseInfo(operation="chat", provider=declared or "ollama", usage_complete=False)
        self.finished = False

    def feed(self, chunk: Fields) -> bool:
        get = chunk.get
        info = self.info
        if info.model is None:
            info.model = text(get("model"))
        content = False
        message = get("message")
        if message is not None:
            get_part = fields(message).get
            calls = number_of(get_part("tool_calls"))
            info.tool_calls += calls
            content = bool(calls or get_part("content") or get_part("thinking"))
        elif get("embeddings") is not None:
            info.operation = "embeddings"
            self.finished = True
        else:
            info.operation = "text_completion"
            content = bool(get("response") or get("thinking"))
        if get("done") is True:
            self.finished = True
            reason = text(get("done_reason"))
            if reason is not None:
                info.finish_reasons = (reason,)
        if self.finished:
            info.input_tokens = count(get("prompt_eval_count"))
            info.output_tokens = count(get("eval_count"))
        error = get("error")
        if error:
            apply_error(info, error)
            self.finished = True
        return content

    def close(self) -> None:
        info = self.info
        counted = info.input_tokens is not None and (info.output_tokens is not None or info.operation == "embeddings")
        info.usage_complete = self.finished and counted


SHAPE = Shape(matches=_matches, read=_read, opens=_matches, stream=_Stream)
