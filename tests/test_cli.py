"""The `empathy` command as a user's shell sees it: what it prints, its exit status, and what it does not load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from attune_monitoring import LLMCallRecord, TelemetryStore, WorkflowRunRecord
from attune_monitoring.cli import main

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's root that is the working directory, with the folder that belongs to it."""
    monkeypatch.delenv("EMPATHY_STORAGE_DIR", raising=False)
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def empathy(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command in this process; returns its exit status, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_:
            main(arguments)
        out, err = capsys.readouterr()
        return int(exit_.value.code or 0), out, err

    return run


def call(**fields: object) -> LLMCallRecord:
    given = {"call_id": "c", "timestamp": "2026-01-11T03:47:00Z", "model_id": "gpt-5-mini", "estimated_cost": 0.25}
    return LLMCallRecord.from_dict(given | fields)


def run_of(name: str, **fields: object) -> WorkflowRunRecord:
    given = {"run_id": "r", "workflow_name": name, "started_at": "2026-01-11T03:47:00Z", "total_duration_ms": 1500}
    return WorkflowRunRecord.from_dict(given | fields)


def test_without_data_it_shows_the_two_lines_and_makes_no_folder(project, empathy):
    status, out, _ = empathy()
    assert status == 0
    assert "from attune_monitoring import llm_call" in out
    assert "@llm_call" in out
    assert f".{os.sep}.empathy" in out
    assert sorted(path.name for path in project.iterdir()) == ["pyproject.toml"]


def test_with_runs_it_shows_the_newest_ones_and_how_many_there_are(project, empathy):
    store = TelemetryStore()
    store.log_call(call())
    store.log_workflow(run_of("review", total_cost=1.5, success=False, error="too long"))
    status, out, _ = empathy()
    assert status == 0
    assert "holds 1 LLM call and 1 workflow run." in out
    assert "review  1.50 USD  1.50 s  failed: too long" in out


def test_with_data_the_next_step_is_to_ask_what_it_cost(project, empathy):
    TelemetryStore().log_call(call())
    assert "empathy telemetry summary" in empathy()[1]


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "gpt-5-mini  0.250 USD  0 ms  ok"),
        ({"success": False, "error_type": "overloaded_error"}, "failed: overloaded_error"),
    ],
)
def test_with_calls_alone_it_shows_the_newest_calls(project, empathy, fields, line):
    TelemetryStore().log_call(call(**fields))
    assert line in empathy()[1]


def test_a_cost_that_is_not_known_is_not_shown_as_zero(project, empathy):
    record = LLMCallRecord(call_id="c", timestamp="2026-01-11T03:47:00Z", model_id="tiny", estimated_cost=None)
    TelemetryStore().log_call(record)
    assert "tiny  cost unknown" in empathy()[1]


def test_lines_that_are_no_records_are_reported_and_the_others_shown(project, empathy):
    store = TelemetryStore()
    store.log_call(call())
    with store.calls_file.open("a", encoding="utf-8") as file:
        file.write("not json\n")
    out = empathy()[1]
    assert "gpt-5-mini  0.250 USD" in out
    assert "Passed over: 1 × not JSON" in out


@pytest.mark.parametrize("variable", ["OTEL_SDK_DISABLED=true", "EMPATHY_TELEMETRY=off"])
def test_it_says_that_recording_is_off(project, empathy, monkeypatch, variable):
    monkeypatch.setenv(*variable.split("="))
    assert "Recording is off" in empathy()[1]


def test_what_a_record_says_cannot_steer_the_terminal(project, empathy):
    TelemetryStore().log_workflow(run_of("\x1b[31mred", success=False, error="\x1b]0;title\x07"))
    assert "\x1b" not in empathy()[1]


def test_it_says_that_no_files_are_written(project, empathy):
    (project / "monitoring.yaml").write_text("backends: [otel]\n", "utf-8")
    assert "Records are not written to files" in empathy()[1]


def test_a_faulty_configuration_is_a_message_and_status_1(project, empathy):
    (project / "monitoring.yaml").write_text("servce_name: x\n", "utf-8")
    status, out, err = empathy()
    assert (status, out) == (1, "")
    assert "monitoring.yaml:1:1" in err
    assert "Traceback" not in err


def test_a_secret_in_an_error_is_not_shown(project, empathy, monkeypatch):
    monkeypatch.setenv("EMPATHY_TELEMETRY", "sk-ant-REDACTED")
    status, _, err = empathy()
    assert status == 1
    assert "0123456789" not in err


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the system's administrator reads it all")
def test_records_that_cannot_be_read_are_a_message_and_status_1(project, empathy):
    store = TelemetryStore()
    store.log_call(call())
    store.calls_file.chmod(0)
    status, _, err = empathy()
    assert status == 1
    assert "llm_calls.jsonl: cannot be read" in err


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["demo", "--nonsense"]])
def test_wrong_usage_has_status_2(project, empathy, arguments):
    status, _, err = empathy(*arguments)
    assert status == 2
    assert "Error: No such" in err


def test_version_and_help(project, empathy):
    assert empathy("--version")[1].startswith("attune-monitoring 0.")
    status, out, _ = empathy("--help")
    assert status == 0
    assert "Record a small simulated pipeline" in out


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_reading_commands_load_neither_the_sdk_nor_requests(project, arguments):
    TelemetryStore().log_call(call())
    code = (
        "import sys, json\n"
        "from attune_monitoring.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "finally:\n    json.dump(sorted(sys.modules), sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    loaded = json.loads(done.stderr)
    assert "attune_monitoring.cli" in loaded
    assert not [name for name in loaded if name.startswith(("opentelemetry.sdk", "requests", "urllib3", "grpc"))]


@pytest.mark.parametrize("name", ["empathy", "attune-monitoring"])
def test_it_is_installed_under_both_names_and_calls_itself_as_it_was_called(project, name):
    script = Path(sys.executable).with_name(name)
    environment = os.environ | {"PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([script], capture_output=True, text=True, check=True, env=environment)
    assert f"Help: {name} --help" in done.stdout


def test_where_its_name_leads_to_another_command_it_calls_itself_by_its_path(project):
    script = Path(sys.executable).with_name("empathy")
    other = project / "bin" / "empathy"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    environment = os.environ | {"PATH": str(other.parent)}
    done = subprocess.run([script], capture_output=True, text=True, check=True, env=environment)
    assert f"Help: {script} --help" in done.stdout


def test_a_terminal_that_cannot_show_a_name_gets_the_rest(project):
    TelemetryStore().log_workflow(run_of("prüfung → ende"))
    script = Path(sys.executable).with_name("empathy")
    environment = os.environ | {"PYTHONIOENCODING": "latin-1"}
    done = subprocess.run([script], capture_output=True, encoding="latin-1", check=True, env=environment)
    assert "prüfung ? ende" in done.stdout
