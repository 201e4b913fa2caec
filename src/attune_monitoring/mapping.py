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
    "baseline_cost",
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


class _Price(Protocol):
    @property
    def total(self) -> float: ...
    @property
    def source(self) -> str: ...


class Pricer(Protocol):
    """What mapping needs of a price list (USD); see pricing.py."""

    def cost(
        self,
        provider: str | None,
        model: str | None,
        *,
        input_tokens: int | None,
        output_tokens: int | None,
        cache_read_tokens: int = 0,
        cache_write_tokens: int = 0,
        cache_write_1h_tokens: int = 0,
        at: float | None = None,
        service_tier: str | None = None,
        server_tool_calls: int = 0,
    ) -> _Price | None:
        """Return the cost of these tokens, or None where it is not known."""
        ...

    def baseline(
        self,
        provider: str | None,
        model: str | None,
        *,
        input_tokens: int | None,
        output_tokens: int | None,
        cache_read_tokens: int = 0,
        cache_write_tokens: int = 0,
        cache_write_1h_tokens: int = 0,
        at: float | None = None,
        service_tier: str | None = None,
        server_tool_calls: int = 0,
    ) -> float | None:
        """Return the cost of these tokens at the provider's premium model, or None where it is not known."""
        ...

    def tier(self, provider: str | None, model: str | None) -> str:
        """Return cheap, capable, premium or unknown."""
        ...


def kind_of(attributes: Mapping[str, Any], *, is_root: bool) -> Kind:
    """Say what a span is, from its attributes in any dialect; `is_root`: it has no parent in this trace."""
    operation = attributes.get(sc.OPERATION)
    if operation in sc.CALL_OPERATIONS:
        return "call"
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
    operation = attributes.get(sc.OPERATION) or _foreign_operation(attributes, is_root=is_root) or sc.CHAT
    result[sc.OPERATION] = operation
    provider = result.get(sc.PROVIDER)
    if provider is not None:
        provider = provider.lower()
        result[sc.PROVIDER] = sc.PROVIDER_ALIASES.get(provider, provider.replace("az.ai.", "azure.ai."))
    cached = result.get(sc.CACHE_READ_TOKENS, 0) + result.get(sc.CACHE_WRITE_TOKENS, 0)
    if sc.INPUT_TOKENS in result and cached > result[sc.INPUT_TOKENS]:
        result[sc.INPUT_TOKENS] += cached
    cost = _number(_first(attributes, "cost"))
    if cost is not None:
        result[sc.COST] = cost
        result[sc.COST_SOURCE] = "reported"
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
    """Return the cost of a call whose other attributes are given, and where it is from; `at`: epoch seconds."""
    get = attributes.get
    if sc.COST in attributes:
        return {sc.COST_SOURCE: get(sc.COST_SOURCE, "caller")}
    complete = get(sc.USAGE_COMPLETE, True)
    used = get(sc.INPUT_TOKENS)
    output = get(sc.OUTPUT_TOKENS)
    if used is None and output is None:
        return {sc.COST_SOURCE: "none" if failed and complete else "unknown"}
    if not complete:
        return {sc.COST_SOURCE: "unknown"}
    price = pricing.cost(
        get(sc.PROVIDER),
        get(sc.RESPONSE_MODEL) or get(sc.REQUEST_MODEL),
        input_tokens=used,
        output_tokens=output,
        cache_read_tokens=get(sc.CACHE_READ_TOKENS, 0),
        cache_write_tokens=get(sc.CACHE_WRITE_TOKENS, 0),
        cache_write_1h_tokens=get(sc.CACHE_WRITE_1H_TOKENS, 0),
        at=at,
        service_tier=get(sc.SERVICE_TIER),
        server_tool_calls=get(sc.SERVER_TOOL_CALLS, 0),
    )
    if price is None:
        return {sc.COST_SOURCE: "unknown"}
    return {sc.COST: price.total, sc.COST_SOURCE: price.source}


def baseline_cost(attributes: Mapping[str, Any], pricing: Pricer, *, at: float) -> float | None:
    """Return what the same tokens would have cost at the provider's premium model (USD), where that is known.

    Unknown where the call's own cost is: nothing can be saved against what is not known. `at`: epoch seconds.
    """
    get = attributes.get
    if sc.COST not in attributes:
        return None
    attempts = get(sc.ATTEMPTS)
    if attempts is not None and get(sc.ORIGINAL_MODEL) is not None:
        return None  # the tokens were used at several providers
    return pricing.baseline(
        get(sc.PROVIDER),
        get(sc.RESPONSE_MODEL) or get(sc.REQUEST_MODEL),
        input_tokens=get(sc.INPUT_TOKENS),
        output_tokens=get(sc.OUTPUT_TOKENS),
        cache_read_tokens=get(sc.CACHE_READ_TOKENS, 0),
        cache_write_tokens=get(sc.CACHE_WRITE_TOKENS, 0),
        cache_write_1h_tokens=get(sc.CACHE_WRITE_1H_TOKENS, 0),
        at=at,
        service_tier=get(sc.SERVICE_TIER),
        server_tool_calls=get(sc.SERVER_TOOL_CALLS, 0),
    )


