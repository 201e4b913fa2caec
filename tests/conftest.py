"""Every test has a folder of its own, an environment without our variables, and OpenTelemetry as it is at the start."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.util._once import Once

from attune_monitoring.store import segments
from harness import STRANGER, Finished, InChild, ReadLines, RunProgram, StartProgram

_OURS = ("OTEL_", "EMPATHY_", "PYTEST_CURRENT_TEST", "PYTEST_VERSION")
_metrics: Any = importlib.import_module("opentelemetry.metrics._internal")
_trace: Any = trace


def _without_ours(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(_OURS)}


def _turn_off_instrumentations() -> None:
    """What `instrument()` turned on stays on for the process: a later test must not see it."""
    for module, name in (("openai", "OpenAIInstrumentor"), ("anthropic", "AnthropicInstrumentor")):
        loaded: Any = sys.modules.get(f"opentelemetry.instrumentation.genai.{module}")
        if loaded is not None and getattr(loaded, name)().is_instrumented_by_opentelemetry:
            getattr(loaded, name)().uninstrument()
        base: Any = sys.modules.get(f"{module}._base_client")
        for client in ("SyncAPIClient", "AsyncAPIClient") if base is not None else ():
            kind = getattr(base, client)
            if hasattr(kind.request, "__attune_observed__"):
                kind.request = kind.request.__wrapped__


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in os.environ.keys() - _without_ours(os.environ).keys():
        if name.startswith(("OTEL_", "EMPATHY_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("EMPATHY_STORAGE_DIR", str(tmp_path / ".empathy"))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "localhost,127.0.0.1")
    before = signal.getsignal(signal.SIGTERM)
    yield
    providers: Any = sys.modules.get("attune_monitoring.providers")
    if providers is not None:
        providers.shutdown(0.1)  # the test's backend is gone by now
        providers._off = False
    _turn_off_instrumentations()
    _trace._TRACER_PROVIDER, _trace._TRACER_PROVIDER_SET_ONCE = None, Once()
    _metrics._METER_PROVIDER, _metrics._METER_PROVIDER_SET_ONCE = None, Once()
    if signal.getsignal(signal.SIGTERM) is not before:
        signal.signal(signal.SIGTERM, before)


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """The folder that everything in this test records to; it does not exist yet."""
    return tmp_path / ".empathy"


@pytest.fixture
def read_lines() -> ReadLines:
    """Returns all objects of a stream, segment after segment; a line that is torn fails the test."""

    def read(folder: Path, stream: str = "llm_calls") -> list[dict[str, Any]]:
        return [
            json.loads(line)
            for segment in segments(folder, stream)
            for line in segment.path.read_bytes().split(b"\n")
            if line
        ]

    return read


@pytest.fixture
def start_program(tmp_path: Path, storage: Path) -> Iterator[StartProgram]:
    """Starts a program of its own process in the test's folder; keywords are environment variables."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *arguments: object, **environment: object) -> subprocess.Popen[str]:
        file = tmp_path / f"program{len(started)}.py"
        file.write_text(textwrap.dedent(code))
        program = subprocess.Popen(
            [sys.executable, str(file), *map(str, arguments)],
            cwd=tmp_path,
            env={
                **_without_ours(os.environ),
                "EMPATHY_STORAGE_DIR": str(storage),
                **{name: str(value) for name, value in environment.items()},
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(program)
        return program

    yield start
    for program in started:
        if program.poll() is None:
            program.kill()
        program.communicate()


@pytest.fixture
def run_program(start_program: StartProgram) -> RunProgram:
    """Runs such a program to its end, which must be the exit status that is asked for."""

    def run(code: str, *arguments: object, status: int = 0, **environment: object) -> Finished:
        program = start_program(code, *arguments, **environment)
        out, err = program.communicate(timeout=120)
        finished = Finished(program.returncode, out, err)
        assert finished.status == status, finished
        return finished

    return run


@pytest.fixture
def strangers_folder() -> Iterator[Path]:
    """A folder of `STRANGER`, which that user can reach."""
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    with tempfile.TemporaryDirectory() as top:
        Path(top).chmod(0o755)
        folder = Path(top, "folder")
        folder.mkdir(mode=0o700)
        os.chown(folder, STRANGER, STRANGER)
        yield folder


@pytest.fixture
def in_child() -> InChild:
    """Runs a function in a forked child."""

    def run(work: Callable[[], object]) -> int:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                work()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    return run
