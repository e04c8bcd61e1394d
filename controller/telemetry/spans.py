"""The spans of traces, by OpenTelemetry's SDK. ``otel`` imports this module, and with it the SDK, only where a collector is named.

A span that is over when it is recorded, as most parts of an order are, goes to the exporter's queue as the SDK's value of an ended
span. That does not pass through the SDK's sampler, lock and live span; the sampler has decided for the trace at its root.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from typing import Unpack

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from controller.telemetry.facade import Fields, Phase, Trace, Traced
from controller.telemetry.redact import Redactor
from controller.telemetry.w3c import Origin

_LONGEST_VALUE = 200
CLOSE_S = 5
"""How long ``aclose`` waits for a collector."""

Attributes = dict[str, str | int]

_NAMES = {name: f"gatehouse.{name}" for name in Fields.__annotations__}


class Spans:
    """A ``Telemetry`` whose spans go to the collector that the standard variables name."""

    enabled = True

    def __init__(self, about: Resource, redactor: Redactor) -> None:
        limits = SpanLimits()
        self._traces = TracerProvider(resource=about, shutdown_on_exit=False, span_limits=limits)
        self._queue = BatchSpanProcessor(OTLPSpanExporter())
        self._traces.add_span_processor(self._queue)
        self._tracer = self._traces.get_tracer("gatehouse")
        self._redactor = redactor
        longest, self._most = limits.max_span_attribute_length, limits.max_span_attributes
        self._longest = _LONGEST_VALUE if longest is None else min(longest, _LONGEST_VALUE)

    def order(self, origin: Origin | None = None, /, **fields: Unpack[Fields]) -> Trace:
        """Begin to trace an order, as a part of the trace that ``origin`` names if there is one."""
        return _Trace(self, "order", self.attributes(fields), origin)

    def command(self, **fields: Unpack[Fields]) -> Trace:
        """Begin to trace a command."""
        return _Trace(self, "command", self.attributes(fields))

    def begin(self, what: Traced, start_ns: int, **fields: Unpack[Fields]) -> Trace:
        """Begin to trace something that began at ``start_ns``, nanoseconds since the epoch."""
        return _Trace(self, what.value, self.attributes(fields), start_ns=start_ns)

    async def aclose(self) -> None:
        """Send what is queued, for at most ``CLOSE_S`` seconds."""
        await asyncio.to_thread(self._shutdown)

    def _shutdown(self) -> None:
        self._traces.force_flush(CLOSE_S * 1000)
        self._traces.shutdown()

    def start(self, name: str, attributes: Attributes, *, parent: Context | None = None, start_ns: int | None = None) -> Span:
        """Start a span."""
        return self._tracer.start_span(name, context=parent, attributes=attributes, start_time=start_ns)

    def ended(self, name: str, root: ReadableSpan, start_ns: int, end_ns: int, fields: Fields) -> None:
        """Queue a span that is over, a part of ``root``."""
        parent, attributes, most = root.context, self.attributes(fields), self._most
        own_id = self._traces.id_generator.generate_span_id()
        span = ReadableSpan(
            name,
            SpanContext(parent.trace_id, own_id, is_remote=False, trace_flags=parent.trace_flags, trace_state=parent.trace_state),
            parent,
            root.resource,
            attributes if most is None or len(attributes) <= most else BoundedAttributes(most, attributes),
            start_time=start_ns,
            end_time=end_ns,
            instrumentation_scope=root.instrumentation_scope,
        )
        self._queue.on_end(span)

    def attributes(self, fields: Fields) -> Attributes:
        """The fields as a span has them: without secrets, and not longer than the limit."""
        return {_NAMES[name]: self.value(value) for name, value in fields.items() if value is not None}

    def value(self, value: object) -> str | int:
        """One field as a span has it."""
        if isinstance(value, int):
            return value
        text = format(value, "f") if isinstance(value, Decimal) else str(value)
        return self._redactor.text(text)[: self._longest]


class _Trace:
    def __init__(
        self, spans: Spans, name: str, attributes: Attributes, origin: Origin | None = None, *, start_ns: int | None = None
    ) -> None:
        self._spans = spans
        self._name = name
        parent = Context() if origin is None else _remote(origin)
        self._root = spans.start(name, attributes, parent=parent, start_ns=start_ns)
        # One that the sampler leaves out is no ``ReadableSpan``: it has nothing to be read.
        self._recorded = self._root if isinstance(self._root, ReadableSpan) else None

    @property
    def trace_id(self) -> str:
        return format(self._root.get_span_context().trace_id, "032x")

    def about(self, **fields: Unpack[Fields]) -> None:
        if self._recorded is not None:
            self._root.set_attributes(self._spans.attributes(fields))

    def phase(self, phase: Phase, **fields: Unpack[Fields]) -> AbstractContextManager[None]:
        return self._phase(phase, self._spans.attributes(fields))

    @contextmanager
    def _phase(self, phase: Phase, attributes: Attributes) -> Iterator[None]:
        span = self._spans.start(f"{self._name}.{phase}", attributes, parent=set_span_in_context(self._root, Context()))
        try:
            yield
        except BaseException as error:
            # The type only: a message may quote text of a bot or a venue.
            _mark_failed(span, type(error).__name__)
            raise
        finally:
            span.end()

    def mark(self, phase: Phase, start_ns: int, end_ns: int, **fields: Unpack[Fields]) -> None:
        if self._recorded is not None:
            self._spans.ended(f"{self._name}.{phase}", self._recorded, start_ns, end_ns, fields)

    def finish(self, result: str, /, *, failed: bool = False, **fields: Unpack[Fields]) -> None:
        if not self._root.is_recording():
            return
        self._root.set_attributes(self._spans.attributes({**fields, "outcome": result}))
        if failed:
            _mark_failed(self._root, self._spans.value(result))
        self._root.end()


def _remote(origin: Origin) -> Context:
    """The caller's span as a parent. One that the caller does not record is not recorded here either, as W3C asks."""
    flags = TraceFlags(TraceFlags.SAMPLED if origin.sampled else TraceFlags.DEFAULT)
    caller = SpanContext(int(origin.trace_id, 16), int(origin.span_id, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(caller), Context())


def _mark_failed(span: Span, why: str | int) -> None:
    span.set_status(Status(StatusCode.ERROR, str(why)))
