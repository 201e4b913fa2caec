"""YAML files as trees of values that know their line and column; a hostile file is refused before it is built."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_VALUES", "Document", "KeyPath", "Node", "Problem", "Scalar", "scalar"]

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_VALUES = 100_000

Scalar = str | int | float | bool | None
KeyPath = tuple[str | int, ...]

# The scalars of YAML 1.2's core schema, which is what editors check against; under PyYAML's YAML 1.1 rules
# `no`, `on`, `1:30` and `2026-01-01` would silently become something other than the text that was written.
_WORDS: dict[str, Scalar] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = r"[-+]?[0-9]{1,300}"
_FLOAT = r"[-+]?(?:\.[0-9]{1,300}|[0-9]{1,300}(?:\.[0-9]{0,300})?)(?:[eE][-+]?[0-9]{1,5})?"
_SURROGATE = "[\ud800-\udfff]"


class Node(msgspec.Struct, frozen=True):
    """A value and its place (1-based; line 0 means that it was not read from a file)."""

    value: Scalar | list[Node] | dict[str, Node]
    line: int = 0
    column: int = 0
    key_line: int = 0
    key_column: int = 0

    @classmethod
    def of(cls, data: object) -> Node:
        """Return the tree of plain Python data; anything that YAML could not hold becomes its text."""
        if isinstance(data, Mapping):
            return cls({str(key): cls.of(value) for key, value in data.items()})
        if isinstance(data, Sequence) and not isinstance(data, str | bytes):
            return cls([cls.of(item) for item in data])
        return cls(data if data is None or isinstance(data, bool | int | float | str) else str(data))

    @property
    def children(self) -> Mapping[Any, Node]:
        """The values of a mapping by key, or of a list by index; nothing for a scalar."""
        if isinstance(self.value, list):
            return dict(enumerate(self.value))
        return self.value if isinstance(self.value, dict) else {}

    def at(self, path: KeyPath) -> Node:
        """Return the node at `path` below this one, or the last one on the way that exists."""
        node = self
        for step in path:
            if step not in node.children:
                break
            node = node.children[step]
        return node

    def plain(self) -> Any:
        """Return the value without its places."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value


class Problem(msgspec.Struct, frozen=True, order=True):
    """One fault (or warning) of a document; line 0 means the document as a whole."""

    line: int
    column: int
    message: str


class Document(msgspec.Struct):
    """A document, and every problem found in it so far; `root` is None when it could not be parsed."""

    name: str
    root: Node | None
    folder: Path | None = None
    problems: list[Problem] = []
    warnings: list[Problem] = []

    @classmethod
    def load(cls, path: Path) -> Document:
        """Read and parse a file; whatever is wrong with it is in `problems`, nothing is raised.

        Args:
            path: A regular file of at most `MAX_BYTES` bytes, in UTF-8.
        """
        try:
            if path.exists() and not path.is_file():
                return cls._refused(path, "is not a regular file; give the path of a YAML file")
            with path.open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
        except OSError as error:
            return cls._refused(path, f"cannot be read: {error.strerror or type(error).__name__}")
        if len(data) > MAX_BYTES:
            return cls._refused(path, f"is larger than {MAX_BYTES} bytes; this is not a configuration file")
        return cls.parse(data, str(path), path.parent)

    @classmethod
    def _refused(cls, path: Path, message: str) -> Document:
        return cls(str(path), None, path.parent, [Problem(0, 0, message)])

    @classmethod
    def parse(cls, data: bytes | str, name: str, folder: Path | None = None) -> Document:
        """Parse YAML; `name` stands before every problem, `folder` is where its relative paths start."""
        document = cls(name, None, folder)
        try:
            text = data if isinstance(data, str) else data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = error.object[: error.start]
            line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
            document.problems.append(Problem(line, column, "not UTF-8; save the file in UTF-8"))
        else:
            document.root = _Builder(document).build(text)
        return document

    @property
    def value(self) -> Any:
        """The whole document as plain data, None when it could not be parsed."""
        return None if self.root is None else self.root.plain()

    def position(self, path: KeyPath) -> tuple[int, int]:
        """Return line and column of the value at `path`, or of the nearest value above it that exists."""
        node = (self.root or Node(None)).at(path)
        return node.line, node.column

    def lines(self, problems: Sequence[Problem] | None = None) -> list[str]:
        """Return the problems (or those given) as `name:line:column: message`, in the order of the file."""
        chosen = self.problems if problems is None else problems
        return [
            f"{self.name}:{p.line}:{p.column}: {p.message}" if p.line else f"{self.name}: {p.message}"
            for p in sorted(set(chosen))
        ]


