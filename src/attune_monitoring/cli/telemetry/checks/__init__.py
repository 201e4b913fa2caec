"""What `empathy telemetry doctor` looks at: each check is a function that returns findings."""

from __future__ import annotations

from .finding import Finding, Mark, fail, ok, warn

__all__ = ["Finding", "Mark", "fail", "ok", "warn"]
