"""The reads of the operator API that need no writer. The leader's and the standby's operator derive from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from controller.console.schema import BalanceView, FillView, OrderView, SeriesView
from controller.core.state import State
from controller.runtime.api import views
from controller.runtime.followers.recent import RecentHistory
from exchange.model import Millis

MAX_SERIES_POINTS = 2_000


class Reads:
    """The reading half of ``OperatorPort``, from the state and the history."""

    def __init__(self, state: Callable[[], State], history: RecentHistory) -> None:
        self._state = state
        self._history = history

    async def orders(self, limit: int) -> Sequence[OrderView]:
        """The latest orders, newest first."""
        state = self._state()
        return [views.order_view(state.orders[client_id]) for client_id in self._history.orders.newest(state, limit)]

    async def fills(self, limit: int) -> Sequence[FillView]:
        """The latest fills, newest first."""
        return [views.fill_view(fill.event) for fill in islice(reversed(self._history.fills), max(0, limit))]

    async def balances(self) -> Sequence[BalanceView]:
        """Every state balance."""
        return views.balance_views(self._state())

    async def series(self, after: Millis) -> SeriesView:
        """The samples after an instant, thinned to at most ``MAX_SERIES_POINTS``."""
        samples = self._history.samples(after)
        step = max(1, -(-len(samples) // MAX_SERIES_POINTS))
        return SeriesView.of([views.sample_view(sample) for sample in samples[::-1][::step][::-1]])
