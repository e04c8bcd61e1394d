"""Disks that fail under a running deployment: open orders are cancelled, none is placed again, and the halt survives."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from controller.journal.verify import verify_journal
from tests.support.counting import Counted
from tests.support.proofs import proven
from tests.support.rig import SYMBOL, Rig, rig

STAGE = "TESTNET_VALIDATING"


@contextmanager
def small_disk(path: Path, megabytes: int) -> Iterator[None]:
    """A small disk mounted at ``path``."""
    path.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", path], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("this machine does not let a test mount a disk of its own")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def remount(path: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", path], check=True)


def fill(directory: Path) -> Path:
    """Fill the disk with the file of another program."""
    path, handle = directory / "of-another-program", -1
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT)
        for size in (1 << 20, 1 << 12):
            with suppress(OSError):
                while True:
                    os.write(handle, b"x" * size)
    finally:
        os.close(handle)
    return path


@asynccontextmanager
async def resting(tmp_path: Path) -> AsyncIterator[Rig]:
    """A deployment on the testnet with one open order."""
    async with rig(tmp_path / "deployment") as built:
        await built.start()
        await built.climb(STAGE)
        placed = await built.buy(await built.resting_price(), "0.00003", "resting")
        assert placed.status_code == 200
        assert len(open_orders(built)) == 1
        yield built


def open_orders(deployment: Rig) -> list[object]:
    return list(deployment.testnet.venue.engine.open_orders("testnet"))


def placed_orders(deployment: Rig) -> list[object]:
    return list(deployment.testnet.venue.engine.orders("testnet", SYMBOL))


async def require_halted_at_the_next_start(deployment: Rig) -> None:
    await deployment.start()
    halted = await deployment.until(lambda status: status["stage"] == "HALTED")
    assert "the last process here halted without a journal" in halted["halt_reason"]
    assert (halted["halted_from"], halted["halt_class"]) == (STAGE, "journal")


async def refused(deployment: Rig) -> None:
    """A bot sends one more order; it must fail in one way or another."""
    with suppress(httpx.TransportError):
        assert (await deployment.buy(await deployment.resting_price(), "0.00003", "too-late")).status_code >= 400


async def test_a_full_disk_halts_and_the_freed_reserve_holds_the_halt(tmp_path: Path, counted: Counted) -> None:
    data = tmp_path / "deployment" / "var"
    with small_disk(data, 120):
        async with resting(tmp_path) as deployment:
            for _ in range(100):
                if (data / "reserve").exists() and (data / "reserve").stat().st_blocks:
                    break
                await asyncio.sleep(0.1)
            assert (data / "reserve").stat().st_size == 64 * 1024 * 1024
            fill(data)
            halted = await deployment.until(lambda status: status["stage"] == "HALTED")
            assert halted["halt_reason"] == ("controller: the journal's disk is full; its reserve was freed to journal this halt")
            assert (halted["halted_from"], halted["halt_class"]) == (STAGE, "journal")
            await deployment.until(lambda _: not open_orders(deployment))
            await refused(deployment)
            assert len(placed_orders(deployment)) == 1
            assert not (data / "reserve").exists()
            await deployment.stop()
            assert verify_journal(data / "journal.db", "rig", monotonic_ns=time.monotonic_ns).ok
    counted("faults", kind="a full disk")


async def test_a_full_disk_without_a_reserve_cancels_and_halts_the_next_start(tmp_path: Path, counted: Counted) -> None:
    data = tmp_path / "deployment" / "var"
    with small_disk(data, 40):
        async with resting(tmp_path) as deployment:
            assert not (data / "reserve").exists()
            other = fill(data)
            await refused(deployment)
            assert await deployment.exit_code() == 1
            assert (open_orders(deployment), len(placed_orders(deployment))) == ([], 1)
            assert "database or disk is full" in " ".join(deployment.tail().split())
            other.unlink()
            await require_halted_at_the_next_start(deployment)
    counted("faults", kind="a full disk without a reserve")


FAULTS = {
    "a sync fails once": "fdatasync:error=EIO:when=1",
    "every sync fails": "fdatasync:error=EIO",
    "every write is refused": "pwrite64:error=EROFS",
}


@pytest.mark.parametrize("fault", proven({fault: fault for fault in FAULTS}, short=["every sync fails"]))
async def test_a_disk_that_fails_stops_the_controller_after_its_cancels(tmp_path: Path, fault: str, counted: Counted) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed, so no system call of a running controller can be made to fail")
    async with resting(tmp_path) as deployment:
        assert deployment.process is not None
        rule = ["-e", f"trace={FAULTS[fault].split(':', maxsplit=1)[0]}", "-e", f"inject={FAULTS[fault]}"]
        tracer = await asyncio.create_subprocess_exec(
            strace, "-f", "-qq", "-o", "/dev/null", *rule, "-p", str(deployment.process.pid), stderr=subprocess.DEVNULL
        )
        try:
            await refused(deployment)
            assert await deployment.exit_code() == 1
        finally:
            with suppress(ProcessLookupError):
                tracer.kill()
            await tracer.wait()
        assert (open_orders(deployment), len(placed_orders(deployment))) == ([], 1)
        assert "the journal could not be written" in " ".join(deployment.tail().split())
        if fault != "every write is refused":
            await require_halted_at_the_next_start(deployment)
    counted("faults", kind=fault)


async def test_a_read_only_disk_stops_a_start(tmp_path: Path, counted: Counted) -> None:
    data = tmp_path / "deployment" / "var"
    with small_disk(data, 120):
        async with resting(tmp_path) as deployment:
            await deployment.stop()
            remount(data, "ro")
            await deployment.start()
            assert await deployment.exit_code() == 1
            assert "journal" in deployment.tail()
            assert len(placed_orders(deployment)) == 1
            remount(data, "rw")
            await deployment.start()
            assert (await deployment.armed())["stage"] == STAGE
    counted("faults", kind="a read-only disk")
