"""Spans ⇄ records: nothing is lost on the way there and back, and every dialect of the table is read."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.attributes import BoundedAttributes

from attune_monitoring import semconv as sc
from attune_monitoring.mapping import (
    Origin,
    SpanData,
    call_record,
    call_span,
    cost_attributes,
    dialect_of,
    kind_of,
    normalise,
)
from attune_monitoring.pricing import Pricing
from attune_monitoring.records import LLMCallRecord
from record_strategies import CALLS

START = 1_768_103_220_000_000_000
SECOND = 1_000_000_000
HERE = Origin(service="shop", host="h1", pid=42, under_pytest=True)


def _span(attributes: dict[str, Any], **more: Any) -> SpanData:
    given = {
        "name": "chat",
        "start_ns": START,
        "end_ns": START + SECOND,
        "trace_id": "a" * 32,
        "span_id": "b" * 16,
    }
    return SpanData(attributes=attributes, **{**given, **more})


def _read(attributes: dict[str, Any], *, is_root: bool = False, **more: Any) -> LLMCallRecord:
    """The record of a foreign span."""
    span = _span(attributes, **more)
    span.dialect = dialect_of(attributes)
    span.attributes = normalise(span, is_root=is_root)
    return call_record(span, HERE)


class TestRecordToSpanAndBack:
    @pytest.mark.slow
    @settings(max_examples=300)
    @pytest.mark.slow
    @given(CALLS)
    def test_a_record_comes_back_as_it_was(self, record):
        span = call_span(record)
        back = call_record(span, Origin(), content=True)
        # Where a record does not say where it comes from, the process that writes it does.
        dialect = "attune" if record.dialect is None else record.dialect
        scope = sc.SCOPE if record.scope is None else record.scope
        assert back == msgspec.structs.replace(record, dialect=dialect, scope=scope)

    @pytest.mark.slow
    @given(CALLS)
    def test_the_sdk_takes_every_attribute_of_the_span_as_it_is(self, record):
        attributes = call_span(record).attributes
        taken = BoundedAttributes(attributes=attributes, immutable=False)
        assert dict(taken) == {key: tuple(v) if isinstance(v, list) else v for key, v in attributes.items()}

    @pytest.mark.slow
    @given(CALLS)
    def test_what_the_sdk_keeps_gives_the_same_record(self, record):
        span = call_span(record)
        before = call_record(span, HERE)
        span.attributes = dict(BoundedAttributes(attributes=span.attributes, immutable=False))
        assert call_record(span, HERE) == before

    def test_a_record_without_provenance_takes_that_of_the_process(self):
        record = LLMCallRecord("c", "2026-01-11T03:47:00Z")
        back = call_record(call_span(record), HERE)
        assert (back.service, back.host, back.pid, back.under_pytest) == ("shop", "h1", 42, True)

    def test_a_record_keeps_the_provenance_that_it_brings(self):
        record = LLMCallRecord("c", "2026-01-11T03:47:00Z", service="other", host="h2", pid=7)
        back = call_record(call_span(record), HERE)
        assert (back.service, back.host, back.pid) == ("other", "h2", 7)

    def test_the_span_lasts_as_long_as_the_call_did_and_ends_when_it_ended(self):
        span = call_span(LLMCallRecord("c", "2026-01-11T03:47:00.400225Z", latency_ms=29_748))
        assert span.end_ns == 1_768_103_220_400_225_000
        assert span.end_ns - span.start_ns == 29_748_000_000

    @pytest.mark.parametrize("latency_ms", [-5, 0, 10**15])
    def test_no_span_ends_before_it_starts_or_starts_before_1970(self, latency_ms):
        record = LLMCallRecord("c", "2026-01-11T03:47:00Z", latency_ms=latency_ms)
        span = call_span(record)
        assert 0 <= span.start_ns <= span.end_ns
        assert call_record(span, HERE).latency_ms == latency_ms

    def test_a_time_before_1970_is_no_negative_time_on_the_wire(self):
        span = call_span(LLMCallRecord("c", "1960-01-01T00:00:00Z"))
        assert span.start_ns == span.end_ns == 0

    @pytest.mark.parametrize("field", ["input_tokens", "output_tokens", "cache_read_tokens", "retry_count"])
    def test_an_integer_that_otlp_cannot_carry_stays_off_the_span(self, field):
        record = LLMCallRecord("c", "2026-01-11T03:47:00Z", **{field: 2**70})
        span = call_span(record)
        assert not [value for value in span.attributes.values() if isinstance(value, int) and value >= 2**63]

    def test_a_failed_call_is_a_failed_span_with_its_error(self):
        record = LLMCallRecord("c", "2026-01-11T03:47:00Z", success=False, error_type="timeout", error_message="late")
        span = call_span(record)
        assert (span.failed, span.attributes[sc.ERROR_TYPE], span.status_message) == (True, "timeout", "late")

    def test_a_cancelled_call_is_no_failed_span(self):
        span = call_span(LLMCallRecord("c", "2026-01-11T03:47:00Z", success=False, cancelled=True))
        assert not span.failed
        assert sc.ERROR_TYPE not in span.attributes

    @pytest.mark.parametrize(("ms", "seconds"), [(250.5, 0.2505), (0, 0), (None, None), (float("nan"), None)])
    def test_the_time_to_the_first_token_is_in_seconds_on_the_span(self, ms, seconds):
        span = call_span(LLMCallRecord("c", "2026-01-11T03:47:00Z", time_to_first_token_ms=ms))
        assert span.attributes.get(sc.TIME_TO_FIRST_CHUNK) == seconds

    def test_the_required_attributes_and_the_name_are_those_of_the_conventions(self):
        span = call_span(LLMCallRecord("c", "2026-01-11T03:47:00Z", provider="openai", model_id="gpt-4o"))
        assert span.name == "chat gpt-4o"
        assert (span.attributes[sc.OPERATION], span.attributes[sc.PROVIDER]) == ("chat", "openai")
        assert span.attributes[sc.REQUEST_MODEL] == "gpt-4o"

    @pytest.mark.parametrize("operation", ["rerank", "moderate", "", "retrieval", "create_agent"])
    def test_a_record_of_any_operation_is_a_call(self, operation):
        span = call_span(LLMCallRecord("c", "2026-01-11T03:47:00Z", operation=operation))
        assert kind_of(span.attributes, is_root=True) == "call"


class TestKinds:
    @pytest.mark.parametrize(
        ("attributes", "is_root", "kind"),
        [
            ({sc.OPERATION: "chat"}, True, "call"),
            ({sc.OPERATION: "generate_content"}, True, "call"),
            ({sc.OPERATION: "text_completion"}, True, "call"),
            ({sc.OPERATION: "embeddings"}, True, "call"),
            ({sc.OPERATION: "execute_tool"}, True, "tool"),
            ({sc.OPERATION: "invoke_agent"}, True, "agent"),
            ({sc.OPERATION: "invoke_workflow"}, True, "workflow"),
            ({sc.OPERATION: "invoke_workflow"}, False, "workflow"),
            ({sc.OPERATION: "create_agent"}, True, "other"),
            ({sc.OPERATION: "retrieval"}, True, "other"),
            ({sc.SPAN_KIND: "stage"}, True, "stage"),
            ({"openinference.span.kind": "LLM"}, True, "call"),
            ({"openinference.span.kind": "llm"}, True, "call"),
            ({"openinference.span.kind": "EMBEDDING"}, False, "call"),
            ({"openinference.span.kind": "TOOL"}, False, "tool"),
            ({"openinference.span.kind": "AGENT"}, True, "agent"),
            ({"openinference.span.kind": "RETRIEVER"}, False, "other"),
            ({"openinference.span.kind": "CHAIN"}, True, "workflow"),
            ({"openinference.span.kind": "CHAIN"}, False, "stage"),
            ({"openinference.span.kind": "GUARDRAIL"}, True, "other"),
            ({"traceloop.span.kind": "workflow"}, True, "workflow"),
            ({"traceloop.span.kind": "task"}, False, "stage"),
            ({"traceloop.span.kind": "agent"}, False, "agent"),
            ({"traceloop.span.kind": "tool"}, False, "tool"),
            ({"llm.request.type": "chat"}, True, "call"),
            ({"llm.request.type": "completion"}, True, "call"),
            ({"llm.request.type": "embedding"}, True, "call"),
            ({"llm.request.type": "rerank"}, True, "other"),
            ({"gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o"}, True, "call"),
            ({"gen_ai.system": "openai"}, True, "other"),
            ({"http.method": "GET"}, True, "other"),
            ({}, True, "other"),
        ],
    )
    def test_a_span_is_what_its_dialect_says(self, attributes, is_root, kind):
        assert kind_of(attributes, is_root=is_root) == kind

    @pytest.mark.parametrize(
        ("attributes", "operation"),
        [
            ({sc.OPERATION: "generate_content"}, "generate_content"),
            ({"openinference.span.kind": "LLM"}, "chat"),
            ({"openinference.span.kind": "EMBEDDING"}, "embeddings"),
            ({"llm.request.type": "chat"}, "chat"),
            ({"llm.request.type": "completion"}, "text_completion"),
            ({"llm.request.type": "embedding"}, "embeddings"),
            ({"gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o"}, "chat"),
        ],
    )
    def test_a_calls_operation_has_its_current_name(self, attributes, operation):
        assert _read(attributes).operation == operation

    def test_an_operation_without_a_convention_is_a_call_where_it_names_a_model_and_usage(self):
        attributes = {sc.OPERATION: "responses", sc.REQUEST_MODEL: "m", sc.INPUT_TOKENS: 5}
        assert kind_of(attributes, is_root=True) == "call"
        assert kind_of({sc.OPERATION: "responses", sc.REQUEST_MODEL: "m"}, is_root=True) == "other"

    @pytest.mark.parametrize(
        ("attributes", "dialect"),
        [
            ({sc.PROVIDER: "openai", sc.OPERATION: "chat"}, "gen_ai"),
            ({"gen_ai.system": "openai", sc.OPERATION: "chat"}, "gen_ai_legacy"),
            ({"openinference.span.kind": "LLM"}, "openinference"),
            ({"llm.request.type": "chat", "gen_ai.system": "openai"}, "openllmetry"),
            ({"traceloop.span.kind": "workflow"}, "openllmetry"),
        ],
    )
    def test_the_record_names_its_dialect(self, attributes, dialect):
        assert _read(attributes).dialect == dialect


CURRENT = {sc.OPERATION: "chat"}
OPENINFERENCE = {"openinference.span.kind": "LLM"}
OPENLLMETRY = {"llm.request.type": "chat"}
TABLE: list[tuple[str, Any, list[tuple[dict[str, Any], str, Any]]]] = [
    (
        "provider",
        "openai",
        [
            (CURRENT, "gen_ai.provider.name", "openai"),
            (CURRENT, "gen_ai.system", "openai"),
            (OPENINFERENCE, "llm.provider", "openai"),
            (OPENINFERENCE, "llm.system", "openai"),
            (OPENLLMETRY, "gen_ai.system", "OpenAI"),
        ],
    ),
    (
        "request_model",
        "m-1",
        [
            (CURRENT, "gen_ai.request.model", "m-1"),
            (OPENINFERENCE, "llm.request.model_name", "m-1"),
            (OPENINFERENCE, "llm.model_name", "m-1"),
            ({"openinference.span.kind": "EMBEDDING"}, "embedding.model_name", "m-1"),
            (OPENLLMETRY, "gen_ai.request.model", "m-1"),
        ],
    ),
    (
        "model_id",
        "m-1-2026",
        [
            (CURRENT, "gen_ai.response.model", "m-1-2026"),
            (OPENINFERENCE, "llm.response.model_name", "m-1-2026"),
            (OPENINFERENCE, "llm.model_name", "m-1-2026"),
            (OPENLLMETRY, "gen_ai.response.model", "m-1-2026"),
        ],
    ),
    (
        "input_tokens",
        17,
        [
            (CURRENT, "gen_ai.usage.input_tokens", 17),
            (CURRENT, "gen_ai.usage.prompt_tokens", 17),
            (OPENINFERENCE, "llm.token_count.prompt", 17),
            (OPENLLMETRY, "gen_ai.usage.prompt_tokens", 17),
            (OPENLLMETRY, "llm.usage.prompt_tokens", 17),
        ],
    ),
    (
        "output_tokens",
        5,
        [
            (CURRENT, "gen_ai.usage.output_tokens", 5),
            (CURRENT, "gen_ai.usage.completion_tokens", 5),
            (OPENINFERENCE, "llm.token_count.completion", 5),
            (OPENLLMETRY, "gen_ai.usage.completion_tokens", 5),
            (OPENLLMETRY, "llm.usage.completion_tokens", 5),
        ],
    ),
    (
        "cache_read_tokens",
        9,
        [
            (CURRENT, "gen_ai.usage.cache_read.input_tokens", 9),
            (CURRENT, "gen_ai.usage.cache_read_input_tokens", 9),
            (OPENINFERENCE, "llm.token_count.prompt_details.cache_read", 9),
            (OPENLLMETRY, "gen_ai.usage.cache_read_input_tokens", 9),
        ],
    ),
    (
        "cache_write_tokens",
        8,
        [
            (CURRENT, "gen_ai.usage.cache_write.input_tokens", 8),
            (CURRENT, "gen_ai.usage.cache_creation.input_tokens", 8),
            (CURRENT, "gen_ai.usage.cache_creation_input_tokens", 8),
            (OPENINFERENCE, "llm.token_count.prompt_details.cache_write", 8),
            (OPENLLMETRY, "gen_ai.usage.cache_creation_input_tokens", 8),
        ],
    ),
    (
        "reasoning_tokens",
        3,
        [
            (CURRENT, "gen_ai.usage.reasoning.output_tokens", 3),
            (OPENINFERENCE, "llm.token_count.completion_details.reasoning", 3),
            (OPENLLMETRY, "gen_ai.usage.reasoning_tokens", 3),
            (OPENLLMETRY, "llm.usage.reasoning_tokens", 3),
        ],
    ),
    (
        "actual_cost",
        0.25,
        [
            (CURRENT, "gen_ai.usage.cost.amount", 0.25),
            (CURRENT, "gen_ai.usage.cost", 0.25),
            (OPENINFERENCE, "llm.cost.total", 0.25),
            (CURRENT, "operation.cost", 0.25),
        ],
    ),
    (
        "session_id",
        "s-1",
        [
            (CURRENT, "gen_ai.conversation.id", "s-1"),
            (CURRENT, "session.id", "s-1"),
            (CURRENT, "gen_ai.session.id", "s-1"),
            (OPENINFERENCE, "session.id", "s-1"),
            (OPENLLMETRY, "traceloop.association.properties.session_id", "s-1"),
        ],
    ),
    (
        "user_id",
        "u-1",
        [
            (CURRENT, "user.id", "u-1"),
            (CURRENT, "enduser.id", "u-1"),
            (CURRENT, "gen_ai.request.user", "u-1"),
            (OPENINFERENCE, "user.id", "u-1"),
            (OPENLLMETRY, "llm.user", "u-1"),
            (OPENLLMETRY, "traceloop.association.properties.user_id", "u-1"),
        ],
    ),
    (
        "workflow_name",
        "w-1",
        [
            (CURRENT, "gen_ai.workflow.name", "w-1"),
            (OPENLLMETRY, "traceloop.workflow.name", "w-1"),
        ],
    ),
    (
        "step_name",
        "st-1",
        [
            (CURRENT, "attune.stage.name", "st-1"),
            (OPENINFERENCE, "graph.node.name", "st-1"),
            (OPENLLMETRY, "traceloop.entity.name", "st-1"),
            (OPENLLMETRY, "traceloop.entity.path", "st-1"),
        ],
    ),
    (
        "finish_reasons",
        ["stop"],
        [
            (CURRENT, "gen_ai.response.finish_reasons", ("stop",)),
            (CURRENT, "gen_ai.response.finish_reasons", '["stop"]'),
            (CURRENT, "gen_ai.response.finish_reasons", "stop"),
            (OPENINFERENCE, "llm.finish_reason", "stop"),
            (OPENLLMETRY, "gen_ai.response.finish_reason", "stop"),
            (OPENLLMETRY, "gen_ai.response.stop_reason", "stop"),
        ],
    ),
    (
        "error_type",
        "timeout",
        [
            (CURRENT, "error.type", "timeout"),
            (OPENLLMETRY, "error.type", "timeout"),
        ],
    ),
    ("response_id", "r-1", [(CURRENT, "gen_ai.response.id", "r-1")]),
    ("time_to_first_token_ms", 250.0, [(CURRENT, "gen_ai.response.time_to_first_chunk", 0.25)]),
    (
        "service_tier",
        "flex",
        [
            (CURRENT, "openai.response.service_tier", "flex"),
            (CURRENT, "gen_ai.openai.response.service_tier", "flex"),
        ],
    ),
    ("source_file", "a.py", [(CURRENT, "code.file.path", "a.py"), (CURRENT, "code.filepath", "a.py")]),
    ("source_line", 12, [(CURRENT, "code.line.number", 12), (CURRENT, "code.lineno", 12)]),
]


class TestDialects:
    @pytest.mark.parametrize(
        ("field", "expected", "dialect", "key", "value"),
        [
            pytest.param(field, expected, dialect, key, value, id=f"{field}-{next(iter(dialect))}-{key}-{value}")
            for field, expected, rows in TABLE
            for dialect, key, value in rows
        ],
    )
    def test_each_key_of_each_dialect_gives_its_field(self, field, expected, dialect, key, value):
        assert getattr(_read({**dialect, key: value}, failed=field == "error_type"), field) == expected

    @pytest.mark.parametrize("field", sorted(sc.FIELD_KEYS))
    def test_of_two_keys_of_a_field_the_first_in_the_table_wins(self, field):
        first, *others = sc.FIELD_KEYS[field]
        for other in others:
            values = {first: "7", other: "8"}
            assert normalise(_span(values), is_root=False) == normalise(_span({first: "7"}), is_root=False)

    def test_a_key_that_is_there_but_null_gives_way_to_the_next(self):
        assert _read({**CURRENT, "gen_ai.usage.input_tokens": None, "gen_ai.usage.prompt_tokens": 4}).input_tokens == 4

    def test_a_foreign_span_keeps_its_scope_ids_and_times(self):
        record = _read(CURRENT, scope="openinference.x", scope_version="1.2", parent_span_id="c" * 16)
        assert (record.scope, record.scope_version) == ("openinference.x", "1.2")
        assert (record.trace_id, record.span_id, record.parent_span_id) == ("a" * 32, "b" * 16, "c" * 16)
        assert (record.call_id, record.timestamp, record.latency_ms) == (
            "b" * 16,
            "2026-01-11T03:47:01.000000Z",
            1000,
        )

    def test_without_anything_known_tokens_and_cost_are_unknown_and_not_zero(self):
        record = _read(CURRENT)
        assert (record.input_tokens, record.output_tokens, record.cost) == (None, None, None)
        assert (record.provider, record.model_id, record.cost_source) == ("unknown", "", "unknown")

    def test_an_embedding_has_no_output(self):
        record = _read({"openinference.span.kind": "EMBEDDING", "llm.token_count.prompt": 8})
        assert (record.input_tokens, record.output_tokens) == (8, 0)


class TestProviders:
    @pytest.mark.parametrize(
        ("said", "meant"),
        [
            ("openai", "openai"),
            ("OpenAI", "openai"),
            ("Anthropic", "anthropic"),
            ("xai", "x_ai"),
            ("vertex_ai", "gcp.vertex_ai"),
            ("gemini", "gcp.gemini"),
            ("google", "gcp.gemini"),
            ("az.ai.inference", "azure.ai.inference"),
            ("az.ai.openai", "azure.ai.openai"),
            ("az.ai.something", "azure.ai.something"),
            ("mistralai", "mistral_ai"),
            ("aws", "aws.bedrock"),
            ("ollama", "ollama"),
            ("my-gateway", "my-gateway"),
            ("cohere", "cohere"),
            ("groq", "groq"),
        ],
    )
    @pytest.mark.parametrize("key", ["gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"])
    def test_each_spelling_is_the_well_known_provider(self, key, said, meant):
        assert _read({**CURRENT, key: said}).provider == meant

    def test_every_alias_leads_to_a_name_that_is_no_alias(self):
        assert not sc.PROVIDER_ALIASES.keys() & set(sc.PROVIDER_ALIASES.values())


class TestNumbers:
    @pytest.mark.parametrize(
        ("value", "read"),
        [
            (7, 7),
            ("7", 7),
            (" 7 ", 7),
            (7.0, 7),
            ("7.0", 7),
            (0, 0),
            (-1, None),
            ("many", None),
            ("", None),
            (True, None),
            (float("nan"), None),
            (float("inf"), None),
            ("nan", None),
            (10**30, None),
            ((7,), None),
            ("1e400", None),
        ],
    )
    def test_a_count_is_read_from_whatever_says_it(self, value, read):
        assert _read({**CURRENT, sc.INPUT_TOKENS: value}).input_tokens == read

    @pytest.mark.parametrize(
        ("value", "read"),
        [(0.5, 0.5), (1, 1.0), ("0.5", 0.5), (0, 0.0), ("free", None), (True, None), (float("nan"), None)],
    )
    def test_a_cost_is_read_from_whatever_says_it(self, value, read):
        record = _read({**CURRENT, "gen_ai.usage.cost": value})
        assert (record.cost, record.cost_source) == (read, "unknown" if read is None else "reported")

    def test_a_negative_cost_is_no_cost(self):
        assert _read({**CURRENT, "gen_ai.usage.cost": -1.0}).cost is None

    @pytest.mark.parametrize(
        ("value", "reasons"),
        [
            ('["stop", "length"]', ["stop", "length"]),
            ("[]", []),
            ("[broken", []),
            (("a", "b"), ["a", "b"]),
            ("stop", ["stop"]),
            (5, []),
            ("", []),
            ((), []),
        ],
    )
    def test_finish_reasons_are_read_from_lists_json_and_words(self, value, reasons):
        assert _read({**CURRENT, sc.FINISH_REASONS: value}).finish_reasons == reasons


class TestCachedTokens:
    @pytest.mark.parametrize(
        ("prompt", "read", "write", "total"),
        [
            (100, 80, None, 100),
            (100, 80, 20, 100),
            (20, 80, None, 100),
            (20, 80, 30, 130),
            (0, 50, 0, 50),
            (100, None, None, 100),
        ],
    )
    def test_cached_tokens_are_part_of_the_input_even_where_the_dialect_leaves_them_out(
        self, prompt, read, write, total
    ):
        attributes = {
            **CURRENT,
            sc.INPUT_TOKENS: prompt,
            sc.CACHE_READ_TOKENS: read,
            sc.CACHE_WRITE_TOKENS: write,
        }
        given = {key: value for key, value in attributes.items() if value is not None}
        assert _read(given).input_tokens == total

    def test_without_an_input_count_nothing_is_made_up(self):
        assert _read({**CURRENT, sc.CACHE_READ_TOKENS: 80}).input_tokens is None


class TestCosts:
    PRICES = Pricing()

    def _cost(self, attributes: dict[str, Any], *, failed: bool = False) -> dict[str, Any]:
        asked = {sc.PROVIDER: "openai", sc.REQUEST_MODEL: "gpt-4o-mini", **attributes}
        return cost_attributes(asked, self.PRICES, failed=failed, at=START / 1e9)

    def test_tokens_of_a_known_model_are_priced_by_the_table(self):
        found = self._cost({sc.INPUT_TOKENS: 1_000_000, sc.OUTPUT_TOKENS: 0})
        assert (found[sc.COST], found[sc.COST_SOURCE]) == (pytest.approx(0.15), "table")

    def test_the_responses_model_counts_and_not_the_one_asked_for(self):
        tokens = {sc.INPUT_TOKENS: 1000, sc.OUTPUT_TOKENS: 10}
        found = self._cost({**tokens, sc.RESPONSE_MODEL: "gpt-4o"})
        assert found[sc.COST] == self._cost({**tokens, sc.REQUEST_MODEL: "gpt-4o"})[sc.COST]

    @pytest.mark.parametrize(
        ("attributes", "failed", "source"),
        [
            ({sc.INPUT_TOKENS: 5, sc.REQUEST_MODEL: "no-such-model"}, False, "unknown"),
            ({}, False, "unknown"),
            ({}, True, "none"),
            ({sc.USAGE_COMPLETE: False}, True, "unknown"),
            ({sc.INPUT_TOKENS: 5, sc.OUTPUT_TOKENS: 1, sc.USAGE_COMPLETE: False}, False, "unknown"),
        ],
    )
    def test_what_is_not_known_has_no_cost_and_says_why(self, attributes, failed, source):
        found = self._cost(attributes, failed=failed)
        assert sc.COST not in found
        assert found[sc.COST_SOURCE] == source

    @pytest.mark.parametrize(("attributes", "source"), [({}, "caller"), ({sc.COST_SOURCE: "reported"}, "reported")])
    def test_a_cost_that_is_there_stays_and_keeps_its_source(self, attributes, source):
        found = self._cost({sc.COST: 0.5, sc.INPUT_TOKENS: 5, **attributes})
        assert {sc.COST: 0.5, **found}[sc.COST] == 0.5
        assert found[sc.COST_SOURCE] == source

    def test_a_reported_cost_is_the_actual_cost_and_a_priced_one_the_estimate(self):
        reported = call_record(_span({sc.COST: 0.5, sc.COST_SOURCE: "reported"}), HERE)
        priced = call_record(_span({sc.COST: 0.5, sc.COST_SOURCE: "table"}), HERE)
        assert (reported.estimated_cost, reported.actual_cost) == (0.5, 0.5)
        assert (priced.estimated_cost, priced.actual_cost) == (0.5, None)


class TestOutcomes:
    def test_an_exception_event_tells_the_error_where_no_attribute_does(self):
        record = _read(CURRENT, failed=True, exceptions=[(None, None), ("httpx.ReadTimeout", "timed out")])
        assert (record.success, record.error_type, record.error_message) == (
            False,
            "httpx.ReadTimeout",
            "timed out",
        )

    def test_error_type_wins_over_the_exception_event_and_the_status_text_over_its_message(self):
        attributes = {**CURRENT, sc.ERROR_TYPE: "429"}
        record = _read(attributes, failed=True, status_message="slow down", exceptions=[("X", "message")])
        assert (record.error_type, record.error_message) == ("429", "slow down")

    def test_a_failure_that_says_nothing_is_other(self):
        record = _read(CURRENT, failed=True)
        assert (record.success, record.error_type, record.error_message) == (False, "_OTHER", None)

    def test_without_a_failed_status_an_error_type_is_no_failure(self):
        record = _read({**CURRENT, sc.ERROR_TYPE: "x"})
        assert (record.success, record.error_type) == (True, None)

    def test_a_foreign_error_message_is_redacted(self):
        record = _read(CURRENT, failed=True, status_message="401: bad key sk-proj-abcdefghijklmnopqrstuvwxyz0123456789")
        assert "abcdefghijklmnop" not in record.error_message

    def test_a_cancelled_call_is_neither_a_success_nor_an_error(self):
        record = call_record(_span({**CURRENT, sc.CANCELLED: True}), HERE)
        assert (record.success, record.cancelled, record.error_type) == (False, True, None)

    def test_content_is_kept_only_where_it_is_asked_for(self):
        span = _span({**CURRENT, sc.INPUT_MESSAGES: "[1]", sc.OUTPUT_MESSAGES: "[2]", sc.SYSTEM_INSTRUCTIONS: "s"})
        assert call_record(span, HERE).content == {}
        assert call_record(span, HERE, content=True).content == {
            "input.messages": "[1]",
            "output.messages": "[2]",
            "system_instructions": "s",
        }

    @pytest.mark.parametrize("text", ["{", "[1]", "5", "null", ""])
    def test_metadata_that_is_no_object_is_none(self, text):
        assert call_record(_span({**CURRENT, sc.METADATA: text}), HERE).metadata == {}

    @pytest.mark.parametrize(
        "text", ["{", "[1]", "5", "null", '{"no_such_field": 1}', '{"latency_ms": "x"}', '{"success": "no"}']
    )
    def test_a_damaged_record_attribute_changes_nothing(self, text):
        plain = call_record(_span(CURRENT), HERE)
        assert call_record(_span({**CURRENT, sc.RECORD: text}), HERE) == plain

    def test_two_records_share_no_list(self):
        first, second = call_record(_span(CURRENT), HERE), call_record(_span(CURRENT), HERE)
        assert first.attempts is not second.attempts
        assert first.metadata is not second.metadata


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=4)
_HOSTILE = _SCALARS | st.lists(_SCALARS, max_size=3) | st.lists(_SCALARS, max_size=3).map(tuple) | st.just({"a": [1]})
_KEYS = sorted(
    {key for keys in sc.FIELD_KEYS.values() for key in keys}
    | {value for name, value in vars(sc).items() if name.isupper() and isinstance(value, str)}
)


class TestHostileAttributes:
    @pytest.mark.slow
    @settings(max_examples=400)
    @given(st.dictionaries(st.sampled_from(_KEYS), _HOSTILE, max_size=8), st.booleans(), st.booleans())
    def test_no_foreign_attribute_raises(self, attributes, is_root, failed):
        span = _span(attributes, failed=failed, scope="foreign")
        kind_of(attributes, is_root=is_root)
        span.dialect = dialect_of(attributes)
        found = normalise(span, is_root=is_root)
        found.update(cost_attributes(found, TestCosts.PRICES, failed=failed, at=START / 1e9))
        span.attributes = found
        record = call_record(span, HERE)
        assert json.loads(msgspec.json.encode(record.to_dict()))["call_id"] == "b" * 16

    @pytest.mark.parametrize(
        "key",
        [sc.FINISH_REASONS, sc.FALLBACK_CHAIN, sc.ATTEMPTS, sc.TIME_TO_FIRST_CHUNK, sc.METADATA, sc.RECORD],
    )
    @pytest.mark.parametrize("value", [5, "text", True, 1.5, ("a", None), None, b"x"])
    def test_no_attribute_that_a_user_set_on_our_span_loses_the_record(self, key, value):
        assert call_record(_span({**CURRENT, key: value}, scope=sc.SCOPE), HERE).call_id == "b" * 16
