"""A halt drill on the testnet: real orders and cancels, measured durations, and trading goes on afterwards."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx

from controller.core.decisions.drills import HALT_DRILL
from exchange.orders import WORKING
from tests.support.rig import SYMBOL, Rig, rig


def resting(deployment: Rig) -> int:
    """How many open orders the testnet itself holds."""
    orders = deployment.testnet.venue.engine.orders("testnet", SYMBOL)
    return sum(1 for view in orders if view.report.status in WORKING)


async def drill(deployment: Rig) -> httpx.Response:
    return await deployment.command("drill", "alice", subject=HALT_DRILL)


async def test_a_drill_cancels_all_is_measured_and_the_bot_trades_again(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment") as deployment:
        await deployment.start()
        await deployment.climb("TESTNET_VALIDATING")
        await deployment.takes_orders()
        for number in range(3):
            assert (await deployment.buy(await deployment.resting_price(), "0.00003", f"rests-{number}")).status_code == 200
        assert resting(deployment) == 3

        assert (await drill(deployment)).status_code == 200
        denied = await deployment.buy(await deployment.resting_price(), "0.00003", "meanwhile")
        assert (denied.status_code, "drill" in denied.json()["msg"]) == (400, True), denied.text
        status = await deployment.until(lambda status: status["oversight"]["last_drill"] and status["armed"])

        last = status["oversight"]["last_drill"]
        assert (last["ended_by"], last["cancelled"], last["denied"], last["verified_empty"]) == ("", 3, 1, True)
        assert 0 <= last["breach_to_latch_us"] < last["latch_to_cancelled_us"]
        assert (status["stage"], status["halt_reason"]) == ("TESTNET_VALIDATING", "")
        assert resting(deployment) == 0
        await deployment.takes_orders()
        assert (await deployment.buy(await deployment.resting_price(), "0.00003", "afterwards")).status_code == 200
        (entry,) = await deployment.entries("drill-finished")
        assert entry["body"]["latch_to_cancelled_us"] == last["latch_to_cancelled_us"]


async def test_a_drill_interrupted_by_a_kill_is_a_halt_at_the_next_start(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment") as deployment:
        await deployment.start()
        await deployment.climb("TESTNET_VALIDATING")
        await deployment.takes_orders()
        assert (await deployment.buy(await deployment.resting_price(), "0.00003", "rests")).status_code == 200
        assert (await drill(deployment)).status_code == 200
        await deployment.kill()
        await deployment.start()
        status = await deployment.until(lambda status: status["stage"] == "HALTED")
        assert "drill" in status["halt_reason"]
        await deployment.until(lambda status: not status["working_orders"])
        assert resting(deployment) == 0
        assert (await deployment.status())["oversight"]["last_drill"]["ended_by"]


async def gatehouse(deployment: Rig, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run ``gatehouse`` with these arguments. Returns its exit code and its JSON output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "controller", *arguments, "--dir", str(deployment.directory), "-o", "json",
        stdout=asyncio.subprocess.PIPE, env=deployment.environment,
    )  # fmt: skip
    out, _ = await process.communicate()
    lines = out.decode()
    return await process.wait(), json.loads(lines) if lines else {}


async def test_the_command_line_issues_a_key_and_runs_a_halt_drill(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment") as deployment:
        await deployment.start()
        await deployment.armed()
        signer = ("--key", str(deployment.directory / "alice.key"), "--reason", "by hand")
        _, made = await gatehouse(deployment, "keys", "bot", "by-hand")
        code, receipt = await gatehouse(deployment, "issue-bot-key", "by-hand", *signer)
        assert (code, receipt["position"]) == (0, "MOCK")
        secret = deployment.directory / "bots" / f"by-hand.{made['key']}.secret"
        deployment.bot_key, deployment.bot_secret = made["key"], secret.read_text().strip()
        assert (await deployment.bot("GET", "/api/v3/account")).status_code == 200

        code, drilled = await gatehouse(deployment, "drill", "halt", *signer)
        assert (code, drilled["ended_by"], drilled["verified_empty"], drilled["venue"]) == (0, "", True, "mock")
        code, entries = await gatehouse(deployment, "explain", "drill")
        assert [entry["kind"] for entry in entries] == ["drill-started", "drill-finished"]
