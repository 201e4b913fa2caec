"""From the segments to the cells: incremental, in transactions that hold the cells and how far was read together."""

from __future__ import annotations

import gc
import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from attune_monitoring.figures import Twins
from attune_monitoring.store import CALLS as CALL_STREAM
from attune_monitoring.store import DETAILS, RUNS, Checkpoint, Segment, read_forward, segments

from .cubes import CUBES, OTHER, Cube, pack
from .fold import DAY, HOUR, Cells, Fold

__all__ = ["BATCH_BYTES", "MAX_SERIES", "STREAMS", "CatchUp", "minutes_from"]

STREAMS = (RUNS, DETAILS, CALL_STREAM)
"""In the order in which their sizes are taken: a root's details are written before its line among the runs."""
MAX_SERIES = 5_000
"""Combinations of dimensions of one cube that have cells of their own; what comes beyond is summed as `OTHER`."""
_MAX_NAME = 256
_MINUTES_KEPT = 48 * HOUR
BATCH_BYTES = 32 * 1024 * 1024
"""Read in one transaction: some 50,000 lines."""
_CHUNK = 4 * 1024 * 1024
_GROWING = 1024 * 1024

_NEVER = (2**62, -(2**62))

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(Checkpoint).decode


class Replaced(Exception):  # noqa: N818 - a sign between functions, never seen by a caller
    """What had been read is not there any more, or was exchanged while it was read."""


def minutes_from(now: float) -> int:
    """Return the full hour before which cells are hours."""
    return int(now) // HOUR * HOUR - _MINUTES_KEPT


