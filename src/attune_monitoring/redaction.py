"""Takes secrets and the secret parts of URLs out of any text: stored error messages, logs, everything shown."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

__all__ = ["MASK", "mask_headers", "redact", "safe_url"]

MASK = "***"

# Compiled at first use: that takes longer than importing everything else that instrumented code imports from here.
_rule = functools.cache(re.compile)

_LIMIT = 8192
# Scanned but never returned: a secret cut off at the end of what is scanned may be too short to be recognised.
_MARGIN = 512

# Whoever has a webhook's URL may post to it, so its path is a secret as well.
_WEBHOOK_HOST = (
    r"(?i)hooks\.slack(?:-gov)?\.com|(?:\w+\.)?discord(?:app)?\.com|chat\.googleapis\.com|hooks\.zapier\.com|"
    r"api\.telegram\.org|maker\.ifttt\.com|webhook\.site|outlook\.office(?:365)?\.com|"
    r"[\w.-]+\.(?:webhook\.office\.com|logic\.azure\.com|m\.pipedream\.net)"
)
# A run of letters and digits this long is a generated key; model names and UUIDs are divided by hyphens.
_RANDOM_RUN = r"(?<!\w)(?=\w{0,80}[0-9])(?=\w{0,80}[A-Za-z])\w{20,}"

_URL = r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s\"'<>\\]+"
_AFTER_URL = ".,;:!?)]}"

# Secrets that are known by their shape, wherever they stand.
_SHAPES = r"""(?x)
    -----BEGIN[ ][A-Z ]{0,40}PRIVATE[ ]KEY-----(?s:.*?)(?:-----END[ ][A-Z ]{0,40}-----|\Z)
    | (?<![A-Za-z0-9]) (?:
        (?:sk[-_]|[pr]k-lf-|[pr]k_(?:live|test)_)[A-Za-z0-9_*.-]{8,}  # OpenAI, Anthropic, Langfuse, Stripe
      | xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{8,} | xapp-[A-Za-z0-9-]{8,}
      | (?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}
      | gh[oprsu]_[A-Za-z0-9]{16,} | github_pat_\w{16,} | gl[a-z]{2,6}-[\w-]{16,}
      | AIza[\w-]{30,} | ya29\.[\w.-]{10,}
      | (?:hf|gsk|r8|npm|whsec|lsv2_pt|lsv2_sk|dop_v1|tgp_v1)_[\w-]{16,}
      | (?:xai|pplx|nvapi|tvly|pypi|fw|csk)-[\w-]{16,}
      | SG\.[\w-]{10,}\.[\w-]{10,}
      | eyJ[\w-]{8,}(?:\.[\w-]{4,}){1,4}              # JSON Web Token
      | \d{6,12}:AA[\w-]{30,}                         # Telegram bot
    )"""
# A name that says that its value is secret: `name=value`, `name: value`, JSON, JSON in JSON, a printed dict or tuple.
_ASSIGN = r"(?:\\{0,3}+[\"'])?+[ \t]{0,3}+(?::|={1,2}>?|,(?=[ ]?b?[\"']))[ \t]{0,3}+"
_PAIR = (
    r"(?i)((?:api[_-]?key|(?:access|account|subscription|ingestion|license|private|signing|secret)[_-]?key|secret|token|"
    rf"password|passwd|passphrase|pwd|[_-]signature|credentials?){_ASSIGN})"
    r"(?:(\\{1,3}[\"'])[^\"'\\\r\n]+|(b?\")(?:[^\"\\\r\n]|\\.)+|(b?')(?:[^'\\\r\n]|\\.)+|[^\s\"'&,;)}\]<>\\]+)"
)
_AUTHORIZATION = (
    rf"(?i)(?<![\w-])((?:proxy-)?authorization{_ASSIGN}(?:b?\\{{0,3}}[\"'])?+)"
    r"(?:(?:digest|aws4-hmac-sha256)\b[^\r\n]*|(?:[a-z][\w-]{2,20}[ \t]+)?[^\s\"',;\\]+)"
)
_COOKIE = rf"(?i)(?<![\w-])((?:set-)?cookie{_ASSIGN}(?:b?\\{{0,3}}[\"'])?+)[^\r\n\"'\\]+"
_SCHEME = r"(?i)(?<![A-Za-z0-9])((?:bearer|basic)[ \t]+)(?=[^\s\"']{0,200}[0-9._~+/=-]|[^\s\"']{20})[\w.~+/=-]{6,}"
# HTTP libraries print path and query apart from their host ("Max retries exceeded with url: /services/…").
_WEBHOOK_PATH = r"(?i)(/(?:services|webhooks|triggers|workflows)/)[\w:-]+(?:/[\w:-]+)+|(/bot)\d+:[\w-]+"
_BARE_QUERY = r"(?<=url: )(/[^\s?\"']*)\?[^\s\"')]*"

_HARMLESS_HEADERS = frozenset(
    {
        *("accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "date"),
        *("host", "retry-after", "server", "traceparent", "transfer-encoding", "user-agent", "x-request-id"),
    }
)


def redact(text: object, *, limit: int = _LIMIT) -> str:
    """Return `text` without API keys, tokens, passwords, credentials and queries of URLs, and webhook paths.

    No more than `limit` + 512 characters are looked at, whatever the length. Never raises.

    Args:
        text: The text; another object is converted (an exception, for instance).
        limit: Longest text to return, in characters; more is cut off and an ellipsis marks it.
    """
    try:
        if isinstance(text, bytes | bytearray):
            text = text[: limit + _MARGIN + 1].decode("utf-8", "replace")
        full = text if isinstance(text, str) else str(text)
    except Exception:
        return f"<{type(text).__name__} that cannot be shown>"
    clean = _scrub(full[: limit + _MARGIN])
    if len(full) <= limit:
        return clean
    if len(full) > limit + _MARGIN:
        clean = clean[:-_MARGIN]
    return clean[:limit] + "…"


def _scrub(text: str) -> str:
    text = _rule(_SHAPES).sub(MASK, text)
    text = _rule(_URL).sub(_url_in_text, text)
    text = _rule(_BARE_QUERY).sub(r"\1", text)
    text = _rule(_WEBHOOK_PATH).sub(_mask_value, text)
    text = _rule(_AUTHORIZATION).sub(_mask_value, text)
    text = _rule(_COOKIE).sub(_mask_value, text)
    text = _rule(_PAIR).sub(_mask_value, text)
    return _rule(_SCHEME).sub(_mask_value, text)


def _mask_value(match: re.Match[str]) -> str:
    return "".join(group for group in match.groups() if group) + MASK


def _url_in_text(match: re.Match[str]) -> str:
    found = match[0]
    url = found.rstrip(_AFTER_URL)
    return safe_url(url) + found[len(url) :]


def safe_url(url: str) -> str:
    """Return the part of a URL that may be shown: scheme, host, port and path.

    User name, password, query and fragment go; so does the path of a webhook service, and whatever in a path looks
    like a generated key. Text without a host gives the mask alone. Never raises.
    """
    try:
        before, separator, rest = url[:_LIMIT].partition("://")
        scheme, rest = (before, rest) if separator else ("", before)
        parts = urlsplit(f"//{rest}")
        host = parts.hostname
        address = parts.netloc.rpartition("@")[2]
    except (ValueError, TypeError, AttributeError):
        return MASK
    if not host:
        return MASK
    prefix = f"{scheme}://{address}" if separator else address
    if _rule(_WEBHOOK_HOST).fullmatch(host):
        return f"{prefix}/{MASK}"
    return prefix + _rule(_RANDOM_RUN).sub(MASK, _rule(_SHAPES).sub(MASK, parts.path))


def mask_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers with every value masked that is not known to be harmless."""
    return {
        str(name): redact(value) if str(name).lower() in _HARMLESS_HEADERS else MASK for name, value in headers.items()
    }
