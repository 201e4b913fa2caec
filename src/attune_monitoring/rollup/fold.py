"""Lines to cells: decodes a chunk and adds up what its records come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from attune_monitoring.figures import PLACEHOLDER_USER, Twins, lane_of
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, parse_time
from attune_monitoring.semconv import TRUNCATED_REASONS

from .cubes import CALLS, CUBES, LEFT_OUT, RUNS, STAGES, STEPS, USERS, Cube
from .line import Attune, Call, Run, RunId, as_call, as_run

__all__ = ["DAY", "HOUR", "MINUTE", "Cells", "Fold", "minute_of"]

MINUTE = 60
HOUR = 3600
DAY = 86400
_MEMO_LIMIT = 100_000
_T = TypeVar("_T")
Cells = dict[tuple[Any, ...], list[Any]]
"""Cells of one cube by step (s), time (s since the epoch) and dimensions."""


_decoder = msgspec.json.Decoder(Call)
_run_decoder = msgspec.json.Decoder(Run)
_id_decoder = msgspec.json.Decoder(RunId)
_NOTHING = Attune()


def minute_of(text: str) -> int:
    """Return the full minute (seconds since the epoch) of a record's time.

    Raises:
        ValueError: it is none.
    """
    return int(parse_time(text).timestamp() // MINUTE) * MINUTE


class Fold:
    """Cells that lines are added to.

    Args:
        minutes_from: a full hour (seconds since the epoch): cells before it are hours, from it on minutes.
        twins: the records that earlier lines of the same segment left without a partner.
        skipped: counts lines that are no records, by reason.
        pending: root runs whose details were read and whose line among the runs was not yet.
    """

    def __init__(self, minutes_from: int, twins: Twins, skipped: Counter[str], pending: Counter[str]) -> None:
        self.minutes_from = minutes_from
        self.twins = twins
        self.skipped = skipped
        self.pending = pending
        self.has_local_times = False
        """Whether a time had no offset, so that what it means depends on this machine's time zone."""
        self.cells: dict[Cube, Cells] = {cube: {} for cube in CUBES}
        self._minutes: dict[str, int] = {}

    def take(self) -> dict[Cube, Cells]:
        """Return the cells so far and begin anew."""
        cells, self.cells = self.cells, {cube: {} for cube in CUBES}
        return cells

    # --- calls
    def calls(self, data: bytes) -> tuple[int, int]:
        """Add the calls of whole lines; return the first and the last minute at which one ended."""
        if len(self._minutes) > _MEMO_LIMIT:
            self._minutes.clear()
        try:
            return self._add_calls(_decoder.decode_lines(data))
        except _BAD:  # nothing has been added yet: all lines are decoded first
            return self._add_calls(self._tolerantly(data))

    def _tolerantly(self, data: bytes) -> Iterator[Call]:
        for line in data.split(b"\n"):
            if not line.strip():
                continue
            try:
                yield _decoder.decode(line)
            except _BAD:
                record = self._parse(line, LLMCallRecord.from_dict)
                if record is not None:
                    yield as_call(record)

    def _parse(self, line: bytes, parse: Callable[[Any], _T]) -> _T | None:
        try:
            return parse(msgspec.json.decode(line))
        except msgspec.DecodeError:
            self.skipped["not JSON"] += 1
        except RecursionError:
            self.skipped["not JSON"] += 1
        except ValueError as error:
            self.skipped[str(error)] += 1
        return None

    def _add_calls(self, records: Iterable[Call]) -> tuple[int, int]:
        cells, users, steps = self.cells[CALLS], self.cells[USERS], self.cells[STEPS]
        minutes_from = self.minutes_from
        empty, empty_marginal = CALLS.empty(), USERS.empty()
        first, last = _NEVER
        for record in records:
            attune = record.metadata.attune if record.metadata is not None else None
            text = record.timestamp
            try:
                minute = self._minute(text)
            except ValueError:
                self.skipped["not an LLM call record: 'timestamp' is not a time"] += 1
                continue
            if minute < first:
                first = minute
            if minute > last:
                last = minute
            hour = minute - minute % HOUR
            user = record.user_id
            cost: float | None = record.actual_cost
            if cost is None:
                cost = record.estimated_cost
            if attune is None or (attune.pid is None and attune.dialect is None):
                attune = attune or _NOTHING
                if self._is_second(record, attune, cost):
                    self._leave_out("duplicate", minute)
                    continue
                if user == PLACEHOLDER_USER:
                    user = None
            if attune.under_pytest:
                self._leave_out("test", minute)
                continue
            if attune.cancelled:
                outcome, error = "cancelled", ""
            elif record.success:
                outcome, error = "ok", ""
            else:
                outcome, error = "error", record.error_type or "_OTHER"
            workflow = record.workflow_name or ""
            key = (
                HOUR if minute < minutes_from else MINUTE,
                hour if minute < minutes_from else minute,
                workflow,
                record.provider,
                record.model_id,
                record.tier,
                attune.project or "",
                outcome,
                error,
            )
            cell = cells.get(key)
            if cell is None:
                cell = cells[key] = empty.copy()
            # In the order of figures.CALL_SUMS; what is rare is asked for first, because adding costs more than asking.
            cell[0] += 1
            got, given = record.input_tokens, record.output_tokens
            if attune.unknown:
                got = 0 if "input_tokens" in attune.unknown else got
                given = 0 if "output_tokens" in attune.unknown else given
                if record.actual_cost is None and "estimated_cost" in attune.unknown:
                    cost = None
            unknown = cost is None and attune.cost_source != "none"
            if cost is not None:
                cell[1] += cost
            elif unknown:
                cell[2] += 1
            baseline = attune.baseline_cost
            if baseline is not None and cost is not None:
                cell[3] += baseline
                cell[4] += baseline - cost
            cell[5] += got
            cell[6] += given
            if attune.cache_read_tokens is not None:
                cell[7] += attune.cache_read_tokens
            if attune.cache_write_tokens is not None:
                cell[8] += attune.cache_write_tokens
            if attune.reasoning_tokens is not None:
                cell[9] += attune.reasoning_tokens
            if record.retry_count:
                cell[10] += record.retry_count
            if record.fallback_used:
                cell[11] += 1
            if attune.finish_reasons and not TRUNCATED_REASONS.isdisjoint(attune.finish_reasons):
                cell[12] += 1
            for attempt in attune.attempts:
                if attempt.cost is not None:
                    if attempt.outcome == "retry":
                        cell[13] += attempt.cost
                    elif attempt.outcome == "fallback":
                        cell[14] += attempt.cost
            milliseconds = record.latency_ms
            cell[15] += 1
            cell[16] += milliseconds
            if milliseconds < cell[17]:
                cell[17] = milliseconds
            if milliseconds > cell[18]:
                cell[18] = milliseconds
            cell[19] += lane_of(milliseconds)
            waited = attune.time_to_first_token_ms
            if waited is not None and waited >= 0:
                _add_timing(cell, 20, waited)
            for table, marginal_key in (
                (users, (HOUR, hour, user) if user is not None else None),
                (steps, (HOUR, hour, workflow, record.step_name) if record.step_name is not None else None),
            ):
                if marginal_key is not None:
                    marginal = table.get(marginal_key)
                    if marginal is None:
                        marginal = table[marginal_key] = empty_marginal.copy()
                    marginal[0] += 1
                    if outcome == "ok":
                        marginal[7] += milliseconds
                    elif outcome == "error":
                        marginal[1] += 1
                    else:
                        marginal[2] += 1
                    if cost is not None:
                        marginal[3] += cost
                    elif unknown:
                        marginal[4] += 1
                    marginal[5] += got
                    marginal[6] += given
        return first, last

    def _is_second(self, record: Call, attune: Attune, cost: float | None) -> bool:
        metadata = record.metadata
        run_id = metadata.run_id if metadata is not None else msgspec.UNSET
        has_run_key = run_id is not msgspec.UNSET and (attune.run_id is None or attune.run_id != run_id)
        unknown = attune.unknown
        key = (
            record.workflow_name,
            record.step_name,
            record.task_type,
            record.provider,
            record.tier,
            record.model_id,
            None if "input_tokens" in unknown else record.input_tokens,
            None if "output_tokens" in unknown else record.output_tokens,
            None if "estimated_cost" in unknown and record.actual_cost is None else cost,
            record.success,
        )
        return self.twins.is_second(record.user_id, has_run_key, key, parse_time(record.timestamp).timestamp())

    def _leave_out(self, why: str, minute: int) -> None:
        self._cell(LEFT_OUT, minute, (why,))[0] += 1

    def _cell(self, cube: Cube, minute: int, dimensions: tuple[str, ...]) -> list[Any]:
        step, t = (HOUR, minute - minute % HOUR) if minute < self.minutes_from else (MINUTE, minute)
        cells = self.cells[cube]
        key = (step, t, *dimensions)
        cell = cells.get(key)
        if cell is None:
            cell = cells[key] = cube.empty()
        return cell

    # --- runs
    def details(self, data: bytes) -> tuple[int, int]:
        """Add the runs of whole lines of details; return the first and the last minute at which one began."""
        return self._add_runs(data, roots=False)

    def runs(self, data: bytes) -> tuple[int, int]:
        """Add those runs of whole lines whose details have not been read; return the first and the last minute."""
        return self._add_runs(data, roots=True)

    def _add_runs(self, data: bytes, *, roots: bool) -> tuple[int, int]:
        pending = self.pending
        first, last = _NEVER
        for line in data.split(b"\n"):
            if not line.strip():
                continue
            try:
                if roots:  # nearly all have details, so the id is all that is needed
                    run_id = _id_decoder.decode(line).run_id
                    if pending[run_id] > 0:
                        pending[run_id] -= 1
                        continue
                run = _run_decoder.decode(line)
                minute = self._minute(run.started_at)
            except _BAD:
                record = self._parse(line, WorkflowRunRecord.from_dict)
                if record is None:
                    continue
                run = as_run(record)
                minute = minute_of(run.started_at)
            attune = run.metadata.attune if run.metadata is not None else None
            if not roots and (attune is None or attune.parent_run_id is None):
                pending[run.run_id] += 1
            first, last = min(first, minute), max(last, minute)
            if attune is not None and attune.under_pytest:
                self._leave_out("test run", minute)
            else:
                self._add_run(run, minute)
        return first, last

    def _minute(self, text: str) -> int:
        if text[-1:] != "Z":
            if datetime.fromisoformat(text).tzinfo is None:
                self.has_local_times = True
            return minute_of(text)
        minute = self._minutes.get(text[:16])
        if minute is None:
            minute = self._minutes[text[:16]] = minute_of(text)
        else:
            datetime.fromisoformat(text)  # the seconds may be none
        return minute

    def _add_run(self, run: Run, minute: int) -> None:
        attune = run.metadata.attune if run.metadata is not None else None
        cancelled = attune is not None and attune.cancelled
        project = (attune.project if attune is not None else None) or run.project or ""
        cell = self._cell(RUNS, minute, (run.workflow_name, project, _outcome(run.success, cancelled)))
        cell[0] += 1
        if attune is None or attune.parent_run_id is None:
            cell[1] += 1
            cell[2] += run.total_cost
            cell[3] += run.baseline_cost
            cell[4] += run.savings
            cell[5] += run.total_duration_ms
        _add_timing(cell, len(RUNS.sums), run.total_duration_ms)
        more = attune.stages if attune is not None and len(attune.stages) == len(run.stages) else None
        for place, stage in enumerate(run.stages):
            if not stage.skipped:
                outcome = _outcome(stage.success, more is not None and more[place].cancelled)
                cell = self._cell(STAGES, minute, (run.workflow_name, stage.stage_name, stage.tier, outcome))
                cell[0] += 1
                cell[1] += stage.cost
                _add_timing(cell, len(STAGES.sums), stage.latency_ms)


def _outcome(success: bool, cancelled: bool) -> str:
    return "cancelled" if cancelled else "ok" if success else "error"


_BAD = (msgspec.DecodeError, ValueError, RecursionError)
_NEVER = (2**62, -(2**62))


def _add_timing(cell: list[Any], place: int, milliseconds: float) -> None:
    cell[place] += 1
    cell[place + 1] += milliseconds
    if milliseconds < cell[place + 2]:
        cell[place + 2] = milliseconds
    if milliseconds > cell[place + 3]:
        cell[place + 3] = milliseconds
    cell[place + 4] += lane_of(milliseconds)
