"""Fees in MX: 20 % off for accounts that have it switched on and hold enough (mexc-spot-v3.md §6).

The fee is worth what it would be in the quote asset, less the discount, at what MX is worth in that asset: the mid price of the
venue's own MX market, or for USDT the configured price. What is not covered falls back to the quote asset at the full rate: too
little MX free for this fill, or a quote asset in which MX has no price. No fill's fee is split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import ROUND_DOWN, Decimal

from exchange.matching.accounts import STEP, Account
from exchange.matching.fees import Charge, QuoteFees
from exchange.model import SymbolRules

MX = "MX"
DISCOUNT = Decimal("0.2")


class MxFees:
    """The testnet's fee policy (``FeePolicy``). ``price`` answers what one MX is worth in a quote asset, if anything."""

    def __init__(self, price: Callable[[str], Decimal | None]) -> None:
        self._price = price
        self._on: set[str] = set()
        self._quote = QuoteFees()

    def is_on(self, account: str) -> bool:
        """Whether the account pays in MX while it can."""
        return account in self._on

    def switch(self, account: str, *, on: bool) -> None:
        """Have the account pay in MX from now on, or no more."""
        if on:
            self._on.add(account)
        else:
            self._on.discard(account)

    def switched_on(self) -> tuple[str, ...]:
        """The accounts that pay in MX while they can."""
        return tuple(sorted(self._on))

    def load(self, accounts: Iterable[str]) -> None:
        """Replace the accounts that pay in MX."""
        self._on = set(accounts)

    def charge(self, account: Account, rules: SymbolRules, notional: Decimal, *, maker: bool) -> Charge:
        """The fee on a fill, in MX where the account has it switched on and enough of it free."""
        plain = self._quote.charge(account, rules, notional, maker=maker)
        price = self._price(rules.quote) if plain.amount and account.name in self._on else None
        if price is None:
            return plain
        amount = (plain.amount * (1 - DISCOUNT) / price).quantize(STEP, rounding=ROUND_DOWN)
        return Charge(MX, amount) if amount <= account.free(MX) else plain
