"""Session logs of Claude Code, to calls: one for each answer of the model, whatever the number of its lines."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from attune_monitoring.errors import SourceError
from attune_monitoring.mapping import Pricer
from attune_monitoring.mapping.values import count_of, number_of
from attune_monitoring.records import LLMCallRecord, parse_time
from attune_monitoring.responses import read_response

from .contract import Found, call_found, record_keys
from .reading import NOT_JSON, Reading, decoded

__all__ = ["SCOPE", "ClaudeCodeImporter"]

SCOPE = "attune.import.claude-code"
WORKFLOW = "claude-code"

_SETTLED_SECONDS = 600.0
"""A log that was written to more recently may be in the middle of its last answer."""
_MAX_OPEN = 10_000
"""Answers of a file whose further lines are waited for."""
_MAX_TIMES = 50_000
"""Lines of a file whose times are remembered, for how long the answer to them took."""


class _Head(msgspec.Struct):
    type: Any = None
    uuid: Any = None
    timestamp: Any = None


_decode_head = msgspec.json.Decoder(_Head).decode


class _Answer:
    """What the lines of one answer say together."""

    __slots__ = ("cost", "duration", "first", "last", "line", "message", "output", "reason", "tools")

    def __init__(self, asked: datetime | None) -> None:
        self.first = asked
        self.last: datetime | None = None
        self.line: dict[str, Any] = {}
        self.message: dict[str, Any] = {}
        self.output = -1
        self.reason: str | None = None
        self.tools: set[str] = set()
        self.cost: float | None = None
        self.duration: int | None = None

    def add(self, line: dict[str, Any], message: dict[str, Any], when: datetime) -> None:
        # Each line repeats the usage as it was when its block was done: the largest is the complete one.
        output = count_of(message["usage"].get("output_tokens")) or 0
        if output >= self.output:
            self.line, self.message, self.output = line, message, output
        self.first = when if self.first is None else self.first
        self.last = when if self.last is None else max(self.last, when)
        reason = message.get("stop_reason")
        self.reason = reason if isinstance(reason, str) and reason else self.reason
        content = message.get("content")
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and block.get("type") == "tool_use":
                self.tools.add(str(block.get("id")))
        cost = number_of(line.get("costUSD"))
        self.cost = cost if cost is not None and cost > 0 else self.cost
        duration = count_of(line.get("durationMs"))
        self.duration = duration if duration is not None else self.duration


class ClaudeCodeImporter:
    """Reads one session log, or all of a folder.

    Args:
        pricing: prices the calls; versions that reported costs in the log are taken at their word.
    """

    repeats = False

    def __init__(self, pricing: Pricer) -> None:
        self._pricing = pricing

    def files(self, path: Path) -> list[Path]:
        """Return the logs below a folder, those that ended first first: what a resumed session repeats is the older's.

        Raises:
            SourceError: there are none.
        """
        if not path.is_dir():
            return [path]
        found = [Path(folder, name) for folder, _, names in os.walk(path) for name in names if name.endswith(".jsonl")]
        if not found:
            raise SourceError(f"{path}: no session log (*.jsonl) below it; name the folder `projects` of Claude Code")
        return sorted(found, key=lambda file: (_written(file), file))

    def find(self, files: Sequence[Path], reading: Reading) -> Iterator[Found]:
        """Yield the calls."""
        for path in files:
            yield from self._file(path, reading)

    keys = staticmethod(record_keys)

    def _file(self, path: Path, reading: Reading) -> Iterator[Found]:
        answers: dict[str, _Answer] = {}
        times: dict[str, datetime] = {}
        last: str | None = None
        for text in reading.lines(path):
            try:
                head = _decode_head(text)
            except (ValueError, RecursionError):
                reading.skip(NOT_JSON, text)
                continue
            when = _time(head.timestamp)
            last = None
            if head.type == "assistant":
                line = decoded(text)
                message = line.get("message") if isinstance(line, dict) else None
                if when is None or not isinstance(message, dict) or not isinstance(message.get("usage"), dict):
                    reading.skip("answer without a time or usage", text)
                elif message.get("model") != "<synthetic>":  # which the program wrote itself
                    last = _identity(line, message, text)
                    answer = answers.get(last)
                    if answer is None:
                        if len(answers) >= _MAX_OPEN:
                            oldest = next(iter(answers))
                            yield from self._found(oldest, answers.pop(oldest), reading)
                        answer = answers[last] = _Answer(times.get(str(line.get("parentUuid"))))
                    answer.add(line, message, when)
            if isinstance(head.uuid, str) and when is not None:
                times[head.uuid] = when
                if len(times) > _MAX_TIMES:
                    del times[next(iter(times))]
        if last is not None and answers[last].reason is None and time.time() - _written(path) < _SETTLED_SECONDS:
            del answers[last]
            reading.skip("answer that is still being written; import again later")
        for identity, answer in answers.items():
            yield from self._found(identity, answer, reading)

    def _found(self, identity: str, answer: _Answer, reading: Reading) -> Iterator[Found]:
        info = read_response({**answer.message, "type": "message", "role": "assistant"})
        if info is None or answer.first is None or answer.last is None:
            reading.skip("answer that cannot be read")
            return
        line = answer.line
        provider, model = info.provider or "unknown", info.model or ""
        priced, source, baseline, tier = self._pricing.quote(
            provider,
            model,
            info.input_tokens,
            info.output_tokens,
            info.cache_read_tokens or 0,
            info.cache_write_tokens or 0,
            info.cache_write_1h_tokens or 0,
            info.server_tool_calls,
            info.service_tier,
            answer.last.timestamp(),
        )
        reported = answer.cost
        cost = reported if reported is not None else priced
        took = max(0, round((answer.last - answer.first).total_seconds() * 1000))
        yield call_found(
            LLMCallRecord(
                call_id=identity,
                timestamp=answer.last.isoformat().replace("+00:00", "Z"),
                workflow_name=WORKFLOW,
                step_name="subagent" if line.get("isSidechain") is True or line.get("agentId") else None,
                session_id=_text(line.get("sessionId")),
                provider=provider,
                tier=tier,
                model_id=model,
                input_tokens=info.input_tokens,
                output_tokens=info.output_tokens,
                estimated_cost=cost,
                actual_cost=reported,
                latency_ms=answer.duration if answer.duration is not None else took,
                metadata={key: value for key in ("requestId", "agentId") if (value := _text(line.get(key)))},
                request_model=model or None,
                response_id=info.response_id,
                cache_read_tokens=info.cache_read_tokens,
                cache_write_tokens=info.cache_write_tokens,
                cache_write_1h_tokens=info.cache_write_1h_tokens,
                reasoning_tokens=info.reasoning_tokens,
                finish_reasons=[answer.reason] if answer.reason else [],
                tool_calls=len(answer.tools),
                server_tool_calls=info.server_tool_calls,
                service_tier=info.service_tier,
                cost_source="reported" if reported is not None else source if cost is not None else "unknown",
                baseline_cost=baseline if cost is not None else None,
                usage_complete=info.usage_complete,
                project=_last_part(line.get("cwd")),
                scope=SCOPE,
                scope_version=_text(line.get("version")),
                service=WORKFLOW,
            )
        )


def _identity(line: dict[str, Any], message: dict[str, Any], text: bytes) -> str:
    # The request's id is no part of it: gateways and newer versions leave it out on some lines.
    return _text(message.get("id")) or _text(line.get("uuid")) or hashlib.blake2b(text, digest_size=16).hexdigest()


def _time(value: object) -> datetime | None:
    try:
        return parse_time(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _last_part(folder: object) -> str | None:
    parts = [part for part in re.split(r"[\\/]+", folder) if part] if isinstance(folder, str) else []
    return parts[-1] if parts else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
