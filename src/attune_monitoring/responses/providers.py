"""Which provider is it: from the package of a type, the host of a client, the family of a model, or another name."""

from __future__ import annotations

import re
from types import AsyncGeneratorType, GeneratorType
from typing import Any

from attune_monitoring.semconv import PROVIDER_ALIASES

__all__ = [
    "generator_module",
    "known_module",
    "provider_of",
    "provider_of_model",
    "provider_of_type",
    "provider_package",
    "standard_name",
]

# Longest prefix wins; None: a library for any provider, whose objects say which one.
_PACKAGES: dict[str, str | None] = {
    "anthropic": "anthropic",
    "anthropic.lib.aws": "aws.bedrock",
    "anthropic.lib.bedrock": "aws.bedrock",
    "anthropic.lib.google_cloud": "gcp.vertex_ai",
    "anthropic.lib.vertex": "gcp.vertex_ai",
    "azure.ai.inference": "azure.ai.inference",
    "boto3": "aws.bedrock",
    "botocore": "aws.bedrock",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "fireworks": "fireworks",
    "google.ai.generativelanguage": "gcp.gemini",
    "google.cloud.aiplatform": "gcp.vertex_ai",
    "google.genai": "gcp.gemini",
    "google.generativeai": "gcp.gemini",
    "groq": "groq",
    "huggingface_hub": "hugging_face",
    "ibm_watsonx_ai": "ibm.watsonx.ai",
    "langchain_anthropic": "anthropic",
    "langchain_aws": "aws.bedrock",
    "langchain_cohere": "cohere",
    "langchain_core": None,
    "langchain_google_genai": "gcp.gemini",
    "langchain_google_vertexai": "gcp.vertex_ai",
    "langchain_groq": "groq",
    "langchain_mistralai": "mistral_ai",
    "langchain_ollama": "ollama",
    "langchain_openai": "openai",
    "litellm": None,
    "mistralai": "mistral_ai",
    "ollama": "ollama",
    "openai": "openai",
    "openai.lib.azure": "azure.ai.openai",
    "openai.lib.bedrock": "aws.bedrock",
    "together": "together",
    "vertexai": "gcp.vertex_ai",
    "xai_sdk": "x_ai",
}

# How the models begin that a provider sells itself; the first that fits. Open models (llama, gpt-oss …) are served by
# many, so their names tell nothing.
_FAMILIES: tuple[tuple[str, str | None], ...] = (
    ("gpt-oss", None),
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("text-embedding-3", "openai"),
    ("text-embedding-ada", "openai"),
    ("text-davinci-", "openai"),
    ("davinci-002", "openai"),
    ("babbage-002", "openai"),
    ("codex-", "openai"),
    ("computer-use-", "openai"),
    ("claude-", "anthropic"),
    ("gemini-", "gcp.gemini"),
    ("deepseek-", "deepseek"),
    ("mistral-7b", None),
    ("mistral-nemo-", None),
    ("mistral-", "mistral_ai"),
    ("open-mi", "mistral_ai"),
    ("codestral-", "mistral_ai"),
    ("devstral-", "mistral_ai"),
    ("magistral-", "mistral_ai"),
    ("ministral-", "mistral_ai"),
    ("pixtral-", "mistral_ai"),
    ("voxtral-", "mistral_ai"),
    ("grok-", "x_ai"),
    ("command-", "cohere"),
    ("embed-english-", "cohere"),
    ("embed-multilingual-", "cohere"),
    ("embed-v", "cohere"),
    ("sonar", "perplexity"),
    ("kimi-", "moonshot_ai"),
    ("moonshot-", "moonshot_ai"),
)

# These give weights away too; a tag ("mistral:7b") then names a local copy.
_ALSO_OPEN = frozenset({"cohere", "deepseek", "mistral_ai", "moonshot_ai"})
_O_SERIES = re.compile(r"o\d(-|$)")  # o1, o3-mini …

