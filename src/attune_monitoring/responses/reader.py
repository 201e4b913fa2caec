"""From any object to what is known of the response or stream; the one place where reading is guarded."""

from __future__ import annotations

from .fields import NOTHING, Fields, fields
from .info import ResponseInfo
from .providers import provider_of_type
from .registry import SHAPES
from .shape import ChunkReader
from .unwrap import unwrap

__all__ = ["StreamReader", "read_response"]

_MAX_WRAPPERS = 4


def read_response(response: object) -> ResponseInfo | None:
    """What a provider's whole response says about itself. Never raises.

    Args:
        response: an SDK's object, the same as a dict, or a wrapper of one that was already read.

    Returns:
        None if this is not a response of a known shape.
    """
    try:
        for _ in range(_MAX_WRAPPERS):
            root = fields(response)
            if root is NOTHING:
                return None
            for shape in SHAPES:
                if shape.matches(root):
                    return shape.read(root, provider_of_type(type(response)))
            response = unwrap(response)
    except Exception:  # a response may be anything, and telemetry must not fail the call that it watches
        return None
    return None


class StreamReader:
    """Learns from the chunks of one stream what it says about itself. Never raises.

    Raw events and the events of the SDKs' stream helpers may be fed alike; what a helper derives from another event
    is not counted twice.
    """

    def __init__(self) -> None:
        self._reader: ChunkReader | None = None

    @property
    def finished(self) -> bool:
        """Whether the stream ended by itself: its terminator or an error event was seen."""
        return self._reader is not None and self._reader.finished

    def feed(self, chunk: object) -> bool:
        """Takes the next chunk.

        Returns:
            True when the chunk carried generated content: text, reasoning, a piece of a tool call, audio.
        """
        if type(chunk) is str:  # a text-only view of a stream
            return bool(chunk)
        try:
            node = fields(chunk)
            reader = self._reader
            if reader is None:
                reader = self._reader = _reader_for(node, type(chunk))
            return reader is not None and reader.feed(node)
        except Exception:  # see read_response
            return False

    def result(self) -> ResponseInfo:
        """What is known by now; `usage_complete` is True once the terminator and the final usage were seen."""
        try:
            if self._reader is not None:
                self._reader.close()
                return self._reader.info
        except Exception:  # see read_response
            return ResponseInfo(usage_complete=False)
        return ResponseInfo(usage_complete=False)


def _reader_for(node: Fields, kind: type) -> ChunkReader | None:
    if node is NOTHING:
        return None
    for shape in SHAPES:
        if shape.opens is not None and shape.stream is not None and shape.opens(node):
            return shape.stream(provider_of_type(kind))
    return None
