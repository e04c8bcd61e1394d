"""The order endpoints (mexc-spot-v3.md §4.1-4.10). All are signed; the app routes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from exchange.matching.events import OrderView
from exchange.model import Millis, OrderStatus, OrderType
from exchange.testnet.access.auth import Permission
from exchange.testnet.conditions.faults import Operation
from exchange.testnet.http import openapi_parts as d
from exchange.testnet.http.endpoint import Call, Endpoint
from exchange.testnet.http.rest_market import listed
from exchange.wire.account import ALL_ORDERS_DEFAULT, ALL_ORDERS_MAX, parse_history
from exchange.wire.errors import ErrorCode, WireError, WireRefusal, refuse
from exchange.wire.numbers import whole_second
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

_DAY_MS = 86_400_000
_STATES: Mapping[str, frozenset[OrderStatus]] = {
    "1": frozenset({OrderStatus.NEW}),
    "2": frozenset({OrderStatus.PARTIALLY_FILLED}),
    "3": frozenset({OrderStatus.FILLED}),
    "4": frozenset({OrderStatus.CANCELED, OrderStatus.PARTIALLY_CANCELED}),
}
"""The undocumented ``states`` of ``allOrders`` (§2.5): 3 means filled and 4 canceled; 1 and 2 are by analogy."""


def _place(call: Call) -> object:
    return _placed(call, parse_new_order(call.params))


def _placed(call: Call, order: NewOrder) -> dict[str, object]:
    _admit(call, order)
    report = call.venue.place(call.account, order).order.report
    # Only a MARKET order gets its numbers from the venue.
    taken = replace(order, price=report.price, quantity=report.quantity) if order.type is OrderType.MARKET else order
    return ack_json(taken, report.order_id, report.created_at)


def _admit(call: Call, order: NewOrder) -> None:
    """Raises ``WireRefusal``: -1121, or the configured code for a pair outside the key's whitelist."""
    listed(call, order.symbol)
    if call.key is not None and call.key.symbols is not None and order.symbol not in call.key.symbols:
        raise refuse(call.venue.config.unlisted_pair_code, "this pair is not allowed for the api key")


def _test(call: Call) -> object:
    order = parse_new_order(call.params)
    _admit(call, order)
    call.venue.admit_order(order)
    refused = call.venue.engine.test(call.account, order.intent(order.client_id or ""))
    if refused is not None:
        raise WireRefusal(WireError(refused.code, refused.message))
    return {}


def _batch(call: Call) -> object:
    replies: list[object] = []
    for order in parse_batch(call.params):
        if isinstance(order, RefusedElement):
            replies.append(order.body())
            continue
        if order.client_id:
            call.venue.count_receipt(call.account, order.client_id)
        name = order.client_id or ""
        try:
            ack = _placed(call, order)
            replies.append(element_json(name, (str(ack["symbol"]), str(ack["orderId"]))))
        except WireRefusal as refusal:
            replies.append(element_json(name, refusal.error))
    return replies


def _cancel(call: Call) -> object:
    ref = parse_order_ref(call.params)
    listed(call, ref.symbol)
    return _canceled(call, call.venue.cancel(call.account, ref))


def _cancel_open(call: Call) -> object:
    symbols = parse_symbols(call.params)
    for symbol in symbols:
        listed(call, symbol)
    return [_canceled(call, view) for view in call.venue.cancel_all(call.account, symbols)]


def _cancel_all(call: Call) -> object:
    call.venue.cancel_all(call.account)
    return {"code": 200, "msg": "success", "timestamp": call.now}


def _order(call: Call) -> object:
    ref = parse_order_ref(call.params)
    listed(call, ref.symbol)
    view = call.venue.engine.order(call.account, ref.symbol, order_id=ref.order_id, client_id=ref.client_id)
    if view is None or not call.venue.is_visible(view):
        raise refuse(ErrorCode.NO_SUCH_ORDER, "Order does not exist.")
    return _shown_order(view)


def _open_orders(call: Call) -> object:
    symbols = parse_symbols(call.params) if call.params.get("symbol") else tuple(call.venue.engine.rules)
    for symbol in symbols:
        listed(call, symbol)
    found = [view for view in call.venue.engine.open_orders(call.account) if view.report.symbol in symbols]
    return _shown(call, found, unnamed="")


