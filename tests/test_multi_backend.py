"""Several backends at once: one that fails stops no other, and recovers by itself."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from attune_monitoring import (
    LLMCallRecord,
    MultiBackend,
    OpenTelemetryBackend,
    TelemetryStore,
    WorkflowRunRecord,
)
from attune_monitoring.telemetry_backend import TelemetryBackend

CALL = LLMCallRecord("c1", "2026-01-11T03:47:00Z", provider="openai", model_id="gpt-4o-mini", estimated_cost=0.5)
RUN = WorkflowRunRecord("r1", "w", "2026-01-11T03:47:00Z")


class Backend:
    """One that fails while `broken`, as a disk or a network does."""

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken
        self.taken: list[Any] = []

    def _take(self, record: Any) -> None:
        if self.broken:
            raise OSError("disk full")
        self.taken.append(record)

    log_call = log_workflow = _take

    def get_calls(self, since: Any = None, workflow_name: Any = None, limit: int = 1000) -> list[Any]:
        if self.broken:
            raise OSError("unreadable")
        return [record for record in self.taken if isinstance(record, LLMCallRecord)][-limit:]

    def get_workflows(self, since: Any = None, workflow_name: Any = None, limit: int = 100) -> list[Any]:
        if self.broken:
            raise OSError("unreadable")
        return [record for record in self.taken if isinstance(record, WorkflowRunRecord)][-limit:]


class Other(Backend):
    """Another type, so that the two can be told apart by name."""


def test_every_backend_gets_every_record():
    first, second = Backend(), Other()
    both = MultiBackend([first, second])
    both.log_call(CALL)
    both.log_workflow(RUN)
    assert first.taken == second.taken == [CALL, RUN]
    assert isinstance(both, TelemetryBackend)


@pytest.mark.parametrize("broken", [0, 1])
def test_one_that_fails_stops_no_other_and_is_the_one_that_is_named(broken):
    backends = [Backend(), Other()]
    backends[broken].broken = True
    both = MultiBackend(backends)
    both.log_call(CALL)
    both.log_workflow(RUN)
    assert backends[1 - broken].taken == [CALL, RUN]
    names = ["Backend", "Other"]
    assert both.get_failed_backends() == [names[broken]]
    assert both.get_active_backends() == [names[1 - broken]]
    assert both.failures == {names[broken]: 2}


def test_of_two_of_the_same_type_only_the_failing_one_counts_as_failed():
    good, bad = Backend(), Backend(broken=True)
    both = MultiBackend([good, bad])
    both.log_call(CALL)
    assert (len(both.get_active_backends()), len(both.get_failed_backends())) == (1, 1)


def test_one_that_works_again_gets_the_next_record_by_itself():
    backend = Backend(broken=True)
    both = MultiBackend([backend])
    both.log_call(CALL)
    backend.broken = False
    both.log_call(CALL)
    assert backend.taken == [CALL]
    assert both.get_failed_backends() == []


def test_a_failure_is_logged_once_and_the_recovery_too(caplog):
    backend = Backend(broken=True)
    both = MultiBackend([backend])
    with caplog.at_level(logging.INFO, "attune_monitoring"):
        for _ in range(5):
            both.log_call(CALL)
        backend.broken = False
        both.log_call(CALL)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_failures_can_be_forgotten():
    both = MultiBackend([Backend(broken=True)])
    both.log_call(CALL)
    both.reset_failures()
    assert both.get_failed_backends() == []


def test_an_empty_one_is_true_and_takes_records():
    empty = MultiBackend()
    empty.log_call(CALL)
    assert bool(empty) is True
    assert (len(empty), empty.get_calls(), empty.get_workflows(), empty.flush()) == (0, [], [], True)


def test_backends_come_and_go():
    first, second = Backend(), Other()
    both = MultiBackend([first])
    both.add_backend(second)
    both.remove_backend(first)
    both.remove_backend(first)
    both.log_call(CALL)
    assert (first.taken, second.taken, list(both)) == ([], [CALL], [second])


def test_one_that_is_taken_out_leaves_no_failure_behind():
    broken = Backend(broken=True)
    both = MultiBackend([broken])
    both.log_call(CALL)
    both.remove_backend(broken)
    both.add_backend(Backend())
    assert both.get_failed_backends() == []


def test_reading_asks_the_first_that_has_something():
    full = Backend()
    full.taken = [CALL, RUN]
    both = MultiBackend([Backend(broken=True), Other(), full])
    assert (both.get_calls(), both.get_workflows()) == ([CALL], [RUN])
    assert both.get_failed_backends() == ["Backend"]


def test_flush_tells_whether_all_delivered():
    class Late(Backend):
        def flush(self, timeout: float) -> bool:
            return False

    class Broken(Backend):
        def flush(self, timeout: float) -> bool:
            raise OSError("no")

    assert MultiBackend([Backend()]).flush() is True
    assert MultiBackend([Late(), Backend()]).flush() is False
    assert MultiBackend([Broken()]).flush() is False


def test_a_store_and_spans_write_one_line_a_record(storage, read_lines):
    store = TelemetryStore(storage)
    both = MultiBackend([store, OpenTelemetryBackend()])
    both.log_call(CALL)
    both.log_workflow(RUN)
    assert [len(read_lines(storage, stream)) for stream in ("llm_calls", "workflow_runs", "workflow_details")] == [
        1,
        1,
        1,
    ]
    assert [record.call_id for record in both.get_calls()] == ["c1"]


def test_the_order_of_store_and_spans_does_not_matter(storage, read_lines):
    both = MultiBackend([OpenTelemetryBackend(), TelemetryStore(storage)])
    both.log_call(CALL)
    both.log_workflow(RUN)
    assert [len(read_lines(storage, stream)) for stream in ("llm_calls", "workflow_runs", "workflow_details")] == [
        1,
        1,
        1,
    ]
