"""The record-first API that existing callers use: the backend protocol and the store of the local files."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from attune_monitoring.config import find_storage_dir
from attune_monitoring.files import Files
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, parse_time
from attune_monitoring.store import CALLS, DETAILS, RUNS, ReadReport, prepare_folder, read_newest

__all__ = ["TelemetryBackend", "TelemetryStore", "get_telemetry_store"]

_log = logging.getLogger("attune_monitoring.store")
_T = TypeVar("_T")
_DEFAULT = ".empathy"


@runtime_checkable
class TelemetryBackend(Protocol):
    """Anything that takes records, and may give them back."""

    def log_call(self, record: LLMCallRecord) -> None:
        """Take a call."""

    def log_workflow(self, record: WorkflowRunRecord) -> None:
        """Take a workflow run."""

    def get_calls(
        self, since: datetime | None = None, workflow_name: str | None = None, limit: int = 1000
    ) -> list[LLMCallRecord]:
        """Return the newest calls, oldest of them first."""
        ...

    def get_workflows(
        self, since: datetime | None = None, workflow_name: str | None = None, limit: int = 100
    ) -> list[WorkflowRunRecord]:
        """Return the newest workflow runs, oldest of them first."""
        ...


class TelemetryStore:
    """The records of a local folder.

    Args:
        storage_dir: the folder. The default `.empathy` means the one that instrumented code writes to: the nearest
            upward from the working directory as far as the project's root (see docs/configuration.md).
    """

    def __init__(self, storage_dir: str | Path = _DEFAULT) -> None:
        self.storage_dir = (
            find_storage_dir(Path.cwd(), os.environ) if str(storage_dir) == _DEFAULT else Path(storage_dir)
        )
        prepare_folder(self.storage_dir)
        self.calls_file = self.storage_dir / f"{CALLS}.jsonl"
        self.workflows_file = self.storage_dir / f"{RUNS}.jsonl"
        self.skipped = ReadReport()
        """Lines that the last read passed over, and why."""
        self._files = Files(self.storage_dir)

    def log_call(self, record: LLMCallRecord) -> None:
        """Append a call to the files; for spans and metrics as well use `log_llm_call`."""
        self._files.call(record)

    def log_workflow(self, record: WorkflowRunRecord) -> None:
        """Append a workflow run to the files; for spans and metrics as well use `log_workflow_run`."""
        self._files.run(record)

    def get_calls(
        self, since: datetime | None = None, workflow_name: str | None = None, limit: int = 1000
    ) -> list[LLMCallRecord]:
        """Return the newest calls, oldest of them first.

        Args:
            since: only calls that ended at or after this time; naive means local time.
            workflow_name: only calls of this workflow.
            limit: number of calls at most.
        """
        self.skipped = ReadReport()
        keep = _wanted(since, workflow_name, lambda record: record.timestamp)
        found = self._read(CALLS, LLMCallRecord.from_dict, keep, lambda record: record.timestamp, limit)
        self._report()
        return found

    def get_workflows(
        self, since: datetime | None = None, workflow_name: str | None = None, limit: int = 100
    ) -> list[WorkflowRunRecord]:
        """Return the newest workflow runs, nested ones (with a `parent_run_id`) included, oldest of them first.

        Args:
            since: only runs that began at or after this time; naive means local time.
            workflow_name: only runs of this workflow.
            limit: number of runs at most.
        """
        self.skipped = ReadReport()
        keep = _wanted(since, workflow_name, lambda record: record.started_at)
        parse = WorkflowRunRecord.from_dict
        runs = {
            stream: self._read(stream, parse, keep, lambda record: record.started_at, limit)
            for stream in (DETAILS, RUNS)
        }
        detailed = {record.run_id for record in runs[DETAILS]}
        # Files of earlier writers have runs without details.
        found = [*runs[DETAILS], *(record for record in runs[RUNS] if record.run_id not in detailed)]
        found.sort(key=lambda record: parse_time(record.started_at))
        self._report()
        return found[-limit:] if limit > 0 else []

    def _read(
        self,
        stream: str,
        parse: Callable[[dict[str, Any]], _T],
        keep: Callable[[_T], bool],
        time: Callable[[_T], str],
        limit: int,
    ) -> list[_T]:
        return read_newest(
            self.storage_dir,
            stream,
            parse,
            keep=keep,
            order=lambda record: parse_time(time(record)),
            limit=limit,
            report=self.skipped,
        )

    def _report(self) -> None:
        if self.skipped.total:
            _log.warning("Lines that are no records were passed over in %s: %s", self.storage_dir, self.skipped)


def _wanted(since: datetime | None, workflow_name: str | None, time: Callable[[Any], str]) -> Callable[[Any], bool]:
    earliest = since.astimezone(UTC) if since is not None else None

    def keep(record: Any) -> bool:
        if workflow_name is not None and record.workflow_name != workflow_name:
            return False
        return earliest is None or parse_time(time(record)) >= earliest

    return keep


def get_telemetry_store(storage_dir: str | Path = _DEFAULT) -> TelemetryStore:
    """Return the store of a folder."""
    return TelemetryStore(storage_dir)
