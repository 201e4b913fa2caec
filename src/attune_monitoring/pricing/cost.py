"""Pricing: what a call costs, which tier its model is in, and what it would have cost at the premium model.

An unknown price is None, never 0. Local models (Ollama …) have no known price either; whoever wants them free says so
with an override of 0. Token counts do not say which tokens were audio or images, so all are priced as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from math import inf, isfinite, isnan, nan
from time import time
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import msgspec

from attune_monitoring.errors import ConfigError

from .names import ALIASES, is_like, names_of, price_tier
from .overrides import Override, OverrideBook, parse_overrides
from .table import Rates, find, load, row_of
from .tiers import PREMIUM_MODELS, tier_by_name, tier_by_price

__all__ = ["DEFAULT", "Cost", "Pricing"]

Source: TypeAlias = Literal["table", "override", "live"]

_MEMO_LIMIT = 1024
_NAME_LIMIT = 256  # characters
_LIVE_SECONDS = 900.0  # genai-prices may update itself, and its daily price changes fall on quarters of an hour
_NOTHING: Mapping[str, Any] = MappingProxyType({})

# since, until, rates, source, version
_Found: TypeAlias = tuple[float, float, Rates | None, Source, str]
# threshold in input tokens, then in millionths of USD: a token of input, output, cache read, cache write, one-hour
# cache write, a web search, a request
_Band: TypeAlias = tuple[float, float, float, float, float, float, float, float]
# since, until, rates, rates above each long-context threshold, source, version
_Entry: TypeAlias = tuple[float, float, _Band | None, tuple[_Band, ...], Source, str]
# since, until, the model's entry, that of its provider's premium model, the model's tier
_Pair: TypeAlias = tuple[float, float, _Entry, _Entry | None, str]


class Cost(msgspec.Struct, frozen=True):
    """What a call cost, in USD; `source` says whose price it is, `version` which table's."""

    total: float
    source: Source
    version: str = ""


