"""Asks the decision about orders what it would answer now, without an order. ``controller.runtime.drills`` calls it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from controller.core.decisions.draft import Draft
from controller.core.decisions.orders import order_requested
from controller.core.inputs import OrderRequested
from controller.core.state import State
from exchange.model import Millis, OrderIntent, OrderType, Quote, Side, SymbolRules
from policies.eur import lowest
from policies.limit_types import Deny


def refusing_rule(
    state: State, quotes: Mapping[str, Quote], rules: Mapping[str, SymbolRules], now: Millis, last_price: Decimal
) -> str | None:
    """The rule that would deny a small buy of the first symbol now; empty when it would be admitted, ``None`` without a bot's key.

    Nothing is decided: the draft is dropped, so no event and no effect of it exists.
    """
    key = next((key for key in state.bot_keys.values() if not key.revoked), None)
    if key is None or state.policy is None or state.venue is None:
        return None
    symbol = state.policy.symbols[0]
    rule = rules.get(symbol)
    tick, step = (rule.tick_size, rule.quantity_step) if rule is not None else (Decimal("0.01"), Decimal("0.01"))
    price = _down(last_price * Decimal("0.998"), tick)
    value = state.policy.limits.order_notional_max_eur * lowest(state.policy.eur_rate, state.rates)
    intent = OrderIntent(symbol, Side.BUY, OrderType.LIMIT, "", quantity=_down(value / price, step), price=price)
    request = OrderRequested(key.bot, intent, quotes, rules, state.venue, key.key)
    reply = order_requested(Draft(state, now), request)
    return str(reply.rule) if isinstance(reply, Deny) else ""


def _down(value: Decimal, step: Decimal) -> Decimal:
    return value // step * step
