"""What a venue says about our orders and fills. The venue's truth is always booked, even when it breaks a rule; then also halt."""

from __future__ import annotations

from controller.core import events as e
from controller.core.decisions import moves
from controller.core.decisions.draft import Draft
from controller.core.effects import Alert, AlertKind, Cancel, LookUp
from controller.core.inputs import Looked, Placed
from controller.core.order_state import IN_FLIGHT, OrderState
from exchange.errors import IntegrityError
from exchange.model import Fill, OrderReport, OrderStatus
from exchange.orders import advance
from exchange.ports import Ack, Rejected, VenueName
from exchange.wire.errors import ErrorCode
from policies.stage import Stage


def placed(draft: Draft, given: Placed) -> None:
    """The outcome of the one send of an order."""
    order = draft.after.orders[given.client_id]
    match given.outcome:
        case Ack(order_id=order_id):
            if not order.order_id:
                draft.emit(e.OrderAcked(client_id=order.client_id, order_id=order_id))
        case Rejected(code=code, message=message):
            if order.status in IN_FLIGHT and not order.executed:
                draft.emit(e.OrderRejected(client_id=order.client_id, code=code, message=message[:200]))
            else:
                known = f"{order.status}, executed {order.executed:f}"
                moves.integrity(draft, f"{order.client_id} was refused by the venue but is known there as {known}")
        case unknown:
            if order.status is OrderStatus.ADMITTED:
                draft.emit(e.OrderUnknown(client_id=order.client_id, reason=unknown.reason[:200]))
                draft.do(LookUp(order.venue, order.symbol, order.client_id))
                draft.do(Alert(AlertKind.UNKNOWN_ORDER, f"{order.client_id} is UNKNOWN", unknown.reason[:200]))
    _cancel_if_unwanted(draft, draft.after.orders[order.client_id])


def looked(draft: Draft, given: Looked) -> None:
    """The venue's answer about an order whose outcome is open.

    "Does not exist" may be lag (mexc-spot-v3.md §6): the order is released only after the policy's number of misses and its grace
    period, and only when neither the open orders nor the fills know it either. One that traded is never released like this.
    """
    order = draft.after.orders[given.client_id]
    if given.report is not None:
        reported(draft, order.venue, given.report)
        return
    if order.status not in IN_FLIGHT or order.unknown_since is None or order.executed or not given.absent_everywhere:
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
                message=f"proven absent: {misses} look-ups in {draft.now - order.unknown_since} ms, no open order, no fill",
            )
        )


def reported(draft: Draft, venue: VenueName, report: OrderReport, *, insist: bool = False) -> bool:
    """The venue's word on one order. False when the order is not ours. ``insist``: ask again for a cancel that got lost."""
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
    news = following is not order.status or report.executed > order.executed or (report.order_id and not order.order_id)
    if news:
        draft.emit(
            e.OrderReported(
                client_id=order.client_id,
                order_id=report.order_id,
                status=report.status,
                executed=report.executed,
                executed_quote=report.executed_quote,
            )
        )
    if news or insist:
        _cancel_if_unwanted(draft, draft.after.orders[order.client_id])
    if following is not OrderStatus.REJECTED and order.status is OrderStatus.REJECTED:
        moves.integrity(draft, f"{_rejected(order)}, but the venue reports it as {report.status}")
    return True


def filled(draft: Draft, venue: VenueName, fill: Fill) -> None:
    """One trade, booked once by its identity."""
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
            venue_at=fill.at,
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
    # A quantity is compared only where we named one: a market buy by quote amount gets its quantity from the venue.
    if (report.symbol, report.side) != (order.symbol, order.side):
        return f"{order.client_id} was sent as {order.side} {order.symbol} and reported as {report.side} {report.symbol}"
    if order.quantity is not None and report.quantity != order.quantity:
        return f"{order.client_id} was sent for {order.quantity} and reported for {report.quantity}"
    if order.quantity is not None and report.executed > order.quantity:
        return f"{order.client_id} executed {report.executed} of {order.quantity}"
    return ""


def _cancel_if_unwanted(draft: Draft, order: OrderState) -> None:
    # The cancel was asked for, or the deployment moved on, while the order was still in flight.
    gone = draft.after.venue is not order.venue or draft.after.position.stage is Stage.HALTED or draft.after.drill is not None
    if order.working and order.status not in IN_FLIGHT and (order.cancel_requested or gone):
        draft.do(Cancel(order.venue, order.symbol, order.client_id))
