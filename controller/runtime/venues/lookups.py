"""Looks up orders whose outcome is not known: at each venue one batch at a time, a few queries a second. The performer asks it.

The core asks again on every tick, so nothing here has to survive. Each order has a wait that doubles with every look-up that did
not find it. One list of open orders and one list of fills of a symbol answer for all of its orders; only what they do not answer is
asked for one by one. However many orders are UNKNOWN, the venue gets ``QUERIES_PER_S`` queries a second at most, so that sweeps and
the cancels of a halt keep their share of the venue's limits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.core.effects import LookUp
from controller.core.inputs import LookupAnswered, VenueReported
from controller.runtime.loop.inbox import Inbox
from exchange.errors import VenueError
from exchange.model import Fill, Millis, OrderReport
from exchange.ports import Clock, Venue, VenueName

FIRST_WAIT_NS = 400_000_000
LONGEST_WAIT_NS = 5_000_000_000
QUERIES_PER_S = 3
BURST = 4
"""How many queries may follow each other at once after a quiet time."""

ONE_BY_ONE_MOST = 10
"""How many orders a batch asks for one by one before the lists are read again."""

FILLS_BACK_MS = 24 * 3600 * 1000
OVERLAP_MS = 60_000
FILLS_COST = 2
"""Reading fills takes two queries: the venue's time, and the trades."""

_SECOND_NS = 1_000_000_000

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Wait:
    """When an order may be looked up again, and how long the wait after that is. ``silent``: the venue did not answer."""

    due_ns: int
    next_ns: int
    silent: bool


@dataclass(slots=True)
class _Queue:
    """The look-ups of one venue. ``unanswered`` are the orders of the batch that runs.

    ``paid_ns``: until when the queries made so far use up what a second allows.
    """

    wanted: dict[str, LookUp] = field(default_factory=dict)
    unanswered: set[str] = field(default_factory=set)
    waits: dict[str, _Wait] = field(default_factory=dict)
    running: bool = False
    paid_ns: int = 0

    def due_ns(self, client_id: str) -> int:
        """When an order may be looked up; 0 for one that has no wait."""
        wait = self.waits.get(client_id)
        return wait.due_ns if wait is not None else 0

    def take(self, now: int) -> list[LookUp]:
        """Take what is wanted, the longest due first. Waits of orders that nobody asks for any more are forgotten."""
        due = sorted(self.wanted.values(), key=lambda effect: self.due_ns(effect.client_id))
        self.wanted.clear()
        self.unanswered = {effect.client_id for effect in due}
        self.waits = {client_id: wait for client_id, wait in self.waits.items() if wait.due_ns > now - 2 * LONGEST_WAIT_NS}
        return due


