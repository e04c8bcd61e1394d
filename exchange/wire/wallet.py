"""Writes deposits and withdrawals (mexc-spot-v3.md §5, [DOC25] "Deposit History" and "Withdraw History"). The testnet calls it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from exchange.model import Millis
from exchange.wire.numbers import plain, whole_second

DEPOSITED, WITHDRAWN = 5, 7
"""The ``status`` of a deposit and of a withdrawal that succeeded."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money that came from outside (``deposit``) or left to outside, on one simulated network."""

    id: str
    account: str
    asset: str
    amount: Decimal
    at: Millis
    deposit: bool


def deposit_json(transfer: Transfer) -> dict[str, object]:
    """One element of ``capital/deposit/hisrec``."""
    return {
        "amount": plain(transfer.amount),
        "coin": transfer.asset,
        "network": "SIMULATED",
        "status": DEPOSITED,
        "address": "simulated",
        "txId": transfer.id,
        "insertTime": whole_second(transfer.at),
        "unlockConfirm": "1",
        "confirmTimes": "1",
        "memo": None,
    }


def withdrawal_json(transfer: Transfer) -> dict[str, object]:
    """One element of ``capital/withdraw/history``."""
    at = whole_second(transfer.at)
    return {
        "id": transfer.id,
        "txId": transfer.id,
        "coin": transfer.asset,
        "network": "SIMULATED",
        "address": "simulated",
        "amount": plain(transfer.amount),
        "transferType": 0,
        "status": WITHDRAWN,
        "transactionFee": "0",
        "confirmNo": None,
        "applyTime": at,
        "remark": "",
        "memo": None,
        "transHash": transfer.id,
        "updateTime": at,
        "coinId": transfer.asset,
        "vcoinId": transfer.asset,
    }
