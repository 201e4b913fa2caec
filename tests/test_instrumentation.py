"""workflow, stage, tool and annotate: names, what is inherited, and what runs and stages add up to."""

import asyncio
import functools
import json
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

import attune_monitoring
from attune_monitoring import annotate, llm_call, stage, tool, workflow
from attune_monitoring import semconv as sc
from attune_monitoring.scope import HOOKS
from attune_monitoring.testing import Captured

KNOWN = {"provider": "openai", "model": "gpt-4o-mini"}


def ask(input_tokens: int = 100, output_tokens: int = 10, **arguments: Any) -> None:
    """One call of a model that the price list knows."""
    with llm_call(**{**KNOWN, **arguments}) as call:
        call.set_usage(input_tokens=input_tokens, output_tokens=output_tokens)


def span_named(captured: Captured, name: str) -> Any:
    [span] = [span for span in captured.spans if span.name == name]
    return span


# --- names ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("decorator", "prefix", "key"),
    [
        (workflow, "invoke_workflow", sc.AGENT_NAME),
        (stage, "stage", sc.STAGE_NAME),
        (tool, "execute_tool", sc.TOOL_NAME),
    ],
)
def test_the_name_is_the_given_one_else_the_functions(decorator, prefix, key, attune_capture):
    class Reviewer:
        @decorator
        def review(self) -> None: ...

    @decorator
    def bare() -> None: ...

    @decorator()
    def called() -> None: ...

    @decorator("given")
    def otherwise() -> None: ...

    class Callable_:  # noqa: N801
        def __call__(self) -> None: ...

    Reviewer().review()
    bare()
    called()
    otherwise()
    decorator(functools.partial(bare.__wrapped__))()
    decorator(Callable_())()
    names = ["Reviewer.review", "bare", "called", "given", "bare", "Callable_.__call__"]
    assert [span.attributes[key] for span in attune_capture.spans] == names
    assert [span.name for span in attune_capture.spans] == [f"{prefix} {name}" for name in names]


@pytest.mark.parametrize("make", [workflow, stage, tool, llm_call])
def test_one_instance_names_each_function_that_it_decorates(make, attune_capture):
    shared = make()

    @shared
    def first() -> None: ...

    @shared
    def second() -> None: ...

    first()
    second()
    key = {workflow: sc.AGENT_NAME, stage: sc.STAGE_NAME, tool: sc.TOOL_NAME, llm_call: sc.STEP_NAME}[make]
    assert [span.attributes[key] for span in attune_capture.spans] == ["first", "second"]
    lines = [function.__wrapped__.__code__.co_firstlineno for function in (first, second)]
    assert [span.attributes[sc.CODE_LINE] for span in attune_capture.spans] == lines


def test_a_block_without_a_name_has_a_plain_one(attune_capture):
    with workflow(), stage(), tool():
        pass
    assert [span.name for span in attune_capture.spans] == [
        "execute_tool tool",
        "stage stage",
        "invoke_workflow workflow",
    ]


def test_every_span_says_where_its_function_or_block_is_written(attune_capture):
    @workflow
    def review() -> None:
        with stage("analyze"), tool("search"):
            pass

    review()
    line = review.__wrapped__.__code__.co_firstlineno
    assert {span.attributes[sc.CODE_FILE] for span in attune_capture.spans} == {__file__}
    assert [span.attributes[sc.CODE_LINE] for span in attune_capture.spans] == [line + 2, line + 2, line]


async def test_an_async_block_says_where_it_is_written(attune_capture):
    async with stage("analyze"):
        pass
    line = test_an_async_block_says_where_it_is_written.__code__.co_firstlineno + 1
    assert attune_capture.spans[0].attributes[sc.CODE_LINE] == line


