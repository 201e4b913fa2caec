"""One LLM call in progress: its attempts, usage, cost and outcome, written onto one span when it ends."""

from __future__ import annotations

import functools
import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from attune_monitoring import semconv as sc
from attune_monitoring.mapping import add_cost
from attune_monitoring.responses import ResponseInfo, StreamReader, is_stream, provider_of, read_response
from attune_monitoring.scope import HOOKS, NO_SCOPE, Entered, Scope, scope_of, with_scope
from attune_monitoring.spans import describe_error, end_span
from attune_monitoring.streams import proxy

__all__ = ["NO_CALL", "LLMCall", "NoCall"]

_T = TypeVar("_T")
_P = ParamSpec("_P")
_USAGE = (
    ("input_tokens", sc.INPUT_TOKENS),
    ("output_tokens", sc.OUTPUT_TOKENS),
    ("cache_read_tokens", sc.CACHE_READ_TOKENS),
    ("cache_write_tokens", sc.CACHE_WRITE_TOKENS),
    ("cache_write_1h_tokens", sc.CACHE_WRITE_1H_TOKENS),
    ("reasoning_tokens", sc.REASONING_TOKENS),
)
_NOTHING_TOLD = ResponseInfo()
_MAX = 2**63
"""Beyond, OTLP could not carry a number."""
_UTIL_GENAI = "opentelemetry.util.genai.invocation"


