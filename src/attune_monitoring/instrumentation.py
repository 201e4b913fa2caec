"""`workflow`, `stage`, `llm_call`, `tool`, `annotate`: each a decorator, bare or with arguments, and a context manager.

OpenTelemetry's API only, never the SDK. A decorated function runs exactly once and returns or raises exactly what it
would have without us; arguments and results are never looked into, but for a provider's response.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from types import CodeType
from typing import Any, ClassVar, Literal, TypeVar, cast, overload

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from attune_monitoring import semconv as sc
from attune_monitoring.calls import NO_CALL, LLMCall, start_call
from attune_monitoring.records import encode_line
from attune_monitoring.scope import HOOKS, NOTHING_ENTERED, Entered, Run, Scope, scope_of, with_scope
from attune_monitoring.spans import end_span

__all__ = ["annotate", "llm_call", "stage", "tool", "workflow"]

_F = TypeVar("_F", bound=Callable[..., Any])
_Operation = Literal["chat", "generate_content", "text_completion", "embeddings"]


class _Instrument:
    """What the five have in common: how to wrap a function and how to be a context manager.

    One instance may be entered by many threads and tasks at once; each entry has its own `Entered`.
    """

    _nothing: ClassVar[Entered] = NOTHING_ENTERED
    _code: CodeType | None = None
    _line = 0

    def __init__(self) -> None:
        self._entries: list[Entered] = []

    def _start(self, tracer: trace.Tracer) -> Entered:
        raise NotImplementedError

    def _named(self, name: str) -> None:
        """Take a decorated function's name, where none was given."""

    def _enter(self) -> Entered:
        try:
            tracer = HOOKS.tracer()
            if tracer is None:
                return self._nothing
            entered = self._start(tracer)
            entered.attach()
        except RecursionError:  # the user's function may still fit where we and a log message do not
            return self._nothing
        except Exception as error:
            HOOKS.failed(type(self).__name__, error)
            return self._nothing
        return entered

    # --- context manager
    def __enter__(self) -> Any:
        if self._code is None:
            frame = sys._getframe(1)
            self._code, self._line = frame.f_code, frame.f_lineno
        entered = self._enter()
        # What could not begin keeps its place, or its end would be taken for that of another thread's block.
        begun = entered if entered is not self._nothing else Entered(otel_context.get_current())
        self._entries.append(begun)
        return entered

    def __exit__(self, kind: object, error: BaseException | None, trace_: object) -> None:
        entered = self._leave()
        entered.detach()
        _finish(entered, error)

    async def __aenter__(self) -> Any:
        if self._code is None:
            frame = sys._getframe(1)
            self._code, self._line = frame.f_code, frame.f_lineno
        return self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, trace_: object) -> None:
        self.__exit__(kind, error, trace_)

    def _leave(self) -> Entered:
        # Several threads and tasks may have entered: ours is the one whose context is current here.
        entries = self._entries
        current = otel_context.get_current()
        for entered in reversed(entries):
            if entered.context is current:
                entries.remove(entered)
                return entered
        return entries.pop()  # the block leaked a context of its own

    # --- decorator
    def __call__(self, function: _F) -> _F:
        if isinstance(function, (staticmethod, classmethod)):
            return cast(_F, type(function)(self(function.__func__)))
        runs = _what_runs(function)
        target = inspect.unwrap(runs)
        self._named(getattr(target, "__qualname__", type(target).__name__).rpartition("<locals>.")[2])
        code = getattr(target, "__code__", None)
        if code is not None:
            self._code, self._line = code, code.co_firstlineno
        if inspect.isasyncgenfunction(runs):
            wrapper: Any = _wrap_async_generator(self, function)
        elif inspect.isgeneratorfunction(runs):
            wrapper = _wrap_generator(self, function)
        elif inspect.iscoroutinefunction(runs):
            wrapper = _wrap_coroutine(self, function)
        else:
            wrapper = _wrap_function(self, function)
        return cast(_F, functools.wraps(function)(wrapper))

    def _source(self, attributes: dict[str, Any]) -> None:
        if self._code is not None:
            attributes[sc.CODE_FILE] = self._code.co_filename
            attributes[sc.CODE_LINE] = self._line


