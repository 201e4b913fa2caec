"""What has to change so that a SigNoz server has what we want: pure decisions, each with its reasons."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from .board import MANAGED_BY
from .channel import Channel
from .dashboard import Dashboard
from .difference import differences, lacking
from .rule import Rule
from .wire import Wire

__all__ = ["Action", "Change", "Kind", "is_ours", "open_changes", "plan_channels", "plan_dashboards", "plan_rules"]

Kind: TypeAlias = Literal["channel", "dashboard", "rule", "key"]
Action: TypeAlias = Literal["create", "update", "unchanged", "left alone"]

_ADDED_TO_DASHBOARDS = frozenset(
    {"id", "createdAt", "updatedAt", "createdBy", "updatedBy", "orgId", "locked", "source", "pinned", "legacy"}
)
_ADDED_TO_RULES = frozenset({"id", "state", "createdAt", "updatedAt", "createdBy", "updatedBy", "source"})


class Change(NamedTuple):
    """What is to be done with one thing."""

    kind: Kind
    name: str
    action: Action
    differences: tuple[str, ...] = ()
    """One line for each place, without secrets; for what is left alone, why."""
    id: str = ""
    """That the server has given it."""
    body: Any = None
    """What is sent; may hold secrets."""


def open_changes(changes: Sequence[Change]) -> list[Change]:
    """Return those that are still to be made."""
    return [change for change in changes if change.action in ("create", "update")]


def is_ours(dashboard: Mapping[str, Any]) -> bool:
    """Return whether a dashboard that the server lists bears our tag."""
    tags = [(tag.get("key"), tag.get("value")) for tag in dashboard.get("tags") or ()]
    return (MANAGED_BY.key, MANAGED_BY.value) in tags


def plan_channels(wanted: Sequence[Channel], listed: Sequence[Mapping[str, Any]]) -> list[Change]:
    """Return what is to be done with channels, which are found by their names.

    Args:
        wanted: ours.
        listed: as the server lists them; `data` is the receiver as JSON text.
    """
    kept = {channel.get("name"): channel for channel in listed}
    changes = []
    for channel in wanted:
        found, body = kept.get(channel.name), _plain(channel)
        if found is None:
            changes.append(Change("channel", channel.name, "create", body=body))
            continue
        apart = lacking(_receiver(found), body)
        action: Action = "update" if apart else "unchanged"
        lines = tuple(f"{path}: another" for path in apart)
        changes.append(Change("channel", channel.name, action, lines, str(found["id"]), body))
    return changes


def plan_dashboards(
    wanted: Sequence[Dashboard], listed: Sequence[Mapping[str, Any]], kept: Mapping[str, Mapping[str, Any]]
) -> list[Change]:
    """Return what is to be done with dashboards, which are found by their names and our tag.

    Args:
        wanted: ours.
        listed: all that the server has, the oldest first.
        kept: those of them that are ours in full, by id.
    """
    changes = []
    for dashboard in wanted:
        named = [one for one in listed if one.get("name") == dashboard.name]
        ours = [one for one in named if is_ours(one)]
        body = _plain(dashboard)
        if not named:
            changes.append(Change("dashboard", dashboard.name, "create", body=body))
        elif not ours:
            why = f"another dashboard has this name and not the tag {MANAGED_BY.key}: {MANAGED_BY.value}; rename it"
            changes.append(Change("dashboard", dashboard.name, "left alone", (f"{why} or remove it",)))
        else:
            changes.append(_updated("dashboard", dashboard.name, kept[ours[0]["id"]], body, _ADDED_TO_DASHBOARDS))
            if ours[0].get("locked") and changes[-1].action == "update":
                why = "it is locked and differs; unlock it in SigNoz"
                changes[-1] = changes[-1]._replace(action="left alone", differences=(why, *changes[-1].differences))
        for double in ours[1:]:
            why = f"a second dashboard of ours has this name; remove that with the id {double['id']} in SigNoz"
            changes.append(Change("dashboard", dashboard.name, "left alone", (why,)))
    return changes


def plan_rules(wanted: Sequence[Rule], listed: Sequence[Mapping[str, Any]]) -> list[Change]:
    """Return what is to be done with rules, which are found by `alert` and our label.

    Args:
        wanted: ours.
        listed: all that the server has.
    """
    changes = []
    for rule in wanted:
        named = [one for one in listed if one.get("alert") == rule.alert]
        mark = rule.labels.get("managed_by")
        ours = [one for one in named if (one.get("labels") or {}).get("managed_by") == mark]
        body = _plain(rule)
        if not named:
            changes.append(Change("rule", rule.alert, "create", body=body))
        elif not ours:
            why = f"another rule has this name and not the label managed_by: {mark}; rename or remove it"
            changes.append(Change("rule", rule.alert, "left alone", (why,)))
        else:
            changes.append(_updated("rule", rule.alert, ours[0], body, _ADDED_TO_RULES))
        for double in ours[1:]:
            why = f"a second rule of ours has this name; remove that with the id {double['id']} in SigNoz"
            changes.append(Change("rule", rule.alert, "left alone", (why,)))
    return changes


def _updated(kind: Kind, name: str, kept: Mapping[str, Any], body: Any, added: frozenset[str]) -> Change:
    own = {key: value for key, value in kept.items() if key not in added}
    apart = differences(_sorted(own), _sorted(body))
    return Change(kind, name, "update" if apart else "unchanged", tuple(apart), str(kept["id"]), body)


def _sorted(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a document with its tags in an order, which the server does not keep."""
    tags = document.get("tags")
    return document if not tags else {**document, "tags": sorted(tags, key=lambda tag: str(tag.get("key")))}


def _receiver(channel: Mapping[str, Any]) -> Any:
    try:
        return json.loads(channel.get("data") or "null")
    except (TypeError, ValueError):
        return None


def _plain(document: Wire | msgspec.Struct) -> Any:
    """Return a document as JSON is read: mappings, lists, texts and numbers."""
    return json.loads(msgspec.json.encode(document))
