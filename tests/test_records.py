"""The records: their fields, and that nothing read or written through them is lost or fatal."""

from __future__ import annotations

import json
import math
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attune_monitoring.records import (
    LLMCallRecord,
    WorkflowRunRecord,
    WorkflowStageRecord,
    encode_call,
    encode_line,
    format_time,
    parse_time,
)
from record_strategies import CALLS, RUNS

OLD_CALL = {
    "call_id": ...,
    "timestamp": ...,
    "workflow_name": None,
    "step_name": None,
    "user_id": None,
    "session_id": None,
    "task_type": "unknown",
    "provider": "anthropic",
    "tier": "capable",
    "model_id": "",
    "input_tokens": 0,
    "output_tokens": 0,
    "estimated_cost": 0.0,
    "actual_cost": None,
    "latency_ms": 0,
    "fallback_used": False,
    "fallback_chain": [],
    "original_provider": None,
    "original_model": None,
    "retry_count": 0,
    "circuit_breaker_state": None,
    "success": True,
    "error_type": None,
    "error_message": None,
    "metadata": {},
}
OLD_STAGE = {
    "stage_name": ...,
    "tier": ...,
    "model_id": ...,
    "input_tokens": 0,
    "output_tokens": 0,
    "cost": 0.0,
    "latency_ms": 0,
    "success": True,
    "skipped": False,
    "skip_reason": None,
    "error": None,
}
OLD_RUN = {
    "run_id": ...,
    "workflow_name": ...,
    "started_at": ...,
    "completed_at": None,
    "user_id": None,
    "session_id": None,
    "stages": [],
    "total_input_tokens": 0,
    "total_output_tokens": 0,
    "total_cost": 0.0,
    "baseline_cost": 0.0,
    "savings": 0.0,
    "savings_percent": 0.0,
    "total_duration_ms": 0,
    "success": True,
    "error": None,
    "providers_used": [],
    "tiers_used": [],
}
CALL = {"call_id": "c", "timestamp": "2026-01-11T03:47:00Z"}
RUN = {"run_id": "r", "workflow_name": "w", "started_at": "2026-01-11T03:47:00Z"}
OLD_DATA = Path(__file__).parent / "data" / "old"
SAMPLES = Path(__file__).parents[2] / "shared" / "samples"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def _old_lines(kind: str) -> list[Any]:
    own = [
        pytest.param(json.loads(line), id=f"{kind}-{number}")
        for number, line in enumerate((OLD_DATA / f"{kind}.jsonl").read_text().splitlines(), 1)
    ]
    path = SAMPLES / f"{kind}.old.jsonl"
    if not path.exists():
        reason = f"{path.name} is not part of this clone"
        return [*own, pytest.param(None, id=f"{kind}-sample", marks=pytest.mark.skip(reason=reason))]
    samples = enumerate(path.read_text().splitlines(), 1)
    return [*own, *(pytest.param(json.loads(line), id=f"{kind}-sample-{number}") for number, line in samples)]


class TestFields:
    @pytest.mark.parametrize(
        ("record", "old"),
        [(LLMCallRecord, OLD_CALL), (WorkflowStageRecord, OLD_STAGE), (WorkflowRunRecord, OLD_RUN)],
        ids=lambda value: getattr(value, "__name__", ""),
    )
    def test_the_published_fields_come_first_in_their_order_with_their_defaults(self, record, old):
        required = {name: "?" for name, default in old.items() if default is ...}
        made = record(**required)
        assert list(record.__struct_fields__)[: len(old)] == list(old)
        assert {name: getattr(made, name) for name in old} == {**old, **required}

    def test_every_further_field_has_a_default(self):
        required = [field.name for field in msgspec.structs.fields(LLMCallRecord) if field.required]
        assert required == ["call_id", "timestamp"]

    def test_records_are_frozen(self):
        with pytest.raises(AttributeError):
            LLMCallRecord(**CALL).provider = "other"

    def test_two_records_share_no_default_list(self):
        assert LLMCallRecord(**CALL).fallback_chain is not LLMCallRecord(**CALL).fallback_chain

    @pytest.mark.parametrize(
        ("actual", "estimated", "cost"),
        [(0.5, 0.1, 0.5), (None, 0.1, 0.1), (None, None, None), (0.0, 0.1, 0.0)],
    )
    def test_the_cost_is_the_actual_one_where_it_is_known(self, actual, estimated, cost):
        assert LLMCallRecord(**CALL, actual_cost=actual, estimated_cost=estimated).cost == cost


