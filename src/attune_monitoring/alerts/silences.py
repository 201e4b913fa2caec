"""Silences: which alerts nobody is told of for some time, because a person said so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Literal

import msgspec

from attune_monitoring.errors import ConfigError

__all__ = ["Matcher", "Silence", "matcher_of", "silence_of"]

_MATCHER = re.compile(r"\s*([A-Za-z_][\w.-]{0,99})\s*(=~|!=|=)\s*(.*?)\s*", re.DOTALL)
_LONGEST = 200
"""Characters of a pattern, and of the label that it is compared with."""
_CHOICES = 3
"""Groups and repetitions in a pattern; each multiplies the time that a comparison can take."""


class Matcher(msgspec.Struct, frozen=True):
    """A condition on one label; a label that is not there is the empty text.

    Args:
        label: a dimension of the alert, a label of its rule, `rule` or `severity`.
        operator: equal, not equal, or a regular expression that matches all of it.
        value: text or pattern.
    """

    label: str
    operator: Literal["=", "!=", "=~"]
    value: str

    def __str__(self) -> str:
        return f"{self.label}{self.operator}{self.value}"

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels of an alert meet it.

        Raises:
            ConfigError: the pattern is none, or one that could take long.
        """
        found = labels.get(self.label, "")
        if self.operator == "=~":
            return _pattern(self.value).fullmatch(found[:_LONGEST]) is not None
        return (found == self.value) is (self.operator == "=")


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """A silence; times are seconds since the epoch.

    Args:
        id: how it is named when it is to end.
        matchers: conditions that must all hold; at least one.
        starts_at: when it begins.
        ends_at: when it is over.
        author: who wanted it.
        comment: why.
    """

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: float
    ends_at: float
    author: str = ""
    comment: str = ""

    def __post_init__(self) -> None:
        if not self.matchers:
            raise ConfigError("a silence needs a matcher, as in rule=daily-cost; one without would silence everything")
        for matcher in self.matchers:
            matcher.holds({})
        if not self.starts_at < self.ends_at:
            raise ConfigError("a silence ends after it begins")

    def mutes(self, labels: Mapping[str, str], now: float) -> bool:
        """Whether an alert with these labels is muted now."""
        return self.starts_at <= now < self.ends_at and all(matcher.holds(labels) for matcher in self.matchers)


def matcher_of(text: str) -> Matcher:
    """Return the matcher that a text means: `rule=daily-cost`, `severity!=critical`, `workflow_name=~nightly.*`.

    Raises:
        ConfigError: it means none, or its pattern cannot be used.
    """
    match = _MATCHER.fullmatch(text)
    if match is None:
        raise ConfigError(f"no matcher: {text[:80]!r}; write rule=NAME, label!=VALUE or label=~PATTERN")
    operator: Literal["=", "!=", "=~"] = "=~" if match[2] == "=~" else "!=" if match[2] == "!=" else "="
    matcher = Matcher(match[1], operator, match[3].strip('"'))
    matcher.holds({})
    return matcher


def silence_of(labels: Mapping[str, str], silences: Iterable[Silence], now: float) -> Silence | None:
    """Return the silence that mutes an alert for the longest, if one does."""
    found = [silence for silence in silences if silence.mutes(labels, now)]
    return max(found, key=lambda silence: silence.ends_at, default=None)


@lru_cache(256)
def _pattern(text: str) -> re.Pattern[str]:
    """Compile a pattern whose comparisons take no more than milliseconds, whatever the label is.

    Python's matcher backtracks: a repeated group, or many choices in a row, can take years on a short text.
    """
    plain = re.sub(r"\\[^0-9]|\[\^?\]?[^\]]*\]", "x", text)
    if len(text) > _LONGEST:
        problem = f"it has more than {_LONGEST} characters"
    elif "(?" in plain or re.search(r"\\[0-9]", plain):
        problem = "(?…) and back references are not allowed"
    elif re.search(r"\)[*+?{]", plain):
        problem = "a group is not repeated"
    elif len(re.findall(r"[(*+?{]", plain)) > _CHOICES:
        problem = f"it has more than {_CHOICES} groups and repetitions"
    else:
        try:
            return re.compile(text)
        except (re.error, OverflowError, RecursionError) as error:
            problem = str(error)
    raise ConfigError(f"no pattern: {text[:80]!r}: {problem}; simpler ones like nightly-.* or a|b are enough")
