"""The bundled price table: which model an id names, and what it costs at a time and in a service tier.

The table is generated from genai-prices by tools/make_prices.py. Its rules are genai-prices' rules: providers and
models are tried in the table's order and the first match wins; of several prices the last one in force applies; above
a long-context threshold the whole request moves to the higher rate.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache, lru_cache
from itertools import zip_longest
from math import inf
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

__all__ = [
    "RATE_KEYS",
    "Found",
    "Model",
    "Price",
    "Provider",
    "Rates",
    "Row",
    "Table",
    "find",
    "load",
    "row_of",
]

Clause: TypeAlias = str | list[Any]
"""`=text` equals, `^text` starts with, `$text` ends with, `*text` contains, `~regex`; a list means any of its
members, or all of them if its first member is `&`."""

Row: TypeAlias = list[float | list[float] | None]
"""One cell for each of RATE_KEYS, shortened at the end: a rate, `[rate, threshold, rate above it, …]`, or null."""

RATE_KEYS = (
    "input_mtok",
    "output_mtok",
    "cache_read_mtok",
    "cache_write_mtok",
    "cache_write_1h_mtok",
    "web_searches_kcount",
    "requests_kcount",
)
"""genai-prices' names of the rates that a row holds, in the row's order."""

_TABLE = Path(__file__).parent.parent / "data" / "prices.json"
_DAY = 86_400.0
_COMPACT_DATE = re.compile(r"-(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=[-:]|$)")


class Rates(msgspec.Struct, frozen=True):
    """What a model charges, in USD: tokens per 1,000,000, web searches and requests per 1,000.

    A kind of cached token without a rate of its own has the rate of the kind that contains it (one-hour write →
    write → input). None is unknown, not free. `long_context` holds (threshold, rates) in ascending order: a request
    with more input tokens than the threshold is charged at those rates as a whole.
    """

    input: float | None = None
    output: float | None = None
    cache_read: float | None = None
    cache_write: float | None = None
    cache_write_1h: float | None = None
    web_search: float | None = None
    request: float | None = None
    long_context: tuple[tuple[float, Rates], ...] = ()

    @classmethod
    def from_row(cls, row: Row) -> Rates | None:
        """The rates of a table row; None if the row prices no tokens (audio by the hour, pages …)."""
        if all(cell is None for cell in row[:2]):
            return None
        thresholds = sorted({start for cell in row if isinstance(cell, list) for start in cell[1::2]})
        above = tuple((start, cls._flat(_cut(cell, start) for cell in row)) for start in thresholds)
        base = cls._flat(cell[0] if isinstance(cell, list) else cell for cell in row)
        return msgspec.structs.replace(base, long_context=above)

    @classmethod
    def _flat(cls, cells: Iterable[float | None]) -> Rates:
        padded = [*cells, *[None] * len(RATE_KEYS)][: len(RATE_KEYS)]
        tokens, output, read, write, write_1h, search, request = padded
        read = tokens if read is None else read
        write = tokens if write is None else write
        write_1h = write if write_1h is None else write_1h
        return cls(tokens, output, read, write, write_1h, search, request)


def _cut(cell: float | list[float] | None, start: float) -> float | None:
    if not isinstance(cell, list):
        return cell
    rate = cell[0]
    for threshold, above in zip(cell[1::2], cell[2::2], strict=True):
        if threshold <= start:
            rate = above
    return rate


class Price(msgspec.Struct, array_like=True, frozen=True):
    """A row and when it holds: always (""), from a UTC date ("2026-01-31"), or daily in UTC ("00:30-16:30")."""

    row: Row
    when: str = ""

    def holds(self, at: float) -> tuple[bool, float, float]:
        """Whether the price holds at `at` (epoch seconds), and the span of time in which that answer stays true."""
        if not self.when:
            return True, -inf, inf
        if ":" not in self.when:
            start = datetime.fromisoformat(self.when).replace(tzinfo=UTC).timestamp()
            return (True, start, inf) if at >= start else (False, -inf, start)
        first, last = (int(part[:2]) * 3600 + int(part[3:]) * 60 for part in self.when.split("-"))
        midnight = at - at % _DAY
        edges = [midnight + edge + day for day in (-_DAY, 0.0, _DAY) for edge in (first, last)]
        since, until = max(e for e in edges if e <= at), min(e for e in edges if e > at)
        return (since - first) % _DAY == 0, since, until


class Model(msgspec.Struct, array_like=True, frozen=True):
    """The ids that one model answers to, its prices, and what differs in other service tiers."""

    match: Clause
    prices: list[Price]
    tiers: dict[str, list[Price]] = {}

    def rates(self, at: float, tier: str = "") -> tuple[float, float, Rates | None]:
        """(since, until, rates): the rates at `at` and the span of time in which they hold.

        A tier that has no price then is unknown: None.
        """
        since, until = -inf, inf
        chosen: Row | None = None
        for price in self.prices:
            active, start, end = price.holds(at)
            since, until = max(since, start), min(until, end)
            if active or chosen is None:
                chosen = price.row
        special: Row | None = None
        for price in self.tiers.get(tier, ()) if tier else ():
            active, start, end = price.holds(at)
            since, until = max(since, start), min(until, end)
            if active:
                special = price.row if special is None else _over(special, price.row)
        if chosen is None or (tier and special is None):
            return since, until, None
        return since, until, Rates.from_row(chosen if special is None else _over(special, chosen))


def _over(upper: Row, lower: Row) -> Row:
    return [low if high is None else high for high, low in zip_longest(upper, lower)]


class Provider(msgspec.Struct, frozen=True):
    """A provider's models; `alias` and `owns` recognise other names of the provider and ids of its models."""

    id: str
    models: list[Model]
    alias: Clause | None = None
    owns: Clause | None = None
    fallback: list[str] = []


