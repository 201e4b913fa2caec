"""Archiving: whole segments move, late lines come back, and nothing is lost when the archiver is killed."""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from attune_monitoring.errors import StoreError
from attune_monitoring.store import (
    CALLS,
    DETAILS,
    RUNS,
    Appender,
    Tail,
    archive,
    archived_folders,
    movable,
    retention,
    segments,
)
from harness import InChild

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NAME = "20260301T120000Z"


def line(number: int, when: datetime = NOW) -> bytes:
    return json.dumps({"n": number, "timestamp": when.isoformat()}).encode()


def write(path: Path, *lines: bytes, age: timedelta = timedelta()) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(one + b"\n" for one in lines))
    os.utime(path, ((NOW - age).timestamp(),) * 2)
    return path


def numbers(path: Path) -> list[int]:
    return [json.loads(one)["n"] for one in path.read_bytes().split(b"\n") if one]


def everywhere(folder: Path) -> Counter[int]:
    """How often each number stands in the live files and in the archive together."""
    return Counter(number for path in folder.rglob(f"{CALLS}*.jsonl") for number in numbers(path))


def nothing() -> None:
    """Instead of the wait: no other program writes."""


def test_all_segments_of_all_streams_move_with_their_names_and_content(storage: Path) -> None:
    for index, name in enumerate(("llm_calls", "llm_calls.00001", "llm_calls.w2", "workflow_runs", "workflow_details")):
        write(storage / f"{name}.jsonl", line(index))
    report = archive(storage, now=NOW, settle=nothing)
    assert report.folder == storage / "archive" / NAME
    assert sorted(report.moved) == sorted(path.name for path in report.folder.iterdir())
    assert numbers(report.folder / "llm_calls.w2.jsonl") == [2]
    assert [segments(storage, stream) for stream in (CALLS, RUNS, DETAILS)] == [[], [], []]


def test_the_archive_is_readable_by_its_owner_only_whatever_the_umask(storage: Path) -> None:
    write(storage / "llm_calls.jsonl", line(0))
    before = os.umask(0)
    try:
        report = archive(storage, now=NOW, settle=nothing)
    finally:
        os.umask(before)
    assert report.folder is not None
    assert {stat.S_IMODE(path.stat().st_mode) for path in (report.folder, report.folder.parent)} == {0o700}


def test_only_the_streams_that_are_named_move(storage: Path) -> None:
    write(storage / "llm_calls.jsonl", line(0))
    write(storage / "workflow_runs.jsonl", line(1))
    assert archive(storage, now=NOW, streams=[RUNS], settle=nothing).moved == ("workflow_runs.jsonl",)
    assert (storage / "llm_calls.jsonl").exists()


def test_other_files_stay(storage: Path) -> None:
    write(storage / "llm_calls.jsonl", line(0))
    (storage / "monitoring.yaml").write_text("mine")
    (storage / "llm_calls.jsonl.gz").write_text("mine")
    archive(storage, now=NOW, settle=nothing)
    assert {path.name for path in storage.iterdir()} == {"archive", "monitoring.yaml", "llm_calls.jsonl.gz"}


@pytest.mark.parametrize("exists", [False, True])
def test_nothing_to_move_makes_no_folder_and_waits_for_nobody(storage: Path, exists: bool) -> None:
    if exists:
        storage.mkdir()

    def never() -> None:
        raise AssertionError("waited")

    assert archive(storage, now=NOW, settle=never) == (None, (), 0, {}, ())
    assert not (storage / "archive").exists()


def test_two_archives_of_one_second_have_folders_of_their_own(storage: Path) -> None:
    for number in range(3):
        write(storage / "llm_calls.jsonl", line(number))
        archive(storage, now=NOW, settle=nothing)
    found = archived_folders(storage)
    assert [folder.name for folder in found] == [NAME, f"{NAME}-1", f"{NAME}-2"]
    assert [numbers(folder / "llm_calls.jsonl") for folder in found] == [[0], [1], [2]]


def test_a_folder_on_which_another_program_works_is_left_to_it(storage: Path) -> None:
    other = write(storage / "archive" / f".{NAME}" / "llm_calls.jsonl", line(0))
    write(storage / "llm_calls.jsonl", line(1))
    report = archive(storage, now=NOW, settle=nothing)
    assert report.folder == storage / "archive" / f"{NAME}-1"
    assert numbers(other) == [0]


