"""An advance of a real deployment is refused while the testnet shows no market, wherever a person looks, until it does."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.support.rig import ROOT, Rig, rig


async def gatehouse(one: Rig, *words: str) -> str:
    """What a verb of the command line prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "controller",
        *words,
        "--dir",
        str(one.directory),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
        env={**one.environment, "COLUMNS": "300"},
    )
    return (await process.communicate())[0].decode()


async def test_an_advance_waits_until_the_testnet_is_seen(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment") as one:
        await one.start()
        async with one.bot_looking():
            await one.until(lambda status: status["armed"] and all(fact["ok"] for fact in status["next_edges"][0]["landing"]))
            one.testnet.venue.pause()
            status = await one.until(lambda status: not all(fact["ok"] for fact in status["next_edges"][0]["landing"]))
            assert (status["stage"], status["armed"]) == ("MOCK", True)
            await one.until(lambda status: status["coverage"]["covered_ms"] > 600)
            refused = await one.ask("POST", "/v1/propose", json={"verb": "advance", "reason": "test"})
            assert refused.json()["error"]["code"] == "target-not-seen", refused.text
            assert "what is seen of testnet: BTCUSDT" in refused.json()["error"]["message"]
            assert "not now: BTCUSDT" in await gatehouse(one, "status")
            assert "TESTNET_VALIDATING, market: not now, BTCUSDT" in await gatehouse(one, "gates")
            explained = await gatehouse(one, "explain", "testnet-ready")
            assert "gate testnet-ready has not decided yet" in explained
            assert "TESTNET_VALIDATING, market: not now, BTCUSDT" in explained
            one.testnet.venue.resume()
            await one.climb("TESTNET_VALIDATING")
