"""Tells Discord by a webhook: one embed in the colour of the severity, which mentions nobody."""

from __future__ import annotations

import re
from typing import Any

from attune_monitoring.alerts import template
from attune_monitoring.alerts.notification import Notification
from attune_monitoring.alerts.wording import colour_of, cut, facts, lines, link_of, stamp, title

from .contract import ActionType, Options, Sender, templated
from .http import HTTP_OPTIONS, sender_of

__all__ = ["DISCORD"]

# https://discord.com/developers/docs/resources/message#embed-object-embed-limits; all texts of an embed together may
# have 6,000 characters, which these cannot reach.
_CONTENT = 2_000
_TITLE = 250
_NAME = 100
_TEXT = 200
_FIELDS = 10
# Headings and lists only at the start of a line; a URL is a link unless its colon is escaped.
_MARKUP = re.compile(r"(?im)([\\*_~`|<>\[\]]|^[#-]|(?<=[a-z]):(?=//))")
_ZERO_WIDTH_SPACE = "\u200b"


def _harmless(text: str) -> str:
    """Return text that Discord shows as it is: no formatting, no link, no mention."""
    return _MARKUP.sub(r"\\\1", text).replace("@", "@" + _ZERO_WIDTH_SPACE)


def _message(options: Options, notification: Notification) -> dict[str, Any]:
    embed: dict[str, Any] = {
        "title": cut(title(notification), _TITLE, _harmless),
        "color": colour_of(notification),
        "fields": [
            {
                "name": cut(name, _NAME, _harmless),
                "value": link_of(name, text) or cut(text, _TEXT, _harmless) or "–",
                "inline": len(text) < 40,
            }
            for name, text in facts(notification)[:_FIELDS]
        ],
    }
    said = "\n".join(lines(notification)) or notification.summary
    if said:
        embed["description"] = cut(said, _CONTENT, _harmless)
    if notification.at > 0:
        embed["timestamp"] = stamp(notification.at)
    message = {"embeds": [embed], "allowed_mentions": {"parse": []}}
    if options["text"] is not None:
        filled = template.fill(options["text"], template.values_of(notification), _harmless)
        message["content"] = cut(filled, _CONTENT)
    return message


def _sender(options: Options) -> Sender:
    return sender_of(options, _message)


DISCORD = ActionType(
    options={
        **HTTP_OPTIONS,
        "text": templated("Discord markdown above the embed, with {value} and labels filled in."),
    },
    message=_message,
    sender=_sender,
    rate=0.5,
    templates=("text",),
)
