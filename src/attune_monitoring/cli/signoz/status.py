"""`empathy signoz status`: the services of the local stack, and whether dashboards and rules are there."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from attune_monitoring.cli.alerts.options import format_option
from attune_monitoring.cli.render import Cell, Column, Screen, answer, failed, print_json, program
from attune_monitoring.errors import MonitoringError
from attune_monitoring.signoz.plan import Change
from attune_monitoring.signoz.provisioning import desired_of, parts_of, planned

from .provision import plural
from .server import alerts_option, key_file_of, rules_of, signed_in
from .stack import Service, Stack, stack_here

__all__ = ["command"]

_COLUMNS = (Column("service"), Column("state"), Column("health"), Column("ports", shrinks=True))


@click.command("status")
@alerts_option
@format_option
def command(alerts_file: Path | None, format_: str) -> None:
    """Show the services of the local stack, their health and ports, and what is provisioned.

    Exit status 1 where not all is well.
    """
    folder = stack_here()
    stack = Stack(folder)
    stack.check()
    services = stack.services()
    address = stack.address() if services else None
    changes, problem = _provisioned(address, alerts_file)
    well = bool(services) and all(service.works for service in services) and not problem and _complete(changes)
    if format_ == "json":
        data = {"url": address, "services": [*map(_entry, services)], "provisioned": _counted(changes)}
        print_json(answer("signoz status", data, folder=folder, notes=[problem] if problem else []))
    else:
        _show(services, address, changes, problem)
    sys.exit(0 if well else 1)


def _provisioned(address: str | None, alerts_file: Path | None) -> tuple[list[Change], str]:
    """Return what would be changed, or why that cannot be said."""
    if address is None:
        return [], ""
    _, rules = rules_of(alerts_file)
    try:
        email = os.environ.get("SIGNOZ_EMAIL") if os.environ.get("SIGNOZ_PASSWORD") else None
        with signed_in(address, email, wait=0, timeout=10.0, key_file=key_file_of(None)) as api:
            return planned(parts_of(api, desired_of(rules.rules))), ""
    except MonitoringError as error:
        return [], failed(str(error))


def _complete(changes: Sequence[Change]) -> bool:
    return all(change.action == "unchanged" for change in changes)


def _counted(changes: Sequence[Change]) -> dict[str, dict[str, int]]:
    there = Counter(change.kind for change in changes if change.action == "unchanged")
    return {kind: {"wanted": count, "there": there[kind]} for kind, count in Counter(c.kind for c in changes).items()}


def _show(services: Sequence[Service], address: str | None, changes: Sequence[Change], problem: str) -> None:
    if not services:
        click.echo(f"The local stack does not run. To start it: {program()} signoz up")
        return
    screen = Screen()
    screen.table(_COLUMNS, [_row(service) for service in services])
    screen.line()
    screen.line(f"SigNoz: {address}" if address else ("SigNoz does not run.", "red"))
    if problem:
        screen.paragraph(f"What is provisioned is not known: {problem}", "red")
    elif changes:
        counts = _counted(changes)
        have = ", ".join(f"{one['there']} of {plural(one['wanted'], kind)}" for kind, one in counts.items())
        screen.paragraph(f"Provisioned as here: {have}.")
        if not _complete(changes):
            screen.paragraph(f"What differs: {program()} signoz provision --check --url {address}")


def _row(service: Service) -> tuple[Cell, ...]:
    style = "green" if service.works else "red"
    ended = f"{service.state} ({service.exit_code})" if service.state == "exited" else service.state
    return service.name, (ended, style), (service.health, style), ", ".join(service.ports)


def _entry(service: Service) -> dict[str, Any]:
    return {
        "name": service.name,
        "state": service.state,
        "health": service.health or None,
        "exit_code": service.exit_code if service.state == "exited" else None,
        "ports": [*service.ports],
        "works": service.works,
    }
