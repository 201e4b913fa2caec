"""The local stack: where its files are, and Docker, which is asked to start, show and stop it."""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import subprocess  # nosec B404
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

from attune_monitoring.errors import ConfigError, MonitoringError
from attune_monitoring.redaction import redact

__all__ = ["FILES", "Service", "Stack", "StackError", "stack_here"]

FILES: Final = ("docker-compose.yml", "docker-compose.login.yml", ".env.example")
"""Those by which the folder of a stack is known."""
_PACKAGE: Final = Path(__file__).parents[2]
_PACKAGED: Final = _PACKAGE / "stack"
_SOURCE: Final = _PACKAGE.parents[1]
_COMPOSE: Final = "docker-compose.yml"
_FROM_SOURCE: Final = "${ATTUNE_PACKAGE:-.}"
_INSTALL: Final = "see https://docs.docker.com/get-started/get-docker/"


class StackError(MonitoringError):
    """Docker is not there, does not run, or could not do what it was asked."""


class Service(NamedTuple):
    """A container of the stack."""

    name: str
    state: str
    """As Docker says it: running, exited …"""
    health: str
    """healthy, unhealthy, starting; "" where nothing looks."""
    exit_code: int
    ports: tuple[str, ...]
    """`address:port` on this machine."""

    @property
    def works(self) -> bool:
        """Whether it does what it should: it runs and is healthy, or has ended well."""
        if self.state == "running":
            return self.health in ("healthy", "")
        return self.state == "exited" and self.exit_code == 0


def stack_here(env: Mapping[str, str] = os.environ) -> Path:
    """Return the folder with the files of the stack: that of the clone, else a copy of those in the package.

    Compose mounts files of the folder into containers and reads `.env` beside them; a copy in the user's own folder
    can be mounted everywhere, and outlives an update of the package with the `.env` that was put there.

    Raises:
        StackError: the package came without them.
        OSError: the copy cannot be written.
    """
    if (_SOURCE / "pyproject.toml").is_file() and all((_SOURCE / name).is_file() for name in FILES):
        return _SOURCE
    if not _PACKAGED.is_dir():
        raise StackError("this installation came without the files of the stack; install attune-monitoring from PyPI")
    data = env.get("XDG_DATA_HOME") or ""
    home = Path(data) if Path(data).is_absolute() else Path.home() / ".local" / "share"
    return _copied(_PACKAGED, home / "attune-monitoring" / "stack")


def _copied(source: Path, target: Path) -> Path:
    """Bring a copy up to date, file by file; what is not ours in it, such as `.env`, stays."""
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if file.name == _COMPOSE and file.parent == source:
            # There is no source code beside it from which the image could be built.
            release = f"${{ATTUNE_PACKAGE:-attune-monitoring=={version('attune-monitoring')}}}"
            copy.write_text(file.read_text("utf-8").replace(_FROM_SOURCE, release), "utf-8")
        elif not copy.is_file() or not filecmp.cmp(file, copy, shallow=False):
            shutil.copyfile(file, copy)
        copy.chmod(0o644)  # mounted, it is read by users of containers
    return target


class Stack:
    """The stack of a folder.

    Args:
        folder: with the compose files.
        login: whether one signs in.
    """

    def __init__(self, folder: Path, *, login: bool = False) -> None:
        self.folder = folder
        self._files = (_COMPOSE, *(("docker-compose.login.yml",) if login else ()))

    def check(self) -> None:
        """Look whether Docker is there, with Compose, and runs.

        Raises:
            StackError: it does not; says what to do.
        """
        self._docker()
        if _run([self._docker(), "compose", "version"]).returncode:
            raise StackError(f"docker has no `compose`; install its plugin, {_INSTALL}")
        running = _run([self._docker(), "version", "--format", "{{.Server.Version}}"])
        if running.returncode:
            why = redact(" ".join(running.stderr.split()), limit=200)
            raise StackError(f"Docker does not run; start Docker Desktop or the docker service. It says: {why}")

    def compose(self, *arguments: str, profiles: Sequence[str] = ()) -> None:
        """Let Compose do something, and show what it says.

        Raises:
            StackError: it failed.
        """
        command = self._command(arguments, profiles)
        talk = sys.stderr.fileno()  # what it shows is progress: stdout is for our own data
        done = subprocess.run(command, stdout=talk, check=False)  # nosec B603
        if done.returncode:
            raise StackError(
                f"docker compose {arguments[0]} failed (exit status {done.returncode}); why stands above, and more in: "
                f"docker compose --project-directory {self.folder} logs"
            )

    def services(self) -> list[Service]:
        """Return the containers that there are, also those that have ended.

        Raises:
            StackError: Docker cannot say.
        """
        listed = self._read("ps", "--all", "--format", "json")
        try:
            # Compose before 2.21 gives one list, later ones an object a line.
            lines = [json.loads(line) for line in listed.splitlines() if line.strip()]
            entries = [entry for line in lines for entry in (line if isinstance(line, list) else [line])]
            return [_service(entry) for entry in entries]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StackError("docker compose ps answers in another way than expected; is it recent enough?") from error

    def address(self) -> str | None:
        """Return the address of SigNoz on this machine; None where it does not run."""
        try:
            bound = self._read("port", "signoz", "8080").strip()
        except StackError:
            return None
        host, colon, port = bound.rpartition(":")
        return f"http://{'localhost' if host == '127.0.0.1' else host}:{port}" if colon else None

    def _read(self, *arguments: str) -> str:
        done = _run(self._command(arguments, ()))
        if done.returncode:
            why = redact(" ".join(done.stderr.split()), limit=300)
            raise StackError(f"docker compose {arguments[0]} failed: {why}")
        return done.stdout

    def _command(self, arguments: Sequence[str], profiles: Sequence[str]) -> list[str]:
        files = [part for name in self._files for part in ("--file", os.fspath(self.folder / name))]
        wanted = [part for name in profiles for part in ("--profile", name)]
        folder = os.fspath(self.folder)
        return [self._docker(), "compose", "--project-directory", folder, *files, *wanted, *arguments]

    def _docker(self) -> str:
        found = shutil.which("docker")
        if found is None:
            raise StackError(f"docker is not installed, or not on the PATH; {_INSTALL}")
        return found


def _service(entry: Mapping[str, Any]) -> Service:
    published = {
        f"{one.get('URL') or '*'}:{one['PublishedPort']}": None
        for one in entry.get("Publishers") or ()
        if one.get("PublishedPort")
    }
    return Service(
        str(entry["Service"]), str(entry["State"]), str(entry.get("Health") or ""), int(entry.get("ExitCode") or 0),
        tuple(published),
    )  # fmt: skip


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)  # nosec B603
    except OSError as error:
        raise ConfigError(f"{command[0]} cannot be run: {error.strerror}") from error
