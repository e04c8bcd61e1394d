"""The wallet endpoints that a trading client calls (mexc-spot-v3.md §2.8, §5, §8.1). All are signed; the app routes them.

A client cannot move simulated money: withdrawals are refused with 10212, their cancels with 22222 and transfers with 10206, in
MEXC's words. The histories list what came and went through ``/__control``. The endpoints exist for their permissions too: a client
that proves that its key cannot move money expects 700007, and must get another code if the key can.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from exchange.testnet.access.auth import Permission
from exchange.testnet.conditions.faults import Operation
from exchange.testnet.http import openapi_parts as d
from exchange.testnet.http.endpoint import Call, Endpoint
from exchange.wire.account import parse_limit
from exchange.wire.errors import ErrorCode, missing, refuse
from exchange.wire.numbers import parse_integer
from exchange.wire.wallet import HISTORY_MOST, Transfer, deposit_json, withdrawal_json


def _currencies(call: Call) -> object:
    """Every asset with one network that accepts neither deposits nor withdrawals."""
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


def _deposits(call: Call) -> object:
    return [deposit_json(one) for one in _transfers(call, deposit=True)]


def _withdrawals(call: Call) -> object:
    return [withdrawal_json(one) for one in _transfers(call, deposit=False)]


def _transfers(call: Call, *, deposit: bool) -> Iterator[Transfer]:
    """The account's transfers of one direction since ``startTime``, newest first, at most ``limit``."""
    coin, start = call.params.get("coin", ""), call.params.get("startTime", "")
    since = parse_integer("startTime", start) if start else 0
    found = (
        one
        for one in reversed(call.venue.transfers)
        if one.account == call.account and one.deposit is deposit and coin in {"", one.asset} and one.at >= since // 1_000 * 1_000
    )
    yield from islice(found, parse_limit(call.params, HISTORY_MOST, HISTORY_MOST))


def _no_transfers(_: Call) -> object:
    return {"rows": [], "total": 0}


def _withdraw(_: Call) -> object:
    raise refuse(ErrorCode.WITHDRAWAL_ADDRESS_UNKNOWN, "Address is not in the address list or has been invalidated")


def _cancel_withdrawal(call: Call) -> object:
    """No withdrawal is ever under way here: one that was made through ``/__control`` is complete."""
    if not call.params.get("id"):
        raise missing("id")
    raise refuse(ErrorCode.NO_SUCH_RECORD, "Record does not exist")


def _transfer(_: Call) -> object:
    raise refuse(ErrorCode.TRANSFER_DISABLED, "Transfer is disabled")


_READ, _WRITE = Permission.SPOT_WITHDRAW_READ, Permission.SPOT_WITHDRAW_WRITE
_CAPITAL = "/api/v3/capital"
_QUERY = Operation.QUERY
_HISTORY = (d.COIN, d.START, d.LIMIT)

ENDPOINTS = (
    Endpoint("GET", f"{_CAPITAL}/config/getall", _QUERY, _READ, _currencies, "Every asset and its networks.", (), d.CURRENCIES),
    Endpoint(
        "GET", f"{_CAPITAL}/withdraw/history", _QUERY, _READ, _withdrawals, "Withdrawals, newest first.", _HISTORY, d.WITHDRAWALS
    ),
    Endpoint("GET", f"{_CAPITAL}/deposit/hisrec", _QUERY, _READ, _deposits, "Deposits, newest first.", _HISTORY, d.DEPOSITS),
    Endpoint(
        "GET", f"{_CAPITAL}/transfer", _QUERY, Permission.SPOT_TRANSFER_READ, _no_transfers, "No transfers.", (), d.NO_TRANSFERS
    ),
    Endpoint("POST", f"{_CAPITAL}/withdraw", _QUERY, _WRITE, _withdraw, "Always refused.", (), d.EMPTY),
    Endpoint("DELETE", f"{_CAPITAL}/withdraw", _QUERY, _WRITE, _cancel_withdrawal, "Always refused.", (d.WITHDRAWAL,), d.EMPTY),
    Endpoint("POST", f"{_CAPITAL}/transfer", _QUERY, Permission.SPOT_TRANSFER_WRITE, _transfer, "Always refused.", (), d.EMPTY),
)
