"""Checks of what is installed: versions, extras, and other packages that take the same names."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shutil
import sys
from pathlib import Path

from .finding import Finding, fail, ok, warn

__all__ = ["installation", "owners", "requirements", "version_key"]

_DISTRIBUTION = "attune-monitoring"
_COMMAND = "empathy"
_OTHERS = ("attune", "empathy_os")
"""Packages of the distributions that `empathy` belonged to before."""
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*\(?>=\s*([0-9][^\s,;)]*)\)?[^;]*(?:;(.*))?")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
_SCRIPT_BYTES = 8192


def installation() -> list[Finding]:
    """Return what is to be said of the installation."""
    return [_python(), *requirements(importlib.metadata.requires(_DISTRIBUTION) or []), *_names()]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return ok(f"{_DISTRIBUTION} {importlib.metadata.version(_DISTRIBUTION)} on Python {version}")


def requirements(lines: list[str]) -> list[Finding]:
    """Return whether what is needed is there, and which extras are.

    Args:
        lines: requirements as the metadata of a distribution has them.
    """
    found: list[Finding] = []
    telemetry: list[str] = []
    extras: dict[str, bool] = {}
    for line in lines:
        match = _REQUIREMENT.match(line)
        if match is None:
            continue
        name, least, marker = match.groups()
        extra = _EXTRA.search(marker or "")
        have = _installed(name)
        if extra is not None:
            extras[extra[1]] = extras.get(extra[1], True) and have is not None
        elif have is None:
            found.append(fail(f"{name} is not installed", f"pip install '{name}>={least}'"))
        elif version_key(have) < version_key(least):
            found.append(fail(f"{name} {have} is older than {least}", f"pip install --upgrade '{name}>={least}'"))
        elif name.startswith("opentelemetry-"):
            telemetry.append(f"{name.removeprefix('opentelemetry-')} {have}")
    if telemetry:
        found.append(ok(f"OpenTelemetry: {', '.join(telemetry)}"))
    if extras:
        present = [name for name, there in extras.items() if there]
        absent = [name for name, there in extras.items() if not there]
        found.append(ok(f"extras: {', '.join(present) or 'none'}; not installed: {', '.join(absent) or 'none'}"))
    return found


def version_key(version: str) -> tuple[tuple[int, ...], int, int]:
    """Return what versions are ordered by: the release, whether it is a final one, the pre-release's number."""
    match = re.match(r"(\d+(?:\.\d+)*)(?:\.?(dev|a|b|rc)(\d*))?", version)
    if match is None:
        return (), 0, 0
    release = tuple(map(int, match[1].split(".")))
    while release and release[-1] == 0:
        release = release[:-1]
    stage = {"dev": 0, "a": 1, "b": 2, "rc": 3, None: 4}[match[2]]
    return release, stage, int(match[3] or 0)


def owners(command: str) -> list[str]:
    """Return the installed distributions that install a command of this name."""
    found = importlib.metadata.entry_points(group="console_scripts", name=command)
    return sorted({entry.dist.name for entry in found if entry.dist is not None})


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _names() -> list[Finding]:
    found = []
    others = [name for name in owners(_COMMAND) if name.lower().replace("_", "-") != _DISTRIBUTION]
    if others:
        found.append(
            warn(
                f"{', '.join(others)} installs a command `{_COMMAND}` as well; which one is there depends on the order",
                f"use the command `{_DISTRIBUTION}`, which is the same and nobody else's",
            )
        )
    path = shutil.which(_COMMAND)
    if path is None:
        found.append(warn(f"no `{_COMMAND}` in PATH", f"python -m pip show -f {_DISTRIBUTION} says where it is"))
    elif not _is_ours(Path(path)):
        found.append(warn(f"the first `{_COMMAND}` in PATH, {path}, is another program", f"use `{_DISTRIBUTION}`"))
    else:
        found.append(ok(f"`{_COMMAND}` in PATH is {path}"))
    packages = [name for name in _OTHERS if importlib.util.find_spec(name) is not None]
    if packages:
        text = f"{' and '.join(packages)} of the Empathy Framework {'is' if len(packages) == 1 else 'are'} installed"
        found.append(ok(f"{text}; its records in .empathy are read, and nothing of it is changed"))
    return found


def _is_ours(path: Path) -> bool:
    """Whether a script starts this package; one that cannot be read as text gets the benefit of the doubt."""
    try:
        with path.open("rb") as file:
            start = file.read(_SCRIPT_BYTES)
    except OSError:
        return True
    return b"attune_monitoring" in start or b"\0" in start
