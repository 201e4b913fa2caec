"""Sums over the records by time and dimension in SQLite: incremental, restartable, rebuilt by itself when damaged.

The records stay the truth. Cells are minutes for the last 48 hours, hours and days; how far each segment was read
stands in the same transaction, so a process that is killed at any moment has counted nothing twice and missed nothing.
"""

from __future__ import annotations

from .cubes import CALLS, RUNS, STAGES, STEPS, USERS, Cube
from .rollup import ALWAYS, Rollup, Row, Span

__all__ = ["ALWAYS", "CALLS", "RUNS", "STAGES", "STEPS", "USERS", "Cube", "Rollup", "Row", "Span"]
