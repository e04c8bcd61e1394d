"""How answers of ``order/test`` and simulated real orders change the state. ``controller.core.fold.apply`` calls it."""

from __future__ import annotations

from controller.core import events as e
from controller.core.state import BreachWindow, State
from exchange.model import Side
from gates.bias import Pair, ShadowTally, price_advantage_bps
from gates.parity import OrderTestTally
from policies.stage import Stage
from policies.values import replace


def tested(state: State, event: e.OrdersTested) -> State:
    """Count answers of the real venue."""
    return replace(state, order_tests=state.order_tests.with_answers(event.accepted, event.refused, event.unjudged))


def compared(state: State, event: e.ShadowCompared) -> State:
    """Count a pair of this run. A pair of an earlier stage or step is no evidence about this one."""
    order, tally = state.orders.get(event.client_id), state.tally
    if order is None or tally is None or order.stage is not state.position.stage or order.admitted_at < tally.started_at:
        return state
    pair = Pair(
        simulated_filled=event.simulated_filled,
        filled=event.filled,
        price_bps=price_advantage_bps(event.simulated_price, event.price, event.mid, buys=order.side is Side.BUY),
        ack_ms=_difference(event.simulated_ack_ms, event.ack_ms),
        fill_ms=_difference(event.simulated_fill_ms, event.fill_ms),
    )
    return replace(state, shadow=state.shadow.with_pair(pair))


def revoked(state: State, event: e.ValidationRevoked) -> State:
    """Void the validation. The demotion is pending until the deployment is back at TESTNET_VALIDATING."""
    return replace(state, revoked=event.reason, breach_window=BreachWindow(state.at, event.reason, demotion_pending=True))


def moved(state: State) -> State:
    """After a move: a new run has no pairs yet, and what was revoked stays so until it is validated again."""
    here, state = state.position.stage, replace(state, shadow=ShadowTally())
    if here in {Stage.MOCK, Stage.TESTNET_VALIDATING}:
        return replace(state, order_tests=OrderTestTally(), revoked="")
    if not state.revoked:
        return state
    if here is Stage.HALTED:
        return replace(state, validation_void=state.revoked, validation_void_since=state.at)
    return replace(state, breach_window=BreachWindow(state.at, state.revoked, demotion_pending=True))


def _difference(simulated: int | None, real: int | None) -> int | None:
    return None if simulated is None or real is None else simulated - real
