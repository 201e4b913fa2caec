"""The history gives the same figures from the roll-up as from plain records, whatever the records."""

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attune_monitoring.figures import CALL_SUMS, Figures
from attune_monitoring.history import GROUPS, History, Span
from attune_monitoring.query import Filter
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, WorkflowStageRecord, encode_call, encode_line

NOW = datetime(2026, 11, 23, 12, 34, 56, tzinfo=UTC).timestamp()
WORKFLOWS = (None, "review", "triage")


def time_text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def some_call(rnd: random.Random, number: int) -> LLMCallRecord:
    outcome = rnd.choices(("ok", "error", "cancelled"), (8, 1, 1))[0]
    known = rnd.random() > 0.1
    cost = rnd.random() / 10 if known else None
    return LLMCallRecord(
        call_id=f"call-{number}",
        timestamp=time_text(NOW - rnd.choice((600, 86400, 86400 * 3, 86400 * 20)) * rnd.random()),
        workflow_name=rnd.choice(WORKFLOWS),
        step_name=rnd.choice((None, "one", "two")),
        user_id=rnd.choice((None, "ann", "bob", "workflow")),
        session_id=rnd.choice((None, "s1")),
        provider=rnd.choice(("openai", "anthropic")),
        model_id=rnd.choice(("small", "large")),
        tier=rnd.choice(("cheap", "premium")),
        project=rnd.choice((None, "p1")),
        input_tokens=rnd.choice((None, rnd.randrange(10_000))),
        output_tokens=rnd.randrange(1000),
        cache_read_tokens=rnd.choice((None, 17)),
        reasoning_tokens=rnd.choice((None, 5)),
        estimated_cost=cost,
        actual_cost=rnd.choice((None, None, 0.25)),
        baseline_cost=rnd.choice((None, 0.5)),
        cost_source=rnd.choice(("table", "none")) if not known else "table",
        latency_ms=int(rnd.lognormvariate(6, 1.5)),
        time_to_first_token_ms=rnd.choice((None, rnd.random() * 900)),
        retry_count=rnd.choice((0, 0, 2)),
        fallback_used=rnd.random() < 0.1,
        finish_reasons=rnd.choice(([], ["stop"], ["length"])),
        attempts=rnd.choice(([], [{"outcome": "retry", "cost": 0.01}, {"outcome": "fallback", "cost": 0.02}])),
        success=outcome == "ok",
        cancelled=outcome == "cancelled",
        error_type=rnd.choice((None, "timeout")) if outcome == "error" else None,
        pid=7,
        dialect="attune",
        under_pytest=rnd.random() < 0.05,
    )


def some_run(rnd: random.Random, number: int) -> WorkflowRunRecord:
    cost = rnd.random()
    return WorkflowRunRecord(
        run_id=f"run-{number}",
        workflow_name=rnd.choice(("review", "triage")),
        started_at=time_text(NOW - 86400 * 10 * rnd.random()),
        total_cost=cost,
        baseline_cost=2 * cost,
        savings=cost,
        total_duration_ms=rnd.randrange(100_000),
        success=rnd.random() > 0.2,
        parent_run_id=rnd.choice((None, None, "run-0")),
        project=rnd.choice((None, "p1")),
        stages=[
            WorkflowStageRecord("plan", "cheap", "small", cost=0.1, latency_ms=rnd.randrange(500)),
            WorkflowStageRecord("skip", "cheap", "small", success=False, skipped=True),
        ],
        pid=7,
    )


def write(folder: Path, calls: list[LLMCallRecord], runs: list[WorkflowRunRecord] = ()) -> None:  # type: ignore[assignment]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "llm_calls.jsonl").open("ab") as file:
        file.writelines(encode_call(call) + b"\n" for call in calls)
    with (folder / "workflow_details.jsonl").open("ab") as file:
        file.writelines(encode_line(run.to_details()) + b"\n" for run in runs)
    with (folder / "workflow_runs.jsonl").open("ab") as file:
        file.writelines(encode_line(run.to_dict()) + b"\n" for run in runs if run.parent_run_id is None)


