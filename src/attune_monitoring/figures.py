"""How records become figures: what a call adds, latency histograms that can be merged, old duplicate pairs.

docs/figures.md says each rule once in words; this is the same in code, for the roll-up and for plain records alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from attune_monitoring.records import LLMCallRecord, parse_time
from attune_monitoring.semconv import TRUNCATED_REASONS

__all__ = [
    "CALL_SUMS",
    "PLACEHOLDER_USER",
    "TWIN_WINDOW",
    "Figures",
    "Latency",
    "Twins",
    "count_call",
    "is_counted",
    "is_of_earlier_writer",
    "lane_of",
    "once",
    "user_of",
]

_STEPS = 10
"""Buckets of a latency histogram for each doubling: a bucket's middle is at most 2^(1/20) − 1 = 3.6 % off."""
_LANE_BITS = 32
_LANES = 253
"""The last bucket begins below 10 hours in milliseconds."""
_LANE_MASK = (1 << _LANE_BITS) - 1
_MEMO_LIMIT = 65_536

CALL_SUMS = (
    "calls", "cost", "unknown", "baseline", "savings", "input", "output", "cache_read", "cache_write", "reasoning",
    "retries", "fallbacks", "truncated", "retry_waste", "fallback_waste",
)  # fmt: skip
"""What is summed over calls, in the order in which `count_call` adds it up."""
_SUMS = frozenset(CALL_SUMS)
_MONEY = frozenset({"cost", "baseline", "savings", "retry_waste", "fallback_waste"})


def lane_of(milliseconds: float) -> int:
    """Return a histogram that holds one duration: a whole number whose 32-bit lanes are the counts of the buckets.

    Histograms of this shape are merged by adding them, which Python does for all lanes at once.
    """
    lane = _lane_memo.get(milliseconds)
    if lane is None:
        bucket = 0 if milliseconds <= 1 else min(_LANES - 1, math.ceil(math.log2(milliseconds) * _STEPS))
        lane = 1 << (_LANE_BITS * bucket)
        if len(_lane_memo) >= _MEMO_LIMIT:
            _lane_memo.clear()
        _lane_memo[milliseconds] = lane
    return lane


_lane_memo: dict[float, int] = {}


class Latency:
    """Durations in milliseconds: number, sum, extremes and a histogram."""

    __slots__ = ("count", "histogram", "maximum", "minimum", "total")

    def __init__(
        self,
        count: int = 0,
        total: float = 0.0,
        minimum: float = math.inf,
        maximum: float = -math.inf,
        histogram: int = 0,
    ) -> None:
        self.count = count
        self.total = total
        self.minimum = minimum
        self.maximum = maximum
        self.histogram = histogram

    def add(self, milliseconds: float) -> None:
        """Add one duration."""
        self.count += 1
        self.total += milliseconds
        self.minimum = min(self.minimum, milliseconds)
        self.maximum = max(self.maximum, milliseconds)
        self.histogram += lane_of(milliseconds)

    def merge(self, other: Latency) -> None:
        """Add all of another."""
        if not other.count:
            return
        self.count += other.count
        self.total += other.total
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        self.histogram += other.histogram

    def plus(self, other: Latency) -> Latency:
        """Return both together."""
        both = Latency()
        both.merge(self)
        both.merge(other)
        return both

    @property
    def average(self) -> float | None:
        """Arithmetic mean in milliseconds; None of nothing."""
        return self.total / self.count if self.count else None

    def percentile(self, percent: float) -> float | None:
        """Nearest rank, as the geometric middle of its bucket within the extremes (at most 3.6 % off); None of nothing.

        Args:
            percent: above 0, up to 100.
        """
        if not self.count:
            return None
        rank = max(1, math.ceil(self.count * percent / 100))
        if rank >= self.count:
            return self.maximum
        rest, seen = self.histogram, 0
        for bucket in range(_LANES):
            seen += rest & _LANE_MASK
            if seen >= rank:
                middle = 1.0 if bucket == 0 else 2 ** ((bucket - 0.5) / _STEPS)
                return min(max(middle, self.minimum), self.maximum)
            rest >>= _LANE_BITS
        return self.maximum


