"""One POST of JSON: TLS is verified, time is limited, no redirect is followed, and nothing tells the URL."""

from __future__ import annotations

import email.utils
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from attune_monitoring import schema as s
from attune_monitoring.errors import ActionError, ConfigError

from .contract import Options, Sender, secret

__all__ = ["HTTP_OPTIONS", "quietly", "sender_of"]

_TEMPORARY = frozenset({408, 425, 429})
_PERMANENT_REDIRECTS = frozenset({301, 308})
_SHOWN_BYTES = 2_000
_SHOWN = 200

HTTP_OPTIONS: Mapping[str, s.Spec] = {
    "url": secret("Where to post; whoever knows it can post there, so it is a secret.", what="a URL", required=True),
    "timeout": s.duration("How long the receiver may be silent.", default="5s"),
    "insecure": s.boolean("Whether any TLS certificate is taken, of whomever.", default=False),
    "rate": s.number("Messages a second at most; what is more becomes one digest.", minimum=0.001, maximum=1000),
}


def sender_of(
    options: Options, message: Callable[[Options, Any], Any], headers: Mapping[str, str] | None = None
) -> Sender:
    """Return what posts a notification's message once.

    Args:
        options: those of `HTTP_OPTIONS`, and what `message` reads.
        message: makes the body.
        headers: sent as well.

    Raises:
        ConfigError: the URL is none.
    """
    url = options["url"]
    if not _usable(url):
        raise ConfigError("'url' is no URL that can be posted to; it starts with https:// or http:// and has a host")

    def send(notification: Any) -> None:
        body = json.dumps(message(options, notification), allow_nan=False).encode()
        everything = {
            "User-Agent": "attune-monitoring",
            **(headers or {}),
            "Content-Type": "application/json",
            "Idempotency-Key": _key(notification.key),
        }
        _post(url, body, everything, timeout=options["timeout"], verify=not options["insecure"])

    return send


def _key(key: str) -> str:
    fits = key.isascii() and key.isprintable() and " " not in key and 0 < len(key) <= 200
    return key if fits else hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def _usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable() and " " not in url


def _post(url: str, body: bytes, headers: Mapping[str, str], *, timeout: float, verify: bool) -> None:
    import requests

    try:
        with quietly("urllib3.connectionpool", "urllib3.util.retry"):
            reply = requests.post(
                url, data=body, headers=headers, timeout=timeout, verify=verify, allow_redirects=False, stream=True
            )
            with reply:
                said = "" if reply.ok else _beginning(reply)
    except requests.exceptions.SSLError:
        problem = ActionError(
            "the TLS certificate of the receiver cannot be trusted; mend it there, name its authority in "
            "REQUESTS_CA_BUNDLE, or say insecure: true",
            retryable=True,
        )
    except requests.exceptions.Timeout:
        problem = ActionError(f"no answer within {timeout:g} s", retryable=True)
    except (requests.exceptions.RequestException, OSError) as error:
        # What these say holds path and query.
        problem = ActionError(f"no connection ({_reason(error)})", retryable=True)
    else:
        if 200 <= reply.status_code < 300:
            return
        problem = _refusal(reply.status_code, reply.headers, said)
    # Outside of the handlers: a secret in an exception that is left as context would be printed with it.
    raise problem


def _beginning(reply: Any) -> str:
    """Return the beginning of a refusal's text, if it has any that can be read."""
    try:
        data: bytes = reply.raw.read(_SHOWN_BYTES, decode_content=True)
    except Exception:
        return ""
    return data[:_SHOWN_BYTES].decode("utf-8", "replace")


def _refusal(status: int, headers: Mapping[str, str], said: str) -> ActionError:
    if 300 <= status < 400:
        return ActionError(
            f"HTTP {status}, a redirect, which is not followed with secrets; give the URL where it leads",
            retryable=status not in _PERMANENT_REDIRECTS,
        )
    retryable = status >= 500 or status in _TEMPORARY
    answer = " ".join(said.split())[:_SHOWN]
    text = f"HTTP {status}{f' ({answer})' if answer else ''}"
    return ActionError(text, retryable=retryable, retry_after=_retry_after(headers) if retryable else None)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110, 10.2.3), whose dates count from the reply's own."""
    text = headers.get("Retry-After", "").strip()
    try:
        if text.replace(".", "", 1).isdecimal():
            return float(text)
        until = email.utils.parsedate_to_datetime(text)
        said = headers.get("Date")
        since = email.utils.parsedate_to_datetime(said).timestamp() if said else time.time()
        return max(0.0, until.timestamp() - since)
    except (TypeError, ValueError, OverflowError):
        return None


def _reason(error: BaseException) -> str:
    """Return the name of the innermost cause, such as ConnectionRefusedError."""
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        inner = [one for one in (getattr(error, "reason", None), *error.args) if isinstance(one, BaseException)]
        error = (inner or [error.__cause__ or error.__context__ or error])[0]
    return type(error).__name__


_posting = threading.local()


def _heard(_: logging.LogRecord) -> bool:
    return not getattr(_posting, "quiet", False)


@contextmanager
def quietly(*loggers: str) -> Iterator[None]:
    """Keep from the log what libraries log of this thread meanwhile: at level DEBUG they tell the URL."""
    for name in loggers:
        logging.getLogger(name).addFilter(_heard)
    before = getattr(_posting, "quiet", False)
    _posting.quiet = True
    try:
        yield
    finally:
        _posting.quiet = before
