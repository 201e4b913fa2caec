"""Failures that arrive as data: error bodies and the error events of streams."""

from __future__ import annotations

from .fields import Fields, count, fields, text
from .info import ResponseInfo
from .shape import Shape

__all__ = ["SHAPE", "apply_error"]

_MAX_MESSAGE = 1024
_BODY_KEYS = frozenset({"error", "type", "request_id", "user_id", "status", "code"})


def apply_error(info: ResponseInfo, error: object) -> None:
    """Writes an error, a text or an object with `code`, `type`, `status` and `message`, into `info`."""
    message: object = error
    kind: str | None = None
    if not isinstance(error, str):
        get = fields(error).get
        message = get("message")
        code = get("code")
        number = count(code)
        kind = text(code) or text(get("type")) or text(get("status")) or (None if number is None else str(number))
    info.error_type = kind or "_OTHER"
    info.error_message = text(message, _MAX_MESSAGE)


def _matches(root: Fields) -> bool:
    error = root.get("error")
    if not error:
        return False
    if root.get("type") == "error":
        return True
    get = fields(error).get
    return (
        type(root) is dict
        # An SDK makes its own type even of this, with nothing in the fields that it knows.
        and all(value is None or key in _BODY_KEYS for key, value in root.items())
        and isinstance(get("message"), str)
        and (get("type") is not None or get("code") is not None)
    )


def _read(root: Fields, declared: str | None) -> ResponseInfo:
    provider = "anthropic" if root.get("type") == "error" else declared
    info = ResponseInfo(provider=provider, usage_complete=False)
    apply_error(info, root.get("error"))
    return info


class _Stream:
    """A stream of which the error is all that came."""

    def __init__(self, declared: str | None) -> None:
        self.info = ResponseInfo(usage_complete=False)
        self.finished = False
        self._declared = declared

    def feed(self, chunk: Fields) -> bool:
        if _matches(chunk):
            self.info = _read(chunk, self._declared)
            self.finished = True
        return False

    def close(self) -> None:
        """Nothing is pending."""


SHAPE = Shape(matches=_matches, read=_read, opens=_matches, stream=_Stream)
