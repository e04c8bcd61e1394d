"""Orders on the wire: requests, replies and round trips (mexc-spot-v3.md §4.1-4.10)."""

import json
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.model import Millis, OrderIntent, OrderReport, OrderStatus, OrderType, Side
from exchange.wire.errors import ErrorCode, MalformedReply, WireRefusal, dump_json, load_json
from exchange.wire.orders import (
    CancelStatus,
    NewOrder,
    OrderAck,
    OrderRef,
    RefusedElement,
    ack_json,
    cancel_json,
    order_json,
    order_params,
    order_ref_params,
    parse_ack,
    parse_batch,
    parse_cancel,
    parse_new_order,
    parse_order,
    parse_order_ref,
    parse_orders,
    parse_symbols,
)

AMOUNT = st.decimals(min_value=Decimal("0.000001"), max_value=Decimal(10) ** 9, places=6)
CLIENT = st.from_regex(r"[A-Za-z0-9_-]{1,32}", fullmatch=True)
LIMIT = {"symbol": "MXUSDT", "side": "BUY", "type": "LIMIT", "quantity": "1.5", "price": "2.25"}
VENUE_STATES = [s for s in OrderStatus if s not in {OrderStatus.ADMITTED, OrderStatus.UNKNOWN, OrderStatus.REJECTED}]


def limit(**changes: str) -> dict[str, str]:
    return {**LIMIT, **changes}


def code_of(params: dict[str, str]) -> int:
    with pytest.raises(WireRefusal) as caught:
        parse_new_order(params)
    return caught.value.error.code


@st.composite
def intents(draw: st.DrawFn) -> OrderIntent:
    kind = draw(st.sampled_from(list(OrderType)))
    side, client_id = draw(st.sampled_from(list(Side))), draw(CLIENT)
    if kind is not OrderType.MARKET:
        return OrderIntent("MXUSDT", side, kind, client_id, quantity=draw(AMOUNT), price=draw(AMOUNT))
    if draw(st.booleans()):
        return OrderIntent("MXUSDT", side, kind, client_id, quantity=draw(AMOUNT))
    return OrderIntent("MXUSDT", side, kind, client_id, quote_quantity=draw(AMOUNT))


@st.composite
def reports(draw: st.DrawFn) -> OrderReport:
    return OrderReport(
        symbol="MXUSDT",
        order_id=draw(st.from_regex(r"C02__[0-9]{21}", fullmatch=True)),
        client_id=draw(CLIENT | st.just("")),
        side=draw(st.sampled_from(list(Side))),
        type=draw(st.sampled_from(list(OrderType))),
        status=draw(st.sampled_from(VENUE_STATES)),
        price=draw(AMOUNT),
        quantity=draw(AMOUNT),
        executed=draw(AMOUNT),
        executed_quote=draw(AMOUNT),
        created_at=Millis(draw(st.integers(2**40, 2**42))),
        updated_at=draw(st.none() | st.integers(2**40, 2**42).map(Millis)),
    )


@given(intents())
def test_an_order_survives_the_wire(intent: OrderIntent) -> None:
    order = parse_new_order(dict(order_params(intent)))
    assert order.intent(intent.client_id) == intent
    assert order.client_id == intent.client_id


@given(reports())
def test_an_order_object_survives_the_wire(report: OrderReport) -> None:
    assert parse_order(load_json(dump_json(order_json(report)))) == report


def test_the_legacy_spelling_of_limit_is_accepted() -> None:
    assert parse_new_order(limit(type="LIMIT_ORDER")).type is OrderType.LIMIT


def test_unknown_parameters_change_nothing() -> None:
    assert parse_new_order(limit(recvWindow="5000", foo="bar")) == parse_new_order(LIMIT)


def test_time_in_force_is_noted_and_never_sent() -> None:
    order = parse_new_order(limit(timeInForce="IOC"))
    assert order.conditions == "timeInForce=IOC"
    assert order_params(order) == order_params(parse_new_order(LIMIT))


def test_the_conditions_name_the_mode_of_self_trades() -> None:
    assert parse_new_order(limit(stpMode="cancel_maker")).conditions == "stpMode=cancel_maker"
    assert parse_new_order(LIMIT).conditions == ""


def test_a_client_id_that_is_too_long_is_refused_for_its_length() -> None:
    with pytest.raises(WireRefusal, match="more than 32 characters"):
        parse_new_order(limit(newClientOrderId="x" * 33))


