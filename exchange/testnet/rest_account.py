"""The account endpoints: balances, our trades, fees, listenKeys (mexc-spot-v3.md §4.11, §7.7). All are signed."""

from __future__ import annotations

from exchange.model import Millis
from exchange.testnet.auth import Permission
from exchange.testnet.endpoint import Call, Endpoint
from exchange.testnet.faults import Operation
from exchange.testnet.rest_market import listed
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
    return [fill_json(fill) for fill in fills]


def _trade_fee(call: Call) -> object:
    rules = listed(call, parse_symbol(call.params))
    return trade_fee_body(TradeFee(rules.maker_fee, rules.taker_fee), call.now)


def _self_symbols(call: Call) -> object:
    return symbol_list_json([symbol for symbol, rules in call.venue.engine.rules.items() if rules.api_allowed])


def _currencies(call: Call) -> object:
    """Every asset with one network that takes neither deposits nor withdrawals: there is nothing to move here."""
    assets = {asset for rules in call.venue.engine.rules.values() for asset in (rules.base, rules.quote)}
    assets.update(call.venue.engine.balances(call.account))
    return [
        {
            "coin": asset,
            "name": asset,
            "networkList": [
                {
                    "coin": asset,
                    "name": asset,
                    "network": "SIMULATED",
                    "netWork": "SIMULATED",
                    "depositEnable": False,
                    "withdrawEnable": False,
                    "minConfirm": 0,
                    "withdrawFee": "0",
                    "withdrawMax": "0",
                    "withdrawMin": "0",
                    "contract": None,
                    "sameAddress": False,
                }
            ],
        }
        for asset in sorted(assets)
    ]


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

ENDPOINTS = (
    Endpoint("GET", "/api/v3/account", Operation.QUERY, _READ, _account),
    Endpoint("GET", "/api/v3/myTrades", Operation.QUERY, _READ, _my_trades),
    Endpoint("GET", "/api/v3/tradeFee", Operation.QUERY, _READ, _trade_fee),
    Endpoint("GET", "/api/v3/selfSymbols", Operation.QUERY, _READ, _self_symbols),
    Endpoint("GET", "/api/v3/capital/config/getall", Operation.QUERY, Permission.SPOT_WITHDRAW_READ, _currencies),
    Endpoint("POST", _STREAM_PATH, Operation.STREAM, _READ, _create_key),
    Endpoint("GET", _STREAM_PATH, Operation.STREAM, _READ, _list_keys),
    Endpoint("PUT", _STREAM_PATH, Operation.STREAM, _READ, _renew_key),
    Endpoint("DELETE", _STREAM_PATH, Operation.STREAM, _READ, _delete_key),
)
