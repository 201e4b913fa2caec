"""Which kinds of sources there are, what kind a path is, and where on this machine there may be some."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from attune_monitoring.errors import MonitoringError, SourceError
from attune_monitoring.mapping import Pricer
from attune_monitoring.store import segments

from .claude_code import ClaudeCodeImporter
from .contract import STREAMS, Importer
from .folder import FolderImporter
from .otlp_json import OtlpJsonImporter, is_otlp
from .reading import Reading, decoded
from .usage import UsageImporter

__all__ = ["KINDS", "Source", "discover", "importer_of", "recognise"]

KINDS: dict[str, Callable[[Pricer, Path], Importer]] = {
    "folder": lambda _, into: FolderImporter(into),
    "usage": lambda pricing, _: UsageImporter(pricing),
    "otlp": lambda pricing, _: OtlpJsonImporter(pricing),
    "claude-code": lambda pricing, _: ClaudeCodeImporter(pricing),
}
"""Name of each kind, and what makes its importer: from a price list, and the folder that is imported into."""

_LOOKED_AT = 20
"""Values of a file, and files of a folder, after which its kind is not looked for any more."""


class Source(NamedTuple):
    """Something that can be imported."""

    kind: str
    path: Path


def importer_of(kind: str, pricing: Pricer, into: Path) -> Importer:
    """Return the importer of a kind, which is one of `KINDS`."""
    return KINDS[kind](pricing, into)


def recognise(path: Path) -> str:
    """Return what kind of source a path is, from its name and its first lines.

    Raises:
        SourceError: it is not there, or of no known kind.
    """
    if not path.exists():
        raise SourceError(f"{path}: there is no such file or folder")
    kind = _kind_of_folder(path) if path.is_dir() else _kind_of_file(path)
    if kind is None:
        nested = next((path / name for name in (".empathy", ".attune") if _has_segments(path / name)), None)
        hint = f"; did you mean {nested}?" if nested else f"; say what it is with --from ({', '.join(KINDS)})"
        raise SourceError(f"{path}: neither its name nor its first lines tell what it is{hint}")
    return kind


def discover(env: Mapping[str, str], pricing: Pricer, into: Path) -> list[Source]:
    """Return what there is to import in the places where the programs of each kind keep it.

    Args:
        env: the environment variables; HOME, CLAUDE_CONFIG_DIR and XDG_CONFIG_HOME say where those places are.
        pricing: see `importer_of`.
        into: the folder that would be imported into.
    """
    home = Path(env.get("HOME") or env.get("USERPROFILE") or os.path.expanduser("~"))  # noqa: PTH111 - never raises
    if named := env.get("CLAUDE_CONFIG_DIR"):
        claude = [Path(one.strip()) for one in named.split(",") if one.strip()]
    else:
        claude = [Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "claude", home / ".claude"]
    places = [Source("claude-code", one / "projects") for one in claude]
    places += [Source("usage", home / name / "telemetry") for name in (".empathy", ".attune")]
    return [one for one in places if _has_files(one, pricing, into)]


def _has_files(source: Source, pricing: Pricer, into: Path) -> bool:
    try:
        return source.path.is_dir() and bool(importer_of(source.kind, pricing, into).files(source.path))
    except (MonitoringError, OSError):
        return False


def _has_segments(folder: Path) -> bool:
    return any(segments(folder, stream) for stream in STREAMS)


def _kind_of_folder(folder: Path) -> str | None:
    if any(folder.glob("usage*.jsonl")):
        return "usage"
    if _has_segments(folder):
        return "folder"
    looked_at = 0
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.endswith((".json", ".jsonl", ".gz")):
                kind = _kind_of_file(Path(parent, name))
                # Records of ours below a folder are those of another folder, which is to be named itself.
                if kind in ("otlp", "claude-code"):
                    return kind
                looked_at += 1
                if looked_at >= _LOOKED_AT:
                    return None
    return None


def _kind_of_file(path: Path) -> str | None:
    for place, line in enumerate(Reading().lines(path)):
        kind = _kind_of_value(decoded(line))
        if kind is not None:
            return kind
        if place >= _LOOKED_AT:
            break
    # JSON over several lines.
    for place, value in enumerate(Reading().values(path, is_otlp)):
        if is_otlp(value):
            return "otlp"
        if place >= _LOOKED_AT:
            break
    return None


def _kind_of_value(value: Any) -> str | None:
    if is_otlp(value):
        return "otlp"
    if not isinstance(value, dict):
        return None
    if "call_id" in value or ("run_id" in value and "workflow_name" in value):
        return "folder"
    if "ts" in value and "model" in value and "workflow" in value:
        return "usage"
    return "claude-code" if "sessionId" in value and "type" in value else None
