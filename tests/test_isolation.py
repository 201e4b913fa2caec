"""A decorated function does what it would have done without us, whatever it is and whatever it does.

Each test is one row of the table that users of such libraries suffer from, for every decorator in every form.
"""

import asyncio
import contextlib
import copy
import functools
import gc
import inspect
import itertools
import logging
import os
import pickle
import signal
import socket
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, NamedTuple

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import StatusCode

from attune_monitoring import annotate, llm_call, stage, tool, workflow
from attune_monitoring import semconv as sc
from attune_monitoring.config import load_config
from attune_monitoring.providers import isolated
from attune_monitoring.records import LLMCallRecord
from attune_monitoring.scope import HOOKS
from attune_monitoring.testing import Captured, capture

pytestmark = pytest.mark.slow  # thousands of small cases

DECORATORS: dict[str, Any] = {
    "workflow": workflow,
    "stage": stage,
    "llm_call": llm_call,
    "tool": tool,
    "annotate": annotate,
}
WITH_ARGUMENTS: dict[str, Callable[[], Any]] = {
    "workflow": lambda: workflow("review", user_id="u1", trigger="test"),
    "stage": lambda: stage("analyze", tier="cheap"),
    "llm_call": lambda: llm_call(provider="openai", model="gpt-4o-mini", task_type="classify"),
    "tool": lambda: tool("search", call_id="c1"),
    "annotate": lambda: annotate(user_id="u1", release="1.2"),
}
KINDS = ("function", "coroutine", "generator", "async generator")


class Instrumented(NamedTuple):
    """One decorator in one form."""

    name: str
    form: str

    def __call__(self, function: Any) -> Any:
        if self.form == "bare":
            return DECORATORS[self.name](function)
        if self.form == "arguments":
            return WITH_ARGUMENTS[self.name]()(function)
        return _inside_block(WITH_ARGUMENTS[self.name], function, self.form)

    @property
    def makes_span(self) -> bool:
        return self.name != "annotate"


def _inside_block(make: Callable[[], Any], function: Any, form: str) -> Any:
    if not inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        def block(*args: Any, **kwargs: Any) -> Any:
            with make():
                return function(*args, **kwargs)

        return block

    @functools.wraps(function)
    async def async_block(*args: Any, **kwargs: Any) -> Any:
        if form == "with":
            with make():
                return await function(*args, **kwargs)
        async with make():
            return await function(*args, **kwargs)

    return async_block


def _forms(*kinds: str) -> list[Any]:
    found = []
    for kind in kinds:
        blocks = {"function": ["with"], "coroutine": ["with", "async with"]}.get(kind, [])
        for form in ("bare", "arguments", *blocks):
            for name in DECORATORS:
                prefix = f"{kind}-" if len(kinds) > 1 else ""
                found.append(pytest.param(kind, Instrumented(name, form), id=f"{prefix}{name}-{form}"))
    return found


def forms(*kinds: str) -> Any:
    """Every decorator in every form that exists for these kinds of function."""
    return pytest.mark.parametrize(("kind", "instrumented"), _forms(*kinds))


def of_kind(kind: str, body: Callable[..., Any]) -> Any:
    """The same body as a function, coroutine, generator (which returns its result) or async generator."""
    if kind == "function":

        def user_function(*args: Any, **kwargs: Any) -> Any:
            return body(*args, **kwargs)

        return user_function
    if kind == "coroutine":

        async def user_coroutine(*args: Any, **kwargs: Any) -> Any:
            return body(*args, **kwargs)

        return user_coroutine
    if kind == "generator":

        def user_generator(*args: Any, **kwargs: Any) -> Any:
            yield "item"
            return body(*args, **kwargs)

        return user_generator

    async def user_async_generator(*args: Any, **kwargs: Any) -> Any:
        yield "item"
        yield body(*args, **kwargs)

    return user_async_generator


def step(awaitable: Any) -> Any:
    """Run an awaitable that never suspends."""
    try:
        awaitable.__await__().send(None) if not hasattr(awaitable, "send") else awaitable.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("suspended")


def run(kind: str, function: Any, *args: Any, **kwargs: Any) -> Any:
    """Run to the end and return the body's result."""
    if kind == "function":
        return function(*args, **kwargs)
    if kind == "coroutine":
        return step(function(*args, **kwargs))
    running = function(*args, **kwargs)
    if kind == "generator":
        assert next(running) == "item"
        try:
            next(running)
        except StopIteration as stop:
            return stop.value
        raise AssertionError("not exhausted")
    assert step(running.__anext__()) == "item"
    result = step(running.__anext__())
    with pytest.raises(StopAsyncIteration):
        step(running.__anext__())
    return result


def in_loop(main: Callable[[], Any]) -> Any:
    """Run a coroutine function in a loop of its own; nothing may be reported to the loop's exception handler."""
    reported: list[Any] = []

    async def inside() -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        before = otel_context.get_current()
        result = await main()
        assert otel_context.get_current() is before
        return result

    result = asyncio.run(inside())
    assert reported == []
    return result


def spans_named(captured: Captured, *, of: Instrumented) -> list[Any]:
    """The spans that are not the children which a test made by `probe`."""
    spans = [span for span in captured.spans if span.attributes.get(sc.TOOL_NAME) != "probe"]
    assert of.makes_span or not spans
    return spans


def current_span_id() -> int:
    return trace.get_current_span().get_span_context().span_id


