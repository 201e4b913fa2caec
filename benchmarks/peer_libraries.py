"""How each monitoring library records one LLM call (its model and token usage), as its documentation says.

Every function sets its library up so that spans go to the exporter that it is handed, and returns the ways to record.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overhead import ours

OUR_RECORD = "with llm_call, record"
MODEL = "claude-haiku-4-5"
QUESTION = "Is this diff safe to merge?"
ANSWER = "Yes: it only renames a local variable."
INPUT_TOKENS, OUTPUT_TOKENS = 1200, 150

Call = Callable[[], None]


@dataclass
class Prepared:
    """What a peer's set-up gives: ways to record one call, and what delivers the spans that wait."""

    ways: dict[str, Call]
    flush: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Peer:
    """One library: what to install, what its quick start imports, and how it records a call."""

    requirement: str
    statement: str
    prepare: Callable[[Any, Path], Prepared]
    undeclared: tuple[str, ...] = ()  # what it imports without requiring it

    def folder(self) -> str:
        python = f"py{sys.version_info.major}.{sys.version_info.minor}"
        return f"{self.requirement.replace('==', '-').removesuffix('.*')}-{python}"


def answer(question: str) -> str:
    """Stand in for the model: what is measured is the recording alone."""
    return ANSWER if question else ""


def batch(exporter: Any) -> Any:
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(exporter, max_queue_size=100_000)


def traceloop(exporter: Any, _: Path) -> Prepared:
    from opentelemetry import trace
    from traceloop.sdk import Traceloop
    from traceloop.sdk.tracing.manual import LLMMessage, LLMUsage, track_llm_call

    Traceloop.init(app_name="benchmark", exporter=exporter, telemetry_enabled=False)

    def manual() -> None:
        with track_llm_call(vendor="anthropic", type="chat") as span:
            span.report_request(model=MODEL, messages=[LLMMessage(role="user", content=QUESTION)])
            reply = answer(QUESTION)
            span.report_response(MODEL, [reply])
            total = INPUT_TOKENS + OUTPUT_TOKENS
            span.report_usage(LLMUsage(prompt_tokens=INPUT_TOKENS, completion_tokens=OUTPUT_TOKENS, total_tokens=total))

    return Prepared({"with track_llm_call": manual}, trace.get_tracer_provider().force_flush)


def openlit(exporter: Any, folder: Path) -> Prepared:
    """OpenLIT with the application's tracer provider, which it takes over; its price list would be downloaded."""
    import openlit
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider()
    provider.add_span_processor(batch(exporter))
    trace.set_tracer_provider(provider)
    prices = folder / "prices.json"
    prices.write_text('{"chat": {}}')
    openlit.init(application_name="benchmark", disable_metrics=True, pricing_json=os.fspath(prices))

    def manual() -> None:
        with openlit.start_trace("chat") as span:
            reply = answer(QUESTION)
            span.set_result(reply)
            span.set_metadata(
                {
                    "gen_ai.request.model": MODEL,
                    "gen_ai.usage.input_tokens": INPUT_TOKENS,
                    "gen_ai.usage.output_tokens": OUTPUT_TOKENS,
                }
            )

    return Prepared({"with start_trace": manual}, provider.force_flush)


def logfire(exporter: Any, _: Path) -> Prepared:
    import logfire

    logfire.configure(send_to_logfire=False, console=False, additional_span_processors=[batch(exporter)])

    def manual() -> None:
        with logfire.span(
            "chat with {gen_ai.request.model}",
            **{
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "anthropic",
                "gen_ai.request.model": MODEL,
            },
        ) as span:
            answer(QUESTION)
            span.set_attribute("gen_ai.response.model", MODEL)
            span.set_attribute("gen_ai.usage.input_tokens", INPUT_TOKENS)
            span.set_attribute("gen_ai.usage.output_tokens", OUTPUT_TOKENS)

    return Prepared({"with span": manual}, logfire.force_flush)


