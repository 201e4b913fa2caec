"""The records of the local files, and their total, tolerant (de)serialisation.

One record is one JSON object on one line. Published readers build their records from *all* top-level keys and fail
on one that they do not know, so the old keys stay exactly and whatever is new travels under `metadata.attune`. A cost
or token count that is not known is left out of the line (old readers then take their default) and is `None` here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

__all__ = [
    "LLMCallRecord",
    "WorkflowRunRecord",
    "WorkflowStageRecord",
    "encode_call",
    "encode_line",
    "format_time",
    "parse_time",
]

ATTUNE = "attune"
"""The key below `metadata` under which everything stands that the published format does not know."""

_MAX_DEPTH = 32


class LLMCallRecord(msgspec.Struct, frozen=True, gc=False):
    """One call of a language model: what was asked of whom, how long it took, what it used and what it cost.

    Costs are USD, durations milliseconds, token counts numbers of tokens. `timestamp` is the time at which the call
    *ended* (RFC 3339; a value without an offset is local time, as old writers meant it). `input_tokens` includes
    cached tokens, `output_tokens` includes reasoning tokens, as in the GenAI conventions.
    """

    call_id: str
    timestamp: str
    workflow_name: str | None = None
    step_name: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    task_type: str = "unknown"
    provider: str = "anthropic"
    tier: str = "capable"
    model_id: str = ""
    input_tokens: int | None = 0
    output_tokens: int | None = 0
    estimated_cost: float | None = 0.0
    actual_cost: float | None = None
    latency_ms: int = 0
    fallback_used: bool = False
    fallback_chain: list[str] = msgspec.field(default_factory=list)
    original_provider: str | None = None
    original_model: str | None = None
    retry_count: int = 0
    circuit_breaker_state: str | None = None
    success: bool = True
    error_type: str | None = None
    error_message: str | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    # From here on: serialised under metadata.attune.
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    run_id: str | None = None
    stage_id: str | None = None
    operation: str = "chat"
    request_model: str | None = None
    response_id: str | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    time_to_first_token_ms: float | None = None
    finish_reasons: list[str] = msgspec.field(default_factory=list)
    tool_calls: int = 0
    server_tool_calls: int = 0
    service_tier: str | None = None
    cost_source: str | None = None
    baseline_cost: float | None = None
    usage_complete: bool = True
    cancelled: bool = False
    attempts: list[dict[str, Any]] = msgspec.field(default_factory=list)
    project: str | None = None
    dialect: str | None = None
    scope: str | None = None
    scope_version: str | None = None
    source_file: str | None = None
    source_line: int | None = None
    service: str | None = None
    host: str | None = None
    pid: int | None = None
    under_pytest: bool = False
    content: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def cost(self) -> float | None:
        """What the call cost in USD: the actual cost where it is known, else the estimate; None when unknown."""
        value = self.actual_cost if self.actual_cost is not None else self.estimated_cost
        return value if value is None or -math.inf < value < math.inf else None

    @property
    def outcome(self) -> str:
        """How the call ended: ok, error or cancelled."""
        return "cancelled" if self.cancelled else "ok" if self.success else "error"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of this record's line (a new dictionary; nested values are shared)."""
        values = msgspec.structs.astuple(self)
        line: dict[str, Any] = dict(zip(_CALL_OLD, values, strict=False))
        unknown = [key for key in _CALL_UNKNOWABLE if not _is_known(line[key])]
        for key in unknown:
            del line[key]
        line["metadata"] = _metadata(self.metadata, values, _CALL_NEW, unknown)
        return line

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LLMCallRecord:
        """Build a record from a line's object; unknown keys are passed over and odd values replaced by defaults.

        Raises:
            ValueError: `data` is not an object, or has no `call_id` or no readable `timestamp`.
        """
        fields = _flatten(data, "call_id", "timestamp", _CALL_OLD, what="an LLM call")
        unknown = fields.pop("__unknown__")
        try:
            record = msgspec.convert({key: value for key, value in fields.items() if value is not None}, cls)
            for key in _CALL_NUMBERS:  # too large for OTLP, infinite or not a number
                if not -(2**63) <= (getattr(record, key) or 0) < 2**63:
                    raise ValueError(key)
        except (ValueError, OverflowError, RecursionError):  # an odd value somewhere: the fields one by one
            record = cls(**_coerce(fields, _CALL_FIELDS))
        known = {key: None for key in _CALL_UNKNOWABLE if key in unknown}
        return msgspec.structs.replace(record, **known) if known else record

    def updated(self, fields: Mapping[str, Any]) -> LLMCallRecord:
        """Return the record with these fields (as JSON gives them) changed; odd values are passed over."""
        changed = _coerce(fields, _CALL_FIELDS)
        changed.update((key, None) for key, value in fields.items() if value is None and key in _CALL_FIELDS)
        return msgspec.structs.replace(self, **changed)