@pytest.fixture(autouse=True)
def nothing_leaks(caplog):
    """Whatever happens, the context is as before, nothing of ours fails and OpenTelemetry has nothing to say."""
    context = otel_context.get_current()
    failures = dict(HOOKS.failures)
    yield
    assert otel_context.get_current() is context
    assert dict(HOOKS.failures) == failures
    assert [record.getMessage() for record in caplog.records if record.name.startswith("opentelemetry")] == []


@contextlib.contextmanager
def failures_of_ours_allowed() -> Any:
    """For tests that provoke some: they are counted, and forgotten afterwards."""
    before = HOOKS.failures.copy()
    yield
    HOOKS.failures.clear()
    HOOKS.failures.update(before)


class Hostile:
    """Raises from whatever it is asked."""

    def _refuse(self, *_: Any) -> Any:
        raise ValueError("leave me alone")

    __repr__ = __str__ = __eq__ = __bool__ = __len__ = __iter__ = __getattr__ = __getitem__ = _refuse
    __hash__ = _refuse
    __class__ = property(_refuse)  # type: ignore[assignment]


def circular() -> dict[str, Any]:
    found: dict[str, Any] = {}
    found["self"] = found
    return found


VALUES = {
    "none": lambda: None,
    "hostile": Hostile,
    "circular": circular,
    "hostile class": lambda: Hostile,
    "exception": lambda: ValueError("a value, not raised"),
    "generator": lambda: (number for number in range(3)),
    "bytes": lambda: b"\xff" * 10,
    "huge": lambda: 10**5000,
    "surrogate": lambda: "\ud800",
    "lookalike": lambda: {"usage": circular(), "model": Hostile(), "choices": Hostile()},
}


# --- results, arguments and exceptions ----------------------------------------------------------------------------
@forms(*KINDS)
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_arguments_and_results_pass_untouched(kind, instrumented, value, attune_capture):
    given, keyword, result = value(), value(), value()
    seen: list[Any] = []

    def body(argument: Any, *, key: Any) -> Any:
        seen.append((argument, key))
        return result

    assert run(kind, instrumented(of_kind(kind, body)), given, key=keyword) is result
    assert len(seen) == 1
    assert seen[0][0] is given
    assert seen[0][1] is keyword
    assert len(spans_named(attune_capture, of=instrumented)) == instrumented.makes_span


class OwnBaseException(BaseException):
    """Neither an Exception nor known to anybody."""


class NoTextError(Exception):
    """Cannot be shown."""

    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


class EvasiveError(Exception):
    """Whatever it is asked for raises something else."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


class ControlFlow(SystemExit):
    """An exit of an application's own."""


ERRORS: dict[str, tuple[Callable[[], BaseException], StatusCode]] = {
    "Exception": (lambda: ValueError("wrong"), StatusCode.ERROR),
    "KeyboardInterrupt": (KeyboardInterrupt, StatusCode.ERROR),
    "SystemExit(0)": (lambda: SystemExit(0), StatusCode.UNSET),
    "SystemExit()": (SystemExit, StatusCode.UNSET),
    "SystemExit(1)": (lambda: SystemExit(1), StatusCode.ERROR),
    "SystemExit(text)": (lambda: ControlFlow("usage: …"), StatusCode.ERROR),
    "GeneratorExit": (GeneratorExit, StatusCode.UNSET),
    "StopIteration": (lambda: StopIteration(7), StatusCode.ERROR),
    "StopAsyncIteration": (StopAsyncIteration, StatusCode.ERROR),
    "CancelledError": (asyncio.CancelledError, StatusCode.UNSET),
    "ExceptionGroup": (lambda: ExceptionGroup("two", [ValueError("a"), TypeError("b")]), StatusCode.ERROR),
    "BaseExceptionGroup": (lambda: BaseExceptionGroup("one", [KeyboardInterrupt()]), StatusCode.ERROR),
    "BaseException": (OwnBaseException, StatusCode.ERROR),
    "RecursionError": (RecursionError, StatusCode.ERROR),
    "MemoryError": (MemoryError, StatusCode.ERROR),
    "no text": (NoTextError, StatusCode.ERROR),
    "evasive": (EvasiveError, StatusCode.ERROR),
}


@forms(*KINDS)
@pytest.mark.parametrize(("make", "status"), ERRORS.values(), ids=ERRORS)
def test_what_is_raised_is_raised_unchanged(kind, instrumented, make, status, attune_capture):
    error = make()
    cause, context = KeyError("cause"), LookupError("context")
    times = []

    def body() -> None:
        times.append(1)
        try:
            raise context
        except LookupError:
            raise error from cause

    def outcome(function: Any) -> BaseException:
        times.clear()
        with pytest.raises(BaseException) as caught:  # noqa: PT011 - any of them
            run(kind, function)
        assert times == [1]
        return caught.value

    plain = outcome(of_kind(kind, body))
    names = [frame.name for frame in traceback.extract_tb(plain.__traceback__)]
    error.__traceback__ = None
    found = outcome(instrumented(of_kind(kind, body)))
    if plain is error:
        assert found is error
        assert (found.__cause__, found.__context__, found.__suppress_context__) == (cause, context, True)
    else:  # Python makes a RuntimeError of a StopIteration that leaves a coroutine or generator
        assert (type(found), found.args, found.__cause__) == (type(plain), plain.args, error)
        status = StatusCode.ERROR
    if plain is error:
        inner = names[names.index(f"user_{kind.replace(' ', '_')}") :]
        assert [frame.name for frame in traceback.extract_tb(found.__traceback__)][-len(inner) :] == inner
    for span in spans_named(attune_capture, of=instrumented):
        assert span.status.status_code is status
        assert (sc.ERROR_TYPE in span.attributes) is (status is StatusCode.ERROR)
        assert span.attributes.get(sc.CANCELLED, False) is isinstance(error, asyncio.CancelledError)


