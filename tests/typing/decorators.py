"""Decorators keep the signature of what they decorate: functions, coroutines, generators and methods."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, assert_type

from attune_monitoring import annotate, llm_call, stage, tool, workflow


@workflow
def bare_workflow(diff: str, *, depth: int = 1) -> list[str]:
    return [diff] * depth


@workflow("review", user_id="u1", session_id="s1", project="p1", trigger="cron")
def named_workflow(diff: str) -> bool:
    return bool(diff)


@workflow(project="p1")
async def async_workflow(diff: str) -> int:
    return len(diff)


@stage
def bare_stage(number: int) -> int:
    return number


@stage("analyze", tier="cheap", task_type="classify")
def generating_stage(number: int) -> Iterator[int]:
    yield number


@tool
async def bare_tool(query: str) -> bytes:
    return query.encode()


@tool("search", call_id="c1", type="function")
async def generating_tool(query: str) -> AsyncIterator[str]:
    yield query


@llm_call
def bare_call(question: str) -> dict[str, Any]:
    return {"question": question}


@llm_call(provider="openai", model="gpt-4o-mini", task_type="classify", tier="cheap", operation="chat", step="triage")
async def async_call(question: str) -> str:
    return question


@annotate
def bare_annotated() -> None: ...


@annotate(user_id="u1", release="1.2", ratio=0.5)
def annotated(first: int, /, second: str, *rest: float, third: bool = False, **others: bytes) -> complex:
    return complex(first)


class Reviewer:
    @workflow
    def review(self, diff: str) -> "Reviewer":
        return self

    @stage("static")
    @staticmethod
    def static(number: int) -> str:
        return str(number)

    @classmethod
    @tool
    def make(cls, name: str) -> "Reviewer":
        return cls()

    @property
    @annotate(user_id="u1")
    def title(self) -> str:
        return "title"


@workflow
@annotate(user_id="u1")
@stage("analyze")
@llm_call(provider="openai")
def stacked(number: int) -> str:
    return str(number)


assert_type(bare_workflow("x", depth=2), list[str])
assert_type(named_workflow("x"), bool)
assert_type(bare_stage(1), int)
assert_type(generating_stage(1), Iterator[int])
assert_type(generating_tool("x"), AsyncIterator[str])
assert_type(bare_call("x"), dict[str, Any])
assert_type(annotated(1, "x", 1.0, third=True, more=b""), complex)
assert_type(stacked(1), str)
assert_type(Reviewer().review("x"), Reviewer)
assert_type(Reviewer.static(1), str)
assert_type(Reviewer.make("x"), Reviewer)
assert_type(Reviewer().title, str)

same_signature: Callable[[str], Coroutine[Any, Any, int]] = async_workflow
decorated_later = stage("later")(lambda number: number + 1)


async def awaiting() -> None:
    assert_type(await async_workflow("x"), int)
    assert_type(await bare_tool("x"), bytes)
    assert_type(await async_call("x"), str)


bare_workflow(1)  # type: ignore[arg-type]
bare_workflow("x", dept=2)  # type: ignore[call-arg]
named_workflow()  # type: ignore[call-arg]
stage("analyze", teir="cheap")  # type: ignore[call-overload]
llm_call(operation="chatting")  # type: ignore[call-overload]
