"""Each action tells what happened, where its receiver understands it, and nobody else learns a secret of it."""

from __future__ import annotations

import itertools
import json
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import trustme

from alert_receivers import Answer, Receiver, echo, free_port, receive
from attune_monitoring.alerts import AlertAction, AlertRule
from attune_monitoring.alerts.actions import DECLARATIONS, TYPES, message_of, problems_of, rate_of, sender_of
from attune_monitoring.alerts.notification import Notification
from attune_monitoring.errors import ActionError, ConfigError
from attune_monitoring.schema import Checker
from attune_monitoring.yamlfile import Document

PAYLOADS = Path(__file__).resolve().parent.parent / "docs" / "examples" / "payloads"
SECRET = "Qz7vLx2kRw9mTb4n"
FIRING = Notification(
    key="9b1f0a4c5d6e7f80",
    kind="firing",
    rule="expensive-workflow",
    severity="critical",
    labels={"workflow_name": "code-review"},
    value=12.5,
    condition="workflow_cost > 10",
    summary="code-review has cost 12.50 USD in 24 hours",
    annotations={"runbook_url": "https://example.com/runbooks/cost"},
    started_at=1_795_419_000.0,
    at=1_795_419_919.0,
)


def changed(**fields: Any) -> Notification:
    return Notification(**{name: getattr(FIRING, name) for name in FIRING.__struct_fields__} | fields)


def http(kind: str = "webhook", **options: Any) -> AlertAction:
    return AlertAction(kind, {"url": "https://hooks.example.com/x", **options})


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receive() as one:
        yield one


# --- what is sent


@pytest.mark.parametrize("kind", ["slack", "discord", "webhook"])
def test_the_documented_payloads_are_what_is_sent(kind: str) -> None:
    assert json.loads((PAYLOADS / f"{kind}.json").read_text("utf-8")) == message_of(http(kind), FIRING)


@pytest.mark.parametrize("kind", ["slack", "discord", "webhook"])
def test_what_is_posted_is_the_message(kind: str, receiver: Receiver) -> None:
    action = http(kind, url=f"{receiver.url}/x")
    sender_of(action)(FIRING)
    assert receiver.requests[0].json == message_of(action, FIRING)
    assert receiver.requests[0].headers["content-type"] == "application/json"


COLOURS = [
    ({"severity": "critical"}, 0xD7263D),
    ({"severity": "warning"}, 0xF2A900),
    ({"severity": "info"}, 0x2F81F7),
    ({"kind": "resolved"}, 0x2EA043),
    ({"severity": "of a plugin"}, 0x8B949E),
]


@pytest.mark.parametrize(("fields", "colour"), COLOURS)
def test_the_colour_is_that_of_the_severity_and_green_when_it_is_over(fields: Any, colour: int) -> None:
    assert message_of(http("discord"), changed(**fields))["embeds"][0]["color"] == colour
    assert message_of(http("slack"), changed(**fields))["attachments"][0]["color"] == f"#{colour:06x}"


def test_a_body_of_the_users_own_is_filled_leaf_by_leaf() -> None:
    body = {"title": "{name} is {kind}", "amount": "{value}", "tags": ["{workflow_name}", "{{x}}"], "n": 3}
    assert message_of(http(body=body), FIRING) == {
        "title": "expensive-workflow is firing",
        "amount": 12.5,
        "tags": ["code-review", "{x}"],
        "n": 3,
    }


def test_headers_are_sent_and_cannot_replace_the_key(receiver: Receiver) -> None:
    sender_of(http(url=receiver.url, headers={"Authorization": "Bearer a.b", "X-Team": "ops"}))(FIRING)
    headers = receiver.requests[0].headers
    assert (headers["authorization"], headers["x-team"]) == ("Bearer a.b", "ops")
    assert headers["idempotency-key"] == FIRING.key


def test_a_key_that_no_header_may_hold_is_hashed(receiver: Receiver) -> None:
    send = sender_of(http(url=receiver.url))
    for _ in range(2):
        send(changed(key="é\r\nX-Evil: 1"))
    assert receiver.keys[0] == receiver.keys[1]
    assert receiver.keys[0].isalnum()
    assert "x-evil" not in receiver.requests[0].headers


