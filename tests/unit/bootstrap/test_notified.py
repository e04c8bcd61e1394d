"""What systemd hears of a controller follows the writer, and an end is said at once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from controller.bootstrap.notified import NotifiedStandby, keep_notified, stage_line
from controller.core.lifecycle import Position
from controller.core.state import State
from controller.notifying.service_manager import ServiceManager
from controller.runtime.assembly import Assembly
from policies.stage import Stage


@dataclass(frozen=True)
class Heard(ServiceManager):
    """Notes what would be sent."""

    watchdog_us: int = 20_000
    lines: list[str] = field(default_factory=list)

    def _send(self, *lines: str) -> None:
        self.lines.extend(lines)


def assembled() -> Any:
    writer = SimpleNamespace(last_tick_ns=None, state=State())
    return SimpleNamespace(writer=writer, ended=asyncio.Event(), failure=None)


async def until(manager: Heard, line: str) -> None:
    async with asyncio.timeout(20):
        while True:
            if line in manager.lines:
                return
            await asyncio.sleep(0.01)


async def test_a_controller_is_ready_when_its_writer_has_decided() -> None:
    manager, made = Heard(), assembled()
    async with AsyncExitStack() as stack:
        keep_notified(manager, cast("Assembly", made), asyncio.Event(), stack)
        await asyncio.sleep(0.1)
        assert manager.lines == []
        made.writer.last_tick_ns = 1
        await until(manager, "READY=1")


async def test_a_writer_that_hangs_is_not_said_to_go_on() -> None:
    manager, made = Heard(), assembled()
    made.writer.last_tick_ns = 1
    async with AsyncExitStack() as stack:
        keep_notified(manager, cast("Assembly", made), asyncio.Event(), stack)
        await until(manager, "READY=1")
        await asyncio.sleep(0.1)
        assert "WATCHDOG=1" not in manager.lines
        made.writer.last_tick_ns = 2
        await until(manager, "WATCHDOG=1")


async def test_a_stop_is_said_before_orders_are_cancelled() -> None:
    manager, made, stop = Heard(), assembled(), asyncio.Event()
    made.writer.last_tick_ns = 1
    async with AsyncExitStack() as stack:
        keep_notified(manager, cast("Assembly", made), stop, stack)
        await until(manager, "READY=1")
        stop.set()
        await until(manager, "STOPPING=1")
        assert manager.lines[-1] == "STATUS=stopping: open orders are cancelled"


async def test_a_failed_journal_is_said_with_its_reason() -> None:
    manager, made = Heard(), assembled()
    made.writer.last_tick_ns, made.failure = 1, SimpleNamespace(reason="no space")
    async with AsyncExitStack() as stack:
        keep_notified(manager, cast("Assembly", made), asyncio.Event(), stack)
        made.ended.set()
        await until(manager, "STOPPING=1")
        assert manager.lines[-1].endswith("no space")


async def test_a_standby_is_ready_and_goes_on_without_a_writer() -> None:
    manager, announced = Heard(), asyncio.Event()
    standby = NotifiedStandby(manager, announced.set)
    standby.begin()
    await until(manager, "WATCHDOG=1")
    assert (announced.is_set(), manager.lines[:2]) == (True, ["READY=1", "STATUS=stands by"])
    standby.end()


def test_the_line_names_the_stage_and_why_nothing_is_placed() -> None:
    assert stage_line(State()) == "MOCK, not armed: the journal is not read yet"
    assert stage_line(State(armed=True, position=Position(Stage.LIVE_EUR10))) == "LIVE_€10"
    assert stage_line(State(halt_reason="a test", position=Position(Stage.HALTED))) == "HALTED: a test"
