"""Provisioning SigNoz against a strict stand-in of its API: made once, kept up to date, and nothing twice."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from alert_receivers import Answer, receive
from attune_monitoring.alerts import AlertAction, AlertRule, load_rules, m
from attune_monitoring.errors import ConfigError, MonitoringError
from attune_monitoring.signoz import dashboards
from attune_monitoring.signoz.api import Api, LostError, SigNozError
from attune_monitoring.signoz.channel import channel_of, channels_of
from attune_monitoring.signoz.difference import differences, lacking
from attune_monitoring.signoz.plan import Change
from attune_monitoring.signoz.provisioning import Desired, desired_of, parts_of, planned, settle
from attune_monitoring.signoz.service_key import ServiceKey, read_key
from otlp_receiver import closed_port
from signoz_server import EMAIL, PASSWORD, SigNoz, serve

pytestmark = pytest.mark.slow  # programs and servers of their own

ROOT = Path(__file__).parents[1]
CHANNELS = {
    "SLACK_WEBHOOK_URL": "https://hooks.slack.example/services/T0/B0/slacksecret",
    "ONCALL_WEBHOOK_URL": "https://oncall.example/hook/oncallsecret",
    "ONCALL_TOKEN": "tokensecret",
}
DESIRED = desired_of(load_rules(ROOT / "docs/examples/alerts.yaml", CHANNELS).rules)
SMALL = DESIRED._replace(dashboards=DESIRED.dashboards[:2], rules=DESIRED.rules[:2])
"""Of each kind something: enough to be cut off at every step."""


def never(_: float) -> None:
    """Wait for nothing."""


def run(server: SigNoz, file: Path, desired: Desired = SMALL, **options: bool) -> list[Change]:
    """Provision as the command does, without waiting."""
    api = Api(server.url, pause=never)
    try:
        parts = parts_of(api, desired)
        if server.login:
            api.sign_in(EMAIL, PASSWORD)
            parts.append(ServiceKey(api, file, **options))
        return settle(parts, pause=never)
    finally:
        api.close()


def actions(changes: list[Change]) -> set[str]:
    return {change.action for change in changes}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the key is kept; does not exist yet."""
    return tmp_path / "private" / "signoz.key"


@pytest.fixture(params=[False, True], ids=["without login", "with login"])
def server(request: pytest.FixtureRequest) -> Iterator[SigNoz]:
    with serve(SigNoz(login=request.param)) as one:
        yield one


@pytest.fixture
def login() -> Iterator[SigNoz]:
    with serve(SigNoz(login=True)) as one:
        yield one


@pytest.fixture
def open_server() -> Iterator[SigNoz]:
    with serve(SigNoz()) as one:
        yield one


# --- creating and keeping


def test_the_first_run_creates_everything(server, file):
    assert actions(run(server, file, DESIRED)) == {"create"}
    assert [len(server.channels), len(server.dashboards), len(server.rules)] == [2, 5, 8]
    assert server.state()["keys"] == (["attune-monitoring"] if server.login else [])


def test_the_second_run_writes_nothing(server, file):
    run(server, file, DESIRED)
    server.requests.clear()
    assert actions(run(server, file, DESIRED)) == {"unchanged"}
    assert server.writes == []


def test_a_plan_writes_nothing(open_server):
    assert actions(planned(parts_of(Api(open_server.url), DESIRED))) == {"create"}
    assert open_server.writes == []


def test_an_edited_dashboard_goes_back_to_ours(open_server, file):
    run(open_server, file)
    before = open_server.state()
    edited = open_server.dashboard("attune-overview")["spec"]
    edited["display"]["name"] = "Mine"
    edited["layouts"][0]["spec"]["items"][0]["height"] += 1
    [change] = [one for one in run(open_server, file) if one.action == "update"]
    assert (change.name, len(change.differences)) == ("attune-overview", 2)
    assert change.differences[0].startswith('spec.display.name: "Mine" → ')
    assert open_server.state() == before


