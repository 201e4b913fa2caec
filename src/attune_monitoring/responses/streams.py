"""Telling a provider's stream from everything else that can be iterated, by where its type or code is defined."""

from __future__ import annotations

import re
from types import AsyncGeneratorType, GeneratorType

from .providers import generator_module, known_module, provider_package

__all__ = ["is_stream"]

_NAME = re.compile(r"(Stream|StreamAsync|StreamWrapper|StreamingIterator|StreamManager)$")
_PROTOCOL = ("__iter__", "__aiter__", "__enter__", "__aenter__")
# Where the wrappers are defined that instrumentations put around streams.
_INSTRUMENTATION = "opentelemetry.instrumentation."
_MAX_TYPES = 1024
_known: dict[type, bool] = {}


def is_stream(obj: object) -> bool:
    """Whether this is a provider's stream, sync or async, or the context manager that enters into one; never raises.

    Generators count if the function behind them is the SDK's; a generator of the user's own is not one.
    """
    try:
        if isinstance(obj, (GeneratorType, AsyncGeneratorType)):
            module = generator_module(obj)
            return known_module(module) or module.startswith(_INSTRUMENTATION)
        kind = type(obj)
        known = _known.get(kind)
        if known is None:
            known = _is_stream_type(kind)
            if len(_known) < _MAX_TYPES:
                _known[kind] = known
        # A proxy answers for what it wraps.
        return known or (obj.__class__ is not kind and _is_stream_type(obj.__class__))
    except Exception:
        return False


def _is_stream_type(kind: type) -> bool:
    if hasattr(kind, "__pydantic_fields__") or not any(hasattr(kind, method) for method in _PROTOCOL):
        return False
    return any(
        _NAME.search(base.__name__) is not None
        and (provider_package(base) is not None or base.__module__.startswith(_INSTRUMENTATION))
        for base in kind.__mro__
    )
