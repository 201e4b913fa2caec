"""What OpenAI's and Anthropic's clients were answered: it completes the spans of their official instrumentations.

Those spans call every host by the SDK's name, translate finish reasons, and lack what only the response says: cost as
reported, the counts of other APIs, cache lifetimes, service tier, paid searches, whether a stream was cut.
"""

from __future__ import annotations

import functools
import importlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry import trace

from attune_monitoring import semconv as sc
from attune_monitoring.calls import LLMCall
from attune_monitoring.instrumentation import llm_call
from attune_monitoring.mapping import SpanData, cost_attributes
from attune_monitoring.responses import ResponseInfo, StreamReader, is_stream, provider_of, read_response
from attune_monitoring.scope import HOOKS, OBSERVED, scope_of
from attune_monitoring.streams import proxy

__all__ = ["OBSERVABLE", "observe"]

OBSERVABLE = frozenset({"openai", "anthropic"})
"""Packages whose clients send every request through one method."""

_MARK = "__attune_observed__"


def observe(package: str) -> None:
    """Look at every response of a client before anybody else does; once is enough.

    Args:
        package: `openai` or `anthropic`.

    Raises:
        ImportError, AttributeError: this version of the SDK has no `request` that all its calls go through.
    """
    base = importlib.import_module(f"{package}._base_client")
    for name, wrap in (("SyncAPIClient", _observed), ("AsyncAPIClient", _observed_async)):
        kind = getattr(base, name)
        if not hasattr(kind.request, _MARK):
            wrapped = wrap(kind.request)
            setattr(wrapped, _MARK, True)
            kind.request = wrapped


