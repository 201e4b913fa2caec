"""OTLP addresses: which protocol one means, what is wrong with one, and where each signal goes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

__all__ = ["SIGNALS", "Protocol", "Signal", "base", "faults", "final", "is_address", "is_insecure", "protocol_of"]

Protocol: TypeAlias = Literal["grpc", "http/protobuf"]
Signal: TypeAlias = Literal["traces", "metrics"]

SIGNALS: tuple[Signal, ...] = ("traces", "metrics")
_GRPC_PORT = 4317


def is_address(endpoint: str) -> bool:
    """Return whether a text has a host, and if it has a port, one that exists."""
    try:
        parts = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
        return bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", endpoint)
    except ValueError:
        return False


def protocol_of(values: Mapping[str, Any]) -> Protocol:
    """Return the protocol that is named; else gRPC for an address with gRPC's own port 4317, else HTTP."""
    named: Protocol | None = values.get("protocol")
    if named is not None:
        return named
    return "grpc" if _port(values.get("endpoint") or "") == _GRPC_PORT else "http/protobuf"


def is_insecure(values: Mapping[str, Any]) -> bool:
    """Return whether the connection is plaintext: as the scheme says, and without a scheme only where asked."""
    scheme, separator, _ = (values.get("endpoint") or "http://localhost").partition("://")
    return scheme.lower() == "http" if separator else bool(values.get("tls", {}).get("insecure"))


def base(values: Mapping[str, Any]) -> str:
    """Return the address with scheme, and for plaintext gRPC with port; localhost when none is given."""
    grpc = protocol_of(values) == "grpc"
    endpoint: str = values.get("endpoint") or f"http://localhost:{_GRPC_PORT if grpc else 4318}"
    if "://" not in endpoint:
        endpoint = f"{'http' if is_insecure(values) else 'https'}://{endpoint}"
    if grpc and is_insecure(values) and _port(endpoint) is None:
        # gRPC itself would take 443, where nobody listens in plaintext.
        endpoint = f"{endpoint.rstrip('/')}:{_GRPC_PORT}"
    return endpoint


def final(values: Mapping[str, Any], signal: Signal, *, exact: bool = False) -> str:
    """Return the address to hand to an exporter.

    Over HTTP `/v1/<signal>` is appended, except to an address that was given for that signal alone (OpenTelemetry's
    OTLP exporter specification).

    Args:
        values: The checked keys of an otel backend.
        signal: What is sent there.
        exact: Whether the address is used as it stands.
    """
    endpoint = base(values)
    return endpoint if exact or protocol_of(values) == "grpc" else f"{endpoint.rstrip('/')}/v1/{signal}"


def faults(values: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield what contradicts itself in the keys of an otel backend: (key, message)."""
    tls = values.get("tls", {})
    if ("cert_file" in tls) != ("key_file" in tls):
        yield ("tls",), "cert_file and key_file belong together; give both or none"
    endpoint = values.get("endpoint")
    if endpoint is None:
        return
    if not is_address(endpoint):
        yield ("endpoint",), "is not an address; write http://host:port or https://host:port"
        return
    scheme, separator, _ = endpoint.partition("://")
    parts = urlsplit(endpoint if separator else f"//{endpoint}")
    if parts.username or parts.password:
        yield ("endpoint",), "holds a user name or password; put credentials into headers"
    if parts.query or parts.fragment:
        yield ("endpoint",), "has a part after '?' or '#'; put keys into headers"
    yield from _scheme_faults(values, scheme.lower() if separator else "")
    path = parts.path.rstrip("/")
    if path and protocol_of(values) == "grpc":
        yield ("endpoint",), "has a path, which gRPC does not know; remove it or set protocol: http/protobuf"
    elif path.endswith(("/v1/traces", "/v1/metrics")):
        yield ("endpoint",), "ends with the path of one signal; leave it out, it is appended"


def _scheme_faults(values: Mapping[str, Any], scheme: str) -> Iterator[tuple[tuple[str, ...], str]]:
    tls = values.get("tls", {})
    if scheme not in ("", "http", "https"):
        yield ("endpoint",), f"scheme '{scheme[:20]}' is not supported; write http:// or https://"
    elif not scheme and protocol_of(values) == "http/protobuf":
        yield ("endpoint",), "has no scheme; write http:// or https:// before it"
    elif scheme == "https" and tls.get("insecure"):
        yield ("tls", "insecure"), "contradicts the endpoint, which says https; write http:// for plaintext"
    elif scheme == "http" and tls.get("insecure") is False:
        yield ("tls", "insecure"), "contradicts the endpoint, which says http; write https:// for TLS"
    if is_insecure(values):
        for key in tls.keys() & {"ca_file", "cert_file", "key_file"}:
            yield ("tls", key), "has no effect on a plaintext connection; write https:// for TLS"


def _port(endpoint: str) -> int | None:
    try:
        return urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").port
    except ValueError:
        return None
