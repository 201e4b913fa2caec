"""The bundled table gives the prices that genai-prices gives, and is what the generator makes of it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import genai_prices
import pytest
from genai_prices import types
from genai_prices.data import providers
from hypothesis import given, settings
from hypothesis import strategies as st

from attune_monitoring.pricing import Pricing
from attune_monitoring.pricing.table import load

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "src" / "attune_monitoring" / "data" / "prices.json"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
THREE = {"openai", "anthropic", "google"}

# (input, output, cache read, cache write, of those for an hour)
MIXES = [
    (1_000, 100, 0, 0, 0),
    (10_000, 500, 4_000, 3_000, 1_000),
    (5_000, 0, 0, 5_000, 5_000),
    (100_001, 7, 100_001, 0, 0),
    (200_000, 1_000, 50_000, 10_000, 0),
    (200_001, 1_000, 50_000, 10_000, 5_000),
    (272_000, 10, 0, 0, 0),
    (272_001, 10, 0, 100, 0),
    (1_000_000, 64_000, 900_000, 50_000, 25_000),
    (0, 0, 0, 0, 0),
]

pytestmark = pytest.mark.skipif(
    load().source != f"genai-prices {version('genai-prices')}",
    reason=f"the table is of {load().source}, installed is {version('genai-prices')}; run `make prices`",
)


def ids(clause: types.MatchLogic) -> Iterator[str]:
    """Ids that the clause is meant for, also dated and `-latest`."""
    match clause:
        case types.ClauseOr():
            for part in clause.or_:
                yield from ids(part)
        case types.ClauseAnd():
            yield from ids(clause.and_[0])
        case types.ClauseEquals():
            yield clause.equals
        case types.ClauseStartsWith():
            yield from (clause.starts_with + end for end in ("", "-20250929", "-latest", "@20250929", "-2025-09-29"))
        case types.ClauseContains():
            yield from (start + clause.contains + "-v1:0" for start in ("", "us.", "x-"))
        case types.ClauseEndsWith():
            yield "x-" + clause.ends_with
        case types.ClauseRegex():
            yield (
                re.sub(r"\\d\{(\d)\}|\\d", lambda d: "2026"[: int(d[1] or 1)] * (2 if d[1] == "8" else 1), clause.regex)
                .strip("^$")
                .replace("\\", "")
            )


def constraints(model: types.ModelInfo) -> Iterator[types.StartDateConstraint | types.TimeOfDateConstraint]:
    prices = model.prices if isinstance(model.prices, list) else []
    for price in [*prices, *(model.price_variants or ())]:
        if price.constraint is not None:
            yield price.constraint


def moments(model: types.ModelInfo) -> Iterator[datetime]:
    """Now, long ago, and both sides of every change of the model's price."""
    yield from (NOW, datetime(2023, 1, 1, tzinfo=UTC))
    for constraint in constraints(model):
        if isinstance(constraint, types.StartDateConstraint):
            edges = [datetime.combine(constraint.start_date, datetime.min.time(), UTC)]
        else:
            edges = [datetime.combine(NOW, edge, UTC) for edge in (constraint.start_time, constraint.end_time)]
        for edge in edges:
            yield from (edge - timedelta(seconds=1), edge)


def expected(provider: str, ref: str, mix: tuple[int, ...], when: datetime, tier: str | None = None) -> float | None:
    """genai-prices' answer; None where it adds nothing for tokens that have no price, as ours must."""
    tokens, output, read, write, write_1h = mix
    _, model = genai_prices.data_snapshot.get_snapshot().find_provider_model(ref, None, provider, None)
    context = None
    if tier is not None:
        own = any(model is m for p in providers if p.id == provider for m in p.models)
        variants = [v for v in model.price_variants or () if own and tier in v.when.values()]
        context = next((v.when for v in variants if v.constraint is None or v.constraint.active(when)), None)
        if context is None:
            return None
    usage = genai_prices.Usage(
        input_tokens=tokens,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=write_1h,
    )
    price = genai_prices.calc_price(
        usage, ref, provider_id=provider, genai_request_timestamp=when, price_context=context
    )
    rates = price.model_price
    named_free = re.search(r"\bfree\b|zero token", f"{model.id} {model.name} {model.price_comments}", re.IGNORECASE)
    if not any(value is not None for value in vars(rates).values()):
        return 0.0 if named_free or model.id == "moderation" else None
    if (rates.input_mtok is None and (tokens or rates.output_mtok is None)) or (rates.output_mtok is None and output):
        return None
    return float(price.total_price)


def ours(
    pricing: Pricing, provider: str, ref: str, mix: tuple[int, ...], when: datetime, tier: str | None = None
) -> float | None:
    tokens, output, read, write, write_1h = mix
    cost = pricing.cost(
        provider,
        ref,
        input_tokens=tokens,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=write_1h,
        at=when.timestamp(),
        service_tier=tier,
    )
    return None if cost is None else cost.total