def plain(figures: Figures) -> dict[str, object]:
    sums = {name: round(getattr(figures, name), 6) for name in CALL_SUMS}
    timings = {
        name: (timing.count, round(timing.total, 3), timing.minimum, timing.maximum, timing.histogram)
        for name, timing in (
            ("latency", figures.latency),
            ("unanswered", figures.unanswered),
            ("first", figures.time_to_first_token),
        )
    }
    return {**sums, **timings, "outcomes": figures.outcomes, "errors": figures.errors}


def by_hand(calls: list[LLMCallRecord], group_by: tuple[str, ...], span: Span) -> dict[tuple[str, ...], Figures]:
    found: dict[tuple[str, ...], Figures] = {}
    for call in calls:
        moment = datetime.fromisoformat(call.timestamp).timestamp()
        if call.under_pytest or (span.start is not None and moment < span.start):
            continue
        found.setdefault(tuple(GROUPS[name](call) for name in group_by), Figures()).add(call)
    return found


def shown(found: dict[tuple[str, ...], Figures]) -> dict[tuple[str, ...], dict[str, object]]:
    return {labels: plain(figures) for labels, figures in found.items()}


def history(folder: Path) -> History:
    return History(folder, clock=lambda: NOW)


GROUPINGS = (
    (),
    ("workflow",),
    ("provider", "model"),
    ("tier", "outcome"),
    ("error",),
    ("session",),
    ("workflow", "project"),
)


@pytest.mark.slow
@pytest.mark.parametrize("group_by", GROUPINGS)
@pytest.mark.parametrize("days", [None, 0.01, 1.0, 7.3])
def test_figures_by_any_group_and_span_are_those_of_the_records(tmp_path, group_by, days):
    rnd = random.Random(5)
    calls = [some_call(rnd, number) for number in range(400)]
    write(tmp_path, calls)
    span = Span(None if days is None else NOW - days * 86400)
    with history(tmp_path) as past:
        past.refresh()
        assert shown(past.calls(group_by, span=span)) == shown(by_hand(calls, group_by, span))


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**9), cuts=st.lists(st.integers(0, 60), max_size=4))
def test_reading_in_steps_gives_what_reading_at_once_gives(tmp_path_factory, seed, cuts):
    folder = tmp_path_factory.mktemp("steps")
    rnd = random.Random(seed)
    calls = [some_call(rnd, number) for number in range(60)]
    with history(folder) as past:
        done = 0
        for cut in [*sorted(cuts), 60]:
            write(folder, calls[done:cut])
            done = max(done, cut)
            past.refresh()
        assert shown(past.calls(("workflow", "model"))) == shown(by_hand(calls, ("workflow", "model"), Span()))


def test_minutes_become_hours_and_nothing_is_lost(tmp_path):
    rnd = random.Random(8)
    calls = [some_call(rnd, number) for number in range(200)]
    write(tmp_path, calls)
    now = [NOW]
    with History(tmp_path, clock=lambda: now[0]) as past:
        past.refresh()
        before = shown(past.calls(("workflow",)))
        now[0] += 30 * 3600
        assert past.refresh()
        assert shown(past.calls(("workflow",))) == before


def test_users_and_steps_are_those_of_the_records(tmp_path):
    rnd = random.Random(6)
    calls = [some_call(rnd, number) for number in range(300)]
    write(tmp_path, calls)
    counted = [call for call in calls if not call.under_pytest]
    with history(tmp_path) as past:
        past.refresh()
        users = past.marginal("user", span=Span(NOW - 5 * 86400))
        steps = past.marginal("step")
    recent = [call for call in counted if datetime.fromisoformat(call.timestamp).timestamp() >= NOW - 5 * 86400]
    for name in ("ann", "bob", "workflow"):
        mine = [call for call in recent if call.user_id == name]
        assert users[(name,)].calls == len(mine)
        assert users[(name,)].cost == pytest.approx(sum(call.cost or 0 for call in mine))
        assert users[(name,)].failed == sum(call.outcome == "error" for call in mine)
        assert users[(name,)].unknown == sum(call.cost is None and call.cost_source != "none" for call in mine)
    assert sum(figures.calls for figures in steps.values()) == sum(call.step_name is not None for call in counted)
    assert set(steps) == {(call.workflow_name or "", call.step_name) for call in counted if call.step_name}


