"""Real receivers of alerts on loopback: an HTTP server that answers as it is told, and mail servers."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

__all__ = ["RESET", "SILENCE", "Answer", "MailServer", "Receiver", "Request", "echo", "free_port", "mail", "receive"]


class Answer(NamedTuple):
    """What the receiver answers."""

    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})
    body: str = ""
    kind: str = "answer"


RESET = Answer(kind="reset")
"""The connection is cut."""
SILENCE = Answer(kind="silence")
"""There is no answer until the receiver is closed."""


def echo(status: int) -> Answer:
    """Return an answer that repeats the whole request."""
    return Answer(status, kind="echo")


class Request(NamedTuple):
    """What was posted."""

    path: str
    headers: dict[str, str]
    json: Any
    """Of a form its fields."""


class Receiver:
    """Keeps what is posted to it, and answers as `answers` say, the last one again and again."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[Request] = []
        self.answers: list[Answer] = [Answer()]
        self.closed = threading.Event()
        self._lock = threading.Lock()

    def take(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @property
    def keys(self) -> list[str]:
        """The idempotency key of each request."""
        return [request.headers["idempotency-key"] for request in self.requests]


@contextmanager
def receive(certificate: trustme.LeafCert | None = None) -> Iterator[Receiver]:
    """Open a receiver, with TLS if it is given a certificate."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            is_form = headers.get("content-type") == "application/x-www-form-urlencoded"
            body = dict(parse_qsl(data.decode())) if is_form else json.loads(data)
            answer = receiver.take(Request(self.path, headers, body))
            if answer.kind == "silence":
                receiver.closed.wait()
            elif answer.kind == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()
            else:
                repeated = f"{self.requestline} {self.headers.as_string()} {data.decode()}"
                text = (repeated if answer.kind == "echo" else answer.body).encode()
                if "Date" in answer.headers:
                    self.send_response_only(answer.status)
                else:
                    self.send_response(answer.status)
                for name, value in {**answer.headers, "Content-Length": str(len(text))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

        def finish(self) -> None:
            if not self.wfile.closed:
                try:
                    super().finish()
                except OSError:
                    return

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing of clients that went away."""

    server = Server(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    receiver = Receiver(f"{scheme}://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.closed.set()
        server.shutdown()
        server.server_close()
        thread.join()


def free_port() -> int:
    """Return a port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MailServer:
    """Keeps the mail that it is given, and refuses the recipients that it is told to."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.refused: dict[str, str] = {}
        self.secured: list[bool] = []
        self.users: list[str] = []

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.recipients.append(list(envelope.rcpt_tos))
        self.secured.append(server.transport.get_extra_info("ssl_object") is not None)
        return "250 OK"

    def login(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        known = isinstance(data, LoginPassword) and data == LoginPassword(b"watcher", b"open sesame")
        if known:
            self.users.append(data.login.decode())
        return AuthResult(success=known, handled=False)


@contextmanager
def mail(
    *, starttls: trustme.LeafCert | None = None, tls: trustme.LeafCert | None = None, login: bool = False
) -> Iterator[MailServer]:
    """Open a mail server: plain, with STARTTLS, or with TLS from the first byte."""
    server = MailServer(free_port())
    options: dict[str, Any] = {}
    context: Callable[[trustme.LeafCert], ssl.SSLContext] = _context
    if starttls is not None:
        options |= {"tls_context": context(starttls), "require_starttls": True}
    if tls is not None:
        options |= {"ssl_context": context(tls)}
    if login:
        options |= {"authenticator": server.login, "auth_required": True}
    controller = Controller(server, hostname="127.0.0.1", port=server.port, **options)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


def _context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context
