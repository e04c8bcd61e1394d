"""The testnet as its options start it: its fills, its market and its exports."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from controller.cli.run import testnet_options, testnet_run
from controller.cli.run.testnet_options import Feed
from controller.cli.shared.fetch import fetching
from exchange.errors import Unreachable, UsageError
from exchange.matching.resting import FillModel
from exchange.testnet.conditions.latency import DEFAULT_QUANTILES
from exchange.testnet.config import NO_RATE_LIMITS, AccountConfig, TestnetConfig
from exchange.testnet.server import RunningTestnet, running_testnet
from exchange.wire.signing import signature
from tests.support.cli_kit import Run, printed
from tests.support.loopback import http_at

ACCOUNT = AccountConfig("bot", "mx0abcdefgh", "0123456789", {"USDT": Decimal(10_000)})
CONFIG = TestnetConfig(accounts=(ACCOUNT,), port=0, rate_limits=NO_RATE_LIMITS)


@asynccontextmanager
async def serving(live: tuple[str, str, str] | None = None, fills: Path | None = None) -> AsyncIterator[str]:
    """The address of a venue run as the command line runs it."""
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        testnet_run.serve(CONFIG, lambda host, port: address.set_result(f"http://{host}:{port}"), live, fills, tell=True)
    )
    try:
        async with asyncio.timeout(10):
            await asyncio.wait((task, address), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
            yield await address
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def origin() -> AsyncIterator[RunningTestnet]:
    async with running_testnet(CONFIG) as running:
        yield running


@pytest.mark.parametrize(
    ("text", "quantiles"),
    [("assumed", DEFAULT_QUANTILES), ("0", ()), ("25", (25, 25)), ("1,2,300", (1, 2, 300)), ("0,0", ())],
)
def test_latencies_are_a_word_a_number_or_quantiles(text: str, quantiles: tuple[int, ...]) -> None:
    assert testnet_options.latency(text, "--entry-latency") == quantiles


@pytest.mark.parametrize("text", ["", "fast", "5,4", "-1", "1,,2", "1.5", "²", "9999999"])
def test_latencies_that_are_none_are_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        testnet_options.latency(text, "--entry-latency")


def test_fill_models_are_chosen_by_name(run: Run) -> None:
    assert testnet_options.model("base") is FillModel.BASE
    result = run("testnet", "--key", "mx0abcdefgh", "--secret", "0123456789", "--fill-model", "kind", "-o", "json")
    assert result.exit_code == 2
    assert printed(result, error=True)["error"]["code"] == "fill-model-unknown"


def test_the_market_is_a_tape_where_one_is_given_and_made_up_where_not() -> None:
    assert testnet_options.feed(None, Path("x"), Decimal(1)) is Feed.TAPE
    assert testnet_options.feed(None, None, Decimal(2)) is Feed.SYNTHETIC
    assert testnet_options.feed("mexc-live", None, Decimal(1)) is Feed.MEXC_LIVE


@pytest.mark.parametrize(
    ("name", "tape", "speed"),
    [("tape", None, 1), ("synthetic", Path("x"), 1), ("mexc-live", Path("x"), 1), ("mexc-live", None, 2), ("dream", None, 1)],
)
def test_feeds_that_contradict_the_other_options_are_a_usage_error(name: str, tape: Path | None, speed: int) -> None:
    with pytest.raises(UsageError):
        testnet_options.feed(name, tape, Decimal(speed))


async def test_a_stopped_venue_exports_the_fills_it_printed_with_evidence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "fills.jsonl"
    async with serving(fills=path) as address, http_at(address) as http:
        now = (await http.get("/api/v3/time")).json()["serverTime"]
        order = f"symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=100&timestamp={now}"
        headers = {"X-MEXC-APIKEY": ACCOUNT.api_key, "Content-Type": "application/json"}
        reply = await http.post(f"/api/v3/order?{order}&signature={signature(ACCOUNT.secret, order)}", headers=headers)
        assert reply.status_code == 200
    (line,) = path.read_text().splitlines()
    assert capsys.readouterr().out == line + "\n"
    assert json.loads(line)["evidence"]["bookVersion"] > 0


async def test_a_live_feed_mirrors_the_venue_it_is_pointed_at(origin: RunningTestnet) -> None:
    async with serving(("BTCUSDT", origin.base_url, origin.ws_url)) as address, fetching(address) as fetch:
        while not json.loads(await fetch("/api/v3/depth?symbol=BTCUSDT"))["bids"]:  # noqa: ASYNC110 - REST tells when asked
            await asyncio.sleep(0.02)
        provenance = json.loads(await fetch("/testnet/provenance"))
    assert provenance["source"] == "synthetic"


async def test_a_live_feed_of_an_unlisted_symbol_does_not_start(origin: RunningTestnet) -> None:
    with pytest.raises(UsageError):
        async with serving(("NOPEUSDT", origin.base_url, origin.ws_url)):
            pytest.fail("it started")


@pytest.mark.parametrize("base", ["http://127.0.0.1:9", "no address"])
async def test_an_address_nobody_answers_at_is_unreachable(base: str) -> None:
    with pytest.raises(Unreachable):
        async with fetching(base) as fetch:
            await fetch("/api/v3/time")


async def test_an_answer_that_is_an_error_is_unreachable(origin: RunningTestnet) -> None:
    async with fetching(origin.base_url) as fetch:
        with pytest.raises(Unreachable, match="404"):
            await fetch("/nothing/here")
