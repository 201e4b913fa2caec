"""One pass over the files of a source: lines and JSON values in bounded memory, what was passed over, how far it is."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from attune_monitoring.store import ReadReport
from attune_monitoring.store.scan import MAX_LINE_BYTES, open_segment

__all__ = ["MAX_VALUE_BYTES", "NOT_JSON", "Progress", "Reading", "decoded"]

Progress = Callable[[int, int], None]
"""Called with the bytes that are done and the bytes that there are."""

NOT_JSON = "not JSON"
MAX_VALUE_BYTES = 64 * 1024 * 1024
"""A JSON value over several lines, or a batch of spans in one, that is longer is passed over."""
_STEP = 256 * 1024
"""Bytes between two calls of the progress."""
_STRING = re.compile(rb'"(?:[^"\\]|\\.?)*+"?', re.DOTALL)
"""A JSON string, or the rest of the line where it does not end; possessive, so that no line takes long."""


class Reading:
    """Reads files and remembers what it passed over.

    Args:
        total: bytes that there are to read, for the progress.
        progress: called now and then, with everything before it written.
    """

    def __init__(self, total: int = 0, progress: Progress | None = None) -> None:
        self.report = ReadReport()
        self._total = total
        self._progress = progress
        self._done = 0
        self._told = 0
        self._path = Path()
        self._start = 0

    def skip(self, reason: str, line: bytes = b"", start: int | None = None) -> None:
        """Count what was given last as passed over, or what begins at the offset `start` (bytes)."""
        self.report.skip(reason, self._path, self._start if start is None else start, line)

    def advance(self, size: int) -> None:
        """So many bytes more are done."""
        self._done += size
        if self._progress is not None and self._done - self._told >= _STEP:
            self._told = self._done
            self._progress(self._done, max(self._done, self._total))

    def lines(self, path: Path, *, limit: int = MAX_LINE_BYTES) -> Iterator[bytes]:
        r"""Yield the lines of a file (gzip where its name ends with .gz) without their `\n`, empty ones left out.

        A last line without a newline is given, too: nobody is writing it any more.
        """
        self._path, self._start = path, 0
        position = 0
        try:
            with open_segment(path) as raw:
                zipped = path.suffix == ".gz"
                buffered = io.BufferedReader(raw, _STEP)
                readline = gzip.GzipFile(fileobj=buffered).readline if zipped else buffered.readline
                while piece := readline(limit + 1):
                    size = len(piece)
                    line = piece.removesuffix(b"\n")
                    if len(line) > limit:
                        while piece and not piece.endswith(b"\n"):
                            piece = readline(limit)
                            size += len(piece)
                        self.skip(f"longer than {limit >> 20} MiB")
                    elif line and not line.isspace():
                        yield line.removeprefix(b"\xef\xbb\xbf") if self._start == 0 else line
                    self._start += size
                    now = raw.tell() if zipped else self._start
                    self.advance(now - position)
                    position = now
        except (OSError, EOFError, zlib.error) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "damaged gzip"
            self.skip("file that cannot be read to its end", reason.encode())

    def values(self, path: Path, begins: Callable[[Any], bool]) -> Iterator[Any]:
        """Yield the JSON values of a file, one a line, over several lines, or both mixed.

        Args:
            path: the file.
            begins: whether a value is one that stands at the top, so that a damaged one before it ends there.
        """
        block: list[bytes] = []
        depth = size = start = 0
        for line in self.lines(path, limit=MAX_VALUE_BYTES):
            if not block or line.startswith(b"{"):
                value = decoded(line)
                if value is not None and (not block or begins(value)):
                    if block:
                        self.skip(NOT_JSON, block[0], start)
                        block, depth, size = [], 0, 0
                    yield value
                    continue
            start = start if block else self._start
            bare = _STRING.sub(b"", line)
            depth += bare.count(b"{") + bare.count(b"[") - bare.count(b"}") - bare.count(b"]")
            size += len(line)
            block.append(line)
            if depth > 0 and size <= MAX_VALUE_BYTES:
                continue
            whole = b"\n".join(block)
            value = decoded(whole) if depth <= 0 else None
            if value is not None:
                yield value
            else:
                self.skip(NOT_JSON if depth <= 0 else f"longer than {MAX_VALUE_BYTES >> 20} MiB", whole[:100], start)
            block, depth, size = [], 0, 0
        if block:
            self.skip(NOT_JSON, block[0], start)


def decoded(text: bytes) -> Any:
    """Return a JSON value; None where the text is none (or is `null`)."""
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return None
