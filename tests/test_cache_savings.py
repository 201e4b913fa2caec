"""Cache savings by hand: what was read is cheaper, what was written is dearer than plain input."""

from __future__ import annotations

import pytest

from attune_monitoring.cache_savings import cache_savings
from attune_monitoring.pricing import Pricing

PRICES = Pricing(
    overrides={
        "models": {
            "full": {"input": 3.0, "output": 15.0, "cache_read": 0.3, "cache_write": 3.75},
            "plain": {"input": 2.0, "output": 4.0},
            "no-input": {"input": 0.0, "output": 4.0},
        }
    }
)


@pytest.mark.parametrize(
    ("model", "read", "written", "usd"),
    [
        ("full", 1_000_000, 0, 2.7),
        ("full", 0, 1_000_000, -0.75),
        ("full", 2_000_000, 1_000_000, 4.65),
        ("plain", 1_000_000, 1_000_000, 0.0),
        ("no-input", 1_000_000, 0, 0.0),
    ],
)
def test_reading_saves_the_difference_to_plain_input_and_writing_costs_its_surplus(model, read, written, usd):
    assert cache_savings(PRICES, "somebody", model, read=read, written=written) == pytest.approx(usd)


def test_a_model_without_a_price_has_no_known_savings():
    assert cache_savings(Pricing(), "nobody", "no-such-model", read=1, written=0) is None


def test_without_cached_tokens_nothing_was_saved_whatever_the_price():
    assert cache_savings(Pricing(), "nobody", "no-such-model", read=0, written=0) == 0.0