class Figures:
    """What a set of calls comes to. Money is USD, latencies milliseconds, tokens counts.

    Attributes of `CALL_SUMS` are sums over the calls; `outcomes` and `errors` count calls by outcome and error type.
    """

    # Defaults of the class, so that a new set of figures costs little: there is one for each series of a look.
    calls: int = 0
    cost: float = 0
    unknown: int = 0
    baseline: float = 0
    savings: float = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    retries: int = 0
    fallbacks: int = 0
    truncated: int = 0
    retry_waste: float = 0
    fallback_waste: float = 0

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {}
        self.errors: dict[str, int] = {}
        self.latency = Latency()
        """Of the calls with outcome ok."""
        self.unanswered = Latency()
        """Of all others."""
        self.time_to_first_token = Latency()

    def add(self, record: LLMCallRecord) -> None:
        """Add one call."""
        outcome = record.outcome
        for name, value in zip(CALL_SUMS, count_call(record), strict=True):
            if value:
                setattr(self, name, getattr(self, name) + value)
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        if outcome == "error":
            kind = record.error_type or "_OTHER"
            self.errors[kind] = self.errors.get(kind, 0) + 1
        (self.latency if outcome == "ok" else self.unanswered).add(record.latency_ms)
        first = record.time_to_first_token_ms
        if first is not None and first >= 0:
            self.time_to_first_token.add(first)

    def merge_row(self, outcome: str, error: str, sums: Sequence[float], timings: Sequence[Latency]) -> None:
        """Add calls of one outcome and error type that have been summed up already.

        Args:
            outcome: ok, error or cancelled.
            error: the type of error, empty where there is none.
            sums: in the order of `CALL_SUMS`.
            timings: durations of the calls and times to first token, or nothing.
        """
        for name, value in zip(CALL_SUMS, sums, strict=True):
            if value:
                known = getattr(self, name)
                setattr(self, name, known + (value if name in _MONEY else int(value)))
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + int(sums[0])
        if error:
            self.errors[error] = self.errors.get(error, 0) + int(sums[0])
        if timings:
            latency, first_token = timings
            (self.latency if outcome == "ok" else self.unanswered).merge(latency)
            self.time_to_first_token.merge(first_token)

    def merge(self, other: Figures) -> None:
        """Add all calls of another."""
        sums = self.__dict__
        for name, more in other.__dict__.items():  # only what is not zero stands there
            if name in _SUMS:
                sums[name] = sums.get(name, 0) + more
        for mine, others in ((self.outcomes, other.outcomes), (self.errors, other.errors)):
            for name, count in others.items():
                mine[name] = mine.get(name, 0) + count
        self.latency.merge(other.latency)
        self.unanswered.merge(other.unanswered)
        self.time_to_first_token.merge(other.time_to_first_token)

    @property
    def failed(self) -> int:
        """Calls with outcome error."""
        return self.outcomes.get("error", 0)

    @property
    def success_rate(self) -> float | None:
        """ok / (ok + error) in percent; None where there is neither."""
        ok = self.outcomes.get("ok", 0)
        return 100 * ok / (ok + self.failed) if ok + self.failed else None

    @property
    def error_rate(self) -> float | None:
        """Error / calls in percent; None without calls."""
        return 100 * self.failed / self.calls if self.calls else None

    @property
    def savings_percent(self) -> float | None:
        """Savings in percent of the baseline; None where that is zero."""
        return 100 * self.savings / self.baseline if self.baseline else None

    @property
    def average_cost(self) -> float | None:
        """USD for each call of known cost; None where there is none."""
        known = self.calls - self.unknown
        return self.cost / known if known else None