def _guarded(method: Callable[Concatenate[LLMCall, _P], None]) -> Callable[Concatenate[LLMCall, _P], None]:
    """Whatever a user hands over, telling us of it must not fail the call."""

    @functools.wraps(method)
    def guarded(self: LLMCall, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as error:
            HOOKS.failed(f"llm_call.{method.__name__}", error)

    return guarded


class LLMCall(Entered):
    """What `with llm_call(...) as call` gives: tell it what the provider answered, and it does the rest.

    None of its methods raises, and none changes what it is given.
    """

    __slots__ = (
        "_attempt_ns",
        "_attempts",
        "_attributes",
        "_delegated",
        "_end_ns",
        "_exited",
        "_extra",
        "_first_ns",
        "_handed",
        "_info",
        "_model",
        "_observed",
        "_once",
        "_original",
        "_provider",
        "_retries",
        "_span",
        "_stream",
        "_stream_error",
        "_tier",
    )

    def __init__(
        self, span: trace.Span, context: otel_context.Context, outer: Scope, attributes: Mapping[str, Any]
    ) -> None:
        self._span = span
        self._attributes = attributes
        self._provider: str | None = attributes.get(sc.PROVIDER)
        self._model: str | None = attributes.get(sc.REQUEST_MODEL)
        self._tier: str | None = attributes.get(sc.TIER)
        self._attempt_ns = time.perf_counter_ns()
        self._once = [True]
        self._extra: dict[str, Any] = {}
        self._info: ResponseInfo | None = None
        self._observed: ResponseInfo | None = None
        self._handed: Any = None
        self._retries = 0
        self._attempts: Sequence[dict[str, Any]] = ()
        self._original: tuple[str | None, str | None] | None = None
        self._delegated = False
        self._first_ns = 0
        self._stream: _Watcher | None = None
        self._stream_error: BaseException | None = None
        self._exited = False
        self._end_ns: int | None = None
        context = with_scope(context, Scope(outer.attributes, outer.run, self, outer.budget), span)
        # The official instrumentations then make no span of their own and put what they learn into this object.
        util = sys.modules.get(_UTIL_GENAI)
        if util is not None:
            self._handed = util.InferenceData()
            context = otel_context.set_value(util.CLIENT_INFERENCE_CONTEXT_KEY, self._handed, context)
        self.context = context
        self._token = None

    # --- what a user calls
    @property
    def trace_id(self) -> str:
        """The trace this call belongs to (32 hex digits)."""
        return f"{self._span.get_span_context().trace_id:032x}"

    @property
    def span_id(self) -> str:
        """The call's own id (16 hex digits)."""
        return f"{self._span.get_span_context().span_id:016x}"

    def record(self, response: _T) -> _T:
        """Read usage, model and finish reasons from a provider's response (object or dictionary) and return it."""
        try:
            info = read_response(response)
            if info is not None:
                self._take(info)
        except Exception as error:
            HOOKS.failed("llm_call.record", error)
        return response

    def stream(self, iterable: Iterable[_T]) -> Any:
        """Return the stream (sync or async), watched: its first token is timed and its end ends the call."""
        try:
            self._stream = _Watcher(self, proxied=True)
            self._span.set_attribute(sc.REQUEST_STREAM, True)
            return proxy(iterable, self._stream)
        except Exception as error:
            HOOKS.failed("llm_call.stream", error)
            return iterable

    # This method and the next guard themselves: nearly every call makes both, and a wrapper costs more than they do.
    def set_usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cache_read_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        cache_write_1h_tokens: int | None = None,
        reasoning_tokens: int | None = None,
    ) -> None:
        """Say what the call used, in tokens; `input_tokens` includes cached ones, `output_tokens` reasoning ones."""
        try:
            info = self._info
            if info is None:
                info = self._info = ResponseInfo()
            if input_tokens is not None:
                info.input_tokens = input_tokens if type(input_tokens) is int and 0 <= input_tokens < _MAX else None
            if output_tokens is not None:
                info.output_tokens = output_tokens if type(output_tokens) is int and 0 <= output_tokens < _MAX else None
            if cache_read_tokens is not None:
                info.cache_read_tokens = _count(cache_read_tokens)
            if cache_write_tokens is not None:
                info.cache_write_tokens = _count(cache_write_tokens)
            if cache_write_1h_tokens is not None:
                info.cache_write_1h_tokens = _count(cache_write_1h_tokens)
            if reasoning_tokens is not None:
                info.reasoning_tokens = _count(reasoning_tokens)
            info.usage_complete = True
        except Exception as error:
            HOOKS.failed("llm_call.set_usage", error)

    def set_response(
        self,
        *,
        model: str | None = None,
        provider: str | None = None,
        response_id: str | None = None,
        finish_reasons: Sequence[str] | None = None,
        service_tier: str | None = None,
        tool_calls: int | None = None,
    ) -> None:
        """Say what the response was, where `record` cannot read it."""
        try:
            info = self._info
            if info is None:
                info = self._info = ResponseInfo()
            if model:
                info.model = model
            if provider:
                info.provider = provider
            if response_id:
                info.response_id = response_id
            if service_tier:
                info.service_tier = service_tier
            if finish_reasons is not None:
                info.finish_reasons = tuple(map(str, finish_reasons))
            if tool_calls is not None:
                info.tool_calls = tool_calls
        except Exception as error:
            HOOKS.failed("llm_call.set_response", error)

    @_guarded
    def set_cost(self, usd: float) -> None:
        """Say what the call cost in USD, where you know better than a price list."""
        if isinstance(usd, (int, float)) and 0 <= usd < math.inf:
            self._extra[sc.COST] = float(usd)
            self._extra[sc.COST_SOURCE] = "caller"

    @_guarded
    def set_circuit_breaker(self, state: str) -> None:
        """Say in what state the circuit breaker was: closed, open or half-open."""
        self._extra[sc.CIRCUIT_BREAKER] = str(state)

    def set_content(self, *, input: object = None, output: object = None, system: object = None) -> None:  # noqa: A002
        """Hand over messages; they are kept only where content capture is switched on, capped and masked."""
        keep = HOOKS.content
        if keep is None:
            return
        try:
            for key, value in (
                (sc.INPUT_MESSAGES, input),
                (sc.OUTPUT_MESSAGES, output),
                (sc.SYSTEM_INSTRUCTIONS, system),
            ):
                if value is not None:
                    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
                    self._extra[key] = keep(text)
        except Exception as error:
            HOOKS.failed("llm_call.set_content", error)

    @_guarded
    def set_attribute(self, key: str, value: str | bool | int | float | Sequence[str]) -> None:
        """Set any further attribute on the span."""
        self._span.set_attribute(str(key), value)  # at once: an odd value must not cost the call its usage

    def retry(self, error: BaseException | None = None) -> None:
        """The attempt has failed (with `error`) and is made again: what it used stays counted."""
        self._close_attempt("retry", error)
        self._retries += 1

    @_guarded
    def fallback(
        self,
        *,
        provider: str | None = None,
        model: str | None = None,
        tier: str | None = None,
        error: BaseException | None = None,
    ) -> None:
        """The attempt has failed (with `error`) and another model is asked: what it used stays counted."""
        self._close_attempt("fallback", error)
        if self._original is None:
            self._original = (self._provider, self._model)
        if provider is not None:
            provider = str(provider)
            self._provider = sc.PROVIDER_ALIASES.get(provider.lower(), provider)
        self._model = model or self._model
        self._tier = tier or (HOOKS.pricing.tier(self._provider, self._model) if HOOKS.pricing else None)

    # --- what the rest of the package calls
    def delegate(self) -> dict[str, Any]:
        """Another instrumentation's span inside has recorded this call: return what its record inherits."""
        self._delegated = True
        inherited = self._attempt_attributes()
        if self._tier:
            inherited[sc.TIER] = self._tier
        for key in (sc.TASK_TYPE, sc.STEP_NAME, sc.CODE_FILE, sc.CODE_LINE):
            if key in self._attributes:
                inherited[key] = self._attributes[key]
        return inherited

    def holds(self, span: trace.Span) -> bool:
        """Whether this is the call's own span."""
        return span is self._span

    def observed(self, info: ResponseInfo) -> None:
        """Take what the client was answered inside, in case the user tells nothing."""
        self._observed = info

    def returned(self, value: Any) -> Any:
        """Record a decorated function's response, or watch the stream that it returned."""
        try:
            if is_stream(value):
                if HOOKS.stream_proxy:
                    return self.stream(value)
                self._info = ResponseInfo(usage_complete=False)
                return value
        except Exception as error:
            HOOKS.failed("llm_call", error)
        return self.record(value)

    def yielded(self, value: Any) -> None:
        """Watch what a decorated generator hands on, chunk by chunk."""
        if self._stream is None:
            self._stream = _Watcher(self, proxied=False)
            self._span.set_attribute(sc.REQUEST_STREAM, True)
        self._stream.chunk(value)

    def finish(self, error: BaseException | None) -> None:
        """The block has been left: end the call, unless its stream goes on."""
        self._exited = True
        stream = self._stream
        if error is None:
            if stream is not None and stream.open and stream.proxied:
                return
            error = self._stream_error
        self._end(error)

    def finish_generator(self, error: BaseException | None, *, exhausted: bool) -> None:
        """The decorated generator is done: its chunks are all there are."""
        if self._stream is not None:
            self._stream.generator_done(exhausted=exhausted)
        self.finish(error)

    # --- inside
    def _take(self, info: ResponseInfo) -> None:
        previous = self._info
        if previous is not None and info.input_tokens is None and previous.input_tokens is not None:
            for name, _ in _USAGE:  # told by set_usage, and not known better by the response
                setattr(info, name, getattr(previous, name))
        self._info = info

    def _stream_ended(self, error: BaseException | None) -> None:
        self._end_ns = time.time_ns()
        self._stream_error = None if isinstance(error, GeneratorExit) else error
        if self._exited:
            self._end(self._stream_error)

    def _close_attempt(self, why: str, error: BaseException | None) -> None:
        try:
            attributes = self._read_attempt(failed=True)
            attempt = {
                "provider": self._provider,
                "model": attributes.get(sc.RESPONSE_MODEL) or self._model,
                "tier": self._tier,
                "outcome": why,
                "duration_ms": round((time.perf_counter_ns() - self._attempt_ns) / 1e6, 3),
                "error_type": describe_error(error)[0] if error is not None else None,
                "cost": attributes.get(sc.COST),
                "baseline_cost": attributes.get(sc.BASELINE_COST),
                "cost_source": attributes.get(sc.COST_SOURCE),
            }
            attempt.update((name, attributes[key]) for name, key in _USAGE if key in attributes)
            told = {key: value for key, value in attempt.items() if value is not None}
            self._attempts = (*self._attempts, told)
        except Exception as failure:
            HOOKS.failed("llm_call.retry", failure)
        self._info = None
        self._observed = None
        self._stream = None
        self._stream_error = None
        self._end_ns = None
        self._first_ns = 0
        self._extra.pop(sc.COST, None)
        if self._handed is not None:
            fresh = type(self._handed)()
            for name in fresh.__dataclass_fields__:
                setattr(self._handed, name, getattr(fresh, name))
        self._attempt_ns = time.perf_counter_ns()

    def _read_attempt(self, *, failed: bool) -> dict[str, Any]:
        """Attributes of what the attempt in progress has used and cost."""
        info = self._info or self._observed
        if info is None and self._handed is not None:
            info = _from_util_genai(self._handed)
        attributes = self._extra.copy()
        if info is None:
            info = _NOTHING_TOLD
            if not failed and self._stream is not None:
                attributes[sc.USAGE_COMPLETE] = False
        else:
            if info.input_tokens is not None:
                attributes[sc.INPUT_TOKENS] = info.input_tokens
            if info.output_tokens is not None:
                attributes[sc.OUTPUT_TOKENS] = info.output_tokens
            if info.cache_read_tokens is not None:
                attributes[sc.CACHE_READ_TOKENS] = info.cache_read_tokens
            if info.cache_write_tokens is not None:
                attributes[sc.CACHE_WRITE_TOKENS] = info.cache_write_tokens
            if info.cache_write_1h_tokens is not None:
                attributes[sc.CACHE_WRITE_1H_TOKENS] = info.cache_write_1h_tokens
            if info.reasoning_tokens is not None:
                attributes[sc.REASONING_TOKENS] = info.reasoning_tokens
            if info.model is not None:
                attributes[sc.RESPONSE_MODEL] = info.model
            if info.response_id is not None:
                attributes[sc.RESPONSE_ID] = info.response_id
            if info.finish_reasons:
                attributes[sc.FINISH_REASONS] = info.finish_reasons
            if info.tool_calls:
                attributes[sc.TOOL_CALLS] = info.tool_calls
            if info.server_tool_calls:
                attributes[sc.SERVER_TOOL_CALLS] = info.server_tool_calls
            if info.service_tier is not None:
                attributes[sc.SERVICE_TIER] = info.service_tier
            if not info.usage_complete:
                attributes[sc.USAGE_COMPLETE] = False
            if info.cost is not None and sc.COST not in attributes:
                attributes[sc.COST] = info.cost
                attributes[sc.COST_SOURCE] = "reported"
        provider = self._provider if self._provider is not None else info.provider
        if provider != self._attributes.get(sc.PROVIDER):  # which was known at the start
            attributes[sc.PROVIDER] = provider
        if self._first_ns:
            attributes[sc.TIME_TO_FIRST_CHUNK] = (self._first_ns - self._attempt_ns) / 1e9
        elif self._handed is not None and self._handed.response_time_to_first_chunk is not None:
            attributes[sc.TIME_TO_FIRST_CHUNK] = self._handed.response_time_to_first_chunk
        if self._model is not None and sc.REQUEST_MODEL not in self._attributes:
            attributes[sc.REQUEST_MODEL] = self._model
        pricing = HOOKS.pricing
        if pricing is not None:
            cost, source, baseline, tier = pricing.quote(
                provider,
                info.model or self._model,
                info.input_tokens,
                info.output_tokens,
                info.cache_read_tokens or 0,
                info.cache_write_tokens or 0,
                info.cache_write_1h_tokens or 0,
                info.server_tool_calls,
                info.service_tier,
                time.time(),
            )
            add_cost(attributes, cost, source, baseline, failed=failed)
            if self._tier is None:
                self._tier = tier
        return attributes

    def _attempt_attributes(self) -> dict[str, Any]:
        attributes: dict[str, Any] = {}
        if self._retries:
            attributes[sc.RETRY_COUNT] = self._retries
        if self._original is not None:
            provider, model = self._original
            if provider is not None:
                attributes[sc.ORIGINAL_PROVIDER] = provider
            attributes[sc.ORIGINAL_MODEL] = model or ""
            steps = [a for a in self._attempts if a["outcome"] == "fallback"]
            chain = [f"{a.get('provider', 'unknown')}:{a.get('tier', 'unknown')}" for a in steps]
            attributes[sc.FALLBACK_CHAIN] = [*chain, f"{self._provider or 'unknown'}:{self._tier or 'unknown'}"]
        if self._attempts:
            attributes[sc.ATTEMPTS] = json.dumps(self._attempts)
        return attributes

    def _end(self, error: BaseException | None) -> None:
        try:
            self._once.pop()  # atomic: of a finalizer, another thread and the block itself, one ends the call
        except IndexError:
            return
        attributes: dict[str, Any] = {}
        try:
            if self._delegated:
                attributes = {sc.DELEGATED: True, **self._extra}
            else:
                attributes = self._read_attempt(failed=error is not None)
                if self._tier is not None and self._tier != self._attributes.get(sc.TIER):
                    attributes[sc.TIER] = self._tier
                if self._attempts:
                    attributes.update(self._attempt_attributes())
                    _add_attempts(attributes, self._attempts)
                if error is not None and self._provider is None and sc.PROVIDER not in attributes:
                    provider = provider_of(error)  # nothing was answered, but the error tells whose it is
                    if provider is not None:
                        attributes[sc.PROVIDER] = provider
                answer = self._info or self._observed
                if answer is not None and answer.error_type is not None and error is None:
                    error = _InBand(answer.error_type, answer.error_message)
                model = attributes.get(sc.RESPONSE_MODEL)
                if self._model is None and model is not None:
                    operation = self._attributes[sc.OPERATION]
                    if answer is not None and answer.operation is not None and operation == sc.CHAT:
                        operation = attributes[sc.OPERATION] = answer.operation  # nothing was said: the default
                    self._span.update_name(f"{operation} {model}")
                elif self._original is not None:
                    self._span.update_name(f"{self._attributes[sc.OPERATION]} {self._model}")
                    attributes[sc.REQUEST_MODEL] = self._model or ""
        except Exception as failure_of_ours:
            HOOKS.failed("llm_call", failure_of_ours)
        end_span(self._span, attributes, error, end_ns=self._end_ns)
        # The context holds the scope, which holds this call: without the circle it is freed at once, not by the GC.
        self.context = _ENDED