def scalar(text: str) -> Scalar:
    """Return what an unquoted YAML scalar means: nothing, a truth value, a number or the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    if re.fullmatch(_INTEGER, text):
        return int(text)
    return float(text) if re.fullmatch(_FLOAT, text) else text


class _RefusedError(Exception):
    def __init__(self, mark: Any, message: str) -> None:
        super().__init__(message)
        self.mark = mark
        self.message = message


class _Frame(msgspec.Struct):
    """A list or mapping that is being filled."""

    event: Any
    items: list[Node] | dict[str, Node]
    key: Node | None = None
    weight: int = 1
    height: int = 1


class _Builder:
    """Builds nodes from parser events with a stack of its own.

    PyYAML's composer recurses and builds before anyone can count; here depth, number of values and what
    aliases expand to are known before the next value is taken.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Node, int, int]] = {}
        self._values = 0
        self._root: Node | None = None

    def build(self, text: str) -> Node | None:
        import yaml  # an optional weight: without a configuration file PyYAML is never imported

        loader = None
        try:
            loader = yaml.SafeLoader(text)
            for event in self._events(loader):
                self._take(event, yaml)
        except _RefusedError as refusal:
            self._report(refusal.mark, refusal.message)
        except yaml.reader.ReaderError as error:
            start = text.rfind("\n", 0, error.position) + 1
            place = text.count("\n", 0, error.position) + 1, error.position - start + 1
            self._document.problems.append(Problem(*place, "a control character is not allowed in YAML"))
        except yaml.MarkedYAMLError as error:
            self._report(error.problem_mark, _syntax(error.problem))
        except (ValueError, OverflowError):
            # PyYAML lets chr() and int() fail on escapes and version numbers that are out of range.
            self._report(loader and loader.get_mark(), _syntax("a number is out of range"))
        else:
            return self._root if self._root and self._root.value is not None else Node({}, 1, 1)
        return None

    @staticmethod
    def _events(loader: Any) -> Iterator[Any]:
        while (event := loader.get_event()) is not None:
            yield event

    def _report(self, mark: Any, message: str) -> None:
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        self._document.problems.append(Problem(line, column, message))

    def _take(self, event: Any, yaml: Any) -> None:
        mark = event.start_mark
        if isinstance(event, yaml.DocumentStartEvent) and self._root is not None:
            raise _RefusedError(mark, "a second document starts here; a configuration file holds one")
        if isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.ScalarEvent):
            self._count(mark, 1)
            self._refuse_tag(event)
            node = Node(self._scalar(event), mark.line + 1, mark.column + 1)
            self._place(node, 1, 1, event.anchor)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._count(mark, 1)
            self._refuse_tag(event)
            if len(self._stack) >= MAX_DEPTH:
                raise _RefusedError(mark, f"nested deeper than {MAX_DEPTH} levels")
            self._stack.append(_Frame(event, {} if isinstance(event, yaml.MappingStartEvent) else []))
        elif isinstance(event, yaml.CollectionEndEvent):
            frame = self._stack.pop()
            start = frame.event.start_mark
            node = Node(frame.items, start.line + 1, start.column + 1)
            self._place(node, frame.weight, frame.height + 1, frame.event.anchor)

    def _scalar(self, event: Any) -> Scalar:
        text: str = event.value
        if re.search(_SURROGATE, text):
            self._report(event.start_mark, "half of a surrogate pair is not a character")
            text = re.sub(_SURROGATE, "?", text)
        expects_key = bool(self._stack) and isinstance(self._stack[-1].items, dict) and self._stack[-1].key is None
        # A key is what was written, as in JSON: `1:` and `true:` are the texts "1" and "true".
        return text if expects_key or not event.implicit[0] else scalar(text)

    def _alias(self, event: Any) -> None:
        anchored = self._anchors.get(event.anchor)
        if anchored is None:
            # An anchor is known once its value is complete, so a value cannot contain itself.
            raise _RefusedError(event.start_mark, f"alias '*{event.anchor[:40]}' names no value that stands before it")
        node, weight, height = anchored
        self._count(event.start_mark, weight)
        if len(self._stack) + height > MAX_DEPTH:
            raise _RefusedError(event.start_mark, f"nested deeper than {MAX_DEPTH} levels")
        self._place(node, weight, height, None)

    def _place(self, node: Node, weight: int, height: int, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, weight, height)
        if not self._stack:
            self._root = node
            return
        frame = self._stack[-1]
        frame.weight += weight
        frame.height = max(frame.height, height)
        if isinstance(frame.items, list):
            frame.items.append(node)
        elif frame.key is None:
            frame.key = node
        else:
            key, frame.key = frame.key, None
            self._put(frame.items, key, node)

    def _put(self, entries: dict[str, Node], key: Node, node: Node) -> None:
        name = key.value
        if isinstance(name, dict | list):
            message = "a list or mapping cannot be a key; write text"
        elif name == "<<":
            message = "merge key '<<' is not supported; write the keys out"
        elif (text := str(name)) in entries:
            message = f"key '{text[:40]}' is given twice (first in line {entries[text].key_line})"
        else:
            entries[text] = msgspec.structs.replace(node, key_line=key.line, key_column=key.column)
            return
        self._document.problems.append(Problem(key.line, key.column, message))

    def _count(self, mark: Any, weight: int) -> None:
        self._values += weight
        if self._values > MAX_VALUES:
            raise _RefusedError(mark, f"more than {MAX_VALUES} values, aliases expanded; this is not a configuration")

    def _refuse_tag(self, event: Any) -> None:
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")[:60]
            self._report(event.start_mark, f"tag '{tag}' is not allowed; for text use quotes")


def _syntax(problem: str | None) -> str:
    return f"not valid YAML: {problem or 'unreadable'} (look at indentation, quotes and brackets)"
