"""Which tier a model belongs to by its family's name or its price, and each provider's premium model."""

from __future__ import annotations

from typing import Literal, TypeAlias

from .names import is_like
from .table import Rates

__all__ = ["PREMIUM_MODELS", "Tier", "tier_by_name", "tier_by_price"]

Tier: TypeAlias = Literal["cheap", "capable", "premium", "unknown"]

# Reviewed with every new price table: a test checks that the table prices each of them.
PREMIUM_MODELS = {
    "anthropic": "claude-opus-5-5",
    "aws": "global.anthropic.claude-opus-5-5",
    "azure": "gpt-6-astra",
    "cohere": "command-a",
    "deepseek": "deepseek-v4-pro",
    "google": "gemini-4-argon",
    "mistral": "mistral-large-latest",
    "moonshotai": "kimi-k3.1-pro",
    "openai": "gpt-6-astra",
    "openrouter": "anthropic/claude-opus-5.5",
    "perplexity": "sonar-pro",
    "x-ai": "grok-4.7",
}

# First match wins, so that o3-mini is cheap and gpt-6.1-sol-pro is premium.
_FAMILIES: tuple[tuple[str, Tier], ...] = (
    ("*haiku*", "cheap"),
    ("*claude-instant*", "cheap"),
    ("*-mini*", "cheap"),
    ("*-nano*", "cheap"),
    ("*-lite*", "cheap"),
    ("*gpt-*-luna*", "cheap"),
    ("*gemini*flash*", "cheap"),
    ("*opus*", "premium"),
    ("*fable*", "premium"),
    ("*mythos*", "premium"),
    ("o1*", "premium"),
    ("o3*", "premium"),
    ("*gpt-*-pro", "premium"),
    ("*gpt-*-pro-*", "premium"),
    ("*gpt-*-astra*", "premium"),
    ("*gemini*-argon*", "premium"),
    ("*gemini*-ultra*", "premium"),
    ("*sonnet*", "capable"),
    ("*gpt-*-sol*", "capable"),
    ("*gpt-*-terra*", "capable"),
    ("*gemini*-pro*", "capable"),
)

# USD for a million tokens in and a million out.
_CAPABLE_FROM = 5.0
_PREMIUM_FROM = 40.0


def tier_by_name(model: str) -> Tier:
    """The tier of a well-known model family; "unknown" for other names."""
    name = model.lower().rpartition("/")[2]
    return next((tier for pattern, tier in _FAMILIES if is_like(pattern, (name,))), "unknown")


def tier_by_price(rates: Rates) -> Tier:
    """The tier that a price speaks for."""
    both = (rates.input or 0.0) + (rates.output or 0.0)
    if both >= _PREMIUM_FROM:
        return "premium"
    return "capable" if both >= _CAPABLE_FROM else "cheap"
