"""How a process ends: it says that nothing is left only when nothing is, and a stuck process ends even if nothing reads its log."""

import asyncio
import subprocess
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest

from controller.bootstrap import EXIT_STUCK, stopping
from controller.bootstrap.stopping import cancel_before_stop
from controller.runtime.assembly import Assembly

WITH_A_FULL_PIPE = """
import os
os.set_blocking(2, False)
try:
    while True:
        os.write(2, b"." * 65536)
except BlockingIOError:
    os.set_blocking(2, True)
from controller.bootstrap import _end_process
_end_process("a test")
"""


@pytest.mark.parametrize("nothing_left", [True, False])
async def test_what_a_stop_left_open_decides_whether_the_watchdog_may_leave(*, nothing_left: bool) -> None:
    async def cancelled() -> bool:
        return nothing_left

    assembly = cast("Assembly", SimpleNamespace(heartbeat=None, cancel_before_stop=cancelled))
    assert await cancel_before_stop(asyncio.Event(), assembly) is nothing_left


async def test_a_hurried_stop_does_not_say_that_nothing_is_left() -> None:
    hurried = asyncio.Event()
    hurried.set()
    assembly = cast("Assembly", SimpleNamespace(heartbeat=None, cancel_before_stop=asyncio.Event().wait))
    assert not await cancel_before_stop(hurried, assembly)


@pytest.mark.parametrize(
    ("watchdog", "seconds"),
    [
        ({"connected": True, "problem": "", "venues": ("testnet",)}, stopping.CANCEL_BEFORE_HANDOVER_S),
        ({"connected": False, "problem": "", "venues": ("testnet",)}, stopping.CANCEL_BEFORE_STOP_S),
        ({"connected": True, "problem": "it cannot read", "venues": ("testnet",)}, stopping.CANCEL_BEFORE_STOP_S),
        ({"connected": True, "problem": "", "venues": ("live",)}, stopping.CANCEL_BEFORE_STOP_S),
    ],
)
async def test_only_a_watchdog_that_watches_these_orders_shortens_the_wait(
    monkeypatch: pytest.MonkeyPatch, watchdog: dict[str, object], seconds: float
) -> None:
    waited: list[float | None] = []

    async def wait(tasks: Any, **options: Any) -> tuple[set[Any], set[Any]]:
        waited.append(options["timeout"])
        return set(), set(tasks)

    monkeypatch.setattr(stopping.asyncio, "wait", wait)
    heartbeat = SimpleNamespace(view=lambda: SimpleNamespace(**watchdog))
    writer = SimpleNamespace(state=SimpleNamespace(venue="testnet"))
    assembly = cast("Assembly", SimpleNamespace(heartbeat=heartbeat, writer=writer, cancel_before_stop=asyncio.Event().wait))
    assert not await cancel_before_stop(asyncio.Event(), assembly)
    assert waited == [seconds]


def test_a_stuck_process_ends_although_nobody_reads_its_log() -> None:
    with subprocess.Popen((sys.executable, "-c", WITH_A_FULL_PIPE), stderr=subprocess.PIPE) as process:
        try:
            assert process.wait(60) == EXIT_STUCK
        finally:
            process.kill()