def _what_runs(function: Any) -> Any:
    """Look through `functools.partial` and objects with `__call__`: what runs may be a coroutine or a generator."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or isinstance(function, type):
        return function
    call = getattr(type(function), "__call__", None)
    return call if inspect.isfunction(call) else function


def _returned(entered: Entered, value: Any) -> Any:
    try:
        return entered.returned(value)
    except RecursionError:
        return value


def _yielded(entered: Entered, value: Any) -> None:
    try:
        entered.yielded(value)
    except RecursionError:
        return


def _finish(entered: Entered, error: BaseException | None) -> None:
    try:
        entered.finish(error)
    except RecursionError:  # nor is there room to say so
        return
    except Exception as failure:
        HOOKS.failed(type(entered).__name__, failure)


def _wrap_function(instrument: _Instrument, function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        entered = instrument._enter()
        if entered is instrument._nothing:
            return function(*args, **kwargs)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            entered.detach()
            _finish(entered, error)
            raise
        entered.detach()
        result = _returned(entered, result)
        _finish(entered, None)
        return result

    return wrapper


def _wrap_coroutine(instrument: _Instrument, function: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        entered = instrument._enter()
        if entered is instrument._nothing:
            return await function(*args, **kwargs)
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            entered.detach()
            _finish(entered, error)
            raise
        entered.detach()
        result = _returned(entered, result)
        _finish(entered, None)
        return result

    return wrapper


def _wrap_generator(instrument: _Instrument, function: Callable[..., Any]) -> Callable[..., Any]:
    """The scope is current only while the generator's own code runs, never in the consumer's between two items."""

    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator = function(*args, **kwargs)
        entered = instrument._enter()
        if entered is instrument._nothing:
            return (yield from generator)
        error: BaseException | None = None
        exhausted = False
        try:
            step, value = generator.send, None
            while True:
                try:
                    item = step(value)
                except StopIteration as stop:
                    exhausted = True
                    return stop.value
                finally:
                    entered.detach()
                _yielded(entered, item)
                try:
                    value = yield item
                except GeneratorExit:
                    entered.attach()
                    return generator.close()
                except BaseException as thrown:
                    step, value = generator.throw, thrown
                else:
                    step = generator.send
                entered.attach()
        except BaseException as raised:
            error = raised
            raise
        finally:
            entered.detach()
            _finish_generator(entered, error, exhausted=exhausted)
            error = value = None  # its traceback holds this frame: no circle for the garbage collector

    return wrapper


def _wrap_async_generator(instrument: _Instrument, function: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        generator = function(*args, **kwargs)
        entered = instrument._enter()
        error: BaseException | None = None
        exhausted = False
        try:
            step, value = generator.asend, None
            awaitable = _first_step(generator)
            while True:
                try:
                    item = await awaitable
                except StopAsyncIteration:
                    exhausted = True
                    return
                finally:
                    entered.detach()
                _yielded(entered, item)
                try:
                    value = yield item
                except GeneratorExit:
                    if entered is not instrument._nothing:
                        entered.attach()
                    await generator.aclose()
                    raise
                except BaseException as thrown:
                    step, value = generator.athrow, thrown
                else:
                    step = generator.asend
                if entered is not instrument._nothing:
                    entered.attach()
                awaitable = step(value)
        except BaseException as raised:
            error = raised
            raise
        finally:
            entered.detach()
            _finish_generator(entered, error, exhausted=exhausted)
            error = value = None  # its traceback holds this frame: no circle for the garbage collector

    return wrapper


def _first_step(generator: AsyncGenerator[Any, Any]) -> Awaitable[Any]:
    """Begin the inner generator without the event loop's knowledge.

    At its end the loop closes all generators that it knows at the same time: it would close the inner one while ours
    is doing that.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return generator.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)


def _finish_generator(entered: Entered, error: BaseException | None, *, exhausted: bool) -> None:
    try:
        if isinstance(entered, LLMCall):
            entered.finish_generator(error, exhausted=exhausted)
        else:
            entered.finish(error)
    except RecursionError:
        return
    except Exception as failure:
        HOOKS.failed(type(entered).__name__, failure)


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


