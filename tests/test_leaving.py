"""How a program ends: by itself or by SIGTERM, with a backend or a dead one, nothing is lost and nobody waits."""

from __future__ import annotations

import itertools
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from attune_monitoring import flush, llm_call
from harness import ReadLines, RunProgram, StartProgram
from otlp_receiver import Receiver, black_hole, closed_port, receive

slow = pytest.mark.slow
PROTOCOLS = ["http/protobuf", "grpc"]


def call() -> None:
    with llm_call(provider="openai", model="gpt-4o-mini") as one:
        one.set_usage(input_tokens=10, output_tokens=1)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receive() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.endpoint)
        yield found


DEAD = """
import json, os, sys, time
from attune_monitoring import llm_call
for _ in range(50):
    with llm_call(provider="openai", model="gpt-4o-mini") as call:
        call.set_usage(input_tokens=1, output_tokens=1)
print("done", flush=True)
"""


@contextmanager
def unavailable() -> Iterator[str]:
    with receive() as backend:
        backend.status = 503
        yield backend.endpoint


@contextmanager
def unavailable_grpc() -> Iterator[str]:
    with receive("grpc") as backend:
        backend.status = 503
        yield backend.endpoint


def _seconds_to_end(program: subprocess.Popen[str]) -> tuple[float, str]:
    assert program.stdout is not None and program.stderr is not None
    assert program.stdout.readline() == "done\n"
    begun = time.perf_counter()
    program.wait(120)
    seconds = time.perf_counter() - begun
    assert program.returncode == 0
    assert program.stdout.read() == ""
    return seconds, program.stderr.read()


@slow
@pytest.mark.parametrize(
    ("protocol", "backend"),
    [
        *itertools.product(PROTOCOLS, (closed_port, black_hole)),
        ("http/protobuf", unavailable),
        ("grpc", unavailable_grpc),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_dead_backend_costs_a_program_no_record_no_noise_and_no_long_goodbye(
    storage: Path,
    read_lines: ReadLines,
    start_program: StartProgram,
    protocol: str,
    backend: Callable[[], AbstractContextManager[str]],
) -> None:
    without, _ = _seconds_to_end(start_program(DEAD))
    with backend() as endpoint:
        program = start_program(DEAD, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
        seconds, err = _seconds_to_end(program)
    assert len(read_lines(storage)) == 100
    assert len(err.splitlines()) <= 1
    assert not err or err.startswith("Spans could not be delivered")
    assert seconds - without < 4.0  # the figure itself is measured by benchmarks/exit.py, on a quiet machine


NO_THREADS_AT_EXIT = """
import atexit, threading
from attune_monitoring import llm_call
with llm_call(provider="openai", model="gpt-4o-mini") as call:
    call.set_usage(input_tokens=1, output_tokens=1)
def refuse(*_):
    raise RuntimeError("can't create new thread at interpreter shutdown")
def end():
    threading.Thread.start = refuse
atexit.register(end)
"""


@slow
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_interpreter_that_starts_no_thread_while_it_ends_delivers_all(
    run_program: RunProgram, protocol: Any
) -> None:
    """As Python does from 3.12 on."""
    with receive(protocol) as backend:
        run_program(
            NO_THREADS_AT_EXIT, OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint, OTEL_EXPORTER_OTLP_PROTOCOL=protocol
        )
        assert len(backend.spans) == 1
        assert backend.total("attune.llm.calls") == 1


# --- SIGTERM
WAITING = """
import os, signal, sys, threading
from attune_monitoring import llm_call, workflow
def use():
    with llm_call(provider="openai", model="gpt-4o-mini") as call:
        call.set_usage(input_tokens=1, output_tokens=1)
"""
THEN_WAIT = """
print("ready", flush=True)
threading.Event().wait()
"""


def _terminate(program: subprocess.Popen[str]) -> tuple[int, str, str]:
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    program.terminate()
    out, err = program.communicate(timeout=60)
    return program.returncode, out, err


@slow
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_terminated_program_delivers_first_and_dies_of_the_signal(start_program: StartProgram, protocol: Any) -> None:
    with receive(protocol) as backend:
        program = start_program(
            WAITING + "use()" + THEN_WAIT,
            OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        )
        assert _terminate(program) == (-signal.SIGTERM, "", "")
        assert len(backend.spans) == 1
        assert backend.total("attune.llm.calls") == 1


@slow
def test_a_program_terminated_in_the_middle_of_a_run_records_it_as_incomplete(
    start_program: StartProgram, storage: Path, read_lines: ReadLines
) -> None:
    with receive() as backend:
        code = WAITING + "with workflow('w'):\n    use()\n" + THEN_WAIT.replace("\n", "\n    ")
        status, *_ = _terminate(start_program(code, OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint))
    assert status == -signal.SIGTERM
    [run] = read_lines(storage, "workflow_details")
    assert run["metadata"]["attune"]["complete"] is False


@slow
def test_a_program_terminated_while_it_records_dies_of_the_signal(start_program: StartProgram) -> None:
    """Whatever locks the interrupted code holds."""
    with receive() as backend:
        code = WAITING + "print('ready', flush=True)\nwhile True: use()\n"
        status, *_ = _terminate(start_program(code, OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint))
    assert status == -signal.SIGTERM


@slow
@pytest.mark.parametrize("order", ["before", "after"])
def test_the_applications_own_handler_stays(start_program: StartProgram, order: str) -> None:
    own = "signal.signal(signal.SIGTERM, lambda *_: (print('mine', flush=True), sys.exit(3)))\n"
    code = own + "use()" if order == "before" else "use()\n" + own
    with receive() as backend:
        program = start_program(WAITING + code + THEN_WAIT, OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint)
        assert _terminate(program) == (3, "mine\n", "")
        assert len(backend.spans) == 1


def test_without_a_backend_no_handler_is_installed() -> None:
    before = signal.getsignal(signal.SIGTERM)
    call()
    assert signal.getsignal(signal.SIGTERM) is before


def test_used_first_in_another_thread_no_handler_is_installed(receiver: Receiver) -> None:
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert flush(30) and len(receiver.spans) == 1
    assert signal.getsignal(signal.SIGTERM) is before
