"""Decisions about what a venue reports: answers to placements and look-ups, order updates, fills.

``decide`` and ``sweeps`` call it.

What the venue reports is always booked. If it contradicts the journal, the deployment also halts.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from controller.core import events as e
from controller.core.decisions import moves
from controller.core.decisions.draft import Draft
from controller.core.effects import Alert, AlertKind, Cancel, LookUp
from controller.core.inputs import CancelAnswered, LookupAnswered, PlacementAnswered
from controller.core.order_state import IN_FLIGHT, OrderState
from controller.core.state import State
from exchange.errors import IntegrityError
from exchange.model import Fill, OrderReport, OrderStatus, OrderType
from exchange.orders import advance
from exchange.ports import Ack, CancelAck, CancelFailed, Rejected, VenueName
from policies.stage import Stage

AT_THE_VENUE = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})
"""Statuses in which the venue holds the order."""


def placement_answered(draft: Draft, answer: PlacementAnswered) -> None:
    """Record the venue's answer to the placement of an order. Each order is sent once."""
    order = draft.after.orders[answer.client_id]
    match answer.outcome:
        case Ack(order_id=order_id) as ack:
            if not order.order_id:
                price, quantity = _as_taken(order, ack.price, ack.quantity)
                draft.emit(e.OrderAcked(client_id=order.client_id, order_id=order_id, price=price, quantity=quantity))
        case Rejected(code=code, message=message):
            if order.status in IN_FLIGHT and not order.executed:
                draft.emit(e.OrderRejected(client_id=order.client_id, code=code, message=message[:200]))
            else:
                status = f"{order.status}, executed {order.executed:f}"
                moves.integrity(draft, f"the venue rejected {order.client_id}, but has reported it as {status}")
        case unknown:
            if order.status is OrderStatus.ADMITTED:
                draft.emit(e.OrderUnknown(client_id=order.client_id, reason=unknown.reason[:200]))
                draft.do(LookUp(order.venue, order.symbol, order.client_id, order.admitted_at))
                draft.do(Alert(AlertKind.UNKNOWN_ORDER, f"{order.client_id} is UNKNOWN", unknown.reason[:200]))
    _cancel_if_obsolete(draft, draft.after.orders[order.client_id])


def lookup_answered(draft: Draft, answer: LookupAnswered) -> None:
    """Record the venue's answer to a look-up of an order whose outcome is not known.

    "Does not exist" may be lag at the venue (mexc-spot-v3.md §6), so it releases nothing by itself: ``absence`` does, with an
    account that agrees.
    """
    order = draft.after.orders[answer.client_id]
    if answer.report is not None:
        report = answer.report
        # The venue was asked by our id, and it may leave the id out of its answer.
        order_reported(draft, order.venue, report if report.client_id else replace(report, client_id=order.client_id))
        return
    if order.status in IN_FLIGHT and order.unknown_since is not None and not order.executed and answer.absent_everywhere:
        draft.emit(e.LookupMissed(client_id=order.client_id, asked_at=answer.asked_at))


def order_reported(draft: Draft, venue: VenueName, report: OrderReport, *, retry_cancel: bool = False) -> bool:
    """Record what the venue reports about one order. Returns ``False`` when the order is not ours.

    ``retry_cancel``: send the cancellation of an obsolete order again, in case the first one was lost.
    """
    order = find(draft.after, venue, report.client_id, report.order_id)
    if order is None:
        return False
    if contradiction := _contradiction(order, report):
        moves.integrity(draft, contradiction)
        return True
    try:
        following = advance(order.status, report.status)
    except IntegrityError as error:
        moves.integrity(draft, f"{order.client_id}: {error.message}")
        return True
    changed = following is not order.status or report.executed > order.executed or (report.order_id and not order.order_id)
    if changed:
        price, quantity = _as_taken(order, report.price, report.quantity)
        draft.emit(
            e.OrderReported(
                client_id=order.client_id,
                order_id=report.order_id,
                status=report.status,
                executed=report.executed,
                executed_quote=report.executed_quote,
                price=price,
                quantity=quantity,
            )
        )
    if changed or retry_cancel:
        _cancel_if_obsolete(draft, draft.after.orders[order.client_id], listed=retry_cancel)
    if following is not OrderStatus.REJECTED and order.status is OrderStatus.REJECTED:
        moves.integrity(draft, f"{_rejected(order)}, but the venue reports it as {report.status}")
    return True


def _as_taken(order: OrderState, price: Decimal | None, quantity: Decimal | None) -> tuple[Decimal | None, Decimal | None]:
    """The price and the quantity that the venue states for a MARKET order; the other types have their own."""
    if order.type is not OrderType.MARKET:
        return None, None
    return price or None, quantity or None


