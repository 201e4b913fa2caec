"""What other monitoring libraries cost for the same LLM call, each in an environment of its own.

Each peer is installed into a virtual environment in a cache folder, with this package beside it, and records one LLM
call (model and token usage) the way its documentation says, offline: its spans go to an exporter that drops them. In
the same process, round by round, a hand-written OpenTelemetry span and our own recording take their turns. Figures are
CPU time of the calling thread, as ratios to the hand-written span (see overhead.py; the libraries: peer_libraries.py).

    python benchmarks/peers.py [peer ...] [--rounds 151] [--calls 80] [--cache FOLDER] [--fresh] [--json FILE]

Nothing but pip uses the network. A peer that cannot be installed, does not run or records nothing is listed with the
reason, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

from overhead import by_hand_span, measure, null_exporter, ours
from peer_libraries import INPUT_TOKENS, MODEL, OUR_RECORD, OUTPUT_TOKENS, PEERS, Call

ROOT = Path(__file__).resolve().parent.parent
UNIT = "span by hand"
OFFLINE = {
    "ANONYMIZED_TELEMETRY": "false",
    "DO_NOT_TRACK": "1",
    "LOGFIRE_SEND_TO_LOGFIRE": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "TRACELOOP_LOGGING_ENABLED": "false",
    "TRACELOOP_METRICS_ENABLED": "false",
    "TRACELOOP_TELEMETRY": "false",
}
MARKER = "installed.json"
PATIENCE = 1800  # seconds


class Counting:
    """Drops spans as a null exporter does, and remembers how many there were and what the last one said."""

    def __init__(self) -> None:
        self._null = null_exporter()
        self.spans = 0
        self.last: dict[str, object] = {}

    def export(self, spans: Any) -> Any:
        self.spans += len(spans)
        self.last = dict(spans[-1].attributes or {})
        return self._null.export(spans)

    def shutdown(self) -> None:
        self._null.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._null.force_flush(timeout_millis)

    def missing(self) -> list[str]:
        """Return what a record of the call must hold and the last span does not."""
        said = json.dumps(self.last, default=str)
        wanted = {"the model": MODEL, "input tokens": str(INPUT_TOKENS), "output tokens": str(OUTPUT_TOKENS)}
        return [name for name, text in wanted.items() if text not in said]


def inside(name: str, rounds: int, calls: int) -> dict[str, Any]:
    """Measure one peer in the environment that runs this."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        variants: dict[str, Call] = {UNIT: by_hand_span()}
        if name != "attune":  # before the peer starts: what it sets globally must not become ours
            variants[OUR_RECORD] = ours(folder / "ours", with_metrics=False)
        exporter = Counting()
        prepared = PEERS[name].prepare(exporter, folder)
        if name == "attune":
            _written(folder / "record", prepared.ways[OUR_RECORD])
        else:
            for way, call in prepared.ways.items():
                before = exporter.spans
                call()
                prepared.flush()
                if exporter.spans == before:
                    raise RuntimeError(f"`{way}` exported no span: nothing is measured")
                if missing := exporter.missing():
                    raise RuntimeError(f"`{way}` recorded no {', no '.join(missing)}: {exporter.last}")
        variants.update(prepared.ways)
        return {"times": measure(variants, rounds, calls), "ways": list(prepared.ways)}


def _written(folder: Path, call: Any) -> None:
    call.use()
    call()
    text = "".join(file.read_text() for file in folder.glob("llm_calls*.jsonl"))
    if f'"input_tokens":{INPUT_TOKENS}' not in text:
        raise RuntimeError(f"our own record of the call is not on disk: {text!r}")


def first_call(name: str | None) -> float:
    """Wall ms from before the first import to after the first recorded call; without a name, of the unit."""
    begin = time.perf_counter()
    if name is None:
        by_hand_span()()
    elif name == "attune":
        from attune_monitoring import llm_call

        with llm_call(provider="anthropic", model=MODEL) as call:  # the first use configures itself
            call.set_usage(input_tokens=INPUT_TOKENS, output_tokens=OUTPUT_TOKENS)
    else:
        next(iter(PEERS[name].prepare(null_exporter(), Path.cwd()).ways.values()))()
    return (time.perf_counter() - begin) * 1000


def run(command: list[str], **options: Any) -> str:
    """Run a command and return what it printed.

    Raises:
        RuntimeError: with the last line that it said, where it failed or hung.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE, **options)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"not done after {PATIENCE} s: {' '.join(command)}") from error
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise RuntimeError(said[-1] if said else f"exit code {done.returncode}")
    return done.stdout


def install(name: str, cache: Path, *, fresh: bool) -> tuple[Path, dict[str, str], int]:
    """Return a peer's interpreter, the versions beside it, and how many packages it alone brought.

    Raises:
        RuntimeError: with what pip said.
    """
    peer = PEERS[name]
    folder = cache / peer.folder()
    marker = folder / MARKER
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if fresh or not marker.exists():
        shutil.rmtree(folder, ignore_errors=True)
        print(f"{name}: installing {peer.requirement} into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, upgrade_deps=True)  # the bundled pip may resolve for half an hour
        pip = [os.fspath(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        mine = ["--editable", os.fspath(ROOT)]
        theirs = [peer.requirement, *peer.undeclared]
        run([*pip, *(mine if name == "attune" else theirs)])
        alone = _packages(python)
        if name != "attune":  # in one resolution: pip must not break the peer's pins for ours
            run([*pip, *theirs, *mine])
        marker.write_text(json.dumps({"packages": len(alone), "versions": _packages(python)}))
    known = json.loads(marker.read_text())
    return python, known["versions"], known["packages"]


def _packages(python: Path) -> dict[str, str]:
    listed = json.loads(run([os.fspath(python), "-m", "pip", "list", "--format=json", "--disable-pip-version-check"]))
    return {found["name"].lower(): found["version"] for found in listed if found["name"] not in ("pip", "setuptools")}


def walls(python: Path, mine: list[str], unit: list[str], rounds: int, **options: Any) -> tuple[float, float]:
    """Median ms that two commands print, taking turns; the first turn warms the disk and does not count."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for command, values in zip((mine, unit), times, strict=True):
            values.append(float(run([os.fspath(python), *command], **options).splitlines()[-1]))
    return statistics.median(times[0][1:]), statistics.median(times[1][1:])


