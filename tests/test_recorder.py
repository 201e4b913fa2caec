"""From spans of any instrumentation, through a real tracer provider, to records, runs and stages."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

from attune_monitoring import annotate, llm_call, stage, tool, workflow
from attune_monitoring import semconv as sc
from attune_monitoring.exporters import JSONLSpanExporter, RecorderProcessor
from attune_monitoring.files import Files
from attune_monitoring.mapping import Origin
from attune_monitoring.pricing import Pricing
from attune_monitoring.recorder import MAX_WRITTEN, Recorder, this_process
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord
from attune_monitoring.runs import MAX_STAGES
from attune_monitoring.scope import HOOKS, scope_of
from attune_monitoring.telemetry_backend import TelemetryStore

GEN_AI = {sc.OPERATION: "chat", sc.PROVIDER: "openai", sc.REQUEST_MODEL: "gpt-4o-mini"}
LEGACY = {"gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini"}
OPENINFERENCE = {"openinference.span.kind": "LLM", "llm.system": "openai", "llm.model_name": "gpt-4o-mini"}
OPENLLMETRY = {"llm.request.type": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini"}
USAGE = {sc.INPUT_TOKENS: 1000, sc.OUTPUT_TOKENS: 100}
LEGACY_USAGE = {"gen_ai.usage.prompt_tokens": 1000, "gen_ai.usage.completion_tokens": 100}
OPENINFERENCE_USAGE = {"llm.token_count.prompt": 1000, "llm.token_count.completion": 100}
COST = pytest.approx(1000 * 0.15e-6 + 100 * 0.6e-6)


class Kept:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.calls: list[LLMCallRecord] = []
        self.runs: list[WorkflowRunRecord] = []

    def call(self, record: LLMCallRecord) -> None:
        self.calls.append(record)

    def run(self, record: WorkflowRunRecord) -> None:
        self.runs.append(record)


class Bench(Kept):
    """A provider whose spans are recorded, with a tracer of another library and, once entered, ours."""

    def __init__(self, *, content: bool = False) -> None:
        super().__init__()
        self.recorder = Recorder([self], Pricing(), Origin("shop", "h1", 42), content=content)
        self.processor = RecorderProcessor(self.recorder, "memory")
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self.processor)
        self.foreign = self.provider.get_tracer("some.library", "9.1")

    @contextmanager
    def span(self, name: str, attributes: dict[str, Any] | None = None, **at_end: Any) -> Iterator[trace.Span]:
        with self.foreign.start_as_current_span(name, attributes=attributes) as span:
            yield span
            span.set_attributes(at_end)

    def call(self, record: LLMCallRecord) -> None:
        self.calls.append(record)

    def chat(self, attributes: dict[str, Any] | None = None, name: str = "chat") -> None:
        with self.span(name, {**GEN_AI, **USAGE} if attributes is None else attributes):
            pass


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    tracer = made.provider.get_tracer(sc.SCOPE)
    # Through the hooks that providers.py fills in: the seam between instrumented code and the SDK.
    before = HOOKS.tracer, HOOKS.pricing
    HOOKS.tracer, HOOKS.pricing = lambda: tracer, Pricing()
    yield made
    HOOKS.tracer, HOOKS.pricing = before
    made.provider.shutdown()


class TestForeignCalls:
    @pytest.mark.parametrize(
        ("attributes", "dialect"),
        [
            ({**GEN_AI, **USAGE}, "gen_ai"),
            ({**LEGACY, **LEGACY_USAGE, sc.OPERATION: "chat"}, "gen_ai_legacy"),
            ({**OPENINFERENCE, **OPENINFERENCE_USAGE}, "openinference"),
            ({**OPENLLMETRY, **LEGACY_USAGE}, "openllmetry"),
        ],
    )
    def test_a_call_of_each_dialect_is_a_priced_record(self, bench, attributes, dialect):
        bench.chat(attributes)
        [record] = bench.calls
        assert (record.dialect, record.provider, record.model_id) == (dialect, "openai", "gpt-4o-mini")
        assert (record.input_tokens, record.output_tokens) == (1000, 100)
        assert (record.cost, record.cost_source, record.tier) == (COST, "table", "cheap")
        assert (record.scope, record.scope_version, record.service) == ("some.library", "9.1", "shop")

    def test_attributes_that_come_only_at_the_end_are_read(self, bench):
        with bench.foreign.start_as_current_span("x") as span:
            span.set_attributes({**OPENINFERENCE, **OPENINFERENCE_USAGE})
        assert bench.calls[0].input_tokens == 1000

    @pytest.mark.parametrize(
        "attributes",
        [
            {"http.request.method": "POST"},
            {sc.OPERATION: "execute_tool", sc.TOOL_NAME: "t"},
            {sc.OPERATION: "invoke_agent", sc.AGENT_NAME: "a", **USAGE},
            {"openinference.span.kind": "AGENT", **OPENINFERENCE_USAGE},
            {"traceloop.span.kind": "agent", **LEGACY_USAGE},
            {"openinference.span.kind": "RETRIEVER"},
        ],
    )
    def test_what_is_no_call_of_a_model_is_no_call_record_even_with_usage(self, bench, attributes):
        bench.chat(attributes)
        assert bench.calls == []

    def test_an_agents_sums_do_not_count_beside_the_calls_in_it(self, bench):
        with bench.span("invoke_agent a", {sc.OPERATION: "invoke_agent", **USAGE}):
            bench.chat()
            bench.chat()
        assert len(bench.calls) == 2

    def test_an_unknown_model_has_no_cost(self, bench):
        bench.chat({**GEN_AI, **USAGE, sc.REQUEST_MODEL: "no-such-model"})
        assert (bench.calls[0].cost, bench.calls[0].cost_source) == (None, "unknown")

    def test_a_cost_that_the_span_reports_wins_over_the_table(self, bench):
        bench.chat({**GEN_AI, **USAGE, "gen_ai.usage.cost": 7.5})
        assert (bench.calls[0].actual_cost, bench.calls[0].cost_source) == (7.5, "reported")

    def test_an_exception_is_the_records_error(self, bench):
        with pytest.raises(TimeoutError), bench.span("chat", GEN_AI):
            raise TimeoutError("late")
        [record] = bench.calls
        assert (record.success, record.error_type, record.cost_source) == (False, "TimeoutError", "none")
        assert "late" in record.error_message

    def test_a_cancelled_foreign_call_is_no_error(self, bench):
        with bench.span("chat", GEN_AI) as span:
            span.add_event("exception", {"exception.type": "asyncio.exceptions.CancelledError"})
            span.set_status(Status(StatusCode.ERROR, "cancelled"))
        [record] = bench.calls
        assert (record.success, record.cancelled, record.error_type) == (False, True, None)

    def test_messages_on_foreign_spans_are_not_kept_by_default(self, bench):
        bench.chat({**GEN_AI, sc.INPUT_MESSAGES: "secret"})
        assert bench.calls[0].content == {}

    def test_an_unsampled_remote_parent_does_not_make_the_call_anything_else(self, bench):
        remote = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1))
        context = trace.set_span_in_context(trace.NonRecordingSpan(remote))
        bench.foreign.start_span("chat", context, attributes={**GEN_AI, **USAGE}).end()
        assert (bench.calls[0].trace_id, bench.calls[0].parent_span_id) == (f"{1:032x}", f"{2:016x}")

    def test_a_failure_of_a_sink_reaches_nobody_and_is_counted(self):
        class Broken(Kept):
            def call(self, record: LLMCallRecord) -> None:
                raise RuntimeError("no")

        recorder = Recorder([Broken()], Pricing(), Origin())
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(RecorderProcessor(recorder, "memory"))
        before = HOOKS.failures.total()
        provider.get_tracer("x").start_span("chat", attributes=GEN_AI).end()
        assert HOOKS.failures.total() == before + 1


class TestNestedCallsCountOnce:
    @pytest.mark.parametrize(
        ("on_outer", "on_inner", "scope"),
        [({}, OPENINFERENCE_USAGE, "inner"), (USAGE, {}, "outer"), (USAGE, OPENINFERENCE_USAGE, "inner")],
        ids=["usage inside", "usage outside", "usage on both"],
    )
    def test_a_framework_around_a_client_is_one_call(self, bench, on_outer, on_inner, scope):
        tracer = bench.provider.get_tracer("outer")
        inner = bench.provider.get_tracer("inner")
        with (
            tracer.start_as_current_span("ChatOpenAI", attributes={**GEN_AI, **on_outer}),
            inner.start_as_current_span("ChatCompletion", attributes={**OPENINFERENCE, **on_inner}),
        ):
            pass
        [record] = bench.calls
        assert (record.input_tokens, record.scope) == (1000, scope)

    def test_it_is_one_call_though_the_outer_span_says_only_at_its_end_what_it_is(self, bench):
        with bench.foreign.start_as_current_span("ChatOpenAI") as outer:
            bench.chat()
            outer.set_attributes({**OPENINFERENCE, **OPENINFERENCE_USAGE})
        assert len(bench.calls) == 1

    def test_it_is_one_call_with_an_http_span_and_a_third_instrumentation_between(self, bench):
        with (
            bench.span("ChatOpenAI", {**OPENINFERENCE, **OPENINFERENCE_USAGE}),
            bench.span("wrapper"),
            bench.span("openai.chat", {**OPENLLMETRY, **LEGACY_USAGE}),
            bench.span("POST", {"http.request.method": "POST"}),
        ):
            bench.chat()
        [record] = bench.calls
        assert record.dialect == "gen_ai"

    def test_without_usage_anywhere_it_is_one_call_too(self, bench):
        with bench.span("outer", GEN_AI), bench.span("inner", GEN_AI):
            pass
        assert len(bench.calls) == 1

    def test_the_calls_of_a_tool_that_a_call_runs_are_calls_of_their_own(self, bench):
        with bench.span("outer", {**GEN_AI, **USAGE}), bench.span("t", {sc.OPERATION: "execute_tool"}):
            bench.chat()
        assert len(bench.calls) == 2

    def test_two_calls_side_by_side_are_two(self, bench):
        with bench.span("POST /ask", {"http.request.method": "POST"}):
            bench.chat()
            bench.chat()
        assert len(bench.calls) == 2

    def test_our_call_inside_a_frameworks_call_is_one_call(self, bench):
        with (
            bench.span("ChatOpenAI", {**OPENINFERENCE, **OPENINFERENCE_USAGE}),
            llm_call(provider="openai", model="gpt-4o-mini", task_type="t") as call,
        ):
            call.set_usage(input_tokens=1000, output_tokens=100)
        [record] = bench.calls
        assert (record.dialect, record.task_type) == ("attune", "t")


class TestOurCallAroundAForeignOne:
    def test_the_inner_record_inherits_task_tier_step_retries_and_source(self, bench):
        @llm_call(provider="openai", model="gpt-4o-mini", task_type="classify", tier="premium", step="first")
        def ask():
            call = scope_of().call
            call.retry()
            call.retry()
            bench.chat()

        ask()
        [record] = bench.calls
        assert (record.task_type, record.tier, record.step_name) == ("classify", "premium", "first")
        assert (record.retry_count, record.dialect, record.input_tokens) == (2, "gen_ai", 1000)
        assert os.path.basename(record.source_file) == os.path.basename(__file__)  # noqa: PTH119

    def test_an_inner_span_without_usage_leaves_the_record_to_ours(self, bench):
        with llm_call(provider="openai", model="gpt-4o-mini", task_type="classify") as call:
            bench.chat(GEN_AI)
            call.set_usage(input_tokens=5, output_tokens=1)
        [record] = bench.calls
        assert (record.dialect, record.input_tokens) == ("attune", 5)

    def test_usage_that_both_know_is_counted_once(self, bench):
        with llm_call(provider="openai", model="gpt-4o-mini") as call:
            bench.chat()
            call.set_usage(input_tokens=1000, output_tokens=100)
        assert [record.input_tokens for record in bench.calls] == [1000]

    def test_our_own_two_nested_calls_are_one(self, bench):
        @llm_call(task_type="outer")
        def ask():
            with llm_call(provider="openai", model="gpt-4o-mini") as call:
                call.set_usage(input_tokens=10, output_tokens=1)

        ask()
        [record] = bench.calls
        assert (record.task_type, record.input_tokens) == ("outer", 10)

    def test_the_fallback_chain_is_inherited(self, bench):
        with llm_call(provider="anthropic", model="claude-haiku-4-5", tier="cheap") as call:
            call.fallback(provider="openai", model="gpt-4o-mini", tier="cheap")
            bench.chat()
        [record] = bench.calls
        assert record.fallback_chain == ["anthropic:cheap", "openai:cheap"]
        assert (record.original_provider, record.original_model) == ("anthropic", "claude-haiku-4-5")
        assert record.fallback_used


class TestForeignSpansInOurScope:
    def test_a_foreign_call_inherits_run_stage_user_session_project_and_metadata(self, bench):
        with (
            annotate(user_id="u1", session_id="s1", project="p1", release="1.2"),
            workflow("review"),
            stage("analyze", tier="premium", task_type="classify"),
        ):
            bench.chat()
        [record] = bench.calls
        [run] = bench.runs
        assert (record.workflow_name, record.run_id, record.step_name) == ("review", run.run_id, "analyze")
        assert (record.user_id, record.session_id, record.project) == ("u1", "s1", "p1")
        assert (record.tier, record.task_type, record.metadata) == ("premium", "classify", {"release": "1.2"})
        assert (run.call_count, run.total_cost, run.stages[0].call_count) == (1, COST, 1)

    def test_our_run_goes_before_the_workflow_that_the_other_library_names(self, bench):
        with workflow("ours"):
            bench.chat({**OPENLLMETRY, **LEGACY_USAGE, "traceloop.workflow.name": "theirs"})
        [run] = bench.runs
        assert (bench.calls[0].workflow_name, bench.calls[0].run_id) == ("ours", run.run_id)

    def test_what_the_span_says_of_its_user_goes_before_what_surrounds_it(self, bench):
        with annotate(user_id="outer"):
            bench.chat({**GEN_AI, **USAGE, "enduser.id": "inner"})
        assert bench.calls[0].user_id == "inner"

    def test_a_foreign_workflow_inside_ours_is_no_run_of_its_own(self, bench):
        with workflow("ours"), bench.span("chain", {"openinference.span.kind": "CHAIN"}):
            bench.chat()
        assert [run.workflow_name for run in bench.runs] == ["ours"]
        assert bench.runs[0].call_count == 1

    def test_a_scope_that_was_left_is_inherited_no_more(self, bench):
        with annotate(user_id="u1"), workflow("w"):
            pass
        bench.chat()
        assert (bench.calls[0].user_id, bench.calls[0].run_id, bench.calls[0].workflow_name) == (
            None,
            None,
            None,
        )


ROOTS = {
    "openinference": ("review", {"openinference.span.kind": "CHAIN"}, "openinference"),
    "openllmetry": (
        "x.workflow",
        {"traceloop.span.kind": "workflow", "traceloop.entity.name": "review"},
        "openllmetry",
    ),
    "gen_ai": ("invoke_workflow", {sc.OPERATION: "invoke_workflow", sc.AGENT_NAME: "review"}, "gen_ai"),
    "gen_ai, released utilities": (
        "w",
        {sc.OPERATION: "invoke_workflow", sc.WORKFLOW_NAME: "review"},
        "gen_ai",
    ),
}
STAGES = {
    "openinference": {"openinference.span.kind": "CHAIN", "graph.node.name": "analyze"},
    "openllmetry": {"traceloop.span.kind": "task", "traceloop.entity.name": "analyze"},
}


class TestForeignRuns:
    @pytest.mark.parametrize("root", ROOTS)
    def test_the_root_of_each_dialect_is_a_run_with_the_calls_in_it(self, bench, root):
        name, attributes, dialect = ROOTS[root]
        with bench.span(name, attributes):
            bench.chat()
            with bench.span("step"):
                bench.chat()
        [run] = bench.runs
        assert (run.workflow_name, run.dialect, run.complete, run.success) == ("review", dialect, True, True)
        assert (run.call_count, run.total_input_tokens, run.total_output_tokens) == (2, 2000, 200)
        assert {(call.run_id, call.workflow_name) for call in bench.calls} == {(run.run_id, "review")}
        assert run.trace_id == bench.calls[0].trace_id

    @pytest.mark.parametrize("dialect", STAGES)
    def test_a_stage_of_each_dialect_has_the_calls_in_it(self, bench, dialect):
        name, attributes, _ = ROOTS[dialect]
        with bench.span(name, attributes), bench.span("node", STAGES[dialect]):
            bench.chat()
        [run] = bench.runs
        [found] = run.stages
        assert (found.stage_name, found.call_count, found.cost) == ("analyze", 1, COST)
        assert (bench.calls[0].step_name, bench.calls[0].stage_id) == ("analyze", found.stage_id)

    def test_two_runs_are_two(self, bench):
        for _ in range(2):
            with bench.span("review", {"openinference.span.kind": "CHAIN"}):
                bench.chat()
        assert len({run.run_id for run in bench.runs}) == 2
        assert [run.call_count for run in bench.runs] == [1, 1]

    def test_an_inner_workflow_of_a_foreign_dialect_counts_in_the_outermost(self, bench):
        inner = {"traceloop.span.kind": "workflow", "traceloop.entity.name": "inner"}
        with bench.span("w", ROOTS["openllmetry"][1]), bench.span("inner", inner):
            bench.chat()
        [run] = bench.runs
        assert (run.workflow_name, run.call_count) == ("review", 1)

    def test_a_failed_root_is_a_failed_run(self, bench):
        with pytest.raises(KeyError), bench.span("review", {"openinference.span.kind": "CHAIN"}):
            raise KeyError("x")
        [run] = bench.runs
        assert (run.success, run.error) == (False, "KeyError: 'x'")

    def test_a_call_outside_of_every_run_is_in_none(self, bench):
        bench.chat()
        assert (bench.runs, bench.calls[0].run_id) == ([], None)

    def test_a_call_after_the_root_ended_begins_no_second_run(self, bench):
        root = bench.foreign.start_span("review", attributes={"openinference.span.kind": "CHAIN"})
        inside = trace.set_span_in_context(root)
        late = bench.foreign.start_span("chat", inside, attributes={**GEN_AI, **USAGE})
        bench.foreign.start_span("chat", inside, attributes={**GEN_AI, **USAGE}).end()
        root.end()
        late.end()
        bench.provider.shutdown()
        assert len(bench.runs) == 1
        assert {call.run_id for call in bench.calls} == {bench.runs[0].run_id}


class TestOurRuns:
    def test_a_run_has_its_sums_stages_and_times(self, bench):
        with workflow("review", user_id="u", session_id="s", project="p", trigger="cli") as run:
            run_id = run.run_id
            with stage("analyze", tier="cheap"), llm_call(provider="openai", model="gpt-4o-mini") as call:
                call.set_usage(input_tokens=1000, output_tokens=100)
            with stage("write") as skipped:
                skipped.skip("nothing to do")
        [record] = bench.runs
        assert (record.run_id, record.workflow_name, record.trigger, record.project) == (
            run_id,
            "review",
            "cli",
            "p",
        )
        assert (record.user_id, record.session_id, record.dialect) == ("u", "s", "attune")
        assert (record.providers_used, record.tiers_used) == (["openai"], ["cheap"])
        assert (record.total_cost, record.call_count, record.complete) == (COST, 1, True)
        analyze, write = record.stages
        assert (analyze.stage_name, analyze.tier, analyze.model_id) == ("analyze", "cheap", "gpt-4o-mini")
        assert (analyze.cost, analyze.input_tokens, analyze.success) == (COST, 1000, True)
        assert (write.skipped, write.skip_reason, write.success) == (True, "nothing to do", False)
        assert record.started_at <= analyze.started_at <= record.completed_at

    def test_a_run_without_calls_is_a_run(self, bench):
        with workflow("empty"):
            pass
        [run] = bench.runs
        assert (run.call_count, run.total_cost, run.savings_percent, run.stages) == (0, 0.0, 0.0, [])

    def test_a_failure_marks_the_stage_and_the_run(self, bench):
        with pytest.raises(ValueError, match="bad"), workflow("w"), stage("s"):
            raise ValueError("bad")
        [run] = bench.runs
        assert (run.success, run.error, run.error_type) == (False, "bad", "ValueError")
        assert (run.stages[0].success, run.stages[0].error) == (False, "bad")

    def test_nested_runs_have_parents_and_their_calls_count_in_both(self, bench):
        with workflow("outer") as outer, stage("delegate"), workflow("inner"), stage("work"):
            bench.chat()
        inner, whole = bench.runs
        assert (inner.workflow_name, inner.parent_run_id) == ("inner", outer.run_id)
        assert (whole.workflow_name, whole.parent_run_id) == ("outer", None)
        assert (inner.total_cost, whole.total_cost) == (COST, COST)
        assert [(found.stage_name, found.call_count) for found in whole.stages] == [("delegate", 1)]
        assert [(found.stage_name, found.call_count) for found in inner.stages] == [("work", 1)]
        assert bench.calls[0].run_id == inner.run_id

    def test_an_inner_run_does_not_inherit_the_stage_and_tier_around_it(self, bench):
        with workflow("outer"), stage("s", tier="premium"), workflow("inner"):
            bench.chat()
        assert (bench.calls[0].tier, bench.calls[0].step_name) == ("cheap", None)

    def test_stages_beyond_the_limit_merge_and_lose_no_call(self, bench):
        with workflow("many"):
            for number in range(MAX_STAGES + 40):
                with stage(f"s{number % 300}"):
                    bench.chat()
        [run] = bench.runs
        assert len(run.stages) == MAX_STAGES + 1
        assert run.stages[-1].stage_name == "__other__"
        assert sum(found.call_count for found in run.stages) == run.call_count == MAX_STAGES + 40

    def test_a_stage_of_a_known_name_beyond_the_limit_merges_into_it(self, bench):
        with workflow("loop"):
            for _ in range(MAX_STAGES + 40):
                with stage("again"):
                    bench.chat()
        [run] = bench.runs
        assert len(run.stages) == MAX_STAGES
        assert sum(found.call_count for found in run.stages) == MAX_STAGES + 40

    def test_a_tool_inside_a_stage_is_no_stage(self, bench):
        with workflow("w"), stage("s"), tool("search"):
            bench.chat()
        [run] = bench.runs
        assert [found.stage_name for found in run.stages] == ["s"]
        assert run.stages[0].call_count == 1


class TestStragglers:
    def test_a_run_waits_for_a_call_that_it_began(self, bench):
        with workflow("w"):
            late = bench.foreign.start_span("chat", attributes={**GEN_AI, **USAGE})
        assert bench.runs == []
        late.end()
        [run] = bench.runs
        assert (run.complete, run.call_count, run.total_cost) == (True, 1, COST)

    def test_an_outer_run_waits_for_a_call_that_an_inner_one_began(self, bench):
        with workflow("outer"), workflow("inner"):
            late = bench.foreign.start_span("chat", attributes={**GEN_AI, **USAGE})
        assert bench.runs == []
        late.end()
        assert [(run.workflow_name, run.call_count) for run in bench.runs] == [("inner", 1), ("outer", 1)]

    def test_it_does_not_wait_for_a_span_that_has_nothing_to_do_with_models(self, bench):
        with workflow("w"):
            bench.foreign.start_span("background job", attributes={"http.request.method": "GET"})
        assert len(bench.runs) == 1

    def test_a_run_that_waited_too_long_is_written_as_incomplete_and_only_once(self, bench):
        with workflow("w") as entered:
            late = bench.foreign.start_span("chat", attributes={**GEN_AI, **USAGE})
        bench.recorder._expire(entered.run_id)
        [run] = bench.runs
        assert (run.complete, run.call_count, run.success) == (False, 0, True)
        late.end()
        bench.provider.shutdown()
        assert len(bench.runs) == 1
        assert bench.calls[0].run_id == entered.run_id

    def test_the_expiry_of_a_run_that_is_written_does_nothing(self, bench):
        with workflow("w") as entered:
            pass
        bench.recorder._expire(entered.run_id)
        assert len(bench.runs) == 1

    def test_no_timer_outlives_its_run(self, bench):
        with workflow("w"):
            late = bench.foreign.start_span("chat", attributes=GEN_AI)
        [timer] = bench.recorder._timers.values()
        late.end()
        timer.join()
        assert bench.recorder._timers == {}

    def test_a_call_that_begins_after_its_run_was_written_begins_it_no_second_time(self, bench):
        with workflow("w") as entered:
            inside = otel_context.get_current()
        token = otel_context.attach(inside)
        bench.chat()
        otel_context.detach(token)
        bench.provider.shutdown()
        assert len(bench.runs) == 1
        assert bench.calls[0].run_id == entered.run_id

    def test_what_is_remembered_of_written_runs_is_bounded(self, bench):
        for number in range(MAX_WRITTEN + 5):
            bench.recorder._forget(str(number))
        assert len(bench.recorder._written) == MAX_WRITTEN


class TestShutdown:
    def test_an_open_run_is_written_as_incomplete_with_what_is_known(self, bench):
        with workflow("w", user_id="u", project="p") as entered, stage("s"):
            bench.chat()
            bench.provider.shutdown()
        [run] = bench.runs
        assert (run.run_id, run.complete, run.completed_at) == (entered.run_id, False, None)
        assert (run.call_count, run.total_cost, run.user_id, run.project) == (1, COST, "u", "p")

    def test_an_open_run_without_calls_began_when_it_began(self, bench):
        bench.chat()
        with workflow("w"):
            bench.provider.shutdown()
        assert bench.runs[0].started_at >= bench.calls[0].timestamp[:19]

    def test_a_second_shutdown_writes_nothing_more(self, bench):
        with workflow("w"):
            bench.processor.shutdown()
            bench.processor.shutdown()
        assert len(bench.runs) == 1


class TestOneLineForEachSpan:
    def test_two_recorders_of_one_folder_write_one_record(self, bench):
        bench.provider.add_span_processor(RecorderProcessor(bench.recorder, "memory"))
        bench.chat()
        assert len(bench.calls) == 1

    def test_recorders_of_two_folders_write_one_each(self, bench):
        other = Kept()
        bench.provider.add_span_processor(RecorderProcessor(Recorder([other], Pricing(), Origin()), "elsewhere"))
        bench.chat()
        assert (len(bench.calls), len(other.calls)) == (1, 1)

    def test_an_exporter_beside_a_recorder_of_the_same_folder_writes_nothing(self, tmp_path):
        files = Files(tmp_path)
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(RecorderProcessor(Recorder([files], Pricing(), Origin()), os.fspath(tmp_path)))
        provider.add_span_processor(SimpleSpanProcessor(JSONLSpanExporter(tmp_path)))
        provider.get_tracer("x").start_span("chat", attributes={**GEN_AI, **USAGE}).end()
        provider.shutdown()
        assert len(TelemetryStore(tmp_path).get_calls()) == 1


class TestThreads:
    def test_calls_of_many_threads_are_all_in_the_run(self, bench):
        def work(context: Any) -> None:
            token = otel_context.attach(context)
            for _ in range(50):
                bench.chat()
            otel_context.detach(token)

        with workflow("w"):
            inside = otel_context.get_current()
            threads = [threading.Thread(target=work, args=(inside,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        [run] = bench.runs
        assert (run.call_count, run.total_input_tokens, len(bench.calls)) == (200, 200_000, 200)
        assert bench.recorder._open == {}


def _in_a_child(work: Callable[[], None]) -> int:
    """Run `work` in a forked child that then exits at once; return its exit code."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
