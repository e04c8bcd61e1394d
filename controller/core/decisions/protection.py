"""Whether something could stop the loss of a position now. ``controller.core.decisions.ticks`` writes it into each sample."""

from __future__ import annotations

from decimal import Decimal

from controller.core.decisions import bot_liveness
from controller.core.inputs import Market, Tick
from controller.core.state import State
from exchange.model import Millis
from policies.schema import Policy


def why_not(state: State, policy: Policy, market: Market, equity: Decimal | None, input_: Tick, now: Millis) -> str:
    """Why nothing could; empty when something could.

    The guards of losses judge prices that are new enough. Where they only halt, the bot is what sells, so it has to be there.
    """
    limit = policy.limits.quote_max_age_ms
    for symbol in policy.symbols:
        quote = market.quotes.get(symbol)
        if quote is None or now - quote.received_at > limit:
            return f"the loss guards have no price of {symbol} that is newer than {limit} ms"
    if equity is None:
        return "the loss guards cannot value the account"
    breach = policy.guards.on_breach
    if "flatten" in {breach.daily_loss, breach.drawdown}:
        return ""
    gone = bot_liveness.why_not_all(state, policy, input_.bots, now)
    return f"no guard sells, and the bot that could is gone: {gone}" if gone else ""