class TestCallLines:
    def test_a_plain_line_has_exactly_the_published_keys_in_their_order(self):
        assert list(LLMCallRecord(**CALL).to_dict().items()) == list({**OLD_CALL, **CALL}.items())

    @pytest.mark.slow
    @given(CALLS)
    def test_no_line_has_a_top_level_key_that_published_readers_do_not_know(self, record):
        assert record.to_dict().keys() <= OLD_CALL.keys()

    @pytest.mark.slow
    @given(CALLS)
    def test_a_line_gives_back_its_record(self, record):
        assert LLMCallRecord.from_dict(json.loads(encode_call(record))) == record

    @pytest.mark.slow
    @given(CALLS)
    def test_encode_call_is_encode_line_of_to_dict(self, record):
        assert msgspec.json.decode(encode_call(record)) == msgspec.json.decode(encode_line(record.to_dict()))

    @pytest.mark.parametrize("pid", [None, 7])
    @pytest.mark.parametrize("metadata", [{}, {"attune": 1}, {"run_id": "other"}, {"a": [1, {"b": None}]}])
    @pytest.mark.parametrize("fields", [{}, {"run_id": "r", "input_tokens": None, "estimated_cost": None}])
    def test_encode_call_gives_the_very_bytes_of_encode_line(self, pid, metadata, fields):
        record = LLMCallRecord(**CALL, pid=pid, metadata=metadata, trace_id="t", attempts=[{"cost": 1.0}], **fields)
        assert encode_call(record) == encode_line(record.to_dict())

    def test_an_unknown_cost_or_count_is_left_out_and_named_under_metadata(self):
        record = LLMCallRecord(**CALL, input_tokens=None, output_tokens=None, estimated_cost=None)
        line = record.to_dict()
        missing = {"input_tokens", "output_tokens", "estimated_cost"}
        assert line.keys() == OLD_CALL.keys() - missing
        assert set(line["metadata"]["attune"]["unknown"]) == missing
        assert LLMCallRecord.from_dict(line) == record

    @pytest.mark.parametrize("cost", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("pid", [None, 7])
    def test_a_cost_that_json_cannot_hold_never_becomes_a_null_that_breaks_old_sums(self, cost, pid):
        line = json.loads(encode_call(LLMCallRecord(**CALL, estimated_cost=cost, pid=pid)))
        assert "estimated_cost" not in line

    def test_the_run_id_stands_where_old_readers_look_for_it(self):
        assert LLMCallRecord(**CALL, run_id="r1").to_dict()["metadata"]["run_id"] == "r1"

    def test_the_run_id_of_an_old_line_is_the_records_run_id(self):
        assert LLMCallRecord.from_dict({**CALL, "metadata": {"run_id": "r1"}}).run_id == "r1"

    def test_a_callers_other_run_id_in_the_metadata_comes_back_as_it_was(self):
        record = LLMCallRecord(**CALL, run_id="r1", metadata={"run_id": "theirs"})
        assert LLMCallRecord.from_dict(record.to_dict()) == record

    def test_a_callers_own_attune_key_comes_back_as_it_was(self):
        record = LLMCallRecord(**CALL, metadata={"attune": {"trace_id": "mine"}}, trace_id="t")
        assert LLMCallRecord.from_dict(json.loads(encode_call(record))) == record

    def test_to_dict_leaves_the_record_as_it_is(self):
        record = LLMCallRecord(**CALL, run_id="r", metadata={"a": 1})
        record.to_dict()["metadata"]["b"] = 2
        assert record.metadata == {"a": 1}

    def test_a_line_is_one_line(self):
        assert b"\n" not in encode_call(LLMCallRecord(**CALL, error_message="a\nb\u2028c", metadata={"x\n": "\r\n"}))


class TestReadingCalls:
    @pytest.mark.parametrize("line", _old_lines("llm_calls"))
    def test_an_old_line_loads_and_gives_back_its_keys_and_values(self, line):
        again = LLMCallRecord.from_dict(line).to_dict()
        own = again["metadata"].pop("attune", {})
        assert again == line
        assert own in ({}, {"run_id": line["metadata"].get("run_id")})

    def test_the_callers_dictionary_is_left_as_it_was(self):
        line = {
            **CALL,
            "metadata": {"run_id": "r", "attune": {"trace_id": "t", "unknown": ["input_tokens"]}},
            "x": [1],
        }
        before = json.dumps(line)
        LLMCallRecord.from_dict(line)
        assert json.dumps(line) == before

    def test_unknown_fields_are_passed_over(self):
        assert LLMCallRecord.from_dict({**CALL, "brand_new": {"x": 1}, "": None}) == LLMCallRecord(**CALL)

    @pytest.mark.parametrize("field", [name for name, default in OLD_CALL.items() if default is not ...])
    def test_a_null_takes_the_default(self, field):
        assert LLMCallRecord.from_dict({**CALL, field: None}) == LLMCallRecord(**CALL)

    @pytest.mark.parametrize(
        ("field", "value", "read"),
        [
            ("input_tokens", "7", 0),
            ("input_tokens", 7.0, 7),
            ("input_tokens", math.nan, 0),
            ("input_tokens", [7], 0),
            ("input_tokens", 10**30, 0),
            ("latency_ms", 12.7, 12),
            ("latency_ms", math.inf, 0),
            ("latency_ms", -(10**30), 0),
            ("estimated_cost", 1, 1.0),
            ("estimated_cost", "0.5", 0.0),
            ("estimated_cost", True, 0.0),
            ("estimated_cost", math.nan, 0.0),
            ("estimated_cost", 10**400, 0.0),
            ("actual_cost", math.inf, None),
            ("success", "yes", True),
            ("success", 0, True),
            ("model_id", 5, "5"),
            ("model_id", {"name": "m"}, ""),
            ("provider", ["openai"], "anthropic"),
            ("user_id", 42, "42"),
            ("fallback_chain", "openai:cheap", []),
            ("fallback_chain", ["a:b", 1, None], ["a:b"]),
            ("metadata", "text", {}),
            ("metadata", [1], {}),
        ],
    )
    def test_an_odd_value_is_read_as_what_it_means_or_as_the_default(self, field, value, read):
        assert getattr(LLMCallRecord.from_dict({**CALL, field: value}), field) == read

    def test_a_value_whose_str_raises_is_passed_over(self):
        class Hostile:
            def __str__(self):
                raise RuntimeError("no")

            __repr__ = __str__

        assert LLMCallRecord.from_dict({**CALL, "user_id": Hostile(), "model_id": Hostile()}) == LLMCallRecord(**CALL)

    @pytest.mark.parametrize(
        "extra", ["text", [1], {"unknown": 5}, {"attempts": {"a": 1}, "content": ["x"], "pid": "x"}]
    )
    def test_odd_values_under_metadata_attune_are_passed_over(self, extra):
        assert LLMCallRecord.from_dict({**CALL, "metadata": {"attune": extra}}) == LLMCallRecord(**CALL)

    def test_metadata_attune_cannot_replace_a_published_field(self):
        line = {**CALL, "provider": "openai", "metadata": {"attune": {"provider": "evil", "call_id": "evil"}}}
        record = LLMCallRecord.from_dict(line)
        assert (record.provider, record.call_id) == ("openai", "c")

    @pytest.mark.slow
    @given(st.dictionaries(st.sampled_from(LLMCallRecord.__struct_fields__), ANYTHING))
    def test_whatever_a_line_holds_a_record_comes_out_that_can_be_written(self, fields):
        record = LLMCallRecord.from_dict({**fields, **CALL})
        assert json.loads(encode_call(record))["call_id"] == "c"

    @pytest.mark.parametrize(
        "data",
        [
            None,
            5,
            "text",
            [],
            [CALL],
            {},
            {"call_id": "c"},
            {**CALL, "call_id": ""},
            {**CALL, "call_id": 5},
            {**CALL, "timestamp": None},
            {**CALL, "timestamp": 17},
            {**CALL, "timestamp": "yesterday"},
            {**CALL, "timestamp": "2026-13-01T00:00:00Z"},
            {**CALL, "timestamp": ""},
        ],
    )
    def test_what_is_no_call_is_a_value_error_that_says_what_is_wrong(self, data):
        with pytest.raises(ValueError, match=r"LLM call record|not a time|[Ii]nvalid isoformat"):
            LLMCallRecord.from_dict(data)


class TestHostileMetadata:
    def test_a_circular_value_is_written_up_to_a_depth(self):
        circular: dict[str, Any] = {"a": 1}
        circular["self"] = circular
        record = LLMCallRecord(**CALL, metadata={"x": circular})
        assert json.loads(encode_call(record))["metadata"]["x"]["self"]["a"] == 1

    def test_a_circular_list_is_written_up_to_a_depth(self):
        circular: list[Any] = []
        circular.append(circular)
        assert json.loads(encode_line({"x": circular}))["x"][0][0] != []

    @pytest.mark.parametrize(
        ("value", "written"),
        [
            (math.nan, None),
            (-math.inf, None),
            (10**30, 10**30),
            pytest.param(10**5000, None, id="beyond what Python prints"),
            ("\ud800", "?"),
            ({1}, [1]),
            (datetime(2026, 1, 1, tzinfo=UTC), None),
            (b"\xff", None),
            ({5: "five"}, {"5": "five"}),
            ({None: 1}, None),
            (object, None),
        ],
    )
    def test_what_json_cannot_hold_is_written_as_near_as_it_can(self, value, written):
        found = json.loads(encode_call(LLMCallRecord(**CALL, metadata={"x": value}, pid=1)))["metadata"]["x"]
        assert written is None or found == written

    def test_a_value_whose_repr_and_str_raise_is_written_by_its_type(self):
        class Hostile:
            def __str__(self):
                raise RuntimeError("no")

            __repr__ = __str__

        assert json.loads(encode_line({"x": Hostile(), "y": 1})) == {"x": "<Hostile>", "y": 1}

    def test_a_mapping_whose_items_raise_does_not_lose_the_line(self):
        class Hostile(dict[str, Any]):
            def items(self):
                raise RuntimeError("no")

            def __iter__(self):
                raise RuntimeError("no")

        line = json.loads(encode_line({"x": Hostile(a=1), "bad": {1, "\ud800"}, "y": 1}))
        assert line["y"] == 1


class TestRunLines:
    @pytest.mark.slow
    @given(RUNS)
    def test_the_published_line_has_exactly_the_published_keys_in_their_order(self, record):
        line = record.to_dict()
        assert list(line) == list(OLD_RUN)
        for stage in line["stages"]:
            assert OLD_STAGE.keys() - {"input_tokens", "output_tokens", "cost"} <= stage.keys() <= OLD_STAGE.keys()

    @pytest.mark.slow
    @given(RUNS)
    def test_the_details_line_gives_back_its_record(self, record):
        assert WorkflowRunRecord.from_dict(json.loads(encode_line(record.to_details()))) == record

    def test_an_unknown_cost_of_a_stage_is_left_out_and_comes_back_as_unknown(self):
        record = WorkflowRunRecord(
            **RUN, stages=[WorkflowStageRecord("s", "cheap", "m", cost=None, output_tokens=None)]
        )
        assert record.to_dict()["stages"][0].keys() == OLD_STAGE.keys() - {"cost", "output_tokens"}
        assert WorkflowRunRecord.from_dict(json.loads(encode_line(record.to_details()))) == record

    @pytest.mark.parametrize("cost", [math.nan, math.inf])
    def test_a_stages_cost_that_json_cannot_hold_never_becomes_a_null(self, cost):
        stage = WorkflowStageRecord("s", "cheap", "m", cost=cost).to_dict()
        assert "cost" not in stage

    @pytest.mark.slow
    @given(RUNS)
    def test_the_details_line_adds_metadata_and_no_other_key(self, record):
        assert record.to_details().keys() - OLD_RUN.keys() == {"metadata"}

    @pytest.mark.parametrize("line", _old_lines("workflow_runs"))
    def test_an_old_line_loads_and_gives_back_its_keys_and_values(self, line):
        assert WorkflowRunRecord.from_dict(line).to_dict() == line

    def test_trigger_and_project_of_newer_old_files_are_read(self):
        record = WorkflowRunRecord.from_dict({**RUN, "trigger": "cli", "project": "web"})
        assert (record.trigger, record.project) == ("cli", "web")

    def test_the_callers_dictionary_is_left_as_it_was(self):
        stages = [{"stage_name": "s", "tier": "cheap", "model_id": "m"}]
        line = {
            **RUN,
            "stages": stages,
            "metadata": {"attune": {"stages": [{"call_count": 2}], "complete": False}},
        }
        before = json.dumps(line)
        assert WorkflowRunRecord.from_dict(line).stages[0].call_count == 2
        assert json.dumps(line) == before

    @pytest.mark.parametrize("stages", [None, 5, "x", {}, [5, None, "x"]])
    def test_stages_that_are_none_are_passed_over(self, stages):
        assert WorkflowRunRecord.from_dict({**RUN, "stages": stages}) == WorkflowRunRecord(**RUN)

    def test_a_stage_with_odd_values_is_read_as_far_as_it_goes(self):
        record = WorkflowRunRecord.from_dict(
            {**RUN, "stages": [{"stage_name": "s", "cost": "x", "latency_ms": [1], "new": 1}]}
        )
        assert record.stages == [WorkflowStageRecord("s", "unknown", "")]

    @pytest.mark.parametrize(
        "data",
        [
            None,
            [],
            {},
            {**RUN, "run_id": None},
            {**RUN, "workflow_name": None},
            {**RUN, "started_at": "soon"},
        ],
    )
    def test_what_is_no_run_is_a_value_error(self, data):
        with pytest.raises(ValueError, match=r"workflow run record|[Ii]nvalid isoformat"):
            WorkflowRunRecord.from_dict(data)


class TestTimes:
    @pytest.fixture
    def berlin(self, monkeypatch):
        monkeypatch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
        monkeypatch.undo()
        time.tzset()

    @pytest.mark.parametrize(
        ("text", "utc"),
        [
            ("2026-01-11T03:47:00.400225", "2026-01-11T02:47:00.400225Z"),
            ("2026-07-11T03:47:00", "2026-07-11T01:47:00.000000Z"),
            ("2026-01-11T03:47:00Z", "2026-01-11T03:47:00.000000Z"),
            ("2026-01-11T03:47:00.5Z", "2026-01-11T03:47:00.500000Z"),
            ("2026-01-11T03:47:00+05:30", "2026-01-10T22:17:00.000000Z"),
            ("2026-01-11", "2026-01-10T23:00:00.000000Z"),
        ],
    )
    @pytest.mark.usefixtures("berlin")
    def test_naive_means_local_and_an_offset_is_kept_to(self, text, utc):
        moment = parse_time(text)
        assert format_time(int(moment.timestamp()) * 10**9 + moment.microsecond * 1000) == utc

    @given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1)))
    def test_a_written_time_is_read_as_the_same_moment(self, moment):
        aware = moment.replace(tzinfo=UTC)
        nanoseconds = int(aware.timestamp()) * 10**9 + aware.microsecond * 1000
        assert parse_time(format_time(nanoseconds)) == aware

    @pytest.mark.parametrize(
        "text", ["", "soon", "2026-13-01T00:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
    )
    def test_what_is_no_time_is_a_value_error(self, text):
        with pytest.raises(ValueError, match=r"time|isoformat|month"):
            parse_time(text)

    @settings(max_examples=200)
    @given(st.text(max_size=30))
    def test_no_text_gives_another_error(self, text):
        try:
            assert parse_time(text).tzinfo is UTC
        except ValueError:
            pass
