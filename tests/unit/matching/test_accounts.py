"""One account's arithmetic."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.errors import IntegrityError
from exchange.matching.accounts import LedgerAccount, MovementReason, fee_on, with_fee

D = Decimal
notionals = st.integers(1, 10**12).map(lambda units: D(units).scaleb(-8))
rates = st.integers(0, 10**9).map(lambda units: D(units).scaleb(-12))


@pytest.fixture
def account() -> LedgerAccount:
    account = LedgerAccount("ours")
    account.deposit("USDT", D(100))
    return account


def test_freezing_moves_free_to_locked(account: LedgerAccount) -> None:
    change = account.freeze("USDT", D(40))
    assert change is not None
    assert (change.free, change.locked, change.reason) == (D(60), D(40), MovementReason.PLACED)


def test_more_than_is_free_cannot_be_frozen(account: LedgerAccount) -> None:
    assert account.freeze("USDT", D("100.01")) is None
    assert account.freeze("BTC", D(1)) is None
    assert account.balances()["USDT"].locked == 0


def test_a_purchase_costs_its_price_and_releases_the_rest(account: LedgerAccount) -> None:
    account.freeze("USDT", D(50))
    account.bought("BTC", "USDT", quantity=D(2), notional=D(40), fee=D("0.02"), released=D(50))
    balances = account.balances()
    assert (balances["USDT"].free, balances["USDT"].locked, balances["BTC"].free) == (D("59.98"), 0, 2)


def test_a_sale_adds_its_proceeds_minus_the_fee(account: LedgerAccount) -> None:
    account.deposit("BTC", D(1))
    account.freeze("BTC", D(1))
    changes = account.sold("BTC", "USDT", quantity=D(1), notional=D(40), fee=D("0.02"))
    assert [change.reason for change in changes] == [MovementReason.TRADED, MovementReason.TRADED, MovementReason.FEE]
    assert account.free("USDT") == D("139.98")


def test_a_movement_below_zero_is_an_integrity_error(account: LedgerAccount) -> None:
    with pytest.raises(IntegrityError) as caught:
        account.release("USDT", D(1), MovementReason.CANCELED)
    assert caught.value.code == "testnet-ledger-broken"


@given(first=notionals, second=notionals, rate=rates)
def test_the_amount_locked_for_an_order_pays_for_all_its_fills(first: Decimal, second: Decimal, rate: Decimal) -> None:
    released = with_fee(first + second, rate) - with_fee(second, rate)
    assert released >= first + fee_on(first, rate)
    assert with_fee(second, rate) >= second + fee_on(second, rate)