# --- nothing in an alert becomes markup, a mention or too long

HOSTILE = "<!channel> <@U123> @everyone & *bold* _it_ ~no~ `code` [x](https://evil.example) snake_case_name"


def test_slack_shows_labels_as_they_are() -> None:
    message = message_of(http("slack"), changed(summary=HOSTILE, labels={"workflow_name": HOSTILE}))
    section = message["attachments"][0]["blocks"][0]["text"]
    assert section["verbatim"] is True
    assert section["text"] == (
        "&lt;!channel&gt; &lt;@U123&gt; @everyone &amp; ∗bold∗ ＿it＿ ∼no∼ ˋcodeˋ "
        "[x](https://evil.example) snake_case_name"
    )
    assert "<!channel>" not in json.dumps(message)


def test_discord_mentions_nobody_and_formats_nothing() -> None:
    message = message_of(
        http("discord", text="in {workflow_name}"), changed(summary=HOSTILE, labels={"workflow_name": HOSTILE})
    )
    assert message["allowed_mentions"] == {"parse": []}
    assert "@everyone" not in json.dumps(message, ensure_ascii=False)
    assert message["embeds"][0]["description"].startswith(r"\<!channel\> \<" + "@\u200bU123" + r"\> ")
    assert r"\*bold\* \_it\_ \~no\~ \`code\` \[x\](https\://evil.example)" in message["content"]


def test_the_authors_own_markup_in_a_template_stays() -> None:
    message = message_of(
        http("slack", text="*{value:.0f}* in {workflow_name}"), changed(labels={"workflow_name": "*x*"})
    )
    assert message["attachments"][0]["blocks"][0]["text"]["text"] == "*12* in ∗x∗"


def test_a_link_that_the_rule_gives_can_be_clicked() -> None:
    linked = changed(annotations={"runbook_url": "https://example.com/a?b=1&c=2"}, labels={}, condition="", value=None)
    slack, discord = message_of(http("slack"), linked), message_of(http("discord"), linked)
    mail = message_of(AlertAction("email", {"host": "h", "from": "a@b", "to": ["c@d"]}), linked)
    fields = slack["attachments"][0]["blocks"][1]["fields"]
    assert fields[0]["text"] == "*runbook_url*\n<https://example.com/a?b=1&amp;c=2>"
    assert discord["embeds"][0]["fields"][0]["value"] == "https://example.com/a?b=1&c=2"
    assert '<a href="https://example.com/a?b=1&amp;c=2">' in mail["html"]


@pytest.mark.parametrize("url", ["javascript:alert(1)", 'https://x"onclick="y', "https://x/<!channel>", "https://x|y"])
def test_what_is_no_plain_url_is_no_link(url: str) -> None:
    linked = changed(annotations={"runbook_url": url})
    mail = message_of(AlertAction("email", {"host": "h", "from": "a@b", "to": ["c@d"]}), linked)
    assert "<a " not in mail["html"]
    assert f"<{url}" not in json.dumps(message_of(http("slack"), linked))


LONG = changed(
    rule="r" * 5000,
    summary="&" * 10_000,
    condition="c" * 10_000,
    labels={f"label{n}{'x' * 500}": "y<" * 5_000 for n in range(40)},
)


@pytest.mark.parametrize("text", [None, "{summary} " * 20])
def test_slack_messages_keep_to_its_limits(text: str | None) -> None:
    message = message_of(http("slack", **({"text": text} if text else {})), LONG)
    blocks = message["attachments"][0]["blocks"]
    assert len(blocks[0]["text"]["text"]) <= 3000
    assert blocks[0]["text"]["text"].endswith("…")
    assert len(blocks[1]["fields"]) <= 10
    assert all(len(field["text"]) <= 2000 for field in blocks[1]["fields"])
    assert len(message["text"]) <= 3000


