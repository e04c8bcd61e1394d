"""A batch is sent once, every order is checked by the signer, and each outcome is what the reply proves."""

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.errors import Refused
from exchange.mexc.outcomes import LOCAL_REFUSAL
from exchange.mexc.rest import PermanentRefusal, TemporaryRefusal, UnprovenOutcome
from exchange.mexc.signer import LocalSigner, SignerLimits
from exchange.model import Millis, OrderIntent, OrderType, Side
from exchange.ports import Ack, PlaceOutcome, Rejected, Unknown
from exchange.wire.batch import batch_params, parse_batch_reply
from exchange.wire.errors import MalformedReply, WireError
from exchange.wire.orders import OrderAck, parse_batch
from exchange.wire.signing import encode_params, parse_params, signature


class Permit:
    epoch = 1

    def __init__(self, *, live: bool = True) -> None:
        self.live = live

    def is_live(self) -> bool:
        return self.live


def order(number: int, symbol: str = "MXUSDT", price: str = "2") -> OrderIntent:
    return OrderIntent(symbol, Side.BUY, OrderType.LIMIT, f"gh-{number}", quantity=Decimal(10), price=Decimal(price))


BATCH = (order(1), order(2), order(3))
LIVE = Permit()
ACK = {"symbol": "MXUSDT", "orderId": "C02__1", "orderListId": -1}
LIMITS = SignerLimits(frozenset({"MXUSDT"}), Decimal(100))


async def outcomes(make: Any, status: int, body: object) -> tuple[tuple[PlaceOutcome, ...], list[Any]]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(raw)}\r\n\r\n".encode()
    stub, venue = await make(lambda request: head + raw)
    return await venue.trading.place_batch(BATCH, LIVE), stub.received("/api/v3/batchOrders")


async def test_each_order_of_a_batch_has_its_own_outcome(make: Any) -> None:
    refused = {"newClientOrderId": "gh-2", "msg": "Oversold", "code": 30005}
    strange = {"newClientOrderId": "gh-3", "msg": "?", "code": 31337}
    found, sent = await outcomes(make, 200, [ACK | {"newClientOrderId": "gh-1"}, refused, strange])
    assert isinstance(found[0], Ack)
    assert found[1] == Rejected(30005, "Oversold")
    assert isinstance(found[2], Unknown)
    assert len(sent) == 1
    assert [one["newClientOrderId"] for one in json.loads(sent[0].params["batchOrders"])] == ["gh-1", "gh-2", "gh-3"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, [ACK, ACK]),
        (200, {"nothing": "like it"}),
        (200, b"junk"),
        (200, [ACK | {"newClientOrderId": "gh-2"}, {"orderId": "1"}, ACK | {"symbol": "BTCUSDT"}]),
        (503, {"code": 503, "msg": "busy"}),
        (302, b""),
        (403, b"<html>Access Denied</html>"),
    ],
)
async def test_an_unproven_batch_is_unknown_for_every_order_and_not_resent(make: Any, status: int, body: object) -> None:
    found, sent = await outcomes(make, status, body)
    assert [type(one) for one in found] == [Unknown] * 3
    assert len(sent) == 1


async def test_a_refused_call_refuses_every_order_with_mexcs_code(make: Any) -> None:
    found, _ = await outcomes(make, 400, {"code": 700007, "msg": "No permission to access the endpoint."})
    assert {one.code for one in found if isinstance(one, Rejected)} == {700007}


async def test_a_batch_without_a_live_permit_is_never_sent(make: Any) -> None:
    stub, venue = await make(lambda request: b"")
    found = await venue.trading.place_batch(BATCH, Permit(live=False))
    assert {one.code for one in found} == {LOCAL_REFUSAL}
    assert stub.received("/api/v3/batchOrders") == []


def payload(*orders: OrderIntent) -> str:
    return encode_params([*batch_params(orders), ("timestamp", "1")])


def test_a_batch_within_the_limits_is_signed_as_mexc_wants() -> None:
    signer = LocalSigner("mx0key", "secret", LIMITS)
    assert signer.sign_batch(BATCH, payload(*BATCH), LIVE) == signature("secret", payload(*BATCH))


@pytest.mark.parametrize(
    ("admitted", "sent", "live", "code"),
    [
        (BATCH, payload(*BATCH), False, "permit-not-live"),
        (BATCH, payload(*BATCH[:2]), True, "signer-payload"),
        (BATCH, payload(order(1), order(2), order(4)), True, "signer-payload"),
        (BATCH, payload(order(1), order(2), order(3, price="3")), True, "signer-payload"),
        (BATCH, payload(*BATCH) + "&side=BUY", True, "signer-payload"),
        (BATCH, "batchOrders=%5B%5D", True, "signer-payload"),
        ((order(1), order(2, price="10.01")), payload(order(1), order(2, price="10.01")), True, "signer-notional"),
        ((order(1, "BTCUSDT"),), payload(order(1, "BTCUSDT")), True, "signer-symbol"),
    ],
)
def test_one_order_out_of_bounds_refuses_the_whole_batch(
    admitted: tuple[OrderIntent, ...], sent: str, live: bool, code: str
) -> None:
    with pytest.raises(Refused) as caught:
        LocalSigner("mx0key", "secret", LIMITS).sign_batch(admitted, sent, Permit(live=live))
    assert caught.value.code == code


@pytest.mark.parametrize("intents", [(), (order(1),) * 21, (order(1), order(2, "BTCUSDT"))])
def test_an_empty_a_large_or_a_mixed_batch_is_refused(intents: tuple[OrderIntent, ...]) -> None:
    with pytest.raises(ValueError, match="batch"):
        batch_params(intents)


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=20, unique=True))
def test_a_venue_reads_the_batch_that_was_written(numbers: list[int]) -> None:
    intents = [order(number) for number in numbers]
    read = parse_batch(parse_params(payload(*intents)))
    assert [one.intent(one.client_id or "") for one in read if not isinstance(one, WireError)] == intents


@given(st.lists(st.one_of(st.none(), st.text(), st.dictionaries(st.text(), st.integers() | st.text())), max_size=4))
def test_no_random_result_is_read_as_an_acknowledgement(items: list[object]) -> None:
    try:
        results = parse_batch_reply(items, BATCH)
    except MalformedReply:
        return
    assert not any(isinstance(result, OrderAck) for result in results)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(400, 30005, PermanentRefusal), (429, 429, TemporaryRefusal), (500, 500, UnprovenOutcome), (400, 424242, UnprovenOutcome)],
)
async def test_the_type_of_a_refused_test_order_says_what_the_refusal_proves(
    make: Callable[..., Awaitable[tuple[Any, Any]]], status: int, code: int, kind: type[Exception]
) -> None:
    raw = json.dumps({"code": code, "msg": "no"}).encode()
    _, venue = await make(lambda request: f"HTTP/1.1 {status} X\r\ncontent-length: {len(raw)}\r\n\r\n".encode() + raw)
    with pytest.raises(kind):
        await venue.trading.test(order(1), LIVE)


async def test_a_test_order_goes_to_its_own_path_and_places_nothing(make: Any) -> None:
    stub, venue = await make(lambda request: b"HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\n{}")
    await venue.trading.test(order(1), LIVE)
    assert [request.path for request in stub.requests if request.method == "POST"] == ["/api/v3/order/test"]
    assert Millis(int(stub.received("/api/v3/order/test")[0].params["timestamp"])) > 0
