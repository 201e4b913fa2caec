"""Following a stream as it grows: every new line once, whatever happens to the files meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from .archiving import archived_folders, working_folders
from .checkpoint import Checkpoint
from .scan import read_backward, read_forward
from .segments import segments

__all__ = ["Tail"]

_PATIENCE_SECONDS = 10.0

_File = tuple[int, int]
"""Device and inode."""


class _Place(NamedTuple):
    checkpoint: Checkpoint
    size: int
    mtime_ns: int
    """Size and time at the last look: while they stay, there is nothing to read."""


class _Gone(NamedTuple):
    checkpoint: Checkpoint
    since: float


class Tail:
    """Gives the lines that are new in a stream, in every segment of it.

    A segment that was replaced, truncated or made later is read from its beginning. Of one that was archived the rest
    is read in the archive, once the archiving program has finished (see `archive` for the agreement between both);
    of one that was deleted or moved elsewhere nothing more. The folder need not exist yet.

    Args:
        folder: the folder of the segments.
        stream: the stream's name.
        from_end: whether what is there already is left out.
        clock: seconds of a clock that only goes forward.
    """

    def __init__(
        self, folder: Path, stream: str, *, from_end: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.too_long = 0
        """Lines that were passed over because no reader holds as much."""
        self._folder = Path(folder)
        self._stream = stream
        self._clock = clock
        self._places: dict[Path, _Place] = {}
        self._gone: dict[_File, _Gone] = {}
        self._seen: set[Path] = set()
        """Folders of the archive that need not be looked into again."""
        for segment in segments(self._folder, stream) if from_end else ():
            self._skip(segment.path)
        # After the live ones: what is archived meanwhile is in one of both.
        folders = [*working_folders(self._folder), *archived_folders(self._folder)]
        self._archived = {file for path in self._in(folders) if (file := _file(path)) is not None}
        """Segments in the archive that were read to their end, or were there before this began."""
        self._archived -= {_identity(place.checkpoint) for place in self._places.values()}

    def poll(self) -> list[bytes]:
        r"""Return the complete lines (without `\n`) since the last poll: archived ones first, then by segment."""
        complete = archived_folders(self._folder)  # before the live ones: what is in them is then known to be gone
        live = [segment.path for segment in segments(self._folder, self._stream)]
        for path in list(self._places):
            if _file(path) != _identity(self._places[path].checkpoint):
                self._leave(path)
        lines: list[bytes] = []
        for path in self._in([folder for folder in complete if folder not in self._seen]):
            lines += self._rest(path)
        self._seen.update(complete)
        lines += self._given_up()
        for path in live:
            lines += self._advance(path)
        return lines

    def _skip(self, path: Path) -> None:
        try:
            status = path.stat()
            last = next(read_backward(path), None)
            checkpoint = Checkpoint.at(path, last.end if last else 0)
        except OSError:
            return
        self._places[path] = _Place(checkpoint, status.st_size, status.st_mtime_ns)

    def _advance(self, path: Path) -> list[bytes]:
        try:
            status = path.stat()
            place = self._places.get(path)
            if place is not None and place[1:] == (status.st_size, status.st_mtime_ns):
                return []
            start = place.checkpoint if place and place.checkpoint.holds(path) else Checkpoint.at(path, 0)
            lines, end, too_long = _lines(path, start.offset)
            checkpoint = Checkpoint.at(path, end)
        except OSError:
            return []
        file = _identity(checkpoint)
        # Moved away while it was read: there may be late lines among these, which come again by the live stream.
        if file != _identity(start) or (place and file != _identity(place.checkpoint)):
            return []
        self.too_long += too_long
        self._places[path] = _Place(checkpoint, status.st_size, status.st_mtime_ns)
        self._archived.discard(file)  # the number of a deleted file, given anew
        return lines

    def _leave(self, path: Path) -> None:
        checkpoint = self._places.pop(path).checkpoint
        self._gone[_identity(checkpoint)] = _Gone(checkpoint, self._clock())

    def _rest(self, path: Path) -> list[bytes]:
        """What has not been given of an archived segment."""
        file = _file(path)
        if file is None or file in self._archived:
            return []
        self._archived.add(file)
        gone = self._gone.pop(file, None)
        try:
            lines, _, too_long = _lines(path, gone.checkpoint.offset if gone else 0)
        except OSError:
            return []
        self.too_long += too_long
        return lines

    def _given_up(self) -> list[bytes]:
        """The rest of segments that left long ago and are in no complete folder: their archiver was killed."""
        latest = self._clock() - _PATIENCE_SECONDS
        expired = {file for file, gone in self._gone.items() if gone.since < latest}
        if not expired:
            return []
        lines: list[bytes] = []
        for path in self._in(working_folders(self._folder)):
            if _file(path) in expired:
                lines += self._rest(path)
        for file in expired:
            self._gone.pop(file, None)
        return lines

    def _in(self, folders: list[Path]) -> list[Path]:
        return [segment.path for folder in folders for segment in segments(folder, self._stream)]


def _file(path: Path) -> _File | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _identity(checkpoint: Checkpoint) -> _File:
    return checkpoint.device, checkpoint.inode


def _lines(path: Path, offset: int) -> tuple[list[bytes], int, int]:
    """Complete lines from `offset` on that are not empty, where they end, and how many were too long."""
    lines: list[bytes] = []
    too_long = 0
    for chunk in read_forward(path, offset):
        lines += [line for line in chunk.data.split(b"\n") if line]
        offset = chunk.end
        too_long += chunk.too_long
    return lines, offset, too_long
