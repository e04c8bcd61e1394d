from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from controller.serving.throttle import Rate
from exchange.model import Millis
from exchange.wire.account import parse_trade_fee
from exchange.wire.errors import load_json
from exchange.wire.market import parse_depth, parse_klines
from exchange.wire.symbols import parse_exchange_info
from tests.support.wire_readers import parse_trades
from tests.unit.gateway.fake_port import CANDLE, MXUSDT, START, FakePort
from tests.unit.gateway.gateway_client import ALPHA, BETA, PLENTY, BotClient


async def test_ping_is_an_empty_object(bot: BotClient) -> None:
    assert (await bot.public("ping")).json() == {}


async def test_time_is_the_ports_clock(bot: BotClient) -> None:
    assert (await bot.public("time")).json() == {"serverTime": START}


@pytest.mark.parametrize("query", ["", "symbol=MXUSDT", "symbols=MXUSDT%2CBTCUSDT"])
async def test_exchange_info_reads_back_as_the_same_rules(bot: BotClient, query: str) -> None:
    reply = await bot.public("exchangeInfo", query)
    assert parse_exchange_info(load_json(reply.content)) == {"MXUSDT": MXUSDT}


async def test_default_symbols_are_the_symbols_that_may_be_traded(bot: BotClient) -> None:
    assert (await bot.public("defaultSymbols")).json()["data"] == ["MXUSDT"]


async def test_depth_reads_back_as_the_ports_book(bot: BotClient) -> None:
    book = parse_depth(load_json((await bot.public("depth", "symbol=MXUSDT&limit=1")).content))
    assert (book.last_update_id, book.bids, book.asks) == (
        77,
        ((Decimal("2.5"), Decimal(10)),),
        ((Decimal("2.51"), Decimal(4)),),
    )


async def test_trades_come_newest_first(bot: BotClient, port: FakePort) -> None:
    shown = parse_trades("MXUSDT", load_json((await bot.public("trades", "symbol=MXUSDT")).content))
    assert [trade.price for trade in shown] == [trade.price for trade in port.trades("MXUSDT", 10)]


async def test_aggregate_trades_are_limited_to_the_requested_time_span(bot: BotClient) -> None:
    reply = await bot.public("aggTrades", f"symbol=MXUSDT&startTime={START - 1000}&endTime={START - 500}")
    assert [trade["p"] for trade in reply.json()] == ["2.5"]


@pytest.mark.parametrize("path", ["ticker/price", "ticker/bookTicker", "ticker/24hr"])
async def test_tickers_answer_for_one_symbol_or_for_all(bot: BotClient, path: str) -> None:
    one, every = await bot.public(path, "symbol=MXUSDT"), await bot.public(path)
    assert every.json() == [one.json()]


async def test_a_day_ticker_has_its_statistics_and_the_prices_of_now(bot: BotClient) -> None:
    shown = (await bot.public("ticker/24hr", "symbol=MXUSDT")).json()
    assert {
        name: shown[name] for name in ("lastPrice", "bidPrice", "askPrice", "openPrice", "highPrice", "lowPrice", "volume")
    } == {
        "lastPrice": "2.505",
        "bidPrice": "2.5",
        "askPrice": "2.51",
        "openPrice": "2.3",
        "highPrice": "2.505",
        "lowPrice": "2.2",
        "volume": "1000",
    }
    assert (shown["priceChange"], shown["priceChangePercent"]) == ("0.205", "0.0891")


async def test_the_average_price_is_of_five_minutes(bot: BotClient) -> None:
    assert (await bot.public("avgPrice", "symbol=MXUSDT")).json() == {"mins": 5, "price": "2.4567"}


async def test_historical_trades_are_the_trades(bot: BotClient) -> None:
    old, recent = await bot.public("historicalTrades", "symbol=MXUSDT"), await bot.public("trades", "symbol=MXUSDT")
    assert old.json() == recent.json() != []


@pytest.mark.parametrize("path", ["depth", "ticker/price", "ticker/bookTicker", "ticker/24hr"])
async def test_there_is_no_price_without_a_valid_book(bot: BotClient, port: FakePort, path: str) -> None:
    port.book = False
    reply = await bot.public(path, "symbol=MXUSDT")
    assert (reply.status_code, reply.json()["code"]) == (503, 503)


@pytest.mark.parametrize(
    "path",
    ["depth", "trades", "aggTrades", "ticker/price", "ticker/bookTicker", "ticker/24hr", "exchangeInfo", "avgPrice", "klines"],
)
async def test_a_symbol_that_is_not_traded_here_is_invalid(bot: BotClient, path: str) -> None:
    reply = await bot.public(path, "symbol=BTCUSDT&interval=1m")
    assert (reply.status_code, reply.json()["code"]) == (400, -1121)


