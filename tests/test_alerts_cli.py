"""`empathy alerts` as a user's shell sees it: files, tables, JSON, the watcher in a terminal, and the guide."""

from __future__ import annotations

import ast
import io
import itertools
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from rich.console import Console

from alert_receivers import RESET, Answer, Receiver, receive
from attune_monitoring import LLMCallRecord, TelemetryStore
from attune_monitoring.alerts import MetricType
from attune_monitoring.alerts.declaration import FILE
from attune_monitoring.alerts.engine import AlertEngine
from attune_monitoring.alerts.load import load_rules
from attune_monitoring.alerts.metrics import DIMENSIONS, METRICS
from attune_monitoring.alerts.sample import SAMPLE
from attune_monitoring.alerts.scenarios import load_scenarios
from attune_monitoring.alerts.silences import Silence, matcher_of
from attune_monitoring.alerts.status import NAME as STATUS
from attune_monitoring.alerts.template import NAMES
from attune_monitoring.cli import main
from attune_monitoring.cli.alerts import command as group
from attune_monitoring.cli.alerts.live import LiveView
from attune_monitoring.cli.alerts.wiring import Wiring
from attune_monitoring.sources.local import LocalSource
from markdown_blocks import blocks

Run = Callable[..., tuple[int, str, str]]
Ask = Callable[..., Any]

ROOT = Path(__file__).parent.parent
GUIDE = ROOT / "docs" / "guides" / "ALERTS_GUIDE.md"
NOW = datetime(2026, 3, 13, 16, 30, tzinfo=UTC)
RULES = """\
channels:
  terminal: {type: stdout}
  hook: {type: webhook, url: "${HOOK_URL}"}
defaults:
  actions: [terminal, hook]
alerts:
  - name: daily-cost
    metric: daily_cost
    threshold: 10
    severity: critical
    annotations: {summary: "{value:.2f} USD"}
  - name: expensive
    metric: workflow_cost
    threshold: 3
  - name: errors
    when: errors.sum("1h") / calls.sum("1h") > 0.5
    min_samples: 2
    for: 5m
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's root, which is the working directory; it has no rules yet."""
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def rules(project: Path) -> Path:
    """The file of rules of the project."""
    file = project / "alerts.yaml"
    file.write_text(RULES, "utf-8")
    return file


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """What the channel `hook` posts to; its URL ends with a secret."""
    with receive() as receiver:
        monkeypatch.setenv("HOOK_URL", f"{receiver.url}/hooks/topsecretpath")
        yield receiver


