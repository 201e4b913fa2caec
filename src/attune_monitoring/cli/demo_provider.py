"""A SIMULATED provider for `empathy demo`: canned answers in the real formats, from a loopback HTTP server.

It understands just enough of OpenAI's, Anthropic's, Google's and Ollama's HTTP APIs for the demo. No model is behind
it, and token counts are made up; formats, status codes and error bodies are the providers' own.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["EXHAUSTED_MODEL", "OVERLOADED_MODEL", "RATE_LIMITED_MODEL", "simulated_provider"]

OVERLOADED_MODEL = "claude-opus-4-5"
"""Always answers 529, as a provider does in a bad hour."""
RATE_LIMITED_MODEL = "gemini-2.5-flash"
"""Answers 429 to its first request."""
EXHAUSTED_MODEL = "gpt-4.1-mini"
"""Always answers 429."""

_CONTEXT_CHARACTERS = 20_000
_THINKING_SECONDS = 0.1
_CHUNK_SECONDS = 0.03
_SENTENCE = ("The retry ", "loop never ", "resets its ", "counter, so the ", "third call ", "always fails.")
_Answer = tuple[int, Any]


@contextmanager
def simulated_provider() -> Iterator[str]:
    """Serve on a free loopback port while the block runs; yields the base address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="simulated-provider", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server_version = "simulated-provider"

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", "0"))
        body = json.loads(self.rfile.read(length) or b"{}")
        time.sleep(_THINKING_SECONDS)
        if self.path == "/v1/messages" and body.get("stream"):
            self._stream(_anthropic_events(body))
            return
        status, answer = self._answer(body)
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _answer(self, body: dict[str, Any]) -> _Answer:
        if self.path == "/v1/chat/completions":
            return _openai(body)
        if self.path == "/v1/messages":
            return _anthropic(body)
        if self.path == f"/v1beta/models/{RATE_LIMITED_MODEL}:generateContent":
            known = vars(self.server)
            first = not known.setdefault("rate_limited", False)
            known["rate_limited"] = True
            return _google_rate_limit() if first else _google()
        if self.path == "/api/chat":
            return _ollama(body)
        return 404, {"error": {"message": f"the simulated provider does not know {self.path}"}}

    def _stream(self, events: Iterator[dict[str, Any]]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for event in events:
            self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
            self.wfile.flush()
            time.sleep(_CHUNK_SECONDS)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
        """Write no access log."""


def _openai(body: dict[str, Any]) -> _Answer:
    if len(json.dumps(body)) > _CONTEXT_CHARACTERS:
        message = "Your input exceeds the context window of this model."
        error = {"message": message, "type": "invalid_request_error", "code": "context_length_exceeded"}
        return 400, {"error": error}
    if body["model"] == EXHAUSTED_MODEL:
        error = {"message": "Rate limit reached for requests.", "type": "requests", "code": "rate_limit_exceeded"}
        return 429, {"error": error}
    return 200, {
        "id": "chatcmpl-simulated",
        "object": "chat.completion",
        "model": body["model"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "".join(_SENTENCE)},
                "finish_reason": "length" if "max_completion_tokens" in body else "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 1840,
            "completion_tokens": body.get("max_completion_tokens", 96),
            "total_tokens": 1840 + body.get("max_completion_tokens", 96),
            "prompt_tokens_details": {"cached_tokens": 1024},
            "completion_tokens_details": {"reasoning_tokens": 0 if "max_completion_tokens" in body else 64},
        },
    }


def _anthropic(body: dict[str, Any]) -> _Answer:
    if body["model"] == OVERLOADED_MODEL:
        return 529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    return 200, {
        "id": "msg_simulated",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": "".join(_SENTENCE)}],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 420,
            "cache_read_input_tokens": 6144,
            "cache_creation_input_tokens": 0,
            "output_tokens": 530,
        },
    }


def _anthropic_events(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    usage = {"input_tokens": 910, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0, "output_tokens": 1}
    message = {
        "id": "msg_simulated",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [],
        "stop_reason": None,
        "usage": usage,
    }
    yield {"type": "message_start", "message": message}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for text in _SENTENCE:
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    yield {"type": "content_block_stop", "index": 0}
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 240}}
    yield {"type": "message_stop"}


def _google_rate_limit() -> _Answer:
    return 429, {"error": {"code": 429, "message": "Resource has been exhausted.", "status": "RESOURCE_EXHAUSTED"}}


def _google() -> _Answer:
    call = {"name": "run_tests", "args": {"path": "tests/test_retry.py"}}
    return 200, {
        "responseId": "simulated",
        "modelVersion": RATE_LIMITED_MODEL,
        "candidates": [
            {"content": {"role": "model", "parts": [{"functionCall": call}]}, "finishReason": "STOP", "index": 0}
        ],
        "usageMetadata": {
            "promptTokenCount": 2210,
            "candidatesTokenCount": 48,
            "thoughtsTokenCount": 160,
            "totalTokenCount": 2418,
        },
    }


def _ollama(body: dict[str, Any]) -> _Answer:
    return 200, {
        "model": body["model"],
        "message": {"role": "assistant", "content": "".join(_SENTENCE)},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 610,
        "eval_count": 72,
    }