class Pricing:
    """Prices calls from the bundled table, with the user's overrides before it; safe to share between threads.

    Args:
        overrides: what `parse_overrides` takes or what it returned. An exact name goes before a pattern and a longer
            one before a shorter.
        aliases: further names of providers, name → provider of the table; "" = decide by the model's id.
        tiers: tier → patterns of `model` or `provider/model`, tried before the built-in ones.
        premium_models: provider → the model that `baseline` prices.
        live: ask an installed genai-prices for models that the table does not know. It is imported then, and answers
            from what it has in memory; nothing here goes to the network.

    Raises:
        ConfigError: `overrides` has mistakes; all of them are listed.
    """

    def __init__(
        self,
        *,
        overrides: Mapping[str, Any] | Sequence[Override] = (),
        aliases: Mapping[str, str] = _NOTHING,
        tiers: Mapping[str, Iterable[str]] = _NOTHING,
        premium_models: Mapping[str, str] = _NOTHING,
        live: bool = False,
    ) -> None:
        if isinstance(overrides, Mapping):
            overrides, problems = parse_overrides(overrides)
            if problems:
                raise ConfigError([f"{'.'.join(map(str, path))}: {message}" for path, message in problems])
        self._overrides = OverrideBook(overrides)
        self._aliases = ALIASES | {name.lower(): provider for name, provider in aliases.items()}
        self._tier_patterns = [(pattern, tier) for tier, patterns in tiers.items() for pattern in patterns]
        self._premium_models = {name.lower(): model for name, model in premium_models.items()}
        self._live = live
        self._memo: dict[tuple[str | None, str | None, str | None], _Entry] = {}
        self._pairs: dict[tuple[str | None, str | None, str | None], _Pair] = {}
        self._premium = lru_cache(_MEMO_LIMIT)(self._find_premium)
        self._tier = lru_cache(_MEMO_LIMIT)(self._find_tier)

    def cost(
        self,
        provider: str | None,
        model: str | None,
        *,
        input_tokens: int | None,
        output_tokens: int | None,
        cache_read_tokens: int = 0,
        cache_write_tokens: int = 0,
        cache_write_1h_tokens: int = 0,
        at: float | None = None,
        service_tier: str | None = None,
        server_tool_calls: int = 0,
    ) -> Cost | None:
        """The cost of one call; None when the price or the usage is unknown. Never raises.

        Args:
            provider: any name of the provider; None = the one whose model ids look like `model`.
            model: the id as requested or as answered, dated or not.
            input_tokens: all of them, cached ones included (the GenAI convention).
            output_tokens: all of them, reasoning included; None is fine for models without output (embeddings).
            cache_read_tokens: the part of the input that was read from the provider's cache.
            cache_write_tokens: the part of the input that was written to it, one-hour writes included.
            cache_write_1h_tokens: the part of those writes that is kept for one hour.
            at: when the call was made, in seconds since the epoch; None = now.
            service_tier: as the provider reports it; "batch" and "fast" name those modes of processing.
            server_tool_calls: web searches that the provider ran. With one whose price is unknown, so is the cost.
        """
        try:
            entry = self._entry(provider, model, service_tier, time() if at is None else at)
            usd = _usd(
                entry,
                input_tokens,
                output_tokens,
                cache_read_tokens,
                cache_write_tokens,
                cache_write_1h_tokens,
                server_tool_calls,
            )
            return Cost(usd, entry[4], entry[5]) if usd < inf else None
        except Exception:
            return None

    def quote(
        self,
        provider: str | None,
        model: str | None,
        input_tokens: int | None,
        output_tokens: int | None,
        cache_read_tokens: int,
        cache_write_tokens: int,
        cache_write_1h_tokens: int,
        server_tool_calls: int,
        service_tier: str | None,
        at: float,
    ) -> tuple[float | None, str, float | None, str]:
        """Return cost (USD), its source, `baseline` and `tier`: one look-up for what every call needs. Never raises."""
        try:
            pair = self._pairs.get((provider, model, service_tier))
            if pair is None or not pair[0] <= at < pair[1]:
                pair = self._resolve_pair(provider, model, service_tier, at)
            _, _, entry, premium, tier = pair
            special = cache_read_tokens or cache_write_tokens or cache_write_1h_tokens or server_tool_calls
            if not special and input_tokens and output_tokens and input_tokens > 0 < output_tokens:
                usd = _plain_usd(entry, input_tokens, output_tokens)
                baseline = nan if premium is None else _plain_usd(premium, input_tokens, output_tokens)
            else:
                usage = (
                    input_tokens,
                    output_tokens,
                    cache_read_tokens,
                    cache_write_tokens,
                    cache_write_1h_tokens,
                    server_tool_calls,
                )
                usd = _usd(entry, *usage)
                baseline = nan if premium is None else _usd(premium, *usage)
            return usd if usd < inf else None, entry[4], baseline if baseline < inf else None, tier
        except Exception:
            return None, "table", None, self.tier(provider, model)

    def rates(
        self,
        provider: str | None,
        model: str | None,
        *,
        at: float | None = None,
        service_tier: str | None = None,
    ) -> Rates | None:
        """What `cost` charges with; None when unknown. Never raises."""
        try:
            return self._find_rates(provider, model or "", service_tier, time() if at is None else at)[2]
        except Exception:
            return None

    def tier(self, provider: str | None, model: str | None) -> str:
        """The model's tier: "cheap", "capable", "premium" or "unknown". Never raises.

        The user's patterns decide first, then whether the model is its provider's premium model, then its family's
        name, then its price.
        """
        try:
            return self._tier(provider, model or "")
        except Exception:
            return "unknown"

    def premium_model(self, provider: str | None) -> str | None:
        """The model that `baseline` prices for this provider; None when there is none. Never raises."""
        try:
            found = self._premium(provider, "")
            return found[1] if found else None
        except Exception:
            return None

    def baseline(
        self,
        provider: str | None,
        model: str | None,
        *,
        input_tokens: int | None,
        output_tokens: int | None,
        cache_read_tokens: int = 0,
        cache_write_tokens: int = 0,
        cache_write_1h_tokens: int = 0,
        at: float | None = None,
        service_tier: str | None = None,
        server_tool_calls: int = 0,
    ) -> float | None:
        """What the same usage costs in USD at the provider's premium model; None when unknown. Never raises.

        `model` only decides whose premium model it is when the provider is unknown. The arguments are those of `cost`.
        """
        try:
            premium = self._premium(provider, model or "")
        except Exception:
            return None
        if premium is None:
            return None
        cost = self.cost(
            *premium,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cache_read_tokens=cache_read_tokens,
            cache_write_tokens=cache_write_tokens,
            cache_write_1h_tokens=cache_write_1h_tokens,
            at=at,
            service_tier=service_tier,
            server_tool_calls=server_tool_calls,
        )
        return None if cost is None else cost.total

    def _resolve_pair(self, provider: str | None, model: str | None, service_tier: str | None, at: float) -> _Pair:
        entry = self._entry(provider, model, service_tier, at)
        named = self._premium(provider, model or "")
        premium = None if named is None else self._entry(*named, service_tier, at)
        since = entry[0] if premium is None else max(entry[0], premium[0])
        until = entry[1] if premium is None else min(entry[1], premium[1])
        pair = since, until, entry, premium, self.tier(provider, model)
        if len(self._pairs) >= _MEMO_LIMIT:
            self._pairs.clear()
        self._pairs[provider, model, service_tier] = pair
        return pair

    def _entry(self, provider: str | None, model: str | None, service_tier: str | None, at: float) -> _Entry:
        entry = self._memo.get((provider, model, service_tier))
        if entry is None or not entry[0] <= at < entry[1]:
            entry = self._resolve(provider, model, service_tier, at)
        return entry

    def _resolve(self, provider: str | None, model: str | None, service_tier: str | None, at: float) -> _Entry:
        since, until, rates, source, version = self._find_rates(provider, model or "", service_tier, at)
        band = None if rates is None else _band(-1.0, rates)
        higher = () if rates is None else tuple(_band(*step) for step in rates.long_context)
        entry = since, until, band, higher, source, version
        if len(self._memo) >= _MEMO_LIMIT:
            self._memo.clear()
        self._memo[provider, model, service_tier] = entry
        return entry

    def _find_rates(self, provider: str | None, model: str, service_tier: str | None, at: float) -> _Found:
        _check_names(provider, model)
        if not model or not isfinite(at):
            return inf, -inf, None, "table", ""
        owner = self._owner(provider)
        tier = price_tier(service_tier)
        since, until, rates = self._overrides.find(names_of(model, provider, owner), tier, at)
        if rates is not None:
            return since, until, rates, "override", ""
        found = find(owner, model)
        if found is None and self._live and not tier:
            start, end, rates, version = _ask_genai_prices(owner, model, at)
            return max(since, start), min(until, end), rates, "live", version
        if found is None or (tier and not found.own):
            return since, until, None, "table", ""
        start, end, rates = found.model.rates(at, tier)
        return max(since, start), min(until, end), rates, "table", load().source

    def _find_tier(self, provider: str | None, model: str) -> str:
        _check_names(provider, model)
        names = names_of(model, provider, self._owner(provider))
        for pattern, tier in self._tier_patterns:
            if is_like(pattern, names):
                return tier
        if model == self.premium_model(provider):
            return "premium"
        tier = tier_by_name(model)
        rates = self.rates(provider, model) if tier == "unknown" else None
        return tier if rates is None else tier_by_price(rates)

    def _find_premium(self, provider: str | None, model: str) -> tuple[str, str] | None:
        _check_names(provider, model)
        owner = self._owner(provider)
        if owner in (None, "litellm"):
            found = find(owner, model)
            owner = found.provider if found else None
        if owner is None:
            return None
        chosen = {self._owner(name): own for name, own in self._premium_models.items()}.get(owner)
        chosen = chosen or PREMIUM_MODELS.get(owner)
        return (owner, chosen) if chosen else None

    def _owner(self, provider: str | None) -> str | None:
        """The table's id of a provider; its own name if the table does not know it; None: ask the model's id."""
        name = (provider or "").strip().lower()
        name = self._aliases.get(name, name)
        known = load().provider(name) if name else None
        return known.id if known else name or None


