"""Decides that an UNKNOWN order was never placed, and releases what it reserves. ``sweeps`` calls it with readings that agree.

A reservation that is released too early lets real orders exceed the cap. A venue can lose an answer, freeze its private stream and
answer every query with an old state, all at once. So all of these proofs are needed, or the order stays UNKNOWN:

1. **It can no longer arrive.** The venue's window for a signed request and the policy's grace have passed since the answer was
   lost. The instant at which they have passed is the horizon.
2. **The look-ups agree.** At least ``settle.lookups_min`` of them found nothing: the query for the order knows no such order, and
   neither the open orders nor the fills hold it. The last of them began after the horizon.
3. **The account agrees.** In a reading that began after the horizon, the totals are those of our books, the open orders are exactly
   the known ones, and each asset's locked balance is what those orders lock.
4. **The reading is not old.** It shows an order of ours, or a trade of one, that was admitted after the horizon: the venue cannot
   show what had not been sent. Or it shows a trade of an older order that the venue dates after the horizon, by more than the
   clocks may differ: ``guards.clock_offset`` halts above its ``halt_ms``, and has judged the clocks since the horizon. The totals
   are those after that trade, so the balances that lock nothing are not older either. A private stream that answers PINGs proves
   nothing, because a frozen one answers them too. A bot may cancel its orders sooner than the next reading, so one is asked for as
   soon as it would have something to show.

A bot that never pauses leaves no moment in which its account stands still for the length of a reading. So ``STILL_AFTER_MS`` after
the horizon, if no reading completed the proof though the venue has something younger to show, new buys wait for ``STILL_FOR_MS``
while the account is read. If that was not enough, all of a bot's orders wait from ``ALL_AFTER_MS`` on, until the proof is there or
the guard halts, which would take no sales at all. Cancels never wait, and neither does what gatehouse sells itself.

Without the fourth proof nothing is released where orders can be admitted, and ``guards.unknown_order`` halts the deployment. What
remains are lost orders that reserve the rest of the cap while nothing else trades: the venue then has nothing younger to show, and
the halt is the right end. A cancel of an older order shows nothing: an answer from before that order looks the same. Where none can
be admitted, because the deployment is HALTED or trades elsewhere, time is the proof: ``unknown_order.max_age_ms`` more. The cancels
of the halt have run by then, and a person signs before anything is admitted again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from controller.core import events as e
from controller.core.decisions.draft import Draft
from controller.core.decisions.whose import find
from controller.core.effects import ReadAccount
from controller.core.inputs import AccountRead
from controller.core.order_state import AT_THE_VENUE, ZERO, OrderState
from controller.core.state import State
from exchange.model import Millis, OrderReport, OrderStatus, Side
from exchange.ports import VenueName
from exchange.wire.errors import ErrorCode
from exchange.wire.signing import DEFAULT_RECV_WINDOW
from policies.limit_types import Deny
from policies.schema import Policy

UNKNOWN_ORDER = "unknown-order"
"""The rule that denies orders for a few seconds, so that the account stands still while it is read."""

STILL_AFTER_MS, STILL_FOR_MS, ALL_AFTER_MS = 5_000, 5_000, 15_000
"""From the horizon on. The orders of the time before show that a reading is new."""


@dataclass(frozen=True, slots=True)
class _Lock:
    """What the known orders lock of one asset. Whether a buy locks its fee too is not documented (mexc-spot-v3.md §6)."""

    least: Decimal = ZERO
    most: Decimal = ZERO

    def plus(self, least: Decimal, most: Decimal) -> _Lock:
        return _Lock(self.least + least, self.most + most)


def release_absent(draft: Draft, reading: AccountRead) -> None:
    """Release every order of the venue that this reading completes the proof for. The reading agrees with our books."""
    policy = draft.after.policy
    if policy is None:
        return
    looked_up = [order for order in draft.after.open_on(reading.venue) if _looked_up_enough(order, policy)]
    waiting = [order for order in looked_up if reading.started_at >= _horizon(order, policy)]
    locks = _known_locks(draft, reading, policy) if waiting else None
    if locks is None:
        return
    for order in waiting:
        if _account_has_no_room(order, locks, reading, policy) and _is_recent(draft, order, reading, policy):
            draft.emit(
                e.OrderRejected(
                    client_id=order.client_id,
                    code=ErrorCode.NO_SUCH_ORDER,
                    message=f"proven absent: {order.misses} look-ups found no order and no fill, and the account locks nothing",
                )
            )


def read_if_it_proves(draft: Draft, venue: VenueName) -> None:
    """Ask for a reading while only the reading is missing and the venue can show an order that was admitted after the horizon.

    A bot may cancel such an order before the next sweep, and the next one too.
    """
    policy = draft.after.policy
    if policy is None:
        return
    horizons = [_horizon(order, policy) for order in _looked_up(draft.after, venue, policy)]
    if horizons and any(_may_be_shown(order) and order.admitted_at >= min(horizons) for order in draft.after.open_on(venue)):
        draft.do(ReadAccount(venue))


def makes_wait(state: State, side: Side, now: Millis) -> Deny | None:
    """The denial of a bot's new order while an order's absence is being proven on the venue in use. ``orders`` calls it."""
    still = _stillness(state, now)
    if still is None or (side is Side.SELL and still.sales_pass):
        return None
    return Deny(
        UNKNOWN_ORDER,
        "one order without an outcome",
        "none",
        f"the outcome of {still.order.client_id} is not known, and the account is read while no order changes it",
        "Send the order again in 5 s; `gatehouse status` says what the proof still lacks.",
    )


def read_standing_still(draft: Draft) -> None:
    """Have the account read again and again while orders wait for it. ``ticks`` calls it."""
    still = _stillness(draft.after, draft.now)
    if still is not None:
        draft.do(ReadAccount(still.order.venue))


@dataclass(frozen=True, slots=True)
class _Stillness:
    """An order whose absence only a reading can prove, and whether sales pass meanwhile."""

    order: OrderState
    sales_pass: bool


def _stillness(state: State, now: Millis) -> _Stillness | None:
    policy, venue = state.policy, state.venue
    if policy is None or venue is None:
        return None
    looked_up = _looked_up(state, venue, policy)
    oldest = min(looked_up, key=lambda order: (_horizon(order, policy), order.number), default=None)
    since = 0 if oldest is None else now - _horizon(oldest, policy)
    if oldest is None or since < STILL_AFTER_MS or STILL_AFTER_MS + STILL_FOR_MS <= since < ALL_AFTER_MS:
        return None
    return _Stillness(oldest, sales_pass=since < ALL_AFTER_MS) if _has_younger(state, venue, _horizon(oldest, policy)) else None


def _has_younger(state: State, venue: VenueName, horizon: int) -> bool:
    """Whether a reading of now could show an order that was admitted after the horizon: it is open, or it traded.

    One that was rejected, or cancelled before it traded, is in no list. Only the orders that would have to wait can then prove it.
    """
    if any(_may_be_shown(order) and order.admitted_at >= horizon for order in state.open_on(venue)):
        return True
    traded = (one for one in reversed(state.ledger(venue).recent) if one.booked_at >= horizon and one.client_id)
    return any(order.admitted_at >= horizon for one in traded if (order := state.orders.get(one.client_id)) is not None)


def _may_be_shown(order: OrderState) -> bool:
    return order.status in AT_THE_VENUE and not order.cancel_requested


def missing_proof(state: State, order: OrderState, now: Millis) -> str:
    """Why an UNKNOWN order is not given up yet, as a person reads it; empty for any other order."""
    policy = state.policy
    if order.status is not OrderStatus.UNKNOWN or policy is None:
        return ""
    since = now - _horizon(order, policy)
    ledger, wait = state.ledger(order.venue), policy.guards.unknown_order.max_age_ms
    if order.executed:
        why = f"{order.executed:f} of it traded"
    elif since < 0:
        why = f"it can still arrive for {-since} ms"
    elif not _looked_up_enough(order, policy):
        why = f"{order.misses} look-ups found nothing, of {policy.settle.lookups_min}, and one has to begin in the last {since} ms"
    elif not ledger.clean:
        why = f"the account does not agree: {'; '.join(ledger.suspected)[:200]}"
    elif state.venue is order.venue:
        why = f"no reading that agrees shows an order of ours, or a trade, from the last {since} ms"
    elif since < wait:
        why = f"nothing is admitted there that could show a reading to be new, so {wait - since} ms more have to pass"
    else:
        why = "no reading that began late enough agrees yet"
    return f"order {order.client_id}: not proven absent because {why}"


def _horizon(order: OrderState, policy: Policy) -> int:
    assert order.unknown_since is not None
    return order.unknown_since + DEFAULT_RECV_WINDOW + policy.settle.unknown_grace_ms


def _looked_up(state: State, venue: VenueName, policy: Policy) -> list[OrderState]:
    """The orders of a venue that were looked up enough, in no particular order. Each new order asks for them."""
    return [
        order
        for order in state.open.values()
        if order.status is OrderStatus.UNKNOWN and order.venue is venue and _looked_up_enough(order, policy)
    ]


def _looked_up_enough(order: OrderState, policy: Policy) -> bool:
    if order.status is not OrderStatus.UNKNOWN or order.executed:
        return False
    return order.misses >= policy.settle.lookups_min and order.missed_at >= _horizon(order, policy)


def _known_locks(draft: Draft, reading: AccountRead, policy: Policy) -> Mapping[str, _Lock] | None:
    """What our open orders lock, by asset. ``None`` if the reading shows others, or if what one of them locks is not certain."""
    orders = draft.after.open_on(reading.venue)
    known = {order.client_id: order for order in orders if order.status in AT_THE_VENUE}
    listed = {
        order.client_id: report
        for report in reading.snapshot.open_orders
        if (order := find(draft.after, reading.venue, report.client_id, report.order_id)) is not None
        and isinstance(report, OrderReport)
    }
    if listed.keys() != known.keys() or any(order.status is OrderStatus.ADMITTED for order in orders):
        return None
    locks: dict[str, _Lock] = {}
    for client_id, report in listed.items():
        lock = _lock_of(known[client_id], report, reading, policy)
        if lock is None:
            return None
        asset, least, most = lock
        locks[asset] = locks.get(asset, _Lock()).plus(least, most)
    return locks


def _lock_of(order: OrderState, report: OrderReport, reading: AccountRead, policy: Policy) -> tuple[str, Decimal, Decimal] | None:
    fee = reading.fees.get(order.symbol)
    changed = order.updated_at > reading.started_at or order.cancel_requested or order.executed != report.executed
    if changed or fee is None or order.quantity is None or order.price is None:
        return None
    left = order.quantity - report.executed
    if order.side is Side.SELL:
        return _base(order, policy), left, left
    return policy.eur_rate.asset, left * order.price, left * order.price * (1 + fee)


def _account_has_no_room(order: OrderState, locks: Mapping[str, _Lock], reading: AccountRead, policy: Policy) -> bool:
    """Whether each asset's locked balance is what the known orders lock, too little for ``order`` to be hidden in it."""
    balances = reading.snapshot.balances
    asset, needed = _least_lock(order, policy)
    for name in balances.keys() | locks.keys() | {asset}:
        locked = balances[name].locked if name in balances else ZERO
        lock = locks.get(name, _Lock())
        if not lock.least <= locked <= lock.most:
            return False
        if name == asset and locked != lock.least and locked - lock.least >= needed:
            return False
    return True


