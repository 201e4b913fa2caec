"""A budget around a block or a function: once it is spent, no further call inside begins, or the program is told."""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Callable
from typing import Literal

from opentelemetry import context as otel_context
from opentelemetry import trace

from attune_monitoring.errors import BudgetExceeded, ConfigError
from attune_monitoring.records import LLMCallRecord
from attune_monitoring.scope import HOOKS, Entered, Scope, scope_of, with_scope
from attune_monitoring.wrapping import Instrument

__all__ = ["OnExceed", "Spending", "ask_blocks", "budget", "respond"]

OnExceed = Literal["raise", "warn"] | Callable[[BudgetExceeded], object]

_log = logging.getLogger("attune_monitoring")
_ENDED = otel_context.Context()
_lock = threading.Lock()


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class Spending(Entered):
    """What the calls inside of a budget came to so far: `with budget(...) as spending`."""

    def __init__(
        self, name: str, limit_usd: float, on_exceed: OnExceed, context: otel_context.Context, outer: Scope
    ) -> None:
        self.name = name
        self.limit_usd = limit_usd
        self.spent_usd = 0.0
        """Known cost of the calls that have ended, in USD."""
        self.unknown_calls = 0
        """Calls that have ended and whose cost is not known."""
        self._on_exceed = on_exceed
        self._outer = outer.budget
        self._told = False
        super().__init__(with_scope(context, Scope(outer.attributes, outer.run, outer.call, self)))

    @property
    def remaining_usd(self) -> float:
        """What is left, in USD."""
        return max(0.0, self.limit_usd - self.spent_usd)

    def add(self, record: LLMCallRecord) -> None:
        """Take a call that has ended inside, for this budget and for those around it."""
        cost = record.cost
        if cost is not None:
            with _lock:
                self.spent_usd += cost
        elif record.cost_source != "none":
            with _lock:
                self.unknown_calls += 1
                first = self.unknown_calls == 1
            if first:
                _log.warning(
                    "Budget %r: what %s of %s costs is not known and counts for nothing there; give its price under "
                    "pricing.models in monitoring.yaml (logged once)",
                    *(self.name, record.model_id or "a call", record.provider),
                )
        if self._outer is not None:
            self._outer.add(record)

    def ask(self) -> None:
        """Do what the budget asks for where it is spent, or one around it is.

        Raises:
            BudgetExceeded: that is what it asks for.
        """
        if self.spent_usd >= self.limit_usd:
            first, self._told = not self._told, True
            exceeded = BudgetExceeded(self.name, self.limit_usd, self.spent_usd, self.unknown_calls)
            respond(exceeded, self._on_exceed, first=first)
        if isinstance(self._outer, Spending):
            self._outer.ask()

    def finish(self, error: BaseException | None) -> None:
        """Let go of the context, which holds the scope, which holds this."""
        self.context = _ENDED


def respond(exceeded: BudgetExceeded, on_exceed: OnExceed, *, first: bool) -> None:
    """Raise, warn (the first time) or call the user's function; what else that raises is logged only.

    Raises:
        BudgetExceeded: asked for, or raised by the function.
    """
    if on_exceed == "raise":
        raise exceeded
    if on_exceed == "warn":
        if first:
            _log.warning("%s", exceeded)
    elif callable(on_exceed):
        try:
            on_exceed(exceeded)
        except BudgetExceeded:
            raise
        except Exception as error:
            HOOKS.failed("on_exceed of a budget", error)


def ask_blocks() -> None:
    """Ask the budgets around the code that runs.

    Raises:
        BudgetExceeded: one of them is spent and asks for it.
    """
    try:
        around = scope_of().budget
        if isinstance(around, Spending):
            around.ask()
    except BudgetExceeded:
        raise
    except Exception as error:
        HOOKS.failed("budgets", error)


_NOTHING = Spending("", math.inf, "warn", _ENDED, Scope({}, None, None))


class _Budget(Instrument[Spending]):
    """Each entry, or call of the decorated function, has the whole limit."""

    _nothing = _NOTHING

    def __init__(self, name: str, limit_usd: float, on_exceed: OnExceed) -> None:
        super().__init__(locates_blocks=False)
        self._name = name
        self._limit_usd = limit_usd
        self._on_exceed = on_exceed
        self._told = False

    def _start(self, tracer: trace.Tracer) -> Spending:
        if HOOKS.budget is None:
            HOOKS.budget = ask_blocks
        context = otel_context.get_current()
        return Spending(self._name, self._limit_usd, self._on_exceed, context, scope_of(context))

    def _enter(self) -> Spending:
        entered = super()._enter()
        if entered is _NOTHING and not self._told:
            self._told = True
            _log.warning("Budget %r has no effect: telemetry is off or has failed", self._name)
        return entered


def budget(name: str, *, limit_usd: float, on_exceed: OnExceed = "raise") -> _Budget:
    """Limit what the calls inside may cost: `with budget("nightly", limit_usd=5):`, or as a decorator.

    Before each call of `llm_call` begins, the known cost of those that have ended is compared with the limit. Calls
    under way are not in it: with n at a time the limit may be passed by what n calls cost. The budget holds for what
    runs in this block's context: also in the tasks that it starts, but not in other threads (hand them the context
    with `contextvars.copy_context().run`) and not in other processes (see `budgets` in monitoring.yaml).

    Args:
        name: for messages.
        limit_usd: what may be spent, in USD.
        on_exceed: what happens before a call that would begin though it is spent: `raise` raises BudgetExceeded where
            the call would begin, `warn` logs a warning once, a function is called each time with the BudgetExceeded,
            which it may raise.

    Raises:
        ConfigError: an argument makes no sense.
    """
    number = isinstance(limit_usd, (int, float)) and not isinstance(limit_usd, bool)
    if not number or not 0 <= limit_usd < math.inf:
        raise ConfigError(f"budget {name!r}: limit_usd is a number of USD from 0 on, not {limit_usd!r:.40}")
    if on_exceed not in ("raise", "warn") and not callable(on_exceed):
        raise ConfigError(f"budget {name!r}: on_exceed is raise, warn or a function, not {on_exceed!r:.40}")
    return _Budget(name, float(limit_usd), on_exceed)
