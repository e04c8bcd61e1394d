"""Implements the gateway's port with the writer, for governed bots. ``runtime.assembly`` creates it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal

from controller.core import events as e
from controller.core.decisions import bot_liveness, leaving
from controller.core.decisions.account import ZERO, holdings_of_bot, spendable_quote
from controller.core.decisions.draft import Admitted, Repeated
from controller.core.decisions.orders import NOT_ARMED
from controller.core.inputs import CancelAsked, OrderRequested
from controller.core.order_state import OrderState
from controller.core.state import State, market_of
from controller.gateway.port import (
    Accepted,
    Busy,
    CancelRefused,
    CancelReply,
    CancelTaken,
    CandlesView,
    DepthView,
    Outstanding,
    PlaceReply,
    VenueRejected,
    Window,
)
from controller.runtime.api.bot_streams import BotStreams
from controller.runtime.api.early_denials import EarlyDenials
from controller.runtime.api.shown_orders import fill_of, report_of
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.followers.tracing import Tracing
from controller.runtime.loop.inbox import Inbox, InboxFull, Undecided
from controller.runtime.loop.writer import CommittedBatch, Writer
from controller.runtime.venues.candles import Candles
from controller.runtime.venues.markets import Markets
from controller.telemetry.facade import OFF
from exchange.errors import GatehouseError
from exchange.model import (
    Balance,
    Fill,
    MarketTrade,
    Millis,
    OrderIntent,
    OrderReport,
    OrderStatus,
    Quote,
    Side,
    SymbolRules,
)
from exchange.orders import WORKING
from exchange.ports import CancelAck, CancelFailed, CancelOutcome, Clock, VenueName
from exchange.wire.errors import ErrorCode
from exchange.wire.market import DayTicker, KlineQuery
from exchange.wire.orders import NewOrder, StpMode, stp_mode_of
from policies.limit_types import Deny
from policies.silence import BotLiveness, HeardBy

DECIDED_WITHIN_S = 10.0
"""A bot waits this long for the controller's own decision: longer than an append across a network may take."""
AT_ONCE = 50
"""A query parses this many settled orders in one turn of the event loop, which orders and halts share."""
OUTCOME_WITHIN_S = 15.0
"""A bot waits this long for its order's outcome; the venue client ends its own wait, with an unknown outcome, well before."""

_OUTCOMES = (e.OrderAcked, e.OrderRejected, e.OrderUnknown, e.OrderReported)