@pytest.mark.parametrize("text", [None, "{summary} " * 20])
def test_discord_messages_keep_to_its_limits(text: str | None) -> None:
    message = message_of(http("discord", **({"text": text} if text else {})), LONG)
    embed = message["embeds"][0]
    texts = [embed["title"], embed["description"], *(text for f in embed["fields"] for text in (f["name"], f["value"]))]
    assert len(message.get("content", "")) <= 2000
    assert (len(embed["title"]) <= 256, len(embed["fields"]) <= 25) == (True, True)
    assert all(len(f["name"]) <= 256 and 0 < len(f["value"]) <= 1024 for f in embed["fields"])
    assert sum(map(len, texts)) <= 6000


def test_a_digest_lists_its_messages_on_every_channel() -> None:
    digest = changed(kind="digest", summary="2 alerts: 2 critical", parts=(FIRING, changed(rule="other")))
    for kind in ("slack", "discord", "webhook", "stdout"):
        shown = json.dumps(message_of(AlertAction("stdout") if kind == "stdout" else http(kind), digest))
        assert "expensive" in shown
        assert "other" in shown


def test_a_webhook_says_how_many_messages_a_digest_stands_for_and_holds_a_hundred() -> None:
    message = message_of(http(), changed(kind="digest", parts=(FIRING,) * 150))
    assert (message["count"], len(message["parts"])) == (150, 100)


# --- HTTP


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_with_secrets(receiver: Receiver, status: int) -> None:
    with receive() as elsewhere:
        receiver.answers = [Answer(status, {"Location": f"{elsewhere.url}/stolen"})]
        with pytest.raises(ActionError, match=f"HTTP {status}, a redirect") as raised:
            sender_of(http(url=receiver.url, headers={"Authorization": f"Bearer {SECRET}"}))(FIRING)
        assert elsewhere.requests == []
    assert raised.value.retryable is (status not in (301, 308))


def test_a_refusal_whose_text_cannot_be_read_is_still_a_refusal(receiver: Receiver) -> None:
    receiver.answers = [Answer(404, {"Content-Encoding": "gzip"}, "no gzip")]
    with pytest.raises(ActionError, match=r"^HTTP 404$") as raised:
        sender_of(http(url=receiver.url))(FIRING)
    assert raised.value.retryable is False


def test_a_certificate_of_an_unknown_authority_is_refused_unless_that_is_asked_for() -> None:
    with receive(trustme.CA().issue_cert("127.0.0.1")) as secure:
        with pytest.raises(ActionError, match="certificate of the receiver cannot be trusted") as raised:
            sender_of(http(url=secure.url))(FIRING)
        assert (secure.requests, raised.value.retryable) == ([], True)
        with pytest.warns(Warning, match="Unverified HTTPS request"):
            sender_of(http(url=secure.url, insecure=True))(FIRING)
        assert len(secure.requests) == 1


def test_an_authority_of_ones_own_is_trusted_where_the_environment_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    with authority.cert_pem.tempfile(str(tmp_path)) as file, receive(authority.issue_cert("127.0.0.1")) as secure:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", file)
        sender_of(http(url=secure.url))(FIRING)
        assert len(secure.requests) == 1


@pytest.mark.parametrize(
    "url", ["ftp://example.com/x", "hooks.example.com/x", "https://", "http://[", "https://x:99999/", "https://a b/c"]
)
def test_a_url_that_cannot_be_posted_to_is_refused_without_being_told(url: str) -> None:
    with pytest.raises(ConfigError, match="'url' is no URL that can be posted to") as raised:
        sender_of(http(url=url))
    assert url not in str(raised.value)


# --- options


def checked(kind: str, text: str, env: Mapping[str, str] | None = None) -> tuple[Any, list[str], list[str]]:
    """Return what a file says of an action, and the problems and warnings that it makes."""
    document = Document.parse(f"type: {kind}\n{text}", "alerts.yaml")
    values = Checker(document, env or {}).run(DECLARATIONS[kind])
    return values, document.lines(), document.lines(document.warnings)


def test_a_secret_that_is_written_into_the_file_is_refused_without_being_told() -> None:
    _, problems, _ = checked("slack", f"url: https://hooks.slack.com/services/{SECRET}")
    assert problems == [
        "alerts.yaml:2:6: url: this is a secret: write ${NAME} and set that variable, or use 'url_file'"
    ]


