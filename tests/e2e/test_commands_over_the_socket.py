"""Commands as they arrive: replayed, expired, altered or under-signed ones change nothing but the record of the refusal."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.loopback import http_at
from tests.support.rig import Rig, rig

_BACKGROUND = {"sampled", "reconciled", "guard-level-changed", "evidence-sealed", "armed", "account-checked"}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def validated(directory: Path) -> AsyncIterator[Rig]:
    async with rig(directory) as built:
        await built.start()
        await built.climb("VALIDATED")
        yield built


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """One that nothing here moves, so that every refusal can be tried on it."""
    async with validated(tmp_path_factory.mktemp("standing") / "deployment") as built:
        yield built


@pytest_asyncio.fixture(loop_scope="module")
async def deployment(tmp_path: Path) -> AsyncIterator[Rig]:
    """One of a test's own, which moves it."""
    async with validated(tmp_path / "deployment") as built:
        yield built


async def _only_the_refusal(deployment: Rig, before: int) -> dict[str, Any]:
    """What the journal gained since ``before``, less the measuring that never stops."""
    gained = [entry for entry in await deployment.entries() if entry["seq"] > before and entry["kind"] not in _BACKGROUND]
    assert [entry["kind"] for entry in gained] == ["command-refused"]
    return dict(gained[0]["body"])


async def _refused(deployment: Rig, envelope: str, code: str, *, exit_code: int = 4) -> None:
    before = await deployment.status()
    answer = await deployment.submit(envelope)
    assert answer.status_code == 403, answer.text
    assert (answer.json()["error"]["code"], answer.json()["error"]["exit_code"]) == (code, exit_code)
    assert (await _only_the_refusal(deployment, before["seq"]))["code"] == code
    assert (await deployment.status())["position"] == before["position"]


async def test_a_command_signed_by_too_few_is_refused(standing: Rig) -> None:
    proposal = await standing.propose("advance")
    await _refused(standing, standing.sign(proposal["payload"], "alice"), "under-quorum")


async def test_an_altered_payload_is_refused(standing: Rig) -> None:
    proposal = await standing.propose("advance")
    envelope = json.loads(standing.sign(proposal["payload"], "alice", "bob"))
    other = json.loads(standing.sign(proposal["payload"].replace('"reason":"test"', '"reason":"tests"'), "alice", "bob"))
    envelope["payload"] = other["payload"]
    await _refused(standing, json.dumps(envelope), "bad-signature")


async def test_an_expired_command_is_refused(standing: Rig) -> None:
    payload = json.loads((await standing.propose("advance"))["payload"])
    payload["not_before_ms"] -= 7_200_000
    payload["expires_ms"] = payload["not_before_ms"] + 3_600_000
    canonical = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    await _refused(standing, standing.sign(canonical, "alice", "bob"), "expired")


async def test_a_replayed_command_is_refused(deployment: Rig) -> None:
    proposal = await deployment.propose("demote", target="MOCK")
    envelope = deployment.sign(proposal["payload"], "alice")
    assert (await deployment.submit(envelope)).status_code == 200
    await _refused(deployment, envelope, "command-replayed")


async def test_garbage_is_refused(standing: Rig) -> None:
    await _refused(standing, "{}", "malformed-envelope")


async def test_the_local_socket_halts_without_a_signature_and_tcp_does_not(deployment: Rig) -> None:
    console = json.loads((deployment.directory / "console.json").read_text())
    async with http_at(console["url"]) as outside:
        assert (await outside.post("/v1/halt", json={"reason": "no"})).status_code == 404
    assert (await deployment.ask("POST", "/v1/halt", json={"reason": "enough"})).status_code == 200
    halted = await deployment.until(lambda status: status["halt"] is not None)
    assert halted["stage"] == "HALTED"
    assert halted["halt"]["verified_empty"]


async def test_halted_survives_a_restart_and_only_a_signed_reset_leaves_it(deployment: Rig) -> None:
    await deployment.ask("POST", "/v1/halt", json={"reason": "enough"})
    await deployment.kill()
    await deployment.start()
    assert (await deployment.until(lambda status: status["epoch"] == 2))["stage"] == "HALTED"
    denied = await deployment.buy("60000", "0.00003", "while-halted")
    assert denied.status_code == 400
    assert (await deployment.command("reset", "alice")).status_code == 200
    assert (await deployment.status())["stage"] == "MOCK"
