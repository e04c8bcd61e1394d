"""How events start, advance and end a flatten. ``controller.core.fold.apply`` and ``orders`` call it."""

from __future__ import annotations

from decimal import Decimal

from immutables import Map

from controller.core import events as e
from controller.core.effects import AlertKind
from controller.core.fold.alerts import raise_alert
from controller.core.state import Flatten, FlattenRecord, Slice, State
from policies.values import replace

SELLER = "gatehouse:flatten"
"""The name that stands for the bot in the orders of a flatten. No bot can have it, because of the colon."""

FLATTEN_RULE = "flatten"
"""The rule that denies a bot's order during a flatten."""


def started(state: State, event: e.FlattenStarted) -> State:
    """Begin. The venue counts as occupied until a reconciliation shows no open order."""
    flatten = Flatten(event.command_id, event.subject, event.guard, event.venue, event.symbols, event.reason, state.at)
    return replace(state, flatten=flatten)


def sliced(state: State, event: e.FlattenSliced) -> State:
    """Note the newest sale."""
    assert state.flatten is not None
    slices = state.flatten.slices.set(event.symbol, Slice(event.client_id, event.widening, state.at))
    flatten = replace(state.flatten, last=event.client_id, slices=slices, waits="", waits_rule="", waits_since=None)
    return replace(state, flatten=flatten)


def waits(state: State, event: e.FlattenWaits) -> State:
    """Note why no order is sent."""
    assert state.flatten is not None
    flatten = replace(state.flatten, waits=event.reason, waits_rule=event.rule, waits_since=state.at)
    return replace(state, flatten=flatten)


def ended(state: State, event: e.FlattenEnded) -> State:
    """End it, keep what it did, and call a person."""
    assert state.flatten is not None
    record = FlattenRecord(state.flatten, state.at, event.complete, Map(event.left), event.why)
    state = raise_alert(state, AlertKind.FLATTEN, f"the flatten on {event.venue} has ended", event.why[:500])
    return replace(state, flatten=None, last_flatten=record)


def reconciled(state: State, event: e.Reconciled) -> State:
    """A clean reconciliation without an open order proves that the cancels before the first sale are done."""
    flatten = state.flatten
    if flatten is None or event.venue is not flatten.venue or not event.clean or event.open_orders:
        return state
    return replace(state, flatten=replace(flatten, clear=True))


def filled(state: State, event: e.FillBooked) -> State:
    """Count what a sale sold."""
    flatten, order = state.flatten, state.orders.get(event.client_id)
    if flatten is None or order is None or order.bot != SELLER or order.admitted_at < flatten.since:
        return state
    sold = flatten.sold.set(event.symbol, flatten.sold.get(event.symbol, Decimal(0)) + event.quantity)
    return replace(state, flatten=replace(flatten, sold=sold))
