"""The account checks: each finds its fault on the venue and places nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest

from exchange.mexc.account import AccountApi
from exchange.mexc.account_checks import AccountCheck, Demands, check_account
from exchange.mexc.connect import VenueEndpoint, open_venue
from exchange.mexc.reach import Reach
from exchange.mexc.rest import PermanentRefusal
from exchange.mexc.signer import LocalSigner, SignerLimits
from exchange.model import Millis
from exchange.ports import VenueName
from exchange.testnet.access.auth import DEFAULT_PERMISSIONS, Permission
from exchange.testnet.conditions.clock import SystemClock
from exchange.testnet.conditions.faults import FaultKind
from exchange.testnet.conditions.listings import ListingChange
from exchange.testnet.config import NO_RATE_LIMITS, AccountConfig, TestnetConfig
from exchange.testnet.server import RunningTestnet, running_testnet
from exchange.wire.errors import ErrorCode, WireError
from tests.support.permits import Leaving

BTC = "BTCUSDT"
SECRET = "a-secret-of-no-value"
MINIMAL = frozenset({Permission.SPOT_ACCOUNT_READ, Permission.SPOT_DEAL_READ, Permission.SPOT_DEAL_WRITE})
ACCOUNT = AccountConfig("bot", "mx0bot", SECRET, {"USDT": Decimal(1_000), "BTC": Decimal(1)}, MINIMAL)
DEMANDS = Demands((BTC,), Decimal(20))


class Permit(Leaving):
    epoch = 1

    def is_live(self) -> bool:
        return True


@asynccontextmanager
async def venue_of(account: AccountConfig) -> AsyncIterator[RunningTestnet]:
    async with running_testnet(TestnetConfig(accounts=(account,), port=0, rate_limits=NO_RATE_LIMITS)) as running:
        yield running


async def checked(running: RunningTestnet, demands: Demands = DEMANDS, secret: str = SECRET) -> dict[str, AccountCheck]:
    endpoint = VenueEndpoint(running.base_url, running.ws_url, Reach.LOOPBACK)
    signer = LocalSigner("mx0bot", secret, SignerLimits(frozenset({BTC}), Decimal(20)))
    venue = open_venue(VenueName.LIVE, endpoint, signer, SystemClock(), Random(1))
    try:
        return {row.name: row for row in await check_account(venue, Permit, demands)}
    finally:
        await venue.aclose()


def failures(rows: dict[str, AccountCheck]) -> list[str]:
    return [name for name, row in rows.items() if not row.ok]


async def test_an_account_that_can_only_trade_passes_and_has_no_order() -> None:
    async with venue_of(ACCOUNT) as running:
        rows = await checked(running)
        assert failures(rows) == []
        assert {name for name in rows if " test " in name} == {
            f"{BTC} test {side} {kind}" for side in ("BUY", "SELL") for kind in ("LIMIT", "MARKET")
        }
        assert {"clock", "account may trade", "key cannot withdraw", "key cannot transfer"} < set(rows)
        assert running.venue.engine.orders("bot", BTC) == []
        assert all(row.measured and row.expected for row in rows.values())


@pytest.mark.parametrize("also", [frozenset(), frozenset({Permission.SPOT_WITHDRAW_READ})])
@pytest.mark.parametrize(
    ("extra", "failing"),
    [(Permission.SPOT_WITHDRAW_WRITE, "key cannot withdraw"), (Permission.SPOT_TRANSFER_READ, "key cannot transfer")],
)
async def test_a_key_with_a_money_permission_is_found(extra: Permission, also: frozenset[Permission], failing: str) -> None:
    async with venue_of(replace(ACCOUNT, permissions=MINIMAL | also | {extra})) as running:
        rows = await checked(running)
    assert failures(rows) == [failing]
    assert "and nothing else" in rows[failing].remedy


@pytest.mark.parametrize(
    ("extra", "said"),
    [(frozenset(), "may not be read: a deposit or withdrawal halts"), ({Permission.SPOT_WITHDRAW_READ}, "the history may be read")],
)
async def test_a_key_may_read_the_history_of_withdrawals(extra: frozenset[Permission], said: str) -> None:
    async with venue_of(replace(ACCOUNT, permissions=MINIMAL | extra)) as running:
        rows = await checked(running)
    assert failures(rows) == []
    assert said in rows["key cannot withdraw"].measured


def parameters_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A venue that judges the id of a withdrawal before it asks what the key may do."""

    async def refused(_: object) -> PermanentRefusal:
        return PermanentRefusal("DELETE capital/withdraw", WireError(ErrorCode.BAD_PARAMETER, "no", 400, coded=True))

    monkeypatch.setattr(AccountApi, "cancel_no_withdrawal", refused)