def test_a_panel_that_somebody_added_is_a_difference(open_server, file):
    run(open_server, file)
    spec = open_server.dashboard("attune-cost")["spec"]
    spec["panels"]["mine"] = next(iter(spec["panels"].values()))
    [change] = [one for one in run(open_server, file) if one.action == "update"]
    assert change.differences == ("spec.panels.mine: {…} → (nothing)",)


def test_an_edited_rule_and_channel_go_back_to_ours(open_server, file):
    run(open_server, file)
    before = open_server.state()
    next(iter(open_server.rules.values()))["condition"]["thresholds"]["spec"][0]["target"] = 99
    kept = next(iter(open_server.channels.values()))
    kept["data"] = kept["data"].replace("slacksecret", "another")
    changes = [one for one in run(open_server, file) if one.action == "update"]
    assert [(one.kind, one.differences) for one in changes] == [
        ("channel", ("slack_configs[0].api_url: another",)),
        ("rule", ("condition.thresholds.spec[0].target: 99 → 10.0",)),
    ]
    assert open_server.state() == before


def test_what_somebody_added_to_a_channel_stays(open_server, file):
    run(open_server, file)
    kept = next(iter(open_server.channels.values()))
    receiver = json.loads(kept["data"])
    receiver["slack_configs"][0]["channel"] = "#ops"
    kept["data"] = json.dumps(receiver)
    assert actions(run(open_server, file)) == {"unchanged"}


@pytest.mark.parametrize("kind", ["dashboard", "rule"])
def test_what_is_not_ours_is_left_alone(open_server, file, kind):
    run(open_server, file)
    if kind == "dashboard":
        open_server.dashboard("attune-cost")["tags"] = [{"key": "team", "value": "ai"}]
    else:
        next(iter(open_server.rules.values()))["labels"] = {}
    before = open_server.state()
    [change] = [one for one in run(open_server, file) if one.action != "unchanged"]
    assert (change.kind, change.action, open_server.state()) == (kind, "left alone", before)
    assert "has this name and not the" in change.differences[0]


def test_a_second_dashboard_of_ours_is_told_and_not_touched(open_server, file):
    run(open_server, file)
    first = open_server.dashboard("attune-cost")
    open_server.dashboards["double"] = {**first, "id": "double"}
    [change] = [one for one in run(open_server, file) if one.action != "unchanged"]
    assert (change.action, change.differences) == (
        "left alone",
        ("a second dashboard of ours has this name; remove that with the id double in SigNoz",),
    )


def test_a_locked_dashboard_is_told(open_server, file):
    run(open_server, file)
    dashboard = open_server.dashboard("attune-cost")
    dashboard["locked"] = True
    assert actions(run(open_server, file)) == {"unchanged"}
    dashboard["spec"]["display"]["name"] = "Mine"
    [change] = [one for one in run(open_server, file) if one.action != "unchanged"]
    assert (change.action, change.differences[0]) == ("left alone", "it is locked and differs; unlock it in SigNoz")


def test_our_dashboards_are_found_among_more_than_a_page(open_server, file):
    run(open_server, file)
    theirs = {"name": "x", "tags": [], "spec": {"display": {"name": "x"}}, "locked": False}
    others = {f"other-{number}": {**theirs, "id": f"other-{number}"} for number in range(250)}
    open_server.dashboards = {**others, **open_server.dashboards}
    assert actions(run(open_server, file)) == {"unchanged"}


# --- answers that get lost


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, tuple[int, dict[str, object]]]:
    """By whether one signs in: how many requests a run takes, and what the server has then."""
    found = {}
    for login in (False, True):
        with serve(SigNoz(login=login)) as server:
            run(server, tmp_path_factory.mktemp("undisturbed") / "key")
            found[login] = len(server.requests), server.state()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_cut_once_at_any_step_changes_nothing_about_the_end(server, file, undisturbed, when):
    count, expected = undisturbed[server.login]
    for step in range(1, count + 1):
        with serve(SigNoz(login=server.login)) as another:
            another.faults = {step: when}
            key = file.with_name(f"{step}.key")
            run(another, key)
            assert another.state() == expected, f"cut {when} request {step}: {another.requests[step - 1]}"
            assert not another.login or (read_key(key) or "") in [one["key"] for one in another.keys.values()]


