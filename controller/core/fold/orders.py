"""How events about orders and fills change the state. ``controller.core.fold.apply`` calls it."""

from __future__ import annotations

from collections.abc import Callable

from immutables import Map

from controller.core import events as e
from controller.core.bookings import Booking, misnamed, trade_key, without
from controller.core.fold import budget
from controller.core.fold.flatten import SELLER
from controller.core.movements import KEPT, Movement, changes, may_be_cut
from controller.core.order_state import IN_FLIGHT, OrderState, bot_key, settled_line
from controller.core.state import Ledger, State
from exchange.model import Millis, OrderStatus
from exchange.orders import advance
from exchange.ports import NOT_SENT, VenueName
from gates.measure import Tally
from policies.values import replace


def _counted(state: State, count: Callable[[Tally], Tally]) -> State:
    return replace(state, tally=count(state.tally)) if state.tally is not None else state


def _of_this_run(state: State, order: OrderState) -> bool:
    # Orders of an earlier stage are no evidence about this one.
    # Nor is what gatehouse itself sold evidence about the bot.
    ours = order.bot == SELLER
    return (
        state.tally is not None and not ours and order.stage is state.position.stage and order.admitted_at >= state.tally.started_at
    )


def put(state: State, order: OrderState) -> State:
    """Replace one order. A settled order moves to the compact map; a late report that unsettles it moves it back.

    The venue's id is remembered for ever: MEXC's trade lists name no other (mexc-spot-v3.md §6).
    """
    order = replace(order, updated_at=state.at)
    name = order.client_id
    ledger = state.ledgers[order.venue]
    if order.order_id and order.order_id not in ledger.ids:
        ledger = replace(ledger, ids=ledger.ids.put(order.order_id, state.known_as(order)))
        if _is_told(state, order):
            ledger = replace(ledger, books=ledger.books.with_order(order, state.at))
        state = replace(state, ledgers=state.ledgers.set(order.venue, ledger))
    if order.settled:
        still_open = state.open.delete(name) if name in state.open else state.open
        return replace(state, open=still_open, settled=state.settled.put(name, settled_line(order)))
    settled = state.settled if name in state.open else state.settled.drop(name)
    return replace(state, open=state.open.set(name, order), settled=settled)


def _is_told(state: State, order: OrderState) -> bool:
    """Whether the testnet has to sign what became of an order. Earlier versions named orders otherwise."""
    return order.venue is VenueName.TESTNET and order.client_id.startswith(state.order_prefix)


def admitted(state: State, event: e.OrderAdmitted) -> State:
    """Add a new order. It counts in the exposure from now on."""
    assert state.policy is not None
    order = OrderState(
        number=state.order_number + 1,
        client_id=event.client_id,
        bot=event.bot,
        bot_client_id=event.bot_client_id,
        venue=event.venue,
        stage=event.stage,
        symbol=event.symbol,
        side=event.side,
        type=event.type,
        quantity=event.quantity,
        quote_quantity=event.quote_quantity,
        price=event.price,
        admitted_at=state.at,
        updated_at=state.at,
        epoch=state.epoch,
        conditions=event.conditions,
    )
    horizon = state.at - state.policy.limits.order_rate.per_ms
    ids, bot_id = state.by_bot_id, event.bot_client_id
    return replace(
        put(state if event.bot == SELLER else _counted(state, Tally.with_order), order),
        order_number=order.number,
        by_bot_id=ids.put(bot_key(event.bot, bot_id), state.known_as(order)) if bot_id else ids,
        admissions=(*(when for when in state.admissions if when > horizon), state.at),
    )


def denied(state: State, _: e.OrderDenied) -> State:
    """Count a denied order."""
    return _counted(state, lambda tally: tally.with_denial())


def denied_again(state: State, event: e.OrdersDeniedAgain) -> State:
    """Count orders that were denied like one before."""
    return _counted(state, lambda tally: tally.with_denial(event.count))


def _settled(state: State, order: OrderState) -> State:
    """Count how long an order was UNKNOWN, now that its outcome is proven."""
    since = order.unknown_since
    return state if since is None else _counted(state, lambda tally: tally.with_settled(state.at - since))


def _outcome(state: State, *, accepted: bool) -> State:
    assert state.policy is not None
    horizon = state.at - state.policy.guards.reject_rate.window_ms
    recent = (outcome for outcome in state.outcomes if outcome[0] > horizon)
    return replace(state, outcomes=(*recent, (state.at, accepted)))


def acked(state: State, event: e.OrderAcked) -> State:
    """Mark an order as accepted by the venue."""
    order = state.orders[event.client_id]
    in_flight = order.status in IN_FLIGHT
    status = OrderStatus.NEW if in_flight else order.status
    order_after = replace(_as_taken(order, event), status=status, order_id=event.order_id, unknown_since=None, unknown_reason="")
    after = _settled(put(state, order_after), order)
    return _outcome(after, accepted=True) if in_flight else after


def _as_taken(order: OrderState, event: e.OrderAcked | e.OrderReported) -> OrderState:
    """The order with the price and the quantity that the venue states."""
    return replace(
        order,
        venue_price=order.venue_price if event.price is None else event.price,
        venue_quantity=order.venue_quantity if event.quantity is None else event.quantity,
    )


def rejected(state: State, event: e.OrderRejected) -> State:
    """Mark an order as rejected by the venue, or proven to be absent there."""
    order = state.orders[event.client_id]
    following = advance(order.status, OrderStatus.REJECTED)
    order_after = replace(
        order, status=following, reject_code=event.code, reject_message=event.message, unknown_since=None, unknown_reason=""
    )
    after = put(state, order_after)
    if event.code == NOT_SENT:
        # The order never left this process, so it says nothing about how many orders the venue rejects.
        return after
    after = _outcome(_settled(after, order), accepted=False)
    return _counted(after, Tally.with_reject) if _of_this_run(state, order) else after


