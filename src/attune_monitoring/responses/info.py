"""ResponseInfo: what a provider's response says about itself, in the terms of the GenAI conventions."""

from __future__ import annotations

import msgspec

__all__ = ["ResponseInfo"]


class ResponseInfo(msgspec.Struct):
    """Usage, model and outcome of one response; None means that the provider did not say.

    Token counts follow the GenAI conventions: the input includes what was read from and written to the provider's
    cache, the output includes reasoning. Nothing here is content.
    """

    provider: str | None = None
    """As `gen_ai.provider.name` names it; None when neither the type, the shape nor the model tells."""
    model: str | None = None
    response_id: str | None = None
    operation: str | None = None
    """chat, text_completion, generate_content or embeddings."""
    finish_reasons: tuple[str, ...] = ()
    """In the provider's own words, one for each choice."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    """All cache writes."""
    cache_write_1h_tokens: int | None = None
    """The part of the cache writes that is kept for one hour and priced apart (Anthropic)."""
    reasoning_tokens: int | None = None
    service_tier: str | None = None
    tool_calls: int = 0
    """Calls that the model asks the caller to make."""
    server_tool_calls: int = 0
    """Web searches that the provider ran, which it charges by the piece."""
    cost: float | None = None
    """USD, only as the provider or gateway reported it."""
    error_type: str | None = None
    """The code of a failure that was reported inside the response or stream."""
    error_message: str | None = None
    usage_complete: bool = True
    """False when the counts are not the final ones: the response is not finished, the stream was cut, or the provider
    sent no usage."""
