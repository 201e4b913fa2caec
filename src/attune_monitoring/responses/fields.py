"""One way into every answer: SDK objects, dicts and typed objects as named fields, and their values checked.

Nothing is converted. Pydantic models are read from their `__dict__`, which costs a tenth of attribute access to a
missing field and runs no code of the model. Other objects are asked only for what their instance or class defines, so
a `__getattr__` that records, loads or raises is never run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from itertools import islice
from typing import Any, Protocol

__all__ = ["NOTHING", "Fields", "count", "fields", "items", "money", "number_of", "text"]


class Fields(Protocol):
    """Named values; an absent one is None."""

    def get(self, key: str, /) -> object:
        """The value of a field, or None."""
        ...


NOTHING: Fields = {}
"""What has no fields at all."""

_MAX_COUNT = 2**53
_MAX_USD = 1e9
_MAX_ITEMS = 4096
_MAX_TYPES = 1024

# Google's older message classes answer for their fields in `__getattr__`, which does no more than that.
_OPEN_PACKAGES = ("google", "proto", "vertexai")


class _Attributes:
    """Fields of an object that keeps them as attributes, properties or slots."""

    __slots__ = ("_node", "_own")

    def __init__(self, node: object) -> None:
        own = getattr(node, "__dict__", None)
        self._node = node
        self._own: dict[str, Any] = own if type(own) is dict else {}

    def get(self, key: str, /) -> object:
        """The instance's own value, else what the class defines."""
        value: object = self._own.get(key)
        if value is None and hasattr(type(self._node), key):
            value = _attribute(self._node, key)
        return value


class _OpenAttributes:
    """Fields of an object whose class answers for any name."""

    __slots__ = ("_node",)

    def __init__(self, node: object) -> None:
        self._node = node

    def get(self, key: str, /) -> object:
        """Whatever the object answers."""
        return _attribute(self._node, key)


def _attribute(node: object, key: str) -> object:
    try:
        return getattr(node, key, None)
    except Exception:
        return None


def _mapping(node: Fields) -> Fields:
    return node


def _model(node: Any) -> Fields:
    own: dict[str, Any] = node.__dict__
    extra = node.__pydantic_extra__
    return {**own, **extra} if extra else own


def _model_with_private(node: Any) -> Fields:
    private = node.__pydantic_private__
    return {**node.__dict__, **(node.__pydantic_extra__ or {}), **private} if private else _model(node)


def _nothing(_: object) -> Fields:
    return NOTHING


_SCALARS = (type(None), str, bytes, bytearray, int, float, bool, list, tuple, set, frozenset)
_VIEWS: dict[type, Callable[[Any], Fields]] = dict.fromkeys(_SCALARS, _nothing)


def fields(node: object) -> Fields:
    """The fields of anything; a value that has none gives NOTHING."""
    kind = type(node)
    if kind is dict:
        return node  # type: ignore[return-value]
    view = _VIEWS.get(kind)
    return (view or _learn(kind))(node)


def _learn(kind: type) -> Callable[[Any], Fields]:
    package = str(kind.__module__).partition(".")[0]
    view: Callable[[Any], Fields]
    if issubclass(kind, Mapping):
        view = _mapping
    elif issubclass(kind, (*_SCALARS[1:], type)):
        view = _nothing
    elif hasattr(kind, "__pydantic_extra__") and hasattr(kind, "__pydantic_fields__"):
        view = _model_with_private if package == "litellm" else _model
    elif package in _OPEN_PACKAGES:
        view = _OpenAttributes
    else:
        view = _Attributes
    if len(_VIEWS) < _MAX_TYPES:  # types made at run time (generic models) must not pile up
        _VIEWS[kind] = view
    return view


def items(node: object) -> Sequence[object]:
    """The members of a list; of anything else none."""
    if type(node) is list or type(node) is tuple:
        return node
    if node is None or isinstance(node, (str, bytes, bytearray)) or not isinstance(node, Sequence):
        return ()
    return tuple(islice(node, _MAX_ITEMS))


def number_of(node: object) -> int:
    """How many members a list has; of anything else 0."""
    return len(items(node)) if node else 0


def text(value: object, limit: int = 256) -> str | None:
    """A name or message: a string or enum member, cut at `limit` characters; None for an empty one or another type."""
    if type(value) is str:
        short = value[:limit]
        # Lone surrogates, which JSON can carry, would make every exporter fail.
        return (short if short.isascii() else short.encode(errors="replace").decode()) or None
    if value is None:
        return None
    if isinstance(value, Enum):
        return text(value.value, limit) or text(value.name, limit)
    return text(str.__str__(value), limit) if isinstance(value, str) else None


def count(value: object) -> int | None:
    """A number of tokens or calls; None for what cannot be one: negative, not whole, huge, a bool, another type."""
    if type(value) is int:
        return value if 0 <= value <= _MAX_COUNT else None
    if type(value) is float:
        return int(value) if 0 <= value <= _MAX_COUNT and value.is_integer() else None
    return None


def money(value: object, unit: float = 1.0) -> float | None:
    """An amount in USD, from so many units of it; None for what cannot be one: negative, not finite, huge, a bool."""
    if type(value) is float or type(value) is int:
        return value * unit if 0 <= value <= _MAX_USD / unit else None
    return None