def test_an_order_without_a_client_id_has_none() -> None:
    assert (parse_new_order(LIMIT).client_id, parse_new_order(limit(newClientOrderId="")).client_id) == (None, None)


def test_the_price_of_a_market_order_is_ignored() -> None:
    order = parse_new_order({"symbol": "MXUSDT", "side": "SELL", "type": "MARKET", "quantity": "1", "price": "5"})
    assert order == NewOrder("MXUSDT", Side.SELL, OrderType.MARKET, quantity=Decimal(1))


@pytest.mark.parametrize("name", ["symbol", "side", "type", "quantity", "price"])
def test_a_missing_mandatory_parameter_is_700004_and_named(name: str) -> None:
    params = {key: value for key, value in LIMIT.items() if key != name}
    with pytest.raises(WireRefusal) as caught:
        parse_new_order(params)
    assert (caught.value.error.code, f"'{name}'" in caught.value.error.msg) == (ErrorCode.MISSING_PARAMETER, True)


def test_a_market_order_needs_exactly_one_quantity() -> None:
    market = {"symbol": "MXUSDT", "side": "BUY", "type": "MARKET"}
    assert code_of(market) == ErrorCode.MISSING_PARAMETER
    assert code_of({**market, "quantity": "1", "quoteOrderQty": "1"}) == ErrorCode.BAD_PARAMETER


@pytest.mark.parametrize(
    ("params", "code"),
    [
        (limit(symbol="mxusdt"), ErrorCode.BAD_SYMBOL),
        (limit(symbol="MX/USDT"), ErrorCode.BAD_SYMBOL),
        (limit(symbol="M" * 5_000), ErrorCode.BAD_SYMBOL),
        (limit(side="buy"), ErrorCode.BAD_PARAMETER),
        (limit(type="STOP_LIMIT"), ErrorCode.TYPE_NOT_ALLOWED),
        (limit(type="limit"), ErrorCode.TYPE_NOT_ALLOWED),
        (limit(quantity="NaN"), ErrorCode.ILLEGAL_CHARACTERS),
        (limit(price="1e5"), ErrorCode.ILLEGAL_CHARACTERS),
        (limit(newClientOrderId="a b"), ErrorCode.ILLEGAL_CHARACTERS),
        (limit(newClientOrderId="x" * 33), ErrorCode.ILLEGAL_CHARACTERS),
        (limit(newClientOrderId="ordér"), ErrorCode.ILLEGAL_CHARACTERS),
    ],
)
def test_a_bad_parameter_gets_the_reference_code(params: dict[str, str], code: ErrorCode) -> None:
    assert code_of(params) == code


@given(st.dictionaries(st.sampled_from([*LIMIT, "quoteOrderQty", "newClientOrderId"]), st.text(max_size=40)))
def test_hostile_parameters_never_crash(params: dict[str, str]) -> None:
    with suppress(WireRefusal):
        order = parse_new_order({**LIMIT, **params})
        assert parse_new_order(dict(order_params(order))) == order


@given(intents(), st.from_regex(r"[A-Z0-9]{2}__[0-9]{10}", fullmatch=True))
def test_an_acknowledgement_survives_the_wire(intent: OrderIntent, order_id: str) -> None:
    sent = ack_json(intent, order_id, Millis(1_644_489_390_087))
    taken = intent.price or Decimal(0), intent.quantity or Decimal(0)
    assert parse_ack(load_json(dump_json(sent))) == OrderAck("MXUSDT", order_id, Millis(1_644_489_390_087), *taken)


def test_the_short_acknowledgement_of_older_captures_is_read() -> None:
    assert parse_ack({"symbol": "MXUSDT", "orderId": "C01__1", "orderListId": -1}) == OrderAck("MXUSDT", "C01__1")


@pytest.mark.parametrize(
    "reply", [None, [], {}, {"symbol": "MXUSDT"}, {"symbol": "MXUSDT", "orderId": ""}, {"orderId": 1.5, "symbol": "A"}]
)
def test_an_acknowledgement_without_an_order_id_is_unreadable(reply: object) -> None:
    with pytest.raises(MalformedReply):
        parse_ack(reply)


def test_an_order_object_has_no_code_and_a_null_time_in_force() -> None:
    shown = order_json(report_of(OrderStatus.NEW))
    assert ("code" in shown, shown["timeInForce"], shown["origQuoteOrderQty"]) == (False, None, "6")


