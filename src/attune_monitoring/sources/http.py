"""A server that answers with JSON: time limits, retries, a key that is never told, and one failure for a tick."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from attune_monitoring.errors import SourceError
from attune_monitoring.exchange import SHOWN, TIMEOUT, Connection, message_of, sendable, usable
from attune_monitoring.redaction import redact, safe_url

__all__ = ["Server"]

_PAUSES: Final = (0.2, 0.8)
"""Seconds before each further try."""
_REMEMBERED: Final = 10.0
"""Seconds for which a server that could not be asked is not asked again: rules ask jointly, then each for itself."""


class Server:
    """A server that is asked by POST and answers with a JSON object.

    Args:
        url: address; `https://user:password@host` signs in with both.
        kind: what it is, for messages: "Prometheus".
        headers: sent with each question, the key among them; none of them is ever shown.
        timeout: seconds for which it may be silent.
        clock: seconds that only go forward.
        pause: waits for a number of seconds.

    Raises:
        SourceError: the address is none.
    """

    def __init__(
        self,
        url: str,
        kind: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        if not usable(url):
            raise SourceError(f"no address of {kind}: it starts with https:// or http:// and has a host")
        if not all(map(sendable, (headers or {}).values())):
            raise SourceError(f"the key of {kind} holds characters that no key has; copy it again")
        self._kind = kind
        self._connection = Connection(url, headers or {}, timeout)
        self._clock = clock
        self._pause = pause
        self._failure: tuple[float, str] | None = None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def forget(self) -> None:
        """Ask again, although it could not be asked a moment ago."""
        self._failure = None

    def ask(self, path: str, **body: Any) -> Mapping[str, Any]:
        """Return the answer to one question.

        Args:
            path: begins with a slash.
            body: `json` or `data`, as in `requests.post`.

        Raises:
            SourceError: there is no answer, or a refusal.
        """
        if self._failure is not None:
            at, problem = self._failure
            if self._clock() - at < _REMEMBERED:
                raise SourceError(problem)
            self._failure = None
        for pause in (*_PAUSES, None):
            reply = self._connection.send("POST", path, **body)
            if reply.status == 200 and isinstance(reply.said, Mapping):
                return reply.said
            if pause is None or not reply.passes:
                break
            self._pause(pause)
        problem = self._problem(reply.status, reply.said)
        if reply.passes or reply.status in (None, 401, 403) or (reply.status or 0) >= 500:
            self._failure = self._clock(), problem
        # Outside of any handler: what a library says of a failure holds the address with its password.
        raise SourceError(problem)

    def _problem(self, status: int | None, said: Any) -> str:
        who = f"{self._kind} at {safe_url(self._connection.url)}"
        if status is None:
            return f"{who}: {said}"
        if status in (401, 403):
            return f"{who} refuses the key (HTTP {status}); give one that may query"
        if 300 <= status < 400:
            return f"{who} redirects (HTTP {status}), which is not followed with a key; give the address where it leads"
        if status == 404:
            return f"{who} does not know the question (HTTP 404); is this its address, and is it recent enough?"
        if status == 200:
            return f"{who} does not answer with JSON; is this its address?"
        return f"{who} refuses (HTTP {status}): {redact(message_of(said), limit=SHOWN)}"
