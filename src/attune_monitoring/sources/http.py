"""A server that answers with JSON: time limits, retries, a key that is never told, and one failure for a tick."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from attune_monitoring.errors import SourceError
from attune_monitoring.redaction import redact, safe_url

__all__ = ["Server"]

_TIMEOUT: Final = 10.0
_PAUSES: Final = (0.2, 0.8)
"""Seconds before each further try."""
_TEMPORARY: Final = frozenset({429, 502, 503, 504})
_REMEMBERED: Final = 10.0
"""Seconds for which a server that could not be asked is not asked again: rules ask jointly, then each for itself."""
_SHOWN: Final = 300


class _Reply(NamedTuple):
    status: int | None
    """None: there was no answer."""
    said: Any
    """JSON, text, or the reason why there is no answer."""
    passes: bool = False
    """Whether trying again can help."""


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
        timeout: float = _TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        if not _usable(url):
            raise SourceError(f"no address of {kind}: it starts with https:// or http:// and has a host")
        self._url = url.rstrip("/")
        self._kind = kind
        self._headers = dict(headers or {})
        if not all(value.isascii() and value.isprintable() for value in self._headers.values()):
            raise SourceError(f"the key of {kind} holds characters that no key has; copy it again")
        self._timeout = timeout
        self._clock = clock
        self._pause = pause
        self._session: Any = None
        self._failure: tuple[float, str] | None = None

    def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            self._session.close()
            self._session = None

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
            reply = self._post(path, body)
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

    def _post(self, path: str, body: Mapping[str, Any]) -> _Reply:
        import requests

        if self._session is None:
            self._session = requests.Session()
        headers = {"User-Agent": "attune-monitoring", **self._headers}

        def sign(request: Any) -> Any:
            # As `auth`, which keeps requests from replacing the key by what a .netrc says of the host.
            request.headers.update(headers)
            return request

        try:
            reply = self._session.post(
                self._url + path,
                timeout=self._timeout,
                allow_redirects=False,
                auth=None if urlsplit(self._url).username else sign,
                headers=headers,
                **body,
            )
        except requests.exceptions.SSLError:
            return _Reply(None, "its TLS certificate cannot be trusted; name its authority in REQUESTS_CA_BUNDLE")
        except requests.exceptions.Timeout:
            # Not tried again: a server that is too busy gets no quicker by being asked three times.
            return _Reply(
                None, f"no answer within {self._timeout:g} s; ask over shorter windows, or look at the server"
            )
        except (requests.exceptions.RequestException, OSError) as error:
            problem = f"no connection ({type(error).__name__}); is it running, and is this its address?"
            return _Reply(None, problem, passes=True)
        try:
            said = reply.json()
        except ValueError:
            said = reply.text[:_SHOWN]
        return _Reply(reply.status_code, said, passes=reply.status_code in _TEMPORARY)

    def _problem(self, status: int | None, said: Any) -> str:
        who = f"{self._kind} at {safe_url(self._url)}"
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
        return f"{who} refuses (HTTP {status}): {redact(_said(said), limit=_SHOWN)}"


def _said(answer: Any) -> str:
    """Return the message of a refusal: Prometheus has it as `error`, SigNoz as `error.message`."""
    inner = answer.get("error", answer) if isinstance(answer, Mapping) else answer
    message = inner.get("message", inner) if isinstance(inner, Mapping) else inner
    return " ".join(str(message).split()) or "no reason given"


def _usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018
    except ValueError:
        return False
    fits = url.isprintable() and " " not in url and not parts.query and not parts.fragment
    return parts.scheme in ("http", "https") and bool(parts.hostname) and fits
