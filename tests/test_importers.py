"""Importers: what each source gives, each record once however often and however it is imported."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from attune_monitoring import llm_call, stage, workflow
from attune_monitoring.cli.telemetry.import_ import command
from attune_monitoring.errors import SourceError, StoreError
from attune_monitoring.figures import CALL_SUMS, Figures, once
from attune_monitoring.importers import (
    KINDS,
    Source,
    Tally,
    discover,
    importer_of,
    recognise,
    run_import,
    traces,
)
from attune_monitoring.importers.reading import Reading
from attune_monitoring.mapping import Origin, SpanData, call_span
from attune_monitoring.pricing import Pricing
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, encode_call, parse_time
from attune_monitoring.store import CALLS, DETAILS, RUNS, segments
from attune_monitoring.testing import Captured
from harness import RunProgram
from otlp_json import export, line_of
from record_strategies import CALLS as CALL_RECORDS

DATA = Path(__file__).parent / "data"
SAMPLES = {
    "folder": DATA / "old",
    "usage": DATA / "imports" / "usage.jsonl",
    "otlp": DATA / "imports" / "otlp",
    "claude-code": DATA / "imports" / "claude",
}
slow = pytest.mark.slow
each_kind = pytest.mark.parametrize("kind", SAMPLES)
PRICES = Pricing()


def do_import(kind: str, source: Path, into: Path, **options: Any) -> Tally:
    return run_import(importer_of(kind, PRICES, into), source, into, **options)


def all_lines(folder: Path) -> dict[str, list[bytes]]:
    return {
        stream: sorted(line for one in segments(folder, stream) for line in one.path.read_bytes().split(b"\n") if line)
        for stream in (CALLS, RUNS, DETAILS)
    }


def calls_in(folder: Path) -> dict[str, LLMCallRecord]:
    found = [LLMCallRecord.from_dict(json.loads(line)) for line in all_lines(folder)[CALLS]]
    assert len({call.call_id for call in found}) == len(found)
    return {call.call_id: call for call in found}


def runs_in(folder: Path) -> list[WorkflowRunRecord]:
    return [WorkflowRunRecord.from_dict(json.loads(line)) for line in all_lines(folder)[DETAILS]]


def written(path: Path, *lines: bytes | dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join((one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in lines))
    return path


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "into"


# --- once, however often
class TestEachSource:
    @each_kind
    def test_is_recognised(self, kind):
        assert recognise(SAMPLES[kind]) == kind

    @each_kind
    def test_imported_again_adds_nothing(self, kind, into):
        first = do_import(kind, SAMPLES[kind], into)
        before = all_lines(into)
        again = do_import(kind, SAMPLES[kind], into)
        assert first.new.total() > 0
        assert (again.new.total(), again.found, again.cost) == (0, first.found, 0.0)
        assert all_lines(into) == before

    @each_kind
    def test_copied_elsewhere_counts_once(self, kind, into, tmp_path):
        do_import(kind, SAMPLES[kind], into)
        copy = tmp_path / "copy" / SAMPLES[kind].name
        copy.parent.mkdir()
        (shutil.copytree if SAMPLES[kind].is_dir() else shutil.copy)(SAMPLES[kind], copy)
        assert do_import(kind, copy, into).new.total() == 0

    @each_kind
    def test_on_a_dry_run_is_counted_and_nothing_is_written(self, kind, into):
        dry = do_import(kind, SAMPLES[kind], into, dry_run=True)
        assert not into.exists()
        wet = do_import(kind, SAMPLES[kind], into)
        assert (dry.found, dry.new, dry.cost) == (wet.found, wet.new, wet.cost)

    @each_kind
    def test_adds_what_is_missing_where_a_line_of_it_was_torn(self, kind, into):
        do_import(kind, SAMPLES[kind], into)
        whole = all_lines(into)
        [segment] = segments(into, CALLS)
        os.truncate(segment.path, segment.path.stat().st_size - 20)
        assert do_import(kind, SAMPLES[kind], into).new.total() == 1
        torn = all_lines(into)
        assert [line for line in torn[CALLS] if _is_json(line)] == whole[CALLS]

    @each_kind
    def test_adds_what_its_calls_cost(self, kind, into):
        tally = do_import(kind, SAMPLES[kind], into)
        records = [LLMCallRecord.from_dict(json.loads(line)) for line in _in_order(into, CALLS)]
        figures = Figures()
        for record in once(records):
            figures.add(record)
        assert tally.cost == pytest.approx(figures.cost)
        assert tally.unknown_cost == figures.unknown

    @each_kind
    def test_leaves_the_shared_segments_to_those_who_write_now(self, kind, into):
        do_import(kind, SAMPLES[kind], into)
        assert {one.slot for stream in (CALLS, RUNS, DETAILS) for one in segments(into, stream)} == {0}


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _in_order(folder: Path, stream: str) -> list[bytes]:
    return [line for one in segments(folder, stream) for line in one.path.read_bytes().split(b"\n") if line]


KILLED = """
    import os, sys
    from pathlib import Path
    from attune_monitoring.importers import importer_of, run_import
    from attune_monitoring.pricing import Pricing

    kind, source, into, calls = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])

    def progress(done, total):
        global calls
        calls -= 1
        if calls < 0:
            os._exit(7)

    run_import(importer_of(kind, Pricing(), into), source, into, progress=progress)
