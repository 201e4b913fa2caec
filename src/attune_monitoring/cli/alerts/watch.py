"""`empathy alerts watch`: evaluates again and again until it is stopped, and shows what it sees."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import NoReturn

import click

from attune_monitoring.alerts.engine import INTERVAL, AlertEngine
from attune_monitoring.cli.sources import source_options

from .live import live_view
from .options import wired
from .plain import PlainView
from .times import running_clock
from .wiring import Wiring

__all__ = ["command"]


@click.command("watch")
@click.option(
    "--interval", type=click.FloatRange(min=1), default=INTERVAL, show_default=True, help="Seconds between evaluations."
)
@click.option(
    "--once",
    is_flag=True,
    help="Evaluate and deliver once, for cron. Exit 1: not all delivered.",
)
@source_options
@click.option("--plain", is_flag=True, help="Lines instead of the live view, in a terminal as well.")
@wired
def command(interval: float, once: bool, source_name: str, url: str | None, plain: bool, wiring: Wiring) -> None:
    """Evaluate the rules every minute and tell what changes, until Ctrl+C or SIGTERM.

    A terminal gets a live view, anything else a line for each change and one every ten minutes. Of two watchers of the
    same folder one is on standby and takes over when the other is gone. Each evaluation also writes
    alerts.status.json, for programs that want to know whether a watcher runs. The rules are read once, at the start.
    """
    lines = PlainView(wiring, interval)
    with _stopped_by_signals(), wiring.source(source_name, url) as source:
        engine = AlertEngine(
            wiring.rules.rules,
            source,
            folder=wiring.folder,
            clock=running_clock(),
            interval=interval,
            grouping=wiring.rules.grouping,
        )
        if once:
            sys.exit(_once(engine, lines))
        if plain or not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
            lines.begin()
            engine.run(threading.Event(), on_tick=lines.show)
        else:
            with live_view(wiring, interval, engine.outbox) as show:
                engine.run(threading.Event(), on_tick=show)
    click.echo("Stopped. What is still to be told is kept, and sent by the next watcher.", err=True)


def _once(engine: AlertEngine, lines: PlainView) -> int:
    """Return the exit status: 1 where something could not be delivered, which the next watcher tries again."""
    with engine:
        report = engine.tick()
        backlog = engine.outbox.backlog()
    lines.show(report, backlog)
    return 1 if backlog.waiting and not report.standby else 0


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Let Ctrl+C and SIGTERM end what runs inside, without an error."""

    def stop(*_: object) -> NoReturn:
        # Not by setting an event: the main thread may be inside of that event's lock.
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
