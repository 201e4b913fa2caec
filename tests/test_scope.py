"""The scope in the context, what can be entered, and the one place where failures of ours end."""

import logging
import threading
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context

from attune_monitoring.scope import (
    HOOKS,
    NO_SCOPE,
    NOTHING_ENTERED,
    OBSERVED,
    Entered,
    Hooks,
    Observed,
    Run,
    Scope,
    scope_of,
    with_scope,
)


def test_a_context_without_a_scope_lies_in_none():
    assert scope_of(Context()) is NO_SCOPE
    assert scope_of() is NO_SCOPE
    assert (dict(NO_SCOPE.attributes), NO_SCOPE.run, NO_SCOPE.call) == ({}, None, None)


def test_a_scope_is_found_again_in_the_context_it_was_put_into():
    scope = Scope({"user.id": "u1"}, None, None)
    context = with_scope(Context({"theirs": 1}), scope)
    assert scope_of(context) is scope
    assert context["theirs"] == 1


def test_a_span_that_is_put_in_with_the_scope_is_the_current_one():
    span = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False))
    scope = Scope({}, None, None)
    context = with_scope(Context({"theirs": 1}), scope, span)
    assert trace.get_current_span(context) is span
    assert (scope_of(context), context["theirs"]) == (scope, 1)


def test_the_context_that_a_scope_is_put_into_is_not_changed():
    context = Context({"theirs": 1})
    with_scope(context, Scope({}, None, None), trace.INVALID_SPAN)
    assert dict(context) == {"theirs": 1}


def test_every_run_has_an_id_of_its_own_unless_one_is_given():
    outer = Run("review", None)
    inner = Run("review", outer)
    assert outer.run_id != inner.run_id
    assert inner.parent is outer
    assert Run("review", None, "given").run_id == "given"


def test_what_is_entered_is_current_between_attach_and_detach():
    before = otel_context.get_current()
    entered = Entered(with_scope(before, Scope({}, None, None)))
    entered.attach()
    assert otel_context.get_current() is entered.context
    entered.detach()
    assert otel_context.get_current() is before


def test_detaching_twice_or_without_attaching_does_nothing():
    before = otel_context.get_current()
    entered = Entered(with_scope(before, Scope({}, None, None)))
    entered.detach()
    entered.attach()
    entered.detach()
    entered.detach()
    assert otel_context.get_current() is before


def test_detaching_in_another_thread_changes_nothing_there_and_is_not_logged(caplog):
    entered = Entered(with_scope(Context(), Scope({}, None, None)))
    seen: list[Any] = []

    def elsewhere() -> None:
        before = otel_context.get_current()
        entered.detach()
        seen.append(otel_context.get_current() is before)

    token = otel_context.attach(Context())
    entered.attach()
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    otel_context.detach(token)
    assert seen == [True]
    assert caplog.records == []


def test_an_entered_that_watches_nothing_hands_values_on():
    value = object()
    assert NOTHING_ENTERED.returned(value) is value
    NOTHING_ENTERED.yielded(value)
    NOTHING_ENTERED.finish(None)


def test_a_failure_is_counted_each_time_and_logged_once_for_each_kind(caplog):
    hooks = Hooks()
    with caplog.at_level(logging.WARNING, "attune_monitoring"):
        for _ in range(3):
            hooks.failed("somewhere", ValueError("x"))
        hooks.failed("somewhere", TypeError("y"))
    assert hooks.failures == {"somewhere: ValueError": 3, "somewhere: TypeError": 1}
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "the program is not affected" in caplog.text


def test_a_logging_handler_that_raises_does_not_make_a_failure_worse():
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("handler")

    handler, logger, hooks = Broken(), logging.getLogger("attune_monitoring"), Hooks()
    logger.addHandler(handler)
    try:
        hooks.failed("somewhere", ValueError("x"))
    finally:
        logger.removeHandler(handler)
    assert hooks.failures == {"somewhere: ValueError": 1}


def test_without_anybody_to_fill_them_the_hooks_give_no_tracer():
    hooks = Hooks()
    assert hooks.tracer() is None
    assert (hooks.pricing, hooks.content) == (None, None)
    assert isinstance(HOOKS, Hooks)


def test_a_note_of_a_span_is_taken_once():
    observed = Observed()
    observed.put(1, "note")
    observed.put(1, "a later one")
    assert (observed.take(1), observed.take(1)) == ("a later one", None)
    assert isinstance(OBSERVED, Observed)


def test_notes_of_spans_that_never_end_do_not_pile_up():
    observed = Observed()
    for span_id in range(Observed.LIMIT + 1):
        observed.put(span_id, span_id)
    assert observed.take(0) is None
    assert observed.take(Observed.LIMIT) == Observed.LIMIT


@pytest.mark.parametrize("value", [None, "text", 1])
def test_another_value_under_our_key_is_no_scope(value):
    key = next(iter(with_scope(Context(), NO_SCOPE)))
    assert scope_of(Context({key: value})) is NO_SCOPE
