"""What all processes together have spent, as the records of the local folder say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attune_monitoring.history import History, Span

from .limits import Spent

__all__ = ["FolderSpending"]


class FolderSpending:
    """Reads only what is new since the last time. It is loaded by the thread that uses it: it brings SQLite.

    Args:
        folder: of the records; it may be missing.
    """

    def __init__(self, folder: Path) -> None:
        self._history = History(folder)

    def changed(self) -> bool:
        """Take in what is new; return whether there was anything.

        Raises:
            StoreError: the records cannot be read.
        """
        return self._history.refresh()

    def spent(self, by: str | None, since: float) -> Mapping[str, Spent]:
        """Return what was spent since a time, by workflow, by user or (None) altogether under the empty text."""
        span = Span(since)
        if by == "user":
            found = self._history.marginal("user", span=span)
        else:
            found = self._history.calls(() if by is None else (by,), span=span, percentiles=False)
        return {labels[0] if labels else "": (figures.cost, figures.unknown) for labels, figures in found.items()}

    def close(self) -> None:
        """Close the roll-up."""
        self._history.close()
