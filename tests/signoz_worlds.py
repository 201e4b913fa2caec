"""The same traffic twice: as SigNoz stores it, and as the local folder counts it.

The demo and the team of signoz_traffic.py run as programs of their own, which record to a folder and send to a
loopback receiver at the same time. Both sides are then moved by the same time into fixed days of a fixed month, so that
days, months and steps begin where a test expects it.
"""

from __future__ import annotations

import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from attune_monitoring import TelemetryAnalytics, TelemetryStore
from attune_monitoring import semconv as sc
from attune_monitoring.query import Filter, Query, Window
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, format_time, parse_time
from attune_monitoring.signoz.asking import VARIABLES
from attune_monitoring.sources.local import LocalSource
from otlp_receiver import Receiver, Span, receive
from signoz_builder import Range
from signoz_tables import Warehouse

__all__ = ["Chosen", "Groups", "Local", "Quantile", "Traffic", "World", "Worlds", "run_program"]

Groups = tuple[str, ...]
_FIELDS = {
    sc.WORKFLOW_NAME: "workflow_name",
    sc.PROVIDER: "provider",
    sc.RESPONSE_MODEL: "model_id",
    sc.REQUEST_MODEL: "request_model",
    sc.TIER: "tier",
    sc.PROJECT: "project",
    sc.STAGE_NAME: "stage_name",
}
_SECOND_NS = 10**9
_AFTER_THE_HOUR_NS = 120 * _SECOND_NS
"""Calls that were made before the program began, by their records, stay in the hour."""
HOURS = 25
"""What is shown: three hundred steps of five minutes, in which an hour's traffic is one step."""


class Quantile(NamedTuple):
    """A percentile of these values: of a histogram only the bucket is known, of spans the neighbours."""

    values: tuple[float, ...]
    share: float
    bounds: tuple[float, ...] = ()
    """Upper bounds of the histogram's buckets."""
    slack: float = 0.0
    """What rounding took from the values."""

    def fits(self, shown: float) -> bool:
        """Whether what is shown may be this percentile."""
        ordered = sorted(self.values)
        rank = self.share * len(ordered)
        if not self.bounds:  # ClickHouse goes a part of the way between two neighbours
            place = self.share * (len(ordered) - 1)
            low, high = ordered[int(place)], ordered[min(int(place) + 1, len(ordered) - 1)]
            return low - self.slack <= shown <= high + self.slack
        value = next(value for number, value in enumerate(ordered, 1) if number >= rank)
        above = next((place for place, bound in enumerate(self.bounds) if value <= bound), len(self.bounds))
        low = 0.0 if above == 0 else self.bounds[above - 1]
        # What lies beyond the last bound is shown as that bound.
        high = self.bounds[min(above, len(self.bounds) - 1)]
        return low * (1 - 1e-9) <= shown <= high * (1 + 1e-9)


class Chosen(NamedTuple):
    """Values that are chosen for a variable of a dashboard."""

    variable: str
    values: tuple[str, ...]

    def call(self, call: LLMCallRecord) -> bool:
        """Whether the metrics of a call are shown; they know no users."""
        if self.variable == "service":
            return call.service in self.values
        field = _FIELDS.get(VARIABLES[self.variable])
        return field is None or (getattr(call, field) or "") in self.values

    def run(self, run: WorkflowRunRecord) -> WorkflowRunRecord | None:
        """Return what is shown of a run: all of it, its stages of a tier, or nothing."""
        if self.variable == "tier":
            stages = [stage for stage in run.stages if stage.tier in self.values]
            return msgspec.structs.replace(run, stages=stages)
        field = {"service": "service", "workflow": "workflow_name", "project": "project"}.get(self.variable)
        return run if field is None or (getattr(run, field) or "") in self.values else None

    def span(self, span: Span) -> bool:
        """Whether a span is shown."""
        attributes = span.resource if self.variable == "service" else span.attributes
        return attributes.get(VARIABLES[self.variable]) in self.values


