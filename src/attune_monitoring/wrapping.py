"""How a function is wrapped and a block entered: one behaviour for functions, coroutines and both kinds of generators.

A decorated function runs exactly once and returns or raises exactly what it would have without us; arguments and
results are never looked into, but for a provider's response.
"""

from __future__ import annotations

import copy
import functools
import inspect
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from types import CodeType, FrameType
from typing import Any, Generic, TypeVar, cast

from opentelemetry import context as otel_context
from opentelemetry import trace

from attune_monitoring import semconv as sc
from attune_monitoring.calls import LLMCall
from attune_monitoring.errors import BudgetExceeded
from attune_monitoring.scope import HOOKS, NOTHING_ENTERED, Entered

__all__ = ["Instrument"]

_F = TypeVar("_F", bound=Callable[..., Any])
_E = TypeVar("_E", bound=Entered)


class Instrument(Generic[_E]):
    """What the five have in common: how to wrap a function and how to be a context manager.

    One instance may be entered by many threads and tasks at once; each entry has its own `Entered`.
    """

    _nothing: Any = NOTHING_ENTERED

    # Of the instance, not the class: that is several times faster to read, for what every call reads.
    def __init__(self, *, locates_blocks: bool = True) -> None:
        self._entries: list[Entered] = []
        self._code: CodeType | None = None
        self._line = 0
        self._to_locate = locates_blocks
        """Whether the place of the first `with` block goes onto the spans, as that of a decorated function does."""

    def _start(self, tracer: trace.Tracer) -> _E:
        raise NotImplementedError

    def _named(self, name: str) -> None:
        """Take a decorated function's name, where none was given."""

    def _enter(self) -> _E:
        nothing: _E = self._nothing
        try:
            tracer = HOOKS.tracer()
            if tracer is None:
                return nothing
            entered = self._start(tracer)
            entered.attach()
        except BudgetExceeded:  # the one thing that is told to the program, which asked for it
            raise
        except RecursionError:  # the user's function may still fit where we and a log message do not
            return nothing
        except Exception as error:
            HOOKS.failed(type(self).__name__, error)
            return nothing
        return entered

    # --- context manager
    def __enter__(self) -> _E:
        if self._to_locate:
            self._locate(sys._getframe(1))
        entered = self._enter()
        # What could not begin keeps its place, or its end would be taken for that of another thread's block.
        self._entries.append(entered if entered._token is not None else Entered(otel_context.get_current()))
        return entered

    def __exit__(self, kind: object, error: BaseException | None, trace_: object) -> None:
        entered = self._leave()
        entered.detach()
        _finish(entered, error)

    async def __aenter__(self) -> _E:
        if self._to_locate:
            self._locate(sys._getframe(1))
        return self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, trace_: object) -> None:
        self.__exit__(kind, error, trace_)

    def _leave(self) -> Entered:
        entries = self._entries
        if len(entries) == 1:  # ours is among them
            only = entries[0]
            entries.remove(only)
            return only
        # Several threads and tasks have entered: ours is the one whose context is current here.
        current = otel_context.get_current()
        for entered in entries[::-1]:
            if entered.context is current:
                entries.remove(entered)
                return entered
        return entries.pop()  # the block leaked a context of its own

    # --- decorator
    def __call__(self, function: _F) -> _F:
        """Return the function, instrumented."""
        if isinstance(function, (staticmethod, classmethod)):
            return cast(_F, type(function)(self(function.__func__)))
        runs = _what_runs(function)
        target = inspect.unwrap(runs)
        instrument = copy.copy(self)  # one instance may decorate several functions, each with a name of its own
        instrument._entries = []
        code = getattr(target, "__code__", None)
        if code is not None:
            instrument._code, instrument._line = code, code.co_firstlineno
        instrument._named(getattr(target, "__qualname__", type(target).__name__).rpartition("<locals>.")[2])
        if inspect.isasyncgenfunction(runs):
            wrapper: Any = _wrap_async_generator(instrument, function)
        elif inspect.isgeneratorfunction(runs):
            wrapper = _wrap_generator(instrument, function)
        elif inspect.iscoroutinefunction(runs):
            wrapper = _wrap_coroutine(instrument, function)
        else:
            wrapper = _wrap_function(instrument, function)
        return cast(_F, functools.wraps(function)(wrapper))

    def _locate(self, frame: FrameType) -> None:
        self._code, self._line = frame.f_code, frame.f_lineno
        self._to_locate = False

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
    call = inspect.getattr_static(type(function), "__call__", None)
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


def _wrap_function(instrument: Instrument[Any], function: Callable[..., Any]) -> Callable[..., Any]:
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


def _wrap_coroutine(instrument: Instrument[Any], function: Callable[..., Any]) -> Callable[..., Any]:
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


def _wrap_generator(instrument: Instrument[Any], function: Callable[..., Any]) -> Callable[..., Any]:
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


def _wrap_async_generator(instrument: Instrument[Any], function: Callable[..., Any]) -> Callable[..., Any]:
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
