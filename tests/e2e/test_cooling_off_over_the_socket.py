"""Cooling off with one person: a step to real money waits, is vetoed once, and is applied the second time."""

import asyncio
import json
from pathlib import Path

from tests.support.rig import Rig, quick_policy, rig


def solo_policy() -> str:
    return quick_policy().replace('mode = "team"', 'mode = "solo"').replace("cooling_off_ms = 10_000", "cooling_off_ms = 4_000")


async def _waits(deployment: Rig) -> str:
    while (answer := await deployment.command("advance", "alice")).status_code != 200:
        assert answer.json()["error"]["code"] == "gate-not-passed", answer.text
        await asyncio.sleep(0.2)
    pending = answer.json()["pending"]
    assert (pending["verb"], pending["target"], pending["persons"]) == ("advance", "LIVE_€10", ["alice"])
    assert pending["applies_at_ms"] - pending["since_ms"] == 4_000
    assert answer.json()["position"] == "VALIDATED"
    return str(pending["command_id"])


async def test_a_solo_step_to_real_money_waits_and_survives_a_restart(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment", policy=solo_policy()) as deployment:
        await deployment.start()
        await deployment.climb("VALIDATED")
        async with deployment.bot_looking():
            command_id = await _waits(deployment)
            assert (await deployment.status())["pending"]["command_id"] == command_id
            veto = await deployment.command("veto", "bob")
            assert veto.status_code == 200, veto.text
            assert (await deployment.status())["pending"] is None
            (voided,) = await deployment.entries("command-voided")
            assert (voided["body"]["command_id"], voided["body"]["cause"]) == (command_id, "veto")

            command_id = await _waits(deployment)
            await deployment.kill()
            await deployment.start()
            status = await deployment.until(lambda now: now["position"] == "LIVE_€10")
            assert status["pending"] is None
            accepted = (await deployment.entries("command-accepted"))[-1]["body"]
            assert (accepted["command_id"], accepted["persons"]) == (command_id, ["alice"])


async def test_a_revoked_key_signs_nothing_more_and_too_few_keys_halt(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment") as deployment:
        await deployment.start()
        await deployment.armed()
        roster = next(entry["body"] for entry in await deployment.entries("roster-adopted"))
        bob = json.loads(roster["document"])["persons"][1]["keys"][0]["id"]
        revoked = await deployment.command("revoke", "alice", subject=bob)
        assert revoked.status_code == 200, revoked.text
        assert revoked.json()["position"] == "HALTED"
        refused = await deployment.command("reset", "bob")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "revoked-key")
        await deployment.kill()
        await deployment.start()
        status = await deployment.armed()
        assert (status["position"], status["roster"]["version"]) == ("HALTED", 2)
