"""Reads and writes order messages (mexc-spot-v3.md §4.1-4.10). The client, the testnet and the gateway call it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from exchange.forms import CLIENT_ID, MAX_CLIENT_ID, TAKES, Field, misfit
from exchange.model import ForeignOrder, ListedOrder, Millis, OrderIntent, OrderReport, OrderStatus, OrderType, Side, symbol_fault
from exchange.wire.errors import ErrorCode, MalformedReply, WireError, WireRefusal, missing, refuse
from exchange.wire.fields import Fields, as_list
from exchange.wire.numbers import exact_product, parse_decimal, plain
from exchange.wire.order_errors import misfit_error

MAX_SYMBOLS_PER_CANCEL = 5
"""The most symbols of one ``DELETE openOrders`` (§4.7)."""

MAX_BATCH = 20
"""The most orders of one batch (§4.5)."""

_TIME_IN_FORCE_SHOWN = 16
_ID_SHOWN = 64
_STP_NAMED = "stpMode="
_LEGACY_TYPES = {"LIMIT_ORDER": OrderType.LIMIT}
_READABLE_TYPES = frozenset({kind.value for kind in OrderType} | set(_LEGACY_TYPES))
_ENDED = frozenset({"FILLED", "CANCELED", "PARTIALLY_CANCELED"})
_TAKEABLE = {kind: tuple(name for name in Field if any(name in choice for choice in choices)) for kind, choices in TAKES.items()}


STP_CANCEL = "stp_cancel"
"""The ``cancelReason`` of an order that self-trade prevention canceled (§4.9)."""


class StpMode(StrEnum):
    """Which order is canceled if two of one STP group would trade with each other (§4.1)."""

    NONE = ""
    CANCEL_MAKER = "cancel_maker"
    CANCEL_TAKER = "cancel_taker"
    CANCEL_BOTH = "cancel_both"


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order as requested: an ``OrderIntent`` whose client id is optional.

    ``time_in_force`` is what hummingbot sends with every order (§2.5). MEXC does not know it, so it is never sent.
    """

    symbol: str
    side: Side
    type: OrderType
    client_id: str | None = None
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    price: Decimal | None = None
    stp_mode: StpMode = StpMode.NONE
    time_in_force: str = ""

    @property
    def conditions(self) -> str:
        """What was asked for besides side, type and amounts; the gateway compares it when a client id is used again."""
        named = (("timeInForce", self.time_in_force), (_STP_NAMED[:-1], self.stp_mode.value))
        return ", ".join(f"{name}={value}" for name, value in named if value)

    def intent(self, client_id: str) -> OrderIntent:
        """The same order with our client id."""
        return OrderIntent(self.symbol, self.side, self.type, client_id, self.quantity, self.quote_quantity, self.price)


@dataclass(frozen=True, slots=True)
class RefusedElement:
    """An element of a batch that cannot be an order, and the id it was sent with, by which its sender knows it."""

    error: WireError
    client_id: str = ""

    def body(self) -> dict[str, object]:
        """Its part of the reply."""
        return element_json(self.client_id, self.error)


@dataclass(frozen=True, slots=True)
class OrderRef:
    """The order of a query or cancel: at least one id is set; the exchange's id wins if both are."""

    symbol: str
    order_id: str | None = None
    client_id: str | None = None


@dataclass(frozen=True, slots=True)
class OrderAck:
    """The reply to a placement (§4.1). It has no status and no fills; the last three are absent in older captures."""

    symbol: str
    order_id: str
    at: Millis | None = None
    price: Decimal | None = None
    quantity: Decimal | None = None


class CancelStatus(StrEnum):
    """What a cancel reply says about the order's state. Captures disagree, so it proves nothing (§4.6)."""

    BEFORE = "before"
    AFTER = "after"


