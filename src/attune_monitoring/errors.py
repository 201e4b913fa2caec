"""The errors of this package: one base, one child for each kind of mend."""

from __future__ import annotations

__all__ = ["ActionError", "ConfigError", "MonitoringError", "SourceError", "StoreError"]


class MonitoringError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(MonitoringError):
    """A configuration that cannot be used; `problems` holds every fault, each with its place."""

    def __init__(self, problems: str | list[str]) -> None:
        self.problems: list[str] = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class StoreError(MonitoringError):
    """The local folder cannot be read or written."""


class SourceError(MonitoringError):
    """A source (local folder, SigNoz, Prometheus …) cannot answer a query."""


class ActionError(MonitoringError):
    """An alert could not be delivered; `retryable` says whether trying again can help."""

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable
