"""Traces for an OpenTelemetry collector (OTLP over HTTP), only with the standard ``OTEL_*`` variables. ``bootstrap`` creates them.

``controller.telemetry.meters`` exports the metrics. The SDK's own threads export from bounded queues; data that does not fit is
dropped, and nothing waits for a collector. Without configuration the SDK is not imported. Its providers are separate from the
process-wide ones.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Unpack

from controller.telemetry.book import Book
from controller.telemetry.facade import OFF, Fields, Phase, Telemetry, Trace, Traced
from controller.telemetry.meters import Meters
from controller.telemetry.redact import Redactor
from controller.telemetry.w3c import Origin
from exchange.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

_BASE = "OTEL_EXPORTER_OTLP_ENDPOINT"
_TRACES = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_METRICS = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL")
_LONGEST_VALUE = 200
CLOSE_S = 5
"""How long ``aclose`` waits for a collector."""

Attributes = dict[str, str | int]


def from_environment(*, controller_id: str, environment: str, version: str, redactor: Redactor) -> Telemetry:
    """Traces as the standard variables configure them; ``OFF`` when they name no endpoint.

    Raises:
        ConfigError: a protocol other than http/protobuf is configured.
    """
    if not _wanted(_TRACES, "OTEL_TRACES_EXPORTER"):
        return OFF
    _check_protocol(_PROTOCOLS[:2])
    return _Otel(_tracer_provider(resource(controller_id=controller_id, environment=environment, version=version)), redactor)


def meters_from_environment(book: Book, *, controller_id: str, environment: str, version: str, redactor: Redactor) -> Meters:
    """The exports of metrics: always for Prometheus, and to a collector if the standard variables name one.

    Raises:
        ConfigError: a protocol other than http/protobuf is configured.
    """
    pushes = _wanted(_METRICS, "OTEL_METRICS_EXPORTER")
    if pushes:
        _check_protocol((_PROTOCOLS[0], _PROTOCOLS[2]))
    about = partial(resource, controller_id=controller_id, environment=environment, version=version)
    return Meters(book, redactor, about, otlp=pushes)


def _wanted(endpoint: str, exporter: str) -> bool:
    env = os.environ
    if env.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    return bool(env.get(endpoint) or env.get(_BASE)) and env.get(exporter, "otlp") != "none"


def _check_protocol(names: Iterable[str]) -> None:
    for name in names:
        if (protocol := os.environ.get(name, "http/protobuf")) != "http/protobuf":
            raise ConfigError(
                f"{name}={protocol} is not supported", code="otel-protocol", remedy=f"Set {name}=http/protobuf, or remove it."
            )


def resource(*, controller_id: str, environment: str, version: str) -> Resource:
    """What every trace and metric is of: this controller. ``OTEL_SERVICE_NAME`` names it instead of ``gatehouse``."""
    from opentelemetry.sdk.resources import Resource

    attributes = {"service.version": version, "service.instance.id": controller_id, "deployment.environment.name": environment}
    return Resource.create(attributes if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "gatehouse", **attributes})


def _tracer_provider(about: Resource) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=about, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class _Otel:
    enabled = True

    def __init__(self, traces: TracerProvider, redactor: Redactor) -> None:
        self._traces = traces
        self._tracer = traces.get_tracer("gatehouse")
        self._redactor = redactor

    def order(self, origin: Origin | None = None, /, **fields: Unpack[Fields]) -> Trace:
        return _OtelTrace(self, "order", self.attributes(fields), origin)

    def command(self, **fields: Unpack[Fields]) -> Trace:
        return _OtelTrace(self, "command", self.attributes(fields))

    def begin(self, what: Traced, start_ns: int, **fields: Unpack[Fields]) -> Trace:
        return _OtelTrace(self, what.value, self.attributes(fields), start_ns=start_ns)

    async def aclose(self) -> None:
        await asyncio.to_thread(self._shutdown)

    def _shutdown(self) -> None:
        self._traces.force_flush(CLOSE_S * 1000)
        self._traces.shutdown()

    def start(self, name: str, attributes: Attributes, *, parent: Context | None = None, start_ns: int | None = None) -> Span:
        return self._tracer.start_span(name, context=parent, attributes=attributes, start_time=start_ns)

    def attributes(self, fields: Fields) -> Attributes:
        return {f"gatehouse.{name}": self.value(value) for name, value in fields.items() if value is not None}

    def value(self, value: object) -> str | int:
        if isinstance(value, int):
            return value
        text = format(value, "f") if isinstance(value, Decimal) else str(value)
        return self._redactor.text(text)[:_LONGEST_VALUE]


class _OtelTrace:
    def __init__(
        self, otel: _Otel, name: str, attributes: Attributes, origin: Origin | None = None, *, start_ns: int | None = None
    ) -> None:
        from opentelemetry.context import Context
        from opentelemetry.trace import set_span_in_context

        self._otel = otel
        self._name = name
        parent = Context() if origin is None else _remote(origin)
        self._root = otel.start(name, attributes, parent=parent, start_ns=start_ns)
        self._context = set_span_in_context(self._root, Context())

    @property
    def trace_id(self) -> str:
        return format(self._root.get_span_context().trace_id, "032x")

    def about(self, **fields: Unpack[Fields]) -> None:
        self._root.set_attributes(self._otel.attributes(fields))

    def phase(self, phase: Phase, **fields: Unpack[Fields]) -> AbstractContextManager[None]:
        return self._phase(phase, self._otel.attributes(fields))

    @contextmanager
    def _phase(self, phase: Phase, attributes: Attributes) -> Iterator[None]:
        span = self._otel.start(f"{self._name}.{phase}", attributes, parent=self._context)
        try:
            yield
        except BaseException as error:
            # The type only: a message may quote text of a bot or a venue.
            _mark_failed(span, type(error).__name__)
            raise
        finally:
            span.end()

    def mark(self, phase: Phase, start_ns: int, end_ns: int, **fields: Unpack[Fields]) -> None:
        name = f"{self._name}.{phase}"
        self._otel.start(name, self._otel.attributes(fields), parent=self._context, start_ns=start_ns).end(end_ns)

    def finish(self, result: str, /, *, failed: bool = False, **fields: Unpack[Fields]) -> None:
        if not self._root.is_recording():
            return
        self._root.set_attributes(self._otel.attributes({**fields, "outcome": result}))
        if failed:
            _mark_failed(self._root, self._otel.value(result))
        self._root.end()


def _remote(origin: Origin) -> Context:
    """The caller's span as a parent. One that the caller does not record is not recorded here either, as W3C asks."""
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    flags = TraceFlags(TraceFlags.SAMPLED if origin.sampled else TraceFlags.DEFAULT)
    caller = SpanContext(int(origin.trace_id, 16), int(origin.span_id, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(caller), Context())


def _mark_failed(span: Span, why: str | int) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_status(Status(StatusCode.ERROR, str(why)))