class WorkflowStageRecord(msgspec.Struct, frozen=True):
    """One stage of a workflow run, with the sums of the calls made directly in it (USD, tokens, milliseconds)."""

    stage_name: str
    tier: str
    model_id: str
    input_tokens: int | None = 0
    output_tokens: int | None = 0
    cost: float | None = 0.0
    latency_ms: int = 0
    success: bool = True
    skipped: bool = False
    skip_reason: str | None = None
    error: str | None = None
    # From here on: in the run's metadata.attune.
    stage_id: str | None = None
    parent_stage_id: str | None = None
    started_at: str | None = None
    call_count: int = 0
    unknown_cost_calls: int = 0
    baseline_cost: float | None = None
    provider: str | None = None
    cancelled: bool = False

    @property
    def outcome(self) -> str:
        """How the stage ended: ok, error, cancelled or skipped (which is no failure)."""
        if self.skipped:
            return "skipped"
        return "cancelled" if self.cancelled else "ok" if self.success else "error"

    def to_dict(self) -> dict[str, Any]:
        """Return the stage as published readers know it: the old keys and no others."""
        return {key: value for key in _STAGE_OLD if _is_known(value := getattr(self, key)) or key not in _UNKNOWABLE}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> WorkflowStageRecord:
        """Build a stage from an object; unknown keys are passed over and odd values replaced by defaults."""
        values = _coerce(data, _STAGE_FIELDS)
        for key, empty in (("stage_name", ""), ("tier", "unknown"), ("model_id", "")):
            values.setdefault(key, empty)
        values.update((key, None) for key in _UNKNOWABLE if key in data and data[key] is None)
        return cls(**values)


