"""The roll-up of one folder: sums by time and dimension, brought up to date when asked."""

from __future__ import annotations

import operator
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from attune_monitoring.errors import StoreError
from attune_monitoring.figures import Figures, Latency
from attune_monitoring.query import Filter
from attune_monitoring.store import segments

from .catch_up import BATCH_BYTES, CatchUp
from .cubes import CALLS, LEFT_OUT, OTHER, TIMING, Cube, unpack
from .database import connect, forget, places
from .fold import DAY, HOUR, MINUTE

__all__ = ["ALWAYS", "Rollup", "Row", "Span"]


class Span(NamedTuple):
    """From a beginning to, and without, an end (seconds since the epoch); None is open."""

    start: float | None = None
    end: float | None = None


ALWAYS = Span()


class Row(NamedTuple):
    """Sums and durations for one combination of dimension values."""

    labels: tuple[str, ...]
    sums: tuple[float, ...]
    timings: tuple[Latency, ...]


class Rollup:
    """Sums over the records of one folder. Nothing is written where there are no records.

    Args:
        folder: of the segments.
        clock: seconds since the epoch.
        batch_bytes: read in one transaction.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time, batch_bytes: int = BATCH_BYTES) -> None:
        self.folder = Path(folder)
        self._batch_bytes = batch_bytes
        self._clock = clock
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._catch_up: CatchUp | None = None
        self._places: Iterator[str] = iter(())
        self._place = ""
        self._seen: Any = None
        self.refreshed_at = 0.0
        self._minutes_from = 0

    def __enter__(self) -> Rollup:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def place(self) -> str:
        """The file, `:memory:`, or nothing before the first record was read."""
        return self._place

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = self._catch_up = self._seen = None

    def refresh(self, progress: Callable[[int, int], None] | None = None) -> bool:
        """Read what is new; return whether there was anything.

        Args:
            progress: is told bytes done and bytes in all.

        Raises:
            StoreError: the records cannot be read.
        """
        with self._lock:
            now = self._clock()
            seen = (int(now) // HOUR, *_look(self.folder))
            self.refreshed_at = now
            if seen == self._seen:
                return False
            if len(seen) == 1 and self._connection is None:
                return False
            self._guarded(lambda: self._run(now, progress))
            self._seen = seen
            return True

    def exact(self, cube: Cube, span: Span) -> bool:
        """Whether the cells begin and end where the span does; where not, only the records can tell."""
        return self._is_edge(cube, span.start) and (
            span.end is None or span.end >= self.refreshed_at or self._is_edge(cube, span.end)
        )

    def rows(
        self,
        cube: Cube,
        *,
        group_by: Sequence[str] = (),
        sums: Sequence[str] = (),
        timings: Sequence[str] = (),
        span: Span = ALWAYS,
        filters: Sequence[Filter] = (),
    ) -> list[Row]:
        """Return sums and durations, grouped; filters name the cube's dimensions.

        Raises:
            StoreError: the roll-up cannot be read.
        """
        places = [cube.dimensions.index(name) + 1 for name in group_by]
        labels_of = {
            row[0]: tuple(row[place] for place in places) for row in self._ask(f"SELECT * FROM {cube.name}_series", ())
        }
        columns = (*sums, *(f"{timing}_{part}" for timing in timings for part in TIMING[:-1]))
        rows: dict[tuple[str, ...], Row] = {}
        for piece in _pieces(span):
            where, values = _where(piece, filters)
            for series, *row in self._ask(cube.select(columns, where, merged=True), values):
                labels = labels_of[series]
                got = tuple(row[: len(sums)])
                parts = tuple(
                    Latency(int(row[at]), *row[at + 1 : at + 4]) for at in range(len(sums), len(row), len(TIMING) - 1)
                )
                known = rows.get(labels)
                if known is None:
                    rows[labels] = Row(labels, got, parts)
                    continue
                for mine, other in zip(known.timings, parts, strict=True):
                    mine.merge(other)
                rows[labels] = known._replace(sums=tuple(map(operator.add, known.sums, got)))
            for number, timing in enumerate(timings):
                present = f'{where} AND "{timing}_count" > 0'
                for series, packed in self._ask(cube.select((f"{timing}_histogram",), present, merged=False), values):
                    rows[labels_of[series]].timings[number].histogram += unpack(packed)
        return [rows[labels] for labels in sorted(rows)]

    def _ask(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._lock:
            if self._connection is None:
                return []
            found: list[tuple[Any, ...]] = self._guarded(lambda: self._execute(statement, values))
            return found

    def figures(
        self,
        group_by: Sequence[str] = (),
        *,
        span: Span = ALWAYS,
        filters: Sequence[Filter] = (),
        percentiles: bool = True,
    ) -> dict[tuple[str, ...], Figures]:
        """Return the figures of the calls by dimensions of the cube.

        Args:
            group_by: of workflow, provider, model, tier, project.
            span: over what time.
            filters: on the same dimensions, outcome and error.
            percentiles: whether latency histograms are read as well.
        """
        names = tuple(group_by)
        found: dict[tuple[str, ...], Figures] = {}
        rows = self.rows(
            CALLS,
            group_by=(*names, "outcome", "error"),
            sums=CALLS.sums,
            timings=CALLS.timings if percentiles else (),
            span=span,
            filters=filters,
        )
        for row in rows:
            *labels, outcome, error = row.labels
            figures = found.setdefault(tuple(labels), Figures())
            figures.merge_row(outcome, error, row.sums, row.timings)
        return found

    def hourly(
        self,
        cube: Cube,
        column: str,
        *,
        group_by: Sequence[str] = (),
        span: Span = ALWAYS,
        filters: Sequence[Filter] = (),
    ) -> dict[tuple[str, ...], dict[int, float]]:
        """Return sums of one column by group and beginning of the hour; filters name the cube's dimensions."""
        names = "".join(f', series."{name}"' for name in group_by)
        found: dict[tuple[str, ...], dict[int, float]] = {}
        for piece in _pieces(span, (HOUR, MINUTE)):
            where, values = _where(piece, filters)
            statement = (
                f'SELECT cell.t / {HOUR} * {HOUR}, sum("{column}"){names} '
                f"FROM {cube.name} AS cell "
                f"CROSS JOIN {cube.name}_series AS series ON series.id = cell.series WHERE {where} "
                f"GROUP BY cell.t / {HOUR}{names}"
            )
            for hour, total, *labels in self._ask(statement, values):
                hours = found.setdefault(tuple(labels), {})
                hours[hour] = hours.get(hour, 0.0) + total
        return found

    def left_out(self, span: Span = ALWAYS) -> dict[str, int]:
        """Return how many records do not count, by reason: duplicate, test, test run."""
        rows = self.rows(LEFT_OUT, group_by=("why",), sums=("records",), span=span)
        return {row.labels[0]: int(row.sums[0]) for row in rows}

    def skipped(self) -> dict[str, int]:
        """Return how many lines are no records, by reason."""
        return dict(self._ask("SELECT reason, sum(count) FROM skipped GROUP BY reason", ()))

    def has_other(self, cube: Cube) -> bool:
        """Whether there were more series than have cells of their own, so that only the records know the groups."""
        name = cube.dimensions[0]
        return bool(self._ask(f'SELECT 1 FROM {cube.name}_series WHERE "{name}" = ? LIMIT 1', (OTHER,)))

    def extent(self, stream: str) -> Span:
        """Return the minutes of the oldest and the newest record of a stream; open where there is none."""
        rows = self._ask("SELECT min(first), max(last) FROM chunks WHERE stream = ? AND first <= last", (stream,))
        return Span(*rows[0]) if rows else ALWAYS

    def ranges(self, stream: str, span: Span) -> list[tuple[Path, int, int]]:
        """Return the parts of files (begin and end in bytes) where records of a span can be, oldest segment first."""
        conditions: list[str] = ["stream = ?"]
        values: list[Any] = [stream]
        if span.start is not None:
            conditions.append("last >= ?")
            values.append(span.start // MINUTE * MINUTE)
        if span.end is not None:
            conditions.append("first < ?")
            values.append(span.end)
        statement = f"SELECT name, start, end FROM chunks WHERE {' AND '.join(conditions)} ORDER BY name, start"
        parts: dict[str, list[tuple[int, int]]] = {}
        for name, start, end in self._ask(statement, values):
            parts.setdefault(name, []).append((start, end))
        return [
            (segment.path, start, end)
            for segment in segments(self.folder, stream)
            for start, end in parts.get(segment.path.name, ())
        ]

    # --- inside
    def _is_edge(self, cube: Cube, moment: float | None) -> bool:
        if moment is None:
            return True
        step = HOUR if cube.only_hours or moment < self._minutes_from else MINUTE
        return moment % step == 0

    def _execute(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        if self._connection is None:
            return []
        return self._connection.execute(statement, values).fetchall()

    def _run(self, now: float, progress: Callable[[int, int], None] | None) -> None:
        if self._connection is None or self._catch_up is None:
            self._open()
        if self._catch_up is not None:
            self._minutes_from = self._catch_up.run(now, progress)

    def _open(self) -> None:
        if not self._place:
            self._places = places(self.folder)
            self._place = next(self._places)
        self._connection = connect(self._place)
        self._catch_up = CatchUp(self._connection, self.folder, self._batch_bytes)

    def _guarded(self, work: Callable[[], Any]) -> Any:
        """Do it; make a damaged file anew, and go elsewhere where the place cannot be written."""
        for attempt in range(6):
            try:
                if attempt:
                    self._run(self._clock(), None)
                return work()
            except sqlite3.OperationalError as error:
                if "locked" in str(error) or "busy" in str(error):
                    raise StoreError(
                        f"{self._place}: another process has kept the roll-up locked for a minute; try again"
                    ) from error
                self._leave(anew=not _cannot_write(error))
            except sqlite3.DatabaseError:
                self._leave(anew=True)
            except OSError as error:
                if error.filename != self._place:
                    raise StoreError(f"{error.filename}: cannot be read: {error.strerror}") from error
                self._leave(anew=False)
        raise StoreError(f"{self._place}: the roll-up cannot be made; is the disk full?")

    def _leave(self, *, anew: bool) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._catch_up = None
        if anew:
            forget(self._place)
        else:
            self._place = next(self._places, ":memory:")


def _cannot_write(error: sqlite3.OperationalError) -> bool:
    text = str(error)
    return any(words in text for words in ("readonly", "unable to open", "full", "disk I/O"))


def _look(folder: Path) -> list[tuple[str, int, int, int]]:
    """Return what tells whether a file has changed, of all that may be segments."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".jsonl"):
                    status = entry.stat()
                    found.append((entry.name, status.st_ino, status.st_size, status.st_mtime_ns))
    except OSError:  # no folder; or a file went away, and whatever remains is another state
        return found
    return sorted(found)


class _Piece(NamedTuple):
    """A part of a span that cells of one size cover."""

    step: int
    start: float | None
    end: float | None


def _pieces(span: Span, steps: tuple[int, ...] = (DAY, HOUR, MINUTE)) -> list[_Piece]:
    """Return the cells that cover a span: days within, hours and minutes at its edges."""
    found: list[_Piece] = []

    def cover(steps: tuple[int, ...], start: float | None, end: float | None) -> None:
        step, *finer = steps
        if start is not None and end is not None and start >= end:
            return
        first = None if start is None else -(-start // step) * step
        last = None if end is None else end // step * step
        if not finer:
            found.append(_Piece(step, start, end))
        elif first is not None and last is not None and first > last:
            cover(tuple(finer), start, end)
        else:
            if first is not None:
                cover(tuple(finer), start, first)
            if first is None or last is None or first < last:
                found.append(_Piece(step, first, last))
            if last is not None:
                cover(tuple(finer), last, end)

    cover(steps, *span)
    return found


def _where(piece: _Piece, filters: Sequence[Filter]) -> tuple[str, list[Any]]:
    text = "cell.step = ?"
    values: list[Any] = [piece.step]
    if piece.start is not None:
        text += " AND cell.t >= ?"
        values.append(piece.start)
    if piece.end is not None:
        text += " AND cell.t < ?"
        values.append(piece.end)
    for condition in filters:
        marks = ", ".join("?" * len(condition.values))
        text += f' AND series."{condition.dimension}" {"NOT " if condition.negated else ""}IN ({marks})'
        values += condition.values
    return text, values
