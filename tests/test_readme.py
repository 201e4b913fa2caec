"""What README.md promises to a newcomer: its programs run as printed, and its commands exist."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from attune_monitoring.cli.demo_provider import simulated_provider
from markdown_blocks import blocks

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PROGRAMS = [block.text for block in blocks(README, "python")]


def run(program: str, folder: Path, address: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EMPATHY_")}
    environment |= {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": f"{address}/v1", "HOME": str(folder.parent)}
    (folder / "program.py").write_text(program, "utf-8")
    return subprocess.run(
        [sys.executable, "program.py"], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.mark.slow
def test_the_quick_start_records_its_call_with_the_real_client(folder: Path) -> None:
    with simulated_provider() as address:
        done = run(PROGRAMS[0], folder, address)
    assert done.stdout == "The retry loop never resets its counter, so the third call always fails.\n"
    assert done.stderr == ""
    [line] = (folder / ".empathy" / "llm_calls.jsonl").read_text("utf-8").splitlines()
    call = json.loads(line)
    assert (call["provider"], call["model_id"], call["success"]) == ("openai", "gpt-5-mini", True)
    assert (call["input_tokens"], call["output_tokens"]) == (1840, 96)
    assert call["estimated_cost"] > 0
    assert call["step_name"] == "ask"


@pytest.mark.slow
def test_the_second_program_continues_the_first_and_records_a_run(folder: Path) -> None:
    with simulated_provider() as address:
        run("".join(PROGRAMS[:2]), folder, address)
    [line] = (folder / ".empathy" / "workflow_runs.jsonl").read_text("utf-8").splitlines()
    record = json.loads(line)
    assert record["workflow_name"] == "review"
    assert [stage["stage_name"] for stage in record["stages"]] == ["analyze", "explain"]
    assert record["total_cost"] > 0


def test_all_programs_are_tested_here() -> None:
    assert len(PROGRAMS) == 2


def test_the_two_lines_are_marked_and_are_all_there_is_of_us() -> None:
    ours = [line for line in PROGRAMS[0].splitlines() if "attune" in line or "llm_call" in line]
    assert [line.rpartition("# ")[2] for line in ours] == ["one", "two"]


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in (README, ROOT / "CONTRIBUTING.md"):
        named = set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE))
        assert named
        assert named <= targets


def test_ci_runs_the_command_that_the_readme_names_for_tests() -> None:
    [script] = [line for line in (ROOT / ".ci" / "run").read_text("utf-8").splitlines() if line.startswith("exec ")]
    assert script == "exec make test"
    assert "\nmake test " in README.read_text("utf-8")
