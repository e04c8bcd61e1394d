"""The value of a step of an account that is neither gain nor loss: money of the owner that came or went. Pure.

``rebaseline`` and ``transfers`` ask it. A step that cannot be valued now is not taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal

from exchange.model import Millis, Quote
from policies.exposure import EUR_STEP, missing_quote
from policies.schema import Policy

ZERO = Decimal(0)

Totals = Mapping[str, Decimal]


def shift_eur(before: Totals, after: Totals, policy: Policy, quotes: Mapping[str, Quote], now: Millis) -> Decimal | str:
    """How much the equity of the account changes by the step, in EUR at these quotes, or why that is not known.

    It is rounded as ``account.equity_eur`` rounds, so the equity after the step less this is the equity before it. Assets outside
    the policy are in no equity, so their steps are worth nothing here.
    """
    for symbol in policy.symbols:
        base = symbol.removesuffix(policy.eur_rate.asset)
        if before.get(base, ZERO) != after.get(base, ZERO):
            missing = missing_quote(symbol, quotes.get(symbol), policy, now)
            if missing is not None:
                return missing.message
    return _value_eur(after, policy, quotes) - _value_eur(before, policy, quotes)


def _value_eur(totals: Totals, policy: Policy, quotes: Mapping[str, Quote]) -> Decimal:
    quote = policy.eur_rate.asset
    value = totals.get(quote, ZERO)
    for symbol in policy.symbols:
        market = quotes.get(symbol)
        # What has no quote is held before and after, and has no part in the difference.
        value += totals.get(symbol.removesuffix(quote), ZERO) * market.bid if market is not None else ZERO
    return (value / policy.eur_rate.quote_per_eur).quantize(EUR_STEP, rounding=ROUND_DOWN)


def changed(before: Totals, after: Totals) -> dict[str, tuple[Decimal, Decimal]]:
    """The assets whose balance is another one, each with both balances."""
    found = {asset: (before.get(asset, ZERO), after.get(asset, ZERO)) for asset in sorted(before.keys() | after.keys())}
    return {asset: pair for asset, pair in found.items() if pair[0] != pair[1]}


def taken(ours: Totals, after: Totals) -> dict[str, Decimal]:
    """What the step leaves less of than gatehouse bought, by asset: how much of ours is gone."""
    lost = {asset: min(amount, max(amount - max(after.get(asset, ZERO), ZERO), ZERO)) for asset, amount in ours.items()}
    return {asset: amount for asset, amount in sorted(lost.items()) if amount > 0}
