"""`empathy telemetry doctor` finds what is wrong, says what to do, and shows no secret."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attune_monitoring.cli import main
from attune_monitoring.cli.telemetry.checks.folder import megabytes
from attune_monitoring.cli.telemetry.checks.installation import owners, requirements, version_key
from attune_monitoring.records import LLMCallRecord, encode_call

Examine = Callable[..., tuple[int, dict[str, list[dict[str, Any]]]]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's root that is the working directory."""
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def examine(project: Path, capsys: pytest.CaptureFixture[str]) -> Examine:
    """Returns the exit status, and the findings by topic."""

    def run(*arguments: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
        with pytest.raises(SystemExit) as exit_:
            main(["telemetry", "doctor", "--format", "json", *arguments])
        found: dict[str, list[dict[str, Any]]] = {}
        for one in json.loads(capsys.readouterr().out)["data"]["checks"]:
            found.setdefault(one["topic"], []).append(one)
        return int(exit_.value.code or 0), found

    return run


def call(**fields: Any) -> LLMCallRecord:
    given = {"call_id": "c", "timestamp": "2026-01-11T03:47:00Z", "model_id": "gpt-5-mini", "provider": "openai"}
    return LLMCallRecord(**(given | {"estimated_cost": 0.1, "cost_source": "table", "pid": 7} | fields))


def write(folder: Path, *calls: LLMCallRecord, lines: bytes = b"") -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / "llm_calls.jsonl"
    path.write_bytes(b"".join(encode_call(one) + b"\n" for one in calls) + lines)
    path.chmod(0o600)


def texts(findings: list[dict[str, Any]], mark: str | None = None) -> str:
    return "\n".join(f"{one['text']}\n{one['advice'] or ''}" for one in findings if mark in (None, one["mark"]))


def test_a_fresh_project_has_nothing_to_mend_and_no_folder_is_made(examine, project):
    status, found = examine()
    assert status == 0
    assert "does not exist yet" in texts(found["Folder"])
    assert not (project / ".empathy").exists()


def test_every_fault_of_the_configuration_is_told_with_line_and_column_and_the_rest_is_checked_still(examine, project):
    (project / "monitoring.yaml").write_text("service_nam: x\nsampling:\n  ratio: 7\n")
    status, found = examine()
    assert status == 1
    errors = texts(found["Configuration"], "error")
    assert "monitoring.yaml:1:1" in errors
    assert "monitoring.yaml:3:10" in errors
    assert found["Records"]


def test_endpoints_and_variables_are_shown_without_their_secrets(examine, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://ann:hunter2@otlp.example:4318/?key=opensesame")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=opensesame")
    _, found = examine()
    shown = json.dumps(found)
    assert "otlp.example:4318" in shown
    assert "hunter2" not in shown
    assert "opensesame" not in shown


def test_a_sampler_is_told_with_what_it_means_for_others(examine, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.1")
    _, found = examine()
    assert "0.1 of traces" in texts(found["Sampling"])
    assert "other instrumentations" in texts(found["Sampling"], "warning")


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [("EMPATHY_TELEMETRY", "off", "nothing is recorded"), ("EMPATHY_CAPTURE_CONTENT", "true", "prompts and answers")],
)
def test_what_is_off_or_sensitive_is_a_warning(examine, monkeypatch, variable, value, told):
    monkeypatch.setenv(variable, value)
    assert told in texts(examine()[1]["Configuration"], "warning")


def test_what_others_can_read_is_a_warning_with_the_mend(examine, storage):
    write(storage, call())
    storage.chmod(0o755)
    (storage / "llm_calls.jsonl").chmod(0o644)
    told = texts(examine()[1]["Folder"], "warning")
    assert "chmod 700" in told
    assert "chmod 600" in told


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_an_error(examine, storage):
    write(storage, call())
    storage.chmod(0o500)
    status, found = examine()
    storage.chmod(0o700)
    assert status == 1
    assert "cannot be written" in texts(found["Folder"], "error")


def test_a_file_in_the_place_of_the_folder_is_an_error(examine, storage):
    storage.write_text("")
    status, found = examine()
    assert status == 1
    assert "is no folder" in texts(found["Folder"], "error")


def test_records_are_counted_with_their_times(examine, storage):
    write(storage, call(), call(call_id="d", timestamp="2026-02-11T03:47:00Z"))
    assert "2 calls and 0 runs, 2026-01-1" in texts(examine()[1]["Records"])


def test_lines_that_are_no_records_are_told_with_a_place(examine, storage):
    write(storage, call(), lines=b"damaged\n[]\n")
    told = texts(examine()[1]["Records"], "warning")
    assert "1 line passed over: not JSON, e.g. llm_calls.jsonl at byte" in told
    assert told.count("passed over") == 2


def test_models_without_a_price_are_told_with_the_lines_that_price_them(examine, storage):
    write(storage, call(provider="ollama", model_id="my-llama", estimated_cost=None, cost_source=None))
    told = texts(examine()[1]["Records"], "warning")
    assert "the cost of 1 call is not known" in told
    assert '    "ollama/my-llama": {input: 0.0, output: 0.0}' in told


def test_a_suggested_price_must_be_filled_in_where_it_may_not_be_nothing(examine, storage, project):
    write(storage, call(provider="some", model_id='big"one', estimated_cost=None, cost_source=None))
    lines = texts(examine()[1]["Records"], "warning").splitlines()
    start = lines.index("pricing:")
    (project / "monitoring.yaml").write_text("\n".join(lines[start : start + 3]) + "\n")
    status, found = examine()
    assert status == 1
    assert "found 'USD'" in texts(found["Configuration"], "error")


def test_the_suggested_prices_are_a_valid_configuration(examine, storage, project):
    write(storage, call(provider="ollama", model_id="my-llama", estimated_cost=None, cost_source=None))
    advice = texts(examine()[1]["Records"], "warning")
    lines = advice.splitlines()
    start = lines.index("pricing:")
    (project / "monitoring.yaml").write_text("\n".join(lines[start : start + 3]) + "\n")
    status, found = examine()
    assert status == 0
    assert "priced today" in texts(found["Records"], "warning")


def test_records_made_under_pytest_are_told(examine, storage):
    write(storage, call(), call(call_id="d", under_pytest=True))
    assert "1 record made under pytest" in texts(examine()[1]["Records"], "warning")


def test_the_roll_up_is_told_with_its_place(examine, storage):
    write(storage, call())
    assert "roll-up: " in texts(examine()[1]["Records"])


def test_what_is_dropped_is_said_to_be_counted_elsewhere(examine):
    assert "attune.records.dropped" in texts(examine()[1]["Records"])


def test_another_distribution_with_the_same_command_is_told(examine, tmp_path, monkeypatch):
    other = tmp_path / "site" / "empathy_framework-3.8.0.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: empathy-framework\nVersion: 3.8.0\n")
    (other / "entry_points.txt").write_text("[console_scripts]\nempathy = empathy_os.cli:main\n")
    (tmp_path / "site" / "empathy_os").mkdir()
    (tmp_path / "site" / "empathy_os" / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert owners("empathy") == ["attune-monitoring", "empathy-framework"]
    _, found = examine()
    assert "use the command `attune-monitoring`" in texts(found["Installation"], "warning")
    assert "empathy_os of the Empathy Framework is installed" in texts(found["Installation"])


def test_another_program_that_comes_first_in_the_path_is_told(examine, tmp_path, monkeypatch):
    script = tmp_path / "bin" / "empathy"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\nfrom empathy_os.cli import main\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent))
    assert "is another program" in texts(examine()[1]["Installation"], "warning")


