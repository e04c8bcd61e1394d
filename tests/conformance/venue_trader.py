"""Anything behind gatehouse's own ``Venue`` port as a trader: the MEXC client against the testnet, and the mock venue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal

from exchange.mexc.client import MexcVenue
from exchange.mexc.market import MexcFeed
from exchange.model import Balance, Fill, Millis, OrderIntent, OrderReport
from exchange.ports import Ack, CancelAck, StreamGap, Venue
from exchange.wire.account import HistoryQuery
from exchange.wire.errors import ErrorCode
from tests.conformance.trader import SYMBOL, ClientOrder, Denied, Levels, Market, StreamState, Trade
from tests.support.permits import Leaving


class LivePermit(Leaving):
    """A permit that never ends."""

    epoch = 1

    def is_live(self) -> bool:
        return True


class VenueTrader:
    """One account. ``version`` is how far the market is, so that a test can wait for a pushed book."""

    def __init__(self, venue: Venue, feed: MexcFeed, version: Callable[[], int]) -> None:
        self._venue = venue
        self._feed = feed
        self._version = version
        self._since = Millis(0)
        self._listeners: list[VenueListener] = []

    async def close(self) -> None:
        """End its streams and connections."""
        for listener in self._listeners:
            await listener.close()
        await self._venue.aclose()

    async def market(self) -> Market:
        rules = (await self._venue.symbol_rules([SYMBOL]))[SYMBOL]
        assert rules.trading
        assert rules.api_allowed
        return Market(rules.tick_size, rules.quantity_step, rules.min_notional, rules.maker_fee, rules.taker_fee)

    async def time(self) -> int:
        return int(await self._venue.server_time())

    async def book(self) -> tuple[int, Levels, Levels]:
        version = self._version()
        async with asyncio.timeout(10):
            while (depth := self._feed.depth(SYMBOL, 20)) is None or depth[0] < version:
                await self._feed.changed()
        return depth

    async def balance(self) -> Mapping[str, Balance]:
        return await self._venue.balances()

    async def place(self, intent: OrderIntent) -> str:
        if not self._since:
            self._since = await self._venue.server_time()
        outcome = await self._venue.place(intent, LivePermit())
        if isinstance(outcome, Ack):
            return outcome.order_id
        raise Denied(getattr(outcome, "code", 0), str(outcome))

    async def order(self, client_id: str) -> ClientOrder:
        report = await self._venue.order(SYMBOL, client_id)
        if report is None:
            raise Denied(ErrorCode.NO_SUCH_ORDER, client_id)
        return _client_order(report)

    async def cancel(self, client_id: str) -> None:
        outcome = await self._venue.cancel(SYMBOL, client_id)
        if not isinstance(outcome, CancelAck):
            raise Denied(outcome.code, outcome.message)

    async def cancel_symbol(self) -> None:
        assert await self._venue.cancel_all([SYMBOL]) == CancelAck()

    async def open_orders(self) -> list[ClientOrder]:
        return [_client_order(report) for report in await self._venue.open_orders(SYMBOL)]

    async def trades(self) -> list[Trade]:
        return [_trade(fill) for fill in await self._venue.fills(SYMBOL, self._since)]

    async def listen(self) -> VenueListener:
        listener = VenueListener(self._venue)
        self._listeners.append(listener)
        await listener.ready()
        return listener


class OwnTrader(VenueTrader):
    """The MEXC client, with the rest of what it offers."""

    def __init__(self, venue: MexcVenue, feed: MexcFeed, version: Callable[[], int]) -> None:
        super().__init__(venue, feed, version)
        self.venue = venue

    async def best_prices(self) -> Mapping[str, tuple[Decimal, Decimal]]:
        best = await self.venue.ticker(SYMBOL)
        return {SYMBOL: (best.bid, best.ask)}

    async def fee(self) -> tuple[Decimal, Decimal]:
        fee = await self.venue.account.trade_fee(SYMBOL)
        return fee.maker, fee.taker

    async def dry_run(self, intent: OrderIntent) -> None:
        await self.venue.trading.test(intent, LivePermit())

    async def trades_of(self, order_id: str) -> list[Trade]:
        return [_trade(one) for one in await self.venue.trading.trades(HistoryQuery(SYMBOL, 100, order_id=order_id))]


class VenueListener:
    """The venue's private events. A stream over a socket begins with a gap; the mock venue's has none."""

    def __init__(self, venue: Venue) -> None:
        self._events = venue.events()
        self._over_a_socket = venue.name.value != "mock"
        self._state = StreamState({}, {}, {})

    async def ready(self) -> None:
        """Wait for the subscription."""
        if self._over_a_socket:
            assert isinstance(await anext(self._events), StreamGap)

    async def close(self) -> None:
        """Stop listening."""
        await self._events.aclose()  # type: ignore[attr-defined]

    async def wait_until(self, enough: Callable[[StreamState], object]) -> StreamState:
        async with asyncio.timeout(10):
            while not enough(self._state):
                self._note(await anext(self._events))
        return self._state

    def _note(self, event: object) -> None:
        if isinstance(event, OrderReport):
            reported = {event.client_id: (event.status, event.executed)}
            self._state = StreamState({**self._state.orders, **reported}, self._state.trades, {})
        elif isinstance(event, Fill):
            self._state = StreamState(self._state.orders, {**self._state.trades, event.trade_id: _trade(event)}, {})


class FeedWatcher:
    """gatehouse's own feed."""

    def __init__(self, feed: MexcFeed) -> None:
        self._feed = feed

    async def keep_book(self, move: Callable[[], Awaitable[None]]) -> None:
        await move()
        async with asyncio.timeout(10):
            while self._feed.depth(SYMBOL, 10) is None:
                await self._feed.changed()

    async def agrees(self, version: int, bids: Levels, asks: Levels) -> bool:
        async with asyncio.timeout(10):
            while (depth := self._feed.depth(SYMBOL, 10)) is None or depth[0] < version:
                await self._feed.changed()
        return depth == (version, bids, asks)

    async def next_trade(self) -> tuple[Decimal, Decimal]:
        async with asyncio.timeout(10):
            while not self._feed.trades(SYMBOL, 1):
                await self._feed.changed()
        trade = self._feed.trades(SYMBOL, 1)[0]
        return trade.price, trade.quantity


def _client_order(report: OrderReport) -> ClientOrder:
    return ClientOrder(report.order_id, report.client_id, report.status, report.price, report.quantity, report.executed)


def _trade(fill: Fill) -> Trade:
    return Trade(
        fill.trade_id,
        fill.order_id,
        fill.side,
        fill.price,
        fill.quantity,
        fill.quote,
        fill.fee,
        fill.fee_asset,
        fill.maker,
    )
