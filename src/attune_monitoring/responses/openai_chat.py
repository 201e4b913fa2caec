"""Chat and text completions: OpenAI and what speaks its protocol (Azure, OpenRouter, DeepSeek, Groq, LiteLLM …)."""

from __future__ import annotations

from .error_body import apply_error
from .fields import Fields, fields, items, number_of, text
from .info import ResponseInfo
from .openai_usage import apply_gateway, apply_usage, provider_for
from .shape import Shape

__all__ = ["SHAPE"]

_OBJECTS = frozenset({"chat.completion", "chat.completion.chunk", "text_completion"})
_GENERATED = ("content", "reasoning_content", "reasoning", "refusal", "audio")


def _matches(root: Fields) -> bool:
    get = root.get
    kind = get("object")
    if type(kind) is str and kind in _OBJECTS:
        return True
    return isinstance(get("choices"), (list, tuple)) and (get("usage") is not None or get("model") is not None)


def _read(root: Fields, declared: str | None) -> ResponseInfo:
    get = root.get
    info = ResponseInfo(model=text(get("model")), response_id=text(get("id")), service_tier=text(get("service_tier")))
    info.operation = "text_completion" if get("object") == "text_completion" else "chat"
    reasons: list[str] = []
    tool_calls = 0
    filtered = False
    for choice in items(get("choices")):
        get_choice = fields(choice).get
        reason = text(get_choice("finish_reason"))
        if reason is not None:
            reasons.append(reason)
        get_message = fields(get_choice("message")).get
        calls = get_message("tool_calls")
        if calls:
            tool_calls += number_of(calls)
        elif get_message("function_call") is not None:
            tool_calls += 1
        if get_choice("content_filter_results") is not None:
            filtered = True
        error = get_choice("error")
        if error:
            apply_error(info, error)
    info.finish_reasons = tuple(reasons)
    info.tool_calls = tool_calls
    info.usage_complete = apply_usage(info, fields(get("usage")))
    if not apply_gateway(info, root):
        info.provider = "azure.ai.openai" if filtered else provider_for(root, info.model, declared)
    error = get("error")
    if error:
        apply_error(info, error)
    return info


def _inner(event: Fields) -> Fields:
    """The chunk of an event: the openai package's helper stream and Mistral's SDK wrap it."""
    if event.get("choices") is not None:
        return event
    wrapped = event.get("chunk")
    return fields(event.get("data") if wrapped is None else wrapped)


def _opens(chunk: Fields) -> bool:
    # Azure's first chunk has neither model nor object, but always a list of choices.
    return isinstance(_inner(chunk).get("choices"), (list, tuple))


class _Stream:
    """Usage may come in a last chunk of its own, with the last choice, in every chunk, or not at all."""

    def __init__(self, declared: str | None) -> None:
        self.info = ResponseInfo(operation="chat")
        self._declared = declared
        self._closed = False
        self._reasons: dict[int, str | None] = {}
        self._tool_ids: set[str] = set()
        self._tool_slots: set[tuple[int, int]] = set()
        self._usage_is_current = False

    @property
    def finished(self) -> bool:
        return self._closed or (bool(self._reasons) and None not in self._reasons.values())

    def feed(self, chunk: Fields) -> bool:
        error = chunk.get("error")
        if error:
            self._fail(error)
        chunk = _inner(chunk)
        get = chunk.get
        info = self.info
        if info.model is None or info.provider is None:
            self._identify(chunk)
        content = False
        ended = False
        usage = get("usage")
        choices = items(get("choices"))
        for position, choice in enumerate(choices):
            get_choice = fields(choice).get
            index = get_choice("index")
            if type(index) is not int:
                index = position
            delta = get_choice("delta")
            if self._generated(index, delta if delta is not None else get_choice("message")) or get_choice("text"):
                content = True
            reason = text(get_choice("finish_reason"))
            if reason is not None:
                self._reasons[index] = reason
                ended = True
            else:
                self._reasons.setdefault(index, None)
            if usage is None:
                usage = get_choice("usage")  # Moonshot
            error = get_choice("error")
            if error:
                self._fail(error)
        if usage is None:
            groq = get("x_groq")
            if groq is not None:
                usage = fields(groq).get("usage")
        if usage is not None and apply_usage(info, fields(usage)):
            self._usage_is_current = True
            if not choices and self._reasons:
                self._closed = True
        elif content:
            self._usage_is_current = False
        if ended or usage is not None:
            info.service_tier = text(get("service_tier")) or info.service_tier
            apply_gateway(info, chunk)
        return content

    def close(self) -> None:
        self.info.finish_reasons = tuple(reason for _, reason in sorted(self._reasons.items()) if reason is not None)
        self.info.usage_complete = self.finished and self._usage_is_current

    def _identify(self, chunk: Fields) -> None:
        get = chunk.get
        info = self.info
        info.model = info.model or text(get("model"))
        info.response_id = info.response_id or text(get("id"))
        if get("object") == "text_completion":
            info.operation = "text_completion"
        if not apply_gateway(info, chunk) and info.provider is None:
            filtered = any(fields(choice).get("content_filter_results") is not None for choice in items(get("choices")))
            info.provider = "azure.ai.openai" if filtered else provider_for(chunk, info.model, self._declared)

    def _generated(self, index: int, delta: object) -> bool:
        if delta is None:
            return False
        get = fields(delta).get
        calls = get("tool_calls")
        if calls:
            self._count(index, calls)
            return True
        if get("function_call") is not None:
            self._new_slot(index, -1)
            return True
        return any(get(name) for name in _GENERATED)

    def _count(self, index: int, calls: object) -> None:
        # A call's first delta has its id, the later ones only its slot; some servers put every call into slot 0.
        for position, call in enumerate(items(calls)):
            get = fields(call).get
            slot = get("index")
            if type(slot) is not int:
                slot = position
            identity = text(get("id"))
            if identity is None:
                self._new_slot(index, slot)
            elif identity not in self._tool_ids:
                self._tool_ids.add(identity)
                self._tool_slots.add((index, slot))
                self.info.tool_calls += 1

    def _new_slot(self, index: int, slot: int) -> None:
        if (index, slot) not in self._tool_slots:
            self._tool_slots.add((index, slot))
            self.info.tool_calls += 1

    def _fail(self, error: object) -> None:
        apply_error(self.info, error)
        self._closed = True


SHAPE = Shape(matches=_matches, read=_read, opens=_opens, stream=_Stream)