@pytest.fixture
def alerts(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `empathy alerts` in this process at `NOW`; returns its exit status, stdout and stderr."""

    def run(*arguments: str, now: datetime = NOW) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_:
            main(["alerts", *arguments], now=now)
        out, err = capsys.readouterr()
        return int(exit_.value.code or 0), out, err

    return run


@pytest.fixture
def ask(alerts: Run) -> Ask:
    """Runs a command with --format json and returns its `data`."""

    def run(*arguments: str, now: datetime = NOW, status: int = 0) -> Any:
        found, out, err = alerts(*arguments, "--format", "json", now=now)
        assert found == status, err
        return json.loads(out)["data"]

    return run


def record(minutes_ago: float = 1, *, now: datetime = NOW, **fields: Any) -> None:
    """Write a call into the folder of the test."""
    given = {
        "call_id": f"c{minutes_ago}{fields}",
        "timestamp": (now - timedelta(minutes=minutes_ago)).isoformat(),
        "model_id": "gpt-5-mini",
        "estimated_cost": 1.0,
        "workflow_name": "review",
    }
    TelemetryStore().log_call(LLMCallRecord.from_dict(given | fields))


def row(out: str, name: str) -> str:
    """The line of the table that begins with a name."""
    return next(line for line in out.splitlines() if line.startswith(f"{name} "))


# --- init


def test_init_writes_the_sample_beside_pyproject_and_says_the_next_step(project: Path, alerts: Run) -> None:
    (project / "deeper").mkdir()
    os.chdir(project / "deeper")
    status, out, _ = alerts("init")
    assert status == 0
    assert (project / "alerts.yaml").read_bytes() == SAMPLE.read_bytes()
    assert "empathy alerts lint" in out


def test_init_writes_beside_monitoring_yaml(project: Path, alerts: Run) -> None:
    (project / "deeper").mkdir()
    (project / "deeper" / "monitoring.yaml").write_text("service_name: shop\n", "utf-8")
    os.chdir(project / "deeper")
    alerts("init")
    assert (project / "deeper" / "alerts.yaml").exists()


def test_init_leaves_a_file_that_is_there_as_it_is(rules: Path, alerts: Run) -> None:
    status, _, err = alerts("init")
    assert status == 1
    assert "is there already and was left as it is" in err
    assert rules.read_text("utf-8") == RULES


def test_init_with_force_writes_it_anew(rules: Path, alerts: Run) -> None:
    assert alerts("init", "--force")[0] == 0
    assert rules.read_bytes() == SAMPLE.read_bytes()


def test_what_init_has_written_is_right(project: Path, alerts: Run) -> None:
    alerts("init")
    status, out, _ = alerts("lint")
    assert status == 0, out


# --- the file of rules


def test_without_rules_every_command_says_how_to_get_some(project: Path, alerts: Run) -> None:
    status, _, err = alerts("list")
    assert status == 1
    assert "write one with `empathy alerts init`" in err


def test_rules_are_found_from_a_folder_inside_the_project(rules: Path, ask: Ask) -> None:
    (rules.parent / "deeper").mkdir()
    os.chdir(rules.parent / "deeper")
    assert [rule["name"] for rule in ask("list")["rules"]] == ["daily-cost", "expensive", "errors"]


def test_rules_in_python_are_never_found_only_named(project: Path, alerts: Run, ask: Ask) -> None:
    file = project / "alerts.py"
    file.write_text(
        "from attune_monitoring.alerts import AlertRule\nrule = AlertRule('p', metric='daily_cost', threshold=1)\n"
    )
    assert alerts("list")[0] == 1
    assert [rule["name"] for rule in ask("list", "--rules", str(file))["rules"]] == ["p"]


def test_rules_of_both_kinds_count_where_both_are_named(rules: Path, ask: Ask, alerts: Run) -> None:
    file = rules.parent / "more.py"
    text = "from attune_monitoring.alerts import AlertRule\nrule = AlertRule({!r}, metric='daily_cost', threshold=1)\n"
    file.write_text(text.format("more"))
    both = ("list", "--config", str(rules), "--rules", str(file))
    assert [rule["name"] for rule in ask(*both)["rules"]] == ["daily-cost", "expensive", "errors", "more"]
    file.write_text(text.format("errors"))
    status, _, err = alerts(*both)
    assert status == 1
    assert "'errors' stands in" in err


@pytest.mark.parametrize("command", ["list", "lint", "test"])
def test_variables_that_are_not_set_are_named_on_stderr(rules: Path, alerts: Run, command: str) -> None:
    _, out, err = alerts(command)
    assert "HOOK_URL is not set" in err
    assert "HOOK_URL" not in out


@pytest.mark.parametrize("arguments", [("test",), ("trigger",), ("silence",), ("disable",), ("backtest",)])
def test_a_rule_that_does_not_exist_is_wrong_usage_and_the_nearest_is_named(
    rules: Path, alerts: Run, arguments: tuple[str, ...]
) -> None:
    status, _, err = alerts(*arguments, "daily-cots")
    assert status == 2
    assert "did you mean daily-cost?" in err or "did you mean 'daily-cost'?" in err


# --- lint


def test_lint_tells_every_fault_of_the_file_with_its_place(rules: Path, alerts: Run) -> None:
    rules.write_text(RULES.replace("threshold: 3", "treshold: 3").replace("severity: critical", "severity: bad"))
    status, out, _ = alerts("lint")
    assert status == 1
    assert "alerts.yaml:10:15" in out
    assert "alerts.yaml:14:5" in out


def test_lint_tells_rules_that_mean_something_else_with_their_place(rules: Path, ask: Ask) -> None:
    rules.write_text(RULES.replace("> 0.5", "> 5 and errors.sum('1h') < 0"))
    found = ask("lint", str(rules), status=1)["findings"]
    assert any(one["rule"] == "errors" and one["place"].endswith(":15:5") for one in found), found


def test_lint_of_rules_that_are_right_says_so(rules: Path, hook: Receiver, alerts: Run) -> None:
    status, out, err = alerts("lint")
    assert (status, err) == (0, "")
    assert out == "3 rules, nothing to mend. Next: empathy alerts test\n"


# --- test


def test_test_shows_what_would_fire_and_sends_nothing(rules: Path, hook: Receiver, alerts: Run) -> None:
    record(estimated_cost=12.5)
    status, out, _ = alerts("test")
    assert status == 0
    assert "would fire" in row(out, "daily-cost")
    assert "12.5" in row(out, "daily-cost")
    assert "no data" in row(out, "errors")
    assert hook.requests == []


def test_test_shows_exactly_what_a_receiver_would_get_but_for_secrets(rules: Path, hook: Receiver, ask: Ask) -> None:
    record(estimated_cost=12.5)
    [rule] = ask("test", "daily-cost")["rules"]
    [_, shown] = rule["messages"]
    assert shown["channel"] == "hook"
    assert shown["payload"]["summary"] == "12.50 USD"
    source = LocalSource(Path(os.environ["EMPATHY_STORAGE_DIR"]))
    with AlertEngine(load_rules(rules, os.environ).rules[:1], source, clock=NOW.timestamp) as engine:
        engine.tick()
    source.close()
    assert [request.json for request in hook.requests] == [shown["payload"]]


def test_test_of_one_rule_shows_its_payload_even_if_it_does_not_hold(rules: Path, hook: Receiver, alerts: Run) -> None:
    _, out, _ = alerts("test", "errors")
    assert '"test": true' in out
    assert '"rule": "errors"' in out


def test_a_rule_by_labels_shows_those_that_hold(rules: Path, ask: Ask) -> None:
    record(workflow_name="cheap", estimated_cost=1)
    record(workflow_name="dear", estimated_cost=4)
    rule = ask("test", "expensive")["rules"][0]
    assert [(one["labels"]["workflow_name"], one["holds"]) for one in rule["alerts"]] == [
        ("cheap", False),
        ("dear", True),
    ]
    assert [message["payload"] for message in rule["messages"]] != []


def test_a_condition_that_must_hold_for_a_while_is_said_to(rules: Path, alerts: Run) -> None:
    for minutes in (1, 2, 3):
        record(minutes, success=False)
    assert "holds; fires after 5m" in row(alerts("test")[1], "errors")


def test_a_disabled_rule_shows_what_it_would_send_only_where_it_is_named(rules: Path, ask: Ask) -> None:
    rules.write_text(RULES.replace("severity: critical", "enabled: false"))
    record(estimated_cost=12.5)
    assert ask("test")["rules"][0]["messages"] == []
    assert ask("test", "daily-cost")["rules"][0]["messages"] != []


@pytest.mark.slow
def test_a_secret_is_in_no_output_of_any_command(rules: Path, hook: Receiver, alerts: Run) -> None:
    record(estimated_cost=12.5)
    hook.answers = [RESET]
    said = [
        alerts(*arguments)
        for arguments in (
            ("list",),
            ("lint",),
            ("test", "daily-cost"),
            ("test", "--format", "json"),
            ("trigger", "daily-cost"),
            ("watch", "--once"),
            ("history",),
            ("list", "--format", "json"),
        )
    ]
    assert "topsecret" not in str(said)
    assert not any(b"topsecret" in file.read_bytes() for file in Path(os.environ["EMPATHY_STORAGE_DIR"]).iterdir())


# --- scenarios


def scenario(project: Path, state: str) -> str:
    folder = project / "scenarios"
    folder.mkdir()
    (folder / "spike.yaml").write_text(
        "records:\n  - {every: 10s, until: 20m, success: false}\n"
        f"expect:\n  - {{at: 15m, rule: errors, state: {state}}}\n"
    )
    return str(folder)


def test_scenarios_that_come_out_as_they_say_are_fine(rules: Path, alerts: Run) -> None:
    status, out, _ = alerts("test", "--scenarios", scenario(rules.parent, "firing"))
    assert status == 0
    assert "1 scenario, all as expected" in out


def test_a_scenario_that_comes_out_otherwise_has_status_1_and_says_where(rules: Path, alerts: Run) -> None:
    status, out, _ = alerts("test", "--scenarios", scenario(rules.parent, "inactive"))
    assert status == 1
    assert "spike.yaml:4: errors at 15m: expected inactive, found firing" in out


def test_scenarios_in_json_have_their_differences(rules: Path, ask: Ask) -> None:
    [found] = ask("test", "--scenarios", scenario(rules.parent, "inactive"), status=1)["scenarios"]
    assert [one["expected"] for one in found["differences"]] == ["inactive"]


# --- backtest


def test_backtest_tells_when_a_rule_would_have_fired_and_for_how_long(rules: Path, ask: Ask) -> None:
    record(48 * 60, estimated_cost=12)
    record(30, estimated_cost=0.5)
    data = ask("backtest", "--since", "7d", "--tz", "UTC")
    cost = next(rule for rule in data["rules"] if rule["name"] == "daily-cost")
    [episode] = cost["episodes"]
    assert episode["value"] == 12
    assert episode["duration_ms"] == 24 * 3600 * 1000
    assert cost["notifications"] == 2


def test_backtest_as_a_table_has_a_line_for_each_rule_and_each_time(rules: Path, alerts: Run) -> None:
    record(48 * 60, estimated_cost=12)
    record(30, estimated_cost=0.5)
    status, out, _ = alerts("backtest", "--tz", "UTC")
    assert status == 0
    assert re.search(r"^daily-cost +1× +1d +1d ", out, re.MULTILINE)
    assert re.search(r"^errors +never", out, re.MULTILINE)
    assert "  03-11 16:3" in out


def test_backtest_of_a_disabled_rule_that_is_named_evaluates_it(rules: Path, ask: Ask) -> None:
    rules.write_text(RULES.replace("severity: critical", "enabled: false"))
    record(30, estimated_cost=12)
    assert ask("backtest")["rules"][0]["episodes"] == []
    assert len(ask("backtest", "daily-cost")["rules"][0]["episodes"]) == 1


@pytest.mark.slow
def test_backtest_shows_the_newest_times_and_how_many_came_before(rules: Path, alerts: Run) -> None:
    for day in range(1, 25, 2):
        record(day * 24 * 60, estimated_cost=12)
        record(day * 24 * 60 - 10, estimated_cost=0)
    _, out, _ = alerts("backtest", "daily-cost")
    assert re.search(r"^daily-cost +12×", out, re.MULTILINE)
    assert "2 earlier ones, with --format json" in out


def test_backtest_says_that_a_rule_could_not_be_evaluated(project: Path, alerts: Run) -> None:
    file = project / "rules.py"
    file.write_text("from attune_monitoring.alerts import alert\n@alert\ndef broken(m):\n    return 1 / 0\n")
    record(30)
    _, out, _ = alerts("backtest", "--rules", str(file))
    assert "could not be evaluated" in out
    assert "ZeroDivisionError" in out


def test_backtest_without_records_says_how_to_get_some(rules: Path, alerts: Run) -> None:
    status, _, err = alerts("backtest")
    assert status == 1
    assert "Nothing has been recorded" in err


# --- trigger


def test_trigger_sends_one_message_marked_as_a_test(rules: Path, hook: Receiver, alerts: Run) -> None:
    status, out, err = alerts("trigger", "expensive")
    assert status == 0
    assert "hook: delivered" in err
    assert "TEST" in out
    [request] = hook.requests
    assert request.json["test"] is True
    assert request.json["labels"] == {"workflow_name": "test"}


def test_trigger_leaves_the_state_of_the_rule_alone(rules: Path, hook: Receiver, alerts: Run, ask: Ask) -> None:
    alerts("trigger", "daily-cost")
    assert {rule["state"] for rule in ask("list")["rules"]} == {"inactive"}


def test_a_channel_that_refuses_is_told_and_has_status_1(rules: Path, hook: Receiver, alerts: Run) -> None:
    hook.answers = [Answer(404, body="no such hook")]
    status, _, err = alerts("trigger", "daily-cost")
    assert status == 1
    assert "hook: not delivered: HTTP 404 (no such hook)" in err


# --- watch once, list, history


def test_one_evaluation_fires_delivers_and_is_remembered(rules: Path, hook: Receiver, alerts: Run, ask: Ask) -> None:
    record(estimated_cost=12.5)
    status, out, _ = alerts("watch", "--once")
    assert status == 0
    assert "firing daily-cost: 12.5" in out
    assert sorted(request.json["rule"] for request in hook.requests) == ["daily-cost", "expensive"]
    cost, expensive, errors = ask("list")["rules"]
    assert (cost["state"], cost["since"][:19]) == ("firing", "2026-03-13T16:30:00")
    assert [one["labels"] for one in expensive["alerts"]] == [{"workflow_name": "review"}]
    assert errors["state"] == "inactive"
    kinds = [entry["kind"] for entry in ask("history", "daily-cost")["entries"]]
    assert sorted(kinds) == ["delivered", "delivered", "firing"]


def test_a_second_evaluation_tells_nothing_again(rules: Path, hook: Receiver, alerts: Run) -> None:
    record(estimated_cost=12.5)
    alerts("watch", "--once")
    told = len(hook.requests)
    alerts("watch", "--once", now=NOW + timedelta(minutes=1))
    assert len(hook.requests) == told


def test_what_could_not_be_delivered_has_status_1_and_waits(rules: Path, hook: Receiver, alerts: Run) -> None:
    record(estimated_cost=2.5)
    rules.write_text(RULES.replace("threshold: 10", "threshold: 2"))
    hook.answers = [Answer(401)]
    assert alerts("watch", "--once")[0] == 0  # the receiver will never take it: it is given up
    assert "given up" in alerts("history")[1]


def test_list_says_that_no_watcher_runs(rules: Path, alerts: Run) -> None:
    assert "no watcher has evaluated these rules yet" in alerts("list")[2]
    alerts("watch", "--once")
    assert "no watcher" not in alerts("list")[2]
    assert "no watcher runs: states are those of" in alerts("list", now=NOW + timedelta(hours=1))[2]


def test_reading_commands_make_no_files(rules: Path, alerts: Run) -> None:
    for command in ("list", "test", "lint", "history", "silences"):
        alerts(command)
    assert not Path(os.environ["EMPATHY_STORAGE_DIR"]).exists()


# --- silences, enable, disable


def test_a_snoozed_rule_fires_and_tells_nobody(rules: Path, hook: Receiver, alerts: Run, ask: Ask) -> None:
    record(estimated_cost=2.5)
    rules.write_text(RULES.replace("threshold: 10", "threshold: 2"))
    alerts("snooze", "daily-cost", "--for", "4h", "--comment", "release")
    alerts("watch", "--once")
    assert hook.requests == []
    cost = ask("list")["rules"][0]
    assert (cost["state"], cost["silenced_until"]) == ("firing", "2026-03-13T20:30:00.000Z")


def test_a_silence_by_label_is_listed_and_ends_when_told(rules: Path, alerts: Run, ask: Ask) -> None:
    _, out, _ = alerts("silence", "--match", "workflow_name=review", "--comment", "noisy")
    [silence] = ask("silences")["silences"]
    assert (silence["matchers"], silence["comment"]) == (["workflow_name=review"], "noisy")
    assert silence["ends_at"] == "2026-03-13T18:30:00.000Z"
    assert f"--expire {silence['id']}" in out
    assert alerts("silences", "--expire", silence["id"])[0] == 0
    assert ask("silences")["silences"] == []
    assert alerts("silences", "--expire", silence["id"])[0] == 1


@pytest.mark.parametrize(
    "arguments",
    [(), ("--match", "nonsense"), ("daily-cost", "--for", "soon"), ("daily-cost", "--for", "0")],
)
def test_a_silence_of_nothing_is_wrong_usage(rules: Path, alerts: Run, arguments: tuple[str, ...]) -> None:
    assert alerts("silence", *arguments)[0] == 2


def test_a_disabled_rule_does_nothing_until_it_is_enabled(rules: Path, hook: Receiver, alerts: Run, ask: Ask) -> None:
    record(estimated_cost=2.5)
    rules.write_text(RULES.replace("threshold: 10", "threshold: 2"))
    alerts("disable", "daily-cost")
    alerts("watch", "--once")
    assert hook.requests == []
    assert ask("list")["rules"][0]["enabled"] is False
    alerts("enable", "daily-cost")
    alerts("watch", "--once", now=NOW + timedelta(minutes=1))
    assert [request.json["rule"] for request in hook.requests] == ["daily-cost"]


# --- the watcher as a process


def _hears_ctrl_c() -> None:
    """What runs in the background of a script, as these tests may, is started with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Program:
    """A watcher in a terminal of its own, or with its output in a pipe."""

    def __init__(self, *arguments: str, terminal: bool = False) -> None:
        self.said = ""
        environment = os.environ | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40", "PYTHONUNBUFFERED": "1"}
        if terminal:
            self._end, other = os.openpty()
        else:
            self._end, other = os.pipe()
        code = "from attune_monitoring.cli import main; main()"
        command = [sys.executable, "-c", code, "alerts", "watch", *arguments]
        self.process = subprocess.Popen(
            command, stdin=other, stdout=other, stderr=other, env=environment, preexec_fn=_hears_ctrl_c
        )
        os.close(other)

    def until(self, text: str) -> str:
        """Read until a text is there; return everything that was said."""
        while text not in self.said:
            data = self._read()
            assert data, f"ended without {text!r}: {self.said}"
            self.said += data
        return self.said

    def stop(self, number: signal.Signals) -> int:
        """Send a signal and return the exit status; negative where the signal has ended it."""
        self.process.send_signal(number)
        while data := self._read():
            self.said += data
        return self.process.wait()

    def close(self) -> None:
        """End it if it has not ended."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._end)

    def _read(self) -> str:
        if not select.select([self._end], [], [], 120)[0]:
            pytest.fail(f"it hangs after {self.said!r}")
        try:
            return os.read(self._end, 65536).decode("utf-8", "replace")
        except OSError:  # the other end of a terminal was closed
            return ""


@pytest.fixture
def watch() -> Iterator[Callable[..., Program]]:
    """Starts a watcher."""
    started: list[Program] = []

    def start(*arguments: str, terminal: bool = False) -> Program:
        started.append(Program(*arguments, terminal=terminal))
        return started[-1]

    yield start
    for program in started:
        program.close()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
def test_a_watcher_ends_with_status_0_when_it_is_told_to(
    rules: Path, watch: Callable[..., Program], number: signal.Signals, terminal: bool
) -> None:
    program = watch(terminal=terminal)
    program.until("evaluated at" if terminal else "0 firing")
    assert program.stop(number) == 0
    assert "Stopped." in program.said
    assert "Traceback" not in program.said


@pytest.mark.slow
def test_the_live_view_shows_states_and_values_and_what_has_changed(rules: Path, watch: Callable[..., Program]) -> None:
    record(now=datetime.now(UTC), estimated_cost=12.5)
    program = watch(terminal=True)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", program.until("firing daily-cost: 12.5"))
    assert re.search(r"daily-cost +firing +\d\d:\d\d:\d\d +12\.5 +cost\.sum\('24h'\) > 10", plain)
    assert re.search(r"workflow_name=review +firing", plain)
    assert "CRITICAL: daily-cost" in plain  # what the channel `terminal` prints stands above the view


@pytest.mark.slow
def test_a_second_watcher_says_standby_and_takes_over(rules: Path, watch: Callable[..., Program]) -> None:
    first = watch("--interval", "1")
    first.until("0 firing")
    second = watch("--interval", "1")
    second.until("standby")
    assert first.stop(signal.SIGTERM) == 0
    second.until("took over")
    assert second.stop(signal.SIGTERM) == 0


@pytest.mark.slow
def test_a_running_watcher_takes_up_a_silence(
    rules: Path, hook: Receiver, watch: Callable[..., Program], alerts: Run
) -> None:
    program = watch("--interval", "1")
    program.until("0 firing")
    alerts("silence", "--match", "severity=critical", now=datetime.now(UTC))
    alerts("silence", "--match", "severity=warning", now=datetime.now(UTC))
    record(now=datetime.now(UTC), estimated_cost=12.5)
    program.until("2 silenced")
    program.stop(signal.SIGTERM)
    assert hook.requests == []


@pytest.fixture
def shown(rules: Path) -> Callable[[Callable[[AlertEngine], None]], str]:
    """Returns what the live view shows after an evaluation, for which a function prepares the engine."""

    def show(prepare: Callable[[AlertEngine], None]) -> str:
        folder = Path(os.environ["EMPATHY_STORAGE_DIR"])
        wiring = Wiring(folder, (rules,), load_rules(rules, os.environ))
        page = io.StringIO()
        with wiring.source() as source, AlertEngine(wiring.rules.rules, source, clock=NOW.timestamp) as engine:
            view = LiveView(wiring, 60, engine.outbox, clock=NOW.timestamp)
            prepare(engine)
            view.take(engine.tick())
            Console(file=page, width=140).print(view.render())
        return page.getvalue()

    return show


def nothing(engine: AlertEngine) -> None:
    """Prepares nothing."""


def test_the_live_view_counts_down_to_the_next_evaluation(shown: Callable[..., str]) -> None:
    assert "again in 60 s" in shown(nothing)


def test_the_live_view_shows_values_before_anything_fires(shown: Callable[..., str]) -> None:
    record(estimated_cost=2.5)
    assert re.search(r"^daily-cost +inactive +2\.5 ", shown(nothing), re.MULTILINE)


def test_the_live_view_shows_which_rules_are_disabled(shown: Callable[..., str]) -> None:
    text = shown(lambda engine: engine.outbox.override("errors", False))
    assert re.search(r"^errors +disabled", text, re.MULTILINE)


def test_the_live_view_shows_until_when_an_alert_is_silenced(shown: Callable[..., str]) -> None:
    record(estimated_cost=12.5)
    until = NOW + timedelta(days=300)
    silence = Silence(id="s", matchers=(matcher_of("rule=daily-cost"),), starts_at=0.0, ends_at=until.timestamp())
    text = shown(lambda engine: engine.outbox.add_silence(silence))
    assert re.search(r"^daily-cost +firing, silenced until ", text, re.MULTILINE)
    assert "1 silenced" in text


def test_the_live_view_shows_a_few_alerts_of_a_rule_and_how_many_more(shown: Callable[..., str]) -> None:
    for number in range(7):
        record(workflow_name=f"w{number}", estimated_cost=5)
    text = shown(nothing)
    assert re.search(r"^expensive +firing ×7", text, re.MULTILINE)
    assert len(re.findall(r"^  workflow_name=w\d", text, re.MULTILINE)) == 5
    assert "and 2 more" in text


def test_the_live_view_shows_why_a_rule_cannot_be_evaluated(shown: Callable[..., str], rules: Path) -> None:
    rules.write_text(RULES.replace("errors.sum", "dropped.sum").replace("    min_samples: 2\n", ""))
    text = shown(nothing)
    assert re.search(r"^errors +error +SourceError: attune\.records\.dropped", text, re.MULTILINE)


def test_the_live_view_of_a_second_watcher_says_standby(shown: Callable[..., str]) -> None:
    text = shown(lambda engine: engine.outbox.take_lease("another", NOW.timestamp(), 60))
    assert "standby" in text


def test_each_evaluation_writes_the_file_that_others_read(rules: Path, alerts: Run) -> None:
    record(estimated_cost=12.5)
    alerts("watch", "--once")
    status = json.loads((Path(os.environ["EMPATHY_STORAGE_DIR"]) / STATUS).read_bytes())
    assert [alert["rule"] for alert in status["firing"]] == ["daily-cost", "expensive"]


# --- what is loaded


def test_every_command_has_help(alerts: Run) -> None:
    for name in group.list_commands(click.Context(group)):
        status, out, _ = alerts(name, "--help")
        assert status == 0
        assert f"alerts {name}" in out


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["list"], ["test"], ["history"]])
def test_reading_commands_load_neither_the_sdk_nor_requests(rules: Path, arguments: list[str]) -> None:
    record(now=datetime.now(UTC), estimated_cost=12.5)
    code = (
        "import sys, json\nfrom attune_monitoring.cli import main\n"
        "try:\n    main(['alerts', *sys.argv[1:]])\nfinally:\n    json.dump(sorted(sys.modules), sys.stdout)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert not [name for name in loaded if name.startswith(("opentelemetry.sdk", "requests", "urllib3", "grpc"))]


# --- the guide


def of_guide(language: str) -> list[Any]:
    return [pytest.param(block.text, id=f"line {block.line}") for block in blocks(GUIDE, language)]


@pytest.mark.parametrize("text", of_guide("yaml"))
def test_every_file_that_the_guide_shows_can_be_used(text: str, project: Path) -> None:
    (project / "discord-webhook.txt").write_text("https://discord.example.com/x")
    file = project / "shown.yaml"
    file.write_text(text, "utf-8")
    if "expect:" in text:
        assert load_scenarios(file)[0].expect
    else:
        assert load_rules(file, {}).rules


def test_the_scenario_of_the_guide_comes_out_as_it_says(project: Path, alerts: Run) -> None:
    [text] = [block.text for block in blocks(GUIDE, "yaml") if "expect:" in block.text]
    (project / "outage.yaml").write_text(text, "utf-8")
    alerts("init")
    status, out, _ = alerts("test", "--scenarios", "outage.yaml")
    assert status == 0, out


def documented() -> dict[str, str]:
    """What the docstring below each member of `MetricType` says."""
    tree = ast.parse(Path(sys.modules[MetricType.__module__].__file__ or "").read_text("utf-8"))
    [body] = [node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "MetricType"]
    return {
        ast.literal_eval(member.value): ast.literal_eval(text.value)
        for member, text in itertools.pairwise(body)
        if isinstance(member, ast.Assign) and isinstance(text, ast.Expr)
    }


def test_the_guide_explains_every_ready_made_metric_as_the_code_does() -> None:
    text = GUIDE.read_text("utf-8")
    said = dict(re.findall(r"^\| `(\w+)` \| (\S[^|]*\.) \|$", text, re.MULTILINE))
    assert said == documented()
    assert said.keys() == {kind.value for kind in MetricType}


def test_the_guide_lists_every_metric_with_its_dimensions() -> None:
    short = {full: name for name, full in DIMENSIONS.items()}
    found = re.findall(r"^\| `(\w+)` \| `([\w.]+)` \| (\w+) \| ([\w, ]*) ?\|$", GUIDE.read_text("utf-8"), re.MULTILINE)
    assert {name: (metric, kind, labels.strip()) for name, metric, kind, labels in found} == {
        name: (metric.name, metric.instrument, ", ".join(short[one] for one in metric.dimensions))
        for name, metric in METRICS.items()
    }


def test_the_guide_explains_every_key_and_every_name_of_a_template() -> None:
    text = GUIDE.read_text("utf-8")
    keys = msgspec.to_builtins(FILE.schema()["properties"]["alerts"]["items"])["properties"]
    assert keys.keys() <= set(re.findall(r"`(\w+)`", text))
    assert set(NAMES) - DIMENSIONS.keys() <= set(re.findall(r"\{(\w+)", text))