def _usd(
    entry: _Entry,
    input_tokens: int | None,
    output_tokens: int | None,
    cache_read_tokens: int,
    cache_write_tokens: int,
    cache_write_1h_tokens: int,
    server_tool_calls: int,
) -> float:
    """What this usage costs in USD; NaN where it is not known."""
    band, higher = entry[2], entry[3]
    # Asked this way round, a NaN is refused as a negative count is.
    if band is None or input_tokens is None or not input_tokens >= 0:
        return nan
    uncached = input_tokens
    written = 0
    plain = cache_read_tokens == 0 == cache_write_tokens and cache_write_1h_tokens == 0 == server_tool_calls
    if not plain:
        if not (
            cache_read_tokens >= 0 and cache_write_tokens >= 0 and cache_write_1h_tokens >= 0 and server_tool_calls >= 0
        ):
            return nan
        written = max(cache_write_tokens, cache_write_1h_tokens)
        # Below zero, the provider counts cached tokens beside the input, not in it.
        uncached = max(0, input_tokens - cache_read_tokens - written)
    if higher:
        total_input = uncached + cache_read_tokens + written
        for candidate in higher:
            if total_input > candidate[0]:
                band = candidate
    _, per_input, per_output, per_read, per_write, per_write_1h, per_search, per_request = band
    # An unknown rate is NaN, and so is any sum with it; no tokens of a kind need no rate for it.
    usd = per_request
    if uncached:
        usd += uncached * per_input
    if output_tokens is None:
        if not isnan(per_output):
            return nan
    elif not output_tokens >= 0:
        return nan
    elif output_tokens:
        usd += output_tokens * per_output
    if not plain:
        if cache_read_tokens:
            usd += cache_read_tokens * per_read
        if written:
            usd += (written - cache_write_1h_tokens) * per_write + cache_write_1h_tokens * per_write_1h
        if server_tool_calls:
            usd += server_tool_calls * per_search
    return usd / 1e6


