"""Numbers for writers that cannot share a file: each is held by one process at a time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO

from attune_monitoring.errors import StoreError

from .segments import prepare_folder

__all__ = ["Slot"]


class Slot:
    """A number that this process alone holds for as long as it lives, for writers that cannot share a file.

    Raises:
        StoreError: the folder cannot be written, or a thousand processes hold slots.
    """

    def __init__(self, folder: Path) -> None:
        try:
            prepare_folder(folder)
            for number in range(1000):
                handle = (folder / f".w{number}.lock").open("ab")
                if _try_lock(handle):
                    self.number = number
                    self._handle = handle
                    return
                handle.close()
        except OSError as error:
            raise StoreError(f"{folder}: no writer's slot can be had: {error.strerror}") from error
        raise StoreError(f"{folder}: all 1000 writer's slots are taken")

    def release(self) -> None:
        """Let another process have the number."""
        self._handle.close()


if sys.platform == "win32":  # pragma: no cover - not run on this platform
    import msvcrt

    def _try_lock(handle: IO[bytes]) -> bool:
        try:
            handle.seek(0)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(handle: IO[bytes]) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
