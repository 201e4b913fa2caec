"""The roll-up survives what happens to files and processes: it never counts twice, and never misses."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from attune_monitoring.history import History
from attune_monitoring.rollup import CALLS, Rollup, Span
from attune_monitoring.rollup.database import VERSION
from attune_monitoring.store import archive
from test_history import NOW, history, plain, shown, some_call, some_run, write

NAME = f".rollup.v{VERSION}.sqlite"
REFRESH = """
import sys
from pathlib import Path
from attune_monitoring.rollup import Rollup
Rollup(Path(sys.argv[1]), clock=lambda: {now}, batch_bytes={batch}).refresh(lambda *_: print(flush=True))
"""


def records(count: int, seed: int = 1) -> tuple[list, list]:
    rnd = random.Random(seed)
    calls = [some_call(rnd, number) for number in range(count)]
    return calls, [some_run(rnd, seed * 1000 + number) for number in range(count // 5)]


def everything(folder: Path) -> object:
    """All that the roll-up tells of a folder."""
    with history(folder) as past:
        past.refresh()
        return (
            shown(past.calls(("workflow", "provider", "model", "tier", "project", "outcome", "error"))),
            {labels: plain(figures) for labels, figures in past.marginal("user").items()},
            {
                labels: (f.runs, f.roots, f.cost, f.root_ms, f.outcomes)
                for labels, f in past.runs(("workflow",)).items()
            },
            {
                labels: (f.stages, round(f.cost, 6), f.outcomes)
                for labels, f in past.stages(("workflow", "stage")).items()
            },
            past.notes(),
        )


def rebuilt(folder: Path, into: Path) -> object:
    into.mkdir(exist_ok=True)
    for file in folder.glob("*.jsonl"):
        (into / file.name).write_bytes(file.read_bytes())
    return everything(into)


def start(folder: Path, *, batch: int = 4_000) -> subprocess.Popen[bytes]:
    code = REFRESH.format(now=NOW, batch=batch)
    return subprocess.Popen([sys.executable, "-c", code, os.fspath(folder)], stdout=subprocess.PIPE)


@pytest.mark.slow
def test_killed_fifty_times_it_has_what_a_fresh_one_has(tmp_path):
    rnd = random.Random(4)
    folder = tmp_path / "folder"
    for number in range(50):
        write(folder, *records(60, seed=number))
        child = start(folder)
        for _ in range(rnd.randrange(12)):  # somewhere in the transaction after this many
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert child.returncode in (-signal.SIGKILL, 0)
    assert everything(folder) == rebuilt(folder, tmp_path / "fresh")


@pytest.mark.slow
def test_several_readers_share_the_work_while_a_writer_goes_on(tmp_path):
    folder = tmp_path / "folder"
    write(folder, *records(300))
    for number in range(5):
        readers = [start(folder) for _ in range(4)]
        write(folder, *records(100, seed=10 + number))
        assert [reader.wait() for reader in readers] == [0, 0, 0, 0]
        for reader in readers:
            reader.stdout.close()
    assert everything(folder) == rebuilt(folder, tmp_path / "fresh")


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database" * 100)


def _hole(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:12288] = b"\xff" * 8192
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [_garbage, _hole, _cut, _emptied, _gone], ids=lambda one: one.__name__)
def test_a_damaged_file_is_made_anew(tmp_path, damage):
    write(tmp_path, *records(200))
    whole = everything(tmp_path)
    damage(tmp_path / NAME)
    for suffix in ("-wal", "-shm"):
        (tmp_path / (NAME + suffix)).unlink(missing_ok=True)
    assert everything(tmp_path) == whole


def test_a_file_that_is_damaged_while_it_is_open_is_made_anew(tmp_path):
    write(tmp_path, *records(200))
    with history(tmp_path) as past:
        past.refresh()
        before = shown(past.calls(("workflow",)))
        for suffix in ("", "-wal", "-shm"):
            file = tmp_path / (NAME + suffix)
            if file.exists():
                with file.open("r+b") as damaged:
                    damaged.write(b"\xff" * file.stat().st_size)
        write(tmp_path, records(1, seed=99)[0])
        past.refresh()
        assert sum(figures["calls"] for figures in shown(past.calls(("workflow",))).values()) >= sum(
            figures["calls"] for figures in before.values()
        )
    assert everything(tmp_path) == rebuilt(tmp_path, tmp_path / "fresh")


def test_where_the_folder_takes_no_file_the_user_s_cache_does(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", os.fspath(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", os.fspath(tmp_path / "cache"))
    monkeypatch.setenv("HOME", os.fspath(tmp_path))
    folder = tmp_path / "folder"
    write(folder, *records(50))
    (folder / NAME).mkdir()
    with Rollup(folder, clock=lambda: NOW) as rollup:
        rollup.refresh()
        assert Path(rollup.place).is_relative_to(tmp_path)
        assert not Path(rollup.place).is_relative_to(folder)
        assert rollup.figures()[()].calls > 40
    (folder / NAME).rmdir()
    assert everything(folder) == rebuilt(folder, tmp_path / "fresh")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size there")
def test_without_room_on_any_disk_it_works_in_memory(tmp_path):
    write(tmp_path, *records(2_000))
    code = f"""
