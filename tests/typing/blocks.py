"""The same names as context managers, sync and async, and what they give."""

from typing import assert_type

from attune_monitoring import annotate, llm_call, stage, tool, workflow


def blocks(items: list[str], response: dict[str, int]) -> None:
    with workflow("review", user_id="u1") as run:
        assert_type(run.run_id, str)
        run.set_attribute("app.flag", True)
        with stage("analyze", tier="cheap") as analyze:
            analyze.skip("nothing to do")
            analyze.skip()
        with tool("search") as search:
            search.set_attribute("app.hits", 3)
        with annotate(user_id="u1", release="1.2"):
            pass
        with llm_call(provider="openai", model="gpt-4o-mini") as call:
            assert_type(call.record(response), dict[str, int])
            for item in call.stream(items):
                print(item)
            call.set_usage(input_tokens=1, output_tokens=2, cache_read_tokens=3, cache_write_tokens=4)
            call.set_response(model="m", finish_reasons=["stop"])
            call.set_cost(0.1)
            call.set_circuit_breaker("open")
            call.set_content(input=[{"role": "user"}], output="x")
            call.set_attribute("app.tags", ["a", "b"])
            call.retry(TimeoutError())
            call.fallback(provider="anthropic", model="claude-haiku-4-5", error=TimeoutError())
            assert_type(call.trace_id, str)
            assert_type(call.span_id, str)
            call.set_usage(tokens=1)  # type: ignore[call-arg]
            call.set_cost("0.1")  # type: ignore[arg-type]


async def async_blocks() -> None:
    async with workflow("review") as run, stage("analyze") as analyze, tool("search"), annotate(user_id="u1"):
        assert_type(run.run_id, str)
        analyze.skip()
    async with llm_call(provider="openai") as call:
        assert_type(call.span_id, str)


def returns_after_a_block() -> int:
    """No block swallows exceptions, so a type checker must see that this returns."""
    with workflow("review"), stage("analyze"), tool("search"), annotate(user_id="u1"), llm_call():
        return 1