def test_a_secret_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("https://hooks.example.com/y\n")
    from_variable, *_ = checked("slack", "url: ${HOOK}", {"HOOK": "https://hooks.example.com/x"})
    from_file, problems, _ = checked("slack", f"url_file: {file}")
    assert (from_variable["url"], from_file["url"]) == ("https://hooks.example.com/x", "https://hooks.example.com/y")
    assert problems == []


@pytest.mark.parametrize(
    "text", ["url: ${HOOK}", "url: ${U}\nheaders: {X-Api-Key: '${HOOK}'}", "url: ${U}\nbody: {k: '${HOOK}'}"]
)
def test_an_unset_variable_is_a_warning_that_names_it(text: str) -> None:
    _, problems, warnings = checked("webhook", text, {"U": "https://hooks.example.com/x"})
    assert problems == []
    assert len(warnings) == 1
    assert "environment variable HOOK is not set" in warnings[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("url: ${U}\nbodi: {}", "unknown key 'bodi' (did you mean 'body'?)"),
        ("timeout: 5s", "key 'url' is missing"),
        ("url: ${U}\nbody: '{}'", "body: expected a mapping or a list"),
        ("url: ${U}\nbody: {a: '{value.x}'}", "body: in '{value.x}': {value.x} is no name"),
        ("url: ${U}\nheaders: {Authorization: Bearer abc}", "headers.Authorization: this is a secret"),
        ('url: ${U}\nheaders: {X-Team: "a\\r\\nb: c"}', "headers.X-Team: a header is one line"),
        ("url: ${U}\nheaders: {Host: example.com}", "'Host' is no name of a header that can be set"),
        ("url: ${U}\nheaders: {'a b': c}", "'a b' is no name of a header that can be set"),
        ("url: ${U}\nrate: 0", "rate: expected a number from 0.001 to 1000"),
    ],
)
def test_what_is_wrong_with_options_is_told_with_its_place(text: str, said: str) -> None:
    _, problems, _ = checked("webhook", text, {"U": "https://hooks.example.com/x"})
    assert len(problems) == 1
    assert said in problems[0]
    assert problems[0].startswith("alerts.yaml:")


def test_braces_in_a_variable_are_no_template() -> None:
    values, problems, _ = checked(
        "webhook", "url: ${U}\nbody: {key: '${KEY}', of: '{name}'}", {"U": "https://x.y/z", "KEY": "a{b}c{"}
    )
    assert problems == []
    options = {key: value for key, value in values.items() if key != "type"}
    with receive() as receiver:
        sender_of(AlertAction("webhook", {**options, "url": receiver.url}))(FIRING)
        assert receiver.requests[0].json == {"key": "a{b}c{", "of": "expensive-workflow"}


@pytest.mark.parametrize("kind", DECLARATIONS)
def test_the_schema_of_each_type_takes_a_secret_from_a_variable_or_a_file_alone(kind: str) -> None:
    schema = DECLARATIONS[kind].schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    plain = {"type": kind, **({"host": "h", "from": "a@b", "to": ["a@b"]} if kind == "email" else {})}
    secrets = [key for key, spec in (TYPES[kind].options or {}).items() if spec.may_be_file]
    valid = jsonschema.Draft202012Validator(schema).is_valid
    assert valid({**plain, **dict.fromkeys(secrets, "${X}")})
    assert valid({**plain, **{f"{key}_file": "x" for key in secrets}})
    assert not any(valid({**plain, **dict.fromkeys(secrets, "${X}"), key: "literal"}) for key in secrets)


def test_a_template_that_names_what_no_rule_has_is_told_with_the_nearest_name() -> None:
    action = AlertAction("webhook", {"url": "x", "body": {"a": "{workflow}", "b": "{team}"}}, "pager")
    assert problems_of(action, ["team"]) == [
        "action 'pager': body: in '{workflow}': {workflow} is not known (did you mean 'workflow_name'?); there are "
        "value, name, severity, kind, timestamp, started_at, duration, condition, summary, workflow_name, provider, "
        "model, tier, project, outcome, error_type, token_type, stage, team"
    ]
    assert problems_of(AlertAction("slack", {"url": "x", "text": "{team} {provider}"}), ["team"]) == []
    assert problems_of(AlertAction("stdout"), []) == []


