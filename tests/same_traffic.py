"""Sixteen days of invented calls, in a folder and as the metrics that the SDK exports of them, step by step."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader

from attune_monitoring import log_llm_call
from attune_monitoring import semconv as sc
from attune_monitoring.config import load_config
from attune_monitoring.providers import isolated
from attune_monitoring.records import LLMCallRecord
from attune_monitoring.sources.prometheus import names_of

__all__ = ["NOW", "SPIKE", "Point", "openmetrics", "points_of", "recorded"]

NOW = datetime(2026, 3, 17, 12, tzinfo=UTC)
"""A Tuesday, in the middle of a month."""
SPIKE = NOW - timedelta(hours=4)
"""Beginning of an hour that costs a fortune, fails and is slow."""
_BEGIN = NOW - timedelta(days=16)
_DETAILED = NOW - timedelta(days=2)
"""From here on everything is exported, every half hour; before only what history is made of, by the hour."""
_OLD = (sc.LLM_COST.name, sc.LLM_CALLS.name)
_DELTA = dict.fromkeys((Counter, ObservableCounter, Histogram), AggregationTemporality.DELTA)


class Point(NamedTuple):
    """What one series had at one time: since the time before, or since the program began."""

    metric: str
    """With `.bucket`, `.sum`, `.count`, `.min` or `.max` for the parts of a histogram."""
    labels: Mapping[str, str]
    at: datetime
    value: float


def recorded(folder: Path) -> tuple[list[Point], list[Point]]:
    """Write the calls into a folder; return what was exported meanwhile, as deltas and cumulative."""
    delta, cumulative = InMemoryMetricReader(preferred_temporality=_DELTA), InMemoryMetricReader()
    found: tuple[list[Point], list[Point]] = ([], [])
    rnd = random.Random(5)
    with isolated(load_config(storage_dir=str(folder)), readers=[delta, cumulative], sinks=[], processors=[]):
        begin = _BEGIN
        while begin < NOW:
            end = begin + timedelta(minutes=60 if begin < _DETAILED else 30)
            for record in _calls(begin, end, rnd):
                log_llm_call(record)
            for points, reader in zip(found, (delta, cumulative), strict=True):
                at = end - timedelta(seconds=1)  # within the window of which the step is the end
                points += [one for one in points_of(reader, at) if one.metric in _OLD or end >= _DETAILED]
            begin = end
    for file in folder.glob("*.jsonl"):  # what is made under pytest does not count
        file.write_bytes(file.read_bytes().replace(b',"under_pytest":true', b""))
    return found


def _calls(begin: datetime, end: datetime, rnd: random.Random) -> Iterator[LLMCallRecord]:
    """Yield the calls of one step, all of them in its last four minutes."""
    is_spike = SPIKE <= begin < SPIKE + timedelta(hours=1)
    for number in range(90 if is_spike else 8):
        workflow = "review" if is_spike or rnd.random() < 0.6 else "triage"
        failed, other = rnd.random() < (0.4 if is_spike else 0.05), rnd.random() < (0.3 if is_spike else 0.02)
        model = rnd.choice(("gpt-5", "gpt-5-mini", "no-such-model"))
        tokens = rnd.randrange(20_000) * (10 if is_spike else 1)
        yield LLMCallRecord(
            call_id=f"{begin:%d%H%M}-{number}",
            timestamp=(end - timedelta(seconds=rnd.randrange(10, 240))).isoformat(),
            workflow_name=workflow,
            provider="openai",
            model_id=model,
            tier="cheap" if model == "gpt-5-mini" else "premium",
            estimated_cost=None if model == "no-such-model" else rnd.random() * (5 if is_spike else 0.05),
            cost_source="unknown" if model == "no-such-model" else "caller",
            input_tokens=tokens,
            output_tokens=tokens // 9,
            cache_read_tokens=tokens // 3,
            latency_ms=round(rnd.lognormvariate(9.5 if is_spike else 7, 0.8)),
            time_to_first_token_ms=rnd.lognormvariate(5, 0.5) if rnd.random() < 0.5 else None,
            retry_count=int(rnd.random() < 0.1),
            fallback_used=other,
            finish_reasons=["length" if rnd.random() < 0.1 else "stop"],
            success=not failed,
            error_type=rnd.choice(("rate_limit", "timeout")) if failed else None,
        )


def points_of(reader: InMemoryMetricReader, at: datetime) -> Iterator[Point]:
    """Yield what a reader has of each series."""
    data: Any = reader.get_metrics_data()
    for resource in data.resource_metrics if data is not None else ():
        for metric in (one for scope in resource.scope_metrics for one in scope.metrics):
            for point in metric.data.data_points:
                labels = {name: "true" if value is True else str(value) for name, value in point.attributes.items()}
                for suffix, more, value in _parts(point):
                    yield Point(metric.name + suffix, {**labels, **more}, at, value)


def _parts(point: Any) -> Iterator[tuple[str, dict[str, str], float]]:
    """A counter is one series; of a histogram there is one for each bound, and four more."""
    if not hasattr(point, "bucket_counts"):
        yield "", {}, point.value
        return
    total = 0
    for bound, count in zip((*point.explicit_bounds, math.inf), point.bucket_counts, strict=True):
        total += count
        yield ".bucket", {"le": "+Inf" if math.isinf(bound) else str(bound)}, total
    yield ".count", {}, point.count
    yield ".sum", {}, point.sum
    yield ".min", {}, point.min
    yield ".max", {}, point.max


def openmetrics(points: Sequence[Point]) -> list[str]:
    """Return the texts that Prometheus' own tool fills a server's past from.

    Two, for it reads all of a text again for every two hours that it holds.
    """
    old = [point for point in points if point.at < _DETAILED]
    return [_text(old), _text(points[len(old) :])]


def _text(points: Iterable[Point]) -> str:
    kinds = {metric.name: metric for metric in sc.METRICS if metric.name.startswith("attune.")}
    families: dict[str, list[str]] = {}
    for point in points:
        name, part = next(((one, point.metric[len(one) :]) for one in kinds if _is_of(point.metric, one)), ("", ""))
        if name and part not in (".count", ".min", ".max"):
            full = names_of(name, part.replace(".", "_"))[0]
            labels = ",".join(f'{key.replace(".", "_")}="{value}"' for key, value in point.labels.items())
            families.setdefault(name, []).append(f"{full}{{{labels}}} {point.value} {point.at.timestamp():.3f}")
    lines = []
    for name, samples in families.items():
        family = names_of(name)[0].removesuffix("_total")
        lines += [f"# TYPE {family} {kinds[name].instrument}", *samples]
    return "\n".join([*lines, "# EOF", ""])


def _is_of(metric: str, name: str) -> bool:
    return metric == name or metric.startswith(f"{name}.")