class _Workflow(_Instrument):
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

    def _start(self, tracer: trace.Tracer) -> Entered:
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
        scope = Scope(inherited, run, None)
        inside = with_scope(context, scope)  # the recorder finds the run in the parent context
        span = tracer.start_span(f"{sc.INVOKE_WORKFLOW} {name}", inside, SpanKind.INTERNAL, attributes)
        return _RunEntered(span, inside, scope, run.run_id)


_STAGE_KEYS = frozenset({sc.STAGE_NAME, sc.STAGE_ID, sc.TIER, sc.TASK_TYPE, sc.STEP_NAME})


class _Stage(_Instrument):
    _nothing = _NO_RUN

    def __init__(self, name: str | None, tier: str | None, task_type: str | None) -> None:
        super().__init__()
        self._name = name
        self._tier = tier
        self._task_type = task_type

    def _named(self, name: str) -> None:
        self._name = self._name or name

    def _start(self, tracer: trace.Tracer) -> Entered:
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
        return _StageEntered(span, context, Scope(inherited, outer.run, None))


class _Tool(_Instrument):
    _nothing = _NO_RUN

    def __init__(self, name: str | None, call_id: str | None, kind: str | None) -> None:
        super().__init__()
        self._name = name
        self._call_id = call_id
        self._type = kind

    def _named(self, name: str) -> None:
        self._name = self._name or name

    def _start(self, tracer: trace.Tracer) -> Entered:
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
        return _SpanEntered(span, context, Scope(outer.attributes, outer.run, None))


class _Annotate(_Instrument):
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
        return Entered(with_scope(context, Scope(inherited, outer.run, outer.call)))


def _metadata_text(outer: str | None, metadata: Mapping[str, Any]) -> str:
    text = encode_line(metadata).decode()
    # Both are JSON objects: inner keys come last, and the last of a key wins when it is read.
    return text if not outer or outer == "{}" else f"{outer[:-1]},{text[1:]}"


class _LLMCallInstrument(_Instrument):
    _nothing = NO_CALL
    _located = False

    def __init__(self, attributes: dict[str, Any], span_name: str) -> None:
        self._entries = []
        self._attributes = attributes
        self._span_name = span_name

    def _start(self, tracer: trace.Tracer) -> Entered:
        if not self._located:
            self._located = True
            self._source(self._attributes)
        return start_call(self._attributes, self._span_name, tracer)

    def _named(self, name: str) -> None:
        self._attributes.setdefault(sc.STEP_NAME, name)


def _is_decorated(given: object) -> bool:
    return callable(given) or isinstance(given, classmethod)  # which alone of the methods cannot be called itself


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:
        HOOKS.failed("an argument", error)
        return ""


def _annotations(user_id: object, session_id: object, project: object) -> dict[str, str]:
    given = ((sc.USER_ID, user_id), (sc.CONVERSATION_ID, session_id), (sc.PROJECT, project))
    return {key: _text(value) for key, value in given if value is not None}


@overload
def workflow(name: _F, /) -> _F: ...
@overload
def workflow(
    name: str | None = None,
    *,
    user_id: str | None = None,
    session_id: str | None = None,
    project: str | None = None,
    trigger: str | None = None,
) -> _Workflow: ...
def workflow(
    name: Any = None,
    *,
    user_id: str | None = None,
    session_id: str | None = None,
    project: str | None = None,
    trigger: str | None = None,
) -> Any:
    """Record a workflow run: `@workflow`, `@workflow("name")` or `with workflow("name") as run:`.

    All calls made inside carry the run's id; when the run ends, its sums are written.

    Args:
        name: the workflow's name; a decorated function's own name by default.
        user_id: for whom it runs.
        session_id: the conversation it belongs to.
        project: whose bill it goes to.
        trigger: what started it (free text).
    """
    if _is_decorated(name):
        return _Workflow(None, {}, None)(name)
    return _Workflow(name, _annotations(user_id, session_id, project), trigger)


@overload
def stage(name: _F, /) -> _F: ...
@overload
def stage(name: str | None = None, *, tier: str | None = None, task_type: str | None = None) -> _Stage: ...
def stage(name: Any = None, *, tier: str | None = None, task_type: str | None = None) -> Any:
    """Record a stage of a workflow: `@stage`, `@stage("name")` or `with stage("name", tier="cheap") as s:`.

    Args:
        name: the stage's name; a decorated function's own name by default.
        tier: cheap, capable or premium: what the calls inside are, unless they say otherwise.
        task_type: what the calls inside are for, unless they say otherwise.
    """
    if _is_decorated(name):
        return _Stage(None, None, None)(name)
    return _Stage(name, tier, task_type)


