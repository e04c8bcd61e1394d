"""The order endpoints of the gateway: place, cancel and query (mexc-spot-v3.md §4.1-4.10). ``gateway.app`` routes to it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from controller.gateway.bot_ids import fault, parse_bot_id
from controller.gateway.denials import denial
from controller.gateway.limits import ReplayGuard, taken_by_an_earlier_process
from controller.gateway.port import (
    Accepted,
    Busy,
    CancelRefused,
    CancelReply,
    CancelTaken,
    GatewayPort,
    Outstanding,
    PlaceReply,
    VenueRejected,
    Window,
)
from controller.gateway.requests import Call
from controller.gateway.throttled import Throttled
from exchange.model import Millis, OrderReport, OrderStatus, Side
from exchange.orders import TERMINAL, WORKING
from exchange.wire.account import ALL_ORDERS_DEFAULT, ALL_ORDERS_MAX, parse_history
from exchange.wire.errors import ErrorCode, WireError, WireRefusal, refuse
from exchange.wire.order_errors import order_error
from exchange.wire.orders import (
    NewOrder,
    RefusedElement,
    ack_json,
    cancel_json,
    element_json,
    order_json,
    parse_batch,
    parse_new_order,
    parse_order_ref,
    parse_symbols,
)
from policies.limit_types import Deny

DAY = 86_400_000
"""Milliseconds."""

ORDER_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""The form of the order ids that gatehouse gives; no order has any other."""

_WEEK = 7 * DAY
_SUCCESSES = frozenset({0, 200})
_STATES: Mapping[str, frozenset[OrderStatus]] = MappingProxyType(
    {
        "2": WORKING,
        "3": frozenset({OrderStatus.FILLED}),
        "4": frozenset({OrderStatus.CANCELED, OrderStatus.PARTIALLY_CANCELED, OrderStatus.REJECTED}),
    }
)
"""The undocumented ``states`` of ``allOrders`` (mexc-spot-v3.md §2.5): open, closed, cancelled."""


class OrderDesk:
    """The order endpoints of one gateway."""

    def __init__(self, port: GatewayPort) -> None:
        self._port = port
        self._replays = ReplayGuard()

    async def place(self, call: Call) -> object:
        """``POST order``. Raises ``WireRefusal``, with a 5xx only where the outcome is unknown.

        The same signed bytes never place two orders. With a ``newClientOrderId`` they give the first order while it can trade.
        """
        order = parse_new_order(call.params, read_client_id=parse_bot_id)
        self._check_use(call, (order,))
        return _place_json(await self._port.place(call.bot, order, key=call.key))

    async def batch(self, call: Call) -> object:
        """``POST batchOrders``: each element is decided and answered as an order of its own, in the order of the request.

        An element whose outcome is not known is answered with its id, because an error would say that it was refused.
        """
        elements = parse_batch(call.params, read_client_id=parse_bot_id)
        self._check_use(call, tuple(one for one in elements if isinstance(one, NewOrder)))
        return await asyncio.gather(*(self._element(call, one) for one in elements))

    async def _element(self, call: Call, order: NewOrder | RefusedElement) -> dict[str, object]:
        if isinstance(order, RefusedElement):
            return order.body()
        name = order.client_id or ""
        reply = await self._port.place(call.bot, order, key=call.key)
        if isinstance(reply, Outstanding) and reply.order_id:
            return element_json(name, (order.symbol, reply.order_id))
        try:
            placed = _place_json(reply)
        except WireRefusal as refusal:
            return element_json(name, refusal.error)
        return element_json(name, (order.symbol, str(placed["orderId"])))

    def _check_use(self, call: Call, orders: Sequence[NewOrder]) -> None:
        """Refuse bytes that may have placed an order before, unless every order's own id says which one that was."""
        known = [
            one.client_id is not None and self._port.order(call.bot, one.symbol, bot_client_id=one.client_id) is not None
            for one in orders
        ]
        if not all(known):
            self._check_signed_since_the_start(call)
        first = self._replays.first_use(call.bot, call.signature, call.expires, self._port.now())
        unnamed = any(one.client_id is None for one in orders)
        if not first and (unnamed or self._replays.spent_on_a_test(call.bot, call.signature)):
            raise _replayed()

    async def test(self, call: Call) -> object:
        """``POST order/test``: checks only the order's form and the symbol's rules; decides and stores nothing.

        It spends its signature, because MEXC signs no path: the same bytes would place the order.
        """
        order = parse_new_order(call.params, read_client_id=parse_bot_id)
        self._check_signed_since_the_start(call)
        if not self._replays.first_use(call.bot, call.signature, call.expires, self._port.now(), test=True):
            raise _replayed()
        rules = self._port.rules((order.symbol,)).get(order.symbol)
        if rules is None:
            raise refuse(ErrorCode.BAD_SYMBOL, "Invalid symbol.")
        quote = self._port.quote(order.symbol)
        best = None if quote is None else quote.ask if order.side is Side.BUY else quote.bid
        # The bot's id stays here, so the venue's form of an id does not apply to it.
        error = order_error(replace(order, client_id=None), rules, best)
        if error is not None:
            raise WireRefusal(error)
        return {}

    def _check_signed_since_the_start(self, call: Call) -> None:
        if taken_by_an_earlier_process(call.timestamp, self._port.started()):
            raise refuse(
                ErrorCode.OUTSIDE_RECV_WINDOW,
                "gatehouse: replay: this request was signed before the gateway started, and it may have been accepted then. "
                "Timestamp for this request is outside of the recvWindow. Sign it again with a new timestamp.",
            )

    async def cancel(self, call: Call) -> object:
        """``DELETE order``. The reply shows the order as it was before the cancel."""
        order = self._find(call)
        if order is None or order.status in TERMINAL:
            raise refuse(ErrorCode.UNKNOWN_ORDER, "Unknown order sent.")
        _taken(await self._port.cancel(call.bot, order.symbol, order.order_id))
        return cancel_json(order)

    async def cancel_symbols(self, call: Call) -> object:
        """``DELETE openOrders`` of up to five symbols."""
        symbols = parse_symbols(call.params)
        return [cancel_json(order) for order in _taken(await self._port.cancel_all(call.bot, symbols))]

    async def cancel_everything(self, call: Call) -> object:
        """``DELETE order/all``: every open order of this bot."""
        _taken(await self._port.cancel_all(call.bot, None))
        return {"code": 200, "msg": "success", "timestamp": self._port.now()}

    async def query(self, call: Call) -> object:
        """``GET order``. ``updateTime`` is always a number, because clients read it as one (mexc-spot-v3.md §4.9)."""
        order = self._find(call)
        if order is None:
            raise refuse(ErrorCode.NO_SUCH_ORDER, "Order does not exist.")
        return self._order_json(call, order)

    async def open(self, call: Call) -> object:
        """``GET openOrders`` of one symbol, of up to five, or of all."""
        if not call.params.get("symbol"):
            return [self._order_json(call, order) for order in self._port.open_orders(call.bot, None)]
        symbols = parse_symbols(call.params)
        return [self._order_json(call, order) for symbol in symbols for order in self._port.open_orders(call.bot, symbol)]

    async def history(self, call: Call) -> object:
        """``GET allOrders``: the last day by default, at most the last week."""
        query = parse_history(call.params, default=ALL_ORDERS_DEFAULT, most=ALL_ORDERS_MAX)
        window = window_of(query.start, query.end, self._port.now(), usual=DAY, most=_WEEK)
        statuses = _statuses(call.params.get("states", ""))
        found = self._port.all_orders(call.bot, query.symbol, window, query.limit, statuses)
        return [self._order_json(call, order) for order in found]

    def _order_json(self, call: Call, order: OrderReport) -> dict[str, object]:
        shown = order if order.updated_at is not None else replace(order, updated_at=order.created_at)
        return order_json(shown, self._port.stp_mode(call.bot, order.order_id), self._port.cancel_reason(call.bot, order.order_id))

    def _find(self, call: Call) -> OrderReport | None:
        ref = parse_order_ref(call.params)
        if ref.order_id is not None:
            known = ORDER_ID.fullmatch(ref.order_id) is not None
            return self._port.order(call.bot, ref.symbol, order_id=ref.order_id) if known else None
        if ref.client_id is None or fault(ref.client_id):
            return None
        return self._port.order(call.bot, ref.symbol, bot_client_id=ref.client_id)


