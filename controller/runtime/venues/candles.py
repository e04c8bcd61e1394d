"""Candles and statistics for bots: read from the venue whose market prices the stage, cached, and brought up to date by trades.

Theory of operation. A bot may ask as often as it likes; the venue is asked seldom. What is final is read once (``candle_pages``).
The candle that has not closed comes from the trades of the feed (``forming``). For each symbol and interval one request is under
way, and for each venue one in all, on the lane that queries leave free (``exchange.mexc.ratelimit``). No order waits for any of it.

What the venue does not answer is not shown: a candle is final, or as fresh as ``candle_pages`` says, or there is an error. After a
failure the next requests fail at once for a second, and at most ``MOST_WAITING`` wait at a time.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TypeVar

from controller.gateway.port import CandlesView
from controller.runtime.venues.candle_pages import Page, encoded, span_of
from controller.runtime.venues.forming import Base
from controller.runtime.venues.trade_tape import TradeTape
from exchange.errors import VenueError
from exchange.model import Millis
from exchange.ports import Clock, MarketFeed, MarketHistory, VenueName
from exchange.wire.market import KLINES_MAX, Candle, DayTicker, Interval, KlineQuery

MOST_PAGES = 200
"""The pages that are kept, about 80 KB each when full; the one that was used longest ago goes first."""

MOST_LOOKED = 4
"""The pages that one request looks at: candles of a thin market may be spread over more time than one page covers."""

MOST_WAITING = 64
WAIT_S = 10.0
"""How long a request waits for the venue, together with those before it."""

_AT_ONCE = 50
"""Rows that are written before other work gets its turn: orders share this event loop."""

FAILED_FOR_MS = 1_000
DAY_AGE_MS, AVERAGE_AGE_MS, BEGIN_AGE_MS = 10_000, 2_000, 60_000

T = TypeVar("T")

Key = tuple[VenueName, str, str]
"""A market, a symbol, and an interval or the name of a figure."""


class Candles:
    """The candles and statistics of every market. ``follow`` must run for each market."""

    def __init__(
        self,
        *,
        sources: Mapping[VenueName, MarketHistory],
        feeds: Mapping[VenueName, MarketFeed],
        own_history: Collection[VenueName],
        clock: Clock,
    ) -> None:
        """``own_history``: the markets that are a testnet's. Their history begins somewhere, and a restart may begin it anew."""
        self._sources = sources
        self._feeds = feeds
        self._own_history = frozenset(own_history)
        self._clock = clock
        self._pages: OrderedDict[tuple[Key, int], Page] = OrderedDict()
        self._tapes: dict[tuple[VenueName, str], TradeTape] = {}
        self._begins: dict[Key, tuple[Millis, Millis | None]] = {}
        self._days: dict[Key, tuple[Millis, DayTicker]] = {}
        self._averages: dict[Key, tuple[Millis, Decimal]] = {}
        self._locks: dict[Key, asyncio.Lock] = {}
        self._turns = {market: asyncio.Lock() for market in sources}
        self._failed: dict[Key, tuple[Millis, VenueError]] = {}
        self._waiting = 0

    async def rows(self, market: VenueName, query: KlineQuery) -> CandlesView:
        """The candles of a query, as MEXC would answer it: without a start the last ones. Raises ``VenueError``."""
        key = (market, query.symbol, query.interval.value)
        async with self._turn(key):
            begins = await self._beginning(key, query.interval)
            found = await (self._from(key, query, begins) if query.start is not None else self._last(key, query, begins))
        return CandlesView(tuple(found), market.value, begins)

    async def day(self, market: VenueName, symbol: str) -> DayTicker:
        """The statistics of the last 24 hours, at most ``DAY_AGE_MS`` old. Raises ``VenueError``."""
        return await self._figure((market, symbol, "day"), self._days, DAY_AGE_MS, lambda: self._sources[market].day(symbol))

    async def average_price(self, market: VenueName, symbol: str) -> Decimal:
        """The mean price of five minutes, at most ``AVERAGE_AGE_MS`` old. Raises ``VenueError``."""
        source = self._sources[market]
        return await self._figure((market, symbol, "average"), self._averages, AVERAGE_AGE_MS, lambda: source.average_price(symbol))

    async def follow(self, market: VenueName) -> None:
        """Add the market's trades to the candles that are asked for, until cancelled."""
        while True:
            await self._feeds[market].changed()
            for (name, _), tape in tuple(self._tapes.items()):
                if name is market:
                    self._catch_up(market, tape)

    async def _from(self, key: Key, query: KlineQuery, begins: Millis | None) -> list[bytes]:
        """The first candles from ``query.start`` on."""
        now, span = self._clock.now(), span_of(query.interval)
        start, until = max(query.start or Millis(0), begins or Millis(0)), _until(query, now)
        found: list[bytes] = []
        for number in range(start // span, start // span + MOST_LOOKED):
            if number * span >= until or len(found) >= query.limit:
                break
            found.extend(await self._between(key, query.interval, number, (Millis(start), until)))
        return found[: query.limit]

    async def _last(self, key: Key, query: KlineQuery, begins: Millis | None) -> list[bytes]:
        """The last candles before ``query.end``, or until now."""
        now, span = self._clock.now(), span_of(query.interval)
        until = _until(query, now)
        found: list[bytes] = []
        newest = (until - 1) // span
        for number in range(newest, max(newest - MOST_LOOKED, -1), -1):
            if len(found) >= query.limit or (begins is not None and (number + 1) * span <= begins):
                break
            found[:0] = await self._between(key, query.interval, number, (Millis(0), until))
        return found[-query.limit :]

    async def _between(self, key: Key, interval: Interval, number: int, span: tuple[Millis, Millis]) -> list[bytes]:
        """The candles of one page within a span of time, read again if needed."""
        tape, until = self._tape(key), span[1]
        page = self._page(key, interval, number)
        # A candle may close while the page is on its way.
        for _ in range(2):
            now = self._clock.now()
            self._catch_up(key[0], tape)
            if page.serves(until, now, followed_since=tape.since):
                forming = tape.forming(interval).candle(now) if until > page.final_until else None
                return list(page.between(*span, forming))
            await self._read(key, interval, page, tape)
        now = self._clock.now()
        return list(page.between(*span, tape.forming(interval).candle(now)))

    async def _read(self, key: Key, interval: Interval, page: Page, tape: TradeTape) -> None:
        market, symbol, _ = key
        # One less than the end, so that a venue that counts it in and one that does not both answer with this page.
        query = KlineQuery(symbol, interval, KLINES_MAX, page.missing_from, Millis(page.end - 1))
        sent = self._clock.now()
        candles = await self._ask(key, lambda: self._sources[market].candles(query))
        received = self._clock.now()
        rows: list[tuple[Candle, bytes]] = []
        for first in range(0, len(candles), _AT_ONCE):
            rows += [(one, encoded(one)) for one in candles[first : first + _AT_ONCE]]
            await asyncio.sleep(0)
        page.take(rows, sent, received)
        row = page.forming_row()
        self._catch_up(market, tape)
        if not page.is_final:
            tape.read(interval, None if row is None else Base(row, sent, received))

    def _page(self, key: Key, interval: Interval, number: int) -> Page:
        span = span_of(interval)
        page = self._pages.setdefault((key, number), Page(interval, Millis(number * span), Millis((number + 1) * span)))
        self._pages.move_to_end((key, number))
        while len(self._pages) > MOST_PAGES:
            self._pages.popitem(last=False)
        return page

    async def _beginning(self, key: Key, interval: Interval) -> Millis | None:
        """The first candle of a testnet's own history; ``None`` for MEXC, or before the first trade."""
        market, symbol, _ = key
        if market not in self._own_history:
            return None
        at, begins = self._begins.get(key, (None, None))
        now = self._clock.now()
        if at is None or not 0 <= now - at <= BEGIN_AGE_MS:
            query = KlineQuery(symbol, interval, 1, Millis(0), Millis(now + 1))
            first = await self._ask(key, lambda: self._sources[market].candles(query))
            begins = first[0].open_time if first else None
            if begins is not None:
                self._begins[key] = (now, begins)
        return begins

    async def _figure(self, key: Key, kept: dict[Key, tuple[Millis, T]], age_ms: int, ask: Callable[[], Awaitable[T]]) -> T:
        async with self._turn(key):
            at, figure = kept.get(key, (None, None))
            if at is not None and figure is not None and 0 <= self._clock.now() - at <= age_ms:
                return figure
            sent = self._clock.now()
            figure = await self._ask(key, ask)
            kept[key] = (sent, figure)
            return figure

    @asynccontextmanager
    async def _turn(self, key: Key) -> AsyncIterator[None]:
        """One request at a time for each key; the others wait for what it brings. Raises ``VenueError`` instead of waiting long."""
        if self._waiting >= MOST_WAITING:
            raise _late(f"{MOST_WAITING} requests for candles wait already")
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_S), self._locks.setdefault(key, asyncio.Lock()):
                yield
        except TimeoutError:
            raise _late(f"the {key[0]} venue has not answered within {WAIT_S:g} s") from None
        finally:
            self._waiting -= 1

    async def _ask(self, key: Key, ask: Callable[[], Awaitable[T]]) -> T:
        self._check_failed(key)
        async with self._turns[key[0]]:
            try:
                return await ask()
            except VenueError as error:
                self._failed[key] = (self._clock.now(), error)
                raise

    def _check_failed(self, key: Key) -> None:
        at, error = self._failed.get(key, (None, None))
        if at is None or error is None:
            return
        if 0 <= self._clock.now() - at < FAILED_FOR_MS:
            raise VenueError(error.message, code=error.code, remedy=error.remedy)
        del self._failed[key]

    def _tape(self, key: Key) -> TradeTape:
        market, symbol, _ = key
        tape = self._tapes.get((market, symbol))
        if tape is None:
            tape = self._tapes[market, symbol] = TradeTape(self._feeds[market], symbol, self._clock)
        return tape

    def _catch_up(self, market: VenueName, tape: TradeTape) -> None:
        if not tape.catch_up() and market in self._own_history:
            self._forget(market)

    def _forget(self, market: VenueName) -> None:
        """The testnet may be another one after a break, with another history."""
        for page in [page for page in self._pages if page[0][0] is market]:
            del self._pages[page]
        for key in [key for key in self._begins if key[0] is market]:
            del self._begins[key]


def _until(query: KlineQuery, now: Millis) -> Millis:
    return Millis(now + 1 if query.end is None else min(query.end, now + 1))


def _late(why: str) -> VenueError:
    return VenueError(f"no candles now: {why}", code="candles-late", remedy="Send the request again later, and less often.")