@overload
def tool(name: _F, /) -> _F: ...
@overload
def tool(name: str | None = None, *, call_id: str | None = None, type: str | None = None) -> _Tool: ...
def tool(name: Any = None, *, call_id: str | None = None, type: str | None = None) -> Any:  # noqa: A002
    """Record the execution of a tool: `@tool`, `@tool("name")` or `with tool("name"):`.

    Args:
        name: the tool's name; a decorated function's own name by default.
        call_id: the id that the model gave to this call.
        type: function, extension or datastore.
    """
    if _is_decorated(name):
        return _Tool(None, None, None)(name)
    return _Tool(name, call_id, type)


@overload
def annotate(function: _F, /) -> _F: ...
@overload
def annotate(
    function: None = None,
    /,
    *,
    user_id: str | None = None,
    session_id: str | None = None,
    project: str | None = None,
    **metadata: object,
) -> _Annotate: ...
def annotate(
    function: Any = None,
    /,
    *,
    user_id: str | None = None,
    session_id: str | None = None,
    project: str | None = None,
    **metadata: object,
) -> Any:
    """Say for whom all that runs inside runs: `with annotate(user_id="u1", release="1.2"):` or as a decorator.

    Args:
        function: the decorated function, where there are no arguments.
        user_id: for whom.
        session_id: the conversation.
        project: whose bill it goes to.
        metadata: anything else that JSON can hold; stands in the records' `metadata`.
    """
    if _is_decorated(function):
        return _Annotate({}, {})(function)
    return _Annotate(_annotations(user_id, session_id, project), metadata)


@overload
def llm_call(function: _F, /) -> _F: ...
@overload
def llm_call(
    function: None = None,
    /,
    *,
    provider: str | None = None,
    model: str | None = None,
    task_type: str | None = None,
    tier: str | None = None,
    operation: _Operation = "chat",
    step: str | None = None,
    server_address: str | None = None,
    server_port: int | None = None,
) -> _LLMCallInstrument: ...
def llm_call(
    function: Any = None,
    /,
    *,
    provider: str | None = None,
    model: str | None = None,
    task_type: str | None = None,
    tier: str | None = None,
    operation: _Operation = "chat",
    step: str | None = None,
    server_address: str | None = None,
    server_port: int | None = None,
) -> Any:
    """Record a call of a language model: `@llm_call`, `@llm_call(...)` or `with llm_call(...) as call:`.

    A decorated function that returns the provider's response needs no arguments: provider, model and usage are read
    from it. With `with`, hand the response to `call.record`, or iterate over `call.stream(response)`.

    Args:
        function: the decorated function, where there are no arguments.
        provider: as in `gen_ai.provider.name`: openai, anthropic, gcp.gemini, ollama …
        model: the model that is asked.
        task_type: what the call is for: summarize, classify, fix_bug … (free text).
        tier: cheap, capable or premium; by default what the price list says of the model.
        operation: chat, generate_content, text_completion or embeddings.
        step: the step's name in the records; by default the stage's, else the decorated function's.
        server_address: host name of the provider's server.
        server_port: its port.
    """
    attributes: dict[str, Any] = {sc.OPERATION: operation}
    if provider is not None:
        provider = _text(provider)
        attributes[sc.PROVIDER] = sc.PROVIDER_ALIASES.get(provider.lower(), provider)
    if model is not None:
        attributes[sc.REQUEST_MODEL] = _text(model)
    if task_type is not None:
        attributes[sc.TASK_TYPE] = _text(task_type)
    if tier is not None:
        attributes[sc.TIER] = _text(tier)
    if step is not None:
        attributes[sc.STEP_NAME] = _text(step)
    if server_address is not None:
        attributes[sc.SERVER_ADDRESS] = server_address
    if server_port is not None:
        attributes[sc.SERVER_PORT] = server_port
    instrument = _LLMCallInstrument(attributes, operation if model is None else f"{operation} {model}")
    return instrument(function) if _is_decorated(function) else instrument
