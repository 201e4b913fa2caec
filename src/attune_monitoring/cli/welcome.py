"""What `empathy` alone says: what this folder holds, and the next step."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from attune_monitoring.cli.render import clean, duration, failed, program, usd
from attune_monitoring.config import Config, load_config
from attune_monitoring.errors import StoreError
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, parse_time
from attune_monitoring.store import CALLS, RUNS, ReadReport, read_newest, segments

__all__ = ["welcome"]

_T = TypeVar("_T")
_NEWEST = 5
_CHUNK = 1 << 20


def welcome() -> str:
    """Return the text; nothing is written, no folder is made.

    Raises:
        ConfigError: monitoring.yaml or the environment is wrong.
        StoreError: a file of records cannot be read.
    """
    config = load_config()
    folder = config.storage_dir
    try:
        has_data = any(segment.path.stat().st_size for stream in (CALLS, RUNS) for segment in segments(folder, stream))
        lines = _filled(folder) if has_data else _empty(folder)
    except OSError as error:
        raise StoreError(f"{error.filename}: cannot be read: {error.strerror}; mend its permissions") from error
    return "\n".join([*lines, *_notes(config), f"Help: {program()} --help"]) + "\n"


def _empty(folder: Path) -> list[str]:
    return [
        "Nothing has been recorded for this folder yet. Two lines record a call of a language model:",
        "",
        "    from attune_monitoring import llm_call      # one",
        "",
        "    @llm_call                                   # two: above a function that returns the response",
        "    def ask(question):",
        '        return client.chat.completions.create(model="gpt-5-mini", messages=...)',
        "",
        f"Run your program, then {program()} telemetry summary. Records go to {_shown(folder)}",
        f"To see first what is recorded: {program()} demo",
    ]


def _filled(folder: Path) -> list[str]:
    report = ReadReport()
    calls = _newest(folder, CALLS, LLMCallRecord.from_dict, lambda call: call.timestamp, report)
    runs = _newest(folder, RUNS, WorkflowRunRecord.from_dict, lambda run: run.started_at, report)
    lines = [
        f"{_shown(folder)} holds {_count(_lines(folder, CALLS), 'LLM call')} and "
        f"{_count(_lines(folder, RUNS), 'workflow run')}.",
        "",
    ]
    newest = "the newest run as a tree" if runs else "the newest calls"
    if runs:
        lines += ["Newest runs:", *map(_run_line, reversed(runs)), ""]
    elif calls:
        lines += ["Newest calls:", *map(_call_line, reversed(calls)), ""]
    if report.total:
        lines += [f"Passed over: {report}", ""]
    lines += [
        "Next:",
        f"    {program()} telemetry summary       what it cost, where, and how that changed",
        f"    {program()} telemetry {'runs --last' if runs else 'calls      '}   {newest}",
        "",
    ]
    return lines


def _notes(config: Config) -> list[str]:
    notes = []
    if not config.enabled:
        notes.append("Recording is off: EMPATHY_TELEMETRY=off, OTEL_SDK_DISABLED=true or enabled: false.")
    elif config.jsonl is None:
        notes.append(f"Records are not written to files: {config.source or 'the environment'} names other backends.")
    return [*notes, *(f"Warning: {warning}" for warning in config.warnings)]


def _newest(
    folder: Path, stream: str, parse: Callable[[dict[str, Any]], _T], time: Callable[[_T], str], report: ReadReport
) -> list[_T]:
    return read_newest(
        folder,
        stream,
        parse,
        keep=lambda _: True,
        order=lambda record: parse_time(time(record)),
        limit=_NEWEST,
        report=report,
    )


def _run_line(run: WorkflowRunRecord) -> str:
    outcome = "ok" if run.success else f"failed: {failed(run.error) or 'no message'}"
    cost, took = f"{usd(run.total_cost)} USD", duration(run.total_duration_ms)
    return clean(f"    {_local(run.started_at)}  {run.workflow_name}  {cost}  {took}  {outcome}")


def _call_line(call: LLMCallRecord) -> str:
    outcome = "ok" if call.success else f"failed: {failed(call.error_type) or 'no type'}"
    cost = "cost unknown" if call.cost is None else f"{usd(call.cost)} USD"
    return clean(f"    {_local(call.timestamp)}  {call.model_id}  {cost}  {duration(call.latency_ms)}  {outcome}")


def _local(timestamp: str) -> str:
    return f"{parse_time(timestamp).astimezone():%Y-%m-%d %H:%M:%S}"


def _lines(folder: Path, stream: str) -> int:
    count = 0
    for segment in segments(folder, stream):
        with segment.path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                count += chunk.count(b"\n")
    return count


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _shown(folder: Path) -> str:
    try:
        return f".{os.sep}{folder.relative_to(Path.cwd())}"
    except ValueError:
        return os.fspath(folder)
