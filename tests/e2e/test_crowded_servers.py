"""A deployment under crowds of connections: bots, ``status`` and a halt are answered, and venues keep their descriptors."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from tests.support.crowd import Crowd
from tests.support.rig import Rig, rig

FEW = 256
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({few}, {few}))
from controller.cli.app import app
app(["run", "--dir", sys.argv[1]])
"""
KEPT = 60
MOST_LOG_BYTES = 1_000_000


def console_port(deployment: Rig) -> int:
    return int(urlsplit(deployment.console).port or 0)


def open_descriptors(deployment: Rig) -> int:
    assert deployment.process is not None
    return sum(1 for _ in Path(f"/proc/{deployment.process.pid}/fd").iterdir())


def gateway_port(deployment: Rig) -> int:
    return int(urlsplit(deployment.gateway).port or 0)


async def test_a_halt_is_answered_while_crowds_hold_every_port_and_the_socket(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment", script=("-c", LIMITED.format(few=FEW))) as deployment:
        await deployment.start()
        await deployment.climb("TESTNET_VALIDATING")
        async with (
            Crowd(console_port(deployment), idle=150, drips=150) as crowd,
            Crowd(gateway_port(deployment), idle=100, drips=100) as other,
            Crowd(deployment.socket, idle=30, drips=30),
        ):
            for _ in range(5):
                await crowd.join()
                await other.join()
                assert open_descriptors(deployment) <= FEW - KEPT
                assert (await deployment.bot("GET", "/api/v3/account")).status_code == 200
                assert (await deployment.status())["stage"] == "TESTNET_VALIDATING"
            bought = await deployment.buy(await deployment.resting_price(), "0.0001", "rests")
            assert bought.status_code == 200, bought.text

            halted = await deployment.ask("POST", "/v1/halt", json={"reason": "crowded"})
            assert halted.status_code == 200, halted.text
            status = await deployment.until(lambda status: status["stage"] == "HALTED" and not status["working_orders"])
            assert status["halt_reason"]
        assert (deployment.directory / "controller.log").stat().st_size < MOST_LOG_BYTES


async def test_too_few_descriptors_refuse_the_start_and_say_what_to_raise(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment", script=("-c", LIMITED.format(few=80))) as deployment:
        await deployment.start()
        assert await deployment.exit_code() == 2
        assert "LimitNOFILE" in deployment.tail()
        assert not (deployment.directory / "var" / "journal.db").exists()
