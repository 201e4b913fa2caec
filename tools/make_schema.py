"""Writes docs/schema/*.json from the declarations that also check monitoring.yaml and alerts.yaml.

`--check` writes nothing and exits with 1 when a file is stale.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from attune_monitoring import config
from attune_monitoring.alerts import declaration

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "schema"
SCHEMAS = {
    FOLDER / "monitoring.schema.json": config.json_schema,
    FOLDER / "alerts.schema.json": declaration.json_schema,
}


def main(arguments: list[str]) -> int:
    """Write the schemas, or with `--check` compare them; return the exit status."""
    status = 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file, schema in SCHEMAS.items():
        text = json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
        if "--check" not in arguments:
            file.write_text(text, "utf-8")
        elif not file.is_file() or file.read_text("utf-8") != text:
            sys.stderr.write(f"{file} is stale; run python tools/make_schema.py\n")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
