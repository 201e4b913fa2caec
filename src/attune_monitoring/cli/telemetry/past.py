"""The history that a command's figures come from: brought up to date, grouped, and what it leaves out."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from attune_monitoring.cli.render import Screen, answer, clock, empty, notes, print_json, program, usd
from attune_monitoring.figures import Figures, Latency
from attune_monitoring.history import History, Span

from .options import Options
from .periods import Period
from .reading import counted, holds_records

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = [
    "GROUPINGS", "LIMITED", "by_group", "data_of", "each_cost", "in_order", "known_cost", "of_unknown_cost", "opened",
    "patience", "period_of", "quantile", "refresh", "report", "sentences", "span_of", "total_of", "unknown_by", "when",
]  # fmt: skip

GROUPINGS: Mapping[str, tuple[str, ...]] = {
    "workflow": ("workflow",),
    "provider": ("provider",),
    "model": ("model",),
    "tier": ("tier",),
    "user": ("user",),
    "project": ("project",),
    "session": ("session",),
    "stage": ("workflow", "step"),
    "task": ("task",),
    "error": ("error",),
}
"""What `--by` can be, and the history's names for it."""
_MARGINALS = {"user": "user", "stage": "step"}
"""Groupings of which the roll-up has counts, cost, tokens and average latency, and no percentiles."""
LIMITED = frozenset(_MARGINALS)
"""Groupings of which only `_KNOWN`, outcomes and average latency are known."""
_KNOWN = ("calls", "cost", "unknown", "input", "output")
_FROM_RECORDS = ("session", "task")
_PATIENCE_SECONDS = 1.0


@contextlib.contextmanager
def opened(options: Options) -> Iterator[History]:
    """Yield the history that a command's options mean, up to date."""
    with History(options.folder, include_tests=options.include_tests) as past:
        refresh(past)
        yield past


def refresh(past: History) -> None:
    """Take in what is new; show how far that is where it takes over a second and somebody looks on."""
    if not sys.stderr.isatty():
        past.refresh()
        return
    with contextlib.ExitStack() as stack:
        bar: Progress | None = None
        began = time.monotonic()

        def show(done: int, total: int) -> None:
            nonlocal bar
            if bar is None and done < total and time.monotonic() - began > _PATIENCE_SECONDS:
                bar = stack.enter_context(_progress())
                bar.add_task("reading records", total=total)
            if bar is not None:
                bar.update(bar.task_ids[0], completed=done, total=total)

        past.refresh(show)