"""


def _many(kind: str, path: Path) -> Path:
    """A source of its kind that is long enough to be killed in the middle."""
    pad = "x" * 2000
    if kind == "folder":
        lines = [encode_call(_call(f"c{n % 300}", metadata={"pad": pad})) for n in range(600)]
        return written(path / "llm_calls.jsonl", *lines).parent
    if kind == "usage":
        return written(path / "usage.jsonl", *[_usage(n, workflow=f"w{n}", pad=pad) for n in range(600)])
    if kind == "otlp":
        spans = [_span(n, trace=f"{n // 4 + 1:032x}", attributes={"pad": pad}) for n in range(1, 600)]
        return written(path / "traces.jsonl", *[line_of(span).strip() for span in spans])
    for file in range(4):
        written(path / f"s{file}.jsonl", *[_answer(f"msg_{file}_{n}", pad=pad) for n in range(150)])
    return path


@slow
@each_kind
@pytest.mark.parametrize("calls", [0, 2])
def test_an_import_that_was_killed_goes_on_to_the_same_records(kind, calls, into, tmp_path, run_program: RunProgram):
    source = _many(kind, tmp_path / "source")
    do_import(kind, source, tmp_path / "whole")
    run_program(KILLED, kind, source, into, calls, status=7)
    run_program(KILLED, kind, source, into, 1_000_000)
    assert all_lines(into) == all_lines(tmp_path / "whole")


@slow
def test_an_import_is_killed_with_some_records_written_and_some_not(into, tmp_path, run_program: RunProgram):
    source = _many("folder", tmp_path / "source")
    run_program(KILLED, "folder", source, into, 2, status=7)
    assert 0 < len(all_lines(into)[CALLS]) < 600


@slow
@each_kind
@given(data=st.data())
def test_damaged_bytes_anywhere_end_nothing(kind, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp(kind)
    sample = SAMPLES[kind]
    [file, *_] = [sample] if sample.is_file() else sorted(one for one in sample.rglob("*") if one.is_file())
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(content)))
        content[start : start + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=8) | _TOKENS)
    source = folder / file.name
    source.write_bytes(content)
    first = do_import(kind, source, folder / "into")
    again = do_import(kind, source, folder / "into")
    assert (again.found, again.new.total()) == (first.found, 0)


_TOKENS = st.sampled_from(
    [b"null", b"-1", b"1e999", b"9" * 30, b"{}", b"[]", b'""', b"\n", b'"', b"}", b"\\ud800", b"true"]
)


# --- folders
def _call(call_id: str, **fields: Any) -> LLMCallRecord:
    return LLMCallRecord(call_id, "2026-01-08T09:15:02.118204", **fields)


class TestFolder:
    def test_lines_go_over_byte_for_byte(self, into):
        do_import("folder", SAMPLES["folder"], into)
        assert all_lines(into) == all_lines(SAMPLES["folder"])

    def test_gives_the_figures_that_reading_it_directly_gives(self, into):
        do_import("folder", SAMPLES["folder"], into)
        assert _sums(into) == _sums(SAMPLES["folder"])

    def test_two_equal_lines_are_two_records_and_stay_two(self, into, tmp_path):
        line = encode_call(_call("same"))
        source = written(tmp_path / "old" / "llm_calls.jsonl", line, line).parent
        assert [do_import("folder", source, into).new.total() for _ in range(2)] == [2, 0]

    def test_a_line_more_of_a_kind_that_is_there_is_added(self, into, tmp_path):
        line = encode_call(_call("same"))
        source = written(tmp_path / "old" / "llm_calls.jsonl", line).parent
        do_import("folder", source, into)
        written(source / "llm_calls.jsonl", line, line)
        assert do_import("folder", source, into).new.total() == 1

    def test_all_segments_of_all_streams_and_slots_are_read(self, into, tmp_path):
        do_import("otlp", SAMPLES["otlp"], tmp_path / "ours", segment_bytes=100)
        tally = do_import("folder", tmp_path / "ours", into)
        assert dict(tally.new) == {CALLS: 2, DETAILS: 1, RUNS: 1}

    def test_lines_that_are_no_records_stay_behind_and_are_reported(self, into, tmp_path):
        good = encode_call(_call("good"))
        source = written(tmp_path / "old" / "llm_calls.jsonl", b"{torn", good, b"[1]", b'{"call_id": 5}').parent
        tally = do_import("folder", source, into)
        assert all_lines(into)[CALLS] == [good]
        assert tally.report.total == 3

    def test_a_last_line_without_a_newline_is_a_record(self, into, tmp_path):
        source = tmp_path / "old" / "llm_calls.jsonl"
        source.parent.mkdir()
        source.write_bytes(encode_call(_call("last")))
        assert do_import("folder", source.parent, into).new.total() == 1

    def test_a_file_under_another_name_is_read_line_by_line(self, into, tmp_path):
        lines = [line for lines in all_lines(SAMPLES["folder"]).values() for line in lines]
        tally = do_import("folder", written(tmp_path / "backup.txt", *lines), into)
        assert tally.found == {CALLS: 5, RUNS: 2}

    @pytest.mark.parametrize("name", ["", "llm_calls.jsonl"])
    def test_the_folder_that_is_imported_into_is_no_source(self, into, name):
        do_import("folder", SAMPLES["folder"], into)
        written(into / "llm_calls.jsonl", encode_call(_call("one")))
        with pytest.raises(SourceError, match="this is the folder that is imported into"):
            do_import("folder", into / name, into)

    def test_a_folder_without_records_says_what_is_missing(self, into, tmp_path):
        with pytest.raises(SourceError, match=r"no llm_calls\.jsonl"):
            do_import("folder", tmp_path, into)


def _sums(folder: Path) -> dict[str, float]:
    records = [LLMCallRecord.from_dict(json.loads(line)) for line in _in_order(folder, CALLS)]
    figures = Figures()
    for record in once(records):
        figures.add(record)
    runs = [WorkflowRunRecord.from_dict(json.loads(line)) for line in _in_order(folder, RUNS)]
    return {
        **{name: getattr(figures, name) for name in CALL_SUMS},
        "latency": figures.latency.total,
        "run cost": sum(run.total_cost for run in runs),
    }


# --- the usage tracker
def _usage(n: int, **fields: Any) -> dict[str, Any]:
    return {
        "v": "1.0",
        "ts": f"2026-01-08T09:{n // 60 % 60:02}:{n % 60:02}.{n:06}Z",
        "workflow": "review",
        "tier": "CHEAP",
        "model": "claude-haiku-4-5",
        "provider": "anthropic",
        "cost": 0.01,
        "tokens": {"input": n, "output": 1},
        "cache": {"hit": False},
        "duration_ms": 5,
        "user_id": "abc",
        **fields,
    }


class TestUsage:
    def import_one(self, into: Path, *entries: bytes | dict[str, Any]) -> tuple[list[LLMCallRecord], Tally]:
        source = written(into.parent / "usage.jsonl", *entries)
        tally = do_import("usage", source, into)
        return (list(calls_in(into).values()) if tally.new else []), tally

    def test_an_entry_becomes_a_call_with_its_figures(self, into):
        [call], _ = self.import_one(into, _usage(7, stage="scan", cost=0.25, duration_ms=1200))
        assert (call.workflow_name, call.step_name, call.provider, call.tier) == (
            "review",
            "scan",
            "anthropic",
            "cheap",
        )
        assert (call.model_id, call.input_tokens, call.output_tokens) == ("claude-haiku-4-5", 7, 1)
        assert (call.cost, call.cost_source, call.latency_ms) == (0.25, "caller", 1200)
        assert (call.timestamp, call.scope) == ("2026-01-08T09:00:07.000007Z", "attune.import.usage")

    def test_the_hash_of_no_user_is_no_user(self, into):
        assert do_import("usage", SAMPLES["usage"], into).new.total() == 4
        assert {call.user_id for call in calls_in(into).values()} == {None, "6b3a55e0261b0304"}

    def test_cached_input_tokens_are_part_of_the_input(self, into):
        [call], _ = self.import_one(
            into, _usage(10, prompt_cache={"hit": True, "creation_tokens": 5, "read_tokens": 900})
        )
        assert (call.input_tokens, call.cache_read_tokens, call.cache_write_tokens) == (915, 900, 5)

    def test_an_answer_from_the_frameworks_own_cache_is_no_call(self, into):
        calls, tally = self.import_one(into, _usage(1, cache={"hit": True, "type": "hash"}))
        assert calls == []
        assert tally.report.total == 1

    def test_a_stage_of_one_call_is_not_a_second_call(self, into):
        entry = _usage(1, ts="2026-01-08T09:00:00.100000Z")
        calls, _ = self.import_one(into, entry, {**entry, "ts": "2026-01-08T09:00:00.103000Z", "duration_ms": 6})
        assert len(calls) == 1

    def test_the_same_figures_a_while_later_are_another_call(self, into):
        entry = _usage(1, ts="2026-01-08T09:00:00.100000Z")
        calls, _ = self.import_one(into, entry, {**entry, "ts": "2026-01-08T09:00:09.100000Z"})
        assert len(calls) == 2

    def test_an_entry_without_a_cost_is_priced_at_its_time(self, into):
        [call], _ = self.import_one(into, _usage(1000, cost=None))
        expected = PRICES.cost("anthropic", "claude-haiku-4-5", input_tokens=1000, output_tokens=1, at=1767863800.0)
        assert expected is not None
        assert (call.cost, call.cost_source) == (pytest.approx(expected.total), "table")

    def test_without_cost_and_price_the_cost_is_unknown(self, into):
        [call], tally = self.import_one(into, _usage(1, cost=None, model="home-grown", provider="own"))
        assert (call.cost, call.cost_source, tally.unknown_cost) == (None, "unknown", 1)

    @pytest.mark.parametrize(
        "fields",
        [
            {"tokens": [1]}, {"tokens": {"input": -1, "output": "many"}}, {"cost": "free"}, {"cache": 5},
            {"user_id": {}}, {"workflow": 7}, {"duration_ms": 1e400}, {"tier": None}, {"provider": []},
            {"prompt_cache": "yes"},
        ],
    )  # fmt: skip
    def test_values_of_other_types_are_passed_over(self, into, fields):
        text = json.dumps(_usage(1, **fields)).replace("Infinity", "1e400").encode()
        calls, tally = self.import_one(into, text)
        assert len(calls) + tally.report.total == 1

    def test_rotated_files_come_along(self, into, tmp_path):
        written(tmp_path / "t" / "usage.2026-01-01.jsonl", _usage(1))
        written(tmp_path / "t" / "usage.jsonl", _usage(2))
        assert do_import("usage", tmp_path / "t", into).files == 2


# --- Claude Code
def _answer(identity: str | None, *, usage: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    message = {
        "id": identity,
        "model": "claude-haiku-4-5-20251001",
        "role": "assistant",
        "type": "message",
        "stop_reason": "end_turn",
        "content": [],
        "usage": {"input_tokens": 10, "output_tokens": 5, **(usage or {})},
    }
    line = {"type": "assistant", "timestamp": "2026-03-01T10:00:02.000Z", "sessionId": "s", "message": message}
    return {**line, **fields, "message": {**message, **fields.get("message", {})}}


class TestClaudeCode:
    @pytest.fixture
    def calls(self, into, tmp_path):
        source = shutil.copytree(SAMPLES["claude-code"], tmp_path / "projects")
        for place, file in enumerate(sorted(source.rglob("*.jsonl"), key=lambda one: one.stem)):
            os.utime(file, (place, place))
        do_import("claude-code", source, into)
        return calls_in(into)

    def test_every_answer_is_one_call_whatever_the_number_of_its_lines(self, calls):
        assert calls.keys() == {"msg_01A", "msg_01B", "msg_01C", "msg_01O", "msg_01S"}

    def test_an_answer_has_the_usage_of_its_last_line(self, calls):
        call = calls["msg_01A"]
        assert (call.output_tokens, call.tool_calls, call.finish_reasons) == (159, 1, ["tool_use"])

    def test_cached_tokens_are_part_of_the_input(self, calls):
        call = calls["msg_01A"]
        assert call.input_tokens == 3 + 9000 + 5000
        assert (call.cache_read_tokens, call.cache_write_tokens, call.cache_write_1h_tokens) == (9000, 5000, 4000)

    def test_an_answer_is_priced_with_its_caches_and_searches(self, calls):
        # claude-opus-4-5: 5 and 25 USD for a million tokens, 0.5 read, 6.25 and 10 written, 10 USD for 1000 searches
        assert calls["msg_01A"].cost == pytest.approx((3 * 5 + 9000 * 0.5 + 1000 * 6.25 + 4000 * 10 + 159 * 25) / 1e6)
        assert calls["msg_01B"].cost == pytest.approx((12 * 5 + 14000 * 0.5 + 40 * 25) / 1e6 + 0.02)

    def test_an_answer_took_from_the_line_that_it_answers_to_its_last_line(self, calls):
        assert calls["msg_01A"].latency_ms == 4500
        assert calls["msg_01A"].timestamp == "2026-03-01T10:00:04.500000Z"

    def test_a_subagents_answer_is_a_call_too(self, calls):
        assert (calls["msg_01S"].step_name, calls["msg_01S"].metadata["agentId"]) == ("subagent", "a17")

    def test_where_it_was_made_is_known(self, calls):
        call = calls["msg_01A"]
        assert (call.workflow_name, call.project, call.user_id) == ("claude-code", "shop", None)
        assert (call.session_id, call.scope_version) == ("5f0c1b5e-0000-4000-8000-000000000001", "2.1.63")

    def test_what_a_resumed_session_repeats_belongs_to_the_first(self, calls):
        assert calls["msg_01B"].session_id == "5f0c1b5e-0000-4000-8000-000000000001"

    def test_a_cost_that_an_old_version_reported_stands(self, calls):
        call = calls["msg_01O"]
        assert (call.actual_cost, call.cost_source, call.latency_ms) == (0.0123, "reported", 4321)
        assert call.project == "old shop"

    def test_nothing_that_was_said_is_kept(self, calls, into):
        assert b"left out" not in b"".join(all_lines(into)[CALLS])

    def import_one(self, into: Path, *lines: bytes | dict[str, Any]) -> Tally:
        return do_import("claude-code", written(into.parent / "projects" / "s.jsonl", *lines).parent, into)

    def test_an_answer_that_is_still_being_written_waits_for_the_next_time(self, into):
        half = _answer("msg_1", message={"stop_reason": None})
        assert self.import_one(into, half).new.total() == 0
        assert self.import_one(into, half, _answer("msg_1", usage={"output_tokens": 99})).new.total() == 1
        assert calls_in(into)["msg_1"].output_tokens == 99

    def test_an_answer_that_nobody_finishes_any_more_counts(self, into, tmp_path):
        source = written(tmp_path / "s.jsonl", _answer("msg_1", message={"stop_reason": None}))
        old = time.time() - 3600
        os.utime(source, (old, old))
        assert do_import("claude-code", source, into).new.total() == 1

    def test_an_answer_without_an_id_is_known_by_its_line(self, into):
        lines = [_answer(None, uuid="a"), _answer(None, uuid="b")]
        assert self.import_one(into, *lines).new.total() == 2
        assert self.import_one(into, *lines).new.total() == 0

    @pytest.mark.parametrize(
        "line",
        [
            b"\x00\xff", b"[]", b'"assistant"', b'{"type":"assistant"}', b"[" * 100_000,
            json.dumps(_answer("m", timestamp=5)).encode(), json.dumps(_answer("m", message={"usage": 7})).encode(),
            json.dumps(_answer("m", message={"content": 7, "model": [], "id": {}})).encode(),
            json.dumps(_answer("m", usage={"output_tokens": "x"})).encode(),
            json.dumps(_answer("m", usage={"iterations": [3], "cache_creation": [], "server_tool_use": 1})).encode(),
        ],
    )  # fmt: skip
    def test_lines_of_other_shapes_end_nothing(self, into, line):
        tally = self.import_one(into, line, _answer("good"))
        assert "good" in calls_in(into)
        assert tally.report.total + tally.new.total() == 2


# --- OTLP
def _span(key: int, *, parent: int = 0, trace: str = "a" * 32, attributes: dict[str, Any] | None = None) -> SpanData:
    start = 1_772_359_200_000_000_000 + key * 1_000_000
    return SpanData(
        name="chat",
        attributes={
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
            **(attributes or {}),
        },
        start_ns=start,
        end_ns=start + 500_000_000,
        trace_id=trace,
        span_id=f"{key:016x}",
        parent_span_id=f"{parent:016x}" if parent else None,
        scope="someone.else",
        scope_version="1",
    )


_HEX = st.text("0123456789abcdef", min_size=16, max_size=16).filter(lambda text: text.strip("0"))
_PROVENANCE = {"host", "pid", "service", "dialect", "scope", "scope_version"}


class TestOtlp:
    def import_lines(self, into: Path, *lines: bytes) -> Tally:
        return do_import("otlp", written(into.parent / "otlp" / "traces.jsonl", *lines), into)

    def test_spans_of_another_library_become_calls_with_their_cost(self, into):
        do_import("otlp", SAMPLES["otlp"], into)
        call = calls_in(into)["0000000000000004"]
        assert (call.provider, call.model_id, call.dialect) == ("openai", "gpt-4o-mini-2024-07-18", "openllmetry")
        assert (call.input_tokens, call.output_tokens, call.cost_source) == (1000, 200, "table")
        assert call.cost == pytest.approx((1000 * 0.15 + 200 * 0.6) / 1e6)

    def test_a_failed_span_is_a_failed_call_with_the_exception_of_its_event(self, into):
        do_import("otlp", SAMPLES["otlp"], into)
        call = calls_in(into)["0000000000000005"]
        assert (call.success, call.error_type, call.error_message) == (False, "openai.RateLimitError", "rate limited")

    def test_the_resource_says_which_process_it_was(self, into):
        do_import("otlp", SAMPLES["otlp"], into)
        call = calls_in(into)["0000000000000004"]
        assert (call.service, call.host, call.pid, call.under_pytest) == ("shop", "web-1", 4711, False)

    def test_a_run_is_put_together_from_batches_in_any_order(self, into):
        do_import("otlp", SAMPLES["otlp"], into)
        [run] = runs_in(into)
        assert (run.workflow_name, run.call_count, run.failed_calls) == ("support", 2, 1)
        assert [(one.stage_name, one.input_tokens) for one in run.stages] == [("answer", 1000)]
        assert {call.run_id for call in calls_in(into).values()} == {run.run_id}

    def test_metrics_and_logs_are_passed_over_and_counted(self, into):
        report = do_import("otlp", SAMPLES["otlp"], into).report
        assert {"metrics, not spans": 1, "logs, not spans": 1}.items() <= report.skipped.items()

    def test_what_our_own_spans_say_is_what_was_recorded_when_they_ended(self, into, attune_capture: Captured):
        with workflow("outer"), stage("one"):
            with workflow("inner"), stage("two", tier="cheap"), llm_call(provider="openai", model="gpt-4o") as call:
                call.set_usage(input_tokens=100, output_tokens=10, cache_read_tokens=50)
            with pytest.raises(TimeoutError), llm_call(provider="anthropic", model="claude-haiku-4-5"):
                raise TimeoutError("late")
        lines = [json.dumps(export([span])).encode() for span in attune_capture.spans]
        self.import_lines(into, *lines)
        found = {run.run_id: _figures(run) for run in runs_in(into)}
        assert found == {run.run_id: _figures(run) for run in attune_capture.runs}
        assert {key: _figures(call) for key, call in calls_in(into).items()} == {
            call.call_id: _figures(call) for call in attune_capture.calls
        }

    def test_one_export_and_one_line_for_each_span_give_the_same(self, into, tmp_path, attune_capture: Captured):
        with workflow("one"), llm_call(provider="openai", model="gpt-4o") as call:
            call.set_usage(input_tokens=1, output_tokens=1)
        whole = json.dumps(export(attune_capture.spans), indent=2).encode()
        do_import("otlp", written(tmp_path / "whole.json", whole), into)
        each = [json.dumps(export([span])).encode() for span in reversed(attune_capture.spans)]
        do_import("otlp", written(tmp_path / "each.jsonl", *each), tmp_path / "second")
        assert all_lines(into) == all_lines(tmp_path / "second")

    @given(record=CALL_RECORDS, trace=_HEX, span=_HEX)
    @slow
    def test_a_record_comes_back_from_its_span_with_all_that_it_said(self, record, trace, span, tmp_path_factory):
        parent = None if record.parent_span_id is None else "0" * 15 + "1"
        record = msgspec.structs.replace(record, trace_id=trace * 2, span_id=span, parent_span_id=parent, content={})
        folder = tmp_path_factory.mktemp("otlp")
        source = written(folder / "traces.jsonl", line_of(call_span(record)).strip())
        do_import("otlp", source, folder / "into")
        [back] = calls_in(folder / "into").values()
        there = parse_time(back.timestamp)
        assert there == parse_time(record.timestamp)
        assert _comparable(back) == _comparable(LLMCallRecord.from_dict(record.to_dict()))

    def test_spans_that_the_local_folder_has_recorded_are_known(self, into):
        span = _span(1)
        here = LLMCallRecord(span.span_id, "2026-03-01T10:00:00Z", trace_id=span.trace_id, span_id=span.span_id)
        written(into / "llm_calls.jsonl", encode_call(here))
        assert self.import_lines(into, line_of(span).strip()).new.total() == 0

    def test_the_same_span_id_in_another_trace_is_another_call(self, into):
        assert self.import_lines(into, line_of(_span(1)).strip(), line_of(_span(1, trace="b" * 32)).strip()).new == {
            CALLS: 2
        }

    def test_a_file_with_gz_at_the_end_of_its_name_is_unpacked(self, into, tmp_path):
        source = tmp_path / "traces.jsonl.gz"
        source.write_bytes(gzip.compress(line_of(_span(1)) + line_of(_span(2))))
        assert recognise(source) == "otlp"
        assert do_import("otlp", source, into).new.total() == 2

    def test_of_a_damaged_gzip_file_what_can_be_read_counts(self, into, tmp_path):
        source = tmp_path / "traces.jsonl.gz"
        packed = gzip.compress(
            b"".join(line_of(_span(n, attributes={"n": os.urandom(500).hex()})) for n in range(1, 99))
        )
        source.write_bytes(packed[: len(packed) // 2])
        tally = do_import("otlp", source, into)
        assert 0 < tally.new.total() < 98
        assert tally.report.total >= 1

    def test_the_consoles_output_of_the_sdk_is_read_too(self, into, tmp_path, attune_capture: Captured):
        with workflow("one"), llm_call(provider="openai", model="gpt-4o") as call:
            call.set_usage(input_tokens=7, output_tokens=1)
        source = written(tmp_path / "console.json", *[span.to_json().encode() for span in attune_capture.spans])
        assert recognise(source) == "otlp"
        do_import("otlp", source, into)
        assert [(run.workflow_name, run.total_input_tokens) for run in runs_in(into)] == [("one", 7)]
        assert [call.call_id for call in calls_in(into).values()] == [call.call_id for call in attune_capture.calls]

    def test_prompts_of_other_libraries_are_not_kept(self, into):
        attributes = {"gen_ai.input.messages": "secret question", "gen_ai.prompt.0.content": "secret question"}
        self.import_lines(into, line_of(_span(1, attributes=attributes)).strip())
        assert b"secret" not in b"".join(all_lines(into)[CALLS])

    def test_a_run_whose_own_span_is_not_there_yet_comes_with_it(self, into, attune_capture: Captured):
        with workflow("late"), llm_call(provider="openai", model="gpt-4o") as call:
            call.set_usage(input_tokens=5, output_tokens=1)
        *inner, root = [json.dumps(export([span])).encode() for span in attune_capture.spans]
        assert self.import_lines(into, *inner).new == {CALLS: 1}
        assert self.import_lines(into, *inner, root).new == {DETAILS: 1, RUNS: 1}
        assert [run.total_input_tokens for run in runs_in(into)] == [5]

    @pytest.mark.parametrize("limit", [{"waiting": 3}, {"together": 3}])
    @pytest.mark.parametrize("of_one_trace", [True, False])
    def test_spans_beyond_what_is_held_lose_no_call(self, limit, of_one_trace):
        held = traces.Traces(PRICES, pytest.fail, **limit)
        found = []
        for n in range(1, 20):
            found += held.add(_span(n, trace="a" * 32 if of_one_trace else f"{n:032x}"), Origin())
        assert len([*found, *held.finish()]) == 19

    def test_of_two_waiting_traces_the_one_that_still_grows_is_kept(self):
        held = traces.Traces(PRICES, pytest.fail, waiting=2)
        assert list(held.add(_span(1, trace="a" * 32), Origin())) == []
        assert list(held.add(_span(2, trace="b" * 32), Origin())) == []
        [found] = held.add(_span(3, trace="a" * 32), Origin())
        assert found.call is not None
        assert found.call.trace_id == "b" * 32

    def test_spans_that_are_their_own_ancestors_end_nothing(self, into):
        circle = [
            _span(1, parent=2, attributes={"gen_ai.operation.name": "other"}),
            _span(2, parent=1),
            _span(3, parent=3),
        ]
        tally = self.import_lines(into, *[line_of(span).strip() for span in circle])
        assert tally.new[CALLS] == 2

    @pytest.mark.parametrize(
        "change",
        [
            {"traceId": ""}, {"spanId": "xyz"}, {"spanId": 7}, {"endTimeUnixNano": "9" * 30}, {"endTimeUnixNano": None},
            {"startTimeUnixNano": "-5"}, {"endTimeUnixNano": str(10**21)},
        ],
    )  # fmt: skip
    def test_a_span_without_ids_or_times_is_reported(self, into, change):
        request = json.loads(line_of(_span(1)))
        request["resourceSpans"][0]["scopeSpans"][0]["spans"][0].update(change)
        tally = self.import_lines(into, json.dumps(request).encode(), line_of(_span(2)).strip())
        assert (tally.new.total(), tally.report.total) == (1, 1)

    @pytest.mark.parametrize(
        "attributes",
        [
            {"gen_ai.usage.input_tokens": "many"}, {"attune.record": "{"}, {"attune.record": '{"timestamp": "never"}'},
            {"gen_ai.usage.cost": "x"}, {"attune.metadata": "[]"}, {"attune.attempts": "7"}, {"attune.run.id": 5},
            {"gen_ai.response.finish_reasons": 5}, {"gen_ai.workflow.name": [1, 2]}, {"attune.cancelled": "maybe"},
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("scope", ["attune_monitoring", "someone.else"])
    def test_attributes_of_other_types_end_nothing(self, into, attributes, scope):
        span = _span(1, attributes=attributes)
        span.scope = scope
        tally = self.import_lines(into, line_of(span).strip(), line_of(_span(2, trace="b" * 32)).strip())
        assert f"{2:016x}" in calls_in(into)
        assert tally.new.total() + tally.report.total >= 2

    def test_a_handed_in_run_that_is_no_record_is_reported(self, into):
        attributes = {"gen_ai.operation.name": "invoke_workflow", "attune.record": "{}"}
        tally = self.import_lines(into, line_of(_span(1, attributes=attributes)).strip())
        assert (tally.new.total(), tally.report.total) == (0, 1)

    def test_a_call_without_a_readable_time_is_reported(self, into):
        span = _span(1, attributes={"attune.record": '{"timestamp": "never"}'})
        span.scope = "attune_monitoring"
        tally = self.import_lines(into, line_of(span).strip(), line_of(_span(2)).strip())
        assert (tally.new.total(), tally.report.total) == (1, 1)

    def test_values_of_every_kind_are_read(self, into):
        request = json.loads(line_of(_span(1)))
        request["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"] += [
            {"key": "gen_ai.response.finish_reasons", "value": {"arrayValue": {"values": [{"stringValue": "stop"}]}}},
            {"key": "gen_ai.conversation.id", "value": {"string_value": "c1"}},
            {"key": "gen_ai.usage.cost", "value": {"doubleValue": 0.5}},
            {"key": "a", "value": {"kvlistValue": {"values": [{"key": "b", "value": {"arrayValue": {}}}]}}},
            {"key": "gen_ai.usage.reasoning_tokens", "value": {"intValue": 3}},
        ]
        self.import_lines(into, json.dumps(request).encode())
        [call] = calls_in(into).values()
        assert (call.finish_reasons, call.session_id, call.cost, call.reasoning_tokens) == (["stop"], "c1", 0.5, 3)


def _figures(record: LLMCallRecord | WorkflowRunRecord) -> dict[str, Any]:
    own = json.loads(json.dumps(msgspec.to_builtins(record)))
    return {key: value for key, value in own.items() if key not in {"host", "pid", "service", "under_pytest"}}


def _comparable(record: LLMCallRecord) -> dict[str, Any]:
    values = msgspec.structs.asdict(record)
    return {key: value for key, value in values.items() if key not in _PROVENANCE and key != "timestamp"}


# --- reading
class TestReading:
    def test_a_line_beyond_the_limit_is_passed_over_and_the_next_is_read(self, tmp_path):
        file = written(tmp_path / "x.jsonl", b"x" * 5000, b"next")
        reading = Reading()
        assert list(reading.lines(file, limit=100)) == [b"next"]
        assert reading.report.total == 1

    def test_json_over_several_lines_and_one_a_line_may_be_mixed(self, tmp_path):
        file = written(tmp_path / "x", b'{"a": 1}', b"{", b' "a": "}{"', b"}", b"[1,", b"2]", b'{"a": 3}')
        assert list(Reading().values(file, lambda _: False)) == [{"a": 1}, {"a": "}{"}, [1, 2], {"a": 3}]

    def test_a_torn_value_ends_where_the_next_begins(self, tmp_path):
        file = written(tmp_path / "x", b'{"a": [1, "torn', b'{"a": 2}', b"{", b'"a": 3', b"}")
        reading = Reading()
        assert list(reading.values(file, lambda value: "a" in value)) == [{"a": 2}, {"a": 3}]
        assert [one.offset for one in reading.report.samples["not JSON"]] == [0]

    def test_a_value_that_never_ends_is_reported(self, tmp_path):
        reading = Reading()
        assert list(reading.values(written(tmp_path / "x", b"{", b'"a":'), lambda _: False)) == []
        assert reading.report.total == 1

    def test_a_string_of_escapes_alone_takes_no_time(self, tmp_path):
        file = written(tmp_path / "x", b'{"a": ' + b'\\"' * 2_000_000)
        assert list(Reading().values(file, lambda _: False)) == []

    def test_a_pipe_is_no_file(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        reading = Reading()
        assert list(reading.lines(tmp_path / "pipe")) == []
        assert reading.report.total == 1

    def test_progress_rises_and_knows_how_much_there_is(self, into, tmp_path):
        seen: list[tuple[int, int]] = []
        source = _many("folder", tmp_path / "source")
        do_import("folder", source, into, progress=lambda done, total: seen.append((done, total)))
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)
        assert {total for _, total in seen} == {(source / "llm_calls.jsonl").stat().st_size}


# --- finding sources
class TestSources:
    def test_what_lies_where_programs_keep_it_is_found(self, tmp_path, into):
        home = tmp_path / "home"
        shutil.copytree(SAMPLES["claude-code"], home / ".claude" / "projects")
        written(home / ".empathy" / "telemetry" / "usage.jsonl", _usage(1))
        assert discover({"HOME": str(home)}, PRICES, into) == [
            Source("claude-code", home / ".claude" / "projects"),
            Source("usage", home / ".empathy" / "telemetry"),
        ]

    def test_the_folder_that_claude_code_was_told_to_use_is_found_instead(self, tmp_path, into):
        shutil.copytree(SAMPLES["claude-code"], tmp_path / "mine" / "projects")
        env = {"HOME": str(tmp_path), "CLAUDE_CONFIG_DIR": f"{tmp_path / 'none'}, {tmp_path / 'mine'}"}
        assert discover(env, PRICES, into) == [Source("claude-code", tmp_path / "mine" / "projects")]

    def test_an_empty_home_has_nothing(self, tmp_path, into):
        assert discover({"HOME": str(tmp_path)}, PRICES, into) == []

    def test_a_project_names_the_folder_that_was_meant(self, tmp_path):
        written(tmp_path / ".empathy" / "llm_calls.jsonl", encode_call(_call("one")))
        with pytest.raises(SourceError, match=r"did you mean .*\.empathy\?"):
            recognise(tmp_path)

    def test_a_file_is_recognised_behind_lines_that_say_nothing(self, tmp_path):
        lines = [{"type": "summary", "summary": "x", "leafUuid": "y"}, _answer("msg_1")]
        assert recognise(written(tmp_path / "projects" / "p" / "s.jsonl", *lines).parent.parent) == "claude-code"

    def test_indented_json_is_recognised(self, tmp_path):
        (tmp_path / "traces.json").write_text(json.dumps(json.loads(line_of(_span(1))), indent=2))
        assert recognise(tmp_path) == "otlp"

    @pytest.mark.parametrize("content", [b"", b"hello\n", b"{}\n", b"[" * 50_000 + b"\n", b"\xff\xfe\n"])
    def test_a_file_of_another_kind_is_not_recognised(self, tmp_path, content):
        (tmp_path / "x.jsonl").write_bytes(content)
        with pytest.raises(SourceError, match="--from"):
            recognise(tmp_path / "x.jsonl")

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "folder"])
    def test_a_folder_without_files_of_a_kind_is_an_error(self, kind, tmp_path, into):
        with pytest.raises(SourceError, match=str(tmp_path)):
            do_import(kind, tmp_path, into)


def test_a_folder_that_cannot_be_written_stops_the_import(tmp_path):
    blocked = tmp_path / "into"
    blocked.write_text("a file, not a folder")
    with pytest.raises(StoreError):
        do_import("folder", SAMPLES["folder"], blocked)


# --- the command
class TestCommand:
    @pytest.fixture(autouse=True)
    def _home(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        for name in ("CLAUDE_CONFIG_DIR", "XDG_CONFIG_HOME"):
            monkeypatch.delenv(name, raising=False)

    def run(self, *arguments: object, status: int = 0) -> Result:
        result = CliRunner().invoke(command, [str(one) for one in arguments])
        assert result.exit_code == status, result.output
        return result

    def test_every_kind_is_imported_in_one_go(self, storage):
        result = self.run(*SAMPLES.values(), "--format", "json")
        sources = json.loads(result.stdout)["data"]["sources"]
        assert [(one["from"], one["new"] > 0, one["known"]) for one in sources[:3]] == [
            ("folder", True, 0),
            ("usage", True, 0),
            ("otlp", True, 0),
        ]
        assert sum(one["new"] for one in sources) == sum(map(len, all_lines(storage).values()))

    def test_the_table_says_what_came_and_what_to_do_next(self, storage):
        result = self.run(SAMPLES["otlp"])
        assert "4 records were added" in result.stdout
        assert "telemetry summary" in result.stdout
        assert "metrics, not spans" in result.stderr

    def test_imported_again_it_says_that_nothing_is_new(self, storage):
        self.run(SAMPLES["usage"])
        assert "Nothing new" in self.run(SAMPLES["usage"]).stdout

    def test_into_another_folder(self, storage, tmp_path):
        self.run(SAMPLES["folder"], "--into", tmp_path / "other")
        assert not storage.exists()
        assert segments(tmp_path / "other", CALLS)

    def test_without_a_source_it_says_what_there_is_and_writes_nothing(self, storage, tmp_path):
        shutil.copytree(SAMPLES["claude-code"], tmp_path / "home" / ".claude" / "projects")
        result = self.run("--format", "json")
        [found] = json.loads(result.stdout)["data"]["found"]
        assert (found["from"], found["files"]) == ("claude-code", 4)
        assert "--all" in self.run().stdout
        assert not storage.exists()

    def test_all_that_is_found_is_imported_when_asked_for(self, storage, tmp_path):
        shutil.copytree(SAMPLES["claude-code"], tmp_path / "home" / ".claude" / "projects")
        self.run("--all")
        assert len(calls_in(storage)) == 5

    def test_without_anything_to_import_it_names_an_example(self):
        assert "telemetry import ../old-project/.empathy" in self.run().stdout

    def test_a_dry_run_writes_nothing(self, storage):
        assert "Nothing was written" in self.run(SAMPLES["otlp"], "--dry-run").stdout
        assert not storage.exists()

    def test_calls_that_two_sources_of_the_framework_hold_are_pointed_out(self):
        assert "count them twice" in self.run(SAMPLES["folder"], SAMPLES["usage"]).stderr

    def test_a_source_that_is_not_there_is_wrong_usage(self, tmp_path):
        assert "no such file" in self.run(tmp_path / "nothing", status=2).output

    def test_all_with_a_source_is_wrong_usage(self):
        self.run(SAMPLES["otlp"], "--all", status=2)
