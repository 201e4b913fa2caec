"""OTLP backends of the file, and what OpenTelemetry's exporter variables make of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from attune_monitoring.schema import from_environment, layer

from .declaration import OTEL
from .endpoint import SIGNALS, Signal, base, final, is_address, is_insecure, protocol_of
from .model import OtlpConfig

__all__ = ["exporters", "otlp_configs"]

_PREFIX = "OTEL_EXPORTER_OTLP_"
_MOVED = (
    "an OTEL_EXPORTER_OTLP_…ENDPOINT variable replaces the endpoint of the configuration file; headers, tls and "
    "protocol, which the file gives for its own endpoint, are not used there"
)


def exporters(env: Mapping[str, str], signal: Signal) -> frozenset[str] | None:
    """Return the exporters that `OTEL_TRACES_EXPORTER` or `OTEL_METRICS_EXPORTER` names, None when it is unset."""
    names = {name.strip().lower() for name in env.get(f"OTEL_{signal.upper()}_EXPORTER", "").split(",")} - {""}
    return frozenset(names) if names else None


def otlp_configs(
    backends: list[dict[str, Any]], env: Mapping[str, str]
) -> tuple[tuple[OtlpConfig, ...], list[tuple[str, str]], list[str]]:
    """Return where to send what, (variable, what is wrong with it) for unreadable variables, and warnings.

    `OTEL_EXPORTER_OTLP_*` change the first backend and leave the others alone; without a backend, an address in the
    environment makes one. What the file says to one address is never sent to another that a variable names.

    Args:
        backends: The checked otel backends of the file, with the keys that it gives.
        env: The environment variables.
    """
    variables, wrong = _variables(env, _PREFIX)
    changes: dict[Signal, dict[str, Any]] = {}
    for signal in SIGNALS:
        changes[signal], unread = _variables(env, f"{_PREFIX}{signal.upper()}_")
        wrong += unread
    configs: list[OtlpConfig] = []
    warnings: list[str] = []
    for index, backend in enumerate(backends or [{}]):
        by_signal: dict[Signal, dict[str, Any]] = {}
        for signal in SIGNALS:
            changed = layer(variables, changes[signal]) if index == 0 else {}
            if _is_sent(signal, backend if backends else None, changed, env):
                kept = _kept(backend, changed.get("endpoint"))
                if kept.keys() != backend.keys():
                    warnings.append(_MOVED)
                by_signal[signal] = layer(OTEL.defaults(), kept, changed)
        exact = {signal for signal in SIGNALS if index == 0 and "endpoint" in changes[signal]}
        configs += _configs(by_signal, exact, from_file=bool(backends))
    return tuple(configs), wrong if configs else [], list(dict.fromkeys(warnings))


def _kept(backend: dict[str, Any], address: str | None) -> dict[str, Any]:
    """Return the keys of a backend that still hold when a variable names its address."""
    if address is None or backend.get("endpoint") in (None, address):
        return backend
    return {key: value for key, value in backend.items() if key not in ("headers", "tls", "protocol")}


def _variables(env: Mapping[str, str], prefix: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return what the variables for all signals, or with a longer prefix those for one signal, say of an address."""
    if prefix != _PREFIX:
        env = {_PREFIX + name.removeprefix(prefix): text for name, text in env.items() if name.startswith(prefix)}
    values, wrong = from_environment(OTEL, env)
    if not is_address(values.get("endpoint", "localhost")):
        del values["endpoint"]
        wrong.append((_PREFIX + "ENDPOINT", "expected an address such as http://host:port, found something else"))
    return values, [(prefix + variable.removeprefix(_PREFIX), message) for variable, message in wrong]


def _is_sent(
    signal: Signal, backend: Mapping[str, Any] | None, variables: Mapping[str, Any], env: Mapping[str, str]
) -> bool:
    chosen = exporters(env, signal)
    if chosen is not None:
        return "otlp" in chosen
    # Without a backend in the file, only what an address was given for is sent.
    return "endpoint" in variables if backend is None else bool(backend.get(signal, True))


def _configs(by_signal: Mapping[Signal, dict[str, Any]], exact: set[Signal], *, from_file: bool) -> list[OtlpConfig]:
    """Return one configuration for both signals, or one for each where variables make them differ."""
    if len(by_signal) == 2 and by_signal["traces"] != by_signal["metrics"]:
        alone = ({signal: values} for signal, values in by_signal.items())
        return [config for part in alone for config in _configs(part, exact, from_file=from_file)]
    return [_config(by_signal, exact, from_file=from_file)] if by_signal else []


def _config(by_signal: Mapping[Signal, dict[str, Any]], exact: set[Signal], *, from_file: bool) -> OtlpConfig:
    values = next(iter(by_signal.values()))
    addresses = {signal: final(values, signal, exact=signal in exact) for signal in by_signal}
    tls = values["tls"]
    return OtlpConfig(
        endpoint=base(values),
        traces_endpoint=addresses.get("traces"),
        metrics_endpoint=addresses.get("metrics"),
        protocol=protocol_of(values),
        headers=MappingProxyType({name.lower(): value for name, value in (values["headers"] or {}).items()}),
        insecure=is_insecure(values),
        certificate=tls["ca_file"],
        client_key=tls["key_file"],
        client_certificate=tls["cert_file"],
        compression=values["compression"],
        timeout=values["timeout"],
        temporality=values["temporality"],
        from_file=from_file,
    )