def _least_lock(order: OrderState, policy: Policy) -> tuple[str, Decimal]:
    if order.side is Side.SELL:
        return _base(order, policy), order.quantity or ZERO
    if order.quantity is None or order.price is None:
        return policy.eur_rate.asset, order.quote_quantity or ZERO
    return policy.eur_rate.asset, order.quantity * order.price


def _is_recent(draft: Draft, order: OrderState, reading: AccountRead, policy: Policy) -> bool:
    """Whether the venue made this reading after the order's horizon: the fourth proof."""
    horizon = _horizon(order, policy)
    if draft.after.venue is not reading.venue and reading.started_at >= horizon + policy.guards.unknown_order.max_age_ms:
        return True
    snapshot, after = reading.snapshot, _surely_after(draft, horizon, reading.venue, policy)
    shown = [(report.client_id, report.order_id, False) for report in snapshot.open_orders]
    shown += [(fill.client_id, fill.order_id, after is not None and fill.at > after) for fill in snapshot.fills]
    ours = ((find(draft.after, reading.venue, *ids), is_young) for *ids, is_young in shown)
    return any(one is not None and (is_young or one.admitted_at >= horizon) for one, is_young in ours)


def _surely_after(draft: Draft, horizon: int, venue: VenueName, policy: Policy) -> int | None:
    """What the venue dates later than this happened after the horizon; ``None`` while the clocks cannot be compared."""
    judged_at = draft.after.ledger(venue).clock_judged_at
    # A drill of the clock makes the difference up, and nothing halts a deployment that is stopped or elsewhere.
    if judged_at is None or judged_at < horizon or draft.after.venue is not venue or draft.after.drill is not None:
        return None
    return horizon + policy.guards.clock_offset.halt_ms


def _base(order: OrderState, policy: Policy) -> str:
    return order.symbol.removesuffix(policy.eur_rate.asset)