def test_runs_count_once_and_money_is_that_of_roots(tmp_path):
    rnd = random.Random(7)
    runs = [some_run(rnd, number) for number in range(80)]
    write(tmp_path, [], runs)
    old = some_run(rnd, 1000)
    with (tmp_path / "workflow_runs.jsonl").open("ab") as file:
        file.write(encode_line(old.to_dict()) + b"\n")
    everything = [*runs, WorkflowRunRecord.from_dict(old.to_dict())]
    with history(tmp_path) as past:
        past.refresh()
        found = past.runs(("workflow",))
        stages = past.stages(("stage",))
        assert len(list(past.run_records())) == 81
    for (name,), figures in found.items():
        mine = [run for run in everything if run.workflow_name == name]
        roots = [run for run in mine if run.parent_run_id is None]
        assert (figures.runs, figures.roots) == (len(mine), len(roots))
        assert figures.cost == pytest.approx(sum(run.total_cost for run in roots))
        assert figures.root_ms == sum(run.total_duration_ms for run in roots)
        assert figures.outcomes.get("error", 0) == sum(not run.success for run in mine)
        assert figures.duration.count == len(mine)
    assert {labels: figures.stages for labels, figures in stages.items()} == {("plan",): 81}


def test_a_filter_holds_for_the_cube_and_for_records(tmp_path):
    rnd = random.Random(9)
    calls = [some_call(rnd, number) for number in range(200)]
    write(tmp_path, calls)
    with history(tmp_path) as past:
        past.refresh()
        for condition in (
            Filter("workflow", ("review",)),
            Filter("workflow", ("", "review"), negated=True),
            Filter("session", ("s1",)),
        ):
            wanted = [call for call in calls if condition.holds(GROUPS[condition.dimension](call))]
            assert shown(past.calls((), filters=[condition])) == shown(by_hand(wanted, (), Span()))


def test_tests_count_only_where_asked_for(tmp_path):
    rnd = random.Random(10)
    calls = [some_call(rnd, number) for number in range(300)]
    write(tmp_path, calls)
    tests = sum(call.under_pytest for call in calls)
    assert tests > 0
    with history(tmp_path) as past, History(tmp_path, include_tests=True, clock=lambda: NOW) as whole:
        past.refresh()
        whole.refresh()
        assert past.calls()[()].calls == 300 - tests
        assert past.notes().tests == tests
        assert whole.calls()[()].calls == 300
        assert whole.notes().tests == 0


def test_damaged_lines_are_counted_and_harm_nothing(tmp_path):
    rnd = random.Random(11)
    calls = [some_call(rnd, number) for number in range(50)]
    with (tmp_path / "llm_calls.jsonl").open("wb") as file:
        for call in calls:
            file.write(encode_call(call) + b"\n")
            file.write(rnd.choice([b"{}\n", b"\xff\xfe\n", b"[1]\n", b'{"call_id": "x", "timestamp": "?"}\n', b"\n"]))
        file.write(b'{"call_id": "unfinished')
    with history(tmp_path) as past:
        past.refresh()
        assert shown(past.calls()) == shown(by_hand(calls, (), Span()))
        assert sum(past.notes().skipped.values()) > 20


