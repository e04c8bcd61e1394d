"""The way out of a position: halt, one signature, and the venue's account is back at what it held before."""

from __future__ import annotations

import asyncio
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from exchange.model import OrderStatus
from exchange.orders import WORKING
from exchange.testnet.config import AccountConfig
from exchange.testnet.server import RunningTestnet
from tests.support.rig import SYMBOL, Rig, quick_policy, rig

BASELINE = Decimal("0.00002")
SMALL_SLICES = quick_policy().replace("slice_eur_max = 6", "slice_eur_max = 2").replace("every_ms = 500", "every_ms = 1_500")


def with_bitcoin(_: str, config: AccountConfig) -> AccountConfig:
    return AccountConfig(config.name, config.api_key, config.secret, {"USDT": Decimal(100), "BTC": BASELINE})


def held(venue: RunningTestnet, name: str) -> Decimal:
    """What the venue itself says the account holds."""
    return venue.venue.engine.balances(name)["BTC"].total


def sales(venue: RunningTestnet, name: str) -> list[tuple[str, OrderStatus]]:
    """The sales that reached the venue, by its own books."""
    return [
        (view.report.client_id, view.report.status)
        for view in venue.venue.engine.orders(name, SYMBOL)
        if view.report.side.value == "SELL"
    ]


async def gatehouse(deployment: Rig, *arguments: str) -> tuple[int, str]:
    """Run ``gatehouse`` with these arguments. Returns its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "controller", *arguments, "--dir", str(deployment.directory),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env={**deployment.environment, "COLUMNS": "400"},
    )  # fmt: skip
    out, _ = await process.communicate()
    return await process.wait(), out.decode()


async def buy_some(deployment: Rig, venue: RunningTestnet, name: str, *, times: int) -> Decimal:
    """Let the bot buy at the market; returns what the account holds then."""
    for number in range(times):
        price = f"{(await deployment.bid()) * Decimal('1.002'):.2f}"
        answer = await deployment.buy(price, "0.00005", f"bought-{number}")
        assert answer.status_code == 200, answer.text
    wanted = BASELINE + times * Decimal("0.00005")
    await deployment.until(lambda status: held(venue, name) == wanted and not status["working_orders"])
    return wanted


def ways_of(status: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"{way['verb']} {way['target']}": way for way in status["ways_out"]}


async def test_halted_one_signature_sells_what_was_bought_and_nothing_else(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment", account=with_bitcoin) as deployment:
        await deployment.start()
        await deployment.climb("LIVE_€10")
        await buy_some(deployment, deployment.live, "live", times=2)
        assert (await deployment.ask("POST", "/v1/halt", json={"reason": "3 a.m."})).status_code == 200
        await deployment.until(lambda status: status["stage"] == "HALTED" and status["halt"])

        denied = await deployment.bot(
            "POST", "/api/v3/order", symbol=SYMBOL, side="SELL", type="MARKET", quantity="0.00005", newClientOrderId="way-out"
        )
        assert denied.status_code == 400, "halted, a bot cannot sell"
        ways = ways_of(await deployment.status())
        assert list(ways) == ["resume LIVE_€10", "resume VALIDATED", "reset MOCK", "flatten HALTED"]
        assert (ways["reset MOCK"]["refused"], ways["flatten HALTED"]["refused"]) == ("", "")

        key = ("--key", str(deployment.directory / "alice.key"), "--reason", "nobody is awake")
        code, printed = await gatehouse(deployment, "flatten", SYMBOL, *key)
        assert (code, "complete at" in printed) == (0, True), printed
        assert held(deployment.live, "live") == BASELINE
        assert not any(status in WORKING for _, status in sales(deployment.live, "live"))

        status = await deployment.status()
        assert (status["stage"], status["flatten"]["complete"], status["flatten"]["left"]) == ("HALTED", True, {})
        assert "holds nothing that it bought" in ways_of(status)["flatten HALTED"]["refused"]
        assert any(alert["kind"] == "flatten" for alert in status["oversight"]["alerts"])
        for verb in (("status",), ("explain", "halt")):
            code, printed = await gatehouse(deployment, *verb)
            assert (code, "reset to MOCK (1 signature) is open since" in printed) == (0, True), printed
        code, printed = await gatehouse(deployment, "explain", "halt", "-o", "json")
        assert "ways_out" in json.loads(printed)[-1]


async def test_after_a_kill_the_next_start_finishes_and_sells_nothing_twice(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment", policy=SMALL_SLICES, account=with_bitcoin) as deployment:
        await deployment.start()
        await deployment.climb("TESTNET_VALIDATING")
        wanted = await buy_some(deployment, deployment.testnet, "testnet", times=3)
        assert (await deployment.ask("POST", "/v1/halt", json={"reason": "3 a.m."})).status_code == 200
        await deployment.until(lambda status: status["stage"] == "HALTED" and status["halt"])
        assert (await deployment.command("flatten", "alice", subject="all")).status_code == 200
        await deployment.until(lambda _: sales(deployment.testnet, "testnet"))
        await deployment.kill()
        assert BASELINE < held(deployment.testnet, "testnet") < wanted

        await deployment.start()
        status = await deployment.until(lambda status: status["flatten"] and status["flatten"]["ended_at_ms"] is not None)
        assert (status["flatten"]["complete"], status["stage"]) == (True, "HALTED"), status["flatten"]
        assert held(deployment.testnet, "testnet") == BASELINE
        ids = [client_id for client_id, _ in sales(deployment.testnet, "testnet")]
        assert len(ids) == len(set(ids)) > 1
