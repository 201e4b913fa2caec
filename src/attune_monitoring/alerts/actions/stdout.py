"""Writes to standard output: a line with time, severity and rule, details below it, in colour on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from attune_monitoring.alerts.notification import Notification
from attune_monitoring.alerts.wording import collapse, facts, lines, stamp, title
from attune_monitoring.errors import ActionError

from .contract import ActionType, Options, Sender

__all__ = ["STDOUT"]

_COLOURS: Mapping[str, str] = {"critical": "\x1b[1;31m", "warning": "\x1b[33m", "info": "\x1b[34m"}
_GREEN = "\x1b[32m"
_PLAIN = "\x1b[0m"


def _message(_: Options, notification: Notification) -> str:
    head = f"{stamp(notification.at)} {title(notification)}".strip()
    details = [collapse(line) for line in (lines(notification) or [notification.summary]) if line]
    details += [f"{name}: {collapse(text)}" for name, text in facts(notification)]
    return "\n".join([head, *(f"  {line}" for line in details)])


def _sender(options: Options) -> Sender:
    def send(notification: Notification) -> None:
        stream = sys.stdout
        text = _message(options, notification)
        head, line_break, details = text.partition("\n")
        try:
            if stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
                over = notification.kind == "resolved"
                head = f"{_GREEN if over else _COLOURS.get(notification.severity, '')}{head}{_PLAIN}"
            encoding = stream.encoding or "utf-8"
            stream.write(f"{head}{line_break}{details}\n".encode(encoding, "replace").decode(encoding))
            stream.flush()
        except (OSError, ValueError) as error:
            raise ActionError(f"standard output is closed ({type(error).__name__})", retryable=False) from None

    return send


STDOUT = ActionType(options={}, message=_message, sender=_sender, rate=1000.0)
