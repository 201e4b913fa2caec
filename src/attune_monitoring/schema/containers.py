"""Declared lists and mappings, sections of known keys, and values of several kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Unpack
from urllib.parse import unquote

from attune_monitoring.yamlfile import KeyPath, Node

from .spec import Checker, Common, RejectedError, Spec, nearest, shown

__all__ = ["any_of", "array", "from_environment", "layer", "mapping", "pairs", "section", "variant"]

_FILE = "_file"


def array(description: str, item: Spec, **common: Unpack[Common]) -> Spec:
    """A list of values of one kind."""

    def check(node: Node, path: KeyPath, checker: Checker) -> list[Any] | None:
        if not isinstance(node.value, list):
            checker.problem(node, path, f"expected a list, found {shown(node.value)}")
            return None
        values = [item.check(child, (*path, index), checker) for index, child in enumerate(node.value)]
        return [value for value in values if value is not None]

    return Spec(
        description=description,
        noun="a list",
        kinds=(list,),
        check=check,
        read=_unreadable,
        shape=lambda: {"type": "array", "items": item.schema()},
        **common,
    )


def mapping(description: str, value: Spec, **common: Unpack[Common]) -> Spec:
    """A read-only mapping of any keys to values of one kind; a variable gives it as `key=value,key=value`."""

    def check(node: Node, path: KeyPath, checker: Checker) -> Mapping[str, Any] | None:
        values = _entries(node, path, checker, lambda _: value)
        return None if values is None else MappingProxyType(values)

    def read(text: str) -> Mapping[str, Any]:
        return MappingProxyType({key: value.read(item) for key, item in pairs(text).items()})

    return Spec(
        description=description,
        noun="a mapping",
        kinds=(dict,),
        check=check,
        read=read,
        shape=lambda: {"type": "object", "additionalProperties": _or_null(value.schema())},
        secret=value.secret,
        **common,
    )


def section(description: str, keys: Mapping[str, Spec], **common: Unpack[Common]) -> Spec:
    """A mapping of known keys; every other key is a problem."""

    def check(node: Node, path: KeyPath, checker: Checker) -> dict[str, Any] | None:
        values = _entries(node, path, checker, keys.get, tuple(keys))
        given = {key for key, child in node.children.items() if child.value is not None}
        for key, spec in keys.items():
            if values is not None and spec.required and not given & {key, key + _FILE}:
                checker.problem(node, path, f"key '{key}' is missing ({spec.description})")
        return values

    def shape() -> dict[str, Any]:
        properties = {}
        for key, spec in keys.items():
            properties[key] = spec.schema() if spec.required else _or_null(spec.schema())
            if spec.may_be_file:
                properties[key + _FILE] = {"description": f"File that holds '{key}'.", "type": ["string", "null"]}
        described: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
        if required := [key for key, spec in keys.items() if spec.required and not spec.may_be_file]:
            described["required"] = required
        if either := [key for key, spec in keys.items() if spec.required and spec.may_be_file]:
            described["allOf"] = [{"anyOf": [{"required": [key]}, {"required": [key + _FILE]}]} for key in either]
        return described

    return Spec(
        description=description,
        noun="a mapping",
        kinds=(dict,),
        check=check,
        read=_unreadable,
        shape=shape,
        keys=keys,
        **common,
    )


def variant(description: str, tag: str, sections: Mapping[str, Spec], **common: Unpack[Common]) -> Spec:
    """A section whose keys depend on the word at its key `tag`, which every one of the sections declares."""
    known = ", ".join(sections)
    noun = f"a mapping with the key '{tag}'"

    def check(node: Node, path: KeyPath, checker: Checker) -> Any:
        if not isinstance(node.value, dict):
            checker.problem(node, path, f"expected {noun}, found {shown(node.value)}")
        elif (named := node.value.get(tag)) is None or named.value is None:
            checker.problem(node, path, f"key '{tag}' is missing; known are {known}")
        elif not isinstance(named.value, str) or named.value not in sections:
            hint = nearest(named.value, sections)
            checker.problem(named, (*path, tag), f"expected one of {known}, found {shown(named.value)}{hint}")
        else:
            return sections[named.value].check(node, path, checker)
        return None

    def shape() -> dict[str, Any]:
        return {"anyOf": [one.schema() for one in sections.values()]}

    return Spec(description=description, noun=noun, kinds=(dict,), check=check, read=_unreadable, shape=shape, **common)


def any_of(description: str, *options: Spec, **common: Unpack[Common]) -> Spec:
    """A value of one of several kinds; the first option that takes the value's type checks it."""
    noun = ", or ".join(option.noun for option in options)

    def check(node: Node, path: KeyPath, checker: Checker) -> Any:
        for option in options:
            if type(node.value) in option.kinds:
                return option.check(node, path, checker)
        checker.problem(node, path, f"expected {noun}, found {shown(node.value)}")
        return None

    def read(text: str) -> Any:
        for option in options:
            try:
                return option.read(text)
            except RejectedError:
                continue
        raise RejectedError(noun)

    return Spec(
        description=description,
        noun=noun,
        kinds=tuple(kind for option in options for kind in option.kinds),
        check=check,
        read=read,
        shape=lambda: {"anyOf": [option.schema() for option in options]},
        **common,
    )


