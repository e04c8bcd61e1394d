"""The reads of the operator API that need no writer. The leader's and the standby's operator derive from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
        latest = list(self._history.order_ids)[-limit:] if limit > 0 else []
        return [views.order_view(self._state().orders[client_id]) for client_id in reversed(latest)]

    async def fills(self, limit: int) -> Sequence[FillView]:
        """The latest fills, newest first."""
        latest = list(self._history.fills)[-limit:] if limit > 0 else []
        return [views.fill_view(fill) for fill, _ in reversed(latest)]

    async def balances(self) -> Sequence[BalanceView]:
        """Every state balance."""
        return views.balance_views(self._state())

    async def series(self, after: Millis) -> SeriesView:
        """The samples after an instant, thinned to at most ``MAX_SERIES_POINTS``."""
        samples = [sample for sample in self._history.samples if sample.at > after]
        step = max(1, -(-len(samples) // MAX_SERIES_POINTS))
        return SeriesView.of([views.sample_view(sample) for sample in samples[::-1][::step][::-1]])
