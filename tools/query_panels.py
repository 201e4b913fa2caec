"""Asks a SigNoz server what every panel of every dashboard of ours asks, and says which it refuses or leaves empty.

    python tools/query_panels.py [--url URL] [--since SECONDS] [--wait SECONDS]

The server is the one of --url, else SIGNOZ_URL, else http://localhost:8080; its key stands in SIGNOZ_API_KEY where it
asks for one. Panels that stay empty are asked again until --wait is over, because what was sent takes a moment to be
stored. Exit status 1 where a panel is refused or empty.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from attune_monitoring.errors import MonitoringError, SourceError
from attune_monitoring.signoz import Dashboard, dashboards
from attune_monitoring.signoz.panel import Panel, envelopes_of
from attune_monitoring.sources.http import Server

ALL = "__all__"
"""What a variable is worth while everything is chosen."""
_EACH = 5.0
"""Seconds between two tries."""
_PLACES = {"time_series": "aggregations", "scalar": "data", "raw": "rows"}
"""Where an answer of each kind has what it found."""


class Trouble(NamedTuple):
    """A panel that would not be looked at with pleasure."""

    board: str
    panel: str
    reason: str
    """Why it is refused, or `empty`."""


def question_of(dashboard: Dashboard, panel: Panel, start: float, end: float) -> dict[str, Any]:
    """Return what SigNoz' own pages would post for a panel while everything is chosen.

    Args:
        dashboard: which the panel is on, and whose variables it uses.
        panel: one of its panels.
        start: beginning of the time that is shown (seconds since the epoch).
        end: its end.
    """
    chosen = {variable.spec.name: {"type": "dynamic", "value": ALL} for variable in dashboard.spec.variables}
    return {
        "schemaVersion": "v1",
        "start": math.floor(start * 1000),
        "end": math.ceil(end * 1000),
        "requestType": panel.spec.queries[0].kind,
        "compositeQuery": {"queries": msgspec.to_builtins(envelopes_of(panel))},
        "variables": chosen,
        "noCache": True,
    }


def shows_nothing(kind: str, answer: Mapping[str, Any]) -> bool:
    """Return whether nobody would see anything of an answer to such a question.

    Raises:
        SourceError: it is no answer of the query API.
    """
    try:
        results = answer["data"]["data"]["results"] or ()
        return not any(seen for result in results for seen in _seen(kind, result))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SourceError("the answer is none of SigNoz's query API v5") from error


def _seen(kind: str, result: Mapping[str, Any]) -> Iterator[bool]:
    found = result[_PLACES[kind]] or ()
    if kind == "raw":
        yield bool(found)
    elif kind == "scalar":
        values = [place for place, one in enumerate(result["columns"]) if one["columnType"] == "aggregation"]
        yield from (_is_number(row[place]) for row in found for place in values)
    else:
        for series in (one for aggregation in found for one in aggregation["series"] or ()):
            # A step that is not over yet is drawn when it is.
            yield from (_is_number(point["value"]) for point in series["values"] or () if not point.get("partial"))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def troubles(server: Server, boards: Sequence[Dashboard], start: float, end: float) -> Iterator[Trouble | None]:
    """Yield for each panel what is wrong with it, None where nothing is."""
    for board in boards:
        for key, panel in board.spec.panels.items():
            reason = ""
            question = question_of(board, panel, start, end)
            try:
                if shows_nothing(question["requestType"], server.ask("/api/v5/query_range", json=question)):
                    reason = "empty"
            except SourceError as error:
                reason = str(error)
            yield Trouble(board.name, key, reason) if reason else None


def ask_all(
    server: Server,
    boards: Sequence[Dashboard],
    *,
    since: float,
    wait: float,
    clock: Callable[[], float] = time.time,
    pause: Callable[[float], object] = time.sleep,
) -> tuple[int, list[Trouble]]:
    """Return the number of panels, and what is wrong with them once nothing more is to be waited for.

    Args:
        server: who is asked.
        boards: whose panels.
        since: how long a time the panels show, in seconds.
        wait: seconds after which what is empty stays empty.
        clock: seconds since the epoch.
        pause: waits for a number of seconds.
    """
    begin = clock()
    while True:
        server.forget()
        answers = list(troubles(server, boards, clock() - since, clock()))
        wrong = [one for one in answers if one is not None]
        if not wrong or any(one.reason != "empty" for one in wrong) or clock() - begin >= wait:
            return len(answers), wrong
        pause(_EACH)


def main(arguments: Sequence[str], *, pause: Callable[[float], object] = time.sleep) -> int:
    """Ask, tell, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", default=os.environ.get("SIGNOZ_URL") or "http://localhost:8080")
    parser.add_argument("--since", type=float, default=3600.0, metavar="SECONDS", help="of time that panels show")
    parser.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", help="for panels that are empty")
    options = parser.parse_args(arguments)
    key = os.environ.get("SIGNOZ_API_KEY", "")
    try:
        server = Server(options.url, "SigNoz", headers={"SIGNOZ-API-KEY": key} if key else {}, timeout=60)
        count, wrong = ask_all(server, dashboards(), since=options.since, wait=options.wait, pause=pause)
    except MonitoringError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    reasons = {one.reason for one in wrong}
    if len(wrong) == count and len(reasons) == 1:  # it is the server, not the panels
        sys.stdout.write(f"every panel: {reasons.pop()}\n")
    else:
        sys.stdout.writelines(f"{one.board} / {one.panel}: {one.reason}\n" for one in wrong)
    sys.stdout.write(f"{count} panels, {count - len(wrong)} show something\n")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
