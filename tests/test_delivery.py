"""flush and shutdown tell whether everything was delivered, and keep their time whatever the backend does."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from attune_monitoring import flush, llm_call, shutdown
from otlp_receiver import Receiver, receive

slow = pytest.mark.slow
PROTOCOLS = ["http/protobuf", "grpc"]


def call() -> None:
    with llm_call(provider="openai", model="gpt-4o-mini") as one:
        one.set_usage(input_tokens=10, output_tokens=1)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receive() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.endpoint)
        yield found


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_flush_says_whether_all_was_delivered(monkeypatch: pytest.MonkeyPatch, protocol: Any) -> None:
    with receive(protocol) as backend:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", backend.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        call()
        assert flush(30)
        assert len(backend.spans) == 1
        backend.status = 401
        call()
        assert not flush(30)
        backend.status = 200
        call()
        assert flush(30)
        assert len(backend.spans) == 2


def test_flush_knows_of_metrics_that_were_refused(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    call()
    assert flush(30)
    receiver.status = 401
    call()
    assert not flush(30)
    receiver.status = 200
    assert flush(30)


@slow
def test_what_a_backend_did_not_take_in_time_is_delivered_when_it_recovers(receiver: Receiver) -> None:
    receiver.status = 503
    call()
    assert not flush(0.2)
    receiver.status = 200
    assert flush(60)
    assert len(receiver.spans) == 1


def test_flush_is_true_while_other_threads_go_on(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "1000000")  # two threads that do nothing else would overrun it

    def work() -> None:
        # Not without end: a flush goes on until the queue is empty, and a slow machine would never get there.
        for _ in range(500):
            call()

    threads = [threading.Thread(target=work) for _ in range(2)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that a flush falls between any two steps of a call
    try:
        for thread in threads:
            thread.start()
        flushed = [flush(60)]
        while any(thread.is_alive() for thread in threads):
            flushed.append(flush(60))
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert flushed == [True] * len(flushed)
    assert flush(60)
    assert len(receiver.spans) == 1000


def test_spans_that_the_queue_could_not_hold_are_told_once(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "10")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    receiver.hold.clear()
    for _ in range(100):
        call()
    receiver.hold.set()
    assert not flush(30)
    assert flush(30)
    assert 10 <= len(receiver.spans) < 100


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_flush_and_shutdown_return_while_the_backend_still_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, protocol: Any
) -> None:
    with receive(protocol) as backend:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", backend.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "600000")
        backend.hold.clear()
        call()
        assert not flush(0.1)
        assert not shutdown(0.1)
        assert backend.spans == []
        backend.hold.set()
