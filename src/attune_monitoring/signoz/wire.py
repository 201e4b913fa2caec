"""What every document for SigNoz is made of: strict structs, and reading them with all faults at once."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from attune_monitoring.errors import ConfigError

__all__ = ["Wire", "read", "refuse", "to_json"]

_T = TypeVar("_T")


class Wire(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """A part of a document: keys in camel case, unknown ones refused as the server refuses them.

    A field without a default is required; one with a default is left out of the JSON where it has it.
    """


def read(document: bytes | str | Any, kind: type[_T]) -> _T:
    """Return a document of that kind, from JSON text or from what JSON text was read into.

    Raises:
        ConfigError: it has unknown or missing fields, or values of the wrong type; says where.
    """
    try:
        if isinstance(document, (bytes, str)):
            return msgspec.json.decode(document, type=kind)
        return msgspec.convert(document, kind)
    except msgspec.DecodeError as error:  # a ValidationError is one
        raise ConfigError(f"{kind.__name__.lower()}: {error}") from error


def to_json(document: Wire) -> str:
    """Return a document as indented JSON with a line feed at its end; the same document gives the same text."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def refuse(what: str, problems: list[str]) -> None:
    """Raise ConfigError with every problem of a document, where there is one."""
    if problems:
        raise ConfigError([f"{what}: {problem}" for problem in problems])
