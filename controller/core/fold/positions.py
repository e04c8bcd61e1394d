"""Whether the run of the present stage has something to lose. ``controller.core.fold.apply`` asks it with each sample."""

from __future__ import annotations

from decimal import Decimal

from controller.core.state import Ledger, State

SELLABLE = Decimal(1)
"""What a holding must have cost, in the quote asset: MEXC's smallest order. Less cannot be sold, so no stop could protect it."""


def at_risk(state: State, ledger: Ledger) -> bool:
    """Whether our orders hold what can be sold. In a drill protection is taken away on purpose, so nothing is measured."""
    if state.drill is not None:
        return False
    return any(cost >= SELLABLE and ledger.bought.get(asset, Decimal(0)) > 0 for asset, cost in ledger.cost.items())
