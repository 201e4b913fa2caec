"""Posts JSON to any URL: a documented body, or one of the user's own with templates in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msgspec.structs import replace

from attune_monitoring import schema as s
from attune_monitoring.alerts import template
from attune_monitoring.alerts.notification import Notification
from attune_monitoring.alerts.wording import stamp
from attune_monitoring.errors import ConfigError
from attune_monitoring.yamlfile import KeyPath, Node

from .contract import ActionType, Options, Secret, Sender
from .http import HTTP_OPTIONS, sender_of

__all__ = ["WEBHOOK", "plain"]

_VERSION = 1
_PARTS = 100
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]{1,8192}")
_SECRET_HEADER = re.compile(r"(?i)auth|cookie|credential|key|pass|secret|sign|token")
_OURS = frozenset({"content-length", "content-type", "host", "idempotency-key", "transfer-encoding"})


def plain(notification: Notification) -> dict[str, Any]:
    """Return the default body.

    Times are RFC 3339 in UTC, `duration_ms` is how long the alert has fired, `value` is null where there is none, and
    `parts` holds the messages that a digest stands for: the first 100 of `count`.
    """
    return {
        "version": _VERSION,
        "key": notification.key,
        "kind": notification.kind,
        "rule": notification.rule,
        "severity": notification.severity,
        "summary": notification.summary,
        "condition": notification.condition,
        "value": template.fill_json("{value}", {"value": notification.value}),
        "labels": dict(notification.labels),
        "annotations": dict(notification.annotations),
        "started_at": stamp(notification.started_at) or None,
        "at": stamp(notification.at) or None,
        "duration_ms": round(notification.seconds * 1000),
        "test": notification.test,
        "count": len(notification.parts) or 1,
        "parts": [plain(part) for part in notification.parts[:_PARTS]],
    }


def _message(options: Options, notification: Notification) -> Any:
    if options["body"] is None:
        return plain(notification)
    return template.fill_json(options["body"], template.values_of(notification))


def _sender(options: Options) -> Sender:
    return sender_of(options, _message, options["headers"])


def _body(node: Node, path: KeyPath, checker: s.Checker) -> Any:
    missing: list[str] = []

    def expanded(child: Node, at: KeyPath) -> Any:
        if isinstance(child.value, dict):
            return {key: expanded(value, (*at, key)) for key, value in child.value.items()}
        if isinstance(child.value, list):
            return [expanded(value, (*at, index)) for index, value in enumerate(child.value)]
        if not isinstance(child.value, str) or not child.line or "${" not in child.value:
            return child.value
        text = checker.expand(child, at, "warning")
        if text is None:
            missing.append(child.value)
            return None
        # What comes from a variable is no template: braces in it stay braces.
        return Secret(text.replace("{", "{{").replace("}", "}}"))

    if not isinstance(node.value, (dict, list)):
        checker.problem(node, path, "expected a mapping or a list; JSON may stand here as it is, without quotes")
        return None
    body = expanded(node, path)
    try:
        template.check_json(body)
    except ConfigError as error:
        checker.problem(node, path, str(error))
        return None
    return None if missing else body


def _headers(node: Node, path: KeyPath, checker: s.Checker) -> Mapping[str, str] | None:
    before = checker.found
    if not isinstance(node.value, dict):
        checker.problem(node, path, "expected a mapping of names to values")  # what stands there may be a secret
        return None
    values = _PLAIN_HEADERS.check(node, path, checker)
    for name, child in node.children.items():
        header = name.removesuffix("_file")
        if not _HEADER.fullmatch(header) or header.lower() in _OURS:
            checker.problem_at_key(child, path, f"{s.shown(header)} is no name of a header that can be set")
        elif name == header and child.line and _SECRET_HEADER.search(name) and "${" not in str(child.value):
            checker.problem(child, (*path, name), f"this is a secret: write ${{NAME}}, or use '{name}_file'")
        elif values is not None and header in values and not _HEADER_VALUE.fullmatch(values[header]):
            checker.problem(child, (*path, name), "a header is one line of printable characters")
    return None if values is None or checker.found > before else MappingProxyType(dict(values))


_PLAIN_HEADERS = s.mapping(
    "Sent with every message; <name>_file names a file that holds one.", s.text("", secret=True, unset="warning")
)


def _unreadable(_: str) -> Any:
    raise s.RejectedError("no variable")


WEBHOOK = ActionType(
    options={
        **HTTP_OPTIONS,
        "headers": replace(_PLAIN_HEADERS, check=_headers),
        "body": s.Spec(
            description="The body instead of the usual one, as YAML or JSON, with {value} and labels in its texts.",
            noun="a mapping or a list",
            kinds=(dict, list),
            check=_body,
            read=_unreadable,
            shape=lambda: {"type": ["object", "array"]},
        ),
    },
    message=_message,
    sender=_sender,
    rate=10.0,
    templates=("body",),
)
