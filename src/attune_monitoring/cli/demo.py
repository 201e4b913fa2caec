"""`empathy demo`: runs a small pipeline against a simulated provider and shows what was recorded."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

import attune_monitoring
from attune_monitoring.cli.demo_pipeline import run_pipeline
from attune_monitoring.cli.demo_provider import simulated_provider
from attune_monitoring.cli.demo_records import write_records
from attune_monitoring.cli.demo_report import Recorded, print_report
from attune_monitoring.cli.demo_support import run_support
from attune_monitoring.cli.present import present
from attune_monitoring.cli.render import program
from attune_monitoring.config import load_config
from attune_monitoring.errors import ConfigError, MonitoringError, StoreError
from attune_monitoring.store import CALLS, prepare_folder, segments

__all__ = ["FOLDER", "command"]

FOLDER = ".empathy-demo"
_FLUSH_SECONDS = 3.0


@click.command("demo")
@click.option(
    "--otlp",
    is_flag=True,
    help="Also send spans and metrics to the OTLP endpoint of monitoring.yaml or OTEL_EXPORTER_OTLP_ENDPOINT, and "
    "those of one more run, in which more goes wrong.",
)
@click.option("--records", type=click.IntRange(1, 50_000_000), help="Write so many invented calls instead.")
@click.option("--days", type=click.FloatRange(0.01, 3650), default=30, show_default=True, help="With --records: over …")
@click.option("--seed", type=int, default=1, show_default=True, help="With --records: of the random numbers.")
def command(*, otlp: bool, records: int | None, days: float, seed: int) -> None:
    """Record a small simulated pipeline and show what was recorded.

    The pipeline is real, the provider is simulated on this machine: nothing is sent over the network (but for --otlp),
    no key is needed. Records go to .empathy-demo in the working directory and nowhere else; delete it when you like.

    With --records, invented calls and runs of a whole team are written there, for trying `empathy telemetry`.
    """
    folder = Path.cwd() / FOLDER
    if records is not None and otlp:
        raise click.UsageError("--otlp sends the pipeline; invented records are not sent")
    _prepare(folder)
    if records is not None:
        _invent(folder, records, days, seed)
        return
    earlier = any(segment.path.stat().st_size for segment in segments(folder, CALLS))
    _configure(folder, otlp=otlp)
    console = Console(highlight=False, soft_wrap=False)
    console.print("A small pipeline asks a [bold]simulated[/bold] provider on this machine: no key, no network.")
    since = datetime.now(UTC)
    with simulated_provider() as address:
        run_pipeline(address)
        if otlp:
            run_support(address)
    delivered = attune_monitoring.flush(_FLUSH_SECONDS)
    attune_monitoring.shutdown()
    recorded = _read(folder, since)
    print_report(console, recorded, folder=Path(FOLDER), earlier=earlier, program=program())
    if otlp and not delivered:
        raise MonitoringError("the OTLP endpoint did not take everything; is it running, and is its address right?")


def _invent(folder: Path, count: int, days: float, seed: int) -> None:
    talk = Console(stderr=True)
    with Progress(console=talk, transient=True, disable=not talk.is_terminal) as progress:
        task = progress.add_task("writing", total=count)
        written = write_records(
            folder,
            count=count,
            days=days,
            seed=seed,
            now=present(),
            progress=lambda calls: progress.update(task, completed=calls),
        )
    click.echo(f"{written.calls:,} invented calls in {written.runs:,} runs, {written.cost:,.2f} USD, are in {FOLDER}")
    click.echo("Look at them, and delete the folder at will:")
    for line in ("summary", "runs --last", "costs"):
        click.echo(f"  {program()} telemetry {line} --dir {FOLDER}")


def _prepare(folder: Path) -> None:
    try:
        # A link could lead into a folder with real records.
        if os.path.lexists(folder) and not stat.S_ISDIR(folder.lstat().st_mode):
            raise StoreError(f"{folder}: is a link or a file; remove it, or run the demo in another folder")
        prepare_folder(folder)
        if not os.access(folder, os.W_OK):
            raise StoreError(f"{folder}: cannot be written to; run the demo in another folder")
    except OSError as error:
        raise StoreError(f"{folder}: cannot be made: {error.strerror}; run the demo in another folder") from error


def _configure(folder: Path, *, otlp: bool) -> None:
    if otlp:
        found = load_config()
        if not found.otlp:
            raise ConfigError(
                "--otlp: no OTLP endpoint is configured; set OTEL_EXPORTER_OTLP_ENDPOINT, for instance to "
                "http://localhost:4318, or name one in monitoring.yaml"
            )
        if found.jsonl is None:
            raise ConfigError(
                "--otlp: the demo shows the local records; add `jsonl` to the backends of monitoring.yaml"
            )
        config = attune_monitoring.configure(storage_dir=str(folder))
    else:
        config = attune_monitoring.configure(
            os.devnull, backends=["jsonl"], storage_dir=str(folder), service_name="empathy-demo", instrument=False
        )
    if not config.enabled:
        raise MonitoringError(
            "Telemetry is switched off (EMPATHY_TELEMETRY=off, OTEL_SDK_DISABLED=true or enabled: false), so there is "
            "nothing to show; switch it on for this command"
        )


def _read(folder: Path, since: datetime) -> Recorded:
    store = attune_monitoring.get_telemetry_store(folder)
    mine = os.getpid()
    calls = [call for call in store.get_calls(since=since) if call.pid == mine]
    runs = [run for run in store.get_workflows(since=since) if run.pid == mine]
    if not calls or not runs:
        raise StoreError(f"{folder}: no records arrived; is the disk full, or the folder not yours?")
    return Recorded(calls, runs)
