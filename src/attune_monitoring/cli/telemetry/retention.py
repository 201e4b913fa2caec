"""`empathy telemetry retention`: moves records that are older than some days out of the figures."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from attune_monitoring.cli.present import present
from attune_monitoring.cli.render import clean
from attune_monitoring.config import load_config
from attune_monitoring.store import retention

from .archive import finish, show
from .options import folder_of, folder_option

__all__ = ["command"]


@click.command("retention")
@click.option("--days", type=click.FloatRange(min=0), help="Age; by default `retention.days` of monitoring.yaml.")
@click.option("--delete", is_flag=True, help="Also delete, for good, what is that old in the archive.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@folder_option
def command(days: float | None, delete: bool, yes: bool, directory: Path | None) -> None:
    """Move files all of whose records are older than some days to the folder `archive` beside them.

    Without --delete nothing is ever deleted.
    """
    days = load_config().retention_days if days is None else days
    if days is None:
        raise click.UsageError("give --days, or set retention.days in monitoring.yaml")
    folder = folder_of(directory)
    now = present()
    try:
        before = now - timedelta(days=days)
    except OverflowError as error:
        raise click.BadParameter("there was no such time", param_hint="'--days'") from error
    found = show(folder, before)
    if not yes and (found or delete):
        what = [f"move to {clean(folder / 'archive')}"] if found else []
        what += [f"delete what is older than {days:g} days in it, for good"] if delete else []
        click.confirm(f"{' and '.join(what).capitalize()}?", abort=True, err=True)
    if found or delete:
        finish(retention(folder, days=days, now=now, delete=delete))
