"""Lines on disk: appended whole by any number of writers, kept through every fault of the folder, read newest first."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attune_monitoring.errors import StoreError
from attune_monitoring.store import CALLS, Appender, ReadReport, Slot, prepare_folder, read_newest, segments
from harness import STRANGER, InChild, ReadLines, RunProgram


def line(number: int, size: int = 0) -> bytes:
    return json.dumps({"n": number, "pad": "x" * size}).encode()


def numbers(lines: list[dict[str, Any]]) -> list[int]:
    return [one["n"] for one in lines]


def append_until(done: Callable[[], bool], *appenders: Appender) -> int:
    """Append the numbers 0, 1, … in turn until `done`; return how many. A writer trusts its segment for 10 ms."""
    for number in range(1_000_000):
        if done():
            return number
        assert appenders[number % len(appenders)].append(line(number))
    raise AssertionError("a million lines later it is still not so")


@pytest.fixture
def appender(storage: Path) -> Iterator[Appender]:
    made = Appender(storage, CALLS)
    yield made
    made.close()


def test_a_line_is_whole_and_ended_by_a_newline(appender: Appender, storage: Path) -> None:
    assert appender.append(b'{"n":1}')
    assert (storage / "llm_calls.jsonl").read_bytes() == b'{"n":1}\n'


def test_folder_and_files_are_readable_by_their_owner_only_whatever_the_umask(storage: Path) -> None:
    before = os.umask(0)
    try:
        appender = Appender(storage, CALLS)
        appender.append(b"{}")
        appender.close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(storage.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in storage.iterdir()} == {0o600}


def test_the_folder_is_kept_out_of_git(appender: Appender, storage: Path) -> None:
    appender.append(b"{}")
    assert (storage / ".gitignore").read_text() == "*\n"


def test_a_gitignore_of_the_user_stays_as_it_is(storage: Path) -> None:
    storage.mkdir()
    (storage / ".gitignore").write_text("mine\n")
    prepare_folder(storage)
    assert (storage / ".gitignore").read_text() == "mine\n"


def test_segments_are_found_by_the_grammar_and_sorted_by_age_within_a_slot(storage: Path) -> None:
    storage.mkdir()
    good = [
        "llm_calls.jsonl",
        "llm_calls.00001.jsonl",
        "llm_calls.123456.jsonl",
        "llm_calls.w3.jsonl",
        "llm_calls.w3.00002.jsonl",
    ]
    for name in (
        *good,
        "llm_calls.1.jsonl",
        "llm_calls.jsonl.gz",
        "llm_calls.w12345.jsonl",
        "workflow_runs.jsonl",
        "x",
    ):
        (storage / name).touch()
    found = segments(storage, CALLS)
    assert [segment.path.name for segment in found] == good
    assert [(segment.slot, segment.number) for segment in found] == [(-1, 0), (-1, 1), (-1, 123456), (3, 0), (3, 2)]
    assert segments(storage / "nowhere", CALLS) == []


def test_a_full_segment_is_followed_by_the_next_and_never_renamed_or_cut(storage: Path, read_lines: ReadLines) -> None:
    appender = Appender(storage, CALLS, segment_bytes=100)
    appender.append(line(0))
    first = (storage / "llm_calls.jsonl").stat()
    count = append_until((storage / "llm_calls.00003.jsonl").exists, appender)
    names = [segment.path.name for segment in segments(storage, CALLS)]
    assert names == ["llm_calls.jsonl", *(f"llm_calls.{number:05d}.jsonl" for number in (1, 2, 3))]
    last = (storage / "llm_calls.jsonl").stat()
    assert last.st_ino == first.st_ino and last.st_size >= 100
    assert numbers(read_lines(storage)) == [0, *range(count)]


def test_writers_agree_on_the_segment_without_a_word(storage: Path, read_lines: ReadLines) -> None:
    one, other = (Appender(storage, CALLS, segment_bytes=100_000) for _ in range(2))
    count = append_until((storage / "llm_calls.00004.jsonl").exists, one, other)
    assert [segment.number for segment in segments(storage, CALLS)] == [0, 1, 2, 3, 4]
    assert sorted(numbers(read_lines(storage))) == list(range(count))


def test_a_new_writer_goes_on_in_the_newest_segment_with_room(storage: Path) -> None:
    storage.mkdir()
    (storage / "llm_calls.00007.jsonl").write_bytes(line(0, 100) + b"\n")
    Appender(storage, CALLS, segment_bytes=50).append(line(1))
    assert (storage / "llm_calls.00008.jsonl").read_bytes() == line(1) + b"\n"


def test_a_line_that_a_dead_writer_left_half_done_swallows_no_other(storage: Path) -> None:
    storage.mkdir()
    (storage / "llm_calls.jsonl").write_bytes(b'{"n":0}\n{"n":1,"pa')
    Appender(storage, CALLS).append(line(2))
    assert (storage / "llm_calls.jsonl").read_bytes() == b'{"n":0}\n{"n":1,"pa\n' + line(2) + b"\n"


def test_a_file_moved_away_is_followed_by_a_new_one_and_no_line_is_lost(appender: Appender, storage: Path) -> None:
    appender.append(line(0))
    archive, path = storage.with_name("archive.jsonl"), storage / "llm_calls.jsonl"
    path.rename(archive)
    count = append_until(path.exists, appender)
    kept = [json.loads(text)["n"] for file in (archive, path) for text in file.read_bytes().splitlines()]
    assert kept == [0, *range(count)]


def test_a_deleted_folder_is_made_anew(appender: Appender, storage: Path) -> None:
    appender.append(line(0))
    for path in storage.iterdir():
        path.unlink()
    storage.rmdir()
    count = append_until((storage / "llm_calls.jsonl").exists, appender)
    assert (storage / "llm_calls.jsonl").read_bytes() == line(count - 1) + b"\n"
    assert stat.S_IMODE(storage.stat().st_mode) == 0o700
    assert (storage / ".gitignore").read_text() == "*\n"


def _folder(path: Path) -> None:
    path.mkdir()


def _loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("put", "remove", "reason"),
    [
        (_folder, Path.rmdir, os.strerror(errno.EISDIR)),
        (os.mkfifo, Path.unlink, "not a regular file"),
        (_loop, Path.unlink, os.strerror(errno.ELOOP)),
        (lambda path: path.symlink_to(os.devnull), Path.unlink, "not a regular file"),
    ],
    ids=["folder", "FIFO", "symbolic link to itself", "device"],
)
def test_what_is_no_file_in_its_place_loses_lines_that_are_counted_and_warned_about_once(
    storage: Path,
    caplog: pytest.LogCaptureFixture,
    put: Callable[[Path], object],
    remove: Callable[[Path], object],
    reason: str,
) -> None:
    storage.mkdir()
    path = storage / "llm_calls.jsonl"
    put(path)
    appender = Appender(storage, CALLS)
    with caplog.at_level(logging.WARNING, "attune_monitoring.store"):
        assert [appender.append(line(0)), appender.append(line(1))] == [False, False]
    assert appender.dropped == {reason: 2}
    [message] = [record.getMessage() for record in caplog.records]
    assert str(path) in message and reason in message
    remove(path)
    assert appender.append(line(2))
    assert path.read_bytes() == line(2) + b"\n"


def test_a_file_in_the_folders_place_is_left_alone(storage: Path) -> None:
    storage.write_text("mine")
    appender = Appender(storage, CALLS)
    assert not appender.append(line(0))
    assert appender.dropped.total() == 1
    assert storage.read_text() == "mine"


@pytest.mark.parametrize("mode", [0o500, 0o000], ids=["read-only", "closed"])
def test_a_folder_without_permission_loses_counted_lines_and_recovers(
    strangers_folder: Path, in_child: InChild, mode: int
) -> None:
    storage = strangers_folder

    def work() -> None:
        os.setuid(STRANGER)
        storage.chmod(mode)
        appender = Appender(storage, CALLS)
        assert not appender.append(line(0))
        assert appender.dropped == {os.strerror(errno.EACCES): 1}
        storage.chmod(0o700)
        assert appender.append(line(1))
        (storage / "llm_calls.jsonl").chmod(0o400)
        assert appender.append(line(2))  # open already
        assert not Appender(storage, CALLS).append(line(3))
        storage.chmod(mode)

    assert in_child(work) == 0
    assert (storage / "llm_calls.jsonl").read_bytes() == line(1) + b"\n" + line(2) + b"\n"


def test_a_forked_child_counts_its_own_losses_and_opens_the_file_itself(
    storage: Path, in_child: InChild, read_lines: ReadLines
) -> None:
    storage.mkdir()
    _folder(storage / "llm_calls.jsonl")
    appender = Appender(storage, CALLS)
    appender.append(line(0))
    (storage / "llm_calls.jsonl").rmdir()
    appender.append(line(1))

    def work() -> None:
        assert not appender.dropped
        assert appender.append(line(2))

    assert in_child(work) == 0
    assert appender.dropped.total() == 1
    appender.append(line(3))
    assert numbers(read_lines(storage)) == [1, 2, 3]


def test_a_child_forked_while_another_thread_writes_does_not_wait_for_its_lock(
    appender: Appender, in_child: InChild
) -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with appender._lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()

    def work() -> None:
        signal.alarm(20)  # a child that waits for ever ends by this
        assert appender.append(line(0))

    try:
        assert in_child(work) == 0
    finally:
        done.set()
        thread.join()


def test_a_signal_handler_may_append_in_the_middle_of_an_append(storage: Path, read_lines: ReadLines) -> None:
    appender = Appender(storage, CALLS, segment_bytes=5000)
    handled = iter(range(1_000_000, 2_000_000))
    taken: list[int] = []

    def handle(*_: object) -> None:
        number = next(handled)
        appender.append(line(number))
        taken.append(number)

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for number in range(5000):
            appender.append(line(number))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert taken
    assert sorted(numbers(read_lines(storage))) == [*range(5000), *sorted(taken)]


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes that files had when they were forced onto the disk; the forcing is real."""
    sizes: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        sizes.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fsync", fsync)
    return sizes