@contextlib.contextmanager
def patience(text: str) -> Iterator[None]:
    """Show on stderr that something takes its time, where somebody looks on."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True), transient=True)


def span_of(options: Options) -> Span:
    """Return the window of the options."""
    return Span(*(None if time is None else time.timestamp() for time in (options.since, options.until)))


def period_of(past: History, options: Options) -> Period | None:
    """Return the window with a beginning (that of the oldest record, if need be) and an end; None: no records."""
    oldest = past.extent().start
    if oldest is None:
        return None
    begin = options.since or datetime.fromtimestamp(oldest // 3600 * 3600, UTC)  # a full hour, which the roll-up has
    end = options.now if options.until is None else options.until
    return Period(begin, end) if begin < end else None


def by_group(past: History, by: str, span: Span, *, percentiles: bool = True) -> dict[str, Figures]:
    """Return the figures of calls by one of `GROUPINGS`, the most expensive first.

    Calls without a user, a stage … are together under `(no user)`. By user and stage there are neither percentiles nor
    retries, fallbacks and savings (see `History.marginal`).
    """
    groups = GROUPINGS[by]
    if by in _MARGINALS:
        found = {labels: _limited(its) for labels, its in past.marginal(_MARGINALS[by], span=span).items()}
        rest = _rest(past, span, found)
        if rest is not None:
            found[("",) * len(groups)] = rest
    elif by in _FROM_RECORDS:
        with patience(f"reading the records for each {by}"):
            found = past.calls(groups, span=span)
    else:
        found = past.calls(groups, span=span, percentiles=percentiles)
    return in_order(found, by)


def in_order(found: Mapping[tuple[str, ...], Figures], by: str) -> dict[str, Figures]:
    """Return figures by the name of their group, the most expensive first."""
    ordered = sorted(found.items(), key=lambda item: (-item[1].cost, -item[1].calls, item[0]))
    return {" / ".join(filter(None, labels)) or f"(no {by})": figures for labels, figures in ordered}


def _rest(past: History, span: Span, found: Mapping[tuple[str, ...], Figures]) -> Figures | None:
    """What the roll-up does not have under any name: all minus what it has."""
    rest = _limited(total_of(past.calls((), span=span)))
    for figures in found.values():
        for name in _KNOWN:
            setattr(rest, name, getattr(rest, name) - getattr(figures, name))
        for outcome, count in figures.outcomes.items():
            rest.outcomes[outcome] = rest.outcomes.get(outcome, 0) - count
        rest.latency.count -= figures.latency.count
        rest.latency.total -= figures.latency.total
    if not rest.calls:
        return None
    rest.cost = max(0.0, round(rest.cost, 12))  # what subtracting leaves of zero is no cost
    rest.outcomes = {outcome: count for outcome, count in rest.outcomes.items() if count}
    return rest


def _limited(figures: Figures) -> Figures:
    """Only what is known by user and stage: parts of a window may come from records, which know more."""
    known = Figures()
    for name in _KNOWN:
        setattr(known, name, getattr(figures, name))
    known.outcomes = dict(figures.outcomes)
    known.latency = Latency(figures.latency.count, figures.latency.total)
    return known


def total_of(found: Mapping[Any, Figures]) -> Figures:
    """Return the figures of all groups together."""
    total = Figures()
    for figures in found.values():
        total.merge(figures)
    return total


def known_cost(figures: Figures) -> float | None:
    """Return the cost in USD; None where some are not known and no other cost anything."""
    return None if figures.unknown and not figures.cost else figures.cost


def each_cost(figures: Figures) -> str:
    """Return what a call cost on average, as it is shown; `–` where that is not known."""
    known = known_cost(figures) is not None and figures.average_cost is not None
    return usd(figures.average_cost) if known else "–"


def quantile(latency: Latency, percent: float) -> float | None:
    """Return a percentile in milliseconds; None also where only the average is known."""
    return latency.percentile(percent) if latency.histogram else None


def data_of(figures: Figures, unknown: Collection[str] = ()) -> dict[str, Any]:
    """Return figures as JSON has them: USD, milliseconds, counts, percentages of 100; null = not known.

    Args:
        figures: the figures.
        unknown: keys of what is not known of them; see `unknown_by`.
    """
    data = _data_of(figures)
    timings = {key: value | dict.fromkeys(value.keys() & unknown) for key, value in data.items() if key in _TIMINGS}
    return data | timings | dict.fromkeys(data.keys() & unknown)


_TIMINGS = ("latency_ms", "time_to_first_token_ms")
_UNKNOWN_IF_LIMITED = frozenset({
    "baseline_cost", "savings", "savings_percent", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "retries", "fallbacks", "truncated", "retry_waste", "fallback_waste", "errors", "time_to_first_token_ms",
})  # fmt: skip


def unknown_by(by: str) -> Collection[str]:
    """Return the keys of what is not known by one of `GROUPINGS`."""
    return _UNKNOWN_IF_LIMITED if by in LIMITED else ()


def _data_of(figures: Figures) -> dict[str, Any]:
    return {
        "calls": figures.calls,
        "cost": known_cost(figures),
        "unknown_cost_calls": figures.unknown,
        "average_cost": None if known_cost(figures) is None else figures.average_cost,
        "baseline_cost": figures.baseline,
        "savings": figures.savings,
        "savings_percent": figures.savings_percent,
        "input_tokens": figures.input,
        "output_tokens": figures.output,
        "cache_read_tokens": figures.cache_read,
        "cache_write_tokens": figures.cache_write,
        "reasoning_tokens": figures.reasoning,
        "retries": figures.retries,
        "fallbacks": figures.fallbacks,
        "truncated": figures.truncated,
        "retry_waste": figures.retry_waste,
        "fallback_waste": figures.fallback_waste,
        "outcomes": {outcome: figures.outcomes.get(outcome, 0) for outcome in ("ok", "error", "cancelled")},
        "errors": dict(sorted(figures.errors.items())),
        "success_rate": figures.success_rate,
        "error_rate": figures.error_rate,
        "latency_ms": _timing(figures.latency),
        "time_to_first_token_ms": _timing(figures.time_to_first_token),
    }


def _timing(latency: Latency) -> dict[str, Any]:
    detailed = bool(latency.histogram)
    return {
        "count": latency.count,
        "average": latency.average,
        "min": latency.minimum if detailed else None,
        "max": latency.maximum if detailed else None,
        **{f"p{percent}": quantile(latency, percent) for percent in (50, 95, 99)},
    }


def sentences(past: History, span: Span, unknown: int) -> list[str]:
    """Return what figures leave out or do not know, as sentences.

    Args:
        past: what they come from.
        span: over what time.
        unknown: calls of unknown cost among them.
    """
    left = past.notes(span)
    found = of_unknown_cost(unknown)
    if left.duplicates:
        found.append(f"{counted(left.duplicates, 'duplicate')} of earlier writers counted once")
    if left.tests:
        found.append(f"{counted(left.tests, 'record')} made under pytest left out; --include-tests counts them")
    if left.skipped:
        lines = sum(left.skipped.values())
        found.append(f"{counted(lines, 'line')} passed over, in any time; `{program()} telemetry doctor` says which")
    return found


def of_unknown_cost(unknown: int) -> list[str]:
    """Return the sentence about calls of unknown cost, where there are any."""
    return [f"{counted(unknown, 'call')} of unknown cost, in no sum: unknown is not 0"] if unknown else []


def when(options: Options, time: datetime | None) -> str:
    """Return a time to the minute in the zone that is shown, `now` for None."""
    return "now" if time is None else clock(options.local(time))[: len("2026-01-31 14:00")]


def report(
    command: str, options: Options, data: object, said: list[str], *, is_empty: bool, server: str | None = None
) -> Screen | None:
    """Print JSON, or why there is nothing to be shown, with the next step; else return where to print a table.

    Args:
        command: the command's name.
        options: what was asked.
        data: what JSON shows.
        said: the notes.
        is_empty: whether there is no call in the window.
        server: who was asked instead of the folder, as it is called in sentences.
    """
    if options.json:
        print_json(answer(command, data, **options.frame(), notes=said))
        return None
    if not is_empty:
        return Screen()
    if server is not None:
        click.echo(f"{server} knows of no call that ended {_window(options)}. --since 30d looks further back.")
        notes(said)
    elif holds_records(options.folder):
        click.echo(f"No call ended {_window(options)}. --since all counts everything there is.")
        notes(said)
    else:
        click.echo(empty(options.folder))
    return None


def _window(options: Options) -> str:
    if options.since is None:
        return "in any time that counts" if options.until is None else f"before {when(options, options.until)}"
    return f"between {when(options, options.since)} and {when(options, options.until)}"
