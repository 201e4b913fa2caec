"""What a span of any dialect is, and its attributes under the current names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attune_monitoring import semconv as sc

from .span import SpanData
from .values import count_of, number_of, reasons_of

__all__ = ["Kind", "dialect_of", "kind_of", "normalise"]

Kind = Literal["call", "tool", "agent", "stage", "workflow", "other"]


def kind_of(attributes: Mapping[str, Any], *, is_root: bool) -> Kind:
    """Say what a span is, from its attributes in any dialect; `is_root`: it has no parent in this trace."""
    operation = attributes.get(sc.OPERATION)
    if not isinstance(operation, str):
        operation = None
    elif operation in sc.CALL_OPERATIONS:
        return "call"
    elif sc.RECORD in attributes and operation != sc.INVOKE_WORKFLOW:
        return "call"  # a record handed in by a caller, whatever its operation
    if operation is None:
        if sc.SPAN_KIND in attributes:
            return "stage"
        operation = _foreign_operation(attributes, is_root=is_root)
        if operation is None:
            return "other"
    kind = _KINDS.get(operation)
    if kind is not None:
        return kind
    # An operation that no convention names is a call where it names a model and says what was used.
    model = _first(attributes, "request_model") or _first(attributes, "response_model")
    return "call" if model and _first(attributes, "input_tokens") is not None else "other"


_KINDS: dict[str, Kind] = {
    **dict.fromkeys(sc.CALL_OPERATIONS, "call"),
    sc.EXECUTE_TOOL: "tool",
    sc.INVOKE_AGENT: "agent",
    "create_agent": "other",
    "retrieval": "other",
    "rerank": "other",
    "stage": "stage",
    sc.INVOKE_WORKFLOW: "workflow",
}


def _foreign_operation(attributes: Mapping[str, Any], *, is_root: bool) -> str | None:
    kind = attributes.get(sc.OPENINFERENCE_KIND)
    if kind is not None:
        operation = sc.OPENINFERENCE_OPERATIONS.get(str(kind).upper())
        return operation if operation != "chain" else sc.INVOKE_WORKFLOW if is_root else "stage"
    kind = attributes.get(sc.TRACELOOP_KIND)
    if kind is not None:
        return sc.TRACELOOP_OPERATIONS.get(str(kind))
    kind = attributes.get(sc.LLM_REQUEST_TYPE)
    if kind is not None:
        return sc.LLM_REQUEST_OPERATIONS.get(str(kind), str(kind))
    if "gen_ai.system" in attributes and _first(attributes, "request_model"):
        return sc.CHAT
    return None


def dialect_of(attributes: Mapping[str, Any]) -> str:
    """Name the dialect that a foreign span speaks: gen_ai, gen_ai_legacy, openinference or openllmetry."""
    if sc.OPENINFERENCE_KIND in attributes:
        return "openinference"
    if sc.LLM_REQUEST_TYPE in attributes or sc.TRACELOOP_KIND in attributes:
        return "openllmetry"
    if sc.PROVIDER not in attributes and "gen_ai.system" in attributes:
        return "gen_ai_legacy"
    return "gen_ai"


def normalise(span: SpanData, *, is_root: bool) -> dict[str, Any]:
    """Return a foreign span's attributes under the current names, with numbers as numbers and providers by their names.

    Cached tokens count as part of the input (GenAI conventions); where a dialect reports fewer input than cached
    tokens, its input excluded them and is completed.
    """
    attributes = span.attributes
    result: dict[str, Any] = {}
    for key, field in _TEXT_KEYS:
        value = _first(attributes, field)
        if isinstance(value, str) and value:
            result[key] = value
    for key, field in _COUNT_KEYS:
        count = count_of(_first(attributes, field))
        if count is not None:
            result[key] = count
    operation = attributes.get(sc.OPERATION)
    if not isinstance(operation, str) or not operation:
        operation = _foreign_operation(attributes, is_root=is_root) or sc.CHAT
    result[sc.OPERATION] = operation
    provider = result.get(sc.PROVIDER)
    if provider is not None:
        provider = provider.lower()
        result[sc.PROVIDER] = sc.PROVIDER_ALIASES.get(provider, provider.replace("az.ai.", "azure.ai."))
    cached = result.get(sc.CACHE_READ_TOKENS, 0) + result.get(sc.CACHE_WRITE_TOKENS, 0)
    if sc.INPUT_TOKENS in result and cached > result[sc.INPUT_TOKENS]:
        result[sc.INPUT_TOKENS] += cached
    cost = number_of(_first(attributes, "cost"))
    if cost is not None and cost >= 0:
        result[sc.COST] = cost
        result[sc.COST_SOURCE] = attributes.get(sc.COST_SOURCE, "reported")
    reasons = reasons_of(_first(attributes, "finish_reasons"))
    if reasons:
        result[sc.FINISH_REASONS] = reasons
    first = number_of(_first(attributes, "time_to_first_token"))
    if first is not None:
        result[sc.TIME_TO_FIRST_CHUNK] = first
    error = attributes.get(sc.ERROR_TYPE) or next((kind for kind, _ in span.exceptions if kind), None)
    if error is not None:
        result[sc.ERROR_TYPE] = str(error)
    return result


_TEXT_KEYS = (
    (sc.PROVIDER, "provider"),
    (sc.REQUEST_MODEL, "request_model"),
    (sc.RESPONSE_MODEL, "response_model"),
    (sc.RESPONSE_ID, "response_id"),
    (sc.CONVERSATION_ID, "session_id"),
    (sc.USER_ID, "user_id"),
    (sc.WORKFLOW_NAME, "workflow"),
    (sc.STAGE_NAME, "stage"),
    (sc.SERVICE_TIER, "service_tier"),
    (sc.CODE_FILE, "source_file"),
)
_COUNT_KEYS = (
    (sc.INPUT_TOKENS, "input_tokens"),
    (sc.OUTPUT_TOKENS, "output_tokens"),
    (sc.CACHE_READ_TOKENS, "cache_read_tokens"),
    (sc.CACHE_WRITE_TOKENS, "cache_write_tokens"),
    (sc.REASONING_TOKENS, "reasoning_tokens"),
    (sc.CODE_LINE, "source_line"),
)


def _first(attributes: Mapping[str, Any], field: str) -> Any:
    for key in sc.FIELD_KEYS[field]:
        value = attributes.get(key)
        if value is not None:
            return value
    return None