class LookUps:
    """The look-ups of every venue. ``start`` runs a coroutine as a task of the performer."""

    def __init__(
        self,
        venues: Mapping[VenueName, Venue],
        inbox: Inbox,
        clock: Clock,
        start: Callable[[Coroutine[Any, Any, None]], None],
        owner: Callable[[VenueName, str], str | None] = lambda _venue, _order_id: None,
    ) -> None:
        """``owner`` tells our id of the order that a venue's id names, ``None`` for an id that is not known."""
        self._venues = venues
        self._owner = owner
        self._inbox = inbox
        self._clock = clock
        self._start = start
        self._queues = {name: _Queue() for name in venues}

    def ask(self, effect: LookUp) -> None:
        """Look one order up, unless its wait is not over or it is being looked up."""
        queue = self._queues[effect.venue]
        if effect.client_id in queue.unanswered or queue.due_ns(effect.client_id) > self._now():
            return
        queue.wanted[effect.client_id] = effect
        self._go_on(effect.venue)

    def stream_came_back(self, venue: VenueName) -> None:
        """Look everything up at once: what happened while the private stream was away may be known now."""
        self._queues[venue].waits.clear()

    def venue_answered(self, venue: VenueName) -> None:
        """Look up at once what the venue did not answer: it answers again."""
        waits = self._queues[venue].waits
        for client_id in [client_id for client_id, wait in waits.items() if wait.silent]:
            del waits[client_id]

    def _go_on(self, name: VenueName) -> None:
        queue = self._queues[name]
        if queue.wanted and not queue.running:
            queue.running = True
            self._start(self._run(name))

    async def _run(self, name: VenueName) -> None:
        # This begins after the writer's turn, so the batch holds everything that was asked for in it.
        queue = self._queues[name]
        try:
            await self._batch(name, queue.take(self._now()))
        except VenueError as error:
            fields = {"venue": name, "orders": len(queue.unanswered), "code": error.code}
            _log.warning("look-ups were not answered", extra={"fields": fields})
        finally:
            self._back_off(queue, queue.unanswered, silent=True)
            queue.unanswered, queue.running = set(), False
        self._go_on(name)

    async def _batch(self, name: VenueName, due: Sequence[LookUp]) -> None:
        venue, queue, asked_at = self._venues[name], self._queues[name], self._clock.now()
        unlisted: list[tuple[LookUp, bool]] = []
        for symbol in dict.fromkeys(effect.symbol for effect in due):
            orders = [effect for effect in due if effect.symbol == symbol]
            await self._pay(queue)
            reports = [report for report in await venue.open_orders(symbol) if isinstance(report, OrderReport)]
            listed = {self._named(name, report): report for report in reports}
            for effect in orders:
                if (report := listed.get(effect.client_id)) is not None:
                    self._answered(effect, report, asked_at)
            missing = [effect for effect in orders if effect.client_id not in listed]
            if missing:
                traded = self._book(name, await self._fills(venue, queue, symbol, missing), missing)
                # What is shown without our id and with an order id that is not known may be any of them: none is absent then.
                hidden = "" in listed or "" in traded
                unlisted.extend((effect, hidden or effect.client_id in traded) for effect in missing)
        for effect, has_traded in unlisted[:ONE_BY_ONE_MOST]:
            await self._pay(queue)
            found = await venue.order(effect.symbol, effect.client_id)
            self._answered(effect, found, asked_at, absent=found is None and not has_traded)
        # The others get no new wait, so they are first when the next tick asks for them.
        queue.unanswered = set()

    async def _fills(self, venue: Venue, queue: _Queue, symbol: str, orders: Sequence[LookUp]) -> Sequence[Fill]:
        since = min(effect.since or self._clock.now() - FILLS_BACK_MS for effect in orders)
        await self._pay(queue, FILLS_COST)
        return await venue.fills(symbol, Millis(max(0, since - OVERLAP_MS)))

    def _book(self, name: VenueName, fills: Sequence[Fill], orders: Sequence[LookUp]) -> set[str]:
        wanted = {effect.client_id for effect in orders}
        named = [(self._named(name, fill), fill) for fill in fills]
        for client_id, fill in named:
            if client_id in wanted:
                self._inbox.fact(VenueReported(name, fill, listed=True), self._now())
        return {client_id for client_id, _ in named}

    def _named(self, venue: VenueName, shown: OrderReport | Fill) -> str:
        """Our id of the order that the venue shows, by its own id first; empty when neither is known."""
        return self._owner(venue, shown.order_id) or shown.client_id

    def _answered(self, effect: LookUp, report: OrderReport | None, asked_at: Millis, *, absent: bool = False) -> None:
        queue = self._queues[effect.venue]
        queue.unanswered.discard(effect.client_id)
        if report is None:
            self._back_off(queue, {effect.client_id}, silent=False)
        else:
            queue.waits.pop(effect.client_id, None)
        self._inbox.fact(LookupAnswered(effect.client_id, report, absent_everywhere=absent, asked_at=asked_at), self._now())

    def _back_off(self, queue: _Queue, client_ids: set[str], *, silent: bool) -> None:
        now = self._now()
        for client_id in client_ids:
            last = queue.waits.get(client_id)
            wait = last.next_ns if last is not None else FIRST_WAIT_NS
            queue.waits[client_id] = _Wait(now + wait, min(2 * wait, LONGEST_WAIT_NS), silent)

    async def _pay(self, queue: _Queue, queries: int = 1) -> None:
        """Wait until so many queries fit into the venue's share. Only the one batch of the queue calls it."""
        now = self._now()
        cost = _SECOND_NS // QUERIES_PER_S
        queue.paid_ns = max(queue.paid_ns, now) + queries * cost
        early_ns = queue.paid_ns - BURST * cost - now
        if early_ns > 0:
            await asyncio.sleep(early_ns / _SECOND_NS)

    def _now(self) -> int:
        return self._clock.monotonic_ns()