# --- conventions ------------------------------------------------------------------------------------------------------
def test_a_workflows_span_follows_the_conventions_of_both_versions(attune_capture):
    with workflow("review", user_id="u1", session_id="s1", project="p1", trigger="cron") as run:
        pass
    [span] = attune_capture.spans
    assert (span.name, span.kind, span.status.status_code) == (
        "invoke_workflow review",
        SpanKind.INTERNAL,
        StatusCode.UNSET,
    )
    assert {
        sc.OPERATION: "invoke_workflow",
        sc.AGENT_NAME: "review",
        sc.WORKFLOW_NAME: "review",
        sc.RUN_ID: run.run_id,
        sc.USER_ID: "u1",
        sc.CONVERSATION_ID: "s1",
        sc.PROJECT: "p1",
        sc.RUN_TRIGGER: "cron",
    }.items() <= dict(span.attributes).items()


def test_a_tools_span_follows_the_conventions(attune_capture):
    with tool("search", call_id="c1", type="function"):
        pass
    [span] = attune_capture.spans
    assert (span.name, span.kind) == ("execute_tool search", SpanKind.INTERNAL)
    assert {
        sc.OPERATION: "execute_tool",
        sc.TOOL_NAME: "search",
        sc.TOOL_CALL_ID: "c1",
        sc.TOOL_TYPE: "function",
    }.items() <= dict(span.attributes).items()


def test_what_is_entered_takes_further_attributes(attune_capture):
    with workflow("review") as run, stage("analyze") as analyze, tool("search") as search:
        run.set_attribute("app.a", 1)
        analyze.set_attribute("app.b", "x")
        search.set_attribute("app.c", True)
    found = {key: value for span in attune_capture.spans for key, value in span.attributes.items()}
    assert (found["app.a"], found["app.b"], found["app.c"]) == (1, "x", True)


# --- annotate ---------------------------------------------------------------------------------------------------------
def test_annotations_reach_every_record_inside_and_none_outside(attune_capture):
    with annotate(user_id="u1", session_id="s1", project="p1", release="1.2"), workflow("review"):
        ask()
    ask()
    inside, outside = attune_capture.calls
    assert (inside.user_id, inside.session_id, inside.project) == ("u1", "s1", "p1")
    assert inside.metadata == {"release": "1.2"}
    assert (outside.user_id, outside.session_id, outside.project, outside.metadata) == (None, None, None, {})
    assert (attune_capture.runs[0].user_id, attune_capture.runs[0].project) == ("u1", "p1")


def test_inner_annotations_go_before_outer_ones_and_the_rest_adds_up(attune_capture):
    with annotate(user_id="u1", a=1, b=1):
        with annotate(user_id="u2", b=2, c={"nested": [1]}):
            ask()
        ask()
    inner, outer = attune_capture.calls
    assert (inner.user_id, inner.metadata) == ("u2", {"a": 1, "b": 2, "c": {"nested": [1]}})
    assert (outer.user_id, outer.metadata) == ("u1", {"a": 1, "b": 1})


def test_metadata_is_json_on_the_span(attune_capture):
    with annotate(release="1.2", ratio=0.5, tags=["a", "b"]):
        ask()
    assert json.loads(attune_capture.spans[0].attributes[sc.METADATA]) == {
        "release": "1.2",
        "ratio": 0.5,
        "tags": ["a", "b"],
    }


def test_annotate_without_anything_changes_nothing(attune_capture):
    @annotate
    def work() -> None:
        ask()

    work()
    assert attune_capture.calls[0].metadata == {}


def test_annotate_decorates_coroutines_and_generators(attune_capture):
    @annotate(user_id="u1")
    async def work() -> None:
        await asyncio.sleep(0)
        ask()

    @annotate(user_id="u2")
    def generate() -> Any:
        ask()
        yield
        ask()

    asyncio.run(work())
    for _ in generate():
        ask()
    assert [call.user_id for call in attune_capture.calls] == ["u1", "u2", None, "u2"]


def test_annotations_of_numbers_are_text_where_the_conventions_ask_for_text(attune_capture):
    with annotate(user_id=4711):
        ask()
    assert attune_capture.calls[0].user_id == "4711"


