"""The golden records give their figures, from the roll-up, from plain records and in plain SQL."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from attune_monitoring.figures import CALL_SUMS, Figures, Latency, is_counted, once
from attune_monitoring.history import (
    History,
    RunFigures,
    StageFigures,
    figures_of,
    run_figures_of,
    stage_figures_of,
)
from attune_monitoring.query import Window
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, parse_time
from attune_monitoring.rollup import Span
from attune_monitoring.store import CALLS, DETAILS, RUNS, ReadReport, read_all
from figures_in_sql import FiguresInSql

GOLDEN = Path(__file__).with_name("golden")
CASES = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())
Row = dict[str, Any]
Answer = dict[tuple[str, ...], Row]
Ask = Callable[[Path, dict[str, Any]], list[Answer]]


def durations(name: str, latency: Latency) -> Row:
    known = latency.count > 0
    return {
        f"{name}_count": latency.count,
        f"{name}_avg": latency.average,
        f"{name}_min": latency.minimum if known else None,
        f"{name}_max": latency.maximum if known else None,
        **{f"{name}_p{percent}": latency.percentile(percent) for percent in (50, 95, 99)},
    }


def outcomes(counts: dict[str, int]) -> Row:
    return {outcome: counts.get(outcome, 0) for outcome in ("ok", "error", "cancelled")}


def row_of(figures: Figures | RunFigures | StageFigures) -> Row:
    """The figures under the names of the golden files."""
    if isinstance(figures, Figures):
        return {
            **{name: getattr(figures, name) for name in CALL_SUMS},
            **outcomes(figures.outcomes),
            **{name: getattr(figures, name) for name in ("savings_percent", "success_rate", "error_rate")},
            **durations("latency", figures.latency),
            **durations("first_token", figures.time_to_first_token),
        }
    names = ("runs", "roots", "cost", "baseline", "savings", "root_ms")
    if isinstance(figures, StageFigures):
        names = ("stages", "cost")
    return {
        **{name: getattr(figures, name) for name in names},
        **outcomes(figures.outcomes),
        **durations("duration", figures.duration),
    }


def moment(question: dict[str, Any], key: str) -> datetime | None:
    return datetime.fromisoformat(question[key]) if key in question else None


def span_of(question: dict[str, Any]) -> Span:
    since, until = moment(question, "since"), moment(question, "until")
    return Span(since.timestamp() if since else None, until.timestamp() if until else None)


def from_rollup(folder: Path, case: dict[str, Any]) -> list[Answer]:
    return [ask_rollup(folder, case, question) for question in case["questions"]]


def ask_rollup(folder: Path, case: dict[str, Any], question: dict[str, Any]) -> Answer:
    now = datetime.fromisoformat(question.get("now", case["now"])).timestamp()
    with History(folder, include_tests=question.get("include_tests", False), clock=lambda: now) as past:
        past.refresh()
        if question["figures"] == "notes":
            notes = past.notes()
            return {(): {**notes._asdict(), "skipped": sum(notes.skipped.values())}}
        ask: Any = getattr(past, question["figures"])
        found = ask(question["group_by"], span=span_of(question))
    return {labels: row_of(figures) for labels, figures in found.items()}


def from_records(folder: Path, case: dict[str, Any]) -> list[Answer]:
    return [ask_records(folder, question) for question in case["questions"]]


def ask_records(folder: Path, question: dict[str, Any]) -> Answer:
    report = ReadReport()
    calls = list(
        read_all(folder, CALLS, LLMCallRecord.from_dict, order=lambda call: parse_time(call.timestamp), report=report)
    )
    runs: dict[str, list[WorkflowRunRecord]] = {}
    for stream in (DETAILS, RUNS):
        parse, order = WorkflowRunRecord.from_dict, lambda run: parse_time(run.started_at)
        runs[stream] = list(read_all(folder, stream, parse, order=order, report=report))
    detailed = {run.run_id for run in runs[DETAILS]}
    every = [*runs[DETAILS], *(run for run in runs[RUNS] if run.run_id not in detailed)]
    counted = list(once(calls))
    tests, span = question.get("include_tests", False), span_of(question)

    def wanted(record: LLMCallRecord | WorkflowRunRecord, text: str) -> bool:
        at = parse_time(text).timestamp()
        inside = (span.start is None or at >= span.start) and (span.end is None or at < span.end)
        return inside and is_counted(record, include_tests=tests)

    mine = [call for call in counted if wanted(call, call.timestamp)]
    found: dict[tuple[str, ...], Any] = {}
    if question["figures"] == "notes":
        left_out = sum(not is_counted(call) for call in counted)
        return {(): {"duplicates": len(calls) - len(counted), "tests": left_out, "skipped": report.total}}
    if question["figures"] == "calls":
        found = dict(figures_of(mine, question["group_by"]))
    else:
        add: Any = run_figures_of if question["figures"] == "runs" else stage_figures_of
        add((run for run in every if wanted(run, run.started_at)), question["group_by"], found)
    return {labels: row_of(figures) for labels, figures in found.items()}


def from_sql(folder: Path, case: dict[str, Any]) -> list[Answer]:
    with FiguresInSql(folder, time_zone=case["time_zone"]) as sql:
        return [
            {(): sql.notes()}
            if question["figures"] == "notes"
            else sql.figures(
                question["figures"],
                question["group_by"],
                since=moment(question, "since"),
                until=moment(question, "until"),
                include_tests=question.get("include_tests", False),
            )
            for question in case["questions"]
        ]


def load(name: str) -> dict[str, Any]:
    case: dict[str, Any] = json.loads((GOLDEN / name / "expected.json").read_bytes())
    return case


def is_percentile(key: str) -> bool:
    return key.endswith(("_p50", "_p95", "_p99"))


def wanted_of(question: dict[str, Any]) -> dict[tuple[str, ...], Row]:
    return {
        tuple(row["of"]): {
            key: value if value is None else pytest.approx(value, rel=0.036 if is_percentile(key) else 1e-9, abs=1e-9)
            for key, value in row.items()
            if key != "of"
        }
        for row in question["expected"]
    }


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of a case's folder, on a machine in the case's time zone."""
    if not hasattr(time, "tzset"):
        pytest.skip("this system's time zone cannot be set for one process")
    name = request.node.callspec.params["name"]
    shutil.copytree(GOLDEN / name, tmp_path / name)
    monkeypatch.setenv("TZ", load(name)["time_zone"])
    time.tzset()
    yield tmp_path / name
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("ask", [from_rollup, from_records, pytest.param(from_sql, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CASES)
def test_the_golden_records_give_the_figures_worked_out_by_hand(folder: Path, name: str, ask: Ask) -> None:
    case = load(name)
    for question, answer in zip(case["questions"], ask(folder, case), strict=True):
        wanted = wanted_of(question)
        found = {labels: {key: row[key] for key in wanted.get(labels, row)} for labels, row in answer.items()}
        assert found == wanted, question


@pytest.mark.parametrize("name", [name for name in CASES if any("window" in one for one in load(name)["questions"])])
def test_the_golden_windows_have_the_bounds_worked_out_by_hand(folder: Path, name: str) -> None:
    case = load(name)
    for question in case["questions"]:
        if "window" in question:
            now = datetime.fromisoformat(question.get("now", case["now"]))
            bounds = Window(**question["window"]).bounds(now)
            assert bounds == (moment(question, "since"), moment(question, "until")), question
