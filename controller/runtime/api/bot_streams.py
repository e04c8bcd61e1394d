"""What the gateway's streams pass on: the market of the stage, and what the journal says of the bots' orders and balances.

Theory of operation. The writer's followers get every batch once it is durable. This one only queues it: the bots' news are made in
turns of the event loop of their own, ``AT_ONCE`` entries at a time, so that neither the writer nor an order waits for a stream. The
entries are folded again from the state before the batch, so each entry's news show the order and the balances as they were right
after it, in the journal's order, each once. While nobody listens nothing is folded.

If batches come faster than their news can be made, or making them fails, the private streams end with the reason; REST has it all.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from decimal import Decimal
from functools import partial

from controller.core import events as e
from controller.core.fold.apply import apply
from controller.core.order_state import OrderState
from controller.core.state import State, market_of
from controller.gateway.stream_port import AccountEnded, BalanceNews, BotNews, FillNews, MarketNews, MarketReplaced, OrderNews
from controller.runtime.api.shown_orders import fill_of, report_of
from controller.runtime.loop.writer import CommittedBatch, Writer
from controller.runtime.venues.markets import Markets
from exchange.model import Balance, Millis, OrderReport, OrderStatus, OrderType
from exchange.ports import Clock, FeedEvent, FeedStatus, FollowedFeed, VenueName
from exchange.wire.orders import venue_status
from exchange.wire.push import BalanceReason, BalanceUpdate, OrderExtras

AT_ONCE = 8
"""The journal entries whose news are made in one turn of the event loop."""

MOST_BEHIND = 256
"""The batches that may wait; beyond, the private streams end."""

_ZERO = Decimal(0)
_OF_AN_ORDER = (
    e.OrderAdmitted,
    e.OrderAcked,
    e.OrderRejected,
    e.OrderUnknown,
    e.LookupMissed,
    e.OrderReported,
    e.FillBooked,
    e.FillRepeated,
)
_CANCELLED = frozenset({OrderStatus.CANCELED, OrderStatus.PARTIALLY_CANCELED})

_log = logging.getLogger(__name__)


class BotStreams:
    """Implements ``StreamPort``. ``runtime.api.bots`` makes it."""

    def __init__(
        self, *, writer: Writer, markets: Markets, clock: Clock, balances: Callable[[State], Mapping[str, Balance]]
    ) -> None:
        """``balances`` are what REST shows of a state now."""
        self._writer = writer
        self._markets = markets
        self._clock = clock
        self._balances = balances
        self._state = writer.state
        self._watched = writer.state.watched
        self._batches: deque[CommittedBatch] = deque()
        self._news: Iterator[tuple[BotNews, ...]] | None = None
        self._turning = False
        self._shown: dict[str, Balance] | None = None
        self._market_listener: Callable[[MarketNews], None] = lambda _: None
        self._listener: Callable[[BotNews], None] = lambda _: None
        self._listening: Callable[[], Collection[str]] = tuple
        writer.add_follower(self._on_batch)

    # The market

    def follow_market(self, listener: Callable[[MarketNews], None]) -> None:
        """Pass on what the feed of the stage's market sees."""
        self._market_listener = listener
        for market, feed in self._markets.feeds.items():
            if isinstance(feed, FollowedFeed):
                feed.follow(partial(self._on_feed, market))

    def market_problem(self, symbol: str) -> str:
        """Why a symbol's market cannot be streamed now."""
        feed = self._markets.feed_of(self._venue)
        if not isinstance(feed, FollowedFeed):
            return "the feed of this market does not pass its changes on"
        status = feed.status(symbol)
        return "" if status is FeedStatus.LIVE else f"the market data of {symbol} is not fresh now ({status.value}); try again soon"

    def _on_feed(self, market: VenueName, event: FeedEvent) -> None:
        if market is market_of(self._venue):
            self._market_listener(event)

    @property
    def _venue(self) -> VenueName:
        return self._writer.state.watched or VenueName.LIVE

    # The bots

    def follow_bots(self, listener: Callable[[BotNews], None], listening: Callable[[], Collection[str]]) -> None:
        """Pass on what happens to the bots that ``listening`` names."""
        self._listener, self._listening = listener, listening

    @property
    def behind(self) -> int:
        """How many batches wait for their news to be made."""
        return len(self._batches) + (self._news is not None)

    def refresh_balances(self) -> None:
        """Publish what changed without an order. While news wait, they come first: they bring the balances with them."""
        if self._shown is None:
            self._shown = dict(self._balances(self._writer.state))
        elif not self.behind:
            for news in self._moved(self._writer.state, BalanceReason.UNLISTED, self._clock.now()):
                self._listener(news)

    def forget_balances(self) -> None:
        """Nobody listens to balances."""
        self._shown = None

    def _on_batch(self, batch: CommittedBatch) -> None:
        if batch.after.watched is not self._watched:
            before, self._watched = self._watched, batch.after.watched
            if market_of(before or VenueName.LIVE) is not market_of(self._venue):
                self._market_listener(MarketReplaced(_replaced("market", batch.after)))
        if not self.behind and not self._listening():
            self._state = batch.after
            return
        self._batches.append(batch)
        if len(self._batches) > MOST_BEHIND:
            self._give_up("gatehouse: the journal grew faster than this stream. Connect again and read REST.")
        elif not self._turning:
            self._turn_soon()

    def _turn_soon(self) -> None:
        self._turning = True
        asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._turning = False
        try:
            for _ in range(AT_ONCE):
                if self._news is None:
                    if not self._batches:
                        return
                    self._news = self._news_of(self._batches.popleft())
                # One entry, with everything that it says.
                if (said := next(self._news, None)) is None:
                    self._news = None
                    continue
                for news in said:
                    self._listener(news)
        except Exception:
            _log.exception("the news of an entry could not be made: the private streams end")
            self._give_up("gatehouse: an internal error. Connect again and read REST.")
            return
        self._turn_soon()

    def _give_up(self, why: str) -> None:
        self._batches.clear()
        self._news = None
        self._state = self._writer.state
        self._shown = None
        self._listener(AccountEnded(why))

    def _news_of(self, batch: CommittedBatch) -> Iterator[tuple[BotNews, ...]]:
        """What each entry of a batch says, in their order."""
        bots = frozenset(self._listening())
        if not bots or not any(isinstance(event, _OF_AN_ORDER) for _, event in batch.entries):
            ended = self._ended(self._state, batch.after)
            self._state = batch.after
            yield ended
            return
        for entry, event in batch.entries:
            before, self._state = self._state, apply(self._state, event, entry.at)
            yield (*self._said(before, event, bots, entry.at), *self._ended(before, self._state))

    def _said(self, before: State, event: e.Event, bots: Collection[str], at: Millis) -> Iterator[BotNews]:
        if not isinstance(event, _OF_AN_ORDER):
            return
        order, old = self._state.orders.get(event.client_id), before.orders.get(event.client_id)
        if order is None:
            return
        if order.bot in bots:
            report = report_of(order)
            if old is None or _visible(report) != _visible(report_of(old)):
                yield OrderNews(order.bot, report, _extras(order, report, event), at)
            if isinstance(event, e.FillBooked):
                yield FillNews(order.bot, fill_of(event, order))
        if self._shown is not None:
            yield from self._moved(self._state, _reason(event, order), at)

    def _moved(self, state: State, reason: BalanceReason, at: Millis) -> Iterator[BotNews]:
        shown, now = self._shown or {}, dict(self._balances(state))
        self._shown = now
        for asset in sorted({*shown, *now}):
            old, new = (one.get(asset, Balance(asset, _ZERO, _ZERO)) for one in (shown, now))
            if old != new:
                yield BalanceNews(
                    BalanceUpdate(asset, new.free, new.free - old.free, new.locked, new.locked - old.locked, reason, at)
                )

    def _ended(self, before: State, after: State) -> tuple[BotNews, ...]:
        return () if before.watched is after.watched else (AccountEnded(_replaced("account", after)),)