def _plain_usd(entry: _Entry, input_tokens: int, output_tokens: int) -> float:
    """`_usd` of some input and some output and nothing else, which is what nearly all calls use."""
    band = entry[2]
    if band is None:
        return nan
    for candidate in entry[3]:
        if input_tokens > candidate[0]:
            band = candidate
    return (band[7] + input_tokens * band[1] + output_tokens * band[2]) / 1e6


def _check_names(provider: str | None, model: str) -> None:
    if len(model) > _NAME_LIMIT or len(provider or "") > _NAME_LIMIT:
        raise LookupError("a name this long is no model's, and would fill the memo")


def _band(threshold: float, rates: Rates) -> _Band:
    tokens = (rates.input, rates.output, rates.cache_read, rates.cache_write, rates.cache_write_1h)
    known = [nan if rate is None else rate for rate in tokens]
    search = nan if rates.web_search is None else rates.web_search * 1000
    return threshold, known[0], known[1], known[2], known[3], known[4], search, (rates.request or 0.0) * 1000


def _ask_genai_prices(provider: str | None, model: str, at: float) -> tuple[float, float, Rates | None, str]:
    since = at - at % _LIVE_SECONDS
    unknown = since, since + _LIVE_SECONDS, None, ""
    try:
        import genai_prices  # heavy and optional: only for whoever asked for live prices
    except ImportError:
        return unknown
    try:
        price = genai_prices.calc_price(
            genai_prices.Usage(input_tokens=0, output_tokens=0),
            model,
            provider_id=provider,
            genai_request_timestamp=datetime.fromtimestamp(at, UTC),
        )
    except LookupError:
        return unknown
    version = f"genai-prices {genai_prices.__version__}"
    return since, since + _LIVE_SECONDS, Rates.from_row(row_of(price.model_price)), version


DEFAULT = Pricing()
"""The bundled prices without overrides; the table is read when the first price is asked for."""
