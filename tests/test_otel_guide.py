"""The OpenTelemetry guide: each of its blocks is read by what it is for, and does what the guide says of it.

tests/test_guides.py runs its commands and its Python, tests/test_sources_commands.py asks a real Prometheus its PromQL.
"""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from attune_monitoring.config import OtlpConfig, load_config
from harness import RunProgram, StartProgram
from markdown_blocks import Block, blocks
from otlp_receiver import receive
from prometheus_program import require
from stack_files import ROOT, loaded

PAGE = ROOT / "docs" / "guides" / "OTEL_INTEGRATION.md"
TEXT = PAGE.read_text("utf-8")
SHELL = [block for block in blocks(PAGE, "sh") if "export OTEL_" in block.text]


def named(first_line: str) -> list[Any]:
    """The YAML blocks that begin with this comment."""
    found = [block for block in blocks(PAGE, "yaml") if block.text.startswith(f"# {first_line}")]
    assert found, first_line
    return [pytest.param(block, id=str(block.line)) for block in found]


def variables(block: Block) -> dict[str, str]:
    return dict(re.findall(r"^export (OTEL_\w+)=(\S+)$", block.text, re.MULTILINE))


def otlp(env: Mapping[str, str], folder: Path) -> OtlpConfig:
    config = load_config(env=env, cwd=folder)
    assert config.warnings == ()
    [found] = config.otlp
    return found


def test_there_is_no_block_that_nothing_reads():
    assert set(re.findall(r"^```(\w+)$", TEXT, re.MULTILINE)) == {"console", "promql", "python", "sh", "text", "yaml"}
    known = ("# monitoring.yaml\n", "# prometheus.yml\n", "# otelcol-contrib ")
    assert all(block.text.startswith(known) for block in blocks(PAGE, "yaml"))


@pytest.mark.parametrize("block", named("monitoring.yaml"))
def test_every_configuration_that_is_shown_is_valid(block, tmp_path):
    file = tmp_path / "monitoring.yaml"
    file.write_text(block.text, "utf-8")
    config = load_config(file, env={}, cwd=tmp_path)
    assert (config.source, config.warnings) == (file, ())


