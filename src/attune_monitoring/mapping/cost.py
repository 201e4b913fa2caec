"""What a call cost, from its attributes and a price list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from attune_monitoring import semconv as sc

__all__ = ["Pricer", "cost_attributes"]


class Pricer(Protocol):
    """What mapping needs of a price list (USD); see pricing."""

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
        """Return cost, its source, the cost at the provider's premium model (None where unknown), and the tier."""
        ...

    def tier(self, provider: str | None, model: str | None) -> str:
        """Return cheap, capable, premium or unknown."""
        ...


def cost_attributes(attributes: Mapping[str, Any], pricing: Pricer, *, failed: bool, at: float) -> dict[str, Any]:
    """Return cost, source, baseline and tier of a call whose other attributes are given; `at`: epoch seconds.

    The baseline is what the same tokens cost at the provider's premium model. Where the cost itself is not known there
    is none: nothing can be saved against what is not known.
    """
    get = attributes.get
    used = get(sc.INPUT_TOKENS)
    output = get(sc.OUTPUT_TOKENS)
    given = get(sc.COST)
    cost, source, baseline, tier = pricing.quote(
        get(sc.PROVIDER),
        get(sc.RESPONSE_MODEL) or get(sc.REQUEST_MODEL),
        used,
        output,
        get(sc.CACHE_READ_TOKENS, 0),
        get(sc.CACHE_WRITE_TOKENS, 0),
        get(sc.CACHE_WRITE_1H_TOKENS, 0),
        get(sc.SERVER_TOOL_CALLS, 0),
        get(sc.SERVICE_TIER),
        at,
    )
    if given is not None:
        cost, source = given, get(sc.COST_SOURCE, "caller")
    elif not get(sc.USAGE_COMPLETE, True):
        cost = None
    elif used is None and output is None and failed:
        return {sc.COST_SOURCE: "none", sc.TIER: tier}
    if cost is None:
        return {sc.COST_SOURCE: "unknown", sc.TIER: tier}
    if baseline is None:
        return {sc.COST: cost, sc.COST_SOURCE: source, sc.TIER: tier}
    return {sc.COST: cost, sc.COST_SOURCE: source, sc.BASELINE_COST: baseline, sc.TIER: tier}
