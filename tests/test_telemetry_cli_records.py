"""`empathy telemetry`: calls, runs, export, query, archive and retention, as a user's shell sees them."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import duckdb
import pytest

from attune_monitoring import LLMCallRecord, TelemetryStore, WorkflowRunRecord
from attune_monitoring.cli import main, render
from attune_monitoring.cli.demo_records import write_records
from attune_monitoring.cli.telemetry.options import moment
from attune_monitoring.store import CALLS, segments

NOW = datetime(2026, 3, 4, 15, 30, 20, tzinfo=UTC)
Empathy = Callable[..., tuple[int, str, str]]


@pytest.fixture
def empathy(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Empathy:
    """Runs `empathy telemetry …` in this process; returns its exit status, stdout and stderr."""
    for name in ("COLUMNS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_:
            main(["telemetry", *map(str, arguments)])
        out, err = capsys.readouterr()
        return int(exit_.value.code or 0), out, err

    return run


@pytest.fixture
def store(storage: Path) -> TelemetryStore:
    return TelemetryStore(storage)


def call(call_id: str = "c1", **fields: Any) -> LLMCallRecord:
    given = {"call_id": call_id, "timestamp": "2026-01-11T03:47:00Z", "model_id": "gpt-5-mini", "estimated_cost": 0.25}
    return LLMCallRecord.from_dict({**given, "metadata": {"attune": {"pid": 1, **fields.pop("attune", {})}}, **fields})


def run_of(run_id: str = "r1", **fields: Any) -> WorkflowRunRecord:
    given = {"run_id": run_id, "workflow_name": "review", "started_at": "2026-01-11T03:46:00Z", "total_cost": 1.5}
    attune = {"pid": 1, "call_count": 3, **fields.pop("attune", {})}
    return WorkflowRunRecord.from_dict({**given, "metadata": {"attune": attune}, **fields})


def data_of(out: str) -> Any:
    return json.loads(out)["data"]


class TestMoments:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("today", "2026-03-04T00:00:00Z"),
            ("yesterday", "2026-03-03T00:00:00Z"),
            ("week", "2026-03-02T00:00:00Z"),
            ("month", "2026-03-01T00:00:00Z"),
            ("24h", "2026-03-03T15:30:00Z"),
            ("7d", "2026-02-25T15:00:00Z"),
            ("2026-01-31", "2026-01-31T00:00:00Z"),
            ("2026-01-31T14:05", "2026-01-31T14:05:00Z"),
            ("2026-01-31T14:05+02:00", "2026-01-31T12:05:00Z"),
        ],
    )
    def test_a_word_a_span_a_date_or_a_time_names_a_moment(self, text, expected):
        assert render.stamp(moment(text, NOW, UTC, option="--since")) == expected

    def test_all_is_no_moment(self):
        assert moment("all", NOW, UTC, option="--since") is None

    def test_days_begin_at_midnight_of_the_zone_that_is_named(self):
        vienna = ZoneInfo("Europe/Vienna")
        assert render.stamp(moment("2026-03-29", NOW, vienna, option="--since")) == "2026-03-28T23:00:00Z"
        assert render.stamp(moment("2026-03-30", NOW, vienna, option="--since")) == "2026-03-29T22:00:00Z"

    @pytest.mark.parametrize("text", ["yesteday", "", "7x", "2026-13-01", "999999w", "0000-00-00", "=1+1"])
    def test_anything_else_is_wrong_usage(self, text):
        with pytest.raises(click.BadParameter, match="is no time"):
            moment(text, NOW, UTC, option="--since")


class TestText:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (None, "?"), (float("nan"), "?"), (0.0, "0"), (12.3449, "12.34"), (1234.5, "1,234.50"), (0.0123, "0.0123"),
            (0.000123, "0.000123"), (0.9999, "1.00"), (0.09999, "0.100"), (1e-9, "<0.000001"), (-0.5, "-0.500"),
        ],
    )  # fmt: skip
    def test_money_has_the_digits_that_say_something_and_unknown_is_never_zero(self, value, text):
        assert render.usd(value) == text

    @pytest.mark.parametrize(("value", "unknown", "text"), [(1.5, 2, "1.50+?"), (0.0, 1, "?"), (1.5, 0, "1.50")])
    def test_a_sum_says_that_parts_of_it_are_not_known(self, value, unknown, text):
        assert render.usd(value, unknown) == text

    @pytest.mark.parametrize(
        ("count", "text"), [(None, "?"), (999, "999"), (1234, "1.2k"), (99_960, "100k"), (3_400_000, "3.4M")]
    )
    def test_tokens_are_short(self, count, text):
        assert render.tokens(count) == text

    @pytest.mark.parametrize(
        ("ms", "text"),
        [
            (None, "?"),
            (350, "350 ms"),
            (999.9, "1.00 s"),
            (59_999, "1m 00s"),
            (125_000, "2m 05s"),
            (3_725_000, "1h 02m"),
        ],
    )
    def test_durations_have_the_unit_that_suits_them(self, ms, text):
        assert render.duration(ms) == text

    @pytest.mark.parametrize("text", ["\x1b[31mred", "a\rb", "a\x9b1m", "a\u202eb", "a\nb", "a\x00b"])
    def test_no_control_character_reaches_the_terminal(self, text):
        shown = render.clean(text)
        assert "·" in shown
        assert not set(shown) & set("\x1b\r\n\x00\x9b\u202e")

    def test_a_bar_shows_that_there_is_something(self, capsys):
        screen = render.Screen()
        assert screen.bar(0, 10, 8) == ""
        assert len(screen.bar(10, 10, 8)) == 8
        assert len(screen.bar(0.0001, 10, 8)) == 1

    def test_a_sparkline_has_a_mark_for_each_value(self):
        assert len(render.Screen().sparkline([0, 1, None, 5])) == 4


class TestCalls:
    def test_an_empty_folder_gives_the_next_step(self, empathy, storage):
        status, out, _ = empathy("calls")
        assert status == 0
        assert "from attune_monitoring import llm_call" in out
        assert not storage.exists()

    def test_the_newest_come_first(self, empathy, store):
        for minute in range(5):
            store.log_call(call(f"c{minute}", timestamp=f"2026-01-11T03:4{minute}:00Z"))
        found = data_of(empathy("calls", "--limit", 3, "--format", "json")[1])
        assert [one["call_id"] for one in found] == ["c4", "c3", "c2"]

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--workflow", "w"], ["--provider", "openai"], ["--model", "gpt-5.1"], ["--tier", "premium"],
            ["--user", "ada"], ["--session", "s"], ["--project", "p"], ["--status", "error"], ["--min-cost", "2"],
            ["--slow", "900"], ["--text", "TOO LONG"], ["--since", "2026-01-12"],
        ],
    )  # fmt: skip
    def test_each_filter_leaves_what_it_says(self, empathy, store, arguments):
        store.log_call(call("other"))
        store.log_call(
            call(
                "wanted", timestamp="2026-01-12T03:00:00Z", workflow_name="w", provider="openai", model_id="gpt-5.1",
                tier="premium", user_id="ada", session_id="s", success=False, error_message="it was too long",
                estimated_cost=2.5, latency_ms=950, attune={"project": "p"},
            )
        )  # fmt: skip
        out = empathy("calls", "--tz", "UTC", "--format", "json", *arguments)[1]
        assert [one["call_id"] for one in data_of(out)] == ["wanted"]

    @pytest.mark.parametrize(
        ("option", "attune"),
        [
            ("--truncated", {"finish_reasons": ["max_tokens"]}),
            ("--unknown-cost", {"unknown": ["estimated_cost"], "cost_source": "unknown"}),
        ],
    )
    def test_calls_to_be_looked_at_are_found_by_a_flag(self, empathy, store, option, attune):
        store.log_call(call("other", attune={"finish_reasons": ["stop"]}))
        store.log_call(call("failed", success=False, attune={"unknown": ["estimated_cost"], "cost_source": "none"}))
        store.log_call(call("wanted", attune=attune))
        assert [one["call_id"] for one in data_of(empathy("calls", option, "--format", "json")[1])] == ["wanted"]

    def test_an_answer_that_was_cut_says_so(self, empathy, store):
        store.log_call(call(attune={"finish_reasons": ["length"]}))
        assert "  truncated" in empathy("calls")[1]

    def test_a_window_holds_its_beginning_and_not_its_end(self, empathy, store):
        for hour in (1, 2, 3):
            store.log_call(call(f"c{hour}", timestamp=f"2026-01-11T0{hour}:00:00Z"))
        window = ("--since", "2026-01-11T01:00Z", "--until", "2026-01-11T03:00Z")
        assert [one["call_id"] for one in data_of(empathy("calls", *window, "--format", "json")[1])] == ["c2", "c1"]

    def test_what_was_recorded_under_pytest_is_left_out_unless_asked_for(self, empathy, store):
        store.log_call(call(attune={"under_pytest": True}))
        answer = json.loads(empathy("calls", "--format", "json")[1])
        assert answer["data"] == []
        assert "1 record made under pytest left out" in answer["notes"][0]
        assert len(data_of(empathy("calls", "--include-tests", "--format", "json")[1])) == 1

    def test_old_duplicates_count_once_even_where_the_limit_falls_between_them(self, empathy, store):
        for second in range(4):
            old = call(f"a{second}", timestamp=f"2026-01-11T03:47:0{second}", user_id="workflow").to_dict()
            lines = [
                old | {"metadata": {}},
                old | {"user_id": None, "call_id": f"b{second}", "metadata": {"run_id": None}},
            ]
            with store.calls_file.open("a") as file:
                file.writelines(json.dumps(line) + "\n" for line in lines)
        answer = json.loads(empathy("calls", "--limit", 3, "--format", "json")[1])
        assert [one["call_id"] for one in answer["data"]] == ["a3", "a2", "a1"]
        assert [one["user_id"] for one in answer["data"]] == [None] * 3

    def test_a_damaged_line_is_passed_over_and_told_on_stderr(self, empathy, store):
        store.log_call(call())
        with store.calls_file.open("a") as file:
            file.write("not json\n")
        _, out, err = empathy("calls")
        assert "gpt-5-mini" in out
        assert "not JSON" in err

    def test_an_unknown_cost_is_a_question_mark(self, empathy, store):
        store.log_call(call(attune={"unknown": ["estimated_cost"], "cost_source": "unknown"}))
        _, out, err = empathy("calls")
        assert " ?  " in out
        assert "1 call of unknown cost" in err

    def test_what_a_record_says_cannot_steer_the_terminal(self, empathy, store, monkeypatch):
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "200")
        store.log_call(call(model_id="\x1b]0;owned\x07\x1b[31m", workflow_name="[red]bold[/red]"))
        out = empathy("calls")[1]
        assert "[red]bold[/red]" in out
        assert "\x1b]" not in out
        assert "\x07" not in out
        assert "\x1b[31m" not in out

    @pytest.mark.parametrize("width", [40, 80, 200])
    def test_a_table_is_never_wider_than_the_terminal(self, empathy, store, monkeypatch, width):
        monkeypatch.setenv("COLUMNS", str(width))
        store.log_call(call(workflow_name="w" * 60, model_id="m" * 90, provider="p" * 40))
        assert max(map(len, empathy("calls")[1].splitlines())) <= max(width, 52)

    def test_where_there_is_no_terminal_nothing_is_cut(self, empathy, store):
        store.log_call(call(workflow_name="w" * 200))
        assert "w" * 200 in empathy("calls")[1]

    def test_one_call_is_shown_in_full_by_the_beginning_of_its_id(self, empathy, store):
        store.log_call(call("abcdef", error_message="because"))
        store.log_call(call("fedcba"))
        out = empathy("calls", "abc")[1]
        assert "abcdef" in out
        assert "because" in out
        assert "fedcba" not in out

    def test_an_id_that_several_begin_with_is_wrong_usage(self, empathy, store):
        store.log_call(call("ab1"))
        store.log_call(call("ab2"))
        status, _, err = empathy("calls", "ab")
        assert status == 2
        assert "ab1, ab2" in err

    def test_an_id_that_is_not_there_has_status_1(self, empathy, store):
        store.log_call(call())
        assert empathy("calls", "zzz")[0] == 1

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--tz", "Europe/Viena"],
            ["--since", "never"],
            ["--since", "today", "--until", "yesterday"],
            ["--dir", "no-such"],
        ],
    )
    def test_wrong_usage_has_status_2(self, empathy, arguments):
        assert empathy("calls", *arguments)[0] == 2

    def test_a_zone_that_is_not_known_gets_the_nearest(self, empathy):
        assert "did you mean 'Europe/Vienna'" in empathy("calls", "--tz", "Europe/Viena")[2]

    def test_the_shape_of_json_is_stable(self, empathy, storage):
        answer = json.loads(empathy("calls", "--since", "2026-01-11", "--tz", "UTC", "--format", "json")[1])
        assert answer == {
            "version": 1, "command": "calls", "folder": str(storage), "since": "2026-01-11T00:00:00Z", "until": None,
            "time_zone": "UTC", "data": [], "notes": [],
        }  # fmt: skip

    @pytest.mark.skipif(os.name != "posix", reason="interrupts are sent otherwise there")
    def test_follow_shows_what_comes_and_ends_when_interrupted(self, store):
        store.log_call(call("first"))
        arguments = ["telemetry", "calls", "--dir", store.storage_dir, "--follow", "--format", "json"]
        script = Path(sys.executable).with_name("empathy")
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(
            [script, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            # What runs in the background of a script, as these tests may, is started with SIGINT ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as program:
            assert program.stdout is not None
            assert json.loads(program.stdout.readline())["call_id"] == "first"
            store.log_call(call("second"))
            assert json.loads(program.stdout.readline())["call_id"] == "second"
            program.send_signal(signal.SIGINT)
            assert program.wait(10) == 0


class TestRuns:
    def test_the_newest_roots_come_first_and_nested_ones_are_not_among_them(self, empathy, store):
        for minute in (1, 2):
            store.log_workflow(run_of(f"r{minute}", started_at=f"2026-01-11T03:4{minute}:00Z"))
        store.log_workflow(run_of("n", started_at="2026-01-11T03:45:00Z", attune={"parent_run_id": "r2"}))
        assert [one["id"] for one in data_of(empathy("runs", "--format", "json")[1])] == ["r2", "r1"]

    def test_a_run_without_a_record_is_listed_as_having_no_end(self, empathy, store):
        store.log_workflow(run_of("r1"))
        store.log_call(call(workflow_name="killed", attune={"run_id": "k", "stage_id": "s"}))
        _, out, _ = empathy("runs")
        [line] = [line for line in out.splitlines() if "killed" in line]
        assert "no end recorded" in line
        assert [one["id"] for one in data_of(empathy("runs", "--status", "open", "--format", "json")[1])] == ["k"]

    def test_calls_of_a_recorded_run_make_no_second_one(self, empathy, store):
        store.log_workflow(run_of("r1"))
        store.log_call(call(attune={"run_id": "r1"}))
        assert len(data_of(empathy("runs", "--format", "json")[1])) == 1

    def test_a_run_of_an_earlier_writer_is_listed(self, empathy, store):
        with store.workflows_file.open("a") as file:
            file.write(json.dumps(run_of("old").to_dict()) + "\n")
        assert [one["id"] for one in data_of(empathy("runs", "--format", "json")[1])] == ["old"]

    @pytest.mark.parametrize("how", [["--last"], ["r1"]])
    def test_a_run_is_a_tree_of_stages_nested_runs_and_calls(self, empathy, store, how):
        stages = [{"stage_name": "write", "tier": "cheap", "model_id": "m", "cost": 1.0}]
        store.log_workflow(run_of("r1x", stages=stages, attune={"stages": [{"stage_id": "s1"}]}))
        store.log_workflow(run_of("n1", workflow_name="inner", attune={"parent_run_id": "r1x", "parent_span_id": "s1"}))
        store.log_call(call("deep", attune={"run_id": "n1"}))
        tree = data_of(empathy("runs", *how, "--format", "json")[1])
        [stage] = tree["children"]
        [nested] = stage["children"]
        assert (stage["name"], nested["name"], nested["children"][0]["id"]) == ("write", "inner", "deep")
        out = empathy("runs", *how)[1]
        assert "      └─ gpt-5-mini" in out

    def test_a_stage_with_many_calls_shows_some_unless_all_are_asked_for(self, empathy, store):
        for number in range(30):
            store.log_call(call(f"c{number:02}", attune={"run_id": "r", "stage_id": "s"}))
        assert "18 more calls (--all)" in empathy("runs", "r")[1]
        assert "more calls" not in empathy("runs", "r", "--all")[1]

    def test_a_run_that_is_not_there_has_status_1(self, empathy, store):
        store.log_workflow(run_of())
        assert empathy("runs", "zzz")[0] == 1

    def test_a_tree_without_unicode_is_a_tree(self, store):
        store.log_call(call(attune={"run_id": "r", "stage_id": "s"}))
        script = Path(sys.executable).with_name("empathy")
        environment = os.environ | {"PYTHONIOENCODING": "ascii"}
        arguments = [script, "telemetry", "runs", "r", "--dir", store.storage_dir]
        done = subprocess.run(arguments, capture_output=True, text=True, check=True, env=environment)
        assert "`- gpt-5-mini" in done.stdout
        assert "?" not in done.stdout


@pytest.mark.slow
class TestExport:
    @pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"])
    def test_no_cell_is_a_formula(self, empathy, store, text):
        store.log_call(call(workflow_name=text))
        [row] = csv.DictReader(io.StringIO(empathy("export")[1], newline=""))
        assert row["workflow_name"] == f"'{text}"

    def test_figures_stay_figures_and_unknown_is_empty(self, empathy, store):
        store.log_call(call(estimated_cost=-1.5, attune={"unknown": ["input_tokens"]}))
        [row] = csv.DictReader(io.StringIO(empathy("export")[1]))
        assert (row["estimated_cost"], row["cost"], row["input_tokens"]) == ("-1.5", "-1.5", "")

    @pytest.mark.parametrize(("what", "count"), [("calls", 300), ("runs", None), ("stages", None)])
    @pytest.mark.parametrize("kind", ["csv", "json", "jsonl", "parquet"])
    def test_every_format_holds_the_same_records(self, empathy, storage, tmp_path, what, count, kind):
        write_records(storage, count=300, days=2, now=NOW)
        file = tmp_path / f"out.{kind}"
        assert empathy("export", "--what", what, "--output", file)[0] == 0
        source = f"read_json('{file}')" if kind != "csv" else f"read_csv('{file}')"
        source = (
            "(SELECT unnest(data) AS row FROM read_json(?))" if kind == "json" else source.replace(f"'{file}'", "?")
        )
        source = "read_parquet(?)" if kind == "parquet" else source
        [(found,)] = duckdb.execute(f"SELECT count(*) FROM {source}", [str(file)]).fetchall()
        runs = TelemetryStore(storage).get_workflows()
        expected = {"calls": count, "runs": len(runs), "stages": sum(len(run.stages) for run in runs)}
        assert found == expected[what]

    def test_costs_survive_parquet(self, empathy, storage, tmp_path):
        written = write_records(storage, count=300, days=2, now=NOW)
        empathy("export", "--output", tmp_path / "out.parquet")
        [(cost,)] = duckdb.execute("SELECT sum(cost) FROM read_parquet(?)", [str(tmp_path / "out.parquet")]).fetchall()
        assert cost == pytest.approx(written.cost)

    @pytest.mark.skipif(os.name != "posix", reason="permissions are others there")
    def test_a_file_is_for_its_user_alone(self, empathy, store, tmp_path):
        store.log_call(call())
        empathy("export", "--output", tmp_path / "out.csv")
        assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o600

    def test_a_file_that_is_there_is_replaced_only_by_force(self, empathy, store, tmp_path):
        store.log_call(call())
        file = tmp_path / "out.csv"
        file.write_text("mine")
        status, _, err = empathy("export", "--output", file)
        assert (status, file.read_text()) == (1, "mine")
        assert "--force" in err
        assert empathy("export", "--output", file, "--force")[0] == 0
        assert file.read_text().startswith("call_id,timestamp")

    def test_nothing_is_left_behind(self, empathy, store, tmp_path):
        target = tmp_path / "target"
        target.mkdir()
        store.log_call(call())
        empathy("export", "--output", target / "out.csv")
        empathy("export", "--output", target / "out.csv")
        assert [path.name for path in target.iterdir()] == ["out.csv"]

    def test_a_folder_that_is_not_there_is_a_message(self, empathy, store, tmp_path):
        status, _, err = empathy("export", "--output", tmp_path / "no" / "out.csv")
        assert status == 1
        assert "cannot be written to" in err


@pytest.mark.slow
class TestQuery:
    def test_it_answers_over_calls_runs_and_stages(self, empathy, storage):
        written = write_records(storage, count=200, days=2, now=NOW)
        sql = "SELECT (SELECT count(*) FROM calls) c, (SELECT count(*) FROM runs) r, (SELECT sum(cost) FROM calls) usd"
        [row] = data_of(empathy("query", sql, "--format", "json")[1])
        assert (row["c"], row["r"]) == (200, written.runs)
        assert row["usd"] == pytest.approx(written.cost)

    @pytest.mark.parametrize(
        "sql", ["SELECT * FROM read_text('/etc/hostname')", "SELECT * FROM glob('*')", "SELECT * FROM 'x.csv'"]
    )
    def test_nothing_else_can_be_read(self, empathy, store, sql):
        store.log_call(call())
        status, out, err = empathy("query", sql)
        assert (status, out) == (1, "")
        assert len(err.splitlines()) == 1

    @pytest.mark.parametrize(
        "sql",
        ["DROP TABLE calls", "COPY calls TO 'x.csv'", "SELECT 1; SELECT 2", "SET enable_external_access = true", ""],
    )
    def test_only_one_select_is_taken(self, empathy, store, sql):
        assert empathy("query", sql)[0] == 2

    def test_a_mistake_is_one_line_and_status_1(self, empathy, store):
        status, _, err = empathy("query", "SELECT nothing FROM calls")
        assert status == 1
        assert err.startswith("Error: query: Binder Error")
        assert len(err.splitlines()) == 1

    def test_hostile_text_comes_through(self, empathy, store):
        text = "a\x00b\"'\\\n;--\u202e"
        store.log_call(call(workflow_name=text))
        [row] = data_of(empathy("query", "SELECT workflow_name AS w FROM calls", "--format", "json")[1])
        assert row["w"] == text

    def test_times_are_times_in_the_zone_that_is_asked_for(self, empathy, store):
        store.log_call(call(timestamp="2026-01-11T03:47:00Z"))
        sql = "SELECT timestamp AS t, timestamp > TIMESTAMPTZ '2026-01-11 00:00:00Z' AS later FROM calls"
        [row] = data_of(empathy("query", sql, "--tz", "Asia/Tokyo", "--format", "json")[1])
        assert row == {"t": "2026-01-11 12:47:00+09", "later": True}

    def test_without_sql_it_shows_the_columns_and_examples_that_run(self, empathy, storage):
        write_records(storage, count=100, days=1, now=NOW)
        out = empathy("query")[1]
        examples = [line.split('"')[1] for line in out.splitlines() if "telemetry query" in line]
        assert "cost float" in out
        assert len(examples) == 3
        assert [empathy("query", sql)[0] for sql in examples] == [0, 0, 0]


@pytest.mark.slow
class TestArchive:
    def test_it_says_what_it_moves_and_asks(self, empathy, store):
        store.log_call(call())
        status, out, err = empathy("archive")
        assert status == 1
        assert "llm_calls.jsonl" in out
        assert "Move to" in err
        assert segments(store.storage_dir, CALLS)

    def test_what_it_moved_counts_no_longer_and_is_still_there(self, empathy, store):
        store.log_call(call())
        before = store.calls_file.read_bytes()
        assert empathy("archive", "--yes")[0] == 0
        assert data_of(empathy("calls", "--format", "json")[1]) == []
        [moved] = store.storage_dir.glob("archive/*/llm_calls.jsonl")
        assert moved.read_bytes() == before

    def test_newer_records_stay(self, empathy, store):
        store.log_call(call(timestamp=render.stamp(datetime.now(UTC))))
        status, out, _ = empathy("archive", "--before", "30d", "--yes")
        assert status == 0
        assert "nothing is moved" in out
        assert segments(store.storage_dir, CALLS)

    def test_an_empty_folder_gives_the_next_step(self, empathy):
        assert "Nothing has been recorded" in empathy("archive", "--yes")[1]

    def test_after_it_an_empty_folder_is_not_taken_for_a_new_one(self, empathy, store):
        store.log_call(call())
        empathy("archive", "--yes")
        assert "since its history was moved to archive/" in empathy("summary")[1]

    def test_retention_needs_a_number_of_days(self, empathy):
        assert empathy("retention")[0] == 2

    def test_retention_moves_old_files_and_deletes_nothing(self, empathy, store):
        store.log_call(call(timestamp="2020-01-11T03:47:00Z"))
        old = (datetime.now(UTC) - timedelta(days=900)).timestamp()
        os.utime(store.calls_file, (old, old))
        assert empathy("retention", "--days", 365, "--yes")[0] == 0
        assert list(store.storage_dir.glob("archive/*/llm_calls.jsonl"))
        assert not segments(store.storage_dir, CALLS)


@pytest.mark.slow
class TestGroup:
    def test_without_a_command_it_shows_the_commands_and_the_next_step(self, empathy):
        status, out, _ = empathy()
        assert status == 0
        assert {"calls", "runs", "export", "import", "query", "archive", "retention"} <= set(out.split())
        assert "Nothing has been recorded" in out

    @pytest.mark.parametrize("arguments", [["calls"], ["runs"], ["export"], ["runs", "--help"]])
    def test_reading_commands_load_neither_opentelemetry_nor_what_they_do_not_need(self, store, arguments):
        store.log_call(call())
        code = (
            "import sys, json\n"
            "from attune_monitoring.cli import main\n"
            "try:\n    main(['telemetry', *sys.argv[1:]])\n"
            "finally:\n    json.dump(sorted(sys.modules), sys.stderr)\n"
        )
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        loaded = json.loads(done.stderr.splitlines()[-1])
        assert not [
            name
            for name in loaded
            if name.startswith(("opentelemetry", "requests", "urllib3", "grpc", "duckdb", "yaml"))
        ]