def count_call(record: LLMCallRecord) -> tuple[float, ...]:
    """Return what one call adds to each of `CALL_SUMS`."""
    cost = record.cost
    baseline = record.baseline_cost if cost is not None else None  # nothing is saved against what is not known
    retry_waste = fallback_waste = 0.0
    for attempt in record.attempts:
        wasted = attempt.get("cost")
        if isinstance(wasted, (int, float)) and not isinstance(wasted, bool) and -math.inf < wasted < math.inf:
            if attempt.get("outcome") == "retry":
                retry_waste += wasted
            elif attempt.get("outcome") == "fallback":
                fallback_waste += wasted
    return (
        1,
        cost or 0.0,
        cost is None and record.cost_source != "none",
        baseline or 0.0,
        0.0 if baseline is None or cost is None else baseline - cost,
        record.input_tokens or 0,
        record.output_tokens or 0,
        record.cache_read_tokens or 0,
        record.cache_write_tokens or 0,
        record.reasoning_tokens or 0,
        record.retry_count,
        record.fallback_used,
        bool(record.finish_reasons) and not TRUNCATED_REASONS.isdisjoint(record.finish_reasons),
        retry_waste,
        fallback_waste,
    )


def is_counted(record: Any, *, include_tests: bool = False) -> bool:
    """Whether a call or run counts: those made under pytest only where asked for."""
    return include_tests or not record.under_pytest


TWIN_WINDOW = 64
"""Records of earlier writers between which a duplicate pair is looked for."""
_TWIN_SECONDS = 0.1000005  # half a microsecond more: seconds since the epoch are no finer as floats
PLACEHOLDER_USER = "workflow"
"""What earlier writers gave as the user of a call that belonged to a workflow."""


class _Half(NamedTuple):
    """A record of an earlier writer that may be one of a pair."""

    with_run: bool
    key: tuple[Any, ...]
    time: float


class Twins:
    """Recognises the second of two records that earlier writers made of one call (see docs/figures.md).

    Args:
        waiting: what `state` of an earlier reader of the same file gave.
    """

    def __init__(self, waiting: Iterable[Iterable[Any]] = ()) -> None:
        self._free = [_Half(bool(half[0]), tuple(half[1]), float(half[2])) for half in map(list, waiting)]

    def is_second(self, user_id: str | None, has_run_key: bool, key: tuple[Any, ...], time: float) -> bool:
        """Whether a record of an earlier writer is the second of a pair; records come in the order of the file.

        Args:
            user_id: the record's.
            has_run_key: whether `metadata` has a `run_id`, null or not.
            key: workflow, step, task type, provider, tier, model, tokens, cost and success.
            time: when the call ended (seconds since the epoch).
        """
        if has_run_key is (user_id == PLACEHOLDER_USER) or (has_run_key and user_id is not None):
            return False
        for place, half in enumerate(self._free):
            if half.with_run is not has_run_key and half.key == key and abs(half.time - time) <= _TWIN_SECONDS:
                del self._free[place]
                return True
        self._free.append(_Half(has_run_key, key, time))
        if len(self._free) > TWIN_WINDOW:
            del self._free[0]
        return False

    def state(self) -> list[tuple[bool, tuple[Any, ...], float]]:
        """Return what is needed to go on from here: the records that are free still."""
        return [(half.with_run, half.key, half.time) for half in self._free]


def once(records: Iterable[LLMCallRecord], twins: Twins | None = None) -> Iterator[LLMCallRecord]:
    """Yield the records, in the order of the file, but for the second of each old duplicate pair.

    Args:
        records: in the order of the file.
        twins: what is known of the records before these, and afterwards of these too.
    """
    known = twins if twins is not None else Twins()
    for record in records:
        if not (is_of_earlier_writer(record) and known.is_second(*_as_half(record))):
            yield record


def is_of_earlier_writer(record: LLMCallRecord) -> bool:
    """Whether a record says neither what process nor what dialect made it, as all do that are written today."""
    return record.pid is None and record.dialect is None


def user_of(record: LLMCallRecord) -> str | None:
    """Return the user; earlier writers put a placeholder there."""
    return None if record.user_id == PLACEHOLDER_USER and is_of_earlier_writer(record) else record.user_id


def _as_half(record: LLMCallRecord) -> tuple[str | None, bool, tuple[Any, ...], float]:
    key = (
        record.workflow_name,
        record.step_name,
        record.task_type,
        record.provider,
        record.tier,
        record.model_id,
        record.input_tokens,
        record.output_tokens,
        record.cost,
        record.success,
    )
    return record.user_id, "run_id" in record.metadata, key, parse_time(record.timestamp).timestamp()
