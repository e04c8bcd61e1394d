"""The ledger: each account's free and locked balances. The engine and the settlement call it.

Every movement is exact: amounts are multiples of ``STEP`` and below ``LIMIT``, which keeps any sum of two within the 28 digits of
Decimal arithmetic. No balance is ever negative; a movement that would make one negative is refused (freezing) or is a
broken invariant (everything else). A balance is exactly the deposits plus and minus the fills and their fees.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, Decimal
from enum import StrEnum

from exchange.errors import IntegrityError, UsageError
from exchange.model import Balance

STEP = Decimal("1E-16")
"""The smallest amount of the ledger."""

LIMIT = Decimal(10) ** 12
"""Every balance is below this."""

_ZERO = Decimal(0)


class MovementReason(StrEnum):
    """Why a balance moved, with the names of MEXC's account stream (mexc-spot-v3.md §7.6)."""

    DEPOSIT = "DEPOSIT"
    WITHDRAWN = "WITHDRAW"
    PLACED = "ENTRUST_PLACE"
    CANCELED = "ENTRUST_CANCEL"
    RETURNED = "ENTRUST_UNFROZEN"
    TRADED = "ENTRUST"
    FEE = "TRADE_FEE"


@dataclass(frozen=True, slots=True)
class BalanceChange:
    """One movement of one asset: the balance after it and by how much each part moved."""

    asset: str
    free: Decimal
    locked: Decimal
    free_delta: Decimal
    locked_delta: Decimal
    reason: MovementReason


def fee_on(notional: Decimal, rate: Decimal) -> Decimal:
    """The fee in the quote asset. Rounded down to ``STEP``, so fees of partial fills never exceed the locked amount."""
    return (notional * rate).quantize(STEP, rounding=ROUND_DOWN)


def with_fee(notional: Decimal, rate: Decimal) -> Decimal:
    """What a BUY locks: the notional and its fee, rounded up to ``STEP`` (mexc-spot-v3.md §6, fee on freeze)."""
    return (notional * (1 + rate)).quantize(STEP, rounding=ROUND_CEILING)


class LedgerAccount:
    """One account's assets. Movements return the changes they made, oldest first."""

    __slots__ = ("_free", "_locked", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._free: dict[str, Decimal] = {}
        self._locked: dict[str, Decimal] = {}

    def free(self, asset: str) -> Decimal:
        """What can be spent."""
        return self._free.get(asset, _ZERO)

    def locked(self, asset: str) -> Decimal:
        """What backs open orders."""
        return self._locked.get(asset, _ZERO)

    def balances(self) -> Mapping[str, Balance]:
        """Every asset the account has, or had; MEXC omits the ones that are zero."""
        return {asset: Balance(asset, free, self.locked(asset)) for asset, free in sorted(self._free.items())}

    def assets(self) -> tuple[tuple[str, Decimal, Decimal], ...]:
        """Every asset as ``(asset, free, locked)``, for saving."""
        return tuple((asset, free, self.locked(asset)) for asset, free in sorted(self._free.items()))

    def load(self, assets: Iterable[tuple[str, Decimal, Decimal]]) -> None:
        """Replace every asset by saved ones. Raises ``IntegrityError`` for an impossible balance."""
        self._free.clear()
        self._locked.clear()
        for asset, free, locked in assets:
            self._move(asset, free, locked, MovementReason.DEPOSIT)

    def deposit(self, asset: str, amount: Decimal) -> BalanceChange:
        """Add funds. Raises ``UsageError`` for an amount the ledger cannot hold exactly."""
        if not amount.is_finite() or amount < 0 or amount >= LIMIT or amount != amount.quantize(STEP, rounding=ROUND_DOWN):
            raise UsageError(
                f"{amount} {asset} cannot be deposited",
                code="deposit-invalid",
                remedy=f"Deposit between 0 and {LIMIT:,} with at most 16 decimals.",
            )
        return self._move(asset, amount, _ZERO, MovementReason.DEPOSIT)

    def withdraw(self, asset: str, amount: Decimal) -> BalanceChange | None:
        """Take funds out, or ``None`` when less is free. Raises ``UsageError`` for an amount that is not positive or not exact."""
        if not amount.is_finite() or amount <= 0 or amount != amount.quantize(STEP, rounding=ROUND_DOWN):
            raise UsageError(
                f"{amount} {asset} cannot be withdrawn",
                code="withdrawal-invalid",
                remedy="Withdraw more than 0 with at most 16 decimals.",
            )
        return None if amount > self.free(asset) else self._move(asset, -amount, _ZERO, MovementReason.WITHDRAWN)

    def freeze(self, asset: str, amount: Decimal) -> BalanceChange | None:
        """Lock ``amount`` for an order, or ``None`` when less is free."""
        if amount > self.free(asset):
            return None
        return self._move(asset, -amount, amount, MovementReason.PLACED)

    def release(self, asset: str, amount: Decimal, reason: MovementReason) -> BalanceChange:
        """Unlock what an order no longer needs."""
        return self._move(asset, amount, -amount, reason)

    def bought(
        self, base: str, quote: str, *, quantity: Decimal, notional: Decimal, fee: Decimal, released: Decimal
    ) -> list[BalanceChange]:
        """Settle a BUY: ``released`` of the locked quote pays notional and fee, and the rest of it becomes free again."""
        changes = [self._move(quote, _ZERO, -notional, MovementReason.TRADED)]
        if fee:
            changes.append(self._move(quote, _ZERO, -fee, MovementReason.FEE))
        if left := released - notional - fee:
            changes.append(self._move(quote, left, -left, MovementReason.RETURNED))
        changes.append(self._move(base, quantity, _ZERO, MovementReason.TRADED))
        return changes

    def sold(self, base: str, quote: str, *, quantity: Decimal, notional: Decimal, fee: Decimal) -> list[BalanceChange]:
        """Settle a SELL: remove the locked base, add the notional and deduct the fee from it."""
        changes = [
            self._move(base, _ZERO, -quantity, MovementReason.TRADED),
            self._move(quote, notional, _ZERO, MovementReason.TRADED),
        ]
        if fee:
            changes.append(self._move(quote, -fee, _ZERO, MovementReason.FEE))
        return changes

    def charge(self, asset: str, amount: Decimal) -> BalanceChange:
        """Deduct a fee from the free balance."""
        return self._move(asset, -amount, _ZERO, MovementReason.FEE)

    def _move(self, asset: str, free_delta: Decimal, locked_delta: Decimal, reason: MovementReason) -> BalanceChange:
        free = self.free(asset) + free_delta
        locked = self.locked(asset) + locked_delta
        if free < 0 or locked < 0 or free + locked >= LIMIT:
            raise IntegrityError(
                f"{reason} would leave {self.name} with {free} {asset} free and {locked} locked",
                code="testnet-ledger-broken",
                remedy="Keep the tape, the seed and the requests, which reproduce the error, and report it.",
            )
        self._free[asset] = free
        self._locked[asset] = locked
        return BalanceChange(asset, free, locked, free_delta, locked_delta, reason)
