"""Simulates single orders on a real venue's market, as the testnet would have matched them (ADR 64). Nothing leaves this process.

``controller.runtime.venues.shadows`` places a copy of every real order here. The market is the one that the controller's own feed
of the real venue sees: its book when a copy arrives, and from then on every change and trade until no copy has come for a while.
Where the feed misses something, the copies that rest in that symbol are lost: what they would have met is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from exchange.book import BookStatus
from exchange.matching.engine import Engine
from exchange.matching.events import EngineEvent, Filled, OrderView, Refusal
from exchange.matching.resting import FillModel
from exchange.model import MarketTrade, Millis, OrderIntent, SymbolRules
from exchange.orders import WORKING
from exchange.ports import Clock, FeedBroken, FeedEvent, FollowedFeed
from exchange.tape import DepthDelta, DepthSnapshot, TapeTrade

_ACCOUNT = "shadow"
_FUNDS = Decimal(10) ** 9
_LEVELS = 5_000
_FOLLOWED_MS = 600_000
"""A symbol is followed on between its orders: a whole book costs milliseconds, a change of it a tenth of one."""


class ShadowMarket:
    """One account with funds without end. ``on_fill`` gets the id of a copy at each trade, ``on_lost`` of one that is lost."""

    def __init__(
        self,
        feed: FollowedFeed,
        rules: Mapping[str, SymbolRules],
        clock: Clock,
        model: FillModel,
        *,
        on_fill: Callable[[str], object],
        on_lost: Callable[[str, str], object],
    ) -> None:
        """``rules`` may gain symbols later, when the venue has been reached. The caller passes on what ``feed`` sees."""
        self._feed = feed
        self._rules = rules
        self._clock = clock
        self._engine = Engine({}, model)
        self._on_fill = on_fill
        self._on_lost = on_lost
        self._resting: dict[str, set[str]] = {}
        self._placed_at: dict[str, Millis] = {}

    def place(self, intent: OrderIntent) -> str:
        """Match a copy that arrives now. Returns why it cannot be simulated; empty when it is, also where it is refused."""
        symbol, now = intent.symbol, self._clock.now()
        if symbol not in self._engine.rules:
            if symbol not in self._rules:
                return f"the rules of {symbol} are not known"
            rules = self._rules[symbol]
            self._engine.list_symbol(rules)
            self._engine.open_account(_ACCOUNT, {rules.base: _FUNDS, rules.quote: _FUNDS}, now)
        if symbol not in self._placed_at:
            depth = self._feed.depth(symbol, _LEVELS)
            if depth is None:
                return f"the book of {symbol} is not whole"
            version, bids, asks = depth
            self._engine.feed(DepthSnapshot(symbol, version, tuple(bids), tuple(asks), now, now))
        self._placed_at[symbol] = now
        outcome = self._engine.place(_ACCOUNT, intent, now)
        if isinstance(outcome, Refusal):
            return ""
        if outcome.order.report.status in WORKING:
            self._resting.setdefault(symbol, set()).add(intent.client_id)
        self._tell(symbol, outcome.events)
        return ""

    def cancel(self, symbol: str, client_id: str) -> None:
        """Cancel a copy, if it rests."""
        self._engine.cancel(_ACCOUNT, symbol, self._clock.now(), client_id=client_id)
        self._resting.get(symbol, set()).discard(client_id)

    def order(self, symbol: str, client_id: str) -> OrderView | None:
        """A copy as it is now; ``None`` for one that was refused."""
        return self._engine.order(_ACCOUNT, symbol, client_id=client_id)

    def on_event(self, event: FeedEvent) -> None:
        """Take over what the feed saw."""
        symbol, now = event.symbol, self._clock.now()
        if symbol not in self._placed_at:
            return
        if not self._resting.get(symbol) and now - self._placed_at[symbol] > _FOLLOWED_MS:
            self.lose(symbol, "")
        elif isinstance(event, FeedBroken):
            self.lose(symbol, event.why)
        elif isinstance(event, MarketTrade):
            self._tell(symbol, self._engine.feed(TapeTrade(event, now)))
        else:
            delta = DepthDelta(symbol, event.from_version, event.to_version, event.bids, event.asks, now, now)
            self._tell(symbol, self._engine.feed(delta))
            if self._engine.book_status(symbol) is not BookStatus.LIVE:
                self.lose(symbol, "a change of its book is missing")

    def lose(self, symbol: str, why: str) -> None:
        """Follow the symbol no longer, until its next copy. The copies that rest in it are lost."""
        self._placed_at.pop(symbol, None)
        for client_id in tuple(self._resting.pop(symbol, ())):
            self._engine.cancel(_ACCOUNT, symbol, self._clock.now(), client_id=client_id)
            self._on_lost(client_id, why)

    def _tell(self, symbol: str, events: Iterable[EngineEvent]) -> None:
        for event in events:
            if not isinstance(event, Filled):
                continue
            view = self._engine.order(_ACCOUNT, symbol, client_id=event.fill.client_id)
            if view is not None and view.report.status not in WORKING:
                self._resting.get(symbol, set()).discard(event.fill.client_id)
            self._on_fill(event.fill.client_id)
