"""monitoring.yaml, environment and arguments become one Config; every mistake has its place."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from attune_monitoring.config import Config, describe, fallback_config, load_config
from attune_monitoring.config.declaration import FILE, JSONL, OTEL
from attune_monitoring.errors import ConfigError
from attune_monitoring.schema import Spec
from attune_monitoring.yamlfile import Document

ROOT = Path(__file__).resolve().parent.parent
SECRET = "Zx9Qm2Lk7Wp4Rt8Vb3Nc6Hd1"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / ".git").mkdir(parents=True)
    return folder


def load(folder: Path, text: str | None = None, env: dict[str, str] | None = None, **arguments: Any) -> Config:
    if text is not None:
        (folder / "monitoring.yaml").write_text(text, "utf-8")
    return load_config(env=env or {}, cwd=folder, **arguments)


def faults(folder: Path, text: str | None = None, env: dict[str, str] | None = None, **arguments: Any) -> list[str]:
    """Return the problems, with the file's name in place of its path."""
    with pytest.raises(ConfigError) as raised:
        load(folder, text, env, **arguments)
    return [problem.replace(f"{folder}{os.sep}", "") for problem in raised.value.problems]


def test_without_a_file_records_are_local_and_nothing_is_sent(project: Path) -> None:
    config = load(project)
    assert config.jsonl is not None
    assert (config.jsonl.write, config.jsonl.fsync) == ("sync", "never")
    assert (config.jsonl.segment_bytes, config.jsonl.queue_size) == (64 * 1024 * 1024, 10_000)
    assert config.otlp == ()
    assert (config.service_name, config.storage_dir, config.enabled) == ("shop", project / ".empathy", True)
    assert (config.content.capture, config.content.on_spans, config.content.max_length) == ("no_content", False, 8192)
    assert (config.sampling_ratio, config.parent_based, config.retention_days) == (1.0, True, None)
    assert (config.instrument, config.stream_proxy, config.error_messages) == (False, True, True)
    assert (config.pricing.overrides, config.pricing.live, config.source, config.warnings) == ((), False, None, ())


def test_every_key_of_the_file_arrives(project: Path) -> None:
    config = load(
        project,
        """
        service_name: till
        enabled: false
        storage_dir: data
        backends:
          - {type: jsonl, write: background, fsync: interval, segment_size: 1MB, queue_size: 5}
        content: {capture: span_and_event, max_length: 10, mask: "shop.privacy:mask"}
        sampling: {ratio: 0.5, parent_based: false}
        pricing:
          models: {"my-*": [{input: 1, output: 2}, {from: 2026-01-01, input: 3}]}
          aliases: {gateway: openai}
          live: true
        tiers: {cheap: ["my-*"], premium_models: {openai: big}}
        retention: {days: 30}
        instrument: [openai]
        stream_proxy: false
        error_messages: false
        """,
    )
    assert (config.service_name, config.enabled, config.storage_dir) == ("till", False, project / "data")
    assert config.jsonl is not None
    assert (config.jsonl.write, config.jsonl.fsync) == ("background", "interval")
    assert (config.jsonl.segment_bytes, config.jsonl.queue_size) == (1_000_000, 5)
    assert (config.content.capture, config.content.max_length) == ("span_and_event", 10)
    assert (config.content.mask, config.content.on_spans) == ("shop.privacy:mask", True)
    assert (config.sampling_ratio, config.parent_based, config.retention_days) == (0.5, False, 30)
    assert [(o.pattern, o.rates.input) for o in config.pricing.overrides] == [("my-*", 1.0), ("my-*", 3.0)]
    assert (dict(config.pricing.aliases), config.pricing.live) == ({"gateway": "openai"}, True)
    assert dict(config.pricing.tiers) == {"cheap": ("my-*",)}
    assert dict(config.pricing.premium_models) == {"openai": "big"}
    assert (config.instrument, config.stream_proxy, config.error_messages) == (("openai",), False, False)
    assert config.source == project / "monitoring.yaml"


