"""The value of a step of an account that is neither gain nor loss: money of the owner that came or went. Pure.

``rebaseline`` and ``transfers`` ask it. A step that cannot be valued now is not taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from controller.core.decisions.account import assets_of, equity_eur
from controller.core.fold import steps
from controller.core.state import State
from exchange.model import Millis, Quote
from exchange.ports import VenueName
from policies.exposure import missing_quote
from policies.schema import Policy

ZERO = Decimal(0)

Totals = Mapping[str, Decimal]


def shift_eur(
    state: State, policy: Policy, venue: VenueName, after: Totals, quotes: Mapping[str, Quote], now: Millis
) -> Decimal | str:
    """How much the equity of the account changes by the step, in EUR at these quotes, or why that is not known.

    The equity of ``account.equity_eur`` after the step less this is the one before it, to the last digit. Assets outside the policy
    are in no equity, so their steps are worth nothing here.
    """
    ledger, quote = state.ledger(venue), policy.eur_rate.asset
    before: Totals = ledger.totals or {}
    moved = {asset for asset in assets_of(policy) if before.get(asset, ZERO) != after.get(asset, ZERO)}
    if not moved:
        return ZERO
    for symbol in policy.symbols:
        if symbol.removesuffix(quote) in moved:
            missing = missing_quote(symbol, quotes.get(symbol), policy, now)
            if missing is not None:
                return missing.message
    stepped = steps.stepped(ledger, after, ZERO, quote)
    values = [equity_eur(one, policy, quotes, state.rates) for one in (ledger, stepped)]
    if values[0] is None or values[1] is None:
        return "what is held has no quote"
    return values[1] - values[0]


def changed(before: Totals, after: Totals) -> dict[str, tuple[Decimal, Decimal]]:
    """The assets whose balance is another one, each with both balances."""
    found = {asset: (before.get(asset, ZERO), after.get(asset, ZERO)) for asset in sorted(before.keys() | after.keys())}
    return {asset: pair for asset, pair in found.items() if pair[0] != pair[1]}


def taken(state: State, venue: VenueName, after: Totals) -> dict[str, Decimal]:
    """How much of what gatehouse bought is gone with the step, by asset."""
    ledger = state.ledger(venue)
    left = steps.stepped(ledger, after, ZERO, steps.quote_of(state)).bought
    lost = {asset: min(ours, ours - left[asset]) for asset, ours in ledger.bought.items()}
    return {asset: amount for asset, amount in sorted(lost.items()) if amount > 0}
