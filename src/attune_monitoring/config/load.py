"""monitoring.yaml, environment and arguments, laid over the defaults: one frozen Config."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from attune_monitoring.errors import ConfigError
from attune_monitoring.schema import Checker, RejectedError, from_environment, layer, pairs, shown
from attune_monitoring.yamlfile import Document, Node

from .declaration import BUDGET, FILE, JSONL
from .folders import find_config_file, find_storage_dir, project_root
from .model import BudgetConfig, Config, ContentConfig, JsonlConfig, PricingConfig
from .otlp import exporters, otlp_configs

__all__ = ["fallback_config", "load_config"]

_Wrong = list[tuple[str, str]]


def load_config(
    path: Path | str | None = None,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    **arguments: Any,
) -> Config:
    """Return what is configured: arguments over environment over file over defaults.

    Without a file and variables: records in the local folder, nothing over the network. OpenTelemetry's variables
    that cannot be read are ignored and told in `Config.warnings`, as its specification asks.

    Args:
        path: The file; None = `EMPATHY_CONFIG`, else monitoring.yaml between `cwd` and the project's root.
        env: The environment variables; None = those of the process.
        cwd: The working directory; None = that of the process.
        **arguments: Keys of the file with their values as plain data; they go before everything else.

    Raises:
        ConfigError: The file, an argument or an `EMPATHY_…` variable is wrong; all problems are listed.
    """
    env = os.environ if env is None else env
    folder = _working_folder() if cwd is None else cwd.resolve()
    source = find_config_file(folder, env if path is None else {"EMPATHY_CONFIG": os.fspath(path)})
    problems: list[str] = []
    warnings: list[str] = []
    file = _checked(Document.load(source), env, problems, warnings) if source else {}
    code = _checked(Document("configure()", Node.of(arguments), folder), env, problems, warnings)
    environment, wrong = _environment(env)
    values = layer(FILE.defaults(), file, environment, code)

    backends = values["backends"]
    # Backends that the program itself names are what it wants; the environment does not change them.
    exporter_env = {} if "backends" in code else env
    otlp, unread, moved = otlp_configs([one for one in backends if one["type"] == "otel"], exporter_env)
    jsonl, mistaken = _jsonl(backends, exporter_env)
    for variable, message in wrong + unread + mistaken:
        told = warnings if variable.startswith("OTEL_") else problems
        told.append(f"environment variable {variable}: {message}" + ("; ignored" if told is warnings else ""))
    warnings += moved
    storage_dir = None
    try:
        storage_dir = _storage_dir(file, code, folder, env)
    except ConfigError as error:
        problems += error.problems
    if problems or storage_dir is None:
        raise ConfigError(problems)

    capture = values["content"]["capture"]
    if isinstance(capture, bool):
        capture = "span_only" if capture else "no_content"
    instrument = values["instrument"]
    return Config(
        service_name=values["service_name"] or (project_root(folder, env) or folder).name or "unknown_service",
        enabled=values["enabled"] and env.get("OTEL_SDK_DISABLED", "").strip().lower() != "true",
        storage_dir=storage_dir,
        jsonl=jsonl,
        otlp=otlp,
        content=ContentConfig(**values["content"] | {"capture": capture}),
        sampling_ratio=values["sampling"]["ratio"],
        parent_based=values["sampling"]["parent_based"],
        pricing=_pricing(values["pricing"], values["tiers"]),
        retention_days=values["retention"]["days"],
        instrument=instrument if isinstance(instrument, bool) else tuple(instrument),
        stream_proxy=values["stream_proxy"],
        error_messages=values["error_messages"],
        source=source,
        warnings=tuple(warnings),
        budgets=tuple(_budget(given) for given in values["budgets"] or ()),
    )


def fallback_config(*, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Config:
    """Return what holds when the configuration is faulty: records in the local folder, nothing over the network.

    What switches everything off still does. Where there is no usable folder either, nothing is recorded. Never raises
    ConfigError.

    Args:
        env: The environment variables; None = those of the process.
        cwd: The working directory; None = that of the process.
    """
    env = os.environ if env is None else env
    names = ("EMPATHY_STORAGE_DIR", "OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME", "HOME", "USERPROFILE")
    kept = {name: env[name] for name in names if name in env}
    _, wrong = from_environment(FILE, {"EMPATHY_TELEMETRY": env.get("EMPATHY_TELEMETRY", "")})
    if not wrong and "EMPATHY_TELEMETRY" in env:
        kept["EMPATHY_TELEMETRY"] = env["EMPATHY_TELEMETRY"]
    try:
        return load_config(os.devnull, env=kept, cwd=cwd)
    except ConfigError as error:
        nowhere = Path(os.path.abspath(os.sep))  # noqa: PTH100 - resolve() would ask for the working directory
        config = load_config(os.devnull, env=kept, cwd=nowhere, backends=[], storage_dir=str(nowhere / ".empathy"))
        return msgspec.structs.replace(config, warnings=tuple(error.problems))


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        message = "the working directory is gone; change to one that exists, or pass cwd"
        raise ConfigError(message) from error


def _checked(document: Document, env: Mapping[str, str], problems: list[str], warnings: list[str]) -> dict[str, Any]:
    values: dict[str, Any] | None = Checker(document, env).run(FILE)
    problems += document.lines()
    warnings += document.lines(document.warnings)
    return values or {}


def _environment(env: Mapping[str, str]) -> tuple[dict[str, Any], _Wrong]:
    values, wrong = from_environment(FILE, env)
    if "service_name" not in values:
        try:
            named = pairs(env.get("OTEL_RESOURCE_ATTRIBUTES", "")).get("service.name")
            values |= {"service_name": named} if named else {}
        except RejectedError as error:
            wrong.append(("OTEL_RESOURCE_ATTRIBUTES", f"expected {error.expected}"))
    return layer(values, {"sampling": _sampler(env, wrong)}), wrong


def _sampler(env: Mapping[str, str], wrong: _Wrong) -> dict[str, Any]:
    """Return the sampling that OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG ask for."""
    name = env.get("OTEL_TRACES_SAMPLER", "").strip().lower()
    if not name:
        return {}
    kind = name.removeprefix("parentbased_")
    parent_based = kind != name
    if kind in ("always_on", "always_off"):
        return {"ratio": 1.0 if kind == "always_on" else 0.0, "parent_based": parent_based}
    if kind != "traceidratio":
        wrong.append(("OTEL_TRACES_SAMPLER", f"{shown(name)} is not one of the SDK's own samplers"))
        return {}
    argument = env.get("OTEL_TRACES_SAMPLER_ARG", "").strip()
    try:
        ratio = FILE.keys["sampling"].keys["ratio"].read(argument) if argument else 1.0
    except RejectedError as error:
        wrong.append(("OTEL_TRACES_SAMPLER_ARG", f"expected {error.expected}, found {shown(argument)}"))
        ratio = 1.0
    return {"ratio": ratio, "parent_based": parent_based}


def _jsonl(backends: list[dict[str, Any]], env: Mapping[str, str]) -> tuple[JsonlConfig | None, _Wrong]:
    given = next((backend for backend in backends if backend["type"] == "jsonl"), None)
    variables, wrong = from_environment(JSONL, env)
    if given is None and "attune_jsonl" not in (exporters(env, "traces") or ()):
        return None, wrong
    values = layer(JSONL.defaults(), given or {}, variables)
    config = JsonlConfig(
        write=values["write"],
        fsync=values["fsync"],
        segment_bytes=values["segment_size"],
        queue_size=values["queue_size"],
    )
    return config, wrong


def _budget(given: Mapping[str, Any]) -> BudgetConfig:
    values = layer(BUDGET.defaults(), given)
    what = next((f"{key} {values[key]}" for key in ("workflow", "user") if values[key]), "all calls")
    return BudgetConfig(**values | {"name": values["name"] or f"{what} a {values['period']}"})


def _storage_dir(file: Mapping[str, Any], code: Mapping[str, Any], folder: Path, env: Mapping[str, str]) -> Path:
    if "storage_dir" in code:
        return Path(code["storage_dir"])
    if "storage_dir" in file and not env.get("EMPATHY_STORAGE_DIR"):
        return Path(file["storage_dir"])
    return find_storage_dir(folder, env)


def _pricing(pricing: Mapping[str, Any], tiers: Mapping[str, Any]) -> PricingConfig:
    named = {tier: tuple(tiers[tier]) for tier in ("cheap", "capable", "premium") if tiers[tier]}
    return PricingConfig(
        overrides=pricing["models"] or (),
        aliases=MappingProxyType(pricing["aliases"] or {}),
        tiers=MappingProxyType(named),
        premium_models=MappingProxyType(tiers["premium_models"] or {}),
        live=pricing["live"],
    )
