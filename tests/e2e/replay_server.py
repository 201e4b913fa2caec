"""A loopback HTTP server that answers with recorded responses; streams arrive event by event, as they did.

It is used as the clients' HTTP proxy, so that they keep the host that the recording is from.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from recordings_io import Interaction

__all__ = ["KEY_HEADER", "Received", "ReplayServer"]

KEY_HEADER = "x-replay"
"""Says which recording a request is to be answered with, so that concurrent clients cannot mix theirs up."""

_EVENT = re.compile(rb".*?(?:\r\n\r\n|\n\n|\r\r|\Z)", re.DOTALL)
_NOT_REPLAYED = frozenset(
    {"alt-svc", "connection", "content-length", "keep-alive", "set-cookie", "strict-transport-security", "trailer"}
    | {"transfer-encoding", "upgrade"}
)
_WAIT = 30.0  # seconds until a test that never opens its gate fails instead of hanging


@dataclass(frozen=True)
class Received:
    """A request as it came over the wire."""

    method: str
    path: str
    body: Any


@dataclass
class _Script:
    answers: Iterator[Interaction]
    cut_after: int | None
    gate: threading.Event | None
    received: list[Received] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # many clients connect at once


class ReplayServer:
    """Serves while it is entered; `url` is the proxy that clients must be given."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._scripts: dict[str, _Script] = {}
        self._server = _Server(("127.0.0.1", 0), _handler_for(self._scripts))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> ReplayServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def play(self, *answers: Interaction, cut_after: int | None = None, gate: threading.Event | None = None) -> str:
        """Take recordings to answer with, one request each, in this order.

        Args:
            answers: the recordings.
            cut_after: the number of a stream's events after which the connection breaks.
            gate: what must be set before anything follows a stream's first event.

        Returns:
            The value of `KEY_HEADER` that asks for them.
        """
        key = str(next(self._numbers))
        self._scripts[key] = _Script(iter(answers), cut_after, gate)
        return key

    def received(self, key: str) -> list[Received]:
        """The requests that asked for these recordings."""
        return self._scripts[key].received


def _handler_for(scripts: dict[str, _Script]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # a client need not stay until the end
                super().handle()

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length)
            script = scripts[self.headers[KEY_HEADER]]
            url = urlsplit(self.path)  # of a proxy's request it is absolute
            path = f"{url.path}?{url.query}" if url.query else url.path
            script.received.append(Received(self.command, path, json.loads(body) if body else None))
            answer = next(script.answers)
            self.send_response(answer.status)
            for name, value in _headers(answer).items():
                self.send_header(name, value)
            if answer.is_stream:
                self._stream(answer.body, script)
            else:
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

        def _stream(self, body: bytes, script: _Script) -> None:
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            events = [event for event in _EVENT.findall(body) if event]
            for event in events[: script.cut_after]:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
                self.wfile.flush()
                if script.gate is not None and not script.gate.wait(_WAIT):
                    break
            else:
                if script.cut_after is None and not _is_torn(body):
                    self.wfile.write(b"0\r\n\r\n")
                    return
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Keep the output of tests free of requests."""

    return Handler


def _headers(answer: Interaction) -> dict[str, str]:
    kind = "text/event-stream" if answer.is_stream else "application/json"
    kept = {name: value for name, value in answer.headers.items() if name not in _NOT_REPLAYED and value.isprintable()}
    if answer.is_stream != ("event-stream" in kept.get("content-type", "") or "ndjson" in kept.get("content-type", "")):
        kept["content-type"] = kind
    return {"content-type": kind, **kept}


def _is_torn(body: bytes) -> bool:
    """Whether the recording ends within an event: then the connection broke."""
    last = next((line for line in reversed(body.splitlines()) if line.startswith(b"data:")), b"data: [DONE]")
    text = last[5:].strip()
    if text == b"[DONE]":
        return False
    try:
        json.loads(text)
    except ValueError:
        return True
    return False
