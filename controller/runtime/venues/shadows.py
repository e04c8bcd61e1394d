"""Simulates every real order beside the real one, and reports each pair to the writer when both have ended (ADR 64).

``controller.bootstrap.real_venue`` makes one. It follows the writer's batches, so it begins when a real order is durable, and it
touches neither the order nor the venue. What fails here is a measurement that is missing; when that lasts, people are told.

A copy leaves when the real order leaves, and arrives after the testnet's latency. A cancel of the real order is copied too. A real
order that is filled waits a minute for its copy; one that ended otherwise ends its copy.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from heapq import heappop, heappush
from itertools import count

from controller.core import events as e
from controller.core.effects import Alert, AlertKind
from controller.core.inputs import ShadowEnded
from controller.core.order_state import OrderState
from controller.runtime.loop.inbox import Inbox
from controller.runtime.loop.writer import CommittedBatch
from exchange.matching.resting import FillModel
from exchange.matching.shadow import ShadowMarket
from exchange.model import Millis, OrderIntent, OrderStatus, SymbolRules
from exchange.orders import WORKING
from exchange.ports import NOT_SENT, Clock, FeedEvent, FollowedFeed, VenueName
from policies.numbers import WIDE
from policies.stage import LIVE_STAGES

PATIENCE_NS = 60_000_000_000
"""How long a copy may rest on after its real order was filled. After that it counts as not filled."""

MISSED_MOST = 10
"""So many real orders in a row without a comparison call a person."""

_log = logging.getLogger(__name__)
_MS = 1_000_000
_LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Latency:
    """The testnet's latency: the delays of the next order, of the reply to it, and of a cancel, in ms."""

    order: Callable[[], int]
    reply: Callable[[], int]
    cancel: Callable[[], int]


@dataclass(frozen=True, slots=True)
class _Pair:
    """A real order and its copy. Instants are monotonic ns, durations ms from the decision."""

    intent: OrderIntent
    mid: Decimal
    decided_at: Millis
    left_ns: int
    before_ms: int
    entry_ms: int
    reply_ms: int
    arrived: bool = False
    fill_ms: int | None = None
    real_ack_ms: int | None = None
    real_fill_ms: int | None = None
    ended_ns: int | None = None
    real_filled: bool = False


