"""Realised profit and loss, first in, first out: a sale closes the oldest purchases. ``collect`` uses it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from decimal import Decimal

from exchange.model import Millis
from policies.numbers import WIDE

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Closed:
    """What was bought and sold again. Amounts are in the quote asset; ``pnl`` is net of the fees of both sides."""

    opened_at: Millis
    closed_at: Millis
    quantity: Decimal
    cost: Decimal
    pnl: Decimal


@dataclass(slots=True)
class _Lot:
    at: Millis
    quantity: Decimal
    cost: Decimal
    fee: Decimal


class Lots:
    """What is held of one symbol and was bought by the bot, oldest first."""

    def __init__(self) -> None:
        self._lots: deque[_Lot] = deque()

    @property
    def held(self) -> Decimal:
        """The quantity that is held."""
        return sum((lot.quantity for lot in self._lots), ZERO)

    @property
    def cost(self) -> Decimal:
        """What was paid for it, with fees."""
        return sum((lot.cost + lot.fee for lot in self._lots), ZERO)

    def buy(self, at: Millis, quantity: Decimal, cost: Decimal, fee: Decimal) -> None:
        """Add a purchase of ``quantity`` for ``cost``, without the ``fee``."""
        if quantity > 0:
            self._lots.append(_Lot(at, quantity, cost, fee))

    def sell(self, at: Millis, quantity: Decimal, proceeds: Decimal, fee: Decimal) -> tuple[Closed, ...]:
        """Close the oldest purchases with a sale. What was sold beyond them, the owner's own coins, closes nothing."""
        closed: list[Closed] = []
        left = quantity
        while left > 0 and self._lots:
            lot = self._lots[0]
            taken = min(left, lot.quantity)
            of_lot, of_sale = WIDE.divide(taken, lot.quantity), WIDE.divide(taken, quantity)
            cost, bought_fee = WIDE.multiply(lot.cost, of_lot), WIDE.multiply(lot.fee, of_lot)
            pnl = WIDE.multiply(proceeds - fee, of_sale) - cost - bought_fee
            closed.append(Closed(lot.at, at, taken, cost, pnl))
            lot.quantity -= taken
            lot.cost -= cost
            lot.fee -= bought_fee
            left -= taken
            if lot.quantity <= 0:
                self._lots.popleft()
        return tuple(closed)
