"""The errors of this package: one base, one child for each kind of mend."""

from __future__ import annotations

__all__ = ["ActionError", "BudgetExceeded", "ConfigError", "MonitoringError", "SourceError", "StoreError"]


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


class BudgetExceeded(MonitoringError):  # noqa: N818 - it is what a program catches by that name
    """A budget is spent, so a call was not begun; raised only where that was asked for (`on_exceed="raise"`).

    Args:
        budget: name of the budget.
        limit_usd: what it allows, in USD.
        spent_usd: what is known to be spent.
        unknown_calls: calls of unknown cost, which are not in `spent_usd`.
    """

    def __init__(self, budget: str, limit_usd: float, spent_usd: float, unknown_calls: int = 0) -> None:
        super().__init__(budget, limit_usd, spent_usd, unknown_calls)  # all of them: it is pickled by its arguments
        self.budget = budget
        self.limit_usd = limit_usd
        self.spent_usd = spent_usd
        self.unknown_calls = unknown_calls

    def __str__(self) -> str:
        more = f", and {self.unknown_calls} calls of unknown cost" if self.unknown_calls else ""
        return f"budget {self.budget!r} is spent: {self.spent_usd:.6g} of {self.limit_usd:.6g} USD{more}"


class ActionError(MonitoringError):
    """An alert could not be delivered.

    Args:
        message: what happened and how to mend it, without secrets.
        retryable: whether trying again can help.
        retry_after: seconds that the receiver asked to be left alone, where it did.
    """

    def __init__(self, message: str, *, retryable: bool, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after
