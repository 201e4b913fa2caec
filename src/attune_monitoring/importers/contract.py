"""What an importer is: it finds lines of records, and says which lines stand for the same record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, encode_call, encode_line
from attune_monitoring.store import CALLS, DETAILS, RUNS

from .reading import Reading

__all__ = ["STREAMS", "Found", "Importer", "call_found", "record_keys", "run_found"]

STREAMS = (CALLS, DETAILS, RUNS)
"""Streams that records are imported into."""


class Found(NamedTuple):
    """One line that a source holds."""

    stream: str
    line: bytes
    r"""Without its `\n`, as it is written."""
    call: LLMCallRecord | None = None
    """The record of a line of the stream of calls, for what it adds to the figures."""


class Importer(Protocol):
    """One kind of source."""

    repeats: bool
    """Whether equal records of one source are so many records (lines of ours), or one that is written repeatedly."""

    def files(self, path: Path) -> list[Path]:
        """Return the files of a source, in the order in which they are read; `path`: a file or a folder."""

    def find(self, files: Sequence[Path], reading: Reading) -> Iterator[Found]:
        """Yield what the files hold; what is passed over is told to `reading`. Never raises for what they hold."""

    def keys(self, stream: str, line: bytes) -> tuple[int, ...]:
        """Return the identity of a line, and further ones under which it may be there already; () if it has none."""


def call_found(record: LLMCallRecord) -> Found:
    """Return the line of a call."""
    return Found(CALLS, encode_call(record), record)


def run_found(record: WorkflowRunRecord) -> Iterator[Found]:
    """Yield the lines of a run, the details first: a run is never without them."""
    yield Found(DETAILS, encode_line(record.to_details()))
    if record.parent_run_id is None:
        yield Found(RUNS, encode_line(record.to_dict()))


def record_keys(stream: str, line: bytes) -> tuple[int, ...]:
    """Return the identity of a record by its ids: a run's id, or a call's id and trace.

    A call that was handed in and written before it had a span bears no trace, so that its id alone is enough.
    """
    try:
        found = _decode(line)
    except (ValueError, RecursionError):
        return ()
    if stream != CALLS:
        return (_key(stream, found.run_id),) if isinstance(found.run_id, str) else ()
    if not isinstance(found.call_id, str):
        return ()
    trace = None
    if isinstance(found.metadata, dict) and isinstance(attune := found.metadata.get("attune"), dict):
        trace = attune.get("trace_id")
    alone = _key(stream, found.call_id)
    return (_key(stream, f"{found.call_id}\n{trace}"), alone) if isinstance(trace, str) else (alone,)


class _Ids(msgspec.Struct):
    call_id: Any = None
    run_id: Any = None
    metadata: Any = None


_decode = msgspec.json.Decoder(_Ids).decode


def _key(stream: str, text: str) -> int:
    # 64 bits: among ten million records two of the same key are a matter of 1 in 370,000.
    return int.from_bytes(hashlib.blake2b(f"{stream}\n{text}".encode("utf-8", "replace"), digest_size=8).digest())
