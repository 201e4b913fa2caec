"""From what a source has found to answers: aggregations and ratios, the same for every source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from attune_monitoring import semconv as sc
from attune_monitoring.figures import Latency
from attune_monitoring.query import Answer, Query, metric_of

__all__ = ["NAMES", "Group", "answer_of", "ratio_of"]

NAMES: Mapping[str, str] = {
    sc.WORKFLOW_NAME: "workflow",
    sc.PROVIDER: "provider",
    sc.RESPONSE_MODEL: "model",
    sc.TIER: "tier",
    sc.PROJECT: "project",
    sc.OUTCOME: "outcome",
    sc.ERROR_TYPE: "error",
    sc.STAGE_NAME: "stage",
}
"""What the history calls the dimensions of the metrics."""


class Group(NamedTuple):
    """What was found for one combination of dimension values."""

    total: float
    """Sum of a counter; of a histogram the number of its values."""
    samples: int
    """Records that it was made from."""
    durations: Latency
    """Values of a histogram, in milliseconds."""

    def plus(self, other: Group) -> Group:
        """Return both together."""
        return Group(self.total + other.total, self.samples + other.samples, self.durations.plus(other.durations))


def answer_of(query: Query, groups: Mapping[tuple[str, ...], Group], seconds: float) -> list[Answer]:
    """Return the answers to a query that is no ratio.

    Args:
        query: the query.
        groups: what was found, by values of its `group_by`.
        seconds: length of its window.
    """
    return [
        Answer(dict(zip(query.group_by, labels, strict=True)), _aggregate(query, group, seconds), group.samples)
        for labels, group in sorted(groups.items())
        if group.samples
    ]


def ratio_of(
    query: Query, dividends: Mapping[tuple[str, ...], Group], divisors: Mapping[tuple[str, ...], Group]
) -> list[Answer]:
    """Return dividend / divisor for each group that has a divisor; where that is zero there is no data.

    Args:
        query: the ratio.
        dividends: by values of its `group_by`; a group that is missing is zero.
        divisors: by values of the divisor's `group_by`.
    """
    divisor = query.divisor
    if divisor is None:
        return []
    places = [query.group_by.index(name) for name in divisor.group_by]
    same = divisor.group_by == query.group_by
    found = []
    for labels in sorted({*dividends, *divisors} if same else dividends):
        base = divisors.get(tuple(labels[place] for place in places))
        if base is None or not base.samples:
            continue
        dividend = dividends.get(labels)
        value = (dividend.total if dividend is not None else 0.0) / base.total if base.total else None
        found.append(Answer(dict(zip(query.group_by, labels, strict=True)), value, base.samples))
    return found


def _aggregate(query: Query, group: Group, seconds: float) -> float | None:
    if query.aggregation == "rate":
        return group.total / seconds if seconds > 0 else None
    if metric_of(query.metric).instrument == "counter":
        return float(group.total)
    durations = group.durations
    if query.aggregation == "count":
        return float(durations.count)
    if not durations.count:
        return None
    if query.aggregation == "sum":
        milliseconds: float | None = durations.total
    elif query.aggregation == "avg":
        milliseconds = durations.average
    elif query.aggregation == "min":
        milliseconds = durations.minimum
    elif query.aggregation == "max":
        milliseconds = durations.maximum
    else:
        milliseconds = durations.percentile(float(query.aggregation[1:]))
    return None if milliseconds is None else milliseconds / 1000
