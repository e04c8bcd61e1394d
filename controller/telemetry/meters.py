"""Exports the book of numbers: to Prometheus, which asks for ``/metrics``, and to an OpenTelemetry collector if one is configured.

``bootstrap`` makes one for a process. The SDK is loaded by the first that asks for a metric, on a thread of its own, because a
start waits for every module that it loads (ADR 59). Each collection reads the book once. A scrape never waits for the writer, and
the writer never waits for a scrape: they share no lock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING

from controller.telemetry.book import Book
from controller.telemetry.instruments import BUCKETS_S, INSTRUMENTS, Instrument, Kind
from controller.telemetry.redact import Redactor
from exchange.ports import Clock

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.resources import Resource
    from prometheus_client import CollectorRegistry

CLOSE_S = 5
"""How long the last export may take."""

AGAIN_NS = 500_000_000
"""Who asks again within this time gets the same text: however many ask, the work stays small."""


class Meters:
    """The exports of one process. ``otlp``: also push to the collector of the ``OTEL_*`` variables."""

    def __init__(self, book: Book, redactor: Redactor, resource: Callable[[], Resource], *, otlp: bool) -> None:
        self.book = book
        self._redactor = redactor
        self._resource = resource
        self._otlp = otlp
        self._thread = ThreadPoolExecutor(1, "metrics")
        self._opening = Lock()
        self._provider: MeterProvider | None = None
        self._registry: CollectorRegistry | None = None
        self._last: tuple[str, int, bytes, str] = ("", 0, b"", "")

    def start(self) -> None:
        """Begin to push, if a collector is configured."""
        if self._otlp:
            self._open()

    async def text(self, accept: str) -> tuple[bytes, str]:
        """Every metric in a text format of Prometheus that ``accept`` names, and its content type."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._text, accept)

    async def aclose(self) -> None:
        """Push what was not pushed yet, for at most a few seconds."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._shutdown)
        self._thread.shutdown(wait=False)

    def _text(self, accept: str) -> tuple[bytes, str]:
        from prometheus_client.exposition import choose_encoder

        last_accept, made_ns, text, kind = self._last
        if text and last_accept == accept and time.monotonic_ns() - made_ns < AGAIN_NS:
            return text, kind
        registry = self._open()
        encode, kind = choose_encoder(accept)
        text = encode(registry)
        self._last = accept, time.monotonic_ns(), text, kind
        return text, kind

    def _shutdown(self) -> None:
        if self._provider is not None:
            self._provider.shutdown(CLOSE_S * 1000)

    def _open(self) -> CollectorRegistry:
        with self._opening:
            if self._registry is not None:
                return self._registry
            from opentelemetry.exporter.prometheus import PrometheusMetricReader
            from opentelemetry.sdk.metrics import MeterProvider
            from prometheus_client import CollectorRegistry

            registry = CollectorRegistry(auto_describe=False)
            readers: list[MetricReader] = [PrometheusMetricReader(registry=registry, scope_info_enabled=False)]
            if self._otlp:
                readers.append(_pushing())
            self._provider = MeterProvider(metric_readers=readers, resource=self._resource(), shutdown_on_exit=False)
            _Collecting(self.book, self._redactor, self._provider.get_meter("gatehouse"))
            self._registry = registry
            return registry


def no_meters(clock: Clock) -> Meters:
    """Meters that nobody reads, for a rehearsal."""

    def nothing() -> Resource:
        from opentelemetry.sdk.resources import Resource

        return Resource.get_empty()

    return Meters(Book(clock), Redactor(), nothing, otlp=False)


def _pushing() -> MetricReader:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    return PeriodicExportingMetricReader(OTLPMetricExporter())


class _Collecting:
    """One meter with every instrument of the table. The first callback of a collection reads the book for all of them."""

    def __init__(self, book: Book, redactor: Redactor, meter: Meter) -> None:
        self._book = book
        self._redactor = redactor
        self._values: dict[Instrument, dict[tuple[str, ...], float]] = {}
        self._histograms = {
            one: meter.create_histogram(
                one.name, unit=one.unit, description=one.description, explicit_bucket_boundaries_advisory=BUCKETS_S
            )
            for one in INSTRUMENTS
            if one.kind is Kind.HISTOGRAM
        }
        observed = [one for one in INSTRUMENTS if one.kind is not Kind.HISTOGRAM]
        for number, one in enumerate(observed):
            create = meter.create_observable_counter if one.kind is Kind.COUNTER else meter.create_observable_gauge
            create(one.name, [self._callback(one, first=number == 0)], unit=one.unit, description=one.description)

    def _callback(self, instrument: Instrument, *, first: bool) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observations(_options: CallbackOptions) -> Iterator[Observation]:
            from opentelemetry.metrics import Observation

            if first:
                self._read()
            for labels, value in self._values.get(instrument, {}).items():
                yield Observation(value, self._attributes(instrument, labels))

        return observations

    def _read(self) -> None:
        self._values = self._book.now()
        for instrument, seconds, labels in self._book.durations():
            self._histograms[instrument].record(seconds, self._attributes(instrument, labels))

    def _attributes(self, instrument: Instrument, labels: tuple[str, ...]) -> dict[str, str]:
        names = zip(instrument.labels, labels, strict=True)
        return {f"gatehouse.{name}": self._redactor.text(value) for name, value in names}