@pytest.mark.slow
def test_a_run_that_broke_off_anywhere_is_finished_by_the_next(server, file, undisturbed):
    count, expected = undisturbed[server.login]
    for step in range(1, count + 1):
        with serve(SigNoz(login=server.login)) as another:
            another.faults = {step - 1: "after"}  # the answer before the silence got lost as well
            another.dead_from = step
            key = file.with_name(f"{step}.key")
            with pytest.raises(SigNozError):
                run(another, key)
            another.dead_from = None
            run(another, key)
            assert another.state() == expected, f"broken off at request {step}"


def test_a_server_that_goes_on_losing_answers_is_given_up(open_server, file):
    open_server.faults = dict.fromkeys(range(2, 60), "before")
    with pytest.raises(SigNozError, match="no connection"):
        run(open_server, file)


# --- the key


def test_the_key_is_in_a_file_for_its_owner_alone_and_works(login, file):
    run(login, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    api = Api(login.url, read_key(file) or "")
    assert actions(planned(parts_of(api, SMALL))) == {"unchanged"}


def test_the_key_is_made_once(login, file):
    run(login, file)
    text = file.read_text()
    run(login, file)
    assert (file.read_text(), len(login.keys), len(login.accounts)) == (text, 1, 1)


def test_the_account_of_the_key_is_an_administrator(login, file):
    run(login, file)
    assert login.state()["roles"] == ["signoz-admin"]


def test_an_account_that_lost_its_role_gets_it_back(login, file):
    run(login, file)
    login.account_roles.clear()
    [change] = [one for one in run(login, file) if one.action != "unchanged"]
    assert (change.kind, change.action, login.state()["roles"]) == ("key", "update", ["signoz-admin"])


def test_a_key_whose_text_is_elsewhere_is_left_alone(login, file):
    run(login, file)
    before = [*login.keys]
    [change] = [one for one in run(login, file.with_name("other")) if one.action != "unchanged"]
    assert (change.kind, change.action, [*login.keys]) == ("key", "left alone", before)
    assert not file.with_name("other").exists()


def test_a_key_whose_text_is_elsewhere_is_replaced_when_asked_for(login, file):
    run(login, file)
    other = file.with_name("other")
    run(login, other, replace=True)
    assert [one["key"] for one in login.keys.values()] == [read_key(other)]


def test_a_file_with_another_servers_key_is_not_overwritten(login, file):
    file.parent.mkdir()
    file.write_text("another-servers-key\n")
    with pytest.raises(ConfigError, match="may be another server's"):
        run(login, file)
    assert (file.read_text(), login.keys) == ("another-servers-key\n", {})


def test_no_key_is_made_that_cannot_be_kept(login, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises((MonitoringError, OSError)):
        run(login, tmp_path / "file" / "key")
    assert login.keys == {}


@pytest.mark.parametrize("held", [b"two words", b"\xff\xfe"])
def test_a_file_that_holds_no_key_is_told(tmp_path, held):
    (tmp_path / "key").write_bytes(held)
    with pytest.raises(ConfigError, match="holds no key"):
        read_key(tmp_path / "key")


# --- the server


def test_one_waits_for_a_server_that_is_starting(open_server):
    open_server.unready = 3
    told: list[str] = []
    Api(open_server.url, pause=never).wait(60, lambda reason, _: told.append(reason))
    assert told == ["HTTP 503"] * 3


def test_one_does_not_wait_for_ever():
    seconds = iter(range(100))
    with closed_port() as url, pytest.raises(SigNozError, match=r"no connection .* \(waited for \d s\)"):
        Api(url, pause=never, clock=lambda: float(next(seconds))).wait(3)


@pytest.mark.parametrize(
    ("age", "says"),
    [("older", "older than v0.135.0"), ("other", "something else than JSON")],
)
def test_one_does_not_wait_for_what_is_no_signoz_of_today(age, says):
    with serve(SigNoz(age=age)) as server, pytest.raises(SigNozError, match=says):
        Api(server.url, pause=never).wait(60)


def test_a_server_without_dashboards_of_today_is_told(file):
    with serve(SigNoz(age="old")) as server, pytest.raises(SigNozError, match=r"HTTP 501\): it is older than v0.135.0"):
        run(server, file)


@pytest.mark.parametrize(
    ("email", "password", "says"),
    [("x@y.example", PASSWORD, "knows no user x@y.example"), (EMAIL, "hunter2hunter2", "or its password")],
)
def test_wrong_credentials_are_told_without_the_password(login, email, password, says):
    with pytest.raises(SigNozError, match=says) as caught:
        Api(login.url).sign_in(email, password)
    assert password not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "says"), [("", "asks for a login"), ("k" * 20, "refuses the key"), ("viewer", "role signoz-admin")]
)
def test_who_may_not_provision_is_told(login, key, says):
    key = login.add_key("signoz-viewer") if key == "viewer" else key
    with pytest.raises(SigNozError, match=says) as caught:
        planned(parts_of(Api(login.url, key), SMALL))
    assert not key or key not in str(caught.value)


