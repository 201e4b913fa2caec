"""What may be kept of prompts and answers: nothing by default; else capped, then masked by the user's function."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from attune_monitoring.config import ContentConfig
from attune_monitoring.scope import HOOKS

__all__ = ["keeper"]

_WITHHELD = "[withheld: the mask function failed]"


def keeper(config: ContentConfig) -> Callable[[str], str] | None:
    """Return what caps and masks a text, or None where content is not kept.

    The length is capped first: a mask that scans must not be handed megabytes. A mask that fails lets nothing through.
    """
    if not config.on_spans:
        return None
    limit = config.max_length
    mask = _load(config.mask) if config.mask else None

    def keep(text: str) -> str:
        capped = text if len(text) <= limit else f"{text[:limit]}… [{len(text) - limit} more characters]"
        if mask is None:
            return capped
        try:
            return str(mask(capped))
        except Exception as error:
            HOOKS.failed("the mask function", error)
            return _WITHHELD

    return keep


def _load(name: str) -> Callable[[str], object]:
    module, _, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        HOOKS.failed(f"loading the mask function {name}", error)
        return lambda _: _WITHHELD
    return function  # type: ignore[no-any-return]
