"""Mail goes over TLS that is verified, to whom it was meant for, and nothing in an alert can forge a header."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme

from alert_receivers import MailServer, free_port, mail
from attune_monitoring.alerts import AlertAction
from attune_monitoring.alerts.actions import message_of, sender_of
from attune_monitoring.alerts.notification import Notification
from attune_monitoring.errors import ActionError, ConfigError

FIRING = Notification(
    key="0123abcd",
    kind="firing",
    rule="daily-cost",
    severity="critical",
    labels={"workflow_name": "<b>code-review</b>"},
    value=12.5,
    condition="daily_cost > 10",
    summary="daily-cost: 12.5 USD",
    started_at=1_795_419_000.0,
    at=1_795_419_919.0,
)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def certificate(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("127.0.0.1")


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with authority.cert_pem.tempfile(str(tmp_path)) as file:
        monkeypatch.setenv("SSL_CERT_FILE", file)
        yield


def options(server: MailServer | int, **more: Any) -> dict[str, Any]:
    port = server if isinstance(server, int) else server.port
    given = {"host": "127.0.0.1", "port": port, "from": "alerts@example.com", "to": ["ana@example.com"], **more}
    return {key: value for key, value in given.items() if value is not None}


def send(server: MailServer | int, notification: Notification = FIRING, **more: Any) -> None:
    sender_of(AlertAction("email", options(server, **more)))(notification)


def refused(server: MailServer | int, notification: Notification = FIRING, **more: Any) -> ActionError:
    with pytest.raises(ActionError) as raised:
        send(server, notification, **more)
    return raised.value


def text(found: EmailMessage, kind: str) -> str:
    part = found.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def test_starttls_with_a_certificate_that_is_trusted_delivers(certificate: trustme.LeafCert, trusted: None) -> None:
    with mail(starttls=certificate) as server:
        send(server)
    assert (server.secured, server.recipients) == ([True], [["ana@example.com"]])


def test_tls_from_the_first_byte_delivers(certificate: trustme.LeafCert, trusted: None) -> None:
    with mail(tls=certificate) as server:
        send(server, security="tls")
    assert server.secured == [True]


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_of_an_unknown_authority_is_refused(certificate: trustme.LeafCert, security: str) -> None:
    with mail(**{security: certificate}) as server:
        error = refused(server, security=security)
    assert (server.mails, error.retryable) == ([], True)
    assert "TLS certificate of the mail server cannot be trusted" in str(error)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_for_another_host_is_refused(authority: trustme.CA, trusted: None, security: str) -> None:
    with mail(**{security: authority.issue_cert("mail.example.com")}) as server:
        error = refused(server, security=security)
    assert server.mails == []
    assert "cannot be trusted" in str(error)


def test_a_server_without_starttls_is_never_sent_anything_in_clear() -> None:
    with mail() as server:
        error = refused(server)
    assert (server.mails, error.retryable) == ([], False)


def test_no_encryption_must_be_asked_for() -> None:
    with mail() as server:
        send(server, security="none")
    assert server.secured == [False]


def test_a_user_logs_in(certificate: trustme.LeafCert, trusted: None) -> None:
    with mail(starttls=certificate, login=True) as server:
        send(server, username="watcher", password="open sesame")
    assert server.users == ["watcher"]


def test_a_wrong_password_is_not_tried_again(certificate: trustme.LeafCert, trusted: None) -> None:
    with mail(starttls=certificate, login=True) as server:
        error = refused(server, username="watcher", password="open barley")
    assert (server.mails, error.retryable) == ([], False)
    assert "535" in str(error)
    assert "barley" not in str(error)


@pytest.mark.parametrize(("code", "retryable"), [("550 no such user", False), ("450 greylisted", True)])
def test_whether_a_refused_recipient_is_tried_again_is_for_the_server_to_say(code: str, retryable: bool) -> None:
    with mail() as server:
        server.refused = {"ana@example.com": code}
        error = refused(server, security="none")
    assert error.retryable is retryable
    assert f"ana@example.com: {code}" in str(error)


def test_one_unknown_recipient_among_several_is_logged_and_the_others_have_it(caplog: pytest.LogCaptureFixture) -> None:
    with mail() as server, caplog.at_level(logging.WARNING):
        server.refused = {"gone@example.com": "550 no such user"}
        send(server, security="none", to=["ana@example.com", "gone@example.com"])
    assert server.recipients == [["ana@example.com"]]
    assert "delivered, but not to all: the mail server refused recipients: gone@example.com" in caplog.text


def test_a_recipient_that_is_refused_for_now_is_tried_again() -> None:
    with mail() as server:
        server.refused = {"busy@example.com": "451 later"}
        assert refused(server, security="none", to=["ana@example.com", "busy@example.com"]).retryable


def test_a_server_that_is_not_there_is_tried_again() -> None:
    error = refused(free_port())
    assert (error.retryable, str(error)) == (True, "no connection to the mail server (ConnectionRefusedError)")


def test_a_mail_has_plain_text_and_html_in_which_labels_are_escaped() -> None:
    with mail() as server:
        send(server, security="none")
    found = server.mails[0]
    assert text(found, "plain").splitlines() == [
        "daily-cost: 12.5 USD",
        "",
        "Value: 12.5",
        "Condition: daily_cost > 10",
        "workflow_name: <b>code-review</b>",
    ]
    shown = text(found, "html")
    assert "&lt;b&gt;code-review&lt;/b&gt;" in shown
    assert "#d7263d" in shown
    assert found["Subject"] == "CRITICAL: daily-cost"
    assert (found["From"], found["To"]) == ("alerts@example.com", "ana@example.com")


def test_the_message_id_is_made_of_the_key_alone() -> None:
    with mail() as server:
        for _ in range(2):
            send(server, security="none")
        send(server, Notification(key="another", kind="firing", rule="r", severity="info"), security="none")
    first, second, third = [found["Message-ID"] for found in server.mails]
    assert first == second != third
    assert first.endswith("@example.com>")


def test_subject_and_text_can_be_written_by_the_user() -> None:
    with mail() as server:
        send(server, security="none", subject="{name}: {value:.2f} USD", text="of {workflow_name}\nsince {started_at}")
    assert server.mails[0]["Subject"] == "daily-cost: 12.50 USD"
    assert text(server.mails[0], "plain").splitlines() == ["of <b>code-review</b>", "since 2026-11-23T07:30:00Z"]
    assert "of &lt;b&gt;code-review" in text(server.mails[0], "html")


def test_a_line_break_in_a_label_forges_no_header() -> None:
    forged = Notification(
        key="k",
        kind="firing",
        rule="x\r\nBcc: eve@example.com\r\n\r\nbody",
        severity="info",
        labels={"a": "b\r\nTo: c"},
    )
    with mail() as server:
        send(server, forged, security="none", subject="{name} {a}")
    found = server.mails[0]
    assert (found["Bcc"], server.recipients) == (None, [["ana@example.com"]])
    assert found["Subject"] == "x Bcc: eve@example.com body b To: c"


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": ["ana@example.com\r\nBcc: eve@example.com"]},
        {"to": ["ana@example.com, eve@example.com"]},
        {"from": "alerts@example.com>\r\nX: y"},
        {"to": ["nobody"]},
        {"to": []},
        {"to": None},
        {"username": "watcher"},
        {"password": "open sesame"},
        {"security": "none", "username": "watcher", "password": "open sesame"},
        {"security": "ssl"},
        {"port": 0},
        {"subject": "{value.real}"},
    ],
)
def test_options_that_cannot_work_are_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^action 'email'"):
        sender_of(AlertAction("email", options(25, **wrong)))


def test_one_address_may_stand_without_a_list() -> None:
    message = message_of(AlertAction("email", options(25, to="ana@example.com")), FIRING)
    assert message["to"] == ["ana@example.com"]
