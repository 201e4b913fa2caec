"""From the outbox to the channels: each at its own pace, tried again while that can help, none in another's way."""

from __future__ import annotations

import hashlib
import logging
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from attune_monitoring.errors import ActionError, ConfigError

from .actions import Sender, rate_of, sender_of
from .notification import Notification
from .rule import AlertAction

__all__ = ["Deliverer", "Queue", "Report", "Row", "digest_of"]

_log = logging.getLogger("attune_monitoring.alerts")

_QUICK = (0.5, 1.0)
"""Seconds before the second and the third quick try."""
_LONGEST_WAIT = 5.0
"""A wait that is longer is not spent in the worker: the rows stay in the queue."""
_FIRST_BACKOFF = 30.0
_LONGEST_BACKOFF = 3600.0
_LONGEST_REST = 300.0
"""How long a failing channel is left alone by messages that it has not seen, unless it asks for more."""
_MAX_AGE = 86400.0
_BURST = 3
_FAILURES = 2
"""So many messages in a row must fail before the channel, not the message, is held to be broken."""
_PATIENCE = 20.0
_ROUND = 1.0
_GRACE = 0.5
_POLL = 0.05
_WORST_FIRST = {"critical": 0, "warning": 1, "info": 2}


class Row(msgspec.Struct, frozen=True):
    """A notification that waits for delivery.

    Args:
        id: of the row.
        channel: name of the channel, for people.
        action: which of its rule's actions, from 0.
        notification: what is to be told.
        attempts: how many rounds have failed.
        created: when it was queued, in seconds since the epoch.
    """

    id: int
    channel: str
    action: int
    notification: Notification
    attempts: int
    created: float


class Queue(Protocol):
    """Where rows wait. It is called only in the thread that calls `Deliverer.deliver`."""

    def due(self, now: float) -> Sequence[Row]:
        """Return what is to be tried now, the oldest first."""
        ...

    def done(self, row: Row) -> None:
        """Forget a row that was delivered."""
        ...

    def failed(self, row: Row, *, at_next: float, error: str) -> None:
        """Keep a row until it is due again, and count the attempt."""
        ...

    def dead(self, row: Row, error: str) -> None:
        """Give a row up, and keep it where people see it."""
        ...


class Report(msgspec.Struct):
    """What became of rows in one round."""

    done: int = 0
    failed: int = 0
    dead: int = 0


class _StoppedError(Exception):
    """It is time to stop; rows that are not settled stay in the queue."""


class _Result(msgspec.Struct, frozen=True):
    """What became of one message of a lane; without rows: that the lane's worker has ended."""

    lane: _Lane
    rows: Sequence[Row] = ()
    error: ActionError | None = None
    broken: bool = False
    """At the end: nothing could be delivered."""


