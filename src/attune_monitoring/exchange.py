"""One request to a server that speaks JSON: a time limit, no redirects, and a key that is never told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

__all__ = ["SHOWN", "TIMEOUT", "Connection", "Reply", "message_of", "sendable", "usable"]

TIMEOUT: Final = 10.0
"""Seconds for which a server may be silent."""
SHOWN: Final = 300
"""Characters of a refusal that are shown."""

_TEMPORARY: Final = frozenset({429, 502, 503, 504})


class Reply(NamedTuple):
    """What came back."""

    status: int | None
    """None: there was no answer."""
    said: Any
    """JSON, text, or the reason why there is no answer."""
    passes: bool = False
    """Whether trying again can help."""


class Connection:
    """Requests to one server; connects when it is first used.

    Args:
        url: address; `https://user:password@host` signs in with both.
        headers: sent with each request, the key among them; may be changed.
        timeout: seconds for which the server may be silent.
    """

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float = TIMEOUT) -> None:
        self.url = url.rstrip("/")
        self.headers = dict(headers)
        self._timeout = timeout
        self._session: Any = None

    def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def send(self, method: str, path: str, **body: Any) -> Reply:
        """Return what came back; never raises for what the network or the server does.

        Args:
            method: GET, POST, PUT or DELETE.
            path: begins with a slash.
            body: `json`, `data` or `params`, as in `requests.request`.
        """
        import requests

        if self._session is None:
            self._session = requests.Session()
        headers = {"User-Agent": "attune-monitoring", **self.headers}

        def sign(request: Any) -> Any:
            # As `auth`, which keeps requests from replacing the key by what a .netrc says of the host.
            request.headers.update(headers)
            return request

        try:
            reply = self._session.request(
                method,
                self.url + path,
                timeout=self._timeout,
                allow_redirects=False,
                auth=None if urlsplit(self.url).username else sign,
                headers=headers,
                **body,
            )
        except requests.exceptions.SSLError:
            return Reply(None, "its TLS certificate cannot be trusted; name its authority in REQUESTS_CA_BUNDLE")
        except requests.exceptions.Timeout:
            # Not tried again: a server that is too busy gets no quicker by being asked three times.
            return Reply(None, f"no answer within {self._timeout:g} s; it is busy, or was asked for too much at once")
        except (requests.exceptions.RequestException, OSError) as error:
            problem = f"no connection ({type(error).__name__}); is it running, and is this its address?"
            return Reply(None, problem, passes=True)
        try:
            said = reply.json()
        except ValueError:
            said = reply.text[:SHOWN]
        return Reply(reply.status_code, said, passes=reply.status_code in _TEMPORARY)


def message_of(answer: Any) -> str:
    """Return the message of a refusal: Prometheus has it as `error`, SigNoz as `error.message`."""
    inner = answer.get("error", answer) if isinstance(answer, Mapping) else answer
    message = inner.get("message", inner) if isinstance(inner, Mapping) else inner
    return " ".join(str(message).split()) or "no reason given"


def usable(url: str) -> bool:
    """Return whether this is the address of a server."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018
    except ValueError:
        return False
    fits = url.isprintable() and " " not in url and not parts.query and not parts.fragment
    return parts.scheme in ("http", "https") and bool(parts.hostname) and fits


def sendable(header: str) -> bool:
    """Return whether a header can have this value."""
    return header.isascii() and header.isprintable()
