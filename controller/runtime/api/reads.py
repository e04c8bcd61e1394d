"""The reads of the operator API that need no writer. The leader's and the standby's operator derive from it.

A long answer is made in pieces, and between them everything else has its turn: a halt must not wait for somebody's chart.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TypeVar

from controller.console.schema import BalanceView, FillView, OrderView, SeriesView
from controller.core.state import State
from controller.runtime.api import views
from controller.runtime.followers.kept import is_covered, read_sample, time_of
from controller.runtime.followers.recent import RecentHistory
from exchange.model import Millis

MAX_SERIES_POINTS = 1_000
"""More than a chart has pixels. The last step, which makes one document of them, takes a few milliseconds for so many."""
PIECE = 50
"""How many rows are made at once: less than a millisecond."""

_Row = TypeVar("_Row")
_View = TypeVar("_View")


class Reads:
    """The reading half of ``OperatorPort``, from the state and the history."""

    def __init__(self, state: Callable[[], State], history: RecentHistory) -> None:
        self._state = state
        self._history = history

    async def orders(self, limit: int) -> Sequence[OrderView]:
        """The latest orders, newest first."""
        state = self._state()
        newest = list(self._history.orders.newest(state, limit))
        return await _in_pieces(newest, lambda client_id: views.order_view(state.orders[client_id]))

    async def fills(self, limit: int) -> Sequence[FillView]:
        """The latest fills, newest first."""
        newest = list(islice(reversed(self._history.fills), max(0, limit)))
        return await _in_pieces(newest, lambda fill: views.fill_view(fill.event))

    async def balances(self) -> Sequence[BalanceView]:
        """Every state balance."""
        return views.balance_views(self._state())

    async def series(self, after: Millis, until: Millis | None = None) -> SeriesView:
        """The samples after an instant and up to another, at most ``MAX_SERIES_POINTS``. Time not covered stays in sight."""
        lines = self._history.sample_lines
        end = len(lines) if until is None else bisect_right(lines, int(until), key=time_of)
        lines = lines[bisect_right(lines, int(after), key=time_of) : end]
        step = max(1, -(-len(lines) // MAX_SERIES_POINTS))
        # Counted from the newest, so that a chart always ends with it.
        starts = range(len(lines) % step or step, len(lines) + 1, step) if lines else range(0)
        groups = [lines[max(0, end - step) : end] for end in starts]
        return SeriesView.of(await _in_pieces(groups, lambda group: views.sample_view(read_sample(_shown(group)))))


def _shown(group: Sequence[str]) -> str:
    """The line that stands for a group: the newest, but one that is not covered goes before."""
    return next((line for line in reversed(group) if not is_covered(line)), group[-1])


async def _in_pieces(rows: Iterable[_Row], view: Callable[[_Row], _View]) -> list[_View]:
    made = list[_View]()
    for row in rows:
        if made and len(made) % PIECE == 0:
            await asyncio.sleep(0)
        made.append(view(row))
    return made
