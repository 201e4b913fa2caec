"""Usage, cost and provider as the OpenAI API and the many APIs that imitate it report them."""

from __future__ import annotations

from .fields import Fields, count, fields, money, text
from .info import ResponseInfo
from .providers import provider_of_model, standard_name

__all__ = ["apply_gateway", "apply_usage", "provider_for"]

_CACHE_READ = ("prompt_cache_hit_tokens", "cache_read_input_tokens", "cached_tokens")  # DeepSeek, LiteLLM, Moonshot
_CACHE_WRITE = ("cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens")
_TICK = 1e-10  # USD; xAI's documentation, "Cost tracking"


def apply_usage(info: ResponseInfo, usage: Fields) -> bool:
    """Writes a `usage` object into `info`, overwriting what it names; False when it counts nothing.

    Both spellings are understood: `prompt_tokens`/`completion_tokens` (chat, text completions, embeddings) and
    `input_tokens`/`output_tokens` (Responses API). Cached tokens are part of the input in all of them.
    """
    get = usage.get
    value = get("prompt_tokens")
    if value is not None:
        input_tokens, output_tokens = count(value), count(get("completion_tokens"))
        input_details, output_details = get("prompt_tokens_details"), get("completion_tokens_details")
    else:
        input_tokens, output_tokens = count(get("input_tokens")), count(get("output_tokens"))
        input_details, output_details = get("input_tokens_details"), get("output_tokens_details")
    if input_tokens is None and output_tokens is None:
        # Embedding services (Voyage, Jina) may report nothing but the total.
        input_tokens = count(get("total_tokens"))
        if input_tokens is None:
            return False
    info.input_tokens = input_tokens
    info.output_tokens = output_tokens

    if input_details is not None:
        _apply_details(info, fields(input_details))
    if info.cache_read_tokens is None:
        info.cache_read_tokens = _first_count(usage, _CACHE_READ)
    if info.cache_write_tokens is None:
        info.cache_write_tokens = _first_count(usage, _CACHE_WRITE)

    value = None if output_details is None else fields(output_details).get("reasoning_tokens")
    reasoning = count(get("reasoning_tokens") if value is None else value)
    if reasoning is not None:
        info.reasoning_tokens = reasoning
        # xAI and some gateways count reasoning beside the completion. The total tells.
        if (
            reasoning
            and input_tokens is not None
            and output_tokens is not None
            and get("total_tokens") == input_tokens + output_tokens + reasoning
        ):
            info.output_tokens = output_tokens + reasoning

    tools = get("server_tool_use")
    value = get("num_search_queries") if tools is None else fields(tools).get("web_search_requests")
    if value is not None:
        info.server_tool_calls = count(value) or 0
    if info.service_tier is None:
        info.service_tier = text(get("service_tier"))
    _apply_cost(info, usage)
    return True


def _apply_details(info: ResponseInfo, details: Fields) -> None:
    read = count(details.get("cached_tokens"))
    if read is not None:
        info.cache_read_tokens = read
    written = _first_count(details, _CACHE_WRITE)
    if written is not None:
        info.cache_write_tokens = written
        lifetimes = details.get("cache_creation_token_details")  # LiteLLM, for Anthropic
        if lifetimes is not None:
            info.cache_write_1h_tokens = count(fields(lifetimes).get("ephemeral_1h_input_tokens"))


def _apply_cost(info: ResponseInfo, usage: Fields) -> None:
    reported = usage.get("cost")
    if reported is None:
        ticks = usage.get("cost_in_usd_ticks")
        if ticks is not None:
            info.cost = money(ticks, _TICK)
        return
    cost = money(reported)
    if cost is None:
        cost = money(fields(reported).get("total_cost"))  # Perplexity: USD, broken down
    elif usage.get("is_byok") is True:
        # With the user's own key OpenRouter's cost is only its fee; the model's provider charges the rest.
        upstream = money(fields(usage.get("cost_details")).get("upstream_inference_cost"))
        cost = None if upstream is None else cost + upstream
    info.cost = cost


def apply_gateway(info: ResponseInfo, root: Fields) -> bool:
    """Writes what LiteLLM and OpenRouter add to a response into `info`; True when one of them did."""
    hidden = root.get("_hidden_params")
    if hidden is not None:
        get = fields(hidden).get
        provider = standard_name(text(get("custom_llm_provider")))
        if provider is not None:
            info.provider = provider
        cost = money(get("response_cost"))
        if cost is not None:
            info.cost = cost
        return provider is not None
    if type(root.get("provider")) is str:
        info.provider = "openrouter"
        return True
    return False


def provider_for(root: Fields, model: str | None, declared: str | None) -> str | None:
    """Whose response of OpenAI's shape it is: marks of a server first, then the SDK, then the model's family.

    The openai package talks to every imitation, so its types alone prove nothing.
    """
    get = root.get
    if get("prompt_filter_results") is not None or get("content_filters") is not None:
        return "azure.ai.openai"
    if get("x_groq") is not None:
        return "groq"
    if get("system_fingerprint") == "fp_ollama":
        return "ollama"
    if declared is not None and declared != "openai":
        return declared
    return provider_of_model(model)


def _first_count(node: Fields, names: tuple[str, ...]) -> int | None:
    for name in names:
        value = node.get(name)
        if value is not None:
            return count(value)
    return None
