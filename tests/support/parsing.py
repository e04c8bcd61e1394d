"""What every parser of what a venue sends must do with any bytes: refuse them, or return a value that encodes back.

``test_any_bytes.py`` calls it with what hypothesis makes up, ``ops/fuzz.py`` with what atheris does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from exchange.model import ForeignOrder, Millis
from exchange.wire import account, market, orders
from exchange.wire.errors import MalformedReply, dump_json, error_of, load_json, read_reply
from exchange.wire.numbers import plain
from exchange.wire.push_decode import decode_push
from exchange.wire.push_encode import encode_push
from exchange.wire.stream import parse_reply
from exchange.wire.symbols import parse_symbol_rules, symbol_json

Parse = Callable[[bytes], object]


def _body(parse: Callable[[Any], Any], encode: Callable[[Any], object]) -> Parse:
    def check(body: bytes) -> object:
        value = parse(load_json(body))
        again = parse(load_json(dump_json(encode(value))))
        assert again == value, f"{value} encodes as {again}"
        return value

    return check


def _listed(one: Any) -> object:
    if not isinstance(one, ForeignOrder):
        return orders.order_json(one)
    status = "NEW" if one.open else "CANCELED"
    return {"symbol": one.symbol, "orderId": one.order_id, "clientOrderId": one.client_id, "type": one.kind, "status": status}


def _ack(ack: orders.OrderAck) -> object:
    numbers = {name: None if value is None else plain(value) for name, value in (("price", ack.price), ("origQty", ack.quantity))}
    return {"symbol": ack.symbol, "orderId": ack.order_id, "transactTime": ack.at, **numbers}


def _account(body: bytes) -> object:
    value = account.parse_account(load_json(body))
    again = account.parse_account(load_json(dump_json(account.account_json(value.balances.values(), can_trade=value.can_trade))))
    assert again == replace(value, balances={name: one for name, one in value.balances.items() if one.total})
    return value


def _ticker(ticker: market.BookTicker | None) -> object:
    return {"symbol": "A", "bidPrice": None} if ticker is None else market.book_ticker_json(ticker)


def _fee(fee: account.TradeFee) -> object:
    return {"data": {"makerCommission": plain(fee.maker), "takerCommission": plain(fee.taker)}}


def _push(frame: bytes) -> object:
    push = decode_push(frame)
    assert decode_push(encode_push(push)) == push
    return push


def _control(frame: bytes) -> object:
    reply = parse_reply(frame.decode("utf-8", errors="replace"))
    assert parse_reply(json.dumps({"id": reply.id, "code": reply.code, "msg": reply.msg})) == reply
    return reply


def _error(body: bytes) -> object:
    for status in (200, 400, 403, 500):
        try:
            error, _ = read_reply(status, body)
        except MalformedReply:
            continue
        if error is not None:
            error.msg.encode()
            again = error_of(status, load_json(dump_json(error.body())))
            assert not error.coded or (again is not None and again.code == error.code)
    return None


PARSERS: dict[str, Parse] = {
    "push": _push,
    "control": _control,
    "error": _error,
    "ack": _body(orders.parse_ack, _ack),
    "cancel": _body(
        orders.parse_cancel, lambda ref: {"symbol": ref.symbol, "orderId": ref.order_id, "origClientOrderId": ref.client_id}
    ),
    "order": _body(orders.parse_order, orders.order_json),
    "orders": _body(orders.parse_orders, lambda many: [_listed(one) for one in many]),
    "trades": _body(account.parse_my_trades, lambda fills: [account.fill_json(one) for one in fills]),
    "account": _account,
    "fee": _body(account.parse_trade_fee, _fee),
    "listen key": _body(account.parse_listen_key, account.listen_key_json),
    "symbols": _body(account.parse_symbol_list, account.symbol_list_json),
    "listing": _body(parse_symbol_rules, symbol_json),
    "ticker": _body(market.parse_book_ticker, _ticker),
    "depth": _body(market.parse_depth, market.depth_json),
    "time": _body(market.parse_time, lambda at: market.time_json(Millis(at))),
}


def refused_or_encoded(name: str, data: bytes) -> object | None:
    """Give ``data`` to one parser. Returns what it read, ``None`` for a refusal; anything else is an error."""
    try:
        return PARSERS[name](data)
    except MalformedReply:
        return None
