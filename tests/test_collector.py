"""The collectors' configurations: what is connected with what, what is redacted, and that nothing is lost."""

from __future__ import annotations

import re
from typing import Any

import pytest

from attune_monitoring import semconv as sc
from attune_monitoring.redaction import redact
from collector_samples import CONTENT_KEYS, HARMLESS, KEY, SECRET_KEYS, SECRET_TEXTS, SECRETS
from stack_files import ROOT, expanded, loaded

INSIDE = "otlp_http/inside"
"""Between the two halves of a pipeline."""


def _first_half(config: dict[str, Any]) -> dict[str, Any]:
    return {name: config["service"]["pipelines"][name] for name in ("traces", "metrics", "logs")}


def _outwards(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the exporters that send to a backend."""
    return [exporter for name, exporter in config["exporters"].items() if name != INSIDE]


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
    assert signoz["exporters"][INSIDE] == generic["exporters"][INSIDE]
    assert _first_half(signoz) == _first_half(generic)


@every_collector
def test_every_component_that_is_named_is_defined(config: dict[str, Any]) -> None:
    named = {("extensions", name) for name in config["service"]["extensions"]}
    for pipeline in config["service"]["pipelines"].values():
        named |= {(kind, name) for kind in ("receivers", "processors", "exporters") for name in pipeline.get(kind, [])}
    defined = {(k, name) for k in ("extensions", "receivers", "processors", "exporters") for name in config[k]}
    assert named <= defined
    assert {name for _, name in defined - named} <= {"redaction/content_kept", "redaction/content_masked"}


@every_collector
def test_memory_is_limited_first_and_secrets_go_before_anything_else_sees_them(config: dict[str, Any]) -> None:
    for pipeline in _first_half(config).values():
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
    for exporter in _outwards(config):
        assert exporter["sending_queue"]["storage"] == "file_storage"
        assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"


@every_collector
def test_a_sender_is_answered_only_when_the_second_half_has_answered(config: dict[str, Any]) -> None:
    assert [pipeline["exporters"] for pipeline in _first_half(config).values()] == [[INSIDE]] * 3
    assert config["exporters"][INSIDE]["sending_queue"] == {"wait_for_result": True}
    assert config["exporters"][INSIDE]["retry_on_failure"] == {"enabled": False}


@every_collector
def test_each_queue_has_a_receiver_of_its_own_which_waits_for_it(config: dict[str, Any]) -> None:
    pipelines = config["service"]["pipelines"]
    for signal in _first_half(config):
        assert pipelines[f"{signal}/out"]["receivers"] == [f"otlp/{signal}"]
        address = config["receivers"][f"otlp/{signal}"]["protocols"]["http"]["endpoint"]
        assert config["exporters"][INSIDE][f"{signal}_endpoint"] == f"http://{address}/v1/{signal}"
        assert address.startswith("127.0.0.1:")


@every_collector
def test_batches_are_made_after_the_disk_and_not_in_memory_before(config: dict[str, Any]) -> None:
    pipelines = config["service"]["pipelines"].values()
    assert not [name for pipeline in pipelines for name in pipeline.get("processors", []) if name.startswith("batch")]
    assert all(exporter["sending_queue"]["batch"]["min_size"] > 1 for exporter in _outwards(config))


@every_collector
def test_batches_are_measured_in_bytes_and_never_cut(config: dict[str, Any]) -> None:
    batches = [exporter["sending_queue"]["batch"] for exporter in _outwards(config)]
    assert {batch["sizer"] for batch in batches} == {"bytes"}
    assert not [batch for batch in batches if "max_size" in batch]


def test_span_metrics_go_to_an_exporter_of_metrics_as_deltas() -> None:
    config = COLLECTORS["signoz"]
    spans = config["processors"]["signozspanmetrics/delta"]
    assert spans["metrics_exporter"] in config["service"]["pipelines"]["metrics/out"]["exporters"]
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
CONTENT_PATTERNS: list[str] = PROCESSORS["redaction/content_masked"]["blocked_key_patterns"]
SECRET_PATTERNS: list[str] = PROCESSORS["redaction/secrets"]["blocked_key_patterns"]
VALUE_PATTERNS: list[str] = PROCESSORS["redaction/secrets"]["blocked_values"]


def _masked(value: str) -> str:
    """What the redaction processor makes of a value."""
    for pattern in VALUE_PATTERNS:
        value = re.sub(pattern, "****", value)
    return value


def _matches(patterns: list[str], key: str) -> bool:
    return any(re.search(pattern, key) for pattern in patterns)


@pytest.mark.parametrize("pattern", [*CONTENT_PATTERNS, *SECRET_PATTERNS, *VALUE_PATTERNS])
def test_a_pattern_is_one_that_go_understands_and_the_collector_does_not_expand(pattern: str) -> None:
    re.compile(pattern)
    assert re.search(r"\(\?[=!<P>#]|\\[1-9ZG]|[*+?}]\+|\$[{$\w]", pattern) is None


@pytest.mark.parametrize("key", CONTENT_KEYS)
def test_a_content_is_redacted(key: str) -> None:
    assert _matches(CONTENT_PATTERNS, key)


OWN_NAMES = sorted(value for value in vars(sc).values() if isinstance(value, str) and "." in value and " " not in value)
FOREIGN_NAMES = sorted({key for keys in sc.FIELD_KEYS.values() for key in keys})


@pytest.mark.parametrize("key", sorted({*OWN_NAMES, *FOREIGN_NAMES} - CONTENT))
def test_what_dashboards_and_records_need_is_not_redacted(key: str) -> None:
    assert not _matches([*CONTENT_PATTERNS, *SECRET_PATTERNS], key)


def _content_processors(word: str) -> set[str]:
    pipelines = _first_half(_collector("signoz", ATTUNE_CONTENT=word)).values()
    return {name for pipeline in pipelines for name in pipeline["processors"] if name.startswith("redaction/content")}


def test_contents_pass_where_they_are_to_be_kept() -> None:
    assert _content_processors("kept") == {"redaction/content_kept"}
    assert PROCESSORS["redaction/content_kept"] == {"allow_all_keys": True}


def test_a_word_that_is_not_known_names_no_processor_and_so_stops_the_collector() -> None:
    assert _content_processors("true").isdisjoint(PROCESSORS)


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_an_attribute_that_is_named_like_a_secret_is_redacted(key: str) -> None:
    assert _matches(SECRET_PATTERNS, key)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_masked_by_the_collector_as_by_the_library(secret: str) -> None:
    text = f"the key {secret} is not valid"
    assert _masked(text) == "the key **** is not valid"
    assert secret not in redact(text)


@pytest.mark.parametrize("text", SECRET_TEXTS.values(), ids=SECRET_TEXTS.keys())
def test_a_secret_is_masked_by_what_stands_around_it(text: str) -> None:
    assert KEY not in _masked(text)


@pytest.mark.parametrize("first", VALUE_PATTERNS)
def test_every_secret_is_masked_whichever_pattern_is_tried_first(first: str) -> None:
    """The processor keeps its patterns in a Go map, which has no order."""
    texts = [*SECRETS, *SECRET_TEXTS.values()]
    assert [text for text in texts if KEY in _masked(re.sub(first, "****", text))] == []


@pytest.mark.parametrize("text", HARMLESS)
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
