"""Weighs what an account holds that gatehouse did not buy against the cap of a stage.

``controller.core.decisions.landing`` asks before a move to real money, and ``gatehouse doctor`` at any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext

from policies.exposure import EUR_STEP
from policies.numbers import WIDE, text
from policies.schema import Policy

_NAMED = 5
"""A line names at most this many assets; accounts collect dust."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """The verdict on an account's own holdings: ``line`` says in words what they are and what is allowed."""

    ok: bool
    line: str


REMEDY = (
    "Take out of the account what is above the cap, or give the bot a sub-account of its own. Or declare in the policy "
    '`[live] baseline = "keep"`, signed with `gatehouse set-policy FILE --key KEY --reason WHY`: then nothing of it is ever '
    "sold, counted or shown to the bot."
)
"""What to do about an account that holds too much."""


def weigh(amounts: Mapping[str, Decimal], bids: Mapping[str, Decimal], policy: Policy, cap: Decimal) -> Weighed:
    """Judge what an account holds of its own. ``bids`` are the best bids that are known now, by symbol.

    The quote asset and the base asset of every symbol count, at the bid. One without a price is worth nobody knows how much, so it
    fails. Any other asset is named only: the bot may not trade its symbol, so it cannot lose it.
    """
    quote, mine = policy.eur_rate.asset, {asset: amount for asset, amount in sorted(amounts.items()) if amount > 0}
    bases = {symbol.removesuffix(quote): symbol for symbol in policy.symbols}
    with localcontext(WIDE):
        prices = {base: bids[symbol] for base, symbol in bases.items() if symbol in bids}
        prices[quote] = Decimal(1)
        worth = sum((amount * prices[asset] for asset, amount in mine.items() if asset in prices), Decimal(0))
        eur = (worth / policy.eur_rate.quote_per_eur).quantize(EUR_STEP)
    unpriced = [asset for asset in mine if asset in bases and asset not in prices]
    counted = _named({asset: amount for asset, amount in mine.items() if asset == quote or asset in bases})
    other = _named({asset: amount for asset, amount in mine.items() if asset != quote and asset not in bases})
    others = f"; {other} cannot be traded under this policy" if other else ""
    if policy.live.baseline == "keep":
        return Weighed(ok=True, line=f"the account's own {counted or 'nothing'} is kept, and the bot gets {text(cap)} EUR{others}")
    if unpriced:
        return Weighed(
            ok=False, line=f"the account's own {counted} cannot be weighed: {', '.join(unpriced)} has no price now{others}"
        )
    held = f"{text(eur)} EUR of its own ({counted})" if counted else "nothing of its own"
    return Weighed(ok=eur <= cap, line=f"the account holds {held}, and {text(cap)} EUR is the most{others}")


def _named(amounts: Mapping[str, Decimal]) -> str:
    named = [f"{text(amount)} {asset}" for asset, amount in amounts.items()]
    more = [f"{len(named) - _NAMED} more"] if len(named) > _NAMED else []
    return ", ".join((*named[:_NAMED], *more))