class Traffic(NamedTuple):
    """What a program recorded and sent, at the times at which it ran."""

    began_ns: int
    calls: list[LLMCallRecord]
    runs: list[WorkflowRunRecord]
    receiver: Receiver


class Moved(NamedTuple):
    """Records and spans at their new times."""

    hour: datetime
    calls: list[LLMCallRecord]
    runs: list[WorkflowRunRecord]
    spans: list[Span]


class Local:
    """The local figures of a stretch of time.

    Args:
        folder: to which the records are written.
        everything: what was recorded; what came later than the stretch is left out.
        start: when the stretch begins.
        hours: how long it is.
        chosen: what of it counts.
    """

    def __init__(
        self, folder: Path, everything: Iterable[Moved], start: datetime, hours: int, chosen: Chosen | None = None
    ) -> None:
        self.start, self.end = start, start + timedelta(hours=hours)
        self._window = Window.of(f"{hours}h")
        store = TelemetryStore(folder)
        self.calls: list[LLMCallRecord] = []
        self.runs: list[WorkflowRunRecord] = []
        spans: list[Span] = []
        recorded: dict[str, LLMCallRecord] = {}
        for moved in everything:
            if moved.hour >= self.end:
                continue
            inside = moved.hour >= start
            for call in moved.calls:
                recorded[call.span_id or ""] = call
                if chosen is None or chosen.call(call):
                    store.log_call(call)
                    self.calls += [call] if inside else []
            for whole in moved.runs:
                run = whole if chosen is None else chosen.run(whole)
                if run is not None:
                    store.log_workflow(run)
                    self.runs += [run] if inside else []
            spans += moved.spans if inside else []
        self.sampled = [
            (recorded[span.span_id], span)
            for span in spans
            if span.attributes.get(sc.OPERATION) in sc.CALL_OPERATIONS and (chosen is None or chosen.span(span))
        ]
        """Calls whose spans follow the conventions, with these spans."""
        self.tools = [
            span
            for span in spans
            if span.attributes.get(sc.OPERATION) == sc.EXECUTE_TOOL
            # A tool has a service, but neither provider nor model.
            and (chosen is None or chosen.variable != "service" or chosen.span(span))
        ]
        self.analytics = TelemetryAnalytics(store)
        self.source = LocalSource(folder)

    def total(
        self, metric: sc.Metric, *by: str, where: Mapping[str, Sequence[str]] | None = None, month: bool = False
    ) -> dict[Groups, float]:
        """Return the sum of a counter, or the number of values of a histogram, by dimensions."""
        window = Window(calendar="month", time_zone="UTC") if month else self._window
        filters = tuple(Filter(name, tuple(values)) for name, values in (where or {}).items())
        kind = "count" if metric.instrument == "histogram" else "sum"
        [answers] = self.source.answer([Query(metric.name, window, kind, filters, by)], self.end)
        return {tuple(one.labels[name] for name in by): one.value or 0.0 for one in answers}

    def number(
        self, metric: sc.Metric, *, where: Mapping[str, Sequence[str]] | None = None, month: bool = False
    ) -> float:
        """Return such a sum of all."""
        return self.total(metric, where=where, month=month).get((), 0.0)

    def quantile(self, metric: sc.Metric, share: float, *by: str, outcome: str | None = None) -> dict[Groups, Quantile]:
        """Return a percentile of a histogram, from the records themselves."""
        found: dict[Groups, list[float]] = defaultdict(list)
        for about, seconds in self._durations(metric, outcome):
            found[tuple(str(about(_FIELDS[name]) or "") for name in by)].append(seconds)
        return {group: Quantile(tuple(values), share, metric.buckets) for group, values in found.items()}

    def _durations(self, metric: sc.Metric, outcome: str | None) -> Iterable[tuple[Callable[[str], Any], float]]:
        def of(*records: Any) -> Callable[[str], Any]:
            return lambda field: next(getattr(one, field) for one in records if hasattr(one, field))

        if metric in (sc.LLM_DURATION, sc.CLIENT_DURATION, sc.LLM_TTFT):
            for call in self.calls:
                ms = call.time_to_first_token_ms if metric is sc.LLM_TTFT else call.latency_ms
                ours = metric is not sc.CLIENT_DURATION or call.dialect == "attune"
                if ms is not None and ours and outcome in (None, call.outcome):
                    yield of(call), ms / 1000
        elif metric is sc.WORKFLOW_DURATION:
            for run in self.runs:
                if outcome in (None, run.outcome):
                    yield of(run), run.total_duration_ms / 1000
        else:
            for run in self.runs:
                for stage in run.stages:
                    if not stage.skipped and outcome in (None, stage.outcome):
                        yield of(stage, run), stage.latency_ms / 1000


