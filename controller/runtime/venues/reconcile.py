"""Reads a venue's account for reconciliation: open orders, fills and balances of one moment. The assembly runs one per venue."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from controller.core.inputs import AccountRead, AccountSnapshot, MovesRead
from controller.core.state import Ledger
from controller.runtime.loop.inbox import Inbox
from controller.runtime.venues.capital import CapitalHistory
from controller.runtime.venues.strangers import Strangers
from exchange.errors import GatehouseError
from exchange.model import Fill, ListedOrder, Millis, SymbolRules
from exchange.ports import Clock, Venue

OVERLAP_MS = 60_000
BASELINE_BACK_MS = 3600_000
LATER_BACK_MS = 10_000
"""The trades after the balances are read from this long before the reading began; its first list has the older ones."""
TRIES = 3
QUIET_NS = 1_100_000_000
"""So long after a reading the venue's limit on account queries (two a second, mexc-spot-v3.md §1.4) is free for another one."""

_log = logging.getLogger(__name__)


class _Began(NamedTuple):
    """The moment before the first query of a reading."""

    at: Millis
    ledger: Ledger
    turn: int


class Sweeper:
    """Reads one venue's account every few seconds, and at once after a gap in its private stream. ``last`` is the last reading."""

    def __init__(
        self,
        venue: Venue,
        *,
        symbols: Sequence[str],
        ledger: Callable[[], Ledger],
        inbox: Inbox,
        clock: Clock,
        every_s: float,
        rules: Callable[[], Mapping[str, SymbolRules]],
        strangers: Strangers,
        lost: Callable[[], bool] = lambda: False,
        history: CapitalHistory | None = None,
    ) -> None:
        """``lost``: whether the outcome of an order there is not known. Only a reading of an account that stood still tells.

        ``history`` is asked what came and went when the balances are other ones than ours; without one nobody is.
        """
        self._lost = lost
        self._venue = venue
        self._history = history
        self._rules = rules
        self._symbols = symbols
        self._strangers = strangers
        self._ledger = ledger
        self._inbox = inbox
        self._clock = clock
        self._every_s = every_s
        self._soon = asyncio.Event()
        self._ended_ns: int | None = 0
        self.last: AccountRead | None = None

    def sweep_soon(self) -> None:
        """Sweep at once: a report may have been missed."""
        self._soon.set()

    def look_now(self) -> None:
        """Sweep at once if the venue's limits let a whole reading through at once; later there is nothing to see any more."""
        if self._ended_ns is not None and self._clock.monotonic_ns() - self._ended_ns >= QUIET_NS:
            self._soon.set()

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            self._soon.clear()
            try:
                await self.sweep()
            except GatehouseError as error:
                _log.warning(
                    "a sweep failed", extra={"fields": {"venue": self._venue.name, "code": error.code, "why": error.message}}
                )
            try:
                async with asyncio.timeout(self._every_s):
                    await self._soon.wait()
            except TimeoutError:
                continue

    async def sweep(self) -> None:
        """Read the account once. The reading goes to the writer, which decides.

        If the balances before and after the lists are the same, all of it belongs to one moment. If a bot traded meanwhile, the
        trades are listed once more: the balances are of a moment between the two lists (``decisions.cuts``). A baseline and the
        proof that an order was never placed need an account that stood still, so for those it is read up to ``TRIES`` times. Each
        try is a reading of its own: what changed during an earlier one does not put it in doubt.

        Raises ``VenueError`` when the venue does not answer.
        """
        began = self._begin()
        try:
            before = await self._venue.balances()
            for left in reversed(range(TRIES)):
                orders, fills = await self._open_orders(), await self._fills(self._since(began))
                again = self._begin()
                after = await self._venue.balances()
                answered, still = self._clock.now(), after == before
                enough = began.ledger.totals is not None and not (left and self._lost())
                if still or enough:
                    later = [] if still else await self._fills(Millis(max(0, began.at - LATER_BACK_MS)))
                    snapshot = AccountSnapshot(tuple(orders), tuple(fills), after)
                    moved = (
                        await self._history.explain(self._ledger(), snapshot, still=still) if self._history is not None else None
                    )
                    self._deliver(began, snapshot, still=still, later=later, answered=answered, moved=moved)
                    return
                began, before = again, after
        finally:
            self._ended_ns = self._clock.monotonic_ns()

    def _begin(self) -> _Began:
        self._ended_ns = None
        return _Began(self._clock.now(), self._ledger(), self._strangers.turn(self._venue.name))

    @staticmethod
    def _since(began: _Began) -> Millis:
        cursor = began.ledger.cursor
        return Millis(max(0, cursor - OVERLAP_MS if cursor else began.at - BASELINE_BACK_MS))

    async def _open_orders(self) -> list[ListedOrder]:
        return [report for symbol in self._symbols for report in await self._venue.open_orders(symbol)]

    async def _fills(self, since: Millis) -> list[Fill]:
        return [fill for symbol in self._symbols for fill in await self._venue.fills(symbol, since)]

    def _deliver(
        self,
        began: _Began,
        snapshot: AccountSnapshot,
        *,
        still: bool,
        later: Sequence[Fill],
        answered: Millis,
        moved: MovesRead | None,
    ) -> None:
        name = self._venue.name
        self._strangers.sort(name, snapshot.open_orders, began.turn)
        fees = {symbol: max(rule.maker_fee, rule.taker_fee) for symbol, rule in self._rules().items()}
        reading = AccountRead(
            name,
            snapshot,
            fills_before=began.ledger.fills_booked,
            started_at=began.at,
            fees=fees,
            still=still,
            later=tuple(later),
            answered_at=answered,
            moved=moved,
        )
        self.last = reading
        self._inbox.fact(reading, self._clock.monotonic_ns())
