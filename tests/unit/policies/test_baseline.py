"""What an account holds of its own, weighed against a stage's cap."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.baseline import weigh
from policies.document import canonical_bytes, load_policy, parse_canonical
from policies.schema import Live, Policy
from tests.support.desk import EXAMPLES, SYMBOL, D, with_policy

REFUSING = with_policy(live={"baseline": "refuse"}, symbols=(SYMBOL, "ETHUSDT"))
KEEPING = with_policy(live={"baseline": "keep"}, symbols=(SYMBOL, "ETHUSDT"))
BIDS = {SYMBOL: D(60_000)}
CAP = D(10)


def judged(policy: Policy, **amounts: str) -> tuple[bool, str]:
    weighed = weigh({asset: D(amount) for asset, amount in amounts.items()}, BIDS, policy, CAP)
    return weighed.ok, weighed.line


@pytest.mark.parametrize(
    ("amounts", "ok", "line"),
    [
        ({}, True, "the account holds nothing of its own, and 10 EUR is the most"),
        ({"USDT": "10.9"}, True, "the account holds 10 EUR of its own (10.9 USDT), and 10 EUR is the most"),
        ({"USDT": "10.900001"}, False, "the account holds 10.00000092 EUR of its own (10.900001 USDT), and 10 EUR is the most"),
        ({"BTC": "0.3"}, False, "the account holds 16513.76146789 EUR of its own (0.3 BTC), and 10 EUR is the most"),
        (
            {"BTC": "0.0001", "USDT": "5"},
            False,
            "the account holds 10.09174312 EUR of its own (0.0001 BTC, 5 USDT), and 10 EUR is the most",
        ),
        (
            {"ETH": "0.001"},
            False,
            "the account's own 0.001 ETH cannot be weighed: ETH has no price now",
        ),
        (
            {"SOL": "5", "USDT": "1"},
            True,
            "the account holds 0.9174312 EUR of its own (1 USDT), and 10 EUR is the most; 5 SOL cannot be traded under this policy",
        ),
        ({"BTC": "-0.3", "USDT": "0"}, True, "the account holds nothing of its own, and 10 EUR is the most"),
    ],
)
def test_what_an_account_holds_is_weighed_at_the_bid(amounts: dict[str, str], ok: bool, line: str) -> None:
    assert judged(REFUSING, **amounts) == (ok, line)


def test_a_declared_baseline_may_be_worth_anything() -> None:
    line = "the account's own 0.3 BTC, 7 ETH, 100 USDT is kept, and the bot gets 10 EUR; 5 SOL cannot be traded under this policy"
    assert judged(KEEPING, BTC="0.3", ETH="7", USDT="100", SOL="5") == (True, line)
    assert judged(KEEPING) == (True, "the account's own nothing is kept, and the bot gets 10 EUR")


def test_a_line_names_a_few_of_many_assets() -> None:
    for more, ending in ((3, "1 A4, 3 more cannot be traded under this policy"), (0, "1 A4 cannot be traded under this policy")):
        ok, line = judged(REFUSING, **{f"A{number}": "1" for number in range(5 + more)})
        assert (ok, line.endswith(f"; 1 A0, 1 A1, 1 A2, 1 A3, {ending}")) == (True, True)


@given(st.decimals(min_value=0, max_value=1, places=8), st.decimals(min_value=0, max_value=50, places=8))
def test_nothing_above_the_cap_passes(btc: Decimal, usdt: Decimal) -> None:
    ok, _ = judged(REFUSING, BTC=str(btc), USDT=str(usdt))
    assert ok is (btc * 60_000 + usdt <= D("10.9"))


def test_a_policy_without_the_section_refuses_and_keeps_its_digest() -> None:
    policy = with_policy(live=Live())
    assert policy.live.baseline == "refuse"
    assert b"baseline" not in canonical_bytes(policy)
    assert parse_canonical(canonical_bytes(KEEPING)).live.baseline == "keep"


@pytest.mark.parametrize("name", ["solo", "team"])
def test_no_production_example_keeps_a_baseline(name: str) -> None:
    assert load_policy((EXAMPLES / f"{name}.toml").read_bytes()).live.baseline == "refuse"
