"""The outcome of a placement when the venue, the network or the firewall fails (architecture.md §4.5)."""

from __future__ import annotations

import gzip
import json
import socket
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from exchange.errors import VenueError
from exchange.mexc.outcomes import LOCAL_REFUSAL, NO_ANSWER
from exchange.mexc.rest import PermanentRefusal, TemporaryRefusal, UnprovenOutcome, VenueRefusal, VenueSilent
from exchange.model import Millis, OrderIntent, OrderStatus, OrderType, Side
from exchange.ports import Ack, CancelAck, CancelFailed, Rejected, Unknown
from exchange.wire.errors import MalformedReply
from tests.support.permits import Leaving

if TYPE_CHECKING:
    from collections.abc import Callable

INTENT = OrderIntent("MXUSDT", Side.BUY, OrderType.LIMIT, "gh-1", quantity=Decimal(10), price=Decimal(2))
ACK = {"symbol": "MXUSDT", "orderId": "C02__1", "transactTime": 5}
HTML = b"<html><title>Access Denied</title></html>"
ORDER = {
    "symbol": "MXUSDT", "orderId": "C02__1", "clientOrderId": "gh-1", "price": "2", "origQty": "10", "executedQty": "0",
    "cummulativeQuoteQty": "0", "status": "NEW", "timeInForce": None, "type": "LIMIT", "side": "BUY", "time": 5, "updateTime": None,
}  # fmt: skip


class Permit(Leaving):
    def __init__(self, *, live: bool = True) -> None:
        self.live = live
        self.epoch = 1

    def is_live(self) -> bool:
        return self.live


def answer(body: object, status: int = 200, headers: str = "") -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status} X\r\ncontent-length: {len(raw)}\r\n{headers}\r\n".encode() + raw


async def test_an_accepted_order_is_an_ack_and_was_sent_once(make: Any) -> None:
    stub, venue = await make(lambda _: answer(ACK))
    assert await venue.place(INTENT, Permit()) == Ack("C02__1", Millis(5))
    [sent] = stub.received("/api/v3/order")
    assert (sent.method, sent.params["newClientOrderId"], sent.params["quantity"]) == ("POST", "gh-1", "10")
    assert (sent.headers["x-mexc-apikey"], sent.headers["content-type"]) == ("mx0key", "application/json")


UNKNOWN: dict[str, Callable[[Any], object]] = {
    "a 500 after accepting": lambda _: answer({"code": 500, "msg": "internal"}, 500),
    "a 503": lambda _: answer(HTML, 503),
    "a 504": lambda _: answer({"code": 504, "msg": "timeout"}, 504),
    "a 5xx that names a refusal": lambda _: answer({"code": 30004, "msg": "Insufficient position"}, 502),
    "a busy system inside a 200": lambda _: answer({"code": 501, "msg": "busy"}),
    "a 200 of garbage": lambda _: answer(b"garbage"),
    "a 200 of an empty object": lambda _: answer({}),
    "a 200 without an order id": lambda _: answer({"symbol": "MXUSDT"}),
    "an acknowledgement of another symbol": lambda _: answer({**ACK, "symbol": "BTCUSDT"}),
    "an undocumented 400": lambda _: answer({"code": 987654, "msg": "?"}, 400),
    "a 400 in HTML": lambda _: answer(HTML, 400),
    "a firewall page": lambda _: answer(HTML, 403),
    "an unknown-order code for a placement": lambda _: answer({"code": -2013, "msg": "Order does not exist."}, 400),
    "a redirect": lambda request: answer(b"", 307, f"location: http://{request.headers['host']}/elsewhere\r\n"),
    "a cut connection": lambda _: None,
    "a reply cut in the middle": lambda _: b"HTTP/1.1 200 X\r\ncontent-length: 500\r\n\r\n{",
    "a reply longer than a mebibyte": lambda _: answer(b" " * (1 << 20) + b"{}"),
    "a compressed reply": lambda _: answer(gzip.compress(b"{}"), 200, "content-encoding: gzip\r\n"),
    "not HTTP at all": lambda _: b"SSH-2.0-OpenSSH\r\n\r\n",
}


@pytest.mark.parametrize("handler", UNKNOWN.values(), ids=UNKNOWN.keys())
async def test_a_reply_that_proves_nothing_is_unknown_and_is_not_retried(make: Any, handler: Callable[[Any], object]) -> None:
    stub, venue = await make(handler)
    outcome = await venue.place(INTENT, Permit())
    assert isinstance(outcome, Unknown)
    assert len(stub.received("/api/v3/order")) == 1


async def test_silence_after_accepting_is_unknown(make: Any, hang: object) -> None:
    stub, venue = await make(lambda _: hang)
    assert isinstance(await venue.place(INTENT, Permit()), Unknown)
    assert len(stub.received("/api/v3/order")) == 1


