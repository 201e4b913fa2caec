"""The lifecycle of alerts, as a pure function: what a rule saw, what was before and the time in, what is now out.

```text
inactive ──holds──> pending ──for──> firing <──holds── recovering ──keep_firing_for──> resolved
                       └─ceases─> inactive     └──────────ends──────────────┘
```

- `for` runs from the first evaluation at which the condition held, also while nobody looked (a watcher that was away);
  a longer `for` makes a firing alert pending again until it is fulfilled.
- An alert ends when its condition ceases, or, with `resolve_when`, when that holds and the condition does not.
- No data, and a series that is not there any more, are `no_data`: ended, firing (reason `no_data`), or left alone.
- An alert whose condition comes and goes more often than `FLAPS` times in `FLAP_SECONDS` is held as firing until that
  has calmed down; then it ends.
- A rule that cannot be evaluated is left as it is; after `ERRORS` evaluations in a row that is an alert of its own.
- Where the clock was set back, what lies in the future is taken to be now.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from .evaluation import Observation, Observed
from .rule import AlertRule

__all__ = ["ERRORS", "ERROR_KEY", "FLAPS", "FLAP_SECONDS", "AlertState", "Event", "States", "advance", "key_of"]

ERRORS = 3
"""Evaluations in a row that fail until that is an alert."""
FLAPS = 5
"""Changes between firing and not, within `FLAP_SECONDS`, that are still told."""
FLAP_SECONDS = 3600.0
ERROR_KEY = "rule_error"
"""Key of the alert that a rule cannot be evaluated."""

Status = Literal["inactive", "pending", "firing", "recovering", "resolved"]
Reason = Literal["condition", "no_data", "error"]


class AlertState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One alert: a rule and a combination of labels. Times are seconds since the epoch.

    Args:
        labels: the combination.
        status: where in its life it is; `recovering` still fires, `resolved` is for one evaluation.
        reason: why it is pending or fires.
        since: when the status began.
        active_at: when the condition began to hold.
        fired_at: when it began to fire; with `told_fired_at` it tells one firing from the next.
        fired_for: the rule's `for` at that time.
        ceased_at: when the condition ceased to hold, while it recovers.
        value: of the last evaluation that had one.
        changes: when it last changed between firing and not, no longer ago than `FLAP_SECONDS`.
        is_off: whether the last of these changes was to not firing.
        flapping: it fires only because it changed too often.
        failures: evaluations in a row that failed; only of the alert that tells so.
        error: what the last of them said.
        told_at: when it was last told of; None: nothing is owed an end.
        told_fired_at: `fired_at` of the firing that was told.
    """

    labels: Mapping[str, str] = {}
    status: Status = "inactive"
    reason: Reason = "condition"
    since: float = 0.0
    active_at: float = 0.0
    fired_at: float = 0.0
    fired_for: float = 0.0
    ceased_at: float | None = None
    value: float | None = None
    changes: tuple[float, ...] = ()
    is_off: bool = False
    flapping: bool = False
    failures: int = 0
    error: str = ""
    told_at: float | None = None
    told_fired_at: float | None = None

    @property
    def fires(self) -> bool:
        """Whether it fires, recovering included."""
        return self.status in ("firing", "recovering")

    def but(self, **fields: object) -> AlertState:
        """Return it with some fields changed."""
        return msgspec.structs.replace(self, **fields)


States = Mapping[str, AlertState]
"""The alerts of one rule by `key_of` their labels."""


class Event(NamedTuple):
    """A change that somebody may want to know of."""

    kind: Literal["pending", "firing", "no_data", "error", "resolved"]
    rule: str
    labels: Mapping[str, str]
    at: float
    value: float | None
    error: str = ""


def key_of(labels: Mapping[str, str]) -> str:
    """Return the key of a combination of labels within its rule."""
    return msgspec.json.encode(sorted(labels.items())).decode()


def advance(
    rule: AlertRule, observed: Observed, before: States, now: float
) -> tuple[dict[str, AlertState], list[Event]]:
    """Return the alerts of a rule after an evaluation, and what changed.

    Args:
        rule: the rule as it is now; of a disabled one everything ends.
        observed: what it saw.
        before: what an earlier call returned, whatever the rule was then; at first nothing.
        now: time of the evaluation.
    """
    known = {key: _not_after(state, now) for key, state in before.items()}
    after = {ERROR_KEY: _fault(observed.error, known.get(ERROR_KEY, AlertState()), now)}
    seen = {key_of(each.labels): each for each in observed.observations}
    for key in {**seen, **known}:
        state = known.get(key) or AlertState(labels=dict(seen[key].labels), since=now)
        if state.status == "resolved":
            state = _ended(state, "inactive", now)
        if key != ERROR_KEY:
            gone = Observation(state.labels, None, None, None)
            after[key] = state if observed.error else _step(rule, seen.get(key, gone), state, now)
    events = [
        event for key, state in after.items() for event in _events(rule.name, known.get(key, AlertState()), state, now)
    ]
    return {key: state for key, state in after.items() if _is_kept(rule, key, state)}, events


