"""Cancels every open order from a thread of its own, when the event loop or the writer no longer can.

``controller.runtime.assembly`` runs it on the liveness thread, in an event loop of its own, right before the process ends. It
shares no object with the other event loop: its venue clients are its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from controller.runtime.venues.cancel_all import cancel_all_until_empty
from exchange.ports import Clock, Venue, VenueName

GIVE_UP_AFTER_S = 60.0
"""How long this process tries. It must end in any case, because the next start goes on until the venue is empty."""

IN_FLIGHT_NS = 10_000_000_000
"""How long a request that left before the latch may still reach the venue."""

_log = logging.getLogger(__name__)

OpenVenues = Callable[[], AbstractAsyncContextManager[Mapping[VenueName, Venue]]]


async def cancel_everything(
    open_venues: OpenVenues,
    names: Sequence[VenueName],
    symbols: Sequence[str],
    clock: Clock,
    *,
    in_flight: bool,
    notify: Callable[[], Awaitable[None]],
) -> None:
    """Cancel at each venue until it shows no open order, or until ``GIVE_UP_AFTER_S``. The log says which venue is proven empty.

    ``in_flight``: some orders had no outcome yet, so an empty list proves nothing before ``IN_FLIGHT_NS``. ``notify`` sends the
    alert, at the same time.
    """
    begun_ns = clock.monotonic_ns()

    def may_still_arrive() -> int:
        return int(in_flight and clock.monotonic_ns() - begun_ns < IN_FLIGHT_NS)

    async def empty(name: VenueName, venue: Venue) -> None:
        result = await cancel_all_until_empty(venue, symbols, clock, may_still_arrive, expected=0)
        _log.warning("%s is proven empty, %d open orders were found there", name, result.orders)

    alerting = asyncio.ensure_future(notify())
    try:
        async with asyncio.timeout(GIVE_UP_AFTER_S), open_venues() as venues:
            await asyncio.gather(*(empty(name, venues[name]) for name in names if name in venues))
    except Exception:
        _log.exception("not every open order is proven to be cancelled; the next start goes on")
    await asyncio.wait({alerting}, timeout=GIVE_UP_AFTER_S)
