"""The trace of an order begins with the bot's request, is in the bot's own trace, and ends once, whatever becomes of the order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal

import pytest

from controller.core import events as e
from controller.core.decisions.draft import Decision
from controller.core.inputs import OrderRequested
from controller.gateway.port import Accepted, Busy, Outstanding
from controller.journal.chain import Entry
from controller.runtime.followers.tracing import Tracing
from controller.runtime.loop.clock import SystemClock
from controller.runtime.loop.writer import CommittedBatch
from controller.telemetry import otel
from controller.telemetry.facade import Telemetry
from controller.telemetry.redact import Redactor
from controller.telemetry.w3c import REQUEST, Origin, RequestTrace
from exchange.model import Millis, OrderType, Side
from exchange.wire.orders import NewOrder
from policies.limit_types import Deny
from policies.stage import Stage
from tests.support.collectors import Collector, collecting
from tests.support.desk import SYMBOL, Desk

ENTRY = Entry(1, 1, Millis(1), "kind", b"{}", "sha256:", "sha256:")
ORIGIN = Origin("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", sampled=True)
ORDER = NewOrder(symbol=SYMBOL, side=Side.BUY, type=OrderType.LIMIT, quantity=Decimal("0.0001"), price=Decimal(60000))
DENIED = Deny("cap", "11", "10", "too much", "Send less.")


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        yield running


@pytest.fixture
def telemetry(collector: Collector) -> Telemetry:
    return otel.from_environment(controller_id="desk", environment="rehearsal", version="0", redactor=Redactor())


@contextmanager
def request(origin: Origin | None) -> Iterator[RequestTrace]:
    made = RequestTrace(origin)
    before = REQUEST.set(made)
    try:
        yield made
    finally:
        REQUEST.reset(before)


def follow(tracing: Tracing, desk: Desk, *events: e.Event) -> None:
    now = SystemClock().monotonic_ns()
    tracing.on_batch(CommittedBatch(tuple((ENTRY, event) for event in events), desk.state, now, now + 1, now + 2))


def decide(desk: Desk, trace_id: str, bot_id: str = "") -> Decision:
    desk.tick()
    asked: OrderRequested = replace(desk.requested("0.00005", bot_id=bot_id), trace_id=trace_id)
    return desk.give(asked)


def outcomes(collector: Collector) -> list[str]:
    roots = [span for span in collector.spans() if span.name == "order"]
    return sorted(a.value.string_value for span in roots for a in span.attributes if a.key == "gatehouse.outcome")


async def test_two_orders_of_one_request_are_two_spans_of_its_trace(telemetry: Telemetry, collector: Collector) -> None:
    desk, tracing = Desk().walk_to(Stage.TESTNET_VALIDATING), Tracing(telemetry, SystemClock())
    with request(ORIGIN) as asked:
        traces = [tracing.requested("demo-bot", replace(ORDER, client_id=name)) for name in ("a", "b")]
    decisions = [decide(desk, trace, name) for trace, name in zip(traces, ("a", "b"), strict=True)]
    admitted = [event for one in decisions for event in one.events if isinstance(event, e.OrderAdmitted)]
    follow(tracing, desk, *admitted)
    follow(tracing, desk, *(e.OrderRejected(client_id=one.client_id, code=1, message="") for one in admitted))
    await telemetry.aclose()
    assert asked.trace_ids == traces == [ORIGIN.trace_id] * 2
    assert {event.trace_id for event in admitted} == {ORIGIN.trace_id}
    roots = [span for span in collector.spans() if span.name == "order"]
    assert {(span.trace_id.hex(), span.parent_span_id.hex()) for span in roots} == {(ORIGIN.trace_id, ORIGIN.span_id)}
    named = [{a.key: a.value.string_value for a in span.attributes}["gatehouse.client_id"] for span in roots]
    assert sorted(named) == sorted(event.client_id for event in admitted)
    assert outcomes(collector) == ["rejected", "rejected"]


async def test_without_a_header_a_trace_of_our_own_begins(telemetry: Telemetry, collector: Collector) -> None:
    tracing = Tracing(telemetry, SystemClock())
    with request(None) as asked:
        trace_id = tracing.requested("demo-bot", ORDER)
    tracing.replied(trace_id, ORDER, DENIED)
    await telemetry.aclose()
    (root,) = collector.spans()
    assert (root.trace_id.hex(), root.parent_span_id) == (trace_id, b"")
    assert asked.trace_ids == [trace_id]
    assert len(trace_id) == 32


async def test_what_the_bot_does_not_record_is_not_recorded(telemetry: Telemetry, collector: Collector) -> None:
    tracing = Tracing(telemetry, SystemClock())
    with request(replace(ORIGIN, sampled=False)) as asked:
        tracing.replied(tracing.requested("demo-bot", ORDER), ORDER, DENIED)
    await telemetry.aclose()
    assert collector.spans() == []
    assert asked.trace_ids == [ORIGIN.trace_id]


async def test_an_order_that_no_entry_names_ends_with_its_reply(telemetry: Telemetry, collector: Collector) -> None:
    tracing = Tracing(telemetry, SystemClock())
    for reply in (DENIED, Busy(1), Accepted(ORDER, "gh-1", Millis(1)), Outstanding("", "", "late")):
        tracing.replied(tracing.requested("demo-bot", ORDER), ORDER, reply)
    await telemetry.aclose()
    assert outcomes(collector) == ["busy", "denied", "repeated"]


async def test_a_denial_with_an_entry_ends_once(telemetry: Telemetry, collector: Collector) -> None:
    desk, tracing = Desk().walk_to(Stage.MOCK), Tracing(telemetry, SystemClock())
    trace_id = tracing.requested("demo-bot", ORDER)
    decision = desk.give(replace(desk.requested("9"), trace_id=trace_id))
    (denied,) = [event for event in decision.events if isinstance(event, e.OrderDenied)]
    follow(tracing, desk, denied)
    tracing.replied(trace_id, ORDER, DENIED)
    await telemetry.aclose()
    assert outcomes(collector) == ["denied"]
    assert {span.name for span in collector.spans()} == {"order", "order.request", "order.admission", "order.journal"}
