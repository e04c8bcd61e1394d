"""A deployment without real money starts while its live venue does not answer, says so, and goes no step towards it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from exchange.testnet.config import NO_RATE_LIMITS, AccountConfig, TestnetConfig
from tests.support.rig import TAPE, Rig, free_port, recorded_market, rig, running_testnet


@asynccontextmanager
async def deployed(directory: Path) -> AsyncIterator[tuple[Rig, TestnetConfig]]:
    async with rig(directory) as deployment:
        port, settings = free_port(), deployment.directory / "gatehouse.toml"
        settings.write_text(settings.read_text().replace(f":{deployment.live.port}", f":{port}"))
        secret = (deployment.directory / "live.secret").read_text().strip()
        account = AccountConfig("live", "mx0live", secret, {"USDT": Decimal(100)})
        yield deployment, TestnetConfig(accounts=(account,), port=port, tape=TAPE, rate_limits=NO_RATE_LIMITS, seed=7)


def unreached(status: dict[str, Any]) -> list[str]:
    return [one["venue"] for one in status["unreached"]]


async def test_a_mock_without_a_market_starts_and_trades_once_there_is_one(tmp_path: Path) -> None:
    async with deployed(tmp_path / "deployment") as (deployment, live):
        await deployment.start()
        status = await deployment.until(unreached)
        assert status["stage"] == "MOCK"
        (one,) = status["unreached"]
        assert one["venue"] == "live"
        assert "mock trades on its market: no order has a price and no time is covered until it answers" in one["line"]
        assert one["orders_wait"]
        answer = await deployment.bot(
            "POST", "/api/v3/order", symbol="BTCUSDT", side="BUY", type="LIMIT", quantity="0.00003", price="60000"
        )
        assert answer.status_code == 400, answer.text
        async with running_testnet(live, market=recorded_market()):
            await deployment.takes_orders()
            await deployment.until(lambda found: found["quote"] is not None and not found["unreached"])
            bought = await deployment.buy(await deployment.resting_price(), "0.00003", "first")
            assert bought.status_code == 200, bought.text
            async with deployment.bot_looking():
                await deployment.until(lambda found: found["coverage"] is not None and found["coverage"]["covered_ms"] > 0)


async def test_the_testnet_stage_starts_without_the_live_venue(tmp_path: Path) -> None:
    async with deployed(tmp_path / "deployment") as (deployment, live):
        async with running_testnet(live, market=recorded_market()):
            await deployment.start()
            await deployment.climb("VALIDATED")
            await deployment.stop()
        await deployment.start()
        await deployment.takes_orders()
        status = await deployment.until(unreached)
        assert (status["stage"], status["armed"]) == ("VALIDATED", True)
        (one,) = status["unreached"]
        assert one["line"].endswith("VALIDATED does not need it. Every step to real money stays closed until it answers")
        assert not one["orders_wait"]
        bought = await deployment.buy(await deployment.resting_price(), "0.00003", "on-the-testnet")
        assert bought.status_code == 200, bought.text
        (edge,) = [edge for edge in status["next_edges"] if edge["target"] == "LIVE_€10"]
        assert not all(fact["ok"] for fact in edge["landing"])
