"""Loads VCR recordings (YAML): what was asked, and what came back, decoded.

Next to `interactions` a file of ours has `expected`: for each interaction what must be read from it, written by hand;
null when there is nothing to read.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from attune_monitoring.responses import ResponseInfo, StreamReader

__all__ = [
    "RECORDINGS",
    "Interaction",
    "UnreadableBodyError",
    "expectation",
    "load",
    "load_each",
    "load_folder",
    "read_stream",
    "recorded",
]

RECORDINGS = Path(__file__).parent / "recordings"
"""Our own recordings."""

_SHORT = {
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "cache_write_1h": "cache_write_1h_tokens",
    "reasoning": "reasoning_tokens",
}
_LINE_END = re.compile(r"\r\n|\n|\r")  # str.splitlines() would also split inside JSON strings
_GZIP = b"\x1f\x8b"


class UnreadableBodyError(Exception):
    """A body in an encoding that needs a library beyond the standard one; the message says which."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Knows the tags that recorders under Python 2 have left behind."""


for _tag in ("unicode", "str"):
    _Loader.add_constructor(f"tag:yaml.org,2002:python/{_tag}", lambda loader, node: loader.construct_scalar(node))


@dataclass(frozen=True)
class Interaction:
    """One request and its response; `body` is not compressed, the names of headers are in lower case."""

    recording: str
    position: int
    method: str
    uri: str
    request: Any
    status: int
    headers: Mapping[str, str]
    body: bytes
    expected: Mapping[str, Any] | None

    @property
    def name(self) -> str:
        """For example `anthropic.yaml#0`."""
        return f"{self.recording}#{self.position}"

    @property
    def is_stream(self) -> bool:
        """Whether the body is a sequence of events rather than one JSON value."""
        kind = self.headers.get("content-type", "")
        return "event-stream" in kind or "ndjson" in kind or self.body.lstrip().startswith((b"data:", b"event:", b":"))

    def json(self) -> Any:
        """The body of a response that is not a stream."""
        return json.loads(self.body)

    def events(self) -> list[Any]:
        """The data of a stream's events, without the `[DONE]` that is not JSON."""
        lines = _LINE_END.split(self.body.decode())
        data = lines if "ndjson" in self.headers.get("content-type", "") else _sse_data(lines)
        texts = [text for text in data if text.strip() and text != "[DONE]"]
        events = [json.loads(text) for text in texts[:-1]]
        try:
            events += [json.loads(text) for text in texts[-1:]]
        except ValueError:  # the stream was cut within its last event
            pass
        return events


def load(path: Path) -> list[Interaction]:
    """The interactions of one recording.

    Raises:
        UnreadableBodyError: a body is compressed with brotli or zstandard, or in AWS's binary event format.
    """
    found = load_each(path)
    for interaction in found:
        if isinstance(interaction, UnreadableBodyError):
            raise interaction
    return [interaction for interaction in found if isinstance(interaction, Interaction)]


def load_each(path: Path) -> list[Interaction | UnreadableBodyError]:
    """The same, with the error in the place of each interaction that cannot be read.

    Raises:
        ValueError: the file is no recording.
    """
    document = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    interactions = document.get("interactions") if isinstance(document, dict) else None
    if not isinstance(interactions, list):
        raise ValueError(f"{path.name}: not a VCR recording: it has no list of `interactions`")
    expected = document.get("expected") or [None] * len(interactions)
    if len(expected) != len(interactions):
        raise ValueError(f"{path}: {len(interactions)} interactions, but `expected` has {len(expected)} entries")
    found: list[Interaction | UnreadableBodyError] = []
    for position, (interaction, wanted) in enumerate(zip(interactions, expected, strict=True)):
        try:
            found.append(_interaction(path.name, position, interaction, wanted))
        except UnreadableBodyError as error:
            found.append(error)
        except (AttributeError, KeyError, TypeError, ValueError, EOFError, OSError, zlib.error) as error:
            found.append(UnreadableBodyError(f"{path.name}#{position}: {type(error).__name__}: {error}"))
    return found


def load_folder(folder: Path) -> list[Interaction]:
    """The interactions of all recordings in a folder and those below it, by name."""
    return [interaction for path in sorted(folder.rglob("*.yaml")) for interaction in load(path)]


def recorded(name: str) -> Interaction:
    """One of our own, by name, for example `anthropic.yaml#0`."""
    file, _, position = name.partition("#")
    return load(RECORDINGS / file)[int(position)]


def expectation(interaction: Interaction) -> ResponseInfo | None:
    """What `expected` says must be read; a field that it does not mention must not be read either."""
    if interaction.expected is None:
        return None
    values = {_SHORT.get(k, k): v for k, v in interaction.expected.items() if k not in ("status", "finished")}
    values["finish_reasons"] = tuple(values.get("finish_reasons", ()))
    return ResponseInfo(**values)


def read_stream(chunks: Iterable[object]) -> tuple[ResponseInfo, bool]:
    """What a stream's chunks say, and whether it ended by itself."""
    reader = StreamReader()
    for chunk in chunks:
        reader.feed(chunk)
    return reader.result(), reader.finished


def _interaction(recording: str, position: int, interaction: Any, expected: Any) -> Interaction:
    request, response = interaction["request"], interaction["response"]
    headers = {name.lower(): _one(value) for name, value in (response.get("headers") or {}).items()}
    status = response.get("status") or {}
    return Interaction(
        recording=recording,
        position=position,
        method=request.get("method", "POST"),
        uri=request.get("uri", ""),
        request=_request(request),
        status=int(status["code"] if "code" in status else response.get("status_code", 200)),
        headers={name: value for name, value in headers.items() if name != "content-encoding"},
        body=_body(f"{recording}#{position}", response, headers),
        expected=expected,
    )


def _one(value: Any) -> str:
    return str(value[0] if isinstance(value, list) and value else value)


def _request(request: Any) -> Any:
    if "parsed_body" in request:
        return request["parsed_body"]
    body = request.get("body")
    if isinstance(body, dict):
        body = body.get("string")
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body


def _body(name: str, response: Any, headers: Mapping[str, str]) -> bytes:
    if "parsed_body" in response:
        return json.dumps(response["parsed_body"]).encode()
    body = response.get("body", response.get("content", ""))
    if isinstance(body, dict):
        body = base64.b64decode(body["base64_string"]) if "base64_string" in body else body.get("string", "")
    if isinstance(body, str):
        return body.encode()
    if body is None:
        return b""
    encoding = headers.get("content-encoding", "").lower()
    if body.startswith(_GZIP):
        return gzip.decompress(body)
    if encoding == "deflate":
        return zlib.decompress(body)
    if encoding in ("br", "zstd"):
        raise UnreadableBodyError(
            f"{name}: the body is compressed with {encoding}, which the standard library cannot read"
        )
    if "amazon.eventstream" in headers.get("content-type", ""):
        raise UnreadableBodyError(f"{name}: the body is in AWS's binary event format")
    return bytes(body)


def _sse_data(lines: Iterable[str]) -> Iterator[str]:
    data: list[str] = []
    for line in [*lines, ""]:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line.strip() and data:
            yield "\n".join(data)
            data = []
