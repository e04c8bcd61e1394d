"""A whole deployment whose exchange secrets are in a signer process: it trades, and it survives what happens to the signer."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.memory import children_of, holds, runs
from tests.support.rig import SYMBOL, Rig, rig

SIGNER = "[signer]\n"


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "deployment", checkpoints=SIGNER) as built:
        await built.start()
        await built.takes_orders()
        yield built


def controller(deployment: Rig) -> int:
    assert deployment.process is not None
    return deployment.process.pid


def signer(deployment: Rig) -> int:
    (pid,) = children_of(controller(deployment))
    return pid


def secrets_of(deployment: Rig) -> list[str]:
    return [(deployment.directory / f"{name}.secret").read_text() for name in ("testnet", "live")]


def holding(deployment: Rig) -> Decimal:
    """What the live venue itself says the account holds of what was bought."""
    balance = deployment.live.venue.engine.balances("live").get("BTC")
    return balance.total if balance is not None else Decimal(0)


async def buy(deployment: Rig, name: str) -> int:
    return (await deployment.buy(await deployment.resting_price(), "0.00003", name)).status_code


async def signs_again(deployment: Rig, name: str) -> None:
    """An order passes; before that the signer may still be starting."""
    for number in range(200):
        if await buy(deployment, f"{name}-{number}") == 200:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(deployment.tail())


async def test_the_controller_holds_no_exchange_secret(deployment: Rig) -> None:
    for secret in secrets_of(deployment):
        assert not holds(controller(deployment), secret)
    assert holds(controller(deployment), deployment.bot_secret), "what it does hold is not found either"


async def test_secrets_from_the_environment_leave_the_controller_too(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment", checkpoints=SIGNER) as built:
        for name in ("testnet", "live"):
            path = built.directory / f"{name}.secret"
            built.environment[f"GATEHOUSE_{name.upper()}_SECRET"] = path.read_text()
            path.unlink()
        await built.start()
        await built.climb("TESTNET_VALIDATING")
        assert await buy(built, "from-the-environment") == 200
        for name in ("testnet", "live"):
            secret = built.environment[f"GATEHOUSE_{name.upper()}_SECRET"]
            assert not holds(controller(built), secret)
            assert holds(signer(built), secret)
        os.kill(signer(built), signal.SIGKILL)
        assert await built.exit_code() == 75


async def test_a_killed_signer_is_started_again_and_knows_the_live_authority(deployment: Rig) -> None:
    await deployment.climb("LIVE_€10")
    assert await buy(deployment, "before") == 200
    killed = signer(deployment)
    os.kill(killed, signal.SIGKILL)
    await signs_again(deployment, "after")
    assert signer(deployment) != killed
    assert len(deployment.live.venue.engine.open_orders("live")) >= 2


async def test_a_hung_signer_sends_no_order_and_holds_nothing_up(deployment: Rig) -> None:
    await deployment.climb("TESTNET_VALIDATING")
    sent = deployment.testnet.venue.engine.open_orders("testnet")
    price, hung = await deployment.resting_price(), signer(deployment)
    os.kill(hung, signal.SIGSTOP)
    answers = [await deployment.buy(price, "0.00003", f"hung-{number}") for number in range(3)]
    assert (await deployment.status())["stage"] == "TESTNET_VALIDATING"
    assert [answer.status_code for answer in answers] == [400, 400, 400], [answer.text for answer in answers]
    assert deployment.testnet.venue.engine.open_orders("testnet") == sent
    await signs_again(deployment, "after")
    assert signer(deployment) != hung


async def test_a_deployment_whose_signer_does_not_come_back_is_not_armed(deployment: Rig) -> None:
    await deployment.climb("TESTNET_VALIDATING")
    (deployment.directory / "gatehouse.toml").chmod(0o666)
    os.kill(signer(deployment), signal.SIGKILL)
    status = await deployment.until(lambda status: not status["armed"])
    assert "nothing is signed" in status["not_armed_because"]
    assert (await deployment.ask("GET", "/readyz")).status_code == 503


async def test_after_a_halt_the_signed_way_out_still_sells(deployment: Rig) -> None:
    await deployment.climb("LIVE_€10")
    price = f"{(await deployment.bid()) * Decimal('1.002'):.2f}"
    assert (await deployment.buy(price, "0.00005", "position")).status_code == 200
    await deployment.until(lambda _: holding(deployment) == Decimal("0.00005"))
    assert (await deployment.ask("POST", "/v1/halt", json={"reason": "a test"})).status_code == 200
    await deployment.until(lambda status: status["stage"] == "HALTED" and status["halt"])
    answer = await deployment.command("flatten", "alice", subject=SYMBOL)
    assert answer.status_code == 200, answer.text
    await deployment.until(lambda _: holding(deployment) == 0)


async def test_the_controller_takes_the_signer_with_it(deployment: Rig) -> None:
    pid = signer(deployment)
    await deployment.kill()
    for _ in range(600):
        if not runs(pid):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the signer still runs")
