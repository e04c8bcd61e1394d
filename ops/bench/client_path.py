"""Measures gatehouse's client without a network: decode and apply depth, and one order from intent to acknowledgement."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from random import Random
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

import ccxt.async_support

from exchange.mexc.connect import VenueEndpoint, open_venue
from exchange.mexc.depth import SymbolFeed
from exchange.mexc.http import HttpTransport, Method, Reply
from exchange.mexc.ratelimit import Limits
from exchange.mexc.reach import Reach
from exchange.mexc.signer import LocalSigner, SignerLimits
from exchange.model import Millis, OrderIntent, OrderType, Side
from exchange.ports import Ack, VenueName
from exchange.testnet.conditions.clock import SystemClock
from exchange.wire.market import DepthReply
from exchange.wire.pb.push_pb2 import PushDataV3ApiWrapper
from exchange.wire.push import DepthUpdate, Push
from exchange.wire.push_decode import decode_push
from exchange.wire.push_encode import encode_push
from exchange.wire.stream import depth_channel
from ops.bench.http_peer import CANNED
from ops.bench.measure import Contest, Figures, Goal, Line, Round, seconds, turns

_SYMBOL, _SEED = "BTCUSDT", 7
_MESSAGES, _ORDERS, _SIDE_LEVELS = 20_000, 2_000, 10
_START = Millis(1_790_000_000_000)
_CENT = Decimal("0.01")


def depth_messages(count: int) -> list[bytes]:
    """Chained changes of 20 levels each, ten per side, around a moving mid; one level in four disappears."""
    chance, channel, mid = Random(_SEED), depth_channel(_SYMBOL), 6_000_000
    made = []
    for number in range(count):
        mid += chance.randrange(-5, 6)

        def levels(sign: int, mid: int = mid) -> tuple[tuple[Decimal, Decimal], ...]:
            ticks = chance.sample(range(1, 40), _SIDE_LEVELS)
            return tuple((Decimal(mid + sign * tick) * _CENT, _quantity(chance)) for tick in ticks)

        update = DepthUpdate(_SYMBOL, number + 1, number + 1, levels(-1), levels(1))
        made.append(encode_push(Push(channel, update, Millis(_START + number), Millis(_START + number))))
    return made


def _quantity(chance: Random) -> Decimal:
    return Decimal(chance.randrange(1, 10**6) if chance.randrange(4) else 0).scaleb(-6)


@contextmanager
def depth_opened(size: float) -> Iterator[Round]:
    """Encode the messages once, before the rounds."""
    messages = depth_messages(max(10, int(_MESSAGES * size)))

    def follow() -> None:
        feed = SymbolFeed(_SYMBOL)
        feed.subscribed()
        feed.on_snapshot(DepthReply(0, ((Decimal(59_000), Decimal(1)),), ((Decimal(61_000), Decimal(1)),), _START), _START, 0)
        for number, message in enumerate(messages):
            push = decode_push(message)
            assert isinstance(push.body, DepthUpdate)
            feed.on_depth(push.body, push.at, _START, number)
        assert feed.version == len(messages)

    def decode_alone() -> None:
        for message in messages:
            PushDataV3ApiWrapper.FromString(message)

    def one_round(number: int) -> Figures:
        return turns(
            number,
            lambda: {"ours": len(messages) / seconds(follow)},
            lambda: {"protobuf": len(messages) / seconds(decode_alone)},
        )

    yield one_round


class _Permit:
    epoch = 1

    def is_live(self) -> bool:
        return True

    def leave(self, write: Callable[[], None]) -> bool:
        write()
        return True


async def _answer(
    transport: HttpTransport,
    method: Method,
    path: str,
    query: str = "",
    headers: Mapping[str, str] = MappingProxyType({}),
    leave: Callable[[Callable[[], None]], bool] = bool,
) -> Reply:
    del transport, method, query, headers, leave
    body = CANNED if path.endswith("/order") else b'{"serverTime":%d}' % (time.time_ns() // 1_000_000)
    return Reply(200, body)


@contextmanager
def orders_opened(size: float) -> Iterator[Round]:
    """gatehouse's client and ccxt, each without transport and throttle."""
    orders = max(2, int(_ORDERS * size))
    loop = asyncio.new_event_loop()
    signer = LocalSigner("mx0bench", "a-secret-of-no-value", SignerLimits(frozenset({_SYMBOL}), Decimal(1_000_000)))
    endpoint = VenueEndpoint("http://127.0.0.1:1", "ws://127.0.0.1:1/ws", Reach.LOOPBACK)

    async def ours() -> float:
        venue = open_venue(VenueName.TESTNET, endpoint, signer, SystemClock(), Random(_SEED))
        await venue.place(_intent(-1), _Permit())
        began = time.perf_counter()
        for number in range(orders):
            assert isinstance(await venue.place(_intent(number), _Permit()), Ack)
        took = time.perf_counter() - began
        await venue.aclose()
        return took / orders * 1e6

    async def theirs() -> float:
        client = _ccxt_without_io()
        began = time.perf_counter()
        for number in range(orders):
            placed = await client.create_order("BTC/USDT", "limit", "buy", 0.001, 50_000, {"clientOrderId": f"bench-{number}"})
            assert placed["id"]
        took = time.perf_counter() - began
        await client.close()
        return took / orders * 1e6

    def one_round(number: int) -> Figures:
        return turns(
            number,
            lambda: {"ours": loop.run_until_complete(ours())},
            lambda: {"ccxt": loop.run_until_complete(theirs())},
        )

    with patch.object(HttpTransport, "send", _answer), patch.object(Limits, "take", lambda *_: 0):
        yield one_round
    loop.close()


def _intent(number: int) -> OrderIntent:
    return OrderIntent(_SYMBOL, Side.BUY, OrderType.LIMIT, f"bench-{number}", quantity=Decimal("0.001"), price=Decimal(50_000))


def _ccxt_without_io() -> Any:
    client = ccxt.async_support.mexc({"apiKey": "mx0bench", "secret": "a-secret-of-no-value", "enableRateLimit": False})
    client.set_markets([client.safe_market_structure(_market())])

    async def fetch(url: str, method: str = "GET", headers: object = None, body: object = None) -> Any:
        del url, method, headers, body
        return json.loads(CANNED)

    client.fetch = fetch
    return client


def _market() -> dict[str, object]:
    return {
        "id": _SYMBOL,
        "symbol": "BTC/USDT",
        "base": "BTC",
        "quote": "USDT",
        "baseId": "BTC",
        "quoteId": "USDT",
        "type": "spot",
        "spot": True,
        "active": True,
        "precision": {"amount": 1e-06, "price": 0.01},
    }


DEPTH = Contest(
    "depth",
    (
        Line(
            "client: depth messages of 20 levels decoded and applied",
            "/s",
            "ours",
            "protobuf",
            "protobuf decode alone",
            (Goal("≥ 20,000/s", lambda ours, _: ours >= 20_000), Goal("≥ 0.15 ×", lambda _, ratio: ratio >= 0.15)),
        ),
    ),
    depth_opened,
)

ORDERS = Contest(
    "client-orders",
    (
        Line(
            "client: an order signed, built and its reply parsed, no network",
            "µs",
            "ours",
            "ccxt",
            "ccxt create_order, I/O cut out",
            (Goal("≤ 1 ×", lambda _, ratio: ratio <= 1),),
        ),
    ),
    orders_opened,
)
