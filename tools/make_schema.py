"""Writes docs/schema/monitoring.schema.json from the declaration that also checks monitoring.yaml.

`--check` writes nothing and exits with 1 when the file is stale.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from attune_monitoring.config import json_schema

SCHEMA = Path(__file__).resolve().parent.parent / "docs" / "schema" / "monitoring.schema.json"


def main(arguments: list[str]) -> int:
    """Write the schema, or with `--check` compare it; return the exit status."""
    text = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    if "--check" in arguments:
        is_current = SCHEMA.is_file() and SCHEMA.read_text("utf-8") == text
        if not is_current:
            sys.stderr.write(f"{SCHEMA} is stale; run python tools/make_schema.py\n")
        return 0 if is_current else 1
    SCHEMA.parent.mkdir(parents=True, exist_ok=True)
    SCHEMA.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
