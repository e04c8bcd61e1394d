"""What a bot may spend, number by number: of its budget, of the account, and of the room under the cap at an order's worst."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext

import pytest

from exchange.model import Quote
from policies.headroom import Room, spendable, worst_factor
from tests.unit.policies.policy_kit import QUOTE, RULES

D = Decimal
FREE = replace(RULES, taker_fee=D(0))
FEE = replace(RULES, taker_fee=D("0.25"))
FLAT = replace(QUOTE, bid=D(100), ask=D(100))
WIDE_SPREAD = replace(QUOTE, bid=D(100), ask=D(110))
COLLAR = D(200)
ROOM = Room(left=D(1_000), total=D(1_000), locked=D(0), cap=D(100), quote_per_eur=D(2), exposure=D(0))


@pytest.mark.parametrize(
    ("fee", "quotes", "collar_bps", "factor"),
    [
        ("0", (), "0", "1.05"),
        ("0.25", (), "0", "1.3125"),
        ("0", (FLAT,), "200", "1.05"),
        ("0", (WIDE_SPREAD,), "200", "1.155"),
        ("0", (FLAT,), "2000", "1.25"),
        ("0", (WIDE_SPREAD, FLAT), "200", "1.155"),
        ("0", (FLAT, WIDE_SPREAD), "200", "1.155"),
    ],
)
def test_an_order_counts_at_the_worst_of_its_forms(fee: str, quotes: tuple[Quote, ...], collar_bps: str, factor: str) -> None:
    assert worst_factor(D(fee), quotes, D(collar_bps)) == D(factor)


@pytest.mark.parametrize(
    ("room", "shown"),
    [
        # 100 EUR less one step, at 2 dollars, through 1.05.
        (ROOM, "190.47619045"),
        (replace(ROOM, exposure=D(40)), "114.28571426"),
        (replace(ROOM, exposure=D(100)), "0"),
        (replace(ROOM, exposure=D(101)), "0"),
        # 200 dollars of a cap hold 200 * (1 - 1 / 1.05) = 9.52380953 back of the budget.
        (replace(ROOM, left=D(100)), "90.47619047"),
        (replace(ROOM, left=D(100), exposure=None), "90.47619047"),
        (replace(ROOM, left=D(9)), "0"),
        (replace(ROOM, total=D(7)), "7.00000000"),
        (replace(ROOM, total=D(7), locked=D(3)), "4.00000000"),
        (replace(ROOM, left=D(100), locked=D(30)), "60.47619047"),
        (replace(ROOM, total=D(7), locked=D(9)), "0"),
    ],
    ids=str,
)
def test_the_smallest_of_budget_account_and_cap_is_shown(room: Room, shown: str) -> None:
    assert spendable(room, (FREE,), (FLAT,), COLLAR) == D(shown)


def test_the_fee_of_the_dearest_symbol_is_left_for_it() -> None:
    assert spendable(replace(ROOM, total=D(10)), (FREE, FEE), (FLAT,), COLLAR) == 8
    # 200 * (1 - 1 / (1.05 * 1.25)) = 47.61904762 is held back, and nothing of the account is short.
    assert spendable(replace(ROOM, left=D(100)), (FEE, FREE), (FLAT,), COLLAR) == D("52.38095238")


def test_without_rules_no_fee_is_known_and_none_is_left_for_it() -> None:
    assert spendable(replace(ROOM, total=D(10)), (), (), COLLAR) == 10


def test_a_share_of_a_step_is_rounded_down() -> None:
    assert spendable(replace(ROOM, total=D("7.000000019")), (FREE,), (FLAT,), COLLAR) == D("7.00000001")


def test_what_is_shown_does_not_depend_on_the_precision_of_the_caller() -> None:
    with localcontext() as here:
        here.prec = 4
        assert str(spendable(ROOM, (FREE,), (FLAT,), COLLAR)) == "190.47619045"
