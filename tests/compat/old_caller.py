"""What a caller of the published package does, for any module with its names; prints what came out as JSON.

Run as `python old_caller.py MODULE_OR_FILE FOLDER`. Standard library only: the published package's environment has
nothing else.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any


def load(name: str) -> Any:
    """Import a module by its name, or from its file: importing the whole published package needs dozens of others."""
    if not name.endswith(".py"):
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location("published_telemetry", name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def write(telemetry: Any, folder: str) -> list[bool]:
    """Log as the framework's own executor and workflows do, with keywords and by position."""
    store = telemetry.TelemetryStore(folder)
    store.log_call(
        telemetry.LLMCallRecord(
            call_id="c1", timestamp="2026-01-11T03:47:00.400225", workflow_name="review", step_name="llm_call_cheap",
            user_id="workflow", task_type="summarize", provider="openai", tier="cheap", model_id="gpt-4o-mini",
            input_tokens=100, output_tokens=20, estimated_cost=0.25, latency_ms=1200, metadata={"run_id": None},
        )
    )  # fmt: skip
    store.log_call(
        telemetry.LLMCallRecord("c2", "2026-01-11T03:48:00", "review", "step", success=False, error_type="timeout")
    )
    stage = telemetry.WorkflowStageRecord(
        stage_name="s", tier="cheap", model_id="gpt-4o-mini", input_tokens=100, cost=0.25
    )
    store.log_workflow(
        telemetry.WorkflowRunRecord(
            run_id="r1", workflow_name="review", started_at="2026-01-11T03:46:00", completed_at="2026-01-11T03:48:00",
            stages=[stage], total_cost=0.25, baseline_cost=1.0, savings=0.75, savings_percent=75.0, success=True,
            total_duration_ms=120000, providers_used=["openai"], tiers_used=["cheap"],
        )
    )  # fmt: skip

    class Database:
        """A backend of the caller's own."""

        def log_call(self, record: Any) -> None: ...
        def log_workflow(self, record: Any) -> None: ...
        def get_calls(self, since: Any = None, workflow_name: Any = None, limit: int = 1000) -> list[Any]:
            return []

        def get_workflows(self, since: Any = None, workflow_name: Any = None, limit: int = 100) -> list[Any]:
            return []

    return [isinstance(store, telemetry.TelemetryBackend), isinstance(Database(), telemetry.TelemetryBackend)]


def read(telemetry: Any, folder: str) -> dict[str, Any]:
    """Read everything that the folder gives, and rebuild each record from its dictionary."""
    store = telemetry.get_telemetry_store(folder)
    calls, runs = store.get_calls(), store.get_workflows()
    found = {
        "files": [store.calls_file.name, store.workflows_file.name],
        "calls": [telemetry.LLMCallRecord.from_dict(call.to_dict()).to_dict() for call in calls],
        "runs": [telemetry.WorkflowRunRecord.from_dict(run.to_dict()).to_dict() for run in runs],
        "of_review": [call.call_id for call in store.get_calls(workflow_name="review", limit=50)],
        "since": [run.run_id for run in store.get_workflows(since=datetime(2026, 1, 1))] if "naive" in folder else [],
        "cost": sum(call.estimated_cost for call in calls),
    }
    if hasattr(telemetry, "TelemetryAnalytics"):
        analytics = telemetry.TelemetryAnalytics(store)
        for name in (
            "top_expensive_workflows",
            "provider_usage_summary",
            "tier_distribution",
            "fallback_stats",
            "cost_savings_report",
        ):
            found[name] = getattr(analytics, name)()
    return found


if __name__ == "__main__":
    action, module, where = sys.argv[1:]
    telemetry = load(module)
    Path(where).mkdir(exist_ok=True)
    print(json.dumps({"write": write, "read": read}[action](telemetry, where), sort_keys=True))
