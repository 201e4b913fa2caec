"""Reads a folder of ours with the published empathy-framework, which must be installed where this runs.

    python tools/read_with_empathy_framework.py FOLDER

`make test-compat` calls it in an environment of its own. Exits with 1 when the old reader sees other figures.
"""

from __future__ import annotations

import importlib
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any


def main(arguments: list[str]) -> int:
    """Compare what the old reader returns with the lines of the files."""
    folder = Path(arguments[0])
    reader: Any = importlib.import_module("empathy_os.models.telemetry")
    store = reader.TelemetryStore(str(folder))
    calls, runs = _lines(folder / "llm_calls.jsonl"), _lines(folder / "workflow_runs.jsonl")
    seen_calls, seen_runs = store.get_calls(limit=1_000_000), store.get_workflows(limit=1_000_000)
    saved = reader.TelemetryAnalytics(store).cost_savings_report()
    expected = {
        "calls": [call["call_id"] for call in calls],
        "cost of the calls": round(sum(call.get("estimated_cost", 0.0) for call in calls), 9),
        "runs": [run["run_id"] for run in runs],
        "stages": [[stage["stage_name"] for stage in run["stages"]] for run in runs],
        "cost of the runs": round(sum(run["total_cost"] for run in runs), 9),
        "savings": round(sum(run["savings"] for run in runs), 9),
    }
    seen = {
        "calls": [call.call_id for call in seen_calls],
        "cost of the calls": round(sum(call.estimated_cost for call in seen_calls), 9),
        "runs": [run.run_id for run in seen_runs],
        "stages": [[stage.stage_name for stage in run.stages] for run in seen_runs],
        "cost of the runs": round(saved["total_actual_cost"], 9),
        "savings": round(saved["total_savings"], 9),
    }
    wrong = [key for key in expected if expected[key] != seen[key]]
    for key in wrong:
        sys.stderr.write(f"{key}: the file has {expected[key]}, the old reader saw {seen[key]}\n")
    sys.stdout.write(
        f"empathy-framework {version('empathy-framework')} read {len(seen_calls)} calls and {len(seen_runs)} runs: "
        f"{'different' if wrong or not seen_calls or not seen_runs else 'the same figures'}\n"
    )
    return 1 if wrong or not seen_calls or not seen_runs else 0


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
