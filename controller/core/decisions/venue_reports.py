"""Decisions about what a venue reports of orders: answers to placements and look-ups, and order updates.

``decide`` and ``sweeps`` call it. If what the venue reports contradicts the journal, the deployment halts.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from controller.core import events as e
from controller.core.decisions import absence, forgotten, moves
from controller.core.decisions.draft import Draft
from controller.core.decisions.whose import contradicted_ids, find, is_foreign, is_of_a_twin
from controller.core.effects import Alert, AlertKind, Cancel, LookUp
from controller.core.inputs import CancelAnswered, LookupAnswered, PlacementAnswered
from controller.core.order_state import AT_THE_VENUE, IN_FLIGHT, OrderState
from controller.core.state import State
from exchange.errors import IntegrityError
from exchange.model import ForeignOrder, ListedOrder, OrderReport, OrderStatus, OrderType
from exchange.orders import advance
from exchange.ports import Ack, CancelAck, CancelFailed, Rejected, VenueName
from policies.numbers import text
from policies.stage import Stage


def placement_answered(draft: Draft, answer: PlacementAnswered) -> None:
    """Record the venue's answer to the placement of an order. Each order is sent once."""
    order = draft.after.orders[answer.client_id]
    match answer.outcome:
        case Ack() as ack:
            _acked(draft, order, ack)
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
    _cancel_if_obsolete(draft, order.client_id)
    absence.read_if_it_proves(draft, order.venue)


def _acked(draft: Draft, order: OrderState, ack: Ack) -> None:
    order_id = ack.order_id
    owner = find(draft.after, order.venue, "", order_id)
    if not order.order_id:
        price, quantity = _as_taken(order, ack.price, ack.quantity)
        draft.emit(e.OrderAcked(client_id=order.client_id, order_id=order_id, price=price, quantity=quantity))
    elif order.order_id != order_id:
        moves.integrity(draft, contradicted_ids(order, order.client_id, order_id))
    if owner is not None and owner.client_id != order.client_id:
        moves.integrity(draft, contradicted_ids(owner, order.client_id, order_id))


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
    in_doubt = order.status in IN_FLIGHT and order.unknown_since is not None and not order.executed
    if answer.absent_everywhere and (in_doubt or forgotten.counts(draft.after, order)):
        draft.emit(e.LookupMissed(client_id=order.client_id, asked_at=answer.asked_at))
        absence.read_if_it_proves(draft, order.venue)


def order_reported(draft: Draft, venue: VenueName, report: ListedOrder, *, retry_cancel: bool = False) -> bool:
    """Record what the venue reports about one order. Returns ``False`` when the order is not ours.

    ``retry_cancel``: send the cancellation of an obsolete order again, in case the first one was lost.
    """
    order = find(draft.after, venue, report.client_id, report.order_id)
    if order is None:
        return False
    if isinstance(report, ForeignOrder):
        moves.integrity(draft, f"{order.client_id} was sent as {order.type} and is reported as an order of type {report.kind}")
        return True
    if contradiction := _contradiction(order, report):
        moves.integrity(draft, contradiction)
        return True
    try:
        following = advance(order.status, report.status)
    except IntegrityError as error:
        moves.integrity(draft, f"{order.client_id}: {error.message}")
        return True
    more = report.executed > order.reported or (report.order_id and not order.order_id)
    changed = following is not order.status or more
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
        _cancel_if_obsolete(draft, order.client_id, listed=retry_cancel)
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


def foreign_reported(draft: Draft, venue: VenueName, report: ListedOrder) -> None:
    """Halt at once if the private stream of the venue in use shows an open order that is not ours.

    Before arming nothing is admitted, and the sweeps decide.
    """
    alive = report.open if isinstance(report, ForeignOrder) else report.status in AT_THE_VENUE
    if alive and draft.after.armed and is_foreign(draft.after, venue, report):
        moves.integrity(draft, f"{described(report)} on {venue} is not ours: {outside(draft.after, report)}")


def described(report: ListedOrder) -> str:
    """An order that is not known, in words: a person may have placed one of a type that no API places."""
    kind = f" of type {report.kind}" if isinstance(report, ForeignOrder) else ""
    return f"order {report.client_id or report.order_id}{kind}"


def outside(state: State, report: ListedOrder) -> str:
    """What others placed, and who, in words that stay the same while it trades."""
    by = (
        "placed by a controller with a copy of this journal, or before this one lost entries" if is_of_a_twin(state, report) else ""
    )
    by = by or "placed outside gatehouse"
    if isinstance(report, ForeignOrder):
        return f"{report.symbol}, {by}"
    price = "" if report.type is OrderType.MARKET else f" @ {text(report.price)}"
    return f"{report.side} {text(report.quantity)} {report.symbol}{price}, {by}"


def _rejected(order: OrderState) -> str:
    return f"{order.client_id} was rejected ({order.reject_code} {order.reject_message})"


def _contradiction(order: OrderState, report: OrderReport) -> str:
    if contradiction := contradicted_ids(order, report.client_id, report.order_id):
        return contradiction
    # A market buy by quote amount has no quantity of ours to compare: the venue computes it.
    if (report.symbol, report.side) != (order.symbol, order.side):
        return f"{order.client_id} was sent as {order.side} {order.symbol} and reported as {report.side} {report.symbol}"
    if order.quantity is not None and report.quantity != order.quantity:
        return f"{order.client_id} was sent for {order.quantity} and reported for {report.quantity}"
    if order.quantity is not None and report.executed > order.quantity:
        return f"{order.client_id} executed {report.executed} of {order.quantity}"
    return ""


def _cancel_if_obsolete(draft: Draft, client_id: str, *, listed: bool = False) -> None:
    # A cancellation was requested, or the deployment left the venue, while the order was in flight. A settled one needs none.
    order = draft.after.open.get(client_id)
    if order is None:
        return
    drill = draft.after.drill
    stopped = draft.after.position.stage is Stage.HALTED or (drill is not None and drill.latched)
    obsolete = stopped or draft.after.venue is not order.venue
    # The sale of a flatten ends by itself at once, unless the venue still lists it as open.
    flatten = draft.after.flatten
    if flatten is not None and flatten.last == order.client_id and not listed:
        return
    if order.working and order.status not in IN_FLIGHT and (order.cancel_requested or obsolete):
        draft.do(Cancel(order.venue, order.symbol, order.client_id))
