"""The limits of monitoring.yaml: what all processes together may spend in a calendar period, kept in memory."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from attune_monitoring import semconv as sc
from attune_monitoring.config import BudgetConfig
from attune_monitoring.errors import BudgetExceeded
from attune_monitoring.figures import user_of
from attune_monitoring.query import Window
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, parse_time
from attune_monitoring.scope import HOOKS, scope_of

from .block import ask_blocks, respond

__all__ = ["Limits", "Spent", "SpentReader"]

REFRESH_SECONDS = 5.0
EACH = "*"
Spent = tuple[float, int]
"""USD, and calls of unknown cost."""


class SpentReader(Protocol):
    """Says what all processes together have spent; used by one thread only."""

    def changed(self) -> bool:
        """Take in what is new; return whether there was anything."""

    def spent(self, by: str | None, since: float) -> Mapping[str, Spent]:
        """Return what was spent since a time, by workflow, by user or (None) altogether under the empty text."""

    def close(self) -> None:
        """Close what is open."""


class _Account:
    """One limit in its present period: what this process spent, and what others did."""

    def __init__(self, limit: BudgetConfig) -> None:
        self.limit = limit
        self.by = "workflow" if limit.workflow is not None else "user" if limit.user is not None else None
        self.wanted = limit.workflow or limit.user or ""
        self.start = self.end = 0.0
        self.own: dict[str, Spent] = {}
        self.others: dict[str, Spent] = {}
        self.told: set[str] = set()

    def turn(self, now: float) -> bool:
        """Begin anew where another period has begun; return whether it has."""
        if self.start <= now < self.end:
            return False
        moment = datetime.fromtimestamp(now, UTC)
        self.start = Window(calendar=self.limit.period).bounds(moment)[0].timestamp()
        self.end = Window(calendar=self.limit.period, back=-1).bounds(moment)[0].timestamp()
        self.own.clear()
        self.others.clear()
        self.told.clear()
        return True

    def key(self, workflow: str, user: str) -> str | None:
        """Under which value a call counts; None where the limit is not about it."""
        if self.by is None:
            return ""
        value = workflow if self.by == "workflow" else user
        return value if value and self.wanted in (EACH, value) else None

    def spent(self, key: str) -> Spent:
        """Return what was spent altogether."""
        return _plus(self.own.get(key, (0.0, 0)), self.others.get(key, (0.0, 0)))


class Limits:
    """Asked before each call, told of each that has ended. Checks read memory only.

    Args:
        budgets: the limits.
        open_reader: opens what says how much all processes spent; None where there are no records to read.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        budgets: Sequence[BudgetConfig],
        open_reader: Callable[[], SpentReader] | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._accounts = [_Account(limit) for limit in budgets]
        self._open_reader = open_reader
        self._clock = clock
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        _live.add(self)
        self._start()

    def ask(self) -> None:
        """Ask the limits, and the budgets around the code that runs, whether a call may begin.

        Raises:
            BudgetExceeded: one of them is spent and asks for it.
        """
        try:
            if self._thread is None:
                self._start()
            for exceeded, limit, first in self._exceeded():
                respond(exceeded, limit.on_exceed, first=first)
        except BudgetExceeded:
            raise
        except Exception as error:
            HOOKS.failed("budgets", error)
        ask_blocks()

    def call(self, record: LLMCallRecord) -> None:
        """Take a call that has ended in this process."""
        try:
            self._add(record)
        except Exception as error:
            HOOKS.failed("budgets", error)

    def run(self, record: WorkflowRunRecord) -> None:
        """Nothing: money is counted by calls."""

    def refresh(self, reader: SpentReader) -> None:
        """Look at what other processes have spent.

        All that the folder holds was spent by them, but for what this process had spent before the look: a call that
        ends during it counts twice until the next one, and none is missed.
        """
        with self._lock:
            now = self._clock()
            turned = [account.turn(now) for account in self._accounts]
            before = [dict(account.own) for account in self._accounts]
        if not reader.changed() and not any(turned):
            return
        for account, own in zip(self._accounts, before, strict=True):
            found = reader.spent(account.by, account.start)
            others = {key: _minus(spent, own.get(key, (0.0, 0))) for key, spent in found.items()}
            with self._lock:
                account.others = others

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(0.2)

    # --- inside
    def _exceeded(self) -> list[tuple[BudgetExceeded, BudgetConfig, bool]]:
        attributes = scope_of().attributes
        workflow, user = attributes.get(sc.WORKFLOW_NAME, ""), attributes.get(sc.USER_ID, "")
        found = []
        with self._lock:
            now = self._clock()
            for account in self._accounts:
                account.turn(now)
                key = account.key(workflow, user)
                if key is None:
                    continue
                usd, unknown = account.spent(key)
                if usd >= account.limit.limit_usd:
                    name = f"{account.limit.name} ({key})" if account.wanted == EACH else account.limit.name
                    exceeded = BudgetExceeded(name, account.limit.limit_usd, usd, unknown)
                    found.append((exceeded, account.limit, key not in account.told))
                    account.told.add(key)
        return found

    def _add(self, record: LLMCallRecord) -> None:
        cost = record.cost
        spent = (cost or 0.0, int(cost is None and record.cost_source != "none"))
        ended = parse_time(record.timestamp).timestamp()
        with self._lock:
            now = self._clock()
            for account in self._accounts:
                account.turn(now)
                key = account.key(record.workflow_name or "", user_of(record) or "")
                if key is not None and account.start <= ended < account.end:
                    account.own[key] = _plus(account.own.get(key, (0.0, 0)), spent)

    def _start(self) -> None:
        if self._open_reader is not None and not self._stop.is_set():
            self._thread = threading.Thread(
                target=_follow,
                args=(weakref.ref(self), self._open_reader, self._stop),
                name="attune-budgets",
                daemon=True,
            )
            self._thread.start()

    def _after_fork(self) -> None:
        # What the parent had spent stands in the folder, where the child will find it as another process' spending.
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = None
        for account in self._accounts:
            account.others = {key: account.spent(key) for key in {*account.own, *account.others}}
            account.own.clear()


def _follow(watched: weakref.ref[Limits], open_reader: Callable[[], SpentReader], stop: threading.Event) -> None:
    reader = None
    try:
        while not stop.is_set():
            limits = watched()
            if limits is None:
                break
            try:
                reader = reader or open_reader()
                limits.refresh(reader)
            except Exception as error:
                HOOKS.failed("reading what other processes spent", error)
            del limits
            stop.wait(REFRESH_SECONDS)
    finally:
        if reader is not None:
            reader.close()


def _plus(one: Spent, other: Spent) -> Spent:
    return one[0] + other[0], one[1] + other[1]


def _minus(one: Spent, other: Spent) -> Spent:
    return max(0.0, one[0] - other[0]), max(0, one[1] - other[1])


_live: weakref.WeakSet[Limits] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for limits in list(_live):
        limits._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
