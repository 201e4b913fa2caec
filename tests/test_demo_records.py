"""Invented records: as many as asked for, the same each time, and consistent with each other."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from attune_monitoring import LLMCallRecord, TelemetryStore, WorkflowRunRecord
from attune_monitoring.cli.demo_records import Written, write_records
from attune_monitoring.errors import StoreError
from attune_monitoring.records import parse_time

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
COUNT = 4000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def written(folder: Path) -> Written:
    return write_records(folder, count=COUNT, days=14, now=NOW)


@pytest.fixture(scope="module")
def calls(folder: Path, written: Written) -> list[LLMCallRecord]:
    return TelemetryStore(folder).get_calls(limit=COUNT + 1)


@pytest.fixture(scope="module")
def runs(folder: Path, written: Written) -> list[WorkflowRunRecord]:
    return TelemetryStore(folder).get_workflows(limit=COUNT)


@pytest.mark.slow
def test_it_writes_as_many_calls_as_asked_for_and_reports_them(calls, runs, written):
    assert (len(calls), written.calls, len(runs)) == (COUNT, COUNT, written.runs)
    assert written.cost == pytest.approx(sum(call.cost or 0 for call in calls))


@pytest.mark.slow
def test_the_same_seed_gives_the_same_lines(folder, written, tmp_path):
    write_records(tmp_path, count=COUNT, days=14, now=NOW)
    for file in folder.glob("*.jsonl"):
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()


def test_another_seed_gives_other_lines(folder, written, tmp_path):
    write_records(tmp_path, count=COUNT, days=14, now=NOW, seed=2)
    assert (tmp_path / "llm_calls.jsonl").read_bytes() != (folder / "llm_calls.jsonl").read_bytes()


def test_the_calls_of_a_run_come_to_what_the_run_says(calls, runs):
    own: Counter[str] = Counter()
    for call in calls:
        if call.run_id is not None:
            own[call.run_id] += call.cost or 0
    nested: Counter[str] = Counter()
    for run in runs:
        if run.parent_run_id is not None:
            nested[run.parent_run_id] += run.total_cost
    for run in runs:
        assert run.total_cost == pytest.approx(own[run.run_id] + nested[run.run_id])


def test_the_stages_of_a_run_come_to_its_calls(runs):
    for run in runs:
        assert sum(stage.call_count for stage in run.stages) == run.call_count


def test_the_times_lie_in_the_period(calls):
    times = [parse_time(call.timestamp) for call in calls]
    assert NOW - timedelta(days=14) <= min(times)
    assert max(times) <= NOW + timedelta(minutes=10)  # a run that began just before the end


def test_weekends_are_quiet(calls):
    by_day = Counter(parse_time(call.timestamp).weekday() >= 5 for call in calls)
    assert by_day[True] * 4 < by_day[False]


@pytest.mark.parametrize(
    "there",
    [
        lambda call: call.retry_count,
        lambda call: call.fallback_used,
        lambda call: call.outcome == "error",
        lambda call: call.time_to_first_token_ms,
        lambda call: call.cost_source == "unknown",
        lambda call: call.cache_read_tokens,
        lambda call: any(attempt.get("cost") for attempt in call.attempts),
        lambda call: call.run_id is None,
        lambda call: call.user_id and call.session_id,
    ],
)
def test_there_is_something_to_be_found_by_every_command(calls, there):
    assert any(there(call) for call in calls)


def test_some_runs_are_nested_and_some_stages_skipped(runs):
    assert any(run.parent_run_id for run in runs)
    assert any(stage.skipped for run in runs for stage in run.stages)


def test_progress_ends_at_the_number_of_calls(tmp_path):
    seen: list[int] = []
    write_records(tmp_path, count=50, days=1, now=NOW, progress=seen.append)
    assert seen[-1] == 50


def test_what_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="could not be written"):
        write_records(tmp_path / "file", count=1, days=1, now=NOW)