class Found(msgspec.Struct, frozen=True):
    """A model in the table. Tier prices hold only with the provider that lists them, not for a reseller."""

    provider: str
    model: Model
    own: bool


class Table(msgspec.Struct, frozen=True):
    """All providers, in the order in which they are tried."""

    source: str
    license: str
    providers: list[Provider]

    def provider(self, name: str) -> Provider | None:
        """The provider that `name`, in small letters, stands for."""
        for provider in self.providers:
            if provider.id == name:
                return provider
        return next((p for p in self.providers if p.alias is not None and _matches(p.alias, name)), None)

    def find(self, provider: str | None, model: str) -> Found | None:
        """The model that the id names at this provider.

        Without a provider, the id itself is asked: first whose ids look like this, then `provider/model`. LiteLLM
        always puts the provider first, so there the order is the reverse.
        """
        ref = model.lower()
        if provider is None:
            return self._find_by_look(ref) or self._find_by_prefix(ref)
        if provider == "litellm":
            return self._find_by_prefix(ref) or self._find_by_look(ref)
        owner = self.provider(provider)
        return None if owner is None else self._find_at(owner, ref)

    def _find_by_look(self, ref: str) -> Found | None:
        owner = next((p for p in self.providers if p.owns is not None and _matches(p.owns, ref)), None)
        return None if owner is None else self._find_at(owner, ref)

    def _find_by_prefix(self, ref: str) -> Found | None:
        prefix, _, rest = ref.partition("/")
        owner = self.provider(prefix) if rest else None
        return None if owner is None else self._find_at(owner, rest)

    def _find_at(self, owner: Provider, ref: str) -> Found | None:
        # Compact dates and resource paths are only tried when the id as it stands names nothing.
        resource = ref.rpartition("models/")[2]
        for candidate in dict.fromkeys((ref, _COMPACT_DATE.sub(r"-\1-\2-\3", ref), resource)):
            for source in (owner, *(p for name in owner.fallback for p in self.providers if p.id == name)):
                for model in source.models:
                    if _matches(model.match, candidate):
                        return Found(owner.id, model, source is owner)
        return None


def _matches(clause: Clause, text: str) -> bool:
    if isinstance(clause, list):
        if clause[0] == "&":
            return all(_matches(part, text) for part in clause[1:])
        return any(_matches(part, text) for part in clause)
    operator, value = clause[0], clause[1:]
    if operator == "=":
        return text == value
    if operator == "^":
        return text.startswith(value)
    if operator == "*":
        return value in text
    if operator == "$":
        return text.endswith(value)
    return re.search(value, text) is not None


def row_of(price: object) -> Row:
    """The row of a genai-prices `ModelPrice`, which has one attribute for each of RATE_KEYS."""
    row = [_cell(getattr(price, key)) for key in RATE_KEYS]
    while row and row[-1] is None:
        row.pop()
    return row


def _cell(value: Any) -> float | list[float] | None:
    tiers = getattr(value, "tiers", None)
    if tiers is None:
        return None if value is None else float(value)
    return [float(value.base), *(float(x) for tier in tiers for x in (tier.start, tier.price))]


# Made with the module, by one thread: two that ask msgspec for a new type's decoder at once can crash the process.
_decoder = msgspec.json.Decoder(Table)


@cache
def load() -> Table:
    """The bundled table; read from the package's data on first use only."""
    return _decoder.decode(_TABLE.read_bytes())


@lru_cache(maxsize=1024)
def find(provider: str | None, model: str) -> Found | None:
    """`Table.find` on the bundled table, remembered: a search tries up to a thousand patterns."""
    return load().find(provider, model)
