"""The collectors' configurations: what is connected with what, what is redacted, and that nothing is lost."""

from __future__ import annotations

import re
from typing import Any

import pytest

from attune_monitoring import semconv as sc
from attune_monitoring.redaction import redact
from stack_files import ROOT, expanded, loaded


def _collector(*names: str, **environment: str) -> dict[str, Any]:
    config: dict[str, Any] = expanded(loaded(*(f"collector/{name}.yaml" for name in names)), environment)
    return config


COLLECTORS = {
    "signoz": _collector("signoz"),
    "generic": _collector("generic"),
    "signoz, contents kept": _collector("signoz", ATTUNE_CONTENT="kept"),
    "generic, sampled": _collector("generic", "tail-sampling"),
}
CONTENT = {sc.INPUT_MESSAGES, sc.OUTPUT_MESSAGES, sc.SYSTEM_INSTRUCTIONS}
every_collector = pytest.mark.parametrize("config", COLLECTORS.values(), ids=COLLECTORS.keys())


# --- collectors --------------------------------------------------------------------------------------------------


def test_what_both_collectors_have_is_the_same_in_both() -> None:
    signoz, generic = loaded("collector/signoz.yaml"), loaded("collector/generic.yaml")
    assert {kind: signoz[kind] for kind in ("extensions", "receivers")} == {
        kind: generic[kind] for kind in ("extensions", "receivers")
    }
    assert {name: signoz["processors"].get(name) for name in generic["processors"]} == generic["processors"]


@every_collector
def test_every_component_that_is_named_is_defined(config: dict[str, Any]) -> None:
    named = {("extensions", name) for name in config["service"]["extensions"]}
    for pipeline in config["service"]["pipelines"].values():
        named |= {(kind, name) for kind in ("receivers", "processors", "exporters") for name in pipeline[kind]}
    defined = {(k, name) for k in ("extensions", "receivers", "processors", "exporters") for name in config[k]}
    assert named <= defined
    assert {name for _, name in defined - named} <= {"redaction/content_kept", "redaction/content_masked"}


@every_collector
def test_memory_is_limited_first_and_secrets_go_before_anything_else_sees_them(config: dict[str, Any]) -> None:
    for pipeline in config["service"]["pipelines"].values():
        processors = pipeline["processors"]
        assert processors[0] == "memory_limiter"
        assert set(processors[: processors.index("redaction/secrets")]) <= {
            "memory_limiter", "redaction/content_kept", "redaction/content_masked", "transform/status_in",
        }  # fmt: skip


@pytest.mark.parametrize("signal", ["traces", "logs"])
@pytest.mark.parametrize("name", ["signoz", "generic", "generic, sampled"])
def test_contents_are_masked_unless_they_are_to_be_kept(name: str, signal: str) -> None:
    assert "redaction/content_masked" in COLLECTORS[name]["service"]["pipelines"][signal]["processors"]


@every_collector
def test_the_message_of_a_status_is_redacted_as_an_attribute(config: dict[str, Any]) -> None:
    processors = config["service"]["pipelines"]["traces"]["processors"]
    at = processors.index("redaction/secrets")
    assert processors[at - 1 : at + 2] == ["transform/status_in", "redaction/secrets", "transform/status_out"]


@every_collector
def test_what_is_accepted_is_on_disk_until_it_is_delivered(config: dict[str, Any]) -> None:
    assert "file_storage" in config["service"]["extensions"]
    for exporter in config["exporters"].values():
        assert exporter["sending_queue"]["storage"] == "file_storage"
        assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"


@every_collector
def test_batches_are_made_after_the_disk_and_not_in_memory_before(config: dict[str, Any]) -> None:
    pipelines = config["service"]["pipelines"].values()
    assert not [name for pipeline in pipelines for name in pipeline["processors"] if name.startswith("batch")]
    assert all(exporter["sending_queue"]["batch"]["min_size"] > 1 for exporter in config["exporters"].values())


