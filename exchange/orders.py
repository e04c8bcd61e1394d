"""The order state table: every (state, observation) pair that can happen, as data.

Theory of operation. Our side knows an order as ADMITTED (durable, not yet handed over) or UNKNOWN (handed over, outcome not
proven). Everything else is the venue's word. Venues repeat themselves, answer late and in the wrong order, so an observation
that is behind what we know changes nothing, and the ugly edges that do happen in the field are listed rather than hoped away:
a fill after a cancel, a rejection that turns out to be a live order, a cancel that had already filled.

A pair that is not in the table is a venue contradicting itself; ``advance`` raises, and the caller halts.
PARTIALLY_CANCELED is terminal and keeps its fills (mexc-spot-v3.md §4.12).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from exchange.errors import IntegrityError
from exchange.model import OrderStatus as S

TERMINAL = frozenset({S.REJECTED, S.FILLED, S.CANCELED, S.PARTIALLY_CANCELED})
"""States the venue has proven final. Late fills can still move CANCELED and PARTIALLY_CANCELED."""

WORKING = frozenset({S.ADMITTED, S.UNKNOWN, S.NEW, S.PARTIALLY_FILLED})
"""States that reserve exposure: the order can, or might, still trade."""

_VENUE_STATES = (S.NEW, S.PARTIALLY_FILLED, S.FILLED, S.CANCELED, S.PARTIALLY_CANCELED)


def _row(**moves: S) -> Mapping[S, S]:
    return MappingProxyType({S[name]: to for name, to in moves.items()})


_FROM_NOTHING = MappingProxyType({seen: seen for seen in (*_VENUE_STATES, S.REJECTED, S.UNKNOWN)})

TABLE: Mapping[S, Mapping[S, S]] = MappingProxyType(
    {
        S.ADMITTED: _FROM_NOTHING,
        S.UNKNOWN: _FROM_NOTHING,
        # A late or repeated time-out says less than what the venue already said.
        S.NEW: _row(
            NEW=S.NEW,
            PARTIALLY_FILLED=S.PARTIALLY_FILLED,
            FILLED=S.FILLED,
            CANCELED=S.CANCELED,
            PARTIALLY_CANCELED=S.PARTIALLY_CANCELED,
            UNKNOWN=S.NEW,
        ),
        S.PARTIALLY_FILLED: _row(
            NEW=S.PARTIALLY_FILLED,
            PARTIALLY_FILLED=S.PARTIALLY_FILLED,
            FILLED=S.FILLED,
            CANCELED=S.PARTIALLY_CANCELED,
            PARTIALLY_CANCELED=S.PARTIALLY_CANCELED,
            UNKNOWN=S.PARTIALLY_FILLED,
        ),
        S.FILLED: _row(
            NEW=S.FILLED,
            PARTIALLY_FILLED=S.FILLED,
            FILLED=S.FILLED,
            CANCELED=S.FILLED,
            PARTIALLY_CANCELED=S.FILLED,
            UNKNOWN=S.FILLED,
        ),
        # The cancel and the last fill crossed on the wire: the fill wins.
        S.CANCELED: _row(
            NEW=S.CANCELED,
            PARTIALLY_FILLED=S.PARTIALLY_CANCELED,
            FILLED=S.FILLED,
            CANCELED=S.CANCELED,
            PARTIALLY_CANCELED=S.PARTIALLY_CANCELED,
            UNKNOWN=S.CANCELED,
        ),
        S.PARTIALLY_CANCELED: _row(
            NEW=S.PARTIALLY_CANCELED,
            PARTIALLY_FILLED=S.PARTIALLY_CANCELED,
            FILLED=S.FILLED,
            CANCELED=S.PARTIALLY_CANCELED,
            PARTIALLY_CANCELED=S.PARTIALLY_CANCELED,
            UNKNOWN=S.PARTIALLY_CANCELED,
        ),
        # "Not found" was lag after all: the venue's word replaces the rejection.
        S.REJECTED: MappingProxyType({**{seen: seen for seen in _VENUE_STATES}, S.REJECTED: S.REJECTED, S.UNKNOWN: S.REJECTED}),
    }
)


def advance(current: S, observed: S) -> S:
    """The state after ``observed`` was seen while in ``current``.

    Raises:
        IntegrityError: the pair is not in the table, so somebody contradicts themselves.
    """
    following = TABLE[current].get(observed)
    if following is None:
        raise IntegrityError(
            f"an order known as {current} was reported as {observed}",
            code="order-state-contradiction",
            remedy="Compare the order on the venue's own page with `gatehouse orders`, then reset from HALTED.",
        )
    return following
