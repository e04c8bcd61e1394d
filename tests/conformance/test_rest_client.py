"""What an unmodified exchange library can do with the testnet over REST, one numbered case per call it makes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from exchange.testnet.server import RunningTestnet

SYMBOL = "BTC/USDT"

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_01_the_client_loads_the_market_with_its_precision_limits_and_fees(client: Any) -> None:
    market = client.market(SYMBOL)
    assert market["active"] is True
    assert market["precision"] == {"amount": 1e-06, "price": 0.01}
    assert market["limits"]["cost"]["min"] == 1.0
    assert (market["maker"], market["taker"]) == (0.0, 0.0005)


async def test_02_the_client_finds_the_venue_up(client: Any) -> None:
    assert (await client.fetch_status())["status"] == "ok"


async def test_03_the_client_reads_the_venue_s_clock(client: Any) -> None:
    assert abs(await client.fetch_time() - time.time() * 1000) < 1000


async def test_04_the_client_reads_an_order_book_that_is_not_crossed(client: Any) -> None:
    book = await client.fetch_order_book(SYMBOL, 5)
    assert len(book["bids"]) == len(book["asks"]) == 5
    assert book["bids"][0][0] < book["asks"][0][0]
    assert book["nonce"] > 0


async def test_05_the_client_reads_public_trades(client: Any, testnet: RunningTestnet) -> None:
    await until(lambda: testnet.venue.history.trades("BTCUSDT", 3))
    trades = await client.fetch_trades(SYMBOL)
    assert trades
    assert {trade["side"] for trade in trades} <= {"buy", "sell"}


async def test_06_the_client_reads_candles(client: Any, testnet: RunningTestnet) -> None:
    await until(lambda: testnet.venue.history.trades("BTCUSDT", 3))
    (opened, first, high, low, close, volume), *_ = await client.fetch_ohlcv(SYMBOL, "1m")
    assert opened % 60_000 == 0
    assert low <= min(first, close) <= max(first, close) <= high
    assert volume > 0


async def test_07_the_client_reads_the_day_s_ticker(client: Any) -> None:
    ticker = await client.fetch_ticker(SYMBOL)
    assert ticker["bid"] < ticker["ask"]
    assert ticker["last"] > 0


async def test_08_the_client_reads_tickers_and_best_prices_of_all_symbols(client: Any) -> None:
    assert SYMBOL in await client.fetch_tickers()
    assert (await client.fetch_bids_asks())[SYMBOL]["bid"] > 0


async def test_09_the_client_reads_its_balance(client: Any) -> None:
    balance = await client.fetch_balance()
    assert balance["USDT"] == {"free": 10_000.0, "used": 0.0, "total": 10_000.0}
    assert balance["BTC"]["free"] == 0.5


async def test_10_a_resting_buy_is_open_and_locks_its_notional_and_fee(client: Any) -> None:
    order = await client.create_order(SYMBOL, "limit", "buy", 0.01, 50_000)
    assert (await client.fetch_order(order["id"], SYMBOL))["status"] == "open"
    assert (await client.fetch_balance())["USDT"]["used"] == pytest.approx(500.25)


async def test_11_a_resting_sell_locks_its_quantity(client: Any) -> None:
    await client.create_order(SYMBOL, "limit", "sell", 0.2, 70_000)
    assert (await client.fetch_balance())["BTC"] == {"free": 0.3, "used": 0.2, "total": 0.5}


async def test_12_a_buy_through_the_book_fills_and_pays_its_fee_in_the_quote_asset(client: Any) -> None:
    order = await client.create_order(SYMBOL, "limit", "buy", 0.01, 61_000)
    (trade,) = await client.fetch_my_trades(SYMBOL)
    filled = await client.fetch_order(order["id"], SYMBOL)
    assert filled["status"] == "closed"
    assert filled["average"] < 61_000
    assert trade["order"] == order["id"]
    assert trade["takerOrMaker"] == "taker"
    assert trade["fee"]["currency"] == "USDT"
    assert trade["fee"]["cost"] == pytest.approx(trade["cost"] * 0.0005)


async def test_13_a_post_only_order_that_would_cross_ends_canceled(client: Any) -> None:
    order = await client.create_order(SYMBOL, "limit", "buy", 0.01, 61_000, {"postOnly": True})
    ended = await client.fetch_order(order["id"], SYMBOL)
    assert (ended["status"], ended["filled"], ended["type"]) == ("canceled", 0.0, "limit")


async def test_14_a_post_only_order_that_does_not_cross_rests(client: Any) -> None:
    order = await client.create_order(SYMBOL, "limit", "buy", 0.01, 50_000, {"postOnly": True})
    resting = await client.fetch_order(order["id"], SYMBOL)
    assert (resting["status"], resting["info"]["type"]) == ("open", "LIMIT_MAKER")


async def test_15_an_immediate_order_that_finds_nothing_ends_canceled(client: Any) -> None:
    order = await client.create_order(SYMBOL, "limit", "buy", 0.01, 50_000, {"timeInForce": "IOC"})
    assert (await client.fetch_order(order["id"], SYMBOL))["status"] == "canceled"


async def test_16_a_fill_or_kill_order_the_book_cannot_fill_whole_fills_nothing(client: Any, testnet: RunningTestnet) -> None:
    testnet.venue.pause()
    best = float((await client.fetch_order_book(SYMBOL))["asks"][0][0])
    testnet.venue.engine.open_account(account_of(client), {"USDT": Decimal(2_000_000)}, testnet.venue.clock.now())
    killed = await client.create_order(SYMBOL, "limit", "buy", 30, best + 0.02, {"timeInForce": "FOK"})
    filled = await client.create_order(SYMBOL, "limit", "buy", 0.000_1, best + 0.02, {"timeInForce": "FOK"})
    ended = [await client.fetch_order(order["id"], SYMBOL) for order in (killed, filled)]
    assert [(order["status"], order["filled"]) for order in ended] == [("canceled", 0.0), ("closed", 0.000_1)]


async def test_17_a_market_buy_by_cost_spends_no_more_than_it_was_given(client: Any) -> None:
    order = await client.create_market_buy_order_with_cost(SYMBOL, 100)
    filled = await client.fetch_order(order["id"], SYMBOL)
    assert filled["status"] == "closed"
    assert 99 < filled["cost"] <= 100


async def test_18_a_market_sell_by_quantity_fills(client: Any) -> None:
    order = await client.create_order(SYMBOL, "market", "sell", 0.01)
    assert (await client.fetch_order(order["id"], SYMBOL))["filled"] == 0.01


async def test_19_a_canceled_order_is_no_longer_open_and_frees_its_funds(client: Any) -> None:
    order = await client.create_order(SYMBOL, "limit", "buy", 0.01, 50_000)
    await client.cancel_order(order["id"], SYMBOL)
    assert await client.fetch_open_orders(SYMBOL) == []
    assert (await client.fetch_balance())["USDT"]["used"] == 0.0


async def test_20_an_order_can_be_found_and_canceled_by_its_client_id(client: Any) -> None:
    await client.create_order(SYMBOL, "limit", "buy", 0.01, 50_000, {"clientOrderId": "mine_1"})
    found = await client.fetch_order(None, SYMBOL, {"clientOrderId": "mine_1"})
    await client.cancel_order(None, SYMBOL, {"clientOrderId": "mine_1"})
    assert found["clientOrderId"] == "mine_1"
    assert await client.fetch_open_orders(SYMBOL) == []


async def test_21_open_closed_and_canceled_orders_are_told_apart(client: Any) -> None:
    resting = await client.create_order(SYMBOL, "limit", "buy", 0.01, 50_000)
    filled = await client.create_order(SYMBOL, "limit", "buy", 0.01, 61_000)
    ended = await client.create_order(SYMBOL, "limit", "buy", 0.01, 50_000, {"timeInForce": "IOC"})
    listed = [await fetch(SYMBOL) for fetch in (client.fetch_open_orders, client.fetch_closed_orders, client.fetch_canceled_orders)]
    assert [[order["id"] for order in orders] for orders in listed] == [[resting["id"]], [filled["id"]], [ended["id"]]]


async def test_22_all_orders_of_a_symbol_are_canceled_in_one_call(client: Any) -> None:
    for price in (50_000, 51_000):
        await client.create_order(SYMBOL, "limit", "buy", 0.01, price)
    assert len(await client.cancel_all_orders(SYMBOL)) == 2
    assert await client.fetch_open_orders(SYMBOL) == []


async def test_23_all_orders_of_the_account_are_canceled_in_one_call(client: Any) -> None:
    await client.create_order(SYMBOL, "limit", "buy", 0.01, 50_000)
    await client.cancel_all_orders()
    assert await client.fetch_open_orders() == []


async def test_24_a_batch_places_what_can_be_placed_and_says_what_cannot(client: Any) -> None:
    orders = [
        {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 0.01, "price": 50_000},
        {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 1, "price": 50_000},
    ]
    replies = await client.create_orders(orders)
    assert sorted(str(reply["status"]) for reply in replies) == ["None", "rejected"]
    assert len(await client.fetch_open_orders(SYMBOL)) == 1


async def test_25_a_test_order_reaches_no_book(client: Any) -> None:
    await client.create_order(SYMBOL, "limit", "buy", 0.01, 61_000, {"test": True})
    assert await client.fetch_orders(SYMBOL) == []


async def test_26_the_client_reads_its_trading_fee(client: Any) -> None:
    fee = await client.fetch_trading_fee(SYMBOL)
    assert (fee["maker"], fee["taker"]) == (0.0, 0.0005)


async def test_27_the_client_reads_the_trades_of_one_order(client: Any) -> None:
    await client.create_order(SYMBOL, "limit", "buy", 0.01, 61_000)
    second = await client.create_order(SYMBOL, "limit", "sell", 0.01, 59_000)
    trades = await client.fetch_order_trades(second["id"], SYMBOL)
    assert {trade["order"] for trade in trades} == {second["id"]}


async def test_30_too_little_quote_is_insufficient_funds(client: Any) -> None:
    with pytest.raises(ccxt.InsufficientFunds):
        await client.create_order(SYMBOL, "limit", "buy", 1, 50_000)


async def test_31_too_little_base_is_insufficient_funds(client: Any) -> None:
    with pytest.raises(ccxt.InsufficientFunds):
        await client.create_order(SYMBOL, "limit", "sell", 0.6, 70_000)


async def test_32_an_unlisted_symbol_is_a_bad_symbol(client: Any) -> None:
    with pytest.raises(ccxt.BadSymbol):
        await client.spot_public_get_depth({"symbol": "NOPEUSDT"})


async def test_33_a_price_off_the_grid_is_refused(client: Any) -> None:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.01", "price": "50000.123"}
    with pytest.raises(ccxt.BadRequest, match="scale"):
        await client.spot_private_post_order(order)


async def test_34_an_order_below_the_minimum_is_an_invalid_order(client: Any) -> None:
    with pytest.raises(ccxt.InvalidOrder, match="1USDT"):
        await client.create_order(SYMBOL, "limit", "buy", 0.00001, 50_000)


async def test_35_a_wrong_secret_is_an_authentication_error(client: Any) -> None:
    client.secret = "another"
    with pytest.raises(ccxt.AuthenticationError, match="700002"):
        await client.fetch_balance()


async def test_36_an_old_timestamp_is_an_invalid_nonce(client: Any) -> None:
    client.options["timeDifference"] = 60_000
    with pytest.raises(ccxt.InvalidNonce, match="700003"):
        await client.fetch_balance()


async def test_37_a_timestamp_more_than_a_second_ahead_is_an_invalid_nonce(client: Any) -> None:
    client.options["timeDifference"] = -2_000
    with pytest.raises(ccxt.InvalidNonce, match="700003"):
        await client.fetch_balance()


async def test_38_an_order_that_never_existed_cannot_be_fetched_or_canceled(client: Any) -> None:
    with pytest.raises(ccxt.ExchangeError, match="-2013"):
        await client.fetch_order("C02__1", SYMBOL)
    with pytest.raises(ccxt.BadRequest, match="-2011"):
        await client.cancel_order("C02__1", SYMBOL)


async def test_39_an_unknown_key_is_refused(client: Any) -> None:
    client.apiKey = "mx0stranger"
    with pytest.raises(ccxt.BadRequest, match="10072"):
        await client.fetch_balance()


async def until(done: Callable[[], object]) -> None:
    """Wait for the market to get there."""
    async with asyncio.timeout(5):
        while not done():  # noqa: ASYNC110 - the far side of a socket has no event to wait for
            await asyncio.sleep(0.01)


def account_of(client: Any) -> str:
    return f"bot-{client.apiKey.removeprefix('mx0bot')}"
