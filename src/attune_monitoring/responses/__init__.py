"""Provider response or stream chunk → usage, model, finish reason; imports no provider's library."""

from __future__ import annotations

from .info import ResponseInfo
from .providers import provider_of
from .reader import StreamReader, read_response
from .streams import is_stream

__all__ = ["ResponseInfo", "StreamReader", "is_stream", "provider_of", "read_response"]
