"""What a real collector, with our configurations, makes of what the real SDK sends it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, TracesData
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan

from attune_monitoring import LLMCallRecord, TelemetryStore
from attune_monitoring import semconv as sc
from collector import CONFIGURATIONS, EXPORTERS, Collector, collecting
from collector_samples import CONTENT_KEYS, HARMLESS, KEY, SECRET_KEYS
from collector_traffic import CONTENT
from otlp_backend import Backend, Point, Span

pytestmark = pytest.mark.slow

PROTOCOLS = ("grpc", "http/protobuf")
MASK = "****"
every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)
every_configuration = pytest.mark.parametrize("name", CONFIGURATIONS)


# --- what comes out ----------------------------------------------------------------------------------------------


def _pairs(**texts: str) -> list[KeyValue]:
    return [KeyValue(key=key, value=AnyValue(string_value=text)) for key, text in texts.items()]


def _send_logs(collector: Collector) -> None:
    text = LogRecord(body=AnyValue(string_value=f"failed with Bearer {KEY}"))
    text.attributes.extend(_pairs(prompt=CONTENT, code="42"))
    event = LogRecord(
        body=AnyValue(kvlist_value=KeyValueList(values=_pairs(content=CONTENT, password=KEY, role="user")))
    )
    assert collector.post_logs(text, event) == 200


def _send_a_call_of_claude_code(collector: Collector) -> None:
    """The attributes that its `llm_request` span is documented with."""
    numbers = {
        "input_tokens": 12,
        "output_tokens": 340,
        "cache_read_tokens": 9000,
        "cache_creation_tokens": 500,
        "ttft_ms": 850,
    }
    attributes = _pairs(**{"gen_ai.system": "anthropic", "gen_ai.request.model": "claude-opus-4-5"})
    attributes += [KeyValue(key=key, value=AnyValue(int_value=number)) for key, number in numbers.items()]
    times = {"start_time_unix_nano": 1_700_000_000_000_000_000, "end_time_unix_nano": 1_700_000_004_000_000_000}
    span = ProtoSpan(
        name="claude_code.llm_request", trace_id=b"\1" * 16, span_id=b"\2" * 8, attributes=attributes, **times
    )
    resource = Resource(attributes=_pairs(**{"service.name": "claude-code"}))
    sent = TracesData(resource_spans=[ResourceSpans(resource=resource, scope_spans=[ScopeSpans(spans=[span])])])
    answer = requests.post(
        f"{collector.endpoints['http/protobuf']}/v1/traces",
        data=sent.SerializeToString(),
        headers={"Content-Type": "application/x-protobuf"},
        timeout=30,
    )
    assert answer.status_code == 200


def _run_traffic(folder: Path, protocol: str, endpoint: str) -> None:
    """Run the program of collector_traffic.py, which ends well only if all that it sent was taken."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "EMPATHY_", "PYTEST_"))}
    subprocess.run(
        [sys.executable, str(Path(__file__).with_name("collector_traffic.py"))],
        check=True,
        timeout=120,
        env=clean
        | {
            "EMPATHY_STORAGE_DIR": str(folder),
            "EMPATHY_CAPTURE_CONTENT": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_SERVICE_NAME": f"app over {protocol}",
            "OTEL_RESOURCE_ATTRIBUTES": f"service.namespace=shop,vendor.api_key={KEY}",
            "NO_PROXY": "127.0.0.1",
        },
    )


class Delivered(NamedTuple):
    """What a collector made of the traffic of two programs, and what those recorded themselves."""

    name: str
    backend: Backend
    folder: Path

    def spans(self, protocol: str, signal: str = "traces", exporter: int = 0) -> list[Span]:
        return self.backend.spans(EXPORTERS[self.name][signal][exporter], service_name=f"app over {protocol}")

    def span(self, protocol: str, name: str) -> Span:
        (found,) = [span for span in self.spans(protocol) if span.data.name == name]
        return found

    def points(self, protocol: str, metric: str | None = None) -> list[Point]:
        exporter = EXPORTERS[self.name]["metrics"][0]
        points = self.backend.points(exporter, service_name=f"app over {protocol}")
        return [point for point in points if metric in (None, point.name)]

    def records(self, protocol: str) -> list[LLMCallRecord]:
        return TelemetryStore(self.folder / protocol).get_calls()

    def is_complete(self) -> bool:
        return all(
            {"other", "contents"} <= {span.data.name for span in self.spans(protocol)}
            and sum(point.value for point in self.points(protocol, sc.LLM_CALLS.name)) == 3
            and sum(point.value for point in self.points(protocol, "other.requests")) == 5
            for protocol in PROTOCOLS
        ) and all(
            [
                *(self.backend.logs(exporter) for exporter in EXPORTERS[self.name]["logs"]),
                *(self.claude_code(exporter) for exporter in EXPORTERS[self.name]["traces"]),
            ]
        )

    def claude_code(self, exporter: str) -> list[Span]:
        return self.backend.spans(exporter, service_name="claude-code")


