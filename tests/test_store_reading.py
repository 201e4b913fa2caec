"""Reading lines while they are written, rotated, archived, cut and damaged: all of them, once, in bounded memory."""

from __future__ import annotations

import json
import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, encode_call, parse_time
from attune_monitoring.store import (
    CALLS,
    MAX_LINE_BYTES,
    RUNS,
    Appender,
    Checkpoint,
    ReadReport,
    Tail,
    archive,
    read_all,
    read_forward,
    read_newest,
)
from attune_monitoring.store.scan import read_backward
from harness import InChild, RunProgram, StartProgram

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def path(storage: Path) -> Path:
    """A segment that is not there yet, in a folder that is."""
    storage.mkdir()
    return storage / f"{CALLS}.jsonl"


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def long_line(path: Path, size: int) -> None:
    """Append a line of `size` zero bytes, which take no room on the disk."""
    with path.open("ab") as file:
        file.truncate(file.tell() + size)
    append(path, b"\n")


# The lines of one file


@pytest.mark.parametrize("chunk_bytes", [1, 3, 7, 8, 1000])
def test_chunks_are_the_file_up_to_its_last_newline_whatever_their_size(path: Path, chunk_bytes: int) -> None:
    path.write_bytes(b"one\ntwo\n\n\nthree is longer\nunfinished")
    chunks = list(read_forward(path, chunk_bytes=chunk_bytes))
    assert b"".join(chunk.data for chunk in chunks) == b"one\ntwo\n\n\nthree is longer\n"
    assert all(chunk.data.endswith(b"\n") for chunk in chunks)
    assert [chunk.start for chunk in chunks] == [0, *(chunk.end for chunk in chunks[:-1])]
    assert chunks[-1].end == 26


def test_reading_goes_on_where_it_ended(path: Path) -> None:
    path.write_bytes(b"one\ntw")
    (chunk,) = read_forward(path)
    append(path, b"o\nthree\n")
    assert [one.data for one in read_forward(path, chunk.end)] == [b"two\nthree\n"]


def test_no_line_is_given_that_ends_beyond_the_limit(path: Path) -> None:
    path.write_bytes(b"one\ntwo\nthree\n")
    assert [chunk.data for until in (3, 4, 7, 8, 99) for chunk in read_forward(path, until=until)] == [
        b"one\n",
        b"one\n",
        b"one\ntwo\n",
        b"one\ntwo\nthree\n",
    ]


def test_a_writer_that_is_faster_than_its_reader_does_not_keep_it(path: Path) -> None:
    path.write_bytes(b"one\ntwo\n")
    given = []
    for chunk in read_forward(path, chunk_bytes=4):
        given.append(chunk.data)
        append(path, b"more\n")
    assert given == [b"one\n", b"two\n"]


def test_a_file_that_is_cut_while_it_is_read_ends_there(path: Path) -> None:
    path.write_bytes(b"one\ntwo\nthree\n")
    forward, backward = read_forward(path, chunk_bytes=4), read_backward(path)
    assert next(forward).data == b"one\n"
    os.truncate(path, 4)
    assert list(forward) == []
    assert [line.data for line in backward] == [b"one"]


def test_a_file_that_is_not_there_has_no_lines(storage: Path) -> None:
    assert list(read_forward(storage / "none")) == []
    assert list(read_backward(storage / "none")) == []


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_regular_file_is_refused_and_keeps_nobody_waiting(path: Path, make: Any) -> None:
    make(path)
    for read in (read_forward, read_backward):
        with pytest.raises(OSError, match="regular file"):
            next(iter(read(path)))


@pytest.mark.parametrize("size", [MAX_LINE_BYTES, MAX_LINE_BYTES + 1])
def test_the_longest_line_is_given_and_the_next_longer_passed_over(path: Path, size: int) -> None:
    path.write_bytes(b"one\n")
    long_line(path, size)
    append(path, b"two\n")
    too_long = size > MAX_LINE_BYTES
    chunks = list(read_forward(path, chunk_bytes=1 << 20))
    assert b"".join(chunk.data for chunk in chunks).replace(b"\0", b"") == (
        b"one\ntwo\n" if too_long else b"one\n\ntwo\n"
    )
    assert [(chunk.start, chunk.end) for chunk in chunks if chunk.too_long] == ([(4, 5 + size)] if too_long else [])
    assert chunks[-1].end == size + 9
    assert [(len(line.data), line.start, line.end, line.too_long) for line in read_backward(path)] == [
        (3, size + 5, size + 9, False),
        (0 if too_long else size, 4, size + 5, too_long),
        (3, 0, 4, False),
    ]


