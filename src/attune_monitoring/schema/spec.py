"""What a declared value is, and what its check may use: problems with their place, variables, secret files."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict

import msgspec

from attune_monitoring.redaction import redact
from attune_monitoring.yamlfile import Document, KeyPath, Node, Problem

__all__ = ["Checker", "Common", "RejectedError", "Spec", "nearest", "shown"]

_REFERENCE = r"\$?\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\})?"
_SECRET_BYTES = 1 << 16


class RejectedError(Exception):
    """A value is not what its key takes; says what was expected, never what was found, which may be secret."""

    def __init__(self, expected: str, hint: str = "") -> None:
        super().__init__(expected)
        self.expected = expected
        self.hint = hint


def nearest(name: object, names: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the name that is most like `name`, or nothing."""
    known = {valid.lower(): valid for valid in names}
    found = difflib.get_close_matches(str(name)[:80].lower(), known, n=1)
    return f" (did you mean '{known[found[0]]}'?)" if found else ""


def shown(value: object, *, limit: int = 60) -> str:
    """Return a value as an error message may show it: short, on one line, without secrets."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else str(value).lower()
    text = redact(" ".join(str(value).split()), limit=limit)
    return f"'{text}'" if isinstance(value, str) else text


class Checker:
    """Checks one document and adds to it what is wrong.

    Args:
        document: What was read.
        environ: Where `${NAME}` in its texts is looked up.
    """

    def __init__(self, document: Document, environ: Mapping[str, str]) -> None:
        self._document = document
        self._environ = environ

    def run(self, spec: Spec) -> Any:
        """Return the values that the document gives; what is missing, empty or wrong is left out."""
        root = self._document.root
        return None if root is None else spec.check(root, (), self)

    @property
    def found(self) -> int:
        """How many problems were found so far."""
        return len(self._document.problems)

    @property
    def warned(self) -> int:
        """How many warnings were given so far."""
        return len(self._document.warnings)

    def locate(self, name: str) -> Path:
        """Return a path of the document; relative ones start at its folder, or at the working directory."""
        # Path.expanduser raises for a user without a home.
        return (self._document.folder or Path.cwd()) / os.path.expanduser(name)  # noqa: PTH111

    def problem(self, node: Node, path: KeyPath, message: str) -> None:
        """Add a problem that stands at a value."""
        self._document.problems.append(_at(node.line, node.column, path, message))

    def problem_at_key(self, node: Node, path: KeyPath, message: str) -> None:
        """Add a problem that stands at the key before a value."""
        self._document.problems.append(_at(node.key_line, node.key_column, path, message))

    def expand(self, node: Node, path: KeyPath, unset: Literal["problem", "warning"]) -> str | None:
        """Return a text with `${NAME}` and `${NAME:-default}` replaced; None when a variable is missing.

        `$${` stands for `${`. A text that was not read from a file is left as it is.
        """
        text = str(node.value)
        if not node.line or "${" not in text:
            return text
        missing: list[str] = []

        def value(match: re.Match[str]) -> str:
            name, default = match.groups()
            if match[0].startswith("$$"):
                return match[0][1:]
            if default is not None:
                return self._environ.get(name) or default
            if name not in self._environ:
                missing.append(name or "")
            return self._environ.get(name, "")

        expanded = re.sub(_REFERENCE, value, text)
        for name in missing:
            if name:
                message = f"environment variable {name} is not set; set it, or write ${{{name}:-default}}"
            else:
                message = "'${' begins a variable such as ${NAME} or ${NAME:-default}; for the characters write '$${'"
            found = _at(node.line, node.column, path, message)
            (self._document.warnings if name and unset == "warning" else self._document.problems).append(found)
        return None if missing else expanded

    def secret_file(self, node: Node, path: KeyPath) -> str | None:
        """Return the secret in the file that a `…_file` key names, without the line break at its end."""
        if not isinstance(node.value, str):
            self.problem(node, path, f"expected the path of a file, found {shown(node.value)}")
            return None
        name = self.expand(node, path, "problem")
        if name is None:
            return None
        file = self.locate(name)
        try:
            if not file.is_file():
                raise FileNotFoundError(0, "there is no such file")
            with file.open("rb") as stream:
                text = stream.read(_SECRET_BYTES + 1).decode("utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            self.problem(node, path, f"cannot read the secret in {shown(name, limit=500)}: {reason}")
            return None
        if not text or len(text) > _SECRET_BYTES:
            self.problem(
                node, path, f"the file {shown(name, limit=500)} is {'too large for a secret' if text else 'empty'}"
            )
            return None
        return text


def _at(line: int, column: int, path: KeyPath, message: str) -> Problem:
    key = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
    return Problem(line, column, f"{redact(key, limit=200)}: {message}" if key else message)


class Common(TypedDict, total=False):
    """What every kind of value may say about its key."""

    default: Any
    env: tuple[str, ...]
    required: bool


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What one key takes; the functions of this package make these.

    Attributes:
        description: One sentence for people; editors show it.
        noun: What is expected, for error messages.
        kinds: The types that such a value has as YAML reads it.
        check: Returns the value as the program wants it, or adds a problem and returns None.
        read: Returns the value that an environment variable's text means, or raises RejectedError.
        shape: Returns the JSON Schema of the value, without description and default.
        keys: The keys, when it is a section.
        default: What holds when the key is absent, written as in the file.
        env: Environment variables that go before the file; the first that is set counts.
        required: Whether the key must be there.
        secret: Whether the value is never shown, and may be given as the file that the key `<key>_file` names.
    """

    description: str
    noun: str
    kinds: tuple[type, ...]
    check: Callable[[Node, KeyPath, Checker], Any]
    read: Callable[[str], Any]
    shape: Callable[[], dict[str, Any]]
    keys: Mapping[str, Spec] = {}
    default: Any = None
    env: tuple[str, ...] = ()
    required: bool = False
    secret: bool = False

    @property
    def may_be_file(self) -> bool:
        """Whether `<key>_file` may name a file that holds the value."""
        return self.secret and self.kinds == (str,)

    def defaults(self) -> Any:
        """Return what holds when nothing is given."""
        if self.keys:
            return {key: spec.defaults() for key, spec in self.keys.items()}
        return None if self.default is None else Checker(Document("default", Node.of(self.default)), {}).run(self)

    def schema(self) -> dict[str, Any]:
        """Return this as JSON Schema (draft 2020-12)."""
        notes: dict[str, Any] = {}
        if self.description:
            variables = f" Environment: {', '.join(self.env)}." if self.env else ""
            notes["description"] = self.description + variables
        if self.default is not None:
            notes["default"] = self.default
        return notes | self.shape()
