"""The programs of Debian's Prometheus: those on PATH, else out of the package, which is unpacked into the cache."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

__all__ = ["require"]

_NAMES = ("prometheus", "promtool")


def require(name: str) -> str:
    """Return the path of `prometheus` or `promtool`; the test is skipped, with the reason, where it cannot be had."""
    found = shutil.which(name)
    if found is not None:
        return found
    unpacked, reason = _package()
    if reason:
        pytest.skip(reason)
    return str(unpacked / "usr" / "bin" / name)


@functools.cache
def _package() -> tuple[Path, str]:
    """Return where Debian's package is unpacked, and why it is not; neither root nor an installation is needed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "attune-monitoring"
    if any(shutil.which(program) is None for program in ("apt-get", "apt-cache", "dpkg-deb")):
        return cache, "Prometheus is not on PATH, and there is no apt to get it from"
    offered = _asked("apt-cache", "policy", "prometheus")
    version = next((line.split()[-1] for line in offered.splitlines() if "Candidate:" in line), "(none)")
    if version == "(none)":
        return cache, "Prometheus is not on PATH, and apt offers none"
    folder = cache / f"prometheus-{version.replace('/', '-')}"
    cache.mkdir(parents=True, exist_ok=True)
    import fcntl  # not on Windows, which has no apt either

    with (cache / "prometheus.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if all((folder / "usr" / "bin" / name).is_file() for name in _NAMES):
            return folder, ""
        with tempfile.TemporaryDirectory(dir=cache) as work:
            # apt drops its rights to a user that may not write where root may.
            _asked("apt-get", "-o", "APT::Sandbox::User=", "download", "prometheus", folder=work)
            packages = list(Path(work).glob("prometheus_*.deb"))
            if not packages:
                return cache, "Prometheus is not on PATH, and apt could not download it"
            unpacked = Path(work) / "unpacked"
            _asked("dpkg-deb", "-x", str(packages[0]), str(unpacked))
            if not all((unpacked / "usr" / "bin" / name).is_file() for name in _NAMES):
                return cache, "Prometheus is not on PATH, and Debian's package has another layout than expected"
            shutil.rmtree(folder, ignore_errors=True)
            unpacked.rename(folder)
    return folder, ""


def _asked(*words: str, folder: str | None = None) -> str:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    return done.stdout