def parse_symbol(params: Mapping[str, str]) -> str:
    """The mandatory ``symbol``. Raises ``WireRefusal``: 700004 if absent, -1121 with the reason if it cannot be a symbol."""
    symbol = params.get("symbol", "")
    if not symbol:
        raise missing("symbol")
    if fault := symbol_fault(symbol):
        raise refuse(ErrorCode.BAD_SYMBOL, f"Invalid symbol: {fault}.")
    return symbol


def parse_symbols(params: Mapping[str, str], *, name: str = "symbol", most: int = MAX_SYMBOLS_PER_CANCEL) -> tuple[str, ...]:
    """Comma-separated symbols, in order, without repeats (§4.7). Raises ``WireRefusal`` as ``parse_symbol``; 33333 for too many."""
    text = params.get(name, "")
    if not text:
        raise missing(name)
    symbols = tuple(dict.fromkeys(text.split(",")))
    if len(symbols) > most:
        raise refuse(ErrorCode.BAD_PARAMETER, f"At most {most} symbols.")
    return tuple(parse_symbol({"symbol": symbol}) for symbol in symbols)


def parse_client_id(text: str) -> str:
    """A client order id. Raises ``WireRefusal`` (700008) for illegal characters or more than 32 characters."""
    if len(text) > MAX_CLIENT_ID:
        raise refuse(ErrorCode.ILLEGAL_CHARACTERS, f"Parameter 'newClientOrderId' has more than {MAX_CLIENT_ID} characters.")
    if CLIENT_ID.fullmatch(text) is None:
        raise refuse(ErrorCode.ILLEGAL_CHARACTERS, "Illegal characters found in parameter 'newClientOrderId'.")
    return text


def parse_new_order(params: Mapping[str, str], *, read_client_id: Callable[[str], str] = parse_client_id) -> NewOrder:
    """Read ``POST order`` parameters (§4.1-4.3). ``timeInForce`` and numbers that the order type does not take are ignored.

    ``read_client_id`` checks the client id. The gateway has its own check, because a bot's id is never sent to a venue.

    Raises:
        WireRefusal: 700004 missing, 700008 malformed, -1121 symbol, 33333 side, stpMode or both market quantities, 30041 type.
    """
    symbol = parse_symbol(params)
    side = _parse_side(params)
    order_type = _parse_type(params)
    client_id = params.get("newClientOrderId", "")
    numbers = {name: parse_decimal(name, text) for name in _TAKEABLE[order_type] if (text := params.get(name, ""))}
    found = misfit(order_type, numbers)
    if found is not None:
        raise WireRefusal(misfit_error(found))
    return NewOrder(
        symbol=symbol,
        side=side,
        type=order_type,
        client_id=read_client_id(client_id) if client_id else None,
        quantity=numbers.get(Field.QUANTITY),
        quote_quantity=numbers.get(Field.AMOUNT),
        price=numbers.get(Field.PRICE),
        stp_mode=_parse_stp_mode(params),
        time_in_force=params.get("timeInForce", "")[:_TIME_IN_FORCE_SHOWN],
    )


def parse_batch(
    params: Mapping[str, str], *, read_client_id: Callable[[str], str] = parse_client_id
) -> tuple[NewOrder | RefusedElement, ...]:
    """Read ``POST batchOrders`` (§4.5): one entry per element; ``read_client_id`` as for ``parse_new_order``.

    Raises:
        WireRefusal: 700004 when ``batchOrders`` is not a list of objects, 33333 for more than 20 or for a second symbol.
    """
    try:
        decoded = json.loads(params.get("batchOrders", ""), parse_float=str)
    except (ValueError, RecursionError) as error:
        raise missing("batchOrders") from error
    if not isinstance(decoded, list) or not decoded or not all(isinstance(item, dict) for item in decoded):
        raise missing("batchOrders")
    if len(decoded) > MAX_BATCH:
        raise refuse(ErrorCode.BAD_PARAMETER, f"At most {MAX_BATCH} orders per batch.")
    if len({str(item.get("symbol")) for item in decoded}) > 1:
        raise refuse(ErrorCode.BAD_PARAMETER, "All orders of a batch must have the same symbol.")
    return tuple(_parse_element(item, read_client_id) for item in decoded)


