"""mypy --strict accepts what users write, and refuses what is wrong (each such line says so)."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROGRAMS = sorted(path.name for path in HERE.glob("*.py") if not path.name.startswith("test_"))


@pytest.mark.slow
def test_the_users_programs_are_accepted_by_a_strict_type_checker(tmp_path: Path) -> None:
    arguments = ["--strict", "--warn-unreachable", "--no-incremental", "--config-file=", f"--cache-dir={tmp_path}"]
    # From the installed package, as a user has it: its py.typed is part of what is tested.
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *arguments, *PROGRAMS], cwd=HERE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"no issues found in {len(PROGRAMS)} source files" in done.stdout