class TestFork:
    def test_the_parent_writes_the_run_and_the_childs_call_names_it(self, tmp_path, bench):
        bench.recorder.sinks = [Files(tmp_path)]

        def work() -> None:
            bench.chat()
            bench.provider.shutdown()

        with workflow("w") as entered:
            assert _in_a_child(work) == 0
        store = TelemetryStore(tmp_path)
        [run] = store.get_workflows()
        [call] = store.get_calls()
        assert (run.run_id, run.complete) == (entered.run_id, True)
        assert call.run_id == entered.run_id
        assert call.pid != os.getpid()

    def test_a_run_that_the_child_begins_is_the_childs_to_write(self, tmp_path, bench):
        bench.recorder.sinks = [Files(tmp_path)]

        def work() -> None:
            with workflow("childs"):
                bench.chat()

        with workflow("parents"):
            assert _in_a_child(work) == 0
        found = {run.workflow_name: run.call_count for run in TelemetryStore(tmp_path).get_workflows()}
        assert found == {"childs": 1, "parents": 0}


class TestProvenance:
    def test_the_origin_says_who_where_and_that_it_was_a_test(self):
        origin = this_process("shop")
        assert (origin.service, origin.pid, origin.under_pytest) == ("shop", os.getpid(), True)
        assert origin.host
