"""A bot that holds coins and has an open order at MOCK: what is said before the advance, and what it sees afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.rig import SYMBOL, Rig, rig


async def asked(deployment: Rig, path: str, **params: str) -> Any:
    answer = await deployment.bot("GET", f"/api/v3/{path}", **params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def held(deployment: Rig) -> dict[str, str]:
    return {one["asset"]: one["free"] for one in (await asked(deployment, "account"))["balances"] if float(one["free"])}


async def test_a_bot_sees_one_account_after_the_stage_advanced(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment") as deployment:
        await deployment.start()
        await deployment.takes_orders()
        await deployment.until(lambda status: status["quote"] is not None)
        price = f"{float(await deployment.bid()) * 1.002:.2f}"
        bought = await deployment.buy(price, "0.00003", "bought", type_="IMMEDIATE_OR_CANCEL")
        assert bought.status_code == 200, bought.text
        await deployment.until(lambda status: status["counters"]["fills"] > 0)
        resting = await deployment.buy(await deployment.resting_price(), "0.00003", "resting")
        assert resting.status_code == 200, resting.text
        assert "BTC" in await held(deployment)
        assert len(await asked(deployment, "myTrades", symbol=SYMBOL)) >= 1
        said = await deployment.until(lambda status: any(edge["leaves"] for edge in status["next_edges"]))
        (edge,) = [one for one in said["next_edges"] if one["target"] == "TESTNET_VALIDATING"]
        assert edge["leaves"] == [
            "the bot holds 0.00003 BTC at MOCK: it does not exist at TESTNET_VALIDATING",
            "1 open order of MOCK will be cancelled and end as CANCELED, because the deployment leaves mock",
        ]
        assert (await deployment.propose("advance"))["leaves"] == edge["leaves"]
        await deployment.climb("TESTNET_VALIDATING")
        await deployment.until(lambda status: status["armed"] and not status["working_orders"])
        order = await asked(deployment, "order", symbol=SYMBOL, origClientOrderId="resting")
        assert (order["status"], order["cancelReason"]) == (
            "CANCELED",
            "gatehouse: the deployment left MOCK for TESTNET_VALIDATING",
        )
        assert await asked(deployment, "openOrders", symbol=SYMBOL) == []
        assert list(await held(deployment)) == ["USDT"]
        assert await asked(deployment, "myTrades", symbol=SYMBOL) == []
        assert len(await asked(deployment, "myTrades", symbol=SYMBOL, orderId=bought.json()["orderId"])) >= 1
