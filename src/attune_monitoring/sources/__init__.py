"""One Query, several answers: the local folder, the running process, SigNoz and Prometheus."""

from __future__ import annotations

__all__: list[str] = []