# Domains of clients' hosts.
_HOSTS: tuple[tuple[str, str], ...] = (
    ("openai.azure.com", "azure.ai.openai"),
    ("cognitiveservices.azure.com", "azure.ai.openai"),
    ("services.ai.azure.com", "azure.ai.inference"),
    ("amazonaws.com", "aws.bedrock"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("api.openai.com", "openai"),
    ("api.anthropic.com", "anthropic"),
    ("openrouter.ai", "openrouter"),
    ("deepseek.com", "deepseek"),
    ("groq.com", "groq"),
    ("mistral.ai", "mistral_ai"),
    ("x.ai", "x_ai"),
    ("cohere.com", "cohere"),
    ("perplexity.ai", "perplexity"),
    ("moonshot.ai", "moonshot_ai"),
    ("moonshot.cn", "moonshot_ai"),
    ("together.xyz", "together"),
    ("fireworks.ai", "fireworks"),
)

_NAMES = PROVIDER_ALIASES | {
    "amazon_bedrock": "aws.bedrock",
    "anthropic_bedrock": "aws.bedrock",
    "azure_ai": "azure.ai.inference",
    "azure_openai": "azure.ai.openai",
    "azure_text": "azure.ai.openai",
    "bedrock_converse": "aws.bedrock",
    "cohere_chat": "cohere",
    "codestral": "mistral_ai",
    "fireworks_ai": "fireworks",
    "google_vertexai": "gcp.vertex_ai",
    "ollama_chat": "ollama",
    "text-completion-codestral": "mistral_ai",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "vertex_ai_beta": "gcp.vertex_ai",
    "watsonx_text": "ibm.watsonx.ai",
    # What a gateway calls an endpoint of which it knows only the protocol.
    "custom": None,
    "custom_openai": None,
    "hosted_vllm": None,
    "litellm_proxy": None,
    "openai_like": None,
}

_MAX_MEMO = 1024
_of_type: dict[type, tuple[str | None, str | None]] = {}
_of_model: dict[str, str | None] = {}


def provider_of(obj: object) -> str | None:
    """The provider that an SDK's object belongs to, in the conventions' names; never raises.

    A client that points at a known host belongs to that host's provider, whatever SDK it is of. A generator belongs
    to the module that defines it.

    Args:
        obj: a client, a response, a stream or anything else.

    Returns:
        For example "openai" or "azure.ai.openai"; None for an object of no known provider.
    """
    try:
        if isinstance(obj, (GeneratorType, AsyncGeneratorType)):
            return _PACKAGES.get(_package(generator_module(obj)) or "")
        package, provider = _resolve(type(obj))
        if package is None and obj.__class__ is not type(obj):  # a proxy that answers for what it wraps
            package, provider = _resolve(obj.__class__)
        if package is None:
            return None
        own = getattr(obj, "__dict__", None)
        if type(own) is dict:
            return _provider_of_client(own) or provider
        return provider
    except Exception:
        return None


def provider_of_type(kind: type) -> str | None:
    """The provider whose SDK defines a type or one of its bases; None if none does or the SDK serves many."""
    return _resolve(kind)[1]


def provider_package(kind: type) -> str | None:
    """The known SDK's package in which a type or one of its bases is defined."""
    return _resolve(kind)[0]


def generator_module(generator: Any) -> str:
    """The module of the function behind a generator; "" when it has already ended."""
    frame = generator.ag_frame if isinstance(generator, AsyncGeneratorType) else generator.gi_frame
    return str(frame.f_globals.get("__name__", "")) if frame is not None else ""


def known_module(module: str) -> bool:
    """Whether a module is part of a known SDK."""
    return _package(module) is not None


def provider_of_model(model: str | None) -> str | None:
    """The provider that sells a model under this name; None for open models and unknown names."""
    if model is None:
        return None
    try:
        return _of_model[model]
    except KeyError:
        provider = _family(model.lower())
        if len(_of_model) < _MAX_MEMO:
            _of_model[model] = provider
        return provider


def standard_name(name: str | None) -> str | None:
    """A framework's name of a provider in the conventions' spelling; unknown names are kept."""
    return _NAMES.get(name.lower(), name) if name else None


def _family(model: str) -> str | None:
    model = model.removeprefix("models/").removeprefix("ft:")
    if "/" in model or "distill" in model:
        return None
    for prefix, provider in _FAMILIES:
        if model.startswith(prefix):
            return None if provider in _ALSO_OPEN and ":" in model else provider
    return "openai" if _O_SERIES.match(model) else None


def _resolve(kind: type) -> tuple[str | None, str | None]:
    known = _of_type.get(kind)
    if known is None:
        package = None
        for base in kind.__mro__:
            package = _package(str(base.__module__))
            if package is not None:
                break
        known = (package, _PACKAGES[package] if package else None)
        if len(_of_type) < _MAX_MEMO:
            _of_type[kind] = known
    return known


def _package(module: str) -> str | None:
    while module:
        if module in _PACKAGES:
            return module
        module = module.rpartition(".")[0]
    return None


def _provider_of_client(own: dict[str, Any]) -> str | None:
    url = own.get("_base_url")
    if url is None and "request" in own:  # an error of theirs
        url = getattr(own["request"], "url", None)
    if url is not None:
        # Vertex puts its regions before a hyphen, everybody else before a dot.
        host = str(url).partition("://")[2].partition("/")[0].partition(":")[0].replace("-aiplatform", ".aiplatform")
        for domain, provider in _HOSTS:
            if host == domain or host.endswith("." + domain):
                return provider
    elif "_api_client" in own and getattr(own["_api_client"], "vertexai", None) is True:
        return "gcp.vertex_ai"
    return None