def test_a_refusal_is_told_without_what_one_signed_in_with():
    with receive() as receiver:
        receiver.answers = [Answer(400, kind="echo")]
        api = Api(receiver.url, "the-key-of-the-server")
        with pytest.raises(SigNozError, match="something else than JSON") as caught:
            api.write("POST", "/api/v2/rules", {"a": "b"})
        receiver.answers = [Answer(400, body='{"error": {"message": "bad key the-key-of-the-server"}}')]
        with pytest.raises(SigNozError, match="refuses POST") as told:
            api.write("POST", "/api/v2/rules", {"a": "b"})
    assert "the-key-of-the-server" not in f"{caught.value}{told.value}"


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (Answer(502), LostError, "refuses POST|something else"),
        (Answer(302, {"Location": "http://elsewhere/"}), SigNozError, "redirects"),
        (Answer(200, body="<html>"), SigNozError, "something else than JSON"),
        (Answer(200, body='{"status": "success"}'), SigNozError, "refuses POST"),
    ],
)
def test_an_answer_that_is_none_is_told(answer, error, says):
    with receive() as receiver:
        receiver.answers = [answer]
        with pytest.raises(error, match=says):
            Api(receiver.url).write("POST", "/api/v1/channels", {})


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://host", "http://", "http://host?x=1"])
def test_an_address_that_is_none_is_told(url):
    with pytest.raises(ConfigError, match="no address of SigNoz"):
        Api(url)


def test_an_address_with_credentials_does_not_go_with_signing_in():
    with pytest.raises(ConfigError, match="set SIGNOZ_API_KEY") as caught:
        Api("http://ada:hunter2@localhost:8080").sign_in(EMAIL, PASSWORD)
    assert "hunter2" not in str(caught.value)


def test_a_key_that_no_header_can_have_is_told():
    with pytest.raises(ConfigError, match="copy it again"):
        Api("http://localhost:8080", "a\nb")


# --- channels


def action(kind: str, **options: object) -> AlertAction:
    return AlertAction(kind, {"url": "https://host.example/hook", **options}, "ops")


def test_the_authorization_of_a_webhook_is_taken_over_and_other_headers_are_named():
    notes: list[str] = []
    channel = channel_of(action("webhook", headers={"Authorization": "Bearer abc", "X-Team": "ai"}), notes)
    assert channel is not None
    assert msgspec.to_builtins(channel.webhook_configs[0])["http_config"] == {
        "authorization": {"type": "Bearer", "credentials": "abc"}
    }
    assert notes == ["header X-Team: SigNoz does not send it"]


def test_basic_authorization_becomes_a_name_and_a_password():
    header = "Basic " + base64.b64encode(b"ada:pass:word").decode()
    channel = channel_of(action("webhook", headers={"authorization": header}), [])
    assert channel is not None
    assert msgspec.to_builtins(channel.webhook_configs[0])["http_config"] == {
        "basic_auth": {"username": "ada", "password": "pass:word"}
    }


