"""What a fill costs, and in which asset: the hook by which an account's own rates and MX deduction come into settlement."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from exchange.matching.accounts import Account, fee_on
from exchange.model import SymbolRules


@dataclass(frozen=True, slots=True)
class Charge:
    """One fee: an amount of an asset, not negative and a multiple of the ledger's step."""

    asset: str
    amount: Decimal


class FeePolicy(Protocol):
    """Decides the fee of one fill.

    A fee in the quote asset comes out of what the order locked, or out of the sale's proceeds: it must not exceed what
    ``SymbolRules`` say, which is what was locked. A fee in another asset comes out of what is free of it and must not exceed
    ``account.free`` of that asset; a policy that finds too little falls back to the quote asset (mexc-spot-v3.md §6).
    """

    def charge(self, account: Account, rules: SymbolRules, notional: Decimal, *, maker: bool) -> Charge:
        """The fee on a fill worth ``notional`` of the quote asset. Reads the account, never changes it."""
        ...


class QuoteFees:
    """The symbol's own rates, in the quote asset on both sides (mexc-spot-v3.md §6)."""

    def charge(self, account: Account, rules: SymbolRules, notional: Decimal, *, maker: bool) -> Charge:  # noqa: ARG002 - the same for everybody
        """The maker or the taker rate of the symbol."""
        return Charge(rules.quote, fee_on(notional, rules.maker_fee if maker else rules.taker_fee))
