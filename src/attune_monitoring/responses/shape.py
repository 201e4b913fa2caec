"""The contract of a provider shape: how to tell one, how to read a whole response, how to read its stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from .fields import Fields
from .info import ResponseInfo

__all__ = ["ChunkReader", "Shape"]


class ChunkReader(Protocol):
    """Reads one stream, chunk by chunk."""

    info: ResponseInfo
    """What is known so far."""

    @property
    def finished(self) -> bool:
        """Whether the stream's own terminator was seen, or the error that ended it."""
        ...

    def feed(self, chunk: Fields) -> bool:
        """Takes a chunk; True when it carried generated content."""
        ...

    def close(self) -> None:
        """Brings `info` up to date; may be called more than once."""
        ...


class Shape(msgspec.Struct, frozen=True):
    """One form in which providers answer.

    Args:
        matches: whether these are the fields of a whole response of this shape.
        read: the fields of such a response, and the provider whose SDK defines its type (if one does), to what they
            say.
        opens: whether these are the fields of a chunk that a stream of this shape can begin with; None if there are
            no such streams.
        stream: makes the reader of such a stream; takes the provider as `read` does.
    """

    matches: Callable[[Fields], bool]
    read: Callable[[Fields, str | None], ResponseInfo | None]
    opens: Callable[[Fields], bool] | None = None
    stream: Callable[[str | None], ChunkReader] | None = None
