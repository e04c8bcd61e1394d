"""Commands that are replayed, expired, altered or signed by too few change nothing; only the refusal is journalled."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.loopback import http_at
from tests.support.rig import Rig, rig

_BACKGROUND = {
    *("sampled", "reconciled", "streams-observed", "run-measured"),
    *("guard-level-changed", "evidence-sealed", "armed", "account-checked"),
}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def validated(directory: Path) -> AsyncIterator[Rig]:
    async with rig(directory) as built:
        await built.start()
        await built.climb("VALIDATED")
        yield built


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """A deployment that no test moves, so that all refusals share it."""
    async with validated(tmp_path_factory.mktemp("shared") / "deployment") as built:
        yield built


@pytest_asyncio.fixture(loop_scope="module")
async def deployment(tmp_path: Path) -> AsyncIterator[Rig]:
    """A deployment of one test only, which moves it."""
    async with validated(tmp_path / "deployment") as built:
        yield built


async def _only_the_refusal(deployment: Rig, before: int) -> dict[str, Any]:
    """The refusal, which must be the only entry since ``before`` apart from periodic ones."""
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


async def test_a_command_signed_by_too_few_is_refused(shared: Rig) -> None:
    proposal = await shared.propose("advance")
    await _refused(shared, shared.sign(proposal["payload"], "alice"), "under-quorum")


async def test_an_altered_payload_is_refused(shared: Rig) -> None:
    proposal = await shared.propose("advance")
    envelope = json.loads(shared.sign(proposal["payload"], "alice", "bob"))
    other = json.loads(shared.sign(proposal["payload"].replace('"reason":"test"', '"reason":"tests"'), "alice", "bob"))
    envelope["payload"] = other["payload"]
    await _refused(shared, json.dumps(envelope), "bad-signature")


async def test_an_expired_command_is_refused(shared: Rig) -> None:
    payload = json.loads((await shared.propose("advance"))["payload"])
    payload["not_before_ms"] -= 7_200_000
    payload["expires_ms"] = payload["not_before_ms"] + 3_600_000
    canonical = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    await _refused(shared, shared.sign(canonical, "alice", "bob"), "expired")


async def test_a_replayed_command_is_refused(deployment: Rig) -> None:
    proposal = await deployment.propose("demote", target="MOCK")
    envelope = deployment.sign(proposal["payload"], "alice")
    assert (await deployment.submit(envelope)).status_code == 200
    await _refused(deployment, envelope, "command-replayed")


async def test_an_envelope_that_is_no_envelope_is_refused(shared: Rig) -> None:
    await _refused(shared, "{}", "malformed-envelope")


async def test_the_local_socket_halts_without_a_signature_and_tcp_does_not(deployment: Rig) -> None:
    async with http_at(deployment.console) as outside:
        assert (await outside.post("/v1/halt", json={"reason": "no"})).status_code == 404
    assert (await deployment.ask("POST", "/v1/halt", json={"reason": "enough"})).status_code == 200
    halted = await deployment.until(lambda status: status["halt"] is not None)
    assert halted["stage"] == "HALTED"
    assert halted["halt"]["verified_empty"]


async def test_a_halt_survives_a_restart_and_only_a_signed_reset_ends_it(deployment: Rig) -> None:
    await deployment.ask("POST", "/v1/halt", json={"reason": "enough"})
    await deployment.kill()
    await deployment.start()
    assert (await deployment.until(lambda status: status["epoch"] == 2))["stage"] == "HALTED"
    denied = await deployment.buy("60000", "0.00003", "while-halted")
    assert denied.status_code == 400
    assert (await deployment.command("reset", "alice")).status_code == 200
    assert (await deployment.status())["stage"] == "MOCK"
