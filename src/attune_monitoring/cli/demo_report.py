"""What `empathy demo` shows: the records, each run as a tree, the costs, the files and what to do next."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, WorkflowStageRecord, parse_time
from attune_monitoring.store import CALLS, DETAILS, RUNS, segments

__all__ = ["Recorded", "print_report"]

_WHAT = {
    CALLS: "every call",
    RUNS: "every run, in the format of the Empathy Framework",
    DETAILS: "every run, with all details",
}


class Recorded(NamedTuple):
    """The records of one run of the demo."""

    calls: list[LLMCallRecord]
    runs: list[WorkflowRunRecord]


def print_report(console: Console, recorded: Recorded, *, folder: Path, earlier: bool, program: str) -> None:
    """Print it, within 80 columns.

    Args:
        console: where to.
        recorded: what this run of the demo recorded.
        folder: where it was recorded, relative to the working directory.
        earlier: whether the folder held records before.
        program: the name under which the command was called.
    """
    _heading(console, "Calls", f"{len(recorded.calls)} records of {folder / CALLS}.jsonl")
    console.print(_table(recorded, wide=console.width >= 100))
    _heading(console, "Runs", "cost and time by stage")
    for run in recorded.runs:
        if run.parent_run_id is None:
            console.print(_tree(run, recorded))
    _heading(console, "Cost", "")
    for line in _costs(recorded):
        console.print(line)
    _heading(console, "Files", "readable for you alone")
    for line in _files(folder):
        console.print(line)
    if earlier:
        console.print(f"{folder} held records of earlier demos: these were added, and only these are shown above.")
    _heading(console, "Next", "")
    for line in _next_steps(folder, program):
        console.print(line, soft_wrap=True)


def _heading(console: Console, title: str, note: str) -> None:
    console.print()
    console.print(Text.assemble((title, "bold"), (f"  {note}" if note else "", "dim")))


def _table(recorded: Recorded, *, wide: bool) -> Table:
    """One row a call; a narrow terminal leaves the workflow to the tree below."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("time", no_wrap=True)
    if wide:
        table.add_column("workflow", no_wrap=True)
    for title in ("stage", "provider", "model", "tier"):
        table.add_column(title, no_wrap=True)
    for title in ("in/out", "USD", "ms"):
        table.add_column(title, no_wrap=True, justify="right")
    table.add_column("status", no_wrap=True)
    for call in recorded.calls:
        workflow = [call.workflow_name or ""] if wide else []
        table.add_row(
            f"{parse_time(call.timestamp).astimezone():%H:%M:%S}" if wide else _since_first(call, recorded),
            *workflow,
            _stage_of(call, recorded),
            call.provider,
            call.model_id or call.request_model or "",
            "?" if call.tier == "unknown" else call.tier,
            f"{call.input_tokens}/{call.output_tokens}" if _has_usage(call) else "?",
            "?" if call.cost is None else f"{call.cost:.5f}",
            str(call.latency_ms),
            _status(call),
        )
    return table
