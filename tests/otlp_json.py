"""Spans as the collector's file exporter writes them: OTLP in protocol buffers' JSON, ids in hexadecimal."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan

from attune_monitoring.mapping import SpanData

__all__ = ["export", "line_of", "otlp_value"]

_IDS = ("traceId", "spanId", "parentSpanId")


def export(spans: Sequence[ReadableSpan]) -> dict[str, Any]:
    """Return what the SDK's own encoder makes of spans, as one export request in JSON."""
    request: dict[str, Any] = MessageToDict(encode_spans(spans))
    for batch in request["resourceSpans"]:
        for group in batch["scopeSpans"]:
            for span in group["spans"]:
                span.update({key: base64.b64decode(span[key]).hex() for key in _IDS if key in span})
    return request


def line_of(*spans: SpanData, resource: Mapping[str, Any] | None = None) -> bytes:
    """Return one line of the collector's file with these spans, written by hand."""
    groups = [{"scope": {"name": span.scope, "version": span.scope_version}, "spans": [_span(span)]} for span in spans]
    batch = {"resource": {"attributes": _pairs(resource or {})}, "scopeSpans": groups}
    return json.dumps({"resourceSpans": [batch]}).encode() + b"\n"


def otlp_value(value: Any) -> dict[str, Any]:
    """Return an AnyValue."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, (list, tuple)):
        return {"arrayValue": {"values": [otlp_value(item) for item in value]}}
    return {"stringValue": value}


def _pairs(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": otlp_value(value)} for key, value in attributes.items()]


def _span(span: SpanData) -> dict[str, Any]:
    return {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "parentSpanId": span.parent_span_id or "",
        "name": span.name,
        "kind": 3,
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _pairs(span.attributes),
        "status": {"code": 2, "message": span.status_message or ""} if span.failed else {},
        "events": [
            {"name": "exception", "attributes": _pairs({"exception.type": kind or "", "exception.message": text or ""})}
            for kind, text in span.exceptions
        ],
    }