async def test_a_redirect_is_not_followed(make: Any) -> None:
    stub, venue = await make(UNKNOWN["a redirect"])
    await venue.place(INTENT, Permit())
    assert stub.received("/elsewhere") == []


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 30004), (400, 10007), (400, 30002), (400, 700007), (401, 401), (200, 30016), (400, 700003)],
)
async def test_a_documented_refusal_is_rejected_with_its_code(make: Any, status: int, code: int) -> None:
    _, venue = await make(lambda _: answer({"code": code, "msg": "no"}, status))
    assert await venue.place(INTENT, Permit()) == Rejected(code, "no")


async def test_an_order_without_a_live_permit_is_never_sent(make: Any) -> None:
    stub, venue = await make(lambda _: answer(ACK))
    outcome = await venue.place(INTENT, Permit(live=False))
    assert isinstance(outcome, Rejected)
    assert (outcome.code, stub.received("/api/v3/order")) == (LOCAL_REFUSAL, [])


async def test_an_order_beyond_the_signers_limits_is_never_sent(make: Any) -> None:
    stub, venue = await make(lambda _: answer(ACK))
    large = OrderIntent("MXUSDT", Side.BUY, OrderType.LIMIT, "gh-1", quantity=Decimal(51), price=Decimal(2))
    outcome = await venue.place(large, Permit())
    assert isinstance(outcome, Rejected)
    assert (outcome.code, stub.received("/api/v3/order")) == (LOCAL_REFUSAL, [])


