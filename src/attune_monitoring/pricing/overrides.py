"""The user's own prices: their schema in monitoring.yaml, and which of them applies to a call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from math import inf, isfinite
from typing import TypeAlias

import msgspec

from .names import is_like, is_pattern, price_tier
from .table import Rates, Row

__all__ = ["Override", "OverrideBook", "Problem", "parse_overrides"]

Path: TypeAlias = tuple[str | int, ...]
Problem: TypeAlias = tuple[Path, str]
"""Where in the data (keys and indexes), and what is wrong there."""

_RATES = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "web_search", "request")
_KEYS = (*_RATES, "from", "service_tier", "long_context")


class Override(msgspec.Struct, frozen=True):
    """A price for the models that `pattern` names, from `since` (epoch seconds) on, in one service tier."""

    pattern: str
    rates: Rates
    since: float = -inf
    service_tier: str = ""


class OverrideBook:
    """Overrides in the order in which they are tried: exact names before patterns, longer before shorter."""

    def __init__(self, overrides: Iterable[Override]) -> None:
        self._by_pattern: dict[str, list[Override]] = {}
        for override in sorted(overrides, key=lambda o: (is_pattern(o.pattern), -len(o.pattern))):
            self._by_pattern.setdefault(override.pattern.lower(), []).append(override)

    def find(self, names: Sequence[str], tier: str, at: float) -> tuple[float, float, Rates | None]:
        """(since, until, rates): the user's price at `at`, if any, and the span of time in which that holds."""
        for pattern, overrides in self._by_pattern.items():
            known = [o for o in overrides if o.service_tier == tier] if is_like(pattern, names) else []
            if known:
                current = max((o for o in known if o.since <= at), key=lambda o: o.since, default=None)
                until = min((o.since for o in known if o.since > at), default=inf)
                return (-inf, until, None) if current is None else (current.since, until, current.rates)
        return -inf, inf, None


def parse_overrides(data: object) -> tuple[list[Override], list[Problem]]:
    """The overrides in the pricing section of monitoring.yaml, and everything that is wrong with them.

    The section's `models` maps a model, `provider/model`, or a pattern of either (`*`, `?`) to one price or a list of
    them. A price holds USD per 1,000,000 tokens (`input`; `output`, `cache_read`, `cache_write`, `cache_write_1h`)
    and per 1,000 (`web_search`, `request`), and may hold `from` (a date or time, UTC unless it says otherwise),
    `service_tier`, and `long_context`: `above` (input tokens) and the rates that differ there. It replaces the
    table's price as a whole, but only from its date on and only in its service tier.

    Args:
        data: the section as plain mappings, lists and scalars; keys other than `models` are not read.

    Returns:
        The prices without mistakes, and the mistakes.
    """
    if not isinstance(data, Mapping):
        return [], [((), "expected a mapping with the key 'models'")]
    models = data.get("models")
    if models is None:
        return [], []
    if not isinstance(models, Mapping):
        return [], [(("models",), "expected a mapping of models to prices")]
    overrides: list[Override] = []
    problems: list[Problem] = []
    for pattern, value in models.items():
        path: Path = ("models", pattern)
        known: set[tuple[float, str]] = set()
        if not isinstance(pattern, str) or not pattern.strip():
            problems.append((path, f"expected a model's name, got {pattern!r}; put it in quotes"))
            continue
        prices = [((*path, i), price) for i, price in enumerate(value)] if isinstance(value, list) else [(path, value)]
        for place, price in prices:
            override = _override(pattern.strip(), price, place, problems)
            if override is None:
                continue
            if (override.since, override.service_tier) in known:
                problems.append((place, "a second price with the same 'from' and 'service_tier'; remove one"))
            known.add((override.since, override.service_tier))
            overrides.append(override)
    return overrides, problems


def _override(pattern: str, price: object, path: Path, problems: list[Problem]) -> Override | None:
    if not isinstance(price, Mapping):
        problems.append((path, f"expected a price (a mapping with the key 'input'), got {price!r}"))
        return None
    before = len(problems)
    _reject_unknown(price, _KEYS, path, problems)
    if "input" not in price:
        problems.append((path, "the key 'input' (USD per 1,000,000 input tokens) is missing"))
    rates = {name: _number(price[name], (*path, name), problems) for name in _RATES if name in price}
    row: Row = [rates.get(name) for name in _RATES]
    if "long_context" in price:
        row = _with_long_context(row, price["long_context"], (*path, "long_context"), problems)
    since = _since(price["from"], (*path, "from"), problems) if "from" in price else -inf
    tier = price.get("service_tier", "")
    if not isinstance(tier, str):
        problems.append(((*path, "service_tier"), f"expected a name such as 'flex' or 'batch', got {tier!r}"))
    known = Rates.from_row(row) if len(problems) == before else None
    return None if known is None else Override(pattern, known, since, price_tier(tier))


def _with_long_context(row: Row, value: object, path: Path, problems: list[Problem]) -> Row:
    if not isinstance(value, Mapping):
        problems.append((path, f"expected a mapping with the key 'above' and the rates there, got {value!r}"))
        return row
    _reject_unknown(value, ("above", *_RATES), path, problems)
    if "above" not in value:
        problems.append((path, "the key 'above' (input tokens from which these rates hold) is missing"))
        return row
    above = _number(value["above"], (*path, "above"), problems)
    higher = {name: _number(value[name], (*path, name), problems) for name in _RATES if name in value}
    cells: Row = []
    for name, base in zip(_RATES, row, strict=True):
        cells.append([base, above, higher[name]] if name in higher and isinstance(base, float) else base)
        if name in higher and base is None:
            problems.append(((*path, name), f"also needs a '{name}' rate below the threshold"))
    return cells


def _reject_unknown(value: Mapping[object, object], keys: Sequence[str], path: Path, problems: list[Problem]) -> None:
    for key in value:
        if key not in keys:
            problems.append(((*path, str(key)), f"unknown key {key!r}; known are {', '.join(keys)}"))


def _number(value: object, path: Path, problems: list[Problem]) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value >= 0:
        return float(value)
    problems.append((path, f"expected a number, 0 or more, got {value!r}"))
    return 0.0


def _since(value: object, path: Path, problems: list[Problem]) -> float:
    # YAML readers give 2026-01-31 as a date, or as text.
    try:
        if isinstance(value, datetime):
            moment = value
        elif isinstance(value, date):
            moment = datetime(value.year, value.month, value.day)
        else:
            moment = datetime.fromisoformat(value)  # type: ignore[arg-type]
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        problems.append((path, f"expected a date such as 2026-01-31, got {value!r}"))
        return -inf