def test_a_workflows_own_annotations_go_before_those_around_it(attune_capture):
    with annotate(user_id="u1", project="p1"), workflow("review", user_id="u2"):
        ask()
    assert (attune_capture.calls[0].user_id, attune_capture.calls[0].project) == ("u2", "p1")


def test_annotate_inside_a_call_keeps_that_call_around(attune_capture):
    with llm_call(task_type="classify"), annotate(user_id="u1"):
        ask()
    [record] = attune_capture.calls
    assert (record.task_type, record.user_id) == ("classify", "u1")


# --- runs -------------------------------------------------------------------------------------------------------------
def test_a_run_sums_its_calls(attune_capture):
    with workflow("review") as run:
        ask(100, 10)
        ask(200, 20)
    [record] = attune_capture.runs
    first, second = attune_capture.calls
    assert {call.run_id for call in attune_capture.calls} == {run.run_id} == {record.run_id}
    assert {call.workflow_name for call in attune_capture.calls} == {"review"}
    assert (record.call_count, record.total_input_tokens, record.total_output_tokens) == (2, 300, 30)
    assert record.total_cost == pytest.approx(first.cost + second.cost)
    assert record.baseline_cost > record.total_cost
    assert record.savings == pytest.approx(record.baseline_cost - record.total_cost)
    assert (record.success, record.complete, record.providers_used, record.tiers_used) == (
        True,
        True,
        ["openai"],
        ["cheap"],
    )


def test_every_run_of_a_decorated_function_has_an_id_of_its_own(attune_capture):
    @workflow
    def review() -> None:
        ask()

    review()
    review()
    assert len({run.run_id for run in attune_capture.runs}) == 2
    assert [run.call_count for run in attune_capture.runs] == [1, 1]


def test_a_failed_run_says_why(attune_capture):
    with pytest.raises(ValueError, match="bad diff"), workflow("review"):  # noqa: PT012
        ask()
        raise ValueError("bad diff")
    [run] = attune_capture.runs
    assert (run.success, run.error, run.error_type, run.failed_calls) == (False, "bad diff", "ValueError", 0)


def test_a_cancelled_run_did_not_succeed_and_did_not_fail(attune_capture):
    with pytest.raises(asyncio.CancelledError), workflow("review"), stage("analyze"):
        raise asyncio.CancelledError
    [run] = attune_capture.runs
    assert (run.success, run.cancelled, run.error, run.error_type) == (False, True, None, None)
    assert (run.stages[0].success, run.stages[0].cancelled, run.stages[0].error) == (False, True, None)


def test_a_call_that_ends_after_its_run_is_in_the_runs_record(attune_capture):
    with workflow("review"):
        stream = _lasting_call()
    assert attune_capture.runs == []
    list(stream)
    assert [(run.call_count, run.complete) for run in attune_capture.runs] == [(1, True)]


def _lasting_call() -> Any:
    with llm_call(**KNOWN) as call:
        return call.stream(iter([]))


def test_nested_workflows_are_runs_below_the_outer_one(attune_capture):
    with workflow("outer") as outer:
        ask(100, 10)
        with workflow("inner") as inner:
            ask(200, 20)
    inner_run, outer_run = attune_capture.runs
    assert (inner_run.run_id, inner_run.parent_run_id) == (inner.run_id, outer.run_id)
    assert (outer_run.run_id, outer_run.parent_run_id) == (outer.run_id, None)
    assert (inner_run.call_count, inner_run.total_input_tokens) == (1, 200)
    assert (outer_run.call_count, outer_run.total_input_tokens) == (2, 300)
    assert outer_run.total_cost == pytest.approx(sum(call.cost for call in attune_capture.calls))
    assert [call.run_id for call in attune_capture.calls] == [outer.run_id, inner.run_id]
    assert [call.workflow_name for call in attune_capture.calls] == ["outer", "inner"]


