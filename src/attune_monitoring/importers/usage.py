"""`usage.jsonl` of the Empathy Framework's usage tracker (3.9 and later, and attune-ai), to calls."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from attune_monitoring.errors import SourceError
from attune_monitoring.mapping import Pricer
from attune_monitoring.mapping.values import count_of, number_of
from attune_monitoring.records import LLMCallRecord
from attune_monitoring.semconv import PROVIDER_ALIASES

from .contract import Found, call_found, record_keys
from .reading import NOT_JSON, Reading, decoded

__all__ = ["SCOPE", "UsageImporter"]

SCOPE = "attune.import.usage"

_NOBODY = hashlib.sha256(b"default").hexdigest()[:16]
"""What the tracker writes for the user where it was told none."""
_COPY_SECONDS = 1.0
_TIERS = frozenset({"cheap", "capable", "premium"})


class _Entry(NamedTuple):
    """What two entries of the same call have in common, and when each was written."""

    what: tuple[Any, ...]
    time: float
    duration: int


class UsageImporter:
    """Reads `usage.jsonl` and its rotated files.

    Args:
        pricing: what the same tokens cost at the premium model, and the cost where an entry has none.
    """

    repeats = False

    def __init__(self, pricing: Pricer) -> None:
        self._pricing = pricing

    def files(self, path: Path) -> list[Path]:
        """Return the file, or `usage.jsonl` and its rotated files of a folder, oldest first.

        Raises:
            SourceError: the folder has none.
        """
        if not path.is_dir():
            return [path]
        found = sorted(path.glob("usage.*.jsonl")) + sorted(path.glob("usage.jsonl"))
        if not found:
            raise SourceError(f"{path}: no usage.jsonl in it; name the tracker's folder or file")
        return found

    def find(self, files: Sequence[Path], reading: Reading) -> Iterator[Found]:
        """Yield the calls."""
        for path in files:
            before: _Entry | None = None
            for line in reading.lines(path):
                data = decoded(line)
                if not isinstance(data, dict):
                    reading.skip(NOT_JSON if data is None else "not an entry of the usage tracker", line)
                    continue
                moment = _time(data.get("ts"))
                if moment is None or not isinstance(data.get("model"), str):
                    reading.skip("not an entry of the usage tracker: no time or no model", line)
                    continue
                entry = _entry(data, moment)
                if _object(data.get("cache")).get("hit") is True:
                    reading.skip("answered from the framework's own cache: no call was made", line)
                elif before is not None and _is_copy(entry, before):
                    reading.skip("a stage's copy of the call before it", line)
                    before = None
                    continue
                else:
                    yield call_found(self._record(data, moment, line))
                before = entry

    keys = staticmethod(record_keys)

    def _record(self, data: dict[str, Any], moment: datetime, line: bytes) -> LLMCallRecord:
        tokens, cached = _object(data.get("tokens")), _object(data.get("prompt_cache"))
        read, written = count_of(cached.get("read_tokens")), count_of(cached.get("creation_tokens"))
        used, output = count_of(tokens.get("input")), count_of(tokens.get("output"))
        if used is not None:  # the tracker passes on Anthropic's count, which excludes cached tokens
            used += (read or 0) + (written or 0)
        provider = (_text(data.get("provider")) or "unknown").lower()
        provider = PROVIDER_ALIASES.get(provider, provider)
        model = data["model"]
        priced, source, baseline, tier = self._pricing.quote(
            provider, model, used, output, read or 0, written or 0, 0, 0, None, moment.timestamp()
        )
        cost = number_of(data.get("cost"))
        if cost is not None and cost >= 0:
            source = "caller"
        else:
            cost, source = priced, source if priced is not None else "unknown"
        named = (_text(data.get("tier")) or "").lower()
        user = _text(data.get("user_id"))
        return LLMCallRecord(
            call_id=f"usage-{hashlib.blake2b(line.strip(), digest_size=12).hexdigest()}",
            timestamp=moment.isoformat().replace("+00:00", "Z"),
            workflow_name=_text(data.get("workflow")),
            step_name=_text(data.get("stage")),
            user_id=None if user == _NOBODY else user,
            provider=provider,
            tier=named if named in _TIERS else tier,
            model_id=model,
            input_tokens=used,
            output_tokens=output,
            estimated_cost=cost,
            latency_ms=count_of(data.get("duration_ms")) or 0,
            cache_read_tokens=read,
            cache_write_tokens=written,
            cost_source=source,
            baseline_cost=baseline if cost is not None else None,
            scope=SCOPE,
            scope_version=_text(data.get("v")),
        )


def _entry(data: Mapping[str, Any], moment: datetime) -> _Entry:
    what = [str(data.get(key)) for key in ("workflow", "stage", "tier", "model", "provider", "tokens")]
    return _Entry(tuple(what), moment.timestamp(), count_of(data.get("duration_ms")) or 0)


def _is_copy(entry: _Entry, before: _Entry) -> bool:
    """The tracker is told of a call when it returns, and of its stage when that ends: of one call, the same figures."""
    passed = entry.time - before.time
    return entry.what == before.what and 0 <= passed <= _COPY_SECONDS and entry.duration >= before.duration


def _time(value: object) -> datetime | None:
    """The tracker's times are UTC, with `Z` or without."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        return None if found is None else (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
