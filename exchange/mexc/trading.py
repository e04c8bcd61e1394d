"""Every trading endpoint, typed (mexc-spot-v3.md §4.1-4.11). ``MexcVenue`` is the part of it that gatehouse itself trades with."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from exchange.errors import GatehouseError
from exchange.mexc.outcomes import LOCAL_REFUSAL, cancel_outcome, place_outcome
from exchange.mexc.rest import Params, RestCaller, decoded_reply
from exchange.model import Fill, OrderIntent, OrderReport, OrderStatus
from exchange.ports import CancelFailed, CancelOutcome, Permit, PlaceOutcome, Rejected
from exchange.wire.account import HistoryQuery, history_params, parse_my_trades
from exchange.wire.orders import OrderRef, order_ref_params, parse_order, parse_orders

_STATES = {
    OrderStatus.NEW: "1",
    OrderStatus.PARTIALLY_FILLED: "2",
    OrderStatus.FILLED: "3",
    OrderStatus.CANCELED: "4",
    OrderStatus.PARTIALLY_CANCELED: "4",
}
"""The undocumented ``states`` of ``allOrders`` (§2.5); only 3 and 4 are known to be used."""


class Trading:
    """The orders of one account. What it sends it sends once; queries raise ``VenueError`` when they cannot be answered."""

    def __init__(self, rest: RestCaller) -> None:
        self._rest = rest

    async def place(self, intent: OrderIntent, permit: Permit) -> PlaceOutcome:
        """Send one order, once; never raises for what the venue or our own limits say (``outcomes.place_outcome``)."""
        try:
            outcome = await self._rest.place(intent, permit)
        except GatehouseError as refusal:
            return Rejected(LOCAL_REFUSAL, f"{refusal.code}: {refusal.message}")
        return place_outcome(intent, outcome, self._rest.venue_now())

    async def test(self, intent: OrderIntent, permit: Permit) -> None:
        """Ask what placing would refuse, without placing (§4.4). Its signature would also sign the order, so it needs a permit.

        Raises:
            VenueRefusal: placing would be refused, with MEXC's code.
            GatehouseError: it could not be asked.
        """
        decoded_reply("POST /api/v3/order/test", await self._rest.place(intent, permit, "/order/test"))

    async def cancel(self, ref: OrderRef) -> CancelOutcome:
        """Ask for one order's cancellation (§4.6). The reply proves nothing; only a query does."""
        return await self._cancel("/order", order_ref_params(ref), single=True)

    async def cancel_open(self, symbols: Sequence[str]) -> CancelOutcome:
        """Ask for the cancellation of every open order of one to five symbols (§4.7)."""
        return await self._cancel("/openOrders", [("symbol", ",".join(symbols))], single=False)

    async def cancel_everything(self) -> CancelOutcome:
        """Ask for the cancellation of every open order of the account, whatever its symbol, in one call (§4.8)."""
        return await self._cancel("/order/all", (), single=False)

    async def order(self, ref: OrderRef) -> OrderReport:
        """One order by either id (§4.9). A -2013, which right after placing may be lag, is a ``PermanentRefusal``."""
        return parse_order(await self._rest.query("/order", order_ref_params(ref)))

    async def open_orders(self, symbols: Sequence[str] = ()) -> tuple[OrderReport, ...]:
        """Every order that can still trade, of these symbols or of all (§4.10)."""
        params = [("symbol", ",".join(symbols))] if symbols else []
        return parse_orders(await self._rest.query("/openOrders", params))

    async def history(self, query: HistoryQuery, states: Collection[OrderStatus] = ()) -> tuple[OrderReport, ...]:
        """Orders of a window within the last 7 days, the last 24 hours unless it says otherwise (§4.10); all states or those."""
        numbers = sorted({_STATES[state] for state in states})
        params = history_params(query) + ([("states", ",".join(numbers))] if numbers else [])
        found = parse_orders(await self._rest.query("/allOrders", params))
        # A venue may ignore ``states`` (§2.5), so its answer is not taken on trust.
        return tuple(order for order in found if not states or order.status in states)

    async def trades(self, query: HistoryQuery) -> tuple[Fill, ...]:
        """One page of at most 100 of our trades of the last month, in the venue's order (§4.11)."""
        return parse_my_trades(await self._rest.query("/myTrades", history_params(query)))

    async def _cancel(self, path: str, params: Params, *, single: bool) -> CancelOutcome:
        try:
            outcome = await self._rest.cancel(path, params)
        except GatehouseError as refusal:
            return CancelFailed(LOCAL_REFUSAL, f"{refusal.code}: {refusal.message}")
        return cancel_outcome(outcome, single=single)
