"""The records that a command is asked for, and what was left out of them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from attune_monitoring.figures import is_counted, once
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, parse_time
from attune_monitoring.store import CALLS, DETAILS, RUNS, ReadReport, read_all, read_forward, read_newest, segments

from .options import Options

__all__ = ["Extent", "Reading", "counted", "extent_of", "holds_records", "lines_with"]

_T = TypeVar("_T")
_MOST_DAYS = 31
_TWINS_APART = timedelta(seconds=1)
"""The partner of an old record that is just inside of the window may be just outside."""
_PLAIN = re.compile(r"[\w.:-]+", re.ASCII)


def holds_records(folder: Path) -> bool:
    """Return whether there is anything in a folder's streams."""
    return any(segment.path.stat().st_size for stream in (CALLS, RUNS, DETAILS) for segment in segments(folder, stream))


class Extent(NamedTuple):
    """What a file of records holds."""

    lines: int
    size: int
    """In bytes."""
    first: str | None
    """The time of its first record, as it stands there."""
    last: str | None


def extent_of(path: Path) -> Extent:
    """Return how many lines a file has, and the times of the first and last of them that are records."""
    lines = size = 0
    first: str | None = None
    tail = b""
    for chunk in read_forward(path):
        lines += chunk.data.count(b"\n") + chunk.too_long
        size = chunk.end
        first = first or _time_in(chunk.data.split(b"\n", 20)[:20])
        tail = chunk.data or tail
    return Extent(lines, size, first, _time_in(reversed(tail.rsplit(b"\n", 20)[1:])))


def _time_in(lines: Iterable[bytes]) -> str | None:
    for data in _objects(iter(lines)):
        when = data.get("timestamp") or data.get("started_at")
        if isinstance(when, str):
            try:
                parse_time(when)
            except ValueError:
                continue
            return when
    return None


