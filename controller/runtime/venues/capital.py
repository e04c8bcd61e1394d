"""Asks a venue what money came and went, when its account shows other balances than our books. The sweeper calls it.

It is asked about a new difference at once, often while the history may be late, and about one that stays seldom: the queries count
against the venue's limits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal

from controller.core.bookings import trade_key
from controller.core.decisions.neutral import changed
from controller.core.decisions.transfers import earliest
from controller.core.inputs import AccountSnapshot, MovesRead
from controller.core.state import Ledger
from exchange.errors import GatehouseError
from exchange.model import Quote
from exchange.ports import CapitalVenue, Clock, Venue

LATE_NS, LATE_EVERY_NS = 120_000_000_000, 3_000_000_000
"""So long after the first question about a difference the history may be late, and is asked this often."""

THEN_EVERY_NS = 60_000_000_000

FINAL = frozenset({"venue-refused-query", "moves-not-enumerable"})
"""The codes of errors that the same question meets again."""


class CapitalHistory:
    """What one venue's history says about a difference."""

    def __init__(self, venue: Venue, clock: Clock, quotes: Callable[[], Mapping[str, Quote]]) -> None:
        self._venue = venue
        self._clock = clock
        self._quotes = quotes
        self._about: dict[str, tuple[Decimal, Decimal]] = {}
        self._first_ns: int | None = None
        self._asked_ns = 0
        self._answer = MovesRead()

    async def explain(self, ledger: Ledger, snapshot: AccountSnapshot, *, still: bool = True) -> MovesRead | None:
        """The history since our books last agreed, as it was last read for this difference; ``None`` when there is nothing to ask.

        Unless the account stood ``still``, its balances differ by what a bot trades: then only a suspicion is asked about.
        """
        about = self._difference(ledger, snapshot) if still or ledger.suspected else {}
        if about != self._about:
            self._about, self._first_ns = about, None
        if not about or not isinstance(self._venue, CapitalVenue):
            return None
        if self._due(self._clock.monotonic_ns()):
            try:
                self._answer = MovesRead(tuple(await self._venue.capital_moves(earliest(ledger))))
            except GatehouseError as error:
                self._answer = MovesRead(problem=error.message, refused=error.code in FINAL)
        return self._answer if self._answer.problem else replace(self._answer, quotes=dict(self._quotes()))

    def _due(self, now_ns: int) -> bool:
        if self._first_ns is None:
            self._first_ns = self._asked_ns = now_ns
            return True
        every = LATE_EVERY_NS if now_ns - self._first_ns < LATE_NS else THEN_EVERY_NS
        if now_ns - self._asked_ns < every:
            return False
        self._asked_ns = now_ns
        return True

    def _difference(self, ledger: Ledger, snapshot: AccountSnapshot) -> dict[str, tuple[Decimal, Decimal]]:
        unbooked = any(trade_key(fill.order_id, fill.trade_id) not in ledger.trades for fill in snapshot.fills)
        if ledger.totals is None or unbooked:
            return {}
        return changed(ledger.totals, {balance.asset: balance.total for balance in snapshot.balances.values()})
