"""Which files a stream has: the grammar of their names, and the folder that they are in."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import NamedTuple

__all__ = ["CALLS", "DETAILS", "RUNS", "Segment", "prepare_folder", "segment_name", "segments"]

CALLS = "llm_calls"
RUNS = "workflow_runs"
"""Root runs, in the published format and no key more."""
DETAILS = "workflow_details"
"""Every run, nested ones included, with all that is known of it."""


_NAME = re.compile(r"(?P<stream>[A-Za-z0-9_-]+)(?:\.w(?P<slot>\d{1,4}))?(?:\.(?P<number>\d{5,}))?\.jsonl")


class Segment(NamedTuple):
    """One file of a stream; sorted, segments stand in the order in which they were opened."""

    slot: int
    """-1: shared by all writers."""
    number: int
    path: Path


def segments(folder: Path, stream: str) -> list[Segment]:
    """Return the segments of a stream, oldest first within each slot; none where there is no folder."""
    found = []
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names alone, without a Path for each
    except OSError:
        return []
    for name in names:
        match = _NAME.fullmatch(name)
        if match is not None and match["stream"] == stream:
            found.append(Segment(int(match["slot"] or -1), int(match["number"] or 0), folder / name))
    return sorted(found)


def segment_name(stream: str, slot: int, number: int) -> str:
    """Return the name of a segment's file."""
    return f"{stream}{f'.w{slot}' if slot >= 0 else ''}{f'.{number:05d}' if number else ''}.jsonl"


def prepare_folder(folder: Path) -> None:
    """Create the folder (0700) with a `.gitignore` of `*`, where it is missing.

    Raises:
        OSError: it cannot be created.
    """
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(OSError):  # a folder that only lets files be appended to is good enough
        descriptor = os.open(folder / ".gitignore", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, b"*\n")
        finally:
            os.close(descriptor)
