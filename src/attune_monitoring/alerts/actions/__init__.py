"""Where alerts go: the types of actions by name, and from an action to what sends it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attune_monitoring import schema as s
from attune_monitoring.alerts import template
from attune_monitoring.alerts.notification import Notification
from attune_monitoring.alerts.rule import AlertAction
from attune_monitoring.errors import ActionError, ConfigError
from attune_monitoring.yamlfile import Document, Node

from .apprise import APPRISE
from .callable import CALLABLE
from .contract import ActionType, Options, Sender
from .discord import DISCORD
from .email import EMAIL
from .masking import mask_text, masked, secrets_of
from .slack import SLACK
from .stdout import STDOUT
from .webhook import WEBHOOK

__all__ = ["DECLARATIONS", "TYPES", "ActionType", "Sender", "message_of", "problems_of", "rate_of", "sender_of"]

TYPES: Mapping[str, ActionType] = {
    "webhook": WEBHOOK,
    "slack": SLACK,
    "discord": DISCORD,
    "email": EMAIL,
    "stdout": STDOUT,
    "callable": CALLABLE,
    "apprise": APPRISE,
}
"""Every type of action."""

DECLARATIONS: Mapping[str, s.Spec] = {
    name: s.section("", {"type": s.choice("What kind of action.", name, required=True), **kind.options})
    for name, kind in TYPES.items()
    if kind.options is not None
}
"""The options of each type that a file can name, with the key `type`."""


def sender_of(action: AlertAction) -> Sender:
    """Return what delivers one notification, once; it raises ActionError and nothing else, without secrets.

    Raises:
        ConfigError: there is no such type, or its options are wrong; says what and how to mend it, without secrets.
    """
    kind, options = _checked(action)
    secrets = secrets_of(kind, options, constants=True)
    try:
        send = kind.sender(options)
    except ConfigError as error:
        raise ConfigError(f"action {_name(action)}: {mask_text(error, secrets)}") from None

    def deliver(notification: Notification) -> None:
        try:
            send(notification)
        except ActionError as error:
            problem = ActionError(mask_text(error, secrets), retryable=error.retryable, retry_after=error.retry_after)
        except (Exception, SystemExit) as error:  # the second from a user's function
            problem = ActionError(mask_text(f"{type(error).__name__}: {error}", secrets), retryable=True)
        else:
            return
        # Outside of the handlers, so that the first error and its secrets are not kept as the context of this one.
        raise problem

    return deliver


def message_of(action: AlertAction, notification: Notification) -> Any:
    """Return what would be sent, as data to look at: a JSON body, the parts of a mail, a text; secrets masked.

    Raises:
        ConfigError: as for `sender_of`.
    """
    kind, options = _checked(action)
    return masked(kind.message(options, notification), secrets_of(kind, options))


def rate_of(action: AlertAction) -> float:
    """Return how many messages a second the action's channel takes."""
    kind = TYPES.get(action.type)
    given = action.options.get("rate")
    usual = kind.rate if kind is not None else 1.0
    return float(given) if isinstance(given, (int, float)) and given > 0 else usual


def problems_of(action: AlertAction, names: Iterable[str]) -> list[str]:
    """Return what the action's templates name that neither our own names nor `names` (labels of a rule) know."""
    known = dict.fromkeys((*template.NAMES, *names))
    kind = TYPES.get(action.type)
    found = []
    for option in kind.templates if kind is not None else ():
        try:
            template.check_json(action.options.get(option), known)
        except ConfigError as error:
            found.append(f"action {_name(action)}: {option}: {error}")
    return found


def _checked(action: AlertAction) -> tuple[ActionType, Options]:
    kind = TYPES.get(action.type)
    if kind is None:
        hint = s.nearest(action.type, TYPES)
        raise ConfigError(f"no action type {s.shown(action.type)}{hint}; there are {', '.join(TYPES)}")
    if kind.options is None:
        return kind, action.options
    document = Document(f"action {_name(action)}", Node.of(action.options))
    declared = s.section("", kind.options)
    values = s.Checker(document, {}).run(declared)
    if document.problems:
        raise ConfigError(document.lines())
    return kind, s.layer(declared.defaults() or {}, values)


def _name(action: AlertAction) -> str:
    return repr(action.name or action.type)
