"""Ways to break the product, one at a time, that a campaign has to notice: ``tests/simulation/test_campaign.py`` applies them.

A mutant is the text of a function with a change. The function keeps its identity, so every caller gets the mutant. Where two
protections do the same, a mutant breaks both.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from textwrap import dedent
from types import CodeType, FunctionType
from typing import Any

from controller.core import bookings
from controller.core.decisions import absence, account, boot, moves, orders, trades, venue_reports, whose
from controller.core.fold import orders as folded
from controller.runtime.loop.permit import PermitOffice
from policies import exposure, limits

_ALL = "for order in state.open_on(venue)"
_EVENTS = '__import__("importlib").import_module("controller.core.events")'
_EFFECTS = '__import__("importlib").import_module("controller.core.effects")'
_REJECTED = f"{_EVENTS}.OrderRejected(client_id=order.client_id, code=-2013, message='mutant')"


@dataclass(frozen=True)
class Change:
    """One change of ``function``: ``old``, which occurs once in it, becomes ``new``."""

    function: FunctionType
    old: str
    new: str

    def code(self) -> CodeType:
        """What the changed function runs."""
        text = dedent(inspect.getsource(self.function))
        assert text.count(self.old) == 1, f"{self.function.__qualname__} has changed: {self.old!r} is not in it once"
        made: dict[str, Any] = {}
        exec(compile("from __future__ import annotations\n" + text.replace(self.old, self.new), "mutant", "exec"), {}, made)
        code: CodeType = made[self.function.__name__].__code__
        return code


@contextmanager
def applied(mutant: tuple[Change, ...]) -> Iterator[None]:
    """Break the product for a while."""
    kept = [(change.function, change.function.__code__) for change in mutant]
    for change, code in [(change, change.code()) for change in mutant]:
        change.function.__code__ = code
    try:
        yield
    finally:
        for function, code in kept:
            function.__code__ = code


def one(function: Any, old: str, new: str) -> tuple[Change, ...]:
    """A mutant with one change."""
    return (Change(function, old, new),)


MUTANTS: dict[str, tuple[Change, ...]] = {
    "an order is released as soon as one look-up misses it": one(
        venue_reports.lookup_answered,
        "e.LookupMissed(client_id=order.client_id, asked_at=answer.asked_at)",
        _REJECTED,
    ),
    "an order is released before it can no longer arrive": one(
        absence._horizon,
        "order.unknown_since + DEFAULT_RECV_WINDOW + policy.settle.unknown_grace_ms",
        "order.unknown_since - 9_000",
    ),
    "orders with an unknown outcome do not count in the exposure": one(
        account.account_view,
        "for order in state.open_on(venue)",
        f"{_ALL} if order.status.value != 'UNKNOWN'",
    ),
    "orders that were not answered yet do not count in the exposure": one(
        account.account_view,
        "for order in state.open_on(venue)",
        f"{_ALL} if order.status.value != 'ADMITTED'",
    ),
    "a reported fill that is not booked yet does not count in the exposure": one(
        account.risk_of, "executed=order.booked if status", "executed=order.executed if status"
    ),
    "a limit below the ask counts at the limit": one(exposure._buy_quote, "price = max(order.price, ask)", "price = order.price"),
    "the cap is twice as high": one(limits._exposure, "after.eur > cap", "after.eur > 2 * cap"),
    "an order is sent again after a time-out": one(
        venue_reports.placement_answered,
        "draft.do(LookUp(order.venue, order.symbol, order.client_id, order.admitted_at))",
        f"draft.do({_EFFECTS}.Place(order.venue, order.intent))",
    ),
    "two orders have one client id": one(orders.next_client_id, "state.order_number + 1", "(state.order_number + 1) // 2"),
    "a bot's own id is admitted again": one(orders.order_requested, "if first is not None:", "if first is not None and False:"),
    "the latch revokes no permit": one(PermitOffice.latch, 'self.lapse()\n    self._latched_because = reason or "latched"', "pass"),
    "a restart forgets the orders in flight": one(
        boot.boot,
        'e.OrderUnknown(client_id=order.client_id, reason="the controller stopped before it recorded the outcome")',
        _REJECTED,
    ),
    "an answered cancel counts as proof": one(
        venue_reports.cancel_answered,
        "e.CancelAccepted(client_id=answer.client_id)",
        f"{_EVENTS}.OrderReported(client_id=answer.client_id, order_id='', status='CANCELED', executed=0, executed_quote=0)",
    ),
    "a fill is booked twice": one(trades.fill_reported, "if _is_known(ledger, fill, order, listed=listed):", "if False:"),
    "a trade told under two ids is booked twice": one(bookings.judge, "return OurBooks.REPEATED", "return OurBooks.NEW"),
    "a trade told without our id is booked for nobody": one(
        trades.fill_reported, "if order is None and not fill.client_id and", "if False and"
    ),
    "an order shown without our id is not ours": one(whose.find, "owner_of(venue, order_id)", "owner_of(venue, '')"),
    "a reading counts as new whatever it shows": one(
        absence._is_recent,
        "return any(one is not None and (is_young or one.admitted_at >= horizon) for one, is_young in ours)",
        "return True",
    ),
    "a trade counts as new whatever its date": one(
        absence._surely_after, "horizon + policy.guards.clock_offset.halt_ms", "horizon - 60_000"
    ),
    "what locks more than our orders hides none": one(
        absence._account_has_no_room, "asset, needed = _least_lock(order, policy)", "return True"
    ),
    "a fill counts twice for its order": one(
        folded.filled, "booked = order.booked + event.quantity", "booked = order.booked + 2 * event.quantity"
    ),
    "nothing is cancelled when the deployment halts": (
        *one(moves.go, 'draft.do(CancelAll(name, symbols(draft), because=f"{old} → {here}: {reason}"))', "pass"),
        *one(venue_reports._cancel_if_obsolete, "obsolete = stopped or draft.after.venue is not order.venue", "obsolete = False"),
    ),
}
