"""What the team of the dashboards' tests does: a program that records and sends where its environment says.

Run as `python signoz_traffic.py SEED`. It has what the demo lacks: many users, sessions and projects, latencies of
minutes, rate limits of every provider, truncated and cancelled calls, embeddings, other instrumentations' spans.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from datetime import UTC, datetime

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

import attune_monitoring
from attune_monitoring import annotate, llm_call, log_llm_call, log_workflow_run, stage, tool, workflow
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, WorkflowStageRecord

_MODELS = (
    ("anthropic", "claude-haiku-4-5", "cheap", 0.002),
    ("anthropic", "claude-opus-4-5", "premium", 0.09),
    ("openai", "gpt-5-mini", "cheap", 0.001),
    ("gcp.gemini", "gemini-2.5-pro", "capable", 0.01),
    ("ollama", "qwen3:8b", "unknown", None),
)
_WORKFLOWS = (("review", "shop"), ("triage", "shop"), ("billing", "office"), (None, None))
_ERRORS = (
    "rate_limit_error",
    "openai.RateLimitError",
    "RESOURCE_EXHAUSTED",
    "ThrottlingException",
    "TooManyRequestsError",
    "429",
    "server_error",
    "APITimeoutError",
)


class ProviderError(Exception):
    """A provider's refusal."""

    def __init__(self, error_type: str) -> None:
        self.error_type = error_type
        super().__init__(error_type)


def main(seed: int) -> None:
    """Do all of it once."""
    attune_monitoring.configure()
    rnd = random.Random(seed)
    for number in range(120):
        log_llm_call(_call(rnd, number))
    for number in range(30):
        log_workflow_run(_run(rnd, f"run-{seed}-{number}"))
    _live(rnd)
    _others(rnd)
    attune_monitoring.flush()
    attune_monitoring.shutdown()


def _call(rnd: random.Random, number: int) -> LLMCallRecord:
    provider, model, tier, price = rnd.choice(_MODELS)
    name, project = rnd.choice(_WORKFLOWS)
    failed, cancelled = number % 8 == 0, number % 21 == 5
    answered = not failed and not cancelled
    output = rnd.randrange(1, 2000)
    cost = None if price is None or failed else price * (1 + rnd.random())
    return LLMCallRecord(
        call_id=f"{number:032x}",
        timestamp=datetime.now(UTC).isoformat(),
        workflow_name=name,
        user_id=rnd.choice(("ada", "bela", "o'hara", None)),
        session_id=rnd.choice((f"session-{rnd.randrange(9)}", None)),
        provider=provider,
        tier=tier,
        model_id=model,
        request_model=model,
        operation="embeddings" if number % 17 == 3 else "chat",
        input_tokens=rnd.randrange(100, 9000) if not failed else None,
        output_tokens=output if not failed else None,
        estimated_cost=cost,
        cost_source=("none" if failed else "unknown") if cost is None else "caller",
        baseline_cost=None if cost is None else cost * 3,
        cache_read_tokens=rnd.randrange(90) if answered and number % 3 == 0 else None,
        cache_write_tokens=rnd.randrange(10) if answered and number % 6 == 0 else None,
        reasoning_tokens=output // 2 if answered and number % 4 == 0 else None,
        latency_ms=int(rnd.lognormvariate(7, 1.2)),
        time_to_first_token_ms=rnd.randrange(50, 3000) if answered and number % 5 == 1 else None,
        finish_reasons=[rnd.choice(("stop", "end_turn", "length", "max_tokens"))] if answered else [],
        retry_count=rnd.choice((0, 0, 0, 1, 2)),
        fallback_used=number % 11 == 1,
        original_provider="openai" if number % 11 == 1 else None,
        original_model="gpt-5.1" if number % 11 == 1 else None,
        success=answered,
        cancelled=cancelled,
        error_type=_ERRORS[number // 8 % len(_ERRORS)] if failed else None,
        project=project,
    )


def _run(rnd: random.Random, run_id: str) -> WorkflowRunRecord:
    name, project = rnd.choice(_WORKFLOWS[:3])
    failed = rnd.random() < 0.2
    stages = [
        WorkflowStageRecord(
            stage_name=step,
            tier=rnd.choice(("cheap", "premium")),
            model_id="claude-haiku-4-5",
            latency_ms=int(rnd.lognormvariate(8, 1.5)),
            success=not (failed and step == "write"),
            error="it broke" if failed and step == "write" else None,
            skipped=step == "publish",
        )
        for step in ("read", "write", "publish")
    ]
    return WorkflowRunRecord(
        run_id=run_id,
        workflow_name=name or "",
        started_at=datetime.now(UTC).isoformat(),
        stages=stages,
        total_duration_ms=sum(one.latency_ms for one in stages),
        success=not failed,
        error="it broke" if failed else None,
        error_type="ValueError" if failed else None,
        project=project,
    )


def _live(rnd: random.Random) -> None:
    """Runs in progress: nested ones, tools, streams, attempts, and what is cancelled from outside."""
    for number in range(6):
        with annotate(user_id="chen", session_id=f"live-{number}", project="shop"), workflow("answer"):
            with stage("look", tier="cheap"), llm_call(provider="anthropic", model="claude-haiku-4-5") as call:
                call.set_usage(input_tokens=500, output_tokens=rnd.randrange(1, 500))
                if number % 2:
                    call.retry(ProviderError("overloaded_error"))
                    call.set_usage(input_tokens=500, output_tokens=rnd.randrange(1, 500))
                if number % 3 == 0:
                    call.fallback(provider="openai", model="gpt-5-mini", error=ProviderError("overloaded_error"))
                    call.set_usage(input_tokens=700, output_tokens=rnd.randrange(1, 500))
                call.set_response(finish_reasons=["length" if number == 1 else "stop"])
            with workflow("inner"), stage("use"):
                try:
                    with tool("search", type="function"):
                        if number == 2:
                            raise LookupError(number)
                except LookupError:
                    pass
                with tool("read"):
                    pass
    try:
        with workflow("answer", project="shop"), stage("look"), llm_call(provider="openai", model="gpt-5"):
            raise ProviderError("context_length_exceeded")
    except ProviderError:
        pass
    try:
        with workflow("answer", project="shop"), llm_call(provider="openai", model="gpt-5"):
            raise asyncio.CancelledError
    except asyncio.CancelledError:
        pass


def _others(rnd: random.Random) -> None:
    """Spans that other instrumentations make: of today's conventions, of older ones, and of another dialect."""
    tracer = trace.get_tracer("some.instrumentation")
    dialects = (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-5-mini",
            "gen_ai.response.model": "gpt-5-mini",
            "gen_ai.response.finish_reasons": ("stop",),
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
        },
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-5-mini",
            "gen_ai.usage.prompt_tokens": 2000,
            "gen_ai.usage.completion_tokens": 200,
        },
        {
            "openinference.span.kind": "LLM",
            "llm.provider": "openai",
            "llm.model_name": "gpt-5-mini",
            "llm.token_count.prompt": 3000,
            "llm.token_count.completion": 300,
        },
    )
    for number in range(12):
        end = time.time_ns()
        begin = end - rnd.randrange(10**8, 10**10)
        attributes = dict(dialects[number % 3])
        failed = number in (3, 6)
        if number == 3:
            attributes["error.type"] = "APIConnectionError"
        span = tracer.start_span(f"chat {number % 3}", kind=SpanKind.CLIENT, attributes=attributes, start_time=begin)
        if failed:
            span.set_status(Status(StatusCode.ERROR, "no connection"))
        span.end(end)


if __name__ == "__main__":
    main(int(sys.argv[1]))
