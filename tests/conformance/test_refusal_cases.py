"""Cases 30 to 37, 39 and 45: what is refused, with which code, and the exception that ccxt raises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal

import ccxt
import pytest

from exchange.model import OrderType, Side
from exchange.wire.errors import ErrorCode
from tests.conformance.cases import case
from tests.conformance.ccxt_trader import CcxtTrader
from tests.conformance.pymexc_trader import PymexcTrader
from tests.conformance.trader import Denied, ForeignTrader, Trader, intent, resting

pytestmark = pytest.mark.asyncio(loop_scope="module")


@contextmanager
def refused(code: ErrorCode, raised: type[ccxt.BaseError]) -> Iterator[None]:
    """The body is refused with this code; ccxt turns it into this exception."""
    with pytest.raises(Denied) as caught:
        yield
    assert caught.value.code == code
    cause = caught.value.__cause__
    assert not isinstance(cause, ccxt.BaseError) or type(cause) is raised


@case(30)
async def test_30_too_little_of_the_quote_asset_has_its_own_error(trader: Trader) -> None:
    order = replace(await resting(trader), quantity=Decimal(30), client_id="first-large")
    await trader.place(order)
    await trader.place(replace(order, client_id="second-large"))
    with refused(ErrorCode.INSUFFICIENT_POSITION, ccxt.InsufficientFunds):
        await trader.place(replace(order, client_id="third-large"))


@case(31)
async def test_31_too_little_of_the_base_asset_has_its_own_error(trader: Trader) -> None:
    order = replace(await resting(trader, Side.SELL), quantity=Decimal(30), client_id="first-sale")
    await trader.place(order)
    with refused(ErrorCode.OVERSOLD, ccxt.InsufficientFunds):
        await trader.place(replace(order, client_id="second-sale"))


@case(32)
async def test_32_an_unlisted_symbol_has_its_own_error(trader: ForeignTrader) -> None:
    with refused(ErrorCode.BAD_SYMBOL, ccxt.BadSymbol):
        await trader.depth_of("NOPEUSDT")


@case(33)
async def test_33_a_price_off_the_grid_has_its_own_error(trader: ForeignTrader) -> None:
    with refused(ErrorCode.API_KEY_REQUIRED, ccxt.BadRequest):
        await trader.place_unrounded(intent(Side.BUY, OrderType.LIMIT, Decimal("0.001"), Decimal("50000.123")))


@case(34)
async def test_34_an_order_below_the_minimum_has_its_own_error(trader: Trader) -> None:
    with refused(ErrorCode.BELOW_MINIMUM, ccxt.InvalidOrder):
        await trader.place(await resting(trader, quantity=Decimal("0.000001")))


@case(35)
async def test_35_a_wrong_secret_has_its_own_error(trader: ForeignTrader) -> None:
    use(trader, secret="another")
    with refused(ErrorCode.BAD_SIGNATURE, ccxt.AuthenticationError):
        await trader.balance()


@case(36)
async def test_36_an_old_timestamp_has_its_own_error(trader: CcxtTrader) -> None:
    trader.client.options["timeDifference"] = 60_000
    with refused(ErrorCode.OUTSIDE_RECV_WINDOW, ccxt.InvalidNonce):
        await trader.balance()


@case(37)
async def test_37_a_timestamp_more_than_a_second_ahead_has_its_own_error(trader: CcxtTrader) -> None:
    trader.client.options["timeDifference"] = -2_000
    with refused(ErrorCode.OUTSIDE_RECV_WINDOW, ccxt.InvalidNonce):
        await trader.balance()


@case(39)
async def test_39_an_unknown_key_has_its_own_error(trader: ForeignTrader) -> None:
    use(trader, key="mx0stranger")
    with refused(ErrorCode.BAD_ACCESS_KEY, ccxt.BadRequest):
        await trader.balance()


@case(45)
async def test_45_a_key_that_may_only_read_cannot_place_orders(trader: ForeignTrader) -> None:
    order = await resting(trader)
    use(trader, key="mx0reader")
    assert await trader.balance()
    with refused(ErrorCode.NO_PERMISSION, ccxt.AuthenticationError):
        await trader.place(order)


def use(trader: ForeignTrader, *, key: str | None = None, secret: str | None = None) -> None:
    """Switch the client to other credentials."""
    if isinstance(trader, CcxtTrader):
        trader.client.apiKey, trader.client.secret = key or trader.client.apiKey, secret or trader.client.secret
    elif isinstance(trader, PymexcTrader):
        trader.http.api_secret = secret or trader.http.api_secret
        trader.http.session.headers.update({"X-MEXC-APIKEY": key or trader.http.api_key})
