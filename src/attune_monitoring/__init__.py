"""Monitoring for LLM applications: what a call or a workflow cost, why it was slow, what failed.

Names are imported when they are first used, so importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attune_monitoring.analytics import TelemetryAnalytics
    from attune_monitoring.budgets import budget
    from attune_monitoring.config import Config
    from attune_monitoring.errors import BudgetExceeded, ConfigError, MonitoringError
    from attune_monitoring.instrumentation import annotate, llm_call, stage, tool, workflow
    from attune_monitoring.multi_backend import MultiBackend
    from attune_monitoring.providers import (
        OpenTelemetryBackend,
        configure,
        flush,
        instrument,
        log_llm_call,
        log_workflow_run,
        shutdown,
    )
    from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, WorkflowStageRecord
    from attune_monitoring.telemetry_backend import TelemetryBackend, TelemetryStore, get_telemetry_store

__all__ = [
    "BudgetExceeded",
    "Config",
    "ConfigError",
    "LLMCallRecord",
    "MonitoringError",
    "MultiBackend",
    "OpenTelemetryBackend",
    "TelemetryAnalytics",
    "TelemetryBackend",
    "TelemetryStore",
    "WorkflowRunRecord",
    "WorkflowStageRecord",
    "annotate",
    "budget",
    "configure",
    "flush",
    "get_telemetry_store",
    "instrument",
    "llm_call",
    "log_llm_call",
    "log_workflow_run",
    "shutdown",
    "stage",
    "tool",
    "workflow",
]

_HOMES = {
    "BudgetExceeded": "errors",
    "TelemetryAnalytics": "analytics",
    "Config": "config",
    "ConfigError": "errors",
    "MonitoringError": "errors",
    "LLMCallRecord": "records",
    "WorkflowRunRecord": "records",
    "WorkflowStageRecord": "records",
    "MultiBackend": "multi_backend",
    "OpenTelemetryBackend": "providers",
    "TelemetryBackend": "telemetry_backend",
    "TelemetryStore": "telemetry_backend",
    "get_telemetry_store": "telemetry_backend",
    "annotate": "instrumentation",
    "budget": "budgets",
    "llm_call": "instrumentation",
    "stage": "instrumentation",
    "tool": "instrumentation",
    "workflow": "instrumentation",
    "configure": "providers",
    "flush": "providers",
    "instrument": "providers",
    "log_llm_call": "providers",
    "log_workflow_run": "providers",
    "shutdown": "providers",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if home in ("instrumentation", "budgets"):
        _wire()
    module = importlib.import_module(f"attune_monitoring.{home}")
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def _wire() -> None:
    """Let instrumented code find the SDK's side, which fills the hooks itself, when it runs for the first time."""
    from attune_monitoring.scope import HOOKS

    if HOOKS.wired:
        return

    def first() -> Any:
        if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            HOOKS.tracer = lambda: None  # without importing the SDK at all
        else:
            importlib.import_module("attune_monitoring.providers")
        return HOOKS.tracer()

    HOOKS.wired = True
    HOOKS.tracer = first
