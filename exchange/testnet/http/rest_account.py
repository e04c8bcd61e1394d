"""The account endpoints: balances, trades, fees, listen keys (mexc-spot-v3.md §4.11, §7.7). All are signed; the app routes them."""

from __future__ import annotations

from dataclasses import replace

from exchange.model import Millis
from exchange.testnet.access.auth import Permission
from exchange.testnet.conditions.faults import Operation
from exchange.testnet.http import openapi_parts as d
from exchange.testnet.http.endpoint import Call, Endpoint
from exchange.testnet.http.rest_market import listed
from exchange.wire.account import (
    MY_TRADES_PAGE,
    TradeFee,
    account_json,
    fill_json,
    listen_key_json,
    listen_keys_json,
    parse_history,
    symbol_list_json,
    trade_fee_body,
)
from exchange.wire.errors import ErrorCode, missing, refuse
from exchange.wire.numbers import whole_second
from exchange.wire.orders import parse_symbol

_MONTH_MS = 30 * 86_400_000


def _account(call: Call) -> object:
    return account_json(call.venue.engine.balances(call.account).values())


def _my_trades(call: Call) -> object:
    query = parse_history(call.params, default=MY_TRADES_PAGE, most=MY_TRADES_PAGE)
    since = max(call.now - _MONTH_MS, query.start if query.start is not None else 0)
    fills = call.venue.engine.fills(
        call.account,
        listed(call, query.symbol).symbol,
        order_id=query.order_id,
        since=Millis(since),
        until=query.end if query.end is not None else call.now,
        limit=query.limit,
    )
    # No recorded or documented reply names a client id here, whether the order had one or not (§6).
    return [{**fill_json(replace(fill, at=whole_second(fill.at))), "clientOrderId": None} for fill in fills]


def _trade_fee(call: Call) -> object:
    rules = listed(call, parse_symbol(call.params))
    return trade_fee_body(TradeFee(rules.maker_fee, rules.taker_fee), call.now)


def _self_symbols(call: Call) -> object:
    allowed = None if call.key is None else call.key.symbols
    return symbol_list_json(
        [name for name, rules in call.venue.engine.rules.items() if rules.api_allowed and (allowed is None or name in allowed)]
    )


def _create_key(call: Call) -> object:
    return listen_key_json(call.venue.listen_keys.create(call.account, call.now))


def _list_keys(call: Call) -> object:
    return listen_keys_json(call.venue.listen_keys.of(call.account, call.now))


def _renew_key(call: Call) -> object:
    key = _listen_key(call)
    if not call.venue.listen_keys.renew(key, call.account, call.now):
        raise refuse(ErrorCode.BAD_PARAMETER, "Invalid listen key")
    return listen_key_json(key)


def _delete_key(call: Call) -> object:
    key = _listen_key(call)
    if not call.venue.listen_keys.delete(key, call.account, call.now):
        raise refuse(ErrorCode.BAD_PARAMETER, "Invalid listen key")
    call.venue.end_streams([key], "listenKey closed")
    return listen_key_json(key)


def _listen_key(call: Call) -> str:
    key = call.params.get("listenKey", "")
    if not key:
        raise missing("listenKey")
    return key


_READ = Permission.SPOT_ACCOUNT_READ
_STREAM_PATH = "/api/v3/userDataStream"

_LISTEN_KEY = (d.LISTEN_KEY,)
_STREAM = Operation.STREAM

ENDPOINTS = (
    Endpoint("GET", "/api/v3/account", Operation.QUERY, _READ, _account, "Balances.", (), d.ACCOUNT),
    Endpoint(
        "GET",
        "/api/v3/myTrades",
        Operation.QUERY,
        _READ,
        _my_trades,
        "The account's trades of the last month, at most 100, newest first.",
        (d.SYMBOL, d.ORDER_ID, *d.WINDOW),
        d.MY_TRADES,
    ),
    Endpoint("GET", "/api/v3/tradeFee", Operation.QUERY, _READ, _trade_fee, "A symbol's fees.", (d.SYMBOL,), d.TRADE_FEE),
    Endpoint("GET", "/api/v3/selfSymbols", Operation.QUERY, _READ, _self_symbols, "Pairs for this key.", (), d.SYMBOL_NAMES),
    Endpoint("POST", _STREAM_PATH, _STREAM, _READ, _create_key, "Create a listenKey.", (), d.LISTEN_KEY_REPLY),
    Endpoint("GET", _STREAM_PATH, _STREAM, _READ, _list_keys, "List the listenKeys.", (), d.LISTEN_KEYS),
    Endpoint("PUT", _STREAM_PATH, _STREAM, _READ, _renew_key, "Renew a listenKey.", _LISTEN_KEY, d.LISTEN_KEY_REPLY),
    Endpoint("DELETE", _STREAM_PATH, _STREAM, _READ, _delete_key, "Close a listenKey.", _LISTEN_KEY, d.LISTEN_KEY_REPLY),
)