def element_json(client_id: str, outcome: WireError | tuple[str, str]) -> dict[str, object]:
    """One element of the reply to a batch: an error, or symbol and order id (§4.5). The client id is shown if there is one."""
    named: dict[str, object] = {"newClientOrderId": client_id} if client_id else {}
    if isinstance(outcome, WireError):
        return {**named, **outcome.body()}
    symbol, order_id = outcome
    return {"symbol": symbol, "orderId": order_id, **named, "orderListId": -1}


def stp_mode_of(conditions: str) -> StpMode:
    """The mode in a text that ``NewOrder.conditions`` made."""
    named = conditions.rpartition(", ")[2]
    text = named.removeprefix(_STP_NAMED) if named.startswith(_STP_NAMED) else ""
    return StpMode(text) if text in set(StpMode) else StpMode.NONE


def order_params(order: OrderIntent | NewOrder) -> list[tuple[str, str]]:
    """The parameters of ``POST order`` for an order, without ``timestamp`` and ``recvWindow``."""
    params = [("symbol", order.symbol), ("side", order.side.value), ("type", order.type.value)]
    if order.quantity is not None:
        params.append(("quantity", plain(order.quantity)))
    if order.quote_quantity is not None:
        params.append(("quoteOrderQty", plain(order.quote_quantity)))
    if order.price is not None:
        params.append(("price", plain(order.price)))
    if order.client_id:
        params.append(("newClientOrderId", order.client_id))
    return params


def order_payload(intent: OrderIntent, recv_window: int, at: Millis) -> str:
    """The stamped parameters of a new order as they are signed: ``order_params`` encoded, without the detour over pairs."""
    return f"{order_text(intent)}&recvWindow={recv_window}&timestamp={at}"


def order_text(intent: OrderIntent) -> str:
    """The encoded parameters of a new order without its stamp. No valid order has a character that needs an escape."""
    order = f"symbol={intent.symbol}&side={intent.side.value}&type={intent.type.value}"
    if intent.quantity is not None:
        order += f"&quantity={plain(intent.quantity)}"
    if intent.quote_quantity is not None:
        order += f"&quoteOrderQty={plain(intent.quote_quantity)}"
    if intent.price is not None:
        order += f"&price={plain(intent.price)}"
    return f"{order}&newClientOrderId={intent.client_id}"


def parse_order_ref(params: Mapping[str, str]) -> OrderRef:
    """Read the order of ``GET order`` or ``DELETE order``. Other parameters are ignored (§2.5).

    Raises:
        WireRefusal: 700004 when neither id is present.
    """
    symbol = parse_symbol(params)
    order_id = params.get("orderId") or None
    client_id = params.get("origClientOrderId") or None
    if order_id is None and client_id is None:
        raise missing("orderId")
    return OrderRef(symbol, order_id, client_id)


def order_ref_params(ref: OrderRef) -> list[tuple[str, str]]:
    """The parameters of ``GET order`` and ``DELETE order``."""
    params = [("symbol", ref.symbol)]
    if ref.order_id is not None:
        params.append(("orderId", ref.order_id))
    if ref.client_id is not None:
        params.append(("origClientOrderId", ref.client_id))
    return params


def ack_json(order: NewOrder | OrderIntent, order_id: str, at: Millis) -> dict[str, object]:
    """The reply to an accepted placement (§4.1). A MARKET ``order`` comes as the venue took it, with price and quantity (§4.3)."""
    return {
        "symbol": order.symbol,
        "orderId": order_id,
        "orderListId": -1,
        "price": plain(order.price) if order.price is not None else "0",
        "origQty": plain(order.quantity) if order.quantity is not None else "0",
        "type": order.type.value,
        "side": order.side.value,
        "stpMode": order.stp_mode.value if isinstance(order, NewOrder) else "",
        "transactTime": at,
    }


