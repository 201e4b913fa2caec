"""The user's own prices: their schema, their order, and every mistake at its place."""

import math
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from attune_monitoring.errors import ConfigError
from attune_monitoring.pricing import Pricing, Rates, parse_overrides

AT = datetime(2026, 11, 20, tzinfo=UTC).timestamp()


def total(text, provider, model, tokens=1_000_000, output=0, at=AT, **more):
    pricing = Pricing(overrides=yaml.safe_load(text))
    cost = pricing.cost(provider, model, input_tokens=tokens, output_tokens=output, at=at, **more)
    return None if cost is None else (cost.total, cost.source)


def problems(text):
    return parse_overrides(yaml.safe_load(text))[1]


def test_an_override_prices_a_model_that_nobody_else_knows():
    text = "models: {my-model: {input: 1, output: 2, cache_read: 0.1, web_search: 10, request: 5}}"
    usage = {"cache_read_tokens": 500_000, "server_tool_calls": 2}
    usd, source = total(text, "custom", "My-Model", output=1_000_000, **usage)
    assert usd == pytest.approx(0.5 + 2 + 0.05 + 0.02 + 0.005)
    assert source == "override"


def test_an_override_of_zero_makes_a_local_model_free():
    assert total("models: {'ollama/*': {input: 0, output: 0}}", "ollama", "llama3.2:3b") == (0.0, "override")


def test_an_override_replaces_the_table_as_a_whole():
    text = "models: {gpt-5: {input: 1}}"
    assert total(text, "openai", "gpt-5") == (1.0, "override")
    assert total(text, "openai", "gpt-5", cache_read_tokens=1_000_000) == (1.0, "override")
    assert total(text, "openai", "gpt-5", output=1) is None
    assert total(text, "openai", "gpt-5-mini")[1] == "table"


def test_exact_names_go_before_patterns_and_longer_ones_before_shorter():
    text = """
models:
  "*": {input: 1}
  "gpt-*": {input: 2}
  "gpt-5*": {input: 3}
  "gpt-5": {input: 4}
  "openai/gpt-5": {input: 5}
  "gpt-?o": {input: 6}
"""
    expected = {
        ("openai", "gpt-5"): 5,
        ("azure", "gpt-5"): 4,
        ("azure", "gpt-5-mini"): 3,
        ("azure", "gpt-4"): 2,
        ("azure", "gpt-4o"): 6,
        ("any", "thing"): 1,
    }
    assert {call: total(text, *call)[0] for call in expected} == expected


def test_a_pattern_with_a_provider_means_it_under_all_its_names():
    text = "models: {google/gemini-2.5-pro: {input: 7}}"
    assert total(text, "gcp.gemini", "gemini-2.5-pro") == (7.0, "override")
    assert total("models: {gcp.gemini/gemini-2.5-pro: {input: 7}}", "gcp.gemini", "gemini-2.5-pro")[0] == 7.0


def test_brackets_and_dots_in_a_name_mean_themselves():
    text = "models: {'claude-opus[1m]*': {input: 9}, 'gpt.5*': {input: 9}}"
    assert total(text, "custom", "claude-opus[1m]-x") == (9.0, "override")
    assert total(text, "custom", "claude-opus1-x") is None
    assert total(text, "custom", "gpt-5-x") is None


def test_a_price_holds_from_its_time_on_and_before_the_first_one_the_table_does():
    text = """
models:
  gpt-5:
    - {input: 3, from: 2026-06-01}
    - {input: 2, from: "2026-01-01T06:00:00+01:00"}
"""
    pricing = Pricing(overrides=yaml.safe_load(text))

    def at(when):
        moment = datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp()
        return pricing.cost("openai", "gpt-5", input_tokens=1_000_000, output_tokens=0, at=moment).total

    times = ["2026-05-31T23:59:59", "2026-06-01", "2026-01-01T04:59:59", "2026-01-01T05:00:00", "2026-06-01"]
    assert [at(when) for when in times] == [2.0, 3.0, 1.25, 2.0, 3.0]


@pytest.mark.parametrize("start", ["2026-01-01", "'2026-01-01'", "2026-01-01T00:00:00Z", "2026-01-01 00:00:00"])
def test_a_date_without_an_offset_begins_at_midnight_utc_wherever_the_program_runs(start):
    code = f"""
import yaml
from attune_monitoring.pricing import parse_overrides
print(parse_overrides(yaml.safe_load("models: {{a: {{input: 1, from: {start}}}}}"))[0][0].since)
"""
    environment = {**os.environ, "TZ": "America/New_York"}
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment).stdout
    assert float(said) == datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def test_a_price_for_a_service_tier_leaves_the_others_alone():
    text = "models: {gpt-5: [{input: 9, service_tier: Scale}, {input: 3, service_tier: default}]}"
    assert total(text, "openai", "gpt-5", service_tier="scale") == (9.0, "override")
    assert total(text, "openai", "gpt-5") == (3.0, "override")
    assert total(text, "openai", "gpt-5", service_tier="flex") == (0.625, "table")


