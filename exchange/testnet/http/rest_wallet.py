"""The wallet endpoints that a trading client calls (mexc-spot-v3.md §2.8, §5, §8.1). All are signed.

A simulated venue has no money to move. Queries return empty lists; withdrawals are refused with 10212 and transfers with 10206, in
MEXC's words. The endpoints exist for their permissions: a client that proves that its key cannot move money expects 700007, and
must get another code if the key can.
"""

from __future__ import annotations

from exchange.testnet.access.auth import Permission
from exchange.testnet.conditions.faults import Operation
from exchange.testnet.http import openapi_parts as d
from exchange.testnet.http.endpoint import Call, Endpoint
from exchange.wire.errors import ErrorCode, refuse


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


def _nothing(_: Call) -> object:
    return []


def _no_transfers(_: Call) -> object:
    return {"rows": [], "total": 0}


def _withdraw(_: Call) -> object:
    raise refuse(ErrorCode.WITHDRAWAL_ADDRESS_UNKNOWN, "Address is not in the address list or has been invalidated")


def _transfer(_: Call) -> object:
    raise refuse(ErrorCode.TRANSFER_DISABLED, "Transfer is disabled")


_READ, _WRITE = Permission.SPOT_WITHDRAW_READ, Permission.SPOT_WITHDRAW_WRITE
_CAPITAL = "/api/v3/capital"
_QUERY = Operation.QUERY

ENDPOINTS = (
    Endpoint("GET", f"{_CAPITAL}/config/getall", _QUERY, _READ, _currencies, "Every asset and its networks.", (), d.CURRENCIES),
    Endpoint("GET", f"{_CAPITAL}/withdraw/history", _QUERY, _READ, _nothing, "No withdrawals.", (d.COIN,), d.NOTHING_MOVED),
    Endpoint("GET", f"{_CAPITAL}/deposit/hisrec", _QUERY, _READ, _nothing, "No deposits.", (d.COIN,), d.NOTHING_MOVED),
    Endpoint(
        "GET", f"{_CAPITAL}/transfer", _QUERY, Permission.SPOT_TRANSFER_READ, _no_transfers, "No transfers.", (), d.NO_TRANSFERS
    ),
    Endpoint("POST", f"{_CAPITAL}/withdraw", _QUERY, _WRITE, _withdraw, "Always refused.", (), d.EMPTY),
    Endpoint("DELETE", f"{_CAPITAL}/withdraw", _QUERY, _WRITE, _withdraw, "Always refused.", (), d.EMPTY),
    Endpoint("POST", f"{_CAPITAL}/transfer", _QUERY, Permission.SPOT_TRANSFER_WRITE, _transfer, "Always refused.", (), d.EMPTY),
)
