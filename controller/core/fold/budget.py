"""Folds what our own orders did with an account: what they bought, what it cost, and the budget that a bot is given.

``fold.orders`` and ``fold.apply`` call it.

A bot's budget is the cap of its stage. What its orders spend comes out of it, and what its sales bring goes back into it, as in an
account with only that money. A move to a stage gives it anew: the bot then has the cap, less what its holdings cost. A demotion
after a breach does not.
"""

from __future__ import annotations

from decimal import Decimal

from immutables import Map

from controller.core import events as e
from controller.core.causes import Cause
from controller.core.movements import changes
from controller.core.state import ZERO, Ledger, State, venue_of
from exchange.model import Side, round_up
from policies.schema import Policy
from policies.values import replace

COST_STEP = Decimal("0.00000001")
"""The step of what holdings cost, in the quote asset."""


def settle(totals: Map[str, Decimal], event: e.FillBooked, policy: Policy) -> Map[str, Decimal]:
    """The amounts after a trade: the base asset, the quote asset and the asset of the fee."""
    for asset, change in changes(event, policy.eur_rate.asset).items():
        totals = totals.set(asset, totals.get(asset, ZERO) + change)
    return totals


def traded(ledger: Ledger, event: e.FillBooked, policy: Policy) -> Ledger:
    """The ledger after a trade of one of our own orders."""
    return replace(ledger, bought=settle(ledger.bought, event, policy), cost=_cost(ledger, event, policy))


def _cost(ledger: Ledger, event: e.FillBooked, policy: Policy) -> Map[str, Decimal]:
    quote = policy.eur_rate.asset
    base = event.symbol.removesuffix(quote)
    before, held = ledger.cost.get(base, ZERO), ledger.bought.get(base, ZERO)
    if event.side is Side.BUY:
        return ledger.cost.set(base, before + event.quote + (event.fee if event.fee_asset == quote else ZERO))
    left = held - event.quantity
    # The share of a part that was sold may have no end of digits. Rounded up, the bot is given no more than the cap.
    return ledger.cost.set(base, round_up(before * left / held, COST_STEP) if left > 0 else ZERO)


def budgeted(state: State, event: e.StageChanged) -> State:
    """Give the bot the budget of the stage that it moved to. A demotion after a breach gives back nothing that was lost."""
    venue = venue_of(event.stage)
    if venue is None or state.policy is None or event.cause is Cause.SOFT_BREACH:
        return state
    ledger, quote = state.ledger(venue), state.policy.eur_rate.asset
    paid = sum((paid for asset, paid in ledger.cost.items() if ledger.bought.get(asset, ZERO) > 0), ZERO)
    settled = ledger.bought.get(quote, ZERO) + paid
    return replace(state, ledgers=state.ledgers.set(venue, replace(ledger, settled=settled)))
