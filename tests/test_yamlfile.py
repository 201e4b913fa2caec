"""YAML with places; hostile files are refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune_monitoring.yamlfile import MAX_BYTES, MAX_DEPTH, MAX_VALUES, Document, Node, scalar


def syntax(fault: str) -> str:
    return f"not valid YAML: {fault} (look at indentation, quotes and brackets)"


def parse(text: bytes | str) -> Document:
    return Document.parse(text, "f.yaml")


def test_every_value_and_key_knows_its_place() -> None:
    document = parse("a: 1\nb:\n  - x\n  - c: [2, three]\n")
    assert document.value == {"a": 1, "b": ["x", {"c": [2, "three"]}]}
    assert document.position(("a",)) == (1, 4)
    assert document.position(("b", 0)) == (3, 5)
    assert document.position(("b", 1, "c", 1)) == (4, 12)
    assert document.root is not None
    assert document.root.at(("b", 1, "c")).key_line == 4
    assert document.root.at(("b", 1, "c")).key_column == 5


def test_the_place_of_what_does_not_exist_is_that_of_the_nearest_value_above_it() -> None:
    document = parse("a:\n  b: 1\n")
    assert document.position(("a", "missing", "deeper")) == (2, 3)
    assert document.position(("a", "b", 7)) == (2, 6)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "~\n", "null"])
def test_an_empty_file_is_an_empty_mapping(text: str) -> None:
    document = parse(text)
    assert document.value == {}
    assert document.lines() == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("12", 12), ("-3", -3), ("+4", 4), ("010", 10), ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0), ("2.", 2.0)],
        *[("true", True), ("False", False), ("~", None), ("null", None), ("", None)],
        *[("yes", "yes"), ("on", "on"), ("no", "no"), ("1:30", "1:30"), ("2026-01-31", "2026-01-31")],
        *[(".nan", ".nan"), (".inf", ".inf"), ("0x1f", "0x1f"), ("1_000", "1_000"), ("9" * 301, "9" * 301)],
    ],
)
def test_unquoted_words_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)
    assert parse(f"k: {text}").value == {"k": value}


@pytest.mark.parametrize("text", ["'12'", '"12"', "|\n  12", ">-\n  12"])
def test_quoted_words_are_text(text: str) -> None:
    assert parse(f"k: {text}\n").value["k"].strip() == "12"


def test_keys_are_the_text_that_was_written() -> None:
    assert parse("1: a\ntrue: b\n~: c\n").value == {"1": "a", "true": "b", "~": "c"}


def test_aliases_repeat_a_value() -> None:
    assert parse("a: &x {n: 1}\nb: *x\nc: [*x]\n").value == {"a": {"n": 1}, "b": {"n": 1}, "c": [{"n": 1}]}


LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 60))

REFUSED = {
    "an open bracket": ("a: [1", ["f.yaml:1:6: " + syntax("expected ',' or ']', but got '<stream end>'")]),
    "a mapping in a line": ("a: b: c", ["f.yaml:1:5: " + syntax("mapping values are not allowed here")]),
    "a tab": ("a:\n\t- b", ["f.yaml:2:1: " + syntax("found character '\\t' that cannot start any token")]),
    "an impossible escape": ('a: "\\UFFFFFFFF"', ["f.yaml:1:7: " + syntax("a number is out of range")]),
    "an impossible version": ("%YAML 1." + "9" * 5000, ["f.yaml:1:9: " + syntax("a number is out of range")]),
    "a control character": ("a: 1\nb: \x00", ["f.yaml:2:4: a control character is not allowed in YAML"]),
    "half a character": ('a: "\\ud800"', ["f.yaml:1:4: half of a surrogate pair is not a character"]),
    "Latin-1": (b"a: b\nc: caf\xe9", ["f.yaml:2:7: not UTF-8; save the file in UTF-8"]),
    "UTF-16": ("a: b".encode("utf-16"), ["f.yaml:1:1: not UTF-8; save the file in UTF-8"]),
    "two documents": (
        "a: 1\n---\nb: 2\n",
        ["f.yaml:2:1: a second document starts here; a configuration file holds one"],
    ),
    "a Python object": (
        "x: !!python/object/apply:os.system ['true']\n",
        ["f.yaml:1:4: tag '!!python/object/apply:os.system' is not allowed; for text use quotes"],
    ),
    "a tag of its own": ("x: !env HOME\n", ["f.yaml:1:4: tag '!env' is not allowed; for text use quotes"]),
    "a merge key": ("a: &a {n: 1}\n<<: *a\n", ["f.yaml:2:1: merge key '<<' is not supported; write the keys out"]),
    "a list as key": ("? [x]\n: 1\n", ["f.yaml:1:3: a list or mapping cannot be a key; write text"]),
    "an unknown alias": ("a: *nobody\n", ["f.yaml:1:4: alias '*nobody' names no value that stands before it"]),
    "a value that contains itself": ("a: &x [*x]\n", ["f.yaml:1:8: alias '*x' names no value that stands before it"]),
    "deep nesting": ("[" * 100_000, [f"f.yaml:1:33: nested deeper than {MAX_DEPTH} levels"]),
    "deep nesting of mappings": ("{a: " * 5000, [f"f.yaml:1:129: nested deeper than {MAX_DEPTH} levels"]),
    "deep nesting by aliases": (CHAIN, [f"f.yaml:31:12: nested deeper than {MAX_DEPTH} levels"]),
    "a billion laughs": (
        LAUGHS,
        [f"f.yaml:6:8: more than {MAX_VALUES} values, aliases expanded; this is not a configuration"],
    ),
}


@pytest.mark.parametrize(("text", "lines"), REFUSED.values(), ids=REFUSED.keys())
def test_a_hostile_or_broken_text_is_refused_with_its_place(text: bytes | str, lines: list[str]) -> None:
    assert parse(text).lines() == lines


def test_all_faults_that_leave_the_structure_readable_are_reported_at_once() -> None:
    lines = parse("a: 1\nb: !x 2\na: 3\nb: 4\n").lines()
    assert lines == [
        "f.yaml:2:4: tag '!x' is not allowed; for text use quotes",
        "f.yaml:3:1: key 'a' is given twice (first in line 1)",
        "f.yaml:4:1: key 'b' is given twice (first in line 2)",
    ]


def test_a_byte_order_mark_is_not_part_of_the_first_key() -> None:
    assert parse(b"\xef\xbb\xbfa: 1").value == {"a": 1}


def test_the_folder_of_a_file_is_where_its_paths_start(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("a: 1")
    document = Document.load(tmp_path / "f.yaml")
    assert (document.value, document.folder, document.name) == ({"a": 1}, tmp_path, str(tmp_path / "f.yaml"))


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as stream:
        stream.truncate(50 * 1024**3)
    message = f"{path}: is larger than {MAX_BYTES} bytes; this is not a configuration file"
    assert Document.load(path).lines() == [message]


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    message = "is not a regular file; give the path of a YAML file"
    assert Document.load(tmp_path).lines() == [f"{tmp_path}: {message}"]
    pipe = tmp_path / "pipe"
    if hasattr(os, "mkfifo"):
        os.mkfifo(pipe)
        assert Document.load(pipe).lines() == [f"{pipe}: {message}"]


def test_a_missing_file_is_a_problem_and_no_exception(tmp_path: Path) -> None:
    document = Document.load(tmp_path / "no.yaml")
    assert document.lines() == [f"{tmp_path / 'no.yaml'}: cannot be read: No such file or directory"]
    assert document.value is None


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_no_input_makes_it_raise(data: bytes | str) -> None:
    document = parse(data)
    assert document.root is not None or document.problems


@given(st.text(alphabet="ab:-[]{},&*!|>'\"#?% \n\t~1", max_size=80))
def test_no_text_that_looks_like_yaml_makes_it_raise(text: str) -> None:
    document = parse(text)
    assert document.root is not None or document.problems


def test_python_data_becomes_a_tree_without_places() -> None:
    data = {"a": [1, 2.5, True, None, "x"], "b": {"c": ("y",)}, "d": Path("p")}
    tree = Node.of(data)
    assert tree.plain() == {"a": [1, 2.5, True, None, "x"], "b": {"c": ["y"]}, "d": "p"}
    assert (tree.line, tree.at(("b", "c", 0)).line) == (0, 0)
