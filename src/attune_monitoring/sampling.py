"""Sampling that never loses a record, and span ids that a record brings with it."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind, TraceState
    from opentelemetry.util.types import Attributes

__all__ = ["GIVEN_IDS", "GivenIds", "KeepRecords"]


class KeepRecords(Sampler):
    """Lets another sampler decide what is exported, and has everything else recorded all the same.

    Where the other one drops a span, it is made RECORD_ONLY *with* the attributes that it was started with: the
    recorder sees it, exporters do not. (The SDK's AlwaysRecordSampler loses those attributes.)

    Args:
        sampler: the other one.
        samples_roots: whether it is known to sample every span without a parent, and need not be asked.
    """

    def __init__(self, sampler: Sampler, *, samples_roots: bool = False) -> None:
        self.sampler = sampler
        self._samples_roots = samples_roots
        # Calls that are alike begin with the same attributes (the same object, so it stays true if that is changed).
        self._latest: tuple[Attributes, SamplingResult] = None, SamplingResult(_SAMPLED)

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide as the wrapped sampler does, but never drop."""
        if self._samples_roots and not parent_context:
            given, result = self._latest
            if attributes is not given:
                result = SamplingResult(_SAMPLED)
                if attributes is not None:
                    # Itself, not the view that the constructor makes of it: the SDK copies it, and a view more slowly.
                    result.attributes = attributes  # type: ignore[assignment]
                self._latest = attributes, result
            return result
        result = self.sampler.should_sample(parent_context, trace_id, name, kind, attributes, links)
        if result.decision is Decision.DROP:
            return SamplingResult(Decision.RECORD_ONLY, attributes, result.trace_state)
        return result

    def get_description(self) -> str:
        """Return the description of the wrapped sampler, and what is added."""
        return f"KeepRecords({self.sampler.get_description()})"


_SAMPLED = Decision.RECORD_AND_SAMPLE  # looking up a member of an enumeration takes as long as a call

GIVEN_IDS: ContextVar[tuple[int | None, int | None]] = ContextVar("attune-given-ids", default=(None, None))
"""Trace id and span id of the span that is about to be started, where a record names them."""


class GivenIds(IdGenerator):
    """Takes the ids from `GIVEN_IDS`, where there are any."""

    def __init__(self, generator: IdGenerator) -> None:
        self.generator = generator

    def generate_span_id(self) -> int:
        """Return the given span id, or a new one."""
        return GIVEN_IDS.get()[1] or self.generator.generate_span_id()

    def generate_trace_id(self) -> int:
        """Return the given trace id, or a new one."""
        return GIVEN_IDS.get()[0] or self.generator.generate_trace_id()

    def is_trace_id_random(self) -> bool:
        """Whether the W3C random flag may be set: not for ids that a record brings."""
        random = getattr(self.generator, "is_trace_id_random", None)
        return GIVEN_IDS.get()[0] is None and bool(random is not None and random())
