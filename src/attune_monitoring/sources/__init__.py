"""One Query, several answers: the local folder and the running process."""

from __future__ import annotations

__all__: list[str] = []
