"""The tables of SigNoz in the embedded ClickHouse, filled from OTLP as the exporters of its collector fill them.

Each `distributed_…` is a plain table here: there is one node. What the collector computes for tables that no panel of
ours reads (logs, errors, roll-ups) is left out.
"""

from __future__ import annotations

import atexit
import functools
import json
import math
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

__all__ = ["MetricFacts", "Warehouse", "database"]

_STACK = Path(__file__).parent.parent / "deploy" / "clickhouse"
_TEMPORALITIES = ("Unspecified", "Delta", "Cumulative")
_STATUSES = ("Unset", "Ok", "Error")
_KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
_BUCKET_SECONDS = 1800
_HOUR_MS = 3_600_000
_TABLES = """
CREATE DATABASE signoz_traces;
CREATE DATABASE signoz_metrics;
CREATE TABLE signoz_traces.distributed_signoz_index_v3 (
  ts_bucket_start UInt64, resource_fingerprint String, timestamp DateTime64(9), trace_id FixedString(32),
  span_id String, parent_span_id String, name LowCardinality(String), kind Int8, kind_string String,
  duration_nano UInt64, status_code Int16, status_message String, status_code_string String,
  attributes_string Map(LowCardinality(String), String), attributes_number Map(LowCardinality(String), Float64),
  attributes_bool Map(LowCardinality(String), Bool), resources_string Map(LowCardinality(String), String),
  resource JSON, events Array(String), has_error Bool,
  `resource_string_service$$name` LowCardinality(String) DEFAULT resources_string['service.name'],
  serviceName LowCardinality(String) ALIAS `resource_string_service$$name`,
  durationNano UInt64 ALIAS duration_nano, hasError Bool ALIAS has_error
) ENGINE = MergeTree ORDER BY (ts_bucket_start, resource_fingerprint, has_error, name, timestamp);
CREATE TABLE signoz_metrics.distributed_samples_v4 (
  env LowCardinality(String), temporality LowCardinality(String), metric_name LowCardinality(String),
  fingerprint UInt64, unix_milli Int64, value Float64, flags UInt32
) ENGINE = MergeTree ORDER BY (env, temporality, metric_name, fingerprint, unix_milli);
CREATE TABLE signoz_metrics.distributed_time_series_v4 (
  env LowCardinality(String), temporality LowCardinality(String), metric_name LowCardinality(String),
  description LowCardinality(String), unit LowCardinality(String), type LowCardinality(String), is_monotonic Bool,
  fingerprint UInt64, unix_milli Int64, labels String, attrs Map(LowCardinality(String), String),
  scope_attrs Map(LowCardinality(String), String), resource_attrs Map(LowCardinality(String), String)
) ENGINE = MergeTree ORDER BY (env, temporality, metric_name, fingerprint, unix_milli)
"""


class MetricFacts(NamedTuple):
    """What SigNoz notes of a metric beside its samples."""

    type: str
    temporality: str


class _Point(NamedTuple):
    """One sample, and what names its series."""

    metric: str
    type: str
    temporality: str
    attributes: dict[str, str]
    unix_milli: int
    value: float