def test_an_unfinished_line_is_not_given_however_long(path: Path) -> None:
    path.write_bytes(b"one\n")
    with path.open("ab") as file:
        file.truncate(3 * MAX_LINE_BYTES)
    assert [chunk.data for chunk in read_forward(path)] == [b"one\n"]
    assert [line.data for line in read_backward(path)] == [b"one"]


def test_lines_backwards_are_those_forwards_with_the_same_places(path: Path) -> None:
    chance = random.Random(1)
    lines = [b"x" * chance.choice((0, 1, 5, 262_143, 262_144, 262_145, 600_000)) for _ in range(60)]
    path.write_bytes(b"\n".join(lines) + b"\nunfinished")
    backward = list(read_backward(path))[::-1]
    assert [line.data for line in backward] == lines
    content = path.read_bytes()
    assert all(content[line.start : line.end] == line.data + b"\n" for line in backward)
    assert [line.data for line in read_backward(path, until=backward[40].end - 1)] == lines[:40][::-1]


MEMORY = """
import json, resource, sys
from pathlib import Path
from attune_monitoring.store import CALLS, ReadReport, Tail, read_all, read_newest
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
def same(value):
    return value
folder, before = Path(sys.argv[1]), peak()
report = ReadReport()
forward = list(read_all(folder, CALLS, same, order=same, report=report))
backward = read_newest(folder, CALLS, same, keep=bool, order=same, limit=9, report=report)
tail = Tail(folder, CALLS, from_end=False)
print(json.dumps([forward, backward, len(tail.poll()), tail.too_long, list(report.skipped.values()), peak() - before]))
"""


@pytest.mark.slow
def test_a_line_of_400_mb_is_not_held_in_memory(path: Path, run_program: RunProgram) -> None:
    path.write_bytes(b'{"n":1}\n')
    long_line(path, 400 * 1024 * 1024)
    append(path, b'{"n":2}\n')
    *read, megabytes = json.loads(run_program(MEMORY, path.parent).out)
    records = [{"n": 1}, {"n": 2}]
    assert read == [records, records, 2, 1, [2]]
    assert megabytes < 80


# Records


def _number(data: Any) -> int:
    if not isinstance(data, dict) or "n" not in data:
        raise ValueError("no n")
    return int(data["n"])


def _all(folder: Path, report: ReadReport | None = None, **options: Any) -> list[int]:
    return list(read_all(folder, CALLS, _number, order=lambda n: n, report=report or ReadReport(), **options))


def _newest(folder: Path, report: ReadReport | None = None, **options: Any) -> list[int]:
    return read_newest(
        folder,
        CALLS,
        _number,
        keep=lambda _: True,
        order=lambda n: n,
        limit=1000,
        report=report or ReadReport(),
        **options,
    )


def test_all_records_come_oldest_first_segment_after_segment(storage: Path, path: Path) -> None:
    for number in range(4):
        name = f"{CALLS}.{number:05d}.jsonl" if number else path.name
        (storage / name).write_bytes(b'{"n":%d}\n{"n":%d}\n' % (2 * number, 2 * number + 1))
    assert _all(storage) == list(range(8))
    assert _all(storage / "nowhere") == []


def test_the_files_of_several_writers_are_merged(storage: Path, path: Path) -> None:
    for slot in (-1, 0, 1):
        name = f"{CALLS}.w{slot}.jsonl" if slot >= 0 else path.name
        (storage / name).write_bytes(b"".join(b'{"n":%d}\n' % number for number in range(slot + 1, 30, 3)))
    assert _all(storage) == list(range(30))


def test_what_is_read_forwards_is_what_is_read_backwards_and_so_are_the_reports(storage: Path, path: Path) -> None:
    path.write_bytes(b'{"n":1}\r\n\n \t\r\nnot json\n[]\n\xff\n\xef\xbb\xbf{"n":2}\n{"n":3}\n\0\0\n{"n":4}\n{"n":5')
    reports = [ReadReport(), ReadReport()]
    assert _all(storage, reports[0]) == _newest(storage, reports[1]) == [1, 3, 4]
    assert reports[0].skipped == reports[1].skipped == {"not JSON": 4, "no n": 1}
    assert {one.offset for one in reports[0].samples["no n"]} == {one.offset for one in reports[1].samples["no n"]}