class TestDuplicatePairs:
    def lines(self, seconds: float, cost: float, *, apart: float = 0.001, run_id: str | None = "r") -> list[bytes]:
        first = {
            "call_id": "a",
            "timestamp": time_text(seconds),
            "workflow_name": "audit",
            "user_id": "workflow",
            "model_id": "m",
            "input_tokens": 5,
            "estimated_cost": cost,
            "latency_ms": 10,
            "metadata": {},
        }
        other = {
            "call_id": "b",
            "timestamp": time_text(seconds + apart),
            "user_id": None,
            "metadata": {"run_id": run_id},
        }
        second = {**first, **other}
        return [json.dumps(first).encode() + b"\n", json.dumps(second).encode() + b"\n"]

    @pytest.mark.parametrize("run_id", ["r", None])
    def test_count_once_and_are_told(self, tmp_path, run_id):
        lines = self.lines(NOW - 5000, 1.0, run_id=run_id) + self.lines(NOW - 4000, 2.0, run_id=run_id)
        (tmp_path / "llm_calls.jsonl").write_bytes(b"".join(lines))
        with history(tmp_path) as past:
            past.refresh()
            assert (past.calls()[()].calls, past.calls()[()].cost) == (2, 3.0)
            assert len(list(past.call_records())) == 2
            assert past.notes().duplicates == 2
            assert past.marginal("user") == {}

    def test_are_recognised_when_the_second_comes_in_a_later_reading(self, tmp_path):
        first, second = self.lines(NOW - 5000, 1.0)
        file = tmp_path / "llm_calls.jsonl"
        file.write_bytes(first)
        with history(tmp_path) as past:
            past.refresh()
        with file.open("ab") as more:
            more.write(second)
        with history(tmp_path) as past:
            past.refresh()
            assert past.calls()[()].calls == 1

    def test_that_are_too_far_apart_are_two_calls(self, tmp_path):
        (tmp_path / "llm_calls.jsonl").write_bytes(b"".join(self.lines(NOW - 5000, 1.0, apart=0.2)))
        with history(tmp_path) as past:
            past.refresh()
            assert past.calls()[()].calls == 2

    def test_three_equal_records_are_a_pair_and_one_more(self, tmp_path):
        first, second = self.lines(NOW - 5000, 1.0)
        (tmp_path / "llm_calls.jsonl").write_bytes(first + second + second)
        with history(tmp_path) as past:
            past.refresh()
            assert past.calls()[()].calls == 2


def test_percentiles_are_as_near_as_they_claim(tmp_path):
    rnd = random.Random(12)
    calls = [some_call(rnd, number) for number in range(2000)]
    write(tmp_path, calls)
    exact = sorted(call.latency_ms for call in calls if call.outcome == "ok" and not call.under_pytest)
    with history(tmp_path) as past:
        past.refresh()
        latency = past.calls()[()].latency
    for percent in (1, 50, 90, 95, 99, 100):
        wanted = exact[max(0, math.ceil(len(exact) * percent / 100) - 1)]
        assert latency.percentile(percent) == pytest.approx(max(wanted, 1), rel=0.036)
    assert latency.average == pytest.approx(sum(exact) / len(exact))


def test_an_empty_folder_has_no_figures_and_gets_no_file(tmp_path):
    with history(tmp_path / "nothing") as past:
        assert not past.refresh()
        assert past.calls() == {}
        assert list(past.call_records()) == []
    assert not (tmp_path / "nothing").exists()


def test_more_series_than_have_cells_are_read_from_the_records(tmp_path, monkeypatch):
    rnd = random.Random(13)
    calls = [some_call(rnd, number) for number in range(100)]
    for number, call in enumerate(calls):
        calls[number] = call.updated({"workflow_name": "w" * 300 + str(number)})
    write(tmp_path, calls)
    with history(tmp_path) as past:
        past.refresh()
        assert shown(past.calls(("workflow",))) == shown(by_hand(calls, ("workflow",), Span()))
        assert past.calls()[()].calls == sum(not call.under_pytest for call in calls)


def test_a_day_in_a_zone_of_half_hours_is_exact(tmp_path):
    rnd = random.Random(14)
    calls = [some_call(rnd, number) for number in range(400)]
    write(tmp_path, calls)
    start = datetime(2026, 11, 10, 18, 30, tzinfo=UTC)
    span = Span(start.timestamp(), (start + timedelta(days=4, minutes=17)).timestamp())
    inside = [
        call
        for call in calls
        if span.start <= datetime.fromisoformat(call.timestamp).timestamp() < span.end  # type: ignore[operator]
    ]
    assert inside
    with history(tmp_path) as past:
        past.refresh()
        assert shown(past.calls((), span=span)) == shown(by_hand(inside, (), Span()))