def test_an_unknown_type_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"no action type 'slak' \(did you mean 'slack'\?\); there are webhook"):
        sender_of(AlertAction("slak"))


def test_the_pace_of_a_channel_is_its_types_unless_it_says_otherwise() -> None:
    assert [rate_of(http("slack")), rate_of(http("slack", rate=5)), rate_of(AlertAction("nothing"))] == [1.0, 5.0, 1.0]


# --- standard output, functions, Apprise


class Terminal(TextIOWrapper):
    """A terminal of an encoding."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self.bytes = BytesIO()
        super().__init__(self.bytes, encoding)

    def isatty(self) -> bool:
        return True


def test_standard_output_has_a_line_and_details_without_colour_where_it_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sender_of(AlertAction("stdout"))(FIRING)
    assert capsys.readouterr().out.splitlines() == [
        "2026-11-23T07:45:19Z CRITICAL: expensive-workflow",
        "  code-review has cost 12.50 USD in 24 hours",
        "  Value: 12.5",
        "  Condition: workflow_cost > 10",
        "  workflow_name: code-review",
        "  runbook_url: https://example.com/runbooks/cost",
    ]


@pytest.mark.parametrize(
    ("fields", "colour"),
    [
        ({}, "\x1b[1;31m"),
        ({"severity": "warning"}, "\x1b[33m"),
        ({"severity": "info"}, "\x1b[34m"),
        ({"kind": "resolved"}, "\x1b[32m"),
    ],
)
def test_a_terminal_shows_the_severity_in_colour(monkeypatch: pytest.MonkeyPatch, fields: Any, colour: str) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    sender_of(AlertAction("stdout"))(changed(**fields))
    assert terminal.bytes.getvalue().decode().startswith(f"{colour}2026-11-23T07:45:19Z")


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_wants_no_colour_has_none(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv(name, value)
    sender_of(AlertAction("stdout"))(FIRING)
    assert b"\x1b" not in terminal.bytes.getvalue()


def test_a_label_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    sender_of(AlertAction("stdout"))(changed(summary="a\x1b]0;title\x07\nb", labels={"x\r": "\x9b2J"}))
    out = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\r", "\x9b"} & set(out)
    assert "  a ]0;title b\n" in out


def test_what_a_terminal_cannot_encode_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal("ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    sender_of(AlertAction("stdout"))(changed(summary="größer"))
    assert b"gr??er" in terminal.bytes.getvalue()


def test_a_closed_standard_output_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = TextIOWrapper(BytesIO())
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    with pytest.raises(ActionError) as raised:
        sender_of(AlertAction("stdout"))(FIRING)
    assert raised.value.retryable is False


def test_a_function_is_given_the_notification() -> None:
    taken: list[Notification] = []
    sender_of(AlertAction("callable", {"function": taken.append}))(FIRING)
    assert taken == [FIRING]


@pytest.mark.parametrize("options", [{}, {"function": "print"}, {"function": print, "x": 1}])
def test_a_callable_action_takes_a_function_alone(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match='it takes one option, "function"'):
        sender_of(AlertAction("callable", options))


def test_no_file_can_name_a_function() -> None:
    assert "callable" not in DECLARATIONS


def test_apprise_delivers_to_a_service_that_it_knows(receiver: Receiver) -> None:
    pytest.importorskip("apprise")
    sender_of(AlertAction("apprise", {"url": receiver.url.replace("http://", "json://") + "/x"}))(FIRING)
    sent = receiver.requests[0].json
    assert (sent["title"], sent["type"]) == ("CRITICAL: expensive-workflow", "failure")
    assert "workflow_name: code-review" in sent["message"]


def test_a_url_that_apprise_does_not_know_is_refused_without_being_told() -> None:
    pytest.importorskip("apprise")
    with pytest.raises(ConfigError, match="none that Apprise knows") as raised:
        sender_of(AlertAction("apprise", {"url": f"nothing://{SECRET}"}))
    assert SECRET not in str(raised.value)


def test_without_apprise_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ConfigError, match=r'pip install "attune-monitoring\[apprise\]"'):
        sender_of(AlertAction("apprise", {"url": "json://example.com"}))


# --- secrets


def _with_secrets(kind: str, address: str) -> dict[str, Any]:
    """Return options of a type with the secret in every option that may hold one."""
    scheme = "json" if kind == "apprise" else "http"
    url = f"{scheme}://user:{SECRET}@{address}/services/T0/{SECRET}/x?token={SECRET}"
    host, _, port = address.partition(":")
    found: dict[str, Any] = {}
    for key, spec in (TYPES[kind].options or {}).items():
        if spec.secret:
            found[key] = {"X-Api-Key": SECRET} if spec.kinds == (dict,) else url if key == "url" else SECRET
        elif spec.required:
            found[key] = {"host": host, "from": "a@example.com", "to": ["b@example.com"]}[key]
    if kind == "webhook":
        found["body"] = {"routing_key": SECRET, "name": "{name}"}
    if kind == "email":
        found |= {"port": int(port), "username": "watcher"}
    if kind == "callable":

        def fail(notification: Notification) -> None:
            raise RuntimeError(f"POST https://hooks.slack.com/services/{SECRET} with token={SECRET} failed")

        found["function"] = fail
    return found


def _told(error: BaseException | None) -> Iterator[str]:
    """Yield all that an exception says, with all that led to it."""
    while error is not None:
        yield "".join(traceback.format_exception(error))
        yield repr(error)
        error = error.__cause__ or error.__context__


def _failing_actions() -> Iterator[Any]:
    for kind, failure in itertools.product(TYPES, [echo(500), echo(404), echo(429), echo(302), None]):
        if kind != "email" or failure is None:
            yield pytest.param(kind, failure)
    # A server that is silent, whatever it would say: the action waits ten seconds for its greeting.
    yield pytest.param("email", echo(500), marks=pytest.mark.slow)


@pytest.mark.parametrize(("kind", "failure"), [*_failing_actions()])
def test_no_action_tells_a_secret(
    kind: str,
    failure: Answer | None,
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    receiver.answers = [failure or Answer()]
    address = receiver.url.partition("://")[2] if failure else f"127.0.0.1:{free_port()}"
    action = AlertAction(kind, _with_secrets(kind, address))
    with caplog.at_level(logging.DEBUG):
        send = sender_of(action)
        told = [
            repr(action),
            str(action),
            repr(send),
            repr(AlertRule("r", metric="daily_cost", threshold=1, actions=[action])),
        ]
        if kind == "stdout":
            send(FIRING)
        else:
            with pytest.raises(ActionError) as raised:
                send(FIRING)
            told += _told(raised.value)
    captured = capfd.readouterr()
    told += [captured.out, captured.err, *(str(record.__dict__) for record in caplog.records)]
    assert SECRET not in "\n".join(told)


@pytest.mark.parametrize("kind", DECLARATIONS)
def test_no_option_that_is_wrong_tells_a_secret(kind: str) -> None:
    options = _with_secrets(kind, "127.0.0.1:9")
    secrets = [key for key, spec in (TYPES[kind].options or {}).items() if spec.secret]
    wrong = {key: {"of": SECRET} if isinstance(options[key], str) else SECRET for key in secrets}
    with pytest.raises(ConfigError) as raised:
        sender_of(AlertAction(kind, {**options, **wrong, "nothing": SECRET}))
    assert SECRET not in "\n".join(_told(raised.value))


def test_a_variable_in_a_body_is_masked_where_the_message_is_shown() -> None:
    env = {"U": "https://hooks.example.com/x", "KEY": SECRET}
    values, *_ = checked("webhook", "url: ${U}\nbody: {key: '${KEY}', name: '{name}'}", env)
    action = AlertAction("webhook", {key: value for key, value in values.items() if key != "type"})
    assert message_of(action, FIRING) == {"key": "***", "name": "expensive-workflow"}
    assert SECRET not in repr(values["body"])