@forms(*KINDS)
def test_an_exception_raised_while_another_is_handled_keeps_its_context(kind, instrumented, attune_capture):
    error = ValueError("second")

    def body() -> None:
        raise error

    function = instrumented(of_kind(kind, body))
    handled = KeyError("first")
    try:
        raise handled
    except KeyError:
        with pytest.raises(ValueError, match="second"):
            run(kind, function)
    assert error.__context__ is handled
    assert handled.__context__ is None


@forms(*KINDS)
def test_a_caught_exception_is_freed_with_its_last_reference(kind, instrumented, attune_capture):
    class Payload:
        pass

    alive: list[Any] = []

    def body() -> None:
        payload = Payload()
        alive.append(weakref.ref(payload))
        raise ValueError("holds its frames")

    function = instrumented(of_kind(kind, body))
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(ValueError):
            run(kind, function)
        assert alive[0]() is None
    finally:
        gc.enable()


@forms(*KINDS)
def test_the_span_lasts_as_long_as_the_function(kind, instrumented, attune_capture):
    inside: list[int] = []

    def body() -> None:
        inside.append(time.time_ns())
        inside.append(time.time_ns())

    before = time.time_ns()
    run(kind, instrumented(of_kind(kind, body)))
    after = time.time_ns()
    for span in spans_named(attune_capture, of=instrumented):
        assert before <= span.start_time <= inside[0] <= inside[1] <= span.end_time <= after
        assert span.status.status_code is StatusCode.UNSET


@forms("coroutine", "async generator")
def test_the_span_of_a_suspended_function_lasts_until_its_end(kind, instrumented, attune_capture):
    inside: list[int] = []

    async def pause() -> None:
        inside.append(time.time_ns())
        reached = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(reached.set_result, None)
        await reached
        inside.append(time.time_ns())

    if kind == "coroutine":

        @instrumented
        async def function() -> None:
            await pause()

        in_loop(function)
    else:

        @instrumented
        async def generate() -> Any:
            yield 1
            await pause()
            yield 2

        async def consume() -> list[int]:
            return [item async for item in generate()]

        assert in_loop(consume) == [1, 2]
    for span in spans_named(attune_capture, of=instrumented):
        assert span.start_time <= inside[0] <= inside[1] <= span.end_time


# --- what can be decorated ----------------------------------------------------------------------------------------
@forms(*KINDS)
def test_a_decorated_function_looks_like_itself(kind, instrumented):
    def user_function(first: int, *, second: str = "x") -> bytes:
        """Says something."""
        raise NotImplementedError

    async def user_coroutine(first: int, *, second: str = "x") -> bytes:
        """Says something."""
        raise NotImplementedError

    def user_generator(first: int, *, second: str = "x") -> Any:
        """Says something."""
        yield first

    async def user_async_generator(first: int, *, second: str = "x") -> Any:
        """Says something."""
        yield first

    functions = dict(zip(KINDS, (user_function, user_coroutine, user_generator, user_async_generator), strict=True))
    original: Any = functions[kind]
    original.mark = "kept"
    decorated = instrumented(original)
    assert decorated.__wrapped__ is original
    assert decorated.mark == "kept"
    assert inspect.signature(decorated) == inspect.signature(original)
    for name in ("__name__", "__qualname__", "__doc__", "__module__", "__annotations__"):
        assert getattr(decorated, name) == getattr(original, name)
    for question in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
        assert question(decorated) is question(original)


@forms("function")
def test_methods_static_and_class_methods_work(kind, instrumented, attune_capture):
    class Thing:
        @instrumented
        def method(self, value: int) -> Any:
            return self, value

        @staticmethod
        @instrumented
        def static_outside(value: int) -> int:
            return value

        @classmethod
        @instrumented
        def class_outside(cls, value: int) -> Any:
            return cls, value

    class Child(Thing):
        def method(self, value: int) -> Any:
            return super().method(value)

    thing = Child()
    assert thing.method(1) == (thing, 1)
    assert Thing.static_outside(2) == thing.static_outside(2) == 2
    assert Child.class_outside(3) == thing.class_outside(3) == (Child, 3)
    assert len(spans_named(attune_capture, of=instrumented)) == 5 * instrumented.makes_span


@pytest.mark.parametrize("form", ["bare", "arguments"])
@pytest.mark.parametrize("name", DECORATORS)
def test_a_decorator_goes_above_staticmethod_and_classmethod_as_well(name, form, attune_capture):
    instrumented = Instrumented(name, form)

    class Thing:
        @instrumented
        @staticmethod
        def static(value: int) -> int:
            return value

        @instrumented
        @classmethod
        def klass(cls, value: int) -> Any:
            return cls, value

    assert (Thing.static(1), Thing().static(1)) == (1, 1)
    assert (Thing.klass(2), Thing().klass(2)) == ((Thing, 2), (Thing, 2))
    assert len(spans_named(attune_capture, of=instrumented)) == 4 * instrumented.makes_span


class Callable_:  # noqa: N801
    def __call__(self, value: int) -> int:
        return value + 1


class AsyncCallable:
    async def __call__(self, inside: list[int]) -> int:
        inside.append(current_span_id())
        return 1