class WorkflowRunRecord(msgspec.Struct, frozen=True):
    """One run of a workflow, with its stages and the sums over its calls (USD, tokens, milliseconds).

    `baseline_cost` is what the same tokens would have cost at each provider's premium model, `savings` the difference
    to `total_cost`, `savings_percent` that difference in percent (0 to 100) of the baseline.
    """

    run_id: str
    workflow_name: str
    started_at: str
    completed_at: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    stages: list[WorkflowStageRecord] = msgspec.field(default_factory=list)
    total_input_tokens: int = 0
    total_output_tokens: int = 0
    total_cost: float = 0.0
    baseline_cost: float = 0.0
    savings: float = 0.0
    savings_percent: float = 0.0
    total_duration_ms: int = 0
    success: bool = True
    error: str | None = None
    providers_used: list[str] = msgspec.field(default_factory=list)
    tiers_used: list[str] = msgspec.field(default_factory=list)
    # From here on: serialised under metadata.attune, in the details file only.
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    trigger: str | None = None
    project: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    parent_run_id: str | None = None
    complete: bool = True
    cancelled: bool = False
    error_type: str | None = None
    call_count: int = 0
    failed_calls: int = 0
    unknown_cost_calls: int = 0
    total_cache_read_tokens: int = 0
    total_cache_write_tokens: int = 0
    total_reasoning_tokens: int = 0
    dialect: str | None = None
    scope: str | None = None
    scope_version: str | None = None
    source_file: str | None = None
    source_line: int | None = None
    service: str | None = None
    host: str | None = None
    pid: int | None = None
    under_pytest: bool = False

    @property
    def outcome(self) -> str:
        """How the run ended: ok, error or cancelled."""
        return "cancelled" if self.cancelled else "ok" if self.success else "error"

    def to_dict(self) -> dict[str, Any]:
        """Return the run as published readers know it: the old keys and no others (they fail on any other)."""
        line: dict[str, Any] = {key: getattr(self, key) for key in _RUN_OLD}
        line["stages"] = [stage.to_dict() for stage in self.stages]
        return line

    def to_details(self) -> dict[str, Any]:
        """Return everything known of the run: the old keys, and the rest under `metadata.attune`."""
        line = self.to_dict()
        line["metadata"] = _metadata(self.metadata, msgspec.structs.astuple(self), _RUN_NEW, [])
        stages = [_changed(msgspec.structs.astuple(stage), _STAGE_NEW) for stage in self.stages]
        if any(stages) or any(not stage.keys() >= _UNKNOWABLE for stage in line["stages"]):
            line["metadata"].setdefault(ATTUNE, {})["stages"] = stages
        return line

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> WorkflowRunRecord:
        """Build a run from either of its two lines; unknown keys are passed over, odd values replaced by defaults.

        Raises:
            ValueError: `data` is not an object, or has no `run_id`, no `workflow_name` or no readable `started_at`.
        """
        fields = _flatten(data, "run_id", "started_at", _RUN_OLD, what="a workflow run")
        for key in _RUN_ADDED & data.keys():
            if fields.get(key) is None:
                fields[key] = data[key]
        values = _coerce(fields, _RUN_FIELDS)
        if "workflow_name" not in values:
            raise ValueError("not a workflow run record: no 'workflow_name'")
        old = data.get("stages")
        new = fields.get("stages") if fields.get("stages") is not old else None
        stages = [dict(stage) for stage in old if isinstance(stage, Mapping)] if isinstance(old, list) else []
        if isinstance(new, list) and len(new) == len(stages):
            for stage, extra in zip(stages, new, strict=True):
                if isinstance(extra, Mapping):
                    stage.update(extra)
                    for key in _UNKNOWABLE - stage.keys():
                        stage[key] = None
        values["stages"] = [WorkflowStageRecord.from_dict(stage) for stage in stages]
        return cls(**values)


def format_time(nanoseconds: int) -> str:
    """Return RFC 3339 in UTC with microseconds and `Z`, for a time in nanoseconds since the epoch."""
    global _known_second
    second, text = _known_second
    rest = nanoseconds - second
    # Calls cluster within a second: formatting the date again for each would cost as much as encoding the line.
    if not 0 <= rest < 1_000_000_000:
        rest = nanoseconds % 1_000_000_000
        second = nanoseconds - rest
        text = datetime.fromtimestamp(second // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        _known_second = (second, text)
    return f"{text}.{rest // 1000:06d}Z"


_known_second: tuple[int, str] = (0, "1970-01-01T00:00:00")
"""Its beginning in nanoseconds, and as text."""


def parse_time(text: str) -> datetime:
    """Return the aware UTC time of a record's timestamp; one without an offset is local time.

    Raises:
        ValueError: the text is not a time in ISO 8601, or lies outside of what a calendar can hold.
    """
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError, OSError, TypeError) as error:
        raise ValueError(f"not a time: {str(text)[:40]!r}") from error


def encode_line(line: Mapping[str, Any]) -> bytes:
    r"""Return the JSON of one line without its `\n`; whatever JSON cannot hold becomes text, never an error."""
    try:
        return _encode(line)
    except Exception:  # hostile values: circular, non-string keys, huge integers, broken __repr__ …
        return _encode(_plain(line, 0))


