"""What a watcher says where it has no live view: a line for each change, and one every ten minutes."""

from __future__ import annotations

import time
from collections.abc import Callable

import click

from attune_monitoring.alerts.engine import TickReport
from attune_monitoring.alerts.outbox import Backlog
from attune_monitoring.alerts.state import Event
from attune_monitoring.alerts.status import Status
from attune_monitoring.alerts.wording import collapse, number
from attune_monitoring.cli.render import clean, failed

from .times import when
from .wiring import Wiring

__all__ = ["STANDBY", "PlainView", "beginning", "event_line"]

STANDBY = "standby: another watcher has this folder; this one takes over when it is gone"
_HEARTBEAT = 600.0


class PlainView:
    """Prints lines, each as soon as there is something to say.

    Args:
        wiring: what is watched.
        interval: seconds between evaluations.
        clock: seconds that do not jump.
    """

    def __init__(self, wiring: Wiring, interval: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._wiring = wiring
        self._interval = interval
        self._clock = clock
        self._said = ""
        self._said_at = 0.0
        self._standby: bool | None = None
        self._evaluations = 0

    def begin(self) -> None:
        """Say what is watched."""
        click.echo(beginning(self._wiring, self._interval))

    def show(self, report: TickReport, backlog: Backlog | None = None) -> None:
        """Say what an evaluation has changed, if anything, and that the watcher lives, now and then.

        Args:
            report: of the evaluation.
            backlog: what waits for delivery by now; by default what waited then.
        """
        at = when(report.at)
        if report.standby:
            if not self._standby:
                click.echo(f"{at} {STANDBY}")
            self._standby = True
            return
        if self._standby:
            click.echo(f"{at} took over from another watcher")
        self._standby = False
        self._evaluations += 1
        for event in report.events:
            click.echo(f"{at} {event_line(event)}")
        if report.status is None:
            return
        state, now = _state(report.status, backlog), self._clock()
        if state != self._said or now - self._said_at >= _HEARTBEAT:
            self._said, self._said_at = state, now
            click.echo(f"{at} {state}, evaluation {self._evaluations}")


def beginning(wiring: Wiring, interval: float) -> str:
    """Return what is watched, in one line."""
    count = len(wiring.rules.rules)
    files = ", ".join(path.name for path in wiring.files)
    return clean(
        f"Watching {wiring.folder} with {count} rule{'s' if count != 1 else ''} of {files}, every {interval:g} s. "
        "Ctrl+C ends it."
    )


def event_line(event: Event) -> str:
    """Return a change in one line."""
    labels = ", ".join(f"{name}={value}" for name, value in event.labels.items())
    line = f"{event.kind.replace('_', ' ')} {event.rule}{f' ({labels})' if labels else ''}"
    if event.value is not None:
        line += f": {number(event.value)}"
    if event.error:
        line += f": {failed(event.error)}"
    return clean(collapse(line))


def _state(status: Status, backlog: Backlog | None) -> str:
    waiting = status.watcher.waiting if backlog is None else backlog.waiting
    dead = status.watcher.dead if backlog is None else backlog.dead
    parts = [f"{len(status.firing)} firing", f"{len(status.pending)} pending"]
    parts += [f"{len(status.silenced)} silenced"] if status.silenced else []
    parts += [f"{len(status.errors)} rules in error"] if status.errors else []
    parts += [f"{waiting} to deliver"] if waiting else []
    parts += [f"{dead} given up"] if dead else []
    return ", ".join(parts)