def test_span_metrics_go_to_an_exporter_of_metrics_as_deltas() -> None:
    config = COLLECTORS["signoz"]
    spans = config["processors"]["signozspanmetrics/delta"]
    assert spans["metrics_exporter"] in config["service"]["pipelines"]["metrics"]["exporters"]
    assert spans["aggregation_temporality"] == "AGGREGATION_TEMPORALITY_DELTA"


@pytest.mark.parametrize("name", ["signoz", "generic"])
@pytest.mark.parametrize(("environment", "host"), [({}, "127.0.0.1"), ({"ATTUNE_LISTEN": "0.0.0.0"}, "0.0.0.0")])
def test_the_collector_listens_on_loopback_unless_told_otherwise(
    name: str, environment: dict[str, str], host: str
) -> None:
    protocols = _collector(name, **environment)["receivers"]["otlp"]["protocols"]
    assert {kind: protocol["endpoint"] for kind, protocol in protocols.items()} == {
        "grpc": f"{host}:4317",
        "http": f"{host}:4318",
    }


# --- redaction ---------------------------------------------------------------------------------------------------

PROCESSORS: dict[str, Any] = COLLECTORS["signoz"]["processors"]
CONTENT_KEYS: list[str] = PROCESSORS["redaction/content_masked"]["blocked_key_patterns"]
SECRET_KEYS: list[str] = PROCESSORS["redaction/secrets"]["blocked_key_patterns"]
SECRET_VALUES: list[str] = PROCESSORS["redaction/secrets"]["blocked_values"]


def _masked(value: str) -> str:
    """What the redaction processor makes of a value."""
    for pattern in SECRET_VALUES:
        value = re.sub(pattern, "****", value)
    return value


def _matches(patterns: list[str], key: str) -> bool:
    return any(re.search(pattern, key) for pattern in patterns)


@pytest.mark.parametrize("pattern", [*CONTENT_KEYS, *SECRET_KEYS, *SECRET_VALUES])
def test_a_pattern_is_one_that_go_understands_and_the_collector_does_not_expand(pattern: str) -> None:
    re.compile(pattern)
    assert re.search(r"\(\?[=!<P>#]|\\[1-9ZG]|[*+?}]\+|\$[{$\w]", pattern) is None


@pytest.mark.parametrize(
    "key",
    [
        *sorted(CONTENT),
        "gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.prompt", "gen_ai.completion.0.content",
        "traceloop.entity.input", "input.value", "output.value", "llm.input_messages.0.message.content",
        "llm.prompts", "retrieval.documents.1.document.content", "embedding.text", "ai.prompt.messages",
        "ai.response.text", "ai.toolCall.args", "langfuse.observation.input", "mlflow.spanInputs",
        "all_messages_events", "prompt", "content", "arguments",
    ],
)  # fmt: skip
def test_a_content_is_redacted(key: str) -> None:
    assert _matches(CONTENT_KEYS, key)


OWN_NAMES = sorted(value for value in vars(sc).values() if isinstance(value, str) and "." in value and " " not in value)
FOREIGN_NAMES = sorted({key for keys in sc.FIELD_KEYS.values() for key in keys})


@pytest.mark.parametrize("key", sorted({*OWN_NAMES, *FOREIGN_NAMES} - CONTENT))
def test_what_dashboards_and_records_need_is_not_redacted(key: str) -> None:
    assert not _matches([*CONTENT_KEYS, *SECRET_KEYS], key)


def _content_processors(word: str) -> set[str]:
    pipelines = _collector("signoz", ATTUNE_CONTENT=word)["service"]["pipelines"].values()
    return {name for pipeline in pipelines for name in pipeline["processors"] if name.startswith("redaction/content")}


def test_contents_pass_where_they_are_to_be_kept() -> None:
    assert _content_processors("kept") == {"redaction/content_kept"}
    assert PROCESSORS["redaction/content_kept"] == {"allow_all_keys": True}


def test_a_word_that_is_not_known_names_no_processor_and_so_stops_the_collector() -> None:
    assert _content_processors("true").isdisjoint(PROCESSORS)


