"""Every attribute and metric name, its dimensions, and the dialects that are read: data only, and nowhere else.

The GenAI conventions have status Development and renamed most keys at least once, so this project owns the names. What
has a convention uses it; our own names start with `attune.`.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

SCOPE: Final = "attune_monitoring"
"""Instrumentation scope of our own spans and metrics."""

# --- GenAI conventions -------------------------------------------------------------------------------------------
OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
"""Seconds."""
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
COST: Final = "gen_ai.usage.cost"
"""USD. No convention yet; the name that existing backends read."""
CONVERSATION_ID: Final = "gen_ai.conversation.id"
AGENT_NAME: Final = "gen_ai.agent.name"
WORKFLOW_NAME: Final = "gen_ai.workflow.name"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOKEN_TYPE: Final = "gen_ai.token.type"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
USER_ID: Final = "user.id"
ERROR_TYPE: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
CODE_FILE: Final = "code.file.path"
CODE_LINE: Final = "code.line.number"

CHAT: Final = "chat"
EMBEDDINGS: Final = "embeddings"
EXECUTE_TOOL: Final = "execute_tool"
INVOKE_WORKFLOW: Final = "invoke_workflow"
INVOKE_AGENT: Final = "invoke_agent"
CALL_OPERATIONS: Final = frozenset({"chat", "generate_content", "text_completion", "embeddings"})
"""Operations that are calls of a model, and so become call records."""

# --- ours --------------------------------------------------------------------------------------------------------
SPAN_KIND: Final = "attune.span.kind"
"""`stage` on a workflow's stage; absent elsewhere (the operation name says it)."""
RUN_ID: Final = "attune.run.id"
PARENT_RUN_ID: Final = "attune.run.parent_id"
RUN_TRIGGER: Final = "attune.run.trigger"
STAGE_NAME: Final = "attune.stage.name"
STAGE_ID: Final = "attune.stage.id"
"""Span id (hex) of the stage that a call was made in."""
PARENT_STAGE_ID: Final = "attune.stage.parent_id"
STAGE_SKIPPED: Final = "attune.stage.skipped"
STAGE_SKIP_REASON: Final = "attune.stage.skip_reason"
STEP_NAME: Final = "attune.step.name"
TIER: Final = "attune.tier"
TASK_TYPE: Final = "attune.task_type"
PROJECT: Final = "attune.project"
METADATA: Final = "attune.metadata"
"""JSON object of what `annotate` was given beyond the named fields."""
COST_SOURCE: Final = "attune.cost.source"
BASELINE_COST: Final = "attune.cost.baseline"
"""USD that the same tokens would have cost at the provider's premium model."""
CACHE_WRITE_1H_TOKENS: Final = "attune.usage.cache_write_1h.input_tokens"
USAGE_COMPLETE: Final = "attune.usage.complete"
RETRY_COUNT: Final = "attune.retry.count"
ATTEMPTS: Final = "attune.attempts"
"""JSON list of the attempts that were given up before the last one, each with its model, usage and cost."""
FALLBACK_CHAIN: Final = "attune.fallback.chain"
ORIGINAL_PROVIDER: Final = "attune.fallback.original_provider"
ORIGINAL_MODEL: Final = "attune.fallback.original_model"
CIRCUIT_BREAKER: Final = "attune.circuit_breaker.state"
TOOL_CALLS: Final = "attune.response.tool_calls"
SERVER_TOOL_CALLS: Final = "attune.response.server_tool_calls"
SERVICE_TIER: Final = "attune.response.service_tier"
CANCELLED: Final = "attune.cancelled"
DELEGATED: Final = "attune.delegated"
"""True on a span whose call another instrumentation recorded: neither usage nor a record of its own."""
RECORD: Final = "attune.record"
"""JSON of those fields of a record handed in by the caller that no other attribute carries."""
OVERFLOW: Final = "otel.metric.overflow"
"""True on the series into which all beyond the limit are summed, as in the SDK."""
OUTCOME: Final = "attune.outcome"
"""ok, error or cancelled."""

CostSource = Literal["reported", "caller", "override", "table", "live", "unknown", "none"]
"""reported: by the provider or gateway; caller: handed in; none: the call failed before anything was used."""


class Metric(NamedTuple):
    """One metric: its instrument, unit (UCUM) and the attributes that each of its points may carry."""

    name: str
    instrument: Literal["counter", "histogram"]
    unit: str
    description: str
    dimensions: tuple[str, ...]
    buckets: tuple[float, ...] = ()


