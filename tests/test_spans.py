"""How spans end: status, error type, exception event, and nothing that could reach the user."""

import asyncio
import traceback
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.trace import NonRecordingSpan, StatusCode

from attune_monitoring import semconv as sc
from attune_monitoring.scope import HOOKS
from attune_monitoring.spans import describe_error, end_span, is_cancellation, set_attributes


@pytest.fixture
def span() -> Any:
    return TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("work")


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


class ProviderError(Exception):
    error_type = "rate_limit_exceeded"


class NumericCodeError(Exception):
    error_type = 429


class Nested:
    class Error(Exception):
        pass


class NoTextError(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class EvasiveError(Exception):
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("x"), "ValueError"),
        (ProviderError("x"), "rate_limit_exceeded"),
        (NumericCodeError("x"), f"{__name__}.NumericCodeError"),
        (Nested.Error("x"), f"{__name__}.Nested.Error"),
        (ExceptionGroup("x", [ValueError()]), "ExceptionGroup"),
    ],
)
def test_the_error_type_is_the_providers_code_or_the_qualified_name(error, kind):
    assert describe_error(error)[0] == kind


def test_a_message_that_cannot_be_made_is_empty():
    assert describe_error(NoTextError()) == (f"{__name__}.NoTextError", "")


def test_secrets_are_taken_out_of_messages():
    key = "sk-proj-" + "a1B2c3D4" * 5
    assert key not in describe_error(ValueError(f"Incorrect API key provided: {key}"))[1]


@pytest.mark.parametrize(
    ("error", "cancelled"),
    [(asyncio.CancelledError(), True), (ValueError(), False), (KeyboardInterrupt(), False), (None, False)],
)
def test_only_a_cancellation_is_one(error, cancelled):
    assert is_cancellation(error) is cancelled


def test_a_span_that_ends_well_has_its_attributes_and_no_status(span):
    end_span(span, {"a": 1}, None)
    assert (dict(span.attributes), span.status.status_code, span.events) == ({"a": 1}, StatusCode.UNSET, ())
    assert span.end_time is not None


def test_a_given_end_time_is_kept(span):
    end_span(span, {}, None, end_ns=span.start_time + 7)
    assert span.end_time == span.start_time + 7


def test_a_failure_sets_status_type_and_event(span):
    end_span(span, {"a": 1}, raised(ProviderError("slow down")))
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "slow down")
    assert dict(span.attributes) == {"a": 1, sc.ERROR_TYPE: "rate_limit_exceeded"}
    [event] = span.events
    assert event.name == "exception"
    assert event.attributes["exception.type"] == "rate_limit_exceeded"
    assert event.attributes["exception.message"] == "slow down"
    assert "in raised" in event.attributes["exception.stacktrace"]


@pytest.mark.parametrize("error", [GeneratorExit(), SystemExit(0), SystemExit()])
def test_an_ordinary_end_is_no_failure(span, error):
    end_span(span, {}, raised(error))
    assert (span.status.status_code, dict(span.attributes)) == (StatusCode.UNSET, {})


@pytest.mark.parametrize("error", [SystemExit(2), SystemExit("usage: …"), KeyboardInterrupt()])
def test_an_extraordinary_end_is_a_failure(span, error):
    end_span(span, {}, raised(error))
    assert (span.status.status_code, span.attributes[sc.ERROR_TYPE]) == (StatusCode.ERROR, type(error).__name__)


def test_a_cancellation_is_marked_and_no_failure(span):
    end_span(span, {"a": 1}, raised(asyncio.CancelledError()))
    assert (span.status.status_code, dict(span.attributes)) == (StatusCode.UNSET, {"a": 1, sc.CANCELLED: True})
    assert span.events == ()


@pytest.mark.parametrize("kind", [NoTextError, EvasiveError])
def test_an_exception_that_cannot_be_described_still_fails_the_span_and_loses_no_attribute(span, kind):
    failures = dict(HOOKS.failures)
    error = kind()
    end_span(span, {"a": 1}, raised(error))
    assert span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes) == {"a": 1, sc.ERROR_TYPE: f"{__name__}.{type(error).__name__}"}
    assert dict(HOOKS.failures) == failures


