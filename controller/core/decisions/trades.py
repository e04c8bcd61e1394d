"""Decisions about trades that a venue tells: book one once, under whichever ids it comes. ``decide`` and ``sweeps`` call it.

A trade belongs to the order that the venue's order id names, or else our own id (mexc-spot-v3.md §6: trade lists leave ours out).
Its identity is that order and the venue's trade id. ``controller.core.bookings`` judges a trade that is told under a new id.
"""

from __future__ import annotations

from controller.core import events as e
from controller.core.bookings import Booking, Told, judge, trade_key, twin
from controller.core.decisions import moves
from controller.core.decisions.draft import Draft
from controller.core.decisions.whose import contradicted_ids, find, may_trade
from controller.core.order_state import ZERO, OrderState
from controller.core.state import Ledger
from exchange.model import Fill, OrderStatus
from exchange.ports import VenueName


def fill_reported(draft: Draft, venue: VenueName, fill: Fill, *, listed: bool) -> bool:
    """Book one trade, once. ``listed``: it comes out of the venue's trade list.

    Returns ``False`` while nobody can know whose it is: it names no order that we know, and an order of ours whose id at the venue
    is not known yet may have made it. The look-up of that order tells, and the next reading of the account books the trade.
    """
    ledger = draft.after.ledger(venue)
    if ledger.totals is None or _is_known(ledger, fill):
        return True
    order = find(draft.after, venue, fill.client_id, fill.order_id)
    if order is None and not fill.client_id and any(may_trade(one, fill) for one in draft.after.open_on(venue)):
        return False
    bookings = order.bookings if order is not None else ledger.strangers.get(fill.order_id, ())
    left = order.reported - order.booked if order is not None else ZERO
    final = order is not None and not order.working
    match judge(bookings, fill, listed=listed, left=left, final=final):
        case Told.REPEATED:
            _remember(draft, venue, fill, order, twin(bookings, fill, listed=listed), listed=listed)
        case Told.NEW:
            _book(draft, venue, fill, order, listed=listed)
        case Told.UNDECIDABLE:
            name = order.client_id if order is not None else fill.order_id
            moves.integrity(draft, f"trade {fill.trade_id} of {name} equals one that is booked, and the order executed no more")
    return True


def _is_known(ledger: Ledger, fill: Fill) -> bool:
    # The baseline of an older journal names the trades before it by their ids alone.
    return trade_key(fill.order_id, fill.trade_id) in ledger.trades or fill.trade_id in ledger.trades


def _remember(
    draft: Draft, venue: VenueName, fill: Fill, order: OrderState | None, booked: Booking | None, *, listed: bool
) -> None:
    assert booked is not None
    draft.emit(
        e.FillRepeated(
            venue=venue,
            trade_id=fill.trade_id,
            order_id=fill.order_id,
            client_id=order.client_id if order is not None else fill.client_id,
            booked_as=booked.id_of(listed=not listed),
            listed=listed,
        )
    )


def _book(draft: Draft, venue: VenueName, fill: Fill, order: OrderState | None, *, listed: bool) -> None:
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
            listed=listed,
        )
    )
    if order is None:
        moves.integrity(draft, f"trade {fill.trade_id} on {venue} belongs to no order of ours ({fill.client_id or 'no client id'})")
        return
    if contradiction := _contradiction(order, fill, draft.after.orders[order.client_id].booked):
        moves.integrity(draft, contradiction)


def _contradiction(order: OrderState, fill: Fill, booked: object) -> str:
    name = order.client_id
    if contradiction := contradicted_ids(order, fill.client_id, fill.order_id):
        return contradiction
    if (fill.symbol, fill.side) != (order.symbol, order.side):
        return f"{name} was sent as {order.side} {order.symbol} and traded as {fill.side} {fill.symbol}"
    if order.status is OrderStatus.REJECTED:
        return f"{name} was rejected ({order.reject_code} {order.reject_message}), but it traded"
    if order.quantity is not None and order.booked + fill.quantity > order.quantity:
        return f"{name} filled {booked} of {order.quantity}"
    return ""
