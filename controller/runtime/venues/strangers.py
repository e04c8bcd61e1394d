"""Which open orders at the venues are not ours, and what of ours a cancel-all cancels by its id beside them.

A person's own order halts an armed deployment and stays: only its owner cancels it. The assembly makes one ``Strangers``; the
private streams, the sweeps and the cancel-alls tell it what they see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from controller.core.decisions.whose import find, is_of_a_twin, is_placed_by_others
from controller.core.order_state import AT_THE_VENUE
from controller.core.state import State
from exchange.model import ForeignOrder, ListedOrder
from exchange.ports import VenueName


@dataclass(slots=True)
class _Seen:
    """``open`` maps the venue's ids of open orders of others to the turn in which a stream told of them; 0 for a list."""

    turn: int = 0
    listed: bool = False
    open: dict[str, int] = field(default_factory=dict)


class Strangers:
    """What is known of orders that are not ours. It is not kept: a new process reads a list first.

    ``lost_entries``: this start found that the journal lost entries on this host, so orders with ids of its form are of that end of
    it, and ours to cancel. Otherwise they are of a controller with a copy of the journal, which may be alive.
    """

    def __init__(self, state: Callable[[], State], *, lost_entries: bool = False) -> None:
        self._state = state
        self._lost_entries = lost_entries
        self._seen = {name: _Seen() for name in VenueName}

    def streamed(self, venue: VenueName, report: ListedOrder) -> None:
        """A private stream told of one order."""
        seen = self._seen[venue]
        seen.turn += 1
        alive = report.open if isinstance(report, ForeignOrder) else report.status in AT_THE_VENUE
        if alive and self._is_placed_by_others(venue, report):
            seen.open[report.order_id] = seen.turn
        else:
            seen.open.pop(report.order_id, None)

    def turn(self, venue: VenueName) -> int:
        """How much the stream has told; ask it before a list is read, and give it to ``sort``."""
        return self._seen[venue].turn

    def sort(self, venue: VenueName, reports: Sequence[ListedOrder], turn: int) -> list[ListedOrder]:
        """Take a list of every open order, and return those that are ours or may be.

        What the stream has told since the list was asked for (``turn``) is newer than the list.
        """
        seen = self._seen[venue]
        others = {report.order_id for report in reports if self._is_placed_by_others(venue, report)}
        newer = {order_id: at for order_id, at in seen.open.items() if at > turn}
        seen.listed, seen.open = True, {**dict.fromkeys(others, 0), **newer}
        return [report for report in reports if report.order_id not in others]

    def _is_placed_by_others(self, venue: VenueName, report: ListedOrder) -> bool:
        state = self._state()
        if self._lost_entries and is_of_a_twin(state, report):
            return False
        return is_placed_by_others(state, venue, report)

    def listed(self, venue: VenueName) -> bool:
        """Whether a list of this venue was read since the process began."""
        return self._seen[venue].listed

    def any(self, venue: VenueName) -> bool:
        """Whether an order that is not ours is open there, as far as it was seen."""
        return bool(self._seen[venue].open)

    def ours(self, venue: VenueName, listed: Sequence[ListedOrder]) -> list[tuple[str, str]]:
        """Symbol and client id of everything of ours that can, or might, still trade there, with what ``listed`` shows of it."""
        state = self._state()
        known = [(order.symbol, order.client_id) for order in state.open_on(venue) if order.working]
        shown = [(one.symbol, _our_id(state, venue, one)) for one in listed]
        return [(symbol, name) for symbol, name in dict.fromkeys([*known, *shown]) if name]


def _our_id(state: State, venue: VenueName, report: ListedOrder) -> str:
    order = find(state, venue, report.client_id, report.order_id)
    return order.client_id if order is not None else report.client_id