@pytest.mark.parametrize("text", ["", "# nothing\n", "backends:\ncontent:\nretention: ~\npricing:\n  models:\n"])
def test_keys_without_a_value_leave_the_defaults(project: Path, text: str) -> None:
    config = load(project, text)
    assert config.jsonl is not None
    assert config.content.capture == "no_content"


def test_a_configuration_cannot_be_changed(project: Path) -> None:
    config = load(project)
    with pytest.raises(AttributeError):
        config.service_name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        config.pricing.aliases["x"] = "y"  # type: ignore[index]


PRECEDENCE = [
    ("service_name: file", {}, {}, "service_name", "file"),
    ("service_name: file", {"OTEL_RESOURCE_ATTRIBUTES": "a=b,service.name=my%20app"}, {}, "service_name", "my app"),
    (
        "service_name: file",
        {"OTEL_SERVICE_NAME": "own", "OTEL_RESOURCE_ATTRIBUTES": "service.name=x"},
        {},
        "service_name",
        "own",
    ),
    ("service_name: file", {"OTEL_SERVICE_NAME": "own"}, {"service_name": "code"}, "service_name", "code"),
    ("service_name: file", {"OTEL_SERVICE_NAME": ""}, {}, "service_name", "file"),
    ("enabled: false", {}, {}, "enabled", False),
    ("enabled: false", {"EMPATHY_TELEMETRY": "on"}, {}, "enabled", True),
    ("", {"EMPATHY_TELEMETRY": "off"}, {}, "enabled", False),
    ("", {"EMPATHY_TELEMETRY": "off"}, {"enabled": True}, "enabled", True),
    ("", {"OTEL_SDK_DISABLED": "TRUE", "EMPATHY_TELEMETRY": "on"}, {"enabled": True}, "enabled", False),
    ("", {"OTEL_SDK_DISABLED": "1"}, {}, "enabled", True),
    ("backends: [{type: jsonl, fsync: always}]", {}, {}, "jsonl.fsync", "always"),
    ("backends: [{type: jsonl, fsync: always}]", {"EMPATHY_FSYNC": "interval"}, {}, "jsonl.fsync", "interval"),
    ("", {"EMPATHY_WRITE": "Background"}, {}, "jsonl.write", "background"),
    ("", {"EMPATHY_FSYNC": "always"}, {"backends": [{"type": "jsonl", "fsync": "never"}]}, "jsonl.fsync", "never"),
    ("backends: [otel]", {}, {}, "jsonl", None),
    ("backends: []", {}, {}, "jsonl", None),
    ("backends: []", {"OTEL_TRACES_EXPORTER": "otlp, attune_jsonl"}, {}, "jsonl.write", "sync"),
    ("content: {capture: true}", {}, {}, "content.capture", "span_only"),
    ("content: {capture: false}", {}, {}, "content.capture", "no_content"),
    ("content: {capture: event_only}", {}, {}, "content.on_spans", False),
    (
        "content: {capture: true}",
        {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "NO_CONTENT"},
        {},
        "content.capture",
        "no_content",
    ),
    (
        "",
        {
            "EMPATHY_CAPTURE_CONTENT": "SPAN_AND_EVENT",
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "NO_CONTENT",
        },
        {},
        "content.capture",
        "span_and_event",
    ),
    ("", {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true"}, {}, "content.capture", "span_only"),
    ("content: {max_length: 5}", {"EMPATHY_CAPTURE_CONTENT": "on"}, {}, "content.max_length", 5),
    ("content: {max_length: 5}", {}, {"content": {"capture": True}}, "content.max_length", 5),
    ("sampling: {ratio: 0.5}", {}, {}, "sampling_ratio", 0.5),
    ("sampling: {ratio: 0.5}", {"OTEL_TRACES_SAMPLER_ARG": "0.1"}, {}, "sampling_ratio", 0.5),
    (
        "sampling: {ratio: 0.5}",
        {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"},
        {},
        "sampling_ratio",
        0.1,
    ),
    ("", {"OTEL_TRACES_SAMPLER": "traceidratio"}, {}, "sampling_ratio", 1.0),
    ("", {"OTEL_TRACES_SAMPLER": "traceidratio"}, {}, "parent_based", False),
    ("", {"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, {}, "sampling_ratio", 0.0),
    ("", {"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, {}, "parent_based", True),
    ("sampling: {ratio: 0.5}", {"OTEL_TRACES_SAMPLER": "always_on"}, {}, "sampling_ratio", 1.0),
    (
        "sampling: {ratio: 0.5}",
        {"OTEL_TRACES_SAMPLER": "always_off"},
        {"sampling": {"ratio": 0.2}},
        "sampling_ratio",
        0.2,
    ),
    ("instrument: true", {}, {}, "instrument", True),
    ("instrument: true", {}, {"instrument": ["openai"]}, "instrument", ("openai",)),
    ("service_name: ${SERVICE:-till}", {}, {}, "service_name", "till"),
    ("service_name: ${SERVICE:-till}", {"SERVICE": "web"}, {}, "service_name", "web"),
    ("", {}, {"service_name": "${SERVICE}"}, "service_name", "${SERVICE}"),
]


@pytest.mark.parametrize(("text", "env", "arguments", "field", "value"), PRECEDENCE)
def test_arguments_go_before_environment_before_file(
    project: Path, text: str, env: dict[str, str], arguments: dict[str, Any], field: str, value: object
) -> None:
    found: Any = load(project, text, env, **arguments)
    for name in field.split("."):
        found = getattr(found, name)
    assert found == value


MISTAKES = {
    "unknown key": (
        "servce_name: x",
        ["monitoring.yaml:1:1: unknown key 'servce_name' (did you mean 'service_name'?)"],
    ),
    "issue of a later section": (
        "alerts: []",
        [
            "monitoring.yaml:1:1: unknown key 'alerts'; known are service_name, enabled, storage_dir, backends, "
            "content, sampling, pricing, tiers, budgets, retention, instrument, stream_proxy, error_messages"
        ],
    ),
    "unknown backend": (
        "backends: [jsonl, otlp]",
        ["monitoring.yaml:1:19: backends[1]: expected jsonl or otel, found 'otlp' (did you mean 'otel'?)"],
    ),
    "unknown type": (
        "backends:\n  - type: jsnl",
        ["monitoring.yaml:2:11: backends[0].type: expected one of jsonl, otel, found 'jsnl' (did you mean 'jsonl'?)"],
    ),
    "backends that are no list": (
        "backends: jsonl",
        ["monitoring.yaml:1:11: backends: expected a list, found 'jsonl'"],
    ),
    "no type": (
        "backends:\n  - fsync: never",
        ["monitoring.yaml:2:5: backends[0]: key 'type' is missing; known are jsonl, otel"],
    ),
    "two local folders": (
        "backends: [jsonl, {type: jsonl}]",
        ["monitoring.yaml:1:11: backends: jsonl is given more than once; there is one local folder, see storage_dir"],
    ),
    "protocol": (
        "backends:\n  - type: otel\n    protocol: grcp",
        [
            "monitoring.yaml:3:15: backends[0].protocol: expected grpc or http/protobuf, found 'grcp' "
            "(did you mean 'grpc'?)"
        ],
    ),
    "header": (
        "backends: [{type: otel, headers: {a: 1}}]",
        ["monitoring.yaml:1:38: backends[0].headers.a: expected text, found another value (put it in quotes)"],
    ),
    "capture": (
        "content: {capture: span}",
        [
            "monitoring.yaml:1:20: content.capture: expected no_content, span_only, event_only or span_and_event, "
            "found 'span' (did you mean 'span_only'?)"
        ],
    ),
    "mask": (
        "content: {mask: 'os.system'}",
        ["monitoring.yaml:1:17: content.mask: expected package.module:function, found 'os.system'"],
    ),
    "ratio": (
        "sampling: {ratio: 10%}",
        ["monitoring.yaml:1:19: sampling.ratio: expected a number from 0 to 1, found '10%'"],
    ),
    "segment": (
        "backends: [{type: jsonl, segment_size: 1KB}]",
        [
            "monitoring.yaml:1:40: backends[0].segment_size: expected a size such as 64MB, of at least 65536 bytes, "
            "found '1KB'"
        ],
    ),
    "price": (
        "pricing:\n  models:\n    m:\n      input: -1\n      outptu: 2",
        [
            "monitoring.yaml:4:14: pricing.models.m.input: expected a number of at least 0, found -1",
            "monitoring.yaml:5:7: pricing.models.m: unknown key 'outptu' (did you mean 'output'?)",
        ],
    ),
    "price without input": (
        "pricing: {models: {m: [{output: 1}]}}",
        ["monitoring.yaml:1:24: pricing.models.m[0]: key 'input' is missing (USD per 1,000,000 input tokens.)"],
    ),
    "price with a wrong date": (
        "pricing:\n  models:\n    m:\n      - {input: 1}\n      - {input: 2, from: yesterday}",
        [
            "monitoring.yaml:5:26: pricing.models.m[1].from: expected a date such as 2026-01-31, got 'yesterday'",
        ],
    ),
    "tier": ("tiers: {cheep: [x]}", ["monitoring.yaml:1:9: tiers: unknown key 'cheep' (did you mean 'cheap'?)"]),
    "retention": (
        "retention: {days: 0}",
        ["monitoring.yaml:1:19: retention.days: expected a whole number from 1 to 36500, found 0"],
    ),
    "instrument": (
        "instrument: openai",
        ["monitoring.yaml:1:13: instrument: expected true or false, or a list, found 'openai'"],
    ),
    "variable": (
        "service_name: ${NOPE}",
        ["monitoring.yaml:1:15: service_name: environment variable NOPE is not set; set it, or write ${NOPE:-default}"],
    ),
    "syntax": (
        "a: [1",
        [
            "monitoring.yaml:1:6: not valid YAML: expected ',' or ']', but got '<stream end>' "
            "(look at indentation, quotes and brackets)"
        ],
    ),
    "no mapping": ("- jsonl", ["monitoring.yaml:1:1: expected a mapping, found a list"]),
}


@pytest.mark.parametrize(("text", "lines"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_with_file_line_column_and_key(project: Path, text: str, lines: list[str]) -> None:
    assert faults(project, text) == lines


def test_all_mistakes_of_file_arguments_and_environment_come_at_once(project: Path) -> None:
    text = "servce_name: x\nsampling: {ratio: 2}\n"
    assert faults(project, text, {"EMPATHY_FSYNC": "alwys", "EMPATHY_TELEMETRY": "maybe"}, retension={"days": 1}) == [
        "monitoring.yaml:1:1: unknown key 'servce_name' (did you mean 'service_name'?)",
        "monitoring.yaml:2:19: sampling.ratio: expected a number from 0 to 1, found 2",
        "configure(): unknown key 'retension' (did you mean 'retention'?)",
        "environment variable EMPATHY_TELEMETRY: expected on or off, found 'maybe'",
        "environment variable EMPATHY_FSYNC: expected never, interval or always, found 'alwys' "
        "(did you mean 'always'?)",
    ]


def test_a_file_that_was_named_and_is_missing_is_a_mistake(project: Path) -> None:
    assert faults(project, env={"EMPATHY_CONFIG": "no.yaml"}) == ["no.yaml: cannot be read: No such file or directory"]
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config("no.yaml", env={}, cwd=project)


def test_the_null_device_means_no_file(project: Path) -> None:
    assert load(project, "broken: [", {"EMPATHY_CONFIG": os.devnull}).source is None
    assert load_config(os.devnull, env={}, cwd=project).source is None


@pytest.mark.parametrize(
    ("env", "warning"),
    [
        ({"OTEL_TRACES_SAMPLER": "xray"}, "OTEL_TRACES_SAMPLER: 'xray' is not one of the SDK's own samplers; ignored"),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "ten"},
            "OTEL_TRACES_SAMPLER_ARG: expected a number from 0 to 1, found 'ten'; ignored",
        ),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "x"},
            "OTEL_RESOURCE_ATTRIBUTES: expected key=value pairs with commas between them; ignored",
        ),
        (
            {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "always"},
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: expected true or false, or no_content, span_only, "
            "event_only or span_and_event, found 'always'; ignored",
        ),
    ],
)
def test_an_opentelemetry_variable_that_cannot_be_read_is_ignored_with_a_warning(
    project: Path, env: dict[str, str], warning: str
) -> None:
    config = load(project, "service_name: x", env)
    assert config.warnings == (f"environment variable {warning}",)
    assert (config.sampling_ratio, config.content.capture) == (1.0, "no_content")


def test_no_secret_is_in_repr_description_errors_or_log(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    (project / "key").write_text(SECRET)
    text = f"""
    backends:
      - type: otel
        endpoint: https://collector:4318
        headers: {{a: {SECRET}, b: "Bearer ${{T}}", c_file: key}}
    """
    env = {"T": SECRET, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"https://me:{SECRET}@host/v1/traces?token={SECRET}"}
    with caplog.at_level(logging.DEBUG):
        config = load(project, text, env)
    sent = [set(otlp.headers.values()) for otlp in config.otlp]
    assert {SECRET, f"Bearer {SECRET}"} in sent
    told = [repr(config), str(config), *describe(config), *config.warnings, caplog.text]
    told += [f"{otlp!r} {otlp}" for otlp in config.otlp]
    broken = f"""
    {SECRET}x: 1
    service_name: [sk-{SECRET}]
    backends:
      - {{type: otel, endpoint: "https://u:{SECRET}@h", headers: {{a: [{SECRET}]}}, protocol: "token={SECRET}"}}
    pricing: {{models: {{m: {{input: "password={SECRET}"}}}}}}
    """.replace(f"{SECRET}x", "x")
    told += faults(project, broken, {"EMPATHY_FSYNC": f"sk-{SECRET}", "OTEL_EXPORTER_OTLP_HEADERS": SECRET})
    assert SECRET not in "\n".join(told)


def test_what_is_active_is_told_in_lines(project: Path) -> None:
    text = """
    service_name: till
    backends: [jsonl, {type: otel, endpoint: "http://localhost:4317", headers: {x-key: v}}]
    content: {capture: true, mask: "shop:mask"}
    sampling: {ratio: 0.1}
    pricing: {models: {m: {input: 1}}, live: true}
    retention: {days: 7}
    instrument: [openai, anthropic]
    """
    assert describe(load(project, text)) == [
        "service: till",
        f"configuration: {project / 'monitoring.yaml'}",
        f"records: {project / '.empathy'} (write sync, fsync never, kept for 7 days)",
        "OTLP: traces and metrics to http://localhost:4317 (grpc, plaintext, compression none, metrics delta, "
        "headers x-key=***, from the configuration)",
        "content of prompts and answers: kept (span_only, at most 8192 characters each, masked by shop:mask)",
        "sampling: 0.1 of traces over OTLP; records and metrics are complete",
        "own prices: 1; genai-prices is asked for unknown models",
        "instrumentations: openai, anthropic",
    ]


def test_the_defaults_are_told_in_lines(project: Path) -> None:
    assert describe(load(project, env={"EMPATHY_CONFIG": os.devnull})) == [
        "service: shop",
        "configuration: no file; environment and defaults",
        f"records: {project / '.empathy'} (write sync, fsync never, kept)",
        "OTLP: none; nothing leaves this machine",
        "content of prompts and answers: not kept",
    ]
    assert describe(load(project, "backends: []\ninstrument: true"))[2:] == [
        "records: none are written",
        "OTLP: none; nothing leaves this machine",
        "content of prompts and answers: not kept",
        "instrumentations: all that are installed",
    ]


def test_when_it_is_off_one_line_says_so(project: Path) -> None:
    assert describe(load(project, "enabled: false")) == [
        "monitoring is off (OTEL_SDK_DISABLED=true, EMPATHY_TELEMETRY=off, or enabled: false)"
    ]


def test_the_fallback_keeps_what_switches_off_and_where_records_go(project: Path) -> None:
    (project / "monitoring.yaml").write_text("broken: [")
    env = {"EMPATHY_FSYNC": "nonsense", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "EMPATHY_STORAGE_DIR": "here"}
    config = fallback_config(env=env, cwd=project)
    assert (config.enabled, config.otlp, config.storage_dir) == (True, (), project / "here")
    assert not fallback_config(env={"EMPATHY_TELEMETRY": "off"}, cwd=project).enabled
    assert not fallback_config(env={"OTEL_SDK_DISABLED": "true"}, cwd=project).enabled
    assert fallback_config(env={"EMPATHY_TELEMETRY": "nonsense"}, cwd=project).enabled


def test_the_fallback_without_a_usable_folder_records_nothing(project: Path) -> None:
    (project / ".empathy").write_text("a file")
    config = fallback_config(env={}, cwd=project)
    assert config.jsonl is None
    assert "set EMPATHY_STORAGE_DIR" in config.warnings[0]


def test_the_working_directory_may_be_gone(tmp_path: Path) -> None:
    code = (
        "import os, sys; os.rmdir(os.getcwd())\n"
        "from attune_monitoring.config import fallback_config, load_config\n"
        "from attune_monitoring.errors import ConfigError\n"
        "try: load_config()\n"
        "except ConfigError as error: print(error)\n"
        "print(fallback_config().jsonl)\n"
    )
    folder = tmp_path / "gone"
    folder.mkdir()
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "the working directory is gone; change to one that exists, or pass cwd",
        "None",
    ]


def test_importing_and_loading_without_a_file_needs_no_yaml_sdk_or_requests(project: Path) -> None:
    code = (
        "import sys; from attune_monitoring.config import load_config; load_config(env={})\n"
        "print([name for name in ('yaml', 'requests', 'opentelemetry.sdk', 'grpc') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# The published JSON Schema and the documentation


def test_the_published_schema_is_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "make_schema.py", "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def schema() -> jsonschema.Draft202012Validator:
    published = json.loads((ROOT / "docs" / "schema" / "monitoring.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(published)
    return jsonschema.Draft202012Validator(published)


def examples() -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "configuration.md").read_text("utf-8"), re.S)


# What only the loader knows: keys that contradict each other, how large `1KB` is, dates, the environment, YAML itself.
BEYOND_THE_SCHEMA = {"two local folders", "segment", "price with a wrong date", "variable", "syntax"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", [text for name, (text, _) in MISTAKES.items() if name not in BEYOND_THE_SCHEMA], ids=lambda text: text[:30]
)
def test_the_schema_rejects_what_the_loader_rejects(text: str) -> None:
    assert not schema().is_valid(Document.parse(text, "").value)


@pytest.mark.slow
@pytest.mark.parametrize("text", [*dict.fromkeys(row[0] for row in PRECEDENCE)])
def test_the_schema_accepts_what_the_loader_accepts(text: str) -> None:
    schema().validate(Document.parse(text, "").value)


def test_there_are_examples() -> None:
    assert len(examples()) >= 4


@pytest.mark.parametrize("text", examples(), ids=lambda text: text.split("\n")[0])
def test_every_example_of_the_documentation_is_loaded(project: Path, text: str) -> None:
    schema().validate(Document.parse(text, "").value)
    assert load(project, text).warnings == ()


def _declared(spec: Spec, prefix: str = "") -> Iterator[tuple[str, Spec]]:
    for key, child in spec.keys.items():
        yield from _declared(child, f"{prefix}{key}.") if child.keys else [(prefix + key, child)]


@pytest.mark.parametrize(
    ("section", "key", "spec"),
    [
        (section, key, spec)
        for section, declared in (("## Keys", FILE), ("### Backend `jsonl`", JSONL), ("### Backend `otel`", OTEL))
        for key, spec in _declared(declared)
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_key_is_documented_with_default_and_variable(section: str, key: str, spec: Spec) -> None:
    page = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    table = page.split(f"{section}\n")[1].split("\n#")[0]
    row = next(line for line in table.splitlines() if line.startswith(f"| `{key}` |"))
    _, _, _, default, variables, *_ = (cell.strip() for cell in row.split("|"))
    if spec.default is not None:
        assert default == f"`{str(spec.default).lower() if isinstance(spec.default, bool) else spec.default}`".replace(
            "'", ""
        )
    assert set(spec.env) <= set(re.findall(r"[A-Z_]{6,}", variables))