class World(NamedTuple):
    """A day's traffic: what SigNoz is asked for, and the local figures of all and of each hour with traffic."""

    shown: Range
    local: Local
    hours: list[Local]


def run_program(command: Sequence[str | Path], folder: Path, records: Path, environment: Mapping[str, str]) -> Traffic:
    """Run a program that records to `records` and sends to a receiver."""
    began = time.time_ns()
    with receive() as receiver:
        more = {
            "EMPATHY_STORAGE_DIR": str(records),
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
            # What SigNoz' collector computes with; each counter is zero again after an export.
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
        }
        done = subprocess.run(
            command, cwd=folder, env={**environment, **more}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done
    store = TelemetryStore(records)
    return Traffic(began, store.get_calls(limit=10_000), store.get_workflows(limit=10_000), receiver)


class Worlds:
    """Stores traffic at full hours, and gives the world of a day.

    Args:
        folder: below which the local records are written.
        warehouse: where SigNoz stores.
        placed: traffic and its hour; the same one may be there several times.
    """

    def __init__(self, folder: Path, warehouse: Warehouse, placed: Sequence[tuple[Traffic, datetime]]) -> None:
        self._folder = folder
        self._moved = [_moved(traffic, hour, warehouse) for traffic, hour in placed]
        self._locals: list[Local] = []

    def of(self, day: datetime, chosen: Chosen | None = None) -> World:
        """Return the world of a day that begins then, of which only what is chosen counts."""
        start = day + timedelta(hours=20 - HOURS)
        end = start + timedelta(hours=HOURS)
        shown = Range(int(start.timestamp() * 1000), int(end.timestamp() * 1000))
        hours = [one.hour for one in self._moved if start <= one.hour < end]
        return World(shown, self._local(start, HOURS, chosen), [self._local(hour, 1, chosen) for hour in hours])

    def close(self) -> None:
        """Close what is open."""
        for local in self._locals:
            local.source.close()

    def _local(self, start: datetime, hours: int, chosen: Chosen | None) -> Local:
        local = Local(self._folder / f"local-{len(self._locals)}", self._moved, start, hours, chosen)
        self._locals.append(local)
        return local


def _moved(traffic: Traffic, hour: datetime, warehouse: Warehouse) -> Moved:
    later = int(hour.timestamp()) * _SECOND_NS + _AFTER_THE_HOUR_NS - traffic.began_ns
    warehouse.add_spans(traffic.receiver.trace_requests, later)
    warehouse.add_metrics(traffic.receiver.metric_requests, later)

    def at(text: str) -> str:
        moment = parse_time(text)
        return format_time((int(moment.timestamp()) * 10**6 + moment.microsecond) * 1000 + later)

    calls = [msgspec.structs.replace(call, timestamp=at(call.timestamp)) for call in traffic.calls]
    runs = [msgspec.structs.replace(run, started_at=at(run.started_at)) for run in traffic.runs]
    spans = [
        span._replace(start_ns=span.start_ns + later, end_ns=span.end_ns + later) for span in traffic.receiver.spans
    ]
    return Moved(hour, calls, runs, spans)
