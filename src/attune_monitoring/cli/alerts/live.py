"""The live view of a watcher: states and values of the rules, the next evaluation, what waits for delivery."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from attune_monitoring.alerts.engine import TickReport
from attune_monitoring.alerts.outbox import Outbox
from attune_monitoring.alerts.rule import AlertRule
from attune_monitoring.alerts.status import AlertStatus
from attune_monitoring.alerts.wording import number
from attune_monitoring.cli.render import clean, failed

from .list_ import STYLES, condition_of
from .plain import STANDBY, beginning, event_line
from .times import seconds_from, when
from .wiring import Wiring

__all__ = ["LiveView", "live_view"]

_EVENTS = 8
_ALERTS = 5
"""Alerts of one rule that are shown."""


@contextlib.contextmanager
def live_view(wiring: Wiring, interval: float, outbox: Outbox) -> Iterator[Callable[[TickReport], None]]:
    """Show the view meanwhile; gives what is to be told of each evaluation.

    Args:
        wiring: what is watched.
        interval: seconds between evaluations.
        outbox: which rules somebody has enabled or disabled.
    """
    view = LiveView(wiring, interval, outbox)
    with Live(get_renderable=view.render, console=Console(highlight=False, markup=False), refresh_per_second=2):
        yield view.take


class LiveView:
    """What the view shows.

    Args:
        wiring: what is watched.
        interval: seconds between evaluations.
        outbox: which rules somebody has enabled or disabled.
        clock: seconds since the epoch.
    """

    def __init__(
        self, wiring: Wiring, interval: float, outbox: Outbox, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._wiring = wiring
        self._outbox = outbox
        self._interval = interval
        self._clock = clock
        self._lock = threading.Lock()
        self._report: TickReport | None = None
        self._enabled: Mapping[str, bool] = {}
        self._events: deque[Text] = deque(maxlen=_EVENTS)

    def take(self, report: TickReport) -> None:
        """Take in an evaluation; called in the engine's thread."""
        enabled = self._outbox.overrides()
        with self._lock:
            self._report, self._enabled = report, enabled
            for event in report.events:
                style = {"firing": "red", "error": "magenta", "resolved": "green"}.get(event.kind, "yellow")
                self._events.append(Text.assemble((when(event.at), "dim"), " ", (event_line(event), style)))

    def render(self) -> RenderableType:
        """Return the view as it is now; called in the screen's thread."""
        with self._lock:
            report, enabled, events = self._report, self._enabled, [*self._events]
        parts: list[RenderableType] = [Text(beginning(self._wiring, self._interval), "dim")]
        if report is not None and report.standby:
            parts.append(Text(STANDBY, "yellow"))
        else:
            parts += [self._table(report, enabled), self._footer(report), *events]
        return Group(*parts)

    def _table(self, report: TickReport | None, enabled: Mapping[str, bool]) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for title in ("rule", "state", "since", "value", "condition"):
            table.add_column(title, justify="right" if title == "value" else "left", overflow="ellipsis", no_wrap=True)
        for rule in self._wiring.rules.rules:
            for row in _rows(rule, report, enabled=enabled.get(rule.name, rule.enabled)):
                table.add_row(*row)
        return table

    def _footer(self, report: TickReport | None) -> Text:
        if report is None or report.status is None:
            return Text("evaluating for the first time …", "dim")
        status = report.status
        left = max(0, round(report.at + self._interval - self._clock()))
        parts = [f"evaluated at {_clock(report.at)} in {status.watcher.seconds * 1000:.0f} ms", f"again in {left} s"]
        parts += [f"{len(status.silenced)} silenced"] if status.silenced else []
        text = Text(", ".join(parts), "dim")
        if status.watcher.waiting:
            text.append(f", {status.watcher.waiting} to deliver", "yellow")
        if status.watcher.dead:
            text.append(f", {status.watcher.dead} given up: see `history`", "red")
        return text


def _rows(rule: AlertRule, report: TickReport | None, *, enabled: bool) -> Iterator[tuple[Text, ...]]:
    status = None if report is None else report.status
    alerts = [] if status is None else [*status.firing, *status.silenced, *status.pending]
    mine = [alert for alert in alerts if alert.rule == rule.name]
    faults = [] if status is None else [fault for fault in status.errors if fault.rule == rule.name]
    word = mine[0].status if mine else "inactive" if enabled else "disabled"
    yield (
        Text(clean(rule.name)),
        _state("error" if faults else word, mine[0] if len(mine) == 1 else None, len(mine)),
        Text(when(seconds_from(mine[0].since)) if mine else ""),
        Text(_value(rule, report)),
        Text(failed(faults[0].error) if faults else clean(condition_of(rule)), "dim"),
    )
    for alert in mine[:_ALERTS] if rule.by else ():
        labels = ", ".join(f"{name}={value}" for name, value in alert.labels.items())
        value = "" if alert.value is None else number(alert.value)
        yield Text(clean(f"  {labels}")), _state(alert.status, alert), Text(""), Text(value), Text("")
    if rule.by and len(mine) > _ALERTS:
        yield Text(f"  and {len(mine) - _ALERTS} more"), Text(), Text(), Text(), Text()


def _state(word: str, alert: AlertStatus | None = None, count: int = 1) -> Text:
    text = Text(word, STYLES.get(word, "dim"))
    text.append(f" ×{count}" if count > 1 else "")
    if alert is not None and alert.silenced_until is not None:
        text.append(f", silenced until {when(seconds_from(alert.silenced_until))}", "dim")
    elif alert is not None and (alert.inhibited or alert.flapping):
        text.append(", inhibited" if alert.inhibited else ", flapping", "dim")
    return text


def _value(rule: AlertRule, report: TickReport | None) -> str:
    """Return what a rule without labels sees; with labels its alerts have values of their own."""
    seen = None if report is None or rule.by else report.observed.get(rule.name)
    value = seen.observations[0].value if seen is not None and seen.observations else None
    return "" if value is None else number(value)


def _clock(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%H:%M:%S}"
