"""Checks of the records: how many, from when, what is no record, what has no price, and their roll-up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from attune_monitoring.cli.telemetry.past import patience, refresh
from attune_monitoring.cli.telemetry.reading import counted
from attune_monitoring.config import Config, pricing_of
from attune_monitoring.errors import MonitoringError
from attune_monitoring.figures import Figures
from attune_monitoring.history import History
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord
from attune_monitoring.store import CALLS, DETAILS, RUNS, ReadReport, read_all

from .finding import Finding, fail, ok, warn
from .folder import megabytes

__all__ = ["records"]

_MOST_MODELS = 8
_LOCAL = ("ollama",)
"""Providers whose models run on one's own machine, and cost nothing a token."""


def records(folder: Path, config: Config) -> list[Finding]:
    """Return what is to be said of the records and of the roll-up that figures come from."""
    try:
        with History(folder) as past:
            refresh(past)
            if not past.place:
                return [ok("no records yet"), _drops()]
            return [*_counts(past), *_bad_lines(past), *_unknown(past, config), *_rollup(past), _drops()]
    except MonitoringError as error:
        return [fail(str(error), "mend what it names, then ask again")]


def _counts(past: History) -> list[Finding]:
    calls = past.calls((), percentiles=False).get((), Figures()).calls
    runs = sum(each.runs for each in past.runs(()).values())
    span, left = past.extent(), past.notes()
    if span.start is None or span.end is None:
        return [ok(f"no calls yet; {counted(runs, 'run')}")]
    found = [ok(f"{counted(calls, 'call')} and {counted(runs, 'run')}, {_time(span.start)} – {_time(span.end)}")]
    if left.duplicates:
        found.append(ok(f"{counted(left.duplicates, 'duplicate')} of earlier writers counted once"))
    if left.tests:
        found.append(
            warn(
                f"{counted(left.tests, 'record')} made under pytest; no figure counts them",
                "give the tests a folder of their own: the pytest plugin does, or EMPATHY_STORAGE_DIR",
            )
        )
    return found


def _bad_lines(past: History) -> list[Finding]:
    reasons = past.notes().skipped
    if not reasons:
        return [ok("every line is a record")]
    report = ReadReport()
    with patience("looking for the lines that are no records"):
        for _ in _until_seen(past.folder, report, set(reasons)):
            pass
    found = []
    for reason, count in reasons.items():
        samples = report.samples.get(reason)
        place = f", e.g. {samples[0].path.name} at byte {samples[0].offset}: {samples[0].excerpt}" if samples else ""
        found.append(
            warn(f"{counted(count, 'line')} passed over: {reason}{place}", "they are in no figure, and harm no others")
        )
    return found


def _until_seen(folder: Path, report: ReadReport, reasons: set[str]) -> Iterator[None]:
    """Read until there is an example of each reason."""
    streams: tuple[tuple[str, Any], ...] = (
        (CALLS, LLMCallRecord.from_dict),
        (RUNS, WorkflowRunRecord.from_dict),
        (DETAILS, WorkflowRunRecord.from_dict),
    )
    for stream, parse in streams:
        for _ in read_all(folder, stream, parse, order=lambda _: 0, report=report):
            if reasons <= report.samples.keys():
                return
            yield


def _unknown(past: History, config: Config) -> list[Finding]:
    found = past.calls(("provider", "model"), percentiles=False)
    unknown = sorted(((labels, its.unknown) for labels, its in found.items() if its.unknown), key=lambda item: -item[1])
    if not unknown:
        return [ok("the cost of every call is known")]
    pricing = pricing_of(config)
    total = sum(count for _, count in unknown)
    text = f"the cost of {counted(total, 'call')} is not known, and in no sum"
    shown = unknown[:_MOST_MODELS]
    priced = [f"{provider}/{model}" for (provider, model), _ in shown if pricing.rates(provider, model) is not None]
    missing = [(labels, count) for labels, count in shown if pricing.rates(*labels) is None]
    advice = []
    if missing:
        advice.append("say what these models cost, in USD per 1,000,000 tokens, in monitoring.yaml:")
        advice += ["pricing:", "  models:"]
        advice += [_price_line("/".join(filter(None, labels)), labels[0] in _LOCAL, count) for labels, count in missing]
        advice.append("that holds for calls from then on")
    if priced:
        advice.append(f"priced today, but calls were recorded without a price or usage: {', '.join(priced)}")
    if len(unknown) > _MOST_MODELS:
        advice.append(f"… and {len(unknown) - _MOST_MODELS} more models")
    return [warn(text, "\n".join(advice))]


def _price_line(model: str, is_local: bool, count: int) -> str:
    """A line of monitoring.yaml. It is not valid before the figures are filled in: a 0 that is wrong hides costs."""
    name = msgspec.json.encode(model).decode()
    rate = "0.0" if is_local else "USD"
    return f"    {name}: {{input: {rate}, output: {rate}}}  # {counted(count, 'call')}"


def _rollup(past: History) -> list[Finding]:
    place = past.place
    if place == ":memory:":
        return [warn("roll-up: in memory, made anew by each command", "let the folder or your cache folder be written")]
    size = sum(file.stat().st_size for file in (Path(place), Path(f"{place}-wal")) if file.exists())
    return [ok(f"roll-up: {place}, {megabytes(size)}, up to date")]


def _drops() -> Finding:
    return ok(
        "records that could not be written are not on disk: the program that lost them counts them "
        "(metric attune.records.dropped)"
    )


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%Y-%m-%d %H:%M}"
