"""OTLP backends: of the file, of OpenTelemetry's variables, and of both."""

from __future__ import annotations

from pathlib import Path

import pytest

from attune_monitoring.config import Config, OtlpConfig, load_config
from attune_monitoring.errors import ConfigError

OTLP = "OTEL_EXPORTER_OTLP_"


def load(folder: Path, otel: str | None = None, env: dict[str, str] | None = None) -> Config:
    """Load a file with the given otel backends, each a line of YAML; None = no file."""
    (folder / ".git").mkdir(exist_ok=True)
    if otel is not None:
        backends = "\n".join(f"  - {line}" for line in otel.splitlines())
        (folder / "monitoring.yaml").write_text(f"backends:\n{backends}\n")
    return load_config(env=env or {}, cwd=folder)


def one(folder: Path, otel: str | None = None, env: dict[str, str] | None = None) -> OtlpConfig:
    (only,) = load(folder, otel, env).otlp
    return only


@pytest.mark.parametrize(
    ("otel", "protocol", "insecure", "traces", "metrics"),
    [
        ("otel", "http/protobuf", True, "http://localhost:4318/v1/traces", "http://localhost:4318/v1/metrics"),
        ("{type: otel, protocol: grpc}", "grpc", True, "http://localhost:4317", "http://localhost:4317"),
        ('{type: otel, endpoint: "http://c:4317"}', "grpc", True, "http://c:4317", "http://c:4317"),
        (
            '{type: otel, endpoint: "http://c:4318/"}',
            "http/protobuf",
            True,
            "http://c:4318/v1/traces",
            "http://c:4318/v1/metrics",
        ),
        (
            '{type: otel, endpoint: "https://c/otlp"}',
            "http/protobuf",
            False,
            "https://c/otlp/v1/traces",
            "https://c/otlp/v1/metrics",
        ),
        ('{type: otel, endpoint: "https://c:443", protocol: grpc}', "grpc", False, "https://c:443", "https://c:443"),
        ('{type: otel, endpoint: "https://c", protocol: grpc}', "grpc", False, "https://c", "https://c"),
        ('{type: otel, endpoint: "http://c", protocol: grpc}', "grpc", True, "http://c:4317", "http://c:4317"),
        ('{type: otel, endpoint: "c:4317"}', "grpc", False, "https://c:4317", "https://c:4317"),
        ('{type: otel, endpoint: "c:4317", tls: {insecure: true}}', "grpc", True, "http://c:4317", "http://c:4317"),
        (
            '{type: otel, endpoint: "c", protocol: grpc, tls: {insecure: true}}',
            "grpc",
            True,
            "http://c:4317",
            "http://c:4317",
        ),
        ('{type: otel, endpoint: "http://[::1]:4317"}', "grpc", True, "http://[::1]:4317", "http://[::1]:4317"),
    ],
)
def test_an_endpoint_means_protocol_security_and_addresses(
    tmp_path: Path, otel: str, protocol: str, insecure: bool, traces: str, metrics: str
) -> None:
    otlp = one(tmp_path, otel)
    assert (otlp.protocol, otlp.insecure, otlp.traces_endpoint, otlp.metrics_endpoint) == (
        protocol,
        insecure,
        traces,
        metrics,
    )
    assert otlp.from_file


def test_the_other_keys_of_a_backend_arrive(tmp_path: Path) -> None:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).touch()
    otlp = one(
        tmp_path,
        '{type: otel, endpoint: "https://c:4317", headers: {X-Key: v}, compression: gzip, timeout: 2s, metrics: false,'
        " temporality: cumulative, tls: {ca_file: ca.pem, cert_file: cert.pem, key_file: key.pem}}",
    )
    assert (dict(otlp.headers), otlp.compression, otlp.timeout) == ({"x-key": "v"}, "gzip", 2.0)
    assert (otlp.traces_endpoint, otlp.metrics_endpoint, otlp.temporality) == ("https://c:4317", None, "cumulative")
    assert (otlp.certificate, otlp.client_certificate, otlp.client_key) == (
        str(tmp_path / "ca.pem"),
        str(tmp_path / "cert.pem"),
        str(tmp_path / "key.pem"),
    )