@pytest.fixture(scope="module", params=CONFIGURATIONS)
def delivered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivered]:
    """The traffic over both protocols, after a collector with contents masked."""
    folder = tmp_path_factory.mktemp(request.param)
    with Backend() as backend, collecting(folder, request.param, backend) as collector:
        found = Delivered(request.param, backend, folder)
        for protocol in PROTOCOLS:
            _run_traffic(folder / protocol, protocol, collector.endpoints[protocol])
        _send_logs(collector)
        _send_a_call_of_claude_code(collector)
        backend.wait(found.is_complete)
        yield found


def _all_that_came(delivered: Delivered) -> Iterable[bytes]:
    exporters = {exporter for names in EXPORTERS[delivered.name].values() for exporter in names}
    return (body for exporter in exporters for body in delivered.backend.raw(exporter))


def test_no_content_comes_out_of_it(delivered: Delivered) -> None:
    assert [body for body in _all_that_came(delivered) if CONTENT.encode() in body] == []


def test_no_secret_comes_out_of_it(delivered: Delivered) -> None:
    assert [body for body in _all_that_came(delivered) if KEY.upper().encode() in body.upper()] == []


@every_protocol
def test_a_content_is_masked_and_its_name_stays(delivered: Delivered, protocol: str) -> None:
    attributes = delivered.span(protocol, "contents").attributes
    assert {key: attributes[key] for key in [*CONTENT_KEYS, "llm.tools"]} == dict.fromkeys(
        [*CONTENT_KEYS, "llm.tools"], MASK
    )


@every_protocol
def test_a_secret_is_masked_by_its_name(delivered: Delivered, protocol: str) -> None:
    attributes = delivered.span(protocol, "other").attributes
    assert {key: attributes[key] for key in SECRET_KEYS} == dict.fromkeys(SECRET_KEYS, MASK)


@every_protocol
def test_what_stands_around_a_secret_stays(delivered: Delivered, protocol: str) -> None:
    attributes = delivered.span(protocol, "other").attributes
    masked = {value for key, value in attributes.items() if key.startswith("shape.")}
    assert masked == {f"the key {MASK} is not valid"}


@every_protocol
def test_harmless_attributes_come_out_as_they_were(delivered: Delivered, protocol: str) -> None:
    attributes = delivered.span(protocol, "other").attributes
    assert [attributes[f"harmless.{number}"] for number in range(len(HARMLESS))] == HARMLESS


@every_protocol
def test_numbers_and_truth_values_stay_what_they_are(delivered: Delivered, protocol: str) -> None:
    attributes = delivered.span(protocol, "other").attributes
    assert [(type(attributes[key]), attributes[key]) for key in ("count", "share", "flag")] == [
        (int, 3), (float, 0.25), (bool, True),
    ]  # fmt: skip


@every_protocol
def test_the_message_of_a_status_is_redacted_and_the_status_stays(delivered: Delivered, protocol: str) -> None:
    span = delivered.span(protocol, "other")
    assert (span.data.status.code, span.data.status.message) == (2, f"could not connect with {MASK}")
    assert "attune.status.message" not in span.attributes


@every_protocol
def test_events_are_redacted(delivered: Delivered, protocol: str) -> None:
    (event,) = delivered.span(protocol, "other").data.events
    assert {pair.key: pair.value.string_value or pair.value.int_value for pair in event.attributes} == {
        "url": f"https{MASK}host/",
        "gen_ai.input.messages": MASK,
        "size": 7,
    }


@every_protocol
def test_the_resource_is_intact_but_for_its_secrets(delivered: Delivered, protocol: str) -> None:
    resource = delivered.span(protocol, "other").resource
    assert {key: resource[key] for key in ("service.name", "service.namespace", "vendor.api_key")} == {
        "service.name": f"app over {protocol}",
        "service.namespace": "shop",
        "vendor.api_key": MASK,
    }
    assert resource["telemetry.sdk.name"] == "opentelemetry"


def _calls(delivered: Delivered, protocol: str) -> list[dict[str, Any]]:
    """Return the attributes of the spans that became call records, by their model."""
    models = {record.model_id for record in delivered.records(protocol)}
    spans = [span.attributes for span in delivered.spans(protocol) if span.attributes.get(sc.OPERATION) == sc.CHAT]
    return sorted(
        (span for span in spans if span.get(sc.REQUEST_MODEL) in models), key=lambda span: str(span[sc.REQUEST_MODEL])
    )


