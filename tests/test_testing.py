"""`capture` and the fixture: all that a test's code records, and nothing anywhere else."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from attune_monitoring import LLMCallRecord, configure, llm_call, log_llm_call, shutdown, stage, workflow
from attune_monitoring.testing import Captured, capture


@workflow("review")
def review(tokens: int = 10) -> None:
    with stage("analyze", tier="cheap"), llm_call(provider="openai", model="gpt-4o-mini") as call:
        call.set_usage(input_tokens=tokens, output_tokens=3)


def test_calls_runs_spans_and_metrics_are_captured() -> None:
    with capture() as captured:
        review()
    assert [(call.model_id, call.input_tokens) for call in captured.calls] == [("gpt-4o-mini", 10)]
    assert [run.workflow_name for run in captured.runs] == ["review"]
    assert [span.name for span in captured.spans] == ["chat gpt-4o-mini", "stage analyze", "invoke_workflow review"]
    assert "attune.llm.calls" in captured.metric_names


def test_it_can_be_read_while_it_records() -> None:
    with capture() as captured:
        review()
        assert len(captured.calls) == 1
        assert captured.metric("attune.llm.calls")[0].value == 1
        review()
        assert len(captured.calls) == 2
        assert captured.metric("attune.llm.calls")[0].value == 2


def test_metrics_are_found_by_name_and_attributes() -> None:
    with capture() as captured:
        review()
    [point] = captured.metric("attune.llm.tokens", gen_ai_token_type="input")
    assert (point.value, point.samples) == (10, 1)
    assert captured.metric("attune.llm.tokens", gen_ai_token_type="nonsense") == []
    assert captured.metric("no.such.metric") == []
    [duration] = captured.metric("gen_ai.client.operation.duration")
    assert duration.samples == 1


def test_nothing_is_written_to_files(storage: Path) -> None:
    with capture():
        review()
    assert not storage.exists()


def test_what_was_configured_before_holds_again_after(storage: Path) -> None:
    configure(storage_dir=str(storage))
    with capture() as captured:
        review()
    review()
    assert len(captured.calls) == 1
    assert len((storage / "llm_calls.jsonl").read_bytes().splitlines()) == 1


def test_captures_may_be_nested_and_each_has_its_own() -> None:
    with capture() as outer:
        review(1)
        with capture() as inner:
            review(2)
        review(3)
    assert [call.input_tokens for call in outer.calls] == [1, 3]
    assert [call.input_tokens for call in inner.calls] == [2]


def test_code_that_configures_itself_and_shuts_down_is_still_captured(storage: Path) -> None:
    with capture() as captured:
        configure(storage_dir=str(storage))
        review()
        assert shutdown()
        review()
    assert len(captured.calls) == 2
    assert not storage.exists()


def test_records_handed_in_are_captured_as_well() -> None:
    with capture() as captured:
        log_llm_call(LLMCallRecord(call_id="mine", timestamp="2026-01-11T03:47:00Z", model_id="m", provider="openai"))
    assert [call.call_id for call in captured.calls] == ["mine"]


def test_an_exception_passes_and_what_was_recorded_stays() -> None:
    with pytest.raises(KeyError), capture() as captured, llm_call(provider="openai", model="gpt-4o-mini"):
        raise KeyError("x")
    assert [call.error_type for call in captured.calls] == ["KeyError"]


def test_the_environment_of_the_machine_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("EMPATHY_TELEMETRY", "off")
    with capture() as captured:
        review()
    assert len(captured.calls) == 1


def test_keys_of_the_configuration_can_be_given() -> None:
    with capture(pricing={"models": {"gpt-4o-mini": {"input": 1_000_000, "output": 0}}}) as captured:
        review()
    assert captured.calls[0].cost == 10.0


def test_the_fixture_captures(attune_capture: Captured) -> None:
    review()
    assert len(attune_capture.calls) == 1


@pytest.mark.slow
def test_the_fixture_is_there_in_a_users_project_and_costs_it_no_import(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(
        textwrap.dedent(
            """
            import sys

            def test_the_plugin_alone_imports_nothing_of_ours_but_itself():
                ours = {name for name in sys.modules if name.startswith("attune_monitoring")}
                assert ours <= {"attune_monitoring", "attune_monitoring.pytest_plugin"}
                assert "opentelemetry.sdk" not in sys.modules

            def test_it_captures(attune_capture):
                from attune_monitoring import llm_call
                with llm_call(provider="openai", model="gpt-4o-mini") as call:
                    call.set_usage(input_tokens=1, output_tokens=1)
                assert len(attune_capture.calls) == 1
            """
        ),
        "utf-8",
    )
    arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", "/dev/null"]
    done = subprocess.run([sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert "2 passed" in done.stdout, done.stdout
    assert not (tmp_path / ".empathy").exists()
