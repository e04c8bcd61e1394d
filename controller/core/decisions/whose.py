"""Whose order a venue means: by its own id first, then by ours, and what can be told where it names neither that we know.

MEXC leaves our id out of its trade lists, and sometimes of its order lists (mexc-spot-v3.md §6). So both ids of an order are
remembered from the answer to its placement, from the private stream and from the look-up that asked. An order whose answer was
lost has no venue id yet; what the venue shows without our id may then be that order, until the look-up tells.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

from controller.core.order_state import IN_FLIGHT, OrderState
from controller.core.state import State
from exchange.model import Fill, ListedOrder, OrderReport, OrderStatus, OrderType, Side
from exchange.ports import VenueName

SKEW_MS = 60_000
"""A trade may say that it was this long before the order was admitted: clocks differ, and MEXC cuts times to whole seconds."""
MAY_BE_OURS = "may be ours"
"""How an open question ends about what may be of an order of ours whose id at the venue is not known yet."""


def find(state: State, venue: VenueName, client_id: str, order_id: str) -> OrderState | None:
    """The order of ours that a venue means, by its own id or else by ours."""
    name = (state.owner_of(venue, order_id) if order_id else None) or client_id
    order = state.orders.get(name) if name else None
    return order if order is not None and order.venue is venue else None


def contradicted_ids(order: OrderState, client_id: str, order_id: str) -> str:
    """Why the two ids cannot both be those of ``order``; empty when they can."""
    if client_id and client_id != order.client_id:
        return f"{order.client_id} is {order.order_id} at the venue, which calls that order {client_id}"
    if order_id and order.order_id and order_id != order.order_id:
        return f"{order.client_id} is {order.order_id} at the venue, and now {order_id} too"
    return ""


def may_trade(order: OrderState, fill: Fill) -> bool:
    """Whether a trade without our id may be of this order, whose id at the venue is not known yet."""
    if not _unnamed(order) or (order.symbol, order.side) != (fill.symbol, fill.side):
        return False
    if fill.at < order.admitted_at - SKEW_MS or (order.quantity is not None and fill.quantity > order.quantity):
        return False
    if order.price is None:
        return True
    return fill.price <= order.price if order.side is Side.BUY else fill.price >= order.price


def may_be_ours(state: State, venue: VenueName, reports: Sequence[ListedOrder]) -> list[OrderReport]:
    """Those of the orders that are not known which may be orders of ours whose ids at the venue are not known yet.

    Of more orders than there are of ours, at least one is not ours: then none of them counts.
    """
    ours = [order for order in state.open_on(venue) if _unnamed(order)]
    fits = {
        report.order_id: (report, tuple(order.client_id for order in ours if _is_like(order, report)))
        for report in reports
        if isinstance(report, OrderReport) and not report.client_id
    }
    wanted = Counter(names for _, names in fits.values())
    return [report for report, names in fits.values() if names and wanted[names] <= len(names)]


def is_being_answered(state: State, venue: VenueName) -> bool:
    """Whether every order of ours whose id at the venue is not known is waiting for its first answer, and none was lost."""
    return not any(_unnamed(order) and order.status is OrderStatus.UNKNOWN for order in state.open_on(venue))


def is_foreign(state: State, venue: VenueName, report: ListedOrder) -> bool:
    """Whether an order that ``find`` does not know is certainly not ours, on the venue in use.

    What we send is in the journal before it is sent, with our id. Only a report without an id can be about an order of ours whose
    id at the venue is not known yet.
    """
    return state.venue is venue and not may_be_ours(state, venue, [report])


def our_prefix(state: State) -> str:
    """What every new client id begins with: a hash of the journal's first entry, so no other journal uses one of them."""
    return state.order_prefix


def _former_prefix(state: State) -> str:
    """What the client ids of this deployment began with in earlier versions: 24 characters, the same in every journal of a name."""
    owner = hashlib.sha256(f"{state.controller_id} {state.environment}".encode()).hexdigest()[:10]
    return f"gh-{owner}-"


def is_placed_by_others(state: State, venue: VenueName, report: ListedOrder) -> bool:
    """Whether an order was placed outside this journal, so that it is not ours to cancel.

    Ours are those that the books know by either id, and those that may be an order of ours whose id at the venue is not known yet.
    An order whose id only begins as ours do was not sent by us, because what we send is in the journal first (``is_of_a_twin``).
    """
    if find(state, venue, report.client_id, report.order_id) is not None:
        return False
    return not may_be_ours(state, venue, [report])


def is_of_a_twin(state: State, report: ListedOrder) -> bool:
    """Whether an order that is not in the journal has an id of this journal's form.

    A copy of the journal placed it, and its controller may be alive; or this journal has lost the entry.
    """
    return report.client_id.startswith((our_prefix(state), _former_prefix(state))) and report.client_id not in state.orders


def _unnamed(order: OrderState) -> bool:
    return order.status in IN_FLIGHT and not order.order_id


def _is_like(order: OrderState, report: OrderReport) -> bool:
    if (order.symbol, order.side, order.type) != (report.symbol, report.side, report.type):
        return False
    # The venue computes the price of a MARKET order, and the quantity of one that names what to spend (mexc-spot-v3.md §4.3).
    priced = order.type is OrderType.MARKET or order.price == report.price
    return priced and order.quantity in {None, report.quantity}
