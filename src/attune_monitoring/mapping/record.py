"""An ended LLM span to its record, and a record that was handed in to the span that stands for it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from attune_monitoring import semconv as sc
from attune_monitoring.records import LLMCallRecord, encode_line, format_time, parse_time
from attune_monitoring.redaction import redact

from .span import Origin, SpanData
from .values import json_list, json_object, number_of, reasons_of

__all__ = ["call_record", "call_span"]


def call_record(span: SpanData, origin: Origin, *, content: bool = False) -> LLMCallRecord:
    """Return the record of an ended LLM span whose attributes carry the current names (see `normalise`).

    Durations keep milliseconds, the end time microseconds. Content goes in only where `content` says so.
    """
    attributes = span.attributes
    values = _BLANK.copy()
    values[_METADATA] = {}
    values[_CHAIN] = []
    values[_REASONS] = []
    values[_ATTEMPTS] = []
    values[_CONTENT] = _content(attributes) if content else {}
    # Over the attributes that are there, not over all that could be: this runs in the caller's thread.
    for key, value in attributes.items():
        place = _place_of(key)
        if place is not None:
            values[place] = value
        elif key in _READ:
            place, read = _READ[key]
            values[place] = read(value)
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
    if values[_ORIGINAL_MODEL] is not None:
        values[_FALLBACK_USED] = True
    if span.failed:
        values[_ERROR_TYPE] = values[_ERROR_TYPE] or "_OTHER"
        values[_ERROR_MESSAGE] = _error_message(span)
        values[_SUCCESS] = False
    else:
        values[_ERROR_TYPE] = None
        values[_SUCCESS] = not values[_CANCELLED]
    values[_IDS] = span.trace_id, span_id, span.parent_span_id
    values[_MADE_BY] = span.dialect, span.scope, span.scope_version
    values[_PROCESS] = origin.service, origin.host, origin.pid, origin.under_pytest
    record = LLMCallRecord(*values)
    if sc.RECORD in attributes:
        return record.updated(json_object(attributes[sc.RECORD]))
    return record


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
    first = record.time_to_first_token_ms
    if isinstance(first, (int, float)) and -1e15 < first < 1e15:
        attributes[sc.TIME_TO_FIRST_CHUNK] = first / 1000
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


def _texts(value: Any) -> list[str]:
    return list(value) if type(value) is tuple else list(reasons_of(value))


def _milliseconds(seconds: Any) -> float | None:
    number = number_of(seconds)
    return None if number is None else round(number * 1000, 3)


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
_PLACES: dict[str, int] = {
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
"""Which attributes a record has, and where: the place of the field among the record's."""
_place_of = _PLACES.get
_READ: dict[str, tuple[int, Callable[[Any], Any]]] = {
    sc.FINISH_REASONS: (_REASONS, _texts),
    sc.FALLBACK_CHAIN: (_CHAIN, _texts),
    sc.ATTEMPTS: (_ATTEMPTS, json_list),
    sc.TIME_TO_FIRST_CHUNK: (_place("time_to_first_token_ms"), _milliseconds),
    sc.METADATA: (_METADATA, json_object),
}
"""The same of those that are written differently in a record, and how they are read."""


def _blank() -> list[Any]:
    """The values of a record of which nothing is known yet, in the order of its fields."""
    record = LLMCallRecord("", "", provider="unknown", tier="unknown", input_tokens=None, output_tokens=None)
    return list(msgspec.structs.astuple(msgspec.structs.replace(record, estimated_cost=None)))


_BLANK = _blank()