def test_a_folder_that_a_killed_program_left_gets_its_name_after_an_hour(storage: Path) -> None:
    for name in (f".{NAME}", f".{NAME}-1", NAME):
        write(storage / "archive" / name / "llm_calls.jsonl", line(len(name)))
    for hours in (0.9, 1.1):
        write(storage / "llm_calls.jsonl", line(0))
        archive(storage, now=NOW + timedelta(hours=hours), settle=nothing)
        left = sorted(path.name for path in (storage / "archive").glob(".*"))
        assert left == ([f".{NAME}", f".{NAME}-1"] if hours < 1 else [])
    assert sum(everywhere(storage).values()) == 5


def test_before_a_time_only_segments_without_a_newer_record_move(storage: Path) -> None:
    old, new = NOW - timedelta(days=40), NOW - timedelta(days=20)
    write(storage / "llm_calls.jsonl", line(0, old), line(1, old))
    write(storage / "llm_calls.00001.jsonl", line(2, new), line(3, old))
    write(storage / "llm_calls.00002.jsonl", line(4, old), b"not json", b'{"timestamp":7}', b'{"timestamp":"soon"}')
    write(storage / "llm_calls.00003.jsonl", line(5, new))
    report = archive(storage, now=NOW, before=NOW - timedelta(days=30), settle=nothing)
    assert report.moved == ("llm_calls.jsonl", "llm_calls.00002.jsonl")


@pytest.mark.parametrize(("written", "moved"), [(timedelta(days=31), True), (timedelta(days=29), False)])
def test_the_newest_segment_of_a_writer_moves_only_if_it_is_no_longer_written_to(
    storage: Path, written: timedelta, moved: bool
) -> None:
    for name in ("llm_calls.jsonl", "llm_calls.w0.jsonl"):
        write(storage / name, line(0, NOW - timedelta(days=40)), age=written)
    report = archive(storage, now=NOW, before=NOW - timedelta(days=30), settle=nothing)
    assert bool(report.moved) == moved


def test_a_run_is_as_old_as_its_end(storage: Path) -> None:
    begun, ended = (NOW - timedelta(days=days) for days in (31, 29))
    run = json.dumps({"started_at": begun.isoformat(), "completed_at": ended.isoformat()}).encode()
    write(storage / "workflow_runs.jsonl", run)
    write(storage / "workflow_runs.00001.jsonl", run)
    assert archive(storage, now=NOW, before=NOW - timedelta(days=30), settle=nothing).moved == ()
    assert archive(storage, now=NOW, before=NOW - timedelta(days=28), settle=nothing).moved == ("workflow_runs.jsonl",)


def test_a_segment_without_any_time_is_as_old_as_its_last_write(storage: Path) -> None:
    for number, days in enumerate((40, 20, 0)):
        write(storage / f"llm_calls.{number + 1:05d}.jsonl", b"{}", age=timedelta(days=days))
    report = archive(storage, now=NOW, before=NOW - timedelta(days=30), settle=nothing)
    assert report.moved == ("llm_calls.00001.jsonl",)


