"""Somebody with write access to the folder and no key edits the policy or the release: a start shows it and does not obey it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.rig import ROOT, Rig, rig


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "deployment") as built:
        await built.start()
        await built.climb("VALIDATED")
        await built.stop()
        yield built


def edit(deployment: Rig, name: str, before: str, after: str) -> None:
    path = deployment.directory / name
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


async def gatehouse(deployment: Rig, *arguments: str) -> tuple[int, str]:
    """Run a verb. Returns its exit code and what it printed, on one line."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "controller", *arguments, "--dir", str(deployment.directory)),
        stdout=asyncio.subprocess.PIPE, env={**deployment.environment, "COLUMNS": "400"}, cwd=ROOT,
    )  # fmt: skip
    out, _ = await process.communicate()
    return process.returncode or 0, " ".join(out.decode().split())


async def test_one_person_does_not_reach_real_money_by_an_edit(deployment: Rig) -> None:
    edit(deployment, "policy.toml", 'mode = "team"', 'mode = "solo"')
    await deployment.start()
    status = await deployment.armed()
    assert (status["stage"], status["mode"]) == ("VALIDATED", "team")
    (proposal,) = status["proposals"]
    assert (proposal["document"], proposal["changes"]) == ("policy", ["mode: team → solo"])
    assert any(alert["kind"] == "proposal" for alert in status["oversight"]["alerts"])
    async with deployment.bot_looking():
        for _ in range(200):
            answer = await deployment.command("advance", "alice")
            assert answer.status_code != 200
            if answer.json()["error"]["code"] != "gate-not-passed":
                break
            await asyncio.sleep(0.2)
    assert answer.json()["error"]["code"] == "under-quorum"


async def test_a_proposal_is_shown_by_status_doctor_and_explain(deployment: Rig) -> None:
    edit(deployment, "policy.toml", 'mode = "team"', 'mode = "solo"')
    await deployment.start()
    await deployment.armed()
    _, status = await gatehouse(deployment, "status")
    assert "the policy in the file is not in force; sign `gatehouse set-policy FILE` or restore it" in status
    code, doctor = await gatehouse(deployment, "doctor", "-o", "json")
    rows = {row["check"]: row for row in json.loads(doctor)}
    assert rows["proposals"]["verdict"] == "WARN"
    assert "the policy in the file is not in force: mode: team → solo" in rows["proposals"]["found"]
    code, explained = await gatehouse(deployment, "explain", "proposal")
    assert code == 0
    assert "document-proposed" in explained
    assert "mode: team → solo" in explained


async def test_a_limit_and_a_bot_come_into_force_by_signature_only(deployment: Rig) -> None:
    edit(deployment, "policy.toml", "price_collar_bps = 100", "price_collar_bps = 150")
    edit(deployment, "gatehouse.toml", 'version = "1"', 'version = "2"')
    await deployment.start()
    status = await deployment.armed()
    assert (status["stage"], status["release"]["version"]) == ("MOCK", "1")
    assert [one["document"] for one in status["proposals"]] == ["policy", "release"]
    refused = await deployment.ask("POST", "/v1/propose", json={"verb": "advance", "reason": "test"})
    assert refused.json()["error"]["code"] == "release-proposed"
    keys = ("--key", str(deployment.directory / "alice.key"), "--key", str(deployment.directory / "bob.key"), "--reason", "test")
    code, printed = await gatehouse(deployment, "set-policy", str(deployment.directory / "policy.toml"), *keys)
    assert code == 0, printed
    release = ("--name", "rig-bot", "--version", "2", "--artifact", f"sha256:{'0' * 64}")
    code, printed = await gatehouse(deployment, "set-release", *release, *keys)
    assert code == 0, printed
    status = await deployment.status()
    assert (status["proposals"], status["release"]["version"]) == ([], "2")
    await deployment.stop()
    await deployment.start()
    assert (await deployment.armed())["proposals"] == []
    code, printed = await gatehouse(deployment, "journal", "verify", "--allow-unwitnessed")
    assert code == 0, printed


async def test_a_stricter_file_is_adopted_at_once_and_alerts(deployment: Rig) -> None:
    edit(deployment, "policy.toml", "price_collar_bps = 100", "price_collar_bps = 90")
    await deployment.start()
    status = await deployment.armed()
    assert (status["stage"], status["proposals"]) == ("MOCK", [])
    (alert,) = [one for one in status["oversight"]["alerts"] if one["kind"] == "proposal"]
    assert alert["detail"] == "limits.price_collar_bps: 100 → 90"
