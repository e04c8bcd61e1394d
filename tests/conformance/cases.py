"""The conformance cases: number, sentence, clients, and the endpoints and channels each must use.

A client passes a case if the body, the same for every client, passes. The use is checked on the wire: an endpoint counts if it was
answered without an error, a channel if something was pushed on it. ``ops/docs/testnet.md`` is generated from this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

import pytest


class Client(StrEnum):
    """The client under test. All but the last two call the testnet; the last two are venues themselves."""

    CCXT = "ccxt"
    PYMEXC = "pymexc"
    OWN = "own"
    RAW = "raw"
    MOCK = "mock"
    GATEWAY = "gateway"


C, P, O, R, M, G = Client.CCXT, Client.PYMEXC, Client.OWN, Client.RAW, Client.MOCK, Client.GATEWAY  # noqa: E741 - one column each
FOREIGN = (C, P)
WIRE = (C, P, O)
ALL = (C, P, O, M, G)

V3 = "/api/v3"
KEY, GROUP, CAPITAL = f"{V3}/userDataStream", f"{V3}/strategy/group", f"{V3}/capital"
PLACE, FIND, CANCEL = f"POST {V3}/order", f"GET {V3}/order", f"DELETE {V3}/order"
OPEN, HISTORY, FILLS, ACCOUNT = f"GET {V3}/openOrders", f"GET {V3}/allOrders", f"GET {V3}/myTrades", f"GET {V3}/account"
DEPTH, DEALS, TICKER, KLINE = (
    f"spot@public.{name}.v3.api.pb" for name in ("aggre.depth", "aggre.deals", "aggre.bookTicker", "kline")
)
LIMIT_DEPTH, TICKER_BATCH, DEPTH_BATCH, MINI, MINIS = (
    f"spot@public.{name}.v3.api.pb"
    for name in ("limit.depth", "bookTicker.batch", "increase.depth.batch", "miniTicker", "miniTickers")
)
MY_ORDERS, MY_DEALS, MY_ACCOUNT = (f"spot@private.{name}.v3.api.pb" for name in ("orders", "deals", "account"))


@dataclass(frozen=True, slots=True)
class Case:
    """``touches`` applies to every client that calls the testnet, ``also`` to one of them."""

    number: int
    sentence: str
    clients: tuple[Client, ...]
    touches: tuple[str, ...] = ()
    also: Mapping[Client, tuple[str, ...]] = field(default_factory=dict)

    def touched(self, client: Client) -> frozenset[str]:
        """What ``client`` must have used at the end of the case; nothing for a venue that is not the testnet."""
        return frozenset() if client in {M, G} else frozenset((*self.touches, *self.also.get(client, ())))


def _get(*paths: str) -> tuple[str, ...]:
    return tuple(f"GET {V3}/{path}" for path in paths)


CASES = (
    Case(
        1,
        "the market loads with its precision, limits and fees",
        ALL,
        (f"GET {V3}/exchangeInfo",),
        {C: (f"GET {V3}/capital/config/getall", "GET /api/v1/contract/detail")},
    ),
    Case(2, "the venue is up", (C, P, G), (f"GET {V3}/ping",)),
    Case(3, "the venue's clock is ours", ALL, (f"GET {V3}/time",)),
    Case(4, "the order book is not crossed and has a version", (C, P, G), (f"GET {V3}/depth",)),
    Case(5, "public trades are read", (C, P, G), (), {C: (f"GET {V3}/aggTrades",), P: (f"GET {V3}/trades", f"GET {V3}/aggTrades")}),
    Case(6, "candles are read", FOREIGN, (f"GET {V3}/klines",)),
    Case(7, "the day's ticker is read", (C, P, G), (f"GET {V3}/ticker/24hr",)),
    Case(
        8,
        "best prices and last prices of all symbols are read",
        (C, P, O, G),
        (f"GET {V3}/ticker/bookTicker",),
        {P: (f"GET {V3}/ticker/price",)},
    ),
    Case(9, "the balance is read", ALL, (ACCOUNT,)),
    Case(10, "a resting buy is open and locks its notional and its fee", (C, P, O, M), (PLACE, FIND, OPEN, ACCOUNT)),
    Case(11, "a resting sell locks its quantity", (C, P, O, M), (PLACE, ACCOUNT)),
    Case(12, "a crossing buy fills below its limit and pays its fee in the quote asset", ALL, (PLACE, FIND, FILLS)),
    Case(13, "a post-only order that would cross ends canceled", ALL, (PLACE, FIND)),
    Case(14, "a post-only order that does not cross rests", ALL, (PLACE, FIND, CANCEL)),
    Case(15, "an immediate order that finds nothing ends canceled", ALL, (PLACE, FIND)),
    Case(16, "a fill-or-kill order fills completely or not at all", (C, P, O, M), (PLACE, FIND)),
    Case(17, "a market buy by cost spends at most its cost", ALL, (PLACE, FIND)),
    Case(18, "a market sell by quantity fills", ALL, (PLACE, FIND)),
    Case(19, "a canceled order is no longer open and frees its funds", ALL, (PLACE, CANCEL, OPEN, ACCOUNT)),
    Case(20, "an order is found and canceled by its client id", ALL, (PLACE, FIND, CANCEL, OPEN)),
    Case(21, "open, filled and canceled orders are listed apart", (C, P, G), (OPEN, HISTORY)),
    Case(22, "all orders of a symbol are canceled in one call", ALL, (f"DELETE {V3}/openOrders", OPEN)),
    Case(23, "all orders of the account are canceled in one call", (C, G), (f"DELETE {V3}/order/all", OPEN)),
    Case(24, "a batch places the valid orders and reports the others", FOREIGN, (f"POST {V3}/batchOrders", OPEN)),
    Case(25, "a test order reaches no book", (C, P, O, G), (f"POST {V3}/order/test", OPEN)),
    Case(26, "the trading fee is read", (C, P, O, G), (f"GET {V3}/tradeFee",)),
    Case(27, "the trades of one order are read", (C, P, O, G), (FILLS,)),
    Case(28, "the trades explain the balance to the last digit", ALL, (FILLS, ACCOUNT)),
    Case(29, "an order larger than the best level fills in part and stays open", (C, P, O, M), (PLACE, FIND, OPEN)),
    Case(30, "too little of the quote asset has its own error", (C, P, O, M)),
    Case(31, "too little of the base asset has its own error", (C, P, O, M)),
    Case(32, "an unlisted symbol has its own error", FOREIGN),
    Case(33, "a price off the grid has its own error", FOREIGN),
    Case(34, "an order below the minimum has its own error", (C, P, O, M)),
    Case(35, "a wrong secret has its own error", FOREIGN),
    Case(36, "an old timestamp has its own error", (C,)),
    Case(37, "a timestamp more than a second ahead has its own error", (C,)),
    Case(38, "an order that never existed is neither found nor canceled", ALL),
    Case(39, "an unknown key has its own error", FOREIGN),
    Case(40, "a canceled order that had filled in part keeps its fills", (C, P, O, M), (PLACE, CANCEL, FIND, FILLS)),
    Case(41, "an immediate order that fills in part keeps its fills", (C, P, O, M), (PLACE, FIND, FILLS)),
    Case(42, "a filled order cannot be canceled", ALL, (PLACE, FIND)),
    Case(43, "a canceled order cannot be canceled again", ALL, (PLACE, CANCEL)),
    Case(44, "a repeated client id never places a second order", ALL, (PLACE, OPEN)),
    Case(45, "a key that may only read cannot place orders", FOREIGN, (ACCOUNT,)),
    Case(50, "a client's book equals the venue's over a whole tape", WIRE, (DEPTH, f"GET {V3}/depth")),
    Case(51, "public trades are received", (*WIRE, G), (DEALS,)),
    Case(52, "best prices are received", (*FOREIGN, G), (TICKER,)),
    Case(53, "candles are received", (*FOREIGN, G), (KLINE,)),
    Case(54, "a new order and its cancel are received", ALL, (MY_ORDERS, f"POST {KEY}")),
    Case(55, "a fill is received with its fee", ALL, (MY_DEALS, f"POST {KEY}")),
    Case(56, "a balance change is received", (*FOREIGN, G), (MY_ACCOUNT, f"POST {KEY}")),
    Case(
        57,
        "a private stream reports what a query reports afterwards",
        (C, P, O, M),
        (MY_ORDERS, MY_DEALS),
        {C: (MY_ACCOUNT,), P: (MY_ACCOUNT,), O: (MY_ACCOUNT,)},
    ),
    Case(
        58,
        "a listen key is created, listed, renewed and closed",
        (*FOREIGN, G),
        (f"POST {KEY}", f"GET {KEY}", f"PUT {KEY}", f"DELETE {KEY}"),
    ),
    Case(
        60,
        "a bot's start reads the clock, the rules and the prices",
        (R,),
        _get("ping", "time", "exchangeInfo", "ticker/bookTicker", "ticker/24hr", "depth"),
    ),
    Case(61, "an order in a form labelled as JSON is accepted", (R,), (PLACE,)),
    Case(62, "a market order by quantity is accepted on both sides", (R,), (PLACE, FIND)),
    Case(63, "a cancel by client id reports the state before it", (R,), (CANCEL,)),
    Case(64, "the state of an order has numbers where a bot needs them", (R,), (FIND,)),
    Case(65, "fills are queried by order and by time", (R,), (FILLS,)),
    Case(66, "balances are read with everything in the query", (R,), (ACCOUNT,)),
    Case(67, "an unknown order has the texts a bot looks for", (R,)),
    Case(68, "a 503 after accepting says that the state is unknown", (R,), (FIND,)),
    Case(69, "a listen key comes from a signed body and is renewed by query", (R, G), (f"POST {KEY}", f"PUT {KEY}")),
    Case(70, "a private stream names every order by its client id", (R, G), (f"POST {KEY}", MY_ORDERS)),
    Case(71, "book and trade streams are acknowledged with their request ids", (R, G), (DEPTH, DEALS)),
    Case(80, "the average price is read", (P,), (f"GET {V3}/avgPrice",)),
    Case(81, "the symbols open to all and to this key are read", (P, O), _get("selfSymbols"), {P: _get("defaultSymbols")}),
    Case(82, "the account's owner and number are read", (P,), (f"GET {V3}/kyc/status", f"GET {V3}/uid")),
    Case(83, "paying fees in MX is switched on and off", (P,), (f"GET {V3}/mxDeduct/enable", f"POST {V3}/mxDeduct/enable")),
    Case(
        84,
        "a strategy group is created, filled, cleared and deleted",
        (P,),
        tuple(f"{method} {path}" for path in (GROUP, f"{GROUP}/uid") for method in ("POST", "GET", "DELETE")),
    ),
    Case(85, "an order that would trade with its group follows its mode", (P,), (PLACE, FIND)),
    Case(
        86,
        "older names and notices of the market are read",
        (C,),
        (*_get("historicalTrades", "symbol/offline", "announcements"), f"GET {V3}/etf/info refused"),
    ),
    Case(
        87,
        "a key that may move money cannot move any here",
        (P,),
        (
            f"GET {CAPITAL}/withdraw/history",
            f"GET {CAPITAL}/deposit/hisrec",
            f"GET {CAPITAL}/transfer",
            *(f"{call} refused" for call in (f"POST {CAPITAL}/withdraw", f"DELETE {CAPITAL}/withdraw", f"POST {CAPITAL}/transfer")),
        ),
    ),
    Case(
        88,
        "a trading key cannot ask for a withdrawal or a transfer",
        FOREIGN,
        (f"POST {CAPITAL}/withdraw refused", f"POST {CAPITAL}/transfer refused"),
    ),
    Case(89, "the currencies are read", (P,), (f"GET {CAPITAL}/config/getall",)),
    Case(90, "snapshots of the best levels are received", (P, G), (LIMIT_DEPTH,)),
    Case(91, "best prices in batches are received", (P, G), (TICKER_BATCH,)),
    Case(92, "the day of a symbol and of all symbols are received", (P, G), (MINI, MINIS)),
    Case(93, "depth in batches chains from version to version", (R,), (DEPTH_BATCH,)),
    Case(94, "a channel that does not exist is refused by name with code 0", (R, G)),
    Case(95, "a bad listen key gets a plain text", (R, G)),
    Case(96, "an expired listen key ends its stream, and a new one works", (O,), (MY_ORDERS, f"POST {KEY}")),
)
BY_NUMBER = {case.number: case for case in CASES}

Body = TypeVar("Body", bound=Callable[..., Any])


def case(number: int) -> Callable[[Body], Body]:
    """Run a body as case ``number`` with every client the table names for it."""
    found = BY_NUMBER[number]
    clients = [pytest.param((found, client), id=client.value) for client in found.clients]

    def marked(body: Body) -> Body:
        assert body.__name__.startswith(f"test_{number:02d}_"), f"{body.__name__} is not case {number}"
        return pytest.mark.parametrize("subject", clients, indirect=True)(body)  # type: ignore[no-any-return]

    return marked
