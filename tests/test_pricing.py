"""What a call costs, which tier its model is in, and what is unknown."""

import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import genai_prices
import pytest
from genai_prices import types
from genai_prices.data import providers as genai_providers
from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from attune_monitoring.pricing import DEFAULT, Pricing, Rates

AT = datetime(2026, 11, 20, tzinfo=UTC).timestamp()
OPUS, SONNET, HAIKU = "claude-opus-4-5", "claude-sonnet-4-6", "claude-haiku-4-5"


def total(provider, model, tokens=1_000_000, output=0, pricing=DEFAULT, **more):
    cost = pricing.cost(provider, model, input_tokens=tokens, output_tokens=output, at=more.pop("at", AT), **more)
    return None if cost is None else cost.total


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


# --- known prices, by hand (Anthropic's and OpenAI's price pages) ---


def test_a_known_model_costs_its_published_rates_and_says_which_table_knew_them():
    cost = DEFAULT.cost("anthropic", HAIKU, input_tokens=1_000_000, output_tokens=100_000, at=AT)
    assert cost is not None
    assert cost.total == pytest.approx(1.00 + 0.50)
    assert cost.source == "table"
    assert cost.version.startswith("genai-prices ")


def test_cached_tokens_are_part_of_the_input_and_have_their_own_rates():
    usd = total(
        "anthropic",
        HAIKU,
        1_000_000,
        cache_read_tokens=500_000,
        cache_write_tokens=300_000,
        cache_write_1h_tokens=100_000,
    )
    assert usd == pytest.approx(0.2 * 1.00 + 0.5 * 0.10 + 0.2 * 1.25 + 0.1 * 2.00)


def test_a_one_hour_write_that_the_writes_leave_out_is_still_charged_once():
    assert total("anthropic", HAIKU, 100, cache_write_1h_tokens=100) == pytest.approx(100 * 2.00 / 1e6)


def test_more_cached_tokens_than_input_never_make_the_rest_negative():
    usd = total("anthropic", HAIKU, 10, cache_read_tokens=1_000_000)
    assert usd == pytest.approx(0.10)


def test_cached_tokens_beside_the_input_count_towards_the_long_context_threshold():
    usd = total("anthropic", "claude-sonnet-4-5", 10, cache_read_tokens=300_000)
    assert usd == pytest.approx(0.3 * 0.60)


def test_the_whole_request_moves_to_the_long_context_rate_above_the_threshold():
    assert total("anthropic", "claude-sonnet-4-5", 200_000) == pytest.approx(0.2 * 3)
    assert total("anthropic", "claude-sonnet-4-5", 200_001) == pytest.approx(0.200001 * 6)


def test_a_price_holds_from_its_date_on_in_whichever_order_calls_are_priced():
    change = at("2025-06-10")
    for when, usd in [(change, 2), (change - 1, 10), (None, 2), (change - 1, 10), (change, 2)]:
        assert total("openai", "o3", at=when) == pytest.approx(usd)


def test_a_model_without_output_needs_no_output_count():
    assert total("openai", "text-embedding-3-small", output=None) == pytest.approx(0.02)
    assert total("openai", "text-embedding-3-small", output=5) is None


def test_a_web_search_without_a_known_price_makes_the_cost_unknown():
    assert total("anthropic", SONNET, 0, server_tool_calls=2) == pytest.approx(0.02)
    assert total("anthropic", "claude-3-haiku", 0, server_tool_calls=2) is None


# --- service tiers ---


@pytest.mark.parametrize("tier", [None, "", "default", "standard", "auto", "DEFAULT", "on_demand", "standard_only"])
def test_standard_tiers_change_nothing(tier):
    assert total("openai", "gpt-5", service_tier=tier) == pytest.approx(1.25)


def test_a_tier_that_the_table_knows_has_its_own_price():
    assert total("openai", "gpt-5", service_tier="flex") == pytest.approx(0.625)
    assert total("openai", "gpt-5", service_tier="priority") == pytest.approx(2.5)
    assert total("anthropic", HAIKU, service_tier="batch") == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("provider", "model", "tier"),
    [
        ("openai", "gpt-5", "scale"),
        ("anthropic", HAIKU, "priority"),
        ("azure", "gpt-5", "priority"),  # OpenAI's tier prices are not Azure's
        ("openai", "gpt-4", "flex"),
        ("openai", "gpt-5", "something-new"),
    ],
)
def test_a_tier_with_an_unknown_price_makes_the_cost_unknown(provider, model, tier):
    assert total(provider, model) is not None
    assert total(provider, model, service_tier=tier) is None