@forms("function")
@pytest.mark.parametrize(
    "make",
    [lambda: functools.partial(lambda a, b: a + b, 1), Callable_, lambda: lambda v: v + 1, lambda: (1).__add__],
    ids=["partial", "callable object", "lambda", "builtin method"],
)
def test_callables_that_are_no_plain_functions_work(kind, instrumented, make, attune_capture):
    assert instrumented(make())(41) == 42
    assert len(spans_named(attune_capture, of=instrumented)) == instrumented.makes_span


@pytest.mark.parametrize("form", ["bare", "arguments"])
@pytest.mark.parametrize("name", ["workflow", "stage", "llm_call", "tool"])
def test_asynchronous_callables_that_are_no_plain_functions_are_awaited_inside_the_span(name, form, attune_capture):
    async def user_coroutine(inside: list[int]) -> int:
        inside.append(current_span_id())
        return 1

    for function in (functools.partial(user_coroutine), AsyncCallable(), AsyncCallable().__call__):
        inside: list[int] = []
        decorated = Instrumented(name, form)(function)
        assert inspect.iscoroutinefunction(decorated)
        assert step(decorated(inside)) == 1
        assert inside == [attune_capture.spans[-1].context.span_id]


@workflow
def pickled_workflow():
    return 1


@stage("named")
def pickled_stage():
    return 2


@llm_call(provider="openai")
def pickled_call():
    return 3


@tool
def pickled_tool():
    return 4


@annotate(user_id="u1")
def pickled_annotated():
    return 5


@pytest.mark.parametrize("function", [pickled_workflow, pickled_stage, pickled_call, pickled_tool, pickled_annotated])
def test_a_decorated_function_of_a_module_can_be_pickled_and_copied(function, attune_capture):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(function, protocol)) is function
    assert copy.deepcopy(function)() == function() == function.__wrapped__()


@forms(*KINDS)
def test_wrong_arguments_raise_the_same_error(kind, instrumented, attune_capture):
    async def user_coroutine(one: int) -> None: ...

    def user_function(one: int) -> None: ...

    def user_generator(one: int) -> Any:
        yield

    async def user_async_generator(one: int) -> Any:
        yield

    functions = dict(zip(KINDS, (user_function, user_coroutine, user_generator, user_async_generator), strict=True))
    with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'one'"):
        run(kind, instrumented(functions[kind]))


# --- generators ---------------------------------------------------------------------------------------------------
def _generator_forms(*names: str) -> Any:
    return pytest.mark.parametrize(
        "instrumented",
        [Instrumented(name, form) for name in names or DECORATORS for form in ("bare", "arguments")],
        ids=lambda one: f"{one.name}-{one.form}",
    )


@_generator_forms()
def test_a_generator_takes_what_is_sent_and_thrown_and_returns_its_value(instrumented, attune_capture):
    log: list[Any] = []

    @instrumented
    def generate() -> Any:
        log.append((yield 1))
        try:
            yield 2
        except KeyError as error:
            log.append(error)
        yield 3
        return "done"

    generator = generate()
    assert inspect.isgenerator(generator)
    assert next(generator) == 1
    assert generator.send("sent") == 2
    thrown = KeyError("thrown")
    assert generator.throw(thrown) == 3
    assert thrown.__context__ is None
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == "done"
    assert log == ["sent", thrown]
    assert len(spans_named(attune_capture, of=instrumented)) == instrumented.makes_span


@_generator_forms()
def test_a_generator_can_be_delegated_to(instrumented, attune_capture):
    @instrumented
    def inner() -> Any:
        received = yield 1
        return received

    def outer() -> Any:
        return (yield from inner())

    generator = outer()
    assert next(generator) == 1
    with pytest.raises(StopIteration) as stop:
        generator.send("through")
    assert stop.value.value == "through"


@_generator_forms()
@pytest.mark.parametrize("error", [ValueError("thrown"), StopIteration("thrown"), asyncio.CancelledError("thrown")])
def test_what_is_thrown_into_a_generator_and_not_caught_comes_out_as_without_us(instrumented, error, attune_capture):
    def generate() -> Any:
        yield 1

    def outcome(function: Any) -> BaseException:
        generator = function()
        next(generator)
        with pytest.raises(BaseException) as caught:  # noqa: PT011
            generator.throw(error)
        assert list(generator) == []
        return caught.value

    plain, found = outcome(generate), outcome(instrumented(generate))
    assert (found is error) is (plain is error)
    assert (type(found), found.args) == (type(plain), plain.args)


@_generator_forms()
def test_a_generator_left_early_ends_its_span_without_error(instrumented, attune_capture):
    cleaned: list[str] = []

    @instrumented
    def generate() -> Any:
        try:
            yield 1
            yield 2
        finally:
            cleaned.append("finally")

    for _ in generate():
        break
    assert cleaned == ["finally"]
    for span in spans_named(attune_capture, of=instrumented):
        assert span.status.status_code is StatusCode.UNSET
        assert span.end_time is not None
    assert len(attune_capture.spans) == instrumented.makes_span


@_generator_forms()
def test_a_generator_that_was_never_begun_makes_no_span(instrumented, attune_capture):
    @instrumented
    def generate() -> Any:
        yield 1

    generate().close()
    del generate
    assert attune_capture.spans == []


@_generator_forms()
def test_a_generator_that_yields_after_close_is_told_so(instrumented, attune_capture):
    @instrumented
    def stubborn() -> Any:
        while True:
            try:
                yield 1
            except GeneratorExit:
                yield 2
                return

    generator = stubborn()
    next(generator)
    with pytest.raises(RuntimeError, match="generator ignored GeneratorExit"):
        generator.close()
    assert len(attune_capture.spans) == instrumented.makes_span


