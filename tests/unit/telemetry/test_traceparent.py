"""A bot's ``traceparent`` is honoured, anything that is not one counts as absent, and a journal without traces reads as before."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core import event_codec
from controller.core import events as e
from controller.gateway.requests import traceparent_of
from controller.runtime.followers.tracing import Tracing
from controller.runtime.loop.clock import SystemClock
from controller.telemetry.facade import OFF
from controller.telemetry.w3c import REQUEST, Origin, RequestTrace, parse_traceparent
from exchange.model import OrderType, Side
from exchange.wire.orders import NewOrder

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADER = f"00-{TRACE_ID}-{SPAN_ID}-01"


def test_a_header_names_trace_span_and_sampling() -> None:
    assert parse_traceparent(HEADER.encode()) == Origin(TRACE_ID, SPAN_ID, sampled=True)
    assert parse_traceparent(HEADER.replace("-01", "-00").encode()) == Origin(TRACE_ID, SPAN_ID, sampled=False)


def test_a_later_version_may_say_more() -> None:
    assert parse_traceparent(f"cc{HEADER[2:]}-what-comes".encode()) == Origin(TRACE_ID, SPAN_ID, sampled=True)


@pytest.mark.parametrize(
    "value",
    [
        "",
        HEADER.upper(),
        HEADER[:-1],
        f"ff{HEADER[2:]}",
        f"{HEADER}-more",
        f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID[:-1]}-{SPAN_ID}-01",
        f"cc{HEADER[2:]}-{'x' * 600}",
        f"{HEADER}\n",
    ],
)
def test_what_is_no_traceparent_counts_as_absent(value: str) -> None:
    assert parse_traceparent(value.encode()) is None


@given(st.binary(max_size=80))
def test_no_bytes_break_the_parser(value: bytes) -> None:
    parse_traceparent(value)


def test_a_header_that_was_sent_twice_counts_as_absent() -> None:
    once = (b"traceparent", HEADER.encode())
    assert traceparent_of({"headers": [once]}) == Origin(TRACE_ID, SPAN_ID, sampled=True)
    assert traceparent_of({"headers": [once, once]}) is None


def order() -> NewOrder:
    return NewOrder(symbol="BTCUSDT", side=Side.BUY, type=OrderType.LIMIT, quantity=Decimal(1), price=Decimal(1))


def test_without_a_collector_the_bots_own_trace_is_named_and_no_other() -> None:
    tracing = Tracing(OFF, SystemClock())
    assert tracing.requested("bot", order()) == ""
    request = RequestTrace(Origin(TRACE_ID, SPAN_ID, sampled=True))
    before = REQUEST.set(request)
    try:
        assert tracing.requested("bot", order()) == TRACE_ID
    finally:
        REQUEST.reset(before)
    assert request.trace_ids == [TRACE_ID]


def denied(trace_id: str) -> e.OrderDenied:
    return e.OrderDenied(
        bot="bot",
        bot_client_id="",
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(1),
        quote_quantity=None,
        price=Decimal(1),
        rule="cap",
        measured="",
        threshold="",
        message="",
        trace_id=trace_id,
    )


def test_an_entry_without_a_trace_is_written_as_before() -> None:
    body = event_codec.encode(denied(""))
    assert b"trace_id" not in body
    assert event_codec.decode("order-denied", body) == denied("")


def test_an_entry_holds_its_trace() -> None:
    body = event_codec.encode(denied(TRACE_ID))
    assert f'"trace_id":"{TRACE_ID}"'.encode() in body
    assert event_codec.decode("order-denied", body) == denied(TRACE_ID)
