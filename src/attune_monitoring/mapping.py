"""Span attributes ⇄ record, for every dialect that semconv.py lists; pure functions over plain data."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from attune_monitoring import semconv as sc
from attune_monitoring.records import LLMCallRecord, encode_line, format_time, parse_time
from attune_monitoring.redaction import redact

__all__ = [
    "Kind",
    "Origin",
    "Pricer",
    "SpanData",
    "call_record",
    "call_span",
    "cost_attributes",
    "dialect_of",
    "kind_of",
    "normalise",
]

Kind = Literal["call", "tool", "agent", "stage", "workflow", "other"]


class SpanData(msgspec.Struct, gc=False):
    """What is read of an ended span, whoever made it: the SDK here, an OTLP file elsewhere (times: ns, epoch)."""

    name: str
    attributes: Mapping[str, Any]
    start_ns: int
    end_ns: int
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    failed: bool = False
    status_message: str | None = None
    exceptions: Sequence[tuple[str | None, str | None]] = ()
    scope: str | None = None
    scope_version: str | None = None
    dialect: str | None = None


class Origin(msgspec.Struct, frozen=True):
    """The process that a record comes from."""

    service: str | None = None
    host: str | None = None
    pid: int | None = None
    under_pytest: bool = False


class Pricer(Protocol):
    """What mapping needs of a price list (USD); see pricing."""

    def quote(
        self,
        provider: str | None,
        model: str | None,
        input_tokens: int | None,
        output_tokens: int | None,
        cache_read_tokens: int,
        cache_write_tokens: int,
        cache_write_1h_tokens: int,
        server_tool_calls: int,
        service_tier: str | None,
        at: float,
    ) -> tuple[float | None, str, float | None, str]:
        """Return cost, its source, the cost at the provider's premium model (None where unknown), and the tier."""
        ...

    def tier(self, provider: str | None, model: str | None) -> str:
        """Return cheap, capable, premium or unknown."""
        ...


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
        count = _count(_first(attributes, field))
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
    cost = _number(_first(attributes, "cost"))
    if cost is not None and cost >= 0:
        result[sc.COST] = cost
        result[sc.COST_SOURCE] = attributes.get(sc.COST_SOURCE, "reported")
    reasons = _reasons(_first(attributes, "finish_reasons"))
    if reasons:
        result[sc.FINISH_REASONS] = reasons
    first = _number(_first(attributes, "time_to_first_token"))
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


def cost_attributes(attributes: Mapping[str, Any], pricing: Pricer, *, failed: bool, at: float) -> dict[str, Any]:
    """Return cost, source, baseline and tier of a call whose other attributes are given; `at`: epoch seconds.

    The baseline is what the same tokens cost at the provider's premium model. Where the cost itself is not known there
    is none: nothing can be saved against what is not known.
    """
    get = attributes.get
    used = get(sc.INPUT_TOKENS)
    output = get(sc.OUTPUT_TOKENS)
    given = get(sc.COST)
    cost, source, baseline, tier = pricing.quote(
        get(sc.PROVIDER),
        get(sc.RESPONSE_MODEL) or get(sc.REQUEST_MODEL),
        used,
        output,
        get(sc.CACHE_READ_TOKENS, 0),
        get(sc.CACHE_WRITE_TOKENS, 0),
        get(sc.CACHE_WRITE_1H_TOKENS, 0),
        get(sc.SERVER_TOOL_CALLS, 0),
        get(sc.SERVICE_TIER),
        at,
    )
    if given is not None:
        cost, source = given, get(sc.COST_SOURCE, "caller")
    elif not get(sc.USAGE_COMPLETE, True):
        cost = None
    elif used is None and output is None and failed:
        return {sc.COST_SOURCE: "none", sc.TIER: tier}
    if cost is None:
        return {sc.COST_SOURCE: "unknown", sc.TIER: tier}
    if baseline is None:
        return {sc.COST: cost, sc.COST_SOURCE: source, sc.TIER: tier}
    return {sc.COST: cost, sc.COST_SOURCE: source, sc.BASELINE_COST: baseline, sc.TIER: tier}


