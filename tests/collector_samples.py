"""Secrets and contents as they stand in telemetry, and what looks like them but is harmless."""

from __future__ import annotations

from attune_monitoring import semconv as sc

__all__ = ["CONTENT_KEYS", "HARMLESS", "KEY", "SECRETS", "SECRET_KEYS", "SECRET_TEXTS"]

KEY = "Zx9Qm2Lk7Wp4Rt8Vb3Nc6Hd1"
"""The part of every sample that must not survive."""

CONTENT_KEYS = [
    sc.INPUT_MESSAGES, sc.OUTPUT_MESSAGES, sc.SYSTEM_INSTRUCTIONS,
    "gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.prompt", "gen_ai.completion.0.content",
    "traceloop.entity.input", "input.value", "output.value", "llm.input_messages.0.message.content",
    "llm.prompts", "retrieval.documents.1.document.content", "embedding.text", "ai.prompt.messages",
    "ai.response.text", "ai.toolCall.args", "langfuse.observation.input", "mlflow.spanInputs",
    "all_messages_events", "prompt", "content", "arguments",
]  # fmt: skip
"""Names of attributes that hold prompts, answers, arguments and results of tools, documents."""

SECRET_KEYS = [
    "http.request.header.authorization", "http.request.header.x-api-key", "http.request.header.cookie",
    "http.request.header.x-vault-token", "http.response.header.set-cookie", "db.password", "openai.api_key",
    "client_secret", "aws.secret_access_key", "refresh_token", "proxy-authorization", "accessToken", "github.token",
]  # fmt: skip
"""Names of attributes that say that their value is secret."""

# Put together here, so that no scanner takes them for real ones.
SECRETS = [
    "sk-" + f"proj-{KEY}", "sk-" + f"ant-api03-{KEY}", "sk_" + f"live_{KEY}", "pk-lf-" + KEY,
    "xoxb" + f"-123456789012-{KEY}", "AKIA" + KEY.upper(), "gh" + f"p_{KEY}",
    "github_" + f"pat_{KEY}", "glpat" + f"-{KEY}", "AIza" + f"{KEY}{KEY}", "ya29" + f".{KEY}",
    "hf_" + KEY, "gsk_" + KEY, "xai-" + KEY, "pplx-" + KEY, "nvapi-" + KEY,
    "SG." + f"{KEY}.{KEY}", "eyJ" + f"hbGciOiJIUzI1NiJ9.{KEY}.{KEY}", "123456789:" + f"AA{KEY}{KEY}",
]  # fmt: skip
"""Secrets that are known by their shape; each is one word."""

_PRIVATE = f"-----BEGIN PRIVATE KEY-----\n{KEY}\n{KEY}\n-----END PRIVATE KEY-----"

SECRET_TEXTS = {
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
    "private key": _PRIVATE,
    "private key of RSA that is cut off": f"-----BEGIN RSA PRIVATE KEY-----\n{KEY}\n{KEY}",
    "private key in JSON": '{"private_key": "' + _PRIVATE.replace("\n", "\\n") + '", "type": "service_account"}',
    "private key after its name": f"private_key: {_PRIVATE}",
    "quoted private key after its name": f'private_key="{_PRIVATE}"',
    "password of a URL": f"could not connect to postgres://app:{KEY}@db:5432/x",
    "password with an at sign": f"redis://:a@{KEY}@cache:6379",
    "user of a URL": f"https://{KEY}@host/",
    "query": f"GET https://host/v1?alt=json&key={KEY} failed",
    "signature": f"https://host/path?a=1&sig={KEY}&b=2",
    "fragment": f"https://host/#access_token={KEY}",
    "Slack webhook": f"POST https://hooks.slack.com/services/T0/B0/{KEY} gave 404",
    "Slack webhook apart from its host": f"Max retries exceeded with url: /services/T0/B0/{KEY}",
    "Discord webhook": f"https://discord.com/api/webhooks/12/ab-{KEY}",
    "Teams webhook": f"https://acme.webhook.office.com/webhookb2/a@b/IncomingWebhook/{KEY}",
    "Telegram URL": f"https://api.telegram.org/bot12:{KEY}/sendMessage",
}
"""Secrets that are known by what stands around them."""

HARMLESS = [
    "claude-haiku-4-5-20251001", "gpt-4o-mini-2024-07-18", "meta-llama/Llama-3.3-70B-Instruct", "0.0123", "1536",
    "018f4c1e-8d5a-7c3b-9e2f-1a2b3c4d5e6f", "4bf92f3577b34da6a3ce929d0e0e4736", "msg_01XFDUDYJgAACzvnptvVoYEL",
    "https://api.openai.com/v1/chat/completions?api-version=2024-10-21", "code-review", "risk-assessment",
    "rate limit of 40000 tokens: try again in 3 s", "a basic understanding of it", '["end_turn"]',
    "sk-learn and task-management-system", "global-customer-support-assistant-v2", "Bearer authentication required",
    "pypi-opentelemetry-instrumentation-openai", "/api/services/billing/workflows/42/runs",
    "max_tokens: 512 is too large", "KeyError: 'usage'",
    "git@github.com:acme/shop.git", "trace at 2026-01-11T03:47:00.400225Z",
]  # fmt: skip
