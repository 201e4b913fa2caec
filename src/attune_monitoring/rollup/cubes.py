"""What the roll-up sums, and the SQL for it: five cubes of one shape, each a table of cells and one of its series."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

from attune_monitoring.figures import CALL_SUMS

__all__ = ["CALLS", "CUBES", "LEFT_OUT", "OTHER", "RUNS", "STAGES", "STEPS", "TIMING", "USERS", "Cube", "register"]

OTHER = "__other__"
"""Name of every dimension of the series in which all beyond the limit are summed."""
TIMING = ("count", "total", "minimum", "maximum", "histogram")
_SHIFT_BITS = 32


class Cube(NamedTuple):
    """Cells by time and series: sums, and durations with a histogram."""

    name: str
    dimensions: tuple[str, ...]
    sums: tuple[str, ...]
    timings: tuple[str, ...] = ()
    only_hours: bool = False
    kept: tuple[str, ...] = ()
    """Dimensions of few values, which `OTHER` leaves as they are."""

    @property
    def columns(self) -> tuple[str, ...]:
        """What a cell holds, in order."""
        return (*self.sums, *(f"{timing}_{part}" for timing in self.timings for part in TIMING))

    def empty(self) -> list[Any]:
        """Return a cell of nothing."""
        return [0] * len(self.sums) + [0, 0.0, math.inf, -math.inf, 0] * len(self.timings)

    def ddl(self) -> list[str]:
        """Return the statements that make the tables."""
        dimensions = ", ".join(f'"{name}" TEXT NOT NULL' for name in self.dimensions)
        unique = ", ".join(f'"{name}"' for name in self.dimensions)
        columns = ", ".join(f'"{name}" {"BLOB" if name.endswith("_histogram") else "REAL"}' for name in self.columns)
        return [
            f"CREATE TABLE {self.name}_series (id INTEGER PRIMARY KEY, {dimensions}, UNIQUE ({unique}))",
            f"CREATE TABLE {self.name} (step INTEGER, t INTEGER, series INTEGER, {columns}, "
            "PRIMARY KEY (step, t, series)) WITHOUT ROWID",
        ]

    def upsert(self) -> str:
        """Return the statement that adds a cell to what is there: step, t, series and the columns."""
        names = ", ".join(f'"{name}"' for name in self.columns)
        merged = ", ".join(f'"{name}" = {_merged(name)}' for name in self.columns)
        places = ", ".join("?" * (3 + len(self.columns)))
        return (
            f"INSERT INTO {self.name} (step, t, series, {names}) VALUES ({places}) "
            f"ON CONFLICT (step, t, series) DO UPDATE SET {merged}"
        )

    def add(self, cell: list[Any], other: Sequence[Any]) -> None:
        """Add another cell to one."""
        width = len(self.sums)
        for place in range(width):
            if other[place]:
                cell[place] += other[place]
        for place in range(width, len(cell), len(TIMING)):
            if not other[place]:
                continue
            cell[place] += other[place]
            cell[place + 1] += other[place + 1]
            cell[place + 2] = min(cell[place + 2], other[place + 2])
            cell[place + 3] = max(cell[place + 3], other[place + 3])
            cell[place + 4] += other[place + 4]

    def select(self, columns: tuple[str, ...], where: str, *, merged: bool) -> str:
        """Return the query for columns by series; parameters are those of `where`. Histograms cannot be summed up.

        Cells stand in the order of time: new lines touch few pages, and a span is one stretch of them.

        Args:
            columns: of this cube.
            where: conditions on both tables.
            merged: whether the cells of a series are summed up.
        """
        parts = [f'{_aggregate(name)}("{name}")' if merged else f'"{name}"' for name in columns]
        return (
            f"SELECT series.id, {', '.join(parts)} FROM {self.name} AS cell "
            f"CROSS JOIN {self.name}_series AS series ON series.id = cell.series WHERE {where}"
            + (" GROUP BY series.id" if merged else "")
        )


def _merged(name: str) -> str:
    if name.endswith("_histogram"):
        return f'merged("{name}", excluded."{name}")'
    if name.endswith("_minimum"):
        return f'min("{name}", excluded."{name}")'
    if name.endswith("_maximum"):
        return f'max("{name}", excluded."{name}")'
    return f'"{name}" + excluded."{name}"'


def _aggregate(name: str) -> str:
    return "min" if name.endswith("minimum") else "max" if name.endswith("maximum") else "sum"


def pack(histogram: int) -> bytes:
    """Return a histogram as bytes: the number of its empty lowest lanes, then the rest (little endian)."""
    if histogram == 0:
        return b""
    shift = ((histogram & -histogram).bit_length() - 1) // _SHIFT_BITS
    rest = histogram >> (shift * _SHIFT_BITS)
    return bytes((shift,)) + rest.to_bytes((rest.bit_length() + 7) // 8, "little")


def unpack(data: bytes | None) -> int:
    """Return the histogram of `pack`."""
    return int.from_bytes(data[1:], "little") << (data[0] * _SHIFT_BITS) if data else 0


def register(connection: sqlite3.Connection) -> None:
    """Give a connection the functions that the statements use."""
    connection.create_function("merged", 2, lambda a, b: pack(unpack(a) + unpack(b)), deterministic=True)


CALLS = Cube(
    "calls",
    ("workflow", "provider", "model", "tier", "project", "outcome", "error"),
    CALL_SUMS,
    ("latency", "first_token"),
    kept=("outcome",),
)
RUNS = Cube(
    "runs",
    ("workflow", "project", "outcome"),
    ("runs", "roots", "cost", "baseline", "savings", "root_ms"),
    ("duration",),
    kept=("outcome",),
)
"""Of `roots`, which no other run encloses, also money and duration."""
STAGES = Cube("stages", ("workflow", "stage", "tier", "outcome"), ("stages", "cost"), ("duration",), kept=("outcome",))
_OF_CALLS = ("calls", "errors", "cancelled", "cost", "unknown", "input", "output", "ok_ms")
USERS = Cube("users", ("user",), _OF_CALLS, only_hours=True)
STEPS = Cube("steps", ("workflow", "step"), _OF_CALLS, only_hours=True)
LEFT_OUT = Cube("left_out", ("why",), ("records",))
"""Records that do not count: second of an old duplicate pair, or made under pytest."""
CUBES = (CALLS, RUNS, STAGES, USERS, STEPS, LEFT_OUT)
