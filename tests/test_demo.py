"""`empathy demo`, run as a command: what it records, what it shows, and what it leaves alone."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attune_monitoring import TelemetryStore
from attune_monitoring.cli.demo_provider import simulated_provider
from otlp_receiver import closed_port, receive

pytestmark = pytest.mark.slow  # each demo takes two seconds, on purpose

Demo = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Demo:
    """Runs `empathy demo` in a folder of its own, with these variables added to the environment."""
    monkeypatch.delenv("EMPATHY_STORAGE_DIR", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    folder = tmp_path / "here"
    folder.mkdir()

    script = Path(sys.executable).with_name("empathy")
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")

    def run(*arguments: str, status: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [script, "demo", *arguments], cwd=folder, env=os.environ | environment, capture_output=True, text=True
        )
        assert done.returncode == status, done
        return done

    return run


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def untimed(text: str) -> list[str]:
    """The words of an output, with times (one or two decimals) taken out."""
    return re.sub(r"\d+\.\d{1,2}(?!\d)", "#", text).split()


def test_it_records_what_it_shows(demo: Demo, here: Path) -> None:
    out = demo().stdout
    calls = TelemetryStore(here / ".empathy-demo").get_calls()
    runs = {run.workflow_name: run for run in TelemetryStore(here / ".empathy-demo").get_workflows()}
    assert [(call.provider, call.model_id, call.tier) for call in calls] == [
        ("openai", "gpt-5-mini", "cheap"),
        ("anthropic", "claude-sonnet-4-5", "capable"),
        ("gcp.gemini", "gemini-2.5-flash", "cheap"),
        ("anthropic", "claude-haiku-4-5", "cheap"),
        ("ollama", "qwen3:8b", "unknown"),
        ("openai", "gpt-5-mini", "cheap"),
        ("openai", "gpt-5-mini", "cheap"),
        ("openai", "gpt-5-mini", "cheap"),
    ]
    for call in calls[:4]:
        assert f"{call.cost:.5f}" in out
    review, changelog, report = runs["code-review"], runs["changelog"], runs["weekly-report"]
    assert changelog.parent_run_id == review.run_id
    assert (review.success, report.success) == (True, False)
    total = review.total_cost + report.total_cost
    assert total == pytest.approx(sum(call.cost or 0 for call in calls))
    assert f"{total:9.5f} USD for 8 calls" in out
    assert f"{review.savings + report.savings:9.5f} USD saved" in out


def test_its_pipeline_has_a_retry_a_fallback_a_stream_a_failure_and_an_unknown_price(demo: Demo, here: Path) -> None:
    demo()
    calls = TelemetryStore(here / ".empathy-demo").get_calls()
    assert [call.fallback_chain for call in calls if call.fallback_used] == [["anthropic:premium", "anthropic:capable"]]
    assert [call.model_id for call in calls if call.retry_count == 1] == ["gemini-2.5-flash"]
    assert [call.model_id for call in calls if call.time_to_first_token_ms] == ["claude-haiku-4-5"]
    assert [call.error_type for call in calls if not call.success] == ["context_length_exceeded"]
    assert [call.model_id for call in calls if call.cost_source == "unknown"] == ["qwen3:8b"]
    assert [call.finish_reasons for call in calls[:1]] == [["stop"]]


def test_everything_fits_eighty_columns_without_colours(demo: Demo) -> None:
    out = demo(FORCE_COLOR="1", NO_COLOR="1").stdout
    assert not re.search(r"\x1b\[3\dm", out)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", demo().stdout)
    assert max(map(len, plain.splitlines())) <= 80


def test_a_wide_terminal_gets_the_workflow_as_well(demo: Demo) -> None:
    [header] = [line for line in demo(COLUMNS="200").stdout.splitlines() if line.startswith("time")]
    assert header.split() == ["time", "workflow", "stage", "provider", "model", "tier", "in/out", "USD", "s", "status"]


def test_a_terminal_without_unicode_gets_a_tree_all_the_same(demo: Demo) -> None:
    assert "+-- triage" in demo(PYTHONIOENCODING="ascii").stdout


def test_the_output_is_the_same_each_time_but_for_times(demo: Demo, here: Path) -> None:
    first = demo().stdout
    (here / ".empathy-demo").rename(here.parent / "first")
    assert untimed(demo().stdout) == untimed(first)


def test_a_second_run_adds_to_the_first_and_says_so(demo: Demo, here: Path) -> None:
    first, second = demo().stdout, demo().stdout
    assert len(lines(here / ".empathy-demo" / "llm_calls.jsonl")) == 16
    assert "added to the records of earlier ones" in second
    assert "added to the records of earlier ones" not in first
    assert "USD for 8 calls" in second


def test_only_its_own_folder_is_written_and_only_for_its_user(demo: Demo, here: Path, tmp_path: Path) -> None:
    (here / ".empathy").mkdir()
    (here / "monitoring.yaml").write_text("storage_dir: elsewhere\n", "utf-8")
    demo(EMPATHY_STORAGE_DIR=str(tmp_path / "real"))
    assert sorted(path.name for path in here.iterdir()) == [".empathy", ".empathy-demo", "monitoring.yaml"]
    assert not list((here / ".empathy").iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    if os.name == "posix":
        folder = here / ".empathy-demo"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


def test_nothing_is_sent_over_the_network_unless_asked(demo: Demo) -> None:
    with receive() as receiver:
        demo(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
        assert not receiver.spans
        demo("--otlp", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, EMPATHY_STORAGE_DIR="elsewhere")
        assert receiver.wait(lambda one: bool(one.named("invoke_workflow weekly-report")))
        names = {span.name for span in receiver.spans}
    assert {"invoke_workflow code-review", "chat gpt-5-mini", "execute_tool run_tests"} <= names


def test_what_is_sent_has_a_session_and_calls_that_were_cut_refused_and_cancelled(demo: Demo, here: Path) -> None:
    with receive() as receiver:
        demo("--otlp", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
        failed = {span.name for span in receiver.spans if span.status == 2}
    calls = TelemetryStore(here / ".empathy-demo").get_calls(workflow_name="support-answer")
    assert [(call.finish_reasons, call.error_type, call.outcome) for call in calls] == [
        (["length"], None, "ok"),
        ([], "rate_limit_exceeded", "error"),
        ([], None, "cancelled"),
    ]
    assert {call.session_id for call in calls} == {"demo-session"}
    assert "execute_tool find_article" in failed


def test_an_endpoint_that_takes_nothing_is_a_message_after_the_report(demo: Demo) -> None:
    with closed_port() as address:
        done = demo("--otlp", status=1, OTEL_EXPORTER_OTLP_ENDPOINT=address)
    assert "three things to try" in done.stdout
    assert "Error: the OTLP endpoint did not take everything" in done.stderr
    assert "Traceback" not in done.stderr


def test_otlp_without_an_endpoint_says_what_to_set(demo: Demo) -> None:
    assert "set OTEL_EXPORTER_OTLP_ENDPOINT" in demo("--otlp", status=1).stderr


def test_otlp_needs_the_local_records_that_it_shows(demo: Demo, here: Path) -> None:
    (here / "monitoring.yaml").write_text("backends: [otel]\n", "utf-8")
    assert "add `jsonl` to the backends" in demo("--otlp", status=1).stderr


@pytest.mark.parametrize("variable", ["OTEL_SDK_DISABLED=true", "EMPATHY_TELEMETRY=off"])
def test_where_telemetry_is_off_it_says_so(demo: Demo, variable: str) -> None:
    name, value = variable.split("=")
    assert "Telemetry is switched off" in demo(status=1, **{name: value}).stderr


@pytest.mark.skipif(os.name != "posix", reason="links need privileges here")
def test_a_link_is_not_followed(demo: Demo, here: Path) -> None:
    (here / ".empathy").mkdir()
    (here / ".empathy-demo").symlink_to(".empathy")
    assert "is a link or a file" in demo(status=1).stderr
    assert not [path for path in (here / ".empathy").iterdir() if path.suffix == ".jsonl"]


def test_a_file_in_its_place_is_a_message(demo: Demo, here: Path) -> None:
    (here / ".empathy-demo").touch()
    done = demo(status=1)
    assert ".empathy-demo: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_proxy_of_the_environment_is_not_asked(demo: Demo) -> None:
    with closed_port() as address:
        demo(http_proxy=address, no_proxy="")


def test_the_simulated_provider_says_what_it_does_not_know() -> None:
    with simulated_provider() as address, pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{address}/v1/embeddings", data=b"{}")


def test_what_the_readme_shows_is_what_it_prints(demo: Demo) -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
    shown = next(block for block in readme.split("```text\n")[1:] if block.startswith("A small pipeline"))
    assert untimed(shown.split("```")[0]) == untimed(demo(COLUMNS="80").stdout)
