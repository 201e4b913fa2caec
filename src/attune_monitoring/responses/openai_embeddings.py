"""Embeddings: OpenAI and what imitates it (Azure, Mistral, Voyage, LiteLLM …)."""

from __future__ import annotations

from .fields import Fields, fields, items, text
from .info import ResponseInfo
from .openai_usage import apply_gateway, apply_usage, provider_for
from .shape import Shape

__all__ = ["SHAPE"]


def _matches(root: Fields) -> bool:
    if root.get("object") != "list":
        return False
    data = items(root.get("data"))
    return bool(data) and fields(data[0]).get("object") == "embedding"


def _read(root: Fields, declared: str | None) -> ResponseInfo:
    get = root.get
    info = ResponseInfo(operation="embeddings", model=text(get("model")), response_id=text(get("id")))
    info.usage_complete = apply_usage(info, fields(get("usage")))
    if not apply_gateway(info, root):
        info.provider = provider_for(root, info.model, declared)
    return info


SHAPE = Shape(matches=_matches, read=_read)