class LateWriter:
    """A process that opened a segment before it was moved, and writes to it after."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)

    def write(self, data: bytes) -> None:
        os.write(self.descriptor, data)

    def close(self) -> None:
        os.close(self.descriptor)


def test_late_lines_are_in_the_live_stream_and_not_in_the_archive(storage: Path) -> None:
    late = LateWriter(write(storage / "llm_calls.jsonl", line(0)))
    report = archive(storage, now=NOW, settle=lambda: late.write(line(1) + b"\n\n" + line(2) + b"\n"))
    late.close()
    assert report.folder is not None
    assert (report.late_lines, report.problems) == (2, {})
    assert numbers(report.folder / "llm_calls.jsonl") == [0]
    assert numbers(storage / "llm_calls.jsonl") == [1, 2]


def test_a_line_that_was_half_written_when_its_file_moved_comes_back_whole(storage: Path) -> None:
    late = LateWriter(write(storage / "llm_calls.jsonl", line(0)))
    late.write(line(1)[:9])
    report = archive(storage, now=NOW, settle=lambda: late.write(line(1)[9:] + b"\n"))
    late.close()
    assert report.late_lines == 1
    assert numbers(storage / "llm_calls.jsonl") == [1]
    assert everywhere(storage) == {0: 1, 1: 1}


def test_a_line_that_is_never_finished_stays_where_it_is(storage: Path) -> None:
    path = write(storage / "llm_calls.jsonl", line(0))
    path.write_bytes(path.read_bytes() + b'{"n":1')
    report = archive(storage, now=NOW, settle=nothing)
    assert report.folder is not None
    assert (report.folder / "llm_calls.jsonl").read_bytes().endswith(b'\n{"n":1')
    assert not path.exists()


def test_late_lines_that_the_disk_does_not_take_stay_in_the_archive(storage: Path) -> None:
    path = write(storage / "llm_calls.jsonl", line(0))
    late = LateWriter(path)

    def settle() -> None:
        late.write(line(1) + b"\n")
        path.mkdir()  # no segment can be opened here now

    report = archive(storage, now=NOW, settle=settle)
    late.close()
    assert report.folder is not None
    assert numbers(report.folder / "llm_calls.jsonl") == [0, 1]
    assert [text for text in report.problems.values() if "late lines were left in it" in text]


def test_a_line_that_comes_when_the_late_ones_are_about_to_be_cut_off_is_not_lost(storage: Path) -> None:
    late = LateWriter(write(storage / "llm_calls.jsonl", line(0)))

    def step(name: str) -> None:
        if name == "cut llm_calls.jsonl":
            late.write(line(2) + b"\n")

    archive(storage, now=NOW, settle=lambda: late.write(line(1) + b"\n"), progress=step)
    late.close()
    assert everywhere(storage) == {0: 1, 1: 2, 2: 1}


def test_a_segment_that_cannot_be_moved_is_reported_and_the_others_move(storage: Path) -> None:
    write(storage / "llm_calls.jsonl", line(0))
    write(storage / "workflow_runs.jsonl", line(1))
    report = archive(
        storage,
        now=NOW,
        settle=nothing,
        progress=lambda step: (
            (storage / "archive" / f".{NAME}" / "llm_calls.jsonl").mkdir() if step == "move llm_calls.jsonl" else None
        ),
    )
    assert report.moved == ("workflow_runs.jsonl",)
    assert list(report.problems) == [str(storage / "llm_calls.jsonl")]


def test_what_is_no_file_stays_where_it_is_and_is_reported(storage: Path) -> None:
    storage.mkdir()
    os.mkfifo(storage / "llm_calls.jsonl")
    report = archive(storage, now=NOW, settle=nothing)
    assert (report.folder, report.moved) == (None, ())
    assert list(report.problems) == [str(storage / "llm_calls.jsonl")]
    assert list((storage / "archive").iterdir()) == []


def test_what_would_be_moved_can_be_asked_before(storage: Path) -> None:
    write(storage / "llm_calls.jsonl", line(0, NOW - timedelta(days=40)))
    write(storage / "llm_calls.00001.jsonl", line(1))
    write(storage / "workflow_runs.jsonl", line(2))
    before = NOW - timedelta(days=30)
    assert [segment.path.name for segment in movable(storage, before=before)] == ["llm_calls.jsonl"]
    assert len(movable(storage)) == 3
    assert archive(storage, now=NOW, before=before, settle=nothing).moved == ("llm_calls.jsonl",)


def test_a_segment_that_another_archiver_took_first_is_no_problem(storage: Path) -> None:
    write(storage / "llm_calls.jsonl", line(0))

    def other(step: str) -> None:
        if step.startswith("move"):
            archive(storage, now=NOW, settle=nothing)

    report = archive(storage, now=NOW, settle=nothing, progress=other)
    assert report == (None, (), 0, {}, ())
    assert everywhere(storage) == {0: 1}


def test_an_archive_that_cannot_be_made_is_an_error_that_names_it(storage: Path) -> None:
    write(storage / "llm_calls.jsonl", line(0))
    (storage / "archive").write_text("mine")
    with pytest.raises(StoreError, match="archive: nothing was archived"):
        archive(storage, now=NOW, settle=nothing)
    assert everywhere(storage) == {0: 1}


def test_retention_archives_what_is_older_and_deletes_nothing_unasked(storage: Path) -> None:
    write(storage / "llm_calls.jsonl", line(0, NOW - timedelta(days=31)))
    write(storage / "llm_calls.00001.jsonl", line(1, NOW - timedelta(days=29)))
    report = retention(storage, days=30, now=NOW, settle=nothing)
    assert (report.moved, report.deleted) == (("llm_calls.jsonl",), ())
    assert everywhere(storage) == {0: 1, 1: 1}


def test_retention_deletes_when_asked_only_archived_segments_that_are_older(storage: Path) -> None:
    old, new = NOW - timedelta(days=31), NOW - timedelta(days=29)
    write(storage / "llm_calls.jsonl", line(0, old))
    write(storage / "llm_calls.00001.jsonl", line(1, old))
    write(storage / "archive" / "20250101T000000Z" / "llm_calls.jsonl", line(2, old))
    write(storage / "archive" / "20260228T000000Z" / "llm_calls.jsonl", line(3, new))
    write(storage / "archive" / ".20260301T113000Z" / "llm_calls.jsonl", line(4, old))
    write(storage / "archive" / "mine" / "llm_calls.jsonl", line(5, old))
    write(storage / "archive" / "20250102T000000Z" / "notes.txt", line(6, old))
    report = retention(storage, days=30, now=NOW, settle=nothing, delete=True)
    assert {path.relative_to(storage / "archive").as_posix() for path in report.deleted} == {
        "20250101T000000Z/llm_calls.jsonl",
        f"{NAME}/llm_calls.jsonl",
    }
    assert everywhere(storage) == {1: 1, 3: 1, 4: 1, 5: 1}
    assert {path.name for path in (storage / "archive").iterdir()} == {
        "20260228T000000Z",
        ".20260301T113000Z",
        "mine",
        "20250102T000000Z",
    }


def test_retention_follows_no_link_out_of_the_archive(storage: Path, tmp_path: Path) -> None:
    outside = write(tmp_path / "elsewhere" / "llm_calls.jsonl", line(0, NOW - timedelta(days=99)))
    (storage / "archive" / "20250102T000000Z").mkdir(parents=True)
    (storage / "archive" / "20250101T000000Z").symlink_to(outside.parent)
    (storage / "archive" / "20250102T000000Z" / "llm_calls.jsonl").symlink_to(outside)
    assert retention(storage, days=30, now=NOW, settle=nothing, delete=True).deleted == ()
    assert outside.exists()


def _archive_and_die(storage: Path, at: int) -> Callable[[], None]:
    """Archive with two late lines, and end without a word before step number `at`."""

    def work() -> None:
        late = LateWriter(storage / "llm_calls.jsonl")
        steps = 0

        def step(_: str) -> None:
            nonlocal steps
            if steps == at:
                os._exit(9)
            steps += 1

        archive(storage, now=NOW, settle=lambda: late.write(line(2) + b"\n" + line(3) + b"\n"), progress=step)

    return work


@pytest.mark.slow
def test_killed_before_any_step_the_archiver_loses_nothing(storage: Path, in_child: InChild) -> None:
    deaths = 0
    for at in range(100):
        folder = storage.with_name(f"{storage.name}{at}")
        write(folder / "llm_calls.jsonl", line(0))
        write(folder / "llm_calls.00001.jsonl", line(1))
        ended = in_child(_archive_and_die(folder, at))
        written = {0, 1, 2, 3} if any(2 in numbers(path) for path in folder.rglob("*.jsonl")) else {0, 1}
        found = everywhere(folder)
        assert found.keys() == written, at
        assert {number: count for number, count in found.items() if number < 2} == {0: 1, 1: 1}, at
        if ended == 0:
            assert found == dict.fromkeys(range(4), 1)
            break
        deaths += 1
        # The next program puts the folder in order, and still everything is there.
        archive(folder, now=NOW + timedelta(hours=2), settle=nothing)
        assert everywhere(folder) == found, at
        assert not list((folder / "archive").glob(".*")), at
    assert deaths >= 8


@pytest.mark.slow
def test_two_late_lines_that_were_appended_before_the_kill_are_in_both_places_at_worst(
    storage: Path, in_child: InChild
) -> None:
    worst = 0
    for at in range(20):
        folder = storage.with_name(f"{storage.name}{at}")
        write(folder / "llm_calls.jsonl", line(0))
        in_child(_archive_and_die(folder, at))
        worst = max(worst, *everywhere(folder).values())
    assert worst == 2


def test_a_writer_goes_on_in_a_new_file_when_its_own_was_archived(storage: Path) -> None:
    appender = Appender(storage, CALLS)
    appender.append(line(0))
    count = 1

    def settle() -> None:
        nonlocal count
        while not (storage / "llm_calls.jsonl").exists():
            appender.append(line(count))
            count += 1

    archive(storage, now=NOW, settle=settle)
    appender.close()
    assert everywhere(storage) == dict.fromkeys(range(count), 1)


def test_a_follower_sees_late_lines_once_and_what_was_archived_before_it_looked(storage: Path) -> None:
    late = LateWriter(write(storage / "llm_calls.jsonl", line(0)))
    tail = Tail(storage, CALLS, from_end=False)
    assert [json.loads(one)["n"] for one in tail.poll()] == [0]
    late.write(line(1) + b"\n")
    seen = []

    def settle() -> None:
        late.write(line(2) + b"\n")
        seen.extend(tail.poll())

    archive(storage, now=NOW, settle=settle)
    late.close()
    assert seen == []  # not before it is known which lines are late
    assert [json.loads(one)["n"] for one in tail.poll() + tail.poll()] == [1, 2]
