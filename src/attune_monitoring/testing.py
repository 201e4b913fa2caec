"""For tests of instrumented code: `capture` gives the spans, metrics and records that it made.

pytest knows the fixture `attune_capture`, which is the same for the time of one test.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from attune_monitoring.config import load_config
from attune_monitoring.providers import isolated
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord

__all__ = ["Captured", "Point", "capture"]


class Point(NamedTuple):
    """One data point of a metric: a sum's value, or a histogram's sum and count."""

    attributes: dict[str, Any]
    value: float
    samples: int


class Captured:
    """What was recorded while `capture` was active. Nothing of it went to a file or over the network."""

    def __init__(self) -> None:
        self.calls: list[LLMCallRecord] = []
        """Records of LLM calls, in the order in which they ended."""
        self.runs: list[WorkflowRunRecord] = []
        """Records of workflow runs, in the order in which they ended."""
        self.spans: list[ReadableSpan] = []
        """Ended spans, sampled or not."""
        self._collect: Callable[[], Any] = lambda: None
        self._points: dict[str, list[Point]] = {}

    def metric(self, name: str, **attributes: str) -> list[Point]:
        """Return the points of a metric whose attributes contain these (dots written as underscores), since the start.

        Args:
            name: for instance `attune.llm.cost`.
            attributes: for instance `gen_ai_provider_name="openai"`.
        """
        self._read()
        wanted = attributes.items()
        return [
            point
            for point in self._points.get(name, [])
            if wanted <= {key.replace(".", "_"): value for key, value in point.attributes.items()}.items()
        ]

    @property
    def metric_names(self) -> set[str]:
        """Names of the metrics that have points."""
        self._read()
        return set(self._points)

    def _read(self) -> None:
        data = self._collect()
        if data is None:
            return
        points: dict[str, list[Point]] = {}
        for resource in data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    points.setdefault(metric.name, []).extend(_point(point) for point in metric.data.data_points)
        self._points = points


def _point(point: Any) -> Point:
    histogram = hasattr(point, "count")
    value = point.sum if histogram else point.value
    return Point(dict(point.attributes or {}), value, point.count if histogram else 1)


@contextmanager
def capture(**overrides: Any) -> Iterator[Captured]:
    """Record what runs inside in memory only.

    Args:
        overrides: keys of the configuration, as for `configure`; files and environment are not read.

    Yields:
        What was recorded; it can be read inside and after.
    """
    captured = Captured()

    class Records:
        def call(self, record: LLMCallRecord) -> None:
            captured.calls.append(record)

        def run(self, record: WorkflowRunRecord) -> None:
            captured.runs.append(record)

    class Spans(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            captured.spans.append(span)

    reader = InMemoryMetricReader()
    config = load_config(env={"EMPATHY_CONFIG": os.devnull}, backends=[], **overrides)
    with isolated(config, readers=[reader], sinks=[Records()], processors=[Spans()]):
        captured._collect = reader.get_metrics_data
        try:
            yield captured
        finally:
            captured._read()
            captured._collect = lambda: None
