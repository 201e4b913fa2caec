"""Alert rules from files: alerts.yaml, which is data, and Python files, which are code."""

from __future__ import annotations

import os
import runpy
import stat
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from attune_monitoring.errors import ConfigError
from attune_monitoring.redaction import redact
from attune_monitoring.schema import Checker, nearest, shown
from attune_monitoring.yamlfile import Document, KeyPath, Node

from .actions import problems_of
from .announcement import Grouping
from .declaration import FILE, Off, Reference
from .rule import AlertAction, AlertRule
from .template import NAMES, check

__all__ = ["Rules", "find_alerts_file", "load_python", "load_rules"]

_FILE_NAMES = ("alerts.yaml", "alerts.yml")
_GROUPS = ("rule", "severity")
_MERGED = ("labels", "annotations")


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says.

    Args:
        rules: in the order of the file.
        warnings: what is switched off, and why; each with its place.
        places: name of a rule → `file:line:column`; nothing for rules in Python.
        grouping: which alerts are told of in one message.
    """

    rules: tuple[AlertRule, ...]
    warnings: tuple[str, ...] = ()
    places: Mapping[str, str] = {}
    grouping: Grouping = Grouping()


def find_alerts_file(config_file: Path | None, cwd: Path) -> Path | None:
    """Return alerts.yaml (or .yml) beside monitoring.yaml, without one in the working directory; None if there is none.

    Python files are never found. A file that someone else could have put into a folder that is open to everyone is
    passed over.

    Args:
        config_file: the monitoring.yaml in use.
        cwd: absolute path of the working directory.
    """
    folder = cwd if config_file is None else config_file.parent
    return next((folder / name for name in _FILE_NAMES if _is_trusted_file(folder / name)), None)


def _is_trusted_file(path: Path) -> bool:
    try:
        found, folder = path.stat(), path.parent.stat()
    except OSError:
        return False
    owners = {0, os.geteuid()} if hasattr(os, "geteuid") else {found.st_uid}
    return stat.S_ISREG(found.st_mode) and (not folder.st_mode & stat.S_IWOTH or found.st_uid in owners)


def load_rules(path: Path, env: Mapping[str, str]) -> Rules:
    """Return the rules of a file that was named or found; a `.py` file is run, see `load_python`.

    An action whose `${VARIABLE}` is not set is left out with a warning; everything else that is wrong is an error.

    Args:
        path: alerts.yaml, or a Python file.
        env: the environment variables.

    Raises:
        ConfigError: the file is wrong; `problems` has every fault as `file:line:column: key: what to do`.
    """
    if path.suffix == ".py":
        return Rules(rules=load_python(path))
    document = Document.load(path)
    checker = Checker(document, env)
    values = checker.run(FILE) or {}
    warnings = tuple(f"{line}; the action is off until then" for line in document.lines(document.warnings))
    rules = _Builder(document, checker, values).build()
    if document.problems:
        raise ConfigError(document.lines())
    return msgspec.structs.replace(rules, warnings=warnings)


class _Builder:
    """Makes rules of what is written, with channels and defaults of the same file."""

    def __init__(self, document: Document, checker: Checker, values: Mapping[str, Any]) -> None:
        self._document = document
        self._checker = checker
        self._values = values
        self._root = document.root or Node({})
        self._channels: Mapping[str, AlertAction | Off] = values.get("channels", {})
        self._defaults = dict(values.get("defaults", {}))
        self._defaults["actions"] = self._resolved(self._defaults.get("actions", ()))

    def build(self) -> Rules:
        rules: list[AlertRule] = []
        nodes: dict[str, Node] = {}
        for node, path, values in self._values.get("alerts", ()):
            rule = self._rule(node, path, values)
            if rule is not None:
                if rule.name in nodes:
                    message = f"name {shown(rule.name)} is given twice (first in line {nodes[rule.name].line})"
                    self._checker.problem(node.at(("name",)), path, message)
                nodes.setdefault(rule.name, node)
                rules.append(rule)
        places = {name: f"{self._document.name}:{node.line}:{node.column}" for name, node in nodes.items()}
        return Rules(rules=tuple(rules), places=places, grouping=self._grouping(rules))

    def _rule(self, node: Node, path: KeyPath, values: Mapping[str, Any]) -> AlertRule | None:
        fields = {**self._defaults, **values}
        for key in _MERGED:
            fields[key] = {**self._defaults.get(key, {}), **values.get(key, {})}
        if "actions" in values:
            fields["actions"] = self._resolved(values["actions"])
        fields["for_"] = fields.pop("for", 0.0)
        try:
            rule = AlertRule(**fields)
        except ConfigError as error:
            for problem in error.problems:
                self._checker.problem(node, path, problem)
            return None
        for place, problem in _faulty_templates(rule):
            self._checker.problem(node.at(place), (*path, *place), problem)
        return rule

    def _grouping(self, rules: Iterable[AlertRule]) -> Grouping:
        by = self._values.get("group_by")
        names = (by,) if isinstance(by, str) else by
        known = {name: None for rule in rules for name in (*rule.by, *rule.labels)} | dict.fromkeys(_GROUPS)
        for name in names or () if not self._checker.found else ():  # a faulty rule's labels are not known
            if name not in known:
                message = f"no rule has the label {shown(name)}{nearest(name, known)}; there are {', '.join(known)}"
                self._checker.problem(self._root.at(("group_by",)), ("group_by",), message)
        return Grouping(None if names is None else tuple(names), self._values.get("group_wait", 0.0))

    def _resolved(self, actions: Iterable[AlertAction | Reference | Off]) -> tuple[AlertAction, ...]:
        named = self._root.value.get("channels", Node({})).children if isinstance(self._root.value, dict) else {}
        found: list[AlertAction] = []
        for action in actions:
            meant = self._channels.get(action.name) if isinstance(action, Reference) else action
            if isinstance(meant, AlertAction):
                found.append(meant)
            elif isinstance(action, Reference) and action.name not in named:  # a faulty one was told where it stands
                mend = nearest(action.name, named) or "; write it under 'channels'"
                self._checker.problem(action.node, action.path, f"no channel {shown(action.name)}{mend}")
        return tuple(found)


def _faulty_templates(rule: AlertRule) -> Iterator[tuple[KeyPath, str]]:
    """Yield what is wrong with the texts of a rule and its actions, and where; they may name the rule's labels."""
    names = (*rule.by, *rule.labels)
    for key, text in rule.annotations.items():
        try:
            check(text, (*NAMES, *names))
        except ConfigError as error:
            yield ("annotations", key), str(error)
    for action in rule.actions:
        for problem in problems_of(action, names):
            yield ("actions",), problem