def call_record(span: SpanData, origin: Origin, *, content: bool = False) -> LLMCallRecord:
    """Return the record of an ended LLM span whose attributes carry the current names (see `normalise`).

    Durations keep milliseconds, the end time microseconds. Content goes in only where `content` says so.
    """
    attributes = span.attributes
    values = _BLANK.copy()
    values[_CHAIN], values[_REASONS], values[_ATTEMPTS] = [], [], []
    # Over the attributes that are there, not over all that could be: this runs in the caller's thread.
    for key, value in attributes.items():
        values[_PLACES[key]] = value
    values.pop()  # what went elsewhere
    if not _CONVERTED.keys().isdisjoint(attributes):
        for key in _CONVERTED.keys() & attributes.keys():
            place, convert = _CONVERTED[key]
            values[place] = convert(attributes[key])
    span_id = span.span_id
    values[_CALL_ID] = span_id or uuid.uuid4().hex
    values[_TIMESTAMP] = format_time(span.end_ns)
    values[_LATENCY] = round((span.end_ns - span.start_ns) / 1_000_000)
    if values[_STEP] is None:
        values[_STEP] = attributes.get(sc.STAGE_NAME)
    if not values[_MODEL]:
        values[_MODEL] = values[_REQUEST_MODEL] or ""
    if values[_OUTPUT] is None and values[_INPUT] is not None and values[_OPERATION] == sc.EMBEDDINGS:
        values[_OUTPUT] = 0
    source = values[_COST_SOURCE]
    if source is None:
        values[_COST_SOURCE] = "unknown" if values[_COST] is None else "caller"
    elif source == "reported":
        values[_ACTUAL_COST] = values[_COST]
    values[_FALLBACK_USED] = values[_ORIGINAL_MODEL] is not None
    if span.failed:
        values[_ERROR_TYPE] = values[_ERROR_TYPE] or "_OTHER"
        values[_ERROR_MESSAGE] = _error_message(span)
        values[_SUCCESS] = False
    else:
        values[_ERROR_TYPE] = None
        values[_SUCCESS] = not values[_CANCELLED]
    metadata = attributes.get(sc.METADATA)
    values[_METADATA] = {} if metadata is None else _json_object(metadata)
    values[_IDS] = span.trace_id, span_id, span.parent_span_id
    values[_MADE_BY] = span.dialect, span.scope, span.scope_version
    values[_PROCESS] = origin.service, origin.host, origin.pid, origin.under_pytest
    values[_CONTENT] = _content(attributes) if content else {}
    record = LLMCallRecord(*values)
    handed_in = attributes.get(sc.RECORD)
    return record if handed_in is None else record.updated(_json_object(handed_in))


def call_span(record: LLMCallRecord) -> SpanData:
    """Return the span that stands for a record handed in by a caller; `call_record` of it gives the same record."""
    end_ns = _nanoseconds(record.timestamp)
    attributes: dict[str, Any] = {sc.OPERATION: record.operation, sc.PROVIDER: record.provider}
    for key, name in _RECORD_KEYS:
        value = getattr(record, name)
        if value is not None and value != [] and value != 0 and not _too_large(value):
            attributes[key] = value
    for key, count in ((sc.INPUT_TOKENS, record.input_tokens), (sc.OUTPUT_TOKENS, record.output_tokens)):
        if count is not None and not _too_large(count):
            attributes[key] = count
    if record.cost is not None:
        attributes[sc.COST] = record.cost
    attributes[sc.COST_SOURCE] = record.cost_source or ("caller" if record.cost is not None else "unknown")
    if not record.usage_complete:
        attributes[sc.USAGE_COMPLETE] = False
    if record.cancelled:
        attributes[sc.CANCELLED] = True
    if record.metadata:
        attributes[sc.METADATA] = encode_line(record.metadata).decode()
    failed = not record.success and not record.cancelled
    if failed:
        attributes[sc.ERROR_TYPE] = record.error_type or "_OTHER"
    span = SpanData(
        name=f"{record.operation} {record.model_id}".strip(),
        attributes=attributes,
        start_ns=max(0, end_ns - max(0, record.latency_ms) * 1_000_000),
        end_ns=end_ns,
        trace_id=record.trace_id,
        span_id=record.span_id,
        parent_span_id=record.parent_span_id,
        failed=failed,
        status_message=record.error_message,
        scope=sc.SCOPE,
        dialect="attune",
    )
    attributes[sc.RECORD] = _difference(record, call_record(span, Origin(), content=True))
    return span


