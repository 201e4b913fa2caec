"""What the local folder promises when processes are killed, forked, or lose their disk: real processes, real faults."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import STRANGER, Finished, ReadLines, RunProgram, StartProgram
from otlp_receiver import Receiver, receive

pytestmark = pytest.mark.slow

CALLS = """
import json, os, signal, sys, threading
from attune_monitoring import annotate, llm_call, stage, workflow

def call(number):
    with llm_call(provider="openai", model="gpt-4o-mini", step=str(number)) as call:
        call.set_usage(input_tokens=1, output_tokens=1)
"""


@pytest.fixture
def run_calls(run_program: RunProgram) -> Callable[..., Finished]:
    def run(code: str, *arguments: object, **options: Any) -> Finished:
        return run_program(CALLS + code, *arguments, **options)

    return run


def steps(lines: list[dict[str, Any]]) -> list[int]:
    return sorted(int(line["step_name"]) for line in lines)


@pytest.mark.parametrize("after", [1, 1000])
def test_killed_right_after_a_call_every_record_is_on_disk(
    run_calls: Callable[..., Finished], storage: Path, read_lines: ReadLines, after: int
) -> None:
    code = """
for number in range(int(sys.argv[1])):
    call(number)
os.kill(os.getpid(), signal.SIGKILL)
"""
    run_calls(code, after, status=-signal.SIGKILL)
    assert steps(read_lines(storage)) == list(range(after))


def test_killed_in_the_middle_of_a_run_the_calls_keep_its_id(
    run_calls: Callable[..., Finished], storage: Path, read_lines: ReadLines
) -> None:
    code = """
with workflow("w") as run:
    print(run.run_id, flush=True)
    call(0)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    run_id = run_calls(code, status=-signal.SIGKILL).out.strip()
    [record] = read_lines(storage)
    assert record["metadata"]["run_id"] == run_id
    assert read_lines(storage, "workflow_runs") == []


# Segments are limited to 64 KiB at least by the configuration: each of the processes fills several.
FOUR_BY_FOUR = """
def work(base):
    for number in range(base, base + 500):
        call(number)

def process(base):
    threads = [threading.Thread(target=work, args=(base + 500 * thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

process(int(sys.argv[1]))
"""


def small_segments(folder: Path) -> Path:
    path = folder / "monitoring.yaml"
    path.write_text("backends:\n  - type: jsonl\n    segment_size: 64KiB\n")
    return path


class Tail:
    """Reads all segments of a stream as they grow: whole lines only, each once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._offsets: dict[Path, int] = {}
        self.lines: list[dict[str, Any]] = []

    def read(self) -> None:
        for path in self._folder.glob("llm_calls*.jsonl"):
            with path.open("rb") as file:
                file.seek(self._offsets.get(path, 0))
                whole, newline, _ = file.read().rpartition(b"\n")
                self._offsets[path] = self._offsets.get(path, 0) + len(whole) + len(newline)
                self.lines += [json.loads(line) for line in whole.split(b"\n") if line]


def test_four_processes_of_four_threads_lose_double_and_tear_nothing_while_somebody_reads(
    tmp_path: Path, storage: Path, start_program: StartProgram, read_lines: ReadLines
) -> None:
    config = small_segments(tmp_path)
    programs = [start_program(CALLS + FOUR_BY_FOUR, base, EMPATHY_CONFIG=config) for base in range(0, 8000, 2000)]
    tail = Tail(storage)
    while any(program.poll() is None for program in programs):
        tail.read()
    tail.read()
    assert [program.returncode for program in programs] == [0, 0, 0, 0]
    assert steps(read_lines(storage)) == list(range(8000))
    assert steps(tail.lines) == list(range(8000))
    assert len(list(storage.glob("llm_calls.0*.jsonl"))) > 8
    assert len({line["call_id"] for line in tail.lines}) == 8000


FORKED = """
with annotate(project="p"):
    call(0)
children = []
for child in range(4):
    pid = os.fork()
    if pid == 0:
        for number in range(child * 100 + 1, child * 100 + 101):
            call(number)
        os._exit(0)
    children.append(pid)
for number in range(401, 500):
    call(number)
assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
"""


def test_short_lived_forked_children_leave_all_records(
    run_calls: Callable[..., Finished], storage: Path, read_lines: ReadLines
) -> None:
    run_calls(FORKED)
    lines = read_lines(storage)
    assert steps(lines) == list(range(500))
    by_process = Counter(line["metadata"]["attune"]["pid"] for line in lines)
    assert sorted(by_process.values()) == [100] * 5


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receive() as found:
        yield found


MULTIPROCESSING = """
import multiprocessing

