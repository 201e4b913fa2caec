"""OTLP backends of the file, and what OpenTelemetry's exporter variables make of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from attune_monitoring.schema import from_environment, layer

from .declaration import OTEL
from .endpoint import SIGNALS, Signal, final, is_insecure, protocol_of
from .model import OtlpConfig

__all__ = ["exporters", "otlp_configs"]

_PREFIX = "OTEL_EXPORTER_OTLP_"


def exporters(env: Mapping[str, str], signal: Signal) -> frozenset[str] | None:
    """Return the exporters that `OTEL_TRACES_EXPORTER` or `OTEL_METRICS_EXPORTER` names, None when it is unset."""
    names = {name.strip().lower() for name in env.get(f"OTEL_{signal.upper()}_EXPORTER", "").split(",")} - {""}
    return frozenset(names) if names else None


def otlp_configs(
    backends: list[dict[str, Any]], env: Mapping[str, str]
) -> tuple[tuple[OtlpConfig, ...], list[tuple[str, str]]]:
    """Return where to send what, and (variable, what is wrong with it) for variables that cannot be read.

    `OTEL_EXPORTER_OTLP_*` change the first backend and leave the others alone: keys that are meant for one address
    are never sent to another. Without a backend, an address in the environment makes one.

    Args:
        backends: The checked otel backends of the file, with the keys that it gives.
        env: The environment variables.
    """
    variables, wrong = from_environment(OTEL, env)
    changes: dict[Signal, dict[str, Any]] = {}
    for signal in SIGNALS:
        changes[signal], unread = from_environment(OTEL, _of_signal(env, signal))
        wrong += [(variable.replace(_PREFIX, f"{_PREFIX}{signal.upper()}_"), message) for variable, message in unread]
    configs: list[OtlpConfig] = []
    for index, backend in enumerate(backends or [{}]):
        changed = layer(OTEL.defaults(), backend, variables if index == 0 else {})
        by_signal = {
            signal: layer(changed, changes[signal] if index == 0 else {})
            for signal in SIGNALS
            if _is_sent(signal, backend if backends else None, variables | changes[signal], env)
        }
        exact = {signal for signal in SIGNALS if index == 0 and "endpoint" in changes[signal]}
        configs += _configs(by_signal, exact, from_file=bool(backends))
    return tuple(configs), wrong if configs else []


def _of_signal(env: Mapping[str, str], signal: Signal) -> dict[str, str]:
    """Return the variables that hold for one signal under the names of those that hold for all."""
    prefix = f"{_PREFIX}{signal.upper()}_"
    return {_PREFIX + name.removeprefix(prefix): value for name, value in env.items() if name.startswith(prefix)}


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
        endpoint=values["endpoint"] or "localhost",
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