def unknown(state: State, event: e.OrderUnknown) -> State:
    """Mark the outcome of an order as unknown, unless the venue has reported it already."""
    order = state.orders[event.client_id]
    following = advance(order.status, OrderStatus.UNKNOWN)
    if following is not OrderStatus.UNKNOWN:
        return put(state, replace(order, status=following))
    since = state.at if order.unknown_since is None else order.unknown_since
    return put(state, replace(order, status=following, unknown_since=since, unknown_reason=event.reason))


def missed(state: State, event: e.LookupMissed) -> State:
    """Count one look-up that did not find the order."""
    order = state.orders[event.client_id]
    return put(state, replace(order, misses=order.misses + 1, missed_at=Millis(max(order.missed_at, event.asked_at))))


def reported(state: State, event: e.OrderReported) -> State:
    """Take over what the venue reports about an order. Executed amounts never decrease."""
    order = state.orders[event.client_id]
    after = put(
        _settled(state, order),
        replace(
            _as_taken(order, event),
            status=advance(order.status, event.status),
            order_id=event.order_id or order.order_id,
            executed=max(order.executed, event.executed),
            executed_quote=max(order.executed_quote, event.executed_quote),
            reported=max(order.reported, event.executed),
            unknown_since=None,
            unknown_reason="",
            misses=0,
            missed_at=Millis(0),
        ),
    )
    # The private stream is often faster than the reply to the placement.
    return _outcome(after, accepted=True) if order.status in IN_FLIGHT else after


def filled(state: State, event: e.FillBooked) -> State:
    """Book one trade: update the balances, and the order it belongs to."""
    ledger = state.ledgers[event.venue]
    order = state.orders.get(event.client_id)
    known = order.bookings if order is not None else ledger.strangers.get(event.order_id, ())
    # An id that had been taken for the second id of an equal trade is that of this one, in both places.
    both = any(one.id_of(listed=not event.listed) == event.trade_id for one in known)
    listed, streamed = (event.trade_id if event.listed or both else ""), (event.trade_id if both or not event.listed else "")
    booking = Booking(event.price, event.quantity, Millis(event.traded_at), listed, streamed, fee=event.fee, from_list=event.listed)
    known = (*without(known, event.trade_id, listed=not event.listed), booking)
    assert state.policy is not None
    ledger = replace(
        ledger if order is None else budget.traded(ledger, event, state.policy),
        totals=budget.settle(ledger.totals or Map(), event, state.policy),
        trades=ledger.trades.put(trade_key(event.order_id, event.trade_id), event.client_id),
        fills_booked=ledger.fills_booked + 1,
        cursor=Millis(max(ledger.cursor, event.traded_at)),
        one_numbering=ledger.one_numbering or both,
        recent=(*ledger.recent[1 - KEPT :], _movement(ledger, event, state)),
    )
    if order is None:
        ledger = replace(ledger, strangers=ledger.strangers.set(event.order_id, known))
    elif _is_told(state, order):
        ledger = replace(ledger, books=ledger.books.with_fill(event, order, state.at))
    state = replace(state, ledgers=state.ledgers.set(event.venue, ledger))
    if order is None:
        return state
    booked = order.booked + event.quantity
    return put(
        _counted(state, Tally.with_fill) if _of_this_run(state, order) else state,
        replace(
            order,
            order_id=order.order_id or event.order_id,
            bookings=known,
            booked=booked,
            booked_quote=order.booked_quote + event.quote,
            executed=max(order.executed, booked),
            executed_quote=max(order.executed_quote, order.booked_quote + event.quote),
        ),
    )


def repeated(state: State, event: e.FillRepeated) -> State:
    """Remember the second id of a booked trade. An id that was taken for it by mistake is free again, and will be booked."""
    ledger = state.ledgers[event.venue]
    order = state.orders.get(event.client_id)
    bookings = order.bookings if order is not None else ledger.strangers.get(event.order_id, ())
    trades = ledger.trades
    if (wrong := misnamed(bookings, event.trade_id, listed=event.listed)) is not None:
        trades = trades.drop(trade_key(event.order_id, wrong.id_of(listed=event.listed)))
    ledger = replace(
        ledger,
        trades=trades.put(trade_key(event.order_id, event.trade_id), event.client_id),
        one_numbering=ledger.one_numbering or event.trade_id == event.booked_as,
    )
    named = tuple(_named(one, event) for one in bookings)
    if order is None:
        ledger = replace(ledger, strangers=ledger.strangers.set(event.order_id, named))
    state = replace(state, ledgers=state.ledgers.set(event.venue, ledger))
    return state if order is None else put(state, replace(order, bookings=named))


def _named(one: Booking, event: e.FillRepeated) -> Booking:
    if one.id_of(listed=not event.listed) != event.booked_as:
        return one
    return replace(one, listed=event.trade_id) if event.listed else replace(one, streamed=event.trade_id)


def _movement(ledger: Ledger, event: e.FillBooked, state: State) -> Movement:
    assert state.policy is not None
    return Movement(
        number=ledger.fills_booked + 1,
        key=trade_key(event.order_id, event.trade_id),
        client_id=event.client_id,
        symbol=event.symbol,
        quantity=event.quantity,
        changes=changes(event, state.policy.eur_rate.asset),
        at=Millis(event.traded_at),
        booked_at=state.at,
        whole_second=may_be_cut(event.traded_at, listed=event.listed),
    )


def cancel_requested(state: State, event: e.CancelRequested) -> State:
    """Mark that a cancellation of the order was requested."""
    return put(state, replace(state.orders[event.client_id], cancel_requested=True))
