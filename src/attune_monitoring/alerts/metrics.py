"""What rules can measure: the names of the metrics, and the ready-made measures that are built from them."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from attune_monitoring import semconv as sc
from attune_monitoring.errors import ConfigError, SourceError
from attune_monitoring.query import Aggregation, Filter, Query, Window, dimensions_of, metric_of
from attune_monitoring.schema import nearest

from .expression import Expression, Measure

__all__ = ["DIMENSIONS", "METRICS", "MetricType", "Quantity", "dimension_of", "m", "measure_of"]

METRICS: Mapping[str, sc.Metric] = {
    "calls": sc.LLM_CALLS,
    "cost": sc.LLM_COST,
    "baseline_cost": sc.LLM_BASELINE,
    "tokens": sc.LLM_TOKENS,
    "errors": sc.LLM_ERRORS,
    "retries": sc.LLM_RETRIES,
    "fallbacks": sc.LLM_FALLBACKS,
    "unknown_cost": sc.LLM_UNKNOWN_COST,
    "truncated": sc.LLM_TRUNCATED,
    "duration": sc.LLM_DURATION,
    "time_to_first_token": sc.LLM_TTFT,
    "runs": sc.WORKFLOW_RUNS,
    "run_duration": sc.WORKFLOW_DURATION,
    "stage_duration": sc.STAGE_DURATION,
    "dropped": sc.DROPPED,
}
"""Short names of the exported metrics; counters are sums, durations are seconds."""

DIMENSIONS: Mapping[str, str] = {
    "workflow_name": sc.WORKFLOW_NAME,
    "provider": sc.PROVIDER,
    "model": sc.RESPONSE_MODEL,
    "tier": sc.TIER,
    "project": sc.PROJECT,
    "outcome": sc.OUTCOME,
    "error_type": sc.ERROR_TYPE,
    "token_type": sc.TOKEN_TYPE,
    "stage": sc.STAGE_NAME,
}
"""Short names of the dimensions; the long ones are understood as well."""


def dimension_of(name: str) -> str:
    """Return the dimension of that short or long name; what is unknown is given back, for `Query.check` to refuse."""
    return DIMENSIONS.get(name, name)


@dataclasses.dataclass(frozen=True)
class Quantity:
    """A metric, to be asked for over a window: `m.cost.sum("24h")`, `m.duration.p95("5m", outcome="ok")`.

    Each method takes a window (`5m`, `24h`, `today`, `month`, or a `Window`) and conditions on dimensions: a text, or
    several of which one must hold. Counters know sum and rate (a second); durations (seconds) also the others.
    """

    name: str

    def sum(self, window: str | Window, **where: str | tuple[str, ...]) -> Measure:
        """Return the sum over the window."""
        return self._ask("sum", window, where)

    def rate(self, window: str | Window, **where: str | tuple[str, ...]) -> Measure:
        """Return the sum a second."""
        return self._ask("rate", window, where)

    def count(self, window: str | Window, **where: str | tuple[str, ...]) -> Measure:
        """Return the number of values of a duration."""
        return self._ask("count", window, where)

    def avg(self, window: str | Window, **where: str | tuple[str, ...]) -> Measure:
        """Return the average in seconds."""
        return self._ask("avg", window, where)

    def min(self, window: str | Window, **where: str | tuple[str, ...]) -> Measure:
        """Return the smallest in seconds."""
        return self._ask("min", window, where)

    def max(self, window: str | Window, **where: str | tuple[str, ...]) -> Measure:
        """Return the largest in seconds."""
        return self._ask("max", window, where)

    def p50(self, window: str | Window, **where: str | tuple[str, ...]) -> Measure:
        """Return the median in seconds."""
        return self._ask("p50", window, where)

    def p95(self, window: str | Window, **where: str | tuple[str, ...]) -> Measure:
        """Return the 95th percentile in seconds."""
        return self._ask("p95", window, where)

    def p99(self, window: str | Window, **where: str | tuple[str, ...]) -> Measure:
        """Return the 99th percentile in seconds."""
        return self._ask("p99", window, where)

    def _ask(
        self, aggregation: Aggregation, window: str | Window, where: Mapping[str, str | tuple[str, ...]]
    ) -> Measure:
        return measure_of(self.name, aggregation, window, where)


def measure_of(
    name: str, aggregation: Aggregation, window: str | Window, where: Mapping[str, Any], *, factor: float = 1.0
) -> Measure:
    """Return the measure of a metric.

    Args:
        name: one of `METRICS`, or the metric's own name.
        aggregation: of the query.
        window: a `Window` or its text.
        where: dimension (short or long) → the value it must have, or several of which it must have one.
        factor: what the answer is multiplied by.

    Raises:
        ConfigError: there is no such metric, window or dimension, or it cannot be aggregated like that.
    """
    metric = METRICS[name].name if name in METRICS else name
    filters = []
    try:
        for dimension, wanted in where.items():
            _check_dimension(name, metric, dimension)
            values = (wanted,) if isinstance(wanted, str) else tuple(wanted)
            filters.append(Filter(dimension_of(dimension), tuple(map(str, values))))
        over = window if isinstance(window, Window) else Window.of(window)
        query = Query(metric, over, aggregation, tuple(filters))
        query.check()
    except SourceError as error:
        raise ConfigError(str(error)) from error
    shown = "".join(f", {key}={value!r}" for key, value in where.items())
    scale = "" if factor == 1 else f"{factor:g} * "
    return Measure(query, f"{scale}{name}.{aggregation}({_shown(window)!r}{shown})", factor)


def _check_dimension(name: str, metric: str, dimension: str) -> None:
    has = dimensions_of(metric)
    if dimension_of(dimension) not in has:
        short = [one for one, full in DIMENSIONS.items() if full in has]
        hint = nearest(dimension, short)
        raise ConfigError(f"{name} has no dimension '{dimension}'{hint}; it has {', '.join(short)}")


def _shown(window: str | Window) -> str:
    if isinstance(window, str):
        return window
    return window.calendar or f"{window.seconds}s"


class _Metrics:
    """`m.cost`, `m.errors` …: every metric of `METRICS` as a `Quantity`."""

    def __getattr__(self, name: str) -> Quantity:
        if name not in METRICS:
            try:
                metric_of(name)
            except SourceError as error:
                raise AttributeError(f"no metric {name!r}; there are {', '.join(METRICS)}") from error
        return Quantity(name)

    def __dir__(self) -> list[str]:
        return list(METRICS)


m = _Metrics()
"""The metrics, for rules in Python: `m.errors.sum("5m") / m.calls.sum("5m") > 0.05`."""


class MetricType(enum.StrEnum):
    """Ready-made measures, for rules of one comparison. Money is USD, rates are percent (0 to 100), latency is ms."""

    DAILY_COST = "daily_cost"
    """Cost of the last 24 hours."""
    COST_TODAY = "cost_today"
    """Cost since local midnight."""
    MONTHLY_COST = "monthly_cost"
    """Cost since the first of the month, local time."""
    HOURLY_COST = "hourly_cost"
    """Cost of the last hour."""
    WORKFLOW_COST = "workflow_cost"
    """Cost of each workflow in the last 24 hours."""
    ERROR_RATE = "error_rate"
    """Percent of the calls of the last hour that failed."""
    FALLBACK_RATE = "fallback_rate"
    """Percent of the calls of the last hour that another model than the first answered."""
    RETRY_RATE = "retry_rate"
    """Retries for each 100 calls of the last hour."""
    LATENCY = "latency"
    """Average latency (ms) of the answered calls of the last hour."""
    LATENCY_P95 = "latency_p95"
    """95th percentile of the latency (ms) of the answered calls of the last hour."""
    TIME_TO_FIRST_TOKEN = "time_to_first_token"  # nosec B105  # the name of a metric
    """95th percentile of the time to the first token (ms) in the last hour."""
    TOKEN_USAGE = "token_usage"  # nosec B105
    """Input and output tokens of the last 24 hours."""
    CALL_COUNT = "call_count"
    """Calls of the last hour."""
    ERROR_COUNT = "error_count"
    """Failed calls of the last hour."""
    UNKNOWN_COST = "unknown_cost"
    """Calls of unknown cost in the last 24 hours."""
    TRUNCATED_COUNT = "truncated_count"
    """Answers of the last hour that were cut at the token limit."""
    WORKFLOW_FAILURES = "workflow_failures"
    """Percent of the runs of each workflow in the last 24 hours that failed."""

    @property
    def by(self) -> tuple[str, ...]:
        """The dimensions that it is measured by on its own."""
        return ("workflow_name",) if self in (MetricType.WORKFLOW_COST, MetricType.WORKFLOW_FAILURES) else ()

    @property
    def is_rate(self) -> bool:
        """Whether it is a share, which a few samples say little about."""
        return self in (
            MetricType.ERROR_RATE,
            MetricType.FALLBACK_RATE,
            MetricType.RETRY_RATE,
            MetricType.WORKFLOW_FAILURES,
        )

    def measure(self, window: str | Window | None = None, where: Mapping[str, Any] | None = None) -> Expression:
        """Return what is measured.

        Args:
            window: instead of its own.
            where: conditions on dimensions.
        """
        conditions = dict(where or {})

        def ask(name: str, aggregation: Aggregation, usual: str, factor: float = 1.0, **more: Any) -> Measure:
            return measure_of(name, aggregation, window or usual, {**conditions, **more}, factor=factor)

        rates: Mapping[MetricType, tuple[str, str, str, Mapping[str, Any]]] = {
            MetricType.ERROR_RATE: ("errors", "calls", "1h", {}),
            MetricType.FALLBACK_RATE: ("fallbacks", "calls", "1h", {}),
            MetricType.RETRY_RATE: ("retries", "calls", "1h", {}),
            MetricType.WORKFLOW_FAILURES: ("runs", "runs", "24h", {"outcome": "error"}),
        }
        if self in rates:
            part, whole, usual, extra = rates[self]
            return ask(part, "sum", usual, 100.0, **extra) / ask(whole, "sum", usual)
        plain: Mapping[MetricType, tuple[str, Aggregation, str, float, Mapping[str, Any]]] = {
            MetricType.DAILY_COST: ("cost", "sum", "24h", 1, {}),
            MetricType.COST_TODAY: ("cost", "sum", "today", 1, {}),
            MetricType.MONTHLY_COST: ("cost", "sum", "month", 1, {}),
            MetricType.HOURLY_COST: ("cost", "sum", "1h", 1, {}),
            MetricType.WORKFLOW_COST: ("cost", "sum", "24h", 1, {}),
            MetricType.LATENCY: ("duration", "avg", "1h", 1000, {"outcome": "ok"}),
            MetricType.LATENCY_P95: ("duration", "p95", "1h", 1000, {"outcome": "ok"}),
            MetricType.TIME_TO_FIRST_TOKEN: ("time_to_first_token", "p95", "1h", 1000, {}),
            MetricType.TOKEN_USAGE: ("tokens", "sum", "24h", 1, {"token_type": ("input", "output")}),
            MetricType.CALL_COUNT: ("calls", "sum", "1h", 1, {}),
            MetricType.ERROR_COUNT: ("errors", "sum", "1h", 1, {}),
            MetricType.UNKNOWN_COST: ("unknown_cost", "sum", "24h", 1, {}),
            MetricType.TRUNCATED_COUNT: ("truncated", "sum", "1h", 1, {}),
        }
        name, aggregation, usual, factor, more = plain[self]
        return ask(name, aggregation, usual, factor, **more)