def call_record(
    span: SpanData, origin: Origin, *, baseline: float | None = None, content: bool = False
) -> LLMCallRecord:
    """Return the record of an ended LLM span whose attributes carry the current names (see `normalise`).

    Durations keep milliseconds, the end time microseconds. Content goes in only where `content` says so.
    """
    get = span.attributes.get
    record_fields = get(sc.RECORD)
    tokens_in = get(sc.INPUT_TOKENS)
    tokens_out = get(sc.OUTPUT_TOKENS)
    operation = get(sc.OPERATION, sc.CHAT)
    if tokens_out is None and tokens_in is not None and operation == sc.EMBEDDINGS:
        tokens_out = 0
    cost = get(sc.COST)
    source = get(sc.COST_SOURCE) or ("unknown" if cost is None else "caller")
    cancelled = bool(get(sc.CANCELLED))
    original = get(sc.ORIGINAL_MODEL)
    error = get(sc.ERROR_TYPE)
    ttft = get(sc.TIME_TO_FIRST_CHUNK)
    request_model = get(sc.REQUEST_MODEL)
    record = LLMCallRecord(
        call_id=span.span_id or uuid.uuid4().hex,
        timestamp=format_time(span.end_ns),
        workflow_name=get(sc.WORKFLOW_NAME),
        step_name=get(sc.STEP_NAME) or get(sc.STAGE_NAME),
        user_id=get(sc.USER_ID),
        session_id=get(sc.CONVERSATION_ID),
        task_type=get(sc.TASK_TYPE) or "unknown",
        provider=get(sc.PROVIDER) or "unknown",
        tier=get(sc.TIER) or "unknown",
        model_id=get(sc.RESPONSE_MODEL) or request_model or "",
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        estimated_cost=cost,
        actual_cost=cost if source == "reported" else None,
        latency_ms=round((span.end_ns - span.start_ns) / 1_000_000),
        fallback_used=original is not None,
        fallback_chain=list(get(sc.FALLBACK_CHAIN, ())),
        original_provider=get(sc.ORIGINAL_PROVIDER),
        original_model=original,
        retry_count=get(sc.RETRY_COUNT, 0),
        circuit_breaker_state=get(sc.CIRCUIT_BREAKER),
        success=not span.failed and not cancelled,
        error_type=(error or "_OTHER") if span.failed else None,
        error_message=_error_message(span) if span.failed else None,
        metadata=_json_object(get(sc.METADATA)),
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        run_id=get(sc.RUN_ID),
        stage_id=get(sc.STAGE_ID),
        operation=operation,
        request_model=request_model,
        response_id=get(sc.RESPONSE_ID),
        cache_read_tokens=get(sc.CACHE_READ_TOKENS),
        cache_write_tokens=get(sc.CACHE_WRITE_TOKENS),
        cache_write_1h_tokens=get(sc.CACHE_WRITE_1H_TOKENS),
        reasoning_tokens=get(sc.REASONING_TOKENS),
        time_to_first_token_ms=None if ttft is None else round(ttft * 1000, 3),
        finish_reasons=list(get(sc.FINISH_REASONS, ())),
        tool_calls=get(sc.TOOL_CALLS, 0),
        server_tool_calls=get(sc.SERVER_TOOL_CALLS, 0),
        service_tier=get(sc.SERVICE_TIER),
        cost_source=source,
        baseline_cost=baseline,
        usage_complete=get(sc.USAGE_COMPLETE, True),
        cancelled=cancelled,
        attempts=_json_list(get(sc.ATTEMPTS)),
        project=get(sc.PROJECT),
        dialect=span.dialect,
        scope=span.scope,
        scope_version=span.scope_version,
        source_file=get(sc.CODE_FILE),
        source_line=get(sc.CODE_LINE),
        service=origin.service,
        host=origin.host,
        pid=origin.pid,
        under_pytest=origin.under_pytest,
        content=_content(span.attributes) if content else {},
    )
    if record_fields is None:
        return record
    return record.updated(_json_object(record_fields))


def call_span(record: LLMCallRecord) -> SpanData:
    """Return the span that stands for a record handed in by a caller; `call_record` of it gives the same record."""
    end_ns = _nanoseconds(record.timestamp)
    attributes: dict[str, Any] = {sc.OPERATION: record.operation, sc.PROVIDER: record.provider}
    for key, name in _RECORD_KEYS:
        value = getattr(record, name)
        if value is not None and value != [] and value != 0:
            attributes[key] = value
    for key, count in ((sc.INPUT_TOKENS, record.input_tokens), (sc.OUTPUT_TOKENS, record.output_tokens)):
        if count is not None and -(2**63) <= count < 2**63:
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
        start_ns=end_ns - max(0, record.latency_ms) * 1_000_000,
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
    (sc.PROJECT, "project"),
)


def _difference(wanted: LLMCallRecord, got: LLMCallRecord) -> str:
    """Fields that a span alone would not give back, as JSON: only these need an attribute of their own."""
    fields = {
        name: value
        for name in LLMCallRecord.__struct_fields__
        if (value := getattr(wanted, name)) != getattr(got, name) and (value or name not in _PROVENANCE)
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
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


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
        items = _json_list(value) if value.startswith("[") else [value]
        return tuple(str(item) for item in items)
    return tuple(str(item) for item in value) if isinstance(value, Sequence) else ()


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
