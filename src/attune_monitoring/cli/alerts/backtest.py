"""`empathy alerts backtest`: when the rules would have fired in the past, for how long, and how often they had told."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import click

from attune_monitoring.alerts.backtest import Episode, RuleTimeline, backtest
from attune_monitoring.alerts.engine import INTERVAL
from attune_monitoring.alerts.expression import measures
from attune_monitoring.alerts.modelled import Modelled, ModelledSource
from attune_monitoring.alerts.rule import AlertRule
from attune_monitoring.alerts.wording import lasted, number
from attune_monitoring.cli.render import Cell, Column, Screen, answer, clock, empty, failed, notes, print_json, stamp
from attune_monitoring.cli.sources import LOCAL, SOURCES, need_since, refuse_url, source_options
from attune_monitoring.cli.telemetry.options import Options, common
from attune_monitoring.history import History, Span
from attune_monitoring.sources.replay import ReplaySource

from .options import file_options
from .wiring import named, rules_of

__all__ = ["command"]

_DAY = 86_400
_WEEK = 7 * _DAY
_DAYS_OF = {"day": 1, "week": 7, "month": 31}
_UNKNOWN = 31 * _DAY
"""How far a rule's function may look back, for all that can be known."""
_HISTORY = 9 * _WEEK
"""How far anomalies and forecasts look back."""
_SHOWN = 10
"""Episodes of a rule that are shown."""
_LINE = 40
_COLUMNS = (
    Column("rule"),
    Column("fired", right=True),
    Column("in all", right=True),
    Column("longest", right=True),
    Column("told a week", right=True),
    Column("when", room=110),
)


