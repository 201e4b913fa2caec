"""How well unusual hours are found, and months foreseen, on synthetic costs; all seeded, so the same in every run.

    python benchmarks/anomaly.py [--series 40]

- *anomaly*: twelve weeks of hourly costs with a day's and a week's shape, growth, noise and quiet nights, and spikes of
  one to four hours that multiply the cost by 2.5 to 8. F1 is over spikes (found, if one of their hours is) and false
  alarms (hours in a row are one); the first four weeks are history only.
- *now and then*: workflows that run in one hour of ten, at random, without spikes: every alarm is a false one.
- *forecast*: months of daily costs with weekends and growth: the median error of the month's total, seen from day 10.
"""

from __future__ import annotations

import argparse
import calendar
import math
import random
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from attune_monitoring.alerts.anomalies import SEASON, THRESHOLD, Method, expect
from attune_monitoring.alerts.forecasts import EVEN, profile, project

HISTORY, TESTED = 4, 8
WANTED = {"F1": 0.85, "false alarms a week": 0.2, "error at day 10 (%)": 6.0}


class Series(NamedTuple):
    values: list[float]
    spikes: list[range]


class Found(NamedTuple):
    hits: int
    misses: int
    false: int

    @property
    def f1(self) -> float:
        return math.nan if not self.hits + self.misses else 2 * self.hits / (2 * self.hits + self.misses + self.false)


def hourly(rnd: random.Random) -> Series:
    base, growth = rnd.lognormvariate(0, 1), rnd.uniform(-0.01, 0.03)
    noise, weekend, night = rnd.uniform(0.15, 0.35), rnd.uniform(0.1, 0.9), rnd.uniform(0.0, 0.4)
    values = []
    for hour in range((HISTORY + TESTED) * SEASON):
        shape = max(night, math.sin(math.pi * ((hour % 24) - 6) / 14)) * (weekend if hour % SEASON >= 120 else 1)
        values.append(base * shape * math.exp(growth * hour / SEASON + rnd.gauss(0, noise)))
    spikes = []
    for week in range(HISTORY, HISTORY + TESTED):
        begin = week * SEASON + rnd.randrange(SEASON - 4)
        spike = range(begin, begin + rnd.randint(1, 4))
        usual = statistics.median(value for value in values[:SEASON] if value > 0)
        factor = rnd.uniform(2.5, 8)
        for hour in spike:
            values[hour] = max(values[hour], usual / 2) * factor
        spikes.append(spike)
    return Series(values, spikes)


def now_and_then(rnd: random.Random) -> Series:
    hours = (HISTORY + TESTED) * SEASON
    return Series([rnd.lognormvariate(0, 0.5) if rnd.random() < 0.1 else 0.0 for _ in range(hours)], [])


def find(series: Series, method: Method | None) -> Found:
    start = HISTORY * SEASON
    alarms = {
        hour
        for hour in range(start, len(series.values))
        if (expected := expect(series.values[:hour], method)) and expected.score(series.values[hour]) > THRESHOLD
    }
    hits = sum(any(hour in alarms for hour in spike) for spike in series.spikes)
    around = {hour for spike in series.spikes for hour in range(spike.start - 1, spike.stop + 2)}
    false = sum(hour not in around and hour - 1 not in alarms for hour in alarms)
    return Found(hits, len(series.spikes) - hits, false)


def daily(rnd: random.Random) -> tuple[dict[int, float], datetime, datetime]:
    """Return costs by hour from eight weeks before a month until its end, and that month."""
    year, month = 2026, rnd.randint(1, 11)
    start, end = datetime(year, month, 1, tzinfo=UTC), datetime(year, month + 1, 1, tzinfo=UTC)
    weekend, growth, noise = rnd.uniform(0.2, 1.0), rnd.uniform(-0.002, 0.005), rnd.uniform(0.1, 0.35)
    values = {}
    for day in range(-56, calendar.monthrange(year, month)[1]):
        begin = int(start.timestamp()) + day * 86400
        rest = datetime.fromtimestamp(begin, UTC).weekday() >= 5
        total = 20 * (weekend if rest else 1) * math.exp(growth * day + rnd.gauss(0, noise))
        for hour in range(24):
            values[begin + hour * 3600] = total / 24
    return values, start, end


def errors_of_months(months: int, day: int, *, weekdays: bool) -> list[float]:
    rnd = random.Random(11)
    errors = []
    for _ in range(months):
        values, start, end = daily(rnd)
        now = start.timestamp() + day * 86400
        known = {hour: value for hour, value in values.items() if hour < now}
        spent = sum(value for hour, value in known.items() if hour >= start.timestamp())
        weights = profile(known, now) if weekdays else EVEN
        projected = project(spent, start.timestamp(), end.timestamp(), now, weights)
        actual = sum(value for hour, value in values.items() if hour >= start.timestamp())
        errors.append(abs(projected.total / actual - 1) * 100 if projected else math.inf)
    return errors


def report(rows: Sequence[tuple[str, Found, int]]) -> bool:
    print(f"{'method':16}{'F1':>8}{'false alarms a week':>24}")
    fine = True
    for name, found, weeks in rows:
        false = found.false / weeks
        fine &= not found.f1 < WANTED["F1"] and false <= WANTED["false alarms a week"]
        print(f"{name:16}{found.f1:8.3f}{false:24.3f}")
    return fine


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=40)
    count = parser.parse_args().series
    rows = []
    methods: tuple[Method | None, ...] = ("holt-winters", "median", None)
    for method in methods:
        rnd = random.Random(7)
        began = time.perf_counter()
        found = [find(hourly(rnd), method) for _ in range(count)]
        print(
            f"{method or 'chosen'}: {(time.perf_counter() - began) / count / TESTED / SEASON * 1000:.2f} ms an hour",
            file=sys.stderr,
        )
        rows.append((method or "as it chooses", Found(*map(sum, zip(*found, strict=True))), count * TESTED))
    rnd = random.Random(5)
    sparse = [find(now_and_then(rnd), None) for _ in range(count)]
    rows.append(("now and then", Found(*map(sum, zip(*sparse, strict=True))), count * TESTED))
    fine = report(rows)
    for day in (3, 5, 10, 20):
        plain = statistics.median(errors_of_months(200, day, weekdays=False))
        weekdays = statistics.median(errors_of_months(200, day, weekdays=True))
        print(f"month's cost from day {day:2}: median error {plain:5.1f} % (run-rate) {weekdays:5.1f} % (weekdays)")
        fine &= day != 10 or weekdays <= WANTED["error at day 10 (%)"]
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
