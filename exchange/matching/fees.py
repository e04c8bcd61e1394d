"""The fee of a fill and its asset. The settlement calls a policy; ``mx_fees`` adds MX deduction."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from exchange.matching.accounts import LedgerAccount, fee_on
from exchange.model import SymbolRules


@dataclass(frozen=True, slots=True)
class Charge:
    """One fee: an amount of an asset, at least 0 and a multiple of the ledger's step."""

    asset: str
    amount: Decimal


class FeePolicy(Protocol):
    """Computes the fee of one fill.

    A fee in the quote asset is deducted from the order's locked amount or from the sale's proceeds, and must not exceed the fee
    of ``SymbolRules``, which is the amount locked. A fee in another asset is deducted from ``account.free`` of that asset and must
    not exceed it; a policy that finds too little falls back to the quote asset (mexc-spot-v3.md §6).
    """

    def charge(self, account: LedgerAccount, rules: SymbolRules, notional: Decimal, *, maker: bool) -> Charge:
        """The fee on a fill worth ``notional`` of the quote asset. Reads the account, never changes it."""
        ...


class QuoteFees:
    """The symbol's own rates, in the quote asset on both sides (mexc-spot-v3.md §6)."""

    def charge(self, account: LedgerAccount, rules: SymbolRules, notional: Decimal, *, maker: bool) -> Charge:  # noqa: ARG002 - the same for everybody
        """The maker or the taker rate of the symbol."""
        return Charge(rules.quote, fee_on(notional, rules.maker_fee if maker else rules.taker_fee))
