"""`empathy telemetry import`: what other programs and earlier versions recorded, each source once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from attune_monitoring.cli.render import Column, Screen, answer, clean, notes, print_json, program, usd
from attune_monitoring.config import load_config, pricing_of
from attune_monitoring.importers import (
    KINDS,
    Progress,
    Source,
    Tally,
    discover,
    importer_of,
    recognise,
    run_import,
)
from attune_monitoring.pricing import Pricing
from attune_monitoring.store import SEGMENT_BYTES

__all__ = ["command"]

_COLUMNS = (
    Column("source", shrinks=True),
    Column("from"),
    Column("files", right=True, room=90),
    Column("found", right=True),
    Column("new", right=True),
    Column("known", right=True),
    Column("skipped", right=True),
    Column("USD added", right=True),
)


@click.command("import")
@click.argument("sources", nargs=-1, metavar="[SOURCE]...", type=click.Path(path_type=Path))
@click.option(
    "--from", "kind", type=click.Choice([*KINDS]), help="What SOURCE is; by default seen from its name and first lines."
)
@click.option(
    "--into",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the records, instead of the configured one; made if needed.",
)
@click.option("--all", "everything", is_flag=True, help="Without SOURCE: import all that is found on this machine.")
@click.option("--dry-run", is_flag=True, help="Count what would be imported, and write nothing.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="What to print.",
)
def command(
    sources: tuple[Path, ...], kind: str | None, into: Path | None, everything: bool, dry_run: bool, format_: str
) -> None:
    """Import old folders, usage.jsonl, OTLP files and session logs of Claude Code.

    What is there already is not written again: import as often as you like. Without SOURCE, this says what there is to
    import on this machine.
    """
    if sources and everything:
        raise click.UsageError("--all imports what is found without SOURCE; leave out one of them")
    config = load_config()
    folder = (config.storage_dir if into is None else into).absolute()
    pricing = pricing_of(config)
    if sources:
        for path in sources:
            if not path.exists():
                raise click.UsageError(f"{path}: there is no such file or folder")
        chosen = [Source(kind or recognise(path), path) for path in sources]
    else:
        chosen = [one for one in discover(os.environ, pricing, folder) if kind in (None, one.kind)]
        if not (everything and chosen):
            _show_found(chosen, folder, pricing, json=format_ == "json")
            return
    segment_bytes = SEGMENT_BYTES if config.jsonl is None else config.jsonl.segment_bytes
    tallies: list[tuple[Source, Tally]] = []
    for source in chosen:
        with _progress(source.path) as progress:
            tally = run_import(
                importer_of(source.kind, pricing, folder),
                source.path,
                folder,
                dry_run=dry_run,
                segment_bytes=segment_bytes,
                progress=progress,
            )
        tallies.append((source, tally))
    if format_ == "json":
        data = {"dry_run": dry_run, "sources": [_as_data(source, tally) for source, tally in tallies]}
        print_json(answer("import", data, folder=folder, notes=_notes(tallies)))
        return
    _show(tallies, folder, dry_run=dry_run)


def _show_found(found: Sequence[Source], folder: Path, pricing: Pricing, *, json: bool) -> None:
    sizes = []
    for source in found:
        files = importer_of(source.kind, pricing, folder).files(source.path)
        sizes.append((source, len(files), sum(file.stat().st_size for file in files if file.exists())))
    if json:
        data = [
            {"path": os.fspath(source.path), "from": source.kind, "files": files, "bytes": size}
            for source, files, size in sizes
        ]
        print_json(answer("import", {"dry_run": True, "found": data}, folder=folder))
        return
    if not found:
        click.echo(
            "Nothing to import was found: no session logs of Claude Code, no usage.jsonl of the Empathy Framework.\n"
            f"Name a source: {program()} telemetry import ../old-project/.empathy"
        )
        return
    columns = (Column("source", shrinks=True), Column("from"), Column("files", right=True), Column("MB", right=True))
    rows = [[os.fspath(source.path), source.kind, f"{files:,}", f"{size / 1e6:,.1f}"] for source, files, size in sizes]
    Screen().table(columns, rows)
    click.echo(
        f"\nNothing was imported yet. All of it into {folder}: {program()} telemetry import --all\n"
        f"One of them: {program()} telemetry import SOURCE; to see first what it comes to: --dry-run"
    )


def _show(tallies: Sequence[tuple[Source, Tally]], folder: Path, *, dry_run: bool) -> None:
    rows = [
        [
            os.fspath(source.path),
            source.kind,
            f"{tally.files:,}",
            f"{tally.found.total():,}",
            f"{tally.new.total():,}",
            f"{tally.known:,}",
            f"{tally.report.total:,}",
            usd(tally.cost, tally.unknown_cost),
        ]
        for source, tally in tallies
    ]
    Screen().table(_COLUMNS, rows)
    new = sum(tally.new.total() for _, tally in tallies)
    if dry_run:
        click.echo(f"\nNothing was written. Without --dry-run, {new:,} records go to {folder}")
    elif new:
        click.echo(f"\n{new:,} records were added to {folder}\nNext: {program()} telemetry summary --since all")
    else:
        click.echo(f"\nNothing new: {folder} holds all of it already.")
    notes(_notes(tallies))


def _notes(tallies: Sequence[tuple[Source, Tally]]) -> list[str]:
    found = []
    kinds = {source.kind for source, tally in tallies if tally.found}
    for source, tally in tallies:
        if tally.report.total:
            found.append(f"{source.path}: passed over {tally.report}")
        if tally.unknown_cost:
            found.append(f"{source.path}: {tally.unknown_cost:,} new calls of unknown cost, in no sum")
    if kinds >= {"folder", "usage"}:
        found.append("the Empathy Framework wrote its calls to its folder and to usage.jsonl: both count them twice")
    return found


def _as_data(source: Source, tally: Tally) -> dict[str, Any]:
    return {
        "path": os.fspath(source.path),
        "from": source.kind,
        "files": tally.files,
        "found": tally.found.total(),
        "new": tally.new.total(),
        "known": tally.known,
        "new_by_stream": dict(tally.new),
        "skipped": tally.report.to_dict(),
        "cost_added": tally.cost,
        "unknown_cost": tally.unknown_cost,
    }


@contextmanager
def _progress(source: Path) -> Iterator[Progress | None]:
    """A bar on stderr, where that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    parts = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Bar(*parts, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(clean(source.name), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
