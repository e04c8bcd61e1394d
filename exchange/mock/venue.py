"""The venue of the stage MOCK: the matching engine in this process, on any market feed, with virtual balances.

``controller.bootstrap`` builds it. It sees less of the market than the testnet does: a feed offers the best hundred levels of its
book and its recent trades, not every change. Each change therefore reaches the engine as trades followed by a snapshot. Fills are
coarser than the testnet's but never more favourable: between two updates only trades move the queue ahead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from itertools import takewhile

from exchange.errors import Refused
from exchange.matching.engine import Engine
from exchange.matching.events import EngineEvent, Filled, OrderChanged, Refusal
from exchange.matching.order_checks import refused
from exchange.matching.resting import FillModel
from exchange.model import Balance, Fill, MarketTrade, Millis, OrderIntent, OrderReport, SymbolRules
from exchange.ports import (
    Ack,
    CancelAck,
    CancelFailed,
    CancelOutcome,
    Clock,
    MarketFeed,
    Permit,
    PlaceOutcome,
    Rejected,
    VenueEvent,
    VenueName,
    is_for,
)
from exchange.tape import DepthSnapshot, TapeGap, TapeTrade
from exchange.wire.errors import ErrorCode

_ACCOUNT = "mock"
_DEPTH = 100
_TRADES = 1000


class MockVenue:
    """One virtual account. Resting orders fill only while ``run`` runs; ``events`` delivers fills and order changes."""

    def __init__(
        self,
        feed: MarketFeed,
        rules: Mapping[str, SymbolRules],
        balances: Mapping[str, Decimal],
        clock: Clock,
        seed: int,
        ids: str = "",
    ) -> None:
        """``rules`` may gain symbols later, when its venue has been reached.

        ``ids`` names what no other venue has, so that its order and trade ids are its own; empty: they are the seed's.
        """
        self._feed = feed
        self._clock = clock
        self._rules = rules
        self._engine = Engine(rules, FillModel.PESSIMISTIC, seed, ids=ids)
        self._engine.open_account(_ACCOUNT, balances, clock.now())
        self._versions: dict[str, int | None] = {}
        self._latest: dict[str, MarketTrade | None] = {}
        self._streams: set[asyncio.Queue[VenueEvent | None]] = set()

    @property
    def name(self) -> VenueName:
        """Always MOCK."""
        return VenueName.MOCK

    async def run(self) -> None:
        """Follow the feed until cancelled."""
        while True:
            self.follow()
            await self._feed.changed()

    def follow(self) -> None:
        """Bring the engine up to the feed's present state."""
        for rules in self._rules.values():
            self._engine.list_symbol(rules)
        for symbol in self._engine.rules:
            self._follow_trades(symbol)
            self._follow_depth(symbol)

    async def place(self, intent: OrderIntent, permit: Permit) -> PlaceOutcome:
        """Match against the feed as it is now. Raises ``Refused`` without a live permit for it."""
        if not (permit.is_live() and is_for(permit, intent)):
            raise Refused(
                "the permit to place this order has expired",
                code="permit-not-live",
                remedy="Wait until the controller is armed and renews its permit.",
            )
        self.follow()
        if intent.symbol in self._engine.rules and self._feed.quote(intent.symbol) is None:
            problem = refused(ErrorCode.NO_VALID_PRICE, "no valid trade price")
            return Rejected(problem.code, problem.message)
        outcome = self._engine.place(_ACCOUNT, intent, self._clock.now())
        if isinstance(outcome, Refusal):
            return Rejected(outcome.code, outcome.message)
        self._publish(outcome.events)
        report = outcome.order.report
        return Ack(report.order_id, report.created_at, report.price, report.quantity)

    async def cancel(self, symbol: str, client_id: str) -> CancelOutcome:
        """End an order by our client id."""
        outcome = self._engine.cancel(_ACCOUNT, symbol, self._clock.now(), client_id=client_id)
        if isinstance(outcome, Refusal):
            return CancelFailed(outcome.code, outcome.message)
        self._publish(outcome.events)
        return CancelAck()

    async def cancel_all(self, symbols: Sequence[str]) -> CancelOutcome:
        """End every open order of these symbols."""
        for canceled in self._engine.cancel_all(_ACCOUNT, self._clock.now(), symbols):
            self._publish(canceled.events)
        return CancelAck()

    async def order(self, symbol: str, client_id: str) -> OrderReport | None:
        """Look one order up by our client id."""
        view = self._engine.order(_ACCOUNT, symbol, client_id=client_id)
        return None if view is None else view.report

    async def open_orders(self, symbol: str) -> Sequence[OrderReport]:
        """Every order that can still trade, newest first."""
        return [view.report for view in self._engine.open_orders(_ACCOUNT, symbol)]

    async def remaining(self, symbols: Sequence[str]) -> Sequence[OrderReport]:
        """Every order of these symbols that can still trade."""
        return [view.report for symbol in symbols for view in self._engine.open_orders(_ACCOUNT, symbol)]

    async def fills(self, symbol: str, since: Millis) -> Sequence[Fill]:
        """Our trades at or after ``since``, oldest first."""
        return self._engine.fills(_ACCOUNT, symbol, since=since)[::-1]

    async def balances(self) -> Mapping[str, Balance]:
        """Every asset with a balance."""
        return {asset: balance for asset, balance in self._engine.balances(_ACCOUNT).items() if balance.total}

    async def symbol_rules(self, symbols: Sequence[str]) -> Mapping[str, SymbolRules]:
        """Rules for those of the symbols that the venue was built with."""
        return {symbol: self._engine.rules[symbol] for symbol in symbols if symbol in self._engine.rules}

    async def server_time(self) -> Millis:
        """Our own clock; a mock venue has no other."""
        return self._clock.now()

    def events(self) -> AsyncIterator[VenueEvent]:
        """Order changes and fills from this call on, until ``aclose``. Nothing is lost, so a ``StreamGap`` never comes."""
        stream: asyncio.Queue[VenueEvent | None] = asyncio.Queue()
        self._streams.add(stream)
        return self._drain(stream)

    async def aclose(self) -> None:
        """End every event stream."""
        for stream in self._streams:
            stream.put_nowait(None)

    async def _drain(self, stream: asyncio.Queue[VenueEvent | None]) -> AsyncIterator[VenueEvent]:
        try:
            while (event := await stream.get()) is not None:
                yield event
        finally:
            self._streams.discard(stream)

    def _follow_trades(self, symbol: str) -> None:
        recent = self._feed.trades(symbol, _TRADES)
        first_look = symbol not in self._latest
        newest = self._latest.get(symbol)
        fresh = [] if first_look else list(takewhile(lambda trade: trade != newest, recent))
        self._latest[symbol] = recent[0] if recent else newest
        for trade in reversed(fresh):
            self._publish(self._engine.feed(TapeTrade(trade, self._clock.now())))

    def _follow_depth(self, symbol: str) -> None:
        depth = self._feed.depth(symbol, _DEPTH)
        version = None if depth is None else depth[0]
        if symbol in self._versions and self._versions[symbol] == version:
            return
        self._versions[symbol] = version
        now = self._clock.now()
        if depth is None:
            self._publish(self._engine.feed(TapeGap(symbol, now, now)))
        else:
            snapshot = DepthSnapshot(symbol, depth[0], tuple(depth[1]), tuple(depth[2]), now, now)
            self._publish(self._engine.feed(snapshot))

    def _publish(self, events: Sequence[EngineEvent]) -> None:
        for event in events:
            if isinstance(event, OrderChanged):
                self._send(event.order.report)
            elif isinstance(event, Filled):
                self._send(event.fill)

    def _send(self, event: VenueEvent) -> None:
        for stream in self._streams:
            stream.put_nowait(event)