def encode_call(record: LLMCallRecord) -> bytes:
    """Return `encode_line(record.to_dict())`, in a third of the time: the comparison with defaults is msgspec's."""
    given = record.metadata
    if record.pid is None or ATTUNE in given:
        return encode_line(record.to_dict())  # not of a process of ours: rare, and its block may have to be left out
    values = _values_of(record)
    line = _CallLine(*values[_OLD_PART])
    extra = _CallExtra(*values[_NEW_PART])
    cost = record.estimated_cost
    if cost is None or not -_INFINITE < cost < _INFINITE or record.input_tokens is None or record.output_tokens is None:
        extra.unknown = [key for key in _CALL_UNKNOWABLE if not _is_known(getattr(record, key))]
        for key in extra.unknown:
            setattr(line, key, msgspec.UNSET)
    metadata = given.copy()
    if record.run_id is not None:
        metadata.setdefault("run_id", record.run_id)
    metadata[ATTUNE] = extra
    line.metadata = metadata
    try:
        return _encode(line)
    except Exception:
        return encode_line(record.to_dict())


def _is_known(value: object) -> bool:
    """JSON has no NaN and no infinity: either would be a null, which breaks the sums of published readers."""
    return value is not None and (not isinstance(value, float) or math.isfinite(value))


def _plain(value: object, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else float(value) if abs(value) < 2**1000 else f"{value:#x}"[:64]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if depth >= _MAX_DEPTH:
        return "…"
    try:
        if isinstance(value, Mapping):
            return {_plain(str(key), depth): _plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [_plain(item, depth + 1) for item in value]
        return _plain(str(value), depth)
    except Exception:
        return f"<{type(value).__name__}>"


def _metadata(
    given: dict[str, Any], values: tuple[Any, ...], new: list[tuple[str, Any]], unknown: list[str]
) -> dict[str, Any]:
    extra = _changed(values, new)
    metadata = dict(given)
    if ATTUNE in metadata:  # a user's own key of that name must come back as it was
        extra["metadata"] = metadata.pop(ATTUNE)
    if unknown:
        extra["unknown"] = unknown
    run_id = extra.get("run_id")
    if run_id is not None:  # where old readers look for it
        metadata.setdefault("run_id", run_id)
    if extra:
        metadata[ATTUNE] = extra
    return metadata


def _changed(values: tuple[Any, ...], new: list[tuple[str, Any]]) -> dict[str, Any]:
    """Fields of the new format, the last of the record, that are not as they are by default."""
    return {
        key: value
        for (key, default), value in zip(new, values[-len(new) :], strict=True)
        if value is not default and value != default
    }


def _flatten(data: Any, identity: str, time: str, old: tuple[str, ...], *, what: str) -> dict[str, Any]:
    """Old keys and those below metadata.attune in one flat dictionary; the caller's is left as it is."""
    if not isinstance(data, Mapping):
        raise ValueError(f"not {what} record: {type(data).__name__} instead of an object")
    # What is new stands below metadata.attune; the same name at the top is somebody else's key.
    fields = {key: data[key] for key in old if key in data}
    metadata = data.get("metadata")
    metadata = dict(metadata) if isinstance(metadata, Mapping) else {}
    extra = metadata.pop(ATTUNE, None)
    extra = dict(extra) if isinstance(extra, Mapping) else {}
    if "metadata" in extra:
        metadata[ATTUNE] = extra.pop("metadata")
    unknown = extra.pop("unknown", None)
    run_id = metadata.get("run_id")
    if extra.get("run_id") is not None and extra["run_id"] == run_id:
        del metadata["run_id"]
    elif identity != "run_id" and isinstance(run_id, str):
        extra.setdefault("run_id", run_id)
    fields.update((key, value) for key, value in extra.items() if key == "stages" or key not in old)
    fields["metadata"] = metadata
    fields["__unknown__"] = unknown if isinstance(unknown, list) else ()
    if not isinstance(fields.get(identity), str) or not fields[identity]:
        raise ValueError(f"not {what} record: no {identity!r}")
    when = fields.get(time)
    if not isinstance(when, str):
        raise ValueError(f"not {what} record: no {time!r}")
    try:
        parse_time(when)
    except ValueError:  # without the text: reports count these by their reason
        raise ValueError(f"not {what} record: {time!r} is not a time") from None
    return fields


def _coerce(fields: Mapping[str, Any], table: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    values = {}
    for key, convert in table.items():
        value = fields.get(key)
        if value is not None:
            value = convert(value)
            if value is not None:
                values[key] = value
    return values


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**64) else None


def _whole(value: Any) -> int | None:
    if not isinstance(value, (int, float)) or not -(2**63) <= value < 2**63:  # beyond, OTLP could not carry it
        return None
    return int(value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _texts(value: Any) -> list[str] | None:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else None


def _objects(value: Any) -> list[dict[str, Any]] | None:
    return [dict(item) for item in value if isinstance(item, Mapping)] if isinstance(value, list) else None


def _object(value: Any) -> dict[str, Any] | None:
    return dict(value) if isinstance(value, Mapping) else None


def _text_object(value: Any) -> dict[str, str] | None:
    return {k: v for k, v in value.items() if isinstance(v, str)} if isinstance(value, Mapping) else None


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "str": _text,
    "int": _whole,
    "float": _number,
    "bool": _flag,
    "list[str]": _texts,
    "list[dict[str, Any]]": _objects,
    "dict[str, Any]": _object,
    "dict[str, str]": _text_object,
}
_Record = TypeVar("_Record", bound=msgspec.Struct)


def _converters(record: type[_Record]) -> dict[str, Callable[[Any], Any]]:
    # Annotations are text here (PEP 563): the first alternative names the type.
    kinds = {key: str(kind).split(" | ")[0] for key, kind in record.__annotations__.items()}
    return {key: _CONVERT[kind] for key, kind in kinds.items() if kind in _CONVERT}


def _defaults(record: type[_Record], first: str, *, leave: tuple[str, ...] = ()) -> list[tuple[str, Any]]:
    fields = msgspec.structs.fields(record)
    start = [field.name for field in fields].index(first)
    return [
        (field.name, field.default_factory() if callable(field.default_factory) else field.default)
        for field in fields[start:]
        if field.name not in leave
    ]


_CALL_UNKNOWABLE = ("input_tokens", "output_tokens", "estimated_cost")
_UNKNOWABLE = frozenset({"input_tokens", "output_tokens", "cost"})
_CALL_FIELDS = _converters(LLMCallRecord)
_CALL_NEW = _defaults(LLMCallRecord, "trace_id")
_CALL_OLD = LLMCallRecord.__struct_fields__[: -len(_CALL_NEW)]
_OLD_PART, _NEW_PART = slice(len(_CALL_OLD)), slice(len(_CALL_OLD), None)
_CALL_NUMBERS = tuple(
    key for key, kind in LLMCallRecord.__annotations__.items() if str(kind).split(" | ")[0] in ("int", "float")
)
_STAGE_FIELDS = _converters(WorkflowStageRecord)
_STAGE_NEW = _defaults(WorkflowStageRecord, "stage_id")
_STAGE_OLD = WorkflowStageRecord.__struct_fields__[: -len(_STAGE_NEW)]
_RUN_FIELDS = _converters(WorkflowRunRecord)
_RUN_NEW = _defaults(WorkflowRunRecord, "trigger")
_RUN_OLD = WorkflowRunRecord.__struct_fields__[: -len(_RUN_NEW) - 1]
_RUN_ADDED = frozenset({"trigger", "project"})
"""What some earlier writers put at the top of a run."""

# Read with the module, by one thread: two that ask msgspec for a new type at once can crash the process.
_ready = [msgspec.json.Decoder(known) for known in (LLMCallRecord, WorkflowRunRecord)]
_encode = msgspec.json.Encoder().encode
_values_of = msgspec.structs.astuple
_INFINITE = math.inf
_CallLine: Any = msgspec.defstruct("_CallLine", [(key, Any) for key in _CALL_OLD], gc=False)
_CallExtra: Any = msgspec.defstruct(
    "_CallExtra",
    [
        (key, Any, msgspec.field(default_factory=type(default)) if isinstance(default, (list, dict)) else default)
        for key, default in [*_CALL_NEW, ("unknown", [])]
    ],
    omit_defaults=True,
    gc=False,
)
