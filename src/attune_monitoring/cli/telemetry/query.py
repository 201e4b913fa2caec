"""`empathy telemetry query`: SQL over calls, runs and stages; needs the extra [analytics]."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from attune_monitoring.cli.render import Column, Screen, answer, clean, notes, print_json
from attune_monitoring.errors import MonitoringError

from .flat import COLUMNS, What, rows
from .options import Options, common
from .reading import Reading
from .tables import connect, load, lock

if TYPE_CHECKING:
    import duckdb

__all__ = ["command"]

_WHAT: tuple[What, ...] = ("calls", "runs", "stages")
_EXAMPLES = (
    ("What did each model cost, and for how many calls is that not known?",
     "SELECT model_id, sum(cost), count(*) FILTER (cost_source = 'unknown') FROM calls GROUP BY 1 ORDER BY 2 DESC"),
    ("Which hours are slow?",
     "SELECT date_trunc('hour', timestamp) AS hour, quantile_cont(latency_ms, 0.95) FROM calls GROUP BY 1 ORDER BY 1"),
    ("Which stages fail?",
     "SELECT workflow_name, stage_name, count(*) FROM stages WHERE outcome = 'error' GROUP BY 1, 2 ORDER BY 3 DESC"),
)  # fmt: skip


@click.command("query")
@click.argument("sql", required=False)
@common(formats=("table", "json", "csv"))
def command(options: Options, sql: str | None) -> None:
    """Ask SQL (DuckDB) over the tables `calls`, `runs` and `stages`; without SQL: their columns, and examples.

    The tables hold what counts in the window (old duplicates once), in memory: a query can change neither the records
    nor anything else, and reads no other file. Money is USD, durations are milliseconds; NULL is not known.
    """
    connection = connect()
    if sql is None:
        _describe(options)
        return
    reading = Reading(options)
    with connection:
        _check(connection, sql)
        for what in _WHAT:
            if what in sql.lower():  # what is not named is not read; a name in a text costs time, no more
                load(connection, what, rows(what, reading))
            else:
                load(connection, what, ())
        if options.zone_name.lower() != "local":
            connection.execute("SET TimeZone = $zone", {"zone": options.zone_name})
        lock(connection)
        names, found = _ask(connection, sql)
        if options.json:
            data = [dict(zip(names, row, strict=True)) for row in found]
            print_json(answer("query", data, **options.frame(), notes=reading.notes()))
            return
        _print(names, found, as_csv=options.format == "csv")
    notes(reading.notes())


def _check(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    try:
        statements = connection.extract_statements(sql)
    except Exception as error:
        raise _wrong(error) from error
    if len(statements) != 1 or statements[0].type.name not in ("SELECT", "EXPLAIN"):
        raise click.UsageError("give one SELECT; the tables are a copy, nothing else would last")


def _ask(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    try:
        relation = connection.query(sql)
        # Times as text in the session's zone: as objects they need a further library.
        chosen = [
            f"CAST(#{place} AS VARCHAR)" if str(kind).startswith("TIMESTAMP WITH") else f"#{place}"
            for place, kind in enumerate(relation.types, 1)
        ]
        return _distinct(relation.columns), relation.project(", ".join(chosen)).fetchall()
    except Exception as error:  # of DuckDB, which is an optional package
        raise _wrong(error) from error


def _wrong(error: Exception) -> MonitoringError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return MonitoringError("query: " + (lines[0] if lines else type(error).__name__))


def _distinct(names: Sequence[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        number, candidate = 2, name
        while candidate in found:
            number, candidate = number + 1, f"{name}_{number}"
        found.append(candidate)
    return found


def _print(names: Sequence[str], found: Sequence[tuple[Any, ...]], *, as_csv: bool) -> None:
    if as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(names)
        writer.writerows(found)
        return
    figures = [any(isinstance(row[place], (int, float)) for row in found[:100]) for place in range(len(names))]
    columns = [Column(clean(name), right=right, shrinks=not right) for name, right in zip(names, figures, strict=True)]
    Screen().table(columns, [[_text(value) for value in row] for row in found])


def _text(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _describe(options: Options) -> None:
    if options.json:
        print_json(answer("query", {what: dict(COLUMNS[what]) for what in _WHAT}, **options.frame()))
        return
    screen = Screen()
    for what in _WHAT:
        screen.line((what, "bold"), f"  {len(COLUMNS[what])} columns")
        for line in _wrapped([f"{name} {kind}" for name, kind in COLUMNS[what].items()], screen.width - 2):
            screen.line((f"  {line}", "dim"))
    for question, sql in _EXAMPLES:
        screen.heading(question)
        screen.line(f'  empathy telemetry query "{sql}"')


def _wrapped(parts: list[str], width: int) -> Iterator[str]:
    line = ""
    for part in parts:
        if line and len(line) + len(part) + 2 > width:
            yield line
            line = ""
        line += (", " if line else "") + part
    yield line
