"""Fees in MX: 20 % less for accounts that switched it on and hold enough MX (mexc-spot-v3.md §6). The testnet uses it.

The fee is the fee in the quote asset minus the discount, converted at the price of MX in that asset: the mid price of the venue's
own MX market, or for USDT the configured price. If too little MX is free for a fill, or MX has no price in the quote asset, the
whole fee is charged in the quote asset at the full rate. A fee is never split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import ROUND_DOWN, Decimal

from exchange.matching.accounts import STEP, LedgerAccount
from exchange.matching.fees import Charge, QuoteFees
from exchange.model import SymbolRules

MX = "MX"
DISCOUNT = Decimal("0.2")


class MxFees:
    """The testnet's fee policy (``FeePolicy``). ``price`` returns the price of one MX in a quote asset, or ``None``."""

    def __init__(self, price: Callable[[str], Decimal | None]) -> None:
        self._price = price
        self._on: set[str] = set()
        self._quote = QuoteFees()

    def is_on(self, account: str) -> bool:
        """Whether the account pays in MX while it can."""
        return account in self._on

    def switch(self, account: str, *, on: bool) -> None:
        """Switch paying in MX on or off for the account."""
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

    def charge(self, account: LedgerAccount, rules: SymbolRules, notional: Decimal, *, maker: bool) -> Charge:
        """The fee on a fill, in MX if the account switched it on and has enough free MX."""
        plain = self._quote.charge(account, rules, notional, maker=maker)
        price = self._price(rules.quote) if plain.amount and account.name in self._on else None
        if price is None:
            return plain
        amount = (plain.amount * (1 - DISCOUNT) / price).quantize(STEP, rounding=ROUND_DOWN)
        return Charge(MX, amount) if amount <= account.free(MX) else plain
