"""What the latest booked trades changed in an account. The fold keeps them, and ``decisions.cuts`` compares balances with them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from immutables import Map

from controller.core import events as e
from exchange.model import Fill, Millis, Side

KEPT = 512
"""How many of the latest trades a ledger keeps: more than a venue lets one account make while its balances are read once."""


@dataclass(frozen=True)
class Movement:
    """One booked trade. ``number`` counts the trades of its account as they were booked; ``key`` is its key in ``Ledger.trades``.

    ``whole_second``: a trade list may have cut its time to the second, so it happened within the second after ``at``.
    """

    number: int
    key: str
    client_id: str
    symbol: str
    quantity: Decimal
    changes: Map[str, Decimal]
    at: Millis
    booked_at: Millis
    whole_second: bool


def changes(trade: e.FillBooked | Fill, quote: str) -> Map[str, Decimal]:
    """What a trade changes of each asset. ``quote`` is the asset that every symbol of the policy is priced in."""
    base = trade.symbol.removesuffix(quote)
    sign = 1 if trade.side is Side.BUY else -1
    changed: Map[str, Decimal] = Map()
    for asset, amount in ((base, sign * trade.quantity), (quote, -sign * trade.quote), (trade.fee_asset, -trade.fee)):
        # A free trade may name no asset for its fee.
        if asset:
            changed = changed.set(asset, changed.get(asset, Decimal(0)) + amount)
    return changed


def may_be_cut(at: int, *, listed: bool) -> bool:
    """Whether the time of a trade may be cut to the second: the lists of MEXC do that (mexc-spot-v3.md §6), its stream does not."""
    return listed and at % 1_000 == 0