def _importing(statement: str) -> list[str]:
    return ["-c", f"import time; t = time.perf_counter(); {statement}; print((time.perf_counter() - t) * 1000)"]


def measured(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Install one peer and measure it.

    Raises:
        RuntimeError: with the reason why that was not possible.
    """
    peer = PEERS[name]
    python, versions, packages = install(name, options.cache, fresh=options.fresh)
    print(f"{name}: measuring", file=sys.stderr)
    script = os.fspath(Path(__file__).resolve())
    with tempfile.TemporaryDirectory() as place:
        around = {"cwd": place, "env": {**_clean(), **OFFLINE, "HOME": place}}
        counts = ["--rounds", str(options.rounds), "--calls", str(options.calls)]
        said = run([os.fspath(python), script, "--inside", name, *counts], **around)
        result: dict[str, Any] = json.loads(said.splitlines()[-1])
        result["import"] = walls(
            python, _importing(peer.statement), _importing("import opentelemetry.sdk.trace"), options.imports, **around
        )
        result["first call"] = walls(
            python, [script, "--first-call", name], [script, "--first-call", "none"], options.imports, **around
        )
    result["version"] = versions[peer.requirement.split("==")[0]]
    result["otel"] = versions["opentelemetry-sdk"]
    result["packages"] = packages
    return result


def _clean() -> dict[str, str]:
    """Return the environment without what would configure a peer or OpenTelemetry."""
    prefixes = ("OTEL_", "TRACELOOP_", "OPENLIT_", "LOGFIRE_", "LANGFUSE_", "MLFLOW_", "EMPATHY_", "PYTHON")
    return {key: value for key, value in os.environ.items() if not key.startswith(prefixes)}


def show(results: dict[str, dict[str, Any]], reasons: dict[str, str]) -> None:
    """Print one table, and the reason for each peer that is not in it."""
    for name, reason in reasons.items():
        print(f"{name} ({PEERS[name].requirement}) was not measured: {reason}")
    if not results:
        return
    print(
        f"| {'peer':23} | {'way':24} | {'µs':>6} | {'unit µs':>7} | {'ratio':>5} | {'ours there':>10} "
        f"| {'import':>6} | {'first call':>10} | {'packages':>8} | {'otel':>7} |"
    )
    print(f"| {'-' * 23} | {'-' * 24} | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
    for name, result in results.items():
        times = result["times"]
        unit = times[UNIT]
        for way in result["ways"]:
            there = f"{times[OUR_RECORD] / unit:.2f}" if name != "attune" else ""
            print(
                f"| {name + ' ' + result['version']:23} | {way:24} | {times[way]:6.1f} | {unit:7.1f} "
                f"| {times[way] / unit:5.2f} | {there:>10} | {result['import'][0] / result['import'][1]:6.2f} "
                f"| {result['first call'][0] / result['first call'][1]:10.2f} | {result['packages']:8} "
                f"| {result['otel']:7} |"
            )


def default_cache() -> Path:
    """Return the platform's folder for caches."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "attune-monitoring" / "peers"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peers", nargs="*", metavar="peer", help=f"any of {', '.join(PEERS)}; all by default")
    parser.add_argument("--rounds", type=int, default=151)
    parser.add_argument("--calls", type=int, default=80, help="calls in a round")
    parser.add_argument("--imports", type=int, default=9, help="processes started for each import time")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where the environments are kept")
    parser.add_argument("--fresh", action="store_true", help="install again, and so newer versions")
    parser.add_argument("--json", type=Path, help="also write everything that was measured to this file")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--first-call", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        print(json.dumps(inside(options.inside, options.rounds, options.calls)), flush=True)
        os._exit(0)  # what a peer does at exit is not measured here, and some of them wait for a server
    if options.first_call:
        print(first_call(None if options.first_call == "none" else options.first_call), flush=True)
        os._exit(0)
    if unknown := set(options.peers) - set(PEERS):
        parser.error(f"unknown peer {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    results: dict[str, dict[str, Any]] = {}
    reasons: dict[str, str] = {}
    for name in options.peers or PEERS:
        try:
            results[name] = measured(name, options)
        except (RuntimeError, OSError, ValueError, KeyError) as error:
            reasons[name] = f"{type(error).__name__}: {error}" if not isinstance(error, RuntimeError) else str(error)
    show(results, reasons)
    if options.json:
        options.json.write_text(json.dumps({"results": results, "reasons": reasons}, indent=1))
    return 1 if reasons else 0


if __name__ == "__main__":
    raise SystemExit(main())
