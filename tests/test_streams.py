"""The proxy of a provider's stream: indistinguishable from the stream, and the watcher hears what happens."""

import asyncio
import inspect
from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any

import pytest

from attune_monitoring.streams import proxy


class Watcher:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.chunks: list[Any] = []
        self.ends: list[tuple[BaseException | None, Any]] = []
        self.inside = 0

    def attach(self) -> Callable[[], None]:
        self.inside += 1

        def undo() -> None:
            self.inside -= 1

        return undo

    def chunk(self, chunk: object) -> None:
        assert self.inside == 0
        self.chunks.append(chunk)

    def ended(self, error: BaseException | None, snapshot: object) -> None:
        self.ends.append((error, snapshot))


class Stream:
    """What SDKs give: an iterator with attributes, `close`, and a context manager that returns itself."""

    def __init__(self, *items: Any, error: BaseException | None = None) -> None:
        self.items = list(items)
        self.error = error
        self.response = object()
        self.closed = False
        self.exits: list[Any] = []
        self.watcher: Watcher | None = None
        self.seen_inside: list[int] = []

    def __iter__(self) -> Any:
        for item in self.items:
            if self.watcher is not None:
                self.seen_inside.append(self.watcher.inside)
            yield item
        if self.error is not None:
            raise self.error

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *given: Any) -> bool:
        self.exits.append(given)
        self.close()
        return isinstance(given[1], KeyError)

    def close(self) -> str:
        self.closed = True
        return "closed"


class AsyncStream:
    def __init__(self, *items: Any, error: BaseException | None = None) -> None:
        self.items = list(items)
        self.error = error
        self.closed = False

    async def __aiter__(self) -> Any:
        for item in self.items:
            await asyncio.sleep(0)
            yield item
        if self.error is not None:
            raise self.error

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *given: Any) -> bool:
        await self.close()
        return isinstance(given[1], KeyError)

    async def close(self) -> str:
        await asyncio.sleep(0)
        self.closed = True
        return "closed"


