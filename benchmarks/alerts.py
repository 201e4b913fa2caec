"""What a watcher costs: one tick of 100 rules at a long history, and loading 100 rules; ratios within one run.

    python benchmarks/alerts.py [--records 1000000] [--keep FOLDER]

- *tick*: wall time of `AlertEngine.tick` after 100 new lines, against decoding 10,000 records with msgspec three times.
- *loading*: CPU time of `load_rules` of a file of 100 rules, against `yaml.safe_load` of the same file.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import yaml

from attune_monitoring.alerts.engine import AlertEngine
from attune_monitoring.alerts.load import load_rules
from attune_monitoring.cli.demo_records import write_records
from attune_monitoring.rollup.line import Call
from attune_monitoring.sources.local import LocalSource
from attune_monitoring.store import CALLS, segments

WANTED = {"tick / 3 scans of 10,000 records": 1.0, "loading 100 rules / yaml.safe_load": 2.0}
CONDITIONS = (
    'cost.sum("{window}") > {limit}',
    'errors.sum("{window}") / calls.sum("{window}") > 0.0{number} and calls.sum("{window}") >= 20',
    'duration.p95("{window}", outcome="ok") > {limit}',
    'tokens.sum("{window}", token_type=("input", "output")) > {limit}0000',
    'fallbacks.sum("{window}") / calls.sum("{window}") > 0.1',
)
WINDOWS = ("5m", "1h", "24h", "today", "month")
GROUPS = ("[]", "[workflow_name]", "[provider, model]", "[tier]")


def hundred_rules() -> str:
    """YAML of 100 rules: five conditions, five windows, four groupings."""
    lines = ["alerts:"]
    number = 0
    for condition in CONDITIONS:
        for window in WINDOWS:
            for group in GROUPS:
                number += 1
                when = condition.format(window=window, limit=number, number=number % 10)
                lines += [
                    f"  - name: rule-{number}",
                    f"    when: '{when}'",
                    f"    by: {group}",
                    "    for: 5m",
                    "    severity: warning",
                    "    annotations:",
                    f"      summary: 'rule {number} has {{value:.2f}}'",
                ]
    return "\n".join(lines) + "\n"


def scans(folder: Path, rounds: int = 9) -> float:
    """Median milliseconds of decoding 10,000 records three times."""
    decode = msgspec.json.Decoder(Call).decode
    with segments(folder, CALLS)[0].path.open("rb") as file:
        lines = [next(file) for _ in range(10_000)]
    spent = []
    for _ in range(rounds):
        begin = time.perf_counter()
        for _ in range(3):
            for line in lines:
                decode(line)
        spent.append((time.perf_counter() - begin) * 1000)
    return statistics.median(spent)


def ticks(folder: Path, rules: Path, rounds: int = 11) -> float:
    """Median milliseconds of a tick after 100 new lines."""
    with segments(folder, CALLS)[0].path.open("rb") as file:
        lines = [next(file) for _ in range(100)]
    last = segments(folder, CALLS)[-1].path
    spent = []
    with tempfile.TemporaryDirectory() as state:
        source = LocalSource(folder)
        engine = AlertEngine(load_rules(rules, {}).rules, source, folder=Path(state))
        engine.tick()
        for _ in range(rounds):
            moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
            with last.open("ab") as file:
                file.writelines(_at(line, moment) for line in lines)
            begin = time.perf_counter()
            engine.tick()
            spent.append((time.perf_counter() - begin) * 1000)
        engine.close()
        source.close()
    return statistics.median(spent)


def loading(rules: Path, rounds: int = 9) -> tuple[float, float]:
    """Least CPU milliseconds of loading the rules, and of `yaml.safe_load`."""
    text = rules.read_text(encoding="utf-8")
    ours, theirs = [], []
    for _ in range(rounds):
        begin = time.process_time()
        load_rules(rules, {})
        ours.append((time.process_time() - begin) * 1000)
        begin = time.process_time()
        yaml.safe_load(text)
        theirs.append((time.process_time() - begin) * 1000)
    return min(ours), min(theirs)


def _at(line: bytes, moment: bytes) -> bytes:
    before, rest = line.split(b'"timestamp":"', 1)
    return before + b'"timestamp":"' + moment + rest[rest.index(b'"') :]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="where the records are, or are written and stay")
    options = parser.parse_args()
    folder: Path = options.keep or Path(tempfile.mkdtemp())
    try:
        if not segments(folder, CALLS):
            write_records(folder, count=options.records, days=30, now=datetime.now(UTC))
        with tempfile.TemporaryDirectory() as other:
            rules = Path(other, "alerts.yaml")
            rules.write_text(hundred_rules(), encoding="utf-8")
            loaded, parsed = loading(rules)
            scanned = scans(folder)
            ticked = ticks(folder, rules)
    finally:
        if options.keep is None:
            shutil.rmtree(folder)
    measured = {
        "tick / 3 scans of 10,000 records": ticked / scanned,
        "loading 100 rules / yaml.safe_load": loaded / parsed,
    }
    print(f"ms: tick {ticked:.1f}, 3 scans {scanned:.1f}, loading {loaded:.1f}, safe_load {parsed:.1f}")
    missed = 0
    for name, value in measured.items():
        missed += value > WANTED[name]
        print(f"{name:38} {value:6.2f} ≤ {WANTED[name]:4.1f} {'' if value <= WANTED[name] else '  MISSED'}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