def test_whole_segments_from_before_the_time_are_not_opened(storage: Path, path: Path) -> None:
    since = NOW - timedelta(days=7)
    for number, (recorded, written) in enumerate([(9, 9), (9, 1), (1, 9), (7, 7)]):
        segment = storage / f"{CALLS}.{number + 1:05d}.jsonl"
        record = {"n": number, "timestamp": (NOW - timedelta(days=recorded)).isoformat()}
        segment.write_text(json.dumps(record) + "\n")
        os.utime(segment, ((NOW - timedelta(days=written)).timestamp(),) * 2)
    assert _all(storage, since=since) == _newest(storage, since=since) == [1, 2, 3]


def test_a_sample_says_where_a_line_stands_without_its_secrets_and_control_characters(path: Path) -> None:
    secret = b"sk-" + b"a1" * 20
    path.write_bytes(b'{"n":1}\n\x1b[31mkey ' + secret + b" " + b"x" * 200 + b"\n")
    report = ReadReport()
    _all(path.parent, report)
    (sample,) = report.samples["not JSON"]
    assert (sample.path, sample.offset) == (path, 8)
    assert sample.excerpt.startswith("·[31mkey *** xxx")
    assert len(sample.excerpt) <= 81


def test_a_report_keeps_three_samples_of_a_reason_and_counts_all(path: Path) -> None:
    path.write_bytes(b"bad\n" * 1000)
    report = ReadReport()
    _all(path.parent, report)
    assert report.to_dict() == {
        "total": 1000,
        "reasons": {
            "not JSON": {
                "count": 1000,
                "samples": [{"path": str(path), "offset": offset, "excerpt": "bad"} for offset in (0, 4, 8)],
            }
        },
    }
    assert json.loads(json.dumps(report.to_dict())) == report.to_dict()


def test_the_reasons_of_a_report_are_bounded_whatever_stands_in_the_lines(path: Path) -> None:
    def refuse(data: Any) -> int:
        raise ValueError(f"no record: {data}")

    path.write_bytes(b"".join(b"%d\n" % number for number in range(1000)))
    report = ReadReport()
    assert list(read_all(path.parent, CALLS, refuse, order=lambda n: n, report=report)) == []
    assert len(report.skipped) <= 21
    assert report.total == 1000


def test_a_segment_that_cannot_be_read_is_reported_and_the_others_are_read(storage: Path, path: Path) -> None:
    path.mkdir()
    (storage / f"{CALLS}.00001.jsonl").write_bytes(b'{"n":1}\n')
    for read in (_all, _newest):
        report = ReadReport()
        assert read(storage, report) == [1]
        assert report.skipped == {"file that cannot be read": 1}


def _base_lines() -> list[bytes]:
    call = LLMCallRecord(
        "c1", "2026-03-01T12:00:00Z", model_id="claude-haiku-4-5", input_tokens=100, actual_cost=0.25, run_id="r1"
    )
    old = {"call_id": "c2", "timestamp": "2026-01-11T03:47:00.400225", "metadata": {"run_id": None}}
    return [encode_call(call), json.dumps(old).encode()]


