"""Which client, which method and which arguments a recorded request was made with, from its URL and its body."""

from __future__ import annotations

import inspect
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import anthropic
import openai
from replay_server import KEY_HEADER, ReplayServer

from recordings_io import Interaction

__all__ = ["Plan", "UnreplayableError", "plan"]

_REQUIRED: Mapping[str, Mapping[str, Any]] = {
    "chat.completions": {"messages": []},
    "completions": {"prompt": ""},
    "embeddings": {"input": ""},
    "responses": {"input": ""},
    "messages": {"messages": [], "max_tokens": 1},
    "beta.messages": {"messages": [], "max_tokens": 1},
}
"""By the path of a method's resource: what it wants, even where a recording has lost it."""

_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Nothing here is encrypted, and loading the system's certificates for every client takes most of a test's time."""

_ENDINGS = (
    ("/chat/completions", "chat.completions"),
    ("/completions", "completions"),
    ("/embeddings", "embeddings"),
    ("/responses", "responses"),
    ("/v1/messages", "messages"),
)
_PROVIDERS = (
    ("openai.azure.com", "azure.ai.openai"),
    ("api.openai.com", "openai"),
    ("api.anthropic.com", "anthropic"),
    ("openrouter.ai", "openrouter"),
    ("api.deepseek.com", "deepseek"),
    ("api.groq.com", "groq"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.x.ai", "x_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("api.moonshot.ai", "moonshot_ai"),
)
_OPERATIONS = {"completions": "text_completion", "embeddings": "embeddings"}
_OTHER_PROTOCOLS = (
    ("generatecontent", "Google's protocol"),
    ("embedcontent", "Google's protocol"),
    ("rawpredict", "Vertex AI's protocol"),
    ("/converse", "Bedrock's protocol"),
    ("/invoke", "Bedrock's protocol"),
    ("/api/chat", "Ollama's protocol"),
    ("/api/generate", "Ollama's protocol"),
    ("/api/embed", "Ollama's protocol"),
    ("/v2/chat", "Cohere's protocol"),
    ("/v2/embed", "Cohere's protocol"),
)


class UnreplayableError(Exception):
    """No client of OpenAI's or Anthropic's makes this request; the message says why."""


@dataclass(frozen=True)
class Plan:
    """How to make a recorded request again."""

    interaction: Interaction
    resource: str
    host: str
    prefix: str
    """What precedes the resource's own path."""
    query: Mapping[str, str]
    deployment: str | None
    arguments: Mapping[str, Any]
    """Without `stream`."""

    @property
    def library(self) -> Any:
        """The package of the client."""
        return anthropic if self.resource.endswith("messages") else openai

    @property
    def operation(self) -> Any:
        """As `gen_ai.operation.name` names it."""
        return _OPERATIONS.get(self.resource, "chat")

    @property
    def provider(self) -> str | None:
        """Whose host it is; None if that cannot be told."""
        return next((name for host, name in _PROVIDERS if self.host == host or self.host.endswith("." + host)), None)

    @property
    def model(self) -> str | None:
        """The model that was asked for."""
        return self.arguments.get("model")

    def client(self, server: ReplayServer, key: str, *, asynchronous: bool = False, max_retries: int = 0) -> Any:
        """A real client of the recorded host, whose requests the replay server gets."""
        library = self.library
        prefix = "Async" if asynchronous else ""
        http = getattr(library, f"Default{prefix}HttpxClient")
        options: dict[str, Any] = {
            "api_key": "none",
            "default_headers": {KEY_HEADER: key},
            "http_client": http(proxy=server.url, trust_env=False, verify=_NO_TLS),
            "max_retries": max_retries,
            "timeout": 60.0,
        }
        query = dict(self.query)
        if library is anthropic:
            return getattr(library, f"{prefix}Anthropic")(base_url=f"http://{self.host}{self.prefix}", **options)
        if self.deployment is not None:
            return getattr(library, f"{prefix}AzureOpenAI")(
                azure_endpoint=f"http://{self.host}",
                azure_deployment=self.deployment,
                api_version=query.pop("api-version", "none"),
                default_query=query,
                **options,
            )
        base_url = f"http://{self.host}{self.prefix}"
        return getattr(library, f"{prefix}OpenAI")(base_url=base_url, default_query=query, **options)

    def method(self, client: Any, name: str = "create", *, via: str | None = None) -> Callable[..., Any]:
        """The client's method with the recorded arguments bound.

        Args:
            client: a client that `client()` has made.
            name: `create` or `stream`.
            via: `with_raw_response` or `with_streaming_response`, if the method is to be reached through one.
        """
        resource = client
        for part in self.resource.split("."):
            resource = getattr(resource, part)
        known = inspect.signature(getattr(resource, name)).parameters
        method = getattr(getattr(resource, via) if via else resource, name)
        fitting = {key: value for key, value in self.arguments.items() if key in known}
        others = {key: value for key, value in self.arguments.items() if key not in known}

        def call(**more: Any) -> Any:
            return method(**fitting, **more, extra_body=others or None)

        return call

    def create(self, client: Any) -> Any:
        """The response or stream that was recorded (or what awaits it)."""
        return self.method(client)(**({"stream": True} if self.streams else {}))

    @property
    def streams(self) -> bool:
        """Whether a stream was asked for and came; what an error was asked for with does not matter to it."""
        asked = isinstance(self.interaction.request, dict) and self.interaction.request.get("stream") is True
        return self.interaction.is_stream if self.interaction.status < 400 else asked


def plan(interaction: Interaction) -> Plan:
    """Work out how to make this request again.

    Raises:
        UnreplayableError: it is not a request for a generation, or not one in OpenAI's or Anthropic's protocol.
    """
    url = urlsplit(interaction.uri)
    path = unquote(url.path).rstrip("/")
    resource = next((name for ending, name in _ENDINGS if path.endswith(ending)), None)
    if resource is None or interaction.method != "POST":
        for part, protocol in _OTHER_PROTOCOLS:
            if path.lower().endswith(part):
                raise UnreplayableError(f"{protocol}: the openai and anthropic clients do not speak it")
        raise UnreplayableError(f"not a generation: {interaction.method} {path or '/'}")
    body = interaction.request if isinstance(interaction.request, dict) else {}
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    ending = next(ending for ending, name in _ENDINGS if name == resource)
    prefix = path.removesuffix(ending)
    if resource == "messages" and query.pop("beta", None) is not None:
        resource = "beta.messages"
    _, azure, deployment = prefix.partition("/openai/deployments/")
    arguments = {key: value for key, value in body.items() if key != "stream"}
    arguments.setdefault("model", deployment if azure else "unknown")
    for key, value in _REQUIRED[resource].items():
        arguments.setdefault(key, value)
    return Plan(
        interaction=interaction,
        resource=resource,
        host=url.netloc.rpartition("@")[2] or "unknown.invalid",
        prefix=prefix,
        query=query,
        deployment=deployment if azure else None,
        arguments=arguments,
    )