@pytest.mark.parametrize(
    "key",
    [
        "http.request.header.authorization", "http.request.header.x-api-key", "http.request.header.cookie",
        "http.response.header.set-cookie", "db.password", "openai.api_key", "client_secret", "aws.secret_access_key",
        "refresh_token", "proxy-authorization",
    ],
)  # fmt: skip
def test_an_attribute_that_is_named_like_a_secret_is_redacted(key: str) -> None:
    assert _matches(SECRET_KEYS, key)


# Put together here, so that no scanner takes them for real ones.
SECRETS = [
    "sk-" + "proj-AbCdEf0123456789AbCdEf", "sk-" + "ant-api03-AbCdEf0123456789", "sk_" + "live_AbCdEf0123456789",
    "xoxb" + "-123456789012-AbCdEfGhIj", "AKIA" + "IOSFODNN7EXAMPLE", "gh" + "p_AbCdEf0123456789AbCdEf",
    "github_" + "pat_AbCdEf0123456789", "glpat" + "-AbCdEf0123456789AbCd",
    "AIza" + "SyAbCdEf0123456789AbCdEf0123456789",
    "hf_" + "AbCdEf0123456789AbCd", "gsk_" + "AbCdEf0123456789AbCd", "xai-" + "AbCdEf0123456789AbCd",
    "SG." + "AbCdEf0123456789.AbCdEf0123456789", "eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "123456789:" + "AAAbCdEf0123456789AbCdEf0123456789abc",
]  # fmt: skip


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_masked_by_the_collector_as_by_the_library(secret: str) -> None:
    text = f"the key {secret} is not valid"
    assert _masked(text) == "the key **** is not valid"
    assert secret not in redact(text)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer AbCdEf0123456789AbCd", "AbCdEf0123456789AbCd"),
        ("https://user:hunter22@host/path", "hunter22"),
        ("https://host/path?a=1&sig=AbCdEf012345&b=2", "AbCdEf012345"),
        ("https://hooks.slack.com/services/T0/B0/AbCdEf0123", "AbCdEf0123"),
        ("https://discord.com/api/webhooks/1/AbCdEf0123", "AbCdEf0123"),
        ('{"api_key": "AbCdEf012345"}', "AbCdEf012345"),
        ("{\\\"password\\\": \\\"hunter22\\\"}", "hunter22"),
        ("password=hunter22", "hunter22"),
        ("OPENAI_API_KEY=AbCdEf012345", "AbCdEf012345"),
        ("x-api-key: AbCdEf012345", "AbCdEf012345"),
        ("-----BEGIN PRIVATE KEY-----\nAbCd\nEf01\n-----END PRIVATE KEY-----", "Ef01"),
        ("-----BEGIN RSA PRIVATE KEY-----\nAbCd\ncut off here", "cut off"),
    ],
)  # fmt: skip
def test_a_secret_is_masked_by_what_stands_around_it(text: str, secret: str) -> None:
    assert secret not in _masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "claude-haiku-4-5-20251001", "gpt-4o-mini-2024-07-18", "meta-llama/Llama-3.3-70B-Instruct", "0.0123", "1536",
        "018f4c1e-8d5a-7c3b-9e2f-1a2b3c4d5e6f", "4bf92f3577b34da6a3ce929d0e0e4736", "msg_01XFDUDYJgAACzvnptvVoYEL",
        "https://api.openai.com/v1/chat/completions?api-version=2024-10-21", "code-review", "risk-assessment",
        "rate limit of 40000 tokens: try again in 3 s", "a basic understanding of it", '["end_turn"]',
    ],
)  # fmt: skip
def test_a_harmless_value_is_left_as_it_is(text: str) -> None:
    assert _masked(text) == text


# --- README ------------------------------------------------------------------------------------------------------


def test_every_variable_of_the_configurations_is_explained() -> None:
    folder = ROOT / "collector"
    used = {name for file in folder.glob("*.yaml") for name in re.findall(r"\$\{env:(\w+)", file.read_text("utf-8"))}
    assert {name for name in used if f"| `{name}` |" not in (folder / "README.md").read_text("utf-8")} == set()


def test_every_file_is_explained() -> None:
    folder = ROOT / "collector"
    text = (folder / "README.md").read_text("utf-8")
    assert [file.name for file in folder.glob("*.yaml") if f"| `{file.name}` |" not in text] == []
