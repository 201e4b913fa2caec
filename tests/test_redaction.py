"""Secrets and the secret parts of URLs leave no text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune_monitoring.redaction import MASK, mask_headers, redact, safe_url

KEY = "Zx9Qm2Lk7Wp4Rt8Vb3Nc6Hd1"  # the part of every sample that must not survive

LEAKS = {
    "OpenAI": f"Incorrect API key provided: sk-proj-{KEY}. You can find yours",
    "OpenAI, shortened by the provider": "Incorrect API key provided: sk-12345***wxyz",
    "Anthropic": f"key sk-ant-api03-{KEY}_x-y is disabled",
    "Langfuse": f"(pk-lf-{KEY}, sk-lf-{KEY})",
    "Stripe": f"sk_live_{KEY}",
    "Slack bot": f"xoxb-123-{KEY}",
    "AWS": "id AKIAZX9QM2LK7WP4RT8V used",
    "GitHub": f"remote: ghp_{KEY} or github_pat_{KEY}",
    "GitLab": f"glpat-{KEY}",
    "Google": f"AIza{KEY}{KEY} and ya29.{KEY}",
    "Hugging Face, Groq, xAI, Perplexity": f"hf_{KEY} gsk_{KEY} xai-{KEY} pplx-{KEY}",
    "SendGrid": f"SG.{KEY}.{KEY}",
    "JSON Web Token": f"eyJhbGciOiJIUzI1NiJ9.{KEY}.{KEY}",
    "Telegram": f"123456789:AA{KEY}{KEY}",
    "private key": f"-----BEGIN RSA PRIVATE KEY-----\n{KEY}\n{KEY}\n-----END RSA PRIVATE KEY-----",
    "private key that is cut off": f"-----BEGIN PRIVATE KEY-----\n{KEY}\n{KEY}",
    "bearer": f"sent Bearer {KEY}",
    "header": f"Authorization: Bearer {KEY}\nHost: x",
    "header without scheme": f"authorization={KEY}",
    "digest header": f'Authorization: Digest username="me", response="{KEY}"',
    "printed dict of headers": f"{{'Authorization': 'Token {KEY}', 'x-api-key': '{KEY}'}}",
    "printed list of byte headers": f"[(b'authorization', b'Basic {KEY}'), (b'x-api-key', b'{KEY}')]",
    "cookie": f"Set-Cookie: session={KEY}; Path=/",
    "JSON": f'{{"api_key": "{KEY}", "client_secret": "a b {KEY}"}}',
    "JSON in JSON": rf"{{\"token\": \"{KEY}\", \"a\": 1}}",
    "JSON with an escaped quote": rf'{{"password": "a\"{KEY}"}}',
    "environment": f"OPENAI_API_KEY={KEY} AZURE_CLIENT_SECRET='{KEY}'",
    "camel case": f"apiKey: {KEY}, accessToken={KEY}",
    "password of a URL": f"could not connect to postgres://app:{KEY}@db:5432/x",
    "password with an at sign": f"redis://:a@{KEY}@cache:6379",
    "user of a URL": f"https://{KEY}@host/",
    "query": f"GET https://host/v1?alt=json&key={KEY}#{KEY} failed",
    "unusual query": f"https://host/?x={KEY}",
    "generated part of a path": f"https://host/hooks/{KEY}",
    "Slack webhook": f"POST https://hooks.slack.com/services/T0/B0/{KEY} gave 404",
    "Discord webhook": f"https://discord.com/api/webhooks/12/ab-{KEY}",
    "Teams webhook": f"https://acme.webhook.office.com/webhookb2/a@b/IncomingWebhook/{KEY}",
    "Telegram URL": f"https://api.telegram.org/bot12:{KEY}/sendMessage",
    "path of a webhook apart from its host": (
        f"HTTPSConnectionPool(host='hooks.slack.com', port=443): Max retries exceeded with url: /services/T0/B0/{KEY}"
    ),
    "query apart from its host": f"Max retries exceeded with url: /v1/models?x={KEY} (Caused by",
}

HARMLESS = [
    "Error code: 429 - {'error': {'message': 'Rate limit reached for gpt-4o on tokens per min', 'type': 'tokens'}}",
    "max_tokens: 512 is too large",
    "prompt is too long: 215 tokens > 200 maximum",
    "sk-learn and task-management-system",
    "Bearer authentication required",
    "GET https://api.openai.com/v1/chat/completions gave 404",
    "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash-preview-05-20:generateContent",
    "trace 7f3c1b2a-9d4e-4c1a-8f2b-3e5d6a7b8c9d at 2026-01-11T03:47:00.400225Z",
    "KeyError: 'usage'",
]


@pytest.mark.parametrize("text", LEAKS.values(), ids=LEAKS.keys())
def test_a_secret_does_not_survive(text: str) -> None:
    clean = redact(text)
    assert not any(part in clean for part in (KEY, "12345***wxyz", "AKIAZX9QM2LK7WP4RT8V"))


@pytest.mark.parametrize("text", HARMLESS)
def test_text_without_secrets_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("text", LEAKS.values(), ids=LEAKS.keys())
def test_redacting_twice_changes_nothing(text: str) -> None:
    assert redact(redact(text)) == redact(text)


def test_what_is_around_a_secret_stays_readable() -> None:
    text = f'POST https://u:{KEY}@host:8443/v1/x?token={KEY} with {{"api_key": "{KEY}", "n": 1}} failed'
    assert redact(text) == 'POST https://host:8443/v1/x with {"api_key": "***", "n": 1} failed'


class _Watched(str):
    """A text that remembers how much of it was asked for."""

    __slots__ = ("slices",)

    def __getitem__(self, item: object) -> str:
        self.slices = [*getattr(self, "slices", []), item]
        return str.__getitem__(self, item)  # type: ignore[index]


def test_of_a_huge_text_only_the_beginning_is_looked_at() -> None:
    text = _Watched("x " * 5_000_000)
    clean = redact(text)
    assert text.slices == [slice(None, 8192 + 512)]
    assert clean == "x " * 4096 + "…"


@pytest.mark.parametrize("limit", [0, 10, 100])
def test_the_result_is_no_longer_than_the_limit_and_its_ellipsis(limit: int) -> None:
    assert len(redact("word " * 1000, limit=limit)) == limit + 1


@pytest.mark.parametrize("before", range(60, 100))
def test_a_secret_across_the_cut_shows_no_part_of_itself(before: int) -> None:
    clean = redact("." * before + f" sk-ant-{KEY} " + "." * 2000, limit=100)
    assert "sk-" not in clean
    assert KEY[:4] not in clean


@pytest.mark.parametrize("cut_after", range(1, 30))
def test_a_secret_at_the_end_of_what_is_scanned_shows_no_part_of_itself(cut_after: int) -> None:
    clean = redact("." * (100 + 512 - cut_after) + f" sk-ant-{KEY}" + "." * 2000, limit=100)
    assert set(clean) <= set(".*…")


@pytest.mark.parametrize(
    "unit",
    [
        *("a", "eyJ", "https://", "a-", "token", "-----BEGIN PRIVATE KEY-----", "/services/", "\\", "a.b@", "_-."),
        *('token: "', "cookie:", "authorization ", "url: /", "Bearer ", "1", "a1_", "x@", "?"),
    ],
)
def test_text_made_to_be_slow_is_finished(unit: str) -> None:
    """A pattern that backtracks catastrophically would not come back from 9,000 characters."""
    assert len(redact(unit * 10_000)) <= 8193


class _Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_what_cannot_be_converted_is_named_by_its_type() -> None:
    assert redact(_Unprintable()) == "<_Unprintable that cannot be shown>"


def test_exceptions_and_bytes_are_converted() -> None:
    assert redact(ValueError(f"bad key sk-{KEY}")) == "bad key ***"
    assert redact(b"password=abc \xff") == "password=*** �"
    assert len(redact(b"x" * 10_000_000)) == 8193


@given(st.text() | st.binary() | st.integers() | st.none() | st.lists(st.text()))
def test_nothing_makes_it_raise(value: object) -> None:
    assert isinstance(redact(value), str)


@given(st.text(alphabet=":/?#[]@abc.%\\ \n\u00e9", max_size=60))
def test_no_url_makes_it_raise(url: str) -> None:
    assert isinstance(safe_url(url), str)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://localhost:4318/v1/traces", "http://localhost:4318/v1/traces"),
        ("https://user:pw@host:8443/a/b?token=1#c", "https://host:8443/a/b"),
        ("collector:4317", "collector:4317"),
        ("user:pw@collector:4317", "collector:4317"),
        ("http://[::1]:4318", "http://[::1]:4318"),
        ("http://[::1", MASK),
        ("", MASK),
        ("https://hooks.slack.com/services/T/B/x", f"https://hooks.slack.com/{MASK}"),
        ("https://HOOKS.slack.com:443/services/T/B/x", f"https://HOOKS.slack.com:443/{MASK}"),
        ("https://ptb.discord.com/api/webhooks/1/a", f"https://ptb.discord.com/{MASK}"),
        ("https://prod-1.westeurope.logic.azure.com/workflows/x", f"https://prod-1.westeurope.logic.azure.com/{MASK}"),
        ("https://hooks.slack.com.example/services", "https://hooks.slack.com.example/services"),
        (f"https://host/hook/{KEY}", f"https://host/hook/{MASK}"),
        (None, MASK),
    ],
)
def test_a_url_is_shown_without_credentials_query_and_webhook_path(url: str, shown: str) -> None:
    assert safe_url(url) == shown


def test_only_harmless_headers_keep_their_values() -> None:
    headers = {"Content-Type": "application/json", "X-Api-Key": KEY, "Authorization": KEY, "X-Team": "blue"}
    masked = {"Content-Type": "application/json", "X-Api-Key": MASK, "Authorization": MASK, "X-Team": MASK}
    assert mask_headers(headers) == masked