def test_long_context_rates_hold_for_the_whole_request_above_their_threshold():
    text = "models: {m: {input: 1, output: 2, long_context: {above: 1000, input: 3}}}"
    assert total(text, "x", "m", 1000, 1000)[0] == pytest.approx((1000 + 2000) / 1e6)
    assert total(text, "x", "m", 1001, 1000)[0] == pytest.approx((3003 + 2000) / 1e6)


def test_parsing_gives_the_rates_as_they_are_charged():
    (override,), none = parse_overrides({"models": {"m": {"input": 1.5, "cache_write": 2}}})
    assert none == []
    assert override.rates == Rates(input=1.5, cache_read=1.5, cache_write=2.0, cache_write_1h=2.0)
    assert override.since == -math.inf


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("[]", (), "expected a mapping"),
        ("models: 3", ("models",), "mapping of models"),
        ("models: {a: 3}", ("models", "a"), "expected a price"),
        ("models: {a: [3]}", ("models", "a", 0), "expected a price"),
        ("models: {5: {input: 1}}", ("models", 5), "put it in quotes"),
        ("models: {a: {output: 1}}", ("models", "a"), "'input'"),
        ("models: {a: {input: x}}", ("models", "a", "input"), "expected a number, 0 or more, got 'x'"),
        ("models: {a: {input: -1}}", ("models", "a", "input"), "0 or more"),
        ("models: {a: {input: .nan}}", ("models", "a", "input"), "0 or more"),
        ("models: {a: {input: .inf}}", ("models", "a", "input"), "0 or more"),
        ("models: {a: {input: true}}", ("models", "a", "input"), "0 or more"),
        ("models: {a: {input: 1, outptu: 2}}", ("models", "a", "outptu"), "unknown key 'outptu'"),
        ("models: {a: [{input: 1}, {input: 1, from: soon}]}", ("models", "a", 1, "from"), "2026-01-31"),
        ("models: {a: {input: 1, from: 7}}", ("models", "a", "from"), "got 7"),
        ("models: {a: {input: 1, service_tier: 7}}", ("models", "a", "service_tier"), "got 7"),
        ("models: {a: [{input: 1}, {input: 2, service_tier: auto}]}", ("models", "a", 1), "a second price"),
        ("models: {a: {input: 1, long_context: 5}}", ("models", "a", "long_context"), "'above'"),
        ("models: {a: {input: 1, long_context: {input: 5}}}", ("models", "a", "long_context"), "'above'"),
        ("models: {a: {input: 1, long_context: {above: x}}}", ("models", "a", "long_context", "above"), "number"),
        (
            "models: {a: {input: 1, long_context: {above: 5, output: 5}}}",
            ("models", "a", "long_context", "output"),
            "below the threshold",
        ),
        (
            "models: {a: {input: 1, long_context: {above: 5, inptu: 5}}}",
            ("models", "a", "long_context", "inptu"),
            "unknown key",
        ),
    ],
)
def test_a_mistake_is_reported_at_its_place(text, path, words):
    ((where, message),) = problems(text)
    assert where == path
    assert words in message


def test_all_mistakes_are_reported_at_once_and_the_other_prices_stay():
    data = yaml.safe_load("models: {a: {input: x, output: y}, b: {input: 1}, c: [{input: 1}, {}]}")
    overrides, found = parse_overrides(data)
    assert [o.pattern for o in overrides] == ["b", "c"]
    assert [path for path, _ in found] == [("models", "a", "input"), ("models", "a", "output"), ("models", "c", 1)]


def test_a_pricing_with_mistaken_overrides_says_all_of_them():
    with pytest.raises(ConfigError) as raised:
        Pricing(overrides={"models": {"a": {"input": "x"}, "b": 3}})
    assert [problem.partition(":")[0] for problem in raised.value.problems] == ["models.a.input", "models.b"]


def test_nothing_to_override_is_no_mistake():
    assert parse_overrides({}) == parse_overrides({"models": None}) == parse_overrides({"live": True}) == ([], [])


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates() | st.datetimes()
keys = st.sampled_from(["models", "a", "input", "output", "from", "long_context", "above", "service_tier"]) | scalars


@given(
    st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4)),
)
def test_parsing_never_raises_whatever_the_file_holds(data):
    for section in (data, {"models": data}, {"models": {"a": data}}):
        overrides, _ = parse_overrides(section)
        Pricing(overrides=overrides).cost("x", "a", input_tokens=1, output_tokens=1, at=AT)
