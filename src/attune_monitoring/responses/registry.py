"""The shapes that are known, in the order in which they are tried. A new one is a file and a line here."""

from __future__ import annotations

from typing import Final

from . import (
    anthropic,
    bedrock,
    cohere,
    error_body,
    google,
    langchain,
    ollama,
    openai_chat,
    openai_embeddings,
    openai_responses,
)
from .shape import Shape

__all__ = ["SHAPES"]

SHAPES: Final[tuple[Shape, ...]] = (
    openai_chat.SHAPE,
    anthropic.SHAPE,
    openai_responses.SHAPE,
    openai_embeddings.SHAPE,
    langchain.SHAPE,
    google.EMBEDDINGS,
    google.SHAPE,
    ollama.SHAPE,
    bedrock.SHAPE,
    cohere.SHAPE,
    error_body.SHAPE,
)
"""The frequent ones first; one that also fits another's responses (LangChain, Google's) before it."""
