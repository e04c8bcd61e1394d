from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from decimal import Decimal

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from controller.telemetry import otel, sentry
from controller.telemetry.facade import OFF, CommandPhase, OrderPhase, Telemetry
from controller.telemetry.redact import Redactor
from controller.telemetry.sentry import NO_REPORTS
from exchange.errors import ConfigError
from tests.support.collectors import Collector, collecting

CANARY = "canary-9f27c1e5d0"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        yield running


def telemetry_from_environment() -> Telemetry:
    redactor = Redactor()
    redactor.register(CANARY)
    return otel.from_environment(controller_id="anna-btc", environment="rehearsal", version="0.1.0", redactor=redactor)


async def test_an_order_arrives_as_one_trace_with_a_span_for_each_phase(collector: Collector) -> None:
    telemetry = telemetry_from_environment()
    trace = telemetry.order(client_id="gh1", symbol="BTCEUR", side="BUY", quantity=Decimal("0.00007000"))
    with trace.phase(OrderPhase.ADMISSION, exposure_eur=Decimal("6.4")):
        pass
    now = time.time_ns()
    trace.mark(OrderPhase.JOURNAL, now - 2_000_000, now, seq=12, batch=3)
    with trace.phase(OrderPhase.SEND, venue="testnet"), trace.phase(OrderPhase.OUTCOME):
        pass
    trace.finish("acked")
    await telemetry.aclose()
    spans = {span.name: span for span in collector.spans()}
    assert set(spans) == {"order", "order.admission", "order.journal", "order.send", "order.outcome"}
    root = spans["order"]
    assert len({span.trace_id for span in spans.values()}) == 1
    assert {span.parent_span_id for name, span in spans.items() if name != "order"} == {root.span_id}
    assert spans["order.journal"].end_time_unix_nano - spans["order.journal"].start_time_unix_nano == 2_000_000
    attributes = {a.key: a.value.string_value or a.value.int_value for a in root.attributes}
    assert attributes["gatehouse.quantity"] == "0.00007000"
    assert attributes["gatehouse.outcome"] == "acked"


async def test_a_phase_measured_elsewhere_is_of_the_same_controller_and_scope(collector: Collector) -> None:
    telemetry = telemetry_from_environment()
    trace = telemetry.order(client_id="gh1")
    trace.mark(OrderPhase.JOURNAL, 1_000, 3_000, seq=12, rule=CANARY)
    trace.finish("acked")
    await telemetry.aclose()
    (request,) = [ExportTraceServiceRequest.FromString(body) for path, body in collector.posts]
    (of_one_resource,) = request.resource_spans
    (of_one_scope,) = of_one_resource.scope_spans
    assert of_one_scope.scope.name == "gatehouse"
    measured = next(span for span in of_one_scope.spans if span.name == "order.journal")
    assert len(measured.span_id) == 8
    assert measured.span_id != measured.parent_span_id
    assert (measured.start_time_unix_nano, measured.end_time_unix_nano) == (1_000, 3_000)
    attributes = {a.key: a.value.string_value or a.value.int_value for a in measured.attributes}
    assert attributes == {"gatehouse.seq": 12, "gatehouse.rule": "[removed]"}


async def test_the_standard_limits_of_attributes_hold_for_every_span(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1")
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")
    telemetry = telemetry_from_environment()
    trace = telemetry.order(client_id="gh1", symbol="BTCEUR")
    trace.mark(OrderPhase.JOURNAL, 1_000, 3_000, rule="max-open", outcome="acknowledged")
    trace.finish("acknowledged")
    await telemetry.aclose()
    spans = {span.name: span for span in collector.spans()}
    assert {name: [a.value.string_value for a in span.attributes] for name, span in spans.items()} == {
        "order": ["ack"],
        "order.journal": ["ack"],
    }
    assert spans["order.journal"].dropped_attributes_count == 1


async def test_no_part_of_an_order_is_exported_that_the_sampler_leaves_out(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    telemetry = telemetry_from_environment()
    trace = telemetry.order(client_id="gh1")
    trace.about(venue="testnet")
    trace.mark(OrderPhase.JOURNAL, 1_000, 3_000, seq=12)
    trace.finish("acked")
    await telemetry.aclose()
    assert collector.spans() == []


async def test_a_command_arrives_with_its_phases_and_a_failed_one_is_marked(collector: Collector) -> None:
    telemetry = telemetry_from_environment()
    trace = telemetry.command(command_id="c" * 32, verb="advance", persons=2)
    with trace.phase(CommandPhase.VERIFY):
        pass
    with pytest.raises(ZeroDivisionError), trace.phase(CommandPhase.APPLY, verb="advance"):
        raise ZeroDivisionError("the message stays here")
    trace.finish("refused", failed=True, code="gate-not-passed")
    trace.finish("applied")
    await telemetry.aclose()
    spans = {span.name: span for span in collector.spans()}
    assert set(spans) == {"command", "command.verify", "command.apply"}
    assert spans["command.apply"].status.message == "ZeroDivisionError"
    assert spans["command"].status.message == "refused"
    assert b"stays here" not in collector.everything


async def test_a_registered_secret_never_arrives(collector: Collector) -> None:
    telemetry = telemetry_from_environment()
    trace = telemetry.order(client_id="gh1", bot=f"bot {CANARY}", rule=CANARY)
    trace.finish(CANARY, failed=True)
    await telemetry.aclose()
    assert len(collector.spans()) == 1
    assert CANARY.encode() not in collector.everything


async def test_an_unreachable_collector_delays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}/v1/traces")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "1")
        telemetry = telemetry_from_environment()
        began = time.monotonic_ns()
        for _ in range(100):
            telemetry.order(client_id="gh1").finish("acked")
        assert time.monotonic_ns() - began < 500_000_000
        await telemetry.aclose()


async def test_without_configuration_no_socket_is_opened_and_no_sdk_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in __import__("os").environ if name.startswith(("OTEL_", "SENTRY_"))]:
        monkeypatch.delenv(name)

    def refuse(*args: object, **kwargs: object) -> socket.socket:
        raise AssertionError("a socket was opened")

    for name in [name for name in sys.modules if name.startswith("opentelemetry.sdk")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(socket, "socket", refuse)
    telemetry = telemetry_from_environment()
    reports = sentry.from_environment(controller_id="c", environment="rehearsal", version="0", redactor=Redactor())
    trace = telemetry.order(client_id="gh1")
    with trace.phase(OrderPhase.SEND):
        pass
    trace.finish("acked")
    reports.event("t", "d", level="error", tags={})
    await telemetry.aclose()
    assert telemetry is OFF
    assert reports is NO_REPORTS
    assert not [name for name in sys.modules if name.startswith("opentelemetry.sdk")]


def test_the_standard_variable_disables_a_configured_exporter(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert telemetry_from_environment() is OFF


def test_an_unsupported_protocol_is_refused(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(ConfigError, match="grpc"):
        telemetry_from_environment()
