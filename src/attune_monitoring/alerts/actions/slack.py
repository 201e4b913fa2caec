"""Tells Slack by an incoming webhook: a title, and an attachment of blocks in the colour of the severity."""

from __future__ import annotations

import re
from typing import Any

from attune_monitoring.alerts import template
from attune_monitoring.alerts.notification import Notification
from attune_monitoring.alerts.wording import colour_of, cut, facts, lines, link_of, stamp, title

from .contract import ActionType, Options, Sender, templated
from .http import HTTP_OPTIONS, sender_of

__all__ = ["SLACK"]

# https://docs.slack.dev/reference/block-kit/blocks/section-block
_SECTION = 3_000
_FIELD = 300
_FIELDS = 10
_TITLE = 250
# A backtick, a star or a tilde formats wherever it stands, an underscore only at the edge of a word.
_LOOKALIKES = str.maketrans({"*": "∗", "~": "∼", "`": "ˋ", "&": "&amp;", "<": "&lt;", ">": "&gt;"})
_EDGE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")


def _harmless(text: str) -> str:
    """Return text that Slack shows as it is: no link, no mention (both start with <), no formatting."""
    return _EDGE.sub("＿", text).translate(_LOOKALIKES)


def _text(text: str) -> dict[str, Any]:
    # Verbatim: what looks like a URL, a channel or a name in our data is not made a link.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _fact(name: str, text: str) -> str:
    link = link_of(name, text)
    shown = f"<{link.replace('&', '&amp;')}>" if link else cut(text, _FIELD, _harmless)
    return f"*{cut(name, _FIELD, _harmless)}*\n{shown}"


def _message(options: Options, notification: Notification) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = []
    said = "\n".join(lines(notification)) or notification.summary
    if options["text"] is not None:
        filled = template.fill(options["text"], template.values_of(notification), _harmless)
        blocks.append({"type": "section", "text": _text(cut(filled, _SECTION))})
    elif said:
        blocks.append({"type": "section", "text": _text(cut(said, _SECTION, _harmless))})
    known = facts(notification)[:_FIELDS]
    if known:
        blocks.append({"type": "section", "fields": [_text(_fact(name, text)) for name, text in known]})
    if notification.at > 0:
        blocks.append({"type": "context", "elements": [_text(stamp(notification.at))]})
    head = cut(title(notification), _TITLE, _harmless)
    return {
        "text": f"*{head}*",
        "attachments": [{"color": f"#{colour_of(notification):06x}", "fallback": head, "blocks": blocks}],
    }


def _sender(options: Options) -> Sender:
    return sender_of(options, _message)


SLACK = ActionType(
    options={
        **HTTP_OPTIONS,
        "text": templated("Slack markdown instead of the summary, with {value} and labels filled in."),
    },
    message=_message,
    sender=_sender,
    rate=1.0,
    templates=("text",),
)
