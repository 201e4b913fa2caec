"""A program that sends calls of ours with contents, and what an instrumentation sends that redacts nothing."""

from __future__ import annotations

import sys

from opentelemetry import metrics, trace

from attune_monitoring import annotate, configure, flush, llm_call, stage, workflow
from collector_samples import CONTENT_KEYS, HARMLESS, KEY, SECRET_KEYS, SECRET_TEXTS, SECRETS

CONTENT = "What is the capital of Assyria?"
"""A part of every content that is sent."""


def calls() -> None:
    """A workflow with a retried call, one of known cost, and one that fails."""
    with annotate(user_id="user-1", session_id="session-1"), workflow("review"):
        with stage("analyze", tier="cheap"), llm_call(provider="openai", model="gpt-4o-mini") as call:
            call.set_content(input=CONTENT, output=f"Not: {CONTENT}", system=f"Answer {CONTENT}")
            call.retry(TimeoutError("no answer"))
            call.set_usage(input_tokens=12000, output_tokens=345, cache_read_tokens=1000)
        with llm_call(provider="anthropic", model="claude-haiku-4-5") as call:
            call.set_content(input=[{"role": "user", "content": CONTENT}], output=CONTENT)
            call.set_usage(input_tokens=100, output_tokens=20)
            call.set_cost(0.25)
        try:
            with llm_call(provider="openai", model="gpt-4o"):
                raise ConnectionError("no way")
        except ConnectionError:
            pass


def others() -> None:
    """What an instrumentation sends that knows nothing of contents and secrets."""
    texts = {f"text.{name}": text for name, text in SECRET_TEXTS.items()}
    texts |= {f"shape.{number}": f"the key {secret} is not valid" for number, secret in enumerate(SECRETS)}
    with trace.get_tracer("other", attributes={"note": f"password={KEY}"}).start_as_current_span("other") as span:
        span.set_attributes(texts)
        span.set_attributes(dict.fromkeys(SECRET_KEYS, KEY))
        span.set_attributes({f"harmless.{number}": text for number, text in enumerate(HARMLESS)})
        span.set_attributes({"list": ["kept", f"Bearer {KEY}"], "count": 3, "share": 0.25, "flag": True})
        span.add_event("asked", {"url": f"https://me:{KEY}@host/", "gen_ai.input.messages": CONTENT, "size": 7})
        span.set_status(trace.StatusCode.ERROR, f"could not connect with {SECRETS[0]}")
    # Apart from the others: a span has 128 attributes at most.
    with trace.get_tracer("other").start_as_current_span("contents") as span:
        span.set_attributes(dict.fromkeys(CONTENT_KEYS, CONTENT))
        span.set_attribute("llm.tools", [CONTENT, CONTENT])
    counter = metrics.get_meter("other").create_counter("other.requests")
    counter.add(5, {"url": f"https://me:{KEY}@host/", "region": "eu", "x-api-key": KEY})


if __name__ == "__main__":
    configure()
    calls()
    others()
    sys.exit(0 if flush(60) else "not everything was taken")
