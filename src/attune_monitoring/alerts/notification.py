"""What is told of an alert, whatever the channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

__all__ = ["Kind", "Notification"]

Kind = Literal["firing", "reminder", "resolved", "no_data", "error", "digest"]


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One message; times are seconds since the epoch.

    Args:
        key: idempotency key: the same for every attempt to deliver this message, and for no other.
        kind: what happened: it fires, still fires, has ended, has no data, cannot be evaluated, or several at once.
        rule: name of the rule.
        severity: info, warning or critical.
        labels: dimension values and the rule's own labels.
        value: what the condition is about, where there is one.
        condition: the rule's condition as text.
        summary: one line: the rule's annotation with its templates filled, else one made of rule, labels and value.
        annotations: the rule's further texts, filled.
        started_at: when it began to fire.
        at: when this happened.
        test: made by hand, to try the channel.
        parts: of a digest or a group: the messages that it stands for.
    """

    key: str
    kind: Kind
    rule: str
    severity: str
    labels: Mapping[str, str] = {}
    value: float | None = None
    condition: str = ""
    summary: str = ""
    annotations: Mapping[str, str] = {}
    started_at: float = 0.0
    at: float = 0.0
    test: bool = False
    parts: tuple[Notification, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it has fired."""
        return max(0.0, self.at - self.started_at)