def langfuse(exporter: Any, _: Path) -> Prepared:
    from langfuse import Langfuse, observe

    client = Langfuse(
        public_key="pk-benchmark", secret_key="sk-benchmark", base_url="http://localhost:9", span_exporter=exporter
    )
    usage = {"input": INPUT_TOKENS, "output": OUTPUT_TOKENS}

    def manual() -> None:
        with client.start_as_current_observation(name="chat", as_type="generation", model=MODEL) as generation:
            answer(QUESTION)
            generation.update(usage_details=usage)

    @observe(name="chat", as_type="generation")
    def observed(question: str) -> str:
        reply = answer(question)
        client.update_current_generation(model=MODEL, usage_details=usage)
        return reply

    def decorated() -> None:
        observed(QUESTION)

    return Prepared({"with observation": manual, "@observe": decorated}, client.flush)


def mlflow(exporter: Any, _: Path) -> Prepared:
    """MLflow's OTLP mode, the one of its pipelines that ends in an exporter; with its own server it does more."""
    import mlflow
    import mlflow.tracing.provider as provider
    from mlflow.entities import SpanType
    from mlflow.tracing.constant import SpanAttributeKey

    # There is no setting for another exporter: the one that would send is exchanged where it is made.
    mlflow.set_tracking_uri("http://localhost:9")  # never asked; without one, parts that are not installed are imported
    os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = "http://localhost:9/v1/traces"
    provider.get_otlp_exporter = lambda: exporter
    usage = {
        "input_tokens": INPUT_TOKENS,
        "output_tokens": OUTPUT_TOKENS,
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
    }

    def manual() -> None:
        with mlflow.start_span("chat", span_type=SpanType.CHAT_MODEL) as span:
            answer(QUESTION)
            span.set_attribute(SpanAttributeKey.MODEL, MODEL)
            span.set_attribute(SpanAttributeKey.CHAT_USAGE, usage)

    @mlflow.trace(name="chat", span_type=SpanType.CHAT_MODEL)
    def traced(question: str) -> str:
        reply = answer(question)
        span = mlflow.get_current_active_span()
        span.set_attribute(SpanAttributeKey.MODEL, MODEL)
        span.set_attribute(SpanAttributeKey.CHAT_USAGE, usage)
        return reply

    def decorated() -> None:
        traced(QUESTION)

    def flush() -> None:
        provider.get_bridged_tracer_provider().force_flush()

    return Prepared({"with start_span": manual, "@trace": decorated}, flush)


def attune(_: Any, folder: Path) -> Prepared:
    """The same call with this package: as overhead.py measures it, and with the bare decorator."""
    from attune_monitoring import llm_call

    record = ours(folder / "record", with_metrics=False)
    with_metrics = ours(folder / "metrics", with_metrics=True)
    response: dict[str, object] = {
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [{"type": "text", "text": ANSWER}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS},
    }

    @llm_call
    def asked(question: str) -> dict[str, object]:
        answer(question)
        return response

    def decorated() -> None:
        asked(QUESTION)

    decorated.use = record.use  # type: ignore[attr-defined]
    ways = {OUR_RECORD: record, "with llm_call, +metrics": with_metrics, "@llm_call, record": decorated}
    return Prepared(ways)


PEERS = {
    "attune": Peer("attune-monitoring", "from attune_monitoring import llm_call", attune),
    "openlit": Peer("openlit==1.*", "import openlit", openlit),
    "traceloop": Peer("traceloop-sdk==0.*", "from traceloop.sdk import Traceloop", traceloop, ("httpx",)),
    "logfire": Peer("logfire==5.*", "import logfire", logfire),
    "langfuse": Peer("langfuse==5.*", "from langfuse import Langfuse, observe", langfuse),
    "mlflow": Peer("mlflow-tracing==3.*", "import mlflow", mlflow),
}
