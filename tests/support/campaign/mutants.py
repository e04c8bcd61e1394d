"""Ways to break the product, one at a time, that a campaign has to notice: ``tests/simulation/test_campaign.py`` applies them.

A mutant is the text of one function with one change. The function keeps its identity, so every caller gets the mutant.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from textwrap import dedent
from types import CodeType
from typing import Any

from controller.core.decisions import absence, account, boot, orders, venue_reports
from controller.core.fold import orders as folded
from controller.runtime.loop.permit import PermitOffice
from policies import exposure, limits

_EVENTS = '__import__("importlib").import_module("controller.core.events")'
_EFFECTS = '__import__("importlib").import_module("controller.core.effects")'
_REJECTED = f"{_EVENTS}.OrderRejected(client_id=order.client_id, code=-2013, message='mutant')"


@dataclass(frozen=True)
class Mutant:
    """``function`` with ``old`` replaced by ``new``; ``old`` occurs once in it."""

    function: Callable[..., Any]
    old: str
    new: str

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Break the product for a while."""
        kept = self.function.__code__
        self.function.__code__ = self._code()
        try:
            yield
        finally:
            self.function.__code__ = kept

    def _code(self) -> CodeType:
        text = dedent(inspect.getsource(self.function))
        assert text.count(self.old) == 1, f"{self.function.__qualname__} has changed: {self.old!r} is not in it once"
        made: dict[str, Any] = {}
        exec(compile("from __future__ import annotations\n" + text.replace(self.old, self.new), "mutant", "exec"), {}, made)
        code: CodeType = made[self.function.__name__].__code__
        return code


MUTANTS: dict[str, Mutant] = {
    "an order is released as soon as one look-up misses it": Mutant(
        venue_reports.lookup_answered,
        "e.LookupMissed(client_id=order.client_id, asked_at=answer.asked_at)",
        _REJECTED,
    ),
    "an order is released before it can no longer arrive": Mutant(
        absence._horizon, "order.unknown_since + DEFAULT_RECV_WINDOW + policy.settle.unknown_grace_ms", "order.unknown_since - 9_000"
    ),
    "orders with an unknown outcome do not count in the exposure": Mutant(
        account.account_view, "for order in state.open_on(venue)", "for order in state.open_on(venue) if order.status.value != 'UNKNOWN'"
    ),
    "orders that were not answered yet do not count in the exposure": Mutant(
        account.account_view, "for order in state.open_on(venue)", "for order in state.open_on(venue) if order.status.value != 'ADMITTED'"
    ),
    "a reported fill that is not booked yet does not count in the exposure": Mutant(
        account.risk_of, "executed=order.booked if status", "executed=order.executed if status"
    ),
    "a limit below the ask counts at the limit": Mutant(
        exposure.working_buy_quote, "price = max(order.price, ask)", "price = order.price"
    ),
    "the cap is twice as high": Mutant(limits._exposure, "after.eur > cap", "after.eur > 2 * cap"),
    "an order is sent again after a time-out": Mutant(
        venue_reports.placement_answered,
        "draft.do(LookUp(order.venue, order.symbol, order.client_id, order.admitted_at))",
        f"draft.do({_EFFECTS}.Place(order.venue, order.intent))",
    ),
    "two orders have one client id": Mutant(orders.next_client_id, "state.order_number + 1", "(state.order_number + 1) // 2"),
    "a bot's own id is admitted again": Mutant(orders.order_requested, "if first is not None:", "if first is not None and False:"),
    "the latch revokes no permit": Mutant(
        PermitOffice.latch, 'self.lapse()\n    self._latched_because = reason or "latched"', "pass"
    ),
    "a restart forgets the orders in flight": Mutant(
        boot.boot, 'e.OrderUnknown(client_id=order.client_id, reason="the controller stopped before it recorded the outcome")', _REJECTED
    ),
    "an answered cancel counts as proof": Mutant(
        venue_reports.cancel_answered,
        "e.CancelAccepted(client_id=answer.client_id)",
        f"{_EVENTS}.OrderReported(client_id=answer.client_id, order_id='', status='CANCELED', executed=0, executed_quote=0)",
    ),
    "a fill is booked twice": Mutant(
        venue_reports.fill_reported, "fill.trade_id in ledger.trades or ledger.totals is None", "ledger.totals is None"
    ),
    "a fill counts twice for its order": Mutant(
        folded.filled, "booked = order.booked + event.quantity", "booked = order.booked + 2 * event.quantity"
    ),
}
