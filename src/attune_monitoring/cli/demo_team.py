"""The invented team whose work `empathy demo --records` writes: its models, workflows, people and hours."""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "ALONE", "BY_NAME", "CHEAPER", "HOURS", "MODELS", "SHARES", "USERS", "WEEKEND", "WEIGHTS", "WORKFLOWS", "Model",
    "Stage", "Workflow",
]  # fmt: skip


class Model(NamedTuple):
    """A model, and how it fails."""

    provider: str
    name: str
    tier: str
    tokens_a_second: float
    errors: tuple[tuple[str, str], ...]
    """Type and message."""


class Stage(NamedTuple):
    """A stage, and the usual tokens of its calls."""

    name: str
    tier: str
    calls: int
    """On average."""
    input_tokens: int
    output_tokens: int
    skipped: float = 0.0
    """Share of the runs that do without it."""
    nested: str = ""
    """Workflow that runs inside of it, instead of calls of its own."""
    streamed: bool = False


class Workflow(NamedTuple):
    """A workflow."""

    name: str
    weight: float
    """How often it is started; 0: only inside of another."""
    trigger: str
    project: str
    people: bool
    """Whether users and sessions stand behind it."""
    stages: tuple[Stage, ...]


_OPENAI_ERRORS = (
    ("rate_limit_exceeded", "429: Rate limit reached for requests."),
    ("server_error", "500: The server had an error while processing your request."),
    ("context_length_exceeded", "400: Your input exceeds the context window of this model."),
)
_ANTHROPIC_ERRORS = (
    ("overloaded_error", "529: Overloaded"),
    ("rate_limit_error", "429: This request would exceed your rate limit."),
    ("APITimeoutError", "Request timed out."),
)
_GOOGLE_ERRORS = (("RESOURCE_EXHAUSTED", "429: Resource has been exhausted."), ("UNAVAILABLE", "503: Overloaded."))
MODELS = {
    "cheap": (
        Model("openai", "gpt-5-mini", "cheap", 110, _OPENAI_ERRORS),
        Model("anthropic", "claude-haiku-4-5", "cheap", 140, _ANTHROPIC_ERRORS),
        Model("gcp.gemini", "gemini-2.5-flash", "cheap", 180, _GOOGLE_ERRORS),
    ),
    "capable": (
        Model("anthropic", "claude-sonnet-4-5", "capable", 70, _ANTHROPIC_ERRORS),
        Model("openai", "gpt-5.1", "capable", 80, _OPENAI_ERRORS),
        Model("gcp.gemini", "gemini-2.5-pro", "capable", 95, _GOOGLE_ERRORS),
    ),
    "premium": (Model("anthropic", "claude-opus-4-5", "premium", 45, _ANTHROPIC_ERRORS),),
    "local": (Model("ollama", "qwen3:8b", "unknown", 35, (("ConnectError", "Connection refused"),)),),
}
SHARES = {"cheap": (0.5, 0.3, 0.2), "capable": (0.6, 0.25, 0.15), "premium": (1.0,), "local": (1.0,)}
CHEAPER = {"premium": "capable", "capable": "cheap"}
WORKFLOWS = (
    Workflow(
        "code-review", 5, "api", "dev-tools", True,
        (
            Stage("triage", "cheap", 1, 1800, 90),
            Stage("analyze", "premium", 3, 7000, 900, streamed=True),
            Stage("verify", "capable", 4, 2600, 250, skipped=0.2),
            Stage("notes", "cheap", 1, 900, 200, skipped=0.5, nested="changelog"),
        ),
    ),
    Workflow("changelog", 0.5, "ci", "dev-tools", False, (Stage("write", "cheap", 1, 1400, 300),)),
    Workflow(
        "support-answer", 9, "api", "helpdesk", True,
        (
            Stage("classify", "cheap", 1, 700, 20),
            Stage("retrieve", "cheap", 3, 1200, 60, skipped=0.15),
            Stage("answer", "capable", 2, 4200, 350, streamed=True),
        ),
    ),
    Workflow(
        "weekly-report", 0.6, "cron", "analytics", False,
        (Stage("select", "cheap", 8, 2500, 120), Stage("write", "capable", 4, 9000, 1800)),
    ),
    Workflow(
        "redact-tickets", 1.4, "cron", "helpdesk", False, (Stage("private", "local", 6, 800, 150),)
    ),
)  # fmt: skip
WEIGHTS = (*(workflow.weight for workflow in WORKFLOWS), 1.5)
ALONE = Stage("", "cheap", 1, 500, 100)
BY_NAME = {workflow.name: workflow for workflow in WORKFLOWS}
USERS = ("ada", "bela", "chen", "dora", "emil", "fatima", "goro", "hana", "ivan", "june", "kofi", "lena")
HOURS = (2, 1, 1, 1, 1, 2, 4, 9, 18, 26, 30, 28, 22, 26, 30, 28, 24, 18, 12, 9, 7, 6, 5, 3)
"""Work in each hour of a day; a weekend has a fifth of it."""
WEEKEND = 0.2
