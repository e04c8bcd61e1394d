"""How much of the quote asset a bot may spend, so that an order of that size is never refused for the exposure.

``core.decisions.account`` calls it for what ``GET /api/v3/account`` shows. Bots size their orders by it: an amount, or the quantity
that the amount buys at a price. The limits count such an order at its worst: with the taker fee, at the ask or above, a MARKET
order by quantity at ``MARKET_BUFFER`` more. What that comes to beyond the amount is held back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal, localcontext

from exchange.model import Quote, SymbolRules, round_up
from policies.exposure import EUR_STEP, MARKET_BUFFER
from policies.numbers import WIDE

STEP = Decimal("0.00000001")
"""The step of an amount that is shown, in the quote asset."""

_BPS = Decimal(10_000)
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Room:
    """What may be spent: ``left`` of the budget, ``total`` of the account, ``locked`` by open buys, in quote.

    ``cap`` is the stage's, in EUR; ``quote_per_eur`` the rate that counts. ``exposure`` is in EUR, ``None`` when it is not known:
    then no order passes, whatever is shown.
    """

    left: Decimal
    total: Decimal
    locked: Decimal
    cap: Decimal
    quote_per_eur: Decimal
    exposure: Decimal | None


def spendable(room: Room, rules: Iterable[SymbolRules], quotes: Iterable[Quote], collar_bps: Decimal) -> Decimal:
    """The amount of the quote asset that a bot may spend now, fees on top, rounded down.

    The part held back of the budget is always the same, so that buying and selling do not change what the bot counts as its own.
    """
    with localcontext(WIDE):
        fee = max((one.taker_fee for one in rules), default=_ZERO)
        held_back = room.cap * room.quote_per_eur * (1 - 1 / (MARKET_BUFFER * (1 + fee)))
        free = min(room.left - round_up(held_back, STEP), room.total / (1 + fee)) - room.locked
        if room.exposure is not None:
            # Each part of an exposure is rounded up by at most a step, the next order's too.
            headroom = (room.cap - room.exposure - EUR_STEP) * room.quote_per_eur
            free = min(free, headroom / worst_factor(fee, quotes, collar_bps))
        return max(free, _ZERO).quantize(STEP, rounding=ROUND_DOWN)


def worst_factor(fee: Decimal, quotes: Iterable[Quote], collar_bps: Decimal) -> Decimal:
    """How much more than its amount an order can count: by quantity at the bid and MARKET, or at the lowest price of the collar."""
    shares = [MARKET_BUFFER]
    for quote in quotes:
        shares += [MARKET_BUFFER * quote.ask / quote.bid, quote.ask / (quote.mid * (1 - collar_bps / _BPS))]
    return max(shares) * (1 + fee)