class Bots:
    """Implements ``GatewayPort``."""

    def __init__(
        self,
        *,
        writer: Writer,
        inbox: Inbox,
        markets: Markets,
        candles: Candles,
        history: RecentHistory,
        clock: Clock,
        blocked: Callable[[], str] = lambda: "",
        tracing: Tracing | None = None,
    ) -> None:
        """``blocked`` says why no order can leave now, whatever is decided about it; empty when one can."""
        self._writer = writer
        self._inbox = inbox
        self._markets = markets
        self._candles = candles
        self._history = history
        self._clock = clock
        self._blocked = blocked
        self._tracing = tracing or Tracing(OFF, clock)
        self._also_denies: Callable[[VenueName, OrderIntent], Deny | None] = lambda _venue, _intent: None
        self._undecided: Counter[tuple[str, str]] = Counter()
        self._waiting: dict[str, asyncio.Event] = {}
        self._cancelling: dict[str, set[asyncio.Future[CancelOutcome | None]]] = {}
        self._early = EarlyDenials(lambda: writer.state, inbox, clock)
        writer.count_early(self._early)
        writer.add_follower(self._on_batch)
        self._streams = BotStreams(writer=writer, markets=markets, clock=clock, balances=self._balances_of)

    @property
    def streams(self) -> BotStreams:
        """What the streams pass on."""
        return self._streams

    def ask_first(self, denies: Callable[[VenueName, OrderIntent], Deny | None]) -> None:
        """Deny what ``denies`` names before it is decided."""
        self._also_denies = denies

    async def place(self, bot: str, order: NewOrder, *, key: str) -> PlaceReply:
        """Decide, journal and send one order, and wait for the venue's answer."""
        trace_id = self._tracing.requested(bot, order)
        reply = await self._place(bot, order, key, trace_id)
        self._tracing.replied(trace_id, order, reply)
        return reply

    async def _place(self, bot: str, order: NewOrder, key: str, trace_id: str) -> PlaceReply:
        venue, intent = self._writer.state.venue or VenueName.MOCK, order.intent(order.client_id or "")
        if (denial := self._denied_at_once(bot, venue, intent)) is not None:
            self._early.note(bot, intent, denial)
            return denial
        request = OrderRequested(
            bot=bot,
            intent=intent,
            quotes=self._markets.quotes(venue),
            rules=self._markets.rules_of(venue),
            venue=venue,
            key=key,
            conditions=order.conditions,
            trace_id=trace_id,
        )
        name = (bot, intent.client_id)
        self._undecided[name] += 1
        try:
            decision = await self._inbox.ask(request, self._clock.monotonic_ns(), DECIDED_WITHIN_S)
        except InboxFull:
            return Busy(1)
        except Undecided as late:
            return Busy(1) if late.withdrawn else Outstanding("", order.client_id or "", late.message)
        except GatehouseError as error:
            return Deny(error.code, "", "", error.message, error.remedy)
        finally:
            self._undecided[name] -= 1
            self._undecided += Counter()
        match decision.reply:
            case Admitted(client_id=client_id) | Repeated(client_id=client_id):
                return await self._outcome(client_id)
            case Deny() as deny:
                return deny
            case _:
                raise AssertionError("an order is admitted, repeated or denied")

    def _denied_at_once(self, bot: str, venue: VenueName, intent: OrderIntent) -> Deny | None:
        """Why the order could not be sent now, whatever is decided about it."""
        if why := self._blocked():
            return Deny(
                NOT_ARMED, "not armed", "armed", f"gatehouse is not armed: {why}", "`gatehouse status` says what is missing."
            )
        # An order with this id may be admitted already, or be in the queue: then the answer is about that one.
        queued = intent.client_id and self._undecided[bot, intent.client_id]
        if queued or self._writer.state.first_of(bot, intent.client_id) is not None:
            return None
        return self._also_denies(venue, intent)

    async def cancel(self, bot: str, symbol: str, order_id: str) -> CancelReply:
        """Cancel one of the bot's working orders."""
        order = self._own(bot, order_id)
        if order is None or order.symbol != symbol or order.status not in WORKING:
            return CancelRefused(ErrorCode.UNKNOWN_ORDER, "Unknown order sent.")
        return await self._cancel([order])

    async def cancel_all(self, bot: str, symbols: Sequence[str] | None) -> CancelReply:
        """Cancel all the bot's working orders."""
        orders = [
            order
            for order in self._writer.state.open.values()
            if order.bot == bot and order.status in WORKING and (symbols is None or order.symbol in symbols)
        ]
        return await self._cancel(sorted(orders, key=lambda order: order.number))

    def order(self, bot: str, symbol: str, *, order_id: str | None = None, bot_client_id: str | None = None) -> OrderReport | None:
        """One of the bot's orders."""
        if order_id is None and bot_client_id is not None:
            order_id = self._writer.state.first_of(bot, bot_client_id)
        order = self._own(bot, order_id) if order_id else None
        return report_of(order) if order is not None and order.symbol == symbol else None

    def stp_mode(self, bot: str, order_id: str) -> StpMode:
        """What one of the bot's orders asked for against self-trades."""
        order = self._own(bot, order_id)
        return stp_mode_of(order.conditions or "") if order is not None else StpMode.NONE

    def cancel_reason(self, bot: str, order_id: str) -> str | None:
        """Why gatehouse ended one of the bot's orders."""
        order = self._own(bot, order_id)
        return leaving.cancel_reason(self._writer.state, order) if order is not None else None

    def open_orders(self, bot: str, symbol: str | None) -> Sequence[OrderReport]:
        """The bot's working orders, newest first."""
        mine = [order for order in self._writer.state.open.values() if order.bot == bot and order.status in WORKING]
        return [
            report_of(order) for order in sorted(mine, key=lambda order: -order.number) if symbol is None or order.symbol == symbol
        ]

    async def all_orders(
        self, bot: str, symbol: str, window: Window, limit: int, statuses: frozenset[OrderStatus] | None
    ) -> Sequence[OrderReport]:
        """The bot's newest orders, as far back as the history goes."""
        state, found = self._writer.state, list[OrderReport]()
        names = tuple(self._history.orders.of(state, bot, symbol, window.start, window.end))
        for read, client_id in enumerate(names, start=1):
            if read % AT_ONCE == 0:
                await asyncio.sleep(0)
            order = state.orders[client_id]
            if statuses is None or order.status in statuses:
                found.append(report_of(order))
                if len(found) >= limit:
                    break
        return found

    def fills(self, bot: str, symbol: str, order_id: str | None, window: Window, limit: int) -> Sequence[Fill]:
        """The bot's newest fills, as far back as the history goes: those of one order, or of the account that it trades on now."""
        state, found = self._writer.state, list[Fill]()
        here = state.watched if order_id is None else None
        for kept in reversed(self._history.fills):
            if (kept.bot, kept.symbol) != (bot, symbol) or not window.start <= kept.traded_at <= window.end:
                continue
            if order_id is not None and not kept.may_be_of(order_id):
                continue
            fill = kept.event
            if order_id not in {None, fill.client_id}:
                continue
            order = state.orders.get(fill.client_id)
            if order is not None and order.bot == bot and here in {None, order.venue}:
                found.append(fill_of(fill, order))
                if len(found) >= limit:
                    break
        return found

    def balances(self, bot: str) -> Mapping[str, Balance]:  # noqa: ARG002 - all bots of a deployment share its account
        """What the bot may use at the current stage: quote to spend, and base that it bought. Working orders lock theirs."""
        return self._balances_of(self._writer.state)

    def _balances_of(self, state: State) -> Mapping[str, Balance]:
        venue = state.watched
        if venue is None or state.policy is None:
            return {}
        if state.ledger(venue).totals is None:
            return {}
        locked, quote = self._locked(state, venue), state.policy.eur_rate.asset
        free = {
            asset: max(held - locked.get(asset, ZERO), ZERO) for asset, held in holdings_of_bot(state, state.policy, venue).items()
        }
        market = (self._markets.quotes(venue), self._markets.rules_of(venue))
        free[quote] = spendable_quote(state, state.policy, venue, market, locked.get(quote, ZERO), self._clock.now())
        return {asset: Balance(asset, amount, locked.get(asset, ZERO)) for asset, amount in free.items()}

    def rules(self, symbols: Sequence[str] | None) -> Mapping[str, SymbolRules]:
        """The rules of the symbols that may be traded here."""
        listed = self._markets.rules_of(self._venue)
        return {symbol: rule for symbol, rule in listed.items() if symbols is None or symbol in symbols}

    def depth(self, symbol: str, limit: int) -> DepthView | None:
        """The book of the current stage's market."""
        return self._markets.feed_of(self._venue).depth(symbol, limit)

    def quote(self, symbol: str) -> Quote | None:
        """Best prices of the current stage's market."""
        return self._markets.feed_of(self._venue).quote(symbol)

    def trades(self, symbol: str, limit: int) -> Sequence[MarketTrade]:
        """Public trades of the current stage's market."""
        return self._markets.feed_of(self._venue).trades(symbol, limit)

    async def candles(self, query: KlineQuery) -> CandlesView:
        """Candles of the current stage's market."""
        return await self._candles.rows(market_of(self._venue), query)

    async def day(self, symbol: str) -> DayTicker:
        """The statistics of the last 24 hours of the current stage's market."""
        return await self._candles.day(market_of(self._venue), symbol)

    async def average_price(self, symbol: str) -> Decimal:
        """The mean price of five minutes of the current stage's market."""
        return await self._candles.average_price(market_of(self._venue), symbol)

    def heard_from(self, bot: str, by: HeardBy) -> None:
        """The bot was heard now."""
        self._markets.bots.heard(bot, by)

    def connected(self, bot: str) -> AbstractContextManager[None]:
        """The bot has an open stream until the context is left."""
        return self._markets.bots.connected(bot)

    def liveness(self, bot: str) -> BotLiveness | None:
        """Whether the bot counts as connected."""
        state = self._writer.state
        if state.policy is None:
            return None
        return bot_liveness.of_bot(state, state.policy, bot, self._markets.bots.heard_of(), self._clock.now())

    def now(self) -> Millis:
        """The controller's clock."""
        return self._clock.now()

    def started(self) -> Millis:
        """When this process took the journal over."""
        return self._writer.state.started_at

    def ready(self) -> bool:
        """Whether the journal is read."""
        return self._writer.state.policy is not None

    @property
    def _venue(self) -> VenueName:
        return self._writer.state.watched or VenueName.LIVE

    def _own(self, bot: str, client_id: str | None) -> OrderState | None:
        order = self._writer.state.orders.get(client_id) if client_id else None
        return order if order is not None and order.bot == bot else None

    async def _cancel(self, orders: Sequence[OrderState]) -> CancelReply:
        before = tuple(report_of(order) for order in orders)
        answers = {order.client_id: self._expect_cancel(order.client_id) for order in orders if order.status in _AT_THE_VENUE}
        try:
            for order in orders:
                await self._inbox.ask(CancelAsked(order.bot, order.client_id), self._clock.monotonic_ns(), DECIDED_WITHIN_S)
            self._answer_ended(answers)
            if answers:
                await asyncio.wait(answers.values(), timeout=OUTCOME_WITHIN_S)
        except GatehouseError as error:
            return CancelRefused(ErrorCode.SERVICE_UNAVAILABLE, error.message)
        finally:
            for client_id, answer in answers.items():
                self._forget_cancel(client_id, answer)
        if not all(answer.done() for answer in answers.values()):
            return CancelRefused(ErrorCode.SERVICE_UNAVAILABLE, "the venue has not answered the cancel yet")
        refused = next((outcome for one in answers.values() if isinstance(outcome := one.result(), CancelFailed)), None)
        if refused is not None and len(orders) == 1:
            return CancelRefused(refused.code, refused.message)
        return CancelTaken(before)

    def _expect_cancel(self, client_id: str) -> asyncio.Future[CancelOutcome | None]:
        """The venue's answer to a cancel of this order, for one caller; ``None`` when the order ended without one."""
        answer: asyncio.Future[CancelOutcome | None] = asyncio.get_running_loop().create_future()
        self._cancelling.setdefault(client_id, set()).add(answer)
        return answer

    def _forget_cancel(self, client_id: str, answer: asyncio.Future[CancelOutcome | None]) -> None:
        waiting = self._cancelling.get(client_id, set())
        waiting.discard(answer)
        if not waiting:
            self._cancelling.pop(client_id, None)

    def _answer_ended(self, client_ids: Iterable[str]) -> None:
        """An order that has ended gets no answer to a cancel any more: MEXC's answer would be -2011, or none was asked for."""
        for client_id in client_ids:
            status = self._writer.state.orders[client_id].status
            if status not in WORKING:
                ended = None if status in _CANCELLED else CancelFailed(ErrorCode.UNKNOWN_ORDER, "Unknown order sent.")
                self._answer_cancel(client_id, ended)

    def _answer_cancel(self, client_id: str, outcome: CancelOutcome | None) -> None:
        for answer in self._cancelling.get(client_id, ()):
            if not answer.done():
                answer.set_result(outcome)

    async def _outcome(self, client_id: str) -> PlaceReply:
        """Wait for the venue's answer. Requests with one client id share the wait, so none of them may end it for the others."""
        if self._writer.state.orders[client_id].status is OrderStatus.ADMITTED:
            outcome = self._waiting.setdefault(client_id, asyncio.Event())
            try:
                async with asyncio.timeout(OUTCOME_WITHIN_S):
                    await outcome.wait()
            except TimeoutError:
                return Outstanding(client_id, self._writer.state.orders[client_id].bot_client_id, "no outcome yet")
        return _reply(self._writer.state.orders[client_id])

    def _on_batch(self, batch: CommittedBatch) -> None:
        self._early.queue_due()
        for _, event in batch.entries:
            if isinstance(event, _OUTCOMES) and (waiting := self._waiting.pop(event.client_id, None)) is not None:
                waiting.set()
            if isinstance(event, e.CancelAccepted):
                self._answer_cancel(event.client_id, CancelAck())
            elif isinstance(event, e.CancelRejected):
                self._answer_cancel(event.client_id, CancelFailed(event.code, event.message))
        if self._cancelling:
            self._answer_ended(tuple(self._cancelling))

    def _locked(self, state: State, venue: VenueName) -> dict[str, Decimal]:
        locked: dict[str, Decimal] = {}
        rules = self._markets.rules_of(venue)
        for order in state.open_on(venue):
            rule = rules.get(order.symbol)
            if rule is None or order.quantity is None:
                continue
            remaining = (order.quantity if order.working else order.executed) - order.booked
            if order.side is Side.SELL:
                locked[rule.base] = locked.get(rule.base, ZERO) + remaining
            elif order.price is not None:
                locked[rule.quote] = locked.get(rule.quote, ZERO) + remaining * order.price * (1 + rule.taker_fee)
        return locked


_CANCELLED = frozenset({OrderStatus.CANCELED, OrderStatus.PARTIALLY_CANCELED})
_AT_THE_VENUE = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})


def _reply(order: OrderState) -> PlaceReply:
    if order.status is OrderStatus.UNKNOWN:
        return Outstanding(order.client_id, order.bot_client_id, order.unknown_reason)
    if order.status is OrderStatus.REJECTED and order.reject_code is not None:
        return VenueRejected(order.reject_code, order.reject_message)
    accepted = NewOrder(
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        client_id=order.bot_client_id or None,
        quantity=order.quantity if order.quantity is not None else order.venue_quantity,
        quote_quantity=order.quote_quantity,
        price=order.price if order.price is not None else order.venue_price,
        stp_mode=stp_mode_of(order.conditions or ""),
    )
    return Accepted(accepted, order.client_id, order.updated_at)