def parse_ack(decoded: object) -> OrderAck:
    """Read the reply to a placement; only ``symbol`` and ``orderId`` are documented. Raises ``MalformedReply``."""
    fields = Fields("ack", decoded)
    at = fields.millis("transactTime") if fields.has("transactTime") else None
    price, quantity = (None if fields.raw(name) in (None, "") else fields.amount(name) for name in ("price", "origQty"))
    return OrderAck(fields.text("symbol"), fields.venue_id("orderId"), at, price, quantity)


def order_json(report: OrderReport, stp_mode: StpMode = StpMode.NONE, cancel_reason: str | None = None) -> dict[str, object]:
    """The order object of §4.9. ``updateTime`` is null if unknown; states of our own appear as ``venue_status`` says."""
    return {
        "symbol": report.symbol,
        "orderId": report.order_id,
        "orderListId": -1,
        "clientOrderId": report.client_id,
        "price": plain(report.price),
        "origQty": plain(report.quantity),
        "executedQty": plain(report.executed),
        "cummulativeQuoteQty": plain(report.executed_quote),
        "status": venue_status(report.status).value,
        "timeInForce": None,
        "type": report.type.value,
        "side": report.side.value,
        "stopPrice": None,
        "icebergQty": None,
        "time": report.created_at,
        "updateTime": report.updated_at,
        "stpMode": stp_mode.value,
        "cancelReason": cancel_reason,
        "isWorking": True,
        "origQuoteOrderQty": plain(report.quote_quantity or exact_product(report.price, report.quantity)),
    }


def parse_order(decoded: object) -> OrderReport:
    """Read an order object (§4.9). Raises ``MalformedReply`` for a missing field, an unknown status or an unknown type."""
    fields = Fields("order", decoded)
    return OrderReport(
        symbol=fields.text("symbol"),
        order_id=fields.venue_id("orderId"),
        client_id=fields.client_id_or_empty("clientOrderId"),
        side=reply_side(fields.text("side")),
        type=reply_type(fields.text("type")),
        status=reply_status(fields.text("status")),
        price=fields.amount("price"),
        quantity=_ordered(fields),
        executed=fields.amount("executedQty"),
        executed_quote=fields.amount("cummulativeQuoteQty"),
        created_at=fields.millis("time"),
        updated_at=fields.millis("updateTime") if fields.has("updateTime") else None,
    )


def _ordered(fields: Fields) -> Decimal:
    """The quantity, under the name that captures show or the one that is documented (§4.9). Two that differ cannot be read."""
    quantities = {fields.amount(name) for name in ("origQty", "Qty") if fields.has(name)}
    if len(quantities) != 1:
        raise MalformedReply("order.origQty and order.Qty differ" if quantities else "order.origQty is missing")
    return quantities.pop()


def parse_orders(decoded: object) -> tuple[ListedOrder, ...]:
    """Read an ``openOrders`` or ``allOrders`` list, which may hold orders that a person placed. Raises ``MalformedReply``."""
    return tuple(_parse_listed(item) for item in as_list("orders", decoded))


def _parse_listed(decoded: object) -> ListedOrder:
    fields = Fields("order", decoded)
    kind = fields.text("type")
    if kind in _READABLE_TYPES:
        return parse_order(decoded)
    ended = fields.text_or_empty("status") in _ENDED
    return ForeignOrder(
        fields.text("symbol"), fields.venue_id("orderId"), fields.client_id_or_empty("clientOrderId"), kind, open=not ended
    )


