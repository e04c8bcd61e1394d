"""The gateway shows what it answered about the market to who records it, and nothing else."""

from __future__ import annotations

import httpx
import pytest

from controller.gateway.app import create_app
from tests.support.fixed_keys import FixedKeys
from tests.unit.gateway.fake_port import FakePort
from tests.unit.gateway.gateway_client import ALPHA, PLENTY, BotClient


@pytest.fixture
def records() -> list[tuple[str, bytes, int, bytes]]:
    return []


@pytest.fixture
def client(records: list[tuple[str, bytes, int, bytes]]) -> BotClient:
    port = FakePort()
    client = BotClient(port)
    app = create_app(port, FixedKeys(ALPHA), PLENTY, lambda *answer: records.append(answer))
    client.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")
    return client


async def test_an_answer_is_recorded_as_it_was_sent(client: BotClient, records: list[tuple[str, bytes, int, bytes]]) -> None:
    answer = await client.public("ticker/price", "symbol=MXUSDT")
    assert records == [("/api/v3/ticker/price", b"symbol=MXUSDT", answer.status_code, answer.content)]


async def test_a_refusal_is_recorded_too(client: BotClient, records: list[tuple[str, bytes, int, bytes]]) -> None:
    answer = await client.public("ticker/price", "symbol=NOSUCH")
    assert [(status, body) for _, _, status, body in records] == [(answer.status_code, answer.content)]
    assert answer.status_code == 400


@pytest.mark.parametrize("path", ["ping", "time", "nowhere"])
async def test_what_says_nothing_about_the_market_is_not_recorded(
    client: BotClient, records: list[tuple[str, bytes, int, bytes]], path: str
) -> None:
    await client.public(path)
    assert records == []


@pytest.mark.parametrize(("method", "path"), [("GET", "account"), ("GET", "openOrders"), ("POST", "order")])
async def test_what_the_bot_does_is_not_recorded(
    client: BotClient, records: list[tuple[str, bytes, int, bytes]], method: str, path: str
) -> None:
    answer = await client.signed(method, path, [("symbol", "MXUSDT")])
    assert answer.status_code != 404
    assert records == []
