"""OTLP as JSON (the collector's and the SDK's file exporters, and the SDK's console exporter), to spans."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from attune_monitoring import semconv as sc
from attune_monitoring.errors import SourceError
from attune_monitoring.mapping import Origin, Pricer, SpanData
from attune_monitoring.mapping.values import number_of
from attune_monitoring.records import parse_time

from .contract import Found, record_keys
from .reading import Reading
from .traces import Traces

__all__ = ["OtlpJsonImporter", "is_otlp"]

_ENDINGS = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
_LATEST_NS = 253_402_300_800 * 1_000_000_000
"""The year 10000, which no calendar holds."""
_MAX_TEXT = 4096
"""Longer texts of other libraries are prompts and answers, which are not kept."""
_NUMBERS = frozenset(
    {
        sc.INPUT_TOKENS, sc.OUTPUT_TOKENS, sc.CACHE_READ_TOKENS, sc.CACHE_WRITE_TOKENS, sc.CACHE_WRITE_1H_TOKENS,
        sc.REASONING_TOKENS, sc.COST, sc.BASELINE_COST, sc.RETRY_COUNT, sc.TOOL_CALLS, sc.SERVER_TOOL_CALLS,
        sc.TIME_TO_FIRST_CHUNK, sc.CODE_LINE,
    }
)  # fmt: skip
"""Keys of our own spans that are taken as numbers without a further look."""


class OtlpJsonImporter:
    """Reads one file, or all of a folder; the spans of one trace may be anywhere in them.

    Args:
        pricing: prices the calls whose spans do not say what they cost.
    """

    repeats = False

    def __init__(self, pricing: Pricer) -> None:
        self._pricing = pricing

    def files(self, path: Path) -> list[Path]:
        """Return the files of a folder (`*.json`, `*.jsonl`, either with `.gz`) by name, as rotation numbers them.

        Raises:
            SourceError: there are none.
        """
        if not path.is_dir():
            return [path]
        found = sorted(Path(folder, name) for folder, _, names in os.walk(path) for name in names if _is_named(name))
        if not found:
            raise SourceError(f"{path}: no *.json, *.jsonl or *.gz file below it; name what a file exporter wrote")
        return found

    def find(self, files: Sequence[Path], reading: Reading) -> Iterator[Found]:
        """Yield the calls and runs that the spans stand for."""
        traces = Traces(self._pricing, reading.skip)
        for path in files:
            for value in reading.values(path, is_otlp):
                for one in value if isinstance(value, list) else [value]:
                    for span, origin in _spans(one, reading):
                        yield from traces.add(span, origin)
        yield from traces.finish()

    keys = staticmethod(record_keys)


def is_otlp(value: object) -> bool:
    """Return whether a JSON value is what an exporter writes at once."""
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, dict):
        return False
    return any(_get(value, key) is not None for key in ("resourceSpans", *_OTHER_SIGNALS)) or _is_console(value)


_OTHER_SIGNALS = {"resourceMetrics": "metrics", "resourceLogs": "logs", "resourceProfiles": "profiles"}


def _is_named(name: str) -> bool:
    return name.lower().endswith(_ENDINGS)


def _is_console(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("context"), dict) and "start_time" in value and "name" in value


def _spans(value: Any, reading: Reading) -> Iterator[tuple[SpanData, Origin]]:
    if not isinstance(value, dict):
        reading.skip("no OTLP")
        return
    if _is_console(value):
        yield from _valid(_console_span(value), _origin(_get(value, "resource"), ()), reading)
        return
    batches = _get(value, "resourceSpans")
    for key, signal in _OTHER_SIGNALS.items():
        if _get(value, key) is not None:
            reading.skip(f"{signal}, not spans")
            return
    if not isinstance(batches, list):
        reading.skip("no OTLP")
        return
    for batch in _objects(batches):
        origin = _origin(_get(batch, "resource"), _objects(_get(_object(_get(batch, "resource")), "attributes")))
        # The name before OTLP 0.15.
        scopes = _get(batch, "scopeSpans") or _get(batch, "instrumentationLibrarySpans")
        for group in _objects(scopes):
            scope = _object(_get(group, "scope") or _get(group, "instrumentationLibrary"))
            for span in _objects(_get(group, "spans")):
                yield from _valid(_otlp_span(span, scope), origin, reading)


def _valid(span: SpanData, origin: Origin, reading: Reading) -> Iterator[tuple[SpanData, Origin]]:
    if span.trace_id is None or span.span_id is None:
        reading.skip("span without a trace id or span id in hexadecimal")
    elif not 0 < span.end_ns < _LATEST_NS or not 0 < span.start_ns < _LATEST_NS:
        reading.skip("span that has no end, or no time that a calendar holds")
    else:
        span.start_ns = min(span.start_ns, span.end_ns)
        yield span, origin


def _otlp_span(span: Mapping[str, Any], scope: Mapping[str, Any]) -> SpanData:
    status = _object(_get(span, "status"))
    name = _text(scope.get("name"))
    failed = status.get("code") in (2, "2", "STATUS_CODE_ERROR")
    attributes = {
        key: value
        for one in _objects(_get(span, "attributes"))
        if isinstance(key := one.get("key"), str) and (value := _value(_get(one, "value"))) is not None
    }
    exceptions = [
        _exception({str(one.get("key")): _value(_get(one, "value")) for one in _objects(_get(event, "attributes"))})
        for event in _objects(_get(span, "events"))
        if event.get("name") == "exception"
    ]
    return SpanData(
        name=_text(span.get("name")) or "",
        attributes=_kept(attributes, own=name == sc.SCOPE),
        start_ns=_whole(_get(span, "startTimeUnixNano")),
        end_ns=_whole(_get(span, "endTimeUnixNano")),
        trace_id=_id(_get(span, "traceId"), 32),
        span_id=_id(_get(span, "spanId"), 16),
        parent_span_id=_id(_get(span, "parentSpanId"), 16),
        failed=failed,
        status_message=_text(status.get("message")) if failed else None,
        exceptions=exceptions if failed else (),
        scope=name,
        scope_version=_text(scope.get("version")),
    )


def _console_span(span: Mapping[str, Any]) -> SpanData:
    context, status = _object(span.get("context")), _object(span.get("status"))
    attributes = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in _object(span.get("attributes")).items()
        if value is not None and not isinstance(value, dict)
    }
    # The console exporter leaves out the scope; keys of ours stand on our spans only.
    own = any(key.startswith("attune.") for key in attributes)
    failed = status.get("status_code") == "ERROR"
    return SpanData(
        name=_text(span.get("name")) or "",
        attributes=_kept(attributes, own=own),
        start_ns=_nanoseconds(span.get("start_time")),
        end_ns=_nanoseconds(span.get("end_time")),
        trace_id=_id(context.get("trace_id"), 32),
        span_id=_id(context.get("span_id"), 16),
        parent_span_id=_id(span.get("parent_id"), 16),
        failed=failed,
        status_message=_text(status.get("description")) if failed else None,
        exceptions=[
            _exception(_object(event.get("attributes")))
            for event in _objects(span.get("events"))
            if failed and event.get("name") == "exception"
        ],
        scope=sc.SCOPE if own else None,
    )


def _kept(attributes: dict[str, Any], *, own: bool) -> dict[str, Any]:
    """The attributes that mapping may look at: none of spans that have nothing to do with models."""
    if not any(key.startswith(sc.GENAI_PREFIXES) for key in attributes):
        return {}
    return {
        key: value
        for key, value in attributes.items()
        if (key not in _NUMBERS or not own or type(value) in (int, float))
        and (not isinstance(value, str) or len(value) <= _MAX_TEXT or key.startswith("attune."))
    }


def _origin(resource: Any, pairs: Sequence[Mapping[str, Any]]) -> Origin:
    """The process that a resource describes: its attributes as `pairs`, or by name."""
    found = {str(one.get("key")): _value(_get(one, "value")) for one in pairs}
    if not pairs:
        found = _object(_get(_object(resource), "attributes"))
    pid = found.get("process.pid")
    return Origin(
        service=_text(found.get("service.name")),
        host=_text(found.get("host.name")),
        pid=pid if type(pid) is int else None,
    )


def _exception(attributes: Mapping[str, Any]) -> tuple[str | None, str | None]:
    return _text(attributes.get("exception.type")), _text(attributes.get("exception.message"))


def _value(value: Any) -> Any:
    """An AnyValue as the SDK would have it on a span; lists of anything but scalars, and maps, as JSON."""
    value = _object(value)
    for key in ("stringValue", "boolValue", "bytesValue"):
        found = _get(value, key)
        if isinstance(found, (str, bool)):
            return found
    if (found := _get(value, "intValue")) is not None:
        return _integer(found)
    if (found := _get(value, "doubleValue")) is not None:
        return number_of(found)
    if (found := _get(value, "arrayValue")) is not None:
        items = [_plain(item, 0) for item in _objects(_get(_object(found), "values"))]
        if all(isinstance(item, (str, bool, int, float)) for item in items):
            return tuple(items)
        return msgspec.json.encode(items).decode()
    if _get(value, "kvlistValue") is not None:
        return msgspec.json.encode(_plain(value, 0)).decode()
    return None


def _plain(value: Any, depth: int) -> Any:
    value = _object(value)
    if depth < 32 and (found := _get(value, "kvlistValue")) is not None:
        pairs = _objects(_get(_object(found), "values"))
        return {str(pair.get("key")): _plain(_get(pair, "value"), depth + 1) for pair in pairs}
    if depth < 32 and (found := _get(value, "arrayValue")) is not None:
        return [_plain(item, depth + 1) for item in _objects(_get(_object(found), "values"))]
    return None if "kvlistValue" in value or "arrayValue" in value else _value(value)


def _get(value: Mapping[str, Any], key: str) -> Any:
    """A field under its name in JSON, or that of the protocol buffer, which parsers of JSON must take as well."""
    found = value.get(key)
    return found if found is not None else value.get(_snake(key))


@functools.cache
def _snake(key: str) -> str:
    return re.sub("[A-Z]", lambda match: f"_{match[0].lower()}", key)


_HEXADECIMAL = re.compile("[0-9a-f]+")


def _id(value: object, length: int) -> str | None:
    text = value.lower().removeprefix("0x") if isinstance(value, str) else ""
    return text if len(text) == length and _HEXADECIMAL.fullmatch(text) and text.strip("0") else None


def _integer(value: object) -> int | None:
    # 64-bit integers are text in protocol buffers' JSON.
    try:
        number = int(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else None
    except ValueError:
        return None
    return number if number is not None and -(2**63) <= number < 2**63 else None


def _whole(value: object) -> int:
    return _integer(value) or 0


def _nanoseconds(value: object) -> int:
    try:
        moment = parse_time(value) if isinstance(value, str) else None
    except ValueError:
        return 0
    return 0 if moment is None else int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