def work(base):
    for number in range(base, base + 100):
        call(number)

if __name__ == "__main__":
    work(0)
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=work, args=(base,)) for base in range(100, 500, 100)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 4
"""


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_children_of_multiprocessing_deliver_spans_and_metrics_too(
    run_calls: Callable[..., Finished],
    storage: Path,
    read_lines: ReadLines,
    protocol: Any,
) -> None:
    with receive(protocol) as receiver:
        run_calls(
            MULTIPROCESSING,
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        )
        assert steps(read_lines(storage)) == list(range(500))
        assert sorted(int(span.attributes["attune.step.name"]) for span in receiver.spans) == list(range(500))
        assert receiver.total("attune.llm.calls") == 500
        assert len({span.resource["service.instance.id"] for span in receiver.spans}) == 5


def test_children_of_multiprocessing_write_what_waits_in_the_background(
    run_calls: Callable[..., Finished], storage: Path, read_lines: ReadLines
) -> None:
    run_calls(MULTIPROCESSING, EMPATHY_WRITE="background")
    assert steps(read_lines(storage)) == list(range(500))


PREFORK = """
@workflow("request")
def handle(base):
    with stage("answer", tier="cheap"):
        for number in range(base, base + 10):
            call(number)

handle(0)
pids = []
for worker in range(3):
    pid = os.fork()
    if pid == 0:
        for request in range(10):
            handle(10 + worker * 100 + request * 10)
        sys.exit(0)
    pids.append(pid)
assert all(os.waitpid(pid, 0)[1] == 0 for pid in pids)
handle(310)
"""


def test_workers_forked_from_a_loaded_program_record_whole_runs(
    run_calls: Callable[..., Finished], storage: Path, read_lines: ReadLines, receiver: Receiver
) -> None:
    run_calls(PREFORK, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
    calls, runs = read_lines(storage), read_lines(storage, "workflow_details")
    assert steps(calls) == list(range(320))
    assert len({run["run_id"] for run in runs}) == len(runs) == 32
    for run in runs:
        mine = [line for line in calls if line["metadata"]["run_id"] == run["run_id"]]
        extra = run["metadata"]["attune"]
        assert (len(mine), extra["call_count"], run["total_input_tokens"], run["success"]) == (10, 10, 10, True)
        assert {line["metadata"]["attune"]["pid"] for line in mine} == {extra["pid"]}
    assert len(receiver.named("invoke_workflow request")) == 32
    assert receiver.total("attune.llm.calls") == 320
    assert receiver.total("attune.workflow.runs") == 32


FORKED_INSIDE_A_RUN = """
with workflow("w") as run:
    call(0)
    pid = os.fork()
    if pid == 0:
        call(1)
        os._exit(0)
    os.waitpid(pid, 0)
"""


def test_a_child_forked_inside_a_run_records_calls_of_that_run_and_leaves_the_run_to_its_parent(
    run_calls: Callable[..., Finished], storage: Path, read_lines: ReadLines
) -> None:
    run_calls(FORKED_INSIDE_A_RUN)
    [run] = read_lines(storage, "workflow_details")
    assert run["metadata"]["attune"]["call_count"] == 1
    assert {line["metadata"]["run_id"] for line in read_lines(storage)} == {run["run_id"]}


# --- the disk
FULL = """
from attune_monitoring import providers
from attune_monitoring.store import CALLS

ballast = os.environ["BALLAST"]
taken = []
def write(number):
    before = providers._active.files.dropped.total() if providers._active else 0
    call(number)
    if providers._active.files.dropped.total() == before:
        taken.append(number)
for number in range(3000):
    write(number)
lost = providers._active.files.dropped.total()
os.unlink(ballast)
for number in range(3000, 3100):
    write(number)
from attune_monitoring import flush
print(json.dumps({"taken": taken, "lost": lost, "flushed": [flush(), flush()]}))
"""


def check_full(folder: Path, finished: Finished, count: int) -> None:
    said = json.loads(finished.out)
    whole, damaged = [], 0
    for line in (folder / "llm_calls.jsonl").read_bytes().splitlines():
        try:
            whole.append(int(json.loads(line)["step_name"]))
        except ValueError:
            damaged += bool(line)
    assert whole == said["taken"]
    assert whole[-100:] == list(range(count, count + 100))
    assert said["lost"] == count - (len(whole) - 100) > 0
    assert damaged <= 1
    assert said["flushed"] == [False, True]
    assert finished.err.count("could not be written") in (1, 2)  # a short write, then none at all
    assert len(finished.err.splitlines()) <= 2


def test_on_a_full_disk_the_program_goes_on_counts_its_losses_and_recovers(
    tmp_path: Path, run_calls: Callable[..., Finished]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        (disk / "ballast").write_bytes(b"x" * 500_000)
        finished = run_calls(FULL, EMPATHY_STORAGE_DIR=disk / ".empathy", BALLAST=disk / "ballast")
        check_full(disk / ".empathy", finished, 3000)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


LIMITED = """
import resource
from attune_monitoring import flush, providers

hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
taken = []
def write(number):
    before = providers._active.files.dropped.total() if providers._active else 0
    call(number)
    if providers._active.files.dropped.total() == before:
        taken.append(number)
for number in range(1000):
    write(number)
lost = providers._active.files.dropped.total()
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
for number in range(1000, 1100):
    write(number)
print(json.dumps({"taken": taken, "lost": lost, "flushed": [flush(), flush()]}))
"""


def test_at_a_limit_on_the_size_of_files_the_program_goes_on_counts_its_losses_and_recovers(
    storage: Path, run_calls: Callable[..., Finished]
) -> None:
    check_full(storage, run_calls(LIMITED), 1000)


READ_ONLY = """
from attune_monitoring import flush, providers
with annotate(project="configured, and nothing written yet"):
    os.setuid(int(sys.argv[1]))
for number in range(100):
    call(number)
print(providers._active.files.dropped.total(), flush())
"""


def test_in_a_read_only_folder_the_program_goes_on_and_says_so_once(
    run_calls: Callable[..., Finished], strangers_folder: Path
) -> None:
    strangers_folder.chmod(0o500)
    finished = run_calls(READ_ONLY, STRANGER, EMPATHY_STORAGE_DIR=strangers_folder)
    assert finished.out == "100 False\n"
    assert len(finished.err.splitlines()) == 1
    assert os.strerror(errno.EACCES) in finished.err and str(strangers_folder) in finished.err
    assert list(strangers_folder.iterdir()) == []


WRITER = """
from attune_monitoring import providers
print("ready", flush=True)
count = 0
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
base = int(sys.argv[1])
while not stop.is_set():
    call(base + count)
    count += 1
for _ in range(2_000):
    call(base + count)
    count += 1
print(json.dumps([count, providers._active.files.dropped.total()]))
"""
BASE = 10_000_000


def _finish(programs: list[subprocess.Popen[str]]) -> list[list[int]]:
    said = []
    for program in programs:
        out, err = program.communicate("stop\n", timeout=120)
        assert program.returncode == 0, err
        assert len(err.splitlines()) <= 1, err
        said.append(json.loads(out.splitlines()[-1]))
    return said


def _started(start_program: StartProgram) -> list[subprocess.Popen[str]]:
    programs = [start_program(CALLS + WRITER, BASE * number) for number in range(4)]
    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
    return programs


def _wait_for(path: Path) -> None:
    while not path.exists() or path.stat().st_size < 100_000:
        os.sched_yield()


def test_a_folder_deleted_while_four_processes_write_is_made_anew_and_the_rest_is_whole(
    start_program: StartProgram, storage: Path, read_lines: ReadLines
) -> None:
    programs = _started(start_program)
    for _ in range(3):
        _wait_for(storage / "llm_calls.jsonl")
        shutil.rmtree(storage, ignore_errors=True)  # fails where a writer was faster
    said = _finish(programs)
    found = steps(read_lines(storage))
    for number, (count, dropped) in enumerate(said):
        mine = [step - BASE * number for step in found if BASE * number <= step < BASE * (number + 1)]
        # All that was written since the last deletion stands there, but for what was counted.
        assert count - mine[0] - len(mine) <= dropped
        assert len(mine) >= 1_000
        assert len(set(mine)) == len(mine)


def test_files_archived_while_four_processes_write_hold_with_the_new_ones_every_line(
    start_program: StartProgram, storage: Path, tmp_path: Path, read_lines: ReadLines
) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    programs = _started(start_program)
    for number in range(1, 11):
        _wait_for(storage / "llm_calls.jsonl")
        (storage / "llm_calls.jsonl").rename(archive / f"llm_calls.{number:05d}.jsonl")
    said = _finish(programs)
    found = steps(read_lines(storage) + read_lines(archive))
    expected = [BASE * number + step for number, (count, _) in enumerate(said) for step in range(count)]
    assert found == expected
    assert [dropped for _, dropped in said] == [0, 0, 0, 0]
