"""What the rules would tell at one moment, without remembering or sending anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from attune_monitoring.alerts.announcement import Grouping, Message, announce
from attune_monitoring.alerts.evaluation import Observation, Observed, observe
from attune_monitoring.alerts.rule import AlertRule
from attune_monitoring.alerts.state import advance
from attune_monitoring.query import Source

__all__ = ["Preview", "forced", "previews"]


class Preview(NamedTuple):
    """A rule at one moment."""

    rule: AlertRule
    observed: Observed

    @property
    def holding(self) -> tuple[Observation, ...]:
        """The combinations of labels for which it would fire, after its `for`."""
        return tuple(one for one in self.observed.observations if self._fires(one))

    def _fires(self, one: Observation) -> bool:
        return self.rule.no_data == "alert" if one.holds is None else one.holds

    def messages(self, now: float) -> list[Message]:
        """Return what would be told of a firing that begins now."""
        return _told(self.rule, Observed(self.holding), now)


def previews(rules: Sequence[AlertRule], source: Source, now: float) -> list[Preview]:
    """Return what rules see now, those that are disabled as well.

    Args:
        rules: the rules.
        source: who answers.
        now: seconds since the epoch.
    """
    asked = [rule if rule.enabled else rule.changed(enabled=True) for rule in rules]
    return [Preview(rule, observed) for rule, observed in zip(rules, observe(asked, source, now), strict=True)]


def forced(preview: Preview, now: float) -> list[Message]:
    """Return what would be told if the rule fired now, marked as a test, whether its condition holds or not.

    Labels and value are those of what it sees; where it sees nothing, each label is `test`.
    """
    seen = preview.holding or preview.observed.observations[:1]
    nothing = Observation(dict.fromkeys(preview.rule.by, "test"), True, None, None)
    one = seen[0]._replace(holds=True) if seen else nothing
    return [
        message._replace(notification=msgspec.structs.replace(message.notification, test=True))
        for message in _told(preview.rule, Observed((one,)), now)
    ]


def _told(rule: AlertRule, observed: Observed, now: float) -> list[Message]:
    at_once = rule.changed(for_=0.0, enabled=True)
    states, _ = advance(at_once, observed, {}, now)
    return announce([(at_once, states)], [], now, Grouping()).messages
