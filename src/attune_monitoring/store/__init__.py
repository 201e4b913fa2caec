"""The only owner of JSONL on disk: append, segments, read, follow, archive.

A stream is a series of segments `<stream>.jsonl`, `<stream>.00001.jsonl`, … that are never renamed or truncated by
rotation; a writer that cannot share a file (background writers, Windows) holds a slot of its own,
`<stream>.w<slot>[.<nnnnn>].jsonl`. One record is one `write` on an O_APPEND descriptor, which POSIX keeps whole, so
any number of processes append without a lock. Not for network file systems: use `write: background` there.
"""

from __future__ import annotations

from .append import SEGMENT_BYTES, Appender
from .archiving import ARCHIVE, ArchiveReport, archive, archived_folders, movable, retention
from .checkpoint import Checkpoint
from .follow import Tail
from .read import ReadReport, Sample, read_all, read_newest, read_range
from .scan import MAX_LINE_BYTES, Chunk, read_forward
from .segments import CALLS, DETAILS, RUNS, Segment, prepare_folder, segments
from .slot import Slot

__all__ = [
    "ARCHIVE",
    "CALLS",
    "DETAILS",
    "MAX_LINE_BYTES",
    "RUNS",
    "SEGMENT_BYTES",
    "Appender",
    "ArchiveReport",
    "Checkpoint",
    "Chunk",
    "ReadReport",
    "Sample",
    "Segment",
    "Slot",
    "Tail",
    "archive",
    "archived_folders",
    "movable",
    "prepare_folder",
    "read_all",
    "read_forward",
    "read_newest",
    "read_range",
    "retention",
    "segments",
]