def _replaced(what: str, state: State) -> str:
    return f"gatehouse: the stage is {state.position.stage.value} now, with another {what}. Connect again and read REST."


def _visible(report: OrderReport) -> tuple[object, ...]:
    return venue_status(report.status), report.price, report.quantity, report.executed, report.executed_quote


def _extras(order: OrderState, report: OrderReport, event: e.Event) -> OrderExtras:
    """The amounts as MEXC's pushes have them (mexc-spot-v3.md §7.6): for MARKET 0, and what its collar would still cost."""
    filled = event if isinstance(event, e.FillBooked) else None
    market = report.type is OrderType.MARKET
    left = max(_ZERO, report.price * report.quantity - report.executed_quote) if market else None
    return OrderExtras(
        maker=filled.maker if filled is not None else order.type is OrderType.LIMIT_MAKER,
        last_quantity=None if filled is None else filled.quantity,
        amount=_ZERO if market else None,
        remaining_amount=left,
    )


def _reason(event: e.Event, order: OrderState) -> BalanceReason:
    if isinstance(event, e.FillBooked):
        return BalanceReason.DEAL
    if isinstance(event, e.OrderAdmitted):
        return BalanceReason.FREEZE
    return BalanceReason.CANCEL if order.status in _CANCELLED else BalanceReason.UNFREEZE
