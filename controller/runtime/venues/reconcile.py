"""Reads a venue's account for reconciliation: open orders, fills and balances of one moment. The assembly runs one per venue."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from controller.core.inputs import AccountRead, AccountSnapshot
from controller.core.state import Ledger
from controller.runtime.loop.inbox import Inbox
from exchange.errors import GatehouseError
from exchange.model import Fill, ListedOrder, Millis, SymbolRules
from exchange.ports import Clock, ClockedVenue, ClockReading, Venue

OVERLAP_MS = 60_000
BASELINE_BACK_MS = 3600_000
TRIES = 3
CLOCK_GOOD_FOR_MS = 10_000
"""How old the venue client's own clock measurement may be before the venue is asked again."""
CLOCK_SURE_MS = 100
"""Above this uncertainty the venue is asked again in every sweep, until an answer comes quickly enough."""
_MILLISECOND = 1_000_000
_ROUNDED_MS = 2
"""What is lost by whole milliseconds on both clocks."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Offset:
    """Our clock minus the venue's clock, when that was measured, and how far from the truth it can be."""

    ms: int
    at: Millis
    uncertainty_ms: int


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
    ) -> None:
        self._venue = venue
        self._rules = rules
        self._symbols = symbols
        self._ledger = ledger
        self._inbox = inbox
        self._clock = clock
        self._every_s = every_s
        self._soon = asyncio.Event()
        self._offset: Offset | None = None

    @property
    def offset(self) -> Offset | None:
        """The last measured clock offset."""
        return self._offset

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
        started, ledger = self._clock.now(), self._ledger()
        await self._measure_clock()
        since_ms = ledger.cursor - OVERLAP_MS if ledger.cursor else started - BASELINE_BACK_MS
        snapshot = await read_account(self._venue, self._symbols, Millis(max(0, since_ms)))
        if snapshot is None:
            return
        fees = {symbol: max(rule.maker_fee, rule.taker_fee) for symbol, rule in self._rules().items()}
        input_ = AccountRead(self._venue.name, snapshot, fills_before=ledger.fills_booked, started_at=started, fees=fees)
        self._inbox.fact(input_, self._clock.monotonic_ns())

    async def _measure_clock(self) -> None:
        reading = self._reading()
        if reading is None or reading.age_ms > CLOCK_GOOD_FOR_MS or reading.uncertainty_ms > CLOCK_SURE_MS:
            sent, sent_ns = self._clock.now(), self._clock.monotonic_ns()
            venue_time = await self._venue.server_time()
            received, answered_ns = self._clock.now(), self._clock.monotonic_ns()
            self._offset = _offset_of(sent, received, answered_ns - sent_ns, venue_time)
            reading = self._reading()
        if reading is not None:
            # The venue client's own estimate rests on several replies and on the monotonic clock: one slow reply cannot move it.
            self._offset = Offset(reading.offset_ms, Millis(self._clock.now() - reading.age_ms), reading.uncertainty_ms)

    def _reading(self) -> ClockReading | None:
        return self._venue.clock_reading if isinstance(self._venue, ClockedVenue) else None


def _offset_of(sent: Millis, received: Millis, round_trip_ns: int, venue_time: Millis) -> Offset | None:
    """What one question for the time measured; nothing if our clock was set back while it was under way."""
    if round_trip_ns < 0 or received < sent:
        return None
    # Where the two clocks tell different durations, one of them was set in between, and the offset may be wrong by that.
    set_by_ms = abs(received - sent - round_trip_ns // _MILLISECOND)
    uncertainty = round_trip_ns // 2 // _MILLISECOND + _ROUNDED_MS + max(0, set_by_ms - _ROUNDED_MS)
    return Offset((sent + received) // 2 - venue_time, received, uncertainty)
