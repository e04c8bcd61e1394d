"""What identifies a trade: the order and the venue's trade id, and facts for a venue that tells one trade under two ids.

MEXC's trade lists and its private stream may number the same trade differently (mexc-spot-v3.md §7.6), and the lists cut its time
to whole seconds (§6). So every booked trade keeps the id it has in either place. The fold and the decisions use this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from exchange.model import Fill, Millis

TWIN_MS = 2_000
"""Two trades of one order with equal price and quantity within this time may be one trade: whole seconds, and a little skew."""


@dataclass(frozen=True)
class Booking:
    """One booked trade of an order: ``listed`` is its id in the venue's trade lists, ``streamed`` on its private stream.

    An id is empty until the trade was told there.
    """

    price: Decimal
    quantity: Decimal
    at: Millis
    listed: str = ""
    streamed: str = ""

    def id_of(self, *, listed: bool) -> str:
        """The id in the lists, or on the stream."""
        return self.listed if listed else self.streamed


class Told(StrEnum):
    """What a trade that is told under a new id is: another trade, one that is booked, or not to be decided."""

    NEW = "new"
    REPEATED = "repeated"
    UNDECIDABLE = "undecidable"


def trade_key(order_id: str, trade_id: str) -> str:
    """The key of a trade in ``Ledger.trades``. No id of a venue holds a space."""
    return f"{order_id} {trade_id}"


def twin(bookings: Sequence[Booking], fill: Fill, *, listed: bool) -> Booking | None:
    """The booked trade that ``fill`` may be: equal but for its id, and without an id where ``fill`` is told."""
    unnamed = [one for one in _alike(bookings, fill) if not one.id_of(listed=listed)]
    return min(unnamed, key=lambda one: abs(one.at - fill.at), default=None)


def judge(bookings: Sequence[Booking], fill: Fill, *, listed: bool, left: Decimal, final: bool) -> Told:
    """Whether ``fill``, whose id is new, is another trade than those booked on its order.

    ``left`` is what the venue's report of the order has executed beyond what is booked: the independent judge. ``final``: the
    order has ended, so that report is the last word. One place tells each trade under one id, so two ids there are two trades.
    """
    if left >= fill.quantity or not _alike(bookings, fill):
        return Told.NEW
    if twin(bookings, fill, listed=listed) is not None:
        return Told.REPEATED
    return Told.UNDECIDABLE if final else Told.NEW


def _alike(bookings: Sequence[Booking], fill: Fill) -> list[Booking]:
    facts = (fill.price, fill.quantity)
    return [one for one in bookings if (one.price, one.quantity) == facts and abs(one.at - fill.at) < TWIN_MS]
