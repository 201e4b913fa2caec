"""The lines of one file, forwards and backwards, in bounded memory whatever the file holds."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["MAX_LINE_BYTES", "Chunk", "Line", "open_segment", "read_backward", "read_forward"]

MAX_LINE_BYTES = 16 * 1024 * 1024
"""A line longer than this, without its newline, is passed over without being held in memory."""

_CHUNK = 4 * 1024 * 1024
_BACKWARD = 1 << 18


class Chunk(NamedTuple):
    r"""The bytes of a file from `start` to `end`: complete lines, so `data` ends with `\n`.

    With `too_long` they are one line longer than `MAX_LINE_BYTES`, and `data` is empty.
    """

    data: bytes
    start: int
    end: int
    too_long: bool = False


class Line(NamedTuple):
    r"""One line without its `\n`, which is the last byte before `end`; with `too_long`, `data` is empty."""

    data: bytes
    start: int
    end: int
    too_long: bool = False


def open_segment(path: Path) -> io.FileIO:
    """Open a file for reading, but nothing that could block or never end (a pipe, a device, a folder).

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
    return io.FileIO(descriptor, "rb")


def read_forward(
    path: Path, offset: int = 0, *, until: int | None = None, chunk_bytes: int = _CHUNK
) -> Iterator[Chunk]:
    """Yield the complete lines of a file from `offset` on; a last line without its newline is not given.

    What is appended after the call began is left for the next one, so a busy writer cannot keep a reader for ever; a
    file that is cut meanwhile ends where it ends, and one that is not there has no lines.

    Args:
        path: the file.
        offset: in bytes; the beginning of a line.
        until: no line that ends beyond this offset (in bytes) is given.
        chunk_bytes: size of a chunk; one with a longer line is as long as that line.

    Raises:
        OSError: the file is there and cannot be read (permissions, a folder of that name, a broken disk).
    """
    try:
        file = open_segment(path)
    except FileNotFoundError:
        return
    with file:
        size = os.fstat(file.fileno()).st_size
        limit = size if until is None else min(size, until)
        wanted = usual = max(1, min(chunk_bytes, MAX_LINE_BYTES + 1))
        while offset < limit:
            file.seek(offset)
            block = file.read(min(wanted, limit - offset))
            length = block.rfind(b"\n") + 1
            if length:
                yield Chunk(block if length == len(block) else block[:length], offset, offset + length)
                offset += length
                wanted = usual
            elif len(block) < wanted:
                return
            elif wanted <= MAX_LINE_BYTES:
                wanted = min(wanted * 4, MAX_LINE_BYTES + 1)
            else:
                end = _after_newline(file, offset + len(block), limit)
                if end is None:
                    return
                yield Chunk(b"", offset, end, too_long=True)
                offset = end
                wanted = usual


def read_backward(path: Path, *, until: int | None = None) -> Iterator[Line]:
    """Yield the complete lines of a file from its end; a last line without its newline is not given.

    Args:
        path: the file.
        until: the offset (in bytes) that is taken for the end of the file, where it is longer.

    Raises:
        OSError: the file is there and cannot be read.
    """
    try:
        file = open_segment(path)
    except FileNotFoundError:
        return
    with file:
        position = file.seek(0, os.SEEK_END)
        if until is not None:
            position = min(position, until)
        pieces: list[bytes] = []  # of the line that is being put together, last piece first
        last = -1  # the newline that ends this line; -1 before one is found
        while position > 0:
            size = min(_BACKWARD, position)
            position -= size
            file.seek(position)
            block = file.read(size)
            if len(block) < size:  # cut meanwhile
                return
            end = size
            while (newline := block.rfind(b"\n", 0, end)) >= 0:
                if last >= 0:
                    yield _line(block[newline + 1 : end], pieces, position + newline + 1, last)
                pieces, last, end = [], position + newline, newline
            if last - position > MAX_LINE_BYTES:
                pieces.clear()
            elif last >= 0:
                pieces.append(block[:end])
        if last >= 0:
            yield _line(b"", pieces, 0, last)


def _line(first: bytes, pieces: list[bytes], start: int, newline: int) -> Line:
    if newline - start > MAX_LINE_BYTES:
        return Line(b"", start, newline + 1, too_long=True)
    return Line(b"".join((first, *reversed(pieces))) if pieces else first, start, newline + 1)


def _after_newline(file: io.FileIO, position: int, limit: int) -> int | None:
    file.seek(position)
    while position < limit:
        block = file.read(min(_CHUNK, limit - position))
        if not block:
            return None
        found = block.find(b"\n")
        if found >= 0:
            return position + found + 1
        position += len(block)
    return None
