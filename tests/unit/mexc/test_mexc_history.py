"""Candles and statistics as the client asks MEXC for them, and what a 429 means for the next question."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from exchange.errors import VenueError
from exchange.mexc.connect import VenueEndpoint, VenueHost, open_history
from exchange.mexc.history import QUIET, MexcHistory
from exchange.mexc.ratelimit import HeldBack
from exchange.mexc.reach import Reach
from exchange.mexc.rest import VenueRefusal
from exchange.model import Millis
from exchange.wire.market import Interval, KlineQuery
from tests.unit.mexc import payloads as p
from tests.unit.mexc.conftest import Request, reply, running

QUERY = KlineQuery("BTCUSDT", Interval.MIN60, 500, Millis(1_640_804_880_000), Millis(1_642_604_880_000))


class SetClock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.ns = 5_000_000_000

    def now(self) -> Millis:
        return Millis(1_790_000_000_000 + self.ns // 1_000_000)

    def monotonic_ns(self) -> int:
        return self.ns


async def ask(answers: dict[str, bytes], work: Callable[[MexcHistory, SetClock, Any], Awaitable[None]]) -> None:
    def answer(request: Request) -> bytes:
        return answers[request.path]

    clock = SetClock()
    async with running(answer) as stub:
        host = VenueHost(VenueEndpoint(stub.url, "ws://127.0.0.1:9/ws", Reach.LOOPBACK), clock)
        try:
            await work(open_history(host_endpoint(stub.url), clock, host=host), clock, stub)
        finally:
            await host.aclose()


def host_endpoint(url: str) -> VenueEndpoint:
    return VenueEndpoint(url, "ws://127.0.0.1:9/ws", Reach.LOOPBACK)


async def test_candles_are_asked_for_by_span_and_read() -> None:
    async def work(history: MexcHistory, clock: SetClock, stub: Any) -> None:
        (candle,) = await history.candles(QUERY)
        assert (candle.open, candle.volume, candle.close_time) == (Decimal("47482.36"), Decimal("3.550717"), 1640804940000)
        (sent,) = stub.received("/api/v3/klines")
        assert dict(sent.params) == {
            "symbol": "BTCUSDT",
            "interval": "60m",
            "startTime": "1640804880000",
            "endTime": "1642604880000",
            "limit": "500",
        }

    await ask({"/api/v3/klines": reply([list(p.KLINE.values())])}, work)


async def test_statistics_are_read_as_mexc_sends_them() -> None:
    async def work(history: MexcHistory, clock: SetClock, stub: Any) -> None:
        day = await history.day("BTCUSDT")
        assert (day.high, day.volume, day.quote_volume) == (Decimal("47550.01"), Decimal("1732.461487"), None)
        assert await history.average_price("BTCUSDT") == Decimal("9.35751834")

    await ask({"/api/v3/ticker/24hr": reply(p.DAY_TICKER), "/api/v3/avgPrice": reply(p.AVERAGE_PRICE)}, work)


async def test_a_reply_that_is_no_candle_is_a_typed_error() -> None:
    async def work(history: MexcHistory, clock: SetClock, stub: Any) -> None:
        with pytest.raises(VenueError):
            await history.candles(QUERY)

    await ask({"/api/v3/klines": reply([["1", "2"]])}, work)


async def test_after_a_429_no_candles_are_asked_for_during_a_minute() -> None:
    async def work(history: MexcHistory, clock: SetClock, stub: Any) -> None:
        with pytest.raises(VenueRefusal):
            await history.candles(QUERY)
        clock.ns += QUIET - 1
        with pytest.raises(HeldBack):
            await history.day("BTCUSDT")
        assert stub.received("/api/v3/ticker/24hr") == []
        clock.ns += 1
        await history.day("BTCUSDT")

    refused = reply({"code": 429, "msg": "Too many requests"}, 429, "Retry-After: 1\r\n")
    await ask({"/api/v3/klines": refused, "/api/v3/ticker/24hr": reply(p.DAY_TICKER)}, work)
