"""What identifies a trade: the order and the venue's trade id, and facts for a venue that tells one trade under two ids.

MEXC's trade lists and its private stream may number the same trade differently (mexc-spot-v3.md §7.6), and the lists cut its time
to whole seconds at least (§6). So every booked trade keeps the id it has in either place. The fold and the decisions use this.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from exchange.model import Fill, Millis

TWIN_MS = 2_000
"""How far the times of one trade in both places are apart at most, as documented: whole seconds, and a little skew."""


@dataclass(frozen=True)
class Booking:
    """One booked trade of an order: ``listed`` is its id in the venue's trade lists, ``streamed`` on its private stream.

    An id is empty until the trade was told there. ``from_list``: it was booked as the lists told it, and its id there is certain.
    """

    price: Decimal
    quantity: Decimal
    at: Millis
    listed: str = ""
    streamed: str = ""
    fee: Decimal = Decimal(0)
    from_list: bool = False

    def id_of(self, *, listed: bool) -> str:
        """The id in the lists, or on the stream."""
        return self.listed if listed else self.streamed


class OurBooks(StrEnum):
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
    """The booked trade that ``fill`` may be: equal, without an id where ``fill`` is told, and the nearest in time.

    Of several near ones it has an equal fee: a taker and a maker may trade the same, and the fee tells them apart.
    """

    def distance(one: Booking) -> tuple[bool, bool, int]:
        return not _is_near(one, fill), one.fee != fill.fee, abs(one.at - fill.at)

    return min(_nameless(bookings, fill, listed=listed), key=distance, default=None)


def doubt(bookings: Sequence[Booking], fill: Fill, *, listed: bool) -> int:
    """How doubtful the booked trade is that ``fill`` may be: 0 for an equal one or none, 1 for another fee, 2 for another time."""
    nearest = twin(bookings, fill, listed=listed)
    if nearest is None:
        return 0
    return int(nearest.fee != fill.fee) if _is_near(nearest, fill) else 2


def misnamed(bookings: Sequence[Booking], trade_id: str, *, listed: bool) -> Booking | None:
    """The booked trade that has ``trade_id`` in the other place, and another id where ``trade_id`` is told now.

    Both places number alike then, so one of its two ids is that of another trade: the one that it was not booked with.
    """
    same = (one for one in bookings if one.id_of(listed=not listed) == trade_id)
    return next((one for one in same if one.id_of(listed=listed) not in {"", trade_id}), None)


def without(bookings: Sequence[Booking], trade_id: str, *, listed: bool) -> tuple[Booking, ...]:
    """The bookings, none of which has ``trade_id`` in the lists, or on the stream."""
    freed = ((one, one.id_of(listed=listed) == trade_id) for one in bookings)
    if listed:
        return tuple(replace(one, listed="") if wrong else one for one, wrong in freed)
    return tuple(replace(one, streamed="") if wrong else one for one, wrong in freed)


def judge(
    bookings: Sequence[Booking],
    fill: Fill,
    *,
    listed: bool,
    left: Decimal,
    final: bool,
    one_numbering: bool,
    shown: Container[str] = (),
) -> OurBooks:
    """Whether ``fill``, whose id is new, is another trade than those booked on its order.

    One place tells each trade under one id. So of equal trades there are as many as the place that tells most of them tells ids:
    a new id there is a new trade, and elsewhere it is the second id of a booked one. Their times do not matter: no source says that
    both places tell the same time, and equal trades change the books equally but for their fees, which ``twin`` compares. ``left``
    is what the venue's report of the order has executed beyond what is booked: the independent judge. ``final``: the order has
    ended, so that report is the last word, and a trade for which it leaves no room cannot be a new one.
    ``one_numbering``: both places were seen to use the same ids, so two ids are two trades. But a venue may change its ids without
    notice. So this is believed where one list shows both ids (``shown`` are its keys), or where the times are apart and there is
    room; elsewhere the trade waits for a list that shows both.
    """
    if not any(_is_equal(one, fill) for one in bookings):
        return OurBooks.NEW
    nameless = _nameless(bookings, fill, listed=listed)
    if nameless and not one_numbering:
        return OurBooks.REPEATED
    room = left >= fill.quantity
    if final and not room:
        return OurBooks.UNDECIDABLE
    proven = {one for one in nameless if trade_key(fill.order_id, one.id_of(listed=not listed)) in shown}
    proven |= {one for one in nameless if room and not _is_near(one, fill)}
    return OurBooks.NEW if proven.issuperset(nameless) else OurBooks.WAITING


def _nameless(bookings: Sequence[Booking], fill: Fill, *, listed: bool) -> list[Booking]:
    return [one for one in bookings if _is_equal(one, fill) and not one.id_of(listed=listed)]


def _is_equal(one: Booking, fill: Fill) -> bool:
    return (one.price, one.quantity) == (fill.price, fill.quantity)


def _is_near(one: Booking, fill: Fill) -> bool:
    return abs(one.at - fill.at) < TWIN_MS
