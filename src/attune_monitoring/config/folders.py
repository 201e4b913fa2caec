"""Where things are: the project's root, its configuration file and the folder of its records."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from attune_monitoring.errors import ConfigError

__all__ = ["find_config_file", "find_storage_dir", "project_root"]

_STORAGE = ".empathy"
_CONFIG_NAMES = ("monitoring.yaml", "monitoring.yml")


def project_root(cwd: Path, env: Mapping[str, str]) -> Path | None:
    """Return the nearest folder, from `cwd` upward, with `.git` or `pyproject.toml`; None when there is none.

    The search ends below the home folder and below the root of the file system: what lies there
    does not belong to one project.
    """
    home = _home(env)
    for folder in (cwd, *cwd.parents):
        if folder != cwd and (folder == home or folder.parent == folder):
            return None
        if _stat(folder / ".git") or _stat(folder / "pyproject.toml"):
            return folder
    return None


def find_config_file(cwd: Path, env: Mapping[str, str]) -> Path | None:
    """Return the configuration file: `EMPATHY_CONFIG`, else the nearest monitoring.yaml up to the project's root.

    `EMPATHY_CONFIG` set to the null device (/dev/null, on Windows nul) means no file. Without a project's root only
    `cwd` is looked at. A file that someone else could have put into a folder that is open to everyone (such as the
    system's folder for temporary files) is passed over.

    Args:
        cwd: Absolute path of the working directory.
        env: The environment variables.
    """
    if named := env.get("EMPATHY_CONFIG"):
        return None if named == os.devnull else cwd / _expanded(named)
    for folder in _upward(cwd, env):
        for name in _CONFIG_NAMES:
            if _is_trusted_file(folder / name):
                return folder / name
    return None


def find_storage_dir(cwd: Path, env: Mapping[str, str]) -> Path:
    """Return the folder of the records; it need not exist.

    `EMPATHY_STORAGE_DIR`, else the nearest `.empathy` from `cwd` up to the project's root that is a folder (not a
    link) of this user, else a new one at the root, else one in `cwd`.

    Args:
        cwd: Absolute path of the working directory.
        env: The environment variables.

    Raises:
        ConfigError: The name is taken everywhere by links, files, or folders of other users.
    """
    if named := env.get("EMPATHY_STORAGE_DIR"):
        return cwd / _expanded(named)
    folders = _upward(cwd, env)
    for folder in folders:
        if _is_own_folder(folder / _STORAGE):
            return folder / _STORAGE
    for folder in (folders[-1], cwd):
        if _stat(folder / _STORAGE) is None:
            return folder / _STORAGE
    taken = folders[-1] / _STORAGE
    raise ConfigError(
        f"{taken}: is a link, a file or another user's folder; set EMPATHY_STORAGE_DIR to a folder of yours"
    )


def _upward(cwd: Path, env: Mapping[str, str]) -> list[Path]:
    """Return the folders from `cwd` to the project's root, `cwd` alone where there is none."""
    root = project_root(cwd, env)
    if root is None:
        return [cwd]
    chain = (cwd, *cwd.parents)
    return list(chain[: chain.index(root) + 1])


def _home(env: Mapping[str, str]) -> Path:
    return Path(_expanded(env.get("HOME") or env.get("USERPROFILE") or "~")).resolve()


def _expanded(path: str) -> str:
    # Path.expanduser raises for a user without a home, as containers with arbitrary user ids have.
    return os.path.expanduser(path)  # noqa: PTH111


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except OSError:
        return None


def _is_own_folder(path: Path) -> bool:
    found = _stat(path)
    return found is not None and stat.S_ISDIR(found.st_mode) and _is_owner(found, _users())


def _is_trusted_file(path: Path) -> bool:
    try:
        found, folder = path.stat(), path.parent.stat()
    except OSError:
        return False
    open_to_all = bool(folder.st_mode & stat.S_IWOTH)
    return stat.S_ISREG(found.st_mode) and (not open_to_all or _is_owner(found, _users() | {0}))


def _users() -> set[int]:
    return {os.geteuid()} if hasattr(os, "geteuid") else set()


def _is_owner(found: os.stat_result, users: set[int]) -> bool:
    # Windows has no owner ids; its folders are protected by inherited permissions.
    return not hasattr(os, "geteuid") or found.st_uid in users