SECONDS_BUCKETS: Final = tuple(round(0.01 * 2**i, 2) for i in range(14))
"""0.01 s to 81.92 s, doubling (GenAI conventions)."""
TOKEN_BUCKETS: Final = tuple(float(4**i) for i in range(14))
"""1 to 67,108,864 tokens, times four (GenAI conventions)."""
RUN_BUCKETS: Final = (1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0)
"""Seconds (GenAI conventions, gen_ai.invoke_workflow.duration)."""

_CALL = (WORKFLOW_NAME, PROVIDER, RESPONSE_MODEL, TIER, PROJECT)
_CLIENT = (OPERATION, PROVIDER, REQUEST_MODEL, RESPONSE_MODEL)

LLM_CALLS: Final = Metric(
    "attune.llm.calls", "counter", "{call}", "LLM calls by outcome (ok, error, cancelled).", (*_CALL, OUTCOME)
)
LLM_COST: Final = Metric("attune.llm.cost", "counter", "USD", "Cost of LLM calls whose cost is known.", _CALL)
LLM_BASELINE: Final = Metric(
    "attune.llm.baseline_cost", "counter", "USD", "The same calls priced at the provider's premium model.", _CALL
)
LLM_TOKENS: Final = Metric(
    "attune.llm.tokens",
    "counter",
    "{token}",
    "Tokens by kind: input and output are totals; cache_read and cache_write are parts of input, reasoning of output.",
    (*_CALL, TOKEN_TYPE),
)
LLM_ERRORS: Final = Metric(
    "attune.llm.errors", "counter", "{error}", "Failed LLM calls by error type.", (*_CALL, ERROR_TYPE)
)
LLM_RETRIES: Final = Metric("attune.llm.retries", "counter", "{retry}", "Attempts repeated after a failure.", _CALL)
LLM_FALLBACKS: Final = Metric(
    "attune.llm.fallbacks", "counter", "{call}", "Calls answered by another model than the one first asked.", _CALL
)
LLM_UNKNOWN_COST: Final = Metric(
    "attune.llm.unknown_cost", "counter", "{call}", "Calls that used tokens but whose cost is not known.", _CALL
)
LLM_TRUNCATED: Final = Metric(
    "attune.llm.truncated", "counter", "{call}", "Calls whose answer was cut at the token limit.", _CALL
)
LLM_DURATION: Final = Metric(
    "attune.llm.duration", "histogram", "s", "Duration of LLM calls.", (*_CALL, OUTCOME), SECONDS_BUCKETS
)
LLM_TTFT: Final = Metric(
    "attune.llm.time_to_first_token", "histogram", "s", "Time to the first streamed token.", _CALL, SECONDS_BUCKETS
)
WORKFLOW_RUNS: Final = Metric(
    "attune.workflow.runs", "counter", "{run}", "Workflow runs by outcome.", (WORKFLOW_NAME, PROJECT, OUTCOME)
)
WORKFLOW_DURATION: Final = Metric(
    "attune.workflow.duration",
    "histogram",
    "s",
    "Duration of workflow runs.",
    (WORKFLOW_NAME, PROJECT, OUTCOME),
    RUN_BUCKETS,
)
STAGE_DURATION: Final = Metric(
    "attune.stage.duration",
    "histogram",
    "s",
    "Duration of workflow stages.",
    (WORKFLOW_NAME, STAGE_NAME, TIER, OUTCOME),
    RUN_BUCKETS,
)
DROPPED: Final = Metric(
    "attune.records.dropped", "counter", "{record}", "Records that could not be written to the local folder.", ()
)
CLIENT_DURATION: Final = Metric(
    "gen_ai.client.operation.duration",
    "histogram",
    "s",
    "GenAI operation duration.",
    (*_CLIENT, ERROR_TYPE),
    SECONDS_BUCKETS,
)
CLIENT_TTFC: Final = Metric(
    "gen_ai.client.operation.time_to_first_chunk",
    "histogram",
    "s",
    "Time to receive the first chunk of a streamed response.",
    _CLIENT,
    SECONDS_BUCKETS,
)
CLIENT_TOKENS: Final = Metric(
    "gen_ai.client.token.usage",
    "histogram",
    "{token}",
    "Number of input and output tokens used.",
    (*_CLIENT, TOKEN_TYPE),
    TOKEN_BUCKETS,
)
INVOKE_WORKFLOW_DURATION: Final = Metric(
    "gen_ai.invoke_workflow.duration",
    "histogram",
    "s",
    "Duration of a workflow invocation.",
    (OPERATION, AGENT_NAME, WORKFLOW_NAME, ERROR_TYPE),
    RUN_BUCKETS,
)

