"""Records that a caller hands in, to spans: with their real times, parents and status."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import msgspec
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from attune_monitoring import semconv as sc
from attune_monitoring.mapping import SpanData, call_span
from attune_monitoring.recorder import RECORDED_KEY
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, encode_line, parse_time
from attune_monitoring.sampling import GIVEN_IDS, GivenIds
from attune_monitoring.scope import HOOKS, scope_of

__all__ = ["emit_call", "emit_run"]


def emit_call(tracer: trace.Tracer, record: LLMCallRecord, *, recorded: bool = False) -> None:
    """Make the span of a record; `recorded`: its line is written already."""
    if record.content and HOOKS.content is None:  # what must not be captured is not handed in either
        record = msgspec.structs.replace(record, content={})
    span = call_span(record)
    current = scope_of()
    inherited = {key: value for key, value in current.attributes.items() if key not in span.attributes}
    span.attributes = {**inherited, **span.attributes}
    run_id = record.run_id or record.metadata.get("run_id")
    parent = _parent_of(record.trace_id, record.parent_span_id, run_id if current.run is None else None)
    _emit(tracer, span, parent, SpanKind.CLIENT, recorded=recorded)


def emit_run(tracer: trace.Tracer, record: WorkflowRunRecord, *, recorded: bool = False) -> None:
    """Make the spans of a run's record; `recorded`: its lines are written already."""
    trace_id, span_id = _ids_of_run(record.run_id)
    start = _nanoseconds(record.started_at)
    end = _nanoseconds(record.completed_at) if record.completed_at else start + record.total_duration_ms * 1_000_000
    root = SpanData(
        name=f"{sc.INVOKE_WORKFLOW} {record.workflow_name}",
        attributes={
            sc.OPERATION: sc.INVOKE_WORKFLOW,
            sc.AGENT_NAME: record.workflow_name,
            sc.WORKFLOW_NAME: record.workflow_name,
            sc.RUN_ID: record.run_id,
            sc.RECORD: encode_line(record.to_details()).decode(),
        },
        start_ns=start,
        end_ns=max(start, end),
        trace_id=record.trace_id or f"{trace_id:032x}",
        span_id=record.span_id or f"{span_id:016x}",
        failed=not record.success and not record.cancelled,
        status_message=record.error,
    )
    if root.failed:
        root.attributes = {**root.attributes, sc.ERROR_TYPE: record.error_type or "_OTHER"}
    _emit(tracer, root, _parent_of(root.trace_id, record.parent_span_id, None), SpanKind.INTERNAL, recorded=recorded)
    inside = _parent_of(root.trace_id, root.span_id, None)
    for stage in record.stages:
        begin = _nanoseconds(stage.started_at) if stage.started_at else start
        start = max(start, begin + stage.latency_ms * 1_000_000)
        attributes: dict[str, Any] = {
            sc.SPAN_KIND: "stage",
            sc.STAGE_NAME: stage.stage_name,
            sc.TIER: stage.tier,
            sc.WORKFLOW_NAME: record.workflow_name,
            sc.STAGE_SKIPPED: stage.skipped,
        }
        if stage.model_id:
            attributes[sc.REQUEST_MODEL] = stage.model_id
        failed = not (stage.success or stage.skipped or stage.cancelled)
        if failed:
            attributes[sc.ERROR_TYPE] = "_OTHER"
        span = SpanData(
            name=f"stage {stage.stage_name}",
            attributes=attributes,
            start_ns=begin,
            end_ns=begin + stage.latency_ms * 1_000_000,
            trace_id=root.trace_id,
            failed=failed,
            status_message=stage.error,
        )
        _emit(tracer, span, inside, SpanKind.INTERNAL, recorded=True)


def _emit(tracer: Any, span: SpanData, context: otel_context.Context, kind: SpanKind, *, recorded: bool) -> None:
    if hasattr(tracer, "id_generator"):
        tracer = copy.copy(tracer)  # the same but for the ids, which the record may bring with it
        tracer.id_generator = GivenIds(tracer.id_generator)
    if recorded:
        context = otel_context.set_value(RECORDED_KEY, True, context)
    ids = (_hexadecimal(span.trace_id), _hexadecimal(span.span_id))
    token = GIVEN_IDS.set(ids)
    try:
        made = tracer.start_span(span.name, context, kind, dict(span.attributes), start_time=span.start_ns)
    finally:
        GIVEN_IDS.reset(token)
    if span.failed:
        made.set_status(Status(StatusCode.ERROR, span.status_message))
    made.end(span.end_ns)


def _parent_of(trace_id: str | None, parent_id: str | None, run_id: object) -> otel_context.Context:
    """The context of a span handed in: below its named parent, else below its run, else below what is current."""
    context = otel_context.get_current()
    trace_number, parent_number = _hexadecimal(trace_id), _hexadecimal(parent_id)
    if (trace_number is None or parent_number is None) and isinstance(run_id, str) and trace_id is None:
        trace_number, parent_number = _ids_of_run(run_id)
    if trace_number is None:
        return context
    if parent_number is None:  # a root of its own trace
        return trace.set_span_in_context(trace.INVALID_SPAN, context)
    above = SpanContext(trace_number, parent_number, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return trace.set_span_in_context(NonRecordingSpan(above), context)


def _ids_of_run(run_id: str) -> tuple[int, int]:
    """The same run is in the same trace, whoever logs its calls and whenever."""
    digest = hashlib.sha256(run_id.encode()).digest()
    return int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:24]) or 1


def _hexadecimal(text: str | None) -> int | None:
    try:
        return int(text, 16) if text else None
    except ValueError:
        return None


def _nanoseconds(timestamp: str) -> int:
    moment = parse_time(timestamp)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000