_SPLICES = (
    *(b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e-999", b"9" * 30, b"1" * 5000, b"null", b"true", b"{}", b"[]"),
    *(b"[" * 5000, b'{"a":' * 3000, b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\r\n", b"\n", b"\n\n"),
    *(b'"', b"\\", b"\\ud800", b"\\u0000", b'"9999-99-99T99:99:99Z"', b'"0001-01-01T00:00:00+23:59"', b" " * 50),
)
_VALUES = (b"null", b"[]", b'{"a":[1]}', b'"x"', b"-1", b"1e308", b"9" * 25, b"true", b'"9999-12-31T23:59:59-23:59"')


def _mutations(count: int) -> Iterator[bytes]:
    """Damaged lines: cut, spliced, with bytes changed, with values of other types."""
    chance = random.Random(20260301)
    bases = _base_lines()
    for _ in range(count):
        line = bases[chance.random() < 0.5]
        at = int(chance.random() * len(line))
        match int(chance.random() * 5):
            case 0:
                yield line[:at]
            case 1:
                yield line[:at] + _SPLICES[int(chance.random() * len(_SPLICES))] + line[at:]
            case 2:
                yield line[:at] + bytes([int(chance.random() * 256)]) + line[at + 1 :]
            case 3:
                yield line[at:] + bases[0][: int(chance.random() * 200)]
            case _:  # another value for a key
                start = line.find(b":", at) + 1 or line.find(b":") + 1
                end = min(at for at in (line.find(b",", start), line.find(b"}", start)) if at > 0)
                yield line[:start] + _VALUES[int(chance.random() * len(_VALUES))] + line[end:]


@pytest.mark.parametrize("count", [10_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_of_mutated_lines_every_one_is_a_record_or_counted(path: Path, count: int) -> None:
    mutations, records = _mutations(count), 0
    report = ReadReport()
    while batch := [line for line, _ in zip(mutations, range(10_000), strict=False)]:
        data = b"\n".join(batch) + b"\n"
        path.write_bytes(data)
        before = report.total
        found = sum(1 for _ in read_all(path.parent, CALLS, LLMCallRecord.from_dict, order=id, report=report))
        assert found + report.total - before == sum(1 for line in data.split(b"\n") if line.strip())
        records += found
    assert records > count / 10
    assert report.total > count / 10
    assert len(report.skipped) <= 21


@pytest.mark.slow
def test_mutated_lines_read_backwards_are_the_same_records(path: Path) -> None:
    path.write_bytes(b"\n".join(_mutations(3000)) + b"\n")
    reports = [ReadReport(), ReadReport()]
    forward = list(read_all(path.parent, CALLS, LLMCallRecord.from_dict, order=id, report=reports[0]))
    options: dict[str, Any] = {"keep": lambda _: True, "order": id, "limit": 10_000}
    backward = read_newest(path.parent, CALLS, LLMCallRecord.from_dict, report=reports[1], **options)
    assert forward == backward
    assert reports[0].skipped == reports[1].skipped


def test_mutated_lines_do_not_stop_the_reading_of_runs(path: Path) -> None:
    run = json.dumps({"run_id": "r", "workflow_name": "w", "started_at": "2026-03-01T12:00:00Z", "stages": [{}]})
    (path.parent / f"{RUNS}.jsonl").write_bytes(b"\n".join([*_mutations(2000), run.encode()]) + b"\n")
    report = ReadReport()
    read = read_all(
        path.parent, RUNS, WorkflowRunRecord.from_dict, order=lambda one: parse_time(one.started_at), report=report
    )
    assert [one.run_id for one in read] == ["r"]


# Checkpoints


def test_a_checkpoint_holds_while_its_file_grows(path: Path) -> None:
    path.write_bytes(b"one\n")
    checkpoint = Checkpoint.at(path, 4)
    for _ in range(3):
        append(path, b"x" * 200 + b"\n")
        assert checkpoint.holds(path)


def test_a_checkpoint_does_not_hold_for_a_file_that_is_cut_rewritten_replaced_or_gone(path: Path) -> None:
    def holds_after(change: Any) -> bool:
        path.write_bytes(b"one\ntwo\n")
        checkpoint = Checkpoint.at(path, 8)
        change()
        return checkpoint.holds(path)

    other = path.with_name("other")
    assert holds_after(lambda: None)
    assert not holds_after(lambda: os.truncate(path, 7))
    assert not holds_after(lambda: path.write_bytes(b"two\none\nmore\n"))
    assert not holds_after(lambda: (other.write_bytes(path.read_bytes()), other.replace(path)))
    assert not holds_after(path.unlink)


def test_a_checkpoint_of_a_file_that_is_not_there_is_an_error(storage: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Checkpoint.at(storage / "none", 0)


# Following


def test_a_follower_gives_complete_new_lines_once(storage: Path, path: Path) -> None:
    tail = Tail(storage, CALLS, from_end=False)
    append(path, b"one\ntw")
    assert tail.poll() == [b"one"]
    assert tail.poll() == []
    append(path, b"o\n\nthree\n")
    assert tail.poll() == [b"two", b"three"]


def test_a_follower_from_the_end_leaves_out_what_is_there_but_not_an_unfinished_line(storage: Path, path: Path) -> None:
    append(path, b"one\ntw")
    (storage / f"{CALLS}.w0.jsonl").write_bytes(b"old\n")
    tail = Tail(storage, CALLS, from_end=True)
    append(path, b"o\n")
    append(storage / f"{CALLS}.w1.jsonl", b"three\n")
    assert tail.poll() == [b"two", b"three"]


def test_a_follower_waits_for_a_folder_that_is_made_later(storage: Path) -> None:
    tail = Tail(storage, CALLS, from_end=True)
    assert tail.poll() == []
    Appender(storage, CALLS).append(b"{}")
    assert tail.poll() == [b"{}"]


def test_a_follower_sees_lines_that_go_to_an_older_segment_when_there_is_a_newer(storage: Path, path: Path) -> None:
    newer = storage / f"{CALLS}.00001.jsonl"
    tail = Tail(storage, CALLS, from_end=False)
    append(path, b"one\n")
    append(newer, b"two\n")
    assert tail.poll() == [b"one", b"two"]
    append(newer, b"four\n")
    append(path, b"three\n")
    assert tail.poll() == [b"three", b"four"]


def test_a_follower_reads_a_truncated_file_from_its_beginning(storage: Path, path: Path) -> None:
    append(path, b"one\ntwo\n")
    tail = Tail(storage, CALLS, from_end=True)
    os.truncate(path, 0)
    append(path, b"new\n")
    assert tail.poll() == [b"new"]


def test_a_follower_reads_a_replaced_file_from_its_beginning_though_it_is_longer(storage: Path, path: Path) -> None:
    append(path, b"one\n")
    tail = Tail(storage, CALLS, from_end=True)
    other = storage / "other"
    other.write_bytes(b"new\nnewer\n")
    other.replace(path)
    assert tail.poll() == [b"new", b"newer"]


def test_a_follower_reads_a_file_that_was_deleted_and_made_anew(storage: Path, path: Path) -> None:
    append(path, b"one\n")
    tail = Tail(storage, CALLS, from_end=True)
    path.unlink()
    assert tail.poll() == []
    append(path, b"two\n")
    assert tail.poll() == [b"two"]


def test_a_follower_passes_over_a_line_that_nobody_holds_and_counts_it(storage: Path, path: Path) -> None:
    tail = Tail(storage, CALLS, from_end=False)
    long_line(path, MAX_LINE_BYTES + 1)
    append(path, b"one\n")
    assert (tail.poll(), tail.too_long) == ([b"one"], 1)


def test_a_follower_sees_a_segment_that_came_and_was_archived_between_two_looks(storage: Path, path: Path) -> None:
    append(path, b"old\n")
    archive(storage, now=NOW, settle=lambda: None)
    tail = Tail(storage, CALLS, from_end=False)
    for text in (b"one\n", b"two\n"):
        append(path, text)
        archive(storage, now=NOW, settle=lambda: None)
    append(path, b"three\n")
    assert tail.poll() == [b"one", b"two", b"three"]
    assert tail.poll() == []


def test_a_follower_that_begins_while_another_archives_gives_nothing_old(storage: Path, path: Path) -> None:
    append(path, b"old\n")
    tails = []
    archive(storage, now=NOW, settle=lambda: tails.append(Tail(storage, CALLS, from_end=True)))
    assert tails[0].poll() == []


def test_a_follower_gives_up_on_a_killed_archiver_after_ten_seconds_and_reads_what_is_there(
    storage: Path, path: Path
) -> None:
    clock = [0.0]
    append(path, b"one\n")
    tail = Tail(storage, CALLS, from_end=True, clock=lambda: clock[0])
    append(path, b"two\n")
    working = storage / "archive" / ".20260301T120000Z"
    working.mkdir(parents=True)
    path.rename(working / path.name)
    given = []
    for clock[0] in (1.0, 10.0, 11.5, 30.0):
        given.append(tail.poll())
    working.rename(working.with_name(working.name[1:]))
    given.append(tail.poll())
    assert given == [[], [], [b"two"], [], []]


def test_a_follower_reads_a_segment_that_came_back_from_the_archive_and_went_again(storage: Path, path: Path) -> None:
    append(path, b"one\n")
    folder = archive(storage, now=NOW, settle=lambda: None).folder
    tail = Tail(storage, CALLS, from_end=True)
    assert folder is not None
    (folder / path.name).rename(path)
    assert tail.poll() == [b"one"]
    append(path, b"two\n")
    archive(storage, now=NOW + timedelta(days=1), settle=lambda: None)
    assert tail.poll() == [b"two"]


def _at(event: str, place: Path, count: int, act: Callable[[], None]) -> None:
    """Do something right before the interpreter does `event` at `place` for the time number `count`; stays for good."""
    happened = 0

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal happened
        if name == event and str(arguments[0]) == str(place):
            happened += 1
            if happened == count:
                act()

    sys.addaudithook(hook)


@pytest.mark.slow
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_follower_misses_and_doubles_nothing_when_a_segment_is_archived_while_it_reads(
    storage: Path, path: Path, in_child: InChild, count: int, known: bool
) -> None:
    def work() -> None:
        append(path, b"one\n")
        tail = Tail(storage, CALLS, from_end=False)
        given = tail.poll() if known else []
        append(path, b"two\n")

        def replace() -> None:
            archive(storage, now=NOW, settle=lambda: None)
            append(path, b"three\nand four\n")

        _at("open", path, count, replace)
        for _ in range(3):
            given += tail.poll()
        assert (storage / "archive").exists()
        assert sorted(given) == [b"and four", b"one", b"three", b"two"]

    assert in_child(work) == 0


def test_a_follower_misses_nothing_when_a_segment_is_archived_while_it_begins(
    storage: Path, path: Path, in_child: InChild
) -> None:
    def work() -> None:
        append(path, b"one\n")

        def go() -> None:
            append(path, b"two\n")
            archive(storage, now=NOW, settle=lambda: None)

        _at("os.listdir", storage / "archive", 1, go)
        assert Tail(storage, CALLS, from_end=True).poll() == [b"two"]

    assert in_child(work) == 0


WRITER = """
import mmap, os, sys, time
from pathlib import Path
from attune_monitoring.store import CALLS, Appender
folder, me = Path(sys.argv[1]), int(sys.argv[2])
with open(sys.argv[3], "r+b") as file:
    beats = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")
appender = Appender(folder, CALLS, segment_bytes=20_000)
number, last = 0, 0.0
try:
    while not beats[4]:
        appender.append(b'{"w":%d,"n":%d}' % (me, number))
        number += 1
        if time.monotonic() - last > 0.011:  # longer than a writer trusts its file
            last = time.monotonic()
            beats[me] += 1
        os.sched_yield()
finally:
    beats[me] = 1 << 62
print(number)
"""

ARCHIVER = """
import mmap, os, sys
from datetime import UTC, datetime
from pathlib import Path
from attune_monitoring.store import CALLS, archive
folder = Path(sys.argv[1])
with open(sys.argv[2], "r+b") as file:
    beats = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")

def settle():
    # Three beats of each writer after now: it has looked at its file's path in between.
    wanted = [beats[writer] + 3 for writer in range(4)]
    while any(beats[writer] < wanted[writer] < 1 << 62 for writer in range(4)):
        os.sched_yield()

late = 0
try:
    settle()
    for turn in range(int(sys.argv[3])):
        now = datetime.now(UTC)
        late += archive(folder, now=now, before=now if turn % 2 else None, settle=settle).late_lines
finally:
    beats[4] = 1
print(late)
"""


@pytest.mark.slow
def test_with_four_writers_rotation_and_an_archiver_a_follower_sees_every_line_once(
    storage: Path, tmp_path: Path, start_program: StartProgram
) -> None:
    shared = tmp_path / "beats"
    shared.write_bytes(bytes(40))
    tail = Tail(storage, CALLS, from_end=True)
    writers = [start_program(WRITER, storage, number, shared) for number in range(4)]
    archiver = start_program(ARCHIVER, storage, shared, 30)
    seen: Counter[bytes] = Counter()
    while archiver.poll() is None or any(writer.poll() is None for writer in writers):
        seen.update(tail.poll())
    seen.update(tail.poll())
    written = Counter(
        b'{"w":%d,"n":%d}' % (number, index)
        for number, writer in enumerate(writers)
        for index in range(int(writer.communicate()[0]))
    )
    late, error = archiver.communicate()
    assert int(late) > 0, error
    assert seen == written
    on_disk = Counter(
        line for path in storage.rglob(f"{CALLS}*.jsonl") for line in path.read_bytes().split(b"\n") if line
    )
    assert on_disk == written
