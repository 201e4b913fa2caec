"""What each of the five instruments begins: the span with its attributes, and the scope for all that runs inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from attune_monitoring import semconv as sc
from attune_monitoring.calls import NO_CALL, LLMCall, start_call
from attune_monitoring.records import encode_line
from attune_monitoring.scope import HOOKS, Entered, Run, Scope, scope_of, with_scope
from attune_monitoring.spans import end_span
from attune_monitoring.wrapping import Instrument

__all__ = ["Annotate", "LLMCallInstrument", "Stage", "Tool", "Workflow"]


class _SpanEntered(Entered):
    """A span that is current inside, with a scope of its own."""

    __slots__ = ("span",)

    def __init__(self, span: trace.Span, context: otel_context.Context, scope: Scope) -> None:
        super().__init__(with_scope(context, scope, span))
        self.span = span

    def set_attribute(self, key: str, value: str | bool | int | float) -> None:
        """Set any further attribute on the span."""
        self.span.set_attribute(key, value)

    def finish(self, error: BaseException | None) -> None:
        end_span(self.span, {}, error)


class _RunEntered(_SpanEntered):
    __slots__ = ("run_id",)

    def __init__(self, span: trace.Span, context: otel_context.Context, scope: Scope, run_id: str) -> None:
        super().__init__(span, context, scope)
        self.run_id = run_id
        """The id that all records of this run carry."""


class _StageEntered(_SpanEntered):
    __slots__ = ()

    def skip(self, reason: str | None = None) -> None:
        """The stage did not have to run: that is no failure."""
        self.span.set_attribute(sc.STAGE_SKIPPED, True)
        if reason is not None:
            self.span.set_attribute(sc.STAGE_SKIP_REASON, str(reason))


class _NoRun(Entered):
    __slots__ = ()
    run_id = ""

    def set_attribute(self, key: str, value: str | bool | int | float) -> None:
        """Do nothing."""

    def skip(self, reason: str | None = None) -> None:
        """Do nothing."""


_NO_RUN = _NoRun(otel_context.Context())


class Workflow(Instrument[_RunEntered]):
    """A workflow run."""

    _nothing = _NO_RUN

    def __init__(
        self,
        name: str | None,
        annotations: Mapping[str, Any],
        trigger: str | None,
    ) -> None:
        super().__init__()
        self._name = name
        self._annotations = annotations
        self._trigger = trigger

    def _named(self, name: str) -> None:
        self._name = self._name or name

    def _start(self, tracer: trace.Tracer) -> _RunEntered:
        name = self._name or "workflow"
        context = otel_context.get_current()
        outer = scope_of(context)
        run = Run(name, outer.run)
        inherited = {key: value for key, value in outer.attributes.items() if key not in _STAGE_KEYS}
        inherited.update(self._annotations)
        inherited[sc.WORKFLOW_NAME] = name
        inherited[sc.RUN_ID] = run.run_id
        attributes = dict(inherited)
        attributes[sc.OPERATION] = sc.INVOKE_WORKFLOW
        attributes[sc.AGENT_NAME] = name
        if outer.run is not None:
            attributes[sc.PARENT_RUN_ID] = outer.run.run_id
            if sc.STAGE_ID in outer.attributes:
                attributes[sc.PARENT_STAGE_ID] = outer.attributes[sc.STAGE_ID]
        if self._trigger is not None:
            attributes[sc.RUN_TRIGGER] = self._trigger
        self._source(attributes)
        scope = Scope(inherited, run, None, outer.budget)
        inside = with_scope(context, scope)  # the recorder finds the run in the parent context
        span = tracer.start_span(f"{sc.INVOKE_WORKFLOW} {name}", inside, SpanKind.INTERNAL, attributes)
        return _RunEntered(span, inside, scope, run.run_id)


_STAGE_KEYS = frozenset({sc.STAGE_NAME, sc.STAGE_ID, sc.TIER, sc.TASK_TYPE, sc.STEP_NAME})


class Stage(Instrument[_StageEntered]):
    """A stage of a workflow."""

    _nothing = _NO_RUN

    def __init__(self, name: str | None, tier: str | None, task_type: str | None) -> None:
        super().__init__()
        self._name = name
        self._tier = tier
        self._task_type = task_type

    def _named(self, name: str) -> None:
        self._name = self._name or name

    def _start(self, tracer: trace.Tracer) -> _StageEntered:
        name = self._name or "stage"
        context = otel_context.get_current()
        outer = scope_of(context)
        inherited = dict(outer.attributes)
        parent = inherited.pop(sc.STAGE_ID, None)
        inherited[sc.STAGE_NAME] = name
        if self._tier is not None:
            inherited[sc.TIER] = self._tier
        if self._task_type is not None:
            inherited[sc.TASK_TYPE] = self._task_type
        attributes = dict(inherited)
        attributes[sc.SPAN_KIND] = "stage"
        if parent is not None:
            attributes[sc.PARENT_STAGE_ID] = parent
        self._source(attributes)
        span = tracer.start_span(f"stage {name}", context, SpanKind.INTERNAL, attributes)
        inherited[sc.STAGE_ID] = f"{span.get_span_context().span_id:016x}"
        return _StageEntered(span, context, Scope(inherited, outer.run, None, outer.budget))


class Tool(Instrument[_SpanEntered]):
    """The execution of a tool."""

    _nothing = _NO_RUN

    def __init__(self, name: str | None, call_id: str | None, kind: str | None) -> None:
        super().__init__()
        self._name = name
        self._call_id = call_id
        self._type = kind

    def _named(self, name: str) -> None:
        self._name = self._name or name

    def _start(self, tracer: trace.Tracer) -> _SpanEntered:
        name = self._name or "tool"
        context = otel_context.get_current()
        outer = scope_of(context)
        attributes = dict(outer.attributes)
        attributes[sc.OPERATION] = sc.EXECUTE_TOOL
        attributes[sc.TOOL_NAME] = name
        if self._call_id is not None:
            attributes[sc.TOOL_CALL_ID] = self._call_id
        if self._type is not None:
            attributes[sc.TOOL_TYPE] = self._type
        self._source(attributes)
        span = tracer.start_span(f"{sc.EXECUTE_TOOL} {name}", context, SpanKind.INTERNAL, attributes)
        return _SpanEntered(span, context, Scope(outer.attributes, outer.run, None, outer.budget))


class Annotate(Instrument[Entered]):
    """Annotations without a span."""

    def __init__(self, annotations: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        super().__init__()
        self._annotations = annotations
        self._metadata = metadata

    def _start(self, tracer: trace.Tracer) -> Entered:
        context = otel_context.get_current()
        outer = scope_of(context)
        inherited = {**outer.attributes, **self._annotations}
        if self._metadata:
            inherited[sc.METADATA] = _metadata_text(outer.attributes.get(sc.METADATA), self._metadata)
        return Entered(with_scope(context, Scope(inherited, outer.run, outer.call, outer.budget)))


def _metadata_text(outer: str | None, metadata: Mapping[str, Any]) -> str:
    text = encode_line(metadata).decode()
    # Both are JSON objects: inner keys come last, and the last of a key wins when it is read.
    return text if not outer or outer == "{}" else f"{outer[:-1]},{text[1:]}"


class LLMCallInstrument(Instrument[LLMCall]):
    """A call of a language model."""

    _nothing = NO_CALL

    def __init__(self, attributes: Mapping[str, Any], span_name: str) -> None:
        # One is made for every call, so without the detour over `super()`. The place of a block would be two attributes
        # of a dozen, in the hottest of all blocks; its run and its stage say where they stand.
        self._entries = []
        self._code = None
        self._to_locate = False
        self._attributes = attributes
        self._span_name = span_name

    def _start(self, tracer: trace.Tracer) -> LLMCall:
        if HOOKS.budget is not None:
            HOOKS.budget()
        return start_call(self._attributes, self._span_name, tracer)

    def _named(self, name: str) -> None:
        attributes = {sc.STEP_NAME: name, **self._attributes}
        self._source(attributes)
        self._attributes = attributes
