"""What `empathy demo --otlp` sends besides: a support desk in a bad hour, so that no panel of a dashboard stays empty.

One run: a tool that fails, an answer that is cut at the token limit, a provider that is asked too often, and a call
that is cancelled because nobody waits for it any longer.
"""

from __future__ import annotations

import asyncio

from attune_monitoring import annotate, llm_call, stage, tool, workflow
from attune_monitoring.cli.demo_pipeline import ProviderError, post
from attune_monitoring.cli.demo_provider import EXHAUSTED_MODEL

__all__ = ["run_support"]

_QUESTION = "Why does my retry loop never end?"


def run_support(provider: str) -> None:
    """Run the workflow against the provider at this address."""
    with annotate(user_id="demo", session_id="demo-session", project="empathy-demo"):
        answer(provider)


@workflow("support-answer", trigger="demo")
def answer(provider: str) -> None:
    """A run in which most things go wrong, and that gets through all the same."""
    with stage("search"):
        try:
            find_article(_QUESTION)
        except LookupError:
            pass  # recorded, like all that follows: that is what it is here for
    with stage("answer", tier="cheap"):
        _ask(provider, "gpt-5-mini", max_completion_tokens=32)
    with stage("check", tier="cheap"):
        try:
            _ask(provider, EXHAUSTED_MODEL)
        except ProviderError:
            pass
    with stage("suggest", tier="cheap"):
        asyncio.run(_give_up())


@tool
def find_article(question: str) -> str:
    """A tool that finds nothing."""
    raise LookupError(question)


def _ask(provider: str, model: str, **limits: int) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": _QUESTION}], **limits}
    with llm_call(provider="openai", model=model) as call:
        call.record(post(f"{provider}/v1/chat/completions", body))


async def _give_up() -> None:
    suggestion = asyncio.create_task(_suggest())
    await asyncio.sleep(0)  # until it waits
    suggestion.cancel()
    await asyncio.wait([suggestion])


async def _suggest() -> None:
    with llm_call(provider="anthropic", model="claude-haiku-4-5"):
        await asyncio.Event().wait()
