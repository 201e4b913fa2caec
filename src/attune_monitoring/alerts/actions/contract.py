"""What an action type is: the options that it declares, the message that it makes of a notification, and its sender."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Unpack

import msgspec

from attune_monitoring import schema as s
from attune_monitoring.alerts import template
from attune_monitoring.alerts.notification import Notification
from attune_monitoring.errors import ConfigError
from attune_monitoring.redaction import MASK
from attune_monitoring.schema.spec import Common
from attune_monitoring.yamlfile import KeyPath, Node

__all__ = ["ActionType", "Options", "Secret", "Sender", "secret", "templated"]

Options = Mapping[str, Any]
"""Checked, with every declared key; None where nothing was given."""

Sender = Callable[[Notification], None]
"""Delivers one notification, once. Raises ActionError, which says whether trying again can help."""


class Secret(str):
    """A text that came from a variable, among others that are no secrets."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(MASK)


class ActionType(msgspec.Struct, frozen=True, kw_only=True):
    """One way to tell somebody.

    Args:
        options: key → declaration; None where Python alone can give them, and nothing of them is text.
        message: what is sent for a notification, as data that can be shown: secrets have no place in it.
        sender: makes the sender. Raises ConfigError where the options cannot work.
        rate: messages a second that the receiver takes; options may say otherwise.
        templates: the options whose texts are templates.
    """

    options: Mapping[str, s.Spec] | None
    message: Callable[[Options, Notification], Any]
    sender: Callable[[Options], Sender]
    rate: float
    templates: tuple[str, ...] = ()


def secret(description: str, *, what: str = "text", pattern: str | None = None, **common: Unpack[Common]) -> s.Spec:
    """A text that a file may only take from `${NAME}`, or from the file that `<key>_file` names."""
    plain = s.text(description, what=what, pattern=pattern, secret=True, unset="warning", **common)

    def check(node: Node, path: KeyPath, checker: s.Checker) -> Any:
        if node.line and isinstance(node.value, str) and "${" not in node.value:
            checker.problem(
                node, path, f"this is a secret: write ${{NAME}} and set that variable, or use '{path[-1]}_file'"
            )
            return None
        return plain.check(node, path, checker)

    return msgspec.structs.replace(plain, check=check, shape=lambda: {"type": "string", "pattern": r"\$\{"})


def templated(description: str, **common: Unpack[Common]) -> s.Spec:
    """A text with `{value}` and labels in it."""
    plain = s.text(description, unset="warning", **common)

    def check(node: Node, path: KeyPath, checker: s.Checker) -> Any:
        value = plain.check(node, path, checker)
        try:
            template.check(value or "")
        except ConfigError as error:
            checker.problem(node, path, str(error))
            return None
        return value

    return msgspec.structs.replace(plain, check=check)
