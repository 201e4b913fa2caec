"""The workflow that starts the stack on a machine with Docker: what it runs exists. It cannot be run here."""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from attune_monitoring.cli import main

ROOT = Path(__file__).parent.parent
FLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "stack.yml").read_text("utf-8"))
EVENTS = FLOW[True]  # YAML 1.1 takes `on` for a truth value
STEPS = [(job, step) for job, its in FLOW["jobs"].items() for step in its["steps"]]
LINES = [line.strip() for _, step in STEPS for line in step.get("run", "").splitlines()]


def commands(name: str) -> Iterator[list[str]]:
    """The words of each use of a program, up to what ends a command."""
    for line in LINES:
        for found in re.finditer(rf"\b{name} ([^;>|)]*)", line):
            yield shlex.split(found[1])


OURS = sorted({tuple(words) for words in commands("empathy")})


@pytest.mark.parametrize("words", OURS, ids=" ".join)
def test_every_command_exists_with_its_options(words, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([*words, "--help"])
    assert exit_.value.code in (0, None), capsys.readouterr().err


def test_the_commands_are_those_that_the_stack_is_for():
    assert {" ".join(words[:2]) for words in OURS} == {
        "alerts lint", "alerts test", "demo --otlp", "signoz provision", "telemetry summary",
    }  # fmt: skip


def test_the_tool_takes_the_options_that_it_is_given(capsys):
    tool = runpy.run_path(str(ROOT / "tools" / "query_panels.py"))
    for words in commands("tools/query_panels.py"):
        with pytest.raises(SystemExit) as exit_:
            tool["main"]([*words, "--help"])
        assert exit_.value.code == 0, capsys.readouterr().err


def test_every_profile_and_file_that_is_named_is_there():
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    profiles = {one for service in compose["services"].values() for one in service.get("profiles", ())}
    assert {
        word for words in commands("docker compose") for word in re.findall(r"--profile (\S+)", " ".join(words))
    } <= (profiles)
    files = [file for job in FLOW["jobs"].values() for file in job.get("env", {}).get("COMPOSE_FILE", "").split(":")]
    named = [word for words in OURS for word in words if word.endswith(".yaml")]
    assert all((ROOT / name).is_file() for name in (*filter(None, files), *named))


def test_every_path_that_starts_it_is_there():
    for event in ("push", "pull_request"):
        for path in EVENTS[event]["paths"]:
            assert next(ROOT.glob(path), None) is not None, path


@pytest.mark.parametrize("job", FLOW["jobs"])
def test_a_job_stops_what_it_has_started_whatever_happens(job):
    last = FLOW["jobs"][job]["steps"][-1]
    assert last["if"] == "always()"
    assert re.fullmatch(r"docker compose (--profile demo )?down --volumes", last["run"])


def test_it_may_only_read_the_repository():
    assert FLOW["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in FLOW["jobs"].values())
