"""What a move leaves behind: coins that do not exist at the next venue, and orders that end. The proposal and the status show it.

Every venue has an account of its own, so nothing that a bot holds moves with the stage. The orders of the venue that is left are
cancelled by the move (``controller.core.decisions.moves``).
"""

from __future__ import annotations

from controller.core.decisions.account import bought
from controller.core.lifecycle import Position
from controller.core.order_state import OrderState
from controller.core.state import State, venue_of
from exchange.model import OrderStatus
from exchange.ports import VenueName
from policies.numbers import text
from policies.schema import Policy
from policies.stage import Stage

_CANCELLED = frozenset({OrderStatus.CANCELED, OrderStatus.PARTIALLY_CANCELED})


def left_behind(state: State, policy: Policy, target: Position) -> tuple[str, ...]:
    """What the bot has where the deployment is and will not have at ``target``; nothing for a move within one venue."""
    here, venue = state.watched, venue_of(target.stage)
    if here is None or venue is None or venue is here:
        return ()
    quote = policy.eur_rate.asset
    at = state.halted_from or state.position
    where = f"it stays in the account at {here}" if here is VenueName.LIVE else f"it does not exist at {target}"
    lines = [
        f"the bot holds {text(held)} {symbol.removesuffix(quote)} at {at}: {where}"
        for symbol in policy.symbols
        if (held := bought(state, policy, here, symbol)) > 0
    ]
    working = sum(1 for order in state.open_on(here) if order.working)
    if working:
        orders = "1 open order" if working == 1 else f"{working} open orders"
        lines.append(f"{orders} of {at} will be cancelled and end as CANCELED, because the deployment leaves {here}")
    return tuple(lines)


def cancel_reason(state: State, order: OrderState) -> str | None:
    """Why gatehouse ended an order that its bot did not cancel, as far as the deployment's moves tell."""
    if order.status not in _CANCELLED or order.cancel_requested:
        return None
    if state.watched is not None and order.venue is not state.watched:
        return f"gatehouse: the deployment left {order.stage} for {state.position}"
    if state.position.stage is Stage.HALTED and order.updated_at >= state.stage_since:
        return "gatehouse: the deployment is HALTED"
    return None