class _Stretch(NamedTuple):
    """From when to when, in seconds since the epoch."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


@click.command("backtest")
@click.argument("name", required=False)
@click.option(
    "--interval", type=click.FloatRange(min=1), default=INTERVAL, show_default=True, help="Seconds between evaluations."
)
@source_options
@file_options
@common("30d")
def command(
    name: str | None,
    interval: float,
    source_name: str,
    url: str | None,
    config: Path | None,
    rules: Path | None,
    options: Options,
) -> None:
    """Show when the rules (or the rule NAME) would have fired, as if a watcher had run all the time.

    Records are replayed one evaluation after another; nothing is sent, and silences do not count. `told a week` is how
    many messages each channel of the rule would have got, ends included. A server is asked anew for each evaluation:
    give a short --since or a long --interval there.
    """
    _, loaded = rules_of(config, rules, env=os.environ, cwd=Path.cwd())
    chosen = named(loaded.rules, name)
    if name is not None:
        chosen = tuple(rule.changed(enabled=True) for rule in chosen)
    end = (options.until or options.now).timestamp()
    if source_name == LOCAL:
        refuse_url(url)
        source, first = _replay(options, chosen, end)
        if first is None or first >= end:
            click.echo(empty(options.folder), err=True)
            sys.exit(1)
        stretch = _Stretch(first if options.since is None else max(options.since.timestamp(), first), end)
        found = _run(chosen, source, stretch, interval)
    else:
        first = need_since(options.since).timestamp()
        stretch = _Stretch(first, end)
        with contextlib.closing(SOURCES[source_name](options.folder, url)) as server:
            found = _run(chosen, ModelledSource(server), stretch, interval)
    if options.json:
        frame = options.frame() | {"since": _time(stretch.start), "until": _time(end)}
        data = {"interval_seconds": interval, "rules": [_entry(one, stretch) for one in found]}
        print_json(answer("backtest", data, **frame))
        return
    _show(Screen(), options, chosen, found, stretch)
    if options.since is not None and options.since.timestamp() < first:
        notes([f"the records begin at {clock(options.local(_time(first)))}"])


def _replay(options: Options, rules: Sequence[AlertRule], end: float) -> tuple[ModelledSource, float | None]:
    """Return the records as a source, and when the first of them was (of those that count in the time in question)."""
    begin = None if options.since is None else (options.since - timedelta(seconds=_look_back(rules))).timestamp()
    span = Span(begin, end)
    with History(options.folder, include_tests=options.include_tests, clock=options.now.timestamp) as history:
        history.refresh()
        replay = ReplaySource(history.call_records(span), history.run_records(span))
    extent = replay.extent()
    return ModelledSource(replay), None if extent is None else extent[0]


def _look_back(rules: Sequence[AlertRule]) -> float:
    """Return how many seconds before an evaluation what it looks at can begin."""
    longest = 0.0
    for rule in rules:
        if rule.function is not None:
            longest = max(longest, _UNKNOWN)
        for expression in (rule.when, rule.resolve_when):
            for measure in measures(expression) if expression is not None else ():
                window = measure.query.window
                length = window.seconds if window.calendar is None else _DAYS_OF[window.calendar] * _DAY
                seconds = length * (1 + window.back) + (_HISTORY if isinstance(measure.query, Modelled) else 0)
                longest = max(longest, seconds + rule.eval_delay)
    return longest


def _run(rules: Sequence[AlertRule], source: ModelledSource, stretch: _Stretch, interval: float) -> list[RuleTimeline]:
    if not sys.stderr.isatty():
        return backtest(rules, source, stretch.start, stretch.end, interval=interval)
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("replaying", total=stretch.seconds)
        return backtest(
            rules,
            source,
            stretch.start,
            stretch.end,
            interval=interval,
            progress=lambda done, _: progress.update(task, completed=done),
        )


def _show(
    screen: Screen, options: Options, rules: Sequence[AlertRule], found: Sequence[RuleTimeline], stretch: _Stretch
) -> None:
    begin, end = (f"{options.local(_time(seconds)):%Y-%m-%d %H:%M}" for seconds in stretch)
    screen.line(f"{begin} – {end}, {lasted(stretch.seconds)}")
    screen.line()
    off = {rule.name for rule in rules if not rule.enabled}
    screen.table(_COLUMNS, [_row(screen, one, stretch, off=one.rule in off) for one in found])
    for one in found:
        if one.errors:
            screen.heading(one.rule, f"could not be evaluated {one.errors} times: {failed(one.error)}")
        if not one.episodes:
            continue
        screen.heading(one.rule)
        left = len(one.episodes) - _SHOWN
        if left > 0:
            screen.line((f"  {left} earlier ones, with --format json", "dim"))
        for episode in one.episodes[-_SHOWN:]:
            screen.line(f"  {options.local(_time(episode.fired_at)):%m-%d %H:%M}  {_told(episode, stretch.end)}")


def _row(screen: Screen, one: RuleTimeline, stretch: _Stretch, *, off: bool) -> tuple[Cell, ...]:
    if not one.episodes:
        return one.rule, ("disabled" if off else "never", "dim"), "", "", "0", ""
    lengths = [episode.seconds(stretch.end) for episode in one.episodes]
    total = sum(upper - lower for lower, upper in _together(one.episodes, stretch.end))
    return (
        one.rule,
        f"{len(one.episodes)}×" if screen.unicode else str(len(one.episodes)),
        lasted(total),
        lasted(max(lengths)),
        f"{_a_week(one, stretch):.1f}",
        (_line(screen, one, stretch), "red"),
    )


def _told(episode: Episode, end: float) -> str:
    parts = [f"{name}={value}" for name, value in episode.labels.items()]
    parts += [episode.reason.replace("_", " ")] if episode.reason != "condition" else []
    parts.append(f"for {lasted(episode.seconds(end))}" + (", still firing" if episode.resolved_at is None else ""))
    if episode.value is not None:
        parts.append(f"at {number(episode.value)}, peak {number(episode.peak)}")
    parts.append(f"{episode.notifications} message{'' if episode.notifications == 1 else 's'}")
    return ", ".join(parts)


def _together(episodes: Sequence[Episode], end: float) -> Iterator[tuple[float, float]]:
    """Yield the stretches in which at least one alert of a rule fired."""
    begin = until = 0.0
    for episode in sorted(episodes, key=lambda one: one.fired_at):
        over = episode.fired_at + episode.seconds(end)
        if episode.fired_at > until:
            if until > begin:
                yield begin, until
            begin, until = episode.fired_at, over
        until = max(until, over)
    yield begin, until


def _line(screen: Screen, one: RuleTimeline, stretch: _Stretch) -> str:
    """Return the time as characters: those in which the rule fired all the time, for some of it, and not at all."""
    full, some, none = "█▄·" if screen.unicode else "#-."
    width = stretch.seconds / _LINE
    fired = [0.0] * _LINE
    for begin, until in _together(one.episodes, stretch.end):
        for place in range(_LINE):
            edge = stretch.start + place * width
            fired[place] += max(0.0, min(until, edge + width) - max(begin, edge))
    return "".join(full if seconds > 0.9 * width else some if seconds > 0 else none for seconds in fired)


def _a_week(one: RuleTimeline, stretch: _Stretch) -> float:
    return one.notifications / stretch.seconds * _WEEK


def _entry(one: RuleTimeline, stretch: _Stretch) -> dict[str, Any]:
    return {
        "name": one.rule,
        "notifications": one.notifications,
        "notifications_a_week": _a_week(one, stretch),
        "errors": one.errors,
        "error": failed(one.error) or None,
        "episodes": [
            {
                "labels": dict(episode.labels),
                "reason": episode.reason,
                "pending_at": _stamp(episode.pending_at),
                "fired_at": _stamp(episode.fired_at),
                "resolved_at": None if episode.resolved_at is None else _stamp(episode.resolved_at),
                "duration_ms": round(episode.seconds(stretch.end) * 1000),
                "value": episode.value,
                "peak": episode.peak,
                "notifications": episode.notifications,
            }
            for episode in one.episodes
        ],
    }


def _stamp(seconds: float) -> str | None:
    return stamp(_time(seconds))


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
