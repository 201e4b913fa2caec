"""A run rebuilt from its records: what stands where, and which sums it shows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord
from attune_monitoring.run_tree import Node, build
from record_strategies import CALLS, RUNS

START = "2026-01-11T03:47:00Z"


def call(call_id: str = "c", **fields: Any) -> LLMCallRecord:
    given_ = {"call_id": call_id, "timestamp": "2026-01-11T03:47:02Z", "model_id": "m", "latency_ms": 1000}
    attune = {"run_id": "r", "pid": 1, **fields.pop("attune", {})}
    return LLMCallRecord.from_dict({**given_, "estimated_cost": 0.5, "metadata": {"attune": attune}, **fields})


def run(run_id: str = "r", *, stages: list[dict[str, Any]] | None = None, **attune: Any) -> WorkflowRunRecord:
    old = [{"stage_name": one["name"], "tier": "cheap", "model_id": "m", "cost": 1.0} for one in stages or []]
    new = [{key: value for key, value in one.items() if key != "name"} for one in stages or []]
    return WorkflowRunRecord.from_dict(
        {
            "run_id": run_id,
            "workflow_name": f"workflow-{run_id}",
            "started_at": START,
            "completed_at": "2026-01-11T03:47:05Z",
            "total_duration_ms": 5000,
            "total_cost": 2.0,
            "stages": old,
            "metadata": {"attune": {"pid": 1, "call_count": 1, "stages": new, **attune}},
        }
    )


def shape(node: Node) -> Any:
    name = f"{node.kind} {node.id or node.name}"
    return {name: [shape(child) for child in node.children]} if node.children else name


def test_calls_stand_in_their_stages_and_stages_in_theirs():
    stages = [{"name": "outer", "stage_id": "s1"}, {"name": "inner", "stage_id": "s2", "parent_stage_id": "s1"}]
    tree = build("r", [run(stages=stages)], [call("a", attune={"stage_id": "s2"}), call("b")])
    assert shape(tree) == {"run r": [{"stage s1": [{"stage s2": ["call a"]}]}, "call b"]}


def test_a_nested_run_stands_in_the_stage_that_it_was_started_in():
    inner = run("n", parent_run_id="r", parent_span_id="s1")
    tree = build("r", [run(stages=[{"name": "outer", "stage_id": "s1"}]), inner], [])
    assert shape(tree) == {"run r": [{"stage s1": ["run n"]}]}


def test_calls_of_earlier_writers_find_their_stage_by_its_name():
    record = WorkflowRunRecord.from_dict(
        {
            "run_id": "r",
            "workflow_name": "w",
            "started_at": START,
            "stages": [{"stage_name": "write", "tier": "cheap", "model_id": "m"}],
        }
    )
    tree = build("r", [record], [call(step_name="write")])
    assert shape(tree) == {"run r": [{"stage write": ["call c"]}]}


def test_calls_of_other_runs_are_passed_over():
    assert build("r", [run()], [call(attune={"run_id": "other"})]).children == ()


def test_the_sums_of_a_run_are_those_of_its_record():
    assert build("r", [run()], [call()]).cost == 2.0


def test_calls_that_the_record_did_not_count_make_the_sums_those_of_the_calls():
    assert build("r", [run()], [call("a"), call("b", attune={"pid": 2})]).cost == 1.0


def test_the_record_of_an_earlier_writer_is_believed_whatever_calls_there_are():
    record = WorkflowRunRecord(run_id="r", workflow_name="w", started_at=START, total_cost=7.0)
    assert build("r", [record], [call("a"), call("b")]).cost == 7.0


def test_a_run_without_a_record_is_rebuilt_from_its_calls():
    calls = [call("a", workflow_name="review", step_name="write", attune={"stage_id": "s"}), call("b")]
    tree = build("r", [], calls)
    assert (tree.outcome, tree.name, tree.cost, tree.duration_ms) == ("open", "review", 1.0, 1000.0)
    assert shape(tree) == {"run r": [{"stage s": ["call a"]}, "call b"]}


def test_a_run_of_which_nothing_is_known_is_an_open_one_without_time():
    tree = build("r", [], [])
    assert (tree.outcome, tree.started, tree.cost) == ("open", None, 0.0)


def test_an_unknown_cost_is_not_zero():
    tree = build("r", [], [call(attune={"unknown": ["estimated_cost"], "cost_source": "unknown"})])
    assert (tree.cost, tree.unknown_cost_calls) == (None, 1)


def test_a_call_that_failed_before_anything_was_used_cost_nothing():
    tree = build("r", [], [call(attune={"unknown": ["estimated_cost"], "cost_source": "none"})])
    assert (tree.cost, tree.unknown_cost_calls) == (0.0, 0)


@pytest.mark.parametrize("parents", [("s1", "s1"), ("s2", "s1")])
def test_stages_that_claim_to_be_in_each_other_are_shown_once(parents):
    stages = [{"name": f"n{n}", "stage_id": f"s{n}", "parent_stage_id": parents[n - 1]} for n in (1, 2)]
    tree = build("r", [run(stages=stages)], [])
    assert sorted(node.id for node in tree.walk()) == ["r", "s1", "s2"]


def test_runs_that_claim_to_be_in_each_other_end():
    tree = build("r", [run("r", parent_run_id="n"), run("n", parent_run_id="r")], [])
    assert shape(tree) == {"run r": ["run n"]}


@pytest.mark.slow
@given(runs=st.lists(RUNS, max_size=4), calls=st.lists(CALLS, max_size=6))
def test_every_call_of_a_run_is_in_its_tree_once(runs, calls):
    for run_id in {record.run_id for record in runs} | {record.run_id for record in calls if record.run_id}:
        made = [node.call for node in build(run_id, runs, calls).walk() if node.kind == "call"]
        for record in calls:
            if record.run_id == run_id:
                assert sum(one is record for one in made) == 1
