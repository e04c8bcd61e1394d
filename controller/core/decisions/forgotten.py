"""Which unsettled orders a simulated venue does not know any more. ``rebaseline`` and ``venue_reports`` ask it.

A testnet whose state was deleted began anew, without the orders that were open in it. No report of it will ever settle them, and
while they are open no baseline can be taken and nothing is reconciled. So a signed baseline ends them too, once the venue was asked
often enough and long enough after they can still arrive. The live venue of production forgets nothing: there an order stays open
until the venue proves what became of it.
"""

from __future__ import annotations

from controller.core.decisions.whose import find
from controller.core.inputs import AccountRead
from controller.core.order_state import OrderState
from controller.core.state import State
from exchange.ports import VenueName
from exchange.wire.signing import DEFAULT_RECV_WINDOW
from policies.schema import Policy
from policies.stage import Environment


def forgets_ids(state: State, venue: VenueName) -> bool:
    """Whether the venue is a simulated one that a person can begin anew."""
    return venue is VenueName.TESTNET or (venue is VenueName.LIVE and state.environment is Environment.REHEARSAL)


def counts(state: State, order: OrderState) -> bool:
    """Whether a look-up that does not find the order is one more step to the proof. The journal gets no more than it needs."""
    return state.policy is not None and forgets_ids(state, order.venue) and order.working and not _asked_enough(order, state.policy)


def orders(state: State, venue: VenueName, read: AccountRead | None) -> tuple[OrderState, ...]:
    """The orders that the venue has forgotten, as far as this reading of its account and the look-ups before it show."""
    policy = state.policy
    if policy is None or read is None or not forgets_ids(state, venue):
        return ()
    snapshot = read.snapshot
    shown = [find(state, venue, one.client_id, one.order_id) for one in (*snapshot.open_orders, *snapshot.fills)]
    known = {order.client_id for order in shown if order is not None}
    return tuple(order for order in state.open_on(venue) if order.client_id not in known and _is_over(order, read, policy))


def line(state: State, order: OrderState) -> str:
    """What a person reads about an order that its venue does not know; empty for any other."""
    policy = state.policy
    if policy is None or not forgets_ids(state, order.venue) or not order.order_id or not _asked_enough(order, policy):
        return ""
    return (
        f"order {order.client_id}: {order.venue} does not know it any more, as {order.misses} look-ups show. "
        f"If {order.venue} began anew, end it with `gatehouse rebaseline --venue {order.venue} --key KEY --reason WHY`"
    )


def _is_over(order: OrderState, read: AccountRead, policy: Policy) -> bool:
    if order.working:
        return _asked_enough(order, policy) and read.started_at >= order.missed_at
    # It is final, and trades of it were never listed.
    return read.started_at >= order.updated_at + _grace(policy)


def _asked_enough(order: OrderState, policy: Policy) -> bool:
    since = order.admitted_at if order.unknown_since is None else order.unknown_since
    return order.working and order.misses >= policy.settle.lookups_min and order.missed_at >= since + _grace(policy)


def _grace(policy: Policy) -> int:
    return DEFAULT_RECV_WINDOW + policy.settle.unknown_grace_ms