def _step(rule: AlertRule, seen: Observation, state: AlertState, now: float) -> AlertState:
    holds, ends, reason = seen.holds, seen.ends, state.reason
    if not rule.enabled:
        return _ended(state, "resolved" if state.fired_at else "inactive", now)
    if holds is None:
        if rule.no_data == "keep":
            return state
        holds, ends = rule.no_data == "alert", True
        if not (state.fires and state.reason == "condition"):
            reason = "no_data"
    else:
        reason = "condition"
        state = state.but(value=seen.value)
    if holds:
        return _active(rule, state, reason, now)
    return _ceasing(rule, state, now, ends=rule.resolve_when is None or ends is True or state.reason == "no_data")


def _active(rule: AlertRule, state: AlertState, reason: Reason, now: float) -> AlertState:
    if state.status == "inactive":
        state = state.but(status="pending", since=now, active_at=now)
    if state.status == "pending":
        state = state.but(reason=reason)
        return _fire(rule, state, now) if now - state.active_at >= rule.for_ else state
    if rule.for_ > state.fired_for and now - state.active_at < rule.for_:
        return state.but(status="pending", since=now, ceased_at=None)
    if reason != state.reason:  # no data until now: that it does hold is news
        return _fire(rule, state.but(reason=reason), now)
    if state.is_off:
        state = state.but(changes=(*state.changes, now), is_off=False)
    if state.status == "recovering":
        state = state.but(status="firing", since=now, ceased_at=None)
    return _calmer(state, now)


def _fire(rule: AlertRule, state: AlertState, now: float) -> AlertState:
    if state.fired_at and not state.fires:  # pending again under a longer `for`: the same firing
        return state.but(status="firing", since=now, fired_for=rule.for_)
    changes = state.changes if state.fires else (*state.changes, now)
    return state.but(
        status="firing",
        since=now,
        fired_at=now,
        fired_for=rule.for_,
        ceased_at=None,
        changes=_recent(changes, now),
        is_off=False,
    )


def _ceasing(rule: AlertRule, state: AlertState, now: float, *, ends: bool) -> AlertState:
    if state.status == "inactive":
        return state.but(changes=_recent(state.changes, now))
    if state.status == "pending":
        return _ended(state, "resolved" if state.fired_at else "inactive", now)
    if not ends:
        since = state.since if state.status == "firing" else now
        return _calmer(state.but(status="firing", since=since, ceased_at=None), now)
    if state.ceased_at is None:
        state = state.but(status="recovering", since=now, ceased_at=now)
    if now - (now if state.ceased_at is None else state.ceased_at) < rule.keep_firing_for:
        return state
    if not state.is_off:
        state = state.but(changes=(*state.changes, now), is_off=True)
    state = _calmer(state, now)
    if len(state.changes) > FLAPS:
        return state.but(flapping=True)
    return _ended(state, "resolved", now)


def _calmer(state: AlertState, now: float) -> AlertState:
    changes = _recent(state.changes, now)
    return state.but(changes=changes, flapping=state.flapping and len(changes) > FLAPS)


def _ended(state: AlertState, status: Status, now: float) -> AlertState:
    if status == "resolved":
        return state.but(status=status, since=now, ceased_at=None, flapping=False, changes=_recent(state.changes, now))
    return AlertState(labels=state.labels, since=now, changes=_recent(state.changes, now), is_off=True)


def _fault(error: str, state: AlertState, now: float) -> AlertState:
    if not error:
        return _ended(state, "resolved" if state.fires else "inactive", now)
    state = state if state.status != "resolved" else AlertState()
    state = state.but(failures=state.failures + 1, error=error, reason="error")
    if state.failures >= ERRORS and not state.fires:
        return state.but(status="firing", since=now, active_at=now, fired_at=now)
    return state


def _recent(changes: tuple[float, ...], now: float) -> tuple[float, ...]:
    return tuple(moment for moment in changes if now - moment < FLAP_SECONDS)


def _not_after(state: AlertState, now: float) -> AlertState:
    """Return the state with no time in the future, which is where they are when the clock was set back."""
    told_at = 0.0 if state.told_at is None else state.told_at
    ceased_at = 0.0 if state.ceased_at is None else state.ceased_at
    if max(state.since, state.active_at, state.fired_at, ceased_at, told_at, *state.changes) <= now:
        return state
    fired_at = min(state.fired_at, now)
    return state.but(
        since=min(state.since, now),
        active_at=min(state.active_at, now),
        fired_at=fired_at,
        ceased_at=None if state.ceased_at is None else min(state.ceased_at, now),
        changes=tuple(min(moment, now) for moment in state.changes),
        told_at=None if state.told_at is None else min(state.told_at, now),
        told_fired_at=fired_at if state.told_fired_at == state.fired_at else state.told_fired_at,
    )


def _events(rule: str, before: AlertState, after: AlertState, now: float) -> list[Event]:
    if after.status == "resolved":
        kind: Literal["pending", "firing", "no_data", "error", "resolved"] = "resolved"
    elif after.status == "pending" and before.status in ("inactive", "resolved"):
        kind = "pending"
    elif after.status == "firing" and after.fired_at != before.fired_at:
        kind = "firing" if after.reason == "condition" else after.reason
    else:
        return []
    return [Event(kind, rule, after.labels, now, after.value, after.error)]


def _is_kept(rule: AlertRule, key: str, state: AlertState) -> bool:
    """Whether an alert has to be remembered: one that did nothing only for its flapping or its disappearance."""
    if key == ERROR_KEY:
        return state.failures > 0 or state.status != "inactive"
    return state.status != "inactive" or bool(state.changes) or (rule.enabled and rule.no_data == "alert")
