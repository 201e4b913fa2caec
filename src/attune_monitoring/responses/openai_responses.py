"""OpenAI's Responses API, and what imitates it."""

from __future__ import annotations

from .error_body import apply_error
from .fields import Fields, fields, items, text
from .info import ResponseInfo
from .openai_usage import apply_gateway, apply_usage, provider_for
from .shape import Shape

__all__ = ["SHAPE"]

_TOOL_CALLS = frozenset(
    {"function_call", "custom_tool_call", "computer_call", "local_shell_call", "shell_call", "apply_patch_call"}
)
_UNFINISHED = frozenset({"queued", "in_progress"})
_ENDINGS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})


def _matches(root: Fields) -> bool:
    return root.get("object") == "response"


def _read(root: Fields, declared: str | None) -> ResponseInfo:
    get = root.get
    info = ResponseInfo(operation="chat", model=text(get("model")), response_id=text(get("id")))
    info.service_tier = text(get("service_tier"))
    for item in items(get("output")):
        _count(info, item)
    searches = info.server_tool_calls
    status = text(get("status"))
    info.usage_complete = apply_usage(info, fields(get("usage"))) and status not in _UNFINISHED
    info.server_tool_calls = max(searches, info.server_tool_calls)
    if not apply_gateway(info, root):
        info.provider = provider_for(root, info.model, declared)

    # There are no choices: the status says how it ended, unless there is more to say.
    reason = status
    if status == "incomplete":
        reason = text(fields(get("incomplete_details")).get("reason")) or status
    elif status == "completed" and info.tool_calls:
        reason = "tool_calls"
    if reason is not None and reason not in _UNFINISHED:
        info.finish_reasons = (reason,)
    error = get("error")
    if error or status == "failed":
        apply_error(info, error)
    return info


def _count(info: ResponseInfo, item: object) -> None:
    kind = fields(item).get("type")
    if kind == "web_search_call":
        info.server_tool_calls += 1
    elif type(kind) is str and kind in _TOOL_CALLS:
        info.tool_calls += 1


def _opens(chunk: Fields) -> bool:
    kind = chunk.get("type")
    if kind == "error":
        return chunk.get("sequence_number") is not None
    return type(kind) is str and kind.startswith("response.")


class _Stream:
    """Every event but the last tells about parts; the last one has the whole response."""

    def __init__(self, declared: str | None) -> None:
        self.info = ResponseInfo(operation="chat", usage_complete=False)
        self.finished = False
        self._declared = declared

    def feed(self, chunk: Fields) -> bool:
        get = chunk.get
        kind = get("type")
        if type(kind) is not str:
            return False
        if kind.endswith(".delta"):
            return bool(get("delta"))
        if kind == "response.output_item.done":
            _count(self.info, get("item"))
        elif kind == "error":
            apply_error(self.info, get("error") or chunk)
            self.finished = True
        else:
            response = get("response")
            if response is not None:
                whole = _read(fields(response), self._declared)
                if kind in _ENDINGS:
                    self.info = whole
                    self.finished = True
                elif self.info.response_id is None:
                    self.info = whole
                    whole.usage_complete = False
            return kind.endswith(".partial_image")
        return False

    def close(self) -> None:
        """Nothing is pending: the last event replaces all that was known."""


SHAPE = Shape(matches=_matches, read=_read, opens=_opens, stream=_Stream)
