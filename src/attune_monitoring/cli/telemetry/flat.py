"""Records as flat rows with stable columns: what `export` writes and `query` asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import msgspec

from attune_monitoring.figures import user_of
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, WorkflowStageRecord, parse_time

from .reading import Reading

__all__ = ["COLUMNS", "Kind", "What", "row_of_call", "row_of_run", "rows", "rows_of_stages"]

Kind: TypeAlias = Literal["text", "int", "float", "bool", "time", "list", "object"]
"""What a column holds: a list or an object is JSON in formats that have neither."""
What: TypeAlias = Literal["calls", "runs", "stages"]

_KINDS: dict[str, Kind] = {
    "str": "text",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "list[str]": "list",
    "list[dict[str, Any]]": "list",
    "dict[str, Any]": "object",
    "dict[str, str]": "object",
}
_TIMES = frozenset({"timestamp", "started_at", "completed_at"})


def _columns(record: type[msgspec.Struct], leave: frozenset[str] = frozenset()) -> dict[str, Kind]:
    return {
        name: "time" if name in _TIMES else _KINDS[str(kind).split(" | ")[0]]
        for name, kind in record.__annotations__.items()
        if name not in leave
    }


_OF_RUN: dict[str, Kind] = {"run_id": "text", "workflow_name": "text", "run_started_at": "time", "place": "int"}
_RUN_HOLDS = frozenset({"stages"})
COLUMNS: Mapping[What, Mapping[str, Kind]] = MappingProxyType(
    {
        "calls": {**_columns(LLMCallRecord), "cost": "float", "outcome": "text"},
        "runs": {**_columns(WorkflowRunRecord, _RUN_HOLDS), "outcome": "text"},
        "stages": {**_OF_RUN, **_columns(WorkflowStageRecord), "outcome": "text", "under_pytest": "bool"},
    }
)
"""The columns of each kind of row, in their order; new ones come at the end of the record's own."""


def rows(what: What, reading: Reading) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of all records that count, each with one value for each of `COLUMNS[what]`."""
    if what == "calls":
        yield from map(row_of_call, reading.calls())
    elif what == "runs":
        yield from map(row_of_run, reading.runs())
    else:
        for run in reading.runs():
            yield from rows_of_stages(run)


def row_of_call(call: LLMCallRecord) -> tuple[Any, ...]:
    """Return the row of a call; `timestamp` is aware UTC."""
    values = msgspec.structs.astuple(call)
    return (values[0], parse_time(call.timestamp), *values[2:4], user_of(call), *values[5:], call.cost, call.outcome)


def row_of_run(run: WorkflowRunRecord) -> tuple[Any, ...]:
    """Return the row of a run, without its stages; times are aware UTC."""
    return (*(_value(run, name) for name in _RUN_FIELDS), run.outcome)


def rows_of_stages(run: WorkflowRunRecord) -> Iterator[tuple[Any, ...]]:
    """Yield a row for each stage of a run, in the order of the run; `place` counts from 1."""
    began = parse_time(run.started_at)
    for place, stage in enumerate(run.stages, 1):
        own = (_value(stage, name) for name in _STAGE_FIELDS)
        yield (run.run_id, run.workflow_name, began, place, *own, stage.outcome, run.under_pytest)


_RUN_FIELDS = tuple(name for name in WorkflowRunRecord.__struct_fields__ if name not in _RUN_HOLDS)
_STAGE_FIELDS = WorkflowStageRecord.__struct_fields__


def _value(record: msgspec.Struct, name: str) -> Any:
    value = getattr(record, name)
    if name not in _TIMES or value is None:
        return value
    try:
        return parse_time(value)
    except ValueError:  # only the time that a record is counted by is sure to be one
        return None
