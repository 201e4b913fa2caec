"""Replays any folder of VCR recordings through the real clients and prints what was said beside what was recorded.

    python tools/recordings.py DIR

Every interaction is listed. Exit status: 0 all equal, 1 some differ, 2 no recordings there.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "e2e")]

from clients import Plan, UnreplayableError, plan  # noqa: E402
from comparison import Outcome, differences, make  # noqa: E402
from replay_server import ReplayServer  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from rich.text import Text  # noqa: E402
from statement import Statement, state  # noqa: E402

from attune_monitoring import instrument  # noqa: E402
from attune_monitoring.records import LLMCallRecord  # noqa: E402
from recordings_io import Interaction, load_each  # noqa: E402

SUFFIXES = (".yaml", ".yml")
EQUAL, DIFFERS, NOT_REPLAYED = "equal", "differs", "not replayed"


class Row:
    """One line of the table."""

    def __init__(self, name: str, said: str) -> None:
        self.name = name
        self.said = said
        self.recorded = ["", ""]
        self.verdict = NOT_REPLAYED
        self.differences: list[str] = []


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="DIR", help="searched with all folders below it")
    folder: Path = parser.parse_args(arguments).folder
    files = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    if not files:
        sys.stderr.write(f"{folder}: no recordings ({', '.join(SUFFIXES)}) in this folder or below it\n")
        return 2
    warnings.simplefilter("ignore")  # of deprecated models
    logging.disable(logging.WARNING)
    rows: list[Row] = []
    plans: list[tuple[Row, Plan]] = []
    for file in files:
        for row, found in _read(file, file.relative_to(folder).as_posix()):
            rows.append(row)
            if found is not None:
                plans.append((row, found))
    with ReplayServer() as server:
        for row, found in plans:
            _replay(row, found, server, 0, "named")
        missing = {"openai", "anthropic"} - set(instrument("openai", "anthropic"))
        for row, found in plans:
            if found.library.__name__ in missing:
                row.recorded[1] = "the official instrumentation is not installed"
            else:
                _replay(row, found, server, 1, "plain")
    return _print(rows)


def _read(file: Path, name: str) -> Iterator[tuple[Row, Plan | None]]:
    try:
        interactions = load_each(file)
    except Exception as error:  # whatever is wrong with a recording, it is listed and the others go on
        yield Row(name, f"unreadable: {_brief(error)}"), None
        return
    if not interactions:
        yield Row(name, "no interactions"), None
    for position, interaction in enumerate(interactions):
        if isinstance(interaction, Interaction):
            yield _plan(interaction, f"{name}#{position}")
        else:
            yield Row(f"{name}#{position}", f"unreadable: {_brief(interaction)}"), None


def _plan(interaction: Interaction, name: str) -> tuple[Row, Plan | None]:
    try:
        found = plan(interaction)
        row = Row(name, _said(found, state(interaction)))
    except UnreplayableError as error:
        return Row(name, str(error)), None
    except Exception as error:
        return Row(name, f"unreadable body (status {interaction.status}): {_brief(error)}"), None
    row.verdict = EQUAL
    return row, found


def _replay(row: Row, found: Plan, server: ReplayServer, column: int, way: str) -> None:
    try:
        outcome = make(found, server, way)
        unequal = differences(found, outcome)
    except Exception as error:
        row.recorded[column] = f"could not be replayed: {_brief(error)}"
        row.verdict = DIFFERS
        return
    row.recorded[column] = _recorded(outcome)
    if outcome.path is None:
        unequal = [f"the client sent no request: {outcome.error}"]
    if unequal:
        row.verdict = DIFFERS
        row.differences += [f"{('llm_call', 'instrument()')[column]}: {text}" for text in unequal]


def _said(found: Plan, statement: Statement) -> str:
    interaction = found.interaction
    kind = f"{found.resource}{' (stream)' if found.streams else ''}"
    if interaction.status >= 400:
        return f"{kind}: status {interaction.status}"
    facts = [
        statement.model or "no model",
        _tokens(statement.input_tokens, statement.output_tokens),
        *_counts(statement.cache_read_tokens, statement.cache_write_tokens, statement.reasoning_tokens),
        "/".join(statement.finish_reasons),
        f"{statement.cost:.6g} USD" if statement.cost is not None else "",
        "" if statement.complete else "usage not complete",
        f"error {statement.error}" if statement.error is not None else "",
    ]
    return f"{kind}: {', '.join(fact for fact in facts if fact)}"


def _recorded(outcome: Outcome) -> str:
    return " + ".join(_of(record) for record in outcome.records) or "nothing"


def _of(record: LLMCallRecord) -> str:
    facts = [
        f"{record.provider} {record.model_id}".strip(),
        _tokens(record.input_tokens, record.output_tokens),
        *_counts(record.cache_read_tokens, record.cache_write_tokens, record.reasoning_tokens),
        "/".join(record.finish_reasons),
        f"{record.cost:.6g} USD ({record.cost_source})" if record.cost is not None else f"cost {record.cost_source}",
        "" if record.success else f"failed: {record.error_type}",
    ]
    return ", ".join(fact for fact in facts if fact)


def _tokens(sent: int | None, got: int | None) -> str:
    return f"{'?' if sent is None else sent}→{'?' if got is None else got} tokens"


def _counts(read: int | None, written: int | None, reasoning: int | None) -> Iterator[str]:
    for name, count in (("read", read), ("written", written), ("reasoning", reasoning)):
        if count:
            yield f"{name} {count}"


def _brief(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__


def _print(rows: list[Row]) -> int:
    table = Table()
    for heading in ("recording", "the response says", "llm_call recorded", "instrument() recorded", ""):
        table.add_column(heading, overflow="fold")
    for row in rows:
        style = {EQUAL: "green", DIFFERS: "red"}.get(row.verdict, "dim")
        cells = (row.name, row.said, *row.recorded)
        table.add_row(*(Text(cell) for cell in cells), Text(row.verdict, style))
    console = Console(width=None if sys.stdout.isatty() else 220)
    console.print(table)
    for row in rows:
        for text in row.differences:
            console.print(Text(f"{row.name}: {text}"))
    verdicts = Counter(row.verdict for row in rows)
    counted = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in (EQUAL, DIFFERS, NOT_REPLAYED))
    console.print(f"{len(rows)} interactions: {counted}")
    return 1 if verdicts[DIFFERS] else 0


if __name__ == "__main__":
    sys.exit(main())