class Warehouse:
    """The database behind SigNoz: empty at first, and the only one of this process."""

    def __init__(self) -> None:
        self._session = database()
        self.metrics: dict[str, MetricFacts] = {}
        """By the name under which a metric is stored."""
        self.span_types: dict[str, set[str]] = {}
        """For each attribute of a span: string, number, bool."""
        self.resource_keys: set[str] = set()
        for statement in _TABLES.split(";"):
            self._session.query(statement)
        self._session.query((_STACK / "histogram_quantile.sql").read_text("utf-8"))

    def select(self, sql: str) -> dict[str, Any]:
        """Return the answer to a query: `meta` with the names and types of its columns, and `data`."""
        return dict(json.loads(self._session.query(sql, "JSONCompact").data()))

    def add_spans(self, requests: Iterable[ExportTraceServiceRequest], later_ns: int = 0) -> None:
        """Store spans, all of them moved by so many nanoseconds."""
        rows = [row for request in requests for row in self._span_rows(request, later_ns)]
        self._insert("signoz_traces.distributed_signoz_index_v3", rows)

    def add_metrics(self, requests: Iterable[ExportMetricsServiceRequest], later_ns: int = 0) -> None:
        """Store samples and series, all of them moved by so many nanoseconds."""
        samples: list[dict[str, Any]] = []
        series: dict[tuple[int, int], dict[str, Any]] = {}
        for request in requests:
            for resource in request.resource_metrics:
                about = _texts(resource.resource.attributes)
                for scope in resource.scope_metrics:
                    source = {"__scope.name__": scope.scope.name, "__scope.version__": scope.scope.version}
                    source |= {"__scope.schema_url__": scope.schema_url, **_texts(scope.scope.attributes)}
                    for metric in scope.metrics:
                        for point in _points(metric, later_ns):
                            self._add_point(point, source, about, samples, series)
        self._insert("signoz_metrics.distributed_samples_v4", samples)
        self._insert("signoz_metrics.distributed_time_series_v4", series.values())

    def _add_point(
        self,
        point: _Point,
        scope: dict[str, str],
        resource: dict[str, str],
        samples: list[dict[str, Any]],
        series: dict[tuple[int, int], dict[str, Any]],
    ) -> None:
        if math.isnan(point.value):
            return
        self.metrics[point.metric] = MetricFacts(point.type, point.temporality)
        attributes = {**point.attributes, "__temporality__": point.temporality}
        labels = json.dumps({**attributes, **scope, **resource, "__name__": point.metric}, sort_keys=True)
        # Any hash will do, as long as it is the same for the same series.
        fingerprint = zlib.crc32(labels.encode()) << 32 | zlib.adler32(labels.encode())
        key = {
            "env": resource.get("deployment.environment", ""),
            "temporality": point.temporality,
            "metric_name": point.metric,
            "fingerprint": fingerprint,
        }
        samples.append({**key, "unix_milli": point.unix_milli, "value": point.value})
        hour = point.unix_milli // _HOUR_MS * _HOUR_MS
        series[fingerprint, hour] = {
            **key,
            "type": point.type,
            "unix_milli": hour,
            "labels": labels,
            "attrs": attributes,
            "scope_attrs": scope,
            "resource_attrs": resource,
        }

    def _span_rows(self, request: ExportTraceServiceRequest, later_ns: int) -> Iterator[dict[str, Any]]:
        for resource in request.resource_spans:
            about = _texts(resource.resource.attributes)
            self.resource_keys.update(about)
            for span in (one for scope in resource.scope_spans for one in scope.spans):
                start = span.start_time_unix_nano + later_ns
                maps = self._attribute_maps(span.attributes)
                yield {
                    "ts_bucket_start": start // 10**9 // _BUCKET_SECONDS * _BUCKET_SECONDS,
                    "resource_fingerprint": ";".join(f"{key}={value}" for key, value in sorted(about.items())),
                    "timestamp": start,
                    "trace_id": span.trace_id.hex(),
                    "span_id": span.span_id.hex(),
                    "parent_span_id": span.parent_span_id.hex(),
                    "name": span.name,
                    "kind": span.kind,
                    "kind_string": _KINDS[span.kind],
                    "duration_nano": span.end_time_unix_nano - span.start_time_unix_nano,
                    "status_code": span.status.code,
                    "status_message": span.status.message,
                    "status_code_string": _STATUSES[span.status.code],
                    **{f"attributes_{kind}": values for kind, values in maps.items()},
                    "resources_string": about,
                    "resource": about,
                    "events": [_event(event, later_ns) for event in span.events],
                    "has_error": span.status.code == 2,
                }

    def _attribute_maps(self, attributes: Any) -> dict[str, dict[str, Any]]:
        maps: dict[str, dict[str, Any]] = {"string": {}, "number": {}, "bool": {}}
        for pair in attributes:
            kind = pair.value.WhichOneof("value")
            if kind in ("double_value", "int_value"):
                place, value = "number", float(getattr(pair.value, kind))
            elif kind == "bool_value":
                place, value = "bool", pair.value.bool_value
            else:
                place, value = "string", _text(pair.value)
            maps[place][pair.key] = value
            self.span_types.setdefault(pair.key, set()).add(place)
        return maps

    def _insert(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        lines = [json.dumps(row) for row in rows]
        if lines:
            self._session.query(f"INSERT INTO {table} FORMAT JSONEachRow\n" + "\n".join(lines))


def _text(value: Any) -> str:
    """Return an OTLP value as the collector writes it where it is to be text: lists and maps as JSON."""
    plain = _plain(value)
    if isinstance(plain, str):
        return plain
    return json.dumps(plain, separators=(",", ":"))


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return ""
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _plain(pair.value) for pair in value.kvlist_value.values}
    return getattr(value, kind)


def _texts(attributes: Any) -> dict[str, str]:
    return {pair.key: _text(pair.value) for pair in attributes}


def _event(event: Any, later_ns: int) -> str:
    told = {
        "name": event.name,
        "timeUnixNano": event.time_unix_nano + later_ns,
        "attributeMap": _texts(event.attributes),
        "isError": event.name == "exception",
    }
    return json.dumps(told)


def _points(metric: Any, later_ns: int) -> Iterator[_Point]:
    """Yield the samples that a metric becomes: of a histogram one for each bound, and four more."""
    kind = metric.WhichOneof("data")
    data = getattr(metric, kind)
    temporality = _TEMPORALITIES[getattr(data, "aggregation_temporality", 0)]
    for point in data.data_points:
        attributes = _texts(point.attributes)
        at = (point.time_unix_nano + later_ns) // 10**6
        if kind != "histogram":
            value = float(getattr(point, point.WhichOneof("value")))
            yield _Point(metric.name, "Sum" if kind == "sum" else "Gauge", temporality, attributes, at, value)
            continue
        yield _Point(f"{metric.name}.count", "Sum", temporality, attributes, at, point.count)
        yield _Point(f"{metric.name}.sum", "Sum", temporality, attributes, at, point.sum)
        yield _Point(f"{metric.name}.min", "Gauge", "Unspecified", attributes, at, point.min)
        yield _Point(f"{metric.name}.max", "Gauge", "Unspecified", attributes, at, point.max)
        total = 0
        for bound, count in zip(point.explicit_bounds, point.bucket_counts, strict=False):
            total += count
            limit = {**attributes, "le": f"{bound:.15g}"}
            yield _Point(f"{metric.name}.bucket", "Histogram", temporality, limit, at, total)
        yield _Point(f"{metric.name}.bucket", "Histogram", temporality, {**attributes, "le": "+Inf"}, at, point.count)


def database() -> Any:
    """Return ClickHouse without the databases of SigNoz; whoever had them before has them no longer."""
    session = _session()
    for name in ("signoz_traces", "signoz_metrics"):
        session.query(f"DROP DATABASE IF EXISTS {name}")
    return session


@functools.cache
def _session() -> Any:
    """Return the session of this process: there is one server in it, and it serves one folder."""
    chdb = pytest.importorskip("chdb.session", reason="the embedded ClickHouse is not installed (chdb-core-lite)")
    folder = tempfile.TemporaryDirectory(prefix="clickhouse-")
    session = chdb.Session(folder.name)
    session.query("SET max_threads = 1")  # small tables, and other test processes need the cores

    def leave() -> None:
        session.close()
        folder.cleanup()

    atexit.register(leave)
    return session
