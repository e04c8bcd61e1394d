"""``gatehouse doctor`` says whether an account can pay an order, and whether this machine's clock is the venues'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest

from controller.cli.doctor.reaching import ClockReading, check_clock
from controller.cli.doctor.result import CheckResult, Warned
from controller.cli.doctor.venues import check_balance
from exchange.errors import ConfigError
from exchange.matching.symbols import BTCUSDT
from exchange.ports import VenueName
from policies.document import load_policy
from tests.support.rig import ROOT

TEAM = load_policy((ROOT / "policies" / "examples" / "team.toml").read_bytes())
RULES = {"BTCUSDT": replace(BTCUSDT, min_notional=Decimal(1), min_notional_market=Decimal(1))}
BIDS = {"BTCUSDT": Decimal(50_000)}


def balance(dollars: str, bought: Mapping[str, Decimal] | None = None, venue: VenueName = VenueName.LIVE) -> CheckResult:
    return check_balance(venue, TEAM, {"USDT": Decimal(dollars)}, BIDS, RULES, bought)


def test_less_than_the_smallest_order_fails_with_both_amounts() -> None:
    row = balance("1.2")
    assert row.verdict == "FAIL"
    assert row.found == "1.2 USDT; the smallest order of BTCUSDT takes 1.34 USDT, so no order can be placed"
    assert row.fix.startswith("Deposit 10.3 USDT more")
    assert "gatehouse rebaseline --venue live" in row.fix


def test_less_than_the_cap_warns_with_both_amounts() -> None:
    row = balance("5")
    assert (row.verdict, row.found) == ("WARN", "5 USDT; the cap of 10 EUR would let the bot use 11.5 USDT")


def test_what_the_bot_bought_counts_at_the_bid() -> None:
    row = balance("1", {"BTC": Decimal("0.00021")})
    assert (row.verdict, row.found) == ("PASS", "11.5 USDT, with what was bought; the cap of 10 EUR takes 11.5 USDT")


def test_the_testnets_account_is_filled_in_its_accounts_file() -> None:
    assert "accounts file" in balance("0", venue=VenueName.TESTNET).fix


def test_a_clock_that_is_certainly_off_fails_once_for_both_venues() -> None:
    off = ClockReading(offset_ms=-730, uncertainty_ms=20)
    with pytest.raises(ConfigError, match=r"testnet -730 ms, give or take 20 ms, live -730 ms.*at most 500 ms") as caught:
        check_clock({VenueName.TESTNET: off, VenueName.LIVE: off}, 500)
    assert "timedatectl set-ntp true" in caught.value.remedy


def test_a_slow_answer_is_no_proof_of_a_clock_that_is_off() -> None:
    slow = ClockReading(offset_ms=700, uncertainty_ms=300)
    found = check_clock({VenueName.LIVE: slow}, 500)
    assert isinstance(found, Warned)
    assert found.found == "the answers are too slow to tell whether it is within 500 ms: live +700 ms, give or take 300 ms"


def test_a_clock_within_the_limit_passes_with_its_readings() -> None:
    near = ClockReading(offset_ms=-3, uncertainty_ms=2)
    assert check_clock({VenueName.LIVE: near}, 500) == "within 500 ms: live -3 ms, give or take 2 ms"