@every_protocol
def test_costs_and_tokens_are_numbers_and_those_of_the_local_records(delivered: Delivered, protocol: str) -> None:
    records = sorted(delivered.records(protocol), key=lambda record: record.model_id)
    assert len(records) == 3
    spans = _calls(delivered, protocol)
    assert [(span.get(sc.COST), span.get(sc.INPUT_TOKENS), span.get(sc.OUTPUT_TOKENS)) for span in spans] == [
        (record.cost, record.input_tokens or None, record.output_tokens or None) for record in records
    ]


def test_a_call_of_claude_code_has_the_names_of_the_conventions(delivered: Delivered) -> None:
    (span,) = delivered.claude_code(EXPORTERS[delivered.name]["traces"][0])
    expected = {
        sc.OPERATION: sc.CHAT,
        sc.PROVIDER: "anthropic",
        sc.REQUEST_MODEL: "claude-opus-4-5",
        sc.INPUT_TOKENS: 9512,
        sc.CACHE_READ_TOKENS: 9000,
        sc.CACHE_WRITE_TOKENS: 500,
        sc.OUTPUT_TOKENS: 340,
        sc.TIME_TO_FIRST_CHUNK: 0.85,
        "input_tokens": 12,
    }
    assert {key: span.attributes.get(key) for key in expected} == expected


@every_protocol
def test_metrics_are_deltas(delivered: Delivered, protocol: str) -> None:
    points = [point for point in delivered.points(protocol) if point.name.startswith(("attune.", "gen_ai."))]
    assert {point.temporality for point in points} == {1}


@every_protocol
@pytest.mark.parametrize(
    ("metric", "of_record"),
    [
        (sc.LLM_CALLS.name, lambda record: 1),
        (sc.LLM_COST.name, lambda record: record.cost or 0),
        (sc.LLM_ERRORS.name, lambda record: not record.success),
        (sc.LLM_RETRIES.name, lambda record: record.retry_count),
    ],
)
def test_metrics_add_up_to_the_local_records(
    delivered: Delivered, protocol: str, metric: str, of_record: Callable[[LLMCallRecord], float]
) -> None:
    sent = sum(point.value for point in delivered.points(protocol, metric))
    assert sent == pytest.approx(sum(map(of_record, delivered.records(protocol))))


@every_protocol
def test_attributes_of_metrics_are_redacted(delivered: Delivered, protocol: str) -> None:
    points = delivered.points(protocol, "other.requests")
    assert [point.attributes for point in points] == [{"url": f"https{MASK}host/", "region": "eu", "x-api-key": MASK}]


def test_logs_are_redacted_in_their_bodies_and_attributes(delivered: Delivered) -> None:
    logs = delivered.backend.logs(EXPORTERS[delivered.name]["logs"][0])
    assert [(log.body, log.attributes) for log in logs] == [
        (f"failed with {MASK}", {"prompt": MASK, "code": "42"}),
        ({"content": MASK, "password": MASK, "role": "user"}, {}),
    ]


@pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
def test_each_of_several_exporters_sends_everything(delivered: Delivered, signal: str) -> None:
    backend = delivered.backend
    read: dict[str, Callable[[str], list[Any]]] = {
        "traces": backend.spans, "metrics": backend.points, "logs": backend.logs,
    }  # fmt: skip
    names = EXPORTERS[delivered.name][signal]
    backend.wait(lambda: len({len(read[signal](name)) for name in names}) == 1)


# --- switches ----------------------------------------------------------------------------------------------------


@every_configuration
def test_contents_are_kept_where_they_are_asked_for_and_secrets_are_not(name: str, tmp_path: Path) -> None:
    with Backend() as backend, collecting(tmp_path, name, backend, ATTUNE_CONTENT="kept") as collector:
        found = Delivered(name, backend, tmp_path)
        _run_traffic(tmp_path / "grpc", "grpc", collector.endpoints["grpc"])
        backend.wait(lambda: {"other", "contents"} <= {span.data.name for span in found.spans("grpc")})
        assert found.span("grpc", "contents").attributes["gen_ai.input.messages"] == CONTENT
        assert {span.attributes.get("db.password") for span in found.spans("grpc")} == {None, MASK}
        assert [body for body in _all_that_came(found) if KEY.encode() in body] == []


@every_configuration
@pytest.mark.parametrize("word", ["true", "no", ""])
def test_any_other_word_for_contents_stops_the_collector(name: str, word: str, tmp_path: Path) -> None:
    with (
        Backend() as backend,
        pytest.raises(AssertionError, match=f'"redaction/content_{word}" which is not configured'),
        collecting(tmp_path, name, backend, ATTUNE_CONTENT=word),
    ):
        pass


@pytest.mark.parametrize("name", [*CONFIGURATIONS, "sampled"])
def test_it_says_that_it_is_healthy(name: str, tmp_path: Path) -> None:
    with Backend() as backend, collecting(tmp_path, name, backend) as collector:
        assert collector.is_healthy()
