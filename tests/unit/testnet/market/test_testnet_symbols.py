"""A venue with several symbols: each has its own market, rules and orders, and MX has a price."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from exchange import tape
from exchange.errors import ConfigError
from exchange.matching.symbols import BTCUSDT
from exchange.model import DataSource, Millis
from exchange.testnet.config import NO_RATE_LIMITS, AccountConfig, TestnetConfig
from exchange.testnet.server import RunningTestnet, build_venue, running_testnet
from tests.support.stopped_clock import StoppedClock

D = Decimal
ETHUSDT = replace(BTCUSDT, symbol="ETHUSDT", base="ETH")
MXUSDT = replace(BTCUSDT, symbol="MXUSDT", base="MX", quantity_precision=2, price_precision=4)
MONEY = {"USDT": D(100_000), "BTC": D(1), "ETH": D(5), "MX": D(100)}
BOT = AccountConfig("bot", "mx0bot", "bot-secret", MONEY, mx_deduction=True)
START = Millis(1_700_000_000_000)


@pytest.fixture
def config() -> TestnetConfig:
    prices = {"ETHUSDT": D(3_000), "MXUSDT": D(4)}
    return TestnetConfig((BOT,), port=0, rate_limits=NO_RATE_LIMITS, symbols=(BTCUSDT, ETHUSDT, MXUSDT), start_prices=prices)


@pytest.fixture
async def testnet(config: TestnetConfig) -> AsyncIterator[RunningTestnet]:
    async with running_testnet(config) as running:
        yield running


async def test_every_symbol_has_its_own_market(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/api/v3/exchangeInfo")).json()["symbols"]
    tickers = {one["symbol"]: one for one in (await http.get("/api/v3/ticker/bookTicker")).json()}
    assert [one["symbol"] for one in listed] == ["BTCUSDT", "ETHUSDT", "MXUSDT"]
    assert D(59_000) < D(tickers["BTCUSDT"]["bidPrice"]) < D(61_000)
    assert D(2_900) < D(tickers["ETHUSDT"]["bidPrice"]) < D(3_100)


@pytest.mark.parametrize(
    ("symbols", "found"),
    [("ETHUSDT", ["ETHUSDT"]), ("MXUSDT,NOPEUSDT,BTCUSDT", ["MXUSDT", "BTCUSDT"]), ("NOPEUSDT", [])],
)
async def test_exchange_info_lists_the_requested_symbols_only(http: httpx.AsyncClient, symbols: str, found: list[str]) -> None:
    reply = (await http.get("/api/v3/exchangeInfo", params={"symbols": symbols})).json()
    assert [one["symbol"] for one in reply["symbols"]] == found


@pytest.mark.parametrize("path", ["depth", "trades", "aggTrades", "klines", "avgPrice", "ticker/24hr", "ticker/price"])
async def test_a_symbol_that_is_not_listed_is_refused_everywhere(http: httpx.AsyncClient, path: str) -> None:
    reply = await http.get(f"/api/v3/{path}", params={"symbol": "NOPEUSDT", "interval": "1m"})
    assert (reply.status_code, reply.json()["code"]) == (400, -1121)


async def test_open_orders_are_listed_and_cancelled_by_several_symbols(trader: Any) -> None:
    await trader.place()
    await trader.place(symbol="ETHUSDT", price="2000")
    await trader.place(symbol="MXUSDT", price="2", quantity="5")
    two = await trader.get("openOrders", symbol="BTCUSDT,MXUSDT")
    everything = await trader.get("openOrders")
    too_many = await trader.get("openOrders", symbol="A1,B1,C1,D1,E1,F1")
    unknown = await trader.get("openOrders", symbol="BTCUSDT,NOPEUSDT")
    canceled = (await trader.send("DELETE", "openOrders", {"symbol": "ETHUSDT,MXUSDT"})).json()
    assert {one["symbol"] for one in two} == {"BTCUSDT", "MXUSDT"}
    assert len(everything) == 3
    assert (too_many["code"], unknown["code"]) == (33333, -1121)
    assert {one["symbol"] for one in canceled} == {"ETHUSDT", "MXUSDT"}
    assert [one["symbol"] for one in await trader.get("openOrders")] == ["BTCUSDT"]


async def test_a_batch_of_two_symbols_is_refused(trader: Any) -> None:
    batch = '[{"symbol":"BTCUSDT","side":"BUY"},{"symbol":"ETHUSDT","side":"BUY"}]'
    assert (await trader.send("POST", "batchOrders", {"batchOrders": batch})).json()["code"] == 33333


def test_a_fee_in_mx_uses_the_venues_own_price_of_mx(config: TestnetConfig) -> None:
    def fee(options: TestnetConfig) -> tuple[Decimal, str]:
        venue = build_venue(options, StoppedClock(START))
        charge = venue.mx_fees.charge(venue.engine._account("bot"), BTCUSDT, D(10_000), maker=False)
        return charge.amount, charge.asset

    amount, asset = fee(config)
    assert asset == "MX"
    assert abs(amount * 4 - D(10_000) * D("0.0005") * D("0.8")) < D("0.01")
    assert fee(replace(config, symbols=(), mx_price=D(8))) == (D("0.5"), "MX")


def test_several_markets_repeat_the_same_records(config: TestnetConfig) -> None:
    def played() -> list[Any]:
        clock = StoppedClock(START)
        venue = build_venue(config, clock)
        clock.at = Millis(START + 2_000)
        return venue.market.take_due()

    first = played()
    assert first == played()
    assert {one.symbol for one in first} == {"BTCUSDT", "ETHUSDT", "MXUSDT"}
    assert [one.at for one in first] == sorted(one.at for one in first)


def recorded(path: Path, symbol: str, price: str, source: DataSource = DataSource.RECORDED_L2) -> Path:
    """A tape of one symbol with a book around a price."""
    bids, asks = ((D(price) - 1, D(1)),), ((D(price) + 1, D(1)),)
    book = tape.DepthSnapshot(symbol, 7, bids, asks, Millis(1_000), Millis(1_000))
    tape.write(path, tape.TapeHeader(symbol, source, "a test", "none"), [book])
    return path


def test_several_tapes_are_played_at_once_each_with_its_symbol(config: TestnetConfig, tmp_path: Path) -> None:
    tapes = [recorded(tmp_path / f"{name}.tape.gz", name, price) for name, price in (("BTCUSDT", "50000"), ("ETHUSDT", "2000"))]
    venue = build_venue(replace(config, tape=tapes[0], more_tapes=(tapes[1],)), StoppedClock(START))
    best = {symbol: venue.engine.depth(symbol, 1)[1] for symbol in ("BTCUSDT", "ETHUSDT", "MXUSDT")}
    assert best == {"BTCUSDT": [(D(49_999), D(1))], "ETHUSDT": [(D(1_999), D(1))], "MXUSDT": []}
    assert venue.market.source is DataSource.RECORDED_L2


@pytest.mark.parametrize(("symbol", "source"), [("BTCUSDT", DataSource.RECORDED_L2), ("ETHUSDT", DataSource.SYNTHETIC)])
def test_tapes_of_one_symbol_or_of_two_sources_are_not_played_together(
    config: TestnetConfig, tmp_path: Path, symbol: str, source: DataSource
) -> None:
    first = recorded(tmp_path / "first.tape.gz", "BTCUSDT", "50000")
    second = recorded(tmp_path / "second.tape.gz", symbol, "2000", source)
    with pytest.raises(ConfigError) as refused:
        build_venue(replace(config, tape=first, more_tapes=(second,)), StoppedClock(START))
    assert refused.value.code == "testnet-tapes-contradict"
