"""Copies of a running deployment: made under load, opened elsewhere, put back, and HALTED until somebody signs."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.cli.backup.making import make_identity
from controller.core.decisions.drills import subject_of
from controller.journal.last_backup import last_backup
from policies.drills import DrillKind
from tests.support.rig import ROOT, Rig, rig

SECRETS = ("testnet.secret", "live.secret", "bot.secret", "secrets/control.token", "var/checkpoint.key")


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Rig]:
    """A deployment at VALIDATED with a checkpoint target outside its folder."""
    recipient = make_identity(tmp_path / "identity")
    (tmp_path / "nas").mkdir()
    backup = f'[backup]\nrecipients = ["{recipient}"]\n'
    async with rig(tmp_path / "deployment", witnesses=[tmp_path / "nas"], checkpoints=backup) as built:
        await built.start()
        await built.climb("VALIDATED")
        yield built


async def gatehouse(deployment: Rig, *arguments: object) -> tuple[int, dict[str, Any]]:
    """The exit code of a verb of ``backup``, and the JSON it printed."""
    command = [sys.executable, "-m", "controller", "backup", *map(str, arguments), "-o", "json"]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=deployment.environment, capture_output=True, text=True, check=False
    )
    return done.returncode, json.loads(done.stdout if done.returncode == 0 else done.stderr)


async def copied(deployment: Rig, folder: Path) -> dict[str, Any]:
    """A copy of the deployment, made by the real command."""
    code, made = await gatehouse(deployment, "create", folder, "--dir", deployment.directory)
    assert code == 0, made
    return made


async def put_back(deployment: Rig, copy: Path, to: Path) -> tuple[Rig, dict[str, Any]]:
    """The deployment restored into ``to`` with its secrets, and what the command said."""
    code, said = await gatehouse(deployment, "restore", copy, to, "--identity", deployment.directory.with_name("identity"))
    assert code == 0, said
    for name in SECRETS:
        (to / name).parent.mkdir(mode=0o700, exist_ok=True)
        shutil.copy2(deployment.directory / name, to / name)
    elsewhere = {**deployment.environment, "XDG_STATE_HOME": str(to.with_name(to.name + "-state"))}
    return replace(deployment, directory=to, environment=elsewhere, process=None), said


def latches_of_restored(deployment: Rig) -> list[Path]:
    """Latches outside the folder of what a drill restored."""
    return list(Path(deployment.environment["XDG_STATE_HOME"], "gatehouse", "latches").glob("restored-*"))


async def halted(restored: Rig) -> dict[str, Any]:
    """The status of a restored deployment that is HALTED and reconciled, or trades."""
    return await restored.until(lambda status: status["reconciled"] and (status["stage"] == "HALTED" or status["armed"]))


async def resumed(restored: Rig) -> None:
    """Sign a resume as two persons, until the gate `resume` has seen enough."""
    async with restored.bot_looking():
        while True:
            answer = await restored.command("resume", "alice", "bob", target="VALIDATED", postmortem=f"sha256:{'1' * 64}")
            if answer.status_code == 200:
                return
            assert answer.json()["error"]["code"] == "gate-not-passed", answer.text
            await asyncio.sleep(0.2)


async def test_a_copy_made_under_load_is_whole(deployment: Rig, tmp_path: Path) -> None:
    async with deployment.bot_trading():
        await deployment.takes_orders()
        made = [await copied(deployment, tmp_path / "copies") for _ in range(3)]
        entries = {entry["seq"]: entry["hash"] for entry in await deployment.entries()}
    assert [entries[one["entries"]] for one in made] == [one["head"] for one in made]
    assert made[0]["entries"] < made[1]["entries"] < made[2]["entries"]
    code, found = await gatehouse(
        deployment, "verify", tmp_path / "copies", "--dir", deployment.directory, "--identity", tmp_path / "identity"
    )
    assert (code, found["head"], found["stage"]) == (0, made[2]["head"], "VALIDATED")
    assert last_backup(deployment.directory / "var").verified is not None


async def test_a_restored_deployment_trades_only_after_a_resume(deployment: Rig, tmp_path: Path) -> None:
    await deployment.stop()
    made = await copied(deployment, tmp_path / "copies")
    restored, said = await put_back(deployment, Path(made["file"]), tmp_path / "new")
    assert said["lost"] is None
    await restored.start()
    try:
        status = await halted(restored)
        assert (status["stage"], status["halt_class"]) == ("HALTED", "restored")
        refused = await restored.buy(await restored.resting_price(), "0.00003", "before")
        assert refused.status_code == 400
        await resumed(restored)
        await restored.takes_orders()
        taken = await restored.buy(await restored.resting_price(), "0.00003", "after")
        assert taken.status_code == 200, taken.text
    finally:
        await restored.stop()


async def test_an_older_copy_says_what_is_lost_at_every_start(deployment: Rig, tmp_path: Path) -> None:
    made = await copied(deployment, tmp_path / "copies")
    async with deployment.bot_looking():
        await asyncio.sleep(1)
    await deployment.stop()
    known = int((tmp_path / "nas" / "gatehouse-rig.checkpoint").read_text().split("\n")[1])
    restored, said = await put_back(deployment, Path(made["file"]), tmp_path / "new")
    lost = known - made["entries"]
    assert said["lost"]["entries"] == lost > 0
    for _ in range(2):
        await restored.start()
        try:
            status = await halted(restored)
            assert (status["stage"], status["halt_class"]) == ("HALTED", "integrity")
            assert f"knows {lost} later entries" in status["halt_reason"]
        finally:
            await restored.stop()


async def test_a_restore_drill_measures_beside_a_trading_bot(deployment: Rig, tmp_path: Path) -> None:
    await deployment.stop()
    shutil.copy2(tmp_path / "identity", deployment.directory / "secrets" / "identity")
    with (deployment.directory / "gatehouse.toml").open("a") as settings:
        settings.write(f'directory = "{tmp_path / "copies"}"\nidentity_file = "secrets/identity"\n')
    made = await copied(deployment, tmp_path / "copies")
    await deployment.start()
    async with deployment.bot_trading():
        await deployment.takes_orders()
        answer = await deployment.command("drill", "alice", subject=subject_of(DrillKind.RESTORE))
        assert answer.status_code == 200, answer.text
        status = await deployment.until(lambda status: status["oversight"]["drill"] is None)
    last = status["oversight"]["last_drill"]
    assert (last["drill"], last["ended_by"], last["measured"]["entries"]) == ("restore", "", made["entries"])
    assert last["measured"]["rpo_ms"] >= last["measured"]["rto_ms"] > 0
    assert last["denied"] == 0
    assert last_backup(deployment.directory / "var").verified is not None
    assert not latches_of_restored(deployment)