async def test_a_refused_connection_is_a_rejection_as_nothing_was_sent(at: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        venue = at(f"http://127.0.0.1:{unused.getsockname()[1]}")
        outcome = await venue.place(INTENT, Permit())
        await venue.aclose()
    assert isinstance(outcome, Rejected)
    assert outcome.code == LOCAL_REFUSAL


async def test_after_a_429_orders_are_held_back_but_a_cancel_is_sent(make: Any) -> None:
    stub, venue = await make(lambda _: answer({"code": 429, "msg": "slow down"}, 429, "retry-after: 30\r\n"))
    await venue.place(INTENT, Permit())
    held = await venue.place(INTENT, Permit())
    await venue.cancel("MXUSDT", "gh-1")
    assert isinstance(held, Rejected)
    assert [request.method for request in stub.received("/api/v3/order")] == ["POST", "DELETE"]


async def test_a_rejected_clock_is_measured_again_before_the_next_order(make: Any) -> None:
    answers = iter([answer({"code": 700003, "msg": "window"}, 400), answer(ACK)])
    stub, venue = await make(lambda _: next(answers))
    assert isinstance(await venue.place(INTENT, Permit()), Rejected)
    measured = len(stub.received("/api/v3/time"))
    assert isinstance(await venue.place(INTENT, Permit()), Ack)
    assert len(stub.received("/api/v3/time")) > measured


async def test_a_query_outside_the_window_is_sent_once_more(make: Any) -> None:
    answers = iter([answer({"code": 700003, "msg": "window"}, 400), answer(ORDER)])
    _, venue = await make(lambda _: next(answers))
    report = await venue.order("MXUSDT", "gh-1")
    assert report is not None
    assert report.status is OrderStatus.NEW


async def test_an_order_that_does_not_exist_is_none(make: Any) -> None:
    _, venue = await make(lambda _: answer({"msg": "Order does not exist.", "code": -2013, "_extend": None}, 400))
    assert await venue.order("MXUSDT", "gh-1") is None


@pytest.mark.parametrize(("status", "body"), [(500, {"code": -2013, "msg": ""}), (403, HTML), (400, {"code": 700007, "msg": ""})])
async def test_no_other_error_counts_as_an_absent_order(make: Any, status: int, body: object) -> None:
    _, venue = await make(lambda _: answer(body, status))
    with pytest.raises(VenueRefusal):
        await venue.order("MXUSDT", "gh-1")


async def test_another_order_than_asked_for_is_unreadable(make: Any) -> None:
    _, venue = await make(lambda _: answer({**ORDER, "clientOrderId": "someone-else"}))
    with pytest.raises(MalformedReply):
        await venue.order("MXUSDT", "gh-1")


async def test_a_query_without_an_answer_is_a_venue_error(make: Any) -> None:
    _, venue = await make(lambda _: None)
    with pytest.raises(VenueSilent):
        await venue.balances()


@pytest.mark.parametrize("status", ["NEW", "FILLED", "CANCELED", None])
async def test_a_cancel_is_acknowledged_whatever_state_its_reply_has(make: Any, status: str | None) -> None:
    stub, venue = await make(lambda _: answer({**ORDER, "status": status}))
    assert await venue.cancel("MXUSDT", "gh-1") == CancelAck()
    assert stub.received("/api/v3/order")[0].params["origClientOrderId"] == "gh-1"


@pytest.mark.parametrize(
    ("reply", "code"),
    [(answer({"code": -2011, "msg": "Unknown order sent."}, 400), -2011), (answer(b"junk"), NO_ANSWER), (None, NO_ANSWER)],
)
async def test_a_failed_cancel_says_why(make: Any, reply: bytes | None, code: int) -> None:
    _, venue = await make(lambda _: reply)
    outcome = await venue.cancel("MXUSDT", "gh-1")
    assert isinstance(outcome, CancelFailed)
    assert outcome.code == code


async def test_a_cancel_outside_the_window_is_sent_once_more_with_a_new_clock(make: Any) -> None:
    answers = iter([answer({"code": 700003, "msg": "window"}, 400), answer(ORDER)])
    stub, venue = await make(lambda _: next(answers))
    assert await venue.cancel("MXUSDT", "gh-1") == CancelAck()
    assert len(stub.received("/api/v3/order")) == 2


async def test_a_cancel_is_sent_even_without_the_venues_time(make: Any, hang: object) -> None:
    stub, venue = await make(lambda request: answer(ORDER) if request.method == "DELETE" else hang)
    stub.tells_time = False
    assert await venue.cancel("MXUSDT", "gh-1") == CancelAck()


async def test_cancel_all_sends_five_symbols_a_call_despite_a_failure(make: Any) -> None:
    answers = iter([answer({"code": 30016, "msg": "no"}, 400), answer([]), answer([])])
    stub, venue = await make(lambda _: next(answers))
    outcome = await venue.cancel_all([f"A{n}USDT" for n in range(11)])
    sent = [request.params["symbol"].split(",") for request in stub.received("/api/v3/openOrders")]
    assert ([len(chunk) for chunk in sent], outcome) == ([5, 5, 1], CancelFailed(30016, "no"))


async def test_unlisted_symbols_are_left_out_even_when_they_fail_the_whole_call(make: Any) -> None:
    def handler(request: Any) -> bytes:
        if "NOPEUSDT" in request.params.get("symbols", request.params.get("symbol", "")):
            return answer({"code": -1121, "msg": "Invalid symbol."}, 400)
        return answer({"symbols": [LISTING]})

    _, venue = await make(handler)
    assert set(await venue.symbol_rules(["MXUSDT", "NOPEUSDT"])) == {"MXUSDT"}


LISTING = {
    "symbol": "MXUSDT", "status": "1", "baseAsset": "MX", "baseAssetPrecision": 2, "quoteAsset": "USDT", "quotePrecision": 4,
    "orderTypes": ["LIMIT", "MARKET", "LIMIT_MAKER"], "isSpotTradingAllowed": True, "permissions": ["SPOT"],
    "baseSizePrecision": "0", "quoteAmountPrecision": "1.000000000000000000000000000000", "maxQuoteAmount": "2000000",
    "makerCommission": "0", "takerCommission": "0.0005", "tradeSideType": 1, "filters": [],
}  # fmt: skip


@pytest.mark.parametrize("inclusive_end", [True, False])
@pytest.mark.parametrize("count", [0, 99, 100, 350])
async def test_fills_are_complete_whatever_the_page_order_and_bounds(make: Any, count: int, inclusive_end: bool) -> None:
    trades = [trade(n, 1_000 + 3 * n) for n in range(count)]

    def handler(request: Any) -> bytes:
        start, end = int(request.params["startTime"]), int(request.params["endTime"])
        inside = [one for one in trades if start <= one["time"] <= end - (not inclusive_end)]
        return answer(inside[::-1][:100])

    _, venue = await make(handler)
    fills = await venue.fills("MXUSDT", Millis(1_000 + 3 * 7))
    assert [fill.trade_id for fill in fills] == [str(n) for n in range(7, count)]


async def test_more_fills_in_one_millisecond_than_a_page_holds_is_an_error(make: Any) -> None:
    def handler(request: Any) -> bytes:
        inside = int(request.params["startTime"]) <= 1_000 <= int(request.params["endTime"])
        return answer([trade(n, 1_000) for n in range(100)] if inside else [])

    _, venue = await make(handler)
    with pytest.raises(VenueError, match="cannot list them all"):
        await venue.fills("MXUSDT", Millis(1_000))


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(400, 30005, PermanentRefusal), (429, 429, TemporaryRefusal), (500, 500, UnprovenOutcome), (400, 424242, UnprovenOutcome)],
)
async def test_the_type_of_a_refused_test_order_says_what_the_refusal_proves(
    make: Any, status: int, code: int, kind: type[Exception]
) -> None:
    _, venue = await make(lambda _: answer({"code": code, "msg": "no"}, status))
    with pytest.raises(kind):
        await venue.trading.test(INTENT, Permit())


async def test_a_test_order_goes_to_its_own_path_and_places_nothing(make: Any) -> None:
    stub, venue = await make(lambda _: answer({}))
    await venue.trading.test(INTENT, Permit())
    assert [request.path for request in stub.requests if request.method == "POST"] == ["/api/v3/order/test"]
    assert Millis(int(stub.received("/api/v3/order/test")[0].params["timestamp"])) > 0


def trade(number: int, at: int) -> dict[str, Any]:
    return {
        "symbol": "MXUSDT", "id": str(number), "orderId": "C02__1", "orderListId": -1, "price": "2", "qty": "1", "quoteQty": "2",
        "commission": "0.001", "commissionAsset": "USDT", "time": at, "isBuyer": True, "isMaker": False, "isBestMatch": True,
        "isSelfTrade": False, "clientOrderId": None,
    }  # fmt: skip