class _InBand(Exception):  # noqa: N818 - never raised: an error that the provider told within a response
    def __init__(self, kind: str, message: str | None) -> None:
        super().__init__(message or kind)
        self.error_type = kind


class _Watcher:
    """Feeds a stream's chunks to a reader for the call that it belongs to."""

    __slots__ = ("_call", "_reader", "open", "proxied")

    def __init__(self, call: LLMCall, *, proxied: bool) -> None:
        self._call = call
        self._reader = StreamReader()
        self.open = True
        self.proxied = proxied

    def attach(self) -> Callable[[], None]:
        call = self._call
        if otel_context.get_current() is call.context:
            return _nothing
        inside = Entered(call.context)
        inside.attach()
        return inside.detach

    def chunk(self, chunk: object) -> None:
        call = self._call
        try:
            if self._reader.feed(chunk) and not call._first_ns and call._stream is self:
                call._first_ns = time.perf_counter_ns()
        except Exception as error:
            HOOKS.failed("llm_call.stream", error)

    def ended(self, error: BaseException | None, snapshot: object) -> None:
        call = self._call
        if not self.open or call._stream is not self:
            return
        self.open = False
        try:
            info = self._reader.result()
            if not info.usage_complete and snapshot is not None:
                whole = read_response(snapshot)
                if whole is not None and whole.finish_reasons:
                    info = whole
            if call._info is None or info.usage_complete or call._info.input_tokens is None:
                call._take(info)
            call._stream_ended(error)
        except Exception as failure:
            HOOKS.failed("llm_call.stream", failure)

    def generator_done(self, *, exhausted: bool) -> None:
        call = self._call
        self.open = False
        info = self._reader.result()
        if call._info is None and (info.model is not None or info.input_tokens is not None or not exhausted):
            call._take(info)


