"""Hypothesis strategies for records, shared by the tests of records and of mapping."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, WorkflowStageRecord

# A record has some sixty fields to draw, and a busy machine is no fault of the code.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

TEXT = st.text(max_size=12)
NAME = st.text(min_size=1, max_size=12)
WHOLE = st.integers(min_value=-(2**63), max_value=2**63 - 1)
COUNT = st.integers(min_value=0, max_value=2**53)
MONEY = st.floats(min_value=0, max_value=1e9)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
MILLISECONDS = st.integers(min_value=0, max_value=10**8)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | WHOLE | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
METADATA = st.dictionaries(TEXT | st.just("attune"), JSON_VALUES, max_size=3).filter(
    lambda value: "run_id" not in value
)
"""`run_id` has a meaning of its own there, and tests of its own."""

_MOMENTS = st.datetimes(min_value=datetime(1971, 1, 2), max_value=datetime(2100, 1, 1))
_OFFSETS = st.integers(min_value=-14 * 60, max_value=14 * 60)


def _written(moment: datetime, how: str, minutes: int) -> str:
    if how == "naive":
        return moment.isoformat()
    if how == "Z":
        return f"{moment.isoformat()}Z"
    return moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=minutes))).isoformat()


TIMESTAMPS = st.builds(_written, _MOMENTS, st.sampled_from(("naive", "Z", "offset")), _OFFSETS)

_BY_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "str": TEXT,
    "int": COUNT,
    "float": MONEY,
    "bool": st.booleans(),
    "list[str]": st.lists(TEXT, max_size=3),
    "list[dict[str, Any]]": st.lists(st.dictionaries(NAME, JSON_VALUES, max_size=2), max_size=2),
    "dict[str, Any]": METADATA,
    "dict[str, str]": st.dictionaries(TEXT, TEXT, max_size=2),
}


def _values(record: type[msgspec.Struct], **given: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    found = {}
    for field in msgspec.structs.fields(record):
        kind, _, optional = str(record.__annotations__[field.name]).partition(" | ")
        strategy = given[field.name] if field.name in given else _BY_TYPE[kind]
        found[field.name] = st.none() | strategy if optional else strategy
    return found


CALLS = st.builds(
    LLMCallRecord,
    **_values(
        LLMCallRecord,
        call_id=NAME,
        timestamp=TIMESTAMPS,
        latency_ms=MILLISECONDS,
        run_id=NAME,
        time_to_first_token_ms=NUMBER,
    ),
)
STAGES = st.builds(WorkflowStageRecord, **_values(WorkflowStageRecord, started_at=TIMESTAMPS))
RUNS = st.builds(
    WorkflowRunRecord,
    **_values(
        WorkflowRunRecord,
        run_id=NAME,
        workflow_name=NAME,
        started_at=TIMESTAMPS,
        completed_at=TIMESTAMPS,
        stages=st.lists(STAGES, max_size=3),
    ),
)
