"""What providers, models and service tiers are called: aliases, patterns, and the tiers that change no price."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["ALIASES", "is_like", "is_pattern", "names_of", "price_tier"]

# Names that the conventions, frameworks and older records use where genai-prices' own rules find no provider, or the
# wrong one. The empty name means: whichever provider the model's id belongs to.
ALIASES = {
    "az.ai.inference": "azure",
    "az.ai.openai": "azure",
    "azure-openai": "azure",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "azure_ai": "azure",
    "azure_openai": "azure",
    "fireworks-ai": "fireworks",
    "fireworks_ai": "fireworks",
    "gcp.gen_ai": "google",
    "hybrid": "",
    "together.ai": "together",
    "togetherai": "together",
    "x_ai": "x-ai",
    "z_ai": "zai",
}

_STANDARD_TIERS = frozenset({"auto", "default", "on_demand", "standard", "standard_only"})


def price_tier(service_tier: str | None) -> str:
    """The service tier as the table names it; "" for those that are charged at the standard rates.

    Every other tier (flex, priority, batch, scale …) has rates of its own, known or not.
    """
    name = (service_tier or "").strip().lower()
    return "" if name in _STANDARD_TIERS else name


def names_of(model: str, *providers: str | None) -> tuple[str, ...]:
    """What a pattern may match: the model alone, and behind each name of its provider."""
    name = model.lower()
    return (name, *(f"{provider.strip().lower()}/{name}" for provider in providers if provider))


def is_pattern(text: str) -> bool:
    """Whether the text has wildcards."""
    return "*" in text or "?" in text


def is_like(pattern: str, names: Iterable[str]) -> bool:
    """Whether the pattern (`*` any text, `?` one character) matches one of the names as a whole."""
    pattern = pattern.lower()
    if not is_pattern(pattern):
        return pattern in names
    # fnmatch would take the brackets that some model ids hold for a set of characters.
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return any(re.fullmatch(expression, name) for name in names)
