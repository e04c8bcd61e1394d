"""A testnet that lost everything comes back with other balances and its first ids: a signature leads back to trading there."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

from exchange.testnet.config import NO_RATE_LIMITS, AccountConfig, TestnetConfig
from tests.support.rig import TAPE, Rig, free_port, key_of_testnet, recorded_market, rig, running_testnet

STAGE = "TESTNET_VALIDATING"


async def bought(deployment: Rig, name: str) -> dict[str, Any]:
    """Let the bot buy once at the testnet, and return the order's admission with the trade that was booked for it."""
    await deployment.takes_orders()
    price = f"{await deployment.bid() * Decimal('1.002'):.2f}"
    answer = await deployment.buy(price, "0.00003", name, type_="IMMEDIATE_OR_CANCEL")
    assert answer.status_code == 200, answer.text
    (admitted,) = [one["body"] for one in await deployment.entries("order-admitted") if one["body"]["bot_client_id"] == name]
    booked = await deployment.until(lambda status: status["counters"]["fills"] > 0)
    assert booked["stage"] == STAGE
    return dict(admitted)


async def test_a_testnet_that_began_anew_is_accepted_and_traded_on(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment") as deployment:
        port, settings = free_port(), deployment.directory / "gatehouse.toml"
        settings.write_text(settings.read_text().replace(f":{deployment.testnet.port}", f":{port}"))
        secret = (deployment.directory / "testnet.secret").read_text().strip()

        def holding(usdt: int) -> TestnetConfig:
            account = AccountConfig("testnet", "mx0testnet", secret, {"USDT": Decimal(usdt)})
            key = key_of_testnet(deployment.directory)
            return TestnetConfig(accounts=(account,), port=port, tape=TAPE, rate_limits=NO_RATE_LIMITS, seed=7, key_file=key)

        async with running_testnet(holding(100), market=recorded_market()):
            await deployment.start()
            await deployment.climb(STAGE)
            await bought(deployment, "before")
        async with running_testnet(holding(500), market=recorded_market()):
            await deployment.until(
                lambda status: any(way["verb"] == "rebaseline" and not way["refused"] for way in status["ways_out"]), within=90
            )
            answer = await deployment.command("rebaseline", "alice", subject="testnet")
            assert answer.status_code == 200, answer.text
            (event,) = await deployment.entries("rebaselined")
            assert event["body"]["reading"] == {"USDT": "500"}
            assert (await deployment.command("reset", "alice")).status_code == 200
            await deployment.climb(STAGE)
            admitted = await bought(deployment, "after")
            trades = [one["body"] for one in await deployment.entries("fill-booked")]
            assert trades[-1]["client_id"] == admitted["client_id"]
            first = next(one for one in trades if one["client_id"] != admitted["client_id"])
            assert trades[-1]["order_id"] == first["order_id"]
            # Two more readings agree; a difference would halt by now.
            await asyncio.sleep(7)
            status = await deployment.status()
            assert (status["stage"], status["armed"]) == (STAGE, True)
