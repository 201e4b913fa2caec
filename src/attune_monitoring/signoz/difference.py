"""What differs between a document of ours and the one that the server keeps, apart from what the server adds itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attune_monitoring.redaction import redact

__all__ = ["differences", "lacking"]

_DEFAULTS: Final[Mapping[str, Any]] = {
    "decimalPrecision": "2",
    "fillMode": "none",
    "lineInterpolation": "spline",
    "lineStyle": "solid",
    "mode": "list",
    "position": "bottom",
    "sort": "none",
    "timePreference": "global_time",
}
"""What SigNoz writes into a dashboard where nothing was said, by key."""
_ALIASES: Final[Mapping[str, Mapping[Any, Any]]] = {"fieldDataType": {"float64": "number", "int": "number"}}
"""What SigNoz calls otherwise than it was told, by key."""
_SHOWN: Final = 60
_MISSING: Final = object()


def differences(kept: Any, wanted: Any) -> list[str]:
    """Return a line for each place at which two documents differ: `path: kept → wanted`; none where they are the same.

    What is null, false, empty or has the value that SigNoz takes by itself counts as not said.
    """
    one, another = ({} if said is _MISSING else said for said in (_said(kept), _said(wanted)))
    return [*_walk(one, another, "")]


def lacking(kept: Any, wanted: Any) -> list[str]:
    """Return the paths at which `kept` has not what `wanted` says; what it says beyond that does not count.

    The values are not told: there may be secrets among them.
    """
    return [*_lacking(kept, wanted, "")]


def _said(value: Any, key: str = "") -> Any:
    """Return a document without what counts as not said."""
    if isinstance(value, Mapping):
        inner = {name: _said(item, name) for name, item in value.items()}
        return {name: item for name, item in inner.items() if item is not _MISSING} or _MISSING
    if isinstance(value, (list, tuple)):
        return [None if item is _MISSING else item for item in map(_said, value)] or _MISSING
    value = _ALIASES.get(key, {}).get(value, value)
    unsaid = value is None or value is False or value == "" or (key in _DEFAULTS and value == _DEFAULTS[key])
    return _MISSING if unsaid else value


def _walk(kept: Any, wanted: Any, path: str) -> Iterator[str]:
    if isinstance(kept, Mapping) and isinstance(wanted, Mapping):
        for name in dict.fromkeys((*wanted, *kept)):
            place = f"{path}.{name}" if path else str(name)
            yield from _walk(kept.get(name, _MISSING), wanted.get(name, _MISSING), place)
    elif isinstance(kept, list) and isinstance(wanted, list):
        for number in range(max(len(kept), len(wanted))):
            yield from _walk(_item(kept, number), _item(wanted, number), f"{path}[{number}]")
    elif kept != wanted:
        yield f"{path}: {_shown(kept)} → {_shown(wanted)}"


def _lacking(kept: Any, wanted: Any, path: str) -> Iterator[str]:
    if isinstance(kept, Mapping) and isinstance(wanted, Mapping):
        for name, item in wanted.items():
            yield from _lacking(kept.get(name), item, f"{path}.{name}" if path else str(name))
    elif isinstance(kept, list) and isinstance(wanted, list):
        if len(kept) != len(wanted):
            yield path
        for number, (one, another) in enumerate(zip(kept, wanted, strict=False)):
            yield from _lacking(one, another, f"{path}[{number}]")
    elif kept != wanted:
        yield path


def _item(items: Sequence[Any], number: int) -> Any:
    return items[number] if number < len(items) else _MISSING


def _shown(value: Any) -> str:
    if value is _MISSING:
        return "(nothing)"
    if isinstance(value, (Mapping, list)):
        return "{…}" if isinstance(value, Mapping) else "[…]"
    return redact(json.dumps(value, ensure_ascii=False), limit=_SHOWN)
