"""A halt works without the event loop, the writer, the journal or the socket; each on a live deployment with open orders."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from controller.bootstrap import EXIT_STUCK
from tests.support.rig import ROOT, Rig, rig

SABOTAGED = Path(__file__).parents[1] / "support" / "sabotaged.py"


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Rig]:
    """At LIVE_€10 with one order that rests at the live venue."""
    async with rig(tmp_path / "deployment", script=(str(SABOTAGED),)) as built:
        await built.start()
        await built.climb("LIVE_€10")
        resting = await built.buy(await built.resting_price(), "0.00003", "resting")
        assert resting.status_code == 200, resting.text
        assert open_orders(built) == 1
        yield built


def open_orders(deployment: Rig) -> int:
    """By the venue's own books."""
    return len(deployment.live.venue.engine.open_orders("live"))


async def halt(deployment: Rig) -> tuple[int, str]:
    """`gatehouse halt` as an operator types it: its exit code and what it prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "controller", "halt", "--reason", "a test", "--dir", str(deployment.directory)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=deployment.environment,
        cwd=ROOT,
    )
    printed, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, printed.decode()


@pytest.mark.parametrize("fault", ["busy", "hang-commit", "kill-writer"])
async def test_a_stuck_controller_cancels_its_orders_and_ends(deployment: Rig, fault: str) -> None:
    (deployment.directory / fault).touch()
    assert await deployment.exit_code() == EXIT_STUCK
    assert open_orders(deployment) == 0
    (deployment.directory / fault).unlink()
    await deployment.start()
    halted = await deployment.until(lambda status: status["stage"] == "HALTED")
    assert "the controller was stuck" in halted["halt_reason"]


async def test_a_halt_command_works_while_the_event_loop_is_busy(deployment: Rig) -> None:
    (deployment.directory / "busy").touch()
    code, printed = await halt(deployment)
    assert await deployment.exit_code() == EXIT_STUCK, printed
    assert open_orders(deployment) == 0
    assert code in {0, 6}, printed


async def test_a_halt_command_works_without_the_socket(deployment: Rig) -> None:
    deployment.socket.unlink()
    deployment.socket.write_text("somebody put a file here")
    code, printed = await halt(deployment)
    assert (code, "halted through the latch file" in printed) == (0, True), printed
    deployment.socket.unlink()
    halted = await deployment.until(lambda status: status["halt"] is not None)
    assert (halted["stage"], "a test" in halted["halt_reason"], open_orders(deployment)) == ("HALTED", True, 0)


async def test_a_signal_halts(deployment: Rig) -> None:
    assert deployment.process is not None
    os.kill(deployment.process.pid, signal.SIGUSR1)
    halted = await deployment.until(lambda status: status["stage"] == "HALTED")
    assert "SIGUSR1" in halted["halt_reason"]
    await deployment.until(lambda status: status["halt"] is not None)
    assert open_orders(deployment) == 0


async def test_an_orderly_stop_cancels_what_is_open(deployment: Rig) -> None:
    await deployment.stop()
    assert open_orders(deployment) == 0
    await deployment.start()
    assert (await deployment.armed())["stage"] == "LIVE_€10"


@pytest.mark.soak
async def test_a_halt_works_on_a_machine_with_25_times_its_load(deployment: Rig) -> None:
    with busy_processes(25 * (os.cpu_count() or 1)):
        code, printed = await halt(deployment)
        assert code in {0, 6}, printed
        with suppress(AssertionError):
            await deployment.until(lambda status: status["halt"] is not None, within=240)
    assert deployment.process is not None
    if deployment.process.returncode == EXIT_STUCK:
        await deployment.start()
    halted = await deployment.until(lambda status: status["halt"] is not None)
    assert (halted["stage"], halted["halt"]["verified_empty"], open_orders(deployment)) == ("HALTED", True, 0)


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """So many processes that only compute."""
    crowd = [subprocess.Popen((sys.executable, "-c", "while True: pass")) for _ in range(count)]
    try:
        yield
    finally:
        for one in crowd:
            one.kill()
            one.wait()
