"""`workflow`, `stage`, `llm_call`, `tool`, `annotate`: each a decorator, bare or with arguments, and a context manager.

OpenTelemetry's API only, never the SDK.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, overload

from attune_monitoring import semconv as sc
from attune_monitoring.instruments import Annotate, LLMCallInstrument, Stage, Tool, Workflow
from attune_monitoring.scope import HOOKS

__all__ = ["annotate", "llm_call", "stage", "tool", "workflow"]

_F = TypeVar("_F", bound=Callable[..., Any])
_Operation = Literal["chat", "generate_content", "text_completion", "embeddings"]


def _is_decorated(given: object) -> bool:
    return callable(given) or isinstance(given, classmethod)  # which alone of the methods cannot be called itself


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:
        HOOKS.failed("an argument", error)
        return ""


def _annotations(user_id: object, session_id: object, project: object) -> dict[str, str]:
    given = ((sc.USER_ID, user_id), (sc.CONVERSATION_ID, session_id), (sc.PROJECT, project))
    return {key: _text(value) for key, value in given if value is not None}


@overload
def workflow(name: _F, /) -> _F: ...
@overload
def workflow(
    name: str | None = None,
    *,
    user_id: str | None = None,
    session_id: str | None = None,
    project: str | None = None,
    trigger: str | None = None,
) -> Workflow: ...
def workflow(
    name: Any = None,
    *,
    user_id: str | None = None,
    session_id: str | None = None,
    project: str | None = None,
    trigger: str | None = None,
) -> Any:
    """Record a workflow run: `@workflow`, `@workflow("name")` or `with workflow("name") as run:`.

    All calls made inside carry the run's id; when the run ends, its sums are written.

    Args:
        name: the workflow's name; a decorated function's own name by default.
        user_id: for whom it runs.
        session_id: the conversation it belongs to.
        project: whose bill it goes to.
        trigger: what started it (free text).
    """
    if _is_decorated(name):
        return Workflow(None, {}, None)(name)
    return Workflow(name, _annotations(user_id, session_id, project), trigger)


@overload
def stage(name: _F, /) -> _F: ...
@overload
def stage(name: str | None = None, *, tier: str | None = None, task_type: str | None = None) -> Stage: ...
def stage(name: Any = None, *, tier: str | None = None, task_type: str | None = None) -> Any:
    """Record a stage of a workflow: `@stage`, `@stage("name")` or `with stage("name", tier="cheap") as s:`.

    Args:
        name: the stage's name; a decorated function's own name by default.
        tier: cheap, capable or premium: what the calls inside are, unless they say otherwise.
        task_type: what the calls inside are for, unless they say otherwise.
    """
    if _is_decorated(name):
        return Stage(None, None, None)(name)
    return Stage(name, tier, task_type)


@overload
def tool(name: _F, /) -> _F: ...
@overload
def tool(name: str | None = None, *, call_id: str | None = None, type: str | None = None) -> Tool: ...
def tool(name: Any = None, *, call_id: str | None = None, type: str | None = None) -> Any:  # noqa: A002
    """Record the execution of a tool: `@tool`, `@tool("name")` or `with tool("name"):`.

    Args:
        name: the tool's name; a decorated function's own name by default.
        call_id: the id that the model gave to this call.
        type: function, extension or datastore.
    """
    if _is_decorated(name):
        return Tool(None, None, None)(name)
    return Tool(name, call_id, type)


@overload
def annotate(function: _F, /) -> _F: ...
@overload
def annotate(
    function: None = None,
    /,
    *,
    user_id: str | None = None,
    session_id: str | None = None,
    project: str | None = None,
    **metadata: object,
) -> Annotate: ...
def annotate(
    function: Any = None,
    /,
    *,
    user_id: str | None = None,
    session_id: str | None = None,
    project: str | None = None,
    **metadata: object,
) -> Any:
    """Say for whom all that runs inside runs: `with annotate(user_id="u1", release="1.2"):` or as a decorator.

    Args:
        function: the decorated function, where there are no arguments.
        user_id: for whom.
        session_id: the conversation.
        project: whose bill it goes to.
        metadata: anything else that JSON can hold; stands in the records' `metadata`.
    """
    if _is_decorated(function):
        return Annotate({}, {})(function)
    return Annotate(_annotations(user_id, session_id, project), metadata)


@overload
def llm_call(function: _F, /) -> _F: ...
@overload
def llm_call(
    function: None = None,
    /,
    *,
    provider: str | None = None,
    model: str | None = None,
    task_type: str | None = None,
    tier: str | None = None,
    operation: _Operation = "chat",
    step: str | None = None,
    server_address: str | None = None,
    server_port: int | None = None,
) -> LLMCallInstrument: ...
def llm_call(
    function: Any = None,
    /,
    *,
    provider: str | None = None,
    model: str | None = None,
    task_type: str | None = None,
    tier: str | None = None,
    operation: _Operation = "chat",
    step: str | None = None,
    server_address: str | None = None,
    server_port: int | None = None,
) -> Any:
    """Record a call of a language model: `@llm_call`, `@llm_call(...)` or `with llm_call(...) as call:`.

    A decorated function that returns the provider's response needs no arguments: provider, model and usage are read
    from it. With `with`, hand the response to `call.record`, or iterate over `call.stream(response)`.

    Args:
        function: the decorated function, where there are no arguments.
        provider: as in `gen_ai.provider.name`: openai, anthropic, gcp.gemini, ollama …
        model: the model that is asked.
        task_type: what the call is for: summarize, classify, fix_bug … (free text).
        tier: cheap, capable or premium; by default what the price list says of the model.
        operation: chat, generate_content, text_completion or embeddings.
        step: the step's name in the records; by default the stage's, else the decorated function's.
        server_address: host name of the provider's server.
        server_port: its port.
    """
    try:
        attributes, name = _known_before(operation, provider, model, task_type, tier, step, server_address, server_port)
    except Exception:  # one of them cannot be the key of a memo
        attributes, name = _known_before.__wrapped__(
            operation, provider, model, task_type, tier, step, server_address, server_port
        )
    instrument = LLMCallInstrument(attributes, name)
    return instrument(function) if function is not None and _is_decorated(function) else instrument


@functools.lru_cache(maxsize=512)
def _known_before(
    operation: str,
    provider: object,
    model: object,
    task_type: object,
    tier: object,
    step: object,
    server_address: object,
    server_port: object,
) -> tuple[Mapping[str, Any], str]:
    """Return the attributes that a call begins with, and its span's name: the same for each call from one place."""
    attributes: dict[str, Any] = {sc.OPERATION: operation}
    if provider is not None:
        if type(provider) is not str:
            provider = _text(provider)
        attributes[sc.PROVIDER] = sc.PROVIDER_ALIASES.get(provider.lower(), provider)
    if model is not None:
        attributes[sc.REQUEST_MODEL] = model if type(model) is str else _text(model)
    if task_type is not None:
        attributes[sc.TASK_TYPE] = task_type if type(task_type) is str else _text(task_type)
    if tier is not None:
        attributes[sc.TIER] = _text(tier)
    if step is not None:
        attributes[sc.STEP_NAME] = _text(step)
    if server_address is not None:
        attributes[sc.SERVER_ADDRESS] = server_address
    if server_port is not None:
        attributes[sc.SERVER_PORT] = server_port
    return attributes, operation if model is None else f"{operation} {attributes[sc.REQUEST_MODEL]}"
