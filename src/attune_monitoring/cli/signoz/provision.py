"""`empathy signoz provision`: channels, dashboards, rules and a key, created or brought up to date."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from attune_monitoring.alerts.sample import SAMPLE
from attune_monitoring.cli.alerts.options import format_option
from attune_monitoring.cli.render import Screen, answer, clean, notes, print_json, program
from attune_monitoring.cli.telemetry.options import zone_of
from attune_monitoring.signoz.plan import Action, Change, open_changes
from attune_monitoring.signoz.provisioning import Part, desired_of, parts_of, planned, settle
from attune_monitoring.signoz.service_key import ServiceKey
from attune_monitoring.store import prepare_folder

from .server import alerts_option, key_file_of, progress, rules_of, signed_in, url_of

__all__ = ["command", "plural"]

_STYLES: Mapping[str, str] = {"create": "green", "update": "yellow", "unchanged": "dim", "left alone": "red"}
_DONE: Mapping[Action, str] = {"create": "created", "update": "updated"}
_PLANNED: Mapping[Action, str] = {"create": "missing", "update": "differs"}
_SHOWN = 8
"""Lines of one difference."""


@click.command("provision")
@click.option("--url", metavar="URL", help="Address of SigNoz; else SIGNOZ_URL, else http://localhost:8080.")
@click.option(
    "--email",
    metavar="EMAIL",
    help="Who signs in, with the password in SIGNOZ_PASSWORD; else SIGNOZ_EMAIL. SIGNOZ_API_KEY does as well.",
)
@alerts_option
@click.option("--tz", default="UTC", show_default=True, metavar="NAME", help="Time zone in which days of rules begin.")
@click.option("--check", is_flag=True, help="Change nothing: show what differs. Exit 1 where anything does.")
@click.option(
    "--key-file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to keep the API key that is made when one signs in; else signoz.key in the folder of the records.",
)
@click.option("--new-key", is_flag=True, help="Make a new key if its text is not here; the old one ends.")
@click.option("--no-key", is_flag=True, help="Make no key.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Seconds to wait until SigNoz is ready.",
)
@format_option
def command(
    url: str | None,
    email: str | None,
    alerts_file: Path | None,
    tz: str,
    check: bool,
    key_file: Path | None,
    new_key: bool,
    no_key: bool,
    timeout: float,
    format_: str,
) -> None:
    """Give a SigNoz server our dashboards, alert rules, their channels, and a key for programs.

    May be done again at any time: what is there is brought up to date, what was edited by hand goes back to what is
    here, and what is not ours is left alone. Without a login (as the local stack is by default) nothing else is needed.
    """
    if zone_of(tz) is None:
        raise click.UsageError("--tz: SigNoz does not know the zone of this machine; write its name: Europe/Vienna")
    file, rules = rules_of(alerts_file)
    desired = desired_of(rules.rules, time_zone=tz)
    # That the channels of an example are off is no news.
    told = [*(() if file == SAMPLE else rules.warnings), *desired.notes]
    keep = key_file_of(key_file)
    who = email or os.environ.get("SIGNOZ_EMAIL") or None
    # A key is for the server that it was made by: the usual file is not looked at for another address.
    known = keep if key_file is not None or url is None else None
    with signed_in(url_of(url), who, wait=timeout, timeout=10.0, key_file=known) as api:
        parts: list[Part] = parts_of(api, desired)
        if api.signed_in and not no_key:
            if key_file is None and not check:
                prepare_folder(keep.parent)  # which keeps what is in it out of git
            parts.append(ServiceKey(api, keep, replace=new_key))
        with progress() as shown:
            changes = planned(parts) if check else settle(parts, lambda one: shown.show(f"{one.kind} {one.name} …"))
        address = api.address
    words = _PLANNED if check else _DONE
    if format_ == "json":
        data = {"url": address, "rules": os.fspath(file), "changes": [_entry(one, words) for one in changes]}
        print_json(answer("signoz provision", data, folder=keep.parent, notes=told))
    else:
        _show(changes, words, file)
        notes(told)
        _next(changes, keep, check=check)
    sys.exit(1 if check and open_changes(changes) else 0)


def _show(changes: Sequence[Change], words: Mapping[Action, str], file: Path) -> None:
    screen = Screen()
    wide = max((len(change.name) for change in changes), default=0)
    for change in changes:
        word = words.get(change.action, change.action)
        screen.line(f"{change.kind:<9}  {change.name:<{wide}}  ", (word, _STYLES[change.action]))
        for line in change.differences[:_SHOWN]:
            screen.paragraph(line, "dim", indent=4)
        if len(change.differences) > _SHOWN:
            screen.line(f"    and {len(change.differences) - _SHOWN} more")
    counts = Counter(words.get(change.action, change.action) for change in changes)
    kinds = Counter(change.kind for change in changes)
    have = ", ".join(plural(count, kind) for kind, count in kinds.items())
    screen.line()
    done = ", ".join(f"{count} {word}" for word, count in counts.items())
    screen.paragraph(f"{have}: {done}. Rules of {'the bundled example' if file == SAMPLE else file}.")


def _next(changes: Sequence[Change], keep: Path, *, check: bool) -> None:
    if check:
        if open_changes(changes):
            click.echo(f"Nothing was changed. To change it: {program()} signoz provision", err=True)
        return
    if any(change.kind == "key" and change.action == "create" for change in changes):
        place = clean(os.fspath(keep))
        click.echo(
            f"The API key is in {place}, for your eyes alone. For other programs: export SIGNOZ_API_KEY=$(cat {place})",
            err=True,
        )


def plural(count: int, noun: str) -> str:
    """Return a number of things: 1 rule, 2 rules."""
    return f"{count} {noun}{'s' if count != 1 else ''}"


def _entry(change: Change, words: Mapping[Action, str]) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "name": change.name,
        "state": words.get(change.action, change.action),
        "differences": [*change.differences],
    }