async def test_a_parameter_error_is_no_proof_about_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters_first(monkeypatch)
    async with venue_of(replace(ACCOUNT, permissions=MINIMAL | {Permission.SPOT_WITHDRAW_READ})) as running:
        rows = await checked(running)
    assert failures(rows) == ["key cannot withdraw"]
    assert "Take SPOT_WITHDRAW_READ from the key" in rows["key cannot withdraw"].remedy


async def test_a_refused_history_is_proof_after_a_parameter_error(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters_first(monkeypatch)
    async with venue_of(ACCOUNT) as running:
        assert failures(await checked(running)) == []


async def test_a_simulated_venue_needs_no_proof_about_money_permissions() -> None:
    async with venue_of(replace(ACCOUNT, permissions=DEFAULT_PERMISSIONS)) as running:
        assert failures(await checked(running, replace(DEMANDS, powerless_key=False))) == []


async def test_a_pair_outside_the_keys_whitelist_is_closed_to_it_on_both_sides() -> None:
    async with venue_of(replace(ACCOUNT, symbols=frozenset({"MXUSDT"}))) as running:
        found = failures(await checked(running))
    assert f"{BTC} open to this key" in found
    assert f"{BTC} test BUY LIMIT" in found
    assert f"{BTC} test SELL MARKET" in found


async def test_an_account_without_balance_may_trade() -> None:
    async with venue_of(replace(ACCOUNT, balances={"USDT": Decimal(1)})) as running:
        rows = await checked(running)
    assert failures(rows) == []
    assert "balance" in rows[f"{BTC} test SELL LIMIT"].measured


async def test_an_order_limit_below_the_venues_minimum_is_found() -> None:
    async with venue_of(ACCOUNT) as running:
        rows = await checked(running, replace(DEMANDS, order_notional_most=Decimal("0.5")))
    assert failures(rows) == [f"{BTC} minimum"]


async def test_a_symbol_the_venue_does_not_list_is_found() -> None:
    async with venue_of(ACCOUNT) as running:
        rows = await checked(running, replace(DEMANDS, symbols=("NOPEUSDT",)))
    assert rows["NOPEUSDT rules"].measured == "not listed"
    assert not rows["NOPEUSDT open to this key"].ok


async def test_paying_fees_with_mx_is_found() -> None:
    async with venue_of(replace(ACCOUNT, mx_deduction=True)) as running:
        rows = await checked(running)
    assert failures(rows) == ["fees in MX"]
    assert "Switch off" in rows["fees in MX"].remedy


async def test_fees_in_mx_are_fine_where_the_policy_names_mx() -> None:
    async with venue_of(replace(ACCOUNT, mx_deduction=True)) as running:
        assert failures(await checked(running, replace(DEMANDS, assets=("USDT", "BTC", "MX")))) == []


@pytest.mark.parametrize(("status", "failing"), [(404, []), (403, ["fees in MX"]), (500, ["fees in MX"])])
async def test_only_a_venue_without_the_switch_passes_without_an_answer(
    monkeypatch: pytest.MonkeyPatch, status: int, failing: list[str]
) -> None:
    async def refused(_: object) -> bool:
        raise PermanentRefusal("GET mxDeduct/enable", WireError(status, "no", status, coded=False))

    monkeypatch.setattr(AccountApi, "pays_fees_in_mx", refused)
    async with venue_of(ACCOUNT) as running:
        assert failures(await checked(running)) == failing


async def test_a_wrong_clock_is_found() -> None:
    async with venue_of(ACCOUNT) as running:
        running.arm(FaultKind.CLOCK_SKEW, params={"ms": 2_000})
        rows = await checked(running)
    assert failures(rows) == ["clock"]


async def test_a_wrong_secret_fails_every_signed_check_and_raises_nothing() -> None:
    async with venue_of(ACCOUNT) as running:
        rows = await checked(running, secret="another")
    assert not rows["account may trade"].ok
    assert not rows["key cannot withdraw"].ok
    assert rows["clock"].ok


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (ListingChange(symbol=BTC, status=2), "not trading"),
        (ListingChange(symbol=BTC, api_allowed=False), "closed to API orders"),
        (ListingChange(symbol=BTC, trade_side_type=2), "selling suspended"),
        (ListingChange(symbol=BTC, trade_side_type=3), "buying suspended"),
    ],
)
async def test_a_restricted_symbol_is_reported_with_its_restriction(change: ListingChange, fault: str) -> None:
    async with venue_of(ACCOUNT) as running:
        running.venue.listings.change(change, Millis(0))
        rows = await checked(running)
    assert fault in rows[f"{BTC} rules"].measured
    assert not rows[f"{BTC} rules"].ok


async def test_market_orders_are_tested_only_where_they_are_listed() -> None:
    async with venue_of(ACCOUNT) as running:
        running.venue.listings.change(ListingChange(symbol=BTC, market_orders=False), Millis(0))
        rows = await checked(running)
    assert failures(rows) == []
    assert not any("MARKET" in name for name in rows)
