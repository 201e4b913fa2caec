"""Calls a function of the user's program; only Python can name one."""

from __future__ import annotations

from typing import Any

from attune_monitoring.alerts.notification import Notification
from attune_monitoring.errors import ConfigError

from .contract import ActionType, Options, Sender
from .webhook import plain

__all__ = ["CALLABLE"]


def _message(_: Options, notification: Notification) -> dict[str, Any]:
    return plain(notification)


def _sender(options: Options) -> Sender:
    function = options.get("function")
    if not callable(function) or len(options) != 1:
        raise ConfigError('it takes one option, "function", which is called with the Notification')

    def send(notification: Notification) -> None:
        function(notification)

    return send


CALLABLE = ActionType(options=None, message=_message, sender=_sender, rate=1000.0)
