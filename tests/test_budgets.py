"""Budgets: calls inside of a block, and of all processes in a calendar period, are refused once the money is spent."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import pickle
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from attune_monitoring import (
    BudgetExceeded,
    LLMCallRecord,
    budget,
    llm_call,
    log_llm_call,
    stage,
    tool,
    workflow,
)
from attune_monitoring import annotate as annotated
from attune_monitoring.budgets.folder import FolderSpending
from attune_monitoring.budgets.limits import Limits, Spent
from attune_monitoring.config import BudgetConfig, load_config
from attune_monitoring.errors import ConfigError
from attune_monitoring.scope import HOOKS
from attune_monitoring.testing import capture


@pytest.fixture(autouse=True)
def _no_budget_left():
    yield
    HOOKS.budget = None


@pytest.fixture(autouse=True)
def captured():
    with capture() as captured:
        yield captured


def spend(usd: float | None = 1.0, **arguments) -> None:
    with llm_call(provider="anthropic", model="claude-haiku-4-5", **arguments) as call:
        if usd is not None:
            call.set_cost(usd)


# --- around a block
def test_a_call_that_would_begin_with_nothing_left_is_not_begun():
    began = []
    with budget("nightly", limit_usd=2):
        spend(1.5)
        spend(1.5)  # begins with 0.5 left: what a call will cost is not known before
        with pytest.raises(BudgetExceeded) as raised, llm_call():
            began.append("the program's own code")
    assert not began
    assert str(raised.value) == "budget 'nightly' is spent: 3 of 2 USD"


def test_what_was_spent_and_what_is_left_can_be_asked():
    with budget("nightly", limit_usd=2) as spending:
        spend(0.5)
        assert (spending.spent_usd, spending.remaining_usd) == (0.5, 1.5)


def test_a_budget_of_zero_lets_nothing_begin():
    with budget("none", limit_usd=0), pytest.raises(BudgetExceeded):
        spend()


def test_outside_of_the_block_nothing_is_refused():
    with budget("nightly", limit_usd=1):
        spend(2)
    spend(2)


def test_each_entry_has_the_whole_limit():
    nightly = budget("nightly", limit_usd=1)
    for _ in range(2):
        with nightly as spending:
            spend(2)
            assert spending.spent_usd == 2


def test_the_budget_around_counts_what_the_inner_one_counts():
    with budget("outer", limit_usd=1) as outer, budget("inner", limit_usd=10):
        spend(2)
        assert outer.spent_usd == 2
        with pytest.raises(BudgetExceeded, match="outer"):
            spend()


def test_it_holds_through_runs_stages_tools_and_annotations():
    with budget("nightly", limit_usd=1), workflow("w"), stage("s"), tool("t"), annotated(user_id="u"):
        spend(2)
        with pytest.raises(BudgetExceeded):
            spend()


def test_a_call_inside_of_a_call_is_refused_too():
    with budget("nightly", limit_usd=1):
        spend(2)
    with llm_call(), budget("inner", limit_usd=0), pytest.raises(BudgetExceeded):
        spend()


def test_a_refused_call_leaves_no_record(captured):
    with budget("nightly", limit_usd=0), pytest.raises(BudgetExceeded):
        spend()
    assert captured.calls == []


def test_a_refused_call_leaves_the_context_as_it_was(captured):
    with workflow("w") as run:
        with budget("nightly", limit_usd=0), pytest.raises(BudgetExceeded):
            spend()
        spend()
    assert captured.calls[0].run_id == run.run_id


def test_records_that_are_handed_in_count(captured):
    with budget("nightly", limit_usd=1) as spending:
        log_llm_call(LLMCallRecord(call_id="1", timestamp="2026-01-01T00:00:00Z", estimated_cost=0.25))
    assert spending.spent_usd == 0.25


def test_a_call_of_unknown_cost_is_counted_as_such_and_told_once(caplog):
    with budget("nightly", limit_usd=1) as spending:
        for _ in range(2):
            with llm_call(provider="anthropic", model="no-such-model") as call:
                call.set_usage(input_tokens=1, output_tokens=1)
    assert (spending.spent_usd, spending.unknown_calls) == (0.0, 2)
    assert [record.getMessage()[:56] for record in caplog.records] == [
        "Budget 'nightly': what no-such-model of anthropic costs "
    ]


def test_a_call_that_failed_before_anything_was_used_is_not_of_unknown_cost():
    with budget("nightly", limit_usd=1) as spending:
        with pytest.raises(TimeoutError), llm_call(provider="anthropic", model="claude-haiku-4-5"):
            raise TimeoutError
        assert spending.unknown_calls == 0


def test_calls_in_threads_that_were_given_the_context_count():
    with budget("nightly", limit_usd=1) as spending:
        threads = [threading.Thread(target=contextvars.copy_context().run, args=(spend, 0.01)) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert spending.spent_usd == pytest.approx(0.2)


def test_calls_in_other_threads_are_outside():
    with budget("nightly", limit_usd=1) as spending:
        thread = threading.Thread(target=spend)
        thread.start()
        thread.join()
    assert spending.spent_usd == 0


# --- what is decorated
def test_a_decorated_function_has_the_limit_for_each_call():
    @budget("each", limit_usd=1)
    def job(times: int) -> int:
        for _ in range(times):
            spend(1)
        return times

    assert job(1) == job(1) == 1
    with pytest.raises(BudgetExceeded):
        job(2)


def test_a_decorated_function_is_refused_before_its_code_runs():
    ran = []

    @llm_call
    def ask() -> None:
        ran.append("function")

    with budget("nightly", limit_usd=0), pytest.raises(BudgetExceeded):
        ask()
    assert ran == []


def test_a_decorated_coroutine_is_refused_before_its_code_runs():
    ran = []

    @llm_call
    async def ask() -> None:
        ran.append("coroutine")

    async def main() -> None:
        with budget("nightly", limit_usd=0), pytest.raises(BudgetExceeded):
            await ask()

    asyncio.run(main())
    assert ran == []


def test_an_asynchronous_block_is_refused():
    async def main() -> None:
        async with budget("nightly", limit_usd=0):
            with pytest.raises(BudgetExceeded):
                async with llm_call():
                    raise AssertionError

    asyncio.run(main())


def test_a_decorated_generator_is_refused_before_its_code_runs():
    ran = []

    @llm_call
    def ask():
        ran.append("generator")
        yield 1

    with budget("nightly", limit_usd=0), pytest.raises(BudgetExceeded):
        list(ask())
    assert ran == []


def test_a_decorated_asynchronous_generator_is_refused_before_its_code_runs():
    ran = []

    @llm_call
    async def ask():
        ran.append("generator")
        yield 1

    async def main() -> None:
        with budget("nightly", limit_usd=0), pytest.raises(BudgetExceeded):
            async for _ in ask():
                pass

    asyncio.run(main())
    assert ran == []


def test_tasks_started_inside_share_the_budget():
    async def one() -> None:
        async with llm_call(provider="anthropic") as call:
            call.set_cost(0.5)

    async def main() -> float:
        async with budget("nightly", limit_usd=10) as spending:
            await asyncio.gather(*(one() for _ in range(4)))
        return spending.spent_usd

    assert asyncio.run(main()) == 2


def test_a_stream_counts_when_it_has_ended():
    with budget("nightly", limit_usd=10) as spending:
        with llm_call(provider="anthropic") as call:
            call.set_cost(3)
            stream = call.stream(iter([1, 2]))
        assert spending.spent_usd == 0
        list(stream)
        assert spending.spent_usd == 3


# --- what happens
def test_a_warning_is_logged_once(caplog):
    with budget("nightly", limit_usd=0, on_exceed="warn"):
        spend()
        spend()
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "budget 'nightly' is spent: 0 of 0 USD")
    ]


def test_a_function_is_told_each_time():
    told: list[float] = []
    with budget("nightly", limit_usd=1, on_exceed=lambda exceeded: told.append(exceeded.spent_usd)):
        for _ in range(3):
            spend(1)
    assert told == [1.0, 2.0]


def test_a_function_may_raise_what_it_was_given():
    def refuse(exceeded: BudgetExceeded) -> None:
        raise exceeded

    with budget("nightly", limit_usd=0, on_exceed=refuse), pytest.raises(BudgetExceeded):
        spend()


def test_a_function_that_fails_stops_no_call(captured):
    with budget("nightly", limit_usd=0, on_exceed=lambda exceeded: 1 / 0):
        spend()
    assert len(captured.calls) == 1


def test_what_is_raised_survives_pickling():
    again = pickle.loads(pickle.dumps(BudgetExceeded("b", 1.0, 2.0, 3)))
    assert (again.budget, again.limit_usd, again.spent_usd, again.unknown_calls) == ("b", 1.0, 2.0, 3)
    assert str(again) == "budget 'b' is spent: 2 of 1 USD, and 3 calls of unknown cost"


@pytest.mark.parametrize("limit", [-1, float("nan"), float("inf"), "5", None, True])
def test_a_limit_that_is_none_is_refused_at_once(limit):
    with pytest.raises(ConfigError, match="limit_usd"):
        budget("nightly", limit_usd=limit)


def test_another_word_for_what_happens_is_refused_at_once():
    with pytest.raises(ConfigError, match="on_exceed"):
        budget("nightly", limit_usd=1, on_exceed="explode")


def test_without_a_budget_nothing_is_asked():
    spend()
    assert HOOKS.budget is None


def test_with_telemetry_off_it_says_that_it_has_no_effect(run_program):
    finished = run_program(
        """
        import logging
        logging.basicConfig(format="%(message)s")
        from attune_monitoring import budget, llm_call
        with budget("nightly", limit_usd=0) as spending, llm_call():
            print(spending.spent_usd)
        """,
        OTEL_SDK_DISABLED="true",
    )
    assert finished.out == "0.0\n"
    assert finished.err == "Budget 'nightly' has no effect: telemetry is off or has failed\n"


# --- limits of monitoring.yaml
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC).timestamp()


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


class Folder:
    """What all processes have spent, by workflow or user."""

    def __init__(self, **spent: Spent) -> None:
        self.total: dict[str, Spent] = spent
        self.fresh = True

    def changed(self) -> bool:
        fresh, self.fresh = self.fresh, False
        return fresh

    def spent(self, by: str | None, since: float) -> Mapping[str, Spent]:
        if by is not None:
            return self.total
        return {"": (sum(usd for usd, _ in self.total.values()), sum(count for _, count in self.total.values()))}

    def close(self) -> None:
        pass


def limit(usd: float, **fields) -> BudgetConfig:
    usual = {"name": "daily", "period": "day", "workflow": None, "user": None, "on_exceed": "raise"}
    return BudgetConfig(limit_usd=usd, **{**usual, **fields})


def call(usd: float | None, *, at: float = NOON, **fields) -> LLMCallRecord:
    moment = datetime.fromtimestamp(at, UTC).isoformat()
    return LLMCallRecord(call_id="1", timestamp=moment, estimated_cost=usd, cost_source="list", **fields)


def refused(limits: Limits) -> bool:
    try:
        limits.ask()
    except BudgetExceeded:
        return True
    return False


def test_the_calls_of_this_process_count():
    limits = Limits([limit(2)], clock=Clock())
    limits.call(call(1.5))
    assert not refused(limits)
    limits.call(call(1.5))
    assert refused(limits)


def test_what_others_have_spent_counts():
    limits = Limits([limit(2)], clock=Clock())
    limits.call(call(1.5))
    limits.refresh(Folder(a=(1.5, 0), b=(0.5, 0)))
    assert refused(limits)


def test_what_this_process_wrote_into_the_folder_counts_once():
    limits = Limits([limit(2)], clock=Clock())
    limits.call(call(1.5))
    limits.refresh(Folder(a=(1.5, 0)))
    limits.call(call(0.25))
    assert not refused(limits)


def test_a_new_day_begins_with_nothing():
    clock = Clock()
    limits = Limits([limit(1)], clock=clock)
    limits.call(call(2))
    clock.now += 86400
    assert not refused(limits)


def test_the_folder_is_read_anew_for_a_new_day_though_nothing_was_written():
    clock, folder = Clock(), Folder(a=(5.0, 0))
    limits = Limits([limit(1)], clock=clock)
    limits.refresh(folder)
    folder.total = {}
    clock.now += 86400
    limits.refresh(folder)
    assert not refused(limits)


def test_a_call_of_yesterday_that_is_handed_in_today_does_not_count():
    limits = Limits([limit(1)], clock=Clock())
    limits.call(call(2, at=NOON - 86400))
    assert not refused(limits)


def test_a_limit_of_one_workflow_is_about_that_one():
    limits = Limits([limit(1, workflow="review")], clock=Clock())
    limits.call(call(2, workflow_name="triage"))
    with workflow("review"):
        assert not refused(limits)
    limits.call(call(2, workflow_name="review"))
    assert not refused(limits)
    with workflow("review"):
        assert refused(limits)


def test_a_limit_of_each_user_names_the_one_who_has_spent_it():
    limits = Limits([limit(1, user="*")], clock=Clock())
    limits.call(call(2, user_id="ann"))
    with annotated(user_id="bob"):
        assert not refused(limits)
    with annotated(user_id="ann"), pytest.raises(BudgetExceeded, match=r"daily \(ann\)"):
        limits.ask()


def test_a_limit_that_only_warns_does_so_once_a_period(caplog):
    clock = Clock()
    limits = Limits([limit(1, on_exceed="warn")], clock=clock)
    for day in range(2):
        clock.now = NOON + day * 86400
        limits.call(call(2, at=clock.now))
        limits.ask()
        limits.ask()
    assert len(caplog.records) == 2


def test_unknown_costs_are_reported():
    limits = Limits([limit(1)], clock=Clock())
    limits.call(call(None))
    limits.call(call(2))
    limits.refresh(Folder(a=(2.0, 4)))
    with pytest.raises(BudgetExceeded) as raised:
        limits.ask()
    assert raised.value.unknown_calls == 4


def test_a_clock_that_fails_blocks_no_call():
    def broken() -> float:
        raise OSError

    limits = Limits([limit(0)], clock=broken)
    limits.call(call(1))
    assert not refused(limits)


def test_a_forked_child_takes_what_its_parent_spent_for_that_of_another():
    limits = Limits([limit(2)], clock=Clock())
    limits.call(call(1.5))
    limits._after_fork()
    limits.refresh(Folder(a=(1.5, 0)))
    limits.call(call(0.25))
    assert not refused(limits)


def test_the_folder_says_what_was_spent_by_workflow_by_user_and_altogether(tmp_path: Path):
    lines = [
        {"call_id": str(n), "timestamp": "2026-03-10T12:00:00Z", "workflow_name": w, "user_id": u, "estimated_cost": c}
        for n, (w, u, c) in enumerate([("a", "ann", 1.0), ("a", "bob", 2.0), ("b", "ann", 4.0)])
    ]
    (tmp_path / "llm_calls.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    folder = FolderSpending(tmp_path)
    assert folder.changed()
    since = NOON - 12 * 3600
    assert folder.spent("workflow", since) == {"a": (3.0, 0), "b": (4.0, 0)}
    assert folder.spent("user", since) == {"ann": (5.0, 0), "bob": (2.0, 0)}
    assert folder.spent(None, since) == {"": (7.0, 0)}
    assert folder.spent(None, NOON + 3600) == {}
    folder.close()


def test_the_file_declares_limits(tmp_path: Path):
    file = tmp_path / "monitoring.yaml"
    file.write_text(
        "budgets:\n  - limit_usd: 50\n  - {name: people, limit_usd: 2, period: month, user: '*', on_exceed: raise}\n"
    )
    assert load_config(file).budgets == (
        limit(50.0, name="all calls a day", on_exceed="warn"),
        limit(2.0, name="people", period="month", user="*"),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- {limit_usd: -1}", "monitoring.yaml:2:17: budgets[0].limit_usd: expected a number of at least 0, found -1"),
        ("- {name: a}", "monitoring.yaml:2:5: budgets[0]: key 'limit_usd' is missing (USD.)"),
        ("- {limit_usd: 1, period: year}", "budgets[0].period: expected day, week or month, found 'year'"),
        (
            "- {limit_usd: 1, user: a, workflow: b}",
            "budgets[0].user: a budget is for workflows or for users; write two",
        ),
    ],
)
def test_mistakes_in_the_file_are_told_with_their_place(tmp_path: Path, text: str, problem: str):
    file = tmp_path / "monitoring.yaml"
    file.write_text(f"budgets:\n  {text}\n")
    with pytest.raises(ConfigError) as raised:
        load_config(file)
    assert problem in str(raised.value)


@pytest.mark.slow
def test_a_program_is_refused_what_another_one_has_spent(run_program):
    code = """
        import sys
        from attune_monitoring import BudgetExceeded, configure, llm_call
        configure(budgets=[{"limit_usd": 3, "on_exceed": "raise"}])
        begun = 0
        try:
            while True:  # the folder is read in the background
                with llm_call(provider="anthropic") as call:
                    call.set_cost(float(sys.argv[1]))
                    begun += 1
        except BudgetExceeded as exceeded:
            print(exceeded.spent_usd, begun if exceeded.spent_usd == begun else "")
        """
    assert run_program(code, 1).out == "3.0 3\n"
    assert run_program(code, 0).out == "3.0 \n"


@pytest.mark.slow
def test_a_configuration_without_limits_takes_back_what_one_with_limits_had_set(run_program):
    code = """
        from attune_monitoring import configure, llm_call
        configure(budgets=[{"limit_usd": 0, "on_exceed": "raise"}])
        configure()
        with llm_call():
            print("begun")
        """
    assert run_program(code).out == "begun\n"
