"""Reads and writes deposits and withdrawals (mexc-spot-v3.md §5, [DOC25] "Deposit History" and "Withdraw History").

The client reads them, the testnet writes them. The amount of a withdrawal includes its fee, so what leaves the account is the
amount: other clients subtract ``transactionFee`` from it to get what arrives.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from exchange.model import CapitalMove, Millis
from exchange.wire.fields import Fields, as_list
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


NO_WITHDRAWAL = "0" * 32
"""An id that no withdrawal has: MEXC's are 32 random hexadecimal digits. The account checks ask to cancel it."""

HISTORY_MOST = 1_000
"""Default and maximum of both histories per call."""


def parse_deposits(decoded: object) -> list[CapitalMove]:
    """Read the deposits that are complete. They have no id of their own: the transaction, the asset and the time name one.

    Raises:
        MalformedReply: a field that decides over money cannot be read.
    """
    found = []
    for item in as_list("deposit/hisrec", decoded):
        one = Fields("deposit/hisrec", item)
        if one.integer("status") == DEPOSITED:
            asset, at = one.text("coin"), one.millis("insertTime")
            found.append(CapitalMove(f"deposit {one.text('txId')} {asset} {at}", asset, one.amount("amount"), at))
    return found


def parse_withdrawals(decoded: object) -> list[CapitalMove]:
    """Read the withdrawals that are complete, with negative amounts. Raises ``MalformedReply`` as ``parse_deposits``."""
    found = []
    for item in as_list("withdraw/history", decoded):
        one = Fields("withdraw/history", item)
        if one.integer("status") == WITHDRAWN:
            at = one.millis("updateTime") if one.has("updateTime") else one.millis("applyTime")
            found.append(CapitalMove(f"withdrawal {one.venue_id('id')}", one.text("coin"), -one.amount("amount"), at))
    return found