def lines_with(folder: Path, stream: str, texts: Collection[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of the lines that hold one of these texts, much faster than by reading them all.

    A line may hold the text elsewhere than where it is looked for. A text that JSON might write in several ways
    matches every line.
    """
    needles = [text.encode() for text in texts] if all(map(_PLAIN.fullmatch, texts)) else [b""]
    for segment in segments(folder, stream) if texts else ():
        for chunk in read_forward(segment.path):
            if any(needle in chunk.data for needle in needles):
                yield from _objects(line for line in chunk.data.split(b"\n") if any(one in line for one in needles))


def _objects(lines: Iterator[bytes]) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        try:
            data = msgspec.json.decode(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(data, dict):
            yield data


class Reading:
    """Reads what counts in the window of a command's options; see docs/figures.md.

    Attributes:
        report: Lines that were passed over.
        twins: Old duplicates that were not counted.
        tests: Records made under pytest that were not counted.
        unknown: Calls of unknown cost, as the command counted them.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self.report = ReadReport()
        self.twins = 0
        self.tests = 0
        self.unknown = 0

    def calls(self) -> Iterator[LLMCallRecord]:
        """Yield the calls that count, in the order of the files, without holding them."""
        found = self._all(CALLS, self._parser(LLMCallRecord.from_dict, {}), order=_ended)
        return (call for call in self._once(call for call in found if call is not None) if self._counts_call(call))

    def newest_calls(
        self, limit: int, equal: Mapping[str, str], keep: Callable[[LLMCallRecord], bool]
    ) -> list[LLMCallRecord]:
        """Return the newest calls that count, the newest first.

        Args:
            limit: number of calls at most.
            equal: published keys that must have these values; they are looked at before a record is built.
            keep: what else a call must be.
        """
        wanted = limit + 2
        while True:
            self.report, self.twins, self.tests = ReadReport(), 0, 0
            found = read_newest(
                self._options.folder,
                CALLS,
                self._parser(LLMCallRecord.from_dict, equal),
                keep=lambda call: call is not None and self._counts_call(call) and keep(call),
                order=_ended,
                limit=wanted,
                report=self.report,
                since=self._since,
            )
            calls = list(self._once(call for call in found if call is not None))
            if len(calls) >= limit + 2 or len(found) < wanted:
                calls.sort(key=_ended, reverse=True)
                return calls[:limit]
            wanted += 2 * limit + 128  # pairs took the place of others

    def runs(self) -> Iterator[WorkflowRunRecord]:
        """Yield the runs that count, nested ones too: those with details, then those of earlier writers."""
        detailed: set[int] = set()  # hashes: a million ids would take ten times the room
        for stream in (DETAILS, RUNS):
            found = read_all(
                self._options.folder,
                stream,
                WorkflowRunRecord.from_dict,
                order=_begun,
                report=self.report,
                since=None if stream == DETAILS else self._since,  # to know every run that has details
            )
            for run in found:
                if stream == DETAILS:
                    detailed.add(hash(run.run_id))
                elif hash(run.run_id) in detailed:
                    continue
                if self._counts_run(run):
                    yield run

    def newest_runs(self, limit: int, keep: Callable[[WorkflowRunRecord], bool]) -> list[WorkflowRunRecord]:
        """Return the newest runs that count and that no other encloses, the newest first."""
        detailed = self._newest_roots(DETAILS, 2 * limit + 64, keep)
        known = {run.run_id for run in detailed}
        earlier = (run for run in self._newest_roots(RUNS, limit, keep) if run.run_id not in known)
        return sorted([*detailed, *earlier], key=_begun, reverse=True)[:limit]

    def unrecorded(self) -> tuple[dict[str, list[LLMCallRecord]], set[str]]:
        """Return the calls of runs that have no record, by run id, and runs that only their nested runs name."""
        known: set[str] = set()
        parents: set[str] = set()

        def parse(data: Any) -> bool:
            run = _attune(data)
            known.add(str(data.get("run_id")))
            if isinstance(run.get("parent_run_id"), str):
                parents.add(run["parent_run_id"])
            return True

        having = self._days()
        for stream in (DETAILS, RUNS):
            for _ in self._all(stream, _objects_only(parse), order=lambda _: 0, having=having):
                pass

        def build(data: Any) -> LLMCallRecord | None:
            run_id = _attune(data).get("run_id") or data["metadata"].get("run_id")
            return None if not isinstance(run_id, str) or run_id in known else LLMCallRecord.from_dict(data)

        calls: dict[str, list[LLMCallRecord]] = {}
        found = self._all(CALLS, self._parser(_objects_only(build), {}), order=_ended, having=having)
        for call in self._once(call for call in found if call is not None and self._counts_call(call)):
            calls.setdefault(str(call.run_id), []).append(call)
        return calls, parents - known - calls.keys()

    def notes(self) -> list[str]:
        """Return what was left out or is not known, as sentences."""
        found = []
        if self.unknown:
            found.append(f"{counted(self.unknown, 'call')} of unknown cost, in no sum: unknown is not 0")
        if self.twins:
            found.append(f"{counted(self.twins, 'duplicate')} of earlier writers counted once")
        if self.tests:
            found.append(f"{counted(self.tests, 'record')} made under pytest left out; --include-tests counts them")
        if self.report.total:
            found.append(f"lines passed over: {self.report}")
        return found

    def counts(self, call: LLMCallRecord) -> bool:
        """Whether a call counts by its time and origin."""
        return self._counts_call(call)

    @property
    def _since(self) -> datetime | None:
        since = self._options.since
        return None if since is None else since - _TWINS_APART

    def _all(
        self,
        stream: str,
        parse: Callable[[Any], _T],
        *,
        order: Callable[[_T], Any],
        having: re.Pattern[bytes] | None = None,
    ) -> Iterator[_T]:
        return read_all(
            self._options.folder,
            stream,
            parse,
            order=order,
            report=self.report,
            since=self._since,
            having=having,
        )

    def _days(self) -> re.Pattern[bytes] | None:
        """What lines of a short window hold: decoding all the others is what would take the time."""
        since, now = self._options.since, self._options.now
        if since is None or now - since > timedelta(days=_MOST_DAYS):
            return None
        first = since - timedelta(days=2)  # whatever the offset of the times that stand there
        days = [f"{first + timedelta(days=day):%Y-%m-%d}" for day in range((now - first).days + 4)]
        alike = os.path.commonprefix(days)  # noqa: RUF071 - what begins literally is found fast
        return re.compile(f'"{alike}(?:{"|".join(day[len(alike) :] for day in days)})'.encode())

    def _newest_roots(
        self, stream: str, limit: int, keep: Callable[[WorkflowRunRecord], bool]
    ) -> list[WorkflowRunRecord]:
        return read_newest(
            self._options.folder,
            stream,
            WorkflowRunRecord.from_dict,
            keep=lambda run: run.parent_run_id is None and self._counts_run(run) and keep(run),
            order=_begun,
            limit=limit,
            report=self.report,
            since=self._since,
        )

    def _parser(
        self, from_dict: Callable[[Mapping[str, Any]], _T], equal: Mapping[str, str]
    ) -> Callable[[dict[str, Any]], _T | None]:
        """Return what builds records, but None of lines that are not wanted: building is what takes the time."""
        since, wanted = self._since, [*equal.items()]

        def parse(data: Any) -> _T | None:
            if isinstance(data, dict):
                if any(data.get(key) != value for key, value in wanted):
                    return None
                when = data.get("timestamp")
                if since is not None and isinstance(when, str) and parse_time(when) < since:
                    return None
            return from_dict(data)

        return parse

    def _once(self, calls: Iterator[LLMCallRecord]) -> Iterator[LLMCallRecord]:
        read = given = 0

        def each() -> Iterator[LLMCallRecord]:
            nonlocal read
            for call in calls:
                read += 1
                yield call

        for call in once(each()):
            given += 1
            yield call
        self.twins = read - given

    def _counts_call(self, call: LLMCallRecord) -> bool:
        return self._options.holds(_ended(call)) and self._is_counted(call)

    def _counts_run(self, run: WorkflowRunRecord) -> bool:
        return self._options.holds(_begun(run)) and self._is_counted(run)

    def _is_counted(self, record: LLMCallRecord | WorkflowRunRecord) -> bool:
        counted = is_counted(record, include_tests=self._options.include_tests)
        self.tests += not counted
        return counted


def _attune(data: Any) -> Mapping[str, Any]:
    """What stands under metadata.attune; empty where it is not there, and `data` then has a metadata all the same."""
    metadata = data.get("metadata")
    if not isinstance(metadata, dict):
        metadata = data["metadata"] = {}
    extra = metadata.get("attune")
    return extra if isinstance(extra, dict) else {}


def _objects_only(parse: Callable[[Any], _T]) -> Callable[[Any], _T]:
    def checked(data: Any) -> _T:
        if not isinstance(data, dict):
            raise ValueError("not an object")
        return parse(data)

    return checked


def _ended(call: LLMCallRecord | None) -> datetime:
    return parse_time("1970-01-01T00:00:00Z" if call is None else call.timestamp)


def _begun(run: WorkflowRunRecord) -> datetime:
    return parse_time(run.started_at)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
