"""Tells the service manager how the controller is, by the writer's own progress (ADR 70). ``run`` calls it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress

from controller.core.state import State
from controller.notifying.progress import LoopTurns, feed
from controller.notifying.service_manager import ServiceManager
from controller.runtime.assembly import Assembly
from controller.runtime.loop.writer import Writer


def keep_notified(manager: ServiceManager, assembly: Assembly, stop: asyncio.Event, stack: AsyncExitStack) -> None:
    """Say READY once the writer has decided a tick, WATCHDOG=1 while it goes on deciding, and the stage, until ``stack`` ends.

    A stop, or the end of a writer that failed, is said at once.
    """
    writer = assembly.writer
    feeding = asyncio.create_task(feed(manager, lambda: decided(writer), lambda: stage_line(writer.state)), name="service manager")
    ending = asyncio.create_task(_say_the_end(manager, assembly, stop, feeding), name="service manager, end")

    async def end() -> None:
        for task in (feeding, ending):
            task.cancel()
        await asyncio.gather(feeding, ending, return_exceptions=True)

    stack.push_async_callback(end)


def decided(writer: Writer) -> int | None:
    """When the writer last made a decided tick durable. A writer that failed decides nothing, so this stands still then."""
    return writer.last_tick_ns


def stage_line(state: State) -> str:
    """The stage, and why nothing is placed when nothing is."""
    if state.halt_reason:
        return f"{state.position}: {state.halt_reason}"
    return str(state.position) if state.armed else f"{state.position}, not armed: {state.not_armed_because}"


async def _say_the_end(manager: ServiceManager, assembly: Assembly, stop: asyncio.Event, feeding: asyncio.Task[None]) -> None:
    ends = [asyncio.ensure_future(event.wait()) for event in (stop, assembly.ended)]
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in ends:
            one.cancel()
    feeding.cancel()
    with suppress(asyncio.CancelledError):
        await feeding
    failure = assembly.failure
    if failure is not None and not stop.is_set():
        manager.stopping(f"the journal failed, open orders are cancelled: {failure.reason}")
    else:
        manager.stopping("stopping: open orders are cancelled")


class NotifiedStandby:
    """Says that a standby does what it is for, while it stands by and while it takes over, until the writer speaks for itself.

    It has no writer, so what is watched is that its event loop has turns.
    """

    def __init__(self, manager: ServiceManager, on_standby: Callable[[], None]) -> None:
        self._manager = manager
        self._on_standby = on_standby
        self._feeding: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """It stands by now."""
        self._feeding = asyncio.create_task(feed(self._manager, LoopTurns(), lambda: "stands by"), name="service manager, standby")
        self._on_standby()

    def end(self) -> None:
        """It leads now, or ends."""
        if self._feeding is not None:
            self._feeding.cancel()


def notified_standby(manager: ServiceManager, on_standby: Callable[[], None], stack: AsyncExitStack) -> NotifiedStandby:
    """A standby that is spoken for until ``stack`` ends at the latest."""
    standby = NotifiedStandby(manager, on_standby)
    stack.callback(standby.end)
    return standby
