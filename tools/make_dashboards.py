"""Writes dashboards/*.json and docs/examples/signoz_dashboard.json from attune_monitoring.signoz.

`--check` writes nothing and exits with 1 when a file is stale, missing, or belongs to no dashboard.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from attune_monitoring.signoz import dashboards, to_json

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "dashboards"
EXAMPLE = ROOT / "docs" / "examples" / "signoz_dashboard.json"


def files() -> Mapping[Path, str]:
    """Return every file that is made, and its text."""
    texts = {dashboard.name: to_json(dashboard) for dashboard in dashboards()}
    made = {FOLDER / f"{name.removeprefix('attune-')}.json": text for name, text in texts.items()}
    return {**made, EXAMPLE: texts["attune-overview"]}


def main(arguments: list[str]) -> int:
    """Write the files, or with `--check` compare them; return the exit status."""
    made = files()
    stale = [file for file, text in made.items() if not file.is_file() or file.read_text("utf-8") != text]
    stale += sorted(file for file in FOLDER.glob("*.json") if file not in made)
    if "--check" in arguments:
        for file in stale:
            sys.stderr.write(f"{file.relative_to(ROOT)} is stale; run python tools/make_dashboards.py\n")
        return 1 if stale else 0
    FOLDER.mkdir(exist_ok=True)
    for file in stale:
        if file in made:
            file.write_text(made[file], "utf-8")
        else:
            file.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
