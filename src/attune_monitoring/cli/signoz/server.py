"""Which SigNoz is meant, who one is there, and what it shall have: what the commands are asked alike."""

from __future__ import annotations

import math
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import click

from attune_monitoring.alerts.load import Rules, find_alerts_file, load_rules
from attune_monitoring.alerts.sample import SAMPLE
from attune_monitoring.cli.alerts.wiring import home_of
from attune_monitoring.cli.render import clean
from attune_monitoring.cli.sources import signoz_key
from attune_monitoring.config import load_config
from attune_monitoring.errors import ConfigError
from attune_monitoring.signoz.api import Api
from attune_monitoring.signoz.service_key import read_key

__all__ = ["KEY_FILE", "URL", "Line", "alerts_option", "key_file_of", "progress", "rules_of", "signed_in", "url_of"]

_T = TypeVar("_T")
URL: Final = "http://localhost:8080"
KEY_FILE: Final = "signoz.key"
"""Its name in the folder of the records."""
_SELDOM: Final = 10.0
"""Seconds between lines where there is no terminal."""

alerts_option: Callable[[Callable[..., _T]], Callable[..., _T]] = click.option(
    "--alerts",
    "alerts_file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Alert rules (YAML, or Python, which is run); else the alerts.yaml in use, else the bundled example.",
)


def url_of(url: str | None, env: Mapping[str, str] = os.environ) -> str:
    """Return the address that is meant: the option, SIGNOZ_URL, or where the local stack is."""
    return url or env.get("SIGNOZ_URL") or (f"http://localhost:{env['SIGNOZ_PORT']}" if env.get("SIGNOZ_PORT") else URL)


def key_file_of(file: Path | None) -> Path:
    """Return where the key is kept: the file that is named, or the one in the folder of the records."""
    return load_config(env=os.environ, cwd=Path.cwd()).storage_dir / KEY_FILE if file is None else file


def rules_of(file: Path | None) -> tuple[Path, Rules]:
    """Return the rules that SigNoz shall have, and their file.

    Raises:
        ConfigError: the file is wrong.
    """
    path = file or find_alerts_file(None, home_of(os.environ, Path.cwd())) or SAMPLE
    return path, load_rules(path, os.environ)


@contextmanager
def signed_in(
    url: str, email: str | None, *, wait: float, timeout: float, key_file: Path | None = None
) -> Iterator[Api]:
    """Give a server that is ready, as the user whose credentials the environment has; asks for a password if need be.

    Args:
        url: its address.
        email: of a user; without one a key is used, where there is one.
        wait: seconds for which it may be starting.
        timeout: seconds for which it may be silent.
        key_file: where to look for a key that the environment does not name.

    Raises:
        ConfigError: the address is none, or there is an email address without a password.
        SigNozError: it is not ready, or does not know the user.
    """
    password = _password(email) if email else ""
    key = signoz_key()
    if not key and not email and key_file is not None:
        key = read_key(key_file) or ""
    api = Api(url, "" if email else key, timeout=timeout)
    try:
        _ready(api, wait)
        if email:
            api.sign_in(email, password)
        yield api
    finally:
        api.close()


class Line:
    """What is going on, on one line of a terminal's stderr that goes again; where that is none, now and then."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown = False

    def show(self, text: str) -> None:
        """Show a text instead of the last one; only in a terminal."""
        if self._terminal:
            room = shutil.get_terminal_size().columns - 1  # a second line could not be taken away
            click.echo(f"\r\x1b[K{clean(text)[:room]}", nl=False, err=True)
            self._shown = True

    def tell(self, text: str) -> None:
        """Show a text that matters without a terminal as well."""
        self.show(text)
        if not self._terminal:
            click.echo(clean(text), err=True)

    def clear(self) -> None:
        """Take the text away."""
        if self._shown:
            click.echo("\r\x1b[K", nl=False, err=True)
            self._shown = False


@contextmanager
def progress() -> Iterator[Line]:
    """Give a line that is taken away at the end."""
    shown = Line()
    try:
        yield shown
    finally:
        shown.clear()


def _ready(api: Api, seconds: float) -> None:
    """Wait for a server, and tell for how long, each second in a terminal, else at the beginning and each 10 s."""
    told = -math.inf
    with progress() as shown:

        def tell(reason: str, waited: float) -> None:
            nonlocal told
            why = re.split("[;(]", reason)[0].strip()
            text = f"Waiting for SigNoz at {api.address}, {waited:.0f} s ({why})"
            if waited - told >= _SELDOM:
                shown.tell(text)
                told = waited
            else:
                shown.show(text)

        api.wait(seconds, tell)


def _password(email: str) -> str:
    password = os.environ.get("SIGNOZ_PASSWORD", "")
    if not password and sys.stdin.isatty():
        password = click.prompt(f"Password of {email}", hide_input=True, err=True)
    if not password:
        raise ConfigError(
            f"no password for {email}: set SIGNOZ_PASSWORD (it is no option, so that ps does not show it)"
        )
    return password