class Shadows:
    """The pairs of the real orders that are under way."""

    def __init__(
        self,
        feed: FollowedFeed,
        rules: dict[str, SymbolRules],
        *,
        model: FillModel,
        latency: Latency,
        inbox: Inbox,
        clock: Clock,
        notify: Callable[[Alert], object],
    ) -> None:
        self._market = ShadowMarket(feed, rules, clock, model, on_fill=self._filled, on_lost=self._lost)
        feed.follow(self._on_feed)
        self._latency = latency
        self._inbox = inbox
        self._clock = clock
        self._notify = notify
        self._pairs: dict[str, _Pair] = {}
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._number = count()
        self._wake = asyncio.Event()
        self._missed = 0

    def on_batch(self, batch: CommittedBatch) -> None:
        """Begin a pair for every real order, and note what becomes of the real ones. It does nothing that waits."""
        for entry, event in batch.entries:
            if isinstance(event, e.OrderAdmitted):
                if event.venue is VenueName.LIVE and event.stage in LIVE_STAGES:
                    self._begin(event, entry.at, batch)
            elif self._pairs and isinstance(event, e.OrderAcked | e.OrderReported | e.FillBooked | e.CancelRequested):
                self._noted(event, entry.at)
        for client_id, pair in tuple(self._pairs.items()):
            if pair.ended_ns is None and client_id not in batch.after.open:
                self._ended(pair, batch.after.orders[client_id])

    async def run(self) -> None:
        """Let copies arrive and be cancelled when it is time, until cancelled."""
        while True:
            now = self._clock.monotonic_ns()
            while self._due and self._due[0][0] <= now:
                heappop(self._due)[2]()
            for pair in tuple(self._pairs.values()):
                self._report_if_over(pair)
            wait = (self._due[0][0] - now) / 1e9 if self._due else _LOOK_EVERY_S
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(max(wait, 0), _LOOK_EVERY_S) if self._due or self._pairs else None):
                    await self._wake.wait()

    def _on_feed(self, event: FeedEvent) -> None:
        # The feed serves the real orders too, so nothing that fails here may reach it.
        try:
            self._market.on_event(event)
        except Exception:
            _log.exception("the simulation of the real orders in %s failed", event.symbol)
            self._market.lose(event.symbol, "the simulation itself failed; the controller's log has the error")

    def _begin(self, event: e.OrderAdmitted, at: Millis, batch: CommittedBatch) -> None:
        intent = OrderIntent(
            event.symbol, event.side, event.type, event.client_id, event.quantity, event.quote_quantity, event.price
        )
        pair = _Pair(
            intent,
            mid=(event.bid + event.ask) / 2,
            decided_at=at,
            left_ns=batch.durable_ns,
            before_ms=(batch.durable_ns - batch.began_ns) // _MS,
            entry_ms=self._latency.order(),
            reply_ms=self._latency.reply(),
        )
        self._pairs[intent.client_id] = pair
        self._later(pair.left_ns + pair.entry_ms * _MS, lambda: self._arrive(intent.client_id))

    def _noted(self, event: e.OrderAcked | e.OrderReported | e.FillBooked | e.CancelRequested, at: Millis) -> None:
        pair = self._pairs.get(event.client_id)
        if pair is None:
            return
        after = max(0, at - pair.decided_at)
        if isinstance(event, e.CancelRequested):
            due = self._clock.monotonic_ns() + self._latency.cancel() * _MS
            self._later(due, lambda: self._market.cancel(pair.intent.symbol, pair.intent.client_id))
        elif isinstance(event, e.FillBooked):
            if pair.real_fill_ms is None:
                self._put(replace(pair, real_fill_ms=after))
        elif pair.real_ack_ms is None:
            self._put(replace(pair, real_ack_ms=after))

    def _ended(self, pair: _Pair, order: OrderState) -> None:
        if order.reject_code == NOT_SENT:
            self._drop(pair)
            return
        self._put(replace(pair, ended_ns=self._clock.monotonic_ns(), real_filled=order.status is OrderStatus.FILLED))
        self._wake.set()

    def _arrive(self, client_id: str) -> None:
        pair = self._pairs.get(client_id)
        if pair is None:
            return
        try:
            why = self._market.place(pair.intent)
        except Exception as error:
            _log.exception("a real order could not be simulated")
            why = f"the simulation itself failed: {type(error).__name__}"
        if why:
            self._miss(pair, why)
        else:
            self._put(replace(self._pairs[client_id], arrived=True))

    def _filled(self, client_id: str) -> None:
        pair = self._pairs.get(client_id)
        if pair is not None and pair.fill_ms is None:
            since_ms = (self._clock.monotonic_ns() - pair.left_ns) // _MS
            self._put(replace(pair, fill_ms=pair.before_ms + since_ms + pair.reply_ms))
        self._wake.set()

    def _lost(self, client_id: str, why: str) -> None:
        if (pair := self._pairs.get(client_id)) is not None:
            self._miss(pair, why)

    def _report_if_over(self, pair: _Pair) -> None:
        intent = pair.intent
        if pair.ended_ns is None or not pair.arrived:
            return
        view = self._market.order(intent.symbol, intent.client_id)
        if view is not None and view.report.status in WORKING:
            if pair.real_filled and self._clock.monotonic_ns() - pair.ended_ns < PATIENCE_NS:
                return
            self._market.cancel(intent.symbol, intent.client_id)
            view = self._market.order(intent.symbol, intent.client_id)
        self._drop(pair)
        self._missed = 0
        executed = view.report.executed if view is not None else Decimal(0)
        found = ShadowEnded(
            intent.client_id,
            mid=pair.mid,
            filled=view is not None and view.report.status is OrderStatus.FILLED,
            price=WIDE.divide(view.report.executed_quote, executed) if view is not None and executed else None,
            ack_ms=pair.before_ms + pair.entry_ms + pair.reply_ms,
            fill_ms=pair.fill_ms,
            real_ack_ms=pair.real_ack_ms,
            real_fill_ms=pair.real_fill_ms,
        )
        self._inbox.fact(found, self._clock.monotonic_ns())

    def _miss(self, pair: _Pair, why: str) -> None:
        self._drop(pair)
        self._missed += 1
        if self._missed == MISSED_MOST:
            title = f"{MISSED_MOST} real orders in a row could not be compared with their simulation"
            self._notify(Alert(AlertKind.BACKGROUND, title, f"{why}; the real orders are not affected"))

    def _put(self, pair: _Pair) -> None:
        self._pairs[pair.intent.client_id] = pair

    def _drop(self, pair: _Pair) -> None:
        self._pairs.pop(pair.intent.client_id, None)

    def _later(self, due_ns: int, act: Callable[[], None]) -> None:
        heappush(self._due, (due_ns, next(self._number), act))
        self._wake.set()
