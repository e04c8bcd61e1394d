"""The order state table: every (state, observation) pair that can happen, as data. The controller's core folds reports with it.

Theory of operation. An order is ADMITTED (in the journal, not yet sent) or UNKNOWN (sent, outcome not proven) on our side only. The
venue reports every other state. Venues repeat reports, answer late and in the wrong order, so an observation that is older than
our state changes nothing. Rare transitions that do happen are in the table too: a fill after a cancel, a rejection that turns out
to be a live order, a cancel of an order that had already filled.

A pair that is not in the table means that the venue contradicts itself; ``advance`` raises, and the caller halts.
PARTIALLY_CANCELED is terminal and keeps its fills (mexc-spot-v3.md §4.12).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from exchange.errors import IntegrityError
from exchange.model import OrderStatus as S

TERMINAL = frozenset({S.REJECTED, S.FILLED, S.CANCELED, S.PARTIALLY_CANCELED})
"""States the venue has proven final. A late fill can still change CANCELED and PARTIALLY_CANCELED."""

WORKING = frozenset({S.ADMITTED, S.UNKNOWN, S.NEW, S.PARTIALLY_FILLED})
"""States that reserve exposure: the order can, or might, still trade."""

_VENUE_STATES = (S.NEW, S.PARTIALLY_FILLED, S.FILLED, S.CANCELED, S.PARTIALLY_CANCELED)


def _row(**moves: S) -> Mapping[S, S]:
    return MappingProxyType({S[name]: to for name, to in moves.items()})


_FROM_NOTHING = MappingProxyType({observed: observed for observed in (*_VENUE_STATES, S.REJECTED, S.UNKNOWN)})

TABLE: Mapping[S, Mapping[S, S]] = MappingProxyType(
    {
        S.ADMITTED: _FROM_NOTHING,
        S.UNKNOWN: _FROM_NOTHING,
        # A late or repeated time-out proves less than the state the venue already reported.
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
        # The cancel and the last fill were sent at the same time: the fill wins.
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
        # "Not found" was only lag: the state the venue reports now replaces the rejection.
        S.REJECTED: MappingProxyType(
            {**{observed: observed for observed in _VENUE_STATES}, S.REJECTED: S.REJECTED, S.UNKNOWN: S.REJECTED}
        ),
    }
)


def advance(current: S, observed: S) -> S:
    """The state that follows when ``observed`` is reported for an order in state ``current``.

    Raises:
        IntegrityError: the pair is not in the table, so the venue contradicts itself.
    """
    following = TABLE[current].get(observed)
    if following is None:
        raise IntegrityError(
            f"the venue reports {observed} for an order that is {current}",
            code="order-state-contradiction",
            remedy="Compare the order on the venue's own page with `gatehouse orders`, then reset from HALTED.",
        )
    return following
