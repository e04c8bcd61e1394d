"""Emptying a venue of our orders: cancel, look, look again. A reply to a cancel proves nothing (execution-safety.md §6).

Holdings are not sold: flattening a position is not covered, and whatever demands it halts instead.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exchange.errors import GatehouseError
from exchange.ports import Clock, Venue

CONFIRM_AFTER_S = 1.0
RETRY_AFTER_S = 0.25
GIVE_UP_AFTER_S = 300.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CancelAllResult:
    """What it took. ``orders``: how many there were. ``empty_ns``: the first of two empty looks in a row; -1 if there were none."""

    orders: int
    empty_ns: int


async def cancel_all_until_empty(
    venue: Venue, symbols: Sequence[str], clock: Clock, still_open: Callable[[], int], *, known: int
) -> CancelAllResult:
    """Cancel every open order of ``symbols`` until two looks in a row show none and none of ours is in flight.

    ``known`` is how many orders we knew to be working there when it began.
    """
    deadline = clock.monotonic_ns() + int(GIVE_UP_AFTER_S * 1_000_000_000)
    seen: set[str] = set()
    empty_since = -1
    while clock.monotonic_ns() < deadline:
        try:
            if empty_since < 0:
                await venue.cancel_all(symbols)
            found = [report.order_id for symbol in symbols for report in await venue.open_orders(symbol)]
        except GatehouseError as error:
            _log.warning("the venue did not answer while its orders are being cancelled", extra={"fields": {"code": error.code}})
            await asyncio.sleep(RETRY_AFTER_S)
            continue
        except Exception:
            # Nothing an adapter gets wrong may end the cancelling.
            _log.exception("a venue adapter broke its promise")
            await asyncio.sleep(RETRY_AFTER_S)
            continue
        seen.update(found)
        if found:
            empty_since = -1
            await asyncio.sleep(RETRY_AFTER_S)
        elif empty_since < 0:
            empty_since = clock.monotonic_ns()
            await asyncio.sleep(CONFIRM_AFTER_S)
        elif still_open():
            # Something was still on its way when we looked: the next look decides.
            await asyncio.sleep(CONFIRM_AFTER_S)
        else:
            return CancelAllResult(max(known, len(seen)), empty_since)
    return CancelAllResult(max(known, len(seen)), -1)
