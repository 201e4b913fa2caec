"""A transparent proxy of a provider's stream: passes everything through and watches the chunks go by."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Protocol

__all__ = ["StreamWatcher", "proxy"]

_FINAL = frozenset(
    {
        "aclose",
        "close",
        "get_final_completion",
        "get_final_message",
        "get_final_response",
        "get_final_text",
        "until_done",
    }
)
"""Methods of the SDKs' stream helpers that read the rest of the stream themselves, or end it."""


class StreamWatcher(Protocol):
    """What is told of the stream."""

    def attach(self) -> Callable[[], None]:
        """Make the call's context current and return what undoes it."""
        ...

    def chunk(self, chunk: object) -> None:
        """A chunk has arrived."""

    def ended(self, error: BaseException | None, snapshot: object) -> None:
        """The stream is exhausted, closed or broken (told more than once for some helpers).

        `snapshot` is what the SDK's own helper has accumulated, if it has one.
        """


def proxy(stream: Any, watcher: StreamWatcher) -> Any:
    """Return something that looks and behaves like `stream`, to `isinstance` as well, and tells `watcher`."""
    kind = stream.__class__  # of the stream itself: the type of a wrapper around it has all methods of both kinds
    is_async = hasattr(kind, "__aiter__") or hasattr(kind, "__aenter__")
    is_sync = hasattr(kind, "__iter__") or hasattr(kind, "__enter__")
    return (_EitherProxy if is_async and is_sync else _AsyncProxy if is_async else _SyncProxy)(stream, watcher)


class _Proxy:
    """What both kinds share. Two kinds, because frameworks ask whether an object is an AsyncIterable."""

    def __init__(self, wrapped: Any, watcher: StreamWatcher) -> None:
        state = self.__dict__
        state["_wrapped"] = wrapped
        state["_watcher"] = watcher
        state["_iterator"] = None
        state["_handed_out"] = None
        state["_ended"] = False

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # isinstance() asks this
        return type(self.__dict__["_wrapped"])

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.__dict__["_wrapped"], name)
        if name in _FINAL and callable(value):
            return self._consuming(value)
        # The SDK's own text_stream reads its stream behind our back, so the same texts are made here.
        return self._texts() if name == "text_stream" else value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["_wrapped"], name, value)

    def __repr__(self) -> str:
        return repr(self.__dict__["_wrapped"])

    def __del__(self) -> None:
        # What a manager handed out lives on after the manager's proxy is gone.
        if self.__dict__.get("_handed_out") is None:
            self._end(None)

    def _texts(self) -> Any:
        raise AttributeError("text_stream")

    def _consuming(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def consume(*args: Any, **kwargs: Any) -> Any:
            try:
                result = method(*args, **kwargs)
            except BaseException as error:
                self._end(error)
                raise
            if inspect.isawaitable(result):
                return self._finish_awaiting(result)
            self._end(None)
            return result

        return consume

    async def _finish_awaiting(self, awaitable: Any) -> Any:
        try:
            result = await awaitable
        except BaseException as error:
            self._end(error)
            raise
        self._end(None)
        return result

    def _entered(self, entered: Any) -> Any:
        state = self.__dict__
        if entered is state["_wrapped"]:
            return self
        state["_handed_out"] = entered  # a manager: what it hands out is the stream
        return proxy(entered, state["_watcher"])

    def _end(self, error: BaseException | None) -> None:
        state = self.__dict__
        if state.get("_ended", True):
            return
        state["_ended"] = True
        source = state["_handed_out"] if state["_handed_out"] is not None else state["_wrapped"]
        try:
            snapshot = getattr(source, "current_message_snapshot", None)
        except Exception:  # the helper asserts that something has arrived
            snapshot = None
        state["_watcher"].ended(error, snapshot)


class _SyncProxy(_Proxy):
    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        state = self.__dict__
        undo = state["_watcher"].attach()
        try:
            if state["_iterator"] is None:
                state["_iterator"] = iter(state["_wrapped"])
            chunk = next(state["_iterator"])
        except StopIteration:
            self._end(None)
            raise
        except BaseException as error:
            self._end(error)
            raise
        finally:
            undo()
        state["_watcher"].chunk(chunk)
        return chunk

    def __enter__(self) -> Any:
        try:
            entered = self.__dict__["_wrapped"].__enter__()
        except BaseException as error:
            self._end(error)
            raise
        return self._entered(entered)

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> Any:
        try:
            return self.__dict__["_wrapped"].__exit__(kind, error, trace)
        finally:
            self._end(error)

    def _texts(self) -> Iterator[str]:
        for event in self:
            text = _text_of(event)
            if text is not None:
                yield text


class _AsyncProxy(_Proxy):
    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        state = self.__dict__
        undo = state["_watcher"].attach()
        try:
            if state["_iterator"] is None:
                state["_iterator"] = state["_wrapped"].__aiter__()
            chunk = await state["_iterator"].__anext__()
        except StopAsyncIteration:
            self._end(None)
            raise
        except BaseException as error:
            self._end(error)
            raise
        finally:
            undo()
        state["_watcher"].chunk(chunk)
        return chunk

    async def __aenter__(self) -> Any:
        try:
            entered = await self.__dict__["_wrapped"].__aenter__()
        except BaseException as error:
            self._end(error)
            raise
        return self._entered(entered)

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> Any:
        try:
            return await self.__dict__["_wrapped"].__aexit__(kind, error, trace)
        finally:
            self._end(error)

    async def _texts(self) -> AsyncIterator[str]:
        async for event in self:
            text = _text_of(event)
            if text is not None:
                yield text


class _EitherProxy(_SyncProxy, _AsyncProxy):
    """Of a stream that is both, and of which only its user knows how it may be read (LiteLLM's)."""

    def _texts(self) -> Any:
        return _SyncProxy._texts(self)


def _text_of(event: Any) -> str | None:
    if getattr(event, "type", None) != "content_block_delta":
        return None
    delta = event.delta
    return delta.text if delta.type == "text_delta" else None
