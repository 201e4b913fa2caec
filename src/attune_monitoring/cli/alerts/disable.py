"""`empathy alerts disable`, where the group of commands looks for it."""

from __future__ import annotations

from .enable import disable as command

__all__ = ["command"]
