"""Reads the files of the stack as Compose and the collector do, and runs its scripts."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

__all__ = ["ROOT", "expanded", "loaded", "posix", "program", "run"]

ROOT = Path(__file__).parents[1]
_VARIABLE = re.compile(r"\$\{env:(\w+)(?::-([^}]*))?\}")

posix = pytest.mark.skipif(os.name == "nt", reason="the scripts run in Linux containers")


def loaded(*names: str) -> dict[str, Any]:
    """Return YAML files as one: mappings are merged, anything else of a later file replaces that of an earlier one."""
    merged: dict[str, Any] = {}
    for name in names:
        merged = _merged(merged, yaml.safe_load((ROOT / name).read_text(encoding="utf-8")))
    return merged


def expanded(value: Any, environment: Mapping[str, str]) -> Any:
    """Return a collector's configuration with `${env:NAME:-default}` replaced, as the collector does it."""
    if isinstance(value, dict):
        return {key: expanded(item, environment) for key, item in value.items()}
    if isinstance(value, list):
        return [expanded(item, environment) for item in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: environment.get(found[1], found[2] or ""), value)
    return value


def _merged(first: Any, second: Any) -> Any:
    if isinstance(first, dict) and isinstance(second, dict):
        return first | {key: _merged(first[key], value) if key in first else value for key, value in second.items()}
    return second


def run(script: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script of `deploy/` with no environment but this one and PATH."""
    return subprocess.run(
        ["sh", str(ROOT / "deploy" / script)],
        cwd=cwd,
        env={"PATH": os.environ["PATH"]} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def program(path: Path, text: str) -> None:
    """Write a shell script that stands for a program of a container."""
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
