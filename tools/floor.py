"""Prints the lowest versions that pyproject.toml allows, as constraints for pip; `make test-floor` installs them."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def main() -> None:
    """Write one line for each dependency of the package."""
    for dependency in tomllib.loads(PROJECT.read_text("utf-8"))["project"]["dependencies"]:
        found = re.fullmatch(r"([a-z0-9-]+)>=([0-9a-z.]+)", dependency)
        if found is None:
            raise SystemExit(f"{PROJECT}: {dependency!r} names no lowest version; write it as name>=version")
        sys.stdout.write(f"{found[1]}=={found[2]}\n")


if __name__ == "__main__":
    main()
