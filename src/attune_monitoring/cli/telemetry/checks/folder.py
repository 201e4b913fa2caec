"""Checks of the folder: which it is, whose, who can read it, and whether there is room."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

from attune_monitoring.config import Config
from attune_monitoring.store import ARCHIVE, CALLS, DETAILS, RUNS, archived_folders, segments

from .finding import Finding, fail, ok, warn

__all__ = ["folder", "megabytes"]

_LITTLE = 500_000_000
_NOTHING = 10_000_000
_STREAMS = (CALLS, RUNS, DETAILS)


def folder(path: Path, config: Config, env: Mapping[str, str], *, named: bool) -> list[Finding]:
    """Return what is to be said of the folder of the records.

    Args:
        path: the folder.
        config: what is configured.
        env: variables of the environment.
        named: whether --dir named it.
    """
    why = _why(config, env, named=named)
    try:
        status = path.stat()
    except FileNotFoundError:
        return [ok(f"{path} ({why}) does not exist yet; the first record makes it"), *_room(path)]
    except OSError as error:
        return [fail(f"{path} ({why}): {error.strerror}", "mend its permissions, or set EMPATHY_STORAGE_DIR")]
    if not stat.S_ISDIR(status.st_mode):
        return [fail(f"{path} ({why}) is no folder", "remove it, or set EMPATHY_STORAGE_DIR to another place")]
    return [ok(f"{path} ({why})"), *_access(path, status), *_room(path), *_content(path)]


def _why(config: Config, env: Mapping[str, str], *, named: bool) -> str:
    if named:
        return "named by --dir"
    if env.get("EMPATHY_STORAGE_DIR"):
        return "EMPATHY_STORAGE_DIR"
    if config.source is not None and config.storage_dir.name != ".empathy":
        return f"storage_dir in {config.source.name}"
    return "the nearest .empathy up to the project's root, or storage_dir"


def _access(path: Path, status: os.stat_result) -> list[Finding]:
    found = []
    if hasattr(os, "geteuid"):
        if status.st_uid != os.geteuid():
            owner = _owner(path, status)
            found.append(warn(f"it belongs to {owner}", "what runs as another user writes to a folder of its own"))
        open_files = [one.path.name for stream in _STREAMS for one in segments(path, stream) if _is_open(one.path)]
        if status.st_mode & 0o077:
            found.append(
                warn(f"others can look into it (permissions {status.st_mode & 0o777:04o})", f"chmod 700 {path}")
            )
        if open_files:
            more = f" and {len(open_files) - 1} more" if len(open_files) > 1 else ""
            found.append(warn(f"others can read {open_files[0]}{more}", f"chmod 600 {path}/*.jsonl"))
        if not found:
            found.append(ok("only its owner, who is you, can read it"))
    if not os.access(path, os.R_OK | os.X_OK):
        found.append(fail("it cannot be read", "mend its permissions"))
    if not os.access(path, os.W_OK | os.X_OK):
        found.append(fail("it cannot be written, so nothing is recorded", "mend its permissions, or its file system"))
    return found


def _owner(path: Path, status: os.stat_result) -> str:
    try:
        return path.owner()
    except (KeyError, NotImplementedError, OSError):
        return f"user {status.st_uid}"


def _is_open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def _room(path: Path) -> list[Finding]:
    existing = next((one for one in (path, *path.parents) if one.exists()), None)
    if existing is None:
        return []
    try:
        free = shutil.disk_usage(existing).free
    except OSError:
        return []
    text = f"{megabytes(free)} free on its disk"
    if free < _NOTHING:
        return [fail(text, "make room: records are lost where they cannot be written")]
    return [warn(text, "make room soon; `archive` and `retention` move old records") if free < _LITTLE else ok(text)]


def _content(path: Path) -> list[Finding]:
    files = [one.path for stream in _STREAMS for one in segments(path, stream)]
    found = [ok(f"{megabytes(sum(map(_size, files)))} of records in {len(files)} file{'' if len(files) == 1 else 's'}")]
    archived = archived_folders(path)
    if archived:
        size = sum(_size(file) for one in archived for file in one.rglob("*"))
        found.append(ok(f"{megabytes(size)} in {ARCHIVE}/, cleared {len(archived)} times; in no figure"))
    return found


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def megabytes(size: int) -> str:
    """Return a size in bytes for people."""
    if size < 1_000_000:
        return f"{size / 1000:,.1f} kB"
    return f"{size / 1e6:,.1f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"