_RECORD_KEYS = (
    (sc.REQUEST_MODEL, "model_id"),
    (sc.RESPONSE_MODEL, "model_id"),
    (sc.WORKFLOW_NAME, "workflow_name"),
    (sc.STEP_NAME, "step_name"),
    (sc.USER_ID, "user_id"),
    (sc.CONVERSATION_ID, "session_id"),
    (sc.TASK_TYPE, "task_type"),
    (sc.TIER, "tier"),
    (sc.FALLBACK_CHAIN, "fallback_chain"),
    (sc.ORIGINAL_PROVIDER, "original_provider"),
    (sc.ORIGINAL_MODEL, "original_model"),
    (sc.RETRY_COUNT, "retry_count"),
    (sc.CIRCUIT_BREAKER, "circuit_breaker_state"),
    (sc.RUN_ID, "run_id"),
    (sc.STAGE_ID, "stage_id"),
    (sc.CACHE_READ_TOKENS, "cache_read_tokens"),
    (sc.CACHE_WRITE_TOKENS, "cache_write_tokens"),
    (sc.REASONING_TOKENS, "reasoning_tokens"),
    (sc.FINISH_REASONS, "finish_reasons"),
    (sc.BASELINE_COST, "baseline_cost"),
    (sc.PROJECT, "project"),
)


def _difference(wanted: LLMCallRecord, got: LLMCallRecord) -> str:
    """Fields that a span alone would not give back, as JSON: only these need an attribute of their own."""
    fields = {
        name: value
        for name in LLMCallRecord.__struct_fields__
        if (value := getattr(wanted, name)) != getattr(got, name)
        and not (name in _PROVENANCE and (value is None or value is False))
    }
    return encode_line(fields).decode()


_PROVENANCE = frozenset(
    {
        "trace_id",
        "span_id",
        "parent_span_id",
        "run_id",
        "dialect",
        "scope",
        "scope_version",
        "service",
        "host",
        "pid",
        "under_pytest",
    }
)
"""Where a record does not say where it comes from, the process that writes it does."""


def _nanoseconds(timestamp: str) -> int:
    moment = parse_time(timestamp)
    return max(0, int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000)


def _too_large(value: object) -> bool:
    # One such integer on a span would make OTLP fail for the whole batch.
    return isinstance(value, int) and not -(2**63) <= value < 2**63


def _error_message(span: SpanData) -> str | None:
    message = span.status_message or next((text for _, text in span.exceptions if text), None)
    return redact(message) if message and span.scope != sc.SCOPE else message


def _content(attributes: Mapping[str, Any]) -> dict[str, str]:
    keys = (sc.SYSTEM_INSTRUCTIONS, sc.INPUT_MESSAGES, sc.OUTPUT_MESSAGES)
    return {key.removeprefix("gen_ai."): str(attributes[key]) for key in keys if key in attributes}


def _first(attributes: Mapping[str, Any], field: str) -> Any:
    for key in sc.FIELD_KEYS[field]:
        value = attributes.get(key)
        if value is not None:
            return value
    return None


