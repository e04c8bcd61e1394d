"""Decides about a fee that the books cannot count: of an asset that the policy does not name, or larger than the trade.

``core.decisions.trades`` calls it.

MEXC charges fees in the quote asset or, where the account pays with MX, in MX (mexc-spot-v3.md §6). Equity, the day's loss and the
gates see the assets of the policy only, so such a fee would be a loss that nothing counts.
"""

from __future__ import annotations

from controller.core.decisions import moves
from controller.core.decisions.account import assets_of
from controller.core.decisions.draft import Draft
from exchange.model import Fill
from exchange.ports import VenueName
from policies.guards import Breach, GuardName, Level
from policies.numbers import text


def check(draft: Draft, venue: VenueName, fill: Fill) -> None:
    """Halt for a fee that leaves in another asset, and for one that cannot be a fee. The trade itself is booked before.

    A fee of nothing needs no asset. A negative fee is a rebate: it is counted as what it is.
    """
    policy = draft.after.policy
    if policy is None or not fill.fee:
        return
    quote = policy.eur_rate.asset
    traded = {quote: fill.quote, fill.symbol.removesuffix(quote): fill.quantity}.get(fill.fee_asset)
    if traded is not None and abs(fill.fee) > traded:
        fee = f"{text(fill.fee)} {fill.fee_asset}"
        moves.integrity(draft, f"trade {fill.trade_id} on {venue} cost a fee of {fee}, and only {text(traded)} was traded")
    if fill.fee_asset in assets_of(policy):
        return
    named = ", ".join(assets_of(policy))
    measured = f"{text(fill.fee)} {fill.fee_asset or 'of an asset that the venue does not name'}"
    message = (
        f"trade {fill.trade_id} on {venue} cost a fee of {measured}; the policy names {named}, and a fee in another asset is "
        "counted in no loss. If the account pays fees with MX, switch that off at the venue"
    )
    moves.breach(draft, venue, Breach(GuardName.FEE_ASSET, Level.HALT, measured, named, message))
