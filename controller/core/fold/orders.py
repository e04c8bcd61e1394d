"""How events about orders and fills change the state. ``controller.core.fold.apply`` calls it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from operator import itemgetter

from immutables import Map

from controller.core import events as e
from controller.core.bookings import Booking, misnamed, trade_key, without
from controller.core.fold import budget, signals
from controller.core.fold.flatten import SELLER
from controller.core.movements import KEPT, Movement, changes, may_be_cut
from controller.core.order_state import IN_FLIGHT, OrderState, bot_key, settled_line
from controller.core.state import Ledger, State
from exchange.model import Millis, OrderStatus, Side
from exchange.orders import advance
from exchange.ports import NOT_SENT, VenueName
from exchange.wire.errors import ErrorCode
from gates.collecting import ZERO, Ended, Trade, Watched
from gates.measure import Tally
from policies.values import replace

FORM = frozenset({
    ErrorCode.BAD_COMBINATION, ErrorCode.SIGNATURE_FAILED, ErrorCode.AMOUNT_NULL, ErrorCode.AMOUNT_SCALE, ErrorCode.AMOUNT_WRONG,
    ErrorCode.AMOUNT_NOT_POSITIVE, ErrorCode.BELOW_MINIMUM, ErrorCode.ABOVE_MAXIMUM, ErrorCode.TYPE_NOT_ALLOWED,
    ErrorCode.BAD_PARAMETER, ErrorCode.PARAMETER_NULL, ErrorCode.BELOW_MINIMUM_VALUE, ErrorCode.BAD_SIGNATURE,
    ErrorCode.MISSING_PARAMETER, ErrorCode.ILLEGAL_CHARACTERS,
})  # fmt: skip
"""The rejects that say that the order itself is malformed: precision, signature, size, fields (mexc-spot-v3.md §1.6)."""


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
        state, order = _ended(state, order), replace(order, watched=None)
        still_open = state.open.delete(name) if name in state.open else state.open
        return replace(state, open=still_open, settled=state.settled.put(name, settled_line(order)))
    settled = state.settled if name in state.open else state.settled.drop(name)
    return replace(state, open=state.open.set(name, order), settled=settled)


def _ended(state: State, order: OrderState) -> State:
    """Record an order of the run that has ended at its venue. A rejected one never began there."""
    kept, policy = order.watched, state.policy
    if kept is None or policy is None or order.status is OrderStatus.REJECTED or not _of_this_run(state, order):
        return state
    ordered = order.quantity if order.quantity is not None else order.venue_quantity
    ended = Ended(
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        admitted_at=order.admitted_at,
        ended_at=state.at,
        ordered=ordered,
        ordered_quote=order.quote_quantity,
        complete=order.status is OrderStatus.FILLED,
        filled=order.booked,
        filled_quote=order.booked_quote,
        # Samples tell the prices of the first symbol only.
        mid_at_end=state.tally.collected.mid if state.tally is not None and order.symbol == policy.symbols[0] else None,
        watched=kept,
    )
    return _counted(state, lambda tally: tally.with_ended(ended, cancel_requested=order.cancel_requested))


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
        watched=None if event.bot == SELLER else Watched((event.bid + event.ask) / 2),
    )
    horizon = state.at - state.policy.limits.order_rate.per_ms
    ids, bot_id = state.by_bot_id, event.bot_client_id
    state = signals.decided(state, event)
    return replace(
        put(state if event.bot == SELLER else _counted(state, Tally.with_order), order),
        order_number=order.number,
        by_bot_id=ids.put(bot_key(event.bot, bot_id), state.known_as(order)) if bot_id else ids,
        admissions=(*state.admissions[bisect_right(state.admissions, horizon) :], state.at),
    )


def denied(state: State, event: e.OrderDenied) -> State:
    """Count a denied order."""
    return _counted(signals.decided(state, event), lambda tally: tally.with_denial())


def denied_again(state: State, event: e.OrdersDeniedAgain) -> State:
    """Count orders that were denied like one before."""
    return _counted(signals.denied_again(state, event), lambda tally: tally.with_denial(event.count))


def _settled(state: State, order: OrderState) -> State:
    """Count how long an order was UNKNOWN, now that its outcome is proven."""
    since = order.unknown_since
    return state if since is None else _counted(state, lambda tally: tally.with_settled(state.at - since))


def _outcome(state: State, *, accepted: bool) -> State:
    assert state.policy is not None
    horizon = state.at - state.policy.guards.reject_rate.window_ms
    # They are in the order of the journal's time, so what is too old is at the beginning. A busy bot has thousands of them.
    recent = list(state.outcomes)
    del recent[: bisect_right(recent, horizon, key=itemgetter(0))]
    recent.append((state.at, accepted))
    return replace(state, outcomes=tuple(recent))


def acked(state: State, event: e.OrderAcked) -> State:
    """Mark an order as accepted by the venue."""
    order = state.orders[event.client_id]
    in_flight = order.status in IN_FLIGHT
    status = OrderStatus.NEW if in_flight else order.status
    order_after = replace(
        _as_taken(order, event),
        status=status,
        order_id=event.order_id,
        unknown_since=None,
        unknown_reason="",
        watched=_answered(state, order),
    )
    after = _settled(put(state, order_after), order)
    return _outcome(after, accepted=True) if in_flight else after


def _answered(state: State, order: OrderState) -> Watched | None:
    """What is kept of an order, with the time of the venue's first answer."""
    kept = order.watched
    if kept is None or kept.acked_after_ms is not None:
        return kept
    return replace(kept, acked_after_ms=state.at - order.admitted_at)


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
    form = event.code in FORM
    return _counted(after, lambda tally: tally.with_reject(for_its_form=form)) if _of_this_run(state, order) else after


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
            watched=_answered(state, order),
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
    state, kept = _traded(state, event, order)
    return put(
        state,
        replace(
            order,
            watched=kept,
            order_id=order.order_id or event.order_id,
            bookings=known,
            booked=booked,
            booked_quote=order.booked_quote + event.quote,
            executed=max(order.executed, booked),
            executed_quote=max(order.executed_quote, order.booked_quote + event.quote),
        ),
    )


def _traded(state: State, event: e.FillBooked, order: OrderState) -> tuple[State, Watched | None]:
    """Count a trade of an order of the run. One of ours that is not evidence still takes away what the run had bought."""
    if state.tally is None or state.policy is None or event.venue is not state.watched:
        return state, order.watched
    if not _of_this_run(state, order):
        gone = event.side is Side.SELL
        return (_counted(state, lambda tally: tally.with_gone(event.symbol, event.quantity)) if gone else state), order.watched
    quote = state.policy.eur_rate.asset
    in_quote, in_base = event.fee_asset == quote or not event.fee, event.fee_asset == event.symbol.removesuffix(quote)
    trade = Trade(
        client_id=event.client_id,
        symbol=event.symbol,
        side=event.side,
        quantity=event.quantity,
        quote=event.quote,
        fee=event.fee if in_quote else event.fee * event.price if in_base else ZERO,
        fee_base=event.fee if in_base else ZERO,
        mid=None if order.watched is None else order.watched.mid,
        at=Millis(event.traded_at),
    )
    # A fee in a third asset halts (``decisions.fee_assets``), unless the policy trades it; its price is in no entry either way.
    tally, kept = state.tally.with_trade(trade, order.watched, valued=in_quote or in_base)
    return replace(state, tally=tally), kept


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
