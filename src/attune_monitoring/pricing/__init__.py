"""Tokens to cost in USD: the bundled price table, the user's overrides, tiers and the baseline of savings."""

from __future__ import annotations

from .cost import DEFAULT, Cost, Pricing
from .overrides import Override, parse_overrides
from .table import Rates

__all__ = ["DEFAULT", "Cost", "Override", "Pricing", "Rates", "parse_overrides"]
