"""What a call cost, from its attributes and a price list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from attune_monitoring import semconv as sc

__all__ = ["Pricer", "add_cost", "cost_attributes"]


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
    """Return cost, source, baseline and tier of a call whose other attributes are given; `at`: epoch seconds."""
    get = attributes.get
    cost, source, baseline, tier = pricing.quote(
        get(sc.PROVIDER),
        get(sc.RESPONSE_MODEL) or get(sc.REQUEST_MODEL),
        get(sc.INPUT_TOKENS),
        get(sc.OUTPUT_TOKENS),
        get(sc.CACHE_READ_TOKENS, 0),
        get(sc.CACHE_WRITE_TOKENS, 0),
        get(sc.CACHE_WRITE_1H_TOKENS, 0),
        get(sc.SERVER_TOOL_CALLS, 0),
        get(sc.SERVICE_TIER),
        at,
    )
    priced = dict(attributes)
    add_cost(priced, cost, source, baseline, failed=failed)
    priced[sc.TIER] = tier
    return {key: priced[key] for key in (sc.COST, sc.COST_SOURCE, sc.BASELINE_COST, sc.TIER) if key in priced}


def add_cost(
    attributes: dict[str, Any], cost: float | None, source: str, baseline: float | None, *, failed: bool
) -> None:
    """Add to a call's attributes what a price list quotes for it; a cost that stands there already is kept.

    The baseline is what the same tokens cost at the provider's premium model. Where the cost itself is not known there
    is none: nothing can be saved against what is not known.
    """
    if attributes.get(sc.COST) is not None:
        attributes.setdefault(sc.COST_SOURCE, "caller")
    elif cost is not None and attributes.get(sc.USAGE_COMPLETE, True):
        attributes[sc.COST] = cost
        attributes[sc.COST_SOURCE] = source
    else:
        used = sc.INPUT_TOKENS in attributes or sc.OUTPUT_TOKENS in attributes
        complete = attributes.get(sc.USAGE_COMPLETE, True)
        attributes[sc.COST_SOURCE] = "none" if failed and complete and not used else "unknown"
        return
    if baseline is not None:
        attributes[sc.BASELINE_COST] = baseline
