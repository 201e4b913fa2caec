"""A key for programs: a service account of SigNoz with the role of an administrator, its key in a file of ours.

SigNoz tells the text of a key once. So an empty file is written before a key is asked for: a key on the server beside
an empty file is one whose text got lost on its way, and is replaced; beside no file it may be in use elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attune_monitoring.errors import ConfigError

from .api import Api, LostError, SigNozError, listed, text_of
from .plan import Change

__all__ = ["ACCOUNT", "ServiceKey", "read_key"]

ACCOUNT: Final = "attune-monitoring"
"""Name of the service account, and of its key."""
_ROLE: Final = "signoz-admin"
_ACCOUNTS: Final = "/api/v1/service_accounts"
_LONGEST: Final = 10_000


class ServiceKey:
    """The key, as a part of what a server shall have.

    Args:
        api: signed in with an email address and a password.
        file: where the key is kept, readable by its owner alone; need not exist.
        replace: whether a key whose text is not here is taken from whoever uses it.
    """

    def __init__(self, api: Api, file: Path, *, replace: bool = False) -> None:
        self._api = api
        self._file = file
        self._replace = replace

    def plan(self) -> list[Change]:
        """Look at account, role, key and file.

        Raises:
            ConfigError: the file cannot be read, or holds another server's key.
            SigNozError: the server cannot be asked.
        """
        text = read_key(self._file)
        account = self._account()
        key = None if account is None else self._key(account)
        if text:
            if not self._api.accepts(text):
                raise ConfigError(
                    f"{self._file} holds a key that SigNoz at {self._api.address} refuses; it may be another server's. "
                    "Name another file with --key-file, or remove this one"
                )
            lacks = account is None or not self._has_role(account)
            return [Change("key", ACCOUNT, "update" if lacks else "unchanged", (_LACKS,) if lacks else ())]
        if key is None or text == "" or self._replace:
            return [Change("key", ACCOUNT, "create")]
        return [Change("key", ACCOUNT, "left alone", (_ELSEWHERE.format(file=self._file),))]

    def apply(self, change: Change) -> None:
        """Make what is missing of account, role and key, and write the key into the file.

        Raises:
            LostError: an answer got lost.
            OSError: the file cannot be written.
        """
        if change.action == "create":
            _begin(self._file)  # before there is a key: one that cannot be kept must not be made
        account = self._account()
        if account is None:
            self._api.write("POST", _ACCOUNTS, {"name": ACCOUNT})
            account = self._account()
            if account is None:
                raise LostError(f"SigNoz at {self._api.address} does not list the service account {ACCOUNT}")
        if not self._has_role(account):
            roles = [text_of(one, "id") for one in self._named("/api/v1/roles", _ROLE)]
            if not roles:
                raise SigNozError(f"SigNoz at {self._api.address} has no role {_ROLE}; is it recent enough?")
            given = {"serviceAccountId": account, "roleId": roles[0]}
            self._api.write("POST", "/api/v1/service_account_roles", given)
        if change.action != "create":
            return
        lost = self._key(account)
        if lost is not None:
            self._api.write("DELETE", f"{_ACCOUNTS}/{account}/keys/{lost}")
        made = self._api.write("POST", f"{_ACCOUNTS}/{account}/keys", {"name": ACCOUNT, "expiresAt": 0})
        _keep(self._file, text_of(made, "key"))

    def _account(self) -> str | None:
        return next((text_of(one, "id") for one in self._named(_ACCOUNTS, ACCOUNT) if _active(one)), None)

    def _has_role(self, account: str) -> bool:
        return bool(self._named(f"{_ACCOUNTS}/{account}/roles", _ROLE))

    def _key(self, account: str) -> str | None:
        return next((text_of(one, "id") for one in self._named(f"{_ACCOUNTS}/{account}/keys", ACCOUNT)), None)

    def _named(self, path: str, name: str) -> list[Mapping[str, Any]]:
        return [one for one in listed(self._api.get(path)) if one.get("name") == name]


_LACKS: Final = f"its service account lacks the role {_ROLE}"
_ELSEWHERE: Final = (
    "there is a key, but not in {file}, and SigNoz does not tell it again; bring the file from where it was made, "
    "or make a new key with --new-key, which ends the old one"
)


def read_key(file: Path) -> str | None:
    """Return the key in a file; "" where one was begun and did not arrive, None where there is no file.

    Raises:
        ConfigError: it cannot be read, or holds no key.
    """
    try:
        with file.open("rb") as opened:
            text = opened.read(_LONGEST).decode("ascii").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} holds no key; name another file with --key-file") from error
    if not text.isprintable() or " " in text:
        raise ConfigError(f"{file} holds no key; name another file with --key-file")
    return text


def _active(account: Mapping[str, Any]) -> bool:
    return bool(account.get("status", "active") == "active")


def _begin(file: Path) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _keep(file: Path, key: str) -> None:
    """Write the key at once and for its owner alone, whatever the permissions of a file that was there."""
    descriptor, name = tempfile.mkstemp(prefix=".key-", dir=file.parent)  # 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as opened:
            opened.write(key + "\n")
            opened.flush()
            os.fsync(descriptor)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink()
        raise
