"""The declaration of monitoring.yaml: every key with its type, default, environment variable and meaning."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from attune_monitoring import schema as s
from attune_monitoring.pricing import parse_overrides
from attune_monitoring.redaction import redact
from attune_monitoring.yamlfile import KeyPath, Node

from . import endpoint

__all__ = ["BUDGET", "FILE", "JSONL", "OTEL", "json_schema"]

_URL = "https://github.com/attune-monitoring/attune-monitoring/blob/main/docs/schema/monitoring.schema.json"

JSONL = s.section(
    "The local folder.",
    {
        "type": s.choice("The local folder.", "jsonl", required=True),
        "write": s.choice(
            "In the caller's thread (1 to 4 µs), or in a thread of its own for slow and network disks.",
            *("sync", "background"),
            default="sync",
            env=("EMPATHY_WRITE",),
        ),
        "fsync": s.choice(
            "What survives a power loss: nothing is promised, all but the last second, or every record.",
            *("never", "interval", "always"),
            default="never",
            env=("EMPATHY_FSYNC",),
        ),
        "segment_size": s.size("Size at which the next file is begun.", minimum=65536, default="64MiB"),
        "queue_size": s.number(
            "Records that may wait with write: background.", minimum=1, maximum=10_000_000, integer=True, default=10_000
        ),
    },
)

_TLS = s.section(
    "How the connection is protected.",
    {
        "insecure": s.boolean(
            "Plaintext, for a gRPC endpoint without http:// or https://.", env=("OTEL_EXPORTER_OTLP_INSECURE",)
        ),
        "ca_file": s.location(
            "Certificate of the authority that signed the server's; without it the system's authorities are trusted.",
            must_be_file=True,
            env=("OTEL_EXPORTER_OTLP_CERTIFICATE",),
        ),
        "cert_file": s.location(
            "Own certificate, for mutual TLS.", must_be_file=True, env=("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",)
        ),
        "key_file": s.location(
            "Private key of the own certificate.", must_be_file=True, env=("OTEL_EXPORTER_OTLP_CLIENT_KEY",)
        ),
    },
)

_OTEL_KEYS = s.section(
    "An OTLP endpoint: a collector, SigNoz or another OpenTelemetry backend.",
    {
        "type": s.choice("An OTLP endpoint.", "otel", required=True),
        "endpoint": s.text(
            "Base address; without it localhost with the protocol's port. Over HTTP the signal's path is appended.",
            env=("OTEL_EXPORTER_OTLP_ENDPOINT",),
        ),
        "protocol": s.choice(
            "Without it gRPC when the endpoint's port is 4317, else HTTP.",
            *("grpc", "http/protobuf"),
            env=("OTEL_EXPORTER_OTLP_PROTOCOL",),
        ),
        "headers": s.mapping(
            "Sent with every export; the values are secret, and <name>_file names a file that holds one.",
            s.text("", secret=True),
            env=("OTEL_EXPORTER_OTLP_HEADERS",),
        ),
        "tls": _TLS,
        "compression": s.choice(
            "Of what is sent.", "none", "gzip", default="none", env=("OTEL_EXPORTER_OTLP_COMPRESSION",)
        ),
        "timeout": s.duration("Longest time for one export.", default="10s", env=("OTEL_EXPORTER_OTLP_TIMEOUT",)),
        "traces": s.boolean("Whether spans are sent.", default=True),
        "metrics": s.boolean("Whether metrics are sent.", default=True),
        "temporality": s.choice(
            "Of metrics: delta suits SigNoz, cumulative Prometheus.",
            *("delta", "cumulative", "lowmemory"),
            default="delta",
            env=("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",),
        ),
    },
)


def _check_otel(node: Node, path: KeyPath, checker: s.Checker) -> Any:
    values = _OTEL_KEYS.check(node, path, checker)
    for key, message in endpoint.faults(values or {}):
        checker.problem(node.at(key), (*path, *key), message)
    return values


OTEL = replace(_OTEL_KEYS, check=_check_otel)

_KINDS = ("jsonl", "otel")
_BACKEND = s.any_of(
    "", s.choice("The backend with its defaults.", *_KINDS), s.variant("", "type", {"jsonl": JSONL, "otel": OTEL})
)
_BACKEND_LIST = s.array("Where records, spans and metrics go.", _BACKEND, default=["jsonl"])


def _check_backends(node: Node, path: KeyPath, checker: s.Checker) -> Any:
    backends = _BACKEND_LIST.check(node, path, checker)
    if backends is None:
        return None
    typed = [{"type": backend} if isinstance(backend, str) else backend for backend in backends]
    if sum(backend.get("type") == "jsonl" for backend in typed) > 1:
        checker.problem(node, path, "jsonl is given more than once; there is one local folder, see storage_dir")
    return typed


_RATES = {
    "input": "input tokens",
    "output": "output tokens",
    "cache_read": "tokens read from the cache",
    "cache_write": "tokens written to the cache",
    "cache_write_1h": "tokens written to the cache for an hour",
}
_USD: dict[str, s.Spec] = {name: s.number(f"USD per 1,000,000 {what}.", minimum=0) for name, what in _RATES.items()} | {
    "web_search": s.number("USD per 1,000 web searches.", minimum=0),
    "request": s.number("USD per 1,000 requests.", minimum=0),
}
_PRICE = s.section(
    "What a model costs.",
    {
        **_USD,
        "input": s.number("USD per 1,000,000 input tokens.", minimum=0, required=True),
        "from": s.text("Date or time from which this price holds, such as 2026-01-31."),
        "service_tier": s.text("Such as flex, batch or priority."),
        "long_context": s.section(
            "Rates for requests with long inputs.",
            {**_USD, "above": s.number("Input tokens above which these rates hold.", minimum=0, required=True)},
        ),
    },
)
_PRICING_KEYS = s.section(
    "Prices of your own and names of providers.",
    {
        "models": s.mapping(
            "Model, provider/model or a pattern of either: a price, or a list of prices.",
            s.any_of("", _PRICE, s.array("", _PRICE)),
        ),
        "aliases": s.mapping("Further names of providers: name to provider.", s.text("")),
        "live": s.boolean(
            "Ask an installed genai-prices for models that the bundled table does not know.", default=False
        ),
    },
)


def _check_pricing(node: Node, path: KeyPath, checker: s.Checker) -> Any:
    before = checker.found
    values = _PRICING_KEYS.check(node, path, checker)
    if checker.found > before or "models" not in values:
        return values
    overrides, problems = parse_overrides(values)
    for key, message in problems:
        checker.problem(node.at(key), (*path, *key), redact(message, limit=200))
    return values | {"models": tuple(overrides)}


BUDGET = s.section(
    "What calls may cost in a calendar period.",
    {
        "name": s.text("For messages; without it made of what is limited."),
        "limit_usd": s.number("USD.", minimum=0, required=True),
        "period": s.choice("When it begins anew, local time.", "day", "week", "month", default="day"),
        "workflow": s.text("Only calls of this workflow; '*' limits each workflow on its own."),
        "user": s.text("Only calls for this user; '*' limits each user on its own."),
        "on_exceed": s.choice(
            "Log a warning, or raise BudgetExceeded where a call would begin.", "warn", "raise", default="warn"
        ),
    },
)


def _check_budget(node: Node, path: KeyPath, checker: s.Checker) -> Any:
    values = BUDGET.check(node, path, checker)
    if values is not None and {"workflow", "user"} <= values.keys():
        checker.problem(node.at(("user",)), (*path, "user"), "a budget is for workflows or for users; write two")
    return values


_PATTERNS = "Models of this tier: names or patterns, with or without provider/."

FILE = s.section(
    "Configuration of attune-monitoring.",
    {
        "service_name": s.text(
            "Name of this program in spans, metrics and records; without it the name of the project's folder.",
            env=("OTEL_SERVICE_NAME",),
        ),
        "enabled": s.boolean("Whether anything is recorded at all.", default=True, env=("EMPATHY_TELEMETRY",)),
        "storage_dir": s.location(
            "Folder of the records, relative to this file; without it the nearest .empathy up to the project's root.",
            env=("EMPATHY_STORAGE_DIR",),
        ),
        "backends": replace(_BACKEND_LIST, check=_check_backends),
        "content": s.section(
            "Whether prompts and answers are kept.",
            {
                "capture": s.any_of(
                    "Where messages go; true means span_only.",
                    s.boolean(""),
                    s.choice("", "no_content", "span_only", "event_only", "span_and_event"),
                    default="no_content",
                    env=("EMPATHY_CAPTURE_CONTENT", "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"),
                ),
                "max_length": s.number(
                    "Longest text that is kept, in characters.",
                    minimum=1,
                    maximum=10_000_000,
                    integer=True,
                    default=8192,
                ),
                "mask": s.text(
                    "Function that is called with each text and returns what may be kept.",
                    pattern=r"[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_.]*",
                    what="package.module:function",
                ),
            },
        ),
        "sampling": s.section(
            "Which traces are exported over OTLP; records and metrics are always complete. "
            "Environment: OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG.",
            {
                "ratio": s.number("Share of traces.", minimum=0, maximum=1, default=1.0),
                "parent_based": s.boolean("Whether the caller's decision goes before the ratio.", default=True),
            },
        ),
        "pricing": replace(_PRICING_KEYS, check=_check_pricing),
        "tiers": s.section(
            "Which tier a model is in.",
            {
                "cheap": s.array(_PATTERNS, s.text("")),
                "capable": s.array(_PATTERNS, s.text("")),
                "premium": s.array(_PATTERNS, s.text("")),
                "premium_models": s.mapping("The model that savings are compared with: provider to model.", s.text("")),
            },
        ),
        "budgets": s.array(
            "What calls may cost, all processes of this folder together.", replace(BUDGET, check=_check_budget)
        ),
        "retention": s.section(
            "How long records are kept.",
            {
                "days": s.number(
                    "Age at which whole files may be removed; without it never.", minimum=1, maximum=36500, integer=True
                )
            },
        ),
        "instrument": s.any_of(
            "Official instrumentations to switch on: all that are installed, none, or those named.",
            s.boolean(""),
            s.array("", s.text("")),
            default=False,
        ),
        "stream_proxy": s.boolean(
            "Whether the stream that a decorated function returns comes inside a transparent proxy.", default=True
        ),
        "error_messages": s.boolean(
            "Whether messages of exceptions are kept (without secrets, cut), or their types alone.", default=True
        ),
    },
)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of monitoring.yaml (draft 2020-12)."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": _URL, "title": "monitoring.yaml"}
    return {**head, **FILE.schema()}