async def test_candles_are_rows_of_their_market_that_say_where_they_begin(bot: BotClient) -> None:
    reply = await bot.public("klines", "symbol=MXUSDT&interval=60m")
    assert parse_klines(load_json(reply.content)) == (CANDLE,)
    assert reply.headers["content-type"] == "application/json"
    assert (reply.headers["x-gatehouse-market"], reply.headers["x-gatehouse-history-begins"]) == ("testnet", str(CANDLE.open_time))


@pytest.mark.parametrize("path", ["klines", "avgPrice", "ticker/24hr"])
async def test_a_market_that_does_not_answer_is_an_error_with_the_reason(bot: BotClient, port: FakePort, path: str) -> None:
    port.market_problem = "GET /api/v3/klines: no connection"
    reply = await bot.public(path, "symbol=MXUSDT&interval=1m")
    assert (reply.status_code, reply.json()["code"]) == (503, 503)
    assert "no connection. Old ones may be wrong" in reply.json()["msg"]


async def test_a_list_of_day_tickers_without_any_is_an_error(bot: BotClient, port: FakePort) -> None:
    port.market_problem = "no connection"
    assert (await bot.public("ticker/24hr")).status_code == 503


async def test_candles_have_a_rate_of_their_own(port: FakePort) -> None:
    few = BotClient(port, replace(PLENTY, history=Rate(1, 2)))
    replies = [await few.public("klines", "symbol=MXUSDT&interval=1m") for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert replies[2].headers["retry-after"] == "1"
    assert (await few.public("trades", "symbol=MXUSDT")).status_code == 200
    assert (await few.buy()).status_code == 200


async def test_the_profile_says_nothing_about_the_owner(bot: BotClient) -> None:
    assert (await bot.signed("GET", "kyc/status")).json() == {"status": "1"}
    assert (await bot.signed("GET", "mxDeduct/enable")).json()["data"] == {"mxDeductEnable": False}
    mine, others = [(await bot.signed("GET", "uid", bot=one)).json()["uid"] for one in (ALPHA, BETA)]
    assert mine.isdigit()
    assert mine != others


async def test_the_account_can_trade_and_never_withdraw(bot: BotClient) -> None:
    shown = (await bot.signed("GET", "account")).json()
    assert (shown["canTrade"], shown["canWithdraw"], shown["canDeposit"]) == (True, False, False)
    assert shown["balances"][0] == {"asset": "USDT", "free": "900", "locked": "100", "available": "900"}


async def test_an_asset_the_bot_holds_nothing_of_is_there(bot: BotClient) -> None:
    shown = (await bot.signed("GET", "account")).json()
    assert {"asset": "BTC", "free": "0", "locked": "0", "available": "0"} in shown["balances"]


async def test_fills_show_the_ids_the_bot_knows(bot: BotClient, port: FakePort) -> None:
    order_id = (await bot.buy(("newClientOrderId", "mine-1"))).json()["orderId"]
    port.fill("alpha", order_id, Decimal("2.5"))
    shown = (await bot.signed("GET", "myTrades", [("symbol", "MXUSDT"), ("orderId", order_id)])).json()
    assert [(one["orderId"], one["clientOrderId"], one["quoteQty"], one["isMaker"]) for one in shown] == [
        (order_id, "mine-1", "10", True)
    ]


async def test_fills_are_at_most_a_hundred_of_the_last_month(bot: BotClient, port: FakePort) -> None:
    await bot.signed("GET", "myTrades", [("symbol", "MXUSDT"), ("limit", "5000"), ("startTime", "1")])
    window, limit = port.heard[0][4:]
    assert (window.start, window.end, limit) == (Millis(START - 30 * 86_400_000), START, 100)


async def test_fees_are_exact_numbers(bot: BotClient) -> None:
    fee = parse_trade_fee(load_json((await bot.signed("GET", "tradeFee", [("symbol", "MXUSDT")])).content))
    assert (fee.maker, fee.taker) == (Decimal(0), Decimal("0.0005"))


async def test_what_clients_request_on_start_is_empty(bot: BotClient) -> None:
    assert (await bot.signed("GET", "capital/config/getall")).json() == []
    assert (await bot.http.get("/api/v1/contract/detail")).json() == {"success": True, "code": 0, "data": []}
    assert (await bot.signed("GET", "selfSymbols")).json()["data"] == ["MXUSDT"]


@pytest.mark.parametrize(
    "path", ["capital/withdraw", "capital/transfer", "capital/transfer/internal", "sub-account/universalTransfer"]
)
async def test_a_withdrawal_is_refused_and_the_error_says_it_is_by_design(bot: BotClient, path: str) -> None:
    reply = await bot.signed("POST", path, [("coin", "USDT"), ("amount", "1")])
    assert reply.status_code == 404
    assert "do not exist here, by design" in reply.json()["msg"]
