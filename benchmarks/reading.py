"""How fast a long history is read: ratios between figures of one run.

    python benchmarks/reading.py [--records 1000000] [--keep FOLDER]

- *cold roll-up*: CPU time of the first `Rollup.refresh` against only decoding the same lines into the same Structs.
- *100 new lines*: `Rollup.refresh` after 100 lines were appended, at that history.
- *summary*: wall time of `empathy telemetry summary`, warm, against the same command on an empty folder, and that one
  against `python -c "import click, rich.table, msgspec"`.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from attune_monitoring.cli.demo_records import write_records
from attune_monitoring.rollup import Rollup
from attune_monitoring.rollup.line import Call, Run, RunId
from attune_monitoring.store import CALLS, DETAILS, RUNS, segments

WANTED = {
    "cold roll-up / decoding": 6.0,
    "cold roll-up, memory (MB)": 300.0,
    "100 new lines (ms)": 5.0,
    "summary / summary of an empty folder": 2.0,
    "summary --since all / of an empty folder": 2.0,
    "empty summary / imports": 1.6,
}
DAYS = 30


def decoding(folder: Path) -> tuple[float, int]:
    """CPU seconds of only decoding every line that the roll-up reads, into its Structs, and the number of calls."""
    calls = 0
    begin = time.process_time()
    for stream, shape in ((DETAILS, Run), (RUNS, RunId), (CALLS, Call)):
        decode = msgspec.json.Decoder(shape).decode
        for segment in segments(folder, stream):
            with segment.path.open("rb") as file:
                for line in file:
                    decode(line)
                    calls += stream == CALLS
    return time.process_time() - begin, calls


def cold(folder: Path) -> None:
    """What the child process does: prints CPU seconds and the highest memory (MB) of a first roll-up."""
    begin = time.process_time()
    with Rollup(folder) as rollup:
        rollup.refresh()
        spent = time.process_time() - begin
    print(spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def cold_in_child(folder: Path) -> tuple[float, float]:
    for file in folder.glob(".rollup*"):
        file.unlink()
    out = subprocess.run(
        [sys.executable, __file__, "--cold", os.fspath(folder)], check=True, capture_output=True, text=True
    ).stdout
    spent, memory = out.split()
    return float(spent), float(memory)


def new_lines(folder: Path, rounds: int = 21) -> float:
    """Median milliseconds of taking in 100 lines."""
    first = segments(folder, CALLS)[0].path
    with first.open("rb") as file:
        lines = [next(file) for _ in range(100)]
    template = lines[0].split(b'"timestamp":"')[1].split(b'"')[0]
    last = segments(folder, CALLS)[-1].path
    spent = []
    with Rollup(folder) as rollup:
        rollup.refresh()
        for _ in range(rounds):
            moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
            with last.open("ab") as file:
                file.writelines(_at(line, moment) for line in lines)
            begin = time.perf_counter()
            rollup.refresh()
            spent.append((time.perf_counter() - begin) * 1000)
    assert len(template) == len(moment)
    return statistics.median(spent)


def _at(line: bytes, moment: bytes) -> bytes:
    before, rest = line.split(b'"timestamp":"', 1)
    return before + b'"timestamp":"' + moment + rest[rest.index(b'"') :]


def commands(folder: Path, empty: Path, rounds: int = 15) -> dict[str, float]:
    """Median wall milliseconds of commands that take turns."""
    base = [os.fspath(Path(sys.executable).with_name("empathy")), "telemetry", "summary", "--dir"]
    variants = {
        "imports": [sys.executable, "-c", "import click, rich.table, msgspec"],
        "empty": [*base, os.fspath(empty)],
        "full": [*base, os.fspath(folder)],
        "all": [*base, os.fspath(folder), "--since", "all"],
    }
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    times: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + 2):
        for name, command in variants.items():
            begin = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
            if number >= 2:
                times[name].append((time.perf_counter() - begin) * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument(
        "--keep", type=Path, help="where the records are written, and stay; used again if they are there"
    )
    parser.add_argument("--cold", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cold is not None:
        cold(options.cold)
        return 0
    folder: Path = options.keep or Path(tempfile.mkdtemp())
    try:
        if not segments(folder, CALLS):
            begin = time.perf_counter()
            write_records(folder, count=options.records, days=DAYS, now=datetime.now(UTC))
            print(f"{options.records:,} records written in {time.perf_counter() - begin:.0f} s")
        with tempfile.TemporaryDirectory() as empty:
            decoded, lines = decoding(folder)
            rolled, memory = cold_in_child(folder)
            appended = new_lines(folder)
            times = commands(folder, Path(empty))
    finally:
        if options.keep is None:
            shutil.rmtree(folder)
    measured = {
        "cold roll-up / decoding": rolled / decoded,
        "cold roll-up, memory (MB)": memory,
        "100 new lines (ms)": appended,
        "summary / summary of an empty folder": times["full"] / times["empty"],
        "summary --since all / of an empty folder": times["all"] / times["empty"],
        "empty summary / imports": times["empty"] / times["imports"],
    }
    print(f"{lines:,} calls: decoding {decoded:.2f} s, cold roll-up {rolled:.2f} s")
    print("ms: " + ", ".join(f"{name} {spent:.0f}" for name, spent in times.items()))
    print(f"\n{'':42} {'measured':>9} {'wanted':>8}")
    missed = 0
    for name, value in measured.items():
        missed += value > WANTED[name]
        print(f"{name:42} {value:9.2f} ≤ {WANTED[name]:6.1f} {'' if value <= WANTED[name] else '  MISSED'}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
