"""Whether an hour's sum is unusually high for its hour of the week, by the history of that series alone.

Sums are compared on a logarithmic scale, where a series that doubles by day and by week has the same spread everywhere.
Two methods, both of the standard library:

- from two weeks of history on: median and median absolute deviation (MAD) of the same hour of earlier weeks, pooled
  with the hours before and after it (Leys et al. 2013, https://doi.org/10.1016/j.jesp.2013.03.013);
- from four weeks on: additive Holt-Winters with a season of 168 hours, whose updates are bounded so that a spike does
  not become what is expected (Gelper, Fried and Croux 2010, https://doi.org/10.1002/for.1125).

Where an hour of the week was mostly empty, neither says anything: what runs now and then is compared with the busiest
tenth of the hours in which it ran.

benchmarks/anomaly.py measures both on series with injected spikes.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Literal, NamedTuple

__all__ = ["SEASON", "THRESHOLD", "WEEKS", "Expected", "Method", "expect", "score"]

SEASON = 168
"""Hours of a week."""
WEEKS = 8
"""Of history that are looked at; older ones say less about next week."""
THRESHOLD = 5.0
"""Robust standard deviations above what is expected from which an hour is unusual."""
_MAD_FLOOR = 0.12
"""Of logarithms: a steady series must not make an alarm of every tenth more."""
_TO_DEVIATION = 1.4826
"""A normal distribution's standard deviation in MADs."""
_SMALL = 0.1
"""Part of a usual hour that is added to each before its logarithm is taken: amounts far below are all the same."""
_LEVEL, _SEASONAL, _BOUND = 0.1, 0.2, 2.0
"""Smoothing of Holt-Winters, and the deviations that a single hour may move it by."""

Method = Literal["holt-winters", "median", "sparse"]


class Expected(NamedTuple):
    """What the next hour is expected to be, on the logarithmic scale."""

    center: float
    deviation: float
    small: float
    method: Method

    @property
    def value(self) -> float:
        """The sum that is expected."""
        return max(0.0, math.exp(self.center) - self.small)

    def score(self, value: float) -> float:
        """Return how many robust standard deviations a sum lies above (negative: below) what is expected."""
        return (math.log(max(0.0, value) + self.small) - self.center) / self.deviation


def expect(past: Sequence[float], method: Method | None = None) -> Expected | None:
    """Return what the hour after these is expected to be; None where they are less than two weeks, or all nothing.

    Args:
        past: sums of whole hours without a gap, oldest first; hours without records are 0.
        method: which method; by default Holt-Winters where there are four weeks, and `sparse` where the hour was empty.
    """
    recent = past[-WEEKS * SEASON :]
    positive = [value for value in recent if value > 0]
    if len(recent) < 2 * SEASON or not positive:
        return None
    small = _SMALL * statistics.median(positive)
    logs = [math.log(max(0.0, value) + small) for value in recent]
    same_hour = _same_hour(recent)
    if method is None and sum(value > 0 for value in same_hour) < len(same_hour) / 2:
        method = "sparse"
    method = method or ("holt-winters" if len(logs) >= 4 * SEASON else "median")
    if method == "sparse":
        center, spread = math.log(sorted(positive)[len(positive) * 9 // 10] + small), 0.0
    elif method == "median":
        center, spread = _median(_same_hour(logs))
    else:
        center, spread = _holt_winters(logs)
    return Expected(center, _TO_DEVIATION * max(spread, _MAD_FLOOR), small, method)


def score(past: Sequence[float], value: float, method: Method | None = None) -> float | None:
    """Return how many robust standard deviations an hour's sum lies above what is expected after `past`."""
    expected = expect(past, method)
    return None if expected is None else expected.score(value)


def _same_hour(values: Sequence[float]) -> list[float]:
    """Return the hours of earlier weeks that are, within one, the same hour of the week as the next one."""
    places = range(len(values) - SEASON, -2, -SEASON)
    return [values[place + shift] for place in places for shift in (-1, 0, 1) if place + shift >= 0]


def _median(logs: Sequence[float]) -> tuple[float, float]:
    center = statistics.median(logs)
    return center, statistics.median(abs(value - center) for value in logs)


def _holt_winters(logs: Sequence[float]) -> tuple[float, float]:
    weeks = 2
    first = logs[: weeks * SEASON]
    level = statistics.fmean(first)
    season = [statistics.fmean(first[hour::SEASON]) - level for hour in range(SEASON)]
    errors: list[float] = []
    deviation = _TO_DEVIATION * max(
        _MAD_FLOOR, statistics.median(abs(value - level - season[at % SEASON]) for at, value in enumerate(first))
    )
    for at in range(weeks * SEASON, len(logs)):
        hour = at % SEASON
        error = logs[at] - level - season[hour]
        errors.append(abs(error))
        bounded = max(-_BOUND * deviation, min(_BOUND * deviation, error))
        level += _LEVEL * bounded
        season[hour] += _SEASONAL * (1 - _LEVEL) * bounded
        if at % 24 == 0:
            deviation = _TO_DEVIATION * max(_MAD_FLOOR, statistics.median(errors[-weeks * SEASON :]))
    return level + season[len(logs) % SEASON], statistics.median(errors[-weeks * SEASON :])