def test_secrets_are_taken_out_of_the_stack_trace(span):
    key = "sk-proj-" + "a1B2c3D4" * 5
    end_span(span, {}, raised(ValueError(f"Incorrect API key provided: {key}")))
    assert key not in str(span.events[0].attributes)
    assert key not in str(span.status.description)


def test_a_stack_trace_of_a_deep_recursion_is_cut(span):
    def down(more: int) -> None:
        if more == 0:
            raise ValueError("at the bottom")
        down(more - 1)

    with pytest.raises(ValueError, match="at the bottom") as caught:
        down(500)
    end_span(span, {}, caught.value)
    assert len(traceback.extract_tb(caught.tb)) > 500
    stack = span.events[0].attributes["exception.stacktrace"]
    assert "at the bottom" in stack
    assert len(stack) <= 16_000


def test_without_error_messages_only_the_type_is_kept(span, monkeypatch):
    monkeypatch.setattr(HOOKS, "error_messages", False)
    end_span(span, {}, raised(ValueError("patient 4711")))
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    assert dict(span.events[0].attributes) == {"exception.type": "ValueError"}
    assert span.attributes[sc.ERROR_TYPE] == "ValueError"


class Refusing(trace.NonRecordingSpan):
    def __init__(self) -> None:
        super().__init__(trace.INVALID_SPAN_CONTEXT)
        self.ended = 0

    def set_attributes(self, attributes: Any) -> None:
        raise RuntimeError("set_attributes")

    def end(self, end_time: int | None = None) -> None:
        self.ended += 1
        raise RuntimeError("end")


def test_a_span_that_raises_is_ended_all_the_same_and_nothing_comes_out():
    failures = HOOKS.failures.copy()
    span = Refusing()
    end_span(span, {"a": 1}, None)
    assert span.ended == 1
    assert (HOOKS.failures - failures).total() == 2
    HOOKS.failures.clear()
    HOOKS.failures.update(failures)


class Name(str):
    pass


class TestSettingAttributes:
    @pytest.mark.parametrize(
        "limits",
        [
            SpanLimits(),
            SpanLimits(max_span_attributes=3),
            SpanLimits(max_attribute_length=4),
            SpanLimits(max_attributes=0),
        ],
        ids=["no limit in reach", "room for three", "short values", "no room"],
    )
    @pytest.mark.parametrize(
        "attributes",
        [
            {"text": "chat", "count": 3, "cost": 0.5, "flag": True},
            {"first": 2, "last": "again"},
            {"reasons": ("stop", "length"), "count": 3},
            {"mixed": ("stop", None, b"1", 2.5)},
            {"list": ["stop"], "bytes": b"1", "none": None},
            {"name": Name("subclass"), "object": object},
            {},
        ],
        ids=["plain", "set before", "texts", "mixed", "others", "odd", "nothing"],
    )
    def test_gives_what_the_sdk_gives(self, attributes: dict[str, Any], limits: SpanLimits) -> None:
        tracer = TracerProvider(shutdown_on_exit=False, span_limits=limits).get_tracer("test")
        before = {"first": 1, "second": "of two"}
        ours, theirs = (tracer.start_span("work", attributes=before) for _ in range(2))
        set_attributes(ours, attributes)
        theirs.set_attributes(attributes)
        found, wanted = (
            {key: (type(value), value) for key, value in span.attributes.items()} for span in (ours, theirs)
        )
        assert found == wanted
        assert ours.dropped_attributes == theirs.dropped_attributes

    def test_plain_values_are_not_examined_again(self, span: Any) -> None:
        span.set_attributes = None
        set_attributes(span, {"text": "chat", "count": 3, "reasons": ("stop",)})
        assert dict(span.attributes) == {"text": "chat", "count": 3, "reasons": ("stop",)}

    def test_an_ended_span_stays_as_it_is(self, span: Any, caplog: pytest.LogCaptureFixture) -> None:
        span.end()
        set_attributes(span, {"late": 1})
        assert not span.attributes
        assert "ended span" in caplog.text

    def test_a_span_of_another_make_is_asked_itself(self) -> None:
        told: dict[str, Any] = {}

        class Other(NonRecordingSpan):
            def set_attributes(self, attributes: Any) -> None:
                told.update(attributes)

        set_attributes(Other(trace.INVALID_SPAN_CONTEXT), {"count": 3})
        assert told == {"count": 3}