def batch_size(call: Call) -> int:
    """How many orders a batch has. Raises ``WireRefusal`` as ``parse_batch``."""
    return len(parse_batch(call.params, read_client_id=parse_bot_id))


def window_of(start: Millis | None, end: Millis | None, now: Millis, *, usual: int, most: int) -> Window:
    """The time span of a history query: by default ``usual`` ms before its end, never more than ``most`` ms back from now."""
    last = now if end is None else end
    first = last - usual if start is None else start
    return Window(Millis(max(first, now - most)), last)


def _replayed() -> WireRefusal:
    return refuse(
        ErrorCode.BAD_SIGNATURE,
        "gatehouse: replay: this signed request was accepted before and is not accepted again. "
        "Sign every order with a new timestamp, or give it a newClientOrderId.",
    )


def _place_json(reply: PlaceReply) -> Mapping[str, object]:
    match reply:
        case Accepted():
            return ack_json(reply.order, reply.order_id, reply.at)
        case Deny():
            raise denial(reply)
        case VenueRejected():
            raise WireRefusal(WireError(_rejection_code(reply.code), reply.message))
        case Outstanding():
            names = (("orderId", reply.order_id), ("origClientOrderId", reply.bot_client_id))
            named = " or ".join(f"{name}={value}" for name, value in names if value)
            raise refuse(
                ErrorCode.GATEWAY_TIMEOUT,
                f"gatehouse: outcome-unknown: {reply.reason}. The order may be live and its outcome is being resolved. "
                f"Do not send it again; {f'query it by {named}' if named else 'look for it in openOrders and allOrders'}.",
            )
        case Busy():
            raise _busy(reply)


def _taken(reply: CancelReply) -> tuple[OrderReport, ...]:
    match reply:
        case CancelTaken():
            return reply.orders
        case CancelRefused():
            code = reply.code if reply.code not in _SUCCESSES else int(ErrorCode.OPERATION_NOT_ALLOWED)
            raise WireRefusal(WireError(code, reply.message, _status_of(code)))
        case Busy():
            raise _busy(reply)


def _busy(reply: Busy) -> Throttled:
    return Throttled("gatehouse: busy: the controller's inbox is full; nothing was decided or sent.", reply.retry_after_s)


def _rejection_code(code: int) -> int:
    # A refusal is certain, so its code must not look like a success, nor like a 5xx, which means "unknown".
    certain = code not in _SUCCESSES and _status_of(code) < 500
    return code if certain else int(ErrorCode.OPERATION_NOT_ALLOWED)


def _status_of(code: int) -> int:
    return ErrorCode(code).http_status if code in set(ErrorCode) else 400


def _statuses(text: str) -> frozenset[OrderStatus] | None:
    if not text:
        return None
    wanted: frozenset[OrderStatus] = frozenset()
    for state in text.split(","):
        if state not in _STATES:
            raise refuse(ErrorCode.BAD_PARAMETER, "states must be 2 (open), 3 (filled) or 4 (cancelled).")
        wanted |= _STATES[state]
    return wanted
