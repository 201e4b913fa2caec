"""What a provider's prompt cache saved, from token counts and the price list."""

from __future__ import annotations

from attune_monitoring.pricing import Pricing

__all__ = ["cache_savings"]


def cache_savings(pricing: Pricing, provider: str, model: str, *, read: int, written: int) -> float | None:
    """Return what the cache saved in USD, below 0 where writing to it cost more than reading saved.

    Read tokens would have cost the rate of plain input; writing them cost more than that (see docs/figures.md). Rates
    are the present ones of the default service tier, below any long-context threshold: sums of tokens do not say when
    they were used, and in what requests.

    Args:
        pricing: the price list.
        provider: of the calls.
        model: of the calls.
        read: tokens read from the cache.
        written: tokens written to it; those that are kept for an hour are priced as any.

    Returns:
        None: a rate that is needed is not known.
    """
    if not read and not written:
        return 0.0
    rates = pricing.rates(provider, model)
    if rates is None or rates.input is None:
        return None
    if (read and rates.cache_read is None) or (written and rates.cache_write is None):
        return None
    saved = read * (rates.input - (rates.cache_read or 0.0)) if read else 0.0
    surplus = written * ((rates.cache_write or 0.0) - rates.input) if written else 0.0
    return (saved - surplus) / 1e6
