"""Checks of what is configured: the file, what is active, variables of the environment, samplers."""

from __future__ import annotations

import re
from collections.abc import Mapping

from attune_monitoring.config import Config, describe, fallback_config, load_config
from attune_monitoring.errors import ConfigError
from attune_monitoring.redaction import redact

from .finding import Finding, fail, ok, warn

__all__ = ["configuration", "environment", "read_config", "sampling"]

_OURS = ("EMPATHY_", "OTEL_")
_SECRET = re.compile(r"HEADERS|TOKEN|SECRET|PASSWORD|KEY")
_MAX = 80


def read_config(env: Mapping[str, str]) -> tuple[Config, list[str]]:
    """Return the configuration, or what holds in its place where it is faulty, and the faults.

    Args:
        env: variables of the environment.
    """
    try:
        return load_config(env=env), []
    except ConfigError as error:
        return fallback_config(env=env), error.problems


def configuration(config: Config, problems: list[str]) -> list[Finding]:
    """Return whether the configuration is valid, and what is active."""
    found = [
        fail(problem, "mend it; until then records go to the local folder, and nothing over the network")
        for problem in problems
    ]
    if not problems:
        found.append(ok(f"{config.source} is valid" if config.source else "no monitoring.yaml: defaults hold"))
    found += [warn(warning) for warning in config.warnings]
    found += [ok(line) for line in describe(config) if not line.startswith("configuration:")]
    if not config.enabled:
        found.append(warn("nothing is recorded", "unset EMPATHY_TELEMETRY and OTEL_SDK_DISABLED, set enabled: true"))
    elif config.jsonl is None:
        found.append(
            warn("no records are written to files", "these commands read files: add `- type: jsonl` to backends")
        )
    if config.content.on_spans and config.content.mask is None:
        found.append(warn("prompts and answers are kept as they are", "content.mask names a function that masks them"))
    return found


def environment(env: Mapping[str, str]) -> list[Finding]:
    """Return the variables that are set and that this package or OpenTelemetry reads; they go before the file."""
    names = sorted(name for name in env if name.startswith(_OURS) and env[name])
    return [
        ok(f"{name}={'***' if _SECRET.search(name) else redact(env[name], limit=_MAX)} goes before the file")
        for name in names
    ] or [ok("no variable of the environment changes it")]


def sampling(config: Config, env: Mapping[str, str]) -> list[Finding]:
    """Return what is sampled, and what that means for other instrumentations."""
    name = env.get("OTEL_TRACES_SAMPLER", "")
    if config.sampling_ratio >= 1 and not name:
        return [ok("every trace is exported; records are always complete")]
    by = f"OTEL_TRACES_SAMPLER={redact(name, limit=_MAX)}" if name else "sampling in monitoring.yaml"
    return [
        ok(f"{by}: {config.sampling_ratio:.6g} of traces are exported; records and metrics of our calls are complete"),
        warn(
            "spans of other instrumentations are recorded as the application's own TracerProvider samples them",
            "where the application has one of its own, call configure() before it is made, or sample everything there",
        ),
    ]