@pytest.mark.parametrize(
    ("ours", "shown"),
    [(OrderStatus.ADMITTED, "NEW"), (OrderStatus.UNKNOWN, "NEW"), (OrderStatus.REJECTED, "CANCELED")],
)
def test_our_own_states_are_shown_as_the_nearest_mexc_state(ours: OrderStatus, shown: str) -> None:
    assert order_json(report_of(ours))["status"] == shown


@pytest.mark.parametrize(
    "field", ["symbol", "orderId", "side", "type", "status", "price", "origQty", "executedQty", "cummulativeQuoteQty", "time"]
)
def test_an_order_object_without_a_needed_field_is_unreadable(field: str) -> None:
    shown = order_json(report_of(OrderStatus.NEW))
    del shown[field]
    with pytest.raises(MalformedReply):
        parse_order(shown)


@pytest.mark.parametrize("status", ["EXPIRED", "UNKNOWN", "REJECTED", "new", ""])
def test_a_status_mexc_does_not_list_is_unreadable(status: str) -> None:
    with pytest.raises(MalformedReply):
        parse_order({**order_json(report_of(OrderStatus.NEW)), "status": status})


def test_a_list_of_orders_is_read_and_unknown_fields_ignored() -> None:
    shown = {**order_json(report_of(OrderStatus.FILLED)), "stpMode": "", "surprise": [1]}
    assert parse_orders([shown, shown]) == (report_of(OrderStatus.FILLED),) * 2


@pytest.mark.parametrize(
    ("executed", "shown", "status"),
    [("0", CancelStatus.BEFORE, "NEW"), ("0", CancelStatus.AFTER, "CANCELED"), ("1", CancelStatus.AFTER, "PARTIALLY_CANCELED")],
)
def test_a_cancel_reply_shows_either_state(executed: str, shown: CancelStatus, status: str) -> None:
    assert cancel_json(report_of(OrderStatus.NEW, executed), shown)["status"] == status


def test_every_recorded_cancel_reply_names_its_order() -> None:
    bare = {"symbol": "MXUSDT", "orderId": "C02__1", "price": "1", "origQty": "1", "type": "LIMIT", "side": "BUY"}
    assert parse_cancel(bare) == OrderRef("MXUSDT", "C02__1")
    assert parse_cancel(cancel_json(report_of(OrderStatus.NEW))) == OrderRef("MXUSDT", "C02__1", "mine")


@given(st.none() | st.just("C02__1"), st.none() | CLIENT)
def test_a_reference_survives_the_wire(order_id: str | None, client_id: str | None) -> None:
    ref = OrderRef("MXUSDT", order_id, client_id)
    if order_id is None and client_id is None:
        with pytest.raises(WireRefusal):
            parse_order_ref(dict(order_ref_params(ref)))
    else:
        assert parse_order_ref(dict(order_ref_params(ref))) == ref


def test_five_symbols_are_accepted_and_six_refused() -> None:
    symbols = [f"A{n}USDT" for n in range(6)]
    assert parse_symbols({"symbol": ",".join(symbols[:5])}) == tuple(symbols[:5])
    with pytest.raises(WireRefusal):
        parse_symbols({"symbol": ",".join(symbols)})


def test_a_batch_answers_each_element_separately() -> None:
    batch = json.dumps([{**LIMIT, "quantity": 1.5, "price": 2}, {**LIMIT, "quantity": 1e-9}, limit(type="LIMIT_ORDER")])
    first, second, third = parse_batch({"batchOrders": batch})
    assert isinstance(first, NewOrder)
    assert (first.quantity, first.price) == (Decimal("1.5"), Decimal(2))
    assert isinstance(second, RefusedElement)
    assert isinstance(third, NewOrder)


@pytest.mark.parametrize(
    "batch", ["", "{}", "[]", "[1]", "x", "[" * 100_000, json.dumps([LIMIT] * 21), json.dumps([LIMIT, limit(symbol="AB")])]
)
def test_an_invalid_batch_is_refused(batch: str) -> None:
    with pytest.raises(WireRefusal):
        parse_batch({"batchOrders": batch})


def report_of(status: OrderStatus, executed: str = "0") -> OrderReport:
    return OrderReport(
        "MXUSDT",
        "C02__1",
        "mine",
        Side.BUY,
        OrderType.LIMIT,
        status,
        Decimal(2),
        Decimal(3),
        Decimal(executed),
        Decimal(0),
        Millis(1),
    )