def test_always_forces_each_line_onto_the_disk_before_it_returns(storage: Path, synced: list[int]) -> None:
    appender = Appender(storage, CALLS, fsync="always")
    sizes = []
    for number in range(3):
        appender.append(line(number))
        sizes.append((storage / "llm_calls.jsonl").stat().st_size)
    assert synced == sizes


def test_never_forces_nothing(storage: Path, synced: list[int]) -> None:
    appender = Appender(storage, CALLS)
    appender.append(line(0))
    appender.sync()
    appender.close()
    assert synced == []


@pytest.mark.slow
def test_interval_forces_many_lines_at_once_in_the_background(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, seen = os.fsync, threading.Event()
    sizes: list[int] = []

    def fsync(descriptor: int) -> None:
        real(descriptor)
        sizes.append(os.fstat(descriptor).st_size)
        seen.set()

    monkeypatch.setattr(os, "fsync", fsync)
    appender = Appender(storage, CALLS, fsync="interval")
    for number in range(100):
        appender.append(line(number))
    assert seen.wait(30)
    assert len(sizes) < 100
    appender.append(line(100))
    appender.close()
    assert sizes[-1] == (storage / "llm_calls.jsonl").stat().st_size


def test_closing_forces_what_waits_and_a_later_line_opens_again(storage: Path, synced: list[int]) -> None:
    appender = Appender(storage, CALLS, fsync="interval")
    appender.append(line(0))
    appender.close()
    assert synced[-1] == (storage / "llm_calls.jsonl").stat().st_size
    assert appender.append(line(1))
    appender.close()
    assert synced[-1] == (storage / "llm_calls.jsonl").stat().st_size


LIMITED = """
import json, resource, sys
from pathlib import Path
from attune_monitoring.store import Appender, CALLS

folder = Path(sys.argv[1])
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
one, other = Appender(folder, CALLS), Appender(folder, CALLS)
taken = []
def write(appender, number):
    if appender.append(json.dumps({"n": number, "pad": "x" * 90}).encode()):
        taken.append(number)
for number in range(500):
    write(one, number)
write(other, 500)
assert one.dropped.total() + other.dropped.total() == 501 - len(taken) > 300
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
write(other, 1000)
write(one, 1001)
write(other, 1002)
print(json.dumps(taken))
"""


def _check_taken(path: Path, taken: list[int]) -> None:
    whole, damaged = [], 0
    for text in path.read_bytes().splitlines():
        try:
            whole.append(json.loads(text)["n"])
        except ValueError:
            damaged += bool(text)
    assert whole == taken
    assert taken[-3:] == [1000, 1001, 1002]
    assert damaged <= 1


def test_a_limit_on_the_size_of_files_damages_one_line_and_loses_no_other(
    storage: Path, run_program: RunProgram
) -> None:
    finished = run_program(LIMITED, storage)
    _check_taken(storage / "llm_calls.jsonl", json.loads(finished.out))


def _read(folder: Path, limit: int, report: ReadReport | None = None, **options: Any) -> list[int]:
    def parse(data: dict[str, Any]) -> int:
        if not isinstance(data, dict) or "n" not in data:
            raise ValueError("no n")
        return int(data["n"])

    options = {"keep": lambda _: True, "order": lambda number: number, **options}
    return read_newest(folder, CALLS, parse, limit=limit, report=report or ReadReport(), **options)


def test_reading_gives_the_newest_oldest_of_them_first(storage: Path) -> None:
    appender = Appender(storage, CALLS, segment_bytes=100)
    count = append_until((storage / "llm_calls.00002.jsonl").exists, appender)
    assert _read(storage, 10) == list(range(count))[-10:]
    assert _read(storage, count + 1) == list(range(count))
    assert _read(storage, 0) == []
    assert _read(storage, 2, keep=lambda number: number < 30) == [28, 29]
    assert _read(storage / "nowhere", 10) == []


def test_files_of_several_writers_are_merged(storage: Path) -> None:
    for slot in (-1, 0, 1):
        appender = Appender(storage, CALLS, slot=slot)
        for number in range(slot + 1, 30, 3):
            appender.append(line(number))
    assert _read(storage, 10) == list(range(20, 30))


def test_a_line_longer_than_what_is_read_at_once_is_read_whole(storage: Path) -> None:
    appender = Appender(storage, CALLS)
    for number, size in enumerate((10, 700_000, 10, 300_000, 262_144)):
        appender.append(line(number, size))
    assert _read(storage, 10) == [0, 1, 2, 3, 4]


def test_lines_that_are_no_records_are_passed_over_counted_and_placed(storage: Path) -> None:
    storage.mkdir()
    deep = b"[" * 100_000 + b"]" * 100_000
    (storage / "llm_calls.jsonl").write_bytes(
        b'{"n":1}\nnot json\n\n   \n[1,2]\n\xff\xfe\n' + deep + b'\n{"m":1}\n{"n":2}\n{"n":3'
    )
    report = ReadReport()
    assert _read(storage, 10, report) == [1, 2]
    assert report.skipped == {"not JSON": 3, "no n": 2}
    assert report.total == 5
    assert "llm_calls.jsonl at byte" in str(report)


def test_slots_are_held_by_one_writer_each_until_they_are_released(storage: Path) -> None:
    first, second = Slot(storage), Slot(storage)
    assert (first.number, second.number) == (0, 1)
    first.release()
    assert Slot(storage).number == 0


def test_a_slot_of_a_killed_process_is_free_again(storage: Path, run_program: RunProgram) -> None:
    code = """
    import os, signal, sys
    from pathlib import Path
    from attune_monitoring.store import Slot
    print(Slot(Path(sys.argv[1])).number, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    for _ in range(2):
        assert run_program(code, storage, status=-signal.SIGKILL).out == "0\n"
    assert Slot(storage).number == 0


def test_a_slot_in_an_impossible_folder_says_which(storage: Path) -> None:
    storage.write_text("mine")
    with pytest.raises(StoreError, match="no writer's slot") as caught:
        Slot(storage)
    assert str(storage) in str(caught.value)