def load_python(path: Path) -> tuple[AlertRule, ...]:
    """Run a Python file and return the rules that it leaves in its global names, in the order in which they stand.

    A rule may stand by itself or in a list or tuple; names that begin with an underscore are passed over.
    The file is code and may do whatever its author likes: name one that you trust. No command runs one that it found.

    Args:
        path: the file.

    Raises:
        ConfigError: it cannot be read, it fails, or it has no rules or two of one name.
    """
    try:
        names = runpy.run_path(str(path), run_name=path.stem)
    except ConfigError as error:
        raise ConfigError([f"{_place(path, error)}: {problem}" for problem in error.problems]) from error
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{_place(path, error)}: {type(error).__name__}: {redact(error, limit=500)}") from error
    found: dict[int, AlertRule] = {}
    for name, value in names.items():
        if not name.startswith("_"):
            candidates = value if isinstance(value, list | tuple) else (value,)
            found |= {id(one): one for one in candidates if isinstance(one, AlertRule)}
    rules = tuple(found.values())
    if not rules:
        raise ConfigError(f"{path}: no AlertRule is left in a global name of this file")
    twice = {rule.name for rule in rules if sum(other.name == rule.name for other in rules) > 1}
    if twice:
        raise ConfigError([f"{path}: name {shown(name)} is given to more than one rule" for name in sorted(twice)])
    return rules


def _place(path: Path, error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.lineno and error.filename == str(path):
        return f"{path}:{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}:{lines[-1]}" if lines else str(path)