def _count(tokens: object) -> int | None:
    return tokens if type(tokens) is int and 0 <= tokens < _MAX else None


def _nothing() -> None:
    return None


def _from_util_genai(data: Any) -> ResponseInfo | None:
    """What an official instrumentation has put into its InferenceData, if it saw a response."""
    if data.usage_input_tokens is None and data.response_model is None and data.response_id is None:
        return None
    return ResponseInfo(
        provider=data.provider_name,
        model=data.response_model,
        response_id=data.response_id,
        operation=data.operation_name,
        finish_reasons=tuple(map(str, data.response_finish_reasons or ())),
        input_tokens=data.usage_input_tokens,
        output_tokens=data.usage_output_tokens,
        cache_read_tokens=data.usage_cache_read_input_tokens,
        cache_write_tokens=data.usage_cache_write_input_tokens,
        reasoning_tokens=data.usage_reasoning_output_tokens,
        usage_complete=data.usage_input_tokens is not None,
    )


def _add_attempts(attributes: dict[str, Any], attempts: Sequence[dict[str, Any]]) -> None:
    """Add what the earlier attempts used and cost; unknown once, unknown altogether."""
    for name, key in _USAGE:
        earlier = [attempt[name] for attempt in attempts if name in attempt]
        if earlier:
            attributes[key] = attributes.get(key, 0) + sum(earlier)
    used = [attempt for attempt in attempts if attempt.get("cost_source") != "none"]
    if not used:
        return
    if any("cost" not in attempt for attempt in used) or (
        sc.COST not in attributes and attributes.get(sc.COST_SOURCE) == "unknown"
    ):
        attributes.pop(sc.COST, None)
        attributes.pop(sc.BASELINE_COST, None)
        attributes[sc.COST_SOURCE] = "unknown"
        return
    attributes[sc.COST] = attributes.get(sc.COST, 0.0) + sum(attempt["cost"] for attempt in used)
    if attributes.get(sc.COST_SOURCE) == "none":
        attributes[sc.COST_SOURCE] = used[-1]["cost_source"]
    baseline = attributes.get(sc.BASELINE_COST, 0.0) + sum(attempt.get("baseline_cost", 0.0) for attempt in used)
    if baseline:
        attributes[sc.BASELINE_COST] = baseline


class NoCall(Entered):
    """Takes the place of a call where telemetry is off or has failed: accepts everything and does nothing."""

    __slots__ = ()
    trace_id = "0" * 32
    span_id = "0" * 16

    def __init__(self) -> None:
        super().__init__(otel_context.Context())

    def record(self, response: _T) -> _T:
        """Return the response."""
        return response

    def stream(self, iterable: Iterable[_T]) -> Any:
        """Return the stream itself."""
        return iterable

    def _ignore(self, *_: object, **__: object) -> None:
        return None

    set_usage = set_response = set_cost = set_circuit_breaker = set_content = set_attribute = _ignore
    retry = fallback = _ignore


NO_CALL = NoCall()
_ENDED = otel_context.Context()


def start_call(
    attributes: Mapping[str, Any], name: str, tracer: trace.Tracer, kind: SpanKind = SpanKind.CLIENT
) -> LLMCall:
    """Begin a call's span below the current scope; `attributes` are those known before the provider is asked."""
    context = otel_context.get_current()
    outer = scope_of(context) if context else NO_SCOPE
    merged = {**outer.attributes, **attributes} if outer.attributes else attributes
    return LLMCall(tracer.start_span(name, context, kind, merged), context, outer, merged)
