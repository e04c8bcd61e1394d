"""Candles and statistics of a venue's market by REST (mexc-spot-v3.md §3), for ``controller.runtime.venues.candles``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from exchange.mexc.ratelimit import SECOND, HeldBack, Lane
from exchange.mexc.rest import Params, RestCaller, VenueRefusal
from exchange.ports import Clock
from exchange.wire.errors import ErrorCode
from exchange.wire.fields import as_list
from exchange.wire.market import (
    Candle,
    DayTicker,
    KlineQuery,
    klines_params,
    parse_average_price,
    parse_day_ticker,
    parse_klines,
)

QUIET = 60 * SECOND
"""After a 429 no candles are asked for: the pause that it asks for holds back orders too, so bots must not cause a second one."""

_AT_ONCE = 50
"""Rows that are read before other work gets its turn: orders share this event loop."""


class MexcHistory:
    """The public history of one venue; no key needed. Its requests have a lane of their own. ``exchange.mexc.connect`` builds it.

    Every method raises ``VenueError``: no answer, a refusal, a reply that cannot be read, or ``HeldBack`` by our own limits.
    """

    def __init__(self, rest: RestCaller, clock: Clock) -> None:
        self._rest = rest
        self._clock = clock
        self._quiet_until = 0

    async def candles(self, query: KlineQuery) -> Sequence[Candle]:
        """``klines``, oldest first. The last one may still be forming."""
        rows, found = as_list("klines", await self._ask("/klines", klines_params(query))), list[Candle]()
        for first in range(0, len(rows), _AT_ONCE):
            # With the row before, so that the order is checked across the parts.
            overlap = min(first, 1)
            found += parse_klines(rows[first - overlap : first + _AT_ONCE])[overlap:]
            await asyncio.sleep(0)
        return found

    async def day(self, symbol: str) -> DayTicker:
        """``ticker/24hr`` of one symbol."""
        return parse_day_ticker(await self._ask("/ticker/24hr", [("symbol", symbol)]))

    async def average_price(self, symbol: str) -> Decimal:
        """``avgPrice``: the mean of the last five minutes."""
        return parse_average_price(await self._ask("/avgPrice", [("symbol", symbol)]))

    async def _ask(self, path: str, params: Params) -> object:
        now = self._clock.monotonic_ns()
        if now < self._quiet_until:
            raise HeldBack(Lane.HISTORY, self._quiet_until - now)
        try:
            return await self._rest.public(path, params, lane=Lane.HISTORY)
        except VenueRefusal as refusal:
            if refusal.error.http_status == ErrorCode.TOO_MANY_REQUESTS:
                self._quiet_until = self._clock.monotonic_ns() + QUIET
            raise