@pytest.mark.parametrize("kind", ["webhook", "slack", "discord"])
def test_a_receiver_without_a_trusted_certificate_stays_one(kind):
    channel = channel_of(action(kind, insecure=True), [])
    assert msgspec.to_builtins(channel)[f"{kind}_configs"][0]["http_config"] == {
        "tls_config": {"insecure_skip_verify": True}
    }


def test_every_kind_of_channel_is_taken(open_server, file):
    rule = AlertRule(
        "cost",
        m.cost.sum("1h") > 5,
        actions=[
            action("webhook", timeout=3.0),
            AlertAction("slack", {"url": "https://a.example/s"}),
            AlertAction("discord", {"url": "https://a.example/d"}),
            AlertAction("email", {"to": ["a@b.example", "c@d.example"], "host": "mail"}),
            AlertAction("stdout", {}),
        ],
    )
    desired = desired_of([rule])._replace(dashboards=())
    run(open_server, file, desired)
    assert {one["name"]: one["type"] for one in open_server.channels.values()} == {
        "ops": "webhook",
        "slack": "slack",
        "discord": "discord",
        "email": "email",
    }
    assert actions(run(open_server, file, desired)) == {"unchanged"}
    [kept] = open_server.rules.values()
    assert kept["condition"]["thresholds"]["spec"][0]["channels"] == ["ops", "slack", "discord", "email"]


def test_what_signoz_cannot_express_is_told_by_name():
    rules = load_rules(ROOT / "docs/examples/alerts.yaml", {}).rules
    notes = "\n".join(desired_of(rules).notes)
    for says in (
        "channel terminal: SigNoz does not deliver to stdout",
        "rule budget-forecast stays out",
        "rule cost-anomaly stays out",
        "no channel of SigNoz is told of daily-cost,",
    ):
        assert says in notes


@pytest.mark.parametrize("option", ["body", "text", "subject"])
def test_a_message_of_ones_own_is_told_to_be_lost(option):
    notes: list[str] = []
    channel_of(action("webhook", **{option: "{value}"}), notes)
    assert notes == [f"{option}: SigNoz writes its own message"]


def test_two_actions_of_one_name_are_told():
    rules = [
        AlertRule(f"cost-{url}", m.cost.sum("1h") > 5, actions=[AlertAction("slack", {"url": url})]) for url in "ab"
    ]
    made = channels_of(rules)
    assert (len(made.channels), made.notes) == (
        1,
        ("channel slack: two actions have that name; SigNoz gets the first",),
    )


# --- differences


@pytest.mark.parametrize(
    ("kept", "wanted", "lines"),
    [
        ({"a": 1, "b": None, "c": "", "d": [], "e": {"f": False}}, {"a": 1}, []),
        ({"legend": {"position": "bottom", "mode": "list"}}, {}, []),
        ({"legend": {"position": "right"}}, {}, ["legend: {…} → (nothing)"]),
        ({"fieldDataType": "number"}, {"fieldDataType": "float64"}, []),
        ({"a": 0}, {}, ["a: 0 → (nothing)"]),
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, ["a[1]: 2 → 3", "a[2]: (nothing) → 4"]),
        ({"a": "sk-abcdefghijkl"}, {"a": "b"}, ['a: "***" → "b"']),
    ],
)
def test_only_what_was_said_makes_a_difference(kept, wanted, lines):
    assert differences(kept, wanted) == lines


def test_what_is_beyond_what_we_say_does_not_lack():
    assert lacking({"a": [{"b": 1, "c": 2}], "d": 3}, {"a": [{"b": 1}]}) == []
    assert lacking({"a": [{"b": 2}]}, {"a": [{"b": 1}]}) == ["a[0].b"]
    assert lacking(None, {"a": 1}) == [""]


def test_the_plan_needs_no_http_client():
    code = (
        "import sys, attune_monitoring.signoz.provisioning; print({'requests', 'opentelemetry.sdk'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout == "set()\n"


def test_all_our_dashboards_are_provisioned():
    assert DESIRED.dashboards == dashboards()