# --- names ---


@pytest.mark.parametrize(
    ("name", "provider", "model"),
    [
        ("x_ai", "x-ai", "grok-4"),
        ("xai", "x-ai", "grok-4"),
        ("azure.ai.inference", "azure", "gpt-4o"),
        ("azure.ai.openai", "azure", "gpt-4o"),
        ("az.ai.openai", "azure", "o3-2025-04-16"),
        ("gcp.gen_ai", "google", "gemini-2.5-pro"),
        ("gcp.gemini", "google", "gemini-2.5-pro"),
        ("gcp.vertex_ai", "google", "claude-sonnet-4-5@20250929"),
        ("vertex_ai", "google", "gemini-2.5-pro"),
        ("gemini", "google", "gemini-2.5-pro"),
        ("GOOGLE ", "google", "gemini-2.5-pro"),
        ("aws.bedrock", "aws", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("bedrock", "aws", "amazon.nova-pro-v1:0"),
        ("mistral_ai", "mistral", "mistral-large-latest"),
        ("mistralai", "mistral", "mistral-large-latest"),
        ("moonshot_ai", "moonshotai", "kimi-k2"),
        ("together_ai", "together", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
        ("fireworks_ai", "fireworks", "accounts/fireworks/models/deepseek-v3p2"),
    ],
)
def test_other_names_of_a_provider_cost_the_same(name, provider, model):
    assert total(provider, model) is not None
    assert total(name, model) == total(provider, model)


@pytest.mark.parametrize(
    ("provider", "written", "plain"),
    [
        ("openai", "gpt-4o-2024-08-06", "gpt-4o"),
        ("openai", "gpt-5.2-20251211", "gpt-5.2"),
        ("openai", "GPT-4o", "gpt-4o"),
        ("anthropic", "claude-haiku-4-5-20251001", HAIKU),
        ("google", "models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("google", "publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("aws", "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
         "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ],
)  # fmt: skip
def test_dates_paths_and_capitals_in_a_model_id_change_nothing(provider, written, plain):
    assert total(provider, plain) is not None
    assert total(provider, written) == total(provider, plain)


def test_a_fine_tuned_model_has_the_price_of_fine_tuned_models():
    assert total("openai", "ft:gpt-4o-mini-2024-07-18:org::id") == pytest.approx(0.30)


@pytest.mark.parametrize("provider", [None, "", "hybrid", "litellm"])
@pytest.mark.parametrize("model", [HAIKU, f"anthropic/{HAIKU}"])
def test_without_a_provider_the_model_id_says_whose_it_is(provider, model):
    assert total(provider, model) == pytest.approx(1.00)


def test_a_user_can_name_further_providers():
    assert total("our-gateway", HAIKU) is None
    assert total("our-gateway", HAIKU, pricing=Pricing(aliases={"Our-Gateway": "anthropic"})) == pytest.approx(1.00)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("ollama", "llama3.2"),
        ("ollama", "gpt-oss:20b"),
        ("custom", HAIKU),
        ("ibm.watsonx.ai", "granite-3"),
        ("openai", "no-such-model"),
        (None, "nobody-knows-this"),
        ("openai", None),
        ("openai", ""),
        ("openai", "whisper-1"),  # priced by the hour, not by the token
        ("cerebras", "qwen-3-coder-480b"),  # listed without a price
    ],
)
def test_an_unknown_price_is_none_and_never_zero(provider, model):
    assert DEFAULT.cost(provider, model, input_tokens=100, output_tokens=10, at=AT) is None
    assert DEFAULT.cost(provider, model, input_tokens=0, output_tokens=0, at=AT) is None
    assert DEFAULT.rates(provider, model, at=AT) is None


def test_a_model_that_is_free_costs_zero():
    assert total("google", "gemma-3-27b-it", output=10) == 0.0


def test_unknown_usage_has_an_unknown_cost():
    assert total("openai", "gpt-5", None) is None
    assert total("openai", "gpt-5", 10, None) is None


# --- hostile input ---

counts = st.one_of(
    st.none(),
    st.integers(-(10**3), 10**7),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.text(max_size=3),
    st.decimals(),
    st.lists(st.integers(), max_size=1),
)
names = st.one_of(
    st.none(),
    st.sampled_from(
        ["openai", "anthropic", "gpt-5", HAIKU, "ollama", "litellm", "x" * 10_000, "/", "models/", "\udc80"]
    ),
    st.text(max_size=8),
    st.integers(),
    st.lists(st.text(), max_size=1),
    st.binary(max_size=3),
)


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(names, names, counts, counts, counts, counts, counts, counts, counts, names)
def test_no_input_makes_pricing_raise_or_give_a_cost_that_is_no_amount(
    provider, model, tokens, output, read, write, write_1h, when, calls, tier
):
    usage = {
        "input_tokens": tokens,
        "output_tokens": output,
        "cache_read_tokens": read,
        "cache_write_tokens": write,
        "cache_write_1h_tokens": write_1h,
        "at": when,
        "service_tier": tier,
        "server_tool_calls": calls,
    }
    cost = DEFAULT.cost(provider, model, **usage)
    for usd in (cost and cost.total, DEFAULT.baseline(provider, model, **usage)):
        assert usd is None or (math.isfinite(usd) and usd >= 0)
    assert DEFAULT.tier(provider, model) in {"cheap", "capable", "premium", "unknown"}
    assert isinstance(DEFAULT.premium_model(provider), str | None)
    assert isinstance(DEFAULT.rates(provider, model, at=when, service_tier=tier), Rates | None)


@pytest.mark.parametrize("bad", [-1, math.nan, math.inf, "7", [], Decimal(7)])
@pytest.mark.parametrize(
    "field",
    [
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "cache_write_1h_tokens",
        "server_tool_calls",
    ],
)
def test_a_count_that_is_no_count_makes_the_cost_unknown(field, bad):
    usage = {"input_tokens": 10, "output_tokens": 10, field: bad}
    assert DEFAULT.cost("anthropic", SONNET, at=AT, **usage) is None


@pytest.mark.parametrize("when", [math.nan, math.inf, -math.inf, "2026-01-01"])
def test_a_time_that_is_no_time_makes_the_cost_unknown(when):
    assert total("openai", "o3", at=when) is None


@pytest.mark.slow
def test_many_names_from_many_threads_neither_mix_up_prices_nor_fill_the_memory():
    pricing = Pricing()
    calls = [("anthropic", HAIKU), ("openai", "gpt-5"), *(("openai", f"gpt-5-{i}") for i in range(3000))] * 2
    expected = {call: total(*call) for call in calls}

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda call: total(*call, pricing=pricing), calls))

    assert answers == [expected[call] for call in calls]
    assert len(pricing._memo) <= 1024


def test_a_name_too_long_for_a_model_is_unknown_and_not_kept():
    pricing = Pricing(overrides={"models": {"*": {"input": 1}}})
    for provider, model in [("openai", "claude-opus-" + "x" * 300), ("x" * 300, "claude-opus")]:
        assert total(provider, model, pricing=pricing) is None
        assert pricing.tier(provider, model) == "unknown"
    assert not pricing._memo


# --- tiers, premium models and the baseline ---


@pytest.mark.parametrize(
    ("provider", "model", "tier"),
    [
        ("anthropic", "claude-haiku-4-5-20251001", "cheap"),
        ("anthropic", SONNET, "capable"),
        ("anthropic", OPUS, "premium"),
        ("anthropic", "claude-fable-5-2", "premium"),
        ("anthropic", "claude-opus-99", "premium"),
        ("aws", "us.anthropic.claude-haiku-4-5-20251001-v1:0", "cheap"),
        ("openai", "gpt-5-nano", "cheap"),
        ("openai", "gpt-4o-mini", "cheap"),
        ("openai", "o3-mini", "cheap"),
        ("openai", "gpt-4o", "capable"),
        ("openai", "gpt-5", "capable"),
        ("openai", "gpt-5.5", "capable"),
        ("openai", "gpt-6.1-sol", "capable"),
        ("openai", "gpt-5-pro", "premium"),
        ("openai", "o3", "premium"),
        ("openai", "o1-preview", "premium"),
        ("openai", "gpt-4-32k", "premium"),
        ("openai", "text-embedding-3-small", "cheap"),
        ("azure", "gpt-4.1", "capable"),
        ("google", "gemini-2.5-flash-lite", "cheap"),
        ("google", "gemini-3.5-flash", "cheap"),
        ("google", "gemini-2.5-pro", "capable"),
        ("google", "gemini-4-argon", "premium"),
        ("openrouter", "openai/o3", "premium"),
        ("mistral", "mistral-small-latest", "cheap"),
        ("mistral", "mistral-large-latest", "premium"),
        ("deepseek", "deepseek-chat", "cheap"),
        ("ollama", "phi-3-mini", "cheap"),
        ("ollama", "llama3.2", "unknown"),
        (None, HAIKU, "cheap"),
        (None, None, "unknown"),
    ],
)
def test_a_model_is_in_the_tier_of_its_family_or_its_price(provider, model, tier):
    assert DEFAULT.tier(provider, model) == tier


def test_the_users_tiers_go_before_the_built_in_ones():
    pricing = Pricing(tiers={"premium": ["*Sonnet*"], "cheap": ["ollama/*", "openai/gpt-5"]})
    assert pricing.tier("anthropic", SONNET) == "premium"
    assert pricing.tier("ollama", "llama3.2") == "cheap"
    assert pricing.tier("openai", "GPT-5") == "cheap"
    assert pricing.tier("azure", "gpt-5") == "capable"


@pytest.mark.parametrize("provider", [p.id for p in genai_providers if DEFAULT.premium_model(p.id)])
def test_every_premium_model_has_a_price_and_the_premium_tier(provider):
    model = DEFAULT.premium_model(provider)
    assert total(provider, model, output=1000) is not None
    assert DEFAULT.tier(provider, model) == "premium"


def test_the_three_large_providers_have_a_premium_model_under_any_of_their_names():
    assert "opus" in (DEFAULT.premium_model("anthropic") or "")
    assert DEFAULT.premium_model("gcp.gemini") == DEFAULT.premium_model("google") is not None
    assert DEFAULT.premium_model("azure.ai.openai") == DEFAULT.premium_model("openai") is not None
    assert DEFAULT.premium_model("ollama") is None
    assert DEFAULT.premium_model(None) is None


def test_the_baseline_is_the_same_usage_at_the_premium_model():
    pricing = Pricing(premium_models={"anthropic": OPUS})
    usage = {"input_tokens": 1_000_000, "output_tokens": 100_000, "cache_read_tokens": 500_000, "at": AT}
    expected = 0.5 * 5 + 0.5 * 0.5 + 0.1 * 25
    assert pricing.baseline("anthropic", HAIKU, **usage) == pytest.approx(expected)
    assert pricing.baseline(None, HAIKU, **usage) == pytest.approx(expected)
    assert pricing.baseline("litellm", f"anthropic/{HAIKU}", **usage) == pytest.approx(expected)
    assert pricing.baseline("anthropic", "claude-fable-5", **usage) == pytest.approx(expected)
    assert pricing.baseline("anthropic", HAIKU, service_tier="batch", **usage) == pytest.approx(expected / 2)


def test_the_baseline_is_unknown_without_a_premium_model_or_its_price():
    assert DEFAULT.baseline("ollama", "llama3.2", input_tokens=1, output_tokens=1) is None
    assert DEFAULT.baseline(None, "llama3.2", input_tokens=1, output_tokens=1) is None
    assert DEFAULT.baseline("anthropic", HAIKU, input_tokens=1, output_tokens=None) is None


def test_a_user_can_name_a_premium_model_for_a_provider_of_any_name():
    pricing = Pricing(
        premium_models={"gcp.gemini": "gemini-2.5-pro", "ollama": "llama3.1:405b"},
        overrides={"models": {"ollama/llama3.1:405b": {"input": 3, "output": 3}}},
    )
    assert pricing.premium_model("google") == "gemini-2.5-pro"
    assert pricing.baseline("ollama", "llama3.2", input_tokens=1_000_000, output_tokens=0) == pytest.approx(3)


# --- genai-prices beside the table ---


@pytest.fixture
def newer_genai_prices():
    """genai-prices as if it had updated itself: one model that the bundled table does not know."""

    def install(rate):
        prices = types.ModelPrice(input_mtok=Decimal(rate), output_mtok=Decimal(8))
        model = types.ModelInfo(id="gpt-new", match=types.ClauseEquals("brand-new"), prices=prices)
        openai = types.Provider(id="openai", name="OpenAI", api_pattern="x", models=[model])
        set_custom_snapshot(DataSnapshot(providers=[openai], from_auto_update=True))

    yield install
    set_custom_snapshot(None)


def test_live_asks_genai_prices_for_models_that_the_table_does_not_know(newer_genai_prices):
    newer_genai_prices(4)
    assert total("openai", "brand-new", pricing=Pricing()) is None
    cost = Pricing(live=True).cost("openai", "brand-new", input_tokens=1_000_000, output_tokens=0, at=AT)
    assert cost is not None
    assert (cost.total, cost.source, cost.version) == (4.0, "live", f"genai-prices {genai_prices.__version__}")


def test_live_remembers_an_answer_and_asks_again_a_quarter_of_an_hour_later(newer_genai_prices):
    pricing = Pricing(live=True)
    newer_genai_prices(4)
    assert total("openai", "brand-new", pricing=pricing, at=AT + 10) == 4.0
    newer_genai_prices(5)
    assert total("openai", "brand-new", pricing=pricing, at=AT + 899) == 4.0
    assert total("openai", "brand-new", pricing=pricing, at=AT + 900) == 5.0


def test_live_gives_way_to_an_override_at_its_time(newer_genai_prices):
    newer_genai_prices(4)
    start = datetime.fromtimestamp(AT + 100, UTC).isoformat()
    pricing = Pricing(live=True, overrides={"models": {"brand-new": {"input": 7, "from": start}}})
    assert [total("openai", "brand-new", pricing=pricing, at=AT + s) for s in (99, 100, 99)] == [4.0, 7.0, 4.0]


def test_live_does_not_guess_unknown_models_or_service_tiers(newer_genai_prices):
    newer_genai_prices(4)
    pricing = Pricing(live=True)
    assert total("openai", "still-unknown", pricing=pricing) is None
    assert total("nobody", "brand-new", pricing=pricing) is None
    assert total("openai", "brand-new", pricing=pricing, service_tier="flex") is None
    assert total("openai", "gpt-5", pricing=pricing) == pytest.approx(1.25)


def test_live_prices_the_time_of_the_call(newer_genai_prices):
    start = datetime.fromtimestamp(AT, UTC).date() + timedelta(days=1)
    prices = [
        types.ConditionalPrice(prices=types.ModelPrice(input_mtok=Decimal(4))),
        types.ConditionalPrice(types.StartDateConstraint(start), prices=types.ModelPrice(input_mtok=Decimal(6))),
    ]
    model = types.ModelInfo(id="gpt-new", match=types.ClauseEquals("brand-new"), prices=prices)
    openai = types.Provider(id="openai", name="OpenAI", api_pattern="x", models=[model])
    set_custom_snapshot(DataSnapshot(providers=[openai], from_auto_update=True))
    pricing = Pricing(live=True)
    assert total("openai", "brand-new", pricing=pricing) == 4.0
    assert total("openai", "brand-new", pricing=pricing, at=AT + 86_400) == 6.0


def run(code):
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()


def test_live_without_genai_prices_installed_leaves_the_cost_unknown_and_does_not_look_again():
    code = """
import sys
class Finder:
    asked = 0
    def find_spec(self, name, path=None, target=None):
        if name == "genai_prices":
            Finder.asked += 1
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Finder())
from attune_monitoring.pricing import Pricing
pricing = Pricing(live=True)
for model in ("brand-new", "brand-new", "gpt-5"):
    cost = pricing.cost("openai", model, input_tokens=1, output_tokens=1, at=1e9)
    print(cost and cost.source)
print(Finder.asked)
"""
    assert run(code) == ["None", "None", "table", "1"]


def test_importing_pricing_reads_no_table_and_imports_neither_genai_prices_nor_pydantic():
    code = """
import sys
from attune_monitoring.pricing import DEFAULT, Pricing, table
Pricing(overrides={"models": {"a": {"input": 1}}}, premium_models={"openai": "gpt-5"}, tiers={"cheap": ["a"]})
print(table.load.cache_info().currsize)
DEFAULT.cost("openai", "gpt-5", input_tokens=1, output_tokens=1)
print(table.load.cache_info().currsize, any(name in sys.modules for name in ("genai_prices", "pydantic")))
"""
    assert run(code) == ["0", "1", "False"]
