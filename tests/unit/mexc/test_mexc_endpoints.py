"""Every typed endpoint against the testnet: the request is accepted and the reply is read."""

from collections.abc import AsyncIterator
from decimal import Decimal
from random import Random

import pytest
import pytest_asyncio

from exchange.mexc.account import TRANSFERS, WITHDRAWALS
from exchange.mexc.client import MexcVenue
from exchange.mexc.connect import VenueEndpoint, open_venue
from exchange.mexc.http import Timeouts
from exchange.mexc.listenkeys import ListenKeyApi
from exchange.mexc.reach import Reach
from exchange.mexc.rest import PermanentRefusal
from exchange.mexc.signer import LocalSigner, SignerLimits
from exchange.model import Millis, OrderIntent, OrderType, Side
from exchange.ports import Ack, CancelAck, CancelFailed, VenueName
from exchange.testnet.access.auth import ALL_PERMISSIONS, DEFAULT_PERMISSIONS, Permission
from exchange.testnet.conditions.clock import SystemClock
from exchange.testnet.config import NO_RATE_LIMITS, AccountConfig, TestnetConfig
from exchange.testnet.server import RunningTestnet, running_testnet
from exchange.wire.orders import OrderRef
from tests.support.permits import Leaving

BTC = "BTCUSDT"
SMALL = Decimal("0.0002")
SECRET = "a-secret-of-no-value"
LIMITS = SignerLimits(frozenset({BTC}), Decimal(1_000))
POOR = DEFAULT_PERMISSIONS - {Permission.SPOT_WITHDRAW_READ}


class Permit(Leaving):
    epoch = 1

    def is_live(self) -> bool:
        return True


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[RunningTestnet]:
    balances = {"USDT": Decimal(10_000), "BTC": Decimal("0.5")}
    accounts = (
        AccountConfig("rich", "mx0rich", SECRET, balances, ALL_PERMISSIONS, uid="1001"),
        AccountConfig("poor", "mx0poor", SECRET, balances, POOR, uid="1002", master="rich"),
    )
    config = TestnetConfig(accounts=accounts, port=0, strict_signatures=True, rate_limits=NO_RATE_LIMITS)
    async with running_testnet(config) as testnet:
        yield testnet


def at(testnet: RunningTestnet, key: str) -> MexcVenue:
    endpoint = VenueEndpoint(testnet.base_url, testnet.ws_url, Reach.LOOPBACK, Timeouts(2_000, 2_000, 2_000, 4_000))
    return open_venue(VenueName.TESTNET, endpoint, LocalSigner(key, SECRET, LIMITS), SystemClock(), Random(1))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def venue(running: RunningTestnet) -> AsyncIterator[MexcVenue]:
    client = at(running, "mx0rich")
    yield client
    await client.aclose()


pytestmark = pytest.mark.asyncio(loop_scope="module")


def resting(client_id: str) -> OrderIntent:
    return OrderIntent(BTC, Side.BUY, OrderType.LIMIT, client_id, quantity=SMALL, price=Decimal(30_000))


async def test_a_test_order_is_checked_and_never_placed(venue: MexcVenue) -> None:
    await venue.trading.test(resting("t-1"), Permit())
    too_small = OrderIntent(BTC, Side.BUY, OrderType.LIMIT, "t-2", quantity=Decimal("0.000001"), price=Decimal(30_000))
    with pytest.raises(PermanentRefusal) as caught:
        await venue.trading.test(too_small, Permit())
    assert caught.value.error.code == 30002
    assert await venue.order(BTC, "t-1") is None


async def test_orders_are_cancelled_by_either_id_and_by_symbol(venue: MexcVenue) -> None:
    placed = [await venue.trading.place(resting(f"c-{number}"), Permit()) for number in range(5)]
    assert isinstance(placed[0], Ack)
    assert await venue.trading.cancel(OrderRef(BTC, placed[0].order_id)) == CancelAck()
    assert await venue.trading.cancel(OrderRef(BTC, client_id="c-1")) == CancelAck()
    assert await venue.trading.cancel_open([BTC]) == CancelAck()
    assert isinstance(await venue.trading.cancel(OrderRef(BTC, client_id="c-1")), CancelFailed)
    assert await venue.trading.open_orders() == ()


async def test_the_identity_and_the_fees_of_the_account_are_read(venue: MexcVenue) -> None:
    account = await venue.account.account()
    assert account.can_trade
    assert account.balances["USDT"].total > 0
    fee = await venue.account.trade_fee(BTC)
    rules = (await venue.symbol_rules([BTC]))[BTC]
    assert (fee.maker, fee.taker) == (rules.maker_fee, rules.taker_fee)


async def test_the_pairs_open_to_the_key_are_listed(venue: MexcVenue) -> None:
    assert BTC in await venue.account.self_symbols()


async def test_a_listen_key_is_created_renewed_and_closed(venue: MexcVenue) -> None:
    keys = ListenKeyApi(venue._rest)
    key = await keys.create()
    await keys.renew(key)
    await keys.close(key)
    with pytest.raises(PermanentRefusal):
        await keys.renew(key)


@pytest.mark.parametrize(("key", "denied"), [("mx0rich", False), ("mx0poor", True)])
async def test_a_query_proves_whether_a_key_may_see_money_movements(running: RunningTestnet, key: str, denied: bool) -> None:
    client = at(running, key)
    assert [await client.account.is_denied(path) for path in (WITHDRAWALS, TRANSFERS)] == [denied, denied]
    await client.aclose()


async def test_what_came_and_left_is_listed_since_a_time(running: RunningTestnet, venue: MexcVenue) -> None:
    before = running.venue.clock.now()
    running.venue.transfer("rich", "USDT", Decimal("12.5"), deposit=True)
    running.venue.transfer("rich", "BTC", Decimal("0.1"), deposit=False)
    moves = await venue.capital_moves(before)
    assert sorted((one.asset, one.amount) for one in moves) == [("BTC", Decimal("-0.1")), ("USDT", Decimal("12.5"))]
    assert len({one.id for one in moves}) == 2
    assert await venue.capital_moves(Millis(before + 60_000)) == []
    poor = at(running, "mx0poor")
    with pytest.raises(PermanentRefusal, match="700007"):
        await poor.capital_moves(before)
    await poor.aclose()


async def test_a_wrong_signature_is_not_mistaken_for_a_missing_permission(running: RunningTestnet) -> None:
    endpoint = VenueEndpoint(running.base_url, running.ws_url, Reach.LOOPBACK)
    client = open_venue(VenueName.TESTNET, endpoint, LocalSigner("mx0poor", "wrong", LIMITS), SystemClock(), Random(1))
    with pytest.raises(PermanentRefusal) as caught:
        await client.account.is_denied(WITHDRAWALS)
    assert caught.value.error.code == 700002
    await client.aclose()
