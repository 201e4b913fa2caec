"""The published empathy-framework 3.8.0 reads our files, we read its files, and its callers' code runs on ours.

Opt-in, because it installs that package from the package index: `make test-compat`, or ATTUNE_COMPAT=1.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attune_monitoring import (
    LLMCallRecord,
    TelemetryStore,
    WorkflowRunRecord,
    annotate,
    llm_call,
    log_llm_call,
    log_workflow_run,
    shutdown,
    stage,
    workflow,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.environ.get("ATTUNE_COMPAT") != "1",
        reason="installs empathy-framework 3.8.0 from the package index: run `make test-compat`",
    ),
]

CALLER = Path(__file__).with_name("old_caller.py")
Run = Callable[[str, Path], Any]


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs the caller's code on the published package, in an environment of its own."""
    folder = tmp_path_factory.mktemp("empathy-framework")
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    # Its telemetry module needs the standard library only; the package as a whole needs some hundred others.
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "empathy-framework==3.8.0"]
    subprocess.run(install, check=True)
    [module] = folder.glob("**/empathy_os/models/telemetry.py")

    def run(action: str, where: Path) -> Any:
        return _run(python, action, module, where)

    return run


def ours(action: str, where: Path) -> Any:
    return _run(Path(sys.executable), action, "attune_monitoring", where)


def _run(python: Path, action: str, module: object, where: Path) -> Any:
    command = [python, CALLER, action, str(module), str(where)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.fixture
def recorded(storage: Path) -> Path:
    """A folder with everything that we write: instrumented calls, nested runs, unknown costs, handed-in records."""
    with annotate(user_id="u", session_id="s", project="p", release="1.2"), workflow("review", trigger="cli"):
        with stage("analyze", tier="cheap"), llm_call(provider="openai", model="gpt-4o-mini") as call:
            call.set_usage(input_tokens=1000, output_tokens=100, cache_read_tokens=500, reasoning_tokens=10)
            call.retry()
            call.set_usage(input_tokens=1000, output_tokens=100)
        with llm_call(provider="nobody", model="no-such-model") as call:
            call.set_usage(input_tokens=5, output_tokens=1)
        with llm_call(provider="anthropic", model="claude-opus-4-5", tier="premium") as call:
            call.fallback(provider="openai", model="gpt-4o-mini", tier="cheap")
            call.set_usage(input_tokens=10, output_tokens=1)
        with stage("write") as skipped:
            skipped.skip("nothing to do")
        with workflow("nested"), llm_call(provider="openai", model="gpt-4o-mini") as call:
            call.set_usage(input_tokens=10, output_tokens=1)
    with pytest.raises(TimeoutError), workflow("failing"), llm_call(provider="openai", model="gpt-4o-mini"):
        raise TimeoutError("late")
    log_llm_call(LLMCallRecord("c1", "2026-01-11T03:47:00", "review", input_tokens=None, estimated_cost=None))
    log_workflow_run(WorkflowRunRecord("r1", "review", "2026-01-11T03:47:00", total_cost=0.5))
    shutdown()
    return storage


def test_the_published_reader_reads_every_call_and_every_root_run(published, recorded):
    found = published("read", recorded)
    store = TelemetryStore(recorded)
    calls = store.get_calls()
    assert [call["call_id"] for call in found["calls"]] == [call.call_id for call in calls]
    roots = [run for run in store.get_workflows() if run.parent_run_id is None]
    assert sorted(run["run_id"] for run in found["runs"]) == sorted(run.run_id for run in roots)
    assert len(calls) == 6
    assert len(roots) == 3


def test_the_published_readers_sums_are_ours_and_no_null_breaks_them(published, recorded):
    found = published("read", recorded)
    store = TelemetryStore(recorded)
    calls = store.get_calls()
    roots = [run for run in store.get_workflows() if run.parent_run_id is None]
    assert found["cost"] == pytest.approx(sum(call.cost or 0.0 for call in calls))
    report = found["cost_savings_report"]
    assert report["workflow_count"] == len(roots)
    assert report["total_actual_cost"] == pytest.approx(sum(run.total_cost for run in roots))
    assert report["total_savings"] == pytest.approx(sum(run.savings for run in roots))
    assert found["fallback_stats"]["fallback_count"] == 1
    assert found["fallback_stats"]["error_count"] == 1
    usage = found["provider_usage_summary"]["openai"]
    openai = [call for call in calls if call.provider == "openai"]
    assert usage["call_count"] == len(openai)
    assert usage["total_tokens"] == sum((call.input_tokens or 0) + (call.output_tokens or 0) for call in openai)


def test_the_same_caller_writes_the_same_lines_with_either_package(published, tmp_path):
    theirs, mine = tmp_path / "theirs", tmp_path / "mine"
    assert published("write", theirs) == ours("write", mine) == [True, True]
    for name in ("llm_calls.jsonl", "workflow_runs.jsonl"):
        lines = [[json.loads(line) for line in (folder / name).read_text().splitlines()] for folder in (theirs, mine)]
        assert lines[0] == lines[1]
        assert [list(line) for line in lines[0]] == [list(line) for line in lines[1]]


def as_published(mine: Any, theirs: Any) -> Any:
    """Ours without what the published package does not have; its averages of time are 0 whatever was recorded."""
    if isinstance(theirs, dict):
        averages = ("avg_duration_ms", "avg_latency_ms")
        return {key: value if key in averages else as_published(mine[key], value) for key, value in theirs.items()}
    if isinstance(theirs, list) and len(theirs) == len(mine):
        return [as_published(*both) for both in zip(mine, theirs, strict=True)]
    return mine


@pytest.mark.parametrize("writer", ["published", "ours"])
def test_either_package_reads_what_either_wrote(published, tmp_path, writer):
    folder = tmp_path / "naive"
    (published if writer == "published" else ours)("write", folder)
    theirs, mine = published("read", folder), ours("read", folder)
    assert as_published(mine, theirs) == theirs
    assert mine["since"] == ["r1"]
    assert mine["provider_usage_summary"].keys() == theirs["provider_usage_summary"].keys()
    assert [row["avg_duration_ms"] for row in mine["top_expensive_workflows"]] == [120000]
