"""Who answers a command's questions: the folder of the records, SigNoz or Prometheus, by --source and --url."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

import click

from attune_monitoring.query import Source
from attune_monitoring.sources.local import LocalSource
from attune_monitoring.sources.prometheus import PrometheusSource
from attune_monitoring.sources.signoz import SigNozSource

__all__ = ["LOCAL", "SOURCES", "TITLES", "Closing", "need_since", "refuse_url", "signoz_key", "source_options"]

_T = TypeVar("_T")
LOCAL = "local"


class Closing(Source, Protocol):
    """A source that holds something open."""

    def close(self) -> None:
        """Close what is open."""
        ...


def refuse_url(url: str | None) -> None:
    """Refuse an address where the folder is asked, which has none.

    Raises:
        click.UsageError: there is one.
    """
    if url is not None:
        raise click.UsageError("--url is the address of a server; say --source signoz or --source prometheus as well")


def need_since(since: datetime | None) -> datetime:
    """Return the beginning of the time that a server is asked about.

    Raises:
        click.UsageError: there is none.
    """
    if since is None:
        raise click.UsageError("a server does not say when its data begin: give --since")
    return since


def _local(folder: Path, url: str | None) -> LocalSource:
    refuse_url(url)
    return LocalSource(folder)


def _signoz(_: Path, url: str | None) -> SigNozSource:
    address = url or os.environ.get("SIGNOZ_URL") or "http://localhost:8080"
    return SigNozSource(address, signoz_key())


def signoz_key() -> str:
    """Return the key in SIGNOZ_API_KEY, else that in the file that SIGNOZ_API_KEY_FILE names; "" without both.

    Raises:
        OSError: that file cannot be read.
    """
    key, file = os.environ.get("SIGNOZ_API_KEY", ""), os.environ.get("SIGNOZ_API_KEY_FILE", "")
    return key or (Path(file).read_text("utf-8").strip() if file else "")


def _prometheus(_: Path, url: str | None) -> PrometheusSource:
    address = url or os.environ.get("PROMETHEUS_URL") or "http://localhost:9090"
    return PrometheusSource(address, os.environ.get("PROMETHEUS_TOKEN", ""))


SOURCES: Mapping[str, Callable[[Path, str | None], Closing]] = {
    LOCAL: _local,
    "signoz": _signoz,
    "prometheus": _prometheus,
}
"""Who can answer, by the name that --source has: from the folder, and the address where one is given."""
TITLES: Mapping[str, str] = {LOCAL: "the folder", "signoz": "SigNoz", "prometheus": "Prometheus"}
"""What they are called in sentences."""


def source_options(function: Callable[..., _T]) -> Callable[..., _T]:
    """Add --source and --url to a command, which gets them as `source_name` and `url`."""
    for option in (
        click.option(
            "--url",
            metavar="URL",
            help="Address of SigNoz (else SIGNOZ_URL; key: SIGNOZ_API_KEY) or Prometheus (else PROMETHEUS_URL; "
            "bearer token: PROMETHEUS_TOKEN).",
        ),
        click.option(
            "--source",
            "source_name",
            type=click.Choice([*SOURCES]),
            default=LOCAL,
            show_default=True,
            help="Who answers; local is the folder of the records.",
        ),
    ):
        function = option(function)
    return function
