"""What is read of a span, and of the process that it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

__all__ = ["Origin", "SpanData"]


class SpanData(msgspec.Struct, gc=False):
    """What is read of an ended span, whoever made it: the SDK here, an OTLP file elsewhere (times: ns, epoch)."""

    name: str
    attributes: Mapping[str, Any]
    start_ns: int
    end_ns: int
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    failed: bool = False
    status_message: str | None = None
    exceptions: Sequence[tuple[str | None, str | None]] = ()
    scope: str | None = None
    scope_version: str | None = None
    dialect: str | None = None


class Origin(msgspec.Struct, frozen=True):
    """The process that a record comes from."""

    service: str | None = None
    host: str | None = None
    pid: int | None = None
    under_pytest: bool = False