def _observed(request: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(request)
    def observed(self: Any, *args: Any, **kwargs: Any) -> Any:
        own = _own_call(self, args, kwargs)
        if own is not None:
            with own as call:
                return call.returned(request(self, *args, **kwargs))
        seen = _begin(self)
        response = request(self, *args, **kwargs)
        return response if seen is None else seen.look(response)

    return observed


def _observed_async(request: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(request)
    async def observed(self: Any, *args: Any, **kwargs: Any) -> Any:
        own = _own_call(self, args, kwargs)
        if own is not None:
            async with own as call:
                return call.returned(await request(self, *args, **kwargs))
        seen = _begin(self)
        response = await request(self, *args, **kwargs)
        return response if seen is None else seen.look(response)

    return observed


def _own_call(client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """A call of ours for a legacy text completion: the official instrumentation passes over those."""
    try:
        options = kwargs["options"] if "options" in kwargs else args[1]
        path = str(options.url).partition("?")[0]
        if not path.endswith("/completions") or path.endswith("/chat/completions"):
            return None
        if isinstance(scope_of().call, LLMCall):
            return None
        body = options.json_data
        model = body.get("model") if isinstance(body, Mapping) else None
        return llm_call(provider=provider_of(client), model=model, operation="text_completion")
    except Exception as error:
        HOOKS.failed("observing a request", error)
        return None


def _begin(client: Any) -> _Seen | None:
    """Begin to note what the LLM span that is current here, if one is, will be told."""
    try:
        span = trace.get_current_span()
        if not span.is_recording():
            return None
        seen = _Seen(span, provider_of(client), scope_of().call)
        OBSERVED.put(span.get_span_context().span_id, seen)
    except Exception as error:
        HOOKS.failed("observing a request", error)
        return None
    return seen


class _Seen:
    """One request: the client's host, and what came back so far."""

    __slots__ = ("_call", "_info", "_provider", "_reader", "_span")

    def __init__(self, span: trace.Span, provider: str | None, call: object) -> None:
        self._span = span
        self._provider = provider
        # The span of ours that is current itself means that the official one was suppressed.
        own = isinstance(call, LLMCall) and call.holds(span)
        self._call: LLMCall | None = call if own else None  # type: ignore[assignment]
        self._info: ResponseInfo | None = None
        self._reader: StreamReader | None = None

    def look(self, response: Any) -> Any:
        """Read a response; a stream is read as it goes by."""
        try:
            if is_stream(response):
                if not HOOKS.stream_proxy:
                    return response
                self._reader = StreamReader()
                return proxy(response, self)
            self._info = read_response(response)
            self._tell()
        except Exception as error:
            HOOKS.failed("observing a response", error)
        return response

    def complete(self, span: SpanData, found: Mapping[str, Any]) -> dict[str, Any]:
        """Return an ended span's attributes (under their current names) with what the response says in their place."""
        info = self._known()
        attributes = self._completed(found, info)
        if info is not None and info.error_type is not None and not span.failed:
            span.failed = True  # the failure came as data, which the official instrumentation does not look into
            span.status_message = info.error_message
            attributes[sc.ERROR_TYPE] = info.error_type
        return attributes

    def _completed(self, found: Mapping[str, Any], info: ResponseInfo | None) -> dict[str, Any]:
        attributes = dict(found)
        provider = self._provider
        if info is not None:
            for key in _REPLACED:
                attributes.pop(key, None)
            attributes.update(_attributes_of(info))
            if provider is None or provider in OBSERVABLE:  # of a host that is not known
                provider = info.provider or provider
        if provider is not None:
            attributes[sc.PROVIDER] = provider
        return attributes

    def _known(self) -> ResponseInfo | None:
        return self._info if self._reader is None else self._reader.result()

    def _tell(self) -> None:
        info = self._known()
        if info is None:
            return
        if self._call is not None:
            self._call.observed(info)
        elif HOOKS.pricing is not None and self._span.is_recording():
            known = self._completed(getattr(self._span, "attributes", None) or {}, info)
            priced = cost_attributes(known, HOOKS.pricing, failed=False, at=time.time())
            if sc.COST in priced:
                self._span.set_attributes({key: priced[key] for key in (sc.COST, sc.COST_SOURCE)})

    # --- the watcher of a stream
    def attach(self) -> Callable[[], None]:
        """Nothing: the official wrapper makes its span current."""
        return _nothing

    def chunk(self, chunk: object) -> None:
        """A chunk has gone by."""
        if self._reader is not None:
            self._reader.feed(chunk)

    def ended(self, error: BaseException | None, snapshot: object) -> None:
        """The stream has ended."""
        try:
            self._tell()
        except Exception as failure:
            HOOKS.failed("observing a stream", failure)


def _nothing() -> None:
    return None


_COUNTS = (
    ("input_tokens", sc.INPUT_TOKENS),
    ("output_tokens", sc.OUTPUT_TOKENS),
    ("cache_read_tokens", sc.CACHE_READ_TOKENS),
    ("cache_write_tokens", sc.CACHE_WRITE_TOKENS),
    ("cache_write_1h_tokens", sc.CACHE_WRITE_1H_TOKENS),
    ("reasoning_tokens", sc.REASONING_TOKENS),
)
_TEXTS = (("model", sc.RESPONSE_MODEL), ("response_id", sc.RESPONSE_ID), ("service_tier", sc.SERVICE_TIER))
_REPLACED = (*(key for _, key in _COUNTS), sc.FINISH_REASONS, sc.SERVICE_TIER, sc.COST, sc.COST_SOURCE)


def _attributes_of(info: ResponseInfo) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for name, key in (*_COUNTS, *_TEXTS):
        value = getattr(info, name)
        if value is not None:
            attributes[key] = value
    if info.finish_reasons:
        attributes[sc.FINISH_REASONS] = info.finish_reasons
    if info.tool_calls:
        attributes[sc.TOOL_CALLS] = info.tool_calls
    if info.server_tool_calls:
        attributes[sc.SERVER_TOOL_CALLS] = info.server_tool_calls
    if not info.usage_complete:
        attributes[sc.USAGE_COMPLETE] = False
    if info.cost is not None:
        attributes[sc.COST] = info.cost
        attributes[sc.COST_SOURCE] = "reported"
    return attributes