def cancel_answered(draft: Draft, answer: CancelAnswered) -> None:
    """Record the venue's answer to a cancel. It proves nothing about the order; the venue's report of the order does."""
    if answer.client_id not in draft.after.orders:
        return
    match answer.outcome:
        case CancelAck():
            draft.emit(e.CancelAccepted(client_id=answer.client_id))
        case CancelFailed(code=code, message=message):
            draft.emit(e.CancelRejected(client_id=answer.client_id, code=code, message=message[:200]))


def fill_reported(draft: Draft, venue: VenueName, fill: Fill) -> None:
    """Book one trade. A trade id is booked once per venue."""
    ledger = draft.after.ledger(venue)
    if fill.trade_id in ledger.trades or ledger.totals is None:
        return
    order = find(draft.after, venue, fill.client_id, fill.order_id)
    draft.emit(
        e.FillBooked(
            venue=venue,
            trade_id=fill.trade_id,
            order_id=fill.order_id,
            client_id=order.client_id if order is not None else fill.client_id,
            symbol=fill.symbol,
            side=fill.side,
            price=fill.price,
            quantity=fill.quantity,
            quote=fill.quote,
            fee=fill.fee,
            fee_asset=fill.fee_asset,
            maker=fill.maker,
            traded_at=fill.at,
        )
    )
    if order is None:
        moves.integrity(draft, f"trade {fill.trade_id} on {venue} belongs to no order of ours ({fill.client_id or 'no client id'})")
        return
    if order.status is OrderStatus.REJECTED:
        moves.integrity(draft, f"{_rejected(order)}, but it traded")
    after = draft.after.orders[order.client_id]
    if after.quantity is not None and after.booked > after.quantity:
        moves.integrity(draft, f"{order.client_id} filled {after.booked} of {after.quantity}")


def foreign_reported(draft: Draft, venue: VenueName, report: OrderReport) -> None:
    """Halt at once if the private stream of the venue in use shows an open order that is not ours.

    Before arming nothing is admitted, and the sweeps decide.
    """
    if report.status in AT_THE_VENUE and draft.after.armed and is_foreign(draft.after, venue, report):
        moves.integrity(draft, f"order {report.client_id or report.order_id} on {venue} is not ours")


def is_foreign(state: State, venue: VenueName, report: OrderReport) -> bool:
    """Whether an order of which ``find`` knows nothing is certainly not ours, on the venue in use.

    What we send is in the journal before it is sent, with our id. Only a report without an id can be about an order of ours whose
    id at the venue is not known yet.
    """
    if state.venue is not venue:
        return False
    return bool(report.client_id) or not any(_could_be(order, report) for order in state.open_on(venue))


def find(state: State, venue: VenueName, client_id: str, order_id: str) -> OrderState | None:
    """The order of ours that a venue means: by our id or, where the venue leaves it out, by its own."""
    if not client_id and order_id:
        client_id = next((one.client_id for one in state.open.values() if one.order_id == order_id and one.venue is venue), "")
        client_id = client_id or dict(state.recent_ids).get(order_id, "")
    order = state.orders.get(client_id) if client_id else None
    return order if order is not None and order.venue is venue else None


def _could_be(order: OrderState, report: OrderReport) -> bool:
    sent = (order.symbol, order.side, order.quantity, order.price)
    return order.status in IN_FLIGHT and not order.order_id and sent == (report.symbol, report.side, report.quantity, report.price)


def _rejected(order: OrderState) -> str:
    return f"{order.client_id} was rejected ({order.reject_code} {order.reject_message})"


def _contradiction(order: OrderState, report: OrderReport) -> str:
    # A market buy by quote amount has no quantity of ours to compare: the venue computes it.
    if (report.symbol, report.side) != (order.symbol, order.side):
        return f"{order.client_id} was sent as {order.side} {order.symbol} and reported as {report.side} {report.symbol}"
    if order.quantity is not None and report.quantity != order.quantity:
        return f"{order.client_id} was sent for {order.quantity} and reported for {report.quantity}"
    if order.quantity is not None and report.executed > order.quantity:
        return f"{order.client_id} executed {report.executed} of {order.quantity}"
    return ""


def _cancel_if_obsolete(draft: Draft, order: OrderState, *, listed: bool = False) -> None:
    # A cancellation was requested, or the deployment left the venue, while the order was in flight.
    obsolete = draft.after.venue is not order.venue or draft.after.position.stage is Stage.HALTED or draft.after.drill is not None
    # The sale of a flatten ends by itself at once, unless the venue still lists it as open.
    flatten = draft.after.flatten
    if flatten is not None and flatten.last == order.client_id and not listed:
        return
    if order.working and order.status not in IN_FLIGHT and (order.cancel_requested or obsolete):
        draft.do(Cancel(order.venue, order.symbol, order.client_id))