def test_a_stage_of_the_outer_run_sums_the_calls_of_the_run_nested_in_it(attune_capture):
    with workflow("outer"), stage("delegate", tier="premium"), workflow("inner"), stage("think"):
        ask(200, 20)
    inner_run, outer_run = attune_capture.runs
    [delegate] = outer_run.stages
    [think] = inner_run.stages
    assert (delegate.stage_name, delegate.call_count, delegate.input_tokens) == ("delegate", 1, 200)
    assert (think.stage_name, think.call_count, think.input_tokens) == ("think", 1, 200)
    [call] = attune_capture.calls
    assert (call.step_name, call.stage_id) == ("think", think.stage_id)


def test_a_nested_run_does_not_take_over_the_tier_of_the_stage_around_it(attune_capture):
    with workflow("outer"), stage("delegate", tier="premium", task_type="review"), workflow("inner"):
        ask()
    assert (attune_capture.calls[0].tier, attune_capture.calls[0].task_type) == ("cheap", "unknown")


def test_a_nested_run_inherits_the_annotations(attune_capture):
    with workflow("outer", user_id="u1"), workflow("inner"):
        ask()
    assert attune_capture.calls[0].user_id == "u1"
    assert [run.user_id for run in attune_capture.runs] == ["u1", "u1"]


def test_recursive_workflows_count_each_call_once_in_the_root(attune_capture):
    @workflow
    def split(depth: int) -> None:
        ask(10, 1)
        if depth:
            split(depth - 1)

    split(2)
    assert [run.call_count for run in attune_capture.runs] == [1, 2, 3]
    roots = [run for run in attune_capture.runs if run.parent_run_id is None]
    assert [root.total_input_tokens for root in roots] == [30]


# --- stages -----------------------------------------------------------------------------------------------------------
def test_stages_keep_their_own_figures_in_the_order_they_began(attune_capture):
    with workflow("review"):
        with stage("analyze", tier="cheap"):
            ask(100, 10)
            ask(100, 10)
        with stage("report", tier="premium"):
            ask(300, 30, model="gpt-4o")
    [run] = attune_capture.runs
    assert [(one.stage_name, one.tier, one.model_id) for one in run.stages] == [
        ("analyze", "cheap", "gpt-4o-mini"),
        ("report", "premium", "gpt-4o"),
    ]
    assert [(one.call_count, one.input_tokens, one.output_tokens) for one in run.stages] == [(2, 200, 20), (1, 300, 30)]
    assert [one.cost for one in run.stages] == pytest.approx(
        [attune_capture.calls[0].cost + attune_capture.calls[1].cost, attune_capture.calls[2].cost]
    )
    assert sum(one.cost for one in run.stages) == pytest.approx(run.total_cost)


def test_a_stage_entered_twice_is_two_stages(attune_capture):
    with workflow("review"):
        for _ in range(2):
            with stage("analyze"):
                ask()
    assert [(one.stage_name, one.call_count) for one in attune_capture.runs[0].stages] == [("analyze", 1)] * 2


def test_a_skipped_stage_is_no_failure(attune_capture):
    with workflow("review"), stage("deep-dive") as one:
        one.skip("nothing to look at")
    [run] = attune_capture.runs
    [skipped] = run.stages
    assert (skipped.skipped, skipped.skip_reason, skipped.success, skipped.error) == (
        True,
        "nothing to look at",
        False,
        None,
    )
    assert run.success
    assert span_named(attune_capture, "stage deep-dive").status.status_code is StatusCode.UNSET


def test_a_skip_needs_no_reason(attune_capture):
    with workflow("review"), stage("deep-dive") as one:
        one.skip()
    assert (attune_capture.runs[0].stages[0].skipped, attune_capture.runs[0].stages[0].skip_reason) == (True, None)


def test_a_failed_stage_that_the_workflow_survives_fails_only_itself(attune_capture):
    with workflow("review"):
        try:
            with stage("analyze"):
                raise ValueError("too long")
        except ValueError:
            pass
    [run] = attune_capture.runs
    assert run.success
    assert (run.stages[0].success, run.stages[0].error) == (False, "too long")