def same(mine: float | None, theirs: float | None) -> bool:
    return mine is None if theirs is None else mine == pytest.approx(theirs, rel=1e-12, abs=1e-18)


@pytest.mark.slow
@pytest.mark.parametrize("provider", [p for p in providers if p.id in THREE], ids=lambda p: p.id)
def test_every_model_costs_what_genai_prices_says_for_every_mix_of_tokens_at_every_date(provider):
    pricing = Pricing()
    wrong = [
        (ref, mix, when, mine, theirs)
        for model in provider.models
        for ref in [next(ids(model.match))]
        for when in dict.fromkeys(moments(model))
        for mix in MIXES
        if not same(mine := ours(pricing, provider.id, ref, mix, when), theirs := expected(provider.id, ref, mix, when))
    ]
    assert not wrong


@pytest.mark.slow
@pytest.mark.parametrize("provider", [p for p in providers if p.id in THREE], ids=lambda p: p.id)
def test_every_service_tier_costs_what_genai_prices_says_and_is_unknown_before_it_has_a_price(provider):
    pricing = Pricing()
    wrong = [
        (ref, tier, mix, when, mine, theirs)
        for model in provider.models
        for ref in [next(ids(model.match))]
        for when in dict.fromkeys(moments(model))
        for mix in MIXES[1::4]
        for tier in ("batch", "flex", "priority", "fast", "scale")
        if not same(
            mine := ours(pricing, provider.id, ref, mix, when, tier),
            theirs := expected(provider.id, ref, mix, when, tier),
        )
    ]
    assert not wrong


@pytest.mark.slow
def test_every_id_of_every_provider_names_the_model_that_genai_prices_finds():
    pricing = Pricing()
    wrong = []
    for provider in providers:
        for model in provider.models:
            for ref in dict.fromkeys([model.id, *ids(model.match)]):
                try:
                    theirs = expected(provider.id, ref, MIXES[1], NOW)
                except LookupError:
                    continue
                mine = ours(pricing, provider.id, ref, MIXES[1], NOW)
                if not same(mine, theirs):
                    wrong.append((provider.id, ref, mine, theirs))
    assert not wrong


def test_prices_that_change_with_the_hour_follow_the_clock_in_utc():
    pricing = Pricing()
    provider = next(p for p in providers if p.id == "deepseek")
    hourly = [m for m in provider.models if any(isinstance(c, types.TimeOfDateConstraint) for c in constraints(m))]
    assert hourly
    for model in hourly:
        for minutes in range(-1441, 1442, 7):
            when = NOW + timedelta(minutes=minutes)
            assert same(
                ours(pricing, "deepseek", model.id, MIXES[0], when), expected("deepseek", model.id, MIXES[0], when)
            )


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    model=st.sampled_from([(p.id, next(ids(m.match))) for p in providers if p.id in THREE for m in p.models]),
    parts=st.tuples(*[st.integers(0, 2_000_000)] * 5),
    when=st.datetimes(datetime(2023, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
)
def test_any_usage_at_any_time_costs_what_genai_prices_says(model, parts, when):
    fresh, output, read, write, write_1h = parts
    mix = (fresh + read + write + write_1h, output, read, write + write_1h, write_1h)
    assert same(ours(Pricing(), *model, mix, when), expected(*model, mix, when))


def test_web_searches_cost_what_genai_prices_says():
    cost = Pricing().cost("anthropic", "claude-sonnet-4-6", input_tokens=10, output_tokens=10, server_tool_calls=3)
    usage = genai_prices.Usage(input_tokens=10, output_tokens=10, web_searches=3)
    assert cost is not None
    assert cost.total == pytest.approx(
        float(genai_prices.calc_price(usage, "claude-sonnet-4-6", provider_id="anthropic").total_price), rel=1e-12
    )


def test_ids_without_a_provider_name_what_genai_prices_finds():
    pricing = Pricing()
    snapshot = genai_prices.data_snapshot.get_snapshot()
    checked = 0
    for provider in providers:
        for model in provider.models:
            ref = next(ids(model.match))
            try:
                owner, _ = snapshot.find_provider_model(ref, None, None, None)
            except LookupError:
                continue
            checked += 1
            cost = pricing.cost(None, ref, input_tokens=1000, output_tokens=100, at=NOW.timestamp())
            theirs = expected(owner.id, ref, MIXES[0], NOW)
            assert same(None if cost is None else cost.total, theirs), ref
    assert checked > 200


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_committed_table_is_what_the_generator_makes(tmp_path, seed):
    target = tmp_path / "prices.json"
    command = [sys.executable, str(ROOT / "tools" / "make_prices.py"), str(target)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed})
    assert target.read_bytes() == TABLE.read_bytes()


def test_the_table_is_small_and_carries_the_licence_of_its_source():
    assert TABLE.stat().st_size <= 300_000
    assert "Permission is hereby granted" in load().license
