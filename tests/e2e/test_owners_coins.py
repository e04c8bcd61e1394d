"""An account with the owner's 0.3 BTC: real money is refused until they are declared; then the bot never sees or sells them."""

from __future__ import annotations

import asyncio
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from exchange.testnet.config import AccountConfig
from tests.support.rig import SYMBOL, Rig, quick_policy, rig

OWNED = Decimal("0.3")
KEEP = quick_policy()
REFUSE = KEEP.replace('baseline = "keep"', 'baseline = "refuse"')


def with_bitcoin(name: str, config: AccountConfig) -> AccountConfig:
    if name != "live":
        return config
    return AccountConfig(config.name, config.api_key, config.secret, {"USDT": Decimal(100), "BTC": OWNED})


def coins(deployment: Rig) -> Decimal:
    """What the live venue itself says the account holds."""
    return deployment.live.venue.engine.balances("live")["BTC"].total


async def gatehouse(deployment: Rig, *arguments: str) -> tuple[int, str]:
    """Run ``gatehouse`` with these arguments. Returns its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "controller", *arguments, "--dir", str(deployment.directory),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env={**deployment.environment, "COLUMNS": "400"},
    )  # fmt: skip
    out, _ = await process.communicate()
    return await process.wait(), out.decode()


async def shown(deployment: Rig) -> dict[str, Decimal]:
    """The account as the bot sees it."""
    balances = (await deployment.bot("GET", "/api/v3/account")).json()["balances"]
    return {one["asset"]: Decimal(one["free"]) + Decimal(one["locked"]) for one in balances}


async def refused_advance(deployment: Rig) -> dict[str, Any]:
    """The answer to a proposal of LIVE_€10 once its gate passes and its market is seen."""
    async with deployment.bot_looking():
        for _ in range(300):
            answer = await deployment.ask("POST", "/v1/propose", json={"verb": "advance", "reason": "test"})
            if answer.status_code != 200 and answer.json()["error"]["code"] != "target-not-seen":
                return dict(answer.json()["error"])
            await asyncio.sleep(0.1)
    raise AssertionError("the proposal was never refused")


async def test_the_owners_coins_are_declared_kept_and_never_touched(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment", policy=REFUSE, account=with_bitcoin) as deployment:
        await deployment.start()
        await deployment.climb("VALIDATED")
        error = await refused_advance(deployment)
        assert error["code"] == "too-much-to-risk"
        assert "EUR of its own (0.3 BTC, 100 USDT), and 10 EUR is the most" in error["message"]
        assert 'baseline = "keep"' in error["remedy"]
        code, printed = await gatehouse(deployment, "status")
        assert (code, "not now: the account holds" in printed) == (0, True), printed

        (deployment.directory / "policy.toml").write_text(KEEP)
        keys = [part for name in ("alice", "bob") for part in ("--key", str(deployment.directory / f"{name}.key"))]
        code, printed = await gatehouse(
            deployment, "set-policy", str(deployment.directory / "policy.toml"), *keys, "--reason", "the coins are mine"
        )
        assert code == 0, printed
        await deployment.climb("LIVE_€10")
        await deployment.takes_orders()
        status = await deployment.until(lambda status: status["exposure_eur"] is not None)
        assert (Decimal(status["exposure_eur"]), Decimal(status["cap_eur"])) == (0, 10)
        # The cap of 10.9 USDT, less what an order may count beyond its amount.
        seen = await shown(deployment)
        assert (seen["BTC"], Decimal("10.36") < seen["USDT"] < Decimal("10.38")) == (0, True)
        code, printed = await gatehouse(deployment, "status")
        assert "the owner keeps 0.3 BTC, 89.1 USDT" in printed

        price = f"{(await deployment.bid()) * Decimal('1.002'):.2f}"
        assert (await deployment.buy(price, "0.00005", "bought")).status_code == 200
        await deployment.until(lambda status: coins(deployment) == OWNED + Decimal("0.00005") and not status["working_orders"])
        assert (await shown(deployment))["BTC"] == Decimal("0.00005")
        order = {"symbol": SYMBOL, "side": "SELL", "type": "MARKET", "quantity": "0.00006", "newClientOrderId": "too-much"}
        answer = await deployment.bot("POST", "/api/v3/order", **order)
        assert answer.status_code == 400
        assert "0.3 BTC in the account are its owner's" in answer.json()["msg"]

        assert (await deployment.command("flatten", "alice", subject="all")).status_code == 200
        status = await deployment.until(lambda status: status["flatten"] and status["flatten"]["ended_at_ms"] is not None)
        assert (status["flatten"]["complete"], coins(deployment)) == (True, OWNED)