@_generator_forms()
def test_spans_of_the_consumer_are_not_children_of_the_generator(instrumented, attune_capture):
    @instrumented
    def generate() -> Any:
        for _ in range(3):
            with tool("probe"):
                yield current_span_id()

    @instrumented
    def generate_plainly() -> Any:
        yield from range(3)

    outside = otel_context.get_current()
    with tool("consumer"):
        consumer, between = current_span_id(), otel_context.get_current()
        for _ in generate_plainly():
            assert otel_context.get_current() is between
            with tool("item"):
                pass
        assert otel_context.get_current() is between
    assert otel_context.get_current() is outside
    items = [span for span in attune_capture.spans if span.attributes.get(sc.TOOL_NAME) == "item"]
    assert [span.parent.span_id for span in items] == [consumer] * 3


@_generator_forms("workflow", "stage", "llm_call", "tool")
def test_spans_made_in_a_generator_are_its_children(instrumented, attune_capture):
    @instrumented
    def generate() -> Any:
        for number in range(3):
            with tool("probe"):
                pass
            yield number

    assert list(generate()) == [0, 1, 2]
    [own] = spans_named(attune_capture, of=instrumented)
    probes = [span for span in attune_capture.spans if span is not own]
    assert [span.parent.span_id for span in probes] == [own.context.span_id] * 3


@_generator_forms()
def test_a_generator_may_be_drained_and_closed_in_other_threads_than_it_began_in(instrumented, attune_capture):
    @instrumented
    def generate() -> Any:
        yield 1
        yield 2
        yield 3

    generator = generate()
    assert next(generator) == 1
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(next, generator).result() == 2
    with ThreadPoolExecutor(1) as pool:
        pool.submit(generator.close).result()
    assert len(attune_capture.spans) == instrumented.makes_span


# --- async generators ---------------------------------------------------------------------------------------------
@_generator_forms()
def test_an_async_generator_takes_what_is_sent_and_thrown(instrumented, attune_capture):
    log: list[Any] = []

    @instrumented
    async def generate() -> Any:
        log.append((yield 1))
        try:
            yield 2
        except KeyError as error:
            log.append(error)
        yield 3

    async def main() -> None:
        generator = generate()
        assert await anext(generator) == 1
        assert await generator.asend("sent") == 2
        thrown = KeyError("thrown")
        assert await generator.athrow(thrown) == 3
        assert log == ["sent", thrown]
        assert [item async for item in generator] == []

    in_loop(main)
    assert len(spans_named(attune_capture, of=instrumented)) == instrumented.makes_span


@_generator_forms()
@pytest.mark.parametrize("how", ["close", "abandon", "close in another task", "left to the loop's end"])
def test_an_async_generator_left_early_ends_its_span_and_leaks_nothing(instrumented, how, attune_capture):
    cleaned: list[str] = []
    kept: list[Any] = []

    @instrumented
    async def generate() -> Any:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            cleaned.append("finally")

    async def main() -> None:
        between = otel_context.get_current()
        generator = generate()
        async for _ in generator:
            assert otel_context.get_current() is between
            break
        assert otel_context.get_current() is between
        if how == "close":
            await generator.aclose()
        elif how == "close in another task":
            await asyncio.create_task(generator.aclose())
        elif how == "abandon":
            del generator
            gc.collect()
            while not cleaned:
                await asyncio.sleep(0)
        else:
            kept.append(generator)

    in_loop(main)
    assert cleaned == ["finally"]
    for span in spans_named(attune_capture, of=instrumented):
        assert span.status.status_code is StatusCode.UNSET
    assert len(attune_capture.spans) == instrumented.makes_span


@_generator_forms()
def test_spans_of_an_async_consumer_are_not_children_of_the_generator(instrumented, attune_capture):
    @instrumented
    async def generate() -> Any:
        for number in range(3):
            with tool("probe"):
                await asyncio.sleep(0)
            yield number

    async def main() -> None:
        with tool("consumer"):
            between = otel_context.get_current()
            async for _ in generate():
                assert otel_context.get_current() is between
                with tool("item"):
                    await asyncio.sleep(0)

    in_loop(main)
    [consumer] = [span for span in attune_capture.spans if span.attributes.get(sc.TOOL_NAME) == "consumer"]
    items = [span for span in attune_capture.spans if span.attributes.get(sc.TOOL_NAME) == "item"]
    assert [span.parent.span_id for span in items] == [consumer.context.span_id] * 3
    probes = [span for span in attune_capture.spans if span.attributes.get(sc.TOOL_NAME) == "probe"]
    own = [span for span in attune_capture.spans if span not in (consumer, *items, *probes)]
    if instrumented.makes_span:
        assert {span.parent.span_id for span in probes} == {own[0].context.span_id}


# --- cancellation, tasks, threads, processes ------------------------------------------------------------------------
@forms("coroutine", "async generator")
def test_a_cancelled_task_is_no_error(kind, instrumented, attune_capture):
    caught: list[BaseException] = []

    async def wait() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError as error:
            caught.append(error)
            raise

    async def user_coroutine() -> None:
        await wait()

    async def user_async_generator() -> Any:
        yield 1
        await wait()

    async def main() -> None:
        async def consume() -> None:
            async for _ in instrumented(user_async_generator)():
                pass

        task = asyncio.create_task(instrumented(user_coroutine)() if kind == "coroutine" else consume())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError, match="enough") as error:
            await task
        assert [error.value] == caught
        assert task.cancelled()

    in_loop(main)
    for span in spans_named(attune_capture, of=instrumented):
        assert (span.status.status_code, span.attributes[sc.CANCELLED]) == (StatusCode.UNSET, True)
        assert sc.ERROR_TYPE not in span.attributes
    for call in attune_capture.calls:
        assert (call.success, call.cancelled, call.error_type) == (False, True, None)


