"""Which record goes to which file, at once or through a bounded queue, and that flush tells the truth."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from attune_monitoring.files import Files
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord
from attune_monitoring.store import segments
from harness import InChild, ReadLines, RunProgram

NOW = "2026-01-01T00:00:00Z"


def call(number: int) -> LLMCallRecord:
    return LLMCallRecord(call_id=str(number), timestamp=NOW)


def ids(lines: list[dict[str, object]]) -> list[int]:
    return [int(str(one["call_id"])) for one in lines]


def test_a_root_run_stands_in_both_files_and_a_nested_one_in_the_details_only(
    storage: Path, read_lines: ReadLines
) -> None:
    files = Files(storage)
    files.run(WorkflowRunRecord(run_id="nested", workflow_name="w", started_at=NOW, parent_run_id="root"))
    files.run(WorkflowRunRecord(run_id="root", workflow_name="w", started_at=NOW, trace_id="a" * 32))
    assert [run["run_id"] for run in read_lines(storage, "workflow_details")] == ["nested", "root"]
    [published] = read_lines(storage, "workflow_runs")
    assert published["run_id"] == "root"
    assert "metadata" not in published and "trace_id" not in published


def test_a_record_is_on_disk_when_the_call_returns(storage: Path, read_lines: ReadLines) -> None:
    files = Files(storage)
    for number in range(3):
        files.call(call(number))
        assert ids(read_lines(storage)) == list(range(number + 1))


def test_flush_says_once_that_something_was_lost(storage: Path) -> None:
    storage.write_text("in the way")
    files = Files(storage)
    files.call(call(0))
    assert files.dropped.total() == 1
    assert not files.flush(5)
    storage.unlink()
    files.call(call(1))
    assert files.flush(5)


def test_a_forked_child_does_not_answer_for_losses_of_its_parent(storage: Path, in_child: InChild) -> None:
    storage.write_text("in the way")
    files = Files(storage)
    files.call(call(0))
    files.flush(5)
    storage.unlink()

    def work() -> None:
        files.call(call(1))
        assert files.flush(5)
        assert not files.dropped

    assert in_child(work) == 0


def test_closed_files_open_again(storage: Path, read_lines: ReadLines) -> None:
    files = Files(storage)
    files.call(call(0))
    assert files.close(5)
    files.call(call(1))
    assert ids(read_lines(storage)) == [0, 1]


class SlowDisk:
    """Lets nothing onto the disk until it is told to."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self._fsync = os.fsync

    def fsync(self, descriptor: int) -> None:
        self.reached.set()
        self.go_on.wait()
        self._fsync(descriptor)


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    disk = SlowDisk()
    monkeypatch.setattr(os, "fsync", disk.fsync)
    yield disk
    disk.go_on.set()


def test_a_writer_in_the_background_holds_up_nobody_and_drops_and_counts_what_its_queue_cannot_hold(
    storage: Path, slow_disk: SlowDisk, read_lines: ReadLines, caplog: pytest.LogCaptureFixture
) -> None:
    files = Files(storage, write="background", fsync="always", queue_size=10)
    files.call(call(0))
    assert slow_disk.reached.wait(30)
    with caplog.at_level(logging.WARNING, "attune_monitoring.store"):
        for number in range(1, 31):
            files.call(call(number))
    assert files.dropped == {"queue full": 20}
    assert len(caplog.records) == 1 and "queue_size" in caplog.text
    assert not files.flush(0.0)
    slow_disk.go_on.set()
    assert not files.flush(30)
    assert ids(read_lines(storage)) == list(range(11))
    files.call(call(31))
    assert files.flush(30)
    assert ids(read_lines(storage)) == [*range(11), 31]


def test_writers_in_the_background_have_files_of_their_own(storage: Path, read_lines: ReadLines) -> None:
    several = [Files(storage, write="background", segment_bytes=100) for _ in range(3)]
    for number, files in enumerate(several):
        files.call(call(number))
        files.run(WorkflowRunRecord(run_id=str(number), workflow_name="w", started_at=NOW))
        assert files.close(30)
    assert {segment.slot for segment in segments(storage, "llm_calls")} == {0, 1, 2}
    assert {segment.slot for segment in segments(storage, "workflow_runs")} == {0, 1, 2}
    assert sorted(ids(read_lines(storage))) == [0, 1, 2]


def test_what_waits_at_a_fork_is_written_once_by_the_parent(
    storage: Path, slow_disk: SlowDisk, in_child: InChild, read_lines: ReadLines
) -> None:
    files = Files(storage, write="background", fsync="always")
    files.call(call(0))
    assert slow_disk.reached.wait(30)
    files.call(call(1))

    def work() -> None:
        slow_disk.go_on.set()
        files.call(call(2))
        assert files.flush(30)

    assert in_child(work) == 0
    slow_disk.go_on.set()
    assert files.flush(30)
    assert sorted(ids(read_lines(storage))) == [0, 1, 2]
    assert {segment.slot for segment in segments(storage, "llm_calls")} == {0, 1}


def test_a_folder_that_cannot_be_written_costs_records_and_not_the_thread(storage: Path, read_lines: ReadLines) -> None:
    storage.write_text("in the way")
    files = Files(storage, write="background")
    files.call(call(0))
    assert not files.flush(30)
    storage.unlink()
    files.call(call(1))
    assert files.flush(30)
    assert ids(read_lines(storage)) == [1]


@pytest.mark.slow
def test_a_program_that_ends_writes_what_waits_in_the_background(
    storage: Path, run_program: RunProgram, read_lines: ReadLines
) -> None:
    code = """
    from attune_monitoring import llm_call
    for _ in range(500):
        with llm_call(provider="openai", model="gpt-4o-mini") as call:
            call.set_usage(input_tokens=1, output_tokens=1)
    """
    run_program(code, EMPATHY_WRITE="background")
    assert len(read_lines(storage)) == 500
    assert {segment.slot for segment in segments(storage, "llm_calls")} == {0}
