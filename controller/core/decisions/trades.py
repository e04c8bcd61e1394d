"""Decisions about trades that a venue tells: book one once, under whichever ids it comes. ``decide`` and ``sweeps`` call it.

A trade belongs to the order that the venue's order id names, or else our own id (mexc-spot-v3.md §6: trade lists leave ours out).
Its identity is that order and the venue's trade id. ``controller.core.bookings`` judges a trade that is told under a new id.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from controller.core import events as e
from controller.core.bookings import Booking, OurBooks, doubt, judge, misnamed, named, trade_key, twin
from controller.core.decisions import fee_assets, moves
from controller.core.decisions.draft import Draft
from controller.core.decisions.whose import MAY_BE_OURS, contradicted_ids, find, may_trade
from controller.core.order_state import ZERO, OrderState
from controller.core.state import Ledger
from exchange.model import Fill, OrderStatus
from exchange.ports import VenueName
from policies.numbers import text


def fill_reported(draft: Draft, venue: VenueName, fill: Fill, *, listed: bool, shown: Container[str] = ()) -> str:
    """Book one trade, once. ``listed``: it comes out of the venue's trade list; ``shown`` are the keys of all trades in that list.

    Returns the open question while nobody can know what it is: it names no order that we know, and an order of ours whose id at the
    venue is not known yet may have made it; or it may be a booked trade under another id. The look-up of the order or a list that
    shows both tells, and the next reading of the account books the trade. Otherwise the question is empty.
    """
    ledger = draft.after.ledger(venue)
    if ledger.totals is None:
        return ""
    order, misfit = _order_of(draft, venue, fill)
    if _is_known(ledger, fill, order, listed=listed):
        _told_again(draft, venue, fill, order, misfit, listed=listed)
        return ""
    if order is None and not fill.client_id and any(may_trade(one, fill) for one in draft.after.open_on(venue)):
        return f"trade {fill.trade_id} {MAY_BE_OURS}"
    left = order.reported - order.booked if order is not None else ZERO
    final = order is not None and not order.working
    bookings, numbering = _bookings(ledger, fill, order), ledger.one_numbering
    match judge(bookings, fill, listed=listed, left=left, final=final, one_numbering=numbering, shown=shown):
        case OurBooks.REPEATED:
            _remember(draft, venue, fill, order, twin(bookings, fill, listed=listed), listed=listed)
        case OurBooks.NEW:
            _book(draft, venue, fill, order, misfit, listed=listed)
        case OurBooks.UNDECIDABLE:
            name = order.client_id if order is not None else fill.order_id
            moves.integrity(draft, f"trade {fill.trade_id} of {name} equals one that is booked, and the order executed no more")
        case OurBooks.WAITING:
            return f"trade {fill.trade_id} may be booked under another id"
    return ""


def by_certainty(draft: Draft, venue: VenueName, fills: Sequence[Fill]) -> list[Fill]:
    """The trades of a list, the surest first: equal booked trades are theirs, and not those of a trade of another fee or time."""
    ledger = draft.after.ledger(venue)

    def doubtful(fill: Fill) -> int:
        return doubt(_bookings(ledger, fill, _order_of(draft, venue, fill)[0]), fill, listed=True)

    return sorted(fills, key=doubtful)


def _order_of(draft: Draft, venue: VenueName, fill: Fill) -> tuple[OrderState | None, str]:
    """The order that made a trade, and why the order that the venue names cannot have made it.

    No source says that MEXC's order ids differ between symbols. A trade of another symbol or side is of no order that either id
    names, so that no order's executed amount changes; it halts.
    """
    named_by_id = find(draft.after, venue, fill.client_id, fill.order_id)
    if named_by_id is None or _fits(named_by_id, fill):
        return named_by_id, ""
    one = named_by_id
    why = f"{one.client_id} was sent as {one.side} {one.symbol} and traded as {fill.side} {fill.symbol}"
    named_by_us = find(draft.after, venue, fill.client_id, "")
    return (named_by_us if named_by_us is not None and _fits(named_by_us, fill) else None), why


def _fits(order: OrderState, fill: Fill) -> bool:
    return (order.symbol, order.side) == (fill.symbol, fill.side)


def _bookings(ledger: Ledger, fill: Fill, order: OrderState | None) -> Sequence[Booking]:
    return order.bookings if order is not None else ledger.strangers.get(fill.order_id, ())


def _is_known(ledger: Ledger, fill: Fill, order: OrderState | None, *, listed: bool) -> bool:
    # An order remembers its trades for ever, the ledger only those since its account was bound.
    if named(_bookings(ledger, fill, order), fill.trade_id, listed=listed) is not None:
        return True
    # The baseline names trades without their order, and that of an older journal by their ids alone.
    key = trade_key(fill.order_id, fill.trade_id)
    owners = {None, order.client_id if order is not None else ""}
    return fill.trade_id in ledger.trades or (key in ledger.trades and ledger.trades.get(key) in owners)


def _told_again(draft: Draft, venue: VenueName, fill: Fill, order: OrderState | None, misfit: str, *, listed: bool) -> None:
    bookings = _bookings(draft.after.ledger(venue), fill, order)
    known, taken = named(bookings, fill.trade_id, listed=listed), misnamed(bookings, fill.trade_id, listed=listed)
    if known is not None and (known.price, known.quantity) != (fill.price, fill.quantity):
        booked = f"{text(known.quantity)} at {text(known.price)}"
        again = f"{text(fill.quantity)} at {text(fill.price)}"
        name = order.client_id if order is not None else fill.order_id
        moves.integrity(draft, f"trade {fill.trade_id} of {name} is booked with {booked}, and now told with {again}")
    elif order is not None and (contradiction := contradicted_ids(order, fill.client_id, fill.order_id)):
        moves.integrity(draft, contradiction)
    elif taken is not None and taken.from_list is listed:
        # It was taken for the second id of an equal trade, which was booked with an id of this place.
        _book(draft, venue, fill, order, misfit, listed=listed)
    else:
        _learn_numbering(draft, venue, fill, order, listed=listed)


def _learn_numbering(draft: Draft, venue: VenueName, fill: Fill, order: OrderState | None, *, listed: bool) -> None:
    """Record, once, that the venue's lists and its stream number trades alike, and free an id that was taken for a repeat."""
    ledger = draft.after.ledger(venue)
    bookings = _bookings(ledger, fill, order)
    elsewhere = any(one.id_of(listed=not listed) == fill.trade_id for one in bookings)
    if elsewhere and (not ledger.one_numbering or misnamed(bookings, fill.trade_id, listed=listed) is not None):
        _tell_again(draft, venue, fill, order, fill.trade_id, listed=listed)


