"""Runs the console blocks of README.md and docs/guides/ in a shell, and writes what each command prints below it.

The clock stands still and the records are invented by a seed, so the output is the same each time. In a block, a line
`…` stands for lines that are left out; it is kept as long as the lines around it are right. A command that fails is an
error. `--check` writes nothing and exits with 1 where a page is stale.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs" / "guides").glob("*.md")))
NOW = "2026-03-13T16:30:00+00:00"
"""A Friday afternoon."""

_OLD = ROOT / "tests" / "data" / "old"
"""Records of an earlier writer, which the pages find in ../old-project/.empathy."""
_COLUMNS = "88"
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ (.+)\n", re.MULTILINE)
_END = "\x1e"
_LEFT_OUT = "…\n"
_EMPATHY = """\
#!{python}
from datetime import datetime
from attune_monitoring.cli import main
main(now=datetime.fromisoformat("{now}"))
"""


def rewritten(page: Path) -> str:
    """Return the page with what its commands print now, all of them run from top to bottom in one shell."""
    text = page.read_text("utf-8")
    commands = [command for block in _BLOCK.findall(text) for command in _COMMAND.findall(block)]
    printed = iter(_printed(page, commands))

    def block(found: re.Match[str]) -> str:
        _, *parts = _COMMAND.split(found[1])
        shown = (f"$ {command}\n{_kept(old, next(printed))}" for command, old in zip(*[iter(parts)] * 2, strict=True))
        return f"```console\n{''.join(shown)}```"

    return _BLOCK.sub(block, text)


def _printed(page: Path, commands: list[str]) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder).resolve()
        shop, bin_ = home / "shop", home / "bin"
        for made in (shop, bin_):
            made.mkdir()
        (shop / "pyproject.toml").touch()  # a project's root: no folder above it is looked at
        shutil.copytree(_OLD, home / "old-project" / ".empathy")
        empathy = bin_ / "empathy"
        empathy.write_text(_EMPATHY.format(python=sys.executable, now=NOW), "utf-8")
        empathy.chmod(0o755)
        environment = {
            "COLUMNS": _COLUMNS,
            "HOME": str(home),
            "NO_COLOR": "1",
            "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
            "PYTHONUTF8": "1",
            "TZ": "UTC",
        }
        script = "".join(f"{command}\nprintf '{_END}%d{_END}' $?\n" for command in commands)
        shell = ["sh", "-c", f"exec 2>&1\n{script}"]
        done = subprocess.run(shell, cwd=shop, env=environment, stdin=subprocess.DEVNULL, capture_output=True)
        parts = done.stdout.decode("utf-8").replace(str(home), "~").split(_END)
    outputs, statuses = parts[:-1:2], parts[1::2]
    for command, output, status in zip(commands, outputs, statuses, strict=True):
        if status != "0":
            raise SystemExit(f"{page.name}: `{command}` has the exit status {status}:\n{output}")
    return outputs


def _kept(old: str, new: str) -> str:
    """The old output where the new one is the same but for what is left out, else the new one."""
    parts = f"\n{old}".split(f"\n{_LEFT_OUT}")
    pattern = r"\n(?:.*\n)*".join(map(re.escape, parts))
    return old if re.fullmatch(pattern, f"\n{new}") else new


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` compare them; return the exit status."""
    status = 0
    for page in PAGES:
        text = rewritten(page)
        if text == page.read_text("utf-8"):
            continue
        if "--check" in arguments:
            sys.stderr.write(f"{page} is stale; run python tools/make_guides.py\n")
            status = 1
        else:
            page.write_text(text, "utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
