"""Conditions as text mean what the same Python means; everything else is refused, with its place, and nothing runs."""

from __future__ import annotations

import contextlib
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune_monitoring.alerts import MetricType, m
from attune_monitoring.alerts.expression import Expression, Number, evaluate, measures
from attune_monitoring.alerts.modelled import anomaly, forecast
from attune_monitoring.alerts.when import MAX_DEPTH, MAX_LENGTH, WhenError, parse
from attune_monitoring.errors import ConfigError

SAME: dict[str, tuple[str, Expression]] = {
    "a sum": ('cost.sum("24h") > 10', m.cost.sum("24h") > 10),
    "single quotes": ("cost.sum('24h') > 10", m.cost.sum("24h") > 10),
    "a ratio with a minimum": (
        'errors.sum("5m") / calls.sum("5m") > 0.05 and calls.sum("5m") >= 20',
        (m.errors.sum("5m") / m.calls.sum("5m") > 0.05) & (m.calls.sum("5m") >= 20),
    ),
    "a ready-made measure": ("daily_cost > 10", MetricType.DAILY_COST.measure() > 10),
    "percent": ("error_rate > 5", MetricType.ERROR_RATE.measure() > 5),
    "milliseconds": ("latency_p95 >= 3000", MetricType.LATENCY_P95.measure() >= 3000),
    "a ready-made measure over another window": (
        'error_rate("5m", provider="openai") > 5',
        MetricType.ERROR_RATE.measure("5m", {"provider": "openai"}) > 5,
    ),
    "conditions": (
        'duration.p95("5m", outcome="ok", model=("a", "b")) > 2',
        m.duration.p95("5m", outcome="ok", model=("a", "b")) > 2,
    ),
    "a list of values": ('calls.sum("1h", model=["a"]) == 0', m.calls.sum("1h", model=("a",)).equals(0)),
    "a metric by its own name": ('attune.llm.cost.sum("today") < 1', getattr(m, "attune.llm.cost").sum("today") < 1),
    "not binds before and": (
        "not daily_cost > 1 and error_rate > 2",
        ~(MetricType.DAILY_COST.measure() > 1) & (MetricType.ERROR_RATE.measure() > 2),
    ),
    "and binds before or": (
        "daily_cost > 1 or daily_cost > 2 and daily_cost > 3",
        (MetricType.DAILY_COST.measure() > 1)
        | ((MetricType.DAILY_COST.measure() > 2) & (MetricType.DAILY_COST.measure() > 3)),
    ),
    "three with and": (
        "daily_cost > 1 and daily_cost > 2 and daily_cost > 3",
        (MetricType.DAILY_COST.measure() > 1)
        & (MetricType.DAILY_COST.measure() > 2)
        & (MetricType.DAILY_COST.measure() > 3),
    ),
    "parentheses": (
        '(cost.sum("1h") + 1) * 2 - cost.sum("2h") > 3',
        (m.cost.sum("1h") + 1) * 2 - m.cost.sum("2h") > 3,
    ),
    "a negative number": ("daily_cost > -1.5", MetricType.DAILY_COST.measure() > Number(-1.5)),
    "a negative measure": ("-daily_cost < 3", -MetricType.DAILY_COST.measure() < 3),
    "the number first": ("10 < daily_cost", Number(10.0) < MetricType.DAILY_COST.measure()),
    "an anomaly": ('anomaly(cost, by="model")', anomaly("cost", by="model")),
    "an anomaly of some": ('anomaly("calls", project="p")', anomaly("calls", project="p")),
    "an anomaly by its score": ("anomaly(cost) > 8", anomaly("cost", threshold=8)),
    "no anomaly": ("not anomaly(cost)", ~anomaly("cost")),
    "a forecast": ('forecast(cost, "month") > 500', forecast("cost", "month") > 500),
    "a forecast of the usual period": ("forecast(cost, tier='premium') > 5", forecast("cost", tier="premium") > 5),
    "several lines": ('  cost.sum("24h")\n\t> 10\n', m.cost.sum("24h") > 10),
    "a comment at the end of one line": ("daily_cost > 10  # dollars", MetricType.DAILY_COST.measure() > 10),
    "another alphabet": (
        'cost.sum("24h", workflow_name="Größe 大") > 1',
        m.cost.sum("24h", workflow_name="Größe 大") > 1,
    ),
    "a text that looks like a template": (
        'cost.sum("24h", project="{0.__class__}") > 1',
        m.cost.sum("24h", project="{0.__class__}") > 1,
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_a_condition_is_the_tree_that_python_builds(name: str) -> None:
    text, tree = SAME[name]
    assert parse(text) == tree


# What is refused, the column that is pointed at, and a part of what is said.
REFUSED: dict[str, tuple[str, int | None, str]] = {
    "nothing": (" \n ", None, "no condition; write one"),
    "a value": ("daily_cost", 1, "compare it with a number, as in daily_cost > 10"),
    "too long": ("daily_cost > 1" + " " * MAX_LENGTH, None, f"at most {MAX_LENGTH} characters"),
    "a chain": ("1 < daily_cost < 3", 16, "write a < b and b < c instead of a < b < c"),
    "an unknown name": ("1 > dayly_cost", 5, "did you mean 'daily_cost'?"),
    "an unknown metric": ('csot.sum("5m") > 1', 1, "no metric 'csot' (did you mean 'cost'?)"),
    "an unknown metric of ours": ('attune.llm.csot.sum("5m") > 1', 1, "attune.llm.cost"),
    "m in front": ('m.cost.sum("5m") > 1', 1, "did you mean 'cost'?"),
    "an unknown aggregation": ('cost.summ("5m") > 1', 1, "did you mean 'sum'?"),
    "a ratio": ('cost.ratio("5m") > 1', 1, "no aggregation 'ratio'"),
    "a percentile of a counter": ('cost.p95("5m") > 1', 1, "ask for sum"),
    "an unknown dimension": ('cost.sum("5m", modle="a") > 1', 1, "no dimension 'modle' (did you mean 'model'?)"),
    "a dimension of another metric": ('cost.sum("5m", outcome="ok") > 1', 1, "cost has no dimension 'outcome'"),
    "an unknown window": ('cost.sum("5x") > 1', 1, "no window: '5x'"),
    "no window": ("cost.sum() > 1", 1, 'as in cost.sum("5m")'),
    "a window without quotes": ("cost.sum(5) > 1", 10, "a window in quotes"),
    "two windows": ('cost.sum("5m", "1h") > 1', 16, "conditions have names"),
    "a metric without a window": ("cost > 1", 1, 'as in cost.sum("24h")'),
    "a duration without a window": ("duration > 1", 1, 'as in duration.avg("24h")'),
    "an aggregation without a window": ("cost.sum > 1", 1, 'as in cost.sum("5m")'),
    "a condition that is no text": ('cost.sum("5m", model=1) > 1', 22, "a text in quotes"),
    "a condition of nothing": ('cost.sum("5m", model=()) > 1', 22, "a text in quotes"),
    "conditions from a mapping": ('cost.sum("5m", **{}) > 1', 18, "** is not part of a condition"),
    "an anomaly of nothing": ("anomaly()", 1, "write anomaly(cost"),
    "an anomaly over a window": ('anomaly(cost, "1h")', 1, "write anomaly(cost"),
    "an anomaly with a threshold": ("anomaly(cost, threshold=9)", 1, "anomaly(cost) > 8"),
    "an anomaly of an unknown metric": ("anomaly(csot)", 9, "did you mean 'cost'?"),
    "an anomaly of durations": ("anomaly(duration)", 1, "only counters"),
    "something like an anomaly": ("anomalie(cost)", 1, "did you mean 'anomaly'?"),
    "a forecast as a condition": ('forecast(cost, "month")', 1, "compare it with a number"),
    "a forecast of a year": ('forecast(cost, "year") > 1', 1, "write day, week or month"),
    "percent": ("error_rate > 5%", 15, "rates are percent already"),
    "a unit": ("daily_cost > 10s", 15, "numbers have no units"),
    "two ampersands": ("daily_cost > 1 && error_rate > 2", 16, "write `and`"),
    "two bars": ("daily_cost > 1 || error_rate > 2", 16, "write `or`"),
    "one ampersand": ("(daily_cost > 1) & (error_rate > 1)", 18, "write `and`"),
    "one bar": ("(daily_cost > 1) | (error_rate > 1)", 18, "write `or`"),
    "one equals sign": ("daily_cost = 1", 12, "write == to compare"),
    "is": ("daily_cost is 1", 13, "compare with >"),
    "in": ("daily_cost in (1, 2)", 13, "compare with >"),
    "a power": ("daily_cost ** 2 > 1", 13, "+ - * / only"),
    "something missing": ("daily_cost >", 13, "invalid syntax"),
    "a text for a number": ('daily_cost > "10"', 14, "without quotes"),
    "true for a number": ("daily_cost > True", 14, "a number is needed"),
    "an imaginary number": ("daily_cost > 1j", 14, "a number is needed"),
    "a number without end": ("daily_cost > 1e999", 14, "no threshold"),
    "a number of many digits": ("daily_cost > " + "9" * 900, 14, "no threshold"),
    "a condition for a number": ("(daily_cost > 1) + 1 > 1", 1, "a number is needed where this condition stands"),
    "a number for a condition": ("daily_cost > 1 and 5", 20, "no condition: 5"),
    "the opposite of a number": ("not daily_cost", 1, "no condition"),
    "a comment that would hide a line": ('daily_cost > 1 # now\nand cost.sum("5m") > 1', 16, "no comments"),
    "a statement": ("import os", 1, "invalid syntax"),
    "two conditions": ("daily_cost > 1; daily_cost > 2", 15, "invalid syntax"),
    "an assignment": ("(x := 1) > 0", 2, "not part of a condition"),
    "a function": ("(lambda: 1)() > 1", 2, "name.aggregation"),
    "an import": ('__import__("os").system("x") > 1', 1, "name.aggregation"),
    "attributes of a text": ('"".__class__.__base__("5m") > 1', 1, "name.aggregation"),
    "another attribute": ('cost.__class__("5m") > 1', 1, "no aggregation '__class__'"),
    "a call of an answer": ('cost.sum("5m").sum("5m") > 1', 1, "name.aggregation"),
    "a subscript": ("daily_cost[0] > 1", 1, "not part of a condition"),
    "a comprehension": ("[x for x in (1,)] > 1", 1, "not part of a condition"),
    "an f-string": ('f"{daily_cost}" > 1', 1, "not part of a condition"),
    "a choice": ("1 if daily_cost > 1 else 2", 1, "not part of a condition"),
    "await": ("await daily_cost > 1", 1, "not part of a condition"),
    "unpacking": ("daily_cost(*[]) > 1", 12, "a window in quotes"),
    "deep nesting": ("-" * (MAX_DEPTH + 2) + "daily_cost > 1", 33, f"more than {MAX_DEPTH} operations"),
    "a long sum": ("+".join(["daily_cost"] * (MAX_DEPTH + 2)) + " > 1", 1, f"more than {MAX_DEPTH} operations"),
    "many parentheses": ("(" * 300 + "daily_cost" + ")" * 300 + " > 1", 201, "too many nested parentheses"),
    "a null character": ("daily_cost > 1\0", None, "null"),
    "half a character": ('cost.sum("5m", model="\ud800") > 1', None, "not a condition that can be read"),
    "an escape sequence": ("\x1b[31mdaily_cost > 1", 1, "U+001B"),
    "letters that only look right": ("dаily_cost > 1", 1, "did you mean 'daily_cost'?"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_condition_is_refused_at_its_place(name: str) -> None:
    text, column, said = REFUSED[name]
    with pytest.raises(WhenError) as caught:
        parse(text)
    assert (caught.value.column, said in caught.value.reason) == (column, True), caught.value.reason


def test_the_caret_stands_under_the_fault() -> None:
    with pytest.raises(ConfigError) as caught:
        parse('daily_cost > 5 and csot.sum("5m") > 1')
    line, caret = str(caught.value).splitlines()[1:]
    assert line[caret.index("^") :].startswith("csot")


def test_of_a_long_condition_the_part_around_the_fault_is_shown() -> None:
    with pytest.raises(WhenError) as caught:
        parse("daily_cost > 1 and " * 40 + "nothing > 1")
    _, line, caret = str(caught.value).splitlines()
    assert len(line) < 80
    assert line[caret.index("^") :].startswith("nothing")


def test_what_is_shown_of_a_condition_holds_no_secret_and_no_escape_sequence() -> None:
    secret = "sk-ant-api03-" + "x1" * 20
    with pytest.raises(WhenError) as caught:
        parse(f'cost.sum("5m", model="{secret}\x9b\u202e") > oops')
    assert secret not in str(caught.value)
    assert str(caught.value).replace("\n", "").isprintable()


def test_pythons_parser_warns_nobody() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse('daily_cost > 1and cost.sum("5m", model="\\d") > 1').is_condition


@pytest.mark.parametrize("value", [2.0, 40.0, 0.0])
def test_a_condition_as_it_is_shown_means_the_same(value: float) -> None:
    condition = parse(
        'error_rate > 5 or not latency_p95 <= 3000 and cost.sum("1h", model=("a", "b")) * 2 > 3 or '
        'anomaly(cost, by="model") and forecast(cost, "month") > 30'
    )
    values = {measure.query: value * (index + 1) for index, measure in enumerate(measures(condition))}
    assert evaluate(parse(str(condition)), values) == evaluate(condition, values)


@given(st.text(max_size=60) | st.from_regex(r"(cost|daily_cost|[\(\)\[\]\"'.,<>=+*/0-9 -]){0,30}", fullmatch=True))
def test_any_text_is_a_condition_or_refused_as_one(text: str) -> None:
    with contextlib.suppress(WhenError):
        assert parse(text).is_condition