class CatchUp:
    """Brings a database up to what the segments hold.

    Args:
        connection: of `database.connect`.
        folder: of the segments.
        batch_bytes: read in one transaction.
    """

    def __init__(self, connection: sqlite3.Connection, folder: Path, batch_bytes: int = BATCH_BYTES) -> None:
        self._connection = connection
        self._batch_bytes = batch_bytes
        self._folder = folder
        self._series: dict[Cube, dict[tuple[str, ...], int]] = {}
        self._generation = ""
        self._horizon = 0
        self._verified: dict[tuple[str, str], tuple[int, ...]] = {}
        """Files that were found to be those of their checkpoints, as they were then."""

    def run(self, now: float, progress: Callable[[int, int], None] | None) -> int:
        """Read all that is new; return the full hour (seconds since the epoch) before which cells are hours.

        Args:
            now: seconds since the epoch.
            progress: is told bytes done and bytes in all, after each transaction.
        """
        while True:
            enabled = gc.isenabled()
            gc.disable()  # a million short-lived objects, none of them in a circle
            try:
                done, total = self._step(now)
            finally:
                if enabled:
                    gc.enable()
            if progress is not None:
                progress(done, total)
            if done >= total:
                return self._horizon

    def _step(self, now: float) -> tuple[int, int]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            try:
                result = self._read(now)
            except Replaced:
                self._clear()
                result = (0, 1)
            connection.execute("COMMIT")
        except BaseException:
            self._series.clear()
            connection.execute("ROLLBACK")
            raise
        return result

    def _read(self, now: float) -> tuple[int, int]:
        connection = self._connection
        meta = dict(connection.execute("SELECT key, value FROM meta"))
        if meta.get("generation") != self._generation:  # another process began anew: ids are others
            self._series.clear()
            self._generation = meta.get("generation", "")
        zone = repr((time.tzname, time.timezone, time.altzone))
        if meta.get("zone", zone) != zone:  # of times without an offset, another one now
            raise Replaced
        known = {
            (stream, name): (_decode(checkpoint), lines)
            for stream, name, checkpoint, lines in connection.execute(
                "SELECT stream, name, checkpoint, lines FROM segments"
            )
        }
        found = {stream: _with_status(segments(self._folder, stream)) for stream in STREAMS}
        self._verify({key: checkpoint for key, (checkpoint, _) in known.items()}, found)
        horizon = self._move_horizon(meta, now)
        state = json.loads(meta.get("twins", "{}"))
        ends = {key: checkpoint.offset for key, (checkpoint, _) in known.items()}
        grown = {
            stream
            for stream in STREAMS
            if any(status[2] > ends.get((stream, segment.path.name), 0) for segment, status in found[stream])
        }
        pending = self._pending_runs() if grown & {DETAILS, RUNS} else Counter()
        budget = self._batch_bytes
        for stream in (DETAILS, RUNS, CALL_STREAM):
            if stream not in grown:
                continue
            skipped: Counter[str] = Counter()
            fold = Fold(horizon, Twins(), skipped, pending)
            for segment, (_, _, size, _) in found[stream]:
                key = (stream, segment.path.name)
                offset = ends.get(key, 0)
                if offset >= size or budget <= 0:
                    continue
                slot = str(segment.slot)
                fold.twins = Twins(state.get(slot, ()))
                lines = known[key][1] if key in known else 0
                until = min(size, offset + budget)
                end = self._fold_segment(fold, stream, segment, offset, until, lines)
                if end == offset and until < size:  # one line is longer than a transaction reads
                    until = size
                    end = self._fold_segment(fold, stream, segment, offset, until, lines)
                if stream == CALL_STREAM:
                    state[slot] = fold.twins.state()
                # What is left of a file that was read to its end is a line that is not finished.
                ends[key], budget = (size, budget - (end - offset)) if until == size else (end, 0)
            self._save(fold.take())
            if fold.has_local_times:
                self._set("zone", zone)
            if skipped:
                self._connection.executemany(
                    "INSERT INTO skipped VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
                    [(stream, reason, count) for reason, count in skipped.items()],
                )
        if grown & {DETAILS, RUNS}:
            self._save_pending(pending)
        if json.dumps(state) != meta.get("twins"):
            self._set("twins", json.dumps(state))
        sizes = {(stream, segment.path.name): status[2] for stream in STREAMS for segment, status in found[stream]}
        return sum(min(ends.get(key, 0), size) for key, size in sizes.items()), sum(sizes.values())

    def _verify(
        self, known: Mapping[tuple[str, str], Checkpoint], found: Mapping[str, list[tuple[Segment, tuple[int, ...]]]]
    ) -> None:
        """Raise Replaced where what has been read is not there any more."""
        present = {
            (stream, segment.path.name): (segment, status) for stream in STREAMS for segment, status in found[stream]
        }
        for key, checkpoint in known.items():
            if key not in present:
                raise Replaced
            segment, status = present[key]
            if self._verified.get(key) != status:
                if not checkpoint.holds(segment.path):
                    raise Replaced
                self._verified[key] = status

    def _fold_segment(self, fold: Fold, stream: str, segment: Segment, offset: int, until: int, lines: int) -> int:
        """Add a segment's lines between two offsets; return the end of the last complete one."""
        path = segment.path
        before = _identity(path)
        end = offset
        for chunk in read_forward(path, offset, until=until, chunk_bytes=_CHUNK):
            first, last = _NEVER
            if chunk.too_long:
                fold.skipped["longer than 16 MiB"] += 1
            elif stream == CALL_STREAM:
                first, last = fold.calls(chunk.data)
            else:
                first, last = (fold.details if stream == DETAILS else fold.runs)(chunk.data)
            lines += chunk.data.count(b"\n") or 1
            end = chunk.end
            self._note_chunk(stream, path.name, chunk.start, end, first, last)
        if end > offset:
            checkpoint = Checkpoint.at(path, end)
            if (checkpoint.device, checkpoint.inode) != before:
                raise Replaced
            self._connection.execute(
                "INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?)", (stream, path.name, _encode(checkpoint), lines)
            )
        return end

    def _note_chunk(self, stream: str, name: str, start: int, end: int, first: int, last: int) -> None:
        before = self._connection.execute(
            "SELECT start, first, last FROM chunks WHERE stream = ? AND name = ? ORDER BY start DESC LIMIT 1",
            (stream, name),
        ).fetchone()
        if before is not None and end - before[0] <= _GROWING:
            start, first, last = before[0], min(first, before[1]), max(last, before[2])
        self._connection.execute(
            "INSERT OR REPLACE INTO chunks VALUES (?, ?, ?, ?, ?, ?)", (stream, name, start, end, first, last)
        )

    # --- saving
    def _save(self, cells: dict[Cube, Cells]) -> None:
        for cube, found in cells.items():
            if not found:
                continue
            sums, timings = len(cube.sums), range(len(cube.sums) + 4, len(cube.columns), 5)
            rows = []
            for key, cell in _with_coarser(cube, found).items():
                for place in timings:
                    cell[place] = pack(cell[place])
                values = [float(value) for value in cell[:sums]] + cell[sums:]
                rows.append((key[0], key[1], self._series_of(cube, key[2:]), *values))
            self._connection.executemany(cube.upsert(), rows)

    def _series_of(self, cube: Cube, dimensions: tuple[str, ...]) -> int:
        known = self._series.get(cube)
        if known is None:
            known = self._series[cube] = {
                row[1:]: row[0] for row in self._connection.execute(f"SELECT * FROM {cube.name}_series")
            }
        number = known.get(dimensions)
        if number is not None:
            return number
        names = tuple(name.encode("utf-8", "replace").decode() for name in dimensions)
        if (len(known) >= MAX_SERIES or max(map(len, names)) > _MAX_NAME) and OTHER not in names:
            kept = [name if place in cube.kept else OTHER for place, name in zip(cube.dimensions, names, strict=True)]
            return self._series_of(cube, tuple(kept))
        row = self._connection.execute(
            f"SELECT id FROM {cube.name}_series WHERE " + " AND ".join(f'"{name}" = ?' for name in cube.dimensions),
            names,
        ).fetchone()
        if row is None:
            places = ", ".join("?" * len(names))
            cursor = self._connection.execute(
                f"INSERT INTO {cube.name}_series VALUES (NULL, {places})",
                names,
            )
            row = (cursor.lastrowid,)
        known[dimensions] = row[0]
        return int(row[0])

    def _move_horizon(self, meta: dict[str, str], now: float) -> int:
        wanted = minutes_from(now)
        before = int(meta.get("minutes_from", wanted))
        if before < wanted:
            for cube in CUBES:
                self._connection.execute(
                    f"DELETE FROM {cube.name} WHERE step = 60 AND t < ?",
                    (wanted,),
                )
        horizon = max(before, wanted)
        if str(horizon) != meta.get("minutes_from"):
            self._set("minutes_from", str(horizon))
        self._horizon = horizon
        return horizon

    def _pending_runs(self) -> Counter[str]:
        """Root runs whose details were read and whose line among the runs was not yet."""
        return Counter(dict(self._connection.execute("SELECT run_id, count FROM detailed")))

    def _save_pending(self, pending: Counter[str]) -> None:
        before = self._pending_runs()
        if before == pending:
            return
        gone = [(run_id,) for run_id in before if pending[run_id] <= 0]
        self._connection.executemany("DELETE FROM detailed WHERE run_id = ?", gone)
        changed = [item for item in pending.items() if item[1] > 0 and before[item[0]] != item[1]]
        self._connection.executemany("INSERT OR REPLACE INTO detailed VALUES (?, ?)", changed)

    def _set(self, key: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def _clear(self) -> None:
        tables = ["segments", "chunks", "skipped", "detailed", "meta"]
        for cube in CUBES:
            tables += [cube.name, f"{cube.name}_series"]
        for table in tables:
            self._connection.execute(f"DELETE FROM {table}")
        self._set("generation", os.urandom(8).hex())


def _with_coarser(cube: Cube, cells: Cells) -> Cells:
    """Return the cells with the hours and days that they are part of; the given ones are used up."""
    more: Cells = {}
    for (step, t, *dimensions), cell in cells.items():
        for coarser in (HOUR, DAY):
            if coarser > step:
                key = (coarser, t // coarser * coarser, *dimensions)
                into = more.get(key)
                if into is None:
                    more[key] = cell.copy()
                else:
                    cube.add(into, cell)
    for key, cell in more.items():
        if key in cells:
            cube.add(cells[key], cell)
        else:
            cells[key] = cell
    return cells


def _with_status(found: list[Segment]) -> list[tuple[Segment, tuple[int, ...]]]:
    """Add device, inode, size and time of the last change."""
    result: list[tuple[Segment, tuple[int, ...]]] = []
    for segment in found:
        try:
            status = segment.path.stat()
        except OSError:
            continue
        result.append((segment, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)))
    return result


def _identity(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise Replaced from error
    return status.st_dev, status.st_ino
