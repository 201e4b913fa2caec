"""Sends mail by SMTP, in plain text and HTML, over TLS that is verified."""

from __future__ import annotations

import hashlib
import html
import logging
import re
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from attune_monitoring import schema as s
from attune_monitoring.alerts import template
from attune_monitoring.alerts.notification import Notification
from attune_monitoring.alerts.wording import collapse, colour_of, cut, facts, lines, link_of, stamp, title
from attune_monitoring.errors import ActionError, ConfigError
from attune_monitoring.yamlfile import KeyPath, Node

from .contract import ActionType, Options, Sender, secret, templated

if TYPE_CHECKING:
    from email.message import EmailMessage
    from smtplib import SMTP

__all__ = ["EMAIL"]

_log = logging.getLogger("attune_monitoring.alerts")
_SUBJECT = 200
_TEXT = 20_000
_FACT = 2_000
_ADDRESS = r"[^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\]+"
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


def _message(options: Options, notification: Notification) -> dict[str, Any]:
    values = template.values_of(notification)
    subject = template.fill(options["subject"], values) if options["subject"] is not None else title(notification)
    known = facts(notification)
    if options["text"] is not None:
        body = template.fill(options["text"], values)
    else:
        said = lines(notification) or [notification.summary]
        body = "\n".join([*said, "", *(f"{name}: {cut(text, _FACT)}" for name, text in known)]).strip()
    return {
        "from": options["from"],
        "to": list(options["to"]),
        "subject": cut(collapse(subject), _SUBJECT),
        "text": cut(body, _TEXT),
        "html": _html(notification, body, known if options["text"] is None else []),
    }


def _html(notification: Notification, body: str, known: list[tuple[str, str]]) -> str:
    said = body if not known else "\n".join(lines(notification) or [notification.summary])
    rows = "".join(
        f'<tr><td style="padding:2px 12px 2px 0;color:#666">{html.escape(name)}</td>'
        f"<td>{_cell(name, cut(text, _FACT))}</td></tr>"
        for name, text in known
    )
    return (
        f'<div style="border-left:4px solid #{colour_of(notification):06x};padding-left:12px;font-family:sans-serif">'
        f"<h3>{html.escape(title(notification))}</h3>"
        f'<p style="white-space:pre-wrap">{html.escape(cut(said, _TEXT))}</p><table>{rows}</table>'
        f'<p style="color:#666">{stamp(notification.at)}</p></div>'
    )


def _cell(name: str, text: str) -> str:
    shown = html.escape(text)
    return f'<a href="{shown}">{shown}</a>' if link_of(name, text) else shown


def _sender(options: Options) -> Sender:
    for address in (options["from"], *options["to"]):
        if not re.fullmatch(_ADDRESS, address) or not address.isprintable():
            raise ConfigError(f"no mail address: {s.shown(address)}; write name@example.com alone")
    if not options["to"]:
        raise ConfigError("'to' names nobody")
    if options["username"] is not None and options["security"] == "none":
        raise ConfigError("'security: none' would send the password for everybody to read; use starttls or tls")
    if (options["username"] is None) is not (options["password"] is None):
        raise ConfigError("'username' and 'password' go together")

    def send(notification: Notification) -> None:
        _deliver(options, _mail(options, notification))

    return send


def _mail(options: Options, notification: Notification) -> EmailMessage:
    from email.message import EmailMessage
    from email.utils import formatdate

    parts = _message(options, notification)
    mail = EmailMessage()
    mail["From"] = parts["from"]
    mail["To"] = ", ".join(parts["to"])
    mail["Subject"] = parts["subject"]
    mail["Date"] = formatdate(notification.at or None)
    # Made of the key alone: who is sent a message twice sees it once.
    mark = hashlib.sha256(notification.key.encode("utf-8", "replace")).hexdigest()[:40]
    mail["Message-ID"] = f"<{mark}@{parts['from'].rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(parts["text"])
    mail.add_alternative(parts["html"], subtype="html")
    return mail


def _deliver(options: Options, mail: EmailMessage) -> None:
    import smtplib
    import ssl

    try:
        with _connected(options) as server:
            if options["username"] is not None:
                server.login(options["username"], options["password"])
            refused = server.send_message(mail, options["from"], options["to"])
    except ssl.SSLError:
        problem = ActionError(
            "the TLS certificate of the mail server cannot be trusted; mend it there, or name its authority in "
            "SSL_CERT_FILE",
            retryable=True,
        )
    except smtplib.SMTPRecipientsRefused as error:
        problem = _refusal(error.recipients)
    except smtplib.SMTPResponseException as error:
        problem = ActionError(
            f"the mail server refused: {error.smtp_code} {_answer(error.smtp_error)}", retryable=error.smtp_code < 500
        )
    except smtplib.SMTPNotSupportedError:
        problem = ActionError(
            "the mail server does not offer what is needed (STARTTLS, or a login); see 'security'", retryable=False
        )
    except (smtplib.SMTPException, OSError) as error:
        problem = ActionError(f"no connection to the mail server ({type(error).__name__})", retryable=True)
    else:
        if not refused:
            return
        problem = _refusal(refused)
        if not problem.retryable:
            # The others have it: sending again would help nobody.
            _log.warning("email: delivered, but not to all: %s", problem)
            return
    raise problem


def _connected(options: Options) -> SMTP:
    import smtplib
    import ssl

    security, host = options["security"], options["host"]
    port = options["port"] or _PORTS[security]
    if security == "tls":
        return smtplib.SMTP_SSL(host, port, timeout=options["timeout"], context=ssl.create_default_context())
    server = smtplib.SMTP(host, port, timeout=options["timeout"])
    try:
        if security == "starttls":
            server.starttls(context=ssl.create_default_context())
    except BaseException:
        server.close()
        raise
    return server


def _refusal(refused: dict[str, tuple[int, bytes]]) -> ActionError:
    said = "; ".join(f"{address}: {code} {_answer(answer)}" for address, (code, answer) in list(refused.items())[:5])
    return ActionError(
        f"the mail server refused recipients: {said}", retryable=any(code < 500 for code, _ in refused.values())
    )


def _answer(answer: bytes | str) -> str:
    return collapse(answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer)[:200]


_ADDRESSES = s.any_of(
    "Mail addresses.",
    s.text("", unset="warning"),
    s.array("", s.text("", unset="warning")),
    required=True,
)


def _addresses(node: Node, path: KeyPath, checker: s.Checker) -> list[str] | None:
    found: str | list[str] | None = _ADDRESSES.check(node, path, checker)
    return [found] if isinstance(found, str) else found


EMAIL = ActionType(
    options={
        "host": s.text("The mail server.", unset="warning", required=True),
        "port": s.number("Its port: else 587, 465 for tls, 25 for none.", minimum=1, maximum=65535, integer=True),
        "security": s.choice("How it is encrypted; certificates are verified.", *_PORTS, default="starttls"),
        "username": s.text("Who logs in, where the server asks for it.", unset="warning"),
        "password": secret("The password of that user."),
        "from": s.text("The sender's address.", unset="warning", required=True),
        "to": replace(_ADDRESSES, check=_addresses),
        "subject": templated("Instead of the usual subject, with {value} and labels filled in."),
        "text": templated("Instead of the usual text, with {value} and labels filled in."),
        "timeout": s.duration("How long the server may be silent.", default="10s"),
        "rate": s.number("Messages a second at most; what is more becomes one digest.", minimum=0.001, maximum=1000),
    },
    message=_message,
    sender=_sender,
    rate=0.2,
    templates=("subject", "text"),
)
