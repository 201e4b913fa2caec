"""Gives a SigNoz server our channels, dashboards and rules: looks what it has, changes what differs, looks again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from attune_monitoring.alerts.rule import AlertRule

from .api import Api, LostError, listed
from .boards import dashboards
from .channel import Channel, channels_of
from .dashboard import Dashboard
from .plan import Change, is_ours, open_changes, plan_channels, plan_dashboards, plan_rules
from .rule import Rule
from .translation import UNDELIVERED, translate_all

__all__ = ["Desired", "Part", "desired_of", "parts_of", "planned", "settle"]

_PAUSES: Final = (0.5, 2.0, 5.0)
"""Seconds before one looks again after an answer got lost."""
_PAGE: Final = 200


class Desired(NamedTuple):
    """What a server shall have, and what it cannot have as it was meant."""

    channels: tuple[Channel, ...]
    dashboards: tuple[Dashboard, ...]
    rules: tuple[Rule, ...]
    notes: tuple[str, ...]
    """Sentences, each with the name of a channel or rule; without secrets."""


class Part(Protocol):
    """Things of one kind on a server."""

    def plan(self) -> list[Change]:
        """Look what the server has, and return what is to be done; changes nothing."""

    def apply(self, change: Change) -> None:
        """Make one change. Raises LostError where it is not known whether it was made."""


def desired_of(rules: Iterable[AlertRule], *, time_zone: str = "UTC") -> Desired:
    """Return what a server shall have for these alert rules; the dashboards are always the same.

    Args:
        rules: from a file; those that SigNoz cannot express are named in the notes.
        time_zone: IANA name; where a day begins for rules that name none.
    """
    held = [*rules]
    channels, told = channels_of(held)
    translations, refusals = translate_all(held, time_zone=time_zone)
    notes = [*told]
    for translation in translations:
        # What is not delivered to is told once, by the channel.
        said = [note for note in translation.notes if not note.startswith(UNDELIVERED)]
        notes += [f"rule {translation.rule.alert}: {note}" for note in said]
    notes += [f"rule {name} stays out, SigNoz cannot express it: {reason}" for name, reason in refusals]
    silent = [translation.rule.alert for translation in translations if not _told_by(translation.rule)]
    if silent:
        names = ", ".join(silent)
        notes.append(f"no channel of SigNoz is told of {names}: they are seen in SigNoz only, until a file names one")
    made = tuple(translation.rule for translation in translations)
    return Desired(channels, dashboards(), made, tuple(dict.fromkeys(notes)))


def parts_of(api: Api, desired: Desired) -> list[Part]:
    """Return the parts in the order in which they are made: rules name channels."""
    return [_Channels(api, desired.channels), _Dashboards(api, desired.dashboards), _Rules(api, desired.rules)]


def planned(parts: Iterable[Part]) -> list[Change]:
    """Return what is to be done; changes nothing.

    Raises:
        SigNozError: the server cannot be asked.
    """
    return [change for part in parts for change in part.plan()]


def settle(
    parts: Iterable[Part],
    tell: Callable[[Change], object] = lambda _change: None,
    *,
    pause: Callable[[float], object] = time.sleep,
) -> list[Change]:
    """Change what differs, and return what was found and done.

    After an answer that got lost, the server is looked at anew: what arrived all the same is not made twice.

    Args:
        parts: in their order.
        tell: is told each change before it is made.
        pause: waits for a number of seconds.

    Raises:
        SigNozError: the server refuses, or goes on losing answers. Doing it again later begins where this ended.
    """
    done: list[Change] = []
    for part in parts:
        changes = part.plan()
        done += changes
        pauses = iter(_PAUSES)
        while changes := open_changes(changes):
            try:
                for change in changes:
                    tell(change)
                    part.apply(change)
                break
            except LostError:
                wait = next(pauses, None)
                if wait is None:
                    raise
                pause(wait)
                changes = part.plan()
    return done


class _Channels:
    def __init__(self, api: Api, wanted: Sequence[Channel]) -> None:
        self._api = api
        self._wanted = wanted

    def plan(self) -> list[Change]:
        return plan_channels(self._wanted, listed(self._api.get("/api/v1/channels"))) if self._wanted else []

    def apply(self, change: Change) -> None:
        _send(self._api, "/api/v1/channels", change)


class _Dashboards:
    def __init__(self, api: Api, wanted: Sequence[Dashboard]) -> None:
        self._api = api
        self._wanted = wanted

    def plan(self) -> list[Change]:
        known = [*self._all()]
        names = {dashboard.name for dashboard in self._wanted}
        ids = [one["id"] for one in known if one.get("name") in names and is_ours(one)]
        kept = {id_: self._api.get(f"/api/v2/dashboards/{id_}") for id_ in ids}
        return plan_dashboards(self._wanted, known, kept)

    def apply(self, change: Change) -> None:
        _send(self._api, "/api/v2/dashboards", change)

    def _all(self) -> Iterable[Mapping[str, Any]]:
        offset = 0
        while True:
            page = self._api.get("/api/v2/dashboards", limit=_PAGE, offset=offset, sort="created_at", order="asc")
            found = listed(page.get("dashboards") if isinstance(page, Mapping) else page)
            yield from found
            offset += len(found)
            if not found or offset >= int(page.get("total", 0)):
                return


class _Rules:
    def __init__(self, api: Api, wanted: Sequence[Rule]) -> None:
        self._api = api
        self._wanted = wanted

    def plan(self) -> list[Change]:
        return plan_rules(self._wanted, listed(self._api.get("/api/v2/rules"))) if self._wanted else []

    def apply(self, change: Change) -> None:
        _send(self._api, "/api/v2/rules", change)


def _told_by(rule: Rule) -> list[str]:
    return [name for threshold in rule.condition.thresholds.spec for name in threshold.channels]


def _send(api: Api, path: str, change: Change) -> None:
    if change.action == "create":
        api.write("POST", path, change.body)
    else:
        api.write("PUT", f"{path}/{change.id}", change.body)
