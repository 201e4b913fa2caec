"""Builds the stock OpenTelemetry Collector with its official builder, once for all test runs of a machine."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from stack_files import ROOT

__all__ = ["collector_binary"]

SOURCES = ROOT / "tests" / "data" / "otelcol"
_FILES = ("builder.yaml", "go.mod", "go.sum")
_NO_NETWORK = re.compile(
    r"dial tcp|no such host|i/o timeout|TLS handshake|proxyconnect|unexpected EOF|deadline exceeded|server misbehaving|"
    r"connection (refused|reset)|network is unreachable|disabled by GOPROXY|: 50[0234] \w|requires go >= ",
    re.IGNORECASE,
)


def collector_binary() -> Path:
    """Return the collector, built if it is not yet there; skips the test where it cannot be built, and says why.

    It is kept outside the clone, by its version and everything that it is made from. Several processes may ask at once.
    """
    if os.name == "nt":
        pytest.skip("the collector is run on POSIX systems only")
    version = yaml.safe_load((SOURCES / "builder.yaml").read_text("utf-8"))["dist"]["version"]
    digest = hashlib.sha256(b"".join((SOURCES / name).read_bytes() for name in _FILES)).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "attune-monitoring"
    binary = cache / f"otelcol-{version}-{digest}" / "otelcol"
    if not binary.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with _alone(cache / f"otelcol-{version}-{digest}.lock"):
            if not binary.exists():
                _build(binary)
    return binary


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    import fcntl  # there is none on Windows

    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _build(binary: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("the collector is built with Go, which is not installed: https://go.dev/doc/install")
    # Nobody else is here: what is in this folder is of a build that was killed.
    scratch = binary.parent.with_name(f"{binary.parent.name}.building")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        out = scratch / "out"
        out.mkdir(parents=True)
        for name in _FILES:
            shutil.copy(SOURCES / name, scratch)
        # Whatever the builder fetches is checked against our sums: no other place has to be trusted, or reached.
        shutil.copy(SOURCES / "go.sum", out)
        _run(scratch, go, "mod", "download")
        _run(scratch, go, "tool", "builder", "--config=builder.yaml")
        binary.parent.mkdir(exist_ok=True)
        (out / "otelcol").replace(binary)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _run(folder: Path, *command: str) -> None:
    flags = f"{os.environ.get('GOFLAGS', '')} -buildvcs=false".strip()
    ran = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"GOFLAGS": flags, "GOWORK": "off"},
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    if ran.returncode == 0:
        return
    said = (ran.stdout + ran.stderr).strip()
    if _NO_NETWORK.search(said):
        pytest.skip(f"the collector's modules cannot be fetched: {said[-500:]}")
    pytest.fail(f"{' '.join(command)} failed:\n{said}")