def _remember(
    draft: Draft, venue: VenueName, fill: Fill, order: OrderState | None, booked: Booking | None, *, listed: bool
) -> None:
    assert booked is not None
    _tell_again(draft, venue, fill, order, booked.id_of(listed=not listed), listed=listed)


def _tell_again(draft: Draft, venue: VenueName, fill: Fill, order: OrderState | None, booked_as: str, *, listed: bool) -> None:
    draft.emit(
        e.FillRepeated(
            venue=venue,
            trade_id=fill.trade_id,
            order_id=fill.order_id,
            client_id=order.client_id if order is not None else "",
            booked_as=booked_as,
            listed=listed,
        )
    )


def _book(draft: Draft, venue: VenueName, fill: Fill, order: OrderState | None, misfit: str, *, listed: bool) -> None:
    draft.emit(
        e.FillBooked(
            venue=venue,
            trade_id=fill.trade_id,
            order_id=fill.order_id,
            client_id=order.client_id if order is not None else "",
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
    fee_assets.check(draft, venue, fill)
    if misfit:
        moves.integrity(draft, misfit)
    elif order is None:
        moves.integrity(draft, f"trade {fill.trade_id} on {venue} belongs to no order of ours ({fill.client_id or 'no client id'})")
    elif contradiction := _contradiction(order, fill, draft.after.orders[order.client_id].booked):
        moves.integrity(draft, contradiction)


def _contradiction(order: OrderState, fill: Fill, booked: object) -> str:
    name = order.client_id
    if contradiction := contradicted_ids(order, fill.client_id, fill.order_id):
        return contradiction
    if order.status is OrderStatus.REJECTED:
        return f"{name} was rejected ({order.reject_code} {order.reject_message}), but it traded"
    if order.quantity is not None and order.booked + fill.quantity > order.quantity:
        return f"{name} filled {booked} of {order.quantity}"
    return ""
