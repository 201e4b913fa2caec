"""How every span of ours ends: attributes at once, status, error type, and nothing that could reach the user."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Collection, Mapping
from typing import Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.trace import Span, Status, StatusCode

from attune_monitoring import semconv as sc
from attune_monitoring.redaction import redact
from attune_monitoring.scope import HOOKS

__all__ = ["describe_error", "end_span", "is_cancellation", "set_attributes"]

_MAX_STACK = 16_000
_MAX_FRAMES = -50
"""The innermost ones: formatting a deep recursion's takes tens of milliseconds, at each level that it leaves."""


def is_cancellation(error: BaseException | None) -> bool:
    """Whether a task was cancelled: that is no failure of the work."""
    # Importing asyncio for this would cost more than the rest of the package together.
    asyncio = sys.modules.get("asyncio.exceptions")
    return asyncio is not None and isinstance(error, asyncio.CancelledError)


def describe_error(error: BaseException) -> tuple[str, str]:
    """Return error.type (the provider's code, or the exception's qualified name) and the redacted message."""
    try:
        kind = getattr(error, "error_type", None)
    except Exception:  # an exception with a __getattr__ of its own
        kind = None
    if not isinstance(kind, str):
        kind = type(error).__qualname__
        module = type(error).__module__
        if module and module != "builtins":
            kind = f"{module}.{kind}"
    try:
        message = redact(str(error))
    except Exception:  # a __str__ that raises
        message = ""
    return kind, message


def end_span(
    span: Span, attributes: Mapping[str, Any], error: BaseException | None, *, end_ns: int | None = None
) -> None:
    """End a span with these attributes; `error` is what left its block. Never raises.

    A cancellation leaves the status unset and is marked; a generator closed early and `sys.exit(0)` are no errors.
    """
    try:
        final = attributes
        if error is not None and not isinstance(error, GeneratorExit):
            if is_cancellation(error):
                final = {**attributes, sc.CANCELLED: True}
            elif not (isinstance(error, SystemExit) and error.code in (None, 0)):
                final = _mark_failed(span, attributes, error)
        if final:
            set_attributes(span, final)
    except Exception as failure:
        HOOKS.failed("ending a span", failure)
    try:
        span.end(end_ns)
    except Exception as failure:
        HOOKS.failed("ending a span", failure)


def set_attributes(span: Span, attributes: Mapping[str, Any]) -> None:
    """`span.set_attributes`, for keys that are not empty, in a quarter of its time.

    OpenTelemetry examines key by key and value by value what was made here a moment ago, which is an eighth of all that
    a call costs. What it could only take as it is goes at once into the dictionary behind the span's attributes.
    """
    inside: Any = span
    try:
        held = inside._attributes
        if type(held) is BoundedAttributes and _WRITES_THROUGH and _are_plain(attributes.values()):
            with inside._lock, held._lock:
                full = held.maxlen is not None and len(held._dict) + len(attributes) > held.maxlen
                if inside._end_time is None and held.max_value_len is None and not full:
                    held._dict.update(attributes)
                    return
    except AttributeError:  # not a span of the SDK's, or of another version of it
        pass
    span.set_attributes(attributes)


def _are_plain(values: Collection[object]) -> bool:
    if _PLAIN.issuperset(map(type, values)):
        return True
    for value in values:
        if type(value) not in _PLAIN and not (type(value) is tuple and _TEXT.issuperset(map(type, value))):
            return False
    return True


_TEXT = frozenset({str})
_PLAIN = frozenset({bool, int, float, str})


def _writes_through() -> bool:
    """Whether what is put into the dictionary behind attributes is what others read of them."""
    try:
        probe: Any = BoundedAttributes(maxlen=1, immutable=False)
        probe._dict.update(probe=1)
        return dict(probe) == {"probe": 1} and probe.max_value_len is None
    except Exception:
        return False


_WRITES_THROUGH = _writes_through()


def _stack_of(error: BaseException) -> str:
    try:
        stack = "".join(traceback.format_exception(error, limit=_MAX_FRAMES))
    except Exception:  # it asks the exception, whose own methods may raise
        stack = "".join(traceback.format_tb(error.__traceback__, limit=_MAX_FRAMES))
    return redact(stack[-_MAX_STACK:])


def _mark_failed(span: Span, attributes: Mapping[str, Any], error: BaseException) -> dict[str, Any]:
    kind, message = describe_error(error)
    event = {"exception.type": kind}
    if HOOKS.error_messages:
        span.set_status(Status(StatusCode.ERROR, message))
        event["exception.message"] = message
        if error.__traceback__ is not None:
            event["exception.stacktrace"] = _stack_of(error)
    else:
        span.set_status(Status(StatusCode.ERROR))
    span.add_event("exception", event)
    return {**attributes, sc.ERROR_TYPE: kind}
