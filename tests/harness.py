"""What the fixtures of conftest.py give: programs, lines on disk, forked children, another user."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

__all__ = ["STRANGER", "Finished", "InChild", "ReadLines", "RunProgram", "StartProgram"]

STRANGER = 54321
"""A user that is not root: root is not stopped by permissions."""

InChild = Callable[[Callable[[], object]], int]
"""Runs a function in a forked child that ends by `os._exit`, and returns the child's exit status."""


class ReadLines(Protocol):
    def __call__(self, folder: Path, stream: str = "llm_calls") -> list[dict[str, Any]]: ...


class StartProgram(Protocol):
    def __call__(self, code: str, *arguments: object, **environment: object) -> subprocess.Popen[str]: ...


class Finished:
    """What a program did: its exit status (negative: the signal that ended it) and what it printed."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err

    def __repr__(self) -> str:
        return f"Finished(status={self.status}, out={self.out!r}, err={self.err!r})"


class RunProgram(Protocol):
    def __call__(self, code: str, *arguments: object, status: int = 0, **environment: object) -> Finished: ...
