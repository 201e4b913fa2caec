"""The commands that show figures: what they print, as tables and as JSON, for records that a test wrote."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune_monitoring.cli import main
from attune_monitoring.cli.telemetry.amounts import change, slower
from attune_monitoring.cli.telemetry.compare import effect
from attune_monitoring.cli.telemetry.periods import Period, before, fitting, midnight, month_of, named, parts
from attune_monitoring.figures import Figures
from attune_monitoring.records import LLMCallRecord, WorkflowRunRecord, encode_call, encode_line

Run = Callable[..., tuple[int, str, str]]
Ask = Callable[..., Any]

NOW = datetime.now(UTC)
VIENNA = ZoneInfo("Europe/Vienna")
COMMANDS = ("summary", "costs", "providers", "fallbacks", "savings", "top", "compare")


@pytest.fixture
def empathy(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `empathy telemetry` in this process; returns its exit status, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_:
            main(["telemetry", *arguments])
        out, err = capsys.readouterr()
        return int(exit_.value.code or 0), out, err

    return run


@pytest.fixture
def ask(empathy: Run) -> Ask:
    """Runs a command with --format json and returns its `data`."""

    def run(*arguments: str) -> Any:
        status, out, _ = empathy(*arguments, "--format", "json")
        assert status == 0
        return json.loads(out)["data"]

    return run


def call(hours_ago: float = 1, **fields: Any) -> LLMCallRecord:
    given_ = {
        "call_id": f"c{hours_ago}",
        "timestamp": (NOW - timedelta(hours=hours_ago)).isoformat().replace("+00:00", "Z"),
        "workflow_name": "review",
        "provider": "openai",
        "model_id": "gpt-5-mini",
        "tier": "cheap",
        "input_tokens": 1000,
        "output_tokens": 100,
        "estimated_cost": 0.25,
        "cost_source": "table",
        "latency_ms": 400,
        "pid": 7,
        "dialect": "attune",
    }
    return LLMCallRecord(**(given_ | fields))


def write(folder: Path, *calls: LLMCallRecord, runs: tuple[WorkflowRunRecord, ...] = (), lines: bytes = b"") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "llm_calls.jsonl").open("ab") as file:
        file.writelines(encode_call(one) + b"\n" for one in calls)
        file.write(lines)
    with (folder / "workflow_details.jsonl").open("ab") as file:
        file.writelines(encode_line(run.to_details()) + b"\n" for run in runs)


# --- all of them


@pytest.mark.parametrize("command", COMMANDS)
def test_an_empty_folder_gives_the_next_step(empathy, command):
    status, out, _ = empathy(command)
    assert status == 0
    assert "from attune_monitoring import llm_call" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_a_window_without_calls_says_so_and_how_to_see_more(empathy, storage, command):
    write(storage, call(24 * 400))
    status, out, _ = empathy(command)
    assert status == 0
    assert "--since all" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_json_has_the_same_frame_in_every_command(empathy, storage, command):
    write(storage, call())
    _, out, _ = empathy(command, "--format", "json")
    assert json.loads(out).keys() == {
        "version", "command", "folder", "since", "until", "time_zone", "data", "notes",
    }  # fmt: skip


@pytest.mark.parametrize("columns", ["80", "200"])
@pytest.mark.parametrize(
    "command",
    [
        *COMMANDS,
        "costs --by model",
        "costs --per month",
        "top calls",
        "top errors",
        "top sessions",
        "summary --by stage",
    ],
)
def test_no_row_is_wider_than_the_screen(empathy, storage, monkeypatch, command, columns):
    monkeypatch.setenv("COLUMNS", columns)
    long = "a-workflow-with-a-name-that-is-longer-than-any-column-and-then-some-more-of-it-still-going-on-and-on"
    write(
        storage,
        call(1, workflow_name=long, model_id=long, step_name=long, session_id=long, estimated_cost=12345.678),
        call(2, success=False, error_type=long, retry_count=3, provider=long),
        call(24 * 8),
        call(24 * 20),
    )
    _, out, _ = empathy(*command.split())
    assert max(map(len, out.splitlines())) <= int(columns)


def test_figures_are_said_to_leave_out_what_they_leave_out(empathy, storage):
    write(storage, call(1, estimated_cost=None, cost_source=None), call(2, under_pytest=True), lines=b"damaged\n")
    _, _, err = empathy("summary")
    assert "1 call of unknown cost, in no sum" in err
    assert "1 record made under pytest left out" in err
    assert "1 line passed over" in err


def test_records_made_under_pytest_count_when_asked_for(ask, storage):
    write(storage, call(1), call(2, under_pytest=True))
    assert ask("summary", "--include-tests")["totals"]["calls"] == 2


def test_a_record_cannot_steer_the_terminal(empathy, storage):
    write(storage, call(1, success=False, error_type="\x1b[2Jtimeout"))
    _, out, _ = empathy("top", "errors")
    assert "timeout" in out
    assert "\x1b" not in out


# --- summary


def test_the_summary_adds_up(ask, storage):
    write(
        storage,
        call(1),
        call(2, actual_cost=0.5, success=False, error_type="timeout"),
        call(3, cancelled=True, success=False),
    )
    totals = ask("summary")["totals"]
    assert totals["cost"] == pytest.approx(1.0)
    assert totals["outcomes"] == {"ok": 1, "error": 1, "cancelled": 1}
    assert totals["success_rate"] == 50
    assert totals["errors"] == {"timeout": 1}


def test_unknown_cost_is_null_and_never_zero(ask, empathy, storage):
    write(storage, call(1, estimated_cost=None, cost_source=None))
    assert ask("summary")["totals"]["cost"] is None
    assert re.search(r"Cost +\? USD", empathy("summary")[1])


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("workflow", ["review", "(no workflow)"]),
        ("provider", ["openai", "anthropic"]),
        ("user", ["ann", "(no user)"]),
        ("session", ["s1", "(no session)"]),
        ("stage", ["review / plan", "(no stage)"]),
        ("task", ["classify", "unknown"]),
        ("error", ["(no error)", "timeout"]),
    ],
)
def test_calls_are_grouped_by_whatever_is_asked_for_the_most_expensive_first(ask, storage, by, names):
    write(
        storage,
        call(1, user_id="ann", session_id="s1", step_name="plan", task_type="classify"),
        call(
            2, workflow_name=None, provider="anthropic", estimated_cost=0.1, success=False, error_type="timeout",
        ),
    )  # fmt: skip
    groups = ask("summary", "--by", by)["groups"]
    assert [group["name"] for group in groups] == names
    assert [group["cost"] for group in groups] == pytest.approx([0.25, 0.1])


def test_beyond_the_limit_the_rest_is_one_line(empathy, storage):
    write(storage, *(call(1 + n, workflow_name=f"w{n}", estimated_cost=float(n)) for n in range(5)))
    _, out, _ = empathy("summary", "--limit", "2")
    assert "w4" in out
    assert "w1" not in out
    assert "… and 3 more: 3.00 USD, 3 calls" in out


def test_a_change_is_against_the_period_before(empathy, ask, storage):
    write(storage, call(24 * 30), call(24 * 10, estimated_cost=1.0), call(24, estimated_cost=1.5))
    assert ask("summary")["before"]["totals"]["cost"] == 1.0
    assert "+50.0%" in empathy("summary")[1]


def test_where_records_do_not_go_back_so_far_nothing_is_compared(ask, storage):
    write(storage, call(24 * 10), call(24))
    assert ask("summary")["before"] is None


def test_cost_over_time_adds_up_to_the_total(ask, storage):
    write(storage, *(call(24 * day + 1, estimated_cost=1.0) for day in range(6)))
    data = ask("summary")
    assert sum(part["cost"] for part in data["over_time"]) == data["totals"]["cost"] == 6.0


@pytest.mark.parametrize("by", ["user", "stage"])
def test_what_is_not_known_by_user_and_stage_is_null_and_the_rest_is_right(ask, storage, by):
    write(
        storage,
        call(30, user_id="ann", step_name="plan", latency_ms=100, retry_count=1),
        call(31, latency_ms=600),
        call(32, latency_ms=800),
        call(33, success=False, latency_ms=9000),
    )
    named_, rest = sorted(ask("summary", "--by", by)["groups"], key=lambda group: group["calls"])
    assert (named_["latency_ms"]["average"], rest["latency_ms"]["average"]) == (100, 700)
    assert (named_["retries"], rest["retries"]) == (None, None)
    assert rest["outcomes"] == {"ok": 2, "error": 1, "cancelled": 0}


def test_a_table_by_user_has_the_average_in_place_of_percentiles(empathy, storage):
    write(storage, call(30, user_id="ann"), call(31))
    [heading] = [line for line in empathy("summary", "--by", "user")[1].splitlines() if line.startswith("user ")]
    assert "average" in heading
    assert not {"p95", "retries"} & set(heading.split())


# --- costs


def test_costs_are_cut_by_local_calendar_days(ask, storage):
    local = NOW.astimezone(VIENNA).replace(hour=0, minute=10, second=0, microsecond=0) - timedelta(days=2)
    ended = [local, local - timedelta(minutes=20)]
    stamps = [time.astimezone(UTC).isoformat().replace("+00:00", "Z") for time in ended]
    write(storage, *(call(timestamp=stamp, call_id=stamp) for stamp in stamps))
    data = ask("costs", "--per", "day", "--tz", "Europe/Vienna")
    assert [part["calls"] for part in data["over_time"] if part["calls"]] == [1, 1]


def test_the_month_is_projected_by_the_days_that_have_passed(ask, storage):
    write(storage, call(0.001, estimated_cost=2.0))
    month = ask("costs")["month"]
    assert month["projection"] == pytest.approx(month["to_date"] / month["days"] * month["length"])


def test_costs_by_a_dimension_have_the_same_total(ask, storage):
    write(storage, call(1), call(2, model_id="gpt-5", estimated_cost=1.0))
    groups = [part["groups"] for part in ask("costs", "--by", "model")["over_time"]]
    assert sum(cost for part in groups for cost in part.values()) == pytest.approx(1.25)


def test_time_before_the_first_record_is_not_shown_as_a_cost_of_zero(ask, storage):
    write(storage, call(30, estimated_cost=1.0), call(1, estimated_cost=1.0))
    data = ask("costs")
    assert data["over_time"][0]["calls"] == 1
    assert 1.5 < data["cost_per_day"] < 1.7


def test_a_long_time_without_a_call_is_one_line(empathy, storage):
    write(storage, call(24 * 20), call(1))
    rows = empathy("costs", "--per", "day", "--since", "all")[1].splitlines()
    assert [line for line in rows if "without a call" in line] == ["… 19 without a call"]


def test_columns_of_groups_are_as_many_as_can_be_told_apart(empathy, storage, monkeypatch):
    models = ("claude-sonnet-4-5-20250929", "claude-sonnet-4-20250514", "claude-haiku-4-5-20251001")
    write(storage, *(call(place, model_id=model) for place, model in enumerate(models, 1)))
    monkeypatch.setenv("COLUMNS", "80")
    assert "…" not in empathy("costs", "--by", "model")[1]


def test_too_many_bars_are_refused_with_the_way_out(empathy, storage):
    write(storage, call(24 * 300), call(1))
    status, _, err = empathy("costs", "--per", "hour", "--since", "all")
    assert status == 2
    assert "choose a longer one" in err


# --- providers, fallbacks, savings


def test_providers_are_split_by_tier(ask, storage):
    write(storage, call(1), call(2, tier="premium", estimated_cost=1.0, latency_ms=800))
    (provider,) = ask("providers")
    assert provider["provider"] == "openai"
    assert provider["latency_ms"]["average"] == 600
    assert {tier: its["cost"] for tier, its in provider["by_tier"].items()} == {"premium": 1.0, "cheap": 0.25}


def test_fallbacks_name_what_was_asked_for_first(ask, storage):
    first = {"fallback_used": True, "original_provider": "anthropic", "original_model": "opus"}
    attempts = [{"outcome": "retry", "cost": 0.01}, {"outcome": "fallback", "cost": 0.02}]
    write(storage, call(1, **first, retry_count=2, attempts=attempts), call(2), call(3, finish_reasons=["length"]))
    data = ask("fallbacks")
    assert (data["fallbacks"], data["retries"], data["truncated"]) == (1, 2, 1)
    assert (data["retry_waste"], data["fallback_waste"]) == (0.01, 0.02)
    assert data["by_original"] == [
        {"original_provider": "anthropic", "original_model": "opus", "provider": "openai", "model": "gpt-5-mini",
         "fallbacks": 1},
    ]  # fmt: skip


def test_savings_of_calls_and_of_runs_are_two_figures(ask, storage):
    run = WorkflowRunRecord(
        run_id="r", workflow_name="review", started_at=call(1).timestamp, total_cost=1.0, baseline_cost=3.0, savings=2.0
    )
    write(storage, call(1, baseline_cost=1.0), runs=(run,))
    data = ask("savings")
    assert data["calls"]["savings"] == 0.75
    assert (data["runs"]["savings"], data["runs"]["runs"]) == (2.0, 1)


def test_cache_savings_follow_the_configured_prices(ask, storage, tmp_path, monkeypatch):
    config = tmp_path / "monitoring.yaml"
    config.write_text("pricing:\n  models:\n    my-model: {input: 2.0, output: 1.0, cache_read: 0.5}\n")
    monkeypatch.setenv("EMPATHY_CONFIG", str(config))
    write(storage, call(1, model_id="my-model", input_tokens=2_000_000, cache_read_tokens=1_000_000))
    assert ask("savings")["cache_savings"] == pytest.approx(1.5)


def test_cached_tokens_without_a_price_are_told(empathy, storage):
    write(storage, call(1, provider="nobody", model_id="no-such-model", cache_read_tokens=900))
    assert "900 cached tokens are of models without a known price" in empathy("savings")[2]


# --- top


@pytest.mark.parametrize(
    ("what", "key", "first"),
    [
        ("workflows", "workflow", "dear"),
        ("models", "model", "gpt-5"),
        ("users", "user", "bob"),
        ("sessions", "session", "s2"),
        ("calls", "call_id", "c2"),
        ("slow", "call_id", "c1"),
        ("errors", "error", "timeout"),
    ],
)
def test_top_shows_the_largest_first(ask, storage, what, key, first):
    write(
        storage,
        call(1, user_id="ann", session_id="s1", latency_ms=9000),
        call(2, workflow_name="dear", model_id="gpt-5", user_id="bob", session_id="s2", estimated_cost=2.0),
        call(3, success=False, error_type="timeout", latency_ms=99_000, estimated_cost=0.0),
        call(4, success=False, error_type="timeout", estimated_cost=0.0),
        call(5, success=False, error_type="refused", estimated_cost=0.0),
    )
    assert ask("top", what)[0][key] == first


def test_a_failed_call_is_no_slow_one(ask, storage):
    write(storage, call(1, success=False, error_type="timeout", latency_ms=99_000), call(2))
    assert [one["call_id"] for one in ask("top", "slow")] == ["c2"]


def test_top_says_what_a_run_costs_and_takes(ask, storage):
    runs = tuple(
        WorkflowRunRecord(
            run_id=name, workflow_name="review", started_at=call(1).timestamp, total_cost=cost, total_duration_ms=ms,
            parent_run_id=parent,
        )
        for name, cost, ms, parent in (("a", 1.0, 1000, None), ("b", 3.0, 3000, None), ("c", 9.0, 9000, "a"))
    )  # fmt: skip
    write(storage, call(1), runs=runs)
    (row,) = ask("top")
    assert (row["runs"], row["average_run_cost"], row["average_run_duration_ms"]) == (2, 2.0, 2000)


# --- compare


def figures(calls: int, cost: float, unknown: int = 0) -> Figures:
    made = Figures()
    made.calls, made.cost, made.unknown = calls, cost, unknown
    return made


@pytest.mark.parametrize(
    ("old", "new", "volume", "price"),
    [
        (figures(10, 1.0), figures(20, 2.0), 1.0, 0.0),
        (figures(10, 1.0), figures(10, 3.0), 0.0, 2.0),
        (figures(10, 1.0), figures(20, 6.0), 1.0, 4.0),
        (figures(10, 1.0), figures(30, 4.0, unknown=10), 1.0, 2.0),
        (figures(0, 0.0), figures(5, 2.0), 2.0, 0.0),
        (figures(5, 2.0), figures(0, 0.0), -2.0, 0.0),
    ],
)
def test_a_difference_is_split_into_number_and_price_of_calls(old, new, volume, price):
    assert effect(old, new) == pytest.approx((volume, price))


@given(
    st.integers(0, 1000), st.floats(0, 1e6), st.integers(0, 1000), st.floats(0, 1e6)
)  # fmt: skip
def test_volume_and_price_are_the_whole_difference(old_calls, old_cost, new_calls, new_cost):
    old, new = figures(old_calls, old_cost if old_calls else 0.0), figures(new_calls, new_cost if new_calls else 0.0)
    assert effect(old, new).total == pytest.approx(new.cost - old.cost, abs=1e-6)


def test_compare_puts_the_earlier_period_first_and_names_the_causes(ask, storage):
    write(
        storage,
        call(24 * 40),
        call(24 * 10, estimated_cost=1.0),
        call(24, estimated_cost=1.0),
        call(25, workflow_name="new", estimated_cost=5.0),
    )
    data = ask("compare", "7d")
    assert (data["before"]["cost"], data["now"]["cost"]) == (1.0, 6.0)
    assert data["difference"]["difference"] == 5.0
    assert [cause["name"] for cause in data["causes"]] == ["new", "review"]
    assert data["causes"][0]["cost_before"] == 0


def test_periods_that_overlap_are_refused(empathy, storage):
    status, _, err = empathy("compare", "7d", "month")
    assert status == 2
    assert "overlap" in err or "no period" in err


def test_periods_of_different_length_are_told(empathy, storage):
    write(storage, call(24 * 3), call(24 * 40))
    day = (NOW - timedelta(days=50)).date().isoformat()
    until = (NOW - timedelta(days=10)).date().isoformat()
    assert "not equally long" in empathy("compare", f"{day}..{until}", f"{until}..")[2]


# --- periods and changes


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("today", "2026-11-22T23:00", "2026-11-23T12:34"),
        ("yesterday", "2026-11-21T23:00", "2026-11-22T23:00"),
        ("week", "2026-11-22T23:00", "2026-11-23T12:34"),
        ("month", "2026-10-31T23:00", "2026-11-23T12:34"),
        ("24h", "2026-11-22T12:34", "2026-11-23T12:34"),
        ("7d", "2026-11-16T12:00", "2026-11-23T12:34"),
        ("2026-10", "2026-09-30T22:00", "2026-10-31T23:00"),
        ("2026-11", "2026-10-31T23:00", "2026-11-23T12:34"),
        ("2026-10-25", "2026-10-24T22:00", "2026-10-25T23:00"),
        ("2026-10-01..2026-10-03", "2026-09-30T22:00", "2026-10-02T22:00"),
        ("2026-11-20..", "2026-11-19T23:00", "2026-11-23T12:34"),
    ],
)
def test_a_period_is_what_its_name_means_in_the_zone(text, begin, end):
    assert named(text, utc("2026-11-23T12:34"), VIENNA, option="A") == Period(utc(begin), utc(end))


@pytest.mark.parametrize("text", ["all", "2027-01", "2026-13", "..", "2026-11-02..2026-11-01", "soon"])
def test_what_is_no_period_is_refused(text):
    with pytest.raises(click.BadParameter):
        named(text, utc("2026-11-23T12:34"), VIENNA, option="A")


@pytest.mark.parametrize(
    ("begin", "end", "before_begin", "before_end"),
    [
        ("2026-11-16T12:00", "2026-11-23T12:34", "2026-11-09T12:00", "2026-11-16T12:00"),
        ("2026-11-22T12:34", "2026-11-23T12:34", "2026-11-21T12:34", "2026-11-22T12:34"),
        ("2026-11-22T23:00", "2026-11-23T12:34", "2026-11-21T23:00", "2026-11-22T12:34"),
        ("2026-10-31T23:00", "2026-11-23T12:34", "2026-10-09T10:00", "2026-10-31T23:00"),
        ("2026-11-18T23:00", "2026-11-23T12:34", "2026-11-11T23:00", "2026-11-16T12:00"),
    ],
)
def test_the_period_before_is_as_long_and_days_keep_their_hours(begin, end, before_begin, before_end):
    found = before(Period(utc(begin), utc(end)), utc("2026-11-23T12:34"), VIENNA)
    assert found == Period(utc(before_begin), utc(before_end))


def test_a_day_with_a_clock_change_has_25_hours():
    (day,) = parts(Period(midnight(date(2026, 10, 25), VIENNA), midnight(date(2026, 10, 26), VIENNA)), "day", VIENNA)
    assert day.length == timedelta(hours=25)


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),
    st.integers(1, 100),
    st.sampled_from(["day", "week", "month"]),
)
def test_parts_follow_each_other_without_a_gap(begin, days, per):
    whole = Period(begin.replace(tzinfo=UTC), begin.replace(tzinfo=UTC) + timedelta(days=days))
    cut = parts(whole, per, VIENNA)
    assert (cut[0].begin, cut[-1].end) == whole
    assert all(left.end == right.begin for left, right in itertools.pairwise(cut))


def test_december_is_followed_by_january():
    assert month_of(date(2026, 12, 31), VIENNA) == Period(utc("2026-11-30T23:00"), utc("2026-12-31T23:00"))


@pytest.mark.parametrize(("days", "per"), [(1, "hour"), (2, "hour"), (7, "day"), (90, "week"), (900, "month")])
def test_a_period_is_cut_into_parts_that_can_be_looked_at(days, per):
    assert fitting(Period(NOW - timedelta(days=days), NOW)) == per


@pytest.mark.parametrize(
    ("new", "old", "text"),
    [
        (1.5, 1.0, "+50.0%"),
        (0.5, 1.0, "-50.0%"),
        (1.0, 1.0, "±0%"),
        (3.0, 1.0, "+200%"),
        (50.0, 1.0, "× 50"),
        (1.0, 0.0, "new"),
        (0.0, 0.0, ""),
        (None, 1.0, ""),
    ],
)
def test_a_change_is_in_percent_of_what_it_was(new, old, text):
    assert change(new, old) == text


def test_a_percentile_changed_only_if_by_more_than_a_bucket_of_the_histogram():
    assert slower(107.0, 100.0) == ""
    assert slower(115.0, 100.0) == "+15.0%"
