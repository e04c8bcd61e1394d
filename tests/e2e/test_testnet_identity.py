"""Who binds the testnet's port proves nothing: a real controller against others that answer there (ADR 47)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exchange.statement import fingerprint, public_line
from exchange.testnet.http import statement
from tests.support.impostor import Port, relayed, repeated
from tests.support.loopback import http_at
from tests.support.rig import Rig, key_of_testnet, rig

STAGE = "TESTNET_VALIDATING"


def attested(status: dict[str, Any]) -> bool:
    """Whether the deployment is attested, and the last answer says so too."""
    return bool(status["testnet"]["attested"]) and not status["testnet"]["why"]


def paused(status: dict[str, Any]) -> bool:
    return status["guard_level"] == "CANCEL_ALL" and "testnet-identity" in status["coverage"]["paused_because"]


@asynccontextmanager
async def at_a_port(tmp_path: Path) -> AsyncIterator[tuple[Rig, Port]]:
    async with rig(tmp_path / "deployment") as deployment:
        yield deployment, Port(deployment, tmp_path / "venue")


async def buys(deployment: Rig, name: str) -> None:
    """Let the bot buy a little, at once."""
    await deployment.takes_orders()
    price = f"{await deployment.bid() * Decimal('1.002'):.2f}"
    answer = await deployment.buy(price, "0.00003", name, type_="IMMEDIATE_OR_CANCEL")
    assert answer.status_code == 200, answer.text


async def test_the_true_testnet_stays_attested_over_trades_and_restarts(tmp_path: Path) -> None:
    async with at_a_port(tmp_path) as (deployment, port):
        async with port.true():
            await deployment.start()
            await deployment.climb(STAGE)
            await buys(deployment, "first")
            before = await deployment.until(lambda status: attested(status) and status["counters"]["fills"] == 1)
            await deployment.until(lambda status: attested(status) and status["testnet"]["age_ms"] < before["testnet"]["age_ms"])
        async with port.true() as again:
            await deployment.until(lambda status: attested(status) and status["testnet"]["run"] == 2, within=60)
            async with deployment.bot_looking():
                await buys(deployment, "second")
            status = await deployment.until(lambda status: attested(status) and status["counters"]["fills"] == 2)
            assert again.venue.instance.id == before["testnet"]["instance"] == status["testnet"]["instance"]
            assert (status["stage"], status["halt_reason"]) == (STAGE, "")


async def test_another_testnet_at_the_port_pauses_and_is_named(tmp_path: Path) -> None:
    async with at_a_port(tmp_path) as (deployment, port):
        async with port.true():
            await deployment.start()
            await deployment.climb(STAGE)
            await deployment.until(attested)
        async with port.false() as other:
            status = await deployment.until(paused, within=60)
            named = fingerprint(public_line(other.venue.identity.public_key()))
            assert not status["testnet"]["attested"]
            assert named in status["testnet"]["line"]
            assert (status["stage"], status["halt_reason"]) == (STAGE, "")
            (alert,) = [one for one in status["oversight"]["alerts"] if one["kind"] == "attestation"]
            assert named in alert["detail"]
        async with port.true():
            await deployment.until(lambda status: attested(status) and not status["guard_level"], within=60)


async def test_a_relay_that_answers_orders_itself_is_contradicted(tmp_path: Path) -> None:
    async with at_a_port(tmp_path) as (deployment, port), port.true(port=port.number + 1) as true, port.false(relayed(true)):
        await deployment.start()
        await deployment.climb(STAGE)
        await deployment.until(attested)
        await buys(deployment, "invented")
        status = await deployment.until(lambda status: status["stage"] == "HALTED")
        assert "the testnet's statements contradict our books: it signs 0 orders and 0 trades" in status["halt_reason"]


@pytest.mark.parametrize(("how", "why"), [("replayed", "answers an earlier question"), ("foreign", "was signed for controller")])
async def test_a_true_statement_for_another_question_pauses(tmp_path: Path, how: str, why: str) -> None:
    async with at_a_port(tmp_path) as (deployment, port), port.true(port=port.number + 1) as true:
        question = {"nonce": "1", "controller": "rig", "account": "mx0testnet", "prefix": "gh-", "after": "0"}
        asked: list[dict[str, str]] = []

        async def listen(request: Any) -> Any:
            asked.append(dict(request.query_params))
            return await relayed(true)(request)

        async with port.false(listen):
            await deployment.start()
            await deployment.climb(STAGE)
            question = asked[-1]
        async with http_at(true.base_url, timeout=5) as client:
            old = await client.get(statement.PATH, params=question)
        async with port.false(repeated(old) if how == "replayed" else relayed(true, controller="another")):
            status = await deployment.until(paused, within=60)
            assert why in status["testnet"]["why"]
            assert status["halt_reason"] == ""


async def test_a_key_that_was_replaced_in_the_folder_is_not_believed(tmp_path: Path) -> None:
    async with at_a_port(tmp_path) as (deployment, port):
        async with port.true():
            await deployment.start()
            await deployment.climb(STAGE)
            await deployment.until(attested)
            await deployment.stop()
        key_of_testnet(deployment.directory).unlink()
        async with port.true() as replaced:
            policy = deployment.directory / "policy.toml"
            head, _, _ = policy.read_text().partition("[testnet]")
            line = public_line(replaced.venue.identity.public_key())
            policy.write_text(f'{head}[testnet]\nkey = "{line}"\n')
            await deployment.start()
            status = await deployment.until(lambda status: status["guard_level"] == "CANCEL_ALL", within=60)
            assert [one["document"] for one in status["proposals"]] == ["policy"]
            assert any("testnet" in change for change in status["proposals"][0]["changes"])
            assert not status["testnet"]["attested"]
            answer = await deployment.command("set-policy", "alice", "bob", subject=await the_policy(deployment))
            assert answer.status_code == 200, answer.text
            status = await deployment.until(lambda status: attested(status) and status["stage"] == "MOCK", within=60)
            assert status["testnet"]["key"] == fingerprint(line)


async def the_policy(deployment: Rig) -> str:
    """The policy file in its canonical form, the subject of a command."""
    from policies.document import canonical_bytes, load_policy

    return canonical_bytes(load_policy((deployment.directory / "policy.toml").read_bytes())).decode()
