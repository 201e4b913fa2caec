"""The only owner of JSONL on disk: append, segments, read.

A stream is a series of segments `<stream>.jsonl`, `<stream>.00001.jsonl`, … that are never renamed or truncated by
rotation; a writer that cannot share a file (background writers, Windows) holds a slot of its own,
`<stream>.w<slot>[.<nnnnn>].jsonl`. One record is one `write` on an O_APPEND descriptor, which POSIX keeps whole, so
any number of processes append without a lock. Not for network file systems: use `write: background` there.
"""

from __future__ import annotations

from .append import SEGMENT_BYTES, Appender
from .read import ReadReport, read_newest
from .segments import CALLS, DETAILS, RUNS, Segment, prepare_folder, segments
from .slot import Slot

__all__ = [
    "CALLS",
    "DETAILS",
    "RUNS",
    "SEGMENT_BYTES",
    "Appender",
    "ReadReport",
    "Segment",
    "Slot",
    "prepare_folder",
    "read_newest",
    "segments",
]
