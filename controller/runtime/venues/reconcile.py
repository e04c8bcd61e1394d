"""Reads a venue's account for reconciliation: open orders, fills and balances of one moment. The assembly runs one per venue."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from controller.core.inputs import AccountRead, AccountSnapshot
from controller.core.state import Ledger
from controller.runtime.loop.inbox import Inbox
from controller.runtime.venues.strangers import Strangers
from exchange.errors import GatehouseError
from exchange.model import Fill, ListedOrder, Millis, SymbolRules
from exchange.ports import Clock, Venue

OVERLAP_MS = 60_000
BASELINE_BACK_MS = 3600_000
TRIES = 3

_log = logging.getLogger(__name__)


async def read_account(venue: Venue, symbols: Sequence[str], since: Millis) -> AccountSnapshot | None:
    """A consistent snapshot: the balances before and after the lists are the same, so nothing traded in between.

    ``None`` when the balances changed in each of ``TRIES`` tries. Raises ``VenueError`` when the venue does not answer.
    """
    for _ in range(TRIES):
        before = await venue.balances()
        orders: list[ListedOrder] = []
        fills: list[Fill] = []
        for symbol in symbols:
            orders.extend(await venue.open_orders(symbol))
            fills.extend(await venue.fills(symbol, since))
        if await venue.balances() == before:
            return AccountSnapshot(tuple(orders), tuple(fills), before)
    return None


class Sweeper:
    """Reads one venue's account every few seconds, and at once after a gap in its private stream."""

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
    ) -> None:
        self._venue = venue
        self._rules = rules
        self._symbols = symbols
        self._strangers = strangers
        self._ledger = ledger
        self._inbox = inbox
        self._clock = clock
        self._every_s = every_s
        self._soon = asyncio.Event()

    def sweep_soon(self) -> None:
        """Sweep at once: a report may have been missed."""
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
                await asyncio.wait_for(self._soon.wait(), self._every_s)
            except TimeoutError:
                continue

    async def sweep(self) -> None:
        """Read the account once. The snapshot goes to the writer, which decides."""
        started, ledger, turn = self._clock.now(), self._ledger(), self._strangers.turn(self._venue.name)
        since_ms = ledger.cursor - OVERLAP_MS if ledger.cursor else started - BASELINE_BACK_MS
        snapshot = await read_account(self._venue, self._symbols, Millis(max(0, since_ms)))
        if snapshot is None:
            return
        self._strangers.sort(self._venue.name, snapshot.open_orders, turn)
        fees = {symbol: max(rule.maker_fee, rule.taker_fee) for symbol, rule in self._rules().items()}
        input_ = AccountRead(self._venue.name, snapshot, fills_before=ledger.fills_booked, started_at=started, fees=fees)
        self._inbox.fact(input_, self._clock.monotonic_ns())
