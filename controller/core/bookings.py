"""What identifies a trade: the order and the venue's trade id, and facts for a venue that tells one trade under two ids.

MEXC's trade lists and its private stream may number the same trade differently (mexc-spot-v3.md §7.6), and the lists cut its time
to whole seconds at least (§6). So every booked trade keeps the id it has in either place. The fold and the decisions use this.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from exchange.model import Fill, Millis

TWIN_MS = 2_000
"""How far the times of one trade in both places are apart at most, as documented: whole seconds, and a little skew."""


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
    """What a trade that is told under a new id is: another trade, one that is booked, not to be decided now, or never."""

    NEW = "new"
    REPEATED = "repeated"
    WAITING = "waiting"
    UNDECIDABLE = "undecidable"


def trade_key(order_id: str, trade_id: str) -> str:
    """The key of a trade in ``Ledger.trades``. No id of a venue holds a space."""
    return f"{order_id} {trade_id}"


def named(bookings: Sequence[Booking], trade_id: str, *, listed: bool) -> Booking | None:
    """The booked trade that was told under ``trade_id``, here or else in the other place."""
    here = (one for one in bookings if one.id_of(listed=listed) == trade_id)
    elsewhere = (one for one in bookings if one.id_of(listed=not listed) == trade_id)
    return next(here, None) or next(elsewhere, None)


def twin(bookings: Sequence[Booking], fill: Fill, *, listed: bool) -> Booking | None:
    """The booked trade that ``fill`` may be: equal, without an id where ``fill`` is told, and the nearest in time."""
    return min(_nameless(bookings, fill, listed=listed), key=lambda one: abs(one.at - fill.at), default=None)


def is_apart(bookings: Sequence[Booking], fill: Fill, *, listed: bool) -> bool:
    """Whether the only booked trades that ``fill`` may be are of another time."""
    nearest = twin(bookings, fill, listed=listed)
    return nearest is not None and not _is_near(nearest, fill)


def misnamed(bookings: Sequence[Booking], trade_id: str, *, listed: bool) -> Booking | None:
    """The booked trade that is told under ``trade_id`` in both places, as its other id there was taken for one of it."""
    same = (one for one in bookings if one.id_of(listed=not listed) == trade_id)
    return next((one for one in same if one.id_of(listed=listed) not in {"", trade_id}), None)


def judge(
    bookings: Sequence[Booking],
    fill: Fill,
    *,
    listed: bool,
    left: Decimal,
    final: bool,
    one_numbering: bool,
    shown: Container[str] = (),
) -> Told:
    """Whether ``fill``, whose id is new, is another trade than those booked on its order.

    One place tells each trade under one id. So of equal trades there are as many as the place that tells most of them tells ids:
    a new id there is a new trade, and elsewhere it is the second id of a booked one. Their times do not matter: no source says that
    both places tell the same time, and equal trades change the books equally. ``left`` is what the venue's report of the order has
    executed beyond what is booked: the independent judge. ``final``: the order has ended, so that report is the last word, and a
    trade for which it leaves no room cannot be a new one.
    ``one_numbering``: both places were seen to use the same ids, so two ids are two trades. But a venue may change its ids without
    notice. So this is believed where one list shows both ids (``shown`` are its keys), or where the times are apart and there is
    room; elsewhere the trade waits for a list that shows both.
    """
    if not any(_is_equal(one, fill) for one in bookings):
        return Told.NEW
    nameless = _nameless(bookings, fill, listed=listed)
    if nameless and not one_numbering:
        return Told.REPEATED
    room = left >= fill.quantity
    if final and not room:
        return Told.UNDECIDABLE
    proven = {one for one in nameless if trade_key(fill.order_id, one.id_of(listed=not listed)) in shown}
    proven |= {one for one in nameless if room and not _is_near(one, fill)}
    return Told.NEW if proven.issuperset(nameless) else Told.WAITING


def _nameless(bookings: Sequence[Booking], fill: Fill, *, listed: bool) -> list[Booking]:
    return [one for one in bookings if _is_equal(one, fill) and not one.id_of(listed=listed)]


def _is_equal(one: Booking, fill: Fill) -> bool:
    return (one.price, one.quantity) == (fill.price, fill.quantity)


def _is_near(one: Booking, fill: Fill) -> bool:
    return abs(one.at - fill.at) < TWIN_MS