def test_nested_stages_know_their_parent_and_count_their_own_calls(attune_capture):
    with workflow("review"), stage("outer"):
        ask(100, 10)
        with stage("inner"):
            ask(200, 20)
    by_name = {one.stage_name: one for one in attune_capture.runs[0].stages}
    assert by_name["inner"].parent_stage_id == by_name["outer"].stage_id
    assert by_name["outer"].parent_stage_id is None
    assert (by_name["outer"].input_tokens, by_name["inner"].input_tokens) == (100, 200)
    assert [call.step_name for call in attune_capture.calls] == ["outer", "inner"]


def test_a_stage_without_a_workflow_gives_its_calls_a_step_and_no_run(attune_capture):
    with stage("analyze"):
        ask()
    [call] = attune_capture.calls
    assert (call.step_name, call.run_id, call.workflow_name) == ("analyze", None, None)
    assert attune_capture.runs == []


def test_a_call_in_a_tool_belongs_to_the_stage_around_it(attune_capture):
    with workflow("review"), stage("analyze") as analyze, tool("search"):
        ask()
        span_id = f"{analyze.span.get_span_context().span_id:016x}"
    [call] = attune_capture.calls
    assert call.stage_id == span_id
    assert attune_capture.runs[0].stages[0].call_count == 1


def test_a_call_in_a_tool_that_the_model_called_is_a_call_of_its_own(attune_capture):
    with llm_call(**KNOWN) as outer:
        outer.set_usage(input_tokens=1, output_tokens=1)
        with tool("search"):
            ask(200, 20)
    assert sorted(call.input_tokens for call in attune_capture.calls) == [1, 200]


def test_a_call_in_a_workflow_that_runs_within_a_call_is_a_call_of_its_own(attune_capture):
    with llm_call(**KNOWN) as outer:
        outer.set_usage(input_tokens=1, output_tokens=1)
        with workflow("sub-agent"):
            ask(200, 20)
    assert sorted(call.input_tokens for call in attune_capture.calls) == [1, 200]


def test_spans_form_one_tree(attune_capture):
    with workflow("review"), stage("analyze"), tool("search"):
        ask()
    call, search, analyze, review = attune_capture.spans
    assert call.parent.span_id == search.context.span_id
    assert search.parent.span_id == analyze.context.span_id
    assert analyze.parent.span_id == review.context.span_id
    assert review.parent is None


def test_spans_of_the_application_around_are_parents(attune_capture):
    outer = trace.NonRecordingSpan(trace.SpanContext(0xA1, 0xB2, is_remote=False, trace_flags=trace.TraceFlags(1)))
    with trace.use_span(outer), workflow("review") as run:
        pass
    [span] = attune_capture.spans
    assert (span.context.trace_id, span.parent.span_id) == (0xA1, 0xB2)
    assert attune_capture.runs[0].run_id == run.run_id


# --- telemetry off ----------------------------------------------------------------------------------------------------
def test_where_telemetry_is_off_everything_can_be_used_and_nothing_is_made(monkeypatch, attune_capture):
    monkeypatch.setattr(HOOKS, "tracer", lambda: None)

    @workflow
    def review() -> str:
        with stage("analyze") as one, tool("search") as two, annotate(user_id="u1"):
            one.skip("reason")
            one.set_attribute("a", 1)
            two_is_usable = two is not None
            assert two_is_usable
        return "result"

    with workflow("other") as run, tool("search") as used:
        assert run.run_id == ""
        run.set_attribute("a", 1)
        used.set_attribute("a", 1)
    assert review() == "result"
    assert attune_capture.spans == []


def test_a_decorator_says_what_it_was_given_wrong_at_once():
    with pytest.raises(TypeError, match="unexpected keyword argument 'teir'"):
        stage("analyze", teir="cheap")


def test_the_public_functions_are_those_of_the_package():
    for name in ("annotate", "llm_call", "stage", "tool", "workflow"):
        assert getattr(attune_monitoring, name) is getattr(attune_monitoring.instrumentation, name)