@pytest.mark.parametrize("block", [pytest.param(block, id=str(block.line)) for block in SHELL])
def test_every_set_of_variables_switches_otlp_on_where_it_says(block, tmp_path):
    env = variables(block)
    found = otlp(env, tmp_path)
    assert (found.traces_endpoint or "").startswith(env["OTEL_EXPORTER_OTLP_ENDPOINT"])
    assert (found.metrics_endpoint is None) is (env.get("OTEL_METRICS_EXPORTER") == "none")
    assert found.protocol == ("grpc" if ":4317" in env["OTEL_EXPORTER_OTLP_ENDPOINT"] else "http/protobuf")
    assert found.temporality == env.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
    assert found.compression == env.get("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    assert found.headers == ({"authorization": "Bearer token"} if "OTEL_EXPORTER_OTLP_HEADERS" in env else {})


def test_metrics_alone_go_where_their_own_variable_says(tmp_path):
    [address] = re.findall(r"`(http://\S+/v1/metrics)`", TEXT)
    found = otlp({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": address, "OTEL_TRACES_EXPORTER": "none"}, tmp_path)
    assert (found.traces_endpoint, found.metrics_endpoint) == (None, address)


@pytest.mark.slow
@pytest.mark.parametrize("block", named("prometheus.yml"))
def test_prometheus_takes_its_configuration(block, tmp_path):
    tool = require("promtool")
    file = tmp_path / "prometheus.yml"
    file.write_text(block.text)
    checked = subprocess.run([tool, "check", "config", str(file)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("block", named("otelcol-contrib"))
def test_what_is_laid_over_the_collectors_configuration_fits_it(block):
    [first, _] = re.findall(r"--config=(\S+)", block.text.splitlines()[0])
    over = yaml.safe_load(block.text)
    generic = loaded(first)
    exporters = {*generic["exporters"], *over["exporters"]}
    for name, pipeline in over["service"]["pipelines"].items():
        assert name in generic["service"]["pipelines"]
        assert set(pipeline["exporters"]) <= exporters


def test_every_file_of_the_clone_that_is_named_is_there():
    named = re.findall(r"\b((?:collector|docker-compose)[\w./-]*\.ya?ml)\b", TEXT)
    assert "collector/generic.yaml" in named
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_every_variable_of_ours_that_is_named_is_read_somewhere():
    code = "".join(file.read_text("utf-8") for file in (ROOT / "src").rglob("*.py"))
    code += "".join((ROOT / "collector" / name).read_text("utf-8") for name in ("generic.yaml", "tail-sampling.yaml"))
    ours = set(re.findall(r"\b(?:EMPATHY|SIGNOZ|PROMETHEUS|ATTUNE)_[A-Z_]+\b", TEXT))
    assert {name for name in ours - {"SIGNOZ_INGESTION_KEY"} if name not in code} == set()


def test_the_lines_of_the_summary_that_the_troubleshooting_names_are_said_by_the_code():
    code = "".join(file.read_text("utf-8") for file in (ROOT / "src").rglob("*.py"))
    for said in ("refuses the key (HTTP {", "no connection ({", "is it running", "not available from {"):
        assert said in code, said
        assert said.removesuffix("{").removesuffix("(").strip() in TEXT


@pytest.mark.slow
def test_what_is_scraped_has_the_names_that_the_guide_gives(run_program: RunProgram) -> None:
    first = next(blocks(PAGE, "python"))
    program = f"""{first.text}
from prometheus_client import generate_latest
from attune_monitoring import llm_call

with llm_call(provider="openai", model="gpt-5") as call:
    call.set_usage(input_tokens=10, output_tokens=5)
print(generate_latest().decode())
"""
    printed = run_program(program, METRICS_PORT=0).out
    for name in ("attune_llm_cost_USD_total{", "attune_llm_duration_seconds_bucket{", 'gen_ai_response_model="gpt-5"'):
        assert name in printed
        assert name.split("=")[0].strip("{") in TEXT


@pytest.mark.slow
@pytest.mark.parametrize("others", ["", "its_own = metrics.get_meter('app').create_counter('own').add(1)"])
def test_metrics_of_an_application_with_its_own_providers_go_out_once(run_program: RunProgram, others: str) -> None:
    program = f"""
        from opentelemetry import metrics, trace
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        traces = TracerProvider()
        traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(traces)
        metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))

        from attune_monitoring import llm_call

        with llm_call(provider="openai", model="gpt-5") as call:
            call.set_usage(input_tokens=10, output_tokens=5)
        {others}
    """
    with receive() as receiver:
        run_program(program, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
    assert [span.name for span in receiver.spans] == ["chat gpt-5"]
    assert [point.value for point in receiver.points if point.name == "attune.llm.calls"] == [1]


@pytest.mark.slow
def test_what_was_counted_before_the_application_had_a_provider_goes_out_as_well(start_program: StartProgram) -> None:
    program = """
        from opentelemetry import metrics
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from attune_monitoring import llm_call

        for model in ("before", "after"):
            with llm_call(provider="openai", model=model) as call:
                call.set_usage(input_tokens=10, output_tokens=5)
            if model == "before":
                metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))
        input()
    """
    with receive() as receiver:
        running = start_program(program, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)

        def counted() -> dict[str, float]:
            sums: dict[str, float] = defaultdict(float)
            for point in receiver.points:
                if point.name == "attune.llm.calls":
                    sums[point.attributes["gen_ai.response.model"]] += point.value
            return dict(sums)

        # Sums, not values: a call that both sent would count twice.
        assert receiver.wait(lambda _: counted().get("before") == 1), (counted(), receiver.points)
        _, err = running.communicate("\n", timeout=60)
        assert (running.returncode, err) == (0, "")
        assert counted() == {"before": 1, "after": 1}