@forms("coroutine")
def test_a_timeout_around_reaches_the_caller_as_a_timeout(kind, instrumented, attune_capture):
    @instrumented
    async def user_coroutine() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await user_coroutine()

    in_loop(main)


def _children_are_linked(captured: Captured, instrumented: Instrumented, expected: int) -> None:
    probes = [span for span in captured.spans if span.attributes.get(sc.TOOL_NAME) == "probe"]
    assert len(probes) == expected
    if instrumented.makes_span:
        [own] = spans_named(captured, of=instrumented)
        assert {span.parent.span_id for span in probes} == {own.context.span_id}
        assert {span.context.trace_id for span in probes} == {own.context.trace_id}
    elif instrumented.form != "bare":
        assert {span.attributes[sc.USER_ID] for span in probes} == {"u1"}


def probe() -> None:
    with tool("probe"):
        pass


@forms(*KINDS)
def test_children_in_threads_with_the_context_are_linked(kind, instrumented, attune_capture):
    def body() -> None:
        with ThreadPoolExecutor(2) as pool:
            for future in [pool.submit(copy_context().run, probe) for _ in range(4)]:
                future.result()

    run(kind, instrumented(of_kind(kind, body)))
    _children_are_linked(attune_capture, instrumented, 4)


@forms("coroutine")
def test_children_in_tasks_and_to_thread_are_linked(kind, instrumented, attune_capture):
    async def child() -> None:
        await asyncio.sleep(0)
        probe()

    @instrumented
    async def user_coroutine() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(child())
            group.create_task(asyncio.to_thread(probe))

    in_loop(user_coroutine)
    _children_are_linked(attune_capture, instrumented, 4)


@forms("function")
def test_recursion_gives_each_level_its_own_span(kind, instrumented, attune_capture):
    function: Any = None

    def factorial(number: int) -> int:
        return 1 if number == 0 else number * function(number - 1)

    function = instrumented(factorial)
    assert function(5) == 120
    spans = spans_named(attune_capture, of=instrumented)
    assert len(spans) == 6 * instrumented.makes_span
    for inner, outer in itertools.pairwise(spans):
        assert inner.parent.span_id == outer.context.span_id


SHARED = pytest.mark.parametrize("name", ["workflow", "stage", "llm_call", "tool"])


@SHARED
@pytest.mark.parametrize("form", ["decorator", "block"])
def test_one_instance_serves_many_threads_at_once(name, form, attune_capture):
    shared = WITH_ARGUMENTS[name]()
    everyone = threading.Barrier(8, timeout=30)
    seen: list[tuple[int, int]] = []

    def inside() -> None:
        before = current_span_id()
        everyone.wait()
        probe()
        everyone.wait()
        seen.append((before, current_span_id()))

    decorated = shared(inside)

    def work() -> None:
        for _ in range(20):
            if form == "decorator":
                decorated()
            else:
                with shared:
                    inside()
            assert current_span_id() == 0

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(work) for _ in range(8)]:
            future.result()
    own = [span for span in attune_capture.spans if span.attributes.get(sc.TOOL_NAME) != "probe"]
    probes = [span for span in attune_capture.spans if span.attributes.get(sc.TOOL_NAME) == "probe"]
    assert all(before == after for before, after in seen)
    assert {before for before, _ in seen} == {span.context.span_id for span in own}
    assert len(own) == len({span.context.span_id for span in own}) == 160
    assert sorted(span.parent.span_id for span in probes) == sorted(span.context.span_id for span in own)


@SHARED
def test_one_instance_serves_many_tasks_at_once(name, attune_capture):
    shared = WITH_ARGUMENTS[name]()

    async def work(number: int) -> tuple[int, int]:
        async with shared:
            before = current_span_id()
            for _ in range(number % 5 + 1):  # so that they leave in another order than they came
                await asyncio.sleep(0)
            probe()
            return before, current_span_id()

    async def main() -> list[tuple[int, int]]:
        return await asyncio.gather(*map(work, range(50)))

    seen = in_loop(main)
    own = {span.context.span_id: span for span in attune_capture.spans if span.attributes.get(sc.TOOL_NAME) != "probe"}
    assert all(before == after for before, after in seen)
    assert {before for before, _ in seen} == own.keys()
    assert len(own) == 50
    for number, (span_id, _) in enumerate(seen):
        assert own[span_id].end_time is not None, number


@pytest.mark.parametrize("name", DECORATORS)
def test_one_instance_can_be_entered_again_inside_itself_and_after(name, attune_capture):
    spec = WITH_ARGUMENTS[name]()
    before = otel_context.get_current()
    with spec as outer:
        between = otel_context.get_current()
        with spec as inner:
            assert inner is not outer
            with contextlib.suppress(KeyError), spec:
                raise KeyError
        assert otel_context.get_current() is between
    with spec:
        pass
    assert otel_context.get_current() is before
    assert len(attune_capture.spans) == (0 if name == "annotate" else 4)
    failed = [span for span in attune_capture.spans if span.status.status_code is StatusCode.ERROR]
    assert len(failed) == (0 if name == "annotate" else 1)