def test_the_defaults_of_a_backend(tmp_path: Path) -> None:
    otlp = one(tmp_path, "otel")
    assert (dict(otlp.headers), otlp.compression, otlp.timeout, otlp.temporality) == ({}, "none", 10.0, "delta")
    assert (otlp.certificate, otlp.client_certificate, otlp.client_key) == (None, None, None)


def test_a_backend_that_sends_nothing_is_none(tmp_path: Path) -> None:
    assert load(tmp_path, "{type: otel, traces: false, metrics: false}").otlp == ()


CONTRADICTIONS = [
    (
        '{type: otel, endpoint: "http://"}',
        26,
        "endpoint",
        "is not an address; write http://host:port or https://host:port",
    ),
    (
        '{type: otel, endpoint: "http://c:99999"}',
        26,
        "endpoint",
        "is not an address; write http://host:port or https://host:port",
    ),
    (
        '{type: otel, endpoint: "http://a b"}',
        26,
        "endpoint",
        "is not an address; write http://host:port or https://host:port",
    ),
    (
        '{type: otel, endpoint: "http://u:p@c:4318"}',
        26,
        "endpoint",
        "holds a user name or password; put credentials into headers",
    ),
    (
        '{type: otel, endpoint: "http://c:4318?key=x"}',
        26,
        "endpoint",
        "has a part after '?' or '#'; put keys into headers",
    ),
    (
        '{type: otel, endpoint: "grpc://c:4317"}',
        26,
        "endpoint",
        "scheme 'grpc' is not supported; write http:// or https://",
    ),
    ('{type: otel, endpoint: "c:4318"}', 26, "endpoint", "has no scheme; write http:// or https:// before it"),
    (
        '{type: otel, endpoint: "http://c:4317/v1/traces"}',
        26,
        "endpoint",
        "has a path, which gRPC does not know; remove it or set protocol: http/protobuf",
    ),
    (
        '{type: otel, endpoint: "http://c:4318/v1/traces"}',
        26,
        "endpoint",
        "ends with the path of one signal; leave it out, it is appended",
    ),
    (
        '{type: otel, tls: {insecure: true}, endpoint: "https://c"}',
        32,
        "tls.insecure",
        "contradicts the endpoint, which says https; write http:// for plaintext",
    ),
    (
        '{type: otel, tls: {insecure: false}, endpoint: "http://c"}',
        32,
        "tls.insecure",
        "contradicts the endpoint, which says http; write https:// for TLS",
    ),
    (
        '{type: otel, tls: {ca_file: monitoring.yaml}, endpoint: "http://c"}',
        31,
        "tls.ca_file",
        "has no effect on a plaintext connection; write https:// for TLS",
    ),
    (
        '{type: otel, tls: {key_file: monitoring.yaml}, endpoint: "https://c"}',
        21,
        "tls",
        "cert_file and key_file belong together; give both or none",
    ),
]


@pytest.mark.parametrize(("otel", "column", "key", "message"), CONTRADICTIONS)
def test_a_backend_that_contradicts_itself_is_a_mistake(
    tmp_path: Path, otel: str, column: int, key: str, message: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, otel)
    assert raised.value.problems == [f"{tmp_path / 'monitoring.yaml'}:2:{column + 2}: backends[0].{key}: {message}"]


def test_a_certificate_that_is_missing_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tls\.ca_file: there is no file '.*no\.pem'"):
        load(tmp_path, '{type: otel, endpoint: "https://c", tls: {ca_file: no.pem}}')


def test_an_endpoint_in_the_environment_switches_otlp_on_without_a_file(tmp_path: Path) -> None:
    config = load(tmp_path, env={OTLP + "ENDPOINT": "http://c:4318"})
    (otlp,) = config.otlp
    assert (otlp.traces_endpoint, otlp.metrics_endpoint, otlp.from_file) == (
        "http://c:4318/v1/traces",
        "http://c:4318/v1/metrics",
        False,
    )
    assert config.jsonl is not None


