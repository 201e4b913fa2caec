"""The pipeline that `empathy demo` records: instrumented as a user's would be, talking plain HTTP to the provider.

Two runs: a code review that gets through (a retry, a fallback, a stream, a tool, a nested run, a skipped stage, a
model without a known price), and a report that fails.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any

from attune_monitoring import annotate, llm_call, stage, tool, workflow

__all__ = ["ProviderError", "post", "run_pipeline"]

# Without the proxy of the environment: the simulated provider is on this machine.
_HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_TIMEOUT_SECONDS = 10


class ProviderError(Exception):
    """The provider refused; `error_type` is its own code, which becomes the span's `error.type`."""

    def __init__(self, status: int, body: Any) -> None:
        error = body.get("error", {})
        self.error_type = str(error.get("status") or error.get("code") or error.get("type") or status)
        super().__init__(f"{status}: {error.get('message', '')}")


def run_pipeline(provider: str) -> None:
    """Run both workflows against the provider at this address."""
    with annotate(user_id="demo", project="empathy-demo"):
        review(provider, "diff --git a/retry.py b/retry.py")
        try:
            report(provider)
        except ProviderError:
            pass  # recorded: that is what it is here for


@workflow("code-review", trigger="demo")
def review(provider: str, diff: str) -> None:
    """A run of several stages, tiers and providers."""
    with stage("triage", tier="cheap"):
        ask_openai(provider, diff)
    with stage("analyze", tier="premium"), llm_call(provider="anthropic", model="claude-opus-4-5") as call:
        try:
            reply = post(f"{provider}/v1/messages", {"model": "claude-opus-4-5", "messages": [_user(diff)]})
        except ProviderError as error:
            call.fallback(model="claude-sonnet-4-5", error=error)
            reply = post(f"{provider}/v1/messages", {"model": "claude-sonnet-4-5", "messages": [_user(diff)]})
        call.record(reply)
    with stage("verify", tier="cheap"):
        with llm_call(provider="gcp.gemini", model="gemini-2.5-flash", task_type="plan_tests") as call:
            address = f"{provider}/v1beta/models/gemini-2.5-flash:generateContent"
            try:
                reply = post(address, {"contents": [{"parts": [{"text": diff}]}]})
            except ProviderError as error:
                call.retry(error)
                reply = post(address, {"contents": [{"parts": [{"text": diff}]}]})
            call.record(reply)
        run_tests("tests/test_retry.py")
    with stage("explain", tier="cheap"), llm_call(provider="anthropic", model="claude-haiku-4-5") as call:
        body = {"model": "claude-haiku-4-5", "stream": True, "messages": [_user(diff)]}
        for _event in call.stream(_events(f"{provider}/v1/messages", body)):
            pass
    with stage("private"), llm_call(provider="ollama", model="qwen3:8b", task_type="redact") as call:
        call.record(post(f"{provider}/api/chat", {"model": "qwen3:8b", "messages": [_user(diff)]}))
    with stage("notes"):
        changelog(provider, diff)
    with stage("publish") as publish:
        publish.skip("the review found a problem")


@workflow("changelog")
def changelog(provider: str, diff: str) -> None:
    """A run inside a run: it has its own record, and its cost is part of the outer one's."""
    with stage("write", tier="cheap"):
        ask_openai(provider, f"Describe for users: {diff}")


@workflow("weekly-report", trigger="demo")
def report(provider: str) -> None:
    """A run that fails in its second stage: the context is too long for the model."""
    with stage("select", tier="cheap"):
        ask_openai(provider, "Which reviews matter?")
    with stage("write", tier="cheap"), llm_call(provider="openai", model="gpt-5-mini") as call:
        everything = "All reviews of the week. " * 1000
        body = {"model": "gpt-5-mini", "messages": [_user(everything)]}
        call.record(post(f"{provider}/v1/chat/completions", body))


@llm_call
def ask_openai(provider: str, question: str) -> Any:
    """Nothing is said about provider, model and usage: they are read from the response."""
    return post(f"{provider}/v1/chat/completions", {"model": "gpt-5-mini", "messages": [_user(question)]})


@tool
def run_tests(path: str) -> str:
    """A tool that the model asked for."""
    return f"{path}: 3 passed"


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _open(address: str, body: dict[str, Any]) -> HTTPResponse:
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(address, json.dumps(body).encode(), headers)
    try:
        response: HTTPResponse = _HTTP.open(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        with error:
            raise ProviderError(error.code, json.load(error)) from None
    return response


def post(address: str, body: dict[str, Any]) -> Any:
    """Return the provider's answer.

    Raises:
        ProviderError: it refuses.
    """
    with _open(address, body) as response:
        return json.load(response)


def _events(address: str, body: dict[str, Any]) -> Iterator[Any]:
    with _open(address, body) as response:
        for line in response:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])
