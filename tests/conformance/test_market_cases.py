"""Cases 1 to 9 and 26: what a client reads before it trades."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from exchange.testnet.server import RunningTestnet
from tests.conformance.cases import case
from tests.conformance.trader import BASE, QUOTE, SYMBOL, ForeignTrader, Trader, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@case(1)
async def test_01_the_market_loads_with_its_precision_limits_and_fees(trader: Trader) -> None:
    market = await trader.market()
    assert (market.tick, market.step, market.min_notional) == (Decimal("0.01"), Decimal("0.000001"), 1)
    assert (market.maker, market.taker) == (0, Decimal("0.0005"))


@case(2)
async def test_02_the_venue_is_up(trader: ForeignTrader) -> None:
    await trader.ping()


@case(3)
async def test_03_the_venue_s_clock_is_ours(trader: Trader) -> None:
    assert abs(await trader.time() - time.time() * 1000) < 1000


@case(4)
async def test_04_the_order_book_is_not_crossed_and_has_a_version(trader: ForeignTrader) -> None:
    version, bids, asks = await trader.book()
    assert version > 0
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0][0] < asks[0][0]


@case(5)
async def test_05_public_trades_are_read(trader: ForeignTrader, testnet: RunningTestnet) -> None:
    await until(lambda: testnet.venue.history.trades(SYMBOL, 3))
    trades = await trader.public_trades()
    assert trades
    assert all(price > 0 and quantity > 0 for price, quantity in trades)


@case(6)
async def test_06_candles_are_read(trader: ForeignTrader, testnet: RunningTestnet) -> None:
    await until(lambda: testnet.venue.history.trades(SYMBOL, 3))
    (opened, first, high, low, close, volume), *_ = await trader.candles()
    assert opened % 60_000 == 0
    assert low <= min(first, close) <= max(first, close) <= high
    assert volume > 0


@case(7)
async def test_07_the_day_s_ticker_is_read(trader: ForeignTrader, testnet: RunningTestnet) -> None:
    await until(lambda: testnet.venue.history.trades(SYMBOL, 3))
    last, bid, ask = await trader.ticker()
    assert bid < ask
    assert last > 0


@case(8)
async def test_08_best_prices_and_last_prices_of_all_symbols_are_read(trader: ForeignTrader, testnet: RunningTestnet) -> None:
    await until(lambda: testnet.venue.history.trades(SYMBOL, 3))
    bid, ask = (await trader.best_prices())[SYMBOL]
    assert 0 < bid < ask


@case(9)
async def test_09_the_balance_is_read(trader: Trader) -> None:
    balance = await trader.balance()
    assert balance[QUOTE].free > 0
    assert set(balance) <= {QUOTE, BASE}


@case(26)
async def test_26_the_trading_fee_is_read(trader: ForeignTrader) -> None:
    assert await trader.fee() == (0, Decimal("0.0005"))