class Manager:
    """What hands out its stream when it is entered, as the SDKs' stream helpers do."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __enter__(self) -> Any:
        return self.stream

    def __exit__(self, *given: Any) -> None:
        self.stream.close()


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


# --- looks like the stream
def test_the_proxy_is_an_instance_of_the_streams_class(watcher):
    proxied = proxy(Stream(), watcher)
    assert isinstance(proxied, Stream)
    assert proxied.__class__ is Stream
    assert isinstance(proxied, Iterable)
    assert not isinstance(proxied, AsyncIterable)


def test_the_proxy_of_an_async_stream_is_asynchronous_only(watcher):
    proxied = proxy(AsyncStream(), watcher)
    assert isinstance(proxied, AsyncStream)
    assert isinstance(proxied, AsyncIterable)
    assert not hasattr(type(proxied), "__iter__")


def test_attributes_are_read_and_set_on_the_stream(watcher):
    stream = Stream()
    proxied = proxy(stream, watcher)
    assert proxied.response is stream.response
    proxied.note = "set"
    assert stream.note == "set"
    assert repr(proxied) == repr(stream)
    with pytest.raises(AttributeError, match="'Stream' object has no attribute 'missing'"):
        _ = proxied.missing


def test_a_generator_keeps_its_send_and_its_return_value(watcher):
    def generate() -> Any:
        received = yield 1
        yield received
        return "done"

    def consume() -> Any:
        return (yield from proxied)

    proxied = proxy(generate(), watcher)
    assert inspect.isgenerator(proxied)
    assert next(proxied) == 1
    assert proxied.send("sent") == "sent"
    with pytest.raises(StopIteration) as stop:
        next(consume())
    assert stop.value.value == "done"


# --- iterating
def test_chunks_pass_through_in_order_and_the_watcher_sees_each(watcher):
    items = [object(), object()]
    seen = list(proxy(Stream(*items), watcher))
    assert all(one is other for one, other in zip(seen, items, strict=True))
    assert all(one is other for one, other in zip(watcher.chunks, items, strict=True))
    assert watcher.ends == [(None, None)]


def test_the_streams_own_code_runs_inside_and_the_consumers_outside(watcher):
    stream = Stream(1, 2)
    stream.watcher = watcher
    for _ in proxy(stream, watcher):
        assert watcher.inside == 0
    assert stream.seen_inside == [1, 1]


def test_iterating_in_two_loops_goes_on_where_the_first_stopped(watcher):
    proxied = proxy(Stream(1, 2, 3), watcher)
    for _ in proxied:
        break
    assert list(proxied) == [2, 3]


def test_an_error_of_the_stream_is_the_users_and_ends_it(watcher):
    error = ConnectionError("lost")
    stream = Stream(1, error=error)
    with pytest.raises(ConnectionError) as caught:
        list(proxy(stream, watcher))
    assert caught.value is error
    assert watcher.ends == [(error, None)]
    assert watcher.inside == 0


@pytest.mark.parametrize("method", ["__iter__", "__next__"])
def test_a_stream_that_refuses_to_be_read_raises_what_it_would_have(method, watcher):
    error = RuntimeError("no")

    def refuse(self: Any) -> Any:
        raise error

    methods = {"__iter__": lambda self: self, "__next__": lambda self: 1, method: refuse}
    stream = type("Refusing", (), methods)()
    with pytest.raises(RuntimeError) as caught:
        for _ in proxy(stream, watcher):
            pass
    assert caught.value is error
    assert [end for end, _ in watcher.ends] == [error]


def test_the_end_is_told_once_whatever_comes_after(watcher):
    proxied = proxy(Stream(1), watcher)
    list(proxied)
    list(proxied)
    proxied.close()
    del proxied
    assert len(watcher.ends) == 1


def test_a_stream_that_is_dropped_half_read_has_ended(watcher):
    proxied = proxy(Stream(1, 2), watcher)
    next(proxied)
    assert watcher.ends == []
    del proxied
    assert watcher.ends == [(None, None)]


# --- closing and context managers
def test_close_closes_the_stream_and_ends_it(watcher):
    stream = Stream(1)
    assert proxy(stream, watcher).close() == "closed"
    assert stream.closed
    assert watcher.ends == [(None, None)]


def test_a_close_that_fails_fails_as_it_would_have(watcher):
    error = OSError("close")

    class Broken(Stream):
        def close(self) -> str:
            raise error

    with pytest.raises(OSError, match="close") as caught:
        proxy(Broken(), watcher).close()
    assert caught.value is error
    assert watcher.ends[0][0] is error


def test_a_with_block_gives_the_proxy_itself_and_leaves_through_the_stream(watcher):
    stream = Stream(1)
    proxied = proxy(stream, watcher)
    with proxied as entered:
        assert entered is proxied
        assert list(entered) == [1]
    assert stream.exits == [(None, None, None)]
    assert len(watcher.ends) == 1


def test_an_exception_in_the_block_reaches_the_stream_and_may_be_suppressed_by_it(watcher):
    stream, error = Stream(1), KeyError("suppressed")
    with proxy(stream, watcher):
        raise error
    assert stream.exits[0][1] is error
    assert watcher.ends == [(error, None)]


def test_what_a_manager_hands_out_is_watched_and_outlives_the_managers_proxy(watcher):
    stream = Stream(1, 2)
    proxied = proxy(Manager(stream), watcher)
    with proxied as handed_out:
        del proxied
        assert isinstance(handed_out, Stream)
        assert handed_out is not stream
        assert watcher.ends == []
        assert list(handed_out) == [1, 2]
    assert watcher.chunks == [1, 2]
    assert stream.closed


def test_a_manager_that_cannot_be_entered_ends_with_its_error(watcher):
    error = ConnectionError("refused")

    class Refusing(Manager):
        def __enter__(self) -> Any:
            raise error

    with pytest.raises(ConnectionError) as caught, proxy(Refusing(None), watcher):
        raise AssertionError("not entered")
    assert caught.value is error
    assert watcher.ends[0][0] is error


def test_what_the_helper_has_accumulated_is_handed_to_the_watcher_at_the_end(watcher):
    stream = Stream(1)
    stream.current_message_snapshot = {"usage": {}}
    proxy(stream, watcher).close()
    assert watcher.ends == [(None, {"usage": {}})]


def test_a_helper_that_has_accumulated_nothing_yet_may_say_so_by_raising(watcher):
    class Empty(Stream):
        @property
        def current_message_snapshot(self) -> Any:
            raise AssertionError("nothing arrived")

    proxy(Empty(), watcher).close()
    assert watcher.ends == [(None, None)]


def test_a_method_that_reads_the_rest_ends_the_stream(watcher):
    class Helper(Stream):
        def get_final_message(self, suffix: str) -> str:
            return "".join(self) + suffix

    assert proxy(Helper("a", "b"), watcher).get_final_message("!") == "ab!"
    assert watcher.ends == [(None, None)]


class Event:
    def __init__(self, kind: str, text: str = "", delta: str = "text_delta") -> None:
        self.type = kind
        self.delta = type("Delta", (), {"type": delta, "text": text})()


def test_the_text_stream_of_a_helper_is_read_through_the_proxy(watcher):
    class Helper(Stream):
        text_stream = None

    events = [
        Event("message_start"),
        Event("content_block_delta", "Hel"),
        Event("content_block_delta", "", "input_json_delta"),
        Event("content_block_delta", "lo"),
        Event("message_stop"),
    ]
    assert "".join(proxy(Helper(*events), watcher).text_stream) == "Hello"
    assert watcher.chunks == events
    assert len(watcher.ends) == 1


# --- asynchronous
async def test_an_async_stream_passes_through_and_ends(watcher):
    items = [object(), object()]
    seen = [item async for item in proxy(AsyncStream(*items), watcher)]
    assert all(one is other for one, other in zip(seen, items, strict=True))
    assert len(watcher.chunks) == 2
    assert watcher.ends == [(None, None)]


async def test_an_error_of_an_async_stream_is_the_users_and_ends_it(watcher):
    error = ConnectionError("lost")
    with pytest.raises(ConnectionError) as caught:
        async for _ in proxy(AsyncStream(1, error=error), watcher):
            pass
    assert caught.value is error
    assert watcher.ends == [(error, None)]


async def test_an_async_stream_is_closed_through_the_proxy(watcher):
    stream = AsyncStream(1)
    assert await proxy(stream, watcher).close() == "closed"
    assert stream.closed
    assert watcher.ends == [(None, None)]


async def test_an_async_close_that_fails_fails_as_it_would_have(watcher):
    error = OSError("close")

    class Broken(AsyncStream):
        async def close(self) -> str:
            raise error

    with pytest.raises(OSError, match="close"):
        await proxy(Broken(), watcher).close()
    assert watcher.ends[0][0] is error


async def test_an_async_with_block_gives_the_proxy_itself_and_leaves_through_the_stream(watcher):
    stream = AsyncStream(1)
    proxied = proxy(stream, watcher)
    async with proxied as entered:
        assert entered is proxied
        assert [item async for item in entered] == [1]
        raise KeyError("suppressed by the stream")
    assert stream.closed
    assert len(watcher.ends) == 1


async def test_an_async_manager_that_cannot_be_entered_ends_with_its_error(watcher):
    error = ConnectionError("refused")

    class Refusing(AsyncStream):
        async def __aenter__(self) -> Any:
            raise error

    with pytest.raises(ConnectionError):
        async with proxy(Refusing(), watcher):
            raise AssertionError("not entered")
    assert watcher.ends[0][0] is error


async def test_the_text_stream_of_an_async_helper_is_read_through_the_proxy(watcher):
    class Helper(AsyncStream):
        text_stream = None

    events = [Event("content_block_delta", "Hi"), Event("message_stop")]
    assert [text async for text in proxy(Helper(*events), watcher).text_stream] == ["Hi"]
    assert watcher.chunks == events


class Both(Stream):
    """As LiteLLM's: which of the two it is, only its user knows."""

    async def __aiter__(self) -> Any:
        for item in self.items:
            yield item


async def test_a_stream_that_is_both_can_be_read_either_way(watcher):
    assert list(proxy(Both(1, 2), watcher)) == [1, 2]
    assert [item async for item in proxy(Both(3), watcher)] == [3]
    assert watcher.chunks == [1, 2, 3]