def _all_orders(call: Call) -> object:
    query = parse_history(call.params, default=ALL_ORDERS_DEFAULT, most=ALL_ORDERS_MAX)
    until = query.end if query.end is not None else call.now
    earliest = call.now - 7 * _DAY_MS
    since = max(earliest, query.start if query.start is not None else until - _DAY_MS)
    states = _states(call.params.get("states", ""))
    found = call.venue.engine.orders(
        call.account, listed(call, query.symbol).symbol, since=Millis(since), until=until, limit=10 * ALL_ORDERS_MAX
    )
    chosen = [view for view in found if states is None or view.report.status in states]
    return _shown(call, [view for view in chosen if query.order_id in {None, view.report.order_id}][: query.limit])


def _states(text: str) -> frozenset[OrderStatus] | None:
    if not text:
        return None
    return frozenset(status for name in text.split(",") for status in _STATES.get(name, ()))


def _shown(call: Call, views: list[OrderView], unnamed: str | None = None) -> list[dict[str, object]]:
    return [_shown_order(view, unnamed) for view in views if call.venue.is_visible(view)]


def _canceled(call: Call, view: OrderView) -> dict[str, object]:
    own = view.report.client_id or None
    reply = cancel_json(view.report, call.venue.config.cancel_status)
    return {**reply, "origClientOrderId": own, "clientOrderId": own}


def _shown_order(view: OrderView, unnamed: str | None = None) -> dict[str, object]:
    """An order as recorded: its times are whole seconds, and without a client id of its own it shows ``unnamed`` (§4.9)."""
    shown = replace(view.report, created_at=whole_second(view.report.created_at))
    if shown.updated_at is not None:
        shown = replace(shown, updated_at=whole_second(shown.updated_at))
    return {**order_json(shown, view.stp_mode, view.cancel_reason), "clientOrderId": view.report.client_id or unnamed}


_READ, _WRITE = Permission.SPOT_DEAL_READ, Permission.SPOT_DEAL_WRITE

ENDPOINTS = (
    Endpoint("POST", "/api/v3/order", Operation.PLACE, _WRITE, _place, "Place an order.", d.ORDER, d.ACK),
    Endpoint("POST", "/api/v3/order/test", Operation.QUERY, _WRITE, _test, "What placing would refuse.", d.ORDER, d.EMPTY),
    Endpoint(
        "POST",
        "/api/v3/batchOrders",
        Operation.PLACE,
        _WRITE,
        _batch,
        "Place up to 20 orders of one symbol; results by position.",
        (d.BATCH,),
        d.BATCH_REPLY,
    ),
    Endpoint("DELETE", "/api/v3/order", Operation.CANCEL, _WRITE, _cancel, "Cancel an order.", d.ORDER_REF, d.CANCELED),
    Endpoint(
        "DELETE",
        "/api/v3/openOrders",
        Operation.CANCEL,
        _WRITE,
        _cancel_open,
        "Cancel every order of up to 5 symbols.",
        (d.required(d.SYMBOL_LIST),),
        d.CANCELED_LIST,
    ),
    Endpoint(
        "DELETE", "/api/v3/order/all", Operation.CANCEL, _WRITE, _cancel_all, "Cancel every order there is.", (), d.CANCELED_ALL
    ),
    Endpoint("GET", "/api/v3/order", Operation.QUERY, _READ, _order, "One order.", d.ORDER_REF, d.ORDER_REPLY),
    Endpoint(
        "GET", "/api/v3/openOrders", Operation.QUERY, _READ, _open_orders, "Open orders, newest first.", (d.SYMBOL_LIST,), d.ORDERS
    ),
    Endpoint(
        "GET",
        "/api/v3/allOrders",
        Operation.QUERY,
        _READ,
        _all_orders,
        "Orders of the last 24 hours, or of a window within the last 7 days, newest first.",
        (d.SYMBOL, d.ORDER_ID, d.STATES, *d.WINDOW),
        d.ORDERS,
    ),
)
