"""Cancels every order of ours at a venue until the venue itself shows none, for the performer (execution-safety.md §6).

A reply to a cancel proves nothing, so the open orders are read twice after it. It ends with that proof and not by a clock:
while the venue does not answer it goes on, slower. It also ends when the deployment trades there again, for example because the
guard that asked for it is calm: it would cancel every new order, and never see an empty venue. Holdings stay;
``gatehouse flatten`` sells them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from controller.core.state import State
from controller.runtime.venues.strangers import Strangers
from exchange.errors import GatehouseError
from exchange.model import ListedOrder
from exchange.ports import CancelFailed, Clock, Venue, VenueName
from policies.guards import Level

CONFIRM_AFTER_S = 1.0
RETRY_AFTER_S = 0.25
RETRY_AFTER_MOST_S = 2.0
"""The pause after a failed try doubles up to this, so that a healthy venue is empty within seconds."""

FIRST_LIST_S = 1.0
"""How long the first cancels of a process wait for a list that says whether there are orders of others."""

REPORT_AT_S = (10.0, 60.0, 300.0)
"""After how many seconds without proof people are told; after the last one every ``REPORT_AGAIN_S``."""
REPORT_AGAIN_S = 900.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CancelAllResult:
    """``orders``: how many there were. ``empty_ns``: when the first of two empty lists in a row was read; -1 without this proof.

    ``began_ns``: when the cancels before that list began; -1 without the proof. It proves nothing of what came later.
    """

    orders: int
    empty_ns: int
    began_ns: int


@dataclass(frozen=True, slots=True)
class NotEmpty:
    """How a cancel-all stands that has no proof yet: for how many seconds it goes on, and what keeps it."""

    seconds: int
    orders: int | None
    because: str


class _Reporter:
    """Calls ``report`` when a cancel-all goes on for too long; ever more rarely."""

    def __init__(self, clock: Clock, report: Callable[[NotEmpty], None]) -> None:
        self._clock = clock
        self._report = report
        self._begun_ns = clock.monotonic_ns()
        self._reports = 0

    def no_proof(self, orders: int | None, because: str) -> None:
        seconds = (self._clock.monotonic_ns() - self._begun_ns) / 1e9
        late = self._reports - len(REPORT_AT_S)
        due = REPORT_AT_S[self._reports] if late < 0 else REPORT_AT_S[-1] + REPORT_AGAIN_S * (late + 1)
        if seconds >= due:
            self._reports += 1
            self._report(NotEmpty(int(seconds), orders, because))


def trades_on(state: State, venue: VenueName) -> bool:
    """Whether bots' orders can be admitted at ``venue``, by the journal: nothing that cancels everything there is in force."""
    calm = not state.guard_level or Level[state.guard_level] < Level.CANCEL_ALL
    stopped = state.drill is not None and state.drill.latched
    return state.venue is venue and state.armed and not stopped and state.flatten is None and calm


async def cancel_all_until_empty(
    venue: Venue,
    symbols: Sequence[str],
    clock: Clock,
    still_open: Callable[[], int],
    *,
    expected: int,
    report: Callable[[NotEmpty], None] = lambda _: None,
    trades_again: Callable[[], bool] = lambda: False,
    strangers: Strangers | None = None,
) -> CancelAllResult:
    """Cancel every open order of ``symbols`` until two lists in a row show none and none of our orders is in flight.

    ``strangers`` knows the orders that are not ours: while one is open, ours are cancelled by their ids, and the proof is that a
    list shows nothing else. Without it every order counts as ours.

    ``still_open`` counts our orders without an outcome. ``expected`` is how many orders were working there at the beginning.
    ``report`` is called while there is no proof, after each of ``REPORT_AT_S``. ``trades_again`` ends it without the proof, after
    every order was cancelled once.
    """
    reporter, order_ids = _Reporter(clock, report), set[str]()
    empty_ns: int | None = None
    began_ns = -1
    pause_s, last_code, cancelled = RETRY_AFTER_S, "", False
    found: Sequence[ListedOrder] = ()
    while not (cancelled and trades_again()):
        # Asked before the list: an order whose outcome arrives while the list is read may be missing in it.
        quiet = not still_open()
        if empty_ns is None:
            began_ns = clock.monotonic_ns()
        try:
            # A list may not show an order yet that has just arrived, so it does not end the cancels (mexc-spot-v3.md §6).
            if empty_ns is None or not quiet:
                cancelled |= await _cancel(venue, symbols, strangers, found)
            found = await _remaining(venue, symbols, strangers)
            listed = [order.order_id for order in found]
        except Exception as error:
            # A defect of an adapter must not end the cancelling either.
            why = error.message if isinstance(error, GatehouseError) else f"{type(error).__name__} in a venue adapter"
            code = error.code if isinstance(error, GatehouseError) else why
            if code != last_code:
                _log.warning("the venue does not answer while its orders are being cancelled", extra={"fields": {"why": why}})
                last_code = code
            reporter.no_proof(None, why)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RETRY_AFTER_MOST_S)
            continue
        order_ids.update(listed)
        if listed:
            empty_ns = None
            reporter.no_proof(len(listed), f"the venue still lists {len(listed)} open orders")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RETRY_AFTER_MOST_S)
            continue
        pause_s = RETRY_AFTER_S
        if empty_ns is None:
            empty_ns = clock.monotonic_ns()
        elif quiet:
            return CancelAllResult(max(expected, len(order_ids)), empty_ns, began_ns)
        else:
            # An order had no outcome yet when the list was read: read it again.
            reporter.no_proof(0, "an order has no outcome yet")
        await asyncio.sleep(CONFIRM_AFTER_S)
    return CancelAllResult(max(expected, len(order_ids)), -1, -1)


async def _remaining(venue: Venue, symbols: Sequence[str], strangers: Strangers | None) -> Sequence[ListedOrder]:
    """What is open and is ours, or may be."""
    if strangers is None:
        return await venue.remaining(symbols)
    turn = strangers.turn(venue.name)
    return strangers.sort(venue.name, await venue.remaining(symbols), turn)


async def _cancel(venue: Venue, symbols: Sequence[str], strangers: Strangers | None, found: Sequence[ListedOrder]) -> bool:
    """Send the cancels of one round; whether the venue took them."""
    if strangers is not None and not strangers.listed(venue.name):
        # This process has read no list yet. One that does not come must not delay the cancels.
        with suppress(Exception):
            async with asyncio.timeout(FIRST_LIST_S):
                found = await _remaining(venue, symbols, strangers)
    if strangers is None or not strangers.any(venue.name):
        return not isinstance(await venue.cancel_all(symbols), CancelFailed)
    # One cancel that fails or takes long must not keep the others from being sent; the list shows what is left.
    ours = strangers.ours(venue.name, found)
    answers = await asyncio.gather(*(venue.cancel(symbol, name) for symbol, name in ours), return_exceptions=True)
    failed = [type(answer).__name__ for answer in answers if isinstance(answer, BaseException)]
    if failed:
        _log.warning("orders could not be cancelled by their ids", extra={"fields": {"orders": len(failed), "why": failed[0]}})
    return not failed
