"""Takes an action's own secrets out of whatever is shown, stored or raised about it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from attune_monitoring.alerts import template
from attune_monitoring.redaction import MASK, redact

from .contract import ActionType, Options, Secret

__all__ = ["mask_text", "masked", "secrets_of"]

_SHORTEST = 4
_SHORTEST_PIECE = 6
_BETWEEN = re.compile(r"[/?&=#@:;,]+")


def secrets_of(kind: ActionType, options: Options, *, constants: bool = False) -> tuple[str, ...]:
    """Return every text that must not be shown, the longest first: secret options, and the pieces of URLs among them.

    Args:
        kind: declares which options are secret.
        options: the values.
        constants: also the constant texts of a body, among which services have their keys; a receiver may repeat them.
    """
    found: set[str] = set()
    for key, spec in (kind.options or {}).items():
        texts = list(template.leaves(options[key]))
        if spec.secret:
            found.update(texts)
            found.update(piece for text in texts if "://" in text for piece in _pieces(text))
        elif key in kind.templates:
            for text in texts:
                if isinstance(text, Secret) or (constants and spec.kinds != (str,) and template.is_constant(text)):
                    found.add(template.fill(text, {}))
    found.update([*map(unquote, found), *map(quote, found)])
    return tuple(sorted((text for text in found if len(text) >= _SHORTEST), key=len, reverse=True))


def mask_text(text: object, secrets: Sequence[str]) -> str:
    """Return a text without these secrets, and without what looks like any other."""
    shown = str(text)
    for secret in secrets:
        shown = shown.replace(secret, MASK)
    return redact(shown, limit=1000)


def masked(data: Any, secrets: Sequence[str]) -> Any:
    """Return JSON-like data without these secrets in its texts."""
    if isinstance(data, str):
        for secret in secrets:
            data = data.replace(secret, MASK)
        return data
    if isinstance(data, Mapping):
        return {key: masked(value, secrets) for key, value in data.items()}
    return [masked(item, secrets) for item in data] if isinstance(data, (list, tuple)) else data


def _pieces(url: str) -> Iterator[str]:
    yield from (piece for piece in _BETWEEN.split(url) if len(piece) >= _SHORTEST_PIECE)
    path = url.partition("://")[2].partition("/")[2]
    if len(path) >= _SHORTEST_PIECE:
        yield path