def test_a_package_that_is_missing_or_too_old_is_an_error_with_the_mend():
    found = requirements(["click>=999", "no-such-package>=1.0", "pytest>=1.0"])
    assert [one.mark for one in found] == ["error", "error"]
    assert found[0].advice == "pip install --upgrade 'click>=999'"
    assert found[1].advice == "pip install 'no-such-package>=1.0'"


def test_extras_are_told_whether_they_are_there():
    (found,) = requirements(['pytest>=1; extra == "one"', 'no-such-package>=1; extra == "two"'])
    assert found.text == "extras: one; not installed: two"


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.9", "1.10"),
        ("1.32.0b1", "1.32"),
        ("0.53b0", "0.53b1"),
        ("1.0rc1", "1.0"),
        ("1.0.dev3", "1.0a1"),
        ("2", "2.0.1"),
    ],
)
def test_versions_are_ordered_as_pip_orders_them(older, newer):
    assert version_key(older) < version_key(newer)


def test_a_zero_at_the_end_of_a_version_says_nothing():
    assert version_key("1.32") == version_key("1.32.0")


@pytest.mark.parametrize(("size", "text"), [(0, "0.0 kB"), (1500, "1.5 kB"), (2_000_000, "2.0 MB"), (3e9, "3.0 GB")])
def test_sizes_are_for_people(size, text):
    assert megabytes(size) == text


@pytest.mark.parametrize("columns", [80, 200])
def test_the_report_fits_the_screen_but_for_what_is_to_be_copied(project, storage, capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    write(storage, call(model_id="m" * 250, estimated_cost=None, cost_source=None))
    with pytest.raises(SystemExit):
        main(["telemetry", "doctor"])
    too_long = [line for line in capsys.readouterr().out.splitlines() if len(line) > columns]
    copied = ("m" * 250, str(storage), "EMPATHY_STORAGE_DIR=")
    assert [line for line in too_long if not any(one in line for one in copied)] == []
