"""Tells any of the services that the library Apprise knows, by its URL; an extra."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attune_monitoring import schema as s
from attune_monitoring.alerts import template
from attune_monitoring.alerts.notification import Notification
from attune_monitoring.alerts.wording import cut, facts, lines, title
from attune_monitoring.errors import ActionError, ConfigError

from .contract import ActionType, Options, Sender, secret, templated
from .http import quietly

__all__ = ["APPRISE"]

_TITLE = 250
_BODY = 4_000
_TYPES: Mapping[str, str] = {"critical": "failure", "warning": "warning", "info": "info"}


def _message(options: Options, notification: Notification) -> dict[str, Any]:
    if options["text"] is not None:
        body = template.fill(options["text"], template.values_of(notification))
    else:
        said = lines(notification) or [notification.summary]
        body = "\n".join([*said, *(f"{name}: {text}" for name, text in facts(notification))])
    over = notification.kind == "resolved"
    return {
        "title": cut(title(notification), _TITLE),
        "body": cut(body, _BODY),
        "notify_type": "success" if over else _TYPES.get(notification.severity, "info"),
    }


def _sender(options: Options) -> Sender:
    try:
        import apprise
    except ImportError as error:
        raise ConfigError(
            'the library that it needs is not installed; pip install "attune-monitoring[apprise]"'
        ) from error
    with quietly("apprise"):
        # One service by itself: Apprise's own notify() works in other threads, whose log would tell the URL.
        service = apprise.Apprise.instantiate(options["url"])
    if service is None:
        raise ConfigError("'url' is none that Apprise knows; see https://github.com/caronc/apprise/wiki")

    def send(notification: Notification) -> None:
        with quietly("apprise", "urllib3.connectionpool"):
            sent = service.notify(**_message(options, notification), body_format="text")
        if not sent:
            raise ActionError("Apprise could not deliver it; it does not say why", retryable=True)

    return send


APPRISE = ActionType(
    options={
        "url": secret("The service, as Apprise writes it: mailto://…, tgram://…", what="a URL", required=True),
        "text": templated("Instead of the usual text, with {value} and labels filled in."),
        "rate": s.number("Messages a second at most; what is more becomes one digest.", minimum=0.001, maximum=1000),
    },
    message=_message,
    sender=_sender,
    rate=1.0,
    templates=("text",),
)
