"""Decisions about what a venue reports: answers to placements and look-ups, order updates, fills.

``decide`` and ``sweeps`` call it.

What the venue reports is always booked. If it contradicts the journal, the deployment also halts.
"""

from __future__ import annotations

from controller.core import events as e
from controller.core.decisions import moves
from controller.core.decisions.draft import Draft
from controller.core.effects import Alert, AlertKind, Cancel, LookUp
from controller.core.inputs import CancelAnswered, LookupAnswered, PlacementAnswered
from controller.core.order_state import IN_FLIGHT, OrderState
from exchange.errors import IntegrityError
from exchange.model import Fill, OrderReport, OrderStatus
from exchange.orders import advance
from exchange.ports import Ack, CancelAck, CancelFailed, Rejected, VenueName
from exchange.wire.errors import ErrorCode
from policies.stage import Stage


def placement_answered(draft: Draft, answer: PlacementAnswered) -> None:
    """Record the venue's answer to the placement of an order. Each order is sent once."""
    order = draft.after.orders[answer.client_id]
    match answer.outcome:
        case Ack(order_id=order_id):
            if not order.order_id:
                draft.emit(e.OrderAcked(client_id=order.client_id, order_id=order_id))
        case Rejected(code=code, message=message):
            if order.status in IN_FLIGHT and not order.executed:
                draft.emit(e.OrderRejected(client_id=order.client_id, code=code, message=message[:200]))
            else:
                status = f"{order.status}, executed {order.executed:f}"
                moves.integrity(draft, f"the venue rejected {order.client_id}, but has reported it as {status}")
        case unknown:
            if order.status is OrderStatus.ADMITTED:
                draft.emit(e.OrderUnknown(client_id=order.client_id, reason=unknown.reason[:200]))
                draft.do(LookUp(order.venue, order.symbol, order.client_id))
                draft.do(Alert(AlertKind.UNKNOWN_ORDER, f"{order.client_id} is UNKNOWN", unknown.reason[:200]))
    _cancel_if_obsolete(draft, draft.after.orders[order.client_id])


def lookup_answered(draft: Draft, answer: LookupAnswered) -> None:
    """Record the venue's answer to a look-up of an order whose outcome is not known.

    "Does not exist" may be lag at the venue (mexc-spot-v3.md §6). The order is released only after the policy's number of look-ups
    and its grace period, and only if the open orders and the fills do not list it either. An order that traded is not released.
    """
    order = draft.after.orders[answer.client_id]
    if answer.report is not None:
        order_reported(draft, order.venue, answer.report)
        return
    if order.status not in IN_FLIGHT or order.unknown_since is None or order.executed or not answer.absent_everywhere:
        return
    draft.emit(e.LookupMissed(client_id=order.client_id))
    settle = draft.after.policy.settle if draft.after.policy else None
    if settle is None:
        return
    misses = draft.after.orders[order.client_id].misses
    if misses >= settle.lookups_min and draft.now - order.unknown_since >= settle.unknown_grace_ms:
        draft.emit(
            e.OrderRejected(
                client_id=order.client_id,
                code=ErrorCode.NO_SUCH_ORDER,
                message=f"proven absent: {misses} look-ups in {draft.now - order.unknown_since} ms found no open order and no fill",
            )
        )


def order_reported(draft: Draft, venue: VenueName, report: OrderReport, *, retry_cancel: bool = False) -> bool:
    """Record what the venue reports about one order. Returns ``False`` when the order is not ours.

    ``retry_cancel``: send the cancellation of an obsolete order again, in case the first one was lost.
    """
    order = draft.after.orders.get(report.client_id)
    if order is None or order.venue is not venue:
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
        draft.emit(
            e.OrderReported(
                client_id=order.client_id,
                order_id=report.order_id,
                status=report.status,
                executed=report.executed,
                executed_quote=report.executed_quote,
            )
        )
    if changed or retry_cancel:
        _cancel_if_obsolete(draft, draft.after.orders[order.client_id], listed=retry_cancel)
    if following is not OrderStatus.REJECTED and order.status is OrderStatus.REJECTED:
        moves.integrity(draft, f"{_rejected(order)}, but the venue reports it as {report.status}")
    return True


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
    order = draft.after.orders.get(fill.client_id)
    draft.emit(
        e.FillBooked(
            venue=venue,
            trade_id=fill.trade_id,
            order_id=fill.order_id,
            client_id=fill.client_id,
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
