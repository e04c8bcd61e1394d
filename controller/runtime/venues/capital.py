"""Asks a venue what money came and went, when its account shows other balances than our books. The sweeper calls it.

It is asked for a new difference at once, and about one that stays seldom: the queries count against the venue's limits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from controller.core.bookings import trade_key
from controller.core.decisions.neutral import changed
from controller.core.decisions.transfers import earliest
from controller.core.inputs import AccountSnapshot, MovesRead
from controller.core.state import Ledger
from exchange.errors import GatehouseError
from exchange.model import Quote
from exchange.ports import CapitalVenue, Clock, Venue

AT_ONCE = 4
"""About one difference it is asked at so many readings, because a history may be late."""

THEN_EVERY_NS = 60_000_000_000


class CapitalHistory:
    """What one venue's history says about a difference."""

    def __init__(self, venue: Venue, clock: Clock, quotes: Callable[[], Mapping[str, Quote]]) -> None:
        self._venue = venue
        self._clock = clock
        self._quotes = quotes
        self._about: dict[str, tuple[Decimal, Decimal]] = {}
        self._asked = 0
        self._asked_ns = 0

    async def explain(self, ledger: Ledger, snapshot: AccountSnapshot, *, still: bool = True) -> MovesRead | None:
        """The history since our books last agreed; ``None`` when nothing differs, or there is nothing to ask now.

        Unless the account stood ``still``, its balances differ by what a bot trades: then only a suspicion is asked about.
        """
        about = self._difference(ledger, snapshot) if still or ledger.suspected else {}
        if about != self._about:
            self._about, self._asked = about, 0
        now_ns = self._clock.monotonic_ns()
        due = self._asked < AT_ONCE or now_ns - self._asked_ns >= THEN_EVERY_NS
        if not about or not due or not isinstance(self._venue, CapitalVenue):
            return None
        self._asked, self._asked_ns = self._asked + 1, now_ns
        try:
            moves = await self._venue.capital_moves(earliest(ledger))
        except GatehouseError as error:
            return MovesRead(problem=error.message)
        return MovesRead(tuple(moves), quotes=dict(self._quotes()))

    def _difference(self, ledger: Ledger, snapshot: AccountSnapshot) -> dict[str, tuple[Decimal, Decimal]]:
        unbooked = any(trade_key(fill.order_id, fill.trade_id) not in ledger.trades for fill in snapshot.fills)
        if ledger.totals is None or unbooked:
            return {}
        return changed(ledger.totals, {balance.asset: balance.total for balance in snapshot.balances.values()})