def test_a_block_that_could_not_begin_does_not_end_another_ones(attune_capture, monkeypatch):
    spec = stage("shared")
    begun, left = threading.Event(), threading.Event()
    inside: list[tuple[int, int]] = []

    def first() -> None:
        with spec:
            before = current_span_id()
            begun.set()
            left.wait(30)
            inside.append((before, current_span_id()))
            probe()

    thread = threading.Thread(target=first)
    thread.start()
    assert begun.wait(30)
    monkeypatch.setattr(HOOKS, "tracer", lambda: None)  # telemetry was switched off meanwhile
    with spec:
        pass
    monkeypatch.undo()
    assert attune_capture.spans == []
    left.set()
    thread.join()
    [child, own] = attune_capture.spans
    assert inside == [(own.context.span_id, own.context.span_id)]
    assert child.parent.span_id == own.context.span_id
    assert own.end_time >= child.end_time


FORKING = """
import os, sys
from attune_monitoring import annotate, configure, llm_call, stage, tool, workflow

if sys.argv[1] == "explicit":
    configure()

@workflow
@annotate(user_id="u1")
@stage("analyze")
@tool("search")
def work(number):
    with llm_call(provider="openai", model="gpt-4o-mini") as call:
        call.set_usage(input_tokens=number, output_tokens=1)

for number in range(50):
    work(number)
children = []
for child in range(4):
    pid = os.fork()
    if pid == 0:
        for number in range(100):
            work(1000 * (child + 1) + number)
        os._exit(0)
    children.append(pid)
for number in range(50, 100):
    work(number)
sys.exit(sum(os.waitpid(pid, 0)[1] for pid in children))
"""


def _calls(lines: list[dict[str, Any]]) -> list[LLMCallRecord]:
    return [LLMCallRecord.from_dict(line) for line in lines]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("how", ["explicit", "implicit"])
def test_five_hundred_of_five_hundred_calls_of_forked_children_are_on_disk(how, run_program, read_lines, storage):
    done = run_program(FORKING, how)
    assert (done.out, done.err) == ("", "")
    calls = _calls(read_lines(storage))
    expected = [*range(100), *(1000 * child + number for child in range(1, 5) for number in range(100))]
    assert sorted(call.input_tokens for call in calls) == expected
    assert len({call.call_id for call in calls}) == 500
    assert len({call.pid for call in calls}) == 5
    assert len({call.run_id for call in calls}) == 500


KILLED = """
import os, signal
from attune_monitoring import llm_call

@llm_call(provider="openai", model="gpt-4o-mini")
def ask():
    return {"object": "chat.completion", "model": "gpt-4o-mini", "choices": [],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}}

for _ in range(1000):
    ask()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9")
def test_a_thousand_calls_survive_kill_9_right_after_the_last(run_program, read_lines, storage):
    run_program(KILLED, status=-signal.SIGKILL)
    calls = _calls(read_lines(storage))
    assert [(call.input_tokens, call.output_tokens) for call in calls] == [(3, 1)] * 1000


BACKEND_DOWN = """
from attune_monitoring import llm_call, workflow

@workflow
def work():
    with llm_call(provider="openai", model="gpt-4o-mini") as call:
        call.set_usage(input_tokens=3, output_tokens=1)
    return "result"

print([work() for _ in range(3)])
"""


@pytest.mark.parametrize("answers", ["refused", "silent"])
def test_a_backend_that_is_down_changes_nothing_for_the_program(answers, run_program, read_lines, storage):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if answers == "silent":  # takes connections and never answers
            server.listen()
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        done = run_program(BACKEND_DOWN, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    assert done.out == "['result', 'result', 'result']\n"
    assert "Traceback" not in done.err
    assert len(read_lines(storage)) == 3


# --- failures of ours ---------------------------------------------------------------------------------------------
class Failing(SpanProcessor):
    """A processor of an application that fails at one of its methods."""

    def __init__(self, at: str) -> None:
        self._at = at

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        if self._at == "start":
            raise RuntimeError("processor")

    def on_end(self, span: Any) -> None:
        if self._at == "end":
            raise RuntimeError("processor")


class FailingSink:
    def call(self, record: Any) -> None:
        raise RuntimeError("sink")

    def run(self, record: Any) -> None:
        raise RuntimeError("sink")


@contextlib.contextmanager
def failing(where: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A pipeline of which one part fails."""
    config = load_config(env={"EMPATHY_CONFIG": os.devnull}, backends=[])
    processors = [Failing(where)] if where in ("start", "end") else []
    sinks = [FailingSink()] if where == "sink" else []
    failures = HOOKS.failures.copy()
    with failures_of_ours_allowed(), isolated(config, readers=[], sinks=sinks, processors=processors):
        if where == "tracer":

            def broken() -> Any:
                raise RuntimeError("tracer")

            monkeypatch.setattr(HOOKS, "tracer", broken)
        yield
        monkeypatch.undo()
        assert HOOKS.failures.total() > failures.total()


FAILING = {
    "tracer": tuple(DECORATORS),
    "start": ("workflow", "stage", "llm_call", "tool"),
    "end": ("workflow", "stage", "llm_call", "tool"),
    "sink": ("workflow", "llm_call"),
}
"""What can fail, and the decorators that use it: annotate makes no span, and only calls and runs make records."""


