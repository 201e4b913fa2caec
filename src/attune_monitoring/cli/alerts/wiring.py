"""Brings together what the commands work with: the rules of the file in use, the folder, its source and database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import msgspec

from attune_monitoring.alerts.load import Rules, find_alerts_file, load_rules
from attune_monitoring.alerts.modelled import ModelledSource
from attune_monitoring.alerts.outbox import NAME, Outbox
from attune_monitoring.alerts.rule import AlertRule
from attune_monitoring.cli.present import present
from attune_monitoring.cli.render import program
from attune_monitoring.cli.sources import LOCAL, SOURCES
from attune_monitoring.config import load_config, project_root
from attune_monitoring.errors import ConfigError
from attune_monitoring.query import Source
from attune_monitoring.schema import nearest, shown

__all__ = ["Wiring", "home_of", "named", "rules_of", "wiring_of"]


class Wiring(msgspec.Struct, frozen=True):
    """What a command works with.

    Args:
        folder: the folder of the records and of `alerts.db`; need not exist.
        files: where the rules stand.
        rules: what the files say.
    """

    folder: Path
    files: tuple[Path, ...]
    rules: Rules

    def rule(self, name: str) -> AlertRule:
        """Return the rule of that name.

        Raises:
            click.UsageError: there is none.
        """
        [rule] = named(self.rules.rules, name)
        return rule

    @contextlib.contextmanager
    def source(self, name: str = LOCAL, url: str | None = None) -> Iterator[Source]:
        """Give who answers the queries, anomalies and forecasts as well.

        Args:
            name: one of `sources.SOURCES`.
            url: address of a server; None = as the environment says, else where it usually is.

        Raises:
            SourceError: the address is none.
        """
        source = SOURCES[name](self.folder, url)
        try:
            yield ModelledSource(source)
        finally:
            source.close()

    def database(self, *, write: bool = False) -> Outbox:
        """Return `alerts.db`; where there is none yet, an empty one in memory unless it is to be written."""
        there = write or (self.folder / NAME).exists()
        return Outbox(self.folder if there else None, clock=lambda: present().timestamp())


def named(rules: tuple[AlertRule, ...], name: str | None) -> tuple[AlertRule, ...]:
    """Return the rule of a name, all of them where none is given.

    Raises:
        click.UsageError: there is none.
    """
    found = tuple(rule for rule in rules if name is None or rule.name == name)
    if name is not None and not found:
        names = [rule.name for rule in rules]
        raise click.UsageError(f"no rule {shown(name)}{nearest(name, names)}; there are {', '.join(names)}")
    return found


def home_of(env: Mapping[str, str], cwd: Path) -> Path:
    """Return the folder that alerts.yaml belongs into: that of monitoring.yaml, else the project's root, else `cwd`."""
    source = load_config(env=env, cwd=cwd).source
    return source.parent if source is not None else project_root(cwd, env) or cwd


def rules_of(
    config: Path | None, python: Path | None, *, env: Mapping[str, str], cwd: Path
) -> tuple[tuple[Path, ...], Rules]:
    """Return the files that are in use, and their rules: those that are named, else the alerts.yaml that is found.

    Args:
        config: a YAML file.
        python: a Python file, which is run; beside a YAML file that is named the rules of both count.
        env: the environment variables.
        cwd: the working directory.

    Raises:
        ConfigError: there is none, or it is wrong.
    """
    files = [path for path in (config, python) if path is not None]
    if not files:
        home = home_of(env, cwd)
        found = find_alerts_file(None, home)
        if found is None:
            raise ConfigError(
                f"no alerts.yaml in {home}; write one with `{program()} alerts init`, or name one with --config"
            )
        files.append(found)
    loaded = [load_rules(path, env) for path in files]
    if len(loaded) == 1:
        return tuple(files), loaded[0]
    first, second = loaded
    twice = sorted({rule.name for rule in first.rules} & {rule.name for rule in second.rules})
    if twice:
        raise ConfigError([f"{files[1]}: rule {shown(name)} stands in {files[0]} as well" for name in twice])
    return tuple(files), msgspec.structs.replace(first, rules=(*first.rules, *second.rules))


def wiring_of(
    config: Path | None, python: Path | None, directory: Path | None, *, env: Mapping[str, str], cwd: Path
) -> Wiring:
    """Return what a command works with; see `rules_of`.

    Args:
        config: a YAML file.
        python: a Python file.
        directory: the folder of the records; None = as configured.
        env: the environment variables.
        cwd: the working directory.

    Raises:
        ConfigError: the configuration or a file of rules is wrong, or there is none.
    """
    files, rules = rules_of(config, python, env=env, cwd=cwd)
    folder = load_config(env=env, cwd=cwd).storage_dir if directory is None else directory
    return Wiring(folder, files, rules)
