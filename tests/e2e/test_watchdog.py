"""The dead man's switch of a whole deployment: a controller that dies, freezes or hangs leaves no open order at the venue.

The venue's own books and clock judge. The lease is short, as a simulated venue allows.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from controller.watchdog.log import is_locked
from tests.support.memory import children_of
from tests.support.receivers import receiving, until
from tests.support.rig import Rig, rig

HUNG = Path(__file__).parents[1] / "support" / "hung_writer.py"
LEASE_S = 4
TABLE = f"""
[watchdog]
enabled = true
lease_s = {LEASE_S}
idle_s = 600
"""
CHAT = """
[[alerts.channels]]
name = "chat"
to = "apprise"
url_file = "chat.url"
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


async def another_watchdog(deployment: Rig, first: int) -> None:
    """Wait until another process than ``first`` is the watchdog."""
    for _ in range(6_000):
        with suppress(AssertionError):
            if watchdog_of(deployment) != first:
                return
        await asyncio.sleep(0.02)
    raise AssertionError("the watchdog is not started again")


def ended(pid: int) -> None:
    """Wait until a process has ended."""
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.05)


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
    await deployment.until(
        lambda status: status["armed"] and not status["guard_level"] and status["watchdog"]["venues"] == ["testnet"]
    )
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
    assert [entry["body"]["fired"] for entry in await deployment.entries("watchdog-log-absorbed")].count(True) == 1


async def test_a_killed_controller_leaves_no_order_and_the_next_start_halts(tmp_path: Path) -> None:
    async with watched(tmp_path / "deployment") as deployment:
        await placed(deployment)
        await deployment.kill()
        assert await seconds_until_empty(deployment) <= WITHIN_S
        await deployment.start()
        await halted_by_the_watchdog(deployment)


async def test_a_killed_controller_is_told_to_the_channels_by_the_watchdog(tmp_path: Path) -> None:
    with receiving() as chat:
        async with watched(tmp_path / "deployment", TABLE + CHAT) as deployment:
            address = deployment.directory / "chat.url"
            address.write_text(f"json://127.0.0.1:{chat.port}/")
            address.chmod(0o600)
            await placed(deployment, 1)
            await deployment.kill()
            await asyncio.to_thread(until, lambda: any(b"dead man's switch" in post.body for post in chat.posts), 60)


async def test_a_frozen_controller_leaves_no_order_and_places_none_afterwards(tmp_path: Path) -> None:
    async with watched(tmp_path / "deployment") as deployment:
        await placed(deployment)
        price = await deployment.resting_price()
        assert deployment.process is not None
        deployment.process.send_signal(signal.SIGSTOP)
        assert await seconds_until_empty(deployment) <= WITHIN_S
        late = [asyncio.create_task(deployment.buy(price, "0.00003", f"late-{number}")) for number in range(5)]
        await asyncio.sleep(0.2)
        deployment.process.send_signal(signal.SIGCONT)
        answers = await asyncio.gather(*late)
        assert [answer.status_code for answer in answers if answer.status_code < 400] == []
        await halted_by_the_watchdog(deployment)
        assert open_orders(deployment) == 0


async def test_a_writer_that_hangs_in_a_living_process_counts_as_silent(tmp_path: Path) -> None:
    async with watched(tmp_path / "deployment") as deployment:
        deployment.script = (str(HUNG),)
        await placed(deployment)
        (deployment.directory / "hang").touch()
        assert await seconds_until_empty(deployment) <= WITHIN_S
        (deployment.directory / "hang").unlink()
        await deployment.kill()
        await deployment.start()
        await deployment.until(lambda status: status["stage"] == "HALTED")


async def test_a_stopped_watchdog_is_started_again_and_cancels_nothing(tmp_path: Path) -> None:
    async with watched(tmp_path / "deployment") as deployment:
        await placed(deployment)
        first = watchdog_of(deployment)
        os.kill(first, signal.SIGTERM)
        await asyncio.to_thread(ended, first)
        # The last answer of the first may be less than a second old.
        await another_watchdog(deployment, first)
        await deployment.until(lambda status: status["watchdog"]["connected"] and status["watchdog"]["answer_age_ms"] < 1_000)
        assert (open_orders(deployment), (await deployment.armed())["stage"]) == (3, "TESTNET_VALIDATING")


async def test_a_watchdog_that_was_frozen_does_not_halt_a_living_controller(tmp_path: Path) -> None:
    async with watched(tmp_path / "deployment") as deployment:
        await placed(deployment)
        frozen = watchdog_of(deployment)
        os.kill(frozen, signal.SIGSTOP)
        await deployment.until(lambda status: not status["watchdog"]["connected"])
        await asyncio.sleep(LEASE_S)
        os.kill(frozen, signal.SIGCONT)
        status = await deployment.until(lambda status: status["watchdog"]["connected"])
        assert (open_orders(deployment), status["stage"], status["watchdog"]["phase"]) == (3, "TESTNET_VALIDATING", "watching")


async def test_open_orders_are_cancelled_when_the_signer_stays_away(tmp_path: Path) -> None:
    async with watched(tmp_path / "deployment", TABLE + "[signer]\n") as deployment:
        await placed(deployment)
        assert deployment.process is not None
        (signer,) = (pid for pid in children_of(deployment.process.pid) if pid != watchdog_of(deployment))
        (deployment.directory / "gatehouse.toml").chmod(0o666)
        os.kill(signer, signal.SIGKILL)
        assert await seconds_until_empty(deployment) <= WITHIN_S
        await halted_by_the_watchdog(deployment)


async def test_an_orderly_stop_ends_the_watchdog_too(tmp_path: Path) -> None:
    async with watched(tmp_path / "deployment") as deployment:
        await deployment.start()
        await deployment.until(lambda status: status["watchdog"]["connected"])
        await deployment.stop()
        for _ in range(1_000):
            if not is_locked(deployment.directory / "var"):
                break
            await asyncio.sleep(0.02)
        assert not is_locked(deployment.directory / "var")


async def test_an_altered_log_halts_as_a_contradiction(tmp_path: Path) -> None:
    async with watched(tmp_path / "deployment") as deployment:
        await placed(deployment, 1)
        await deployment.kill()
        await seconds_until_empty(deployment)
        os.kill(watchdog_of(deployment), signal.SIGKILL)
        log = deployment.directory / "var" / "watchdog.log"
        log.write_text(log.read_text().replace('"kind":"fired"', '"kind":"empty"'))
        await deployment.start()
        status = await deployment.until(lambda status: status["stage"] == "HALTED")
        assert status["halt_class"] == "integrity"
        assert "the watchdog's log" in status["halt_reason"]