@pytest.mark.parametrize(
    ("kind", "instrumented", "where"),
    [
        pytest.param(*one.values, where, id=f"{where}-{one.id}")
        for where, names in FAILING.items()
        for one in _forms(*KINDS)
        if one.values[1].name in names
    ],
)
def test_a_part_of_ours_that_fails_is_not_noticed(kind, instrumented, where, monkeypatch):
    result, error = object(), ValueError("the user's own")
    answers: list[Any] = [result, error]

    def body() -> Any:
        answer = answers.pop(0)
        if answer is error:
            raise error
        return answer

    function = instrumented(of_kind(kind, body))
    before = otel_context.get_current()
    with failing(where, monkeypatch):
        assert run(kind, function) is result
        assert otel_context.get_current() is before
        with pytest.raises(ValueError, match="the user's own") as caught:
            run(kind, function)
        assert caught.value is error
        assert error.__context__ is None
        assert otel_context.get_current() is before


@pytest.mark.parametrize("name", DECORATORS)
def test_hostile_arguments_of_the_decorators_themselves_are_survived(name, attune_capture):
    given = {
        "workflow": lambda: workflow("review", user_id=Hostile(), session_id=Hostile(), trigger=Hostile()),
        "stage": lambda: stage("analyze", tier=Hostile(), task_type=Hostile()),
        "llm_call": lambda: llm_call(
            provider=Hostile(), model=Hostile(), task_type=Hostile(), tier=Hostile(), step=Hostile()
        ),
        "tool": lambda: tool("search", call_id=Hostile(), type=Hostile()),
        "annotate": lambda: annotate(user_id=Hostile(), project=Hostile(), note=Hostile(), loop=circular()),
    }
    with failures_of_ours_allowed(), given[name](), llm_call(provider="openai", model="gpt-4o-mini") as call:
        call.set_usage(input_tokens=1, output_tokens=1)
    assert [record.input_tokens for record in attune_capture.calls if record.input_tokens] == [1]


def test_hostile_values_handed_to_a_call_are_survived(attune_capture):
    with failures_of_ours_allowed(), llm_call(provider="openai", model="gpt-4o-mini") as call:
        hostile = Hostile()
        assert call.record(hostile) is hostile
        call.set_usage(input_tokens=hostile, output_tokens=-1, reasoning_tokens="7")
        call.set_cost(hostile)
        call.set_response(model=hostile, provider=hostile, finish_reasons=hostile, tool_calls=hostile)
        call.set_circuit_breaker(hostile)
        call.set_content(input=hostile, output=circular())
        call.set_attribute("x", hostile)
        call.retry(NoTextError())
        call.fallback(provider=hostile, model=hostile, tier=hostile, error=EvasiveError())
        call.set_usage(input_tokens=1, output_tokens=1)
    assert len(attune_capture.spans) == 1
    assert attune_capture.calls[0].input_tokens == 1


def test_a_logging_handler_that_raises_is_not_noticed(monkeypatch):
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("handler")

    handler = Broken()
    logger = logging.getLogger("attune_monitoring")
    logger.addHandler(handler)
    try:
        with failing("tracer", monkeypatch):
            assert workflow(lambda: 1)() == 1
    finally:
        logger.removeHandler(handler)


# --- near the recursion limit --------------------------------------------------------------------------------------
def _pass_through(function: Any) -> Any:
    """The cheapest decorator there is: one frame."""
    if inspect.isgeneratorfunction(function):

        def generator_wrapper() -> Any:
            return (yield from function())

        return generator_wrapper
    if inspect.iscoroutinefunction(function):

        async def coroutine_wrapper() -> Any:
            return await function()

        return coroutine_wrapper

    def wrapper() -> Any:
        return function()

    return wrapper


def _depth() -> int:
    frame: Any = sys._getframe()
    count = 0
    while frame is not None:
        frame = frame.f_back
        count += 1
    return count


@contextlib.contextmanager
def _untraced() -> Iterator[None]:
    """Coverage's tracer needs frames of its own, just where there are none left."""
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


def _with_frames_left(left: int, call: Callable[[], Any]) -> Any:
    """Call with about so many Python frames left below the limit."""

    def down(more: int) -> Any:
        return down(more - 1) if more > 0 else call()

    return down(sys.getrecursionlimit() - _depth() - left)


@pytest.mark.parametrize("raising", [False, True], ids=["returns", "raises"])
@pytest.mark.parametrize("name", DECORATORS)
@pytest.mark.parametrize("kind", ["function", "coroutine", "generator"])
def test_a_function_that_has_room_for_itself_and_one_frame_runs_near_the_recursion_limit(kind, name, raising):
    result, error = object(), ValueError("the user's own")

    def body() -> Any:
        if raising:
            error.__traceback__ = None
            raise error
        return result

    if kind == "generator":

        def function() -> Any:
            yield body()

        def first(decorated: Any) -> Any:
            return next(decorated())
    elif kind == "coroutine":

        async def function() -> Any:
            return body()

        def first(decorated: Any) -> Any:
            try:
                decorated().send(None)
            except StopIteration as stop:
                return stop.value
    else:

        def function() -> Any:
            return body()

        def first(decorated: Any) -> Any:
            return decorated()

    plain, decorated = _pass_through(function), DECORATORS[name](function)
    before = otel_context.get_current()
    ran = 0
    with failures_of_ours_allowed(), capture(), _untraced():
        for left in range(120):
            with contextlib.suppress(RecursionError, ValueError):
                outcome = None
                try:
                    outcome = _with_frames_left(left, lambda: first(plain))
                except ValueError as raised:
                    outcome = raised
                ran += 1
                try:
                    found = _with_frames_left(left, lambda: first(decorated))
                except BaseException as raised:
                    found = raised
                assert found is outcome, f"{left} frames left: {found!r}"
                assert otel_context.get_current() is before
    assert ran > 60
