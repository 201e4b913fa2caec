"""The time at which a command was given: the clock's, or the one that `main` was handed."""

from __future__ import annotations

from datetime import UTC, datetime

import click

__all__ = ["present"]


def present() -> datetime:
    """Return that time, aware UTC; every figure of one command counts back from it."""
    context = click.get_current_context(silent=True)
    given = None if context is None else context.find_object(datetime)
    return datetime.now(UTC) if given is None else given.astimezone(UTC)
