"""How far a file has been read, and whether it is still the same file."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from .scan import open_segment

__all__ = ["Checkpoint"]

_HEAD_BYTES = 256


class Checkpoint(msgspec.Struct, frozen=True):
    """A place in a file up to which it has been read.

    The head is a hash of the first bytes that lay below `offset`, 256 at most, so it stays the same while the file
    grows; it tells a new file from the old one where the system has given it the same inode.
    """

    device: int
    inode: int
    head: str
    offset: int
    """In bytes; the beginning of a line."""

    @classmethod
    def at(cls, path: Path, offset: int) -> Checkpoint:
        """Return the checkpoint of a file that has been read up to `offset` (bytes).

        A reader that must be sure that the file was not replaced while it read takes one at its old offset before
        and compares `device` and `inode`.

        Raises:
            OSError: the file is gone or cannot be read.
        """
        with open_segment(path) as file:
            status = os.fstat(file.fileno())
            return cls(status.st_dev, status.st_ino, _hash(file.read(min(_HEAD_BYTES, offset))), offset)

    def holds(self, path: Path) -> bool:
        """Return whether what was read is still there: the same file, no shorter than `offset`, the same head."""
        try:
            with open_segment(path) as file:
                status = os.fstat(file.fileno())
                return (
                    (status.st_dev, status.st_ino) == (self.device, self.inode)
                    and status.st_size >= self.offset
                    and _hash(file.read(min(_HEAD_BYTES, self.offset))) == self.head
                )
        except OSError:
            return False


def _hash(head: bytes) -> str:
    return hashlib.blake2b(head, digest_size=16).hexdigest()