def pairs(text: str) -> dict[str, str]:
    """Return `key=value,key=value`, percent-encoded, as a mapping; OpenTelemetry's variables are written so.

    Raises:
        RejectedError: an item has no `=` or no key.
    """
    found = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            raise RejectedError("key=value pairs with commas between them")
        found[unquote(key.strip())] = unquote(value.strip())
    return found


def from_environment(spec: Spec, environ: Mapping[str, str]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return the values that variables give to a section's keys, and what is wrong with the others.

    An empty variable counts as unset.

    Returns:
        The values, nested like the section; and (variable, message) for each that cannot be read.
    """
    values: dict[str, Any] = {}
    wrong: list[tuple[str, str]] = []
    for key, child in spec.keys.items():
        if child.keys:
            inner, problems = from_environment(child, environ)
            wrong += problems
            if inner:
                values[key] = inner
        for variable in child.env:
            text = environ.get(variable, "").strip()
            if not text:
                continue
            try:
                values[key] = child.read(text)
                break
            except RejectedError as error:
                found = "another value" if child.secret else shown(text)
                wrong.append((variable, f"expected {error.expected}, found {found}{error.hint}"))
    return values, wrong


def layer(*values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a section laid over each other, later ones above.

    Inner sections (dicts) are merged key by key; lists and mappings of free keys are replaced as a whole.
    """
    merged: dict[str, Any] = {}
    for layer_values in values:
        for key, value in layer_values.items():
            below = merged.get(key)
            if isinstance(below, dict) and isinstance(value, dict):
                merged[key] = layer(below, value)
            else:
                merged[key] = value
    return merged


def _unreadable(_: str) -> Any:
    raise RejectedError("no variable")


def _entries(
    node: Node, path: KeyPath, checker: Checker, find: Callable[[str], Spec | None], known: tuple[str, ...] = ()
) -> dict[str, Any] | None:
    """Return the checked values of a mapping; a key without a value counts as absent, K_file holds the secret K."""
    if not isinstance(node.value, dict):
        checker.problem(node, path, f"expected a mapping, found {shown(node.value)}")
        return None
    values: dict[str, Any] = {}
    for key, child in node.value.items():
        target = key.removesuffix(_FILE)
        base = find(target) if target != key else None
        from_file = base is not None and base.may_be_file
        spec = base if from_file else find(key)
        if spec is None:
            hint = nearest(key, known) or f"; known are {', '.join(known)}"
            checker.problem_at_key(child, path, f"unknown key {shown(key)}{hint}")
        elif child.value is None:
            continue
        elif not from_file:
            value = spec.check(child, (*path, key), checker)
            if value is not None:
                values[key] = value
        elif target in node.value:
            checker.problem_at_key(child, path, f"give either '{target}' or '{key}', not both")
        elif (secret := checker.secret_file(child, (*path, key))) is not None:
            values[target] = secret
    return values


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Let a key stand without a value, which means the same as leaving it out."""
    if "enum" in schema:
        return schema | {"enum": [*schema["enum"], None]}
    if "anyOf" in schema:
        return schema | {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    kinds = schema.get("type", [])
    return schema | {"type": [*([kinds] if isinstance(kinds, str) else kinds), "null"]} if kinds else schema