def _count(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and 0 <= number < 2**63 else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _reasons(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        items = _json_list(value) if value.startswith("[") else [value] if value else []
        return tuple(str(item) for item in items)
    return tuple(str(item) for item in value) if isinstance(value, Sequence) else ()


def _texts(value: Any) -> list[str]:
    return list(value) if type(value) is tuple else list(_reasons(value))


def _milliseconds(seconds: Any) -> float | None:
    number = _number(seconds)
    return None if number is None else round(number * 1000, 3)


def _json_object(text: Any) -> dict[str, Any]:
    value = _json(text)
    return value if isinstance(value, dict) else {}


def _json_list(text: Any) -> list[Any]:
    value = _json(text)
    return value if isinstance(value, list) else []


def _json(text: Any) -> Any:
    if not isinstance(text, str):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _place(field: str) -> int:
    return LLMCallRecord.__struct_fields__.index(field)


_CALL_ID = _place("call_id")
_TIMESTAMP = _place("timestamp")
_STEP = _place("step_name")
_MODEL = _place("model_id")
_INPUT = _place("input_tokens")
_OUTPUT = _place("output_tokens")
_COST = _place("estimated_cost")
_ACTUAL_COST = _place("actual_cost")
_LATENCY = _place("latency_ms")
_FALLBACK_USED = _place("fallback_used")
_ORIGINAL_MODEL = _place("original_model")
_SUCCESS = _place("success")
_ERROR_TYPE = _place("error_type")
_ERROR_MESSAGE = _place("error_message")
_METADATA = _place("metadata")
_OPERATION = _place("operation")
_REQUEST_MODEL = _place("request_model")
_COST_SOURCE = _place("cost_source")
_CANCELLED = _place("cancelled")
_CONTENT = _place("content")
_CHAIN = _place("fallback_chain")
_REASONS = _place("finish_reasons")
_ATTEMPTS = _place("attempts")
_IDS = slice(_place("trace_id"), _place("parent_span_id") + 1)
_MADE_BY = slice(_place("dialect"), _place("scope_version") + 1)
_PROCESS = slice(_place("service"), _place("under_pytest") + 1)


class _Places(dict[str, int]):
    """Where a record has what an attribute says; what a record does not have goes behind its last field."""

    def __missing__(self, key: str) -> int:
        return _ELSEWHERE


_ELSEWHERE = len(LLMCallRecord.__struct_fields__)
_PLACES = _Places(
    {
        sc.WORKFLOW_NAME: _place("workflow_name"),
        sc.STEP_NAME: _STEP,
        sc.USER_ID: _place("user_id"),
        sc.CONVERSATION_ID: _place("session_id"),
        sc.TASK_TYPE: _place("task_type"),
        sc.PROVIDER: _place("provider"),
        sc.TIER: _place("tier"),
        sc.RESPONSE_MODEL: _MODEL,
        sc.INPUT_TOKENS: _INPUT,
        sc.OUTPUT_TOKENS: _OUTPUT,
        sc.COST: _COST,
        sc.ORIGINAL_PROVIDER: _place("original_provider"),
        sc.ORIGINAL_MODEL: _ORIGINAL_MODEL,
        sc.RETRY_COUNT: _place("retry_count"),
        sc.CIRCUIT_BREAKER: _place("circuit_breaker_state"),
        sc.ERROR_TYPE: _ERROR_TYPE,
        sc.RUN_ID: _place("run_id"),
        sc.STAGE_ID: _place("stage_id"),
        sc.OPERATION: _OPERATION,
        sc.REQUEST_MODEL: _REQUEST_MODEL,
        sc.RESPONSE_ID: _place("response_id"),
        sc.CACHE_READ_TOKENS: _place("cache_read_tokens"),
        sc.CACHE_WRITE_TOKENS: _place("cache_write_tokens"),
        sc.CACHE_WRITE_1H_TOKENS: _place("cache_write_1h_tokens"),
        sc.REASONING_TOKENS: _place("reasoning_tokens"),
        sc.TOOL_CALLS: _place("tool_calls"),
        sc.SERVER_TOOL_CALLS: _place("server_tool_calls"),
        sc.SERVICE_TIER: _place("service_tier"),
        sc.COST_SOURCE: _COST_SOURCE,
        sc.BASELINE_COST: _place("baseline_cost"),
        sc.USAGE_COMPLETE: _place("usage_complete"),
        sc.CANCELLED: _CANCELLED,
        sc.PROJECT: _place("project"),
        sc.CODE_FILE: _place("source_file"),
        sc.CODE_LINE: _place("source_line"),
    }
)
"""Attributes that a record takes as they are, and where: the place of the field among the record's."""
_CONVERTED: dict[str, tuple[int, Any]] = {
    sc.FINISH_REASONS: (_REASONS, _texts),
    sc.FALLBACK_CHAIN: (_CHAIN, _texts),
    sc.ATTEMPTS: (_ATTEMPTS, _json_list),
    sc.TIME_TO_FIRST_CHUNK: (_place("time_to_first_token_ms"), _milliseconds),
}


def _blank() -> list[Any]:
    """The values of a record of which nothing is known yet, in the order of its fields."""
    record = LLMCallRecord("", "", provider="unknown", tier="unknown", input_tokens=None, output_tokens=None)
    values = list(msgspec.structs.astuple(msgspec.structs.replace(record, estimated_cost=None)))
    return [*values, None]


_BLANK = _blank()