class _Bucket:
    """Tokens, one a message: `rate` a second, at most three at once."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._tokens = float(_BURST)
        self._filled = clock()

    def _fill(self) -> float:
        now = self._clock()
        # A clock that was set back gives nothing, and takes nothing.
        self._tokens = min(float(_BURST), self._tokens + max(0.0, now - self._filled) * self._rate)
        self._filled = now
        return self._tokens

    def take(self) -> None:
        self._tokens = max(0.0, self._fill() - 1.0)

    def free(self) -> int:
        """Return how many messages may go now."""
        return int(self._fill() + 1e-9)

    def pause(self) -> float:
        """Return the seconds until one may go."""
        return max(0.0, (1.0 - self._fill()) / self._rate) if not self.free() else 0.0


class _Lane:
    """One channel: its sender, its pace, and what it is busy with."""

    def __init__(self, action: AlertAction, name: str, clock: Callable[[], float]) -> None:
        self.action = action
        self.name = name
        self.bucket = _Bucket(rate_of(action), clock)
        self.not_before = 0.0
        self.backoff = 0.0
        self.busy = False
        self._send: Sender | None = None

    def send(self, notification: Notification) -> None:
        if self._send is None:
            try:
                self._send = sender_of(self.action)
            except ConfigError as error:
                # A file can be mended, a variable set: the message waits for that as for a receiver that is down.
                raise ActionError(str(error), retryable=True) from None
        self._send(notification)


class Deliverer:
    """Delivers what is due, at least once and with the same key each time.

    A message gets three quick tries, then waits 30 s, 1 min … 1 h between further ones until it is a day old, and is
    dead then; one that the receiver will never take is dead at once. More messages than a channel may take become one
    digest. Each channel has a worker of its own while it has something to do.

    Args:
        rows: where notifications wait.
        action_of: a row's action; None where there is none any more.
        clock: seconds since the epoch.
        wait: waits so many seconds; returns True at once when it is time to stop, as `threading.Event.wait` does.
            `deliver` may be given an event instead.
        jitter: a factor about 1 for each wait, so that many watchers do not come back at once.
        max_age: after how many seconds a message that cannot be delivered is given up.
    """

    def __init__(
        self,
        rows: Queue,
        action_of: Callable[[Row], AlertAction | None],
        *,
        clock: Callable[[], float] = time.time,
        wait: Callable[[float], bool] | None = None,
        jitter: Callable[[], float] = lambda: random.SystemRandom().uniform(0.75, 1.25),
        max_age: float = _MAX_AGE,
    ) -> None:
        self._rows = rows
        self._action_of = action_of
        self._clock = clock
        self._wait = wait or threading.Event().wait
        self._jitter = jitter
        self._max_age = max_age
        self._lanes: list[_Lane] = []
        self._results: queue.SimpleQueue[_Result] = queue.SimpleQueue()

    def deliver(self, stop: threading.Event | None = None, *, patience: float | None = None) -> Report:
        """Deliver what is due and return what became of it.

        A channel that takes longer goes on in the background; what became of its rows is seen to in the next round.

        Args:
            stop: ends all waiting; what is not delivered by then stays in the queue.
            patience: seconds after which this returns all the same: by default 20, and 1 where `stop` is given, because
                who can stop it calls it again and again, and new messages must not wait for a slow channel.
        """
        if stop is not None:
            self._wait = stop.wait
        report = Report()
        self._settle(report)
        for lane, rows in self._waiting(report):
            name = f"attune-alerts-{lane.name}"
            threading.Thread(target=self._work, args=(lane, rows), name=name, daemon=True).start()
            lane.busy = True
        deadline = time.monotonic() + (patience if patience is not None else _PATIENCE if stop is None else _ROUND)
        stopping = False
        while any(lane.busy for lane in self._lanes) and time.monotonic() < deadline:
            self._settle(report, _POLL)
            if not stopping and self._wait(0):
                # Whoever has just received a message should not get it again after the next start.
                stopping, deadline = True, min(deadline, time.monotonic() + _GRACE)
        self._settle(report)
        return report

    def _waiting(self, report: Report) -> list[tuple[_Lane, list[Row]]]:
        """Return what is due, by channel."""
        now = self._clock()
        found: dict[int, tuple[_Lane, list[Row]]] = {}
        for row in self._rows.due(now):
            action = self._action_of(row)
            if action is None:
                self._bury(row, "its rule has no such action any more", report)
                continue
            lane = self._lane(action, row.channel)
            # A rest that is longer than any comes of a clock that was set back.
            if not lane.busy and not now < lane.not_before <= now + self._max_age:
                found.setdefault(id(lane), (lane, []))[1].append(row)
        return list(found.values())

    def _lane(self, action: AlertAction, name: str) -> _Lane:
        """Return the channel of an action: the same type with the same options is the same channel."""
        for lane in self._lanes:
            if (lane.action.type, lane.action.options) == (action.type, action.options):
                return lane
        self._lanes.append(_Lane(action, name or action.type, self._clock))
        return self._lanes[-1]

    def _work(self, lane: _Lane, rows: list[Row]) -> None:
        """Deliver a channel's rows, in a thread of its own."""
        in_a_row = 0
        broken = True
        try:
            while rows and (batch := self._next(lane, rows)):
                error = self._tried(lane, batch[0].notification if len(batch) == 1 else digest_of(batch))
                if error is None or not error.retryable:
                    in_a_row, broken = 0, False
                else:
                    in_a_row += 1
                    if in_a_row == _FAILURES or error.retry_after is not None:
                        batch, rows = [*batch, *rows], []
                self._results.put(_Result(lane, batch, error))
        except _StoppedError:
            broken = False
        finally:
            self._results.put(_Result(lane, broken=broken and in_a_row > 0))

    def _next(self, lane: _Lane, rows: list[Row]) -> list[Row]:
        """Take the next message's rows: one, or all that are left where only one more message may go."""
        pause = lane.bucket.pause()
        if pause > _LONGEST_WAIT:
            return []
        if self._wait(pause):
            raise _StoppedError
        free = lane.bucket.free()
        count = 1 if free > 1 or len(rows) <= free else len(rows)
        if count > 1:
            _log.info("%s: %d messages at once are more than it takes; they go as one digest", lane.name, count)
        lane.bucket.take()
        batch = rows[:count]
        del rows[:count]
        return batch

    def _tried(self, lane: _Lane, notification: Notification) -> ActionError | None:
        """Try to deliver a message, three times if that can help; return why it is not delivered."""
        for number in range(len(_QUICK) + 1):
            try:
                lane.send(notification)
            except ActionError as error:
                problem = error
            else:
                return None
            pause = max(problem.retry_after or 0.0, _QUICK[number] * self._jitter()) if number < len(_QUICK) else 0.0
            if not problem.retryable or not 0 < pause <= _LONGEST_WAIT:
                break
            if self._wait(pause):
                raise _StoppedError
        return problem

    def _settle(self, report: Report, seconds: float = 0.0) -> None:
        """Write down what has become of messages; wait so long for the first of them."""
        try:
            result = self._results.get(timeout=seconds) if seconds else self._results.get_nowait()
            while True:
                self._write(result, report)
                result = self._results.get_nowait()
        except queue.Empty:
            return

    def _write(self, result: _Result, report: Report) -> None:
        lane, error, now = result.lane, result.error, self._clock()
        if not result.rows:
            lane.busy = False
            lane.not_before = max(lane.not_before, now + min(lane.backoff, _LONGEST_REST)) if result.broken else 0.0
        elif error is None:
            for row in result.rows:
                self._rows.done(row)
            report.done += len(result.rows)
        else:
            self._write_failure(lane, result.rows, error, now, report)

    def _write_failure(self, lane: _Lane, rows: Sequence[Row], error: ActionError, now: float, report: Report) -> None:
        attempts = max(row.attempts for row in rows)
        lane.backoff = min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2.0 ** min(attempts, 10)) * self._jitter()
        asked = min(error.retry_after or 0.0, self._max_age)
        lane.not_before = now + asked
        kept = 0
        for row in rows:
            deadline = row.created + self._max_age
            if not error.retryable or now >= deadline:
                self._bury(row, str(error), report)
            else:
                self._rows.failed(row, at_next=min(now + max(lane.backoff, asked), deadline), error=str(error))
                kept += 1
        report.failed += kept
        if kept:
            _log.warning(
                "%s: %d message(s) not delivered yet: %s; next try in %.0f s",
                lane.name, kept, error, max(lane.backoff, asked),
            )  # fmt: skip

    def _bury(self, row: Row, error: str, report: Report) -> None:
        self._rows.dead(row, error)
        report.dead += 1
        _log.error("%s: the message of rule %r is given up: %s", row.channel, row.notification.rule, error)


def digest_of(rows: Sequence[Row]) -> Notification:
    """Return one message that stands for several, the worst first; the same rows make the same key."""
    parts = [part for row in rows for part in (row.notification.parts or (row.notification,))]
    parts.sort(key=lambda part: _WORST_FIRST.get(part.severity, len(_WORST_FIRST)))
    counts = Counter(part.severity for part in parts)
    told = ", ".join(f"{count} {severity}" for severity, count in counts.items())
    keys = "\n".join(sorted(row.notification.key for row in rows))
    return Notification(
        key=f"digest-{hashlib.sha256(keys.encode('utf-8', 'replace')).hexdigest()[:32]}",
        kind="digest",
        rule=f"{len(parts)} alerts",
        severity=parts[0].severity,
        summary=f"{len(parts)} alerts: {told}",
        started_at=min(part.started_at for part in parts),
        at=max(part.at for part in parts),
        test=all(part.test for part in parts),
        parts=tuple(parts),
    )
