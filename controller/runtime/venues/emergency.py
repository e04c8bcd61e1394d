"""Cancels every open order from a thread of its own, when the event loop or the writer no longer can.

``controller.runtime.assembly`` calls it on the liveness thread, right before the process ends. It shares no object with the event
loop: it runs a loop of its own, with venue clients of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from controller.runtime.venues.cancel_all import CancelAllResult, cancel_all_until_empty
from exchange.ports import Clock, Venue, VenueName

GIVE_UP_AFTER_S = 60.0
"""How long this process tries. It must end in any case, because the next start goes on until the venue is empty."""

IN_FLIGHT_NS = 10_000_000_000
"""How long a request that left before the latch may still reach the venue."""

_log = logging.getLogger(__name__)

OpenVenues = Callable[[], AbstractAsyncContextManager[Mapping[VenueName, Venue]]]


def cancel_everything(
    open_venues: OpenVenues,
    names: Sequence[VenueName],
    symbols: Sequence[str],
    clock: Clock,
    *,
    in_flight: bool,
    notify: Callable[[], Awaitable[None]],
) -> dict[VenueName, CancelAllResult]:
    """Cancel at each venue until it shows no open order, or until ``GIVE_UP_AFTER_S``. A venue that is not proven is missing.

    ``in_flight``: some orders had no outcome yet, so an empty list proves nothing before ``IN_FLIGHT_NS``. ``notify`` sends the
    alert, at the same time.
    """
    return asyncio.run(_cancel_everything(open_venues, names, symbols, clock, in_flight=in_flight, notify=notify))


async def _cancel_everything(
    open_venues: OpenVenues,
    names: Sequence[VenueName],
    symbols: Sequence[str],
    clock: Clock,
    *,
    in_flight: bool,
    notify: Callable[[], Awaitable[None]],
) -> dict[VenueName, CancelAllResult]:
    begun_ns = clock.monotonic_ns()

    def may_still_arrive() -> int:
        return int(in_flight and clock.monotonic_ns() - begun_ns < IN_FLIGHT_NS)

    proven: dict[VenueName, CancelAllResult] = {}

    async def empty(name: VenueName, venue: Venue) -> None:
        proven[name] = await cancel_all_until_empty(venue, symbols, clock, may_still_arrive, expected=0)

    alerting = asyncio.ensure_future(notify())
    try:
        async with asyncio.timeout(GIVE_UP_AFTER_S), open_venues() as venues:
            await asyncio.gather(*(empty(name, venues[name]) for name in names if name in venues))
    except Exception:
        _log.exception("not every open order is proven to be cancelled; the next start goes on")
    await asyncio.wait({alerting}, timeout=GIVE_UP_AFTER_S)
    return proven
