"""The ECB's file is read over a real socket: its published form, and every answer that is not it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from controller.bootstrap.rates import open_rates, read_ecb
from controller.core.inputs import RateRead
from exchange.ecb import ADDRESS, MOST_BYTES
from exchange.errors import ConfigError, GatehouseError, VenueError
from exchange.model import Millis
from exchange.wire.market import BookTicker
from policies.eur import RateSource
from policies.stage import Environment
from tests.support.desk import D, demo_policy
from tests.support.ecb import RateServer, file_of, rate_server

pytestmark = pytest.mark.asyncio
NOW = Millis(1_800_000_000_000)


class Venue:
    """A live venue whose pair has these prices."""

    def __init__(self, ticker: BookTicker | None) -> None:
        self.answer = ticker
        self.asked: list[str] = []

    async def ticker(self, symbol: str) -> BookTicker | None:
        self.asked.append(symbol)
        return self.answer


def readers(ecb: str, *, environment: Environment = Environment.REHEARSAL, venue: Venue | None = None) -> Any:
    settings = SimpleNamespace(environment=environment, rates=SimpleNamespace(ecb=ecb))
    deployment: Any = SimpleNamespace(settings=settings, policy=demo_policy(), directory=Path())
    live: Any = venue or Venue(None)
    clock: Any = SimpleNamespace(now=lambda: NOW)
    return open_rates(deployment, live, clock)


def book(symbol: str, bid: str, ask: str) -> BookTicker:
    return BookTicker(symbol, D(bid), D(1), D(ask), D(1))


async def test_the_published_file_gives_a_reading() -> None:
    async with rate_server() as served:
        found = await readers(served.address)[RateSource.ECB]()
    assert found == RateRead(RateSource.ECB, D("1.1592"), D("1.1592"), Millis(1_789_084_800_000))


@pytest.mark.parametrize(
    "served",
    [
        pytest.param(RateServer(status="404 Not Found"), id="no such file"),
        pytest.param(RateServer(status="503 Service Unavailable"), id="down"),
        pytest.param(RateServer(status="302 Found", headers="location: http://127.0.0.1:1/\r\n"), id="a redirect"),
        pytest.param(RateServer(body=b"<html/>"), id="a page"),
        pytest.param(RateServer(body=file_of() + b" " * MOST_BYTES), id="a long file"),
        pytest.param(RateServer(body=b" " * (2 << 20)), id="an endless file"),
        pytest.param(RateServer(body=b""), id="nothing"),
    ],
)
async def test_any_other_answer_gives_none(served: RateServer) -> None:
    async with rate_server(served):
        with pytest.raises(GatehouseError):
            await read_ecb(served.address)


async def test_a_closed_port_gives_none() -> None:
    async with rate_server() as served:
        address = served.address
    with pytest.raises(GatehouseError):
        await read_ecb(address)


async def test_the_pair_of_the_live_venue_gives_both_sides_of_its_book() -> None:
    venue = Venue(book("EURUSDT", "1.158", "1.159"))
    found = await readers(ADDRESS, venue=venue)[RateSource.VENUE]()
    assert found == RateRead(RateSource.VENUE, D("1.158"), D("1.159"), NOW)
    assert venue.asked == ["EURUSDT"]


@pytest.mark.parametrize(
    "ticker",
    [None, book("BTCUSDT", "1.158", "1.159"), book("EURUSDT", "1.16", "1.159"), book("EURUSDT", "0", "1.159")],
    ids=["an empty side", "another pair", "crossed", "no bid"],
)
async def test_a_book_that_is_none_gives_no_reading(ticker: BookTicker | None) -> None:
    assert await readers(ADDRESS, venue=Venue(ticker))[RateSource.VENUE]() is None


async def test_a_venue_that_does_not_list_the_pair_is_an_error_of_the_venue() -> None:
    class Unlisted(Venue):
        async def ticker(self, symbol: str) -> BookTicker | None:
            raise VenueError(f"{symbol} is not listed", code="venue-refused", remedy="none")

    with pytest.raises(VenueError):
        await readers(ADDRESS, venue=Unlisted(None))[RateSource.VENUE]()


@pytest.mark.parametrize("address", ["http://example.org/x", "ftp://127.0.0.1/x", "https://user:pw@example.org/x", ""])
async def test_an_address_that_may_not_be_asked_is_refused(address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        readers(address)
    assert caught.value.code == "rates-address"


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/x", "https://example.org/x"])
async def test_production_asks_the_ecb_and_no_one_else(address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        readers(address, environment=Environment.PRODUCTION)
    assert caught.value.code == "rates-address"
    assert readers(ADDRESS, environment=Environment.PRODUCTION)
