"""The API by which SigNoz is provisioned: health, signing in, reading with retries, and writing once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from attune_monitoring.errors import ConfigError, MonitoringError
from attune_monitoring.exchange import SHOWN, Connection, Reply, message_of, sendable, usable
from attune_monitoring.redaction import MASK, redact, safe_url

__all__ = ["KEY_HEADER", "Api", "LostError", "SigNozError", "listed", "text_of"]

KEY_HEADER: Final = "SIGNOZ-API-KEY"

_NEEDED: Final = "v0.135.0"
"""The first version whose dashboards can be provisioned."""
_PAUSES: Final = (0.2, 0.8)
"""Seconds before each further try."""
_POLL: Final = 1.0
"""Seconds between looks at a server that is not ready yet."""


class SigNozError(MonitoringError):
    """SigNoz cannot be reached, or refuses."""


class LostError(SigNozError):
    """A change was sent and no answer came: whether it was made is not known until one looks."""


class Api:
    """One SigNoz server.

    Args:
        url: address; `https://user:password@host` signs in at a proxy before it.
        key: an API key; not needed after `sign_in`, nor where SigNoz asks for no login.
        timeout: seconds for which it may be silent.
        clock: seconds that only go forward.
        pause: waits for a number of seconds.

    Raises:
        ConfigError: the address or the key is none.
    """

    def __init__(
        self,
        url: str,
        key: str = "",
        *,
        timeout: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        if not usable(url):
            raise ConfigError("no address of SigNoz: it starts with https:// or http:// and has a host")
        if not sendable(key):
            raise ConfigError("the key of SigNoz holds characters that no key has; copy it again")
        self._timeout = timeout
        self._clock = clock
        self._pause = pause
        self._secrets = {key} - {""}
        self._way = "key" if key else "nothing"
        self._connection = Connection(url, {KEY_HEADER: key} if key else {}, timeout)

    @property
    def address(self) -> str:
        """The part of the address that may be shown."""
        return safe_url(self._connection.url)

    @property
    def signed_in(self) -> bool:
        """Whether `sign_in` was called, so that a key can be made."""
        return self._way == "session"

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def wait(self, seconds: float, tell: Callable[[str, float], object] = lambda _reason, _waited: None) -> None:
        """Return when the server is ready.

        Args:
            seconds: how long to wait for it.
            tell: is told why it is not ready, and for how many seconds that has been so, each second.

        Raises:
            SigNozError: it is not ready in that time, or it is something else than SigNoz.
        """
        begin = self._clock()
        while True:
            reply = self._connection.send("GET", "/api/v2/healthz")
            if reply.status == 200 and isinstance(reply.said, Mapping):
                return
            starting = reply.status is None or reply.status >= 500
            waited = self._clock() - begin
            if not starting or waited >= seconds:
                late = f" (waited for {waited:.0f} s)" if starting and waited >= 1 else ""
                raise SigNozError(self._problem("GET", "/api/v2/healthz", reply) + late)
            tell(str(reply.said) if reply.status is None else f"HTTP {reply.status}", waited)
            self._pause(min(_POLL, seconds - waited))

    def sign_in(self, email: str, password: str) -> None:
        """Sign in; what follows is done in the name of that user.

        Raises:
            ConfigError: the address has credentials of its own, which would be sent instead of the session.
            SigNozError: there is no such user, or the password is another.
        """
        if urlsplit(self._connection.url).username:
            raise ConfigError(
                "an address with a user name (for a proxy) does not go with signing in to SigNoz; "
                "make a key in SigNoz and set SIGNOZ_API_KEY"
            )
        self._secrets.add(password)
        known = self.get("/api/v2/sessions/context", email=email, ref=self.address)
        organisations = known.get("orgs") if isinstance(known, Mapping) else None
        if not organisations:
            raise SigNozError(f"SigNoz at {self.address} knows no user {email}; see SIGNOZ_EMAIL or --email")
        body = {"email": email, "password": password, "orgId": text_of(organisations[0], "id")}
        reply = self._patiently("POST", "/api/v2/sessions/email_password", json=body)
        if reply.status in (400, 401, 403, 404):
            raise SigNozError(
                f"SigNoz at {self.address} refuses the email address {email} or its password (HTTP {reply.status}); "
                "see SIGNOZ_EMAIL and SIGNOZ_PASSWORD"
            )
        token = text_of(self._data("POST", "/api/v2/sessions/email_password", reply), "accessToken")
        self._secrets.add(token)
        self._connection.headers = {"Authorization": f"Bearer {token}"}
        self._way = "session"

    def accepts(self, key: str) -> bool:
        """Return whether an API key is one of this server's.

        Raises:
            SigNozError: it cannot be asked.
        """
        if not key or not sendable(key):
            return False
        self._secrets.add(key)
        other = Api(self._connection.url, key, timeout=self._timeout, clock=self._clock, pause=self._pause)
        try:
            reply = other._patiently("GET", "/api/v1/service_accounts/me")
        finally:
            other.close()
        if reply.status in (401, 403):
            return False
        other._data("GET", "/api/v1/service_accounts/me", reply)
        return True

    def get(self, path: str, **asked: Any) -> Any:
        """Return what stands at a path; tried again where that can help.

        Args:
            path: begins with a slash.
            asked: parameters of the query.

        Raises:
            SigNozError: there is no answer, or a refusal.
        """
        return self._data("GET", path, self._patiently("GET", path, **({"params": asked} if asked else {})))

    def write(self, method: str, path: str, body: Any = None) -> Any:
        """Change something, and return what the server says of it; sent once.

        Raises:
            LostError: no answer came; look whether it was done before sending it again.
            SigNozError: a refusal.
        """
        reply = self._connection.send(method, path, **({} if body is None else {"json": body}))
        if reply.status is None or reply.passes:
            raise LostError(self._problem(method, path, reply))
        return self._data(method, path, reply)

    def _patiently(self, method: str, path: str, **body: Any) -> Reply:
        for pause in _PAUSES:
            reply = self._connection.send(method, path, **body)
            if not reply.passes:
                return reply
            self._pause(pause)
        return self._connection.send(method, path, **body)

    def _data(self, method: str, path: str, reply: Reply) -> Any:
        if reply.status == 204:
            return None
        if reply.status in (200, 201) and isinstance(reply.said, Mapping) and "data" in reply.said:
            return reply.said["data"]
        # Outside of any handler: what a library says of a failure holds the address with its password.
        raise SigNozError(self._problem(method, path, reply))

    def _problem(self, method: str, path: str, reply: Reply) -> str:
        who, status = f"SigNoz at {self.address}", reply.status
        if status is None:
            return f"{who}: {reply.said}"
        if status in (401, 403):
            return f"{who} {_REFUSED[self._way]} (HTTP {status} at {path})"
        if 300 <= status < 400:
            return f"{who} redirects (HTTP {status}), which is not followed; give the address where it leads"
        if status in (404, 501) and method != "DELETE":
            return (
                f"{who} does not know {path} (HTTP {status}): it is older than {_NEEDED}, or no SigNoz; "
                "update it, or see --url"
            )
        if not isinstance(reply.said, Mapping):
            return (
                f"{who} answers {path} with something else than JSON (HTTP {status}); "
                f"is this the address of SigNoz, and is it {_NEEDED} or newer?"
            )
        return f"{who} refuses {method} {path} (HTTP {status}): {self._masked(message_of(reply.said))}"

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return redact(text, limit=SHOWN)


_REFUSED: Final[Mapping[str, str]] = {
    "nothing": "asks for a login; set SIGNOZ_EMAIL and SIGNOZ_PASSWORD, or SIGNOZ_API_KEY",
    "key": "refuses the key; SIGNOZ_API_KEY needs to be one of a service account with the role signoz-admin",
    "session": "does not allow that to this user, who needs the role signoz-admin",
}
"""By how one has signed in."""


def text_of(found: Any, name: str) -> str:
    """Return a text that an answer holds under a name.

    Raises:
        SigNozError: it holds none.
    """
    text = found.get(name) if isinstance(found, Mapping) else None
    if isinstance(text, str) and text:
        return text
    raise SigNozError(f"an answer of SigNoz holds no {name}; is it recent enough?")


def listed(found: Any) -> list[Mapping[str, Any]]:
    """Return what an answer lists, each with an id.

    Raises:
        SigNozError: it is no such list.
    """
    if found is None:
        return []
    if isinstance(found, list) and all(isinstance(one, Mapping) and "id" in one for one in found):
        return found
    raise SigNozError("an answer of SigNoz is no list of what it has; is it recent enough?")
