"""Where SigNoz sends notifications: its channels in types, and ours made from the actions of alert rules."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import msgspec

from attune_monitoring.alerts.rule import AlertAction, AlertRule
from attune_monitoring.errors import ConfigError

from .translation import UNDELIVERED

__all__ = ["Channel", "Channels", "channel_of", "channels_of", "read_channel"]

_SENT_BY_SERVER = (
    "SigNoz sends mail by a server of its own (SIGNOZ_ALERTMANAGER_SIGNOZ_GLOBAL_SMTP__SMARTHOST and so on): "
    "host, sender and login are not taken over"
)


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a channel: keys as Alertmanager has them, unknown ones refused."""


class Authorization(_Part, frozen=True):
    """The header of that name."""

    type: str
    credentials: str


class BasicAuth(_Part, frozen=True):
    """A name and a password."""

    username: str
    password: str


class Tls(_Part, frozen=True):
    """Which certificates are taken."""

    insecure_skip_verify: bool


class HttpConfig(_Part, frozen=True):
    """How a receiver is reached."""

    authorization: Authorization | None = None
    basic_auth: BasicAuth | None = None
    tls_config: Tls | None = None


class Webhook(_Part, frozen=True):
    """Posts Alertmanager's JSON."""

    url: str
    send_resolved: bool
    http_config: HttpConfig | None = None
    timeout: int = 0
    """Nanoseconds."""


class Slack(_Part, frozen=True):
    """An incoming webhook of Slack."""

    api_url: str
    send_resolved: bool
    http_config: HttpConfig | None = None


class Discord(_Part, frozen=True):
    """A webhook of Discord."""

    webhook_url: str
    send_resolved: bool
    http_config: HttpConfig | None = None


class Email(_Part, frozen=True):
    """Mail, by the mail server that SigNoz is configured with."""

    to: str
    send_resolved: bool


class Channel(_Part, frozen=True):
    """A channel; exactly one of the kinds is there."""

    name: str
    webhook_configs: tuple[Webhook, ...] = ()
    slack_configs: tuple[Slack, ...] = ()
    discord_configs: tuple[Discord, ...] = ()
    email_configs: tuple[Email, ...] = ()


class Channels(NamedTuple):
    """Channels, and what SigNoz does otherwise; the notes hold no secrets."""

    channels: tuple[Channel, ...]
    notes: tuple[str, ...]


def channels_of(rules: Iterable[AlertRule]) -> Channels:
    """Return a channel for each action of the rules that SigNoz can deliver to, by name; `translate` names the same."""
    made: dict[str, tuple[AlertAction, Channel]] = {}
    notes: dict[str, None] = {}
    for action in (action for rule in rules for action in rule.actions):
        name = action.name or action.type
        if name in made:
            if made[name][0].options != action.options or made[name][0].type != action.type:
                notes[f"channel {name}: two actions have that name; SigNoz gets the first"] = None
            continue
        said: list[str] = []
        channel = channel_of(action, said)
        notes.update(dict.fromkeys(f"channel {name}: {note}" for note in said))
        if channel is not None:
            made[name] = action, channel
    return Channels(tuple(channel for _, channel in made.values()), tuple(notes))


def channel_of(action: AlertAction, notes: list[str]) -> Channel | None:
    """Return an action as a channel; None where SigNoz has none of that type.

    Args:
        action: checked; its secrets go into the channel.
        notes: gets what SigNoz does otherwise.
    """
    make = _KINDS.get(action.type)
    if make is None:
        notes.append(f"{UNDELIVERED} {action.type}")
        return None
    for option in ("body", "text", "subject"):
        if action.options.get(option) is not None:
            notes.append(f"{option}: SigNoz writes its own message")
    return make(action.name or action.type, action.options, notes)


def read_channel(document: bytes | str) -> Channel:
    """Return a channel from JSON.

    Raises:
        ConfigError: it is none of those that we make.
    """
    try:
        channel = msgspec.json.decode(document, type=Channel)
    except msgspec.DecodeError as error:
        raise ConfigError(f"channel: {error}") from error
    kinds = (channel.webhook_configs, channel.slack_configs, channel.discord_configs, channel.email_configs)
    if not channel.name or sum(map(bool, kinds)) != 1:
        raise ConfigError("channel: it has a name and exactly one kind of receiver")
    return channel


_Make: TypeAlias = Callable[[str, Mapping[str, Any], list[str]], Channel]


def _webhook(name: str, options: Mapping[str, Any], notes: list[str]) -> Channel:
    timeout = round((options.get("timeout") or 0) * 1e9)
    http = _http(options, notes)
    hook = Webhook(url=options["url"], send_resolved=True, http_config=http, timeout=timeout)
    return Channel(name=name, webhook_configs=(hook,))


def _slack(name: str, options: Mapping[str, Any], notes: list[str]) -> Channel:
    slack = Slack(api_url=options["url"], send_resolved=True, http_config=_http(options, notes))
    return Channel(name=name, slack_configs=(slack,))


def _discord(name: str, options: Mapping[str, Any], notes: list[str]) -> Channel:
    discord = Discord(webhook_url=options["url"], send_resolved=True, http_config=_http(options, notes))
    return Channel(name=name, discord_configs=(discord,))


def _email(name: str, options: Mapping[str, Any], notes: list[str]) -> Channel:
    notes.append(_SENT_BY_SERVER)
    to = options["to"]
    addresses = to if isinstance(to, str) else ", ".join(to)
    return Channel(name=name, email_configs=(Email(to=addresses, send_resolved=True),))


_KINDS: Mapping[str, _Make] = {"webhook": _webhook, "slack": _slack, "discord": _discord, "email": _email}


def _http(options: Mapping[str, Any], notes: list[str]) -> HttpConfig | None:
    """Return how the receiver is reached; headers other than Authorization get lost on their way through SigNoz."""
    authorization: Authorization | None = None
    basic: BasicAuth | None = None
    for header, value in (options.get("headers") or {}).items():
        scheme, _, rest = value.partition(" ")
        if header.lower() == "authorization" and scheme.lower() == "basic":
            basic = _basic(rest)
        elif header.lower() == "authorization" and rest:
            authorization = Authorization(type=scheme, credentials=rest)
        if header.lower() != "authorization" or (authorization is None and basic is None):
            notes.append(f"header {header}: SigNoz does not send it")
    tls = Tls(insecure_skip_verify=True) if options.get("insecure") else None
    made = HttpConfig(authorization=authorization, basic_auth=basic, tls_config=tls)
    return None if made == HttpConfig() else made


def _basic(encoded: str) -> BasicAuth | None:
    try:
        username, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return BasicAuth(username=username, password=password) if colon else None
