"""Old folders of the Empathy Framework and attune, and other folders of ours: their lines go over as they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from attune_monitoring.errors import SourceError
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord
from attune_monitoring.store import CALLS, DETAILS, RUNS, segments

from .contract import STREAMS, Found
from .reading import NOT_JSON, Reading, decoded

__all__ = ["FolderImporter"]


class FolderImporter:
    """Reads a folder with segments, or a file of such lines under any name.

    Args:
        into: the folder that is imported into, which cannot be the source.
    """

    repeats = True

    def __init__(self, into: Path) -> None:
        self._into = into

    def files(self, path: Path) -> list[Path]:
        """Return the segments of a folder in the order in which they were written, or the file.

        Raises:
            SourceError: it is the folder that is imported into, or has no segments.
        """
        folder = path if path.is_dir() else path.parent
        if self._into.exists() and folder.samefile(self._into):
            raise SourceError(
                f"{path}: this is the folder that is imported into; name another one as the source, or with --into"
            )
        if not path.is_dir():
            return [path]
        found = [segment.path for stream in STREAMS for segment in segments(path, stream)]
        if not found:
            raise SourceError(f"{path}: no llm_calls.jsonl and no workflow_runs.jsonl in it; name an .empathy folder")
        return found

    def find(self, files: Sequence[Path], reading: Reading) -> Iterator[Found]:
        """Yield the lines that are records."""
        for path in files:
            stream = next((one for one in STREAMS if path in {item.path for item in segments(path.parent, one)}), None)
            for line in reading.lines(path):
                data = decoded(line)
                try:
                    if data is None:
                        raise ValueError(NOT_JSON)
                    kind = stream or _stream_of(data)
                    if kind == CALLS:
                        yield Found(CALLS, line, LLMCallRecord.from_dict(data))
                    else:
                        WorkflowRunRecord.from_dict(data)
                        yield Found(kind, line)
                except (ValueError, RecursionError) as error:
                    reading.skip(str(error), line)

    def keys(self, stream: str, line: bytes) -> tuple[int, ...]:
        """Return what identifies a line: all of it, since ids of old calls are not unique."""
        digest = hashlib.blake2b(line, digest_size=8, person=stream.encode()[:16]).digest()
        return (int.from_bytes(digest),)


def _stream_of(data: object) -> str:
    """The stream that a line of a file with another name belongs to."""
    if not isinstance(data, dict) or "run_id" not in data or "call_id" in data:
        return CALLS
    return DETAILS if "metadata" in data else RUNS
