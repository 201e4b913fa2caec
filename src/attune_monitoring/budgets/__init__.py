"""Budgets: what calls may cost, in a block of code or in a calendar period."""

from __future__ import annotations

from .block import Spending, budget

__all__ = ["Spending", "budget"]
