"""What is configured, as frozen values, and how it is shown to people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from attune_monitoring.pricing import Override, Pricing
from attune_monitoring.redaction import MASK, safe_url

__all__ = [
    "BudgetConfig",
    "Config",
    "ContentConfig",
    "JsonlConfig",
    "OtlpConfig",
    "PricingConfig",
    "describe",
    "pricing_of",
]


_NOTHING: Mapping[str, Any] = MappingProxyType({})


class JsonlConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How records are written to the local folder.

    Attributes:
        write: "sync" in the caller's thread (1–4 µs), "background" in a thread of its own (slow or network disks).
        fsync: "never" survives the process, "always" also the machine, "interval" all but the last second of it.
        segment_bytes: Size at which the next file is begun.
        queue_size: Records that may wait in "background" mode; more are dropped and counted.
    """

    write: Literal["sync", "background"]
    fsync: Literal["never", "interval", "always"]
    segment_bytes: int
    queue_size: int


class OtlpConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how spans and metrics are sent.

    Attributes:
        endpoint: As it was configured; for people, shown without credentials.
        traces_endpoint: Final address for spans (http/protobuf: with its path), None to send none.
        metrics_endpoint: Final address for metrics, None to send none.
        protocol: "grpc" or "http/protobuf".
        headers: Names in lower case; the values are secrets and never shown.
        insecure: Plaintext instead of TLS.
        certificate: File of the authority that signed the server's certificate, None = the system's.
        client_key: File of the private key for mutual TLS.
        client_certificate: File of the certificate for mutual TLS.
        compression: "none" or "gzip".
        timeout: Longest time for one export, in seconds.
        temporality: Preferred temporality of metrics: "delta", "cumulative" or "lowmemory".
        from_file: Whether monitoring.yaml (or an argument of configure) names it, rather than the environment alone.
    """

    endpoint: str
    traces_endpoint: str | None
    metrics_endpoint: str | None
    protocol: Literal["grpc", "http/protobuf"]
    headers: Mapping[str, str]
    insecure: bool
    certificate: str | None
    client_key: str | None
    client_certificate: str | None
    compression: Literal["none", "gzip"]
    timeout: float
    temporality: Literal["delta", "cumulative", "lowmemory"]
    from_file: bool

    def __repr__(self) -> str:
        return f"OtlpConfig({self})"

    def __str__(self) -> str:
        signals = {"traces": self.traces_endpoint, "metrics": self.metrics_endpoint}
        facts = [
            "plaintext" if self.insecure else "TLS",
            f"compression {self.compression}",
            f"metrics {self.temporality}" if self.metrics_endpoint else "",
            f"headers {', '.join(f'{name}={MASK}' for name in self.headers)}" if self.headers else "",
            f"from the {'configuration' if self.from_file else 'environment'}",
        ]
        sent = " and ".join(signal for signal, endpoint in signals.items() if endpoint) or "nothing"
        return f"{sent} to {safe_url(self.endpoint)} ({self.protocol}, {', '.join(filter(None, facts))})"


class ContentConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Whether prompts and answers are kept.

    Attributes:
        capture: Where: "no_content", "span_only", "event_only" or "span_and_event", as OpenTelemetry names them.
        max_length: Longest text that is kept, in characters.
        mask: "package.module:function", called with each text and returning what may be kept; None = no function.
    """

    capture: Literal["no_content", "span_only", "event_only", "span_and_event"]
    max_length: int
    mask: str | None

    @property
    def on_spans(self) -> bool:
        """Whether messages become attributes of spans, and with them part of the records."""
        return self.capture in ("span_only", "span_and_event")


class PricingConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of `pricing.Pricing`."""

    overrides: tuple[Override, ...] = ()
    aliases: Mapping[str, str] = _NOTHING
    tiers: Mapping[str, tuple[str, ...]] = _NOTHING
    premium_models: Mapping[str, str] = _NOTHING
    live: bool = False


class BudgetConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What calls may cost in a calendar period.

    Attributes:
        name: For messages.
        limit_usd: USD.
        period: "day", "week" (from Monday) or "month", local time.
        workflow: Only the calls of this workflow; "*" = each workflow on its own; None = whatever the workflow.
        user: The same for users; not together with `workflow`.
        on_exceed: "warn" logs a warning, "raise" raises BudgetExceeded where a call would begin.
    """

    name: str
    limit_usd: float
    period: Literal["day", "week", "month"]
    workflow: str | None
    user: str | None
    on_exceed: Literal["warn", "raise"]


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is configured; made by `load_config`.

    Attributes:
        service_name: Name of this program in spans, metrics and records.
        enabled: False switches everything off.
        storage_dir: Folder of the records; need not exist.
        jsonl: How records are written there, None = not at all.
        otlp: Where spans and metrics are sent as well.
        content: Whether prompts and answers are kept.
        sampling_ratio: Share of traces that is exported over OTLP, 0 to 1; records are never sampled.
        parent_based: Whether the caller's sampling decision goes before the ratio.
        pricing: Prices, aliases and tiers.
        budgets: What calls may cost.
        retention_days: Age at which whole files of records may be removed, None = never.
        instrument: Which official instrumentations to switch on: all that are installed, none, or those named.
        stream_proxy: Whether a decorated function's stream is returned inside a transparent proxy.
        error_messages: Whether messages of exceptions are kept (redacted and cut), or their types alone.
        source: The file that was read, None = none.
        warnings: Settings that were ignored, and why.
    """

    service_name: str
    enabled: bool
    storage_dir: Path
    jsonl: JsonlConfig | None
    otlp: tuple[OtlpConfig, ...]
    content: ContentConfig
    sampling_ratio: float
    parent_based: bool
    pricing: PricingConfig
    retention_days: int | None
    instrument: bool | tuple[str, ...]
    stream_proxy: bool
    error_messages: bool
    source: Path | None
    warnings: tuple[str, ...] = ()
    budgets: tuple[BudgetConfig, ...] = ()


def pricing_of(config: Config) -> Pricing:
    """Return the price list that the configuration describes."""
    return Pricing(**msgspec.structs.asdict(config.pricing))


def describe(config: Config) -> list[str]:
    """Return what is active, one line each, without secrets."""
    if not config.enabled:
        return ["monitoring is off (OTEL_SDK_DISABLED=true, EMPATHY_TELEMETRY=off, or enabled: false)"]
    lines = [
        f"service: {config.service_name}",
        f"configuration: {config.source or 'no file; environment and defaults'}",
        f"records: {_records(config)}",
        *(f"OTLP: {otlp}" for otlp in config.otlp),
        f"content of prompts and answers: {_content(config.content)}",
    ]
    if not config.otlp:
        lines.insert(3, "OTLP: none; nothing leaves this machine")
    if config.otlp and config.sampling_ratio < 1.0:
        lines.append(f"sampling: {config.sampling_ratio:.6g} of traces over OTLP; records and metrics are complete")
    if config.pricing.overrides or config.pricing.live:
        live = "; genai-prices is asked for unknown models" if config.pricing.live else ""
        lines.append(f"own prices: {len(config.pricing.overrides)}{live}")
    for budget in config.budgets:
        lines.append(f"budget: {budget.name}, {budget.limit_usd:.6g} USD a {budget.period} ({budget.on_exceed})")
    if config.instrument:
        chosen = ", ".join(config.instrument) if isinstance(config.instrument, tuple) else "all that are installed"
        lines.append(f"instrumentations: {chosen}")
    return lines


def _records(config: Config) -> str:
    if config.jsonl is None:
        return "none are written"
    keep = "kept" if config.retention_days is None else f"kept for {config.retention_days} days"
    return f"{config.storage_dir} (write {config.jsonl.write}, fsync {config.jsonl.fsync}, {keep})"


def _content(content: ContentConfig) -> str:
    if content.capture == "no_content":
        return "not kept"
    mask = f"masked by {content.mask}" if content.mask else "not masked"
    return f"kept ({content.capture}, at most {content.max_length} characters each, {mask})"
