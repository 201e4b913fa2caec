"""What surrounds a call: the run, the stage and the annotations, carried in the OpenTelemetry context."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace.propagation import _SPAN_KEY

from attune_monitoring.mapping import Pricer

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

    from attune_monitoring.records import LLMCallRecord

__all__ = [
    "HOOKS",
    "NOTHING_ENTERED",
    "NO_SCOPE",
    "OBSERVED",
    "Budget",
    "Entered",
    "Hooks",
    "Run",
    "Scope",
    "scope_of",
    "with_scope",
]

_KEY = otel_context.create_key("attune-scope")
_log = logging.getLogger("attune_monitoring")


class Run:
    """A workflow run that has begun in this process."""

    __slots__ = ("parent", "run_id", "workflow_name")

    def __init__(self, workflow_name: str, parent: Run | None, run_id: str | None = None) -> None:
        self.run_id = run_id or str(uuid.uuid4())
        self.workflow_name = workflow_name
        self.parent = parent


class Budget(Protocol):
    """What adds up the cost of the calls inside."""

    def add(self, record: LLMCallRecord) -> None:
        """Take a call that has ended."""


class Scope(msgspec.Struct, eq=False):
    """What holds for all that runs inside: what calls inherit, the run, the LLM call and the budget around it."""

    attributes: Mapping[str, Any]
    run: Run | None
    call: object | None
    budget: Budget | None = None


NO_SCOPE = Scope({}, None, None)


def scope_of(context: Context | None = None) -> Scope:
    """Return the scope that a context (the current one by default) lies in."""
    found = (otel_context.get_current() if context is None else context).get(_KEY)
    return found if type(found) is Scope else NO_SCOPE  # isinstance() would ask the metaclass, which is slow


def with_scope(context: Context, scope: Scope, span: Span | None = None) -> Context:
    """Return the context with `scope`, and `span` as the current one, in it."""
    if span is None:
        return otel_context.set_value(_KEY, scope, context)
    return Context({**context, _SPAN_KEY: span, _KEY: scope})  # one copy instead of two


class Hooks:
    """What providers.py fills in: instrumented code itself knows the OpenTelemetry API and nothing of the SDK."""

    def __init__(self) -> None:
        self.tracer: Callable[[], Tracer | None] = lambda: None
        """Returns the tracer to use now, or None where telemetry is off; configures itself at the first call."""
        self.wired = False
        self.pricing: Pricer | None = None
        self.content: Callable[[str], str] | None = None
        """Caps and masks content; None where content must not be captured."""
        self.budget: Callable[[], None] | None = None
        """Asked before a call begins; raises BudgetExceeded. None where there is no budget."""
        self.error_messages = True
        self.stream_proxy = True
        self.failures: Counter[str] = Counter()

    def failed(self, where: str, error: BaseException) -> None:
        """Count a failure of our own and log the first of its kind: it must never reach the user's program."""
        try:
            kind = f"{where}: {type(error).__name__}"
            self.failures[kind] += 1
            if self.failures[kind] == 1:
                _log.warning("Telemetry failed in %s (the program is not affected; logged once)", kind, exc_info=error)
        except Exception:  # a logging handler that raises, or no room left near the recursion limit
            return


HOOKS = Hooks()


class Observed:
    """What was noted of spans that others made, until they end; by span id.

    A span that never ends must not keep its note for ever: the oldest goes.
    """

    LIMIT = 10_000

    def __init__(self) -> None:
        self._notes: dict[int, Any] = {}

    def put(self, span_id: int, note: Any) -> None:
        """Note something of a span, in place of what was noted before."""
        if len(self._notes) >= self.LIMIT:
            self._notes.pop(next(iter(tuple(self._notes)), 0), None)
        self._notes[span_id] = note

    def take(self, span_id: int) -> Any:
        """Return the note and forget it; None if there is none."""
        return self._notes.pop(span_id, None)


OBSERVED = Observed()


class Entered:
    """One entered `with` block or one call of a decorated function: a context that can be attached and detached.

    Subclasses end their span in `finish`.
    """

    __slots__ = ("_token", "context")

    def __init__(self, context: Context) -> None:
        self.context = context
        self._token: object | None = None

    def attach(self) -> None:
        """Make this scope the current one."""
        self._token = otel_context.attach(self.context)

    def detach(self) -> None:
        """Make the scope current again that was so before `attach`.

        A generator may be closed from another task or thread, whose context never had ours: nothing is to be undone
        there, and OpenTelemetry's own `detach` would log an error.
        """
        token: Any = self._token
        if token is None:
            return
        self._token = None
        try:
            token.var.reset(token)
        except AttributeError:  # not of contextvars: another runtime context is installed
            otel_context.detach(token)
        except ValueError:
            pass

    def finish(self, error: BaseException | None) -> None:
        """End what was begun; `error` is what left the block, if anything did."""

    def returned(self, value: Any) -> Any:
        """Look at what a decorated function returned, and give what its caller gets."""
        return value

    def yielded(self, value: Any) -> None:
        """Look at what a decorated generator yielded."""


NOTHING_ENTERED = Entered(Context())
"""Stands in where telemetry is off or has failed."""
