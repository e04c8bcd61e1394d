"""Cancels every order of ours at a venue until the venue itself shows none, for the performer (execution-safety.md §6).

A reply to a cancel proves nothing, so the open orders are read twice after it. Holdings are not sold: flattening a position is not
covered, and what would need it halts the deployment instead.
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
    """``orders``: how many there were. ``empty_ns``: when the first of two empty lists in a row was read; -1 if there was none."""

    orders: int
    empty_ns: int


async def cancel_all_until_empty(
    venue: Venue, symbols: Sequence[str], clock: Clock, still_open: Callable[[], int], *, expected: int
) -> CancelAllResult:
    """Cancel every open order of ``symbols`` until two lists in a row show none and none of our orders is in flight.

    ``still_open`` counts our orders without an outcome. ``expected`` is how many orders were working there at the beginning.
    """
    deadline = clock.monotonic_ns() + int(GIVE_UP_AFTER_S * 1_000_000_000)
    order_ids: set[str] = set()
    empty_ns = -1
    while clock.monotonic_ns() < deadline:
        try:
            if empty_ns < 0:
                await venue.cancel_all(symbols)
            listed = [report.order_id for symbol in symbols for report in await venue.open_orders(symbol)]
        except GatehouseError as error:
            _log.warning("the venue did not answer while its orders are being cancelled", extra={"fields": {"code": error.code}})
            await asyncio.sleep(RETRY_AFTER_S)
            continue
        except Exception:
            # A defect of an adapter must not end the cancelling.
            _log.exception("a venue adapter raised an unexpected error")
            await asyncio.sleep(RETRY_AFTER_S)
            continue
        order_ids.update(listed)
        if listed:
            empty_ns = -1
            await asyncio.sleep(RETRY_AFTER_S)
        elif empty_ns < 0:
            empty_ns = clock.monotonic_ns()
            await asyncio.sleep(CONFIRM_AFTER_S)
        elif still_open():
            # An order had no outcome yet when the list was read: read it again.
            await asyncio.sleep(CONFIRM_AFTER_S)
        else:
            return CancelAllResult(max(expected, len(order_ids)), empty_ns)
    return CancelAllResult(max(expected, len(order_ids)), -1)
