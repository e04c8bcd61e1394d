"""The dead man's switch of a whole deployment: a controller that dies, freezes or hangs leaves no open order at the venue.

The venue's own books and clock judge. The lease is short, as a simulated venue allows.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.support.rig import Rig, rig

LEASE_S = 4
TABLE = f"""
[watchdog]
enabled = true
lease_s = {LEASE_S}
idle_s = 600
"""
WITHIN_S = LEASE_S + 5


def watchdog_of(deployment: Rig) -> int:
    """The process id of the watchdog, from the lock that it holds."""
    inode = (deployment.directory / "var" / "watchdog.lock").stat().st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if "->" not in fields and fields[5].rsplit(":", 1)[1] == str(inode):
            return int(fields[4])
    raise AssertionError("no watchdog holds the lock")


@asynccontextmanager
async def watched(directory: Path, table: str = TABLE) -> AsyncIterator[Rig]:
    """A deployment with a watchdog on the testnet; nothing of it is left running."""
    async with rig(directory, checkpoints=table) as built:
        try:
            yield built
        finally:
            await built.kill()
            with suppress(AssertionError, ProcessLookupError):
                os.kill(watchdog_of(built), signal.SIGKILL)


async def placed(deployment: Rig, count: int = 3) -> None:
    """Start, climb to the testnet and leave some orders resting there."""
    await deployment.start()
    await deployment.climb("TESTNET_VALIDATING")
    await deployment.until(lambda status: status["armed"] and status["watchdog"]["venues"] == ["testnet"])
    price = await deployment.resting_price()
    for number in range(count):
        answer = await deployment.buy(price, "0.00003", f"resting-{number}")
        assert answer.status_code == 200, answer.text
    assert open_orders(deployment) == count


def open_orders(deployment: Rig) -> int:
    """How many orders the venue has in its own books."""
    return len(deployment.testnet.venue.engine.open_orders("testnet"))


async def seconds_until_empty(deployment: Rig) -> float:
    """How long it takes from now until the venue's books are empty, by the clock of the venue's process."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(3_000):
        if open_orders(deployment) == 0:
            return loop.time() - began
        await asyncio.sleep(0.02)
    raise AssertionError(f"orders stay open\n{(deployment.directory / 'var' / 'watchdog.out').read_text()[-3000:]}")


async def halted_by_the_watchdog(deployment: Rig) -> None:
    status = await deployment.until(lambda status: status["stage"] == "HALTED")
    assert "dead man's switch fired" in status["halt_reason"]
    absorbed = await deployment.entries("watchdog-log-absorbed")
    assert any(entry["summary"] for entry in absorbed)


async def test_a_killed_controller_leaves_no_order_and_the_next_start_halts(tmp_path: Path) -> None:
    async with watched(tmp_path / "deployment") as deployment:
        await placed(deployment)
        await deployment.kill()
        assert await seconds_until_empty(deployment) <= WITHIN_S
        await deployment.start()
        await halted_by_the_watchdog(deployment)