import resource, sys
from pathlib import Path
from attune_monitoring.rollup import Rollup
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
rollup = Rollup(Path(sys.argv[1]), clock=lambda: {NOW})
rollup.refresh()
print(rollup.place, rollup.figures()[()].calls)
"""
    environment = {**os.environ, "XDG_CACHE_HOME": os.fspath(tmp_path / "cache"), "HOME": os.fspath(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code, os.fspath(tmp_path)], env=environment, capture_output=True, text=True, check=True
    )
    place, count = done.stdout.split()
    assert place == ":memory:"
    assert int(count) > 1_800


class TestWhatWasReadIsThereNoMore:
    def test_because_it_was_archived(self, tmp_path):
        write(tmp_path, *records(100))
        with history(tmp_path) as past:
            past.refresh()
            assert past.calls()[()].calls > 80
            archive(tmp_path, now=datetime.fromtimestamp(NOW, UTC), settle=lambda: None)
            write(tmp_path, records(10, seed=5)[0])
            past.refresh()
            assert past.calls()[()].calls <= 10
        assert everything(tmp_path) == rebuilt(tmp_path, tmp_path / "fresh")

    def test_because_the_file_was_cut(self, tmp_path):
        write(tmp_path, records(100)[0])
        file = tmp_path / "llm_calls.jsonl"
        with history(tmp_path) as past:
            past.refresh()
            lines = file.read_bytes().splitlines(keepends=True)
            os.truncate(file, sum(map(len, lines[:30])))
            past.refresh()
            assert past.calls(("workflow",)) != {}
        assert everything(tmp_path) == rebuilt(tmp_path, tmp_path / "fresh")

    def test_because_another_file_took_its_place(self, tmp_path):
        write(tmp_path, records(50)[0])
        with history(tmp_path) as past:
            past.refresh()
            other = tmp_path / "other"
            write(other, records(80, seed=9)[0])
            (other / "llm_calls.jsonl").replace(tmp_path / "llm_calls.jsonl")
            past.refresh()
            fresh = rebuilt(tmp_path, tmp_path / "fresh")
        assert everything(tmp_path) == fresh

    def test_because_all_was_deleted(self, tmp_path):
        write(tmp_path, *records(50))
        with history(tmp_path) as past:
            past.refresh()
            for file in tmp_path.glob("*.jsonl"):
                file.unlink()
            past.refresh()
            assert past.calls() == {}
            assert past.runs() == {}


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone of a process cannot be changed here")
def test_times_without_an_offset_are_read_anew_in_another_time_zone(tmp_path, monkeypatch):
    line = b'{"call_id":"a","timestamp":"2026-11-10T12:00:00"}\n'
    (tmp_path / "llm_calls.jsonl").write_bytes(line)
    noon = datetime(2026, 11, 10, 12, tzinfo=UTC).timestamp()
    found = {}
    try:
        for zone in ("UTC", "America/New_York", "UTC"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            with history(tmp_path) as past:
                past.refresh()
                found[zone] = [
                    hour for hour in (0, 5) if past.calls(span=Span(noon + hour * 3600, noon + hour * 3600 + 60))
                ]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found == {"UTC": [0], "America/New_York": [5]}


def test_a_line_that_is_not_finished_counts_when_it_is(tmp_path):
    write(tmp_path, records(5)[0])
    file = tmp_path / "llm_calls.jsonl"
    data = file.read_bytes()
    half = len(data) - 40
    with history(tmp_path / "half") as past:
        (tmp_path / "half").mkdir()
        other = tmp_path / "half" / "llm_calls.jsonl"
        other.write_bytes(data[:half])
        past.refresh()
        before = past.calls()[()].calls + past.notes().tests
        with other.open("ab") as more:
            more.write(data[half:])
        past.refresh()
        assert (before, past.calls()[()].calls + past.notes().tests) == (4, 5)


def test_a_line_longer_than_a_transaction_reads_does_not_stop_it(tmp_path):
    calls = records(20)[0]
    write(tmp_path, calls[:10])
    with (tmp_path / "llm_calls.jsonl").open("ab") as file:
        file.write(b'{"call_id": "' + b"x" * 50_000 + b'", "timestamp": "2026-11-01T00:00:00Z"}\n')
    write(tmp_path, calls[10:])
    with Rollup(tmp_path, clock=lambda: NOW, batch_bytes=1_000) as rollup:
        rollup.refresh()
        assert rollup.figures()[()].calls + rollup.left_out().get("test", 0) == 21


def test_another_version_s_file_is_left_alone(tmp_path):
    other = tmp_path / ".rollup.v0.sqlite"
    other.write_bytes(b"of another version")
    write(tmp_path, records(5)[0])
    everything(tmp_path)
    assert other.read_bytes() == b"of another version"


def test_only_its_user_may_read_it(tmp_path):
    write(tmp_path, records(5)[0])
    everything(tmp_path)
    assert (tmp_path / NAME).stat().st_mode & 0o077 == 0


def test_without_anything_new_nothing_is_done(tmp_path):
    write(tmp_path, records(5)[0])
    with history(tmp_path) as past:
        assert past.refresh()
        before = (tmp_path / NAME).stat()
        assert not past.refresh()
        assert (tmp_path / NAME).stat().st_mtime_ns == before.st_mtime_ns


def test_progress_ends_with_all_bytes(tmp_path):
    write(tmp_path, *records(200))
    told: list[tuple[int, int]] = []
    with Rollup(tmp_path, clock=lambda: NOW, batch_bytes=20_000) as rollup:
        rollup.refresh(lambda done, total: told.append((done, total)))
    assert len(told) > 3
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] == sum(file.stat().st_size for file in tmp_path.glob("*.jsonl"))


def test_hostile_numbers_and_names_do_no_harm(tmp_path):
    lines = [
        b'{"call_id":"a","timestamp":"2026-11-01T00:00:00Z","input_tokens":9223372036854775807}',
        b'{"call_id":"b","timestamp":"2026-11-01T00:00:00Z","input_tokens":9223372036854775807}',
        b'{"call_id":"c","timestamp":"2026-11-01T00:00:00Z","input_tokens":1e300,"estimated_cost":1.7e308}',
        b'{"call_id":"d","timestamp":"2026-11-01T00:00:00Z","estimated_cost":1.7e308}',
        b'{"call_id":"e","timestamp":"2026-11-01T00:00:00Z","workflow_name":"\\u0000\'; DROP TABLE calls; --"}',
        b'{"call_id":"f","timestamp":"0001-01-01T00:00:00Z","latency_ms":-5}',
        b'{"call_id":"g","timestamp":"9999-12-31T23:59:59Z","latency_ms":9223372036854775807}',
        b'{"call_id":"h","timestamp":"2026-11-01T00:00:00Z","workflow_name":"\\ud800"}',
    ]
    (tmp_path / "llm_calls.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    with history(tmp_path) as past:
        past.refresh()
        figures = past.calls()[()]
        assert figures.calls + sum(past.notes().skipped.values()) == 8
        assert figures.calls >= 7
        assert figures.input == pytest.approx(2 * 2**63)
        assert past.calls(("workflow",)).keys() >= {("",), ("\x00'; DROP TABLE calls; --",)}


def test_a_span_that_the_cells_do_not_have_is_not_claimed_to_be_exact(tmp_path):
    write(tmp_path, records(5)[0])
    with Rollup(tmp_path, clock=lambda: NOW) as rollup:
        rollup.refresh()
        assert rollup.exact(CALLS, Span())
        assert rollup.exact(CALLS, Span(NOW // 60 * 60 - 600, NOW))
        assert not rollup.exact(CALLS, Span(NOW - 601.5, NOW))
        assert not rollup.exact(CALLS, Span(NOW // 3600 * 3600 - 10 * 86400 + 60, NOW))
        assert rollup.exact(CALLS, Span(NOW // 3600 * 3600 - 10 * 86400, NOW // 3600 * 3600 - 5 * 86400))


def test_the_history_and_its_roll_up_close(tmp_path):
    write(tmp_path, records(5)[0])
    past = History(tmp_path, clock=lambda: NOW)
    past.refresh()
    past.close()
    assert past.refresh()
    past.close()