def cancel_json(report: OrderReport, shown: CancelStatus = CancelStatus.BEFORE) -> dict[str, object]:
    """The reply to a cancel (§4.6). ``report`` is the order before the cancel; ``shown`` selects the state in the reply."""
    status = venue_status(report.status)
    if shown is CancelStatus.AFTER:
        status = OrderStatus.PARTIALLY_CANCELED if report.executed > 0 else OrderStatus.CANCELED
    return {
        "symbol": report.symbol,
        "origClientOrderId": report.client_id,
        "orderId": report.order_id,
        "clientOrderId": report.client_id,
        "price": plain(report.price),
        "origQty": plain(report.quantity),
        "executedQty": plain(report.executed),
        "cummulativeQuoteQty": plain(report.executed_quote),
        "status": status.value,
        "timeInForce": None,
        "type": report.type.value,
        "side": report.side.value,
    }


def parse_cancel(decoded: object) -> OrderRef:
    """Read the order of a cancel reply. Its status proves nothing, so it is ignored (§4.6).

    ``clientOrderId`` is ignored too: it may be the id of the cancel instead of the order's.
    """
    fields = Fields("cancel", decoded)
    client_id = fields.client_id_or_empty("origClientOrderId")
    return OrderRef(fields.text("symbol"), fields.venue_id("orderId"), client_id or None)


def venue_status(status: OrderStatus) -> OrderStatus:
    """The MEXC state for an order: unproven orders appear as open, rejected ones as canceled."""
    if status in {OrderStatus.ADMITTED, OrderStatus.UNKNOWN}:
        return OrderStatus.NEW
    return OrderStatus.CANCELED if status is OrderStatus.REJECTED else status


def reply_status(text: str) -> OrderStatus:
    """A REST status (§4.12). Raises ``MalformedReply`` for one MEXC does not list."""
    try:
        status = OrderStatus(text)
    except ValueError as error:
        raise MalformedReply(f"unknown order status {text[:40]!r}") from error
    if venue_status(status) is not status:
        raise MalformedReply(f"{text!r} is not a venue's order status")
    return status


def reply_side(text: str) -> Side:
    """A side. Raises ``MalformedReply`` for anything else."""
    try:
        return Side(text)
    except ValueError as error:
        raise MalformedReply(f"unknown side {text[:40]!r}") from error


def reply_type(text: str) -> OrderType:
    """An order type, in today's or the legacy spelling (§4.2). Raises ``MalformedReply`` for one V3 cannot create."""
    legacy = _LEGACY_TYPES.get(text)
    if legacy is not None:
        return legacy
    try:
        return OrderType(text)
    except ValueError as error:
        raise MalformedReply(f"unknown order type {text[:40]!r}") from error


def _parse_element(item: Mapping[str, object], read_client_id: Callable[[str], str]) -> NewOrder | RefusedElement:
    named = {str(name): str(value) for name, value in item.items() if value is not None}
    try:
        return parse_new_order(named, read_client_id=read_client_id)
    except WireRefusal as refusal:
        return RefusedElement(refusal.error, named.get("newClientOrderId", "")[:_ID_SHOWN])


def _parse_side(params: Mapping[str, str]) -> Side:
    text = params.get("side", "")
    if not text:
        raise missing("side")
    try:
        return Side(text)
    except ValueError as error:
        raise refuse(ErrorCode.BAD_PARAMETER, "side must be BUY or SELL.") from error


def _parse_type(params: Mapping[str, str]) -> OrderType:
    text = params.get("type", "")
    if not text:
        raise missing("type")
    try:
        return reply_type(text)
    except MalformedReply as error:
        raise refuse(ErrorCode.TYPE_NOT_ALLOWED, "The current order type can not place order.") from error


def _parse_stp_mode(params: Mapping[str, str]) -> StpMode:
    try:
        return StpMode(params.get("stpMode", ""))
    except ValueError as error:
        raise refuse(ErrorCode.BAD_PARAMETER, "stpMode must be cancel_maker, cancel_taker or cancel_both.") from error