@pytest.mark.parametrize(
    ("env", "traces", "metrics"),
    [
        ({}, False, False),
        ({OTLP + "ENDPOINT": ""}, False, False),
        ({OTLP + "HEADERS": "a=b"}, False, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True, False),
        ({"OTEL_METRICS_EXPORTER": "OTLP,prometheus"}, False, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, False, False),
        ({OTLP + "ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, False, True),
        ({OTLP + "ENDPOINT": "http://c:4318", "OTEL_METRICS_EXPORTER": "none"}, True, False),
        (
            {OTLP + "ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"},
            False,
            False,
        ),
        ({OTLP + "TRACES_ENDPOINT": "http://c:4318/x"}, True, False),
        ({OTLP + "METRICS_ENDPOINT": "http://c:4318/x"}, False, True),
        ({OTLP + "TRACES_ENDPOINT": "http://c:4318/x", "OTEL_METRICS_EXPORTER": "otlp"}, True, True),
    ],
)
def test_variables_switch_signals_on_and_off_without_a_file(
    tmp_path: Path, env: dict[str, str], traces: bool, metrics: bool
) -> None:
    sent = load(tmp_path, env=env).otlp
    assert any(otlp.traces_endpoint for otlp in sent) is traces
    assert any(otlp.metrics_endpoint for otlp in sent) is metrics


@pytest.mark.parametrize(
    ("otel", "env", "traces", "metrics"),
    [
        ("otel", {"OTEL_TRACES_EXPORTER": "none"}, False, True),
        ("otel", {"OTEL_METRICS_EXPORTER": "none"}, True, False),
        ("{type: otel, traces: false}", {}, False, True),
        ("{type: otel, traces: false}", {"OTEL_TRACES_EXPORTER": "otlp"}, True, True),
    ],
)
def test_variables_switch_signals_of_the_file_on_and_off(
    tmp_path: Path, otel: str, env: dict[str, str], traces: bool, metrics: bool
) -> None:
    otlp = one(tmp_path, otel, env)
    assert (otlp.traces_endpoint is not None, otlp.metrics_endpoint is not None) == (traces, metrics)


def test_every_variable_arrives(tmp_path: Path) -> None:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).touch()
    env = {
        OTLP + "ENDPOINT": "https://c:4318",
        OTLP + "PROTOCOL": "GRPC",
        OTLP + "HEADERS": "X-Key=a%2Cb, y=2",
        OTLP + "COMPRESSION": "gzip",
        OTLP + "TIMEOUT": "3",
        OTLP + "CERTIFICATE": str(tmp_path / "ca.pem"),
        OTLP + "CLIENT_CERTIFICATE": str(tmp_path / "cert.pem"),
        OTLP + "CLIENT_KEY": str(tmp_path / "key.pem"),
        OTLP + "METRICS_TEMPORALITY_PREFERENCE": "LOWMEMORY",
    }
    otlp = one(tmp_path, env=env)
    assert (otlp.protocol, otlp.endpoint, dict(otlp.headers)) == ("grpc", "https://c:4318", {"x-key": "a,b", "y": "2"})
    assert (otlp.compression, otlp.timeout, otlp.temporality) == ("gzip", 3.0, "lowmemory")
    assert (otlp.certificate, otlp.client_certificate, otlp.client_key) == tuple(
        env[OTLP + name] for name in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")
    )


def test_insecure_is_asked_for_and_the_scheme_goes_before_it(tmp_path: Path) -> None:
    assert not one(tmp_path, env={OTLP + "ENDPOINT": "c:4317"}).insecure
    assert one(tmp_path, env={OTLP + "ENDPOINT": "c:4317", OTLP + "INSECURE": "true"}).insecure
    assert not one(tmp_path, env={OTLP + "ENDPOINT": "https://c:4317", OTLP + "INSECURE": "true"}).insecure
    assert one(tmp_path, env={OTLP + "ENDPOINT": "http://c:4317", OTLP + "INSECURE": "false"}).insecure


def test_variables_of_one_signal_go_before_those_of_all_and_their_endpoint_is_used_as_it_stands(tmp_path: Path) -> None:
    env = {
        OTLP + "ENDPOINT": "http://c:4318",
        OTLP + "HEADERS": "all=1",
        OTLP + "TRACES_ENDPOINT": "https://t/otlp/spans",
        OTLP + "TRACES_HEADERS": "own=2",
        OTLP + "METRICS_TIMEOUT": "4",
    }
    traces, metrics = load(tmp_path, env=env).otlp
    assert (traces.traces_endpoint, traces.metrics_endpoint) == ("https://t/otlp/spans", None)
    assert (dict(traces.headers), traces.insecure, traces.timeout) == ({"own": "2"}, False, 10.0)
    assert (metrics.traces_endpoint, metrics.metrics_endpoint) == (None, "http://c:4318/v1/metrics")
    assert (dict(metrics.headers), metrics.insecure, metrics.timeout) == ({"all": "1"}, True, 4.0)


def test_variables_change_the_first_backend_alone(tmp_path: Path) -> None:
    first, second = load(
        tmp_path,
        '{type: otel, endpoint: "http://a:4318"}\n{type: otel, endpoint: "https://b:4318", headers: {k: v}}',
        {OTLP + "HEADERS": "secret=1", OTLP + "COMPRESSION": "gzip"},
    ).otlp
    assert (dict(first.headers), first.compression) == ({"secret": "1"}, "gzip")
    assert (dict(second.headers), second.compression, second.from_file) == ({"k": "v"}, "none", True)


def test_what_the_file_says_to_its_endpoint_is_not_sent_to_one_that_a_variable_names(tmp_path: Path) -> None:
    otel = '{type: otel, endpoint: "https://cloud:443", protocol: grpc, headers: {key: secret}, timeout: 2s}'
    config = load(tmp_path, otel, {OTLP + "ENDPOINT": "http://local:4318"})
    (otlp,) = config.otlp
    assert (otlp.traces_endpoint, otlp.protocol, dict(otlp.headers), otlp.timeout) == (
        "http://local:4318/v1/traces",
        "http/protobuf",
        {},
        2.0,
    )
    assert "headers, tls and protocol" in config.warnings[0]
    same = load(tmp_path, otel, {OTLP + "ENDPOINT": "https://cloud:443"})
    assert (dict(same.otlp[0].headers), same.warnings) == ({"key": "secret"}, ())


def test_headers_of_a_file_that_leaves_the_endpoint_to_the_environment_are_sent(tmp_path: Path) -> None:
    otlp = one(tmp_path, "{type: otel, headers: {key: v}}", {OTLP + "ENDPOINT": "https://c:4318"})
    assert (otlp.endpoint, dict(otlp.headers), otlp.from_file) == ("https://c:4318", {"key": "v"}, True)


def test_backends_that_the_program_names_are_not_changed_by_the_environment(tmp_path: Path) -> None:
    env = {OTLP + "ENDPOINT": "http://other:4318", "OTEL_TRACES_EXPORTER": "none", OTLP + "HEADERS": "a=b"}
    named = [{"type": "otel", "endpoint": "http://mine:4318"}]
    (otlp,) = load_config(env=env, cwd=tmp_path, backends=named).otlp
    assert (otlp.traces_endpoint, dict(otlp.headers)) == ("http://mine:4318/v1/traces", {})
    assert load_config(env=env, cwd=tmp_path, backends=["jsonl"]).otlp == ()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PROTOCOL", "http/json", "expected grpc or http/protobuf, found 'http/json'"),
        ("COMPRESSION", "deflate", "expected none or gzip, found 'deflate'"),
        ("TIMEOUT", "soon", "expected a duration such as 90s, 5m, 1h or 30d, found 'soon'"),
        ("HEADERS", "hunter2", "expected key=value pairs with commas between them, found another value"),
        ("CERTIFICATE", "no.pem", "expected the path of a file that exists, found 'no.pem'"),
        ("TRACES_TIMEOUT", "-1", "expected a duration such as 90s, 5m, 1h or 30d, found '-1'"),
        ("METRICS_ENDPOINT", "http://[", "expected an address such as http://host:port, found something else"),
    ],
)
def test_a_variable_that_cannot_be_read_is_ignored_with_a_warning(
    tmp_path: Path, name: str, value: str, message: str
) -> None:
    config = load(tmp_path, "otel", {OTLP + name: value})
    assert len(config.warnings) == 1
    assert config.warnings[0].startswith(f"environment variable {OTLP}{name}: {message}")
    assert config.warnings[0].endswith("; ignored")
    assert config.otlp == load(tmp_path, "otel").otlp


def test_exporter_variables_of_a_program_that_sends_nothing_are_not_commented_on(tmp_path: Path) -> None:
    assert load(tmp_path, env={OTLP + "PROTOCOL": "http/json"}).warnings == ()
