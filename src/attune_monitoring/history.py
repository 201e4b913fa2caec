"""The history in one folder: figures of any span and grouping, from the roll-up where exact, else from records."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from attune_monitoring.figures import Figures, Latency, is_counted, once
from attune_monitoring.grouping import (
    GROUPS,
    RunFigures,
    StageFigures,
    figures_of,
    run_figures_of,
    stage_figures_of,
)
from attune_monitoring.query import Filter
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, parse_time
from attune_monitoring.rollup import ALWAYS, CALLS, RUNS, STAGES, STEPS, USERS, Cube, Rollup, Span
from attune_monitoring.store import CALLS as CALL_STREAM
from attune_monitoring.store import DETAILS, ReadReport, read_range
from attune_monitoring.store import RUNS as RUN_STREAM

__all__ = ["GROUPS", "History", "Notes", "RunFigures", "Span", "StageFigures"]

_T = TypeVar("_T")
_HOUR = 3600
_TWIN_MARGIN = 60.0
"""Seconds before a span that are read as well: the first of a duplicate pair may stand there."""


class Notes(NamedTuple):
    """What the figures leave out."""

    duplicates: int
    """Second records of old duplicate pairs."""
    tests: int
    """Calls made under pytest."""
    skipped: Mapping[str, int]
    """Lines that are no records, by reason, in all files whatever the span."""


class History:
    """Figures and records of one folder.

    Args:
        folder: the folder; it may be missing.
        include_tests: whether records made under pytest count.
        clock: seconds since the epoch.
    """

    def __init__(self, folder: Path, *, include_tests: bool = False, clock: Callable[[], float] = time.time) -> None:
        self.folder = Path(folder)
        self.include_tests = include_tests
        self.report = ReadReport()
        """Lines that reading records passed over."""
        self._rollup = Rollup(self.folder, clock=clock)

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open."""
        self._rollup.close()

    @property
    def place(self) -> str:
        """The file of the roll-up, `:memory:`, or nothing where there are no records."""
        return self._rollup.place

    def extent(self) -> Span:
        """Return the minutes in which the oldest and the newest call ended, those that do not count as well."""
        return self._rollup.extent(CALL_STREAM)

    def refresh(self, progress: Callable[[int, int], None] | None = None) -> bool:
        """Take in what is new; return whether there was anything.

        Args:
            progress: is told bytes done and bytes in all.

        Raises:
            StoreError: the records cannot be read.
        """
        return self._rollup.refresh(progress)

    # --- figures
    def calls(
        self,
        group_by: Sequence[str] = (),
        *,
        span: Span = ALWAYS,
        filters: Sequence[Filter] = (),
        percentiles: bool = True,
    ) -> dict[tuple[str, ...], Figures]:
        """Return the figures of calls, by any of `GROUPS`; filters name the same.

        Args:
            group_by: names of `GROUPS`.
            span: when the calls ended.
            filters: conditions that must all hold.
            percentiles: whether percentiles will be asked for.
        """
        wanted = {*group_by, *(condition.dimension for condition in filters)}
        if not self._in_cube(CALLS, wanted):
            return self._calls_of_records(group_by, span, filters)
        found: dict[tuple[str, ...], Figures] = {}
        inner = self._inner(CALLS, span, lambda part: _merge(found, self._calls_of_records(group_by, part, filters)))
        if inner is not None:
            _merge(
                found,
                self._rollup.figures(group_by, span=inner, filters=filters, percentiles=percentiles),
            )
        return found

    def has_cells_for(self, group_by: Sequence[str]) -> bool:
        """Whether figures of calls by these groups come from the roll-up, not from reading the records."""
        return self._in_cube(CALLS, set(group_by))

    def marginal(self, group: str, *, span: Span = ALWAYS) -> dict[tuple[str, ...], Figures]:
        """Return counts, cost, tokens and average latency of calls by user, or by workflow and step.

        Only these: a roll-up of everything by user would be as large as the records. Calls without one are not in it.

        Args:
            group: user or step.
            span: when the calls ended.
        """
        cube = USERS if group == "user" else STEPS
        names = ("user",) if group == "user" else ("workflow", "step")
        found: dict[tuple[str, ...], Figures] = {}

        def add_records(part: Span) -> None:
            figures = self._calls_of_records(names, part, ())
            _merge(found, {labels: each for labels, each in figures.items() if labels[-1]})

        if self.include_tests or self._rollup.has_other(cube):
            add_records(span)
            return found
        inner = self._inner(cube, span, add_records)
        if inner is not None:
            for row in self._rollup.rows(cube, group_by=names, sums=cube.sums, span=inner):
                _merge(found, {row.labels: _of_marginal(row.sums)})
        return found

    def runs(
        self, group_by: Sequence[str] = (), *, span: Span = ALWAYS, filters: Sequence[Filter] = ()
    ) -> dict[tuple[str, ...], RunFigures]:
        """Return the figures of runs that began in the span, by workflow, project or outcome; filters name the same."""
        found: dict[tuple[str, ...], RunFigures] = {}

        def add_records(part: Span) -> None:
            run_figures_of(self.run_records(part), group_by, found, filters)

        for labels, outcome, sums, duration in self._run_rows(RUNS, group_by, span, filters, add_records):
            found.setdefault(labels, RunFigures()).merge_row(outcome, sums, duration)
        return found

    def stages(
        self, group_by: Sequence[str] = (), *, span: Span = ALWAYS, filters: Sequence[Filter] = ()
    ) -> dict[tuple[str, ...], StageFigures]:
        """Return the figures of stages of runs that began in the span, by workflow, stage, tier or outcome."""
        found: dict[tuple[str, ...], StageFigures] = {}

        def add_records(part: Span) -> None:
            stage_figures_of(self.run_records(part), group_by, found, filters)

        for labels, outcome, sums, duration in self._run_rows(STAGES, group_by, span, filters, add_records):
            found.setdefault(labels, StageFigures()).merge_row(outcome, sums, duration)
        return found

    def hourly(
        self, column: str, group_by: Sequence[str] = (), *, span: Span = ALWAYS, filters: Sequence[Filter] = ()
    ) -> dict[tuple[str, ...], dict[int, float]]:
        """Return sums by group and beginning of the hour, for calls that count, or runs; from the roll-up only.

        Groups beyond those that have cells of their own are one, `__other__`.

        Args:
            column: one of `CALL_SUMS`, or `runs`.
            group_by: of the roll-up's dimensions; runs have workflow, project and outcome.
            span: from the beginning of an hour.
            filters: on the same dimensions.
        """
        cube = RUNS if column == "runs" else CALLS
        return self._rollup.hourly(cube, column, group_by=group_by, span=span, filters=filters)

    def notes(self, span: Span = ALWAYS) -> Notes:
        """Return what the figures of a span leave out (to the hour)."""
        left = self._rollup.left_out(span)
        tests = 0 if self.include_tests else left.get("test", 0)
        return Notes(left.get("duplicate", 0), tests, self._rollup.skipped())

    # --- records
    def call_records(self, span: Span = ALWAYS, *, having: re.Pattern[bytes] | None = None) -> Iterator[LLMCallRecord]:
        """Yield the calls that count and ended in the span, oldest segment first.

        Args:
            span: when they ended.
            having: only lines in which this is found; both lines of a duplicate pair must have it, or neither.
        """
        before = span if span.start is None else span._replace(start=span.start - _TWIN_MARGIN)
        for call in once(self._records(CALL_STREAM, before, LLMCallRecord.from_dict, having)):
            if is_counted(call, include_tests=self.include_tests) and _is_in(call.timestamp, span):
                yield call

    def run_records(self, span: Span = ALWAYS) -> Iterator[WorkflowRunRecord]:
        """Yield the runs that count and began in the span: those with details, then those without."""
        detailed: Counter[str] = Counter()
        for run in self._records(DETAILS, span, WorkflowRunRecord.from_dict):
            detailed[run.run_id] += run.parent_run_id is None
            if is_counted(run, include_tests=self.include_tests) and _is_in(run.started_at, span):
                yield run
        for run in self._records(RUN_STREAM, span, WorkflowRunRecord.from_dict):
            if detailed[run.run_id] > 0:
                detailed[run.run_id] -= 1
            elif _is_in(run.started_at, span):
                yield run

    # --- inside
    def _records(
        self, stream: str, span: Span, parse: Callable[[Any], _T], having: re.Pattern[bytes] | None = None
    ) -> Iterator[_T]:
        for path, start, end in self._rollup.ranges(stream, span):
            yield from read_range(path, start, end, parse, report=self.report, having=having)

    def _in_cube(self, cube: Cube, wanted: set[str]) -> bool:
        if self.include_tests or not wanted <= set(cube.dimensions):
            return False
        return not (wanted - set(cube.kept)) or not self._rollup.has_other(cube)

    def _inner(self, cube: Cube, span: Span, add_records: Callable[[Span], None]) -> Span | None:
        """Return the part of the span whose edges the cells have; the rest is added from records."""
        if self._rollup.exact(cube, span):
            return span
        start, end = span
        if start is not None and not self._rollup.exact(cube, Span(start)):
            edge = start // _HOUR * _HOUR + _HOUR
            if end is not None and edge >= end:
                add_records(span)
                return None
            add_records(Span(start, edge))
            start = edge
        if end is not None and not self._rollup.exact(cube, Span(None, end)):
            edge = end // _HOUR * _HOUR
            if start is not None and edge <= start:
                add_records(Span(start, end))
                return None
            add_records(Span(edge, end))
            end = edge
        return Span(start, end)

    def _calls_of_records(
        self, group_by: Sequence[str], span: Span, filters: Sequence[Filter]
    ) -> dict[tuple[str, ...], Figures]:
        return figures_of(self.call_records(span), group_by, filters)

    def _run_rows(
        self,
        cube: Cube,
        group_by: Sequence[str],
        span: Span,
        filters: Sequence[Filter],
        add_records: Callable[[Span], None],
    ) -> Iterator[tuple[tuple[str, ...], str, tuple[float, ...], Latency]]:
        if not self._in_cube(cube, {*group_by, *(condition.dimension for condition in filters)}):
            add_records(span)
            return
        inner = self._inner(cube, span, add_records)
        if inner is None:
            return
        names = (*group_by, "outcome")
        rows = self._rollup.rows(
            cube, group_by=names, sums=cube.sums, timings=cube.timings, span=inner, filters=filters
        )
        for row in rows:
            yield row.labels[:-1], row.labels[-1], row.sums, row.timings[0]


def _merge(found: dict[tuple[str, ...], Figures], more: Mapping[tuple[str, ...], Figures]) -> None:
    for labels, figures in more.items():
        known = found.get(labels)
        if known is None:
            found[labels] = figures
        else:
            known.merge(figures)


def _of_marginal(sums: Iterable[float]) -> Figures:
    calls, errors, cancelled, cost, unknown, got, given, ok_ms = sums
    figures = Figures()
    figures.calls = int(calls)
    figures.cost = cost
    figures.unknown = int(unknown)
    figures.input = int(got)
    figures.output = int(given)
    ok = int(calls - errors - cancelled)
    outcomes = {"ok": ok, "error": int(errors), "cancelled": int(cancelled)}
    figures.outcomes = {name: count for name, count in outcomes.items() if count}
    figures.latency = Latency(ok, ok_ms)
    return figures


def _is_in(text: str, span: Span) -> bool:
    if span.start is None and span.end is None:
        return True
    moment = parse_time(text).timestamp()
    return (span.start is None or moment >= span.start) and (span.end is None or moment < span.end)
