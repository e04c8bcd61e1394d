"""Typed calls of the trading endpoints (mexc-spot-v3.md §4.1-4.11). ``MexcVenue`` and the account checks call it."""

from __future__ import annotations

from collections.abc import Sequence

from exchange.errors import GatehouseError
from exchange.mexc.outcomes import LOCAL_REFUSAL, cancel_outcome, place_outcome
from exchange.mexc.ratelimit import Lane
from exchange.mexc.rest import Params, RestCaller, decoded_reply
from exchange.model import Fill, ListedOrder, OrderIntent, OrderReport
from exchange.ports import CancelFailed, CancelOutcome, Permit, PlaceOutcome, Rejected
from exchange.wire.account import HistoryQuery, history_params, parse_my_trades
from exchange.wire.orders import OrderRef, order_ref_params, parse_order, parse_orders


class Trading:
    """The orders of one account. Every call is sent once; queries raise ``VenueError`` without a reply."""

    def __init__(self, rest: RestCaller) -> None:
        self._rest = rest

    async def place(self, intent: OrderIntent, permit: Permit) -> PlaceOutcome:
        """Send one order, once; never raises for a reply or for our own limits (``outcomes.place_outcome``)."""
        try:
            outcome = await self._rest.place(intent, permit)
        except GatehouseError as refusal:
            return Rejected(LOCAL_REFUSAL, f"{refusal.code}: {refusal.message}")
        return place_outcome(intent, outcome, self._rest.venue_now())

    async def test(self, intent: OrderIntent, permit: Permit) -> None:
        """Ask whether placing would be refused, without placing (§4.4). It needs a permit: the signature also fits the order.

        Raises:
            VenueRefusal: placing would be refused, with MEXC's code.
            GatehouseError: the call failed.
        """
        decoded_reply("POST /api/v3/order/test", await self._rest.place(intent, permit, "/order/test"))

    async def cancel(self, ref: OrderRef) -> CancelOutcome:
        """Ask for one order's cancellation (§4.6). The reply proves nothing; only a query does."""
        return await self._cancel("/order", order_ref_params(ref), single=True)

    async def cancel_open(self, symbols: Sequence[str]) -> CancelOutcome:
        """Ask for the cancellation of every open order of one to five symbols (§4.7)."""
        return await self._cancel("/openOrders", [("symbol", ",".join(symbols))], single=False)

    async def order(self, ref: OrderRef) -> OrderReport:
        """One order by either id (§4.9). A -2013, which right after placing may be lag, is a ``PermanentRefusal``."""
        return parse_order(await self._rest.query("/order", order_ref_params(ref)))

    async def open_orders(self, symbols: Sequence[str] = (), lane: Lane = Lane.QUERY) -> tuple[ListedOrder, ...]:
        """Every order that can still trade, of these symbols or of all (§4.10)."""
        params = [("symbol", ",".join(symbols))] if symbols else []
        return parse_orders(await self._rest.query("/openOrders", params, lane=lane))

    async def trades(self, query: HistoryQuery) -> tuple[Fill, ...]:
        """One page of at most 100 of our trades of the last month, in the venue's order (§4.11)."""
        return parse_my_trades(await self._rest.query("/myTrades", history_params(query)))

    async def _cancel(self, path: str, params: Params, *, single: bool) -> CancelOutcome:
        try:
            outcome = await self._rest.cancel(path, params)
        except GatehouseError as refusal:
            return CancelFailed(LOCAL_REFUSAL, f"{refusal.code}: {refusal.message}")
        return cancel_outcome(outcome, single=single)