METRICS: Final = (
    LLM_CALLS, LLM_COST, LLM_BASELINE, LLM_TOKENS, LLM_ERRORS, LLM_RETRIES, LLM_FALLBACKS, LLM_UNKNOWN_COST,
    LLM_TRUNCATED, LLM_DURATION, LLM_TTFT, WORKFLOW_RUNS, WORKFLOW_DURATION, STAGE_DURATION, DROPPED, CLIENT_DURATION,
    CLIENT_TTFC, CLIENT_TOKENS, INVOKE_WORKFLOW_DURATION,
)  # fmt: skip

TRUNCATED_REASONS: Final = frozenset({"length", "max_tokens", "MAX_TOKENS", "max_output_tokens", "model_length"})
"""Finish reasons of the providers that mean: cut at the token limit."""

# --- dialects ----------------------------------------------------------------------------------------------------
# For each field the keys of every dialect, in the order in which they are tried: the first present wins.
FIELD_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "provider": (PROVIDER, "gen_ai.system", "llm.provider", "llm.system"),
    "request_model": (REQUEST_MODEL, "llm.request.model_name", "llm.model_name", "embedding.model_name"),
    "response_model": (RESPONSE_MODEL, "llm.response.model_name"),
    "response_id": (RESPONSE_ID, "llm.response.id"),
    "input_tokens": (INPUT_TOKENS, "gen_ai.usage.prompt_tokens", "llm.token_count.prompt", "llm.usage.prompt_tokens"),
    "output_tokens": (
        OUTPUT_TOKENS,
        "gen_ai.usage.completion_tokens",
        "llm.token_count.completion",
        "llm.usage.completion_tokens",
    ),
    "cache_read_tokens": (
        CACHE_READ_TOKENS,
        "gen_ai.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read",
    ),
    "cache_write_tokens": (
        CACHE_WRITE_TOKENS,
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
    "reasoning_tokens": (
        REASONING_TOKENS,
        "llm.token_count.completion_details.reasoning",
        "gen_ai.usage.reasoning_tokens",
        "llm.usage.reasoning_tokens",
    ),
    "cost": ("gen_ai.usage.cost.amount", COST, "llm.cost.total", "operation.cost"),
    "session_id": (
        CONVERSATION_ID,
        "session.id",
        "gen_ai.session.id",
        "traceloop.association.properties.session_id",
    ),
    "user_id": (
        USER_ID,
        "enduser.id",
        "gen_ai.request.user",
        "llm.user",
        "traceloop.association.properties.user_id",
    ),
    "workflow": (WORKFLOW_NAME, "traceloop.workflow.name"),
    "stage": (STAGE_NAME, "graph.node.name", "traceloop.entity.name", "traceloop.entity.path"),
    "finish_reasons": (
        FINISH_REASONS,
        "llm.finish_reason",
        "gen_ai.response.finish_reason",
        "gen_ai.response.stop_reason",
    ),
    "time_to_first_token": (
        TIME_TO_FIRST_CHUNK,
        "gen_ai.server.time_to_first_token",
        "llm.time_to_first_token",
    ),
    "service_tier": (SERVICE_TIER, "openai.response.service_tier", "gen_ai.openai.response.service_tier"),
    "source_file": (CODE_FILE, "code.filepath"),
    "source_line": (CODE_LINE, "code.lineno"),
}

OPENINFERENCE_KIND: Final = "openinference.span.kind"
TRACELOOP_KIND: Final = "traceloop.span.kind"
TRACELOOP_WORKFLOW: Final = "traceloop.workflow.name"
LLM_REQUEST_TYPE: Final = "llm.request.type"

OPENINFERENCE_OPERATIONS: Final = {
    "LLM": "chat",
    "EMBEDDING": "embeddings",
    "TOOL": "execute_tool",
    "AGENT": "invoke_agent",
    "RETRIEVER": "retrieval",
    "CHAIN": "chain",  # a workflow where it is a root, else a stage
}
TRACELOOP_OPERATIONS: Final = {
    "workflow": "invoke_workflow",
    "task": "stage",
    "agent": "invoke_agent",
    "tool": "execute_tool",
}
LLM_REQUEST_OPERATIONS: Final = {
    "chat": "chat",
    "completion": "text_completion",
    "embedding": "embeddings",
    "rerank": "rerank",
}

PROVIDER_ALIASES: Final = {
    "xai": "x_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "google_genai": "gcp.gen_ai",
    "mistralai": "mistral_ai",
    "mistral": "mistral_ai",
    "aws": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "azure": "azure.ai.openai",
    "az.ai.openai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "watsonx": "ibm.watsonx.ai",
    "moonshot": "moonshot_ai",
}
"""Other spellings of the providers, lower case, to the well-known values of `gen_ai.provider.name`."""

GENAI_PREFIXES: Final = ("gen_ai.", "llm.", "openinference.", "traceloop.", "attune.", "operation.cost")
"""How the keys of a span begin that concerns us."""
